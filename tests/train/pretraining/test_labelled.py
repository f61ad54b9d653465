"""Labelled rows with a teacher: learning, the projection, the folder, resuming, refusals."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError, ConfigError, DataError
from textgate.inference.tokenizer import TextTokenizer
from textgate.rows import Columns, fingerprint, load_labelled
from textgate.train import fit, pretrain
from textgate.train.pretraining.labelled import load_tasks
from textgate.train.pretraining.pretrained import open_pretrained, pack, read_pretrained
from textgate.train.pretraining.pretraining_config import DISTILLATION
from textgate.train.pretraining.sentence_encoder import SentenceEncoder, heads_in_projection
from textgate.train.pretraining.teacher import SentenceTransformer

FILLERS = [f"w{number}" for number in range(20)]
MOODS = {"fine": "good", "awful": "bad", "weird": "odd"}
COMPONENTS = 16
EPOCHS = 4
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
STEPS = 20 * EPOCHS  # 200 of 250 texts are learned


@pytest.fixture(scope="module", autouse=True)
def settled():
    """Float32: the choice is a measurement, which may change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SentenceTransformer, "_prefers_bfloat16", lambda *_: False)
        yield


@pytest.fixture(scope="module")
def teacher(encoder):
    return str(encoder)


def sentence(generator, word):
    words = [*generator.choices(FILLERS, k=generator.randint(1, 6)), word]
    generator.shuffle(words)
    return " ".join(words)


def moods(count, seed):
    """Rows whose label one word decides."""
    generator = random.Random(seed)
    chosen = [generator.choice(list(MOODS)) for _ in range(count)]
    return [{"text": sentence(generator, word), "label": MOODS[word]} for word in chosen]


def complaints(count, seed):
    rows = moods(count, seed)
    return [{**row, "label": "yes" if row["label"] == "bad" else "no"} for row in rows]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    generator = random.Random(0)
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = (sentence(generator, generator.choice(list(MOODS))) for _ in range(250))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tasks(write_jsonl, tmp_path_factory):
    """Two files; the square roots of their rows are as 3 to 1."""
    folder = tmp_path_factory.mktemp("tasks")
    return [
        write_jsonl(folder / "moods.jsonl", moods(270, seed=1)),
        write_jsonl(folder / "complaints.jsonl", complaints(30, seed=2)),
    ]


@pytest.fixture(scope="module")
def whole(texts, teacher, tasks, tmp_path_factory):
    """An uninterrupted training."""
    path = tmp_path_factory.mktemp("whole") / "p"
    return pretrain([texts], path, teacher=teacher, labelled=tasks, settings=TINY)


def projected(path, found):
    """The projection of texts, as a user of the folder computes it, [texts, rows]."""
    given = open_pretrained(path)
    assert given.projection is not None
    model = SentenceEncoder(
        len(given.embedding), given.settings, components=len(given.projection.bias)
    )
    weights = {
        "embedding.weight": torch.from_numpy(given.embedding),
        "projection.weight": torch.from_numpy(given.projection.weight),
        "projection.bias": torch.from_numpy(given.projection.bias),
    }
    model.load_state_dict(weights | given.layers)
    model.eval()
    tokenizer = TextTokenizer(given.tokenizer_json, max_tokens=given.settings.max_tokens)
    with torch.inference_mode():
        each = [torch.tensor([tokenizer.encode(text).ids]) for text in found]
        return torch.cat([model(ids, torch.tensor([ids.shape[1]])) for ids in each])


# Learning


def test_the_projection_ends_with_heads_that_know_the_labels(texts, teacher, tasks, tmp_path):
    settings = {**TINY, "epochs": 15, "hidden_size": 24, "embedding_size": 16}
    made = pretrain([texts], tmp_path / "p", teacher=teacher, labelled=tasks, settings=settings)
    new = moods(120, seed=9)
    vectors = projected(made.path, [row["text"] for row in new])
    assert vectors.shape[1] == COMPONENTS + 3 + 2
    heads = vectors[:, COMPONENTS:].split([3, 2], dim=1)
    labels = [row["label"] for row in new]
    complains = ["yes" if label == "bad" else "no" for label in labels]
    for logits, names, wanted in (
        (heads[0], ("bad", "good", "odd"), labels),
        (heads[1], ("no", "yes"), complains),
    ):
        found = [names[index] for index in logits.argmax(dim=1)]
        assert np.mean([one == other for one, other in zip(found, wanted, strict=True)]) > 0.9


def test_the_vectors_of_the_teacher_are_learned_as_well(whole):
    cosines = [epoch.cosine for epoch in whole.outcome.history]
    assert whole.outcome.cosine == max(cosines)
    assert max(cosines) > cosines[0]


def test_each_epoch_has_the_accuracy_of_the_held_out_labels(whole, texts, teacher, tmp_path):
    accuracies = [epoch.accuracy for epoch in whole.outcome.history]
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    epoch = whole.outcome.history[-1]
    assert epoch.measures("cosine").endswith(f"{epoch.cosine:.4f}  of labels {epoch.accuracy:.4f}")
    made = pretrain([texts], tmp_path / "p", teacher=teacher, settings={**TINY, "epochs": 1})
    assert made.outcome.history[0].accuracy is None
    assert "labels" not in made.outcome.history[0].measures("cosine")


@pytest.mark.parametrize(
    ("rows", "held_out"), [(20, 1), (270, 3), (30_000, 300), (60_000, 500)], ids=str
)
def test_one_percent_is_held_out(write_jsonl, tmp_path, rows, held_out):
    class Tokenizer:
        def encode_batch(self, found):
            return [self] * len(found)

        ids = (1,)

    path = write_jsonl(tmp_path / "rows.jsonl", moods(rows, seed=3))
    task = load_tasks([path], Columns())[0].encode(Tokenizer(), seed=0)
    assert (len(task.train), len(task.held_out)) == (rows - held_out, held_out)


def test_a_step_takes_64_rows_of_one_task(texts, teacher, tasks, tmp_path, monkeypatch):
    """Tasks are drawn by the square root of their rows, here 3 to 1."""
    calls = []

    def entropy(logits, targets, label_smoothing):
        calls.append((tuple(logits.shape), label_smoothing))
        assert targets.sum(dim=1).tolist() == [1.0] * 64
        return computed(logits, targets, label_smoothing=label_smoothing)

    computed = torch.nn.functional.cross_entropy
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", entropy)
    pretrain([texts], tmp_path / "p", teacher=teacher, labelled=tasks, settings=TINY)
    assert {smoothing for _, smoothing in calls} == {0.05}
    counts = Counter(shape for shape, _ in calls)
    assert counts.keys() == {(64, 3), (64, 2)}
    assert counts.total() == STEPS
    assert counts[64, 3] / STEPS == pytest.approx(0.75, abs=0.15)


def test_the_heads_in_the_projection_computed_by_hand():
    model = SentenceEncoder(40, DISTILLATION.replace(**TINY), components=4, labels=[3, 2])
    weights = model.state_dict()
    found = heads_in_projection(weights)
    assert found.keys() == {name for name in weights if not name.startswith("heads.")}
    for kind in ("weight", "bias"):
        rows = [weights[f"projection.{kind}"].numpy()]
        for number in (0, 1):
            head = weights[f"heads.{number}.{kind}"].numpy()
            rows.append(2 * (head - head.mean(axis=0)))
        np.testing.assert_allclose(found[f"projection.{kind}"], np.concatenate(rows), atol=1e-7)
    pooled = torch.randn(5, 24)
    logits = model.heads[0](pooled)
    more = pooled @ found["projection.weight"][4:7].T + found["projection.bias"][4:7]
    torch.testing.assert_close(torch.softmax(more / 2, dim=1), torch.softmax(logits, dim=1))


# Its notes and its folder


def test_its_notes(command, encoder, texts, tasks, tmp_path):
    path = tmp_path / "p"
    arguments = ("pretrain", texts, "-o", path, "--teacher", encoder, "--vectors", "none")
    given = [word for task in tasks for word in ("--labelled", task)]
    sizes = ("--hidden", "8", "--embedding-size", "6", "--vocabulary-size", "600", "--epochs", "2")
    shown = command(*arguments, *given, *sizes)
    assert shown.status == 0, shown.err
    assert "moods.jsonl: 270 rows with 3 labels to learn as well\n" in shown.err
    assert "complaints.jsonl: 30 rows with 2 labels to learn as well\n" in shown.err
    lines = [line for line in shown.err.splitlines() if line.startswith("epoch ")]
    assert len([line for line in lines if "  of labels " in line]) == 2
    resumed = command(*arguments, *given, "--resume")
    assert (resumed.status, resumed.err) == (0, f"{path} is finished already\n")


def test_the_manifest_names_the_tasks(whole, tasks):
    said = json.loads((whole.path / "pretrained.json").read_text(encoding="utf-8"))
    assert said["distillation"]["components"] == COMPONENTS
    assert said["distillation"]["labelled"] == [
        {
            "file": path.name,
            "rows": rows,
            "sha256": fingerprint(load_labelled(path)),
            "labels": labels,
        }
        for path, rows, labels in zip(
            tasks, (270, 30), (["bad", "good", "odd"], ["no", "yes"]), strict=True
        )
    ]
    assert read_pretrained(whole.path) == whole.manifest


def test_a_folder_of_an_earlier_release_opens(texts, teacher, tmp_path):
    """A folder of an earlier release does not mention labels."""
    made = pretrain([texts], tmp_path / "p", teacher=teacher, settings={**TINY, "epochs": 1})
    file = made.path / "pretrained.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    assert said["distillation"].pop("labelled") == []
    for epoch in said["distilled"]["history"]:
        epoch.pop("accuracy")
    file.write_text(json.dumps(said), encoding="utf-8")
    assert open_pretrained(made.path).projection.weight.shape == (COMPONENTS, 24)
    assert pretrain([texts], made.path, teacher=teacher, resume=True).outcome == made.outcome


def test_a_classifier_starts_from_it_packed_or_not(whole, separable, quick, tmp_path):
    pack(whole.path, tmp_path / "packed")
    fixed = ("embedding_size", "hidden_sizes", "vocabulary_size", "vectors")
    free = {name: value for name, value in quick.items() if name not in fixed}
    for path in (whole.path, tmp_path / "packed"):
        assert open_pretrained(path).projection.weight.shape == (COMPONENTS + 5, 24)
        run = fit(
            separable(80),
            tmp_path / f"run {path.name}",
            settings={**free, "epochs": 1},
            pretrained=path,
        )
        assert run.manifest.pretrained == open_pretrained(path).summary


def test_labels_that_do_not_fit_the_weights_are_damage(whole, tmp_path):
    path = shutil.copytree(whole.path, tmp_path / "damaged")
    file = path / "pretrained.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    said["distillation"]["labelled"][0]["labels"].append("more")
    file.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"projection.weight should be \[22, 24\]"):
        open_pretrained(path)


# Resuming


@pytest.mark.parametrize(("epochs", "steps"), [(0, 3), (0, 14), (1, 1), (EPOCHS - 1, 20)])
def test_stopped_and_resumed(whole, texts, teacher, tasks, stop, tmp_path, epochs, steps):
    path = tmp_path / "p"
    given = {"teacher": teacher, "labelled": tasks}
    stop(pretrain, [texts], path, epochs=epochs, steps=steps, settings=TINY, **given)
    torch.manual_seed(steps)  # another process has other random numbers
    assert_same(pretrain([texts], path, resume=True, **given), whole)


def test_stopped_before_every_head_was_drawn(texts, teacher, tasks, stop, tmp_path):
    """After one step, one of the heads has learned nothing."""
    settings = {**TINY, "checkpoint_steps": 1, "epochs": 2}
    given = {"teacher": teacher, "labelled": tasks}
    path, whole = tmp_path / "p", tmp_path / "whole"
    vectors = 8  # calls of `step` before the first epoch, which begins with one more
    stop(pretrain, [texts], path, epochs=0, steps=vectors + 2, settings=settings, **given)
    made = pretrain([texts], path, resume=True, **given)
    assert_same(made, pretrain([texts], whole, settings=settings, **given))


def assert_same(made, whole):
    files = [(each.path / "model.safetensors").read_bytes() for each in (made, whole)]
    assert files[0] == files[1]
    epochs = [
        [(epoch.train_loss, epoch.cosine, epoch.accuracy) for epoch in each.outcome.history]
        for each in (made, whole)
    ]
    assert epochs[0] == epochs[1]


def test_other_labelled_rows_are_refused(whole, texts, teacher, tasks, write_jsonl, tmp_path):
    other = write_jsonl(tmp_path / "other.jsonl", moods(40, seed=5))
    for given in ([], tasks[:1], tasks[::-1], [*tasks, other]):
        with pytest.raises(CheckpointError) as caught:
            pretrain([texts], whole.path, teacher=teacher, labelled=given, resume=True)
        assert str(caught.value) == (
            f"{whole.path}: begun with other labelled rows than these; it had moods.jsonl, "
            "complaints.jsonl: give the same, in the same order, or start again in another folder"
        )


# Refusals


def rows_of(*labels):
    return [{"text": f"text {number}", "label": label} for number, label in enumerate(labels, 1)]


REFUSED = [
    (rows_of(*["a"] * 30), "rows.jsonl: every row has the label 'a'; two labels or more are need"),
    (
        rows_of(*"ab" * 9),
        "rows.jsonl: 18 rows are too few for an encoder to learn their labels; give at least 20",
    ),
    (
        rows_of(*"ab" * 15, ["a", "b"]),
        "line 31: 2 labels, but an encoder learns one label per row; leave such rows out",
    ),
    (rows_of([], *"ab" * 15), "rows.jsonl, line 1: no labels, but an encoder learns one"),
    ([{"text": "same", "label": label} for label in "ab" * 15], "every row has the same text"),
    ([], "rows.jsonl has no rows"),
    ([{"text": "a", "label": "b"}, {"text": "c"}], "rows.jsonl"),
]


@pytest.mark.parametrize(("rows", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_rows_that_are_refused(texts, teacher, write_jsonl, tmp_path, rows, message):
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError) as caught:
        pretrain([texts], tmp_path / "p", teacher=teacher, labelled=[path], settings=TINY)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p").exists()


def test_files_that_are_refused(command, encoder, texts, tasks, tmp_path):
    missing = tmp_path / "missing.csv"
    arguments = ("pretrain", texts, "-o", tmp_path / "p", "--labelled")
    shown = command(*arguments, missing, "--teacher", encoder)
    assert shown.status == 1
    assert shown.message == f"textgate: {missing}: cannot be read: No such file or directory"
    shown = command(*arguments, tasks[0])
    assert shown.status == 2
    assert shown.message == (
        "textgate: there is no teacher, and labelled rows are learned only in addition to the "
        "vectors of one; add --teacher, or leave --labelled out"
    )
    with pytest.raises(ConfigError, match="the files of labelled rows should be a list, not moods"):
        pretrain([texts], tmp_path / "p", teacher=str(encoder), labelled="moods.jsonl")
    assert not (tmp_path / "p").exists()


def test_columns_are_those_of_the_options(command, encoder, texts, tmp_path):
    table = tmp_path / "table.csv"
    rows = "".join(f"{row['label']};{row['text']}\n" for row in moods(40, seed=7))
    table.write_text(f"mood;body\n{rows}", encoding="utf-8")
    more = tmp_path / "more.csv"
    more.write_text("body\n" + "".join(f"w{number} fine\n" for number in range(99)))
    shown = command(
        *("pretrain", more, "-o", tmp_path / "p", "--teacher", encoder, "--labelled", table),
        *("--text-field", "body", "--label-field", "mood", "--vectors", "none", "--hidden", "6"),
        *("--vocabulary-size", "600", "--embedding-size", "6", "--epochs", "1"),
    )
    assert shown.status == 0, shown.err
    assert "table.csv: 40 rows with 3 labels to learn as well" in shown.err
