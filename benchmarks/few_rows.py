"""Accuracy of the default recipe from few rows, compared with TF-IDF and sentence vectors.

Draws the same number of rows of each label, trains the default recipe on them, exports an int8
bundle of at most 2.5 MB, and scores it on all test rows.

    python benchmarks/few_rows.py --data ../shared/data --peers python --minilm minilm

The peers are logistic regressions on the same rows: of TF-IDF, and with `--minilm` of MiniLM-L6's
sentence vectors. They run in the interpreter `--peers`, which needs scikit-learn. Finished draws
are cached in `--cache`; a second call continues.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch
from common import HERE, PATH, Goal, cache_option, output_option, spread, write_result
from pages.blocks import BLOCKS
from sets import Split, find_sets, remembered

from textgate.bundle.storage import bundle_bytes
from textgate.evaluation.evaluate import evaluate_rows
from textgate.evaluation.metrics import evaluate_single_label
from textgate.export import export
from textgate.inference.classifier import Classifier
from textgate.train import fit
from textgate.train.pretraining.teacher import SentenceTransformer
from textgate.train.teaching.encoders import find_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from textgate.evaluation.metrics import Evaluation

SETS = ("sst2", "mr", "trec", "banking77", "tweet_offensive")
MACRO_F1 = ("tweet_offensive",)  # sets that are scored by macro-F1, the others by accuracy
MAX_BYTES = 2_500_000
GOALS = {  # rows of each label -> set -> score
    8: {"sst2": 0.66, "trec": 0.62, "banking77": 0.83},
    32: {"sst2": 0.76, "mr": 0.70, "trec": 0.76, "banking77": 0.90, "tweet_offensive": 0.61},
}
MAX_ECE = 0.04
MAX_SECONDS = {"textgate": 60, "frozen": 10}
TIMED_ROWS = 200  # a training on more has no goal for its time
Scored = dict[str, Any]


@click.command()
@click.option("--data", type=PATH, required=True, help="Folder of sets.")
@click.option("--set", "names", multiple=True, default=SETS, help="Only these; can be repeated.")
@click.option("--rows", "sizes", multiple=True, type=int, default=(8, 32, 100), show_default=True)
@click.option("--draws", default=5, show_default=True)
@click.option("--frozen", default=1, show_default=True, help="Draws of the frozen encoder.")
@click.option("--peers", help="Interpreter with scikit-learn; without it there are no peers.")
@click.option("--minilm", help="Folder of MiniLM-L6, or minilm for the one of its package.")
@cache_option("few_rows")
@output_option("few_rows")
def main(
    data: Path,
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    draws: int,
    frozen: int,
    peers: str | None,
    minilm: str | None,
    cache: Path,
    output: Path,
) -> None:
    """Train, score, compare and write one file."""
    torch.set_num_threads(1)
    cache.mkdir(parents=True, exist_ok=True)
    entries = []
    for split in find_sets(data, names):
        vectors = _vectors(split, minilm, cache) if minilm and peers else []
        for size in sizes:
            if min(map(len, _by_label(split).values())) < size:
                continue
            found = []
            for draw in range(draws):
                systems = ["textgate"] + ["frozen"] * (draw < frozen)
                systems += ["TF-IDF"] * bool(peers) + ["MiniLM"] * bool(vectors)
                work = cache / f"{split.name}-{size}-{draw}-{'-'.join(systems)}"
                find = partial(_draw, split, size, draw, systems, peers, vectors, work)
                found.append(remembered(Path(f"{work}.json"), find))
            entries.append(_entry(split, size, found))
    values = {"draws": draws, "max_bytes": MAX_BYTES, "entries": entries}
    print(BLOCKS["few_rows"].text(write_result(output, values, goals(entries))))


def _draw(
    split: Split,
    size: int,
    draw: int,
    systems: Sequence[str],
    peers: str | None,
    vectors: Sequence[Path],
    work: Path,
) -> Scored:
    """Train every system on one draw of rows, and return its figures on the test rows."""
    indices = drawn(split, size, draw)
    found = {
        system: _ours(split, indices, draw, work, frozen=system == "frozen")
        for system in systems
        if system in MAX_SECONDS
    }
    return found if peers is None else found | _peers(split, indices, peers, vectors, work)


def drawn(split: Split, size: int, draw: int) -> NDArray[np.int64]:
    """Return the indices of as many training rows of each label, shuffled, int64 [rows]."""
    generator = np.random.default_rng([draw, size])
    chosen = [generator.permutation(indices)[:size] for indices in _by_label(split).values()]
    return generator.permutation(np.concatenate(chosen))


def _by_label(split: Split) -> dict[str, list[int]]:
    """Return the indices of the training rows of each label."""
    indices: dict[str, list[int]] = {}
    for index, row in enumerate(split.rows[0]):
        indices.setdefault(row.labels[0], []).append(index)
    return dict(sorted(indices.items()))


def _ours(
    split: Split, indices: NDArray[np.int64], draw: int, work: Path, *, frozen: bool
) -> Scored:
    run, bundle = Path(f"{work}.run"), Path(f"{work}.bundle")
    settings = {"seed": draw, **({"frozen": True} if frozen else {})}
    started = time.perf_counter()
    fitted = fit([split.rows[0][index] for index in indices], run, settings=settings, force=True)
    seconds = time.perf_counter() - started
    # Models are scored even if quantization lost accuracy; useless ones are counted.
    export(run, bundle, max_bytes=MAX_BYTES, max_accuracy_drop=1, allow_useless=True, force=True)
    with Classifier.load(bundle) as classifier:
        quality = evaluate_rows(classifier, split.test_rows, file=str(split.test)).metrics
    size = bundle_bytes(bundle)
    for folder in (run, bundle):
        shutil.rmtree(folder)
    own = {"ece": quality.ece, "bytes": size, "useless": int(not fitted.is_useful)}
    return {"score": _score(split, quality), "seconds": seconds, **own}


def _peers(
    split: Split, indices: NDArray[np.int64], python: str, vectors: Sequence[Path], work: Path
) -> Scored:
    rows = [split.rows[0][index] for index in indices]
    asked = {
        "train": [row.text for row in rows],
        "labels": [row.labels[0] for row in rows],
        "test": [row.text for row in split.test_rows],
        "vectors": [],
    }
    if vectors:
        train, test = vectors
        np.save(work.with_suffix(".npy"), np.load(train)[indices])
        asked["vectors"] = [str(work.with_suffix(".npy")), str(test)]
    command = [python, str(HERE / "few_rows_peers.py")]
    request = json.dumps(asked)
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, text=True, check=True)
    names = list(_by_label(split))
    truth = [names.index(label) for label in split.test_labels]
    found = {}
    for name, answer in json.loads(done.stdout).items():
        given = np.eye(len(names))[[names.index(label) for label in answer["labels"]]]
        score = _score(split, evaluate_single_label(given, truth, names))
        found[name] = {"score": score, "seconds": answer["seconds"]}
    return found


def _score(split: Split, quality: Evaluation) -> float:
    return quality.macro_f1 if split.name in MACRO_F1 else quality.accuracy


def _vectors(split: Split, encoder: str, cache: Path) -> list[Path]:
    """Return the files of the sentence vectors of all training and test texts."""
    files = []
    for part, rows in (("train", split.rows[0]), ("test", split.test_rows)):
        files.append(cache / f"{split.name}-{part}.npy")
        if not files[-1].exists():
            model = SentenceTransformer(find_encoder(encoder), torch.device("cpu"), bfloat16=False)
            np.save(files[-1], model.vectors([row.text for row in rows]).numpy())
    return files


def _entry(split: Split, size: int, draws: Sequence[Scored]) -> Scored:
    """Return the published figures of one set with one number of rows."""
    systems = {}
    for name in draws[0]:
        own = [draw[name] for draw in draws if name in draw]
        systems[name] = {key: spread([one[key] for one in own]) for key in own[0]}
        systems[name]["useless"] = sum(one.get("useless", 0) for one in own)
    measure = "macro-F1" if split.name in MACRO_F1 else "accuracy"
    labels = len(_by_label(split))
    return {"data": split.name, "rows": size, "labels": labels, "measure": measure} | systems


def goals(entries: Sequence[Scored]) -> list[Goal]:
    """Return the goals that the entries should reach."""

    def means(system: str, figure: str, entries: Sequence[Scored] = entries) -> list[float]:
        return [one[system][figure]["mean"] for one in entries if system in one]

    found = [
        Goal(f"{name}, {one['rows']} rows of each label", score, bound, at_least=True)
        for one, score in zip(entries, means("textgate", "score"), strict=True)
        for name, bound in GOALS.get(one["rows"], {}).items()
        if name == one["data"]
    ]
    compared = [one for one in entries if "TF-IDF" in one]
    pairs = zip(means("textgate", "score", compared), means("TF-IDF", "score"), strict=True)
    if gains := [ours - peer for ours, peer in pairs]:
        found.append(Goal("smallest gain over TF-IDF", min(gains), 0, at_least=True))
    timed = [one for one in entries if one["rows"] * one["labels"] <= TIMED_ROWS]
    for system, bound in MAX_SECONDS.items():
        if seconds := means(system, "seconds", timed):
            what = f"{system}, at most {TIMED_ROWS} rows: longest training, seconds"
            found.append(Goal(what, max(seconds), bound))
    errors = means("textgate", "ece")
    return [*found, Goal("largest calibration error", max(errors), MAX_ECE)] if errors else found


if __name__ == "__main__":
    main()
