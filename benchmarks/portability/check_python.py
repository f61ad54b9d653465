"""Run the golden cases in whatever ONNX Runtime is installed.

    python check_python.py GOLDEN_FOLDER [RESULT.json]

Needs only onnxruntime and numpy, old ones too (and Python 3.10): textgate is not imported. Exits
with 1 if a probability differs by more than the golden file's tolerance, or a model does not run.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def check(folder: Path) -> dict:
    """Return the versions and, by case, the largest difference or the runtime's complaint."""
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    result = {
        "runtime": "onnxruntime " + onnxruntime.__version__,
        "versions": {
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "saturates": _saturates(folder, golden["saturation"]),
        "ok": True,
        "cases": {},
        "trained": None,
    }
    for case in golden["cases"]:
        try:
            found = _differences(folder, case)
        except Exception as problem:  # the package's errors have no common base
            found = {"error": " ".join(str(problem).split())}
        # Written so that NaN does not pass.
        passed = "error" not in found and all(
            value is None or value <= golden["tolerance"] for value in found.values()
        )
        result["ok"] = result["ok"] and passed
        result["cases"][case["name"]] = found
        print(_line(case["name"], found, passed))
    if result["ok"]:
        result["trained"] = _trained(folder, golden)
        print("trained on reviews, int8:", json.dumps(result["trained"]))
    return result


def _saturates(folder: Path, probe: dict) -> bool | None:
    """Whether products of full 8-bit integers are cut off here, as on AVX2 without VNNI.

    textgate's integer LSTM must not care: its weights have 7 bits.
    """
    activations = np.full((1, probe["terms"]), 255, dtype=np.uint8)
    try:
        session = _session(folder / probe["file"])
    except Exception:  # the cases say what is wrong
        return None
    return bool((session.run(["sums"], {"activations": activations})[0] != probe["sum"]).any())


def _differences(folder: Path, case: dict) -> dict:
    """Return the largest differences: texts in batches, and a text in pieces (None: cannot)."""
    session = _session(folder / case["file"])
    batches = []
    for batch in case["batches"]:
        feeds = {
            "input_ids": np.array(batch["ids"], dtype=np.int64),
            "lengths": np.array(batch["lengths"], dtype=np.int64),
        }
        values = session.run(["probabilities"], feeds)[0]
        batches.append(_largest(values, batch))
    pieces = None
    if case["chunks"] is not None:
        pieces = _largest(_fed_in_pieces(session, case), case["chunks"])
    return {"batches": float(np.max(batches)), "pieces": pieces}


def _trained(folder: Path, golden: dict) -> dict:
    """Count the real texts whose probabilities move: no failure, see the README."""
    session = _session(folder / golden["trained"]["file"])
    differences, decisions = [], 0
    for text in golden["trained"]["texts"]:
        feeds = {"input_ids": np.array([text["ids"]]), "lengths": np.array([len(text["ids"])])}
        values = session.run(["probabilities"], feeds)[0][0]
        expected = np.array(text["probabilities"])
        differences.append(np.abs(values - expected).max())
        decisions += int(values.argmax() != expected.argmax())
    return {
        "texts": len(differences),
        "largest": float(np.max(differences)),
        "above_tolerance": int(np.sum(np.array(differences) > golden["tolerance"])),
        "other_decisions": decisions,
    }


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # else it warns that the initial states may be overridden
    model = path.read_bytes()  # a file's path would be part of every complaint
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _fed_in_pieces(session: onnxruntime.InferenceSession, case: dict) -> np.ndarray:
    """Return the probabilities after the last piece, each going on from the states before it."""
    names = ["probabilities", *(state["output"] for state in case["states"])]
    carried: dict = {}
    values = []
    for ids in case["chunks"]["ids"]:
        feeds = {
            "input_ids": np.array([ids], dtype=np.int64),
            "lengths": np.array([len(ids)], dtype=np.int64),
        }
        values = session.run(names, {**feeds, **carried})
        inputs = (state["input"] for state in case["states"])
        carried = dict(zip(inputs, values[1:], strict=True))
    return values[0]


def _largest(values: np.ndarray, expected: dict) -> float:
    """Return the largest difference from what ONNX Runtime and torch computed, NaN if any is."""
    references = [expected["probabilities"], expected["torch"]]
    return float(
        np.max(
            [np.abs(values - np.array(known)).max() for known in references if known is not None]
        )
    )


def _line(name: str, found: dict, passed: bool) -> str:
    word = "ok  " if passed else "FAIL"
    if "error" in found:
        return f"{word} {name}: {found['error'][:200]}"
    pieces = "cannot stream" if found["pieces"] is None else f"in pieces {found['pieces']:.1e}"
    return f"{word} {name}: {found['batches']:.1e}, {pieces}"


def main() -> int:
    """Check, print, write the result; return the exit code."""
    if len(sys.argv) not in (2, 3):
        print("usage: check_python.py GOLDEN_FOLDER [RESULT.json]", file=sys.stderr)
        return 2
    result = check(Path(sys.argv[1]))
    if len(sys.argv) == 3:
        Path(sys.argv[2]).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    cut = {True: "yes", False: "no", None: "unknown"}[result["saturates"]]
    print(f"sums of full 8-bit products are cut off here: {cut}")
    print(f"{result['runtime']}: {'all cases agree' if result['ok'] else 'FAILED'}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
