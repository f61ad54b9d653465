"""textgate's own protocol."""

from __future__ import annotations

import asyncio
import dataclasses

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
