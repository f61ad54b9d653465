"""Wording of messages: quoted values, lists of names, counts, reasons and suggestions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

MAX_QUOTED = 60  # characters of a value, so that a message stays one line
MAX_LISTED = 10  # names
MAX_REASON = 400  # characters of another package's message, which may quote a whole file


def quoted(value: object) -> str:
    """Return a Python value in quotes or digits, on one line and cut if it is long."""
    if isinstance(value, str | bytes):
        return repr(value[:MAX_QUOTED]) + ("..." if len(value) > MAX_QUOTED else "")
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to write an int of thousands of digits
        return "a number of many digits"
    return beginning(text, MAX_QUOTED)


def shown(value: object) -> str:
    """Return a value of a file in the terms of JSON, on one line and cut if it is long."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    return f"a list of {len(value)}" if isinstance(value, list) else quoted(value)


def listed(
    names: Sequence[str], name: Callable[[str], str] = shown, *, limit: int = MAX_LISTED
) -> str:
    """Return names separated by commas: the first ones, and how many more there are.

    Args:
        names: the names.
        name: returns how one of them is written.
        limit: how many of them are written.
    """
    first = ", ".join(map(name, names[:limit]))
    more = len(names) - limit
    return f"{first} and {more:,} more" if more > 0 else first


def counted(number: int, one: str, several: str) -> str:
    """Return a number with a noun in the singular or the plural."""
    return f"{number:,} {one if number == 1 else several}"


def reason(problem: BaseException) -> str:
    """Return the message of an exception of another package, on one line and cut if it is long."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    return beginning(text, MAX_REASON)


def beginning(text: str, limit: int) -> str:
    """Return a text, cut after `limit` characters if it has more."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most like this one; None if no name is close.

    Args:
        name: the name as it was written.
        known: the names to choose from; case makes no difference.
    """
    import difflib  # only for messages

    by_lower_case = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to put into a message, with a space before it; "" if no name is close."""
    found = nearest(name, known)
    return "" if found is None else f" (did you mean {found!r}?)"
