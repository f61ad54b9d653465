"""Peers of `few_rows.py`, in an interpreter that needs only numpy and scikit-learn.

Standard input is one object in JSON: training texts, their labels, test texts, and the files of the
sentence vectors of both, or an empty list. The output has each peer's seconds of training and
labels of the test texts. TF-IDF is of words and pairs of words, or of characters and pairs of
characters in languages that do not separate words.
"""

import json
import re
import sys
import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

asked = json.load(sys.stdin)
settings = {"sublinear_tf": True, "ngram_range": (1, 2), "token_pattern": r"(?u)\w+|[^\w\s]"}
characters = "".join(asked["train"])
if len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", characters)) > len(characters) / 2:
    settings = {"sublinear_tf": True, "ngram_range": (1, 2), "analyzer": "char"}
peers = {"TF-IDF": (TfidfVectorizer(**settings), asked["train"], asked["test"])}
if asked["vectors"]:
    peers["MiniLM"] = ("passthrough", *map(np.load, asked["vectors"]))
answers = {}
for name, (features, train, test) in peers.items():
    started = time.perf_counter()
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=2000))
    model.fit(train, asked["labels"])
    seconds = time.perf_counter() - started
    answers[name] = {"seconds": seconds, "labels": list(model.predict(test))}
json.dump(answers, sys.stdout)
