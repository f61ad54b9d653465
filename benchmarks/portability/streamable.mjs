// Make a bundle's graph stream where a runtime cannot override initializers.
//
// A bundle's initial states are constants that are also listed as inputs. onnxruntime-web offers
// only inputs without a constant, and refuses the others as "invalid input". So the constants are
// taken out of the graph, which leaves required inputs, and handed back as what to feed first.

const GRAPH = 7; // field numbers of onnx.proto: ModelProto.graph,
const INITIALIZER = 5; // GraphProto.initializer,
const DIMS = 1; // TensorProto.dims,
const NAME = 8; // TensorProto.name
const RAW_DATA = 9; // and TensorProto.raw_data

/**
 * Return a graph whose states are required inputs, and the states to begin with.
 *
 * @param {Uint8Array} model a bundle's model.onnx.
 * @param {string[]} names the states' inputs, from "state" in the bundle's textgate.json.
 * @returns {{model: Uint8Array, initial: Object<string, {dims: number[], data: Float32Array}>}}
 */
export function withRequiredStates(model, names) {
  const initial = {};
  const parts = [];
  for (const field of fields(model)) {
    if (field.number !== GRAPH) {
      parts.push(field.whole);
      continue;
    }
    const kept = [];
    for (const inner of fields(field.value)) {
      const tensor = inner.number === INITIALIZER ? readTensor(inner.value) : null;
      if (tensor !== null && names.includes(tensor.name)) initial[tensor.name] = tensor;
      else kept.push(inner.whole);
    }
    const graph = joined(kept);
    parts.push(varint((GRAPH << 3) | 2), varint(graph.length), graph);
  }
  return { model: joined(parts), initial };
}

function readTensor(bytes) {
  const tensor = { name: "", dims: [], data: new Float32Array(0) };
  for (const { number, value } of fields(bytes)) {
    if (number === DIMS) tensor.dims.push(...(typeof value === "number" ? [value] : varints(value)));
    if (number === NAME) tensor.name = new TextDecoder().decode(value);
    // A state is float32; of other tensors only the name is of interest.
    if (number === RAW_DATA && value.length % 4 === 0)
      tensor.data = new Float32Array(value.slice().buffer);
  }
  return tensor;
}

/** Yield the fields of a protobuf message: number, value, and the bytes of the whole field. */
function* fields(bytes) {
  let place = 0;
  while (place < bytes.length) {
    const start = place;
    let tag, value;
    [tag, place] = readVarint(bytes, place);
    const kind = tag & 7;
    if (kind === 0) [value, place] = readVarint(bytes, place);
    else {
      let length = { 1: 8, 5: 4 }[kind];
      if (kind === 2) [length, place] = readVarint(bytes, place);
      if (length === undefined || place + length > bytes.length)
        throw new Error(`not an ONNX file: wire type ${kind} at byte ${start}`);
      value = bytes.subarray(place, place + length);
      place += length;
    }
    yield { number: tag >>> 3, value, whole: bytes.subarray(start, place) };
  }
}

function varints(bytes) {
  const values = [];
  for (let place = 0, value; place < bytes.length; ) {
    [value, place] = readVarint(bytes, place);
    values.push(value);
  }
  return values;
}

function readVarint(bytes, place) {
  // Multiplied, not shifted: shifts are limited to 32 bits.
  for (let value = 0, factor = 1; place < bytes.length; factor *= 128) {
    const byte = bytes[place++];
    value += (byte & 127) * factor;
    if (byte < 128) return [value, place];
  }
  throw new Error("not an ONNX file: it ends within a number");
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}

function joined(parts) {
  const result = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let place = 0;
  for (const part of parts) {
    result.set(part, place);
    place += part.length;
  }
  return result;
}
