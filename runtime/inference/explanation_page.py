"""Explanations as HTML that loads nothing from elsewhere: of one text, or a page of several.

Blue words spoke for the label and orange ones against it. The number below a word says the same
without colours, and so does its line: solid for, dashed against.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textgate.inference.explanation import Explanation, Word

_FOR, _AGAINST = "0,114,178", "213,94,0"  # told apart by the colour-blind (Wong 2011)
_MAX_OPACITY = 0.45  # text stays readable on it, in the dark too
_MIN_SCALE = 0.1  # smaller values are pale, even if they are the largest
_MIN_SHOWN = 0.005  # values that are written below their words
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 54rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  background: Canvas; color: CanvasText; }
"""
_WORDS = "margin:.25em 0;line-height:2.6;white-space:pre-wrap;overflow-wrap:anywhere"
_NUMBER = "display:block;text-indent:0;font-size:.65em;line-height:1;text-align:center"


def page(explanations: Iterable[Explanation]) -> str:
    """Return a page of explanations."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>Explanations</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        "<h1>Explanations</h1>\n"
        "<p>How much each word spoke for (+, blue, solid line) or against (-, orange, dashed line) "
        "the label, as a difference of probabilities.</p>\n"
        + "\n".join(map(fragment, explanations))
        + "\n</body>\n</html>\n"
    )


def fragment(explanation: Explanation) -> str:
    """Return the words of a text in colours, once for each label that applies."""
    said = explanation.prediction
    sections = []
    if said.reason is not None:
        sections.append(f"<p>No label: {escape(said.reason)}.</p>")
    sections += [
        f"<p><b>{escape(label)}</b> {said.scores[label]:.4f}</p>"
        f'<p style="{_WORDS}">{_words(explanation, label)}</p>'
        for label in explanation.labels
    ]
    return f"<section>{''.join(sections)}</section>"


def _words(explanation: Explanation, label: str) -> str:
    """Return the text with a mark on every word."""
    scale = max([_MIN_SCALE, *(abs(word.values[label]) for word in explanation.words)])
    parts, done = [], 0
    for word in explanation.words:
        parts += [escape(explanation.text[done : word.start]), _word(word, label, scale)]
        done = word.end
    parts.append(escape(explanation.text[done : explanation.read_end]))
    if rest := explanation.text[explanation.read_end :]:
        parts.append(f'<s style="opacity:.7" title="not read">{escape(rest)}</s>')
    return "".join(parts)


def _word(word: Word, label: str, scale: float) -> str:
    value = word.values[label]
    colour, line, stance = (_AGAINST, "dashed", "against") if value < 0 else (_FOR, "solid", "for")
    opacity = _MAX_OPACITY * abs(value) / scale
    title = escape(
        f"{value:+.4f}, {stance} {label}; {word.prefix_scores[label]:.4f} up to this word"
    )
    style = (
        f"display:inline-block;line-height:1.2;vertical-align:top;color:inherit;"
        f"background:rgba({colour},{opacity:.3f});"
    )
    number = ""
    if abs(value) >= _MIN_SHOWN:
        style += f"border-bottom:2px {line} rgb({colour});"
        number = f'<small style="{_NUMBER}">{value:+.2f}</small>'
    return f'<mark style="{style}" title="{title}">{escape(word.text)}{number}</mark>'
