"""Guard what a language model streams: print it until a label is sure, then cut it off.

    pip install '.[serve]'
    python docs/serve/guarded_stream.py                                  # tokens made up here
    python docs/serve/guarded_stream.py http://127.0.0.1:8000/v1/chat/completions MODEL

The second form reads the stream of any server that speaks OpenAI's chat completions.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator

from textgate import Classifier, guard

MADE_UP = "The rooms were clean . The food was a disgusting , rotten mess ."


def tokens(url: str, model: str) -> Iterator[str]:
    """Yield what a server of OpenAI's protocol streams."""
    request = urllib.request.Request(  # noqa: S310 - the address is the caller's own
        url,
        data=json.dumps(
            {
                "model": model,
                "stream": True,
                "messages": [{"role": "user", "content": "Write a review of a hotel."}],
            }
        ).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        for line in response:
            data = line.decode().removeprefix("data:").strip()
            if data and data != "[DONE]":
                choices = json.loads(data)["choices"]
                yield choices[0]["delta"].get("content") or "" if choices else ""


def main() -> None:
    """Print a guarded stream."""
    pieces = tokens(*sys.argv[1:3]) if len(sys.argv) > 2 else (f"{w} " for w in MADE_UP.split())
    with Classifier.load("sentiment") as classifier:
        guarded = guard(pieces, classifier, stop_at=0.75, labels={"negative"})
        for piece in guarded:
            sys.stdout.write(piece)
            sys.stdout.flush()
    if guarded.stopped is not None:
        sys.stdout.write(f"[cut off: {guarded.stopped.label}]\n")


if __name__ == "__main__":
    main()
