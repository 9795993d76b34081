#!/usr/bin/env python3
"""A fast open loop: does everything leave when it is due, and what does each request cost beside oha?

    cargo build --release && cargo install oha --locked --root /tmp/tools && python3 benches/rate.py [--rounds 5] [--seconds 8] [--json FILE]

One nginx with one worker on loopback answers from memory; it has CPU 0 to itself and whoever asks has CPU 1, where the machine lets us pin. Everything stands in
one round, in turn, and the medians of the rounds are judged:

  open loop   a drill asks 10,000 times a second (keep-alive, 1 s time-out) while a fault that does nothing is held. At least 0.999 of what was planned is
              sent; every number is told exactly once, in the report as in the journal, and they fill the time from the start of the probes to their end;
              the lag's p99 over the hold is at most 3 × that of a bare timerfd loop in C at the same rate on the same CPU, which does nothing but look at
              the clock and so takes its turn alone
  cost        user and system time of the whole process tree per request, at 2,000/s and 10,000/s: at most oha's. Nothing is subtracted: ours includes the
              start, the judging, the live folds, the journal, the watchdog process and the report, over all the samples of the drill; oha's is all it does
              Both in two ways: each request when it is due, and `together: 1ms`, where those that are due within a millisecond leave together, as oha's do
  latency     p50 and p99, at most oha's in two senses. `due`: from the moment a request was due by arithmetic, ours from the report's phase of the hold, oha's
              from another run of it that writes its requests into a database: the i-th token is due at i / rate. `woken`: from when the sender woke for it,
              which is what oha prints as corrected, as it reads its clock after it has slept, in whole milliseconds; ours is done - woken in the
              journal. Our `due` over what oha prints, a comparison of two things, stands beside it without a bar

oha has 50 connections, ours as many as are needed. wrk2's lines have no bar, and without it they are SKIPPED, as are oha's without oha and the canary's without
gcc; that is no PASS. Ends with 1 when a bar is missed.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from undo import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = 50
RATES = (2_000, 10_000)
FAST = 10_000
LAG_BAR = 3.0
SENT_BAR = 0.999
COST_BAR = 1.0
COMPARED = (
    ("CPU per request", "cpu_us"),
    ("due → done p50", "due", "p50_us"),
    ("due → done p99", "due", "p99_us"),
    ("woken → done p50", "woken", "p50_us"),
    ("woken → done p99", "woken", "p99_us"),
)
PR_SET_CHILD_SUBREAPER = 36
# Ends of a drill that has a report: a bench that judges the prober wants to see those, too, in which it was starved.
JUDGED = (0, 20, 21, 22, 33)

NGINX = """worker_processes 1;
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; fastcgi_temp_path {place}/t3; uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok\\n"; }} }}
}}
"""

SCENARIO = """firedrill: 1
title: An open loop
environment: test
test: recovery
probes:
  web: {{ http: {{ url: "http://127.0.0.1:{port}/", connection: keep-alive }}, rate: {rate}/s, timeout: 1s{together} }}
steady_state: {{ over: 500ms, probes: {{ web: {{ success: {{ min: 50% }} }} }} }}
faults:
  nothing: {{ rehearse.nothing: {{}}, for: {seconds}s }}
recovery: {{ within: 10s, stable_for: 500ms }}
"""

# Due times by arithmetic, as ours: a late wake-up owes every tick that has passed, each with its own lag.
CANARY = r"""
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static int order(const void *a, const void *b) { uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b; return (x > y) - (x < y); }
int main(int argc, char **argv) {
  if (argc < 3) return 2;
  uint64_t every = 1000000000ull / strtoull(argv[1], 0, 10), count = (uint64_t)(strtod(argv[2], 0) * 1e9 / every), n = 0;
  uint64_t *lag = calloc(count, sizeof *lag);
  for (uint64_t i = 0; i < count; i++) lag[i] = 1;  /* touched before it is needed */
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  uint64_t first = now() + 2000000;
  while (n < count) {
    uint64_t due = first + n * every, ticks;
    struct itimerspec when = {{0, 0}, {due / 1000000000ull, due % 1000000000ull}};
    if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, 0) || read(fd, &ticks, sizeof ticks) != sizeof ticks) return 1;
    uint64_t woken = now();
    for (; n < count && first + n * every <= woken; n++) lag[n] = woken - (first + n * every);
  }
  qsort(lag, count, sizeof *lag, order);
  printf("{\"count\": %llu, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f}\n", (unsigned long long)count,
         lag[(count - 1) / 2] / 1e3, lag[(count - 1) * 99 / 100] / 1e3, lag[(count - 1) * 999 / 1000] / 1e3, lag[count - 1] / 1e3);
  return 0;
}
"""


def pinned(cpu, argv):
    """On that CPU, where the machine has it and lets us."""
    able = shutil.which("taskset") and {0, 1} <= os.sched_getaffinity(0)
    return ["taskset", "-c", str(cpu), *map(str, argv)] if able else list(map(str, argv))


def tool(name, given=None):
    for path in (given, shutil.which(name), f"/tmp/tools/bin/{name}"):
        if path and pathlib.Path(path).exists():
            return str(path)
    return None


def cost(argv, place, name, env=None, fine=(0,)):
    """Output and CPU seconds of a command with everything that it leaves behind: its orphans are waited for as well."""
    out = place / f"{name}.out"
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.close(ours)
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            with open(out, "wb") as stdout, open(place / f"{name}.err", "wb") as stderr:
                began = time.monotonic()
                child = subprocess.Popen(argv, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
                code = child.wait()
                wall = time.monotonic() - began
            signal.alarm(20)
            while True:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    break
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            os.write(theirs, json.dumps({"code": code, "wall_s": wall, "user_s": used.ru_utime, "system_s": used.ru_stime}).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as said:
        text = said.read()
    os.waitpid(pid, 0)
    if not text:
        sys.exit(f"{name} left a process behind, or could not be run")
    told = json.loads(text)
    if told["code"] not in fine:
        tail = (place / f"{name}.err").read_text(errors="replace")[-800:]
        sys.exit(f"{' '.join(argv)} ended with {told['code']}: {tail}")
    return out.read_text(), told


def at(values, thousandths):
    return values[(len(values) - 1) * thousandths // 1000] / 1e3 if values else None


def journal(path, fault):
    """What the drill wrote down itself: numbers, times of the drill and the lags of the hold."""
    spans, moments, rows, in_runs = [], {}, [], []
    with open(path) as lines:
        for line in lines:
            entry = json.loads(line)
            event, kind = entry["event"], entry["event"]["type"]
            if kind == "samples":
                for row in event["rows"]:
                    spans.append((row[0], row[0]))
                    rows.append((row[1], row[2], row[4]))
            elif kind == "quiet":
                run = event["run"]
                spans.append((run["first"][0], run["last"][0]))
                in_runs.append((run["first"][1], run["last"][1]))
            elif event.get("id") in (None, fault):
                moments.setdefault(kind, entry["at"])
    spans.sort()
    following = all(before[1] + 1 == after[0] for before, after in zip(spans, spans[1:]))
    dense = bool(spans) and spans[0][0] == 0 and following
    # One that never became steady has no hold.
    begin, end = moments.get("injected", 0), moments.get("undoing", 0)
    held = [row for row in rows if begin <= row[0] < end]
    lags, answers = sorted(row[1] - row[0] for row in held), sorted(row[2] - row[1] for row in held)
    # A hold whose samples are not all there one by one has no exact quantiles.
    whole = not any(first < end and last >= begin for first, last in in_runs)
    return {
        "numbers": spans[-1][1] + 1 if dense else None,
        "elapsed_ns": (moments["baseline_started"], moments.get("steady_after", moments.get("not_steady_after")), moments["probes_stopped"]),
        "lag": {f"{name}_us": at(lags, part) for name, part in (("p50", 500), ("p99", 990), ("p999", 999), ("max", 1000))} if whole and lags else None,
        "woken": {"p50_us": at(answers, 500), "p99_us": at(answers, 990)} if whole and answers else {"p50_us": None, "p99_us": None},
        "bytes": path.stat().st_size,
    }


def drill(binary, port, rate, seconds, place, together=""):
    here = pathlib.Path(tempfile.mkdtemp(dir=place))
    (here / "s.yaml").write_text(SCENARIO.format(port=port, rate=rate, seconds=seconds, together=together))
    env = dict(os.environ, FIREDRILL_REGISTRY=str(here / "registry"), NO_COLOR="1")
    text, used = cost(pinned(1, [binary, "run", "s.yaml", "--yes", "--output", "json"]), here, "drill", env, JUDGED)
    report = json.loads(text)
    told = journal(next(here.glob("**/events.jsonl")), "nothing")
    shutil.rmtree(here)
    probe = report["probes"]["web"]
    samples = probe["samples"]
    # The hold is the longest phase of the fault.
    phase = max((one for name, one in probe["phases"].items() if name.startswith("nothing.")), key=lambda one: one["length_us"], default={})
    baseline, steady, stopped = told["elapsed_ns"]
    planned = samples["planned"]
    filled = planned * 1e9 / rate
    early, late = (steady or stopped) - baseline - 50e6, stopped - baseline + 1e9 / rate
    sums = planned == samples["ok"] + samples["bad"] + samples["local"] + samples["capped"]
    lag = told["lag"] or {"p99_us": report.get("prober", {}).get("lag_p99_us")}
    return {
        "rate": rate,
        "samples": {name: samples[name] for name in ("planned", "ok", "bad", "local", "capped")},
        "sent": (samples["ok"] + samples["bad"]) / planned,
        "accounted": sums and told["numbers"] == planned and early <= filled <= late,
        "fills_s": [early / 1e9, filled / 1e9, late / 1e9],
        "lag": lag,
        "lag_from": "journal" if told["lag"] else "report",
        "cpu_us": (used["user_s"] + used["system_s"]) * 1e6 / planned,
        "user_us": used["user_s"] * 1e6 / planned,
        "due": {"p50_us": phase.get("p50_us"), "p99_us": phase.get("p99_us")},
        "woken": told["woken"],
        "valid": report["validity"]["valid"],
        "tainted_seconds": report["validity"]["tainted_seconds"],
        "outages": len(probe["outages"]),
        "journal_bytes": told["bytes"],
        **used,
    }


def oha(binary, port, rate, seconds, place):
    words = [binary, "--no-tui", "--output-format", "json", "--latency-correction", "-q", rate, "-c", CONNECTIONS, "-z", f"{seconds}s", f"http://127.0.0.1:{port}/"]
    text, used = cost(pinned(1, words), place, "oha")
    said = json.loads(text)
    answered = sum(said["statusCodeDistribution"].values())
    return {
        "rate": rate,
        "answered": answered,
        "sent": answered / (rate * seconds),
        "errors": said["errorDistribution"],
        "cpu_us": (used["user_s"] + used["system_s"]) * 1e6 / answered,
        "user_us": used["user_s"] * 1e6 / answered,
        "woken": {f"{name}_us": said["latencyPercentiles"][name] * 1e6 for name in ("p50", "p99")},
        "due": from_due(binary, port, rate, seconds, place),
        **used,
    }


def from_due(binary, port, rate, seconds, place):
    """Another run of oha, judged by the clock: its tokens leave in order, the i-th is due at i / rate, and whoever takes it is the i-th to start."""
    base = place / "oha.db"
    words = [binary, "--no-tui", "--output-format", "quiet", "--latency-correction", "-q", rate, "-c", CONNECTIONS, "-z", f"{seconds}s", "--db-url", base]
    cost(pinned(1, [*words, f"http://127.0.0.1:{port}/"]), place, "oha-due")
    with contextlib.closing(sqlite3.connect(base)) as found:
        rows = found.execute("select start_latency_correction, end from oha order by start_latency_correction").fetchall()
    base.unlink()
    # One that was cut off at the end has no row: its place is the last, where it moves nobody.
    late = sorted((end - number / rate) * 1e9 for number, (_, end) in enumerate(rows))
    lag = sorted((token - number / rate) * 1e9 for number, (token, _) in enumerate(rows))
    return {"p50_us": at(late, 500), "p99_us": at(late, 990), "lag_p50_us": at(lag, 500), "lag_p99_us": at(lag, 990), "rows": len(rows)}


def wrk2(binary, port, rate, seconds, place):
    # Its first ten seconds calibrate and are in no percentile.
    words = [binary, "-t1", f"-c{CONNECTIONS}", f"-d{seconds + 10}s", f"-R{rate}", "--latency", f"http://127.0.0.1:{port}/"]
    text, used = cost(pinned(1, words), place, "wrk2")
    answered = int(re.search(r"(\d+) requests in", text)[1])

    def quantile(name):
        value, unit = re.search(rf"^\s*{name}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.M).groups()
        return float(value) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[unit]

    return {"rate": rate, "answered": answered, "cpu_us": (used["user_s"] + used["system_s"]) * 1e6 / answered,
            "user_us": used["user_s"] * 1e6 / answered, "due": {"p50_us": quantile("50.000"), "p99_us": quantile("99.000")}, **used}


def canary(binary, seconds, place):
    text, _ = cost(pinned(1, [binary, FAST, seconds]), place, "canary")
    return json.loads(text)


def compiled(place):
    if not shutil.which("gcc"):
        return None
    (place / "canary.c").write_text(CANARY)
    subprocess.run(["gcc", "-O2", "-o", place / "canary", place / "canary.c"], check=True)
    return str(place / "canary")


def serve(binary, place):
    port = free_port()
    (place / "nginx.conf").write_text(NGINX.format(place=place, port=port))
    server = subprocess.Popen(pinned(0, [binary, "-c", place / "nginx.conf", "-p", place]), stderr=subprocess.DEVNULL)
    import urllib.request

    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
            return port, server
        except OSError:
            time.sleep(0.05)
    server.terminate()
    sys.exit(f"nginx does not answer: {(place / 'error.log').read_text(errors='replace')[-500:]}")


def measure(args, place):
    """Every round, in turn: the first one warms up and is not counted."""
    tools = {"canary": compiled(place), "firedrill": args.binary, "together": args.binary, "oha": tool("oha", args.oha), "wrk2": tool("wrk2", args.wrk2)}
    port, server = serve(args.nginx, place)
    ways = {
        "canary": lambda _: canary(tools["canary"], args.seconds, place),
        "firedrill": lambda rate: drill(args.binary, port, rate, args.seconds, place),
        "together": lambda rate: drill(args.binary, port, rate, args.seconds, place, ", together: 1ms"),
        "oha": lambda rate: oha(tools["oha"], port, rate, args.seconds, place),
        "wrk2": lambda rate: wrk2(tools["wrk2"], port, rate, args.seconds, place),
    }
    turns = [("canary", FAST), *((who, rate) for rate in reversed(RATES) for who in ("firedrill", "together", "oha", "wrk2"))]
    turns = [(who, rate) for who, rate in turns if tools[who]]
    rounds = []
    try:
        for number in range(args.rounds + 1):
            this = {"load_average": os.getloadavg()[0]}
            # Every other round backwards, so that nobody always follows the same one.
            for who, rate in turns if number % 2 else reversed(turns):
                this[f"{who} {rate}"] = ways[who](rate)
            rounds.extend([this] if number else [])
            print(f"round {number} of {args.rounds}; load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
    finally:
        server.terminate()
        server.wait()
    return tools, rounds


def main():
    parser = argparse.ArgumentParser(description="a fast open loop, and what it costs beside oha")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="how long each one asks")
    parser.add_argument("--binary", default=os.environ.get("FIREDRILL_BIN", str(ROOT / "target/release/firedrill")))
    parser.add_argument("--oha", help="where it is, when neither on the PATH nor /tmp/tools/bin/oha")
    parser.add_argument("--wrk2", help="where it is, when not on the PATH")
    parser.add_argument("--nginx", default=tool("nginx") or "/usr/sbin/nginx")
    parser.add_argument("--json", help="also write every round here")
    args = parser.parse_args()
    args.rounds, args.binary = max(args.rounds, 1), str(pathlib.Path(args.binary).absolute())
    if not pathlib.Path(args.binary).exists():
        sys.exit(f"{args.binary} is not there: cargo build --release")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    if not pathlib.Path(args.nginx).exists():
        print("SKIPPED: no nginx here (Debian: apt-get install nginx-light), so nothing was measured, and this is no PASS")
        return 0
    with tempfile.TemporaryDirectory(prefix="firedrill-rate-") as place:
        os.chmod(place, 0o755)
        tools, rounds = measure(args, pathlib.Path(place))
    verdicts = report(tools, rounds)
    if args.json:
        said = {"seconds": args.seconds, "pinned": pinned(1, [])[:1] == ["taskset"], "load_average_after": os.getloadavg(), "verdicts": verdicts, "rounds": rounds}
        pathlib.Path(args.json).write_text(json.dumps(said, indent=1) + "\n")
    print(f"load average {os.getloadavg()[0]:.1f} at the end; " + ", ".join(f"{verdicts.count(one)} {one}" for one in ("PASS", "FAIL", "SKIPPED")))
    return 1 if "FAIL" in verdicts else 0


def report(tools, rounds):
    verdicts = []

    def judged(good):
        verdicts.append("SKIPPED" if good is None else "PASS" if good else "FAIL")
        return verdicts[-1]

    def values(who, rate, *path):
        found = []
        for one in rounds:
            value = one.get(f"{who} {rate}")
            for name in path:
                value = value and value.get(name)
            found.extend([value] if value is not None else [])
        return found

    def median(who, rate, *path):
        found = values(who, rate, *path)
        return statistics.median(found) if found else None

    def us(value):
        return "–" if value is None else f"{value:.1f} µs"

    where = "server on CPU 0, client on CPU 1" if pinned(1, [])[:1] == ["taskset"] else "not pinned"
    print(f"medians of {len(rounds)} interleaved rounds; {where}")
    print(f"open loop, {FAST:,}/s")
    mine = [one[f"firedrill {FAST}"] for one in rounds]
    least = min(one["sent"] for one in mine)
    planned = sum(one["samples"]["planned"] for one in mine)
    rest = ", ".join(f"{sum(one['samples'][name] for one in mine)} {name}" for name in ("bad", "local", "capped"))
    print(f"  {'sent of planned, worst round':44} {least:>11.6f}   bar {SENT_BAR}  {judged(least >= SENT_BAR)}  {planned:,} planned, {rest}")
    lost = sum(not one["accounted"] for one in mine)
    print(f"  {'every number told once, filling the time':44} {len(mine) - lost:>5} of {len(mine):<2}   bar all    {judged(lost == 0)}")
    ours, bare = median("firedrill", FAST, "lag", "p99_us"), median("canary", FAST, "p99_us")
    ratio = ours / bare if ours and bare else None
    shown = "–" if ratio is None else f"{ratio:.2f} ×"
    word = judged(None if ratio is None else ratio <= LAG_BAR)
    print(f"  {'lag p99, beside a bare timerfd loop':44} {us(ours):>11} {us(bare):>11} {shown:>8}   bar {LAG_BAR:g}  {word}"
          + ("" if bare else "  no gcc (Debian: apt-get install gcc)"))
    for name in ("p50", "p999", "max"):
        exact = values("firedrill", FAST, "lag", f"{name}_us")
        if exact:
            print(f"  {'lag ' + name:44} {us(statistics.median(exact)):>11} {us(median('canary', FAST, f'{name}_us')):>11} {'':>8}   no bar")
    valid = sum(one["valid"] for one in mine)
    outages, tainted = sum(one["outages"] for one in mine), sum(one["tainted_seconds"] for one in mine)
    print(f"  {'drills that were valid':44} {valid:>5} of {len(mine):<2}   no bar     {tainted} tainted seconds, {outages} outages of a server that was never down")

    print(f"beside others: CPU per request, and how long an answer took\n  {'':32} {'firedrill':>11} {'oha':>11} {'ratio':>8} {'bar':>5}")
    for who, rate in ((who, rate) for who in ("firedrill", "together") for rate in RATES):
        if rate == RATES[0]:
            print("  each when it is due" if who == "firedrill" else "  together: 1ms, the grain in which oha sends")
        for what, *path in COMPARED:
            ours, theirs = median(who, rate, *path), median("oha", rate, *path)
            ratio = ours / theirs if ours and theirs else None
            word = judged(None if ratio is None else ratio <= COST_BAR)
            shown = "–" if ratio is None else f"{ratio:.2f}"
            spread = values(who, rate, *path), values("oha", rate, *path)
            note = "" if ratio is None else "; ".join(f"{min(one):.1f} … {max(one):.1f}" for one in spread)
            if path[0] == "due" and ratio is not None:
                note += f"; {ours / median('oha', rate, 'woken', path[1]):.2f} × what oha prints"
            print(f"  {f'{rate:,}/s  {what}':32} {us(ours):>11} {us(theirs):>11} {shown:>8} {COST_BAR:>5}  {word:7}  {note}".rstrip())
    if not tools["oha"]:
        print("no oha: cargo install oha --locked --root /tmp/tools, or --oha PATH")
    for rate in RATES:
        if tools["wrk2"]:
            shown = ", ".join(f"{what} {us(median('wrk2', rate, *path))}" for what, path in (("CPU", ("cpu_us",)), ("p50", ("due", "p50_us")), ("p99", ("due", "p99_us"))))
            print(f"  {f'{rate:,}/s  wrk2':32} {shown}   no bar")
        else:
            print(f"  {f'{rate:,}/s  wrk2':32} {judged(None)}  no wrk2: https://github.com/giltene/wrk2, or --wrk2 PATH")
    if len(rounds) < 5:
        print("fewer than 5 rounds: this is no proof")
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
