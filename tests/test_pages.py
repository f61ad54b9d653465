"""Every shell and Python block of the documentation runs, page by page and from top to bottom.

A comment before a block says what is special about it:

    <!-- not run: REASON -->   it cannot run here; it is a skipped test with this reason
    <!-- serve -->             it runs while the rest of the page does, at a free port
    <!-- prints -->            it is what the block before it prints

Training uses few rows and small settings, so that a page takes seconds.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from textgate.rows import Row

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
    *sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in ("CONTRIBUTING.md", "deploy/*.md", "benchmarks/**/*.md", "examples/**/*.md")
        for path in ROOT.glob(pattern)
    ),
    "runtime/models/sentiment/README.md",
    "runtime/models/toxicity/README.md",
    "tests/fuzz/README.md",
]
# By page and section: the tests that run its blocks, because these need more than a folder of rows.
ELSEWHERE = {
    ("docs/errors.md", "In Python"): "tests/test_errors_page.py",
    ("docs/recipes.md", "A web service with FastAPI"): "tests/test_recipes.py",
    ("docs/scale.md", "Ray"): "tests/scale/test_page.py",
    ("docs/scale.md", "Spark"): "tests/scale/test_page.py",
    ("docs/scale.md", "One machine"): "tests/scale/test_page.py",
    ("docs/scale.md", "Training"): "tests/scale/test_page.py",
    ("docs/serving.md", "The service"): "tests/runtime/serve/test_documentation.py",
    ("docs/sklearn.md", ""): "tests/sklearn/test_page.py",
    ("docs/sklearn.md", "Search, pipelines and cross-validation"): "tests/sklearn/test_page.py",
    ("docs/sklearn.md", "Several labels per text"): "tests/sklearn/test_page.py",
    ("docs/sklearn.md", "A bundle as an estimator"): "tests/sklearn/test_page.py",
}
NEED_TORCH = {"README.md", "docs/training.md", "docs/teachers.md", "docs/recipes.md"}
NEED_TORCH |= {"docs/tutorial.md", "docs/howto/tickets.md", "docs/vectors.md"}
LANGUAGES = ("sh", "python", "text")
NOT_RUN = "not run: "
PORT = "127.0.0.1:8080"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        page: the page, as a path in the repository.
        section: the heading of the second level above it.
        line: the number of its first line.
        mark: the comment above it.
        language: `sh`, `python`, or something else that is not run.
        code: what it holds.
    """

    page: str
    section: str
    line: int
    mark: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        before = text[: match.start("code")]
        sections = re.findall(r"^## (.*)$", before, re.MULTILINE)
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        found.append(
            Block(
                page,
                sections[-1] if sections else "",
                before.count("\n") + 1,
                match["mark"] or "",
                match["language"],
                code,
            )
        )
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUNNABLE = [block for block in BLOCKS if block.language in LANGUAGES[:2]]
HERE = [
    block
    for block in BLOCKS
    if (block.page, block.section) not in ELSEWHERE and not block.mark.startswith(NOT_RUN)
]


@pytest.mark.parametrize(
    "block", [one for one in RUNNABLE if one.mark.startswith(NOT_RUN)], ids=str
)
def test_a_block_that_cannot_run_says_why(block):
    reason = block.mark.removeprefix(NOT_RUN)
    assert len(reason) > 10
    pytest.skip(reason)


def test_blocks_that_other_tests_run_are_there():
    sections = {(block.page, block.section) for block in RUNNABLE}
    assert set(ELSEWHERE) <= sections
    for (page, _), test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def test_an_output_follows_a_block_that_runs():
    for page in PAGES:
        before = None
        for block in blocks_of(page):
            if block.mark == "prints":
                assert block.language == "text", block
                assert before in HERE, block
                assert before in RUNNABLE, block
            before = block


def write_gzip(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def sample_tickets(*queues: str) -> list[Row]:
    """The sample tickets of these queues."""
    with (ROOT / "examples" / "tickets" / "tickets.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["queue"] in queues]
    return [Row(row["text"], (row["queue"],), number) for number, row in enumerate(rows)]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "customer"])
        writer.writerows([row.text, row.labels[0], row.line] for row in rows)


@pytest.fixture
def folder(tmp_path, monkeypatch, separable):
    """A folder with the files that the pages name, and with the commands on the path."""
    shutil.copytree(ROOT / "examples" / "tickets", tmp_path / "examples" / "tickets")
    (tmp_path / "examples" / "reviews").mkdir()
    rows = separable(80)
    for name in ("train", "dev", "test"):
        written = ({"text": row.text, "label": row.labels[0]} for row in rows)
        write_gzip(tmp_path / "examples" / "reviews" / f"{name}.jsonl.gz", written)
    for name in ("rows", "dev"):
        write_rows(tmp_path / f"{name}.csv", rows)
    write_rows(tmp_path / "tickets.csv", sample_tickets("billing", "technical"))
    texts = [row.text for row in separable(60, seed=1)]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    write_gzip(tmp_path / "more.jsonl.gz", ({"text": f"{text} more"} for text in texts))
    (tmp_path / "settings.toml").write_text("learning_rate = 0.002\n", encoding="utf-8")
    shutil.copytree(ROOT / "tests" / "data" / "lstm-int8", tmp_path / "reviews")
    (tmp_path / "bin").mkdir()
    for name, code in {"textgate": "-m textgate", "python": ""}.items():
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {code} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small(monkeypatch, quick):
    """Settings with which training takes a second, where a page does not choose an encoder."""
    if importlib.util.find_spec("torch") is None:
        return
    from textgate.train import fitting

    prepare = fitting.prepare

    def prepare_small(sources, preset, settings):
        if sources.pretrained is not None:
            settings = {"epochs": 1, "folds": 0, **settings}
        elif settings.get("frozen") and sources.dev is None:
            settings = {"folds": 2, **settings}
        elif preset == "default" and not settings.get("frozen"):
            preset, settings = "seed-gru", {**quick, **settings}
        return prepare(sources, preset, settings)

    monkeypatch.setattr(fitting, "prepare", prepare_small)
    monkeypatch.setattr("textgate.train.curve._FOLDS", 2)


class Runner:
    """Runs the blocks of a page, one after the other.

    Attributes:
        names: the names that the Python blocks have defined.
        address: where the page's service listens.
    """

    def __init__(self, command, ends: contextlib.ExitStack) -> None:
        self.names: dict[str, object] = {"__name__": "__page__"}
        self.address = PORT
        self._command = command
        self._ends = ends

    def run(self, block: Block) -> str:
        """Run a block and return what it prints."""
        code = block.code.replace(PORT, self.address)
        remove(made_by(code))
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(code, str(block), "exec"), self.names)  # part of the project
            return output.getvalue()
        lines = list(simple_commands(code))
        if block.mark == "serve":
            self._serve(lines[0][1:])
            return ""
        if all(line[0] == "textgate" for line in lines):
            return "".join(self._in_process(line[1:]) for line in lines)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _in_process(self, arguments: list[str]) -> str:
        """Run a command here, so that torch is imported once."""
        remove(made_by(shlex.join(["textgate", *arguments])))
        outcome = self._command(*arguments)
        assert outcome.status == 0, outcome.err
        return outcome.out

    def _serve(self, arguments: list[str]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "textgate", *arguments, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._ends.enter_context(process)
        self._ends.callback(process.terminate)
        for line in process.stderr:
            if found := re.search(r"at http://(\S+)$", line):
                self.address = found[1]
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()


def made_by(code: str) -> list[str]:
    """The names of what a block makes: often the same in the shell as in Python."""
    options = re.findall(r"textgate [^|]*?-o ([\w.]+)", code)
    arguments = re.findall(r'\b(?:fit|export|pretrain)\(\s*(?:\[.*?\]|[^,]*),\s*"([\w.]+)"', code)
    return options + arguments


def remove(names: list[str]) -> None:
    for name in names:
        shutil.rmtree(name, ignore_errors=True)


def simple_commands(code: str) -> Iterator[list[str]]:
    """Yield the words of each command; what only a shell can read begins with an operator."""
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that continues on the next line
            words = ["|"]
        if words:
            operators = [word for word in words if set(word) <= set("();<>|&")]
            yield operators + words


@pytest.mark.filterwarnings("default")  # a program's own warnings are no concern here
@pytest.mark.parametrize("page", sorted({block.page for block in HERE if block in RUNNABLE}))
def test_the_blocks_of_a_page_run(page, folder, small, command):
    if page in NEED_TORCH:
        pytest.importorskip("torch", reason="torch is not installed: pip install 'textgate[train]'")
    output = ""
    with contextlib.ExitStack() as ends:
        runner = Runner(command, ends)
        for block in (one for one in HERE if one.page == page):
            if block.mark == "prints":
                assert output == block.code, f"{block}: printed {output!r}"
            elif block in RUNNABLE:
                try:
                    output = runner.run(block)
                except (Exception, SystemExit) as problem:
                    raise AssertionError(f"{block} failed: {problem}") from problem
