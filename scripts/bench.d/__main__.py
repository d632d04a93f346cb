"""Measure how provisioning costs grow, side by side with other ways to do the same.

Each figure stands beside a peer's of the same run: the rounds of all cases are interleaved, and each case's end state
is checked before its time counts. Needs the lab (`valija lab up`), and for a part as many labs as it has hosts.

  B1  the first converge of a clean host          3 rounds, 4 hosts in turn    about 15 minutes
  B2  a run that changes nothing                  5 rounds, 4 hosts at once    about 10 minutes
  B3  10 to 100,000 accounts                      3 rounds, 1 host             about 20 minutes
  B4  one more account at 10,000                  5 rounds, 1 host             about 3 minutes
  B5  1,000 domains and 10,000 aliases            3 rounds, 1 host             about 5 minutes
  B8  5,000 messages from outside                3 rounds, 2 hosts            about 10 minutes

scripts/bench                   all parts; writes docs/reference/benchmarks.md and its pictures
scripts/bench B4                one part; the page keeps the others
scripts/bench --rounds 1 B1     a try; the page is left alone unless --write is given
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import page
import parts
from ground import Unfit, cleared
from measure import load, machine

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
PICTURES = ROOT / "docs" / "images"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "part", nargs="*", type=str.upper, metavar="PART", help="B1 to B5 and B8; all when none is given"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each case, instead of the part's own number")
    parser.add_argument("--cases", help="only the cases with these words in their name, separated by commas")
    parser.add_argument("--release", default="debian-13", help="release of the hosts (default: debian-13)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go (default: build/bench.json)")
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page from the figures kept")
    parser.add_argument("--write", action="store_true", help="write the page although rounds or cases were chosen")
    parser.add_argument("--keep", action="store_true", help="leave the labs up")
    given = parser.parse_args()
    if unknown := [name for name in given.part if name not in parts.PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(parts.PARTS)}")
    store = given.json or ROOT / "build" / "bench.json"
    figures = json.loads(store.read_text()) if store.exists() else {}
    trial = bool(given.rounds or given.cases)
    chosen = [] if given.page else given.part or list(parts.PARTS)
    plan = parts.Plan(given.release, given.rounds, tuple(filter(None, (given.cases or "").split(","))))
    try:
        for name in chosen:
            print(f"{name}: {parts.PARTS[name].title}", flush=True)
            begun, before = time.monotonic(), load()
            result = parts.PARTS[name].measure(plan)
            taken = {**machine(), "load before": before, "load after": load()}
            figures[name] = {**result, "machine": taken, "seconds": round(time.monotonic() - begun)}
            if given.json or given.write or not trial:
                store.parent.mkdir(parents=True, exist_ok=True)
                store.write_text(json.dumps(figures, indent=1) + "\n")
            print(page.section(name, figures[name]), flush=True)
    except Unfit as reason:
        print(f"scripts/bench: {reason}", file=sys.stderr)
        return 1
    finally:
        if not given.keep:
            cleared()
    if given.write or given.page or not trial:
        page.write(PAGE, figures, PICTURES)
        print(f"{PAGE.relative_to(ROOT)} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
