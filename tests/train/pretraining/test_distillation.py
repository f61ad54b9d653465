"""Sentence encoders: learning from a transformer, the folder, resuming, and refusals."""

from __future__ import annotations

import builtins
import json
import random
import shutil

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError, ConfigError, DataError, MissingPackageError
from textgate.inference.tokenizer import TextTokenizer
from textgate.train import fit, pretrain
from textgate.train.network.model import PoolingLayer, RecurrentLayer
from textgate.train.pretraining import teacher as teacher_module
from textgate.train.pretraining.distiller import DistillationEpoch, distillation_loss
from textgate.train.pretraining.pretrained import open_pretrained, read_pretrained
from textgate.train.pretraining.pretraining_config import DISTILLATION
from textgate.train.pretraining.sentence_encoder import SentenceEncoder
from textgate.train.pretraining.teacher import SentenceTransformer, principal_components
from textgate.train.training import checkpoint as checkpoint_module
from textgate.train.training.checkpoint import load_state
from textgate.train.training.progress import TerminalProgress

WORDS = ["fine", "awful", "weird", *(f"w{number}" for number in range(20))]
EPOCHS, PART = 3, 64
TINY = {
    "hidden_size": 12,
    "embedding_size": 8,
    "vocabulary_size": 600,
    "vectors": "none",
    "epochs": EPOCHS,
    "batch_size": 10,
    "learning_rate": 0.02,
    "checkpoint_steps": 5,
}
TEXTS, TRAINED = 250, 200
STEPS = TRAINED // TINY["batch_size"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    generator = random.Random(0)
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = (" ".join(generator.choices(WORDS, k=generator.randint(1, 9))) for _ in range(TEXTS))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def settled():
    """Several files of vectors, and float32: the choice is a measurement, which may change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_module, "_PART", PART)
        patch.setattr(SentenceTransformer, "_prefers_bfloat16", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def teacher(encoder):
    return str(encoder)


@pytest.fixture(scope="module")
def whole(texts, teacher, tmp_path_factory):
    """An uninterrupted training."""
    path = tmp_path_factory.mktemp("whole") / "p"
    return pretrain([texts], path, teacher=teacher, settings=TINY)


class Stopped(BaseException):
    """Training was interrupted."""


class Heard(TerminalProgress):
    """Keeps notes and stages, and stops after some calls of `step`."""

    def __init__(self, steps=0):
        super().__init__()
        self.notes, self.begun, self.rows, self.left = [], [], {}, steps

    def note(self, message):
        self.notes.append(message)

    def begin(self, what, rows):
        self.begun.append((what, rows))
        self.rows[what] = 0

    def step(self, rows):
        self.rows[self.begun[-1][0]] += rows
        self.left -= 1
        if self.left == 0:
            raise Stopped


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Learning


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_it_learns_the_vectors_of_the_teacher(texts, teacher, tmp_path, cell):
    settings = {**TINY, "cell": cell, "epochs": 15}
    made = pretrain([texts], tmp_path / "p", teacher=teacher, settings=settings)
    losses = [epoch.train_loss for epoch in made.outcome.history]
    assert losses[-1] < losses[4] < losses[0]
    assert made.outcome.cosine == max(epoch.cosine for epoch in made.outcome.history)
    assert made.outcome.cosine > made.outcome.history[0].cosine + 0.1


def test_the_loss_computed_by_hand():
    generator = np.random.default_rng(0)
    vectors, targets = (generator.normal(size=(5, 3)) for _ in range(2))
    vectors, targets = (each / np.linalg.norm(each, axis=1)[:, None] for each in (vectors, targets))
    distances = [1 - one @ other for one, other in zip(vectors, targets, strict=True)]
    divergences = []
    for row in range(5):
        others = [other for other in range(5) if other != row]
        wanted, found = (np.exp(each[row] @ each[others].T / 0.05) for each in (targets, vectors))
        wanted, found = wanted / wanted.sum(), found / found.sum()
        divergences.append((wanted * np.log(wanted / found)).sum())
    loss = distillation_loss(
        torch.tensor(7 * vectors, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)
    )
    expected = np.mean(distances) + 0.5 * np.mean(divergences)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_one_text_is_its_distance():
    loss = distillation_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.6, 0.8]]))
    assert loss.item() == pytest.approx(0.4)


def test_the_targets_are_centred_principal_components(tmp_path):
    generator = np.random.default_rng(0)
    vectors = (generator.normal(size=(90, 6)) * [1, 2, 3, 4, 5, 6] + 1).astype(np.float16)
    files = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for file, part in zip(files, np.split(vectors, 3), strict=True):
        checkpoint_module.write_tensors(file, {"vectors": torch.from_numpy(part)}, {})
    found = principal_components(files, 2).astype(np.float64)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred)
    expected = centred @ directions[:2].T
    expected /= np.linalg.norm(expected, axis=1)[:, None]
    signs = np.sign((found * expected).sum(axis=0))
    assert found * signs == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_vector_of_the_teacher_depends_on_its_text_only(encoder, bfloat16):
    teacher = SentenceTransformer(encoder, torch.device("cpu"), bfloat16=bfloat16)
    found = ["fine w1", "awful " * 30, "", "unheard of", "\ud800 fine", "w1 " * 5000]
    together = teacher.vectors(found).float()
    assert together.norm(dim=1).tolist() == pytest.approx([1] * len(found), abs=1e-2)
    for text, vector in zip(found, together, strict=True):
        alone = teacher.vectors([text]).float()[0]
        assert torch.cosine_similarity(alone, vector, dim=0) > 0.995


def test_bfloat16_is_chosen_by_a_measurement_and_kept(texts, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(SentenceTransformer, "_prefers_bfloat16", lambda *_: True)
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, settings=TINY, progress=Heard(steps=4))
    assert read_pretrained(path).distillation.bfloat16 is True
    monkeypatch.setattr(SentenceTransformer, "_prefers_bfloat16", lambda *_: False)
    made = pretrain([texts], path, teacher=teacher, resume=True)
    assert made.manifest.distillation.bfloat16 is True
    assert made.outcome.cosine > -1


# Its notes and its folder


def test_its_notes_show_both_stages(texts, teacher, tmp_path):
    heard = Heard()
    pretrain([texts], tmp_path / "p", teacher=teacher, settings=TINY, progress=heard)
    epochs = [(f"epoch {number}", TRAINED) for number in range(1, EPOCHS + 1)]
    assert heard.begun == [("teacher", TEXTS), *epochs]
    assert heard.rows == dict(heard.begun)
    name = read_pretrained(tmp_path / "p").distillation.teacher.name
    assert heard.notes[:2] == [
        "texts.txt: 250 texts to pretrain on",
        f"vectors of 250 texts by {name}, in float32",
    ]
    assert heard.notes[2].startswith("200 texts with ")
    assert " held-out cosine " in heard.notes[3]
    assert " texts/s  at most " in heard.notes[3]


def test_the_folder(whole, encoder):
    assert names(whole.path) == ["model.safetensors", "pretrained.json", "tokenizer.json"]
    said = json.loads((whole.path / "pretrained.json").read_text(encoding="utf-8"))
    assert (said["format"], said["format_version"]) == ("textgate-pretrained", 1)
    assert "outcome" not in said
    assert said["distillation"]["teacher"]["name"] == encoder.name
    assert (said["distillation"]["components"], said["held_out"]) == (16, 50)
    assert len(said["distilled"]["history"]) == EPOCHS
    assert set(said["versions"]) == {"textgate", "torch", "tokenizers", "transformers", "python"}
    assert read_pretrained(whole.path) == whole.manifest


def test_settings_have_defaults_of_their_own(whole):
    assert whole.manifest.settings == DISTILLATION.replace(**TINY)
    assert whole.manifest.settings.max_tokens == DISTILLATION.max_tokens


def test_the_projection_is_of_the_maxima_then_the_means(whole):
    """A user of the folder computes the vectors that were scored."""
    pretrained = open_pretrained(whole.path)
    projection = pretrained.projection
    assert projection.weight.shape == (16, 24)
    assert (projection.weight.dtype, projection.bias.dtype) == (np.float32, np.float32)
    tokenizer = TextTokenizer(pretrained.tokenizer_json, max_tokens=20)
    ids = torch.tensor([tokenizer.encode("fine w1 awful").ids])
    layer = RecurrentLayer("lstm", 8, 12, bidirectional=False)
    layer.load_state_dict(
        {name.removeprefix("layers.0."): value for name, value in pretrained.layers.items()}
    )
    states, last = layer(torch.from_numpy(pretrained.embedding)[ids], torch.tensor([3]))
    pooled = PoolingLayer(("max", "mean"), 12)(states, last, torch.tensor([3]))
    assert torch.equal(pooled[0, :12], states[0].amax(dim=0))
    found = pooled @ torch.from_numpy(projection.weight).T + torch.from_numpy(projection.bias)
    model = SentenceEncoder(len(pretrained.embedding), pretrained.settings, components=16).eval()
    tensors = checkpoint_module.read_tensors(whole.path / "model.safetensors")[0]
    model.load_state_dict(tensors)
    torch.testing.assert_close(found, model(ids, torch.tensor([3])))


def test_a_language_model_has_no_projection(texts, tmp_path):
    made = pretrain([texts], tmp_path / "p", settings={**TINY, "epochs": 1, "samples": 50})
    assert open_pretrained(made.path).projection is None
    said = (made.path / "pretrained.json").read_text(encoding="utf-8")
    assert "distil" not in said


def test_a_classifier_starts_from_it(whole, separable, quick, tmp_path):
    fixed = ("embedding_size", "hidden_sizes", "vocabulary_size", "vectors")
    free = {name: value for name, value in quick.items() if name not in fixed}
    run = fit(
        separable(80), tmp_path / "run", settings={**free, "epochs": 1}, pretrained=whole.path
    )
    assert run.manifest.pretrained == open_pretrained(whole.path).summary


def test_the_command(command, encoder, texts, tmp_path):
    path = tmp_path / "p"
    arguments = ("pretrain", texts, "-o", path, "--teacher", encoder)
    sizes = ("--hidden", "8", "--embedding-size", "6", "--vocabulary-size", "600", "--epochs", "2")
    shown = command(*arguments, *sizes, "--vectors", "none")
    assert shown.status == 0, shown.err
    assert shown.out.startswith(f"{path}: epoch 2 of 2, cosine ")
    assert " on 50 held-out texts, " in shown.out
    assert f"vectors of 250 texts by {encoder.name}, in float32" in shown.err
    resumed = command(*arguments, "--resume")
    assert (resumed.status, resumed.err) == (0, f"{path} is finished already\n")
    assert resumed.out == shown.out
    without = command(*arguments[:-2], "--resume")
    assert without.status == 1
    assert f"begun with the teacher {encoder.name}, and none is given" in without.message


# Resuming

FILES = -(-TEXTS // PART)
# An earlier stage calls `step` once per batch of 32 texts, an epoch once for the steps done before.
BATCHES = 2 * 3 + 2


@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_stopped_among_the_vectors(whole, texts, teacher, tmp_path, steps):
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, settings=TINY, progress=Heard(steps))
    written = {file: file.stat().st_mtime_ns for file in (path / "teacher").iterdir()}
    assert len(written) == (steps - 1) // 2
    assert not (path / "checkpoint.safetensors").exists()
    with pytest.raises(CheckpointError, match="pretraining has not finished"):
        open_pretrained(path)
    stopped = Heard(BATCHES - (steps - 1) // 2 + 1)  # in the next stage
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, resume=True, progress=stopped)
    assert stopped.rows["teacher"] == TEXTS
    assert len(names(path / "teacher")) == FILES
    assert all(file.stat().st_mtime_ns == time for file, time in written.items())
    assert same(pretrain([texts], path, teacher=teacher, resume=True), whole)


@pytest.mark.parametrize("steps", [1, 6, 21, 22, 63])
def test_stopped_among_the_epochs(whole, texts, teacher, tmp_path, monkeypatch, steps):
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, settings=TINY, progress=Heard(BATCHES + steps))
    torch.manual_seed(steps)  # another process has other random numbers
    monkeypatch.delattr(teacher_module, "load_encoder")  # all its vectors are there
    heard = Heard()
    made = pretrain([texts], path, teacher=teacher, resume=True, progress=heard)
    epoch, within = divmod(steps - 1, STEPS + 1)
    done = STEPS * epoch + within // 5 * 5 - (5 if within == STEPS else 0)
    kept = [line for line in heard.notes if line.startswith("resuming after step ")]
    assert kept == ([f"resuming after step {done}"] if done else [])
    assert heard.begun[0][0] != "teacher"
    assert same(made, whole)


def same(made, whole):
    """Whether two folders hold the same weights and epochs, and nothing else."""
    content = [(each.path / "model.safetensors").read_bytes() for each in (made, whole)]
    epochs = [
        [(epoch.train_loss, epoch.cosine) for epoch in each.outcome.history]
        for each in (made, whole)
    ]
    assert names(made.path) == names(whole.path)
    return content[0] == content[1] and epochs[0] == epochs[1]


def test_a_finished_folder_is_left_alone(whole, texts, teacher):
    before = (whole.path / "pretrained.json").stat().st_mtime_ns
    heard = Heard()
    made = pretrain([texts], whole.path, teacher=teacher, resume=True, progress=heard)
    assert heard.notes == [f"{whole.path} is finished already"]
    assert made.outcome == whole.outcome
    assert (whole.path / "pretrained.json").stat().st_mtime_ns == before


def test_another_teacher_is_refused(whole, texts, make_encoder, encoder, tmp_path):
    other = make_encoder(tmp_path / "other", seed=1)
    begun = f"{whole.path}: begun with the teacher {encoder.name}, and "
    for given, found in ((str(other), "other is another"), (None, "none is given")):
        with pytest.raises(CheckpointError) as caught:
            pretrain([texts], whole.path, teacher=given, resume=True)
        assert str(caught.value) == (
            f"{begun}{found}; give the same with --teacher, or start again in another folder"
        )


def test_the_teacher_may_move(whole, texts, encoder, tmp_path):
    moved = shutil.copytree(encoder, tmp_path / "moved")
    made = pretrain([texts], whole.path, teacher=str(moved), resume=True)
    assert made.outcome == whole.outcome


def test_a_language_model_takes_no_teacher(texts, teacher, tmp_path):
    settings = {**TINY, "epochs": 1, "samples": 50}
    made = pretrain([texts], tmp_path / "p", settings=settings)
    with pytest.raises(CheckpointError) as caught:
        pretrain([texts], made.path, teacher=teacher, resume=True)
    assert str(caught.value) == (
        f"{made.path}: begun without a teacher; leave --teacher out, or start again in another "
        "folder"
    )


def test_damaged_vectors_are_refused(texts, teacher, tmp_path):
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, settings=TINY, progress=Heard(steps=4))
    file = path / "teacher" / "00000.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"00000\.safetensors: damaged"):
        pretrain([texts], path, teacher=teacher, resume=True)


def test_a_disk_that_fills_up(whole, texts, teacher, tmp_path, monkeypatch):
    """While the vectors are written; afterwards the training continues."""
    left = 2

    def full(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        return write(*arguments)

    write, path = checkpoint_module.write_bytes, tmp_path / "p"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_bytes", full)
        with pytest.raises(CheckpointError) as caught:
            pretrain([texts], path, teacher=teacher, settings=TINY)
    assert str(caught.value) == (
        f"{path / 'teacher' / '00002.safetensors'}: cannot be written: No space left on device"
    )
    assert same(pretrain([texts], path, teacher=teacher, resume=True), whole)


# Refusals


def test_texts_of_one_token_are_learned_too(whole):
    """They have no next token, but the teacher has a vector for them."""
    assert whole.manifest.held_out + TRAINED == TEXTS


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_texts(teacher, tmp_path, count):
    path = tmp_path / "texts.txt"
    path.write_text("fine\n" * count, encoding="utf-8")
    message = "1 texts are too few; at least two" if count else "all are empty"
    with pytest.raises(DataError, match=message):
        pretrain([path], tmp_path / "p", teacher=teacher, settings=TINY)
    assert names(tmp_path) == ["texts.txt"]


def break_config(folder):
    (folder / "config.json").write_text("{}", encoding="utf-8")


def break_weights(folder):
    (folder / "model.safetensors").write_bytes(b"no")


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def make_infinite(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.0.output.dense.bias"] += torch.inf
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_config, "config.json: no max_position_embeddings"),
        (break_weights, "no encoder to load: "),
        (remove_weights, "no encoder: it has no model.safetensors; give a folder with "),
        (make_infinite, "its vectors are NaN or infinite, so it cannot teach"),
    ],
)
def test_folders_that_cannot_teach(texts, encoder, tmp_path, change, message):
    folder = shutil.copytree(encoder, tmp_path / "encoder")
    change(folder)
    with pytest.raises(ConfigError) as caught:
        pretrain([texts], tmp_path / "p", teacher=str(folder), settings=TINY)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_missing_package_is_named(texts, teacher, tmp_path, monkeypatch):
    imported = builtins.__import__

    def refuse(name, *others):
        if name == "transformers":
            raise ModuleNotFoundError(name=name)
        return imported(name, *others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingPackageError, match=r"pip install 'textgate\[teacher\]'"):
        pretrain([texts], tmp_path / "p", teacher=teacher, settings=TINY)
    assert names(tmp_path) == []


# Damage


def damaged(change):
    def damage(content):
        said = json.loads(content)
        change(said)
        return json.dumps(said).encode()

    return damage


DAMAGE = [
    (lambda said: said["distillation"].update(components=15), "projection.weight should be [15, 2"),
    (lambda said: said.pop("distillation"), "its outcome is not that of its objective"),
    (lambda said: said["distilled"].update(best_epoch=9), "from 1 to 3, found 9"),
    (lambda said: said["distilled"]["history"][0].update(cosine=1.5), "should be a number from -1"),
    (lambda said: said["distillation"]["teacher"].pop("name"), "field 'name' is missing"),
    (lambda said: said.update(format_version=2), "format version 2, but this release reads ver"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_damaged_folders(whole, tmp_path, change, message):
    path = shutil.copytree(whole.path, tmp_path / "damaged")
    manifest = path / "pretrained.json"
    manifest.write_bytes(damaged(change)(manifest.read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        open_pretrained(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_checkpoint_has_its_epochs(texts, teacher, tmp_path):
    path = tmp_path / "p"
    with pytest.raises(Stopped):
        pretrain([texts], path, teacher=teacher, settings=TINY, progress=Heard(BATCHES + STEPS + 2))
    state = load_state(path / "checkpoint.safetensors", DistillationEpoch)
    assert [epoch.number for epoch in state.history] == [1]
