"""Models of the service: by name and version, replaced while it runs."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from textgate.bundle.builtin import DEFAULT_MODEL, find_bundle
from textgate.bundle.manifest import MANIFEST
from textgate.errors import ConfigError
from textgate.inference.classifier import Classifier
from textgate.logs import logger
from textgate.serve.problems import Problem

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_FIRST_TEXT = "The first text."
_Stamp = tuple[int, ...] | None  # changes when the bundle in a folder is replaced


@dataclass(frozen=True)
class ServedModel:
    """A loaded bundle with the name and version that it is served under."""

    name: str
    version: str
    classifier: Classifier
    loaded: float  # seconds since 1970

    @property
    def checksum(self) -> str:
        """The checksum of the bundle's manifest."""
        return self.classifier.manifest.checksum

    @property
    def streams(self) -> bool:
        """Whether the network can answer while a text arrives."""
        return bool(self.classifier.manifest.state)


class Models:
    """The models that are served. Any thread may ask for one while another replaces it."""

    def __init__(self, sources: Mapping[tuple[str, str], Path], *, engine: str | None) -> None:
        self._sources = dict(sources)
        self._engine = engine
        self._stamps: dict[tuple[str, str], _Stamp] = {}
        self._models: dict[str, dict[str, ServedModel]] = {}
        self._reloading = threading.Lock()
        self._warm = False
        for name, version in self._sources:
            self._stamps[name, version] = _stamp(self._sources[name, version])
            model = self._load(name, version)
            self._models.setdefault(name, {})[version] = model
        self._default = next(iter(self._models))

    @property
    def ready(self) -> bool:
        """Whether every model has made a prediction."""
        return self._warm

    def warm_up(self) -> None:
        """Make every model's first prediction."""
        for model in self.all():
            model.classifier.predict(_FIRST_TEXT)
        self._warm = True

    def all(self) -> list[ServedModel]:
        """Return every version of every model, in the order they were given."""
        return [model for versions in self._models.values() for model in versions.values()]

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model."""
        return list(self._models.get(name, ()))

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """Return a model.

        Args:
            name: its name; None takes the first model.
            version: its version; None takes the one given last.

        Raises:
            Problem: there is none.
        """
        chosen = self._default if name is None else name
        versions = self._models.get(chosen)
        if versions is None:
            raise Problem(
                404, f"there is no model {chosen!r}; the models are {', '.join(self._models)}"
            )
        if version is None:
            return next(reversed(versions.values()))
        if version not in versions:
            raise Problem(
                404, f"{chosen}: there is no version {version!r}; found {', '.join(versions)}"
            )
        return versions[version]

    def are_stale(self) -> bool:
        """Return whether a bundle's folder has changed since its bundle was loaded."""
        return any(self._has_changed(key, _stamp(path)) for key, path in self._sources.items())

    def reload(
        self, *, forced: bool = False, report: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        """Load the bundles whose folders changed. The old one answers until the new one does.

        A bundle that cannot be loaded, or cannot predict, is reported and changes nothing.

        Args:
            forced: whether to load those that did not change, too.
            report: called with a model's name and with ``loaded`` or ``refused``.
        """
        with self._reloading:
            for key, path in self._sources.items():
                stamp = _stamp(path)
                if not forced and not self._has_changed(key, stamp):
                    continue
                name, version = key
                try:
                    model = self._load(name, version)
                    model.classifier.predict(_FIRST_TEXT)
                except Exception as problem:  # of any kind: the old bundle goes on answering
                    if _stamp(path) != stamp:
                        continue  # it was replaced meanwhile, and is loaded at the next look
                    self._stamps[key] = stamp
                    logger.error("%s:%s: the old bundle stays: %s", name, version, problem)
                    report(name, "refused")
                    continue
                self._stamps[key] = stamp
                self._models[name] = {**self._models[name], version: model}
                report(name, "loaded")

    def _has_changed(self, key: tuple[str, str], stamp: _Stamp) -> bool:
        # Between two renames there is no folder.
        return stamp not in {None, self._stamps[key]}

    def _load(self, name: str, version: str) -> ServedModel:
        # A link is followed once: all files are then those of one bundle, even if it is replaced.
        path = self._sources[name, version].resolve()
        return ServedModel(name, version, Classifier.load(path, engine=self._engine), time.time())


def load_models(
    models: Mapping[str, str | os.PathLike[str]] | None, *, engine: str | None = None
) -> Models:
    """Return the models of a mapping from names, with or without versions, to bundles.

    Raises:
        BundleError: a bundle cannot be loaded.
        ConfigError: a name or version is not valid in a URL.
    """
    if models is None:
        models = {DEFAULT_MODEL: DEFAULT_MODEL}
    if not models:
        raise ConfigError("there is no model to serve; leave models out for the default one")
    sources: dict[tuple[str, str], Path] = {}
    for given, path in models.items():
        name, _, version = given.partition(":")
        version = version or "1"
        for part in (name, version):
            if not _NAME.fullmatch(part):
                raise ConfigError(
                    f"a model's name {given!r}: should be NAME or NAME:VERSION of letters, "
                    "digits, '.', '_' and '-'"
                )
        if (name, version) in sources:
            raise ConfigError(f"a model's name {given!r}: version {version} is given twice")
        sources[name, version] = find_bundle(os.fspath(path)).absolute()
    return Models(sources, engine=engine)


def _stamp(path: Path) -> _Stamp:
    try:
        status = (path / MANIFEST).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
