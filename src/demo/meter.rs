//! What a process of the demonstration says of itself: how its last requests went, in the text format of Prometheus.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};

use crate::base::{At, Span};
use crate::sys::clock;

/// How far back "recent" reaches.
const RECENT: Span = Span::secs(5);
/// Requests kept at most.
const MOST: usize = 10_000;
/// A customer who waits longer is not served well, whatever the answer.
const PATIENCE: Span = Span::millis(400);

/// One request: when it was answered, whether well, and how long it took.
type One = (At, bool, Span);

/// The requests of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<VecDeque<One>>);

/// A request that is under way. When it is dropped it is over; one whose customer went away has failed.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    meter: &'a Meter,
    began: At,
    good: bool,
}

impl Asked<'_> {
    /// It is answered, well or not.
    pub(super) fn answered(mut self, good: bool) {
        self.good = good;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.meter.over(self.began, self.good);
    }
}

/// How the last seconds went.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Recent {
    /// Requests.
    pub(super) asked: usize,
    /// Share that failed, 0 to 1.
    pub(super) failed: f64,
    /// Share that failed or took longer than 400 ms, 0 to 1.
    pub(super) unhappy: f64,
    /// How long the slowest tenth took at least.
    pub(super) p90: Span,
}

impl Meter {
    /// A request begins.
    pub(super) fn begin(&self) -> Asked<'_> {
        Asked { meter: self, began: At(clock::mono_ns()), good: false }
    }

    /// A request that began then is over now.
    fn over(&self, began: At, good: bool) {
        let now = At(clock::mono_ns());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back((now, good, now.since(began)));
        if all.len() > MOST {
            all.pop_front();
        }
    }

    /// How the last seconds went.
    pub(super) fn recent(&self) -> Recent {
        let now = At(clock::mono_ns());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.pop_front_if(|(at, ..)| now.since(*at) > RECENT).is_some() {}
        summed(all.make_contiguous())
    }
}

fn summed(all: &[One]) -> Recent {
    if all.is_empty() {
        return Recent::default();
    }
    let share = |count: usize| count as f64 / all.len() as f64;
    let mut took: Vec<Span> = all.iter().map(|(_, _, took)| *took).collect();
    took.sort();
    Recent {
        asked: all.len(),
        failed: share(all.iter().filter(|(_, good, _)| !good).count()),
        unhappy: share(all.iter().filter(|(_, good, took)| !good || *took > PATIENCE).count()),
        p90: took.get(took.len() * 9 / 10).copied().unwrap_or_default(),
    }
}

/// A page of gauges.
#[derive(Debug, Default)]
pub(super) struct Page(Registry);

impl Page {
    /// A number without labels.
    pub(super) fn gauge(self, name: &str, about: &str, value: f64) -> Page {
        // Names are written here and are valid, and none is used twice.
        if let Ok(gauge) = Gauge::new(name, about) {
            gauge.set(value);
            let _used_once = self.0.register(Box::new(gauge));
        }
        self
    }

    /// A number for each value of a label.
    pub(super) fn each(self, name: &str, about: &str, label: &str, values: &[(&str, f64)]) -> Page {
        if let Ok(gauges) = GaugeVec::new(Opts::new(name, about), &[label]) {
            for (of, value) in values {
                gauges.with_label_values(&[*of]).set(*value);
            }
            let _used_once = self.0.register(Box::new(gauges));
        }
        self
    }

    /// How the last seconds went, under names that begin alike.
    pub(super) fn recent(self, of: &str, recent: Recent) -> Page {
        self.gauge(&format!("{of}_requests"), "Requests of the last 5 s", recent.asked as f64)
            .gauge(&format!("{of}_failed_ratio"), "Share of them that failed", recent.failed)
            .gauge(&format!("{of}_unhappy_ratio"), "Share of them that failed or took more than 400 ms", recent.unhappy)
            .gauge(&format!("{of}_p90_seconds"), "What nine of ten of them took at most", recent.p90.as_secs_f64())
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let text = TextEncoder::new().encode_to_string(&self.0.gather()).unwrap_or_default();
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_percentiles_are_those_of_what_was_answered() {
        assert_eq!(summed(&[]), Recent::default());
        let one = |good, ms| (At(0), good, Span::millis(ms));
        let recent = summed(&[one(true, 10), one(true, 500), one(false, 20), one(true, 30)]);
        assert_eq!((recent.asked, recent.failed, recent.unhappy, recent.p90), (4, 0.25, 0.5, Span::millis(500)));
    }

    #[test]
    fn a_customer_who_went_away_was_not_served() {
        let meter = Meter::default();
        meter.begin().answered(true);
        drop(meter.begin());
        assert_eq!((meter.recent().asked, meter.recent().failed), (2, 0.5));
    }

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let page = Page::default().gauge("a_ratio", "A share", 0.5).each("b_up", "Up", "node", &[("x", 1.0), ("y", 0.0)]);
        let text = TextEncoder::new().encode_to_string(&page.0.gather()).unwrap();
        let samples = super::super::rules::exposition(&text);
        let shown: Vec<String> = samples.iter().map(|s| format!("{} {:?} {}", s.name, s.labels, s.value)).collect();
        assert_eq!(shown, ["a_ratio {} 0.5", "b_up {\"node\": \"x\"} 1", "b_up {\"node\": \"y\"} 0"]);
    }
}
