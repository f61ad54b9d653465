/**
 * What runs in the worker: a classifier, and the streams that the page has open.
 *
 * @module
 */

import { Classifier } from "./classifier.js";
import { packed } from "./errors.js";

/** @typedef {import("./stream.js").Stream} Stream */

/**
 * @typedef {object} Port
 * @property {(message: unknown) => void} postMessage
 * @property {(type: "message", listener: (event: { data: Call }) => void) => void} addEventListener
 *
 * @typedef {{ call: number, method: string, values: any[] }} Call
 */

/** @type {Classifier | null} */
let classifier = null;
/** @type {Map<number, Stream>} */
const streams = new Map();

const loaded = () => /** @type {Classifier} */ (classifier); // the page's side waits for it
const stream = (/** @type {number} */ id) => /** @type {Stream} */ (streams.get(id));

/** @type {Record<string, (...values: any[]) => unknown>} */
const METHODS = {
  load: async (source, options) => {
    classifier = await Classifier.load(source, options);
    return classifier.describe();
  },
  predict: (text, options) => loaded().predict(text, options),
  predictions: (texts, options) => loaded().predictions(texts, options),
  stream: (id) => void streams.set(id, loaded().stream()),
  feed: (id, piece, options) => stream(id).feed(piece, options),
  copy: (id, other) => void streams.set(other, stream(id).copy()),
  forget: (id) => void streams.delete(id),
};

/** @param {Port} port */
function listen(port) {
  port.addEventListener("message", async ({ data: { call, method, values } }) => {
    try {
      port.postMessage({ call, result: await METHODS[method]?.(...values) });
    } catch (problem) {
      port.postMessage({ call, error: packed(problem) });
    }
  });
  port.postMessage({ call: 0 }); // ready
}

async function listenInNode() {
  const name = "node:worker_threads";
  const { parentPort } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  listen({
    postMessage: (message) => parentPort.postMessage(message),
    addEventListener: (_, listener) =>
      parentPort.on("message", (/** @type {Call} */ data) => listener({ data })),
  });
}

// Without `await` at this level, of which some bundlers make no worker.
if ("postMessage" in globalThis) listen(/** @type {Port} */ (/** @type {unknown} */ (globalThis)));
else void listenInNode();
