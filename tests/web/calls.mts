// Calls that the package's types must accept, and two that they must not.
import { Classifier, ClassifierWorker, BundleError, guard } from "textgate";
import type { Explanation, Facts, Options, Prediction, Source } from "textgate";

const options: Options = { thresholds: { positive: 0.9 }, maxTokens: 10 };
const source: Source = new URL("https://example.org/model/");
const files: Source = { "model.onnx": new Uint8Array(), "textgate.json": new Blob() };
const classifier: Classifier | ClassifierWorker = files
  ? await Classifier.load(source, options)
  : await ClassifierWorker.load(files);

const prediction: Prediction = await classifier.predict("a text", { topK: 1 });
const label: string | null = prediction.label;
const score: number | undefined = prediction.scores.get("positive");
for await (const { topLabel } of classifier.predictMany([label ?? ""])) topLabel.length;
const explained: Explanation = await classifier.explain("a text", { topK: 1 });
explained.words.map(({ start, values }) => start + (values.get("positive") ?? 0));
const several: Prediction[] = await classifier.predictions(["a text"]);

const stream = classifier.stream();
await stream.feed("a ");
await stream.copy().feed(new Uint8Array(), { final: true });
const passed = guard([""], classifier, { stopAt: 0.5, labels: ["positive"] });
for await (const piece of passed) piece.length;
passed.stopped?.score;

const { engine }: Facts = classifier.describe();
if (!(new Error(engine.name) instanceof BundleError)) classifier.close();

// @ts-expect-error A number is no text.
await classifier.predict(score ?? several.length);
// @ts-expect-error There is no such option.
await Classifier.load(source, { threads: 4 });
