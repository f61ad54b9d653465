"""The graph that textgate exports for an architecture, to compare a bundle's with.

The engine computes what the manifest's architecture says. That is what the graph computes only if
the graph is one of textgate's own: every node, attribute and constant must be an expected one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture
    from textgate.bundle.checks.graph import Node

    Operator = tuple[object, ...]

ANCHORS = 2
FLOAT32, STORED, COMPUTED = "float32", "stored", "computed"
LOWEST = -1e30

_OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


@dataclass(frozen=True)
class BundleStorage:
    """How a bundle stores what the architecture leaves open.

    Attributes:
        embedding_bits: 32, 8 or 4.
        anchored_table: whether two more columns of an 8-bit table hold the bounds.
        layers: ``float32``, ``stored`` or ``computed`` of each recurrent layer.
        output: ``float32`` or ``stored``, of the last dense layer.
        integer_linear: whether the linear branch's tables are int8.
    """

    embedding_bits: int
    anchored_table: bool
    layers: tuple[str, ...]
    output: str
    integer_linear: bool

    def anchored(self, layer: int) -> bool:
        """Return whether a layer's states have anchors."""
        return self.layers[layer] == COMPUTED


@dataclass
class ExpectedGraph:
    """What a graph may hold.

    Attributes:
        nodes: the operators, as `operator_of` gives them.
        weights: constants whose values are the network's.
        constants: the other constants, each of one dimension, with their values.
        states: the names, widths and kinds of what a stream carries: input, output, shape, and the
            values at a text's beginning.
    """

    nodes: set[Operator] = field(default_factory=set)
    weights: set[str] = field(default_factory=set)
    constants: dict[str, tuple[float, ...]] = field(default_factory=dict)
    states: list[tuple[str, str, tuple[int, ...], float, float]] = field(default_factory=list)

    def node(
        self,
        operator: str,
        inputs: list[str],
        outputs: str | list[str],
        *,
        domain: str = "",
        **attributes: object,
    ) -> str:
        """Add a node and return its first output."""
        names = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.add(
            (domain, operator, tuple(inputs), tuple(names), tuple(sorted(attributes.items())))
        )
        return names[0]

    def constant(self, name: str, *values: float) -> str:
        """Add a constant with its values and return its name."""
        self.constants[name] = values
        return name

    def weight(self, name: str) -> str:
        """Add a constant that is the network's own and return its name."""
        self.weights.add(name)
        return name

    def state(
        self, name: str, shape: tuple[int, ...], start: float = 0.0, held: float = 0.0
    ) -> str:
        """Add a state; its anchors, if it has any, hold `held` and its negative."""
        self.states.append((f"state.{name}", f"next.{name}", shape, start, held))
        return self.weight(f"state.{name}")

    def stored(self, name: str) -> str:
        """Add a weight stored as int8 and return its name as a float32 value."""
        wide = self.node("Cast", [self.weight(f"{name}.int8")], f"{name}.wide", to=1)
        return self.node("Mul", [wide, self.weight(f"{name}.scale")], name)


def operator_of(node: Node) -> Operator:
    """Return everything about a node of a graph but its name, to compare it with others."""
    attributes = tuple(sorted(node.attributes.items()))
    return node.domain, node.op_type, node.inputs, node.outputs, attributes


def expected_graph(net: Architecture, storage: BundleStorage) -> ExpectedGraph:
    """Return what the graph of a network may hold."""
    graph = ExpectedGraph()
    _shared_values(graph)
    source, holds_anchors = _embedding(graph, storage), storage.anchored_table
    for index in range(len(net.hidden_sizes)):
        source = _layer(graph, net, storage, index, source, holds_anchors=holds_anchors)
        holds_anchors = storage.anchored(index)
    name = f"{net.cell}_{len(net.hidden_sizes)}"
    pooled = _poolings(graph, net, storage, name)
    vector = pooled[0] if len(pooled) == 1 else graph.node("Concat", pooled, "pooled", axis=1)
    if net.linear_size:
        _linear(graph, net)
    _head(graph, net, storage, vector)
    return graph


def _shared_values(graph: ExpectedGraph) -> None:
    node, constant = graph.node, graph.constant
    node("Transpose", ["input_ids"], "ids_by_step", perm=(1, 0))
    node("Cast", ["lengths"], "lengths_int32", to=6)
    node("Shape", ["ids_by_step"], "step_shape")
    one = constant("one", 1)
    node("Shape", ["lengths"], "batch_size")
    node("Concat", [one, "batch_size", one], "batch_shape", axis=0)
    node("Unsqueeze", ["lengths", one], "lengths_column")
    node("Cast", ["lengths_column"], "lengths_float", to=1)
    node("Gather", ["step_shape", constant("first", 0)], "steps")
    node("Range", [constant("range_start", 0), "steps", constant("range_step", 1)], "step_numbers")
    node("Unsqueeze", ["step_numbers", one], "step_column")
    node("Less", ["step_column", "lengths"], "inside_2d")
    node("Unsqueeze", ["inside_2d", constant("axis_2", 2)], "inside")
    for name, value in (("axis_0", 0), ("axis_1", 1), ("anchors", ANCHORS), ("zero", 0.0)):
        constant(name, value)
    constant("lowest", LOWEST)


def _embedding(graph: ExpectedGraph, storage: BundleStorage) -> str:
    node, table = graph.node, graph.weight("embedding.table")
    if storage.embedding_bits == 32:
        return node("Gather", [table, "ids_by_step"], "embedded")
    if storage.embedding_bits == 8:
        rows = node("Gather", [table, "ids_by_step"], "embedding.rows")
        return node("Cast", [rows], "embedding.wide", to=1)
    scale = graph.weight("embedding.scale")
    scales = node("Gather", [scale, "ids_by_step"], "embedding.scales")
    rows = node("Gather", [table, "ids_by_step"], "embedding.packed")
    low = node("BitwiseAnd", [rows, graph.constant("embedding.mask", 15)], "embedding.low")
    shift = graph.constant("embedding.shift", 4)
    high = node("BitShift", [rows, shift], "embedding.high", direction="RIGHT")
    both = node("Concat", [low, high], "embedding.nibbles", axis=2)
    wide = node("Cast", [both], "embedding.unsigned", to=1)
    wide = node("Sub", [wide, graph.constant("embedding.offset", 8.0)], "embedding.wide")
    return node("Mul", [wide, scales], "embedded")


def _layer(
    graph: ExpectedGraph,
    net: Architecture,
    storage: BundleStorage,
    index: int,
    source: str,
    *,
    holds_anchors: bool,
) -> str:
    node = graph.node
    name, directions = f"{net.cell}_{index + 1}", net.directions
    anchored = storage.anchored(index)
    hidden = net.hidden_sizes[index] + (ANCHORS if anchored else 0)
    if anchored and not holds_anchors:
        shape = node("Concat", ["step_shape", "anchors"], f"{name}.bounds_shape", axis=0)
        bounds = graph.weight(f"{name}.bounds")
        columns = node("Expand", [bounds, shape], f"{name}.bounds_columns")
        source = node("Concat", [source, columns], f"{name}.source", axis=2)
    lstm, carried = net.cell == "lstm", not net.bidirectional
    initial = []
    for state in ("h", "c")[: 2 if lstm else 1]:
        if not anchored and not carried:
            initial.append("")
            continue
        held = 0.0 if not anchored else 1.0 if state == "h" else 30.0
        value = graph.state(f"{name}.{state}", (directions, -1, hidden), 0.0, held)
        initial.append(node("Expand", [value, "batch_shape"], f"{name}.initial_{state}"))
    outputs = [f"{name}.Y", f"{name}.Y_h", *([f"{name}.Y_c"] if lstm else [])]
    attributes: dict[str, Any] = {
        "hidden_size": hidden,
        "direction": "bidirectional" if directions == 2 else "forward",
    }
    bias = graph.weight(f"{name}.B")
    if anchored:
        weights = [graph.weight(f"{name}.{key}") for key in "WR"]
        scales = [
            graph.weight(f"{name}.{key}.{part}") for key in "WR" for part in ("scale", "zero_point")
        ]
        operands = [source, *weights, bias, "lengths_int32", *initial, "", *scales]
        node("DynamicQuantizeLSTM", operands, outputs, domain="com.microsoft", **attributes)
    else:
        add = graph.stored if storage.layers[index] == STORED else graph.weight
        weights = [add(f"{name}.{key}") for key in "WR"]
        if net.cell == "gru":
            attributes["linear_before_reset"] = 1
        operands = [source, *weights, bias, "lengths_int32", *initial]
        node(_OPERATORS[net.cell], operands, outputs, **attributes)
    if carried:
        for state, output in zip(("h", "c"), outputs[1:], strict=False):
            node("Identity", [output], f"next.{name}.{state}")
    if directions == 1:
        node("Squeeze", [f"{name}.Y_h", "axis_0"], f"{name}.last")
        return node("Squeeze", [f"{name}.Y", "axis_1"], f"{name}.states")
    last = node("Transpose", [f"{name}.Y_h"], f"{name}.last_by_row", perm=(1, 0, 2))
    node("Reshape", [last, graph.constant("join_2d", 0, -1)], f"{name}.last")
    states = node("Transpose", [f"{name}.Y"], f"{name}.by_row", perm=(0, 2, 1, 3))
    return node("Reshape", [states, graph.constant("join_3d", 0, 0, -1)], f"{name}.states")


def _poolings(
    graph: ExpectedGraph, net: Architecture, storage: BundleStorage, layer: str
) -> list[str]:
    node = graph.node
    states, anchored = f"{layer}.states", storage.anchored(-1)
    width = net.directions * (net.hidden_sizes[-1] + (ANCHORS if anchored else 0))

    def reduced(operator: str, value: str, output: str) -> str:
        return node(operator, [value, "axis_0"], output, keepdims=0)

    def before(name: str, size: int, start: float = 0.0) -> str:
        return graph.state(f"pool.{name}", (-1, size), start, start)

    def after(name: str, value: str) -> str:
        if not net.bidirectional:
            node("Identity", [value], f"next.pool.{name}")
        return value

    pooled = []
    for name in net.pooling:
        if name == "last":
            pooled.append(f"{layer}.last")
        elif name == "max":
            visible = node("Where", ["inside", states, "lowest"], "pool.max.visible")
            chunk = reduced("ReduceMax", visible, "pool.max.chunk")
            value = node("Max", [chunk, before("max", width, LOWEST)], "pool.max")
            pooled.append(after("max", value))
        elif name == "mean":
            visible = node("Where", ["inside", states, "zero"], "pool.mean.visible")
            chunk = reduced("ReduceSum", visible, "pool.mean.chunk")
            total = node("Add", [chunk, before("sum", width)], "pool.mean.sum")
            count = node("Add", ["lengths_float", before("count", 1)], "pool.mean.count")
            after("sum", total), after("count", count)
            pooled.append(node("Div", [total, count], "pool.mean"))
        else:
            weight = graph.weight("attention.weight")
            raw = node("MatMul", [states, weight], "pool.attention.raw")
            scores = node("Where", ["inside", raw, "lowest"], "pool.attention.scores")
            chunk = reduced("ReduceMax", scores, "pool.attention.chunk_top")
            start = before("top", 1, LOWEST)
            top = node("Max", [chunk, start], "pool.attention.top")
            shifted = node("Sub", [scores, top], "pool.attention.shifted")
            powers = node("Exp", [shifted], "pool.attention.powers")
            fading = node("Sub", [start, top], "pool.attention.fading")
            fade = node("Exp", [fading], "pool.attention.fade")
            weighted = node("Mul", [powers, states], "pool.attention.weighted")
            sums = []
            for part, value, size in (("normalizer", powers, 1), ("total", weighted, width)):
                front = f"pool.attention.{part}"
                chunk = reduced("ReduceSum", value, f"{front}.chunk")
                faded = node("Mul", [before(part, size), fade], f"{front}.faded")
                sums.append(node("Add", [chunk, faded], front))
            after("top", top), after("normalizer", sums[0]), after("total", sums[1])
            pooled.append(node("Div", [sums[1], sums[0]], "pool.attention"))
    return pooled


def _linear(graph: ExpectedGraph, net: Architecture) -> None:
    node, constant, carried = graph.node, graph.constant, not net.bidirectional
    _bigrams(graph, net)
    limit = constant("linear.token_count", net.linear_tokens)
    node("Less", ["ids_by_step", limit], "linear.tokens.found")
    last_row = constant("linear.last_row_of_tokens", net.linear_tokens - 1)
    node("Min", ["ids_by_step", last_row], "linear.tokens.places")
    rows, squares = [], []
    for name in ("linear.tokens", "linear.pairs"):
        kept = node("And", [f"{name}.found", "inside_2d"], f"{name}.kept")
        column = node("Unsqueeze", [kept, "axis_2"], f"{name}.kept_column")
        found = node("Gather", [graph.weight(name), f"{name}.places"], f"{name}.rows")
        wide = node("Cast", [found], f"{name}.wide", to=1)
        for value in (found, wide):  # one of them, as the table is float32 or int8
            node("Where", [column, value, "zero"], f"{name}.visible")
        rows.append(f"{name}.visible")
        weights = graph.weight(f"{name}_weights")
        weight = node("Gather", [weights, f"{name}.places"], f"{name}_weights.rows")
        weight = node("Cast", [weight], f"{name}_weights.wide", to=1)
        weight = node("Where", [kept, weight, "zero"], f"{name}_weights.visible")
        squares.append(node("Mul", [weight, weight], f"{name}_weights.squares"))
    visible = node("Concat", rows, "linear.rows", axis=2)
    chunk = node("ReduceSum", [visible, "axis_0"], "linear.chunk", keepdims=0)
    sums = graph.state("linear.sum", (-1, 2 * net.linear_size))
    total = node("Add", [chunk, sums], "linear.sum")
    both = node("Add", squares, "linear.squares")
    added = node("ReduceSum", [both, "axis_0"], "linear.squares_of_chunk", keepdims=0)
    added = node("Unsqueeze", [added, "one"], "linear.squares_column")
    before = graph.state("linear.squares", (-1, 1))
    length = node("Add", [added, before], "linear.square_length")
    if carried:
        node("Identity", [total], "next.linear.sum")
        node("Identity", [length], "next.linear.squares")
    projection = graph.weight("linear.projection")
    linear = node("MatMul", [total, projection], "linear.projected")
    some = node("Max", [length, constant("linear.least", 1.0)], "linear.some")
    root = node("Sqrt", [some], "linear.root")
    node("Div", [linear, root], "linear.logits")


def _bigrams(graph: ExpectedGraph, net: Architecture) -> None:
    node, constant = graph.node, graph.constant
    before = graph.state("linear.previous", (-1, 1))
    before = node("Cast", [before], "linear.previous", to=7)
    shape = node("Concat", ["batch_size", "one"], "linear.batch_shape", axis=0)
    before = node("Expand", [before, shape], "linear.previous_column")
    before = node("Transpose", [before], "linear.previous_row", perm=(1, 0))
    slices = [constant("slice_start", 0), constant("slice_end", -1), "axis_0"]
    others = node("Slice", ["ids_by_step", *slices], "linear.others")
    shifted = node("Concat", [before, others], "linear.before", axis=0)
    first = node("Mul", [shifted, constant("linear.first", 1_000_003)], "linear.a")
    second = node("Mul", ["ids_by_step", constant("linear.second", 7_368_787)], "linear.b")
    mixed = node("Add", [first, second], "linear.mixed")
    if not net.bidirectional:
        last_step = node("Sub", ["lengths", "one"], "linear.last_step")
        is_last = node("Equal", ["step_column", last_step], "linear.is_last")
        zero = constant("zero_id", 0)
        ids = node("Where", [is_last, "ids_by_step", zero], "linear.last_only")
        last = node("ReduceSum", [ids, "axis_0"], "linear.last_row", keepdims=0)
        column = node("Unsqueeze", [last, "one"], "linear.last_column")
        last = node("Cast", [column], "linear.last", to=1)
        node("Identity", [last], "next.linear.previous")
    buckets = constant("linear.bucket_count", net.linear_buckets)
    indices = node("Mod", [mixed, buckets], "linear.pairs.places")
    kinds = constant("linear.fingerprint_count", 251)
    wanted = node("Mod", [mixed, kinds], "linear.pairs.fingerprints")
    table = graph.weight("linear.fingerprints")
    owners = node("Gather", [table, indices], "linear.pairs.owners")
    wide = node("Cast", [owners], "linear.pairs.owners_wide", to=7)
    node("Equal", [wide, wanted], "linear.pairs.found")


def _head(graph: ExpectedGraph, net: Architecture, storage: BundleStorage, vector: str) -> None:
    node = graph.node
    logits = "output.logits" if net.linear_size else "logits"
    for index in range(len(net.dense_sizes) + 1):
        last = index == len(net.dense_sizes)
        name = "output" if last else f"dense_{index + 1}"
        stored = last and storage.output == STORED
        weight = (graph.stored if stored else graph.weight)(f"{name}.weight")
        operands = [vector, weight, graph.weight(f"{name}.bias")]
        vector = node("Gemm", operands, logits if last else f"{name}.linear", transB=1)
        if not last:
            vector = node("Relu", [vector], f"{name}.relu")
    if net.linear_size:
        node("Add", [vector, "linear.logits"], "logits")
    scaled = node("Mul", ["logits", graph.weight("inverse_temperature")], "calibrated")
    if net.output == "multi-label":
        node("Sigmoid", [scaled], "probabilities")
    else:
        node("Softmax", [scaled], "probabilities", axis=1)
