//! A run's latencies as a HdrHistogram log, version 1.3: for HistogramLogAnalyzer and whoever else reads such files.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::base::Span;
use crate::event::Entry;
use crate::measure::{self, facts::Facts};
use crate::plan::Plan;

/// The maximum stands in milliseconds, as people read it; values are nanoseconds.
const MAX_IN_MS: f64 = 1e6;

/// The log's text, in memory.
///
/// # Errors
/// A tag or a histogram that the format cannot hold.
pub fn render(plan: &Plan, entries: &[Entry], facts: &Facts) -> Result<String, String> {
    let mut text = Vec::new();
    write(plan, entries, facts, &mut text)?;
    String::from_utf8(text).map_err(|error| failure(&error))
}

/// Writes the log, row by row: the log of a long run is larger than all that is needed to make it.
///
/// # Errors
/// A tag or a histogram that the format cannot hold, a writer that refuses.
pub fn write(plan: &Plan, entries: &[Entry], facts: &Facts, into: impl Write) -> Result<(), String> {
    let start: jiff::Timestamp = facts.run.started_at.parse().map_err(|_| "the run has no start".to_owned())?;
    let start = SystemTime::from(start);
    let mut into = WithLegend { into, line_begins: true, told: false };
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment(&format!("[Firedrill {} run {} of {}]", facts.run.firedrill, facts.run.id, plan.name))
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MAX_IN_MS);
    let mut writer = builder.begin_log_with(&mut into, &mut serializer).map_err(|error| failure(&error))?;
    let mut failed = None;
    let span = |span: Span| Duration::from_nanos(span.0);
    measure::intervals::seconds(plan, entries, &mut |second| {
        if failed.is_some() {
            return;
        }
        let Some(tag) = Tag::new(&second.tag) else {
            failed = Some(failure(&format!("`{}` is no tag", second.tag)));
            return;
        };
        if let Err(error) = writer.write_histogram(second.histogram, span(second.start), span(second.length), Some(tag)) {
            failed = Some(failure(&format!("{error:?}")));
        }
    });
    drop(writer);
    match failed {
        Some(why) => Err(why),
        None => into.legend().and_then(|()| into.flush()).map_err(|error| failure(&error)),
    }
}

fn failure(why: &dyn fmt::Display) -> String {
    format!("failed to write the histogram log: {why}")
}

/// Puts the legend between header and rows: before the first line that is no comment.
struct WithLegend<W> {
    into: W,
    line_begins: bool,
    told: bool,
}

impl<W: Write> WithLegend<W> {
    fn legend(&mut self) -> io::Result<()> {
        const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
        if !self.told {
            self.told = true;
            self.into.write_all(LEGEND.as_bytes())?;
        }
        Ok(())
    }
}

impl<W: Write> Write for WithLegend<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.line_begins && bytes.first().is_some_and(|first| *first != b'#') {
            self.legend()?;
        }
        let taken = self.into.write(bytes)?;
        if let Some(last) = bytes.get(..taken).and_then(<[u8]>::last) {
            self.line_begins = *last == b'\n';
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legend_stands_once_between_header_and_rows() {
        let mut text = Vec::new();
        let mut log = WithLegend { into: &mut text, line_begins: true, told: false };
        for part in ["#[a", " #b]\n", "#c\n", "Tag=x,", "1,2\n", "3,4\n"] {
            log.write_all(part.as_bytes()).unwrap();
        }
        log.legend().unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((&lines[..2], &lines[3..]), (&["#[a #b]", "#c"][..], &["Tag=x,1,2", "3,4"][..]));
        assert!(lines[2].starts_with("\"StartTimestamp\""), "{text}");
    }

    #[test]
    fn a_log_without_rows_has_its_legend() {
        let mut text = Vec::new();
        let mut log = WithLegend { into: &mut text, line_begins: true, told: false };
        log.write_all(b"#a\n").unwrap();
        log.legend().unwrap();
        assert!(String::from_utf8(text).unwrap().starts_with("#a\n\"StartTimestamp\""));
    }
}
