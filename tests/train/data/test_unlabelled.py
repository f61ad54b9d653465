"""Texts without labels: read from any file, as often as needed, without keeping them."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest

from textgate.errors import ConfigError, DataError
from textgate.rows import Row
from textgate.train import Columns
from textgate.train.data.unlabelled import Unlabelled, letters

FILES = {
    "a.txt": "Fine.\nAwful!\n",
    "a.jsonl": '{"text": "Fine.", "label": "x"}\n{"text": "Awful!", "label": 7}\n',
    "a.csv": "text,label\nFine.,x\nAwful!,\n",
    "a.tsv": "label\ttext\nx\tFine.\n\tAwful!\n",
}


@pytest.mark.parametrize("name", [*FILES, *(f"{name}.gz" for name in FILES)])
def test_any_format_without_its_labels(tmp_path, name):
    content = FILES[name.removesuffix(".gz")].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    found = Unlabelled([tmp_path / name], Columns(), [])
    assert list(found) == list(found) == ["Fine.", "Awful!"]
    assert len(found) == 2
    (summary,) = found.summaries
    assert (summary.file, summary.rows) == (name, 2)


def test_a_given_format_is_for_file_names_without_one(tmp_path):
    (tmp_path / "a.rows").write_text(FILES["a.csv"], encoding="utf-8")
    (tmp_path / "a.txt").write_text(FILES["a.txt"], encoding="utf-8")
    paths = [tmp_path / "a.rows", tmp_path / "a.txt"]
    assert list(Unlabelled(paths, Columns(format="csv"), [])) == ["Fine.", "Awful!"] * 2
    with pytest.raises(ConfigError, match="the name tells no format"):
        Unlabelled(paths, Columns(), [])


def test_no_files():
    nothing = Unlabelled([], Columns(), [Row("a", ("x",), 1)])
    assert (len(nothing), list(nothing), nothing.summaries, nothing.notes) == (0, [], (), ())


def test_empty_texts_and_texts_of_dev_are_left_out_and_counted(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("GOOD, film\nnew\n\n  \nnice\ngoodfilm \n:-)\n:-(\n", encoding="utf-8")
    dev = [Row("A... good? no", ("x",), 1), Row("good film!", ("x",), 2), Row(":-)", ("x",), 3)]
    found = Unlabelled([path], Columns(), dev)
    assert list(found) == ["new", "nice", ":-("]
    (note,) = found.notes
    assert note == (
        "more.txt: 3 texts for the teachers to label; left out: 2 texts that are empty, 3 texts "
        "that are in the dev rows"
    )


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("It's GOOD.", "its good"),
        ("Stra\u00dfe", "STRASSE"),
        ("snake_case", "snakecase"),
        ("\u4e0d\u9519\uff01", "\u4e0d\u9519"),
    ],
)
def test_equal_but_for_case_and_punctuation(text, same):
    assert letters(text) == letters(same)


@pytest.mark.parametrize(("text", "other"), [("!!", "??"), ("a1", "a2"), ("", "a")])
def test_different(text, other):
    assert letters(text) != letters(other)


def test_no_text_left(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("\na\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"more\.txt: no text can be used: all are empty, or in the dev rows"
    ):
        Unlabelled([path], Columns(), [Row("A.", ("x",), 1)])


def test_standard_input_is_refused():
    with pytest.raises(ConfigError, match="give a file, not -"):
        Unlabelled(["-"], Columns(), [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(tmp_path):
    pipe = tmp_path / "a.txt"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"a\.txt: .* several times; give a file, not a pipe"):
        Unlabelled([pipe], Columns(), [])


@pytest.mark.parametrize("kind", [str, Path])
def test_one_file_is_no_list_of_files(tmp_path, kind):
    path = tmp_path / "a.txt"
    path.write_text("Fine.\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"should be a list, not .*a\.txt; put it in one"):
        Unlabelled(kind(path), Columns(), [])


def test_it_keeps_no_texts(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text(("word " * 200 + "\n") * 2_000, encoding="utf-8")
    tracemalloc.start()
    try:
        assert sum(map(len, Unlabelled([path], Columns(), []))) == 2_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
