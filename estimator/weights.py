"""Weights of an estimator: its argument `sample_weight`, and a `class_weight` per class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from textgate.errors import ConfigError
from textgate.inference.arguments import is_missing
from textgate.messages import counted, listed, quoted
from textgate.rows.row import WANTED_WEIGHT, is_weight
from textgate.sklearn.errors import InputError
from textgate.sklearn.targets import Targets

_WANTED = "sample_weight should be a number per text"


def row_weights(
    sample_weight: Any, class_weight: Mapping[Any, object] | None, targets: Targets
) -> list[float]:
    """Return the weight of each text: that of the sample times those of its classes, [texts].

    Args:
        sample_weight: the argument of a caller; None for equal weights.
        class_weight: the weight of each class, 1 if it has none; None for equal weights.
        targets: the labels of the texts.

    Raises:
        InputError: a weight of a text has a wrong type or value, there is not one for each text, or
            less than two classes have a text with a weight above 0.
        ConfigError: a weight of a class has a wrong type or value, or belongs to no class.
    """
    found = read_weights(sample_weight, len(targets.rows))
    if class_weight is not None:
        of_name = _of_names(class_weight, targets)
        found = [
            weight * math.prod(of_name[name] for name in names)
            for weight, names in zip(found, targets.rows, strict=True)
        ]
    _require_two_classes(found, targets)
    return found


def read_weights(values: Any, count: int) -> list[float]:
    """Return the weight of each text, [texts].

    Args:
        values: the argument `sample_weight` of a caller; None for equal weights.
        count: the number of texts.

    Raises:
        InputError: a weight has a wrong type or value, or there is not one for each text, or all
            are 0.
    """
    if values is None:
        return [1.0] * count
    if isinstance(values, Real):
        values = [values] * count
    if hasattr(values, "__array__") and not isinstance(values, Iterable):
        values = np.asarray(values)
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise InputError(f"{_WANTED}, found an array of shape {shape}")
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InputError(f"{_WANTED}, not {quoted(values)}")
    found = [_weight(value, row) for row, value in enumerate(values)]
    if len(found) != count:
        raise InputError(
            f"sample_weight has {counted(len(found), 'number', 'numbers')}, but X has "
            f"{counted(count, 'text', 'texts')}; give one for each"
        )
    if not any(found):
        raise InputError("sample_weight is zero in every row, which leaves no text")
    return found


def _weight(value: object, row: int) -> float:
    if is_missing(value):
        raise InputError(
            f"sample_weight[{row}] is missing ({value!r}, NaN or null); give a number, 1 for a "
            "text that counts once"
        )
    number = _number(value)
    if number is None or not is_weight(number):
        negative = " (no negative weight)" if number is not None and number < 0 else ""
        raise InputError(
            f"sample_weight[{row}] should be {WANTED_WEIGHT}{negative}, found {quoted(value)}"
        )
    return number


def _of_names(class_weight: Mapping[Any, object], targets: Targets) -> dict[str, float]:
    """Return the weight of each class by its name in a bundle."""
    classes = targets.classes.tolist()
    found = {}
    for label, value in class_weight.items():
        number = _number(value)
        if number is None or not is_weight(number):
            raise ConfigError(
                f"class_weight[{quoted(label)}] should be {WANTED_WEIGHT}, found {quoted(value)}"
            )
        found[label] = number
    missing = [label for label in classes if label not in found]
    unknown = [label for label in found if label not in classes]
    # A fold may lack a rare class, but a wrong name leaves another class without a weight.
    if unknown and missing:
        raise ConfigError(
            f"class_weight has a weight for {listed(unknown, quoted, limit=3)}, which is no class "
            f"of y, and none for {listed(missing, quoted, limit=3)}; name the classes as in y"
        )
    return {name: found.get(label, 1.0) for name, label in zip(targets.names, classes, strict=True)}


def _number(value: object) -> float | None:
    if not isinstance(value, Real | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _require_two_classes(weights: Sequence[float], targets: Targets) -> None:
    counting = {
        name
        for weight, names in zip(weights, targets.rows, strict=True)
        for name in names
        if weight
    }
    if not any(weights):
        raise InputError("every row has a weight of zero, which leaves no text to learn from")
    if targets.form == "labels" and len(counting) < 2:
        raise InputError(
            f"y has one class, {quoted(counting.pop())}, in every row with a weight above 0; a "
            "classifier needs two classes or more"
        )
