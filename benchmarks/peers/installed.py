"""What a set of packages takes on the disk, with everything they depend on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def installed_bytes(packages: Iterable[str]) -> int:
    """Return the bytes of the packages' files and of all that they need without an extra."""
    seen: set[str] = set()
    waiting, total = list(packages), 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # for another system, or not installed
        for file in found.files or ():
            path = found.locate_file(file)
            try:
                total += path.stat().st_size  # type: ignore[attr-defined]
            except OSError:
                continue
        for requirement in found.requires or ():
            needed, _, marker = requirement.partition(";")
            if "extra" not in marker and (match := _NAME.match(needed)):
                waiting.append(match.group())
    return total


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in sorted(packages):
        try:
            found[name] = distribution(name).version
        except PackageNotFoundError:
            continue
    return found
