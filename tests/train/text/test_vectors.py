"""Word vectors: every common format gives the same vectors, a broken file is refused."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgate.errors import DataError
from textgate.train.text import vectors as module
from textgate.train.text.vectors import Vectors, load_vectors, unpack

ROOT = Path(__file__).parents[3]
GLOVE = ROOT.parent / "shared" / "vectors"

GLOVE_TEXT = "the 0.5 -1 2e-1\ncat 1 2 3\n. 0 0 0\n"
WORDS = {"the": [0.5, -1, 0.2], "cat": [1, 2, 3], ".": [0, 0, 0]}


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_pair(folder, words, matrix, *, name="v", names=None):
    np.save(folder / f"{name}.npy", matrix)
    write(folder / (names or f"{name}.words.txt"), "".join(f"{word}\n" for word in words))
    return folder / f"{name}.npy"


def found(vectors):
    return {word: vectors.lookup(word).tolist() for word in vectors.words}


def nearly(expected):
    return {word: pytest.approx(values, abs=1e-3) for word, values in expected.items()}


# Valid files

TEXTS = {
    "GloVe": GLOVE_TEXT,
    "word2vec": "3 3\n" + GLOVE_TEXT,
    "fastText, a space before each line end": "3 3 \n" + GLOVE_TEXT.replace("\n", " \n"),
    "no line end at the end": GLOVE_TEXT.rstrip(),
    "Windows": GLOVE_TEXT.replace("\n", "\r\n"),
    "blank lines": "\n" + GLOVE_TEXT + "\n",
    "a byte order mark": "\ufeff" + GLOVE_TEXT,
}


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.txt.gz"])
@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_text_files(tmp_path, name, content):
    vectors = load_vectors(write(tmp_path / name, content))
    assert found(vectors) == nearly(WORDS)
    assert (vectors.name, vectors.dims) == (name, 3)
    assert vectors.matrix.dtype == np.float32
    assert list(vectors.words.values()) == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("v", "v.words.txt"),
        ("v", "v.words.txt.gz"),
        ("v.f16", "v.words.txt.gz"),
        ("v.f16", "v.f16.words.txt"),
        ("glove.100d", "glove.100d.words.txt"),
    ],
)
def test_a_matrix_and_its_words(tmp_path, dtype, name, names):
    matrix = np.asfortranarray(np.array(list(WORDS.values()), dtype=dtype))
    vectors = load_vectors(str(write_pair(tmp_path, WORDS, matrix, name=name, names=names)))
    assert found(vectors) == nearly(WORDS)
    assert vectors.matrix.dtype == np.float32
    assert vectors.name == f"{name}.npy"


def test_words_that_hold_spaces(tmp_path):
    path = write(tmp_path / "v.txt", ". . . 1 2\n\u00a0 3 4\nat x@y.org 5 6\n1 2 3\n")
    with pytest.raises(DataError):  # the first line has one word and four numbers
        load_vectors(path)
    path.write_text("the 0 0\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    vectors = load_vectors(path)
    assert list(vectors.words) == ["the", ". . .", "\u00a0", "at x@y.org", "1"]
    assert found(vectors)["at x@y.org"] == [5, 6]


def test_case_makes_a_difference(tmp_path):
    vectors = load_vectors(write(tmp_path / "v.txt", "Paris 1\nparis 2\n"))
    assert [vectors.lookup(word) for word in ("Paris", "paris")] == [[1], [2]]
    assert vectors.lookup("PARIS") is None


REPEATED = "a 1 2\nb 3 4\na 5 6\na 7 8\nb 9 9\n"


def test_the_first_vector_of_a_word_counts(tmp_path):
    matrix = np.array([line.split()[1:] for line in REPEATED.splitlines()], dtype=np.float32)
    for path in (
        write(tmp_path / "v.txt", REPEATED),
        write(tmp_path / "w.txt", "5 2\n" + REPEATED),
        write_pair(tmp_path, "abaab", matrix),
    ):
        assert found(load_vectors(path)) == {"a": [1, 2], "b": [3, 4]}


def test_only_wanted_words_are_kept(tmp_path):
    matrix = np.array(list(WORDS.values()), dtype=np.float16)
    for path in (write(tmp_path / "v.txt", GLOVE_TEXT), write_pair(tmp_path, WORDS, matrix)):
        vectors = load_vectors(path, {"cat", ".", "dog"})
        assert found(vectors) == {"cat": [1, 2, 3], ".": [0, 0, 0]}
        none = load_vectors(path, ())
        assert (none.words, none.matrix.shape) == ({}, (0, 3))


NUMBERS = st.floats(-100, 100, width=16)
WORD = st.text(st.characters(exclude_categories=["Zs", "Cs", "Cc"]), min_size=1, max_size=8)


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.dictionaries(
            WORD, st.lists(NUMBERS, min_size=width, max_size=width), min_size=1
        )
    )
)
def test_what_is_written_is_read(tmp_path_factory, table):
    width = len(next(iter(table.values())))
    lines = "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in table.items())
    folder = tmp_path_factory.mktemp("vectors")
    for path in (
        write(folder / "v.txt", f"{len(table)} {width}\n{lines}"),
        write_pair(folder, table, np.array(list(table.values()), dtype=np.float16)),
    ):
        assert found(load_vectors(path)) == table


# Broken files

WIDTH = "numbers after the word, expected 2 as in the first line"
BROKEN_TEXT = [
    ("", ": the file has no vectors"),
    ("\n \n", ": the file has no vectors"),
    ("0 5\n", ": the file has no vectors"),
    ("the\n", ", line 1: 0 numbers per word, expected 1 to 4,096; a line holds a word and its"),
    ("the" + " 1" * 5000, ", line 1: 5,000 numbers per word, expected 1 to 4,096; "),
    ("7 99999\n", ", line 1: 99,999 numbers per word, expected"),
    ("the,1,2\n", ", line 1: 0 numbers per word"),
    ("a 1 2\nb 1\n", f", line 2: 1 {WIDTH}"),
    ("a 1 2\n\nb 1 2 3\n", f", line 3: 3 {WIDTH}"),
    ("2 2\na 1 2 3\n", f", line 2: 3 {WIDTH}"),
    ("a 1 2\nb\n", f", line 2: 0 {WIDTH}"),
    ("a 1 2\n 1 2\n", ", line 2: starts with a space, where a word should be"),
    ("a 1 2\nb 1 x\n", ", line 2: 'x' is not a finite number"),
    ("a 1 2\nb 1  2\n", f", line 2: 3 {WIDTH}"),
    ("a 1 2\nb  2\n", ", line 2: '' is not a finite number"),
    ("a 1 nan\n", ", line 1: 'nan' is not a finite number"),
    ("a 1 2\nb -inf 2\n", ", line 2: '-inf' is not a finite number"),
    ("a inf -inf\n", ", line 1: 'inf' is not a finite number"),
    ("a 1 1e39\n", ", line 1: '1e39' is not a finite number"),  # in float32
    ("a 1 1e999\n", ", line 1: '1e999' is not a finite number"),
    ("a 1 " + "9" * 500, "9999'... is not a finite number"),
    ("3 2\na 1 2\nb 3 4\n", ": the first line announces 3 words, but 2 follow; the file may be"),
    ("1 2\na 1 2\nb 3 4\n", ": the first line announces 1 words, but 2 follow"),
    (b"a 1 2\nb\xff 1 2\n", ", line 2: byte 0xff is not UTF-8"),
    (
        "a 1 2\n".encode("utf-16"),
        "begins with the byte order mark of utf-16-le, which is not utf-8; convert",
    ),
    (b"PK\x03\x04\xff", "is not UTF-8 (the file looks like a zip archive"),
]


@pytest.mark.parametrize(
    ("content", "message"), BROKEN_TEXT, ids=[f"{case[1][:50]}" for case in BROKEN_TEXT]
)
def test_broken_text(tmp_path, content, message):
    path = write(tmp_path / "v.txt", content)
    with pytest.raises(DataError) as refusal:
        load_vectors(path)
    text = str(refusal.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text
    assert len(text) < 400


def test_the_width_of_an_unwanted_line_is_checked(tmp_path):
    with pytest.raises(DataError, match="line 2: 1 numbers after the word, expected 2"):
        load_vectors(write(tmp_path / "v.txt", "a 1 2\nb 1\n"), {"a"})


GOOD = np.ones((2, 3), dtype=np.float16)
ODD = np.array([[1, 1], [1, np.nan], [np.inf, 1]], dtype=np.float32)
BROKEN_PAIRS = [
    ("abc", GOOD, "v.words.txt has 3 words, but {npy} has 2 rows; the two belong together"),
    ("a", GOOD, "v.words.txt has 1 words, but {npy} has 2 rows"),
    ("", GOOD, "v.words.txt has 0 words, but"),
    (["a", ""], GOOD, "v.words.txt, line 2: no word; row 2 of {npy} needs one"),
    ("abc", ODD, "{npy}, row 2: holds a number that is not finite"),
    ("a", np.array([[1e300]]), "{npy}, row 1: holds a number that is not finite"),
    ("ab", np.ones((2, 3), dtype=np.int8), "{npy}: an array of int8 [2, 3], expected float16 or"),
    ("ab", np.ones(2, dtype=np.float32), "{npy}: an array of float32 [2], expected"),
    ("ab", np.ones((2, 0), dtype=np.float32), "{npy}: an array of float32 [2, 0], expected"),
    ("a", np.ones((1, 5000), dtype=np.float32), "[1, 5000], expected float16 or float32"),
    ("a", np.array([[{}]]), "{npy}: not a whole numpy file (Array can't be memory-mapped: Python"),
]


@pytest.mark.parametrize(
    ("words", "matrix", "message"), BROKEN_PAIRS, ids=[case[2][:50] for case in BROKEN_PAIRS]
)
def test_broken_pairs(tmp_path, words, matrix, message):
    path = write_pair(tmp_path, words, matrix)
    with pytest.raises(DataError) as refusal:
        load_vectors(path)
    assert message.format(npy=path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_numbers_of_an_unwanted_row_are_not_read(tmp_path):
    assert found(load_vectors(write_pair(tmp_path, "abc", ODD), {"a"})) == {"a": [1, 1]}


@pytest.mark.parametrize("length", [0, 5, 20, 130])
def test_a_matrix_that_is_cut_off(tmp_path, length):
    path = write_pair(tmp_path, "ab", GOOD)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="not a whole numpy file"):
        load_vectors(path)


def test_words_that_are_not_utf8(tmp_path):
    path = write_pair(tmp_path, "ab", GOOD)
    (tmp_path / "v.words.txt").write_bytes(b"a\n\xe9\n")
    with pytest.raises(DataError, match=r"v\.words\.txt, line 2: byte 0xe9 is not UTF-8"):
        load_vectors(path)


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.npy"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(DataError) as refusal:
        load_vectors(tmp_path / name)
    assert str(refusal.value) == f"{tmp_path / name}: cannot be read: No such file or directory"


@pytest.mark.parametrize(("name", "meant"), [("englsh", "english"), ("nne", "none")])
def test_a_mistyped_name(tmp_path, monkeypatch, name, meant):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refusal:
        load_vectors(name)
    assert str(refusal.value) == f"{name}: no file of that name (did you mean {meant!r}?)"


def test_missing_words(tmp_path):
    np.save(tmp_path / "v.f16.npy", GOOD)
    with pytest.raises(DataError) as refusal:
        load_vectors(tmp_path / "v.f16.npy")
    assert str(refusal.value) == (
        f"{tmp_path / 'v.f16.npy'}: the file of its words is missing; expected "
        "v.f16.words.txt or v.f16.words.txt.gz or v.words.txt or v.words.txt.gz beside it"
    )


def test_too_many_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_NUMBERS", 5)
    text = write(tmp_path / "v.txt", GLOVE_TEXT)
    pair = write_pair(tmp_path, "abc", np.ones((3, 2), dtype=np.float32))
    for path, where in ((text, f"{text}, line 2"), (pair, str(pair))):
        with pytest.raises(DataError) as refusal:
            load_vectors(path)
        assert str(refusal.value).startswith(f"{where}: the vectors take more than")
    assert list(load_vectors(text, {"cat"}).words) == ["cat"]
    assert list(load_vectors(pair, {"a", "c"}).words) == ["a", "c"]


# The English vectors of the package

PACKAGED = resources.files("textgate.train") / "english"
FINGERPRINTS = {
    "codes.npy": "d563083e2d9c2934a1d3c1a70296a273d8b2ed5718377ef75a8b9b5865b1907b",
    "columns.npy": "39a3febfd8a376e2cfac946871b1e3558d198149863d1e7465074b473e9a1c43",
    "words.txt": "ea394542a7cde7658804dd69f3f43f847e9aa8253b195a9bfd40e8f4734a0c56",
}


@pytest.fixture(scope="module")
def english() -> Vectors:
    return load_vectors("english")


def test_the_packaged_files():
    found = {
        name: hashlib.sha256((PACKAGED / name).read_bytes()).hexdigest() for name in FINGERPRINTS
    }
    assert found == FINGERPRINTS


def test_size_of_the_english_vectors(english, tmp_path):
    assert (english.name, english.matrix.shape) == ("english", (68_400, 100))
    assert english.matrix.dtype == np.float32
    assert len(english.words) == 68_400
    assert np.isfinite(english.matrix).all()
    assert all(word == word.lower() and word.split() == [word] for word in english.words)
    with zipfile.ZipFile(tmp_path / "like.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in filter(Path.is_file, PACKAGED.iterdir()):
            wheel.writestr(f"textgate/train/english/{file.name}", file.read_bytes())
    assert (tmp_path / "like.whl").stat().st_size <= 3_000_000


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("terrible", {"horrible", "awful"}),
        ("good", {"better"}),
        ("tuesday", {"monday", "wednesday", "thursday"}),
        ("king", {"queen", "prince"}),
        ("refund", {"refunds", "payment"}),
        ("card", {"cards", "debit", "credit"}),
        ("n't", {"not", "didn't"}),  # means of other words, like those below
        ("i'm", {"i", "i've"}),
        ("3", {"three"}),
        ("a", {"an"}),
    ],
)
def test_neighbours(english, word, near):
    matrix = english.matrix / np.linalg.norm(english.matrix, axis=1, keepdims=True)
    order = np.argsort(-(matrix @ matrix[english.words[word]]), kind="stable")
    words = list(english.words)
    assert near <= {words[row] for row in order[:8]} - {word}


def test_some_of_the_english_vectors(english):
    some = load_vectors("english", {"good", "terrible", "not-a-word"})
    assert set(some.words) == {"good", "terrible"}
    for word in some.words:
        assert (some.lookup(word) == english.lookup(word)).all()


def test_the_terms_are_packaged():
    notice = (PACKAGED / "NOTICE").read_text(encoding="utf-8")
    assert "http://www.opendatacommons.org/licenses/pddl/1.0/" in notice
    assert "Copyright (c) 2024  GRAYPE Systems Private Limited\n\nPermission is" in notice
    assert notice.endswith("OR THE USE OR OTHER DEALINGS IN\nTHE SOFTWARE.\n")


def test_packed_numbers():
    codes = np.array([[0xF0, 0x87]], dtype=np.uint8)
    columns = np.array([[0, 1, -1, 0], [1, 0.5, 2, 4]], dtype=np.float16)
    assert unpack(codes, columns).tolist() == [[-7.5, 4.75, -2, 2]]


# The script that makes it


def make(folder: Path, out: Path) -> str:
    script = ROOT / "benchmarks" / "default_model" / "word_vectors.py"
    command = [sys.executable, str(script), str(folder), "--out", str(out)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not GLOVE.is_dir(), reason="the GloVe vectors are not beside this repository")
def test_the_script_makes_what_is_packaged(tmp_path):
    make(GLOVE, tmp_path)
    for name in FINGERPRINTS:
        assert (tmp_path / name).read_bytes() == (PACKAGED / name).read_bytes()


@pytest.fixture
def few(tmp_path):
    words = ["not", "do", "an", "me", "myself", "euro128", "mp3", *(f"w{n}" for n in range(300))]
    words = [word for word in words if sum(map(str.isdigit, word)) < 3]
    generator = np.random.default_rng(0)
    matrix = generator.normal(0.1, 0.5, (len(words), 100)).astype(np.float16)
    folder = tmp_path / "glove"
    folder.mkdir()
    np.save(folder / "glove.6B.100d.top120k.f16.npy", matrix)
    write(folder / "glove.6B.100d.top120k.words.txt.gz", "\n".join(words))
    return folder, dict(zip(words, matrix.astype(np.float64), strict=True))


def test_the_script_on_a_few_words(few, tmp_path):
    folder, given_vectors = few
    assert make(folder, tmp_path / "one") == make(folder, tmp_path / "two")
    files = [
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]
    words = (tmp_path / "one" / "words.txt").read_text(encoding="utf-8").splitlines()
    codes, columns = (np.load(tmp_path / "one" / f"{name}.npy") for name in ("codes", "columns"))
    made = dict(zip(words, unpack(codes, columns), strict=True))
    expected = {"n't": ["not"], "a": ["an"], "i": ["me", "myself"], "don't": ["do", "not"]}
    assert words[:4] == list(expected)
    assert "mp3" in words
    assert not {"euro128", "w10", "it's"} & set(words)
    expected |= {word: [word] for word in words if word in given_vectors}
    assert set(expected) == set(words)
    for word, parts in expected.items():
        exact = np.mean([given_vectors[part] for part in parts], axis=0)
        inside = np.abs(exact - 0.1) < 1.7  # of the outermost levels
        assert np.abs(made[word] - exact)[inside].max() < 0.2, word  # half a step and some
