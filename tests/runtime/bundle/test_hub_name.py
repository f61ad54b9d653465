"""Names of bundles on the Hub: what they stand for, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from textgate import Classifier, ConfigError
from textgate.bundle.builtin import find_bundle
from textgate.bundle.hub_name import HubName, folder_name, is_hub_name, parse_hub_name


@pytest.mark.parametrize(
    ("name", "repository", "revision"),
    [
        ("hf://owner/name", "owner/name", None),
        ("hf://Owner-1/na.me_2@v1.0", "Owner-1/na.me_2", "v1.0"),
        ("hf://o/n@refs/pr/1", "o/n", "refs/pr/1"),
        ("hf://o/n@" + "0a" * 20, "o/n", "0a" * 20),
    ],
)
def test_a_name(name: str, repository: str, revision: str | None) -> None:
    assert is_hub_name(name)
    found = parse_hub_name(name)
    assert found == HubName(repository, revision)
    assert str(found) == name


@pytest.mark.parametrize(
    "name",
    [
        "hf://",
        "hf://x",
        "hf://x/",
        "hf:///x",
        "hf://a/b/c",
        "hf://a/b@",
        "hf://a/b@/etc",
        "hf://a/b@../../x",
        "hf://a/b@x/../y",
        "hf://a/b@x/.y",
        "hf://a/b@x y",
        "hf://a/b@x@y",
        "hf://a/b@x\n",
        "hf://../b",
        "hf://a/..",
        "hf://a/b--c",
        "hf://a/b.git",
        "hf://a/-b",
        "hf://a/b c",
        "hf://a/b?c",
        "hf://\u00e4/b",
        "hf://a/" + "b" * 97,
    ],
)
def test_malformed_names(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Classifier.load(name)
    told = str(caught.value)
    assert "\n" not in told
    assert told.endswith("is hf://OWNER/NAME or hf://OWNER/NAME@REVISION")


def test_a_path_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_hub_name(Path("hf://owner/name"))
    with pytest.raises(ConfigError, match="hf:/owner/name: a Path cannot name a bundle of the Hub"):
        find_bundle(Path("hf://owner/name"))
    (tmp_path / "hf:" / "owner" / "name").mkdir(parents=True)
    assert find_bundle(Path("hf://owner/name")) == Path("hf:/owner/name")


def test_the_short_name_of_a_folder(tmp_path: Path) -> None:
    assert folder_name(tmp_path / "x" / ".." / "reviews") == "reviews"
    assert folder_name(tmp_path / "models--owner--my-name" / "snapshots" / "0a") == "my-name"
    assert folder_name(tmp_path / "models--owner--my-name" / "others" / "0a") == "0a"
