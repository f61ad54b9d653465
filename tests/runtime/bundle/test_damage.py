"""Bundles with one byte flipped or the end cut off: refused, or the answer they always gave.

The bundles are tried in processes of their own, which a crash or a hang would end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
TRIALS = REPOSITORY / "tests" / "fuzz" / "trials.py"
GOLDEN = Path(__file__).parents[1] / "golden" / "bundle"
GOLDEN_BYTES = sum(path.stat().st_size for path in GOLDEN.iterdir())

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs limits on memory")


@pytest.fixture(autouse=True)
def either_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The native engine refuses the golden bundle, which is not one of textgate's own."""
    monkeypatch.delenv("TEXTGATE_ENGINE", raising=False)


def outcomes(
    kind: str, cases: int, folder: Path, *, first: int = 0, every: int = 1
) -> dict[str, int]:
    """Try cases in child processes; fail with the list of those that must not be."""
    result = folder / "fuzz.json"
    command = [sys.executable, TRIALS, "--kind", kind, "--out", result]
    command += ["--cases", str(cases * every), "--first", str(first), "--every", str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text(encoding="utf-8"))["kinds"][kind]
    assert sum(found["outcomes"].values()) == found["cases"] == cases
    return found["outcomes"]


def test_every_byte_flipped_or_cut_off(tmp_path: Path) -> None:
    """Each byte of the golden bundle is flipped in one of two ways, or its file ends before it.

    No size of a file but the card's is a multiple of 3, so that every third case meets every byte.
    """
    found = outcomes("damaged", GOLDEN_BYTES, tmp_path, first=2, every=3)
    card = (GOLDEN / "README.md").stat().st_size
    # The card may be edited, and the manifest's last line end may be missing; nothing else.
    harmless = card + 1
    assert found == {"refused": GOLDEN_BYTES - harmless, "same answer": harmless}


def test_some_of_them_with_checksums_that_fit(tmp_path: Path) -> None:
    """Manifest, graph and tokenizer are parsed now, and what is left runs."""
    found = outcomes("signed", 1000, tmp_path)
    assert set(found) == {"answered", "refused", "refused when it was run"}
    assert found["answered"] > 25


def test_manifests_and_tokenizers_with_other_values(tmp_path: Path) -> None:
    found = outcomes("documents", 200, tmp_path)
    assert set(found) == {"answered", "refused", "refused when it was run"}
    assert found["answered"] > 5
