"""Choosing the graph to publish: the finest grain, a size that fits, more precision if needed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textgate.errors import ExportError
from textgate.export.candidate import Candidate, Original, build_candidate
from textgate.export.quantize.plan import FLOAT32, integer_plan, raises
from textgate.export.quantize.pruning import prune_tokenizer, smallest_vocabulary
from textgate.tables import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from textgate.bundle.manifest import Precision
    from textgate.export.quantize.plan import Plan

_CLEARLY_BETTER = 1.2  # times the mean difference of a probability


@dataclass(frozen=True)
class Wishes:
    """What the exported graph should be like.

    Attributes:
        precision: ``int8`` or ``float32``.
        embedding_bits: 8 or 4, for int8.
        max_accuracy_drop: most accuracy that may be lost, as a share.
        fallback: whether to raise precision piece by piece until the loss is allowed.
        max_bytes: most bytes of the whole bundle, or None.
    """

    precision: Precision
    embedding_bits: int
    max_accuracy_drop: float
    fallback: bool
    max_bytes: int | None


@dataclass(frozen=True)
class Choice:
    """The graph to publish, and what was done to get there, in words."""

    candidate: Candidate
    notes: list[str] = field(default_factory=list)


def choose(original: Original, wishes: Wishes, bundle_bytes: Callable[[Candidate], int]) -> Choice:
    """Return the candidate that fits the wishes with the smallest loss.

    Args:
        original: what is exported.
        wishes: what it should be like.
        bundle_bytes: tells how large a candidate's bundle would be.

    Raises:
        VerificationError: too much accuracy is lost.
        ExportError: nothing is small enough.
    """
    if wishes.precision == "float32":
        return Choice(build_candidate(original, FLOAT32))
    notes: list[str] = []
    plan = integer_plan(original.architecture, embedding_bits=wishes.embedding_bits)
    best = _better_grain(original, plan)
    limit = wishes.max_bytes
    if limit is not None and bundle_bytes(best) > limit:
        best = _shrunk(original, best, limit, bundle_bytes)
        notes.append(_shrinking(original, best))
    while wishes.fallback and not best.comparison.allows(wishes.max_accuracy_drop):
        for step in raises(best.architecture, best.plan):
            finer = build_candidate(original, step.plan, best.architecture.vocabulary_size)
            if limit is None or bundle_bytes(finer) <= limit:
                notes.append(f"raised {step.what}, {format_bytes(step.added_bytes)} more")
                best = finer
                break
        else:
            break
    best.comparison.require(wishes.max_accuracy_drop)
    return Choice(best, notes)


def _better_grain(original: Original, plan: Plan) -> Candidate:
    """Return the plan with a scale a channel or one a matrix, whichever verifies better.

    An integer LSTM is an eighth slower with a scale a channel, so there it must be clearly better.
    """
    channels = build_candidate(original, dataclasses.replace(plan, per_channel=True))
    tensors = build_candidate(original, dataclasses.replace(plan, per_channel=False))
    (rows, mean), (tensor_rows, tensor_mean) = channels.loss, tensors.loss
    if original.architecture.cell == "lstm":
        mean *= _CLEARLY_BETTER
    return channels if (rows, mean) < (tensor_rows, tensor_mean) else tensors


def _shrunk(
    original: Original, full: Candidate, limit: int, bundle_bytes: Callable[[Candidate], int]
) -> Candidate:
    """Return what loses least out of: fewer words, and fewer words with 4-bit rows."""
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
        original: what is exported.
        plan: how it would be stored.
        full_size: bytes of the bundle with all words.
        limit: bytes it may have.
        fewest: the smallest vocabulary there can be.
    """
    net = original.architecture
    # A lower estimate of what a word takes, so that the bundle does not come out too large.
    row_bytes = net.embedding_size * plan.embedding_bits // 8  # and some have linear weights
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
