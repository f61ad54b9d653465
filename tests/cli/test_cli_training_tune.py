"""`textgate train --tune`, and what the other commands say about a tuned run."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json

import pytest

from textgate.bundle.run import Tuning
from textgate.bundle.storage import CARD, read_bundle
from textgate.cli import options
from textgate.train.cli import tuning_line

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None,
    reason="optuna is not installed: pip install 'textgate[tune]'",
)

SMALL = (
    *("--hidden", "8", "--embedding-size", "6", "--epochs", "2", "--encoder", "none"),
    *("--vectors", "none", "--linear-size", "0", "--adversarial", "0", "--folds", "0"),
)


@pytest.fixture(scope="module")
def data(separable, write_jsonl, tmp_path_factory):
    """Rows of which every fifth has the other label."""
    rows = [
        {"text": row.text, "label": row.labels[0] if row.line % 5 else "good"}
        for row in separable(240)
    ]
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", rows)


@pytest.fixture(scope="module", autouse=True)
def clock():
    """A clock on which 10 ms pass at each look, so that nothing depends on the machine's speed."""
    looks = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tune", "tuner", "trial"):
            module = importlib.import_module(f"textgate.train.{name}")
            patch.setattr(module, "monotonic", lambda: next(looks) / 100)
        yield


@pytest.fixture(scope="module")
def tuned(command, data, tmp_path_factory):
    """A tuned run, and what the command printed."""
    run = tmp_path_factory.mktemp("runs") / "run"
    shown = command("train", data, "-o", run, "--tune", "2s", *SMALL)
    assert shown.status == 0, shown.err
    return run, shown


def test_progress_and_result(tuned):
    run, shown = tuned
    first, second = shown.out.splitlines()
    assert first.startswith(f"{run}: epoch ")
    assert second.startswith("tuned: trial ")
    assert "tuning for at most 0:02, on 24 dev rows; varied are learning_rate, " in shown.err
    assert "\ntrial 0: log loss 0." in shown.err
    assert "; best: trial 0, 0." in shown.err
    assert "\nthe training with these settings comes now" in shown.err


def test_inspect_and_card_say_so(command, tuned, tmp_path):
    run, _ = tuned
    tuning = json.loads((run / "run.json").read_text(encoding="utf-8"))["tuning"]
    line = f"trial {tuning['chosen']} of {tuning['trials']}; accuracy to expect on new texts 0."
    assert line in command("inspect", run).out
    exported = command("export", run, "-o", tmp_path / "bundle", "--allow-useless")
    assert exported.status == 0, exported.err
    assert line in command("inspect", tmp_path / "bundle").out
    training = read_bundle(tmp_path / "bundle").manifest.training
    assert training["tuned_trials"] == tuning["trials"]
    card = (tmp_path / "bundle" / CARD).read_text(encoding="utf-8")
    assert f"chosen among {tuning['trials']} trials on these rows, so the accuracy may be" in card
    assert "- tuned trials: " in card


def test_resume_finds_a_finished_run(command, data, tuned):
    run, _ = tuned
    again = command("train", data, "-o", run, "--tune", "2s", "--resume", *SMALL)
    assert again.status == 0, again.err
    assert f"{run} is finished already" in again.err


WRONG = [
    (["--tune", "0"], "'0' is not a time above 0 such as 90s, 10m or 2h"),
    (["--tune", "0s"], "'0s' is not a time above 0 such as 90s, 10m or 2h"),
    (["--tune", "abc"], "'abc' is not a time above 0 such as 90s, 10m or 2h"),
    (["--tune", "10"], "'10' is not a time above 0 such as 90s, 10m or 2h"),
    (["--tune", "-5m"], "'-5m' is not a time above 0"),
    (["--tune", "5ms"], "'5ms' is not a time above 0"),
    (["--tune", "1s", "--max-size", "0"], "--max-size must be above 0, not 0"),
    (["--tune", "1s", "--max-size", "many"], "'many' is not a size such as 500KB or 2MB"),
    (["--tune", "1s", "--max-latency", "1"], "'1' is not a time above 0 such as 500us or 0.5ms"),
    (["--max-size", "1MB"], "--max-size limits what --tune looks for: add --tune TIME"),
    (["--max-latency", "1ms"], "--max-latency limits what --tune looks for: add --tune TIME"),
    (["--tune", "1s", "--frozen"], "--frozen does not go with tuning"),
    (["--tune", "1s", "--preset", "seed-gru"], "--tune does not go with --preset seed-gru"),
    (["--tune", "1s", "--teacher", "other"], "--tune does not go with --teacher"),
    (["--tune", "1s", "--max-size", "1KB"], "no network that tuning can choose has at most 1 KB"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_wrong_options(command, data, tmp_path, given, message):
    shown = command("train", data, "-o", tmp_path / "run", *SMALL, *given)
    assert (shown.status, shown.out) == (2, "")
    assert message in shown.message
    assert list(tmp_path.iterdir()) == []


def test_resume_without_tune_does_not_forget_the_trials(command, data, tmp_path):
    (tmp_path / "run.tuning").write_bytes(b"trials")
    shown = command("train", data, "-o", tmp_path / "run", "--resume", *SMALL)
    assert shown.status == 1
    assert "trials of an interrupted tuning; continue it with --tune, or remove" in shown.message
    shown = command("train", data, "-o", tmp_path / "run", "--resume", "--tune", "1s", *SMALL)
    assert "run.tuning: damaged or unreadable" in shown.message
    assert [path.name for path in tmp_path.iterdir()] == ["run.tuning"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1.5 M", 90)]
)
def test_durations(text, seconds):
    assert options.duration(None, None, text) == seconds


@pytest.mark.parametrize(("text", "ms"), [("500us", 0.5), ("0.5ms", 0.5), ("1s", 1000)])
def test_latencies(text, ms):
    assert options.latency(None, None, text) == pytest.approx(ms)


LINES = [
    (Tuning(1, 0, 61.0), "tuned: trial 0 of 1 trial in 1:01, the default recipe"),
    (
        Tuning(9, 0, 61.0, 0.8),
        "tuned: trial 0 of 9 trials in 1:01, the default recipe, which no other trial beat",
    ),
    (Tuning(9, 4, 61.0), "tuned: trial 4 of 9 trials in 1:01"),
    (
        Tuning(9, 4, 61.0, 0.8),
        (
            "tuned: trial 4 of 9 trials in 1:01; the same rows chose it, so the accuracy above may "
            "be too high: expect 0.8000"
        ),
    ),
]


@pytest.mark.parametrize(("tuning", "line"), LINES)
def test_the_line_about_tuning(tuning, line):
    assert tuning_line(tuning) == line


def test_a_single_trial_chooses_nothing(command, data, tmp_path):
    shown = command("train", data, "-o", tmp_path / "run", "--tune", "0.01s", *SMALL)
    assert "the time is over before any trial has finished: --tune needs more" in shown.err
    assert shown.out.endswith(", the default recipe\n")
    command("export", tmp_path / "run", "-o", tmp_path / "bundle", "--allow-useless")
    assert "chosen among" not in (tmp_path / "bundle" / CARD).read_text(encoding="utf-8")
