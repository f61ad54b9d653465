"""Labels: several in a row, written in one way, and messages about similar labels."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import ConfigError, DataError
from textgate.rows import Columns, Row, load_labelled, open_writer, read_rows
from textgate.rows.labels import (
    clean_label,
    joined_note,
    joining_separator,
    look_of,
    require_known,
)
from textgate.rows.reading import with_clean_labels


def save(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def labels_in(path, columns=None, **options):
    return [row.labels for row in load_labelled(path, columns, **options)]


# Several labels in a row

SEPARATED = [
    # cell, separator -> labels
    ("bug;urgent", ";", ("bug", "urgent")),
    ("bug|urgent", "|", ("bug", "urgent")),
    (" bug ; urgent ;", ";", ("bug", "urgent")),
    ("bug;bug", ";", ("bug",)),
    ("bug", ";", ("bug",)),
    ("", ";", ()),
    (" ; ", ";", ()),
    ("bug and ui", " and ", ("bug", "ui")),
    ("bug;urgent", "|", ("bug;urgent",)),
]


@pytest.mark.parametrize(("cell", "separator", "labels"), SEPARATED)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_labels_in_one_cell(tmp_path, name, cell, separator, labels):
    if name == "a.json":
        content = json.dumps([{"text": "t", "label": cell}, {"text": "u", "label": ["x"]}])
    elif name == "a.jsonl":
        content = f'{{"text": "t", "label": {json.dumps(cell)}}}\n{{"text": "u", "label": "x"}}\n'
    else:
        mark = "," if name == "a.csv" else "\t"
        content = f"text{mark}label\nt{mark}{cell}\nu{mark}x\n"
    path = save(tmp_path / name, content)
    assert labels_in(path, Columns(label_separator=separator)) == [labels, ("x",)]


def test_a_list_is_several_labels_already(tmp_path):
    path = save(tmp_path / "a.jsonl", '{"text": "t", "label": ["a;b", "c"]}\n')
    assert labels_in(path, Columns(label_separator=";")) == [("a;b", "c")]


def test_words_of_fasttext_are_separated_too(tmp_path):
    path = save(tmp_path / "a.txt", "__label__a;b __label__c t\n")
    assert labels_in(path, Columns(label_separator=";")) == [("a", "b", "c")]


@pytest.mark.parametrize("content", ["text,label\nt,\nu,x\n", 'text,label\nt,"  "\nu,x\n'])
def test_an_empty_cell_is_no_label_where_there_may_be_none(tmp_path, content):
    path = save(tmp_path / "a.csv", content)
    assert labels_in(path, may_have_none=True) == [(), ("x",)]
    with pytest.raises(DataError, match=r"line 2: the label .* is empty"):
        labels_in(path)


def test_null_is_never_no_label(tmp_path):
    path = save(tmp_path / "a.jsonl", '{"text": "t", "label": null}\n')
    with pytest.raises(DataError, match="is null"):
        labels_in(path, Columns(label_separator=";"), may_have_none=True)


OWN = Columns(label_fields=("bug", "urgent"))


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ("1,0", ("bug",)),
        ("TRUE,yes", ("bug", "urgent")),
        ("No,false", ()),
        (", 1", ("urgent",)),
        ("0.0,1.0", ("urgent",)),
    ],
)
def test_a_column_for_each_label(tmp_path, cells, labels):
    path = save(tmp_path / "a.csv", f"bug,urgent,text\n{cells},t\n1,1,u\n")
    assert labels_in(path, OWN)[0] == labels


def test_a_field_for_each_label_in_json(tmp_path):
    rows = [
        {"text": "t", "bug": 1, "urgent": False},
        {"text": "u", "bug": 0.0, "urgent": "yes"},
        {"text": "v", "bug": None},
    ]
    path = save(tmp_path / "a.json", json.dumps(rows))
    assert labels_in(path, OWN) == [("bug",), ("urgent",), ()]


@pytest.mark.parametrize("cell", ["2", "0.5", "x", "ja", "-1"])
def test_what_says_neither_yes_nor_no(tmp_path, cell):
    path = save(tmp_path / "a.csv", f"text,bug,urgent\nt,1,0\nu,1,{cell}\n")
    with pytest.raises(DataError) as refusal:
        labels_in(path, OWN)
    assert str(refusal.value).startswith(
        f"{path}, line 3: the label field 'urgent' should be 0 or 1, true or false, yes or no, or "
        f"empty, found {cell!r}"
    )


def test_a_label_field_that_is_not_there(tmp_path):
    table = save(tmp_path / "a.csv", "text,bug\nt,1\n")
    with pytest.raises(DataError, match=r"no field 'urgent', found .* with --label-fields"):
        labels_in(table, OWN)
    lines = save(tmp_path / "a.jsonl", '{"text": "t", "bug": 1}\n')
    with pytest.raises(DataError, match=r"no row has the field 'urgent'; .* with --label-fields"):
        labels_in(lines, OWN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_separator": ""}, "the label separator is empty"),
        ({"label_fields": ("a",), "label_separator": ";"}, "nothing to separate"),
        ({"label_fields": ("a", "a ")}, "the label field 'a' is given twice"),
        ({"label_fields": ("a", " ")}, "a label field without a name"),
        ({"text": ()}, "no text field is named"),
        ({"text": 3}, "text should name columns as strings, not 3"),
        ({"text": ("a", None)}, "text should name columns as strings"),
        ({"label": None}, "label should name columns as strings"),
        ({"label_fields": "bug"}, "label_fields should be a tuple of names, not 'bug'"),
        ({"label_fields": ("bug", 1)}, "label_fields should name columns as strings"),
        ({"text": ("a", "a")}, "the text field 'a' is given twice"),
        ({"delimiter": ";;"}, "the delimiter must be one character"),
        ({"delimiter": '"'}, "the delimiter must be one character"),
        ({"encoding": "klingon"}, "'klingon' is not a known encoding"),
        ({"encoding": "hex"}, "'hex' is not a known encoding"),
    ],
)
def test_columns_that_cannot_work(options, message):
    with pytest.raises(ConfigError, match=message):
        Columns(**options)


# What is written is read back

ODD = ("a;b", "a,b", 'say "x"', "caf\u00e9", "two words")
SEVERAL = [("a;b",), (), ODD, ("caf\u00e9", "a,b")]


@pytest.mark.parametrize("result_format", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("separator", ["|", " / "])
def test_labels_that_are_written_are_read_back(tmp_path, result_format, multi_label, separator):
    lines = []

    class Sink:
        write = staticmethod(lines.append)

    writer = open_writer(
        Sink, result_format, ODD, multi_label=multi_label, label_separator=separator
    )
    given = SEVERAL if multi_label else [(label,) for label in ODD]
    for labels in given:
        label = labels if multi_label else labels[0]
        writer.write("t", [("text", "t")], label, 0.5, dict.fromkeys(ODD, 0.5), False)
    path = save(tmp_path / f"a.{result_format}", "".join(lines))
    assert labels_in(path, Columns(label_separator=separator if multi_label else None)) == given


def test_lists_of_labels_are_read_out_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
    from pyarrow import parquet

    table = pa.table({"text": ["t"] * 4, "label": [list(labels) for labels in SEVERAL]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert labels_in(tmp_path / "a.parquet") == SEVERAL


@pytest.mark.parametrize("result_format", ["text", "csv", "tsv"])
def test_labels_that_could_not_be_told_apart_are_not_written(result_format):
    with pytest.raises(ConfigError, match=r"the label 'a\|b' holds '\|', .* --label-separator, or"):
        open_writer(None, result_format, ("a|b", "c"), multi_label=True)
    open_writer(None, result_format, ("a|b", "c"))


@pytest.mark.parametrize("separator", ["\t", "\n", " \r\n"])
def test_a_separator_that_a_format_cannot_hold_is_refused(separator):
    for result_format in ("text", "tsv"):
        with pytest.raises(ConfigError, match=f"would become a space in {result_format}, which"):
            open_writer(
                None, result_format, ("a", "b"), multi_label=True, label_separator=separator
            )
        open_writer(None, result_format, ("a", "b"), label_separator=separator)
    open_writer(None, "csv", ("a", "b"), multi_label=True, label_separator=separator)
    open_writer(None, result_format, ("a|b", "c"), multi_label=True, label_separator=";")
    open_writer(None, "jsonl", ("a|b", "c"), multi_label=True)


# Written in one way

CLEAN = [
    ("spam", "spam"),
    (" spam\t", "spam"),
    ("\u00a0spam\u3000", "spam"),
    ("sp\u200bam\ufeff", "spam"),
    ("\u200espam\u202c", "spam"),
    ("so\u00adft", "soft"),
    ("cafe\u0301", "caf\u00e9"),
    ("not\u00a0 \n spam", "not spam"),
    ("Spam", "Spam"),
    ("\uff53\uff50\uff41\uff4d", "\uff53\uff50\uff41\uff4d"),
    ("spam.", "spam."),
    ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
    ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
    ("spam\u200d ", "spam"),
    ("\u200b \ufeff", ""),
]


@pytest.mark.parametrize(("label", "cleaned"), CLEAN, ids=[ascii(case[0]) for case in CLEAN])
def test_a_label_is_written_in_one_way(label, cleaned):
    assert clean_label(label) == cleaned


@given(st.text())
def test_a_clean_label_stays_as_it_is(label):
    assert clean_label(clean_label(label)) == clean_label(label)


CONTENTS = {
    "a.csv": "text,label\nt,spam\nu, spam\nv,sp\u200bam\nw,ham\n",
    "a.tsv": "text\tlabel\nt\tspam\nu\t spam\nv\tsp\u200bam\nw\tham\n",
    "a.jsonl": "".join(
        json.dumps({"text": "t", "label": label}) + "\n"
        for label in ("spam", [" spam"], "sp\u200bam", "ham")
    ),
    "a.txt": "__label__spam t\n__label__\u00a0spam u\n__label__sp\u200bam v\n__label__ham w\n",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_it_is_said_that_labels_were_put_right(tmp_path, name):
    path = save(tmp_path / name, CONTENTS[name])
    notes = []
    assert labels_in(path, note=notes.append) == [("spam",)] * 3 + [("ham",)]
    (note,) = notes
    assert note.startswith(f"{path}: white space, invisible characters and separate accents")
    assert " were normalized in 2 labels, such as '" in note
    assert note.endswith("which is read as 'spam'")


def test_rows_from_no_file_and_soft_labels_are_put_right_too():
    notes = []
    rows = [Row("t", (" x", "x"), 1), Row("u", (), 2, {}, (("y\ufeff", 1.0),)), Row("v", ("x",), 3)]
    found = with_clean_labels(rows, name="rows", note=notes.append)
    assert [(row.labels, row.probabilities) for row in found] == [
        (("x",), ()),
        ((), (("y", 1.0),)),
        (("x",), ()),
    ]
    assert len(notes) == 1
    assert found[2] is rows[2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("t", (" ",), 7), "rows, line 7: a label is empty; leave it out"),
        (
            Row("t", (), 7, {}, (("x", 0.5), ("x ", 0.5))),
            "rows, line 7: two soft labels differ only",
        ),
    ],
)
def test_labels_of_rows_from_no_file_that_are_none(row, message):
    with pytest.raises(DataError, match=message):
        with_clean_labels([row], name="rows", note=print)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("t", "x"), " should be a textgate.rows.Row, found tuple; write Row("),
        ({"text": "t", "label": "x"}, " should be a textgate.rows.Row, found dict"),
        (Row("t", "pos", 1), ": the labels should be a tuple, found the str 'pos'; put it in one"),
        (Row("t", (1,), 1), ": the labels should be a tuple of str, found (1,)"),
        (Row("t", {"x"}, 1), ": the labels should be a tuple of str, found {'x'}"),
        (Row("t", None, 1), ": the labels should be a tuple of str, found None"),
        (Row(None, ("x",), 1), ": the text should be a str, found NoneType"),
        (Row(b"t", ("x",), 1), ": the text should be a str, found bytes"),
        (Row("t", (), 1, {}, {"x": 1.0}), ": the probabilities should be pairs of"),
        (Row("t", (), 1, {}, (("x", -1.0), ("y", 2.0))), ": the probabilities should be pairs of"),
        (Row("t", (), 1, {}, (("x", math.nan),)), ": the probabilities should be pairs of"),
        (Row("t", (), 1, {}, (("x", 0.0),)), ": the probabilities should be pairs of"),
        (Row("t", (), 1, {}, ((1, 1.0),)), ": the probabilities should be pairs of"),
        (Row("t", (), 1, {}, ("x", 1.0)), ": the probabilities should be pairs of"),
        (Row("t", ("x",), 1, weight=-1.0), ": the weight should be 0 or a number from 1e-18 to 1"),
        (Row("t", ("x",), 1, weight="2"), ": the weight should be 0 or a number from 1e-18 to 1"),
    ],
)
def test_what_is_no_row_is_refused(row, message):
    with pytest.raises(DataError, match=re.escape(f"rows[1]{message}")):
        with_clean_labels([Row("t", ("x",), 1), row], name="rows", note=print)


def test_rows_may_hold_lists_and_numpy_s_numbers():
    row = Row("t", ["x"], 1, {}, [("x", np.float32(0.5)), ("y", np.float64(0.5))])
    (found,) = with_clean_labels((row for _ in range(1)), name="rows", note=print)
    assert (found.labels, dict(found.probabilities)) == (("x",), {"x": 0.5, "y": 0.5})


def test_soft_labels_that_are_one_are_refused(tmp_path):
    path = save(tmp_path / "a.jsonl", '{"text": "t", "probs": {"x": 0.5, "x ": 0.5}}\n')
    with pytest.raises(DataError, match="name the label 'x' twice"):
        list(read_rows(path, labelled=True, soft_labels=True))


# What looks alike

ALIKE = [
    ("Spam", "spam"),
    ("\uff53\uff50\uff41\uff4d", "spam"),
    ("sp\u0430m", "spam"),
    ("spam.", "spam"),
    ("'spam'", "spam"),
    ("not_spam", "not-spam"),
    ("1.0", "1"),
    ("01", "1"),
    ("True", "true"),
    ("\u2764\ufe0f", "\u2764"),
]


@pytest.mark.parametrize(("label", "other"), ALIKE)
def test_labels_that_can_be_taken_for_one_another(label, other):
    assert look_of(label) == look_of(other)


@pytest.mark.parametrize(
    ("label", "other"), [("1.5", "1"), ("!", "?"), ("c", "c++"), ("10", "1"), ("-1", "1")]
)
def test_labels_that_cannot(label, other):
    assert look_of(label) != look_of(other)


JOINED = [
    ({"a", "b", "a;b"}, ";"),
    ({"a|b", "b|c", "a|c", "a|b|c"}, "|"),
    ({"a, b", "b, c", "a, c", "b"}, ","),
    ({"London, UK", "Leeds, UK", "York, UK"}, None),
    ({"a", "b", "c"}, None),
    ({"a;b"}, None),
    (set(), None),
]


@pytest.mark.parametrize(("labels", "separator"), JOINED)
def test_labels_that_look_joined(labels, separator):
    assert joining_separator(labels) == separator
    assert bool(joined_note(labels)) == (separator is not None)


def test_what_is_said_of_joined_labels():
    assert joined_note(["a", "a;b", "b;c", "a;c"]) == (
        "labels look joined: 4 different ones, such as 'a;b', are made of 3 with ';' between them; "
        "--label-separator ';' reads them as several labels per row"
    )


def test_what_is_said_of_lists_in_text():
    assert joined_note(["['a', 'b']", "['a']", "[]"]).startswith(
        "labels look like lists in text, such as \"['a', 'b']\", and each is one label; write lists"
    )


# Labels that nobody knows

KNOWN = ("bad", "good")
UNKNOWN = [
    (["good", "ugly"], ", line 2: the label 'ugly' does not occur in it, which has 'bad', 'good'"),
    (["ugly", "ugly"], ", line 1: the label 'ugly' (2 rows) does not occur in it, which has 'bad'"),
    (["Good"], ", line 1: the label 'Good' (which looks like 'good') does not occur in it"),
    (
        ["bad", "ugly", "odd", "ugly", "GOOD"],
        (
            ", line 2: 3 labels do not occur in it, which has 'bad', 'good': 'ugly' (2 rows, "
            "line 2), 'odd' (1 row, line 3), 'GOOD' (1 row, line 5, which looks like 'good')"
        ),
    ),
    (["bad;good"], "does not occur in it, which has 'bad', 'good'; --label-separator ';' reads"),
]


@pytest.mark.parametrize(("labels", "message"), UNKNOWN)
def test_all_labels_that_are_not_known_are_named(labels, message):
    rows = [(line, [label]) for line, label in enumerate(labels, start=1)]
    with pytest.raises(DataError) as refusal:
        require_known(rows, KNOWN, file="f", among="in it, which has")
    assert message in str(refusal.value)


def test_a_model_from_before_labels_were_cleaned_is_known_by_clean_ones():
    require_known([(1, ["good"]), (2, ["good "])], ["good ", "bad"], file="f", among="in it")
