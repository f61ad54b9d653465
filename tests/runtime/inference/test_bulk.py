"""Many rows: the same answers by any number of threads, in order, with little read ahead."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import textgate.inference.bulk
from textgate.errors import BundleError, ConfigError, DataError, TextgateError
from textgate.inference.bulk import classify_rows
from textgate.inference.classifier import Classifier
from textgate.rows import Row

SOAK = Path(__file__).parents[3] / "benchmarks" / "soak.py"
SAME = 1e-6
JOBS = [1, 2, 5]
FORKS = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are workers forked")
TEXTS = [
    ("good " * (number % 13) + ("a dull film " * (number % 5)) + str(number))
    for number in range(97)
] + ["", " ", "qzx", "good"]


def rows_of(texts):
    return [Row(text, (), number) for number, text in enumerate(texts, start=1)]


def textgate_threads():
    return [one for one in threading.enumerate() if one.name.startswith("textgate")]


def drained(groups):
    """The texts that are answered, and the error that comes after them."""
    seen = []
    try:
        for group in groups:
            seen += [row.text for row, _ in group]
    except TextgateError as problem:
        return seen, problem
    return seen, None


class Counting:
    """Stands in for a classifier: answers with the text, and notes what happens when."""

    def __init__(self, *, fails_at=None):
        self.calls = []
        self.fails_at = fails_at

    def scores(self, texts):
        self.calls.append(list(texts))
        if self.fails_at in texts:
            raise BundleError("ONNX Runtime cannot run the graph: out of order")
        return list(texts)

    def decide(self, scores, *, top_k):  # noqa: ARG002
        return scores

    def predictions(self, texts, *, top_k):
        return self.decide(self.scores(texts), top_k=top_k)


# The same answers, in order


@pytest.fixture(scope="module", params=["lstm-int8", "gru-float32", "rnn-multi-label"])
def classifier(request, bundles):
    return Classifier.load(bundles[request.param])


@pytest.fixture(scope="module")
def alone(classifier):
    return [classifier.predict(text) for text in TEXTS]


@pytest.mark.parametrize("forked", [False, pytest.param(True, marks=FORKS)])
@pytest.mark.parametrize(("jobs", "window", "batch_size"), [(1, 16, 4), (2, 7, 32), (5, 1, 1)])
def test_answers_depend_on_the_text_alone(classifier, alone, jobs, window, batch_size, forked):
    classifier = Classifier.load(classifier.path, batch_size=batch_size)
    rows = rows_of(TEXTS)
    groups = list(classify_rows(classifier, iter(rows), window=window, jobs=jobs, forked=forked))
    assert {len(group) for group in groups[:-1]} <= {window}
    answers = list(itertools.chain(*groups))
    assert [row for row, _ in answers] == rows
    for (_, found), expected in zip(answers, alone, strict=True):
        assert (found.labels, found.reason) == (expected.labels, expected.reason)
        assert (found.tokens, found.truncated) == (expected.tokens, expected.truncated)
        assert found.scores == pytest.approx(expected.scores, abs=SAME)


ANY_TEXT = st.text(st.characters(codec=None), max_size=60) | st.integers(0, 60).map("good ".__mul__)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ANY_TEXT, min_size=1, max_size=12),
    st.sampled_from([1, 2, 3, 32]),
    st.sampled_from([1, 2, 3]),
    st.integers(1, 5),
    st.sampled_from(["", "\n", "\r\n", "\n\n\n"]),
)
@example(["good " * 200, "", "\ud83d", "bad"], 2, 2, 1, "\n")
def test_any_text_whatever_is_around_it(classifier, texts, batch_size, jobs, window, line_end):
    """Neighbours, batches, windows, threads and trailing line ends change no score."""
    alone = [classifier.predict(text) for text in texts]
    together = Classifier.load(classifier.path, batch_size=batch_size)
    rows = rows_of([text + line_end for text in texts])
    groups = classify_rows(together, rows, window=window, jobs=jobs)
    found = [prediction for group in groups for _, prediction in group]
    for one, expected in zip(found, alone, strict=True):
        assert (one.tokens, one.reason) == (expected.tokens, expected.reason)
        assert one.scores == pytest.approx(expected.scores, abs=SAME)


@pytest.mark.parametrize("jobs", JOBS)
def test_no_rows(jobs):
    assert list(classify_rows(Counting(), [], window=4, jobs=jobs)) == []


@pytest.mark.parametrize("jobs", [0, -1, 1025])
def test_jobs_out_of_range(jobs):
    with pytest.raises(ConfigError, match="jobs must be a number from 1 to 1024, not"):
        next(classify_rows(Counting(), [], window=1, jobs=jobs))


# What is read ahead


@pytest.mark.parametrize("jobs", JOBS)
def test_an_endless_input_is_answered_as_it_comes(jobs):
    counter = itertools.count(1)
    endless = (Row(str(number), (), number) for number in counter)
    with closing(classify_rows(Counting(), endless, window=4, jobs=jobs)) as groups:
        for _ in range(10):
            next(groups)
    assert next(counter) <= 4 * (10 + 2 * jobs) + 1
    assert textgate_threads() == []


@pytest.mark.parametrize("jobs", JOBS)
def test_rows_that_come_slowly_are_not_waited_for(jobs):
    """Whenever the next row would have to be waited for, all rows before it are answered."""
    answered = []
    ready = itertools.cycle([True, True, False])  # a pause after every third row
    state = {"ready": True}

    def more_has_come():
        return state["ready"]

    def rows():
        for number in range(30):
            if not state["ready"]:
                assert answered == list(range(number))
            state["ready"] = next(ready)
            yield Row("a", (), number)

    groups = classify_rows(Counting(), rows(), window=8, jobs=jobs, more_has_come=more_has_come)
    for group in groups:
        answered += [row.line for row, _ in group]
    assert answered == list(range(30))


@pytest.mark.parametrize("jobs", JOBS)
def test_of_long_texts_few_are_read_ahead(jobs, monkeypatch):
    monkeypatch.setattr(textgate.inference.bulk, "_MAX_CHARACTERS", 1000)
    read = []

    def rows():
        for number in range(50):
            read.append(number)
            yield Row("x" * 5000, (), number)

    with closing(classify_rows(Counting(), rows(), window=512, jobs=jobs)) as groups:
        for count, group in enumerate(groups, start=1):
            assert len(group) == 1
            assert len(read) - count <= max(1, 2 * jobs // 5 + 1)


def test_windows_of_empty_texts_are_bounded(monkeypatch):
    monkeypatch.setattr(textgate.inference.bulk, "_MAX_CHARACTERS", 640)
    groups = classify_rows(Counting(), rows_of([""] * 25), window=10**9)
    assert [len(group) for group in groups] == [10, 10, 5]


# What fails


@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("good", [0, 1, 4, 5, 23])
def test_rows_before_a_bad_one_are_answered(jobs, good):
    def rows():
        yield from rows_of(["a"] * good)
        raise DataError("a.jsonl, line 24: not valid JSON")

    seen, problem = drained(classify_rows(Counting(), rows(), window=4, jobs=jobs))
    assert seen == ["a"] * good
    assert str(problem) == "a.jsonl, line 24: not valid JSON"
    assert textgate_threads() == []


@pytest.mark.parametrize("jobs", JOBS)
def test_a_window_that_fails_is_told_in_its_turn_and_once(jobs):
    texts = [str(number) for number in range(40)]
    failing = Counting(fails_at="17")
    seen, problem = drained(classify_rows(failing, rows_of(texts), window=4, jobs=jobs))
    assert seen == texts[:16]
    assert str(problem).endswith("out of order")
    assert textgate_threads() == []


@pytest.mark.parametrize("jobs", [2, 5])
def test_what_has_not_begun_is_not_done_for_nobody(jobs):
    """As Ctrl-C ends it: in the thread that iterates, while all of them are at work."""
    at_work, go_on = threading.Barrier(jobs), threading.Event()

    class Slow(Counting):
        def scores(self, texts):
            answers = super().scores(texts)
            at_work.wait(10)
            if threading.current_thread() is threading.main_thread():
                threading.Timer(0.05, go_on.set).start()
                raise KeyboardInterrupt
            go_on.wait(60)
            return answers

    slow = Slow()
    endless = (Row("a", (), number) for number in itertools.count())
    with pytest.raises(KeyboardInterrupt):
        next(classify_rows(slow, endless, window=1, jobs=jobs))
    assert len(slow.calls) == jobs
    assert textgate_threads() == []


@pytest.mark.parametrize("jobs", [2, 5])
def test_so_many_threads_and_no_more_are_at_work(jobs):
    """The one that iterates among them: it does not sit by while there is something to do."""
    names, at_work, most = set(), [], []

    class Noting(Counting):
        def scores(self, texts):
            names.add(threading.current_thread().name)
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.001)
            at_work.pop()
            return super().scores(texts)

    rows = rows_of(str(number) for number in range(200))
    groups = classify_rows(Noting(), rows, window=1, jobs=jobs)
    assert [row for group in groups for row, _ in group] == rows
    assert threading.current_thread().name in names
    assert len(names) <= jobs
    assert max(most) <= jobs


def test_turns_are_short_only_meanwhile():
    before = sys.getswitchinterval()
    with closing(classify_rows(Counting(), rows_of("abcdefgh"), window=1, jobs=2)) as groups:
        next(groups)
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
    with closing(classify_rows(Counting(), rows_of("abcdefgh"), window=1)) as groups:
        next(groups)
        assert sys.getswitchinterval() == before


# One classifier, many threads


def test_32_threads_share_a_classifier(bundle):
    classifier = Classifier.load(bundle)
    expected = {text: classifier.predict(text).scores for text in TEXTS}
    barrier = threading.Barrier(32)

    def work(number):
        own = TEXTS[number:] + TEXTS[:number]
        barrier.wait()
        many = [found.scores for found in classifier.predict_many(own[:40])]
        return list(zip(own, many, strict=False)) + [
            (text, classifier.predict(text).scores) for text in own[40:60]
        ]

    with ThreadPoolExecutor(32) as pool:
        for text, scores in itertools.chain(*pool.map(work, range(32))):
            assert scores == pytest.approx(expected[text], abs=SAME)


FORK_UNDER_LOAD = """
import os, sys, threading, time
from textgate import Classifier
one = Classifier.load(sys.argv[1])
texts = ["good", "a bad film", "dull " * 30] * 20
expected = one.predict_proba(texts)
stop = False
def work():
    while not stop:
        assert (abs(one.predict_proba(texts) - expected) < 1e-6).all()
        one.predict("good film")
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
children = []
for _ in range(6):
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        same = (abs(one.predict_proba(texts) - expected) < 1e-6).all()
        many = list(one.predict_many(texts))
        os._exit(0 if same and len(many) == len(texts) else 3)
    children.append(child)
statuses = [os.waitpid(child, 0)[1] for child in children]
stop = True
for thread in threads: thread.join()
assert statuses == [0] * 6, statuses
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_threads_are_at_work(bundle):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK_UNDER_LOAD, str(bundle)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


# For a long time


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_predictions_leave_nothing_behind(bundle, tmp_path):
    """A leak of 256 bytes per prediction would come to 5 MB. The long run: benchmarks/soak.py."""
    result = tmp_path / "soak.json"
    command = [sys.executable, SOAK, "--bundle", bundle, "-o", result, "--predictions", "20000"]
    subprocess.run([*command, "--warm-up", "10000"], check=True, capture_output=True, timeout=300)
    found = json.loads(result.read_text(encoding="utf-8"))
    assert (found["predictions"], found["threads"]) == (20_000, 8)
    assert found["most_mb"] - found["least_mb"] < 5
