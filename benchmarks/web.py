"""The package for browsers in Chromium, compared with Python's native engine and other packages.

All take turns, hundreds of predictions at a time. The first load is that of the page which
`textgate page` writes. Needs chromium on the path, and playwright. The other packages take part if
a folder has them:

    export npm_config_ignore_scripts=true
    npm install --prefix runs/web onnxruntime-web@1.30.0 @huggingface/transformers@4.3.2
    python benchmarks/web.py --packages runs/web

With scripts, onnxruntime-node downloads libraries that no browser needs. transformers.js runs a
transformer of 6 layers and 384 units in int8. Its weights are random, which does not change its
time.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import click
from common import PATH, SAMPLE, Goal, median_ratio, output_option, write_result
from pages.templates import goals as goal_table
from playwright.sync_api import Browser, Page, sync_playwright

from textgate import Classifier
from textgate.bench.timing import texts_of_length
from textgate.bundle.builtin import bundled_path
from textgate.page.site import write_site
from textgate.rows import load_labelled

TOKENS = 25
TEXTS = 16
COMPARED = 2_000  # real texts, whose answers are compared with Python's
PAGES = 15  # whose first answer is measured
PREDICTIONS = 10_000
STEP = 1_000  # predictions between two looks at the memory
WARM = 200
TRANSFORMERS = "@huggingface/transformers"
NATIVE = "textgate in Python, native engine"
OWN = "textgate in a worker of the page"
FLAGS = ["--no-sandbox", "--enable-blink-features=ForceEagerMeasureMemory"]  # collects the garbage
EMPTY = b'<!doctype html><title>benchmark</title><link rel="icon" href="data:,">'
# Each returns the function that predicts; the page keeps it.
OPENED = {
    OWN: """
      const { ClassifierWorker } = await import(base + "site/textgate/client.js");
      const classifier = await ClassifierWorker.load(base + "site/model");
      return (text) => classifier.predict(text);""",
    "textgate on the page itself": """
      const { Classifier } = await import(base + "site/textgate/classifier.js");
      const classifier = await Classifier.load(base + "site/model");
      return (text) => classifier.predict(text);""",
    "textgate with onnxruntime-web": """
      const onnxruntime = await import(base + "packages/onnxruntime-web/dist/ort.wasm.min.mjs");
      onnxruntime.env.wasm.numThreads = 1;
      const { Classifier } = await import(base + "site/textgate/classifier.js");
      const options = { engine: "onnxruntime", onnxruntime };
      const classifier = await Classifier.load(base + "site/model", options);
      return (text) => classifier.predict(text);""",
    "transformers.js, 6 layers of 384, int8": f"""
      const at = base + "packages/{TRANSFORMERS}/dist/transformers.min.js";
      const {{ AutoModelForSequenceClassification: Model, AutoTokenizer, env }} = await import(at);
      env.allowRemoteModels = false;
      env.allowLocalModels = true;
      env.localModelPath = "/"; // a URL would be a remote model
      env.backends.onnx.wasm.wasmPaths = base + "packages/onnxruntime-for-transformers/dist/";
      env.backends.onnx.wasm.numThreads = 1;
      const tokenizer = await AutoTokenizer.from_pretrained("transformer");
      const model = await Model.from_pretrained("transformer", {{ dtype: "q8", device: "wasm" }});
      return async (text) => (await model(tokenizer(text))).logits.data;""",
}
FIRST = """async ([base, text, files]) => {{
  const open = async () => {{ {opened} }};
  for (const name of files) await (await fetch(base + name)).arrayBuffer();
  const began = performance.now();
  globalThis.predict = await open();
  await predict(text);
  return performance.now() - began;
}}"""
PREDICT = """async ([base, texts]) => {
  const { ClassifierWorker } = await import(base + "site/textgate/client.js");
  const classifier = await ClassifierWorker.load(base + "site/model");
  const found = [];
  for await (const { label, scores } of classifier.predictMany(texts)) {
    found.push([label, ...scores.values()]);
  }
  return found;
}"""
MEMORY = "performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes)"
TIMES = """async ([texts, count]) => {
  const times = [];
  for (let place = 0; place < count; place++) {
    const began = performance.now();
    await predict(texts[place % texts.length]);
    times.push(performance.now() - began);
  }
  return times;
}"""


@dataclass
class Sent:
    """Bytes that a server sent, by path."""

    sizes: dict[str, int] = field(default_factory=dict)

    def total(self, *, without: str = "\0") -> int:
        """Return the bytes of all files but those whose path holds a name."""
        return sum(size for path, size in self.sizes.items() if without not in path)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder to isolated pages, whose clock has steps of 5 microseconds."""

    extensions_map: ClassVar = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *arguments: Any, sent: Sent, **named: Any) -> None:
        self._sent = sent
        super().__init__(*arguments, **named)

    def end_headers(self) -> None:
        """Isolate the page, and note the size."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def send_header(self, keyword: str, value: str) -> None:
        """Note the size of a file."""
        if keyword.lower() == "content-length":
            self._sent.sizes[self.path] = int(value)
        super().send_header(keyword, value)

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Print nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Sent]]:
    """Serve a folder; yield its URL and what was sent."""
    sent = Sent()
    handler = functools.partial(Handler, directory=str(folder), sent=sent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", sent
    finally:
        server.shutdown()
        server.server_close()


@click.command()
@click.option("--packages", type=PATH, help="Folder in which npm installed the other packages.")
@click.option("--rounds", default=9, show_default=True, help="How often all take turns.")
@click.option("--calls", default=300, show_default=True, help="Answers of each in a round.")
@output_option("web")
def main(packages: Path | None, rounds: int, calls: int, output: Path) -> None:
    """Measure the page."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        raise click.ClickException("no chromium on the path: apt-get install chromium")
    classifier = Classifier.load(bundled_path("sentiment"), engine="native")
    texts = texts_of_length(classifier.stages().words(500), TOKENS, TEXTS)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        kinds = prepared(folder, packages, classifier)
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        with serving(folder) as (url, sent):
            result = {
                "chromium": browser.version,
                "tokens": TOKENS,
                "first_load": first_load(browser, url, sent),
                "first_answer_ms": {
                    kind: first_answers(browser, url, sent, kind, texts[0]) for kind in kinds
                },
                "answers_ms": answers(browser, url, kinds, classifier, texts, rounds, calls),
                "differences": differences(browser, url, classifier),
                "memory": memory(browser, url, texts),
            }
        browser.close()
    print(goal_table(write_result(output, result, goals_of(result))))


def prepared(folder: Path, packages: Path | None, classifier: Classifier) -> list[str]:
    """Write what is served, and return the kinds that can be measured."""
    write_site(bundled_path("sentiment"), folder / "site")
    (folder / "empty.html").write_bytes(EMPTY)
    kinds = [kind for kind in OPENED if kind.endswith(("of the page", "page itself"))]
    if packages is None:
        return kinds
    modules = (packages / "node_modules").resolve(strict=True)
    (folder / "packages").mkdir()
    (folder / "packages" / "onnxruntime-web").symlink_to(modules / "onnxruntime-web")
    (folder / "packages" / "@huggingface").symlink_to(modules / "@huggingface")
    own = modules / TRANSFORMERS / "node_modules" / "onnxruntime-web"
    (folder / "packages" / "onnxruntime-for-transformers").symlink_to(
        own if own.exists() else modules / "onnxruntime-web"
    )
    write_transformer(folder / "transformer", classifier)
    return list(OPENED)


def write_transformer(folder: Path, classifier: Classifier) -> None:
    """Write a transformer as transformers.js reads it, with a vocabulary of the model's words."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    from others import Shape, prepare_transformer  # type: ignore[import-not-found]
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    (folder / "onnx").mkdir(parents=True)
    prepare_transformer(folder, folder, shape=Shape(6, 384), int8=True)
    (folder / "model.onnx").rename(folder / "onnx" / "model_quantized.onnx")
    special = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102}
    words = iter(dict.fromkeys(classifier.stages().words(29_000)))
    used = set(special.values())
    vocabulary = special | {
        next(words, f"[unused{number}]"): number for number in range(30_522) if number not in used
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def first_load(browser: Browser, url: str, sent: Sent) -> dict[str, int]:
    """Return the bytes that the page asks for before its first answer, uncompressed."""
    context = browser.new_context(service_workers="block")
    sent.sizes.clear()
    page = context.new_page()
    page.goto(f"{url}site/")
    page.wait_for_selector("#facts:not(:empty)")
    found = {"bytes": sent.total(), "bytes_without_model": sent.total(without="/model/")}
    context.close()
    return found


def first_answers(
    browser: Browser, url: str, sent: Sent, kind: str, text: str
) -> dict[str, float | int]:
    """Return the time from files in the browser's cache to an answer, and their bytes."""
    sent.sizes.clear()
    page, _ = opened(browser, url, kind, text, [])
    page.context.close()
    files = [path.lstrip("/") for path in sent.sizes if path != "/empty.html"]
    size = sum(sent.sizes[f"/{name}"] for name in files)
    times = []
    for _ in range(PAGES):
        page, milliseconds = opened(browser, url, kind, text, files)
        times.append(milliseconds)
        page.context.close()
    return {"median": statistics.median(times), "worst": max(times), "bytes": size}


def opened(
    browser: Browser, url: str, kind: str, text: str, files: Sequence[str]
) -> tuple[Page, float]:
    """Return a new page that has answered, and the milliseconds until it did."""
    page = browser.new_context().new_page()
    page.goto(f"{url}empty.html")
    first: float = page.evaluate(FIRST.format(opened=OPENED[kind]), [url, text, list(files)])
    return page, first


def answers(
    browser: Browser,
    url: str,
    kinds: Sequence[str],
    classifier: Classifier,
    texts: Sequence[str],
    rounds: int,
    calls: int,
) -> dict[str, Any]:
    """Return the times of answers, one text per call; all kinds take turns."""
    pages = {kind: opened(browser, url, kind, texts[0], [])[0] for kind in kinds}
    medians: dict[str, list[float]] = {kind: [] for kind in (NATIVE, *kinds)}
    for page in pages.values():
        page.evaluate(TIMES, [texts, WARM])
    for _ in range(rounds):
        medians[NATIVE].append(statistics.median(python_times(classifier, texts, calls)))
        for kind, page in pages.items():
            page.bring_to_front()
            medians[kind].append(statistics.median(page.evaluate(TIMES, [texts, calls])))
    for page in pages.values():
        page.context.close()
    return {
        kind: {
            "p50": statistics.median(values),
            "ratio": median_ratio(values, medians[NATIVE]),
        }
        for kind, values in medians.items()
    }


def python_times(classifier: Classifier, texts: Sequence[str], calls: int) -> list[float]:
    """Return the milliseconds of each call."""
    times = []
    for place in range(calls):
        began = time.perf_counter()
        classifier.predict(texts[place % len(texts)])
        times.append(1000 * (time.perf_counter() - began))
    return times


def differences(browser: Browser, url: str, classifier: Classifier) -> dict[str, float | int]:
    """Return how many labels differ from Python's, and by how much probabilities do."""
    texts = [
        row.text for name in ("test", "train") for row in load_labelled(SAMPLE / f"{name}.jsonl.gz")
    ][:COMPARED]
    page = browser.new_context().new_page()
    page.goto(f"{url}empty.html")
    answers = page.evaluate(PREDICT, [url, texts])
    page.context.close()
    expected = [[one.label, *one.scores.values()] for one in classifier.predict_many(texts)]
    pairs = list(zip(answers, expected, strict=True))
    return {
        "texts": len(texts),
        "labels": sum(own[0] != other[0] for own, other in pairs),
        "probability": max(
            abs(x - y) for own, other in pairs for x, y in zip(own[1:], other[1:], strict=True)
        ),
    }


def memory(browser: Browser, url: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the memory of a page and its worker after each thousand predictions."""
    page, _ = opened(browser, url, OWN, texts[0], [])
    sizes = []
    for _ in range(PREDICTIONS // STEP + 1):
        page.evaluate(TIMES, [texts, STEP])
        sizes.append(page.evaluate(MEMORY) / 1e6)
    page.context.close()
    return {"megabytes": sizes, "growth": sizes[-1] - sizes[0]}


def goals_of(result: dict[str, Any]) -> list[Goal]:
    """Return what should hold."""
    load, first = result["first_load"], result["first_answer_ms"][OWN]
    return [
        Goal("first load, MB", load["bytes"] / 1e6, 2.6),
        Goal("first load without the model, KB", load["bytes_without_model"] / 1e3, 700),
        Goal("first answer after the files are there, ms", first["median"], 300),
        Goal("p50 in the page / in Python", result["answers_ms"][OWN]["ratio"][0], 3),
        Goal(f"labels that differ, of {result['differences']['texts']} texts",
             result["differences"]["labels"], 0),
        Goal("largest difference of a probability", result["differences"]["probability"], 1e-5),
        Goal("growth of memory over 10,000 predictions, MB", result["memory"]["growth"], 1),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
