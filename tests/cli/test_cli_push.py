"""`textgate push`, and bundles of the Hub in the other commands."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.hub_server import TOKEN
from textgate.bench.measure import bundle_names
from textgate.bundle.builtin import find_bundle

NAME = "owner/reviews"
FILES = {"README.md", "config.json", "model.onnx", "textgate.json", "tokenizer.json"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTGATE_MODEL", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def own(bundle, tmp_path):
    """A bundle to change, whose card names a licence."""
    folder = shutil.copytree(bundle, tmp_path / "reviews")
    card = "---\nlibrary_name: textgate\nlicense: mit\n---\n\n# Reviews\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def content(hub, branch="main", name=NAME):
    repository = hub.repositories[name]
    return repository.commits[repository.branches[branch]]


def wrote(hub):
    """What the Hub was asked to change."""
    return [path for method, path in hub.asked if method in {"POST", "PUT"}]


def test_what_is_pushed_is_loaded(command, hub, own, token, bundle):
    (own / "secrets.txt").write_text("x", encoding="utf-8")
    done = command("push", own, NAME)
    assert (done.status, done.err) == (0, "")
    commit = hub.repositories[NAME].branches["main"]
    assert done.out == f"{hub.address}/{NAME}/commit/{commit}\n"
    pushed = content(hub)
    assert set(pushed) == {*FILES, ".gitattributes"}
    for name in FILES - {"config.json"}:
        assert pushed[name] == (own / name).read_bytes(), name
    config = json.loads(pushed["config.json"])
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["label2id"] == {"negative": 0, "positive": 1}
    assert not hub.repositories[NAME].private
    assert (
        command("classify", "-m", f"hf://{NAME}", "A wonderful film.").out
        == command("classify", "-m", bundle, "A wonderful film.").out
    )


def test_a_private_repository_and_a_branch(command, hub, own, token):
    done = command("push", own, f"hf://{NAME}", "--private", "--revision", "v1")
    assert (done.status, done.err) == (0, "")
    assert hub.repositories[NAME].private
    assert set(content(hub)) == {".gitattributes"}
    assert set(content(hub, "v1")) >= FILES
    again = command("push", own, NAME, "--private", "--revision", "v1")
    assert (again.status, again.err) == (0, "")


def test_a_pull_request(command, hub, own, token):
    hub.add(NAME, {"notes.txt": b"x"})
    done = command("push", own, NAME, "--create-pr")
    assert (done.status, done.out) == (0, f"{hub.address}/{NAME}/discussions/1\n")
    assert set(hub.pull_requests[0]) == FILES
    assert set(content(hub)) == {"notes.txt"}


def test_an_older_bundle_gets_its_labels_and_a_note(command, hub, bundle, token):
    """Its card has no metadata, and there is no config.json."""
    done = command("push", bundle, NAME)
    assert done.status == 0
    assert done.err == (
        f"textgate: note: {bundle}/README.md names no license; add one to the metadata at its "
        "beginning\n"
    )
    assert set(content(hub)) >= FILES


def test_the_labels_are_those_of_the_manifest(command, hub, own, token):
    (own / "config.json").write_text('{"id2label": {"0": "other"}}', encoding="utf-8")
    assert command("push", own, NAME).status == 0
    assert json.loads(content(hub)["config.json"])["id2label"]["0"] == "negative"


def test_a_bundle_without_a_card(command, hub, own, token):
    (own / "README.md").unlink()
    assert command("push", own, NAME).status == 0
    assert "README.md" not in content(hub)


DAMAGE = {
    "cut off": lambda folder: (folder / "model.onnx").write_bytes(b"\x08\x08"),
    "edited": lambda folder: (folder / "textgate.json").write_text(
        (folder / "textgate.json").read_text().replace("positive", "Positive")
    ),
    "incomplete": lambda folder: (folder / "tokenizer.json").unlink(),
    "gone": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_bundle_that_cannot_be_loaded_is_never_pushed(command, hub, own, token, damage):
    damage(own)
    done = command("push", own, NAME)
    assert (done.status, done.out) == (1, "")
    assert str(own) in done.message
    assert hub.asked == []


CARDS = {
    "no YAML": "---\nlicense: [mit\n---\n",
    "a list": "---\n- mit\n---\n",
    "no text": "---\nlicense: \x00\n---\n",
    "results without a dataset": "---\nlicense: mit\nmodel-index:\n- name: x\n  results:\n"
    "  - task: {type: text-classification}\n---\n",
    "results of a wrong type": "---\nmodel-index: 3\n---\n",
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_card_with_malformed_metadata(command, hub, own, token, card):
    (own / "README.md").write_text(card, encoding="utf-8")
    done = command("push", own, NAME)
    assert (done.status, done.out) == (1, "")
    assert done.message.startswith(
        f"textgate: {own / 'README.md'}: the metadata at its beginning are malformed: "
    )
    assert hub.asked == []


def test_a_card_that_the_hub_refuses(command, hub, own, token):
    hub.refused_card = '"license" must be one of [...]'
    done = command("push", own, NAME)
    assert done.message == (
        f"textgate: hf://{NAME}: {hub.address} answers with status 400: Invalid metadata in "
        'README.md. - "license" must be one of [...]'
    )
    assert set(content(hub)) == {".gitattributes"}


def test_no_token(command, hub, own):
    assert command("push", own, NAME).message == (
        f"textgate: hf://{NAME}: publishing needs a token; run hf auth login, or set HF_TOKEN"
    )
    assert hub.asked == []


def test_a_token_that_is_not_valid(command, hub, own, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    message = command("push", own, NAME).message
    assert "the token does not open it" in message
    hub.add(NAME, {})
    assert "answers with status 403: " in command("push", own, NAME).message
    assert "hf_bad" not in message


def test_what_is_public_does_not_become_private(command, hub, own, token):
    hub.add(NAME, {"notes.txt": b"x"})
    assert command("push", own, NAME, "--private").message == (
        f"textgate: hf://{NAME}: the repository exists and is public; make it private on its page, "
        "or choose another name"
    )
    assert wrote(hub) == []


def test_a_pull_request_needs_a_repository(command, hub, own, token):
    assert "has no such repository" in command("push", own, NAME, "--create-pr").message


@pytest.mark.parametrize("name", ["reviews", "a/b/c", "owner/", "owner/re views", "hf://x"])
def test_a_malformed_name(command, hub, own, token, name):
    done = command("push", own, name)
    assert done.status == 2
    assert "is not the name of a repository; it should be OWNER/NAME" in done.message
    assert hub.asked == []


def test_a_malformed_branch(command, hub, own, token):
    done = command("push", own, NAME, "--revision", "../main")
    assert done.status == 2
    assert "'../main' is not a revision" in done.message


def test_offline(command, hub, own, token, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in command("push", own, NAME).message
    assert hub.asked == []


def test_a_server_that_is_down(command, hub, own, token, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "the connection to http://127.0.0.1:9 fails: " in command("push", own, NAME).message


def test_a_run_is_not_a_bundle(command, hub, token, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    assert (
        "this is a training run; export it first" in command("push", tmp_path / "run", NAME).message
    )


# The other commands


@pytest.fixture
def published(hub, bundle):
    hub.add(NAME, {path.name: path.read_bytes() for path in bundle.iterdir()})
    return f"hf://{NAME}"


def test_the_other_commands(command, published, bundle, write_jsonl, tmp_path, monkeypatch):
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"text": "A fine film.", "label": "positive"}])
    for before, after in (
        (["evaluate", "-m"], [rows]),
        (["explain", "-m"], ["A fine film."]),
        (["classify", "-m"], ["-i", rows]),
        (["inspect"], []),
    ):
        found, expected = (command(*before, name, *after) for name in (published, bundle))
        assert (found.status, found.err) == (0, "")
        assert found.out == expected.out
    monkeypatch.setenv("TEXTGATE_MODEL", published)
    assert command("classify", "x").out == command("classify", "-m", bundle, "x").out


def test_a_measurement_names_the_repository(published, bundle):
    assert bundle_names([find_bundle(published), bundle]) == ["reviews", bundle.name]


def test_a_service(published, bundle, monkeypatch):
    pytest.importorskip("starlette", reason="pip install 'textgate[serve]'")
    from textgate.cli.serve import _named
    from textgate.serve.models import load_models

    models = load_models({"films": published})
    assert models.find("films").classifier.predict("A fine film.").label == "positive"
    assert _named((f"films={published}@v1",)) == {"films": f"{published}@v1"}
    monkeypatch.setenv("TEXTGATE_MODEL", f"{published}@v1")
    assert _named(()) == {"reviews": f"{published}@v1"}


@pytest.mark.parametrize("name", ["hf://x", "hf://a/b/c", "hf://a/b@"])
@pytest.mark.parametrize("arguments", [["classify", "x", "-m"], ["inspect"], ["bench", "-m"]])
def test_malformed_names(command, arguments, name):
    done = command(*arguments, name)
    assert done.status == 2
    assert f"textgate: '{name}': " in done.message


def test_an_unknown_bundle(command, hub):
    done = command("classify", "-m", f"hf://{NAME}", "x")
    assert (done.status, done.out) == (1, "")
    assert done.message.startswith(f"textgate: hf://{NAME}: {hub.address} has no such repository")


def test_a_bundle_of_the_hub_is_copied(command, hub, published, token):
    assert command("push", published, "other/films").status == 0
    pushed, source = content(hub, name="other/films"), content(hub)
    assert {name: pushed[name] for name in source} == source


def test_what_a_server_says_cannot_control_the_terminal(command, hub, own, token):
    hub.refused_card = "no \x1b[31m \u202e licence"
    shown = command("push", own, NAME)
    assert shown.status == 1
    assert "no \\x1b[31m \\u202e licence" in shown.message
