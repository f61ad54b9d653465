"""The output of `textgate classify`, by format."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from textgate.errors import ConfigError, DataError
from textgate.rows import RESULT_FORMATS, Columns, Row, open_writer, read_rows

LABELS = ("neg", "pos")
SCORES = {"neg": 0.12345678, "pos": 0.87654322}


def written(format_name, *texts, extras=None, label="pos", scores=SCORES, truncated=False):
    stream = io.StringIO(newline="")
    writer = open_writer(stream, format_name, LABELS)
    for text in texts:
        columns = [*(extras or {}).items(), ("text", text)]
        writer.write(text, columns, label, max(scores.values()), scores, truncated)
    return stream.getvalue()


CASES = {
    "text": ("text", {}, "pos\t0.8765\tgood\n"),
    "text, several labels": ("text", {"label": ["neg", "pos"]}, "neg|pos\t0.8765\tgood\n"),
    "text, no label": ("text", {"label": []}, "\t0.8765\tgood\n"),
    "text, extras": ("text", {"extras": {"id": 1}}, "pos\t0.8765\tgood\n"),
    "jsonl": (
        "jsonl",
        {},
        (
            '{"text":"good","label":"pos","score":0.876543,"scores":{"neg":0.123457,"pos":0.876543},'
            '"truncated":false}\n'
        ),
    ),
    "jsonl, all there is": (
        "jsonl",
        {"extras": {"id": 7, "é": [None]}, "label": ("neg", "pos"), "truncated": True},
        (
            '{"id":7,"é":[null],"text":"good","label":["neg","pos"],"score":0.876543,'
            '"scores":{"neg":0.123457,"pos":0.876543},"truncated":true}\n'
        ),
    ),
    "jsonl, names taken": (
        "jsonl",
        {"extras": {"label": 1, "input.label": 2, "score": 3, "score:neg": 4}},
        (
            '{"input.input.label":1,"input.label":2,"input.score":3,"score:neg":4,'
            '"text":"good","label":"pos","score":0.876543,"scores":{"neg":0.123457,"pos":0.876543},'
            '"truncated":false}\n'
        ),
    ),
    "csv": (
        "csv",
        {},
        "text,label,score,score:neg,score:pos,truncated\ngood,pos,0.876543,0.123457,0.876543,false\n",
    ),
    "csv, names taken": (
        "csv",
        {"extras": {"label": "t", "score:neg": 4, "scores": 5}, "label": ["neg", "pos"]},
        (
            "input.label,input.score:neg,scores,text,label,score,score:neg,score:pos,truncated\n"
            "t,4,5,good,neg|pos,0.876543,0.123457,0.876543,false\n"
        ),
    ),
    "tsv": (
        "tsv",
        {"extras": {'"a\tb': 'say "x"\r\ny'}, "truncated": True},
        (
            '"a b\ttext\tlabel\tscore\tscore:neg\tscore:pos\ttruncated\n'
            'say "x" y\tgood\tpos\t0.876543\t0.123457\t0.876543\ttrue\n'
        ),
    ),
}


@pytest.mark.parametrize(("format_name", "options", "expected"), CASES.values(), ids=CASES)
def test_one_result(format_name, options, expected):
    assert written(format_name, "good", **options) == expected


KEPT = {
    # format -> what is written for columns whose names are doubled, empty, or those of results
    "csv": (
        "v1,input.label,said,,,n,n,label,score,score:neg,score:pos,truncated\n"
        "ham,x,good,,b,1,2,pos,0.876543,0.123457,0.876543,false\n"
    ),
    "tsv": (
        "v1\tinput.label\tsaid\t\t\tn\tn\tlabel\tscore\tscore:neg\tscore:pos\ttruncated\n"
        "ham\tx\tgood\t\tb\t1\t2\tpos\t0.876543\t0.123457\t0.876543\tfalse\n"
    ),
    "jsonl": (
        '{"v1":"ham","input.label":"x","said":"good","":null,".2":"b","n":1,"n.2":2,"label":"pos",'
        '"score":0.876543,"scores":{"neg":0.123457,"pos":0.876543},"truncated":false}\n'
    ),
    "text": "pos\t0.8765\tgood\n",
}


@pytest.mark.parametrize("format_name", RESULT_FORMATS)
def test_the_columns_of_a_row_keep_their_names_and_order(format_name):
    stream = io.StringIO(newline="")
    columns = [("v1", "ham"), ("label", "x"), ("said", "good"), ("", None), ("", "b")]
    columns += [("n", 1), ("n", 2)]
    open_writer(stream, format_name, LABELS).write(
        "good", columns, "pos", 0.87654322, SCORES, False
    )
    assert stream.getvalue() == KEPT[format_name]


def test_a_number_behind_a_name_is_one_that_is_free():
    stream = io.StringIO(newline="")
    columns = [("n", 1), ("n.2", 2), ("n", 3), ("n", 4)]
    open_writer(stream, "jsonl", LABELS).write("t", columns, "pos", 0.5, SCORES, False)
    assert stream.getvalue().startswith('{"n":1,"n.2":2,"n.3":3,"n.4":4,"label"')


def test_doubled_columns_in_another_order_are_refused():
    writer = open_writer(io.StringIO(newline=""), "csv", LABELS)
    writer.write("t", [("a", 1), ("a", 2), ("b", 3)], "pos", 0.5, SCORES, False)
    writer.write("t", [("a", 1), ("a", 2), ("b", 3)], "pos", 0.5, SCORES, False)
    with pytest.raises(DataError, match="result 3: its row has the columns 'b', 'a', 'a'"):
        writer.write("t", [("b", 1), ("a", 2), ("a", 3)], "pos", 0.5, SCORES, False)


def test_line_ends_and_tabs_do_not_break_lines():
    assert written("text", "a\tb\nc\r\nd\re") == "pos\t0.8765\ta b c d e\n"
    assert written("tsv", "a\tb\nc\r\nd\re").split("\n")[1].startswith("a b c d e\tpos\t")


def test_text_holds_nothing_that_a_terminal_would_act_on():
    assert written("text", "a\x1b[31mb\x07c\x85\u202ed") == (
        "pos\t0.8765\ta\\x1b[31mb\\x07c\\x85\\u202ed\n"
    )
    assert (
        written("text", "zwölf \U0001f600 中\xa0 \ud800")
        == "pos\t0.8765\tzwölf \U0001f600 中\xa0 \ufffd\n"
    )
    assert '"text":"a\\u001b"' in written("jsonl", "a\x1b")


@pytest.mark.parametrize("format_name", RESULT_FORMATS)
def test_lone_surrogates_are_replaced(format_name):
    output = written(format_name, "a\ud800b", extras={"x\udfff": "\udcff"}, label="l\ud900")
    assert "a\ufffdb" in output
    assert "l\ufffd" in output
    output.encode("utf-8")


CELLS = [
    (None, ""),
    ("", ""),
    (" a,b", '" a,b"'),
    ('"', '""""'),
    ("a\rb", '"a\rb"'),
    (True, "true"),
    (3, "3"),
    (0.5, "0.5"),
    (float("nan"), ""),
    (float("inf"), "null"),
    ([1, "é", float("nan")], '"[1,""é"",null]"'),
    ({"a": None}, '"{""a"":null}"'),
    (b"caf\xc3\xa9\xff", "café\ufffd"),
    (datetime.date(2024, 2, 29), "2024-02-29"),
    (decimal.Decimal("1.10"), "1.10"),
]


@pytest.mark.parametrize(("value", "cell"), CELLS, ids=[repr(case[0]) for case in CELLS])
def test_a_value_as_a_cell(value, cell):
    output = written("csv", "good", extras={"id": value})
    assert output.removeprefix("id,text,label,score,score:neg,score:pos,truncated\n").startswith(
        f"{cell},good,pos,"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ({"a": [float("-inf"), 1.5]}, {"a": [None, 1.5]}),
        (datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC), "2024-02-29 00:00:00+00:00"),
        (b"\xff", "\ufffd"),
    ],
)
def test_a_value_that_json_has_no_word_for(value, expected):
    line = written("jsonl", "good", extras={"x": value})
    assert json.loads(line, parse_constant=pytest.fail)["x"] == expected


def test_a_table_takes_its_columns_in_another_order_but_no_others():
    stream = io.StringIO(newline="")
    writer = open_writer(stream, "csv", LABELS)
    writer.write("one", [("a", 1), ("text", "one"), ("b", 2)], "pos", 0.9, SCORES, False)
    writer.write("two", [("b", 4), ("a", 3), ("text", "two")], "pos", 0.9, SCORES, False)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert [(row["a"], row["b"], row["text"]) for row in rows] == [
        ("1", "2", "one"),
        ("3", "4", "two"),
    ]
    with pytest.raises(DataError) as refusal:
        writer.write("three", [("text", "three"), ("a", 5)], "pos", 0.9, SCORES, False)
    assert str(refusal.value) == (
        "result 3: its row has the columns 'text', 'a', the first row had 'a', 'text', 'b'; "
        "a table needs the same ones, so write jsonl instead"
    )


@pytest.mark.parametrize("format_name", ["jsonl", "csv", "tsv"])
def test_deep_nesting_is_refused_in_words(format_name):
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DataError, match="nested too deeply to be written"):
        written(format_name, "good", extras={"x": deep})


def test_an_unknown_format():
    with pytest.raises(ConfigError, match="format 'xml' is not one of text, jsonl, csv, tsv"):
        written("xml")


def test_nothing_is_written_before_the_first_result():
    assert [written(name) for name in RESULT_FORMATS] == [""] * 4


def test_numpy_scores():
    numpy = pytest.importorskip("numpy")
    scores = {"neg": numpy.float32(0.1), "pos": numpy.float32(0.9)}
    assert '"scores":{"neg":0.1,"pos":0.9}' in written("jsonl", "good", scores=scores)


TEXTS = st.text() | st.text("\r\n\t\",'\0\x85\u2028\ufeff|", max_size=12)


@settings(deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=4),
    st.dictionaries(st.text().map("my {}".format), TEXTS, max_size=3),
)
@example(["\r", "\n", ""], {"my\rown": "\r"})
def test_what_csv_and_json_lines_write_can_be_read_again(tmp_path_factory, texts, extras):
    path = tmp_path_factory.getbasetemp() / "results"
    for format_name in ("csv", "jsonl"):
        path.write_bytes(written(format_name, *texts, extras=extras).encode())
        rows = list(read_rows(path, Columns(format=format_name), labelled=True))
        assert [(row.text, row.labels) for row in rows] == [(text, ("pos",)) for text in texts]
        assert list(rows[0].extras)[: len(extras)] == list(extras)
        assert {name: rows[-1].extras[name] for name in extras} == extras


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_what_tsv_writes_has_as_many_cells_as_its_header(tmp_path_factory, text, extra):
    path = tmp_path_factory.getbasetemp() / "results.tsv"
    path.write_bytes(written("tsv", text, extras={"id": extra}).encode())
    rows = list(read_rows(path, labelled=True))
    assert len(rows) == 1
    assert isinstance(rows[0], Row)
    assert "\t" not in rows[0].text
