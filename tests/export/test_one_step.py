"""The example in docs/training.md runs."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_example_of_the_page(separable, tmp_path, monkeypatch, capsys):
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"<!-- begin one step -->\n```python\n(.*?)```", page, re.DOTALL)
    lines = [f"{row.text},{row.labels[0]}\n" for row in separable(60)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, PAGE.name, "exec"), {})
    assert capsys.readouterr().out in ("good\n", "bad\n")
