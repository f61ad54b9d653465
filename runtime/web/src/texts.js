/**
 * Checks of the texts that callers give to a classifier.
 *
 * @module
 */

import { DataError, shown } from "./errors.js";

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string}
 */
export function checkedText(value, name) {
  if (typeof value === "string") return value;
  const advice =
    typeof value === "object" && value !== null && Symbol.iterator in value
      ? "; predictMany takes several"
      : "";
  throw new DataError(`${name} should be a string, found ${shown(value)}${advice}`);
}

/**
 * Return whether a value is a series of texts, or throw.
 *
 * @param {unknown} texts
 * @returns {AsyncIterable<unknown>}
 */
export function seriesOf(texts) {
  if (typeof texts === "string") {
    throw new DataError("predictMany takes a list of texts, not one text; put it in a list, or use predict");
  }
  const isSeries =
    typeof texts === "object" &&
    texts !== null &&
    (Symbol.iterator in texts || Symbol.asyncIterator in texts);
  if (!isSeries) throw new DataError(`predictMany takes a list of texts, not ${shown(texts)}`);
  return /** @type {AsyncIterable<unknown>} */ (texts);
}

/**
 * Yield lists of texts; the last one may be shorter. If a text cannot be read, those before it are yielded
 * before the error is thrown.
 *
 * @param {AsyncIterable<unknown>} texts
 * @param {number} size
 * @returns {AsyncGenerator<string[], void, undefined>}
 */
export async function* windows(texts, size) {
  /** @type {string[]} */
  let window = [];
  let count = 0,
    failure = null;
  try {
    for await (const text of texts) {
      window.push(checkedText(text, `texts[${count++}]`));
      if (window.length === size) {
        yield window;
        window = [];
      }
    }
  } catch (problem) {
    failure = problem;
  }
  if (window.length) yield window;
  if (failure) throw failure;
}
