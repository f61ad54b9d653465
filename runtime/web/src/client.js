/**
 * A classifier in a worker, so that a page never waits for it.
 *
 * @module
 */

import { ConfigError, TextgateError, unpacked } from "./errors.js";
import { folderOf } from "./files.js";
import { checkedText, seriesOf, windows } from "./texts.js";

/** @typedef {import("./classifier.js").Facts} Facts */
/** @typedef {import("./classifier.js").Options} Options */
/** @typedef {import("./decision.js").Prediction} Prediction */
/** @typedef {import("./files.js").Source} Source */

const WINDOW = 512; // texts that a page sends together

/** Classifies texts in a worker, with the methods of `Classifier`. Make one with `ClassifierWorker.load`. */
export class ClassifierWorker {
  #worker;
  #facts;
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
    return this.#worker.ask("predict", checkedText(text, "the text"), options);
  }

  /**
   * Return the predictions for texts that run together; see `Classifier.predictions`.
   *
   * @param {readonly string[]} texts
   * @param {{ topK?: number }} [options]
   * @returns {Promise<Prediction[]>}
   */
  async predictions(texts, options = {}) {
    return this.#worker.ask(
      "predictions",
      texts.map((text, index) => checkedText(text, `texts[${index}]`)),
      options,
    );
  }

  /**
   * Yield the predictions for texts, in order; see `Classifier.predictMany`.
   *
   * @param {Iterable<string> | AsyncIterable<string>} texts
   * @param {{ topK?: number }} [options]
   * @returns {AsyncGenerator<Prediction, void, undefined>}
   */
  async *predictMany(texts, options = {}) {
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
    const found = new WorkerStream(this.#worker, id, (other) => {
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
  #id;
  #copied;

  /**
   * @param {Line} worker
   * @param {number} id
   * @param {(id: number) => WorkerStream} copied
   */
  constructor(worker, id, copied) {
    this.#worker = worker;
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
    return this.#worker.ask("feed", this.#id, piece, options);
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

/** Questions to a worker, and its answers. */
class Line {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (problem: Error) => void }>} */
  #open = new Map();
  #calls = 0;
  #worker;
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
    thread.on("message", (/** @type {Answer} */ answer) => line.take(answer));
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
    const answer = this.expect(call);
    try {
      this.#worker.postMessage({ call, method, values });
    } catch (problem) {
      this.#open.delete(call);
      return Promise.reject(
        new ConfigError(
          `a worker cannot be given this: ${problem instanceof Error ? problem.message : problem}`,
        ),
      );
    }
    return answer;
  }

  /**
   * @param {number} call
   * @returns {Promise<any>}
   */
  expect(call) {
    return new Promise((resolve, reject) => this.#open.set(call, { resolve, reject }));
  }

  /**
   * @typedef {{ call: number, result?: unknown, error?: { name: string, message: string } }} Answer
   *
   * @param {Answer} answer
   */
  take({ call, result, error }) {
    const waiting = this.#open.get(call);
    this.#open.delete(call);
    if (error) waiting?.reject(unpacked(error));
    else waiting?.resolve(result);
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
