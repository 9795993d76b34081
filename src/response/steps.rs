//! Which steps of runbooks were done, in which order, and how long each took: told as it was, and blaming nobody. A runbook that was left
//! for good reason is a runbook to be mended.

use serde::Serialize;

use super::Seen;
use crate::base::{At, Span};
use crate::event::Deed;

/// What was done of one runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// The runbook.
    pub runbook: String,
    /// Its steps that were done, in the order in which they were.
    pub done: Vec<Done>,
    /// Steps before the last that was done which were not done themselves, in the runbook's order. Empty where that order is not known.
    pub left_out: Vec<String>,
    /// How many steps it has, where that is known.
    pub of: Option<u64>,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Its id in the runbook.
    pub step: String,
    /// When, the first time.
    pub at: At,
    /// By which role.
    pub by: String,
    /// Since what was told before it of the response: a page that was taken, or a step. None for the first thing of all.
    pub took: Option<Span>,
    /// It was done after this one, which the runbook has later.
    pub after: Option<String>,
    /// It was taken back.
    pub back: Option<At>,
}

/// What was done of each runbook, in the order in which they were opened. `order` are all steps of the runbooks in the order in which they are
/// written, as `RUNBOOK#STEP`; without it nothing can be out of order.
pub(super) fn walks(order: &[String], seen: &Seen<'_>) -> Vec<Walk> {
    let place = |step: &str| order.iter().position(|known| known == step);
    let mut walks: Vec<Walk> = Vec::new();
    let mut told: Vec<(At, &str, &Deed)> =
        seen.said().map(|(stamp, said)| (said.claimed.unwrap_or(stamp.at), said.role.as_str(), &said.deed)).collect();
    told.sort_by_key(|(at, ..)| *at);
    let mut before: Option<At> = None;
    for (at, role, deed) in told {
        match deed {
            Deed::Mark { mark, .. } if mark == "ack" => before = Some(at),
            Deed::Step { step, back_out } => {
                let (runbook, id) = step.split_once('#').unwrap_or((step, ""));
                let n = walks.iter().position(|walk| walk.runbook == runbook).unwrap_or_else(|| {
                    let of = order.iter().filter(|known| known.split('#').next() == Some(runbook)).count();
                    let of = (of > 0).then_some(of as u64);
                    walks.push(Walk { runbook: runbook.to_owned(), done: Vec::new(), left_out: Vec::new(), of });
                    walks.len() - 1
                });
                let walk = &mut walks[n];
                let known = walk.done.iter().position(|done| done.step == id);
                match (known, back_out) {
                    (Some(known), true) => walk.done[known].back = Some(at),
                    // Done once more, or taken back without having been done.
                    (Some(_), false) | (None, true) => {}
                    (None, false) => {
                        let here = place(step);
                        let later = |done: &&Done| here.is_some() && place(&format!("{runbook}#{}", done.step)) > here;
                        let after = walk.done.iter().find(later).map(|done| done.step.clone());
                        let took = before.map(|before| at.since(before));
                        walk.done.push(Done { step: id.to_owned(), at, by: role.to_owned(), took, after, back: None });
                    }
                }
                before = Some(at);
            }
            _ => {}
        }
    }
    walks.retain(|walk| !walk.done.is_empty());
    for walk in &mut walks {
        let whole = |id: &str| format!("{}#{id}", walk.runbook);
        let last = walk.done.iter().filter_map(|done| place(&whole(&done.step))).max();
        let missing = order.iter().take(last.unwrap_or(0)).filter_map(|step| step.split_once('#'));
        walk.left_out = missing
            .filter(|(runbook, id)| *runbook == walk.runbook && !walk.done.iter().any(|done| done.step == *id))
            .map(|(_, id)| id.to_owned())
            .collect();
    }
    walks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Said, Stamp, TeamEvent};
    use proptest::prelude::*;

    fn s(n: u64) -> At {
        At(n * 1_000_000_000)
    }

    fn said(seq: u64, at: u64, deed: Deed) -> Stamp {
        Stamp { seq, at: s(at), event: TeamEvent::Said(Said { role: "ops".into(), by: "dan".into(), claimed: None, deed }) }
    }

    fn step(step: &str, back_out: bool) -> Deed {
        Deed::Step { step: step.into(), back_out }
    }

    fn walk(order: &[&str], stamps: &[Stamp]) -> Vec<Walk> {
        let order: Vec<String> = order.iter().map(|step| (*step).to_owned()).collect();
        let seen =
            Seen { stamps: stamps.iter().collect(), steady: None, faults: Default::default(), until: At(u64::MAX), open: false, cut: None };
        walks(&order, &seen)
    }

    #[test]
    fn order_omissions_and_times_are_told() {
        let ack = Deed::Mark { mark: "ack".into(), text: String::new() };
        let stamps = [
            said(1, 10, ack),
            said(2, 15, step("db#promote", false)),
            said(3, 18, step("db#look", false)),
            said(4, 20, step("web#restart", false)),
            said(5, 21, step("web#restart", true)),
            said(6, 22, step("db#promote", false)),
        ];
        let walks = walk(&["db#look", "db#fence", "db#promote", "db#tell", "web#drain", "web#restart"], &stamps);
        let done: Vec<(&str, Option<u64>, Option<&str>)> =
            walks[0].done.iter().map(|d| (d.step.as_str(), d.took.map(|t| t.as_millis() / 1000), d.after.as_deref())).collect();
        assert_eq!(done, [("promote", Some(5), None), ("look", Some(3), Some("promote"))]);
        assert_eq!(
            (walks[0].left_out.as_slice(), walks[0].of),
            (&["fence".to_owned()][..], Some(4)),
            "what comes after the last step is not left out"
        );
        assert_eq!((walks[1].runbook.as_str(), walks[1].done[0].back), ("web", Some(s(21))));
        assert_eq!(walks[1].left_out, ["drain"]);
    }

    #[test]
    fn without_an_order_nothing_is_out_of_it() {
        let walks = walk(&[], &[said(1, 1, step("db#b", false)), said(2, 2, step("db#a", false))]);
        assert_eq!(
            walks[0].done.iter().map(|d| (d.took.is_some(), d.after.is_some())).collect::<Vec<_>>(),
            [(false, false), (true, false)]
        );
        assert_eq!((walks[0].left_out.len(), walks[0].of), (0, None));
        assert_eq!(walk(&["db#a"], &[said(1, 1, step("db#a", true))]), []);
    }

    proptest! {
        /// What was done and what was left out are the steps up to the last that was done, each once.
        #[test]
        fn done_and_left_out_are_all_there_is(done in prop::collection::vec(0usize..6, 1..12)) {
            let order = ["r#s0", "r#s1", "r#s2", "r#s3", "r#s4", "r#s5"];
            let stamps: Vec<Stamp> = done.iter().enumerate().map(|(n, k)| said(n as u64, n as u64, step(order[*k], false))).collect();
            let walk = &walk(&order, &stamps)[0];
            let mut all: Vec<String> = walk.done.iter().map(|d| d.step.clone()).chain(walk.left_out.clone()).collect();
            all.sort();
            let last = done.iter().max().unwrap();
            prop_assert_eq!(all, (0..=*last).map(|k| format!("s{k}")).collect::<Vec<_>>());
            let sorted = walk.done.is_sorted_by_key(|d| d.step.clone());
            prop_assert_eq!(walk.done.iter().all(|d| d.after.is_none()), sorted);
        }
    }
}
