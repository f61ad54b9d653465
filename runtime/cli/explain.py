"""`textgate explain`: how much each word of a text spoke for and against its label."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from textgate import environment
from textgate.cli import options
from textgate.inference.arguments import label_count
from textgate.inference.classifier import Classifier
from textgate.messages import counted
from textgate.rows.source import STANDARD_INPUT
from textgate.rows.writers import LABEL_SEPARATOR, SCORE_DIGITS
from textgate.tables import format_table, printable

if TYPE_CHECKING:
    from textgate.inference.explanation import Explanation

FORMATS = ("text", "json", "html")

_BAR = 20  # characters for a value of 1 or -1
_FOR, _AGAINST = "blue", "yellow"
_MIN_COLOURED = 0.02


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@options.bundle
@click.option(
    "--format",
    "result_format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="text: a table of the words; json: one object per line; html: a page by itself.",
)
@options.top_k(
    help="Explain the K most probable labels; by default text and html explain those that apply, "
    "and json explains all.",
)
@options.abstain_below
@options.max_tokens
@options.engine
def explain(
    texts: tuple[str, ...],
    model: Path | str,
    result_format: str,
    top_k: int | None,
    abstain_below: float | None,
    max_tokens: int | None,
    engine: str,
) -> None:
    """Explain the label of the given texts, or of standard input with one text per line.

    The value of a word is how much it spoke for the label, as a difference of probabilities; below
    0 it spoke against it. The column "so far" is the probability after the words up to this one. In
    a text of many words, adjacent ones share a value.

    On a terminal, words for the label are blue and words against it yellow, unless the variable
    NO_COLOR is set.
    """
    if not texts and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("no text: give some, or pipe texts in")
    classifier = Classifier.load(
        model, max_tokens=max_tokens, thresholds=abstain_below, engine=engine
    )
    top_k = label_count(top_k, classifier.labels)
    explanations = (classifier.explain(text, top_k=top_k) for text in texts or _lines())
    options.write_utf8()
    if result_format == "html":
        from textgate.inference.explanation import page

        click.echo(page(explanations), nl=False)
        return
    multi_label = classifier.manifest.task == "multi-label"
    for number, explanation in enumerate(explanations):
        if result_format == "json":
            click.echo(_json_line(explanation, multi_label=multi_label))
        else:
            click.echo("\n" * (number > 0) + _report(explanation, coloured=_shows_colours()))


def _lines() -> Iterator[str]:
    """Yield the lines of standard input."""
    from textgate.rows.source import read_lines, without_end

    yield from map(without_end, read_lines(STANDARD_INPUT, note=options.note))


def _shows_colours() -> bool:
    """Return whether standard output is a terminal that may be written to in colours."""
    plain = os.environ.get(environment.NO_COLOR) or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def _json_line(explanation: Explanation, *, multi_label: bool) -> str:
    said = explanation.prediction
    value: dict[str, Any] = {
        "text": explanation.text,
        "label": list(said.labels) if multi_label else said.label or "",
        "score": round(said.score, SCORE_DIGITS),
        "scores": _rounded(said.scores),
        "truncated": said.truncated,
        "read_end": explanation.read_end,
        "words": [
            {
                "text": word.text,
                "start": word.start,
                "end": word.end,
                "values": _rounded(word.values),
                "prefix_scores": _rounded(word.prefix_scores),
            }
            for word in explanation.words
        ],
    }
    if said.reason is not None:
        value["reason"] = said.reason
    return json.dumps(value, ensure_ascii=False)


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {label: round(score, SCORE_DIGITS) for label, score in scores.items()}


def _report(explanation: Explanation, *, coloured: bool) -> str:
    """Return the label and its score, and for each explained label the text and its words."""
    said = explanation.prediction
    lines = [f"{printable(LABEL_SEPARATOR.join(said.labels))}\t{said.score:.4f}"]
    if said.reason is not None:
        lines[0] += f"\t{printable(said.reason)}"
    for label in explanation.labels:
        colours = [_colour(word.values[label]) if coloured else None for word in explanation.words]
        rows = [
            [
                f"{word.values[label]:+.4f}",
                _bar(word.values[label]),
                f"{word.prefix_scores[label]:.4f}",
                word.text,
            ]
            for word in explanation.words
        ]
        header = [f"for {label}", "", "so far", "word"]
        title, *table = format_table(header, rows, align="><><").split("\n")
        lines += [_text(explanation, colours), title, *map(_painted, table, colours)]
    return "\n".join(lines)


def _text(explanation: Explanation, colours: Sequence[str | None]) -> str:
    """Return the text on one line, with its words in colours."""
    parts, done = [], 0
    for word, colour in zip(explanation.words, colours, strict=True):
        parts += [printable(explanation.text[done : word.start])]
        parts += [_painted(printable(word.text), colour)]
        done = word.end
    rest = len(explanation.text) - explanation.read_end
    parts.append(f" [{counted(rest, 'character', 'characters')} not read]" if rest else "")
    return "".join(parts)


def _painted(text: str, colour: str | None) -> str:
    return text if colour is None else click.style(text, fg=colour)


def _colour(value: float) -> str | None:
    if abs(value) < _MIN_COLOURED:
        return None
    return _AGAINST if value < 0 else _FOR


def _bar(value: float) -> str:
    return ("-" if value < 0 else "+") * round(_BAR * abs(value))
