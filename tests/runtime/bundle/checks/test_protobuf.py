"""The wire format: what is decoded, and that no bytes whatever do more than raise BundleError."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgate.bundle.checks.protobuf import MAX_FIELDS, MAX_MESSAGE_DEPTH, Budget, Message
from textgate.errors import BundleError


def varint(value: int) -> bytes:
    value %= 2**64
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """Return a field: a varint for a number, length and content for anything else."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def message(data: bytes) -> Message:
    return Message(memoryview(data), where="file", budget=Budget())


def test_single_fields() -> None:
    read = message(field(1, 5) + field(2, -5) + field(3, "größe") + field(4, field(1, 7)))
    assert (read.integer(1), read.integer(2), read.integer(9)) == (5, -5, None)
    assert (read.text(3), read.text(9)) == ("größe", "")
    assert bytes(read.payload(3) or b"") == "größe".encode()
    assert read.payload(9) is None
    child = read.message(4, "child")
    assert child is not None
    assert child.integer(1) == 7
    assert child.where == "file: child"
    assert read.message(9, "child") is None
    assert read.has(9, 1)
    assert not read.has(9, 8)


def test_repeated_fields() -> None:
    read = message(field(1, "a") + field(2, field(1, 1)) + field(1, "") + field(2, field(1, 2)))
    assert read.texts(1) == ("a", "")
    children = list(read.messages(2, "child"))
    assert [child.integer(1) for child in children] == [1, 2]
    assert [child.where for child in children] == ["file: child 0", "file: child 1"]


def test_a_payload_is_a_view_and_no_copy() -> None:
    data = field(1, bytes(1000))
    payload = message(data).payload(1)
    assert payload is not None
    assert payload.obj is data


NUMBERS = [0, 1, -1, 127, 128, 300, 2**31, -(2**31), 2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    "data",
    [
        b"".join(field(1, number) for number in NUMBERS),
        field(1, b"".join(varint(number) for number in NUMBERS)),
        field(1, b"".join(varint(number) for number in NUMBERS[:4]))
        + b"".join(field(1, number) for number in NUMBERS[4:]),
        field(1, b"")
        + field(1, NUMBERS[0])
        + field(1, b"".join(varint(number) for number in NUMBERS[1:])),
    ],
    ids=["one by one", "packed", "both", "both with nothing"],
)
def test_numbers_one_by_one_and_packed(data: bytes) -> None:
    assert message(data).integers(1) == tuple(NUMBERS)
    assert message(data).varint_count(1) == len(NUMBERS)


@pytest.mark.parametrize(("width", "wire", "code"), [(4, 5, "f"), (8, 1, "d")])
def test_numbers_of_fixed_width(width: int, wire: int, code: str) -> None:
    single = bytes([1 << 3 | wire]) + struct.pack(f"<{code}", 0.5)
    packed = field(1, struct.pack(f"<3{code}", 1, 2, 3))
    assert message(single * 2 + packed).fixed_count(1, width) == 5
    assert message(b"").fixed_count(1, width) == 0


def test_unknown_fields_are_passed_over() -> None:
    extras = field(1000, 1) + field(2**29 - 1, "x") + b"\x79" + bytes(8) + b"\x7d" + bytes(4)
    assert message(extras + field(1, 5) + extras).integer(1) == 5


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x08", "no whole number at byte 1"),
        (b"\x80", "no whole number at byte 0"),
        (b"\x08" + b"\x80" * 9, "no whole number at byte 1"),
        (b"\x08" + b"\x80" * 10 + b"\x00", "no whole number at byte 1"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "no whole number at byte 1"),
        (b"\x00\x00", "field number 0"),
        (varint(2**29 << 3) + b"\x00", "field number 536870912"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e\x00", "wire type 6"),
        (b"\x0f\x00", "wire type 7"),
        (b"\x0a\x05abcd", "cut off: field 1 has 5 bytes, 4 are left"),
        (b"\x0a" + varint(2**63) + b"abcd", "cut off: field 1 has 9223372036854775808 bytes"),
        (b"\x0d\x00\x00\x00", "cut off: field 1 has 4 bytes, 3 are left"),
        (b"\x09" + bytes(7), "cut off: field 1 has 8 bytes, 7 are left"),
    ],
)
def test_malformed_bytes_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint) as caught:
        message(data)
    assert str(caught.value).startswith("file: ")


def test_a_field_of_another_kind_is_refused() -> None:
    read = message(field(1, 5) + field(2, b"\xff") + b"\x1d" + bytes(4) + field(4, 1) + field(4, 2))
    asked: list[Callable[[], object]] = [
        lambda: read.text(1),
        lambda: read.texts(1),
        lambda: read.payload(3),
        lambda: read.message(1, "child"),
        lambda: list(read.messages(1, "child")),
        lambda: read.fixed_count(1, 4),
        lambda: read.fixed_count(3, 8),
        lambda: read.integer(2),
        lambda: read.integers(3),
        lambda: read.varint_count(3),
    ]
    for ask in asked:
        with pytest.raises(BundleError, match="has another wire type"):
            ask()
    with pytest.raises(BundleError, match="field 2 is not UTF-8"):
        read.text(2)
    with pytest.raises(BundleError, match="field 4 occurs twice"):
        read.integer(4)
    with pytest.raises(BundleError, match="field 2 ends inside a number"):
        read.fixed_count(2, 4)


@pytest.mark.parametrize("packed", [b"\x80", b"\x01\xff", b"\x80" * 10 + b"\x01"])
def test_packed_numbers_that_do_not_end_are_refused(packed: bytes) -> None:
    read = message(field(1, packed))
    with pytest.raises(BundleError, match="numbers that do not end"):
        read.integers(1)
    with pytest.raises(BundleError, match="numbers that do not end"):
        read.varint_count(1)


def test_depth_is_bounded() -> None:
    data = b""
    for _ in range(MAX_MESSAGE_DEPTH + 1):
        data = field(1, data)
    read = message(data)
    for _ in range(MAX_MESSAGE_DEPTH):
        child = read.message(1, "m")
        assert child is not None
        read = child
    with pytest.raises(BundleError, match="more than 8 messages deep"):
        read.message(1, "m")


@pytest.mark.parametrize(
    "data",
    [b"\x08\x01" * (MAX_FIELDS + 1), b"\x0a\x00" * (MAX_FIELDS + 1)],
    ids=["numbers", "empty messages"],
)
def test_fields_are_bounded(data: bytes) -> None:
    with pytest.raises(BundleError, match="more than 262,144 fields"):
        message(data)


def test_all_messages_and_packed_numbers_share_the_bound() -> None:
    budget = Budget(10)
    read = Message(
        memoryview(field(1, field(1, 1) * 4) + field(2, b"\x01" * 5)), where="file", budget=budget
    )
    child = read.message(1, "child")
    assert child is not None
    assert child.integers(1) == (1,) * 4
    with pytest.raises(BundleError, match="fields in the file, too many"):
        read.integers(2)


def test_counting_packed_numbers_does_not_loop_over_them() -> None:
    data = field(1, bytes(16 * 2**20))
    started = time.process_time()
    assert message(data).varint_count(1) == 16 * 2**20
    assert time.process_time() - started < 1  # a loop would take several seconds


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read = message(data)
    except BundleError:
        return
    for number in range(1, 6):
        for ask in (read.integer, read.text, read.texts, read.integers, read.varint_count):
            try:
                ask(number)
            except BundleError as problem:
                assert "\n" not in str(problem)  # noqa: PT017
