"""`textgate curve`: a table, a sentence, a picture, and every bad input."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def data(separable, write_jsonl, tmp_path):
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(120)]
    return write_jsonl(tmp_path / "rows.jsonl", rows)


def test_a_table_and_what_it_means(command, data):
    shown = command("curve", data)
    assert shown.status == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == "part  training rows  accuracy     95 % interval"
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["25%", "24"],
        ["50%", "48"],
        ["100%", "96"],
    ]
    assert lines[4:] == ["", lines[5]]
    assert lines[5].startswith("Accuracy ")
    assert shown.err.splitlines()[-1].startswith("120 rows, 2 labels; features: words and bigrams")


def test_json_from_standard_input(command, data):
    shown = command(
        "curve", "-", "--input-format", "jsonl", "--json", "-q", stdin=data.read_bytes()
    )
    found = json.loads(shown.out)
    assert (found["measure"], found["rows"], len(found["points"])) == ("accuracy", 120, 3)
    assert set(found["points"][0]) == {"fraction", "rows", "score", "interval"}
    assert found["meaning"].endswith(".")
    assert len(shown.err.splitlines()) == 1  # the warning of a repeated row


def test_a_picture(command, data, tmp_path):
    picture = tmp_path / "curve.svg"
    assert command("curve", data, "--plot", picture).status == 0
    namespace = "{http://www.w3.org/2000/svg}"
    drawn = ET.parse(picture).getroot()
    assert drawn.tag == f"{namespace}svg"
    assert len(list(drawn.iter(f"{namespace}circle"))) == 3


WRONG = [
    (("rows.jsonl", "--plot", "curve.png"), 2, "--plot writes SVG: name a file that ends in .svg"),
    (("rows.jsonl", "--plot", "no/curve.svg"), 1, "there is no folder no; make it first"),
    (("missing.jsonl",), 1, "missing.jsonl: cannot be read: No such file"),
    (("one.jsonl",), 1, "one.jsonl: every row has the label 'good'"),
    (("rows.jsonl", "--group-field", "author"), 1, "rows.jsonl: no column 'author' besides those"),
    (("rows.jsonl", "--label-field", "class"), 1, "'class'"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG)
def test_bad_input(command, data, write_jsonl, monkeypatch, arguments, status, message):
    monkeypatch.chdir(data.parent)
    write_jsonl(
        data.parent / "one.jsonl", [{"text": f"fine w{n}", "label": "good"} for n in range(9)]
    )
    shown = command("curve", *arguments)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message
