/**
 * Explanations: how much each word of a text spoke for and against each label, as Python's
 * `Classifier.explain` finds it. `inference/attribution.py` says how and why.
 *
 * @module
 */

import { UNKNOWN_ID, WHITE_SPACE } from "./tokenizer.js";
import { withoutSurrogates } from "./unicode.js";

/** @typedef {import("./classifier.js").Session} Session */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */
/** @typedef {[begin: number, end: number]} Span in UTF-16 units, the end exclusive. */

/**
 * @typedef {object} Word a word of an explained text; in a text of many words, several adjacent ones.
 * @property {string} text
 * @property {number} start the position of its first UTF-16 unit in the explained text.
 * @property {number} end the position after its last one.
 * @property {Map<string, number>} values how much it spoke for each label, as a difference of
 *     probabilities, from -1 to 1; below 0 it spoke against the label.
 * @property {Map<string, number>} prefixScores the probability of each label for the text up to this word
 *     and with it.
 *
 * @typedef {object} Explanation
 * @property {string} text with lone surrogates replaced by U+FFFD.
 * @property {Prediction} prediction
 * @property {string[]} labels the labels to show: those that apply, or else the most probable one; with
 *     `topK` the most probable ones.
 * @property {Word[]} words those that were read, in order. Between and around them is white space.
 * @property {number} readEnd the position after the last unit that was read.
 *
 * @typedef {object} Found what a session finds of a text.
 * @property {number[]} row the probability of each label.
 * @property {import("./decision.js").Read} read
 * @property {{ span: Span, values: number[], prefixes: number[] }[]} words with a number per label.
 * @property {number} readEnd the position after the last unit that was read of a truncated text.
 */

const MAX_WORDS = 64; // in a text of more, adjacent ones are explained together
const BATCH = 32; // texts that run together
const ROUNDS = 2; // in which words are left out in the order of their values
const LEFT_OUT = 2; // weight of contexts in which words are left out of the text
const ORDER_SCALE = 1000; // words whose values differ by less stay in their order

// Kinds of characters, as in Python: "w" of a word, "n" a digit, "c" of a script without spaces between
// words, "x" belongs to the character before it, "h" joins words, "j" joins digits, "p" punctuation and
// symbols, " " white space.
const WORD = /[wnx]+(?:h[wnx]+|(?<=n)j(?=n)[wnx]+)*|cx*|[phj][phjx]*/g;
/** @type {[RegExp, string][]} the first that matches decides. */
const KINDS = [
  [new RegExp(`[${WHITE_SPACE}\\x1c-\\x1f]`, "u"), " "],
  [/['\u2019\-\u2010]/u, "h"],
  [/[.,:]/u, "j"],
  [/[\p{M}\p{Cf}]/u, "x"],
  [/\p{Nd}/u, "n"],
  [/(?!_)[\p{P}\p{S}]/u, "p"],
  [
    /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\u{20000}-\u{3ffff}]/u,
    "c",
  ],
];

/**
 * Return the words of a text as a reader sees them: pieces between white space, with punctuation apart.
 *
 * @param {string} text without lone surrogates.
 * @returns {Span[]}
 */
export function wordsIn(text) {
  let kinds = "";
  /** @type {number[]} */
  const starts = [];
  let at = 0;
  for (const character of text) {
    kinds += KINDS.find(([pattern]) => pattern.test(character))?.[1] ?? "w";
    starts.push(at);
    at += character.length;
  }
  starts.push(at);
  return Array.from(kinds.matchAll(WORD), ({ 0: { length }, index }) => {
    return /** @type {Span} */ ([starts[index], starts[index + length]]);
  });
}

/**
 * Return how much each word of a text speaks for each label.
 *
 * @param {string} text
 * @param {object} by
 * @param {Tokenizer} by.tokenizer
 * @param {Session} by.session
 * @param {boolean} by.streams whether the session can continue from the state after a part of the text.
 * @returns {Promise<Found>}
 */
export async function found(text, { tokenizer, session, streams }) {
  const encoded = tokenizer.encode(text);
  const { probabilities } = await session.read(encoded.ids);
  const read = tokenizer.read(withoutSurrogates(text));
  const { ids, words, owners } = wordsOf(read, tokenizer, encoded.truncated);
  const present = [...new Set(owners.filter((owner) => owner >= 0))].sort((a, b) => a - b);
  const places = owners.map((owner) => (owner < 0 ? present.length : present.indexOf(owner)));
  const part = new PartialText(session, ids, places, present.length);
  const values = present.length ? await attributions(part, highest(probabilities)) : [];
  const every = present.map((_, place) => place);
  const prefixes = await part.scores([[]]);
  prefixes.push(...(await (streams ? part.read() : part.scores(prefixesOf(every)))));
  let passed = 0; // words with tokens
  return {
    row: Array.from(probabilities),
    read: { tokens: encoded.ids.length, truncated: encoded.truncated, reason: encoded.reason },
    words: words.map((span, number) => {
      const isPresent = present[passed] === number;
      const of = isPresent ? /** @type {number[]} */ (values[passed]) : Array.from(probabilities, () => 0);
      if (isPresent) passed++;
      return { span, values: of, prefixes: Array.from(/** @type {ArrayLike<number>} */ (prefixes[passed])) };
    }),
    readEnd: words.at(-1)?.[1] ?? read.length,
  };
}

/**
 * Return an explanation of what was found.
 *
 * @param {string} text
 * @param {Found} found
 * @param {Prediction} prediction
 * @param {readonly string[]} labels in the order of the numbers.
 * @param {boolean} isKept whether the prediction has the scores of the labels that were asked for.
 * @returns {Explanation}
 */
export function explanationOf(text, found, prediction, labels, isKept) {
  const whole = withoutSurrogates(text);
  const columns = Array.from(prediction.scores.keys(), (label) => {
    return /** @type {[string, number]} */ ([label, labels.indexOf(label)]);
  });
  const named = (/** @type {number[]} */ numbers) => {
    return new Map(columns.map(([label, column]) => [label, /** @type {number} */ (numbers[column])]));
  };
  const applying = prediction.labels.length ? prediction.labels : [prediction.topLabel];
  return {
    text: whole,
    prediction,
    labels: isKept ? [...prediction.scores.keys()] : applying,
    words: found.words.map(({ span: [start, end], values, prefixes }) => {
      return {
        text: whole.slice(start, end),
        start,
        end,
        values: named(values),
        prefixScores: named(prefixes),
      };
    }),
    readEnd: prediction.truncated ? found.readEnd : whole.length,
  };
}

/**
 * Return the tokens and the words of a text, and the number of the word of each token; -1 if it has none.
 *
 * Words that share a token become one word, and so do adjacent words if there are too many.
 *
 * @param {string} text the part that is read.
 * @param {Tokenizer} tokenizer
 * @param {boolean} truncated whether words after the last token were not read.
 * @returns {{ ids: number[], words: Span[], owners: number[] }}
 */
function wordsOf(text, tokenizer, truncated) {
  let spans = wordsIn(text);
  const tokens = tokenizer.tokens(text, spans.flat());
  const ids = tokens.map(({ id }) => id);
  // A cut between two words is one between two of their parts in `spans.flat()`; words have odd numbers.
  const owners = tokens.map(({ first, last }) => {
    const from = first >> 1,
      to = (last + 1) >> 1;
    return from < to ? [from, to - 1] : [-1, -1];
  });
  /** @type {Set<number>} */
  const continued = new Set();
  for (const [from = 0, to = 0] of owners) for (let one = from + 1; one <= to; one++) continued.add(one);
  if (truncated) spans = spans.slice(0, 1 + Math.max(-1, ...owners.map(([, to]) => to ?? -1)));
  let number = -1;
  const numbers = spans.map((_, index) => (number += continued.has(index) ? 0 : 1));
  const together = Math.max(1, Math.ceil((number + 1) / MAX_WORDS));
  /** @type {Span[]} */
  const words = [];
  spans.forEach(([start, end], index) => {
    const own = Math.floor(/** @type {number} */ (numbers[index]) / together);
    const last = words[own];
    if (last) last[1] = end;
    else words.push([start, end]);
  });
  const grouped = owners.map(([from = -1]) => {
    return from < 0 ? -1 : Math.floor(/** @type {number} */ (numbers[from]) / together);
  });
  return { ids, words, owners: grouped };
}

/**
 * Return the value of each word for each label.
 *
 * @param {PartialText} text of at least one word.
 * @param {number} label the label by whose values words are ordered.
 * @returns {Promise<number[][]>}
 */
async function attributions(text, label) {
  const every = Array.from({ length: text.count }, (_, word) => word);
  const without = (/** @type {number[]} */ left) => every.filter((word) => !left.includes(word));
  const [none = [], whole = []] = await text.scores([[], every]);
  const alone = await text.scores(every.map((word) => [word]));
  const others = await text.scores(every.map((word) => without([word])));
  const total = every.map((word) => {
    return Array.from(whole, (score, column) => {
      const added = at(alone, word, column) - /** @type {number} */ (none[column]);
      return added + LEFT_OUT * (score - at(others, word, column));
    });
  });
  for (let round = 0; round < ROUNDS; round++) {
    const keys = total.map((values) => toEven(/** @type {number} */ (values[label]) * ORDER_SCALE));
    const order = [...every].sort(
      (a, b) => /** @type {number} */ (keys[b]) - /** @type {number} */ (keys[a]),
    );
    const best = [[], ...prefixesOf(order)];
    const kept = await text.scores(best);
    const leftOut = await text.scores(best.map(without));
    order.forEach((word, place) => {
      const values = /** @type {number[]} */ (total[word]);
      values.forEach((value, column) => {
        const added = at(kept, place + 1, column) - at(kept, place, column);
        const removed = at(leftOut, place + 1, column) - at(leftOut, place, column);
        values[column] = value + added - LEFT_OUT * removed;
      });
    });
  }
  return total.map((values) => values.map((value) => value / ((1 + LEFT_OUT) * (1 + ROUNDS))));
}

/**
 * @param {ArrayLike<number>[]} rows
 * @param {number} row
 * @param {number} column
 */
function at(rows, row, column) {
  return /** @type {number} */ (rows[row]?.[column]);
}

/**
 * @param {number[]} words
 * @returns {number[][]} the first one, the first two, and so on.
 */
function prefixesOf(words) {
  return words.map((_, place) => words.slice(0, place + 1));
}

/**
 * Return the nearest whole number, of two the even one.
 *
 * @param {number} value
 */
function toEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** @param {ArrayLike<number>} row */
function highest(row) {
  return Array.from(row).reduce((best, value, column) => (value > at([row], 0, best) ? column : best), 0);
}

/**
 * A text that the network reads with some of its words left out. A text without words becomes the single
 * unknown token, as an empty text does.
 */
class PartialText {
  /** @type {Map<string, Float32Array>} */
  #known = new Map();

  /**
   * @param {Session} session
   * @param {number[]} ids
   * @param {number[]} words the number of the word of each token; `count` for one that is never left out.
   * @param {number} count the number of words, each of which has a token.
   */
  constructor(session, ids, words, count) {
    this.session = session;
    this.ids = ids;
    this.words = words;
    this.count = count;
  }

  /**
   * @param {number[][]} parts the words that each part has.
   * @returns {Promise<Float32Array[]>} their probabilities.
   */
  async scores(parts) {
    const names = parts.map((kept) => [...kept].sort((a, b) => a - b).join());
    /** @type {Map<string, number[]>} */
    const missing = new Map();
    names.forEach((name, place) => {
      if (!this.#known.has(name)) missing.set(name, this.#idsOf(new Set(parts[place])));
    });
    const order = [...missing].sort(([, a], [, b]) => a.length - b.length);
    for (let first = 0; first < order.length; first += BATCH) {
      const batch = order.slice(first, first + BATCH);
      const rows = await this.session.run(batch.map(([, ids]) => ids));
      batch.forEach(([name], index) => this.#known.set(name, /** @type {Float32Array} */ (rows[index])));
    }
    return names.map((name) => /** @type {Float32Array} */ (this.#known.get(name)));
  }

  /**
   * Return the probabilities of the text up to each word, by continuing from the state after each word.
   *
   * @returns {Promise<Float32Array[]>}
   */
  async read() {
    const ends = new Array(this.count + 1).fill(0);
    this.words.forEach((word, token) => (ends[word] = token + 1)); // the last token of a word counts
    const rows = [];
    let begin = 0;
    /** @type {unknown} */
    let state = null;
    for (const end of ends.slice(0, this.count)) {
      const answer = await this.session.read(this.ids.slice(begin, end), state, true);
      rows.push(answer.probabilities);
      state = answer.state;
      begin = end;
    }
    return rows;
  }

  /** @param {Set<number>} kept */
  #idsOf(kept) {
    const ids = this.ids.filter((_, token) => {
      const word = /** @type {number} */ (this.words[token]);
      return word === this.count || kept.has(word);
    });
    return ids.length ? ids : [UNKNOWN_ID];
  }
}
