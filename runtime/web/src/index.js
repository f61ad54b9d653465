/**
 * textgate in the browser: the model, the tokenizer and the answers of the Python package.
 *
 * @module
 */

export { Classifier } from "./classifier.js";
export { ClassifierWorker, WorkerStream } from "./client.js";
export {
  BundleError,
  ConfigError,
  DataError,
  DownloadError,
  TextgateError,
  UnsupportedError,
} from "./errors.js";
export { Guarded, Stream, guard } from "./stream.js";

/** @typedef {import("./classifier.js").Facts} Facts */
/** @typedef {import("./classifier.js").Options} Options */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./explanation.js").Explanation} Explanation */
/** @typedef {import("./explanation.js").Word} Word */
/** @typedef {import("./files.js").Source} Source */
