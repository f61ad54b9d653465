"""Golden answers of bundles, for comparison with another runtime.

    python benchmarks/portability/make_cases.py FOLDER [BUNDLE ...]

Copies each bundle's graph and writes ``golden.json``: token ids, lengths, and the probabilities
that ONNX Runtime computes for them here. By default it takes the bundles of the tests and of the
package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgate.bundle.storage import read_bundle
from textgate.inference.onnx_runtime import onnxruntime
from textgate.inference.session import make_session

ROOT = Path(__file__).parents[2]
BUNDLES = (
    *sorted((ROOT / "tests" / "data").glob("*/")),
    ROOT / "tests" / "runtime" / "golden" / "bundle",
    ROOT / "runtime" / "models" / "sentiment",
)
TOLERANCE = 1e-4  # largest difference of a probability, in any runtime
_LENGTHS = ((17,), (1, 9, 30, 4, 23))  # tokens per text of each batch
_CHUNKS = (5, 1, 12, 7)  # tokens per chunk of the streamed text


def make(folder: Path, bundles: list[Path]) -> None:
    """Write the models and ``golden.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case(path, folder) for path in bundles]
    golden = {"tolerance": TOLERANCE, "made_by": onnxruntime.__version__, "cases": cases}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")
    print(f"{folder}: {', '.join(case['name'] for case in cases)}")


def case(path: Path, folder: Path) -> dict[str, Any]:
    """Write a bundle's graph and return its entry in the golden file."""
    bundle = read_bundle(path)
    (folder / f"{path.name}.onnx").write_bytes(bundle.graph)
    session = make_session(bundle.graph)
    words = bundle.manifest.architecture.vocabulary_size
    generator = np.random.default_rng(1)
    chunks = None
    if bundle.manifest.state:
        chunks = answered(session, generator, (sum(_CHUNKS),), words)
        pieces = np.split(np.array(chunks["ids"][0]), np.cumsum(_CHUNKS)[:-1])
        chunks["ids"] = [piece.tolist() for piece in pieces]
    return {
        "name": path.name,
        "file": f"{path.name}.onnx",
        "states": [{"input": one.input, "output": one.output} for one in bundle.manifest.state],
        "batches": [answered(session, generator, lengths, words) for lengths in _LENGTHS],
        "chunks": chunks,
    }


def answered(
    session: onnxruntime.InferenceSession,
    generator: np.random.Generator,
    lengths: tuple[int, ...],
    words: int,
) -> dict[str, Any]:
    """Return random texts of these lengths, padded with 0 on the right, and their probabilities."""
    ids: NDArray[np.int64] = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    for row, length in enumerate(lengths):
        ids[row, :length] = generator.integers(1, words, length)
    feed = {"input_ids": ids, "lengths": np.array(lengths, dtype=np.int64)}
    values = session.run(["probabilities"], feed)[0]
    return {"ids": ids.tolist(), "lengths": list(lengths), "probabilities": values.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write golden answers for another runtime.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="bundle")
    options = parser.parse_args()
    make(options.folder, options.bundles or list(BUNDLES))
