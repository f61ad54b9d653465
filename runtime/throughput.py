"""Many rows, fast: windows of them, classified by several threads, answered in their order.

Threads, not processes: the tokenizer and ONNX Runtime, where most of the time goes, let other
threads run meanwhile, and threads share one model. What is Python (reading rows, deciding, writing
results) stays one thread's work at a time, about a fifth of the whole with the reference networks,
so that more than five threads gain little with those.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from textgate.errors import ConfigError
from textgate.logs import logger
from textgate.session import MOST_THREADS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from textgate.classifier import Classifier
    from textgate.prediction import Prediction
    from textgate.rows.row import Row

Answers: TypeAlias = "list[tuple[Row, Prediction]]"

_MOST_CHARACTERS = 2**18  # of a window's texts, or nearly: what it takes and how long is bounded
_CHARACTERS_PER_ROW = 64  # what a row counts for beside its text
_AHEAD = 2  # windows under way for each thread
# Python lets a thread that computes in Python run for 5 ms before another one gets its turn. Here
# the others ask for 20 us, between calls of a millisecond that take a processor of their own. With
# still shorter turns the changes from one thread to another cost more than the waiting.
_TURN = 1e-4  # seconds


def classify_rows(
    classifier: Classifier,
    rows: Iterable[Row],
    *,
    window: int,
    jobs: int = 1,
    more_has_come: Callable[[], bool] = lambda: True,
) -> Generator[Answers]:
    """Yield rows with their predictions in the order of the rows, a window at a time.

    The predictions do not depend on the windows or the threads. Memory is bounded: a few windows
    for each thread are under way, and of long texts fewer. If reading a row fails, the rows before
    it are answered first. Whoever stops early waits for the windows under way.

    Args:
        classifier: what classifies.
        rows: what to classify, read as it is needed, by the thread that iterates.
        window: most rows of a window.
        jobs: threads that classify, the one that iterates among them.
        more_has_come: whether the next row can be read at once; nothing that is under way is kept
            waiting for one that cannot.

    Raises:
        ConfigError: `jobs` is out of range.
        TextgateError: a row cannot be read or classified.
    """
    if not 1 <= jobs <= MOST_THREADS:
        raise ConfigError(f"jobs must be a number from 1 to {MOST_THREADS}, not {jobs}")
    logger.debug("classifying windows of up to %d rows in %d threads", window, jobs)
    tasks = _tasks(classifier, rows, window, more_has_come)
    if jobs == 1:
        for task in tasks:
            yield task.answers()
    else:
        yield from _in_parallel(tasks, jobs, more_has_come)


@dataclass(frozen=True)
class _Task:
    """A window to classify, and what its texts count for."""

    answers: Callable[[], Answers]
    characters: int


def _tasks(
    classifier: Classifier, rows: Iterable[Row], window: int, more_has_come: Callable[[], bool]
) -> Iterator[_Task]:
    """Yield windows of rows; in place of a row that cannot be read, the error, in its turn."""
    taken: list[Row] = []
    characters = 0
    try:
        for row in rows:
            taken.append(row)
            characters += _CHARACTERS_PER_ROW + len(row.text)
            if len(taken) == window or characters >= _MOST_CHARACTERS or not more_has_come():
                yield _Task(_answering(classifier, taken), characters)
                taken, characters = [], 0
    except Exception as problem:  # of any kind: it is raised when its turn comes
        failure: Exception | None = problem
    else:
        failure = None
    if taken:
        yield _Task(_answering(classifier, taken), characters)
    if failure is not None:
        yield _Task(_raising(failure), 0)


def _answering(classifier: Classifier, rows: list[Row]) -> Callable[[], Answers]:
    def answer() -> Answers:
        return list(zip(rows, classifier.predict_many([row.text for row in rows]), strict=True))

    return answer


def _raising(problem: Exception) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise problem

    return fail


def _in_parallel(
    tasks: Iterator[_Task], jobs: int, more_has_come: Callable[[], bool]
) -> Iterator[Answers]:
    from concurrent.futures import ThreadPoolExecutor

    under_way: deque[_Started] = deque()
    characters = 0
    pool = ThreadPoolExecutor(jobs - 1, thread_name_prefix="textgate")
    try:
        with _short_turns():
            for task in tasks:
                under_way.append(_Started(task, pool.submit(task.answers)))
                characters += task.characters
                while under_way and (
                    len(under_way) >= _AHEAD * jobs
                    or characters > _AHEAD * jobs * _MOST_CHARACTERS
                    or not more_has_come()
                ):
                    characters -= under_way[0].task.characters
                    yield _first(under_way)
            while under_way:
                yield _first(under_way)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Started:
    """A window that a thread has begun, or will; whoever takes it over puts a future of its own."""

    task: _Task
    future: Future[Answers]


def _first(under_way: deque[_Started]) -> Answers:
    """Return the answers of the first window and drop it; help with the others until it is done.

    A thread that only waits would be one more than there are processors, and in their way.
    """
    for started in under_way:
        if under_way[0].future.done():
            break
        if started.future.cancel():  # nobody has begun it
            started.future = _done(started.task)
    return under_way.popleft().future.result()


def _done(task: _Task) -> Future[Answers]:
    from concurrent.futures import Future

    future: Future[Answers] = Future()
    try:
        future.set_result(task.answers())
    except Exception as problem:  # of any kind: it is raised when its turn comes
        future.set_exception(problem)
    return future


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
