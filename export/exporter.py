"""Export of a finished run as a verified bundle, step by step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textgate.atomic import refuse_occupied
from textgate.bench.timing import measure_alternating, percentiles
from textgate.bundle import run as run_folder
from textgate.bundle.manifest import Manifest
from textgate.bundle.run import is_run, read_run, written_name
from textgate.bundle.storage import MANIFEST, write_bundle
from textgate.errors import ConfigError, ExportError, UselessModelError
from textgate.evaluation.coverage import threshold_facts
from textgate.evaluation.floor import beats_floor
from textgate.export.assembly import Assembly
from textgate.export.candidate import Original
from textgate.export.choice import Constraints, choose
from textgate.export.front_matter import Publication
from textgate.export.inputs import read_tokenizer, verification_rows
from textgate.export.integers import verify_integers
from textgate.export.quality import LARGE_SHIFT, MAX_ACCURACY_DROP, quality
from textgate.export.quantize.hessian import measure_hessians
from textgate.export.quantize.weights import network_weights
from textgate.export.thresholds import Answers, fit_thresholds
from textgate.export.verification import (
    check_against_torch,
    check_batch_invariance,
    check_same,
    encoded,
    run_batch,
    session_probabilities,
)
from textgate.inference.session import make_session
from textgate.rows import Columns
from textgate.train.network.model import TextClassifier
from textgate.train.training.checkpoint import load_model
from textgate.train.training.progress import Progress

if TYPE_CHECKING:
    import onnxruntime
    from numpy.typing import NDArray

    from textgate.bundle.manifest import Precision
    from textgate.export.candidate import Candidate
    from textgate.export.quality import Comparison
    from textgate.train.training.checkpoint import TrainedModel

_TIMED_TOKENS = (25, 100)
_TIMED_SECONDS = 0.2
MAX_PROBED_TEXTS = 64  # enough to show a dependence on the batch or the chunks, and fast


@dataclass(frozen=True)
class Exported:
    """A published bundle and the result of its verification.

    Attributes:
        path: the bundle's folder.
        manifest: its manifest.
        comparison: the exported graph compared with the float32 graph.
        torch_difference: largest difference of a probability, float32 graph compared with torch.
        batch_difference: largest change of a probability with the batch or the chunking.
        notes: steps taken to meet the constraints, and warnings.
    """

    path: Path
    manifest: Manifest
    comparison: Comparison
    torch_difference: float
    batch_difference: float
    notes: tuple[str, ...]


def export(
    run: str | Path,
    output: str | Path,
    *,
    precision: Precision = "int8",
    embedding_bits: int = 8,
    verify: str | Path | None = None,
    columns: Columns | None = None,
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
    fallback: bool = False,
    max_bytes: int | None = None,
    answers: Answers | None = None,
    publication: Publication | None = None,
    allow_useless: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write the bundle of a finished run, verified before it is published.

    Args:
        run: the run's folder.
        output: the bundle's folder; on failure it is not created.
        precision: ``int8`` or ``float32``.
        embedding_bits: 8 or 4 bits per value of the embedding, with int8.
        verify: labelled rows to verify on; None takes the run's dev rows, or its training rows if
            folds chose.
        columns: columns of text and label in the file to verify on.
        max_accuracy_drop: largest loss of accuracy by quantization on these rows, as a fraction; a
            loss of up to three rows is always allowed.
        fallback: raise precision piece by piece, cheapest first, until the loss is accepted.
        max_bytes: largest size of the bundle; rare words and embedding bits are dropped to fit.
        answers: precision or coverage that thresholds must reach on the rows; None sets none.
        publication: licence, languages and datasets for the card; None says what the run knows.
        allow_useless: publish a network that is not better than the most frequent label alone.
        force: replace an existing bundle.
        progress: receives the progress.

    Raises:
        CheckpointError: the run is unfinished, damaged or of another version.
        DataError: the rows to verify on are missing or malformed.
        ExportError: the weights do not fit the architecture, no candidate is small enough, or the
            bundle cannot be written.
        UselessModelError: the network is not better than the most frequent label alone.
        VerificationError: the graph does not compute the network; nothing was published.
        ConfigError: a setting is out of range.
    """
    run, output = Path(run), Path(output)
    constraints = Constraints(precision, embedding_bits, max_accuracy_drop, fallback, max_bytes)
    progress = progress or Progress()
    _refuse_target(run, output, force=force)
    trained = read_run(run)
    model = load_model(run / run_folder.MODEL)
    tokenizer_json = read_tokenizer(run)
    if not allow_useless:
        _refuse_useless(run, model)
    network = TextClassifier(trained.architecture)
    row_notes: list[str] = []
    rows, out_of_fold = verification_rows(
        run, trained, tokenizer_json, verify, columns or Columns(), note=row_notes.append
    )
    weights = network_weights(trained.architecture, model.weights)
    network.load_state_dict(model.weights)
    original = Original(
        trained.architecture,
        weights,
        labels=trained.labels,
        temperature=model.temperature,
        tokenizer_json=tokenizer_json,
        max_tokens=trained.max_tokens,
        rows=rows,
        hessians=(
            measure_hessians(network, rows, progress)
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
        precision=constraints.precision,
        verify_file=None if verify is None else written_name(Path(verify).name),
        has_thresholds=answers is not None,
        out_of_fold=(
            None
            if out_of_fold is None
            else quality(out_of_fold, rows.targets, multi_label=original.readout.multi_label)
        ),
        publication=publication or Publication(),
    )
    chosen = choose(original, constraints, bundle.size)
    candidate = chosen.candidate
    probes = candidate.rows.sequences[:MAX_PROBED_TEXTS]
    batch_difference = check_batch_invariance(
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
    manifest = _with_thresholds(manifest, candidate, answers, out_of_fold)
    manifest = dataclasses.replace(
        manifest, latency_ms=_latencies(candidate.session, trained.max_tokens)
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
        batch_difference=batch_difference,
        notes=(*row_notes, *chosen.notes, *told, *_warnings(manifest, candidate.comparison)),
    )


def _refuse_useless(run: Path, model: TrainedModel) -> None:
    if beats_floor(model.metrics):
        return
    found = model.metrics
    raise UselessModelError(
        f"{run}: not better than always giving the most frequent label: accuracy "
        f"{found['accuracy']:.4f} against {found['majority_accuracy']:.4f} and macro-F1 "
        f"{found['macro_f1']:.4f} against {found['floor_macro_f1']:.4f}; label more rows and train "
        "again, or publish it with --allow-useless"
    )


def _with_thresholds(
    manifest: Manifest,
    candidate: Candidate,
    answers: Answers | None,
    out_of_fold: NDArray[np.float32] | None,
) -> Manifest:
    """Return the manifest with each label's threshold, chosen on the verification rows.

    If these rows were trained on, their out-of-fold probabilities choose.

    Their effect on these rows is kept in ``training``: the format has no field for it, and releases
    that do not know these entries show them as facts about the training.
    """
    if answers is None:
        return manifest
    found = out_of_fold
    if found is None:
        found = session_probabilities(candidate.session, encoded(candidate.rows.sequences))
    chosen = fit_thresholds(
        found,
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


def _latencies(session: onnxruntime.InferenceSession, max_tokens: int) -> dict[str, float]:
    """Return the median time of one text on one thread, in milliseconds, by length of the text."""
    result = {}
    for tokens in _TIMED_TOKENS:
        if tokens <= max_tokens:
            ids = np.ones((1, tokens), dtype=np.int64)
            lengths = np.array([tokens], dtype=np.int64)
            call = partial(run_batch, session, ids, lengths)
            times = measure_alternating({"run": call}, seconds=_TIMED_SECONDS)
            result[f"p50_{tokens}_tokens"] = percentiles(times["run"]).p50
    return result


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
    """Refuse an occupied target before the work instead of after it."""
    if is_run(run) and output.resolve().is_relative_to(run.resolve()):
        raise ConfigError(f"{output}: inside the run {run}; choose a path outside of it")
    refuse_occupied(output, force=force, error=ExportError, complete_marker=MANIFEST)
