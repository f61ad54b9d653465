"""Near duplicates of test texts are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from textgate.rows import read_rows

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "default_model" / "overlap.py"
SETS = ROOT.parent / "shared" / "data"


@pytest.fixture
def overlap(script):
    return script("overlap")


SAME = [
    ("It's GOOD -- really.", "it 's good , really"),
    ("I don't care", "i do n't care"),
    ("Am\u00e9lie \u2019s caf\u00e9", "amelie's cafe"),
    ("good ( or bad ) and/or", "good -lrb- or bad -rrb- and\\/or"),
]


@pytest.mark.parametrize(("text", "other"), SAME)
def test_the_same_words(overlap, text, other):
    assert overlap.words(text) == overlap.words(other)


TESTED = "a gorgeous , witty , seductive movie that never bores anybody ."
LIKE = [
    ("A gorgeous, witty, seductive movie that never bores anybody!", True),
    ("a gorgeous witty seductive movie", True),  # a phrase out of it
    ("it was a gorgeous witty seductive movie", True),  # three pieces of five
    ("it was quite a gorgeous witty seductive movie and long and dull and slow and sad", False),
    ("some say that this gorgeous witty seductive movie is long", False),  # two pieces of eight
    ("A long story begins here, then comes a gorgeous, witty, seductive movie that bores", True),
    ("movie seductive witty gorgeous", False),
    ("No.", True),  # too short for a piece
]


@pytest.mark.parametrize(("text", "expected"), LIKE)
def test_too_similar_texts(overlap, text, expected):
    assert overlap.Kept([TESTED, "no"]).resembles(text) is expected


LONG = "the film is one of the best of its year and everybody in it is as good as can be ."


def test_a_part_of_a_long_text_may_be_used(overlap):
    kept = overlap.Kept([LONG], parts=False)
    assert not kept.resembles("one of the best of its year")
    assert kept.resembles(LONG.removesuffix("as good as can be .") + "bad, and that is that")
    assert overlap.Kept([LONG]).resembles("one of the best of its year")


def test_no_text_resembles_nothing(overlap):
    assert not overlap.Kept([]).resembles("a gorgeous , witty , seductive movie")
    assert not overlap.Kept(["", "no"]).resembles("a gorgeous , witty , seductive movie")


def test_the_command_counts(tmp_path, write_jsonl):
    train = write_jsonl(
        tmp_path / "train.jsonl",
        [{"text": TESTED.upper(), "label": "x"}, {"text": "Something else.", "label": "y"}],
    )
    test = write_jsonl(tmp_path / "test.jsonl", [{"text": TESTED, "label": "x"}])
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "benchmarks" / "default_model" / "overlap.py",
            train,
            "--against",
            test,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == (f"line 1: {TESTED.upper()}\n1 of 2 rows are too much like another\n")


def test_one_snippet_in_two_collections(overlap):
    if not SETS.is_dir():
        pytest.skip(f"no {SETS}: the same is shown by the rows above")
    snippets = read_rows(SETS / "vader_movie/all.jsonl.gz", labelled=False)
    kept = overlap.Kept(row.text for row in snippets)
    sentences = list(read_rows(SETS / "sst2/test.jsonl.gz", labelled=False))
    found = sum(kept.resembles(row.text) for row in sentences)
    # The notes of the sets count 1,798 of 1,821, and 1,428 that are equal letter by letter.
    assert 1_798 <= found < len(sentences) == 1_821
