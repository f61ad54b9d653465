"""The notebooks of examples run from the first cell to the last, with their data and with yours."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = {path.stem: path for path in sorted(EXAMPLES.glob("*.ipynb"))}
NAMES = ["csv_to_bundle", "moderated_stream"]


def run(name, monkeypatch, **variables):
    """Run a notebook with other values of variables in its first cell of code; return its cells."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    lines = cells[0].source.splitlines()
    for variable, value in variables.items():
        place = next(n for n, line in enumerate(lines) if line.startswith(f"{variable} = "))
        lines[place] = f"{variable} = {value}"
    cells[0].source = "\n".join(lines)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    return cells


def shown(cells):
    """The HTML and the texts that the cells show."""
    parts = []
    for cell in cells:
        for output in cell.outputs:
            data = output.get("data", {})
            parts.append(data.get("text/html") or data.get("text/plain") or output.get("text", ""))
    return "\n".join(parts)


def pictures(cells):
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


def test_the_notebooks_are_these_and_have_no_outputs():
    assert list(NOTEBOOKS) == NAMES
    for path in NOTEBOOKS.values():
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            assert cell.get("outputs", []) == []
            assert cell.get("execution_count") is None


def test_from_a_csv_to_a_bundle(monkeypatch):
    cells = run("csv_to_bundle", monkeypatch)
    html = shown(cells)
    for part in ("macro-F1", "Likely label errors", "abstain below", "<mark"):
        assert part in html
    assert pictures(cells) == 1
    assert "'label': " in html.rpartition("{'predictions'")[2] or "label" in shown(cells[-1:])


def test_a_moderated_stream(monkeypatch):
    cells = run("moderated_stream", monkeypatch)
    assert pictures(cells) == 1
    printed = shown(cells)
    assert printed.count("[cut off: negative]") == 2
    assert "What a lovely evening we had!" in printed


@pytest.fixture
def tickets(tmp_path):
    """A CSV of somebody's own: other columns, numbers as labels, rare ones, missing cells."""
    path = tmp_path / "tickets.csv"
    kinds = [("The screen is broken", 1), ("The invoice is wrong", 2)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["said", "queue", "customer"])
        for number in range(60):
            text, queue = kinds[number % 2]
            queue = queue if number % 20 else 2  # a wrong label
            writer.writerow(
                [f"{text}, says customer {'abcdefghij'[number % 10] * 3}{number}", queue, number]
            )
        writer.writerow(["", 1, 61])
        writer.writerow(["This has no queue", "", 62])
        for number in range(3, 23):
            writer.writerow(
                [f"Nobody else asked about matter {'abcdefghijklmnopqrstuvw'[number]}", number, 63]
            )
    return path


@pytest.mark.parametrize("name", NAMES)
def test_your_own_csv(name, tickets, monkeypatch):
    changes = {"CSV": repr(str(tickets)), "TEXT, LABEL": '"said", "queue"'}
    if name == "moderated_stream":
        changes["UNWANTED"] = '{"2"}'
    html = shown(run(name, monkeypatch, **changes))
    assert "customer" in html
    if name == "csv_to_bundle":
        lines = tickets.read_text(encoding="utf-8").splitlines()
        row = r"<td[^>]*>(\d+)</td>(?:<td[^>]*>[^<]*</td>){4}<td[^>]*><details><summary>([^<]+)<"
        found = re.findall(row, html)
        assert found
        assert [text for line, text in found if not lines[int(line) - 1].startswith(text)] == []
