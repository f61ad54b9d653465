"""Benchmark of tuning: its goals and its table."""

from __future__ import annotations


def system(name, accuracy, **more):
    figures = {"macro_f1": accuracy, "seconds": 61.0, "bytes": 2_400_000, "setting": "-"}
    return {"system": name, "data": "films", "accuracy": accuracy, **figures, **more}


def entry(script, *, tuned, peer):
    names = script("tuning")
    return {
        "data": "films",
        "systems": [
            system(names.DEFAULT, 0.8, dev_accuracy=0.81),
            system(names.TUNED, tuned, dev_accuracy=0.84, expected_accuracy=0.825),
            system(names.PEER, peer),
        ],
    }


def test_goals(script):
    found = script("tuning").goals(
        [entry(script, tuned=0.82, peer=0.8), entry(script, tuned=0.7, peer=0.71)]
    )
    assert [goal.reached for goal in found] == [True, False]


def test_a_missing_peer_has_no_goal(script):
    one = entry(script, tuned=0.82, peer=0.8)
    one["systems"].pop()
    assert script("tuning").goals([one]) == []


def test_the_table(script):
    machine = {
        "processor": "a processor",
        "features": ["avx2"],
        "cpus": 2,
        "versions": {"onnxruntime": "1.0"},
    }
    result = {"machine": machine, "seconds": 60, "sets": [entry(script, tuned=0.82, peer=0.8)]}
    lines = script("pages.blocks").BLOCKS["tuning"].text(result).splitlines()
    assert lines[3] == "| films | tuned | 0.8200 | 0.8200 | 0.8400 | 0.8250 | - | 2.4 MB | 61 s |"
    assert " 60 seconds to look for settings on dev" in lines[-1]
