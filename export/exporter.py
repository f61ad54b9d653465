"""From a finished run to a verified bundle: the story that `textgate export` tells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import textgate
from textgate import run as run_folder
from textgate.bundle import CARD, GRAPH, TOKENIZER, file_entries, write_bundle
from textgate.errors import BundleError, ConfigError, ExportError
from textgate.export.candidate import Original
from textgate.export.card import model_card
from textgate.export.choice import Wishes, choose
from textgate.export.nodes import IR_VERSION, OPSET
from textgate.export.plan import EMBEDDING_BITS
from textgate.export.report import operator_reports
from textgate.export.verification import check_against_torch, check_independence, check_same
from textgate.export.verification import run as run_graph
from textgate.export.weights import network_weights
from textgate.latency import measure_alternating, percentiles
from textgate.manifest import Manifest
from textgate.rows import load_labelled
from textgate.run import read_run
from textgate.session import make_session
from textgate.tokenizer import TextTokenizer
from textgate.train.checkpoint import load_model
from textgate.train.dataset import Dataset, encode_rows
from textgate.train.fitting import Columns
from textgate.train.model import TextClassifier

if TYPE_CHECKING:
    import onnxruntime

    from textgate.export.candidate import Candidate
    from textgate.export.verification import Comparison
    from textgate.run import RunManifest
    from textgate.train.checkpoint import TrainedModel

PRECISIONS = ("int8", "float32")
MAX_ACCURACY_DROP = 0.003
_PROBED_TEXTS = 64  # enough to see a dependence on batch or chunks, few enough to take no time
_TIMED_TOKENS = (25, 100)
_TIMED_SECONDS = 0.2
_SPARE_BYTES = 256  # what the manifest grows by when the latencies are filled in


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
    original = Original.build(
        trained.architecture,
        network_weights(trained.architecture, model.weights),
        temperature=model.temperature,
        tokenizer_json=tokenizer_json,
        rows=_verification_rows(run, trained, tokenizer_json, verify, columns or Columns()),
    )
    network = TextClassifier(trained.architecture)
    network.load_state_dict(model.weights)
    torch_difference = check_against_torch(
        original.session, network, temperature=model.temperature, max_tokens=trained.max_tokens
    )

    def describe(candidate: Candidate) -> tuple[Manifest, bytes]:
        """Return a candidate's manifest, its files apart, and its card."""
        manifest = _manifest(trained, model, original, candidate, precision)
        card = model_card(
            manifest,
            name=output.name,
            model_bytes=len(candidate.graph.model),
            comparison=candidate.comparison,
        )
        return manifest, card.encode("utf-8")

    def bundle_bytes(candidate: Candidate) -> int:
        manifest, card = describe(candidate)
        files = _files(candidate, card)
        manifest = dataclasses.replace(manifest, files=file_entries(files))
        return (
            sum(map(len, files.values())) + len(manifest.to_json().encode("utf-8")) + _SPARE_BYTES
        )

    choice = choose(original, wishes, bundle_bytes)
    candidate = choice.candidate
    probes = candidate.rows.sequences[:_PROBED_TEXTS]
    independence = check_independence(candidate.session, candidate.graph.states, probes)
    plain = make_session(candidate.graph.model, optimized=False)
    check_same(candidate.session, plain, probes, what="ONNX Runtime's optimization")

    manifest, card = describe(candidate)
    manifest = write_bundle(
        output,
        manifest_without_files=dataclasses.replace(
            manifest, latency_ms=_latencies(candidate.session, manifest.max_tokens)
        ),
        files=_files(candidate, card),
        force=force,
    )
    notes = (*choice.notes, *_warnings(manifest, candidate.comparison))
    return Exported(output, manifest, candidate.comparison, torch_difference, independence, notes)


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


def _files(candidate: Candidate, card: bytes) -> dict[str, bytes]:
    return {
        GRAPH: candidate.graph.model,
        TOKENIZER: candidate.tokenizer_json.encode("utf-8"),
        CARD: card,
    }


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
) -> Dataset:
    """Return the rows to verify on, encoded; those kept with the run unless a file is given."""
    if verify is None:
        path: str | Path = run / run_folder.DEV_ROWS
        rows = load_labelled(path, several_labels=False)
    else:
        path = verify
        rows = load_labelled(
            path,
            format=columns.format,
            text_field=columns.text,
            label_field=columns.label,
            several_labels=False,
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
    return encode_rows(rows, tokenizer, trained.labels, file=str(path))


def _manifest(
    trained: RunManifest,
    model: TrainedModel,
    original: Original,
    candidate: Candidate,
    precision: str,
) -> Manifest:
    """Return the manifest of a candidate, without its files and latencies."""
    architecture = candidate.architecture
    return Manifest(
        architecture=architecture,
        labels=trained.labels,
        max_tokens=trained.max_tokens,
        temperature=model.temperature,
        thresholds=(None,) * len(trained.labels),
        precision=precision,
        opset=OPSET,
        ir_version=IR_VERSION,
        state=candidate.graph.states,
        quality={
            "float32": candidate.comparison.before,
            "exported": candidate.comparison.after,
        },
        operators=operator_reports(
            architecture,
            candidate.plan,
            float32_model=original.graph.model,
            model=candidate.graph.model,
        ),
        latency_ms={},
        training={
            "preset": trained.preset,
            "seed": trained.settings["seed"],
            "epochs": len(model.history),
            "best_epoch": model.best_epoch,
            "train_file": trained.train.file,
            "train_rows": trained.train.rows,
            "train_sha256": trained.train.sha256,
            "dev_rows": trained.dev.rows,
            "dev_sha256": trained.dev.sha256,
        },
        versions={
            **trained.versions,
            "textgate": textgate.__version__,
            "onnx": version("onnx"),
            "onnxruntime": version("onnxruntime"),
        },
        files={},
    )


def _latencies(session: onnxruntime.InferenceSession, max_tokens: int) -> dict[str, float]:
    """Return a first measure: the median time of one text, in milliseconds, on one thread."""
    result = {}
    for tokens in _TIMED_TOKENS:
        if tokens <= max_tokens:
            ids = np.ones((1, tokens), dtype=np.int64)
            lengths = np.array([tokens], dtype=np.int64)
            call = partial(run_graph, session, ids, lengths)
            times = measure_alternating({"run": call}, seconds=_TIMED_SECONDS)
            result[f"p50_{tokens}_tokens"] = percentiles(times["run"]).p50
    return result
