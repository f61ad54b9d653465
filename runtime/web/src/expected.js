/**
 * The graph that textgate exports for an architecture, to compare a bundle's with.
 *
 * An engine computes what the manifest's architecture says. That is what the graph computes only if the
 * graph is one of textgate's own: every node, attribute and constant must be an expected one.
 *
 * @module
 */

/** @typedef {import("./manifest.js").Architecture} Architecture */
/** @typedef {import("./graph.js").Node} Node */

export const ANCHORS = 2;
export const FLOAT32 = "float32",
  STORED = "stored",
  COMPUTED = "computed";
const LOWEST = -1e30;

const OPERATORS = { rnn: "RNN", lstm: "LSTM", gru: "GRU" };

/**
 * @typedef {object} Storage how a bundle stores what the architecture leaves open.
 * @property {32 | 8 | 4} embeddingBits
 * @property {boolean} anchoredTable whether two more columns of an 8-bit table hold the bounds.
 * @property {string[]} layers `float32`, `stored` or `computed` of each recurrent layer.
 * @property {string} output `float32` or `stored`, of the last dense layer.
 * @property {boolean} integerLinear whether the linear branch's tables are int8.
 *
 * @typedef {object} State what a stream carries.
 * @property {string} input
 * @property {string} output
 * @property {number[]} shape
 * @property {number} start the value at a text's beginning.
 * @property {number} held what the anchors hold, and its negative.
 */

/** What a graph may hold. */
export class ExpectedGraph {
  /** @type {Set<string>} the operators, as `describe` gives them */
  nodes = new Set();
  /** @type {Set<string>} constants whose values are the network's */
  weights = new Set();
  /** @type {Map<string, number[]>} the other constants, each of one dimension, with their values */
  constants = new Map();
  /** @type {State[]} */
  states = [];

  /**
   * Add a node and return its first output.
   *
   * @param {string} operator
   * @param {string[]} inputs
   * @param {string | string[]} outputs
   * @param {Record<string, string | number | number[]>} [attributes]
   * @param {string} [domain]
   * @returns {string}
   */
  node(operator, inputs, outputs, attributes = {}, domain = "") {
    const names = typeof outputs === "string" ? [outputs] : outputs;
    this.nodes.add(
      describe({ operator, inputs, outputs: names, attributes: new Map(Object.entries(attributes)), domain }),
    );
    return /** @type {string} */ (names[0]);
  }

  /**
   * Add a constant with its values and return its name.
   *
   * @param {string} name
   * @param {...number} values
   */
  constant(name, ...values) {
    this.constants.set(name, values);
    return name;
  }

  /**
   * Add a constant that is the network's own and return its name.
   *
   * @param {string} name
   */
  weight(name) {
    this.weights.add(name);
    return name;
  }

  /**
   * Add a state and return its name.
   *
   * @param {string} name
   * @param {number[]} shape
   * @param {number} [start]
   * @param {number} [held]
   */
  state(name, shape, start = 0, held = 0) {
    this.states.push({ input: `state.${name}`, output: `next.${name}`, shape, start, held });
    return this.weight(`state.${name}`);
  }

  /**
   * Add a weight stored as int8 and return its name as a float32 value.
   *
   * @param {string} name
   */
  stored(name) {
    const wide = this.node("Cast", [this.weight(`${name}.int8`)], `${name}.wide`, { to: 1 });
    return this.node("Mul", [wide, this.weight(`${name}.scale`)], name);
  }
}

/**
 * Return everything about a node of a graph but its name, to compare it with others.
 *
 * @param {Node} node
 * @returns {string}
 */
export function describe({ domain, operator, inputs, outputs, attributes }) {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([domain, operator, inputs, outputs, sorted], (_, value) => {
    return typeof value === "bigint" ? [String(value)] : value;
  });
}

/**
 * Return what the graph of a network may hold.
 *
 * @param {Architecture} net
 * @param {Storage} storage
 * @returns {ExpectedGraph}
 */
export function expectedGraph(net, storage) {
  const graph = new ExpectedGraph();
  sharedValues(graph);
  let source = embedding(graph, storage),
    holdsAnchors = storage.anchoredTable;
  for (let index = 0; index < net.hidden_sizes.length; index++) {
    source = layer(graph, net, storage, index, source, holdsAnchors);
    holdsAnchors = storage.layers[index] === COMPUTED;
  }
  const pooled = poolings(graph, net, storage, `${net.cell}_${net.hidden_sizes.length}`);
  const vector = pooled.length === 1 ? pooled[0] : graph.node("Concat", pooled, "pooled", { axis: 1 });
  if (net.linear_size) linear(graph, net);
  head(graph, net, storage, /** @type {string} */ (vector));
  return graph;
}

/** @param {ExpectedGraph} graph */
function sharedValues(graph) {
  graph.node("Transpose", ["input_ids"], "ids_by_step", { perm: [1, 0] });
  graph.node("Cast", ["lengths"], "lengths_int32", { to: 6 });
  graph.node("Shape", ["ids_by_step"], "step_shape");
  const one = graph.constant("one", 1);
  graph.node("Shape", ["lengths"], "batch_size");
  graph.node("Concat", [one, "batch_size", one], "batch_shape", { axis: 0 });
  graph.node("Unsqueeze", ["lengths", one], "lengths_column");
  graph.node("Cast", ["lengths_column"], "lengths_float", { to: 1 });
  graph.node("Gather", ["step_shape", graph.constant("first", 0)], "steps");
  const range = [graph.constant("range_start", 0), "steps", graph.constant("range_step", 1)];
  graph.node("Range", range, "step_numbers");
  graph.node("Unsqueeze", ["step_numbers", one], "step_column");
  graph.node("Less", ["step_column", "lengths"], "inside_2d");
  graph.node("Unsqueeze", ["inside_2d", graph.constant("axis_2", 2)], "inside");
  graph.constant("axis_0", 0);
  graph.constant("axis_1", 1);
  graph.constant("anchors", ANCHORS);
  graph.constant("zero", 0);
  graph.constant("lowest", LOWEST);
}

/**
 * @param {ExpectedGraph} graph
 * @param {Storage} storage
 */
function embedding(graph, storage) {
  const table = graph.weight("embedding.table");
  if (storage.embeddingBits === 32) return graph.node("Gather", [table, "ids_by_step"], "embedded");
  if (storage.embeddingBits === 8) {
    const rows = graph.node("Gather", [table, "ids_by_step"], "embedding.rows");
    return graph.node("Cast", [rows], "embedding.wide", { to: 1 });
  }
  const scale = graph.weight("embedding.scale");
  const scales = graph.node("Gather", [scale, "ids_by_step"], "embedding.scales");
  const rows = graph.node("Gather", [table, "ids_by_step"], "embedding.packed");
  const low = graph.node("BitwiseAnd", [rows, graph.constant("embedding.mask", 15)], "embedding.low");
  const shift = graph.constant("embedding.shift", 4);
  const high = graph.node("BitShift", [rows, shift], "embedding.high", { direction: "RIGHT" });
  const both = graph.node("Concat", [low, high], "embedding.nibbles", { axis: 2 });
  const unsigned = graph.node("Cast", [both], "embedding.unsigned", { to: 1 });
  const wide = graph.node("Sub", [unsigned, graph.constant("embedding.offset", 8)], "embedding.wide");
  return graph.node("Mul", [wide, scales], "embedded");
}

/**
 * @param {ExpectedGraph} graph
 * @param {Architecture} net
 * @param {Storage} storage
 * @param {number} index
 * @param {string} source
 * @param {boolean} holdsAnchors
 */
function layer(graph, net, storage, index, source, holdsAnchors) {
  const name = `${net.cell}_${index + 1}`,
    directions = net.bidirectional ? 2 : 1;
  const anchored = storage.layers[index] === COMPUTED;
  const hidden = /** @type {number} */ (net.hidden_sizes[index]) + (anchored ? ANCHORS : 0);
  if (anchored && !holdsAnchors) {
    const shape = graph.node("Concat", ["step_shape", "anchors"], `${name}.bounds_shape`, { axis: 0 });
    const columns = graph.node("Expand", [graph.weight(`${name}.bounds`), shape], `${name}.bounds_columns`);
    source = graph.node("Concat", [source, columns], `${name}.source`, { axis: 2 });
  }
  const isLstm = net.cell === "lstm",
    carried = !net.bidirectional;
  const states = isLstm ? ["h", "c"] : ["h"];
  const initial = states.map((state) => {
    if (!anchored && !carried) return "";
    const held = !anchored ? 0 : state === "h" ? 1 : 30;
    const value = graph.state(`${name}.${state}`, [directions, -1, hidden], 0, held);
    return graph.node("Expand", [value, "batch_shape"], `${name}.initial_${state}`);
  });
  const outputs = [`${name}.Y`, ...states.map((state) => `${name}.Y_${state}`)];
  /** @type {Record<string, string | number>} */
  const attributes = { hidden_size: hidden, direction: directions === 2 ? "bidirectional" : "forward" };
  const bias = graph.weight(`${name}.B`);
  if (anchored) {
    const weights = ["W", "R"].map((key) => graph.weight(`${name}.${key}`));
    const scales = ["W", "R"].flatMap((key) => {
      return ["scale", "zero_point"].map((part) => graph.weight(`${name}.${key}.${part}`));
    });
    const operands = [source, ...weights, bias, "lengths_int32", ...initial, "", ...scales];
    graph.node("DynamicQuantizeLSTM", operands, outputs, attributes, "com.microsoft");
  } else {
    const weights = ["W", "R"].map((key) => {
      return storage.layers[index] === STORED
        ? graph.stored(`${name}.${key}`)
        : graph.weight(`${name}.${key}`);
    });
    if (net.cell === "gru") attributes["linear_before_reset"] = 1;
    graph.node(
      OPERATORS[net.cell],
      [source, ...weights, bias, "lengths_int32", ...initial],
      outputs,
      attributes,
    );
  }
  if (carried)
    states.forEach((state) => graph.node("Identity", [`${name}.Y_${state}`], `next.${name}.${state}`));
  if (directions === 1) {
    graph.node("Squeeze", [`${name}.Y_h`, "axis_0"], `${name}.last`);
    return graph.node("Squeeze", [`${name}.Y`, "axis_1"], `${name}.states`);
  }
  const last = graph.node("Transpose", [`${name}.Y_h`], `${name}.last_by_row`, { perm: [1, 0, 2] });
  graph.node("Reshape", [last, graph.constant("join_2d", 0, -1)], `${name}.last`);
  const byRow = graph.node("Transpose", [`${name}.Y`], `${name}.by_row`, { perm: [0, 2, 1, 3] });
  return graph.node("Reshape", [byRow, graph.constant("join_3d", 0, 0, -1)], `${name}.states`);
}

/**
 * @param {ExpectedGraph} graph
 * @param {Architecture} net
 * @param {Storage} storage
 * @param {string} layer
 */
function poolings(graph, net, storage, layer) {
  const states = `${layer}.states`,
    anchored = storage.layers.at(-1) === COMPUTED;
  const units = /** @type {number} */ (net.hidden_sizes.at(-1));
  const width = (net.bidirectional ? 2 : 1) * (units + (anchored ? ANCHORS : 0));
  /** @type {(operator: string, value: string, output: string) => string} */
  const reduced = (operator, value, output) =>
    graph.node(operator, [value, "axis_0"], output, { keepdims: 0 });
  /** @type {(name: string, size: number, start?: number) => string} */
  const before = (name, size, start = 0) => graph.state(`pool.${name}`, [-1, size], start, start);
  /** @type {(name: string, value: string) => string} */
  const after = (name, value) => {
    if (!net.bidirectional) graph.node("Identity", [value], `next.pool.${name}`);
    return value;
  };
  return net.pooling.map((name) => {
    if (name === "last") return `${layer}.last`;
    if (name === "max") {
      const visible = graph.node("Where", ["inside", states, "lowest"], "pool.max.visible");
      const chunk = reduced("ReduceMax", visible, "pool.max.chunk");
      return after("max", graph.node("Max", [chunk, before("max", width, LOWEST)], "pool.max"));
    }
    if (name === "mean") {
      const visible = graph.node("Where", ["inside", states, "zero"], "pool.mean.visible");
      const chunk = reduced("ReduceSum", visible, "pool.mean.chunk");
      const total = graph.node("Add", [chunk, before("sum", width)], "pool.mean.sum");
      const count = graph.node("Add", ["lengths_float", before("count", 1)], "pool.mean.count");
      after("sum", total);
      after("count", count);
      return graph.node("Div", [total, count], "pool.mean");
    }
    const raw = graph.node("MatMul", [states, graph.weight("attention.weight")], "pool.attention.raw");
    const scores = graph.node("Where", ["inside", raw, "lowest"], "pool.attention.scores");
    const chunk = reduced("ReduceMax", scores, "pool.attention.chunk_top");
    const start = before("top", 1, LOWEST);
    const top = graph.node("Max", [chunk, start], "pool.attention.top");
    const shifted = graph.node("Sub", [scores, top], "pool.attention.shifted");
    const powers = graph.node("Exp", [shifted], "pool.attention.powers");
    const fading = graph.node("Sub", [start, top], "pool.attention.fading");
    const fade = graph.node("Exp", [fading], "pool.attention.fade");
    const weighted = graph.node("Mul", [powers, states], "pool.attention.weighted");
    /** @type {(part: string, value: string, size: number) => string} */
    const summed = (part, value, size) => {
      const front = `pool.attention.${part}`;
      const added = reduced("ReduceSum", value, `${front}.chunk`);
      const faded = graph.node("Mul", [before(part, size), fade], `${front}.faded`);
      return graph.node("Add", [added, faded], front);
    };
    const normalizer = summed("normalizer", powers, 1),
      total = summed("total", weighted, width);
    after("top", top);
    after("normalizer", normalizer);
    after("total", total);
    return graph.node("Div", [total, normalizer], "pool.attention");
  });
}

/**
 * @param {ExpectedGraph} graph
 * @param {Architecture} net
 */
function linear(graph, net) {
  const carried = !net.bidirectional;
  bigrams(graph, net);
  const limit = graph.constant("linear.token_count", net.linear_tokens);
  graph.node("Less", ["ids_by_step", limit], "linear.tokens.found");
  const lastRow = graph.constant("linear.last_row_of_tokens", net.linear_tokens - 1);
  graph.node("Min", ["ids_by_step", lastRow], "linear.tokens.places");
  const rows = [],
    squares = [];
  for (const name of ["linear.tokens", "linear.pairs"]) {
    const kept = graph.node("And", [`${name}.found`, "inside_2d"], `${name}.kept`);
    const column = graph.node("Unsqueeze", [kept, "axis_2"], `${name}.kept_column`);
    const found = graph.node("Gather", [graph.weight(name), `${name}.places`], `${name}.rows`);
    const wide = graph.node("Cast", [found], `${name}.wide`, { to: 1 });
    for (const value of [found, wide]) {
      // one of them, as the table is float32 or int8
      graph.node("Where", [column, value, "zero"], `${name}.visible`);
    }
    rows.push(`${name}.visible`);
    const weights = graph.weight(`${name}_weights`);
    let weight = graph.node("Gather", [weights, `${name}.places`], `${name}_weights.rows`);
    weight = graph.node("Cast", [weight], `${name}_weights.wide`, { to: 1 });
    weight = graph.node("Where", [kept, weight, "zero"], `${name}_weights.visible`);
    squares.push(graph.node("Mul", [weight, weight], `${name}_weights.squares`));
  }
  const visible = graph.node("Concat", rows, "linear.rows", { axis: 2 });
  const chunk = graph.node("ReduceSum", [visible, "axis_0"], "linear.chunk", { keepdims: 0 });
  const sums = graph.state("linear.sum", [-1, 2 * net.linear_size]);
  const total = graph.node("Add", [chunk, sums], "linear.sum");
  const both = graph.node("Add", squares, "linear.squares");
  let added = graph.node("ReduceSum", [both, "axis_0"], "linear.squares_of_chunk", { keepdims: 0 });
  added = graph.node("Unsqueeze", [added, "one"], "linear.squares_column");
  const length = graph.node("Add", [added, graph.state("linear.squares", [-1, 1])], "linear.square_length");
  if (carried) {
    graph.node("Identity", [total], "next.linear.sum");
    graph.node("Identity", [length], "next.linear.squares");
  }
  const projected = graph.node("MatMul", [total, graph.weight("linear.projection")], "linear.projected");
  const some = graph.node("Max", [length, graph.constant("linear.least", 1)], "linear.some");
  graph.node("Div", [projected, graph.node("Sqrt", [some], "linear.root")], "linear.logits");
}

/**
 * @param {ExpectedGraph} graph
 * @param {Architecture} net
 */
function bigrams(graph, net) {
  let before = graph.state("linear.previous", [-1, 1]);
  before = graph.node("Cast", [before], "linear.previous", { to: 7 });
  const shape = graph.node("Concat", ["batch_size", "one"], "linear.batch_shape", { axis: 0 });
  before = graph.node("Expand", [before, shape], "linear.previous_column");
  before = graph.node("Transpose", [before], "linear.previous_row", { perm: [1, 0] });
  const slice = [graph.constant("slice_start", 0), graph.constant("slice_end", -1), "axis_0"];
  const others = graph.node("Slice", ["ids_by_step", ...slice], "linear.others");
  const shifted = graph.node("Concat", [before, others], "linear.before", { axis: 0 });
  const first = graph.node("Mul", [shifted, graph.constant("linear.first", 1_000_003)], "linear.a");
  const second = graph.node("Mul", ["ids_by_step", graph.constant("linear.second", 7_368_787)], "linear.b");
  const mixed = graph.node("Add", [first, second], "linear.mixed");
  if (!net.bidirectional) {
    const lastStep = graph.node("Sub", ["lengths", "one"], "linear.last_step");
    const isLast = graph.node("Equal", ["step_column", lastStep], "linear.is_last");
    const ids = graph.node(
      "Where",
      [isLast, "ids_by_step", graph.constant("zero_id", 0)],
      "linear.last_only",
    );
    let last = graph.node("ReduceSum", [ids, "axis_0"], "linear.last_row", { keepdims: 0 });
    last = graph.node("Unsqueeze", [last, "one"], "linear.last_column");
    last = graph.node("Cast", [last], "linear.last", { to: 1 });
    graph.node("Identity", [last], "next.linear.previous");
  }
  const buckets = graph.constant("linear.bucket_count", net.linear_buckets);
  const indices = graph.node("Mod", [mixed, buckets], "linear.pairs.places");
  const kinds = graph.constant("linear.fingerprint_count", 251);
  const wanted = graph.node("Mod", [mixed, kinds], "linear.pairs.fingerprints");
  const owners = graph.node("Gather", [graph.weight("linear.fingerprints"), indices], "linear.pairs.owners");
  const wide = graph.node("Cast", [owners], "linear.pairs.owners_wide", { to: 7 });
  graph.node("Equal", [wide, wanted], "linear.pairs.found");
}

/**
 * @param {ExpectedGraph} graph
 * @param {Architecture} net
 * @param {Storage} storage
 * @param {string} vector
 */
function head(graph, net, storage, vector) {
  const logits = net.linear_size ? "output.logits" : "logits";
  for (let index = 0; index <= net.dense_sizes.length; index++) {
    const last = index === net.dense_sizes.length;
    const name = last ? "output" : `dense_${index + 1}`;
    const stored = last && storage.output === STORED;
    const weight = stored ? graph.stored(`${name}.weight`) : graph.weight(`${name}.weight`);
    const operands = [vector, weight, graph.weight(`${name}.bias`)];
    vector = graph.node("Gemm", operands, last ? logits : `${name}.linear`, { transB: 1 });
    if (!last) vector = graph.node("Relu", [vector], `${name}.relu`);
  }
  if (net.linear_size) graph.node("Add", [vector, "linear.logits"], "logits");
  const scaled = graph.node("Mul", ["logits", graph.weight("inverse_temperature")], "calibrated");
  if (net.output === "multi-label") graph.node("Sigmoid", [scaled], "probabilities");
  else graph.node("Softmax", [scaled], "probabilities", { axis: 1 });
}
