"""Service: bundles over HTTP, in protocols that clients already speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textgate.errors import needing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from textgate.serve.application import Service
    from textgate.serve.settings import Settings


def app(
    models: Mapping[str, str | PathLike[str]] | None = None,
    *,
    settings: Settings | None = None,
    engine: str | None = None,
) -> Service:
    """Return an ASGI application that serves bundles.

    It runs by itself under any ASGI server, and mounts in a FastAPI or Starlette application.

    Args:
        models: the bundle of each name, a path or the name of a model that comes with the package.
            A name may end with a version, as ``spam:2``. The first one answers requests that name
            none; of several versions, the one given last. None serves the default model.
        settings: limits, timeouts, tokens and what else can be chosen.
        engine: as for `Classifier.load`.

    Raises:
        BundleError: a bundle is missing, damaged, unsafe, or of another version.
        ConfigError: a name is not one that an address can hold, or a setting is out of range.
        MissingPackageError: the extra is not installed.
    """
    with needing("serve", "textgate.serve"):
        from textgate.serve.application import Service
        from textgate.serve.models import load_models
        from textgate.serve.settings import Settings
    return Service(load_models(models, engine=engine), settings or Settings())
