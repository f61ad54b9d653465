"""Writing files and folders that are whole or absent, whatever fails half-way."""

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
    """Write a file by way of a temporary sibling, so that a reader finds the old one or the new.

    A link is followed: the file it points to is replaced, and the link stays.

    Raises:
        OSError: the file cannot be written; an older one is as it was.
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
    except BaseException:
        with contextlib.suppress(OSError):
            sibling.unlink()
        raise
    _flush(target.parent)


@contextlib.contextmanager
def new_folder(
    target: Path, *, force: bool, error: type[TextgateError], complete_marker: str
) -> Iterator[Path]:
    """Yield an empty sibling of `target` to fill; it takes the target's name when the body is done.

    If the body or the renaming fails, the sibling is removed and the target is as it was. Missing
    parents are made.

    Args:
        target: where the folder should end up.
        force: whether an existing folder may be replaced. It must be empty or hold
            `complete_marker`: what textgate did not write, it does not remove.
        error: the class of the error to raise.
        complete_marker: name of a file that only a complete folder of this kind holds.

    Raises:
        TextgateError: of class `error`: the target is in the way or cannot be written.
    """
    place = target if target.name not in ("", "..") else target.resolve()
    sibling = _sibling(place, "partial")
    try:
        refuse_occupied(place, force=force, error=error, complete_marker=complete_marker)
        place.parent.mkdir(parents=True, exist_ok=True)
        sibling.mkdir()
        yield sibling
        for path in [*sibling.rglob("*"), sibling]:
            _flush(path)
        refuse_occupied(place, force=force, error=error, complete_marker=complete_marker)
        _publish(sibling, place)
    except BrokenPipeError:
        raise  # about the terminal, not about the folder
    except OSError as problem:
        raise error(f"{target}: cannot be written: {_reason(problem, sibling)}") from problem
    finally:
        shutil.rmtree(sibling, ignore_errors=True)


def refuse_occupied(
    place: Path, *, force: bool, error: type[TextgateError], complete_marker: str
) -> None:
    """Refuse a target that `new_folder` would refuse; arguments as there.

    Raises:
        TextgateError: of class `error`: something is there that may not be replaced.
    """
    if not os.path.lexists(place):
        return
    if not force:
        raise error(f"{place}: already exists; choose another path or pass --force")
    if place.is_symlink() or not place.is_dir():
        raise error(f"{place}: not a folder, so --force does not replace it; choose another path")
    if not (place / complete_marker).is_file() and any(place.iterdir()):
        raise error(
            f"{place}: holds other files and no {complete_marker}, so --force does not replace it;"
            " choose another path"
        )


def _publish(sibling: Path, place: Path) -> None:
    """Give the sibling the target's name; a folder that has it goes aside and then away."""
    if not os.path.lexists(place):
        sibling.rename(place)
    else:
        aside = _sibling(place, "old")
        try:
            place.rename(aside)
            sibling.rename(place)
        except BaseException:
            if aside.exists() and not place.exists():
                aside.rename(place)
            raise
        # The new folder is in place: failing to remove the old one is no failure to write.
        shutil.rmtree(aside, ignore_errors=True)
    _flush(place.parent)


def _sibling(target: Path, kind: str) -> Path:
    # Cut, so that a name near the file system's limit leaves room for the rest.
    return target.parent / f".{target.name[:48]}.{secrets.token_hex(4)}.{kind}"


def _flush(path: Path) -> None:
    """Ask the system to bring a file, or the names in a folder, to the disk."""
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
    """Return what the system said, naming files inside the sibling by their names there."""
    reason = problem.strerror or str(problem)
    path = problem.filename
    if not isinstance(path, str | os.PathLike) or Path(path) == sibling:
        return reason
    inside = Path(path).is_relative_to(sibling)
    return f"{reason}: {Path(path).relative_to(sibling) if inside else path}"
