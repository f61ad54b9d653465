"""Pooling over time as ONNX operators, in running forms that continue from an earlier chunk.

A maximum continues from the maximum so far, a mean from the sum and the count so far, attention
from its largest score, its normalizer and its weighted sum (Milakov and Gimelshein 2018, "Online
normalizer calculation for softmax").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.export.graph.carry import Carry
    from textgate.export.graph.cells import LayerValues
    from textgate.export.graph.nodes import GraphBuilder

# Below every state and score, and far from the limits of float32, so that differences are finite.
_LOWEST = -1e30


@dataclass
class Pool:
    """Adds poolings to a graph and lists their carried states.

    Attributes:
        builder: the graph; it must hold ``inside``, a mask [tokens, batch, 1], and
            ``lengths_float``, float32 [batch, 1].
        layer: the recurrent layer to pool.
        carry: adds the carried states.
    """

    builder: GraphBuilder
    layer: LayerValues
    carry: Carry

    def add(self, name: str, attention: NDArray[np.float32] | None) -> str:
        """Add one pooling and return its value, float32 [batch, width].

        Args:
            name: ``last``, ``max``, ``mean`` or ``attention``.
            attention: float32 [meaningful columns], the weights that score the states.
        """
        if name == "last":
            return self.layer.last
        if name == "max":
            return self._max()
        if name == "mean":
            return self._mean()
        if attention is None:
            raise ValueError("attention pooling needs its weights")
        return self._attention(attention)

    def _max(self) -> str:
        lowest = self.builder.constant("lowest", np.float32(_LOWEST))
        visible = self._node("Where", ["inside", self.layer.states, lowest], "pool.max.visible")
        largest = self._reduce("ReduceMax", visible, "pool.max.chunk")
        before = self.carry.before("max", self.layer.wiring.width, _LOWEST)
        return self.carry.after("max", self._node("Max", [largest, before], "pool.max"))

    def _mean(self) -> str:
        zero = self.builder.constant("zero", np.float32(0.0))
        visible = self._node("Where", ["inside", self.layer.states, zero], "pool.mean.visible")
        chunk = self._reduce("ReduceSum", visible, "pool.mean.chunk")
        total = self._node(
            "Add", [chunk, self.carry.before("sum", self.layer.wiring.width, 0.0)], "pool.mean.sum"
        )
        count = self._node(
            "Add", ["lengths_float", self.carry.before("count", 1, 0.0)], "pool.mean.count"
        )
        self.carry.after("sum", total)
        self.carry.after("count", count)
        return self._node("Div", [total, count], "pool.mean")

    def _attention(self, attention: NDArray[np.float32]) -> str:
        wiring = self.layer.wiring
        weights = self.builder.constant("attention.weight", wiring.spread(attention[None]).T)
        lowest = self.builder.constant("lowest", np.float32(_LOWEST))
        raw = self._node("MatMul", [self.layer.states, weights], "pool.attention.raw")
        scores = self._node("Where", ["inside", raw, lowest], "pool.attention.scores")
        chunk = self._reduce("ReduceMax", scores, "pool.attention.chunk_top")
        before = self.carry.before("top", 1, _LOWEST)
        top = self._node("Max", [chunk, before], "pool.attention.top")
        shifted = self._node("Sub", [scores, top], "pool.attention.shifted")
        powers = self._node("Exp", [shifted], "pool.attention.powers")
        fading = self._node("Sub", [before, top], "pool.attention.fading")
        fade = self._node("Exp", [fading], "pool.attention.fade")
        weighted = self._node("Mul", [powers, self.layer.states], "pool.attention.weighted")
        normalizer = self._continued("normalizer", powers, fade, 1)
        total = self._continued("total", weighted, fade, wiring.width)
        self.carry.after("top", top)
        self.carry.after("normalizer", normalizer)
        self.carry.after("total", total)
        return self._node("Div", [total, normalizer], "pool.attention")

    def _continued(self, name: str, values: str, fade: str, width: int) -> str:
        """Return the sum over time plus the faded sum so far."""
        chunk = self._reduce("ReduceSum", values, f"pool.attention.{name}.chunk")
        before = self.carry.before(name, width, 0.0)
        faded = self._node("Mul", [before, fade], f"pool.attention.{name}.faded")
        return self._node("Add", [chunk, faded], f"pool.attention.{name}")

    def _node(self, operator: str, inputs: list[str], output: str) -> str:
        return self.builder.node(operator, inputs, output)

    def _reduce(self, operator: str, value: str, output: str) -> str:
        axis = self.builder.integers("axis_0", 0)
        return self.builder.node(operator, [value, axis], output, keepdims=0)
