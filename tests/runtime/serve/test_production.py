"""Production features of the service: tokens, logs, metrics, queues, new bundles, shutdown."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from textgate import BundleError, ConfigError
from textgate.serve import app
from textgate.serve.server import Server
from textgate.serve.settings import Settings, read_tokens

CERTIFICATES = Path(__file__).parent / "tls"
LONG = {"texts": ["a long text of many words " * 10] * 40}  # for the worker thread


def value(client, name):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


# Tokens


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        ("Basic first", 401),
        ("Bearer first", 200),
        ("bearer second", 200),
    ],
)
def test_a_request_needs_one_of_the_tokens(client, authorization, status):
    headers = {} if authorization is None else {"authorization": authorization}
    made = client(tokens=("first", "second"))
    for answer in (
        made.post("/v1/classify", json={"text": "a"}, headers=headers),
        made.get("/metrics", headers=headers),
        made.get("/v2/models/movies", headers=headers),
    ):
        assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        with pytest.raises(WebSocketDisconnect), made.websocket_connect("/v1/stream"):
            pass


@pytest.mark.parametrize("path", ["/", "/page.js", "/v2/health/live", "/v2/health/ready"])
def test_health_and_the_page_need_no_token(client, path):
    assert client(tokens=("secret",)).get(path).status_code == 200


def test_tokens_come_from_a_file_or_a_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTGATE_TOKEN", raising=False)
    assert read_tokens(None) == ()
    monkeypatch.setenv("TEXTGATE_TOKEN", "one")
    assert read_tokens(None) == ("one",)
    file = tmp_path / "tokens"
    file.write_text("two\n\n three \n", encoding="utf-8")
    assert read_tokens(file) == ("two", "three")
    file.write_text("\n", encoding="utf-8")
    for path in (file, tmp_path / "nothing"):
        with pytest.raises(ConfigError, match="token"):
            read_tokens(path)
    file.write_text("four\n", encoding="utf-8-sig")
    assert read_tokens(file) == ("four",)
    monkeypatch.setenv("TEXTGATE_TOKEN", " ")
    with pytest.raises(ConfigError, match="TEXTGATE_TOKEN is empty; unset it"):
        read_tokens(None)


@pytest.mark.parametrize("token", ["gehört", "two\nlines", "", " spaces "])
def test_a_token_that_no_header_can_hold_is_refused(token):
    with pytest.raises(ConfigError, match="a token"):
        Settings(tokens=(token,))


# Origins


def test_other_sites_pages_are_kept_out_by_default(client):
    headers = {"origin": "https://example.org"}
    asking = {**headers, "access-control-request-method": "POST"}
    made = client()
    assert "access-control-allow-origin" not in made.get("/v1/models", headers=headers).headers
    assert made.options("/v1/classify", headers=asking).status_code == 405
    with (
        pytest.raises(WebSocketDisconnect),
        made.websocket_connect("/v1/stream", headers=headers),
    ):
        pass
    with made.websocket_connect("/v1/stream", headers={"origin": "http://testserver"}):
        pass


def test_origins_can_be_let_in(client):
    origin = "https://example.org"
    headers = {"origin": origin, "access-control-request-method": "POST"}
    made = client(origins=(origin,), tokens=("t",))
    allowed = made.options("/v1/classify", headers=headers)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
    answer = made.get("/v1/models", headers={"origin": origin, "authorization": "Bearer t"})
    assert answer.headers["access-control-allow-origin"] == origin
    with made.websocket_connect(
        "/v1/stream", headers={"origin": origin, "authorization": "Bearer t"}
    ):
        pass


# Logs and metrics


def test_the_access_log_has_a_line_per_request_and_no_text(client, tmp_path):
    log = tmp_path / "access.jsonl"
    made = client(access_log=str(log))
    made.post("/v1/classify", json={"text": "a secret"})
    made.post("/v1/classify?text=secret", json={"text": 1})
    made.get("/secret")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("POST", "/v1/classify", 200),
        ("POST", "/v1/classify", 422),
        ("GET", "none", 404),
    ]
    assert "secret" not in log.read_text(encoding="utf-8")


def test_a_full_disk_loses_lines_of_the_log_and_no_answer(client):
    made = client(access_log="/dev/full")
    for _ in range(3):
        assert made.post("/v1/classify", json={"text": "a"}).status_code == 200
    assert value(made, "textgate_lost_log_lines_total") == 3


def test_metrics_count_requests_texts_labels_and_tokens(client):
    made = client()
    made.post("/v1/classify", json={"texts": ["good", "great fun", ""]})
    made.post("/v1/classify", json={"texts": ["dull " * 10_000], "thresholds": 1.0})
    made.post("/v1/classify", json={})
    made.post("/predict", json={"inputs": "good"})
    with made.websocket_connect("/v1/stream") as socket:
        socket.send_text("good")
        socket.receive_text()
        assert value(made, "textgate_open_streams") == 1
    assert value(made, 'textgate_requests_total{route="/v1/classify",status="200"}') == 2
    assert value(made, 'textgate_requests_total{route="/v1/classify",status="422"}') == 1
    assert value(made, 'textgate_request_seconds_count{route="/v1/classify"}') == 3
    assert value(made, 'textgate_texts_total{model="movies"}') == 5
    assert value(made, 'textgate_abstentions_total{model="movies"}') == 2
    assert value(made, 'textgate_truncations_total{model="movies"}') == 1
    assert value(made, "textgate_labels_total") == 3
    assert value(made, 'textgate_tokens_total{model="movies"}') > 40
    assert value(made, "textgate_queue") == 0


def test_names_of_metrics_begin_with_textgate(client):
    lines = client().get("/metrics").text.splitlines()
    assert all(line.startswith(("textgate_", "# HELP textgate_", "# TYPE textgate_"))
               for line in lines)  # fmt: skip


# The queue


def test_a_full_queue_is_503_with_retry_after(client):
    made = client(queue=1)
    held = threading.Event()
    made.service.work._threads.submit(held.wait)  # the thread is busy
    statuses = []

    def post():
        answer = made.post("/v1/classify", json=LONG)
        statuses.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 10
    while made.service.work.waiting < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    refused = made.post("/v1/classify", json=LONG)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "waiting" in refused.json()["detail"]
    assert made.post("/v1/classify", json={"text": "short"}).status_code == 200
    held.set()
    for thread in threads:
        thread.join()
    assert statuses == [(200, None)] * 2
    assert made.post("/v1/classify", json=LONG).status_code == 200


def test_a_request_that_waits_too_long_is_503(client):
    made = client(timeout=0.1)
    held = threading.Event()
    made.service.work._threads.submit(held.wait)
    answer = made.post("/v1/classify", json=LONG)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    held.set()


# Readiness


def test_the_service_is_ready_after_the_first_predictions_and_until_the_drain(client):
    made = client()
    assert made.get("/v2/health/ready").json() == {"ready": True}
    made.service.models._warm = False
    assert made.get("/v2/health/ready").status_code == 503
    made.service.models.warm_up()
    made.service.draining = True
    answer = made.get("/v2/health/ready")
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")
    assert made.get("/v2/health/live").status_code == 200


def test_nothing_is_ready_before_a_prediction(bundle):
    assert not app({"movies": bundle}).models.ready


# New bundles


def replace(folder, other):
    """Put a copy of another bundle in the place of a folder, by two renames."""
    new, old = folder.with_name("new"), folder.with_name("old")
    shutil.copytree(other, new)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def test_a_new_bundle_answers_once_it_is_verified(client, bundles, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(bundles["lstm-int8"], folder)
    made = client({"movies": folder}, poll=0.02)

    def checksum():
        return made.get("/v1/models").json()["models"][0]["checksum"]

    first = checksum()
    replace(folder, bundles["gru-float32"])
    end = time.monotonic() + 10
    while checksum() == first:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert value(made, 'textgate_reloads_total{model="movies",result="loaded"}') == 1


def test_a_bad_bundle_is_refused_and_reported_once(client, bundles, tmp_path, caplog):
    folder, bad = tmp_path / "model", tmp_path / "bad"
    shutil.copytree(bundles["lstm-int8"], folder)
    shutil.copytree(bundles["gru-float32"], bad)
    (bad / "model.onnx").write_bytes(b"damaged")
    made = client({"movies": folder}, poll=0.02)
    before = made.post("/v1/classify", json={"text": "good"}).json()
    replace(folder, bad)
    end = time.monotonic() + 10
    while not value(made, 'textgate_reloads_total{model="movies",result="refused"}'):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.1)
    assert value(made, 'textgate_reloads_total{model="movies",result="refused"}') == 1
    assert "model.onnx" in caplog.text
    assert made.post("/v1/classify", json={"text": "good"}).json() == before
    replace(folder, bundles["rnn-multi-label"])
    while not value(made, 'textgate_reloads_total{model="movies",result="loaded"}'):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_unexpected_failure_of_a_load_is_refused_like_a_bad_bundle(bundle, monkeypatch, caplog):
    models = app({"movies": bundle}).models
    told = []

    def failing(*_):
        raise RuntimeError("no memory for a session")

    monkeypatch.setattr(models, "_load", failing)
    models.reload(forced=True, report=lambda *one: told.append(one))
    assert told == [("movies", "refused")]
    assert "movies:1: the old bundle stays: no memory for a session" in caplog.text


def test_collections_leave_out_what_was_loaded(bundle, monkeypatch):
    async def startup(*_):
        pass

    monkeypatch.setattr("uvicorn.Server.startup", startup)
    gc.unfreeze()
    try:
        asyncio.run(Server(app({"movies": bundle}), grace=1).startup())
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


# Mounting


def test_it_mounts_in_a_fastapi_application(bundle):
    from fastapi import FastAPI

    outer = FastAPI()
    outer.mount("/gate", app({"movies": bundle}, settings=Settings(tokens=("t",))))
    headers = {"authorization": "Bearer t"}
    with TestClient(outer) as made:
        assert made.get("/gate/v2/health/live").json() == {"live": True}
        assert made.get("/gate/").status_code == 200
        assert made.get("/gate/v1/models").status_code == 401
        answer = made.post("/gate/v1/classify", json={"text": "good"}, headers=headers)
        assert answer.json()["model"] == "movies"
        assert made.get("/gate/nothing", headers=headers).status_code == 404
        with made.websocket_connect("/gate/v1/stream", headers=headers) as socket:
            socket.send_text("")
            assert '"final"' in socket.receive_text()


@pytest.mark.parametrize(
    ("models", "error"),
    [
        ({}, ConfigError),
        ({"a/b": "."}, ConfigError),
        ({"": "."}, ConfigError),
        ({"a:": "/nothing"}, BundleError),
        ({"a:b:c": "."}, ConfigError),
        ({"a": "/nothing"}, BundleError),
        ({"a": "sentiment", "a:1": "sentiment"}, ConfigError),
    ],
    ids=str,
)
def test_wrong_models_are_refused(models, error):
    with pytest.raises(error):
        app(models)


@pytest.mark.parametrize("name", ["max_body", "max_texts", "queue", "timeout", "idle"])
def test_settings_are_checked(name):
    with pytest.raises(ConfigError, match=name):
        Settings(**{name: 0})


def test_traces_have_a_span_per_request(client):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    made = client(traces=True)
    made.post("/v1/classify", json={"text": "a secret"}, headers={"traceparent": parent})
    made.get("/nothing")
    first, second = exporter.get_finished_spans()
    assert first.name == "POST /v1/classify"
    assert f"{first.context.trace_id:032x}" in parent
    assert first.attributes["http.response.status_code"] == 200
    assert second.attributes["http.response.status_code"] == 404
    assert "secret" not in str(first.attributes)


# TLS


@pytest.mark.parametrize("workers", [1, 2])
def test_it_speaks_tls(serving, workers):
    """The certificate is for localhost, signed by itself, and good for a hundred years."""
    certificate, key = CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem"
    options = ("--ssl-certfile", certificate, "--ssl-keyfile", key, "--workers", workers)
    with serving(*options) as server:
        assert server.scheme == "https"
        trusted = ssl.create_default_context(cafile=str(certificate))
        with urlopen(f"{server.url}/v2/health/live", context=trusted) as answer:
            assert json.load(answer) == {"live": True}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_certificate_that_cannot_be_read_is_named(tmp_path, workers):
    (tmp_path / "wrong.pem").write_text("no certificate", encoding="utf-8")
    for name in ("nothing.pem", "wrong.pem"):
        options = ("--ssl-certfile", tmp_path / name, "--workers", workers, "--port", 0)
        outcome = run_command("serve", *options)
        assert (outcome.returncode, name in outcome.stderr.splitlines()[-1]) == (1, True)
        assert "Traceback" not in outcome.stderr


def run_command(*arguments):
    command = [sys.executable, "-m", "textgate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
