#!/usr/bin/env python3
"""Who sees a short outage, and how exactly? Firedrill beside Chaos Toolkit, on this machine.

    cargo build --release && python3 benches/peers.py [--trials 50] [--peer-trials 10] [--shared-trials 20] [--venv DIR] [--json FILE]

A truth server answers 503 for 703.7 ms, at a random phase, and writes down when.

  missed   drills with a probe that names no rate and no time-out: their reports must show the outage, every one of them. Beside it, without a bar: how many
           Chaos Toolkit misses with its steady-state hypothesis run continuously at its default frequency (1 s)
  error    mean of |measured - true length|. Both watch the same server in the same trial, so they see the very same outage; Chaos Toolkit at 0.1 s.
           Firedrill's is to be at most 0.1 × Chaos Toolkit's

At which rate the second bar is judged: at 200/s, and not at the default. Over outages of any length, whoever samples every d is off by d/3 in the mean, so at its
default rate (20/s) Firedrill cannot be ten times closer than a look every 0.1 s, only about twice. That line is printed too, without a bar. 200/s against
0.1 s is how each is run in practice by those who want to know the length of an outage; it is a comparison of the two in use and not of the same number of
samples. The drill has one probe of each rate, so all three lines are about the same outages.

One length is not any length. 703.7 ms is 14.07 samples of 50 ms, so the default rate says 700 ms (off by 3.7 ms) or, one time in 14, 750 ms: better than its d/3 of
16.7 ms, by luck. `--spread 50` draws the lengths of the second part evenly from 50 ms around it, which takes that luck away from everybody.

Chaos Toolkit measures no outage, so its length is read from its journal in the way that suits it best: from the start of the first failed look of the continuous
hypothesis to the start of the first later one that succeeded. A trial in which it saw nothing is listed as missed and left out of its mean. Where
Firedrill misses one, the bar is missed.

No trial is left out for what either tool says of it, an invalid drill neither. One in which the service did not go down once and come back, or a tool could not
be run, is taken again and counted. Chaos Toolkit is `--venv` (made there when missing), `chaos` on the PATH or /tmp/ctk/bin/chaos; without it its lines
are SKIPPED, which proves nothing. Ends with 1 when a bar is missed.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from undo import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOWN_MS = 703.7
BAR = 0.1
FAST = "200/s"
PEER = "chaostoolkit==1.19.0"
TAKES = 4
LIMIT_S = 120

SCENARIO = """firedrill: 1
title: A short outage
environment: test
test: recovery
{system}
probes:
  default: {{ http: {{ url: "http://127.0.0.1:{port}/" }} }}
{more}
steady_state: {{ over: 1s, probes: {{ default: {{ success: {{ min: 50% }} }} }} }}
faults:
  outage:
    command: {{ run: [{tell}, down, "status:503", "{down}"] }}
    at: {phase}us
    for: 2500ms
    confirm: {{ command: {{ run: [{tell}, was-down] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 20ms, within: 10s }}
    undo: {{ run: [{tell}, up], done_when: {{ command: {{ run: [{tell}, is-up] }}, expect: {{ exit: {{ equals: 0 }} }}, within: 10s }} }}
recovery: {{ within: 20s, stable_for: 500ms }}
"""
SYSTEM = """system:
  truth:
    run: ["${{firedrill}}", __truth, serve, "--listen=127.0.0.1:{port}", "--dir=${{run.dir}}/truth"]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/" }}, within: 20s }}"""
FASTER = '  fast: {{ http: {{ url: "http://127.0.0.1:{port}/" }}, rate: {rate} }}'


class Again(Exception):
    """A trial that cannot tell anything."""


def drill(binary, place, port, seed, shared, spread=0.0):
    """Its report. The server is the drill's own, or one that is `shared` and runs already."""
    turn = random.Random(seed)
    where = place / "truth" if shared else "${run.dir}/truth"
    (place / "s.yaml").write_text(
        SCENARIO.format(
            port=port,
            system="" if shared else SYSTEM.format(port=port),
            more=FASTER.format(port=port, rate=FAST) if shared else "",
            tell=f'"${{firedrill}}", __truth, tell, "{where}"',
            phase=int(turn.uniform(0, 1e6)),
            down=int((DOWN_MS + turn.uniform(-spread, spread)) * 1000),
        )
    )
    env = dict(os.environ, FIREDRILL_REGISTRY=str(place / "registry"))
    words = [binary, "run", "s.yaml", "--yes", "--output", "json"]
    done = subprocess.run(words, cwd=place, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Again(f"a drill ended with {done.returncode}: {done.stderr.strip()[-500:]}") from None


def truth_ms(directory):
    """How long it was truly down, in the middle of what the two readings of the clock leave open."""
    told = [json.loads(line) for line in (directory / "truth.jsonl").read_text().splitlines()]
    edges = [line for line in told if line["ev"] in ("down", "up")]
    if [line["ev"] for line in edges] != ["down", "up"]:
        raise Again("the service did not go down once and come back")
    down, up = (edge["before_mono_ns"] + edge["after_mono_ns"] for edge in edges)
    return (up - down) / 2e6


def seen(report, probe, truth):
    """What a probe made of it: nothing, or by how much it is off."""
    outages = report["probes"][probe]["outages"]
    # More or less than the one that there was, or one without an end, has no length.
    point = outages[0]["point_us"] if len(outages) == 1 else None
    return {
        "outages": len(outages),
        "measured_ms": None if point is None else point / 1e3,
        "error_ms": None if point is None else abs(point / 1e3 - truth),
        "valid": report["validity"]["valid"],
    }


def alone(binary, seed, place):
    report = drill(binary, place, free_port(), seed, shared=False)
    truth = truth_ms(next((place / ".firedrill/runs").iterdir()) / "truth")
    return {"truth_ms": truth, "default": seen(report, "default", truth)}


def wait_for(what, why, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return what()
        except OSError:
            time.sleep(0.02)
    raise Again(why)


def chaos_command(chaos, place, port, frequency):
    """Its experiment watches for as long as somebody holds the pipe open."""
    os.mkfifo(place / "over")
    probe = {"type": "probe", "name": "up", "tolerance": 200, "provider": {"type": "http", "url": f"http://127.0.0.1:{port}/", "timeout": 1}}
    wait = {"type": "action", "name": "wait", "provider": {"type": "process", "path": "cat", "arguments": [str(place / "over")]}}
    experiment = {"title": "watch", "description": "watch", "steady-state-hypothesis": {"title": "up", "probes": [probe]}, "method": [wait], "rollbacks": []}
    (place / "experiment.json").write_text(json.dumps(experiment))
    # No frequency given is its default.
    often = [] if frequency is None else ["--hypothesis-frequency", str(frequency)]
    return [chaos, "--no-version-check", "--no-log-file", "run", "--journal-path", "journal.json", "--hypothesis-strategy", "continuously", *often, "experiment.json"]


def chaos_saw(journal, truth):
    looks = [probe for state in journal["steady_states"]["during"] for probe in state["probes"]]
    looks = [(datetime.datetime.fromisoformat(look["start"]).timestamp() * 1e3, look["tolerance_met"]) for look in looks]
    if len(looks) < 2 or journal["status"] != "completed":
        raise Again(f"Chaos Toolkit did not watch: {len(looks)} looks, {journal['status']}")
    gone = next((at for at, met in looks if not met), None)
    back = next((at for at, met in looks if met and gone is not None and at > gone), None)
    measured = None if back is None else back - gone
    return {
        "looks": len(looks),
        "failed_looks": sum(not met for _, met in looks),
        "every_ms": statistics.median(later[0] - earlier[0] for earlier, later in zip(looks, looks[1:])),
        "measured_ms": measured,
        "error_ms": None if measured is None else abs(measured - truth),
    }


def together(binary, chaos, frequency, spread, seed, place):
    port = free_port()
    running = []
    ignored = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pipe = None
    try:
        running.append(subprocess.Popen([binary, "__truth", "serve", f"--listen=127.0.0.1:{port}", f"--dir={place / 'truth'}"], **ignored))
        wait_for(lambda: os.stat(place / "truth/control"), "no truth server")
        running.append(subprocess.Popen(chaos_command(chaos, place, port, frequency), cwd=place, env=dict(os.environ, HOME=str(place)), **ignored))
        # Can be opened once there is a reader: then its method has begun, and so it watches.
        pipe = wait_for(lambda: os.open(place / "over", os.O_WRONLY | os.O_NONBLOCK), "Chaos Toolkit does not begin")
        report = drill(binary, place, port, seed, shared=True, spread=spread)
        os.close(pipe)
        pipe = None
        running[1].wait(LIMIT_S)
        truth = truth_ms(place / "truth")
        try:
            journal = json.loads((place / "journal.json").read_text())
        except OSError:
            raise Again("Chaos Toolkit left no journal") from None
        return {"truth_ms": truth, "default": seen(report, "default", truth), "fast": seen(report, "fast", truth), "chaos": chaos_saw(journal, truth)}
    finally:
        if pipe is not None:
            os.close(pipe)
        for process in running:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def trial(make, seed):
    """One that can tell something; how often it was taken is told with it."""
    for take in range(TAKES):
        with tempfile.TemporaryDirectory(prefix="firedrill-bench-") as name:
            try:
                return dict(make(f"{seed} {take}", pathlib.Path(name)), seed=seed, again=take)
            except (Again, subprocess.TimeoutExpired) as error:
                why = error
    sys.exit(f"a trial could not be made in {TAKES} takes: {why}")


def chaos_at(venv):
    if venv is None:
        return shutil.which("chaos") or shutil.which("/tmp/ctk/bin/chaos")
    found = pathlib.Path(venv).absolute() / "bin/chaos"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([found.parent / "pip", "install", "--quiet", "--disable-pip-version-check", PEER], check=True)
    return str(found)


def first_line(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip().splitlines()[0]


def row(name, rounds, who, verdict, note=""):
    errors = [one[who]["error_ms"] for one in rounds if one[who]["error_ms"] is not None]
    missed = len(rounds) - len(errors)
    if who != "chaos":
        # Not seen is one thing; seen and without a length another, which the line says.
        unseen = sum(one[who]["outages"] == 0 for one in rounds)
        note += f", {missed - unseen} without a length" if missed > unseen else ""
        invalid = sum(not one[who]["valid"] for one in rounds)
        note += f", {invalid} drills not valid" if invalid else ""
        missed = unseen
    again = sum(one["again"] for one in rounds)
    note += f", {again} taken again" if again else ""
    ms = [f"{one(errors):.1f} ms" if errors else "-" for one in (statistics.mean, statistics.median, max)]
    line = f"{name:52} {len(rounds):>6} {missed:>6} {ms[0]:>9} {ms[1]:>9} {ms[2]:>9}   {verdict:8} {note.removeprefix(', ')}"
    print(line.rstrip(), flush=True)


def mean_error(rounds, who):
    errors = [one[who]["error_ms"] for one in rounds if one[who]["error_ms"] is not None]
    return statistics.mean(errors) if errors else None


def main():
    parser = argparse.ArgumentParser(description="who sees a short outage, and how exactly")
    parser.add_argument("--trials", type=int, default=50, help="drills at default settings")
    parser.add_argument("--peer-trials", type=int, default=10, help="outages watched by Chaos Toolkit at its default frequency")
    parser.add_argument("--shared-trials", type=int, default=20, help="outages watched by both, Chaos Toolkit at 0.1 s")
    parser.add_argument("--spread", type=float, default=0.0, metavar="MS", help="lengths evenly from this much around 703.7 ms where both watch at 0.1 s and 200/s")
    parser.add_argument("--jobs", type=int, default=2, choices=(1, 2), help="drills at default settings at once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the phases; another one each time unless given")
    parser.add_argument("--venv", help="Chaos Toolkit is in this environment, and is installed there when it is not")
    parser.add_argument("--binary", default=os.environ.get("FIREDRILL_BIN", str(ROOT / "target/release/firedrill")))
    parser.add_argument("--json", help="also write every round here")
    args = parser.parse_args()
    if not 0 <= args.spread < DOWN_MS:
        parser.error("--spread is less than the outage")
    if min(args.trials, args.peer_trials, args.shared_trials) < 1:
        parser.error("at least one trial each")
    binary = str(pathlib.Path(args.binary).absolute())
    if not pathlib.Path(binary).exists():
        sys.exit(f"{binary} is not there: cargo build --release")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    chaos = chaos_at(args.venv)
    print(f"{first_line(binary, '--version')}; {first_line(chaos, '--version') if chaos else 'no Chaos Toolkit'}; 503 for {DOWN_MS} ms; seed {args.seed}")
    print(f"{'':52} {'trials':>6} {'missed':>6} {'mean':>9} {'median':>9} {'max':>9}", flush=True)
    verdicts = []

    def judged(good):
        verdicts.append("PASS" if good else "FAIL")
        return verdicts[-1]

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        mine = list(pool.map(lambda number: trial(lambda *rest: alone(binary, *rest), f"{args.seed} alone {number}"), range(args.trials)))
    row("700 ms outage at default settings", mine, "default", judged(all(one["default"]["outages"] for one in mine)), "bar: none missed")
    rounds = {"alone": mine}

    name = "  Chaos Toolkit continuous at its default, 1 s"
    if chaos:
        # One after the other: what is compared must not get in its own way.
        usual = [trial(lambda *rest: together(binary, chaos, None, 0.0, *rest), f"{args.seed} usual {number}") for number in range(args.peer_trials)]
        row(name, usual, "chaos", "no bar")
        row("  the same outages, firedrill at its default", usual, "default", "no bar")
        often = [trial(lambda *rest: together(binary, chaos, 0.1, args.spread, *rest), f"{args.seed} often {number}") for number in range(args.shared_trials)]
        theirs = mean_error(often, "chaos")
        around = f", ± {args.spread:g} ms" if args.spread else ""
        every = statistics.median(one["chaos"]["every_ms"] for one in often)
        row(f"Chaos Toolkit continuous at 0.1 s{around}", often, "chaos", "no bar", f"it looked every {every:.0f} ms")
        rounds |= {"chaos_default": usual, "chaos_often": often}
        for who, label in (("default", "its default, 20/s"), ("fast", FAST)):
            ours = mean_error(often, who)
            ratio = ours / theirs if ours is not None and theirs else None
            says = f"{ratio:.3f} × Chaos Toolkit's" if ratio is not None else "no ratio: one of them saw nothing"
            if who == "fast":
                exact = all(one[who]["error_ms"] is not None for one in often)
                verdict, says = judged(exact and ratio is not None and ratio <= BAR), f"{says}, bar {BAR}"
            else:
                verdict, says = "no bar", f"{says}, not judged at this rate"
            row(f"  the same outages, firedrill at {label}", often, who, verdict, says)
    else:
        for name in (name, "Chaos Toolkit continuous at 0.1 s", f"  the same outages, firedrill at {FAST}"):
            verdicts.append("SKIPPED")
            print(f"{name:52} {'':40}   SKIPPED  no Chaos Toolkit: --venv DIR, or python3 -m venv /tmp/ctk && /tmp/ctk/bin/pip install {PEER}")
    if args.trials < 50 or (chaos and (args.peer_trials < 10 or args.shared_trials < 20)):
        print("fewer than 50, 10 and 20 trials: this is no proof")
    if args.json:
        said = {"down_ms": DOWN_MS, "spread_ms": args.spread, "seed": args.seed, "load_average_after": os.getloadavg(), "verdicts": verdicts, "rounds": rounds}
        pathlib.Path(args.json).write_text(json.dumps(said, indent=1) + "\n")
    print(f"load average {os.getloadavg()[0]:.1f} at the end; " + ", ".join(f"{verdicts.count(one)} {one}" for one in ("PASS", "FAIL", "SKIPPED")))
    return 1 if "FAIL" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
