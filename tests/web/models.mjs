// What the engine gives for models, as the bits of its numbers; in Node and in browsers.

const bits = (numbers) => [...new Uint32Array(numbers.slice().buffer)];

function answer(EngineSession, module, { model, texts, cut }) {
  const session = new EngineSession(module, Uint8Array.from(atob(model), (one) => one.charCodeAt(0)));
  const run = session.run(texts).map(bits);
  if (!cut) return { run };
  const first = session.read(texts[0].slice(0, cut), null, true);
  const second = session.read(texts[0].slice(cut), first.state, true);
  return { run, state: bits(first.state), stream: bits(second.probabilities) };
}

export function answersOf(EngineSession, module, cases) {
  return cases.map((one) => {
    try {
      return answer(EngineSession, module, one);
    } catch (problem) {
      return { error: problem.message.split(": ").slice(1).join(": ") };
    }
  });
}
