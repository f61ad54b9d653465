"""tests/data/make.py reproduces the bundles in tests/data, except for the weights."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from textgate.bundle.storage import read_bundle
from textgate.native.model import INTEGERS

DATA = Path(__file__).parents[1] / "data"
_spec = importlib.util.spec_from_file_location("make_bundles", DATA / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def test_every_bundle_has_its_recipe():
    assert {path.parent.name for path in DATA.glob("*/textgate.json")} == set(make.BUNDLES)


def test_they_are_small():
    size = sum(path.stat().st_size for path in DATA.rglob("*") if "__pycache__" not in path.parts)
    assert size < 150_000


def kind(bundle):
    """The parts that depend neither on rounding nor on the machine."""
    manifest = bundle.manifest
    return (
        dataclasses.replace(
            manifest,
            temperature=1.0,
            quality={},
            latency_ms={},
            versions={},
            files={},
            operators=(),
            training={
                name: value
                for name, value in manifest.training.items()
                if name not in ("epochs", "best_epoch", "majority_accuracy")
                and not name.startswith(INTEGERS)
            },
        ),
        [(report.name, report.kind) for report in manifest.operators],
        sorted(manifest.latency_ms),
        sorted(manifest.versions),
        sorted(manifest.files),
        bundle.tokenizer,
    )


@pytest.mark.parametrize("name", make.BUNDLES)
def test_they_can_be_made_again(name, tmp_path):
    made, kept = read_bundle(make.make(name, tmp_path)), read_bundle(DATA / name)
    assert kind(made) == kind(kept)
    for measured in ("float32", "exported"):
        left, right = (item.manifest.quality[measured] for item in (made, kept))
        assert left.rows == right.rows
        assert abs(left.accuracy - right.accuracy) < 0.1
