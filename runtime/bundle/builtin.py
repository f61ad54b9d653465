"""Bundles by name: the models that come with the package, and those of the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from textgate import environment
from textgate.bundle.hub_name import PREFIX, is_hub_name
from textgate.errors import BundleError, ConfigError
from textgate.messages import did_you_mean

if TYPE_CHECKING:
    from textgate.bundle.storage import Bundle

DEFAULT_MODEL = "sentiment"

# name -> what it is for
MODELS = {
    DEFAULT_MODEL: "English texts: negative, neutral or positive; no answer where unclear",
    "toxicity": "English texts: toxic (insults, threats, hate) or clean; no answer where unclear",
}

_FOLDER = Path(__file__).resolve().parents[1] / "models"  # also where pip made links to the sources


def bundled_path(name: str) -> Path:
    """Return the folder of a model that comes with the package.

    Raises:
        KeyError: no model has that name.
    """
    if name not in MODELS:
        raise KeyError(name)
    return _FOLDER / name


def find_bundle(name: str | Path | None = None) -> Path:
    """Return the folder of a bundle.

    Args:
        name: its path, or the name of a model that comes with the package, unless a file or folder
            has that name, or ``hf://OWNER/NAME@REVISION`` for a bundle of the Hugging Face Hub,
            which is downloaded into its cache; None takes the environment variable TEXTGATE_MODEL,
            else the default model.

    Raises:
        BundleError: the name is neither a model's nor that of a file or folder.
        ConfigError: the name is not a path, is empty, or is malformed.
        HubError: the Hub does not give the bundle.
        MissingPackageError: the extra ``hub`` is not installed.
    """
    given = os.fspath(name) if isinstance(name, os.PathLike) else name
    if given is not None and not isinstance(given, str):
        raise ConfigError(
            f"a bundle's path should be a str or a Path, found {type(given).__name__}"
        )
    if given == "":
        raise ConfigError("a bundle's path is empty; leave it out for the default model")
    chosen = name or os.environ.get(environment.MODEL) or DEFAULT_MODEL
    if is_hub_name(chosen):
        from textgate.bundle.hub import download

        return download(str(chosen))
    path = Path(chosen)
    if path.parts[:1] == (PREFIX[:-2],) and not os.path.lexists(path):
        raise ConfigError(
            f"{path}: a Path cannot name a bundle of the Hub; give {PREFIX}OWNER/NAME as a str"
        )
    if len(path.parts) > 1 or os.path.lexists(path):
        return path
    if str(chosen) not in MODELS:
        raise BundleError(
            f"{path}: no folder of that name, and no model that comes with textgate"
            f"{did_you_mean(str(path), MODELS)}; those are: {', '.join(MODELS)}"
        )
    return bundled_path(str(chosen))


def open_bundle(name: str | Path | None = None) -> Bundle:
    """Return a bundle whose files have passed every check.

    Args:
        name: as for `find_bundle`.

    Raises:
        BundleError: it is missing, damaged, unsafe, or of a version this release does not read.
        ConfigError: the name is not a path, or empty.
    """
    from textgate.bundle.storage import read_bundle

    path = find_bundle(name)
    try:
        return read_bundle(path)
    except BundleError as problem:
        if path.parent == _FOLDER:
            archive = next((parent for parent in path.parents if parent.is_file()), None)
            if archive is not None:
                raise BundleError(
                    f"{path}: in the archive {archive}, but a model is read from a folder; install "
                    "textgate with pip, unpack the archive, or give the folder of a bundle"
                ) from None
            raise BundleError(
                f"{problem}; it came with textgate, so install that again: pip install "
                "--force-reinstall --no-deps textgate"
            ) from None
        if path.parent.name == "snapshots":  # of the Hub's cache, which does not notice damage
            raise BundleError(
                f"{problem}; removing {path.parent.parent} downloads it again"
            ) from None
        raise
