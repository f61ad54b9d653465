"""Architecture of the logical network, which a run trains and a bundle computes.

An exported graph may add to it. This module is data and arithmetic alone, so that `textgate
inspect` needs neither torch nor ONNX Runtime.
"""

# No `from __future__ import annotations`: the decoder would have to evaluate them at start-up.

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from textgate.bundle.schema import Range, check
from textgate.errors import ConfigError

Cell = Literal["rnn", "lstm", "gru"]
Pooling = Literal["last", "max", "mean", "attention"]
Output = Literal["sigmoid", "softmax", "multi-label"]
Task = Literal["single-label", "multi-label"]

TaskSetting = Literal["auto", Task]  # of training, where auto decides by the rows

# In the order in which the native engine numbers them.
CELLS: tuple[Cell, ...] = get_args(Cell)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
GATES: dict[Cell, int] = {"rnn": 1, "lstm": 4, "gru": 3}

MAX_SIZE = 2**24  # of any dimension, so that products stay far from overflow

Size = Annotated[int, Range(1, MAX_SIZE)]
OptionalSize = Annotated[int, Range(0, MAX_SIZE)]
Vocabulary = Annotated[int, Range(2, MAX_SIZE)]  # padding and the unknown token at least
MaxTokens = Annotated[int, Range(1, 1_000_000)]  # tokens of a text that are read
Dropout = Annotated[float, Range(0, 1, below=True)]


@dataclass(frozen=True)
class Architecture:
    """A token embedding, stacked recurrent layers, pooling over time, and a dense head.

    An optional linear branch adds its logits to the head's. As in fastText (Joulin et al. 2017),
    tokens and bigrams have rows in tables. The weighted sum of a text's rows is
    normalized to unit length and projected to the logits.

    Attributes:
        vocabulary_size: rows of the embedding; ids 0 and 1 are padding and the unknown token.
        embedding_size: columns of the embedding.
        cell: ``rnn`` (tanh), ``lstm``, or ``gru`` (reset after the recurrent product).
        hidden_sizes: units of each recurrent layer, the first one first, per direction.
        bidirectional: whether every recurrent layer also reads its input backwards.
        pooling: how the last layer's states become one vector: ``last``, ``max``, ``mean``,
            ``attention``, or several of them, concatenated in the order given.
        dense_sizes: units of the hidden dense layers (ReLU) of the head.
        output: ``sigmoid`` (two labels from one unit), ``softmax`` (one label out of several), or
            ``multi-label`` (one sigmoid per label).
        label_count: how many labels there are.
        embedding_dropout: fraction of the embedded inputs dropped in training.
        layer_dropout: fraction dropped between recurrent layers in training.
        head_dropout: fraction of the pooled vector dropped in training.
        linear_size: columns of the linear branch's tables, 0 for no branch.
        linear_tokens: rows of its table of tokens; later ids have none.
        linear_buckets: rows of its table of bigrams, which are found by hashing.

    Raises:
        ConfigError: a value is of the wrong type or out of range, or values conflict.
    """

    # Files from before the linear branch lack all of these.
    LATER = frozenset({"linear_size", "linear_tokens", "linear_buckets"})

    vocabulary_size: Vocabulary
    embedding_size: Size
    cell: Cell
    hidden_sizes: tuple[Size, ...]
    bidirectional: bool
    pooling: tuple[Pooling, ...]
    dense_sizes: tuple[Size, ...]
    output: Output
    label_count: Size
    embedding_dropout: Dropout = 0.0
    layer_dropout: Dropout = 0.0
    head_dropout: Dropout = 0.0
    linear_size: OptionalSize = 0
    linear_tokens: OptionalSize = 0
    linear_buckets: OptionalSize = 0

    def __post_init__(self) -> None:
        check(self)
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
        """Units of the last dense layer: 1 for a sigmoid over two labels, else one per label."""
        return 1 if self.output == "sigmoid" else self.label_count

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """Width of what each recurrent layer reads."""
        return (self.embedding_size, *(size * self.directions for size in self.hidden_sizes[:-1]))

    @property
    def task(self) -> Task:
        """``single-label`` or ``multi-label``."""
        return "multi-label" if self.output == "multi-label" else "single-label"


@dataclass(frozen=True)
class Layer:
    """One line of the layer table.

    Attributes:
        name: the layer's name in the network.
        kind: its type, as in ``LSTM`` or ``Dense, ReLU``.
        shape: its output's shape; ``None`` is a free dimension.
        parameters: its trainable parameters, with one bias per gate (two for a GRU, whose reset
            gate acts after the recurrent product).
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int


def layers(architecture: Architecture) -> list[Layer]:
    """Return the layers of the network in order, input first."""
    return list(_layers(architecture))


def _layers(net: Architecture) -> Iterator[Layer]:
    embedded = (None, None, net.embedding_size)
    yield Layer("embedding", "Embedding", embedded, net.vocabulary_size * net.embedding_size)
    if net.embedding_dropout:
        yield Layer("embedding_dropout", "Dropout", embedded, 0)
    kind = f"Bidirectional {net.cell.upper()}" if net.bidirectional else net.cell.upper()
    for index, (inputs, hidden) in enumerate(zip(net.input_sizes, net.hidden_sizes, strict=True)):
        last = index + 1 == len(net.hidden_sizes)
        states = (None, None, hidden * net.directions)
        shape = (None, states[2]) if last and net.pooling == ("last",) else states
        parameters = net.directions * recurrent_parameters(net.cell, inputs, hidden)
        yield Layer(f"{net.cell}_{index + 1}", kind, shape, parameters)
        if net.layer_dropout and not last:
            yield Layer(f"dropout_{index + 1}", "Dropout", states, 0)
    width = net.pooled_size
    if net.pooling != ("last",):
        scores = net.state_size if "attention" in net.pooling else 0
        yield Layer("pooling", f"Pooling, {' + '.join(net.pooling)}", (None, width), scores)
    if net.head_dropout:
        yield Layer("head_dropout", "Dropout", (None, width), 0)
    for index, size in enumerate(net.dense_sizes):
        yield Layer(f"dense_{index + 1}", "Dense, ReLU", (None, size), (width + 1) * size)
        width = size
    activation = "softmax" if net.output == "softmax" else "sigmoid"
    units = net.output_units
    yield Layer("output", f"Dense, {activation}", (None, units), (width + 1) * units)
    if net.linear_size:
        parameters = (net.linear_tokens + net.linear_buckets + units) * net.linear_size
        yield Layer("linear", "Linear branch, tokens + bigrams", (None, units), parameters)


def parameter_count(architecture: Architecture) -> int:
    """Return the trainable parameters of the whole network."""
    return sum(layer.parameters for layer in layers(architecture))


def recurrent_parameters(cell: Cell, inputs: int, hidden: int) -> int:
    """Return the parameters of one recurrent layer in one direction.

    Every gate has an input matrix [hidden, inputs], a recurrent matrix [hidden, hidden] and a bias
    [hidden]. A GRU that resets after the recurrent product has a second bias per gate, inside it.
    """
    biases = 2 if cell == "gru" else 1
    return GATES[cell] * hidden * (inputs + hidden + biases)


def _problem(net: Architecture) -> str | None:
    """Return which values of the architecture conflict, or None."""
    linear = (net.linear_size, net.linear_tokens, net.linear_buckets)
    checks = [
        (bool(net.hidden_sizes), "at least one recurrent layer is needed (hidden sizes is empty)"),
        (bool(net.pooling), "at least one pooling is needed"),
        (len(set(net.pooling)) == len(net.pooling), "a pooling is named twice"),
        (
            all(linear) or not any(linear),
            "a linear branch needs a size, tokens and buckets, all above 0",
        ),
        (
            net.linear_tokens <= net.vocabulary_size,
            "a linear branch cannot have more tokens than the vocabulary",
        ),
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
