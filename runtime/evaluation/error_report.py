"""Report of a classifier's errors: its data, its tables, and its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from textgate.html_page import COLOURS, PAGE_STYLE, document, escape, html_table
from textgate.inference.explanation import section
from textgate.messages import beginning, counted
from textgate.tables import format_count

if TYPE_CHECKING:
    from textgate.evaluation.slices import Slice
    from textgate.inference.explanation import Explanation

_STYLE = """
td { text-align: left; vertical-align: top; }
td:last-child { white-space: pre-wrap; min-width: 16rem; max-width: 45rem; }
summary { cursor: pointer; }
"""
_MAX_SUMMARY = 500  # characters of a text that unfolds
_TRAINED_ON = (
    "The bundle was trained on these rows, so it agrees with their labels, the wrong ones, too. "
    "Give rows that it has not seen, or the run with its out-of-fold predictions."
)
_EXPLAINED_BY = (
    "Words are explained by the bundle, which was trained on these rows: it is surer of their "
    "labels than the predictions out of fold"
)


@dataclass(frozen=True)
class Disagreement:
    """A row whose labels differ from those of the model.

    Attributes:
        line: the row's line in its file.
        text: its text.
        given: its labels.
        predicted: the labels of the model; of a likely label error, those that the row likely has.
        score: the probability of the predicted label. In a multi-label set, of the surest decision
            that differs, whether it is that a label applies or that it does not.
        given_score: the probability of what was given instead.
        explanation: which words spoke for the model's labels; None without.
    """

    line: int
    text: str
    given: tuple[str, ...]
    predicted: tuple[str, ...]
    score: float
    given_score: float
    explanation: Explanation | None = dataclasses.field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-ready values, without the explanation."""
        values = {**vars(self), "given": list(self.given), "predicted": list(self.predicted)}
        del values["explanation"]
        return values


@dataclass(frozen=True)
class NearDuplicate:
    """Two rows with nearly the same text.

    Attributes:
        line: the line of the row.
        text: its text.
        labels: its labels.
        other_line: the line of the other row.
        other_text: its text.
        other_labels: its labels.
    """

    line: int
    text: str
    labels: tuple[str, ...]
    other_line: int
    other_text: str
    other_labels: tuple[str, ...]


@dataclass(frozen=True)
class ConfusionWord:
    """A word behind a confusion.

    Attributes:
        text: the word, in lower case.
        value: how much it spoke for the mistake, as a difference of probabilities per text.
        texts: in how many of the explained texts it is.
    """

    text: str
    value: float
    texts: int


@dataclass(frozen=True)
class Confusion:
    """Rows of one label that were given another.

    Attributes:
        given: the label of the rows; None if a multi-label model gave a label that does not apply.
        predicted: the label that the model gave; None if a multi-label model missed a label.
        rows: how many rows.
        explained: how many of them were explained, the surest ones.
        words: the words that spoke most for the mistake in these.
    """

    given: str | None
    predicted: str | None
    rows: int
    explained: int
    words: tuple[ConfusionWord, ...]


@dataclass(frozen=True)
class ErrorReport:
    """Errors of a classifier, and of the labels that it was compared with.

    Attributes:
        file: the name of the rows' file.
        rows: how many rows there are.
        out_of_fold: how many of them have predictions of networks that were not trained on them,
            from the run; the others have those of the bundle.
        trained_on: whether the bundle was trained on these very rows and predicts them itself, so
            that it agrees with wrong labels, too.
        mistake_count: how many rows are classified wrongly.
        mistakes: the most confident of these.
        label_error_count: how many labels are likely wrong.
        label_errors: the likeliest of these.
        contradiction_count: how many pairs of near-duplicates have different labels.
        contradictions: the first of these.
        train_count: how many rows nearly repeat a training row; None without training rows.
        train_duplicates: the first of these, each with one training row.
        confusions: the most frequent confusions of labels.
        slice_counts: how many values each column has by which accuracy is shown.
        slices: accuracy by the first of these, the surely worst ones first.
    """

    file: str
    rows: int
    out_of_fold: int
    trained_on: bool
    mistake_count: int
    mistakes: tuple[Disagreement, ...]
    label_error_count: int
    label_errors: tuple[Disagreement, ...]
    contradiction_count: int
    contradictions: tuple[NearDuplicate, ...]
    train_count: int | None
    train_duplicates: tuple[NearDuplicate, ...]
    confusions: tuple[Confusion, ...]
    slice_counts: dict[str, int]
    slices: tuple[Slice, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            **vars(self),
            "mistakes": [row.to_json() for row in self.mistakes],
            "label_errors": [row.to_json() for row in self.label_errors],
            "contradictions": [asdict(pair) for pair in self.contradictions],
            "train_duplicates": [asdict(pair) for pair in self.train_duplicates],
            "confusions": [asdict(confusion) for confusion in self.confusions],
            "slices": [asdict(part) for part in self.slices],
        }

    def _repr_html_(self) -> str:
        return sections(self)


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: its title.
        about: a sentence about it.
        header: the titles of its table's columns.
        rows: the table's cells.
        align: ``<`` or ``>`` for each column.
        details: for each row, HTML to unfold in its last cell; () without.
    """

    title: str
    about: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str
    details: tuple[str, ...] = ()


def summary(report: ErrorReport) -> list[str]:
    """Return the first lines of the report."""
    predictions = "of the bundle"
    if report.out_of_fold:
        predictions = f"out of fold for {counted(report.out_of_fold, 'row', 'rows')}"
        if report.out_of_fold < report.rows:
            predictions += ", of the bundle for the others"
    mistakes = counted(report.mistake_count, "mistake", "mistakes")
    errors = counted(report.label_error_count, "likely label error", "likely label errors")
    lines = [
        f"{counted(report.rows, 'row', 'rows')} of {report.file}, predictions {predictions}",
        f"{mistakes} ({report.mistake_count / report.rows:.2%})",
        errors,
    ]
    if report.train_count is not None:
        repeated = counted(report.train_count, "row nearly repeats", "rows nearly repeat")
        lines.append(f"{repeated} a training row")
    if report.out_of_fold and report.mistakes:
        lines.append(_EXPLAINED_BY)
    return lines


def warning(report: ErrorReport) -> str:
    """Return what makes the report misleading, or ""."""
    return _TRAINED_ON if report.trained_on else ""


def parts(report: ErrorReport) -> list[Section]:
    """Return the sections that have rows."""
    found = [
        _disagreements(
            "Most confident mistakes",
            "The model is sure of another label.",
            ("line", "given", "predicted", "probability", "of given", "text"),
            report.mistakes,
            report.mistake_count,
        ),
        _disagreements(
            "Likely label errors",
            "Look at these first: where the label is wrong, correct it and train again.",
            ("line", "given", "likely", "probability", "of given", "text"),
            report.label_errors,
            report.label_error_count,
        ),
        _duplicates(
            "Near-duplicates with different labels",
            "At most one label of each pair is right.",
            report.contradictions,
            report.contradiction_count,
            other="other line",
        ),
        _duplicates(
            "Near-duplicates of training rows",
            "These rows make the scores too high.",
            report.train_duplicates,
            report.train_count or 0,
            other="training line",
        ),
        Section(
            "Confusions",
            "The words that spoke most for the mistake, with how much, as a difference of "
            "probabilities per text.",
            ("given", "predicted", "rows", "explained", "words"),
            tuple(_confusion(one) for one in report.confusions),
            "<<>><",
        ),
    ]
    for column in dict.fromkeys(one.column for one in report.slices):
        slices = [one for one in report.slices if one.column == column]
        found.append(
            Section(
                f"Accuracy by {column}",
                _listed(
                    "The surely worst values come first.",
                    len(slices),
                    report.slice_counts[column],
                ),
                (column, "rows", "mistakes", "accuracy", "95 % interval"),
                tuple(
                    (
                        one.value or "(none)",
                        format_count(one.rows),
                        format_count(one.mistakes),
                        f"{one.accuracy:.4f}",
                        "{:.4f} to {:.4f}".format(*one.accuracy_interval),
                    )
                    for one in slices
                ),
                "<>>><",
            )
        )
    return [part for part in found if part.rows]


def page(report: ErrorReport) -> str:
    """Return the page."""
    return document(f"Errors on {report.file}", COLOURS + PAGE_STYLE + _STYLE, sections(report))


def sections(report: ErrorReport) -> str:
    """Return the content of the page, for a notebook."""
    lines = [
        f"<h1>Errors on {escape(report.file)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in summary(report)),
    ]
    if warned := warning(report):
        lines.append(f'<p class="noisy">{escape(warned)}</p>')
    for part in parts(report):
        lines += [
            f"<h2>{escape(part.title)}</h2>",
            f'<p class="soft">{escape(part.about)}</p>',
            html_table(part.header, _cells(part), part.title, align=part.align),
        ]
    return "\n".join(lines)


def _cells(part: Section) -> list[list[str]]:
    """Return the cells of a table as HTML; texts unfold to their explanations."""
    rows = []
    for number, row in enumerate(part.rows):
        cells = list(map(escape, row))
        if part.details:
            text = escape(beginning(row[-1], _MAX_SUMMARY))
            cells[-1] = f"<details><summary>{text}</summary>{part.details[number]}</details>"
        rows.append(cells)
    return rows


def _disagreements(
    title: str,
    about: str,
    header: tuple[str, ...],
    rows: Sequence[Disagreement],
    count: int,
) -> Section:
    return Section(
        title,
        _listed(about, len(rows), count),
        header,
        tuple(
            (
                str(row.line),
                joined(row.given),
                joined(row.predicted),
                f"{row.score:.4f}",
                f"{row.given_score:.4f}",
                row.text,
            )
            for row in rows
        ),
        "><<>><",
        tuple("" if row.explanation is None else section(row.explanation) for row in rows),
    )


def _duplicates(
    title: str, about: str, pairs: Sequence[NearDuplicate], count: int, *, other: str
) -> Section:
    return Section(
        title,
        _listed(about, len(pairs), count),
        ("line", "label", other, "its label", "text"),
        tuple(
            (
                str(pair.line),
                joined(pair.labels),
                str(pair.other_line),
                joined(pair.other_labels),
                pair.text,
            )
            for pair in pairs
        ),
        "><><<",
    )


def _confusion(one: Confusion) -> tuple[str, ...]:
    words = ", ".join(f"{word.text} {word.value:+.3f}" for word in one.words)
    return (
        "(not given)" if one.given is None else one.given,
        "(missed)" if one.predicted is None else one.predicted,
        format_count(one.rows),
        format_count(one.explained),
        words or "-",
    )


def _listed(about: str, shown: int, count: int) -> str:
    return about if shown == count else f"{about} The first {shown:,} of {count:,}."


def joined(labels: Sequence[str]) -> str:
    """Return the labels of a row as one text."""
    return ", ".join(labels) or "(none)"
