"""What can teach: runs, bundles and fine-tuned transformers, found, checked and asked."""

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
from textgate.train.data.dataset import Dataset, encode_texts
from textgate.train.fit.checkpoint import file_sha256, load_model
from textgate.train.fit.scoring import probabilities
from textgate.train.fit.trainer import predict_logits
from textgate.train.network.model import TextClassifier
from textgate.train.teach.encoders import WEIGHTS
from textgate.train.teach.finetuned import is_finetuned, open_finetuned, read_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    # Texts in, calibrated probabilities out: float32 [texts, labels].
    Answer = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Teacher:
    """A finished model that can be asked.

    Attributes:
        path: its folder.
        labels: its labels, in the order of its answers' columns.
        task: ``single-label`` or ``multi-label``.
        sha256: checksum of the file that holds its weights.
        open: loads it onto a device and returns what answers.
    """

    path: Path
    labels: tuple[str, ...]
    task: str
    sha256: str
    open: Callable[[torch.device], Answer]


def find_teacher(path: str | Path) -> Teacher:
    """Return the teacher in a folder, not loaded yet.

    Args:
        path: a finished run, a bundle, or a transformer that `textgate teach` fine-tuned.

    Raises:
        ConfigError: the folder is none of them.
        CheckpointError: the run is unfinished, damaged or of another version; or the transformer.
        BundleError: the bundle is damaged, unsafe or of another version.
    """
    folder = Path(path).absolute()  # it is opened later
    if run_folder.is_run(folder):
        return _own_run(folder)
    if (folder / MANIFEST).is_file():
        return _bundle(folder)
    if is_finetuned(folder):
        return _finetuned(folder)
    raise ConfigError(
        f"{folder}: neither a finished run nor a bundle, so it cannot teach; give the folder that "
        "textgate train, textgate export or textgate teach made"
    )


def check_teachers(
    teachers: Sequence[Teacher], labels: Sequence[str], *, task: str, file: str
) -> None:
    """Refuse teachers of anything but the rows' own labels; their order does not matter.

    Args:
        teachers: the teachers.
        labels: the rows' labels.
        task: the rows' task.
        file: how messages name the rows.

    Raises:
        ConfigError: a teacher has other labels or another task.
    """
    for teacher in teachers:
        if set(teacher.labels) != set(labels):
            raise ConfigError(
                f"{teacher.path} tells {listed(sorted(teacher.labels))}, but {file} has "
                f"{listed(sorted(labels))}; a teacher needs the labels of the rows"
            )
        if teacher.task != task:
            raise ConfigError(
                f"{teacher.path} is a {teacher.task} classifier, but {file} is a {task} task; give "
                f"a teacher of the same kind, or --task {teacher.task}"
            )


def ask(
    answer: Answer, teacher: Teacher, texts: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float32]:
    """Return a teacher's probabilities, float32 [texts, labels].

    Args:
        answer: what the teacher opened.
        teacher: the teacher.
        texts: the texts.
        labels: its labels, in the order of the columns wanted.

    Raises:
        CheckpointError: it answers NaN or infinite values.
    """
    probabilities = answer(texts)
    if not np.isfinite(probabilities).all():
        raise CheckpointError(
            f"{teacher.path}: answers NaN or infinite values, so it cannot teach; train it again"
        )
    return probabilities[:, [teacher.labels.index(label) for label in labels]]


def _own_run(folder: Path) -> Teacher:
    manifest = read_run(folder)
    if not (folder / run_folder.MODEL).is_file():
        raise CheckpointError(
            f"{folder}: training has not finished, so it cannot teach; go on with textgate train "
            "--resume"
        )

    def load(device: torch.device) -> Answer:
        model = load_model(folder / run_folder.MODEL)
        with torch.random.fork_rng(devices=[]):  # its first weights are random
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

        def answer(texts: Sequence[str]) -> NDArray[np.float32]:
            sequences = tuple(encode_texts(texts, tokenizer))
            nothing = np.zeros((len(sequences), 0), dtype=np.float32)
            logits = predict_logits(network, Dataset(sequences, nothing))
            return probabilities(logits, model.temperature, multi_label=multi_label)

        return answer

    return Teacher(
        folder,
        manifest.labels,
        manifest.architecture.task,
        file_sha256(folder / run_folder.MODEL),
        load,
    )


def _bundle(folder: Path) -> Teacher:
    manifest = read_bundle(folder).manifest

    def load(_: torch.device) -> Answer:
        return Classifier.load(folder, threads=torch.get_num_threads()).predict_proba

    return Teacher(folder, manifest.labels, manifest.task, manifest.files[GRAPH].sha256, load)


def _finetuned(folder: Path) -> Teacher:
    manifest, _ = read_finished(folder)

    def load(device: torch.device) -> Answer:
        return open_finetuned(folder, device)

    return Teacher(folder, manifest.labels, manifest.task, file_sha256(folder / WEIGHTS), load)
