"""Carried states of poolings and the linear branch: constants that callers can override."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textgate.bundle.manifest import StateTensor

if TYPE_CHECKING:
    from textgate.export.graph.nodes import GraphBuilder


@dataclass
class Carry:
    """Adds carried states to a graph, each float32 [batch, width], and lists them.

    Attributes:
        builder: the graph.
        states: the states of a stream; new states are appended.
        carried: whether callers can pass earlier results; if not, the states stay constants.
        name: the part of the network, which is the prefix of their names.
    """

    builder: GraphBuilder
    states: list[StateTensor]
    carried: bool
    name: str

    def before(self, name: str, width: int, start: float = 0.0) -> str:
        """Add a state before this chunk, float32 [1, width], and return its name.

        Args:
            name: name of the state.
            width: its number of columns.
            start: its value at the beginning of a text.
        """
        value = np.full((1, width), start, dtype=np.float32)
        constant = self.builder.constant(f"state.{self.name}.{name}", value)
        if self.carried:
            self.builder.input(constant, ["state_batch", width])
            self.states.append(StateTensor(constant, f"next.{self.name}.{name}", (-1, width)))
        return constant

    def after(self, name: str, value: str) -> str:
        """Make a value the state before the next chunk; return the value."""
        if self.carried:
            output = self.builder.node("Identity", [value], f"next.{self.name}.{name}")
            width = next(state.shape[1] for state in self.states if state.output == output)
            self.builder.output(output, ["batch", width])
        return value
