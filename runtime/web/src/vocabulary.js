/**
 * From a word to ids: a vocabulary of whole words, or one with pieces (Sennrich et al. 2016, byte-pair
 * encoding) and bytes.
 *
 * @module
 */

const MAX_IDS = 2 ** 24;
const SHORT = 24; // pieces of a word for which a queue does not pay

/** Whole words alone. */
export class WholeWords {
  /**
   * @param {Map<string, number>} ids
   * @param {string} unknownToken
   */
  constructor(ids, unknownToken) {
    this.words = ids;
    this.unknown = /** @type {number} */ (ids.get(unknownToken));
    this.unknownIds = new Set([this.unknown]);
  }

  /**
   * @param {string} word
   * @returns {number[]}
   */
  ids(word) {
    return [this.words.get(word) ?? this.unknown];
  }

  /**
   * Return the part of a word that each of its ids stands for.
   *
   * @param {string} word
   * @param {number[]} _ its ids.
   * @returns {[begin: number, end: number][]}
   */
  spans(word, _) {
    return [[0, word.length]];
  }
}

/** Words, pieces that are merged from characters, and the bytes of other characters. */
export class Vocabulary {
  /** @type {Map<number, number> | undefined} lengths of the pieces by id, once they are needed */
  #lengths;

  /**
   * @param {Map<string, number>} ids
   * @param {string} unknownToken
   * @param {[number, number, number][]} merges two ids and the id of both together, the first merge first.
   */
  constructor(ids, unknownToken, merges) {
    this.words = ids;
    this.unknown = /** @type {number} */ (ids.get(unknownToken));
    /** @type {(number | undefined)[]} */
    this.bytes = Array.from({ length: 256 }, (_, byte) => {
      return ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    });
    this.unknownIds = new Set([this.unknown, ...this.bytes]);
    /** @type {Map<number, number>} rank of a merge, by both ids */
    this.ranks = new Map();
    this.merged = merges.map(([, , both]) => both);
    merges.forEach(([first, second], rank) => this.ranks.set(first * MAX_IDS + second, rank));
  }

  /**
   * @param {string} word
   * @returns {number[]}
   */
  ids(word) {
    const whole = this.words.get(word);
    if (whole !== undefined) return [whole];
    const ids = this.#characters(word);
    return ids.length <= SHORT ? this.#mergedShort(ids) : this.#mergedLong(ids);
  }

  /**
   * Return the part of a word that each of its ids stands for; the bytes of a character stand for all of it.
   *
   * @param {string} word
   * @param {number[]} ids its ids.
   * @returns {[begin: number, end: number][]}
   */
  spans(word, ids) {
    if (ids.length === 1) return [[0, word.length]];
    this.#lengths ??= new Map(Array.from(this.words, ([piece, id]) => [id, piece.length]));
    let begin = 0,
      bytes = 0; // that are left of a character
    return ids.map((id) => {
      const point = /** @type {number} */ (word.codePointAt(begin)),
        width = point > 0xffff ? 2 : 1;
      if (id === this.unknown) return [begin, (begin += width)];
      if (!this.unknownIds.has(id)) return [begin, (begin += /** @type {number} */ (this.#lengths?.get(id)))];
      const from = begin;
      bytes ||= point < 0x80 ? 1 : point < 0x800 ? 2 : point > 0xffff ? 4 : 3;
      if (--bytes === 0) begin += width;
      return [from, from + width];
    });
  }

  /**
   * @param {string} word
   * @returns {number[]}
   */
  #characters(word) {
    const ids = [];
    for (const character of word) {
      const id = this.words.get(character);
      if (id !== undefined) {
        ids.push(id);
        continue;
      }
      const bytes = Array.from(new TextEncoder().encode(character), (byte) => this.bytes[byte]);
      if (bytes.includes(undefined)) ids.push(this.unknown);
      else ids.push(.../** @type {number[]} */ (bytes));
    }
    return ids;
  }

  /**
   * @param {number | undefined} first
   * @param {number | undefined} second
   * @returns {number} the rank of their merge; Infinity if they are not merged
   */
  #rank(first, second) {
    if (first === undefined || second === undefined) return Infinity;
    return this.ranks.get(first * MAX_IDS + second) ?? Infinity;
  }

  /**
   * Merge the first pair of the lowest rank, until there is none.
   *
   * @param {number[]} ids changed in place.
   * @returns {number[]}
   */
  #mergedShort(ids) {
    for (;;) {
      let best = Infinity,
        place = 0;
      for (let at = 0; at + 1 < ids.length; at++) {
        const rank = this.#rank(ids[at], ids[at + 1]);
        if (rank < best) [best, place] = [rank, at];
      }
      if (best === Infinity) return ids;
      ids.splice(place, 2, /** @type {number} */ (this.merged[best]));
    }
  }

  /**
   * The same with a queue, for words of thousands of characters.
   *
   * @param {number[]} ids changed in place.
   * @returns {number[]}
   */
  #mergedLong(ids) {
    const count = ids.length,
      queue = new Queue();
    const before = Int32Array.from(ids, (_, at) => at - 1),
      after = Int32Array.from(ids, (_, at) => at + 1);
    const rankAt = (/** @type {number} */ at) => this.#rank(ids[at], ids[/** @type {number} */ (after[at])]);
    const add = (/** @type {number} */ at) => {
      const rank = at < 0 ? Infinity : rankAt(at);
      if (rank !== Infinity) queue.add(rank, at);
    };
    for (let at = 0; at + 1 < count; at++) add(at);
    for (let best = queue.take(); best; best = queue.take()) {
      const [rank, at] = best;
      const next = /** @type {number} */ (after[at]);
      if (ids[at] === -1 || rankAt(at) !== rank) continue; // one of both was merged with another
      ids[at] = /** @type {number} */ (this.merged[rank]);
      ids[next] = -1;
      const end = /** @type {number} */ (after[next]);
      after[at] = end;
      if (end < count) before[end] = at;
      add(/** @type {number} */ (before[at]));
      add(at);
    }
    return ids.filter((id) => id !== -1);
  }
}

/** A queue of merges, the lowest rank first, and of these the first place (a binary heap). */
class Queue {
  /** @type {[number, number][]} rank and place */
  #items = [];

  /**
   * @param {number} rank
   * @param {number} place
   */
  add(rank, place) {
    const items = this.#items;
    let at = items.length;
    items.push([rank, place]);
    while (at) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** @returns {[number, number] | undefined} */
  take() {
    const items = this.#items,
      first = items[0],
      last = items.pop();
    if (items.length === 0 || !last) return first;
    items[0] = last;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < items.length && this.#isBefore(child, least)) least = child;
      }
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }

  /**
   * @param {number} left
   * @param {number} right
   */
  #isBefore(left, right) {
    const [rank, place] = /** @type {[number, number]} */ (this.#items[left]);
    const [otherRank, otherPlace] = /** @type {[number, number]} */ (this.#items[right]);
    return rank < otherRank || (rank === otherRank && place < otherPlace);
  }

  /**
   * @param {number} left
   * @param {number} right
   */
  #swap(left, right) {
    const items = this.#items,
      held = /** @type {[number, number]} */ (items[left]);
    items[left] = /** @type {[number, number]} */ (items[right]);
    items[right] = held;
  }
}
