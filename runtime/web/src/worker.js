/**
 * What runs in the worker: a classifier, and the streams that the page has open.
 *
 * @module
 */

import { opened } from "./classifier.js";
import { Decision } from "./decision.js";
import { packed } from "./errors.js";

/** @typedef {import("./classifier.js").Classifier} Classifier */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./decision.js").Read} Read */
/** @typedef {import("./stream.js").Stream} Stream */

/**
 * @typedef {object} Port
 * @property {(message: unknown) => void} postMessage
 * @property {(type: "message", listener: (event: { data: Call[] }) => void) => void} addEventListener
 *
 * @typedef {[call: number, method: string, ...values: any[]]} Call
 * @typedef {[call: number, result?: unknown, error?: { name: string, message: string }]} Answer
 */

/** Leaves the decision to the page's side: probabilities are copied sooner than predictions. */
class Undecided extends Decision {
  /**
   * @override
   * @param {ArrayLike<number>} row
   * @param {Read} read
   * @returns {Prediction} not yet: what `Decision.predict` takes.
   */
  predict(row, { tokens, truncated, reason }) {
    return /** @type {any} */ ([Array.from(row), tokens, truncated, reason]);
  }
}

/** @type {Classifier | null} */
let classifier = null;
/** @type {Map<number, Stream>} */
const streams = new Map();

const loaded = () => /** @type {Classifier} */ (classifier); // the page's side waits for it
const stream = (/** @type {number} */ id) => /** @type {Stream} */ (streams.get(id));

/** @type {Record<string, (...values: any[]) => unknown>} */
const METHODS = {
  load: async (source, options) => {
    classifier = await opened(source, options, Undecided);
    return classifier.describe();
  },
  predict: (text) => loaded().predict(text),
  found: (text) => loaded().found(text),
  predictions: (texts) => loaded().predictions(texts),
  stream: (id) => void streams.set(id, loaded().stream()),
  feed: (id, piece, options) => stream(id).feed(piece, options),
  copy: (id, other) => void streams.set(other, stream(id).copy()),
  forget: (id) => void streams.delete(id),
};

/**
 * @param {Call} call
 * @returns {Promise<Answer>}
 */
async function answer([call, method, ...values]) {
  try {
    return [call, await METHODS[method]?.(...values)];
  } catch (problem) {
    return [call, undefined, packed(problem)];
  }
}

/** @param {Port} port */
function listen(port) {
  // Calls that came together begin in their order, and are answered together.
  port.addEventListener("message", async ({ data }) => {
    port.postMessage(await Promise.all(data.map(answer)));
  });
  port.postMessage([[0]]); // ready
}

async function listenInNode() {
  const name = "node:worker_threads";
  const { parentPort } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  listen({
    postMessage: (message) => parentPort.postMessage(message),
    addEventListener: (_, listener) =>
      parentPort.on("message", (/** @type {Call[]} */ data) => listener({ data })),
  });
}

// Without `await` at this level, of which some bundlers make no worker.
if ("postMessage" in globalThis) listen(/** @type {Port} */ (/** @type {unknown} */ (globalThis)));
else void listenInNode();
