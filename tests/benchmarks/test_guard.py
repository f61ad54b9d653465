"""The regression guard: two versions of the code in one run, with what it warns of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = ROOT / "benchmarks" / "guard.py"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def guard(script):
    return script("guard")


@pytest.fixture
def commit(tmp_path):
    """Makes a repository that holds this tree's code, changed, and commits it."""

    def make(file, old, new):
        for folder in ("runtime", "train", "export"):
            shutil.copytree(ROOT / folder, tmp_path / "repository" / folder)
        path = tmp_path / "repository" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")
        settings = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=0")
        for command in (("init", "-q"), ("add", "."), (*settings, "commit", "-qm", "a")):
            subprocess.run(["git", *command], cwd=tmp_path / "repository", check=True)
        return tmp_path / "repository"

    return make


def run(repository, *arguments):
    command = [sys.executable, GUARD, *arguments, "--repository", repository]
    return subprocess.run(
        [*map(str, command), "--rounds", "5", "--turns", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


PREDICT = "        encoded = self._tokenizer.encode(text)\n"


def test_either_side_runs_its_own_code(commit, bundle, tmp_path):
    """The commit sleeps where this tree does not, and is found to be the slower one."""
    slow = f"        import time; time.sleep(0.005)\n{PREDICT}"
    repository = commit("runtime/inference/classifier.py", PREDICT, slow)
    output = tmp_path / "guard.json"
    done = run(repository, "HEAD", "-m", bundle, "-o", output)
    assert done.returncode == 0, done.stderr
    found = {each["case"]: each for each in json.loads(output.read_text())["compared"]}
    assert list(found) == [
        "import", "load", "first prediction", "10 tokens", "40 tokens", "16 texts of 10",
    ]  # fmt: skip
    assert found["10 tokens"]["base_ms"] > 5
    assert found["10 tokens"]["high"] < 0.9
    assert "probabilities differ" not in done.stdout


def test_other_probabilities_are_noted(commit, bundle):
    other = PREDICT.replace("(text)", "('something else')")
    done = run(commit("runtime/inference/classifier.py", PREDICT, other), "HEAD", "-m", bundle)
    assert done.returncode == 0, done.stderr
    assert "note: probabilities differ by up to" in done.stdout


def test_a_side_that_does_not_work_is_told(commit, bundle):
    broken = f"        raise ValueError('broken')\n{PREDICT}"
    done = run(commit("runtime/inference/classifier.py", PREDICT, broken), "HEAD", "-m", bundle)
    assert done.returncode == 1
    assert done.stderr == "Error: the process of base ended: ValueError: broken\n"


def test_no_such_commit(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = run(tmp_path, "HEAD~3")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: git rev-parse")
    assert done.stderr.endswith(": no such commit\n")


@pytest.mark.parametrize(
    ("base", "current", "slower"),
    [
        ([100.0] * 9, [100.0] * 9, False),
        ([100.0] * 9, [104.0] * 9, False),  # below what is worth a word
        ([100.0] * 9, [110.0] * 9, True),
        ([100.0] * 9, [110.0, 90.0, 130.0, 95.0, 120.0, 99.0, 110.0, 100.0, 140.0], False),
        # A neighbour that slows both sides of a round cancels out.
        ([100.0, 300.0, 100.0], [100.0, 300.0, 100.0], False),
    ],
)
def test_only_what_is_certain_is_warned_of(guard, base, current, slower):
    found = guard.summary("b", "c", base, current)
    assert found.slower is slower
    assert found.low <= found.ratio <= found.high
    noise = guard.noise_in([[1000] * 10])
    text = guard.report([found], noise, "0123456789abcdef", 0.0)
    assert ("WARNING: b, c: slower than 0123456789 by a factor of" in text) is slower
    assert ("nothing is slower" in text) is (not slower)
