"""Metadata of the card, as the Hub's own client reads them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textgate import Classifier, ConfigError
from textgate.bundle.storage import read_bundle
from textgate.export import Publication, export
from textgate.export.front_matter import front_matter, scalar
from textgate.train import fit

hub = pytest.importorskip("huggingface_hub", reason="pip install 'textgate[hub]'")
yaml = pytest.importorskip("yaml")

HOSTILE = [
    "---",
    "\n---\n",
    'a": "b',
    "a: b # c",
    "{{x}} %YAML !!python/object:os.system [x",
    "\u2028\u2029\x85\x00\x7f\ufeff\ufffe",
    "'\\\"\\n\\",
    "no",
    "\u7ef4\u4fee \U0001f600 \u202eABC",
    " spaces ",
    "1e5",
]


@pytest.fixture(scope="module")
def manifest(bundle):
    return read_bundle(bundle).manifest


def card_of(manifest, name="reviews", **publication):
    text = front_matter(manifest, name=name, publication=Publication(**publication))
    return hub.ModelCard(f"{text}\n\n# {name}\n")


def results_of(card):
    return {one.metric_type: one for one in card.data.eval_results}


def test_what_the_manifest_says(manifest):
    card = card_of(manifest)
    assert card.data.library_name == "textgate"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.tags == ["onnx", "lstm", "int8"]
    assert card.data.metrics == ["accuracy", "f1"]
    assert card.data.model_name == "reviews"
    assert (card.data.license, card.data.language, card.data.datasets) == (None, None, None)
    quality, found = manifest.quality["exported"], results_of(card)
    assert {kind: one.metric_value for kind, one in found.items()} == {
        "accuracy": pytest.approx(quality.accuracy, abs=5e-5),
        "f1": pytest.approx(quality.macro_f1, abs=5e-5),
        "expected_calibration_error": pytest.approx(quality.ece, abs=5e-5),
    }
    one = found["accuracy"]
    assert (one.task_type, one.metric_name) == ("text-classification", "Accuracy")
    assert (one.dataset_name, one.dataset_type, one.dataset_split) == (
        manifest.training["train_file"],
        "unknown",
        "validation",
    )
    assert found["f1"].metric_name == "Macro-F1"


def test_what_only_its_author_knows(manifest):
    card = card_of(
        manifest, licence="apache-2.0", language=("en", "pt-BR"), dataset=("stanfordnlp/sst2",)
    )
    assert card.data.license == "apache-2.0"
    assert card.data.language == ["en", "pt-BR"]
    assert card.data.datasets == ["stanfordnlp/sst2"]
    one = results_of(card)["accuracy"]
    assert (one.dataset_name, one.dataset_type) == ("stanfordnlp/sst2", "stanfordnlp/sst2")


def test_languages_are_not_truth_values(manifest):
    """In YAML 1.1 the code of Norwegian is false."""
    assert card_of(manifest, language=("no",)).data.language == ["no"]


def test_the_rows_that_were_measured(manifest):
    verified = dataclasses.replace(
        manifest, training={**manifest.training, "verify_file": "rows.csv"}
    )
    one = results_of(card_of(verified, dataset=("a/b",)))["accuracy"]
    assert (one.dataset_name, one.dataset_type, one.dataset_split) == (
        "rows.csv",
        "unknown",
        "test",
    )
    folds = dataclasses.replace(manifest, quality={"float32": manifest.quality["float32"]})
    one = results_of(card_of(folds))["accuracy"]
    assert (one.dataset_split, one.metric_name) == ("train", "Accuracy, out of fold")
    several = results_of(card_of(manifest, dataset=("a/b", "c")))["accuracy"]
    assert several.dataset_type == "unknown"


def test_several_labels_per_text(bundles):
    manifest = read_bundle(bundles["rnn-multi-label"]).manifest
    assert results_of(card_of(manifest))["accuracy"].metric_name == (
        "Accuracy of all labels of a text"
    )
    assert json.loads(manifest.to_config())["problem_type"] == "multi_label_classification"


def test_without_scores(manifest):
    assert card_of(dataclasses.replace(manifest, quality={})).data.eval_results is None


def test_the_hubs_client_writes_what_it_has_read(manifest):
    card = card_of(manifest, licence="mit", language=("en",), dataset=("a/b",))
    assert hub.ModelCard(str(card)).data.to_dict() == card.data.to_dict()


@given(st.text(st.characters(codec="utf-8")))
@example("".join(HOSTILE))
def test_any_text_is_read_back(text):
    assert yaml.safe_load(scalar(text)) == text
    assert len(scalar(text).splitlines()) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_read_back(manifest, name):
    odd = dataclasses.replace(
        manifest,
        labels=(name, "good"),
        training={**manifest.training, "train_file": name},
    )
    card = card_of(odd, name)
    assert card.data.model_name == name
    assert results_of(card)["accuracy"].dataset_name == name
    assert card.data.to_dict().keys() == card_of(manifest).data.to_dict().keys()
    assert card.text == f"\n# {name}\n"
    config = json.loads(odd.to_config())
    assert config["id2label"] == {"0": name, "1": "good"}
    assert config["label2id"] == {name: 0, "good": 1}


@pytest.mark.parametrize(
    ("publication", "message"),
    [
        ({"licence": "Apache 2.0"}, "licence should be an identifier of the Hugging Face Hub"),
        ({"licence": ""}, "licence should be"),
        ({"licence": "mit\n---"}, r"not 'mit\\n---'"),
        ({"language": ("english",)}, "language should be a code of ISO 639"),
        ({"language": ("en", "")}, "language should be"),
        ({"dataset": ("a/b/c",)}, "dataset should be the name of a dataset"),
        ({"dataset": ("my tickets",)}, "dataset should be"),
    ],
)
def test_what_is_refused(publication, message):
    with pytest.raises(ConfigError, match=message):
        Publication(**publication)


LABELS = ("good", "--- !!python/object:x", 'a": "b\\')


@pytest.fixture(scope="module")
def run(separable, quick, tmp_path_factory):
    """A run with hostile labels."""
    names = dict(zip(("good", "bad", "odd"), LABELS, strict=True))
    rows, dev = (
        [
            dataclasses.replace(row, labels=(names[row.labels[0]],))
            for row in separable(count, tuple(names), seed=count)
        ]
        for count in (120, 30)
    )
    return fit(
        rows, tmp_path_factory.mktemp("runs") / "run", dev=dev, settings={**quick, "epochs": 8}
    ).path


def test_an_exported_card(run, tmp_path):
    done = export(
        run, tmp_path / "my-model", publication=Publication("mit", ("en",), ("owner/rows",))
    )
    card = hub.ModelCard.load(done.path / "README.md")
    assert card.data.model_name == "my-model"
    assert (card.data.license, card.data.language) == ("mit", ["en"])
    assert results_of(card)["accuracy"].metric_value == done.manifest.quality["exported"].accuracy
    config = json.loads((done.path / "config.json").read_text(encoding="utf-8"))
    with Classifier.load(done.path) as classifier:
        assert list(config["id2label"].values()) == list(classifier.labels)
    assert set(config["label2id"]) == set(LABELS)
    assert "\n# my-model\n" in card.text


def test_a_network_that_began_in_english_says_so(run, tmp_path, monkeypatch):
    from textgate.bundle.run import RUN

    assert hub.ModelCard.load(export(run, tmp_path / "a").path / "README.md").data.language is None
    document = json.loads((run / RUN).read_text(encoding="utf-8"))
    changed = tmp_path / "run"
    changed.mkdir()
    for path in run.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    document["settings"]["vectors"] = "english"
    (changed / RUN).write_text(json.dumps(document), encoding="utf-8")
    done = export(changed, tmp_path / "b")
    assert hub.ModelCard.load(done.path / "README.md").data.language == ["en"]
    done = export(changed, tmp_path / "c", publication=Publication(language=("de",)))
    assert hub.ModelCard.load(done.path / "README.md").data.language == ["de"]


def test_the_command(command, run, tmp_path):
    bundle = tmp_path / "bundle"
    options = ("--license", "mit", "--language", "en", "--language", "de", "--dataset", "a/b")
    assert command("export", run, "-o", bundle, *options).status == 0
    card = hub.ModelCard.load(bundle / "README.md")
    assert (card.data.license, card.data.language, card.data.datasets) == (
        "mit",
        ["en", "de"],
        ["a/b"],
    )
    for name in ("license", "language", "dataset"):
        for arguments in (("export", run), ("fit", "rows.csv")):
            done = command(*arguments, "-o", tmp_path / "other", f"--{name}", "a b")
            assert done.status == 2
            assert done.message.startswith(f"textgate: --{name} should be ")
    assert not (tmp_path / "other").exists()
