//! A review as a page with pictures.

use crate::report::html::many::{self, Order, Page, Panel};
use crate::report::intervals::{Bar, Bars, Measure};
use crate::review::{Answers, Review, words};

/// The page.
pub(super) fn html(review: &Review) -> String {
    let (said, unknown) = words::practices(review);
    let more = (!unknown.is_empty()).then(|| (format!("What is not known ({})", unknown.len()), unknown));
    let mut panels = vec![Panel { name: "Programme practices".to_owned(), said, bars: None, more }];
    if !review.cadences.is_empty() {
        panels.push(Panel { name: "How regularly".to_owned(), said: words::cadences(review), bars: None, more: None });
    }
    panels.extend(review.answers.iter().map(panel));
    many::render(&Page {
        title: format!("Review of {}", review.now.strftime("%Y-%m-%d")),
        kind: "Review over runs",
        meta: vec![format!("the last {} days", review.window_days)],
        said: words::grounds(review),
        order: Order::Trend,
        panels,
    })
}

fn panel(answers: &Answers) -> Panel {
    let bar = |quarter: &crate::review::Quarter| Bar {
        run: quarter.name.clone(),
        day: String::new(),
        lo: quarter.median.map(|(lo, _)| lo),
        hi: quarter.median.and_then(|(_, hi)| hi),
        // A median has no verdict: the sentences say how many were in time.
        verdict: "not judged".to_owned(),
        changed: false,
    };
    let measured = answers.quarters.iter().any(|quarter| quarter.median.is_some());
    Panel {
        name: words::whose(answers),
        said: answers.quarters.iter().map(|quarter| format!("{}: {}.", quarter.name, words::quarter(quarter))).collect(),
        bars: measured.then(|| Bars {
            name: words::whose(answers),
            measure: Measure::Time,
            objective: None,
            runs: answers.quarters.iter().map(bar).collect(),
        }),
        more: None,
    }
}
