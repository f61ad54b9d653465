"""The logical network: what a run trains and a bundle computes, whatever the graph adds to it.

Pure data and arithmetic, so that `textgate inspect` needs neither torch nor ONNX Runtime.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from textgate.bundle.schema import FieldReader
from textgate.errors import ConfigError, TextgateError

CELLS = ("rnn", "lstm", "gru")
POOLINGS = ("last", "max", "mean", "attention")
OUTPUTS = ("sigmoid", "softmax", "multi-label")

_LIMIT = 2**24  # bounds every size, so that products stay far from overflow
_CELL_TITLES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
_GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Architecture:
    """A token embedding, stacked recurrent layers, pooling over time, and a dense head.

    Beside them there may be a linear branch, whose logits are added to the head's: as in fastText
    (Joulin et al. 2017), tokens and pairs of neighbours have rows in tables, and the sum of a
    text's rows, weighted by what they tell and brought to unit length, is projected to the logits.

    Attributes:
        vocabulary_size: rows of the embedding; ids 0 and 1 are padding and the unknown word.
        embedding_size: columns of the embedding.
        cell: ``rnn`` (tanh), ``lstm``, or ``gru`` (reset after the recurrent product).
        hidden_sizes: units of each recurrent layer, the first one first, per direction.
        bidirectional: whether every recurrent layer also reads its input backwards.
        pooling: how the last layer's states become one vector: ``last``, ``max``, ``mean``,
            ``attention``, or several of them, concatenated in the order given.
        dense_sizes: units of the hidden dense layers (ReLU) of the head.
        output: ``sigmoid`` (two labels from one unit), ``softmax`` (one label out of several), or
            ``multi-label`` (a sigmoid a label).
        label_count: how many labels there are.
        embedding_dropout: share of the embedded inputs dropped in training.
        layer_dropout: share dropped between recurrent layers in training.
        head_dropout: share of the pooled vector dropped in training.
        linear_size: columns of the linear branch's tables, 0 for no branch.
        linear_tokens: rows of its table of tokens; later ids have none.
        linear_buckets: rows of its table of pairs, which are found by hashing.

    Raises:
        ConfigError: sizes, names or combinations that cannot work.
    """

    vocabulary_size: int
    embedding_size: int
    cell: str
    hidden_sizes: tuple[int, ...]
    bidirectional: bool
    pooling: tuple[str, ...]
    dense_sizes: tuple[int, ...]
    output: str
    label_count: int
    embedding_dropout: float = 0.0
    layer_dropout: float = 0.0
    head_dropout: float = 0.0
    linear_size: int = 0
    linear_tokens: int = 0
    linear_buckets: int = 0

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ConfigError(problem)

    @property
    def directions(self) -> int:
        """1, or 2 for a bidirectional network."""
        return 2 if self.bidirectional else 1

    @property
    def state_size(self) -> int:
        """Width of the last recurrent layer's output, both directions together."""
        return self.hidden_sizes[-1] * self.directions

    @property
    def pooled_size(self) -> int:
        """Width of the vector that the head reads."""
        return self.state_size * len(self.pooling)

    @property
    def output_units(self) -> int:
        """Units of the last dense layer: 1 for a sigmoid over two labels, else one a label."""
        return 1 if self.output == "sigmoid" else self.label_count

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """Width of what each recurrent layer reads."""
        return (self.embedding_size, *(size * self.directions for size in self.hidden_sizes[:-1]))

    @property
    def task(self) -> str:
        """``single-label`` or ``multi-label``."""
        return "multi-label" if self.output == "multi-label" else "single-label"

    def to_json(self) -> dict[str, Any]:
        """Return the architecture as JSON-ready values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, fields: FieldReader, *, error: type[TextgateError]) -> Architecture:
        """Return the architecture that `to_json` wrote.

        Raises:
            TextgateError: of class `error`, if a field is missing, mistyped or out of range.
        """
        # Runs and bundles from before the linear branch do not say that they have none.
        branch = dict.fromkeys(("linear_size", "linear_tokens", "linear_buckets"), 0)
        if "linear_size" in fields.names():
            branch = {name: fields.integer(name) for name in branch}
        values = {
            "vocabulary_size": fields.integer("vocabulary_size"),
            "embedding_size": fields.integer("embedding_size"),
            "cell": fields.text("cell"),
            "hidden_sizes": fields.integers("hidden_sizes"),
            "bidirectional": fields.boolean("bidirectional"),
            "pooling": fields.texts("pooling"),
            "dense_sizes": fields.integers("dense_sizes"),
            "output": fields.text("output"),
            "label_count": fields.integer("label_count"),
            "embedding_dropout": fields.number("embedding_dropout"),
            "layer_dropout": fields.number("layer_dropout"),
            "head_dropout": fields.number("head_dropout"),
            **branch,
        }
        fields.finish()
        try:
            return cls(**values)  # type: ignore[arg-type]
        except ConfigError as problem:
            raise error(f"architecture: {problem}") from None


@dataclass(frozen=True)
class Layer:
    """One line of the layer table.

    Attributes:
        name: the layer's name in the network.
        kind: its type, as in ``LSTM`` or ``Dense, ReLU``.
        shape: its output's shape, ``None`` standing for a free dimension.
        parameters: its trainable parameters, with one bias a gate (two for a GRU, whose reset gate
            acts after the recurrent product).
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int


def layers(architecture: Architecture) -> list[Layer]:
    """Return the layers of the network in order, input first."""
    net = architecture
    rows = [
        Layer(
            "embedding",
            "Embedding",
            (None, None, net.embedding_size),
            net.vocabulary_size * net.embedding_size,
        )
    ]
    if net.embedding_dropout:
        rows.append(Layer("embedding_dropout", "Dropout", (None, None, net.embedding_size), 0))
    for index, (inputs, hidden) in enumerate(zip(net.input_sizes, net.hidden_sizes, strict=True)):
        last = index + 1 == len(net.hidden_sizes)
        width = hidden * net.directions
        only_last_state = last and net.pooling == ("last",)
        title = _CELL_TITLES[net.cell]
        rows.append(
            Layer(
                f"{net.cell}_{index + 1}",
                f"Bidirectional {title}" if net.bidirectional else title,
                (None, width) if only_last_state else (None, None, width),
                net.directions * recurrent_parameters(net.cell, inputs, hidden),
            )
        )
        if net.layer_dropout and not last:
            rows.append(Layer(f"dropout_{index + 1}", "Dropout", (None, None, width), 0))
    if net.pooling != ("last",):
        scores = net.state_size if "attention" in net.pooling else 0
        rows.append(
            Layer("pooling", f"Pooling, {' + '.join(net.pooling)}", (None, net.pooled_size), scores)
        )
    if net.head_dropout:
        rows.append(Layer("head_dropout", "Dropout", (None, net.pooled_size), 0))
    width = net.pooled_size
    for index, size in enumerate(net.dense_sizes):
        rows.append(Layer(f"dense_{index + 1}", "Dense, ReLU", (None, size), (width + 1) * size))
        width = size
    activation = "softmax" if net.output == "softmax" else "sigmoid"
    units = net.output_units
    rows.append(Layer("output", f"Dense, {activation}", (None, units), (width + 1) * units))
    if net.linear_size:
        tables = (net.linear_tokens + net.linear_buckets) * net.linear_size
        rows.append(
            Layer(
                "linear",
                "Linear branch, tokens + pairs",
                (None, units),
                tables + net.linear_size * units,
            )
        )
    return rows


def parameter_count(architecture: Architecture) -> int:
    """Return the trainable parameters of the whole network."""
    return sum(layer.parameters for layer in layers(architecture))


def recurrent_parameters(cell: str, inputs: int, hidden: int) -> int:
    """Return the parameters of one recurrent layer in one direction.

    Every gate has an input matrix [hidden, inputs], a recurrent matrix [hidden, hidden] and a bias
    [hidden]. A GRU that resets after the recurrent product has a second bias a gate, inside it.
    """
    biases = 2 if cell == "gru" else 1
    return _GATES[cell] * hidden * (inputs + hidden + biases)


def _problem(net: Architecture) -> str | None:
    """Return what is wrong with the architecture, or None."""
    sizes = (net.vocabulary_size, net.embedding_size, *net.hidden_sizes, *net.dense_sizes)
    linear = (net.linear_size, net.linear_tokens, net.linear_buckets)
    dropouts = (net.embedding_dropout, net.layer_dropout, net.head_dropout)
    checks = [
        (net.cell in CELLS, f"cell {net.cell!r} is not one of {', '.join(CELLS)}"),
        (net.output in OUTPUTS, f"output {net.output!r} is not one of {', '.join(OUTPUTS)}"),
        (bool(net.hidden_sizes), "at least one recurrent layer is needed (hidden sizes is empty)"),
        (bool(net.pooling), "at least one pooling is needed"),
        (
            all(name in POOLINGS for name in net.pooling),
            f"pooling {'+'.join(net.pooling)!r} is not made of {', '.join(POOLINGS)}",
        ),
        (len(set(net.pooling)) == len(net.pooling), "a pooling is named twice"),
        (
            all(1 <= size <= _LIMIT for size in sizes),
            f"vocabulary, embedding, hidden and dense sizes must be from 1 to {_LIMIT}",
        ),
        (
            net.vocabulary_size >= 2,
            "the vocabulary must hold at least padding and the unknown word",
        ),
        (
            all(0 <= size <= _LIMIT for size in linear),
            f"the linear branch's sizes must be from 0 to {_LIMIT}",
        ),
        (
            all(linear) or not any(linear),
            "a linear branch needs a size, tokens and buckets, all above 0",
        ),
        (
            net.linear_tokens <= net.vocabulary_size,
            "a linear branch cannot have more tokens than the vocabulary",
        ),
        (all(0 <= share < 1 for share in dropouts), "dropout must be at least 0 and below 1"),
        (1 <= net.label_count <= _LIMIT, "there must be at least one label"),
        (
            net.output == "multi-label" or net.label_count >= 2,
            f"a single-label network needs two labels or more, not {net.label_count}",
        ),
        (
            net.output != "sigmoid" or net.label_count == 2,
            f"one sigmoid unit tells two labels apart, not {net.label_count}; use softmax",
        ),
    ]
    return next((message for holds, message in checks if not holds), None)
