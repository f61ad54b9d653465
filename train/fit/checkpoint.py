"""Weights on disk: safetensors files whose header carries the rest as JSON, replaced atomically."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError

from textgate.atomic import write_bytes
from textgate.bundle.schema import NonNegative, PositiveCount, Share
from textgate.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FORMAT_VERSION = 1
_ENTRY = "textgate"  # of the file's metadata
_PERFECT = 5e-5


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training rows came to.

    Attributes:
        number: 1 for the first pass.
        train_loss: mean loss over its batches, dropout on.
        dev_loss: mean log loss on dev; calibrated where it chooses the epoch.
        dev_score: accuracy on dev, or macro-F1 for a multi-label task.
        seconds: the time it took, dev included.
    """

    number: PositiveCount
    train_loss: float
    dev_loss: float
    dev_score: Share
    seconds: NonNegative

    def rank(self, criterion: str = "score") -> tuple[float, float]:
        """Return what orders epochs: the score on dev, then the loss on it; or the other way."""
        if criterion == "loss":
            return -self.dev_loss, self.dev_score
        return self.dev_score, -self.dev_loss

    @property
    def perfect(self) -> bool:
        """Whether dev can tell of nothing better: its loss is 0 to four places."""
        return self.dev_loss < _PERFECT

    def improves_on(self, other: Epoch, criterion: str = "score") -> bool:
        """Return whether to keep this epoch rather than an earlier one.

        Of two that are perfect on dev, the later one has learned more from the training rows.
        """
        if self.perfect and other.perfect and self.dev_score == other.dev_score:
            return True
        return self.rank(criterion) > other.rank(criterion)


@dataclass
class TrainingState:
    """Where training stands after an epoch: all that is needed to go on.

    Attributes:
        weights: the network's tensors by name.
        best_weights: those of the best epoch so far.
        optimizer: Adam's tensors, by ``<parameter>/<moment>``.
        average: the moving average of the weights by name; {} if none is kept.
        history: the epochs so far.
        best_epoch: number of the best one, 0 before the first.
    """

    weights: dict[str, torch.Tensor]
    best_weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0


@dataclass(frozen=True)
class TrainedModel:
    """The outcome of a run.

    Attributes:
        weights: the best epoch's tensors by name.
        temperature: fitted on dev.
        metrics: quality on dev, by name.
        history: every epoch.
        best_epoch: number of the epoch the weights are from.
    """

    weights: dict[str, torch.Tensor]
    temperature: float
    metrics: dict[str, float]
    history: list[Epoch]
    best_epoch: int


def save_state(path: Path, state: TrainingState) -> None:
    """Write a checkpoint; the one before is intact until the new one is whole.

    Raises:
        CheckpointError: it cannot be written.
    """
    tensors = {f"weights/{name}": value for name, value in state.weights.items()}
    scored = state.average or state.weights
    tensors |= {
        f"best/{name}": value
        for name, value in state.best_weights.items()
        if value is not scored.get(name)  # else it stands there already
    }
    tensors |= {f"average/{name}": value for name, value in state.average.items()}
    tensors |= {f"optimizer/{name}": value for name, value in state.optimizer.items()}
    write_tensors(
        path, tensors, {"history": _to_json(state.history), "best_epoch": state.best_epoch}
    )


def load_state(path: Path) -> TrainingState:
    """Return the checkpoint that `save_state` wrote.

    Raises:
        CheckpointError: it is damaged or of another version.
    """
    with damage_told(path):
        tensors, values = read_tensors(path)
        groups: dict[str, dict[str, torch.Tensor]] = {
            name: {} for name in ("weights", "best", "average", "optimizer")
        }
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        return TrainingState(
            weights=groups["weights"],
            best_weights={**(groups["average"] or groups["weights"]), **groups["best"]},
            optimizer=groups["optimizer"],
            average=groups["average"],
            history=_from_json(values["history"]),
            best_epoch=int(values["best_epoch"]),
        )


def save_model(path: Path, model: TrainedModel) -> None:
    """Write the outcome of a run.

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
    """Return what `save_model` wrote.

    Raises:
        CheckpointError: it is missing, damaged or of another version.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent}: training has not finished; go on with textgate train --resume"
        )
    with damage_told(path):
        tensors, values = read_tensors(path)
        return TrainedModel(
            weights=tensors,
            temperature=float(values["temperature"]),
            metrics={name: float(value) for name, value in values["metrics"].items()},
            history=_from_json(values["history"]),
            best_epoch=int(values["best_epoch"]),
        )


def save_targets(path: Path, targets: torch.Tensor) -> None:
    """Write what teachers answered, float32 [texts, labels].

    Raises:
        CheckpointError: it cannot be written.
    """
    write_tensors(path, {"targets": targets}, {})


def load_targets(path: Path) -> torch.Tensor:
    """Return what `save_targets` wrote.

    Raises:
        CheckpointError: it is damaged or of another version.
    """
    with damage_told(path):
        tensors, _ = read_tensors(path)
        return tensors["targets"]


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    """Write tensors and JSON-ready values as one file with a checksum, which is whole or absent.

    Raises:
        CheckpointError: it cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "format_version": FORMAT_VERSION,
        "sha256": _sha256(contiguous, values),
        "values": values,
    }
    # One entry: safetensors writes several in an order that changes from run to run.
    metadata = {_ENTRY: json.dumps(header)}
    write_whole(path, safetensors.torch.save(contiguous, metadata))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole or absent, or still the one before.

    Raises:
        CheckpointError: it cannot be written.
    """
    try:
        write_bytes(path, content)
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be written: {problem.strerror}") from None


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the values that `write_tensors` wrote; call it inside `damage_told`.

    Raises:
        CheckpointError: it is of another version.
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
    """Return the checksum of a file, in hexadecimal.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None


def restore_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a network the weights of a checkpoint.

    Raises:
        CheckpointError: they are of another network.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as problem:
        first_line = str(problem).splitlines()[0]
        raise CheckpointError(f"the checkpoint does not fit the network: {first_line}") from None


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what a damaged file may lead to into one error."""
    try:
        yield
    except KeyError as problem:
        raise CheckpointError(f"{path}: damaged: it has no {problem}") from None
    except (OSError, ValueError, TypeError, AttributeError, SafetensorError) as problem:
        reason = " ".join(str(problem).split())
        raise CheckpointError(f"{path}: damaged or unreadable: {reason}") from None


def _sha256(tensors: Mapping[str, torch.Tensor], values: dict[str, Any]) -> str:
    """Return a digest of everything in a file: safetensors has none of its own."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode("utf-8"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _to_json(history: list[Epoch]) -> list[dict[str, Any]]:
    return [vars(epoch) for epoch in history]


def _from_json(history: list[dict[str, Any]]) -> list[Epoch]:
    return [Epoch(**epoch) for epoch in history]
