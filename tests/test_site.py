"""The site of the documentation is complete, and needs nothing from elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'textgate[docs]'")
pytest.importorskip("mkdocstrings", reason="not installed: pip install 'textgate[docs]'")

ROOT = Path(__file__).parents[1]
NAV = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\ntheme:")[0]
PAGES = re.findall(r"[\w/.-]+\.md", NAV)
GENERATED = {"docs/api/classify.md", "docs/api/train.md"}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built site; a warning of mkdocs is an error, unless it is told to be quiet."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def article(site, page):
    """The text of a page, as HTML."""
    name = page.removeprefix("docs/").replace("README.md", "index.html").replace(".md", ".html")
    text = (site / name).read_text(encoding="utf-8")
    return text[text.index("<article") : text.index("</article>")]


def test_nothing_is_loaded_from_elsewhere(site):
    loading = re.compile(
        r"""<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]*)"""
        r"""|<link\b(?![^>]*rel="canonical")[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]*)"""
        r"""|(?:url\(|@import )["']?((?:https?:)?//[^"')\s]*)"""
    )
    files = [path for kind in ("html", "css") for path in site.rglob(f"*.{kind}")]
    assert len(files) > 30
    found = {path.name: loading.findall(path.read_text(encoding="utf-8")) for path in files}
    assert {name: links for name, links in found.items() if links} == {}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED])
def test_lists_and_tables_are_those_that_other_readers_see(site, page):
    """A list that is indented too little is one on GitHub, and none on the site."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    expected = markdown.render((ROOT / page).read_text(encoding="utf-8"))
    built = article(site, page)
    for tag in ("li", "table", "td", "pre", "h2", "h3"):
        count = re.compile(rf"<{tag}[ >]")
        assert len(count.findall(built)) == len(count.findall(expected)), tag
    assert "\\|" not in built


def test_an_option_is_not_broken_and_no_page_is_wider_than_a_phone(site, browser):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    for name in ("errors", "howto/tickets", "training", "rows"):
        page.goto((site / f"{name}.html").as_uri())
        broken = page.evaluate("""() =>
            [...document.querySelectorAll("article :not(pre) > code")]
            .filter((code) => /^--[a-z-]+$/.test(code.innerText))
            .filter((code) => code.getClientRects().length > 1)
            .map((code) => code.innerText)""")
        assert broken == [], name
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
    page.close()


@pytest.mark.parametrize("module", ["textgate", "textgate.train", "textgate.export"])
def test_every_public_class_and_function_is_in_the_reference(site, module):
    pages = "".join(article(site, page) for page in GENERATED)
    package = importlib.import_module(module)
    named = [name for name in package.__all__ if callable(getattr(package, name))]
    others = {"textgate.train.Columns"}  # in textgate.rows
    for name in sorted({f"{module}.{name}" for name in named} - others):
        short = name.rpartition(".")[2]
        assert re.search(rf'id="textgate[\w.]*\.{short}"', pages), name


def test_what_a_function_returns_is_in_the_reference(site):
    pages = "".join(article(site, page) for page in GENERATED)
    package = importlib.import_module("textgate")
    public = [getattr(package, name) for name in package.__all__]
    methods = [
        value.__func__ if isinstance(value, classmethod) else value
        for one in public
        if inspect.isclass(one)
        for name, value in vars(one).items()
        if not name.startswith("_")
    ]
    functions = filter(inspect.isfunction, [*public, *methods])
    returned = {function.__annotations__["return"] for function in functions}
    named = {name for text in returned for name in re.findall(r"[A-Z]\w+", text)}
    assert {"ClassifierEvaluation", "ErrorReport", "Guarded"} <= named
    others = {"Any", "Iterator", "NDArray", "None", "Stages"}  # not of textgate, or its own tool's
    for name in sorted(named - others):
        assert re.search(rf'id="textgate[\w.]*\.{name}"', pages), name


def test_the_search_works_from_a_disk(site, browser, tmp_path):
    """Also in a folder below others, without a server, and with no request to the network."""
    playwright = importlib.import_module("playwright.sync_api")
    below = tmp_path / "some" / "path"
    shutil.copytree(site, below)
    page = browser.new_page()
    problems, requests = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((below / "howto" / "tickets.html").as_uri())
    field = page.locator('[data-md-component="search-query"]')
    found = page.locator(".md-search-result__link")
    # A name in code is found behind its dot: evaluation.plot_confusion().
    for query, there in (("vanishing gradients", "why_recurrent"), ("plot_confusion", "errors")):
        for _ in range(12):  # what is typed before the index has been read is not searched for
            field.fill("")
            field.press_sequentially(query)
            with contextlib.suppress(playwright.TimeoutError):
                found.first.wait_for(timeout=5000)
                break
        links = found.evaluate_all("links => links.map(link => link.href)")
        assert [link for link in links if f"/{there}.html" in link], query
    assert problems == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob", "about"}
    page.close()
