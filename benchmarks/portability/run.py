"""Run bundles of every kind in many runtimes, old and new, and compare what they answer.

    python benchmarks/portability/run.py [--arm-root FOLDER]

Makes the cases, an environment for each runtime of the table below, and runs the cases there.
Writes benchmarks/results/portability.json and the table of the README beside this file. What cannot
be had here is skipped, with a word. Exits with 1 if a runtime that should work does not, or one
that should not does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import check_oldest
import click
from environments import (
    HERE,
    UnavailableError,
    arm_python,
    find_python,
    python_environment,
    web_folder,
    x86_emulator,
)
from make_cases import BUNDLE, make

from textgate.environment import NO_ONNX_RUNTIME_TELEMETRY
from textgate.machine import this_machine
from textgate.tables import format_table, markdown_table

RESULT = HERE.parent / "results" / "portability.json"
_ALIGN = "<<>>>><<"
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Runtime:
    """One line of the table of runtimes.

    Attributes:
        version: onnxruntime's, or onnxruntime-web's.
        numpy: what pip should install beside it; "" for onnxruntime-web.
        python: the interpreter's version; "" for onnxruntime-web.
        processor: QEMU's name of the processor to emulate; "" is this machine's.
        arm: whether that is a 64-bit ARM.
        package: the name in package.json, for onnxruntime-web.
        works: whether every case should agree; else none should load.
    """

    version: str
    numpy: str = ""
    python: str = ""
    processor: str = ""
    arm: bool = False
    package: str = ""
    works: bool = True

    @property
    def name(self) -> str:
        """What reports call it."""
        name = f"{'onnxruntime-web' if self.package else 'onnxruntime'} {self.version}"
        return f"{name} on {self.processor}" if self.processor else name


CURRENT = partial(
    Runtime, version("onnxruntime"), numpy=f"numpy=={version('numpy')}", python=THIS_PYTHON
)
# numpy 2 changed its binary interface, and onnxruntime before 1.19 knows only the old one.
RUNTIMES = (
    CURRENT(),
    Runtime("1.27.0", "numpy", "3.11"),
    Runtime("1.22.1", "numpy", "3.11"),
    Runtime("1.19.2", "numpy", "3.11"),
    Runtime("1.17.3", "numpy<2", "3.11"),
    Runtime("1.16.3", "numpy<2", "3.11"),
    Runtime("1.15.0", "numpy<2", "3.11"),
    Runtime("1.14.0", "numpy<2", "3.10"),
    Runtime("1.13.1", "numpy<2", "3.10", works=False),
    # AVX2 without VNNI, and AVX without AVX2.
    CURRENT(processor="Haswell"),
    Runtime("1.17.3", "numpy<2", "3.11", processor="Haswell"),
    CURRENT(processor="SandyBridge"),
    # A Raspberry Pi 4's processor.
    Runtime("1.27.0", "numpy<2.4", processor="cortex-a72", arm=True),
    Runtime("1.17.3", "numpy<2", processor="cortex-a72", arm=True),
    Runtime("1.30.0", package="onnxruntime-web"),
    Runtime("1.14.0", package="onnxruntime-web-1.14"),
    Runtime("1.13.1", package="onnxruntime-web-1.13", works=False),
)


@click.command()
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("runs/portability"),
    show_default=True,
    help="Where cases and environments are kept.",
)
@click.option(
    "--arm-root",
    type=click.Path(exists=True, path_type=Path),
    help="File system of a 64-bit ARM Linux with Python, for the emulated ARM.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULT)
def main(cache: Path, arm_root: Path | None, output: Path) -> None:
    """Run bundles of every kind in many runtimes, and compare what they answer."""
    cache = cache.absolute()
    golden_folder = cache / "golden"
    make(golden_folder)
    golden = json.loads((golden_folder / "golden.json").read_text(encoding="utf-8"))
    lines, checked = [], {}
    for runtime in RUNTIMES:
        print(f"{runtime.name} ...", file=sys.stderr, flush=True)
        line, found = outcome(runtime, cache, arm_root)
        lines.append(line)
        checked[runtime.name] = found
    print("the oldest packages ...", file=sys.stderr, flush=True)
    oldest = oldest_packages(golden_folder / BUNDLE, cache)
    result = {
        "machine": asdict(this_machine()),
        **{name: golden[name] for name in ("tolerance", "opset", "ir_version", "reference")},
        "oldest_packages": oldest,
        "runtimes": lines,
        "cases": {
            case["name"]: {
                name: _rounded(max(filter(None, found[case["name"]].values()), default=0.0))
                for name, found in checked.items()
                if found
            }
            for case in golden["cases"]
        },
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(to_json(result), encoding="utf-8")
    header, rows = table(lines)
    print(format_table(header, rows, align=_ALIGN))
    if output == RESULT:
        _write_readme(markdown_table(header, rows, align=_ALIGN))
    print(f"\nthe oldest packages of pyproject.toml: {_said(oldest)}")
    surprises = [line["name"] for line in lines if line["outcome"] == "unexpected"]
    if surprises:
        print(f"not as expected: {', '.join(surprises)}")
    sys.exit(1 if surprises or oldest.get("ok") is False else 0)


def outcome(
    runtime: Runtime, cache: Path, arm_root: Path | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the cases in one runtime.

    Returns:
        Its line of the report, whose ``outcome`` is ``agrees``, ``refuses`` (as it should),
        ``unexpected`` or ``skipped``; and the differences by case, {} where there are none.
    """
    line: dict[str, Any] = {"name": runtime.name}
    report = cache / "reports" / f"{runtime.name.replace(' ', '-')}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    try:
        command = _command(runtime, cache, arm_root)
    except UnavailableError as reason:
        return {**line, "outcome": "skipped", "reason": str(reason)}, {}
    done = subprocess.run(
        [*command, cache / "golden", report, *([runtime.package] if runtime.package else [])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, NO_ONNX_RUNTIME_TELEMETRY: "1"},
    )
    if not report.exists():
        print(done.stdout, done.stderr, file=sys.stderr)
        reason = f"the check ended with status {done.returncode}"
        return {**line, "outcome": "unexpected", "reason": reason}, {}
    found = json.loads(report.read_text(encoding="utf-8"))
    line["versions"] = found["versions"]
    line |= {name: found[name] for name in ("saturates", "override") if name in found}
    errors = {name: case["error"] for name, case in found["cases"].items() if "error" in case}
    if errors:
        refuses = not runtime.works and len(errors) == len(found["cases"])
        line["outcome"] = "refuses" if refuses else "unexpected"
        line["reason"] = next(iter(errors.values()))
        return line | ({} if refuses else {"refused_cases": list(errors)}), {}
    for key in ("batches", "pieces"):
        values = [case[key] for case in found["cases"].values()]
        line[key] = _rounded(max(value for value in values if value is not None))
    line["trained"] = found["trained"]
    line["outcome"] = "agrees" if found["ok"] and runtime.works else "unexpected"
    return line, found["cases"]


def _command(runtime: Runtime, cache: Path, arm_root: Path | None) -> list[str | Path]:
    """Return what starts the check in a runtime, its environment made if needed.

    Raises:
        UnavailableError: the runtime cannot be had here.
    """
    if runtime.package:
        return ["node", web_folder(cache / "web") / "check_web.mjs"]
    check = HERE / "check_python.py"
    packages = [f"onnxruntime=={runtime.version}", runtime.numpy]
    if runtime.arm:
        folder = cache / f"arm-{runtime.version}"
        return [*arm_python(folder, arm_root, runtime.processor, packages), check]
    emulator = x86_emulator(runtime.processor) if runtime.processor else []
    python = find_python(runtime.python)
    return [*emulator, python_environment(cache / runtime.version, python, packages), check]


def oldest_packages(bundle: Path, cache: Path) -> dict[str, Any]:
    """Return what using textgate with the oldest packages it promises gave."""
    try:
        return check_oldest.check(bundle, cache)
    except UnavailableError as reason:
        return {"skipped": str(reason)}


def table(lines: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the report, one row for each runtime."""
    header = [
        "runtime",
        "outcome",
        "in batches",
        "in pieces",
        "trained",
        "texts above",
        "8-bit sums cut off",
        "remark",
    ]
    rows = []
    for line in lines:
        remark = line.get("reason", "").rstrip(".").rpartition(". ")[2]  # the last sentence
        trained = line.get("trained")
        if str(line.get("override", "")).startswith("refused"):
            remark = "streams only with states as required inputs"
        rows.append(
            [
                line["name"],
                line["outcome"],
                f"{line['batches']:.1e}" if "batches" in line else "-",
                f"{line['pieces']:.1e}" if "pieces" in line else "-",
                f"{trained['largest']:.1e}" if trained else "-",
                f"{trained['above_tolerance']} of {trained['texts']}" if trained else "-",
                {True: "yes", False: "no"}.get(line.get("saturates"), "-"),
                remark,
            ]
        )
    return header, rows


def to_json(result: dict[str, Any]) -> str:
    """Return the result as JSON, one line for each case: there are many."""
    cases = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(found)}" for name, found in result["cases"].items()
    )
    rest = json.dumps({**result, "cases": {}}, indent=2)
    return rest.removesuffix("{}\n}") + "{\n" + cases + "\n  }\n}\n"


def _write_readme(markdown: str) -> None:
    """Put the table between the README's marks."""
    path = HERE / "README.md"
    begin, end = "<!-- begin results -->\n", "<!-- end results -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    path.write_text(f"{before}{begin}{markdown}\n{end}{after}", encoding="utf-8")


def _rounded(value: float) -> float:
    return float(f"{value:.1e}")


def _said(oldest: dict[str, Any]) -> str:
    if "skipped" in oldest:
        return f"skipped: {oldest['skipped']}"
    return "work" if oldest["ok"] else "DO NOT WORK"


if __name__ == "__main__":
    main()
