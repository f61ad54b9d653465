"""Random changes of an ONNX graph that leave it well-formed: what a stranger could have written."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from wire import Tree, parse, write

from textgate.bundle.checks.rules import OPERATORS

_ONNX = sorted(OPERATORS[""])
_RECURRENT = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
_WIDTHS = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
_WHOLE = (-(2**63), -(2**31), -3, -2, -1, 0, 1, 2, 3, 4, 7, 14, 64, 1000, 2**20, 2**31, 2**40)
_REAL = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("inf"), float("-inf"), float("nan"))
_SIZES = (0, 1, 1, 2, 3, 4, 5, 8, 12, 14, 24, 56, 300)
_TEXTS = ("forward", "reverse", "bidirectional", "", "LEFT", "RIGHT", "Affine", "Tanh", "x" * 50)
_NAME_LIST = """
axis axes activations activation_alpha activation_beta alpha batch_axis batch_dims beta clip
direction exclusive fmod hidden_size input_forget keepdims layout linear_before_reset
noop_with_empty_axes num_outputs perm reverse saturate split start end time_axis to transA
transB allowzero
"""
_NAMES = _NAME_LIST.split()

# Attribute type -> the field of its value.
_FLOAT, _INT, _STRING, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 6, 7, 8
_VALUES = {_FLOAT: 2, _INT: 3, _STRING: 4, _FLOATS: 7, _INTS: 8, _STRINGS: 9}


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return an ONNX model with one to four random changes."""
    model = parse(data)
    for _ in range(generator.choice((1, 1, 1, 2, 2, 3, 4))):
        generator.choice(_MUTATIONS)(generator, model.trees(7)[0])
    return write(model)


def _values(graph: Tree) -> list[str]:
    names = [name for kind in (11, 5) for item in graph.trees(kind) for name in _name(item, kind)]
    return names + [name for node in graph.trees(1) for name in node.texts(2)] + [""]


def _name(item: Tree, kind: int) -> list[str]:
    return item.texts(8 if kind == 5 else 1)


def _swap_operator(generator: random.Random, graph: Tree) -> None:
    node = generator.choice(graph.trees(1))
    if generator.random() < 0.3:
        recurrent = [one for one in graph.trees(1) if one.texts(4)[0] in _RECURRENT]
        node = generator.choice(recurrent or [node])
    node.set(4, generator.choice(_ONNX))
    node.set(7)
    if generator.random() < 0.2:
        node.set(4, "DynamicQuantizeLSTM")
        node.set(7, "com.microsoft")


def _rewire(generator: random.Random, graph: Tree) -> None:
    node = generator.choice(graph.trees(1))
    inputs = node.texts(1)
    if not inputs:
        return
    inputs[generator.randrange(len(inputs))] = generator.choice(_values(graph))
    node.set(1, *inputs)


def _change_input_count(generator: random.Random, graph: Tree) -> None:
    node = generator.choice(graph.trees(1))
    inputs = node.texts(1)
    if inputs and generator.random() < 0.5:
        del inputs[generator.randrange(len(inputs))]
    else:
        inputs.insert(generator.randint(0, len(inputs)), generator.choice(_values(graph)))
    node.set(1, *inputs)


def _rename_output(generator: random.Random, graph: Tree) -> None:
    node = generator.choice(graph.trees(1))
    outputs = node.texts(2)
    if outputs:
        outputs[generator.randrange(len(outputs))] = generator.choice([*_values(graph), "new"])
    node.set(2, *outputs)


def _move_node(generator: random.Random, graph: Tree) -> None:
    nodes = [item for item in graph.fields if item[0] == 1]
    chosen = generator.choice(nodes)
    what = generator.choice(("drop", "duplicate", "swap"))
    index = graph.fields.index(chosen)
    if what == "drop":
        del graph.fields[index]
    elif what == "duplicate":
        graph.fields.insert(index, chosen)
    else:
        other = graph.fields.index(generator.choice(nodes))
        graph.fields[index], graph.fields[other] = graph.fields[other], graph.fields[index]


def _insert_node(generator: random.Random, graph: Tree) -> None:
    """Put a random operator between a value and one of its readers."""
    reader = generator.choice(graph.trees(1))
    inputs = reader.texts(1)
    if not inputs:
        return
    index = generator.randrange(len(inputs))
    node = Tree()
    more = [generator.choice(_values(graph)) for _ in range(generator.choice((0, 0, 1, 1, 2, 5)))]
    node.set(1, *generator.sample([inputs[index], *more], len(more) + 1))
    node.set(2, "inserted", *(["second"] if generator.random() < 0.3 else []))
    node.set(4, generator.choice(_ONNX))
    if generator.random() < 0.5:
        _add_attribute(generator, node)
    inputs[index] = "inserted"
    reader.set(1, *inputs)
    graph.fields.insert(
        next(i for i, item in enumerate(graph.fields) if item[2] is reader), (1, 2, node)
    )


def _add_attribute(generator: random.Random, node: Tree) -> None:
    attribute = Tree()
    attribute.set(1, generator.choice(_NAMES))
    _set_value(generator, attribute, generator.choice((_INT, _INT, *_VALUES)))
    node.fields.append((5, 2, attribute))


def _set_value(generator: random.Random, attribute: Tree, kind: int) -> None:
    for number in (2, 3, 4, 5, 7, 8, 9):
        attribute.set(number)
    attribute.set(20, kind)
    count = generator.choice((0, 1, 1, 2, 2, 3, 6))
    if kind == _FLOAT:
        attribute.set(2, struct.pack("<f", generator.choice(_REAL)), wire=5)
    elif kind == _INT:
        attribute.set(3, generator.choice(_WHOLE))
    elif kind == _STRING:
        attribute.set(4, generator.choice(_TEXTS))
    elif kind == _FLOATS:
        packed = struct.pack(f"<{count}f", *generator.choices(_REAL, k=count))
        attribute.set(7, packed)
    elif kind == _INTS:
        attribute.set(8, *generator.choices(_WHOLE, k=count))
    else:
        attribute.set(9, *generator.choices(_TEXTS, k=count))


def _change_attribute(generator: random.Random, graph: Tree) -> None:
    node = generator.choice([node for node in graph.trees(1) if node.trees(5)])
    attribute = generator.choice(node.trees(5))
    kind = attribute.numbers(20)[0]
    what = generator.random()
    if what < 0.2:
        node.fields = [item for item in node.fields if item[2] is not attribute]
    elif what < 0.3:
        _add_attribute(generator, node)
    elif what < 0.4 or kind not in _VALUES:
        _set_value(generator, attribute, generator.choice(tuple(_VALUES)))
    else:
        _set_value(generator, attribute, kind)


def _reshape(generator: random.Random, graph: Tree) -> None:
    """Give a constant another shape, and data to go with it."""
    tensor = generator.choice(graph.trees(5))
    dims, width = tensor.numbers(1), _WIDTHS[tensor.numbers(2)[0]]
    what = generator.random()
    if what < 0.3 and dims:
        dims[generator.randrange(len(dims))] = generator.choice(_SIZES)
    elif what < 0.5:
        dims = [*dims, 1] if generator.random() < 0.5 else dims[1:]
    elif what < 0.6:
        generator.shuffle(dims)
    else:
        dims = generator.choices(_SIZES, k=generator.randint(0, 4))
    count = 1
    for size in dims:
        count *= size
    if count > 2**20:
        return
    _set_data(tensor, dims, _repeat(_data(tensor), count * width))


def _retype(generator: random.Random, graph: Tree) -> None:
    tensor = generator.choice(graph.trees(5))
    kind, dims = generator.choice(tuple(_WIDTHS)), tensor.numbers(1)
    count = 1
    for size in dims:
        count *= size
    tensor.set(2, kind)
    _set_data(tensor, dims, _repeat(_data(tensor), count * _WIDTHS[kind]))


def _change_elements(generator: random.Random, graph: Tree) -> None:
    tensor = generator.choice(graph.trees(5))
    kind, data = tensor.numbers(2)[0], bytearray(_data(tensor))
    if not data:
        return
    width = _WIDTHS[kind]
    formats = {1: "f", 11: "d", 6: "i", 7: "q"}
    for _ in range(generator.choice((1, 1, 3, 1000))):
        offset = generator.randrange(len(data) // width) * width
        if kind in formats:
            value = generator.choice(_REAL if kind in (1, 11) else _WHOLE)
            if kind == 6:
                value = max(-(2**31), min(int(value), 2**31 - 1))
            data[offset : offset + width] = struct.pack("<" + formats[kind], value)
        else:
            data[offset : offset + width] = generator.randbytes(width)
    _set_data(tensor, tensor.numbers(1), bytes(data))


def _data(tensor: Tree) -> bytes:
    """Return the raw bytes of a constant; nothing for one that is written otherwise."""
    raw = [value for number, _, value in tensor.fields if number == 9 and isinstance(value, bytes)]
    return raw[0] if raw else b""


def _set_data(tensor: Tree, dims: list[int], data: bytes) -> None:
    for number in (4, 5, 7, 10, 11):
        tensor.set(number)
    tensor.set(1, *dims)
    tensor.set(9, data)


def _repeat(data: bytes, size: int) -> bytes:
    data = data or b"\x00"
    return (data * (size // len(data) + 1))[:size]


def _change_declaration(generator: random.Random, graph: Tree) -> None:
    value = generator.choice(graph.trees(generator.choice((11, 12))))
    tensor = value.trees(2)[0].trees(1)[0]
    if generator.random() < 0.2:
        tensor.set(1, generator.choice(tuple(_WIDTHS)))
        return
    shape = tensor.trees(2)[0]
    size = generator.choice(shape.trees(1))
    size.fields = []
    if generator.random() < 0.5:
        size.set(2, generator.choice(("batch", "sequence", "n")))
    else:
        size.set(1, generator.choice(_WHOLE))


_MUTATIONS: tuple[Callable[[random.Random, Tree], None], ...] = (
    _swap_operator,
    _swap_operator,
    _rewire,
    _rewire,
    _change_input_count,
    _rename_output,
    _move_node,
    _insert_node,
    _insert_node,
    _change_attribute,
    _change_attribute,
    _reshape,
    _reshape,
    _reshape,
    _retype,
    _change_elements,
    _change_elements,
    _change_declaration,
)
