"""The sample data in examples/reviews is what its README says, and what its script makes."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest

from textgate.rows import load_labelled

FOLDER = Path(__file__).parents[1] / "examples" / "reviews"
RATINGS = Path(__file__).parents[2] / "shared" / "data"
SPLITS = ("train", "dev", "test")
LABELS = ("positive", "negative")
SOURCES = ("movie", "amazon", "tweets")


@pytest.fixture(scope="module")
def rows():
    return {
        name: load_labelled(FOLDER / f"{name}.jsonl.gz", several_labels=True) for name in SPLITS
    }


@pytest.fixture(scope="module")
def readme():
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def make(folder: Path, out: Path) -> str:
    command = [sys.executable, str(FOLDER / "make.py"), str(folder), "--out", str(out)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


@pytest.mark.parametrize("split", SPLITS)
def test_every_row_has_a_text_a_label_and_a_source(rows, split):
    assert {row.labels for row in rows[split]} == {(label,) for label in LABELS}
    assert {tuple(row.extras) for row in rows[split]} == {("source",)}
    assert all(row.text.strip() for row in rows[split])


def test_the_counts_are_those_of_the_readme(rows, readme):
    for split in SPLITS:
        counts = Counter((row.extras["source"], *row.labels) for row in rows[split])
        assert {source for source, _ in counts} == set(SOURCES)
        for source in (*SOURCES, "all"):
            of_labels = [
                sum(
                    n for (name, of), n in counts.items() if of == label and source in (name, "all")
                )
                for label in LABELS
            ]
            line = (split, source, *map(str, of_labels), str(sum(of_labels)))
            assert f"| {' | '.join(line)} |\n" in readme


def test_the_row_that_the_readme_shows_is_there(rows, readme):
    shown = json.loads(readme.split("```json\n")[1].split("\n```")[0])
    found = [row for split in SPLITS for row in rows[split] if row.text == shown["text"]]
    assert [(*row.labels, row.extras["source"]) for row in found] == [
        (shown["label"], shown["source"])
    ]


def test_no_text_stands_twice(rows):
    texts = Counter("".join(words(row.text)) for split in SPLITS for row in rows[split])
    assert [text for text, count in texts.items() if count > 1] == []


@pytest.mark.parametrize(("part", "others"), [("train", ("dev", "test")), ("dev", ("test",))])
def test_no_text_is_half_of_another_across_splits(rows, part, others):
    def trigrams(row):
        found = words(row.text.replace("'", ""))
        return set(zip(found, found[1:], found[2:], strict=False))

    held = [trigrams(row) for split in others for row in rows[split]]
    holders: dict[tuple[str, ...], list[int]] = {}
    for number, grams in enumerate(held):
        for gram in grams:
            holders.setdefault(gram, []).append(number)
    alike = []
    for row in rows[part]:
        grams = trigrams(row)
        shared = Counter(number for gram in grams for number in holders.get(gram, ()))
        if any(2 * count >= min(len(grams), len(held[n])) for n, count in shared.items()):
            alike.append(row.text)
    assert alike == []


def test_the_files_are_small(rows):
    assert sum(path.stat().st_size for path in FOLDER.glob("*.gz")) <= 1_000_000


def test_the_notice_of_the_licence_is_there(readme):
    notice = (FOLDER / "LICENSE-vaderSentiment").read_text(encoding="utf-8")
    assert notice.startswith("The MIT License (MIT)\n\nCopyright (c) 2016 C.J. Hutto\n\nPermission")
    assert notice.endswith("OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n")
    assert "(LICENSE-vaderSentiment)" in readme


@pytest.mark.skipif(not RATINGS.is_dir(), reason="the human ratings are not beside this repository")
def test_the_script_makes_the_same_files_and_table(tmp_path, readme):
    assert make(RATINGS, tmp_path) in readme
    for split in SPLITS:
        made, kept = ((folder / f"{split}.jsonl.gz").read_bytes() for folder in (tmp_path, FOLDER))
        assert gzip.decompress(made) == gzip.decompress(kept)
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # zlib-ng packs the same text in other bytes
            assert made == kept


RATED = [
    ("movie", "Clearly good!", 1.0),
    ("amazon", "clearly GOOD", 3.0),  # again
    ("movie", "Rather good.", 0.99),  # in between
    ("tweets", "Rather bad.", -0.99),
    ("tweets", "Clearly bad?", -1.0),
    ("amazon", "Nobody knows.", 2.0),
    ("tweets", "nobody knows", -2.0),  # labels differ
    ("tweets", ":-)", 2.0),  # no word
    ("movie", "It's caf\u00e9", 4.0),
    ("movie", "its cafe", 4.0),  # again
    *(("movie", f"one{i} two{i} three{i} four{i} five{i}", 2.0) for i in range(50)),
    *(
        ("amazon", f"one{i} tw\u00f3{i} Thr\u00e9e{i} four{i}, and more words", -2.0)
        for i in range(50)
    ),
]


@pytest.fixture
def rated(tmp_path):
    for source in SOURCES:
        folder = tmp_path / "ratings" / f"vader_{source}"
        folder.mkdir(parents=True)
        lines = [
            json.dumps({"text": text, "label": rating}) + "\n"
            for name, text, rating in RATED
            if name == source
        ]
        (folder / "all.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode()))
    return tmp_path / "ratings"


def test_the_script_on_a_few_ratings(rated, tmp_path):
    table = make(rated, tmp_path / "one")
    assert make(rated, tmp_path / "two") == table
    rows = {}
    for split in SPLITS:
        name = f"{split}.jsonl.gz"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert (tmp_path / "one" / name).read_bytes()[3:8] == bytes(5)  # neither name nor time
        rows[split] = load_labelled(tmp_path / "one" / name)
        assert f"| {split} | all | " in table
        assert f" | {len(rows[split])} |\n" in table + "\n"
    short = {
        (row.text, *row.labels) for split in SPLITS for row in rows[split] if row.text[:3] != "one"
    }
    assert short == {
        ("Clearly good!", "positive"),
        ("Clearly bad?", "negative"),
        ("It's caf\u00e9", "positive"),
    }
    # 103 texts are left; the two of a pair share two of three word 3-grams and stay together.
    assert len(rows["test"]) == 10
    sides = {}
    for split in SPLITS:
        for row in rows[split]:
            sides.setdefault(words(row.text)[0], set()).add(split)
    assert [pair for pair, splits in sides.items() if len(splits) > 1] == []
    assert sum(map(len, rows.values())) < 103
