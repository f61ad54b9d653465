"""Ray: three nodes on the loopback interface, which lose actors, a node and the driver."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time

import pyarrow as pa
import pytest

import textgate
from tests.scale.corpora import require_complete, require_equal, texts
from textgate import ConfigError, DataError

pytest.importorskip("ray", reason="ray is not installed: pip install 'textgate[ray]'")

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own are no concern of these tests

FILES = 24
NODE = {
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
    "include_log_monitor": False,
    "num_cpus": 1,
    "object_store_memory": 80 * 2**20,
}


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of one processor each, to which this process is connected."""
    import ray
    from ray.cluster_utils import Cluster

    importlib.import_module("textgate.scale.ray")  # which turns the telemetry off
    started = Cluster()
    for _ in range(3):
        started.add_node(**NODE)
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()


def test_telemetry_is_off(cluster):
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_data_set_has_the_results_of_one_process(cluster, corpus, bundle, alone):
    import ray.data

    from textgate.scale.ray import classify

    rows = ray.data.read_parquet([str(corpus / "lang=en" / "plain.parquet")])
    found = classify(rows, bundle, scores=True)
    assert found.schema().names[-6:] == ["label", "score", "reason", "truncated", "error", "scores"]
    table = pa.concat_tables(map(ray.get, found.to_arrow_refs())).sort_by("id")
    require_equal(table, texts(30), alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"concurrency": 0}, "concurrency must be a number of actors from 1 on"),
        ({"concurrency": (2, 1)}, "or the least and the largest number, not"),
        ({"num_cpus": 0}, "num_cpus must be a number above 0, not 0"),
        ({"text": "txt"}, r"text: no column 'txt' \(did you mean 'text'\?\), found 'text'"),
    ],
)
def test_wrong_settings_are_refused_before_the_work(cluster, bundle, settings, message):
    import ray.data

    from textgate.scale.ray import classify

    with pytest.raises(ConfigError, match=message):
        classify(ray.data.from_items([{"text": "x"}]), bundle, **settings)


def test_a_fault_of_ray_is_one_line(cluster, bundle):
    from textgate.scale.job import open_job
    from textgate.scale.ray import execute
    from textgate.scale.worker import Place

    with pytest.raises(DataError, match=r"^Ray gave up: .*JSONDecodeError: .*; the same command"):
        list(execute(*open_job(bundle), Place("", ""), ["no group"]))


def test_a_cluster_that_cannot_be_reached_is_told(monkeypatch):
    import ray

    from textgate.scale.ray import start

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with pytest.raises(ConfigError, match=r"Ray cannot start: Invalid address format: nonsense"):
        start()


@pytest.mark.parametrize("fault", ["missing folder", "another version"])
def test_a_node_that_cannot_classify_is_an_error(cluster, bundles, tmp_path, monkeypatch, fault):
    import shutil

    import ray.data

    from textgate.scale.ray import classify

    folder = shutil.copytree(bundles["lstm-int8"], tmp_path / "model")
    rows = ray.data.from_items([{"text": "x"}])
    if fault == "missing folder":
        found = classify(rows, folder, ship=False, concurrency=1)
        shutil.rmtree(folder)
        message = "no such folder; a bundle was expected there"
    else:
        monkeypatch.setattr(textgate, "__version__", "9.9")
        found = classify(rows, folder, concurrency=1)
        message = "but the driver has 9.9; install the same version on every node"
    with pytest.raises(Exception, match=message):
        found.take_all()


@pytest.mark.parametrize("victim", ["actor", "node"])
def test_what_was_killed_in_the_middle_is_done_again(
    cluster, many, tmp_path, scale, alone, kill, victim
):
    from textgate.scale.ray import execute

    def killed(job, path, place, groups):
        outcomes = iter(execute(job, path, place, groups))
        yield next(outcomes)
        if victim == "actor":
            kill("MapWorker")
        else:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        yield from outcomes

    try:
        done = scale(many, tmp_path / "out", execute=killed)
    finally:
        if victim == "node":
            cluster.add_node(**NODE)
    assert (done.partitions, done.rows) == (FILES, FILES * 20)
    require_complete(tmp_path / "out", range(FILES), alone)


def test_a_driver_that_was_killed_is_continued(cluster, many, tmp_path, bundle, alone):
    command = [sys.executable, "-m", "textgate", "scale", "ray", "-m", bundle]
    command += ["-i", f"{many}/*.parquet"]
    command += ["-o", tmp_path / "out"]
    environment = os.environ | {"RAY_ADDRESS": cluster.address}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as driver:
        records = tmp_path / "out" / "_textgate" / "commits"
        while not (records.is_dir() and list(records.glob("*.json"))):
            assert driver.poll() is None, driver.stderr.read()
            time.sleep(0.02)
        driver.kill()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{FILES} partitions, {FILES * 20} rows" in again.stdout
    assert "finished before" in again.stdout
    require_complete(tmp_path / "out", range(FILES), alone)
