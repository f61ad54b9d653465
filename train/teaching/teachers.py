"""Teachers: finished runs, bundles and fine-tuned transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from textgate.bundle import run as run_folder
from textgate.bundle.run import read_run
from textgate.bundle.storage import GRAPH, MANIFEST, read_bundle
from textgate.errors import CheckpointError, ConfigError
from textgate.inference.classifier import Classifier
from textgate.inference.tokenizer import TextTokenizer
from textgate.messages import listed
from textgate.train.data.dataset import Dataset
from textgate.train.data.encoding import encode_texts
from textgate.train.network.model import TextClassifier
from textgate.train.teaching.encoders import WEIGHTS
from textgate.train.teaching.finetuned import is_finetuned, open_finetuned, read_finished
from textgate.train.training.checkpoint import file_sha256, load_model
from textgate.train.training.scoring import probabilities
from textgate.train.training.trainer import predict_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from textgate.bundle.architecture import Task

    # From texts to calibrated probabilities, float32 [texts, labels].
    Classify = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Teacher:
    """A finished model that can label texts.

    Attributes:
        path: its folder.
        labels: its labels, in the order of the columns of its probabilities.
        task: ``single-label`` or ``multi-label``.
        sha256: checksum of the file that holds its weights.
        open: loads it onto a device and returns its classifying function.
    """

    path: Path
    labels: tuple[str, ...]
    task: Task
    sha256: str
    open: Callable[[torch.device], Classify]


def find_teacher(path: str | Path) -> Teacher:
    """Return the teacher in a folder without loading it.

    Args:
        path: a finished run, a bundle, or a transformer fine-tuned by `textgate teach`.

    Raises:
        ConfigError: the folder is none of them.
        CheckpointError: the run or the transformer is unfinished, damaged, or has another format
            version.
        BundleError: the bundle is damaged, unsafe, or has another format version.
    """
    folder = Path(path).absolute()  # absolute, because it is opened later
    if run_folder.is_run(folder):
        return _run_teacher(folder)
    if (folder / MANIFEST).is_file():
        return _bundle_teacher(folder)
    if is_finetuned(folder):
        return _finetuned_teacher(folder)
    raise ConfigError(
        f"{folder}: neither a finished run nor a bundle, so it cannot teach; give the folder that "
        "textgate train, textgate export or textgate teach made"
    )


def check_teachers(
    teachers: Sequence[Teacher], labels: Sequence[str], *, task: Task, file: str
) -> None:
    """Refuse teachers with other labels than the rows, in any order, or with another task.

    Args:
        teachers: the teachers.
        labels: labels of the rows.
        task: task of the rows.
        file: name of the rows, for messages.

    Raises:
        ConfigError: a teacher has other labels or another task.
    """
    for teacher in teachers:
        if set(teacher.labels) != set(labels):
            raise ConfigError(
                f"{teacher.path} has the labels {listed(sorted(teacher.labels))}, but {file} has "
                f"{listed(sorted(labels))}; a teacher needs the labels of the rows"
            )
        if teacher.task != task:
            raise ConfigError(
                f"{teacher.path} is a {teacher.task} classifier, but {file} is a {task} task; give "
                f"a teacher of the same kind, or --task {teacher.task}"
            )


def teacher_probabilities(
    classify: Classify, teacher: Teacher, texts: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float32]:
    """Return the probabilities of a teacher, float32 [texts, labels].

    Args:
        classify: the function that `Teacher.open` returned.
        teacher: the teacher.
        texts: the texts.
        labels: the labels of the teacher, in the wanted order of the columns.

    Raises:
        CheckpointError: the probabilities are NaN or infinite.
    """
    probabilities = classify(texts)
    if not np.isfinite(probabilities).all():
        raise CheckpointError(
            f"{teacher.path}: predicts NaN or infinite values, so it cannot teach; train it again"
        )
    return probabilities[:, [teacher.labels.index(label) for label in labels]]


def _run_teacher(folder: Path) -> Teacher:
    manifest = read_run(folder)
    if not (folder / run_folder.MODEL).is_file():
        raise CheckpointError(
            f"{folder}: training has not finished, so it cannot teach; continue it with textgate "
            "train --resume"
        )

    def load(device: torch.device) -> Classify:
        model = load_model(folder / run_folder.MODEL)
        with torch.random.fork_rng(devices=[]):  # the initial weights are random
            network = TextClassifier(manifest.architecture)
        try:
            network.load_state_dict(model.weights)
            tokenizer_json = (folder / run_folder.TOKENIZER).read_text(encoding="utf-8")
        except (RuntimeError, OSError, ValueError) as problem:
            first_line = str(problem).splitlines()[0]
            raise CheckpointError(f"{folder}: damaged: {first_line}") from None
        network.to(device)
        tokenizer = TextTokenizer(tokenizer_json, max_tokens=manifest.max_tokens)
        multi_label = manifest.architecture.task == "multi-label"

        def classify(texts: Sequence[str]) -> NDArray[np.float32]:
            sequences = tuple(encode_texts(texts, tokenizer))
            no_targets = np.zeros((len(sequences), 0), dtype=np.float32)
            logits = predict_logits(network, Dataset(sequences, no_targets))
            return probabilities(logits, model.temperature, multi_label=multi_label)

        return classify

    return Teacher(
        folder,
        manifest.labels,
        manifest.architecture.task,
        file_sha256(folder / run_folder.MODEL),
        load,
    )


def _bundle_teacher(folder: Path) -> Teacher:
    manifest = read_bundle(folder).manifest

    def load(_: torch.device) -> Classify:
        return Classifier.load(folder, threads=torch.get_num_threads()).predict_proba

    return Teacher(folder, manifest.labels, manifest.task, manifest.files[GRAPH].sha256, load)


def _finetuned_teacher(folder: Path) -> Teacher:
    manifest, _ = read_finished(folder)

    def load(device: torch.device) -> Classify:
        return open_finetuned(folder, device)

    return Teacher(folder, manifest.labels, manifest.task, file_sha256(folder / WEIGHTS), load)
