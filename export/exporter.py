"""From a finished run to a verified bundle: the story that `textgate export` tells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import textgate
from textgate import run as run_folder
from textgate.bundle import CARD, GRAPH, TOKENIZER, write_bundle
from textgate.errors import BundleError, ConfigError, ExportError
from textgate.export.card import model_card
from textgate.export.graph import FLOAT32, INT8, Graph, build_graph
from textgate.export.nodes import IR_VERSION, OPSET
from textgate.export.report import operator_reports
from textgate.export.verification import (
    Comparison,
    check_against_torch,
    check_independence,
    check_same,
    compare,
)
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

    from textgate.run import RunManifest
    from textgate.train.checkpoint import TrainedModel

PRECISIONS = ("int8", "float32")
MAX_ACCURACY_DROP = 0.003
_PROBED_TEXTS = 64  # enough to see a dependence on batch or chunks, few enough to take no time
_TIMED_TOKENS = (25, 100)
_TIMED_SECONDS = 0.2


@dataclass(frozen=True)
class Exported:
    """A published bundle and what verification found.

    Attributes:
        path: the bundle's folder.
        manifest: its manifest.
        comparison: the exported graph against the float32 one.
        torch_difference: largest difference of a probability, float32 graph against torch.
        independence: largest change of a probability with the batch or the chunking.
    """

    path: Path
    manifest: Manifest
    comparison: Comparison
    torch_difference: float
    independence: float


def export(
    run: str | Path,
    output: str | Path,
    *,
    precision: str = "int8",
    verify: str | Path | None = None,
    columns: Columns | None = None,
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
    force: bool = False,
) -> Exported:
    """Write the bundle of a finished run, verified before it is published.

    Args:
        run: the run's folder.
        output: the bundle's folder, made whole or not at all.
        precision: ``int8`` or ``float32``.
        verify: labelled rows to verify on; None takes the dev rows kept with the run.
        columns: where the file to verify on keeps text and label.
        max_accuracy_drop: most accuracy that quantization may lose on them, as a share; a loss of
            three rows or fewer always passes.
        force: replace a bundle that is there.

    Raises:
        CheckpointError: the run is unfinished, damaged or of another version.
        DataError: the rows to verify on are missing or malformed.
        ExportError: the weights do not fit the architecture, or the bundle cannot be written.
        VerificationError: the graph does not compute what it should; nothing was published.
        ConfigError: a setting out of range.
    """
    run, output = Path(run), Path(output)
    if precision not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if not 0 <= max_accuracy_drop <= 1:
        raise ConfigError(f"max_accuracy_drop must be from 0 to 1, not {max_accuracy_drop!r}")
    _refuse_existing(output, force=force)
    trained = read_run(run)
    model = load_model(run / run_folder.MODEL)
    tokenizer_json = _read_tokenizer(run)
    dataset = _verification_rows(run, trained, tokenizer_json, verify, columns or Columns())

    net = trained.architecture
    plan = FLOAT32 if precision == "float32" else INT8
    weights = network_weights(net, model.weights)
    reference = build_graph(net, weights, FLOAT32, temperature=model.temperature)
    graph = build_graph(net, weights, plan, temperature=model.temperature)
    sessions = make_session(reference.model), make_session(graph.model)
    network = TextClassifier(net)
    network.load_state_dict(model.weights)
    torch_difference = check_against_torch(
        sessions[0], network, temperature=model.temperature, max_tokens=trained.max_tokens
    )
    comparison = compare(*sessions, dataset, multi_label=net.task == "multi-label")
    comparison.require(max_accuracy_drop)
    probes = dataset.sequences[:_PROBED_TEXTS]
    independence = check_independence(sessions[1], graph.states, probes)
    plain = make_session(graph.model, optimized=False)
    check_same(sessions[1], plain, probes, what="ONNX Runtime's optimization")

    manifest = _manifest(trained, model, graph, comparison, precision=precision)
    manifest = _with_report(manifest, reference, graph, sessions[1])
    card = model_card(
        manifest, name=output.name, model_bytes=len(graph.model), comparison=comparison
    )
    manifest = write_bundle(
        output,
        manifest_without_files=manifest,
        files={
            GRAPH: graph.model,
            TOKENIZER: tokenizer_json.encode("utf-8"),
            CARD: card.encode("utf-8"),
        },
        force=force,
    )
    return Exported(output, manifest, comparison, torch_difference, independence)


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
    graph: Graph,
    comparison: Comparison,
    *,
    precision: str,
) -> Manifest:
    settings = trained.settings
    return Manifest(
        architecture=trained.architecture,
        labels=trained.labels,
        max_tokens=trained.max_tokens,
        temperature=model.temperature,
        thresholds=(None,) * len(trained.labels),
        precision=precision,
        opset=OPSET,
        ir_version=IR_VERSION,
        state=graph.states,
        quality={"float32": comparison.before, "exported": comparison.after},
        operators=(),
        latency_ms={},
        training={
            "preset": trained.preset,
            "seed": settings["seed"],
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


def _with_report(
    manifest: Manifest, reference: Graph, graph: Graph, session: onnxruntime.InferenceSession
) -> Manifest:
    """Return the manifest with the operators' report and a first measure of latency."""
    plan = FLOAT32 if manifest.precision == "float32" else INT8
    return dataclasses.replace(
        manifest,
        operators=operator_reports(
            manifest.architecture, plan, float32_model=reference.model, model=graph.model
        ),
        latency_ms={
            f"p50_{tokens}_tokens": _median_latency(session, tokens)
            for tokens in _TIMED_TOKENS
            if tokens <= manifest.max_tokens
        },
    )


def _median_latency(session: onnxruntime.InferenceSession, tokens: int) -> float:
    """Return the median time of one text of so many tokens, in milliseconds, on one thread."""
    ids = np.ones((1, tokens), dtype=np.int64)
    lengths = np.array([tokens], dtype=np.int64)
    times = measure_alternating(
        {"run": lambda: run_graph(session, ids, lengths)}, seconds=_TIMED_SECONDS
    )
    return percentiles(times["run"]).p50
