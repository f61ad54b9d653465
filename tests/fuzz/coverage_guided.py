"""Coverage-guided fuzzing of the readers of bundles and of rows.

    pip install atheris pyarrow
    python tests/fuzz/coverage_guided.py bundle CORPUS_FOLDER -max_total_time=300
    python tests/fuzz/coverage_guided.py rows CORPUS_FOLDER -max_total_time=300

The first byte of an input chooses the reader or the format; for rows, the second one chooses
whether labels are read and whether the file is compressed. Anything but rows or a `TextgateError`
of one line is a finding.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris
from cases import GOLDEN

with atheris.instrument_imports(include=["textgate", "csv", "json"]):
    from textgate.bundle import strict_json
    from textgate.bundle.checks.reader import read_graph
    from textgate.bundle.checks.rules import check_graph
    from textgate.bundle.checks.tokenizer import check_tokenizer
    from textgate.bundle.manifest import MANIFEST, Manifest
    from textgate.errors import TextgateError
    from textgate.rows import INPUT_FORMATS, Columns, read_rows

SOUND = Manifest.parse((GOLDEN / MANIFEST).read_bytes(), where="golden")
ROWS = {
    "text": b"good\nbad film\n",
    "jsonl": b'{"text": "good", "label": "a", "n": 1}\n{"text": "", "label": ["a", "b"]}\n',
    "csv": b'text,label\r\n"go""od, x",a\r\n"two\nlines",b\r\n',
    "tsv": b"text\tlabel\ngood\ta\n",
    "fasttext": b"__label__a __label__b good film\n__label__a bad\n",
    "parquet": b"PAR1",
}
SCRATCH = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)


def main() -> None:
    """Fuzz what the first argument names; the others are libFuzzer's."""
    target, corpus = TARGETS[sys.argv[1]]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in corpus():
        (folder / name).write_bytes(content)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


def try_bundle(data: bytes) -> None:
    """Read one input as a graph, a manifest or a tokenizer."""
    reader, content = data[:1], data[1:]
    try:
        if reader < b"\x55":
            check_graph(read_graph(content), SOUND)
        elif reader < b"\xaa":
            Manifest.parse(_signed(content), where="manifest")
        else:
            check_tokenizer(content, rows=4, where="tokenizer")
    except TextgateError as problem:
        if "\n" in str(problem):
            raise


def try_rows(data: bytes) -> None:
    """Read one input as a file of rows."""
    if len(data) < 2:
        return
    chosen, labelled = INPUT_FORMATS[data[0] % len(INPUT_FORMATS)], bool(data[1] & 1)
    packed = bool(data[1] & 2) and chosen != "parquet"
    path = Path(SCRATCH.name) / ("rows.gz" if packed else "rows")
    path.write_bytes(data[2:])
    try:
        for row in read_rows(path, Columns(format=chosen), labelled=labelled):
            if not isinstance(row.text, str) or (labelled and row.labels is None):
                raise AssertionError(row)
    except TextgateError as problem:
        if "\n" in str(problem):
            raise


def bundle_corpus() -> Iterator[tuple[str, bytes]]:
    """Yield the files of the golden bundle."""
    for reader, name in ((b"\0", "model.onnx"), (b"\x60", MANIFEST), (b"\xff", "tokenizer.json")):
        yield name, reader + (GOLDEN / name).read_bytes()


def rows_corpus() -> Iterator[tuple[str, bytes]]:
    """Yield a file in every format, with labels and without."""
    for number, name in enumerate(INPUT_FORMATS):
        for flags in (0, 1):
            yield f"{name}-{flags}", bytes((number, flags)) + ROWS[name]
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(SCRATCH.name) / "table"
    pq.write_table(pa.table({"text": ["good"], "label": ["a"]}), path)
    yield "table", bytes((INPUT_FORMATS.index("parquet"), 1)) + path.read_bytes()


TARGETS = {"bundle": (try_bundle, bundle_corpus), "rows": (try_rows, rows_corpus)}


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


if __name__ == "__main__":
    main()
