"""Cutting texts into sentences, and keeping what is tested on out of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sentences.py"


@pytest.fixture
def cutting(script):
    return script("sentences")


CUTS = [
    ("One thing. Another one!  A third?", ["One thing.", "Another one!", "A third?"]),
    ('He said "go." Then he went.', ['He said "go."', "Then he went."]),
    ("It cost 3.50 dollars. ok then", ["It cost 3.50 dollars. ok then"]),
    ("Mr. Smith met J. R. Jones. They left.", ["Mr. Smith met J. R. Jones.", "They left."]),
    ("no end\nnext line\n\n", ["no end", "next line"]),
    ("Wait... What?! (Really.) Yes", ["Wait...", "What?!", "(Really.)", "Yes"]),
    ("Mr.\nSmith", ["Mr.", "Smith"]),
    ("  ", []),
]


@pytest.mark.parametrize(("text", "expected"), CUTS, ids=[text[:20] for text, _ in CUTS])
def test_cutting(cutting, text, expected):
    assert list(cutting.sentences(text)) == expected


def test_the_command(tmp_path, write_jsonl):
    reviews = write_jsonl(
        tmp_path / "reviews.jsonl",
        [
            {"text": "This is the first sentence. Too short. This one is on test, too, I fear."},
            {"text": f"This is the FIRST sentence! {'Word ' * 61}. Here is another good one."},
        ],
    )
    tested = write_jsonl(
        tmp_path / "test.jsonl", [{"text": "this one is on test too , i fear", "label": "x"}]
    )
    out = tmp_path / "sentences.jsonl"
    done = subprocess.run(
        [sys.executable, SCRIPT, reviews, "-o", out, "--against", tested],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines == [
        {"text": "This is the first sentence."},
        {"text": "Here is another good one."},
    ]
    assert done.stdout == (
        "2 written, 2 too short or too long, 1 too much like dev or test, 1 repeated\n"
    )
