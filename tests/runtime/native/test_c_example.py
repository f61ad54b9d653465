"""The example in C classifies as the package does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from textgate import Classifier
from textgate.native.library import LibraryError, library

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "c"
COMPILER = shutil.which("cc")

try:
    library()
except LibraryError as problem:
    pytest.skip(str(problem), allow_module_level=True)
if COMPILER is None:
    pytest.skip("there is no C compiler", allow_module_level=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "classify"
    native = ROOT / "runtime" / "native"
    sources = [EXAMPLE / "classify.c", *sorted(native.glob("*.c"))]
    flags = ["-std=c11", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", f"-I{native}"]
    subprocess.run([COMPILER, *flags, *sources, "-lm", "-o", path], check=True)
    return path


def classified(program, *arguments):
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


def test_a_text(program, bundles, tmp_path):
    for bundle in bundles.values():
        model, text = tmp_path / "model.tge", "A wonderful, moving film."
        command = [sys.executable, EXAMPLE / "convert.py", model, text, bundle]
        converted = subprocess.run(command, check=True, capture_output=True, text=True)
        done = classified(program, model, *converted.stdout.split())
        assert (done.returncode, done.stderr) == (0, "")
        expected = Classifier.load(bundle, engine="native").predict(text).scores.values()
        assert [float(line) for line in done.stdout.split()] == pytest.approx(
            list(expected), rel=1e-7
        )
    refused = classified(program, model, "1", "-1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith(": a token id is outside the vocabulary\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "damaged or of another version"), (b"TGE1" * 99, "damaged"), (None, "cannot be read")],
)
def test_a_file_that_is_no_model(program, tmp_path, content, message):
    path = tmp_path / "model.tge"
    if content is not None:
        path.write_bytes(content)
    refused = classified(program, path, "1")
    assert refused.returncode == 1
    assert message in refused.stderr
