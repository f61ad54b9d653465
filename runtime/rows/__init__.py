"""Rows of text, with or without labels, out of files; results back into files.

Reads plain text, JSON Lines, CSV, TSV, fastText files and Parquet, the text formats also gzipped.
"""

from __future__ import annotations

from textgate.rows.readers import FORMATS, load_labelled, read_rows
from textgate.rows.row import Row, fingerprint
from textgate.rows.writers import RESULT_FORMATS, ResultWriter, open_writer

__all__ = [
    "FORMATS",
    "RESULT_FORMATS",
    "ResultWriter",
    "Row",
    "fingerprint",
    "load_labelled",
    "open_writer",
    "read_rows",
]
