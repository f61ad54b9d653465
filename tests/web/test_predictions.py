"""The browser package gives what Python gives: ids, probabilities, labels, reasons, streams."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from pathlib import Path

import pytest

from textgate import Classifier
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import load_labelled

ROOT = Path(__file__).parents[2]
SENTIMENT = ROOT / "runtime" / "models" / "sentiment"
BUNDLES = [
    SENTIMENT,
    *(ROOT / "tests" / "data" / name for name in ("gru-float32", "lstm-int8", "rnn-multi-label")),
]
SETS = ROOT.parent / "shared" / "data"  # larger data beside the project, where there is some
ODD = [
    "",
    " \t\n",
    "\u4e2d\u6587",
    "it isn't good, don't you think",
    "\ud83d",
    "good \ude00 film",
    "\U0001f600 great",
    "great " * 700,
    "x" * 3000,
    "caf\u00e9 cafe\u0301 \u0130stanbul \u03a3\u0391\u03a3",
]


@pytest.fixture(scope="module")
def texts():
    rows = load_labelled(ROOT / "examples" / "reviews" / "test.jsonl.gz")
    return [*ODD, *(row.text for row in rows[:120])]


def plain(prediction):
    """A prediction as node.mjs writes it."""
    return {
        "label": prediction.label,
        "labels": list(prediction.labels),
        "score": prediction.score,
        "scores": [list(item) for item in prediction.scores.items()],
        "topLabel": prediction.top_label,
        "reason": prediction.reason,
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
    }


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_predictions_are_those_of_python_to_the_last_bit(node, texts, bundle):
    found = node("predictions", bundle=bundle, texts=texts)
    classifier = Classifier.load(bundle, engine="native")
    expected = [plain(classifier.predict(text)) for text in texts]
    assert found["one"] == expected
    assert found["many"] == expected
    assert found["facts"]["engine"] == {"name": "native", "detail": "simd128"}
    assert found["facts"]["labels"] == list(classifier.labels)


@pytest.mark.skipif(not SETS.is_dir(), reason="no ../shared/data; the test above has fewer texts")
def test_real_texts_of_all_kinds_are_as_in_python(node):
    rng = random.Random(0)
    texts = []
    for path in sorted(SETS.glob("*/dev.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found = [json.loads(line)["text"] for line in lines]
        texts += rng.sample(found, min(len(found), 100))
    assert len(texts) > 2000
    found = node("predictions", bundle=SENTIMENT, texts=texts)
    expected = [
        plain(one) for one in Classifier.load(SENTIMENT, engine="native").predict_many(texts)
    ]
    assert found["one"] == expected
    assert found["many"] == expected


def test_options_mean_what_they_mean_in_python(node, texts):
    thresholds = {"positive": 0.9999, "negative": 0.25}
    found = node(
        "predictions",
        bundle=SENTIMENT,
        texts=texts,
        options={"thresholds": thresholds, "maxTokens": 7},
    )
    classifier = Classifier.load(SENTIMENT, engine="native", thresholds=thresholds, max_tokens=7)
    assert found["one"] == [plain(classifier.predict(text)) for text in texts]
    assert any(
        "is below the threshold 0.9999 of 'positive'" in str(one["reason"]) for one in found["one"]
    )


def units(text):
    """The position in UTF-16 of every character, and after the last one."""
    return [0, *itertools.accumulate(1 + (ord(character) > 0xFFFF) for character in text)]


def explained(classifier, text, top_k=None):
    """An explanation as node.mjs writes it."""
    found = classifier.explain(text, top_k=top_k)
    at = units(found.text)
    return {
        "text": found.text,
        "labels": list(found.labels),
        "readEnd": at[found.read_end],
        "prediction": plain(found.prediction),
        "words": [
            {
                "text": word.text,
                "start": at[word.start],
                "end": at[word.end],
                "values": [list(item) for item in word.values.items()],
                "prefixScores": [list(item) for item in word.prefix_scores.items()],
            }
            for word in found.words
        ],
    }


EXPLAINED = [
    *ODD,
    "I can't say it's good , nor well-made; 3.5 of 10!",
    "\u5f88\u597d\u5403 good\x1c\u2167 \ufeff\U0001f44d\U0001f3fd caf\u00e9",
    "good " * 70 + "bad",
    "word " * 600,
]


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
@pytest.mark.parametrize("worker", [False, True])
def test_explanations_are_those_of_python(node, texts, bundle, worker):
    asked = [*EXPLAINED, *texts[len(ODD) : len(ODD) + (5 if worker else 20)]]
    options = {"topK": 2} if worker else {}
    found = node("explanations", bundle=bundle, texts=asked, options=options, worker=worker)
    classifier = Classifier.load(bundle, engine="native")
    for text, one in zip(asked, found, strict=True):
        expected = explained(classifier, text, 2 if worker else None)
        for name, precision in (("values", 1e-6), ("prefixScores", 0)):
            for word, other in zip(one["words"], expected["words"], strict=True):
                numbers = [score for _, score in word[name]]
                wanted = [score for _, score in other[name]]
                assert numbers == pytest.approx(wanted, abs=precision, rel=0), text
                word[name] = other[name]
        assert one == expected


def test_a_worker_gives_the_same(node, texts):
    here = node("predictions", bundle=SENTIMENT, texts=texts[:20])
    assert node("predictions", bundle=SENTIMENT, texts=texts[:20], worker=True) == here


def test_calls_that_are_sent_together_are_answered_each(node, texts):
    *found, unsent, wrong, fed, late = node("together", bundle=SENTIMENT, texts=texts[:20])
    classifier = Classifier.load(SENTIMENT, engine="native")
    assert found == [plain(classifier.predict(text)) for text in texts[:20]]
    assert unsent["error"] == "ConfigError"
    assert unsent["message"].startswith("a worker cannot be given this: ")
    assert wrong["message"] == "topK must be a whole number from 1 to 3, not 4"
    assert fed == plain(classifier.predict(texts[0]))
    assert late == {"error": "ConfigError", "message": "the classifier was closed"}


def pieces_of(text, rng):
    """A text or its UTF-8, cut anywhere."""
    whole = text.encode("utf-8", "replace") if rng.random() < 0.5 else text
    cuts = sorted(rng.randrange(len(whole) + 1) for _ in range(rng.randrange(6)))
    ends = [*cuts, len(whole)]
    return [whole[begin:end] for begin, end in zip([0, *cuts], ends, strict=True)]


@pytest.mark.parametrize("worker", [False, True])
@pytest.mark.parametrize("bundle", BUNDLES[:3], ids=lambda path: path.name)
def test_streams_are_those_of_python(node, texts, bundle, worker):
    rng = random.Random(0)
    chosen = [text for text in texts[:40] if not any("\ud800" <= one < "\ue000" for one in text)]
    pieces = [pieces_of(text, rng) for text in chosen]
    found = node(
        "streams",
        bundle=bundle,
        worker=worker,
        pieces=[[x if isinstance(x, str) else list(x) for x in p] for p in pieces],
    )
    classifier = Classifier.load(bundle, engine="native")
    for text, parts, predictions in zip(chosen, pieces, found, strict=True):
        stream = classifier.stream()
        expected = [plain(stream.feed(part)) for part in parts]
        assert predictions == [*expected, plain(stream.finish())], text


def test_half_a_character_of_text_waits_for_the_other(node):
    whole = "great \U0001f600 film"
    (found,) = node("streams", bundle=SENTIMENT, pieces=[["great \ud83d", "\ude00 film"]])
    assert found[-1] == plain(Classifier.load(SENTIMENT, engine="native").predict(whole))


def test_all_of_unicode_has_the_ids_of_python(node):
    """Code points alone, in words, beside marks and apostrophes, and at random."""
    points = [
        point
        for point in (*range(0x3400), *range(0xA000, 0xD800, 7), *range(0xF900, 0x1F000))
        if not 0xD800 <= point < 0xE000
    ]
    texts = []
    for begin in range(0, len(points), 256):
        some = [chr(point) for point in points[begin : begin + 256]]
        texts += [
            " ".join(some),
            " ".join(f"a{one}b {one}'s n{one}t e{one}\u0301" for one in some),
            "".join(some),
        ]
    rng = random.Random(0)
    odd = [
        *"'\u2019nt ABC\u0130\u03a3\u0301\u0345\u1100\u1161\u11a8\uac00",
        *(chr(point) for point in range(0x300, 0x340)),
    ]
    for _ in range(500):
        kinds = [odd if rng.random() < 0.5 else points for _ in range(20)]
        texts.append(
            "".join(one if isinstance(one := rng.choice(kind), str) else chr(one) for kind in kinds)
        )
    tokenizer = TextTokenizer((SENTIMENT / "tokenizer.json").read_text("utf-8"), max_tokens=10**6)
    found = node("ids", bundle=SENTIMENT, texts=texts)
    for text, ids in zip(texts, found, strict=True):
        assert ids == tokenizer.token_ids(text), ascii(text)
