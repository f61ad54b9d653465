"""Verification of a graph against its network and against itself, before publication."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.errors import VerificationError
from textgate.inference.batching import batches_by_length, padded
from textgate.inference.tokenizer import Encoded
from textgate.native.session import NativeSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from textgate.bundle.manifest import StateTensor
    from textgate.train.network.model import TextClassifier
    from textgate.train.training.progress import Progress

FLOAT_TOLERANCE = 1e-5  # of a probability, between the float32 graph and torch
# Between two computations of one graph. Sums of floats depend on their order, which a kernel
# chooses by the size of the batch, and a recurrent network can amplify that.
INTEGER_TOLERANCE = 1e-6
_SUMMED_TOKENS = 256  # whose sum in the linear branch, in floats, is within the tolerance
# Largest difference as a multiple of torch's own between float32 and float64. ONNX Runtime's tanh
# is an approximation: on networks that amplify rounding it loses up to eight times as much.
_MAX_NOISE_RATIO = 20
_TORCH_BATCH_SIZES = (1, 2, 7)
_BATCH_SIZE = 64


@dataclass(frozen=True)
class Readout:
    """Conversion of a network's logits to probabilities.

    Attributes:
        temperature: divides the logits.
        multi_label: whether each label has an independent probability.
    """

    temperature: float
    multi_label: bool

    def probabilities(
        self, logits: NDArray[np.floating], temperature: float | None = None
    ) -> NDArray[np.float64]:
        """Return the probabilities, float64 [rows, labels], by default at `self.temperature`."""
        with np.errstate(all="ignore"):  # overflow becomes NaN, which no check accepts
            scaled = logits.astype(np.float64) / (temperature or self.temperature)
            if self.multi_label:
                return np.asarray(1.0 / (1.0 + np.exp(-scaled)))
            powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def differences(
        self, found: NDArray[np.floating], expected: NDArray[np.floating], temperature: float
    ) -> NDArray[np.float64]:
        """Return the largest difference of a probability, at each of two temperatures.

        The second temperature is the size of the logits, at which no probability is close to 0 or
        1. If all of them are at the first temperature, a wrong logit changes nothing there.

        Args:
            found: logits [rows, labels].
            expected: the expected logits, which also define the size.
            temperature: the first temperature. A small one amplifies rounding of the logits, and a
                large one hides wrong logits.
        """
        size = max(1.0, float(np.abs(expected).max()))
        return np.array(
            [
                np.abs(self.probabilities(found, each) - self.probabilities(expected, each)).max()
                for each in (temperature, size)
            ]
        )


def session_probabilities(
    session: onnxruntime.InferenceSession | NativeSession,
    texts: Sequence[Encoded],
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the probabilities of texts, float32 [texts, labels]."""
    compute = session.run if isinstance(session, NativeSession) else partial(run_batch, session)
    return _by_length(texts, compute, progress)


def run_batch(
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
    readout: Readout,
    max_tokens: int,
) -> float:
    """Return the largest difference of a probability between a float32 graph and torch.

    Texts are random ids in batches of 1, 2 and 7, with mixed lengths up to `max_tokens`. torch
    computes in float64, and in float32 to measure how much the network amplifies rounding.

    Args:
        session: the graph.
        model: the network.
        readout: conversion of its logits to probabilities.
        max_tokens: tokens of the longest text.

    Raises:
        VerificationError: the difference is above 1e-5 and larger than rounding explains, or the
            graph's probabilities do not match its logits.
    """
    model.eval()
    exact = copy.deepcopy(model).double()
    found: list[NDArray[np.float32]] = []
    expected: list[NDArray[np.float64]] = []
    rounded: list[NDArray[np.float64]] = []
    for ids, lengths in _random_batches(model.architecture.vocabulary_size, max_tokens):
        found.append(_logits(session, ids, lengths, readout))
        with torch.inference_mode():
            for network, results in ((exact, expected), (model, rounded)):
                logits = network(torch.from_numpy(ids), torch.from_numpy(lengths))
                results.append(logits.double().numpy())
    truth = np.concatenate(expected)
    differences = readout.differences(np.concatenate(found), truth, 1.0)
    noise = readout.differences(np.concatenate(rounded), truth, 1.0)
    allowed = np.maximum(FLOAT_TOLERANCE, _MAX_NOISE_RATIO * noise)
    for difference, most in zip(differences, allowed, strict=True):
        if not difference <= most:
            raise VerificationError(
                f"the float32 graph differs from torch by {difference:.2e} in a probability, and "
                f"at most {most:.0e} is allowed; this is a defect of the exporter: please report it"
            )
    return float(differences.max())


def encoded(sequences: Sequence[NDArray[np.int64]]) -> list[Encoded]:
    """Return token ids [tokens] in the form that the runtime's batching reads."""
    return [Encoded(sequence.tolist(), False) for sequence in sequences]


def check_batch_invariance(
    session: onnxruntime.InferenceSession,
    states: Sequence[StateTensor],
    sequences: Sequence[NDArray[np.int64]],
    *,
    integers: bool,
    readout: Readout,
) -> float:
    """Return the largest change of a text's probabilities with its batch or its chunks.

    Each text is computed alone, in batches with others and, if the graph carries its state, in
    random chunks.

    Args:
        session: the graph.
        states: its carried states.
        sequences: texts, int64 [tokens] each.
        integers: whether the recurrent layers compute in integers.
        readout: conversion of its logits to probabilities.

    Raises:
        VerificationError: two results differ by more than 1e-6 (more for long texts, 1e-5 where the
            recurrent layers compute in floats).
    """
    longest = max(len(sequence) for sequence in sequences)
    tolerance = FLOAT_TOLERANCE
    if integers:
        tolerance = min(tolerance, INTEGER_TOLERANCE * max(1.0, longest / _SUMMED_TOKENS))
    texts = encoded(sequences)
    together = np.concatenate(
        [
            _logits(session, *padded(texts[start : start + 7]), readout)
            for start in range(0, len(texts), 7)
        ]
    )
    alone = np.concatenate([_logits(session, *padded([item]), readout) for item in texts])
    temperature = max(1.0, readout.temperature)
    worst = readout.differences(alone, together, temperature).max()
    if states:
        generator = np.random.default_rng(0)
        chunked = []
        for item in texts:
            ids = np.array(item.ids, dtype=np.int64)
            cuts = np.flatnonzero(generator.random(len(ids) - 1) < 0.3) + 1
            chunked.append(_run_chunks(session, states, np.split(ids, cuts)))
        found = readout.differences(np.stack(chunked), alone, temperature).max()
        worst = np.maximum(worst, found)  # keeps NaN
    if not worst <= tolerance:
        raise VerificationError(
            f"a text's result changes by {worst:.2e} with its batch or its chunking, and at most "
            f"{tolerance:.0e} is allowed; this is a defect of the exporter: please report it"
        )
    return float(worst)


def check_same(
    first: onnxruntime.InferenceSession,
    second: onnxruntime.InferenceSession,
    sequences: Sequence[NDArray[np.int64]],
    *,
    what: str,
    readout: Readout,
) -> None:
    """Refuse two sessions of one graph whose results differ.

    Raises:
        VerificationError: they differ by more than 1e-5.
    """
    texts = encoded(sequences)
    one, other = (
        _by_length(texts, partial(_logits, session, readout=readout)) for session in (first, second)
    )
    difference = readout.differences(one, other, max(1.0, readout.temperature)).max()
    if not difference <= FLOAT_TOLERANCE:
        raise VerificationError(
            f"{what} changes a probability by {difference:.2e}, and at most "
            f"{FLOAT_TOLERANCE:.0e} is allowed"
        )


def _logits(
    session: onnxruntime.InferenceSession,
    ids: NDArray[np.int64],
    lengths: NDArray[np.int64],
    readout: Readout,
) -> NDArray[np.float32]:
    """Return the logits of one batch, float32 [batch, labels].

    Raises:
        VerificationError: the graph's probabilities do not match its logits.
    """
    logits: NDArray[np.float32]
    logits, given = session.run(["logits", "probabilities"], {"input_ids": ids, "lengths": lengths})
    difference = np.abs(readout.probabilities(logits) - given).max()
    # The rounding of the division grows with the logits, whatever the temperature.
    allowed = FLOAT_TOLERANCE * max(1.0, float(np.abs(logits).max()) / (100 * readout.temperature))
    if not difference <= allowed:
        raise VerificationError(
            f"the graph's probabilities differ by {difference:.2e} from what its logits give at "
            f"the temperature {readout.temperature:g}, and at most {allowed:.0e} is allowed; this "
            "is a defect of the exporter: please report it"
        )
    return logits


def _by_length(
    texts: Sequence[Encoded],
    compute: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]],
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Compute texts in batches of similar length and return the results in the texts' order."""
    parts: list[NDArray[np.float32]] = []
    indices: list[int] = []
    for batch in batches_by_length(texts, _BATCH_SIZE):
        parts.append(compute(*padded([texts[index] for index in batch])))
        indices.extend(batch)
        if progress is not None:
            progress.step(len(batch))
    return np.concatenate(parts)[np.argsort(indices)]


def _random_batches(
    vocabulary: int, max_tokens: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield ids and lengths: lengths 1 to 16, a spread of longer ones, the longest."""
    generator = np.random.default_rng(0)
    longer = np.geomspace(1, max_tokens, 12).astype(np.int64)
    wanted = np.unique(np.minimum(np.concatenate([np.arange(1, 17), longer]), max_tokens))
    for batch_size in _TORCH_BATCH_SIZES:
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
    """Return the logits of a text fed chunk by chunk, float32 [labels]."""
    carried: dict[str, NDArray[np.float32]] = {}
    names = ["logits", *(state.output for state in states)]
    result = np.empty(0, dtype=np.float32)
    for chunk in chunks:
        lengths = np.array([len(chunk)], dtype=np.int64)
        values = session.run(names, {"input_ids": chunk[None], "lengths": lengths, **carried})
        carried = {state.input: value for state, value in zip(states, values[1:], strict=True)}
        result = values[0][0]
    return result
