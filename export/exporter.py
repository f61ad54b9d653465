"""From a finished run to a verified bundle: the story that `textgate export` tells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgate import run as run_folder
from textgate.arguments import share
from textgate.bundle import write_bundle
from textgate.errors import BundleError, ConfigError, ExportError
from textgate.export.assembly import Assembly, latencies
from textgate.export.candidate import Original
from textgate.export.choice import Wishes, choose
from textgate.export.energy import measure_energies
from textgate.export.plan import EMBEDDING_BITS
from textgate.export.thresholds import thresholds_for_coverage, thresholds_for_precision
from textgate.export.verification import (
    check_against_torch,
    check_independence,
    check_same,
    encoded,
    probabilities,
)
from textgate.export.weights import network_weights
from textgate.manifest import Manifest
from textgate.rows import Columns, load_labelled
from textgate.run import read_run
from textgate.session import make_session
from textgate.tokenizer import TextTokenizer
from textgate.train.checkpoint import load_model
from textgate.train.dataset import Dataset, encode_rows
from textgate.train.model import TextClassifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textgate.export.candidate import Candidate
    from textgate.export.verification import Comparison
    from textgate.run import RunManifest

PRECISIONS = ("int8", "float32")
MAX_ACCURACY_DROP = 0.003
_PROBED_TEXTS = 64  # enough to see a dependence on batch or chunks, few enough to take no time


@dataclass(frozen=True)
class Answers:
    """What a label's answers should be like, by a threshold below which it is not given.

    Attributes:
        wish: ``precision``: so large a share of its answers is right; ``coverage``: so large a
            share of its answers is kept.
        share: above 0, at most 1.

    Raises:
        ConfigError: neither wish, or a share out of range.
    """

    wish: str
    share: float

    def __post_init__(self) -> None:
        if self.wish not in ("precision", "coverage"):
            raise ConfigError(f"answers can have precision or coverage, not {self.wish!r}")
        share(self.share, self.wish, positive=True)


@dataclass(frozen=True)
class Exported:
    """A published bundle and what verification found.

    Attributes:
        path: the bundle's folder.
        manifest: its manifest.
        comparison: the exported graph against the float32 one.
        torch_difference: largest difference of a probability, float32 graph against torch.
        independence: largest change of a probability with the batch or the chunking.
        notes: what was done to fit the wishes, and what to be wary of, in words.
    """

    path: Path
    manifest: Manifest
    comparison: Comparison
    torch_difference: float
    independence: float
    notes: tuple[str, ...]


def export(
    run: str | Path,
    output: str | Path,
    *,
    precision: str = "int8",
    embedding_bits: int = 8,
    verify: str | Path | None = None,
    columns: Columns | None = None,
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
    fallback: bool = False,
    max_bytes: int | None = None,
    answers: Answers | None = None,
    force: bool = False,
) -> Exported:
    """Write the bundle of a finished run, verified before it is published.

    Args:
        run: the run's folder.
        output: the bundle's folder, made whole or not at all.
        precision: ``int8`` or ``float32``.
        embedding_bits: 8 or 4 bits for a value of the embedding, with int8.
        verify: labelled rows to verify on; None takes the dev rows kept with the run.
        columns: where the file to verify on keeps text and label.
        max_accuracy_drop: most accuracy that quantization may lose on them, as a share; a loss of
            three rows or fewer always passes.
        fallback: raise precision piece by piece, cheapest first, until the loss is allowed.
        max_bytes: most bytes of the bundle; rare words and embedding bits are given up for it.
        answers: what thresholds should reach on the rows; None sets none.
        force: replace a bundle that is there.

    Raises:
        CheckpointError: the run is unfinished, damaged or of another version.
        DataError: the rows to verify on are missing or malformed.
        ExportError: the weights do not fit the architecture, nothing is small enough, or the bundle
            cannot be written.
        VerificationError: the graph does not compute what it should; nothing was published.
        ConfigError: a setting out of range.
    """
    run, output = Path(run), Path(output)
    wishes = _wishes(precision, embedding_bits, max_accuracy_drop, fallback, max_bytes)
    _refuse_existing(output, force=force)
    trained = read_run(run)
    model = load_model(run / run_folder.MODEL)
    tokenizer_json = _read_tokenizer(run)
    network = TextClassifier(trained.architecture)
    said: list[str] = []  # of the rows
    rows = _verification_rows(run, trained, tokenizer_json, verify, columns or Columns(), said)
    weights = network_weights(trained.architecture, model.weights)
    network.load_state_dict(model.weights)
    original = Original.build(
        trained.architecture,
        weights,
        temperature=model.temperature,
        tokenizer_json=tokenizer_json,
        max_tokens=trained.max_tokens,
        rows=rows,
        energies=measure_energies(network, rows) if trained.architecture.cell == "lstm" else None,
    )
    torch_difference = check_against_torch(
        original.session, network, temperature=model.temperature, max_tokens=trained.max_tokens
    )

    bundle = Assembly(trained, model, original, name=output.name, precision=precision)
    choice = choose(original, wishes, bundle.size)
    candidate = choice.candidate
    probes = candidate.rows.sequences[:_PROBED_TEXTS]
    independence = check_independence(
        candidate.session, candidate.graph.states, probes, integers=candidate.computes_integers
    )
    plain = make_session(candidate.graph.model, optimized=False)
    check_same(candidate.session, plain, probes, what="ONNX Runtime's optimization")

    manifest = dataclasses.replace(
        bundle.manifest(candidate),
        latency_ms=latencies(candidate.session, trained.max_tokens),
        thresholds=_thresholds(candidate, trained.labels, answers),
    )
    manifest = write_bundle(
        output,
        manifest_without_files=manifest,
        files=bundle.files(candidate, manifest),
        force=force,
    )
    return Exported(
        path=output.absolute(),
        manifest=manifest,
        comparison=candidate.comparison,
        torch_difference=torch_difference,
        independence=independence,
        notes=(*said, *choice.notes, *_warnings(manifest, candidate.comparison)),
    )


def _thresholds(
    candidate: Candidate, labels: Sequence[str], answers: Answers | None
) -> tuple[float | None, ...]:
    """Return each label's threshold, chosen on the verification rows if there is a wish."""
    if answers is None:
        return (None,) * len(labels)
    values = probabilities(candidate.session, encoded(candidate.rows.sequences))
    choose_by = {
        "precision": thresholds_for_precision,
        "coverage": thresholds_for_coverage,
    }[answers.wish]
    return choose_by(
        values,
        candidate.rows.targets > 0.5,
        labels,
        share=answers.share,
        multi_label=candidate.architecture.task == "multi-label",
    )


def _wishes(
    precision: str,
    embedding_bits: int,
    max_accuracy_drop: float,
    fallback: bool,
    max_bytes: int | None,
) -> Wishes:
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if embedding_bits not in EMBEDDING_BITS:
        raise ConfigError(f"embedding_bits must be 4 or 8, not {embedding_bits!r}")
    if not 0 <= max_accuracy_drop <= 1:
        raise ConfigError(f"max_accuracy_drop must be from 0 to 1, not {max_accuracy_drop!r}")
    if precision == "float32" and (embedding_bits != 8 or fallback or max_bytes is not None):
        raise ConfigError(
            "embedding bits, a fallback and a largest size are for int8; leave them out, or leave "
            "out --precision float32"
        )
    if max_bytes is not None and max_bytes < 1:
        raise ConfigError(f"the largest size must be at least 1 byte, not {max_bytes!r}")
    return Wishes(precision, embedding_bits, max_accuracy_drop, fallback, max_bytes)


def _warnings(manifest: Manifest, comparison: Comparison) -> list[str]:
    never = [manifest.labels[column] for column in comparison.never_predicted]
    if not never:
        return []
    shown = ", ".join(repr(label) for label in never[:5])
    more = f" and {len(never) - 5} more" if len(never) > 5 else ""
    return [f"never predicted on the {comparison.rows:,} verification rows: {shown}{more}"]


def _refuse_existing(output: Path, *, force: bool) -> None:
    """Refuse a target that is in the way before the work instead of after it."""
    if output.exists() and not force:
        raise ExportError(f"{output} already exists; choose another path or pass --force")


def _read_tokenizer(run: Path) -> str:
    path = run / run_folder.TOKENIZER
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise ExportError(f"{path}: cannot be read: {problem}") from None


def _verification_rows(
    run: Path,
    trained: RunManifest,
    tokenizer_json: str,
    verify: str | Path | None,
    columns: Columns,
    said: list[str],
) -> Dataset:
    """Return the rows to verify on, encoded; those kept with the run unless a file is given."""
    if verify is None:
        path: str | Path = run / run_folder.DEV_ROWS
        rows = load_labelled(path)
    else:
        path = verify
        rows = load_labelled(
            path,
            columns,
            may_have_none=trained.architecture.task == "multi-label",
            note=said.append,
        )
    try:
        tokenizer = TextTokenizer(tokenizer_json, max_tokens=trained.max_tokens)
    except BundleError as problem:
        raise ExportError(f"{run}: {problem}") from None
    if tokenizer.vocabulary_size > trained.architecture.vocabulary_size:
        raise ExportError(
            f"{run}: the tokenizer has {tokenizer.vocabulary_size} ids, the embedding only "
            f"{trained.architecture.vocabulary_size} rows"
        )
    dataset = encode_rows(
        rows, tokenizer, trained.labels, task=trained.architecture.task, file=str(path)
    )
    largest = max(int(sequence.max()) for sequence in dataset.sequences)
    if largest >= trained.architecture.vocabulary_size:
        raise ExportError(
            f"{run}: the tokenizer gives the token id {largest}, but the embedding has rows 0 to "
            f"{trained.architecture.vocabulary_size - 1}"
        )
    return dataset
