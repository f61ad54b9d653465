"""Networks with wide random weights, their graphs, and one finished run per cell.

torch is imported late: these tests are skipped where it is missing.
"""

from __future__ import annotations

import numpy as np
import pytest

from textgate.inference.session import make_session


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


class Tools:
    """Makes networks, graphs and batches, and runs them."""

    def __init__(self, architecture):
        self._architecture = architecture

    def network(self, net=None, *, seed=0, spread=0.4, **changes):
        """An untrained network whose weights are wide enough for every path to show."""
        import torch

        from textgate.train.network.model import TextClassifier

        torch.manual_seed(seed)
        model = TextClassifier(net or self._architecture(**changes)).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * spread)
        return model

    def graph(self, model, plan, temperature=1.0):
        from textgate.export.graph.network import build_graph
        from textgate.export.quantize.weights import network_weights

        weights = network_weights(model.architecture, model.state_dict())
        return build_graph(model.architecture, weights, plan, temperature=temperature)

    def batch(self, lengths, *, vocabulary=30, seed=0):
        """Random ids of the given lengths, and the lengths; what is padding is garbage."""
        generator = np.random.default_rng(seed)
        ids = generator.integers(1, vocabulary, (len(lengths), max(lengths)))
        return ids.astype(np.int64), np.array(lengths, dtype=np.int64)

    def by_torch(self, model, ids, lengths, temperature=1.0):
        import torch

        with torch.inference_mode():
            logits = model(torch.from_numpy(ids), torch.from_numpy(lengths))
            return model.probabilities(logits, temperature).numpy()

    def by_graph(self, graph, ids, lengths):
        """Probabilities by a graph or, where it is to run often, by its session."""
        session = make_session(graph.model) if hasattr(graph, "model") else graph
        feed = {"input_ids": ids, "lengths": lengths}
        return session.run(["probabilities"], feed)[0]

    def in_chunks(self, session, states, text, cuts):
        """Probabilities [labels] of one text [tokens], fed piece by piece through the states."""
        names = ["probabilities", *(item.output for item in states)]
        state = {}
        for chunk in np.split(text, cuts):
            feed = {"input_ids": chunk[None], "lengths": np.array([len(chunk)]), **state}
            found, *values = session.run(names, feed)
            state = {item.input: value for item, value in zip(states, values, strict=True)}
        return found[0]


@pytest.fixture(scope="session")
def tools(architecture):
    return Tools(architecture)


@pytest.fixture(scope="session", params=["rnn", "lstm", "gru"])
def finished(request, separable, quick, tmp_path_factory):
    """A run that learned to tell two labels apart, for each cell."""
    from textgate.train import fit

    return fit(
        separable(240),
        tmp_path_factory.mktemp("runs") / request.param,
        dev=separable(60, seed=1),
        settings={**quick, "cell": request.param},
    )
