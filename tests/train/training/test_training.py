"""Training learns, stops in time, and depends on nothing but data, settings and seed."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from textgate.bundle import run as run_folder
from textgate.bundle.architecture import CELLS
from textgate.bundle.run import read_run
from textgate.errors import ConfigError, DataError, TextgateError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Row, fingerprint, load_labelled
from textgate.train import fit
from textgate.train.data.encoding import encode_rows
from textgate.train.network.model import TextClassifier
from textgate.train.training import objective
from textgate.train.training.calibration import bounded_temperature, fit_temperature, log_loss
from textgate.train.training.checkpoint import load_model
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import evaluate_logits
from textgate.train.training.trainer import predict_logits, scale_linear_branch


def same_weights(left, right):
    assert left.keys() == right.keys()
    return all(torch.equal(left[name], right[name]) for name in left)


# Learning


def test_two_labels_are_learned(finished):
    assert finished.model.metrics["accuracy"] == 1.0
    assert finished.model.metrics["macro_f1"] == 1.0
    assert finished.manifest.labels == ("bad", "good")
    assert finished.manifest.architecture.output == "softmax"


@pytest.mark.parametrize("cell", CELLS)
def test_three_labels_are_learned(separable, quick, tmp_path, cell):
    labels = ("good", "bad", "odd")
    done = fit(
        separable(300, labels),
        tmp_path / "run",
        dev=separable(60, labels, seed=1),
        settings={**quick, "cell": cell, "bidirectional": True, "pooling": ("last", "max")},
    )
    assert done.model.metrics["accuracy"] == 1.0
    assert done.manifest.labels == ("bad", "good", "odd")


def test_several_labels_a_row_are_learned(separable, quick, tmp_path):
    labels = ("good", "bad", "odd")
    done = fit(
        separable(300, labels, multi_label=True),
        tmp_path / "run",
        dev=separable(60, labels, multi_label=True, seed=1),
        settings={**quick, "pooling": ("max",)},
    )
    assert done.manifest.architecture.task == "multi-label"
    assert done.model.metrics["accuracy"] == 1.0  # exactly the right labels in every row


def test_a_reference_network_learns(separable, tmp_path):
    done = fit(
        separable(200),
        tmp_path / "run",
        preset="seed-gru",
        settings={"hidden_sizes": (16, 8), "embedding_size": 8, "learning_rate": 0.01},
    )
    net = done.manifest.architecture
    assert (net.output, net.output_units, net.vocabulary_size) == ("sigmoid", 1, 1000)
    assert done.model.metrics["accuracy"] == 1.0


# The run folder


def test_the_folder_of_a_finished_run(finished, separable):
    assert sorted(path.name for path in finished.path.iterdir()) == sorted(
        [run_folder.RUN, run_folder.TOKENIZER, run_folder.DEV_ROWS, run_folder.MODEL]
    )
    assert read_run(finished.path) == finished.manifest
    kept = load_labelled(finished.path / run_folder.DEV_ROWS)
    assert [(row.text, row.labels) for row in kept] == [
        (row.text, row.labels) for row in separable(60, seed=1)
    ]
    train, dev = finished.manifest.train, finished.manifest.dev
    assert (train.file, train.rows, train.sha256) == ("rows", 240, fingerprint(separable(240)))
    assert (dev.rows, dev.sha256) == (60, fingerprint(kept))
    assert {"textgate", "torch", "tokenizers", "python"} == set(finished.manifest.versions)


def test_the_model_is_that_of_the_best_epoch_with_its_quality(finished):
    model = load_model(finished.path / run_folder.MODEL)
    assert same_weights(model.weights, finished.model.weights)
    assert dataclasses.replace(model, weights={}) == dataclasses.replace(finished.model, weights={})
    best = functools.reduce(
        lambda kept, epoch: epoch if epoch.improves_on(kept, "loss") else kept, model.history
    )
    assert model.best_epoch == best.number
    tokenizer = TextTokenizer(
        (finished.path / run_folder.TOKENIZER).read_text(encoding="utf-8"),
        max_tokens=finished.manifest.max_tokens,
    )
    rows = load_labelled(finished.path / run_folder.DEV_ROWS)
    dev = encode_rows(rows, tokenizer, finished.manifest.labels, task="single-label", file="dev")
    network = TextClassifier(finished.manifest.architecture)
    network.load_state_dict(model.weights)
    logits = predict_logits(network, dev)
    calibrated = logits / np.float32(fit_temperature(logits, dev.targets, multi_label=False))
    found = log_loss(calibrated, dev.targets, multi_label=False)
    assert found == pytest.approx(best.dev_loss, rel=1e-3, abs=1e-9)
    bounded = bounded_temperature(logits, dev.targets, multi_label=False)  # dev has few rows
    assert model.temperature == pytest.approx(bounded, rel=1e-3)
    quality = evaluate_logits(
        logits,
        dev.targets,
        finished.manifest.labels,
        multi_label=False,
        temperature=model.temperature,
    )
    assert quality.accuracy == model.metrics["accuracy"]
    assert quality.ece == pytest.approx(model.metrics["ece"], abs=1e-9)
    assert model.metrics["ece"] <= model.metrics["ece_uncalibrated"] + 1e-6


def test_the_factor_of_the_branch_is_in_the_weights(finished):
    """The scored weights are the kept ones, so the factor is needed no more."""
    weights = finished.model.weights
    assert weights["linear.projection.weight"].shape == (2, 2)
    scaled = scale_linear_branch(weights, 0.25)
    for name, tensor in weights.items():
        expected = tensor * 0.25 if name == "linear.projection.weight" else tensor
        assert torch.equal(scaled[name], expected), name
    without = {name: tensor for name, tensor in weights.items() if "linear" not in name}
    assert scale_linear_branch(without, 0.25) == without
    network = TextClassifier(finished.manifest.architecture).eval()
    ids, lengths = torch.tensor([[300, 301, 302, 303]]), torch.tensor([4])
    with torch.inference_mode():
        network.load_state_dict(weights)
        whole = network.linear_logits(ids, lengths)
        network.load_state_dict(scaled)
        torch.testing.assert_close(network.linear_logits(ids, lengths), 0.25 * whole)


def test_the_second_bias_of_rnn_and_lstm_is_never_trained(finished):
    cell = finished.manifest.architecture.cell
    second = finished.model.weights["layers.0.ahead.bias_hh_l0"]
    assert (second == 0).all() == (cell != "gru")
    assert (finished.model.weights["layers.0.ahead.bias_ih_l0"] != 0).any()


def test_labels_of_rows_from_python_are_normalized(separable, quick, tmp_path):
    rows = [
        dataclasses.replace(row, labels=(f" {row.labels[0]}\u200b",)) if row.line % 3 else row
        for row in separable(60)
    ]
    done = fit(rows, tmp_path / "run", settings={**quick, "epochs": 1})
    assert done.manifest.labels == ("bad", "good")
    kept = load_labelled(done.path / run_folder.DEV_ROWS)
    assert {row.labels for row in kept} == {("bad",), ("good",)}


def test_dev_rows_of_several_labels_and_odd_texts_are_kept_exactly(quick, tmp_path):
    dev = [
        Row("\ud800 \0 \u2028 \U0001f600 e\u0301", ("good", "bad"), 1),
        Row("", (), 2),
        Row(" line\nline\r\n ", ("bad",), 3),
    ]
    train = [Row("fine", ("good",), 1), Row("awful", ("bad",), 2), Row("hm", (), 3)]
    settings = {**quick, "epochs": 1}
    done = fit(train, tmp_path / "run", dev=dev, settings=settings)
    kept = load_labelled(done.path / run_folder.DEV_ROWS)
    assert [(row.text, row.labels) for row in kept] == [(row.text, row.labels) for row in dev]


def test_predictions_keep_the_order_of_the_rows(finished, separable):
    rows = separable(600, seed=3)  # several batches, of mixed lengths
    tokenizer = TextTokenizer(
        (finished.path / run_folder.TOKENIZER).read_text(encoding="utf-8"), max_tokens=20
    )
    data = encode_rows(rows, tokenizer, finished.manifest.labels, task="single-label", file="rows")
    network = TextClassifier(finished.manifest.architecture)
    network.load_state_dict(finished.model.weights)
    logits = predict_logits(network, data)
    assert (logits.argmax(axis=1) == data.targets.argmax(axis=1)).all()
    for index in (0, 17, 599):
        batch = data.batch([index])
        with torch.inference_mode():
            alone = network(batch.ids, batch.lengths).numpy()[0]
        np.testing.assert_allclose(logits[index], alone, atol=1e-5)


# The seed


def test_the_seed_alone_decides(separable, quick, tmp_path):
    settings = {**quick, "epochs": 2, "embedding_dropout": 0.2, "head_dropout": 0.2}

    def train(name, seed):
        torch.manual_seed(hash(name) % 1000)  # earlier random numbers do not matter
        np.random.default_rng().random(10)
        return fit(separable(100), tmp_path / name, settings={**settings, "seed": seed})

    one, two, other = train("one", 5), train("two", 5), train("other", 6)
    assert same_weights(one.model.weights, two.model.weights)
    assert one.model.temperature == two.model.temperature
    assert one.manifest.dev == two.manifest.dev
    assert not same_weights(one.model.weights, other.model.weights)
    assert one.manifest.dev != other.manifest.dev  # other rows were held out


def test_training_leaves_the_callers_random_numbers_alone(separable, quick, tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    fit(separable(40), tmp_path / "run", settings={**quick, "epochs": 1})
    assert torch.equal(torch.rand(3), expected)


# Stopping


def shuffled_labels(rows):
    """Rows whose label is independent of the text, so that dev shows no lasting progress."""
    return [Row(row.text, (("good", "bad")[row.line // 2 % 2],), row.line) for row in rows]


def test_it_stops_when_dev_shows_no_progress(separable, quick, tmp_path):
    settings = {**quick, "epochs": 50, "patience": 2}
    rows, dev = (shuffled_labels(separable(count, seed=count)) for count in (80, 40))
    done = fit(rows, tmp_path / "run", dev=dev, settings=settings)
    epochs = done.model.history
    assert len(epochs) < 50
    assert len(epochs) == done.model.best_epoch + 2
    assert [epoch.number for epoch in epochs] == list(range(1, len(epochs) + 1))
    # The weights are those of the best epoch, as if training had ended there.
    settings["epochs"] = done.model.best_epoch
    ended = fit(rows, tmp_path / "ended", dev=dev, settings=settings)
    assert same_weights(ended.model.weights, done.model.weights)


def test_it_stops_after_the_maximum_number_of_epochs(separable, quick, tmp_path):
    done = fit(separable(80), tmp_path / "run", settings={**quick, "epochs": 3, "patience": 99})
    assert len(done.model.history) == 3


@pytest.mark.parametrize("name", ["default", "seed-gru"])
def test_it_stops_when_nothing_is_left_to_learn(separable, quick, tmp_path, name):
    """Dev is perfect and the training rows are learned; a perfect dev alone is not enough."""
    settings = {**quick, "vocabulary_size": 1000, "epochs": 200, "patience": 200}
    rows, dev = separable(200), separable(8, seed=1)
    history = fit(rows, tmp_path / "run", dev=dev, preset=name, settings=settings).model.history
    assert len(history) < 200
    done = [epoch.perfect and epoch.train_loss < 0.01 for epoch in history]
    assert done == [False] * (len(history) - 1) + [True]
    assert history[0].perfect == (name == "default")  # by the linear branch, which is solved


class Recorder(Progress):
    def __init__(self):
        self.notes, self.epochs, self.steps, self.begun = [], [], [], []

    def note(self, message):
        self.notes.append(message)

    def begin_epoch(self, number, rows):
        self.begun.append((number, rows))
        self.steps.append(0)

    def step(self, rows):
        self.steps[-1] += rows

    def end_epoch(self, epoch, **others):
        self.epochs.append((epoch, others))


def test_progress_is_told_of_every_step_and_epoch(separable, quick, tmp_path):
    progress = Recorder()
    settings = {**quick, "epochs": 3, "patience": 9}
    done = fit(separable(100), tmp_path / "run", settings=settings, progress=progress)
    rows = done.manifest.train.rows
    assert progress.begun == [(1, rows), (2, rows), (3, rows)]
    assert progress.steps == [rows] * 3
    assert [epoch for epoch, _ in progress.epochs] == done.model.history
    assert [others["remaining"] for _, others in progress.epochs] == [2, 1, 0]
    assert {others["score"] for _, others in progress.epochs} == {"accuracy"}
    assert progress.epochs[done.model.best_epoch - 1][1]["best"]
    assert progress.epochs[0][1]["best"]  # the first is the best so far
    assert progress.notes[-2] == (
        f"{rows} training rows, {done.manifest.dev.rows} dev rows, 2 labels, "
        f"{done.manifest.architecture.vocabulary_size} tokens"
    )


def test_divergence_is_an_error(separable, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(objective, "loss", lambda logits, *_, **__: (logits * math.nan).sum())
    with pytest.raises(TextgateError, match=r"diverged in epoch 1: .*; choose a lower learn"):
        fit(separable(40), tmp_path / "run", settings=quick)


# Refusals


def some(*pairs):
    return [Row(text, labels, line) for line, (text, labels) in enumerate(pairs, start=1)]


GOOD, BAD = ("fine", ("good",)), ("awful", ("bad",))

REFUSED = [
    ([], None, {}, (DataError, "no rows were given")),
    (some(GOOD, GOOD), None, {}, (DataError, "every row has the label 'good'")),
    (
        some(GOOD, BAD),
        None,
        {},
        (DataError, "rows: 2 rows with labels cannot be divided into folds"),
    ),
    (
        some(GOOD, BAD),
        some(("x", ("ugly",))),
        {},
        (DataError, "rows, line 1: the label 'ugly' does not occur in the training rows"),
    ),
    (some(GOOD, BAD), some(("x", ("bad", "good"))), {}, (DataError, "rows, line 1: 2 labels in")),
    (some(GOOD, BAD), some(("x", ())), {}, (DataError, "rows, line 1: 0 labels in a row of a")),
    (some((" ", ("good",)), ("", ("bad",))), some(GOOD), {}, (DataError, "no word in the")),
    (some(GOOD, BAD), some(GOOD), {"epochs": 0}, (ConfigError, "epochs must be a whole")),
    (some(GOOD, BAD), some(GOOD), {"one_unit": 7}, (ConfigError, "one_unit must be true or")),
    (
        some(GOOD, BAD),
        some(GOOD),
        {"embedding_size": 10**7},
        (ConfigError, "a bundle holds at most 268,435,456: choose smaller sizes"),
    ),
    (some(GOOD, BAD), some(GOOD), {1: 7}, (ConfigError, "the name of a setting must be a string")),
    (some(GOOD, BAD), some(GOOD), "epochs=1", (ConfigError, "settings must be a dictionary")),
    (some(GOOD, BAD), some(GOOD), {"shape": 7}, (ConfigError, "'shape' is not a setting")),
    (
        some(GOOD, ("x", ("good", "bad"))),
        some(GOOD),
        {"task": "single-label"},
        (DataError, "rows, line 2: 2 labels in a row of a single-label task; use --task multi"),
    ),
]


@pytest.mark.parametrize(
    ("data", "dev", "settings", "refusal"), REFUSED, ids=[case[3][1] for case in REFUSED]
)
def test_refusals_leave_nothing(tmp_path, data, dev, settings, refusal):
    error, message = refusal
    with pytest.raises(error) as caught:
        fit(data, tmp_path / "run", dev=dev, settings=settings)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


DEVICES = ["gpu", "", "cuda:99", "cpu:x", "xla", "hpu", "privateuseone", "mtia", "meta", "vulkan"]


@pytest.mark.parametrize("device", DEVICES)
def test_missing_devices_are_refused(separable, tmp_path, device):
    with pytest.raises(ConfigError) as caught:
        fit(separable(20), tmp_path / "run", device=device)
    assert repr(device) in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_available_devices(separable, quick, tmp_path, device):
    done = fit(separable(40), tmp_path / "run", settings={**quick, "epochs": 1}, device=device)
    assert all(weight.device.type == "cpu" for weight in done.model.weights.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
def test_cuda_learns_the_same(separable, quick, tmp_path):
    done = fit(separable(200), tmp_path / "run", settings=quick, device="cuda")
    assert done.model.metrics["accuracy"] == 1.0
    assert all(weight.device.type == "cpu" for weight in done.model.weights.values())


def test_a_file_name_that_is_not_utf_8(separable, quick, tmp_path, write_jsonl):
    path = tmp_path / "rows\udcff.jsonl"
    try:
        write_jsonl(path, [{"text": row.text, "label": row.labels[0]} for row in separable(40)])
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    done = fit(path, tmp_path / "run", settings={**quick, "epochs": 1})
    assert read_run(done.path).train.file == "rows?.jsonl"


def test_paths_may_be_strings(separable, quick, tmp_path, write_jsonl):
    write_jsonl(
        tmp_path / "a.jsonl", [{"text": r.text, "label": r.labels[0]} for r in separable(40)]
    )
    done = fit(str(tmp_path / "a.jsonl"), str(tmp_path / "run"), settings={**quick, "epochs": 1})
    assert done.path == Path(tmp_path / "run")
    assert done.manifest.train.file == done.manifest.dev.file == "a.jsonl"
