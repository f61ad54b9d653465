"""Faithfulness of explanations: textgate's, those of gradients, and LIME's.

Measures comprehensiveness and sufficiency (DeYoung et al. 2020, "ERASER", section 4): how much the
probability of the predicted label falls when the most important words of a text are left out, and
when they alone are kept, averaged over the first 1, 5, 10, 20 and 50 % of its words. Explanations
are better with more comprehensiveness and less sufficiency.

    python benchmarks/explanations.py --data ../shared/data

The bundle's int8 network is explained, and judges all methods. Gradients are those of its float32
network in PyTorch. LIME needs lime (see requirements.txt) and is skipped with a message without it.
Networks are those of `accuracy.py`, from its cache or trained here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import click
import numpy as np
import torch
from accuracy import MAX_BYTES, MAX_COMPRESSION_DROP
from common import PATH, Goal, cache_option, median_ratio, output_option, write_result
from numpy.typing import NDArray
from pages.blocks import BLOCKS
from sets import Split, find_sets

from textgate.bench.noise import fixed_work, noise_in
from textgate.bundle.run import MODEL, TOKENIZER, read_run
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.inference.explanation import Explanation
from textgate.inference.tokenizer import TextTokenizer
from textgate.train import fit
from textgate.train.network.model import LINEAR_GAIN, TextClassifier
from textgate.train.text.bigrams import look_up
from textgate.train.training.checkpoint import load_model

FRACTIONS = (0.01, 0.05, 0.1, 0.2, 0.5)
IG_STEPS = 50
LIME_SAMPLES = 5000  # its default
MAX_TIME_RATIO = 0.01
OURS, LIME = "textgate", "LIME"

# Returns the importance of each word, in order.
Method = Callable[[Explanation], Sequence[float]]


@click.command()
@click.option("--data", type=PATH, help="Folder of sets.")
@click.option("--set", "names", multiple=True, default=("sst2", "trec", "banking77"))
@click.option("--rows", default=200, show_default=True, help="Texts of each set, drawn at random.")
@click.option("--split", type=click.Choice(["dev", "test"]), default="test", show_default=True)
@cache_option("accuracy")
@output_option("explanations")
def main(
    data: Path | None, names: tuple[str, ...], rows: int, split: str, cache: Path, output: Path
) -> None:
    """Explain texts by every method, judge, and write one file."""
    torch.set_num_threads(1)
    sets = [_measured(one, rows, split, cache) for one in find_sets(data, names)]
    values = {"rows": rows, "split": split, "ig_steps": IG_STEPS, "lime_samples": LIME_SAMPLES}
    result = write_result(output, {**values, "sets": sets}, goals(sets))
    print(BLOCKS["explanations"].text(result))


def goals(sets: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """Return the goals: as faithful as the best of the others, in a hundredth of LIME's time."""
    found = []
    for one in sets:
        methods = {method["name"]: method for method in one["methods"]}
        ours = methods.pop(OURS)
        for figure, side in (("comprehensiveness", 1), ("sufficiency", -1)):
            best = max(side * method[figure] for method in methods.values())
            what = f"{one['data']}: {figure}, gain over the best of the others"
            found.append(Goal(what, side * ours[figure] - best, 0.0, at_least=True))
        if LIME in methods:
            found.append(Goal(f"{one['data']}: time / LIME's", ours["ratio"][0], MAX_TIME_RATIO))
    return found


def _measured(split: Split, rows: int, name: str, cache: Path) -> dict[str, Any]:
    """Return the figures of all methods on one set."""
    run, bundle = _trained(split, cache)
    listed = split.test_rows if name == "test" else split.rows[1]
    chosen = np.random.default_rng(0).permutation(len(listed))[:rows].tolist()
    fixed = []
    with Classifier.load(bundle) as classifier:
        explained = [classifier.explain(listed[index].text) for index in chosen]
        explained = [one for one in explained if one.words and not one.prediction.truncated]
        methods = _methods(classifier, run)
        scores: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
        times: dict[str, list[float]] = {method: [] for method in methods}
        for one in explained:
            begun = perf_counter_ns()
            fixed_work()
            fixed.append(perf_counter_ns() - begun)
            for method, importance in methods.items():  # in turns, so that noise hits all
                begun = perf_counter_ns()
                values = importance(one)
                times[method].append((perf_counter_ns() - begun) / 1e6)
                scores[method].append(faithfulness(classifier, one, values))
    figures = {method: np.array(found) for method, found in scores.items()}
    return {
        "data": split.name,
        "noise": asdict(noise_in([fixed])),
        "labels": len(classifier.labels),
        "texts": len(explained),
        "words": statistics.fmean(len(one.words) for one in explained),
        "methods": [
            {
                "name": method,
                "comprehensiveness": float(figures[method][:, 0].mean()),
                "sufficiency": float(figures[method][:, 1].mean()),
                "gains": [
                    mean_difference(figures[OURS][:, 0], figures[method][:, 0]),
                    mean_difference(figures[method][:, 1], figures[OURS][:, 1]),
                ],
                "ms": statistics.median(times[method]),
                "ratio": median_ratio(times[method], times[LIME]) if LIME in times else None,
            }
            for method in methods
        ],
    }


def mean_difference(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the mean difference of paired figures, and its 95 % bootstrap interval."""
    differences = one - other
    drawn = np.random.default_rng(0).choice(differences, size=(2000, len(differences)))
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975)).tolist()
    return float(differences.mean()), low, high


def faithfulness(
    classifier: Classifier, explanation: Explanation, importance: Sequence[float]
) -> tuple[float, float]:
    """Return the comprehensiveness and the sufficiency of the importance of a text's words."""
    words = [word.text for word in explanation.words]
    order = np.argsort(-np.asarray(importance), kind="stable")
    without, alone = [], []
    for fraction in FRACTIONS:
        chosen = set(order[: math.ceil(fraction * len(words))].tolist())
        without.append(" ".join(word for at, word in enumerate(words) if at not in chosen))
        alone.append(" ".join(word for at, word in enumerate(words) if at in chosen))
    said = explanation.prediction
    column = classifier.labels.index(said.top_label)
    found = classifier.predict_proba([*without, *alone])[:, column].astype(float)
    falls = (said.score - found).reshape(2, -1).mean(axis=1)
    return float(falls[0]), float(falls[1])


def _methods(classifier: Classifier, run: Path) -> dict[str, Method]:
    """Return the methods by name."""
    generator = np.random.default_rng(0)
    gradients = Gradients(run)

    def ours(one: Explanation) -> list[float]:
        label = one.prediction.top_label
        return [word.values[label] for word in classifier.explain(one.text).words]

    methods: dict[str, Method] = {
        OURS: ours,
        "random": lambda one: generator.random(len(one.words)).tolist(),
        "gradient x input": partial(gradients.importance, points=(1.0,)),
        "integrated gradients": partial(
            gradients.importance, points=((np.arange(IG_STEPS) + 0.5) / IG_STEPS).tolist()
        ),
    }
    try:
        from lime.lime_text import LimeTextExplainer
    except ModuleNotFoundError:
        click.echo(f"{LIME}: lime is not installed; left out", err=True)
        return methods

    def lime(one: Explanation) -> list[float]:
        column = classifier.labels.index(one.prediction.top_label)
        pieces = [word.text for word in one.words]
        explainer = LimeTextExplainer(
            split_expression=lambda _: pieces, bow=False, mask_string="", random_state=0
        )
        found = explainer.explain_instance(
            " ".join(pieces),
            classifier.predict_proba,
            labels=(column,),
            num_features=len(pieces),
            num_samples=LIME_SAMPLES,
        )
        weights = dict(found.local_exp[column])
        return [float(weights.get(place, 0.0)) for place in range(len(pieces))]

    return {**methods, LIME: lime}


class Gradients:
    """Gradients of a run's network in PyTorch with respect to the presence of each token.

    The presence of a token, 0 to 1, multiplies its row of the embedding and the weights of its
    features in the linear branch. At 1, the gradient is that of the input times the input; its mean
    over presences from 0 to 1 is the integrated gradient (Sundararajan et al. 2017) with rows of
    zeros as the baseline.
    """

    def __init__(self, run: Path) -> None:
        manifest, model = read_run(run), load_model(run / MODEL)
        self._tokenizer = TextTokenizer(
            (run / TOKENIZER).read_text(encoding="utf-8"), max_tokens=manifest.max_tokens
        )
        self._network = TextClassifier(manifest.architecture)
        self._network.load_state_dict(model.weights)
        self._network.eval()
        self._labels, self._temperature = manifest.labels, model.temperature

    def importance(self, one: Explanation, points: Sequence[float]) -> list[float]:
        """Return the sum of the mean gradients of each word's tokens."""
        tokens = [self._tokenizer.token_ids(word.text) for word in one.words]
        ids = torch.tensor([[each for word in tokens for each in word]])
        presence = torch.tensor(points)[:, None].repeat(1, ids.shape[1]).requires_grad_()
        probabilities = self._probabilities(ids.expand(len(points), -1), presence)
        column = self._labels.index(one.prediction.top_label)
        (gradient,) = torch.autograd.grad(probabilities[:, column].sum(), presence)
        parts = gradient.mean(dim=0).split([len(word) for word in tokens])
        return [float(part.sum()) for part in parts]

    def _probabilities(self, ids: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
        network = self._network
        lengths = torch.full((len(ids),), ids.shape[1])
        embedded = network.embedding(ids) * presence[:, :, None]
        logits = network.recurrent_logits(embedded, lengths)
        if network.linear is not None:
            logits = logits + self._linear_logits(ids, presence)
        return network.probabilities(logits, self._temperature)

    def _linear_logits(self, ids: torch.Tensor, presence: torch.Tensor) -> torch.Tensor:
        """Return the logits of the linear branch, its features weighted by presence."""
        branch: Any = self._network.linear
        known = ids < branch.tokens.num_embeddings
        rows = ids.clamp(max=branch.tokens.num_embeddings - 1)
        buckets, found = look_up(ids, branch.fingerprints)
        before = torch.nn.functional.pad(presence[:, :-1], (1, 0), value=1.0)
        token_weights = branch.token_weights[rows] * known * presence
        bigram_weights = branch.pair_weights[buckets] * found * presence * before
        squares = token_weights.square().sum(1) + bigram_weights.square().sum(1)
        total = (branch.tokens(rows) * token_weights[:, :, None]).sum(1)
        total = total + (branch.pairs(buckets) * bigram_weights[:, :, None]).sum(1)
        units = branch.projection(total * LINEAR_GAIN * squares.clamp(min=1.0).rsqrt()[:, None])
        two = self._network.architecture.output == "sigmoid"  # one unit z for two: [0, z]
        return torch.cat([torch.zeros_like(units), units], dim=1) if two else units


def _trained(split: Split, cache: Path) -> tuple[Path, Path]:
    """Return the run and the bundle of the default recipe, as `accuracy.py` makes them."""
    run = cache / f"{split.name}-0-default.run"
    bundle = run.with_suffix("")
    if not bundle.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        fit(split.train, run, dev=split.dev, settings={"seed": 0}, resume=True)
        export(run, bundle, max_bytes=MAX_BYTES, max_accuracy_drop=MAX_COMPRESSION_DROP)
    return run, bundle


if __name__ == "__main__":
    main()
