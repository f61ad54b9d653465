"""Checks of tokenizers: only components whose time and memory the text's length bounds.

A `tokenizer.json` can hold regular expressions, and one that backtracks makes the tokenizers
package panic. It can also hold replacements that lengthen a text a million times. Therefore only
the components listed here are accepted, each once, and only known expressions.
"""

from __future__ import annotations

import json
from typing import Any

from textgate.errors import BundleError
from textgate.messages import quoted

# A word with its inner and leading apostrophes ("don't", and "n't" and "'s" in texts that have been
# tokenized already), or any other single visible character.
WORDS = r"['\u2019]?\w+(?:['\u2019]\w+)*|[^\w\s]"
# The same with contractions split as in the Penn Treebank ("do n't", "it 's") and other apostrophes
# single. The lazy run of letters is read once, because no letter follows an "n't".
SUBWORD_WORDS = (
    r"\w+?(?=n['\u2019]t(?!\w))|n['\u2019]t(?!\w)|['\u2019](?:s|m|d|re|ve|ll|t)(?!\w)|\w+|[^\w\s]"
)
KNOWN_EXPRESSIONS = frozenset({WORDS, SUBWORD_WORDS})

_FIELD_NAMES = """
added_tokens decoder model normalizer padding post_processor pre_tokenizer truncation version
"""
_NORMALIZER_NAMES = """
BertNormalizer ByteLevel Lowercase NFC NFD NFKC NFKD Nmt Replace Strip StripAccents
"""
_PRE_TOKENIZER_NAMES = """
BertPreTokenizer ByteLevel CharDelimiterSplit Digits Metaspace Punctuation Split UnicodeScripts
Whitespace WhitespaceSplit
"""
_FIELDS = frozenset(_FIELD_NAMES.split())
_NORMALIZERS = frozenset(_NORMALIZER_NAMES.split())
_PRE_TOKENIZERS = frozenset(_PRE_TOKENIZER_NAMES.split())
_MODELS = frozenset({"BPE", "Unigram", "WordLevel", "WordPiece"})
_MAX_PATTERN_LENGTH = 64  # characters of a literal pattern
# The time of a model grows with the square or the cube of its limit, in characters.
_MAX_WORD_LENGTH = 200  # of WordPiece
_MAX_PIECE_LENGTH = 64  # of Unigram


def check_tokenizer(content: bytes, *, rows: int, where: str) -> str:
    """Return a tokenizer's text, if its parts are known and each of its ids has an embedding.

    Args:
        content: the content of ``tokenizer.json``.
        rows: rows of the network's embedding.
        where: how messages name the file.

    Raises:
        BundleError: it is not JSON, or has a part that is not accepted.
    """
    try:
        text = content.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as problem:
        raise BundleError(f"{where}: not valid JSON in UTF-8: {problem}") from None
    if not isinstance(document, dict):
        raise BundleError(f"{where}: expected a JSON object")
    ids = _token_ids(document, where)
    if ids and not 0 <= min(ids) <= max(ids) < rows:
        outside = min(ids) if min(ids) < 0 else max(ids)
        raise BundleError(
            f"{where}: token id {quoted(outside)}, but the network's embedding has rows 0 to"
            f" {rows - 1}"
        )
    _check_parts(document, where)
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):  # parsers disagree on which one counts
        raise ValueError("a field or a token is given twice")
    return fields


def _token_ids(document: dict[str, Any], where: str) -> list[int]:
    model = document.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    added = document.get("added_tokens", [])
    if isinstance(vocabulary, dict):
        ids = list(vocabulary.values())
    elif isinstance(vocabulary, list):  # Unigram: a token's id is its index
        ids = [*range(len(vocabulary))]
    else:
        raise BundleError(f"{where}: field 'model.vocab' should be an object or a list of tokens")
    if document.get("post_processor") is not None:  # it could add ids
        raise BundleError(f"{where}: field 'post_processor' should be null, as textgate writes it")
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise BundleError(f"{where}: field 'added_tokens' should be a list of objects")
    ids += [token.get("id") for token in added]
    if not set(map(type, ids)) <= {int}:
        raise BundleError(f"{where}: a token's id is not a whole number")
    return ids


def _check_parts(document: dict[str, Any], where: str) -> None:
    unknown = sorted(document.keys() - _FIELDS)
    if unknown:
        raise BundleError(f"{where}: unknown field {quoted(unknown[0])}")
    for field in ("decoder", "padding", "truncation"):  # not used, so not checked
        if document.get(field) is not None:
            raise BundleError(f"{where}: field {field!r} should be null, as textgate writes it")
    for field, known in (("normalizer", _NORMALIZERS), ("pre_tokenizer", _PRE_TOKENIZERS)):
        kinds = [_kind(part, field, known, where) for part in _parts(document, field)]
        if len(set(kinds)) != len(kinds):  # repeated ones can multiply a text's length
            raise BundleError(f"{where}: field {field!r} has a part of the same type twice")
    _check_model(document["model"], where)


def _check_model(model: dict[str, Any], where: str) -> None:
    kind = model.get("type", "WordLevel")
    if not isinstance(kind, str) or kind not in _MODELS:
        raise BundleError(
            f"{where}: model of type {quoted(kind)}, expected one of {', '.join(sorted(_MODELS))}"
        )
    if model.get("dropout") is not None:
        raise BundleError(f"{where}: a model with dropout, which gives a text random tokens")
    longest = model.get("max_input_chars_per_word", 0)
    if not isinstance(longest, int) or longest > _MAX_WORD_LENGTH:
        raise BundleError(
            f"{where}: field 'max_input_chars_per_word' should be at most {_MAX_WORD_LENGTH}, found"
            f" {quoted(longest)}"
        )
    if isinstance(model["vocab"], list) and not all(map(_is_piece, model["vocab"])):
        raise BundleError(
            f"{where}: a vocabulary in a list should hold pairs of a token, of at most"
            f" {_MAX_PIECE_LENGTH} characters, and a number"
        )
    unknown_token = model.get("unk_token")
    known_tokens = model["vocab"] if isinstance(unknown_token, str) else ()
    if "type" in model and kind == "WordLevel" and unknown_token not in known_tokens:
        raise BundleError(
            f"{where}: unknown token {quoted(unknown_token)} is not in the vocabulary"
        )


def _is_piece(item: object) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 2
        and isinstance(item[0], str)
        and len(item[0]) <= _MAX_PIECE_LENGTH
        and isinstance(item[1], int | float)
    )


def _parts(document: dict[str, Any], field: str) -> list[Any]:
    """Return the components of a normalizer or a pre-tokenizer, which may be a sequence."""
    whole = document.get(field)
    if whole is None:
        return []
    if not isinstance(whole, dict) or whole.get("type") != "Sequence":
        return [whole]
    parts = whole.get("normalizers" if field == "normalizer" else "pretokenizers")
    return parts if isinstance(parts, list) else [parts]


def _kind(part: object, field: str, known: frozenset[str], where: str) -> str:
    """Return the type of one component, after checking it."""
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str) or kind not in known:
        raise BundleError(
            f"{where}: field {field!r} has a part of type {quoted(kind)}, expected one of"
            f" {', '.join(sorted(known))}"
        )
    if kind == "Split":
        _check_pattern(part.get("pattern"), where)
    if kind == "Replace":
        _check_replacement(part, where)
    return kind


def _check_replacement(part: dict[str, Any], where: str) -> None:
    """Accept only one character for another: others could lengthen a text without bound."""
    pattern = part.get("pattern")
    old = pattern.get("String") if isinstance(pattern, dict) and len(pattern) == 1 else None
    new = part.get("content")
    if not (isinstance(old, str) and isinstance(new, str) and len(old) == len(new) == 1):
        raise BundleError(
            f"{where}: replaces {quoted(pattern)} by {quoted(new)}; only one character by another "
            "is accepted"
        )


def _check_pattern(pattern: object, where: str) -> None:
    if isinstance(pattern, dict) and len(pattern) == 1:
        literal, expression = pattern.get("String"), pattern.get("Regex")
        if isinstance(literal, str) and 0 < len(literal) <= _MAX_PATTERN_LENGTH:
            return
        if isinstance(expression, str) and expression in KNOWN_EXPRESSIONS:
            return
    raise BundleError(
        f"{where}: splits at {quoted(pattern)}, which is neither a short string nor one of"
        " textgate's own regular expressions"
    )
