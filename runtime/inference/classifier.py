"""Classifier of texts, loaded from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from logging import DEBUG
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textgate.bundle.builtin import open_bundle
from textgate.bundle.manifest import MANIFEST
from textgate.errors import BundleError, ConfigError, DataError
from textgate.inference.arguments import (
    label_count,
    not_one_text,
    texts_of,
    thresholds_of,
    whole_number,
)
from textgate.inference.batching import WINDOW_BATCHES, batches_by_length, padded, windows
from textgate.inference.engines import Engine, make_engine
from textgate.inference.prediction import Decision, Scores
from textgate.inference.threads import thread_count
from textgate.inference.tokenizer import TextTokenizer
from textgate.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from textgate.bundle.manifest import Manifest
    from textgate.bundle.storage import Bundle
    from textgate.inference.explanation import Explanation
    from textgate.inference.prediction import Prediction
    from textgate.inference.session import Session
    from textgate.inference.streaming import Stream
    from textgate.inference.tokenizer import Encoded
    from textgate.native.session import NativeSession


# That the native engine answers one by one before numpy would be imported.
_FEW_TEXTS = 4


class Classifier:
    """Classifies texts with a bundle. Make one with `Classifier.load`.

    Several threads may share one, and it works after a fork. It is pickled as its path, its options
    and the checksum of the bundle, which must still be there when it is unpickled.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        threads: int | Literal["auto"],
        batch_size: int,
        max_tokens: int | None,
        thresholds: Mapping[str, float] | float | None,
        engine: str | None = None,
        checksum: str | None = None,
    ) -> None:
        self._options = {
            "threads": threads,
            "batch_size": batch_size,
            "max_tokens": max_tokens,
            "thresholds": dict(thresholds) if isinstance(thresholds, Mapping) else thresholds,
            "engine": engine,
        }
        bundle = open_bundle(path)
        # Absolute, because the working directory may change.
        self._path = bundle.path.absolute()
        _require_same_bundle(bundle, checksum)
        self._manifest = bundle.manifest
        self._batch_size = whole_number(batch_size, "batch_size", wanted="at least 1")
        self._tokenizer = TextTokenizer(
            bundle.tokenizer, max_tokens=_token_limit(max_tokens, bundle.manifest)
        )
        multi_label = bundle.manifest.task == "multi-label"
        self._engine: Engine | None = make_engine(
            bundle, engine=engine, threads=thread_count(threads)
        )
        self._computed_by = (self._engine.name, self._engine.detail)
        self._decision = Decision(
            labels=bundle.manifest.labels,
            thresholds=bundle.manifest.thresholds
            if thresholds is None
            else thresholds_of(thresholds, bundle.manifest.labels),
            multi_label=multi_label,
        )
        logger.info(
            "loaded %s: %s, %s, %d labels, engine %s (%s)",
            self._path,
            bundle.manifest.architecture.cell,
            bundle.manifest.precision,
            len(bundle.manifest.labels),
            *self._computed_by,
        )

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        threads: int | Literal["auto"] = 1,
        batch_size: int = 32,
        max_tokens: int | None = None,
        thresholds: Mapping[str, float] | float | None = None,
        engine: str | None = None,
    ) -> Classifier:
        """Return a classifier for the bundle in a folder.

        Args:
            path: the bundle, or the name of a model that comes with the package, or
                ``hf://OWNER/NAME@REVISION`` for a bundle of the Hugging Face Hub; None is the value
                of the environment variable TEXTGATE_MODEL, else the default model.
            threads: threads inside one call; ``"auto"`` is the number of processors that the
                process may use. For many texts, several Python threads with one each are faster.
            batch_size: texts that run together in `predict_many` and `predict_proba`, at most.
            max_tokens: how many tokens of a text are read, if fewer than the bundle's limit.
            thresholds: thresholds by label, or one for all labels, instead of the bundle's own.
                Below its threshold, a single-label classifier abstains, and a label of a
                multi-label classifier does not apply.
            engine: the engine that computes the network: ``"native"``, textgate's own in C, or
                ``"onnxruntime"``; ``"auto"`` is the native one if it is built and knows every part
                of the bundle. None is the value of the environment variable TEXTGATE_ENGINE, else
                ``"auto"``.

        Raises:
            BundleError: the bundle is missing, damaged, unsafe, or of another version, or the
                engine is ``"native"`` and does not know a part of it.
            ConfigError: an option is out of range or names an unknown label, or the engine is
                ``"native"`` and was not built, or the name of a bundle of the Hub is malformed.
            HubError: the Hub does not give the bundle.
            MissingPackageError: the extra ``hub``, for bundles of the Hub, is not installed.
        """
        return cls(
            path,
            threads=threads,
            batch_size=batch_size,
            max_tokens=max_tokens,
            thresholds=thresholds,
            engine=engine,
        )

    @property
    def path(self) -> Path:
        """The bundle's folder, an absolute path."""
        return self._path

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return self._manifest.labels

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle."""
        return self._manifest

    def predict(self, text: str, *, top_k: int | None = None) -> Prediction:
        """Return the prediction for one text.

        A text without a known token gets no label, whatever the probabilities.

        Args:
            text: the text.
            top_k: how many labels, the most probable first, keep their scores; None for all.

        Raises:
            ConfigError: `top_k` is not from 1 to the number of labels.
            DataError: the text is not a str.
        """
        if not isinstance(text, str):
            raise not_one_text(text, "predict")
        kept = label_count(top_k, self.labels)
        encoded = self._tokenizer.encode(text)
        row, _ = self._require_session().read(encoded.ids)
        return self._decision.predict(
            row,
            tokens=len(encoded.ids),
            truncated=encoded.truncated,
            reason=encoded.reason,
            top_k=kept,
        )

    def explain(self, text: str, *, top_k: int | None = None) -> Explanation:
        """Return how much each word of a text spoke for and against each label.

        The network reads the text a few hundred times, each time with other words left out.

        Args:
            text: the text.
            top_k: how many labels, the most probable ones, are explained; None for all.

        Raises:
            ConfigError: `top_k` is not from 1 to the number of labels.
            DataError: the text is not a str.
        """
        from textgate.inference.explainer import explain

        if not isinstance(text, str):
            raise not_one_text(text, "explain")
        prediction = self.predict(text, top_k=top_k)
        applying = prediction.labels or (prediction.top_label,)
        return explain(
            text,
            prediction,
            shown=applying if top_k is None else tuple(prediction.scores),
            labels=self.labels,
            tokenizer=self._tokenizer,
            session=self._require_session(),
            streams=bool(self._manifest.state) and self._tokenizer.splits_at_separators,
        )

    def predict_many(
        self,
        texts: Iterable[str],
        *,
        top_k: int | None = None,
        missing: Literal["error", "empty"] = "error",
    ) -> Iterator[Prediction]:
        """Return an iterator over the predictions for texts, in order, which reads a little ahead.

        If one of them is not a str, or cannot be read, the texts before it are answered first.

        Args:
            texts: a list of texts, a column of a table, a generator, and so on.
            top_k: as for `predict`.
            missing: ``error`` refuses missing texts (None, NaN, pandas' NA); ``empty`` reads them
                as "".

        Raises:
            ConfigError: `top_k` is not from 1 to the number of labels, or `missing` is unknown.
            DataError: the argument is not a series of texts; or, from the iterator, one of them is
                missing or not a str: ``texts[3]`` is the fourth text.
        """
        checked = texts_of(texts, "predict_many", missing=missing)
        kept = label_count(top_k, self.labels)
        self._require_session()
        return self._predictions(checked, kept)

    def predict_proba(
        self, texts: Iterable[str], *, missing: Literal["error", "empty"] = "error"
    ) -> NDArray[np.float32]:
        """Return probabilities, float32 [texts, labels].

        Args:
            texts: as for `predict_many`, like `missing`.
            missing: how missing texts are read.

        Raises:
            DataError: the argument is not a series of texts, or one of them is missing or no str.
            ConfigError: `missing` is unknown.
        """
        return self._probabilities(
            self._tokenizer.encode_batch(list(texts_of(texts, "predict_proba", missing=missing)))
        )

    def predictions(self, texts: Sequence[str], *, top_k: int | None = None) -> list[Prediction]:
        """Return the predictions for texts that run together, as `decide` does for their `scores`.

        Args:
            texts: the texts.
            top_k: as for `predict`.

        Raises:
            ConfigError: `top_k` is not from 1 to the number of labels.
            DataError: the argument is not a series of texts, or one of them is not a str.
        """
        if len(texts) <= (_FEW_TEXTS if self._computed_by[0] == "native" else 1):
            checked = texts_of(texts, "predictions")
            found = [self.predict(text, top_k=top_k) for text in checked]
            _log_cut_off([prediction.truncated for prediction in found])
            return found
        return self.decide(self.scores(texts), top_k=top_k)

    def scores(self, texts: Iterable[str]) -> Scores:
        """Return the scores of texts, for `decide`, which may run in another process.

        Raises:
            DataError: the argument is not a series of texts, or one of them is not a str.
        """
        encoded = self._tokenizer.encode_batch(list(texts_of(texts, "scores")))
        truncated = [item.truncated for item in encoded]
        _log_cut_off(truncated)
        return Scores(
            probabilities=self._probabilities(encoded),
            tokens=[len(item.ids) for item in encoded],
            truncated=truncated,
            reasons=[item.reason for item in encoded],
        )

    def decide(self, scores: Scores, *, top_k: int | None = None) -> list[Prediction]:
        """Return the predictions of scores.

        Args:
            scores: the result of `scores`, of the same bundle.
            top_k: as for `predict`.

        Raises:
            ConfigError: `top_k` is not from 1 to the number of labels.
            DataError: the argument is not such scores.
        """
        if not isinstance(scores, Scores) or scores.probabilities.shape[1] != len(self.labels):
            raise DataError(
                f"decide takes what scores returned for a bundle of {len(self.labels)} labels"
            )
        return self._decision.predict_many(scores, top_k=label_count(top_k, self.labels))

    def stream(self) -> Stream:
        """Return a stream, which classifies one text while it arrives.

        Raises:
            ConfigError: the bundle cannot stream, because its network is bidirectional or its
                tokenizer is not of the kind that training writes.
        """
        from textgate.inference.streaming import Stream

        session = self._require_session()
        if not self._manifest.state:
            raise ConfigError(
                f"{self._path}: cannot stream: the network is bidirectional; train one with "
                "--one-directional"
            )
        if not self._tokenizer.splits_at_separators:
            raise ConfigError(
                f"{self._path}: cannot stream: tokenizer.json is not of the kind that textgate "
                "train writes, so the tokens of half a text are unknown"
            )
        return Stream(self._tokenizer, session, self._decision)

    def describe(self) -> dict[str, Any]:
        """Return the facts of the loaded model as JSON-ready values."""
        manifest = self._manifest
        return {
            "path": str(self._path),
            "labels": list(manifest.labels),
            "task": manifest.architecture.task,
            "cell": manifest.architecture.cell,
            "precision": manifest.precision,
            "max_tokens": self._tokenizer.max_tokens,
            "thresholds": dict(zip(manifest.labels, self._decision.thresholds, strict=True)),
            "temperature": manifest.temperature,
            "streaming": bool(manifest.state),
            "engine": dict(zip(("name", "detail"), self._computed_by, strict=True)),
            "bytes": {name: entry.size for name, entry in manifest.files.items()},
        }

    def stages(self) -> Stages:
        """Return the two stages of a prediction, to measure them separately."""
        return Stages(self._tokenizer, self._require_session())

    def close(self) -> None:
        """Release the session; the classifier cannot be used afterwards."""
        self._engine = None

    def __enter__(self) -> Classifier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reload, (str(self._path), self._options, self._manifest.checksum)

    def __repr__(self) -> str:
        return f"Classifier({str(self._path)!r}, labels={list(self.labels)!r})"

    def _predictions(self, texts: Iterator[str], top_k: int | None) -> Iterator[Prediction]:
        for window in windows(texts, WINDOW_BATCHES * self._batch_size):
            yield from self.predictions(window, top_k=top_k)

    def _probabilities(self, encoded: Sequence[Encoded]) -> NDArray[np.float32]:
        import numpy as np  # takes long; `predict` does without

        session = self._require_session()
        result = np.empty((len(encoded), len(self.labels)), dtype=np.float32)
        for indices in batches_by_length(encoded, self._batch_size):
            result[indices] = session.run(*padded([encoded[index] for index in indices]))
        return result

    def _require_session(self) -> Session | NativeSession:
        if self._engine is None:
            raise ConfigError("the classifier was closed")
        return self._engine.session


@dataclass(frozen=True)
class Stages:
    """The stages of a prediction: tokenizing and running."""

    _tokenizer: TextTokenizer
    _session: Session | NativeSession

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the token ids of texts."""
        return self._tokenizer.encode_batch(texts)

    def run(self, encoded: Sequence[Encoded]) -> NDArray[np.float32]:
        """Return the probabilities of one batch, float32 [texts, labels]."""
        return self._session.run(*padded(encoded))

    def words(self, count: int) -> list[str]:
        """Return the first words of the vocabulary, each of them one token."""
        return [word for word in self._tokenizer.words() if word.isalpha()][:count]


def _reload(path: str, options: dict[str, Any], checksum: str) -> Classifier:
    return Classifier(Path(path), **options, checksum=checksum)


def _require_same_bundle(bundle: Bundle, checksum: str | None) -> None:
    """Refuse a bundle other than the one that was pickled or copied."""
    found = bundle.manifest.checksum
    if checksum is not None and found != checksum:
        raise BundleError(
            f"{bundle.path / MANIFEST}: the checksum {found} is not {checksum}, that of the bundle "
            "which was pickled or copied; load the classifier from this one, or put that one back"
        )


def _log_cut_off(truncated: Sequence[bool]) -> None:
    if logger.isEnabledFor(DEBUG) and any(truncated):
        logger.debug("cut off %d texts of %d", sum(truncated), len(truncated))


def _token_limit(max_tokens: int | None, manifest: Manifest) -> int:
    limit = manifest.max_tokens
    if max_tokens is None:
        return limit
    return whole_number(
        max_tokens, "max_tokens", limit=limit, wanted=f"from 1 to the bundle's {limit}"
    )
