"""The browser that the tests of pages drive."""

from __future__ import annotations

import shutil

import pytest

PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
needs_browser = pytest.mark.skipif(
    PATH is None, reason="no chromium on the path: apt-get install chromium"
)
