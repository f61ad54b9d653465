"""Proof that a graph computes what it was exported from, before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.batching import batches_by_length, padded
from textgate.errors import VerificationError
from textgate.manifest import Quality
from textgate.metrics import evaluate_multi_label, evaluate_single_label
from textgate.tokenizer import Encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from textgate.manifest import StateTensor
    from textgate.train.dataset import Dataset
    from textgate.train.model import TextClassifier

FLOAT_TOLERANCE = 1e-5  # probabilities of the float32 graph against torch's
# One graph against itself, computed another way. Sums of floats depend on their order, which a
# kernel chooses by the size of the batch, and a recurrent network can amplify that.
INTEGER_TOLERANCE = 1e-6
SMALLEST_DROP = 3  # net rows lost that are put down to chance
_BATCH_SIZES = (1, 2, 7)
_BATCH = 64


@dataclass(frozen=True)
class Comparison:
    """A quantized graph against the float32 one on the verification rows.

    Attributes:
        rows: how many rows.
        largest: largest difference of a probability.
        mean: mean difference of a probability.
        agreement: share of rows with the same decision.
        before: quality of the float32 graph.
        after: quality of the quantized graph.
        never_predicted: columns that are not the decision for any row.
    """

    rows: int
    largest: float
    mean: float
    agreement: float
    before: Quality
    after: Quality
    never_predicted: tuple[int, ...]

    @property
    def rows_lost(self) -> int:
        """Rows that were right and are wrong now, less those the other way round."""
        return round((self.before.accuracy - self.after.accuracy) * self.rows)

    def allows(self, max_accuracy_drop: float) -> bool:
        """Return whether no more accuracy is lost than allowed, or no more than chance."""
        # In rows: as shares, 0.9 - 0.86 is more than 0.04.
        return self.rows_lost <= max(SMALLEST_DROP, max_accuracy_drop * self.rows + 1e-6)

    def require(self, max_accuracy_drop: float) -> None:
        """Refuse a loss of accuracy that is above the limit and more than chance.

        Raises:
            VerificationError: with the figures.
        """
        if not self.allows(max_accuracy_drop):
            raise VerificationError(
                f"quantization loses {self.before.accuracy - self.after.accuracy:.2%} accuracy on "
                f"{self.rows} rows ({self.before.accuracy:.4f} to {self.after.accuracy:.4f}, "
                f"{self.rows_lost} rows; largest probability difference {self.largest:.3f}), and "
                f"at most {max_accuracy_drop:.2%} is allowed; use --fallback, --precision float32, "
                "or raise --max-accuracy-drop"
            )


def probabilities(
    session: onnxruntime.InferenceSession, texts: Sequence[Encoded], batch_size: int = _BATCH
) -> NDArray[np.float32]:
    """Return what a graph computes for texts, float32 [texts, labels]."""
    parts: list[NDArray[np.float32]] = []
    places: list[int] = []
    for batch in batches_by_length(texts, batch_size):
        ids, lengths = padded([texts[place] for place in batch])
        parts.append(run(session, ids, lengths))
        places.extend(batch)
    return np.concatenate(parts)[np.argsort(places)]


def run(
    session: onnxruntime.InferenceSession, ids: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the probabilities of one batch, float32 [batch, labels]."""
    result: NDArray[np.float32] = session.run(
        ["probabilities"], {"input_ids": ids, "lengths": lengths}
    )[0]
    return result


def check_against_torch(
    session: onnxruntime.InferenceSession,
    model: TextClassifier,
    *,
    temperature: float,
    max_tokens: int,
) -> float:
    """Return the largest difference of a probability between a float32 graph and torch.

    Random ids in batches of 1, 2 and 7, of lengths from 1 to the longest text, mixed.

    Raises:
        VerificationError: it is above 1e-5.
    """
    worst = 0.0
    model.eval()
    for ids, lengths in _random_batches(model.architecture.vocabulary_size, max_tokens):
        with torch.inference_mode():
            logits = model(torch.from_numpy(ids), torch.from_numpy(lengths))
            expected = model.probabilities(logits, temperature).numpy()
        worst = _worse(worst, run(session, ids, lengths) - expected)
    if not worst <= FLOAT_TOLERANCE:
        raise VerificationError(
            f"the float32 graph differs from torch by {worst:.2e} in a probability, and at most "
            f"{FLOAT_TOLERANCE:.0e} is allowed; this is a defect of the exporter: please report it"
        )
    return worst


def compare(
    reference: onnxruntime.InferenceSession,
    quantized: onnxruntime.InferenceSession,
    rows: Dataset,
    quantized_rows: Dataset | None = None,
    *,
    multi_label: bool,
) -> Comparison:
    """Return how a quantized graph differs from the float32 one on rows with known labels.

    Args:
        reference: the float32 graph.
        quantized: the other graph.
        rows: the rows.
        quantized_rows: the same rows in the ids of the other graph, if it has its own.
        multi_label: whether every label is a decision of its own.
    """
    before = probabilities(reference, encoded(rows.sequences))
    after = probabilities(quantized, encoded((quantized_rows or rows).sequences))
    difference = np.abs(after - before)
    decisions = [
        values >= 0.5 if multi_label else np.eye(values.shape[1], dtype=bool)[values.argmax(axis=1)]
        for values in (before, after)
    ]
    return Comparison(
        rows=len(rows),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        agreement=float((decisions[0] == decisions[1]).all(axis=1).mean()),
        before=quality(before, rows.targets, multi_label=multi_label),
        after=quality(after, rows.targets, multi_label=multi_label),
        never_predicted=tuple(np.flatnonzero(~decisions[1].any(axis=0)).tolist()),
    )


def encoded(sequences: Sequence[NDArray[np.int64]]) -> list[Encoded]:
    """Return token ids [tokens] as the runtime's batching takes them."""
    return [Encoded(sequence.tolist(), False) for sequence in sequences]


def quality(
    values: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> Quality:
    """Return the quality of probabilities [rows, labels] against targets [rows, labels]."""
    names = [str(column) for column in range(targets.shape[1])]
    if multi_label:
        result = evaluate_multi_label(values, targets > 0.5, names)
    else:
        result = evaluate_single_label(values, targets.argmax(axis=1), names)
    return Quality(result.accuracy, result.macro_f1, result.ece, result.rows)


def check_independence(
    session: onnxruntime.InferenceSession,
    states: Sequence[StateTensor],
    sequences: Sequence[NDArray[np.int64]],
    *,
    integers: bool,
) -> float:
    """Return how much a text's result depends on anything but the text.

    Each text is computed alone, in batches with others, and, where the graph carries its state, in
    random chunks.

    Args:
        session: the graph.
        states: what it carries.
        sequences: texts, int64 [tokens] each.
        integers: whether the recurrent layers compute in integers.

    Raises:
        VerificationError: two results differ by more than 1e-6 (1e-5 where floats are computed).
    """
    tolerance = INTEGER_TOLERANCE if integers else FLOAT_TOLERANCE
    texts = encoded(sequences)
    together = np.concatenate(
        [run(session, *padded(texts[start : start + 7])) for start in range(0, len(texts), 7)]
    )
    generator = np.random.default_rng(0)
    worst = 0.0
    for item, expected in zip(texts, together, strict=True):
        alone = run(session, *padded([item]))[0]
        worst = _worse(worst, alone - expected)
        if states:
            ids = np.array(item.ids, dtype=np.int64)
            cuts = np.flatnonzero(generator.random(len(ids) - 1) < 0.3) + 1
            chunked = _run_chunks(session, states, np.split(ids, cuts))
            worst = _worse(worst, chunked - alone)
    if not worst <= tolerance:
        raise VerificationError(
            f"a text's result changes by {worst:.2e} with its batch or its chunking, and at most "
            f"{tolerance:.0e} is allowed; this is a defect of the exporter: please report it"
        )
    return worst


def check_same(
    first: onnxruntime.InferenceSession,
    second: onnxruntime.InferenceSession,
    sequences: Sequence[NDArray[np.int64]],
    *,
    what: str,
) -> None:
    """Refuse two sessions of one graph that give different results.

    Raises:
        VerificationError: they differ by more than 1e-5.
    """
    texts = encoded(sequences)
    difference = np.abs(probabilities(first, texts) - probabilities(second, texts))
    if not float(difference.max()) <= FLOAT_TOLERANCE:
        raise VerificationError(
            f"{what} changes a probability by {difference.max():.2e}, and at most "
            f"{FLOAT_TOLERANCE:.0e} is allowed"
        )


def _worse(worst: float, difference: NDArray[np.float32]) -> float:
    """Return the larger of a difference so far and new ones; NaN, which no number beats, stays."""
    return float(np.maximum(worst, np.abs(difference).max()))


def _random_batches(
    vocabulary: int, max_tokens: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield ids and lengths: lengths 1 to 16, a spread of longer ones, the longest."""
    generator = np.random.default_rng(0)
    longer = np.geomspace(1, max_tokens, 12).astype(np.int64)
    wanted = np.unique(np.minimum(np.concatenate([np.arange(1, 17), longer]), max_tokens))
    for batch_size in _BATCH_SIZES:
        generator.shuffle(wanted)
        for start in range(0, len(wanted), batch_size):
            lengths = np.resize(wanted[start : start + batch_size], batch_size)
            ids = np.zeros((batch_size, int(lengths.max())), dtype=np.int64)
            for row, length in enumerate(lengths):
                ids[row, :length] = generator.integers(1, vocabulary, length)
            yield ids, lengths


def _run_chunks(
    session: onnxruntime.InferenceSession,
    states: Sequence[StateTensor],
    chunks: Sequence[NDArray[np.int64]],
) -> NDArray[np.float32]:
    """Return the probabilities after feeding a text chunk by chunk, float32 [labels]."""
    carried: dict[str, NDArray[np.float32]] = {}
    names = ["probabilities", *(state.output for state in states)]
    result = np.empty(0, dtype=np.float32)
    for chunk in chunks:
        lengths = np.array([len(chunk)], dtype=np.int64)
        values = session.run(names, {"input_ids": chunk[None], "lengths": lengths, **carried})
        carried = {state.input: value for state, value in zip(states, values[1:], strict=True)}
        result = values[0][0]
    return result
