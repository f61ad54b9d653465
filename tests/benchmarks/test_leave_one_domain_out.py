"""Training without a domain, and its figures."""

from __future__ import annotations

import json
import random

import pytest

from textgate.rows import read_rows

SIDES = {"negative": "awful", "neutral": "weird", "positive": "fine"}


def labelled(count):
    """Yield a side that the text has and a label, which differs in one row of twenty."""
    chance = random.Random(0)
    for _ in range(count // 3):
        for side in SIDES:
            yield side, side if chance.random() < 0.95 else chance.choice(list(SIDES))


@pytest.fixture
def folder(script, tmp_path):
    """Two domains, in which a word decides almost always."""
    rows = tmp_path / "rows"
    rows.mkdir()
    for domain in ("films", "meals"):
        for part, count in (("train", 60), ("dev", 150), ("texts", 0)):
            found = [
                {"text": f"The {SIDES[word]} {domain[:-1]} number {number}.", "label": label}
                for number, (word, label) in enumerate(labelled(count))
            ]
            script("written_rows").write_rows(rows / f"{domain}.{part}.jsonl.gz", found)
    return rows


@pytest.fixture
def leave_out(script, folder, tmp_path):
    """Trains without generated rows and returns the figures."""

    def run(*options):
        arguments = ["--jobs", "1", "--not-made", "--set", "frozen=true"]
        arguments += ["--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "found.json")]
        main = script("leave_one_domain_out").main
        main([str(folder), *arguments, *options], standalone_mode=False)
        return json.loads((tmp_path / "found.json").read_text())["domains"]

    return run


def test_each_domain_is_left_out_in_turn(leave_out, tmp_path, capsys):
    found = leave_out()
    assert [one["domain"] for one in found] == ["films", "meals"]
    assert all(80 < one["rows"] < 120 for one in found)
    assert all(one["accuracy"] > 0.8 for one in found)
    (train,) = (tmp_path / "cache").glob("films-*/train.jsonl.gz")
    rows = list(read_rows(train, labelled=False))
    assert len(rows) > 60
    assert not [row for row in rows if "film" in row.text]
    assert "mean: " in capsys.readouterr().out


def test_a_teacher_that_knows_the_other_domains_labels_the_rows(leave_out, encoder, tmp_path):
    found = leave_out("--leave", "films", "--transformer", str(encoder))
    assert [one["domain"] for one in found] == ["films"]
    assert found[0]["teacher"] > 0.8
    assert found[0]["accuracy"] > 0.8
    (train,) = (tmp_path / "cache").glob("films-*/train.jsonl.gz")
    rows = list(read_rows(train, labelled=False))
    assert not [row for row in rows if "film" in row.text]
    certain = [max(row.extras["probs"].values()) for row in rows]
    assert min(certain) < 0.999  # the labels are mixed with its answers


def test_two_seeds_of_all_domains(leave_out, tmp_path):
    found = leave_out("--leave", "", "--seed", "0", "--seed", "1")
    assert [one["domain"] for one in found] == ["films", "meals"]
    assert all(one["accuracy"] > 0.8 for one in found)
    assert json.loads((tmp_path / "found.json").read_text())["seeds"] == 2


def test_bundles_of_all_sets_and_of_open_ones(script, folder, tmp_path):
    path = tmp_path / "terms.json"
    bundles = ["-m", "sentiment", "-m", "sentiment", "--open-terms", "sentiment"]
    script("domain_scores").main([str(folder), *bundles, "-o", str(path)], standalone_mode=False)
    written = json.loads(path.read_text())
    assert (written["seeds"], written["open_terms"]["seeds"]) == (2, 1)
    assert [one["domain"] for one in written["domains"]] == ["films", "meals"]
    assert [one["spread"] for one in written["domains"]] == [0, 0]
    assert [one["spread"] for one in written["open_terms"]["domains"]] == [None, None]
    assert written["mean"] == written["open_terms"]["mean"]  # the same bundle


def test_the_mean_of_domains_without_neutral_rows(script):
    one = {"accuracy": 0.5, "answered": 1.0, "right": 0.5, "neutral": None}
    means = script("domain_scores").means
    assert means([one]) == one
    assert means([one, one | {"accuracy": 0.7, "neutral": 0.2}]) == {
        "accuracy": pytest.approx(0.6), "answered": 1.0, "right": 0.5, "neutral": 0.2
    }  # fmt: skip
