"""Atomic writes of files and folders: after a failure, the old ones are still there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from textgate.errors import TextgateError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file through a temporary sibling, so that a reader finds the old file or the new one.

    A link is followed: the file that it points to is replaced, and the link stays.

    Raises:
        OSError: the file cannot be written; an older file is unchanged.
    """
    if path.exists() and not path.is_file():
        # Renaming over a device such as /dev/null would replace it for the whole machine.
        raise FileExistsError(errno.EEXIST, "Not a regular file", str(path))
    target = Path(os.path.realpath(path))
    sibling = _sibling(target, "partial")
    try:
        with sibling.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sibling.replace(target)
    except BaseException as problem:
        with contextlib.suppress(OSError):
            sibling.unlink()
        if isinstance(problem, OSError):  # whose file is the sibling, or none if the disk is full
            problem.filename, problem.filename2 = str(path), None
        raise
    _flush(target.parent)


@contextlib.contextmanager
def new_folder(
    target: Path, *, force: bool, error: type[TextgateError], complete_marker: str
) -> Iterator[Path]:
    """Yield an empty sibling of `target`, which is renamed to `target` at the end of the block.

    If the block or the renaming fails, the sibling is removed and the target is unchanged. Missing
    parents are created.

    Args:
        target: the path of the folder.
        force: whether an existing folder may be replaced. It must be empty or hold
            `complete_marker`, so that only folders of textgate are removed.
        error: the class of the error to raise.
        complete_marker: the name of a file that only a complete folder of this kind holds.

    Raises:
        TextgateError: of class `error`: the target exists or cannot be written.
    """
    path = target if target.name not in ("", "..") else target.resolve()
    sibling = _sibling(path, "partial")
    try:
        refuse_occupied(path, force=force, error=error, complete_marker=complete_marker)
        path.parent.mkdir(parents=True, exist_ok=True)
        sibling.mkdir()
        yield sibling
        for each in [*sibling.rglob("*"), sibling]:
            _flush(each)
        refuse_occupied(path, force=force, error=error, complete_marker=complete_marker)
        _publish(sibling, path)
    except BrokenPipeError:
        raise  # of the terminal, not of the folder
    except OSError as problem:
        raise error(f"{target}: cannot be written: {_reason(problem, sibling)}") from problem
    finally:
        shutil.rmtree(sibling, ignore_errors=True)


def refuse_occupied(
    path: Path, *, force: bool, error: type[TextgateError], complete_marker: str
) -> None:
    """Refuse a target that `new_folder` would refuse; the arguments are the same.

    Raises:
        TextgateError: of class `error`: there is something that may not be replaced, or the path
            leads through a file.
    """
    if not os.path.lexists(path):
        above = next(one for one in path.absolute().parents if os.path.lexists(one))
        if not above.is_dir():
            raise error(f"{path}: cannot be written: {above} is not a folder")
        return
    if not force:
        raise error(f"{path}: already exists; choose another path or pass --force")
    if path.is_symlink() or not path.is_dir():
        raise error(f"{path}: not a folder, so --force does not replace it; choose another path")
    if not (path / complete_marker).is_file() and any(path.iterdir()):
        raise error(
            f"{path}: holds other files and no {complete_marker}, so --force does not replace it;"
            " choose another path"
        )


def _publish(sibling: Path, target: Path) -> None:
    """Rename the sibling to the target; an older target is renamed first and then removed."""
    if not os.path.lexists(target):
        sibling.rename(target)
    else:
        aside = _sibling(target, "old")
        try:
            target.rename(aside)
            sibling.rename(target)
        except BaseException:
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        # The new folder is there, so an old one that cannot be removed is not an error.
        shutil.rmtree(aside, ignore_errors=True)
    _flush(target.parent)


def _sibling(target: Path, kind: str) -> Path:
    # The name is cut to leave room for the suffixes within the file system's limit.
    return target.parent / f".{target.name[:48]}.{secrets.token_hex(4)}.{kind}"


def _flush(path: Path) -> None:
    """Ask the system to write a file, or the names in a folder, to the disk."""
    if path.is_dir():
        # Some systems cannot open folders, and some file systems do not flush them.
        with contextlib.suppress(OSError):
            _flush_with(path, os.O_RDONLY)
    else:
        _flush_with(path, os.O_RDWR)


def _flush_with(path: Path, mode: int) -> None:
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(problem: OSError, sibling: Path) -> str:
    """Return the system's message, with paths inside the sibling relative to it."""
    reason = problem.strerror or str(problem)
    path = problem.filename
    if not isinstance(path, str | os.PathLike) or Path(path) == sibling:
        return reason
    inside = Path(path).is_relative_to(sibling)
    return f"{reason}: {Path(path).relative_to(sibling) if inside else path}"
