"""What is said of the rows before training: counts and an example, nothing where nothing is odd."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Row
from textgate.train import fit
from textgate.train.data.checks import notes
from textgate.train.fit.progress import Progress


def rows_of(*pairs):
    """Rows out of a text, its labels, and a dictionary of soft ones each; lines from 1."""
    rows = []
    for line, (text, *labels) in enumerate(pairs, start=1):
        soft = labels.pop() if labels and isinstance(labels[-1], dict) else {}
        rows.append(Row(text, tuple(labels), line, {}, tuple(soft.items())))
    return rows


def said(rows, dev=()):
    return notes(rows_of(*rows), rows_of(*dev), file="t.csv", dev_file="d.csv")


PLAIN = [("p", "x"), ("q", "y"), ("r", "x"), ("s", "y")]

NOTHING = [
    PLAIN,
    [*PLAIN, ("t", "x", "y"), ("u",), ("v",)],  # several labels, or none
    [*PLAIN, ("p", "x", {"x": 0.5, "y": 0.5}), ("P", "y"), ("p ", "y")],  # not quite equal
    [*PLAIN, ("t", {"x": 0.6, "y": 0.4}), ("t", {"x": 0.4, "y": 0.6})],  # doubts
    [*PLAIN, ("p", {"y": 1.0}), ("u", {"x": 1.0})],
    [(f"x{place}", "x") for place in range(40)] + [("a", "y"), ("b", "y")],  # 20 to 1
    [*PLAIN, ("t", "x", "y"), ("u", "y", "x")],
]


@pytest.mark.parametrize("rows", NOTHING)
def test_nothing_is_odd(rows):
    assert said(rows) == []


def test_of_rows_to_choose_by_nothing_else_is_asked():
    assert said(PLAIN, [("a", "x"), ("b", "y"), ("b", "y"), ("c", "x"), ("c", "y")]) == []


ODD = [
    # labels that look alike
    (
        [*PLAIN, ("t", "X"), ("u", "X"), ("v", "x."), ("w", "x.")],
        (
            "labels look alike: 'X' (2 rows) and 'x' (2 rows) and 'x.' (2 rows); they are learned "
            "as different ones, so if they mean the same, write them in one way"
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
            *((f"x{place}", "x") for place in range(2001)),
            *((f"{label}{place}", label) for label in "yzw" for place in ("1", "2")),
        ],
        (
            "the label 'x' has 2,001 rows and 'w' has 2, 1,000 to 1; a good accuracy says little "
            "of rare labels, macro-F1 does"
        ),
    ),
    (
        [(f"x{place}", "x") for place in range(41)] + [("a", "y"), ("b", "y")],
        "the label 'x' has 41 rows and 'y' has 2, 20 to 1; ",
    ),
]


@pytest.mark.parametrize(("rows", "note"), ODD, ids=[case[1][:40] for case in ODD])
def test_something_is_odd(rows, note):
    [found] = said(rows)
    assert found.startswith(f"t.csv: {note}")
    assert "\n" not in found


OVERLAP = [
    (
        [("a", "x"), ("b", "y"), ("q", "y"), ("p", "y")],
        (
            "the text of 2 rows of 4 is in the training rows too, such as that of line 3 (line 2 "
            "there); scores are too good by them"
        ),
    ),
    ([("p", "x"), ("p", "x")], "the text of 2 rows of 2 is in the training rows too, such as"),
    ([*PLAIN, ("new", "x")], "the text of 4 rows of 5 is in the training rows too"),
    (PLAIN, "the texts are those of the training rows, so scores say nothing of new texts"),
    (PLAIN[::-1], "the texts are those of the training rows, so scores say nothing of new texts"),
    ([("a", "x"), (" ", "y")], "1 row has an empty text, such as line 2"),
]


@pytest.mark.parametrize(("dev", "note"), OVERLAP)
def test_rows_to_choose_by(dev, note):
    [found] = said(PLAIN, dev)
    assert found.startswith(f"d.csv: {note}")


def test_several_notes_come_in_order():
    rows = [("", "x"), ("", "x"), ("b", "y"), ("b", "x"), ("c", "z")]
    starts = ["1 text has", "1 row repeats", "2 rows have an empty", "2 labels have a single row"]
    assert [
        note.partition(": ")[2][: len(start)]
        for note, start in zip(said(rows), starts, strict=True)
    ] == starts


@pytest.mark.parametrize("rows", [[("a", "x")], [("a", "x"), ("a", "y")], [("", "x"), ("", "y")]])
def test_one_text_alone(rows):
    with pytest.raises(DataError) as caught:
        said(rows)
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
    found = said(pairs)
    for words, count in counts.items():
        stated = [int(note.split()[1]) for note in found if words in note]
        assert stated == ([count] if count else [])
    concerned = sum(text in contradictory for text, _ in pairs)
    assert all(f", {concerned} in all" in note for note in found if "in all" in note)


# Where it is said


class Heard(Progress):
    def __init__(self):
        self.messages = []

    def note(self, message):
        self.messages.append(message)


def test_training_says_it_first(separable, quick, tmp_path):
    rows = separable(40)
    heard = Heard()
    fit(
        [*rows, Row(rows[0].text, ("bad",), 41), Row(rows[0].text, ("good",), 42)],
        tmp_path / "run",
        dev=rows[:10],
        settings={**quick, "epochs": 1},
        progress=heard,
    )
    assert [message.partition(",")[0] for message in heard.messages[:3]] == [
        "rows: 1 text has different labels in different rows",
        "rows: 1 row repeats an earlier one",
        "rows: the text of 10 rows of 10 is in the training rows too",
    ]


def test_held_out_rows_are_no_overlap(separable, quick, tmp_path):
    heard = Heard()
    fit(separable(40), tmp_path / "run", settings={**quick, "epochs": 1}, progress=heard)
    assert heard.messages
    assert not [message for message in heard.messages if "scores" in message]


def test_the_command_says_it_on_standard_error(command, separable, tmp_path, write_jsonl):
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(40)]
    path = write_jsonl(tmp_path / "t.jsonl", [*rows, {"text": " ", "label": "odd"}])
    outcome = command("train", path, "-o", tmp_path / "run", "--epochs", 1)
    assert outcome.status == 0
    assert "t.jsonl: 1 row has an empty text, such as line 41\n" in outcome.err
    assert "t.jsonl: 1 label has a single row, too few to learn from: 'odd' on line" in outcome.err


@pytest.mark.parametrize("dev", [False, True])
def test_one_text_alone_is_refused_before_the_run_is_made(separable, quick, tmp_path, dev):
    rows = rows_of(("a", "x"), ("a", "y"), ("a", "x"))
    with pytest.raises(DataError, match="rows: every row has the same text"):
        fit(rows, tmp_path / "run", dev=separable(4) if dev else None, settings=quick)
    assert not (tmp_path / "run").exists()
