"""The gate for GRU and RNN layers in integers, which only the native engine can compute."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from textgate.bundle.checks.reader import read_graph
from textgate.errors import BundleError
from textgate.export.quality import compare_graphs
from textgate.export.quantize.plan import Storage
from textgate.native.library import LibraryError
from textgate.native.model import INTEGERS, VERIFIED, UnknownPartError, model_bytes
from textgate.native.session import NativeSession

if TYPE_CHECKING:
    from textgate.bundle.manifest import Manifest
    from textgate.export.candidate import Candidate, Original

MIN_AGREEMENT = 0.995  # fraction of rows with the decision of the float32 graph
REFUSED = "refused"


def verify_integers(
    manifest: Manifest, original: Original, candidate: Candidate, *, max_accuracy_drop: float
) -> tuple[Manifest, list[str]]:
    """Return the manifest with the outcome of the gate in ``training``, and notes.

    The format has no field for the outcome; releases that do not know the entries ignore them.
    Without the native library nothing is recorded, and the engine computes in float32.

    Args:
        manifest: that of the candidate.
        original: the network in full precision.
        candidate: the graph that is published.
        max_accuracy_drop: most accuracy that integers may lose, as a fraction.
    """
    net, plan = candidate.architecture, candidate.plan
    layers = range(len(net.hidden_sizes))
    if all(plan.storage(index, net.cell) is not Storage.STORED for index in layers):
        return manifest, []
    if net.cell == "lstm":
        return manifest, []  # stored layers of an LSTM were given more precision on purpose
    kind = net.cell.upper()
    asked = _recorded(manifest, {INTEGERS: VERIFIED})
    try:
        session = NativeSession(model_bytes(read_graph(candidate.graph.model), asked))
        original.progress.begin(f"verifying integer {kind} layers", 2 * len(candidate.rows))
        found = compare_graphs(
            original.session,
            session,
            original.rows,
            candidate.rows,
            labels=original.labels,
            multi_label=net.task == "multi-label",
            progress=original.progress,
        )
        original.progress.end()
    except (LibraryError, UnknownPartError, BundleError) as problem:
        note = f"integer {kind} layers were not verified, and the native engine will compute them"
        return manifest, [f"{note} in float32: {problem}"]
    passed = found.agreement >= MIN_AGREEMENT and found.allows(max_accuracy_drop)
    figures = (
        f"integer {kind} layers in the native engine, against float32 on {found.rows:,} rows: same "
        f"decision in {found.agreement:.2%}, accuracy {found.before.accuracy:.4f} to "
        f"{found.after.accuracy:.4f}"
    )
    facts: dict[str, str | float] = {
        INTEGERS: VERIFIED if passed else REFUSED,
        f"{INTEGERS}_agreement": round(found.agreement, 6),
        f"{INTEGERS}_accuracy": round(found.after.accuracy, 6),
    }
    outcome = "" if passed else "; that is not enough, and it will compute them in float32"
    return _recorded(manifest, facts), [figures + outcome]


def _recorded(manifest: Manifest, facts: dict[str, str | float]) -> Manifest:
    return dataclasses.replace(manifest, training={**manifest.training, **facts})
