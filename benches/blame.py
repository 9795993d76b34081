#!/usr/bin/env python3
"""Who stood still? A prober that freezes never reports an outage, and a server that freezes is told with the right times.

    cargo build --release && python3 benches/blame.py [--trials 20]

  prober   the runner is stopped for 500 ms in the middle of a drill of a healthy service: each run must end as no evidence (exit 33), with no outage in it
  server   the truth server stands still for 500 ms under 2,000 requests a second: the p99 of the phase within 10 % of what its own log says, the run valid,
           and no taint on it
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = str(ROOT / "target/release/firedrill")
FROZEN_S = 0.5

SCENARIO = """firedrill: 1
title: Who stood still?
environment: test
test: recovery
system:
  truth:
    run: ["${{firedrill}}", __truth, serve, "--listen=127.0.0.1:{port}", "--dir=${{run.dir}}/truth"]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/" }}, within: 20s }}
probes:
  seen: {{ http: {{ url: "http://127.0.0.1:{port}/", connection: {connection} }}, rate: {rate}/s, timeout: {timeout} }}
steady_state: {{ over: 1s, probes: {{ seen: {{ success: {{ min: 50% }} }} }} }}
faults:
  f: {{ {fault} }}
recovery: {{ within: 10s, stable_for: 500ms }}
"""
TELL = '"${firedrill}", __truth, tell, "${run.dir}/truth"'
STALL = (f"command: {{ run: [{TELL}, down, stall, '{int(FROZEN_S * 1e6)}'] }}, for: 3s, "
         f"confirm: {{ command: {{ run: [{TELL}, was-down] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 20ms, within: 5s }}, "
         f"undo: {{ run: [{TELL}, up], done_when: {{ command: {{ run: [{TELL}, is-up] }}, expect: {{ exit: {{ equals: 0 }} }}, within: 5s }} }}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(place, **what):
    (place / "s.yaml").write_text(SCENARIO.format(port=free_port(), **what))
    env = dict(os.environ, FIREDRILL_REGISTRY=str(place / "registry"))
    return subprocess.Popen([BINARY, "run", "s.yaml", "--yes", "--output", "json"], cwd=place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(place, word, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for run in (place / ".firedrill/runs").glob("*/events.jsonl"):
            if word in run.read_text():
                return run.parent
        time.sleep(0.01)
    sys.exit(f"no {word}")


def frozen_prober(number, freeze=True):
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        runner = start(place, rate=50, timeout="300ms", connection="new", fault="rehearse.nothing: {}, for: 3s")
        wait_for(place, '"type":"effective","id":"f"')
        time.sleep(random.Random(number).uniform(0.2, 1.8))
        if freeze:
            os.kill(runner.pid, signal.SIGSTOP)
            time.sleep(FROZEN_S)
            os.kill(runner.pid, signal.SIGCONT)
        out, err = runner.communicate()
        report = json.loads(out)
        outages = len(report["probes"]["seen"]["outages"])
        return runner.returncode, report["validity"]["valid"], outages, report["validity"]["reasons"]


def frozen_server(number):
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        runner = start(place, rate=2000, timeout="1s", connection="keep-alive", fault=STALL)
        out, err = runner.communicate()
        if not out.strip():
            sys.exit(f"no report:\n{err}")
        report = json.loads(out)
        run = next((place / ".firedrill/runs").iterdir())
        told = [json.loads(line) for line in (run / "truth/truth.jsonl").read_text().splitlines()]
        up = next(line["after_mono_ns"] for line in told if line["ev"] == "up")
        fault = report["faults"]["f"]
        begin, end = fault["effective"]["hi_mono_ns"], fault["undo_started_mono_ns"]
        # Requests come evenly; whoever comes while it stands still waits until it goes on. One in a hundred waits longer than this.
        truth = (up - begin - 0.01 * (end - begin)) / 1e6
        phase = report["probes"]["seen"]["phases"]["f.during"]
        return report["validity"]["valid"], phase["tainted"], truth, phase["p99_us"] / 1e3, phase, report["validity"]["reasons"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--binary", default=BINARY)
    args = parser.parse_args()
    globals()["BINARY"] = args.binary
    print(f"load average {os.getloadavg()[0]:.1f}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(frozen_prober, range(args.trials)))
    # The same drill without a frozen prober is evidence: what follows is not true of every run.
    _, valid, outages, reasons = frozen_prober(0, freeze=False)
    print(f"prober left alone: {'valid' if valid else 'INVALID ' + '; '.join(reasons)}, {outages} outages  {'PASS' if valid and not outages else 'FAIL'}")
    alone = valid and not outages
    invalid = sum(code == 33 and not valid and any("stood still" in why for why in reasons) for code, valid, _, reasons in found)
    outages = sum(outages for _, _, outages, _ in found)
    blamed = alone and invalid == len(found) and outages == 0
    print(f"prober frozen {FROZEN_S * 1000:.0f} ms: {invalid} of {len(found)} runs are no evidence, {outages} outages reported  {'PASS' if blamed else 'FAIL'}")
    for one in found:
        if one[0] != 33 or one[2]:
            print("  ", one)
    right = True
    errors = []
    for number in range(max(3, args.trials // 4)):
        valid, tainted, truth, measured, phase, reasons = frozen_server(number)
        error = abs(measured - truth) / truth
        errors.append(error)
        good = valid and not tainted and error <= 0.1
        right &= good
        print(f"server frozen {FROZEN_S * 1000:.0f} ms: p99 {measured:.0f} ms, truly {truth:.0f} ms ({error * 100:.1f} % off); "
              f"{phase['planned']} planned, {phase['bad']} bad, {phase['local']} local, {phase['capped']} capped; "
              f"{'valid' if valid else 'INVALID ' + '; '.join(reasons)}{', tainted' if tainted else ''}")
    print(f"p99 within 10 % of the truth, and the target blamed: median error {statistics.median(errors) * 100:.1f} %  {'PASS' if right else 'FAIL'}")
    sys.exit(0 if blamed and right else 1)


main()
