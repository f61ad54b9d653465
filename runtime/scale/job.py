"""Settings of a classification on a cluster, and the classifier that a worker opens for them."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import textgate
from textgate.bundle.manifest import GRAPH, MANIFEST, TOKENIZER
from textgate.errors import BundleError, ConfigError
from textgate.inference.classifier import Classifier
from textgate.rows.columns import Columns

_FILES = (MANIFEST, GRAPH, TOKENIZER)


@dataclass(frozen=True)
class Job:
    """Everything that determines the results, as the driver sends it to the workers.

    Attributes:
        checksum: the checksum of the bundle.
        version: the driver's version of textgate.
        engine: the name of the engine that computes the network on every worker.
        labels: the labels of the bundle, in its order.
        multi_label: whether a text may have several labels.
        text: the column of the texts, or several, joined as `Columns.text` says.
        scores: whether the results hold the probabilities of all labels.
        abstain_below: the threshold of all labels; None for the bundle's own.
        max_tokens: how many tokens of a text are read; None for the bundle's limit.
    """

    checksum: str
    version: str
    engine: str
    labels: tuple[str, ...]
    multi_label: bool
    text: str | tuple[str, ...]
    scores: bool
    abstain_below: float | None
    max_tokens: int | None

    @property
    def columns(self) -> Columns:
        """The columns of the texts."""
        return Columns(self.text)

    def settings(self) -> dict[str, str]:
        """Return the settings by the names that messages use; "" for what is not set."""
        return {
            "the bundle with the checksum": self.checksum,
            "--engine": self.engine,
            "--text-field": ", ".join(self.columns.text_fields),
            "--scores": "on" if self.scores else "",
            "--abstain-below": "" if self.abstain_below is None else str(self.abstain_below),
            "--max-tokens": "" if self.max_tokens is None else str(self.max_tokens),
        }


def open_job(
    model: str | Path | None,
    *,
    text: str | tuple[str, ...] = "text",
    scores: bool = False,
    abstain_below: float | None = None,
    max_tokens: int | None = None,
    engine: str | None = None,
) -> tuple[Job, Path]:
    """Return the job of a bundle, checked as every worker will check it, and the bundle's folder.

    Args:
        model: the bundle, as for `Classifier.load`.
        text: as for `Job`, like the arguments below.
        scores: whether the results hold the probabilities of all labels.
        abstain_below: the threshold of all labels.
        max_tokens: how many tokens of a text are read.
        engine: the engine, as for `Classifier.load`.

    Raises:
        BundleError: the bundle cannot be loaded.
        ConfigError: a setting is out of range.
    """
    Columns(text)
    with Classifier.load(
        model, max_tokens=max_tokens, thresholds=abstain_below, engine=engine
    ) as classifier:
        manifest = classifier.manifest
        job = Job(
            checksum=manifest.checksum,
            version=textgate.__version__,
            engine=classifier.describe()["engine"]["name"],
            labels=manifest.labels,
            multi_label=manifest.task == "multi-label",
            text=text,
            scores=scores,
            abstain_below=abstain_below,
            max_tokens=max_tokens,
        )
        return job, classifier.path


def bundle_files(path: Path) -> dict[str, bytes]:
    """Return the content of the files of a bundle that a worker needs, by name."""
    return {name: (path / name).read_bytes() for name in _FILES}


def open_classifier(job: Job, bundle: Path | Mapping[str, bytes]) -> Classifier:
    """Return the classifier of a job, on the node that this process runs on.

    Args:
        job: the job.
        bundle: the folder of the bundle on this node, or the content of its files, which are
            unpacked to a temporary folder while they are checked and loaded.

    Raises:
        BundleError: the bundle is missing, damaged, or not the one of the job.
        ConfigError: this node has another version of textgate, or lacks the engine.
        OSError: the files cannot be unpacked.
    """
    node = socket.gethostname()
    if textgate.__version__ != job.version:
        raise ConfigError(
            f"the worker on {node} has textgate {textgate.__version__}, but the driver has "
            f"{job.version}; install the same version on every node"
        )
    # By itself the tokenizer uses every processor of the node.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        if isinstance(bundle, Path):
            return _open(job, bundle)
        with tempfile.TemporaryDirectory(prefix="textgate-") as folder:
            for name in _FILES:
                (Path(folder) / name).write_bytes(bundle[name])
            return _open(job, Path(folder))
    except (BundleError, ConfigError) as problem:
        raise type(problem)(f"on {node}: {problem}") from None


def _open(job: Job, path: Path) -> Classifier:
    return Classifier(
        path,
        threads=1,
        batch_size=32,
        max_tokens=job.max_tokens,
        thresholds=job.abstain_below,
        engine=job.engine,
        checksum=job.checksum,
    )
