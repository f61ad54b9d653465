"""`textgate explain`: tables, JSON Lines and a page, with colours on a terminal only."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from textgate import Classifier
from textgate.cli.explain import _shows_colours

TEXT = "a great , dull film"


def test_a_table_of_the_words(command, bundle):
    shown = command("explain", "-m", bundle, TEXT, "great")
    assert (shown.status, shown.err) == (0, "")
    first, second = shown.out.split("\n\n")
    label, text, header, *rows = first.splitlines()
    explained = Classifier.load(bundle).explain(TEXT)
    assert label == f"positive\t{explained.prediction.score:.4f}"
    assert text == TEXT
    assert header.split() == ["for", "positive", "so", "far", "word"]
    assert [row.split()[-1] for row in rows] == TEXT.split()
    for row, word in zip(rows, explained.words, strict=True):
        value, *bar = row.split()[:-2]
        assert value == f"{word.values['positive']:+.4f}"
        assert "".join(bar) == ("-" if word.values["positive"] < 0 else "+") * round(
            20 * abs(word.values["positive"])
        )
        assert row.split()[-2] == f"{word.prefix_scores['positive']:.4f}"
    assert second.splitlines()[1] == "great"


def test_json_lines_hold_all_labels(command, bundle):
    shown = command("explain", "-m", bundle, "--format", "json", stdin=f"{TEXT}\n\n".encode())
    assert (shown.status, shown.err) == (0, "")
    first, empty = map(json.loads, shown.out.splitlines())
    explained = Classifier.load(bundle).explain(TEXT)
    assert {name: first[name] for name in ("text", "label", "truncated", "read_end")} == {
        "text": TEXT,
        "label": "positive",
        "truncated": False,
        "read_end": len(TEXT),
    }
    assert [one["text"] for one in first["words"]] == TEXT.split()
    for one, word in zip(first["words"], explained.words, strict=True):
        assert TEXT[one["start"] : one["end"]] == one["text"]
        assert one["values"] == pytest.approx(word.values, abs=1e-6)
        assert one["prefix_scores"] == pytest.approx(word.prefix_scores, abs=1e-6)
    assert (empty["label"], empty["words"], empty["reason"]) == ("", [], "the text is empty")


def test_messages_about_lines_name_no_options_of_other_commands(command, bundle):
    shown = command("explain", "-m", bundle, stdin=b"great \xe9")
    assert shown.status == 1
    assert shown.message == (
        "textgate: standard input, line 1: byte 0xe9 is not UTF-8; it may be cp1252: convert the "
        "file to UTF-8"
    )
    assert command("explain", "-m", bundle, stdin=b"text,label\ngreat,positive\r\n").err == ""


def test_a_page_by_itself(command, bundle):
    shown = command("explain", "-m", bundle, "--format", "html", "great & <b>small</b>")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("<!DOCTYPE html>")
    assert "&amp;" in shown.out
    assert "<b>small" not in shown.out


def test_several_labels_have_a_table_each(command, bundles):
    shown = command("explain", "-m", bundles["rnn-multi-label"], "--top-k", 3, "a great film")
    assert shown.status == 0
    assert len(re.findall(r"^for (\w+) +so far  word$", shown.out, re.MULTILINE)) == 3
    as_json = command(
        "explain", "-m", bundles["rnn-multi-label"], "--format", "json", "a great film"
    )
    found = json.loads(as_json.out)
    assert isinstance(found["label"], list)
    assert len(found["words"][0]["values"]) == 5


def test_an_abstention_says_why_and_explains_the_most_probable_label(command, bundle):
    shown = command("explain", "-m", bundle, "--abstain-below", 1, TEXT)
    label, _, header, *_ = shown.out.splitlines()
    assert label.startswith("\t0.")
    assert "is below the threshold 1 of 'positive'" in label
    assert header.startswith("for positive")


def test_what_was_not_read_is_said(command, bundle):
    shown = command("explain", "-m", bundle, "--max-tokens", 2, "great film , so dull")
    assert "great film [10 characters not read]" in shown.out.splitlines()
    assert len(shown.out.splitlines()) == 5


def test_a_text_cannot_control_the_terminal(command, bundle):
    shown = command("explain", "-m", bundle, "\x1b[31mgreat\x07 \u202efilm\r")
    assert shown.status == 0
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(shown.out)


class Screen(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),  # as https://no-color.org says
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, variables, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not _shows_colours()
    monkeypatch.setattr(sys, "stdout", Screen(io.BytesIO()))
    assert _shows_colours() == coloured


def test_words_are_coloured_by_their_sign(command, bundle, monkeypatch):
    monkeypatch.setattr("textgate.cli.explain._shows_colours", lambda: True)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    shown = command("explain", "-m", bundle, TEXT)
    assert "\x1b[34mgreat\x1b[0m" in shown.out
    plain = re.sub("\x1b\\[\\d+m", "", shown.out)
    monkeypatch.undo()
    assert plain == command("explain", "-m", bundle, TEXT).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "jsom", "great"], "did you mean 'json'?"),
        (["--top-k", "9", "great"], "top-k must be from 1 to the 2 labels"),
        ([], "no text: give some, or pipe texts in"),
    ],
)
def test_wrong_usage(command, bundle, arguments, message):
    shown = command("explain", "-m", bundle, *arguments, terminal=True)
    assert (shown.status, shown.out) == (2, "")
    assert message in shown.message
