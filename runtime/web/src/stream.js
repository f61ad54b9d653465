/**
 * Streams, which classify a text while it arrives, at the cost of the new tokens alone.
 *
 * The text so far may end inside a word, whose token may still change. It is therefore cut after its last
 * separator (white space, or punctuation that is always a token by itself). The tokens before the cut are
 * settled and advance the network's state. The rest, at most the beginning of a word, is scored from that
 * state without advancing it, and again when it has grown.
 *
 * @module
 */

import { checkedFraction, isSure, requireLabels } from "./decision.js";
import { ConfigError, DataError } from "./errors.js";
import { checkedOptions } from "./texts.js";
import { UNKNOWN_ID, characterCount, firstCharacters, reasonForNoLabel, settledLength } from "./tokenizer.js";

/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */
/** @typedef {import("./classifier.js").Session} Session */

/**
 * @typedef {object} Position the state of the network after some tokens.
 * @property {number} tokens
 * @property {boolean} known whether one of the tokens is known.
 * @property {unknown} state of the session's own kind; null at the beginning.
 * @property {ArrayLike<number>} probabilities
 */

/** @type {Position} */
const BEGINNING = { tokens: 0, known: false, state: null, probabilities: [] };

/**
 * One text, classified while it arrives. Made by `Classifier.stream`.
 *
 * After every piece the prediction is that of `predict` for the text so far, however the text is cut into
 * pieces. After the limit at which `predict` stops reading, the prediction no longer changes, and pieces
 * cost nothing.
 */
export class Stream {
  #tokenizer;
  #session;
  #decision;
  /** @type {Uint8Array} */
  #undecoded = new Uint8Array();
  #room;
  #rest = "";
  #settled = BEGINNING;
  /** @type {{ ids: number[], position: Position }} */
  #ahead = { ids: [], position: BEGINNING };
  /** @type {Prediction | null} */
  #prediction = null;
  #over = false;
  #finished = false;
  /** @type {Promise<unknown>} the piece that is being read */
  #reading = Promise.resolve();

  /**
   * @param {Tokenizer} tokenizer
   * @param {Session} session
   * @param {Decision} decision
   */
  constructor(tokenizer, session, decision) {
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#decision = decision;
    this.#room = tokenizer.maxCharacters;
  }

  /**
   * Take the next piece of the text and return the prediction for the text so far.
   *
   * @param {string | Uint8Array} piece text, or UTF-8 cut anywhere: an incomplete character is kept for
   *     the next piece, and invalid bytes are read as U+FFFD. Text may follow bytes that end with a
   *     complete character.
   * @param {object} [options]
   * @param {boolean} [options.final] whether the text ends here.
   * @returns {Promise<Prediction>}
   * @throws {ConfigError} the stream was finished.
   * @throws {DataError} the piece is neither text nor bytes, or it is text inside a character.
   */
  feed(piece, options = {}) {
    const found = this.#reading.then(() => {
      const { final = false } = checkedOptions(options, "final");
      return this.#feed(piece, final);
    });
    this.#reading = found.catch(() => {});
    return found;
  }

  /**
   * Return the prediction for the whole text, and end the stream.
   *
   * @returns {Promise<Prediction>}
   */
  finish() {
    return this.feed("", { final: true });
  }

  /**
   * Return an independent stream with the same text so far, for another continuation. No piece may be
   * in progress.
   *
   * @returns {Stream}
   */
  copy() {
    const other = new Stream(this.#tokenizer, this.#session, this.#decision);
    other.#undecoded = this.#undecoded; // what fields hold is replaced, never changed
    other.#room = this.#room;
    other.#rest = this.#rest;
    other.#settled = this.#settled;
    other.#ahead = this.#ahead;
    other.#prediction = this.#prediction;
    other.#over = this.#over;
    other.#finished = this.#finished;
    return other;
  }

  /**
   * @param {unknown} piece
   * @param {boolean} final
   * @returns {Promise<Prediction>}
   */
  async #feed(piece, final) {
    if (this.#finished) throw new ConfigError("the stream is finished; another text needs another stream");
    const text = this.#decoded(piece, final);
    this.#finished = final;
    if (!this.#prediction || (text && !this.#over)) this.#prediction = await this.#read(text);
    return this.#prediction;
  }

  /**
   * @param {unknown} piece
   * @param {boolean} final
   * @returns {string}
   */
  #decoded(piece, final) {
    if (typeof piece === "string") {
      if (!this.#undecoded.length) return piece;
      if (piece) {
        throw new DataError(
          "a piece of text follows bytes that end inside a character; feed the rest of its bytes first",
        );
      }
      return this.#characters(new Uint8Array(), final);
    }
    const bytes = bytesOf(piece);
    if (!bytes) throw new DataError(`a stream takes text or bytes, not ${typeof piece}`);
    return this.#characters(bytes, final);
  }

  /**
   * Return the complete characters, and keep the bytes of an incomplete one.
   *
   * @param {Uint8Array} piece
   * @param {boolean} final
   */
  #characters(piece, final) {
    const data = new Uint8Array(this.#undecoded.length + piece.length);
    data.set(this.#undecoded);
    data.set(piece, this.#undecoded.length);
    const end = data.length - (final ? 0 : incompleteBytes(data));
    this.#undecoded = data.slice(end);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(data.subarray(0, end));
  }

  /**
   * Read more text and return the prediction for the text so far.
   *
   * @param {string} text
   * @returns {Promise<Prediction>}
   */
  async #read(text) {
    // A character beyond U+FFFF that is cut between pieces counts once.
    const isContinued = /[\ud800-\udbff]$/.test(this.#rest) && /^[\udc00-\udfff]/.test(text);
    const seen = firstCharacters(text, this.#room + Number(isContinued));
    const beyond = seen.length < text.length;
    this.#room -= characterCount(seen) - Number(isContinued);
    const cut = settledLength(seen); // the rest so far holds no separator
    if (cut) {
      const ids = this.#tokenizer.ids(this.#rest + seen.slice(0, cut));
      this.#rest = seen.slice(cut);
      const [settled, beyondSettled] = await this.#reached(ids);
      this.#settled = settled;
      this.#ahead = { ids: [], position: settled };
      this.#over = beyondSettled;
    } else {
      this.#rest += seen;
    }
    const ids = this.#tokenizer.ids(this.#rest);
    const [reached, beyondAhead] = await this.#reached(ids);
    this.#ahead = { ids: ids.slice(0, reached.tokens - this.#settled.tokens), position: reached };
    this.#over ||= beyond;
    const truncated = this.#over || beyondAhead;
    const reason = reached.known ? null : reasonForNoLabel(reached.tokens, truncated);
    // A text without tokens is read as the unknown token.
    const { probabilities } = reached.tokens ? reached : await this.#run(BEGINNING, [UNKNOWN_ID]);
    return this.#decision.predict(probabilities, { tokens: reached.tokens || 1, truncated, reason });
  }

  /**
   * Return the position after these tokens, and whether some are beyond the limit. The tokens that were
   * run ahead before are not run again.
   *
   * @param {number[]} ids
   * @returns {Promise<[Position, boolean]>}
   */
  async #reached(ids) {
    const room = this.#tokenizer.maxTokens - this.#settled.tokens;
    const { ids: known, position } = this.#ahead;
    const isContinued = known.every((id, index) => ids[index] === id);
    const reached = isContinued
      ? await this.#run(position, ids.slice(known.length, Math.max(known.length, room)))
      : await this.#run(this.#settled, ids.slice(0, room));
    return [reached, ids.length > room];
  }

  /**
   * Return the position after tokens that follow a position.
   *
   * @param {Position} position
   * @param {number[]} ids
   * @returns {Promise<Position>}
   */
  async #run(position, ids) {
    if (!ids.length) return position;
    const { probabilities, state } = await this.#session.read(ids, position.state, true);
    return {
      tokens: position.tokens + ids.length,
      known: position.known || this.#tokenizer.knows(ids),
      state,
      probabilities,
    };
  }
}

/**
 * @param {unknown} value
 * @returns {Uint8Array | null}
 */
function bytesOf(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null;
}

/**
 * Return how many bytes at the end of UTF-8 begin a character that is not complete.
 *
 * @param {Uint8Array} data
 * @returns {number}
 */
function incompleteBytes(data) {
  for (let count = 1; count <= Math.min(3, data.length); count++) {
    const lead = /** @type {number} */ (data[data.length - count]);
    if (lead < 0x80) return 0;
    if (lead < 0xc0) continue;
    const size = lead >= 0xf5 || lead < 0xc2 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const second = data[data.length - count + 1] ?? 0x80;
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    const isBegun = count < size && (count === 1 || (second >= low && second <= high));
    return isBegun ? count : 0;
  }
  return 0;
}

/**
 * Yield the pieces of a text until a label is sure. The piece that makes it sure is not yielded, and the
 * source is closed.
 *
 * @param {Iterable<string> | AsyncIterable<string>} pieces the text, cut anywhere: what a language model
 *     streams, for instance.
 * @param {{ labels: readonly string[], stream(): { feed(piece: string): Promise<Prediction> } }} classifier
 *     one that can stream.
 * @param {object} options
 * @param {number} options.stopAt the score, above 0 and up to 1, at which a label that applies is sure.
 * @param {string | readonly string[]} [options.labels] the labels that end the text; any by default.
 * @returns {Guarded}
 * @throws {ConfigError} the classifier cannot stream, `stopAt` is out of range, or a label is unknown.
 */
export function guard(pieces, classifier, options) {
  const { stopAt, labels } = checkedOptions(options, "stopAt", "labels");
  const wanted = labels === undefined ? null : typeof labels === "string" ? [labels] : labels;
  requireLabels(wanted ?? [], classifier.labels);
  return new Guarded(pieces, classifier.stream(), checkedFraction(stopAt, "stopAt", true), wanted);
}

/** Pieces that passed. Made by `guard`. */
export class Guarded {
  /**
   * @param {Iterable<string> | AsyncIterable<string>} pieces
   * @param {{ feed(piece: string): Promise<Prediction> }} stream
   * @param {number} stopAt
   * @param {readonly string[] | null} labels
   */
  constructor(pieces, stream, stopAt, labels) {
    /** @type {Prediction | null} the prediction that ended the text, null if none did */
    this.stopped = null;
    this.passed = this.#passed(pieces, stream, stopAt, labels);
  }

  [Symbol.asyncIterator]() {
    return this.passed;
  }

  /**
   * @param {Iterable<string> | AsyncIterable<string>} pieces
   * @param {{ feed(piece: string): Promise<Prediction> }} stream
   * @param {number} stopAt
   * @param {readonly string[] | null} labels
   * @returns {AsyncGenerator<string, void, undefined>}
   */
  async *#passed(pieces, stream, stopAt, labels) {
    for await (const piece of pieces) {
      const prediction = await stream.feed(piece);
      if (isSure(prediction, stopAt, labels)) {
        this.stopped = prediction;
        return; // which closes the source
      }
      yield piece;
    }
  }
}
