//! An expectation before anything is known of it.

use super::words::moment;
use super::{ExpectationFacts, Verdict};
use crate::base::{Id, Span};
use crate::plan::{ExpectationPlan, Expected, Moment, Point};

/// What nobody declared: a plan that was tampered with.
pub(super) fn unknown(id: &Id) -> ExpectationFacts {
    let (what, from) = (Expected::Mark(id.to_string()), Moment { after: Point::Steady, plus: Span::ZERO });
    let plan = ExpectationPlan { what, by: None, within: Span::ZERO, from, unless: None, then_every: None, never: false, training: true };
    ExpectationFacts { why: format!("{id} was not declared"), ..blank(&plan) }
}

/// An expectation of which nothing is known yet.
pub(super) fn blank(expected: &ExpectationPlan) -> ExpectationFacts {
    ExpectationFacts {
        verdict: Verdict::NotObserved,
        why: String::new(),
        kind: expected.what.word(),
        what: expected.what.describe(),
        by: expected.by.clone(),
        within: expected.within,
        from: moment(&expected.from),
        counts: !expected.training,
        never: expected.never,
        base: None,
        due: None,
        at: None,
        took: None,
        source: None,
        who: None,
        machine: expected.what.by_machine(),
        received: None,
        starts: None,
        out_of_order: false,
        hinted: false,
        paused: Span::ZERO,
        also: Vec::new(),
        repeats: None,
        entries: Vec::new(),
    }
}
