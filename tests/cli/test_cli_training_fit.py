"""`textgate fit`: a bundle in one step, nothing half-written, and nothing lost."""

from __future__ import annotations

import pytest
import torch

import textgate.export.fit_cli
from textgate.bundle.run import read_run
from textgate.bundle.storage import read_bundle
from textgate.errors import VerificationError
from textgate.train.training.progress import TerminalProgress

SETTINGS = """
hidden_sizes = [6]
embedding_size = 4
vectors = "none"
epochs = 3
batch_size = 16
folds = 0
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def arguments(separable, write_jsonl, tmp_path):
    """Rows and small settings, in a folder beside the one that is looked at."""
    folder = tmp_path / "given"
    folder.mkdir()
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(120)]
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    return write_jsonl(folder / "rows.jsonl", rows), "--config", settings


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def graph(bundle):
    return (bundle / "model.onnx").read_bytes()


def test_a_bundle_in_one_step(command, arguments, out):
    shown = command("fit", *arguments, "-o", out / "m")
    assert shown.status == 0, shown.err
    assert shown.out.startswith(f"{out / 'm'}: int8, ")
    assert "; on 12 dev rows accuracy " in shown.out
    assert len(shown.out.splitlines()) == 1
    told = shown.err.splitlines()
    assert told[0].startswith("rows.jsonl: 1 row repeats")
    assert told[-1] == f"to use it: textgate classify -m {out / 'm'} 'some text'"
    assert names(out) == ["m"]
    assert command("classify", "-m", out / "m", "w1 awful").out.startswith("bad\t")


def test_quiet(command, arguments, out):
    shown = command("fit", *arguments, "-o", out / "m", "--quiet")
    assert (shown.status, len(shown.err.splitlines())) == (0, 1)
    assert shown.err.startswith("rows.jsonl: 1 row repeats")
    assert shown.out.startswith(f"{out / 'm'}: int8, ")


def test_it_is_train_and_export(command, arguments, out):
    options = ("--seed", "3", "--precision", "float32")
    assert command("fit", *arguments, "-o", out / "m", *options, "--run", out / "r").status == 0
    assert names(out) == ["m", "r"]
    assert read_run(out / "r").settings["seed"] == 3
    assert read_bundle(out / "m").manifest.precision == "float32"
    assert command("train", *arguments, "--seed", "3", "-o", out / "r2").status == 0
    assert command("export", out / "r2", "-o", out / "m2", "--precision", "float32").status == 0
    assert graph(out / "m2") == graph(out / "m")


def test_what_is_there_is_not_replaced_unasked(command, arguments, out):
    (out / "m").mkdir()
    (out / "m" / "letter.txt").write_text("dear", encoding="utf-8")
    for options, message in (
        ((), "already exists; choose another path or pass --force"),
        (("--force",), "holds other files and no textgate.json, so --force does not replace it"),
    ):
        shown = command("fit", *arguments, "-o", out / "m", *options)
        assert (shown.status, shown.out, len(shown.err.splitlines())) == (1, "", 1)
        assert message in shown.message
        assert names(out) == ["m"]
    assert command("fit", *arguments, "-o", out / "n").status == 0
    before = graph(out / "n")
    assert command("fit", *arguments, "-o", out / "n").status == 1
    assert graph(out / "n") == before
    assert command("fit", *arguments, "-o", out / "n", "--seed", "1", "--force").status == 0
    assert graph(out / "n") != before
    assert names(out) == ["m", "n"]


@pytest.fixture
def interrupted(command, arguments, out):
    """Interrupts a fit after its second epoch."""

    def interrupt(*options):
        def end_epoch(self, epoch, **others):
            TerminalProgress.note(self, f"ended {epoch.number}")
            if epoch.number == 2:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TerminalProgress, "end_epoch", end_epoch)
            return command("fit", *arguments, "-o", out / "m", *options)

    return interrupt


@pytest.mark.parametrize("options", [(), ("--run",)])
def test_an_interrupted_fit_goes_on(command, arguments, out, interrupted, options):
    run = out / ("r" if options else "m.run")
    options = (*options, run) if options else ()
    shown = interrupted(*options)
    assert (shown.status, shown.out) == (130, "")
    assert shown.err.splitlines()[-3:] == [
        f"the run is kept in {run}: --resume continues it",
        "",
        "textgate: interrupted",
    ]
    assert names(out) == [run.name]

    again = command("fit", *arguments, "-o", out / "m", *options)
    assert again.status == 1
    assert again.message == (
        f"textgate: {run}: a run is there already; continue it with --resume, or replace it with "
        "--force"
    )
    resumed = command("fit", *arguments, "-o", out / "m", *options, "--resume")
    assert resumed.status == 0, resumed.err
    assert "resuming after epoch 2" in resumed.err
    assert command("fit", *arguments, "-o", out / "whole").status == 0
    assert graph(out / "whole") == graph(out / "m")
    assert names(out) == sorted(["m", "whole", *(["r"] if options else [])])


def test_the_replacing_of_a_bundle_goes_on_too(command, arguments, out, interrupted):
    assert command("fit", *arguments, "-o", out / "m").status == 0
    before = graph(out / "m")
    assert interrupted("--force", "--seed", "1").status == 130
    assert graph(out / "m") == before
    options = ("--force", "--resume", "--seed", "1")
    resumed = command("fit", *arguments, "-o", out / "m", *options)
    assert resumed.status == 0
    assert "resuming after epoch 2" in resumed.err
    assert graph(out / "m") != before
    assert names(out) == ["m"]


def test_a_run_that_cannot_be_exported_is_kept(command, arguments, out, monkeypatch):
    def refuse(*_, **__):
        raise VerificationError("the graph computes something else")

    monkeypatch.setattr(textgate.export.fit_cli, "export", refuse)
    shown = command("fit", *arguments, "-o", out / "m")
    assert (shown.status, shown.out) == (1, "")
    assert shown.err.splitlines()[-2:] == [
        f"the trained run is kept in {out / 'm.run'}: textgate export exports it",
        "textgate: the graph computes something else",
    ]
    assert names(out) == ["m.run"]
    assert command("export", out / "m.run", "-o", out / "m").status == 0


REFUSED = [
    (["--preset", "best"], 2, "Invalid value for '--preset': 'best' is not one of"),
    (["--precision", "int4"], 2, "Invalid value for '--precision': 'int4' is not one of"),
    (["--seed", "-1"], 2, "seed must be a whole number from 0 to"),
    (["--dev", "nothing.csv"], 1, "nothing.csv: cannot be read"),
    (["--text-field", "said"], 1, "no field 'said', found 'text', 'label'"),
]


@pytest.mark.parametrize("run", ["m", "m/run"])
def test_the_run_is_not_kept_where_the_bundle_is_to_be(command, arguments, out, run):
    shown = command("fit", *arguments, "-o", out / "m", "--run", out / run)
    assert (shown.status, shown.out) == (2, "")
    assert f"{out / run}: the run cannot be kept where the bundle is to be" in shown.message
    assert names(out) == []


@pytest.mark.parametrize("case", REFUSED, ids=[case[2] for case in REFUSED])
def test_refusals_leave_nothing(command, arguments, out, case):
    options, status, message = case
    shown = command("fit", *arguments, "-o", out / "m", *options)
    assert (shown.status, shown.out) == (status, "")
    assert message in shown.message
    assert names(out) == []
