"""`textgate classify -i FILE -o FILE`: whole lines whatever happens, and `--resume`."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAIN = "from textgate.cli import main; main()"
ROOM = 350_001  # bytes of a file
LIMITED = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM})); {MAIN}"
MANY = 10_000
SECONDS = 60  # before a test gives up on a process


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A table of a few rows, with what tables find difficult."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    texts = [
        "a fine film",
        "",
        'two\nlines and "quotes", too',
        "caf\u00e9 \U0001f600",
        "dull " * 40,
    ]
    with path.open("w", encoding="utf-8") as file:
        for number in range(23):
            row = {"id": number, "text": texts[number % len(texts)], "label": "x"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Rows that take a few seconds."""
    path = tmp_path_factory.mktemp("many") / "many.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(MANY):
            file.write(json.dumps({"id": number, "text": f"film {number} " + "good " * 30}) + "\n")
    return path


@pytest.fixture(scope="module")
def all_of_them(command, bundle, many, tmp_path_factory):
    """The results of the many rows, uninterrupted."""
    path = tmp_path_factory.mktemp("all") / "results.jsonl"
    assert command("classify", "-m", bundle, "-i", many, "-o", path).status == 0
    return path.read_bytes()


# A file instead of standard output


@pytest.mark.parametrize("result_format", ["jsonl", "csv", "tsv", "text"])
@pytest.mark.parametrize("jobs", [1, 3])
def test_the_same_as_on_standard_output(command, bundle, rows, tmp_path, result_format, jobs):
    arguments = ["classify", "-m", bundle, "-i", rows, "--format", result_format]
    shown = command(*arguments)
    path = tmp_path / "results"
    made = command(*arguments, "-o", path, "--jobs", jobs, "--batch-size", 4)
    assert (shown.status, made.status, made.out, made.err) == (0, 0, "", "")
    assert path.read_bytes() == shown.out.encode()


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("a.csv", "id,text,input.label,label,"),
        ("a.tsv", "id\ttext\tinput.label\tlabel\t"),
        ("a.jsonl", '{"id":0,"text":"a fine film","input.label":"x",'),
        ("a.ndjson", '{"id":0,'),
        ("a.txt", "positive\t"),
        ("results", '{"id":0,'),
    ],
)
def test_the_file_s_name_tells_the_format(command, bundle, rows, tmp_path, name, begins):
    assert command("classify", "-m", bundle, "-i", rows, "-o", tmp_path / name).status == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["--resume"], 2, "--resume needs --output"),
        (["--force"], 2, "--force needs --output"),
        (["-o", "a.jsonl", "--resume", "--force"], 2, "--resume continues a file, and --force"),
        (["-o", "a.jsonl.gz"], 2, "results are not compressed; leave .gz out of the name"),
        (["-o", "older.jsonl"], 1, "older.jsonl already exists; choose another path, pass --force"),
        (["-o", "rows.jsonl", "--force"], 1, "rows.jsonl: is the input; write the results to"),
        (["-o", "rows.jsonl", "--resume"], 1, "rows.jsonl: is the input"),
        (["-o", "nowhere/a.jsonl"], 1, "a.jsonl: the results cannot be written: No such file or"),
        (["-o", "."], 1, "the results cannot be written: Is a directory"),
        (["-o", ".", "--resume"], 1, "not a regular file, so --resume cannot continue it"),
        (
            ["-o", "older.jsonl", "--resume"],
            1,
            "cannot be resumed without older.jsonl.textgate-resume",
        ),
    ],
)
def test_what_is_refused(command, bundle, tmp_path, monkeypatch, arguments, status, complaint):
    monkeypatch.chdir(tmp_path)
    Path("older.jsonl").write_bytes(b"older\n")
    Path("rows.jsonl").write_bytes(b'{"text": "good"}\n')
    shown = command("classify", "-m", bundle, "-i", "rows.jsonl", *arguments)
    assert shown.status == status
    assert complaint in shown.message
    assert Path("older.jsonl").read_bytes() == b"older\n"
    assert Path("rows.jsonl").read_bytes() == b'{"text": "good"}\n'


@pytest.mark.parametrize(
    ("arguments", "redirected", "named"),
    [
        (["-o", "rows.txt", "--force"], "< rows.txt", "rows.txt"),
        (["-i", "-", "-o", "rows.txt", "--resume"], "< rows.txt", "rows.txt"),
        (["-o", "linked.txt", "--force"], "< rows.txt", "linked.txt"),
        (["-i", "rows.txt"], ">> rows.txt", "standard output"),
        (["-i", "linked.txt"], ">> rows.txt", "standard output"),
        ([], "< rows.txt >> rows.txt", "standard output"),
        (["--stream"], "< rows.txt >> rows.txt", "standard output"),
    ],
)
def test_what_is_read_is_never_written(bundle, tmp_path, arguments, redirected, named):
    rows = tmp_path / "rows.txt"
    rows.write_text("a fine film\n" * 2_000)
    (tmp_path / "linked.txt").symlink_to(rows)
    words = [sys.executable, "-c", MAIN, "classify", "-m", str(bundle), *arguments]
    line = f"ulimit -f 1000; {shlex.join(words)} {redirected}"  # for a file that grows and grows
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    complaint = f"textgate: {named}: is the input; write the results to another file\n"
    assert (ended.returncode, ended.stderr) == (1, complaint)
    assert rows.read_text() == "a fine film\n" * 2_000


def test_a_device_may_be_both(bundle):
    words = [sys.executable, "-c", MAIN, "classify", "-m", str(bundle)]
    with Path(os.devnull).open("r+b") as device:
        subprocess.run(words, stdin=device, stdout=device, check=True, timeout=SECONDS)


def test_force_replaces(command, bundle, rows, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"older\n" * 1000)
    assert command("classify", "-m", bundle, "-i", rows, "-o", path, "--force").status == 0
    assert path.read_text(encoding="utf-8").count("\n") == 23


def test_no_rows_make_an_empty_file(command, bundle, tmp_path):
    (tmp_path / "none.txt").write_bytes(b"")
    path = tmp_path / "results.txt"
    assert command("classify", "-m", bundle, "-i", tmp_path / "none.txt", "-o", path).status == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
@pytest.mark.parametrize(
    ("result_format", "header"),
    [
        ("csv", "id,text,label,score,score:negative,score:positive,truncated\n"),
        ("tsv", "id\ttext\tlabel\tscore\tscore:negative\tscore:positive\ttruncated\n"),
        ("jsonl", ""),
        ("text", ""),
    ],
)
def test_a_table_without_rows_has_results_without_rows(
    command, bundle, tmp_path, name, result_format, header
):
    if name == "a.parquet":
        pa = pytest.importorskip("pyarrow", reason="Parquet is read with pyarrow, an extra")
        from pyarrow import parquet

        none = pa.array([], pa.string())
        parquet.write_table(pa.table({"id": none, "text": none}), tmp_path / name)
    else:
        (tmp_path / name).write_text("id,text\n" if name == "a.csv" else "id\ttext\n")
    shown = command("classify", "-m", bundle, "-i", tmp_path / name, "--format", result_format)
    assert (shown.status, shown.out) == (0, header)


@pytest.mark.parametrize("jobs", [1, 3])
def test_rows_before_a_bad_one_are_in_the_file(command, bundle, tmp_path, jobs):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "good"}\n' * 700 + b"oops\n")
    path = tmp_path / "results.txt"
    shown = command(
        "classify", "-m", bundle, "-i", tmp_path / "a.jsonl", "-o", path, "--jobs", jobs
    )
    assert shown.status == 1
    assert "line 701: not valid JSON" in shown.message
    assert path.read_text(encoding="utf-8").count("\tgood\n") == 700


# Resuming


@pytest.fixture
def half(command, bundle, rows, tmp_path):
    """Leaves half the results of the rows behind, and returns the arguments that continue them."""

    def leave(*more):
        lines = rows.read_bytes().splitlines(keepends=True)
        (tmp_path / "rows.jsonl").write_bytes(b"".join([*lines[:11], b"oops\n", *lines[12:]]))
        arguments = ["classify", "-m", bundle, "-i", tmp_path / "rows.jsonl"]
        arguments += ["-o", tmp_path / "results", *more]
        assert "line 12: not valid JSON" in command(*arguments).message
        (tmp_path / "rows.jsonl").write_bytes(b"".join(lines))
        return arguments

    return leave


@pytest.mark.parametrize("more", [[], ["--top-k", "1"], ["--batch-size", "1"]])
@pytest.mark.parametrize("result_format", ["jsonl", "csv", "tsv", "text"])
def test_resumed_results_are_those_of_an_uninterrupted_run(
    command, bundle, rows, tmp_path, half, result_format, more
):
    more = ["--format", result_format, *more]
    whole = command("classify", "-m", bundle, "-i", rows, *more).out.encode()
    arguments = half(*more)
    begun = (tmp_path / "results").read_bytes()
    assert 0 < len(begun) < len(whole)
    assert whole.startswith(begun)
    for added in (b"", b'"half', begun[-20:]):
        half(*more, "--force")
        (tmp_path / "results").write_bytes(begun + added)
        shown = command(*arguments, "--resume", "--jobs", 2)
        assert (shown.status, shown.out, shown.err) == (0, "", "")
        assert (tmp_path / "results").read_bytes() == whole
        again = command(*arguments, "--resume")
        assert (again.status, (tmp_path / "results").read_bytes()) == (0, whole)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            ["--top-k", "1"],
            "begun without --top-k, not with --top-k 1; give the same settings, or pass",
        ),
        (["--format", "csv"], "begun with --format jsonl, not with --format csv"),
        (["--max-tokens", "3"], "begun without --max-tokens, not with --max-tokens 3"),
        (["--abstain-below", "0.9"], "begun without --abstain-below, not with --abstain-below 0.9"),
        (["--text-field", "label"], "begun with --text-field text, not with --text-field label"),
        (["-m", "sentiment"], "begun with the bundle with the checksum "),
        (["-i", "other.jsonl"], "holds the results of other rows than the first 11 of other.jsonl"),
        (["-i", "few.jsonl"], "holds the results of 11 rows, but few.jsonl has only 3"),
    ],
)
def test_other_rows_settings_or_models_are_refused(
    command, tmp_path, monkeypatch, half, write_jsonl, more, complaint
):
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("other.jsonl"), [{"id": n, "text": "other"} for n in range(30)])
    write_jsonl(Path("few.jsonl"), [{"id": n, "text": "other"} for n in range(3)])
    arguments = half()
    before = Path("results").read_bytes()
    shown = command(*arguments, "--resume", *more)
    assert (shown.status, Path("results").read_bytes()) == (1, before)
    assert complaint in shown.message
    assert command(*arguments, "--resume").status == 0


def test_a_missing_resume_file_is_refused(command, half, tmp_path):
    arguments = half()
    (tmp_path / "results.textgate-resume").unlink()
    shown = command(*arguments, "--resume")
    assert shown.status == 1
    assert "cannot be resumed without results.textgate-resume, which is missing" in shown.message
    assert "pass --force instead of --resume to write it again" in shown.message
    assert command(*arguments, "--force").status == 0


def test_resuming_nothing_begins(command, bundle, rows, tmp_path):
    path = tmp_path / "results.jsonl"
    assert command("classify", "-m", bundle, "-i", rows, "-o", path, "--resume").status == 0
    assert path.read_bytes().count(b"\n") == 23


# Interrupted, killed, out of room: in processes of their own


def started(*arguments, code=MAIN, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def wait_for_results(process, path):
    """Wait until there is something in the file, and the work is not yet done."""
    for _ in range(1000 * SECONDS):
        if path.exists() and path.stat().st_size:
            break
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    assert process.poll() is None, "the rows are too few to be interrupted"


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_stopped_half_way_and_resumed(
    command, bundle, many, all_of_them, tmp_path, number, status, jobs
):
    path = tmp_path / "results.jsonl"
    arguments = ["classify", "-m", bundle, "-i", many, "-o", path, "--jobs", jobs]
    with started(*arguments) as process:
        wait_for_results(process, path)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (status, b"")
    if number == signal.SIGINT:
        assert err.strip() == b"textgate: interrupted"
        assert path.read_bytes().endswith(b"\n")
    found = path.read_bytes()
    assert 0 < len(found) < len(all_of_them)
    assert all_of_them.startswith(found)
    assert command(*arguments, "--resume").status == 0
    assert path.read_bytes() == all_of_them


@pytest.mark.skipif(os.name != "posix", reason="needs limits on files")
@pytest.mark.parametrize("jobs", [1, 2])
def test_no_room_left_for_the_results(command, bundle, many, all_of_them, tmp_path, jobs):
    """As a full disk does, a limit lets a part of what is written through."""
    path = tmp_path / "results.jsonl"
    arguments = ["classify", "-m", bundle, "-i", many, "-o", path, "--jobs", jobs]
    with started(*arguments, code=LIMITED) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (1, b"")
    assert err.decode() == f"textgate: {path}: the results cannot be written: File too large\n"
    found = path.read_bytes()
    assert 0 < len(found) <= ROOM
    assert found.endswith(b"}\n")
    assert all_of_them.startswith(found)
    assert command(*arguments, "--resume").status == 0
    assert path.read_bytes() == all_of_them


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("more", [[], ["--force"]])
def test_a_device_without_room(command, bundle, more):
    shown = command("classify", "-m", bundle, "-o", "/dev/full", *more, "good")
    assert shown.status == 1
    assert (
        shown.message
        == "textgate: /dev/full: the results cannot be written: No space left on device"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_cannot_be_resumed(command, bundle):
    """Reading it would have no end."""
    shown = command("classify", "-m", bundle, "-o", "/dev/full", "--resume", "good")
    assert shown.status == 1
    assert "/dev/full: not a regular file, so --resume cannot continue it" in shown.message


def test_a_pipe_takes_results(bundle, rows, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with started("classify", "-m", bundle, "-i", rows, "-o", path, "--format", "text") as process:
        content = path.read_bytes()
        assert process.wait(SECONDS) == 0
    assert content.count(b"\n") == 23


# Standard input


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("last", [b"half a li", b"", b"\xe2\x82"])
def test_a_writer_that_stops_early(bundle, last, jobs):
    """What it wrote is answered; half a character is told."""
    arguments = ["classify", "-m", bundle, "--jobs", jobs]
    with started(*arguments, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(b"one\ntwo\n" + last, timeout=SECONDS)
    texts = [line.rpartition(b"\t")[2] for line in out.splitlines()]
    if last == b"\xe2\x82":
        assert process.returncode == 1
        assert b"line 3: byte 0xe2 is not UTF-8" in err
        assert texts == [b"one", b"two"]
    else:
        assert (process.returncode, err) == (0, b"")
        assert texts == [b"one", b"two", *filter(None, [last])]


def test_interrupted_while_it_waits(bundle):
    with started("classify", "-m", bundle, "--jobs", 2, stdin=subprocess.PIPE) as process:
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\tone\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert process.stderr.read().strip() == b"textgate: interrupted"


def test_the_name_of_a_file_cannot_control_the_terminal(command, bundle, tmp_path):
    path = tmp_path / "a\x1b[31m.csv"
    assert "a\\x1b[31m.csv: cannot be read" in command("evaluate", "-m", bundle, path).message
    path.write_text("text,label\na great film,positive\nb\n", encoding="utf-8")
    shown = command("evaluate", "-m", bundle, path, "--skip-bad-rows")
    assert "\x1b" not in shown.err + shown.out
