"""Bundles on disk: read whole or refused for one clear reason, published whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import textgate.bundle.storage
from textgate.bundle.checks.reader import read_graph
from textgate.bundle.manifest import FileEntry, Manifest
from textgate.bundle.storage import (
    CARD,
    CONFIG,
    GRAPH,
    MANIFEST,
    TOKENIZER,
    Bundle,
    checked_files,
    read_bundle,
    write_bundle,
)
from textgate.errors import BundleError, ExportError

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle"
FILES = {name: (GOLDEN / name).read_bytes() for name in (GRAPH, TOKENIZER, CARD)}
WRITTEN = Manifest.parse((GOLDEN / MANIFEST).read_bytes(), where="golden")
UNWRITTEN = dataclasses.replace(WRITTEN, files={})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the golden bundle, to be damaged."""
    return shutil.copytree(GOLDEN, tmp_path / "bundle")


def sign(bundle: Path, **changes: Any) -> None:
    """Rewrite the manifest so that sizes and checksums fit what lies in the folder."""
    files = {}
    for name in FILES:
        content = (bundle / name).read_bytes()
        files[name] = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    manifest = dataclasses.replace(WRITTEN, files=files, **changes)
    (bundle / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Reading


@pytest.mark.parametrize("kind", [str, Path])
def test_the_golden_bundle(kind: type[str] | type[Path]) -> None:
    assert read_bundle(kind(GOLDEN)) == Bundle(
        path=GOLDEN,
        manifest=WRITTEN,
        graph=FILES[GRAPH],
        parts=read_graph(FILES[GRAPH]),
        tokenizer=FILES[TOKENIZER].decode(),
    )


def test_the_card_may_be_edited_or_missing(bundle: Path) -> None:
    (bundle / CARD).write_text("My own words.", encoding="utf-8")
    assert read_bundle(bundle).manifest == WRITTEN
    (bundle / CARD).unlink()
    assert read_bundle(bundle).manifest == WRITTEN


def test_other_files_in_the_folder_do_not_matter(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("x", encoding="utf-8")
    (bundle / "run.json").write_text("x", encoding="utf-8")
    (bundle / CONFIG).write_text("x", encoding="utf-8")
    assert read_bundle(bundle).manifest == WRITTEN


def test_a_link_to_a_bundle_and_links_inside_it_are_followed(bundle: Path) -> None:
    (bundle / GRAPH).rename(bundle / "real.onnx")
    (bundle / GRAPH).symlink_to("real.onnx")
    (bundle.parent / "link").symlink_to("bundle")
    assert read_bundle(bundle.parent / "link").graph == FILES[GRAPH]


def cached(bundle: Path, name: str = "models--owner--name") -> Path:
    """The bundle as in Hugging Face's cache: a folder of links to a store of files."""
    model = bundle.parent / name
    snapshot = model / "snapshots" / "0123abcd" / "english"
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for number, file in enumerate(sorted(bundle.iterdir())):
        file.rename(model / "blobs" / str(number))
        (snapshot / file.name).symlink_to(f"../../../blobs/{number}")
    return snapshot


def test_a_snapshot_of_hugging_faces_cache_is_read(bundle: Path) -> None:
    assert read_bundle(cached(bundle)).manifest == WRITTEN


def test_links_to_other_stores_are_refused(bundle: Path) -> None:
    assert "leaves the bundle's folder" in refusal(cached(bundle, "datasets--owner--name"))


def test_links_to_the_store_of_all_snapshots_are_followed(bundle: Path) -> None:
    snapshot = cached(bundle)
    file = (snapshot / GRAPH).resolve()
    shared = bundle.parent / "blobs" / "0a"
    shared.parent.mkdir()
    file.rename(shared)
    file.symlink_to("../../blobs/0a")
    assert read_bundle(snapshot).manifest == WRITTEN


@pytest.mark.parametrize("where", ["../../../other", "../../../../outside"])
def test_links_past_the_store_of_a_snapshot_are_refused(bundle: Path, where: str) -> None:
    snapshot = cached(bundle)
    file = snapshot / TOKENIZER
    file.resolve().rename(snapshot / where)
    file.unlink()
    file.symlink_to(where)
    assert "leaves the bundle's folder" in refusal(snapshot)


def test_a_folder_that_is_no_bundle_says_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert refusal(folder) == f"{folder}: no such folder; a bundle was expected there"
    folder.mkdir()
    assert refusal(folder) == (
        f"{folder}: not a textgate bundle: it holds no textgate.json; name a folder that textgate "
        "export or textgate fit created"
    )
    (folder / "run.json").write_text("{}", encoding="utf-8")
    assert refusal(folder) == (
        f"{folder}: this is a training run; export it first: textgate export {folder} -o BUNDLE"
    )
    file = tmp_path / GRAPH
    file.write_bytes(b"")
    assert refusal(file) == f"{file}: a file, but a bundle is a folder; name the folder"
    assert "no such folder" in refusal(Path("null\0character"))
    assert "cannot be read" in refusal(tmp_path / ("long" * 100))


@pytest.mark.parametrize("name", [GRAPH, TOKENIZER])
def test_a_damaged_file_is_named(bundle: Path, name: str) -> None:
    path = bundle / name
    content = FILES[name]
    path.write_bytes(content[:-1])
    assert refusal(bundle) == (
        f"{path}: {len(content) - 1:,} bytes, but textgate.json says {len(content):,};"
        " get or export the bundle again"
    )
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refusal(bundle).startswith(f"{path}: damaged or edited: its checksum is not the one in")
    path.unlink()
    assert refusal(bundle) == f"{path}: missing; get or export the bundle again"


def test_a_flipped_byte_anywhere_in_the_graph_is_refused_before_it_is_parsed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        textgate.bundle.storage, "read_graph", lambda _: pytest.fail("it was parsed")
    )
    monkeypatch.setattr(
        textgate.bundle.storage, "check_tokenizer", lambda *_, **__: pytest.fail("parsed")
    )
    generator = random.Random(0)
    for _ in range(50):
        content = bytearray(FILES[GRAPH])
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        (bundle / GRAPH).write_bytes(content)
        assert "damaged or edited" in refusal(bundle)


def test_a_damaged_manifest_is_named(bundle: Path) -> None:
    path = bundle / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"bad"', b'"bat"'))
    assert refusal(bundle).startswith(f"{path}: damaged or edited")
    path.write_bytes(b" " * (2**20 + 1))
    assert refusal(bundle) == f"{path}: 1,048,577 bytes; at most 1,048,576 are read"


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_out(path: Path) -> None:
    outside = path.parent.parent / "outside"
    shutil.copy(GOLDEN / path.name, outside)
    path.symlink_to(outside)


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", [GRAPH, TOKENIZER])
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (make_folder, "not a regular file"),
        (make_pipe, "not a regular file"),
        (make_link_out, "a link that leaves the bundle's folder; copy the bundle with its links"),
        (make_link_to_device, "a link that leaves the bundle's folder"),
        (make_dangling_link, "missing"),
        (make_circle, "cannot be read"),
    ],
)
def test_only_regular_files_of_the_folder_are_opened(
    bundle: Path, name: str, make: Callable[[Path], None], complaint: str
) -> None:
    (bundle / name).unlink()
    make(bundle / name)
    assert refusal(bundle).startswith(f"{bundle / name}: {complaint}")


def test_a_manifest_that_is_a_link_out_is_not_opened(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()
    make_link_out(bundle / MANIFEST)
    assert "leaves the bundle's folder" in refusal(bundle)


def test_a_system_error_is_a_bundle_error(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        assert "cannot be read: [Errno 13] Permission denied" in refusal(bundle)


def test_a_graph_is_checked_and_named(bundle: Path) -> None:
    (bundle / GRAPH).write_bytes(FILES[GRAPH].replace(b"Gemm", b"Loop"))
    sign(bundle)
    assert refusal(bundle) == (
        f"{bundle / GRAPH}: model: graph: node 8: operator 'Loop' is not one that textgate exports"
    )


def test_a_graph_is_checked_against_the_manifest(bundle: Path) -> None:
    sign(bundle, opset=17)
    assert refusal(bundle) == (f"{bundle / GRAPH}: operator set 18, but the manifest says 17")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON in UTF-8"),
        (b"[" * 200_000, "not valid JSON"),
        (b"[]", "expected a JSON object"),
        (b"{}", "field 'model.vocab' should be an object or a list of tokens"),
        (b'{"model": []}', "field 'model.vocab' should be"),
        (b'{"model": {"vocab": "abc"}}', "field 'model.vocab' should be"),
        (b'{"model": {"vocab": {"a": 4}}}', "token id 4, but .* rows 0 to 3"),
        (b'{"model": {"vocab": {"a": -1}}}', "token id -1, but .* rows 0 to 3"),
        (b'{"model": {"vocab": {"a": 1.0}}}', "a token's id is not a whole number"),
        (b'{"model": {"vocab": {"a": true}}}', "a token's id is not a whole number"),
        (b'{"model": {"vocab": {"a": "1"}}}', "a token's id is not a whole number"),
        (b'{"model": {"vocab": [["a", 0],1,1,1,1]}}', "token id 4, but .* rows 0 to 3"),
        (b'{"model": {"vocab": {}}, "added_tokens": {}}', "'added_tokens' should be a list"),
        (b'{"model": {"vocab": {}}, "added_tokens": [1]}', "'added_tokens' should be a list"),
        (b'{"model": {"vocab": {}}, "added_tokens": [{}]}', "id is not a whole number"),
        (b'{"model": {"vocab": {}}, "added_tokens": [{"id": 9}]}', "token id 9, but"),
        (b'{"model": {"vocab": {}}, "post_processor": {}}', "'post_processor' should be null"),
    ],
)
def test_a_tokenizer_with_ids_beyond_the_embedding_is_refused(
    bundle: Path, content: bytes, complaint: str
) -> None:
    (bundle / TOKENIZER).write_bytes(content)
    sign(bundle)
    with pytest.raises(BundleError, match=complaint) as caught:
        read_bundle(bundle)
    assert str(caught.value).startswith(f"{bundle / TOKENIZER}: ")


@pytest.mark.parametrize(
    "content",
    [
        b'{"model": {"vocab": {}}}',
        b'{"model": {"vocab": [["a", 0.5], ["b", 0], ["c", 0], ["d", 0]]}}',
        b'{"model": {"vocab": {"a": 3, "b": 3}}, "added_tokens": [{"id": 0}]}',
        b'{"model": {"vocab": {"a": 1}}, "post_processor": null}',
    ],
)
def test_tokenizers_that_pass(bundle: Path, content: bytes) -> None:
    (bundle / TOKENIZER).write_bytes(content)
    sign(bundle)
    assert read_bundle(bundle).tokenizer == content.decode()


# What is published


def test_the_files_of_a_bundle_are_those_that_were_checked(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("x", encoding="utf-8")
    (bundle / CONFIG).write_text("x", encoding="utf-8")
    opened = read_bundle(bundle)
    (bundle / GRAPH).write_bytes(b"changed")
    (bundle / TOKENIZER).unlink()
    config = WRITTEN.to_config().encode()
    assert checked_files(opened) == {
        **FILES,
        MANIFEST: (GOLDEN / MANIFEST).read_bytes(),
        CONFIG: config,
    }
    (bundle / CARD).unlink()
    assert set(checked_files(opened)) == {GRAPH, TOKENIZER, MANIFEST, CONFIG}
    other = dataclasses.replace(WRITTEN, temperature=3.0)
    (bundle / MANIFEST).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(BundleError, match="changed while it was read"):
        checked_files(opened)


# Writing


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bundle"
    manifest = write_bundle(path, manifest_without_files=UNWRITTEN, files=FILES)
    assert manifest == WRITTEN
    assert read_bundle(path).manifest == manifest
    assert {file.name: file.read_bytes() for file in path.iterdir()} == {
        CONFIG: manifest.to_config().encode(),
        **{file.name: file.read_bytes() for file in GOLDEN.iterdir()},
    }
    assert [item.name for item in path.parent.iterdir()] == ["bundle"]


def test_an_existing_bundle_is_replaced_only_by_force(bundle: Path) -> None:
    changed = dataclasses.replace(UNWRITTEN, temperature=2.0)
    with pytest.raises(ExportError, match="already exists; choose another path or pass --force"):
        write_bundle(bundle, manifest_without_files=changed, files=FILES)
    assert read_bundle(bundle).manifest == WRITTEN
    write_bundle(bundle, manifest_without_files=changed, files=FILES, force=True)
    assert read_bundle(bundle).manifest.temperature == 2.0


def test_force_does_not_replace_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ExportError, match=r"no textgate\.json, so --force does not replace it"):
        write_bundle(tmp_path, manifest_without_files=UNWRITTEN, files=FILES, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("changes", "files", "complaint"),
    [
        ({}, {GRAPH: b""}, r"model\.onnx: model: not an ONNX model.*; nothing was published"),
        ({}, {TOKENIZER: b"x"}, r"tokenizer\.json: not valid JSON.*; nothing was published"),
        ({}, {"more": b""}, "a bundle holds model.onnx, tokenizer.json, README.md, not README.md"),
        ({}, {CARD: b" " * (2**22 + 1)}, "'size' should be .*; nothing was published"),
        ({"labels": ("a", "a")}, {}, r"textgate\.json: field 'labels' .*; nothing was published"),
        ({"labels": ["bad", "größe"]}, {}, "changes when read back; nothing was published"),
        ({"labels": ("a", "\ud800")}, {}, r"textgate\.json: cannot be written: .*surrogates"),
        ({"temperature": float("nan")}, {}, r"textgate\.json: cannot be written: .*nan"),
        ({"versions": {"x": "y" * 2**20}}, {}, "at most 1,048,576 are read; nothing was published"),
    ],
)
def test_nothing_unreadable_is_published(
    tmp_path: Path, changes: dict[str, Any], files: dict[str, bytes], complaint: str
) -> None:
    path = tmp_path / "bundle"
    with pytest.raises(ExportError, match=complaint) as caught:
        write_bundle(
            path,
            manifest_without_files=dataclasses.replace(UNWRITTEN, **changes),
            files={**FILES, **files},
        )
    assert str(caught.value).startswith(str(path))
    assert ".partial" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ExportError) as caught:
            write_bundle(bundle, manifest_without_files=UNWRITTEN, files=FILES, force=True)
    assert str(caught.value).startswith(f"{bundle}: cannot be written: No space left on device: ")
    assert read_bundle(bundle).manifest == WRITTEN
    assert [item.name for item in bundle.parent.iterdir()] == ["bundle"]


# What it costs


def test_nothing_heavy_is_imported_to_read_a_bundle() -> None:
    program = (
        "import sys; from textgate.bundle.storage import read_bundle; read_bundle(sys.argv[1]);"
        "print([name for name in ('numpy', 'onnx', 'onnxruntime', 'tokenizers', 'torch')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(GOLDEN)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
