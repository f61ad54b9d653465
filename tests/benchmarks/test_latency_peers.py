"""The comparison with peers: its table, its arithmetic, and one run with an installed peer."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from textgate.rows import load_labelled
from textgate.train.training.presets import PRESETS

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def latency_peers(script, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS / "peers"), *sys.path])
    return script("latency_peers")


@pytest.fixture
def peers(latency_peers):
    return latency_peers.PEERS


def test_names_and_folders_are_all_different(peers):
    assert len({peer.name for peer in peers}) == len(peers)
    assert len({peer.folder for peer in peers}) == len(peers)


def test_every_package_of_a_peer_is_pinned(peers):
    pinned = set()
    for file in (BENCHMARKS / "requirements.txt", ROOT / "constraints.txt"):
        pinned |= set(re.findall(r"^([\w.-]+)==", file.read_text(encoding="utf-8"), re.MULTILINE))
    assert {package for peer in peers for package in peer.needs} <= pinned
    modules = {module for peer in peers for module in peer.modules}
    known = {"sklearn": "scikit-learn", "fasttext": "fasttext-numpy2"}
    known |= {"tensorflow": "tensorflow-cpu", "ai_edge_litert": "ai-edge-litert"}
    assert {known.get(module, module) for module in modules} <= pinned


def test_the_reference_networks_have_the_same_peers(peers):
    lstm, gru = (
        [peer.name.partition(", ")[2] for peer in peers if peer.network == f"seed-{cell}"]
        for cell in ("lstm", "gru")
    )
    assert lstm == gru
    assert "Keras predict" in lstm


@pytest.mark.parametrize(
    ("turns", "base", "expected"),
    [
        ([[2, 2], [2, 2]], [[1], [1]], (2.0, 2.0, 2.0)),
        # A turn in which both were slow says the same as the others.
        ([[2], [20], [2]], [[1], [10], [1]], (2.0, 2.0, 2.0)),
        ([[1], [3], [2]], [[1], [1], [1]], (2.0, 1.0, 3.0)),
    ],
)
def test_a_ratio_is_taken_turn_by_turn(latency_peers, turns, base, expected):
    import measures

    assert measures.ratio(turns, base) == expected


def test_turns_rotate_and_slow_peers_get_fewer_calls(latency_peers):
    asked = []

    def peer(name, nanoseconds):
        def ask(request):
            asked.append((name, request["calls"]))
            return [nanoseconds] * request["calls"]

        return ask

    asks = {"slow": peer("slow", 60_000_000), "fast": peer("fast", 1_000_000)}
    times, fixed = latency_peers.take_turns(asks, ["25"], seconds=0)
    warm, measured = asked[:2], asked[2:]
    assert warm == [("slow", latency_peers.WARM_UP), ("fast", latency_peers.WARM_UP)]
    assert [name for name, _ in measured] == ["slow", "fast", "fast", "slow", "fast", "slow"]
    assert dict(measured) == {"slow": 1, "fast": 30}
    assert [len(turn) for turn in times["25"]["fast"]] == [30] * 3
    assert len(fixed[0]) == 6


def test_gates_in_the_order_of_keras(latency_peers):
    import networks

    rows = np.array([[0.0], [1.0], [2.0]])  # torch: reset, update, new
    assert networks._keras_order(rows, "gru").ravel().tolist() == [1, 0, 2]
    assert networks._keras_order(rows, "lstm") is rows


def test_installed_bytes_count_what_is_needed_once(latency_peers):
    count = latency_peers.installed_bytes
    numpy, runtime = count(["numpy"]), count(["onnxruntime"])
    assert 1_000_000 < numpy < runtime  # which needs numpy
    assert count(["onnxruntime", "numpy"]) == runtime
    assert count(["no-such-package"]) == 0


def result(latency_peers, *, noisy=False):
    """Plausible figures."""
    calls = {"seed-lstm": 100_000, "seed-gru": 150_000, "Keras predict": 50_000_000, "fast": 20_000}
    turns = {name: [[time, time], [time, time + 1000]] for name, time in calls.items()}
    entries = []
    for name in calls:
        is_bundle = name.startswith("seed")
        times = {
            tokens: latency_peers.timed(
                turns[name], {base: turns[base] for base in ("seed-lstm", "seed-gru")}
            )
            for tokens in ("25", "100")
        }
        entries.append(
            latency_peers.asdict(
                latency_peers.Entry(name, is_bundle, "a | note", 10**8, None, 0.0, times)
            )
        )
    machine = {"processor": "a", "features": [], "cpus": 2, "versions": {"onnxruntime": "1"}}
    return {
        "machine": machine,
        "packages": {"keras": "3"},
        "noise": {"reasons": ["it hums"] if noisy else []},
        "skipped": {"absent": "openvino is not installed"},
        "entries": json.loads(json.dumps(entries)),
    }


@pytest.mark.parametrize("noisy", [True, False])
def test_the_report_names_faster_and_missing_peers(latency_peers, script, noisy):
    said = script("pages.blocks").BLOCKS["peers"].text(result(latency_peers, noisy=noisy))
    lines = said.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == [
        "| fast",
        "| **seed-lstm**",
        "| **seed-gru**",
        "| Keras predict",
    ]
    assert r"a \| note" in lines[2]
    assert "Faster than seed-lstm: at 25 tokens fast (0.2); at 100 tokens fast (0.2)." in lines
    assert "Left out: absent (openvino is not installed)." in lines
    assert ("**Measured on a noisy machine**" in said) is noisy


def test_the_picture_has_every_peer_and_ends_with_the_slowest(latency_peers, script):
    drawn = ET.fromstring(script("pages.pictures").peers(result(latency_peers)))
    space = "{http://www.w3.org/2000/svg}"
    places = [float(mark.attrib["cx"]) for mark in drawn.iter(f"{space}circle")]
    assert places == sorted(places)
    assert len(places) == 4
    height = float(drawn.attrib["viewBox"].split()[3])
    assert all(float(mark.attrib["cy"]) < height for mark in drawn.iter(f"{space}circle"))


@pytest.mark.parametrize("module", ["no_such_module", "keras"])
def test_a_peer_that_is_not_installed_is_skipped_with_a_message(latency_peers, tmp_path, module):
    if importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    peer = latency_peers.Peer("x", (), ("json", module), lambda *_: None, lambda *_: None)
    skipped = {}
    assert not latency_peers.prepared(peer, tmp_path, skipped)
    assert skipped == {"x": f"{module} is not installed"}


def test_a_peer_that_cannot_be_prepared_names_the_reason(latency_peers, tmp_path):
    """The run with the weights is missing."""
    peer = next(peer for peer in latency_peers.PEERS if peer.name == "LSTM, torch eager")
    skipped = {}
    assert not latency_peers.prepared(peer, tmp_path, skipped)
    assert skipped["LSTM, torch eager"].startswith("cannot be prepared: ")
    assert "seed-lstm.run" in skipped["LSTM, torch eager"]


@pytest.mark.filterwarnings("ignore")  # of the peer
def test_a_run_with_one_peer(latency_peers, script, monkeypatch, tmp_path):
    common = script("common")
    monkeypatch.setattr("textgate.rows.load_labelled", lambda path: load_labelled(path)[:100])
    small = PRESETS["seed-gru"].replace(hidden_sizes=(6, 4), embedding_size=4)
    monkeypatch.setitem(PRESETS, "seed-gru", small)
    for name in ("seed-lstm", "seed-gru"):
        common.reference_bundle(tmp_path / "cache", name)
    output = tmp_path / "peers.json"
    arguments = ["--cache", tmp_path / "cache", "--seconds", "0", "-o", output]
    arguments += ["--only", "LSTM, torch eager"]
    done = CliRunner().invoke(latency_peers.main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    found = json.loads(output.read_text(encoding="utf-8"))
    entries = {entry["name"]: entry for entry in found["entries"]}
    bundles = ["seed-lstm", "seed-gru", "seed-lstm, ONNX Runtime", "seed-gru, ONNX Runtime"]
    assert list(entries) == [*bundles, "LSTM, torch eager"]
    assert found["skipped"] == {}
    eager, reference = entries["LSTM, torch eager"], entries["seed-lstm"]
    assert eager["largest_difference"] < 1e-5
    assert list(eager["times"]["25"]["ratios"]) == bundles
    assert eager["installed_bytes"] > reference["installed_bytes"]
    assert reference["times"]["100"]["ratios"]["seed-lstm"] == [1, 1, 1]


def test_the_makefile_names_scripts_that_exist():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    scripts = re.findall(r"benchmarks/[\w/]+\.py", text)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)
    targets = set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
    wanted = " ".join(re.findall(r"^benchmarks: (.*)", text, re.MULTILINE)).split()
    assert {"latency-peers", "tables"} <= set(wanted) <= targets


def entry(name, *, ratio=1.0, p50=1.0, is_bundle=False, peak=100, installed=100):
    times = {"p50": p50, "ratios": {"seed-lstm": [ratio, 0.0, 9.0], "mine": [ratio, 0.0, 9.0]}}
    return {
        "name": name,
        "is_bundle": is_bundle,
        "peak_bytes": peak,
        "installed_bytes": installed,
        "times": {"25": times, "100": times},
    }


def test_goals_of_the_measured_entries(latency_peers):
    goals = latency_peers.goals
    assert goals([entry("seed-lstm", is_bundle=True)]) == []
    found = {
        goal.what: (round(goal.value, 6), goal.reached)
        for goal in goals(
            [
                entry("seed-lstm", is_bundle=True, peak=30, installed=10),
                entry("mine", is_bundle=True, p50=0.31),
                entry("LSTM, Keras predict", ratio=120.0, peak=100, installed=100),
                entry("LSTM, torch eager", ratio=1.9),
                entry("LSTM, torch.onnx.export, quantize_dynamic", ratio=1.5),
                entry("transformer 6x384 int8", ratio=13.0),
            ]
        )
    }
    assert found == {
        "LSTM, Keras predict / seed-lstm, 100 tokens": (120.0, True),
        "LSTM, torch eager / seed-lstm, 100 tokens": (1.9, False),
        "LSTM, torch.onnx.export, quantize_dynamic / seed-lstm, 100 tokens": (1.5, True),
        "LSTM, torch.onnx.export, quantize_dynamic / seed-lstm, 25 tokens": (1.5, False),
        "peak memory of seed-lstm / Keras": (0.3, False),
        "installed packages of textgate / Keras": (0.1, True),
        "mine, 25 tokens, p50 in ms": (0.31, False),
        "transformer 6x384 int8 / mine, 25 tokens": (13.0, True),
    }


def test_the_goals_name_existing_peers(peers):
    import measures

    wanted = {name for name, _, _ in measures.MIN_RATIOS} | {measures.TRANSFORMER, measures.KERAS}
    assert wanted <= {peer.name for peer in peers}
