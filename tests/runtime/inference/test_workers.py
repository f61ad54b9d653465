"""Workers that are processes: they answer as threads do, and none is left behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from textgate.errors import BundleError, DataError, TextgateError
from textgate.inference.bulk import classify_rows
from textgate.inference.classifier import Classifier
from textgate.inference.workers import ForkedWorkers
from textgate.rows import Row

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are workers forked")


class Telling:
    """Stands in for a classifier: answers with the texts and the process that read them."""

    def scores(self, texts):
        if "bad" in texts:
            raise BundleError("ONNX Runtime cannot run the graph: out of order")
        if "end" in texts and os.getpid() != PARENT:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.002)
        return [(text, os.getpid()) for text in texts]

    def decide(self, scores, *, top_k):  # noqa: ARG002
        return scores

    def predictions(self, texts, *, top_k):
        return self.decide(self.scores(texts), top_k=top_k)


PARENT = os.getpid()


def rows_of(texts):
    return [Row(text, (), number) for number, text in enumerate(texts, start=1)]


def children():
    listed = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    return listed.read_text(encoding="ascii").split()


def classified(texts, jobs):
    groups = classify_rows(Telling(), rows_of(texts), window=4, jobs=jobs, forked=True)
    return list(itertools.chain(*groups))


@pytest.mark.parametrize("jobs", [2, 4])
def test_all_of_them_work_and_the_order_is_kept(jobs):
    before = children()
    texts = [str(number) for number in range(400)]
    answers = classified(texts, jobs)
    assert [row.text for row, _ in answers] == texts
    assert [answer[0] for _, answer in answers] == texts
    assert len({answer[1] for _, answer in answers}) == jobs
    assert PARENT in {answer[1] for _, answer in answers}
    assert children() == before


def test_any_text_goes_to_a_worker_and_back():
    texts = ["", "\0", "\ud83d", "\U0001f600", "a\nb", "x" * 1_000_000]
    with closing(ForkedWorkers(Telling(), 1)) as workers:
        assert [text for text, _ in workers.scores(texts)] == texts


def test_a_worker_that_fails_says_why_and_goes_on():
    with closing(ForkedWorkers(Telling(), 1)) as workers:
        with pytest.raises(BundleError, match="cannot run the graph: out of order"):
            workers.scores(["bad"])
        ((_, pid),) = workers.scores(["good"])
    assert pid != PARENT


def test_a_worker_that_is_killed_is_told_of():
    before = children()
    texts = ["good"] * 40 + ["end"] * 400
    with pytest.raises(TextgateError, match="a worker process ended before it answered"):
        classified(texts, 3)
    assert children() == before


def test_rows_before_a_bad_one_are_answered():
    def rows():
        yield from rows_of(["a"] * 23)
        raise DataError("a.jsonl, line 24: not valid JSON")

    seen = []
    groups = classify_rows(Telling(), rows(), window=4, jobs=2, forked=True)
    with pytest.raises(DataError, match="line 24"):
        seen.extend(row for group in groups for row in group)
    assert len(seen) == 23


def test_whoever_stops_early_leaves_no_process():
    before = children()
    endless = (Row(str(number), (), number) for number in itertools.count())
    groups = classify_rows(Telling(), endless, window=4, jobs=3, forked=True)
    with closing(groups):
        next(groups)
        assert len(children()) == len(before) + 2
    assert children() == before


def test_a_process_with_threads_is_not_forked():
    code = """
import threading
from textgate.inference.workers import can_fork
go_on = threading.Event()
thread = threading.Thread(target=go_on.wait)
told = [can_fork()]
thread.start()
told.append(can_fork())
go_on.set()
thread.join()
print(*told, can_fork())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "True"]


def test_a_classifier_that_has_a_session_already(bundle):
    classifier = Classifier.load(bundle)
    expected = classifier.predict_proba(["good", "bad film"])
    with closing(ForkedWorkers(classifier, 1)) as workers:
        found = workers.scores(["good", "bad film"]).probabilities
    assert abs(found - expected).max() <= 1e-6


MAIN = [sys.executable, "-c", "from textgate.cli import main; main()"]
COMMAND = [*MAIN, "classify", "--jobs", "3", "-i", "-"]


def running(bundle):
    """The command, and the processes it has made, while its input stays open."""
    command = subprocess.Popen(
        [*COMMAND, "-m", bundle, "--input-format", "text"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    command.stdin.write(b"good\n" * 5000)
    command.stdin.flush()
    assert command.stdout.readline().endswith(b"good\n")
    listed = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    workers = listed.read_text(encoding="ascii").split()
    assert len(workers) == 2
    return command, workers


def gone(workers):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(Path("/proc", worker, "exe").exists() for worker in workers):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_the_command(bundle, number):
    command, workers = running(bundle)
    command.send_signal(number)
    command.communicate(timeout=20)
    assert gone(workers)


def test_an_interrupt_from_the_terminal_reaches_them_all_and_is_told_once(bundle):
    command, workers = running(bundle)
    os.killpg(command.pid, signal.SIGINT)
    _, told = command.communicate(timeout=20)
    assert command.returncode == 130
    assert told.strip() == b"textgate: interrupted"
    assert gone(workers)
