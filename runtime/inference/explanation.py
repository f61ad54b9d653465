"""Explanations of predictions, and their HTML, which loads nothing from elsewhere.

Blue words spoke for the label and orange ones against it. The number below a word says the same
without colours, and so does its line: solid for, dashed against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from textgate.html_page import document, escape
from textgate.inference.prediction import Prediction
from textgate.messages import counted

_FOR, _AGAINST = "0,114,178", "213,94,0"  # told apart by the colour-blind (Wong 2011)
_MAX_OPACITY = 0.45  # text stays readable on it, in the dark too
_MIN_SCALE = 0.1  # smaller values are pale, even if they are the largest
_MIN_SHOWN = 0.005  # values that are written below their words
_MAX_REST = 1000  # characters that were not read
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 54rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  background: Canvas; color: CanvasText; }
"""
_WORDS = "margin:.25em 0;line-height:2.6;white-space:pre-wrap;overflow-wrap:anywhere"
_NUMBER = "display:block;text-indent:0;font-size:.65em;line-height:1;text-align:center"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an explained text; in a text of many words, several adjacent ones.

    Attributes:
        text: its characters.
        start: the position of its first character in the explained text.
        end: the position after its last character.
        values: how much it spoke for each label, as a difference of probabilities, from -1 to 1;
            below 0 it spoke against the label. Without the word, and with some of the others or
            none, the probability of the label would be lower by so much, on average.
        prefix_scores: the probability of each label for the text up to this word and with it.
    """

    text: str
    start: int
    end: int
    values: Mapping[str, float]
    prefix_scores: Mapping[str, float]


@dataclass(frozen=True)
class Explanation:
    """The words of a text, with how much each spoke for and against each label.

    A notebook shows the words in colours.

    Attributes:
        text: the text; lone surrogates, which are not characters, are replaced by U+FFFD.
        prediction: the prediction of `Classifier.predict`.
        labels: the labels that are shown: those that apply, or else the most probable one; with
            `top_k` the most probable ones.
        words: the words that were read, in order. Between and around them is white space.
        read_end: the position after the last character that was read; the rest of the text has no
            values.
    """

    text: str
    prediction: Prediction
    labels: tuple[str, ...]
    words: tuple[Word, ...]
    read_end: int

    def _repr_html_(self) -> str:
        return section(self)


def page(explanations: Iterable[Explanation]) -> str:
    """Return a page of explanations."""
    return document(
        "Explanations",
        _STYLE,
        "<h1>Explanations</h1>\n"
        "<p>How much each word spoke for (+, blue, solid line) or against (-, orange, dashed line) "
        "the label, as a difference of probabilities.</p>\n"
        + "\n".join(map(section, explanations)),
    )


def section(explanation: Explanation) -> str:
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
        shown, more = rest[:_MAX_REST], len(rest) - _MAX_REST
        parts.append(f'<s style="opacity:.7" title="not read">{escape(shown)}</s>')
        if more > 0:
            parts.append(f" [and {counted(more, 'character', 'characters')} more]")
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
