"""`textgate train`, `export` and `compare`: from rows to a table, and every bad input."""

from __future__ import annotations

import errno
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch

import textgate.atomic
import textgate.export.compare_cli
from textgate.bundle.run import read_run
from textgate.bundle.storage import bundle_bytes, read_bundle
from textgate.errors import ConfigError, VerificationError
from textgate.export.compare_cli import Compared, comparison_table
from textgate.inference.classifier import Classifier
from textgate.tables import format_bytes, format_table
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training.presets import PRESETS

QUICK = (
    *("--hidden", "6", "--embedding-size", "4", "--epochs", "2", "--batch-size", "16"),
    *("--folds", "0", "--vectors", "none", "--encoder", "none"),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def objects(rows):
    return [{"text": row.text, "label": row.labels[0]} for row in rows]


@pytest.fixture(scope="module")
def data(separable, write_jsonl, tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("data") / "rows.jsonl", objects(separable(120)))


@pytest.fixture(scope="module")
def run(command, data, tmp_path_factory):
    """A finished run."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert command("train", data, "-o", path, *QUICK).status == 0
    return path


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What works


def test_rows_from_standard_input_are_named_so(command, data, tmp_path):
    options = ["--input-format", "jsonl", "-o", tmp_path / "run", *QUICK]
    shown = command("train", "-", *options, stdin=data.read_bytes())
    assert shown.status == 0, shown.err
    assert "standard input: 1 row repeats an earlier one" in shown.err
    assert read_run(tmp_path / "run").train.file == "standard input"


@pytest.mark.parametrize(
    "name", ["train", "fit", "curve", "teach", "pretrain", "export", "compare"]
)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(command, name, option):
    shown = command(name, option)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: textgate {name} [OPTIONS]")


SECTIONS = {
    "train": ["Output", "Data", "Settings", "Network", "Training", "Tuning", "Teachers"],
    "fit": ["Output", "Data", "Model", "Card of the bundle"],
    "curve": ["Data", "Output"],
    "teach": ["Output", "Data", "Training"],
    "pretrain": ["Output", "Data", "Network", "Training"],
    "compare": ["Output", "Data", "Networks"],
}


@pytest.mark.parametrize("name", SECTIONS)
def test_long_help_is_in_sections(command, name):
    lines = command(name, "-h").out.splitlines()
    titles = [line.removesuffix(":") for line in lines if line.endswith(":") and line[0] != " "]
    assert titles == [*SECTIONS[name], "Other options"]
    others = lines[lines.index("Other options:") + 1 :]
    assert others[0].split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]
    assert sum(line.strip().startswith("--text-field") for line in lines) == 1
    for index, line in enumerate(lines):  # every option says something
        if line.startswith("  -") and len(line) < 28:
            assert lines[index + 1].startswith(" " * 20), line


def test_train_export_classify_evaluate(command, data, tmp_path):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    options = ("--hidden", "8", "--embedding-size", "6", "--learning-rate", "0.03", "--folds", "0")
    trained = command("train", data, "-o", run, *options, "--epochs", "30", "--patience", "9")
    assert trained.status == 0
    assert trained.out.startswith(f"{run}: epoch ")
    assert (
        " dev rows accuracy 1.0000 (expect 0.76 to 1.00 on new texts like these; the most frequent "
        "label alone has 0.5000), macro-F1 1.0000, calibration error 0."
    ) in trained.out
    told = trained.err.splitlines()
    assert told[0].startswith("rows.jsonl: 1 row repeats an earlier one, text and label, such as ")
    assert told[1].startswith("the encoder english does not go with the given settings, so")
    chosen = ["max_tokens 64", "linear_size 2, linear_buckets 65,536", "vectors none"]
    assert [line.partition(": ")[0] for line in told[2:5]] == chosen
    assert told[5] == "108 training rows, 12 dev rows, 2 labels, 303 tokens"
    assert told[6].startswith("the linear branch alone: log loss ")
    assert told[7].startswith("epoch   1  train loss 0.")

    exported = command("export", run, "-o", bundle)
    assert exported.status == 0
    assert exported.out.startswith(f"{bundle}: int8, ")
    assert "float32 graph against torch: " in exported.err
    assert "alone, in a batch and in chunks: " in exported.err
    table = exported.err[exported.err.index("operator") :]
    assert [line.split()[0] for line in table.splitlines()[:6]] == [
        "operator",
        "embedding",
        "lstm_1",
        "output",
        "linear",
        "total",
    ]

    assert command("classify", "-m", bundle, "w1 awful").out.startswith("bad\t")
    result = json.loads(command("evaluate", "-m", bundle, data, "--json").out)
    assert result["accuracy"] > 0.98
    assert "lstm_1" in command("inspect", run).out
    inside = ("run.json", "tokenizer.json", "dev.jsonl.gz", "model.safetensors")
    assert names(run) == sorted(inside)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "run"]


def test_quiet(command, data, tmp_path):
    shown = command("train", data, "-o", tmp_path / "run", *QUICK, "--quiet")
    assert shown.status == 0
    assert shown.out.startswith(f"{tmp_path / 'run'}: epoch ")
    (warning,) = shown.err.splitlines()
    assert warning.startswith("rows.jsonl: 1 row repeats an earlier one")
    again = command("train", data, "-o", tmp_path / "run", "-q", "--resume")
    assert (again.status, again.out, again.err) == (0, shown.out, "")


FORMATS = {
    "a.csv": lambda rows: "text,label\n" + "".join(f'"{t}",{label}\n' for t, label in rows),
    "a.tsv": lambda rows: "text\tlabel\n" + "".join(f"{t}\t{label}\n" for t, label in rows),
    "a.txt": lambda rows: "".join(f"__label__{label} {t}\n" for t, label in rows),
    "a.jsonl": lambda rows: "".join(
        json.dumps({"text": t, "label": label}) + "\n" for t, label in rows
    ),
}


def test_every_format_is_the_same_data(command, separable, tmp_path):
    rows = [(row.text, row.labels[0]) for row in separable(60)]
    seen = set()
    for name, content in FORMATS.items():
        (tmp_path / name).write_text(content(rows), encoding="utf-8")
        path = tmp_path / f"{name}.run"
        assert command("train", tmp_path / name, "-o", path, *QUICK).status == 0
        manifest = read_run(path)
        seen.add((manifest.train.sha256, manifest.dev.sha256, manifest.architecture))
        assert manifest.train.file == name
    assert len(seen) == 1


def written(rows, *, mark, encoding, bad=False):
    """A table of single labels with the text in two columns, as a spreadsheet may write it."""
    lines = [mark.join(("subject", "", "kind", "body", ""))]
    for row in rows:
        first, _, rest = row.text.partition(" ")
        lines.append(mark.join((first, "1", f" {row.labels[0]}\u00a0", rest, "2")))
    return "\r\n".join([*lines, *(["half a row", mark] if bad else []), ""]).encode(encoding)


def test_every_command_reads_rows_in_the_same_way(command, separable, tmp_path):
    """Two text columns, a delimiter, an encoding, labels with white space, and a bad row each."""
    options = ("--text-field", "subject", "--text-field", "body", "--label-field", "kind")
    options += ("--delimiter", ";", "--encoding", "cp1252", "--skip-bad-rows")
    for name, count, seed in (("train", 120, 0), ("dev", 40, 1), ("test", 30, 2)):
        content = written(separable(count, seed=seed), mark=";", encoding="cp1252", bad=True)
        (tmp_path / f"{name}.csv").write_bytes(content)
    train, dev, test = (tmp_path / f"{name}.csv" for name in ("train", "dev", "test"))
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    shown = command("train", train, "--dev", dev, "-o", run, *options, *QUICK)
    assert shown.status == 0, shown.err
    assert read_run(run).labels == ("bad", "good")
    assert (read_run(run).train.rows, read_run(run).dev.rows) == (120, 40)
    for path, rows in ((train, 122), (dev, 42)):
        assert f"{path}: white space, invisible characters" in shown.err
        assert f"{path}: left out 2 of {rows} rows: 2 for another number of cells" in shown.err
    shown = command("export", run, "-o", bundle, "--verify", test, *options)
    assert shown.status == 0, shown.err
    assert f"{test}: left out 2 of 32 rows" in shown.err
    assert read_bundle(bundle).manifest.quality["exported"].rows == 30
    shown = command("evaluate", "-m", bundle, test, "--json", *options)
    assert json.loads(shown.out)["rows"] == 30
    assert "left out 2 of 32 rows" in shown.err
    of_texts = [part for part in options if part not in ("--label-field", "kind")]
    shown = command("classify", "-m", bundle, "-i", test, *of_texts)
    assert shown.out.count("\n") == 31
    assert "left out 2 of 32 rows" in shown.err
    timed = ("--lengths", "4", "--batch-sizes", "1", "--duration", "0.01", "--json")
    shown = command("bench", "-m", bundle, "--text-file", test, *timed, *of_texts)
    assert shown.status == 0, shown.err
    assert "left out 2 of 32 rows" in shown.err
    made = ("--hidden", "8", "--embedding-size", "6", "--vocabulary-size", "600", "--epochs", "1")
    shown = command("pretrain", train, "-o", tmp_path / "p", *of_texts, *made, "--vectors", "none")
    assert shown.status == 0, shown.err
    assert shown.err.count("left out 2 of 122 rows") == 1
    assert "train.csv: 120 texts to pretrain on" in shown.err


@pytest.mark.parametrize(
    ("header", "cell", "options"),
    [
        (("text", "label"), lambda labels: [";".join(labels)], ("--label-separator", ";")),
        (
            ("text", "good", "bad"),
            lambda labels: [str(int(label in labels)) for label in ("good", "bad")],
            ("--label-fields", "good,bad"),
        ),
    ],
)
def test_several_labels_out_of_a_table(
    command, separable, write_jsonl, tmp_path, header, cell, options
):
    rows = separable(120, multi_label=True)
    path = tmp_path / "a.csv"
    lines = [",".join([row.text, *cell(row.labels)]) for row in rows]
    path.write_text("\n".join([",".join(header), *lines, ""]), encoding="utf-8")
    plain = [{"text": row.text, "label": list(row.labels)} for row in rows]
    write_jsonl(tmp_path / "a.jsonl", plain)
    run = tmp_path / "run"
    assert command("train", path, "-o", run, *options, *QUICK).status == 0
    assert command("train", tmp_path / "a.jsonl", "-o", tmp_path / "plain", *QUICK).status == 0
    found, expected = read_run(run), read_run(tmp_path / "plain")
    assert found.architecture.task == "multi-label"
    assert (found.labels, found.train.sha256) == (expected.labels, expected.train.sha256)
    exported = command("export", run, "-o", tmp_path / "bundle", "--verify", path, *options)
    assert exported.status == 0, exported.err


def test_an_empty_cell_is_no_label_if_several_are_asked_for(command, separable, tmp_path):
    rows = separable(80)
    path = tmp_path / "a.csv"
    lines = [f"{row.text},{row.labels[0] if row.labels[0] == 'good' else ''}" for row in rows]
    path.write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")
    run = tmp_path / "run"
    shown = command("train", path, "-o", run, *QUICK)
    assert "40 of 80 rows cannot be used: 40 for an empty label (line 2" in shown.message
    assert command("train", path, "-o", run, "--task", "multi-label", *QUICK).status == 0
    assert read_run(run).labels == ("good",)
    exported = command("export", run, "-o", tmp_path / "bundle", "--verify", path)
    assert exported.status == 0, exported.err


def test_settings_out_of_a_file(command, data, tmp_path):
    file = tmp_path / "settings.toml"
    lines = 'hidden_sizes = [5]\nepochs = 2\nvectors = "none"\n'
    file.write_text(lines, encoding="utf-8-sig")  # some editors begin so
    run = tmp_path / "run"
    shown = command("train", data, "-o", run, "--config", file, "--epochs", "1")
    assert shown.status == 0, shown.err
    settings = read_run(run).settings
    assert (settings["hidden_sizes"], settings["vectors"]) == ([5], "none")
    assert settings["epochs"] == 1  # an option goes before the file


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("epochs = ", "not TOML in UTF-8"),
        (b"\xff", "not TOML in UTF-8"),
        ("[network]\nepochs = 1\n", "'network' is a table"),
        ("epoch = 1\n", "settings.toml: 'epoch' is not a setting (did you mean 'epochs'?)"),
        ('epochs = "1"\n', "settings.toml: epochs must be a whole number, not '1'"),
        ("epochs = true\n", "settings.toml: epochs must be a whole number, not True"),
        ("bidirectional = 1\n", "settings.toml: bidirectional must be true or false, not 1"),
        ("hidden_sizes = [[8]]\n", "settings.toml: hidden_sizes[0] must be a whole number, not"),
        ("hidden_sizes = " + "[" * 5000, "settings.toml: lists or tables are nested too deeply"),
        ("learning_rate = nan\n", "learning_rate must be a number, not nan"),
        ('schedule = "constant"\n', "settings.toml: 'schedule' is no longer a setting, it was r"),
        (None, "cannot be read"),
    ],
)
def test_files_of_settings_that_are_refused(command, data, tmp_path, content, complaint):
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    shown = command("train", data, "-o", tmp_path / "run", "--config", file)
    assert complaint in shown.message
    assert not (tmp_path / "run").exists()


def test_every_option_arrives(command, data, tmp_path):
    options = {
        "cell": ("gru", "gru"),
        "tokenizer": ("words", "words"),
        "vectors": ("none", "none"),
        "vocabulary-size": ("12", 12),
        "linear-size": ("3", 3),
        "linear-buckets": ("8", 8),
        "adversarial": ("0.2", 0.2),
        "class-weights": ("0.5", 0.5),
        "average": ("0.9", 0.9),
        "embedding-size": ("5", 5),
        "hidden": ("6,4", [6, 4]),
        "pooling": ("max+mean", ["max", "mean"]),
        "dense": ("3", [3]),
        "embedding-dropout": ("0.1", 0.1),
        "layer-dropout": ("0.2", 0.2),
        "head-dropout": ("0.3", 0.3),
        "max-tokens": ("9", 9),
        "task": ("single-label", "single-label"),
        "epochs": ("1", 1),
        "patience": ("2", 2),
        "batch-size": ("50", 50),
        "learning-rate": ("0.5", 0.5),
        "dev-fraction": ("0.3", 0.3),
        "seed": ("7", 7),
    }
    arguments = [part for name, (given, _) in options.items() for part in (f"--{name}", given)]
    shown = command("train", data, "-o", tmp_path / "run", "--bidirectional", *arguments)
    assert shown.status == 0, shown.err
    settings = read_run(tmp_path / "run").settings
    names = {"hidden": "hidden_sizes", "dense": "dense_sizes"}
    for name, (_, expected) in options.items():
        assert settings[names.get(name, name.replace("-", "_"))] == expected, name
    assert settings["bidirectional"] is True


def test_dense_none_takes_the_presets_layers_away(command, data, tmp_path):
    shown = command(
        *("train", data, "-o", tmp_path / "run", "--preset", "seed-rnn", "--dense", "none"), *QUICK
    )
    assert shown.status == 0, shown.err
    assert read_run(tmp_path / "run").architecture.dense_sizes == ()


def test_odd_texts_do_not_hurt(command, tmp_path, write_jsonl):
    odd = ["\0", "\U0001f468\u200d\U0001f469 e\u0301\u0301", " \t ", "", "\ud800", "\u202e\u2028"]
    rows = [
        {"text": f"{text} {word}", "label": label}
        for text in odd
        for word, label in (("fine", "good \U0001f600"), ("awful", "b\u00e4d"))
    ] + [{"text": "", "label": "b\u00e4d"}, {"text": "word " * 1_000_000, "label": "b\u00e4d"}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    shown = command("train", path, "-o", tmp_path / "run", *QUICK)
    assert shown.status == 0, shown.err
    shown = command("export", tmp_path / "run", "-o", tmp_path / "bundle")
    assert shown.status == 0, shown.err
    assert read_bundle(tmp_path / "bundle").manifest.labels == ("b\u00e4d", "good \U0001f600")


# Rows that do not do

ROWS = [
    ("a.jsonl", b"", "a.jsonl has no rows"),
    ("a.csv", b"", "a.csv has no rows"),
    ("a.csv", b"text,label\n", "a.csv has no rows"),
    ("a.jsonl", b'{"text": "a", "label": []}\n' * 9, "no row has a label"),
    ("a.jsonl", b'{"text": "a", "label": "x"}\n' * 9, "every row has the label 'x'; two labels"),
    ("a.jsonl", b'{"text": "a"}\n', "line 1: no field 'label', found 'text'; name the right one"),
    ("a.csv", b"said,kind\na,b\n", "no field 'text', found 'said', 'kind'; name the right one"),
    ("a.jsonl", b'{"text": "a", "label": "x"}\n{"text": "b",\n', "line 2: not valid JSON at col"),
    ("a.jsonl", b'{"text": "a", "label": "x"}\n\n{"text": "\xe9"}\n', "line 3: byte 0xe9 is not"),
    ("a.jsonl", b'{"text": "a", "label": "x\\ud800"}\n{"text": "b", "label": "y"}\n', "half a"),
    ("a.jsonl", b'{"text": "a", "label": 0.5}\n', "the number 0.5, but labels are names"),
    (
        "a.jsonl",
        b'{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n',
        "2 rows with labels are too few",
    ),
    (
        "a.csv",
        b'text,label\n" ",x\n"",y\n"  ",x\n"   ",y\n',
        "there is no word in the training texts",
    ),
    ("a.csv", b'text,label\n"open,x\n', "a quote is opened and never closed"),
    ("a.txt", b"no label here\n", "line 1: no label; a line starts with __label__NAME"),
    ("a.jsonl.gz", b"not gzip", "the gzip data is damaged or cut off"),
]


@pytest.mark.parametrize("case", ROWS, ids=[case[2] for case in ROWS])
def test_rows_that_are_refused(command, tmp_path, case):
    name, content, message = case
    (tmp_path / name).write_bytes(content)
    shown = command("train", tmp_path / name, "-o", tmp_path / "run", *QUICK)
    assert (shown.status, shown.out) == (1, "")
    assert message in shown.message
    assert names(tmp_path) == [name]


DEV = [
    ([{"text": "a", "label": "ugly"}], "line 1: the label 'ugly' does not occur in the training"),
    ([{"text": "a", "label": ["good", "bad"]}], "line 1: 2 labels in a row of a single-label task"),
    ([], "dev.jsonl has no rows"),
]


@pytest.mark.parametrize("case", DEV, ids=[case[1] for case in DEV])
def test_dev_rows_that_are_refused(command, data, tmp_path, write_jsonl, case):
    rows, message = case
    dev = write_jsonl(tmp_path / "dev.jsonl", rows)
    shown = command("train", data, "-o", tmp_path / "run", "--dev", dev, *QUICK)
    assert (shown.status, shown.out) == (1, "")
    assert message in shown.message
    assert "dev.jsonl" in shown.message
    assert names(tmp_path) == ["dev.jsonl"]


def test_files_that_cannot_be_read(command, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, reason in (("no.csv", "No such file or directory"), ("folder.csv", "Is a directory")):
        shown = command("train", tmp_path / name, "-o", tmp_path / "run")
        assert shown.status == 1
        assert shown.message == f"textgate: {tmp_path / name}: cannot be read: {reason}"
    assert names(tmp_path) == ["folder.csv"]


# Options that do not do

WRONG = [
    (["--device", "gpu"], "textgate: --device 'gpu' is not one of cpu, cuda, mps and auto"),
    (["--device", "cudda"], "is not one of cpu, cuda, mps and auto (did you mean 'cuda'?)"),
    (["--device", "cuda:77"], "textgate: --device 'cuda:77' cannot be used here: "),
    (["--preset", "best"], "Error: Invalid value for '--preset': 'best' is not one of"),
    (["--preset", "seed-ltsm"], "'seed-gru' (did you mean 'seed-lstm'?)."),
    (["--cell", "ltsm"], "is not one of 'rnn', 'lstm', 'gru' (did you mean 'lstm'?)."),
    (["--cell", "tree"], "Error: Invalid value for '--cell': 'tree' is not one of"),
    (["--hidden", "0"], "'0' is not a list of numbers from 1 on, such as 128,64"),
    (["--hidden", "none"], "'none' is not a list of numbers from 1 on"),
    (["--hidden", "8,"], "'8,' is not a list of numbers from 1 on"),
    (["--hidden", "1" * 5000], "is not a list of numbers from 1 on"),
    (
        ["--hidden", "99999999"],
        "textgate: --hidden must be a whole number from 1 to 16777216",
    ),
    (["--dense", "x"], "'x' is not a list of numbers from 1 on"),
    (
        ["--pooling", "min"],
        "textgate: --pooling must be one of last, max, mean, attention, not 'min'",
    ),
    (["--pooling", "maxx"], "not 'maxx' (did you mean 'max'?)"),
    (["--pooling", ""], "textgate: --pooling must be one of"),
    (["--epochs", "0"], "textgate: --epochs must be a whole number from 1 to 100000, not 0"),
    (["--epochs", "many"], "Error: Invalid value for '--epochs': 'many' is not a valid integer"),
    (["--learning-rate", "nan"], "textgate: --learning-rate must be a number, not nan"),
    (["--head-dropout", "1"], "textgate: --head-dropout must be a number from 0 to below 1"),
    (
        ["--dev-fraction", "0.9"],
        "textgate: --dev-fraction must be a number from 0.01 to 0.5, not 0.9",
    ),
    (["--seed", "-1"], "textgate: --seed must be a whole number from 0 to"),
    (["--max-tokens", "0"], "textgate: --max-tokens must be a whole number from 1 to"),
    (
        ["--linear-size", "5", "--linear-buckets", "0"],
        "textgate: --linear-buckets must be above 0 where --linear-size is, not 0; for no linear",
    ),
    (["--threads", "0"], "Error: Invalid value for '--threads': 0 is not in the range"),
    (["--threads", "99999999999"], "Error: Invalid value for '--threads': 99999999999 is not in"),
    (["--resume", "--force"], "Error: --resume continues a run and --force replaces it"),
    (["--text-field", "label"], "the text and the label cannot both be the field 'label'"),
    (["--input-format", "text"], "plain text has no labels; use one of the other formats"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[case[1] for case in WRONG])
def test_wrong_options(command, data, tmp_path, options, message):
    shown = command("train", data, "-o", tmp_path / "run", *options)
    assert (shown.status, shown.out) == (2, "")
    assert message in shown.message
    assert names(tmp_path) == []


# Where runs and bundles go


def stranger(folder):
    folder.mkdir()
    (folder / "letter.txt").write_text("dear", encoding="utf-8")
    return folder


WRITERS = [
    ("train", "missing.csv"),
    ("fit", "missing.csv"),
    ("teach", "missing.csv", "--transformer", "missing"),
    ("pretrain", "missing.txt"),
    ("export", "missing"),
    ("compare", "missing.csv", "--test", "missing.csv"),
]


@pytest.mark.parametrize("arguments", WRITERS, ids=[case[0] for case in WRITERS])
def test_an_output_that_cannot_be_written_is_refused_before_inputs_are_read(
    command, tmp_path, arguments
):
    (tmp_path / "old").mkdir()
    for name in ("seed-lstm", "seed-lstm.run"):  # in the folder of a comparison
        (tmp_path / "old" / name).mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    shown = command(*arguments, "-o", tmp_path / "old")
    assert shown.status == 1
    assert shown.message.endswith("already exists; choose another path or pass --force")
    shown = command(*arguments, "-o", tmp_path / "file" / "new")
    assert shown.status == 1
    assert shown.message.endswith(f"cannot be written: {tmp_path / 'file'} is not a folder")


def test_train_never_overwrites_unasked(command, data, run, tmp_path):
    before = (run / "model.safetensors").read_bytes()
    shown = command("train", data, "-o", run, *QUICK)
    assert shown.status == 1
    assert shown.message.endswith("already exists; choose another path or pass --force")
    assert (run / "model.safetensors").read_bytes() == before
    shown = command("train", data, "-o", stranger(tmp_path / "mine"), "--force", *QUICK)
    assert shown.status == 1
    assert "holds other files and no run.json, so --force does not replace it" in shown.message
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    shown = command("train", data, "-o", tmp_path / "file", "--force", *QUICK)
    assert shown.status == 1
    assert "not a folder, so --force does not replace it" in shown.message
    shown = command("train", data, "-o", tmp_path / "file" / "run", *QUICK)
    assert shown.status == 1
    assert names(tmp_path) == ["file", "mine", "mine/letter.txt"]


def test_force_replaces_a_run(command, data, tmp_path):
    for seed in ("1", "2"):
        shown = command("train", data, "-o", tmp_path / "run", "--seed", seed, "--force", *QUICK)
        assert shown.status == 0
        assert read_run(tmp_path / "run").settings["seed"] == int(seed)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_export_never_overwrites_unasked(command, run, tmp_path):
    bundle = tmp_path / "bundle"
    assert command("export", run, "-o", bundle).status == 0
    before = (bundle / "textgate.json").read_bytes()
    shown = command("export", run, "-o", bundle, "--precision", "float32")
    assert shown.status == 1
    assert shown.message.endswith("already exists; choose another path or pass --force")
    assert (bundle / "textgate.json").read_bytes() == before
    assert command("export", run, "-o", bundle, "--precision", "float32", "--force").status == 0
    assert read_bundle(bundle).manifest.precision == "float32"
    shown = command("export", run, "-o", stranger(tmp_path / "mine"), "--force")
    assert shown.status == 1
    assert "holds other files and no textgate.json" in shown.message
    shown = command("export", run, "-o", run, "--force")  # onto the run itself
    assert shown.status == 2
    assert (run / "model.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "mine"]


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "name",
    ["write_text", "write_bytes", "fsync", "mkdir"],
)
def test_a_full_disk_leaves_nothing(command, data, run, tmp_path, name):
    owner = textgate.atomic.os if name == "fsync" else Path
    if name in ("write_text", "fsync", "mkdir"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, full_disk)
            shown = command("train", data, "-o", tmp_path / "run", *QUICK)
        assert shown.status == 1
        assert "No space left on device" in shown.message
    if name in ("write_bytes", "fsync", "mkdir"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, full_disk)
            shown = command("export", run, "-o", tmp_path / "bundle")
        assert shown.status == 1
        assert "No space left on device" in shown.message
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_while_training(command, data, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_module, "write_bytes", full_disk)
        shown = command("train", data, "-o", tmp_path / "run", *QUICK)
    assert shown.status == 1
    assert shown.message == (
        f"textgate: {tmp_path / 'run' / 'checkpoint.safetensors'}: cannot be written: No space "
        "left on device"
    )
    assert names(tmp_path) == ["run", "run/dev.jsonl.gz", "run/run.json", "run/tokenizer.json"]
    shown = command("export", tmp_path / "run", "-o", tmp_path / "bundle")
    assert shown.status == 1
    assert "training has not finished; continue it with textgate train --resume" in shown.message
    assert command("train", data, "-o", tmp_path / "run", "--resume").status == 0


# Resuming


def test_resuming(command, data, run):
    before = (run / "model.safetensors").stat().st_mtime_ns
    shown = command("train", data, "-o", run, "--resume")
    assert shown.status == 0
    assert shown.err == f"{run} is finished already\n"
    assert shown.out.startswith(f"{run}: epoch ")
    assert (run / "model.safetensors").stat().st_mtime_ns == before


def changed(path, name, change):
    content = (path / name).read_bytes()
    (path / name).write_bytes(change(content))


@pytest.fixture
def spoiled(run, tmp_path):
    """Copies the finished run and changes one of its files."""

    def spoil(name, change):
        path = tmp_path / "spoiled"
        path.mkdir()
        for file in run.iterdir():
            (path / file.name).write_bytes(file.read_bytes())
        changed(path, name, change)
        return path

    return spoil


SPOILED = [
    (
        "run.json",
        lambda old: old.replace(b'format_version": 1', b'format_version": 2'),
        "version 2",
    ),
    ("run.json", lambda old: old[:-9], "not valid JSON"),
    ("run.json", lambda old: old.replace(b'"labels"', b'"label"'), "field 'labels' is missing"),
    ("model.safetensors", lambda old: old[:-1], "damaged"),
    ("model.safetensors", lambda old: old[:-1] + bytes([old[-1] ^ 1]), "damaged"),
]


@pytest.mark.parametrize("case", SPOILED, ids=[f"{case[0]} {case[2]}" for case in SPOILED])
def test_a_spoiled_run(command, data, spoiled, case):
    name, change, message = case
    path = spoiled(name, change)
    before = names(path.parent)
    for arguments in (
        ("train", data, "-o", path, "--resume"),
        ("export", path, "-o", path.parent / "bundle"),
    ):
        shown = command(*arguments)
        assert (shown.status, shown.out) == (1, "")
        assert message in shown.message
        assert name in shown.message
    assert names(path.parent) == before


@pytest.mark.parametrize("name", ["tokenizer.json", "dev.jsonl.gz"])
@pytest.mark.parametrize("change", [lambda _: b"", lambda _: b"{}", lambda old: old[:-7]])
def test_a_run_whose_other_files_are_spoiled(command, spoiled, name, change):
    path = spoiled(name, change)
    shown = command("export", path, "-o", path.parent / "bundle")
    assert (shown.status, shown.out) == (1, "")
    assert str(path) in shown.message
    assert not (path.parent / "bundle").exists()


@pytest.fixture
def other(separable, write_jsonl, tmp_path):
    return write_jsonl(tmp_path / "other.jsonl", objects(separable(120, seed=9)))


def test_resuming_with_something_else(command, data, run, other):
    for arguments, message in (
        ((other,), "begun with other train rows than these"),
        ((data, "--cell", "rnn"), "begun with --cell 'lstm', not 'rnn'"),
        ((data, "--dev", other), "begun with other train rows than these"),
    ):
        shown = command("train", *arguments, "-o", run, "--resume")
        assert (shown.status, shown.out) == (1, "")
        assert message in shown.message


# Exporting

EXPORT = [
    (["--precision", "int4"], 2, "Error: Invalid value for '--precision': 'int4' is not one of"),
    (["--max-accuracy-drop", "-1"], 2, "-1 is not a number of points from 0 to 100"),
    (["--max-accuracy-drop", "nan"], 2, "nan is not a number of points from 0 to 100"),
    (
        ["--min-precision", "95"],
        2,
        "'--min-precision': it must be a number above 0 and up to 1, not 95, which looks like a ",
    ),
    (["--min-precision", "nan"], 2, "'--min-precision': it must be a number above 0 and up to 1"),
    (["--coverage", "90"], 2, "'--coverage': it must be a number above 0 and up to 1, not 90, whi"),
    (["--coverage", "0"], 2, "'--coverage': it must be a number above 0 and up to 1, not 0"),
    (["--coverage", "1"], 2, "coverage must be below 1"),
    (["--coverage", "0.9", "--min-precision", "0.9"], 2, "give --min-precision or --coverage"),
    (["--min-precision", "0.95"], 1, "too few), but 59 are needed to show a precision of 0.95"),
    (["--max-size", "big"], 2, "'big' is not a size such as 500KB or 2MB"),
    (["--max-size", "-5KB"], 2, "'-5KB' is not a size such as 500KB or 2MB"),
    (["--max-size", "9" * 400], 2, "is not a size such as 500KB or 2MB"),
    (["--max-size", "0"], 2, "the largest size must be at least 1 byte, not 0"),
    (["--max-size", "10B"], 1, "no bundle of this network fits into 10 B: the smallest, with"),
    (["--max-size", "1KB"], 1, "no bundle of this network fits into 1 KB"),
    (["--precision", "float32", "--fallback"], 2, "are for int8; leave them out"),
    (["--verify", "nothing.csv"], 1, "nothing.csv: cannot be read: No such file or directory"),
    (["--verify", "nothing"], 2, "the name tells no format"),
]


@pytest.mark.parametrize("case", EXPORT, ids=[case[2] for case in EXPORT])
def test_exports_that_are_refused(command, run, tmp_path, case):
    options, status, message = case
    shown = command("export", run, "-o", tmp_path / "bundle", *options)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message
    assert names(tmp_path) == []


VERIFY = [
    (
        [{"text": "a", "label": label} for label in ("ugly", "good", "nice", "nice")],
        "2 labels do not occur in the training rows, which have 'bad', 'good': 'nice' (2 ",
    ),
    ([{"text": "a", "label": ["good", "bad"]}], "line 1: 2 labels in a row of a single-label task"),
    (
        [{"text": "a", "label": "bad"}, {"text": "a", "label": []}],
        "line 2: 0 labels in a row of a single-label task",
    ),
    ([], "rows.jsonl has no rows"),
]


@pytest.mark.parametrize("case", VERIFY, ids=[case[1] for case in VERIFY])
def test_rows_to_verify_on_that_are_refused(command, run, tmp_path, write_jsonl, case):
    rows, message = case
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    shown = command("export", run, "-o", tmp_path / "bundle", "--verify", path)
    assert (shown.status, shown.out) == (1, "")
    assert message in shown.message
    assert names(tmp_path) == ["rows.jsonl"]


def test_other_rows_to_verify_on(command, run, tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("said\tkind\nfine w1\tgood\nawful w2\tbad\n", encoding="utf-8")
    shown = command(
        *("export", run, "-o", tmp_path / "bundle", "--verify", path),
        *("--text-field", "said", "--label-field", "kind"),
    )
    assert shown.status == 0, shown.err
    assert "on 2 rows" in shown.err
    assert read_bundle(tmp_path / "bundle").manifest.quality["exported"].rows == 2


def test_what_is_no_run(command, tmp_path, bundle):
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "nothing", "is not a training run: there is no such folder; name one that"),
        (tmp_path, "is not a training run: it has no run.json; name a folder that textgate train"),
        (bundle, "is not a training run: it is a bundle; name the run that it was exported from"),
        (tmp_path / "file", "is not a training run: it is not a folder"),
    ):
        shown = command("export", path, "-o", tmp_path / "bundle")
        assert shown.status == 1
        assert message in shown.message
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("output", [".", "bundle", "deep/bundle"])
def test_a_bundle_inside_its_run(command, run, output):
    before = names(run)
    for force in ((), ("--force",)):
        shown = command("export", run, "-o", run / output, *force)
        assert (shown.status, shown.out) == (2, "")
        assert f"inside the run {run}; choose a path outside of it" in shown.message
    assert names(run) == before


def doubtful(rows):
    """Rows of which every ninth has the other label, so that no answer is certain."""
    for row in rows[::9]:
        row["label"] = "bad" if row["label"] == "good" else "good"
    return rows


def test_thresholds_are_told_with_the_rows_behind_them(command, separable, write_jsonl, tmp_path):
    data, rows = (
        write_jsonl(tmp_path / f"{name}.jsonl", doubtful(objects(separable(200, seed=seed))))
        for name, seed in (("data", 2), ("rows", 3))
    )
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    assert command("train", data, "-o", run, *QUICK).status == 0
    shown = command("export", run, "-o", bundle, "--verify", rows, "--min-precision", "0.8")
    assert shown.status == 0, shown.err
    assert "thresholds for precision 0.8, chosen on these 200 rows:" in shown.err
    facts, _, table = command("inspect", bundle).out.rpartition("\n\n")
    assert "thresholds for     precision 0.8, chosen on the rows of the quality below" in facts
    assert table.strip() in shown.err
    header, *lines = table.splitlines()
    assert header.split()[:2] == ["label", "threshold"]
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert (
        "on the same 200 rows, so that a fraction of at least 0.8 of each label's answers is"
        in card
    )
    assert "Measured on the 200 rows of `rows.jsonl`." in card
    told = json.loads(command("inspect", bundle, "--json").out)["thresholds"]
    assert [one["label"] for one in told] == ["bad", "good"]
    texts = [row.text for row in separable(200, seed=3)]
    answered = Counter(item.label for item in Classifier.load(bundle).predict_many(texts))
    assert {one["label"]: one["kept"] for one in told} == {
        label: count for label, count in answered.items() if label is not None
    }
    for one, line in zip(told, lines, strict=True):
        assert one["threshold"] in read_bundle(bundle).manifest.thresholds
        assert 0.8 * one["kept"] <= one["right"] <= one["kept"] <= one["answers"]
        for count in ("answers", "kept", "right"):
            assert f" {one[count]}" in line


def test_a_size_is_the_same_wherever_it_is_told(command, run, tmp_path):
    bundle = tmp_path / "bundle"
    exported = command("export", run, "-o", bundle)
    size = sum(path.stat().st_size for path in bundle.iterdir())
    assert bundle_bytes(bundle) == size
    assert exported.out == f"{bundle}: int8, {format_bytes(size)}\n"
    assert f"size               {format_bytes(size)} (" in command("inspect", bundle).out
    assert json.loads(command("inspect", bundle, "--json").out)["bytes"] == size
    assert f"The bundle has {format_bytes(size)}, " in (bundle / "README.md").read_text()
    options = ("--lengths", "5", "--batch-sizes", "1", "--duration", "0.01", "--json")
    (measured,) = json.loads(command("bench", "-m", bundle, *options).out)["bundles"]
    assert sum(measured["bytes"].values()) == size


def test_a_long_export_tells_how_far_it_is(command, run, tmp_path, monkeypatch):
    quick = command("export", run, "-o", tmp_path / "quick")
    assert "verifying" not in quick.err
    monkeypatch.setattr("textgate.export.cli._QUIET_SECONDS", 0.0)
    told = command("export", run, "-o", tmp_path / "long").err.splitlines()
    assert told[:4] == [
        "measuring the cells' inputs",
        "comparing the float32 graph with torch",
        "verifying int8 per channel, 8-bit embedding",
        "verifying int8 per tensor, 8-bit embedding",
    ]


# Comparing


@pytest.fixture
def tiny_presets(monkeypatch):
    for name in ("seed-rnn", "seed-gru"):
        tiny = PRESETS[name].replace(hidden_sizes=(6, 4), embedding_size=4, epochs=2)
        monkeypatch.setitem(PRESETS, name, tiny)
    briefly = partial(textgate.export.compare_cli.measure_together, seconds=0.0)
    monkeypatch.setattr(textgate.export.compare_cli, "measure_together", briefly)


@pytest.fixture
def test_rows(separable, write_jsonl, tmp_path):
    return write_jsonl(tmp_path / "test.jsonl", objects(separable(40, seed=2)))


@pytest.mark.usefixtures("tiny_presets")
def test_compare(command, data, test_rows, tmp_path):
    out = tmp_path / "out"
    options = ("--preset", "seed-rnn", "--preset", "seed-gru", "--tokens", "8")
    arguments = ("compare", data, "--test", test_rows, "-o", out, *options)
    shown = command(*arguments)
    assert shown.status == 0, shown.err
    written = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    header, rows, align = comparison_table([Compared(**line) for line in written["rows"]])
    assert shown.out == format_table(header, rows, align=align) + "\n"
    assert [row[0] for row in rows] == ["seed-rnn", "seed-gru"]
    assert written["failed"] == []
    for told in (
        "-- seed-rnn, 1 of 2",
        "exporting seed-rnn as int8",
        "scoring seed-gru on 40 rows",
        "timing 2 bundles on texts of 8 tokens",
    ):
        assert told in shown.err.splitlines()
    assert written["machine"]["cpus"] >= 1
    assert [line["preset"] for line in written["rows"]] == ["seed-rnn", "seed-gru"]
    for line in written["rows"]:
        assert 0 <= line["low"] <= line["accuracy"] <= line["high"] <= 1
        assert line["p50_ms"] > 0
        assert line["tokens"] == 8
        assert read_bundle(out / line["preset"]).manifest.precision == "int8"
        assert line["bundle_bytes"] == bundle_bytes(out / line["preset"])
    again = command(*arguments)
    assert again.status == 1
    assert len(again.err.splitlines()) == 1  # before anything is trained
    assert "already exists; choose another path or pass --force" in again.message
    one = ("compare", data, "--test", test_rows, "-o", out, "--preset", "seed-rnn", "--force")
    assert command(*one).status == 0


@pytest.mark.usefixtures("tiny_presets")
def test_compare_reads_rows_in_the_same_way(command, separable, tmp_path):
    for name, count in (("train", 80), ("test", 30)):
        content = written(separable(count), mark=";", encoding="cp1252", bad=True)
        (tmp_path / f"{name}.csv").write_bytes(content)
    shown = command(
        *("compare", tmp_path / "train.csv", "--test", tmp_path / "test.csv"),
        *("-o", tmp_path / "out", "--preset", "seed-gru", "--tokens", "4"),
        *("--text-field", "subject", "--text-field", "body", "--label-field", "kind"),
        *("--encoding", "cp1252", "--skip-bad-rows"),
    )
    assert shown.status == 0, shown.err
    assert "left out 2 of 32 rows" in shown.err
    assert "left out 2 of 82 rows" in shown.err
    assert shown.err.count("the cells are taken as separated by ';'") == 2


@pytest.mark.usefixtures("tiny_presets")
@pytest.mark.parametrize(
    ("step", "error"), [("fit", ConfigError), ("export", VerificationError)], ids=["fit", "export"]
)
def test_a_network_that_fails_does_not_keep_the_others(
    command, data, test_rows, tmp_path, monkeypatch, step, error
):
    works = getattr(textgate.export.compare_cli, step)

    def fails(first, target, **options):
        if "seed-rnn" in str(target):
            raise error("it went wrong")
        return works(first, target, **options)

    monkeypatch.setattr(textgate.export.compare_cli, step, fails)
    out = tmp_path / "out"
    options = ("--preset", "seed-rnn", "--preset", "seed-gru", "--tokens", "8")
    shown = command("compare", data, "--test", test_rows, "-o", out, *options)
    assert shown.status == 1
    assert shown.message == "textgate: 1 of 2 networks failed: seed-rnn"
    header, done, failed, reason = shown.out.splitlines()
    assert header.split()[0] == "network"
    assert done.split()[0] == "seed-gru"
    assert failed.split() == ["seed-rnn", "-", "-", "failed", "-", "-", "-"]
    assert reason == "seed-rnn failed: it went wrong"
    written = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert [line["preset"] for line in written["rows"]] == ["seed-gru"]
    assert written["failed"] == [{"preset": "seed-rnn", "reason": "it went wrong"}]


@pytest.mark.usefixtures("tiny_presets")
def test_rows_that_no_network_can_be_scored_on(command, data, tmp_path, write_jsonl):
    """They are told of after the first network, not after the last."""
    test = write_jsonl(tmp_path / "test.jsonl", [{"text": "a", "label": "ugly"}])
    options = ("--preset", "seed-rnn", "--preset", "seed-gru")
    shown = command("compare", data, "--test", test, "-o", tmp_path / "out", *options)
    assert shown.status == 1
    assert "the label 'ugly' does not occur among the model's" in shown.message
    assert "seed-gru" not in shown.err


COMPARE = [
    (["--preset", "best"], 2, "Error: Invalid value for '--preset': 'best' is not one of"),
    (["--tokens", "0"], 2, "Error: Invalid value for '--tokens': 0 is not in the range"),
    (["--seed", "-1"], 2, "textgate: --seed must be a whole number from 0 to"),
    (["--dev", "nothing.csv"], 1, "nothing.csv: cannot be read"),
    (["--dev", "-"], 2, "Error: DATA and --dev are read once per network; name files instead of -"),
]


@pytest.mark.parametrize("case", COMPARE, ids=[case[2] for case in COMPARE])
def test_compare_refuses(command, data, test_rows, tmp_path, case):
    options, status, message = case
    shown = command("compare", data, "--test", test_rows, "-o", tmp_path / "out", *options)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.err.splitlines()[-1]
    assert names(tmp_path) == ["test.jsonl"]


def test_compare_needs_rows_to_score_on(command, data, tmp_path):
    shown = command("compare", data, "--test", tmp_path / "no.csv", "-o", tmp_path / "out")
    assert shown.status == 1
    assert "no.csv: cannot be read" in shown.message
    assert names(tmp_path) == []
