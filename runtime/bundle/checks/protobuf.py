"""Bounded reader of the protobuf wire format, for messages of any schema.

Format: https://protobuf.dev/programming-guides/encoding/. Bytes are not copied or looped over, so
that the time does not grow with the size of the weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from textgate.errors import BundleError

MAX_MESSAGE_DEPTH = 8  # of nested messages
MAX_FIELDS = 2**18  # of all messages of a file together

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_CONTINUED = bytes(range(0x80, 0x100))  # the bytes of a varint that are not its last
_OVERLONG = re.compile(rb"[\x80-\xff]{10}")


class Budget:
    """Number of fields of a file that may still be read, shared by all its messages."""

    def __init__(self, fields: int = MAX_FIELDS) -> None:
        self._left = fields

    def spend(self, fields: int, where: str) -> None:
        """Count fields as read, and refuse them beyond the limit."""
        self._left -= fields
        if self._left < 0:
            raise BundleError(f"{where}: more than {MAX_FIELDS:,} fields in the file, too many")


class Message:
    """Fields of one message by number, decoded on demand.

    A field that may occur once is refused if it occurs twice, because readers disagree on which one
    counts.

    Args:
        data: the message's bytes, without its length.
        where: how error messages name it.
        budget: the fields that may still be read.
        depth: number of messages around it.

    Raises:
        BundleError: by the constructor and every method: the bytes are not such a message.
    """

    def __init__(self, data: memoryview, *, where: str, budget: Budget, depth: int = 0) -> None:
        self.where = where
        self._budget = budget
        self._depth = depth
        if depth > MAX_MESSAGE_DEPTH:
            raise BundleError(f"{where}: more than {MAX_MESSAGE_DEPTH} messages deep")
        self._fields: dict[int, list[int | memoryview]] = {}
        self._wires: dict[int, set[int]] = {}
        position = 0
        while position < len(data):
            budget.spend(1, where)
            tag, position = _varint(data, position, where)
            number, wire = tag >> 3, tag & 7
            if not 1 <= number < 2**29:
                raise BundleError(f"{where}: malformed: field number {number}")
            value: int | memoryview
            if wire == _VARINT:
                value, position = _varint(data, position, where)
            else:
                if wire == _BYTES:
                    size, position = _varint(data, position, where)
                elif wire in _WIDTHS:
                    size = _WIDTHS[wire]
                else:
                    raise BundleError(f"{where}: malformed: field {number} has wire type {wire}")
                if size > len(data) - position:
                    raise BundleError(
                        f"{where}: cut off: field {number} has {size} bytes,"
                        f" {len(data) - position} are left"
                    )
                value = data[position : position + size]
                position += size
            self._fields.setdefault(number, []).append(value)
            self._wires.setdefault(number, set()).add(wire)

    def has(self, *numbers: int) -> bool:
        """Return whether any of these fields occurs, even if it is empty."""
        return any(number in self._fields for number in numbers)

    def integer(self, number: int) -> int | None:
        """Return a signed 64-bit integer, or None if the field does not occur."""
        value = self._single(number, _VARINT)
        return _signed(value) if isinstance(value, int) else None

    def payload(self, number: int) -> memoryview | None:
        """Return the bytes of a field, or None if it does not occur."""
        value = self._single(number, _BYTES)
        return value if isinstance(value, memoryview) else None

    def text(self, number: int) -> str:
        """Return a string, empty if the field does not occur."""
        value = self.payload(number)
        return "" if value is None else self._decode(value, number)

    def texts(self, number: int) -> tuple[str, ...]:
        """Return all strings of a repeated field."""
        return tuple(self._decode(value, number) for value in self._payloads(number))

    def message(self, number: int, name: str) -> Message | None:
        """Return the message in a field, called `name` in error messages, or None."""
        value = self.payload(number)
        return None if value is None else self._child(value, name)

    def messages(self, number: int, name: str) -> Iterator[Message]:
        """Yield all messages of a repeated field, called `name` and their index in errors."""
        for index, value in enumerate(self._payloads(number)):
            yield self._child(value, f"{name} {index}")

    def integers(self, number: int) -> tuple[int, ...]:
        """Return all signed 64-bit integers of a repeated field, packed or not."""
        found: list[int] = []
        for value in self._repeated(number, _VARINT):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            self._budget.spend(_varint_count(value, self.where), self.where)
            position = 0
            while position < len(value):
                item, position = _varint(value, position, self.where)
                found.append(_signed(item))
        return tuple(found)

    def varint_count(self, number: int) -> int:
        """Return the number of integers in a repeated field, packed or not."""
        return sum(
            1 if isinstance(value, int) else _varint_count(value, self.where)
            for value in self._repeated(number, _VARINT)
        )

    def fixed_count(self, number: int, width: int) -> int:
        """Return the number of values of `width` bytes (4 or 8) in a repeated field."""
        wire = _FIXED32 if width == 4 else _FIXED64
        sizes = [
            len(value) for value in self._repeated(number, wire) if isinstance(value, memoryview)
        ]
        if any(size % width for size in sizes):
            raise BundleError(f"{self.where}: cut off: field {number} ends inside a number")
        return sum(sizes) // width

    def _single(self, number: int, wire: int) -> int | memoryview | None:
        values = self._repeated(number, wire, packed=False)
        if len(values) > 1:
            raise BundleError(f"{self.where}: malformed: field {number} occurs twice")
        return values[0] if values else None

    def _payloads(self, number: int) -> list[memoryview]:
        values = self._repeated(number, _BYTES)
        return [value for value in values if isinstance(value, memoryview)]

    def _repeated(self, number: int, wire: int, *, packed: bool = True) -> list[int | memoryview]:
        """Return a field's values, which must have this wire type or, if allowed, be packed."""
        accepted = {wire, _BYTES} if packed else {wire}
        if not accepted.issuperset(self._wires.get(number, ())):
            raise BundleError(f"{self.where}: malformed: field {number} has another wire type")
        return self._fields.get(number, [])

    def _child(self, data: memoryview, name: str) -> Message:
        return Message(
            data, where=f"{self.where}: {name}", budget=self._budget, depth=self._depth + 1
        )

    def _decode(self, value: memoryview, number: int) -> str:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise BundleError(f"{self.where}: malformed: field {number} is not UTF-8") from None


def _varint(data: memoryview, position: int, where: str) -> tuple[int, int]:
    """Return the unsigned number that starts at `position`, and the position after it."""
    if position < len(data) and data[position] < 0x80:
        return data[position], position + 1
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, position + index + 1
    raise BundleError(f"{where}: malformed or cut off: no whole number at byte {position}")


def _varint_count(packed: memoryview, where: str) -> int:
    """Return the number of varints, without a loop over them."""
    content = packed.tobytes()
    if content and (content[-1] >= 0x80 or _OVERLONG.search(content)):
        raise BundleError(f"{where}: malformed: numbers that do not end")
    return len(content.translate(None, _CONTINUED))


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
