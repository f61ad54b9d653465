"""A run whose weights are the mean of several runs that differ in their seed.

    python benchmarks/default_model/averaged.py RUN RUN -o OUTPUT

The runs begin with the same encoder and head and read the same rows in another order, so the mean
of their weights is a network as well, and often a better one ("model soups", Wortsman et al. 2022).
A run that is given twice counts twice. Given names that are one token have the mean of their
weights, so that swapping two of them changes little: only the weights of bigrams differ.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from made_rows import NAMES
from tokenizers import Tokenizer

from textgate.bundle.run import MODEL, read_run
from textgate.export.inputs import read_tokenizer, verification_rows
from textgate.rows import Columns
from textgate.train.network.model import TextClassifier
from textgate.train.training.calibration import fit_temperature
from textgate.train.training.checkpoint import TrainedModel, load_model, save_model
from textgate.train.training.scoring import dev_metrics
from textgate.train.training.trainer import predict_logits

# Weights with a row or a number for each token; in the linear branch for the most frequent ones.
TOKEN_WEIGHTS = {"embedding.weight", "linear.tokens.weight", "linear.token_weights"}


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
    accuracy = average(runs, output).metrics["accuracy"]
    click.echo(f"{output}: {accuracy:.4f} on dev")


def average(runs: Sequence[Path], output: Path) -> TrainedModel:
    """Write a finished run with the mean of the weights of others, and return its model."""
    models = [load_model(run / MODEL) for run in runs]
    tokenizer = read_tokenizer(runs[0])
    weights = {name: mean([model.weights[name] for model in models]) for name in models[0].weights}
    level_names(weights, Tokenizer.from_str(tokenizer))
    trained = read_run(runs[0])
    multi_label = trained.architecture.task == "multi-label"
    network = TextClassifier(trained.architecture)
    network.load_state_dict(weights)
    rows, _ = verification_rows(runs[0], trained, tokenizer, None, Columns(), note=click.echo)
    logits = predict_logits(network, rows)
    temperature = fit_temperature(logits, rows.targets, multi_label=multi_label)
    metrics = dev_metrics(
        logits, rows.targets, trained.labels, multi_label=multi_label, temperature=temperature
    )
    model = dataclasses.replace(
        models[0], weights=weights, temperature=temperature, metrics=metrics
    )
    shutil.copytree(runs[0], output)
    save_model(output / MODEL, model)
    return model


def level_names(weights: dict[str, torch.Tensor], tokenizer: Tokenizer) -> None:
    """Give all names that are one token the mean of their weights."""
    encoded = [tokenizer.encode(name, add_special_tokens=False).ids for name in NAMES]
    counted = Counter(ids[0] for ids in encoded if len(ids) == 1)
    tokens = sorted(token for token, count in counted.items() if count == 1)  # not the unknown one
    for part in TOKEN_WEIGHTS & weights.keys():
        known = [token for token in tokens if token < len(weights[part])]
        if known:
            level = weights[part][known].float().mean(dim=0)
            weights[part][known] = level.to(weights[part].dtype)


def mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean of weights, or integers that are the same in all."""
    return torch.stack(list(tensors)).mean(dim=0) if tensors[0].is_floating_point() else tensors[0]


if __name__ == "__main__":
    main()
