"""`textgate errors`: for people, for programs, and as a page."""

from __future__ import annotations

import json

import pytest

from textgate import Classifier, find_errors
from textgate.rows import load_labelled


@pytest.fixture
def data(reviews, tmp_path, write_jsonl):
    rows = load_labelled(reviews / "dev.jsonl.gz")[:150]
    return write_jsonl(
        tmp_path / "a.jsonl",
        [{"text": row.text, "label": row.labels[0], **row.extras} for row in rows],
    )


def test_json_is_the_report(command, bundle, data):
    shown = command("errors", "-m", bundle, data, "--json", "--limit", 3, "--slice-by", "source")
    assert (shown.status, shown.err) == (0, "")
    report = find_errors(
        Classifier.load(bundle), load_labelled(data), file=str(data), slice_by=["source"], limit=3
    )
    assert json.loads(shown.out) == json.loads(json.dumps(report.to_json()))
    assert len(report.mistakes) == 3


def test_the_report_says_the_same(command, bundle, data):
    result = json.loads(command("errors", "-m", bundle, data, "--json").out)
    shown = command("errors", "-m", bundle, data, "--slice-by", "source")
    assert (shown.status, shown.err) == (0, "")
    assert f"{result['mistake_count']} mistakes (" in shown.out
    first = result["mistakes"][0]
    title, about, empty, header, line, *_ = shown.out.split("\n\n", 1)[1].splitlines()
    assert (title, empty) == ("Most confident mistakes", "")
    assert about.startswith("The model is sure of another label. The first 20 of ")
    assert header.split() == ["line", "given", "predicted", "probability", "of", "given", "text"]
    assert line.split()[:5] == [
        str(first["line"]), *first["given"], *first["predicted"], f"{first['score']:.4f}",
        f"{first['given_score']:.4f}",
    ]  # fmt: skip
    for title in ("Likely label errors", "Confusions", "Accuracy by source"):
        assert f"\n{title}\n" in shown.out
    assert max(map(len, shown.out.splitlines())) < 200


def test_standard_input_has_a_name(command, bundle, data):
    shown = command("errors", "-m", bundle, "-", "--input-format", "jsonl", stdin=data.read_bytes())
    assert shown.out.startswith("150 rows of standard input, predictions of the bundle\n")


def test_a_page(command, bundle, data, tmp_path):
    page = tmp_path / "errors.html"
    shown = command("errors", "-m", bundle, data, "--html", page)
    assert (shown.status, shown.err) == (0, "")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert command("errors", "-m", bundle, data, "--html", data).message.endswith(
        "is an input of this command; write to another file"
    )


_BROKEN_WORDS = """
[...document.querySelectorAll('th')].flatMap(({firstChild: node}) =>
  [...node.data.matchAll(/[^ ]+/g)].filter(word => {
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    return range.getClientRects().length > 1;
  }).map(String))
"""


def test_no_word_of_a_header_is_broken(browser, command, bundle, data, tmp_path):
    command("errors", "-m", bundle, data, "--html", tmp_path / "errors.html")
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto((tmp_path / "errors.html").as_uri())
    assert page.evaluate(_BROKEN_WORDS) == []
    page.close()


def test_training_rows(command, bundle, data, tmp_path):
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    train = tmp_path / "train.jsonl"
    train.write_text("".join(lines[:2]), encoding="utf-8")
    shown = command("errors", "-m", bundle, data, "--train", train)
    assert "\n2 rows nearly repeat a training row\n" in shown.out
    assert "\nNear-duplicates of training rows\n" in shown.out
    shown = command("errors", "-m", bundle, data, "--train", data)
    assert (shown.status, shown.out) == (2, "")
    assert shown.message.startswith("textgate: --train: these are the rows themselves")


def test_a_text_cannot_control_the_terminal(command, bundle, tmp_path, write_jsonl):
    column = "a\x07\u202e"
    rows = [{"text": "\x1b[31mgood\x07 \u202efilm\r", "label": "negative", column: "\x1b"}] * 2
    path = write_jsonl(tmp_path / f"{column}.jsonl", rows)
    shown = command("errors", "-m", bundle, path, "--slice-by", column)
    assert shown.status == 0
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(shown.out)


def test_a_column_of_many_long_values(command, bundle, tmp_path, write_jsonl):
    rows = [
        {"text": "a great film", "label": "positive", "user": f"{number:04}" + "x" * 500}
        for number in range(50)
    ]
    arguments = ("errors", "-m", bundle, write_jsonl(tmp_path / "a.jsonl", rows))
    shown = command(*arguments, "--slice-by", "user", "--limit", 3)
    assert "\nThe surely worst values come first. The first 3 of 50.\n" in shown.out
    assert [line[:8] for line in shown.out.splitlines()[-3:]] == [
        "0000xxxx",
        "0001xxxx",
        "0002xxxx",
    ]
    assert max(map(len, shown.out.splitlines())) < 200
    found = json.loads(command(*arguments, "--slice-by", "user", "--limit", 3, "--json").out)
    assert (found["slice_counts"], len(found["slices"])) == ({"user": 50}, 3)


def test_the_page_is_written_though_nobody_reads_the_report(
    command, bundle, data, tmp_path, monkeypatch
):
    def stop(_):
        raise BrokenPipeError

    monkeypatch.setattr("textgate.cli.errors._report", stop)
    page = tmp_path / "errors.html"
    assert command("errors", "-m", bundle, data, "--html", page).status == 1
    assert page.exists()


def test_several_labels(command, bundles, tmp_path, write_jsonl):
    rows = [{"text": "a fine film", "label": ["positive", "movie"]}, {"text": "b", "label": []}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    shown = command("errors", "-m", bundles["rnn-multi-label"], path, "--json")
    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out)["rows"] == 2


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--slice-by", "sourc"], 1, "no column 'sourc' besides those of text and label (did you"),
        (["--run", "nothing"], 1, "nothing is not a training run: there is no such folder"),
        (["--limit", "0"], 2, "0 is not in the range x>=1"),
        (["--html", "no/where.html"], 1, "there is no folder no; make it first"),
    ],
)
def test_what_is_refused(command, bundle, data, options, status, message):
    shown = command("errors", "-m", bundle, data, *options)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message


def test_perfect_answers(command, bundle, tmp_path, write_jsonl):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a great film", "label": "positive"}])
    shown = command("errors", "-m", bundle, path)
    assert shown.status == 0
    assert shown.out.splitlines() == [
        f"1 row of {path}, predictions of the bundle",
        "0 mistakes (0.00%)",
        "0 likely label errors",
    ]
