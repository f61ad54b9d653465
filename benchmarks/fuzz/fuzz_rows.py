"""Coverage-guided fuzzing of the readers of rows.

    pip install atheris pyarrow
    python benchmarks/fuzz/fuzz_rows.py -max_total_time=300 CORPUS_FOLDER

The first byte of an input chooses the format, the second whether labels are read and whether the
file is compressed. Anything but rows or a `TextgateError` of one line is a finding.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["textgate", "csv", "json"]):
    from textgate.errors import TextgateError
    from textgate.rows import FORMATS, Columns, read_rows

SEEDS = {
    "text": b"good\nbad film\n",
    "jsonl": b'{"text": "good", "label": "a", "n": 1}\n{"text": "", "label": ["a", "b"]}\n',
    "csv": b'text,label\r\n"go""od, x",a\r\n"two\nlines",b\r\n',
    "tsv": b"text\tlabel\ngood\ta\n",
    "fasttext": b"__label__a __label__b good film\n__label__a bad\n",
    "parquet": b"PAR1",
}
FOLDER = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: S108


def try_rows(data: bytes) -> None:
    """Read one input."""
    if len(data) < 2:
        return
    chosen, labelled = FORMATS[data[0] % len(FORMATS)], bool(data[1] & 1)
    packed = bool(data[1] & 2) and chosen != "parquet"
    path = Path(FOLDER.name) / ("rows.gz" if packed else "rows")
    path.write_bytes(data[2:])
    try:
        for row in read_rows(path, Columns(format=chosen), labelled=labelled):
            if not isinstance(row.text, str) or (labelled and row.labels is None):
                raise AssertionError(row)
    except TextgateError as problem:
        if "\n" in str(problem):
            raise


def seed(folder: Path) -> None:
    """Write one input a format."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(FORMATS):
        for flags in (0, 1):
            (folder / f"{name}-{flags}").write_bytes(bytes((number, flags)) + SEEDS[name])
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return
    path = folder / "table"
    pq.write_table(pa.table({"text": ["good"], "label": ["a"]}), path)
    path.write_bytes(bytes((FORMATS.index("parquet"), 1)) + path.read_bytes())


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if not argument.startswith("-"):
            seed(Path(argument))
            break
    atheris.Setup(sys.argv, try_rows)
    atheris.Fuzz()
