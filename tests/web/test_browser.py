"""The browser package in Chromium: in a worker and on the page, with a strict security policy."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from textgate import Classifier
from textgate.rows import load_labelled

ROOT = Path(__file__).parents[2]
SENTIMENT = ROOT / "runtime" / "models" / "sentiment"
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
TEXTS = """async ([name, source, texts, options]) => {
  const package_ = await import("/runtime/web/src/index.js");
  const classifier = await package_[name].load(source, options);
  const found = [];
  for await (const { label, reason, scores } of classifier.predictMany(texts)) {
    found.push([label, reason, ...scores.values()]);
  }
  const { engine } = classifier.describe();
  classifier.close();
  return [engine, found];
}"""
FAULT = """async ([name, source]) => {
  const package_ = await import("/runtime/web/src/index.js");
  const told = (problem) => `${problem.name}: ${problem.message}`;
  return package_[name].load(source).then(() => "loaded", told);
}"""

MODELS = """async ([file, cases]) => {
  const { EngineSession } = await import("/runtime/web/src/engine.js");
  const { answersOf } = await import("/tests/web/models.mjs");
  const module = await WebAssembly.compileStreaming(fetch("/runtime/web/src/" + file));
  const isExact = new WebAssembly.Instance(module).exports.tg_is_exact();
  return isExact ? answersOf(EngineSession, module, cases) : null;
}"""


class Handler(SimpleHTTPRequestHandler):
    """The repository, with a policy. Below /half/ is half of a graph, and below /kept/ are bundles
    whose files browsers keep for a while."""

    kept = SENTIMENT

    extensions_map: ClassVar = {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        "": "application/octet-stream",
    }

    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def do_GET(self):
        if self.path.startswith("/kept/"):
            content = (self.kept / self.path.removeprefix("/kept/")).read_bytes()
            self.answer(content, "application/octet-stream", "max-age=600")
        elif self.path == "/":
            self.answer(b"<!doctype html><title>textgate</title>", "text/html")
        elif self.path.startswith("/half/"):
            content = (SENTIMENT / self.path.removeprefix("/half/")).read_bytes()
            half = content[: len(content) // 2] if self.path.endswith(".onnx") else content
            self.answer(half, "application/octet-stream")
        else:
            super().do_GET()

    def answer(self, content, kind, kept="no-store"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", kept)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(ROOT)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser, url):
    page = browser.new_page()
    page.problems, page.asked = [], []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.context.on("request", lambda request: page.asked.append(request.url))
    page.goto(url)
    yield page
    page.close()


@pytest.mark.parametrize("name", ["Classifier", "ClassifierWorker"])
def test_predictions_are_those_of_python(page, name):
    rows = load_labelled(ROOT / "examples" / "reviews" / "test.jsonl.gz")
    texts = [row.text for row in rows[:300]]
    engine, found = page.evaluate(TEXTS, [name, "/runtime/models/sentiment", texts, {}])
    expected = Classifier.load(SENTIMENT, engine="native").predictions(texts)
    assert found == [[one.label, one.reason, *one.scores.values()] for one in expected]
    assert engine == {"name": "native", "detail": "simd128"}
    assert page.problems == []


SENT = """async ([source, text]) => {
  const sizes = [], post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message) {
    sizes.push(JSON.stringify(message).length);
    post.call(this, message);
  };
  const { ClassifierWorker } = await import("/runtime/web/src/client.js");
  const classifier = await ClassifierWorker.load(source);
  const long = text.repeat(1e6);
  const found = [
    await classifier.predict(long),
    (await classifier.predictions([long]))[0],
    await classifier.stream().feed(long),
  ];
  classifier.close();
  const answers = found.map(({ score, tokens, truncated }) => [score, tokens, truncated]);
  return [Math.max(...sizes), answers];
}"""


@pytest.mark.parametrize("text", ["a great film ", "\U0001f600", "x"])
def test_of_megabytes_a_worker_gets_what_can_be_read(page, text):
    largest, found = page.evaluate(SENT, ["/runtime/models/sentiment", text])
    prediction = Classifier.load(SENTIMENT, engine="native").predict(text * 100_000)
    assert found == [[prediction.score, prediction.tokens, True]] * 3
    assert largest < 100_000


def test_a_half_download_is_refused(page):
    told = page.evaluate(FAULT, ["ClassifierWorker", "/half/"])
    size = (SENTIMENT / "model.onnx").stat().st_size
    said = f"{size // 2} bytes, but textgate.json says {size}; get the bundle again"
    assert f"half/model.onnx: {said}" in told
    assert told.startswith("BundleError: ")


def test_files_that_the_browser_kept_of_another_version_are_asked_for_again(page, monkeypatch):
    keep = "async (name) => { await (await fetch('/kept/' + name)).arrayBuffer(); }"
    page.evaluate(keep, "model.onnx")
    monkeypatch.setattr(Handler, "kept", ROOT / "tests" / "data" / "lstm-int8")
    assert page.evaluate(FAULT, ["Classifier", "/kept/"]) == "loaded"
    page.evaluate(keep, "textgate.json")
    monkeypatch.setattr(Handler, "kept", ROOT / "tests" / "data" / "gru-float32")
    page.evaluate("(name) => fetch('/kept/' + name, { cache: 'reload' })", "model.onnx")
    assert page.evaluate(FAULT, ["Classifier", "/kept/"]) == "loaded"


def test_a_missing_file_is_named(page, url):
    told = page.evaluate(FAULT, ["Classifier", "/nothing/"])
    assert told == f"DownloadError: {url}nothing/textgate.json: cannot be downloaded: HTTP 404"


@pytest.mark.parametrize("file", ["engine.wasm", "engine_fused.wasm"])
def test_random_models_give_the_bits_of_c(page, random_cases, file):
    cases, expected = random_cases
    found = page.evaluate(MODELS, [file, cases])
    if found is None:
        pytest.skip("the relaxed SIMD of this browser is not what the engine needs")
    assert found == expected
