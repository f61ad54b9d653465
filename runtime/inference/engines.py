"""Which engine computes a bundle's network: textgate's own in C, or ONNX Runtime."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textgate import environment
from textgate.errors import BundleError, ConfigError
from textgate.messages import did_you_mean

if TYPE_CHECKING:
    from textgate.bundle.storage import Bundle
    from textgate.inference.session import Session
    from textgate.native.session import NativeSession

ENGINES = ("auto", "native", "onnxruntime")
DEFAULT_ENGINE = "auto"
_SLOW = "portable"  # without the instructions that make the native engine fast
_LACKS = "the native engine lacks fast instructions here"


@dataclass(frozen=True)
class Engine:
    """What computes a network.

    Attributes:
        session: answers for batches of token ids.
        name: ``native`` or ``onnxruntime``.
        detail: the native engine's instruction set and what it computes in, or why it is not taken.
    """

    session: NativeSession | Session
    name: str
    detail: str


def make_engine(bundle: Bundle, *, engine: str | None, threads: int) -> Engine:
    """Return the engine for a bundle.

    Args:
        bundle: the bundle, checked.
        engine: ``native`` or ``onnxruntime``; ``auto`` takes the native engine where it is built,
            knows every part of the bundle, and has fast instructions. None takes what the
            environment variable TEXTGATE_ENGINE says, else ``auto``.
        threads: threads inside one call.

    Raises:
        BundleError: the native engine was asked for and does not know a part of the bundle.
        ConfigError: there is no such engine, or the native one was asked for and is not there.
    """
    wanted = engine_of(engine)
    if wanted == "onnxruntime":
        return _by_onnx_runtime(bundle, threads, "as asked for")
    from textgate.native.library import LibraryError
    from textgate.native.model import UnknownPartError

    try:
        session, kinds = _native_session(bundle, threads)
    except LibraryError as problem:
        if wanted == "native":
            raise ConfigError(f"engine 'native': {problem}") from None
        return _by_onnx_runtime(bundle, threads, str(problem))
    except UnknownPartError as problem:
        if wanted == "native":
            raise BundleError(
                f"{bundle.path}: the native engine does not know a part of the graph: {problem}; "
                "take the engine onnxruntime"
            ) from None
        return _by_onnx_runtime(bundle, threads, f"the native engine does not know {problem}")
    except BundleError as problem:
        if wanted == "native":
            raise BundleError(f"{bundle.path}: {problem}") from None
        return _by_onnx_runtime(bundle, threads, str(problem))
    if wanted == "auto" and session.instructions == _SLOW:
        return _by_onnx_runtime(bundle, threads, _LACKS)
    return Engine(session, "native", f"{session.instructions}, recurrent layers in {kinds}")


def native_engine() -> str:
    """Return whether the native engine is there, and with which instructions or why not."""
    from textgate.native.library import LibraryError, instruction_sets

    try:
        return f"built ({instruction_sets()[-1]})"
    except LibraryError as problem:
        return str(problem).removeprefix("the native engine was ")


def engine_of(engine: str | None) -> str:
    """Return the engine that is asked for, by an option or by the environment.

    Raises:
        ConfigError: there is no such engine.
    """
    wanted = engine or os.environ.get(environment.ENGINE) or DEFAULT_ENGINE
    if wanted not in ENGINES:
        where = "engine" if engine else environment.ENGINE
        raise ConfigError(
            f"{where} must be one of {', '.join(ENGINES)}, not {wanted!r}"
            f"{did_you_mean(wanted, ENGINES)}"
        )
    return wanted


def _native_session(bundle: Bundle, threads: int) -> tuple[NativeSession, str]:
    """Return a session and what its recurrent layers compute in."""
    from textgate.native.library import library
    from textgate.native.model import integer_layers, model_bytes
    from textgate.native.session import NativeSession

    library()
    content = model_bytes(bundle.parts, bundle.manifest)
    layers = integer_layers(content)
    kinds = "int8" if all(layers) else "int8 and float32" if any(layers) else "float32"
    return NativeSession(content, threads=threads), kinds


def _by_onnx_runtime(bundle: Bundle, threads: int, reason: str) -> Engine:
    from textgate.inference.session import Session

    session = Session(
        bundle.graph,
        labels=len(bundle.manifest.labels),
        sums_to_one=bundle.manifest.task != "multi-label",
        threads=threads,
        states=bundle.manifest.state,
    )
    return Engine(session, "onnxruntime", reason)
