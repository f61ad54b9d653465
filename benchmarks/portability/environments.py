"""Throw-away environments: virtual ones for Python, npm's packages, emulated processors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_WEB_FILES = ("package.json", "check_web.mjs", "streamable.mjs")
# What wheels for a 64-bit ARM Linux are named for, newest first.
_ARM_PLATFORMS = ("2_34", "2_31", "2_28", "2_27", "2_17")


class UnavailableError(Exception):
    """Something that cannot be had on this machine, in a few words."""


def find_python(version: str) -> Path:
    """Return an interpreter of a version such as ``3.11``: this one, or one on the path.

    Raises:
        UnavailableError: there is none that starts.
    """
    asked = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for command in (sys.executable, f"python{version}"):
        if shutil.which(command) is None:
            continue
        answer = subprocess.run([command, "-c", asked], capture_output=True, text=True, check=False)
        found, _, executable = answer.stdout.strip().partition(" ")
        if found == version:
            return Path(executable)
    raise UnavailableError(f"no python{version} on the path")


def python_environment(folder: Path, python: Path, requirements: list[str]) -> Path:
    """Return the interpreter of a virtual environment that holds the requirements, made if needed.

    Raises:
        UnavailableError: the interpreter has no venv, or pip cannot install them.
    """
    executable = folder / "bin" / "python"
    marker = folder / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return executable
    shutil.rmtree(folder, ignore_errors=True)
    _run([python, "-m", "venv", folder], f"python -m venv does not work with {python.name}")
    _run_pip(executable, requirements)
    marker.write_text(wanted, encoding="utf-8")
    return executable


def web_folder(folder: Path) -> Path:
    """Return a folder with the packages of package.json and the scripts that use them.

    Raises:
        UnavailableError: there is no node or npm, or npm cannot install them.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UnavailableError(f"no {program} on the path")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _WEB_FILES:
        shutil.copyfile(HERE / name, folder / name)
    command = ["npm", "install", "--prefix", folder, "--no-package-lock", "--no-fund", "--no-audit"]
    _run(command, "npm could not install the packages of package.json")
    return folder


def x86_emulator(processor: str) -> list[str]:
    """Return what to put before a command to run it on another x86-64 processor.

    Raises:
        UnavailableError: QEMU's user-mode emulator is not installed.
    """
    return [_emulator("qemu-x86_64"), "-cpu", processor]


def arm_python(
    folder: Path, root: Path | None, processor: str, requirements: list[str]
) -> list[str]:
    """Return the command of a Python on an emulated 64-bit ARM processor.

    Args:
        folder: where to put the packages.
        root: a file system of an ARM Linux that holds ``usr/bin/python3.*``.
        processor: its name for QEMU, such as ``cortex-a72``.
        requirements: packages to put there, from wheels for that Linux.

    Raises:
        UnavailableError: there is no emulator or no root, or pip cannot install the packages.
    """
    emulator = _emulator("qemu-aarch64")
    if root is None:
        raise UnavailableError("no --arm-root")
    executable = min(root.absolute().glob("usr/bin/python3.[0-9]*"), default=None)
    if executable is None:
        raise UnavailableError("the --arm-root holds no usr/bin/python3.*")
    version = executable.name.removeprefix("python")
    if not folder.exists():
        platforms = [f"--platform=manylinux_{name}_aarch64" for name in _ARM_PLATFORMS]
        options = ["--target", folder, f"--python-version={version}", "--only-binary=:all:"]
        _run_pip(Path(sys.executable), requirements, *options, *platforms)
    root_options = ["-L", str(root.absolute()), "-E", f"PYTHONPATH={folder.absolute()}"]
    return [emulator, "-cpu", processor, *root_options, str(executable)]


def _emulator(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise UnavailableError(f"no {program} on the path")
    return path


def _run_pip(python: Path, requirements: list[str], *options: str | Path) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *options, *requirements]
    _run(command, f"pip could not install {' '.join(requirements)}")


def _run(command: list[str | Path], complaint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise UnavailableError(complaint)
