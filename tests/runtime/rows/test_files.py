"""Files as programs and people write them: delimiters, encodings, JSON, and names that mislead."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgate.errors import ConfigError, DataError
from textgate.rows import Columns, load_labelled, read_rows
from textgate.rows.encodings import likely_encodings


def save(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def loaded(path, columns=None):
    """The texts and labels of a file, and what is said of it."""
    notes = []
    rows = load_labelled(path, columns, note=notes.append)
    return [(row.text, *row.labels) for row in rows], [note.partition(": ")[2] for note in notes]


def texts(path, columns=None):
    notes = []
    rows = list(read_rows(path, columns, labelled=False, note=notes.append))
    return [row.text for row in rows], notes


# Columns that have the same name, and texts of several columns


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_columns_that_nobody_reads_may_have_one_name(tmp_path, name):
    content = "v1,v2,,,\r\nham,one,a,,b\r\nspam,two,,,\r\n"
    path = save(tmp_path / name, content if name == "a.csv" else content.replace(",", "\t"))
    assert loaded(path, Columns("v2", "v1")) == ([("one", "ham"), ("two", "spam")], [])
    row = next(read_rows(path, Columns("v2"), labelled=False))
    assert row.cells == (("v1", "ham"), ("v2", "one"), ("", "a"), ("", ""), ("", "b"))


def test_columns_of_parquet_may_have_one_name(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
    from pyarrow import parquet

    arrays = [pa.array(column) for column in (["t"], ["x"], [1], [2])]
    table = pa.Table.from_arrays(arrays, names=["text", "label", "n", "n"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert loaded(tmp_path / "a.parquet") == ([("t", "x")], [])
    row = next(read_rows(tmp_path / "a.parquet", labelled=False))
    assert row.cells == (("text", "t"), ("label", "x"), ("n", 1), ("n", 2))


@pytest.mark.parametrize(
    ("header", "columns", "name"),
    [
        ("text,label,text", Columns(), "text"),
        ("text,label,label", Columns(), "label"),
        ("text,b,b", Columns(label_fields=("b",)), "b"),
        ("a,b,a,label", Columns(("a", "b")), "a"),
    ],
)
def test_columns_that_are_read_may_not(tmp_path, header, columns, name):
    path = save(tmp_path / "a.csv", f"{header}\n")
    with pytest.raises(DataError, match=f"2 columns are named '{name}'; rename all but one"):
        loaded(path, columns)


@pytest.mark.parametrize("content", ['{"text": "a", "text": "b", "label": "x"}', None])
def test_an_object_that_names_a_field_twice_is_refused(tmp_path, content):
    deep = '{"text": "a", "label": "x", "more": [{"k": 1, "k": 2}]}'
    path = save(tmp_path / "a.jsonl", content or deep)
    name = "text" if content else "k"
    for labelled in (True, False):
        with pytest.raises(DataError, match=f"line 1: the field '{name}' is given twice; keep one"):
            list(read_rows(path, labelled=labelled))


TWO = Columns(("subject", "body"))
JOINED = [
    # subject, body -> text
    ("Hello", "the body", "Hello\nthe body"),
    ("", "the body", "the body"),
    ("Hello", " ", "Hello"),
    ("", "", ""),
]


@pytest.mark.parametrize(("subject", "body", "text"), JOINED)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"])
def test_texts_of_several_columns_are_joined(tmp_path, name, subject, body, text):
    path = tmp_path / name
    row = {"body": body, "subject": subject, "label": "x"}
    if name == "a.parquet":
        pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist([row]), path)
    elif "json" in name:
        save(path, json.dumps(row if name == "a.jsonl" else [row]))
    else:
        mark = "," if name == "a.csv" else "\t"
        save(path, "\n".join(mark.join(part) for part in (row, row.values())) + "\n")
    assert loaded(path, TWO) == ([(text, "x")], [])
    (found,) = read_rows(path, TWO, labelled=False)
    assert found.text == text
    assert found.cells == tuple(row.items())


def test_a_row_may_lack_some_of_its_texts(tmp_path):
    rows = [{"subject": "s"}, {"subject": None, "body": "b"}, {"body": "c", "x": 1}]
    path = save(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert texts(path, TWO)[0] == ["s", "b", "c"]


LACKING = [
    ('{"x": 1}\n', "line 1: no text in any of the fields 'subject', 'body'"),
    ('{"subject": null, "body": null}\n', "line 1: no text in any of the fields"),
    ('{"subject": 5, "body": "b"}\n', r"line 1: the text \(field 'subject'\) should be a string"),
    ('{"subject": "s"}\n{"subject": "t"}\n', "no row has the field 'body'; .* with --text-field"),
]


@pytest.mark.parametrize(("content", "message"), LACKING)
def test_a_row_may_not_lack_all_and_not_all_rows_may_lack_one(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        texts(save(tmp_path / "a.jsonl", content), TWO)


# Delimiters

BY_HEADER = (
    "the cells are taken as separated by {}, because of the header; set it with --delimiter {}"
)
DELIMITED = [
    ("text;label\na, b;x\n", "';'", "';'"),
    ('"text";"label"\n"a, b";"x"\n', "';'", "';'"),
    ("text|label\na, b|x\n", "'|'", "'|'"),
    ("text\tlabel\na, b\tx\n", "tabs", r"'\t'"),
    ("\n\nid, from 1;label;text\n1;x;a, b\n", "';'", "';'"),
    ('"text\nof";text;label\n1;"a, b";x\n', "';'", "';'"),
]


@pytest.mark.parametrize(("content", "name", "option"), DELIMITED)
def test_a_delimiter_that_the_header_shows(tmp_path, content, name, option):
    path = save(tmp_path / "a.csv", content)
    assert loaded(path) == ([("a, b", "x")], [BY_HEADER.format(name, option)])


@pytest.mark.parametrize("mark", [";", "|", "\t", ":", "\x1f"])
def test_a_delimiter_that_is_given(tmp_path, mark):
    path = save(tmp_path / "a.csv", f'text{mark}label\n"a{mark} b"{mark}x\n')
    assert loaded(path, Columns(delimiter=mark)) == ([(f"a{mark} b", "x")], [])


@pytest.mark.parametrize(
    ("content", "columns", "text"),
    [
        ("text,label;a;b\nt,x\n", Columns(label="label;a;b"), "t"),
        ("text,label,a;b;c;d\nt,x,1\n", Columns(), "t"),
        ("text|more;text,label\nt,x\n", Columns("text|more;text"), "t"),
    ],
)
def test_a_header_that_has_the_columns_is_never_read_in_another_way(
    tmp_path, content, columns, text
):
    assert loaded(save(tmp_path / "a.csv", content), columns) == ([(text, "x")], [])


def test_a_single_column_is_never_read_in_another_way(tmp_path):
    assert texts(save(tmp_path / "a.csv", "text\na;b\nc\n")) == (["a;b", "c"], [])


def test_other_names_are_told_as_the_likely_delimiter_has_them(tmp_path):
    path = save(tmp_path / "a.csv", "said;kind;n\na;x;1\n")
    with pytest.raises(DataError, match="no field 'text', found 'said', 'kind', 'n'; name the"):
        loaded(path)


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("a.tsv", "text,label\na,x\n", "the file looks like CSV: pass --input-format csv"),
        (
            "a.csv",
            "I like it,good\nI do not,bad\n",
            "the first line names the columns: if the file",
        ),
        ("a.csv", "sep=;\ntext;label\n", "leave this line out and name the delimiter"),
        ("a.tsv", "text\tlabel\ra\tx\r", "the lines end in carriage returns alone"),
    ],
)
def test_what_is_wrong_with_a_header(tmp_path, name, content, hint):
    path = save(tmp_path / name, content)
    for labelled in (True, False):
        with pytest.raises(DataError, match=f"line 1 .the header.: .*{hint}"):
            list(read_rows(path, labelled=labelled))


def test_tsv_has_one_delimiter():
    with pytest.raises(ConfigError, match=r"a\.tsv: TSV is separated by tabs; pass --input-format"):
        read_rows("a.tsv", Columns(delimiter=";"), labelled=True)


def test_cells_in_quotes_are_noticed_in_tsv(tmp_path):
    content = 'text\tlabel\n"He said ""hi"""\tx\n"not" quoted\tx\n"a, b"\tx\n'
    found, (note,) = loaded(save(tmp_path / "a.tsv", content))
    assert [row[0] for row in found] == ['"He said ""hi"""', '"not" quoted', '"a, b"']
    assert note.startswith("2 lines have cells in quotes, such as line 2; TSV has no quoting")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text\tlabel\nb\ty\n"two\tlines\nin\tone"\n', 3),
        ('text\n"two\nlines"\nb\n', 2),
        ('text\n"three ""quoted""\n\nlines"\nb\n', 2),
        ('text\tid\n"a\tb"\n', 2),
    ],
)
def test_quoted_cells_that_tsv_cuts_are_noticed(tmp_path, content, line):
    _, (note,) = texts(save(tmp_path / "a.tsv", content))
    assert f": 1 line has cells in quotes, such as line {line}; TSV has no quoting" in note


def test_so_they_are_where_rows_cannot_be_used(tmp_path):
    notes = []
    path = save(tmp_path / "a.tsv", 'text\tlabel\n"one"\tx\n"two\nlines"\tx\n')
    with pytest.raises(DataError, match="line 3: 1 cells, the header has 2"):
        list(read_rows(path, labelled=True, note=notes.append))
    assert "cells in quotes, such as line 2" in notes[0]


@pytest.mark.parametrize(
    "content",
    ['text\tlabel\n"open\tx\n5" wide\tx\nend"\tx\n', 'text\tlabel\n"\tx\n"\tx\n"\tx\n'],
)
def test_quotes_that_enclose_nothing_are_left_alone(tmp_path, content):
    assert loaded(save(tmp_path / "a.tsv", content))[1] == []


def test_a_header_that_is_repeated_is_noticed(tmp_path):
    content = "text,label\na,x\n\ufefftext,label\nb,y\n"
    found, (note,) = loaded(save(tmp_path / "a.csv", content))
    assert len(found) == 3
    assert note.startswith("repeats the header and is taken for a row")


# Encodings

TEXTS = {
    "a.csv": "text,label\r\ncaf\u00e9,x\r\nok,y\r\n",
    "a.tsv": "text\tlabel\ncaf\u00e9\tx\nok\ty\n",
    "a.jsonl": '{"text": "caf\u00e9", "label": "x"}\n{"text": "ok", "label": "y"}\n',
    "a.json": '[{"text": "caf\u00e9", "label": "x"},\n{"text": "ok", "label": "y"}]',
    "a.txt": "__label__x caf\u00e9\n__label__y ok",
}
ROWS = [("caf\u00e9", "x"), ("ok", "y")]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"]
)
def test_an_encoding_that_is_given(tmp_path, name, packed, encoding):
    data = TEXTS[name].encode(encoding)
    path = save(tmp_path / (name + ".gz" * packed), gzip.compress(data) if packed else data)
    assert loaded(path, Columns(encoding=encoding)) == (ROWS, [])


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_says_it_too(tmp_path, name, encoding):
    path = save(tmp_path / name, ("\ufeff" + TEXTS[name]).encode(encoding))
    assert loaded(path) == (ROWS, [f"read as {encoding[:6]}, because of its byte order mark"])


def test_standard_input_in_another_encoding(monkeypatch):
    data = "caf\u00e9\nok\n".encode("utf-16-le")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert texts("-", Columns(encoding="utf-16-le")) == (["caf\u00e9", "ok"], [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_in_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    data = "text;label\ncaf\u00e9;x\n".encode("utf-16")
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    assert loaded(path)[0] == [("caf\u00e9", "x")]
    writer.join()


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), min_size=1
    ),
    st.sampled_from(["utf-16", "utf-16-be", "utf-32", "gb18030"]),
)
def test_any_lines_in_any_encoding(tmp_path, lines, encoding):
    """Bytes that would end a line in UTF-8 do not in the middle of a character."""
    path = tmp_path / "a.txt"
    given_lines = [line.rstrip("\r").removeprefix("\ufeff") for line in [*lines, "\u0a0a\u0a00"]]
    path.write_bytes("".join(f"{line}\n" for line in given_lines).encode(encoding))
    found, _ = texts(path, Columns(encoding=encoding, format="text"))
    assert found == given_lines


def test_utf_16_that_begins_with_nul_is_not_utf_32(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\0\na\n".encode("utf-16"))
    assert texts(path, Columns(encoding="utf-16", format="text"))[0] == ["\0", "a"]


WRONG = [
    (
        None,
        "text,label\ncaf\u00e9,x\n".encode("cp1252"),
        "line 2: byte 0xe9 is not UTF-8; it may be cp1252: pass --encoding cp1252 (or latin-1), or",
    ),
    (
        None,
        "text,label\na,x\n".encode("utf-16-le"),
        "line 1: looks like utf-16-le, not UTF-8; pass --encoding utf-16-le",
    ),
    (None, "text,label\na,x\n".encode("utf-16-be"), "line 1: looks like utf-16-be, not UTF-8"),
    ("ascii", "text,label\ncaf\u00e9,x\n".encode("cp1252"), "line 2: byte 0xe9 is not UTF-8"),
    ("utf-16-le", "text,label\n".encode("utf-16-le") + b"\x00\xd8", "line 2: not utf-16-le ("),
    ("shift_jis", b"text,label\na,x\n\x81", "line 3: not shift_jis ("),
    ("cp1252", b"text,label\na\x81,x\n", "line 2: not cp1252 ("),
    ("cp1252", b"\xef\xbb\xbftext,label\n", "line 1: begins with the byte order mark of utf-8"),
    ("utf-16-le", b"\xfe\xfftext,label\n", "line 1: begins with the byte order mark of utf-16-be,"),
    ("utf-16-be", b"\xff\xfetext,label\n", "line 1: begins with the byte order mark of utf-16-le,"),
    (None, b"PK\x03\x04\x0a\x00", "the file looks like a zip archive or a spreadsheet"),
]


@pytest.mark.parametrize(("encoding", "data", "message"), WRONG, ids=[case[2] for case in WRONG])
def test_what_is_said_of_a_wrong_encoding(tmp_path, encoding, data, message):
    path = save(tmp_path / "a.csv", data)
    with pytest.raises(DataError) as refusal:
        loaded(path, Columns(encoding=encoding))
    assert str(refusal.value).startswith(f"{path}, ")
    assert message in str(refusal.value)


LIKELY = [
    ("une soir\u00e9e tr\u00e8s r\u00e9ussie", "cp1252"),
    ("\u201cGood\u201d, he said \u2013 twice", "cp1252"),
    ("\u8fd9\u90e8\u7535\u5f71\u975e\u5e38\u597d\u770b", "gb18030"),
    ("\u3053\u306e\u6620\u753b\u306f\u3068\u3066\u3082\u826f\u3044\u3067\u3059", "shift_jis"),
    ("\u041e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u0438\u0439", "cp1251"),
    ("\uc815\ub9d0 \uc88b\uc740 \uc601\ud654\uc785\ub2c8\ub2e4", "euc_kr"),
]


@pytest.mark.parametrize(("text", "encoding"), LIKELY, ids=[ascii(case[0]) for case in LIKELY])
def test_the_likeliest_encodings_of_a_line(text, encoding):
    found = likely_encodings(text.encode(encoding))
    assert found[0] == encoding
    assert 1 <= len(found) <= 3


@given(st.binary(min_size=1))
def test_there_is_always_a_likely_encoding(line):
    assert 1 <= len(likely_encodings(line)) <= 3


# JSON


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a", "label": "x"}, {"text": "b", "label": 1}]',
        ' [\n\n{"text": "a", "label": "x"}\r\n,\t{"text": "b", "label": "1"}\n]\n\n',
    ],
)
def test_a_list_of_objects(tmp_path, content):
    path = save(tmp_path / "a.json", content)
    assert loaded(path)[0] == [("a", "x"), ("b", "1")]
    assert [row.line for row in read_rows(path, labelled=True)] == [1, 2]
    other = save(tmp_path / "rows", content)
    assert loaded(other, Columns(format="json"))[0] == [("a", "x"), ("b", "1")]


@pytest.mark.parametrize("content", ["", "\n \n", "[]", " [ ] "])
def test_a_list_of_nothing(tmp_path, content):
    assert texts(save(tmp_path / "a.json", content)) == ([], [])


def test_soft_labels_in_a_list(tmp_path):
    path = save(tmp_path / "a.json", '[{"text": "t", "probs": {"x": 1}}]')
    (row,) = load_labelled(path, soft_labels=True)
    assert row.probabilities == (("x", 1.0),)


OTHER = [
    ("a.json", '{"data": [{"text": "a"}]}', "they seem to be in its field 'data', so write that"),
    ("a.json", '{"text": ["a"], "label": ["x"]}', "it seems to hold columns, so write an object"),
    ("a.json", '{"text": "a"}', "holds one object, not a list of rows: put it in"),
    (
        "a.json",
        '{"text": "a"}\n{"text": "b"}\n',
        "looks like JSON Lines; pass --input-format jsonl",
    ),
    ("a.json", '"a"', "expected a list of objects, found 'a'"),
    ("a.json", "text,label\n", "not valid JSON at line 1, column 1 (Expecting value); expected"),
    ("a.json", '[{"text": "a"}, {"text"', "row 2: not valid JSON at line 1, column 24"),
    ("a.json", '[{"text": "a"} {"text": "b"}]', "the list breaks off after row 1, or a comma is"),
    ("a.json", '[{"text": "a"}', "the list breaks off after row 1"),
    ("a.json", '[{"text": "a"}] [', "there is more after the list of rows"),
    ("a.json", '[{"text": "a"},]', "row 2: not valid JSON"),
    ("a.json", "[" * 100_000, "row 1: lists or objects are nested too deeply"),
    (
        "a.json",
        '[{"text": "a"}, ["b"]]',
        'row 2: expected an object such as {"text": ...}, found a',
    ),
    ("a.jsonl", '[{"text": "a"},\n{"text": "b"}]', "over several lines: pass --input-format json"),
    ("a.jsonl", '[{"text": "a"}]', "over several lines: pass --input-format json"),
    ("a.jsonl", '{\n"text": "a"\n}', "over several lines: pass --input-format json"),
    ("a.jsonl", '{"text": "a"}\r{"text": "b"}\r', "a carriage return alone does not end a line"),
    ("a.jsonl", '\ufeff{"text": "a"}\n\ufeff{"text": "b"}\n', "begins with a byte order mark"),
]


@pytest.mark.parametrize(("name", "content", "message"), OTHER, ids=[case[2] for case in OTHER])
def test_json_that_is_something_else(tmp_path, name, content, message):
    path = save(tmp_path / name, content)
    with pytest.raises(DataError) as refusal:
        texts(path)
    assert str(refusal.value).startswith(f"{path}")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_list_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("textgate.rows.jsonl._MAX_JSON", 20)
    path = save(tmp_path / "a.json", '[{"text":\n"a text"\n}]')
    with pytest.raises(DataError, match="larger than the 20 characters that are read of a JSON"):
        texts(path)


def test_a_spreadsheet_is_no_table(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.xlsx: a spreadsheet is not read; save the sheet as"):
        read_rows(tmp_path / "a.xlsx", labelled=False)


# Plain text that is something else

PLAIN = [
    (
        "__label__x good\n",
        "it starts with __label__: --input-format fasttext leaves such labels out",
    ),
    ('{"text": "good"}\n', "it looks like JSON Lines: pass --input-format jsonl"),
    ("id,text\n1,good\n", "it looks like a table's header: pass --input-format csv"),
    ('[\n{"text": "good"}\n]\n', "it looks like a list in JSON: pass --input-format json"),
    ('[{"text": "good"}]\n', "it looks like a list in JSON: pass --input-format json"),
    ('"text";"label"\ngood;x\n', "it looks like a table's header: pass --input-format csv"),
    ("text\tlabel\ngood\tx\n", "it looks like a table's header: pass --input-format tsv"),
]


@pytest.mark.parametrize(("content", "hint"), PLAIN, ids=[case[1] for case in PLAIN])
def test_plain_text_that_looks_like_something_else_is_told(tmp_path, content, hint):
    path = save(tmp_path / "a.txt", content)
    found, (note,) = texts(path)
    assert found == content.splitlines()
    assert note.endswith(f"including line 1; {hint}")
    assert texts(path, Columns(format="text")) == (found, [])


def test_a_table_in_place_of_fasttext_is_told(tmp_path):
    path = save(tmp_path / "a.txt", "text\tlabel\ngood\tx\n")
    with pytest.raises(DataError, match=r"\.txt is a fastText file .* pass --input-format tsv"):
        loaded(path)


@pytest.mark.parametrize("content", ["text\n", "a text, good\n", "good\n__label__x\n"])
def test_plain_text_that_is_nothing_else(tmp_path, content):
    path = save(tmp_path / "a.txt", content)
    assert texts(path) == (content.splitlines(), [])


@pytest.mark.parametrize(
    ("name", "content", "labelled", "lines"),
    [
        ("a.txt", "good\rbad\r", False, "1 line has carriage returns within, such as line 1"),
        (
            "a.txt",
            "good\r\nbad\rodd\r\n",
            False,
            "1 line has carriage returns within, such as line 2",
        ),
        ("a.txt", "__label__x a\r__label__y b\n", True, "1 line has"),
        ("a.txt", "__label__x a\n__label__x a\rb\n__label__y a\rb", True, "2 lines have"),
        ("a.tsv", "text\na\rb\nc\n", False, "1 line has carriage returns within, such as line 2"),
    ],
)
def test_lines_that_end_in_carriage_returns_are_told(tmp_path, name, content, labelled, lines):
    notes = []
    list(read_rows(save(tmp_path / name, content), labelled=labelled, note=notes.append))
    (note,) = notes
    assert lines in note
    assert note.endswith("if these end lines, replace them by line feeds")


@pytest.mark.parametrize("content", ["good\r\nbad\r\n", "good\r\r\nbad\r\r\n"])
def test_line_ends_of_windows_are_none_within(tmp_path, content):
    assert texts(save(tmp_path / "a.txt", content))[1] == []


def test_notes_before_a_failure_are_heard(tmp_path):
    """Whether the rows fail at their end, or their reader stops early."""
    notes = []
    path = save(tmp_path / "a.jsonl", '{"a": "x", "label": "good "}\n')
    columns = Columns(text=("a", "b"))
    with pytest.raises(DataError, match="no row has the field 'b'"):
        list(read_rows(path, columns, labelled=True, note=notes.append))
    assert "were normalized in 1 label" in notes.pop()
    path = save(tmp_path / "a.txt", "good\rbad\nbad\n")
    with closing(read_rows(path, labelled=False, note=notes.append)) as rows:
        next(rows)
    assert "1 line has carriage returns within" in notes.pop()
