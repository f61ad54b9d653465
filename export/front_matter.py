"""Metadata at the beginning of the model card, in YAML, as the Hugging Face Hub reads them.

Source of the fields: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textgate.bundle.run import written_name
from textgate.errors import ConfigError
from textgate.messages import quoted

if TYPE_CHECKING:
    from textgate.bundle.manifest import Manifest

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*|code|multilingual", re.ASCII)
_DATASET_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_DATASET = re.compile(rf"({_DATASET_PART}/)?{_DATASET_PART}", re.ASCII)


@dataclass(frozen=True)
class Publication:
    """What export cannot know about a model, and its card should say.

    Attributes:
        licence: identifier of the Hub, such as ``apache-2.0``; None to say nothing.
        language: codes of the languages, such as ``en`` or ``pt-BR``; empty for English if the
            network began with the English encoder or vectors, and else to say nothing.
        dataset: identifiers of datasets of the Hub that the network was trained on, such as
            ``stanfordnlp/sst2``.

    Raises:
        ConfigError: one of them is malformed.
    """

    licence: str | None = None
    language: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.licence is not None and not _LICENCE.fullmatch(self.licence):
            raise ConfigError(
                "licence should be an identifier of the Hugging Face Hub in lower case, such as "
                f"apache-2.0, mit or other, not {quoted(self.licence)}"
            )
        for code in self.language:
            if not _LANGUAGE.fullmatch(code):
                raise ConfigError(
                    "language should be a code of ISO 639, such as en, or pt-BR, not "
                    f"{quoted(code)}"
                )
        for name in self.dataset:
            if not _DATASET.fullmatch(name):
                raise ConfigError(
                    "dataset should be the name of a dataset of the Hugging Face Hub, such as "
                    f"stanfordnlp/sst2, not {quoted(name)}"
                )


def front_matter(manifest: Manifest, *, name: str, publication: Publication) -> str:
    """Return the lines of the metadata, with the lines ``---`` around them.

    Args:
        manifest: the bundle's manifest; its ``files`` are not needed yet.
        name: name of the bundle.
        publication: what the manifest does not say.
    """
    tags = ("onnx", manifest.architecture.cell, manifest.precision)
    lines = [
        "---",
        "library_name: textgate",
        "pipeline_tag: text-classification",
        *_list("tags", tags),
        *_list("language", publication.language),
        *([] if publication.licence is None else [f"license: {scalar(publication.licence)}"]),
        *_list("datasets", publication.dataset),
        *_list("metrics", ("accuracy", "f1")),
        *_results(manifest, name, publication),
        "---",
    ]
    return "\n".join(lines)


def scalar(text: str) -> str:
    """Return a text as a double-quoted scalar of YAML, on one line.

    Characters that are not printable are written as escapes: some are line ends in YAML 1.1, and
    others are not allowed at all.
    """
    return '"' + "".join(map(_character, text)) + '"'


def _character(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    return one if one.isprintable() else f"\\U{ord(one):08x}"


def _list(name: str, items: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a list, none if it is empty."""
    if items:
        yield f"{name}:"
        yield from (f"- {scalar(item)}" for item in items)


def _results(manifest: Manifest, name: str, publication: Publication) -> Iterator[str]:
    """Yield the lines of ``model-index``: the measured scores, and the rows they belong to."""
    scores, training = manifest.scores, manifest.training
    if scores is None:
        return
    file, split = str(training["train_file"]), "validation"
    if "verify_file" in training:
        file, split = str(training["verify_file"]), "test"
    elif manifest.out_of_fold:
        split = "train"
    dataset = ""
    if len(publication.dataset) == 1 and "verify_file" not in training:
        file = dataset = publication.dataset[0]
    yield from (
        "model-index:",
        f"- name: {scalar(written_name(name))}",
        "  results:",
        "  - task:",
        "      type: text-classification",
        "    dataset:",
        f"      name: {scalar(file)}",
        f"      type: {scalar(dataset or 'unknown')}",
        f"      split: {split}",
        "    metrics:",
    )
    exact = "Accuracy" if manifest.task == "single-label" else "Accuracy of all labels of a text"
    where = ", out of fold" if manifest.out_of_fold else ""
    for kind, title, value in (
        ("accuracy", exact, scores.accuracy),
        ("f1", "Macro-F1", scores.macro_f1),
        ("expected_calibration_error", "Expected calibration error", scores.ece),
    ):
        yield f"    - type: {kind}"
        yield f"      value: {value:.4f}"
        yield f"      name: {title}{where}"
