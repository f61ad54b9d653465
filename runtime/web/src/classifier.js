/**
 * Classifier of texts, loaded from a bundle.
 *
 * @module
 */

import { Decision, keptLabels, thresholdsOf, wholeNumber } from "./decision.js";
import { EngineSession, engineModule } from "./engine.js";
import { BundleError, ConfigError, shown } from "./errors.js";
import { explanationOf, found } from "./explanation.js";
import { readBundle } from "./files.js";
import { readGraph } from "./graph.js";
import { GRAPH, TOKENIZER } from "./manifest.js";
import { modelBytes } from "./model.js";
import { OnnxSession } from "./onnxruntime.js";
import { Stream } from "./stream.js";
import { checkedOptions, checkedText, checkedTexts, seriesOf, windows } from "./texts.js";
import { Tokenizer } from "./tokenizer.js";

/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./explanation.js").Explanation} Explanation */
/** @typedef {import("./explanation.js").Found} Found */
/** @typedef {import("./files.js").Source} Source */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./onnxruntime.js").OnnxRuntime} OnnxRuntime */

/**
 * @typedef {object} Session computes a network.
 * @property {(ids: number[], state?: unknown, keepState?: boolean) => Answer | Promise<Answer>} read
 * @property {(texts: number[][]) => Float32Array[] | Promise<Float32Array[]>} run
 */
/**
 * @typedef {object} Answer
 * @property {Float32Array} probabilities
 * @property {unknown} state
 */

/**
 * @typedef {object} Options
 * @property {"native" | "onnxruntime"} [engine] what computes the network: `native`, textgate's own in
 *     WebAssembly, or `onnxruntime`, for which `onnxruntime` must be given. `native` by default.
 * @property {OnnxRuntime} [onnxruntime] the module `onnxruntime-web`.
 * @property {number} [maxTokens] how many tokens of a text are read, if fewer than the bundle's limit.
 * @property {number | Record<string, number> | Map<string, number>} [thresholds] thresholds by label, or
 *     one for all labels, instead of the bundle's own.
 */

/**
 * @typedef {object} Facts of a loaded model.
 * @property {string} source where it comes from; empty for files.
 * @property {string[]} labels
 * @property {"single-label" | "multi-label"} task
 * @property {string} cell
 * @property {string} precision
 * @property {number} maxTokens
 * @property {[string, number | null][]} thresholds
 * @property {number} temperature
 * @property {boolean} streaming
 * @property {string} checksum
 * @property {{ name: string, detail: string }} engine
 * @property {Record<string, number>} bytes of each file, by name.
 */

const BATCH = 32; // texts that run together
const WINDOW = 16 * BATCH; // texts that are sorted by length together

/** Classifies texts with a bundle. Make one with `Classifier.load`. */
export class Classifier {
  #tokenizer;
  /** @type {Session | null} */
  #session;
  #decision;
  #facts;

  /**
   * @param {Tokenizer} tokenizer
   * @param {Session} session
   * @param {Decision} decision
   * @param {Facts} facts
   */
  constructor(tokenizer, session, decision, facts) {
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#decision = decision;
    this.#facts = facts;
  }

  /**
   * Return a classifier for a bundle.
   *
   * @param {Source} source the URL of its folder, in Node also its path; or its files by name.
   * @param {Options} [options]
   * @returns {Promise<Classifier>}
   * @throws {BundleError} the bundle is damaged, unsafe, or of another version.
   * @throws {DownloadError} a file cannot be downloaded.
   * @throws {ConfigError} an option is out of range or names an unknown label.
   * @throws {UnsupportedError} there is no WebAssembly with SIMD here.
   */
  static async load(source, options = {}) {
    return opened(source, options, Decision);
  }

  /**
   * The labels, in the order of `scores`.
   *
   * @returns {readonly string[]}
   */
  get labels() {
    return this.#decision.labels;
  }

  /**
   * Return the facts of the loaded model.
   *
   * @returns {Facts}
   */
  describe() {
    return structuredClone(this.#facts);
  }

  /**
   * Return the prediction for one text. A text without a known token gets no label, whatever the
   * probabilities.
   *
   * @param {string} text
   * @param {object} [options]
   * @param {number} [options.topK] how many labels, the most probable first, keep their scores.
   * @returns {Promise<Prediction>}
   * @throws {ConfigError} `topK` is not from 1 to the number of labels.
   * @throws {DataError} the text is not a string.
   */
  async predict(text, options = {}) {
    const kept = keptLabels(options, this.labels);
    const session = this.#required();
    const encoded = this.#tokenizer.encode(checkedText(text, "the text"));
    const { probabilities } = await session.read(encoded.ids);
    return this.#decision.predict(probabilities, { ...encoded, tokens: encoded.ids.length }, kept);
  }

  /**
   * Return how much each word of a text spoke for and against each label. The network reads the text a few
   * hundred times, each time with other words left out.
   *
   * @param {string} text
   * @param {object} [options]
   * @param {number} [options.topK] how many labels, the most probable ones, are explained; all by default.
   * @returns {Promise<Explanation>}
   * @throws {ConfigError} `topK` is not from 1 to the number of labels.
   * @throws {DataError} the text is not a string.
   */
  async explain(text, options = {}) {
    const kept = keptLabels(options, this.labels);
    const answer = await this.found(checkedText(text, "the text"));
    const prediction = this.#decision.predict(answer.row, answer.read, kept);
    return explanationOf(text, answer, prediction, this.labels, kept !== null);
  }

  /**
   * Return what `explain` tells, before a decision.
   *
   * @param {string} text
   * @returns {Promise<Found>}
   */
  found(text) {
    const session = this.#required();
    return found(text, { tokenizer: this.#tokenizer, session, streams: this.#facts.streaming });
  }

  /**
   * Yield the predictions for texts, in order, reading a little ahead.
   *
   * If one of them is not a string, the texts before it are answered first.
   *
   * @param {Iterable<string> | AsyncIterable<string>} texts
   * @param {object} [options]
   * @param {number} [options.topK] as for `predict`.
   * @returns {AsyncGenerator<Prediction, void, undefined>}
   */
  async *predictMany(texts, options = {}) {
    keptLabels(options, this.labels);
    this.#required();
    for await (const window of windows(seriesOf(texts), WINDOW))
      yield* await this.predictions(window, options);
  }

  /**
   * Return a stream, which classifies one text while it arrives.
   *
   * @returns {Stream}
   * @throws {ConfigError} the bundle cannot stream, because its network is bidirectional.
   */
  stream() {
    const session = this.#required();
    if (!this.#facts.streaming) {
      throw new ConfigError(
        "the model cannot stream: its network is bidirectional; train one with --one-directional",
      );
    }
    return new Stream(this.#tokenizer, session, this.#decision);
  }

  /** Release the network; the classifier cannot be used afterwards. */
  close() {
    this.#session = null;
  }

  /**
   * Return the predictions for texts that run together.
   *
   * @param {readonly string[]} texts
   * @param {object} [options]
   * @param {number} [options.topK] as for `predict`.
   * @returns {Promise<Prediction[]>}
   */
  async predictions(texts, options = {}) {
    const kept = keptLabels(options, this.labels),
      session = this.#required();
    const encoded = checkedTexts(texts).map((text) => this.#tokenizer.encode(text));
    const order = [...encoded].sort((a, b) => a.ids.length - b.ids.length);
    const rows = new Map();
    for (let first = 0; first < order.length; first += BATCH) {
      const batch = order.slice(first, first + BATCH);
      const found = await session.run(batch.map(({ ids }) => ids));
      batch.forEach((item, index) => rows.set(item, found[index]));
    }
    return encoded.map((item) => {
      return this.#decision.predict(rows.get(item), { ...item, tokens: item.ids.length }, kept);
    });
  }

  #required() {
    if (!this.#session) throw new ConfigError("the classifier was closed");
    return this.#session;
  }
}

/**
 * Return a classifier for a bundle, with a decision of one's own.
 *
 * @param {Source} source
 * @param {Options} options
 * @param {typeof Decision} Decides
 * @returns {Promise<Classifier>}
 */
export async function opened(source, options, Decides) {
  const {
    engine = "native",
    onnxruntime,
    maxTokens,
    thresholds,
  } = checkedOptions(options, "engine", "onnxruntime", "maxTokens", "thresholds");
  if (engine !== "native" && engine !== "onnxruntime") {
    throw new ConfigError(`engine must be one of native, onnxruntime, not ${shown(engine)}`);
  }
  if (engine === "onnxruntime" && !onnxruntime) {
    throw new ConfigError(
      "engine 'onnxruntime' needs the option onnxruntime: await import('onnxruntime-web')",
    );
  }
  const compiled = engine === "native" ? engineModule() : null;
  compiled?.catch(() => {}); // it is awaited below, unless the bundle has a fault
  const { where, manifest, graph, tokenizer: content } = await readBundle(source);
  const tokenizer = new Tokenizer(content, {
    rows: manifest.architecture.vocabulary_size,
    maxTokens:
      maxTokens === undefined
        ? manifest.max_tokens
        : wholeNumber(maxTokens, "maxTokens", manifest.max_tokens),
    where: `${where}${TOKENIZER}`,
  });
  const multiLabel = manifest.architecture.output === "multi-label";
  const decision = new Decides(
    manifest.labels,
    thresholds === undefined ? manifest.thresholds : thresholdsOf(thresholds, manifest.labels),
    multiLabel,
  );
  const facts = factsOf(manifest, where, decision, tokenizer);
  try {
    const model = modelBytes(readGraph(graph), manifest);
    if (!compiled) {
      facts.engine = { name: "onnxruntime", detail: "onnxruntime-web" };
      const session = await OnnxSession.open(/** @type {OnnxRuntime} */ (onnxruntime), graph, manifest);
      return new Classifier(tokenizer, session, decision, facts);
    }
    const session = new EngineSession(await compiled, model);
    facts.engine = { name: "native", detail: session.instructions };
    return new Classifier(tokenizer, session, decision, facts);
  } catch (problem) {
    if (problem instanceof BundleError) throw new BundleError(`${where}${GRAPH}: ${problem.message}`);
    throw problem;
  }
}

/**
 * @param {Manifest} manifest
 * @param {string} source
 * @param {Decision} decision
 * @param {Tokenizer} tokenizer
 * @returns {Facts}
 */
function factsOf(manifest, source, decision, tokenizer) {
  return {
    source,
    labels: [...manifest.labels],
    task: decision.multiLabel ? "multi-label" : "single-label",
    cell: manifest.architecture.cell,
    precision: manifest.precision,
    maxTokens: tokenizer.maxTokens,
    thresholds: manifest.labels.map((label, column) => [label, decision.thresholds[column] ?? null]),
    temperature: manifest.temperature,
    streaming: manifest.state.length > 0,
    checksum: manifest.checksum,
    engine: { name: "", detail: "" },
    bytes: Object.fromEntries(Array.from(manifest.files, ([name, { size }]) => [name, size])),
  };
}
