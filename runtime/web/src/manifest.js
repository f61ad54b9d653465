/**
 * Manifest of a bundle, `textgate.json`, checked field by field.
 *
 * @module
 */

import { BundleError, UnsupportedError } from "./errors.js";
import { canonical, parseJson } from "./json.js";
import {
  field,
  flag,
  list,
  mismatch,
  named,
  objectOf,
  oneOf,
  optional,
  pattern,
  real,
  record,
  text,
  whole,
} from "./schema.js";

export const MANIFEST = "textgate.json";
export const GRAPH = "model.onnx";
export const TOKENIZER = "tokenizer.json";
export const MAX_MANIFEST_BYTES = 2 ** 20;

const FORMAT = "textgate-bundle";
const VERSION = 1;
const MAX_DEPTH = 16; // of objects and lists inside one another
const MAX_FILE_BYTES = new Map([
  [GRAPH, 256 * 2 ** 20],
  [TOKENIZER, 64 * 2 ** 20],
  ["README.md", 4 * 2 ** 20],
]);

export const CELLS = /** @type {const} */ (["rnn", "lstm", "gru"]); // in the order of the engine's numbers
export const POOLINGS = /** @type {const} */ (["last", "max", "mean", "attention"]);
const OUTPUTS = /** @type {const} */ (["sigmoid", "softmax", "multi-label"]);
const PRECISIONS = /** @type {const} */ (["int8", "float32"]);

const MAX_SIZE = 2 ** 24; // of any dimension
const LATER = ["linear_size", "linear_tokens", "linear_buckets"];
const size = whole(1, MAX_SIZE);
const orNone = whole(0, MAX_SIZE);
const dropout = real((value) => value >= 0 && value < 1, " from 0 to below 1");
const fraction = real((value) => value >= 0 && value <= 1, " from 0 to 1");
const fact = real(() => true, "");

const ARCHITECTURE = record(
  {
    vocabulary_size: whole(2, MAX_SIZE),
    embedding_size: size,
    cell: oneOf(CELLS),
    hidden_sizes: list(size),
    bidirectional: flag,
    pooling: list(oneOf(POOLINGS)),
    dense_sizes: list(size),
    output: oneOf(OUTPUTS),
    label_count: size,
    embedding_dropout: dropout,
    layer_dropout: dropout,
    head_dropout: dropout,
    linear_size: orNone,
    linear_tokens: orNone,
    linear_buckets: orNone,
  },
  LATER,
);

const QUALITY = record({ accuracy: fraction, macro_f1: fraction, ece: fraction, rows: whole(1) });

const FIELDS = record({
  architecture: ARCHITECTURE,
  labels: list(text),
  max_tokens: whole(1, 1_000_000),
  temperature: real((value) => value > 0 && value <= 1000, " above 0 and up to 1000"),
  thresholds: list(optional(fraction)),
  precision: oneOf(PRECISIONS),
  opset: whole(1),
  ir_version: whole(1),
  state: list(record({ input: text, output: text, shape: list(whole(-1, MAX_SIZE)) })),
  quality: named(QUALITY, ["float32", "exported"]),
  operators: list(
    record({
      name: text,
      kind: text,
      stored: text,
      computed: oneOf(PRECISIONS),
      bytes_before: whole(0),
      bytes_after: whole(0),
    }),
  ),
  latency_ms: named(real((value) => value >= 0, " from 0")),
  training: named((value, name, where) => (typeof value === "string" ? value : fact(value, name, where))),
  versions: named(text),
  files: named(record({ sha256: pattern(/^[0-9a-f]{64}$/, "of 64 hexadecimal digits"), size: whole(0) }), [
    ...MAX_FILE_BYTES.keys(),
  ]),
});

/** @typedef {ReturnType<typeof ARCHITECTURE>} Architecture */
/** @typedef {ReturnType<typeof FIELDS> & { checksum: string }} Manifest */

/**
 * Return the manifest in a file, after checking every field of it.
 *
 * @param {Uint8Array} content
 * @param {string} where how messages name the file.
 * @returns {Promise<Manifest>}
 * @throws {BundleError} it is not a manifest, is damaged, or is of a version that this release does not
 *     read.
 */
export async function readManifest(content, where) {
  if (content.length > MAX_MANIFEST_BYTES) {
    throw new BundleError(
      `${where}: larger than the ${MAX_MANIFEST_BYTES} bytes that are read of such a file`,
    );
  }
  const document = objectOf(parsed(content, MAX_DEPTH, where), where);
  const format = text(field(document, "format", where), "format", where);
  if (format !== FORMAT) throw mismatch(where, "format", FORMAT, format);
  const version = whole(0)(field(document, "format_version", where), "format_version", where);
  if (version !== VERSION) {
    const remedy = version > VERSION ? "upgrade textgate" : "export the run again";
    throw new BundleError(
      `${where}: format version ${version}, but this release reads version ${VERSION}; ${remedy}`,
    );
  }
  const checksum = pattern(/^[0-9a-f]{64}$/, "of 64 hexadecimal digits")(
    field(document, "checksum", where),
    "checksum",
    where,
  );
  const rest = new Map(document);
  rest.delete("checksum");
  if (checksum !== (await sha256(new TextEncoder().encode(canonical(rest))))) {
    throw new BundleError(`${where}: damaged or edited: it does not match its own checksum`);
  }
  const task = text(field(document, "task", where), "task", where);
  for (const name of ["format", "format_version", "task"]) rest.delete(name);
  const found = FIELDS(rest, "", where);
  const net = found.architecture;
  for (const name of LATER) /** @type {any} */ (net)[name] ??= 0;
  const problem = conflict(net);
  if (problem) throw new BundleError(`${where}: architecture: ${problem}`);
  const expected = net.output === "multi-label" ? "multi-label" : "single-label";
  if (task !== expected) throw mismatch(where, "task", expected, task);
  checkConsistency(found, where);
  return { ...found, checksum };
}

/**
 * Return a document in JSON.
 *
 * @param {Uint8Array} content
 * @param {number} depth
 * @param {string} where
 * @returns {import("./json.js").Json}
 */
export function parsed(content, depth, where) {
  try {
    return parseJson(content, depth);
  } catch (problem) {
    if (!(problem instanceof SyntaxError)) throw problem;
    throw new BundleError(`${where}: not valid JSON in UTF-8: ${problem.message}`);
  }
}

/**
 * Return the SHA-256 of bytes, in hexadecimal digits.
 *
 * @param {Uint8Array} content
 * @returns {Promise<string>}
 */
export async function sha256(content) {
  const digest = await (await subtle()).digest("SHA-256", /** @type {BufferSource} */ (content));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @returns {Promise<SubtleCrypto>} */
async function subtle() {
  if (globalThis.crypto?.subtle) return globalThis.crypto.subtle;
  if (globalThis.process?.versions?.node) {
    // before version 19, it is not a global variable
    const name = "node:crypto";
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)).webcrypto.subtle;
  }
  throw new UnsupportedError(
    "checksums need SubtleCrypto, which browsers give to pages from https:// and localhost alone",
  );
}

/**
 * Return which values of an architecture conflict.
 *
 * @param {Architecture} net
 * @returns {string | undefined}
 */
function conflict(net) {
  const linear = [net.linear_size, net.linear_tokens, net.linear_buckets];
  /** @type {[boolean, string][]} */
  const checks = [
    [net.hidden_sizes.length > 0, "at least one recurrent layer is needed (hidden sizes is empty)"],
    [net.pooling.length > 0, "at least one pooling is needed"],
    [new Set(net.pooling).size === net.pooling.length, "a pooling is named twice"],
    [
      linear.every(Boolean) || !linear.some(Boolean),
      "a linear branch needs a size, tokens and buckets, all above 0",
    ],
    [net.linear_tokens <= net.vocabulary_size, "a linear branch cannot have more tokens than the vocabulary"],
    [
      net.output === "multi-label" || net.label_count >= 2,
      `a single-label network needs two labels or more, not ${net.label_count}`,
    ],
    [
      net.output !== "sigmoid" || net.label_count === 2,
      `one sigmoid unit tells two labels apart, not ${net.label_count}; use softmax`,
    ],
  ];
  return checks.find(([holds]) => !holds)?.[1];
}

/**
 * Refuse fields that conflict with one another, and files beyond the limits.
 *
 * @param {ReturnType<typeof FIELDS>} manifest
 * @param {string} where
 */
function checkConsistency(manifest, where) {
  const count = manifest.architecture.label_count;
  if (manifest.labels.length !== count || !areNames(manifest.labels)) {
    throw mismatch(where, "labels", `a list of ${count} different, non-empty strings`, manifest.labels);
  }
  if (manifest.thresholds.length !== count) {
    throw mismatch(
      where,
      "thresholds",
      `a list of ${count} numbers from 0 to 1, or nulls`,
      manifest.thresholds,
    );
  }
  for (const { shape } of manifest.state) {
    if (shape.filter((one) => one === -1).length !== 1 || shape.includes(0)) {
      throw mismatch(where, "shape", "a list of sizes, one of them -1 for the batch", shape);
    }
  }
  for (const side of /** @type {const} */ (["input", "output"])) {
    if (!areNames(manifest.state.map((state) => state[side]))) {
      throw mismatch(where, "state", "a list of states with different, non-empty names", manifest.state);
    }
  }
  for (const [name, limit] of MAX_FILE_BYTES) {
    const entry = manifest.files.get(name);
    if (!entry) throw new BundleError(`${where}: files: field '${name}' is missing`);
    if (entry.size > limit) {
      throw mismatch(`${where}: files: ${name}`, "size", `a whole number from 0 to ${limit}`, entry.size);
    }
  }
}

/**
 * @param {readonly string[]} texts
 * @returns {boolean}
 */
function areNames(texts) {
  return new Set(texts).size === texts.length && !texts.includes("");
}
