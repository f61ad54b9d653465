"""The machine on which something is measured: processor, system and versions."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Instruction sets that decide which integer kernels run, by their names in /proc/cpuinfo.
_FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimd", "asimddp", "i8mm")
_PACKAGES = ("textgate", "numpy", "onnxruntime", "tokenizers", "onnx", "torch")


@dataclass(frozen=True)
class Machine:
    """A machine and the versions of its packages.

    Attributes:
        processor: the processor's name, if the system reports it.
        architecture: ``x86_64``, ``aarch64``, ...
        features: its instruction sets that matter to integer kernels.
        cpus: the number of CPUs of the system.
        system: the operating system.
        versions: the versions of Python and the packages.
        load: the mean number of busy processes over the last minute; None if unknown.
    """

    processor: str
    architecture: str
    features: tuple[str, ...]
    cpus: int
    system: str
    versions: dict[str, str]
    load: float | None


def this_machine() -> Machine:
    """Return this machine."""
    information = _processor_information()
    flags = (information.get("flags") or information.get("Features") or "").split()
    return Machine(
        processor=information.get("model name") or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        features=tuple(feature for feature in _FEATURES if feature in flags),
        cpus=os.cpu_count() or 1,
        system=platform.platform(),
        versions={"python": platform.python_version(), **_versions()},
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def _processor_information() -> dict[str, str]:
    """Return the first processor's lines of /proc/cpuinfo; {} if there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
