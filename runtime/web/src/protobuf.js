/**
 * Bounded reader of the protobuf wire format, for messages of any schema.
 *
 * Format: https://protobuf.dev/programming-guides/encoding/. Bytes are not copied.
 *
 * @module
 */

import { BundleError } from "./errors.js";

const MAX_DEPTH = 8; // of nested messages
const MAX_FIELDS = 2 ** 18; // of all messages of a file together

const VARINT = 0,
  FIXED64 = 1,
  BYTES = 2,
  FIXED32 = 5;

/** @typedef {number | bigint | Uint8Array} Value */

/** The number of fields of a file that may still be read, shared by all its messages. */
export class Budget {
  #left = MAX_FIELDS;

  /**
   * @param {number} fields
   * @param {string} where
   */
  spend(fields, where) {
    this.#left -= fields;
    if (this.#left < 0)
      throw new BundleError(`${where}: more than ${MAX_FIELDS} fields in the file, too many`);
  }
}

/**
 * Fields of one message by number, decoded on demand.
 *
 * A field that may occur once is refused if it occurs twice, because readers disagree on which one
 * counts.
 */
export class Message {
  /** @type {Map<number, { wire: number, value: Value }[]>} */
  #fields = new Map();

  /**
   * @param {Uint8Array} data the message's bytes, without its length.
   * @param {string} where how error messages name it.
   * @param {Budget} budget
   * @param {number} [depth] the number of messages around it.
   */
  constructor(data, where, budget, depth = 0) {
    this.where = where;
    this.budget = budget;
    this.depth = depth;
    if (depth > MAX_DEPTH) throw new BundleError(`${where}: more than ${MAX_DEPTH} messages deep`);
    const reader = new Reader(data, where);
    while (reader.at < data.length) {
      budget.spend(1, where);
      const tag = Number(reader.varint());
      const number = Math.floor(tag / 8),
        wire = tag % 8;
      if (number < 1 || number >= 2 ** 29)
        throw new BundleError(`${where}: malformed: field number ${number}`);
      /** @type {Value} */
      let value;
      if (wire === VARINT) {
        value = reader.varint();
      } else {
        const size =
          wire === BYTES ? Number(reader.varint()) : wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : -1;
        if (size < 0) throw new BundleError(`${where}: malformed: field ${number} has wire type ${wire}`);
        const left = data.length - reader.at;
        if (size > left) {
          throw new BundleError(`${where}: cut off: field ${number} has ${size} bytes, ${left} are left`);
        }
        value = data.subarray(reader.at, reader.at + size);
        reader.at += size;
      }
      const others = this.#fields.get(number);
      if (others) others.push({ wire, value });
      else this.#fields.set(number, [{ wire, value }]);
    }
  }

  /**
   * Return whether any of these fields occurs, even if it is empty.
   *
   * @param {...number} numbers
   */
  has(...numbers) {
    return numbers.some((number) => this.#fields.has(number));
  }

  /**
   * Return a signed 64-bit integer, or null if the field does not occur.
   *
   * @param {number} number
   * @returns {number | bigint | null}
   */
  integer(number) {
    const value = this.#single(number, VARINT);
    return value === null ? null : signed(/** @type {number | bigint} */ (value));
  }

  /**
   * Return the bytes of a field, or null if it does not occur.
   *
   * @param {number} number
   */
  payload(number) {
    return /** @type {Uint8Array | null} */ (this.#single(number, BYTES));
  }

  /**
   * Return a string, empty if the field does not occur.
   *
   * @param {number} number
   */
  text(number) {
    const value = this.payload(number);
    return value ? this.#decoded(value, number) : "";
  }

  /**
   * Return all strings of a repeated field.
   *
   * @param {number} number
   */
  texts(number) {
    return this.#payloads(number).map((value) => this.#decoded(value, number));
  }

  /**
   * Return the message in a field, or null.
   *
   * @param {number} number
   * @param {string} name how error messages name it.
   */
  message(number, name) {
    const value = this.payload(number);
    return value ? this.#child(value, name) : null;
  }

  /**
   * Return all messages of a repeated field.
   *
   * @param {number} number
   * @param {string} name how error messages name them, with their index.
   */
  messages(number, name) {
    return this.#payloads(number).map((value, index) => this.#child(value, `${name} ${index}`));
  }

  /**
   * Return all signed 64-bit integers of a repeated field, packed or not.
   *
   * @param {number} number
   * @returns {(number | bigint)[]}
   */
  integers(number) {
    const found = [];
    for (const { wire, value } of this.#repeated(number, VARINT, true)) {
      if (wire === VARINT) {
        found.push(signed(/** @type {number | bigint} */ (value)));
        continue;
      }
      const reader = new Reader(/** @type {Uint8Array} */ (value), this.where);
      while (reader.at < reader.data.length) {
        this.budget.spend(1, this.where);
        found.push(signed(reader.varint()));
      }
    }
    return found;
  }

  /**
   * @param {number} number
   * @param {number} wire
   */
  #single(number, wire) {
    const values = this.#repeated(number, wire, false);
    if (values.length > 1) throw new BundleError(`${this.where}: malformed: field ${number} occurs twice`);
    return values[0]?.value ?? null;
  }

  /** @param {number} number */
  #payloads(number) {
    return this.#repeated(number, BYTES, false).map(({ value }) => /** @type {Uint8Array} */ (value));
  }

  /**
   * Return a field's values, which must have this wire type or, if allowed, be packed.
   *
   * @param {number} number
   * @param {number} wire
   * @param {boolean} packed
   */
  #repeated(number, wire, packed) {
    const found = this.#fields.get(number) ?? [];
    if (found.some((item) => item.wire !== wire && !(packed && item.wire === BYTES))) {
      throw new BundleError(`${this.where}: malformed: field ${number} has another wire type`);
    }
    return found;
  }

  /**
   * @param {Uint8Array} data
   * @param {string} name
   */
  #child(data, name) {
    return new Message(data, `${this.where}: ${name}`, this.budget, this.depth + 1);
  }

  /**
   * @param {Uint8Array} value
   * @param {number} number
   */
  #decoded(value, number) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    } catch {
      throw new BundleError(`${this.where}: malformed: field ${number} is not UTF-8`);
    }
  }
}

/**
 * Return a message without some messages of a repeated field in one of its messages.
 *
 * @param {Uint8Array} data well-formed, as `Message` checks.
 * @param {number} outer the number of the field that holds the message.
 * @param {number} inner the number of the repeated field.
 * @param {(message: Uint8Array) => boolean} isLeftOut
 * @returns {Uint8Array}
 */
export function without(data, outer, inner, isLeftOut) {
  return joined(
    fieldsOf(data).map(({ number, whole, payload }) => {
      if (number !== outer) return whole;
      const kept = joined(
        fieldsOf(payload)
          .filter((field) => field.number !== inner || !isLeftOut(field.payload))
          .map((field) => field.whole),
      );
      return joined([varint(outer * 8 + BYTES), varint(kept.length), kept]);
    }),
  );
}

/**
 * @param {Uint8Array} data
 * @returns {{ number: number, whole: Uint8Array, payload: Uint8Array }[]}
 */
function fieldsOf(data) {
  const found = [],
    reader = new Reader(data, "model");
  while (reader.at < data.length) {
    const begin = reader.at,
      tag = Number(reader.varint()),
      wire = tag % 8;
    const size = wire === BYTES ? Number(reader.varint()) : wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : 0;
    const from = reader.at;
    if (wire === VARINT) reader.varint();
    else reader.at += size;
    const payload = data.subarray(from, reader.at);
    found.push({ number: Math.floor(tag / 8), whole: data.subarray(begin, reader.at), payload });
  }
  return found;
}

/**
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array}
 */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * @param {number} value
 * @returns {Uint8Array}
 */
function varint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}

class Reader {
  /**
   * @param {Uint8Array} data
   * @param {string} where
   */
  constructor(data, where) {
    this.data = data;
    this.where = where;
    this.at = 0;
  }

  /**
   * Return the unsigned number at the position, which moves on; a bigint beyond 2 ** 53.
   *
   * @returns {number | bigint}
   */
  varint() {
    let value = 0,
      factor = 1;
    for (let index = 0; index < 10; index++, factor *= 128) {
      const byte = this.data[this.at + index];
      if (byte === undefined) break;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        const begin = this.at;
        if (index === 9 && byte > 1) break;
        this.at += index + 1;
        return value <= Number.MAX_SAFE_INTEGER ? value : this.#large(begin, index);
      }
    }
    throw new BundleError(`${this.where}: malformed or cut off: no whole number at byte ${this.at}`);
  }

  /**
   * @param {number} begin
   * @param {number} last
   */
  #large(begin, last) {
    let value = 0n;
    for (let index = last; index >= 0; index--) {
      value = (value << 7n) | BigInt(/** @type {number} */ (this.data[begin + index]) & 0x7f);
    }
    return value;
  }
}

/**
 * @param {number | bigint} value
 * @returns {number | bigint}
 */
function signed(value) {
  if (typeof value === "number") return value;
  const found = BigInt.asIntN(64, value);
  return found >= -(2n ** 53n) && found <= 2n ** 53n ? Number(found) : found;
}
