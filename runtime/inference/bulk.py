"""Many rows, fast: windows of them, classified by several workers, answered in their order.

A worker is a process where this one can be forked, else a thread. The tokenizer and ONNX Runtime,
where most of the time goes, let other threads run meanwhile; what is Python waits for its turn, and
that costs a good part of what a second thread gains. Reading rows, deciding and writing results is
one process's work, about a fifth of the whole with the reference networks, so that more than five
workers gain little with those.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from textgate.errors import ConfigError
from textgate.inference.session import MOST_THREADS
from textgate.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction, Scores
    from textgate.rows.row import Row

Answers: TypeAlias = "list[tuple[Row, Prediction]]"
_Score: TypeAlias = "Callable[[Sequence[str]], Scores]"

_MOST_CHARACTERS = 2**18  # of a window's texts, or nearly: what it takes and how long is bounded
_CHARACTERS_PER_ROW = 64  # what a row counts for beside its text
_AHEAD = 2  # windows under way for each worker
# Python lets a thread that computes in Python run for 5 ms before another one gets its turn. Here
# the others ask for 20 us, between calls of a millisecond that take a processor of their own. With
# still shorter turns the changes from one thread to another cost more than the waiting.
_TURN = 1e-4  # seconds


def classify_rows(
    classifier: Classifier,
    rows: Iterable[Row],
    *,
    window: int,
    top_k: int | None = None,
    jobs: int = 1,
    forked: bool = False,
    more_has_come: Callable[[], bool] = lambda: True,
) -> Generator[Answers]:
    """Yield rows with their predictions in the order of the rows, a window at a time.

    The predictions do not depend on the windows or the workers. Memory is bounded: a few windows
    for each worker are under way, and of long texts fewer. If reading a row fails, the rows before
    it are answered first. Whoever stops early waits for the windows under way.

    Args:
        classifier: what classifies.
        rows: what to classify, read as it is needed, by the thread that iterates.
        window: most rows of a window.
        top_k: as for `Classifier.predict`.
        jobs: workers that classify, the thread that iterates among them.
        forked: whether the others are forked from this process, not threads of it; ask `can_fork`.
        more_has_come: whether the next row can be read at once; nothing that is under way is kept
            waiting for one that cannot.

    Raises:
        ConfigError: `jobs` is out of range.
        TextgateError: a row cannot be read or classified.
    """
    if not 1 <= jobs <= MOST_THREADS:
        raise ConfigError(f"jobs must be a number from 1 to {MOST_THREADS}, not {jobs}")
    kind = "processes" if forked else "threads"
    logger.debug("classifying windows of up to %d rows in %d %s", window, jobs, kind)
    windows = _windows(rows, window, more_has_come)
    if jobs == 1:
        done = ((one, one.scores(classifier.scores)) for one in windows)
    else:
        done = _in_parallel(windows, classifier, jobs, more_has_come, forked=forked)
    with closing(done):
        for answered, scores in done:
            yield list(zip(answered.rows, classifier.decide(scores, top_k=top_k), strict=True))


@dataclass(frozen=True)
class _Window:
    """Rows to classify, what their texts count for, and in place of rows why there are none."""

    rows: list[Row]
    characters: int = 0
    failure: Exception | None = None

    def scores(self, score: _Score) -> Scores:
        """Return what the network says, or raise the error that has its turn now."""
        if self.failure is not None:
            raise self.failure
        return score([row.text for row in self.rows])


def _windows(
    rows: Iterable[Row], most: int, more_has_come: Callable[[], bool]
) -> Iterator[_Window]:
    """Yield windows of rows; in place of a row that cannot be read, the error, in its turn."""
    taken: list[Row] = []
    characters = 0
    try:
        for row in rows:
            taken.append(row)
            characters += _CHARACTERS_PER_ROW + len(row.text)
            if len(taken) == most or characters >= _MOST_CHARACTERS or not more_has_come():
                yield _Window(taken, characters)
                taken, characters = [], 0
    except Exception as problem:  # of any kind: it is raised when its turn comes
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

    under_way: deque[_Started] = deque()
    characters = 0
    with ExitStack() as stack:
        score: _Score = classifier.scores
        if forked:  # before there are threads; each of those then waits for one process
            from textgate.inference.workers import ForkedWorkers

            score = stack.enter_context(closing(ForkedWorkers(classifier, jobs - 1))).scores
        pool = ThreadPoolExecutor(jobs - 1, thread_name_prefix="textgate")
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.enter_context(_short_turns())
        for window in windows:
            under_way.append(_Started(window, pool.submit(window.scores, score)))
            characters += window.characters
            while under_way and (
                len(under_way) >= _AHEAD * jobs
                or characters > _AHEAD * jobs * _MOST_CHARACTERS
                or not more_has_come()
            ):
                characters -= under_way[0].window.characters
                yield _first(under_way, classifier.scores)
        while under_way:
            yield _first(under_way, classifier.scores)


@dataclass
class _Started:
    """A window that a worker has begun, or will; whoever takes it over puts its own future."""

    window: _Window
    future: Future[Scores]


def _first(under_way: deque[_Started], score: _Score) -> tuple[_Window, Scores]:
    """Return the first window and its scores and drop it; help with the others until it is done.

    A thread that only waits would be one more than there are processors, and in their way.
    """
    for started in under_way:
        if under_way[0].future.done():
            break
        if started.future.cancel():  # nobody has begun it
            started.future = _done(started.window, score)
    first = under_way.popleft()
    return first.window, first.future.result()


def _done(window: _Window, score: _Score) -> Future[Scores]:
    from concurrent.futures import Future

    future: Future[Scores] = Future()
    try:
        future.set_result(window.scores(score))
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
