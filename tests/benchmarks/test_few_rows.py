"""Accuracy from few rows: the draws, the goals, and a run that continues."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter

import pytest
from click.testing import CliRunner

PEERS = """#!{python}
import json, sys
asked = json.load(sys.stdin)
json.dump({{"TF-IDF": {{"seconds": 0.1, "labels": ["good"] * len(asked["test"])}}}}, sys.stdout)
"""


@pytest.fixture
def few_rows(script):
    return script("few_rows")


@pytest.fixture
def films(tmp_path, script):
    """A folder with one set: 12 rows of one label and 8 of the other."""
    folder = tmp_path / "data" / "films"
    folder.mkdir(parents=True)
    words = {
        "good": ("warm", "funny", "moving", "superb", "lovely", "great"),
        "bad": ("dull", "boring", "lifeless", "awful", "stupid", "poor"),
    }
    for name, counts in (("train", (12, 8)), ("test", (6, 4))):
        rows = [
            {
                "text": f"{words[label][number % 6]} {name} {words[label][number // 6]}",
                "label": label,
            }
            for label, count in zip(words, counts, strict=True)
            for number in range(count)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (split,) = script("sets").find_sets(tmp_path / "data", ())
    return split


def test_draws_are_even_and_differ(few_rows, films):
    first, again, other = (few_rows.drawn(films, 4, draw).tolist() for draw in (0, 0, 1))
    rows = [films.rows[0][place] for place in first]
    assert Counter(row.labels[0] for row in rows) == {"good": 4, "bad": 4}
    assert len(set(first)) == 8
    assert first == again != other


def entry(data, rows, labels=2, *, score=0.7, peer=0.6, seconds=50.0, ece=0.03):
    def mean(value):
        return {"mean": value, "standard_deviation": 0.0}

    ours = {"score": mean(score), "seconds": mean(seconds), "ece": mean(ece)}
    systems = {"textgate": ours, "TF-IDF": {"score": mean(peer), "seconds": mean(1.0)}}
    return {"data": data, "rows": rows, "labels": labels, **systems}


def test_goals(few_rows):
    entries = [
        entry("sst2", 8),
        entry("sst2", 32, score=0.75, peer=0.76, ece=0.05),
        entry("banking77", 8, 77, score=0.9, seconds=900.0),  # has too many rows for a time
        entry("sst2", 100),  # has no goal for its score
    ]
    found = {goal.what: (round(goal.value, 6), goal.reached) for goal in few_rows.goals(entries)}
    assert found == {
        "sst2, 8 rows of each label": (0.7, True),
        "sst2, 32 rows of each label": (0.75, False),
        "banking77, 8 rows of each label": (0.9, True),
        "smallest gain over TF-IDF": (-0.01, False),
        "textgate, at most 200 rows: longest training, seconds": (50.0, True),
        "largest calibration error": (0.05, False),
    }


def test_a_run_continues(few_rows, films, quick, tmp_path, monkeypatch, script):
    peers, out = tmp_path / "peers", tmp_path / "few.json"
    peers.write_text(PEERS.format(python=sys.executable), encoding="utf-8")
    peers.chmod(0o755)
    trained = []

    def without_encoder(rows, run, *, settings, force):
        trained.append((len(rows), settings))
        small = {**quick, "folds": 4, "batch_size": 4, "seed": settings["seed"]}
        return fit(rows, run, settings=small, pretrained="none", force=force)

    fit = few_rows.fit
    monkeypatch.setattr(few_rows, "fit", without_encoder)
    arguments = ["--data", films.train.parents[1], "--set", "films", "--rows", 4, "--rows", 9]
    arguments += ["--draws", 1, "--peers", peers, "--cache", tmp_path / "cache", "-o", out]
    for _ in range(2):  # the second run finds everything in the cache
        done = CliRunner().invoke(few_rows.main, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        assert trained == [(8, {"seed": 0}), (8, {"seed": 0, "frozen": True})]
    (found,) = json.loads(out.read_text(encoding="utf-8"))["entries"]  # too few rows for 9
    assert (found["data"], found["rows"], found["labels"]) == ("films", 4, 2)
    assert found["TF-IDF"]["score"]["mean"] == 0.6
    assert found["textgate"]["score"]["mean"] > 0.6
    assert found["textgate"]["bytes"]["mean"] <= few_rows.MAX_BYTES
    assert not list((tmp_path / "cache").glob("*.run"))
    assert "| films | 2 | 4 | accuracy | " in script("pages.blocks").BLOCKS["few_rows"].text(
        json.loads(out.read_text(encoding="utf-8"))
    )
