"""The name that somebody who misspelt one probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for a message, with a space before it; "" where no name is near.

    Args:
        name: what was written.
        known: what could have been meant; upper and lower case make no difference.
    """
    import difflib  # only for the message

    by_lower_case = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f" (did you mean {by_lower_case[near[0]]!r}?)" if near else ""
