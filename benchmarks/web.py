"""The package for browsers in Chromium, compared with Python's native engine on the same machine.

    python benchmarks/web.py
    python benchmarks/web.py --onnxruntime node_modules/onnxruntime-web

Both take turns, a hundred predictions at a time. The second form also measures onnxruntime-web.
Needs chromium on the path, and playwright.
"""

from __future__ import annotations

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import click
from common import PATH, SAMPLE, Goal, output_option, write_result
from pages.templates import goals as goal_table
from playwright.sync_api import Page, sync_playwright

from textgate import Classifier
from textgate.bench.timing import texts_of_length
from textgate.bundle.storage import file_sizes
from textgate.rows import load_labelled

ROOT = Path(__file__).parents[1]
MODEL, SOURCES = ROOT / "runtime" / "models" / "sentiment", ROOT / "runtime" / "web" / "src"
ROUNDS, CALLS, TOKENS = 30, 100, 25
TEXTS = 2000
LONG_RUN = 10_000  # predictions, between two measurements of memory

# Loads the files first, then measures how long the answer takes from there.
LOAD = """async (onnxruntime) => {
  const names = ["textgate.json", "model.onnx", "tokenizer.json"];
  const read = async (name) => (await fetch(`/model/${name}`)).arrayBuffer();
  const files = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await read(n)])));
  const { Classifier } = await import("/web/index.js");
  const options = {};
  if (onnxruntime) {
    Object.assign(options, { engine: "onnxruntime", onnxruntime: await import(onnxruntime) });
    options.onnxruntime.env.wasm.numThreads = 1;
  }
  const begun = performance.now();
  globalThis.classifier = await Classifier.load(files, options);
  await classifier.predict("Great battery, awful screen.");
  return performance.now() - begun;
}"""
CALL = """async ([text, calls]) => {
  const begun = performance.now();
  for (let call = 0; call < calls; call++) await classifier.predict(text);
  return (performance.now() - begun) / calls;
}"""
PREDICT = """async (texts) => {
  const found = [];
  for await (const { label, scores } of classifier.predictMany(texts)) {
    found.push([label, ...scores.values()]);
  }
  return found;
}"""
MEMORY = """async ([text, calls]) => {
  for (let call = 0; call < calls; call++) await classifier.predict(`${text} ${call}`);
  globalThis.gc();
  return performance.memory.usedJSHeapSize;
}"""


class Files(SimpleHTTPRequestHandler):
    """The package, the model, and onnxruntime-web if it is there."""

    extensions_map: ClassVar = {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        "": "application/octet-stream",
    }
    folders: ClassVar = {"web": SOURCES, "model": MODEL}

    def translate_path(self, path: str) -> str:
        """Return the file of a URL."""
        folder, _, name = path.lstrip("/").partition("/")
        return str(self.folders.get(folder, ROOT / "none") / name)

    def do_GET(self) -> None:
        """Answer with an empty page, or with a file."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>textgate</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def opened_page() -> Iterator[Page]:
    """Start Chromium on an empty page of a local server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = ["--no-sandbox", "--js-flags=--expose-gc", "--enable-precise-memory-info"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        browser.close()
    server.shutdown()


def in_python(classifier: Classifier, text: str) -> float:
    """Return the milliseconds of a prediction."""
    begun = time.perf_counter()
    for _ in range(CALLS):
        classifier.predict(text)
    return 1000 * (time.perf_counter() - begun) / CALLS


def first_answer(onnxruntime: str | None = None) -> float:
    """Return the milliseconds from the files to the first answer: a median of new pages."""
    times = []
    for _ in range(5):
        with opened_page() as page:
            times.append(page.evaluate(LOAD, onnxruntime))
    return statistics.median(times)


def milliseconds(
    classifier: Classifier, text: str, onnxruntime: str | None
) -> dict[str, list[float]]:
    """Return the times of both sides, which take turns."""
    found: dict[str, list[float]] = {"browser": [], "python": []}
    with opened_page() as page:
        page.evaluate(LOAD, onnxruntime)
        for _ in range(ROUNDS):
            found["browser"].append(page.evaluate(CALL, [text, CALLS]))
            found["python"].append(in_python(classifier, text))
    return {name: times[ROUNDS // 5 :] for name, times in found.items()}  # after warming up


@click.command()
@click.option("--onnxruntime", type=PATH, help="The folder of onnxruntime-web.")
@output_option("web")
def main(onnxruntime: Path | None, output: Path) -> None:
    """Measure the package for browsers."""
    classifier = Classifier.load(MODEL, engine="native")
    (text,) = texts_of_length(classifier.stages().words(500), TOKENS, 1)
    times = milliseconds(classifier, text, None)
    texts = [row.text for row in load_labelled(SAMPLE / "test.jsonl.gz")]
    texts += [row.text for row in load_labelled(SAMPLE / "train.jsonl.gz")][: TEXTS - len(texts)]
    with opened_page() as page:
        page.evaluate(LOAD, None)
        answers = page.evaluate(PREDICT, texts)
        before = page.evaluate(MEMORY, [text, LONG_RUN // 10])
        growth = page.evaluate(MEMORY, [text, LONG_RUN]) - before
        version = page.context.browser.version if page.context.browser else ""
    expected = [[one.label, *one.scores.values()] for one in classifier.predict_many(texts)]
    code = sum(path.stat().st_size for path in SOURCES.iterdir() if path.name != "engine.wasm")
    sizes = sum(size for name, size in file_sizes(MODEL).items() if name != "README.md")
    pairs = list(zip(answers, expected, strict=True))
    ratio = statistics.median(times["browser"]) / statistics.median(times["python"])
    goals = [
        Goal("code without the model, MB", code / 1e6, 0.7),
        Goal("code and model, MB", (code + sizes) / 1e6, 2.6),
        Goal("first answer after the files are there, ms", first_answer(), 300),
        Goal(f"{TOKENS} tokens: browser / Python", ratio, 3),
        Goal(f"labels that differ, of {len(texts)} texts", sum(a[0] != b[0] for a, b in pairs), 0),
        Goal(
            "largest difference of a probability",
            max(abs(x - y) for a, b in pairs for x, y in zip(a[1:], b[1:], strict=True)),
            1e-5,
        ),
        Goal(f"growth of memory in {LONG_RUN} predictions, MB", growth / 1e6, 1),
    ]
    result = {
        "chromium": version,
        "p50_ms": {name: statistics.median(values) for name, values in times.items()},
    }
    if onnxruntime is not None:
        Files.folders = {**Files.folders, "onnxruntime": onnxruntime / "dist"}
        module = "/onnxruntime/ort.wasm.min.mjs"
        other = milliseconds(classifier, text, module)
        result["onnxruntime_web"] = {
            "p50_ms": statistics.median(other["browser"]),
            "python_p50_ms": statistics.median(other["python"]),
            "first_answer_ms": first_answer(module),
        }
    print(goal_table(write_result(output, result, goals)))


if __name__ == "__main__":
    main()
