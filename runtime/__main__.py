"""The program `textgate`, which is also `python -m textgate`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and end it quietly if it is interrupted while it is imported."""
    try:
        from textgate.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("textgate: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
