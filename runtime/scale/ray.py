"""Ray Data: a data set classified by a pool of actors, and a corpus classified into a folder."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgate.errors import ConfigError, DataError, needing
from textgate.messages import quoted, reason

with needing("ray", "textgate.scale.ray"):
    from textgate.scale.results import classified_tables, require_texts
from textgate.scale.job import Job, bundle_files, open_classifier, open_job
from textgate.scale.worker import Place, Worker

if TYPE_CHECKING:
    from types import ModuleType

    import pyarrow as pa
    from ray.data import ActorPoolStrategy, Dataset

    from textgate.inference.classifier import Classifier

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray starts: no telemetry


def classify(
    dataset: Dataset,
    model: str | Path | None = None,
    text: str | tuple[str, ...] = "text",
    *,
    scores: bool = False,
    abstain_below: float | None = None,
    max_tokens: int | None = None,
    engine: str | None = None,
    ship: bool = True,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
) -> Dataset:
    """Return the rows of a data set with the columns of their results.

    The columns are ``label``, ``score``, ``reason``, ``truncated`` and ``error``. A row without a
    text has an error and no label. A column of the data set with one of these names becomes
    ``input.NAME``.

    Args:
        dataset: the rows.
        model: the bundle, as for `Classifier.load`.
        text: the column of the texts, or several, which are joined with line ends.
        scores: whether to add the column ``scores``, the probabilities of all labels.
        abstain_below: give no label whose probability is below this; None for the bundle's own
            thresholds.
        max_tokens: how many tokens of a text are read; None for the bundle's limit.
        engine: the engine, as for `Classifier.load`; the same one on every node.
        ship: whether the files of the bundle travel to the nodes. Otherwise they are read on every
            node from the folder that they have here, and must be the same.
        concurrency: the number of actors, or the least and the largest number; None for as many as
            there are free processors.
        num_cpus: the processors that an actor occupies; it uses one.

    Raises:
        BundleError: the bundle cannot be loaded.
        ConfigError: a setting is out of range.
        MissingPackageError: Ray is not installed.
    """
    job, path = open_job(
        model,
        text=text,
        scores=scores,
        abstain_below=abstain_below,
        max_tokens=max_tokens,
        engine=engine,
    )
    if not 0 < num_cpus < math.inf:
        raise ConfigError(f"num_cpus must be a number above 0, not {quoted(num_cpus)}")
    size = _size((1, _processors(num_cpus)) if concurrency is None else concurrency)
    schema = dataset.schema(fetch_if_missing=False)
    if schema is not None:
        require_texts(schema.names, job)
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(job, _shipped(path) if ship else path),
        batch_format="pyarrow",
        batch_size=None,  # a block, which the actor cuts by the length of its texts
        zero_copy_batch=True,
        compute=_pool(*size),
        num_cpus=num_cpus,
    )


def execute(job: Job, path: Path, place: Place, groups: Sequence[str]) -> Iterator[str]:
    """Do groups of partitions on the actors of a cluster; the driver's part of `run`.

    Args:
        job: the job.
        path: the bundle.
        place: where the corpus and the results are.
        groups: the groups, as `encoded_group` returns them.

    Raises:
        DataError: Ray gave up.
    """
    ray = start()
    data = ray.data
    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # It says that there are no progress bars.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    actors = min(_processors(1), len(groups))
    rows = data.from_items([{"group": group} for group in groups], override_num_blocks=len(groups))
    done = rows.map_batches(
        _GroupActor,
        fn_constructor_args=(job, _shipped(path), place),
        batch_format="pyarrow",
        batch_size=1,
        compute=_pool(actors, actors),
        num_cpus=1,
    )
    try:
        for row in done.iter_rows():
            yield row["outcome"]
    except ray.exceptions.RayError as problem:
        # The cause follows the stack of the task, before those of Ray.
        cause = re.search(r"^[\w.]+(?:Error|Exception): .*", str(problem), re.MULTILINE)
        why = reason(problem) if cause is None else cause[0]
        raise DataError(f"Ray gave up: {why}; the same command does the rest") from None


class _Shipped:
    """The files of a bundle in the object store, which brings them to a node once."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._reference = start().put(dict(files))

    def files(self) -> Mapping[str, bytes]:
        found: Mapping[str, bytes] = start().get(self._reference)
        return found


def _shipped(path: Path) -> _Shipped:
    return _Shipped(bundle_files(path))


def start() -> ModuleType:
    """Return Ray, connected to the cluster of RAY_ADDRESS or of this machine, or started here.

    Raises:
        ConfigError: the cluster cannot be reached.
        MissingPackageError: Ray is not installed.
    """
    with needing("ray", "textgate.scale.ray"):
        import ray
        import ray.data
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as problem:
            raise ConfigError(
                f"Ray cannot start: {reason(problem)}; RAY_ADDRESS names its cluster, if it is set"
            ) from None
    return ray  # type: ignore[no-any-return]


def _size(concurrency: int | tuple[int, int]) -> tuple[int, int]:
    """Return the least and the largest number of actors."""
    size = (concurrency, concurrency) if isinstance(concurrency, int) else concurrency
    match size:
        case (int(least), int(largest)) if 1 <= least <= largest:
            return least, largest
    raise ConfigError(
        "concurrency must be a number of actors from 1 on, or the least and the largest number, "
        f"not {quoted(concurrency)}"
    )


def _pool(least: int, largest: int) -> ActorPoolStrategy:
    return start().data.ActorPoolStrategy(min_size=least, max_size=largest)


def _processors(num_cpus: float) -> int:
    return max(1, int(start().cluster_resources().get("CPU", 1) // num_cpus))


def _files(bundle: Path | _Shipped) -> Path | Mapping[str, bytes]:
    return bundle if isinstance(bundle, Path) else bundle.files()


class _Actor:
    """Classifies blocks of a data set with one session, opened by the first of them.

    An error of the constructor would reach the user without its message.
    """

    def __init__(self, job: Job, bundle: Path | _Shipped) -> None:
        self._job = job
        self._bundle = bundle
        self._classifier: Classifier | None = None

    def __call__(self, table: pa.Table) -> Iterator[pa.Table]:
        if self._classifier is None:
            self._classifier = open_classifier(self._job, _files(self._bundle))
        yield from classified_tables(self._classifier, self._job, table)


class _GroupActor:
    """Does groups of partitions with one session."""

    def __init__(self, job: Job, bundle: _Shipped, place: Place) -> None:
        self._worker = Worker(job, bundle.files(), place)

    def __call__(self, table: pa.Table) -> dict[str, Any]:
        groups = table.column("group").to_pylist()
        return {"outcome": [self._worker.run(group) for group in groups]}
