"""Candidates for publication: a graph built by a plan, and its comparison with the original."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from textgate.export.graph.network import build_graph
from textgate.export.quality import MAX_CHANCE_ROWS, Comparison, compare_graphs
from textgate.export.quantize.plan import FLOAT32, Plan, Storage
from textgate.export.quantize.pruning import (
    prune_architecture,
    prune_sequences,
    prune_tokenizer,
    prune_weights,
)
from textgate.export.verification import Readout
from textgate.inference.session import make_session
from textgate.train.training.progress import Progress

if TYPE_CHECKING:
    import onnxruntime

    from textgate.bundle.architecture import Architecture
    from textgate.export.graph.network import NetworkGraph
    from textgate.export.quantize.hessian import Hessians
    from textgate.export.quantize.weights import NetworkWeights
    from textgate.train.data.dataset import Dataset


@dataclass(frozen=True)
class Original:
    """The network to export, in full precision.

    Attributes:
        architecture: the network.
        weights: its weights.
        labels: the labels' names, in the order of its outputs.
        temperature: divides its logits.
        tokenizer_json: its tokenizer.
        max_tokens: largest number of tokens that it reads of a text.
        rows: the rows to verify on.
        hessians: Hessians of its cells' inputs, for rounding; None rounds each weight alone.
        progress: receives the number of verified rows.
    """

    architecture: Architecture
    weights: NetworkWeights
    labels: tuple[str, ...]
    temperature: float
    tokenizer_json: str
    max_tokens: int
    rows: Dataset
    hessians: Hessians | None = None
    progress: Progress = field(default_factory=Progress)

    @cached_property
    def graph(self) -> NetworkGraph:
        """Its float32 graph."""
        return build_graph(self.architecture, self.weights, FLOAT32, temperature=self.temperature)

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """Its float32 graph, loaded."""
        return make_session(self.graph.model)

    @property
    def readout(self) -> Readout:
        """Conversion of its logits to probabilities."""
        return Readout(self.temperature, self.architecture.task == "multi-label")


@dataclass(frozen=True)
class Candidate:
    """A graph that can be published.

    Attributes:
        architecture: the network, with as many embedding rows as are kept.
        plan: storage and computation of its weights.
        tokenizer_json: its tokenizer.
        rows: the rows to verify on, encoded by this tokenizer.
        graph: the graph.
        session: the graph, loaded.
        comparison: its comparison with the original on the rows.
    """

    architecture: Architecture
    plan: Plan
    tokenizer_json: str
    rows: Dataset
    graph: NetworkGraph
    session: onnxruntime.InferenceSession
    comparison: Comparison

    @property
    def computes_integers(self) -> bool:
        """Whether every recurrent layer computes in integers."""
        net = self.architecture
        return all(
            self.plan.storage(index, net.cell) is Storage.COMPUTED
            for index in range(len(net.hidden_sizes))
        )

    @property
    def loss(self) -> tuple[int, float]:
        """Loss, for ordering: rows lost beyond chance, then the mean probability difference."""
        return max(0, self.comparison.rows_lost - MAX_CHANCE_ROWS), self.comparison.mean


def build_candidate(
    original: Original, plan: Plan, vocabulary_size: int | None = None
) -> Candidate:
    """Build a graph by a plan and compare it with the original.

    Args:
        original: the network in full precision.
        plan: storage and computation of the weights.
        vocabulary_size: number of embedding rows to keep; None keeps all.
    """
    architecture, weights = original.architecture, original.weights
    tokenizer_json, rows = original.tokenizer_json, original.rows
    if vocabulary_size is not None and vocabulary_size < architecture.vocabulary_size:
        architecture = prune_architecture(architecture, vocabulary_size)
        weights = prune_weights(weights, vocabulary_size)
        sequences = prune_sequences(
            rows.sequences, tokenizer_json, vocabulary_size, max_tokens=original.max_tokens
        )
        rows = dataclasses.replace(rows, sequences=sequences)
        tokenizer_json = prune_tokenizer(tokenizer_json, vocabulary_size)
    if plan == FLOAT32 and rows is original.rows:
        graph, session = original.graph, original.session
    else:
        graph = build_graph(
            architecture,
            weights,
            plan,
            temperature=original.temperature,
            hessians=original.hessians,
        )
        session = make_session(graph.model)
    original.progress.begin(f"verifying {plan}", 2 * len(rows))
    comparison = compare_graphs(
        original.session,
        session,
        original.rows,
        rows,
        labels=original.labels,
        multi_label=architecture.task == "multi-label",
        progress=original.progress,
    )
    original.progress.end()
    return Candidate(architecture, plan, tokenizer_json, rows, graph, session, comparison)
