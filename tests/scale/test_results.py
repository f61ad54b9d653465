"""Columns of results beside those of a table."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

import textgate
from tests.scale.corpora import require_equal, texts
from textgate import BundleError, ConfigError
from textgate.scale.job import bundle_files, open_classifier, open_job
from textgate.scale.results import classified_tables, result_schema


@pytest.fixture
def classified(bundle):
    """Adds the results to a table: ``classified(table, scores=True)``."""

    def add(table, *, model=bundle, **settings):
        job, path = open_job(model, **settings)
        with open_classifier(job, path) as classifier:
            return pa.concat_tables(classified_tables(classifier, job, table))

    return add


NOT_UTF8 = pa.array([b"\xff", b"\xff"]).view(pa.string())
NO_STRING = "the text (field 'text') should be a string, found "
KINDS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_results_are_those_of_one_process_in_every_type_of_text(classified, alone, kind):
    values = texts(40)
    column = pa.array(values)
    column = column.dictionary_encode().cast(kind) if "dict" in str(kind) else column.cast(kind)
    found = classified(pa.table({"text": column}))
    assert found.schema.field("text").type == kind
    require_equal(found, values, alone)


def test_many_rows_in_chunks_keep_their_order(classified, alone):
    values = texts(5000)
    chunks = [pa.array(values[:1], pa.string()), pa.array(values[1:], pa.string())]
    require_equal(classified(pa.table({"text": pa.chunked_array(chunks)})), values, alone)


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (
            pa.table({"text": [None, None]}),
            "the text (field 'text') should be a string, found null",
        ),
        (pa.table({"text": [5, 5]}), f"{NO_STRING}5"),
        (
            pa.table({"number": [1, 2]}),
            "no field 'text', found 'number'; name the right one with --text-field",
        ),
        (
            pa.table({"text": NOT_UTF8}),
            f"{NO_STRING}b'\\xff'",
        ),
        (
            pa.table({"text": pa.array([2**61, 1], pa.timestamp("us"))}),
            f"{NO_STRING}a value of type timestamp[us]",
        ),
        (
            pa.table({"text": pa.ListArray.from_arrays([0, 1, 2], NOT_UTF8)}),
            f"{NO_STRING}a value of type list<item: string>",
        ),
        (
            pa.table({"number": [1, 2]}).select([]),
            "no field 'text', found no field at all; name the right one with --text-field",
        ),
    ],
    ids=[
        "null",
        "number",
        "another schema",
        "not UTF-8",
        "no date",
        "list not UTF-8",
        "no columns",
    ],
)
def test_a_row_without_a_text_has_an_error_and_no_result(classified, table, error):
    found = classified(table).select(["label", "score", "reason", "truncated", "error"])
    nothing = dict.fromkeys(("label", "score", "reason", "truncated"))
    assert found.to_pylist() == [{**nothing, "error": error}] * 2


def test_a_broken_text_leaves_its_neighbours_alone(classified, alone):
    broken = pa.array([b"A tedious mess.", b"\xff", None, "café".encode()]).view(pa.string())
    found = classified(pa.table({"text": broken})).select(["label", "score", "error"])
    first, last = alone(["A tedious mess.", "café"])
    rows = found.to_pylist()
    assert [row["score"] for row in rows] == [first.score, None, None, last.score]
    assert [row["error"] is None for row in rows] == [True, False, False, True]


def test_no_rows_have_the_columns_of_results(classified):
    table = pa.table({"text": pa.array([], pa.string())})
    assert classified(table).schema.names == [
        "text", "label", "score", "reason", "truncated", "error",
    ]  # fmt: skip


def test_columns_are_kept_and_those_named_like_a_result_get_another_name(classified):
    table = pa.table({"Label": [1], "text": ["x"], "input.Label": [2], "score": [3]})
    found = classified(table, scores=True)
    assert found.schema.names[:4] == ["input.input.Label", "text", "input.Label", "input.score"]
    scores = found.column("scores")[0].as_py()
    assert max(scores.values()) == found.column("score")[0].as_py()


def test_several_columns_of_texts_are_joined_as_in_files(classified, alone):
    table = pa.table({"a": ["A tedious", None, None], "b": ["mess.", "Fine.", None]})
    found = classified(table, text=("a", "b"))
    first, second = alone(["A tedious\nmess.", "Fine."])
    assert found.column("score").to_pylist() == [first.score, second.score, None]
    assert found.column("error")[2].as_py() == "no text in any of the fields 'a', 'b'"


def test_a_model_of_several_labels_has_lists(classified, bundles):
    found = classified(pa.table({"text": ["x", None]}), model=bundles["rnn-multi-label"])
    assert pa.types.is_list(found.schema.field("label").type)
    assert found.column("label")[1].as_py() is None


def test_the_schema_is_known_before_the_rows(classified, bundle):
    table = pa.table({"text": ["x"]})
    job, _ = open_job(bundle, scores=True)
    expected = result_schema(table.schema, job)
    assert classified(table, scores=True).schema.equals(expected, check_metadata=True)


def test_metadata_do_not_describe_the_results_as_the_columns_of_the_table(classified):
    frame = pd.DataFrame({"text": ["Fine."], "label": pd.array([1], "Int64")})
    found = classified(pa.Table.from_pandas(frame.set_index("label"))).to_pandas()
    assert (found["input.label"][0], found["label"].tolist()) == (1, ["negative"])


# What a worker opens


def test_a_bundle_travels_as_files_and_leaves_none_behind(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job, path = open_job(bundle)
    with open_classifier(job, bundle_files(path)) as classifier:
        assert classifier.manifest.checksum == job.checksum
    assert list(tmp_path.iterdir()) == []


def test_another_bundle_on_a_node_is_refused(bundle, bundles):
    job, _ = open_job(bundle)
    with pytest.raises(BundleError, match=r"^on .*: the checksum \w+ is not "):
        open_classifier(job, bundles["gru-float32"])


def test_a_folder_that_is_missing_on_a_node_is_named(bundle, tmp_path):
    job, _ = open_job(bundle)
    with pytest.raises(BundleError, match=r"^on .*absent: no such folder"):
        open_classifier(job, tmp_path / "absent")


def test_another_version_on_a_node_is_refused(bundle, monkeypatch):
    job, path = open_job(bundle)
    monkeypatch.setattr(textgate, "__version__", "9.9")
    with pytest.raises(ConfigError, match=r"has textgate 9\.9, but the driver has .*; install"):
        open_classifier(job, path)
