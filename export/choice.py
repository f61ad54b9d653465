"""Choice of the graph to publish: granularity of scales, size limit, precision fallback."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textgate.bundle.manifest import PRECISIONS
from textgate.errors import ConfigError, ExportError
from textgate.export.candidate import Candidate, Original, build_candidate
from textgate.export.quantize.plan import EMBEDDING_BITS, FLOAT32, integer_plan, raises
from textgate.export.quantize.pruning import prune_tokenizer, smallest_vocabulary
from textgate.tables import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from textgate.bundle.manifest import Precision
    from textgate.export.quantize.plan import Plan

# A scale per channel makes an integer LSTM an eighth slower than a scale per matrix. Its mean
# difference of a probability must therefore be smaller by more than this factor.
_LSTM_CHANNEL_PENALTY = 1.2


@dataclass(frozen=True)
class Constraints:
    """Constraints on the exported graph.

    Attributes:
        precision: ``int8`` or ``float32``.
        embedding_bits: 8 or 4, for int8.
        max_accuracy_drop: largest accepted loss of accuracy, as a fraction.
        fallback: whether to raise precision piece by piece until the loss is accepted.
        max_bytes: largest size of the whole bundle, or None.

    Raises:
        ConfigError: a value is out of range, or two of them exclude each other.
    """

    precision: Precision
    embedding_bits: int
    max_accuracy_drop: float
    fallback: bool
    max_bytes: int | None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )
        if self.embedding_bits not in EMBEDDING_BITS:
            raise ConfigError(f"embedding_bits must be 4 or 8, not {self.embedding_bits!r}")
        if not 0 <= self.max_accuracy_drop <= 1:
            raise ConfigError(
                f"max_accuracy_drop must be from 0 to 1, not {self.max_accuracy_drop!r}"
            )
        integers = self.embedding_bits != 8 or self.fallback or self.max_bytes is not None
        if self.precision == "float32" and integers:
            raise ConfigError(
                "embedding bits, a fallback and a largest size are for int8; leave them out, or "
                "leave out --precision float32"
            )
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ConfigError(f"the largest size must be at least 1 byte, not {self.max_bytes!r}")


@dataclass(frozen=True)
class ChosenCandidate:
    """The graph to publish, and notes on the steps that led to it."""

    candidate: Candidate
    notes: list[str] = field(default_factory=list)


def choose(
    original: Original, constraints: Constraints, bundle_bytes: Callable[[Candidate], int]
) -> ChosenCandidate:
    """Return the candidate with the smallest loss that meets the constraints.

    Args:
        original: the network in full precision.
        constraints: the constraints.
        bundle_bytes: returns the size of a candidate's bundle.

    Raises:
        VerificationError: too much accuracy is lost.
        ExportError: no candidate is small enough.
    """
    if constraints.precision == "float32":
        return ChosenCandidate(build_candidate(original, FLOAT32))
    notes: list[str] = []
    plan = integer_plan(original.architecture, embedding_bits=constraints.embedding_bits)
    best = _better_granularity(original, plan)
    limit = constraints.max_bytes
    if limit is not None and bundle_bytes(best) > limit:
        best = _shrunk(original, best, limit, bundle_bytes)
        notes.append(_shrinking(original, best))
    while constraints.fallback and not best.comparison.allows(constraints.max_accuracy_drop):
        for step in raises(best.architecture, best.plan):
            finer = build_candidate(original, step.plan, best.architecture.vocabulary_size)
            if limit is None or bundle_bytes(finer) <= limit:
                notes.append(f"raised {step.what}, {format_bytes(step.added_bytes)} more")
                best = finer
                break
        else:
            break
    best.comparison.require(constraints.max_accuracy_drop)
    return ChosenCandidate(best, notes)


def _better_granularity(original: Original, plan: Plan) -> Candidate:
    """Build the plan with a scale per channel and per matrix; return the one with less loss."""
    channels = build_candidate(original, dataclasses.replace(plan, per_channel=True))
    tensors = build_candidate(original, dataclasses.replace(plan, per_channel=False))
    (rows, mean), (tensor_rows, tensor_mean) = channels.loss, tensors.loss
    if original.architecture.cell == "lstm":
        mean *= _LSTM_CHANNEL_PENALTY
    return channels if (rows, mean) < (tensor_rows, tensor_mean) else tensors


def _shrunk(
    original: Original, full: Candidate, limit: int, bundle_bytes: Callable[[Candidate], int]
) -> Candidate:
    """Return the better of two ways to fit: fewer words, or fewer words with 4-bit rows."""
    fewest = smallest_vocabulary(original.tokenizer_json)
    plans = [full.plan]
    if full.plan.embedding_bits == 8:
        plans.append(dataclasses.replace(full.plan, embedding_bits=4))
    fitting, smallest = [], []
    for plan in plans:
        whole = full if plan == full.plan else build_candidate(original, plan)
        size = bundle_bytes(whole)
        words = _words_that_fit(original, plan, size, limit, fewest=fewest)
        if words is None:
            least = build_candidate(original, plan, fewest)
            smallest.append(bundle_bytes(least))
        else:
            fitting.append(build_candidate(original, plan, words))
    if not fitting:
        linear = ", --linear-size or --linear-buckets" if original.architecture.linear_size else ""
        raise ExportError(
            f"no bundle of this network fits into {format_bytes(limit)}: the smallest, with "
            f"{format_count(fewest)} words and 4-bit rows, has {format_bytes(min(smallest))}; "
            f"train with smaller --hidden sizes{linear}"
        )
    return min(fitting, key=lambda candidate: candidate.loss)


def _words_that_fit(
    original: Original, plan: Plan, full_size: int, limit: int, *, fewest: int
) -> int | None:
    """Return the largest vocabulary whose bundle has at most `limit` bytes, or None.

    Args:
        original: the network in full precision.
        plan: storage of its weights.
        full_size: bytes of the bundle with all words.
        limit: largest size of the bundle, in bytes.
        fewest: size of the smallest possible vocabulary.
    """
    net = original.architecture
    # A lower bound of the bytes per word (the linear branch adds more), so that the bundle fits.
    row_bytes = net.embedding_size * plan.embedding_bits // 8
    full_tokenizer = len(original.tokenizer_json.encode("utf-8"))

    def size(words: int) -> int:
        tokenizer = len(prune_tokenizer(original.tokenizer_json, words).encode("utf-8"))
        saved = (net.vocabulary_size - words) * row_bytes + full_tokenizer - tokenizer
        return full_size - saved

    low, high = fewest, net.vocabulary_size
    if full_size <= limit:
        return high
    if low >= high or size(low) > limit:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= limit else (low, middle)
    return low


def _shrinking(original: Original, candidate: Candidate) -> str:
    before = original.architecture.vocabulary_size
    after = candidate.architecture.vocabulary_size
    bits = candidate.plan.embedding_bits
    kept = "all" if after == before else f"the {format_count(after)} most frequent of"
    return f"to fit: {bits}-bit embedding rows for {kept} {format_count(before)} words"
