"""Work of the service: short requests at once, long ones in a thread, behind a bounded queue.

Short texts that arrive in the same turn of the event loop are computed as one batch; none waits for
others. With ONNX Runtime a text takes 0.4 of the time in a batch of eight, with the native engine
0.85. A text that is alone is computed at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from textgate.serve.problems import Problem

if TYPE_CHECKING:
    from prometheus_client import Gauge

    from textgate.inference.classifier import Classifier
    from textgate.inference.prediction import Prediction
    from textgate.serve.settings import Settings

    _Arrived = tuple[str, asyncio.Future[Prediction]]

_T = TypeVar("_T")

# A request of at most this many characters takes no longer than handing it to a thread and back
# would keep it waiting, and holds up the others by a millisecond or two.
MAX_AT_ONCE = 1024
_CHARACTERS_PER_TEXT = 32  # that a text counts for in addition to its own
_MAX_BATCH = 32
_RETRY_AFTER = {b"retry-after": b"1"}


class Work:
    """Computes requests: one thread does the long ones, in the order of their arrival.

    One thread per process: the network runs without Python's lock, and the event loop has the
    processor meanwhile; more processors are used by more processes.
    """

    def __init__(self, settings: Settings, gauge: Gauge) -> None:
        self._max_waiting = settings.queue
        self._timeout = settings.timeout
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="textgate-serve")
        self._gauge = gauge
        self._arrived: dict[Classifier, deque[_Arrived]] = {}
        self._are_alone = True  # texts, in the turn before
        self.waiting = 0  # requests that were accepted and are not done, the one computed included

    async def run(
        self, texts: Sequence[str], function: Callable[[], _T], *, at_once: bool = True
    ) -> _T:
        """Run a function that classifies texts, and return its result.

        Args:
            texts: the texts.
            function: classifies them.
            at_once: whether it may run in the event loop if the texts are short.

        Raises:
            Problem: too many requests are waiting, or this one has waited too long.
        """
        if at_once and sum(map(len, texts)) + _CHARACTERS_PER_TEXT * len(texts) <= MAX_AT_ONCE:
            return function()
        if self.waiting > self._max_waiting:  # one is computed, the others wait
            raise Problem(503, f"{self._max_waiting} requests are waiting; try again", _RETRY_AFTER)
        self.waiting += 1
        self._gauge.inc()
        future = self._threads.submit(function)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda done: self._done(loop, done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout)
        except TimeoutError:
            raise Problem(
                503, f"not computed within {self._timeout:g} s; try again", _RETRY_AFTER
            ) from None

    async def predict(self, classifier: Classifier, text: str) -> Prediction:
        """Return the prediction for a text of at most `MAX_AT_ONCE` characters."""
        loop = asyncio.get_running_loop()
        arrived = self._arrived.get(classifier)
        if arrived is None:
            arrived = self._arrived[classifier] = deque()
            loop.call_soon(self._predict_arrived, loop, classifier)
            if self._are_alone:
                return classifier.predict(text)
        future: asyncio.Future[Prediction] = loop.create_future()
        arrived.append((text, future))
        return await future

    def _predict_arrived(self, loop: asyncio.AbstractEventLoop, classifier: Classifier) -> None:
        """Predict the texts that arrived; one batch in each turn."""
        arrived = self._arrived[classifier]
        computed = self._are_alone  # the first text of this turn
        self._are_alone = len(arrived) + computed <= 1
        batch = [arrived.popleft() for _ in range(min(len(arrived), _MAX_BATCH))]
        if arrived:
            loop.call_soon(self._predict_arrived, loop, classifier)
        else:
            del self._arrived[classifier]
        if not batch:
            return
        try:
            texts = [text for text, _ in batch]
            predictions = (
                [classifier.predict(texts[0])]
                if len(texts) == 1
                else classifier.decide(classifier.scores(texts))
            )
        except Exception as problem:  # of any kind: it is each request's
            for _, future in batch:
                if not future.done():
                    future.set_exception(problem)
            return
        for (_, future), prediction in zip(batch, predictions, strict=True):
            if not future.done():  # else the request was given up
                future.set_result(prediction)

    def close(self) -> None:
        """Release the thread after its current work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, loop: asyncio.AbstractEventLoop, _: Future[_T]) -> None:
        def count() -> None:
            self.waiting -= 1
            self._gauge.dec()

        if not loop.is_closed():
            loop.call_soon_threadsafe(count)
