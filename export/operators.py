"""Storage, computation and size of each operator's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from textgate.bundle.manifest import OperatorReport
from textgate.export.integers import REFUSED
from textgate.export.quantize.plan import Storage
from textgate.native.model import INTEGERS, VERIFIED
from textgate.tables import format_count, format_table

if TYPE_CHECKING:
    from textgate.bundle.architecture import Architecture
    from textgate.bundle.manifest import Manifest, Precision
    from textgate.export.quantize.plan import Plan

_EMBEDDINGS = {32: "float32", 8: "int8 per column", 4: "4-bit per row"}
_BY_NATIVE = {
    VERIFIED: "in int8 by the native engine",
    REFUSED: "by the native engine, whose integers changed too many decisions",
    "": "by the native engine, whose integers were not verified",
}


def operator_reports(
    architecture: Architecture, plan: Plan, *, float32_model: bytes, model: bytes
) -> tuple[OperatorReport, ...]:
    """Return a report for every operator with weights, in the order of the network.

    Args:
        architecture: the logical network.
        plan: the plan of `model`.
        float32_model: the graph without quantization, as ONNX bytes.
        model: the graph to report on, as ONNX bytes.
    """
    before, after = _bytes_by_operator(float32_model), _bytes_by_operator(model)
    return tuple(
        OperatorReport(name, kind, stored, computed, before[name], after[name])
        for name, kind, stored, computed in _operators(architecture, plan)
    )


def format_report(manifest: Manifest) -> str:
    """Return the table of a manifest's operators, its totals, and the remarks."""
    reports = manifest.operators
    rows = [
        [
            report.name,
            report.kind,
            report.stored,
            report.computed,
            format_count(report.bytes_before),
            format_count(report.bytes_after),
        ]
        for report in reports
    ]
    before = sum(report.bytes_before for report in reports)
    after = sum(report.bytes_after for report in reports)
    rows.append(["total", "", "", "", format_count(before), format_count(after)])
    header = ["operator", "kind", "stored", "computed", "bytes before", "bytes after"]
    return "\n".join([format_table(header, rows, align="<<<<>>"), *remarks(manifest)])


def remarks(manifest: Manifest) -> list[str]:
    """Return a remark for each layer that is stored in int8 and computed in float32."""
    return [
        f"{report.name}: stored int8, "
        + (
            "computed in float32: its integer kernel lost too much accuracy"
            if report.kind == "LSTM"
            else "computed in float32 by ONNX Runtime, which has no integer kernel for it, and "
            f"{_BY_NATIVE[str(manifest.training.get(INTEGERS, ''))]}"
        )
        for report in manifest.operators
        if report.kind in ("LSTM", "GRU", "RNN")
        and report.stored != "float32"
        and report.computed == "float32"
    ]


def _operators(architecture: Architecture, plan: Plan) -> list[tuple[str, str, str, Precision]]:
    """Return name, kind, storage and computation of each operator."""
    net = architecture
    rows: list[tuple[str, str, str, Precision]] = [
        ("embedding", "Embedding", _EMBEDDINGS[plan.embedding_bits], "float32")
    ]
    granularity = "per channel" if plan.per_channel else "per tensor"
    for index in range(len(net.hidden_sizes)):
        storage = plan.storage(index, net.cell)
        stored = {
            Storage.FLOAT32: "float32",
            Storage.STORED: f"int8 {granularity}",
            Storage.COMPUTED: f"7-bit in int8 {granularity}",
        }[storage]
        computed: Precision = "int8" if storage is Storage.COMPUTED else "float32"
        rows.append((f"{net.cell}_{index + 1}", net.cell.upper(), stored, computed))
    if "attention" in net.pooling:
        rows.append(("attention", "Attention", "float32", "float32"))
    rows.extend(
        (f"dense_{index + 1}", "Dense", "float32", "float32")
        for index in range(len(net.dense_sizes))
    )
    output = "int8 per channel" if plan.output is Storage.STORED else "float32"
    rows.append(("output", "Dense", output, "float32"))
    if net.linear_size:
        stored = "float32" if plan.embedding_bits == 32 else "int8 per column"
        rows.append(("linear", "Linear branch", stored, "float32"))
    return rows


def _bytes_by_operator(model: bytes) -> dict[str, int]:
    """Return the bytes of each operator's constants, by the first part of their names."""
    result: dict[str, int] = {}
    for tensor in onnx.load_model_from_string(model).graph.initializer:
        name = tensor.name.removeprefix("state.").partition(".")[0]
        size = len(tensor.raw_data)
        result[name] = result.get(name, 0) + size
    return result
