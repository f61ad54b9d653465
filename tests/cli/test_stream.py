"""`textgate classify --stream`: decisions on a text while it is still being written."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from textgate.cli.stream import arriving_pieces, classify_pieces
from textgate.errors import ConfigError, DataError
from textgate.inference.classifier import Classifier
from textgate.inference.prediction import Decision

TEXT = "the worst movie i have seen , but a great , funny and moving film , i love it . " * 2
SECONDS = 30  # before a test gives up on a process


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


def pieces_of(text):
    return [f"{word} ".encode() for word in text.split()]


class Script:
    """Stands in for a classifier: one row of probabilities a piece, whatever it says."""

    def __init__(self, rows, *, multi_label=False, thresholds=(None, None, None)):
        self.manifest = SimpleNamespace(task="multi-label" if multi_label else "single-label")
        self.labels = ("bad", "good", "o\tdd")
        self.decision = Decision(("bad", "good", "o\tdd"), thresholds, multi_label)
        self.rows = list(rows)
        self.fed = []

    def stream(self):
        return self

    def feed(self, text):
        self.fed.append(text)
        return self._prediction()

    def finish(self):
        return self._prediction()

    def _prediction(self):
        read = len(self.fed)
        return self.decision.predict(self.rows[read - 1], tokens=read, truncated=False)


BAD, GOOD, ODD, BETTER = [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.05, 0.9, 0.05]
BOTH = [0.8, 0.9, 0.1]

# (rows, thresholds, several labels, stop at), then label and tokens of every line
SCRIPTS = [
    (([BAD], None, False, None), [("bad", 1), ("bad", 1)]),
    (([BAD, BAD, BAD], None, False, None), [("bad", 1), ("bad", 3)]),
    (
        ([BAD, GOOD, GOOD, BAD], None, False, None),
        [("bad", 1), ("good", 2), ("bad", 4), ("bad", 4)],
    ),
    (
        ([BAD, GOOD, BAD], (None, 0.8, None), False, None),
        [("bad", 1), ("", 2), ("bad", 3), ("bad", 3)],
    ),
    (([BAD, GOOD, BETTER, BAD], None, False, 0.9), [("bad", 1), ("good", 2), ("good", 3)]),
    (([BETTER, BAD], None, False, 0.9), [("good", 1)]),
    (([BAD, GOOD], None, False, 0.95), [("bad", 1), ("good", 2), ("good", 2)]),
    (([GOOD, BETTER, BETTER], (None, 0.95, None), False, 0.9), [("", 1), ("", 3)]),
    (
        ([BAD, BOTH, GOOD], None, True, None),
        [(["bad"], 1), (["good", "bad"], 2), (["good"], 3), (["good"], 3)],
    ),
    (([BOTH, [0.9, 0.8, 0.1]], None, True, None), [(["good", "bad"], 1), (["bad", "good"], 2)]),
    (([[0.1] * 3, BOTH], None, True, 0.9), [([], 1), (["good", "bad"], 2)]),
    (([BOTH, BOTH], (None, 0.95, None), True, 0.85), [(["bad"], 1), (["bad"], 2)]),
]


@pytest.mark.parametrize(("script", "lines"), SCRIPTS)
def test_when_a_line_is_printed(capsys, script, lines):
    rows, thresholds, several, stop_at = script
    scripted = Script(rows, multi_label=several, thresholds=thresholds or (None,) * 3)
    classify_pieces(scripted, [b"x"] * len(rows), as_json=True, stop_at=stop_at)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["label"], line["tokens"]) for line in found] == lines
    assert [line["final"] for line in found] == [False] * (len(found) - 1) + [True]


def test_stopping_leaves_the_rest_unread():
    unread = iter([b"a", b"b", b"c"])
    classify_pieces(Script([BAD, BETTER]), unread, stop_at=0.9)
    assert list(unread) == [b"c"]


@pytest.mark.parametrize(
    ("row", "several", "line"),
    [
        (GOOD, False, "good\t0.7000\t1"),
        (ODD, False, "o dd\t0.7000\t1"),
        (BOTH, True, "good|bad\t0.9000\t1"),
        ([0.1] * 3, True, "\t0.1000\t1"),
    ],
)
def test_text_lines(capsys, row, several, line):
    classify_pieces(Script([row], multi_label=several), [b"x"])
    assert capsys.readouterr().out == f"{line}\n{line}\n"


def test_labels_that_could_not_be_told_apart(capsys):
    def stream(**options):
        scripted = Script([BOTH], multi_label=True)
        scripted.labels = ("bad", "a|b", "o\tdd")
        classify_pieces(scripted, [b"x"], **options)

    with pytest.raises(ConfigError, match=r"the label 'a\|b' holds '\|', which separates"):
        stream()
    assert capsys.readouterr().out == ""
    stream(as_json=True)
    stream(label_separator=";")
    assert capsys.readouterr().out.splitlines()[-1].startswith("good;bad\t")


def test_json_lines(capsys):
    classify_pieces(Script([[0.12345678, 0.8, 0.0765]]), [b"x"], as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "label": "good",
        "score": 0.8,
        "scores": {"bad": 0.123457, "good": 0.8, "o\tdd": 0.0765},
        "tokens": 1,
        "truncated": False,
        "final": True,
    }


@pytest.mark.parametrize(
    ("pieces", "fed"),
    [
        ([b"caf\xc3", b"\xa9"], ["caf", "\u00e9"]),
        ([b"\xef", b"\xbb\xbf", b"good"], ["good"]),  # a byte order mark
        ([b"\xef\xbb\xbfgood"], ["good"]),
        ([b"good\xff"], ["good\ufffd"]),
        ([b"good \xe2\x80"], ["good ", "\ufffd"]),
    ],
)
def test_what_is_fed(pieces, fed):
    script = Script([GOOD] * 4)
    classify_pieces(script, pieces)
    assert script.fed == fed


def test_nothing_is_decided_before_there_is_text(capsys):
    classify_pieces(Script([BETTER, BETTER, BAD, BAD]), [b"\n", b" ", b"a", b"\n"], stop_at=0.9)
    assert capsys.readouterr().out == "bad\t0.6000\t3\nbad\t0.6000\t4\n"


def test_no_text(classifier, capsys):
    classify_pieces(classifier, [])
    empty = classifier.predict("")
    assert capsys.readouterr().out == f"\t{empty.score:.4f}\t1\n"


def test_no_label_before_a_known_token(classifier, capsys):
    pieces = [b" ", b"qzx ", b"\xf0\x9f\x91\x8d ", b"good ", b"qzx"]
    classify_pieces(classifier, pieces, as_json=True, stop_at=1e-6)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    label = classifier.predict("qzx \U0001f44d good").label
    assert [(line["label"], line.get("reason")) for line in lines] == [
        ("", "no known token was read"),
        (label, None),
    ]
    assert [line["tokens"] for line in lines] == [1, 3]


def test_the_last_line_is_what_predict_says(classifier, capsys):
    classify_pieces(classifier, pieces_of(TEXT), as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    whole = classifier.predict(TEXT)
    assert lines[-1]["scores"] == pytest.approx(whole.scores, abs=1e-5)
    assert (lines[-1]["label"], lines[-1]["tokens"]) == (whole.label, whole.tokens)


def test_a_text_that_goes_on_behind_what_is_read(classifier, capsys):
    """Every piece is taken, so that the writer can finish, and the answer says so."""
    pieces = iter(pieces_of(TEXT * 10))
    classify_pieces(classifier, pieces, as_json=True)
    assert list(pieces) == []
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    whole = classifier.predict(TEXT * 10)
    assert (last["tokens"], last["truncated"]) == (whole.tokens, True)
    assert last["scores"] == pytest.approx(whole.scores, abs=1e-5)


class Stuck(io.StringIO):
    """A standard output that takes nothing."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


def test_output_that_cannot_be_written(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stuck(errno.ENOSPC))
    with pytest.raises(DataError, match="the results cannot be written: No space left"):
        classify_pieces(Script([GOOD]), [b"x"])
    monkeypatch.setattr(sys, "stdout", Stuck(errno.EPIPE))
    with pytest.raises(BrokenPipeError):
        classify_pieces(Script([GOOD]), [b"x"])


def test_a_network_that_cannot_stream(bundles):
    with pytest.raises(ConfigError, match="cannot stream"):
        classify_pieces(Classifier.load(bundles["rnn-multi-label"]), [b"x"])


# Standard input


def test_pieces_come_as_they_arrive(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)  # waiting for more than has come fails instead
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        pieces = arriving_pieces()
        for piece in (b"a", b"b\nc", b"\xff"):
            os.write(writing, piece)
            assert next(pieces) == piece
        os.close(writing)
        assert list(pieces) == []


def test_standard_input_that_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input: cannot be read: it is closed"):
        next(arriving_pieces())
    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: folder))
    with pytest.raises(DataError, match="standard input: cannot be read: Is a directory"):
        next(arriving_pieces())
    os.close(folder)


def test_only_the_given_labels_stop(capsys):
    rows = [BAD, BETTER, GOOD, [0.95, 0.04, 0.01], BAD]
    classify_pieces(Script(rows), [b"x"] * 5, as_json=True, stop_at=0.9, stop_labels=["bad"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["label"], line["tokens"]) for line in found] == [
        ("bad", 1),
        ("good", 2),
        ("bad", 4),
    ]


def test_a_label_to_stop_at_that_the_model_does_not_have():
    with pytest.raises(ConfigError, match="'bed' is not a label"):
        classify_pieces(Script([BAD]), [b"x"], stop_at=0.9, stop_labels=["bed"])


# The command


REFUSED = [
    (["--stream", "a text"], "reads standard input"),
    (["--stream", "-i", "rows.txt"], "reads standard input"),
    (["--stream", "-i", "-", "a text"], "reads standard input"),
    (["--stream", "--format", "csv"], "text or jsonl, not csv"),
    (["--stream", "--format", "tsv"], "text or jsonl, not tsv"),
    (["--stream", "--text-field", "text"], "--text-field is for rows"),
    (["--stream", "--top-k", "1"], "--top-k is for rows"),
    (["--stop-at", "0.9"], "--stop-at needs --stream"),
    (["--stop-at", "0.9", "a text"], "--stop-at needs --stream"),
    (["--stream", "--stop-at", "0"], "above 0 and up to 1"),
    (["--stream", "--stop-at", "1.5"], "above 0 and up to 1"),
    (["--stream", "--stop-at", "nan"], "above 0 and up to 1"),
    (
        ["--stream", "--stop-at", "95"],
        "above 0 and up to 1, not 95, which looks like a percentage: write 0.95",
    ),
    (["--stream", "--stop-at", "much"], "not a valid float"),
    (["--stream", "--stop-label", "good"], "--stop-label needs --stop-at"),
]


@pytest.mark.parametrize(("arguments", "complaint"), REFUSED)
def test_wrong_usage(command, bundle, arguments, complaint):
    outcome = command("classify", "-m", bundle, *arguments, stdin=b"good")
    assert outcome.status == 2
    assert complaint in outcome.message
    assert outcome.out == ""


def test_a_bundle_that_cannot_stream_is_wrong_usage(command, bundles):
    outcome = command("classify", "-m", bundles["rnn-multi-label"], "--stream", stdin=b"good")
    assert outcome.status == 2
    assert "--one-directional" in outcome.message


class Process:
    """`textgate classify --stream` in a process of its own."""

    def __init__(self, bundle, *arguments, stdin=subprocess.PIPE):
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from textgate.cli import main; main()"),
                *("classify", "--stream", "-m", str(bundle), *arguments),
            ],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def write(self, text):
        self.process.stdin.write(text.encode())

    def line(self):
        """Wait for what is printed next, at most for a while."""
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        assert ready, "nothing was printed"
        return self.process.stdout.readline().decode()

    def end(self):
        """Wait for the end, with standard input left open, and return status, out and err."""
        status = self.process.wait(SECONDS)
        return status, self.process.stdout.read().decode(), self.process.stderr.read().decode()


def line_of(prediction):
    return f"{prediction.label}\t{prediction.score:.4f}\t{prediction.tokens}\n"


def test_decisions_appear_before_the_writer_closes(bundle, classifier):
    """Word by word, each of them answered, where the decision changes, before the next."""
    with Process(bundle) as process:
        sofar, decided = "", None
        changes = 0
        for word in TEXT.split():
            sofar += f"{word} "
            process.write(f"{word} ")
            expected = classifier.predict(sofar)
            if expected.label != decided:
                decided = expected.label
                assert process.line() == line_of(expected)
                changes += 1
        assert changes > 1
        process.process.stdin.close()
        assert process.end() == (0, line_of(classifier.predict(sofar)), "")


def test_stop_at_ends_before_the_writer_closes(bundle, classifier):
    sure = max(classifier.predict(TEXT).score - 0.01, 0.5)
    with Process(bundle, "--stop-at", str(sure), "--format", "jsonl") as process:
        process.write(TEXT)
        status, out, err = process.end()
    assert (status, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["final"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["score"] >= sure


def test_a_label_that_does_not_stop_lets_the_text_through(bundle, classifier):
    sure = classifier.predict(TEXT)
    arguments = ("--stop-at", str(sure.score / 2), "--stop-label")
    other = next(label for label in classifier.labels if label != sure.label)
    with Process(bundle, *arguments, other) as process:
        process.write(TEXT)
        process.process.stdin.close()
        status, out, _ = process.end()
    assert (status, out.splitlines()[-1] + "\n") == (0, line_of(sure))
    with Process(bundle, *arguments, other, "--stop-label", sure.label) as process:
        process.write(TEXT)
        assert process.end()[0] == 0


def test_interrupted(bundle):
    with Process(bundle) as process:
        process.write("good ")
        assert process.line().endswith("\n")
        process.process.send_signal(signal.SIGINT)
        status, out, err = process.end()
    assert (status, out, err.strip()) == (130, "", "textgate: interrupted")


def test_nobody_reads_the_results_any_more(bundle):
    with Process(bundle) as process:
        process.write("good ")
        process.line()
        process.process.stdout.close()
        process.process.stdin.close()
        assert process.process.wait(SECONDS) == 1
        assert process.process.stderr.read() == b""


def test_a_terminal(bundle, classifier):
    master, slave = pty.openpty()
    with Process(bundle, stdin=slave) as process:
        os.close(slave)
        os.write(master, b"good movie\n")
        assert process.line() == line_of(classifier.predict("good movie\n"))
        os.write(master, b"\x04")  # Ctrl-D
        assert process.end() == (0, line_of(classifier.predict("good movie\n")), "")
    os.close(master)
