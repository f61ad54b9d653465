"""Model card as HTML: headings, paragraphs, lists, tables and code, with all text escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape

_FENCE = "```"
_HEADING = re.compile(r"(#{1,6}) +(.*)")
_ITEM = re.compile(r" *(?:[-*+]|\d{1,9}[.)]) +(.*)")
_RULE_OF_TABLE = re.compile(r"\|(?: *:?-+:? *\|)+ *")
_COMMENT = re.compile(r"<!--[^<>]*-->")
_CELLS = re.compile(r"(?<!\\)\|")
# Each stops at its own mark, so that no text takes more than linear time.
_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_LINK = re.compile(r"\[([^\[\]]+)\]\(([^\s()<>]*)\)")
_SHIFT = 2  # levels between a heading of the card and one of the page
_LAST = 6


def card_html(markdown: str) -> str:
    """Return a card as HTML, in which nothing but its text comes from the card.

    Links to other sites stay links; others, whose targets are not on the page, become text. A
    metadata block at its beginning is left out.
    """
    lines = _COMMENT.sub("", markdown.replace("\x00", "\ufffd")).splitlines()
    if lines[:1] == ["---"] and "---" in lines[1:]:
        lines = lines[lines.index("---", 1) + 1 :]
    return "\n".join(_blocks(lines))


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith(_FENCE):
            end = _end(lines, at + 1, lambda each: each.startswith(_FENCE))
            code = escape("\n".join(lines[at + 1 : end]))
            yield f'<pre tabindex="0"><code>{code}</code></pre>'
            at = end + 1
        elif heading := _HEADING.fullmatch(line):
            level = min(len(heading[1]) + _SHIFT, _LAST)
            yield f"<h{level}>{_inline(heading[2])}</h{level}>"
            at += 1
        elif line.startswith("|") and _RULE_OF_TABLE.fullmatch("".join(lines[at + 1 : at + 2])):
            end = _end(lines, at, lambda each: not each.startswith("|"))
            yield _table(lines[at], lines[at + 2 : end])
            at = end
        elif _ITEM.fullmatch(line):
            end = _end(lines, at, lambda each: not each.strip())
            yield _list(lines[at:end])
            at = end
        else:
            end = _end(lines, at + 1, _begins_a_block)
            yield f"<p>{_inline(' '.join(lines[at:end]))}</p>"
            at = end


def _end(lines: Sequence[str], first: int, is_end: Callable[[str], bool]) -> int:
    return next((at for at in range(first, len(lines)) if is_end(lines[at])), len(lines))


def _begins_a_block(line: str) -> bool:
    return (
        not line.strip()
        or line.startswith((_FENCE, "|"))
        or bool(_HEADING.fullmatch(line) or _ITEM.fullmatch(line))
    )


def _list(lines: Sequence[str]) -> str:
    items: list[list[str]] = []
    for line in lines:
        item = _ITEM.fullmatch(line)
        if item:
            items.append([item[1]])
        else:
            items[-1].append(line.strip())
    kind = "ol" if lines[0].lstrip()[0].isdigit() else "ul"
    content = "".join(f"<li>{_inline(' '.join(item))}</li>" for item in items)
    return f"<{kind}>{content}</{kind}>"


def _table(header: str, rows: Sequence[str]) -> str:
    names = "".join(f'<th scope="col">{cell}</th>' for cell in _cells(header))
    body = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(row))}</tr>" for row in rows
    )
    return (
        '<div class="scrolls" tabindex="0" role="region" aria-label="Table of the card"><table>'
        f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: str) -> list[str]:
    return [
        _inline(cell.strip().replace("\\|", "|"))
        for cell in _CELLS.split(row.strip().removeprefix("|").removesuffix("|"))
    ]


def _inline(text: str) -> str:
    """Return a line with its code, bold parts and links."""
    parts = _CODE.split(text)  # every second one is code
    return "".join(
        f"<code>{escape(part)}</code>" if place % 2 else _links(part)
        for place, part in enumerate(parts)
    )


def _links(text: str) -> str:
    parts = _LINK.split(text)  # text, then the words and the target of a link, and so on
    found = [_bold(parts[0])]
    for words, target, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if target.startswith(("https://", "http://")):
            found.append(f'<a href="{escape(target)}" rel="noopener noreferrer">{_bold(words)}</a>')
        else:
            found.append(_bold(words))
        found.append(_bold(rest))
    return "".join(found)


def _bold(text: str) -> str:
    return _BOLD.sub(r"<strong>\1</strong>", escape(text))
