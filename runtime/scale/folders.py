"""Folders of files on this machine or in an object store, through pyarrow or fsspec."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TypeAlias
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from textgate.errors import ConfigError, DataError
from textgate.messages import reason

# Where a file can be renamed at once. Object stores cannot; there a file appears when it is whole.
_RENAMING = ("local", "hdfs")
# What an address keeps; the rest is percent-encoded, because "#" would end the path.
_ADDRESS_CHARACTERS = "%/:?=&@+,;~!$'()*[]"
PARTIAL = ".partial"  # end of the name of a file that is being written

FileSystem: TypeAlias = fs.FileSystem


@dataclass(frozen=True)
class File:
    """A file of a folder.

    Attributes:
        name: its path in the folder, with slashes.
        size: its bytes.
        modified: the time of its last change, in nanoseconds since 1970; 0 if it is unknown.
    """

    name: str
    size: int
    modified: int


class Folder:
    """A folder, named by a path or an address such as ``s3://bucket/reviews``.

    Args:
        address: the path or address.

    Attributes:
        address: the address, or the absolute path, because workers have other working directories.
        filesystem: the filesystem.
        path: the folder in it.

    Raises:
        ConfigError: no filesystem is known for the address.
    """

    def __init__(self, address: str) -> None:
        self.filesystem, path = open_filesystem(address)
        self.path = path.rstrip("/")
        self.address = address if "://" in address else path

    @property
    def name(self) -> str:
        """The folder in messages, without what an address may hold, such as a password."""
        return self.path

    @property
    def resolved(self) -> str:
        """The path without symbolic links, on this machine."""
        return os.path.realpath(self.path) if self.filesystem.type_name == "local" else self.path

    @property
    def renames(self) -> bool:
        """Whether a file is written beside its place and then renamed."""
        return self.filesystem.type_name in _RENAMING

    def files(
        self, inside: str = "", *, hidden: bool = False, recursive: bool = True
    ) -> list[File]:
        """Return the files in the folder and those below it, in the order of their names.

        Args:
            inside: a folder in this one, the only one to look into.
            hidden: whether to include files that readers of Parquet pass over.
            recursive: whether to look into the folders below it.

        Raises:
            DataError: the folder cannot be read.
        """
        selector = fs.FileSelector(self._at(inside), allow_not_found=True, recursive=recursive)
        with self._told("cannot be listed"):
            found = [
                File(info.path[len(self.path) :].lstrip("/"), info.size, info.mtime_ns or 0)
                for info in self.filesystem.get_file_info(selector)
                if info.is_file
            ]
        if not hidden:
            found = [file for file in found if not _is_hidden(file.name)]
        return sorted(found, key=lambda file: file.name)

    def is_file(self) -> bool:
        """Return whether the path is that of a file.

        Raises:
            DataError: it cannot be read.
        """
        with self._told("cannot be read"):
            return self.filesystem.get_file_info(self.path or "/").is_file  # type: ignore[no-any-return]

    def open(self, name: str) -> pa.NativeFile:
        """Return a file, opened to read anywhere in it.

        Raises:
            OSError: it cannot be opened.
        """
        return self.filesystem.open_input_file(self._at(name))

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            DataError: it cannot be read.
        """
        with self._told(f"{name} cannot be read"):
            try:
                with self.open(name) as file:
                    return file.read()  # type: ignore[no-any-return]
            except FileNotFoundError:
                return None

    def write(self, name: str, fill: Callable[[IO[bytes]], object]) -> int:
        """Write a file that appears when it is complete, and return its bytes.

        An older file of the name is replaced. After a failure there is no new file, or, in an
        object store, one that may be incomplete.

        Args:
            name: its path in the folder.
            fill: writes the content to an open file.

        Raises:
            OSError: it cannot be written.
        """
        above, _, last = self._at(name).rpartition("/")
        self.filesystem.create_dir(above, recursive=True)
        target = f"{above}/{last}"
        if not self.renames:
            with self.filesystem.open_output_stream(target) as stream:
                fill(stream)
                return stream.tell()  # type: ignore[no-any-return]
        # The name is cut to leave room for the rest within a file system's limit.
        beside = f"{above}/.{last[:48]}.{secrets.token_hex(4)}{PARTIAL}"
        try:
            with self.filesystem.open_output_stream(beside) as stream:
                fill(stream)
                size: int = stream.tell()
            try:
                if self.filesystem.type_name == "local":
                    _flush(beside)
                self.filesystem.move(beside, target)
            except FileNotFoundError:
                raise OSError(
                    f"{beside} was removed; one command at a time can write into {self.name}"
                ) from None
        except BaseException:
            with suppress(OSError):
                self.filesystem.delete_file(beside)
            raise
        return size

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(OSError):
            self.filesystem.delete_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}".rstrip("/") or "/"

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise DataError(f"{self.name}: {what}: a name is not UTF-8; rename it") from None
        except (OSError, pa.ArrowException) as problem:
            raise DataError(f"{self.name}: {what}: {reason(problem)}") from None


def open_filesystem(address: str) -> tuple[FileSystem, str]:
    """Return the filesystem of a path or an address, and the path in it.

    Raises:
        ConfigError: no filesystem is known for the address, or its package is missing.
    """
    if not address:
        raise ConfigError("a path or address is empty; give a file or a folder")
    if "://" in address:
        return _open_address(address)
    # No shell has replaced a "~" in quotes or after "=".
    path = os.path.abspath(os.path.expanduser(address))  # noqa: PTH100, PTH111
    return fs.LocalFileSystem(), path.replace(os.sep, "/")


@lru_cache(maxsize=8)
def _open_address(address: str) -> tuple[FileSystem, str]:
    scheme = address.partition("://")[0]
    try:
        try:
            found: tuple[FileSystem, str]
            found = fs.FileSystem.from_uri(quote(address, safe=_ADDRESS_CHARACTERS))
        except pa.ArrowInvalid as problem:
            if "nrecognized filesystem" not in str(problem):
                raise
            import fsspec

            other, path = fsspec.core.url_to_fs(address)
            return fs.PyFileSystem(fs.FSSpecHandler(other)), path
    except (ImportError, ValueError, OSError, pa.ArrowException) as problem:
        # The message may quote the address, and with it a password.
        why = re.sub(rf"{scheme}://[^'\"]*", f"{scheme}://...", reason(problem))
        raise ConfigError(f"{scheme}:// cannot be opened: {why}") from None
    return found


def matching(address: str, *, is_file: bool = False) -> tuple[str, re.Pattern[str], bool]:
    """Return the folder of a pattern, and the expression that the names of its files match.

    Args:
        address: a file, a folder, or a pattern: ``*`` is any part of a name, and ``**/`` any
            folders. What follows a ``?`` in an address belongs to the filesystem.
        is_file: whether it is a file, if it is no pattern.

    Returns:
        The address of the folder, the expression, and whether names in folders below may match.
    """
    scheme, separator, rest = address.rpartition("://")
    path, question, options = rest.partition("?") if separator else (rest, "", "")
    path = path.replace(os.sep, "/")
    fixed = path.partition("*")[0] if "*" in path else path
    folder = fixed.rpartition("/")[0] if "*" in path or is_file else fixed
    pattern = path[len(folder) :].lstrip("/") or "**/*.parquet"
    expression = "".join(
        {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece))
        for piece in re.split(r"(\*\*/|\*\*|\*)", pattern)
    )
    if not folder and not separator:
        folder = "/" if path.startswith("/") else "."
    found = f"{scheme}{separator}{folder}{question}{options}"
    return found, re.compile(expression), "/" in pattern or "**" in pattern


def _is_hidden(name: str) -> bool:
    """Return whether Spark passes over a file; it does not where ``_x=1`` is a partition."""
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part)
        for part in name.split("/")
    )


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
