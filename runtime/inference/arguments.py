"""Checks of the texts and options that callers give to a classifier."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from textgate.errors import ConfigError, DataError
from textgate.messages import did_you_mean, quoted

MISSING = ("error", "empty")

_BYTES = (bytes, bytearray, memoryview)


def not_one_text(value: object, method: str) -> DataError:
    """Return the error for a value that should be one text, the argument of a method."""
    if isinstance(value, Iterable) and not isinstance(value, (*_BYTES, Mapping)):
        advice = "predict_many takes several" if method == "predict" else "give them one by one"
        return DataError(f"{method} takes one text, found {_kind(value)}; {advice}")
    return _not_a_text("the text", value)


def texts_of(texts: Iterable[str], method: str, *, missing: str | None = None) -> Iterator[str]:
    """Return an iterator over texts that raises at the first value that is not a text.

    Args:
        texts: the argument of a caller: a list, a column of a table, an iterator, and so on.
        method: the name of the called method, for messages.
        missing: ``error`` refuses missing values; ``empty`` reads them as ""; None is for methods
            that have no such argument, and refuses them as other values that are no texts.

    Raises:
        DataError: the argument is not a series of texts, or, from the iterator, one of them is
            missing or not a str.
        ConfigError: `missing` is neither of the two.
    """
    if missing is not None:
        require_missing(missing)
    several = f"{method} takes a list of texts"
    if isinstance(texts, str):
        raise DataError(f"{several}, not one text; put it in a list, or use predict")
    if isinstance(texts, Mapping) or hasattr(type(texts), "columns"):
        raise DataError(f"{several}, not a {_kind(texts)}; give one column of it, as in x['text']")
    if isinstance(texts, set | frozenset):
        raise DataError(f"{several}, not a {_kind(texts)}, which has no order")
    if isinstance(texts, _BYTES):  # their items would be numbers
        raise DataError(f"{several}, not {_kind(texts)}; decode it first")
    try:
        iterator = iter(texts)
    except TypeError:
        raise DataError(f"{several}, not {_kind(texts)}") from None
    return _checked(iterator, missing)


def whole_number(value: object, name: str, *, limit: float = math.inf, wanted: str) -> int:
    """Return a whole number of at least 1.

    Args:
        value: the argument of a caller.
        name: its name in messages.
        limit: the largest accepted number.
        wanted: the accepted range, for the message.

    Raises:
        ConfigError: it is not a whole number, or out of range; True and False are not numbers.
    """
    given: Any = value
    try:
        number = None if isinstance(value, bool) else operator.index(given)
    except TypeError:
        number = None
    if number is None:
        raise ConfigError(f"{name} must be a whole number, not {quoted(value)}")
    if not 1 <= number <= limit:
        raise ConfigError(f"{name} must be {wanted}, not {quoted(number)}")
    return number


def checked_fraction(value: object, name: str, *, positive: bool = False) -> float:
    """Return a number from 0 to 1.

    Args:
        value: the argument of a caller.
        name: its name in messages.
        positive: whether 0 is refused.

    Raises:
        ConfigError: it is not such a number; for a percentage, the message gives the fraction.
    """
    found = quoted(value)
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if 0 <= number <= 1 and not (positive and number == 0):
            return number
        found = repr(number).removesuffix(".0")
        if 2 <= number <= 100:
            found += f", which looks like a percentage: write {number / 100:g}"
    wanted = "a number above 0 and up to 1" if positive else "a number from 0 to 1"
    raise ConfigError(f"{name} must be {wanted}, not {found}")


def label_count(top_k: int | None, labels: Sequence[str]) -> int | None:
    """Return the number of labels whose scores are wanted; None for all.

    Raises:
        ConfigError: it is not from 1 to the number of labels.
    """
    if top_k is None:
        return None
    count = len(labels)
    return whole_number(top_k, "top_k", limit=count, wanted=f"from 1 to the {count} labels")


def thresholds_of(
    thresholds: Mapping[str, float] | float, labels: Sequence[str]
) -> tuple[float | None, ...]:
    """Return the threshold of each label; None for no threshold.

    Args:
        thresholds: one for all labels, or thresholds by label.
        labels: the labels of the bundle.

    Raises:
        ConfigError: a threshold is not a number from 0 to 1, or its label is unknown.
    """
    if not isinstance(thresholds, Mapping):
        return (checked_fraction(thresholds, "thresholds"),) * len(labels)
    for label in thresholds:
        if label not in labels:
            near = did_you_mean(label, labels) if isinstance(label, str) else ""
            raise ConfigError(
                f"a threshold for {label!r}, which is not a label{near}; the labels are "
                f"{', '.join(labels)}"
            )
    checked = {
        label: checked_fraction(value, f"the threshold of {label!r}")
        for label, value in thresholds.items()
    }
    return tuple(checked.get(label) for label in labels)


def require_missing(missing: str) -> None:
    """Refuse a way to read missing values that is not known.

    Raises:
        ConfigError: it is neither ``error`` nor ``empty``.
    """
    if not isinstance(missing, str) or missing not in MISSING:
        raise ConfigError(f"missing should be 'error' or 'empty', not {quoted(missing)}")


def missing_text(name: str, value: object) -> str:
    """Return the message about a missing text; `name` is its place, such as ``texts[3]``."""
    return (
        f"{name} is missing ({value!r}); leave the row out, or read missing texts as '' with "
        "missing='empty'"
    )


def is_missing(value: object) -> bool:
    """Return whether a value is a missing one: None, NaN, masked, or pandas' NA or NaT."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    numpy = sys.modules.get("numpy")  # without it and pandas, nothing is one of their values
    if numpy is not None:
        if value is numpy.ma.masked:
            return True
        if isinstance(value, numpy.floating):
            return bool(numpy.isnan(value))
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def _checked(texts: Iterator[object], missing: str | None) -> Iterator[str]:
    for index, text in enumerate(texts):
        if isinstance(text, str):
            yield text
        elif missing is None or not is_missing(text):
            raise _not_a_text(f"texts[{index}]", text)
        elif missing == "empty":
            yield ""
        else:
            raise DataError(missing_text(f"texts[{index}]", text))


def _not_a_text(name: str, value: object) -> DataError:
    advice = "decode it" if isinstance(value, _BYTES) else "make it a str, or leave it out"
    return DataError(f"{name} should be a str, found {_kind(value)}; {advice}")


def _kind(value: object) -> str:
    return type(value).__name__
