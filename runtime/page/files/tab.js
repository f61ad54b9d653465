/**
 * The model that is in the page's own folder, in a worker of this tab. Nothing is sent anywhere.
 *
 * @module
 */

import { ClassifierWorker } from "./textgate/client.js";

const ANSWERS = 300; // whose time is measured
const TEXT = "It starts well, but the rest is a tedious mess.";
const $ = (id) => document.getElementById(id);
/** @type {ClassifierWorker} */
let classifier;

export async function open() {
  const site = await (await fetch("textgate-page.json")).json();
  const began = performance.now();
  classifier = await ClassifierWorker.load("model");
  const loaded = performance.now();
  await classifier.predict(TEXT);
  const answered = performance.now();
  const { labels, task, thresholds, maxTokens, engine, checksum } = classifier.describe();
  const bytes = { code: 0, model: 0 };
  for (const [name, { bytes: count }] of Object.entries(site.files)) {
    bytes[name.startsWith("model/") ? "model" : "code"] += count;
  }
  showFigures([
    ["Model", `${(bytes.model / 1e6).toFixed(2)} MB`],
    ["Page and engine", `${(bytes.code / 1e6).toFixed(2)} MB`],
    ["Loaded and checked in", `${(loaded - began).toFixed(0)} ms`],
    ["First answer after", `${(answered - loaded).toFixed(1)} ms`],
  ]);
  return [{
    name: site.name,
    key: site.name,
    isDefault: true,
    labels,
    task,
    thresholds: new Map(thresholds),
    maxTokens,
    engine: `${engine.name} (${engine.detail})`,
    checksum,
  }];
}

export async function decisions(model, pieces) {
  const text = pieces.join("");
  const began = performance.now();
  await classifier.predict(text);
  const milliseconds = (performance.now() - began).toFixed(1);
  return { predictions: await soFar(pieces), speed: `${milliseconds} ms for the answer, in this tab` };
}

async function soFar(pieces) {
  let text = "";
  if (!classifier.describe().streaming) return predictions(null, pieces.map((piece) => (text += piece)));
  const stream = classifier.stream();
  return Promise.all(pieces.map((piece) => stream.feed(piece))); // the worker answers in order
}

export function predictions(_, texts) {
  return classifier.predictions(texts);
}

export async function explanation(_, text) {
  const { words, readEnd } = await classifier.explain(text);
  return { words: words.map((word) => ({ ...word, values: Object.fromEntries(word.values) })), readEnd };
}

export function start({ tell, text }) {
  $("model").parentElement.hidden = true; // there is one
  $("measure").addEventListener("click", async () => {
    if (!classifier) return;
    $("measured").textContent = "Measuring";
    try {
      const measured = text() || TEXT;
      const began = performance.now();
      for (let count = 0; count < ANSWERS; count++) await classifier.predict(measured);
      const mean = (performance.now() - began) / ANSWERS;
      const { tokens } = await classifier.predict(measured);
      $("measured").textContent = `${mean.toFixed(2)} ms per answer of ${tokens} tokens, mean of ${ANSWERS}`;
    } catch (problem) {
      tell(problem);
    }
  });
  registerServiceWorker().then((said) => ($("offline").textContent = said));
}

function showFigures(figures) {
  $("figures").replaceChildren(...figures.map(([name, value]) => {
    const [pair, term, description] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    description.textContent = value;
    pair.append(term, description);
    return pair;
  }));
}

/** Return what the footer says about visits without the network. */
async function registerServiceWorker() {
  const needed = "It needs the network for every visit: the browser";
  if (!navigator.serviceWorker) return `${needed} keeps no pages of this host.`;
  try {
    const registration = await navigator.serviceWorker.register("service-worker.js");
    const isFirst = !registration.active;
    if (isFirst && registration.installing) await reached(registration.installing, "activated");
    if (!isFirst) offerUpdate(registration);
    return "From now on this page also works offline.";
  } catch {
    return `${needed} could not keep all of its files.`;
  }
}

function offerUpdate(registration) {
  const offer = () => ($("update").hidden = false);
  if (registration.waiting) offer();
  const wait = (worker) => worker && reached(worker, "installed").then(offer, () => {});
  wait(registration.installing);
  registration.addEventListener("updatefound", () => wait(registration.installing));
  $("update").addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
    registration.waiting?.postMessage("take over");
  });
}

function reached(worker, state) {
  return new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === state) resolve(undefined);
      if (worker.state === "redundant") reject(new Error("it could not be installed"));
    });
  });
}
