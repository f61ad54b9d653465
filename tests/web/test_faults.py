"""The browser package refuses what Python refuses, and nothing else, with one clear line."""

from __future__ import annotations

import importlib
import json
import random
import shutil
from pathlib import Path

import pytest

from textgate.bundle.manifest import Manifest
from textgate.bundle.storage import file_entries, read_bundle
from textgate.bundle.strict_json import sha256
from textgate.errors import BundleError
from textgate.native.model import UnknownPartError, model_bytes
from textgate.native.session import NativeSession

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
LSTM = DATA / "lstm-int8"


@pytest.fixture
def copy_of(tmp_path):
    """Copy a bundle with other contents of some of its files."""
    copies = []

    def make(bundle, **files):
        folder = tmp_path / f"bundle-{len(copies)}"
        copies.append(shutil.copytree(bundle, folder))
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_bytes(content)
        return folder

    return make


def signed(document):
    """The bytes of a manifest with a checksum that fits."""
    fields = {name: value for name, value in document.items() if name != "checksum"}
    return json.dumps({**fields, "checksum": sha256(fields)}, ensure_ascii=False).encode("utf-8")


def with_graph(copy_of, bundle, graph):
    """A bundle with another graph, whose checksums fit."""
    document = json.loads((bundle / "textgate.json").read_bytes())
    entry = file_entries({"model.onnx": graph, "tokenizer.json": b"", "README.md": b""})[
        "model.onnx"
    ]
    document["files"]["model.onnx"] = {"sha256": entry.sha256, "size": entry.size}
    return copy_of(bundle, model_onnx=graph, textgate_json=signed(document))


def python_takes(folder):
    """Whether Python's native engine opens a bundle."""
    try:
        bundle = read_bundle(folder)
        NativeSession(model_bytes(bundle.parts, bundle.manifest))
    except (BundleError, UnknownPartError):
        return False
    return True


def is_refused(answer):
    if "error" not in answer:
        return False
    assert answer["error"] in {"BundleError", "DownloadError"}, answer
    assert "\n" not in answer["message"]
    return True


def test_damaged_files_are_refused(node, copy_of):
    rng = random.Random(0)
    folders = []
    for name in ("textgate_json", "model_onnx", "tokenizer_json"):
        whole = (LSTM / name.replace("_", ".")).read_bytes()
        for _ in range(8):
            place = rng.randrange(len(whole) - 1)
            flipped = (
                whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :]
            )
            folders += [copy_of(LSTM, **{name: flipped}), copy_of(LSTM, **{name: whole[:place]})]
    answers = node("loads", bundles=[LSTM, *folders])
    assert answers[0] == {"labels": ["negative", "positive"]}
    assert all(map(is_refused, answers[1:]))


@pytest.mark.parametrize("bundle", ["gru-float32", "lstm-int8", "rnn-multi-label"])
def test_graphs_of_strangers_are_refused_as_in_python(node, copy_of, monkeypatch, bundle):
    """Well-formed graphs with random changes, in bundles whose checksums fit."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "fuzz"))
    mutated = importlib.import_module("mutations").mutated
    rng = random.Random(0)
    graph = (DATA / bundle / "model.onnx").read_bytes()
    folders = [with_graph(copy_of, DATA / bundle, graph)]
    folders += [with_graph(copy_of, DATA / bundle, mutated(graph, rng)) for _ in range(60)]
    taken = [python_takes(folder) for folder in folders]
    assert taken[0]
    assert taken.count(True) < len(taken) / 2
    answers = node("loads", bundles=folders)
    assert [not is_refused(answer) for answer in answers] == taken


ODD = [
    *(
        None,
        True,
        -1,
        0,
        1,
        2,
        1.0,
        0.5,
        1e-5,
        1e16,
        1e22,
        123456789.125,
        2**53,
        2**53 + 1,
        2**70,
        -0.0,
    ),
    *(
        "",
        "lstm",
        '\u00e9\U0001f600\u2028\x7f\\"',
        [],
        {},
        [1],
        ["a", "a"],
        {"__proto__": 1, "1": 2},
    ),
]


def places(value, path=()):
    """Every place in a document."""
    if path:
        yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inside in items:
        yield from places(inside, (*path, key))


def test_manifests_with_other_values_are_refused_as_in_python(node, tmp_path):
    rng = random.Random(0)
    files, refused = [], []
    for bundle in sorted(DATA.glob("*-*")):
        text = (bundle / "textgate.json").read_text("utf-8")
        everywhere = list(places(json.loads(text)))
        for number in range(150):
            document = json.loads(text)
            *front, last = rng.choice(everywhere) if number else ("files",)
            inside = document
            for key in front:
                inside = inside[key]
            if number:
                choice = rng.randrange(6)
                if choice == 0:
                    del inside[last]
                elif choice == 1 and isinstance(inside, dict):
                    inside[rng.choice(["more", "linear_size", "__proto__"])] = rng.choice(ODD)
                else:
                    inside[last] = rng.choice(ODD)
            content = signed(document)
            files.append(tmp_path / f"{bundle.name}-{number}.json")
            files[-1].write_bytes(content)
            try:
                Manifest.parse(content, where="textgate.json")
                refused.append(False)
            except BundleError:
                refused.append(True)
    answers = node("manifests", files=files)
    wrong = [
        (answer, file.read_text("utf-8"))
        for file, answer, expected in zip(files, answers, refused, strict=True)
        if is_refused(answer) != expected
    ]
    assert not wrong, wrong[0]
    assert 20 < refused.count(True) < len(refused) - 20


NO_MANIFESTS = [
    *(b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff{}", b"\xef\xbb\xbf{}", b'{"a":NaN}'),
    *(b'{"a":"\\ud800"}', b'{"a":01}', b'{"a":1.}', b'{"a":+1}', b'{"a":"\t"}', b"[" * 10_000),
    *(b'{"format":"textgate-run"}', b'{"format":"textgate-bundle","format_version":2}'),
]


@pytest.mark.parametrize("text", NO_MANIFESTS)
def test_what_is_no_manifest_is_refused(node, copy_of, text):
    (answer,) = node("loads", bundles=[copy_of(LSTM, textgate_json=text)])
    assert is_refused(answer)
    if b"_version" in text:
        assert (
            "format version 2, but this release reads version 1; upgrade textgate"
            in answer["message"]
        )


def test_tokenizers_that_textgate_does_not_train_are_refused(node, copy_of):
    whole = (LSTM / "tokenizer.json").read_bytes()
    folders = []
    for old, new in [
        (b'"NFC"', b'"NFD"'), (b'"Removed"', b'"Isolated"'), (b'"WordLevel"', b'"WordPiece"'),
        (b'"[UNK]":1', b'"[UNK]":300'), (b'"[UNK]":1', b'"[UNK]":1.0'), (b'"the":3', b'"a":3'),
        (b'"decoder":null', b'"decoder":{}'), (b'"added_tokens":[]', b'"added_tokens":[{}]'),
        (b"['\\\\u2019]?", b""), (b'"version"', b'"versions"'),
    ]:  # fmt: skip
        assert old in whole
        content = whole.replace(old, new)
        document = json.loads((LSTM / "textgate.json").read_bytes())
        entry = file_entries({"model.onnx": b"", "tokenizer.json": content, "README.md": b""})[
            "tokenizer.json"
        ]
        document["files"]["tokenizer.json"] = {"sha256": entry.sha256, "size": entry.size}
        folders.append(copy_of(LSTM, tokenizer_json=content, textgate_json=signed(document)))
    answers = node("loads", bundles=folders)
    assert all(map(is_refused, answers)), answers
    assert all("tokenizer.json: " in answer["message"] for answer in answers)


def test_a_path_may_have_characters_that_mean_something_in_a_url(node, tmp_path):
    folder = shutil.copytree(LSTM, tmp_path / "50%20 #1? \u00e4\u4e2d")
    assert node("loads", bundles=[folder]) == [{"labels": ["negative", "positive"]}]


def test_a_browser_without_simd_is_told_so(node):
    told = node("without", bundle=LSTM)
    assert told["error"] == "UnsupportedError"
    assert told["message"].startswith("textgate needs WebAssembly with SIMD")


@pytest.mark.parametrize("worker", [False, True])
def test_misuses_are_told(node, worker):
    config, data = "ConfigError", "DataError"
    unknown = "unknown option {}; there is {}"
    load = "engine, onnxruntime, maxTokens, thresholds"
    found = node("misuses", bundle=LSTM, worker=worker)
    assert [(one["error"], one["message"]) for one in found] == [
        (config, unknown.format('"maxtokens"', load)),
        (config, "options should be an object, found null"),
        (config, unknown.format('"topk"', "topK")),
        (config, "options should be an object, found null"),
        (config, "options should be an object, found 2"),
        (data, 'predictions takes an array of texts, found "abc"'),
        (config, unknown.format('"top"', "topK")),
        (config, unknown.format('"top"', "topK")),
        (config, unknown.format('"last"', "final")),
        (config, unknown.format('"stop"', "stopAt, labels")),
    ]


def test_a_missing_folder_and_wrong_options(node, tmp_path):
    (missing,) = node("loads", bundles=[tmp_path / "none"])
    assert missing["error"] == "DownloadError"
    assert "textgate.json: cannot be read: ENOENT" in missing["message"]
    for options, message in [
        ({"maxTokens": 41}, "maxTokens must be a whole number from 1 to 40, not 41"),
        ({"thresholds": {"good": 0.5}}, '"good" is not a label; the labels are negative, positive'),
        ({"thresholds": 50}, "thresholds must be a number from 0 to 1, not 50"),
        ({"engine": "gpu"}, 'engine must be one of native, onnxruntime, not "gpu"'),
        (
            {"engine": "onnxruntime"},
            "engine 'onnxruntime' needs the option onnxruntime: await import('onnxruntime-web')",
        ),
    ]:
        (answer,) = node("loads", bundles=[LSTM], options=options)
        assert answer == {"error": "ConfigError", "message": message}
