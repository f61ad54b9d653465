"""The manifest: what it takes, what it refuses, and that no flipped character passes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textgate.bundle.architecture import Architecture
from textgate.bundle.manifest import (
    CARD,
    GRAPH,
    MANIFEST,
    TOKENIZER,
    FileEntry,
    Manifest,
    OperatorReport,
    Quality,
    StateTensor,
)
from textgate.errors import BundleError

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle" / MANIFEST

MINIMAL = Manifest(
    architecture=Architecture(3, 2, "lstm", (4,), True, ("max",), (), "multi-label", 1),
    labels=("only",),
    max_tokens=1,
    temperature=1e-3,
    thresholds=(None,),
    precision="int8",
    opset=18,
    ir_version=8,
    state=(),
    quality={},
    operators=(),
    latency_ms={},
    training={},
    versions={},
    files={name: FileEntry("0" * 64, 0) for name in (GRAPH, TOKENIZER, CARD)},
)
FULL = dataclasses.replace(
    MINIMAL,
    architecture=Architecture(
        2**20, 2, "gru", (4, 5), False, ("max", "last"), (7,), "softmax", 3, 0.1, 0.2, 0.3
    ),
    labels=("naïve", "表", '"\\\n\u2028'),
    max_tokens=1_000_000,
    temperature=1000.0,
    thresholds=(None, 0.0, 1.0),
    state=(StateTensor("a", "b", (1, -1, 4)), StateTensor("b", "a", (-1,))),
    quality={"exported": Quality(0.1 + 0.2, 1.0, 0.0, 1)},
    operators=(OperatorReport("gru_1", "GRU", "int8 per row", "float32", 2**40, 1),),
    latency_ms={"p50": 1 / 3, "tokens": 100.0},
    training={"preset": "fast", "rows": 2**60, "rate": 1e-300, "": ""},
    versions={"torch": "2.13.0+cpu", "格": "\U0001f600"},
)


def parse(text: str | bytes) -> Manifest:
    return Manifest.parse(text.encode() if isinstance(text, str) else text, where="b/textgate.json")


def signed(document: dict[str, Any]) -> str:
    """Return the document's JSON with the checksum it should have."""
    document.pop("checksum", None)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    document["checksum"] = hashlib.sha256(canonical.encode()).hexdigest()
    return json.dumps(document)


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("manifest", [MINIMAL, FULL])
def test_a_manifest_survives_writing_and_reading(manifest: Manifest) -> None:
    assert parse(manifest.to_json()) == manifest


def test_the_golden_manifest_reads_and_is_written_as_it_was() -> None:
    content = GOLDEN.read_bytes()
    manifest = parse(content)
    assert manifest.labels == ("bad", "größe")
    assert manifest.task == "single-label"
    assert manifest.thresholds == (None, 0.5)
    assert manifest.state == (StateTensor("state.gru_1.h", "next.gru_1.h", (1, -1, 2)),)
    assert manifest.quality["exported"] == Quality(0.75, 0.7, 0.1, 4)
    assert manifest.files[GRAPH].size == 1280
    assert manifest.to_json().encode() == content


def test_the_checksum_is_over_the_canonical_json_of_the_other_fields() -> None:
    golden = document()
    assert json.loads(signed(dict(golden)))["checksum"] == golden["checksum"]


def test_every_changed_character_is_noticed_or_changes_nothing() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    expected = parse(text)
    generator = random.Random(0)
    refused = 0
    for index, old in enumerate(text):
        new = generator.choice(sorted(set('0123456789abcdefE.-"{},: \n\\tuï') - {old}))
        try:
            assert parse(text[:index] + new + text[index + 1 :]) == expected
        except BundleError:
            refused += 1
    assert refused > 0.7 * len(text)  # most of it is not layout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"größe"', '"grösse"'),
        ('"temperature": 1.25', '"temperature": 1.75'),
        ("0.5", "0.4"),
        ('"seed": 7', '"seed": 8'),
        ('"textgate": "0.1.0"', '"textgate": "0.2.0"'),
    ],
)
def test_an_edited_manifest_is_refused(old: str, new: str) -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(BundleError, match=r"^b/textgate\.json: damaged or edited"):
        parse(text.replace(old, new))


def test_layout_is_free() -> None:
    assert (
        parse(json.dumps(document(), indent=7))
        == parse(json.dumps(document()))
        == parse(GOLDEN.read_bytes())
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff{}", "not valid JSON in UTF-8"),
        ("{}".encode("utf-16"), "not valid JSON in UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "field 'format' is missing"),
        (b'{"format": "textgate-run"}', "'format' should be textgate-bundle"),
        (b'{"format": "textgate-bundle"}', "'format_version' is missing"),
        (b'{"format": 1, "format": 1}', "field 'format' is given twice"),
        (b'{"a": {"b": 1, "b": 1}}', "field 'b' is given twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": [-Infinity]}', "-Infinity is not a JSON number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": "\\ud800"}', "half a surrogate pair"),
        (b'{"\\udc00": 1}', "half a surrogate pair"),
        (b'{"a":' * 16 + b"1" + b"}" * 16, "field 'format' is missing"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "objects and lists deep"),
        (b"[" * 500_000, "objects and lists deep"),
        (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", "objects and lists deep"),
        (b" " * 2**20 + b"{}", "larger than the 1,048,576 bytes"),
    ],
)
def test_text_that_is_no_manifest_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        parse(text)
    assert str(caught.value).startswith("b/textgate.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, "format version 2, but this release reads version 1; upgrade textgate"),
        (0, "format version 0, but this release reads version 1; export the run again"),
        (True, "'format_version' should be a whole number"),
        ("1", "'format_version' should be a whole number"),
    ],
)
def test_another_format_version_says_what_to_do(version: object, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parse(signed({**document(), "format_version": version}))


FILES = document()["files"]
STATE = document()["state"][0]
QUALITY = document()["quality"]["exported"]
OPERATOR = document()["operators"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"labels": ["bad"]}, "'labels' should be a list of 2 different, non-empty strings"),
        ({"labels": ["bad", "bad"]}, "'labels' should be"),
        ({"labels": ["bad", ""]}, "'labels' should be"),
        ({"labels": ["bad", 1]}, r"'labels\[1\]' should be"),
        ({"labels": "ab"}, "'labels' should be"),
        ({"task": "multi-label"}, "'task' should be single-label"),
        ({"max_tokens": 0}, "'max_tokens'"),
        ({"max_tokens": 1_000_001}, "'max_tokens'"),
        ({"max_tokens": 16.0}, "'max_tokens'"),
        ({"max_tokens": True}, "'max_tokens'"),
        ({"temperature": 0}, "'temperature'"),
        ({"temperature": -1}, "'temperature'"),
        ({"temperature": 1000.5}, "'temperature'"),
        ({"temperature": 10**400}, "'temperature'"),
        ({"temperature": "1"}, "'temperature'"),
        ({"thresholds": []}, "'thresholds' should be a list of 2 numbers"),
        ({"thresholds": [None, 1.1]}, r"'thresholds\[1\]'"),
        ({"thresholds": [None, -0.1]}, r"'thresholds\[1\]'"),
        ({"thresholds": [True, 0.5]}, r"'thresholds\[0\]'"),
        ({"thresholds": {"a": 1, "b": 2}}, "'thresholds'"),
        ({"precision": "int4"}, "'precision' should be one of int8, float32"),
        ({"opset": 0}, "'opset'"),
        ({"ir_version": None}, "'ir_version'"),
        ({"state": {}}, "'state' should be a list, found an object"),
        ({"state": [1]}, r"state\[0\]: expected an object"),
        ({"state": [{**STATE, "more": 1}]}, r"state\[0\]: unknown field 'more'"),
        ({"state": [STATE, STATE]}, "'state' should be a list of states with different"),
        ({"state": [{**STATE, "input": ""}]}, "'state' should be a list of states with different"),
        ({"state": [{**STATE, "shape": [1, 2]}]}, r"state\[0\]: field 'shape'"),
        ({"state": [{**STATE, "shape": [-1, -1]}]}, r"state\[0\]: field 'shape'"),
        ({"state": [{**STATE, "shape": [-1, 0]}]}, r"state\[0\]: field 'shape'"),
        ({"state": [{**STATE, "shape": [-1, -2]}]}, r"state\[0\]: field 'shape\[1\]'"),
        ({"quality": {"other": QUALITY}}, "quality: unknown field 'other'"),
        ({"quality": {"exported": {**QUALITY, "ece": 1.5}}}, "exported: field 'ece'"),
        ({"quality": {"exported": {**QUALITY, "rows": 0}}}, "exported: field 'rows'"),
        ({"quality": []}, "quality: expected an object"),
        ({"operators": [{**OPERATOR, "bytes_after": -1}]}, r"operators\[0\]: field 'bytes_after'"),
        ({"operators": [{**OPERATOR, "computed": "int4"}]}, r"operators\[0\]: field 'computed'"),
        ({"latency_ms": {"p50": -1}}, "latency_ms: field 'p50'"),
        ({"latency_ms": {"p50": None}}, "latency_ms: field 'p50'"),
        ({"training": {"rows": [1]}}, "training: field 'rows'"),
        ({"training": {"rows": None}}, "training: field 'rows'"),
        ({"versions": {"onnx": 1}}, "versions: field 'onnx'"),
        ({"files": {}}, f"files: field {GRAPH!r} is missing"),
        ({"files": {**FILES, "../x": FILES[CARD]}}, "files: unknown field '../x'"),
        ({"files": {**FILES, GRAPH: {"sha256": "0" * 64, "size": 2**28 + 1}}}, "'size'"),
        ({"files": {**FILES, TOKENIZER: {"sha256": "0" * 64, "size": 2**26 + 1}}}, "'size'"),
        ({"files": {**FILES, CARD: {"sha256": "0" * 64, "size": 2**22 + 1}}}, "'size'"),
        ({"files": {**FILES, CARD: {"sha256": "A" * 64, "size": 0}}}, "'sha256'"),
        ({"architecture": {}}, "architecture: field 'vocabulary_size' is missing"),
        ({"architecture": {**document()["architecture"], "label_count": 3}}, "'labels'"),
        (
            {"architecture": {**document()["architecture"], "cell": "x"}},
            "architecture: field 'cell'",
        ),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        parse(signed({**document(), **changes}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(document()) - {"checksum"}))
def test_every_field_is_needed(name: str) -> None:
    without = document()
    del without[name]
    with pytest.raises(BundleError, match=f"field {name!r} is missing"):
        parse(signed(without))


def test_a_number_too_large_for_a_float_is_refused() -> None:
    text = GOLDEN.read_text(encoding="utf-8").replace("0.001", "1e999")
    changed = json.loads(text)
    assert math.isinf(changed["training"]["learning_rate"])
    with pytest.raises(BundleError, match="learning_rate"):
        parse(signed(changed).replace("Infinity", "1e999"))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_none_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dataclasses.replace(MINIMAL, temperature=number).to_json()


NASTY: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        2**63,
        2**64,
        -(2**63),
        10**400,
        0.5,
        -0.0,
        1e308,
        5e-324,
    ),
    *("", "a", "int8", "lstm", "\u0000", "é" * 100, "-1", "0" * 64, [], {}, [[]], [None], [0, 0]),
    *([-1], [1.5], {"a": 1}, {"": None}, [{}], {"sha256": 1, "size": 1}, list(range(100))),
]


def locations(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a JSON value."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        found.append((value, key))
        if isinstance(item, dict | list):
            found += locations(item)
    return found


def replace(generator: random.Random, value: dict[str, Any]) -> None:
    container, key = generator.choice(locations(value))
    container[key] = generator.choice(NASTY)


def delete(generator: random.Random, value: dict[str, Any]) -> None:
    container, key = generator.choice(locations(value))
    del container[key]


def move(generator: random.Random, value: dict[str, Any]) -> None:
    container, key = generator.choice(locations(value))
    source, name = generator.choice(locations(value))
    container[key] = json.loads(json.dumps(source[name]))


@pytest.mark.parametrize("seed", range(3))
def test_a_signed_manifest_of_any_content_parses_or_is_refused(seed: int) -> None:
    generator = random.Random(seed)
    golden = json.dumps(document())
    changes: list[Callable[[random.Random, dict[str, Any]], None]] = [replace, delete, move]
    outcomes = {"parsed": 0, "refused": 0}
    for _ in range(300):
        value = json.loads(golden)
        for _ in range(generator.randint(1, 3)):
            generator.choice(changes)(generator, value)
        try:
            manifest = parse(signed(value))
        except BundleError as problem:
            assert "\n" not in str(problem)  # noqa: PT017
            outcomes["refused"] += 1
            continue
        assert parse(manifest.to_json()) == manifest
        outcomes["parsed"] += 1
    assert min(outcomes.values()) > 3
