"""Log records: few, and hidden by default."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

import textgate.inference.session
from textgate import Classifier
from textgate.inference.bulk import classify_rows
from textgate.rows import Row

SECRET = "a text that is nobody's business " * 20


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG, logger="textgate")

    def taken():
        told = [(record.levelname, record.getMessage()) for record in caplog.records]
        caplog.clear()
        return told

    return taken


def test_what_is_logged(bundle, records):
    classifier = Classifier.load(bundle, engine="onnxruntime")
    engine = "engine onnxruntime (as asked for)"
    assert records() == [("INFO", f"loaded {bundle}: lstm, int8, 2 labels, {engine}")]
    classifier.predict(SECRET)
    ((level, message),) = records()
    assert level == "DEBUG"
    assert message.startswith("made a session of 1 threads in ")
    assert message.endswith(" ms")
    classifier.predict(SECRET)
    assert records() == []


def test_sessions_that_are_made_again(bundle, records):
    classifier = Classifier.load(bundle, engine="onnxruntime")
    classifier.predict("good")
    records()
    textgate.inference.session._after_fork()
    classifier.predict("good")
    ((level, message),) = records()
    assert level == "DEBUG"
    assert message.endswith(" ms, again after a fork")


def test_texts_that_are_cut_off(bundle, records):
    classifier = Classifier.load(bundle)
    classifier.predict("good")
    records()
    list(classifier.predict_many(["good", SECRET, SECRET]))
    assert records() == [("DEBUG", "cut off 2 texts of 3")]
    list(classifier.predict_many(["good"]))
    assert records() == []


def test_files(bundle, records):
    classifier = Classifier.load(bundle)
    classifier.predict("good")
    records()
    list(classify_rows(classifier, [Row("good", (), 1)], window=512, jobs=2))
    assert records() == [("DEBUG", "classifying windows of up to 512 rows in 2 threads")]


SILENT = """
import logging, sys
from textgate import Classifier
one = Classifier.load(sys.argv[1])
one.predict("good")
list(one.predict_many(["good " * 1000]))
logger = logging.getLogger("textgate")
logger.critical("not even this is printed")
assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
assert logger.level == logging.NOTSET and logger.propagate
assert logging.getLogger().handlers == []
"""


def test_silent_by_default(bundle):
    done = subprocess.run(
        [sys.executable, "-c", SILENT, str(bundle)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
