"""Refused rows and their messages: file, row, what was found, what to do."""

from __future__ import annotations

import gzip
import re

import pytest

from textgate.errors import ConfigError, DataError
from textgate.rows import Columns, read_rows


def read(path, *, labelled=True, **options):
    return list(read_rows(path, Columns(**options), labelled=labelled))


GOOD = '{"text": "a", "label": "x"}\n'
LABEL = "the label (field 'label')"

MESSAGES = [
    ("a.jsonl", GOOD + "{'text': 1}", ", line 2: not valid JSON at column 2 (Expecting property"),
    ("a.jsonl", '[\n{"text": "a"}]', ", line 1: not valid JSON at column 2 (Expecting value)"),
    ("a.jsonl", '["a", "b"]', ', line 1: expected an object such as {"text": ...}, found a list'),
    ("a.jsonl", '"a"', ", line 1: expected an object such as {\"text\": ...}, found 'a'"),
    ("a.jsonl", "null", ', line 1: expected an object such as {"text": ...}, found null'),
    (
        "a.jsonl",
        GOOD + '\n{"sentence": "a", "label": 1}',
        ", line 3: no field 'text', found 'sentence', 'label'; name the right one with --text-",
    ),
    (
        "a.jsonl",
        '{"text": "a", "class": 1}',
        ", line 1: no field 'label', found 'text', 'class'; name the right one with --label-field",
    ),
    ("a.jsonl", "{}", ", line 1: no field 'text', found no field at all; "),
    (
        "a.jsonl",
        "{" + ", ".join(f'"{n}": 0' for n in range(23)) + "}",
        "'18', '19' and 3 more; name the right one",
    ),
    (
        "a.jsonl",
        '{"text": 3, "label": "x"}',
        ", line 1: the text (field 'text') should be a string, found 3",
    ),
    ("a.jsonl", '{"text": null, "label": "x"}', "should be a string, found null"),
    ("a.jsonl", '{"text": {"a": 1}, "label": "x"}', "should be a string, found an object"),
    (
        "a.jsonl",
        '{"text": "a", "label": null}',
        f", line 1: {LABEL} is null; give the row a label or leave the row out",
    ),
    (
        "a.jsonl",
        '{"text": "a", "label": -1.5}',
        f", line 1: {LABEL} is the number -1.5, but labels are names; if it is a score to be",
    ),
    ("a.jsonl", '{"text": "a", "label": ["x", 0.5]}', f"{LABEL} is the number 0.5"),
    ("a.jsonl", '{"text": "a", "label": {"x": 1}}', f"{LABEL} should be a string, a whole number"),
    ("a.jsonl", '{"text": "a", "label": [["x"]]}', f"{LABEL} should be a string, a whole number"),
    ("a.jsonl", '{"text": "a", "label": ""}', f"{LABEL} is empty; give the row a label"),
    ("a.jsonl", '{"text": "a", "label": [" \\u2028"]}', f"{LABEL} is empty"),
    ("a.jsonl", '{"a":' * 100_000, ", line 1: lists or objects are nested too deeply"),
    ("a.jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}", "a number has too many digits"),
    ("a.csv", "text,label\n\na, \n", f", line 3: {LABEL} is empty"),
    (
        "a.csv",
        "Txet,label\na,x\n",
        ", line 1 (the header): no field 'text' (did you mean 'Txet'?), found 'Txet', 'label'; ",
    ),
    ("a.csv", "good,pos\nbad,neg\n", ", line 1 (the header): no field 'text', found 'good', 'pos'"),
    ("a.csv", "\ntext:label\n", ", line 2 (the header): no field 'text', found 'text:label'"),
    ("a.csv", "\nsaid;label\n", ", line 2 (the header): no field 'text', found 'said', 'label'"),
    ("a.csv", "text,label,text\n", ", line 1 (the header): 2 columns are named 'text'; rename all"),
    (
        "a.csv",
        'text,label\n"a\nb",x\na, b,x\n',
        ", line 4: 3 cells, the header has 2; a cell that holds a comma, a quote or a line end is",
    ),
    ("a.csv", "text,label\na\n", ", line 2: 1 cells, the header has 2; "),
    (
        "a.csv",
        'text,label\na,x\n"b,x\nc,x\n',
        ", line 3: not valid CSV (a quote is opened and never closed); a cell that holds",
    ),
    ("a.csv", 'text,label\n"a" b,x\n', ", line 2: not valid CSV (',' expected after '\"'); "),
    ("a.csv", "text,label\na\rb,x\n", "not valid CSV (a carriage return within a line; lines"),
    ("a.tsv", "text,label\na,x\n", ", line 1 (the header): no field 'text', found 'text,label'"),
    ("a.tsv", "text\tlabel\na\tb\tx\n", ", line 2: 3 cells, the header has 2; cells are separated"),
    ("a.tsv", 'text\tlabel\n"a\nb"\tx\n', ", line 2: 1 cells, the header has 2; "),
    ("a.tsv", "text\tlabel\na\t\n", f", line 2: {LABEL} is empty"),
    ("a.txt", "__label__x a\nb\n", ", line 2: no label; a line starts with __label__NAME"),
    ("a.txt", "a __label__x\n", ", line 1: no label; a line starts with __label__NAME"),
    ("a.txt", "__label__ a\n", ", line 1: the label after __label__ is empty"),
    (
        "a.txt",
        b"__label__x a\n__label__x \xe9t\xe9\n",
        ", line 2: byte 0xe9 is not UTF-8; it may be cp1252: pass --encoding cp1252 (or latin-1)",
    ),
    ("a.csv", b'text,label\n"a\n\x80",x\n', ", line 3: byte 0x80 is not UTF-8; "),
    ("a.tsv", b"text\tlabel\n\xed\xa0\x80\tx\n", ", line 2: byte 0xed is not UTF-8; "),
    ("a.jsonl", gzip.compress(b"{}"), "is not UTF-8 (the file looks like gzip; let its name end"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), MESSAGES, ids=[case[2][:60] for case in MESSAGES]
)
def test_the_message_says_where_and_what(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as refusal:
        read(path)
    text = str(refusal.value)
    assert message in text
    assert text.startswith(f"{path}, line ")
    assert "\n" not in text


def test_a_long_value_is_cut(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("word " * 10_000, encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        read(path)
    assert len(str(refusal.value)) < 400


PACKED = gzip.compress(GOOD.encode() * 100, mtime=0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f",
        GOOD.encode(),
        PACKED[:15],
        PACKED[:10] + b"\xff" * 40,
        PACKED[:-4],
        PACKED[:-9],
        PACKED + b"more",
    ],
    ids=[
        "empty",
        "one byte",
        "plain",
        "cut off",
        "no deflate",
        "no length",
        "no checksum",
        "more behind it",
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.CSV.GZ"])
def test_damaged_gzip(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match="the gzip data is damaged or cut off; compress or") as why:
        read(path, format="jsonl")
    assert str(why.value).startswith(f"{path}, line ")


def test_gzip_with_a_wrong_byte(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(PACKED[:20] + bytes([PACKED[20] ^ 0xFF]) + PACKED[21:])
    with pytest.raises(DataError):
        read(path)


def test_a_missing_file_is_reported_when_rows_are_asked_for(tmp_path):
    rows = read_rows(tmp_path / "none.jsonl", labelled=True)
    with pytest.raises(DataError, match=r"none.jsonl: cannot be read: No such file or directory$"):
        next(rows)


@pytest.mark.parametrize("name", ["folder.csv", "folder.csv.gz", "folder.parquet"])
def test_a_folder_is_no_file(tmp_path, name):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: cannot be read: Is a directory$"):
        read(tmp_path / name)


def test_a_line_without_an_end_is_refused_before_memory_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr("textgate.rows.source._MAX_LINE", 2**10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"short\n" + b"a" * 2**10)
    assert len(read(path, labelled=False)) == 2
    path.write_bytes(b"short\n" + b"a" * (2**10 + 1))
    with pytest.raises(DataError, match="line 2: longer than"):
        read(path, labelled=False)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (
            "a.xml",
            {},
            (
                "a.xml: the name tells no format; known are .jsonl .ndjson .json "
                ".csv .tsv .txt .parquet (also with .gz); or pass --input-format: text, jsonl, "
                "json, csv, tsv, fasttext, parquet"
            ),
        ),
        ("rows", {}, "rows: the name tells no format"),
        ("rows.gz", {}, "rows.gz: the name tells no format"),
        (
            "a.csv",
            {"format": "xml"},
            "format 'xml' is not one of text, jsonl, json, csv, tsv,",
        ),
        ("a.txt", {"format": "text"}, "a.txt: plain text has no labels; use one of the other"),
        ("-", {"format": "text"}, "standard input: plain text has no labels"),
        (
            "a.csv",
            {"text": "label"},
            "the text and the label cannot both be the field 'label'",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(path, options, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        read_rows(path, Columns(**options), labelled=True)
