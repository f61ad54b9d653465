"""Rows out of Parquet files."""

from __future__ import annotations

import sys

import pytest

from textgate.errors import ConfigError, DataError, MissingPackageError
from textgate.rows import Columns, Row, read_rows

pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
pq = pytest.importorskip("pyarrow.parquet")


def read(path, *, labelled=True, **options):
    return list(read_rows(path, Columns(**options), labelled=labelled))


def test_parquet(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2, 3]),
            "text": pa.array(["a\0\u2028", "", "c"], pa.large_string()),
            "label": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [
        Row("a\0\u2028", ("x",), 1, {"id": 1}),
        Row("", ("y",), 2, {"id": 2}),
        Row("c", ("x",), 3, {"id": 3}),
    ]
    assert read(tmp_path / "a.parquet", labelled=False)[1] == Row(
        "", (), 2, {"id": 2, "label": "y"}
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1], [("0",), ("1",)]),
        ([True, False], [("true",), ("false",)]),
        ([["a", "b"], []], [("a", "b"), ()]),
    ],
)
def test_parquet_labels(tmp_path, labels, expected):
    pq.write_table(pa.table({"text": ["a", "b"], "label": labels}), tmp_path / "a.parquet")
    assert [row.labels for row in read(tmp_path / "a.parquet")] == expected


def test_parquet_over_several_batches_and_row_groups(tmp_path):
    texts = [str(number) for number in range(1000)]
    table = pa.table({"text": texts, "label": texts})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    rows = read(tmp_path / "a.parquet")
    assert [(row.text, row.line) for row in rows] == [(text, int(text) + 1) for text in texts]


def test_parquet_without_pyarrow_names_the_extra_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingPackageError, match="needs pyarrow, which the extra brings"):
        read_rows(tmp_path / "a.parquet", labelled=True)


def test_a_text_of_megabytes(tmp_path):
    text = "wörd " * 1_000_000
    pq.write_table(pa.table({"text": [text], "label": ["x"]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0].text == text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", None], "label": ["x", "y"]}, "row 2: the text .* a string, found null"),
        ({"text": [1], "label": ["x"]}, "row 1: the text .* a string, found 1"),
        ({"text": [b"a"], "label": ["x"]}, "row 1: the text .* a string, found b'a'"),
        ({"text": ["a"], "label": pa.array([None], pa.string())}, "row 1: the label .* is null"),
        ({"text": ["a"], "label": [0.5]}, "row 1: the label .* is the number 0.5"),
        ({"text": ["a"], "label": [["x", None]]}, "row 1: the label .* is null"),
        ({"text": ["a"], "label": [{"x": 1}]}, "row 1: the label .* found an object"),
        ({"text": [], "stars": []}, "no field 'label', found 'text', 'stars'; .* --label-field"),
        ({"review": [], "label": []}, "no field 'text', found 'review', 'label'; .* --text-field"),
    ],
)
def test_wrong_columns_are_named(tmp_path, columns, message):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=f"^{path}(, |: ){message}"):
        read(path)


def test_two_columns_of_one_name(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["text", "label", "label"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="2 columns are named 'label'"):
        read(tmp_path / "a.parquet")


def damaged(data: bytes) -> bytes:
    return data[:40] + b"\xff" * 40 + data[80:]


@pytest.mark.parametrize(
    "spoil", [damaged, lambda _: b"", lambda _: b"text", lambda data: data[:-9]]
)
def test_a_damaged_file(tmp_path, spoil):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a" * 99], "label": ["x"]}), path, compression="none")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=f"^{path}: .*[^\n]$"):
        read(path)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (pa.ArrowNotImplementedError("no such\nencoding"), "no such$"),
        (OSError("Couldn't deserialize\nthrift"), "Couldn't deserialize$"),
        (OSError(5, "Input/output error"), "Input/output error$"),
        (ValueError(), "ValueError$"),
    ],
)
def test_what_pyarrow_cannot_do(tmp_path, monkeypatch, problem, message):
    def refuse(_):
        raise problem

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(DataError, match=f"a.parquet: cannot be read: {message}"):
        read(tmp_path / "a.parquet")


def test_text_that_is_not_utf8(tmp_path):
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    pq.write_table(pa.table({"text": bad, "label": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="cannot be read: "):
        read(tmp_path / "a.parquet")


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read("s3://bucket/a.parquet")


@pytest.mark.parametrize(
    ("path", "message"),
    [("-", "cannot be read from standard input"), ("a.parquet.gz", "decompress the file first")],
)
def test_parquet_that_cannot_work_is_refused_at_once(path, message):
    with pytest.raises(ConfigError, match=message):
        read_rows(path, Columns(format="parquet"), labelled=True)
