/**
 * The same answers by onnxruntime-web, which the page brings.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { readGraph } from "./graph.js";
import { Budget, Message, without } from "./protobuf.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {Record<string, { data: Float32Array }>} Tensors */
/**
 * @typedef {object} OnnxRuntime what is used of the module `onnxruntime-web`.
 * @property {{ create(graph: Uint8Array, options?: object): Promise<any> }} InferenceSession
 * @property {new (type: any, data: any, dims: number[]) => any} Tensor
 */

const ROUNDING = 1e-3; // of a sum of float32 probabilities

export class OnnxSession {
  #module;
  #session;
  #manifest;
  #start;

  /**
   * @param {OnnxRuntime} module
   * @param {any} session
   * @param {Manifest} manifest
   * @param {Tensors} start the states at the beginning of a text.
   */
  constructor(module, session, manifest, start) {
    this.#module = module;
    this.#session = session;
    this.#manifest = manifest;
    this.#start = start;
  }

  /**
   * @param {OnnxRuntime} module
   * @param {Uint8Array} graph checked, as by `modelBytes`.
   * @param {Manifest} manifest
   * @returns {Promise<OnnxSession>}
   */
  static async open(module, graph, manifest) {
    const names = manifest.state.map(({ input }) => input);
    const constants = readGraph(graph).constants.filter(({ name }) => names.includes(name));
    const start = constants.map(({ name, dims, data }) => {
      return [name, new module.Tensor("float32", new Float32Array(data.slice().buffer), dims)];
    });
    // A constant may be overridden in ONNX Runtime, but not in onnxruntime-web.
    const open = without(graph, 7, 5, (tensor) =>
      names.includes(new Message(tensor, "constant", new Budget()).text(8)),
    );
    try {
      const session = await module.InferenceSession.create(open, {
        executionProviders: ["wasm"],
        logSeverityLevel: 3,
      });
      return new OnnxSession(module, session, manifest, Object.fromEntries(start));
    } catch (problem) {
      throw new BundleError(`onnxruntime-web does not accept the graph: ${oneLine(problem)}`);
    }
  }

  /**
   * Return the probabilities of one text, and the state of the network after it.
   *
   * @param {number[]} ids
   * @param {unknown} [state]
   * @param {boolean} [keepState]
   * @returns {Promise<{ probabilities: Float32Array, state: Tensors | null }>}
   */
  async read(ids, state = null, keepState = false) {
    const kept = keepState ? this.#manifest.state : [];
    const found = await this.#run(
      [ids],
      /** @type {Tensors | null} */ (state),
      kept.map(({ output }) => output),
    );
    const probabilities = tensor(found, "probabilities").data;
    if (!keepState) return { probabilities, state: null };
    return {
      probabilities,
      state: Object.fromEntries(kept.map(({ input, output }) => [input, tensor(found, output)])),
    };
  }

  /**
   * Return the probabilities of texts, each from its beginning.
   *
   * @param {number[][]} texts
   * @returns {Promise<Float32Array[]>}
   */
  async run(texts) {
    const labels = this.#manifest.labels.length;
    const { data } = tensor(await this.#run(texts, null, []), "probabilities");
    return texts.map((_, index) => data.subarray(index * labels, (index + 1) * labels));
  }

  /**
   * @param {number[][]} texts
   * @param {Tensors | null} state
   * @param {string[]} outputs
   * @returns {Promise<Tensors>}
   */
  async #run(texts, state, outputs) {
    const { Tensor } = this.#module;
    const row = Math.max(...texts.map((ids) => ids.length));
    const ids = new BigInt64Array(texts.length * row);
    texts.forEach((text, index) => text.forEach((id, at) => (ids[index * row + at] = BigInt(id))));
    const feeds = {
      input_ids: new Tensor("int64", ids, [texts.length, row]),
      lengths: new Tensor(
        "int64",
        BigInt64Array.from(texts, (text) => BigInt(text.length)),
        [texts.length],
      ),
      ...(state ?? this.#start),
    };
    let found;
    try {
      found = await this.#session.run(feeds, ["probabilities", ...outputs]);
    } catch (problem) {
      throw new BundleError(`onnxruntime-web cannot run the graph: ${oneLine(problem)}`);
    }
    this.#check(found.probabilities.data, texts.length);
    return found;
  }

  /**
   * @param {Float32Array} values
   * @param {number} texts
   */
  #check(values, texts) {
    const labels = this.#manifest.labels.length,
      isSum = this.#manifest.architecture.output !== "multi-label";
    let holds =
      values.length === texts * labels && values.every((value) => value >= 0 && value <= 1 + ROUNDING);
    for (let at = 0; isSum && holds && at < values.length; at += labels) {
      const total = values.subarray(at, at + labels).reduce((sum, value) => sum + value, 0);
      holds = Math.abs(total - 1) < ROUNDING;
    }
    if (!holds) {
      throw new BundleError(
        "the graph gives what are no probabilities; its weights are damaged: export the bundle again",
      );
    }
  }
}

/**
 * @param {Tensors} tensors
 * @param {string} name one that the session was asked for.
 */
function tensor(tensors, name) {
  return /** @type {Tensors[string]} */ (tensors[name]);
}

/**
 * @param {unknown} problem
 * @returns {string}
 */
function oneLine(problem) {
  const text = problem instanceof Error ? problem.message : String(problem);
  return text.replace(/\s+/g, " ").slice(0, 400);
}
