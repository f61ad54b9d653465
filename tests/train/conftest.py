"""Fixtures of the tests of training. torch is imported late, as they are skipped without it."""

from __future__ import annotations

import multiprocessing
import signal
import time

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=["rnn", "lstm", "gru"])
def finished(request, separable, quick, tmp_path_factory):
    """A finished run with two labels, for each cell."""
    from textgate.train import fit

    return fit(
        separable(240),
        tmp_path_factory.mktemp("runs") / request.param,
        dev=separable(60, seed=1),
        settings={**quick, "cell": request.param},
    )


# Stopping


class Stopped(BaseException):
    """Training was interrupted."""


@pytest.fixture(scope="session")
def hearing():
    """A progress that keeps the notes, and stops after some epochs and steps of the next one."""
    from textgate.train.training.progress import Progress

    class Hearing(Progress):
        def __init__(self, epochs=-1, steps=0):
            self.epochs, self.steps, self.notes = epochs, steps, []

        def note(self, message):
            self.notes.append(message)

        def step(self, rows):  # noqa: ARG002
            if self.epochs == 0:
                self.steps -= 1
                if self.steps == 0:
                    raise Stopped

        def end_epoch(self, epoch, **_):  # noqa: ARG002
            self.epochs -= 1
            if self.epochs == 0 and self.steps == 0:
                raise Stopped

    return Hearing


@pytest.fixture(scope="session")
def stop(hearing):
    """Starts some work and stops it after some epochs and steps of the next one."""

    def stop(work, *arguments, epochs, steps=0, **options):
        with pytest.raises(Stopped):
            work(*arguments, progress=hearing(epochs, steps), **options)

    return stop


@pytest.fixture(scope="session")
def start():
    """Starts code with variables in a process that has imported the slow packages already."""
    context = multiprocessing.get_context("forkserver")
    bert = "transformers.models.bert.modeling_bert"
    context.set_forkserver_preload(["pytest", "textgate.train.fitting", bert])

    def start(code, **variables):
        process = context.Process(target=exec, args=(code, variables))
        process.start()
        return process

    return start


@pytest.fixture(scope="session")
def kill():
    """Waits for a condition and for some more seconds, and kills a process."""

    def kill(name, process, condition, delay):
        try:
            deadline = time.monotonic() + 120
            while not condition():
                assert process.is_alive(), f"{name}: it ended too early"
                assert time.monotonic() < deadline, name
                time.sleep(0.002)
            time.sleep(delay)
        finally:
            process.kill()
            process.join()
        assert process.exitcode == -signal.SIGKILL, f"{name}: it ended too early"

    return kill


@pytest.fixture(scope="session")
def rewritten():
    """Makes a condition for `kill`: a file exists and has been written since."""

    def rewritten(path):
        before = path.stat().st_mtime_ns if path.exists() else 0
        return lambda: path.exists() and path.stat().st_mtime_ns > before

    return rewritten
