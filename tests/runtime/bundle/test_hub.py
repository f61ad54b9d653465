"""Bundles on the Hub: downloaded and published, against a server on the loopback interface."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import textgate
from tests.hub_server import TOKEN, FakeHub, _RefusedError
from textgate import BundleError, Classifier, HubError
from textgate.bundle.builtin import find_bundle
from textgate.bundle.storage import read_bundle

NAME = "owner/reviews"
TEXT = "A wonderful, moving film."
OWN = {"README.md", "model.onnx", "textgate.json", "tokenizer.json"}
OTHERS = {"run.py": b"import os", "pytorch_model.bin": b"pickle", "english/model.onnx": b"x"}


@pytest.fixture
def files(bundle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


@pytest.fixture
def published(hub: FakeHub, files: dict[str, bytes]) -> str:
    """The commit of a repository with a bundle in it."""
    return hub.add(NAME, {**files, **OTHERS})


def refusal(name: str = f"hf://{NAME}", error: type[Exception] = HubError) -> str:
    with pytest.raises(error) as caught:
        Classifier.load(name)
    told = str(caught.value)
    assert "\n" not in told
    return told


def set_constant(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)


# Downloading


def test_a_bundle_of_the_hub_answers_as_the_folder_does(
    published: str, bundle: Path, tmp_path: Path
) -> None:
    with Classifier.load(f"hf://{NAME}") as classifier, Classifier.load(bundle) as local:
        assert classifier.predict(TEXT).scores == local.predict(TEXT).scores
        snapshot = tmp_path / "cache" / "models--owner--reviews" / "snapshots" / published
        assert classifier.path == snapshot
        assert {path.name for path in snapshot.iterdir()} == OWN


def test_only_the_files_of_a_bundle_are_asked_for(hub: FakeHub, published: str) -> None:
    find_bundle(f"hf://{NAME}")
    resolved = {path.rpartition("/")[2] for _, path in hub.asked if "/resolve/" in path}
    assert resolved == OWN


def test_revisions(hub: FakeHub, files: dict[str, bytes], bundles: dict[str, Path]) -> None:
    old = hub.add(NAME, files)
    new = hub.add(NAME, {path.name: path.read_bytes() for path in bundles["gru-float32"].iterdir()})
    hub.repositories[NAME].branches["v1"] = old
    assert find_bundle(f"hf://{NAME}").name == new
    for revision in (old, "v1"):
        found = find_bundle(f"hf://{NAME}@{revision}")
        assert found.name == old
        assert read_bundle(found).graph == files["model.onnx"]


def test_a_bundle_with_labels_for_other_programs(
    hub: FakeHub, files: dict[str, bytes], published: str
) -> None:
    """The file is downloaded, and what it says is of no importance."""
    hub.add(NAME, {"config.json": b'{"id2label": {"0": "other"}}'})
    found = find_bundle(f"hf://{NAME}")
    assert (found / "config.json").is_file()
    assert read_bundle(found).manifest.labels == ("negative", "positive")


def test_the_environment_may_name_it(published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGATE_MODEL", f"hf://{NAME}")
    assert find_bundle().name == published


def test_a_private_repository_needs_the_token(
    hub: FakeHub, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.add(NAME, files, private=True)
    told = f"{hub.address} has no such repository, or it is private and the token does not open it"
    assert refusal() == (f"hf://{NAME}: {told}; check the name, run hf auth login, or set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    assert told in refusal()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert find_bundle(f"hf://{NAME}").name == commit


@pytest.mark.parametrize("token", [None, TOKEN])
def test_no_such_repository(
    hub: FakeHub, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    assert "has no such repository, or it is private" in refusal()


def test_a_repository_that_must_be_asked_for(hub: FakeHub, published: str) -> None:
    hub.gated = True
    assert refusal() == (
        f"hf://{NAME}: its owner must give you access first; ask for it at {hub.address}/{NAME}"
    )


@pytest.mark.parametrize("revision", ["v2", "0" * 40, "refs/pr/3"])
def test_no_such_revision(published: str, revision: str) -> None:
    assert refusal(f"hf://{NAME}@{revision}") == (
        f"hf://{NAME}@{revision}: the repository has no revision {revision}"
    )


def test_a_repository_without_a_bundle(hub: FakeHub, files: dict[str, bytes]) -> None:
    hub.add(NAME, {"english/textgate.json": files["textgate.json"], **OTHERS})
    assert refusal() == f"hf://{NAME}: the repository holds no textgate bundle: no textgate.json"
    assert not [path for _, path in hub.asked if "/resolve/" in path]


def test_an_incomplete_bundle(hub: FakeHub, files: dict[str, bytes]) -> None:
    hub.add(NAME, {"textgate.json": files["textgate.json"], "model.onnx": files["model.onnx"]})
    assert "tokenizer.json: missing" in refusal(error=BundleError)


def test_a_damaged_bundle_is_refused_as_any_other(hub: FakeHub, files: dict[str, bytes]) -> None:
    hub.add(NAME, {**files, "model.onnx": files["model.onnx"][:-1] + b"\0"})
    assert "damaged or edited" in refusal(error=BundleError)


def test_a_file_beyond_the_limit_is_not_downloaded(hub: FakeHub, published: str) -> None:
    hub.listed = {"model.onnx": 2**40}
    assert refusal() == (
        f"hf://{NAME}: model.onnx has 1,099,511,627,776 bytes; at most 268,435,456 are downloaded"
    )
    assert not [path for _, path in hub.asked if "/resolve/" in path]


def test_names_that_lead_out_of_the_folder_are_never_asked_for(
    hub: FakeHub, published: str, tmp_path: Path
) -> None:
    names = ["../../textgate.json", "/etc/passwd", "..\\..\\x", "a/../../../model.onnx", "\0", "."]
    hub.listed = dict.fromkeys(names, 3)
    found = find_bundle(f"hf://{NAME}")
    assert {path.name for path in found.iterdir()} == OWN
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_a_download_that_breaks_half_way(
    hub: FakeHub, published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # before it is tried again
    hub.cut = True
    told = refusal()
    assert told.startswith(f"hf://{NAME}: the connection to {hub.address} fails: peer closed")
    assert not list((tmp_path / "cache").rglob("model.onnx"))
    hub.cut = False
    assert Classifier.load(f"hf://{NAME}").predict(TEXT).label == "positive"


def test_a_server_that_is_out_of_order_or_down(hub: FakeHub, tmp_path: Path) -> None:
    hub.status = 503
    assert f"{hub.address} answers with status 503" in refusal()


def test_a_bundle_that_was_damaged_in_the_cache(published: str, tmp_path: Path) -> None:
    blob = (find_bundle(f"hf://{NAME}") / "model.onnx").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    folder = tmp_path / "cache" / "models--owner--reviews"
    assert refusal(error=BundleError).endswith(f"; removing {folder} downloads it again")
    shutil.rmtree(folder)
    assert Classifier.load(f"hf://{NAME}").predict(TEXT).label == "positive"


@pytest.mark.parametrize("commit", ["../../../../outside", "main", ""])
def test_a_commit_that_is_no_hash_becomes_no_path(
    hub: FakeHub, files: dict[str, bytes], commit: str, tmp_path: Path
) -> None:
    hub.add(NAME, files)
    repository = hub.repositories[NAME]
    repository.commits[commit] = repository.commits.pop(repository.branches["main"])
    repository.branches["main"] = commit
    assert f"{hub.address} does not answer as the Hub does: {commit!r} is not a commit" in refusal()
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "cache").exists()


def test_no_server(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    set_constant(monkeypatch, "ENDPOINT", "http://127.0.0.1:9")
    told = refusal()
    assert told.startswith(f"hf://{NAME}: the connection to http://127.0.0.1:9 fails: ")
    assert "refused" in told
    assert told.endswith("; the bundle is not in the cache")


@pytest.mark.parametrize("answer", [b"<html>Log in</html>", b"{}", b"[]", b"null", b"[" * 100_000])
def test_an_answer_that_is_no_answer(
    hub: FakeHub, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.hub_server._Handler._route", lambda self, _: self._send(200, answer, {})
    )
    assert refusal().startswith(f"hf://{NAME}: {hub.address} does not answer as the Hub does: ")


def test_a_cache_that_cannot_be_written(
    published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    set_constant(monkeypatch, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    told = refusal()
    assert told.startswith(
        f"hf://{NAME}: the cache {tmp_path}/file/cache cannot be written: [Errno"
    )


def test_no_message_has_a_secret(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def repeat(self: Any, _: object) -> None:
        raise _RefusedError(400, "", f"not {self.headers['Authorization']}")

    monkeypatch.setattr("tests.hub_server._Handler._route", repeat)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert refusal().endswith("answers with status 400: not Bearer (the token)")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\u00e4")
    assert "the token has characters that no token has; correct HF_TOKEN" in refusal()
    monkeypatch.delenv("HF_TOKEN")
    set_constant(monkeypatch, "ENDPOINT", "http://user:secret@127.0.0.1:9")
    assert "the connection to http://127.0.0.1:9 fails: " in refusal()


@pytest.fixture(params=["no server", "status 503", "status 429", "a login page", "offline"])
def unreachable(
    request: pytest.FixtureRequest, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Makes the Hub unreachable from now on."""

    def stop() -> None:
        if request.param == "no server":
            set_constant(monkeypatch, "ENDPOINT", "http://127.0.0.1:9")
        elif request.param.startswith("status"):
            hub.status = int(request.param[-3:])
        elif request.param == "a login page":
            monkeypatch.setattr(
                "tests.hub_server._Handler._route", lambda self, _: self._send(200, b"<html>", {})
            )
        else:
            set_constant(monkeypatch, "HF_HUB_OFFLINE", True)

    return stop


def test_a_bundle_in_the_cache_needs_no_hub(
    published: str, unreachable: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    found = find_bundle(f"hf://{NAME}")
    unreachable()
    with caplog.at_level(logging.INFO, logger="textgate"):
        assert find_bundle(f"hf://{NAME}") == found
        assert find_bundle(f"hf://{NAME}@{published}") == found
    assert f"hf://{NAME}: taken from the cache: " in caplog.text
    with pytest.raises(HubError):
        find_bundle("hf://owner/others")


def test_offline(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    set_constant(monkeypatch, "HF_HUB_OFFLINE", True)
    assert refusal() == (
        f"hf://{NAME}: HF_HUB_OFFLINE forbids to ask {hub.address}; the bundle is not in the cache"
    )
    assert hub.asked == []


def test_links_to_the_store_of_all_models_are_followed(published: str, tmp_path: Path) -> None:
    """Files of Xet lie there once, however many models have them."""
    found = find_bundle(f"hf://{NAME}")
    blob = (found / "model.onnx").resolve()
    shared = tmp_path / "cache" / "blobs" / "0a" / "0a0b"
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to("../../blobs/0a/0a0b")
    assert Classifier.load(f"hf://{NAME}").predict(TEXT).label == "positive"


def test_the_page_runs(
    hub: FakeHub, files: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "hub.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    hub.add("owner/films", files, branch="v1")
    exec(compile(block, "docs/hub.md", "exec"), {})  # the page is part of the project
    assert capsys.readouterr().out == "positive\n"


# Privacy


def test_the_hub_learns_the_name_and_the_version_of_textgate(
    hub: FakeHub, files: dict[str, bytes], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textgate.bundle.hub import publish
    from textgate.bundle.hub_name import HubName

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("AI_AGENT", "secret")
    publish(read_bundle(bundle), HubName(NAME, "v1"))
    find_bundle(f"hf://{NAME}@v1")
    own = f"textgate/{textgate.__version__}"
    uploads = {agent for agent in hub.agents if not agent.startswith(own)}
    assert all(agent.startswith("python-httpx") for agent in uploads), uploads
    assert hub.agents - uploads == {own}
    assert "secret" not in "".join(hub.headers)
    assert not [path for _, path in hub.asked if "telemetry" in path or "harness" in path]


def test_the_settings_of_huggingface_hub_are_as_before(
    published: str, hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants, utils

    def settings() -> tuple[Any, ...]:
        return (
            constants.HF_HUB_DISABLE_TELEMETRY,
            constants.HF_HUB_DISABLE_XET,
            utils.logging.get_verbosity(),
            utils.are_progress_bars_disabled(),
        )

    before = settings()
    find_bundle(f"hf://{NAME}")
    hub.status = 404
    refusal()
    assert settings() == before
    assert capfd.readouterr() == ("", "")


def test_telemetry_stays_off_until_the_last_thread_is_done(hub: FakeHub) -> None:
    """As two threads do, of which the first to begin is the first to end."""
    from huggingface_hub import constants

    from textgate.bundle.hub import _hub
    from textgate.bundle.hub_name import HubName

    with ExitStack() as first, ExitStack() as second:
        first.enter_context(_hub(HubName(NAME)))
        second.enter_context(_hub(HubName(NAME)))
        first.close()
        assert constants.HF_HUB_DISABLE_TELEMETRY is True
        second.close()
    assert constants.HF_HUB_DISABLE_TELEMETRY is False


LOADED = """
import json, sys
from textgate import Classifier, TextgateError
assert "huggingface_hub" not in sys.modules
try:
    with Classifier.load(sys.argv[1]) as classifier:
        print(json.dumps([str(classifier.path), classifier.predict("A wonderful film.").label]))
except TextgateError as problem:
    sys.exit(str(problem))
"""


@pytest.fixture
def load(hub: FakeHub, tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Loads a bundle in a process with variables: ``load(name, HF_TOKEN="...")``."""

    def run(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        return subprocess.run(
            [sys.executable, "-c", LOADED, name],
            env={
                **kept,
                "HF_ENDPOINT": hub.address,
                "HF_HOME": str(tmp_path / "home"),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_the_variables_of_huggingface_hub_are_honoured(
    hub: FakeHub, files: dict[str, bytes], load: Callable[..., Any], tmp_path: Path
) -> None:
    commit = hub.add(NAME, files, private=True)
    done = load(f"hf://{NAME}", HF_TOKEN=TOKEN)
    assert (done.returncode, done.stderr) == (0, "")
    path, label = json.loads(done.stdout)
    snapshots = tmp_path / "home" / "hub" / "models--owner--reviews" / "snapshots"
    assert (Path(path), label) == (snapshots / commit, "positive")
    assert hub.agents == {f"textgate/{textgate.__version__}"}
    asked = len(hub.asked)
    assert load(f"hf://{NAME}", HF_HUB_OFFLINE="1").stdout == done.stdout
    assert len(hub.asked) == asked


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from textgate import Classifier, MissingPackageError\n"
        "try: Classifier.load('hf://owner/name')\n"
        "except MissingPackageError as problem: print(problem)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == (
        "hf://owner/name needs huggingface_hub, which the extra brings: pip install "
        "'textgate[hub]'\n"
    )
