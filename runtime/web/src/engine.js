/**
 * textgate's engine in C, compiled to WebAssembly.
 *
 * @module
 */

import { BundleError, TextgateError, UnsupportedError } from "./errors.js";
import { fetched } from "./files.js";

const NO_MEMORY = 1;
const BEST = -1; // instruction set
// Modules of one function, which browsers without the instructions refuse: a splat, and a relaxed swizzle.
// prettier-ignore
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);
// prettier-ignore
const RELAXED_SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
);

/**
 * @typedef {object} Exports functions of `textgate_engine.h`, by which memory is reached.
 * @property {WebAssembly.Memory} memory
 * @property {(size: number) => number} malloc
 * @property {(pointer: number) => void} free
 * @property {(status: number) => number} tg_message
 * @property {(bytes: number, size: number, instructions: number, model: number) => number} tg_open
 * @property {(model: number) => number} tg_labels
 * @property {(model: number) => number} tg_state_size
 * @property {(model: number) => number} tg_instructions
 * @property {(instructions: number) => number} tg_instructions_name
 * @property {() => number} tg_is_exact
 * @property {(model: number, workspace: number) => number} tg_new_workspace
 * @property {(...numbers: number[]) => number} tg_run
 */

/** @type {Promise<WebAssembly.Module> | null} */
let compiled = null;

/**
 * Return the compiled engine that comes with the package.
 *
 * @returns {Promise<WebAssembly.Module>}
 * @throws {UnsupportedError} there is no WebAssembly with SIMD here.
 */
export function engineModule() {
  compiled ??= compile().catch((problem) => {
    compiled = null; // so that another attempt is made
    throw problem;
  });
  return compiled;
}

/**
 * Where relaxed SIMD has the processor's own fused multiply-add and adds products of bytes exactly, the smaller
 * and faster module is taken. Both give the same results.
 *
 * @returns {Promise<WebAssembly.Module>}
 */
async function compile() {
  if (!globalThis.WebAssembly?.validate(SIMD)) {
    throw new UnsupportedError(
      "textgate needs WebAssembly with SIMD, which browsers have had since 2023; update it",
    );
  }
  if (WebAssembly.validate(RELAXED_SIMD)) {
    const module = await compiledFrom(new URL("./engine_fused.wasm", import.meta.url));
    const { tg_is_exact: isExact } = exportsOf(module);
    if (isExact()) return module;
  }
  return compiledFrom(new URL("./engine.wasm", import.meta.url));
}

/**
 * @param {URL} url
 * @returns {Promise<WebAssembly.Module>}
 */
async function compiledFrom(url) {
  const content = await fetched(url);
  try {
    return await WebAssembly.compile(/** @type {BufferSource} */ (content));
  } catch (problem) {
    throw new UnsupportedError(
      `${url}: cannot be compiled: ${problem instanceof Error ? problem.message : problem}`,
    );
  }
}

/**
 * @param {WebAssembly.Module} module
 * @returns {Exports}
 */
function exportsOf(module) {
  return /** @type {Exports} */ (/** @type {unknown} */ (new WebAssembly.Instance(module).exports));
}

/** A model that the engine has opened, in a memory of its own. */
export class EngineSession {
  #exports;
  #model = 0;
  #workspace = 0;
  #labels = 0;
  #stateSize = 0;
  #room = 0; // ids
  #texts = 0;
  #ids = 0; // addresses
  #lengths = 0;
  #probabilities = 0;
  #state = 0;

  /**
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} model its bytes, by `modelBytes`.
   * @throws {BundleError} the bytes are no model, or a number in them is not finite.
   */
  constructor(module, model) {
    this.#exports = exportsOf(module);
    const content = this.#allocate(model.length); // stays: the engine reads tables from there
    new Uint8Array(this.#exports.memory.buffer).set(model, content);
    const handle = this.#allocate(4);
    this.#require(this.#exports.tg_open(content, model.length, BEST, handle));
    this.#model = this.#word(handle);
    this.#require(this.#exports.tg_new_workspace(this.#model, handle));
    this.#workspace = this.#word(handle);
    this.#labels = this.#exports.tg_labels(this.#model);
    this.#stateSize = this.#exports.tg_state_size(this.#model);
    this.#state = this.#allocate(4 * this.#stateSize || 4);
    this.#makeRoom(64, 1);
  }

  /** The name of the instruction set in use. */
  get instructions() {
    return this.#string(this.#exports.tg_instructions_name(this.#exports.tg_instructions(this.#model)));
  }

  /** The number of bytes of its memory, which never shrinks. */
  get bytes() {
    return this.#exports.memory.buffer.byteLength;
  }

  /**
   * Return the probabilities of one text, and the state of the network after it.
   *
   * @param {number[]} ids at least one.
   * @param {unknown} [state] the state to continue from, as an earlier call returned it; null is the start
   *     of a text.
   * @param {boolean} [keepState] whether the state after the text is wanted.
   * @returns {{ probabilities: Float32Array, state: Float32Array | null }}
   */
  read(ids, state = null, keepState = false) {
    this.#makeRoom(ids.length, 1);
    if (state) this.#floats(this.#state, this.#stateSize).set(/** @type {Float32Array} */ (state));
    const probabilities = this.#run([ids], ids.length, state ? this.#state : 0, keepState ? this.#state : 0);
    return { probabilities, state: keepState ? this.#floats(this.#state, this.#stateSize).slice() : null };
  }

  /**
   * Return the probabilities of texts, each from its beginning.
   *
   * @param {number[][]} texts ids, at least one of each text.
   * @returns {Float32Array[]}
   */
  run(texts) {
    const row = Math.max(...texts.map((ids) => ids.length));
    this.#makeRoom(row * texts.length, texts.length);
    const found = this.#run(texts, row, 0, 0);
    return texts.map((_, index) => found.subarray(index * this.#labels, (index + 1) * this.#labels));
  }

  /**
   * @param {number[][]} texts
   * @param {number} row ids from one text to the next.
   * @param {number} state an address, or 0.
   * @param {number} nextState an address, or 0.
   * @returns {Float32Array}
   */
  #run(texts, row, state, nextState) {
    const { buffer } = this.#exports.memory;
    const lengths = new Int32Array(buffer, this.#lengths, 2 * texts.length);
    const all = new Int32Array(buffer, this.#ids, 2 * row * texts.length);
    texts.forEach((ids, text) => {
      lengths[2 * text] = ids.length; // numbers of 64 bits, whose upper half is 0
      lengths[2 * text + 1] = 0;
      let at = 2 * row * text;
      for (const id of ids) {
        all[at++] = id;
        all[at++] = 0;
      }
    });
    this.#require(
      this.#exports.tg_run(
        this.#model,
        this.#workspace,
        this.#ids,
        row,
        this.#lengths,
        texts.length,
        state,
        nextState,
        this.#probabilities,
      ),
    );
    return this.#floats(this.#probabilities, texts.length * this.#labels).slice();
  }

  /**
   * Make room for so many ids and texts.
   *
   * @param {number} ids
   * @param {number} texts
   */
  #makeRoom(ids, texts) {
    if (ids > this.#room) {
      this.#exports.free(this.#ids);
      this.#room = this.#ids = 0;
      this.#ids = this.#allocate(8 * ids);
      this.#room = ids;
    }
    if (texts > this.#texts) {
      this.#exports.free(this.#lengths);
      this.#exports.free(this.#probabilities);
      this.#texts = this.#lengths = this.#probabilities = 0;
      this.#lengths = this.#allocate(8 * texts);
      this.#probabilities = this.#allocate(4 * texts * this.#labels);
      this.#texts = texts;
    }
  }

  /**
   * @param {number} size
   * @returns {number} an address
   */
  #allocate(size) {
    const found = this.#exports.malloc(size) >>> 0;
    if (!found) throw this.#failure(NO_MEMORY);
    return found;
  }

  /**
   * @param {number} address
   * @param {number} count
   */
  #floats(address, count) {
    return new Float32Array(this.#exports.memory.buffer, address, count);
  }

  /** @param {number} address */
  #word(address) {
    return new DataView(this.#exports.memory.buffer).getUint32(address, true);
  }

  /** @param {number} address */
  #string(address) {
    const bytes = new Uint8Array(this.#exports.memory.buffer, address >>> 0);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  /** @param {number} status */
  #require(status) {
    if (status) throw this.#failure(status);
  }

  /** @param {number} status */
  #failure(status) {
    const message = this.#string(this.#exports.tg_message(status));
    if (status === NO_MEMORY) return new TextgateError(`the engine cannot go on: ${message}`);
    return new BundleError(`the engine cannot run the network: ${message}`);
  }
}
