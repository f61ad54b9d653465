// The page to try a model on. It asks this service alone, and writes texts as text, never as HTML.
"use strict";

const MAX_BARS = 8;
const MAX_WORDS = 60;
const MAX_EXPLAINED = 10000; // characters that the service explains
const MIN_SHOWN = 0.005; // values that are written below their words
const MIN_SCALE = 0.1; // smaller values are pale
const $ = (id) => document.getElementById(id);
const models = new Map();
let token = "";
let running = false;
let waiting = false;
let csv = null;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path, body) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (token) headers.authorization = "Bearer " + token;
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const began = performance.now();
  const response = await fetch(path, options);
  const answer = await response.json();
  if (response.status === 401) $("token-form").hidden = false;
  if (!response.ok) throw new Error(answer.detail);
  return { answer, milliseconds: performance.now() - began };
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

function showModel() {
  const model = chosen();
  const kind = model.task === "multi-label" ? "any number of labels per text" : "one label per text";
  $("facts").textContent =
    `${model.labels.length} labels, ${kind}, reads ${model.max_tokens} tokens, ` +
    `${model.engine}, ${model.checksum.slice(0, 12)}`;
}

async function loadModels() {
  const { answer } = await ask("v1/models");
  $("model").replaceChildren();
  for (const model of answer.models) {
    const key = model.name + ":" + model.version;
    models.set(key, model);
    const option = element("option", key, { value: key });
    option.selected = model.default;
    $("model").append(option);
  }
  showModel();
  $("token-form").hidden = true;
  if ($("text").value) showDecision();
}

function wordsOf(text) {
  const found = [...text.matchAll(/\S+\s*/g)].slice(-MAX_WORDS);
  return found.map((match) => ({
    word: match[0].trim(),
    before: text.slice(0, match.index + match[0].length),
  }));
}

function showBars(prediction) {
  const model = chosen();
  const ranked = Object.entries(prediction.scores).sort((a, b) => b[1] - a[1]).slice(0, MAX_BARS);
  const shown = model.labels.length > MAX_BARS
    ? ranked
    : model.labels.map((label) => [label, prediction.scores[label]]);
  $("bars").tBodies[0].replaceChildren(...shown.map(([label, score]) => {
    const row = element("tr");
    const bar = element("div", undefined, { class: "bar" });
    const track = element("div", undefined, { class: "track", "aria-hidden": "true" });
    const threshold = model.thresholds[label] ?? (model.task === "multi-label" ? 0.5 : 0);
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

function showText(text, words, predictions, milliseconds) {
  const prediction = predictions.at(-1);
  $("decision").textContent = prediction.label === null
    ? "No label: the model abstains"
    : `${prediction.labels.join(", ")} (${percent(prediction.score)})`;
  $("reason").textContent = prediction.reason ?? "";
  $("facts-of-text").textContent =
    `${prediction.tokens} tokens read${prediction.truncated ? ", the rest is not" : ""}; ` +
    `${milliseconds.toFixed(1)} ms for ${predictions.length} decisions, network included`;
  showBars(prediction);
  $("words").replaceChildren(...words.map(({ word }, place) => {
    const one = predictions[place];
    const item = element("li", word, one.label === null ? {} : { class: "decided" });
    const said = one.label === null ? "no label" : `${one.label} ${percent(one.score)}`;
    item.append(element("small", said));
    return item;
  }));
}

function showExplanation(text, prediction, { words, read_end: readEnd }) {
  const label = prediction.labels[0] ?? prediction.top_label;
  const characters = Array.from(text); // positions are counted in code points
  const scale = Math.max(MIN_SCALE, ...words.map(({ values }) => Math.abs(values[label])));
  const parts = [];
  let done = 0;
  for (const word of words) {
    const value = word.values[label];
    const stance = value < 0 ? "against" : "for";
    const signed = (value < 0 ? "" : "+") + value.toFixed(2);
    const mark = element("mark", word.text, { class: stance, title: `${signed} ${stance} ${label}` });
    mark.style.setProperty("--size", Math.abs(value) / scale);
    if (Math.abs(value) >= MIN_SHOWN) mark.append(element("small", signed));
    parts.push(characters.slice(done, word.start).join(""), mark);
    done = word.end;
  }
  const rest = characters.slice(readEnd).join("");
  if (rest) parts.push(element("s", rest, { title: "not read" }));
  $("explanation-heading").textContent = `For and against ${label}`;
  $("explanation").replaceChildren(...parts);
}

async function showDecision() {
  if (running) waiting = true;
  if (running || !chosen()) return;
  running = true;
  do {
    waiting = false;
    const text = $("text").value;
    const words = wordsOf(text);
    const texts = [...words.map(({ before }) => before), text];
    const { name: model, version } = chosen();
    try {
      const { answer, milliseconds } = await ask("v1/classify", { model, version, texts });
      showText(text, words, answer.predictions, milliseconds);
      tell(null);
      if (!waiting && text.length <= MAX_EXPLAINED) {
        const explained = (await ask("v1/classify", { model, version, text, explain: true })).answer;
        showExplanation(text, explained.prediction, explained.explanation);
      }
    } catch (problem) {
      tell(problem);
    }
  } while (waiting);
  running = false;
}

function quoted(value) {
  // A cell that begins like a formula would be run by a spreadsheet.
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return '"' + text.replaceAll('"', '""') + '"';
}

async function classifyRows() {
  const texts = $("rows").value.split(/\r?\n/).filter((line) => line.trim());
  if (!texts.length) $("rows-status").textContent = "There are no texts";
  if (!texts.length || !chosen()) return;
  const { name: model, version } = chosen();
  try {
    const { answer, milliseconds } = await ask("v1/classify", { model, version, texts });
    const lines = ["label,score,text"];
    $("results").tBodies[0].replaceChildren(...answer.predictions.map((one, place) => {
      const label = one.labels.join("|");
      lines.push([quoted(label), one.score.toFixed(6), quoted(texts[place])].join(","));
      const row = element("tr");
      row.append(
        element("td", label || "no label"), element("td", percent(one.score)),
        element("td", texts[place]));
      return row;
    }));
    document.querySelector(".scrolls").hidden = false;
    if (csv) URL.revokeObjectURL(csv);
    csv = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    $("download").href = csv;
    $("download").hidden = false;
    $("rows-status").textContent = `${texts.length} texts in ${milliseconds.toFixed(0)} ms`;
    tell(null);
  } catch (problem) {
    tell(problem);
  }
}

$("text").addEventListener("input", showDecision);
$("classify").addEventListener("click", classifyRows);
$("model").addEventListener("change", () => {
  showModel();
  showDecision();
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  loadModels().then(() => tell(null), tell);
});
loadModels().catch(tell);
