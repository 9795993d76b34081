//! What may never fail, and how fast a failure ends the drill.

use super::super::defaults::{GUARD_BREACHES, GUARD_EVERY, guard_reacts_within, guard_timeout, longest_hold, recovery};
use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{GuardDecl, Scenario};
use super::at;
use crate::base::{Id, Span};

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, guard) in &s.guards {
        let every = guard.how.every.unwrap_or(GUARD_EVERY);
        if guard.how.breaches == Some(0) {
            out.push(
                Finding::error(at(&["guards", id.as_str(), "breaches"]), "a guard aborts after at least one breach", "none")
                    .help("write 1 to abort at the first, 2 (the default) to forgive one"),
            );
            continue;
        }
        if guard.how.timeout == Some(Span::ZERO) {
            out.push(Finding::error(at(&["guards", id.as_str(), "timeout"]), "a time-out must be above zero", "no time at all"));
        }
        if let Some(grace) = guard.how.grace
            && grace < every
        {
            out.push(
                Finding::warning(
                    at(&["guards", id.as_str(), "grace"]),
                    "the time without data is shorter than the time between two looks",
                    format!("shorter than {}", every.human()),
                )
                .help(format!("one look without an answer aborts; the default is {}", every.times(3).human())),
            );
        }
        out.extend(too_slow(s, id, guard));
    }
    out
}

/// How long a breach may go on before the drill aborts.
fn reaction(s: &Scenario, guard: &GuardDecl) -> Span {
    let timeout = guard_timeout(s, guard);
    let every = guard.how.every.unwrap_or(GUARD_EVERY);
    guard_reacts_within(every, timeout, guard.how.breaches.unwrap_or(GUARD_BREACHES))
}

fn too_slow(s: &Scenario, id: &Id, guard: &GuardDecl) -> Option<Finding> {
    let reaction = reaction(s, guard);
    let held = |(id, fault)| (id, longest_hold(fault, recovery(s, id)));
    let (fault, hold) = s.faults.iter().map(held).min_by_key(|(_, hold)| *hold)?;
    (hold < reaction).then(|| {
        Finding::warning(
            at(&["guards", id.as_str()]),
            format!("the guard `{id}` may be slower than the fault it guards against"),
            format!("aborts after up to {}", reaction.human()),
        )
        .on_key()
        .also(at(&["faults", fault.as_str(), "for"]), format!("over after {}", hold.human()))
        .help("lower `every`, `timeout` or `breaches`: a fault that is over cannot be aborted")
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario, warns};
    use crate::base::Span;
    use crate::scenario::model::HoldDecl;

    #[test]
    fn guards_can_breach() {
        let mut s = scenario();
        s.guards[0].how.breaches = Some(0);
        refuses(&s, "/guards/neighbours/breaches", "at least one breach");
        s.guards[0].how.breaches = Some(1);
        s.guards[0].how.timeout = Some(Span::ZERO);
        refuses(&s, "/guards/neighbours/timeout", "above zero");
        s.guards[0].how.timeout = None;
        s.guards[0].how.every = Some(Span::ZERO);
        refuses(&s, "/guards/neighbours/every", "above zero");
        s.guards[0].how.every = Some(Span::secs(5));
        s.guards[0].how.grace = Some(Span::secs(2));
        warns(&s, "/guards/neighbours/grace", "shorter than the time between");
    }

    #[test]
    fn a_guard_is_faster_than_the_fault() {
        let mut s = scenario();
        s.claims.clear();
        s.faults[0].how.hold = HoldDecl::Time(Span::millis(2900));
        let finding = warns(&s, "/guards/neighbours", "slower than the fault");
        assert_eq!(finding.label, "aborts after up to 3 s");
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(3));
        assert_eq!(found(&s), vec![]);
    }
}
