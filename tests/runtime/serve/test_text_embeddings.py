"""Text Embeddings Inference's protocol, spoken by Hugging Face's client."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from textgate import Classifier
from textgate.serve.problems import Problem, decoded
from textgate.serve.text_embeddings import _REQUEST

TEXT = "a great, funny and moving film"


@pytest.fixture(scope="module")
def ranked(bundle):
    with Classifier.load(bundle) as classifier:
        prediction = classifier.predict(TEXT)
    return sorted(prediction.scores.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("path", ["", "/", "/predict"])
def test_text_classification_gives_all_labels_the_most_probable_first(server, ranked, path):
    answer = InferenceClient(server.url + path).text_classification(TEXT)
    assert [(one.label, one.score) for one in answer] == ranked


def test_top_k_and_the_function_are_taken(server, ranked):
    client = InferenceClient(server.url)
    answer = client.text_classification(TEXT, top_k=1, function_to_apply="softmax")
    assert [(one.label, one.score) for one in answer] == ranked[:1]
    with pytest.raises(HfHubHTTPError, match="gives probabilities"):
        client.text_classification(TEXT, function_to_apply="none")


def test_another_model_is_named_in_the_address(server):
    answer = InferenceClient(f"{server.url}/predict?model=topics").text_classification(TEXT)
    assert len(answer) == 5


def listed(ranked):
    return [{"score": score, "label": label} for label, score in ranked]


@pytest.mark.parametrize(
    ("inputs", "several"), [(TEXT, False), ([TEXT], True), ([[TEXT], [TEXT]], True)]
)
def test_predict_gives_a_list_for_one_text_and_a_list_of_lists_for_several(
    client, ranked, inputs, several
):
    answer = client().post("/predict", json={"inputs": inputs, "truncate": True})
    assert answer.json() == ([listed(ranked)] * len(inputs) if several else listed(ranked))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": None},
        {"inputs": []},
        {"inputs": [["a", "pair"]]},
        {"inputs": [[]]},
        {"inputs": "a", "raw_scores": True},
        {"inputs": "a", "parameters": {"top_k": 0}},
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_refused(client, body):
    answer = client().post("/predict", json=body)
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "Validation"


def test_too_many_texts_are_refused_before_they_are_read(client):
    answer = client(max_texts=2).post("/predict", json={"inputs": ["a", "b", ["a", "pair"]]})
    assert answer.status_code == 413


@pytest.mark.parametrize("end", [b"]}", b"!"], ids=["right", "wrong"])
def test_a_large_body_is_decoded_without_collections(end):
    body = b'{"inputs":[' + b'[""],' * 50_000 + b'""' + end
    before = gc.get_stats()[0]["collections"]
    with suppress(Problem):
        decoded(_REQUEST, body)
    assert gc.get_stats()[0]["collections"] <= before + 2  # one may follow
    assert gc.isenabled()


def test_info_names_the_model_and_its_labels(client):
    said = client().get("/info").json()
    assert said["model_id"] == "movies"
    assert said["model_type"]["classifier"]["id2label"] == {"0": "negative", "1": "positive"}
    assert said["auto_truncate"] is True
