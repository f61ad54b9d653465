"""The documentation agrees with the code: figures, options, links, modules and rooms."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import tomllib
from pathlib import Path

import click
import pytest

from textgate.bundle.checks.tokenizer import KNOWN_EXPRESSIONS
from textgate.bundle.manifest import FORMAT as BUNDLE
from textgate.bundle.manifest import MAX_FILE_BYTES
from textgate.cli import commands
from textgate.export import MAX_ACCURACY_DROP, Answers
from textgate.native.expected import ANCHORS
from textgate.rows import Columns, Row
from textgate.train import PRESETS, PretrainingConfig, TrainingConfig
from textgate.train.pretraining.pretraining_config import DISTILLATION
from textgate.train.text.vectors import load_vectors
from textgate.train.training.recipe import recommend

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "benchmarks/**/*.md",
        "examples/**/*.md",
        "tests/**/*.md",
    )
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


MIB = 2**20
# By page: a sentence with a figure, the constant that it states, and the value of this constant.
CONSTANTS = {
    "README.md": [
        ("With at most 3,000 rows, cross-validation", "train.training.recipe._MAX_FEW_ROWS", 3000),
    ],
    "docs/training.md": [
        ("98 % of the texts are read whole", "train.training.recipe._WHOLE_FRACTION", 0.98),
        ("from 64 to 1,024 tokens", "train.training.recipe._MIN_TOKENS", 64),
        ("from 64 to 1,024 tokens", "train.training.recipe._MAX_TOKENS", 1024),
        (
            "With the encoder `epochs` is from 2 to 12",
            "train.training.recipe._MIN_FINE_TUNING_EPOCHS",
            2,
        ),
        (
            "With the encoder `epochs` is from 2 to 12",
            "train.training.recipe._MAX_FINE_TUNING_EPOCHS",
            12,
        ),
        ("without it from 4 to 30", "train.training.recipe._MIN_EPOCHS", 4),
        ("without it from 4 to 30", "train.training.recipe._MAX_EPOCHS", 30),
        ("at least 1.5 times the rows of the other", "train.training.recipe._MIN_IMBALANCE", 1.5),
        ("know less than 80 % of the words", "train.training.recipe.MIN_KNOWN_FRACTION", 0.8),
        ("that occurs in at least 2 texts", "train.text.bigrams._MIN_TEXTS", 2),
        ("the log loss is 0.0000 on dev", "train.training.checkpoint._PERFECT_LOSS", 0.00005),
        ("below 0.01 on the training rows", "train.training.trainer._LEARNED_LOSS", 0.01),
        ("It is at least 0.25.", "train.training.calibration.MIN_TEMPERATURE", 0.25),
        ("It is at most 1000", "train.training.calibration._MAX_SEARCHED", 1000),
        ("With at most 3,000 labelled rows", "train.training.recipe._MAX_FEW_ROWS", 3000),
        ("With at most 3,000 rows, [folds]", "train.training.recipe._MAX_FEW_ROWS", 3000),
        ("5 folds, or 3 if there are more", "train.training.recipe._MANY_FOLDS", 5),
        ("5 folds, or 3 if there are more", "train.training.recipe._FEW_FOLDS", 3),
        ("if there are more than 500 rows", "train.training.recipe._MAX_MANY_FOLDS_ROWS", 500),
        ("number of epochs (at most 10)", "train.training.recipe._MAX_FEW_EPOCHS", 10),
        ("With at most 150 rows this is done twice", "train.data.split._MAX_REPEATED_ROWS", 150),
        ("With at most 150 rows this is done twice", "train.data.split._REPEATS", 2),
        ("share 70 % of their sequences", "rows.near_duplicates._MIN_SIMILARITY", 0.7),
        ("sequences of three words", "rows.near_duplicates._SHINGLE", 3),
        ("with fewer than 200 dev rows", "train.train_network._FEW_DEV_ROWS", 200),
        ("fewer than 500 rows the network", "train.training.crossvalidation._MIN_WHOLE_ROWS", 500),
        ("is between 0.25 and 4.", "train.training.calibration.MIN_TEMPERATURE", 0.25),
        ("is between 0.25 and 4.", "train.training.calibration._MAX_FEW_TEMPERATURE", 4),
        ("with 30 rows its logarithm is half", "train.training.calibration._PRIOR_ROWS", 30),
        ("its macro-F1 must be at least 0.1 above", "evaluation.floor._MIN_MACRO_F1_GAIN", 0.1),
        ("if it knows 80 % of the running words", "train.training.recipe.MIN_KNOWN_FRACTION", 0.8),
        ("at most 14,000 tokens", "train.training.recipe._ENCODER_VOCABULARY", 14000),
        ("to the power of 0.75", "train.pretraining.sampled_softmax._POWER", 0.75),
        ("at a temperature of 0.05", "train.pretraining.distiller._TEMPERATURE", 0.05),
        ("plus half the divergence", "train.pretraining.distiller._SIMILARITY_WEIGHT", 0.5),
        ("one label per row and at least 20 rows", "train.pretraining.labelled._MIN_ROWS", 20),
        ("1 % of a task's rows", "train.pretraining.labelled._HELD_OUT_FRACTION", 0.01),
        ("(at least 1, at most 500)", "train.pretraining.labelled._MAX_HELD_OUT", 500),
        ("also takes 64 rows of one task", "train.pretraining.distiller._LABELLED_BATCH", 64),
        ("half the cross-entropy", "train.pretraining.distiller._LABEL_WEIGHT", 0.5),
        ("label smoothing of 0.05", "train.pretraining.distiller._LABEL_SMOOTHING", 0.05),
        ("dropout of 0.2 before", "train.pretraining.distiller._POOLED_DROPOUT", 0.2),
        ("mean over the labels, times 2", "train.pretraining.sentence_encoder.HEAD_SCALE", 2),
        ("it reads 96 tokens", "train.pretraining.teacher._MAX_TOKENS", 96),
        ("at most 384 of them", "train.pretraining.teacher.MAX_COMPONENTS", 384),
        ("files of 2,048 texts each", "train.pretraining.teacher._PART", 2048),
        ("less than 0.8 of the time", "train.teaching.bfloat16._MAX_TIME_RATIO", 0.8),
        ("a cosine above 0.99", "train.pretraining.teacher._MIN_COSINE", 0.99),
        ("on 1 % of the texts", "train.data.corpus._HELD_OUT_FRACTION", 0.01),
        ("(at least 50, at most 2,000)", "train.data.corpus._MIN_HELD_OUT", 50),
        ("(at least 50, at most 2,000)", "train.data.corpus._MAX_HELD_OUT", 2000),
        ("at least 20 rows must", "train.tune.MIN_ROWS", 20),
        ("fewer than 10 trials", "train.tuner._FEW_TRIALS", 10),
        ("half of it goes to trials", "train.tuner._SAMPLE_TIME", 0.5),
        ("rows, at least 1,000, and the best", "train.tuner._MIN_SAMPLE", 1000),
        ("held-out rows, in five folds", "train.curve._FOLDS", 5),
        ("on 25 %, 50 % and 100 % of the others", "train.curve.FRACTIONS", (0.25, 0.5, 1.0)),
        ("more than 20,000 rows, that many", "train.curve.MAX_ROWS", 20_000),
    ],
    "docs/rows.md": [
        ("at most 3,000 rows are divided", "train.training.recipe._MAX_FEW_ROWS", 3000),
        ("at most 2^28 characters", "rows.jsonl._MAX_JSON", 2**28),
        ("add up to 1 within 0.001", "train.data.label_set._SUM_TOLERANCE", 0.001),
        ("more than 20 times as many rows", "train.data.checks._MAX_BALANCED_RATIO", 20),
    ],
    "docs/teachers.md": [
        ("at most 3,000 rows is trained on all", "train.training.recipe._MAX_FEW_ROWS", 3000),
        ("for the first 10 % of the steps", "train.teaching.finetuner._WARM_UP", 0.1),
        ("less than 0.8 of the time", "train.teaching.bfloat16._MAX_TIME_RATIO", 0.8),
        ("no probability differs by 0.02 or more", "train.teaching.bfloat16._MAX_ERROR", 0.02),
        ("a cosine similarity above 0.99", "train.teaching.bfloat16._MIN_COSINE", 0.99),
    ],
    "docs/bundle.md": [
        ("texts of more than 256 tokens", "export.verification._SUMMED_TOKENS", 256),
        ("opset 18 and IR version 8", "export.graph.nodes.OPSET", 18),
        ("opset 18 and IR version 8", "export.graph.nodes.IR_VERSION", 8),
        ("7 bits, -63 to 63", "export.quantize.quantization.MAX_COMPUTED_WEIGHT", 63),
        ("with 200 labels or more", "export.quantize.plan._MIN_STORED_OUTPUTS", 200),
        ("their cells start at +30 and -30", "export.graph.anchors._SATURATING_BIAS", 30),
        ("Probabilities differ by at most 1e-5", "export.verification.FLOAT_TOLERANCE", 1e-5),
        ("within 1e-6 for an integer LSTM", "export.verification.INTEGER_TOLERANCE", 1e-6),
        ("may differ by 20 times the loss", "export.verification._MAX_NOISE_RATIO", 20),
        ("in batches of 1, 2 and 7", "export.verification._TORCH_BATCH_SIZES", (1, 2, 7)),
        ("a loss of up to 3 rows is always allowed", "export.quality.MAX_CHANCE_ROWS", 3),
        ("more than 5 % of all", "export.quality._MAX_CHANGED", 0.05),
        (
            "more than 10 % of the decisions for one label",
            "export.quality._MAX_CHANGED_OF_LABEL",
            0.1,
        ),
        ("in more than 1 % of the rows", "export.quality._MAX_SHIFTED_ROWS", 0.01),
        ("the probability of one label above 0.02", "export.quality._MAX_MEAN_SHIFT", 0.02),
    ],
    "docs/vectors.md": [
        ("may take 1 GiB", "train.text.vectors._MAX_NUMBERS", 2**30 // 4),
    ],
    "docs/security.md": [
        ("more than 4,096 nodes", "bundle.checks.reader.MAX_NODES", 4096),
        ("their product is at most 2^24", "bundle.checks.arithmetic.MAX_ELEMENTS", 2**24),
        ("at most 200 characters for WordPiece", "bundle.checks.tokenizer._MAX_WORD_LENGTH", 200),
        ("at most 64 for Unigram", "bundle.checks.tokenizer._MAX_PIECE_LENGTH", 64),
        ("A line may have at most 1 GiB", "rows.source._MAX_LINE", 2**30),
        ("a JSON file 2^28 characters", "rows.jsonl._MAX_JSON", 2**28),
    ],
    "docs/serving.md": [
        ("(64 per token)", "inference.tokenizer.CHARACTERS_PER_TOKEN", 64),
        ("up to 16,384 words", "inference.word_ids._MAX_WORDS", 16384),
        ("for at most 32 texts", "serve.classify.MAX_EXPLAINED_TEXTS", 32),
        ("of together 10,000 characters", "serve.classify.MAX_EXPLAINED_CHARACTERS", 10_000),
    ],
    "docs/explain.md": [
        ("a text of more than 64 words", "inference.explainer.MAX_WORDS", 64),
        ("and twice each beside the better", "inference.attribution._ROUNDS", 2),
        ("of the text count double", "inference.attribution._LEFT_OUT", 2),
    ],
    "docs/commands.md": [
        ("[default: 5 or 3 if DATA has at most 3,000 rows", "train.training.recipe._MANY_FOLDS", 5),
        ("[default: 5 or 3 if DATA has at most 3,000 rows", "train.training.recipe._FEW_FOLDS", 3),
        (
            "[default: 5 or 3 if DATA has at most 3,000 rows",
            "train.training.recipe._MAX_FEW_ROWS",
            3000,
        ),
    ],
}


@pytest.mark.parametrize(
    ("page", "sentence", "constant", "value"),
    [(page, *tie) for page, ties in CONSTANTS.items() for tie in ties],
)
def test_a_figure_is_the_value_of_a_constant(page, sentence, constant, value):
    module, _, name = constant.rpartition(".")
    assert sentence in sentences_of(page)
    assert getattr(importlib.import_module(f"textgate.{module}"), name) == value


def chosen(labels: int, folds: int = 0) -> dict:
    """The settings that the default recipe chooses for so many labels."""
    names = [f"label {number}" for number in range(labels)]
    rows = [Row("a text", (name,), index) for index, name in enumerate(names)]
    return recommend(rows, names, task="single-label", vectors=None, folds=folds).settings


def result(name: str) -> dict:
    return json.loads(text_of(f"benchmarks/results/{name}.json"))


def lstm_ratio(rows: str, after: str, before: str, **where: object) -> float:
    """The mean ratio of int8 to float32 over rows of the result on quantization."""
    wanted = {"cell": "lstm", **where}
    found = [one for one in result("quantization")[rows] if wanted.items() <= one.items()]
    return sum(one[after] / one[before] for one in found) / len(found)


INTEL = "native_intel"  # the same command on a second processor


def native_ratio(cell: str, tokens: int, name: str = "native") -> str:
    """The time of the native engine over that of ONNX Runtime."""
    found = {(one["cell"], one["tokens"]): one["ratio"][0] for one in result(name)["lines"]}
    return f"{found[cell, tokens]:.2f}"


def native_row(title: str, cell: str, name: str = "native") -> str:
    ratios = (native_ratio(cell, tokens, name) for tokens in (10, 25, 100))
    return f"| {title} | {' | '.join(ratios)} |"


def native_calls(name: str = "native") -> str:
    one, word, batch = (f"{call['ratio'][0]:.2f}" for call in result(name)["calls"])
    return (
        f"takes {one} of the time with ONNX Runtime at 25 tokens, one more word in a stream "
        f"{word}, and 32 texts together {batch}."
    )


def web_row(title: str, kind: str) -> str:
    """A line of the table of the page in a browser: first answer, median, ratio to Python's."""
    found = result("web")
    first = found["first_answer_ms"][kind]["median"]
    answers = found["answers_ms"][kind]
    return f"| {title} | {first:,.0f} ms | {answers['p50']:.3g} ms | {answers['ratio'][0]:.2g} |"


def startup_goal(what: str) -> float:
    """The value of a goal of the result on starting."""
    (found,) = [one["value"] for one in result("startup")["goals"] if what in one["what"]]
    return found


def few_score(data: str, rows: int, system: str) -> str:
    """The mean score of a system with so many rows of each label."""
    entries = {(one["data"], one["rows"]): one for one in result("few_rows")["entries"]}
    return f"{entries[data, rows][system]['score']['mean']:.3f}"


def known_english() -> str:
    vectors = load_vectors("english")
    return f"{len(vectors.words):,} words with {vectors.dims} numbers each"


FEW = chosen(2, folds=5)
# Page, and a sentence made of what the code says.
SENTENCES = [
    (
        "README.md",
        (
            f"bundles of {result('accuracy')['most_bytes'] / 1e6:g} to "
            f"{result('few_rows')['max_bytes'] / 1e6:g} MB"
        ),
    ),
    (
        "README.md",
        (
            f"reaches {few_score('sst2', 8, 'textgate')} on sst2, and a logistic regression of "
            f"MiniLM-L6's vectors {few_score('sst2', 8, 'MiniLM')}"
        ),
    ),
    ("README.md", f"{lstm_ratio('scored', 'int8_bytes', 'float32_bytes'):.2f} of the bytes"),
    ("README.md", f"{lstm_ratio('timed', 'int8_ms', 'float32_ms', tokens=100):.2f} of the time"),
    ("README.md", f"takes {native_ratio('lstm', 100)} of ONNX Runtime's time"),
    ("README.md", f"a GRU in integers {native_ratio('gru', 100)}, on AMD Zen 5"),
    ("docs/native.md", native_row("LSTM", "lstm")),
    ("docs/native.md", native_row("GRU in integers", "gru")),
    ("docs/native.md", native_row("RNN in integers", "rnn")),
    ("docs/native.md", native_calls()),
    ("README.md", f"Xeon without AMX, {native_ratio('lstm', 100, INTEL)} and"),
    ("README.md", f"and {native_ratio('gru', 100, INTEL)}. With ONNX Runtime"),
    ("docs/native.md", native_row("LSTM", "lstm", INTEL)),
    ("docs/native.md", native_row("GRU in integers", "gru", INTEL)),
    ("docs/native.md", native_row("RNN in integers", "rnn", INTEL)),
    ("docs/native.md", native_calls(INTEL)),
    ("docs/web.md", web_row("textgate on the page itself", "textgate on the page itself")),
    (
        "docs/web.md",
        web_row("textgate in a worker (the default)", "textgate in a worker of the page"),
    ),
    ("docs/web.md", web_row("textgate with onnxruntime-web", "textgate with onnxruntime-web")),
    ("docs/native.md", f"takes {startup_goal('--engine native'):.2f} of the time that it takes"),
    ("docs/native.md", f"has {startup_goal('memory'):.0f} MB after its first answer"),
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
    (
        "docs/training.md",
        f"Batches have {FEW['batch_size']} rows, dropout is {FEW['head_dropout']}, and there is no",
    ),
    ("docs/training.md", f"{PretrainingConfig().samples:,} tokens are drawn per step"),
    ("docs/training.md", f"every {PretrainingConfig().checkpoint_steps} steps"),
    ("docs/training.md", f"`--max-tokens`, {PretrainingConfig().max_tokens} by default"),
    (
        "docs/training.md",
        f"LSTM of {DISTILLATION.hidden_size} units, {DISTILLATION.vocabulary_size:,} tokens, texts",
    ),
    ("docs/training.md", f"texts cut at {DISTILLATION.max_tokens} tokens, "),
    ("docs/training.md", f"{DISTILLATION.epochs} epochs of {DISTILLATION.batch_size} texts per"),
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
    ("docs/security.md", f"the graph {MAX_FILE_BYTES['model.onnx'] // MIB} MiB"),
    ("docs/security.md", f"the tokenizer {MAX_FILE_BYTES['tokenizer.json'] // MIB} MiB"),
    ("docs/security.md", f"are the {KNOWN} that `textgate train` writes"),
]


@pytest.mark.parametrize(("page", "sentence"), SENTENCES)
def test_a_sentence_is_what_the_code_says(page, sentence):
    assert sentence in sentences_of(page)


def test_the_recipe_has_a_column_per_label_up_to_the_bound_in_the_documentation():
    assert [chosen(labels)["linear_size"] for labels in (7, 8, 9, 10)] == [7, 8, 32, 32]
    assert [chosen(labels, folds=5)["linear_size"] for labels in (8, 9, 10)] == [8, 9, 10]


def test_few_rows_have_the_settings_in_the_documentation():
    assert FEW["embedding_dropout"] == FEW["head_dropout"]
    assert FEW["average"] == FEW["adversarial"] == 0


def test_the_notes_of_the_recipe_are_those_in_the_documentation():
    lengths = [44 if index % 20 == 0 else 20 for index in range(11_127)]
    rows = [
        Row("word " * length, (("bad", "good")[index % 2],), index)
        for index, length in enumerate(lengths)
    ]
    recipe = recommend(
        rows,
        ["bad", "good"],
        task="single-label",
        vectors=None,
        pretrained=True,
        sentence_encoder=True,
    )
    shown = re.search(r"with its reason:\n\n```\n(.*?)```", text_of("docs/training.md"), re.DOTALL)
    assert shown[1].splitlines()[1:] == recipe.notes(())


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
    foreign = "mkdocs|that server's|docker run|pip install|ulimit|python3? -m|python (bench|docs)"
    text = re.sub(rf"({foreign})(.*\\\n)*.*", "", text_of(page))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named <= OPTIONS


@pytest.mark.parametrize("page", GUIDES)
def test_prose_is_wrapped(page):
    prose = re.sub(r"<!-- begin .*?<!-- end|```.*?```", "", text_of(page), flags=re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 110 and line[0] != "|"] == []


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


IN_JAVASCRIPT = "runtime/web"


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
    assert ROOMS[len(levels)] == IN_JAVASCRIPT
    others = {room.partition("/")[0] for room in ROOMS[len(levels) + 1 :]}
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
    if room.split("/")[0] in {"runtime", "train", "export"} and room != IN_JAVASCRIPT:
        assert (ROOT / room / "__init__.py").is_file()
