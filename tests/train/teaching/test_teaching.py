"""Distillation: teachers, targets, and what a run says of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from textgate.bundle import run as run_folder
from textgate.bundle.run import read_run
from textgate.bundle.storage import read_bundle
from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.export import export
from textgate.rows import Row
from textgate.train import Columns, fit
from textgate.train.data.unlabelled import Unlabelled
from textgate.train.teaching.distillation import Distillation
from textgate.train.teaching.teachers import Teacher, check_teachers, find_teacher
from textgate.train.training.progress import Progress
from textgate.train.training.recipe import recommend


@pytest.fixture(scope="module")
def dev(separable):
    return separable(60, seed=1)


@pytest.fixture(scope="module")
def teacher(separable, dev, quick, tmp_path_factory):
    """A finished run with correct predictions."""
    path = tmp_path_factory.mktemp("teachers") / "teacher.run"
    return fit(separable(240), path, dev=dev, settings=quick).path


@pytest.fixture(scope="module")
def bundle(teacher):
    """The same run as a bundle."""
    return export(teacher, teacher.with_name("teacher"), precision="float32").path


@pytest.fixture
def texts(separable, tmp_path):
    """A file of texts without labels."""
    path = tmp_path / "more.txt"
    path.write_text("".join(f"{row.text}\n" for row in separable(200, seed=2)), encoding="utf-8")
    return path


class Heard(Progress):
    def __init__(self):
        self.notes, self.begun, self.steps = [], [], 0

    def note(self, message):
        self.notes.append(message)

    def begin(self, what, rows):
        self.begun.append((what, rows))

    def step(self, rows):
        self.steps += rows


def contradicted(rows):
    """The rows with wrong labels."""
    other = {"good": "bad", "bad": "good"}
    return [Row(row.text, (other[row.labels[0]],), row.line) for row in rows]


# Learning


@pytest.mark.parametrize("kind", ["run", "bundle"])
@pytest.mark.parametrize(("weight", "right"), [(1.0, True), (0.0, False)])
def test_the_weight_decides_between_labels_and_teachers(
    separable, dev, quick, teacher, bundle, tmp_path, kind, weight, right
):
    """All labels are wrong."""
    run = fit(
        contradicted(separable(240)),
        tmp_path / "run",
        dev=dev,
        settings={**quick, "teacher_weight": weight, "epochs": 6},
        teachers=[teacher if kind == "run" else bundle],
    )
    last = run.model.history[-1].dev_score
    assert last >= 0.95 if right else last <= 0.05


def test_texts_without_labels_teach(separable, dev, quick, teacher, texts, tmp_path):
    """Six rows are too few without the texts, and enough with them."""
    quick = {**quick, "linear_size": 0}  # for which six would do
    alone = fit(separable(6), tmp_path / "alone", dev=dev, settings=quick)
    taught = fit(
        separable(6),
        tmp_path / "taught",
        dev=dev,
        settings=quick,
        teachers=[teacher],
        unlabelled=[texts],
    )
    assert taught.model.metrics["accuracy"] >= 0.95
    assert alone.model.metrics["accuracy"] < 0.9


def answering(*rows, labels=("bad", "good"), name="fake"):
    """A teacher that predicts these probabilities in turn."""
    values = np.array(rows, dtype=np.float32)

    def load(_):
        answers = iter(values)
        return lambda texts: np.array([next(answers) for _ in texts])

    return Teacher(Path(name), labels, "single-label", "ab" * 32, load)


def test_targets_are_mixed(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("c\n", encoding="utf-8")
    distillation = Distillation(
        (
            answering([0.8, 0.2], [0.4, 0.6], [1.0, 0.0]),
            answering([0.6, 0.4], [0.6, 0.4], [0.5, 0.5], labels=("good", "bad")),
        ),
        ("bad", "good"),
        [Row("a", ("bad",), 1), Row("b", ("good",), 2)],
        Unlabelled([path], Columns(), []),
    )
    targets = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    heard = Heard()
    kept = tmp_path / "kept.safetensors"
    distillation.mix(targets, weight=0.25, kept=kept, device=torch.device("cpu"), progress=heard)
    # The mean of the teachers: bad 0.6, 0.4 and 0.75.
    assert targets == pytest.approx(np.array([[0.9, 0.1], [0.1, 0.9], [0.75, 0.25]]))
    assert heard.begun == [("labelling with fake", 3)] * 2
    assert heard.steps == 6
    assert heard.notes == [
        "2 teachers have labelled 3 texts; they agree with the label of 100.0% of the labelled rows"
    ]
    again = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    nobody = dataclasses.replace(distillation, teachers=())
    nobody.mix(again, weight=0.25, kept=kept, device=torch.device("cpu"), progress=Heard())
    assert np.array_equal(again, targets)


def test_a_run_and_its_bundle_predict_the_same(teacher, bundle, separable):
    texts = [row.text for row in separable(50, seed=3)] + ["", "unheard of"]
    of_run = find_teacher(teacher).open(torch.device("cpu"))(texts)
    of_bundle = find_teacher(bundle).open(torch.device("cpu"))(texts)
    assert of_run.shape == (52, 2)
    assert of_run == pytest.approx(of_bundle, abs=1e-5)


def test_several_labels_a_row(separable, quick, tmp_path):
    labels = ("good", "bad", "odd")
    rows = separable(160, labels, multi_label=True)
    dev = separable(60, labels, multi_label=True, seed=1)
    settings = {**quick, "epochs": 12}
    first = fit(rows, tmp_path / "teacher", dev=dev, settings=settings)
    path = tmp_path / "more.txt"
    more = separable(160, labels, multi_label=True, seed=2)
    path.write_text("".join(f"{row.text}\n" for row in more), encoding="utf-8")
    run = fit(
        rows[:12],
        tmp_path / "run",
        dev=dev,
        settings=settings,
        teachers=[first.path],
        unlabelled=[path],
    )
    assert run.model.metrics["macro_f1"] >= 0.9


def test_words_of_the_texts_are_known(separable, dev, quick, teacher, tmp_path):
    path = tmp_path / "more.jsonl"
    path.write_text('{"text": "zebra zebra zebra"}\n' * 3, encoding="utf-8")
    fit(
        separable(40),
        tmp_path / "run",
        dev=dev,
        settings={**quick, "epochs": 1, "tokenizer": "words"},
        teachers=[teacher],
        unlabelled=[path],
    )
    vocabulary = json.loads((tmp_path / "run" / "tokenizer.json").read_text())["model"]["vocab"]
    assert "zebra" in vocabulary


def test_the_recipe_counts_all_texts(separable):
    rows, long = separable(5_000), "word " * 200
    alone = recommend(rows, ("bad", "good"), task="single-label", vectors=None).settings
    taught = recommend(
        rows, ("bad", "good"), task="single-label", vectors=None, unlabelled=[long] * 3_000
    ).settings
    assert (alone["epochs"], taught["epochs"]) == (14, 9)
    assert (alone["max_tokens"], taught["max_tokens"]) == (64, 256)


# The manifest


def test_the_run_and_the_bundle_name_the_teachers(
    separable, dev, quick, teacher, bundle, texts, tmp_path
):
    run = fit(
        separable(40),
        tmp_path / "run",
        dev=dev,
        settings={**quick, "epochs": 1},
        teachers=[teacher, bundle],
        unlabelled=[texts],
    )
    teaching = read_run(run.path).teaching
    assert teaching == run.manifest.teaching
    assert [item.name for item in teaching.teachers] == ["teacher.run", "teacher"]
    assert teaching.teachers[1].sha256 == read_bundle(bundle).manifest.files["model.onnx"].sha256
    (file,) = teaching.unlabelled
    assert (file.file, file.rows) == ("more.txt", file.rows)
    assert not (run.path / run_folder.TEACHING).exists()  # nothing is left to resume
    said = export(run.path, tmp_path / "bundle", precision="float32").manifest.training
    assert said["teachers"] == "teacher.run, teacher"
    assert said["teachers_sha256"].split(", ") == [item.sha256 for item in teaching.teachers]
    assert said["teacher_weight"] == 0.5
    assert said["unlabelled_files"] == "more.txt"
    assert said["unlabelled_rows"] == file.rows
    assert said["unlabelled_sha256"] == file.sha256


def test_without_a_teacher_nothing_is_said(teacher):
    assert "teaching" not in json.loads((teacher / run_folder.RUN).read_text())
    assert read_run(teacher).teaching is None


class Stopped(BaseException):
    pass


class StopsAt(Heard):
    """Stops when some work begins."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def begin(self, what, rows):
        super().begin(what, rows)
        if what == self.what:
            raise Stopped

    def begin_epoch(self, number, rows):
        self.begin(f"epoch {number}", rows)


@pytest.fixture
def begin(separable, dev, quick, teacher, texts, tmp_path):
    """Starts or resumes the same run."""

    def begin(name="run", **changes):
        arguments = {
            "dev": dev,
            "settings": {**quick, "epochs": 3},
            "teachers": [teacher],
            "unlabelled": [texts],
        }
        return fit(separable(40), tmp_path / name, **(arguments | changes))

    return begin


@pytest.mark.parametrize("where", ["labelling with teacher.run", "epoch 1", "epoch 3"])
def test_resuming_gives_the_same_weights(begin, where):
    whole = begin("whole")
    with pytest.raises(Stopped):
        begin(progress=StopsAt(where))
    heard = Heard()
    resumed = begin(resume=True, progress=heard)
    for name, weight in whole.model.weights.items():
        assert torch.equal(resumed.model.weights[name], weight), name
    asked = [what for what, _ in heard.begun if what.startswith("labelling")]
    assert asked == (["labelling with teacher.run"] if where.startswith("labelling") else [])


OTHERS = [
    (
        {"teachers": []},
        ConfigError,
        "texts without labels need a teacher to label them; add one: --teacher",
    ),
    (
        {"teachers": [], "unlabelled": []},
        CheckpointError,
        "begun with other teachers than these; it had teacher.run: give the same with --teacher",
    ),
    (
        {"unlabelled": []},
        CheckpointError,
        "begun with other texts without labels than these; it had more.txt: give the same with",
    ),
    (
        {"settings": {"teacher_weight": 0.4}},
        CheckpointError,
        "begun with teacher_weight 0.5, not 0.4",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), OTHERS)
def test_other_teachers_texts_or_weights_are_refused(begin, changes, error, message):
    with pytest.raises(Stopped):
        begin(progress=StopsAt("epoch 2"))
    with pytest.raises(error) as caught:
        begin(resume=True, **changes)
    assert message in str(caught.value)


def test_other_models_and_texts_of_the_same_names_are_refused(begin, bundle, texts):
    with pytest.raises(Stopped):
        begin(progress=StopsAt("epoch 2"))
    with pytest.raises(CheckpointError, match="begun with other teachers"):
        begin(resume=True, teachers=[bundle])
    texts.write_text("something else\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="begun with other texts without labels"):
        begin(resume=True)


def test_a_run_begun_without_a_teacher_gets_none(begin, teacher):
    with pytest.raises(Stopped):
        begin(progress=StopsAt("epoch 2"), teachers=[], unlabelled=[])
    with pytest.raises(CheckpointError, match="with other teachers than these; it had none"):
        begin(resume=True, unlabelled=[])


def test_a_run_without_the_setting_is_resumed(begin, tmp_path):
    alone = {"teachers": [], "unlabelled": []}
    with pytest.raises(Stopped):
        begin(progress=StopsAt("epoch 2"), **alone)
    path = tmp_path / "run" / run_folder.RUN
    value = json.loads(path.read_text())
    del value["settings"]["teacher_weight"]
    path.write_text(json.dumps(value))
    assert len(begin(resume=True, **alone).model.history) == 3


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"\x55"])
def test_damaged_answers(begin, tmp_path, damage):
    with pytest.raises(Stopped):
        begin(progress=StopsAt("epoch 1"))
    kept = tmp_path / "run" / run_folder.TEACHING
    kept.write_bytes(damage(kept.read_bytes()))
    with pytest.raises(CheckpointError, match=r"teaching\.safetensors: damaged"):
        begin(resume=True)


def test_a_file_that_changes_is_refused(begin, texts, monkeypatch):
    whole = Distillation.texts
    cut = lambda distillation: list(whole(distillation))[:-1]  # noqa: E731
    monkeypatch.setattr(Distillation, "texts", cut)
    with pytest.raises(DataError, match="changed while it was read"):
        begin()


# Refusals


def test_teachers_with_other_labels_are_refused(teacher, bundle):
    check_teachers([find_teacher(teacher)], ("good", "bad"), task="single-label", file="x")
    with pytest.raises(ConfigError) as caught:
        check_teachers(
            [find_teacher(bundle)], ("odd", "good"), task="single-label", file="rows.csv"
        )
    assert str(caught.value) == (
        f"{bundle} has the labels 'bad', 'good', but rows.csv has 'good', 'odd'; a teacher needs "
        "the labels of the rows"
    )
    with pytest.raises(ConfigError, match="is a single-label classifier, but x is a multi-label"):
        check_teachers([find_teacher(bundle)], ("bad", "good"), task="multi-label", file="x")


def test_other_folders_are_refused(begin, tmp_path):
    with pytest.raises(ConfigError, match="neither a finished run nor a bundle, so it cannot"):
        begin(teachers=[tmp_path])
    with pytest.raises(Stopped):
        begin("unfinished", progress=StopsAt("epoch 1"))
    with pytest.raises(CheckpointError, match="unfinished: training has not finished, so it"):
        begin(teachers=[tmp_path / "unfinished"])
    with pytest.raises(ConfigError, match="cannot be its own teacher"):
        begin("unfinished", teachers=[tmp_path / "unfinished"], force=True)


def test_nan_predictions_are_refused(begin, monkeypatch):
    hopeless = answering(*[[np.nan, np.nan]] * 500)
    monkeypatch.setattr("textgate.train.fitting.find_teacher", lambda _: hopeless)
    with pytest.raises(CheckpointError, match="fake: predicts NaN or infinite values, so it"):
        begin()


USAGE = [
    (["--unlabelled", "x.txt"], "Error: --unlabelled needs a teacher to label the texts: add "),
    (["--teacher-weight", "1"], "Error: --teacher-weight has no effect without --teacher PATH"),
]


@pytest.mark.parametrize(("options", "message"), USAGE)
def test_usage(command, tmp_path, options, message):
    outcome = command("train", tmp_path / "rows.csv", "-o", tmp_path / "run", *options)
    assert outcome.status == 2
    assert outcome.message.startswith(message)


def test_the_command(command, separable, teacher, texts, tmp_path, write_jsonl):
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(40)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    options = ("--teacher", teacher, "--unlabelled", texts, "--unlabelled", texts)
    small = ("--hidden", "6", "--embedding-size", "4", "--epochs", "1", "--teacher-weight", "0.75")
    outcome = command("train", data, "-o", tmp_path / "run", *options, *small)
    assert outcome.status == 0
    assert "more.txt: 200 texts for the teachers to label" in outcome.err
    assert "1 teacher has labelled 436 texts; they agree with the label of " in outcome.err
    assert read_run(tmp_path / "run").settings["teacher_weight"] == 0.75
    assert "taught by" in command("inspect", tmp_path / "run").out
