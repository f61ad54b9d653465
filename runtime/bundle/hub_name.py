"""Names of bundles on the Hugging Face Hub: ``hf://OWNER/NAME`` and ``hf://OWNER/NAME@REVISION``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from textgate.errors import ConfigError
from textgate.messages import quoted

PREFIX = "hf://"

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"(?!.*(?:--|\.\.|\.git$)){_PART}/{_PART}", re.ASCII)
# It becomes a part of a path.
_REVISION = re.compile(
    r"(?!.*(?:\.\.|//|/$|/\.|\.lock$))[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}", re.ASCII
)


@dataclass(frozen=True)
class HubName:
    """A repository of the Hub and, if it was given, a revision of it.

    Attributes:
        repository: ``OWNER/NAME``.
        revision: a branch, a tag or a commit; None for the main branch.

    Raises:
        ConfigError: one of them is malformed.
    """

    repository: str
    revision: str | None = None

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise ConfigError(
                f"{quoted(self.repository)} is not the name of a repository; it should be "
                "OWNER/NAME, of letters, digits, '-', '_' and '.'"
            )
        if self.revision is not None and not _REVISION.fullmatch(self.revision):
            raise ConfigError(
                f"{quoted(self.revision)} is not a revision; it should be a branch, a tag or a "
                "commit"
            )

    def __str__(self) -> str:
        """Return the name as it is written, with ``hf://``."""
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{PREFIX}{self.repository}{revision}"

    @property
    def short(self) -> str:
        """The name without its owner and its revision."""
        return self.repository.partition("/")[2]


def is_hub_name(name: str | Path) -> bool:
    """Return whether a name is one of the Hub; a `Path` never is."""
    return isinstance(name, str) and name.startswith(PREFIX)


def parse_hub_name(name: str) -> HubName:
    """Return the repository and the revision that a name with ``hf://`` stands for.

    Raises:
        ConfigError: the name is malformed.
    """
    repository, at, revision = name.removeprefix(PREFIX).partition("@")
    try:
        return HubName(repository, revision if at else None)
    except ConfigError as problem:
        raise ConfigError(
            f"{quoted(name)}: {problem}; a bundle of the Hub is {PREFIX}OWNER/NAME or "
            f"{PREFIX}OWNER/NAME@REVISION"
        ) from None


def folder_name(path: Path) -> str:
    """Return a short name of a bundle's folder: its own or, in the Hub's cache, the repository's.

    There a folder is ``models--OWNER--NAME/snapshots/COMMIT``.
    """
    folder = path.resolve()
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.rpartition("--")[2]
    return folder.name
