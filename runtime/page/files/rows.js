/**
 * Rows of a file, read a part at a time, and the table of results.
 *
 * @module
 */

const MAX_CELL = 10_000_000; // characters; a quote that is never closed would hold the rest of a file
const MAX_NAME = 40; // characters of a column in a message
const MAX_NAMES = 20; // columns in a message
const PAUSE_EVERY = 50; // ms after which the page may do something else
const DELIMITERS = [",", ";", "\t", "|"];
const FORMATS = new Map([["csv", "csv"], ["tsv", "tsv"], ["jsonl", "jsonl"], ["ndjson", "jsonl"]]);

/**
 * @typedef {object} Part of a file.
 * @property {string[]} header
 * @property {{ cells: string[], text: string }[]} window rows, at most as many as were asked for.
 * @property {string[]} bad why rows are left out.
 * @property {number} done how much of the file was read, from 0 to 1.
 */

/**
 * Return the format that a file's name tells.
 *
 * @param {string} name
 */
export function formatOf(name) {
  return FORMATS.get(name.split(".").pop().toLowerCase()) ?? "lines";
}

/**
 * Yield the rows of a file.
 *
 * @param {Blob} blob UTF-8, or UTF-16 with a byte order mark.
 * @param {{ format: string, column: string, window: number }} options
 * @returns {AsyncGenerator<Part, void, undefined>}
 * @throws {Error} the file is not text, or has no such column.
 */
export async function* readRows(blob, { format, column, window: limit }) {
  const reader = READERS[format](column);
  let window = [], bad = [], read = 0, number = 0;
  const part = () => ({ header: reader.header, window, bad, done: blob.size ? read / blob.size : 1 });
  let paused = performance.now();
  for await (const { text, bytes, isEnd } of decoded(blob)) {
    read += bytes;
    for (const row of reader.rows(text, isEnd)) {
      number++;
      if (row.problem) bad.push(`row ${number} ${row.problem}`);
      else window.push(row);
      if (window.length + bad.length < limit) continue;
      yield part();
      window = [];
      bad = [];
      if (performance.now() - paused < PAUSE_EVERY) continue;
      await new Promise((resolve) => setTimeout(resolve));
      paused = performance.now();
    }
  }
  yield part();
}

/** Yield the text of a file in parts; the last one is empty. */
async function* decoded(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  const wide = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "";
  const decoder = new TextDecoder(wide || "utf-8", { fatal: true });
  const stream = blob.stream().getReader();
  try {
    for (let part = await stream.read(); !part.done; part = await stream.read()) {
      yield { text: decoder.decode(part.value, { stream: true }), bytes: part.value.length, isEnd: false };
    }
    yield { text: decoder.decode(), bytes: 0, isEnd: true };
  } catch (problem) {
    if (problem instanceof TypeError) throw new Error("the file is not text in UTF-8; save it as UTF-8");
    throw problem;
  } finally {
    stream.cancel();
  }
}

/**
 * Return the beginning of a text; of a longer one, with dots.
 *
 * @param {string} text
 * @param {number} most characters.
 */
export function cut(text, most) {
  return text.length > most ? text.slice(0, most).replace(/[\ud800-\udbff]$/, "") + "..." : text;
}

/** Lines that arrive in parts, without their ends. */
class Lines {
  #rest = "";

  *of(text, isEnd) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_CELL) throw new Error(`a line has more than ${MAX_CELL} characters`);
    yield* lines;
    if (isEnd && this.#rest) yield this.#rest.replace(/\r$/, "");
  }
}

/** Rows of CSV that arrive in parts (RFC 4180); blank lines are left out. */
class Cells {
  #delimiter;
  #row = [];
  #cell = "";
  #isQuoted = false; // inside quotes
  #isClosed = false; // just after a quote inside quotes, which either ends them or is doubled
  #wasReturn = false;

  constructor(delimiter) {
    this.#delimiter = delimiter;
  }

  *of(text, isEnd) {
    let start = 0; // of what is not in the cell yet
    for (let at = 0; at < text.length; at++) {
      const character = text[at];
      if (this.#isQuoted) {
        if (character !== '"') continue;
        this.#cell += text.slice(start, at);
        start = at + 1;
        this.#isQuoted = false;
        this.#isClosed = true;
        continue;
      }
      const wasClosed = this.#isClosed, wasReturn = this.#wasReturn;
      this.#isClosed = this.#wasReturn = false;
      if (character === '"' && (wasClosed || (start === at && !this.#cell))) {
        if (wasClosed) this.#cell += '"';
        this.#isQuoted = true;
        start = at + 1;
      } else if (character === this.#delimiter) {
        this.#row.push(this.#cell + text.slice(start, at));
        this.#cell = "";
        start = at + 1;
      } else if (character === "\n" && wasReturn) {
        start = at + 1;
      } else if (character === "\n" || character === "\r") {
        this.#cell += text.slice(start, at);
        start = at + 1;
        this.#wasReturn = character === "\r";
        yield* this.#ended();
      }
    }
    this.#cell += text.slice(start);
    if (this.#cell.length > MAX_CELL) {
      throw new Error(`a cell has more than ${MAX_CELL} characters; is a quote never closed?`);
    }
    if (isEnd && this.#isQuoted) throw new Error("the last row begins a quote that is never closed");
    if (isEnd) yield* this.#ended();
  }

  *#ended() {
    const row = [...this.#row, this.#cell];
    this.#row = [];
    this.#cell = "";
    if (row.length > 1 || row[0]) yield row;
  }
}

/** Return the cells of a line; none if it ends within quotes. */
function cellsOf(line, delimiter) {
  try {
    return [...new Cells(delimiter).of(line, true)][0] ?? [];
  } catch {
    return [];
  }
}

/** Texts, one per line. */
class LineReader {
  header = ["text"];
  #lines = new Lines();

  *rows(text, isEnd) {
    for (const line of this.#lines.of(text, isEnd)) if (line.trim()) yield { cells: [line], text: line };
  }
}

/** Rows below a header. */
class TableReader {
  header = [];
  #column;
  #place = -1;
  #cells;
  #begun = "";
  #isTsv;

  constructor(column, isTsv) {
    this.#column = column;
    this.#isTsv = isTsv;
  }

  *rows(text, isEnd) {
    for (const cells of this.#split(text, isEnd)) {
      if (!this.header.length) this.#begin(cells);
      else if (cells.length === this.header.length) yield { cells, text: cells[this.#place] };
      else yield { problem: `has ${cells.length} cells and the header ${this.header.length}` };
    }
  }

  *#split(text, isEnd) {
    if (this.#isTsv) {
      this.#cells ??= new Lines();
      for (const line of this.#cells.of(text, isEnd)) if (line.trim()) yield line.split("\t");
      return;
    }
    if (!this.#cells) {
      this.#begun += text;
      if (!isEnd && !/[\r\n]/.test(this.#begun.trimStart())) return;
      this.#cells = new Cells(this.#delimiter(this.#begun.trimStart().split(/[\r\n]/)[0]));
      [text, this.#begun] = [this.#begun, ""];
    }
    yield* this.#cells.of(text, isEnd);
  }

  /** Return the first mark that gives the header the column; if none does, the first that it has. */
  #delimiter(line) {
    return DELIMITERS.find((mark) => cellsOf(line, mark).includes(this.#column))
      ?? DELIMITERS.find((mark) => line.includes(mark)) ?? ",";
  }

  #begin(header) {
    this.#place = header.length === 1 ? 0 : header.indexOf(this.#column);
    this.header = header;
    if (this.#place < 0) {
      const names = header.slice(0, MAX_NAMES).map((name) => cut(name, MAX_NAME)).join(", ");
      throw new Error(`there is no column ${cut(this.#column, MAX_NAME)}; the columns are ${names}`);
    }
  }
}

/** One object per line. The columns are those of the first one. */
class JsonReader {
  header = [];
  #column;
  #lines = new Lines();

  constructor(column) {
    this.#column = column;
  }

  *rows(text, isEnd) {
    for (const line of this.#lines.of(text, isEnd)) if (line.trim()) yield this.#row(line);
  }

  #row(line) {
    let found;
    try {
      found = JSON.parse(line);
    } catch {
      return { problem: "is not JSON" };
    }
    if (typeof found === "string") found = { [this.#column]: found };
    if (typeof found !== "object" || found === null) return { problem: "is not an object" };
    const values = new Map(Object.entries(found)), text = values.get(this.#column);
    if (typeof text !== "string") return { problem: `has no text in ${this.#column}` };
    if (!this.header.length) this.header = [...values.keys()];
    const cells = this.header.map((name) => {
      const value = values.get(name) ?? "";
      return typeof value === "string" ? value : JSON.stringify(value);
    });
    return { cells, text };
  }
}

const READERS = {
  lines: () => new LineReader(),
  csv: (column) => new TableReader(column, false),
  tsv: (column) => new TableReader(column, true),
  jsonl: (column) => new JsonReader(column),
};

/** A table of results, whose lines leave the page's memory as the browser likes. */
export class CsvFile {
  count = 0;
  #own;
  #lines = [];
  #parts = [];

  /** @param {string[]} own the columns of a result. */
  constructor(own) {
    this.#own = own;
  }

  /** @param {string[]} columns of the rows; a name of a result's column becomes `input.NAME`. */
  begin(columns) {
    if (this.count || this.#parts.length || this.#lines.length) return;
    const others = columns.map((name) => {
      let free = name;
      while (this.#own.includes(free) || (free !== name && columns.includes(free))) free = `input.${free}`;
      return free;
    });
    this.#lines.push([...this.#own, ...others].map(headed).join(","));
  }

  /**
   * @param {(string | number)[]} result
   * @param {string[]} cells of the row.
   */
  add(result, cells) {
    const own = result.map((value) => (typeof value === "number" ? value.toFixed(6) : quoted(value)));
    this.#lines.push([...own, ...cells.map(quoted)].join(","));
    this.count++;
    if (this.#lines.length >= 4096) this.#keep();
  }

  /** @returns {Blob} */
  file() {
    this.#keep();
    return new Blob(this.#parts, { type: "text/csv" });
  }

  #keep() {
    if (this.#lines.length) this.#parts.push(new Blob([this.#lines.join("\r\n") + "\r\n"]));
    this.#lines = [];
  }
}

/** Return a cell. One that begins like a formula would be run by a spreadsheet. */
function quoted(value) {
  const text = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(value) ? "'" + value : value;
  return '"' + text.replaceAll('"', '""') + '"';
}

/** Return the name of a column, in quotes where it needs them. */
function headed(name) {
  return /^[\w. :-]*$/.test(name) && !/^[-]/.test(name) ? name : quoted(name);
}
