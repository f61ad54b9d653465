"""Logger of the package, ``textgate``, which is silent unless a program sets a handler.

INFO: loaded bundles. DEBUG: sessions that are created, also after a fork, how a file is processed,
and how many texts were truncated. WARNING: notes about a file of rows, if the caller takes none.
Errors are raised, not logged. No record holds a text.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("textgate")
logger.addHandler(logging.NullHandler())
