/**
 * A classifier in a worker, so that a page never waits for it.
 *
 * @module
 */

import { Decision, keptLabels } from "./decision.js";
import { ConfigError, TextgateError, unpacked } from "./errors.js";
import { explanationOf } from "./explanation.js";
import { folderOf } from "./files.js";
import { checkedText, checkedTexts, readable, seriesOf, windows } from "./texts.js";

/** @typedef {import("./classifier.js").Facts} Facts */
/** @typedef {import("./classifier.js").Options} Options */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./explanation.js").Explanation} Explanation */
/** @typedef {import("./explanation.js").Found} Found */
/** @typedef {import("./files.js").Source} Source */
/** @typedef {[row: number[], tokens: number, truncated: boolean, reason: string | null]} Undecided a worker's answer. */

const WINDOW = 512; // texts that a page sends together

/** Classifies texts in a worker, with the methods of `Classifier`. Make one with `ClassifierWorker.load`. */
export class ClassifierWorker {
  #worker;
  #facts;
  #decision;
  #streams = 0;
  /** The streams that nobody holds any more. */
  #forgotten = new FinalizationRegistry((/** @type {number} */ id) => {
    if (this.#worker.isOpen) void this.#worker.ask("forget", id);
  });

  /**
   * @param {Line} worker
   * @param {Facts} facts
   */
  constructor(worker, facts) {
    this.#worker = worker;
    this.#facts = facts;
    const thresholds = facts.thresholds.map(([, threshold]) => threshold);
    this.#decision = new Decision(facts.labels, thresholds, facts.task === "multi-label");
  }

  /**
   * Return a classifier for a bundle, in a new worker.
   *
   * @param {Source} source the URL of its folder, in Node also its path; or its files by name.
   * @param {Omit<Options, "engine" | "onnxruntime">} [options] as for `Classifier.load`.
   * @returns {Promise<ClassifierWorker>}
   */
  static async load(source, options = {}) {
    const place = typeof source === "string" || source instanceof URL ? String(folderOf(source)) : source;
    const worker = await Line.open();
    try {
      return new ClassifierWorker(worker, await worker.ask("load", place, options));
    } catch (problem) {
      worker.close();
      throw problem;
    }
  }

  /**
   * The labels, in the order of `scores`.
   *
   * @returns {readonly string[]}
   */
  get labels() {
    return this.#facts.labels;
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
   * Return the prediction for one text; see `Classifier.predict`.
   *
   * @param {string} text
   * @param {{ topK?: number }} [options]
   * @returns {Promise<Prediction>}
   */
  async predict(text, options = {}) {
    const kept = keptLabels(options, this.labels);
    const read = readable(checkedText(text, "the text"), this.#facts.maxTokens);
    return decided(this.#decision, await this.#worker.ask("predict", read), kept);
  }

  /**
   * Return how much each word spoke for and against each label; see `Classifier.explain`.
   *
   * @param {string} text
   * @param {{ topK?: number }} [options]
   * @returns {Promise<Explanation>}
   */
  async explain(text, options = {}) {
    const kept = keptLabels(options, this.labels);
    const read = readable(checkedText(text, "the text"), this.#facts.maxTokens);
    /** @type {Found} */
    const answer = await this.#worker.ask("found", read);
    const prediction = this.#decision.predict(answer.row, answer.read, kept);
    return explanationOf(text, answer, prediction, this.labels, kept !== null);
  }

  /**
   * Return the predictions for texts that run together; see `Classifier.predictions`.
   *
   * @param {readonly string[]} texts
   * @param {{ topK?: number }} [options]
   * @returns {Promise<Prediction[]>}
   */
  async predictions(texts, options = {}) {
    const kept = keptLabels(options, this.labels);
    const read = checkedTexts(texts).map((text) => readable(text, this.#facts.maxTokens));
    /** @type {Undecided[]} */
    const found = await this.#worker.ask("predictions", read);
    return found.map((one) => decided(this.#decision, one, kept));
  }

  /**
   * Yield the predictions for texts, in order; see `Classifier.predictMany`.
   *
   * @param {Iterable<string> | AsyncIterable<string>} texts
   * @param {{ topK?: number }} [options]
   * @returns {AsyncGenerator<Prediction, void, undefined>}
   */
  async *predictMany(texts, options = {}) {
    keptLabels(options, this.labels);
    for await (const window of windows(seriesOf(texts), WINDOW))
      yield* await this.predictions(window, options);
  }

  /**
   * Return a stream, which classifies one text while it arrives; see `Classifier.stream`.
   *
   * @returns {WorkerStream}
   */
  stream() {
    if (!this.#facts.streaming) {
      throw new ConfigError(
        "the model cannot stream: its network is bidirectional; train one with --one-directional",
      );
    }
    const id = ++this.#streams;
    return this.#held(id, this.#worker.ask("stream", id));
  }

  /** End the worker; the classifier cannot be used afterwards. */
  close() {
    this.#worker.close();
  }

  /**
   * @param {number} id
   * @param {Promise<unknown>} made
   * @returns {WorkerStream}
   */
  #held(id, made) {
    made.catch(() => {}); // the first piece says it
    const found = new WorkerStream(this.#worker, this.#decision, this.#facts.maxTokens, id, (other) => {
      const next = ++this.#streams;
      return this.#held(next, this.#worker.ask("copy", other, next));
    });
    this.#forgotten.register(found, id);
    return found;
  }
}

/** One text, classified while it arrives, with the methods of `Stream`. Made by `ClassifierWorker.stream`. */
export class WorkerStream {
  #worker;
  #decision;
  #maxTokens;
  #id;
  #copied;

  /**
   * @param {Line} worker
   * @param {Decision} decision
   * @param {number} maxTokens
   * @param {number} id
   * @param {(id: number) => WorkerStream} copied
   */
  constructor(worker, decision, maxTokens, id, copied) {
    this.#worker = worker;
    this.#decision = decision;
    this.#maxTokens = maxTokens;
    this.#id = id;
    this.#copied = copied;
  }

  /**
   * Take the next piece of the text and return the prediction for the text so far; see `Stream.feed`.
   *
   * @param {string | Uint8Array} piece
   * @param {{ final?: boolean }} [options]
   * @returns {Promise<Prediction>}
   */
  async feed(piece, options = {}) {
    const read = typeof piece === "string" ? readable(piece, this.#maxTokens) : piece;
    return decided(this.#decision, await this.#worker.ask("feed", this.#id, read, options));
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
   * Return an independent stream with the same text so far, for another continuation.
   *
   * @returns {WorkerStream}
   */
  copy() {
    return this.#copied(this.#id);
  }
}

/**
 * @param {Decision} decision
 * @param {Undecided} answer
 * @param {number | null} [kept]
 * @returns {Prediction}
 */
function decided(decision, [row, tokens, truncated, reason], kept = null) {
  return decision.predict(row, { tokens, truncated, reason }, kept);
}

/** Questions to a worker, and its answers. */
class Line {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (problem: Error) => void }>} */
  #open = new Map();
  #calls = 0;
  #worker;
  /** @type {import("./worker.js").Call[]} those that the worker gets together: a message takes longer than a call */
  #queue = [];
  isOpen = true;

  /** @param {Pick<Worker, "postMessage" | "terminate">} worker */
  constructor(worker) {
    this.#worker = worker;
  }

  /**
   * Start a worker, and wait until it listens.
   *
   * @returns {Promise<Line>}
   */
  static async open() {
    if (!globalThis.Worker) return Line.openInNode();
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    const line = new Line(worker);
    const ready = line.expect(0);
    worker.addEventListener("message", ({ data }) => line.take(data));
    worker.addEventListener("error", ({ message }) => line.fail(message || "its script cannot be loaded"));
    return ready.then(() => line);
  }

  /** @returns {Promise<Line>} */
  static async openInNode() {
    const name = "node:worker_threads";
    const { Worker: Thread } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
    const thread = new Thread(new URL("./worker.js", import.meta.url));
    const line = new Line(thread);
    const ready = line.expect(0);
    thread.on("message", (/** @type {import("./worker.js").Answer[]} */ answers) => line.take(answers));
    thread.on("error", (/** @type {Error} */ problem) => line.fail(problem.message));
    return ready.then(() => line);
  }

  /**
   * Call a method of the worker.
   *
   * @param {string} method
   * @param {...unknown} values
   * @returns {Promise<any>}
   */
  ask(method, ...values) {
    if (!this.isOpen) return Promise.reject(new ConfigError("the classifier was closed"));
    const call = ++this.#calls;
    if (this.#queue.push([call, method, ...values]) === 1) queueMicrotask(() => this.#send());
    return this.expect(call);
  }

  #send() {
    const queue = this.#queue;
    this.#queue = [];
    if (!this.isOpen) return;
    try {
      this.#worker.postMessage(queue);
    } catch {
      for (const call of queue) this.#sendAlone(call);
    }
  }

  /** @param {import("./worker.js").Call} call */
  #sendAlone(call) {
    try {
      this.#worker.postMessage([call]);
    } catch (problem) {
      const told = problem instanceof Error ? problem.message : problem;
      this.#open.get(call[0])?.reject(new ConfigError(`a worker cannot be given this: ${told}`));
      this.#open.delete(call[0]);
    }
  }

  /**
   * @param {number} call
   * @returns {Promise<any>}
   */
  expect(call) {
    return new Promise((resolve, reject) => this.#open.set(call, { resolve, reject }));
  }

  /** @param {import("./worker.js").Answer[]} answers */
  take(answers) {
    for (const [call, result, error] of answers) {
      const waiting = this.#open.get(call);
      this.#open.delete(call);
      if (error) waiting?.reject(unpacked(error));
      else waiting?.resolve(result);
    }
  }

  /** @param {string} message */
  fail(message) {
    this.close(new TextgateError(`the worker failed: ${message}`));
  }

  /** @param {Error} [problem] what calls in progress are told. */
  close(problem = new ConfigError("the classifier was closed")) {
    this.isOpen = false;
    void this.#worker.terminate();
    for (const { reject } of this.#open.values()) reject(problem);
    this.#open.clear();
  }
}
