#!/usr/bin/env python3
"""What firedrill costs before and beside what a drill is about, side by side with Chaos Toolkit on this machine.

    cargo build --release && python3 benches/startup.py [--rounds 7]

Three bars, each on the median of interleaved rounds:

  check     `firedrill check` of 100 scenarios        at most 0.1 of the wall time of `chaos validate` of ONE experiment
  start-up  a trivial run, wall time and CPU time     at most 0.1 of `chaos run` of a trivial experiment
  memory    a trivial run, peak of the process tree   at most 0.5

What is compared. Both tools are given the same local HTTP server, one HTTP check and an action that breaks nothing: the least that both accept.
Chaos Toolkit asks the check once before and once after its action. Firedrill never believes one answer: it watches windows of samples, by design, and refuses a
window of fewer than five of them. Here the windows are as short as they can sensibly be (5 samples at 200/s: 25 ms before, 25 ms of
staying up, 25 ms after the undo). That waiting was declared in the scenario and is not start-up, so two rows are printed: the total wall time,
for information, and the wall time less the declared windows, which has the bar. CPU time and memory are those of the whole run,
all processes of each tool included, and nothing is subtracted from them.

Without Chaos Toolkit (no network) the rows say SKIPPED and the exit code is 0: that is no PASS.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv

from service import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "target" / "bench-venv"
WINDOWS_S = 3 * 0.025

SCENARIO = """firedrill: 1
title: A trivial run
environment: test
probes:
  one: {{ http: {{ url: "http://127.0.0.1:{port}/one" }}, rate: 200/s, timeout: 2s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state:
  over: 25ms
  probes: {{ one: {{ success: {{ min: 50% }} }} }}
faults:
  nothing: {{ rehearse.nothing: {{}}, for: once }}
recovery: {{ within: 10s, stable_for: 25ms }}
"""


def experiment(port):
    check = lambda name: {
        "type": "probe",
        "name": name,
        "tolerance": 200,
        "provider": {"type": "http", "url": f"http://127.0.0.1:{port}/{name}", "timeout": 2},
    }
    return {
        "title": "A trivial run",
        "description": "One HTTP check and an action that breaks nothing.",
        "steady-state-hypothesis": {"title": "It answers", "probes": [check("one")]},
        "method": [{"type": "action", "name": "nothing", "provider": {"type": "process", "path": shutil.which("true") or "/bin/true"}}],
        "rollbacks": [],
    }


def serve():
    """The server in a process of its own, so that its work is on nobody's bill."""
    server = Server()
    port = server.server_address[1]
    pid = os.fork()
    if pid == 0:
        server.serve_forever()
        os._exit(0)
    server.server_close()
    return port, pid


def tree(root):
    """A process and everything below it."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    todo.extend(int(child) for child in children.read().split())
        except OSError:
            pass
    return found


def resident(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class Cost:
    def __init__(self, wall, cpu, peak):
        self.wall, self.cpu, self.peak = wall, cpu, peak


def run(argv, cwd, env, watch=False):
    """Wall and CPU seconds of a command with all it waited for; with `watch`, the peak of its process tree in KiB instead of honest times."""
    with open(pathlib.Path(cwd) / "out.txt", "wb") as out:
        began = time.monotonic()
        child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        peak, stop = [0], threading.Event()

        def look():
            while not stop.is_set():
                peak[0] = max(peak[0], sum(resident(pid) for pid in tree(child.pid)))
                stop.wait(0.002)

        watcher = threading.Thread(target=look)
        if watch:
            watcher.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        stop.set()
        if watch:
            watcher.join()
    if child.returncode != 0:
        text = (pathlib.Path(cwd) / "out.txt").read_text(errors="replace")
        sys.exit(f"{' '.join(map(str, argv))} ended with {child.returncode}:\n{text}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak[0])


def firedrill():
    binary = pathlib.Path(os.environ.get("FIREDRILL_BIN", ROOT / "target" / "release" / "firedrill"))
    if not binary.exists():
        sys.exit(f"{binary} is not there: cargo build --release")
    return binary


def chaos():
    """Chaos Toolkit in a virtual environment of its own; None where it cannot be had."""
    binary = VENV / "bin" / "chaos"
    if not binary.exists():
        print(f"installing Chaos Toolkit into {VENV.relative_to(ROOT)} …", file=sys.stderr)
        try:
            venv.create(VENV, with_pip=True)
            subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "chaostoolkit"], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"Chaos Toolkit cannot be had: {error}", file=sys.stderr)
            return None
    return binary if binary.exists() else None


def main():
    arguments = argparse.ArgumentParser(description="start-up beside Chaos Toolkit")
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = max(arguments.parse_args().rounds, 1)
    ours, theirs = firedrill(), chaos()
    port, server = serve()
    place = pathlib.Path(tempfile.mkdtemp(prefix="firedrill-bench-"))
    try:
        names = []
        for n in range(100):
            name = f"scenario-{n:03}.yaml"
            (place / name).write_text(SCENARIO.format(port=port).replace("A trivial run", f"A trivial run, number {n}"))
            names.append(name)
        (place / "experiment.json").write_text(json.dumps(experiment(port), indent=2))
        env = dict(os.environ, FIREDRILL_REGISTRY=str(place / "registry"), NO_COLOR="1")
        check = [ours, "check", *names]
        drill = [ours, "run", "--yes", "--color", "never", "scenario-000.yaml"]
        validate = [theirs, "--no-version-check", "validate", "experiment.json"]
        chaos_run = [theirs, "--no-version-check", "run", "experiment.json"]
        costs = {"check": [], "drill": [], "validate": [], "chaos": [], "drill memory": [], "chaos memory": []}
        # The first round warms the caches of both and is not counted.
        for n in range(rounds + 1):
            for name, argv in (("check", check), ("validate", validate), ("drill", drill), ("chaos", chaos_run)):
                if argv[0] is not None:
                    cost = run(argv, place, env)
                    costs[name].extend([cost] if n else [])
            print(f"round {n} of {rounds}", file=sys.stderr)
        for _ in range(3):
            costs["drill memory"].append(run(drill, place, env, watch=True))
            if theirs:
                costs["chaos memory"].append(run(chaos_run, place, env, watch=True))
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)
        shutil.rmtree(place, ignore_errors=True)
    return report(costs, rounds)


def report(costs, rounds):
    def median(name, what):
        values = [getattr(cost, what) for cost in costs[name]]
        return statistics.median(values) if values else None

    def ms(value):
        return "–" if value is None else f"{value * 1000:.0f} ms"

    def mib(value):
        return "–" if value is None else f"{value / 1024:.1f} MiB"

    wall = median("drill", "wall")
    rows = [
        ("check: 100 scenarios / 1 experiment, wall", median("check", "wall"), median("validate", "wall"), 0.1, ms),
        ("trivial run, total wall", wall, median("chaos", "wall"), None, ms),
        ("trivial run, wall less declared windows", wall - WINDOWS_S, median("chaos", "wall"), 0.1, ms),
        ("trivial run, CPU", median("drill", "cpu"), median("chaos", "cpu"), 0.1, ms),
        ("trivial run, memory (PSS of all processes)", median("drill memory", "peak"), median("chaos memory", "peak"), 0.5, mib),
    ]
    print(f"median of {rounds} interleaved rounds (memory: 3); load average {os.getloadavg()[0]:.1f}; declared windows {WINDOWS_S * 1000:.0f} ms")
    print(f"{'':44} {'firedrill':>11} {'chaos toolkit':>14} {'ratio':>7} {'bar':>6}")
    failed = False
    for name, our, their, bar, show in rows:
        ratio = None if their is None else our / their
        if ratio is None:
            word = "SKIPPED" if bar else ""
        elif bar is None:
            word = "(no bar)"
        else:
            word = "PASS" if ratio <= bar else "FAIL"
            failed |= word == "FAIL"
        shown = "–" if ratio is None else f"{ratio:.3f}"
        print(f"{name:44} {show(our):>11} {show(their):>14} {shown:>7} {bar or '':>6}  {word}")
    if not costs["chaos"]:
        print("Chaos Toolkit could not be installed: nothing was compared, and this is no PASS.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
