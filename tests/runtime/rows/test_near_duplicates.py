"""Near-duplicates: pairs of texts, each once."""

from __future__ import annotations

from textgate.rows.near_duplicates import near_duplicates

LONG = "the quick brown fox jumps over the lazy dog and then runs home to its den in the old wood"


def test_pairs_of_texts():
    texts = ["Where is my parcel?", LONG, "something else", LONG.replace("wood", "forest"), LONG]
    assert sorted(near_duplicates([*texts, "where is my parcel"])) == [
        (0, 5),
        (1, 3),
        (1, 4),
        (3, 4),
    ]


def test_a_text_with_the_same_words_as_several_others_is_paired_with_the_first():
    assert near_duplicates(["a b", "A, b!", "a b 7"]) == [(0, 1), (0, 2)]


def test_no_texts():
    assert near_duplicates([]) == []
