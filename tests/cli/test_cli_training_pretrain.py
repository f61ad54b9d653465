"""`textgate pretrain`, and `textgate train` that starts from what it makes."""

from __future__ import annotations

import pytest

from textgate.bundle.run import read_run

TINY = (
    *("--hidden", "8", "--embedding-size", "6", "--vocabulary-size", "600"),
    *("--vectors", "none", "--epochs", "2", "--max-tokens", "20"),
)


@pytest.fixture(scope="module")
def texts(separable, write_jsonl, tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    return write_jsonl(path, [{"said": row.text} for row in separable(200, seed=5)])


@pytest.fixture(scope="module")
def data(separable, write_jsonl, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(80)]
    return write_jsonl(path, rows)


@pytest.fixture(scope="module")
def folder(command, texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("pretrained") / "tiny"
    shown = command("pretrain", texts, "-o", path, "--text-field", "said", *TINY)
    assert shown.status == 0, shown.err
    return path


def test_pretrain(command, texts, tmp_path):
    path = tmp_path / "p"
    arguments = ("pretrain", texts, "-o", path, "--text-field", "said")
    shown = command(*arguments, *TINY)
    assert shown.status == 0, shown.err
    assert shown.out.startswith(f"{path}: epoch 2 of 2, perplexity ")
    assert " on 50 held-out texts, " in shown.out
    first, second, *epochs = shown.err.splitlines()
    assert first == "texts.jsonl: 200 texts to pretrain on"
    assert second.startswith("150 texts with ")
    assert [line.split("  ")[0:2] for line in epochs] == [["epoch", " 1"], ["epoch", " 2"]]
    assert " held-out perplexity " in epochs[0]

    again = command(*arguments, *TINY)
    assert again.status == 1
    assert again.message.endswith("already exists; choose another path or pass --force")
    resumed = command(*arguments, "--resume")  # the folder knows its options
    assert (resumed.status, resumed.err) == (0, f"{path} is finished already\n")
    assert resumed.out == shown.out
    assert command(*arguments, *TINY, "--force").status == 0


def test_train_from_it(command, folder, data, tmp_path):
    run = tmp_path / "run"
    arguments = ("train", data, "-o", run, "--pretrained", folder, "--epochs", "2")
    shown = command(*arguments)
    assert shown.status == 0, shown.err
    told = next(line for line in shown.err.splitlines() if line.startswith("starts from "))
    assert told.startswith(f"starts from {folder}: ")
    assert told.endswith(" words x 6, lstm of 8 units")
    assert read_run(run).pretrained.name == "tiny"
    assert read_run(run).architecture.hidden_sizes == (8,)
    facts = command("inspect", run).out
    assert "tiny" in facts
    assert command(*arguments, "--resume").status == 0
    shown = command("train", data, "-o", run, "--resume")
    assert shown.status == 1
    assert shown.message == (
        f"textgate: {run}: begun with the pretrained weights of tiny, and none are given; give "
        "that folder with --encoder, or start again in another folder"
    )


def test_the_help_has_the_defaults_of_both_objectives(command):
    shown = " ".join(command("pretrain", "--help").out.split())
    assert "[default: 126; 382 with --teacher]" in shown
    assert "[default: 100]" in shown


WRONG = [
    ([], 2, "Error: Missing argument 'TEXTS...'."),
    (["texts", "--resume", "--force"], 2, "Error: --resume continues a run and --force replaces"),
    (["texts", "--hidden", "0"], 2, "textgate: --hidden must be a whole number from 1 to"),
    (["texts", "--hidden", "8,8"], 2, "Error: Invalid value for '--hidden': '8,8' is not a valid"),
    (["texts", "--cell", "cnn"], 2, "Error: Invalid value for '--cell': 'cnn' is not one of"),
    (["texts", "--bidirectional"], 2, "Error: No such option '--bidirectional'"),
    (["texts", "--vocabulary-size", "100"], 2, "textgate: --vocabulary-size 100 is too small for"),
    (["texts", "--learning-rate", "nan"], 2, "textgate: --learning-rate must be a number, not nan"),
    (["-"], 2, "textgate: texts without labels are read several times; give a file, not -"),
    (["texts", "--teacher", "nothing"], 2, "no encoder: it has no config.json; give a folder with"),
    (["missing.txt"], 1, "missing.txt: cannot be read: No such file or directory"),
    (["texts"], 1, "texts.jsonl, line 1: no field 'text', found 'said'; name the right one"),
    (["texts", "--text-field", "said", "--vectors", "no.txt"], 1, "no.txt: cannot be read"),
]


@pytest.mark.parametrize("case", WRONG, ids=[case[2] for case in WRONG])
def test_what_is_refused(command, texts, tmp_path, case):
    arguments, status, message = case
    given = [texts if argument == "texts" else argument for argument in arguments]
    shown = command("pretrain", *given, "-o", tmp_path / "p")
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message
    assert list(tmp_path.iterdir()) == []


def test_options_that_disagree(command, folder, data, tmp_path):
    shown = command("train", data, "-o", tmp_path / "run", "--encoder", folder, "--cell", "gru")
    assert (shown.status, shown.out) == (2, "")
    assert shown.message == (
        f"textgate: --cell gru does not go with {folder}, which was pretrained with lstm; leave "
        "the option out, or pretrain again with --cell"
    )
    assert list(tmp_path.iterdir()) == []
