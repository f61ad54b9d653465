"""The name that somebody who misspelt one probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is written most like this one, or None where no name is near.

    Args:
        name: what was written.
        known: what could have been meant; upper and lower case make no difference.
    """
    import difflib  # only for messages

    by_lower_case = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for a message, with a space before it; "" where no name is near."""
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}?)"
