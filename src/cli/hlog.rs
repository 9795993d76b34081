//! A run's latencies as a HdrHistogram log, version 1.3: for HistogramLogAnalyzer and whoever else reads such files.

use std::fmt;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::base::Span;
use crate::event::Entry;
use crate::measure::{self, facts::Facts};
use crate::plan::Plan;

/// The maximum stands in milliseconds, as people read it; values are nanoseconds.
const MAX_IN_MS: f64 = 1e6;

/// The log's text.
///
/// # Errors
/// A tag or a histogram that the format cannot hold.
pub fn render(plan: &Plan, entries: &[Entry], facts: &Facts) -> Result<String, String> {
    let fail = |error: &dyn fmt::Display| format!("failed to write the histogram log: {error}");
    let start: jiff::Timestamp = facts.run.started_at.parse().map_err(|_| "the run has no start".to_owned())?;
    let start = SystemTime::from(start);
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment(&format!("[Firedrill {} run {} of {}]", facts.run.firedrill, facts.run.id, plan.name))
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MAX_IN_MS);
    let mut writer = builder.begin_log_with(&mut text, &mut serializer).map_err(|error| fail(&error))?;
    let mut failed = None;
    let span = |span: Span| Duration::from_nanos(span.0);
    measure::intervals::seconds(plan, entries, &mut |second| {
        let Some(tag) = Tag::new(&second.tag) else {
            failed.get_or_insert_with(|| format!("failed to write the histogram log: `{}` is no tag", second.tag));
            return;
        };
        if let Err(error) = writer.write_histogram(second.histogram, span(second.start), span(second.length), Some(tag)) {
            failed.get_or_insert_with(|| format!("failed to write the histogram log: {error:?}"));
        }
    });
    drop(writer);
    match failed {
        Some(why) => Err(why),
        None => String::from_utf8(text).map(with_legend).map_err(|error| fail(&error)),
    }
}

/// The legend stands between header and rows.
fn with_legend(mut text: String) -> String {
    const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
    let at = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum();
    // A long run's log is large: it is not copied.
    text.insert_str(at, LEGEND);
    text
}
