"""Try thousands of wrong bundles in processes of their own and write down what came of them.

    python benchmarks/fuzz/graphs.py --cases 20000

A case that ends a process, takes more than ten seconds or a gibibyte, raises anything but a
`TextgateError`, or answers with what are no probabilities is printed with its number, and makes the
exit status 1. ``--kind KIND --first NUMBER --cases 1`` tries one again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import cases
import supervisor

from textgate.machine import this_machine

RESULT = Path(__file__).parents[1] / "results" / "fuzz.json"


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000, help="how many random ones of a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kind", choices=cases.KINDS, action="append", help="all, if not given")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    kinds, bad = {}, 0
    for kind in options.kind or cases.KINDS:
        known = cases.count(kind)
        cases_left = options.cases if known is None else min(options.cases, known - options.first)
        started = time.monotonic()
        found = supervisor.run(
            kind,
            cases=cases_left,
            seed=options.seed,
            workers=options.workers,
            first=options.first,
        )
        bad += len(found.bad)
        for number, what, told in found.bad:
            print(f"{kind} {number}: {what}: {told}")
        kinds[kind] = {
            "cases": sum(found.counts.values()),
            "outcomes": dict(sorted(found.counts.items())),
            "seconds": round(time.monotonic() - started, 1),
        }
        print(f"{kind}: {json.dumps(kinds[kind])}", flush=True)
    result = {
        "command": f"python benchmarks/fuzz/graphs.py --cases {options.cases}",
        "seed": options.seed,
        "kinds": kinds,
        "machine": dataclasses.asdict(this_machine()),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
