#!/usr/bin/env python3
"""Can a day be reported? A drill of 24 hours with a probe at 10,000 samples a second, as the engine would have written it down.

    cargo build --release && python3 benches/day.py [--hours 24] [--run DIR] [--keep] [--json FILE]

`benches/day.rs` writes the run (it says how, and which hours are repeated); `--run` reports one that is there already. Then, each in a process of its own:

  report    as HTML, as JSON and as histogram log: at most 15 s of wall time and a peak of 128 MiB resident, each
  size      the HTML report at most 5 MiB; the journal and the histogram log together at most 200 MiB
  count     the JSON report's samples are hours × 3,600 × 10,000, to the last one, and it finds the one outage of 7 s

The wall time is the best of three and includes reading the journal; the peak is the largest of the three, from wait4. Ends with 1 when a bar is missed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE = 10_000
WALL_S = 15.0
PEAK_MIB = 128.0
HTML_MIB = 5.0
FILES_MIB = 200.0
MIB = 2**20


def report(binary, run, shape, out):
    """Wall, CPU and peak of one report, which goes to `out`."""
    with open(out, "wb") as file:
        began = time.monotonic()
        child = subprocess.Popen([binary, "report", run, "--output", shape], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE)
        said = child.stderr.read().decode(errors="replace")
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if out.stat().st_size == 0:
        sys.exit(f"report --output {shape} ended with {child.returncode} and told nothing: {said[-500:]}")
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024, "code": child.returncode, "bytes": out.stat().st_size}


def generate(place, hours):
    env = dict(os.environ, CARGO_INCREMENTAL="0")
    began = time.monotonic()
    words = ["cargo", "bench", "--quiet", "--bench", "day", "--", str(place), str(hours)]
    if pathlib.Path("/tmp/build.lock").exists():
        # One build at a time where a machine is shared.
        subprocess.run(["flock", "/tmp/build.lock", *words[:5], "--no-run"], cwd=ROOT, env=env, check=True)
        began = time.monotonic()
    done = subprocess.run(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"written in {time.monotonic() - began:.0f} s: {told['samples']:,} samples, {told['singly']:,} of them one by one, the rest in {told['runs']:,} runs", flush=True)
    return pathlib.Path(told["run"])


def main():
    parser = argparse.ArgumentParser(description="can a day be reported?")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--run", help="a run directory that `day.rs` wrote")
    parser.add_argument("--keep", metavar="DIR", help="write the run below this directory and leave it there")
    parser.add_argument("--binary", default=os.environ.get("FIREDRILL_BIN", str(ROOT / "target/release/firedrill")))
    parser.add_argument("--json", help="also write every measurement here")
    args = parser.parse_args()
    binary = str(pathlib.Path(args.binary).absolute())
    if not pathlib.Path(binary).exists():
        sys.exit(f"{binary} is not there: cargo build --release")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    verdicts = []

    def judged(what, value, bar, good):
        verdicts.append("PASS" if good else "FAIL")
        print(f"  {what:44} {value:>16}   {bar:18} {verdicts[-1]}", flush=True)

    with tempfile.TemporaryDirectory(prefix="firedrill-day-") as place:
        place = pathlib.Path(place)
        run = pathlib.Path(args.run) if args.run else generate(pathlib.Path(args.keep or place).absolute(), args.hours)
        journal = (run / "events.jsonl").stat().st_size
        told, measured = {}, {}
        for shape in ("html", "json", "hlog"):
            out = place / f"day.{shape}"
            took = [report(binary, str(run), shape, out) for _ in range(3)]
            told[shape] = out.read_text()
            measured[shape] = took
            wall, peak = min(one["wall_s"] for one in took), max(one["peak_mib"] for one in took)
            judged(f"report --output {shape}: wall time", f"{wall:.2f} s", f"bar {WALL_S:g} s", wall <= WALL_S)
            judged(f"report --output {shape}: peak resident", f"{peak:.1f} MiB", f"bar {PEAK_MIB:g} MiB", peak <= PEAK_MIB)
        html, hlog = measured["html"][0]["bytes"], measured["hlog"][0]["bytes"]
        judged("HTML report", f"{html / MIB:.2f} MiB", f"bar {HTML_MIB:g} MiB", html <= HTML_MIB * MIB)
        both = f"{journal / MIB:.0f} + {hlog / MIB:.0f} MiB"
        judged("journal + histogram log", both, f"bar {FILES_MIB:g} MiB", journal + hlog <= FILES_MIB * MIB)
        said = json.loads(told["json"])["probes"]["web"]
        planned, want = said["samples"]["planned"], args.hours * 3600 * RATE
        sums = planned == sum(said["samples"][name] for name in ("ok", "bad", "local", "capped"))
        judged("samples in the report", f"{planned:,}", f"exactly {want:,}", planned == want and sums)
        outages = [(one["lo_us"] / 1e6, one.get("hi_us", 0) / 1e6) for one in said["outages"]]
        held = len(outages) == 1 and outages[0][0] <= 7.0 <= outages[0][1]
        judged("outages in the report", ", ".join(f"{lo:.4f} … {hi:.4f} s" for lo, hi in outages) or "none", "holds 7 s", held)
    if args.hours < 24:
        print("less than a day: this is no proof")
    if args.json:
        text = json.dumps({"hours": args.hours, "journal_bytes": journal, "load_average_after": os.getloadavg(), "verdicts": verdicts, "reports": measured}, indent=1)
        pathlib.Path(args.json).write_text(text + "\n")
    print(f"load average {os.getloadavg()[0]:.1f} at the end; " + ", ".join(f"{verdicts.count(one)} {one}" for one in ("PASS", "FAIL", "SKIPPED")))
    return 1 if "FAIL" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
