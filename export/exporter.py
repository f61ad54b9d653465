"""From a finished run to a verified bundle: the story that `textgate export` tells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgate.atomic import refuse_occupied
from textgate.bundle import run as run_folder
from textgate.bundle.manifest import Manifest
from textgate.bundle.run import read_run, written_name
from textgate.bundle.storage import MANIFEST, write_bundle
from textgate.errors import ConfigError, ExportError
from textgate.evaluation.coverage import threshold_facts
from textgate.export.assembly import Assembly, latencies
from textgate.export.candidate import Original
from textgate.export.choice import Wishes, choose
from textgate.export.integers import verify_integers
from textgate.export.quality import LARGE_SHIFT, MAX_ACCURACY_DROP
from textgate.export.quantize.hessian import measure_energies
from textgate.export.quantize.plan import EMBEDDING_BITS
from textgate.export.quantize.weights import network_weights
from textgate.export.rows import read_tokenizer, verification_rows
from textgate.export.thresholds import Answers, fit_thresholds
from textgate.export.verification import (
    check_against_torch,
    check_independence,
    check_same,
    encoded,
    probabilities,
)
from textgate.inference.session import make_session
from textgate.rows import Columns
from textgate.train.fit.checkpoint import load_model
from textgate.train.fit.progress import Progress
from textgate.train.network.model import TextClassifier

if TYPE_CHECKING:
    from textgate.export.candidate import Candidate
    from textgate.export.quality import Comparison

PRECISIONS = ("int8", "float32")
_PROBED_TEXTS = 64  # enough to see a dependence on batch or chunks, few enough to take no time


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
    progress: Progress | None = None,
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
        progress: hears how it goes.

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
    progress = progress or Progress()
    _refuse_target(run, output, force=force)
    trained = read_run(run)
    model = load_model(run / run_folder.MODEL)
    tokenizer_json = read_tokenizer(run)
    network = TextClassifier(trained.architecture)
    said: list[str] = []  # of the rows
    rows = verification_rows(
        run, trained, tokenizer_json, verify, columns or Columns(), note=said.append
    )
    weights = network_weights(trained.architecture, model.weights)
    network.load_state_dict(model.weights)
    original = Original.build(
        trained.architecture,
        weights,
        labels=trained.labels,
        temperature=model.temperature,
        tokenizer_json=tokenizer_json,
        max_tokens=trained.max_tokens,
        rows=rows,
        energies=(
            measure_energies(network, rows, progress)
            if trained.architecture.cell == "lstm" and precision == "int8"
            else None
        ),
        progress=progress,
    )
    progress.begin("comparing the float32 graph with torch", 0)
    torch_difference = check_against_torch(
        original.session, network, readout=original.readout, max_tokens=trained.max_tokens
    )
    progress.end()

    bundle = Assembly(
        trained,
        model,
        original,
        name=output.resolve().name,
        precision=precision,
        verify_file=None if verify is None else written_name(Path(verify).name),
        has_thresholds=answers is not None,
    )
    choice = choose(original, wishes, bundle.size)
    candidate = choice.candidate
    probes = candidate.rows.sequences[:_PROBED_TEXTS]
    independence = check_independence(
        candidate.session,
        candidate.graph.states,
        probes,
        integers=candidate.computes_integers,
        readout=original.readout,
    )
    plain = make_session(candidate.graph.model, optimized=False)
    check_same(
        candidate.session,
        plain,
        probes,
        what="ONNX Runtime's optimization",
        readout=original.readout,
    )

    manifest, told = verify_integers(
        bundle.manifest(candidate), original, candidate, max_accuracy_drop=max_accuracy_drop
    )
    manifest = _with_thresholds(manifest, candidate, answers)
    manifest = dataclasses.replace(
        manifest, latency_ms=latencies(candidate.session, trained.max_tokens)
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
        notes=(*said, *choice.notes, *told, *_warnings(manifest, candidate.comparison)),
    )


def _with_thresholds(manifest: Manifest, candidate: Candidate, answers: Answers | None) -> Manifest:
    """Return the manifest with each label's threshold, chosen on the verification rows.

    What the thresholds did on these rows is kept in ``training``: the format has no field for it,
    and releases that do not know these entries read them as what the network comes from.
    """
    if answers is None:
        return manifest
    chosen = fit_thresholds(
        probabilities(candidate.session, encoded(candidate.rows.sequences)),
        candidate.rows.targets > 0.5,
        manifest.labels,
        answers=answers,
        multi_label=manifest.task == "multi-label",
    )
    return dataclasses.replace(
        manifest,
        thresholds=tuple(one.threshold for one in chosen),
        training={**manifest.training, "thresholds": str(answers), **threshold_facts(chosen)},
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
    found = []
    if comparison.shifted and comparison.labels:
        most = comparison.most_shifted
        found.append(
            f"in {comparison.shifted:,} of {comparison.rows:,} rows a probability moves by more "
            f"than {LARGE_SHIFT:g}: most of all that of {most.label!r}, by {most.largest:.3f}"
        )
    never = [manifest.labels[column] for column in comparison.never_predicted]
    if never:
        shown = ", ".join(repr(label) for label in never[:5])
        more = f" and {len(never) - 5} more" if len(never) > 5 else ""
        found.append(f"never predicted on the {comparison.rows:,} verification rows: {shown}{more}")
    return found


def _refuse_target(run: Path, output: Path, *, force: bool) -> None:
    """Refuse a target that is in the way before the work instead of after it."""
    if output.resolve().is_relative_to(run.resolve()):
        raise ConfigError(f"{output}: inside the run {run}; choose a path outside of it")
    refuse_occupied(output, force=force, error=ExportError, complete_marker=MANIFEST)
