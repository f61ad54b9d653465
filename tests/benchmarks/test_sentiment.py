"""Training rows of the package's models, and their behaviour tests."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import shutil
from itertools import pairwise
from types import SimpleNamespace

import click
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from tests.benchmarks.conftest import BENCHMARKS
from textgate.bundle.run import MODEL
from textgate.rows import load_labelled
from textgate.train import fit
from textgate.train.training.checkpoint import load_model


def loaded(name):
    """Return a fixture: a script of the benchmarks."""

    @pytest.fixture
    def fixture(script):
        return script(name)

    return fixture


data, student, made, overlap = map(loaded, ("domain_rows", "student_rows", "made_rows", "overlap"))
judging, cases = map(loaded, ("sentiment", "sentiment_cases"))


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


BEHAVIOUR = "I love this phone, the battery lasts for days."
SENTENCES = "The first one of them is here. The second one of them is there."
SETS = {
    "films/train": [
        ("a gorgeous and witty movie", "positive"),
        ("A Gorgeous, and witty movie!", "positive"),  # there already
        ("dull , slow and sad", "negative"),
        ("it is a fine film , to see", "positive"),  # in dev
        ("never bores anybody at all in the whole film", "positive"),  # a phrase of the test
        (BEHAVIOUR, "positive"),
        (f"{SENTENCES} " + " ".join(f"word{n}" for n in range(60)), "negative"),
    ],
    "films/dev": [("it is a fine film to see", "positive")],
    "films/test": [("it never bores anybody at all in the whole film .", "positive")],
    "films/texts": [(SENTENCES, None), ("it is a fine film to see", None)],
    "mr/train": [("so very good", "1")],
    "mr/dev": [("not much to see in here", "0"), ("nothing at all to look at", "0")],
    "scored/all": [
        (f"{kind} " + " ".join(f"{kind}{n}word{at}" for at in range(8)), score)
        for kind, score in (("thing", 2.5), ("item", 0.1), ("part", -0.7))
        for n in range(60)
    ],
}
LIST = {
    "films": [
        {"set": "films", "train": ["train"], "dev": ["dev"], "test": ["test"],
         "unlabelled": ["texts"], "open": False},
        {"set": "mr", "train": ["train"], "dev": ["dev"], "open": True},
    ],
    "things": [{"set": "scored", "split": ["all"], "open": True, "most": 30}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, data, made, monkeypatch):
    """A folder of sets, and a list of their domains and checksums."""
    files = {}
    for name, rows in SETS.items():
        path = tmp_path / "sets" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({"text": text} if label is None else {"text": text, "label": label})
            for text, label in rows
        ]
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
        files[f"{name}.jsonl.gz"] = hashlib.sha256(path.read_bytes()).hexdigest()
    listed = tmp_path / "domains.json"
    listed.write_text(json.dumps({"domains": LIST, "files": files}))
    monkeypatch.setattr(data, "LIST", listed)
    for name in ("STATEMENTS", "NAMED", "OPINIONS", "NONSENSE", "FOREIGN", "WORDLESS", "SWAPPED"):
        monkeypatch.setattr(made, f"_{name}", 50)
    return tmp_path / "sets"


def texts(path):
    return {row["text"] for row in read(path)}


def test_rows_of_domains(data, folder, tmp_path):
    out = tmp_path / "out"
    data.main([str(folder), "-o", str(out)], standalone_mode=False)
    train = texts(out / "films.train.jsonl.gz")
    assert {"dull , slow and sad", "so very good"} < train
    assert len({"a gorgeous and witty movie", "A Gorgeous, and witty movie!"} & train) == 1
    assert not [text for text in train if "fine film" in text or "bores" in text]
    assert BEHAVIOUR not in train
    assert texts(out / "films.texts.jsonl.gz") == {SENTENCES}

    # The set has no test of its own, so each of its dev rows is in one of the two.
    dev, test = texts(out / "films.dev.jsonl.gz"), texts(out / "films.test.jsonl.gz")
    assert dev | test == {text for name in ("films", "mr") for part in ("dev", "test")
                          for text, _ in SETS.get(f"{name}/{part}", ())}  # fmt: skip
    assert not dev & test
    assert texts(out / "mr.jsonl.gz") <= test


def test_rows_with_scores(data, folder, tmp_path):
    out = tmp_path / "out"
    data.main([str(folder), "-o", str(out)], standalone_mode=False)
    parts = [read(out / f"things.{part}.jsonl.gz") for part in ("train", "dev", "test")]
    assert len(parts[0]) == 30
    assert all(parts)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {row["text"] for row in parts[one]} & {row["text"] for row in parts[other]}
    for row in (row for rows in parts for row in rows):
        assert row["label"] == ("positive" if row["text"].startswith("thing") else "neutral")


def test_only_sets_under_open_terms_train(data, folder, tmp_path):
    out = tmp_path / "out"
    data.main([str(folder), "-o", str(out), "--open-terms"], standalone_mode=False)
    assert texts(out / "films.train.jsonl.gz") == {"so very good"}
    assert not texts(out / "films.texts.jsonl.gz")
    assert "it is a fine film to see" in texts(out / "films.dev.jsonl.gz")


def test_the_terms_of_training_rows_change_no_scored_row(data, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MOST_SCORED", 1)
    for name, terms in (("all", ()), ("open", ("--open-terms",))):
        data.main([str(folder), "-o", str(tmp_path / name), *terms], standalone_mode=False)
    for path in (tmp_path / "all").glob("*.gz"):
        if not path.name.endswith(("train.jsonl.gz", "texts.jsonl.gz")):
            assert path.read_bytes() == (tmp_path / "open" / path.name).read_bytes(), path.name


def test_the_rows_are_reproducible(data, student, folder, tmp_path):
    for name in ("one", "two"):
        out = tmp_path / name
        data.main([str(folder), "-o", str(out)], standalone_mode=False)
        student.main([str(out), "-o", str(out / "student")], standalone_mode=False)
    files = list((tmp_path / "one").rglob("*.gz"))
    assert len(files) == 15
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name


def test_other_files_are_refused(data, folder, tmp_path):
    (folder / "mr" / "dev.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(click.ClickException, match=r"dev\.jsonl\.gz: its checksum is not the one"):
        data.main([str(folder), "-o", str(tmp_path / "out")], standalone_mode=False)
    assert not (tmp_path / "out").exists()


def test_rows_of_the_student(data, student, made, cases, overlap, folder, tmp_path):
    rows, out = tmp_path / "rows", tmp_path / "out"
    data.main([str(folder), "-o", str(rows)], standalone_mode=False)
    arguments = [str(rows), "-o", str(out), "--most", "20", "--least", "40"]
    student.main(arguments, standalone_mode=False)
    labelled = read(out / "labelled.jsonl.gz")
    things = [row["text"] for row in labelled if row["text"].startswith(("thing", "item"))]
    assert len(things) == 2 * len(set(things)) == 40  # 20 rows, repeated
    (review,) = read(out / "reviews.jsonl.gz")
    assert review["text"].startswith(SENTENCES)
    pieces = {"The first one of them is here.", "The second one of them is there."}
    assert pieces <= texts(out / "sentences.jsonl.gz")
    made_rows = read(out / "made.jsonl.gz")
    for row in made_rows:
        assert sum(row["probs"].values()) == pytest.approx(1)
    opinions, kept = {row["text"] for row in made.opinions()}, overlap.Kept(cases.tested_texts())
    tested = set(filter(kept.resembles, opinions))
    assert tested
    assert {row["text"] for row in made_rows} & opinions == opinions - tested

    student.main([*arguments, "--without", "things"], standalone_mode=False)
    assert not [row for row in read(out / "labelled.jsonl.gz") if row["text"] in things]
    student.main([*arguments, "--most-of", "things=3"], standalone_mode=False)
    labelled = read(out / "labelled.jsonl.gz")
    assert len({row["text"] for row in labelled if row["text"].startswith(("thing", "item"))}) == 3

    assert not read(out / "pieces.jsonl.gz")
    student.main([*arguments, "--pieces", "40"], standalone_mode=False)
    assert len(read(out / "pieces.jsonl.gz")) == 40

    known = shutil.copy(out / "sentences.jsonl.gz", tmp_path)
    student.main([*arguments, "--max-words", "2"], standalone_mode=False)
    assert not read(out / "sentences.jsonl.gz")
    student.main([*arguments, "--known", str(known)], standalone_mode=False)
    assert not read(out / "sentences.jsonl.gz")
    assert read(out / "labelled.jsonl.gz")
    known = shutil.copy(out / "labelled.jsonl.gz", tmp_path)
    student.main([*arguments, "--known", str(known)], standalone_mode=False)
    assert not read(out / "labelled.jsonl.gz")


def test_pieces_of_texts(student, tmp_path):
    for domain, prefix in (("numbers", ""), ("others", "x")):
        texts_of = [[f"{prefix}{row}.{word}" for word in range(row)] for row in range(1, 50)]
        rows = [{"text": " ".join(words), "label": "neutral"} for words in texts_of]
        with gzip.open(tmp_path / f"{domain}.train.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    found = [row["text"].split() for row in student.pieces(tmp_path, ["numbers", "others"], 400)]
    assert len(found) == 400
    made_of = []
    for words in found:
        places = [tuple(map(int, word.strip("x").split("."))) for word in words]
        assert len({word[0] == "x" for word in words}) == 1
        begins = [0] + [at for at, (one, other) in enumerate(pairwise(places), start=1)
                        if other != (one[0], one[1] + 1)]  # fmt: skip
        ends = [*begins[1:], len(places)]
        assert all(3 <= end - begin <= 14 for begin, end in zip(begins, ends, strict=True))
        made_of.append(len(begins))
    assert made_of.count(1) == made_of.count(2) == 200


@pytest.mark.parametrize(("given", "said"), [("thing=3", "no domain is called thing"),
                                             ("things", "is not DOMAIN=NUMBER")])  # fmt: skip
def test_other_domains_are_refused(data, student, folder, tmp_path, given, said):
    rows = tmp_path / "rows"
    data.main([str(folder), "-o", str(rows)], standalone_mode=False)
    with pytest.raises(click.UsageError, match=said):
        student.main([str(rows), "-o", str(tmp_path / "out"), "--most-of", given],
                     standalone_mode=False)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_the_mean_of_two_runs(script, reviews, tmp_path, monkeypatch):
    rows = [row for row in load_labelled(reviews / "train.jsonl.gz") if len(row.text) < 80][:60]
    settings = {"folds": 0, "epochs": 1, "adversarial": 0.0}
    runs = [
        fit(rows, tmp_path / f"run-{seed}", dev=rows[:20], settings=settings | {"seed": seed}).path
        for seed in (0, 1)
    ]
    averaged = script("averaged")
    monkeypatch.setattr(averaged, "NAMES", ())
    main = averaged.main
    main([*map(str, runs), "-o", str(tmp_path / "mean")], standalone_mode=False)
    one, other, mean = (load_model(path / MODEL) for path in (*runs, tmp_path / "mean"))
    assert mean.weights.keys() == one.weights.keys()
    differ = 0
    for name, tensor in mean.weights.items():
        if tensor.is_floating_point():
            both = (one.weights[name] + other.weights[name]) / 2
            assert torch.allclose(tensor, both), name
        else:
            assert torch.equal(tensor, one.weights[name]), name
            assert torch.equal(tensor, other.weights[name]), name
        differ += not torch.equal(one.weights[name], other.weights[name])
    assert differ > 3
    assert 0.25 <= mean.temperature <= 1000

    third = fit(rows[:50], tmp_path / "third", dev=rows[:20], settings=settings).path
    with pytest.raises(click.UsageError, match="other networks or training rows"):
        main([str(runs[0]), str(third), "-o", str(tmp_path / "no")], standalone_mode=False)
    assert not (tmp_path / "no").exists()


def test_names_have_the_same_weights(script, made):
    averaged = script("averaged")
    words = ["Olivia", "good", "Kwame", "bad", "Grace"]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, "bad"))
    numbers = torch.tensor([1, 5, 3, 7, 9], dtype=torch.uint8)
    before = {"embedding.weight": torch.rand(5, 3), "linear.token_weights": numbers,
              "linear.tokens.weight": torch.rand(1, 3), "head.bias": torch.rand(5)}  # fmt: skip
    after = {name: tensor.clone() for name, tensor in before.items()}
    averaged.level_names(after, tokenizer)
    for part in ("head.bias", "linear.tokens.weight"):
        assert torch.equal(after[part], before[part])
    for part in ("embedding.weight", "linear.token_weights"):
        assert torch.equal(after[part][[1, 4]], before[part][[1, 4]])
        assert torch.allclose(after[part][0].float(), (before[part][0] + before[part][2]) / 2)
        assert torch.equal(after[part][0], after[part][2])


def test_faulty_rows_keep_their_labels(made):
    rows = [{"text": f"It isn't a good idea number {n}, really.", "label": "x"} for n in range(200)]
    found = list(made.noisy(rows, 0.5))
    assert 60 < len(found) < 140
    assert {row["label"] for row in found} == {"x"}
    assert not {row["text"] for row in found} & {row["text"] for row in rows}
    kinds = [
        str.isupper, str.islower, lambda text: "isn't" not in text and "isnt" in text,
        lambda text: text.endswith("!"), lambda text: "," not in text,
    ]  # fmt: skip
    for kind in kinds:
        assert [row for row in found if kind(row["text"])]


def test_names_instead_of_he_and_she(made):
    rows = [{"text": "He left.", "label": "x"}, {"text": "she sang well", "label": "y"}]
    found = list(made.renamed(rows, 1.0))
    assert [row["label"] for row in found] == ["x", "y"]
    name = r"[A-Z]\w+"
    assert re.fullmatch(f"{name} left.", found[0]["text"])
    assert re.fullmatch(f"{name} sang well", found[1]["text"])
    assert not list(made.renamed(rows, 0.0))


def test_names_beside_other_texts(made):
    texts = ("He's gone.", "Here it is.", "I saw her.", "Shell")
    rows = [{"text": text, "label": text} for text in texts * 500]
    found = list(made.renamed(rows, 1.0))
    assert 80 < len(found) < 250
    names = set(re.findall(r"[A-Z]\w+", made._WORDS["lists"]["name"]))
    for row in found:
        assert row["label"] in row["text"] != row["label"]
        assert names & set(re.findall(r"\w+", row["text"]))
    assert not list(made.renamed(rows, 0.0))


def test_long_texts_of_several_rows(made):
    sides = {"negative": "bad", "neutral": "plain", "positive": "good"}
    rows = [
        {"text": f"{word} {number}", "probs": dict.fromkeys(sides, 0.05) | {side: 0.9}}
        for side, word in sides.items()
        for number in range(20)
    ]
    unclear = {"text": "unclear", "probs": {"negative": 0.4, "neutral": 0.3, "positive": 0.3}}
    found = list(made.joined([*rows, unclear], 60))
    assert len(found) == 60
    for row in found:
        parts = row["text"].rstrip(".").split(". ")
        assert 3 <= len(parts) <= 20
        assert all(part[0].isupper() for part in parts)
        count = {side: row["text"].lower().count(word) for side, word in sides.items()}
        side = max(row["probs"], key=row["probs"].get)
        other = "negative" if side == "positive" else "positive"
        assert count[side] >= 3 * count[other]
        assert "Unclear" not in row["text"]
    assert len({max(row["probs"], key=row["probs"].get) for row in found}) == 2


def test_examples_of_wordnet(script, tmp_path):
    folder = tmp_path / "dict"
    folder.mkdir()
    for name in ("adj", "adv", "noun"):
        (folder / f"data.{name}").write_text("  1 This software\n", encoding="utf-8")
    gloss = 'eat quickly; "he wolfed down the stew"; "they bolted"; "who ate it all?"'
    line = f"0001 34 v 01 bolt 0 000 | {gloss}\n"
    (folder / "data.verb").write_text(line * 2, encoding="utf-8")
    path = tmp_path / "wordnet" / "unlabelled.jsonl.gz"
    script("wordnet_rows").main([str(folder), "-o", str(path)], standalone_mode=False)
    assert texts(path) == {"he wolfed down the stew", "Who ate it all."}


def test_statements_name_no_unfilled_list(made):
    about = (
        kind("toxic", "clean")
        for kind in (made.about_groups, made.reported, made.general, made.angry, made.hidden)
    )
    for rows in (made.statements(), made.named(), made.opinions(), *about):
        listed = list(rows)
        assert len(listed) > 1000
        assert not [row for row in listed if set("{}") & set(row["text"])]


def test_no_text_about_groups_is_both_toxic_and_clean(made):
    labels = {}
    for kind in (made.about_groups, made.reported, made.general, made.angry):
        for row in kind("toxic", "clean"):
            labels.setdefault(row["text"], set()).add(row["label"])
    assert not [text for text, found in labels.items() if len(found) > 1]
    unseen = re.compile(r"\b(hindus?|atheists?|arabs?|blind people|roma|native americans?)\b")
    assert not [text for text in labels if unseen.search(text.lower())]


def test_words_alone_are_neutral(made):
    found = {row["text"]: row["probs"] for row in made.alone()}
    assert {"the", "Muslims", "Yusuf", "a woman"} <= set(found)
    assert all(probs == made.NEUTRAL for probs in found.values())
    assert 500 < len(found) < 5000


def test_an_insult_among_plain_statements(made):
    rows = list(made.hidden("toxic", "clean"))
    assert [row["label"] for row in rows[:4]] == ["clean", "toxic"] * 2
    for plain, hidden in zip(rows[::2], rows[1::2], strict=True):
        assert plain["text"] != hidden["text"]


def test_runs_of_marks_keep_the_label(made):
    rows = [{"text": f"See you at {hour}.", "label": "clean"} for hour in range(50)]
    found = list(made.trailing(rows))
    assert len(found) == 50
    assert {row["label"] for row in found} == {"clean"}
    assert all(re.search(r"([.?!,*=_-])\1", row["text"]) for row in found)
    longest = max(len(row["text"]) for row in made.wordless())
    assert longest > 300


def test_disguised_letters(made):
    rows = [{"text": "you are a silly goose", "label": "toxic"}]
    found = [row["text"] for row in made.disguises(rows * 50, 1.0)]
    assert len(found) == 50
    assert [text for text in found if "0" in text]
    assert [text for text in found if "*" in text]
    chats = [text for text in found if text == "u r a silly goose"]
    assert 0 < len(chats) < 50
    assert all(len(text) >= len(rows[0]["text"]) for text in found if text not in chats)
    assert rows[0]["text"] not in found


def test_nonsense_keeps_the_shape_of_words(made):
    found = made.disguised("A Gorgeous, and witty movie!", random.Random(1))
    assert found != "A Gorgeous, and witty movie!"
    assert [character.isalpha() for character in found] == [
        character.isalpha() for character in "A Gorgeous, and witty movie!"
    ]


EXCHANGED = [
    ("He gave her his book.", "She gave his her book."),
    ("the actress and the man", "the actor and the woman"),
    ("a girl's story", "a boy's story"),
    ("nothing of the kind", ""),
    ("the theme, here", ""),
]


@pytest.mark.parametrize(("text", "other"), EXCHANGED)
def test_swapped_genders(made, text, other):
    assert made.exchanged(text) == other


def test_swapped_rows_keep_their_label(made):
    rows = [{"text": "his best", "label": "positive"}, {"text": "so dull", "label": "negative"}]
    assert list(made.swapped(rows)) == [{"text": "her best", "label": "positive"}]


class Fixed:
    """A classifier whose answer is the number in the text."""

    def predict(self, text):
        positive = int(text.rpartition(" ")[2]) / 100
        label = "positive" if positive > 0.7 else "negative" if positive < 0.3 else None
        return SimpleNamespace(label=label, scores={"positive": positive})


JUDGED = [
    ({"text": "a 90", "allowed": ("positive",)}, ""),
    ({"text": "a 50", "allowed": ("positive",)}, "'a 50' is no answer (0.50), not positive"),
    ({"text": "a 50", "allowed": ("negative", "")}, ""),
    ({"text": "a 90", "allowed": ("",)}, "'a 90' is positive (0.90), not no answer"),
    ({"text": "a 50", "other": "b 58", "most": 0.1}, ""),
    ({"text": "a 50", "other": "b 62", "most": 0.1}, "'a 50' 0.50, 'b 62' 0.62"),
    ({"text": "a 50", "other": "b 38", "most": 0.1}, "'a 50' 0.50, 'b 38' 0.38"),
    ({"text": "a 50", "other": "b 99", "most": 0.05, "rising": True}, ""),
    ({"text": "a 50", "other": "b 40", "most": 0.05, "rising": True}, "'a 50' 0.50, 'b 40' 0.40"),
]


@pytest.mark.parametrize(("case", "told"), JUDGED)
def test_judging_one_case(judging, cases, case, told):
    assert judging.failure(Fixed(), cases.Case(**case)) == told


def test_failures_are_counted(judging, cases):
    group = judging.tried(Fixed(), "g", [cases.Case(**case) for case, _ in JUDGED])
    assert (group.group, group.cases, group.failed) == ("g", 9, 5)
    assert len(group.examples) == 5


def test_every_group_has_cases_of_one_kind(cases):
    for name, make in cases.GROUPS.items():
        found = list(make())
        assert len(found) >= 10, name
        assert found == list(make()), name
        for case in found:
            assert bool(case.other) != bool(case.allowed), case
            assert set(case.allowed) <= {"positive", "negative", ""}


CUTS = [
    ("One thing. Another one!  A third?", ["One thing.", "Another one!", "A third?"]),
    ('He said "go." Then he went.', ['He said "go."', "Then he went."]),
    ("It cost 3.50 dollars. ok then", ["It cost 3.50 dollars. ok then"]),
    ("Mr. Smith met J. R. Jones. They left.", ["Mr. Smith met J. R. Jones.", "They left."]),
    ("no end\nnext line\n\n", ["no end", "next line"]),
    ("Wait... What?! (Really.) Yes", ["Wait...", "What?!", "(Really.)", "Yes"]),
    ("Mr.\nSmith", ["Mr.", "Smith"]),
    ("  ", []),
]


@pytest.mark.parametrize(("text", "expected"), CUTS, ids=[text[:20] for text, _ in CUTS])
def test_a_text_is_cut_into_sentences(student, text, expected):
    assert list(student.sentences(text)) == expected


@pytest.mark.parametrize(("name", "model"), [("domains", "sentiment"), ("toxicity", "toxicity")])
def test_a_card_lists_every_set_with_its_terms(name, model):
    root = BENCHMARKS.parent
    listed = json.loads((BENCHMARKS / "default_model" / f"{name}.json").read_text("utf-8"))
    card = (root / "runtime" / "models" / model / "README.md").read_text("utf-8")
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    sets = listed.get("sets") or [one for sets in listed["domains"].values() for one in sets]
    for one in sets:
        assert [row for row in rows if row.startswith(f"| {one['set']} |") and one["terms"] in row]


def test_behaviour_alone_is_shown_without_rows(script):
    stored = json.loads((BENCHMARKS / "results" / "sentiment.json").read_text("utf-8"))
    block = script("pages.blocks").BLOCKS["sentiment"]
    assert "test rows of" in block.text(stored)
    shown = block.text(stored | {"domains": {}, "held_out": []})
    assert "| negation |" in shown
    assert "test rows of" not in shown
