"""The command line before it works: help, versions, extras, and what it imports."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import textgate

CORE = ("classify", "evaluate", "bench", "inspect")
EXTRA = ("train", "teach", "pretrain", "export", "compare")


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_of_the_group(command, option):
    shown = command(option)
    assert (shown.status, shown.err) == (0, "")
    for name in CORE + EXTRA:
        assert f"\n  {name} " in shown.out
    assert "Exit status: 0 done, 1 the work failed, 2 wrong usage." in shown.out


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("name", CORE)
def test_the_help_of_a_command(command, name, option):
    shown = command(name, option)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: textgate {name} [OPTIONS]")
    assert "-h, --help" in shown.out


def test_the_version(command):
    shown = command("--version")
    assert (shown.status, shown.err) == (0, "")
    version, engine = shown.out.splitlines()
    assert version == f"textgate, version {textgate.__version__}"
    assert re.fullmatch(r"engine: (native|onnxruntime) \(.+\)", engine)


def test_nothing_asked(command):
    shown = command()
    assert shown.status == 2
    assert "Usage: textgate" in shown.err
    assert shown.out == ""


WRONG = [
    (["nonsense"], "Error: No such command 'nonsense'."),
    (["--nonsense"], "Error: No such option '--nonsense'."),
    (["evaluate", "-m", "x"], "Error: Missing argument 'DATA'."),
    (["models", "sentiment"], "Error: Got unexpected extra argument (sentiment)"),
    (["inspect", "a", "b"], "Error: Got unexpected extra argument (b)"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_usage(command, arguments, message):
    shown = command(*arguments)
    assert shown.status == 2
    assert shown.message == message
    assert shown.out == ""


LIGHT = """
import sys
from textgate.cli import _status
sys.argv = ["textgate", *sys.argv[1:]]
status = _status()
heavy = {"numpy", "onnxruntime", "tokenizers", "torch", "onnx", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
sys.exit(status)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    done = python(LIGHT, *arguments)
    assert done.returncode == 0, done.stderr
    assert "textgate" in done.stdout


# An installation without some packages, whatever is installed here.
WITHOUT = """
import importlib.abc, sys
absent = sys.argv[1].split(",")
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from textgate.cli import main
sys.argv[1:] = sys.argv[2:]
main()
"""


@pytest.mark.parametrize(
    ("name", "package"), [*((name, "torch") for name in EXTRA), ("export", "onnx")]
)
def test_a_missing_extra_says_how_to_get_it(name, package):
    done = python(WITHOUT, package, name, "--help")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"textgate: textgate {name} needs ")
    assert line.endswith("which the extra brings: pip install 'textgate[train]'")


def test_the_core_works_without_the_extra(bundle):
    absent = "torch,onnx,safetensors,tqdm,pyarrow"
    done = python(WITHOUT, absent, "classify", "-m", bundle, "a fine film")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\ta fine film\n")
    assert done.stderr == ""
    assert python(WITHOUT, absent, "inspect", bundle).returncode == 0
    listed = python(WITHOUT, absent, "--help")
    assert listed.returncode == 0
    assert "train" in listed.stdout


def test_a_broken_installation_of_the_core_is_not_blamed_on_the_extra():
    done = python(WITHOUT, "textgate.train", "train", "--help")
    assert done.returncode == 1
    assert "textgate[train]" not in done.stderr
