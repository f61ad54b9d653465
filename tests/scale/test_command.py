"""`textgate scale`, with workers in this process in place of a cluster."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.scale.corpora import here, read, require_equal, texts
from textgate.scale import ray, spark


@pytest.fixture(params=["ray", "spark"])
def engine(request, monkeypatch):
    """The name of an engine whose workers are in this process."""
    module = {"ray": ray, "spark": spark}[request.param]
    monkeypatch.setattr(module, "execute", here)
    monkeypatch.setattr(module, "start", lambda: None)
    return request.param


def test_a_corpus_is_classified_and_continued(command, corpus, bundle, tmp_path, alone, engine):
    arguments = ["scale", engine, "-m", bundle, "-i", f"{corpus}/*/*.parquet", "-o", tmp_path / "o"]
    first, second = command(*arguments), command(*arguments)
    assert (first.status, first.err) == (0, "")
    assert first.out == f"{tmp_path / 'o'}: 6 partitions, 69 rows, 16 of them with an error\n"
    assert second.out.endswith("; 6 were finished before\n")
    require_equal(read(tmp_path / "o" / "lang=en" / "plain.parquet"), texts(30), alone)


def test_settings_reach_the_workers(command, corpus, bundle, tmp_path, engine):
    source = corpus / "lang=nl" / "other.parquet"
    arguments = ["-m", bundle, "-i", source, "-o", tmp_path / "o", "--text-field", "body"]
    settings = ["--scores", "--abstain-below", "1", "--max-tokens", "3"]
    assert command("scale", engine, *arguments, *settings).status == 0
    rows = read(tmp_path / "o" / "other.parquet").to_pylist()
    assert [row["label"] for row in rows] == [None, None]
    assert set(rows[0]["scores"]) == {"negative", "positive"}


@pytest.mark.parametrize("engine", ["ray", "pyspark"])
def test_a_missing_engine_is_named_before_anything_is_written(
    command, corpus, bundle, tmp_path, monkeypatch, engine
):
    # Another test may have imported the engine: each module of it is blocked.
    for module in [engine, *(name for name in sys.modules if name.startswith(f"{engine}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    name = engine.removeprefix("py")
    done = command("scale", name, "-m", bundle, "-i", corpus, "-o", tmp_path / "o")
    assert done.status == 1
    assert f"needs {engine}, which the extra brings: pip install 'textgate[{name}]'" in done.message
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("arguments", [["ray"], ["dask", "-i", "x", "-o", "y"], ["ray", "-i", "x"]])
def test_wrong_usage_is_refused(command, arguments):
    assert command("scale", *arguments).status == 2


@pytest.mark.parametrize(("set_by_the_user", "found"), [(None, "0"), ("1", "1")])
def test_telemetry_is_off_unless_the_user_wants_it(monkeypatch, set_by_the_user, found):
    import os

    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    if set_by_the_user is not None:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", set_by_the_user)
    importlib.reload(ray)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == found
