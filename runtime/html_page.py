"""HTML pages and tables that load nothing from elsewhere; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _escape

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

# Colours of a page, in the light and in the dark: `--c0` to `--c5` are those of series.
COLOURS = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #59636e; --rule: #d1d9e0;
  --c0: #0a5ad6; --c1: #b54708; --c2: #0f7a52; --c3: #a3268d; --c4: #6b5b00; --c5: #5b4bd6; }
@media (prefers-color-scheme: dark) { :root { --back: #12161b; --text: #e6edf3; --soft: #9aa5b1;
  --rule: #333c46; --c0: #6cb2ff; --c1: #ffa657; --c2: #56d39b; --c3: #f08bdc; --c4: #d9c44a;
  --c5: #b4a7ff; } }
"""
# Style of headings, paragraphs and tables of a page with these colours.
PAGE_STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; max-width: 65rem; } .soft { color: var(--soft); }
.noisy { border-left: 4px solid var(--c1); padding: .3rem .8rem; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--c0); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .5rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal;
  overflow-wrap: normal; }
"""


def escape(text: str) -> str:
    """Return a text as HTML; lone surrogates, which no encoding has, become U+FFFD."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _escape(whole)


def document(title: str, style: str, body: str) -> str:
    """Return a page.

    Args:
        title: its title, a text.
        style: its style sheet.
        body: its content, HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{body}\n</body>\n</html>\n"
    )


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str, *, align: str = ""
) -> str:
    """Return a table of texts, which a keyboard can scroll.

    Args:
        header: the columns' titles.
        rows: one cell per column in every row.
        title: its name for screen readers.
        align: ``<`` (left) or ``>`` (right) for each column; "" leaves it to the style sheet.
    """
    cells = [[escape(cell) for cell in row] for row in rows]
    return html_table(header, cells, title, align=align)


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str, *, align: str = ""
) -> str:
    """Return the table of `table`, with cells that are HTML.

    Args:
        header: the columns' titles.
        rows: one cell per column in every row.
        title: its name for screen readers.
        align: ``<`` (left) or ``>`` (right) for each column; "" leaves it to the style sheet.
    """
    names = {"<": "left", ">": "right"}
    sides = [f' style="text-align:{names[side]}"' for side in align] or [""] * len(header)
    head = "".join(
        f'<th scope="col"{side}>{escape(cell)}</th>'
        for cell, side in zip(header, sides, strict=True)
    )
    lines = [
        "".join(f"<td{side}>{cell}</td>" for cell, side in zip(row, sides, strict=True))
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
