"""Labels of an estimator: its argument `y`, and predictions in the same form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from textgate.inference.arguments import is_missing
from textgate.messages import quoted
from textgate.rows.labels import LabelError, labels_of
from textgate.sklearn.errors import InputError

# One label per text, a matrix with a column per label, or a list of labels per text.
Form: TypeAlias = Literal["labels", "matrix", "lists"]

_WANTED = "y should be one label per text, a list of labels per text, or a matrix of 0 and 1"


@dataclass(frozen=True)
class Targets:
    """The labels of some texts.

    Attributes:
        form: the form in which they were given.
        classes: the different labels, sorted, or those of the columns of a matrix, [labels].
        names: the name of each class in a bundle.
        rows: the names of the labels of each text.
    """

    form: Form
    classes: NDArray[Any]
    names: tuple[str, ...]
    rows: list[tuple[str, ...]]


def read_targets(y: Any) -> Targets:
    """Return the labels in a list, a column of a table, a numpy array, a matrix, and so on.

    Raises:
        InputError: it has another form; a label is missing, is not a str, a whole number or a truth
            value, or is of another type than the others; or there is only one class.
    """
    if y is None:
        raise InputError(
            "fit requires y to be passed, but the target y is None; y should be one label per text"
        )
    if isinstance(y, np.ma.MaskedArray):
        y = y.tolist()  # as a plain array, it would show the values under its mask
    is_array = hasattr(y, "__array__")
    unsuitable = isinstance(y, str | bytes | Mapping | Set) or not isinstance(y, Iterable)
    if unsuitable and not is_array:
        raise InputError(f"{_WANTED}, not {quoted(y)}")
    names = getattr(y, "columns", None)
    if hasattr(y, "toarray"):  # a sparse matrix
        y, is_array = y.toarray(), True
    if not is_array:
        items = list(y)
        return _of_lists(items) if items and _is_list(items[0]) else _of_labels(items, items)
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] != 1:
        return _of_matrix(array, None if names is None else list(names))
    if array.ndim not in (1, 2):
        raise InputError(f"{_WANTED}, found an array of shape {array.shape}")
    if array.ndim == 2:
        array = column_or_1d(array, warn=True)
    items = array.tolist()
    return _of_lists(items) if items and _is_list(items[0]) else _of_labels(items, array)


def labels_per_text(lists: Iterable[Any]) -> list[frozenset[str]]:
    """Return the names of the labels of each text, without their order.

    Raises:
        InputError: an item is not a list of labels.
    """
    return [_names_of(item, f"y[{row}]") for row, item in enumerate(lists)]


def _of_labels(items: list[Any], y: Any) -> Targets:
    names = [_label(item, f"y[{row}]") for row, item in enumerate(items)]
    _require_one_type(items, [f"y[{row}]" for row in range(len(items))])
    classes = np.unique(y)
    found = _names(classes.tolist())
    if len(found) == 1:
        raise InputError(
            f"y has one class, {quoted(classes.tolist()[0])}, in every row; a classifier needs two "
            "classes or more"
        )
    return Targets("labels", classes, found, [(name,) for name in names])


def _of_lists(items: list[Any]) -> Targets:
    if _is_matrix(items):
        return _of_matrix(np.asarray(items), None)
    rows = [tuple(sorted(names)) for names in labels_per_text(items)]  # a set has no order
    labels = list(chain.from_iterable(items))
    _require_one_type(labels, [f"y[{row}]" for row, item in enumerate(items) for _ in item])
    if not labels:
        raise InputError("y has no label in any row")
    classes = np.unique(labels)
    return Targets("lists", classes, _names(classes.tolist()), rows)


def _of_matrix(array: NDArray[Any], columns: list[Any] | None) -> Targets:
    cells: list[list[Any]] = array.tolist()
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if is_missing(value) or value not in (0, 1):
                raise InputError(
                    f"y[{row}, {column}] is {quoted(value)}, but a matrix of labels has 1 where "
                    "the label of a column applies and 0 elsewhere; several outputs of another "
                    "kind need one classifier each"
                )
    if not array.size or not any(map(any, cells)):
        raise InputError(f"y has no label in any row: a matrix of shape {array.shape} without a 1")
    classes = np.arange(array.shape[1]) if columns is None else np.asarray(columns)
    for column, label in enumerate(classes.tolist()):
        _label(label, f"the name of column {column} of y")
    names = _names(classes.tolist())
    rows = [
        tuple(name for name, value in zip(names, values, strict=True) if value) for values in cells
    ]
    return Targets("matrix", classes, names, rows)


def _names_of(item: Any, where: str) -> frozenset[str]:
    if not _is_list(item):
        raise InputError(f"{where} should be a list of labels, found {quoted(item)}")
    return frozenset(_label(label, where) for label in item)


def _is_list(item: object) -> bool:
    return isinstance(item, list | tuple | Set | np.ndarray)


def _is_matrix(items: Sequence[Any]) -> bool:
    """Return whether lists are a matrix of labels, as scikit-learn reads them."""
    if len({len(item) if _is_list(item) else -1 for item in items}) != 1 or len(items[0]) < 2:
        return False
    return all(
        isinstance(cell, Integral | np.bool_) and cell in (0, 1) for item in items for cell in item
    )


def _label(value: object, where: str) -> str:
    """Return the name of a class in a bundle."""
    if is_missing(value):
        raise InputError(f"{where} is missing ({value!r}); give the row a label or leave it out")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        # The first words are those of scikit-learn.
        raise InputError(
            f"Unknown label type: continuous: {where} is {value!r}, but labels are names or whole "
            "numbers; turn scores into labels first, for instance 'low' and 'high'"
        )
    if _is_list(value):
        raise InputError(f"{where} should be one label, found a list; {_WANTED}")
    try:
        (name,) = labels_of(value, where=where)
    except LabelError as problem:
        raise InputError(str(problem)) from None
    return name


def _require_one_type(values: Sequence[object], places: Sequence[str]) -> None:
    kinds: dict[str, int] = {}
    for index, value in enumerate(values):
        kind = "a text"
        if not isinstance(value, str):
            kind = "a truth value" if isinstance(value, bool | np.bool_) else "a number"
        kinds.setdefault(kind, index)
    if len(kinds) > 1:
        (first, one), (second, other) = list(kinds.items())[:2]
        raise InputError(
            f"y mixes types: {places[one]} is {first}, {quoted(values[one])}, and {places[other]} "
            f"is {second}, {quoted(values[other])}; make them all str"
        )


def _names(classes: Sequence[object]) -> tuple[str, ...]:
    """Return the names of classes in a bundle, which are all different."""
    found: dict[str, object] = {}
    for label in classes:
        name = _label(label, "a class")
        if name in found:
            raise InputError(
                f"the classes {quoted(found[name])} and {quoted(label)} are both written "
                f"{quoted(name)} in a bundle; rename one of them"
            )
        found[name] = label
    return tuple(found)
