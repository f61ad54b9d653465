"""Classification of many rows by several workers, in windows, with answers in order.

A worker is a process if this one can be forked, otherwise a thread. The tokenizer and ONNX Runtime,
which take most of the time, release Python's lock; code in Python waits for it, which costs much of
the gain of a second thread. One process reads rows, decides and writes results. With the reference
networks, this is about a fifth of the work, so more than five workers gain little.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from textgate.errors import ConfigError
from textgate.inference.threads import MAX_THREADS
from textgate.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction, Scores
    from textgate.rows.row import Row

PredictedRows: TypeAlias = "list[tuple[Row, Prediction]]"
_T = TypeVar("_T")
_Score: TypeAlias = "Callable[[Sequence[str]], Scores]"

_MAX_CHARACTERS = 2**18  # of the texts of a window, about; bounds its memory and its time
_ROW_CHARACTERS = 64  # that a row counts for besides its text
_MAX_AHEAD = 2  # unfinished windows per worker
# By default a thread that runs Python code keeps the lock for 5 ms. Here the other threads need it
# for 20 us, between calls of a millisecond that release it. With shorter intervals, the switches
# would cost more than the waiting.
_SWITCH_INTERVAL = 1e-4  # seconds


def classify_rows(
    classifier: Classifier,
    rows: Iterable[Row],
    *,
    window: int,
    top_k: int | None = None,
    jobs: int = 1,
    forked: bool = False,
    more_has_come: Callable[[], bool] = lambda: True,
) -> Generator[PredictedRows]:
    """Yield rows with their predictions in the order of the rows, a window at a time.

    The predictions do not depend on the windows or the workers. Memory is bounded: each worker has
    a few unfinished windows, fewer if texts are long. If a row cannot be read, the rows before it
    are answered first. Closing the generator early waits for the unfinished windows.

    Args:
        classifier: the classifier.
        rows: the rows, which the iterating thread reads as they are needed.
        window: rows of a window, at most.
        top_k: as for `Classifier.predict`.
        jobs: workers that classify, including the iterating thread.
        forked: whether the other workers are forked processes instead of threads; see `can_fork`.
        more_has_come: whether the next row can be read without waiting; if not, finished windows
            are answered first.

    Raises:
        ConfigError: `jobs` is out of range.
        TextgateError: a row cannot be read or classified.
    """
    if not 1 <= jobs <= MAX_THREADS:
        raise ConfigError(f"jobs must be a number from 1 to {MAX_THREADS}, not {jobs}")
    kind = "processes" if forked else "threads"
    logger.debug("classifying windows of up to %d rows in %d %s", window, jobs, kind)
    windows = _windows(rows, window, more_has_come)
    if jobs == 1:
        answer = partial(classifier.predictions, top_k=top_k)
        for one in windows:
            yield list(zip(one.rows, one.answers(answer), strict=True))
        return
    with closing(_in_parallel(windows, classifier, jobs, more_has_come, forked=forked)) as done:
        for answered, scores in done:
            yield list(zip(answered.rows, classifier.decide(scores, top_k=top_k), strict=True))


@dataclass(frozen=True)
class _Window:
    """Rows to classify with the characters they count for, or an error instead of rows."""

    rows: list[Row]
    characters: int = 0
    failure: Exception | None = None

    def answers(self, answer: Callable[[Sequence[str]], _T]) -> _T:
        """Return what the function returns for the texts of the rows, or raise the error."""
        if self.failure is not None:
            raise self.failure
        return answer([row.text for row in self.rows])


def _windows(
    rows: Iterable[Row], limit: int, more_has_come: Callable[[], bool]
) -> Iterator[_Window]:
    """Yield windows of rows, and at the end the error if a row cannot be read."""
    taken: list[Row] = []
    characters = 0
    try:
        for row in rows:
            taken.append(row)
            characters += _ROW_CHARACTERS + len(row.text)
            if len(taken) == limit or characters >= _MAX_CHARACTERS or not more_has_come():
                yield _Window(taken, characters)
                taken, characters = [], 0
    except Exception as problem:  # any error is raised in its turn
        failure: Exception | None = problem
    else:
        failure = None
    if taken:
        yield _Window(taken, characters)
    if failure is not None:
        yield _Window([], failure=failure)


def _in_parallel(
    windows: Iterator[_Window],
    classifier: Classifier,
    jobs: int,
    more_has_come: Callable[[], bool],
    *,
    forked: bool,
) -> Generator[tuple[_Window, Scores]]:
    from concurrent.futures import ThreadPoolExecutor

    unfinished: deque[_Started] = deque()
    characters = 0
    with ExitStack() as stack:
        score: _Score = classifier.scores
        if forked:  # before threads are started; each of them then waits for one process
            from textgate.inference.workers import ForkedWorkers

            score = stack.enter_context(closing(ForkedWorkers(classifier, jobs - 1))).scores
        pool = ThreadPoolExecutor(jobs - 1, thread_name_prefix="textgate")
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.enter_context(_short_switch_interval())
        for window in windows:
            unfinished.append(_Started(window, pool.submit(window.answers, score)))
            characters += window.characters
            while unfinished and (
                len(unfinished) >= _MAX_AHEAD * jobs
                or characters > _MAX_AHEAD * jobs * _MAX_CHARACTERS
                or not more_has_come()
            ):
                characters -= unfinished[0].window.characters
                yield _first(unfinished, classifier.scores)
        while unfinished:
            yield _first(unfinished, classifier.scores)


@dataclass
class _Started:
    """A window with its future, which is replaced if the iterating thread takes it over."""

    window: _Window
    future: Future[Scores]


def _first(unfinished: deque[_Started], score: _Score) -> tuple[_Window, Scores]:
    """Remove the first window and return it with its scores; classify others until it is done.

    Otherwise the iterating thread would only wait.
    """
    for started in unfinished:
        if unfinished[0].future.done():
            break
        if started.future.cancel():  # no worker has begun it
            started.future = _done(started.window, score)
    first = unfinished.popleft()
    return first.window, first.future.result()


def _done(window: _Window, score: _Score) -> Future[Scores]:
    from concurrent.futures import Future

    future: Future[Scores] = Future()
    try:
        future.set_result(window.answers(score))
    except Exception as problem:  # any error is raised in its turn
        future.set_exception(problem)
    return future


@contextmanager
def _short_switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_INTERVAL))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
