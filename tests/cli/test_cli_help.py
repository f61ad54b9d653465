"""The command line before it works: help, versions, extras, and what it imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import textgate

CORE = ("classify", "explain", "evaluate", "bench", "push", "inspect", "models")
EXTRA = ("train", "fit", "curve", "teach", "pretrain", "export", "compare")


def python(code, *arguments, options=()):
    return subprocess.run(
        [sys.executable, *options, "-c", code, *map(str, arguments)],
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


@pytest.mark.parametrize("name", ["", *CORE])
def test_it_is_the_same_as_a_module_and_without_docstrings(command, name):
    """`python -OO` throws them away."""
    arguments = [name, "--help"] if name else ["--help"]
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "textgate", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == command(*arguments).out


def test_the_version(command):
    shown = command("--version")
    assert (shown.status, shown.err) == (0, "")
    version, engine = shown.out.splitlines()
    assert version == f"textgate, version {textgate.__version__}"
    assert re.fullmatch(r"native engine: (built \(.+\)|not built: .+)", engine)


def test_nothing_asked(command):
    shown = command()
    assert shown.status == 2
    assert "Usage: textgate" in shown.err
    assert shown.out == ""


WRONG = [
    (["nonsense"], "Error: No such command 'nonsense'."),
    (["trian"], "Error: No such command 'trian' (did you mean 'train'?)."),
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


HELP = """
import sys
import click
from textgate.cli import commands
context = click.Context(commands)
for name in sys.argv[1:]:
    command = commands.get_command(context, name)
    print(command.get_help(click.Context(command, info_name=name)))
"""


def test_the_help_needs_no_docstrings():
    """`python -OO` drops them."""
    plain, optimized = (python(HELP, *CORE, options=options) for options in ([], ["-OO"]))
    assert plain.stdout == optimized.stdout
    assert "Classify the given texts" in plain.stdout


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


INTERRUPTED = """
import importlib.abc, runpy, sys
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[-1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
runpy.run_module("textgate", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["textgate.cli", "click", "textgate.cli.classify", "tokenizers"])
def test_an_interrupt_while_modules_are_imported(module):
    done = python(INTERRUPTED, "classify", "good", module)
    ended = done.returncode, done.stdout, done.stderr.strip()
    assert ended == (130, "", "textgate: interrupted")


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


IMPORTED = """
import importlib.abc, sys
package, module, extra, what = sys.argv[1:]
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from textgate import MissingPackageError, TextgateError
try:
    importlib.import_module(module)
except ImportError as problem:
    assert type(problem) is MissingPackageError and isinstance(problem, TextgateError)
    # Where the extra is not installed, another of its packages may be the first that is missed.
    assert problem.name in {package, "onnx", "safetensors", "tqdm"}, problem.name
    assert str(problem) == (
        f"{what} needs {problem.name}, which the extra brings: pip install 'textgate[{extra}]'"
    ), problem
else:
    raise AssertionError(module)
"""


@pytest.mark.parametrize(
    "module", ["textgate.train", "textgate.train.training.config", "textgate.export"]
)
def test_python_says_it_in_the_same_words(module):
    what = ".".join(module.split(".")[:2])
    done = python(IMPORTED, "torch", module, "train", what)
    assert (done.returncode, done.stderr) == (0, "")


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


# Out of an archive


def test_a_model_in_an_archive_is_not_found_and_why(bundle, tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTGATE_ENGINE", raising=False)  # a library cannot lie in an archive
    package = Path(textgate.__file__).parent
    archive = tmp_path / "textgate.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*"):
            if path.suffix != ".pyc":
                file.write(path, Path("textgate", path.relative_to(package)))

    def run(*arguments):
        # In isolation, or a development installation goes before the archive.
        code = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.meta_path = [finder for finder in"
            " sys.meta_path if 'ditable' not in repr(finder)]; import runpy;"
            " runpy.run_module('textgate', run_name='__main__')"
        )
        return python(code, archive, *arguments)

    assert run("classify", "-m", bundle, "good").stdout == "positive\t0.8217\tgood\n"
    for arguments in (["classify", "good"], ["models"], ["inspect"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"textgate: {archive}/textgate/models/sentiment: in the archive {archive}, but a model "
            "is read from a folder; install textgate with pip, unpack the archive, or give the "
            "folder of a bundle\n"
        )
