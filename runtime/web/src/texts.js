/**
 * Checks of the texts and the options that callers give to a classifier.
 *
 * @module
 */

import { ConfigError, DataError, shown } from "./errors.js";

/** Cutting the characters first bounds the time and memory of a text. */
export const CHARACTERS_PER_TOKEN = 64;

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
 * @param {unknown} texts
 * @returns {string[]}
 */
export function checkedTexts(texts) {
  if (!Array.isArray(texts))
    throw new DataError(`predictions takes an array of texts, found ${shown(texts)}`);
  return texts.map((text, index) => checkedText(text, `texts[${index}]`));
}

/**
 * Refuse options that there are not, which would be without effect.
 *
 * @template {object} Options
 * @param {Options} options
 * @param {...(keyof Options & string)} names
 * @returns {Options}
 */
export function checkedOptions(options, ...names) {
  if (typeof options !== "object" || options === null) {
    throw new ConfigError(`options should be an object, found ${shown(options)}`);
  }
  /** @type {readonly string[]} */
  const known = names;
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ConfigError(`unknown option ${shown(name)}; there is ${names.join(", ")}`);
    }
  }
  return options;
}

/**
 * Return as much of a text as can be read, and a little more of a longer one, so that it is still longer.
 *
 * @param {string} text
 * @param {number} maxTokens
 * @returns {string}
 */
export function readable(text, maxTokens) {
  const most = 2 * (CHARACTERS_PER_TOKEN * maxTokens + 2); // a character has at most two UTF-16 units
  return text.length > most ? text.slice(0, most) : text;
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
