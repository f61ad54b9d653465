"""Weights and training states as safetensors files whose header holds the rest as JSON."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError

from textgate.atomic import write_bytes
from textgate.bundle.schema import Fraction, NonNegative, PositiveCount
from textgate.errors import CheckpointError
from textgate.messages import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from textgate.train.training.config import Criterion

FORMAT_VERSION = 1
_ENTRY = "textgate"  # of the file's metadata
_PERFECT_LOSS = 5e-5
_GROUPS = ("weights", "best", "average", "optimizer")  # of a state's tensors


class EpochResult(Protocol):
    """What every kind of training reports of an epoch."""

    @property
    def number(self) -> int:
        """1 for the first epoch."""

    @property
    def train_loss(self) -> float:
        """Mean loss over its examples."""

    @property
    def seconds(self) -> float:
        """Duration."""

    def measures(self, score: str) -> str:
        """Return its measurements as text; `score` is the name of its score."""


@dataclass(frozen=True)
class Epoch:
    """Result of one pass over the training rows.

    Attributes:
        number: 1 for the first epoch.
        train_loss: mean loss over its batches, with dropout.
        dev_loss: mean log loss on dev, in nats; calibrated where it chooses the epoch.
        dev_score: accuracy on dev, or macro-F1 for a multi-label task, 0 to 1.
        seconds: duration, including the evaluation on dev.
    """

    number: PositiveCount
    train_loss: float
    dev_loss: float
    dev_score: Fraction
    seconds: NonNegative

    def rank(self, criterion: Criterion = "score") -> tuple[float, float]:
        """Return the sort key of epochs: dev score before dev loss, or loss before score."""
        if criterion == "loss":
            return -self.dev_loss, self.dev_score
        return self.dev_score, -self.dev_loss

    @property
    def perfect(self) -> bool:
        """Whether the loss on dev is 0 to four decimal places."""
        return self.dev_loss < _PERFECT_LOSS

    def improves_on(self, other: Epoch, criterion: Criterion = "score") -> bool:
        """Return whether to keep this epoch rather than an earlier one.

        Of two that are perfect on dev, the later one has learned more from the training rows.
        """
        if self.perfect and other.perfect and self.dev_score == other.dev_score:
            return True
        return self.rank(criterion) > other.rank(criterion)

    def measures(self, score: str) -> str:
        """Return the measurements on dev as text.

        Args:
            score: name of the score.
        """
        return f"dev loss {self.dev_loss:.4f}  dev {score} {self.dev_score:.4f}"


@dataclass(frozen=True)
class OutOfFoldEpoch(Epoch):
    """An epoch whose loss and score are those of the folds after as many epochs."""

    def measures(self, score: str) -> str:
        """Return the measurements out of fold as text; `score` is the name of the score."""
        return f"out of fold: loss {self.dev_loss:.4f}  {score} {self.dev_score:.4f}"


EpochT = TypeVar("EpochT", bound=EpochResult)


@dataclass
class TrainingState(Generic[EpochT]):
    """Everything that resuming needs.

    Attributes:
        weights: the network's tensors by name.
        best_weights: those of the best epoch so far; {} before the first epoch has ended.
        optimizer: Adam's tensors, by ``<parameter>/<moment>``.
        average: moving average of the weights by name; {} without averaging.
        history: the finished epochs.
        best_epoch: number of the best one, 0 before the first has ended.
        step: steps so far, in all epochs.
        loss: sum of the losses so far in the current epoch.
        examples: number of losses in that sum.
        seconds: time spent on the current epoch so far.
    """

    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, torch.Tensor] = field(default_factory=dict)
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[EpochT] = field(default_factory=list)
    best_epoch: int = 0
    step: int = 0
    loss: float = 0.0
    examples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainedModel:
    """Trained weights and their quality on dev.

    Attributes:
        weights: tensors of the best epoch by name.
        temperature: the divisor of the logits that calibrates the probabilities on dev.
        metrics: quality on dev by name: ``accuracy``, ``macro_f1``, and the expected calibration
            errors ``ece`` and ``ece_uncalibrated``, all from 0 to 1.
        history: every epoch.
        best_epoch: number of the epoch that the weights are from.
    """

    weights: dict[str, torch.Tensor]
    temperature: float
    metrics: dict[str, float]
    history: list[Epoch]
    best_epoch: int

    @property
    def uses_network(self) -> bool:
        """Whether the recurrent part adds to the logits, and not the linear branch alone."""
        last = max(name for name in self.weights if name.startswith("head."))
        return bool(self.weights[last].any())


def save_state(path: Path, state: TrainingState[Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        CheckpointError: it cannot be written.
    """
    scored = state.average or state.weights
    # Of the best weights, only those that are not in the file already.
    best = {
        name: value for name, value in state.best_weights.items() if value is not scored.get(name)
    }
    groups = (state.weights, best, state.average, state.optimizer)
    tensors = {
        f"{group}/{name}": value
        for group, values in zip(_GROUPS, groups, strict=True)
        for name, value in values.items()
    }
    values = {
        "history": _to_json(state.history),
        "best_epoch": state.best_epoch,
        "step": state.step,
        "loss": state.loss,
        "positions": state.examples,
        "seconds": state.seconds,
    }
    write_tensors(path, tensors, values)


def load_state(path: Path, epoch: type[EpochT]) -> TrainingState[EpochT]:
    """Return a checkpoint that `save_state` wrote.

    Args:
        path: the file.
        epoch: class of the epochs in its history.

    Raises:
        CheckpointError: it is damaged or has another format version.
    """
    with reporting_damage(path):
        tensors, values = read_tensors(path)
        groups: dict[str, dict[str, torch.Tensor]] = {name: {} for name in _GROUPS}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        best_epoch = int(values["best_epoch"])
        scored = groups["average"] or groups["weights"]
        return TrainingState(
            weights=groups["weights"],
            best_weights={**scored, **groups["best"]} if best_epoch else {},
            optimizer=groups["optimizer"],
            average=groups["average"],
            history=[epoch(**item) for item in values["history"]],
            best_epoch=best_epoch,
            # Older checkpoints have the rest only if they are of pretraining.
            step=int(values.get("step", 0)),
            loss=float(values.get("loss", 0.0)),
            examples=int(values.get("positions", 0)),
            seconds=float(values.get("seconds", 0.0)),
        )


def save_model(path: Path, model: TrainedModel) -> None:
    """Write a trained model atomically.

    Raises:
        CheckpointError: it cannot be written.
    """
    values = {
        "temperature": model.temperature,
        "metrics": model.metrics,
        "history": _to_json(model.history),
        "best_epoch": model.best_epoch,
    }
    write_tensors(path, model.weights, values)


def load_model(path: Path) -> TrainedModel:
    """Return a model that `save_model` wrote.

    Raises:
        CheckpointError: it is missing, damaged or has another format version.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent}: training has not finished; continue it with textgate train --resume"
        )
    with reporting_damage(path):
        tensors, values = read_tensors(path)
        return TrainedModel(
            weights=tensors,
            temperature=float(values["temperature"]),
            metrics={name: float(value) for name, value in values["metrics"].items()},
            history=[Epoch(**epoch) for epoch in values["history"]],
            best_epoch=int(values["best_epoch"]),
        )


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON-ready values atomically as one file with a checksum.

    Raises:
        CheckpointError: it cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "format_version": FORMAT_VERSION,
        "sha256": _sha256(contiguous, values),
        "values": values,
    }
    # One entry, because safetensors writes several in random order.
    metadata = {_ENTRY: json.dumps(header)}
    write_atomically(path, safetensors.torch.save(contiguous, metadata))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file; if that fails, the previous file stays as it was.

    Raises:
        CheckpointError: it cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be written: {problem.strerror}") from None


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the values that `write_tensors` wrote.

    Call it inside `reporting_damage`.

    Raises:
        CheckpointError: the file has another format version.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {})[_ENTRY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    version = header["format_version"]
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {version}, this release reads {FORMAT_VERSION}; train "
            "again, or use the textgate release that wrote it"
        )
    values = header["values"]
    if header["sha256"] != _sha256(tensors, values):
        raise ValueError("it does not match its checksum")
    return tensors, values


def file_sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None


def restore_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load the weights of a checkpoint into a network.

    Raises:
        CheckpointError: they belong to another network.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as problem:
        first_line = str(problem).splitlines()[0]
        raise CheckpointError(f"the checkpoint does not fit the network: {first_line}") from None


@contextmanager
def reporting_damage(path: Path) -> Iterator[None]:
    """Turn the exceptions that a damaged file causes into `CheckpointError`."""
    try:
        yield
    except KeyError as problem:
        raise CheckpointError(f"{path}: damaged: it has no {problem}") from None
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as problem:
        raise CheckpointError(f"{path}: damaged or unreadable: {reason(problem)}") from None


def _sha256(tensors: Mapping[str, torch.Tensor], values: dict[str, Any]) -> str:
    """Return a digest of a file's contents, because safetensors has none of its own."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode("utf-8"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _to_json(history: Sequence[object]) -> list[dict[str, Any]]:
    return [vars(epoch) for epoch in history]
