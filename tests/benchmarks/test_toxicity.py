"""The toxicity model's rows, and its behaviour tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def cases(script):
    return script("toxicity_cases")


@pytest.fixture
def judging(script):
    return script("toxicity")


def test_every_group_has_cases_of_one_kind(cases):
    for name, found in cases.GROUPS.items():
        assert len(found) >= 10, name
        assert len({case.toxic for case in found}) == 1, name
        for case in found:
            assert case.about in ("", *cases.IDENTITIES)
    neutral = cases.GROUPS["group named, neutral"]
    named = {
        case.about: [one.text for one in neutral if one.about == case.about] for case in neutral
    }
    assert list(named) == cases.IDENTITIES
    assert "I am a refugee." in named["refugees"]
    assert {len(texts) for texts in named.values()} == {5}


class Counting:
    """A classifier for which a text is toxic if it has the word bad, the more the more words."""

    labels = ("clean", "toxic")
    manifest = SimpleNamespace(thresholds=(None, 0.6), labels=labels)

    def predict_proba(self, texts):
        scores = np.array([min(0.9, 0.4 * text.split().count("bad")) for text in texts])
        return np.stack([1 - scores, scores], axis=1).astype(np.float32)

    def predict_many(self, texts):
        for _, score in self.predict_proba(texts):
            yield SimpleNamespace(label="toxic" if score >= 0.6 else "clean")

    def stream(self):
        read = []

        def feed(piece):
            read.append(piece)
            score = self.predict_proba(["".join(read)])[0, 1]
            return SimpleNamespace(scores={"toxic": float(score)})

        return SimpleNamespace(feed=feed)


@pytest.fixture
def write(script):
    def write_rows(path, rows):
        objects = [{"text": text, "label": label} for text, label in rows]
        script("written_rows").write_rows(path, objects)

    return write_rows


def test_a_test_set(judging, write, tmp_path):
    rows = [
        ("a bad bad one", "toxic"),
        ("a bad one", "toxic"),
        ("one", "clean"),
        ("bad bad", "clean"),
    ]
    write(tmp_path / "test-some.jsonl.gz", rows)
    found = judging.tested(Counting(), tmp_path, "some", None)
    assert (found["rows"], found["accuracy"], found["f1"]) == (4, 0.5, 0.5)
    assert (found["found"], found["false"], found["teacher"]) == (0.5, 0.5, None)


def test_a_teacher_on_the_same_rows(judging, write, tmp_path, monkeypatch):
    def mean_answers(teachers, texts):
        assert teachers == [tmp_path]
        toxic = Counting().predict_proba(texts)[:, 1]
        return ("toxic", "clean"), np.stack([1 - toxic, toxic], axis=1)  # wrong everywhere

    monkeypatch.setattr(judging, "mean_answers", mean_answers)
    write(tmp_path / "test-some.jsonl.gz", [("bad bad", "toxic"), ("one", "clean")])
    found = judging.tested(Counting(), tmp_path, "some", tmp_path)
    assert (found["macro_f1"], found["teacher"]) == (1.0, 0.0)


def test_failures_of_a_group(judging, cases):
    group = [cases.Case("bad bad", True), cases.Case("bad", True), cases.Case("bad bad", False)]
    found = judging.behaved(Counting(), "g", group)
    assert (found["cases"], found["failed"], found["examples"]) == (3, 2, ["bad", "bad bad"])


@pytest.mark.parametrize(
    ("texts", "cuts"), [(1, 0), (764, 0), (1129, 0), (1130, 1), (2000, 3), (10_000, 36)]
)
def test_so_few_dev_texts_are_cut_that_the_interval_ends_below_the_goal(judging, texts, cuts):
    assert judging.most_cuts(texts) == cuts


def test_a_stream_is_cut_at_a_limit_of_clean_texts(judging, write, tmp_path):
    write(tmp_path / "clean-dev.jsonl.gz", [("one bad", "clean")] * 1300 + [("bad bad", "clean")])
    write(tmp_path / "clean-test.jsonl.gz", [("one", "clean")] * 3 + [("bad x bad", "clean")])
    for name in judging.TESTS:
        rows = [("it is bad so bad by now", "toxic"), ("one", "toxic"), ("bad bad", "clean")]
        write(tmp_path / f"test-{name}.jsonl.gz", rows)
    found = judging.streamed(Counting(), tmp_path)
    assert 0.4 < found["limit"] < 0.8
    assert (found["clean"], found["false_cuts"]) == (4, 0.25)
    assert (found["toxic"], found["cut"]) == (6, 0.5)
    assert found["median_words"] == 5
    assert found["median_share"] == pytest.approx(5 / 7)
