#!/usr/bin/env python3
"""Is our `.hlog` what others read? An independent implementation (PyPI: hdrhistogram) reads it, tag by tag.

    cargo build --release && pip install hdrhistogram && python3 benches/hlog.py

A demo is run; its log is read by `hdrh.log.HistogramLogReader`. The seconds of each tag, added up there, must have the count, the maximum and the quantiles that
the JSON report tells of that probe and phase, which our own histograms say; and those of the other kinds what the samples in the journal come to. Without the library it says SKIPPED, and that is no PASS.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target/release/firedrill"

try:
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
except ImportError:
    print("SKIPPED: PyPI's hdrhistogram is not here")
    sys.exit(0)


def read(path):
    """Each tag's seconds, added up by the other implementation."""
    with open(path) as file:
        head = [line for line in file if line.startswith(("#", '"'))]
    for word in ("#[Histogram log format version 1.3]", "#[StartTime: ", "#[BaseTime: ", '"StartTimestamp"'):
        assert any(line.startswith(word) for line in head), f"no line begins with {word}"
    tags = {}
    reader = HistogramLogReader(str(path), HdrHistogram(1, 2, 3))
    while True:
        one = reader.get_next_interval_histogram()
        if one is None:
            return tags
        whole = tags.setdefault(one.get_tag(), HdrHistogram(1000, 3_600_000_000_000, 3))
        whole.add(one)


def value_at(histogram, quantile):
    """The least value that so many are not above, as Java's and Rust's implementations have it; this one rounds the rank, and so tells a neighbour."""
    rank, seen = math.ceil(quantile * histogram.get_total_count() - 1e-9), 0
    for item in histogram.get_recorded_iterator():
        seen += item.count_added_in_this_iter_step
        if seen >= rank:
            return item.value_iterated_to
    return 0


def journal(path, report):
    """The samples of each probe as they stand in the journal, and from when to when each phase was, on its clock."""
    rows, begun = {}, 0
    with open(path) as file:
        for entry in map(json.loads, file):
            event = entry["event"]
            if event["type"] == "samples":
                rows.setdefault(event["probe"], []).extend(event["rows"])
            elif event["type"] == "baseline_started":
                begun = entry["at"]
    start = report["run"]["start_mono_ns"]
    at = lambda mono: mono - start
    end = at(report["run"]["end_mono_ns"]) + 1
    faults = sorted(((at(told["command_mono_ns"]), name, told) for name, told in report["faults"].items() if "command_mono_ns" in told), key=lambda f: f[0])
    spans = {("run", "before"): (begun, faults[0][0])}
    for index, (command, name, told) in enumerate(faults):
        last = faults[index + 1][0] if index + 1 < len(faults) else end
        effect, undo, undone = at(told["effective"]["hi_mono_ns"]), at(told["undo_started_mono_ns"]), at(told["undone"]["hi_mono_ns"])
        spans |= {(name, "inject"): (command, effect), (name, "during"): (effect, undo), (name, "undo"): (undo, undone), (name, "after"): (undone, last)}
    return rows, spans


def duration(kind, row):
    """What a sample counts as, in nanoseconds: rows are number, planned, woken, sent, done, verdict and so on."""
    _, planned, woken, sent, done, verdict = row[:6]
    if kind == "service_ok":
        return done - sent if verdict == "ok" else None
    if kind == "wait":
        return sent - woken if verdict in ("ok", "bad") else None
    return woken - planned


def main():
    with tempfile.TemporaryDirectory() as place:
        run = lambda *words: subprocess.run([BINARY, *words], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        run("demo")
        report = json.loads(run("report", "last", "--output", "json"))
        path = pathlib.Path(place) / "run.hlog"
        path.write_text(run("report", "last", "--output", "hlog"))
        tags = read(path)
        rows = sum(not line.startswith(("#", '"')) for line in path.read_text().splitlines())
        print(f"{len(tags)} tags, {rows} rows, {path.stat().st_size // 1024} KiB")
        compared, wrong = 0, []
        for probe, measured in report["probes"].items():
            for phase, told in measured["phases"].items():
                tag = f"{probe}.{phase if '.' in phase else 'run.' + phase}.response_all"
                if "p50_us" not in told:
                    continue
                whole = tags.get(tag)
                if whole is None:
                    wrong.append(f"{tag} is not in the log")
                    continue
                seen = {"count": whole.get_total_count(), "max_us": whole.get_max_value() // 1000}
                want = {"count": told["ok"] + told["bad"], "max_us": told["max_us"]}
                for name, quantile in (("p50_us", 0.5), ("p90_us", 0.9), ("p95_us", 0.95), ("p99_us", 0.99), ("p999_us", 0.999)):
                    # Ours never tells a quantile above the largest value.
                    seen[name] = min(value_at(whole, quantile), whole.get_max_value()) // 1000
                    want[name] = told[name]
                compared += 1
                if seen != want:
                    wrong.append(f"{tag}: {seen} there, {want} here")
        # Every other tag, against the samples of the journal themselves: count, maximum and quantiles, to the digits that a log keeps.
        rows, spans = journal(next(pathlib.Path(place, ".firedrill/runs").iterdir()) / "events.jsonl", report)
        kinds = {}
        for tag, whole in sorted(tags.items()):
            probe, episode, phase, kind = tag.rsplit(".", 3)
            known = kinds.setdefault(kind, [0, 0])
            known[0] += 1
            if kind == "response_all":
                known[1] += 1
                continue
            if (episode, phase) not in spans:
                continue
            start, end = spans[episode, phase]
            told = sorted(filter(None.__ne__, (duration(kind, row) for row in rows[probe] if start <= row[1] < end)))
            known[1] += 1
            compared += 1
            if whole.get_total_count() != len(told):
                wrong.append(f"{tag}: {whole.get_total_count()} values there, {len(told)} here")
                continue
            for quantile in (0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
                value = told[max(0, math.ceil(quantile * len(told) - 1e-9) - 1)]
                seen = whole.get_max_value() if quantile == 1.0 else min(value_at(whole, quantile), whole.get_max_value())
                # A bucket is told by its upper end, and is no wider than a hundredth; below 1 µs nothing is told apart.
                if not value - 1_000 <= seen <= value * 1.01 + 1_000:
                    wrong.append(f"{tag} at {quantile}: {seen} there, {value} here")
        print("tags compared: " + ", ".join(f"{kind} {known} of {all}" for kind, (all, known) in sorted(kinds.items())))
        for line in wrong:
            print(" ", line)
        good = compared > 20 and not wrong
        print(f"count, maximum and quantiles of {compared} tags equal: {'PASS' if good else 'FAIL'}")
        sys.exit(0 if good else 1)


main()
