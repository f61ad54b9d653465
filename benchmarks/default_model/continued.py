"""A pretrained folder out of a finished run, so that another training begins with its weights.

    python benchmarks/default_model/continued.py RUN -o FOLDER

RUN began with the sentence encoder of the package. FOLDER is that encoder with the tokenizer, the
embedding and the recurrent layer of RUN; `textgate train --encoder FOLDER` continues from there,
with other rows.
"""

from __future__ import annotations

from pathlib import Path

import click

from textgate.train.pretraining.pretrained import continue_from


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(run: Path, output: Path) -> None:
    """Write the folder."""
    continue_from(run, output, force=True)
    click.echo(f"{output}: the weights of {run}")


if __name__ == "__main__":
    main()
