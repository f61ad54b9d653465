/**
 * Errors of textgate, with one root. A message names the file or the field, what was found, what was
 * expected, and what to do.
 *
 * @module
 */

/** The root of all errors that textgate throws on purpose. */
export class TextgateError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** Input is not text, or not a series of texts. */
export class DataError extends TextgateError {}

/** Options are wrong or cannot work together. */
export class ConfigError extends TextgateError {}

/** A bundle is damaged, incomplete, unsafe, or of a version that this release does not read. */
export class BundleError extends TextgateError {}

/** A file cannot be downloaded or read. */
export class DownloadError extends TextgateError {}

/** The browser lacks what the engine needs, such as WebAssembly with SIMD. */
export class UnsupportedError extends TextgateError {}

const CLASSES = { TextgateError, DataError, ConfigError, BundleError, DownloadError, UnsupportedError };

/**
 * Return an error as plain data, to post it from a worker.
 *
 * @param {unknown} error
 * @returns {{ name: string, message: string }}
 */
export function packed(error) {
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: "Error", message: String(error) };
}

/**
 * Return the error that `packed` was given, of the same class.
 *
 * @param {{ name: string, message: string }} found
 * @returns {Error}
 */
export function unpacked({ name, message }) {
  const known = Object.hasOwn(CLASSES, name) ? CLASSES[/** @type {keyof CLASSES} */ (name)] : Error;
  return new known(message);
}

/**
 * Return a value of a file, on one line and cut if it is long.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : String(value);
  if (typeof value === "object" && text.startsWith("[object ")) return "an object";
  return text.length > 70 ? `${text.slice(0, 60)}...` : text;
}
