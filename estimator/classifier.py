"""Classifier of texts with the interface of scikit-learn."""

from __future__ import annotations

import re
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from textgate.atomic import new_folder
from textgate.bundle.builtin import open_bundle
from textgate.bundle.storage import MANIFEST, checked_files, read_bundle
from textgate.errors import ConfigError, DataError, ExportError, UselessModelError
from textgate.inference.classifier import Classifier
from textgate.inference.prediction import DEFAULT_THRESHOLD
from textgate.messages import counted, quoted
from textgate.rows import Row
from textgate.sklearn.errors import InputError, MissingMethodError
from textgate.sklearn.targets import labels_per_text, read_targets
from textgate.sklearn.texts import read_texts
from textgate.sklearn.weights import read_weights, row_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from textgate.sklearn.targets import Targets

_DEV_ADVICE = re.compile(r"; give --dev.*")  # an estimator has no dev rows to give
# Settings that have a parameter of their own, or that the labels decide.
_PARAMETERS = {"seed": "random_state", "class_weights": "class_weight", "task": "the form of y"}
_WINDOW_TEXTS = 256  # that a thread classifies at a time
# Training uses the threads and the random numbers of torch, which a process has once.
_TRAINING = threading.Lock()


class TextgateClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains a network on texts, exports it as an int8 bundle, and classifies with that bundle.

    The texts `X` are a list, a column of a table, or a one-dimensional array. The labels `y` are
    one str, whole number or truth value per text. For several labels per text they are a matrix
    with a column per label, or a list of labels per text; `predict` answers in the same form.

    It is pickled with the bytes of its bundle, which are checked when they are read again.

    Args:
        preset: name of the settings to start from, as for `textgate.train.fit`.
        settings: settings by name, which override those of the preset, as for
            `textgate.train.fit`; the seed is `random_state`.
        encoder: ``english``, ``none``, or a folder that `textgate.train.pretrain` created; None for
            ``english`` if it suits the texts and the settings.
        class_weight: the weight of each label in a mapping, 1 for others, by which the weight of
            a text is multiplied; ``balanced`` for labels that count the same however rare they are;
            None for rows that count the same; ``auto`` balances two labels if one is much more
            frequent.
        missing: ``error`` refuses None and NaN among the texts; ``empty`` reads them as "".
        random_state: seed of all random numbers, from 0 to 2^31 - 1, with which the result is
            always the same; or a `numpy.random.RandomState`; or None for the one of numpy.
        n_jobs: threads that classify; -1 for all processors. Training uses one.
        verbose: whether training prints its notes and its progress on standard error.

    Attributes:
        classes_: the labels, sorted, [labels], in the dtype of `y`; of a matrix, the names of its
            columns, or their numbers.
    """

    def __init__(
        self,
        *,
        preset: str | None = None,
        settings: Mapping[str, Any] | None = None,
        encoder: str | Path | None = None,
        class_weight: Literal["auto", "balanced"] | Mapping[Any, float] | None = "auto",
        missing: Literal["error", "empty"] = "error",
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.preset = preset
        self.settings = settings
        self.encoder = encoder
        self.class_weight = class_weight
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def from_bundle(cls, path: str | Path | None = None, **parameters: Any) -> Self:
        """Return a fitted classifier that classifies with a bundle.

        Its classes are the labels of the bundle, which are str. It ignores the thresholds of a
        bundle with one label per text, because scikit-learn has no abstention.

        Args:
            path: the bundle, or the name of a model that comes with the package, as for
                `textgate.Classifier.load`.
            parameters: parameters of the classifier.

        Raises:
            BundleError: the bundle is missing, damaged, unsafe, or of another version.
        """
        bundle = open_bundle(path)
        estimator = cls(**parameters)
        labels = bundle.manifest.labels
        estimator._form = "labels" if bundle.manifest.task == "single-label" else "matrix"
        estimator._names = labels
        estimator._is_useful = True  # whoever exported it has decided that
        estimator._use(checked_files(bundle))
        estimator.classes_ = np.array(labels)
        return estimator

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on texts and labels, and return the classifier.

        Args:
            X: the texts.
            y: their labels.
            sample_weight: how much each text counts, [texts]: 2 as the text twice, 0 as no text;
                None for equal weights.

        Warns:
            UserWarning: the network is not better than the most frequent label alone.

        Raises:
            InputError: the texts, labels or weights have a wrong type, shape or value, or are too
                few.
            ConfigError: a parameter or a setting is wrong.
            TextgateError: the network cannot be trained or exported.
        """
        texts = read_texts(X, missing=self.missing)
        _require_texts(len(texts))
        _require_threads(self.n_jobs)
        targets = read_targets(y)
        _require_same_length(len(texts), len(targets.rows))
        of_classes = self.class_weight if isinstance(self.class_weight, Mapping) else None
        weights = row_weights(sample_weight, of_classes, targets)
        files, is_useful = self._train(texts, targets, weights)
        self._form, self._names, self._is_useful = targets.form, targets.names, is_useful
        self._use(files)
        self.classes_ = targets.classes
        if not is_useful:
            warnings.warn(
                f"the network is not better than the most frequent label alone, by the accuracy "
                f"and macro-F1 of {counted(len(texts), 'row', 'rows')}; label more rows, or choose "
                "other settings",
                stacklevel=2,
            )
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each text, [texts].

        With several labels per text, it returns those that apply, in the form of `y`: a matrix,
        int64 [texts, labels], or a list of labels per text, the most probable first, [texts].

        Raises:
            InputError: the texts have a wrong type or shape.
        """
        probabilities = self.predict_proba(X)
        if self._form == "labels":
            labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
            return labels
        applies = probabilities >= self._thresholds
        if self._form == "matrix":
            return applies.astype(np.int64)
        classes = self.classes_.tolist()
        lists = np.empty(len(applies), dtype=object)
        for row, order in enumerate((-probabilities).argsort(axis=1, kind="stable")):
            lists[row] = [classes[column] for column in order if applies[row, column]]
        return lists

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Return the probability of each label, float32 [texts, labels], as production gives it.

        Raises:
            InputError: the texts have a wrong type or shape.
        """
        check_is_fitted(self)
        texts = read_texts(X, missing=self.missing)
        _require_threads(self.n_jobs)
        labels = self._classifier.labels
        starts = range(0, max(1, len(texts)), _WINDOW_TEXTS)
        n_jobs = self.n_jobs if self.n_jobs is None else min(self.n_jobs, len(starts))
        parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
            delayed(self._classifier.predict_proba)(texts[start : start + _WINDOW_TEXTS])
            for start in starts
        )
        found = np.zeros((len(texts), len(self._names)), dtype=np.float32)
        for column, name in enumerate(self._names):
            if name in labels:  # a label of a matrix that no row had is in no bundle
                found[:, column] = np.concatenate([part[:, labels.index(name)] for part in parts])
        return found

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return log odds, float64.

        With two labels they are those of the second one, [texts]. With more labels they are
        logarithms of probabilities, [texts, labels]. With several labels per text they are the log
        odds of each label, [texts, labels].

        Raises:
            InputError: the texts have a wrong type or shape.
        """
        found = self.predict_proba(X).astype(np.float64)
        logarithms = np.log(np.maximum(found, np.finfo(np.float32).tiny))
        if self._form != "labels":
            return logarithms - np.log(np.maximum(1 - found, np.finfo(np.float32).eps / 2))
        return logarithms[:, 1] - logarithms[:, 0] if found.shape[1] == 2 else logarithms

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; with several labels per text, all labels of a text must be right.

        Args:
            X: the texts.
            y: their labels, in any form that `fit` takes.
            sample_weight: the weight of each text, [texts]; None for equal weights.

        Raises:
            InputError: the texts, labels or weights have a wrong type, shape or value, or there are
                no texts.
        """
        check_is_fitted(self)
        classes = self.classes_.tolist()
        wanted = labels_per_text(y, self._form, classes)
        found = labels_per_text(self.predict(X), self._form, classes)
        _require_texts(len(found))
        _require_same_length(len(found), len(wanted))
        same = [one == other for one, other in zip(found, wanted, strict=True)]
        return float(np.average(same, weights=read_weights(sample_weight, len(same))))

    @property
    def partial_fit(self) -> NoReturn:
        """Absent.

        Raises:
            MissingMethodError: says what to do instead.
        """
        raise MissingMethodError(
            f"{type(self).__name__} has no partial_fit: the vocabulary, the settings and the "
            "calibration depend on all rows; call fit with the old and the new rows together"
        )

    def to_bundle(
        self, path: str | Path, *, force: bool = False, allow_useless: bool = False
    ) -> None:
        """Write the bundle, for `textgate.Classifier.load` and `textgate classify`.

        Args:
            path: the folder to create.
            force: replace an existing bundle.
            allow_useless: write a network that is not better than the most frequent label alone.

        Raises:
            ExportError: the folder exists or cannot be written.
            UselessModelError: the network is not better than the most frequent label alone.
        """
        check_is_fitted(self)
        if not (self._is_useful or allow_useless):
            raise UselessModelError(
                f"{path}: the network is not better than the most frequent label alone; label more "
                "rows and fit again, or write it with allow_useless=True"
            )
        target = Path(path)
        with new_folder(target, force=force, error=ExportError, complete_marker=MANIFEST) as folder:
            _write(folder, self._files)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self.missing == "empty"
        tags.classifier_tags.multi_label = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_classifier", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_files" in state:
            self._use(self._files)

    @property
    def _thresholds(self) -> NDArray[np.float64]:
        """The threshold of each label, float64 [labels]."""
        given = self._classifier.describe()["thresholds"]
        found = [given.get(name) for name in self._names]
        return np.array([DEFAULT_THRESHOLD if one is None else one for one in found])

    def _train(
        self, texts: Sequence[str], targets: Targets, weights: Sequence[float]
    ) -> tuple[dict[str, bytes], bool]:
        """Return the files of the bundle, and whether it is better than the most frequent label."""
        from textgate.export import export
        from textgate.train import fit
        from textgate.train.training.progress import Progress, TerminalProgress

        progress = TerminalProgress() if self.verbose else Progress()
        settings = self._training_settings(targets)
        rows = [
            Row(text, labels, number, weight=weight)
            for number, (text, labels, weight) in enumerate(
                zip(texts, targets.rows, weights, strict=True)
            )
        ]
        with _temporary_folder() as folder, _torch_to_itself():
            try:
                run = fit(
                    rows,
                    folder / "run",
                    preset=self.preset,
                    settings=settings,
                    pretrained=self.encoder,
                    progress=progress,
                )
            except DataError as problem:
                told = str(problem).removesuffix(", or give --dev FILE")
                told = _DEV_ADVICE.sub("; give more texts of each class", told)
                raise InputError(told) from problem
            done = export(
                run.path, folder / "model", fallback=True, allow_useless=True, progress=progress
            )
            for note in done.notes:
                progress.warn(note)
            return checked_files(read_bundle(done.path)), run.is_useful

    def _training_settings(self, targets: Targets) -> dict[str, Any]:
        """Return the settings of `textgate.train.fit`, by name."""
        from textgate.train.training.settings import named_settings

        settings = named_settings(self.settings)
        for name, parameter in _PARAMETERS.items():
            if name in settings:
                raise ConfigError(f"leave {name} out of the settings: it is given by {parameter}")
        settings["task"] = "single-label" if targets.form == "labels" else "multi-label"
        settings["seed"] = _seed(self.random_state)
        if self.class_weight is None or isinstance(self.class_weight, Mapping):
            settings["class_weights"] = 0.0
        elif isinstance(self.class_weight, str) and self.class_weight == "balanced":
            settings["class_weights"] = 1.0
        elif not isinstance(self.class_weight, str) or self.class_weight != "auto":
            raise ConfigError(
                "class_weight should be a mapping from labels to weights, 'auto', 'balanced' or "
                f"None, not {quoted(self.class_weight)}"
            )
        return settings

    def _use(self, files: Mapping[str, bytes]) -> None:
        """Classify with these files of a bundle from now on."""
        with _temporary_folder() as folder:
            _write(folder, files)
            self._classifier = Classifier.load(folder)
        self._files = dict(files)


def _require_texts(count: int) -> None:
    if not count:
        raise InputError("X has no texts; give some texts of each class")


def _require_threads(n_jobs: object) -> None:
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ConfigError(
            f"n_jobs should be a whole number of threads, -1 or None, not {quoted(n_jobs)}"
        )


def _require_same_length(texts: int, rows: int) -> None:
    if texts != rows:
        raise InputError(
            f"X has {counted(texts, 'text', 'texts')}, but y has {counted(rows, 'row', 'rows')}; "
            "give one for each"
        )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Provide a folder that is removed afterwards.

    Raises:
        ExportError: it cannot be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="textgate-")
    except OSError as problem:
        raise ExportError(
            f"a temporary folder cannot be made: {problem}; set TMPDIR to a folder that can be "
            "written"
        ) from problem
    with folder as name:
        yield Path(name)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _seed(random_state: object) -> int:
    if isinstance(random_state, Integral):
        seed = int(random_state)
        if not 0 <= seed < 2**31:
            raise ConfigError(f"random_state should be from 0 to 2^31 - 1, not {quoted(seed)}")
        return seed
    try:
        return int(check_random_state(random_state).randint(2**31))
    except ValueError:
        raise ConfigError(
            "random_state should be a whole number, a numpy.random.RandomState or None, not "
            f"{quoted(random_state)}"
        ) from None


@contextmanager
def _torch_to_itself() -> Iterator[None]:
    """Keep other threads from training, and restore what training changes in torch."""
    import torch

    with _TRAINING, torch.random.fork_rng(devices=[]):
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # steps this small are slower on more threads
        try:
            yield
        finally:
            torch.set_num_threads(before)
