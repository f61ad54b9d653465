"""Each format of rows, and that it is read row by row."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from textgate.errors import DataError
from textgate.rows import INPUT_FORMATS, Columns, Row, read_rows

BOM = "\ufeff"


def save(path: Path, content: str | bytes) -> Path:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def read(path: Path, *, labelled: bool = True, **options: str) -> list[Row]:
    return list(read_rows(path, Columns(**options), labelled=labelled))


LABELLED = [
    ("a.jsonl", '{"text": "good", "label": "pos"}\n', [Row("good", ("pos",), 1)]),
    ("a.ndjson", '{"text": "good", "label": "pos"}', [Row("good", ("pos",), 1)]),
    ("a.JSONL", '{"text": "good", "label": "pos"}\r\n', [Row("good", ("pos",), 1)]),
    ("bom.jsonl", BOM + '{"text": "good", "label": "pos"}', [Row("good", ("pos",), 1)]),
    ("blank.jsonl", '\n \t\r\n{"text": "", "label": "a"}\n\n', [Row("", ("a",), 3)]),
    (
        "labels.jsonl",
        (
            '{"text": "a", "label": 3}\n{"text": "b", "label": true}\n'
            '{"text": "c", "label": false}\n'
            '{"text": "d", "label": []}\n{"text": "e", "label": ["x", 1, false, "x"]}\n'
            '{"text": "f", "label": " trimmed "}\n'
        ),
        [
            Row("a", ("3",), 1),
            Row("b", ("true",), 2),
            Row("c", ("false",), 3),
            Row("d", (), 4),
            Row("e", ("x", "1", "false"), 5),
            Row("f", ("trimmed",), 6),
        ],
    ),
    (
        "extras.jsonl",
        '{"z": 1, "text": "a", "y": {"deep": [null]}, "label": "l", "x": null}\n',
        [Row("a", ("l",), 1, {"z": 1, "y": {"deep": [None]}, "x": None})],
    ),
    ("surrogate.jsonl", '{"text": "\\ud83d", "label": "l"}', [Row("\ud83d", ("l",), 1)]),
    ("nul.jsonl", '{"text": "a\\u0000b", "label": "l"}', [Row("a\0b", ("l",), 1)]),
    ("a.csv", "text,label\ngood,pos\n", [Row("good", ("pos",), 2)]),
    ("a.csv.gz", "text,label\ngood,pos\n", [Row("good", ("pos",), 2)]),
    ("bom.csv", BOM + '"text",label\r\ngood,pos\r\n', [Row("good", ("pos",), 2)]),
    (
        "quoted.csv",
        'id,label,text\n7,"a,b","one\ntwo\r\n""three"""\n\n8,c, "" \n',
        [Row('one\ntwo\r\n"three"', ("a,b",), 2, {"id": "7"}), Row(' "" ', ("c",), 6, {"id": "8"})],
    ),
    ("nul.csv", "text,label\na\0b,l\n", [Row("a\0b", ("l",), 2)]),
    (
        "a.tsv",
        'text\tlabel\tid\n"good, or not\tpos\t1\r\nfine"\tneg\t\n\n',
        [Row('"good, or not', ("pos",), 2, {"id": "1"}), Row('fine"', ("neg",), 3, {"id": ""})],
    ),
    (
        "separators.tsv",
        "text\tlabel\na\x0bb\x0c\x1c\x85\u2028\u2029c\rd\tl\n",
        [Row("a\x0bb\x0c\x1c\x85\u2028\u2029c\rd", ("l",), 2)],
    ),
    ("a.txt", "__label__pos good stuff\n", [Row("good stuff", ("pos",), 1)]),
    (
        "several.txt",
        "\n  __label__a __label__b\t__label__a good __label__c\n__label__a\n__label__x__label__y z",
        [
            Row("good __label__c", ("a", "b"), 2),
            Row("", ("a",), 3),
            Row("z", ("x__label__y",), 4),
        ],
    ),
    (
        "spaces.txt",
        "__label__a\u00a0b text\u2028 \n",
        [Row("text\u2028 ", ("a b",), 1)],
    ),
]


@pytest.mark.parametrize(("name", "content", "rows"), LABELLED, ids=[case[0] for case in LABELLED])
def test_labelled_rows(tmp_path, name, content, rows):
    assert read(save(tmp_path / name, content)) == rows


UNLABELLED = [
    (
        "a.txt",
        BOM + " one \n\n__label__x two\r\nthree\rfour\r\r\nfi\x0b\x85\u2028ve",
        [
            Row(" one ", (), 1),
            Row("", (), 2),
            Row("__label__x two", (), 3),
            Row("three\rfour\r", (), 4),
            Row("fi\x0b\x85\u2028ve", (), 5),
        ],
    ),
    ("a.jsonl", '{"text": "a", "label": 0.5}\n', [Row("a", (), 1, {"label": 0.5})]),
    ("no_label.jsonl", '{"text": "a"}\n', [Row("a", (), 1)]),
    ("a.csv", "label,text\n,a\n", [Row("a", (), 2, {"label": ""})]),
    ("one_column.tsv", "text\na\n\nb\n", [Row("a", (), 2), Row("", (), 3), Row("b", (), 4)]),
    ("one_column.csv", 'text\na\n""\nb\n', [Row("a", (), 2), Row("", (), 3), Row("b", (), 4)]),
]


@pytest.mark.parametrize(
    ("name", "content", "rows"), UNLABELLED, ids=[case[0] for case in UNLABELLED]
)
def test_rows_without_labels(tmp_path, name, content, rows):
    assert read(save(tmp_path / name, content), labelled=False) == rows


def test_fasttext_labels_are_dropped_where_labels_are_not_read(tmp_path):
    path = save(tmp_path / "a.txt", "__label__pos good\nno label\n")
    assert read(path, labelled=False, format="fasttext") == [
        Row("good", (), 1),
        Row("no label", (), 2),
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv"])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("content", ["", BOM])
def test_a_file_without_anything_has_no_rows(tmp_path, name, labelled, content):
    assert read(save(tmp_path / name, content), labelled=labelled) == []


def test_the_columns_can_have_other_names(tmp_path):
    path = save(tmp_path / "a.csv", "label,review,stars,text\nx,good,5,t\n")
    assert read(path, text="review", label="stars") == [
        Row("good", ("5",), 2, {"label": "x", "text": "t"})
    ]


def test_a_format_that_is_named_goes_before_the_extension(tmp_path):
    path = save(tmp_path / "rows.data.gz", '{"text": "a", "label": "l"}\n')
    assert read(path, format="jsonl") == [Row("a", ("l",), 1)]


@pytest.mark.parametrize(
    ("labelled", "options", "content", "rows"),
    [
        (True, {}, "__label__a b\n", [Row("b", ("a",), 1)]),
        (False, {}, "a\nb", [Row("a", (), 1), Row("b", (), 2)]),
        (True, {"format": "csv"}, "text,label\na,b\n", [Row("a", ("b",), 2)]),
    ],
)
def test_standard_input(monkeypatch, labelled, options, content, rows):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert list(read_rows(Path("-"), Columns(**options), labelled=labelled)) == rows
    assert not sys.stdin.closed


LONG = "wörd " * 1_000_000  # 6 MB


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.csv.gz"])
def test_a_text_of_megabytes(tmp_path, name):
    contents = {
        "a.txt": f"__label__x {LONG}\n",
        "a.jsonl": json.dumps({"text": LONG, "label": "x"}),
        "a.tsv": f"text\tlabel\n{LONG}\tx\n",
    }
    path = save(tmp_path / name, contents.get(name, f'text,label\n"{LONG}",x\n'))
    rows = read(path)
    assert [row.labels for row in rows] == [("x",)]
    assert rows[0].text == LONG


def test_rows_come_before_a_later_line_is_looked_at(tmp_path):
    rows = read_rows(save(tmp_path / "a.jsonl", b'{"text": "a"}\n\xff\n'), labelled=False)
    assert next(rows).text == "a"
    with pytest.raises(DataError, match="line 2"):
        next(rows)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.csv.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    text = "word " * 100
    row = {"a.txt": text, "a.jsonl": f'{{"text": "{text}"}}', "a.tsv": f"{text}\tx"}
    lines = "text\tx\n" if name == "a.tsv" else "text,x\n" if "csv" in name else ""
    save(tmp_path / name, lines + f"{row.get(name, text + ',x')}\n" * 8_000)  # 4 MB
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(tmp_path / name, labelled=False))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 8_000
    assert peak < 500_000


def test_every_format_is_listed():
    assert INPUT_FORMATS == ("text", "jsonl", "json", "csv", "tsv", "fasttext", "parquet")
