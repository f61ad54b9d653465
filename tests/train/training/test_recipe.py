"""Default recipe: its settings for given rows, and its notes."""

from __future__ import annotations

import numpy as np
import pytest

from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN
from textgate.rows import Columns, Row
from textgate.train import fit
from textgate.train.preparation import Sources, prepare
from textgate.train.text.subwords import split_words
from textgate.train.text.vectors import Vectors, load_vectors
from textgate.train.training.presets import RECIPE, preset
from textgate.train.training.progress import Progress
from textgate.train.training.recipe import Choice, Recipe, recommend
from textgate.train.training.settings import format_setting

ENGLISH = split_words("The film was good and we didn't want it to end because it's about people")
FOREIGN = {
    "German": "Der Film war leider eine große Enttäuschung für uns alle. Die Schauspieler haben "
    "sich bemüht, aber die Geschichte ist langweilig und viel zu lang.",
    "French": "Le film était malheureusement une grande déception pour nous tous. Les acteurs ont "
    "fait de leur mieux, mais l'histoire est ennuyeuse et beaucoup trop longue.",
    "Spanish": "La película fue por desgracia una gran decepción para todos nosotros. Los actores "
    "se esforzaron, pero la historia es aburrida y demasiado larga.",
    "Dutch": "De film was helaas een grote teleurstelling voor ons allemaal. De acteurs deden hun "
    "best, maar het verhaal is saai en veel te lang.",
    "Italian": "Il film è stato purtroppo una grande delusione per tutti noi. Gli attori si sono "
    "impegnati, ma la storia è noiosa e troppo lunga.",
    "Chinese": "这部电影让我们大家都很失望。演员们很努力、但是故事太长、也太无聊。",
}


def rows(words, *, count=100, labels=2, lengths=(10,)):
    """Rows of the words, over and over."""
    return [
        Row(
            " ".join((words * 400)[line : line + lengths[line % len(lengths)]]),
            (f"l{line % labels}",),
            line,
        )
        for line in range(count)
    ]


def vectors(words, *, dims=100):
    matrix = np.zeros((len(words), dims), dtype=np.float32)
    return Vectors({word: row for row, word in enumerate(words)}, matrix, "some")


def recipe(given, *, known=None, task="single-label"):
    labels = sorted({label for row in given for label in row.labels})
    return recommend(given, labels, task=task, vectors=known)


def reason(found, name):
    """The line about a setting."""
    (line,) = [line for line in found.notes(()) if name in line.partition(":")[0]]
    return line


# How much of a text is read

LENGTHS = [
    # words of the texts, tokens, what is said
    ((10,), 64, "half of the texts have 10 tokens or fewer, 98% at most 10"),
    ((51,), 64, "half of the texts have 51 tokens or fewer, 98% at most 51"),
    ((52,), 80, "half of the texts have 52 tokens or fewer, 98% at most 52"),
    ((100,), 128, "half of the texts have 100 tokens or fewer, 98% at most 100"),
    ((10, 10, 200), 256, "half of the texts have 10 tokens or fewer, 98% at most 200"),
    ((10,) * 99 + (300,), 64, "half of the texts have 10 tokens or fewer, 98% at most 10"),
    ((350,), 448, "half of the texts have 350 tokens or fewer, 98% at most 350"),
    ((1500,), 1024, "half of the texts have 1500 tokens or fewer, 98% at most 1,500"),
]


@pytest.mark.parametrize(("lengths", "tokens", "said"), LENGTHS)
def test_how_much_is_read(lengths, tokens, said):
    found = recipe(rows(ENGLISH, lengths=lengths))
    assert found.settings["max_tokens"] == tokens
    assert reason(found, "max_tokens") == f"max_tokens {tokens:,}: {said}"


def test_words_are_counted_as_the_tokenizer_splits_them():
    found = recipe([Row("don't!!! " * 12, (label,), 1) for label in ("a", "b")])
    assert "98% at most 60" in reason(found, "max_tokens")


def test_without_spaces_every_character_counts():
    found = recipe([Row("房间里一股发霉的味道" * 10, (label,), 1) for label in ("a", "b")])
    assert "98% at most 100" in reason(found, "max_tokens")


def test_no_more_of_a_text_is_looked_at_than_is_ever_read():
    found = recipe([Row("x " * 500_000, (label,), 1) for label in ("a", "b")])
    assert f"98% at most {1024 * CHARACTERS_PER_TOKEN // 2:,}" in reason(found, "max_tokens")


def test_of_many_rows_some_are_looked_at():
    found = recipe(rows(ENGLISH, count=20_000, lengths=(10, 10, 10, 90)))
    assert found.settings["max_tokens"] in (64, 128)  # which of them, the places decide


# How long, and with which branch

PASSES = [
    # rows, labels, epochs
    (100, 2, 30),
    (2_333, 2, 30),
    (7_000, 2, 10),
    (7_000, 3, 20),  # more than two labels take longer
    (7_000, 9, 20),
    (14_000, 77, 10),
    (40_000, 2, 8),
    (40_000, 20, 8),
    (140_000, 2, 5),  # so many rows tell enough in fewer
    (140_000, 20, 5),
    (400_000, 2, 4),
]


@pytest.mark.parametrize(("count", "labels", "epochs"), PASSES)
def test_how_often_the_rows_are_gone_through(count, labels, epochs):
    some = rows(ENGLISH, count=labels, labels=labels)  # the same ones again and again
    found = recipe((some * count)[:count])
    assert found.settings["epochs"] == epochs
    assert reason(found, "epochs") == f"epochs {epochs}: {count:,} rows with {labels} labels"


def test_texts_without_labels_are_no_rows():
    given = rows(ENGLISH)
    found = recommend(given, ["a"], task="multi-label", vectors=None, unlabelled=["x"] * 50)
    assert reason(found, "epochs") == "epochs 30: 150 rows and texts with one label"


@pytest.mark.parametrize("labels", [3, 8, 60])
def test_more_than_two_labels_are_read_for_in_both_directions(labels):
    found = recipe(rows(ENGLISH, labels=labels))
    assert found.settings["bidirectional"] is True
    assert reason(found, "bidirectional") == (
        f"bidirectional yes: better with {labels} labels; only a network with --one-directional "
        "can stream"
    )


@pytest.mark.parametrize("labels", [1, 2])
def test_two_are_not_so_that_the_network_can_stream(labels):
    assert "bidirectional" not in recipe(rows(ENGLISH, labels=labels)).settings
    assert not preset(RECIPE).bidirectional


@pytest.mark.parametrize("labels", [2, 5, 8])
def test_few_labels_have_a_column_each(labels):
    found = recipe(rows(ENGLISH, labels=labels))
    assert (found.settings["linear_size"], found.settings["linear_buckets"]) == (labels, 65_536)
    assert reason(found, "linear_size") == (
        f"linear_size {labels}, linear_buckets 65,536: a linear branch over words and bigrams with "
        f"a column for each of {labels} labels"
    )


@pytest.mark.parametrize("labels", [9, 60])
def test_many_labels_are_compressed(labels):
    found = recipe(rows(ENGLISH, labels=labels))
    assert found.settings["linear_size"] == 32
    assert found.settings["linear_buckets"] < 65_536
    assert f"{labels} labels compressed to 32" in reason(found, "linear_size")


# Vectors


def test_vectors_of_the_texts_language_are_used():
    found = recipe(rows(ENGLISH), known=vectors(ENGLISH))
    assert "vectors" not in found.settings
    assert found.settings["embedding_size"] == 100
    assert reason(found, "embedding_size") == (
        "embedding_size 100: the vectors some cover 100% of the words in the texts"
    )


@pytest.mark.parametrize(("dims", "size"), [(25, 25), (100, 100), (300, 100)])
def test_the_embedding_is_no_wider_than_the_vectors(dims, size):
    found = recipe(rows(ENGLISH), known=vectors(ENGLISH, dims=dims))
    assert found.settings["embedding_size"] == size


@pytest.mark.parametrize(
    ("known", "used"),
    [(ENGLISH, True), (ENGLISH[:13], True), (ENGLISH[:12], False), (["x"], False)],
)
def test_running_words_count(known, used):
    given = rows(ENGLISH, lengths=(len(ENGLISH),))
    found = recipe(given, known=vectors(known))
    assert ("vectors" not in found.settings) == used
    if not used:
        fraction = len([word for word in ENGLISH if word in known]) / len(ENGLISH)
        said = f"vectors none: the vectors some cover {fraction:.0%} of the words in the texts"
        assert reason(found, "vectors") == said


def test_english_vectors_are_for_english_texts():
    found = recipe(rows(ENGLISH), known=load_vectors("english"))
    assert "vectors" not in found.settings
    assert found.settings["embedding_size"] == 100


@pytest.mark.parametrize("language", FOREIGN)
def test_and_for_no_others(language):
    given = [Row(FOREIGN[language], (label,), 1) for label in ("a", "b")]
    assert recipe(given, known=load_vectors("english")).settings["vectors"] == "none"


def test_texts_without_a_word():
    blank = [Row(" ", ("a",), 1), Row("", ("b",), 2)]
    assert recipe(blank, known=vectors(ENGLISH)).settings["vectors"] == "none"


def test_without_vectors_nothing_is_said_of_them():
    found = recipe(rows(ENGLISH))
    assert not {"vectors", "embedding_size"} & set(found.settings)


# What somebody decided is not decided


def test_notes_leave_out_what_was_given():
    found = Recipe((Choice({"one": 1, "two": 20_000}, "why"), Choice({"three": "x"}, "because")))
    assert found.settings == {"one": 1, "two": 20_000, "three": "x"}
    for given, notes in (
        ((), ["one 1, two 20,000: why", "three x: because"]),
        (("one",), ["two 20,000: why", "three x: because"]),
        (("one", "two"), ["three x: because"]),
        (("three", "other"), ["one 1, two 20,000: why"]),
        (("one", "two", "three"), []),
    ):
        assert found.notes(given) == notes


# What is chosen for German rows with 9 labels, apart from the branch
CHOICES = ["max_tokens", "epochs", "bidirectional", "vectors"]
OVERRIDDEN = [
    # settings that somebody made, what is still said of the branch, and which line is gone
    ({}, "linear_size 32, linear_buckets 16,384, linear_rate 0.005: ", ""),
    ({"linear_size": 0}, "", "linear_size"),
    ({"linear_size": 0, "linear_buckets": 9}, "", "linear_size"),
    ({"linear_size": 16}, "linear_buckets 16,384, linear_rate 0.005: ", "linear_size"),
    ({"linear_buckets": 9}, "linear_size 32, linear_rate 0.005: ", ""),
    ({"linear_rate": 0.1}, "linear_size 32, linear_buckets 16,384: ", ""),
    *(
        ({name: value}, "linear_size 32, linear_buckets 16,384, linear_rate 0.005: ", name)
        for name, value in (
            ("vectors", "none"),
            ("vectors", "english"),
            ("bidirectional", True),
            ("bidirectional", False),
            ("epochs", 3),
            ("max_tokens", 64),
        )
    ),
]


@pytest.mark.parametrize(
    ("given", "branch", "gone"), OVERRIDDEN, ids=[str(c[0]) for c in OVERRIDDEN]
)
def test_nothing_is_said_that_somebody_changed(tmp_path, given, branch, gone):
    words = FOREIGN["German"].split()
    data = [
        Row(f"{' '.join(words[line % 9 :])} {line}", (f"l{line % 9}",), line) for line in range(80)
    ]
    small = {"embedding_size": 8, "hidden_sizes": (6,), "vocabulary_size": 600, "epochs": 1}
    if "epochs" not in given:
        del small["epochs"]
    ready = prepare(Sources(data, data[:9], Columns()), RECIPE, {**small, **given})
    notes = ready.notes
    others = [name for note in notes if not (name := note.partition(" ")[0]).startswith("linear")]
    assert others == [name for name in CHOICES if name != gone]
    of_branch = [note for note in notes if note.startswith("linear")]
    assert len(of_branch) == bool(branch)
    assert all(note.startswith(branch) for note in of_branch)
    if "linear_size" in given:
        assert not any("compressed to 32" in note for note in of_branch)
    for note in notes:  # what is said is so
        for pair in note.partition(": ")[0].split(", "):
            name, value = pair.split(" ")
            assert format_setting(getattr(ready.config, name)) == value


@pytest.mark.parametrize(("given", "said"), [({}, True), ({"class_weights": 0}, False)])
def test_nothing_is_said_of_weights_that_somebody_set(given, said):
    labels = ("b", "a", "a", "a")
    data = [Row(f"{ENGLISH[line % 9]} {line}", (labels[line % 4],), line) for line in range(80)]
    notes = prepare(Sources(data, data[:9], Columns()), RECIPE, given).notes
    assert any(note.startswith("class_weights") for note in notes) == said


@pytest.mark.parametrize("name", ["seed-rnn", "seed-lstm", "seed-gru"])
def test_of_other_presets_nothing_is_said(name):
    sources = Sources(rows(ENGLISH), rows(ENGLISH), Columns())
    assert prepare(sources, name, {}).notes == ()


def test_every_setting_is_one():
    for known in (None, vectors(ENGLISH), vectors(["x"])):
        for labels in (2, 9):
            preset(RECIPE).replace(**recipe(rows(ENGLISH, labels=labels), known=known).settings)


class Listening(Progress):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


SMALL = {"embedding_size": 8, "hidden_sizes": (6,), "vocabulary_size": 600, "epochs": 1}
DEV = {"folds": 0}  # dev rows are held out, however few rows there are


def trained(given, path, *, name=None, **settings):
    listening = Listening()
    done = fit(given, path, preset=name, settings=settings, progress=listening)
    return done.manifest, listening.notes


def test_a_run_says_what_was_chosen(separable, tmp_path):
    manifest, notes = trained(separable(60), tmp_path / "run", **SMALL, **DEV)
    assert [note.partition(": ")[0] for note in notes[-5:-2]] == [
        "max_tokens 64",
        "linear_size 2, linear_buckets 65,536",
        "vectors none",
    ]
    assert (manifest.settings["vectors"], manifest.settings["max_tokens"]) == ("none", 64)
    assert manifest.architecture.linear_size == 2
    assert manifest.settings["epochs"] == 1


def test_a_run_takes_what_it_was_given(separable, tmp_path):
    given = {**SMALL, "max_tokens": 9, "linear_size": 0, "vectors": "none"}
    manifest, notes = trained(separable(60), tmp_path / "run", **given)
    for name, value in given.items():
        assert manifest.settings[name] == (list(value) if isinstance(value, tuple) else value)
        assert not any(name in note.partition(":")[0] for note in notes)
    assert manifest.architecture.linear_buckets == 0


def test_other_presets_are_what_they_are(separable, tmp_path):
    small = {"hidden_sizes": (6, 4), "embedding_size": 4, "epochs": 1}
    manifest, notes = trained(separable(60), tmp_path / "run", name="seed-rnn", **small)
    assert not any(note.startswith(("max_tokens", "linear_size", "vectors")) for note in notes)
    assert manifest.settings == preset("seed-rnn").replace(**small).to_json()
