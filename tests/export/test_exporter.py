"""Export of a run: the published bundle, and no bundle when a check fails."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import shutil

import numpy as np
import pytest
import torch

import textgate.bundle.storage
import textgate.export.graph.anchors
import textgate.export.graph.cells
import textgate.export.graph.network
import textgate.export.quantize.weights
from textgate import Classifier
from textgate.bundle import run as run_folder
from textgate.bundle.storage import read_bundle
from textgate.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ExportError,
    TextgateError,
    VerificationError,
)
from textgate.export import Answers, export
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Row
from textgate.rows.labels import clean_label
from textgate.train import fit
from textgate.train.network.model import TextClassifier
from textgate.train.training.checkpoint import load_model, save_model


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run that a test may change."""
    return shutil.copytree(finished.path, tmp_path / "run")


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """Exports a finished run, once for each precision."""
    kept = {}

    def exported(precision="int8"):
        if precision not in kept:
            folder = tmp_path_factory.mktemp("exported")
            kept[precision] = export(finished.path, folder / "bundle", precision=precision)
        return kept[precision]

    return exported


@pytest.fixture(scope="module")
def lstm(separable, quick, tmp_path_factory):
    """A run without a linear branch, whose decisions depend only on its cells."""
    return fit(
        separable(240),
        tmp_path_factory.mktemp("lstm") / "run",
        dev=separable(60, seed=1),
        settings={
            **quick,
            "cell": "lstm",
            "bidirectional": True,
            "tokenizer": "words",
            "linear_size": 0,
        },
    ).path


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def respoil(run, change):
    """Rewrite the run's model with other weights."""
    model = load_model(run / run_folder.MODEL)
    change(model.weights)
    save_model(run / run_folder.MODEL, model)


# What is published


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_bundle_classifies_as_the_network_does(finished, exported, separable, precision):
    done = exported(precision)
    classifier = Classifier.load(done.path)
    rows = separable(120, seed=5)
    texts = [row.text for row in rows] + ["", "unheard of", "fine " * 50]
    network = TextClassifier(finished.manifest.architecture).eval()
    network.load_state_dict(finished.model.weights)
    tokenizer = TextTokenizer(
        (finished.path / run_folder.TOKENIZER).read_text(encoding="utf-8"), max_tokens=20
    )
    expected = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        with torch.inference_mode():
            logits = network(torch.tensor([ids]), torch.tensor([len(ids)]))
            expected.append(network.probabilities(logits, finished.model.temperature)[0].numpy())
    found = classifier.predict_proba(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5 if precision == "float32" else 0.1)
    labels = [item.label for item in classifier.predict_many(row.text for row in rows)]
    assert labels == [row.labels[0] for row in rows]


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_manifest(finished, exported, precision):
    done = exported(precision)
    manifest = read_bundle(done.path).manifest
    assert manifest == done.manifest
    run = finished.manifest
    assert manifest.architecture == run.architecture
    assert manifest.labels == run.labels == ("bad", "good")
    assert manifest.max_tokens == 20
    assert manifest.temperature == finished.model.temperature
    assert manifest.thresholds == (None, None)
    assert (manifest.precision, manifest.opset, manifest.ir_version) == (precision, 18, 8)
    assert manifest.state
    assert manifest.training["train_sha256"] == run.train.sha256
    assert manifest.training["dev_rows"] == 60
    assert manifest.training["best_epoch"] == finished.model.best_epoch
    assert {"textgate", "torch", "onnx", "onnxruntime", "tokenizers", "python"} <= set(
        manifest.versions
    )
    assert set(files(done.path)) == {
        "textgate.json",
        "model.onnx",
        "tokenizer.json",
        "config.json",
        "README.md",
    }
    config = json.loads((done.path / "config.json").read_text(encoding="utf-8"))
    assert config == {
        "model_type": "textgate",
        "problem_type": "single_label_classification",
        "id2label": {"0": "bad", "1": "good"},
        "label2id": {"bad": 0, "good": 1},
    }
    assert manifest.quality["float32"].accuracy == 1.0
    assert manifest.quality["exported"].accuracy == 1.0
    assert manifest.quality["exported"].rows == done.comparison.rows == 60
    assert done.torch_difference <= 1e-5
    assert done.batch_difference <= 1e-5
    assert list(done.path.parent.iterdir()) == [done.path]


def test_the_report_of_operators(finished, exported):
    done = exported()
    cell = finished.manifest.architecture.cell
    lines = {report.name: report for report in done.manifest.operators}
    assert list(lines) == ["embedding", f"{cell}_1", "output", "linear"]
    layer = lines[f"{cell}_1"]
    if cell == "lstm":
        assert layer.computed == "int8"
        assert layer.stored.startswith("7-bit in int8")
    else:
        assert layer.computed == "float32"
        assert layer.stored.startswith("int8")
    assert lines["embedding"].stored.startswith("int8")
    assert lines["output"].stored == "float32"
    assert (lines["linear"].kind, lines["linear"].computed) == ("Linear branch", "float32")
    assert lines["linear"].stored.startswith("int8")
    assert all(report.bytes_after <= report.bytes_before + 64 for report in lines.values())
    for name in ("embedding", "linear"):
        assert lines[name].bytes_after < lines[name].bytes_before / 2
    card = (done.path / "README.md").read_text(encoding="utf-8")
    silent = f"{cell}_1: stored int8, computed in float32 by ONNX Runtime"
    assert (silent in card) == (cell != "lstm")
    for report in done.manifest.operators:
        assert f"| {report.name} | " in card


def test_the_card(finished, exported):
    done = exported()
    card = (done.path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: textgate\n")
    assert "\n---\n\n# bundle\n" in card
    assert "`bad`, `good`" in card
    assert f"| float32 | {done.comparison.before.accuracy:.4f} |" in card
    assert f"| exported (int8) | {done.comparison.after.accuracy:.4f} |" in card
    assert f"- train sha256: {finished.manifest.train.sha256}" in card
    assert str(done.path.parent) not in card


ODD = {
    "pipes | and \\| such": "`pipes | and \\| such`",
    "`code`": "`` `code` ``",
    "<img src=x> [a](b) **c**": "`<img src=x> [a](b) **c**`",
    "two\nlines": "`two lines`",  # labels are cleaned when rows are read
    "\u7ef4\u4fee \u202eABC": "`\u7ef4\u4fee ABC`",
}


def test_odd_names_do_not_break_the_card(quick, tmp_path, write_jsonl, command):
    """Names of labels, files and the bundle are shown literally and on one line."""
    labels = list(ODD)
    rows = [  # every ninth text has the label of the next, so that no answer is certain
        {"text": f"word{(index + (line % 9 == 0)) % len(labels)} w{line}", "label": label}
        for line in range(60)
        for index, label in enumerate(labels)
    ]
    data = write_jsonl(tmp_path / "a|b*c_d.jsonl", rows)
    run = fit(data, tmp_path / "run", settings={**quick, "epochs": 8}).path
    bundle = tmp_path / "<b>un|dle"
    done = export(run, bundle, verify=data, answers=Answers("coverage", 0.9))
    card = (bundle / "README.md").read_text(encoding="utf-8")
    lines = card.splitlines()
    assert r"# \<b\>un\|dle" in lines
    assert r"- train file: a\|b\*c\_d.jsonl" in lines
    assert "Measured on the 300 rows of `a|b*c_d.jsonl`." in card
    quoted = {clean_label(label): text for label, text in ODD.items()}
    assert ", ".join(quoted[label] for label in done.manifest.labels) in lines
    start = lines.index(
        "| label | threshold | answers without it | answers with it | of these right |"
    )
    for line, label in zip(lines[start + 2 :], done.manifest.labels, strict=False):
        assert len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) == 7, line
        assert quoted[label].replace("|", "\\|") in line or "|" in label
    shown = command("inspect", bundle).out
    assert "two lines" in shown
    assert "two\nlines" not in shown


def test_several_labels_per_row(separable, quick, tmp_path):
    labels = ("good", "bad", "odd")
    run = fit(
        separable(300, labels, multi_label=True),
        tmp_path / "run",
        settings={**quick, "cell": "gru", "pooling": ("max",)},
    )
    done = export(run.path, tmp_path / "bundle")
    classifier = Classifier.load(done.path)
    assert classifier.manifest.task == "multi-label"
    assert set(classifier.predict("w1 fine w2 weird").labels) == {"good", "odd"}
    assert classifier.predict("w1 w2").labels == ()


def test_one_label_that_applies_or_not(quick, tmp_path):
    rows = [
        Row(f"w{index % 7} {word}", labels, index + 1)
        for index in range(80)
        for word, labels in (("fine", ("good",)), ("awful", ()))
    ]
    run = fit(rows, tmp_path / "run", settings={**quick, "pooling": ("max",)})
    classifier = Classifier.load(export(run.path, tmp_path / "bundle").path)
    assert classifier.predict("fine").labels == ("good",)
    assert classifier.predict("awful").labels == ()


def test_the_same_run_gives_the_same_graph(lstm, tmp_path):
    for name in ("one", "two"):
        export(lstm, tmp_path / name)
    one, two = (read_bundle(tmp_path / name) for name in ("one", "two"))
    assert one.graph == two.graph
    assert one.tokenizer == two.tokenizer


# What is refused before anything is built


def test_settings_out_of_range(lstm, tmp_path):
    for options, message in (
        ({"precision": "int4"}, "precision must be one of int8, float32, not 'int4'"),
        ({"embedding_bits": 3}, "embedding_bits must be 4 or 8, not 3"),
        ({"max_accuracy_drop": 1.5}, "max_accuracy_drop must be from 0 to 1, not 1.5"),
        ({"max_accuracy_drop": float("nan")}, "max_accuracy_drop must be from 0 to 1, not nan"),
        ({"max_bytes": 0}, "the largest size must be at least 1 byte, not 0"),
        ({"precision": "float32", "max_bytes": 10**6}, "are for int8"),
        ({"precision": "float32", "fallback": True}, "are for int8"),
    ):
        with pytest.raises(ConfigError) as caught:
            export(lstm, tmp_path / "bundle", **options)
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fraction", "found"),
    [(95, "95, which looks like a percentage: write 0.95"), (0, "0"), ("0.9", "'0.9'")],
)
def test_fractions_out_of_range(fraction, found):
    with pytest.raises(ConfigError) as caught:
        Answers("precision", fraction)
    assert str(caught.value) == f"precision must be a number above 0 and up to 1, not {found}"


def break_weights(change):
    return lambda run: respoil(run, change)


def set_nan(weights):
    weights["embedding.weight"][3, 2] = float("nan")


def drop_one(weights):
    del weights["head.0.bias"]


def widen_one(weights):
    weights["head.0.bias"] = torch.zeros(7)


def add_one(weights):
    weights["head.7.bias"] = torch.zeros(7)


def shrink_embedding(run):
    """An embedding with fewer rows than the tokenizer has words."""
    respoil(run, lambda weights: weights.update({"embedding.weight": torch.zeros(5, 8)}))
    value = json.loads((run / run_folder.RUN).read_text(encoding="utf-8"))
    value["architecture"]["vocabulary_size"] = 5
    (run / run_folder.RUN).write_text(json.dumps(value), encoding="utf-8")


def change_tokenizer(change):
    def spoil(run):
        path = run / run_folder.TOKENIZER
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value), encoding="utf-8")

    return spoil


def unfinished(run):
    (run / run_folder.MODEL).unlink()


def no_dev_rows(run):
    (run / run_folder.DEV_ROWS).unlink()


SPOILED = [
    (break_weights(set_nan), ExportError, "'embedding.weight' holds 1 NaN or infinite values"),
    (break_weights(drop_one), ExportError, "the run has no tensor 'head.0.bias'"),
    (break_weights(widen_one), ExportError, "'head.0.bias' has the shape [7], its architecture"),
    (break_weights(add_one), ExportError, "a tensor 'head.7.bias' that its architecture does not"),
    (shrink_embedding, ExportError, "the tokenizer has 24 ids, the embedding only 5 rows"),
    (
        change_tokenizer(lambda value: value["model"]["vocab"].update(fine=4000)),
        ExportError,
        "token id 4000",
    ),
    (
        change_tokenizer(lambda value: value.pop("model")),
        ExportError,
        "tokenizer.json is not a tokenizer",
    ),
    (
        unfinished,
        CheckpointError,
        "training has not finished; continue it with textgate train --resume",
    ),
    (no_dev_rows, DataError, "dev.jsonl.gz: cannot be read: No such file or directory"),
]


@pytest.mark.parametrize("case", SPOILED, ids=[case[2] for case in SPOILED])
def test_a_spoiled_run(lstm, tmp_path, case):
    spoil, error, message = case
    run = shutil.copytree(lstm, tmp_path / "run")
    spoil(run)
    for precision in ("int8", "float32"):
        with pytest.raises(error) as caught:
            export(run, tmp_path / "bundle", precision=precision)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_weights_too_large_to_compute_with(run, tmp_path):
    """Finite weights with infinite results are refused with a message."""
    respoil(run, lambda weights: weights["head.0.weight"].fill_(3e38))
    with pytest.raises(TextgateError):
        export(run, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# What verification stops


def nothing_left(round_weights):
    """Return a rounding function that returns zeros."""

    def rounded(*arguments, **options):
        quantized = round_weights(*arguments, **options)
        return dataclasses.replace(quantized, values=np.zeros_like(quantized.values))

    return rounded


def bad_quantization(patch):
    for name in ("quantize", "round_together"):
        works = getattr(textgate.export.graph.cells, name)
        patch.setattr(textgate.export.graph.cells, name, nothing_left(works))


def wrong_gates(patch):
    patch.setitem(textgate.export.quantize.weights.GATE_ORDER, "lstm", (0, 1, 2, 3))


def loose_anchors(patch):
    patch.setattr(textgate.export.graph.anchors, "_SATURATING_BIAS", 0.0)


DEFECTS = [
    (
        bad_quantization,
        r"^quantization loses \d\d\.\d\d% accuracy on 60 rows \(1\.0000 to 0\.\d{4}, \d\d rows",
    ),
    (wrong_gates, r"^the float32 graph differs from torch by \d\.\d\de[-+]0\d in a probability"),
    (loose_anchors, r"^a text's result changes by \d\.\d\de-0\d with its batch or its chunking"),
]


@pytest.fixture(scope="module")
def wide(lstm, tmp_path_factory):
    """The same run with random weights, so that no probability is close to 0 or 1."""
    run = shutil.copytree(lstm, tmp_path_factory.mktemp("wide") / "run")
    torch.manual_seed(0)
    respoil(run, lambda weights: [weights[name].normal_(0, 0.5) for name in weights])
    model = load_model(run / run_folder.MODEL)
    save_model(run / run_folder.MODEL, dataclasses.replace(model, temperature=1.0))
    return run


@pytest.mark.parametrize(("defect", "message"), DEFECTS, ids=["rounding", "gates", "anchors"])
def test_a_wrong_graph_is_not_published(request, tmp_path, monkeypatch, defect, message):
    run = request.getfixturevalue("wide" if defect is loose_anchors else "lstm")
    target = tmp_path / "bundle"
    export(run, target)
    before = files(target)
    with monkeypatch.context() as patch:
        defect(patch)
        for options in ({"force": True}, {"force": True, "embedding_bits": 4}):
            with pytest.raises(VerificationError, match=message):
                export(run, target, **options)
            assert files(target) == before
        with pytest.raises(VerificationError, match=message):
            export(run, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_losses_that_multi_label_accuracy_does_not_show(
    separable, quick, write_jsonl, tmp_path, monkeypatch
):
    """Rows with wrong labels cannot lose accuracy, but their decisions can change."""
    labels = ("good", "bad", "odd")
    rows = separable(300, labels, multi_label=True)
    settings = {**quick, "cell": "gru", "pooling": ("max",), "linear_size": 0}
    run = fit(rows, tmp_path / "run", settings=settings).path
    wrong = [
        {"text": row.text, "label": [label for label in labels if label not in row.labels]}
        for row in rows
    ]
    options = {"verify": write_jsonl(tmp_path / "wrong.jsonl", wrong)}
    assert export(run, tmp_path / "right", **options).comparison.before.accuracy == 0.0
    bad_quantization(monkeypatch)
    message = (
        r"^quantization changes \d+ of \d+ decisions for the label '(good|bad|odd)' on 300 rows"
    )
    with pytest.raises(VerificationError, match=message):
        export(run, tmp_path / "bundle", **options)
    assert not (tmp_path / "bundle").exists()
    done = export(run, tmp_path / "bundle", fallback=True, **options)
    assert done.comparison.agreement > 0.95
    assert any("raised gru_1 to float32" in note for note in done.notes)


def test_a_loss_that_is_allowed_is_published(lstm, tmp_path, monkeypatch):
    bad_quantization(monkeypatch)
    done = export(lstm, tmp_path / "bundle", max_accuracy_drop=1.0)
    assert done.comparison.after.accuracy < done.comparison.before.accuracy
    assert done.notes  # a label is never predicted any more


def test_float32_needs_no_quantization(lstm, tmp_path, monkeypatch):
    bad_quantization(monkeypatch)
    done = export(lstm, tmp_path / "bundle", precision="float32")
    assert (done.comparison.largest, done.comparison.agreement) == (0.0, 1.0)


# Where it goes


def test_an_existing_bundle_is_replaced_only_by_force(lstm, tmp_path):
    target = tmp_path / "bundle"
    export(lstm, target)
    before = files(target)
    with pytest.raises(ExportError, match="already exists; choose another path or pass --force"):
        export(lstm, target, precision="float32")
    assert files(target) == before
    export(lstm, target, precision="float32", force=True)
    assert read_bundle(target).manifest.precision == "float32"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_occupied_target_is_refused_before_the_work(tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(ExportError, match="already exists; choose another path or pass --force"):
        export(tmp_path / "no run", tmp_path / "bundle")


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_folder_is_left_alone(lstm, tmp_path, force):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ExportError):
        export(lstm, tmp_path / "bundle", force=force)
    assert files(tmp_path / "bundle") == {"letter.txt": b"dear"}


@pytest.mark.parametrize("fails_at", range(6))
def test_a_disk_that_fills_up_while_writing(lstm, tmp_path, monkeypatch, fails_at):
    """At each write: the previous bundle is complete, and no other file remains."""
    target = tmp_path / "bundle"
    export(lstm, target)
    before = files(target)
    genuine = textgate.atomic._flush
    calls = []

    def flush(path):
        calls.append(path)
        if len(calls) == fails_at + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(path)

    with monkeypatch.context() as patch:
        patch.setattr(textgate.atomic, "_flush", flush)
        if fails_at < 5:  # four files and their folder; the last flush is of what holds it
            with pytest.raises(ExportError, match="cannot be written: No space left on device"):
                export(lstm, target, precision="float32", force=True)
            assert files(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert read_bundle(target)
