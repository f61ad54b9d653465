"""Any text that a format can hold comes back as it was written."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.rows import Columns, read_rows
from textgate.rows.labels import clean_label

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AWKWARD = "a\0b\x0b\x0c\x1c\x85\u2028\u2029\r\n\r\"',\t é e\u0301 👩‍👩‍👧 \ufeff \U0010ffff \u202e"
TEXTS = st.lists(
    st.text() | st.text("\r\n\t\",'\0\x85\u2028\ufeff _l{}\\", max_size=12), min_size=1, max_size=5
)
NAMES = st.text(min_size=1).filter(clean_label)


def texts_of(path, *, labelled=True, **options):
    return [row.text for row in read_rows(path, Columns(**options), labelled=labelled)]


@SETTINGS
@given(TEXTS, st.booleans(), NAMES)
@example([AWKWARD], False, "x")
@example(["\ud800"], True, "x")
def test_json_lines(tmp_path, texts, ascii_only, label):
    path = tmp_path / "a.jsonl"
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=ascii_only) + "\n" for text in texts
    ]
    path.write_bytes("".join(lines).encode())
    rows = list(read_rows(path, labelled=True))
    assert [row.text for row in rows] == texts
    assert {row.labels for row in rows} == {(clean_label(label),)}
    assert [row.line for row in rows] == list(range(1, len(texts) + 1))


@SETTINGS
@given(TEXTS, NAMES, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
@example([AWKWARD], AWKWARD, csv.QUOTE_MINIMAL)
def test_csv(tmp_path, texts, label, quoting):
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting)
        writer.writerow(["label", "text", "other"])
        writer.writerows([label, text, text[::-1]] for text in texts)
    rows = list(read_rows(path, labelled=True))
    assert [row.text for row in rows] == texts
    assert [row.extras for row in rows] == [{"other": text[::-1]} for text in texts]
    assert {row.labels for row in rows} == {(clean_label(label),)}
    content = path.read_bytes().decode()
    starts = [row.line for row in rows]
    assert starts == sorted(set(starts))
    assert starts[0] == 2
    assert starts[-1] <= content.count("\n")


@SETTINGS
@given(TEXTS)
@example([AWKWARD.replace("\n", "").replace("\t", "")])
def test_tsv(tmp_path, texts):
    assume(not any(char in text for text in texts for char in "\n\t"))
    path = tmp_path / "a.tsv"
    path.write_bytes("".join(["text\tlabel\n", *(f"{text}\tx\n" for text in texts)]).encode())
    assert texts_of(path) == texts


@SETTINGS
@given(TEXTS)
@example([AWKWARD.replace("\n", "")])
def test_plain_text(tmp_path, texts):
    assume(not any("\n" in text or text.endswith("\r") for text in texts))
    assume(not texts[0].startswith("\ufeff"))
    path = tmp_path / "a.txt"
    path.write_bytes("".join(f"{text}\n" for text in texts).encode())
    assert texts_of(path, labelled=False) == texts


@SETTINGS
@given(TEXTS, NAMES.filter(lambda name: not set(name) & set(" \t\r\n")))
def test_fasttext(tmp_path, texts, label):
    kept = [text.replace("\n", "").lstrip(" \t").rstrip("\r") for text in texts]
    assume(not any(text.startswith("__label__") for text in kept))
    path = tmp_path / "a.txt"
    path.write_bytes("".join(f"__label__{label} {text}\n" for text in kept).encode())
    rows = list(read_rows(path, labelled=True))
    assert [row.text for row in rows] == kept
    assert {row.labels for row in rows} == {(clean_label(label),)}


@SETTINGS
@given(
    st.binary() | st.text('{}[]":,textlab1.\n\t\\ "').map(str.encode),
    st.sampled_from(["jsonl", "csv", "tsv", "text", "fasttext"]),
    st.booleans(),
)
@example(b'{"text": "a", "label": ' + b"[" * 100_000, "jsonl", True)
@example(b'{"text": "a", "label": ' + b"1" * 5000 + b"}", "jsonl", True)
def test_any_bytes_are_rows_or_a_data_error_on_one_line(tmp_path, data, chosen, labelled):
    path = tmp_path / "any"
    path.write_bytes(data)
    refusal = ""
    try:
        for row in read_rows(path, Columns(format=chosen), labelled=labelled and chosen != "text"):
            assert isinstance(row.text, str)
    except DataError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    assert refusal.startswith(f"{path}, line " if refusal else "")
    assert len(refusal) < 2500


def test_the_awkward_text_is_awkward():
    assert len(AWKWARD.splitlines()) > 5
    assert len(io.StringIO(AWKWARD).readlines()) > 1
