"""Students: a line a set, in the results and in the README."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def rows(path, count, words):
    lines = "".join(
        json.dumps({"text": f"a {word} film, number {number}", "label": label}) + "\n"
        for number in range(count)
        for word, label in zip(words, ("positive", "negative"), strict=True)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(lines.encode()))
    return path


def line(name, accuracy):
    return {"data": name, "seeds": 1, "with": {"teachers": []}, "textgate": {"accuracy": accuracy}}


def test_a_line_is_added_or_replaced(script, tmp_path):
    students = script("students")
    out = tmp_path / "students.json"
    for one in (line("trec", 0.9), line("mr", 0.8), line("trec", 0.95)):
        out.write_text(json.dumps(students.with_line(out, one)), encoding="utf-8")
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["sets"] == [line("mr", 0.8), line("trec", 0.95)]


def test_further_rows_and_a_teacher_are_learned_from(script, tmp_path):
    """The test rows hold a word that only the further rows tell of."""
    data = tmp_path / "data"
    rows(data / "films" / "train.jsonl.gz", 60, ("good", "bad"))
    rows(data / "films" / "test.jsonl.gz", 20, ("splendid", "awful"))
    more = rows(tmp_path / "more.jsonl.gz", 60, ("splendid", "awful"))
    out, cache = tmp_path / "students.json", tmp_path / "cache"
    command = [sys.executable, BENCHMARKS / "students.py", "--data", data, "--set", "films"]
    command += ["--rows", more, "--seeds", "1", "--cache", cache, "--out", out]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (found,) = json.loads(out.read_text(encoding="utf-8"))["sets"]
    assert found["textgate"]["accuracy"]["mean"] == 1.0
    assert found["with"]["rows"] == ["more.jsonl.gz"]
    again = [*command[:-4], "--teacher", cache / "films-0", "--cache", tmp_path / "other"]
    subprocess.run([*again, "--out", out], check=True, capture_output=True, timeout=300)
    (taught,) = json.loads(out.read_text(encoding="utf-8"))["sets"]
    assert script("students").told(taught) == "rows: more.jsonl.gz; teachers: films-0"


def test_what_was_given_several_times_is_told_once(script):
    given = {"rows": ["a.gz", "b.gz", "a.gz"], "teachers": [], "epochs": ["5"]}
    assert script("students").told({"with": given}) == "rows: a.gz (2 times), b.gz; epochs: 5"
