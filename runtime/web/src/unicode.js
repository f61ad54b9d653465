/**
 * Unicode as the tokenizer of training knows it, whatever version a browser has.
 *
 * Words, white space and lower case come from tables. Normal form C is the browser's, applied to nothing
 * but characters that the tokenizer also knows: of these, Unicode never changes it.
 *
 * @module
 */

import { COMPOSED, LOWER, MARKS, SPACE, WORD } from "./unicode_tables.js";

export const IS_WORD = 1,
  IS_SPACE = 2;
const IS_COMPOSED = 4; // is composed, decomposed or reordered with a neighbour
const IS_MARK = 8; // may change a text in which it stands
const HAS_LOWER = 16;
const CODE_POINTS = 0x110000;

const NO_ASCII = /[^\u0000-\u007f]/;

/** @type {Map<number, string>} */
const lowerCase = new Map();

/** What every code point is, as a sum of the numbers above. */
const classes = classified();

/**
 * Return whether a code point is a character of words, or white space.
 *
 * @param {number} point
 * @param {number} bit `IS_WORD` or `IS_SPACE`.
 * @returns {boolean}
 */
export function isOf(point, bit) {
  const kind = /** @type {number} */ (classes[point]);
  return (kind & bit) !== 0;
}

function classified() {
  const found = new Uint8Array(CODE_POINTS);
  const mark = (/** @type {number} */ point, /** @type {number} */ bit) => {
    found[point] = /** @type {number} */ (found[point]) | bit;
  };
  for (const [table, bit] of /** @type {[string, number][]} */ ([
    [WORD, IS_WORD],
    [SPACE, IS_SPACE],
    [COMPOSED, IS_COMPOSED],
    [MARKS, IS_MARK],
  ])) {
    const numbers = decoded(table);
    let at = 0;
    for (let index = 0; index < numbers.length; index += 2) {
      // a gap, and how many follow
      at += numbers[index] ?? 0;
      const end = at + (numbers[index + 1] ?? 0);
      for (; at < end; at++) mark(at, bit);
    }
  }
  const numbers = decoded(LOWER);
  let from = 0;
  for (let index = 0; index < numbers.length; index += 4) {
    // a gap, how many, their distance, what to add
    const [gap = 0, count = 0, distance = 0, added = 0] = numbers.slice(index, index + 4);
    from += gap;
    for (let left = count; left; left--, from += distance) {
      mark(from, HAS_LOWER);
      lowerCase.set(from, String.fromCodePoint(from + added));
    }
  }
  lowerCase.set(0x130, "i\u0307"); // the only one that becomes two characters
  mark(0x130, HAS_LOWER);
  return found;
}

/**
 * @param {string} table whole numbers in base 36.
 * @returns {number[]}
 */
function decoded(table) {
  return table.split(" ").map((digits) => parseInt(digits, 36));
}

/**
 * Return a text in normal form C.
 *
 * @param {string} text without lone surrogates.
 * @returns {string}
 */
export function composed(text) {
  if (!NO_ASCII.test(text) || !hasAny(text, IS_MARK)) return text;
  let result = "",
    begin = 0,
    isChanged = false;
  let at = 0;
  const add = () => {
    const run = text.slice(begin, at);
    result += isChanged ? run.normalize("NFC") : run;
    isChanged = false;
    begin = at;
  };
  let inside = false;
  while (at < text.length) {
    const point = /** @type {number} */ (text.codePointAt(at)),
      kind = /** @type {number} */ (classes[point]);
    const isComposed = (kind & IS_COMPOSED) !== 0;
    if (isComposed !== inside) add();
    inside = isComposed;
    isChanged ||= (kind & IS_MARK) !== 0;
    at += point > 0xffff ? 2 : 1;
  }
  add();
  return result;
}

/**
 * Return a text in lower case, every character by itself: a final sigma is one like any other.
 *
 * @param {string} text without lone surrogates.
 * @returns {string}
 */
export function lowered(text) {
  if (!NO_ASCII.test(text)) return text.toLowerCase();
  if (!hasAny(text, HAS_LOWER)) return text;
  let result = "";
  for (const character of text) {
    result += lowerCase.get(/** @type {number} */ (character.codePointAt(0))) ?? character;
  }
  return result;
}

/**
 * @param {string} text
 * @param {number} bit
 * @returns {boolean} whether one of its characters is of a kind.
 */
function hasAny(text, bit) {
  for (let at = 0; at < text.length; at++) {
    const point = /** @type {number} */ (text.codePointAt(at));
    if (isOf(point, bit)) return true;
    if (point > 0xffff) at++;
  }
  return false;
}

/**
 * Return the first characters of a text.
 *
 * @param {string} text
 * @param {number} count code points.
 * @returns {string}
 */
export function firstCharacters(text, count) {
  if (text.length <= count) return text;
  let at = 0;
  for (let left = count; left && at < text.length; left--) {
    at += /** @type {number} */ (text.codePointAt(at)) > 0xffff ? 2 : 1;
  }
  return text.slice(0, at);
}

/**
 * Return the number of code points of a text.
 *
 * @param {string} text
 * @returns {number}
 */
export function characterCount(text) {
  let count = text.length;
  for (let at = 0; at < text.length; at++) {
    if (/** @type {number} */ (text.codePointAt(at)) > 0xffff) {
      count--;
      at++;
    }
  }
  return count;
}

/**
 * Return the text with lone surrogates, which are not characters, replaced by U+FFFD.
 *
 * @param {string} text
 * @returns {string}
 */
export function withoutSurrogates(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
