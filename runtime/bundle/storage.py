"""Bundles on disk: read with every check, written whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textgate.bundle.checks.graph import Graph
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.checks.rules import check_graph
from textgate.bundle.checks.tokenizer import check_tokenizer
from textgate.bundle.manifest import (
    CARD,
    CONFIG,
    FORMAT,
    GRAPH,
    MANIFEST,
    MAX_FILE_BYTES,
    TOKENIZER,
    FileEntry,
    Manifest,
)
from textgate.errors import BundleError, ExportError

__all__ = [
    "CARD",
    "CONFIG",
    "GRAPH",
    "MANIFEST",
    "TOKENIZER",
    "Bundle",
    "bundle_bytes",
    "checked_files",
    "file_entries",
    "file_sizes",
    "read_bundle",
    "write_bundle",
]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have passed every check.

    Attributes:
        path: its folder.
        manifest: its manifest.
        graph: the content of ``model.onnx``.
        parts: the parts of the graph, with views of its content.
        tokenizer: the text of ``tokenizer.json``.
    """

    path: Path
    manifest: Manifest
    graph: bytes
    parts: Graph
    tokenizer: str


def read_bundle(path: Path | str) -> Bundle:
    """Return the bundle in a folder; safe for bundles from strangers.

    Sizes and checksums are checked before the files are parsed. The card (``README.md``) is
    documentation, which may be edited or missing, and ``config.json`` is not read.

    Raises:
        BundleError: the folder is not a bundle, or the bundle is damaged, unsafe, or of a version
            that this release does not read.
    """
    folder = Path(path)
    _check_folder(folder)
    manifest = Manifest.parse(
        _read(folder, MANIFEST, limit=FORMAT.limit), where=str(folder / MANIFEST)
    )
    graph = _read_listed(folder, GRAPH, manifest)
    tokenizer = _read_listed(folder, TOKENIZER, manifest)
    try:
        parts = read_graph(graph)
        check_graph(parts, manifest)
    except BundleError as problem:
        raise BundleError(f"{folder / GRAPH}: {problem}") from None
    text = check_tokenizer(
        tokenizer,
        rows=manifest.architecture.vocabulary_size,
        where=str(folder / TOKENIZER),
    )
    return Bundle(path=folder, manifest=manifest, graph=graph, parts=parts, tokenizer=text)


def write_bundle(
    path: Path | str,
    *,
    manifest_without_files: Manifest,
    files: Mapping[str, bytes],
    force: bool = False,
) -> Manifest:
    """Write a bundle and return its manifest, with the files' sizes and checksums filled in.

    It adds ``config.json``. The files are read again with `read_bundle` before the folder gets its
    name, so that no unreadable bundle is published.

    Args:
        path: the folder to make.
        manifest_without_files: the manifest, whose ``files`` are replaced.
        files: the content of ``model.onnx``, ``tokenizer.json`` and ``README.md``, by name.
        force: whether to replace an existing bundle.

    Raises:
        ExportError: the folder exists or cannot be written, or the files are not a bundle.
    """
    from textgate.atomic import new_folder  # not needed to read bundles

    target = Path(path)
    if set(files) != set(MAX_FILE_BYTES):
        raise ExportError(
            f"{target}: a bundle holds {', '.join(MAX_FILE_BYTES)}, not {', '.join(sorted(files))}"
        )
    manifest = dataclasses.replace(manifest_without_files, files=file_entries(files))
    with new_folder(target, force=force, error=ExportError, complete_marker=MANIFEST) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            (folder / MANIFEST).write_bytes(manifest.to_json().encode("utf-8"))
            (folder / CONFIG).write_bytes(manifest.to_config().encode("utf-8"))
            written = read_bundle(folder).manifest
        except BundleError as problem:
            told = str(problem).replace(str(folder), str(target))
            raise ExportError(f"{told}; nothing was published") from problem
        except ValueError as problem:
            raise ExportError(f"{target / MANIFEST}: cannot be written: {problem}") from problem
        if written != manifest:
            raise ExportError(f"{target / MANIFEST}: changes when read back; nothing was published")
    return manifest


def checked_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the content of the files of a bundle, by name, as they were checked.

    ``config.json`` is made anew. The manifest and the card are read again; the card is left out if
    it is missing.

    Raises:
        BundleError: one of these two cannot be read or is too large, or the manifest has changed.
    """
    written = _read(bundle.path, MANIFEST, limit=FORMAT.limit)
    if Manifest.parse(written, where=str(bundle.path / MANIFEST)) != bundle.manifest:
        raise BundleError(f"{bundle.path / MANIFEST}: changed while it was read; try again")
    files = {
        GRAPH: bundle.graph,
        TOKENIZER: bundle.tokenizer.encode("utf-8"),
        MANIFEST: written,
        CONFIG: bundle.manifest.to_config().encode("utf-8"),
    }
    if (bundle.path / CARD).exists():
        files[CARD] = _read(bundle.path, CARD, limit=MAX_FILE_BYTES[CARD])
    return files


def file_sizes(path: Path | str) -> dict[str, int]:
    """Return the bytes of each file of a bundle, by name.

    The files are those that `textgate export` writes; the card and ``config.json`` may be missing.
    """
    files = (Path(path) / name for name in (GRAPH, TOKENIZER, MANIFEST, CARD, CONFIG))
    return {file.name: file.stat().st_size for file in files if file.is_file()}


def bundle_bytes(path: Path | str) -> int:
    """Return the size of a bundle: the bytes of all its files, as `--max-size` limits it."""
    return sum(file_sizes(path).values())


def file_entries(files: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """Return the checksum and size of each of a bundle's files, by name."""
    return {
        name: FileEntry(hashlib.sha256(files[name]).hexdigest(), len(files[name]))
        for name in MAX_FILE_BYTES
    }


def _check_folder(folder: Path) -> None:
    """Refuse a path that is not a bundle, with what it is instead."""
    try:
        if folder.is_file():
            raise BundleError(f"{folder}: a file, but a bundle is a folder; name the folder")
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such folder; a bundle was expected there")
        if (folder / MANIFEST).exists():
            return
        from textgate.bundle.run import is_run  # only for the message

        if is_run(folder):
            raise BundleError(
                f"{folder}: this is a training run; export it first: textgate export {folder} "
                "-o BUNDLE"
            )
    except OSError as problem:
        raise BundleError(f"{folder}: cannot be read: {problem}") from None
    raise BundleError(
        f"{folder}: not a textgate bundle: it holds no {MANIFEST}; name a folder that textgate "
        "export or textgate fit created"
    )


def _read_listed(folder: Path, name: str, manifest: Manifest) -> bytes:
    """Return a file after checking its size and checksum against the manifest."""
    entry = manifest.files[name]
    content = _read(folder, name, limit=MAX_FILE_BYTES[name], size=entry.size)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(
            f"{folder / name}: damaged or edited: its checksum is not the one in {MANIFEST};"
            " get or export the bundle again"
        )
    return content


def _places(folder: Path) -> tuple[Path, ...]:
    """Return where the files of a folder may lie: in it, or in the store of its snapshot.

    Hugging Face's cache has links in ``models--OWNER--NAME/snapshots/REVISION`` to files in
    ``models--OWNER--NAME/blobs``, which may in turn be links to files that several models share, in
    ``blobs`` beside ``models--OWNER--NAME``.
    """
    for snapshots in folder.parents:
        if snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--"):
            return folder, snapshots.parent / "blobs", snapshots.parents[1] / "blobs"
    return (folder,)


def _read(folder: Path, name: str, *, limit: int, size: int | None = None) -> bytes:
    """Return a regular file of the folder after checking its size."""
    path = folder / name
    try:
        real = path.resolve(strict=True)
        if not any(map(real.is_relative_to, _places(folder.resolve(strict=True)))):
            raise BundleError(
                f"{path}: a link that leaves the bundle's folder; copy the bundle with its links"
                " followed"
            )
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: not a regular file")
        if status.st_size > limit:
            raise BundleError(f"{path}: {status.st_size:,} bytes; at most {limit:,} are read")
        if size is not None and status.st_size != size:
            raise BundleError(
                f"{path}: {status.st_size:,} bytes, but {MANIFEST} says {size:,};"
                " get or export the bundle again"
            )
        with real.open("rb") as file:
            # One more byte than expected, to notice that the file has grown.
            content = file.read(status.st_size + 1)
    except FileNotFoundError:
        raise BundleError(f"{path}: missing; get or export the bundle again") from None
    except (OSError, RuntimeError) as problem:  # RuntimeError: links in a circle
        raise BundleError(f"{path}: cannot be read: {problem}") from None
    if len(content) != status.st_size:
        raise BundleError(f"{path}: changed while it was read; try again")
    return content
