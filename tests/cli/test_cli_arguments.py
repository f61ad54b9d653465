"""Arguments of the command line are bytes: texts are UTF-8, and files have their names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import click
import pytest

from textgate.cli import commands

LOCALES = {
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "1"},
}
ROWS = [
    {"gr\u00f6\u00dfe": "a good film", "\u00e4nder": "positive"},
    {"gr\u00f6\u00dfe": "a bad film", "\u00e4nder": "negative"},
]
NAMES = [b"rows.jsonl", "z\u00e4h.jsonl".encode(), b"z\xe4h.jsonl"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="arguments are not bytes on this system")


@pytest.fixture(params=LOCALES.values(), ids=LOCALES)
def textgate(request, tmp_path):
    """Runs the command line in a locale, in an empty folder; returns what it writes."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "textgate", *map(os.fsencode, arguments)],
            check=False,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **request.param},
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        return done.stdout.decode("utf-8")

    return run


def test_a_text(textgate, bundle):
    text = "gr\u00f6\u00dfe \u0394 \U0001f600 good"
    assert textgate("classify", "-m", bundle, text).endswith(f"\t{text}\n")


@pytest.mark.parametrize("name", NAMES)
def test_files_and_fields(textgate, bundle, tmp_path, write_jsonl, name):
    path = tmp_path / os.fsdecode(name)
    try:
        write_jsonl(path, ROWS)
    except OSError:
        pytest.skip("this file system has names of its own")
    fields = ("--text-field", "gr\u00f6\u00dfe", "--label-field", "\u00e4nder")
    assert "rows               2\n" in textgate("evaluate", "-m", bundle, name, *fields)
    results = b"of-" + name
    assert textgate("classify", "-m", bundle, "-i", name, *fields[:2], "-o", results) == ""
    lines = (tmp_path / os.fsdecode(results)).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        ['{"gr\u00f6\u00dfe":"a good film"', '"\u00e4nder":"positive"'],
        ['{"gr\u00f6\u00dfe":"a bad film"', '"\u00e4nder":"negative"'],
    ]


def test_a_bundle(textgate, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "m\u00f6dell")
    assert textgate("classify", "-m", "m\u00f6dell", "good").startswith("positive")


TEXTS = {
    "--among",
    "--label-field",
    "--label-fields",
    "--label-separator",
    "--pooling",
    "--stop-label",
    "--group-field",
    "--weight-field",
    "--text-field",
    "[TEXT]...",
    # What is looked at by a callback, or by torch, and never has other letters.
    "--batch-sizes",
    "--cors-origin",
    "--dataset",
    "--max-latency",
    "--tune",
    "--delimiter",
    "--dense",
    "--device",
    "--encoding",
    "--hidden",
    "--host",
    "--jobs",
    "--language",
    "--lengths",
    "--license",
    "--max-body",
    "--max-size",
    "--revision",
    "--slice-by",
    "--threads",
    "OWNER/NAME",
}


def test_every_file_is_one_of_its_type():
    """What is not is decoded, and a file of that name not found in another locale."""
    context = click.Context(commands)
    found = set()
    for name in commands.list_commands(context):
        try:
            command = commands.get_command(context, name)
        except ImportError:  # the extra is not installed
            continue
        for parameter in command.params:
            if isinstance(parameter.type, click.types.StringParamType):
                long_name = max(parameter.opts, key=len)
                is_argument = isinstance(parameter, click.Argument)
                found.add(parameter.metavar if is_argument else long_name)
    assert found <= TEXTS
