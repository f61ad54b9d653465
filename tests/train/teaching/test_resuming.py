"""Resuming a stopped fine-tuning gives the weights of an uninterrupted one."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from textgate.errors import CheckpointError, ConfigError
from textgate.train import Columns, fit, teach
from textgate.train.teaching import finetuner
from textgate.train.teaching.finetuned import read_finetuned
from textgate.train.teaching.teachers import find_teacher
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training import folder
from textgate.train.training.checkpoint import Epoch, load_state, save_state

EPOCHS = 3
SETTINGS = {
    "epochs": EPOCHS,
    "batch_size": 16,
    "learning_rate": 0.01,
    "head_dropout": 0.2,
    "seed": 5,
}


@pytest.fixture(scope="module")
def encoder(make_encoder, tmp_path_factory):
    """An encoder with dropout, which resuming has to repeat."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    return make_encoder(folder, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)


@pytest.fixture(scope="module")
def rows(separable):
    return separable(64)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def kind(request):
    """The preference of the processor, which is measured only for a new teacher."""
    return request.param


@pytest.fixture(scope="module")
def begin(kind, encoder, rows):
    """Starts the same teacher as `whole`, through `work` if it is given."""

    def begin(path, *, work=None, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finetuner, "prefers_bfloat16", lambda *_, **__: kind == "bfloat16")
            how = {"transformer": str(encoder), "settings": SETTINGS, **options}
            return work(teach, rows, path, **how) if work else teach(rows, path, **how)

    return begin


@pytest.fixture(scope="module")
def whole(begin, tmp_path_factory):
    """An uninterrupted fine-tuning."""
    return begin(tmp_path_factory.mktemp("whole") / "teacher")


@pytest.fixture
def go_on(encoder, rows, monkeypatch):
    """Resumes a teacher with only the required arguments."""

    def asked(*_, **__):
        raise AssertionError("the preference was measured again")

    def go_on(path, data=rows, **options):
        with monkeypatch.context() as patch:
            patch.setattr(finetuner, "prefers_bfloat16", asked)
            return teach(data, path, **{"transformer": str(encoder), "resume": True, **options})

    return go_on


@pytest.fixture
def stopped(stop, encoder, rows, tmp_path):
    """A teacher that was stopped after its first epoch."""
    path = tmp_path / "teacher"
    stop(teach, rows, path, transformer=str(encoder), settings=SETTINGS, epochs=1)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def timeless(outcome):
    history = [dataclasses.replace(epoch, seconds=0) for epoch in outcome.history]
    return dataclasses.replace(outcome, history=tuple(history))


def assert_same(found, expected):
    files = [(taught.path / "model.safetensors").read_bytes() for taught in (found, expected)]
    assert files[0] == files[1]
    assert timeless(found.outcome) == timeless(expected.outcome)
    manifests = [dataclasses.replace(taught.manifest, outcome=None) for taught in (found, expected)]
    assert manifests[0] == manifests[1]
    assert read_finetuned(found.path) == found.manifest
    assert names(found.path) == names(expected.path)


# Resuming


def test_the_folder_and_the_checkpoint(begin, stop, kind, encoder, tmp_path):
    """The manifest is complete before the first step, and the checkpoint after an epoch."""
    path = tmp_path / "teacher"
    begin(path, work=stop, epochs=0, steps=1)
    assert names(path) == ["config.json", "teacher.json", "tokenizer.json"]
    manifest = read_finetuned(path)
    assert manifest.outcome is None
    assert "outcome" not in json.loads((path / "teacher.json").read_text(encoding="utf-8"))
    assert manifest.bfloat16 == (kind == "bfloat16")
    assert manifest.settings.learning_rate == 0.01
    assert manifest.encoder.name == "tiny"
    assert (manifest.train.rows, manifest.dev.rows) == (58, 6)
    begin(path, work=stop, force=True, epochs=1)
    state = load_state(path / "checkpoint.safetensors", Epoch)
    first = safetensors.torch.load_file(encoder / "model.safetensors")
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight"):
        assert not torch.equal(state.weights[f"encoder.{name}"], first[name]), name
        moments = {key for key in state.optimizer if key.startswith(f"encoder.{name}/")}
        assert moments == {f"encoder.{name}/{key}" for key in ("exp_avg", "exp_avg_sq", "step")}
        assert state.optimizer[f"encoder.{name}/step"] == 4
    assert (len(state.history), state.best_epoch) == (1, 1)


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_stopped_after_any_epoch(whole, begin, stop, go_on, hearing, tmp_path, epoch):
    path = tmp_path / "teacher"
    begin(path, work=stop, epochs=epoch)
    unfinished = ["checkpoint.safetensors", "config.json", "teacher.json", "tokenizer.json"]
    assert names(path) == unfinished
    heard = hearing()
    torch.manual_seed(epoch)  # another process has other random numbers
    found = go_on(path, progress=heard)
    assert heard.notes[0] == f"resuming after step {4 * epoch}"
    assert heard.notes[1].startswith("58 training rows, 6 dev rows, 2 labels; ")
    assert_same(found, whole)


@pytest.mark.parametrize(("epoch", "steps"), [(0, 1), (0, 4), (1, 2), (EPOCHS - 1, 3)])
def test_stopped_within_an_epoch(whole, begin, stop, go_on, tmp_path, epoch, steps):
    path = tmp_path / "teacher"
    begin(path, work=stop, epochs=epoch, steps=steps)
    assert (path / "checkpoint.safetensors").is_file() == (epoch > 0)
    assert_same(go_on(path), whole)


@pytest.mark.parametrize(("epoch", "steps"), [(0, 3), (1, 4)])
def test_resumed_within_an_epoch(
    whole, begin, stop, go_on, hearing, tmp_path, monkeypatch, epoch, steps
):
    path = tmp_path / "teacher"
    with monkeypatch.context() as patch:
        patch.setattr(finetuner.Finetuner, "checkpoint_steps", 2)
        begin(path, work=stop, epochs=epoch, steps=steps)
    torch.manual_seed(epoch)  # another process has other random numbers
    heard = hearing()
    found = go_on(path, progress=heard)
    assert heard.notes[0] == f"resuming after step {4 * epoch + 2}"
    assert_same(found, whole)


def test_stopped_again_and_again(whole, begin, stop, encoder, rows, tmp_path):
    path = tmp_path / "teacher"
    begin(path, work=stop, epochs=1)
    for _ in range(EPOCHS - 1):
        stop(teach, rows, path, transformer=str(encoder), resume=True, epochs=1)
    assert_same(teach(rows, path, transformer=str(encoder), resume=True), whole)


def test_without_a_teacher_resume_starts_one(whole, begin, tmp_path):
    assert_same(begin(tmp_path / "teacher", resume=True), whole)


def test_the_best_epoch_is_kept(stopped, stop, go_on, encoder, rows):
    """The first epoch is made unbeatable, so later weights are not kept."""
    checkpoint = stopped / "checkpoint.safetensors"
    state = load_state(checkpoint, Epoch)
    best = state.best_weights
    state.history[0] = dataclasses.replace(state.history[0], dev_score=1.0, dev_loss=-1.0)
    save_state(checkpoint, state)
    stop(teach, rows, stopped, transformer=str(encoder), resume=True, epochs=1)
    state = load_state(checkpoint, Epoch)
    name = "head.weight"
    assert torch.equal(state.best_weights[name], best[name])
    assert not torch.equal(state.weights[name], best[name])
    assert go_on(stopped).outcome.best_epoch == 1
    kept = safetensors.torch.load_file(stopped / "model.safetensors")
    assert kept.keys() == best.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in best.items())


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("save_state", "checkpoint.safetensors"),
        ("write_tensors", "model.safetensors"),
        ("write_atomically", "teacher.json"),
    ],
)
def test_the_disk_was_full_for_a_while(
    whole, begin, stop, go_on, tmp_path, monkeypatch, function, file
):
    path = tmp_path / "teacher"
    begin(path, work=stop, epochs=1)
    genuine = getattr(folder, function)

    def fails(*arguments):
        patch.setattr(checkpoint_module, "write_bytes", full)
        genuine(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(folder, function, fails)
        with pytest.raises(CheckpointError) as caught:
            go_on(path)
    assert str(caught.value) == f"{path / file}: cannot be written: No space left on device"
    assert_same(go_on(path), whole)


def test_a_full_disk_leaves_nothing(encoder, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CheckpointError, match="teacher: cannot be written: No space left on dev"):
        teach(rows, tmp_path / "teacher", transformer=str(encoder), settings=SETTINGS)
    assert names(tmp_path) == []


def test_stopped_between_the_last_two_steps(whole, begin, go_on, tmp_path, monkeypatch):
    """The weights are written, and the manifest is not replaced yet."""
    path = tmp_path / "teacher"
    monkeypatch.setattr(folder, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        begin(path)
    monkeypatch.undo()
    assert names(path) == ["checkpoint.safetensors", *names(whole.path)]
    (path / ".model.safetensors.0123abcd.partial").write_bytes(b"half a model")
    with pytest.raises(CheckpointError, match="fine-tuning has not finished"):
        find_teacher(path)
    assert_same(go_on(path), whole)


def test_a_finished_teacher_is_left_alone(whole, go_on, hearing):
    before = contents(whole.path)
    heard = hearing(epochs=1)
    assert_same(go_on(whole.path, progress=heard), whole)
    assert contents(whole.path) == before
    assert heard.notes == [f"{whole.path} is finished already"]


def test_the_rows_may_come_in_another_file(rows, stop, encoder, go_on, tmp_path, write_jsonl):
    objects = [{"text": row.text, "label": row.labels[0]} for row in rows]
    first, path = write_jsonl(tmp_path / "a.jsonl", objects), tmp_path / "teacher"
    stop(teach, first, path, transformer=str(encoder), settings=SETTINGS, epochs=1)
    lines = ["said,kind\n", *(f'"{row.text}",{row.labels[0]}\n' for row in rows)]
    (tmp_path / "b.csv").write_text("".join(lines), encoding="utf-8")
    found = go_on(path, tmp_path / "b.csv", columns=Columns("said", "kind"))
    assert found.manifest.train.file == "a.jsonl"


# Refusals


def test_other_rows_or_settings_are_refused(stopped, rows, go_on, separable):
    before = contents(stopped)
    cases = [
        ({"data": rows[1:]}, "begun with other train rows than these; give the same file, or star"),
        ({"data": [*rows[:-1], rows[0]]}, "begun with other train rows than these"),
        ({"dev": separable(10, seed=9)}, "begun with other train rows than these"),
        ({"settings": {"learning_rate": 0.5}}, "begun with learning_rate 0.01, not 0.5; leave the"),
        ({"settings": {"epochs": 99}}, "begun with epochs 3, not 99"),
        ({"settings": {"seed": 6}}, "begun with seed 5, not 6"),
        ({"settings": {"task": "multi-label"}}, "begun with task 'auto', not 'multi-label'"),
    ]
    for arguments, message in cases:
        with pytest.raises(CheckpointError) as caught:
            go_on(stopped, **arguments)
        assert str(caught.value).startswith(f"{stopped}: {message}")
        assert str(caught.value).endswith("or start again in another folder")
    assert contents(stopped) == before
    with pytest.raises(
        ConfigError,
        match=r"'dropout' is not a setting .*'head_dropout'.*; there are epochs, batch_size",
    ):
        go_on(stopped, settings={"dropout": 0.5})
    assert len(go_on(stopped, settings=SETTINGS).outcome.history) == EPOCHS


def test_other_dev_rows_are_refused(rows, separable, stop, encoder, go_on, tmp_path):
    path, dev = tmp_path / "teacher", separable(10, seed=8)
    how = {"transformer": str(encoder), "settings": SETTINGS}
    stop(teach, rows, path, dev=dev, **how, epochs=1)
    with pytest.raises(CheckpointError, match="begun with other dev rows than these; give the sam"):
        go_on(path, dev=separable(10, seed=9))
    assert len(go_on(path, dev=dev).outcome.history) == EPOCHS


def test_another_encoder_is_refused(stopped, encoder, make_encoder, go_on, tmp_path):
    """An encoder is recognized by its files, not by its name or place."""
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    others = {
        "model.safetensors": make_encoder(tmp_path / "a" / "tiny", seed=1, **dropout),
        "config.json": make_encoder(tmp_path / "b" / "tiny"),  # without dropout
        "tokenizer.json": shutil.copytree(encoder, tmp_path / "c" / "tiny"),
    }
    path = others["tokenizer.json"] / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    before = contents(stopped)
    for file, other in others.items():
        same = {
            name
            for name in ("config.json", "model.safetensors", "tokenizer.json")
            if (other / name).read_bytes() == (encoder / name).read_bytes()
        }
        assert same == {"config.json", "model.safetensors", "tokenizer.json"} - {file}
        with pytest.raises(CheckpointError) as caught:
            go_on(stopped, transformer=str(other))
        assert str(caught.value) == (
            f"{stopped}: begun with another encoder than this; it had tiny: give the same with "
            "--transformer, or start again in another folder"
        )
    assert contents(stopped) == before
    moved = shutil.copytree(encoder, tmp_path / "moved")
    assert go_on(stopped, transformer=str(moved)).manifest.encoder.name == "tiny"


@pytest.mark.parametrize("resume", [False, True])
def test_other_folders_are_refused(rows, encoder, tmp_path, resume):
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "letter.txt").write_text("dear", encoding="utf-8")
    how = {"transformer": str(encoder), "settings": SETTINGS}
    with pytest.raises(CheckpointError, match="already exists; choose another path or pass --for"):
        teach(rows, tmp_path / "teacher", resume=resume, **how)
    with pytest.raises(CheckpointError, match=r"holds other files and no teacher\.json"):
        teach(rows, tmp_path / "teacher", force=True, **how)
    assert [path.name for path in tmp_path.rglob("*")] == ["teacher", "letter.txt"]


def test_a_teacher_is_replaced_only_by_force(stopped, rows, encoder):
    before = contents(stopped)
    how = {"transformer": str(encoder), "settings": {**SETTINGS, "epochs": 1}}
    with pytest.raises(CheckpointError, match="already exists"):
        teach(rows, stopped, **how)
    assert contents(stopped) == before
    assert len(teach(rows, stopped, force=True, **how).outcome.history) == 1
    assert names(stopped.parent) == ["teacher"]


def damaged_json(**changes):
    def damage(path):
        value = json.loads((path / "teacher.json").read_text(encoding="utf-8"))
        (path / "teacher.json").write_text(json.dumps(value | changes), encoding="utf-8")

    return damage


def changed(name, change):
    return lambda path: (path / name).write_bytes(change((path / name).read_bytes()))


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGE = [
    (damaged_json(format_version=1), "version 1, but this release reads version 2; make it again"),
    (damaged_json(settings=[1]), "teacher.json: settings: expected an object"),
    (
        damaged_json(settings={"epochs": "x"}),
        "settings: field 'epochs' should be a whole number, found",
    ),
    (damaged_json(settings={"unheard": 1}), "settings: unknown field 'unheard'"),
    (damaged_json(labels=["good", "bad"]), "begun as another network; start again in another fold"),
    (damaged_json(max_tokens=7), "begun as another network; start again in another folder"),
    (changed("teacher.json", lambda old: old[:9]), "not valid JSON"),
    (changed("tokenizer.json", lambda _: b"{}"), "tokenizer.json: damaged: it does not match its"),
    (changed("config.json", lambda _: b"{}"), "config.json: damaged: it does not match its checks"),
    (lambda path: (path / "config.json").unlink(), "config.json: cannot be read: No such file"),
    (changed("checkpoint.safetensors", lambda old: old[:-1]), "checkpoint.safetensors: damaged"),
    (changed("checkpoint.safetensors", flipped), "damaged or unreadable: it does not match its ch"),
    (changed("checkpoint.safetensors", lambda _: b""), "checkpoint.safetensors: damaged"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[case[1] for case in DAMAGE])
def test_damage(stopped, go_on, damage, message):
    damage(stopped)
    before = contents(stopped)
    with pytest.raises(CheckpointError) as caught:
        go_on(stopped)
    assert message in str(caught.value)
    assert str(stopped) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(stopped) == before


def test_the_checkpoint_of_another_network(stopped, stop, rows, make_encoder, go_on, tmp_path):
    wider = make_encoder(tmp_path / "wider", intermediate_size=36)
    other = tmp_path / "other"
    stop(teach, rows, other, transformer=str(wider), settings=SETTINGS, epochs=1)
    shutil.copy(other / "checkpoint.safetensors", stopped)
    before = contents(stopped)
    with pytest.raises(CheckpointError) as caught:
        go_on(stopped)
    assert str(caught.value).startswith("the checkpoint does not fit the network: ")
    assert "\n" not in str(caught.value)
    assert contents(stopped) == before


def test_a_checkpoint_without_the_optimizers_moments(stopped, go_on):
    path = stopped / "checkpoint.safetensors"
    state = load_state(path, Epoch)
    state.optimizer.popitem()
    save_state(path, state)
    with pytest.raises(
        CheckpointError, match=r"not fit the network: Adam's moments of .* are missi"
    ):
        go_on(stopped)


def test_an_unfinished_teacher_cannot_teach(stopped, rows, quick, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        fit(rows, tmp_path / "run", settings=quick, teachers=[stopped])
    assert str(caught.value) == (
        f"{stopped}: fine-tuning has not finished, so it cannot teach; continue it with "
        "textgate teach --resume"
    )
    assert not (tmp_path / "run").exists()


# The command


def test_the_command(command, stop, encoder, rows, tmp_path, write_jsonl):
    objects = [{"text": row.text, "label": row.labels[0]} for row in rows]
    data, path = write_jsonl(tmp_path / "rows.jsonl", objects), tmp_path / "teacher"
    stop(teach, data, path, transformer=str(encoder), settings=SETTINGS, epochs=1)
    arguments = ("teach", data, "-o", path, "--transformer", encoder, "--threads", "1")
    refused = command("train", data, "-o", tmp_path / "run", "--teacher", path)
    assert refused.status == 1
    assert refused.message.endswith("it cannot teach; continue it with textgate teach --resume")
    other = command(*arguments, "--resume", "--epochs", "4")
    assert other.status == 1
    assert other.message == (
        f"textgate: {path}: begun with --epochs 3, not 4; leave the option out, or start again in "
        "another folder"
    )
    resumed = command(*arguments, "--resume")  # the folder knows its options
    assert resumed.status == 0, resumed.err
    assert resumed.err.startswith("resuming after step 4\n")
    assert " of 3, on 6 dev rows accuracy " in resumed.out
    again = command(*arguments, "--resume")
    assert (again.status, again.err) == (0, f"{path} is finished already\n")
    assert again.out == resumed.out


def test_resuming_and_replacing_at_once(command, tmp_path):
    arguments = ("rows.csv", "-o", tmp_path / "teacher", "--transformer", "minilm")
    shown = command("teach", *arguments, "--resume", "--force")
    assert (shown.status, shown.out) == (2, "")
    assert shown.message.startswith("Error: --resume continues a teacher and --force replaces")
