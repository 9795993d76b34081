//! One look of a probe at its target, with its four instants.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::legs::Legs;
use crate::base::{At, Span};

/// What a sample says of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As asked, in time.
    Ok,
    /// The target failed it.
    Bad,
    /// Our own failure: never the target's.
    Local,
    /// Planned but not sent, because too many were in flight: nobody's verdict.
    Capped,
}

/// Why a sample is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing to complain about.
    Ok,
    /// Connection refused.
    Refused,
    /// Connection reset or closed early.
    Reset,
    /// No full answer within the time-out.
    Timeout,
    /// The name did not resolve.
    Dns,
    /// TLS failed.
    Tls,
    /// Another failure of protocol or path (unreachable, malformed).
    Error,
    /// An answer with an unexpected status or exit code.
    Status,
    /// An answer that does not look as expected.
    Assertion,
    /// No data where data was expected.
    NoData,
    /// Our own limit: files, ports, memory, own resolver.
    Local,
    /// Cancelled by us at shutdown.
    Cancelled,
    /// Not sent: too many in flight.
    Capped,
}

/// What is noted of a sample that was lost because the probe itself broke: nobody knows how far it had come.
pub const BROKE: &str = "the probe itself broke";

impl Class {
    /// As it stands in journals, reports and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Refused => "refused",
            Class::Reset => "reset",
            Class::Timeout => "timeout",
            Class::Dns => "dns",
            Class::Tls => "tls",
            Class::Error => "error",
            Class::Status => "status",
            Class::Assertion => "assertion",
            Class::NoData => "no_data",
            Class::Local => "local",
            Class::Cancelled => "cancelled",
            Class::Capped => "capped",
        }
    }
}

/// One probe sample with its four instants: planned ≤ woken ≤ sent ≤ done.
/// `response = lag + wait + service`: (woken − planned) + (sent − woken) + (done − sent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Number within the probe, from 0; a ledger's write number.
    pub n: u64,
    /// When it was due, by arithmetic.
    pub planned: At,
    /// When the prober woke for it.
    pub woken: At,
    /// When the first byte was handed to the kernel.
    pub sent: At,
    /// When it was classified.
    pub done: At,
    /// What it says.
    pub verdict: Verdict,
    /// Why.
    pub class: Class,
    /// Who answered, if the answer says so.
    pub by: Option<Arc<str>>,
    /// A few words when it is not ok, for example `status 503`.
    pub note: Option<Arc<str>>,
    /// Where its time went, where the kind tells.
    pub legs: Legs,
}

/// The note of an answer of which a field was not as expected.
pub fn unmet(field: &str, why: &str) -> String {
    format!("{field}: {why}")
}

impl Sample {
    /// Whether nothing but how long it took made it fail: no answer in time, or one that came later than was expected of it.
    pub fn failed_by_time(&self) -> bool {
        let of_time = |note: &str| ["duration", "timing"].iter().any(|field| note.starts_with(&unmet(field, "")));
        let unresolved = |note: &str| note.starts_with("name not resolved within") || note.contains("no full answer within");
        match self.class {
            Class::Timeout => true,
            Class::Dns => self.note.as_deref().is_some_and(unresolved),
            Class::Assertion => self.note.as_deref().is_some_and(of_time),
            _ => false,
        }
    }
    /// Done − planned: the headline latency.
    pub fn response(&self) -> Span {
        self.done.since(self.planned)
    }
    /// Done − sent.
    pub fn service(&self) -> Span {
        self.done.since(self.sent)
    }
    /// Woken − planned: the prober's own fault.
    pub fn lag(&self) -> Span {
        self.woken.since(self.planned)
    }
}

/// As it stands in a journal; what has no legs ends before them.
#[derive(Serialize, Deserialize)]
struct Row<W>(
    u64,
    u64,
    u64,
    u64,
    u64,
    Verdict,
    Class,
    Option<W>,
    Option<W>,
    #[serde(default, skip_serializing_if = "Legs::is_empty")] Legs,
);

impl Serialize for Sample {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (by, note) = (self.by.as_deref(), self.note.as_deref());
        let (planned, woken, sent, done) = (self.planned.0, self.woken.0, self.sent.0, self.done.0);
        Row(self.n, planned, woken, sent, done, self.verdict, self.class, by, note, self.legs).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Sample, D::Error> {
        let Row(n, planned, woken, sent, done, verdict, class, by, note, legs) = Row::<String>::deserialize(d)?;
        let (by, note) = (by.map(Arc::from), note.map(Arc::from));
        Ok(Sample { n, planned: At(planned), woken: At(woken), sent: At(sent), done: At(done), verdict, class, by, note, legs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_called_the_same_everywhere() {
        use Class::*;
        for class in [Ok, Refused, Reset, Timeout, Dns, Tls, Error, Status, Assertion, NoData, Local, Cancelled, Capped] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.word());
        }
    }

    #[test]
    fn a_row_without_legs_is_as_it_always_was() {
        let text = r#"[7,1,2,3,4,"bad","timeout",null,"no full answer"]"#;
        let sample: Sample = serde_json::from_str(text).unwrap();
        assert!(sample.legs.is_empty());
        assert_eq!(serde_json::to_string(&sample).unwrap(), text);
        let with = Sample { legs: Legs::of([None, Some(Span::micros(80)), None, None]), ..sample };
        let text = r#"[7,1,2,3,4,"bad","timeout",null,"no full answer",[null,80,null,null]]"#;
        assert_eq!(serde_json::to_string(&with).unwrap(), text);
        assert_eq!(serde_json::from_str::<Sample>(text).unwrap(), with);
    }
}
