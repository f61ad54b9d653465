"""Benchmark of one or several bundles: the whole measurement of `textgate bench`.

For each length and batch size, tokenizing, running and both together are timed for every bundle, in
alternation and on the same texts. A fixed piece of work in between shows whether the machine was
quiet. Afterwards the answers of the timed calls are compared with plain predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from textgate.bench.agreement import PlainAnswers, agreements
from textgate.bench.coldstart import ColdStart, cold_starts
from textgate.bench.machine import this_machine
from textgate.bench.noise import clock_governor, fixed_work, noise_in
from textgate.bench.results import Benchmark, Line, Measured, Ratio, Times
from textgate.bench.timing import (
    bootstrap_percentile_intervals,
    bootstrap_ratio_interval,
    measure_alternating,
    percentiles,
    ratio_of_medians,
    texts_of_length,
)
from textgate.bundle.hub_name import folder_name
from textgate.bundle.storage import file_sizes
from textgate.errors import ConfigError

if TYPE_CHECKING:
    from textgate.inference.classifier import Classifier

_WORDS = 500  # frequent words that the texts are made of
_TEXTS = 16  # different calls of a workload, made in turn
_PROCESSES = 5  # per bundle, for its cold start
_MIN_SECONDS = 0.01  # of processor time, so that the clock's steps are small beside it
_FIXED = ("", "fixed work")

_Kind: TypeAlias = Literal["words", "file"]


def measure(
    paths: Sequence[Path],
    *,
    lengths: Sequence[int],
    batch_sizes: Sequence[int],
    duration: float,
    threads: int | Literal["auto"] = 1,
    own_texts: Sequence[str] = (),
    engines: Sequence[str] = ("auto",),
) -> Benchmark:
    """Measure bundles side by side.

    Args:
        paths: the bundles' folders; ratios are to the first.
        lengths: tokens of the texts to make; those over a bundle's limit are left out.
        batch_sizes: texts per call.
        duration: seconds for each bundle at each length and batch size.
        threads: threads inside one call.
        own_texts: the user's own texts, measured besides the made texts or instead of them.
        engines: engines that compute the networks; each bundle is measured with each of them.

    Raises:
        BundleError: a bundle cannot be loaded, or the timed answers are not its predictions.
        ConfigError: no length fits, the bundles share no word, or one is given twice.
        TextgateError: a fresh process fails.
    """
    from textgate.inference.classifier import Classifier
    from textgate.inference.threads import thread_count

    machine = this_machine()  # before this run itself loads it
    measured = {
        name if len(engines) == 1 else f"{name} ({engine})": (path, engine)
        for name, path in zip(bundle_names(paths), paths, strict=True)
        for engine in engines
    }
    names = list(measured)
    classifiers = {
        name: Classifier.load(path, threads=threads, batch_size=max(batch_sizes), engine=engine)
        for name, (path, engine) in measured.items()
    }
    sources = _sources(classifiers, lengths, max(batch_sizes), own_texts)
    answers = {name: PlainAnswers(classifier) for name, classifier in classifiers.items()}
    lines: list[Line] = []
    fixed: list[list[int]] = []
    for kind, tokens, texts in sources:
        for batch_size in batch_sizes:
            batches = _batches(texts, batch_size)
            times = _time(classifiers, answers, batches, duration)
            fixed.append(times.pop(_FIXED))
            first = times[names[0], "both"]
            for name, classifier in classifiers.items():
                both = times[name, "both"]
                lines.append(
                    Line(
                        bundle=name,
                        texts=kind,
                        tokens=tokens,
                        batch_size=batch_size,
                        tokenize=_times(times[name, "tokenize"]),
                        run=_times(times[name, "run"]),
                        both=_times(both),
                        quantiles=_quantiles(both),
                        texts_per_second_per_core=_throughput(classifier, batches, duration / 4),
                        ratio=None if name == names[0] else _ratio(both, first),
                    )
                )
    everything = list(dict.fromkeys(text for _, _, texts in sources for text in texts))
    starts = cold_starts(measured, everything[0], processes=_PROCESSES, threads=threads)
    labels = {name: classifier.labels for name, classifier in classifiers.items()}
    return Benchmark(
        machine=machine,
        governor=clock_governor(),
        threads=thread_count(threads),
        noise=noise_in(fixed),
        bundles=tuple(
            _measured(name, classifier, starts[name]) for name, classifier in classifiers.items()
        ),
        lines=tuple(lines),
        agreements=tuple(agreements(answers, labels, everything)),
    )


def measure_together(
    classifiers: Mapping[str, Classifier], *, tokens: int, seconds: float = 1.0
) -> dict[str, float]:
    """Return the median time of one prediction of each classifier, in milliseconds.

    They are timed in alternation, each on texts of `tokens` of its own words.

    Args:
        classifiers: the classifiers, by name.
        tokens: tokens of each text.
        seconds: time for all of them together.
    """
    workloads = {
        name: in_turn(
            classifier.predict, texts_of_length(classifier.stages().words(_WORDS), tokens, _TEXTS)
        )
        for name, classifier in classifiers.items()
    }
    times = measure_alternating(workloads, seconds=seconds)
    return {name: percentiles(values).p50 for name, values in times.items()}


def bundle_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each folder, or the whole path if two have the same.

    Raises:
        ConfigError: a folder is given twice.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise ConfigError(f"the bundle {path} is given twice")
        seen.add(path.resolve())
    short = [folder_name(path) for path in paths]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, paths, strict=True)
    ]


def in_turn(
    function: Callable[[Any], object], arguments: Sequence[Any], results: list[Any] | None = None
) -> Callable[[], object]:
    """Return a call that takes the next argument each time.

    Args:
        function: the function to call.
        arguments: its arguments, at least one.
        results: a list as long as the arguments, for the last result with each of them.
    """
    index = -1
    kept = [None] * len(arguments) if results is None else results

    def call() -> object:
        nonlocal index
        index = (index + 1) % len(arguments)
        kept[index] = function(arguments[index])
        return kept[index]

    return call


def _sources(
    classifiers: Mapping[str, Classifier],
    lengths: Sequence[int],
    max_batch: int,
    own_texts: Sequence[str],
) -> list[tuple[_Kind, int, list[str]]]:
    """Return the texts to measure with: their kind, their tokens, and the texts themselves."""
    stages = [classifier.stages() for classifier in classifiers.values()]
    sources: list[tuple[_Kind, int, list[str]]] = []
    if lengths:
        limit = min(classifier.manifest.max_tokens for classifier in classifiers.values())
        fitting = [tokens for tokens in dict.fromkeys(lengths) if tokens <= limit]
        if not fitting:
            raise ConfigError(f"every length is over the bundle's {limit} tokens")
        words = stages[0].words(_WORDS)
        if len(stages) > 1:
            known = [set(stage.words(1_000_000)) for stage in stages[1:]]
            words = [word for word in words if all(word in each for each in known)]
        if not words:
            raise ConfigError(
                "the bundles have no word in common to make texts of; "
                "give them texts with --text-file"
            )
        count = _TEXTS * max_batch
        sources += [("words", tokens, texts_of_length(words, tokens, count)) for tokens in fitting]
    if own_texts:
        tokens = sorted(len(encoded.ids) for encoded in stages[0].encode(own_texts))
        sources.append(("file", tokens[len(tokens) // 2], list(own_texts)))
    return sources


def _batches(texts: Sequence[str], batch_size: int) -> list[list[str]]:
    """Return the texts in whole batches; if they are too few, they are repeated."""
    enough = [*texts] * -(-batch_size // len(texts))
    return [
        enough[at : at + batch_size] for at in range(0, len(enough) - batch_size + 1, batch_size)
    ]


def _time(
    classifiers: Mapping[str, Classifier],
    answers: Mapping[str, PlainAnswers],
    batches: list[list[str]],
    duration: float,
) -> dict[tuple[str, str], list[int]]:
    """Return the nanoseconds of the calls by bundle and stage, after checking the answers."""
    workloads: dict[tuple[str, str], Callable[[], object]] = {}
    ran: dict[str, list[Any]] = {name: [None] * len(batches) for name in classifiers}
    predicted: dict[str, list[Any]] = {name: [None] * len(batches) for name in classifiers}
    for name, classifier in classifiers.items():
        stages = classifier.stages()
        encoded = [stages.encode(batch) for batch in batches]
        workloads[name, "tokenize"] = in_turn(stages.encode, batches)
        workloads[name, "run"] = in_turn(stages.run, encoded, ran[name])
        workloads[name, "both"] = in_turn(_predict(classifier), batches, predicted[name])
    workloads[_FIXED] = fixed_work
    times = measure_alternating(workloads, seconds=duration * len(classifiers))
    for name, plain in answers.items():
        for batch, probabilities, predictions in zip(
            batches, ran[name], predicted[name], strict=True
        ):
            if probabilities is not None:  # the time may be over before every batch had its turn
                plain.check(batch, probabilities.tolist(), stage="run")
            if predictions is not None:
                rows = [list(prediction.scores.values()) for prediction in predictions]
                plain.check(batch, rows, stage="both")
    return times


def _predict(classifier: Classifier) -> Callable[[list[str]], object]:
    """Return the call that a user makes for one batch: of one text, or of several."""

    def predict(batch: list[str]) -> object:
        if len(batch) == 1:
            return [classifier.predict(batch[0])]
        return list(classifier.predict_many(batch))

    return predict


def _throughput(classifier: Classifier, batches: list[list[str]], seconds: float) -> float:
    """Return the texts predicted per second of processor time, summed over all threads."""
    call, size = in_turn(_predict(classifier), batches), len(batches[0])
    texts = 0
    begun, deadline = process_time(), perf_counter() + seconds
    while perf_counter() < deadline or process_time() - begun < _MIN_SECONDS:
        call()
        texts += size
    return texts / (process_time() - begun)


def _ratio(times: Sequence[int], first: Sequence[int]) -> Ratio:
    low, high = bootstrap_ratio_interval(times, first)
    return Ratio(ratio_of_medians(times, first), low, high)


def _times(nanoseconds: Sequence[int]) -> Times:
    found, intervals = percentiles(nanoseconds), bootstrap_percentile_intervals(nanoseconds)
    return Times(
        **vars(found),
        p50_interval=intervals["p50"],
        p90_interval=intervals["p90"],
        p99_interval=intervals["p99"],
    )


def _quantiles(nanoseconds: Sequence[int]) -> tuple[float, ...]:
    ordered = sorted(nanoseconds)
    ranks = (max(1, -(-percent * len(ordered) // 100)) for percent in range(101))
    return tuple(ordered[rank - 1] / 1e6 for rank in ranks)


def _measured(name: str, classifier: Classifier, start: ColdStart) -> Measured:
    manifest = classifier.manifest
    return Measured(
        name=name,
        path=str(classifier.path),
        cell=manifest.architecture.cell,
        precision=manifest.precision,
        max_tokens=manifest.max_tokens,
        bytes=file_sizes(classifier.path),
        cold_start=start,
    )
