/**
 * The models of the service that the page comes from, asked by HTTP.
 *
 * @module
 */

let token = "";
const $ = (id) => document.getElementById(id);

async function ask(path, body) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (token) headers.authorization = "Bearer " + token;
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (response.status === 401) $("token-form").hidden = false;
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function classify({ name, version }, question) {
  return ask("v1/classify", { model: name, version, ...question });
}

function predictionOf({ scores, top_label: topLabel, ...others }) {
  return { ...others, topLabel, scores: new Map(Object.entries(scores)) };
}

export async function open() {
  const { models } = await ask("v1/models");
  $("token-form").hidden = true;
  return models.map(({ max_tokens: maxTokens, thresholds, default: isDefault, ...others }) => ({
    ...others,
    key: others.name + ":" + others.version,
    isDefault,
    maxTokens,
    thresholds: new Map(Object.entries(thresholds)),
  }));
}

export async function decisions(model, pieces) {
  let text = "";
  const began = performance.now();
  const predictions = await predictionsOf(model, pieces.map((piece) => (text += piece)));
  const milliseconds = (performance.now() - began).toFixed(1);
  return { predictions, speed: `${milliseconds} ms for ${pieces.length} decisions, network included` };
}

async function predictionsOf(model, texts) {
  return (await classify(model, { texts })).predictions.map(predictionOf);
}

export { predictionsOf as predictions };

export async function explanation(model, text) {
  const { words, read_end: readEnd } = (await classify(model, { text, explain: true })).explanation;
  const units = [0]; // the service counts code points
  for (const { length } of text) units.push(units.at(-1) + length);
  const placed = words.map((word) => ({ ...word, start: units[word.start], end: units[word.end] }));
  return { words: placed, readEnd: units[readEnd] };
}

export function start({ load }) {
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("token").value;
    load();
  });
}
