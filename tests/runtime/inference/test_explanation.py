"""Explanations as HTML: whatever the text holds, it is shown and never run."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from textgate import Classifier
from textgate.inference.explanation import page

HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=y> & great&amp; </mark></section>"


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


class Parsed(HTMLParser):
    """The tags of some HTML, and the text of its marks and around them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.marks, self.text, self.open = [], [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open.append(tag)
        if tag == "mark":
            self.marks.append(dict(attributes))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "small" not in self.open and "b" not in self.open:
            self.text += data


@pytest.mark.parametrize("text", [HOSTILE, "good \n\n good", "", "\u202egood", "a" * 2000])
def test_a_text_is_shown_whole_and_never_html(classifier, text):
    html = classifier.explain(text)._repr_html_()
    parsed = Parsed(html)
    assert set(parsed.tags) <= {"section", "p", "b", "mark", "small", "s"}
    assert parsed.open == []
    assert parsed.text.endswith(text)


def test_a_label_is_never_html(classifier):
    explained = classifier.explain("a great film")
    name = '<i title="x">'
    renamed = dataclasses.replace(
        explained,
        labels=(name,),
        prediction=dataclasses.replace(explained.prediction, scores={name: 0.9}),
        words=tuple(
            dataclasses.replace(word, values={name: 0.5}, prefix_scores={name: 0.7})
            for word in explained.words
        ),
    )
    parsed = Parsed(renamed._repr_html_())
    assert "i" not in parsed.tags
    assert parsed.marks[0]["title"] == f"+0.5000, for {name}; 0.7000 up to this word"


def test_sign_and_size_do_not_need_colours(classifier):
    explained = classifier.explain("a great , dull film")
    html = explained._repr_html_()
    (label,) = explained.labels
    shown = re.findall(
        r'<mark style="([^"]*)" title="([^"]*)">([^<]*)(?:<small[^>]*>([^<]*))?', html
    )
    assert len(shown) == len(explained.words)
    for (style, title, word, number), one in zip(shown, explained.words, strict=True):
        value = one.values[label]
        assert unescape(word) == one.text
        assert title.startswith(f"{value:+.4f}, {'for' if value >= 0 else 'against'} {label};")
        assert number == (f"{value:+.2f}" if abs(value) >= 0.005 else "")
        assert ("dashed" in style) == (value <= -0.005)


def test_what_was_not_read_is_struck_out(classifier):
    html = classifier.explain("dull " * 100)._repr_html_()
    assert '<s style="opacity:.7" title="not read"> dull' in html


def test_every_shown_label_has_its_text(bundles):
    classifier = Classifier.load(bundles["rnn-multi-label"])
    html = classifier.explain("great film", top_k=3)._repr_html_()
    assert Parsed(html).tags.count("b") == 3
    abstaining = Classifier.load(bundles["rnn-multi-label"], thresholds=1.0)
    assert "<p>No label: no label reaches its threshold.</p>" in (
        abstaining.explain("great")._repr_html_()
    )


def test_a_page_loads_nothing_and_follows_the_reader_into_the_dark(classifier):
    html = page(map(classifier.explain, ["great", HOSTILE]))
    assert html.startswith("<!DOCTYPE html>")
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "color-scheme: light dark" in html
    assert not re.search(r"<(script|img|link|iframe)", html)
    assert html.count("<section>") == 2
