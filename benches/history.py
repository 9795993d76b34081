#!/usr/bin/env python3
"""How long the history of 1,000 runs takes: to make again from the run directories, and to tell a trend from.

    cargo build --release && python3 benches/history.py [--runs 1000] [--binary target/release/firedrill]

The runs are copies of one recorded drill (tests/journals/passed) under ids of their own, with their checksums made anew. Two bars, each on the median of five:

  rebuild   `firedrill history rebuild`     at most 10 s for 1,000 runs
  trend     `firedrill trend scenario`      at most 1 s, from a history that is whole
"""

import argparse
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "journals" / "passed"


def lay(runs: pathlib.Path, text: list, old: str, n: int) -> None:
    run = f"{old[:20]}{n:06d}"
    place = runs / run
    place.mkdir(parents=True)
    for name in ("plan.json", "scenario.yaml"):
        (place / name).write_bytes((GOLDEN / name).read_bytes())
    total, lines = "", []
    for line in text:
        body = line.rsplit(',"sum":"', 1)[0].replace(old, run) + "}"
        total = hashlib.sha256((total + body).encode()).hexdigest()[:16]
        lines.append(f'{body[:-1]},"sum":"{total}"}}\n')
    (place / "events.jsonl").write_text("".join(lines))


def timed(command: list, cwd: str, rounds: int = 5) -> float:
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - began)
    return statistics.median(took)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "firedrill"))
    args = parser.parse_args()
    binary = str(pathlib.Path(args.binary).resolve())
    text = (GOLDEN / "events.jsonl").read_text().splitlines()
    old = json.loads(text[0])["event"]["run"]
    failed = False
    with tempfile.TemporaryDirectory() as place:
        for n in range(args.runs):
            lay(pathlib.Path(place) / ".firedrill" / "runs", text, old, n)
        for name, command, bar in (
            ("rebuild", [binary, "history", "rebuild"], 10.0),
            ("trend", [binary, "trend", "scenario"], 1.0),
        ):
            took = timed(command, place)
            # The bar is for 1,000 runs; others are told and not judged.
            verdict = "-" if args.runs != 1000 else "PASS" if took <= bar else "FAIL"
            failed |= verdict == "FAIL"
            print(f"{name:8} {args.runs} runs  {took:6.2f} s  bar {bar:g} s  {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
