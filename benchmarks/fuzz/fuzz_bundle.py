"""Coverage-guided fuzzing of what reads a stranger's bundle: manifest, graph and tokenizer rules.

    pip install atheris
    python benchmarks/fuzz/fuzz_bundle.py -max_total_time=300 CORPUS_FOLDER

The first byte of an input chooses the reader. Anything but a `BundleError` of one line is a
finding.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["textgate", "json"]):
    from textgate import strict_json
    from textgate.errors import BundleError
    from textgate.graph_reader import read_graph
    from textgate.graph_rules import check_graph
    from textgate.manifest import MANIFEST, Manifest
    from textgate.tokenizer_rules import check_tokenizer

GOLDEN = Path(__file__).parents[2] / "tests" / "runtime" / "golden" / "bundle"
SOUND = Manifest.parse((GOLDEN / MANIFEST).read_bytes(), where="golden")


def try_bundle(data: bytes) -> None:
    """Read one input."""
    reader, content = data[:1], data[1:]
    try:
        if reader < b"\x55":
            check_graph(read_graph(content), SOUND)
        elif reader < b"\xaa":
            Manifest.parse(_signed(content), where="manifest")
        else:
            check_tokenizer(content, rows=4, where="tokenizer")
    except BundleError as problem:
        if "\n" in str(problem):
            raise


def _signed(content: bytes) -> bytes:
    """Return the manifest with its checksum made to fit, so that all of it is read."""
    try:
        document = json.loads(content)
        document["checksum"] = strict_json.sha256(
            {name: value for name, value in document.items() if name != "checksum"}
        )
        return json.dumps(document).encode()
    except (AttributeError, TypeError, ValueError, RecursionError):
        return content


def seed(folder: Path) -> None:
    """Write the files of the golden bundle as the first inputs, if there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    for reader, name in ((b"\0", "model.onnx"), (b"\x60", MANIFEST), (b"\xff", "tokenizer.json")):
        content = reader + (GOLDEN / name).read_bytes()
        (folder / hashlib.sha1(content, usedforsecurity=False).hexdigest()).write_bytes(content)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if not argument.startswith("-"):
            seed(Path(argument))
            break
    atheris.Setup(sys.argv, try_bundle)
    atheris.Fuzz()
