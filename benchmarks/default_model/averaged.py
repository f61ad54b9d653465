"""A run whose weights are the mean of several runs that differ in their seed.

    python benchmarks/default_model/averaged.py RUN RUN -o OUTPUT

The runs begin with the same encoder and head and read the same rows in another order, so the mean
of their weights is a network as well, and often a better one ("model soups", Wortsman et al. 2022).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from textgate.bundle.run import MODEL, read_run
from textgate.export.inputs import read_tokenizer, verification_rows
from textgate.rows import Columns
from textgate.train.network.model import TextClassifier
from textgate.train.training.calibration import fit_temperature
from textgate.train.training.checkpoint import load_model, save_model
from textgate.train.training.scoring import evaluate_logits
from textgate.train.training.trainer import predict_logits


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(runs: tuple[Path, ...], output: Path) -> None:
    """Average the weights of RUNS, and calibrate the result on the dev rows of the first."""
    before = [read_run(run) for run in runs]
    if any(
        (run.architecture, run.train) != (before[0].architecture, before[0].train) for run in before
    ):
        raise click.UsageError("the runs have other networks or training rows")
    average(runs, output)
    click.echo(f"{output}: {load_model(output / MODEL).metrics['accuracy']:.4f} on dev")


def average(runs: Sequence[Path], output: Path) -> None:
    """Write a finished run with the mean of the weights of others."""
    models = [load_model(run / MODEL) for run in runs]
    weights = {name: mean([model.weights[name] for model in models]) for name in models[0].weights}
    trained = read_run(runs[0])
    network = TextClassifier(trained.architecture)
    network.load_state_dict(weights)
    rows, _ = verification_rows(
        runs[0], trained, read_tokenizer(runs[0]), None, Columns(), note=click.echo
    )
    logits = predict_logits(network, rows)
    temperature = fit_temperature(logits, rows.targets, multi_label=False)
    qualities = [
        evaluate_logits(logits, rows.targets, trained.labels, multi_label=False, temperature=given)
        for given in (1.0, temperature)
    ]
    measured = {
        "accuracy": qualities[1].accuracy,
        "macro_f1": qualities[1].macro_f1,
        "ece": qualities[1].ece,
        "ece_uncalibrated": qualities[0].ece,
    }
    shutil.copytree(runs[0], output)
    model = dataclasses.replace(
        models[0], weights=weights, temperature=temperature, metrics=models[0].metrics | measured
    )
    save_model(output / MODEL, model)


def mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean of weights, or integers that are the same in all."""
    return torch.stack(list(tensors)).mean(dim=0) if tensors[0].is_floating_point() else tensors[0]


if __name__ == "__main__":
    main()
