"""A hook of mkdocs: pages and the package as the site needs them.

The pages link to each other, and to files beside them, as they lie in the repository. The hook
gives them these paths, and adds the pages of the navigation and the files that lie outside docs/.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_LINKS = re.compile(r"""\]\(([^)\s#]+)|<img src="([^"]+)\"""")
# In the installed package, the folder of training lies beside that of the models.
_PACKAGED_LINK, _REPOSITORY_LINK = "](../../train/", "](../../../train/"
_SHORT_CODE = re.compile(r"<code>([^<\n]{1,30})</code>")
_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> None:
    """Lay the modules out as the package that is installed, for mkdocstrings to read."""
    on_shutdown()
    folder = tempfile.TemporaryDirectory()
    _TEMPORARY.append(folder)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package, source in project["tool"]["setuptools"]["package-dir"].items():
        for module in (ROOT / source).rglob("*.py"):
            copy = Path(folder.name, *package.split("."), module.relative_to(ROOT / source))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, copy)
    handlers = config.plugins["mkdocstrings"].config["handlers"]
    handlers["python"]["paths"] = [folder.name]


def on_shutdown() -> None:
    """Remove the copy of the package."""
    while _TEMPORARY:
        _TEMPORARY.pop().cleanup()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the pages, the files that they link to, and the files of the theme."""
    docs = Path(config.docs_dir)
    theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = {*docs.rglob("*.md"), *(ROOT / page for page in _pages(config.nav))}
    others = {file for page in pages if page.is_file() for file in _linked(page)}
    assets = {path for path in docs.joinpath("assets").rglob("*") if path.is_file()}
    found = sorted(pages | others | assets)
    return Files([*(_file(path, config) for path in found if path.is_file()), *theme])


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Return a page in which a bar in a cell's code needs no backslash.

    The card of a model that comes with the package has links as they are in the installed package.
    """
    if page.file.src_uri.startswith("runtime/models/"):
        markdown = markdown.replace(_PACKAGED_LINK, _REPOSITORY_LINK)
    return re.sub(r"^\|.*$", lambda row: row[0].replace("\\|", "|"), markdown, flags=re.MULTILINE)


def on_page_content(html: str, **_: Any) -> str:
    """Return a page in which short code can stay on one line: browsers break ``--json``."""
    return _SHORT_CODE.sub(r'<code class="short">\1</code>', html)


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif nav is not None:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _pages(entry)


def _linked(page: Path) -> Iterator[Path]:
    """Yield the files of the repository, other than pages, to which a page links."""
    text = page.read_text(encoding="utf-8")
    if page.is_relative_to(ROOT / "runtime" / "models"):
        text = text.replace(_PACKAGED_LINK, _REPOSITORY_LINK)
    for groups in _LINKS.findall(text):
        path = Path(page.parent, "".join(groups)).resolve()
        if path.suffix != ".md" and path.is_file() and path.is_relative_to(ROOT):
            yield path


def _file(path: Path, config: MkDocsConfig) -> File:
    """Return a file by its path in the repository; on the site, docs/ has no folder of its own."""
    name = path.relative_to(ROOT).as_posix()
    file = File(name, str(ROOT), config.site_dir, config.use_directory_urls)
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file
