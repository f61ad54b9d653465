"""Builder of ONNX models: a thin layer over onnx.helper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import textgate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Supported by runtimes of early 2024 (ONNX Runtime 1.17) and by onnxruntime-web.
OPSET = 18
IR_VERSION = 8
MICROSOFT = "com.microsoft"


class GraphBuilder:
    """Collects a graph. Its methods take and return the names of values."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._domains: set[str] = set()

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        *,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its first output; "" is an omitted input or output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        name = next(name for name in names if name)
        self._nodes.append(
            helper.make_node(
                operator,
                list(inputs),
                names,
                name=f"{name}/{operator}",
                domain=domain,
                **attributes,
            )
        )
        self._domains.add(domain)
        return name

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a constant tensor and return its name; a name always means the same values."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, name: str, *values: int) -> str:
        """Add a constant vector of int64 and return its name."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def input(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> str:
        """Add an input, or let callers override an existing constant."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> str:
        """Add a float32 output."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return name

    def model(self, name: str) -> bytes:
        """Return the model as ONNX bytes, without unused nodes and constants."""
        nodes = self._needed()
        used = {value for node in nodes for value in node.input}
        opsets = [helper.make_opsetid("", OPSET)]
        if MICROSOFT in self._domains:
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        graph = helper.make_graph(
            nodes,
            name,
            self._inputs,
            self._outputs,
            initializer=[self._initializers[key] for key in self._initializers if key in used],
        )
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=IR_VERSION,
            producer_name="textgate",
            producer_version=textgate.__version__,
        )
        return bytes(model.SerializeToString())

    def _needed(self) -> list[Any]:
        """Return the nodes that an output depends on, in order."""
        wanted = {output.name for output in self._outputs}
        nodes = []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                nodes.append(node)
                wanted.update(node.input)
        return nodes[::-1]
