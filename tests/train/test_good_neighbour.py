"""Training and export open no socket and write only their own files."""

from __future__ import annotations

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


def test_commands_open_no_socket_and_write_only_what_they_make(
    watch, encoder, separable, tmp_path, write_jsonl
):
    """Except for an empty folder in the temporary directory, which torch creates."""
    rows = [{"text": row.text, "label": row.labels[0]} for row in separable(60)]
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(row["text"] + "\n" for row in rows), encoding="utf-8")
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    watch(COMMANDS, data, texts, encoder, tmp_path).finish(folders=["torchinductor_user"])
