"""Install textgate alone with the oldest packages it promises to work with, and use it.

    python benchmarks/portability/check_oldest.py [--cache FOLDER] [--with NAME=VERSION]...

Takes the lower bounds from pyproject.toml. Trains a network in this environment, classifies and
evaluates with its bundle here and there, makes mistakes on the command line, and compares. Exits
with 1 if anything differs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from environments import UnavailableError, find_python, python_environment
from sample import ROOT, TEST_ROWS, trained_bundle

TOLERANCE = 1e-4  # largest difference of a probability

# Texts that packages have read in different ways.
ODD_TEXTS = (
    "",
    " ",
    "good \ud83d\ude00",
    "good \ud800 bad",
    "\u0000",
    "e\u0301\u200d",
    "x" * 10000,
)
# Mistakes: the same exit status is expected, and never a traceback.
MISTAKES = (
    (),
    ("nonsense",),
    ("classify",),
    ("classify", "--threads", "none", "-m", "nowhere", "a text"),
    ("classify", "-m", "nowhere", "a text"),
    ("evaluate", "-m", "nowhere", "nowhere.csv"),
)

_COMMAND = "import sys; from textgate.cli import main; sys.exit(main())"
_ABSENT = ("torch", "onnx", "safetensors")  # what only the extras bring


@click.command()
@click.option(
    "--cache", type=click.Path(path_type=Path), default=Path("runs/portability"), show_default=True
)
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="NAME=VERSION",
    help="Another version than the lower bound, as in onnxruntime=1.15.0.",
)
def main(cache: Path, others: tuple[str, ...]) -> None:
    """Use textgate with the oldest packages it promises to work with."""
    try:
        bundle = trained_bundle(cache / "trained")
        result = check(bundle, cache, dict(other.split("=", 1) for other in others))
    except UnavailableError as reason:
        raise click.ClickException(f"not checked: {reason}") from None
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["ok"] else 1)


def check(bundle: Path, cache: Path, others: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the versions and what was found.

    Args:
        bundle: what to classify with, trained on the sample reviews.
        cache: where environments are kept.
        others: versions to take instead of the lower bounds, by package.

    Raises:
        UnavailableError: there is no such interpreter, or pip cannot install the packages.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = oldest(project["project"]["dependencies"]) | (others or {})
    version = project["project"]["requires-python"].removeprefix(">=")
    requirements = [f"{name}=={pin}" for name, pin in pins.items()]
    folder = cache / "-".join(["oldest", *(others or {}).values()])
    old = python_environment(folder, find_python(version), requirements)
    _install(old, _copied_sources(cache / "sources", project))
    result: dict[str, Any] = {
        "versions": {"python": version, **pins},
        "absent": [name for name in _ABSENT if not _can_import(old, name)],
    }
    try:
        result |= _compared_answers(old, bundle, cache)
    except subprocess.CalledProcessError as problem:
        result["error"] = f"textgate {problem.cmd[3]} exits with {problem.returncode}"
    result["mistakes"] = [_mistake(old, arguments) for arguments in MISTAKES]
    result["ok"] = (
        "error" not in result
        and len(result["absent"]) == len(_ABSENT)
        and result["same_decision"] == result["rows"]
        and result["largest_difference"] <= TOLERANCE
        and result["accuracy"]["here"] == result["accuracy"]["there"]
        and all(line["here"] == line["there"] for line in result["mistakes"])
    )
    return result


def oldest(dependencies: list[str]) -> dict[str, str]:
    """Return the lower bound of ``name>=version`` requirements, by name.

    Raises:
        ValueError: a requirement has another form.
    """
    bounds = {}
    for text in dependencies:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)", text)
        if match is None:
            raise ValueError(f"pyproject.toml: {text!r} is not of the form name>=version")
        bounds[match[1]] = match[2]
    return bounds


def _copied_sources(target: Path, project: dict[str, Any]) -> Path:
    """Copy what a build needs: building leaves files where it runs."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in project["tool"]["setuptools"]["package-dir"].values():
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", project["project"]["readme"], "LICENSE"):
        shutil.copyfile(ROOT / name, target / name)
    return target


def _install(python: Path, sources: Path) -> None:
    """Install the sources as they are now; the other packages are there already."""
    command = [python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", sources]
    subprocess.run(command, check=True)


def _compared_answers(old: Path, bundle: Path, cache: Path) -> dict[str, Any]:
    """Return how the answers of `textgate classify` and `textgate evaluate` compare."""
    odd = cache / "odd.jsonl"
    odd.write_text("".join(json.dumps({"text": text}) + "\n" for text in ODD_TEXTS), "utf-8")
    answers = {}
    accuracy = {}
    for where, python in (("here", Path(sys.executable)), ("there", old)):
        lines = [
            line
            for file in (TEST_ROWS, odd)
            for line in _textgate(python, "classify", "-m", bundle, "-i", file).splitlines()
        ]
        answers[where] = [json.loads(line) for line in lines]
        evaluated = _textgate(python, "evaluate", "-m", bundle, TEST_ROWS, "--json")
        accuracy[where] = json.loads(evaluated)["accuracy"]
    pairs = list(zip(answers["here"], answers["there"], strict=True))
    return {
        "rows": len(pairs),
        "same_decision": sum(here["label"] == there["label"] for here, there in pairs),
        "largest_difference": max(
            abs(here["scores"][label] - there["scores"][label])
            for here, there in pairs
            for label in here["scores"]
        ),
        "differing_texts": [
            here["text"][:40] for here, there in pairs if here["scores"] != there["scores"]
        ],
        "accuracy": accuracy,
    }


def _mistake(old: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return what a wrong command line ends with: its exit status, or that there is a traceback."""
    endings: dict[str, Any] = {"arguments": " ".join(arguments)}
    for where, python in (("here", sys.executable), ("there", old)):
        done = subprocess.run(
            [python, "-c", _COMMAND, *arguments], capture_output=True, text=True, check=False
        )
        traceback = "Traceback" in done.stderr
        last = done.stderr.strip().rpartition("\n")[2]
        endings[where] = f"traceback: {last}" if traceback else f"exit status {done.returncode}"
    return endings


def _textgate(python: Path, *arguments: str | Path) -> str:
    command = [python, "-c", _COMMAND, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


def _can_import(python: Path, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
