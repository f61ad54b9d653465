"""Labels: read from the values of files, cleaned, and compared with known ones."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from textgate.errors import DataError
from textgate.messages import MAX_LISTED, counted, listed, nearest, shown

_SEPARATORS = (";", "|", ",")  # common ones between labels

# Zero width space, soft hyphen, word joiner, byte order mark, and the marks of direction. Not the
# zero width joiners, which some scripts and emoji are written with.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_JOINERS = "\u200c\u200d"
_SHAPES = re.compile(f"[{_JOINERS}\ufe00-\ufe0f]")  # change the look of the character before them
_LIKE_LATIN = str.maketrans(  # Cyrillic capitals, Cyrillic small letters, Greek ones
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
    "ABEKMHOPCTYXIJSaeopcyxijsABEZHIKMNOPTYXo",
)
_GAPS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")

# Tables of numbers with gaps are written with "1.0".
_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"", "0", "0.0", "false", "no"})


class LabelError(DataError):
    """A value is not a label.

    Attributes:
        kind: the reason as it is counted, such as ``an empty label``.
    """

    def __init__(self, message: str, kind: str = "a value that is not a label") -> None:
        super().__init__(message)
        self.kind = kind


def clean_label(label: str) -> str:
    """Return a label in a normal form, which keeps all that is visible, such as case.

    Invisible characters and white space around the label are dropped, white space within it becomes
    one space, and letters with accents are composed (Unicode's form NFC).
    """
    if label.isascii() and label.isalnum():
        return label
    composed = unicodedata.normalize("NFC", _INVISIBLE.sub("", label))
    return " ".join(composed.split()).strip(_JOINERS + " ")


def labels_of(
    value: object,
    *,
    where: str,
    separator: str | None = None,
    may_be_none: bool = False,
    clean: Callable[[str], str] = clean_label,
) -> tuple[str, ...]:
    """Return the labels in a value: one, or a list of any number.

    A label is a string that is not blank, a whole number, or true or false.

    Args:
        value: the value of a cell or a field.
        where: the name of the value in messages.
        separator: the text between several labels in a string.
        may_be_none: whether an empty string means that no label applies.
        clean: normalizes a label, as `clean_label` does.

    Raises:
        LabelError: the value is not a label, or a list of labels.
    """
    if isinstance(value, list):
        return tuple(dict.fromkeys(_label(item, where, clean) for item in value))
    if isinstance(value, str) and (separator is not None or may_be_none):
        parts = [value] if separator is None else value.split(separator)
        return tuple(dict.fromkeys(clean(part) for part in parts if clean_label(part)))
    return (_label(value, where, clean),)


def applies(value: object, *, where: str) -> bool:
    """Return whether a label with its own column applies to a row.

    Raises:
        LabelError: the value means neither yes nor no.
    """
    if value is None:
        return False
    if isinstance(value, str):
        answer = value.strip().lower()
        if answer in _YES or answer in _NO:
            return answer in _YES
    elif isinstance(value, int | float) and value in (0, 1):
        return value == 1
    raise LabelError(
        f"{where} should be 0 or 1, true or false, yes or no, or empty, found {shown(value)}",
        "a label field that means neither yes nor no",
    )


def probabilities_of(
    value: object, *, where: str, clean: Callable[[str], str] = clean_label
) -> tuple[tuple[str, float], ...]:
    """Return the soft labels in a value: an object of labels and probabilities.

    Args:
        value: the value of a field.
        where: the name of the value in messages.
        clean: normalizes a label.

    Raises:
        LabelError: the value is not such an object, or every probability is 0.
    """
    kind = "wrong soft labels"
    if not isinstance(value, dict):
        raise LabelError(
            f'{where} should be an object such as {{"good": 0.9, "bad": 0.1}}, found '
            f"{shown(value)}",
            kind,
        )
    found: dict[str, float] = {}
    for name, probability in value.items():
        label = _label(name, f"{where} name a label that", clean)
        known = isinstance(probability, int | float) and not isinstance(probability, bool)
        if not known or not 0 <= probability <= 1:
            raise LabelError(
                f"{where} should be numbers from 0 to 1, found {shown(probability)} for "
                f"{shown(name)}",
                kind,
            )
        if label in found:
            raise LabelError(f"{where} name the label {shown(label)} twice", kind)
        found[label] = float(probability)
    if not any(found.values()):
        raise LabelError(f"{where} give no label a probability above 0; leave the row out", kind)
    return tuple(found.items())


def label_indices(labels: Sequence[str]) -> dict[str, int]:
    """Return the index of every label, by its name as given and by its cleaned name."""
    return {clean_label(label): index for index, label in enumerate(labels)} | {
        label: index for index, label in enumerate(labels)
    }


def require_known(
    rows: Iterable[tuple[int, Iterable[str]]], known: Sequence[str], *, file: str, among: str
) -> None:
    """Refuse unknown labels, in one message for all of them.

    Args:
        rows: the line and the labels of every row.
        known: the known labels.
        file: the name of the rows' file in messages.
        among: where the known labels are from, as in ``in the training rows, which have``.

    Raises:
        DataError: names each unknown label, its number of rows, and the known labels.
    """
    indices = label_indices(known)
    counts: Counter[str] = Counter()
    lines: dict[str, int] = {}
    for line, labels in rows:
        for label in labels:
            if label not in indices:
                counts[label] += 1
                lines.setdefault(label, line)
    if not counts:
        return
    like = {look_of(label): label for label in known}

    def named(label: str) -> str:
        count, twin = counts[label], like.get(look_of(label))
        near = nearest(label, known) if twin is None and len(counts) <= MAX_LISTED else None
        details = [] if twin is None else [f"which looks like {shown(twin)}"]
        if near is not None:
            details = [f"did you mean {shown(near)}?"]
        if len(counts) > 1:
            details.insert(0, f"{counted(count, 'row', 'rows')}, line {lines[label]}")
        elif count > 1:
            details.insert(0, f"{count:,} rows")
        return f"{shown(label)} ({', '.join(details)})" if details else shown(label)

    where = f"{file}, line {min(lines.values())}"
    if len(counts) == 1:
        (label,) = counts
        message = f"{where}: the label {named(label)} does not occur {among} {listed(known)}"
    else:
        message = (
            f"{where}: {len(counts):,} labels do not occur {among} {listed(known)}: "
            f"{listed([label for label, _ in counts.most_common()], named)}"
        )
    separator = joining_separator([*counts, *known])
    them = "it" if len(counts) == 1 else "them"
    advice = f"correct {them}, or leave such rows out"
    raise DataError(f"{message}; {advice if separator is None else _separate(separator)}")


def joining_separator(labels: Iterable[str]) -> str | None:
    """Return the character that seems to join several labels in one: ``;``, ``|`` or ``,``.

    It is one at which the labels split into fewer different ones; None if there is none.
    """
    different = set(labels)
    for separator in _SEPARATORS:
        joined = [label for label in different if separator in label]
        parts = {clean_label(part) for label in different for part in label.split(separator)}
        if joined and len(parts - {""}) < len(different):
            return separator
    return None


def joined_note(labels: Iterable[str]) -> str:
    """Return a note about labels that look joined, or ""."""
    different = sorted(set(labels))
    listing = next((label for label in different if label[:1] + label[-1:] == "[]"), None)
    if listing is not None:
        return (
            f"labels look like lists in text, such as {shown(listing)}, and each is one label; "
            "write lists in JSON Lines, or names with a separator for --label-separator"
        )
    separator = joining_separator(different)
    if separator is None:
        return ""
    example = next(label for label in different if separator in label)
    parts = {clean_label(part) for label in different for part in label.split(separator)} - {""}
    return (
        f"labels look joined: {len(different):,} different ones, such as {shown(example)}, are "
        f"made of {len(parts):,} with {separator!r} between them; {_separate(separator)}"
    )


def look_of(label: str) -> str:
    """Return a form that is the same for labels which are easily confused.

    It ignores case, full-width forms, letters of other scripts that look like Latin ones,
    punctuation at the end, hyphens and underscores for spaces, and leading zeros of whole numbers.
    """
    plain = unicodedata.normalize("NFKC", _SHAPES.sub("", label).translate(_LIKE_LATIN))
    look = _GAPS.sub(" ", plain.casefold()).strip().strip("'\"").rstrip(" .,;:!?") or plain
    number = _WHOLE_NUMBER.fullmatch(look)
    return look if number is None else number[1] + number[2]


def _separate(separator: str) -> str:
    return f"--label-separator {separator!r} reads them as several labels per row"


def _label(value: object, where: str, clean: Callable[[str], str]) -> str:
    advice = "give the row a label or leave the row out"
    if isinstance(value, str):
        if not clean_label(value):
            raise LabelError(f"{where} is empty; {advice}", "an empty label")
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None:
        raise LabelError(f"{where} is null; {advice}", "an empty label")
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN alone differs from itself
            raise LabelError(f"{where} is NaN, which is not a label; {advice}", "an empty label")
        raise LabelError(
            f"{where} is the number {value!r}, but labels are names; if it is a score to be "
            "predicted, turn it into labels first (for instance 'low' and 'high'); if it is the "
            "number of a class, write it without a decimal point, or as a string",
            "a label that is a number with a decimal point",
        )
    raise LabelError(
        f"{where} should be a string, a whole number, true or false, or a list of these, "
        f"found {shown(value)}"
    )
