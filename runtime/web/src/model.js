/**
 * A bundle's graph as the bytes that the engine opens; see `textgate_engine.h` for their form.
 *
 * Every node and constant is compared with what textgate exports, so that an engine runs nothing else.
 *
 * @module
 */

import { BundleError, shown } from "./errors.js";
import { ANCHORS, COMPUTED, FLOAT32, STORED, describe, expectedGraph } from "./expected.js";
import { FLOAT, INT32, INT64, INT8, UINT8 } from "./graph.js";
import { CELLS, POOLINGS } from "./manifest.js";

/** @typedef {import("./graph.js").Graph} Graph */
/** @typedef {import("./graph.js").Value} Value */
/** @typedef {import("./graph.js").Tensor} Tensor */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./expected.js").Storage} Storage */
/** @typedef {Float32Array | Int8Array | Uint8Array} Numbers */

const MAGIC = 0x31454754,
  VERSION = 1,
  ALIGNMENT = 64;
const OPSET = 18;
const GATES = { rnn: 1, lstm: 4, gru: 3 };
const MOST_OF_LSTM = 64; // of its int8 weights
const SATURATING_BIASES = [-30, 30, 30, 0]; // of the units that hold an LSTM's range
const MAX_NIBBLE = 8;
/** @type {ReadonlyMap<number, 32 | 8 | 4>} */
const EMBEDDING_BITS = new Map([
  [FLOAT, 32],
  [INT8, 8],
  [UINT8, 4],
]);

/**
 * Return the engine's form of a bundle's graph.
 *
 * @param {Graph} graph
 * @param {Manifest} manifest
 * @returns {Uint8Array}
 * @throws {BundleError} the graph is not one that textgate exports for the manifest.
 */
export function modelBytes(graph, manifest) {
  checkInterface(graph, manifest);
  return new Converter(graph, manifest).convert();
}

/**
 * @param {string} part
 * @returns {BundleError}
 */
function unknown(part) {
  return new BundleError(`a part that textgate does not export, or damaged weights: ${part}`);
}

/**
 * Refuse a graph whose versions, inputs and outputs are not those of its manifest.
 *
 * @param {Graph} graph
 * @param {Manifest} manifest
 */
function checkInterface(graph, manifest) {
  if (graph.irVersion !== manifest.ir_version) {
    throw new BundleError(`IR version ${graph.irVersion}, but the manifest says ${manifest.ir_version}`);
  }
  if (graph.opsets.get("") !== manifest.opset) {
    throw new BundleError(`operator set ${graph.opsets.get("")}, but the manifest says ${manifest.opset}`);
  }
  if (manifest.opset !== OPSET) throw unknown(`operator set ${manifest.opset}`);
  for (const domain of graph.opsets.keys()) {
    if (domain !== "" && domain !== "com.microsoft") throw unknown(`operator set ${shown(domain)}`);
  }
  for (const { domain } of graph.nodes) {
    if (!graph.opsets.has(domain))
      throw new BundleError(`operator set ${shown(domain)} is used but not listed`);
  }
  const labels = manifest.architecture.label_count;
  /** @type {Expected[]} */
  const inputs = [
    { name: "input_ids", type: INT64, shape: [-1, -1], isState: false },
    { name: "lengths", type: INT64, shape: [-1], isState: false },
  ];
  /** @type {Expected[]} */
  const outputs = ["logits", "probabilities"].map((name) => {
    return { name, type: FLOAT, shape: [-1, labels], isState: false };
  });
  for (const { input, output, shape } of manifest.state) {
    inputs.push({ name: input, type: FLOAT, shape, isState: true });
    outputs.push({ name: output, type: FLOAT, shape, isState: true });
  }
  checkValues("input", graph.inputs, inputs);
  checkValues("output", graph.outputs, outputs);
  const makers = graph.nodes.filter((node) => node.outputs.includes("probabilities"));
  if (makers.length !== 1)
    throw new BundleError(`'probabilities' comes from ${makers.length} operators, expected 1`);
}

/**
 * @typedef {object} Expected a declared input or output that the manifest promises.
 * @property {string} name
 * @property {number} type
 * @property {number[]} shape with -1 for a free dimension.
 * @property {boolean} isState whether a free dimension may be 1: a stream is one text.
 */

/**
 * @param {string} kind
 * @param {Value[]} found
 * @param {Expected[]} expected
 */
function checkValues(kind, found, expected) {
  const names = found.map(({ name }) => name),
    wanted = expected.map(({ name }) => name);
  if (names.join("\n") !== wanted.join("\n")) {
    throw new BundleError(`${kind}s ${shown(names.join(", "))}, expected ${shown(wanted.join(", "))}`);
  }
  expected.forEach(({ name, type, shape, isState }, index) => {
    const { type: given, dims } = /** @type {Value} */ (found[index]);
    const fits =
      dims.length === shape.length &&
      dims.every((size, at) => {
        const isNumber = typeof size === "number" || typeof size === "bigint";
        return shape[at] === -1 ? !isNumber || (isState && size === 1) : size === shape[at];
      });
    if (given !== type || !fits) {
      throw new BundleError(
        `${kind} '${name}' has type ${given} and shape [${dims}], expected type ${type}, [${shape}]`,
      );
    }
  });
}

/** Takes constants by name and shape, and checks those whose values are known. */
class Converter {
  /**
   * @param {Graph} graph
   * @param {Manifest} manifest
   */
  constructor(graph, manifest) {
    this.tensors = new Map(graph.constants.map((tensor) => [tensor.name, tensor]));
    this.net = manifest.architecture;
    this.directions = this.net.bidirectional ? 2 : 1;
    this.verified = manifest.training.get("native_integers") === "verified";
    this.storage = this.foundStorage();
    this.check(graph, manifest);
  }

  /** @returns {Uint8Array} */
  convert() {
    const { net, storage } = this;
    /** @type {Numbers[]} */
    const tensors = [...this.embedding()];
    net.hidden_sizes.forEach((_, index) => {
      for (let direction = 0; direction < this.directions; direction++)
        tensors.push(...this.cell(index, direction));
    });
    if (net.pooling.includes("attention")) {
      tensors.push(this.withoutAnchors(this.floats("attention.weight", this.stateWidth(), 1)));
    }
    tensors.push(...this.dense(), ...this.linear());
    const poolings = net.pooling.map((name) => POOLINGS.indexOf(name));
    // prettier-ignore
    const words = [
      MAGIC, VERSION, 0, CELLS.indexOf(net.cell), net.hidden_sizes.length, this.directions,
      net.vocabulary_size, net.embedding_size, [32, 8, 4].indexOf(storage.embeddingBits),
      poolings.length, ...[...poolings, 0, 0, 0, 0].slice(0, 4),
      net.dense_sizes.length + 1, Number(storage.output === STORED),
      Number(net.output === "multi-label"),
      ...asWords(this.floats("inverse_temperature", 1)),
      net.linear_size, net.linear_tokens, net.linear_buckets, Number(storage.integerLinear),
      ...asWords(this.bounds()),
      ...net.hidden_sizes,
      ...net.hidden_sizes.map((_, index) => Number(this.isInteger(index))),
      ...net.dense_sizes, net.label_count,
    ];
    words[2] = words.length;
    return joined([Int32Array.from(words), ...tensors]);
  }

  /**
   * Return how the constants' types say that the weights are stored.
   *
   * @returns {Storage}
   */
  foundStorage() {
    const { net } = this;
    const table = this.tensors.get("embedding.table");
    const embeddingBits = table && EMBEDDING_BITS.get(table.type);
    if (!table || !embeddingBits || table.dims.length !== 2)
      throw unknown("an embedding without a table of a known type");
    return {
      embeddingBits,
      anchoredTable: embeddingBits === 8 && table.dims[1] === net.embedding_size + ANCHORS,
      layers: net.hidden_sizes.map((_, index) => {
        const name = `${net.cell}_${index + 1}`;
        if (this.tensors.has(`${name}.W.int8`)) return STORED;
        return this.isInt8(`${name}.W`) ? COMPUTED : FLOAT32;
      }),
      output: this.tensors.has("output.weight.int8") ? STORED : FLOAT32,
      integerLinear: this.isInt8("linear.tokens"),
    };
  }

  /** @param {string} name */
  isInt8(name) {
    return this.tensors.get(name)?.type === INT8;
  }

  /**
   * Refuse a graph that is anything but what textgate exports for its manifest.
   *
   * @param {Graph} graph
   * @param {Manifest} manifest
   */
  check(graph, manifest) {
    const expected = expectedGraph(this.net, this.storage);
    const given = new Set();
    for (const node of graph.nodes) {
      if (!expected.nodes.has(describe(node)))
        throw unknown(`what computes ${shown(node.outputs.find(Boolean) ?? "")}`);
      for (const name of node.outputs.filter(Boolean)) {
        if (given.has(name) || this.tensors.has(name)) throw unknown("a value that is computed twice");
        given.add(name);
      }
    }
    for (const [name, tensor] of this.tensors) {
      const values = expected.constants.get(name);
      if (values ? !holds(tensor, values) : !expected.weights.has(name))
        throw unknown(`constant ${shown(name)}`);
    }
    const wanted = this.net.bidirectional ? [] : expected.states;
    const same =
      wanted.length === manifest.state.length &&
      wanted.every(({ input, output, shape }, index) => {
        const found = /** @type {Manifest["state"][number]} */ (manifest.state[index]);
        return found.input === input && found.output === output && String(found.shape) === String(shape);
      });
    if (!same) throw unknown("the states of a stream");
    for (const { input, shape, start, held } of expected.states) {
      if (!this.tensors.has(input)) {
        if (this.net.bidirectional) continue; // nothing reads it
        throw new BundleError(`state '${input}' needs a constant float32 to start from`);
      }
      const sizes = shape.map((size) => (size === -1 ? 1 : size));
      const width = /** @type {number} */ (sizes.at(-1)),
        [first, other] = [Math.fround(start), Math.fround(held)];
      const anchored = other !== 0 && other !== first;
      const holdsStart = this.floats(input, ...sizes).every((value, index) => {
        const column = index % width;
        if (!anchored || column < width - ANCHORS) return value === first;
        return value === (column === width - ANCHORS ? other : -other);
      });
      if (!holdsStart) throw unknown(`where '${input}' begins`);
    }
  }

  /**
   * Return the bytes of a constant that must have this type and shape.
   *
   * @param {string} name
   * @param {number} type
   * @param {...number} shape
   * @returns {Uint8Array}
   */
  take(name, type, ...shape) {
    const tensor = this.tensors.get(name);
    if (!tensor || tensor.type !== type || String(tensor.dims) !== String(shape)) {
      throw unknown(`constant '${name}' of another type or shape`);
    }
    return tensor.data;
  }

  /**
   * Return a copy of the numbers of a constant of float32 that must have this shape.
   *
   * @param {string} name
   * @param {...number} shape
   * @returns {Float32Array}
   */
  floats(name, ...shape) {
    return new Float32Array(this.take(name, FLOAT, ...shape).slice().buffer);
  }

  /**
   * Return a copy of the numbers of a constant of int8 that must have this shape.
   *
   * @param {string} name
   * @param {...number} shape
   * @returns {Int8Array}
   */
  int8(name, ...shape) {
    return new Int8Array(this.take(name, INT8, ...shape).slice().buffer);
  }

  /**
   * Return whether the engine computes a layer in integers.
   *
   * An LSTM layer that is only stored as int8 was given more precision on purpose. A GRU or RNN layer
   * has no integer operator in ONNX, so that stored is all it can be: it is computed in integers where
   * export found that this keeps the decisions.
   *
   * @param {number} layer
   */
  isInteger(layer) {
    const { layers, embeddingBits } = this.storage;
    if (this.net.cell === "lstm" || layers[layer] !== STORED) return layers[layer] === COMPUTED;
    return this.verified && (layer > 0 || embeddingBits !== 32);
  }

  /** @returns {Numbers[]} */
  embedding() {
    const { net, storage } = this;
    const rows = net.vocabulary_size,
      columns = net.embedding_size;
    if (storage.embeddingBits === 32) {
      const table = this.floats("embedding.table", rows, columns);
      if (this.isInteger(0)) this.checkBounds(table);
      return [table];
    }
    if (storage.embeddingBits === 4) {
      const width = Math.ceil(columns / 2);
      const table = this.take("embedding.table", UINT8, rows, width);
      const scale = this.floats("embedding.scale", rows, 1);
      if (this.isInteger(0) && net.cell === "lstm") this.checkNibbles(table, scale, width);
      return [table, scale];
    }
    const width = columns + (storage.anchoredTable ? ANCHORS : 0);
    const whole = this.int8("embedding.table", rows, width);
    if (storage.anchoredTable) {
      for (let end = width; end <= whole.length; end += width) {
        if (whole[end - 2] !== 127 || whole[end - 1] !== -128) throw unknown("the anchors of the embedding");
      }
    }
    const table = kept(whole, width, columns);
    if (table.includes(-128)) throw unknown("an embedding that uses -128");
    return [table];
  }

  /**
   * Refuse nibbles that, multiplied with the scale of their row, are out of bounds.
   *
   * @param {Uint8Array} table
   * @param {Float32Array} scales
   * @param {number} width bytes of a row.
   */
  checkNibbles(table, scales, width) {
    const small = this.limit() / MAX_NIBBLE;
    scales.forEach((scale, row) => {
      if (Math.abs(scale) <= small) return;
      let most = 0;
      for (const byte of table.subarray(row * width, (row + 1) * width)) {
        most = Math.max(most, Math.abs((byte & 15) - 8), Math.abs((byte >> 4) - 8));
      }
      this.checkBounds(Float32Array.of(most * Math.abs(scale)));
    });
  }

  /**
   * Refuse values that are out of the bounds of the first layer, NaN included.
   *
   * @param {Float32Array} values
   */
  checkBounds(values) {
    const limit = this.limit();
    if (!values.every((value) => Math.abs(value) <= limit)) {
      throw unknown("an embedding beyond the bounds of the first layer");
    }
  }

  limit() {
    const [low, high] = /** @type {[number, number]} */ (/** @type {unknown} */ (this.bounds()));
    return Math.min(-low, high);
  }

  /**
   * Return the least and the largest that the first layer of an int8 LSTM reads.
   *
   * @returns {Float32Array}
   */
  bounds() {
    if (this.storage.layers[0] !== COMPUTED) return Float32Array.of(0, 0);
    if (this.storage.anchoredTable) return Float32Array.of(-128, 127);
    const [high = NaN, low = NaN] = this.floats(`${this.net.cell}_1.bounds`, 1, 1, ANCHORS);
    if (!(Infinity > high && high > 0 && 0 > low && low > -Infinity))
      throw unknown("the bounds of the first layer");
    return Float32Array.of(low, high);
  }

  /** @param {number} layer */
  anchored(layer) {
    return this.storage.layers.at(layer) === COMPUTED;
  }

  /** @param {number} layer */
  units(layer) {
    return /** @type {number} */ (this.net.hidden_sizes.at(layer));
  }

  stateWidth(layer = -1) {
    return this.directions * (this.units(layer) + (this.anchored(layer) ? ANCHORS : 0));
  }

  /**
   * Return weights of a layer's states without the columns of anchors, which must be 0.
   *
   * @template {Float32Array | Int8Array} T
   * @param {T} weights
   * @param {number} [layer]
   * @returns {T}
   */
  withoutAnchors(weights, layer = -1) {
    if (!this.anchored(layer)) return weights;
    return withoutZeros(weights, this.units(layer) + ANCHORS, this.units(layer));
  }

  /**
   * Return weights [rows, width of what the layer reads] without what means nothing.
   *
   * @template {Float32Array | Int8Array} T
   * @param {number} layer
   * @param {T} weights
   * @returns {T}
   */
  inputColumns(layer, weights) {
    const columns = layer ? this.stateWidth(layer - 1) : this.net.embedding_size;
    const found = withoutZeros(weights, this.inputWidth(layer), columns);
    return layer ? this.withoutAnchors(found, layer - 1) : found;
  }

  /** @param {number} layer */
  inputWidth(layer) {
    const { net, storage } = this;
    if (layer) {
      const added = this.anchored(layer) && !this.anchored(layer - 1);
      return this.stateWidth(layer - 1) + (added ? ANCHORS : 0);
    }
    const width = net.embedding_size + (storage.embeddingBits === 4 ? net.embedding_size % 2 : 0);
    return width + (storage.anchoredTable || this.anchored(0) ? ANCHORS : 0);
  }

  /**
   * Return what a layer has in one direction, in the order of the engine.
   *
   * @param {number} layer
   * @param {number} direction
   * @returns {Numbers[]}
   */
  cell(layer, direction) {
    const { net, directions } = this;
    const name = `${net.cell}_${layer + 1}`;
    const storage = this.storage.layers[layer],
      units = this.units(layer),
      width = this.inputWidth(layer);
    if (storage === COMPUTED) return this.anchoredCell(name, direction, units, width, layer);
    const rows = GATES[net.cell] * units;
    const bias = part(this.floats(`${name}.B`, directions, 2 * rows), direction, directions);
    /** @type {(Float32Array | Int8Array)[]} */
    const weights = [];
    const scales = [];
    for (const [key, columns] of /** @type {[string, number][]} */ ([
      ["W", width],
      ["R", units],
    ])) {
      if (storage === FLOAT32) {
        weights.push(part(this.floats(`${name}.${key}`, directions, rows, columns), direction, directions));
        continue;
      }
      const values = part(this.int8(`${name}.${key}.int8`, directions, rows, columns), direction, directions);
      const dims = this.tensors.get(`${name}.${key}.scale`)?.dims;
      const shared = String(dims) === String([directions, 1, 1]);
      const found = this.floats(`${name}.${key}.scale`, directions, shared ? 1 : rows, 1);
      const scale = repeated(part(found, direction, directions), rows);
      if (this.isInteger(layer)) {
        weights.push(values);
        scales.push(scale);
      } else {
        weights.push(widened(values, scale, columns));
      }
    }
    const [input, recurrent] = /** @type {[Float32Array, Float32Array]} */ (weights);
    const tensors = [this.inputColumns(layer, input), recurrent];
    if (scales.length && tensors.some((numbers) => numbers.includes(-128)))
      throw unknown("weights that use -128");
    return [...tensors, ...scales, bias.subarray(0, rows), bias.subarray(rows)];
  }

  /**
   * @param {string} name
   * @param {number} direction
   * @param {number} units
   * @param {number} width
   * @param {number} layer
   * @returns {Numbers[]}
   */
  anchoredCell(name, direction, units, width, layer) {
    if (layer && !this.anchored(layer - 1)) {
      if (String(this.floats(`${name}.bounds`, 1, 1, ANCHORS)) !== "1,-1")
        throw unknown(`the bounds of ${name}`);
    }
    const bias = this.anchoredBias(`${name}.B`, direction, units);
    const [inputs, inputScale] = this.anchoredWeights(`${name}.W`, direction, units, width);
    const [states, stateScale] = this.anchoredWeights(`${name}.R`, direction, units, units + ANCHORS);
    return [
      this.inputColumns(layer, inputs),
      this.withoutAnchors(states, layer),
      inputScale,
      stateScale,
      bias.subarray(0, 4 * units),
      bias.subarray(4 * units),
    ];
  }

  /**
   * Return the biases of both products, [2 * 4 * units], without those of anchors.
   *
   * @param {string} name
   * @param {number} direction
   * @param {number} units
   */
  anchoredBias(name, direction, units) {
    const size = units + ANCHORS;
    const bias = part(this.floats(name, this.directions, 8 * size), direction, this.directions);
    for (let gate = 0; gate < 8; gate++) {
      const held = bias.subarray(gate * size + units, (gate + 1) * size);
      if (!held.every((value) => value === (SATURATING_BIASES[gate] ?? 0)))
        throw unknown("biases of anchors");
    }
    return kept(bias, size, units);
  }

  /**
   * Return int8 weights [4 * units, columns] and their scales, without the rows of anchors. The graph
   * has them as [columns, 4 * (units + anchors)].
   *
   * @param {string} name
   * @param {number} direction
   * @param {number} units
   * @param {number} columns
   * @returns {[Int8Array, Float32Array]}
   */
  anchoredWeights(name, direction, units, columns) {
    const { directions } = this,
      size = units + ANCHORS,
      rows = 4 * size;
    const values = part(this.int8(name, directions, columns, rows), direction, directions);
    const shared = String(this.tensors.get(`${name}.scale`)?.dims) === String([directions]);
    const shape = shared ? [directions] : [directions, rows];
    const scale = repeated(part(this.floats(`${name}.scale`, ...shape), direction, directions), rows);
    if (this.int8(`${name}.zero_point`, ...shape).some(Boolean)) throw unknown(`zero points of ${name}`);
    if (values.some((value) => value < -MOST_OF_LSTM || value > MOST_OF_LSTM)) {
      throw unknown("weights of more than 7 bits in an LSTM");
    }
    const weights = new Int8Array(4 * units * columns);
    let to = 0;
    for (let row = 0; row < rows; row++) {
      const isAnchor = row % size >= units;
      for (let from = row; from < values.length; from += rows) {
        if (!isAnchor) weights[to++] = /** @type {number} */ (values[from]);
        else if (values[from]) throw unknown("weights of anchors");
      }
    }
    return [weights, kept(scale, size, units)];
  }

  /** @returns {Numbers[]} */
  dense() {
    const { net } = this;
    /** @type {Numbers[]} */
    const tensors = [];
    let width = this.stateWidth() * net.pooling.length;
    [...net.dense_sizes, net.label_count].forEach((units, index) => {
      const last = index === net.dense_sizes.length;
      const name = last ? "output" : `dense_${index + 1}`;
      const stored = last && this.storage.output === STORED;
      const weight = stored
        ? this.int8(`${name}.weight.int8`, units, width)
        : this.floats(`${name}.weight`, units, width);
      if (stored && weight.includes(-128)) throw unknown("weights that use -128");
      tensors.push(index ? weight : this.withoutAnchors(weight));
      if (stored) tensors.push(this.floats(`${name}.weight.scale`, units, 1));
      tensors.push(this.floats(`${name}.bias`, units));
      width = units;
    });
    return tensors;
  }

  /** @returns {Numbers[]} */
  linear() {
    const {
      linear_size: size,
      linear_tokens: tokens,
      linear_buckets: bigrams,
      label_count: labels,
    } = this.net;
    if (!size) return [];
    const kind = this.storage.integerLinear ? INT8 : FLOAT;
    return [
      this.take("linear.fingerprints", UINT8, bigrams),
      this.take("linear.tokens", kind, tokens, size),
      this.take("linear.tokens_weights", UINT8, tokens),
      this.take("linear.pairs", kind, bigrams, size),
      this.take("linear.pairs_weights", UINT8, bigrams),
      this.take("linear.projection", FLOAT, 2 * size, labels),
    ];
  }
}

/**
 * Return whether a constant is a list of these numbers, whatever its type.
 *
 * @param {Tensor} tensor
 * @param {number[]} wanted
 */
function holds({ type, dims, data }, wanted) {
  if (dims.length !== 1 || dims[0] !== wanted.length) return false;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return wanted.every((value, index) => {
    if (type === FLOAT) return view.getFloat32(4 * index, true) === Math.fround(value);
    if (type === UINT8) return view.getUint8(index) === value;
    if (type === INT8) return view.getInt8(index) === value;
    if (type === INT32) return view.getInt32(4 * index, true) === value;
    return type === INT64 && view.getBigInt64(8 * index, true) === BigInt(value);
  });
}

/**
 * Return one of `count` parts of the same size.
 *
 * @template {Float32Array | Int8Array} T
 * @param {T} values
 * @param {number} index
 * @param {number} count
 * @returns {T}
 */
function part(values, index, count) {
  const size = values.length / count;
  return /** @type {T} */ (values.subarray(index * size, (index + 1) * size));
}

/**
 * Return the first columns of rows of `width`.
 *
 * @template {Float32Array | Int8Array} T
 * @param {T} values
 * @param {number} width
 * @param {number} columns
 * @returns {T}
 */
function kept(values, width, columns) {
  if (width === columns) return values;
  const rows = values.length / width,
    found = /** @type {T} */ (values.slice(0, rows * columns));
  for (let row = 0; row < rows; row++)
    found.set(values.subarray(row * width, row * width + columns), row * columns);
  return found;
}

/**
 * Return the first columns of rows of `width`; the others must be 0.
 *
 * @template {Float32Array | Int8Array} T
 * @param {T} values
 * @param {number} width
 * @param {number} columns
 * @returns {T}
 */
function withoutZeros(values, width, columns) {
  if (width === columns) return values;
  for (let begin = columns; begin < values.length; begin += width) {
    if (values.subarray(begin, begin + width - columns).some((value) => value !== 0))
      throw unknown("weights of anchors");
  }
  return kept(values, width, columns);
}

/**
 * @param {Float32Array} scale
 * @param {number} rows
 */
function repeated(scale, rows) {
  return scale.length === rows ? scale : new Float32Array(rows).fill(scale[0] ?? NaN);
}

/**
 * Return int8 [rows, columns] times the scale of each row, rounded once to float32.
 *
 * @param {Int8Array} values
 * @param {Float32Array} scales
 * @param {number} columns
 */
function widened(values, scales, columns) {
  return Float32Array.from(values, (value, index) => value * (scales[Math.floor(index / columns)] ?? NaN));
}

/**
 * Return float32 as the int32 that have the same bytes.
 *
 * @param {Float32Array} numbers
 */
function asWords(numbers) {
  return new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length);
}

/**
 * Return arrays one after the other, each at a multiple of 64 bytes.
 *
 * @param {(Numbers | Int32Array)[]} parts
 * @returns {Uint8Array}
 */
function joined(parts) {
  const aligned = (/** @type {number} */ size) => Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  let size = 0;
  for (const { byteLength } of parts) size = aligned(size) + byteLength;
  const content = new Uint8Array(size);
  size = 0;
  for (const { buffer, byteOffset, byteLength } of parts) {
    content.set(new Uint8Array(buffer, byteOffset, byteLength), aligned(size));
    size = aligned(size) + byteLength;
  }
  return content;
}
