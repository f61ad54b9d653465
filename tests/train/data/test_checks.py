"""Checks of rows: a note with counts and an example for each odd thing, else none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.data.examples import copied, rows_of
from textgate.errors import DataError
from textgate.rows import Columns, Row
from textgate.train import fit
from textgate.train.data.checks import check_held_out, check_rows
from textgate.train.data.holdout import hold_out
from textgate.train.data.split import split_rows


def notes(rows, dev=()):
    return check_rows(rows_of(*rows), rows_of(*dev), file="t.csv", dev_file="d.csv")


PLAIN = [("p", "x"), ("q", "y"), ("r", "x"), ("s", "y")]

NOTHING = [
    PLAIN,
    [*PLAIN, ("t", "x", "y"), ("u",), ("v",)],  # several labels, or none
    [*PLAIN, ("p", "x", {"x": 0.5, "y": 0.5}), ("P", "y"), ("p ", "y")],  # not quite equal
    [*PLAIN, ("t", {"x": 0.6, "y": 0.4}), ("t", {"x": 0.4, "y": 0.6})],  # doubts
    [*PLAIN, ("p", {"y": 1.0}), ("u", {"x": 1.0})],
    [(f"x{index}", "x") for index in range(40)] + [("a", "y"), ("b", "y")],  # 20 to 1
    [*PLAIN, ("t", "x", "y"), ("u", "y", "x")],
]


@pytest.mark.parametrize("rows", NOTHING)
def test_nothing_is_odd(rows):
    assert notes(rows) == []


def test_dev_rows_have_no_other_checks():
    assert notes(PLAIN, [("a", "x"), ("b", "y"), ("b", "y"), ("c", "x"), ("c", "y")]) == []


ODD = [
    # labels that look alike
    (
        [*PLAIN, ("t", "X"), ("u", "X"), ("v", "x."), ("w", "x.")],
        (
            "labels look alike: 'X' (2 rows) and 'x' (2 rows) and 'x.' (2 rows); they are learned "
            "as different labels, so if they mean the same, write them the same way"
        ),
    ),
    (
        [*PLAIN, ("t", "1"), ("u", "1.0"), ("v", "1"), ("w", "1.0"), ("a", "Y"), ("b", "Y")],
        "labels look alike: 'Y' (2 rows) and 'y' (2 rows), '1' (2 rows) and '1.0' (2 rows); they",
    ),
    # labels that look joined
    (
        [*PLAIN, ("t", "x;y"), ("u", "x;y")],
        "labels look joined: 3 different ones, such as 'x;y', are made of 2 with ';' between them",
    ),
    # contradictions
    (
        [*PLAIN, ("q", "x")],
        "1 text has different labels in different rows, 2 in all, such as lines 2 and 5",
    ),
    (
        [("a", "x"), ("b", "y"), ("b", "x"), ("b", "z"), ("a", "y"), ("c", "z")],
        "2 texts have different labels in different rows, 5 in all, such as lines 2 and 3",
    ),
    (
        [*PLAIN, ("p", "x", "y")],
        "1 text has different labels in different rows, 2 in all, such as lines 1 and 5",
    ),
    ([*PLAIN, ("p",)], "1 text has different labels in different rows, 2 in all, such as lines"),
    # repetitions
    (
        [*PLAIN, ("q", "y")],
        "1 row repeats an earlier one, text and label, such as line 5, which repeats line 2",
    ),
    (
        [*PLAIN, ("t", "x", "y"), ("t", "y", "x"), ("q", "y"), ("q", "y")],
        "3 rows repeat an earlier one, text and label, such as line 6, which repeats line 5",
    ),
    (
        [*PLAIN, ("t", {"x": 1.0}), ("t", {"x": 1.0})],
        "1 row repeats an earlier one, text and label, such as line 6, which repeats line 5",
    ),
    # empty texts
    ([*PLAIN, ("", "x")], "1 row has an empty text, such as line 5"),
    ([("\t\u2003", "x"), *PLAIN, ("\n", "y")], "2 rows have an empty text, such as line 1"),
    # labels with one row
    ([*PLAIN, ("t", "z")], "1 label has a single row, too few to learn from: 'z' on line 5"),
    ([*PLAIN, ("t", {"x": 0.4, "z": 0.6})], "1 label has a single row, too few to learn from: 'z'"),
    (
        [*PLAIN, *((f"t{name}", name) for name in "zabcd")],
        (
            "5 labels have a single row, too few to learn from: 'z' on line 5, 'a' on line 6, "
            "'b' on line 7 and 2 more"
        ),
    ),
    # imbalance
    (
        [
            *((f"x{index}", "x") for index in range(2001)),
            *((f"{label}{index}", label) for label in "yzw" for index in ("1", "2")),
        ],
        (
            "the label 'x' has 2,001 rows and 'w' has 2, 1,000 to 1; accuracy says little about "
            "rare labels, macro-F1 does"
        ),
    ),
    (
        [(f"x{index}", "x") for index in range(41)] + [("a", "y"), ("b", "y")],
        "the label 'x' has 41 rows and 'y' has 2, 20 to 1; ",
    ),
]


@pytest.mark.parametrize(("rows", "note"), ODD, ids=[case[1][:40] for case in ODD])
def test_something_is_odd(rows, note):
    [found] = notes(rows)
    assert found.startswith(f"t.csv: {note}")
    assert "\n" not in found


OVERLAP = [
    (
        [("a", "x"), ("b", "y"), ("q", "y"), ("p", "y")],
        (
            "the text of 2 rows of 4 is also in the training rows, such as that of line 3 (line 2 "
            "there); this makes the scores too high"
        ),
    ),
    ([("p", "x"), ("p", "x")], "the text of 2 rows of 2 is also in the training rows, such as"),
    ([*PLAIN, ("new", "x")], "the text of 4 rows of 5 is also in the training rows"),
    (PLAIN, "the texts are those of the training rows, so scores say nothing about new texts"),
    (
        PLAIN[::-1],
        "the texts are those of the training rows, so scores say nothing about new texts",
    ),
    ([("a", "x"), (" ", "y")], "1 row has an empty text, such as line 2"),
]


@pytest.mark.parametrize(("dev", "note"), OVERLAP)
def test_dev_rows(dev, note):
    found, *_ = notes(PLAIN, dev)
    assert found.startswith(f"d.csv: {note}")


def test_several_notes_come_in_order():
    rows = [("", "x"), ("", "x"), ("b", "y"), ("b", "x"), ("c", "z")]
    starts = ["1 text has", "1 row repeats", "2 rows have an empty", "2 labels have a single row"]
    assert [
        note.partition(": ")[2][: len(start)]
        for note, start in zip(notes(rows), starts, strict=True)
    ] == starts


@pytest.mark.parametrize("rows", [[("a", "x")], [("a", "x"), ("a", "y")], [("", "x"), ("", "y")]])
def test_one_text_alone(rows):
    with pytest.raises(DataError) as caught:
        notes(rows)
    assert str(caught.value) == (
        "t.csv: every row has the same text, so there is nothing to learn from"
    )


PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz")), max_size=30)


@given(PAIRS)
def test_the_counts_are_right(pairs):
    if len({text for text, _ in pairs}) == 1:
        return
    labels_of = {text: {label for t, label in pairs if t == text} for text, _ in pairs}
    contradictory = {text for text, labels in labels_of.items() if len(labels) > 1}
    counts = {
        "different labels": len(contradictory),
        "an earlier one": sum(count - 1 for count in Counter(pairs).values()),
        "a single row": list(Counter(label for _, label in pairs).values()).count(1),
    }
    found = notes(pairs)
    for words, count in counts.items():
        stated = [int(note.split()[1]) for note in found if words in note]
        assert stated == ([count] if count else [])
    concerned = sum(text in contradictory for text, _ in pairs)
    assert all(f", {concerned} in all" in note for note in found if "in all" in note)


# Held-out rows

HELD_OUT = [
    (copied((50, 1, "a"), (50, 1, "b")), ""),
    (copied((50, 6, "a"), (50, 6, "b")), ""),
    (list(copied(*((5, 1, f"l{number}") for number in range(77)))), ""),
    (
        copied((2, 100, "a"), (1, 100, "b")),
        (
            "f: all rows held out for dev have the label 'a', so their scores say nothing about "
            "the other labels; with --dev FILE you choose them yourself"
        ),
    ),
    (
        copied((2, 100, "a"), (2, 100, "b")),
        (
            "f: 200 of 400 rows are held out for dev, not 40 (10%): they have only 4 different "
            "texts, rows with the same text stay together, and texts with different labels stay in "
            "the training rows; with --dev FILE you choose them yourself"
        ),
    ),
    (
        rows_of(
            *((f"t{number}", f"l{number}") for number in range(88)),
            *(("x", "a"), ("y", "a"), ("z", "b"), ("zz", "b")),
        ),
        (
            "f: 2 of 92 rows are held out for dev, not 9 (10%): a label, or a combination of "
            "labels, with a single row is not held out; with --dev FILE you choose them yourself"
        ),
    ),
]


@pytest.mark.parametrize(("data", "note"), HELD_OUT, ids=[case[1] for case in HELD_OUT])
def test_a_note_if_the_held_out_rows_are_not_what_was_asked_for(data, note):
    _, dev = hold_out(data, 0.1, seed=0)
    assert check_held_out(data, dev, 0.1, file="f") == note


@pytest.mark.parametrize(
    ("dev", "found"),
    [
        ([("a", "x"), ("b", "x")], "the label 'x'"),
        ([("a", "y")], "the label 'y'"),
        ([("a", "x", "y"), ("b", "x", "y")], "the label 'x', 'y'"),
        ([("a",), ("b",)], "no label"),
        ([("a", "x"), ("b", "y")], ""),
    ],
)
def test_a_note_if_all_given_dev_rows_have_one_label(dev, found):
    told = f"d.csv: all rows have {found}, so their scores say nothing about the other labels"
    assert notes(PLAIN, dev) == ([told] if found else [])


def test_the_note_is_one_of_the_split():
    split = split_rows(
        copied((2, 100, "a"), (1, 100, "b")),
        None,
        Columns(),
        task="auto",
        dev_fraction=0.1,
        seed=0,
    )
    assert split.notes[-1].startswith("rows: all rows held out for dev have the label 'a'")


NONE_HELD_OUT = [
    (
        copied((1, 30, "a"), (1, 30, "b")),
        (
            "f: the 60 rows with labels have only 2 different texts, and no label has a second "
            "text that could be held out for dev; give --dev FILE with other texts"
        ),
    ),
    (
        copied((1, 5, "a")) + copied((1, 5, "b")),
        (
            "f: the 10 rows with labels have only one text, and no label has a second text that "
            "could be held out for dev; give --dev FILE with other texts"
        ),
    ),
    (
        copied((1, 1, "a"), (1, 1, "b")),
        "f: 2 rows with labels are too few to hold some out for dev; give --dev",
    ),
    (
        rows_of(*((f"t{number}", {"a": 1.0}) for number in range(9))),
        "f: 0 rows with labels are too few to hold some out for dev; give --dev",
    ),
]


@pytest.mark.parametrize(("data", "message"), NONE_HELD_OUT)
def test_why_no_row_is_held_out(data, message):
    train, dev = hold_out(data, 0.1, seed=0)
    assert (len(train), dev) == (len(data), [])
    with pytest.raises(DataError) as caught:
        check_held_out(data, dev, 0.1, file="f")
    assert str(caught.value) == message


def test_held_out_rows_need_a_label():
    """A row without a label can be right, but rows without labels alone measure nothing."""
    data = rows_of(*((f"t{number}", *(["x"] if number == 7 else [])) for number in range(40)))
    _, dev = hold_out(data, 0.1, seed=0)
    message = (
        "f: none of the 4 rows held out for dev has a label, because a label with a single row"
    )
    with pytest.raises(DataError, match=message):
        check_held_out(data, dev, 0.1, file="f")


# Where the notes appear


def test_training_begins_with_them(separable, quick, hearing, tmp_path):
    rows = separable(40)
    heard = hearing()
    fit(
        [*rows, Row(rows[0].text, ("bad",), 41), Row(rows[0].text, ("good",), 42)],
        tmp_path / "run",
        dev=rows[:10],
        settings={**quick, "epochs": 1},
        progress=heard,
    )
    assert [message.partition(",")[0] for message in heard.notes[:3]] == [
        "rows: 1 text has different labels in different rows",
        "rows: 1 row repeats an earlier one",
        "rows: the text of 10 rows of 10 is also in the training rows",
    ]


def test_held_out_rows_are_no_overlap(separable, quick, hearing, tmp_path):
    heard = hearing()
    fit(separable(40), tmp_path / "run", settings={**quick, "epochs": 1}, progress=heard)
    assert heard.notes
    assert not [message for message in heard.notes if "scores" in message]


@pytest.mark.parametrize("dev", [False, True])
def test_one_text_alone_is_refused_before_the_run_is_made(separable, quick, tmp_path, dev):
    rows = rows_of(("a", "x"), ("a", "y"), ("a", "x"))
    with pytest.raises(DataError, match="rows: every row has the same text"):
        fit(rows, tmp_path / "run", dev=separable(4) if dev else None, settings=quick)
    assert not (tmp_path / "run").exists()
