/**
 * Checks of the fields of a JSON document, which give plain values.
 *
 * A kind is a function that takes a value, how messages name it, and the object around it; it returns
 * the checked value or throws.
 *
 * @module
 */

import { BundleError, shown } from "./errors.js";
import { Float } from "./json.js";

/** @typedef {import("./json.js").Json} Json */
/**
 * @template T
 * @typedef {(value: Json, name: string, where: string) => T} Kind
 */

/**
 * @param {string} where
 * @param {string} name
 * @param {string} expected
 * @param {unknown} found
 * @returns {BundleError}
 */
export function mismatch(where, name, expected, found) {
  return new BundleError(`${where}: field '${name}' should be ${expected}, found ${shown(found)}`);
}

/** @type {Kind<string>} */
export const text = (value, name, where) => {
  if (typeof value !== "string") throw mismatch(where, name, "a string", value);
  return value;
};

/** @type {Kind<boolean>} */
export const flag = (value, name, where) => {
  if (typeof value !== "boolean") throw mismatch(where, name, "true or false", value);
  return value;
};

/**
 * @param {number} low
 * @param {number} [high]
 * @returns {Kind<number>}
 */
export const whole =
  (low, high = 2 ** 53) =>
  (value, name, where) => {
    const inside = (typeof value === "number" || typeof value === "bigint") && value >= low && value <= high;
    if (!inside) throw mismatch(where, name, `a whole number from ${low} to ${high}`, value);
    return Number(value);
  };

/**
 * @param {(value: number) => boolean} accepts
 * @param {string} words the accepted numbers, for messages.
 * @returns {Kind<number>}
 */
export const real = (accepts, words) => (value, name, where) => {
  const found = value instanceof Float ? value.value : Number(value);
  const isNumber = value instanceof Float || typeof value === "number" || typeof value === "bigint";
  if (!isNumber || !Number.isFinite(found) || !accepts(found))
    throw mismatch(where, name, `a number${words}`, value);
  return found;
};

/**
 * @template {string} T
 * @param {readonly T[]} words
 * @returns {Kind<T>}
 */
export const oneOf = (words) => (value, name, where) => {
  const found = words.find((word) => word === value);
  if (found === undefined) throw mismatch(where, name, `one of ${words.join(", ")}`, value);
  return found;
};

/**
 * @param {RegExp} expression
 * @param {string} words
 * @returns {Kind<string>}
 */
export const pattern = (expression, words) => (value, name, where) => {
  if (typeof value !== "string" || !expression.test(value))
    throw mismatch(where, name, `a string ${words}`, value);
  return value;
};

/**
 * @template T
 * @param {Kind<T>} kind
 * @returns {Kind<T | null>}
 */
export const optional = (kind) => (value, name, where) => (value === null ? null : kind(value, name, where));

/**
 * @template T
 * @param {Kind<T>} kind
 * @returns {Kind<T[]>}
 */
export const list = (kind) => (value, name, where) => {
  if (!Array.isArray(value)) throw mismatch(where, name, "a list", value);
  return value.map((item, index) => kind(item, `${name}[${index}]`, where));
};

/**
 * @template T
 * @param {Kind<T>} kind
 * @param {readonly string[]} [names] the accepted names; any by default.
 * @returns {Kind<Map<string, T>>}
 */
export const named = (kind, names) => (value, name, where) => {
  const inside = `${where}: ${name}`;
  const fields = objectOf(value, inside);
  if (names) refuseOthers(fields, names, inside);
  return new Map(Array.from(fields, ([key, item]) => [key, kind(item, key, inside)]));
};

/**
 * Return the kind of objects with these fields.
 *
 * @template {Record<string, Kind<any>>} T
 * @param {T} kinds
 * @param {readonly string[]} [later] fields that are missing in older files, all together.
 * @returns {Kind<{ [name in keyof T]: ReturnType<T[name]> }>}
 */
export const record =
  (kinds, later = []) =>
  (value, name, where) => {
    const inside = name ? `${where}: ${name}` : where;
    const fields = objectOf(value, inside);
    const older = !later.some((key) => fields.has(key));
    /** @type {any} */
    const found = {};
    for (const [key, kind] of Object.entries(kinds)) {
      if (older && later.includes(key)) continue;
      found[key] = kind(field(fields, key, inside), key, inside);
    }
    refuseOthers(fields, Object.keys(kinds), inside);
    return found;
  };

/**
 * @param {Json} value
 * @param {string} where
 * @returns {Map<string, Json>}
 */
export function objectOf(value, where) {
  if (!(value instanceof Map)) throw new BundleError(`${where}: expected an object, found ${shown(value)}`);
  return value;
}

/**
 * @param {Map<string, Json>} fields
 * @param {string} name
 * @param {string} where
 * @returns {Json}
 */
export function field(fields, name, where) {
  const found = fields.get(name);
  if (found === undefined) throw new BundleError(`${where}: field '${name}' is missing`);
  return found;
}

/**
 * @param {Map<string, Json>} fields
 * @param {readonly string[]} known
 * @param {string} where
 */
function refuseOthers(fields, known, where) {
  for (const name of fields.keys()) {
    if (!known.includes(name)) throw new BundleError(`${where}: unknown field ${shown(name)}`);
  }
}
