"""Making texts out of texts: what gives way to what, and what is kept out."""

from __future__ import annotations

import gzip
import itertools
import json
import random

import numpy as np
import pytest

from textgate.train.vectors import Vectors


@pytest.fixture
def augment(script):
    return script("augment")


def vectors(places):
    names = {name: row for row, name in enumerate(places)}
    return Vectors(names, np.array(list(places.values()), dtype=np.float32), "made up")


PLACES = {"red": (1, 0), "crimson": (0.9, 0.1), "blue": (0, 1), "azure": (0.1, 0.9), "up": (-1, 0)}


def test_the_nearest_words_come_first(augment):
    near = augment.neighbours({"red", "azure", "unheard"}, vectors(PLACES), 8)
    assert set(near) == {"red", "azure"}
    assert near["red"][:2] == ["crimson", "azure"]
    assert near["azure"][0] == "blue"
    assert "red" not in near["red"]


def test_no_more_than_some_neighbours(augment):
    assert augment.neighbours({"red"}, vectors(PLACES), 1) == {"red": ["crimson"]}


NEAR = {"red": ["crimson"], "blue": ["azure"]}


def test_words_are_replaced_or_left_out(augment):
    text = ["red", "and", "blue"]
    chance = random.Random(0)
    assert augment.changed(text, NEAR, chance, replace=0, drop=0) == text
    assert augment.changed(text, NEAR, chance, replace=1, drop=0) == ["crimson", "and", "azure"]
    assert augment.changed(text, NEAR, chance, replace=0, drop=1) == []
    found = [augment.changed(["red"] * 10, NEAR, chance, replace=0.3, drop=0.1) for _ in range(300)]
    words = [word for made in found for word in made]
    assert words.count("crimson") / 3000 == pytest.approx(0.3, abs=0.03)
    assert len(words) / 3000 == pytest.approx(0.9, abs=0.03)


def test_two_texts_meet_at_a_word_they_share(augment):
    texts = [["who", "wrote", "the", "song"], ["how", "long", "is", "the", "river"], ["why"]]
    places = augment.occurrences(texts)
    assert [place for _, place in places["the"]] == [2, 3]
    chance = random.Random(0)
    made = {tuple(augment.spliced(texts[0], places, chance)) for _ in range(100)}
    assert made == {tuple(texts[0]), ("who", "wrote", "the", "river")}
    assert augment.spliced(texts[2], places, chance) == ["why"]
    assert augment.spliced([], places, chance) == []


def test_the_command(augment, tmp_path, write_jsonl):
    rows = write_jsonl(
        tmp_path / "rows.jsonl",
        [{"text": f"What is the river number {n} near the town?", "label": "x"} for n in range(20)],
    )
    out = tmp_path / "more.jsonl.gz"
    augment.main([str(rows), "-o", str(out), "--each", "5"], standalone_mode=False)
    with gzip.open(out, "rt", encoding="utf-8") as stream:
        made = [json.loads(line) for line in stream]
    texts = [row["text"] for row in made]
    assert 50 < len(texts) == len(set(texts)) <= 100
    assert all(set(row) == {"text"} for row in made)
    assert not [text for text in texts if text == "what is the river number 3 near the town ?"]

    both = tmp_path / "both.jsonl.gz"
    options = ["--splice", "1", "--replace", "0", "--drop", "0"]
    augment.main([str(rows), "-o", str(both), *options], standalone_mode=False)
    with gzip.open(both, "rt", encoding="utf-8") as stream:
        spliced = [json.loads(line)["text"].split() for line in stream]
    known = [f"what is the river number {n} near the town ?".split() for n in range(20)]
    pairs = {pair for text in known for pair in itertools.pairwise(text)}
    assert {pair for text in spliced for pair in itertools.pairwise(text)} <= pairs
    assert spliced  # from one "the" to the other

    less = tmp_path / "less.jsonl.gz"
    options = ["--each", "5", "--against", str(out)]
    augment.main([str(rows), "-o", str(less), *options], standalone_mode=False)
    with gzip.open(less, "rt", encoding="utf-8") as stream:
        assert stream.read() == ""
