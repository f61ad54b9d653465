"""ONNX models as trees of protobuf fields, to be changed anywhere and written again."""

from __future__ import annotations

from dataclasses import dataclass, field

# Message -> field -> the message in it; https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
_SCHEMA: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "value": {2: "type"},
    "type": {1: "tensor_type"},
    "tensor_type": {2: "shape"},
    "shape": {1: "dimension"},
}
_WIDTHS = {1: 8, 5: 4}


@dataclass
class Tree:
    """One message.

    Attributes:
        fields: number, wire type and value of each field: a number, bytes, or a tree.
    """

    fields: list[tuple[int, int, int | bytes | Tree]] = field(default_factory=list)

    def trees(self, number: int) -> list[Tree]:
        """Return the messages in a repeated field."""
        return [value for n, _, value in self.fields if n == number and isinstance(value, Tree)]

    def numbers(self, number: int) -> list[int]:
        """Return the unpacked whole numbers of a repeated field."""
        return [value for n, _, value in self.fields if n == number and isinstance(value, int)]

    def texts(self, number: int) -> list[str]:
        """Return the strings of a repeated field."""
        values = [value for n, _, value in self.fields if n == number]
        return [value.decode("utf-8", "replace") for value in values if isinstance(value, bytes)]

    def set(self, number: int, *values: int | str | bytes | Tree, wire: int = 2) -> None:
        """Replace a field by these values, or by none."""
        self.fields = [item for item in self.fields if item[0] != number]
        for value in values:
            if isinstance(value, int):
                self.fields.append((number, 0, value))
            else:
                content = value.encode() if isinstance(value, str) else value
                self.fields.append((number, wire, content))


def parse(data: bytes, kind: str = "model") -> Tree:
    """Return the tree of a well-formed message."""
    tree, position = Tree(), 0
    while position < len(data):
        tag, position = _number(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _number(data, position)
            tree.fields.append((number, wire, value))
            continue
        size = _WIDTHS.get(wire, 0)
        if wire == 2:
            size, position = _number(data, position)
        content = data[position : position + size]
        position += size
        child = _SCHEMA.get(kind, {}).get(number)
        tree.fields.append((number, wire, parse(content, child) if child else content))
    return tree


def write(tree: Tree) -> bytes:
    """Return the bytes of a message."""
    parts = []
    for number, wire, value in tree.fields:
        parts.append(_varint(number << 3 | wire))
        if isinstance(value, int):
            parts.append(_varint(value % 2**64))
        else:
            content = write(value) if isinstance(value, Tree) else value
            parts.extend((_varint(len(content)) if wire == 2 else b"", content))
    return b"".join(parts)


def _number(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
