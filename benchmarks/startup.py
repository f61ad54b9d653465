"""Start-up time of commands compared with the imports that they cannot avoid.

Installs textgate as users do, from a wheel in a separate environment (an editable installation
finds modules in another way), and starts fresh processes in alternation.

    python benchmarks/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from common import PATH, Goal, output_option, write_result
from pages.templates import goals as goal_table

from textgate.bench.timing import (
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
)
from textgate.environment import NO_ONNX_RUNTIME_TELEMETRY

ROOT = Path(__file__).parents[1]
BUNDLE = Path("tests/data/lstm-int8")  # relative to the repository, where the commands run

# Command -> the command it is compared with, and the largest ratio.
NATIVE, OTHER = "textgate classify --engine native", "textgate classify --engine onnxruntime"
GOALS = {
    "textgate --help": ("import click", 1.3),
    "textgate classify": ("import libraries", 1.35),
    NATIVE: (OTHER, 0.6),
}

# Loads the package's model and classifies one text; prints milliseconds.
FIRST_ANSWER = """
import time, textgate.inference.classifier
begun = time.perf_counter()
textgate.inference.classifier.Classifier.load().predict("Great battery, awful screen.")
print(1000 * (time.perf_counter() - begun))
"""
_FIRST_ANSWERS = 15  # processes
MAX_FIRST_ANSWER_MS = 60
# Prints the resident memory after the first answer, in bytes.
MEMORY = """
import re, pathlib, textgate
textgate.Classifier.load(engine="native").predict("Great battery, awful screen.")
status = pathlib.Path("/proc/self/status").read_text()
print(1024 * int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]))
"""
MAX_MEMORY_MB = 40


def environment_option(name: str) -> Callable[[Any], Any]:
    """Return the option for the folder where textgate is installed."""
    text = "Folder to install textgate in; replaced."
    return click.option("--environment", type=PATH, default=Path("runs") / name, help=text)


@click.command()
@click.option("--seconds", default=120.0, show_default=True, help="Measuring time.")
@environment_option("startup")
@output_option("startup")
def main(seconds: float, environment: Path, output: Path) -> None:
    """Measure how long commands take to start."""
    programs = install(environment.absolute())
    commands = {
        "import click": [programs / "python", "-c", "import click"],
        "textgate --help": [programs / "textgate", "--help"],
        "import libraries": [programs / "python", "-c", "import numpy, onnxruntime, tokenizers"],
        "textgate classify": [programs / "textgate", "classify", "-m", BUNDLE, "x"],
        **{
            name: [programs / "textgate", *name.split()[1:], "x"]  # the package's model
            for name in (NATIVE, OTHER)
        },
    }
    times = measure_alternating(
        {name: starting(command) for name, command in commands.items()}, seconds=seconds, warm_up=3
    )
    goals = [
        Goal(f"{name} / {base}", ratio_of_medians(times[name], times[base]), bound)
        for name, (base, bound) in GOALS.items()
    ]
    python, what = programs / "python", "first answer of the package's model"
    answered, memory = printed(python, FIRST_ANSWER), printed(python, MEMORY) / 1e6
    goals.append(Goal(f"{what} after imports, ms", answered, MAX_FIRST_ANSWER_MS))
    goals.append(Goal(f"memory after the {what}, native engine, MB", memory, MAX_MEMORY_MB))
    found = {name: asdict(percentiles(taken)) for name, taken in times.items()}
    result = {
        "commands": {
            name: " ".join([Path(program).name, *map(str, rest)])
            for name, (program, *rest) in commands.items()
        },
        "milliseconds": found,
        "intervals": {
            name: bootstrap_ratio_interval(times[name], times[base])
            for name, (base, _) in GOALS.items()
        },
    }
    print(goal_table(write_result(output, result, goals)))


def install(folder: Path) -> Path:
    """Install textgate in a new environment and return the folder of its programs."""
    wheels = folder / "wheels"
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("textgate-*.whl")
    subprocess.run([*pip, "install", "-c", ROOT / "constraints.txt", wheel], check=True)
    return python.parent


def printed(python: Path, program: str) -> float:
    """Return the median of what a program prints, of several processes."""
    command = [python, "-c", program]
    found = [
        float(subprocess.run(command, capture_output=True, cwd=ROOT, check=True).stdout)
        for _ in range(_FIRST_ANSWERS)
    ]
    return statistics.median(found)


def starting(command: list[str | Path]) -> Callable[[], object]:
    """Return a function that runs a command to its end and discards its output."""
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    environment[NO_ONNX_RUNTIME_TELEMETRY] = "1"  # the same condition for both sides

    def start() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT, check=True)

    return start


if __name__ == "__main__":
    main()
