"""Files and folders that are whole or absent, whatever fails and whenever."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from textgate.atomic import new_folder, write_bytes
from textgate.errors import CheckpointError, ExportError

MARKER = "textgate.json"


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A complete folder that is already there."""
    target = tmp_path / "target"
    (target / "inner").mkdir(parents=True)
    (target / MARKER).write_bytes(b"old")
    (target / "inner" / "file").write_bytes(b"inner")
    return target


def fill(target: Path, *, force: bool = False, then: Callable[[], object] = lambda: None) -> None:
    with new_folder(target, force=force, error=ExportError, complete_marker=MARKER) as folder:
        (folder / MARKER).write_bytes(b"new")
        (folder / "inner").mkdir()
        (folder / "inner" / "other").write_bytes(b"new")
        then()


# write_bytes


@pytest.mark.parametrize("before", [None, b"", b"a longer content that was there"])
@pytest.mark.parametrize("data", [b"", b"new", bytes(100_000)])
def test_a_file_is_written_and_leaves_no_sibling(
    tmp_path: Path, before: bytes | None, data: bytes
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)
    write_bytes(path, data)
    assert path.read_bytes() == data
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace", "pathlib.Path.open"])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(failing, full_disk)
        with pytest.raises(OSError, match="No space left") as caught:
            write_bytes(path, b"new")
    assert caught.value.filename == str(path)
    assert tree(tmp_path) == {"file": b"old"}


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    assert tree(tmp_path) == {"file": b"old"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="Not a regular file"):
        write_bytes(tmp_path / "pipe", b"new")
    assert names(tmp_path) == ["pipe"]


def test_others_may_read_a_written_file(tmp_path: Path, umask: None) -> None:
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


# new_folder


def test_a_folder_appears_when_it_is_complete(tmp_path: Path, umask: None) -> None:
    target = tmp_path / "missing" / "parents" / "target"
    with new_folder(target, force=False, error=ExportError, complete_marker=MARKER) as folder:
        (folder / MARKER).write_bytes(b"new")
        assert folder.parent == target.parent
        assert folder.name.startswith(".target.")
        assert folder.name.endswith(".partial")
        assert not target.exists()
    assert names(target.parent) == ["target"]
    assert tree(target) == {MARKER: b"new"}
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("problem", [ValueError("x"), KeyboardInterrupt(), ExportError("x")])
@pytest.mark.parametrize("exists", [True, False])
def test_a_failing_body_leaves_the_target(old: Path, exists: bool, problem: BaseException) -> None:
    def fail() -> None:
        raise problem

    before = tree(old.parent)
    with pytest.raises(type(problem)):
        fill(old if exists else old.parent / "absent", force=True, then=fail)
    assert tree(old.parent) == before
    assert names(old.parent) == ["target"]


@pytest.mark.parametrize("error", [ExportError, CheckpointError])
def test_a_full_disk_is_the_callers_error(
    old: Path, error: type[ExportError] | type[CheckpointError]
) -> None:
    target = old.parent / "absent"
    with (
        pytest.raises(error) as caught,
        new_folder(target, force=False, error=error, complete_marker=MARKER) as folder,
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "model.onnx"))
    assert str(caught.value) == f"{target}: cannot be written: No space left on device: model.onnx"
    assert names(old.parent) == ["target"]


def test_a_broken_pipe_is_not_about_the_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokenPipeError),
        new_folder(tmp_path / "t", force=False, error=ExportError, complete_marker=MARKER),
    ):
        raise BrokenPipeError
    assert names(tmp_path) == []


@pytest.mark.parametrize("failing", ["os.fsync", "os.rename", "os.mkdir"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_system_failure_leaves_the_target(
    old: Path, monkeypatch: pytest.MonkeyPatch, failing: str, exists: bool
) -> None:
    target = old if exists else old.parent / "absent"
    before = tree(old.parent)
    with monkeypatch.context() as patch:
        patch.setattr(failing, full_disk)
        with pytest.raises(ExportError, match="cannot be written: No space left"):
            fill(target, force=True)
    assert tree(old.parent) == before
    assert names(old.parent) == ["target"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, calls = os.rename, []

    def fails_second(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            full_disk()
        rename(source, target)

    before = tree(old.parent)
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", fails_second)
        with pytest.raises(ExportError, match="No space left"):
            fill(old, force=True)
    assert len(calls) == 3
    assert tree(old.parent) == before
    assert names(old.parent) == ["target"]


def test_force_replaces_a_complete_folder_whole(old: Path) -> None:
    fill(old, force=True)
    assert tree(old) == {MARKER: b"new", "inner/other": b"new"}
    assert names(old.parent) == ["target"]


def test_force_replaces_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    fill(tmp_path / "target", force=True)
    assert tree(tmp_path / "target") == {MARKER: b"new", "inner/other": b"new"}


def make_file(target: Path) -> None:
    target.write_bytes(b"x")


def make_strangers_folder(target: Path) -> None:
    target.mkdir()
    (target / "thesis.txt").write_bytes(b"x")


def make_link(target: Path) -> None:
    (target.parent / "real").mkdir()
    target.symlink_to("real")


def make_dangling_link(target: Path) -> None:
    target.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "force", "message"),
    [
        (Path.mkdir, False, "already exists; choose another path or pass --force"),
        (make_file, False, "already exists; choose another path or pass --force"),
        (make_dangling_link, False, "already exists; choose another path or pass --force"),
        (make_file, True, "not a folder, so --force does not replace it"),
        (make_link, True, "not a folder, so --force does not replace it"),
        (make_strangers_folder, True, "no textgate.json, so --force does not replace it"),
    ],
)
def test_what_is_in_the_way_is_refused_before_any_work(
    tmp_path: Path, make: Callable[[Path], None], force: bool, message: str
) -> None:
    target = tmp_path / "target"
    make(target)
    before = (names(tmp_path), tree(tmp_path))
    manager = new_folder(target, force=force, error=ExportError, complete_marker=MARKER)
    with pytest.raises(ExportError, match=message) as caught:
        manager.__enter__()
    assert str(caught.value).startswith(f"{target}: ")
    assert "\n" not in str(caught.value)
    assert (names(tmp_path), tree(tmp_path)) == before


def test_the_root_is_in_the_way_too() -> None:
    root = Path(Path.cwd().anchor)
    manager = new_folder(root, force=False, error=ExportError, complete_marker=MARKER)
    with pytest.raises(ExportError, match="already exists; choose another path or pass --force"):
        manager.__enter__()


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    def appear() -> None:
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / MARKER).write_bytes(b"theirs")

    with pytest.raises(ExportError, match="already exists"):
        fill(tmp_path / "target", then=appear)
    assert tree(tmp_path) == {"target/textgate.json": b"theirs"}


@pytest.mark.parametrize("name", [".", "inner/.."])
def test_a_folder_named_by_dots_is_itself(
    old: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(old)
    fill(Path(name), force=True)
    assert tree(old.parent) == {"target/textgate.json": b"new", "target/inner/other": b"new"}


def test_a_name_near_the_limit_leaves_room_for_the_siblings(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 127)
    fill(target)
    fill(target, force=True)
    assert names(tmp_path) == [target.name]


def test_a_parent_that_is_a_file_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ExportError, match="cannot be written"):
        fill(tmp_path / "file" / "target")
