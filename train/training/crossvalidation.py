"""Cross-validation of few rows: what the folds choose, and every row's out-of-fold logits.

Every row is predicted by networks that were not trained on it. These predictions choose the
penalties, the number of epochs, the scale of the linear branch and the temperature. The final
network is then trained on all rows with these choices.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.errors import CheckpointError
from textgate.train.text.bigrams import find_features
from textgate.train.training.calibration import (
    bounded_temperature,
    calibrated_losses,
    is_clearly_lower,
    mean_loss,
    mixed_scales,
    preferred,
)
from textgate.train.training.checkpoint import (
    OutOfFoldEpoch,
    read_tensors,
    reporting_damage,
    write_tensors,
)
from textgate.train.training.fold_trainers import FoldTrainer
from textgate.train.training.loop import train_epochs
from textgate.train.training.objective import label_weights
from textgate.train.training.probe import (
    PROBE_PENALTIES,
    find_space,
    head_logits,
    pooled_states,
    solve_heads,
)
from textgate.train.training.progress import Progress
from textgate.train.training.scoring import score_of
from textgate.train.training.solver import PENALTIES, can_be_solved, solve_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Architecture, Output
    from textgate.train.data.dataset import Dataset
    from textgate.train.data.folds import Folds, Part
    from textgate.train.network.model import TextClassifier
    from textgate.train.training.config import TrainingConfig
    from textgate.train.training.initialization import Initialization
    from textgate.train.training.probe import Head, Projection

    Report = Callable[[int, float], None]

_NO_LOSS = float("inf")
_PLAUSIBLE_EPOCHS = 5
_MIN_WHOLE_ROWS = 500  # with fewer, pretrained weights are kept halfway, see `fold_trainers`
# Norm of the logits of a network trained on all of a few rows, compared with those out of fold:
# 1.14 with 8 rows of each label, 1.16 with 24, on dev rows of sst2 and trec.
_GROWTH = 1.15


@dataclass(frozen=True)
class FoldChoices:
    """What the folds chose, and the out-of-fold logits of that.

    Attributes:
        linear_penalty: penalty of the linear branch; None without a branch that is solved.
        head_penalty: penalty of the initial head; None for random initial weights.
        epochs: number of epochs; 0 keeps the layers frozen and the initial head.
        fraction: fraction of the way from the initial to the trained weights.
        network_scale: factor of the recurrent part's logits in the final network, which are larger
            than out of fold if rows are few; 0 leaves the linear branch alone.
        linear_scale: factor of the linear branch's logits in the final network.
        temperature: divisor of the sum of both.
        logits: out-of-fold logits with these choices, before the temperature, float32 [rows,
            labels].
        linear_loss: calibrated log loss of the linear branch alone, in nats; infinite without.
        frozen_loss: the same of the frozen layers; infinite without a pretrained encoder.
        history: result of every epoch of the folds: log loss and score out of fold.
    """

    linear_penalty: float | None
    head_penalty: float | None
    epochs: int
    fraction: float
    network_scale: float
    linear_scale: float
    temperature: float
    logits: NDArray[np.float32]
    linear_loss: float
    frozen_loss: float
    history: tuple[OutOfFoldEpoch, ...]


class CrossValidation:
    """The folds of one training.

    Args:
        architecture: the network.
        config: the settings.
        rows: all training rows.
        targets: targets of the rows that are in a fold, float32 [measured, labels].
        weights: weights of these rows, float32 [measured]; None weighs all the same.
        folds: the folds of `rows`.
        initialization: the initial values of the network.
        device: where to compute.
        kept: file that keeps the results of finished folds until the training is finished; None for
            none.
        progress: receives the steps.
        report: is called after each fold with its number, from 1 on, and the lowest log loss that
            any epoch has on the rows of the folds until then.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: TrainingConfig,
        rows: Dataset,
        *,
        targets: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        folds: Folds,
        initialization: Initialization,
        device: torch.device,
        kept: Path | None,
        progress: Progress,
        report: Report | None = None,
    ) -> None:
        self._architecture, self._config, self._rows = architecture, config, rows
        self._targets, self._weights, self._folds = targets, weights, folds
        self._parts = tuple(folds.parts())
        self._initialization, self._device, self._kept = initialization, device, kept
        self._progress, self._report = progress, report
        self._multi_label = architecture.task == "multi-label"

    def choose(self, encoder: TextClassifier | None) -> FoldChoices:
        """Run the folds and return their choices.

        Args:
            encoder: a network with the pretrained layers; None without any.

        Raises:
            ConfigError: training diverged.
            CheckpointError: the results of finished folds are damaged, belong to other folds, or
                cannot be written.
        """
        linear_penalty, linear, linear_loss = self._solve_linear()
        head_penalty, frozen, frozen_loss, heads = self._solve_heads(encoder)
        candidates: dict[tuple[float, int], NDArray[np.float32]] = {}
        if frozen is not None:
            candidates[0.0, 0] = frozen
        if not self._config.frozen:
            candidates |= self._train_folds(heads)
        scales, mixed, losses = {}, {}, {}
        for candidate, logits in candidates.items():
            scales[candidate] = mixed_scales(
                logits,
                linear,
                self._targets,
                multi_label=self._multi_label,
                weights=self._weights,
            )
            mixed[candidate] = mix(logits, linear, scales[candidate])
            losses[candidate] = self._losses(mixed[candidate])
        order = sorted(mixed, key=_plausibility)
        best = order[preferred([losses[candidate] for candidate in order], self._weights)]
        fraction, epochs = best
        growth = _GROWTH if self._are_few else 1.0
        found = FoldChoices(
            linear_penalty=linear_penalty,
            head_penalty=head_penalty,
            epochs=epochs,
            fraction=fraction,
            network_scale=scales[best][0] / growth,
            linear_scale=scales[best][1] / growth,
            temperature=self._temperature(mixed[best]),
            logits=mixed[best],
            linear_loss=linear_loss,
            frozen_loss=frozen_loss,
            history=tuple(
                self._epoch(number, logits, mean_loss(losses[of, number], self._weights))
                for (of, number), logits in mixed.items()
                if number and of == (fraction or order[-1][0])
            ),
        )
        if linear is None or not is_clearly_lower(
            self._losses(linear), losses[best], self._weights
        ):
            return found
        return dataclasses.replace(
            found,
            epochs=0,
            network_scale=0.0,
            linear_scale=1.0 / growth,
            temperature=self._temperature(linear),
            logits=linear,
        )

    @property
    def _are_few(self) -> bool:
        return len(self._rows) < _MIN_WHOLE_ROWS

    def _temperature(self, logits: NDArray[np.float32]) -> float:
        return bounded_temperature(
            logits, self._targets, multi_label=self._multi_label, weights=self._weights
        )

    def _loss(self, logits: NDArray[np.float32]) -> float:
        return mean_loss(self._losses(logits), self._weights)

    def _losses(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return calibrated_losses(
            logits, self._targets, multi_label=self._multi_label, weights=self._weights
        )

    def _preferred(self, candidates: Sequence[NDArray[np.float32]]) -> int:
        """Return the candidate to use; of those that are as good, one in the middle of the list."""
        middle = len(candidates) // 2
        order = sorted(range(len(candidates)), key=lambda index: abs(index - middle))
        losses = [self._losses(candidates[index]) for index in order]
        return order[preferred(losses, self._weights)]

    def _epoch(self, number: int, logits: NDArray[np.float32], loss: float) -> OutOfFoldEpoch:
        score = score_of(
            logits, self._targets, multi_label=self._multi_label, weights=self._weights
        )
        return OutOfFoldEpoch(number, 0.0, loss, score, 0.0)

    def _solve_linear(self) -> tuple[float | None, NDArray[np.float32] | None, float]:
        """Return the best penalty of the linear branch, its logits out of fold, and their loss."""
        if self._initialization.features is None or not can_be_solved(self._architecture):
            return None, None, _NO_LOSS
        sums = linear_out_of_fold(
            self._rows,
            self._parts,
            self._targets,
            config=self._config,
            output=self._architecture.output,
        )
        candidates = list(sums / self._folds.repetitions)
        best = self._preferred(candidates)
        return PENALTIES[best], candidates[best], self._loss(candidates[best])

    def _solve_heads(
        self, encoder: TextClassifier | None
    ) -> tuple[float | None, NDArray[np.float32] | None, float, list[Head | None]]:
        """Return the head's best penalty, its logits, their loss, and the head of each fold."""
        if encoder is None:
            return None, None, _NO_LOSS, [None] * len(self._parts)
        pooled = pooled_states(encoder, self._rows)
        sums, heads = heads_out_of_fold(
            pooled,
            self._rows,
            self._parts,
            self._targets,
            projection=self._initialization.projection,
            config=self._config,
            output=self._architecture.output,
        )
        candidates = list(sums / self._folds.repetitions)
        best = self._preferred(candidates)
        of_best: list[Head | None] = [of[best] for of in heads]
        return PROBE_PENALTIES[best], candidates[best], self._loss(candidates[best]), of_best

    def _train_folds(
        self, heads: Sequence[Head | None]
    ) -> dict[tuple[float, int], NDArray[np.float32]]:
        """Return the recurrent part's logits out of fold, by tuned fraction and epoch."""
        done = self._finished_folds()
        architecture = dataclasses.replace(
            self._architecture, linear_size=0, linear_tokens=0, linear_buckets=0
        )
        total, fractions = len(heads), self._fractions(pretrained=heads[0] is not None)
        found = {
            (fraction, epoch): np.zeros_like(self._targets)
            for fraction in fractions
            for epoch in range(1, self._config.epochs + 1)
        }
        for number, part in enumerate(self._parts):
            name = str(number)
            if name not in done:
                recorder = FoldTrainer(
                    architecture,
                    self._config,
                    self._rows.subset(part.inside),
                    self._rows.subset(part.held_out),
                    fractions=fractions,
                    device=self._device,
                    initialization=dataclasses.replace(
                        self._initialization, features=None, solution=None, head=heads[number]
                    ),
                )
                steps = len(part.inside) * self._config.epochs
                self._progress.begin(f"fold {number + 1} of {total}", steps)
                train_epochs(recorder, lambda _: None, _Steps(self._progress))
                self._progress.end()
                done[name] = torch.from_numpy(np.stack(recorder.logits))
                if self._kept is not None:
                    write_tensors(self._kept, done, {"folds": self._fingerprint()})
            for epoch, of_epoch in enumerate(done[name].numpy(), start=1):
                for fraction, logits in zip(fractions, of_epoch, strict=True):
                    found[fraction, epoch][part.positions] += logits / self._folds.repetitions
            if self._report is not None:
                self._report(number + 1, self._lowest_loss(number + 1, list(found.values())))
        return found

    def _lowest_loss(self, folds: int, candidates: Sequence[NDArray[np.float32]]) -> float:
        """Return the lowest log loss of the candidates on the rows of the first folds."""
        rows = np.unique(np.concatenate([part.positions for part in self._parts[:folds]]))
        targets = self._targets[rows]
        return min(
            float(calibrated_losses(one[rows], targets, multi_label=self._multi_label).mean())
            for one in candidates
        )

    def _fractions(self, *, pretrained: bool) -> tuple[float, ...]:
        """Return the fractions of the way from the initial to the trained weights to try."""
        if not pretrained:
            return (1.0,)
        return (0.5,) if self._are_few else (0.5, 1.0)

    def _finished_folds(self) -> dict[str, torch.Tensor]:
        if self._kept is None or not self._kept.is_file():
            return {}
        with reporting_damage(self._kept):
            tensors, values = read_tensors(self._kept)
        own = self._fingerprint()
        if values.get("folds", own) != own:  # an earlier release did not record them
            raise CheckpointError(
                f"{self._kept.parent}: begun with other folds; give the same --group-field and "
                "groups, or start again in another folder"
            )
        return tensors

    def _fingerprint(self) -> str:
        return hashlib.sha256(np.stack(self._folds.assignments).tobytes()).hexdigest()


def linear_out_of_fold(
    rows: Dataset,
    parts: Sequence[Part],
    targets: NDArray[np.float32],
    *,
    config: TrainingConfig,
    output: Output,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the out-of-fold logits of the linear branch with each penalty.

    Args:
        rows: the training rows.
        parts: the folds, of one or several repetitions.
        targets: targets of the rows that are in a fold, float32 [measured, labels].
        config: the settings.
        output: the output of the network.
        progress: receives the rows of every fold.

    Returns:
        Their sums over the repetitions, float32 [penalties, measured, labels].
    """
    sums = np.zeros((len(PENALTIES), *targets.shape), dtype=np.float32)
    for part in parts:
        subset = rows.subset(part.inside)
        features = find_features(
            subset.sequences, subset.targets, max_buckets=config.linear_buckets
        )
        solved = solve_all(
            features,
            subset,
            rows.subset(part.held_out),
            output=output,
            weights=label_weights(subset.targets, config.class_weights, subset.weights),
        )
        for total, (_, logits) in zip(sums, solved, strict=True):
            total[part.positions] += logits
        if progress is not None:
            progress.step(len(part.inside))
    return sums


def heads_out_of_fold(
    pooled: NDArray[np.float32],
    rows: Dataset,
    parts: Sequence[Part],
    targets: NDArray[np.float32],
    *,
    projection: Projection | None,
    config: TrainingConfig,
    output: Output,
) -> tuple[NDArray[np.float32], list[list[Head]]]:
    """Return the out-of-fold logits of the solved head with each penalty.

    Args:
        pooled: frozen states of all training rows, float32 [rows, pooled].
        rows: the training rows.
        parts: the folds, of one or several repetitions.
        targets: targets of the rows that are in a fold, float32 [measured, labels].
        projection: the projection of the states to sentence embeddings, if any.
        config: the settings.
        output: the output of the network.

    Returns:
        Their sums over the repetitions, float32 [penalties, measured, labels], and the heads of
        each fold, one per penalty.
    """
    sums = np.zeros((len(PROBE_PENALTIES), *targets.shape), dtype=np.float32)
    found: list[list[Head]] = []
    for part in parts:
        states, inside = pooled[part.inside], rows.subset(part.inside)
        solved = solve_heads(
            find_space(states, projection),
            states,
            inside.targets,
            output=output,
            weights=label_weights(inside.targets, config.class_weights, inside.weights),
            row_weights=inside.weights,
        )
        found.append(list(solved))
        for total, head in zip(sums, found[-1], strict=True):
            total[part.positions] += head_logits(head, pooled[part.held_out])
    return sums, found


def _plausibility(candidate: tuple[float, int]) -> tuple[int, int]:
    """Return the rank of a fraction and a number of epochs among candidates that are as good.

    Half of the way after some epochs comes first, then the frozen layers, then the whole way, which
    needs the most rows, after few epochs.
    """
    fraction, epochs = candidate
    distance = abs(epochs - _PLAUSIBLE_EPOCHS) if fraction == 0.5 else epochs
    return (0.5, 0.0, 1.0).index(fraction), distance


class _Steps(Progress):
    """Progress of the steps alone: a fold has one bar for all its epochs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def step(self, rows: int) -> None:
        self._progress.step(rows)


def mix(
    network: NDArray[np.float32],
    linear: NDArray[np.float32] | None,
    scales: tuple[float, float],
) -> NDArray[np.float32]:
    """Return the sum of both parts' logits, each times its factor, float32 [rows, labels]."""
    mixed = np.float32(scales[0]) * network
    return mixed if linear is None else mixed + np.float32(scales[1]) * linear
