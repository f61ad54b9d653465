/**
 * The page to try a model on. It writes texts as text, never as HTML, and asks `source.js` alone: either
 * the service that it comes from (service.js), or the model in this tab (tab.js). Both have:
 *
 * - `open()`: the models.
 * - `decisions(model, pieces)`: the predictions after each piece of a text, and how long that took.
 * - `predictions(model, texts)`: the predictions for texts.
 * - `explanation(model, text)`: what the words speak for; null if it cannot be said.
 * - `start(page)`: whatever only this source has on the page.
 *
 * @module
 */

import { CsvFile, cut, formatOf, readRows } from "./rows.js";
import * as source from "./source.js";

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} key the name and the version.
 * @property {boolean} isDefault
 * @property {string[]} labels
 * @property {string} task
 * @property {Map<string, number | null>} thresholds
 * @property {number} maxTokens
 * @property {string} engine
 * @property {string} checksum
 *
 * @typedef {object} Prediction
 * @property {string | null} label
 * @property {string[]} labels
 * @property {number} score
 * @property {Map<string, number>} scores
 * @property {string} topLabel
 * @property {string | null} reason
 * @property {number} tokens
 * @property {boolean} truncated
 */

const MAX_BARS = 8;
const MAX_WORDS = 60;
const MAX_EXPLAINED = 10_000; // characters that are explained
const PAUSE = 200; // milliseconds without a key before a text is explained
const MIN_SHOWN = 0.005; // values that are written below their words
const MIN_SCALE = 0.1; // smaller values are pale
const MAX_FIELD = 200_000; // characters that a field of a page takes without delay
const MAX_FILE = 200_000_000; // bytes
const MAX_SHOWN_ROWS = 200;
const MAX_SHOWN_TEXT = 1000; // characters of each
const WINDOW = 256; // texts of one question
const TOLD_EVERY = 1000; // ms

const $ = (id) => document.getElementById(id);
/** @type {Map<string, Model>} */
const models = new Map();
let running = false;
let waiting = false;
let wake = () => {}; // ends a pause
/** @type {File | Blob | null} rows that are not in the field: a file, or many pasted lines */
let held = null;
/** @type {AbortController | null} of the rows that are being classified */
let classifying = null;
let link = "";

/** @param {Record<string, string>} [attributes] */
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function tell(problem) {
  $("problem").textContent = problem ? problem.message : "";
}

function chosen() {
  return models.get($("model").value);
}

function percent(score) {
  return (100 * score).toFixed(1) + " %";
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function showModel() {
  const model = chosen();
  const kind = model.task === "multi-label" ? "any number of labels per text" : "one label per text";
  $("facts").textContent =
    `${model.labels.length} labels, ${kind}, reads ${model.maxTokens} tokens, ` +
    `${model.engine}, ${model.checksum.slice(0, 12)}`;
}

async function loadModels() {
  const found = await source.open();
  $("model").replaceChildren(...found.map((model) => {
    models.set(model.key, model);
    const option = element("option", model.key, { value: model.key });
    option.selected = model.isDefault;
    return option;
  }));
  showModel();
  tell(null);
  if ($("text").value) await showDecision();
}

/** Return the last words of a text, and its pieces: one for each of them, and the rest. */
function wordsOf(text) {
  const found = [...text.matchAll(/\S+\s*/g)].slice(-MAX_WORDS);
  const ends = [...found.map((match) => match.index + match[0].length), text.length];
  const pieces = ends.map((end, place) => text.slice(place ? ends[place - 1] : 0, end));
  return { words: found.map((match) => match[0].trim()), pieces };
}

function showBars(model, prediction) {
  const ranked = [...prediction.scores].sort((a, b) => b[1] - a[1]).slice(0, MAX_BARS);
  const shown = model.labels.length > MAX_BARS
    ? ranked
    : model.labels.map((label) => [label, prediction.scores.get(label)]);
  const several = model.task === "multi-label";
  const thresholdOf = (label) => model.thresholds.get(label) ?? (several ? 0.5 : 0);
  const zones = several ? " a label does not apply." : " the model abstains.";
  $("bars").caption.textContent = shown.some(([label]) => thresholdOf(label) > 0)
    ? "Probabilities. In the hatched zone" + zones
    : "Probabilities";
  $("bars").tBodies[0].replaceChildren(...shown.map(([label, score]) => {
    const row = element("tr", undefined, prediction.labels.includes(label) ? { class: "applies" } : {});
    const bar = element("div", undefined, { class: "bar" });
    const track = element("div", undefined, { class: "track", "aria-hidden": "true" });
    const threshold = thresholdOf(label);
    if (threshold > 0) {
      const zone = element("div", undefined, { class: "zone" });
      zone.style.width = 100 * threshold + "%";
      track.append(zone);
    }
    const fill = element("div", undefined, { class: "fill" });
    fill.style.width = 100 * score + "%";
    track.append(fill);
    bar.append(track, element("span", percent(score), { class: "value" }));
    const cell = element("td");
    cell.append(bar);
    row.append(element("th", label, { scope: "row" }), cell);
    return row;
  }));
}

function showText(model, words, predictions, speed) {
  const prediction = predictions.at(-1);
  $("decision").textContent = prediction.label === null
    ? "No label: the model abstains"
    : `${prediction.labels.join(", ")} (${percent(prediction.score)})`;
  $("reason").textContent = prediction.reason ?? "";
  const tokens = prediction.tokens === 1 ? "1 token" : `${prediction.tokens} tokens`;
  const rest = prediction.truncated ? ", the rest is not" : "";
  $("facts-of-text").textContent = `${tokens} read${rest}; ${speed}`;
  showBars(model, prediction);
  $("words").replaceChildren(...words.map((word, place) => {
    const one = predictions[place];
    const item = element("li", word, one.label === null ? {} : { class: "decided" });
    item.append(element("small", one.label === null ? "no label" : `${one.label} ${percent(one.score)}`));
    return item;
  }));
}

function showExplanation(text, prediction, { words, readEnd }) {
  const label = prediction.labels[0] ?? prediction.topLabel;
  const scale = Math.max(MIN_SCALE, ...words.map(({ values }) => Math.abs(values[label])));
  const parts = [];
  let done = 0;
  for (const word of words) {
    const value = word.values[label];
    const stance = value < 0 ? "against" : "for";
    const signed = (value < 0 ? "" : "+") + value.toFixed(2);
    const mark = element("mark", word.text, { class: stance, title: `${signed} ${stance} ${label}` });
    mark.style.setProperty("--size", String(Math.abs(value) / scale));
    if (Math.abs(value) >= MIN_SHOWN) mark.append(element("small", signed));
    parts.push(text.slice(done, word.start), mark);
    done = word.end;
  }
  const rest = text.slice(readEnd);
  if (rest) parts.push(element("s", rest, { title: "not read" }));
  $("explanation-heading").textContent = `For and against ${label}`;
  $("explanation").replaceChildren(...parts);
  $("explained").hidden = !words.length;
}

/** Wait until nothing was typed for a while; `wake` ends it. */
function pause() {
  return new Promise((resolve) => {
    wake = resolve;
    if (waiting) resolve();
    setTimeout(resolve, PAUSE);
  });
}

async function showDecision() {
  if (running) {
    waiting = true;
    wake();
  }
  if (running || !chosen()) return;
  running = true;
  do {
    waiting = false;
    const text = $("text").value;
    const { words, pieces } = wordsOf(text);
    const model = chosen();
    try {
      const { predictions, speed } = await source.decisions(model, pieces);
      showText(model, words, predictions, speed);
      tell(null);
      await pause();
      if (waiting) continue;
      $("explained").hidden = true;
      if (text.length <= MAX_EXPLAINED) {
        showExplanation(text, predictions.at(-1), await source.explanation(model, text));
      }
    } catch (problem) {
      tell(problem);
    }
  } while (waiting);
  running = false;
}

// Rows

/** Take rows that the field should not hold; null gives the field back. */
function hold(blob, name = "") {
  held = blob;
  $("held").hidden = !blob;
  $("rows").disabled = Boolean(blob);
  if (!blob) $("file").value = "";
  $("held-name").textContent = blob ? `${name}, ${size(blob.size)}` : "";
}

function holdFile(file) {
  if (!file) return;
  hold(file, file.name);
  $("format").value = formatOf(file.name);
  showFormat();
}

function showFormat() {
  $("column-of-texts").hidden = $("format").value === "lines";
}

function pasteRows(event) {
  const pasted = event.clipboardData?.getData("text/plain") ?? "";
  if (pasted.length + $("rows").value.length <= MAX_FIELD) return;
  event.preventDefault(); // a field with megabytes of text stops a page for seconds
  const { value, selectionStart, selectionEnd } = $("rows");
  hold(new Blob([value.slice(0, selectionStart), pasted, value.slice(selectionEnd)]), "Pasted rows");
}

async function classifyRows() {
  const model = chosen();
  if (classifying || !model) return;
  const rows = held ?? new Blob([$("rows").value]);
  const stopping = classifying = new AbortController();
  $("stop").hidden = $("progress").hidden = false;
  $("download").hidden = true;
  $("results").tBodies[0].replaceChildren();
  const csv = new CsvFile(["label", "score"]);
  const began = performance.now();
  let told = began, left = 0, first = "", ended = "";
  const facts = () => {
    const skipped = left ? `; ${left} left out, the first because ${first}` : "";
    return `${csv.count} texts in ${(performance.now() - began).toFixed(0)} ms${ended}${skipped}`;
  };
  try {
    if (rows.size > MAX_FILE) throw new Error(`${size(rows.size)}; at most ${size(MAX_FILE)} are read`);
    const found = readRows(rows, { format: $("format").value, column: $("column").value, window: WINDOW });
    for await (const { header, window, bad, done } of found) {
      first ||= bad[0] ?? "";
      left += bad.length;
      if (window.length) {
        const predictions = await source.predictions(model, window.map(({ text }) => text));
        addRows(csv, header, window, predictions);
      }
      $("progress").value = done;
      if (stopping.signal.aborted) {
        ended = ", stopped";
        break;
      }
      if (performance.now() - told > TOLD_EVERY) {
        $("rows-status").textContent = `${csv.count} texts, ${Math.floor(100 * done)} %`;
        told = performance.now();
      }
    }
    tell(null);
  } catch (problem) {
    ended = ", then it failed";
    tell(problem);
  }
  $("stop").hidden = $("progress").hidden = true;
  classifying = null;
  const some = csv.count > MAX_SHOWN_ROWS ? `; the first ${MAX_SHOWN_ROWS} are shown` : "";
  $("rows-status").textContent = csv.count || left ? facts() + some : "There are no texts";
  document.querySelector(".scrolls").hidden = !csv.count;
  if (!csv.count) return;
  if (link) URL.revokeObjectURL(link);
  $("download").href = link = URL.createObjectURL(csv.file());
  $("download").hidden = false;
}

function addRows(csv, header, window, predictions) {
  const table = $("results").tBodies[0];
  csv.begin(header);
  predictions.forEach((one, place) => {
    const { cells, text } = window[place];
    const label = one.labels.join("|");
    if (csv.count < MAX_SHOWN_ROWS) {
      const row = element("tr");
      row.append(element("td", label || "no label"), element("td", percent(one.score)), element("td", cut(text, MAX_SHOWN_TEXT)));
      table.append(row);
    }
    csv.add([label, one.score], cells);
  });
}

function listen() {
  $("text").addEventListener("input", showDecision);
  $("classify").addEventListener("click", classifyRows);
  $("stop").addEventListener("click", () => classifying?.abort());
  $("rows").addEventListener("paste", pasteRows);
  $("file").addEventListener("change", () => holdFile($("file").files[0]));
  $("drop-held").addEventListener("click", () => {
    hold(null);
    $("rows").focus();
  });
  $("format").addEventListener("change", showFormat);
  $("model").addEventListener("change", () => {
    showModel();
    showDecision();
  });
  const place = $("rows-section");
  for (const type of ["dragenter", "dragover"]) {
    place.addEventListener(type, (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
  }
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    holdFile(event.dataTransfer.files[0]);
  });
}

const example = new URLSearchParams(location.search).get("text");
if (example) $("text").value = example.slice(0, $("text").maxLength);
listen();
showFormat(); // browsers restore fields
const load = () => loadModels().catch(tell);
source.start({ load, tell, size, text: () => $("text").value });
load();
