"""What all tests share: the small bundles, the command line run in-process, guards for extras."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from textgate.architecture import Architecture
from textgate.rows import Row

# A shell that starts the tests in the background has them ignore this signal, and what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when torch starts: the networks here are too small for several threads.
os.environ["OMP_NUM_THREADS"] = "1"

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
NEED_TRAINING = ("train", "export", "benchmarks")  # folders
TRAINING_PACKAGES = ("torch", "onnx", "safetensors", "tqdm")


def missing_packages() -> list[str]:
    return [name for name in TRAINING_PACKAGES if importlib.util.find_spec(name) is None]


class SkippedModule(pytest.Module):
    """A test module that is not even imported."""

    def collect(self) -> Iterable[pytest.Item]:
        pytest.skip(
            f"{', '.join(missing_packages())} not installed: pip install 'textgate[train]'",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip the tests of the extra where it is not installed, saying so."""
    folder = module_path.relative_to(TESTS).parts[0]
    needs_it = folder in NEED_TRAINING or module_path.name.startswith("test_cli_training")
    if needs_it and missing_packages():
        return SkippedModule.from_parent(parent, path=module_path)
    return None


@pytest.fixture(scope="session")
def bundles() -> Mapping[str, Path]:
    """The bundles that tests/data/make.py made, by name."""
    return {path.parent.name: path.parent for path in (TESTS / "data").glob("*/textgate.json")}


@pytest.fixture(scope="session")
def bundle(bundles: Mapping[str, Path]) -> Path:
    """A single-label int8 LSTM that tells positive from negative."""
    return bundles["lstm-int8"]


@pytest.fixture(scope="session")
def reviews() -> Path:
    """The folder of the sample data."""
    return REPOSITORY / "examples" / "reviews"


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What a refused command says: one line, or click's usage and one line."""
        assert self.status in (1, 2), (self.status, self.err)
        assert "Traceback" not in self.err
        *others, last = self.err.splitlines()
        if last.startswith("Error: "):
            assert self.status == 2
            assert others[0].startswith("Usage: textgate")
        else:
            assert last.startswith("textgate: "), self.err
        return last


class Terminal(io.TextIOWrapper):
    """Standard input where nothing is piped in."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="session")
def command() -> Callable[..., Outcome]:
    """Runs the command line in this process: ``command("classify", "-m", path, stdin=b"...")``."""

    def run(*arguments: object, stdin: bytes = b"", terminal: bool = False) -> Outcome:
        from textgate import cli

        kind = Terminal if terminal else io.TextIOWrapper
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["textgate", *map(str, arguments)])
            patch.setattr(sys, "stdin", kind(io.BytesIO(stdin), encoding="utf-8"))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            status = cli._status()
            out.flush()
            err.flush()
        texts = [stream.buffer.getvalue().decode("utf-8") for stream in (out, err)]
        return Outcome(status, *texts)

    return run


@pytest.fixture(scope="session")
def write_jsonl() -> Callable[..., Path]:
    """Writes objects as JSON Lines and returns the path."""

    def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


# Rows that are easy to learn, and networks that are quick to train

WORDS = {"good": "fine", "bad": "awful", "odd": "weird"}  # label -> the word that gives it away
FILLERS = [f"w{number}" for number in range(20)]
SETTINGS = {
    "embedding_size": 8,
    "hidden_sizes": (12,),
    "vocabulary_size": 600,
    "vectors": "none",
    "max_tokens": 20,
    "learning_rate": 0.02,
    "schedule": "constant",
    "batch_size": 16,
    "epochs": 12,
}


def _text(generator, *words):
    fillers = generator.sample(FILLERS, generator.randint(1, 8))
    mixed = [*fillers, *words]
    generator.shuffle(mixed)
    return " ".join(mixed)


@pytest.fixture(scope="session")
def separable():
    """Makes rows of two or three labels, or of several labels a row, that one word decides."""

    def make(count, labels=("good", "bad"), *, multi_label=False, seed=0):
        generator = random.Random(seed)
        rows = []
        for line in range(1, count + 1):
            chosen = (labels[line % len(labels)],)
            if multi_label:
                chosen = tuple(label for label in labels if generator.random() < 0.5)
            text = _text(generator, *(WORDS[label] for label in chosen))
            rows.append(Row(text, chosen, line))
        return rows

    return make


@pytest.fixture(scope="session")
def quick():
    """Settings that learn such rows in a second."""
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def architecture():
    """Makes small networks."""

    def make(**changes):
        values = {
            "vocabulary_size": 30,
            "embedding_size": 5,
            "cell": "lstm",
            "hidden_sizes": (7,),
            "bidirectional": False,
            "pooling": ("last",),
            "dense_sizes": (),
            "output": "softmax",
            "label_count": 3,
        }
        return Architecture(**values | changes)

    return make
