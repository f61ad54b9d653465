"""One way to export a run: a plan and a vocabulary, built and compared with the original."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textgate.export.graph.network import build_graph
from textgate.export.quality import SMALLEST_DROP, Comparison, compare
from textgate.export.quantize.plan import FLOAT32, Plan, Storage
from textgate.export.quantize.pruning import (
    prune_architecture,
    prune_sequences,
    prune_tokenizer,
    prune_weights,
)
from textgate.export.verification import Readout
from textgate.inference.session import make_session
from textgate.train.fit.progress import Progress

if TYPE_CHECKING:
    import onnxruntime

    from textgate.bundle.architecture import Architecture
    from textgate.export.graph.network import ExportedGraph
    from textgate.export.quantize.hessian import Energies
    from textgate.export.quantize.weights import NetworkWeights
    from textgate.train.data.dataset import Dataset


@dataclass(frozen=True)
class Original:
    """What is exported, in full precision.

    Attributes:
        architecture: the network.
        weights: its weights.
        labels: the labels' names, in the order of its outputs.
        temperature: what its logits are divided by.
        tokenizer_json: its tokenizer.
        max_tokens: tokens of a text that it reads.
        rows: the rows to verify on.
        graph: its float32 graph.
        session: that graph, loaded.
        energies: how its cells' inputs move together; None rounds each weight by itself.
        progress: hears of every row that is verified.
    """

    architecture: Architecture
    weights: NetworkWeights
    labels: tuple[str, ...]
    temperature: float
    tokenizer_json: str
    max_tokens: int
    rows: Dataset
    graph: ExportedGraph
    session: onnxruntime.InferenceSession
    energies: Energies | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def readout(self) -> Readout:
        """How its logits become probabilities."""
        return Readout(self.temperature, self.architecture.task == "multi-label")

    @classmethod
    def build(
        cls,
        architecture: Architecture,
        weights: NetworkWeights,
        *,
        labels: tuple[str, ...],
        temperature: float,
        tokenizer_json: str,
        max_tokens: int,
        rows: Dataset,
        energies: Energies | None = None,
        progress: Progress | None = None,
    ) -> Original:
        """Return the original with its float32 graph built and loaded."""
        graph = build_graph(architecture, weights, FLOAT32, temperature=temperature)
        session = make_session(graph.model)
        return cls(
            architecture=architecture,
            weights=weights,
            labels=labels,
            temperature=temperature,
            tokenizer_json=tokenizer_json,
            max_tokens=max_tokens,
            rows=rows,
            graph=graph,
            session=session,
            energies=energies,
            progress=progress or Progress(),
        )


@dataclass(frozen=True)
class Candidate:
    """A graph that might be published.

    Attributes:
        architecture: the network, with as many embedding rows as are kept.
        plan: how its weights are stored and computed.
        tokenizer_json: its tokenizer.
        rows: the rows to verify on, as this tokenizer encodes them.
        graph: the graph.
        session: the graph, loaded.
        comparison: how it differs from the original on the rows.
    """

    architecture: Architecture
    plan: Plan
    tokenizer_json: str
    rows: Dataset
    graph: ExportedGraph
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
        """What is lost, for ordering: rows beyond chance, then the mean probability difference."""
        return max(0, self.comparison.rows_lost - SMALLEST_DROP), self.comparison.mean


def build_candidate(
    original: Original, plan: Plan, vocabulary_size: int | None = None
) -> Candidate:
    """Build a graph by a plan and compare it with the original.

    Args:
        original: what is exported.
        plan: how to store and compute the weights.
        vocabulary_size: embedding rows to keep; None keeps all.
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
            energies=original.energies,
        )
        session = make_session(graph.model)
    original.progress.begin(f"verifying {plan}", 2 * len(rows))
    comparison = compare(
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
