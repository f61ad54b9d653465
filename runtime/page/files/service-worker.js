/**
 * Keeps the files of the page, so that it works offline: all of one version, or none.
 *
 * @module
 */

const VERSION = "@version@"; // checksum of textgate-page.json, which has those of all files
const LIST = "textgate-page.json";
const OWN = `textgate ${self.registration.scope} `; // pages of one host may be in several folders
const FOLDER = new URL(self.registration.scope).pathname;
const PAGE = [FOLDER, FOLDER + "index.html"]; // and not what else the host has in folders below

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(forget()));
self.addEventListener("message", () => self.skipWaiting()); // the page wants the new version
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});

async function keep() {
  const list = await download(LIST, VERSION);
  const { files } = await list.clone().json();
  const cache = await caches.open(OWN + VERSION);
  await cache.put(LIST, list);
  await Promise.all(Object.entries(files).map(async ([name, { sha256 }]) => {
    // Some hosts add to pages of HTML, or redirect from index.html to the folder.
    const found = name === "index.html" ? await download("./") : await download(name, sha256);
    await cache.put(name === "index.html" ? "./" : name, found);
  }));
}

async function download(name, sha256) {
  const integrity = sha256 && `sha256-${sha256}`;
  const response = await fetch(name, { cache: "no-cache", ...(integrity && { integrity }) });
  if (!response.ok) throw new Error(`${name}: HTTP ${response.status}`);
  return response;
}

async function forget() {
  for (const name of await caches.keys()) {
    if (name.startsWith(OWN) && name !== OWN + VERSION) await caches.delete(name);
  }
}

async function answer(request) {
  const cache = await caches.open(OWN + VERSION);
  const isPage = request.mode === "navigate" && PAGE.includes(new URL(request.url).pathname);
  const kept = await cache.match(isPage ? "./" : request, { ignoreSearch: true });
  return kept ?? fetch(request);
}
