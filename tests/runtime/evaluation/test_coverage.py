from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from textgate.bundle.manifest import Manifest
from textgate.bundle.storage import read_bundle
from textgate.evaluation.coverage import (
    CoveragePoint,
    LabelThreshold,
    coverage_curve,
    label_thresholds,
    threshold_facts,
    threshold_table,
    uncalibrated,
)

PROBABILITIES = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]], dtype=np.float32)
TRUTH = np.array([0, 1, 1, 1])


@pytest.mark.parametrize(
    ("threshold", "coverage", "accuracy"),
    [(0.0, 1.0, 0.75), (0.58, 0.75, 2 / 3), (0.7, 0.5, 1.0), (0.85, 0.25, 1.0), (0.95, 0.0, None)],
)
def test_coverage_and_accuracy_above_a_threshold(
    threshold: float, coverage: float, accuracy: float | None
) -> None:
    assert coverage_curve(PROBABILITIES, TRUTH, [threshold]) == [
        CoveragePoint(threshold, coverage, None if accuracy is None else pytest.approx(accuracy))
    ]


def test_rows_that_get_no_label_are_not_answered() -> None:
    answerable = np.array([True, False, True, True])
    found = coverage_curve(PROBABILITIES, TRUTH, [0.0, 0.58], answerable=answerable)
    assert found == [CoveragePoint(0.0, 0.75, 1.0), CoveragePoint(0.58, 0.5, 1.0)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_uncalibrated_undoes_a_softmax_with_temperature(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 2

    def softmax(values: np.ndarray) -> np.ndarray:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    calibrated = softmax(logits / temperature).astype(np.float32)
    restored = uncalibrated(calibrated, temperature, multi_label=False)
    np.testing.assert_allclose(restored, softmax(logits), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_uncalibrated_undoes_a_sigmoid_with_temperature(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 2
    calibrated = (1 / (1 + np.exp(-logits / temperature))).astype(np.float32)
    restored = uncalibrated(calibrated, temperature, multi_label=True)
    np.testing.assert_allclose(restored, 1 / (1 + np.exp(-logits)), atol=1e-4)


def test_saturated_probabilities_stay_finite() -> None:
    saturated = np.array([[0.0, 1.0]], dtype=np.float32)
    for multi_label in (False, True):
        assert np.isfinite(uncalibrated(saturated, 3.0, multi_label=multi_label)).all()


# Thresholds, and what they were chosen on


CHOSEN = (LabelThreshold("a", 0.75, 60, 50, 48), LabelThreshold("b", None, 0, 0, 0))


def manifest(
    bundle: Path, training: dict[str, str | int | float], *thresholds: float | None
) -> Manifest:
    """The manifest of a bundle with two labels, and others of its fields."""
    return dataclasses.replace(
        read_bundle(bundle).manifest, labels=("a", "b"), thresholds=thresholds, training=training
    )


def test_a_manifest_keeps_what_thresholds_were_chosen_on(bundle: Path) -> None:
    written = manifest(bundle, {"seed": 0, **threshold_facts(CHOSEN)}, 0.75, None)
    read = Manifest.parse(written.to_json().encode(), where="textgate.json")
    assert label_thresholds(read) == CHOSEN
    header, rows, align = threshold_table(CHOSEN)
    assert len(header) == len(align)
    assert rows == [["a", "0.75", "60", "50 (83.3%)", "48 (96.0%)"], ["b", "none", "0", "0", "0"]]


@pytest.mark.parametrize(
    "entry", [None, 7, "", "60", "60, 0, 0", "60,0", "60, -1", "60, x", "60, \u0663", "9" * 9999]
)
def test_a_manifest_that_keeps_nothing_or_something_else(bundle: Path, entry: object) -> None:
    """Older ones, and a stranger's."""
    training = {} if entry is None else {"threshold_answers": entry}
    found = label_thresholds(manifest(bundle, training, 0.75, None))
    assert found == (LabelThreshold("a", 0.75), LabelThreshold("b", None))
    assert threshold_table(found)[1] == [["a", "0.75", "-", "-", "-"], ["b", "none", "-", "-", "-"]]


def test_no_thresholds(bundle: Path) -> None:
    assert label_thresholds(manifest(bundle, {}, None, None)) == ()
