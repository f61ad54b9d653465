"""The package as it lies in a working tree or a commit, laid out to be imported from a folder."""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import click

FOLDERS = {"runtime": "textgate", "train": "textgate/train", "export": "textgate/export"}


class GuardError(click.ClickException):
    """The comparison cannot be made."""


def stage_commit(repository: Path, base: str, target: Path) -> str:
    """Lay out the package as it was in a commit; return the commit's name.

    Raises:
        GuardError: there is no such commit, or it holds no package.
    """
    name = (
        _git(repository, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}").decode().strip()
    )
    archive = _git(repository, "archive", "--format=tar", name, *FOLDERS)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(scratch, filter="data")
        stage_tree(Path(scratch), target)
    return name


def stage_tree(source: Path, target: Path) -> None:
    """Lay out a working tree's folders as the packages that they are."""
    for folder, package in FOLDERS.items():
        shutil.copytree(
            source / folder, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    compileall.compile_dir(target, quiet=1)  # or the first process would do it on its own time


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", errors="replace").strip() or "no such commit"
        raise GuardError(f"git {' '.join(arguments)}: {said}")
    return done.stdout
