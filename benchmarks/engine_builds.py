"""Builds of the native engine from several folders of sources, compared in alternation.

For those who change the engine: copy `runtime/native`, change the copy, and compare.

    python benchmarks/engine_builds.py runtime/native ../changed

It compiles each folder, runs the reference networks and the package's model on the same token ids,
says whether the builds give the same bits, and prints the ratios of median times to the first
folder's. It writes no result.
"""

from __future__ import annotations

import ctypes
import random
import shlex
import subprocess
import sysconfig
import tempfile
from array import array
from pathlib import Path

import click
from common import PATH, cache_option, reference_bundle
from native import integer_model

from textgate.bench.timing import measure_alternating, percentiles, ratio_of_medians
from textgate.bundle.builtin import bundled_path
from textgate.native.library import with_signatures
from textgate.tables import format_ms, format_table

# As in setup.py.
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-fPIC", "-shared")
SHAPES = ((1, 1), (10, 1), (25, 1), (100, 1), (25, 32))  # tokens of a text, texts
WORDS = 900  # how many ids the texts are made of


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
@click.option("--network", "networks", multiple=True, default=("seed-lstm", "seed-gru", "package"))
@click.option("--seconds", default=1.0, show_default=True, help="Of all builds, for each line.")
@cache_option("reference")
def main(folders: tuple[Path, ...], networks: tuple[str, ...], seconds: float, cache: Path) -> None:
    """Compare builds of the native engine."""
    lines = []
    with tempfile.TemporaryDirectory() as made:
        libraries = [
            build(folder, Path(made) / f"{number}.so") for number, folder in enumerate(folders)
        ]
        for network in networks:
            content = model_of(network, cache)
            for tokens, texts in SHAPES:
                found = [Call(library, content, tokens, texts) for library in libraries]
                times = measure_alternating(
                    {number: one.run for number, one in enumerate(found)}, seconds=seconds
                )
                same = all(one.answers() == found[0].answers() for one in found)
                ratios = [f"{ratio_of_medians(one, times[0]):.3f}" for one in times.values()]
                first = format_ms(percentiles(times[0]).p50)
                lines.append([network, f"{texts} x {tokens}", first, *ratios, str(same)])
    header = ["network", "texts x tokens", "first"]
    header += [folder.name for folder in folders]
    sides = "<<>" + ">" * len(folders) + "<"
    click.echo(format_table([*header, "same bits"], lines, align=sides))


def build(folder: Path, to: Path) -> ctypes.CDLL:
    """Compile a folder of sources and load it."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    subprocess.run([compiler, *FLAGS, *sources, "-lm", "-o", str(to)], check=True)
    return with_signatures(ctypes.CDLL(str(to)))


def model_of(network: str, cache: Path) -> bytes:
    """Return the engine's form of a network, in integers."""
    package = network == "package"
    return integer_model(bundled_path("sentiment") if package else reference_bundle(cache, network))


class Call:
    """A call of one build, with what it reads and writes."""

    def __init__(self, library: ctypes.CDLL, content: bytes, tokens: int, texts: int) -> None:
        self._library, self._content = library, content
        self._model, self._workspace = ctypes.c_void_p(), ctypes.c_void_p()
        if library.tg_open(content, len(content), -1, ctypes.byref(self._model)):
            raise click.ClickException("a build does not open the model")
        library.tg_new_workspace(self._model, ctypes.byref(self._workspace))
        draw = random.Random(0)
        self._ids = array("q", [draw.randrange(2, WORDS) for _ in range(tokens * texts)])
        self._lengths = array("q", [tokens] * texts)
        self._shape = tokens, texts
        self._out = (ctypes.c_float * (library.tg_labels(self._model) * texts))()

    def run(self) -> None:
        """Classify the texts."""
        tokens, texts = self._shape
        ids, lengths = (one.buffer_info()[0] for one in (self._ids, self._lengths))
        self._library.tg_run(
            self._model, self._workspace, ids, tokens, lengths, texts, None, None, self._out
        )

    def answers(self) -> bytes:
        """Return the probabilities of the last call."""
        return bytes(self._out)


if __name__ == "__main__":
    main()
