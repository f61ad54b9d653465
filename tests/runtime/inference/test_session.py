"""The ONNX Runtime session: made late, made again after a fork, few threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import textgate.inference.session
from textgate.errors import BundleError
from textgate.inference.session import Session, make_session


@pytest.fixture(scope="module")
def graph(bundle):
    return (bundle / "model.onnx").read_bytes()


IDS, LENGTHS = np.array([[2, 3, 4], [5, 0, 0]]), np.array([3, 1])


def session_of(graph: bytes, *, labels: int = 2, sums_to_one: bool = True) -> Session:
    return Session(graph, labels=labels, sums_to_one=sums_to_one, threads=1)


def test_probabilities_are_one_row_a_text(graph):
    result = session_of(graph).run(IDS, LENGTHS)
    assert (result.shape, result.dtype) == ((2, 2), np.float32)
    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-6)


def test_the_session_is_made_when_it_is_first_needed_and_once(graph, monkeypatch):
    made = []
    genuine = textgate.inference.session.make_session

    def counted(*args, **options):
        made.append(options)
        return genuine(*args, **options)

    monkeypatch.setattr(textgate.inference.session, "make_session", counted)
    session = session_of(graph)
    assert made == []
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        session.run(IDS, LENGTHS)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [{"threads": 1}]


def test_a_child_process_makes_its_own_and_keeps_its_parents(graph):
    """Taking down a session whose threads are gone would wait for them for ever."""
    session = session_of(graph)
    session.run(IDS, LENGTHS)
    parents = session._session
    session._lock.acquire()  # by a thread that the child does not have
    textgate.inference.session._after_fork()
    session.run(IDS, LENGTHS)
    assert session._session is not parents
    assert parents in textgate.inference.session._inherited


@pytest.mark.parametrize("optimized", [True, False])
def test_options(graph, optimized):
    options = make_session(graph, threads=3, optimized=optimized).get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert (options.graph_optimization_level.name == "ORT_DISABLE_ALL") == (not optimized)


def test_optimizing_changes_no_result(graph):
    feed = {"input_ids": IDS, "lengths": LENGTHS}
    results = [
        make_session(graph, optimized=optimized).run(["probabilities"], feed)[0]
        for optimized in (True, False)
    ]
    np.testing.assert_allclose(*results, atol=1e-6)


@pytest.mark.parametrize("graph", [b"", b"no graph", b"\x08\x08"])
def test_what_is_no_graph(graph):
    with pytest.raises(BundleError, match=r"^ONNX Runtime does not accept the graph: ") as caught:
        make_session(graph)
    assert "\n" not in str(caught.value)
