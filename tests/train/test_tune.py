"""Tuning: trials in a given time, and a run that is never worse than the default recipe's."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import itertools
import json
import signal
import sys

import pytest

from textgate.bundle.run import TUNING, read_run
from textgate.errors import CheckpointError, ConfigError, DataError, MissingPackageError
from textgate.rows import Row
from textgate.train import PRESETS, fit, tune
from textgate.train.training import checkpoint
from textgate.train.training.checkpoint import load_model, read_tensors
from textgate.train.training.progress import Progress
from textgate.train.tuning.limits import Speed

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None,
    reason="optuna is not installed: pip install 'textgate[tune]'",
)

NETWORK = {
    "embedding_size": 6,
    "hidden_sizes": (8,),
    "vocabulary_size": 600,
    "vectors": "none",
    "max_tokens": 20,
    "epochs": 2,
    "batch_size": 32,
    "bidirectional": False,
    "linear_size": 0,
    "adversarial": 0.0,
}
FEW = {**NETWORK, "folds": 2}
DEV = {**NETWORK, "folds": 0, "dev_fraction": 0.25}


@pytest.fixture
def noisy(separable):
    """Makes rows of which every fifth has the other label, so that no network is perfect."""

    def make(count, seed=0):
        other = {"good": "bad", "bad": "good"}
        return [
            Row(row.text, (other[row.labels[0]],) if row.line % 5 == 0 else row.labels, row.line)
            for row in separable(count, seed=seed)
        ]

    return make


class Heard(Progress):
    """Keeps what is said, and interrupts after some trials. A second passes with each epoch."""

    now = 0.0

    def __init__(self, stop_after=None):
        self.said, self._stop_after = [], stop_after

    def begin(self, what, rows):  # noqa: ARG002
        Heard.now += 1.0

    def note(self, message):
        self.said.append(message)
        if self._stop_after is not None and message.startswith(f"trial {self._stop_after}:"):
            raise KeyboardInterrupt

    def lines(self, start):
        return [line for line in self.said if line.startswith(start)]


@pytest.fixture
def tuner():
    """The module of the search, which needs Optuna."""
    return importlib.import_module("textgate.train.tuner")


@pytest.fixture(autouse=True)
def clock(tuner, monkeypatch):
    """A clock that `Heard` moves, so that a search does not depend on the speed of the machine."""
    Heard.now = 0.0
    for name in ("tune", "tuner", "trial"):
        module = importlib.import_module(f"textgate.train.{name}")
        monkeypatch.setattr(module, "monotonic", lambda: Heard.now)


def search(rows, folder, seconds, *, settings=DEV, progress=None, **options):
    """Tune a network without an encoder."""
    given = {"settings": settings, "pretrained": "none", **options}
    return tune(rows, folder, seconds=seconds, progress=progress or Heard(), **given)


def table_of(run):
    return json.loads((run.path / TUNING).read_text(encoding="utf-8"))


@pytest.mark.parametrize("settings", [DEV, FEW], ids=["dev", "folds"])
def test_the_chosen_trial_is_what_is_trained(noisy, tmp_path, settings):
    heard = Heard()
    run = search(noisy(160), tmp_path / "run", 24, settings=settings, progress=heard)
    table, tuning = table_of(run), run.manifest.tuning
    assert [trial["number"] for trial in table["trials"]] == list(range(tuning.trials))
    assert tuning.trials > 2
    first, chosen = table["trials"][0], table["trials"][tuning.chosen]
    assert first["settings"] == {}
    assert chosen["state"] == "finished"
    assert chosen["log_loss"] <= first["log_loss"]
    assert chosen["score"] >= first["score"]
    assert run.model.metrics["accuracy"] == pytest.approx(chosen["score"])
    assert {name: run.manifest.settings[name] for name in chosen["settings"]} == chosen["settings"]
    assert all(run.manifest.settings[name] == value for name, value in settings.items()
               if name != "hidden_sizes")  # fmt: skip
    assert table["expected"]["accuracy"] == tuning.expected_accuracy
    assert run.accuracy_interval[0] < tuning.expected_accuracy < run.accuracy_interval[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert len(heard.lines("trial ")) == tuning.trials
    assert read_run(run.path).tuning == tuning
    assert any("the training with these settings comes now" in line for line in heard.said)


def test_what_the_rows_are_like_is_said_once_before_the_trials(noisy, tmp_path):
    heard = Heard()
    search(noisy(120), tmp_path / "run", 3, progress=heard)  # with a text that has both labels
    (said,) = [n for n, line in enumerate(heard.said) if "different labels" in line]
    assert said < next(n for n, line in enumerate(heard.said) if line.startswith("trial 0"))


def test_the_default_trial_is_the_default_training(noisy, tmp_path):
    """A budget for one trial: the run is that of a training without tuning."""
    rows = noisy(120)
    tuned = search(rows, tmp_path / "tuned", 1)
    plain = fit(rows, tmp_path / "plain", settings=DEV, pretrained="none")
    assert tuned.manifest.settings == plain.manifest.settings
    assert tuned.model.metrics == plain.model.metrics
    (trial,) = table_of(tuned)["trials"]
    assert trial["state"] == "out of time"
    assert (tuned.manifest.tuning.chosen, tuned.manifest.tuning.expected_accuracy) == (0, None)


def test_nothing_is_better_than_perfect(separable, quick, tmp_path):
    heard, settings = Heard(), {**quick, "linear_size": 0, "epochs": 25}
    dev = separable(40, seed=1)
    run = search(separable(160), tmp_path / "run", 99, settings=settings, dev=dev, progress=heard)
    assert run.model.metrics["accuracy"] == 1.0
    assert heard.lines("no trial can be better")
    assert run.manifest.tuning.trials == 1


def test_trials_are_given_up_and_failures_are_survived(noisy, tuner, tmp_path, monkeypatch):
    train = tuner.Watch.report
    calls = itertools.count()

    def diverging(self, step, loss):
        if next(calls) == 3:
            raise ConfigError("training diverged in epoch 2: choose a lower learning rate")
        train(self, step, loss)

    monkeypatch.setattr(tuner.Watch, "report", diverging)
    run = search(noisy(120), tmp_path / "run", 40)
    states = [trial["state"] for trial in table_of(run)["trials"]]
    assert states[:2] == ["finished", "failed"]
    assert "given up" in states


def test_first_trials_on_a_part_of_the_rows(noisy, tuner, tmp_path, monkeypatch):
    monkeypatch.setattr(tuner, "_MIN_SAMPLE", 50)
    monkeypatch.setattr(tuner, "_FEW_TRIALS", 10**6)
    heard = Heard()
    run = search(noisy(400), tmp_path / "run", 40, dev=noisy(60, seed=1), progress=heard)
    rows = [trial["rows"] for trial in table_of(run)["trials"]]
    assert rows[:2] == [400, 50]
    assert heard.lines("the first trials are trained on 50 of 400 rows")
    ends = rows.index(400, 1) if 400 in rows[1:] else len(rows)
    assert set(rows[1:ends]) == {50}
    assert set(rows[ends:]) <= {400}
    chosen = table_of(run)["trials"][run.manifest.tuning.chosen]
    assert chosen["rows"] == 400


# Interruptions


def test_interrupted_and_resumed(noisy, tmp_path):
    rows, heard = noisy(120), Heard(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        search(rows, tmp_path / "run", 600, progress=heard)
    assert [path.name for path in tmp_path.iterdir()] == ["run.tuning"]
    assert "3 trials are kept in" in heard.said[-1]
    assert "the best so far is trial " in heard.said[-1]
    kept = read_tensors(tmp_path / "run.tuning")[1]["trials"]

    with pytest.raises(CheckpointError, match="continue it with --resume, or replace it"):
        search(rows, tmp_path / "run", 600)
    with pytest.raises(CheckpointError, match="with other training rows"):
        search(noisy(140), tmp_path / "run", 600, resume=True)
    with pytest.raises(CheckpointError, match="with other settings"):
        search(rows, tmp_path / "run", 600, resume=True, settings={**DEV, "seed": 1})

    again = Heard(stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        search(rows, tmp_path / "run", 600, resume=True, progress=again)
    assert again.said[0] == "resuming after 3 trials"
    assert read_tensors(tmp_path / "run.tuning")[1]["trials"][:3] == kept

    run = search(rows, tmp_path / "run", 1e-3, resume=True)  # the best at once
    table = table_of(run)
    assert table["trials"][:3] == kept
    assert len(table["trials"]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_interrupted_in_the_final_training(noisy, tmp_path):
    class Stopping(Heard):
        def end_epoch(self, epoch, **_):  # noqa: ARG002
            raise KeyboardInterrupt

    rows = noisy(120)
    with pytest.raises(KeyboardInterrupt):
        search(rows, tmp_path / "run", 8, progress=Stopping())
    assert read_run(tmp_path / "run").tuning.trials > 1
    assert (tmp_path / "run.tuning").exists()
    run = search(rows, tmp_path / "run", 8, resume=True)
    Heard.now = 0.0
    whole = search(rows, tmp_path / "whole", 8)
    assert run.model.metrics == whole.model.metrics
    assert not (tmp_path / "run.tuning").exists()
    again = search(rows, tmp_path / "run", 8, resume=True)  # nothing is left to do
    assert again.manifest == run.manifest


def test_a_run_without_tuning_is_not_tuned_later(noisy, tmp_path):
    fit(noisy(120), tmp_path / "run", settings=DEV, pretrained="none")
    with pytest.raises(CheckpointError, match="begun without tuning; leave --tune out"):
        search(noisy(120), tmp_path / "run", 1, resume=True)
    with pytest.raises(CheckpointError, match="already exists"):
        search(noisy(120), tmp_path / "run", 1)
    run = search(noisy(120), tmp_path / "run", 1, force=True)
    assert run.manifest.tuning is not None


CODE = """
import sys
import torch
from textgate.train import tune
from textgate.train.training.progress import TerminalProgress

torch.set_num_threads(1)
sys.stderr = open(log, "w")
tune(rows, folder, seconds=seconds, settings=settings, pretrained="none", resume=True,
     progress=TerminalProgress())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_and_resumed(noisy, start, kill, rewritten, tmp_path):
    rows, folder, log = noisy(120), tmp_path / "run", tmp_path / "log"
    kept = tmp_path / "run.tuning"

    def begin(seconds):
        return start(CODE, rows=rows, folder=folder, seconds=seconds, settings=DEV, log=log)

    counts = []
    for delay in (0.0, 0.05):
        kill("among the trials", begin(600), rewritten(kept), delay)
        counts.append(len(read_tensors(kept)[1]["trials"]))
        assert not folder.exists()

    def has_more() -> bool:
        try:
            return len(read_tensors(kept)[1]["trials"]) > 3
        except ValueError:  # it was replaced while it was read
            return False

    kill("among more trials", begin(600), has_more, 0.0)
    process = begin(0.001)
    process.join(120)
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    assert "resuming after" in log.read_text(encoding="utf-8")
    numbers = [one["number"] for one in json.loads((folder / TUNING).read_text())["trials"]]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 3
    assert load_model(folder / "model.safetensors").history
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "run"]


# Limits

LIMIT = 80_000  # bytes: the default network has more, one of 62 units has less
SIZES = {name: value for name, value in DEV.items() if name not in ("hidden_sizes", "max_tokens")}


def test_a_limit_of_size(noisy, tmp_path):
    heard = Heard()
    limits = {"max_bytes": LIMIT}
    run = search(noisy(120), tmp_path / "run", 8, settings=SIZES, progress=heard, **limits)
    trials = table_of(run)["trials"]
    assert trials[0]["state"] == "over the limit"
    assert trials[0]["bundle_bytes"] > LIMIT
    assert trials[run.manifest.tuning.chosen]["bundle_bytes"] <= LIMIT
    assert run.manifest.architecture.hidden_sizes == (62,)
    assert "over the limit" not in {trial["state"] for trial in trials[1:]}
    assert len(trials) > 3
    assert heard.lines("trial 0: over the limit, ")


@pytest.mark.parametrize("limit", ["max_bytes", "max_latency_ms"])
def test_a_limit_that_was_not_given_before(noisy, tmp_path, monkeypatch, limit):
    """No kept trial is within it, so the smallest network is trained, even without time."""
    rows = noisy(120)
    with pytest.raises(KeyboardInterrupt):
        search(rows, tmp_path / "run", 600, settings=SIZES, progress=Heard(stop_after=0))
    speed = Speed(fixed_ms=0.0, tokenizing_ms=0.0, product_ms=1.0)
    monkeypatch.setattr("textgate.train.tuning.limits.machine_speed", lambda: speed)
    bound = {"max_bytes": LIMIT, "max_latency_ms": 2 * 10**5}[limit]
    options = {"settings": SIZES, "resume": True, limit: bound}
    run = search(rows, tmp_path / "run", 1e-3, **options)
    trials = table_of(run)["trials"]
    assert [one["state"] for one in trials] == ["finished", "out of time"]
    name = {"max_bytes": "bundle_bytes"}.get(limit, "latency_ms")
    assert trials[0][name] > bound
    assert run.manifest.tuning.chosen == 1
    assert trials[1][name] <= bound


def test_resumed_with_a_limit_that_excludes_values_of_earlier_trials(noisy, tmp_path):
    rows, run = noisy(120), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        search(rows, run, 99, settings=SIZES, progress=Heard(stop_after=6))
    kept = read_tensors(tmp_path / "run.tuning")[1]["trials"]
    assert any(trial["parameters"].get("recipe: hidden_sizes") == "(254,)" for trial in kept)
    found = search(rows, run, 60, settings=SIZES, resume=True, max_bytes=LIMIT)
    assert found.manifest.architecture.hidden_sizes == (62,)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_bytes": 1000}, r"has at most 1 KB: the smallest has about [\d.]+ KB; raise the"),
        (
            {"max_latency_ms": 1e-6},
            r"has at most .+ ms for a text of \d+ tokens: the fastest takes about [\d.]+ ms",
        ),
    ],
)
def test_a_limit_that_nothing_meets(noisy, tmp_path, limits, message):
    with pytest.raises(ConfigError, match=message):
        search(noisy(120), tmp_path / "run", 60, settings=SIZES, **limits)
    assert list(tmp_path.iterdir()) == []


# Bad input

WRONG = {
    "no time": ({"seconds": 0}, "seconds must be above 0, not 0"),
    "endless time": ({"seconds": float("inf")}, "seconds must be above 0, not inf"),
    "None as time": ({"seconds": None}, "seconds must be a number, not None"),
    "a time with a unit": ({"seconds": "10m"}, "seconds must be a number, not '10m'"),
    "no bytes": ({"max_bytes": 0}, "max_bytes must be above 0, not 0"),
    "frozen": ({"settings": {"frozen": True}}, "frozen does not go with tuning"),
    "unknown setting": ({"settings": {"epoch": 1}}, "'epoch' is not a setting"),
    "no such device": ({"device": "xpu:7"}, "device"),
    "all settings": (
        {"settings": {**DEV, "learning_rate": 0.01, "embedding_dropout": 0.1, "head_dropout": 0.1}},
        "every setting that tuning varies is given",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(noisy, tmp_path, name):
    changes, message = WRONG[name]
    options = {"seconds": 1, "settings": DEV, "pretrained": "none", **changes}
    with pytest.raises(ConfigError, match=message):
        tune(noisy(120), tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_config_leaves_nothing_to_tune(noisy, tmp_path):
    with pytest.raises(ConfigError, match="a TrainingConfig gives all settings"):
        tune(noisy(120), tmp_path / "run", seconds=1, settings=PRESETS["default"])


def test_standard_input_cannot_be_read_twice(tmp_path):
    with pytest.raises(ConfigError, match="reads the rows several times; put them in a file"):
        tune("-", tmp_path / "run", seconds=1)


def test_rows_too_few(noisy, tmp_path):
    with pytest.raises(DataError, match="rows: 12 rows to compare settings on, and tuning needs"):
        search(noisy(12), tmp_path / "run", 1, settings=FEW)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_trials_before(noisy, tmp_path, monkeypatch):
    write, calls = checkpoint.write_bytes, itertools.count()

    def full(path, data):
        if next(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(CheckpointError, match=r"run\.tuning: cannot be written: No space left"):
        search(noisy(120), tmp_path / "run", 60)
    monkeypatch.setattr(checkpoint, "write_bytes", write)
    run = search(noisy(120), tmp_path / "run", 1e-3, resume=True)
    assert len(table_of(run)["trials"]) == 2


def test_a_missing_extra_is_named(noisy, tmp_path, monkeypatch):
    for name in ("textgate.train.tuner", "textgate.train.tuning.search"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgate\[tune\]'"):
        tune(noisy(120), tmp_path / "run", seconds=1, settings=DEV)
    assert list(tmp_path.iterdir()) == []
