/**
 * Reader of ONNX graphs: from bytes to plain data, or a refusal if they are unsafe.
 *
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Weights are neither read nor
 * copied, only their lengths are checked.
 *
 * @module
 */

import { BundleError, shown } from "./errors.js";
import { Budget, Message } from "./protobuf.js";

const MAX_NODES = 4096;
const MAX_RANK = 8;
const MAX_ELEMENTS = 2 ** 28; // of a dimension, and of a tensor

export const FLOAT = 1,
  UINT8 = 2,
  INT8 = 3,
  INT32 = 6,
  INT64 = 7; // ONNX's numbers of types
// Element type -> bytes per element.
const WIDTHS = new Map([
  [FLOAT, 4],
  [UINT8, 1],
  [INT8, 1],
  [INT32, 4],
  [INT64, 8],
  [9, 1],
  [10, 2],
  [11, 8],
]);
const TYPED_FIELDS = [4, 5, 7, 10, 11]; // where elements may lie outside raw_data
const INTEGER = 2,
  STRING = 3,
  TENSOR = 4,
  INTEGERS = 7;
// Attribute type -> the field that holds its value: float, int, string, tensor, and lists of them.
const ATTRIBUTE_FIELDS = new Map([
  [1, 2],
  [INTEGER, 3],
  [STRING, 4],
  [TENSOR, 5],
  [6, 7],
  [INTEGERS, 8],
  [8, 9],
]);
/** @type {[number, string][]} */
const FORBIDDEN_VALUES = [
  [6, "a subgraph"],
  [10, "several tensors"],
  [11, "subgraphs"],
  [14, "a type"],
  [15, "types"],
  [21, "a reference to a function's attribute"],
  [22, "a sparse tensor"],
  [23, "sparse tensors"],
];

/**
 * @typedef {null | string | number | bigint | (number | bigint)[]} Attribute null stands for a value of
 *     another kind.
 *
 * @typedef {object} Node one operator.
 * @property {string} operator
 * @property {string} domain its operator set; empty for ONNX itself.
 * @property {string[]} inputs the values it reads, an empty name for an optional one left out.
 * @property {string[]} outputs the values it computes.
 * @property {Map<string, Attribute>} attributes
 *
 * @typedef {object} Tensor a constant.
 * @property {string} name
 * @property {number[]} dims its shape; empty for a scalar.
 * @property {number} type ONNX's number for the type of its elements.
 * @property {Uint8Array} data its elements.
 *
 * @typedef {object} Value a declared input or output.
 * @property {string} name
 * @property {number} type
 * @property {(number | bigint | string | null)[]} dims sizes, names of free dimensions, or null.
 *
 * @typedef {object} Graph
 * @property {number} irVersion the version of the ONNX format.
 * @property {Map<string, number>} opsets the version of each operator set, by domain.
 * @property {Node[]} nodes in order.
 * @property {Tensor[]} constants
 * @property {Value[]} inputs overridable constants among them.
 * @property {Value[]} outputs
 */

/**
 * Return the content of an ONNX model, after checking every part that could do harm.
 *
 * @param {Uint8Array} content
 * @returns {Graph}
 * @throws {BundleError} the bytes are malformed; or the model has external data, subgraphs, functions,
 *     sparse or string tensors, or a tensor whose shape does not match its data.
 */
export function readGraph(content) {
  const model = new Message(content, "model", new Budget());
  refuse(model, [
    [20, "training information"],
    [25, "local functions"],
  ]);
  const graph = model.message(7, "graph");
  const irVersion = model.integer(1);
  if (!graph || irVersion === null) {
    throw new BundleError("model: not an ONNX model: no graph or no format version");
  }
  refuse(graph, [[15, "sparse initializers"]]);
  const opsets = new Map();
  for (const opset of model.messages(8, "operator set")) {
    const domain = opset.text(1),
      version = opset.integer(2);
    if (opsets.has(domain) || version === null) {
      throw new BundleError(`${opset.where}: domain ${shown(domain)} twice or without a version`);
    }
    opsets.set(domain, Number(version));
  }
  const nodes = graph.messages(1, "node");
  if (nodes.length > MAX_NODES) {
    throw new BundleError(`${graph.where}: ${nodes.length} nodes; at most ${MAX_NODES} are read`);
  }
  for (const value of graph.messages(13, "value")) valueInfo(value);
  const found = {
    irVersion: Number(irVersion),
    opsets,
    nodes: nodes.map(node),
    constants: graph.messages(5, "initializer").map(tensor),
    inputs: graph.messages(11, "input").map(valueInfo),
    outputs: graph.messages(12, "output").map(valueInfo),
  };
  checkNames("initializer", found.constants);
  checkNames("input", found.inputs);
  checkNames("output", found.outputs);
  return found;
}

/**
 * @param {Message} message
 * @returns {Node}
 */
function node(message) {
  const items = message.messages(5, "attribute").map(attribute);
  const attributes = new Map(items);
  if (attributes.size !== items.length)
    throw new BundleError(`${message.where}: an attribute is given twice`);
  const operator = message.text(4);
  if (message.text(8)) throw new BundleError(`${message.where}: operator ${shown(operator)} is overloaded`);
  message.text(3); // its name is read by nothing, but must be text
  return {
    operator,
    domain: message.text(7),
    inputs: message.texts(1),
    outputs: message.texts(2),
    attributes,
  };
}

/**
 * @param {Message} message
 * @returns {[string, Attribute]}
 */
function attribute(message) {
  const name = message.text(1);
  refuse(message, FORBIDDEN_VALUES);
  const kind = message.integer(20);
  const field = ATTRIBUTE_FIELDS.get(Number(kind));
  if (
    field === undefined ||
    [...ATTRIBUTE_FIELDS.values()].some((one) => one !== field && message.has(one))
  ) {
    throw new BundleError(
      `${message.where}: attribute ${shown(name)} has a value of another type than it says`,
    );
  }
  const held = message.message(5, "tensor");
  if (held) tensor(held);
  else if (kind === TENSOR || name === "value") {
    throw new BundleError(`${message.where}: attribute ${shown(name)} should be a tensor`);
  }
  if (kind === INTEGER) return [name, message.integer(field)];
  if (kind === STRING) return [name, message.text(field)];
  return [name, kind === INTEGERS ? message.integers(field) : null];
}

/**
 * @param {Message} message
 * @returns {Tensor}
 */
function tensor(message) {
  refuse(message, [
    [3, "segments"],
    [6, "strings"],
    [13, "external data"],
  ]);
  const name = message.text(8);
  const where = `${message.where} (${shown(name)})`;
  if (message.integer(14)) throw new BundleError(`${where}: external data, which a bundle must not have`);
  const type = Number(message.integer(2));
  const width = WIDTHS.get(type);
  if (width === undefined) {
    throw new BundleError(`${where}: element type ${type} is not one that textgate exports`);
  }
  const dims = message.integers(1).map(Number);
  const elements = elementCount(dims, where);
  const data = message.payload(9);
  if (message.has(...TYPED_FIELDS) || (!data && elements)) {
    throw new BundleError(`${where}: data that is not in raw_data, as textgate exports it`);
  }
  const bytes = data?.length ?? 0;
  if (bytes !== elements * width) {
    throw new BundleError(
      `${where}: shape [${dims}] needs ${elements * width} bytes of data, found ${bytes}`,
    );
  }
  return { name, dims, type, data: data ?? new Uint8Array() };
}

/**
 * @param {number[]} dims
 * @param {string} where
 */
function elementCount(dims, where) {
  const count = dims.reduce((product, size) => product * size, 1);
  const inside = dims.length <= MAX_RANK && dims.every((size) => size >= 0 && size <= MAX_ELEMENTS);
  if (!inside || count > MAX_ELEMENTS) {
    throw new BundleError(`${where}: shape [${dims}] has a size or rank out of bounds`);
  }
  return count;
}

/**
 * @param {Message} message
 * @returns {Value}
 */
function valueInfo(message) {
  const name = message.text(1);
  const kind = message.message(2, "type");
  const held = kind?.message(1, "tensor");
  if (!kind || !held || kind.has(4, 5, 7, 8, 9)) {
    throw new BundleError(`${message.where}: ${shown(name)} is not declared as a tensor`);
  }
  const shape = held.message(2, "shape");
  const dims = (shape?.messages(1, "dimension") ?? []).map((size) => {
    if (size.has(1) && size.has(2)) throw new BundleError(`${size.where}: both a size and a name`);
    return size.has(1) ? size.integer(1) : size.text(2) || null;
  });
  return { name, type: Number(held.integer(1) ?? 0), dims };
}

/**
 * @param {string} kind
 * @param {{ name: string }[]} items
 */
function checkNames(kind, items) {
  const seen = new Set([""]);
  for (const { name } of items) {
    if (seen.has(name)) throw new BundleError(`model: graph: ${kind} ${shown(name)} has no name of its own`);
    seen.add(name);
  }
}

/**
 * Refuse a message in which a forbidden field occurs, even if it is empty.
 *
 * @param {Message} message
 * @param {[number, string][]} forbidden
 */
function refuse(message, forbidden) {
  for (const [number, name] of forbidden) {
    if (message.has(number)) throw new BundleError(`${message.where}: ${name}, which a bundle must not have`);
  }
}
