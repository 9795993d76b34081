//! How the response reads.

use super::Verdict;
use crate::base::{At, Span};
use crate::plan::{Moment, Point};

/// A verdict as people say it.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::OnTime => "on time",
        Verdict::Late => "late",
        Verdict::Missed => "missed",
        Verdict::NotObserved => "not observed",
        Verdict::NotDue => "not due",
    }
}

/// What something is counted from.
pub(super) fn moment(moment: &Moment) -> String {
    let point = match &moment.after {
        Point::Steady => "steady state".to_owned(),
        Point::Effective(id) => format!("{id} took effect"),
        Point::Recovered(id) => format!("{id} recovered"),
        Point::Undone(id) => format!("{id} was undone"),
        Point::Expectation(id) => id.to_string(),
        Point::Prompt(id) => format!("the prompt {id}"),
    };
    if moment.plus == Span::ZERO { point } else { format!("{} after {point}", moment.plus.human()) }
}

/// An instant on the run's clock: `00:42`.
pub(super) fn clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    if s >= 3600 { format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) } else { format!("{:02}:{:02}", s / 60, s % 60) }
}

/// How long something took.
pub(super) fn took((lo, hi): (Span, Span)) -> String {
    // Three digits of the wider bound; what is told must hold the truth.
    let step = [1_000_000_000, 100_000_000, 1_000_000].into_iter().find(|step| hi.0 >= step * 100).unwrap_or(1_000_000);
    let (down, up) = (Span(lo.0 / step * step), Span(hi.0.div_ceil(step) * step));
    let (low, high) = (down.human(), up.human());
    if lo == hi || low == high {
        return high;
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, a)), Some((_, b))) if a == b && !number.contains(' ') => format!("{number} – {high}"),
        _ => format!("{low} – {high}"),
    }
}
