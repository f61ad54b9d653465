"""Size of an installation on disk: textgate and its dependencies.

    python benchmarks/footprint.py

Installs a wheel in a separate environment, as users do, and adds up the files that each
distribution lists. The interpreter, pip and setuptools are not counted.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click
from common import output_option, write_result
from startup import environment_option, install

from textgate.tables import format_bytes, format_table

# Runs in the new environment: bytes on disk by distribution.
_LIST = """
import importlib.metadata, json
sizes = {}
for one in importlib.metadata.distributions():
    paths = {file.locate() for file in one.files or ()}
    sizes[one.name] = sum(path.stat().st_size for path in paths if path.is_file())
print(json.dumps(sizes))
"""
_TOOLS = ("pip", "setuptools")


@click.command()
@environment_option("footprint")
@output_option("footprint")
def main(environment: Path, output: Path) -> None:
    """Measure the size of an installation."""
    python = install(environment.absolute()) / "python"
    listed = subprocess.run([python, "-c", _LIST], capture_output=True, text=True, check=True)
    sizes = {name: size for name, size in json.loads(listed.stdout).items() if name not in _TOOLS}
    ordered = dict(sorted(sizes.items(), key=lambda pair: -pair[1]))
    write_result(output, {"bytes": ordered})
    rows = [[name, format_bytes(size)] for name, size in ordered.items()]
    rows.append(["total", format_bytes(sum(ordered.values()))])
    click.echo(format_table(["package", "size"], rows, align="<>"))


if __name__ == "__main__":
    main()
