"""A corpus in Parquet, the answers of one process, and workers in this process."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.scale.corpora import here, texts, write
from textgate import Classifier
from textgate.scale.job import open_job
from textgate.scale.run import run

# Read when Ray is imported; otherwise Ray connects to another address than the loopback one.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


@pytest.fixture
def corpus(tmp_path):
    """Two folders of files: one is empty, others have odd types and schemas."""
    folder = tmp_path / "corpus"
    write(folder / "lang=en" / "plain.parquet", texts(30))
    write(folder / "lang=en" / "large.parquet", texts(11, 1), pa.large_string())
    coded = pa.dictionary(pa.int32(), pa.string())
    write(folder / "lang=en" / "coded.parquet", texts(21, 2), coded)
    write(folder / "lang=nl" / "empty.parquet", [])
    write(folder / "lang=nl" / "nulls.parquet", [None] * 5, pa.null())
    other = pa.table({"id": [1, 2], "body": ["x", "y"], "label": [3, 4]})
    parquet.write_table(other, folder / "lang=nl" / "other.parquet")
    return folder


@pytest.fixture
def many(tmp_path, request):
    """A corpus of as many files as the module says."""
    for number in range(request.module.FILES):
        write(tmp_path / "many" / f"{number:02}.parquet", texts(20, number))
    return tmp_path / "many"


@pytest.fixture(scope="session")
def alone(bundle):
    """The results of one process, as rows: ``alone(texts)``."""
    with Classifier.load(bundle) as classifier:

        def results(values):
            known = iter(list(classifier.predict_many([one for one in values if one is not None])))
            return [None if one is None else next(known) for one in values]

        yield results


@pytest.fixture
def scale(bundle):
    """Classifies a corpus in this process: ``scale(source, output)``."""

    def classify(source, output, *, model=bundle, execute=here, note=print, **settings):
        job, path = open_job(model, **settings)
        return run(job, str(source), str(output), partial(execute, job, path), note=note)

    return classify


def started(name):
    """The processes below this one whose command holds a name."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                parents[int(entry.name)] = int(parent)
                if state != "Z" and name in (entry / "cmdline").read_bytes().decode():
                    found.append(int(entry.name))

    def below(process):
        while process not in (os.getpid(), 0):
            process = parents.get(process, 0)
        return process != 0

    return [process for process in found if below(process)]


@pytest.fixture
def kill():
    """Kills a process below this one, and waits for it to appear: ``kill("MapWorker")``."""

    def one(name):
        end = time.monotonic() + 60
        while not (found := started(name)):
            assert time.monotonic() < end, f"no process {name} has started"
            time.sleep(0.05)
        os.kill(found[0], signal.SIGKILL)

    return one
