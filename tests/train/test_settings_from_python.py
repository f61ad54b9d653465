"""Settings from Python: a mapping gives some of them, a dataclass gives them all."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

import textgate.train
from textgate.errors import CheckpointError, ConfigError
from textgate.train import (
    PRESETS,
    FinetunedModel,
    FinetuningConfig,
    FittedRun,
    PretrainedModel,
    PretrainingConfig,
    fit,
    pretrain,
    teach,
)

NETWORK = {"hidden_sizes": (6,), "embedding_size": 4, "vocabulary_size": 600, "vectors": "none"}
SIZES = {"hidden_size": 6, "embedding_size": 4, "vocabulary_size": 600, "vectors": "none"}


@pytest.fixture(scope="module")
def begin(separable, encoder, tmp_path_factory):
    """Begins one of the three kinds of training."""
    texts = tmp_path_factory.mktemp("texts") / "texts.txt"
    texts.write_text("".join(f"{row.text}\n" for row in separable(120)), encoding="utf-8")
    works = {
        "fit": lambda output, **options: fit(separable(40), output, **options),
        "teach": lambda output, **options: teach(
            separable(40), output, transformer=str(encoder), **options
        ),
        "pretrain": lambda output, **options: pretrain([texts], output, **options),
    }
    return lambda name, output, **options: works[name](output, **options)


KINDS = {
    "fit": (FittedRun, PRESETS["default"].replace(epochs=1, seed=7, **NETWORK)),
    "teach": (FinetunedModel, FinetuningConfig(epochs=1, seed=7)),
    "pretrain": (PretrainedModel, PretrainingConfig(epochs=1, seed=7, **SIZES)),
}


def settings_in(result):
    found = result.manifest.settings
    return found if isinstance(found, dict) else vars(found)


@pytest.mark.parametrize("name", KINDS)
def test_a_dataclass_gives_all_settings(begin, tmp_path, name):
    kind, config = KINDS[name]
    result = begin(name, tmp_path / "made", settings=config)
    assert type(result) is kind
    assert result.path == tmp_path / "made"
    expected = json.loads(json.dumps(vars(config)))  # tuples are written as lists
    assert settings_in(result) == expected
    again = begin(name, tmp_path / "made", settings=config, resume=True)
    assert again.manifest == result.manifest
    with pytest.raises(CheckpointError, match="begun with batch_size 32, not 9;"):
        begin(name, tmp_path / "made", settings=config.replace(batch_size=9), resume=True)


@pytest.mark.parametrize("name", KINDS)
def test_a_mapping_gives_some(begin, tmp_path, name):
    kind, config = KINDS[name]
    some = {"epochs": 1, "seed": 7, **{"fit": NETWORK, "pretrain": SIZES}.get(name, {})}
    result = begin(name, tmp_path / "made", settings=MappingProxyType(some))
    assert type(result) is kind
    found = settings_in(result)
    assert (found["epochs"], found["seed"]) == (1, 7)
    assert found.keys() == vars(config).keys()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("settings", ["epochs=1", 3, [("epochs", 1)]])
def test_anything_else_is_refused(begin, tmp_path, name, settings):
    with pytest.raises(ConfigError, match="settings must be a "):
        begin(name, tmp_path / "made", settings=settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", KINDS)
def test_the_settings_of_another_kind_are_refused(begin, tmp_path, name):
    other = KINDS["fit" if name != "fit" else "teach"][1]
    with pytest.raises(ConfigError, match="settings must be a "):
        begin(name, tmp_path / "made", settings=other)


def test_a_whole_config_excludes_a_preset(begin, tmp_path):
    with pytest.raises(ConfigError) as caught:
        begin("fit", tmp_path / "made", settings=KINDS["fit"][1], preset="seed-gru")
    assert str(caught.value) == (
        "a TrainingConfig gives all settings, so it does not go with a preset; start from one with "
        "PRESETS['seed-gru'].replace(...), or give the settings as a dictionary"
    )


def test_the_recipe_chooses_nothing_beside_a_whole_config(begin, tmp_path, hearing):
    heard = hearing()
    begin("fit", tmp_path / "made", settings=KINDS["fit"][1], progress=heard)
    assert [note.split(",")[0] for note in heard.notes] == ["36 training rows"]


def test_what_the_package_exports():
    names = set(textgate.train.__all__)
    assert {kind.__name__ for kind, _ in KINDS.values()} <= names
    assert {type(config).__name__ for _, config in KINDS.values()} <= names
    assert set(KINDS) <= names
