"""Folds of few rows: spread evenly over the labels, and never split what belongs together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from textgate.errors import ConfigError, DataError
from textgate.rows import Columns, Row
from textgate.train.data.folds import NEVER, Folds, assign_folds
from textgate.train.data.split import split_rows

# Texts of eight words each, of which no two share a word.
DIFFERENT = [" ".join(f"w{number}x{place}" for place in range(8)) for number in range(200)]


def rows_of(*labels: str, texts=DIFFERENT, **extras):
    """A row per label; `extras` give the values of other columns."""
    return [
        Row(
            text, tuple(label.split()), line, extras={name: of[line] for name, of in extras.items()}
        )
        for line, (text, label) in enumerate(zip(texts, labels, strict=False))
    ]


def split(rows, count=5, **options):
    options = {"task": "auto", "dev_fraction": 0.1, "seed": 0, "folds": lambda _: count, **options}
    return split_rows(rows, None, Columns(), **options)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_every_row_is_in_one_fold(count):
    folds = assign_folds(rows_of(*["a", "b"] * 20), count, seed=0)
    assert folds.dtype == np.int64
    assert sorted(set(folds.tolist())) == list(range(count))
    sizes = np.bincount(folds)
    assert sizes.sum() == 40
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(
    "labels",
    [
        ["a"] * 25 + ["b"] * 25,
        ["a"] * 90 + ["b"] * 10,
        ["a"] * 50 + ["b"] * 7 + ["c"] * 5,
        ["a"] * 20 + ["b"] * 20 + ["a b"] * 10 + [""] * 15,  # several labels, or none
    ],
    ids=["balanced", "imbalanced", "three labels", "several labels per row"],
)
def test_the_rows_of_every_combination_of_labels_are_spread_evenly(labels):
    folds = assign_folds(rows_of(*labels), 5, seed=0)
    for combination in set(labels):
        inside = folds[[label == combination for label in labels]]
        counts = np.bincount(inside, minlength=5)
        assert counts.max() - counts.min() <= 1


def test_a_label_with_fewer_rows_than_folds_is_in_different_folds():
    folds = assign_folds(rows_of(*["a"] * 20, "b", "b", "b"), 5, seed=0)
    assert len(set(folds[-3:].tolist())) == 3


def test_many_labels_with_two_rows_each_have_their_rows_in_different_folds():
    labels = [f"l{number // 2}" for number in range(200)]
    folds = assign_folds(rows_of(*labels), 5, seed=0).reshape(-1, 2)
    assert (folds >= 0).all()
    assert (folds[:, 0] != folds[:, 1]).all()
    assert np.bincount(folds.ravel()).tolist() == [40] * 5


LONG = "the quick brown fox jumps over the lazy dog and then runs home to its den in the old wood"
NEAR = [
    ("The quick fox jumps.", "the quick fox jumps"),
    ("WHERE IS MY PARCEL", "where is my parcel?!"),
    ("so-so, really", "so so really"),
    ("order 1234 is late", "order 99 is late"),
    ("stra\u00dfe zum markt", "STRASSE ZUM MARKT"),
    ("same", "same"),
    ("", ""),
    (LONG, LONG.replace("wood", "forest")),
    (LONG, f"{LONG}, as we all know"),
]
FAR = [
    ("the quick fox jumps", "the quick dog jumps"),  # short, so one word is much
    ("good", "bad"),
    ("", "a"),
    ("12", "13"),  # numbers alone
    ("w1 is good", "w2 is good"),
    (LONG, " ".join(reversed(LONG.split()))),
    (LONG, " ".join(LONG.split()[:9])),
]


@pytest.mark.parametrize(("first", "second"), NEAR)
@pytest.mark.parametrize("labels", [("a", "a"), ("a", "b")])
def test_near_duplicates_share_a_fold(first, second, labels):
    texts = [*DIFFERENT[:18], first, second]
    rows = rows_of(*["a", "b"] * 9, *labels, texts=texts)
    for seed in range(8):
        folds = assign_folds(rows, 5, seed=seed)
        assert folds[-1] == folds[-2] >= 0


@pytest.mark.parametrize(("first", "second"), FAR)
def test_other_texts_with_one_label_do_not(first, second):
    rows = rows_of(*["a"] * 18, "b", "b", texts=[*DIFFERENT[:18], first, second])
    folds = assign_folds(rows, 5, seed=0)
    assert folds[-1] != folds[-2]


def test_near_duplicates_of_near_duplicates_share_a_fold():
    words = LONG.split()
    chain = [" ".join([*words[step:], *DIFFERENT[0].split()[:step]]) for step in range(4)]
    folds = assign_folds(
        rows_of(*["a", "b"] * 9, *"abab", texts=[*DIFFERENT[1:19], *chain]), 5, seed=0
    )
    assert len(set(folds[-4:].tolist())) == 1


def test_a_phrase_that_most_rows_share_makes_no_duplicates():
    texts = [f"{text} sent from my phone" for text in DIFFERENT[:100]]
    folds = assign_folds(rows_of(*["a", "b"] * 50, texts=texts), 5, seed=0)
    assert np.bincount(folds).tolist() == [20] * 5


def test_rows_of_one_group_share_a_fold():
    authors = [f"author {number // 4}" for number in range(60)]
    folds = assign_folds(rows_of(*["a", "b"] * 30, by=authors), 5, seed=0, group_field="by")
    assert set(folds.tolist()) == set(range(5))
    for author in authors:
        assert (
            len({fold for fold, by in zip(folds.tolist(), authors, strict=True) if by == author})
            == 1
        )


def test_spaces_around_a_group_do_not_count():
    authors = [name for number in range(10) for name in (f"author {number}", f" author {number} ")]
    folds = assign_folds(rows_of(*["a", "b"] * 10, by=authors), 5, seed=0, group_field="by")
    assert (folds[::2] == folds[1::2]).all()


def test_near_duplicates_join_their_groups():
    texts = [*DIFFERENT[:10], "One, two!", *DIFFERENT[10:19], "one two"]
    groups = ["x", *"abcdefghi", "x", *"jklmnopqr", "y"]
    rows = rows_of(*["p", "n"] * 10, "p", texts=texts, by=groups)
    folds = assign_folds(rows, 3, seed=0, group_field="by")
    assert folds[0] == folds[10] == folds[20]


@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_a_row_without_a_group_is_refused(value, tmp_path, write_jsonl):
    objects = [
        {"text": text, "label": "ab"[index % 2], "by": f"author {index}"}
        for index, text in enumerate(DIFFERENT[:20])
    ]
    objects[6]["by"] = value
    data = write_jsonl(tmp_path / "rows.jsonl", objects)
    with pytest.raises(DataError) as caught:
        split(data, group_field="by")
    assert str(caught.value) == (
        "rows.jsonl, line 7: no group in the column 'by'; fill it in, or leave --group-field out"
    )


@pytest.mark.parametrize(
    ("field", "hint"),
    [("text", ""), ("label", ""), ("Author", " (did you mean 'author'?)"), ("product", "")],
)
def test_a_group_column_that_no_row_has_is_refused(field, hint, tmp_path, write_jsonl):
    objects = [
        {"text": text, "label": "ab"[index % 2], "author": index}
        for index, text in enumerate(DIFFERENT[:20])
    ]
    data = write_jsonl(tmp_path / "rows.jsonl", objects)
    with pytest.raises(DataError) as caught:
        split(data, group_field=field)
    assert str(caught.value) == (
        f"rows.jsonl: no column {field!r} besides those of text and label{hint}; name another one "
        "with --group-field, or leave the option out"
    )


def test_groups_do_not_go_with_dev_rows():
    rows = rows_of(*["a", "b"] * 10, by=["me", "you"] * 10)
    with pytest.raises(ConfigError, match=r"^group_field does not go with --dev, because"):
        split_rows(rows, rows, Columns(), task="auto", dev_fraction=0.1, seed=0, group_field="by")


def test_the_dev_rows_share_no_group_with_the_training_rows():
    authors = [f"author {number // 4}" for number in range(80)]
    found = split(rows_of(*["a", "b"] * 40, by=authors), 0, group_field="by", dev_fraction=0.25)
    assert len(found.dev) == 20
    sides = [{row.extras["by"] for row in side} for side in (found.train, found.dev)]
    assert not sides[0] & sides[1]


def test_the_note_on_dev_rows_names_the_groups():
    found = split(rows_of(*["a", "b", "b", "a"] * 10, by=["me", "you"] * 20), 0, group_field="by")
    (note,) = found.notes
    assert note == (
        "rows: 20 of 40 rows are held out for dev, not 4 (10%): near-duplicates and rows of one "
        "group of 'by' stay together; with --dev FILE you choose them yourself"
    )


@pytest.mark.parametrize(
    ("labels", "texts", "never"),
    [
        (["a", "b"] * 9 + ["c"], DIFFERENT, [18]),  # a single row
        (
            ["a", "b"] * 9 + ["c", "c"],
            [*DIFFERENT[:18], "One two three.", "one two three"],
            [18, 19],
        ),
        (["a", "b"] * 9 + ["a c"], DIFFERENT, [18]),  # also with another label
        (["a", "b"] * 9 + ["c", "a"], [*DIFFERENT[:18], "Yes!", "yes"], [18, 19]),
    ],
    ids=["one row", "near-duplicates", "with another label", "in a group with others"],
)
def test_the_only_text_of_a_label_is_always_trained_on(labels, texts, never):
    folds = assign_folds(rows_of(*labels, texts=texts), 5, seed=0)
    assert np.flatnonzero(folds == NEVER).tolist() == never


def test_texts_with_contradicting_labels_are_measured_together():
    texts = [*DIFFERENT[:18], "fine", "fine"]
    folds = assign_folds(rows_of(*["a", "b"] * 10, texts=texts), 5, seed=0)
    assert folds[18] == folds[19] >= 0


def test_rows_with_soft_labels_alone_are_always_trained_on():
    rows = rows_of(*["a", "b"] * 10)
    soft = [Row(text, (), 30, probabilities=(("a", 0.7), ("b", 0.3))) for text in DIFFERENT[20:24]]
    folds = assign_folds([*rows, *soft], 5, seed=0)
    assert (folds[:20] >= 0).all()
    assert folds[20:].tolist() == [NEVER] * 4
    found = split([*rows, *soft])
    assert (len(found.train), len(found.dev)) == (24, 20)


def test_the_seed_decides_them():
    rows = rows_of(*["a", "b"] * 20)
    folds = [assign_folds(rows, 5, seed=seed).tolist() for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]


def test_few_rows_are_divided_twice():
    for count, repeats in ((150, 2), (151, 1)):
        found = split(rows_of(*["a", "b"] * 100)[:count])
        assert found.folds.repetitions == repeats
        assert len(found.dev) == len(found.train) == count
    first, second = split(rows_of(*["a", "b"] * 20)).folds.assignments
    assert first.tolist() != second.tolist()


def test_the_parts_of_folds():
    first, second = np.array([0, NEVER, 1, 0]), np.array([1, NEVER, 0, 1])
    folds = Folds((first, second))
    assert (folds.count, folds.repetitions, folds.measured.tolist()) == (2, 2, [0, 2, 3])
    zero, one = ([1, 2], [0, 3], [0, 2]), ([0, 1, 3], [2], [1])
    found = [(part.inside, part.held_out, part.positions) for part in folds.parts()]
    assert [tuple(each.tolist() for each in part) for part in found] == [zero, one, one, zero]


def test_dev_has_the_rows_that_are_in_a_fold_in_their_order():
    rows = rows_of("c", *["a", "b"] * 9)
    found = split(rows)
    assert found.train == rows
    assert found.dev == rows[1:]
    assert Counter(found.folds.assignments[0].tolist())[NEVER] == 1


SAME = [f"Please send me the invoice for order {number}" for number in range(10)]
TOO_FEW = [
    (["a", "b"], DIFFERENT, 2),
    (["a"] * 5 + ["b"], [*SAME[:5], "no"], 6),
    (["a", "a", "b"], ["x", "y", "x"], 3),
    (["a", "a", "b"], DIFFERENT, 3),  # the folds would have rows of one label alone
    (["a"] * 30 + ["b", "b"], [*DIFFERENT[:30], *SAME[:2]], 32),
    (["a b"] * 9, DIFFERENT, 9),
]


@pytest.mark.parametrize(("labels", "texts", "count"), TOO_FEW)
def test_rows_without_folds_of_two_labels_are_refused(labels, texts, count):
    with pytest.raises(DataError) as caught:
        split(rows_of(*labels, texts=texts))
    assert str(caught.value) == (
        f"rows: {count} rows with labels cannot be divided into folds: at least two labels need "
        "two texts each that are not near-duplicates; add rows, or give --dev FILE"
    )


def test_rows_in_one_group_are_refused():
    message = "near-duplicates or in one group of 'by'; add rows, choose another --group-field, or"
    with pytest.raises(DataError, match=message):
        split(rows_of(*["a", "b"] * 9, by=["me"] * 18), group_field="by")


UNCOUNTED = "rows: 1 label has only rows that are near-duplicates, so no score counts them: 'c'"


@pytest.mark.parametrize(
    ("labels", "texts", "note"),
    [
        (["a", "b"] * 5, DIFFERENT, ""),
        (
            ["a", "b"] * 5 + ["c"] * 10,
            [*DIFFERENT[:10], *SAME],
            UNCOUNTED,
        ),
        (
            ["a", "b"] * 5 + ["c"],  # another note names a label with a single row
            DIFFERENT,
            "",
        ),
        (
            ["a", "a", "b", "b", *"cdefg"],
            DIFFERENT,
            (
                "rows: 5 of 9 rows with labels are in no fold, so no score counts them: one of "
                "their labels has a single row, or only rows that are near-duplicates"
            ),
        ),
        (
            ["a", "b"] * 5 + ["a c"] * 11,
            [*DIFFERENT[:10], *["Yes!", "yes"] * 5, "YES"],
            UNCOUNTED,
        ),
    ],
)
def test_labels_that_no_score_counts_are_named(labels, texts, note):
    notes = [found for found in split(rows_of(*labels, texts=texts)).notes if "score" in found]
    assert notes == [note] * bool(note)
