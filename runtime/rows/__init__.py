"""Rows of text, with or without labels, read from files, and results written to files.

Plain text, JSON, JSON Lines, CSV, TSV, fastText files and Parquet are read; all but Parquet may be
gzipped. Modules are imported when they are first used: a command often reads or writes, but not
both.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgate.rows.columns import INPUT_FORMATS, Columns
    from textgate.rows.readers import load_labelled, read_rows
    from textgate.rows.row import Row, fingerprint
    from textgate.rows.writers import RESULT_FORMATS, ResultWriter, open_writer

__all__ = [
    "INPUT_FORMATS",
    "RESULT_FORMATS",
    "Columns",
    "ResultWriter",
    "Row",
    "fingerprint",
    "load_labelled",
    "open_writer",
    "read_rows",
]

_MODULES = {
    "columns": ("INPUT_FORMATS", "Columns"),
    "readers": ("load_labelled", "read_rows"),
    "row": ("Row", "fingerprint"),
    "writers": ("RESULT_FORMATS", "ResultWriter", "open_writer"),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'textgate.rows' has no attribute {name!r}")
    return getattr(import_module(f"textgate.rows.{_LAZY[name]}"), name)
