"""A corpus and its results in an object store that speaks S3, on the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress

import pyarrow as pa
import pytest
from pyarrow import fs, parquet

from tests.scale.corpora import here, require_equal, texts
from textgate import DataError
from textgate.scale import spark

SERVER = os.environ.get("MOTO_SERVER")

pytestmark = pytest.mark.skipif(
    SERVER is None,
    reason="MOTO_SERVER names no server: pip install 'moto[s3]' flask flask-cors",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The address of a bucket, with a place for a folder in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        while True:
            assert server.poll() is None, log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        client, _ = fs.FileSystem.from_uri(f"s3://corpora?allow_bucket_creation=true&{options}")
        client.create_dir("corpora")
        yield f"s3://corpora/{{}}?{options}"
        server.terminate()


@pytest.fixture
def reviews(store, request):
    """The address of a folder with two files in it."""
    address = store.format(request.node.name)
    client, path = fs.FileSystem.from_uri(address)
    for name, values in (("lang=en/a", texts(30)), ("lang=nl/b", texts(11, 1))):
        table = pa.table({"id": range(len(values)), "text": pa.array(values, pa.string())})
        parquet.write_table(table, f"{path}/corpus/{name}.parquet", filesystem=client)
    return address.replace("?", "/corpus/**/*.parquet?"), address.replace("?", "/results?")


def test_every_row_has_the_result_of_one_process(reviews, scale, alone):
    source, output = reviews
    assert scale(source, output).rows == 41
    client, path = fs.FileSystem.from_uri(output)
    for name, values in (("lang=en/a", texts(30)), ("lang=nl/b", texts(11, 1))):
        with client.open_input_file(f"{path}/{name}.parquet") as file:
            require_equal(parquet.read_table(file), values, alone)
    assert scale(source, output).before == 2


def test_a_file_without_a_record_is_written_again(reviews, scale):
    source, output = reviews
    client, path = fs.FileSystem.from_uri(output)

    def killed(job, bundle, place, groups):
        list(here(job, bundle, place, groups))
        for record in client.get_file_info(fs.FileSelector(f"{path}/_textgate/commits")):
            client.delete_file(record.path)  # as if the worker had not come to write it
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scale(source, output, execute=killed)
    done = scale(source, output)
    assert (done.before, done.rows) == (0, 41)


def test_another_model_is_refused_without_showing_the_address(reviews, scale, bundles):
    source, output = reviews
    scale(source, output)
    with pytest.raises(DataError, match="begun with the bundle") as refused:
        scale(source, output, model=bundles["gru-float32"])
    assert "endpoint_override" not in str(refused.value)


def test_the_address_of_the_results_is_shown_without_a_password(
    reviews, command, bundle, monkeypatch
):
    source, output = reviews
    monkeypatch.setattr(spark, "execute", here)
    monkeypatch.setattr(spark, "start", lambda: None)
    output = output.replace("s3://", "s3://user:testing@")
    done = command("scale", "spark", "-m", bundle, "-i", source, "-o", output)
    assert (done.status, done.err) == (0, "")
    assert "testing" not in done.out
