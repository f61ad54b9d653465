"""The documentation agrees with the code: figures, options, links, modules and rooms."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from textgate.bundle.checks.tokenizer import KNOWN_EXPRESSIONS
from textgate.bundle.manifest import FORMAT as BUNDLE
from textgate.cli import commands
from textgate.export import MAX_ACCURACY_DROP, Answers
from textgate.native.expected import ANCHORS
from textgate.rows import Columns, Row
from textgate.train import PRESETS, PretrainingConfig, TrainingConfig
from textgate.train.text.vectors import load_vectors
from textgate.train.training.recipe import recommend

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "benchmarks/**/*.md", "examples/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
    if "tests/data" not in path.as_posix() and "golden" not in path.parts
)
# The pages of the benchmarks also name what is gone, and commands.md is generated.
GUIDES = [page for page in PAGES if page.startswith("docs/") or "/" not in page]
GUIDES.remove("docs/commands.md")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [entry.partition(">")[0] for entry in PROJECT["dependencies"]]
DEFAULT = PRESETS["default"]
KNOWN = ("one", "two", "three")[len(KNOWN_EXPRESSIONS) - 1]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sentences_of(page: str) -> str:
    """The text of a page, wherever its lines break."""
    return " ".join(text_of(page).split())


def numbers_in(value: object) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict):
        yield from numbers_in(tuple(value.values()))
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers_in(item)


def constants_of(module: str) -> list[float]:
    """The numbers among the constants that a module defines itself."""
    found = importlib.import_module(f"textgate.{module}")
    tree = ast.parse(Path(found.__file__).read_text(encoding="utf-8"))
    own = {
        name.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and name.id.isupper()
    }
    return [number for name in sorted(own) for number in numbers_in(getattr(found, name))]


MIB = 2**20
# Page, a sentence with a number, and the module with a constant of this value. The constant is
# found by its value, so that it can be renamed.
CONSTANTS = [
    ("docs/training.md", "98 % of the texts are read whole", "train.training.recipe", 0.98),
    ("docs/training.md", "from 64 to 1,024 tokens", "train.training.recipe", 64),
    ("docs/training.md", "from 64 to 1,024 tokens", "train.training.recipe", 1024),
    ("docs/training.md", "`epochs` is from 4 to 30", "train.training.recipe", 4),
    ("docs/training.md", "`epochs` is from 4 to 30", "train.training.recipe", 30),
    ("docs/training.md", "at least 1.5 times the rows of the other", "train.training.recipe", 1.5),
    ("docs/training.md", "know less than 80 % of the words", "train.training.recipe", 0.8),
    ("docs/training.md", "that occurs in at least 2 texts", "train.text.bigrams", 2),
    ("docs/training.md", "the log loss is 0.0000 on dev", "train.training.checkpoint", 0.00005),
    ("docs/training.md", "below 0.01 on the training rows", "train.training.trainer", 0.01),
    ("docs/training.md", "It is at least 0.25.", "train.training.calibration", 0.25),
    ("docs/training.md", "It is at most 1000", "train.training.calibration", 1000),
    ("docs/training.md", "to the power of 0.75", "train.pretraining.sampled_softmax", 0.75),
    ("docs/training.md", "on 1 % of the texts", "train.data.corpus", 0.01),
    ("docs/training.md", "(at least 50, at most 2,000)", "train.data.corpus", 50),
    ("docs/training.md", "(at least 50, at most 2,000)", "train.data.corpus", 2000),
    ("docs/teachers.md", "for the first 10 % of the steps", "train.teaching.finetuner", 0.1),
    ("docs/teachers.md", "less than 0.8 of the time", "train.teaching.bfloat16", 0.8),
    ("docs/teachers.md", "no probability differs by 0.02 or more", "train.teaching.bfloat16", 0.02),
    ("docs/teachers.md", "a cosine similarity above 0.99", "train.teaching.bfloat16", 0.99),
    ("docs/vectors.md", "may take 1 GiB", "train.text.vectors", 2**30 // 4),
    ("docs/rows.md", "at most 2^28 characters", "rows.jsonl", 2**28),
    ("docs/rows.md", "add up to 1 within 0.001", "train.data.label_set", 0.001),
    ("docs/rows.md", "more than 20 times as many rows", "train.data.checks", 20),
    ("docs/bundle.md", "opset 18 and IR version 8", "export.graph.nodes", 18),
    ("docs/bundle.md", "opset 18 and IR version 8", "export.graph.nodes", 8),
    ("docs/bundle.md", "7 bits, -63 to 63", "export.quantize.quantization", 63),
    ("docs/bundle.md", "with 200 labels or more", "export.quantize.plan", 200),
    ("docs/bundle.md", "their cells start at +30 and -30", "export.graph.anchors", 30),
    ("docs/bundle.md", "Probabilities differ by at most 1e-5", "export.verification", 1e-5),
    ("docs/bundle.md", "within 1e-6 for an integer LSTM", "export.verification", 1e-6),
    ("docs/bundle.md", "may differ by 20 times the loss", "export.verification", 20),
    ("docs/bundle.md", "in batches of 1, 2 and 7", "export.verification", 7),
    ("docs/bundle.md", "a loss of up to 3 rows is always allowed", "export.quality", 3),
    ("docs/bundle.md", "more than 5 % of all", "export.quality", 0.05),
    ("docs/bundle.md", "more than 10 % of the decisions for one label", "export.quality", 0.1),
    ("docs/bundle.md", "in more than 1 % of the rows", "export.quality", 0.01),
    ("docs/bundle.md", "the probability of one label above 0.02", "export.quality", 0.02),
    ("docs/security.md", "the graph 256 MiB", "bundle.manifest", 256 * MIB),
    ("docs/security.md", "the tokenizer 64 MiB", "bundle.manifest", 64 * MIB),
    ("docs/security.md", "more than 4,096 nodes", "bundle.checks.reader", 4096),
    ("docs/security.md", "their product is at most 2^24", "bundle.checks.arithmetic", 2**24),
    ("docs/security.md", "at most 200 characters for WordPiece", "bundle.checks.tokenizer", 200),
    ("docs/security.md", "at most 64 for Unigram", "bundle.checks.tokenizer", 64),
    ("docs/security.md", "A line may have at most 1 GiB", "rows.source", 2**30),
    ("docs/security.md", "a JSON file 2^28 characters", "rows.jsonl", 2**28),
    ("docs/serving.md", "(64 per token)", "inference.tokenizer", 64),
    ("docs/serving.md", "up to 16,384 words", "inference.word_ids", 16384),
]


@pytest.mark.parametrize(("page", "sentence", "module", "value"), CONSTANTS)
def test_a_figure_is_the_constant_of_a_module(page, sentence, module, value):
    assert sentence in sentences_of(page)
    assert value in constants_of(module), f"{page} says {sentence!r}"


def chosen(labels: int) -> dict:
    """The settings that the default recipe chooses for so many labels."""
    names = [f"label {number}" for number in range(labels)]
    rows = [Row("a text", (name,), index) for index, name in enumerate(names)]
    return recommend(rows, names, task="single-label", vectors=None).settings


def result(name: str) -> dict:
    return json.loads(text_of(f"benchmarks/results/{name}.json"))


def lstm_ratio(rows: str, after: str, before: str, **where: object) -> float:
    """The mean ratio of int8 to float32 over rows of the result on quantization."""
    wanted = {"cell": "lstm", **where}
    found = [one for one in result("quantization")[rows] if wanted.items() <= one.items()]
    return sum(one[after] / one[before] for one in found) / len(found)


def native_ratio(cell: str, tokens: int) -> str:
    """The time of the native engine over that of ONNX Runtime."""
    found = {(one["cell"], one["tokens"]): one["ratio"][0] for one in result("native")["lines"]}
    return f"{found[cell, tokens]:.2f}"


def native_row(name: str, cell: str) -> str:
    return f"| {name} | {' | '.join(native_ratio(cell, tokens) for tokens in (10, 25, 100))} |"


def native_calls() -> str:
    one, word, batch = (f"{call['ratio'][0]:.2f}" for call in result("native")["calls"])
    return (
        f"takes {one} of the time with ONNX Runtime at 25 tokens, one more word in a stream "
        f"{word}, and 32 texts together {batch}."
    )


def known_english() -> str:
    vectors = load_vectors("english")
    return f"{len(vectors.words):,} words with {vectors.dims} numbers each"


# Page, and a sentence made of what the code says.
SENTENCES = [
    ("README.md", f"bundles of about {result('accuracy')['most_bytes'] / 1e6:.0f} MB"),
    ("README.md", f"{lstm_ratio('scored', 'int8_bytes', 'float32_bytes'):.2f} of the bytes"),
    ("README.md", f"{lstm_ratio('timed', 'int8_ms', 'float32_ms', tokens=100):.2f} of the time"),
    ("README.md", f"takes {native_ratio('lstm', 100)} of ONNX Runtime's time"),
    ("README.md", f"a GRU in integers {native_ratio('gru', 100)}, on AMD Zen 5"),
    ("docs/native.md", native_row("LSTM", "lstm")),
    ("docs/native.md", native_row("GRU in integers", "gru")),
    ("docs/native.md", native_row("RNN in integers", "rnn")),
    ("docs/native.md", native_calls()),
    ("README.md", f"Python {PROJECT['requires-python'].removeprefix('>=')} or later"),
    ("README.md", re.search(r"^torch==\S+", text_of("constraints.txt"), re.MULTILINE)[0]),
    ("README.md", f"lost more than {100 * MAX_ACCURACY_DROP:g} points of accuracy"),
    ("README.md", f"It depends on {', '.join(DEPENDENCIES[:-1])} and {DEPENDENCIES[-1]}."),
    ("docs/training.md", f"one-directional LSTM of {PretrainingConfig().hidden_size} units"),
    ("docs/training.md", f"One LSTM layer of {DEFAULT.hidden_sizes[0]} units"),
    ("docs/training.md", f"make it {DEFAULT.hidden_sizes[0] + ANCHORS}."),
    ("docs/training.md", f"at most {DEFAULT.vocabulary_size:,} tokens"),
    ("docs/training.md", f"For up to {chosen(8)['linear_size']} labels the branch is a logistic"),
    ("docs/training.md", f"are compressed to {chosen(9)['linear_size']}"),
    (
        "docs/training.md",
        f"up to {chosen(8)['linear_buckets']:,} bigrams ({chosen(9)['linear_buckets']:,} for more",
    ),
    ("docs/training.md", f"{PretrainingConfig().samples:,} tokens are drawn per step"),
    ("docs/training.md", f"every {PretrainingConfig().checkpoint_steps} steps"),
    ("docs/training.md", f"`--max-tokens`, {PretrainingConfig().max_tokens} by default"),
    ("docs/teachers.md", f"`--teacher-weight`, by default {TrainingConfig.teacher_weight}"),
    ("docs/vectors.md", known_english()),
    ("docs/rows.md", f"`--text-field` names the column, by default `{Columns().text}`"),
    ("docs/rows.md", f"`--label-field` names the column, by default `{Columns().label}`"),
    ("docs/rows.md", f"{100 * TrainingConfig.dev_fraction:g} % of the rows of every label"),
    ("docs/bundle.md", f"`--max-accuracy-drop` ({100 * MAX_ACCURACY_DROP:g} points)"),
    (
        "docs/bundle.md",
        "needs {} answers for 0.9, {} for 0.95, and {} for 0.99".format(
            *(Answers("precision", fraction).rows_needed for fraction in (0.9, 0.95, 0.99))
        ),
    ),
    ("docs/security.md", f"The manifest may have at most {BUNDLE.limit // MIB} MiB"),
    ("docs/security.md", f"are the {KNOWN} that `textgate train` writes"),
]


@pytest.mark.parametrize(("page", "sentence"), SENTENCES)
def test_a_sentence_is_what_the_code_says(page, sentence):
    assert sentence in sentences_of(page)


def test_the_recipe_has_a_column_per_label_up_to_the_bound_in_the_documentation():
    assert [chosen(labels)["linear_size"] for labels in (7, 8, 9, 10)] == [7, 8, 32, 32]


OPTIONS = {
    name
    for command in (
        commands,
        *(commands.get_command(None, name) for name in commands.list_commands(None)),
    )
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for name in (*parameter.opts, *parameter.secondary_opts)
} | {"--help"}


@pytest.mark.parametrize("page", GUIDES)
def test_every_option_that_is_named_exists(page):
    foreign = (
        "that server's|docker run|pip install|ulimit|python3? -m|python benchmarks/|python docs/"
    )
    text = re.sub(rf"({foreign})(.*\\\n)*.*", "", text_of(page))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named <= OPTIONS


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        if not link.startswith(("http://", "https://")):
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


ROOMS = [
    room
    for cells in re.findall(r"^\| (`.+?`) \| ", text_of("CONTRIBUTING.md"), re.MULTILINE)
    for room in re.findall(r"`(.+?)`", cells)
]


def test_every_room_is_named_in_the_order_of_the_levels():
    path = Path(__file__).with_name("test_layers.py")
    spec = importlib.util.spec_from_file_location("layers", path)
    layers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layers)
    folders = {package: folder for folder, package in layers.FOLDERS.items()}
    levels = []
    for room in (room for level in layers.LEVELS for room in level):
        package = max((name for name in folders if f"{room}.".startswith(f"{name}.")), key=len)
        levels.append(folders[package] + room.removeprefix(package).replace(".", "/"))
    assert ROOMS[: len(levels)] == levels
    others = {room.partition("/")[0] for room in ROOMS[len(levels) :]}
    assert others == {"tests", "benchmarks", "docs", "examples", "deploy", ".ci"}


@pytest.mark.parametrize("page", GUIDES)
def test_every_module_that_is_named_exists(page):
    folders = "runtime|train|export|tests|benchmarks|docs|examples"
    for name in re.findall(rf"`((?:{folders})(?:/[\w.-]+)*)`", text_of(page)):
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").is_file(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_import_that_is_shown_works(page):
    for module, names in re.findall(
        r"^from (textgate[\w.]*) import (.*)$", text_of(page), re.MULTILINE
    ):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_that_is_named_exists(room):
    assert (ROOT / room).is_dir()
    if room.split("/")[0] in {"runtime", "train", "export"}:
        assert (ROOT / room / "__init__.py").is_file()
