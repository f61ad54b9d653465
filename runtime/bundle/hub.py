"""Bundles on the Hugging Face Hub: downloaded into its cache, and published there.

It needs the extra ``hub``, and runs only for a name with ``hf://`` and for `textgate push`. The
Hub's address, the token and the cache are those of huggingface_hub.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from textgate import __version__
from textgate.bundle.hub_name import HubName, parse_hub_name
from textgate.bundle.manifest import CARD, CONFIG, FORMAT, MANIFEST, MAX_FILE_BYTES
from textgate.bundle.storage import checked_files
from textgate.errors import BundleError, HubError, TextgateError, needing
from textgate.logs import logger
from textgate.messages import quoted, reason

if TYPE_CHECKING:
    from textgate.bundle.storage import Bundle

# The files that are downloaded, and the largest size of each in bytes.
_LIMITS = {MANIFEST: FORMAT.limit, **MAX_FILE_BYTES, CONFIG: 4 * 2**20}
_PASSWORD = re.compile(r"//[^/@\s]*@")  # of an address
_COMMIT = re.compile("[0-9a-f]{40}")
_TIMEOUT = 10.0  # seconds, for the first answer of the Hub
_HEADERS = {"user-agent": f"textgate/{__version__}"}  # not the versions of Python, torch and more
# Of huggingface_hub. Xet is a protocol for files much larger than these, in native code.
_SWITCHES = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET")
_LOCK = threading.Lock()
_RESTORING: list[Callable[[], None]] = []  # one for each call that goes on; they are all the same


def download(name: str) -> Path:
    """Return the folder of a bundle of the Hub, in the cache of huggingface_hub.

    Only the files of a bundle are downloaded. They are checked where they are read, not here. If
    the Hub cannot be reached, the folder is that of the last download.

    Args:
        name: ``hf://OWNER/NAME`` or ``hf://OWNER/NAME@REVISION``.

    Raises:
        ConfigError: the name is malformed.
        HubError: the Hub has no such repository or revision, does not let it be read, or cannot be
            reached and the bundle is not in the cache; or the repository holds no bundle.
        MissingPackageError: the extra is not installed.
    """
    wanted = parse_hub_name(name)
    with _hub(wanted) as hub:
        where = {
            "repo_id": wanted.repository,
            "revision": wanted.revision,
            "allow_patterns": list(_LIMITS),
        }
        try:
            sizes = _file_sizes(hub, wanted)
        except Exception as problem:
            if not (_is_unreachable(hub, problem) or _is_malformed(problem)):
                raise
            try:
                found = hub.snapshot_download(**where, local_files_only=True)
            except hub.errors.LocalEntryNotFoundError:
                told = _message(hub, wanted, problem)
                raise HubError(f"{wanted}: {told}; the bundle is not in the cache") from problem
            logger.info("%s: taken from the cache: %s", wanted, reason(problem))
            return Path(found)
        if MANIFEST not in sizes:
            raise HubError(f"{wanted}: the repository holds no textgate bundle: no {MANIFEST}")
        for file, limit in _LIMITS.items():
            if sizes.get(file, 0) > limit:
                raise HubError(
                    f"{wanted}: {file} has {sizes[file]:,} bytes; at most {limit:,} are downloaded"
                )
        return Path(hub.snapshot_download(**where, headers=_HEADERS))


def publish(
    bundle: Bundle,
    target: HubName,
    *,
    private: bool = False,
    create_pr: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> str:
    """Publish a bundle, whose files have passed every check, and return the address of the commit.

    The repository is created if it is missing, and so is the branch. Files of the bundle's names
    are replaced, and others are kept.

    Args:
        bundle: the bundle.
        target: the repository, and the branch if it is not the main one.
        private: publish to a private repository; one that is public is refused.
        create_pr: open a pull request in an existing repository, and return its address.
        note: called with what the card lacks.

    Raises:
        BundleError: the metadata of the card are malformed.
        HubError: there is no token, or the Hub refuses, or cannot be reached.
        MissingPackageError: the extra is not installed.
    """
    files = checked_files(bundle)
    with _hub(target) as hub:
        card = bundle.path / CARD
        if "license" not in _metadata(hub, card, files.get(CARD, b"")):
            note(f"{card} names no license; add one to the metadata at its beginning")
        token = hub.get_token()
        if token is None:
            raise HubError(
                f"{target}: publishing needs a token; run hf auth login, or set HF_TOKEN"
            )
        api = hub.HfApi(headers=_HEADERS, token=token)
        if not create_pr:
            _make_repository(hub, api, target, private=private)
        done = api.create_commit(
            repo_id=target.repository,
            operations=[
                hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
                for name, content in files.items()
            ],
            commit_message="Upload a textgate bundle",
            revision=target.revision,
            create_pr=create_pr,
        )
        return str(done.pr_url if create_pr else done.commit_url)


def _file_sizes(hub: ModuleType, wanted: HubName) -> dict[str, int]:
    """Return the bytes of each file of a repository, by name, as the Hub says.

    Raises:
        ValueError: the commit is no hash; huggingface_hub makes it a part of paths.
    """
    found = hub.HfApi(headers=_HEADERS).model_info(
        wanted.repository, revision=wanted.revision, files_metadata=True, timeout=_TIMEOUT
    )
    if not _COMMIT.fullmatch(found.sha or ""):
        raise ValueError(f"{quoted(found.sha)} is not a commit")
    return {one.rfilename: int(one.size or 0) for one in found.siblings or ()}


def _metadata(hub: ModuleType, path: Path, content: bytes) -> dict[str, Any]:
    """Return the metadata of a card, {} if there are none.

    Raises:
        BundleError: they are malformed.
    """
    try:
        return dict(hub.ModelCard(content.decode("utf-8")).data.to_dict())
    except Exception as problem:  # of the parser of YAML, or of whatever a wrong type leads to
        raise BundleError(
            f"{path}: the metadata at its beginning are malformed: {reason(problem)}; correct them"
        ) from None


def _make_repository(hub: ModuleType, api: Any, target: HubName, *, private: bool) -> None:
    """Create the repository and the branch, if they are missing.

    Raises:
        HubError: the repository should be private and is public.
    """
    try:
        is_private = api.model_info(target.repository, timeout=_TIMEOUT).private
    except hub.errors.HfHubHTTPError as problem:
        if _status(problem) not in {401, 403, 404}:
            raise
        api.create_repo(target.repository, private=private or None)
    else:
        if private and not is_private:
            raise HubError(
                f"{target}: the repository exists and is public; make it private on its page, or "
                "choose another name"
            )
    if target.revision is not None and not target.revision.startswith("refs/"):
        api.create_branch(target.repository, branch=target.revision, exist_ok=True)


@contextmanager
def _hub(name: HubName) -> Iterator[ModuleType]:
    """Provide huggingface_hub, which meanwhile sends no telemetry, prints nothing and uses no Xet.

    Raises:
        HubError: a call of the package fails in the ``with`` block.
        MissingPackageError: the package is not installed.
    """
    with needing("hub", str(name)):
        import huggingface_hub as hub
        from huggingface_hub import constants, utils
    try:
        with _quiet(constants, utils), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield hub
    except TextgateError:
        raise
    except Exception as problem:  # whatever a server answers
        raise HubError(f"{name}: {_message(hub, name, problem)}") from problem


@contextmanager
def _quiet(constants: ModuleType, utils: ModuleType) -> Iterator[None]:
    """Set the settings of huggingface_hub, which a process has once, until no thread needs them."""
    with _LOCK:
        _RESTORING.append(_RESTORING[0] if _RESTORING else _set_quiet(constants, utils))
    try:
        yield
    finally:
        with _LOCK:
            restore = _RESTORING.pop()
            if not _RESTORING:
                restore()


def _set_quiet(constants: ModuleType, utils: ModuleType) -> Callable[[], None]:
    """Set the settings, and return what restores them."""
    before = {name: getattr(constants, name) for name in _SWITCHES}
    verbosity, showing = utils.logging.get_verbosity(), not utils.are_progress_bars_disabled()
    for switch in _SWITCHES:
        setattr(constants, switch, True)
    utils.logging.set_verbosity_error()
    utils.disable_progress_bars()

    def restore() -> None:
        for switch, value in before.items():
            setattr(constants, switch, value)
        utils.logging.set_verbosity(verbosity)
        if showing:
            utils.enable_progress_bars()

    return restore


def _is_unreachable(hub: ModuleType, problem: Exception) -> bool:
    """Return whether a call failed because the Hub could not be asked, or is out of order."""
    status = _status(problem)
    if status is not None:
        return status >= 500 or status == 429
    return isinstance(problem, (hub.errors.OfflineModeIsEnabled, hub.errors.HTTPError))


def _is_malformed(problem: Exception) -> bool:
    """Return whether a call failed because an answer was not one of the Hub's."""
    kinds = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
    is_of_python = type(problem).__module__.partition(".")[0] != "huggingface_hub"
    return is_of_python and isinstance(problem, kinds)


def _message(hub: ModuleType, name: HubName, problem: Exception) -> str:
    """Return what to say about a failed call of huggingface_hub, without the token."""
    server = _PASSWORD.sub("//", hub.constants.ENDPOINT)
    refused = _refusal(hub, name, problem, server)
    if refused:
        return refused
    told = getattr(problem, "server_message", None) or str(problem)
    if token := hub.get_token():
        told = told.replace(token, "(the token)")
    told = reason(Exception(_PASSWORD.sub("//", told)))
    status = _status(problem) or _status(problem.__cause__)
    if status is not None:
        told = f"{server} answers with status {status}: {told}"
    elif isinstance(problem, hub.errors.HTTPError):
        told = f"the connection to {server} fails: {told}"
    elif isinstance(problem, OSError) and problem.errno is not None:
        told = f"the cache {hub.constants.HF_HUB_CACHE} cannot be written: {told}"
    elif _is_malformed(problem):
        told = (
            f"{server} does not answer as the Hub does: {told}; check HF_ENDPOINT, and whether a "
            "proxy or a login page is in between"
        )
    return told


def _refusal(hub: ModuleType, name: HubName, problem: Exception, server: str) -> str:
    """Return what to say about a call that can be made to succeed, or ""."""
    errors, found = hub.errors, ""
    status = _status(problem) or _status(problem.__cause__)
    if isinstance(problem, errors.OfflineModeIsEnabled):
        found = f"HF_HUB_OFFLINE forbids to ask {server}"
    elif isinstance(problem, errors.GatedRepoError):
        found = f"its owner must give you access first; ask for it at {server}/{name.repository}"
    elif isinstance(problem, errors.RevisionNotFoundError):
        found = f"the repository has no revision {name.revision or 'main'}"
    elif isinstance(problem, errors.RepositoryNotFoundError) or status in {401, 404}:
        found = (
            f"{server} has no such repository, or it is private and the token does not open it; "
            "check the name, run hf auth login, or set HF_TOKEN"
        )
    elif isinstance(problem, UnicodeEncodeError):  # of a header
        found = "the token has characters that no token has; correct HF_TOKEN, or run hf auth login"
    return found


def _status(problem: BaseException | None) -> int | None:
    """Return the status of an answer of the Hub, None if there was none."""
    found = getattr(getattr(problem, "response", None), "status_code", None)
    return found if isinstance(found, int) else None
