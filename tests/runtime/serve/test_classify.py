"""textgate's own protocol."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

from textgate import Classifier

TEXTS = ["a great, funny and moving film", "", "dull , dull , dull " * 400, "Ünïcödé 🎬 \u0000 x"]
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


def plain(prediction):
    return {**dataclasses.asdict(prediction), "labels": list(prediction.labels)}


@pytest.mark.parametrize("text", TEXTS)
def test_one_text_gets_what_predict_says(client, classifier, text):
    answer = client().post("/v1/classify", json={"text": text})
    assert answer.status_code == 200
    expected = plain(classifier.predict(text))
    assert answer.json() == {"model": "movies", "version": "1", "prediction": expected}


def test_several_texts_get_what_predict_many_says(client, classifier):
    texts = TEXTS * 50  # long enough for the worker thread
    answer = client().post("/v1/classify", json={"texts": texts}).json()
    assert answer["predictions"] == [plain(one) for one in classifier.predict_many(texts)]


@pytest.mark.parametrize("thresholds", [0.999, {"positive": 1.0}, {}])
def test_thresholds_and_top_k_are_those_of_the_request(client, bundle, thresholds):
    with Classifier.load(bundle, thresholds=thresholds) as classifier:
        expected = [plain(one) for one in classifier.predict_many(TEXTS[:1] * 2, top_k=1)]
    request = {"texts": TEXTS[:1] * 2, "thresholds": thresholds, "top_k": 1}
    assert client().post("/v1/classify", json=request).json()["predictions"] == expected


def test_no_texts_get_no_predictions(client):
    assert client().post("/v1/classify", json={"texts": []}).json()["predictions"] == []


def test_a_multi_label_model_gives_several_labels(client, bundles):
    with Classifier.load(bundles["rnn-multi-label"]) as classifier:
        expected = plain(classifier.predict(TEXTS[0]))
    made = client({"topics": bundles["rnn-multi-label"]})
    assert made.post("/v1/classify", json={"text": TEXTS[0]}).json()["prediction"] == expected


REFUSED = {
    # what is sent -> status and words of the detail
    b"": (400, "not JSON"),
    b"{": (400, "not JSON"),
    b"\xff\xfe": (400, "not JSON"),
    b'{"text": "\xff"}': (400, "not JSON"),
    b'{"text": "\\ud800"}': (400, "not JSON"),
    b'{"text": NaN}': (400, "not JSON"),
    b'{"thresholds": NaN, "text": ""}': (400, "not JSON"),
    b'{"text": "a", "thresholds": 1e999}': (422, "`$.thresholds`"),
    b"[" * 100_000: (422, "Expected `object`"),
    b'{"x": ' + b"[" * 100_000: (422, "unknown field `x`"),
    b"null": (422, "Expected `object`"),
    b"{}": (422, "either `text`"),
    b'{"text": "a", "texts": ["a"]}': (422, "either `text`"),
    b'{"text": 1}': (422, "`$.text`"),
    b'{"texts": ["a", null]}': (422, "`$.texts[1]`"),
    b'{"text": "a", "txt": "b"}': (422, "unknown field `txt`"),
    b'{"text": "a", "top_k": 0}': (422, "`$.top_k`"),
    b'{"text": "a", "top_k": 9}': (422, "top_k must be from 1 to the 2 labels"),
    b'{"texts": ["a"], "top_k": 9, "thresholds": 0.5}': (422, "top_k must be"),
    b'{"text": "a", "thresholds": 2}': (422, "`$.thresholds`"),
    b'{"text": "a", "thresholds": {"nice": 0.5}}': (422, "'nice', which is not a label"),
    b'{"text": "a", "model": "none"}': (404, "the models are movies"),
    b'{"text": "a", "version": "7"}': (404, "no version '7'; found 1"),
}


@pytest.mark.parametrize(("body", "expected"), REFUSED.items(), ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named_in_problem_details(client, body, expected):
    status, words = expected
    answer = client().post("/v1/classify", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert words in problem["detail"]
    assert "\n" not in problem["detail"]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "found none"),
        ({"content-type": "text/plain"}, "found text/plain"),
        ({"content-type": "application/x-www-form-urlencoded"}, "should be application/json"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "compressed"),
    ],
)
def test_other_content_types_are_refused(client, headers, words):
    answer = client().post("/v1/classify", content=b'{"text": "a"}', headers=headers)
    assert answer.status_code == 415
    assert words in answer.json()["detail"]


def test_a_content_type_may_have_parameters(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    answer = client().post("/v1/classify", content=b'{"text": "a"}', headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("limit", "request_body"),
    [
        ({"max_body": 20}, {"text": "a text that is too long"}),
        ({"max_texts": 2}, {"texts": ["a"] * 3}),
        ({"max_characters": 3}, {"texts": ["abc", "abcd"]}),
    ],
)
def test_beyond_a_limit_is_413(client, limit, request_body):
    answer = client(**limit).post("/v1/classify", json=request_body)
    assert answer.status_code == 413
    assert "accepted" in answer.json()["detail"]


def test_a_long_body_without_a_length_is_413(client):
    pieces = iter([b'{"text": "', b"x" * 100, b'"}'])
    answer = client(max_body=50).post("/v1/classify", content=pieces, headers=JSON)
    assert answer.status_code == 413


def test_models_and_versions_are_listed_and_chosen(client, bundles):
    made = client(
        {
            "movies:1": bundles["lstm-int8"],
            "movies:2": bundles["gru-float32"],
            "topics": bundles["rnn-multi-label"],
        }
    )
    listed = made.get("/v1/models").json()["models"]
    assert [(one["name"], one["version"], one["default"]) for one in listed] == [
        ("movies", "1", False),
        ("movies", "2", True),
        ("topics", "1", False),
    ]
    for request, expected in (
        ({}, ("movies", "2")),
        ({"model": "movies", "version": "1"}, ("movies", "1")),
        ({"model": "topics"}, ("topics", "1")),
    ):
        answer = made.post("/v1/classify", json={"text": "a", **request}).json()
        assert (answer["model"], answer["version"]) == expected


def test_another_path_is_404_and_another_method_405(client):
    made = client()
    assert made.get("/nothing").status_code == 404
    answer = made.get("/v1/classify")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_texts_that_arrive_together_are_one_batch_and_a_lone_one_waits_for_none(
    client, monkeypatch
):
    made = client()
    work, classifier = made.service.work, made.service.models.find().classifier
    texts = [f"a film about {number} dull things" for number in range(40)]
    expected = [classifier.predict(text) for text in texts]
    sizes = []
    whole, single = classifier.scores, classifier.predict

    def scores(batch):
        sizes.append(len(batch))
        return whole(batch)

    def predict(text):
        sizes.append(1)
        return single(text)

    monkeypatch.setattr(classifier, "scores", scores)
    monkeypatch.setattr(classifier, "predict", predict)

    async def together(some):
        return await asyncio.gather(*(work.predict(classifier, text) for text in some))

    async def all_turns():
        assert await together(texts) == expected  # the first was alone when it came
        assert await together(texts) == expected
        assert await together(texts[:1]) == expected[:1]
        with pytest.raises(StopIteration) as lone:  # without a turn of the event loop
            work.predict(classifier, texts[0]).send(None)
        assert lone.value.value == expected[0]

    asyncio.run(all_turns())
    assert sizes == [1, 32, 7, 32, 8, 1, 1]


def explained(classifier, text, **options):
    found = classifier.explain(text, **options)
    words = [dataclasses.asdict(word) for word in found.words]
    return {"words": words, "read_end": found.read_end}


def test_an_explanation_is_that_of_explain(client, classifier):
    made = client()
    answer = made.post("/v1/classify", json={"text": TEXTS[0], "explain": True}).json()
    assert answer["prediction"] == plain(classifier.predict(TEXTS[0]))
    assert answer["explanation"] == explained(classifier, TEXTS[0])
    request = {"texts": TEXTS, "explain": True, "top_k": 1, "thresholds": 0.999}
    answer = made.post("/v1/classify", json=request).json()
    assert [one["label"] for one in answer["predictions"]] == [None] * 4
    assert answer["explanations"] == [explained(classifier, text, top_k=1) for text in TEXTS]
    counted = made.get("/metrics").text
    assert 'textgate_texts_total{model="movies"} 5.0' in counted


def test_without_the_field_nothing_is_explained(client):
    for request in ({"text": "great"}, {"text": "great", "explain": False}, {"texts": ["great"]}):
        answer = client().post("/v1/classify", json=request).json()
        assert not {"explanation", "explanations"} & answer.keys()


def test_explanations_never_hold_up_the_event_loop(client, monkeypatch):
    made = client()
    threads = []
    classifier = made.service.models.find().classifier
    whole = classifier.explain

    def explain(text, **options):
        threads.append(threading.current_thread().name)
        return whole(text, **options)

    monkeypatch.setattr(classifier, "explain", explain)
    assert made.post("/v1/classify", json={"text": "a", "explain": True}).status_code == 200
    assert threads[0].startswith("textgate-serve")


@pytest.mark.parametrize("texts", [["a"] * 33, ["a" * 10_001], ["a" * 5_000, "b" * 5_001]])
def test_too_much_to_explain_is_413(client, texts):
    made = client()
    answer = made.post("/v1/classify", json={"texts": texts, "explain": True})
    assert answer.status_code == 413
    assert "at most 32 texts of together 10000 characters" in answer.json()["detail"]
    assert made.post("/v1/classify", json={"texts": texts}).status_code == 200


def test_the_document_describes_explanations(client):
    schemas = client().get("/openapi.json").json()["components"]["schemas"]
    assert schemas["ClassifyRequest"]["properties"]["explain"]["type"] == "boolean"
    assert set(schemas["TextExplanation"]["properties"]) == {"words", "read_end"}
    assert set(schemas["Word"]["properties"]) == {
        "text", "start", "end", "values", "prefix_scores",
    }  # fmt: skip
