/**
 * JSON that every parser reads alike, and the canonical form that checksums are taken of.
 *
 * `JSON.parse` keeps the last of two fields of the same name, reorders names that are whole numbers,
 * and forgets whether a number was written as a whole one. A bundle's checksum needs all three.
 *
 * @module
 */

/** A number that was written with a fraction or an exponent. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }

  toString() {
    return pythonFloat(this.value);
  }
}

/**
 * @typedef {null | boolean | string | number | bigint | Float | JsonList | JsonObject} Json
 * @typedef {Json[]} JsonList
 * @typedef {Map<string, Json>} JsonObject
 */

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const UNUSUAL = /[\\\u0000-\u001f\ud800-\udfff]/;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }),
);
const MAX_DIGITS = 4300; // of a whole number, as in Python

/**
 * Return the document in a file. Objects become maps in the order of the file; whole numbers are
 * numbers, or bigints beyond 2 ** 53; others are a `Float`.
 *
 * @param {Uint8Array} content UTF-8.
 * @param {number} depth objects and lists that may lie inside one another.
 * @returns {Json}
 * @throws {SyntaxError} it is not JSON in UTF-8, has a field twice, half a surrogate pair, or NaN, or
 *     is nested too deeply.
 */
export function parseJson(content, depth) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new SyntaxError("it is not UTF-8");
  }
  return new Parser(text, depth).document();
}

class Parser {
  /**
   * @param {string} text
   * @param {number} depth
   */
  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.at = 0;
  }

  /** @returns {Json} */
  document() {
    const found = this.value(this.depth);
    if (this.at < this.text.length) throw this.problem();
    return found;
  }

  /** @returns {SyntaxError} */
  problem() {
    return new SyntaxError(`something unexpected at character ${this.at}`);
  }

  /**
   * @param {RegExp} expression
   * @returns {RegExpExecArray}
   */
  read(expression) {
    expression.lastIndex = this.at;
    const match = expression.exec(this.text);
    if (!match) throw this.problem();
    this.at = expression.lastIndex;
    return match;
  }

  /** @returns {string} the next character that is not a space */
  next() {
    this.skip();
    return this.text[this.at] ?? "";
  }

  /** Move on to what is no space. */
  skip() {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.at++;
    }
  }

  /**
   * @param {number} left
   * @returns {Json}
   */
  value(left) {
    const first = this.next();
    /** @type {Json} */
    let found;
    if (first === "{" || first === "[") {
      if (!left) throw new SyntaxError(`it is more than ${this.depth} objects and lists deep`);
      this.at++;
      found = first === "{" ? this.object(left - 1) : this.list(left - 1);
    } else if (first === '"') {
      found = this.string();
    } else if (first === "t" || first === "f" || first === "n") {
      const word = first === "t" ? "true" : first === "f" ? "false" : "null";
      if (!this.text.startsWith(word, this.at)) throw this.problem();
      this.at += word.length;
      found = first === "n" ? null : first === "t";
    } else {
      found = this.number();
    }
    this.skip();
    return found;
  }

  /**
   * @param {number} left
   * @returns {Map<string, Json>}
   */
  object(left) {
    const found = new Map();
    if (this.next() === "}") {
      this.at++;
      return found;
    }
    for (;;) {
      if (this.next() !== '"') throw this.problem();
      const name = this.string();
      if (this.next() !== ":") throw this.problem();
      this.at++;
      if (found.has(name)) throw new SyntaxError(`field ${JSON.stringify(name)} is given twice`);
      found.set(name, this.value(left));
      const after = this.text[this.at++];
      if (after === "}") return found;
      if (after !== ",") throw this.problem();
    }
  }

  /**
   * @param {number} left
   * @returns {Json[]}
   */
  list(left) {
    /** @type {Json[]} */
    const found = [];
    if (this.next() === "]") {
      this.at++;
      return found;
    }
    for (;;) {
      found.push(this.value(left));
      const after = this.text[this.at++];
      if (after === "]") return found;
      if (after !== ",") throw this.problem();
    }
  }

  /** @returns {string} */
  string() {
    this.at++;
    const end = this.text.indexOf('"', this.at),
      usual = this.text.slice(this.at, end);
    if (end >= 0 && !UNUSUAL.test(usual)) {
      this.at = end + 1;
      return usual;
    }
    let found = this.read(PLAIN)[0];
    while (this.text[this.at] !== '"') {
      if (this.text[this.at] !== "\\") throw this.problem();
      const kind = this.text[this.at + 1];
      if (kind === "u") {
        const hex = this.text.slice(this.at + 2, this.at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.problem();
        found += String.fromCharCode(parseInt(hex, 16));
        this.at += 6;
      } else {
        const escaped = ESCAPES.get(kind ?? "");
        if (escaped === undefined) throw this.problem();
        found += escaped;
        this.at += 2;
      }
      found += this.read(PLAIN)[0];
    }
    this.at++;
    if (/\p{Surrogate}/u.test(found)) throw new SyntaxError("half a surrogate pair, which is not text");
    return found;
  }

  /** @returns {number | bigint | Float} */
  number() {
    const [digits, fraction, exponent] = this.read(NUMBER);
    if (fraction !== undefined || exponent !== undefined) return new Float(Number(digits));
    if (digits.length > MAX_DIGITS) throw new SyntaxError(`a whole number of ${digits.length} digits`);
    const value = Number(digits);
    return Number.isSafeInteger(value) ? value + 0 : BigInt(digits);
  }
}

/**
 * Return the form of a document that checksums are taken of: ASCII, sorted names, no spaces; what
 * Python's json.dumps(document, sort_keys=True, separators=(",", ":")) gives.
 *
 * @param {Json} value
 * @returns {string}
 */
export function canonical(value) {
  if (value instanceof Float) return pythonFloat(value.value);
  if (typeof value === "string") return ascii(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value instanceof Map) {
    const names = [...value.keys()].sort(byCodePoint);
    const fields = names.map((name) => `${ascii(name)}:${canonical(/** @type {Json} */ (value.get(name)))}`);
    return `{${fields.join(",")}}`;
  }
  return String(value);
}

/**
 * @param {string} text
 * @returns {string}
 */
function ascii(text) {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * @param {string} a
 * @param {string} b
 * @returns {number}
 */
function byCodePoint(a, b) {
  const [left, right] = [Array.from(a), Array.from(b)];
  const index = left.findIndex((character, at) => character !== right[at]);
  if (index < 0) return left.length - right.length;
  return (left[index]?.codePointAt(0) ?? -1) - (right[index]?.codePointAt(0) ?? -1);
}

/**
 * Return the digits that Python's repr gives for a float.
 *
 * @param {number} value
 * @returns {string}
 */
export function pythonFloat(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa, after] = value.toExponential().split("e");
  const exponent = Number(after);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  const plain = exponent < -6 || exponent >= 21 ? value.toFixed(20) : String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}
