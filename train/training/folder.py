"""The folder of a training: created whole, resumed only with the same inputs, finished at the end.

`textgate train`, `textgate teach` and `textgate pretrain` each make one.
"""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import textgate
from textgate.atomic import new_folder, refuse_occupied
from textgate.bundle.run import CHECKPOINT, MODEL, ModelSummary
from textgate.bundle.schema import Location, decode
from textgate.errors import CheckpointError, ConfigError
from textgate.train.training.checkpoint import (
    EpochT,
    file_sha256,
    load_state,
    save_state,
    write_atomically,
    write_tensors,
)
from textgate.train.training.settings import Config, named_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import torch
    from _typeshed import DataclassInstance

    from textgate.bundle.run import DataSummary
    from textgate.bundle.strict_json import Format
    from textgate.train.training.checkpoint import TrainingState
    from textgate.train.training.progress import Progress

    _Manifest = TypeVar("_Manifest", bound=DataclassInstance)

_ConfigT = TypeVar("_ConfigT", bound=Config)


class HoldsSettings(Protocol):
    """A manifest with the settings that its folder was begun with."""

    @property
    def settings(self) -> Any:
        """All settings."""


_Begun = TypeVar("_Begun", bound=HoldsSettings)


@dataclass(frozen=True)
class RunFolder(Generic[EpochT]):
    """A folder that training makes.

    Attributes:
        path: the folder, absolute.
        manifest: name of the file that says what is trained on what. It is there from the start.
        epoch: class of the epochs in its checkpoint.
        temporary: names of the files that a finished folder no longer needs.

    Raises:
        CheckpointError: in every method, if a file cannot be written or is damaged.
    """

    path: Path
    manifest: str
    epoch: type[EpochT]
    temporary: tuple[str, ...] = (CHECKPOINT,)

    def exists(self) -> bool:
        """Return whether the folder looks like one of this kind, finished or not."""
        return (self.path / self.manifest).is_file()

    def refuse_occupied(self, *, force: bool) -> None:
        """Refuse a path where `create` would fail, before inputs are read."""
        refuse_occupied(
            self.path, force=force, error=CheckpointError, complete_marker=self.manifest
        )

    @contextlib.contextmanager
    def create(self, manifest: str, *, force: bool) -> Iterator[Path]:
        """Yield a new folder, to fill with everything that is settled before the first step.

        The manifest is written last. `force` replaces an existing folder of this kind.
        """
        with new_folder(
            self.path, force=force, error=CheckpointError, complete_marker=self.manifest
        ) as folder:
            yield folder
            (folder / self.manifest).write_text(manifest, encoding="utf-8")

    def begin(
        self,
        read: Callable[[Path], _Begun],
        defaults: _ConfigT,
        settings: object,
        *,
        resume: bool,
        force: bool,
    ) -> tuple[_Begun | None, _ConfigT]:
        """Return the manifest of the folder to resume, None for a new one, and the settings.

        Args:
            read: returns the manifest of a folder.
            defaults: the settings of a new folder.
            settings: those that a caller gave, as for `settings_by_name`.
            resume: whether a folder that exists is continued.
            force: whether a folder that exists may be replaced.

        Raises:
            ConfigError: a setting is wrong.
            CheckpointError: the folder is occupied or damaged, or was begun with other settings.
        """
        begun = read(self.path) if resume and self.exists() else None
        if begun is None:
            self.refuse_occupied(force=force)
        given = settings_by_name(settings, type(defaults))
        config: _ConfigT = (defaults if begun is None else begun.settings).replace(**given)
        if begun is not None:
            self.require_same_settings(vars(begun.settings), vars(config))
        return begun, config

    def load_checkpoint(self) -> TrainingState[EpochT] | None:
        """Return the last checkpoint, or None if there is none yet."""
        path = self.path / CHECKPOINT
        return load_state(path, self.epoch) if path.is_file() else None

    def save_checkpoint(self, state: TrainingState[EpochT]) -> None:
        """Replace the checkpoint atomically."""
        save_state(self.path / CHECKPOINT, state)

    def save_weights(self, weights: dict[str, torch.Tensor]) -> str:
        """Write the final weights and return the checksum of their file."""
        write_tensors(self.path / MODEL, weights, {})
        return file_sha256(self.path / MODEL)

    def finish(self, manifest: str) -> None:
        """Replace the manifest by one that has an outcome, then remove temporary files."""
        write_atomically(self.path / self.manifest, manifest.encode("utf-8"))
        self.tidy()

    def tidy(self) -> None:
        """Remove temporary files, and files that an interruption left half-written."""
        names = (self.path / name for name in self.temporary)
        for path in (*names, *self.path.glob(".*.partial")):
            with contextlib.suppress(OSError):
                path.unlink()

    def leave_finished(self, progress: Progress) -> None:
        """Note that there is nothing to resume, and remove temporary files."""
        progress.note(f"{self.path} is finished already")
        self.tidy()

    def mismatch(self, difference: str) -> CheckpointError:
        """Return the error for resuming with inputs that differ from those of the folder."""
        return CheckpointError(f"{self.path}: begun {difference}, or start again in another folder")

    def require_same_settings(self, begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Refuse settings with other values than in the folder, which may lack newer ones."""
        for name, value in wanted.items():
            if begun.get(name, value) != value:
                raise self.mismatch(
                    f"with {name} {begun[name]!r}, not {value!r}; leave the option out"
                )

    def require_same_rows(self, begun: object, wanted: object) -> None:
        """Refuse a manifest with other rows than the folder's, whatever files they are in."""
        for name in ("train", "dev"):
            if getattr(begun, name).sha256 != getattr(wanted, name).sha256:
                raise self.mismatch(f"with other {name} rows than these; give the same file")

    def require_same_sources(
        self,
        kind: str,
        begun: Sequence[DataSummary | ModelSummary],
        given: Sequence[DataSummary | ModelSummary],
        *,
        advice: str = "give the same",
    ) -> None:
        """Refuse other files or models than those of the folder, or another order of them."""
        if [item.sha256 for item in begun] != [item.sha256 for item in given]:
            names = [item.name if isinstance(item, ModelSummary) else item.file for item in begun]
            raise self.mismatch(
                f"with other {kind} than these; it had {', '.join(names) or 'none'}: {advice}, in "
                "the same order"
            )

    def require_same_network(self, begun: object, wanted: object, *names: str) -> None:
        """Refuse a network whose manifest has other attributes of these names."""
        if any(getattr(begun, name) != getattr(wanted, name) for name in names):
            raise CheckpointError(
                f"{self.path}: begun as another network; start again in another folder"
            )


def tool_versions(*packages: str) -> dict[str, str]:
    """Return the versions of textgate, of installed packages, and of Python, by name."""
    return {
        "textgate": textgate.__version__,
        **{name: version(name) for name in packages},
        "python": platform.python_version(),
    }


def read_manifest(path: Path, kind: type[_Manifest], form: Format) -> _Manifest:
    """Return the manifest of a folder.

    Args:
        path: the file.
        kind: the dataclass that it holds.
        form: its format.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or has another format or version.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
    location = Location(str(path), CheckpointError)
    return decode(kind, form.read(content, location), location)


def check_best_epoch(best_epoch: int, history: Sequence[object]) -> None:
    """Refuse a best epoch that is not in the history.

    Raises:
        ConfigError: it is after the last epoch.
    """
    if best_epoch > (last := len(history)):
        raise ConfigError(
            f"field 'best_epoch' should be a whole number from 1 to {last}, found {best_epoch}"
        )


def settings_by_name(settings: object, config: type[DataclassInstance]) -> dict[str, Any]:
    """Return settings that a caller gave, by name.

    Args:
        settings: a `config`, which gives all settings; or a mapping or None, which give some.
        config: the dataclass of all settings.

    Raises:
        ConfigError: they are neither.
    """
    return dict(vars(settings)) if isinstance(settings, config) else named_settings(settings)
