"""Search of a tuning: which trials are made, until when, and what is chosen.

The default recipe is the first trial. If few trials would fit into the time, the next ones are
trained on a part of the rows, and the best of them on all rows.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from textgate.bundle.run import Tuning
from textgate.errors import CheckpointError, ConfigError
from textgate.messages import counted
from textgate.tables import format_bytes, format_ms
from textgate.train.fitting import Tuned
from textgate.train.training.progress import duration
from textgate.train.training.scoring import score_name
from textgate.train.training.settings import format_setting
from textgate.train.trial import HopelessError, OutOfTimeError, Watch
from textgate.train.tuning.choice import choose, expect
from textgate.train.tuning.limits import Cost
from textgate.train.tuning.search import Search
from textgate.train.tuning.space import Family, find_dimensions
from textgate.train.tuning.trials import Table, Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from textgate.train.preparation import Preparation
    from textgate.train.training.progress import Progress
    from textgate.train.trial import Laboratory
    from textgate.train.tuning.limits import Limits
    from textgate.train.tuning.search import Proposal
    from textgate.train.tuning.trials import Record, State

_RECIPE, _NO_ENCODER = "recipe", "no encoder"  # names of families
_PERFECT_LOSS = 5e-5
_FEW_TRIALS = 10  # if fewer fit into the time, the first ones have a part of the rows
_MIN_SAMPLE = 1000
_SAMPLE_TIME = 0.5  # of the time, for trials on a part of the rows
_MAX_REPEATS = 20


class Tuner:
    """A search: which trials are made, until when, and what is chosen.

    Args:
        laboratory: makes the trials.
        first: the preparation of the default recipe.
        record: the trials so far.
        kept: the file that keeps them.
        limits: limits of size and latency.
        has_other_family: whether networks without the encoder may be tried, if there are limits.
        begun: value of `time.monotonic` at the beginning, as if it had not been interrupted.
        budget: duration of the search, in seconds.
        progress: receives notes and steps.
    """

    def __init__(
        self,
        laboratory: Laboratory,
        first: Preparation,
        record: Record,
        kept: Path,
        *,
        limits: Limits,
        has_other_family: bool,
        begun: float,
        budget: float,
        progress: Progress,
    ) -> None:
        self._laboratory, self._first = laboratory, first
        self._record, self._kept, self._limits = record, kept, limits
        self._begun, self._budget, self._progress = begun, budget, progress
        self._has_other_family = has_other_family
        self._score = score_name(multi_label=first.manifest.architecture.task == "multi-label")

    @property
    def _left(self) -> float:
        """Seconds that are left."""
        return self._budget - (monotonic() - self._begun)

    def run(self) -> None:
        """Make trials until the time is over, or until nothing is left to try.

        Raises:
            ConfigError: no network is within the limits.
            CheckpointError: the file of trials cannot be written.
        """
        families = self._families()
        varied = dict.fromkeys(
            one.name for family in families for one in family.dimensions if one.is_varied
        )
        if not varied:
            raise ConfigError(
                "every setting that tuning varies is given; leave --tune or some options out"
            )
        trials = self._record.trials
        if trials and trials[-1].state == "out of time":  # there may be time now
            del trials[-1]
        self._complete_costs()
        self._write()
        self._progress.note(
            f"tuning for at most {duration(self._budget)}, {self._measured_on()}; varied are "
            f"{', '.join(varied)}"
        )
        if not trials:
            self._try({})
        if not any(map(self._is_allowed, trials)):
            smallest = families[0].settings(families[0].smallest())
            self._try(smallest, encoder=families[0].name == _RECIPE)
        reference = next((one for one in trials if one.state == "finished"), None)
        if reference is None:
            self._progress.note(
                "the time is over before any trial has finished: --tune needs more of it here"
            )
            return
        if self._is_perfect():
            self._progress.note("no trial can be better on these rows")
            return
        if self._record.sample is None:
            self._record.sample = self._sample(reference)
        if self._left < reference.seconds / 2:
            self._progress.note(
                f"the first trial took {duration(reference.seconds)}, so the time is too short for "
                "others"
            )
            return
        if self._record.sample:
            self._search_with_a_sample(families, reference)
        else:
            proposed = [one for one in trials if one.parameters]
            self._search(Search(families, seed=self._seed, trials=proposed), reference)

    @property
    def _seed(self) -> int:
        return self._first.config.seed

    def _families(self) -> list[Family]:
        """Return the networks to choose from, of which some are within the limits.

        Raises:
            ConfigError: none are.
        """
        families = [self._family(_RECIPE)]
        if not self._limits.given:
            return families
        if self._has_other_family:
            families.append(self._family(_NO_ENCODER))
        costs = [self._smallest_cost(family) for family in families]
        found = [
            family for family, cost in zip(families, costs, strict=True) if self._limits.allow(cost)
        ]
        if found:
            return [self._limited(family) for family in found]
        limits, problems = self._limits, []
        smallest = min(cost.bytes for cost in costs)
        if limits.max_bytes is not None and smallest > limits.max_bytes:
            problems.append(
                f"at most {format_bytes(limits.max_bytes)}: the smallest has about "
                f"{format_bytes(smallest)}"
            )
        times = [cost.latency_ms for cost in costs if cost.latency_ms is not None]
        if limits.max_latency_ms is not None and min(times) > limits.max_latency_ms:
            problems.append(
                f"at most {format_ms(limits.max_latency_ms)} for a text of {limits.tokens} "
                f"tokens: the fastest takes about {format_ms(min(times))}"
            )
        wish = " and ".join(problems) or "both limits together"
        raise ConfigError(f"no network that tuning can choose has {wish}; raise the limit")

    def _family(self, name: str) -> Family:
        ready = self._laboratory.prepared({}, encoder=name == _RECIPE)
        return Family(
            name,
            find_dimensions(
                ready.config,
                self._record.inputs.settings,
                ready.manifest.architecture,
                pretrained=ready.manifest.pretrained is not None,
                sentence_encoder=ready.initialization.projection is not None,
                folds=ready.folds is not None,
            ),
        )

    def _limited(self, family: Family) -> Family:
        return family.limited(lambda values: self._limits.allow(self._cost_of(family, values)))

    def _smallest_cost(self, family: Family) -> Cost:
        return self._cost_of(family, family.smallest())

    def _cost_of(self, family: Family, values: Mapping[str, Any]) -> Cost:
        settings = family.settings(values)
        return self._cost(self._laboratory.prepared(settings, encoder=family.name == _RECIPE))

    def _cost(self, ready: Preparation) -> Cost:
        return self._limits.measure(ready.manifest.architecture, ready.tokenizer_json)

    def _sample(self, reference: Trial) -> int:
        """Return the number of rows of the first trials; 0 for all rows."""
        rows = len(self._first.train)
        if self._first.folds or self._left >= _FEW_TRIALS * reference.seconds:
            return 0
        if rows < 2 * _MIN_SAMPLE:
            return 0
        fraction = _SAMPLE_TIME * self._left / (_FEW_TRIALS * max(reference.seconds, 1e-9))
        return min(rows // 2, max(_MIN_SAMPLE, round(rows * fraction)))

    def _search_with_a_sample(self, families: Sequence[Family], reference: Trial) -> None:
        """Make trials on a part of the rows, then try the best of them on all rows."""
        sample = self._record.sample or 0
        trials = self._record.trials
        reserved = max(_SAMPLE_TIME * self._left, 1.2 * reference.seconds)
        on_sample = [one for one in trials if one.rows == sample]
        if not on_sample:
            self._progress.note(
                f"the first trials are trained on {sample:,} of {len(self._first.train):,} rows"
            )
            self._try(
                reference.settings, encoder=reference.encoder, sample=sample, reserved=reserved
            )
            on_sample = trials[-1:]
        compared = on_sample[0]
        if compared.state != "finished" or compared.log_loss is None:
            return
        search = Search(families, seed=self._seed, trials=on_sample[1:])
        self._search(search, compared, sample=sample, reserved=reserved)
        tried = [(one.encoder, one.settings) for one in trials if one.rows != sample]
        better = [
            one
            for one in trials
            if one.rows == sample and one.log_loss is not None and one.log_loss < compared.log_loss
        ]
        for one in sorted(better, key=lambda trial: trial.log_loss or 0.0):
            expected = reference.seconds * one.seconds / max(compared.seconds, 1e-9)
            if (one.encoder, one.settings) in tried or self._left < expected:
                continue
            self._try(one.settings, encoder=one.encoder, parameters=one.parameters)

    def _search(
        self, search: Search, reference: Trial, *, sample: int = 0, reserved: float = 0.0
    ) -> None:
        """Make trials that a search proposes, as long as one like the reference may finish.

        Args:
            search: the search.
            reference: an earlier trial with as many rows.
            sample: number of training rows; 0 for all.
            reserved: seconds to leave over.
        """
        repeats = 0
        known = {
            (one.encoder, _frozen(one.settings)): one.log_loss
            for one in self._record.trials
            if one.rows == reference.rows and one.state == "finished"
        }
        while self._left - reserved > reference.seconds / 2 and not self._is_perfect():
            proposal = search.propose()
            encoder = proposal.family.name == _RECIPE
            key = encoder, _frozen(proposal.settings)
            if key in known:
                search.finish(proposal, known[key])
                repeats += 1
                if repeats == _MAX_REPEATS:
                    return
                continue
            trial = self._try(
                proposal.settings,
                encoder=encoder,
                parameters=proposal.parameters,
                sample=sample,
                reserved=reserved,
                search=search,
                proposal=proposal,
            )
            search.finish(proposal, trial.log_loss)
            if trial.state == "finished":
                known[key] = trial.log_loss

    def _is_perfect(self) -> bool:
        """Return whether nothing can be better than what was found."""
        return any(
            one.loss < _PERFECT_LOSS and bool(one.right.all())
            for number, one in self._record.answers.items()
            if self._is_allowed(self._record.trials[number])
        )

    def _try(
        self,
        settings: Mapping[str, Any],
        *,
        encoder: bool = True,
        parameters: Mapping[str, Any] | None = None,
        sample: int = 0,
        reserved: float = 0.0,
        search: Search | None = None,
        proposal: Proposal | None = None,
    ) -> Trial:
        """Make a trial and keep it.

        Raises:
            ConfigError: the default recipe diverged.
            CheckpointError: the trial cannot be kept.
        """
        number, started = len(self._record.trials), monotonic()

        def is_hopeless(step: int, loss: float) -> bool:
            if search is None or proposal is None:
                return False
            return search.is_hopeless(proposal, step, loss)

        deadline = started + self._left - reserved
        watch = Watch(self._progress, f"trial {number}", deadline, is_hopeless)
        state: State = "finished"
        cost, answered, problem = None, None, None
        try:
            cost = self._cost(self._laboratory.prepared(settings, encoder=encoder))
            if self._limits.allow(cost):
                answered = self._laboratory.train(settings, watch, encoder=encoder, sample=sample)
            else:
                state = "over the limit"
        except OutOfTimeError:
            state = "out of time"
        except HopelessError:
            state = "given up"
        except ConfigError as error:
            if number == 0:
                raise
            state, problem = "failed", error
        finally:
            self._progress.end()
        trial = Trial(
            number=number,
            state=state,
            settings=dict(settings),
            encoder=encoder,
            parameters=dict(parameters or {}),
            rows=sample or len(self._first.train),
            seconds=monotonic() - started,
            losses=tuple(watch.losses),
            log_loss=None if answered is None else answered.loss,
            score=None if answered is None else answered.score,
            bundle_bytes=0 if cost is None else cost.bytes,
            latency_ms=None if cost is None else cost.latency_ms,
        )
        self._record.trials.append(trial)
        if answered is not None and not sample:
            self._record.answers[number] = answered
        self._write()
        self._progress.note(self._line(trial, problem))
        return trial

    def _write(self) -> None:
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise CheckpointError(f"{self._kept}: cannot be written: {problem.strerror}") from None
        self._record.write(self._kept)

    def _complete_costs(self) -> None:
        """Estimate the latency of the finished trials of a time in which it had no limit."""
        if self._limits.max_latency_ms is None:
            return
        for number, trial in enumerate(self._record.trials):
            if trial.state == "finished" and trial.latency_ms is None:
                cost = self._cost(self._laboratory.prepared(trial.settings, encoder=trial.encoder))
                self._record.trials[number] = replace(trial, latency_ms=cost.latency_ms)

    def _is_allowed(self, trial: Trial) -> bool:
        if self._limits.max_latency_ms is not None and trial.latency_ms is None:
            return False
        return self._limits.allow(Cost(trial.bundle_bytes, trial.latency_ms))

    def _best(self) -> tuple[list[int], int]:
        """Return the numbers of the trials to choose from, and that of the chosen one.

        Without any, the chosen one is the first that is within the limits.
        """
        trials = self._record.trials
        numbers = [number for number in self._record.answers if self._is_allowed(trials[number])]
        if not numbers:
            return [], next((one.number for one in trials if self._is_allowed(one)), 0)
        candidates = [self._record.answers[number] for number in numbers]
        return numbers, numbers[choose(candidates, 0 if numbers[0] == 0 else None)]

    def conclude(self) -> tuple[Trial, Tuned]:
        """Return the chosen trial, and what is kept with the run."""
        trials, limits = self._record.trials, self._limits
        numbers, best = self._best()
        seconds = monotonic() - self._begun
        expected = {}
        if len(numbers) > 1:
            candidates = [self._record.answers[number] for number in numbers]
            default = 0 if numbers[0] == 0 else None
            expected = vars(expect(candidates, default, seed=self._seed))
        chosen = trials[best]
        accuracy = expected.get("accuracy")
        summary = Tuning(len(trials), chosen.number, seconds, accuracy)
        wishes = {"max_bytes": limits.max_bytes, "max_latency_ms": limits.max_latency_ms}
        table = Table(
            budget_seconds=self._budget,
            seconds=seconds,
            measured_on=self._measured_on(),
            limits={name: float(value) for name, value in wishes.items() if value is not None},
            chosen=chosen.number,
            expected=expected,
            trials=tuple(trials),
        )
        self._progress.note(
            f"{counted(len(trials), 'trial', 'trials')} in {duration(seconds)}; trial "
            f"{chosen.number} is used: {_described(chosen)}"
        )
        again = f", which takes about {duration(chosen.seconds)}" if chosen.log_loss else ""
        self._progress.note(f"the training with these settings comes now{again}")
        return chosen, Tuned(summary, table.to_json())

    def interrupted(self) -> str:
        """Return what to say about an interruption."""
        trials = self._record.trials
        if not trials:
            return "interrupted before the first trial was finished"
        _, best = self._best()
        done = counted(len(trials), "trial is", "trials are")
        return (
            f"{done} kept in {self._kept}; the best so far is trial {best}: "
            f"{_described(trials[best])}. --resume continues; with a time that is over already, "
            "such as --tune 1s, it trains with these settings at once"
        )

    def _measured_on(self) -> str:
        rows = len(self._first.dev)
        if self._first.folds:
            return f"out of fold on {rows:,} rows, {self._first.folds.count} folds"
        return f"on {counted(rows, 'dev row', 'dev rows')}"

    def _line(self, trial: Trial, problem: Exception | None) -> str:
        """Return what is said about a trial."""
        unit = "fold" if self._first.folds else "epoch"
        done = counted(len(trial.losses), unit, f"{unit}s")
        results = {
            "finished": f"log loss {trial.log_loss or 0.0:.4f}, {self._score} "
            f"{trial.score or 0.0:.4f}",
            "given up": f"given up after {done}",
            "out of time": f"out of time after {done}",
            "failed": f"failed: {problem}",
            "over the limit": f"over the limit, {format_bytes(trial.bundle_bytes)}"
            + (f", {format_ms(trial.latency_ms)}" if trial.latency_ms is not None else ""),
        }
        _, best = self._best()
        loss = self._record.trials[best].log_loss
        so_far = f"; best: trial {best}, {loss:.4f}" if loss is not None else ""
        return (
            f"trial {trial.number}: {results[trial.state]}, {duration(trial.seconds)} "
            f"({_described(trial)}){so_far}; {duration(max(0.0, self._left))} left"
        )


def _frozen(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(settings.items()))


def _described(trial: Trial) -> str:
    """Return what differs from the default recipe."""
    parts = [] if trial.encoder else ["no encoder"]
    parts += [f"{name} {format_setting(value)}" for name, value in trial.settings.items()]
    return ", ".join(parts) or "the default recipe"
