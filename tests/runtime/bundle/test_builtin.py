"""The models that come with the package: their names, and what is said when one is broken."""

from __future__ import annotations

import pickle
import shutil

import pytest

from textgate import BundleError, Classifier, ConfigError
from textgate.bundle import builtin as bundled
from textgate.bundle.builtin import DEFAULT_MODEL, MODELS, find_bundle, open_bundle


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory, and no bundle named by the environment."""
    monkeypatch.delenv("TEXTGATE_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_there(name, elsewhere):
    opened = open_bundle(name)
    assert opened.path == bundled.bundled_path(name)
    assert {path.name for path in opened.path.iterdir()} == {
        "README.md",
        "model.onnx",
        "textgate.json",
        "tokenizer.json",
    }


def test_the_default_needs_no_name(elsewhere):
    with Classifier.load() as classifier, Classifier.load(DEFAULT_MODEL) as named:
        assert classifier.path == named.path == bundled.bundled_path(DEFAULT_MODEL)


def test_the_environment_may_name_another(elsewhere, bundle, monkeypatch):
    monkeypatch.setenv("TEXTGATE_MODEL", str(bundle))
    assert find_bundle() == bundle
    assert find_bundle(DEFAULT_MODEL) == bundled.bundled_path(DEFAULT_MODEL)
    monkeypatch.setenv("TEXTGATE_MODEL", DEFAULT_MODEL)
    assert find_bundle() == bundled.bundled_path(DEFAULT_MODEL)


def test_a_folder_of_the_same_name_goes_first(elsewhere, bundle):
    shutil.copytree(bundle, elsewhere / DEFAULT_MODEL)
    assert open_bundle(DEFAULT_MODEL).graph == (bundle / "model.onnx").read_bytes()
    assert find_bundle().name == DEFAULT_MODEL


def test_a_pickle_means_the_folder_it_came_from(elsewhere, bundle, monkeypatch):
    shutil.copytree(bundle, elsewhere / DEFAULT_MODEL)
    with Classifier.load(DEFAULT_MODEL) as classifier:
        content = pickle.dumps(classifier)
    (elsewhere / "other").mkdir()
    monkeypatch.chdir(elsewhere / "other")
    with pickle.loads(content) as again:
        assert again.path == elsewhere / DEFAULT_MODEL


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "a bundle's path is empty; leave it out for the default model"),
        (123, "a bundle's path should be a str or a Path, found int"),
        (b"reviews", "a bundle's path should be a str or a Path, found bytes"),
        (["reviews"], "a bundle's path should be a str or a Path, found list"),
        (False, "a bundle's path should be a str or a Path, found bool"),
    ],
)
def test_what_is_no_path(elsewhere, path, message):
    with pytest.raises(ConfigError) as caught:
        Classifier.load(path)
    assert str(caught.value) == message


def test_a_path_is_never_a_name(elsewhere):
    with pytest.raises(BundleError, match="no such folder; a bundle was expected there"):
        open_bundle(f"./{DEFAULT_MODEL}/{DEFAULT_MODEL}")
    assert str(find_bundle(elsewhere / DEFAULT_MODEL)) == str(elsewhere / DEFAULT_MODEL)


def test_no_model_of_that_name(elsewhere):
    with pytest.raises(BundleError) as caught:
        Classifier.load("sentimental")
    assert str(caught.value) == (
        "sentimental: no folder of that name, and no model that comes with textgate (did you mean "
        "'sentiment'?); those are: sentiment, toxicity"
    )
    with pytest.raises(BundleError, match="no model that comes with textgate; those are: sent"):
        find_bundle("topics")
    with pytest.raises(KeyError):
        bundled.bundled_path("sentimental")


DAMAGE = {
    "cut off": lambda folder: (folder / "model.onnx").write_bytes(b"\x08\x08"),
    "edited": lambda folder: (folder / "tokenizer.json").write_bytes(
        (folder / "tokenizer.json").read_bytes().replace(b"a", b"b")
    ),
    "lost": lambda folder: (folder / "textgate.json").unlink(),
    "gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_model_says_to_install_again(elsewhere, bundle, monkeypatch, damage):
    monkeypatch.setattr(bundled, "_FOLDER", elsewhere / "models")
    folder = elsewhere / "models" / DEFAULT_MODEL
    shutil.copytree(bundle, folder)
    damage(folder)
    with pytest.raises(BundleError) as caught:
        Classifier.load()
    told = str(caught.value)
    assert told.startswith(str(folder))
    assert "it came with textgate, so install that again: pip install --force-reinstall" in told
    assert "\n" not in told
