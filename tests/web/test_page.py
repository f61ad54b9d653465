"""`textgate page`: the static page, in Chromium and Firefox."""

from __future__ import annotations

import csv
import functools
import http.server
import io
import itertools
import json
import random
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from textgate import Classifier
from textgate.bundle.builtin import bundled_path
from textgate.cli import commands
from textgate.errors import BundleError, ExportError
from textgate.page.card import card_html
from textgate.page.site import SITE, write_site
from textgate.rows import load_labelled

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright not installed: pip install '.[dev]'"
)
expect = playwright.expect

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
BUNDLES = sorted(path.parent.name for path in DATA.glob("*/textgate.json"))
FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
SECONDS = 60  # before a test gives up
TEXTS = [
    'He said "so", and left;\nthen, came back',
    "a great , funny and moving film",
    "dull",
    "=1+1",
    "\U0001f600 qwxz",
    *(row.text for row in load_labelled(ROOT / "examples" / "reviews" / "test.jsonl.gz")[:30]),
]
WICKED = "<img src=x onerror=document.title='wicked'>"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *arguments):
        """Print nothing."""


@contextmanager
def serving(folder):
    """Serve a folder as any host would; yield its URL and the server."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """The pages of the sample bundles, in a path of their own; the URL of each by name."""
    root = tmp_path_factory.mktemp("host")
    for name in BUNDLES:
        write_site(DATA / name, root / "some path" / name)
    with serving(root) as (url, _):
        yield {name: f"{url}some%20path/{name}/" for name in BUNDLES}


@pytest.fixture
def open_page(browser):
    contexts = []

    def start(url, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.problems, page.asked = [], []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        context.on("request", lambda request: page.asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("#facts:not(:empty)")
        return page

    yield start
    for context in contexts:
        context.close()


def classified(page, content, name):
    """Give the page a file, and return the rows of the table that it offers."""
    file = {"name": name, "mimeType": "text/plain", "buffer": content.encode("utf-8")}
    page.set_input_files("#file", file)
    page.click("#classify")
    page.wait_for_selector("#download:not([hidden])")
    with page.expect_download() as download:
        page.click("#download")
    text = download.value.path().read_bytes().decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_table_gets_the_labels_and_probabilities_of_python(open_page, sites, bundle):
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["id", "text", "label"])
    writer.writerows([place, text, "-old"] for place, text in enumerate(TEXTS))
    page = open_page(sites[bundle])
    found = classified(page, rows.getvalue(), "reviews.csv")
    predictions = Classifier.load(DATA / bundle).predict_many(TEXTS)
    for place, (row, prediction) in enumerate(zip(found, predictions, strict=True)):
        assert row["label"] == "|".join(prediction.labels)
        assert float(row["score"]) == pytest.approx(prediction.score, abs=1e-5)
        assert row["id"] == str(place)
        # A cell that begins like a formula would be run by a spreadsheet.
        assert row["text"] == ("'" if TEXTS[place][0] in "=@" else "") + TEXTS[place]
        assert row["input.label"] == "'-old"
    assert page.problems == []  # so nothing violated the policy of the page
    assert all(url.startswith((sites[bundle], "blob:", "data:")) for url in page.asked)


def test_the_decision_changes_with_every_word(open_page, sites):
    page = open_page(sites["lstm-int8"])
    text = "a great , funny and moving film"
    page.type("#text", text)
    expect(page.locator("#words li")).to_have_count(7)
    expect(page.locator("#words li").last).to_contain_text("film")
    expect(page.locator("#facts-of-text")).to_contain_text(" ms for the answer, in this tab")
    classifier = Classifier.load(DATA / "lstm-int8")
    stream = classifier.stream()
    for place, word in enumerate(text.split()):
        one = stream.feed(word + " ")
        said = "no label" if one.label is None else f"{one.label} {100 * one.score:.1f} %"
        assert page.locator("#words li small").nth(place).inner_text() == said
    assert page.locator("#bars tbody tr").count() == len(classifier.labels)


def test_words_are_explained_as_in_python(open_page, sites):
    page = open_page(sites["lstm-int8"])
    text = "\U0001f600 a great , funny and moving film"
    page.type("#text", text)
    expect(page.locator("#explanation mark")).to_have_count(len(text.split()))
    explanation = Classifier.load(DATA / "lstm-int8").explain(text)
    (label,) = explanation.labels
    assert page.inner_text("#explanation-heading") == f"For and against {label}"
    for place, word in enumerate(explanation.words):
        mark = page.locator("#explanation mark").nth(place)
        stance = "against" if word.values[label] < 0 else "for"
        assert mark.get_attribute("title") == f"{word.values[label]:+.2f} {stance} {label}"
        assert mark.inner_text().startswith(word.text)
    assert page.inner_text("#explanation").startswith("\U0001f600")
    page.fill("#text", "great " * 2000)  # too long to be explained while it is typed
    expect(page.locator("#explained")).to_be_hidden()
    assert page.problems == []


def test_a_link_carries_an_example(open_page, sites):
    page = open_page(sites["lstm-int8"] + "?text=dull+%26+%3Cb%3Elong")
    expect(page.locator("#words li")).to_have_count(3)
    assert page.input_value("#text") == "dull & <b>long"
    assert page.locator("#words b").count() == 0


def test_it_reloads_without_the_host_after_the_first_visit(open_page, tmp_path):
    write_site(DATA / "gru-float32", tmp_path / "site")
    with serving(tmp_path) as (url, server):
        page = open_page(f"{url}site/")
        expect(page.locator("#offline")).to_contain_text("works offline")
        server.shutdown()
        server.server_close()
        page.context.set_offline(True)
        page.goto(f"{url}site/?text=a+great+film")
        expect(page.locator("#words li")).to_have_count(3)
        page.reload()
        expect(page.locator("#words li")).to_have_count(3)
        assert page.problems == []


def test_a_new_version_replaces_the_one_that_was_kept(open_page, tmp_path):
    write_site(DATA / "gru-float32", tmp_path / "site")
    with serving(tmp_path) as (url, _):
        page = open_page(f"{url}site/")
        expect(page.locator("#offline")).to_contain_text("works offline")
        assert page.inner_text("h1") == "gru-float32"
        write_site(DATA / "lstm-int8", tmp_path / "site", force=True)
        page.reload()
        assert page.inner_text("h1") == "gru-float32"
        page.click("#update")
        expect(page.locator("h1")).to_have_text("lstm-int8")
        expect(page.locator("#facts")).to_contain_text("labels")
        assert page.problems == []


def test_pages_of_the_host_below_it_are_left_alone(open_page, tmp_path):
    write_site(DATA / "gru-float32", tmp_path / "site")
    write_site(DATA / "lstm-int8", tmp_path / "site" / "other")
    (tmp_path / "site" / "more.html").write_text("<title>more</title>", encoding="utf-8")
    with serving(tmp_path) as (url, _):
        page = open_page(f"{url}site/")
        expect(page.locator("#offline")).to_contain_text("works offline")
        page.goto(f"{url}site/other/")
        assert page.inner_text("h1") == "lstm-int8"
        page.goto(f"{url}site/more.html")
        assert page.title() == "more"
        page.goto(f"{url}site/index.html?text=dull")
        assert page.inner_text("h1") == "gru-float32"


def test_a_changed_file_is_an_error_that_is_shown(browser, tmp_path):
    write_site(DATA / "gru-float32", tmp_path / "site")
    model = tmp_path / "site" / "model" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with serving(tmp_path) as (url, _):
        page = browser.new_page()
        page.goto(f"{url}site/")
        expect(page.locator("#problem")).to_contain_text("damaged or edited")
        expect(page.locator("#offline")).to_contain_text("could not keep")
        page.close()


READ = """async ([url, parts, format, column]) => {
  const { readRows } = await import(url + "rows.js");
  const pieces = parts.map((part) => new TextEncoder().encode(part));
  const whole = new Blob(pieces);
  const blob = {
    size: whole.size,
    slice: (...range) => whole.slice(...range),
    stream: () => new ReadableStream({
      pull(controller) {
        const next = pieces.shift();
        if (next) controller.enqueue(next);
        else controller.close();
      },
    }),
  };
  const found = { header: [], texts: [], cells: [], bad: [] };
  try {
    for await (const { header, window, bad } of readRows(blob, { format, column, window: 3 })) {
      found.header = header;
      found.bad.push(...bad);
      for (const { cells, text } of window) {
        found.texts.push(text);
        found.cells.push(cells);
      }
    }
  } catch (problem) {
    found.error = problem.message;
  }
  return found;
}"""


@pytest.fixture(scope="module")
def read(browser, sites):
    """Read a file, which arrives in these parts, by the page's code."""
    url = sites["lstm-int8"]
    page = browser.new_page()
    page.goto(url)
    yield lambda parts, form: page.evaluate(READ, [url, list(parts), form, "text"])
    page.close()


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        ("one\r\n\n two\rthree", "lines", {"texts": ["one", " two", "three"]}),
        ("\ufeffid,text\n1,a\n2,b\n", "csv", {"texts": ["a", "b"], "header": ["id", "text"]}),
        ("id;text\n1;a,b\n", "csv", {"texts": ["a,b"]}),
        ("review\nfine\n", "csv", {"texts": ["fine"], "header": ["review"]}),
        ('"id, or","text"\n1,a\n', "csv", {"texts": ["a"], "header": ["id, or", "text"]}),
        ("id,text\n1\n2,b\n", "csv", {
            "texts": ["b"], "bad": ["row 1 has 1 cells and the header 2"],
        }),
        ("id,words\n1,a\n", "csv", {"error": "there is no column text; the columns are id, words"}),
        ('text\n"open', "csv", {"error": "the last row begins a quote that is never closed"}),
        ('id\ttext\n1\t"a"\n', "tsv", {"texts": ['"a"']}),
        ('{"text":"a","n":[1]}\n"b"\n{"n":1}\n{', "jsonl", {
            "texts": ["a", "b"],
            "cells": [["a", "[1]"], ["b", ""]],
            "bad": ["row 3 has no text in text", "row 4 is not JSON"],
        }),
        ('{"__proto__":"x","text":"a"}', "jsonl", {
            "texts": ["a"], "header": ["__proto__", "text"],
        }),
        ("", "csv", {"texts": [], "bad": []}),
    ],
)  # fmt: skip
def test_rows_of_all_formats(read, content, form, expected):
    for parts in ([content], list(content)):
        found = read(parts, form)
        assert {name: found.get(name) for name in expected} == expected


def test_csv_is_read_as_python_reads_it_wherever_it_is_cut(read):
    drawn = random.Random(5)
    for _ in range(60):
        rows = [
            ["".join(drawn.choices('ab,"\n\r é\U0001f600', k=drawn.randrange(6))) for _ in range(3)]
            for _ in range(drawn.randrange(5))
        ]
        file = io.StringIO(newline="")
        end = drawn.choice(["\n", "\r\n", "\r"])
        csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
            [["text", "b", "c"], *rows]
        )
        content = file.getvalue()
        cuts = sorted(drawn.choices(range(len(content)), k=6))
        parts = [content[a:b] for a, b in itertools.pairwise([0, *cuts, len(content)])]
        assert read(filter(None, parts), "csv")["cells"] == rows, content


def test_megabytes_that_are_pasted_are_read_beside_the_field(open_page, sites):
    page = open_page(sites["gru-float32"])
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.setData("text/plain", "a great film\\n".repeat(1_000_000));
        const options = { clipboardData: data, bubbles: true, cancelable: true };
        document.getElementById("rows").dispatchEvent(new ClipboardEvent("paste", options));
    }""")
    expect(page.locator("#held-name")).to_have_text("Pasted rows, 13.0 MB")
    assert page.input_value("#rows") == ""
    page.click("#classify")
    expect(page.locator("#results tbody tr")).to_have_count(200)
    expect(page.locator("#rows-status")).to_contain_text(" %")  # progress
    page.fill("#text", "dull")  # is answered while rows are read
    expect(page.locator("#words li")).to_have_count(1)
    page.click("#stop")
    expect(page.locator("#rows-status")).to_contain_text("stopped")
    expect(page.locator("#download")).to_be_visible()
    page.click("#drop-held")
    assert page.evaluate("document.activeElement.id") == "rows"
    assert page.problems == []


def test_a_long_text_is_shown_in_part_and_kept_whole(open_page, sites):
    page = open_page(sites["gru-float32"])
    text = "\U0001f600" + "a great film " * 8_000
    (row,) = classified(page, f"text\n{text}\n", "long.csv")
    assert row["text"] == text
    shown = page.inner_text("#results tbody td:last-child")
    assert shown.startswith("\U0001f600a great film ")
    assert shown.endswith("...")
    assert len(shown) < 1100


def test_a_name_of_megabytes_is_told_in_part(open_page, sites):
    page = open_page(sites["gru-float32"])
    page.set_input_files("#file", {
        "name": "a.csv", "mimeType": "text/csv", "buffer": b"x" * 1_000_000 + b",y\n1,2\n",
    })  # fmt: skip
    page.click("#classify")
    expect(page.locator("#problem")).to_contain_text("there is no column text")
    assert len(page.inner_text("#problem")) < 300


@pytest.mark.parametrize(("line", "form"), [("{\n", "jsonl"), ("a,b\n", "csv")])
def test_rows_that_are_left_out_can_be_stopped(open_page, sites, line, form):
    page = open_page(sites["gru-float32"])
    rows = b"text\n" + line.encode() * 1_000_000
    page.set_input_files("#file", {
        "name": f"a.{form}", "mimeType": "text/plain", "buffer": rows,
    })  # fmt: skip
    page.evaluate("""() => {
        setTimeout(() => document.getElementById("stop").click(), 20);
        document.getElementById("classify").click();
    }""")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#rows-status")).to_contain_text("stopped")


CSV = """async ([url, cells]) => {
  const { CsvFile } = await import(url + "rows.js");
  const file = new CsvFile(["label"]);
  file.begin(cells);
  file.add([cells[0]], cells);
  return file.file().text();
}"""
FORMULAS = [
    *("=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"),
    *("\uff1d1", "\uff0b1", "\uff0d1", "\uff20a"),
]


def test_no_cell_of_the_result_begins_as_a_formula(open_page, sites):
    page = open_page(sites["gru-float32"])
    text = page.evaluate(CSV, [sites["gru-float32"], FORMULAS])
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header == ["label", *("'" + cell for cell in FORMULAS)]
    assert row == ["'=1", *("'" + cell for cell in FORMULAS)]


FAULTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map((one) => one.id);
  const levels = all("h1, h2, h3, h4, h5, h6").map((one) => Number(one.tagName[1]));
  return [
    ...all("textarea, select, input").filter((one) => !one.labels.length).map((one) => one.id),
    ...all("button, a").filter((one) => !one.textContent.trim()).map((one) => one.outerHTML),
    ...ids.filter((id, place) => ids.indexOf(id) !== place),
    ...levels.filter((level, place) => place && level > levels[place - 1] + 1),
    ...all("section:not([aria-labelledby]), th:not([scope])").map((one) => one.outerHTML),
  ];
}"""


def test_it_can_be_used_by_keyboard_and_by_ear(open_page, sites):
    page = open_page(sites["lstm-int8"])
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("a great film")
    expect(page.locator("#words li")).to_have_count(3)
    page.keyboard.press("Tab")
    page.keyboard.type("dull")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results td")
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert reached == ["download", "file", "format", "scrolls", "measure"]
    assert page.evaluate(FAULTS) == []
    assert page.get_attribute("#decision", "aria-live") == "polite"
    assert page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (390, "light"), (1200, "dark")])
def test_it_fits_the_screen_and_the_scheme(open_page, sites, width, scheme):
    viewport = {"width": width, "height": 800}
    page = open_page(sites["lstm-int8"], viewport=viewport, color_scheme=scheme)
    page.fill("#text", "unbreakable" * 30 + " film")
    page.fill("#rows", "text\n" + "unbreakable" * 30)
    page.select_option("#format", "csv")
    page.click("#classify")
    page.wait_for_selector("#results td")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(23, 23, 27)") == (scheme == "dark")


def test_sizes_and_times_are_measured_in_place(open_page, sites):
    page = open_page(sites["gru-float32"])
    figures = page.inner_text("#figures")
    assert "MB" in figures
    assert "First answer after" in figures
    page.click("#measure")
    expect(page.locator("#measured")).to_contain_text("ms per answer of")


@contextmanager
def firefox(profile):
    """Start Firefox and yield a function that calls a method of WebDriver BiDi."""
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    command = [FIREFOX, "--headless", "--remote-debugging-port", "0", "--profile", str(profile)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = next(line.split()[-1] for line in lines if "WebDriver BiDi" in line)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            with client.connect(f"{address}/session", max_size=None) as socket:
                numbers = itertools.count()

                def ask(method, **parameters):
                    number = next(numbers)
                    socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
                    while (answer := json.loads(socket.recv(SECONDS))).get("id") != number:
                        pass
                    return answer["result"]

                ask("session.new", capabilities={})
                yield ask
        finally:
            process.kill()


@pytest.mark.skipif(FIREFOX is None, reason="no firefox on the path: apt-get install firefox-esr")
def test_it_answers_in_firefox(sites, tmp_path):
    with firefox(tmp_path) as ask:
        (tab,) = ask("browsingContext.getTree")["contexts"]
        url = sites["lstm-int8"] + "?text=a+great+film"
        ask("browsingContext.navigate", context=tab["context"], url=url, wait="complete")
        found = ask(
            "script.callFunction",
            functionDeclaration="""async () => {
                const shown = (id) => document.getElementById(id).textContent;
                while (!shown("words") && !shown("problem")) {
                  await new Promise((resolve) => setTimeout(resolve, 50));
                }
                return shown("decision") + shown("problem");
            }""",
            target={"context": tab["context"]},
            awaitPromise=True,
        )
    prediction = Classifier.load(DATA / "lstm-int8").predict("a great film")
    assert found["result"]["value"] == f"{prediction.label} ({100 * prediction.score:.1f} %)"


# The command and its files


def invoke(*arguments):
    return CliRunner().invoke(commands, ["page", *map(str, arguments)])


def test_the_command_writes_the_folder_and_does_not_replace_another(tmp_path):
    target = tmp_path / "site"
    result = invoke("-m", DATA / "lstm-int8", "-o", target)
    assert result.exit_code == 0, result.output
    assert "python -m http.server" in result.output
    listed = json.loads((target / SITE).read_text(encoding="utf-8"))["files"]
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert there == {*listed, SITE, "service-worker.js"}
    assert {"index.html", "textgate/engine.wasm", "model/model.onnx"} <= there
    refused = invoke("-m", DATA / "lstm-int8", "-o", target)
    assert isinstance(refused.exception, ExportError)
    assert "--force" in str(refused.exception)
    assert invoke("-m", DATA / "gru-float32", "-o", target, "--force").exit_code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    assert isinstance(invoke("-o", other, "--force").exception, ExportError)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_a_damaged_bundle_leaves_no_folder(tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(DATA / "lstm-int8", bundle)
    (bundle / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        write_site(bundle, tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_page_is_small_and_loads_nothing_from_elsewhere(tmp_path):
    write_site(bundled_path("sentiment"), tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "script-src 'self' 'wasm-unsafe-eval'; " in page
    assert page.index("Content-Security-Policy") < page.index("<script")
    assert page.count("<script") == 1
    assert 'src="http' not in page
    assert "style=" not in page
    assert "<!--" not in page
    assert "<h4>Known failures</h4>" in page
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    # A browser loads one of the two engines; the other one is larger.
    sizes = {path: path.stat().st_size for path in files if path.name != "engine_fused.wasm"}
    assert sum(size for path, size in sizes.items() if path.parent.name != "model") <= 700_000
    assert sum(sizes.values()) <= 2_600_000


def test_a_name_and_a_card_are_escaped(tmp_path):
    bundle = tmp_path / "<b>"
    shutil.copytree(DATA / "lstm-int8", bundle)
    (bundle / "README.md").write_text(f"# {WICKED}\n\n{WICKED}", encoding="utf-8")
    write_site(bundle, tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "<h1>&lt;b&gt;</h1>" in page
    (bundle / "README.md").unlink()
    bundle = bundle.rename(tmp_path / "\udcff")  # a byte that is no UTF-8
    write_site(bundle, tmp_path / "site", force=True)
    assert "Model card" not in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


TABLE = (
    '<div class="scrolls" tabindex="0" role="region" aria-label="Table of the card"><table>'
    '<thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
    "<tbody><tr><td>c | d</td><td>&lt;e&gt;</td></tr></tbody></table></div>"
)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# One\nand *two*\n**three** `<b>**`", [
            "<h3>One</h3>", "<p>and *two* <strong>three</strong> <code>&lt;b&gt;**</code></p>",
        ]),
        ("---\nlicense: mit\n---\n<!-- begin -->\ntext", ["<p>text</p>"]),
        ("- a\n  b\n- c\n\n1. d", ["<ul><li>a b</li><li>c</li></ul>", "<ol><li>d</li></ol>"]),
        ("```sh\n# <x>\n```\n", ['<pre tabindex="0"><code># &lt;x&gt;</code></pre>']),
        ("[a](https://b.c/?d=1&e) [f](g.md) [h](javascript:i)", [
            '<p><a href="https://b.c/?d=1&amp;e" rel="noopener noreferrer">a</a> f h</p>',
        ]),
        ('[a](https://b"onclick="c)', [
            '<p><a href="https://b&quot;onclick=&quot;c" rel="noopener noreferrer">a</a></p>',
        ]),
        ("| a | b |\n| --- | ---: |\n| c \\| d | <e> |", [TABLE]),
        ("```\nopen", ['<pre tabindex="0"><code>open</code></pre>']),
    ],
)  # fmt: skip
def test_a_card_becomes_html(markdown, html):
    assert card_html(markdown) == "\n".join(html)


@pytest.mark.parametrize("mark", ["[", "`", "**", "<!--", "- ", "[a](", "|", "a\n|-|\n"])
def test_a_card_of_marks_alone_does_not_take_long(mark):
    assert card_html(mark * 50_000)
