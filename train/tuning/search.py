"""Search by Optuna: what to try next, and what to give up early.

The study is in memory. The trials are kept by `textgate.train.tuning.trials`, in a file of tensors
and JSON, and a resumed search is told about them; nothing is unpickled.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textgate.errors import needing

with needing("tune", "tuning"):
    import optuna

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textgate.train.tuning.space import Dimension, Family
    from textgate.train.tuning.trials import Trial

_FAMILY = "network"  # parameter of the study
_PRUNED_AFTER = 3  # finished trials
_DRAWN_TRIALS = 8  # at random before a model of the earlier ones proposes the next


@dataclass(frozen=True)
class Proposal:
    """Something to try.

    Attributes:
        trial: Optuna's trial.
        family: the networks it is one of.
        settings: the settings that differ from the recipe's.
    """

    trial: optuna.Trial
    family: Family
    settings: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the study."""
        return dict(self.trial.params)


class Search:
    """A search for the settings with the lowest log loss.

    Args:
        families: the networks to choose from.
        seed: seed of what is drawn.
        trials: the trials of an interrupted search, which were proposed by it.
    """

    def __init__(self, families: Sequence[Family], *, seed: int, trials: Sequence[Trial]) -> None:
        self._families = {one.name: one for one in families}
        sampler = optuna.samplers.TPESampler(
            seed=seed + len(trials), n_startup_trials=_DRAWN_TRIALS
        )
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_PRUNED_AFTER)
        with _quiet():
            self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        for one in trials:
            self._replay(one)
        first = [self._parameters(families[0], values) for values in families[0].neighbours()]
        for parameters in first[len(trials) :]:
            self._study.enqueue_trial(parameters)

    def propose(self) -> Proposal:
        """Return the next thing to try."""
        trial = self._study.ask()
        names = list(self._families)
        name = trial.suggest_categorical(_FAMILY, names) if len(names) > 1 else names[0]
        family = self._families[name]
        values = {one.name: _suggested(trial, family, one) for one in family.dimensions}
        return Proposal(trial, family, family.settings(values))

    def is_hopeless(self, proposal: Proposal, step: int, loss: float) -> bool:
        """Report a loss of a trial, and return whether earlier trials had lower ones at that step.

        Args:
            proposal: what is tried.
            step: number of epochs or folds until now.
            loss: log loss after them.
        """
        proposal.trial.report(loss, step)
        return bool(proposal.trial.should_prune())

    def finish(self, proposal: Proposal, loss: float | None) -> None:
        """Report the result of a trial: its log loss, or None if it was given up."""
        if loss is None:
            self._study.tell(proposal.trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(proposal.trial, loss)

    def _parameters(self, family: Family, values: dict[str, Any]) -> dict[str, Any]:
        """Return all parameters of the study for some values, the others being the first ones."""
        found = {
            _parameter(family, one): _stored(one, values.get(one.name, one.first))
            for one in family.dimensions
        }
        return {_FAMILY: family.name, **found} if len(self._families) > 1 else found

    def _replay(self, trial: Trial) -> None:
        distributions: dict[str, optuna.distributions.BaseDistribution] = {
            _parameter(family, one): _distribution(one)
            for family in self._families.values()
            for one in family.dimensions
        }
        distributions[_FAMILY] = optuna.distributions.CategoricalDistribution(tuple(self._families))
        # A limit of latency may exclude other values than when the trial was made.
        known = {
            name: value
            for name, value in trial.parameters.items()
            if value in getattr(distributions.get(name), "choices", (value,))
            and name in distributions
        }
        done = trial.state == "finished"
        states = optuna.trial.TrialState
        self._study.add_trial(
            optuna.trial.create_trial(
                state=states.COMPLETE if done else states.PRUNED,
                params=known,
                distributions={name: distributions[name] for name in known},
                value=trial.log_loss if done else None,
                intermediate_values=dict(enumerate(trial.losses, start=1)),
            )
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging that it made a study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _parameter(family: Family, dimension: Dimension) -> str:
    """Return the name of a parameter: a setting has other values in another family."""
    return f"{family.name}: {dimension.name}"


def _stored(dimension: Dimension, value: Any) -> Any:
    """Return a value as the study stores it: what is chosen from a list, as text."""
    return str(value) if dimension.values else value


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    if dimension.values:
        return optuna.distributions.CategoricalDistribution(tuple(map(str, dimension.values)))
    return optuna.distributions.FloatDistribution(
        dimension.low, dimension.high, log=dimension.logarithmic
    )


def _suggested(trial: optuna.Trial, family: Family, dimension: Dimension) -> Any:
    name = _parameter(family, dimension)
    if dimension.values:
        by_text = {str(value): value for value in dimension.values}
        return by_text[trial.suggest_categorical(name, list(by_text))]
    value = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.logarithmic)
    return value if value == dimension.base else float(f"{value:.3g}")
