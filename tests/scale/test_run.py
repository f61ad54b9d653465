"""A corpus classified into a folder, continued after an interruption; faults of its files."""

from __future__ import annotations

import datetime
import errno
import itertools
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from tests.scale.corpora import here, read, require_equal, texts, write
from textgate import ConfigError, DataError
from textgate.scale import partitions, worker
from textgate.scale.folders import Folder, matching
from textgate.scale.ledger import SETTINGS


def nothing(*_):
    raise AssertionError("there is something left to do")


def test_every_row_has_the_result_of_one_process(corpus, tmp_path, scale, alone):
    done = scale(corpus, tmp_path / "out")
    assert str(done) == "6 partitions, 69 rows, 16 of them with an error"
    for name, values in {
        "lang=en/plain": texts(30),
        "lang=en/large": texts(11, 1),
        "lang=en/coded": texts(21, 2),
        "lang=nl/empty": [],
        "lang=nl/nulls": [None] * 5,
    }.items():
        require_equal(read(tmp_path / "out" / f"{name}.parquet"), values, alone)
    other = read(tmp_path / "out" / "lang=nl" / "other.parquet").to_pylist()
    assert [row["input.label"] for row in other] == [3, 4]
    assert other[0]["error"].startswith("no field 'text', found 'id', 'body', 'label'")


def test_readers_of_parquet_see_the_results_alone(corpus, tmp_path, scale):
    scale(corpus, tmp_path / "out")
    (tmp_path / "out" / "lang=en" / ".x.partial").write_bytes(b"half")
    table = dataset.dataset(
        tmp_path / "out" / "lang=en", format="parquet", schema=pa.schema([("id", pa.int64())])
    ).to_table()
    assert table.num_rows == 62


def test_what_is_finished_is_not_done_again(corpus, tmp_path, scale):
    scale(corpus, tmp_path / "out")
    again = scale(corpus, tmp_path / "out", execute=nothing)
    assert (again.before, again.rows) == (6, 69)


@pytest.mark.parametrize("harm", ["removed", "cut", "source changed", "unrecorded"])
def test_a_partition_that_is_not_finished_is_done(corpus, tmp_path, scale, harm):
    scale(corpus / "lang=en" / "plain.parquet", tmp_path / "out")
    result, source = tmp_path / "out" / "plain.parquet", corpus / "lang=en" / "plain.parquet"
    whole = result.read_bytes()
    if harm == "removed":
        result.unlink()
    elif harm == "cut":
        result.write_bytes(whole[:100])
    elif harm == "source changed":
        os.utime(source, ns=(1, 1))
    else:
        for record in (tmp_path / "out" / "_textgate" / "commits").iterdir():
            record.unlink()
    assert scale(source, tmp_path / "out").before == 0
    assert result.read_bytes() == whole


def test_workers_may_have_another_working_directory(corpus, tmp_path, scale, monkeypatch):
    def elsewhere(job, path, place, groups):
        with monkeypatch.context() as patch:
            patch.chdir("/")
            yield from here(job, path, place, groups)

    monkeypatch.chdir(tmp_path)
    assert scale("corpus/*/*.parquet", "out", execute=elsewhere).rows == 69
    assert (tmp_path / "out" / "lang=en" / "plain.parquet").exists()


def test_the_rest_is_done_after_an_interruption(corpus, tmp_path, scale, monkeypatch):
    monkeypatch.setattr(partitions, "_GROUPS", 1)
    monkeypatch.setattr(partitions, "_GROUP_PARTITIONS", 2)
    asked = []

    def interrupted(job, path, place, groups):
        asked.extend(groups)
        yield next(iter(here(job, path, place, groups)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scale(corpus, tmp_path / "out", execute=interrupted)
    (tmp_path / "out" / "lang=en" / ".plain.parquet.1.partial").write_bytes(b"half")
    done = scale(corpus, tmp_path / "out")
    assert (len(asked), done.before, done.rows) == (3, 2, 69)
    assert not list((tmp_path / "out").rglob("*.partial"))


SETTINGS_CASES = {
    "--abstain-below 0.9": {"abstain_below": 0.9},
    "--scores on": {"scores": True},
    "--max-tokens 5": {"max_tokens": 5},
    "--text-field id": {"text": "id"},
}


@pytest.mark.parametrize("name", SETTINGS_CASES)
def test_other_settings_are_refused(corpus, tmp_path, scale, name):
    scale(corpus, tmp_path / "out")
    with pytest.raises(DataError, match=rf"begun .*, not with {name}; give the same settings, or"):
        scale(corpus, tmp_path / "out", **SETTINGS_CASES[name])


def test_another_model_is_refused(corpus, tmp_path, scale, bundles):
    scale(corpus, tmp_path / "out")
    with pytest.raises(DataError, match=r"begun with the bundle with the checksum \w+, not with"):
        scale(corpus, tmp_path / "out", model=bundles["gru-float32"])


def test_another_corpus_is_refused(corpus, tmp_path, scale):
    """Its files may have the same names."""
    scale(corpus / "lang=en", tmp_path / "out")
    with pytest.raises(DataError, match=r"begun with the corpus in \S*lang=en, not with"):
        scale(corpus / "lang=nl", tmp_path / "out")
    assert scale(corpus / "lang=en" / "pl*.parquet", tmp_path / "out", execute=nothing).before == 1


def test_another_command_that_begins_at_the_same_moment_is_refused(
    corpus, tmp_path, scale, bundles, monkeypatch
):
    real = Folder.write

    def write(self, name, fill):
        real(self, name, fill)
        if name == SETTINGS:
            monkeypatch.undo()
            (tmp_path / "out" / SETTINGS).unlink()
            scale(corpus, tmp_path / "out", model=bundles["gru-float32"])

    monkeypatch.setattr(Folder, "write", write)
    with pytest.raises(DataError, match="begun with the bundle"):
        scale(corpus, tmp_path / "out", execute=nothing)


def test_workers_with_a_folder_of_their_own_are_told(corpus, tmp_path, scale):
    def elsewhere(job, path, place, groups):
        return here(job, path, place._replace(results=str(tmp_path / "other")), groups)

    with pytest.raises(DataError, match=r"other: holds no .*every node must have the same folder"):
        scale(corpus, tmp_path / "out", execute=elsewhere)
    assert not (tmp_path / "other").exists()


def test_a_corpus_without_the_column_is_refused(corpus, tmp_path, scale):
    with pytest.raises(DataError, match=r"no file has a column 'txt' \(did you mean 'text'\?\)"):
        scale(corpus, tmp_path / "out", text="txt")
    assert not (tmp_path / "out").exists()
    assert scale(corpus, tmp_path / "out", text="body").rows == 69  # one file has it


def test_a_folder_with_other_files_is_refused(corpus, tmp_path, scale):
    write(tmp_path / "out" / "mine.parquet", [])
    with pytest.raises(DataError, match=r"holds mine\.parquet, but no results that textgate scale"):
        scale(corpus, tmp_path / "out")


def test_results_that_would_belong_to_the_corpus_are_refused(corpus, scale):
    with pytest.raises(ConfigError, match="its files would match the pattern of the corpus"):
        scale(corpus, corpus / "out")
    (corpus.parent / "link").symlink_to(corpus)
    with pytest.raises(ConfigError, match="its files would match the pattern of the corpus"):
        scale(corpus, corpus.parent / "link" / "out")
    assert scale(corpus / "lang=en" / "*.parquet", corpus / "lang=en" / "out").rows == 62


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 2, "settings": {}}'])
def test_damaged_settings_are_refused(corpus, tmp_path, scale, damage):
    scale(corpus, tmp_path / "out")
    (tmp_path / "out" / SETTINGS).write_bytes(damage)
    with pytest.raises(DataError, match=r"settings\.json"):
        scale(corpus, tmp_path / "out")


# Faults of files and nodes


def test_a_damaged_file_does_not_keep_the_others_from_being_done(corpus, tmp_path, scale):
    broken = corpus / "lang=en" / "broken.parquet"
    data = write(broken, texts(3000)).read_bytes()
    broken.write_bytes(data[:4] + bytes(400) + data[404:])
    notes = []
    with pytest.raises(DataError, match=r"1 of 7 partitions cannot be finished, such as .*broken"):
        scale(corpus, tmp_path / "out", note=notes.append)
    assert notes == ["1 partition failed; trying again"]
    broken.unlink()
    assert scale(corpus, tmp_path / "out").before == 6


def test_an_unfinished_file_that_another_command_removes_is_told(tmp_path):
    def fill(stream):
        stream.write(b"x")
        for file in tmp_path.iterdir():
            file.unlink()

    with pytest.raises(OSError, match="was removed; one command at a time can write into"):
        Folder(str(tmp_path)).write("a.parquet", fill)


def test_an_unexpected_error_does_not_keep_the_others_from_being_done(
    corpus, tmp_path, scale, monkeypatch
):
    def read(folder, partition):
        if partition.source.endswith("plain.parquet"):
            raise KeyError("unexpected")
        return partitions.read_tables(folder, partition)

    monkeypatch.setattr(worker, "read_tables", read)
    with pytest.raises(DataError, match=r"1 of 6 partitions .*plain\.parquet: on .*'unexpected'"):
        scale(corpus, tmp_path / "out")


def test_a_file_that_changes_meanwhile_is_told(corpus, tmp_path, scale):
    source = corpus / "lang=en" / "plain.parquet"

    def changed(job, path, place, groups):
        write(source, texts(31))
        return here(job, path, place, groups)

    with pytest.raises(DataError, match="has changed since the command began; run it again"):
        scale(source, tmp_path / "out", execute=changed)
    assert scale(source, tmp_path / "out").rows == 31


def test_timestamps_of_spark_keep_their_time(tmp_path, scale):
    time = datetime.datetime.fromisoformat("9999-12-31")
    table = pa.table({"text": ["x"], "time": pa.array([time], pa.timestamp("us"))})
    source = tmp_path / "spark.parquet"
    parquet.write_table(table, source, use_deprecated_int96_timestamps=True)
    scale(source, tmp_path / "out")
    assert read(tmp_path / "out" / "spark.parquet").column("time").to_pylist() == [time]


def full(disk, monkeypatch, times):
    """Writing to a folder fails, as on a node whose disk is full, so many times."""
    real = Folder.write
    left = [times]

    def write_if_there_is_room(self, name, fill):
        if self.path.endswith(disk) and name.endswith(".parquet") and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, name, fill)

    monkeypatch.setattr(Folder, "write", write_if_there_is_room)


def test_what_a_full_disk_prevented_is_done_elsewhere(corpus, tmp_path, scale, monkeypatch):
    full("out", monkeypatch, times=4)
    done = scale(corpus, tmp_path / "out")
    assert (done.partitions, done.rows) == (6, 69)


def test_full_disks_everywhere_are_told(corpus, tmp_path, scale, monkeypatch):
    full("out", monkeypatch, times=100)
    with pytest.raises(DataError, match=r"6 of 6 .*No space left on device; the same command"):
        scale(corpus, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_hundred_thousand_files_are_few_groups(tmp_path, scale):
    source = write(tmp_path / "one.parquet", texts(3))
    many = tmp_path / "many"
    many.mkdir()
    for number in range(30):
        os.link(source, many / f"{number:03}.parquet")
    folder, _, found = partitions.corpus(str(many))
    assert (folder.path, len(found)) == (str(many), 30)
    copies = partitions.groups(itertools.repeat(found[0], 100_000))
    assert len(list(copies)) == 100_000 // partitions._GROUP_PARTITIONS + 1
    assert scale(many, tmp_path / "out").rows == 90


@pytest.mark.parametrize(
    ("files", "megabytes", "most"),
    [(20, 5, 1), (1000, 1, 4), (1000, 20, 2), (5, 100, 1), (1000, 0, 4)],
)
def test_groups_are_so_many_that_workers_end_together(files, megabytes, most):
    listed = [partitions.Partition(str(one), "", megabytes * 2**20, 0) for one in range(files)]
    found = list(partitions.groups(listed))
    assert [one for group in found for one in group] == listed
    assert max(map(len, found)) == most


def test_a_large_file_is_several_partitions(tmp_path, scale, alone, monkeypatch):
    values = texts(700)
    table = pa.table({"text": values})
    parquet.write_table(table, tmp_path / "large.parquet", row_group_size=100, compression="none")
    size = parquet.ParquetFile(tmp_path / "large.parquet").metadata.row_group(0).total_byte_size
    monkeypatch.setattr(partitions, "_SPLIT_BYTES", size * 3 // 2)
    done = scale(tmp_path / "large.parquet", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
    assert done.partitions == len(names) > 2
    assert names[0] == f"large-00000-of-{len(names):05}.parquet"
    tables = [read(tmp_path / "out" / name) for name in names]
    require_equal(pa.concat_tables(tables), values, alone)


def test_results_of_another_division_are_removed(tmp_path, scale, monkeypatch):
    source = tmp_path / "corpus" / "large.parquet"
    scale(write(source, texts(3)), tmp_path / "out")
    monkeypatch.setattr(partitions, "_SPLIT_BYTES", 1)
    for size in (100, 50):  # one partition, then 3, then 6
        parquet.write_table(pa.table({"text": texts(300)}), source, row_group_size=size)
        assert scale(source, tmp_path / "out").rows == 300
        assert sum(read(one).num_rows for one in (tmp_path / "out").glob("*.parquet")) == 300


def test_large_rows_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "_MAX_BATCH_BYTES", 2**20)
    table = pa.table({"text": [os.urandom(50_000).hex() for _ in range(100)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=60)
    folder, _, found = partitions.corpus(str(tmp_path))
    sizes = [one.num_rows for one in partitions.read_tables(folder, found[0])]
    assert (sum(sizes), max(sizes)) == (100, 10)


READ = """
import re, sys
from pathlib import Path
from textgate.scale.folders import Folder
from textgate.scale.partitions import Partition, read_tables
def peak():  # ru_maxrss would begin with that of the parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
folder = Folder(sys.argv[1])
def rows(name):
    size = (Path(sys.argv[1]) / name).stat().st_size
    return sum(table.num_rows for table in read_tables(folder, Partition(name, "", size, 0)))
rows("small.parquet")
before = peak()
print(rows("large.parquet"), peak() - before)
"""


def test_a_large_row_group_is_not_read_at_once(tmp_path):
    some = pa.array([os.urandom(200).hex() for _ in range(2000)])
    for name, count in (("small", 1), ("large", 150)):
        table = pa.table({"text": pa.chunked_array([some] * count)})
        parquet.write_table(
            table,
            tmp_path / f"{name}.parquet",
            row_group_size=table.num_rows,
            use_dictionary=False,
            compression="none",
        )
    run = subprocess.run(
        [sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, run.stdout.split())
    assert rows == 300_000  # of 400 bytes, 120 MB in one row group
    assert grown < 100_000  # KB, however large the row group is


# Addresses


@pytest.mark.parametrize(
    ("address", "folder", "matches", "differs"),
    [
        ("a/*.parquet", "a", ["x.parquet"], ["x.csv", "b/x.parquet"]),
        ("a/**/*.parquet", "a", ["x.parquet", "b/c/x.parquet"], ["x.csv"]),
        ("a/l=*/p*.parquet", "a", ["l=en/p1.parquet"], ["l=en/q.parquet", "m/p.parquet"]),
        ("a", "a", ["x.parquet", "b/x.parquet"], ["x.csv"]),
        ("a.parquet", "a.parquet", ["x.parquet", "b/x.parquet"], ["x.csv"]),
        ("/a/b.parquet", "/a", ["b.parquet"], ["c.parquet"]),
        ("*.parquet", ".", ["x.parquet"], ["b/x.parquet"]),
        ("/*.parquet", "/", ["x.parquet"], []),
        ("s3://b/a/*.parquet?scheme=http", "s3://b/a?scheme=http", ["x.parquet"], ["b/x.parquet"]),
        ("s3://b?scheme=http", "s3://b?scheme=http", ["a/x.parquet"], []),
    ],
)
def test_a_pattern_names_a_folder_and_files_in_it(address, folder, matches, differs):
    found, pattern, recursive = matching(address, is_file=address.endswith("b.parquet"))
    assert found == folder
    assert recursive or "/" not in "".join(matches)
    assert all(pattern.fullmatch(name) for name in matches)
    assert not any(pattern.fullmatch(name) for name in differs)


def test_a_folder_may_be_named_like_a_file_and_a_file_otherwise(tmp_path, scale):
    write(tmp_path / "spark.parquet" / "part-0.parquet", texts(2))
    assert scale(tmp_path / "spark.parquet", tmp_path / "out").rows == 2
    write(tmp_path / "other.pq", texts(3))
    assert scale(tmp_path / "other.pq", tmp_path / "other").rows == 3


@pytest.mark.parametrize(
    ("name", "count"),
    [("_date=1/a.parquet", 1), ("_a.parquet", 0), (".a/a.parquet", 0), ("a%20b#é ?.parquet", 1)],
)
def test_files_of_other_names_are_found_as_spark_finds_them(tmp_path, scale, name, count):
    write(tmp_path / "c" / "a.parquet", texts(1))
    write(tmp_path / "c" / name, texts(1))
    assert scale(tmp_path / "c", tmp_path / "out").partitions == 1 + count


def test_folders_in_which_nothing_can_match_are_not_read(tmp_path, scale):
    write(tmp_path / "a.parquet", texts(2))
    odd = tmp_path / "below" / os.fsdecode(b"\xff")
    odd.parent.mkdir()
    odd.touch()
    assert scale(tmp_path / "*.parquet", tmp_path / "out").rows == 2
    with pytest.raises(DataError, match="cannot be listed: a name is not UTF-8; rename it"):
        scale(tmp_path / "below", tmp_path / "other")


def test_a_path_may_begin_with_the_home_folder(tmp_path, scale, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "c" / "x.parquet", texts(2))
    assert scale("~/c/*.parquet", "~/out").rows == 2
    assert (tmp_path / "out" / "x.parquet").exists()


@pytest.mark.parametrize("paths", [("", "out"), ("c", "")])
def test_an_empty_path_is_refused(tmp_path, scale, monkeypatch, paths):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c" / "x.parquet", texts(2))
    with pytest.raises(ConfigError, match="a path or address is empty"):
        scale(*paths)


def test_an_address_may_hold_any_character(tmp_path, scale):
    write(tmp_path / "a#b c é" / "x.parquet", texts(2))
    assert scale(f"file://{tmp_path}/a#b c é/*.parquet", f"file://{tmp_path}/o#p").rows == 2
    assert (tmp_path / "o#p" / "x.parquet").exists()


def test_a_password_in_an_address_is_not_shown(scale, tmp_path):
    with pytest.raises(ConfigError, match=r"^s3://") as refused:
        scale("s3://key:secret@bucket/a%/*.parquet?nonsense=1", tmp_path / "out")
    assert "secret" not in str(refused.value)


def test_a_corpus_without_files_is_refused(tmp_path, scale):
    with pytest.raises(DataError, match="no file there matches; give a Parquet file"):
        scale(tmp_path / "*.parquet", tmp_path / "out")


def test_an_unknown_address_is_refused(corpus, scale):
    with pytest.raises(ConfigError, match=r"^nonsense:// cannot be opened"):
        scale(corpus, "nonsense://x")


def test_fsspec_opens_what_pyarrow_does_not_know(corpus, scale):
    import fsspec

    address = "memory://results"
    assert scale(corpus, address).rows == 69
    assert scale(corpus, address, execute=nothing).before == 6
    assert fsspec.filesystem("memory").exists("/results/lang=en/plain.parquet")
