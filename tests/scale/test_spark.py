"""Spark: two executors on the loopback interface, which lose an executor and the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.scale.corpora import read, require_complete, require_equal, texts, write
from textgate import ConfigError, DataError

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'textgate[spark]'")

pytestmark = pytest.mark.filterwarnings("default")  # Spark's own are no concern of these tests

FILES = 16
ROWS_OF_SECONDS = 40_000  # a file that takes some seconds
CONFIGURATION = {
    "spark.master": "local-cluster[2,1,1024]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executor.memory": "700m",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
}
ENVIRONMENT = {
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_SUBMIT_ARGS": " ".join(
        [f"--conf {name}={value}" for name, value in CONFIGURATION.items()] + ["pyspark-shell"]
    ),
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session with two executors of one processor each."""
    from textgate.scale.spark import start

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.chdir(tmp_path_factory.mktemp("spark"))  # Spark leaves a folder where it works
        active = start()
        assert active.sparkContext.master == CONFIGURATION["spark.master"]
        yield active
        active.stop()


def test_a_data_frame_has_the_results_of_one_process(spark, corpus, bundle, alone):
    from textgate.scale.spark import classify

    rows = spark.read.parquet(str(corpus / "lang=en" / "plain.parquet"))
    found = classify(rows, bundle, scores=True)
    assert found.columns[2:] == ["label", "score", "reason", "truncated", "error", "scores"]
    require_equal(found.orderBy("id").toArrow(), texts(30), alone)


def test_columns_that_differ_in_case_alone_are_kept(spark, bundle):
    from textgate.scale.spark import classify

    rows = spark.createDataFrame([("Fine.", 3)], "text string, Label int")
    found = classify(rows, bundle).select("`input.Label`", "label").collect()
    assert found[0]["input.Label"] == 3


def test_columns_of_all_types_are_kept(spark, bundle):
    from textgate.scale.spark import classify

    columns = ["timestamp'2026-01-01' t", "interval 1 day i", "cast(1 as decimal(9, 2)) d"]
    rows = spark.createDataFrame([("Fine.",)], "text string").selectExpr("text", *columns)
    found = classify(rows, bundle)
    assert found.schema[: len(rows.schema)] == rows.schema
    assert found.select(rows.columns).collect() == rows.collect()


def test_spark_reads_the_results_of_its_own_files(spark, bundle, tmp_path, scale):
    rows = spark.createDataFrame([("Fine.", 3)], "text string, label int")
    rows.write.option("compression", "none").parquet(str(tmp_path / "corpus.parquet"))
    scale(tmp_path / "corpus.parquet", tmp_path / "out")
    found = spark.read.parquet(str(tmp_path / "out"))
    assert found.columns[:3] == ["text", "input.label", "label"]


def test_a_data_frame_without_the_column_is_refused(spark, bundle):
    from textgate.scale.spark import classify

    with pytest.raises(ConfigError, match=r"text: no column 'text' \(did you mean 'Text'\?\)"):
        classify(spark.createDataFrame([("x",)], "Text string"), bundle)


def test_a_fault_of_spark_is_one_line(spark, bundle):
    from textgate.scale.job import open_job
    from textgate.scale.spark import execute
    from textgate.scale.worker import Place

    with pytest.raises(DataError, match=r"^Spark gave up: .*; the same command does the rest$"):
        list(execute(*open_job(bundle), Place("", ""), ["no group"]))


def test_sql_has_the_results_of_one_process(spark, bundle, alone):
    from textgate.scale.spark import register

    values = texts(14)
    register(spark, bundle)
    spark.createDataFrame([(one,) for one in values], "text string").createOrReplaceTempView("v")
    found = spark.sql("SELECT text, textgate(text) AS r FROM v").select("text", "r.*").toArrow()
    require_equal(found, values, alone)


@pytest.mark.parametrize("fault", ["missing folder", "another version"])
def test_a_node_that_cannot_classify_is_an_error(spark, bundles, tmp_path, monkeypatch, fault):
    import shutil

    import textgate
    from textgate.scale.spark import classify

    folder = shutil.copytree(bundles["lstm-int8"], tmp_path / "model")
    rows = spark.createDataFrame([("x",)], "text string")
    if fault == "missing folder":
        found = classify(rows, folder, ship=False)
        shutil.rmtree(folder)
        message = "no such folder; a bundle was expected there"
    else:
        monkeypatch.setattr(textgate, "__version__", "9.9")
        found = classify(rows, folder)
        message = "but the driver has 9.9; install the same version on every node"
    with pytest.raises(Exception, match=message):
        found.collect()


def test_what_an_executor_was_killed_in_the_middle_of_is_done_again(
    spark, many, tmp_path, scale, alone, kill
):
    from textgate.scale.spark import execute

    values = texts(ROWS_OF_SECONDS)
    write(many / "00.parquet", values)  # the other executor does the other files meanwhile
    commits = tmp_path / "out" / "_textgate" / "commits"

    def killed(job, path, place, groups):
        with ThreadPoolExecutor(1) as pool:
            outcomes = pool.submit(lambda: list(execute(job, path, place, groups)))
            while not (commits.is_dir() and list(commits.glob("*.json"))):
                assert not outcomes.done(), outcomes.result()
                time.sleep(0.02)
            assert not (tmp_path / "out" / "00.parquet").exists()
            kill("CoarseGrainedExecutorBackend")
            return outcomes.result()

    done = scale(many, tmp_path / "out", execute=killed)
    assert (done.partitions, done.rows) == (FILES, (FILES - 1) * 20 + ROWS_OF_SECONDS)
    require_equal(read(tmp_path / "out" / "00.parquet"), values, alone)
    (tmp_path / "out" / "00.parquet").unlink()
    require_complete(tmp_path / "out", range(1, FILES), alone)


def test_groups_are_done_by_all_executors_at_the_same_time(spark, many, tmp_path, scale):
    """As one job of Spark: it does one job after another."""
    from textgate.scale.spark import execute

    context = spark.sparkContext
    before = len(context.statusTracker().getJobIdsForGroup())
    assert scale(many, tmp_path / "out", execute=execute).partitions == FILES
    assert len(context.statusTracker().getJobIdsForGroup()) == before + 1


def test_a_driver_that_was_killed_is_continued(many, tmp_path, bundle, alone):
    command = [sys.executable, "-m", "textgate", "scale", "spark", "-m", bundle]
    command += ["-i", f"{many}/*.parquet", "-o", tmp_path / "out"]
    # Not a cluster: the memory of the machine is for the other session's.
    environment = os.environ | ENVIRONMENT
    environment["PYSPARK_SUBMIT_ARGS"] = environment["PYSPARK_SUBMIT_ARGS"].replace(
        CONFIGURATION["spark.master"], "local[1]"
    )
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    ) as driver:
        records = tmp_path / "out" / "_textgate" / "commits"
        while not (records.is_dir() and list(records.glob("*.json"))):
            assert driver.poll() is None, driver.stderr.read()
            time.sleep(0.02)
        os.killpg(driver.pid, signal.SIGKILL)
    again = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"{FILES} partitions, {FILES * 20} rows" in again.stdout
    assert "finished before" in again.stdout
    require_complete(tmp_path / "out", range(FILES), alone)
