#!/usr/bin/env python3
"""Is our `.hlog` what others read? An independent implementation (PyPI: hdrhistogram) reads it, tag by tag.

    cargo build --release && pip install hdrhistogram && python3 benches/hlog.py

A demo is run; its log is read by `hdrh.log.HistogramLogReader`. The seconds of each tag, added up there, must have the count, the maximum and the quantiles that
the JSON report tells of that probe and phase, which our own histograms say. Without the library it says SKIPPED, and that is no PASS.
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
        for line in wrong:
            print(" ", line)
        good = compared > 5 and not wrong
        print(f"count, maximum and quantiles of {compared} tags equal: {'PASS' if good else 'FAIL'}")
        sys.exit(0 if good else 1)


main()
