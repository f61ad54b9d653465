"""Choosing what to publish: the granularity, a size that fits, more precision step by step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from textgate.bundle.architecture import Architecture
from textgate.errors import ExportError, VerificationError
from textgate.export import choice as choice_module
from textgate.export.candidate import Candidate, Original, build_candidate
from textgate.export.choice import Constraints, choose
from textgate.export.quantize.plan import FLOAT32, INT8, Plan, Storage, integer_plan, raises
from textgate.export.quantize.pruning import prune_sequences, prune_tokenizer, smallest_vocabulary
from textgate.export.quantize.weights import network_weights
from textgate.export.verification import run_batch
from textgate.train.data.dataset import Dataset
from textgate.train.network.model import TextClassifier
from textgate.train.text.vocabulary import build_tokenizer

WORDS = 400
CONSTRAINTS = Constraints("int8", 8, max_accuracy_drop=0.003, fallback=False, max_bytes=None)


def make_original(cell: str = "lstm") -> Original:
    """A network with random weights whose float32 decisions are the truth."""
    torch.manual_seed(0)
    architecture = Architecture(WORDS, 16, cell, (12, 10), False, ("last",), (), "softmax", 3)
    model = TextClassifier(architecture).eval()
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.uniform_(weight, -0.8, 0.8)
    generator = np.random.default_rng(0)
    # Frequent words have low ids, as in a real vocabulary.
    sequences = tuple(
        np.minimum(generator.geometric(0.02, length) + 1, WORDS - 1).astype(np.int64)
        for length in generator.integers(1, 20, 300)
    )
    with torch.inference_mode():
        logits = [model(torch.from_numpy(ids[None]), torch.tensor([len(ids)])) for ids in sequences]
    model.head[-1].bias.data -= torch.cat(logits).mean(dim=0)  # so that no label always wins
    tokenizer_json = build_tokenizer(
        (" ".join(f"w{word:03}" for word in range(WORDS - 2)),),
        vocabulary_size=WORDS,
        max_tokens=WORDS,
    )
    weights = network_weights(architecture, model.state_dict())
    empty = Dataset(sequences, np.eye(3, dtype=np.float32)[np.zeros(300, dtype=int)])
    original = Original(
        architecture,
        weights,
        labels=("a", "b", "c"),
        temperature=1.0,
        tokenizer_json=tokenizer_json,
        max_tokens=20,
        rows=empty,
    )
    decisions = [
        run_batch(original.session, sequence[None], np.array([len(sequence)]))[0].argmax()
        for sequence in sequences
    ]
    truth = Dataset(sequences, np.eye(3, dtype=np.float32)[np.array(decisions)])
    return dataclasses.replace(original, rows=truth)


@pytest.fixture(scope="module")
def original() -> Original:
    return make_original()


def size(candidate: Candidate) -> int:
    return len(candidate.graph.model) + len(candidate.tokenizer_json.encode())


@pytest.mark.parametrize(
    ("cell", "tensor_mean", "per_channel"),
    [
        ("gru", 1.1, True),  # as fast: whatever loses less
        ("gru", 0.9, False),
        ("lstm", 1.1, False),  # slower with a scale a channel: only if clearly better
        ("lstm", 1.3, True),
    ],
)
def test_the_granularity_with_less_loss_is_chosen(
    cell: str, tensor_mean: float, per_channel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_mean(original: Original, plan: Plan, words: int | None = None) -> Candidate:
        candidate = build_candidate(original, plan, words)
        mean = 1.0 if plan.per_channel else tensor_mean
        comparison = dataclasses.replace(candidate.comparison, mean=mean)
        return dataclasses.replace(candidate, comparison=comparison)

    monkeypatch.setattr(choice_module, "build_candidate", with_mean)
    constraints = dataclasses.replace(CONSTRAINTS, max_accuracy_drop=1.0)
    chosen = choose(make_original(cell), constraints, size)
    assert chosen.candidate.plan.per_channel is per_channel
    assert chosen.notes == []


def test_float32_is_the_original_graph(original: Original) -> None:
    constraints = dataclasses.replace(CONSTRAINTS, precision="float32")
    chosen = choose(original, constraints, size).candidate
    assert chosen.graph.model == original.graph.model
    assert chosen.comparison.largest == 0.0


def bad_rounding(limit: int) -> Callable[..., object]:
    from textgate.export.quantize import quantization

    def quantize(weights: object, *, axes: tuple[int, ...], **_: object) -> object:
        return quantization.quantize(weights, axes=axes, limit=limit)  # type: ignore[arg-type]

    return quantize


def test_a_loss_above_the_limit_is_refused_with_figures(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgate.export.graph.cells.quantize", bad_rounding(1))
    with pytest.raises(VerificationError, match=r"loses \d+\.\d+% accuracy on 300 rows \(1\.0000 "):
        choose(original, CONSTRAINTS, size)


def test_fallback_raises_the_cheapest_piece_first_and_reports_it(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgate.export.graph.cells.quantize", bad_rounding(1))
    chosen = choose(original, dataclasses.replace(CONSTRAINTS, fallback=True), size)
    assert chosen.candidate.comparison.allows(CONSTRAINTS.max_accuracy_drop)
    whats = [note.partition(",")[0] for note in chosen.notes]
    # Both layers first leave the integer kernel, which costs no bytes; then floats, by size.
    assert whats[:2] == [
        "raised lstm_1 to int8 storage computed in float32",
        "raised lstm_2 to int8 storage computed in float32",
    ]
    assert "raised lstm_2 to float32" in whats
    assert chosen.candidate.plan.storage(1, "lstm") is Storage.FLOAT32


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_every_raise_gains_precision_and_they_end(original: Original, bits: int) -> None:
    plan = Plan(bits, Storage.COMPUTED, output=Storage.STORED)
    seen = 0
    while steps := raises(original.architecture, plan):
        assert [step.added_bytes for step in steps] == sorted(step.added_bytes for step in steps)
        plan = steps[0].plan
        seen += 1
        assert seen < 20
    layers = range(len(original.architecture.hidden_sizes))
    assert {plan.storage(index, "lstm") for index in layers} == {Storage.FLOAT32}
    assert (plan.embedding_bits, plan.output) == (32, FLOAT32.output)


@pytest.mark.parametrize(("labels", "storage"), [(3, "FLOAT32"), (200, "STORED")])
def test_a_large_output_layer_is_stored_as_integers(
    original: Original, labels: int, storage: str
) -> None:
    architecture = dataclasses.replace(original.architecture, label_count=labels)
    assert integer_plan(architecture, embedding_bits=8).output.name == storage


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_cells_without_an_integer_kernel_are_only_stored(cell: str) -> None:
    assert INT8.storage(0, cell) is Storage.STORED
    assert INT8.storage(0, "lstm") is Storage.COMPUTED


@pytest.mark.parametrize("fraction", [0.99, 0.9, 0.8])
def test_a_size_limit_drops_bits_and_rare_words(original: Original, fraction: float) -> None:
    full = size(choose(original, CONSTRAINTS, size).candidate)
    constraints = dataclasses.replace(
        CONSTRAINTS, max_accuracy_drop=1.0, max_bytes=int(fraction * full)
    )
    chosen = choose(original, constraints, size)
    assert size(chosen.candidate) <= fraction * full
    assert len(chosen.notes) == 1
    words = chosen.candidate.architecture.vocabulary_size
    assert words < WORDS or chosen.candidate.plan.embedding_bits == 4
    vocabulary = json.loads(chosen.candidate.tokenizer_json)["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(words))


def test_a_size_that_cannot_be_reached_names_the_smallest(original: Original) -> None:
    constraints = dataclasses.replace(CONSTRAINTS, max_bytes=2000)
    with pytest.raises(ExportError, match=r"fits into 2 KB: the smallest, .* has .*smaller --hid"):
        choose(original, constraints, size)


def test_the_smallest_size_named_can_be_reached(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgate.export.quantize.pruning._MIN_VOCABULARY", 50)
    least = build_candidate(original, dataclasses.replace(INT8, embedding_bits=4), 50)
    constraints = dataclasses.replace(
        CONSTRAINTS, max_accuracy_drop=1.0, max_bytes=size(least) + 200
    )
    assert size(choose(original, constraints, size).candidate) <= size(least) + 200


def test_pruned_ids_are_the_pruned_tokenizers(original: Original) -> None:
    from textgate.inference.tokenizer import TextTokenizer

    text = " ".join(f"w{word:03}" for word in (0, 3, 200, 397, 5))
    whole = TextTokenizer(original.tokenizer_json, max_tokens=50).encode(text).ids
    pruned = TextTokenizer(prune_tokenizer(original.tokenizer_json, 100), max_tokens=50)
    (expected,) = prune_sequences([np.array(whole)], original.tokenizer_json, 100, max_tokens=50)
    assert pruned.encode(text).ids == expected.tolist()
    assert 1 in expected.tolist()


def test_words_dropped_from_a_subword_tokenizer_become_pieces() -> None:
    from textgate.inference.tokenizer import TextTokenizer
    from textgate.train.text.subwords import build_subword_tokenizer, piece_count

    texts = ["low lower lowest", "new newer newest", "wide wider widest"] * 4
    known = [f"{stem}{end}" for stem in ("low", "new", "wide") for end in ("ly", "ness", "ish")]
    whole = build_subword_tokenizer(texts, vocabulary_size=700, max_tokens=9, known=known)
    least = smallest_vocabulary(whole)
    assert least == piece_count(whole)
    tokenizer = TextTokenizer(whole, max_tokens=9)
    text = "lowest wideness newish low " * 2
    ids = np.array(tokenizer.encode(text).ids)
    for size in range(least, tokenizer.vocabulary_size + 1):
        pruned = TextTokenizer(prune_tokenizer(whole, size), max_tokens=9)
        assert pruned.vocabulary_size == size
        (expected,) = prune_sequences([ids], whole, size, max_tokens=9)
        assert pruned.encode(text).ids == expected.tolist()
        assert 1 not in expected
    assert len(pruned.encode("newish").ids) == 1  # nothing was dropped in the end
    assert len(TextTokenizer(prune_tokenizer(whole, least), max_tokens=9).encode("newish").ids) > 1


def test_other_tokenizers_are_not_pruned() -> None:
    with pytest.raises(ExportError, match="cannot be dropped from a Unigram tokenizer"):
        prune_tokenizer(json.dumps({"model": {"type": "Unigram", "vocab": []}}), 10)


def test_labels_that_are_never_the_decision_are_found(original: Original) -> None:
    candidate = build_candidate(original, FLOAT32)
    predicted = set(original.rows.targets.argmax(axis=1).tolist())
    assert set(candidate.comparison.never_predicted) == {0, 1, 2} - predicted
