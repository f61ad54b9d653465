"""The programs of docs/scale.md run unchanged."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale.corpora import write

ROOT = Path(__file__).parents[2]
LABELS = ["positive", "negative", None]

pytestmark = pytest.mark.filterwarnings("default")  # those of the engines are no concern here


def program(mark):
    """The program below a mark."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    return re.search(rf"<!-- {mark} -->\n```python\n(.*?)```", page, re.DOTALL)[1]


@pytest.fixture
def block(tmp_path, monkeypatch):
    """Runs the program below a mark in a folder of its own and returns its names."""

    def run(mark):
        names = {}
        exec(compile(program(mark), mark, "exec"), names)  # the page is part of the project
        return names

    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return run


def test_pandas(block):
    assert block("pandas")["reviews"]["label"].fillna("").tolist() == ["positive", "negative", ""]


def test_polars(block):
    pytest.importorskip("polars", reason="polars is not installed: pip install polars")
    assert block("polars")["reviews"]["label"].to_list() == LABELS


def test_duckdb(block, tmp_path):
    pytest.importorskip("duckdb", reason="duckdb is not installed: pip install duckdb")
    write(tmp_path / "reviews" / "a.parquet", ["What a lovely evening we had!", None])
    assert block("duckdb")["found"] == [("positive",), (None,)]


@pytest.fixture
def ray_here():
    """Ray on two processors of this machine."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'textgate[ray]'")
    import ray

    importlib.import_module("textgate.scale.ray")  # which turns the telemetry off
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _node_ip_address="127.0.0.1",
    )
    yield ray
    ray.shutdown()


def test_ray_and_ray_tune(block, ray_here):
    found = block("ray")["results"].take_all()
    assert {row["text"]: row["label"] for row in found} == {
        "What a lovely evening we had!": "positive",
        "A tedious mess.": "negative",
        None: None,
    }
    pytest.importorskip("torch", reason="torch is not installed: pip install 'textgate[train]'")
    best = block("tune")["best"]
    assert best.config["epochs"] == 1
    assert 0 < best.metrics["accuracy"] <= 1


SHOW = """
import json
print(json.dumps([row.asDict() for row in labels.collect()]))
"""


def test_spark(tmp_path):
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'textgate[spark]'")
    # Its library of the usual codec does not load on every system.
    codec = "--conf spark.sql.parquet.compression.codec=uncompressed"
    environment = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"--master local[1] {codec} pyspark-shell",
    }
    # A process of its own: the first session of a process chooses the master of all of them.
    done = subprocess.run(
        [sys.executable, "-c", program("spark") + SHOW],
        env=os.environ | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reviews = ["What a lovely evening we had!", "A tedious mess.", None]
    assert json.loads(done.stdout) == [
        {"text": text, "label": label} for text, label in zip(reviews, LABELS, strict=True)
    ]
