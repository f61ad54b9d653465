"""Rows for the tests of this folder."""

from __future__ import annotations

from textgate.rows import Row


def rows_of(*examples):
    """Rows with a text, labels, and optionally a dictionary of soft labels; lines from 1."""
    rows = []
    for line, (text, *labels) in enumerate(examples, start=1):
        soft = labels.pop() if labels and isinstance(labels[-1], dict) else {}
        rows.append(Row(text, tuple(labels), line, {}, tuple(soft.items())))
    return rows


def copied(*groups):
    """Rows of groups: number of texts, copies of each text, and their label."""
    examples = []
    for number, (texts, copies, label) in enumerate(groups):
        for index in range(texts):
            examples += [(f"text {number} {index}", label)] * copies
    return rows_of(*examples)
