"""The scripts in benchmarks/ as modules; they are not installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def script():
    """Imports one of the scripts by name."""
    folders = [str(BENCHMARKS), str(BENCHMARKS / "default_model")]
    sys.path[:0] = folders
    yield importlib.import_module
    for folder in folders:
        sys.path.remove(folder)
