"""Settings that a pretrained folder fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textgate.errors import ConfigError
from textgate.train.pretraining.pretrained import ENGLISH_ENCODER
from textgate.train.text.vectors import NO_VECTORS
from textgate.train.training.presets import RECIPE
from textgate.train.training.presets import preset as named_preset

if TYPE_CHECKING:
    from textgate.train.pretraining.pretrained import Pretrained

# The option of `textgate pretrain` that sets another value, if there is one.
_OPTIONS = {
    "cell": "--cell",
    "embedding_size": "--embedding-size",
    "hidden_sizes": "--hidden",
    "vocabulary_size": "--vocabulary-size",
    "vectors": "--vectors",
}


def fix_settings(pretrained: Pretrained, preset: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the given settings, with those that the pretrained weights fix.

    Of several recurrent layers only the first is pretrained, so only its size is fixed.

    Args:
        pretrained: the pretrained weights.
        preset: name of the preset; one other than the default must not conflict with the weights.
        settings: the given settings by name.

    Raises:
        ConfigError: a setting or the preset conflicts with the weights.
    """
    values = named_preset(preset)
    hidden = settings.get("hidden_sizes") or values.hidden_sizes
    of = pretrained.settings
    fixed = {
        "cell": of.cell,
        "embedding_size": of.embedding_size,
        "hidden_sizes": (of.hidden_size, *hidden[1:]),
        "bidirectional": False,
        "tokenizer": "subwords",
        "vocabulary_size": of.vocabulary_size,
        "vectors": of.vectors,
        "whole_vocabulary": False,
    }
    if pretrained.projection is not None:  # its words are chosen anew, so that they suit the rows
        del fixed["vocabulary_size"]
        fixed["vectors"] = NO_VECTORS
    where = f"the encoder {ENGLISH_ENCODER}" if pretrained.is_packaged else str(pretrained.path)
    for name, value in fixed.items():
        if preset != RECIPE and name not in settings and getattr(values, name) != value:
            raise ConfigError(
                f"the preset {preset} has {name} {_shown(getattr(values, name))}, "
                f"{where} was pretrained with {_shown(value)}; leave --preset out, or "
                "--encoder"
            )
        if settings.get(name, value) != value:
            other = "leave --encoder out"
            if name in _OPTIONS and not pretrained.is_packaged:
                other = f"pretrain again with {_OPTIONS[name]}"
            raise ConfigError(
                f"{name} {_shown(settings[name])} does not go with {where}, which was "
                f"pretrained with {_shown(value)}; leave the option out, or {other}"
            )
    return {**settings, **fixed}


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
