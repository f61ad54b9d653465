"""Fresh processes, taken apart: the stages, the memory, and processes that fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from textgate.bench import coldstart
from textgate.bench.coldstart import cold_starts
from textgate.errors import TextgateError


def test_the_stages_of_a_fresh_process(bundles):
    chosen = {name: (bundles[name], "auto") for name in ("lstm-int8", "gru-float32")}
    found = cold_starts(chosen, "a fine film, é", processes=2)
    assert list(found) == list(chosen)
    for start in found.values():
        stages = (start.interpreter_ms, start.import_ms, start.load_ms, start.first_ms)
        assert start.processes == 2
        assert min(*stages, start.next_ms) > 0
        assert start.total_ms == pytest.approx(sum(stages))  # the median of two is their mean
    if Path("/proc/self/statm").is_file():
        assert start.resident_before < start.resident_imported < start.resident_after
        assert start.resident_imported <= start.resident_loaded <= start.resident_after


def test_what_lies_beside_the_program_is_not_taken_for_a_package(bundle, tmp_path, monkeypatch):
    program = shutil.copy(coldstart._PROGRAM, tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('not numpy')", encoding="utf-8")
    monkeypatch.setattr(coldstart, "_PROGRAM", Path(program))
    assert cold_starts({"a": (bundle, "auto")}, "text", processes=1)["a"].first_ms > 0


def test_a_process_that_fails_says_why(bundle, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    (broken / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(TextgateError, match=r"a fresh process failed: .*model\.onnx"):
        cold_starts({"a": (broken, "auto")}, "text", processes=1)


def test_a_process_that_hangs_is_given_up(bundle, monkeypatch):
    monkeypatch.setattr(coldstart, "_TIMEOUT", 0.01)
    with pytest.raises(TextgateError, match=r"took more than 0\.01 s"):
        cold_starts({"a": (bundle, "auto")}, "text", processes=1)
