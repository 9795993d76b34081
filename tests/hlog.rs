//! The histogram log of a run, read by the reader of the library that wrote it; `benches/hlog.py` has another implementation read it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::path::Path;

use drill::Place;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

#[test]
fn a_run_is_told_second_by_second_and_the_same_each_time() {
    let place = Place::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals/passed");
    let run = place.path().join(".firedrill/runs/passed");
    std::fs::create_dir_all(&run).unwrap();
    for file in ["events.jsonl", "plan.json"] {
        std::fs::copy(golden.join(file), run.join(file)).unwrap();
    }
    let text = place.run(&["report", "passed", "--output", "hlog"], 60).expect(0).stdout;
    assert_eq!(text, place.run(&["report", "passed", "--output", "hlog"], 60).expect(0).stdout);
    let head: Vec<&str> = text.lines().take_while(|line| line.starts_with(['#', '"'])).collect();
    assert!(head[0].starts_with("#[Firedrill ") && head[1] == "#[Histogram log format version 1.3]", "{head:#?}");
    assert!(head[2].starts_with("#[StartTime: 1795327626.229 (seconds since epoch)]"), "{head:#?}");
    assert!(head[3].starts_with("#[BaseTime: 1795327626.229 ") && head[4].starts_with("#[MaxValueDivisor: 1000000"), "{head:#?}");
    assert_eq!(head[5], "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"");

    let rows: String = text.lines().filter(|line| !line.starts_with('"')).map(|line| format!("{line}\n")).collect();
    let (mut lag, mut last, mut deserializer) = (0, 0.0, Deserializer::new());
    for entry in IntervalLogIterator::new(rows.as_bytes()) {
        let LogEntry::Interval(row) = entry.unwrap() else { continue };
        let bytes = base64(row.encoded_histogram());
        let histogram: Histogram<u64> = deserializer.deserialize(&mut bytes.as_slice()).unwrap();
        let tag = row.tag().unwrap().as_str().to_owned();
        assert_eq!(tag.split('.').count(), 4, "{tag}");
        assert!((row.max() - histogram.max() as f64 / 1e6).abs() < 0.001, "{tag}");
        let start = row.start_timestamp().as_secs_f64();
        assert!(start.floor() >= last, "{tag}");
        last = start.floor();
        if tag.starts_with("checkout.") && tag.ends_with(".lag") && !tag.contains("recovering") {
            lag += histogram.len();
        }
    }
    // Every sample that was planned, once.
    assert_eq!(lag, 70);
}

/// Decodes what the log holds; the library keeps its own decoder to itself.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let whole = four.iter().fold(0u32, |sum, c| (sum << 6) | if *c == b'=' { 0 } else { u32::from(value(*c)) });
        let kept = 3 - four.iter().filter(|c| **c == b'=').count();
        out.extend(&whole.to_be_bytes()[1..=kept]);
    }
    out
}
