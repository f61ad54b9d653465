"""How a graph stores and computes its weights, piece by piece."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture

EMBEDDING_BITS = (4, 8)
# From so many labels on, the last dense layer is large enough to be worth storing as int8.
_LARGE_OUTPUT = 200


class Storage(StrEnum):
    """How the weights of a layer are kept."""

    FLOAT32 = "float32"
    STORED = "stored as int8, computed in float32"
    COMPUTED = "stored and computed as int8"


@dataclass(frozen=True)
class Plan:
    """How every piece of a graph is stored and computed.

    Attributes:
        embedding_bits: 32, or 8 or 4 for integer rows with a scale each.
        cells: storage of the recurrent layers. ONNX Runtime has an integer kernel for LSTM alone:
            for the other cells COMPUTED means STORED.
        per_channel: a scale for every row of a recurrent matrix, instead of one for the matrix.
        exceptions: recurrent layers with another storage, as (index, storage).
        output: storage of the last dense layer, FLOAT32 or STORED.
    """

    embedding_bits: int
    cells: Storage
    per_channel: bool = True
    exceptions: tuple[tuple[int, Storage], ...] = ()
    output: Storage = Storage.FLOAT32

    def __str__(self) -> str:
        if self == FLOAT32:
            return "float32"
        grain = "per channel" if self.per_channel else "per tensor"
        return f"int8 {grain}, {self.embedding_bits}-bit embedding"

    def storage(self, index: int, cell: str) -> Storage:
        """Return the storage of a recurrent layer."""
        storage = dict(self.exceptions).get(index, self.cells)
        if storage is Storage.COMPUTED and cell != "lstm":
            return Storage.STORED
        return storage

    def with_layer(self, index: int, storage: Storage) -> Plan:
        """Return the plan with another storage for one recurrent layer."""
        exceptions = {**dict(self.exceptions), index: storage}
        return dataclasses.replace(self, exceptions=tuple(sorted(exceptions.items())))


FLOAT32 = Plan(embedding_bits=32, cells=Storage.FLOAT32)
INT8 = Plan(embedding_bits=8, cells=Storage.COMPUTED)


@dataclass(frozen=True)
class Raise:
    """One piece of a plan with more precision.

    Attributes:
        what: the piece and its new form, in words.
        plan: the plan with it.
        added_bytes: about how much larger the graph becomes.
    """

    what: str
    plan: Plan
    added_bytes: int


def integer_plan(architecture: Architecture, *, embedding_bits: int) -> Plan:
    """Return the plan that quantizes all that is worth it."""
    large = architecture.output_units >= _LARGE_OUTPUT
    return dataclasses.replace(
        INT8,
        embedding_bits=embedding_bits,
        output=Storage.STORED if large else Storage.FLOAT32,
    )


def raises(architecture: Architecture, plan: Plan) -> list[Raise]:
    """Return the single steps by which a plan can gain precision, the cheapest first."""
    net = architecture
    steps = []
    cells = net.vocabulary_size * net.embedding_size
    if plan.embedding_bits == 4:
        finer = dataclasses.replace(plan, embedding_bits=8)
        steps.append(Raise("embedding from 4 to 8 bits", finer, cells // 2))
    elif plan.embedding_bits == 8:
        finer = dataclasses.replace(plan, embedding_bits=32)
        steps.append(Raise("embedding from 8 bits to float32", finer, 3 * cells))
    for index, (inputs, hidden) in enumerate(zip(net.input_sizes, net.hidden_sizes, strict=True)):
        storage = plan.storage(index, net.cell)
        name = f"{net.cell}_{index + 1}"
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[net.cell]
        weights = net.directions * gates * hidden * (inputs + hidden)
        if storage is Storage.COMPUTED:
            finer = plan.with_layer(index, Storage.STORED)
            steps.append(Raise(f"{name} to int8 storage computed in float32", finer, 0))
        elif storage is Storage.STORED:
            finer = plan.with_layer(index, Storage.FLOAT32)
            steps.append(Raise(f"{name} to float32", finer, 3 * weights))
    if plan.output is Storage.STORED:
        finer = dataclasses.replace(plan, output=Storage.FLOAT32)
        steps.append(Raise("output to float32", finer, 3 * net.output_units * net.pooled_size))
    return sorted(steps, key=lambda step: step.added_bytes)
