"""`textgate serve`: bundles over HTTP."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import click

from textgate import environment
from textgate.bundle.builtin import DEFAULT_MODEL, MODELS
from textgate.bundle.hub_name import is_hub_name, parse_hub_name
from textgate.cli import options
from textgate.errors import ConfigError, needing
from textgate.messages import did_you_mean


@click.command()
@click.option(
    "-m",
    "--model",
    "models",
    type=options.FILE,
    metavar="NAME=PATH",
    multiple=True,
    help="Bundle to serve, and the name it is served under: NAME or NAME:VERSION. Repeat it for "
    f"several; the first answers requests that name none.  [default: {DEFAULT_MODEL}]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that serve; they share the memory of the loaded bundles.",
)
@options.engine
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File of bearer tokens, one per line; a request must send one of them. Without this "
    "option, the token is the variable TEXTGATE_TOKEN, if it is set.",
)
@click.option(
    "--cors-origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Web origin whose pages may call the service, such as https://example.org; repeat it for "
    "several.  [default: none]",
)
@click.option(
    "--access-log",
    type=options.FILE,
    metavar="FILE",
    help="Append one JSON object per request to FILE; - is standard error. No line holds a text.",
)
@click.option(
    "--max-body",
    callback=options.byte_count,
    default="16MB",
    show_default=True,
    help="Maximum size of a request body.",
)
@click.option(
    "--max-texts",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Maximum number of texts in a request.",
)
@click.option(
    "--queue",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Maximum number of waiting requests per process; more are refused with 503.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=30,
    show_default=True,
    help="Seconds that a request may take to arrive, to be computed, and to be read.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    default=20,
    show_default=True,
    help="Seconds that requests and streams have to end after SIGTERM.",
)
@click.option(
    "--ssl-certfile",
    "certificate",
    type=click.Path(path_type=Path),
    help="PEM file of a certificate, for TLS.",
)
@click.option(
    "--ssl-keyfile",
    "key",
    type=click.Path(path_type=Path),
    help="PEM file of the certificate's key, if it is not in the same file.",
)
@click.option(
    "--traces",
    is_flag=True,
    help="Create an OpenTelemetry span per request, with the configured SDK.",
)
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    engine: str,
    token_file: Path | None,
    origins: tuple[str, ...],
    access_log: str | None,
    max_body: int,
    max_texts: int,
    queue: int,
    timeout: float,
    grace: float,
    certificate: Path | None,
    key: Path | None,
    traces: bool,
) -> int:
    """Serve bundles over HTTP, with a page to try them on.

    The protocols: /v1/classify and /v1/stream, textgate's own; /v2, the Open Inference Protocol of
    KServe and Triton; /predict and /info, as Text Embeddings Inference. /openapi.json describes
    them, /metrics is for Prometheus, and / is the page.

    SIGHUP reloads the bundles. SIGTERM ends the service after its requests are answered.
    """
    if key is not None and certificate is None:
        raise click.UsageError("--ssl-keyfile goes with --ssl-certfile")
    if workers > 1 and not hasattr(os, "fork"):
        raise click.UsageError("--workers above 1 needs a system that can fork processes")
    named = _named(models)
    if hasattr(signal, "pthread_sigmask"):
        # SIGHUP waits until the service can reload bundles; before, it would end the process.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if workers > 1:
        # Read by the library of the metrics when it is imported: where the processes count.
        folder = tempfile.TemporaryDirectory(prefix="textgate-metrics-")
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder.name)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the service has threads of its own
    with needing("serve", "textgate serve"):
        from textgate.serve.application import Service
        from textgate.serve.models import load_models
        from textgate.serve.server import run_server
        from textgate.serve.settings import Settings, read_tokens
        from textgate.serve.sockets import listen, raise_file_limit
    _log_to_standard_error()
    raise_file_limit()
    settings = Settings(
        max_body=max_body,
        max_texts=max_texts,
        queue=queue,
        timeout=timeout,
        tokens=read_tokens(token_file),
        origins=origins,
        access_log=access_log,
        traces=traces,
    )
    with listen(host, port) as listening:
        service = Service(load_models(named, engine=engine), settings)
        scheme = "http" if certificate is None else "https"
        address = _address(scheme, *listening.getsockname()[:2])

        def started() -> None:
            click.echo(f"textgate: serving {', '.join(named)} at {address}", err=True)

        return run_server(
            service,
            listening,
            workers=workers,
            grace=grace,
            certificate=certificate,
            key=key,
            started=started,
        )


def _named(models: tuple[str, ...]) -> dict[str, str]:
    """Return the bundle of each name.

    Raises:
        ConfigError: a name is given twice, or is missing.
    """
    if not models:
        path = os.environ.get(environment.MODEL) or DEFAULT_MODEL
        if is_hub_name(path):
            return {parse_hub_name(path).short: path}
        return {DEFAULT_MODEL if path == DEFAULT_MODEL else Path(path).absolute().name: path}
    named: dict[str, str] = {}
    for given in models:
        name, equals, path = given.partition("=")
        if not equals and given in MODELS:
            path = given
        elif not (name and path):
            raise click.UsageError(
                f"--model {given!r}: should be NAME=PATH, such as spam=./spam"
                f"{did_you_mean(given, MODELS)}"
            )
        if name in named:
            raise ConfigError(f"--model {name}: given twice; versions of it are {name}:1, {name}:2")
        named[name] = path
    return named


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("textgate: %(message)s"))
    for name, level in (("textgate", logging.INFO), ("uvicorn.error", logging.ERROR)):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level)


def _address(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
