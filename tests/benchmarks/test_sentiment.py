"""Training rows of the package's model, and its behaviour tests."""

from __future__ import annotations

import gzip
import json
import random
from types import SimpleNamespace

import pytest


@pytest.fixture
def data(script):
    return script("sentiment_rows")


@pytest.fixture
def made(script):
    return script("made_rows")


@pytest.fixture
def judging(script):
    return script("sentiment")


@pytest.fixture
def cases(script):
    return script("sentiment_cases")


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


REVIEWS = [f"Review {n}: " + " ".join(f"word{n}of{at}" for at in range(8)) for n in range(4)]
SETS = {
    "sst2/train": [("a gorgeous and witty movie", "positive"), ("dull , slow and sad", "negative")],
    "sst2/phrases": [("never bores anybody at all", "positive"), ("so very dull", "negative")],
    "sst2/dev": [("it is a fine film to see", "positive")],
    "sst2/test": [("a seductive movie that never bores anybody at all .", "positive")],
    "mr/train": [("A Gorgeous, and witty movie!", "1"), ("it is a fine film , to see", "1")],
    "mr/dev": [("not much to see in here", "0")],
    "mr/test": [("nothing at all to look at", "0")],
    "imdb/train": [(text, "0") for text in REVIEWS],
    "imdb/test": [(REVIEWS[3], "1")],
    "imdb/unlabelled": [("One may see it twice or not. A second one is in here.", None)],
    "trec/train": [("What is the capital of France ?", "LOC")],
    "vader_movie/all": [("A seductive movie that never bores anybody at all", 2.0)],
    "vader_nyt/all": [("The council met on Monday in a hall", 0.0)],
    "vader_amazon/all": [(f"thing number {n} is one that I like", 2.5) for n in range(40)],
    "vader_tweets/all": [(f"tweet number {n} is about the rain", -0.5) for n in range(40)],
}


@pytest.fixture
def folder(tmp_path, data, monkeypatch):
    """A folder of sets, and a list of their checksums."""
    import hashlib

    files = {}
    for name, rows in SETS.items():
        path = tmp_path / "sets" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({"text": text} if label is None else {"text": text, "label": label})
            for text, label in rows
        ]
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
        files[f"{name}.jsonl.gz"] = hashlib.sha256(path.read_bytes()).hexdigest()
    listed = tmp_path / "data.json"
    listed.write_text(json.dumps({"files": files}))
    monkeypatch.setattr(data, "LIST", listed)
    monkeypatch.setattr(data, "_REVIEWS", 1)
    return tmp_path / "sets"


def test_the_training_rows(data, folder, tmp_path):
    out = tmp_path / "out"
    data.main([str(folder), "-o", str(out)], standalone_mode=False)
    short = read(out / "short.jsonl.gz")
    texts = [row["text"] for row in short]
    assert texts[:2] == ["a gorgeous and witty movie", "dull , slow and sad"]
    assert "A Gorgeous, and witty movie!" not in texts  # there already
    assert "it is a fine film , to see" not in texts  # in dev
    assert not [text for text in texts if "bores" in text]  # on test: a phrase, and a snippet
    assert "so very dull" in texts
    (council,) = (row for row in short if "council" in row["text"])
    assert council["probs"] == {"negative": 0.5, "positive": 0.5}

    tested = {row["text"] for name in data.TESTED for row in read(out / f"{name}.jsonl.gz")}
    assert tested
    assert not [text for text in tested if text.startswith("tweet")]  # none of them is clear
    for file in ("short", "dev", "dev-short", "sentences"):
        assert not tested & {row["text"] for row in read(out / f"{file}.jsonl.gz")}
    assert [row["label"] for row in read(out / "mr.jsonl.gz")] == ["negative"]

    reviews, dev = read(out / "reviews.jsonl.gz"), read(out / "dev.jsonl.gz")
    assert len(reviews) == 2
    assert len([row for row in dev if row["text"].startswith("Review")]) == 1
    assert not [row for row in (*reviews, *dev) if row["text"].startswith("Review 3")]
    assert len(read(out / "sentences.jsonl.gz")) == 2
    made = read(out / "made.jsonl.gz")
    assert made[0]["text"] == "What is the capital of France ?"
    faces = [row for row in made if row["text"].split()[-1] in {":)", ":("}]
    council = "The council met on Monday in a hall"
    assert {row["text"] for row in faces} == {":)", ":(", f"{council} :)", f"{council} :("}
    for row in faces:
        assert (row["probs"]["positive"] > 0.9) is row["text"].endswith(":)")


def test_the_rows_are_reproducible(data, folder, tmp_path):
    for name in ("one", "two"):
        data.main([str(folder), "-o", str(tmp_path / name)], standalone_mode=False)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_other_files_are_refused(data, folder, tmp_path):
    import click

    (folder / "mr" / "dev.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(click.ClickException, match=r"dev\.jsonl\.gz: its checksum is not the one"):
        data.main([str(folder), "-o", str(tmp_path / "out")], standalone_mode=False)
    assert not (tmp_path / "out").exists()


def test_probabilities_of_a_score(made):
    assert made.probabilities(0)["positive"] == 0.5
    assert made.probabilities(1)["positive"] == pytest.approx(0.881, abs=1e-3)
    for score in (-4, -0.3, 2.2):
        assert sum(made.probabilities(score).values()) == pytest.approx(1, abs=1e-9)


def test_nonsense_keeps_the_shape_of_words(made):
    found = made.disguised("A Gorgeous, and witty movie!", random.Random(1))
    assert found != "A Gorgeous, and witty movie!"
    assert [character.isalpha() for character in found] == [
        character.isalpha() for character in "A Gorgeous, and witty movie!"
    ]


EXCHANGED = [
    ("He gave her his book.", "She gave his her book."),
    ("the actress and the man", "the actor and the woman"),
    ("a girl's story", "a boy's story"),
    ("nothing of the kind", ""),
    ("the theme, here", ""),
]


@pytest.mark.parametrize(("text", "other"), EXCHANGED)
def test_swapped_genders(made, text, other):
    assert made.exchanged(text) == other


def test_swapped_rows_keep_their_label(made):
    rows = [{"text": "his best", "label": "positive"}, {"text": "so dull", "label": "negative"}]
    assert list(made.swapped(rows)) == [{"text": "her best", "label": "positive"}]


class Fixed:
    """A classifier whose answer is the number in the text."""

    def predict(self, text):
        positive = int(text.rpartition(" ")[2]) / 100
        label = "positive" if positive > 0.7 else "negative" if positive < 0.3 else None
        return SimpleNamespace(label=label, scores={"positive": positive})


JUDGED = [
    ({"text": "a 90", "allowed": ("positive",)}, ""),
    ({"text": "a 50", "allowed": ("positive",)}, "'a 50' is no answer (0.50), not positive"),
    ({"text": "a 50", "allowed": ("negative", "")}, ""),
    ({"text": "a 90", "allowed": ("",)}, "'a 90' is positive (0.90), not no answer"),
    ({"text": "a 50", "other": "b 58", "most": 0.1}, ""),
    ({"text": "a 50", "other": "b 62", "most": 0.1}, "'a 50' 0.50, 'b 62' 0.62"),
    ({"text": "a 50", "other": "b 38", "most": 0.1}, "'a 50' 0.50, 'b 38' 0.38"),
    ({"text": "a 50", "other": "b 99", "most": 0.05, "rising": True}, ""),
    ({"text": "a 50", "other": "b 40", "most": 0.05, "rising": True}, "'a 50' 0.50, 'b 40' 0.40"),
]


@pytest.mark.parametrize(("case", "told"), JUDGED)
def test_judging_one_case(judging, cases, case, told):
    assert judging.failure(Fixed(), cases.Case(**case)) == told


def test_failures_are_counted(judging, cases):
    group = judging.tried(Fixed(), "g", [cases.Case(**case) for case, _ in JUDGED])
    assert (group.group, group.cases, group.failed) == ("g", 9, 5)
    assert len(group.examples) == 5


def test_every_group_has_cases_of_one_kind(cases):
    for name, make in cases.GROUPS.items():
        found = list(make())
        assert len(found) >= 10, name
        assert found == list(make()), name
        for case in found:
            assert bool(case.other) != bool(case.allowed), case
            assert set(case.allowed) <= {"positive", "negative", ""}


CUTS = [
    ("One thing. Another one!  A third?", ["One thing.", "Another one!", "A third?"]),
    ('He said "go." Then he went.', ['He said "go."', "Then he went."]),
    ("It cost 3.50 dollars. ok then", ["It cost 3.50 dollars. ok then"]),
    ("Mr. Smith met J. R. Jones. They left.", ["Mr. Smith met J. R. Jones.", "They left."]),
    ("no end\nnext line\n\n", ["no end", "next line"]),
    ("Wait... What?! (Really.) Yes", ["Wait...", "What?!", "(Really.)", "Yes"]),
    ("Mr.\nSmith", ["Mr.", "Smith"]),
    ("  ", []),
]


@pytest.mark.parametrize(("text", "expected"), CUTS, ids=[text[:20] for text, _ in CUTS])
def test_a_text_is_cut_into_sentences(data, text, expected):
    assert list(data.sentences(text)) == expected
