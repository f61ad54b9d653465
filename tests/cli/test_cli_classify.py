"""`textgate classify`: texts in, lines out, in every format; what is wrong said in one line."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from textgate import Classifier

GOOD, BAD = "A wonderful, moving film.", "Dull and far too long."


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


def test_texts_as_arguments(command, bundle, classifier):
    shown = command("classify", "-m", bundle, GOOD, BAD, "")
    assert (shown.status, shown.err) == (0, "")
    lines = [line.split("\t") for line in shown.out.splitlines()]
    for (label, score, text), wanted in zip(lines, (GOOD, BAD, ""), strict=True):
        found = classifier.predict(wanted)
        assert (label, text) == (found.label or "", wanted)
        assert float(score) == pytest.approx(found.score, abs=1e-4)


STDIN = [
    ((), b"good\nbad\n", 2),
    (("-i", "-"), b"good\nbad", 2),
    ((), b"good\r\n\r\n\xef\xbb\xbfbad", 3),  # an empty line keeps its place
    ((), b"", 0),
    (("--input-format", "jsonl"), b'{"text": "good"}\n\n{"text": "bad"}\n', 2),
    (("--input-format", "csv", "--text-field", "said"), b"said\ngood\n", 1),
    (("--input-format", "fasttext"), b"__label__x good\nbad\n", 2),
]


@pytest.mark.parametrize(("options", "stdin", "count"), STDIN)
def test_standard_input(command, bundle, options, stdin, count):
    shown = command("classify", "-m", bundle, "--format", "jsonl", *options, stdin=stdin)
    assert (shown.status, shown.err) == (0, "")
    assert len(shown.out.splitlines()) == count


ROWS = [
    {"id": 1, "text": GOOD, "label": "x", "nested": {"a": [1, None]}},
    {"id": 2, "text": BAD, "label": "y", "nested": {}},
]


def test_the_columns_of_the_rows_are_kept(command, bundle, tmp_path, write_jsonl):
    shown = command("classify", "-m", bundle, "-i", write_jsonl(tmp_path / "a.jsonl", ROWS))
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [(row["id"], row["text"], row["nested"]) for row in found] == [
        (row["id"], row["text"], row["nested"]) for row in ROWS
    ]
    assert [row["input.label"] for row in found] == ["x", "y"]
    assert all(row["label"] in ("negative", "positive") for row in found)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_a_table_gives_a_table(command, bundle, tmp_path, name):
    mark = "\t" if "tsv" in name else ","
    content = f"id{mark}text\n1{mark}good\n2{mark}bad, or not\n".encode()
    if name != "a.tsv":
        content = b'id,text\n1,good\n2,"bad, or not"\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    shown = command("classify", "-m", bundle, "-i", tmp_path / name)
    assert (shown.status, shown.err) == (0, "")
    header, *rows = csv.reader(io.StringIO(shown.out), delimiter=mark)
    scores = ["score", "score:negative", "score:positive"]
    assert header == ["id", "text", "label", *scores, "truncated"]
    assert [row[:2] for row in rows] == [["1", "good"], ["2", "bad, or not"]]


TABLE = "v1,subject,label,,\nham,good,x,1,2\nspam,bad,y,,3\n"
RESULT = ["label", "score", "score:negative", "score:positive", "truncated"]


@pytest.mark.parametrize("read", ["csv", "tsv", "jsonl", "json", "parquet"])
@pytest.mark.parametrize("result_format", ["csv", "tsv", "jsonl"])
def test_columns_keep_their_names_and_order(command, bundle, tmp_path, read, result_format):
    """From any format to any other."""
    path = tmp_path / f"a.{read}"
    names = ["v1", "subject", "label", "", ""]
    table = list(csv.reader(io.StringIO(TABLE)))[1:]
    if read in ("csv", "tsv"):
        path.write_text(TABLE if read == "csv" else TABLE.replace(",", "\t"), encoding="utf-8")
    elif read == "parquet":
        pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
        from pyarrow import parquet

        columns = [pa.array(column) for column in zip(*table, strict=True)]
        parquet.write_table(pa.Table.from_arrays(columns, names=names), path)
    else:
        names, table = names[:3], [row[:3] for row in table]
        rows = [json.dumps(dict(zip(names, row, strict=True))) for row in table]
        path.write_text(f"[{','.join(rows)}]" if read == "json" else "\n".join(rows), "utf-8")
    made = tmp_path / f"results.{result_format}"
    arguments = ["classify", "-m", bundle, "-i", path, "--text-field", "subject", "-o", made]
    shown = command(*arguments)
    assert (shown.status, shown.err) == (0, "")
    whole = made.read_bytes()
    names[2] = "input.label"
    if result_format == "jsonl":
        found = [json.loads(line) for line in whole.splitlines()]
        own = ["" if name == "" else name for name in names[:4]] + [".2"] * (len(names) > 4)
        assert list(found[0]) == [*own, "label", "score", "scores", "truncated"]
        assert [list(row.values())[: len(own)] for row in found] == table
    else:
        mark = "," if result_format == "csv" else "\t"
        header, *found = csv.reader(io.StringIO(whole.decode()), delimiter=mark)
        assert header == names + RESULT
        assert [row[: len(names)] for row in found] == table


def test_texts_of_several_columns(command, bundle, classifier, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("subject,id,body\nA film,1,Dull and long.\n,2,good\n", encoding="utf-8")
    fields = ["--text-field", "subject", "--text-field", "body"]
    shown = command("classify", "-m", bundle, "-i", path, *fields)
    header, *rows = csv.reader(io.StringIO(shown.out))
    assert header == ["subject", "id", "body", *RESULT]
    for row, text in zip(rows, ("A film\nDull and long.", "good"), strict=True):
        assert float(row[4]) == pytest.approx(classifier.predict(text).score, abs=2e-6)
    as_text = command("classify", "-m", bundle, "-i", path, *fields, "--format", "text").out
    assert as_text.splitlines()[0].endswith("\tA film Dull and long.")


SPOILED = b'{"text": "good"}\noops\n{"text": 5}\n{"text": "bad"}\n'


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_rows_that_cannot_be_used(command, bundle, tmp_path, jobs):
    path = tmp_path / "a.jsonl"
    path.write_bytes(SPOILED)
    shown = command("classify", "-m", bundle, "-i", path, "--jobs", jobs)
    assert shown.status == 1
    assert shown.out.count("\n") == 1
    assert "line 2: not valid JSON" in shown.message
    assert shown.message.endswith("--skip-bad-rows leaves out rows like it")
    shown = command("classify", "-m", bundle, "-i", path, "--jobs", jobs, "--skip-bad-rows")
    assert shown.status == 0
    assert [json.loads(line)["text"] for line in shown.out.splitlines()] == ["good", "bad"]
    assert shown.err == (
        f"textgate: note: {path}: left out 2 of 4 rows: 1 for invalid JSON (line 2), 1 for a text "
        "that is not a string (line 3)\n"
    )


def test_what_is_odd_about_a_file_is_said(command, bundle, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id;text\n1;good\n".encode("utf-16"))
    shown = command("classify", "-m", bundle, "-i", path)
    assert shown.status == 0
    assert shown.out.startswith("id,text,label")
    assert shown.err.splitlines() == [
        f"textgate: note: {path}: read as utf-16, because of its byte order mark",
        (
            f"textgate: note: {path}: the cells are taken as separated by ';', because of the "
            "header; set it with --delimiter ';'"
        ),
    ]
    options = ["--encoding", "utf-16", "--delimiter", ";"]
    told = command("classify", "-m", bundle, "-i", path, *options)
    assert (told.status, told.out, told.err) == (0, shown.out, "")


@pytest.mark.parametrize("written", ["tab", r"\t", "\t"])
def test_a_tab_can_be_typed(command, bundle, written):
    options = ["--input-format", "csv", "--delimiter", written, "--format", "csv"]
    shown = command("classify", "-m", bundle, *options, stdin=b'id\ttext\n1\t"a ""b"""\n')
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[1].startswith('1,"a ""b""",')


def test_what_stands_between_labels(command, bundles):
    options = ["-m", bundles["rnn-multi-label"], GOOD]
    labels = json.loads(command("classify", "--format", "jsonl", *options).out)["label"]
    shown = command("classify", "--label-separator", " + ", *options)
    assert shown.out.split("\t")[0] == " + ".join(labels)
    shown = command("classify", "--label-separator", "o", *options)
    assert shown.status == 2
    assert "holds 'o', which separates the labels of a text" in shown.message
    assert command("classify", "--label-separator", "", *options).status == 2


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "a.xlsx"])
def test_results_are_not_written_under_another_format_s_name(command, bundle, tmp_path, name):
    shown = command("classify", "-m", bundle, "-o", tmp_path / name, "good")
    assert shown.status == 2
    assert f"results are written as text, jsonl, csv, tsv, not as {name[1:]}" in shown.message
    assert not (tmp_path / name).exists()
    shown = command("classify", "-m", bundle, "-o", tmp_path / name, "--format", "jsonl", "good")
    assert shown.status == 0


def test_the_format_can_be_another(command, bundle, tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "a.jsonl", ROWS)
    assert command("classify", "-m", bundle, "-i", path, "--format", "text").out.endswith(
        f"\t{BAD}\n"
    )
    assert command("classify", "-m", bundle, "-i", path, "--format", "csv").out.startswith("id,")


def test_more_rows_than_are_read_at_a_time(command, bundle, classifier, tmp_path, write_jsonl):
    rows = [{"text": f"good {'film ' * (number % 9)}{number}"} for number in range(1100)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    shown = command("classify", "-m", bundle, "-i", path)
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    expected = classifier.predict_proba([row["text"] for row in rows])
    assert [row["scores"]["positive"] for row in found] == pytest.approx(
        expected[:, 1].tolist(), abs=2e-6
    )


def test_several_labels(command, bundles):
    path = bundles["rnn-multi-label"]
    as_json = json.loads(command("classify", "-m", path, "--format", "jsonl", GOOD).out)
    assert as_json["label"] == list(Classifier.load(path).predict(GOOD).labels)
    label = command("classify", "-m", path, GOOD).out.partition("\t")[0]
    assert label == "|".join(as_json["label"])


@pytest.mark.parametrize("least", ["0", "0.7", "1"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_abstaining_below(command, bundle, classifier, tmp_path, least, jobs):
    texts = [GOOD, BAD, "good good good", "a film", ""]
    (tmp_path / "a.txt").write_text("\n".join([*texts, ""]), encoding="utf-8")
    options = ["--abstain-below", least, "--jobs", jobs, "--format", "jsonl"]
    shown = command("classify", "-m", bundle, "-i", tmp_path / "a.txt", *options)
    found = [json.loads(line) for line in shown.out.splitlines()]
    for row, text in zip(found, texts, strict=True):
        expected = classifier.predict(text)
        sure = expected.label is not None and expected.score >= float(least)
        assert row["label"] == (expected.top_label if sure else "")
        assert row["scores"] == pytest.approx(expected.scores, abs=2e-6)
    assert {row["label"] for row in found} == {
        "0": {"positive", "negative", ""},
        "0.7": {"positive", "negative", ""},
        "1": {""},
    }[least]


def test_abstaining_from_several_labels(command, bundles):
    options = ["--abstain-below", "1", "--format", "jsonl"]
    shown = command("classify", "-m", bundles["rnn-multi-label"], *options, GOOD)
    assert json.loads(shown.out)["label"] == []


EMPTY, NOTHING_KNOWN = "the text is empty", "no known token was read"
NO_LABEL = [
    ("good", None),
    ("", EMPTY),
    (" \t ", EMPTY),
    ("\u3000", EMPTY),
    ("qzxqzx", NOTHING_KNOWN),
    ("\U0001f44d", NOTHING_KNOWN),
    ("qzxqzx good", None),
]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("name", ["lstm-int8", "gru-float32", "rnn-multi-label"])
def test_texts_without_a_known_token_get_no_label(
    command, bundles, tmp_path, write_jsonl, name, jobs
):
    rows = [{"text": text} for text, _ in NO_LABEL]
    path = write_jsonl(tmp_path / "a.jsonl", rows * 100)
    shown = command("classify", "-m", bundles[name], "-i", path, "--jobs", jobs)
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert len(found) == 100 * len(NO_LABEL)
    expected = Classifier.load(bundles[name])
    for row, (text, reason) in zip(found, NO_LABEL * 100, strict=True):
        assert row["text"] == text
        assert row.get("reason") == expected.predict(text).reason
        assert reason in {None, row.get("reason")}
        assert (row["label"] in ("", [])) == ("reason" in row)
        assert row["score"] == pytest.approx(expected.predict(text).score, abs=2e-6)


@pytest.mark.parametrize("result_format", ["text", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("more", [[], ["--top-k", "2"], ["--jobs", "2"]])
def test_every_line_has_a_result(command, bundle, tmp_path, result_format, more):
    """Empty lines too, so that the results can be put beside the texts."""
    (tmp_path / "a.txt").write_bytes(b"\ngood\n\n\n \nbad\n\n")
    options = ["--format", result_format, *more]
    shown = command("classify", "-m", bundle, "-i", tmp_path / "a.txt", *options)
    assert (shown.status, shown.err) == (0, "")
    assert len(shown.out.splitlines()[result_format in ("csv", "tsv") :]) == 7


BEST = {
    "text": "{label}\t{first:.4f}\t{label}\t{first:.4f}\t{other}\t{second:.4f}\tgood\n",
    "csv": (
        "text,label,score,top:1,score:1,top:2,score:2,truncated\n"
        "good,{label},{first},{label},{first},{other},{second},false\n"
    ),
    "tsv": (
        "text\tlabel\tscore\ttop:1\tscore:1\ttop:2\tscore:2\ttruncated\n"
        "good\t{label}\t{first}\t{label}\t{first}\t{other}\t{second}\tfalse\n"
    ),
    "jsonl": (
        '{{"text":"good","label":"{label}","score":{first},'
        '"scores":{{"{label}":{first},"{other}":{second}}},"truncated":false}}\n'
    ),
}


@pytest.mark.parametrize("result_format", BEST)
def test_the_best_labels(command, bundles, result_format):
    path = bundles["gru-float32"]
    scores = Classifier.load(path).predict("good", top_k=2).scores
    (label, first), (other, second) = ((name, round(one, 6)) for name, one in scores.items())
    assert first > second
    shown = command("classify", "-m", path, "--top-k", "2", "--format", result_format, "good")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out == BEST[result_format].format(
        label=label, other=other, first=first, second=second
    )


def test_the_best_labels_of_a_text_without_a_label(command, bundle, classifier):
    options = ["--top-k", "1", "--abstain-below", "1"]
    for text in ("good", ""):
        found = classifier.predict(text)
        best = f"{found.score:.4f}\t{found.top_label}\t{found.score:.4f}"
        assert command("classify", "-m", bundle, *options, text).out == f"\t{best}\t{text}\n"


NAMES = [
    (["rows.txt"], "the text rows.txt is also the name of a file", "-i rows.txt"),
    (["good", "./README"], "the text ./README is also the name of a file", "-i ./README"),
    (["it's.csv", "rows.txt"], "the text it's.csv is also the name", "-i 'it'\"'\"'s.csv'"),
    (["README", "good film.", "folder.d", "none.txt", ".", "", "a" * 5000 + ".txt"], "", ""),
]


@pytest.mark.parametrize(("texts", "note", "advice"), NAMES, ids=["a", "b", "c", "none"])
def test_a_text_that_is_the_name_of_a_file(
    command, bundle, tmp_path, monkeypatch, texts, note, advice
):
    """The results are those of the text, as ever; a note says what else could be meant."""
    monkeypatch.chdir(tmp_path)
    for name in ("rows.txt", "README", "good film.", "it's.csv"):
        Path(name).write_text("good\n", encoding="utf-8")
    Path("folder.d").mkdir()
    shown = command("classify", "-m", bundle, *texts)
    assert shown.status == 0
    assert [line.split("\t")[2] for line in shown.out.splitlines()] == texts
    assert shown.err.count("\n") == bool(note)
    assert shown.err.startswith(f"textgate: note: {note}" if note else "")
    assert shown.err.strip().endswith(advice)


def test_reading_less_of_a_text(command, bundle, classifier):
    shown = command(
        "classify",
        "-m",
        bundle,
        "--max-tokens",
        "2",
        "--format",
        "jsonl",
        "good film",
        "good film .",
    )
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["truncated"] for row in rows] == [False, True]
    for row in rows:
        assert row["scores"] == pytest.approx(classifier.predict("good film").scores, abs=2e-6)


def test_how_far_it_has_come_on_a_terminal(bundle, tmp_path, monkeypatch):
    """A bar and the rows done on standard error; the results are untouched."""
    from textgate.cli.classify_rows import write_results
    from textgate.rows import read_rows
    from textgate.rows.tracking import TrackedPath

    class Screen(io.StringIO):
        def isatty(self):
            return True

    (tmp_path / "a.txt").write_text("good film\n" * 30_000, encoding="utf-8")
    source = TrackedPath(tmp_path / "a.txt")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("textgate.cli.classify_rows._PROGRESS_AFTER", 0)
    rows = read_rows(source, labelled=False)
    output = tmp_path / "results.txt"
    write_results(
        Classifier.load(bundle), rows, "text", source=source, output=output, window=512, jobs=1
    )
    drawn = screen.getvalue()
    assert re.search(r"\[#+-+\] +\d\d%  (\d\d:\d\d:\d\d  )?[\d,]+ rows", drawn)
    assert re.search(r"\[#+\] +100%  30,000 rows", drawn)
    assert output.read_text(encoding="utf-8").count("\n") == 30_000


ODD = [
    "",
    "   \t ",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301\u0301 \u202e",
    "\u0000NUL\u0000",
    "\u2028\x85line ends that are none",
    "tab\there",
]


def test_odd_texts_come_back_as_they_were(command, bundle, tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": text} for text in ODD])
    shown = command("classify", "-m", bundle, "-i", path)
    assert (shown.status, shown.err) == (0, "")
    assert [json.loads(line)["text"] for line in shown.out.split("\n")[:-1]] == ODD
    as_text = command("classify", "-m", bundle, "-i", path, "--format", "text")
    assert as_text.out.count("\n") == len(ODD)


def test_half_a_surrogate_pair_is_replaced(command, bundle):
    shown = command(
        "classify", "-m", bundle, "--input-format", "jsonl", stdin=rb'{"text": "\ud800 good"}'
    )
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out)["text"] == "\ufffd good"


def test_a_line_of_10_megabytes(command, bundle, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good film " * 1_000_000 + b"\nbad\n")
    shown = command("classify", "-m", bundle, "-i", path, "--format", "jsonl")
    assert (shown.status, shown.err) == (0, "")
    large, small = (json.loads(line) for line in shown.out.splitlines())
    assert (large["truncated"], small["truncated"]) == (True, False)
    assert len(large["text"]) == 10_000_000


# What is refused


@pytest.fixture
def damaged(bundle, tmp_path):
    """A copy of the bundle that a test may spoil."""
    return shutil.copytree(bundle, tmp_path / "bundle")


USAGE = [
    (["good", "-i", "x.txt"], "Error: give texts or --input, not both"),
    (["--format", "xml", "good"], "Error: Invalid value for '--format': 'xml' is not one of"),
    (["--format", "jsonll", "good"], "'csv', 'tsv' (did you mean 'jsonl'?)."),
    (["--engine", "onnxrutime", "good"], "'onnxruntime' (did you mean 'onnxruntime'?)."),
    (["--encoding", "ltain-1", "-i", "x.csv"], "not a known encoding (did you mean 'latin-1'?)"),
    (["--threads", "0", "good"], "'0' is neither a number from 1 on nor auto"),
    (["--threads", "-1", "good"], "'-1' is neither a number from 1 on nor auto"),
    (["--threads", "two", "good"], "'two' is neither a number from 1 on nor auto"),
    (["--threads", "\u0663", "good"], "is neither a number from 1 on nor auto"),
    (["--threads", "9" * 5000, "good"], "'... is neither a number from 1 on nor auto"),
    (["--threads", "99999", "good"], "textgate: --threads must be a number from 1 to 1024"),
    (
        ["--abstain-below", "1.1", "good"],
        "Invalid value for '--abstain-below': it must be a number from 0 to 1, not 1.1",
    ),
    (
        ["--abstain-below", "nan", "good"],
        "Invalid value for '--abstain-below': it must be a number from 0 to 1, not nan",
    ),
    (
        ["--abstain-below", "80", "good"],
        "it must be a number from 0 to 1, not 80, which looks like a percentage: write 0.8",
    ),
    (["--abstain-below=-inf", "good"], "it must be a number from 0 to 1, not -inf"),
    (["--top-k", "0", "good"], "Invalid value for '--top-k'"),
    (["--top-k", "3", "good"], "--top-k must be from 1 to the 2 labels, not 3"),
    (["--top-k", "3", "--input-format", "text"], "--top-k must be from 1 to the 2 labels, not 3"),
    (["--max-tokens", "41", "good"], "--max-tokens must be from 1 to the bundle's 40, not 41"),
    (["--jobs", "1025", "good"], "--jobs must be a number from 1 to 1024, not 1025"),
    (["--jobs", "0", "good"], "'0' is neither a number from 1 on nor auto"),
    (["--batch-size", "0", "good"], "Invalid value for '--batch-size'"),
    (["-i", "rows.unknown"], "the name tells no format; known are .jsonl"),
    (["--input-format", "parquet"], "Parquet cannot be read from standard input"),
]


@pytest.mark.parametrize(("options", "message"), USAGE, ids=[case[1] for case in USAGE])
def test_wrong_usage(command, bundle, options, message):
    shown = command("classify", "-m", bundle, *options)
    assert shown.status == 2
    assert message in shown.message
    assert shown.out == ""


def test_a_terminal_is_not_waited_for(command, bundle):
    shown = command("classify", "-m", bundle, terminal=True)
    assert shown.status == 2
    assert shown.message == "Error: no text: give some, or --input FILE, or pipe texts in"


INPUT = [
    ("a.jsonl", b'{"text": "a"}\n{"text": "b"\n', "line 2: not valid JSON at column"),
    ("a.jsonl", b'{"text": "a"}\n{"said": "b"}\n', "line 2: no field 'text', found 'said'"),
    ("a.csv", b"said,label\nx,y\n", "no field 'text', found 'said', 'label'; name the right one"),
    ("a.txt", b"good\nb\xe9d\n", "line 2: byte 0xe9 is not UTF-8"),
    ("a.txt.gz", b"plain", "line 1: the gzip data is damaged"),
    ("a.jsonl", b'{"text": 5}\n', "the text (field 'text') should be a string, found 5"),
]


@pytest.mark.parametrize("case", INPUT, ids=[case[2] for case in INPUT])
def test_rows_that_are_none(command, bundle, tmp_path, case):
    name, content, message = case
    (tmp_path / name).write_bytes(content)
    shown = command("classify", "-m", bundle, "-i", tmp_path / name)
    assert shown.status == 1
    assert message in shown.message
    assert name in shown.message


def test_files_that_cannot_be_read(command, bundle, tmp_path):
    for path, reason in (
        (tmp_path / "nothing.txt", "No such file or directory"),
        (tmp_path, "the name tells no format"),
    ):
        shown = command("classify", "-m", bundle, "-i", path)
        assert shown.status in (1, 2)
        assert reason in shown.message
    (tmp_path / "folder.txt").mkdir()
    shown = command("classify", "-m", bundle, "-i", tmp_path / "folder.txt")
    assert shown.status == 1
    assert shown.message.endswith("folder.txt: cannot be read: Is a directory")


def test_a_file_that_others_keep_to_themselves(command, bundle, tmp_path, monkeypatch):
    path = tmp_path / "secret.txt"
    path.write_text("good", encoding="utf-8")
    genuine = Path.open

    def refuse(opened, *args, **options):
        if opened == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(opened))
        return genuine(opened, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    shown = command("classify", "-m", bundle, "-i", path)
    assert (shown.status, shown.out) == (1, "")
    assert shown.message == f"textgate: {path}: cannot be read: Permission denied"


def spoil(name, change):
    def spoiled(path):
        content = (path / name).read_bytes()
        (path / name).write_bytes(change(content))

    return spoiled


BUNDLES = [
    (shutil.rmtree, "no such folder; a bundle was expected there"),
    (lambda path: (path / "textgate.json").unlink(), "not a textgate bundle: it holds no textgate"),
    (lambda path: (path / "model.onnx").unlink(), "model.onnx: missing"),
    (spoil("model.onnx", lambda old: old[:-1]), "bytes, but textgate.json says"),
    (spoil("model.onnx", lambda old: b"\1" + old[1:]), "its checksum is not the one in"),
    (spoil("tokenizer.json", lambda old: old.replace(b"good", b"goad")), "its checksum is not"),
    (spoil("textgate.json", lambda old: old.replace(b"negative", b"positive")), "its own checksum"),
    (spoil("textgate.json", lambda old: old[: len(old) // 2]), "not valid JSON"),
    (spoil("textgate.json", lambda _: b""), "not valid JSON"),
    (spoil("textgate.json", lambda old: old.replace(b'n": 1,', b'n": 9,')), "upgrade textgate"),
]


@pytest.mark.parametrize(("change", "message"), BUNDLES, ids=[case[1] for case in BUNDLES])
def test_bundles_that_are_none(command, damaged, change, message):
    change(damaged)
    for arguments in (["classify", "-m", damaged, "good"], ["inspect", damaged]):
        shown = command(*arguments)
        assert shown.status == 1
        assert message in shown.message
        assert shown.out == ""


# Where results go

MAIN = "from textgate.cli import main; main()"


@contextmanager
def process(*arguments, **options):
    """The command in a process of its own, buffered as usual, ended if it hangs."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        stderr=subprocess.PIPE,
        **{"env": environment, **options},
    ) as running:
        guard = threading.Timer(60, running.kill)
        guard.start()
        try:
            yield running
        finally:
            guard.cancel()
            running.kill()


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_reader_that_stops_is_no_error(bundle, tmp_path, jobs):
    path = tmp_path / "many.txt"
    path.write_text("good film\n" * 60_000, encoding="utf-8")
    arguments = ["classify", "-m", bundle, "-i", path, "--jobs", jobs]
    with process(*arguments, stdout=subprocess.PIPE) as running:
        assert running.stdout.readline().endswith(b"\tgood film\n")
        running.stdout.close()
        assert running.wait(60) == 1
        assert running.stderr.read() == b""


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["classify", "good"], ["inspect"], ["evaluate"], ["--help"]])
def test_a_full_disk(bundle, tmp_path, write_jsonl, arguments):
    data = write_jsonl(tmp_path / "a.jsonl", [{"text": "good", "label": "positive"}])
    more = {
        "classify": ["-m", bundle],
        "inspect": [bundle],
        "evaluate": ["-m", bundle, data],
        "--help": [],
    }[arguments[0]]
    with FULL.open("wb") as full, process(*arguments, *more, stdout=full) as running:
        assert running.wait(60) == 1
        message = running.stderr.read().decode()
    assert message.startswith("textgate: ")
    assert message.endswith("No space left on device\n")
    assert message.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="a shell that closes streams is needed")
@pytest.mark.parametrize(
    ("close", "arguments", "message"),
    [
        (">&-", ["good"], "textgate: standard output is closed"),
        ("<&-", [], "textgate: standard input: cannot be read: it is closed"),
        ("<&- 2>&-", [], ""),
    ],
)
def test_a_closed_stream(bundle, close, arguments, message):
    command = [sys.executable, "-c", MAIN, "classify", "-m", str(bundle), *arguments]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {close}', *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == message


def test_rows_from_a_pipe_are_answered_one_by_one(bundle):
    with process(
        "classify", "-m", bundle, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        for text in (b"good", b"bad"):
            running.stdin.write(text + b"\n")
            running.stdin.flush()
            assert running.stdout.readline().endswith(b"\t" + text + b"\n")
        running.stdin.close()
        assert running.wait(60) == 0
        assert running.stderr.read() == b""


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_the_locale_does_not_matter(bundle, locale):
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    text = "caf\u00e9 \U0001f600"
    with process(
        "classify",
        "-m",
        bundle,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        out, err = running.communicate(text.encode() + b"\n", timeout=60)
    assert (running.returncode, err) == (0, b"")
    assert out.decode("utf-8").endswith(f"\t{text}\n")


def test_interrupted(command, bundle, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "load", interrupt)
    shown = command("classify", "-m", bundle, "good")
    assert (shown.status, shown.out) == (130, "")
    assert shown.err.strip() == "textgate: interrupted"


def test_the_bundle_of_the_environment(command, bundle, monkeypatch):
    monkeypatch.setenv("TEXTGATE_MODEL", str(bundle))
    shown = command("classify", "A wonderful, moving film.")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out == command("classify", "-m", bundle, "A wonderful, moving film.").out
