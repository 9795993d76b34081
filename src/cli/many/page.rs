//! What many runs can claim, as a page with pictures.

use super::Said;
use crate::base::Span;
use crate::measure::facts::Judged;
use crate::report::html::many::{self, Order, Page, Panel};
use crate::report::intervals::{Bar, Bars, Measure};
use crate::score::many::{Counted, Many};
use crate::score::words;

/// The page.
pub(super) fn html(said: &Said) -> String {
    let taken = format!("{} taken together, of {} that were started.", words::many(said.taken as u64, "run"), said.started);
    let left_out = said.left_out.iter().map(|one| format!("Left out: {}: {}.", one.run, one.why));
    let rule = match &said.stop_rule {
        Some(rule) => format!("{}.", words::capital(rule)),
        None => {
            "No stop rule was fixed before the first of them: that they were stopped when it looked good cannot be excluded.".to_owned()
        }
    };
    many::render(&Page {
        title: said.title.clone(),
        kind: "Claims over runs",
        meta: vec![said.scenario.clone(), words::many(said.taken as u64, "run")],
        said: std::iter::once(taken).chain(left_out).chain([rule]).collect(),
        order: Order::Repeats,
        panels: said.claims.iter().map(panel).collect(),
    })
}

fn panel(claim: &Many) -> Panel {
    let whole = sentence(&claim.whole().sentence("the whole claim holds"));
    let (Some(share), Some(objective)) = (claim.within(), claim.objective) else {
        return Panel { name: claim.claim.clone(), said: vec![sentence(&claim.counts()), whole], bars: None, more: None };
    };
    let within = sentence(&share.sentence(&format!("it comes back within {}", objective.human())));
    let bars = Bars {
        name: format!("{}: recovery time", claim.claim),
        measure: Measure::Time,
        objective: Some(objective.0 as f64),
        runs: claim.counted.iter().map(bar).collect(),
    };
    let bound = claim.bound().map(|bound| sentence(&bound.sentence()));
    let said = [Some(sentence(&claim.counts())), Some(within), bound, Some(whole)].into_iter().flatten().collect();
    Panel { name: claim.claim.clone(), said, bars: Some(bars), more: None }
}

fn sentence(text: &str) -> String {
    let text = words::capital(text);
    if text.ends_with('.') { text } else { format!("{text}.") }
}

fn bar(run: &Counted) -> Bar {
    let ns = |span: Span| span.0 as f64;
    let verdict = match run.rto {
        Some(Judged::Passed) => "passed",
        Some(Judged::Failed) => "failed",
        Some(Judged::Inconclusive) => "inconclusive",
        Some(Judged::Invalid) => "invalid",
        None => "not judged",
    };
    // A run's id begins with its time: the first ten characters sort, and nobody reads them as a date.
    Bar { run: run.run.clone(), day: String::new(), lo: run.lo.map(ns), hi: run.hi.map(ns), verdict: verdict.to_owned(), changed: false }
}
