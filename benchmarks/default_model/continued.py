"""A pretrained folder out of a finished run, so that another training begins with its weights.

    python benchmarks/default_model/continued.py RUN -o FOLDER

RUN began with the sentence encoder of the package. FOLDER is that encoder with the tokenizer, the
embedding and the recurrent layer of RUN; `textgate train --encoder FOLDER` continues from there,
with other rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import click
import torch

from textgate.atomic import new_folder
from textgate.bundle.run import MODEL, TOKENIZER
from textgate.errors import CheckpointError
from textgate.train.pretraining.pretrained import (
    ENGLISH_ENCODER,
    PRETRAINED,
    open_pretrained,
    read_pretrained,
)
from textgate.train.training.checkpoint import file_sha256, load_model, write_tensors


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(run: Path, output: Path) -> None:
    """Write the folder."""
    encoder = open_pretrained(ENGLISH_ENCODER)
    weights = load_model(run / MODEL).weights
    names = ["embedding.weight", *encoder.layers]
    tensors = {name: weights[name].contiguous() for name in names}
    tensors["projection.weight"] = torch.from_numpy(encoder.projection.weight)
    tensors["projection.bias"] = torch.from_numpy(encoder.projection.bias)
    tokenizer = (run / TOKENIZER).read_bytes()
    manifest = replace(
        read_pretrained(encoder.path),
        vocabulary_size=len(tensors["embedding.weight"]),
        tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
    )
    with new_folder(output, force=True, error=CheckpointError, complete_marker=PRETRAINED) as new:
        (new / TOKENIZER).write_bytes(tokenizer)
        write_tensors(new / MODEL, tensors, {})
        done = manifest.finished(replace(manifest.result, sha256=file_sha256(new / MODEL)))
        (new / PRETRAINED).write_text(done.to_json(), encoding="utf-8")
    click.echo(f"{output}: the weights of {run}")


if __name__ == "__main__":
    main()
