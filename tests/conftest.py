"""Fixtures of all tests: small bundles, the command line run in-process, guards for extras."""

from __future__ import annotations

import gc
import importlib.util
import io
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hub_server import FakeHub, running_hub
from textgate.bundle.architecture import Architecture
from textgate.rows import Row

# A shell that starts the tests in the background has them ignore this signal, and what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when torch starts: the networks here are too small for several threads.
os.environ["OMP_NUM_THREADS"] = "1"
# Read by the clients of servers here.
os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
NEED_TRAINING = ("train", "export", "sklearn", "benchmarks")  # folders
TRAINING_PACKAGES = ("torch", "onnx", "safetensors", "tqdm")


def missing_packages(folder: str) -> list[str]:
    wanted = (*TRAINING_PACKAGES, "sklearn") if folder == "sklearn" else TRAINING_PACKAGES
    return [name for name in wanted if importlib.util.find_spec(name) is None]


class SkippedModule(pytest.Module):
    """A test module that is not even imported."""

    def collect(self) -> Iterable[pytest.Item]:
        folder = self.path.relative_to(TESTS).parts[0]
        extra = "sklearn" if folder == "sklearn" else "train"
        pytest.skip(
            f"{', '.join(missing_packages(folder))} not installed: pip install 'textgate[{extra}]'",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Skip the tests of the extra where it is not installed, saying so."""
    folder = module_path.relative_to(TESTS).parts[0]
    needs_it = folder in NEED_TRAINING or module_path.name.startswith("test_cli_training")
    if needs_it and missing_packages(folder):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the processes that run for long before all tests, and wait for them after all."""
    watching = [item for item in items if "watched" in getattr(item, "fixturenames", ())]
    first = list({item.path: item for item in reversed(watching)}.values())
    others = [item for item in items if item not in watching]
    items[:] = [*first, *others, *(item for item in watching if item not in first)]


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later `gc.collect()`, which would take half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def brief_timing() -> Iterator[None]:
    """Exports time their graphs with the fewest calls: no test reads the figures."""
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules:  # what trains nothing need not import it
            patch.setattr("textgate.export.exporter._TIMED_SECONDS", 0.0)
        yield


@pytest.fixture(scope="module", autouse=True)
def short_collections() -> None:
    """Leave what earlier modules imported out of later collections, as `pytest_collection_finish`.

    Every export and every measuring collects garbage first.
    """
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub on the loopback interface, an empty cache, and a token for both."""
    pytest.importorskip("huggingface_hub", reason="pip install 'textgate[hub]'")
    constants = importlib.import_module("huggingface_hub.constants")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as server:
        page = "/{repo_id}/resolve/{revision}/{filename}"
        for name, value in {
            "ENDPOINT": server.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.address + page,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": False,
            "HF_HUB_DISABLE_TELEMETRY": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        yield server


# Processes that must leave the network and other people's folders alone

# The number of the system call `socket`, by architecture and audit number.
SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
# The system ends the process at its first socket, whichever thread opens it, native code included.
# Processes that it starts are treated alike.
BLOCKED = """
import ctypes, struct, sys
number, architecture = map(int, sys.argv[1:3])
del sys.argv[1:3]
LOAD, EQUAL, RETURN, KILL_PROCESS, ALLOW = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 0),
         (EQUAL, 0, 1, number), (RETURN, 0, 0, KILL_PROCESS), (RETURN, 0, 0, ALLOW)]
code = b"".join(struct.pack("HBBI", *step) for step in steps)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(77)
"""
# Everything else is left out: what runs tests sets variables that keep libraries quiet, as CI does.
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Watched:
    """A process without sockets, with a home of its own."""

    process: subprocess.Popen[bytes]
    home: Path
    begun: float

    def finish(
        self, last_words: bytes = b"", *, seconds: float = 0, folders: Iterable[str] = ()
    ) -> bytes:
        """Return what it printed; it must have done its work, and written no file in its home.

        Args:
            last_words: what it reads before its standard input ends.
            seconds: how long it must have run before that.
            folders: those that it may leave behind, empty.
        """
        time.sleep(max(0, self.begun + seconds - time.monotonic()))
        out, err = self.process.communicate(last_words, timeout=300)
        if self.process.returncode == 77:
            pytest.skip("this system does not let a process give up calls")
        assert (self.process.returncode, err) == (0, b""), out
        # Its home is its working directory and its temporary directory, too.
        found = {path.relative_to(self.home).as_posix() for path in self.home.rglob("*")}
        assert found <= set(folders)
        return out


@pytest.fixture(scope="session")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Watched]:
    """Starts Python code in a process that ends at its first socket: ``watch(code, argument)``."""
    if sys.platform != "linux" or platform.machine() not in SOCKET:
        pytest.skip("needs Linux on a processor whose system calls are known here")

    def start(code: str, *arguments: object) -> Watched:
        home = tmp_path_factory.mktemp("home")
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        # With a name of its own, nothing need ask the system for the user's, by way of a socket.
        environment |= {"HOME": str(home), "TMPDIR": str(home), "USER": "user"}
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                BLOCKED + code,
                *map(str, (*SOCKET[platform.machine()], *arguments)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home,
            env=environment,
        )
        return Watched(process, home, time.monotonic())

    return start


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
    "batch_size": 16,
    "epochs": 12,
    "folds": 0,  # dev rows are held out, however few rows there are
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


@pytest.fixture(scope="module")
def browser():
    """Chromium, closed before the next module's: two at a time cannot be driven."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


# Transformers


@pytest.fixture(scope="session")
def make_encoder():
    """Writes a tiny BERT with random weights that knows the words of the rows."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed: pip install 'textgate[teacher]'")
    import torch
    import transformers
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel

    words = ["fine", "awful", "weird", *(f"w{number}" for number in range(20))]

    def make(folder, *, seed=0, **changes):
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        vocabulary = {word: index for index, word in enumerate([*specials, *words])}
        tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        tokenizer.enable_padding(length=30)  # as some have it, which must not count
        config = transformers.BertConfig(
            **{
                "vocab_size": len(vocabulary),
                "hidden_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "max_position_embeddings": 40,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
            }
            | changes
        )
        torch.manual_seed(seed)
        transformers.BertModel(config).save_pretrained(folder)
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return make


@pytest.fixture(scope="session")
def encoder(make_encoder, tmp_path_factory):
    """A tiny BERT without dropout."""
    return make_encoder(tmp_path_factory.mktemp("encoder"))
