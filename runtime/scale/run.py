"""A corpus classified into a folder of results by the workers of an engine, and continued."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from textgate.errors import ConfigError, DataError
from textgate.messages import counted
from textgate.scale.folders import Folder
from textgate.scale.job import Job
from textgate.scale.ledger import Done, Ledger
from textgate.scale.partitions import Corpus, Partition, corpus, groups, require_texts
from textgate.scale.worker import Failure, Outcome, Place, encoded_group

# Does groups of partitions on the workers and yields their outcomes as they come.
Execute: TypeAlias = Callable[[Place, Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Summary:
    """The results in a folder.

    Attributes:
        partitions: how many there are.
        before: how many of them were finished before.
        rows: the rows, each with one result.
        errors: the rows with an error instead of a label.
    """

    partitions: int
    before: int
    rows: int
    errors: int

    def __str__(self) -> str:
        text = f"{counted(self.partitions, 'partition', 'partitions')}, "
        text += counted(self.rows, "row", "rows")
        if self.errors:
            text += f", {self.errors:,} of them with an error"
        return f"{text}; {self.before:,} were finished before" if self.before else text


def run(
    job: Job,
    source: str,
    output: str,
    execute: Execute,
    *,
    note: Callable[[str], object],
) -> Summary:
    """Classify a corpus into a folder, all but what is finished there.

    What a worker could not do is given to the workers again, as long as some of it gets done: a
    node may be short of something that another one has.

    Args:
        job: the job.
        source: the corpus: a file, a folder, or a pattern; a path or an address.
        output: the folder of the results, a path or an address.
        execute: does the work.
        note: receives notes for the user.

    Raises:
        DataError: there is no corpus, or no file of it has texts, the folder holds other results,
            or partitions are left that no worker could finish.
        ConfigError: the results would lie in the corpus, or no filesystem is known for an address.
    """
    folder = Folder(output)
    found = corpus(source)
    read, partitions = found.folder, found.partitions
    _refuse_nested(found, folder)
    require_texts(read, partitions, job.columns)
    ledger = Ledger(folder, read, job)
    ledger.begin()
    ledger.sweep()
    finished = ledger.finished(partitions)
    before = len(finished)
    place = Place(read.address, folder.address)
    left = [partition for partition in partitions if partition.output not in finished]
    while left:
        failures: dict[str, Failure] = {}
        progress = False
        for outcome in _outcomes(execute, place, left):
            progress = progress or bool(outcome.done)
            finished |= {done.partition.output: done for done in outcome.done}
            failures |= {failure.output: failure for failure in outcome.failed}
        left = [partition for partition in left if partition.output not in finished]
        if left and not progress:
            first = failures.get(left[0].output, Failure(left[0].output, "no worker answered"))
            raise DataError(
                f"{folder.name}: {len(left):,} of {len(partitions):,} partitions cannot be "
                f"finished, such as {first.output}: {first.message}; the same command does the rest"
            )
        if left:
            note(f"{counted(len(left), 'partition', 'partitions')} failed; trying again")
    ledger.sweep()
    return _summary(finished.values(), before)


def _outcomes(execute: Execute, place: Place, left: list[Partition]) -> Iterator[Outcome]:
    for outcome in execute(place, [encoded_group(group) for group in groups(left)]):
        yield Outcome.decoded(outcome)


def _summary(finished: Iterable[Done], before: int) -> Summary:
    all_of_them = list(finished)
    return Summary(
        partitions=len(all_of_them),
        before=before,
        rows=sum(done.rows for done in all_of_them),
        errors=sum(done.errors for done in all_of_them),
    )


def _refuse_nested(found: Corpus, folder: Folder) -> None:
    """Refuse to write results that would be taken for a part of the corpus."""
    read = found.folder
    if read.filesystem.type_name != folder.filesystem.type_name:
        return
    within = f"{folder.resolved}/".startswith(f"{read.resolved}/")
    inside = folder.resolved[len(read.resolved) + 1 :]
    if within and any(
        not inside or found.pattern.fullmatch(f"{inside}/{partition.output}")
        for partition in found.partitions
    ):
        raise ConfigError(
            f"{folder.name}: its files would match the pattern of the corpus in {read.name}; "
            "choose another folder"
        )
