"""Training and export open no socket and write only their own files."""

from __future__ import annotations

import pytest

COMMANDS = """
from textgate.cli import _status
rows, texts, encoder, folder = sys.argv[1:5]
small = ["--vocabulary-size", "600", "--embedding-size", "12", "--hidden", "8", "--vectors", "none"]
small += ["--epochs", "1"]
for arguments in (
    ["pretrain", texts, "-o", f"{folder}/pretrained", *small],
    ["teach", rows, "-o", f"{folder}/teacher", "--transformer", encoder, "--epochs", "1"],
    ["train", rows, "-o", f"{folder}/run", *small, "--teacher", f"{folder}/teacher",
     "--unlabelled", texts],
    ["export", f"{folder}/run", "-o", f"{folder}/bundle"],
    ["compare", rows, "--test", rows, "-o", f"{folder}/compared", "--preset", "seed-rnn"],
    ["fit", rows, "-o", f"{folder}/fitted", "--preset", "seed-rnn"],
    ["inspect", f"{folder}/run"],
    ["train", "--help"],
):
    sys.argv[1:] = arguments
    sys.stderr = sys.stdout  # where progress is reported
    assert _status() == 0, arguments
"""


@pytest.fixture(scope="session")
def watched(watch, encoder, separable, tmp_path_factory, write_jsonl):
    """A process that gives the commands, while the other tests run."""
    folder = tmp_path_factory.mktemp("commands")
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(60)]
    texts = folder / "texts.txt"
    texts.write_text("".join(row["text"] + "\n" for row in rows), encoding="utf-8")
    data = write_jsonl(folder / "rows.jsonl", rows)
    begun = watch(COMMANDS, data, texts, encoder, folder)
    yield begun
    begun.process.kill()
    begun.process.communicate()


def test_they_begin_first(watched):
    """`tests/conftest.py` puts the other test of them last."""
    assert watched.process.poll() in (None, 0, 77)


def test_commands_open_no_socket_and_write_only_what_they_make(watched):
    """Except for an empty folder in the temporary directory, which torch creates."""
    watched.finish(folders=["torchinductor_user"])
