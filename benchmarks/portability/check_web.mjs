// Run the golden cases in onnxruntime-web, on WebAssembly with one thread, under Node.
//
//     npm install && node check_web.mjs GOLDEN_FOLDER [RESULT.json [PACKAGE]]
//
// PACKAGE is a name from package.json, by default onnxruntime-web. Exits with 1 if a probability
// differs by more than the golden file's tolerance, or a model does not run.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { withRequiredStates } from "./streamable.mjs";

const [folder, output, packageName = "onnxruntime-web"] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: check_web.mjs GOLDEN_FOLDER [RESULT.json [PACKAGE]]");
  process.exit(2);
}

const require = createRequire(import.meta.url);
const ort = require(packageName);
ort.env.wasm.numThreads = 1;
const dist = path.dirname(require.resolve(packageName));
ort.env.wasm.wasmPaths = dist + path.sep;

async function main() {
  const golden = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));
  const version = packageVersion();
  const result = {
    runtime: `onnxruntime-web ${version}`,
    versions: { "onnxruntime-web": version, node: process.versions.node },
    ok: true,
    // What the runtime says to a state fed through an overridable input: "accepted", or its error.
    override: null,
    cases: {},
  };
  for (const item of golden.cases) {
    let found;
    try {
      found = await differences(item, result);
    } catch (problem) {
      found = { error: message(problem) };
    }
    // Written so that NaN does not pass.
    const passed =
      !("error" in found) &&
      Object.values(found).every((value) => value === null || value <= golden.tolerance);
    result.ok &&= passed;
    result.cases[item.name] = found;
    console.log(line(item.name, found, passed));
  }
  if (output !== undefined) writeFileSync(output, JSON.stringify(result, null, 2) + "\n");
  console.log(`a state fed through an overridable input: ${result.override}`);
  console.log(`${result.runtime}: ${result.ok ? "all cases agree" : "FAILED"}`);
  return result.ok ? 0 : 1;
}

/** Return the largest differences: texts in batches, and a text in pieces (null: cannot). */
async function differences(item, result) {
  const model = new Uint8Array(readFileSync(path.join(folder, item.file)));
  const session = await createSession(model);
  try {
    let batches = 0;
    for (const batch of item.batches) {
      const answer = await session.run(feeds(batch.ids, batch.lengths), ["probabilities"]);
      batches = Math.max(batches, largest(answer.probabilities, batch));
    }
    if (item.chunks === null) return { batches, pieces: null };
    result.override = await tryOverride(session, item);
    const probabilities =
      result.override === "accepted"
        ? await fedInPieces(session, item, {})
        : await fedThroughRequiredInputs(model, item);
    return { batches, pieces: largest(probabilities, item.chunks) };
  } finally {
    await session.release?.(); // releases before 1.16 do not have it
  }
}

/** Say whether the bundle's own graph takes a state: "accepted", or the runtime's message. */
async function tryOverride(session, item) {
  const first = item.chunks.ids[0];
  const given = feeds([first], [first.length]);
  const answer = await session.run(given);
  try {
    await session.run({ ...given, ...carriedStates(item, answer) });
    return "accepted";
  } catch (problem) {
    return `refused: ${problem.message}`;
  }
}

async function fedThroughRequiredInputs(model, item) {
  const { model: changed, initial } = withRequiredStates(
    model,
    item.states.map((state) => state.input),
  );
  const states = {};
  for (const [name, { dims, data }] of Object.entries(initial))
    states[name] = new ort.Tensor("float32", data, dims);
  const session = await createSession(changed);
  try {
    return await fedInPieces(session, item, states);
  } finally {
    await session.release?.(); // releases before 1.16 do not have it
  }
}

/** Return the probabilities after the last piece, each going on from the states before it. */
async function fedInPieces(session, item, initial) {
  let carried = initial;
  let answer;
  for (const ids of item.chunks.ids) {
    answer = await session.run({ ...feeds([ids], [ids.length]), ...carried });
    carried = carriedStates(item, answer);
  }
  return answer.probabilities;
}

function carriedStates(item, answer) {
  return Object.fromEntries(item.states.map(({ input, output }) => [input, answer[output]]));
}

function createSession(model) {
  const errorsOnly = 3; // else it warns that the initial states may be overridden
  return ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    logSeverityLevel: errorsOnly,
  });
}

function feeds(ids, lengths) {
  const tensor = (values, dims) =>
    new ort.Tensor("int64", BigInt64Array.from(values.map(BigInt)), dims);
  return {
    input_ids: tensor(ids.flat(), [ids.length, ids[0].length]),
    lengths: tensor(lengths, [lengths.length]),
  };
}

/** Return the largest difference from the expected probabilities, NaN if any is. */
function largest(tensor, expected) {
  const values = expected.probabilities.flat();
  if (values.length !== tensor.data.length) return NaN;
  return Math.max(...values.map((value, place) => Math.abs(value - tensor.data[place])));
}

function line(name, found, passed) {
  const word = passed ? "ok  " : "FAIL";
  if ("error" in found) return `${word} ${name}: ${found.error.slice(0, 200)}`;
  const pieces = found.pieces === null ? "cannot stream" : `in pieces ${found.pieces.toExponential(1)}`;
  return `${word} ${name}: ${found.batches.toExponential(1)}, ${pieces}`;
}

function message(problem) {
  // Older releases throw the address of a C++ exception and cannot say more.
  if (typeof problem === "number") return "an exception without a message";
  return String(problem.message ?? problem).replace(/\s+/g, " ");
}

function packageVersion() {
  return JSON.parse(readFileSync(path.join(dist, "..", "package.json"), "utf8")).version;
}

process.exit(await main());
