"""Tries bundles one after the other; may crash, and says before each what it is about to try.

    python worker.py KIND SEED FIRST STOP STEP

Standard output has two lines a case: its number, then its outcome as JSON.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import tempfile
from functools import cache
from pathlib import Path

import cases

from textgate import Classifier, Prediction
from textgate.bundle.storage import read_bundle
from textgate.errors import BundleError, ConfigError, TextgateError

MAX_MEMORY = 4 * 2**30  # bytes of address space
_MUCH_MEMORY = 2**20  # KiB that one case may add to the resident memory


def outcome(kind: str, number: int, seed: int, folder: Path) -> tuple[str, str]:
    """Return what class a case falls into, and what there is to say about it."""
    origin, content, told = cases.case(kind, number, seed)
    for path in folder.iterdir():
        path.unlink()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    try:
        read_bundle(folder)
    except BundleError as problem:
        return "refused", _one_line(problem, told)
    try:
        classifier = Classifier.load(folder)
        answers = _answers(classifier)
    except TextgateError as problem:
        return "refused when it was run", _one_line(problem, told)
    if kind == "damaged":
        same = answers == _sound_answers(origin)
        return ("same answer" if same else "BAD: another answer"), told
    wrong = [answer for answer in answers if not _is_proper(answer, classifier)]
    if wrong:
        return "BAD: no probabilities", f"{told}: {wrong[0]}"
    return "answered", told


def _answers(classifier: Classifier) -> list[Prediction]:
    """Return the answers to texts one by one, to all together, and to one that is streamed."""
    answers = [classifier.predict(text) for text in cases.TEXTS]
    answers += classifier.predict_many(cases.TEXTS)
    try:
        stream = classifier.stream()
    except ConfigError:  # it is not of a kind that can
        return answers
    return [*answers, stream.feed("a good "), stream.feed("bad film", final=True)]


@cache
def _sound_answers(folder: Path) -> list[Prediction]:
    return _answers(Classifier.load(folder))


def _is_proper(answer: Prediction, classifier: Classifier) -> bool:
    values = list(answer.scores.values())
    return (
        len(values) == len(classifier.labels)
        and all(math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6 for value in values)
        and (classifier.manifest.task == "multi-label" or abs(sum(values) - 1) < 1e-3)
    )


def _one_line(problem: BaseException, told: str) -> str:
    message = str(problem)
    if "\n" in message:
        raise AssertionError(f"a message of several lines: {message!r}")
    return f"{told}: {message}"


def main() -> None:
    """Try the cases that the arguments name."""
    kind, (seed, first, stop, step) = sys.argv[1], map(int, sys.argv[2:6])
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # AddressSanitizer maps terabytes
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bundle"
        folder.mkdir()
        # A library has no business on standard output: what appears there is caught, and a defect.
        report = os.fdopen(os.dup(1), "w", encoding="utf-8")
        stray = (Path(temporary) / "stray").open("w+b")
        os.dup2(stray.fileno(), 1)
        for number in range(first, stop, step):
            print(number, file=report, flush=True)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                found, told = outcome(kind, number, seed, folder)
            except BaseException as problem:  # a Rust panic is no Exception
                found, told = f"BAD: {type(problem).__name__}", repr(problem)[:500]
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            if grown > _MUCH_MEMORY:
                found, told = "BAD: memory", f"{grown / 2**20:.1f} GiB more; {found}; {told}"
            sys.stdout.flush()
            stray.seek(0)
            if written := stray.read():
                found, told = "BAD: written on standard output", f"{written[:300]!r}; {found}"
                stray.truncate(0)
                stray.seek(0)
            print(json.dumps([found, told[:800]]), file=report, flush=True)


if __name__ == "__main__":
    main()
