/**
 * Files of a bundle: downloaded, read from a disk by Node, or given as bytes.
 *
 * @module
 */

import { BundleError, ConfigError, DownloadError, shown } from "./errors.js";
import { GRAPH, MANIFEST, MAX_MANIFEST_BYTES, TOKENIZER, readManifest, sha256 } from "./manifest.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {Uint8Array | ArrayBuffer | Blob} Content */
/**
 * @typedef {string | URL | Record<string, Content> | Map<string, Content>} Source a bundle: the URL of its
 *     folder, in Node also its path; or its files by name.
 */

/**
 * @typedef {object} Bundle
 * @property {string} where how messages name it.
 * @property {Manifest} manifest
 * @property {Uint8Array} graph
 * @property {Uint8Array} tokenizer
 */

/**
 * Return the files of a bundle, after checking their sizes and checksums against the manifest.
 *
 * @param {Source} source
 * @returns {Promise<Bundle>}
 * @throws {BundleError} a file is damaged, incomplete, or of a version that this release does not read.
 * @throws {DownloadError} a file is not there.
 */
export async function readBundle(source) {
  try {
    return await checkedBundle(reader(source));
  } catch (problem) {
    const isKept = problem instanceof BundleError && (typeof source === "string" || source instanceof URL);
    if (!isKept || !folderOf(source).protocol.startsWith("http")) throw problem;
    return checkedBundle(reader(source, "reload")); // a browser may have kept files of different versions
  }
}

/**
 * @param {{ where: string, read: Read }} reader
 * @returns {Promise<Bundle>}
 */
async function checkedBundle({ where, read }) {
  const manifest = await readManifest(await read(MANIFEST, MAX_MANIFEST_BYTES), `${where}${MANIFEST}`);
  const listed = async (/** @type {string} */ name) => {
    const { size, sha256: expected } = /** @type {{ size: number, sha256: string }} */ (
      manifest.files.get(name)
    );
    const content = await read(name, size);
    if (content.length !== size) {
      const begun = content.length > size ? "more" : content.length;
      throw new BundleError(
        `${where}${name}: ${begun} bytes, but ${MANIFEST} says ${size}; get the bundle again`,
      );
    }
    if ((await sha256(content)) !== expected) {
      throw new BundleError(
        `${where}${name}: damaged or edited: its checksum is not the one in ${MANIFEST}; get the bundle again`,
      );
    }
    return content;
  };
  const [graph, tokenizer] = await Promise.all([listed(GRAPH), listed(TOKENIZER)]);
  return { where, manifest, graph, tokenizer };
}

/**
 * @typedef {(name: string, limit: number) => Promise<Uint8Array>} Read returns a file; of a longer one,
 *     more than `limit` bytes.
 */

/**
 * @param {Source} source
 * @param {RequestCache} [cache] whether the browser may use the files that it kept.
 * @returns {{ where: string, read: Read }}
 */
function reader(source, cache = "default") {
  if (typeof source === "string" || source instanceof URL) {
    const folder = folderOf(source);
    return { where: String(folder), read: (name, limit) => fetched(new URL(name, folder), limit, cache) };
  }
  if (typeof source !== "object" || source === null) {
    throw new ConfigError(`a bundle should be a URL or an object of files, found ${shown(source)}`);
  }
  const files = source instanceof Map ? source : new Map(Object.entries(source));
  return {
    where: "",
    read: async (name) => {
      const found = files.get(name);
      if (found === undefined) throw new BundleError(`${name}: missing; get the bundle again`);
      if (found instanceof Blob) return new Uint8Array(await found.arrayBuffer());
      if (found instanceof ArrayBuffer) return new Uint8Array(found);
      if (found instanceof Uint8Array) return found;
      throw new ConfigError(
        `${name} should be a Uint8Array, an ArrayBuffer or a Blob, found ${shown(found)}`,
      );
    },
  };
}

/**
 * Return the absolute URL of a folder, with a slash at its end.
 *
 * @param {string | URL} source a URL, relative to the page if there is one; in Node also a path.
 * @returns {URL}
 */
export function folderOf(source) {
  const folder = absolute(source);
  if (!folder.pathname.endsWith("/")) folder.pathname += "/";
  return folder;
}

/**
 * @param {string | URL} source
 * @returns {URL}
 */
function absolute(source) {
  if (source instanceof URL || /^[a-z][a-z0-9+.-]+:/i.test(source)) return new URL(source);
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (base) return new URL(source, base);
  const process = globalThis.process;
  if (!process)
    throw new ConfigError(`${source} should be a whole URL: there is no page that it could begin from`);
  return new URL(escaped(source), `file://${escaped(process.cwd())}/`);
}

/**
 * Return a path as it stands in a URL.
 *
 * @param {string} path
 */
function escaped(path) {
  const slashes =
    globalThis.process?.platform === "win32" ? path.replaceAll("\\", "/").replace(/^([a-z]:)/i, "/$1") : path;
  return encodeURI(slashes).replace(/[?#]/g, encodeURIComponent);
}

/**
 * Return a file.
 *
 * @param {URL} url
 * @param {number} [limit] bytes after which reading stops.
 * @param {RequestCache} [cache]
 * @returns {Promise<Uint8Array>}
 */
export async function fetched(url, limit = Infinity, cache = "default") {
  if (url.protocol === "file:" && globalThis.process?.versions?.node) return readFile(url);
  let response;
  try {
    response = await fetch(url, { cache });
  } catch (problem) {
    throw new DownloadError(`${url}: cannot be downloaded: ${message(problem)}`);
  }
  if (!response.ok) throw new DownloadError(`${url}: cannot be downloaded: HTTP ${response.status}`);
  /** @type {Uint8Array[]} */
  const parts = [];
  let size = 0;
  try {
    const stream = response.body?.getReader();
    if (!stream) return new Uint8Array(await response.arrayBuffer());
    for (let part = await stream.read(); !part.done; part = await stream.read()) {
      parts.push(part.value);
      size += part.value.length;
      if (size > limit) {
        await stream.cancel();
        break;
      }
    }
  } catch (problem) {
    throw new DownloadError(`${url}: the download broke off: ${message(problem)}`);
  }
  const content = new Uint8Array(size);
  size = 0;
  for (const part of parts) {
    content.set(part, size);
    size += part.length;
  }
  return content;
}

/**
 * @param {URL} url
 * @returns {Promise<Uint8Array>}
 */
async function readFile(url) {
  const name = "node:fs/promises"; // not a literal, so that bundlers leave it
  const files = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  try {
    return new Uint8Array(await files.readFile(url));
  } catch (problem) {
    throw new DownloadError(`${decodeURI(url.pathname)}: cannot be read: ${message(problem)}`);
  }
}

/**
 * @param {unknown} problem
 * @returns {string}
 */
function message(problem) {
  return problem instanceof Error ? problem.message : String(problem);
}
