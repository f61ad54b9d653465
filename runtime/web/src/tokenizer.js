/**
 * Tokenizer of texts: the ids that Python's textgate gives, for the two kinds of tokenizer that textgate
 * trains. Others are refused.
 *
 * @module
 */

import { BundleError, shown } from "./errors.js";
import { parsed } from "./manifest.js";
import { CHARACTERS_PER_TOKEN } from "./texts.js";
import { Vocabulary, WholeWords } from "./vocabulary.js";
import {
  IS_SPACE,
  IS_WORD,
  characterCount,
  isOf,
  composed,
  firstCharacters,
  lowered,
  withoutSurrogates,
} from "./unicode.js";

/** @typedef {import("./json.js").Json} Json */

export const UNKNOWN_ID = 1;
const MAX_DEPTH = 64; // of objects and lists in the file

const WORDS = "['\\u2019]?\\w+(?:['\\u2019]\\w+)*|[^\\w\\s]";
const SUBWORD_WORDS =
  "\\w+?(?=n['\\u2019]t(?!\\w))|n['\\u2019]t(?!\\w)|['\\u2019](?:s|m|d|re|ve|ll|t)(?!\\w)|\\w+|[^\\w\\s]";
const CONTRACTIONS = ["s", "m", "d", "re", "ve", "ll", "t"];
const MAX_CACHED = 2 ** 14; // words, of at most
const MAX_CACHED_LENGTH = 64; // characters

// Characters after which a text may be cut before the rest of it is known: white space, which belongs to
// no token, and punctuation that is a token by itself. None of them is part of a word, and none is composed
// or reordered with its neighbours (unlike "=", which becomes one character with U+0338).
export const WHITE_SPACE =
  "\\t\\n\\v\\f\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const PUNCTUATION =
  '!"#$%&()*+,\\-./:;?@[\\\\\\]^`{|}~' +
  "\\u3001\\u3002\\u3008-\\u3011\\uff01\\uff08\\uff09\\uff0c\\uff0e\\uff1a\\uff1b\\uff1f";
const SEPARATOR = new RegExp(`[${WHITE_SPACE}${PUNCTUATION}]`);

/**
 * @typedef {object} Encoded tokens of a text.
 * @property {number[]} ids at least one, and at most the tokenizer's `maxTokens`.
 * @property {boolean} truncated whether the text has more tokens.
 * @property {string | null} reason why the text gets no label, whatever the probabilities; or null.
 */

export class Tokenizer {
  /** @type {Map<string, number[]>} */
  #known = new Map();

  /**
   * @param {Uint8Array} content the file `tokenizer.json`.
   * @param {object} options
   * @param {number} options.rows rows of the network's embedding.
   * @param {number} options.maxTokens how many tokens of a text are kept.
   * @param {string} options.where how messages name the file.
   * @throws {BundleError} it is not a tokenizer that textgate trains.
   */
  constructor(content, { rows, maxTokens, where }) {
    const document = parsed(content, MAX_DEPTH, where);
    this.maxTokens = maxTokens;
    this.maxCharacters = CHARACTERS_PER_TOKEN * maxTokens;
    const parts = new Parts(document, where);
    for (const name of ["decoder", "padding", "truncation", "post_processor"]) parts.requireNone(name);
    if (parts.list("added_tokens").length) throw parts.unknown("added_tokens", "tokens");
    this.normalizers = parts.normalizers();
    this.keepsContractions = parts.expression() === WORDS;
    this.vocabulary = parts.vocabulary(rows);
  }

  /**
   * Return the ids of one text.
   *
   * @param {string} text
   * @returns {Encoded}
   */
  encode(text) {
    const read = this.read(text);
    const ids = this.ids(read, this.maxTokens + 1);
    const truncated = read.length < text.length || ids.length > this.maxTokens;
    if (ids.length > this.maxTokens) ids.length = this.maxTokens;
    if (this.knows(ids)) return { ids, truncated, reason: null };
    const reason = reasonForNoLabel(ids.length, truncated);
    return { ids: ids.length ? ids : [UNKNOWN_ID], truncated, reason };
  }

  /**
   * Return the ids of a piece of a text; none for a piece without tokens.
   *
   * @param {string} text
   * @param {number} [enough] how many are wanted; there may be more.
   * @returns {number[]}
   */
  ids(text, enough = Infinity) {
    /** @type {number[]} */
    const result = [];
    const normal = this.normalized(withoutSurrogates(text));
    this.split(normal, (begin, end) => {
      for (const id of this.#wordIds(normal.slice(begin, end))) result.push(id);
      return result.length < enough;
    });
    return result;
  }

  /**
   * Return the part of a text that may be read.
   *
   * @param {string} text
   */
  read(text) {
    return firstCharacters(text, this.maxCharacters);
  }

  /**
   * Return the tokens of a text that are read, with the parts of the text that they are in.
   *
   * @param {string} text without lone surrogates.
   * @param {number[]} cuts positions between parts, in order, none of them before a mark that changes the
   *     character before it.
   * @returns {{ id: number, first: number, last: number }[]} the numbers of the first and the last part; the
   *     first part, up to the first cut, is 0.
   */
  tokens(text, cuts) {
    let begin = 0,
      length = 0;
    const ends = cuts.map((cut) => {
      length += this.normalized(text.slice(begin, cut)).length;
      begin = cut;
      return length;
    });
    const normal = this.normalized(text);
    /** @type {{ id: number, first: number, last: number }[]} */
    const found = [];
    let part = 0;
    this.split(normal, (start, end) => {
      const word = normal.slice(start, end),
        ids = this.#wordIds(word);
      this.vocabulary.spans(word, ids).forEach(([from, to], index) => {
        while (/** @type {number} */ (ends[part]) <= start + from) part++;
        let last = part;
        while (/** @type {number} */ (ends[last]) < start + to) last++;
        found.push({ id: /** @type {number} */ (ids[index]), first: part, last });
      });
      return found.length < this.maxTokens;
    });
    return found.slice(0, this.maxTokens);
  }

  /**
   * Return whether one of these tokens is known from training. The unknown token is not, nor are the
   * single bytes by which a subword tokenizer writes characters that it does not know.
   *
   * @param {number[]} ids
   */
  knows(ids) {
    return ids.some((id) => !this.vocabulary.unknownIds.has(id));
  }

  /**
   * @param {string} text
   * @returns {string}
   */
  normalized(text) {
    return this.normalizers.reduce((changed, normalizer) => normalizer(changed), text);
  }

  /**
   * Call a function with the first and the last position, exclusive, of each word and mark, as long as it
   * returns true. What a word is, the expressions above say.
   *
   * @param {string} text
   * @param {(begin: number, end: number) => boolean} found
   */
  split(text, found) {
    const endOf = this.keepsContractions ? endOfWhole : endOfPart;
    for (let at = 0; at < text.length;) {
      const point = /** @type {number} */ (text.codePointAt(at));
      const width = point > 0xffff ? 2 : 1;
      if (isOf(point, IS_SPACE)) {
        at += width;
        continue;
      }
      const end = endOf(text, at) || at + width;
      if (!found(at, end)) return;
      at = end;
    }
  }

  /**
   * @param {string} word
   * @returns {number[]}
   */
  #wordIds(word) {
    const known = this.#known.get(word);
    if (known) return known;
    const ids = this.vocabulary.ids(word);
    if (word.length <= MAX_CACHED_LENGTH) {
      if (this.#known.size >= MAX_CACHED) this.#known.clear();
      this.#known.set(word, ids);
    }
    return ids;
  }
}

/**
 * Return the reason why a text without a known token gets no label.
 *
 * @param {number} tokens how many were read.
 * @param {boolean} truncated whether the text has more.
 */
export function reasonForNoLabel(tokens, truncated) {
  return tokens || truncated ? "no known token was read" : "the text is empty";
}

/**
 * Return how much of a text has tokens that cannot change when the text grows.
 *
 * @param {string} text
 * @returns {number} a length in UTF-16 units.
 */
export function settledLength(text) {
  for (let at = text.length; at; at--) {
    if (SEPARATOR.test(/** @type {string} */ (text[at - 1]))) return at;
  }
  return 0;
}

export { characterCount, firstCharacters };

/**
 * @param {string} text
 * @param {number} at
 * @returns {boolean}
 */
function isWord(text, at) {
  const point = text.codePointAt(at);
  return point !== undefined && isOf(point, IS_WORD);
}

/**
 * @param {string} text
 * @param {number} at
 * @returns {boolean}
 */
function isApostrophe(text, at) {
  return text[at] === "'" || text[at] === "\u2019";
}

/**
 * Return the end of a run of the characters of words.
 *
 * @param {string} text
 * @param {number} at
 * @returns {number}
 */
function endOfRun(text, at) {
  while (isWord(text, at)) at += /** @type {number} */ (text.codePointAt(at)) > 0xffff ? 2 : 1;
  return at;
}

/**
 * Return where a word with its apostrophes ends, 0 if none begins here.
 *
 * @param {string} text
 * @param {number} at
 * @returns {number}
 */
function endOfWhole(text, at) {
  const begin = isApostrophe(text, at) ? at + 1 : at;
  let end = endOfRun(text, begin);
  if (end === begin) return 0;
  while (isApostrophe(text, end) && isWord(text, end + 1)) end = endOfRun(text, end + 1);
  return end;
}

/**
 * Return where a word ends whose contractions are split off, as in "do n't" and "it 's"; 0 if none begins.
 *
 * @param {string} text
 * @param {number} at
 * @returns {number}
 */
function endOfPart(text, at) {
  if (isApostrophe(text, at)) {
    const found = CONTRACTIONS.find((rest) => {
      return text.startsWith(rest, at + 1) && !isWord(text, at + 1 + rest.length);
    });
    return found === undefined ? 0 : at + 1 + found.length;
  }
  const end = endOfRun(text, at);
  if (end === at) return 0;
  const isNot =
    text[end - 1] === "n" && isApostrophe(text, end) && text[end + 1] === "t" && !isWord(text, end + 2);
  if (!isNot) return end;
  return end - 1 > at ? end - 1 : end + 2;
}

/** Reads the parts of `tokenizer.json`, and refuses those that textgate does not write. */
class Parts {
  /**
   * @param {Json} document
   * @param {string} where
   */
  constructor(document, where) {
    this.where = where;
    this.document = this.object(document, "the file");
    const known = [
      "version",
      "truncation",
      "padding",
      "added_tokens",
      "normalizer",
      "pre_tokenizer",
      "post_processor",
      "decoder",
      "model",
    ];
    for (const name of this.document.keys()) {
      if (!known.includes(name)) throw new BundleError(`${where}: unknown field ${shown(name)}`);
    }
  }

  /**
   * @param {string} field
   * @param {unknown} found
   * @returns {BundleError}
   */
  unknown(field, found) {
    return new BundleError(
      `${this.where}: field '${field}' has ${shown(found)}; only tokenizers that textgate trains are accepted`,
    );
  }

  /**
   * @param {Json | undefined} value
   * @param {string} field
   * @returns {Map<string, Json>}
   */
  object(value, field) {
    if (!(value instanceof Map)) throw new BundleError(`${this.where}: ${field} should be an object`);
    return value;
  }

  /**
   * @param {string} field
   * @returns {Json[]}
   */
  list(field) {
    const found = this.document.get(field) ?? [];
    if (!Array.isArray(found)) throw new BundleError(`${this.where}: field '${field}' should be a list`);
    return found;
  }

  /** @param {string} field */
  requireNone(field) {
    if ((this.document.get(field) ?? null) !== null) {
      throw new BundleError(`${this.where}: field '${field}' should be null, as textgate writes it`);
    }
  }

  /** @returns {((text: string) => string)[]} */
  normalizers() {
    const whole = this.document.get("normalizer") ?? null;
    if (whole === null) return [];
    const sequence = this.object(whole, "field 'normalizer'");
    const parts = sequence.get("type") === "Sequence" ? sequence.get("normalizers") : [sequence];
    if (!Array.isArray(parts)) throw this.unknown("normalizer", parts);
    const seen = new Set();
    return parts.map((item) => {
      const part = this.object(item, "a part of field 'normalizer'"),
        type = part.get("type");
      if (seen.has(type)) throw this.unknown("normalizer", "a part of the same type twice");
      seen.add(type);
      if (type === "NFC") return composed;
      if (type === "Lowercase") return lowered;
      const pattern = part.get("pattern");
      const isApostrophe =
        pattern instanceof Map && pattern.get("String") === "\u2019" && part.get("content") === "'";
      if (type === "Replace" && isApostrophe) return (text) => text.replaceAll("\u2019", "'");
      throw this.unknown("normalizer", type);
    });
  }

  /** @returns {string} the expression of words */
  expression() {
    const splitter = this.object(this.document.get("pre_tokenizer"), "field 'pre_tokenizer'");
    const pattern = splitter.get("pattern");
    const expression = pattern instanceof Map && pattern.size === 1 ? pattern.get("Regex") : undefined;
    const isOurs =
      splitter.get("type") === "Split" &&
      splitter.get("behavior") === "Removed" &&
      splitter.get("invert") === true;
    if (!isOurs || (expression !== WORDS && expression !== SUBWORD_WORDS)) {
      throw this.unknown("pre_tokenizer", expression ?? splitter.get("type"));
    }
    return expression;
  }

  /**
   * @param {number} rows
   * @returns {Vocabulary | WholeWords}
   */
  vocabulary(rows) {
    const model = this.object(this.document.get("model"), "field 'model'");
    const words = this.object(model.get("vocab"), "field 'model.vocab'");
    for (const id of words.values()) {
      if (typeof id !== "number" || id < 0 || id >= rows) {
        throw new BundleError(
          `${this.where}: token id ${shown(id)}, but the network's embedding has rows 0 to ${rows - 1}`,
        );
      }
    }
    const ids = /** @type {Map<string, number>} */ (words),
      unknownToken = model.get("unk_token");
    if (typeof unknownToken !== "string" || !ids.has(unknownToken)) {
      throw new BundleError(`${this.where}: unknown token ${shown(unknownToken)} is not in the vocabulary`);
    }
    const type = model.get("type");
    if (type === "WordLevel") return new WholeWords(ids, unknownToken);
    if (type !== "BPE") throw this.unknown("model", type);
    for (const [name, expected] of /** @type {[string, Json][]} */ ([
      ["dropout", null],
      ["continuing_subword_prefix", null],
      ["end_of_word_suffix", null],
      ["fuse_unk", false],
      ["byte_fallback", true],
      ["ignore_merges", true],
    ])) {
      if ((model.get(name) ?? expected) !== expected) throw this.unknown(`model.${name}`, model.get(name));
    }
    return new Vocabulary(ids, unknownToken, this.#merges(model, ids));
  }

  /**
   * @param {Map<string, Json>} model
   * @param {Map<string, number>} ids
   * @returns {[number, number, number][]} what is merged and what it becomes, the first merge first
   */
  #merges(model, ids) {
    const merges = model.get("merges");
    if (!Array.isArray(merges)) throw new BundleError(`${this.where}: field 'model.merges' should be a list`);
    return merges.map((merge) => {
      const [first, second, ...more] = Array.isArray(merge) ? merge : [];
      const isPair = typeof first === "string" && typeof second === "string" && !more.length;
      const found = isPair ? [ids.get(first), ids.get(second), ids.get(first + second)] : [];
      if (!isPair || found.includes(undefined)) {
        throw new BundleError(
          `${this.where}: a merge of ${shown(first)} and ${shown(second)}, not all in the vocabulary`,
        );
      }
      return /** @type {[number, number, number]} */ (found);
    });
  }
}
