"""Vectors of texts by a sentence transformer, computed and stored in parts. Needs `teacher`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from textgate.errors import ConfigError
from textgate.inference.batching import windows
from textgate.train.data.batching import indices_by_length, pad
from textgate.train.data.encoding import encode_texts
from textgate.train.teaching.bfloat16 import is_faster_in_bfloat16
from textgate.train.teaching.encoders import (
    TOKENIZER,
    EncoderTokenizer,
    load_encoder,
    longest_text,
    mean_state,
)
from textgate.train.training.checkpoint import read_tensors, reporting_damage, write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from textgate.train.training.progress import Progress

MAX_COMPONENTS = 384
_MAX_TOKENS = 96  # read by the teacher, its special tokens included
_PART = 2048  # texts per file
BATCH = 32
_VECTORS = "vectors"  # the tensor in a file
_MIN_COSINE = 0.99  # between vectors in bfloat16 and in float32


class SentenceTransformer:
    """An encoder whose vector of a text is the mean of its last hidden states, of length 1.

    Args:
        folder: the folder of the encoder.
        device: where to compute.
        bfloat16: whether to compute in bfloat16; None uses it if it is faster on `sample` and as
            accurate.
        sample: texts to measure on; at most `BATCH` of them are used.

    Attributes:
        width: numbers per vector.
        bfloat16: whether it computes in bfloat16.

    Raises:
        ConfigError: the folder holds no encoder that the library supports without foreign code.
        CheckpointError: its tokenizer is damaged.
        MissingPackageError: the library transformers is not installed.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        bfloat16: bool | None,
        sample: Sequence[str] = (),
    ) -> None:
        self._folder, self._device = folder, device
        max_tokens = min(_MAX_TOKENS, longest_text(folder))
        self._tokenizer = EncoderTokenizer(folder / TOKENIZER, max_tokens=max_tokens)
        self._encoder = load_encoder(folder).to(device).eval()
        self.width: int = self._encoder.config.hidden_size  # type: ignore[assignment, union-attr]
        if bfloat16 is None:
            bfloat16 = self._prefers_bfloat16(sample)
        self.bfloat16 = bfloat16
        if bfloat16:
            self._encoder.to(torch.bfloat16)

    def vectors(
        self, texts: Sequence[str], done: Callable[[int], None] = lambda _: None
    ) -> torch.Tensor:
        """Return a vector of length 1 for each text, float16 [texts, width].

        Args:
            texts: the texts.
            done: is called with the number of texts of each batch.

        Raises:
            ConfigError: a vector is NaN or infinite.
        """
        sequences = list(encode_texts(texts, self._tokenizer))
        lengths = np.array([len(sequence) for sequence in sequences])
        found = torch.empty(len(texts), self.width, dtype=torch.float16)
        for rows in indices_by_length(lengths, BATCH):
            batch = [sequences[row] for row in rows]
            found[torch.from_numpy(rows)] = self._vectors(self._encoder, batch).half()
            done(len(rows))
        if not torch.isfinite(found).all():
            raise ConfigError(
                f"{self._folder}: its vectors are NaN or infinite, so it cannot teach; give "
                "another encoder"
            )
        return found

    def _vectors(self, encoder: nn.Module, sequences: list[NDArray[np.int64]]) -> torch.Tensor:
        ids, lengths = (torch.from_numpy(each).to(self._device) for each in pad(sequences))
        with torch.inference_mode():
            return functional.normalize(mean_state(encoder, ids, lengths), dim=1).cpu()

    def _prefers_bfloat16(self, sample: Sequence[str]) -> bool:
        """Return whether bfloat16 is faster on a batch, and as accurate."""
        batch = list(encode_texts(sample[:BATCH], self._tokenizer))
        encoders = {False: self._encoder, True: copy.deepcopy(self._encoder).to(torch.bfloat16)}
        vectors = {}

        def compute(bfloat16: bool) -> None:
            vectors[bfloat16] = self._vectors(encoders[bfloat16], batch)

        faster = is_faster_in_bfloat16(compute)
        cosine = float(torch.cosine_similarity(vectors[True], vectors[False]).min())
        return faster and cosine > _MIN_COSINE


def part_files(folder: Path, count: int) -> list[Path]:
    """Return the files that hold the vectors of a number of texts."""
    return [folder / f"{number:05}.safetensors" for number in range(-(-count // _PART))]


def embed_texts(
    texts: Iterable[str], files: Sequence[Path], teacher: SentenceTransformer, progress: Progress
) -> None:
    """Write the files that are missing, each of them atomically.

    Args:
        texts: all texts.
        files: what `part_files` returned.
        teacher: the teacher.
        progress: receives every batch.

    Raises:
        ConfigError: a vector is NaN or infinite.
        CheckpointError: a file cannot be written.
    """
    for file, window in zip(files, windows(texts, _PART), strict=True):
        if file.exists():
            progress.step(len(window))
        else:
            write_tensors(file, {_VECTORS: teacher.vectors(window, progress.step)}, {})


def principal_components(files: Sequence[Path], components: int) -> NDArray[np.float16]:
    """Return the principal components of the vectors, float16 [texts, components].

    The vectors are centred, projected, and scaled to length 1.

    Args:
        files: what `embed_texts` wrote.
        components: number of components.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    count = 0
    total: NDArray[np.float64] = np.zeros(())
    squares: NDArray[np.float64] = np.zeros(())
    for file in files:
        vectors = _read(file)
        count += len(vectors)
        total = total + vectors.sum(axis=0, dtype=np.float64)
        squares = squares + (vectors.T @ vectors)
    mean = total / count
    _, directions = np.linalg.eigh(squares / count - np.outer(mean, mean))
    basis = directions[:, ::-1][:, :components].astype(np.float32)
    offset = mean.astype(np.float32)
    result = []
    for file in files:
        projected = (_read(file) - offset) @ basis
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        result.append((projected / np.maximum(lengths, 1e-12)).astype(np.float16))
    return np.concatenate(result)


def _read(file: Path) -> NDArray[np.float32]:
    with reporting_damage(file):
        tensors, _ = read_tensors(file)
        found: NDArray[np.float32] = tensors[_VECTORS].float().numpy()
        return found
