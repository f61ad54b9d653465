"""The package's logger, ``textgate``: silent unless the program that uses it listens.

Few records: what was loaded (INFO), sessions made and made again after a fork, how a file is worked
on, and how many texts were cut off (DEBUG), and what is odd about a file of rows, where nobody else
hears it (WARNING). What goes wrong is raised, not logged, and no record holds a text.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("textgate")
logger.addHandler(logging.NullHandler())
