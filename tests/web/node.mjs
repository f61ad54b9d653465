// Runs one job for the tests: node node.mjs JOB.json, whose answer goes to the file that it names.
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const job = JSON.parse(await readFile(process.argv[2], "utf8"));
const from = (name) => import(pathToFileURL(`${job.package}/src/${name}.js`));

const plain = (prediction) => ({ ...prediction, scores: [...prediction.scores] });
const attempt = async (call) => {
  try {
    return await call();
  } catch (problem) {
    return { error: problem.name, message: problem.message };
  }
};

const METHODS = {
  async ids({ bundle, texts }) {
    const { Tokenizer } = await from("tokenizer");
    const content = new Uint8Array(await readFile(`${bundle}/tokenizer.json`));
    const tokenizer = new Tokenizer(content, { rows: 2 ** 24, maxTokens: 10 ** 6, where: "" });
    return texts.map((text) => tokenizer.ids(text));
  },
  async predictions({ bundle, texts, options, worker }) {
    const { Classifier, ClassifierWorker } = await from("index");
    const classifier = await (worker ? ClassifierWorker : Classifier).load(bundle, options);
    const one = [];
    for (const text of texts) one.push(plain(await classifier.predict(text)));
    const many = [];
    for await (const prediction of classifier.predictMany(texts)) many.push(plain(prediction));
    const facts = classifier.describe();
    classifier.close();
    return { one, many, facts };
  },
  async explanations({ bundle, texts, options, worker }) {
    const { Classifier, ClassifierWorker } = await from("index");
    const classifier = await (worker ? ClassifierWorker : Classifier).load(bundle);
    const found = [];
    for (const text of texts) {
      const { prediction, words, ...others } = await classifier.explain(text, options);
      const numbers = words.map(({ values, prefixScores, ...one }) => {
        return { ...one, values: [...values], prefixScores: [...prefixScores] };
      });
      found.push({ ...others, prediction: plain(prediction), words: numbers });
    }
    classifier.close();
    return found;
  },
  async together({ bundle, texts }) {
    const { ClassifierWorker } = await from("index");
    const classifier = await ClassifierWorker.load(bundle);
    const stream = classifier.stream();
    const found = await Promise.all([
      ...texts.map((text) => attempt(async () => plain(await classifier.predict(text)))),
      attempt(() => stream.feed(() => "a piece that cannot be sent")),
      attempt(() => classifier.predict(texts[0], { topK: 4 })),
      attempt(async () => plain(await stream.feed(texts[0]))),
    ]);
    const late = attempt(() => classifier.predict(texts[0]));
    classifier.close();
    return [...found, await late];
  },
  async streams({ bundle, pieces, options, worker }) {
    const { Classifier, ClassifierWorker } = await from("index");
    const classifier = await (worker ? ClassifierWorker : Classifier).load(bundle, options);
    const found = [];
    for (const text of pieces) {
      const stream = classifier.stream();
      const predictions = [];
      for (const piece of text) {
        const bytes = typeof piece === "string" ? piece : Uint8Array.from(piece);
        predictions.push(await attempt(async () => plain(await stream.feed(bytes))));
      }
      predictions.push(plain(await stream.finish()));
      found.push(predictions);
    }
    classifier.close();
    return found;
  },
  async exact({ file, package: folder }) {
    const module = await WebAssembly.compile(await readFile(`${folder}/src/${file}`));
    return new WebAssembly.Instance(module).exports.tg_is_exact() === 1;
  },
  async models({ file, cases, package: folder }) {
    const { EngineSession } = await from("engine");
    const { answersOf } = await import("./models.mjs");
    return answersOf(EngineSession, await WebAssembly.compile(await readFile(`${folder}/src/${file}`)), cases);
  },
  async misuses({ bundle, worker }) {
    const { Classifier, ClassifierWorker, guard } = await from("index");
    const kind = worker ? ClassifierWorker : Classifier;
    const classifier = await kind.load(bundle);
    const found = [
      await attempt(() => kind.load(bundle, { maxtokens: 3 })),
      await attempt(() => kind.load(bundle, null)),
      await attempt(() => classifier.predict("a", { topk: 1 })),
      await attempt(() => classifier.predict("a", null)),
      await attempt(() => classifier.predict("a", 2)),
      await attempt(() => classifier.predictions("abc")),
      await attempt(() => classifier.predictions(["a"], { top: 1 })),
      await attempt(() => classifier.predictMany(["a"], { top: 1 }).next()),
      await attempt(() => classifier.stream().feed("a", { last: true })),
      await attempt(() => guard([], classifier, { stop: 0.5 })),
    ];
    classifier.close();
    return found;
  },
  async loads({ bundles, options }) {
    const { Classifier } = await from("index");
    const found = [];
    for (const bundle of bundles) {
      found.push(await attempt(async () => ({ labels: (await Classifier.load(bundle, options)).labels })));
    }
    return found;
  },
  async without({ bundle }) {
    const { Classifier } = await from("index");
    WebAssembly.validate = () => false;
    return attempt(() => Classifier.load(bundle));
  },
  async manifests({ files }) {
    const { readManifest } = await from("manifest");
    const found = [];
    for (const file of files) {
      const content = new Uint8Array(await readFile(file));
      found.push(await attempt(async () => ({ checksum: (await readManifest(content, "textgate.json")).checksum })));
    }
    return found;
  },
};

await writeFile(job.answer, JSON.stringify(await METHODS[job.method](job)));
