"""Quantization plan: storage and computation of each piece of a graph."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from textgate.export.quantize.weights import GATE_ORDER

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture

EMBEDDING_BITS = (4, 8)
_MIN_STORED_OUTPUTS = 200  # a last dense layer with fewer units stays in float32


class Storage(StrEnum):
    """Storage and computation of a layer's weights."""

    FLOAT32 = "float32"
    STORED = "stored as int8, computed in float32"
    COMPUTED = "stored and computed as int8"


@dataclass(frozen=True)
class Plan:
    """Storage and computation of every piece of a graph.

    Attributes:
        embedding_bits: 32 for float32, or 8 or 4 for integers.
        cells: storage of the recurrent layers. ONNX Runtime has an integer kernel for LSTM only:
            for the other cells COMPUTED means STORED.
        per_channel: one scale per row of a recurrent matrix instead of one per matrix.
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
        granularity = "per channel" if self.per_channel else "per tensor"
        return f"int8 {granularity}, {self.embedding_bits}-bit embedding"

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
    """A step that gives one piece of a plan more precision.

    Attributes:
        what: description of the piece and its new storage.
        plan: the plan after the step.
        added_bytes: approximate growth of the graph.
    """

    what: str
    plan: Plan
    added_bytes: int


def integer_plan(architecture: Architecture, *, embedding_bits: int) -> Plan:
    """Return the plan that quantizes every piece large enough to matter."""
    large = architecture.output_units >= _MIN_STORED_OUTPUTS
    return dataclasses.replace(
        INT8,
        embedding_bits=embedding_bits,
        output=Storage.STORED if large else Storage.FLOAT32,
    )


def raises(architecture: Architecture, plan: Plan) -> list[Raise]:
    """Return the steps that give a plan more precision, cheapest first."""
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
        weights = net.directions * len(GATE_ORDER[net.cell]) * hidden * (inputs + hidden)
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
