/**
 * Predictions, and the decision that turns probabilities into a prediction.
 *
 * @module
 */

import { ConfigError, shown } from "./errors.js";
import { checkedOptions } from "./texts.js";

const DEFAULT_THRESHOLD = 0.5; // of a label without its own in a multi-label model

/**
 * @typedef {object} Prediction the prediction for one text.
 * @property {string | null} label the most probable label that applies; null if no label applies or the
 *     classifier abstains.
 * @property {string[]} labels all labels that apply, the most probable first: at most one for a
 *     single-label model, any number for a multi-label one.
 * @property {number} score the probability of `topLabel`, from 0 to 1.
 * @property {Map<string, number>} scores the probabilities of all labels, in the bundle's order; or of the
 *     `topK` most probable labels, the most probable first.
 * @property {string} topLabel the most probable label, even if it is below its threshold or the text has
 *     no known token.
 * @property {string | null} reason the reason why `label` is null; null if there is a label.
 * @property {number} tokens how many tokens were read.
 * @property {boolean} truncated whether the text has more tokens than were read.
 */

/**
 * @typedef {object} Read what a prediction says about the text, whatever the probabilities.
 * @property {number} tokens
 * @property {boolean} truncated
 * @property {string | null} reason why the text gets no label; null if it may get one.
 */

/** Turns probabilities into predictions. */
export class Decision {
  /**
   * @param {readonly string[]} labels in the order of the columns.
   * @param {readonly (number | null)[]} thresholds of each label; null for none of its own.
   * @param {boolean} multiLabel whether several labels may apply.
   */
  constructor(labels, thresholds, multiLabel) {
    this.labels = labels;
    this.thresholds = thresholds;
    this.multiLabel = multiLabel;
  }

  /**
   * Return the prediction for one row of probabilities.
   *
   * @param {ArrayLike<number>} row the probability of each label.
   * @param {Read} read
   * @param {number | null} [topK] how many labels, the most probable ones, are in `scores`.
   * @returns {Prediction}
   */
  predict(row, { tokens, truncated, reason }, topK = null) {
    const probabilities = Array.from(row);
    const order = probabilities.map((_, column) => column);
    order.sort((a, b) => /** @type {number} */ (probabilities[b]) - /** @type {number} */ (probabilities[a]));
    const top = /** @type {number} */ (order[0]),
      score = /** @type {number} */ (probabilities[top]);
    const name = (/** @type {number} */ column) => /** @type {string} */ (this.labels[column]);
    /** @type {string[]} */
    let labels = [];
    if (reason === null) {
      const candidates = this.multiLabel ? order : [top];
      labels = candidates
        .filter((column) => this.#applies(column, /** @type {number} */ (probabilities[column])))
        .map(name);
      reason = labels.length ? null : this.#shortfall(score, top);
    }
    const shownColumns = topK === null ? probabilities.map((_, column) => column) : order.slice(0, topK);
    return {
      label: labels[0] ?? null,
      labels,
      score,
      scores: new Map(
        shownColumns.map((column) => [name(column), /** @type {number} */ (probabilities[column])]),
      ),
      topLabel: name(top),
      reason,
      tokens,
      truncated,
    };
  }

  /**
   * @param {number} column
   * @param {number} probability
   */
  #applies(column, probability) {
    const threshold = this.thresholds[column] ?? (this.multiLabel ? DEFAULT_THRESHOLD : null);
    return threshold === null || probability >= threshold;
  }

  /**
   * @param {number} score
   * @param {number} top
   * @returns {string} the reason why no label applies
   */
  #shortfall(score, top) {
    if (this.multiLabel) return "no label reaches its threshold";
    const threshold = /** @type {number} */ (this.thresholds[top]);
    const label = quoted(/** @type {string} */ (this.labels[top]));
    return `${thousandths(score)} is below the threshold ${general(threshold)} of ${label}`;
  }
}

/**
 * Return the number of labels whose scores are kept; null for all.
 *
 * @param {{ topK?: number | undefined }} options
 * @param {readonly string[]} labels
 * @returns {number | null}
 */
export function keptLabels(options, labels) {
  const { topK } = checkedOptions(options, "topK");
  return topK === undefined ? null : wholeNumber(topK, "topK", labels.length);
}

/**
 * Return whether a label that applies, one of these if they are given, has such a score.
 *
 * @param {Prediction} prediction with the scores of all labels.
 * @param {number} stopAt the score at which a label is sure.
 * @param {readonly string[] | null} [labels]
 * @returns {boolean}
 */
export function isSure(prediction, stopAt, labels = null) {
  return prediction.labels.some((label) => {
    return (
      /** @type {number} */ (prediction.scores.get(label)) >= stopAt && (!labels || labels.includes(label))
    );
  });
}

/**
 * Return the threshold of each label; null for none.
 *
 * @param {unknown} thresholds one for all labels, or an object or map of thresholds by label.
 * @param {readonly string[]} labels
 * @returns {(number | null)[]}
 * @throws {ConfigError} a threshold is not a number from 0 to 1, or its label is unknown.
 */
export function thresholdsOf(thresholds, labels) {
  if (typeof thresholds !== "object" || thresholds === null) {
    return labels.map(() => checkedFraction(thresholds, "thresholds"));
  }
  const given = thresholds instanceof Map ? thresholds : new Map(Object.entries(thresholds));
  requireLabels([...given.keys()], labels);
  return labels.map((label) => {
    return given.has(label) ? checkedFraction(given.get(label), `the threshold of ${quoted(label)}`) : null;
  });
}

/**
 * Refuse labels that a classifier does not have.
 *
 * @param {readonly string[]} names
 * @param {readonly string[]} labels
 */
export function requireLabels(names, labels) {
  for (const name of names) {
    if (!labels.includes(name)) {
      throw new ConfigError(`${shown(name)} is not a label; the labels are ${labels.join(", ")}`);
    }
  }
}

/**
 * Return a number from 0 to 1.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {boolean} [positive] whether 0 is refused.
 * @returns {number}
 */
export function checkedFraction(value, name, positive = false) {
  if (typeof value === "number" && value >= 0 && value <= 1 && !(positive && value === 0)) return value;
  throw new ConfigError(
    `${name} must be a number ${positive ? "above 0 and up to 1" : "from 0 to 1"}, not ${shown(value)}`,
  );
}

/**
 * Return a whole number of at least 1.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} limit the largest accepted number.
 * @returns {number}
 */
export function wholeNumber(value, name, limit = Infinity) {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= limit) return value;
  const wanted = limit === Infinity ? "of at least 1" : `from 1 to ${limit}`;
  throw new ConfigError(`${name} must be a whole number ${wanted}, not ${shown(value)}`);
}

/**
 * Return a number with three digits, as Python writes it: a tie goes to the even digit.
 *
 * @param {number} value
 */
function thousandths(value) {
  const twice = value * 2000;
  const isTie = Number.isInteger(twice) && twice % 2 === 1;
  return isTie ? ((2 * Math.round(twice / 4)) / 1000).toFixed(3) : value.toFixed(3);
}

/**
 * Return a number from 0 to 1 with six digits, as Python's format "g" writes it.
 *
 * @param {number} value
 */
function general(value) {
  const rounded = Number(value.toPrecision(6));
  if (rounded === 0 || rounded >= 1e-4) return String(rounded);
  const [mantissa, exponent] = rounded.toExponential().split("e-");
  return `${mantissa}e-${String(exponent).padStart(2, "0")}`;
}

/**
 * Return a text in quotes, as Python's repr writes it.
 *
 * @param {string} text
 */
function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\\p{C}]|(?! )\p{Z}/gu, (character) => {
    const short = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    if (short) return short;
    const point = /** @type {number} */ (character.codePointAt(0)),
      hex = point.toString(16);
    return point < 0x100
      ? `\\x${hex.padStart(2, "0")}`
      : point < 0x10000
        ? `\\u${hex.padStart(4, "0")}`
        : `\\U${hex.padStart(8, "0")}`;
  });
  return `${mark}${mark === "'" ? escaped.replaceAll("'", "\\'") : escaped}${mark}`;
}
