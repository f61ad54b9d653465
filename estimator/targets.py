"""Labels of an estimator: its argument `y`, and predictions in the same form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from textgate.inference.arguments import is_missing
from textgate.messages import counted, quoted
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
    values = _values(y)
    if isinstance(values, np.ndarray) and values.shape[1:] == (1,):
        values = column_or_1d(values, warn=True)
    if isinstance(values, np.ndarray) and values.ndim == 2:
        names = getattr(y, "columns", None)
        return _of_matrix(values, None if names is None else list(names))
    items = _items(values)
    return _of_lists(items) if items and _is_list(items[0]) else _of_labels(items, values)


def labels_per_text(y: Any, form: Form, classes: Sequence[Any]) -> list[frozenset[Any]]:
    """Return the labels of each text, without their order: names, or columns of a matrix.

    Args:
        y: the labels; they may all be one class.
        form: the form of the labels of `fit`, which `y` must have, too.
        classes: the labels of `fit`.

    Raises:
        InputError: `y` has another form or type, or a label is missing or no label.
    """
    values = _values(y)
    if form == "labels" and isinstance(values, np.ndarray) and values.shape[1:] == (1,):
        values = values.ravel()
    items = _items(values)
    if form == "matrix":
        rows = [item if isinstance(item, list | tuple) else [item] for item in items]
        if any(len(row) != len(classes) for row in rows):
            columns = counted(len(classes), "column", "columns")
            raise InputError(f"y should be a matrix of labels as for fit, with {columns}")
        _require_binary(rows)
        order = _order(list(getattr(y, "columns", classes)), classes)
        return [frozenset(np.flatnonzero([row[one] for one in order]).tolist()) for row in rows]
    places = [f"y[{row}]" for row in range(len(items))]
    if form == "lists":
        names = [_names_of(item, place) for item, place in zip(items, places, strict=True)]
        labels = [
            (label, place) for item, place in zip(items, places, strict=True) for label in item
        ]
    else:
        labels = list(zip(items, places, strict=True))
        names = [frozenset([_label(item, place)]) for item, place in labels]
    for label, place in labels:
        if _kind(label) != _kind(classes[0]):
            raise InputError(
                f"{place} is {_kind(label)}, {quoted(label)}, but the labels of fit are such as "
                f"{quoted(classes[0])}; give labels of the same type"
            )
    return names


def _order(columns: list[Any], classes: Sequence[Any]) -> Sequence[int]:
    """Return the columns of a matrix in the order of the classes, if they have their names."""
    if any(label not in columns for label in classes):
        return range(len(classes))
    return [columns.index(label) for label in classes]


def _values(y: Any) -> NDArray[Any] | list[Any]:
    """Return labels as an array of one or two dimensions, or as a list.

    Raises:
        InputError: they are neither.
    """
    if y is None:
        raise InputError(
            "fit requires y to be passed, but the target y is None; y should be one label per text"
        )
    if isinstance(y, np.ma.MaskedArray):
        y = y.tolist()  # as a plain array, it would show the values under its mask
    if hasattr(y, "toarray"):  # a sparse matrix
        y = y.toarray()
    if not hasattr(y, "__array__"):
        if isinstance(y, str | bytes | Mapping | Set) or not isinstance(y, Iterable):
            raise InputError(f"{_WANTED}, not {quoted(y)}")
        return [_plain(item) for item in y]
    array = np.asarray(y)
    if array.ndim not in (1, 2):
        raise InputError(f"{_WANTED}, found an array of shape {array.shape}")
    return array


def _items(values: NDArray[Any] | list[Any]) -> list[Any]:
    items: list[Any] = values if isinstance(values, list) else values.tolist()
    return items


def _plain(value: Any) -> Any:
    """Return a member of an enumeration of str as its value, which is what it equals."""
    return str.__str__(value) if isinstance(value, str) else value


def _of_labels(items: list[Any], y: Any) -> Targets:
    rows: list[tuple[str, ...]] = [(_label(item, f"y[{row}]"),) for row, item in enumerate(items)]
    _require_one_type(items, [f"y[{row}]" for row in range(len(items))])
    classes = np.unique(y)
    names = _names(classes.tolist())
    _require_kept(rows, names)
    if len(names) == 1:
        raise InputError(
            f"y has one class, {quoted(classes.tolist()[0])}, in every row; a classifier needs two "
            "classes or more"
        )
    return Targets("labels", classes, names, rows)


def _of_lists(items: list[Any]) -> Targets:
    if _is_matrix(items):
        return _of_matrix(np.asarray(items), None)
    rows = [  # sorted, because a set has no order
        tuple(sorted(_names_of(item, f"y[{row}]"))) for row, item in enumerate(items)
    ]
    labels = [_plain(label) for item in items for label in item]
    _require_one_type(labels, [f"y[{row}]" for row, item in enumerate(items) for _ in item])
    if not labels:
        raise InputError("y has no label in any row")
    classes = np.unique(labels)
    names = _names(classes.tolist())
    _require_kept(rows, names)
    return Targets("lists", classes, names, rows)


def _of_matrix(array: NDArray[Any], columns: list[Any] | None) -> Targets:
    cells: list[list[Any]] = array.tolist()
    _require_binary(cells)
    if not array.size or not any(map(any, cells)):
        raise InputError(f"y has no label in any row: a matrix of shape {array.shape} without a 1")
    labels = list(range(array.shape[1])) if columns is None else columns
    for column, label in enumerate(labels):
        _label(label, f"the name of column {column} of y")
    classes = np.asarray(labels)
    names = _names(classes.tolist())
    rows = [
        tuple(name for name, value in zip(names, values, strict=True) if value) for values in cells
    ]
    return Targets("matrix", classes, names, rows)


def _require_binary(cells: Iterable[Sequence[Any]]) -> None:
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if is_missing(value) or value not in (0, 1):
                raise InputError(
                    f"y[{row}, {column}] is {quoted(value)}, but a matrix of labels has 1 where "
                    "the label of a column applies and 0 elsewhere; several outputs of another "
                    "kind need one classifier each"
                )


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
    value = _plain(value.item() if isinstance(value, np.generic) else value)
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


def _kind(label: object) -> str:
    if isinstance(label, str):
        return "a text"
    return "a truth value" if isinstance(label, bool | np.bool_) else "a number"


def _require_one_type(values: Sequence[object], places: Sequence[str]) -> None:
    kinds: dict[str, int] = {}
    for index, value in enumerate(values):
        kinds.setdefault(_kind(value), index)
    if len(kinds) > 1:
        (first, one), (second, other) = list(kinds.items())[:2]
        raise InputError(
            f"y mixes types: {places[one]} is {first}, {quoted(values[one])}, and {places[other]} "
            f"is {second}, {quoted(values[other])}; make them all str"
        )


def _require_kept(rows: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    """Refuse labels that numpy changes: it drops NUL at the end, and rounds some large numbers."""
    known = set(names)
    for row, found in enumerate(rows):
        for name in found:
            if name not in known:
                raise InputError(
                    f"y[{row}] has the label {quoted(name)}, which numpy changes; rename it"
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
