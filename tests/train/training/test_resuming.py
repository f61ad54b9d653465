"""Resuming a stopped run gives the weights of an uninterrupted one."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil

import pytest
import torch

import textgate.train.fitting
from textgate.bundle import run as run_folder
from textgate.errors import CheckpointError, ConfigError
from textgate.train import Columns, fit
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training import folder
from textgate.train.training.checkpoint import Epoch, load_state, save_state

EPOCHS = 3
# Training as in the default preset with every cell, and training without further state.
KINDS = {
    "gru": {"cell": "gru"},
    "solved branch": {"linear_size": 2},
    "plain lstm": {
        "average": 0.0,
        "sparse": False,
        "adversarial": 0.0,
        "linear_size": 0,
        "tokenizer": "words",
    },
}


@pytest.fixture(scope="module")
def settings(quick):
    return {
        **quick,
        "epochs": EPOCHS,
        "patience": EPOCHS,
        "embedding_dropout": 0.2,
        "layer_dropout": 0.1,
        "head_dropout": 0.2,
        "hidden_sizes": (6, 5),
        "average": 0.9,
        "sparse": True,
        "adversarial": 0.3,
        "linear_dropout": 0.3,
        "linear_size": 3,  # not a column a label: it learns by steps
        "seed": 11,
    }


@pytest.fixture(scope="module")
def rows(separable):
    return separable(96)


@pytest.fixture(scope="module", params=KINDS)
def kind(request, settings):
    """The settings of one kind of training."""
    return {**settings, **KINDS[request.param]}


@pytest.fixture(scope="module")
def uninterrupted(rows, kind, tmp_path_factory):
    return fit(rows, tmp_path_factory.mktemp("whole") / "run", settings=kind)


@pytest.fixture
def begin(stop, rows, kind, tmp_path):
    """Starts the same run as `uninterrupted`, stops it, and returns its folder."""

    def begin(*, epochs, steps=0):
        stop(fit, rows, tmp_path / "run", settings=kind, epochs=epochs, steps=steps)
        return tmp_path / "run"

    return begin


def timeless(model):
    return dataclasses.replace(
        model,
        weights={},
        history=[dataclasses.replace(epoch, seconds=0) for epoch in model.history],
    )


def assert_same(found, expected):
    assert found.model.weights.keys() == expected.model.weights.keys()
    for name, weight in expected.model.weights.items():
        assert torch.equal(found.model.weights[name], weight), name
    assert timeless(found.model) == timeless(expected.model)
    assert found.manifest == expected.manifest
    assert sorted(path.name for path in found.path.iterdir()) == sorted(
        path.name for path in expected.path.iterdir()
    )


def test_the_checkpoint_holds_average_and_moments(kind, begin):
    """Resuming from the weights alone would give other results."""
    path = begin(epochs=2)
    state = load_state(path / run_folder.CHECKPOINT, Epoch)
    assert bool(state.average) == bool(kind["average"])
    learned = kind["linear_size"] == 3  # not solved
    assert ("linear.pairs.weight/exp_avg" in state.optimizer) == learned
    trained = ["embedding.weight", "layers.1.ahead.weight_hh_l0"]
    trained += ["linear.pairs.weight"] if learned else []
    for name in trained if state.average else ():
        assert not torch.equal(state.average[name], state.weights[name]), name


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_stopped_after_any_epoch(uninterrupted, rows, begin, hearing, epoch):
    path = begin(epochs=epoch)
    assert (path / run_folder.CHECKPOINT).is_file()
    assert not (path / run_folder.MODEL).exists()
    progress = hearing()
    torch.manual_seed(epoch)  # another process has other random numbers
    found = fit(rows, path, resume=True, progress=progress)
    assert f"resuming after epoch {epoch}" in progress.notes
    assert_same(found, uninterrupted)


@pytest.mark.parametrize(("epoch", "steps"), [(0, 1), (0, 4), (1, 2), (EPOCHS - 1, 5)])
def test_stopped_within_an_epoch(uninterrupted, rows, begin, epoch, steps):
    path = begin(epochs=epoch, steps=steps)
    assert (path / run_folder.CHECKPOINT).is_file() == (epoch > 0)
    assert_same(fit(rows, path, resume=True), uninterrupted)


def test_stopped_again_and_again(uninterrupted, rows, begin, stop):
    path = begin(epochs=1)
    for _ in range(EPOCHS - 1):
        stop(fit, rows, path, resume=True, epochs=1)
    assert_same(fit(rows, path, resume=True), uninterrupted)


@pytest.mark.parametrize(
    ("module", "failing"),
    [(folder, "save_state"), (textgate.train.fitting, "save_model")],
)
def test_the_disk_was_full_for_a_while(uninterrupted, rows, begin, monkeypatch, module, failing):
    path = begin(epochs=1)

    def full(target, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    genuine = getattr(module, failing)

    def fails(target, value):
        patch.setattr(checkpoint_module, "write_bytes", full)
        genuine(target, value)

    with monkeypatch.context() as patch:
        patch.setattr(module, failing, fails)
        with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
            fit(rows, path, resume=True)
    assert_same(fit(rows, path, resume=True), uninterrupted)


def test_stopped_between_the_last_two_steps(uninterrupted, rows, begin):
    """The model is written, and the checkpoint is not removed yet."""
    path = begin(epochs=EPOCHS)
    shutil.copy(uninterrupted.path / run_folder.MODEL, path)
    (path / f".{run_folder.MODEL}.0123abcd.partial").write_bytes(b"half a model")
    assert_same(fit(rows, path, resume=True), uninterrupted)


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_a_finished_run_is_left_alone(uninterrupted, rows, hearing):
    before = contents(uninterrupted.path)
    progress = hearing(epochs=1)
    found = fit(rows, uninterrupted.path, resume=True, progress=progress)
    assert contents(uninterrupted.path) == before
    assert progress.notes == [f"{uninterrupted.path} is finished already"]
    assert_same(found, uninterrupted)


def test_without_a_run_resume_starts_one(uninterrupted, rows, kind, tmp_path):
    found = fit(rows, tmp_path / "run", settings=kind, resume=True)
    assert_same(found, uninterrupted)


def test_the_rows_may_come_in_another_file(rows, settings, tmp_path, write_jsonl, stop):
    first = write_jsonl(
        tmp_path / "a.jsonl", [{"text": row.text, "label": row.labels[0]} for row in rows]
    )
    stop(fit, first, tmp_path / "run", settings=settings, epochs=1)
    lines = ["said,kind\n", *(f'"{row.text}",{row.labels[0]}\n' for row in rows)]
    (tmp_path / "b.csv").write_text("".join(lines), encoding="utf-8")
    found = fit(tmp_path / "b.csv", tmp_path / "run", columns=Columns("said", "kind"), resume=True)
    assert found.model.best_epoch
    assert found.manifest.train.file == "a.jsonl"


# Refusals


@pytest.fixture
def stopped(stop, rows, settings, tmp_path):
    stop(fit, rows, tmp_path / "run", settings=settings, epochs=1)
    return tmp_path / "run"


def test_other_rows_or_settings_are_refused(stopped, rows, separable):
    before = contents(stopped)
    dev = separable(10, seed=9)
    cases = [
        ({"data": rows[1:]}, "begun with other train rows than these"),
        ({"data": [*rows[:-1], rows[0]]}, "begun with other train rows than these"),
        ({"data": rows, "dev": dev}, "begun with other train rows than these"),
        ({"data": rows, "settings": {"learning_rate": 0.5}}, "begun with learning_rate 0.02, not"),
        ({"data": rows, "settings": {"hidden_sizes": (9,)}}, "begun with hidden_sizes [6, 5], not"),
        ({"data": rows, "settings": {"epochs": 99}}, "begun with epochs 3, not 99"),
        ({"data": rows, "preset": "seed-lstm"}, "begun with other train rows than these"),
        ({"data": rows, "preset": "seed-lstm", "settings": {"seed": 11}}, "begun with embedding_"),
    ]
    for arguments, message in cases:
        with pytest.raises(CheckpointError) as caught:
            fit(output=stopped, resume=True, **arguments)
        assert str(caught.value).startswith(f"{stopped}: {message}")
    assert contents(stopped) == before


def test_other_dev_rows_are_refused(rows, separable, settings, tmp_path, stop):
    dev = separable(10, seed=8)
    stop(fit, rows, tmp_path / "run", dev=dev, settings=settings, epochs=1)
    with pytest.raises(CheckpointError, match="begun with other dev rows than these; give the"):
        fit(rows, tmp_path / "run", dev=separable(10, seed=9), resume=True)


@pytest.mark.parametrize("again", [{}, {"resume": True}])
def test_what_is_no_run_is_refused(rows, settings, tmp_path, again):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(
        CheckpointError, match="already exists; choose another path or pass --force"
    ):
        fit(rows, tmp_path / "run", settings=settings, **again)
    with pytest.raises(CheckpointError, match=r"holds other files and no run\.json"):
        fit(rows, tmp_path / "run", settings=settings, force=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "letter.txt"]


def test_a_run_is_replaced_only_by_force(stopped, rows, quick):
    before = contents(stopped)
    with pytest.raises(CheckpointError, match="already exists"):
        fit(rows, stopped, settings={**quick, "epochs": 1})
    assert contents(stopped) == before
    done = fit(rows, stopped, settings={**quick, "epochs": 1}, force=True)
    assert len(done.model.history) == 1
    assert [path.name for path in stopped.parent.iterdir()] == ["run"]


def damaged_json(changes):
    def damage(path):
        value = json.loads((path / run_folder.RUN).read_text(encoding="utf-8"))
        (path / run_folder.RUN).write_text(json.dumps(value | changes), encoding="utf-8")

    return damage


def cut_checkpoint(path):
    content = (path / run_folder.CHECKPOINT).read_bytes()
    (path / run_folder.CHECKPOINT).write_bytes(content[:-1])


DAMAGE = [
    (damaged_json({"format_version": 2}), CheckpointError, "format version 2, but this release"),
    (damaged_json({"settings": [1]}), CheckpointError, "settings: expected an object"),
    (damaged_json({"settings": {"epochs": "x"}}), ConfigError, "epochs must be a whole number"),
    (damaged_json({"settings": {"unheard": 1}}), ConfigError, "'unheard' is not a setting"),
    (
        damaged_json({"settings": {"token_dropout": 0.1}}),
        CheckpointError,
        "run: begun with token_dropout 0.1, a setting that was removed; start again in another fol",
    ),
    (damaged_json({"preset": "gone"}), ConfigError, "there is no preset 'gone'"),
    (lambda path: (path / run_folder.RUN).write_text("{"), CheckpointError, "not valid JSON"),
    (cut_checkpoint, CheckpointError, f"{run_folder.CHECKPOINT}: damaged"),
]


@pytest.mark.parametrize(("damage", "error", "message"), DAMAGE, ids=[case[2] for case in DAMAGE])
def test_damage(stopped, rows, damage, error, message):
    damage(stopped)
    before = contents(stopped)
    with pytest.raises(error) as caught:
        fit(rows, stopped, resume=True)
    assert message in str(caught.value)
    assert contents(stopped) == before


def test_a_run_goes_on_that_names_removed_settings_without_using_them(stopped, rows):
    recorded = json.loads((stopped / run_folder.RUN).read_text(encoding="utf-8"))["settings"]
    unused = {"schedule": "constant", "token_dropout": 0.0, "label_smoothing": 0.0}
    damaged_json({"settings": {**recorded, **unused}})(stopped)
    assert len(fit(rows, stopped, resume=True).model.history) == EPOCHS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_sizes": (6, 4)}, "the checkpoint does not fit the network: "),
        ({"hidden_sizes": (6,)}, "the checkpoint does not fit the network: "),
    ],
)
def test_the_checkpoint_of_another_network(stop, stopped, rows, settings, changes, message):
    other = stopped.with_name("other")
    stop(fit, rows, other, settings={**settings, **changes}, epochs=1)
    shutil.copy(other / run_folder.CHECKPOINT, stopped)
    with pytest.raises(CheckpointError, match=message) as caught:
        fit(rows, stopped, resume=True)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_the_optimizers_moments(stopped, rows):
    path = stopped / run_folder.CHECKPOINT
    state = load_state(path, Epoch)
    state.optimizer.popitem()
    save_state(path, state)
    with pytest.raises(CheckpointError, match="the checkpoint does not fit the network"):
        fit(rows, stopped, resume=True)
