//! Episodes whose claims overlap in time: what one fault does would be counted against the claims of another.

use super::super::defaults::{claims_on, longest_hold, recovery};
use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{HoldDecl, HoldUntil, Scenario};
use super::super::moment::{Anchor, resolve, start};
use super::at;
use crate::base::{Id, Span};

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let claimed: Vec<&Id> = s.faults.keys().filter(|id| claims_on(s, id).next().is_some() && is_planned(s, id)).collect();
    let mut out = Vec::new();
    for (n, later) in claimed.iter().enumerate() {
        for earlier in &claimed[..n] {
            let (forth, back) = (apart(s, earlier, later), apart(s, later, earlier));
            let (Err(why), Err(other)) = (forth, back) else { continue };
            // What comes at an unknown time is named as the second.
            let when = |id: &Id| starts(s, id).unwrap_or(Span(u64::MAX));
            let (first, second, why) = if when(earlier) <= when(later) { (earlier, later, why) } else { (later, earlier, other) };
            out.push(finding(s, first, second, &why));
        }
    }
    out
}

/// Whether every moment that a fault waits for can be told; what cannot was reported where it stands.
fn is_planned(s: &Scenario, fault: &Id) -> bool {
    let mut at = fault.clone();
    for _ in 0..=s.faults.len() {
        let (word, _) = start(s.faults.get(&at).and_then(|fault| fault.how.at.as_ref()));
        match resolve(word, s).map(|anchor| anchor.fault().cloned()) {
            Err(_) => return false,
            Ok(None) => return true,
            Ok(Some(next)) => at = next,
        }
    }
    false
}

/// Why two episodes are not apart.
enum Why {
    /// The second may start before the first has recovered.
    Recovering(Span),
    /// The second may start while availability of the first is still counted.
    Counting(Id, Span),
    /// Nothing in the file says which comes first: faults that wait for what cannot be planned.
    Unknown,
}

fn finding(s: &Scenario, first: &Id, second: &Id, why: &Why) -> Finding {
    let claim = |of: &Id| claims_on(s, of).next().map(|(id, _)| id.to_string()).unwrap_or_default();
    let place = at(&["faults", second.as_str(), "at"]);
    let title = format!("the episodes of `{first}` and `{second}` may overlap, and both have claims");
    let finding = match why {
        Why::Recovering(within) => Finding::error(place, title, format!("`{first}` may still be recovering"))
            .also(at(&["faults", first.as_str()]), format!("may take {} from its effect", within.human()))
            .help(format!("write `at: {{ after: {first}.recovered, plus: 30s }}`")),
        Why::Counting(claim, over) => Finding::error(place, title, format!("availability of `{claim}` is still counted"))
            .also(at(&["claims", claim.as_str(), "availability", "over"]), format!("counts {} from effect", over.human()))
            .help(format!("write `at: {{ after: {first}.recovered, plus: {over} }}`, or count over a shorter time")),
        Why::Unknown => Finding::error(place, title, format!("may start while `{first}` is judged"))
            .help(format!("write `at: {{ after: {first}.recovered, plus: 30s }}`")),
    };
    finding.also(at(&["claims", &claim(second)]), format!("is about `{second}`"))
}

/// Planned earliest start, counted from steady state, as far as the file tells.
fn starts(s: &Scenario, fault: &Id) -> Option<Span> {
    let mut total = Span::ZERO;
    let mut at = fault.clone();
    for _ in 0..=s.faults.len() {
        let (word, plus) = start(s.faults.get(&at)?.how.at.as_ref());
        total = total + plus;
        match resolve(word, s).ok()? {
            Anchor::Steady => return Some(total),
            Anchor::Expectation(_) => return None,
            anchor => {
                total = total + soonest(s, &anchor);
                at = anchor.fault()?.clone();
            }
        }
    }
    None
}

/// How soon after its fault's effect a point may come.
fn soonest(s: &Scenario, anchor: &Anchor) -> Span {
    let Some((id, fault)) = anchor.fault().and_then(|id| s.faults.get_key_value(id)) else { return Span::ZERO };
    let rule = recovery(s, id);
    match (anchor, &fault.how.hold) {
        (Anchor::Recovered(_), _) => rule.stable_for,
        (Anchor::Undone(_), HoldDecl::Time(span)) => *span,
        (Anchor::Undone(_), HoldDecl::Once(_)) => rule.stable_for,
        (Anchor::Undone(_), HoldDecl::Until(HoldUntil { until, .. })) if until == "recovered" => rule.stable_for,
        _ => Span::ZERO,
    }
}

/// How late after its fault's effect a point may come.
fn latest(s: &Scenario, anchor: &Anchor) -> Option<Span> {
    let (id, fault) = s.faults.get_key_value(anchor.fault()?)?;
    let rule = recovery(s, id);
    Some(match anchor {
        Anchor::Recovered(_) => rule.within,
        Anchor::Undone(_) => longest_hold(fault, rule),
        _ => Span::ZERO,
    })
}

fn starts_latest(s: &Scenario, fault: &Id) -> Option<Span> {
    let mut total = Span::ZERO;
    let mut at = fault.clone();
    for _ in 0..=s.faults.len() {
        let (word, plus) = start(s.faults.get(&at)?.how.at.as_ref());
        total = total + plus;
        match resolve(word, s).ok()? {
            Anchor::Steady => return Some(total),
            anchor => {
                total = total + latest(s, &anchor)?;
                at = anchor.fault()?.clone();
            }
        }
    }
    None
}

/// From the effect of `first` to the start of `second`, where the second waits for the first: the least time, and whether the first has
/// recovered by then for sure.
fn chained(s: &Scenario, first: &Id, second: &Id) -> Option<(Span, bool)> {
    let mut total = Span::ZERO;
    let mut at = second.clone();
    for _ in 0..=s.faults.len() {
        let (word, plus) = start(s.faults.get(&at)?.how.at.as_ref());
        total = total + plus;
        let anchor = resolve(word, s).ok()?;
        let of = anchor.fault()?.clone();
        total = total + soonest(s, &anchor);
        if of == *first {
            let waits_for_recovery = match (&anchor, &s.faults.get(first)?.how.hold) {
                (Anchor::Recovered(_), _) | (Anchor::Undone(_), HoldDecl::Once(_)) => true,
                (Anchor::Undone(_), HoldDecl::Until(until)) => until.until == "recovered" && until.at_most >= recovery(s, first).within,
                _ => false,
            };
            return Some((total, waits_for_recovery));
        }
        at = of;
    }
    None
}

/// Whether everything that is claimed of `first` is decided before `second` starts.
fn apart(s: &Scenario, first: &Id, second: &Id) -> Result<(), Why> {
    let counted = claims_on(s, first).filter_map(|(id, claim)| claim.how.availability.map(|a| (id.clone(), a.over)));
    let counted = counted.max_by_key(|(_, over)| *over);
    let within = recovery(s, first).within;
    let (gap, recovered) = match chained(s, first, second) {
        Some(found) => found,
        None => match (starts_latest(s, first), starts(s, second)) {
            (Some(first), Some(second)) if second >= first => (second - first, false),
            (Some(_), Some(_)) => (Span::ZERO, false),
            _ => return Err(Why::Unknown),
        },
    };
    if !recovered && gap < within {
        return Err(Why::Recovering(within));
    }
    match counted {
        Some((claim, over)) if gap < over => Err(Why::Counting(claim, over)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario, second_fault};
    use crate::base::Span;
    use crate::scenario::model::{AfterMoment, HoldDecl, Scenario, When};

    fn second_at(at: When) -> Scenario {
        let mut s = scenario();
        second_fault(&mut s);
        s.faults[1].how.at = Some(at);
        s
    }

    fn after(word: &str, plus: u64) -> When {
        When::After(AfterMoment { after: word.into(), plus: Span::secs(plus) })
    }

    #[test]
    fn fixed_times_leave_room_for_recovery() {
        let mut s = second_at(When::AfterSteady(Span::secs(79)));
        s.claims[0].how.availability = None;
        let finding = refuses(&s, "/faults/slow-link/at", "may overlap");
        assert_eq!(finding.label, "`lose-primary` may still be recovering");
        assert!(finding.help.unwrap().contains("after: lose-primary.recovered"));
        s.faults[1].how.at = Some(When::AfterSteady(Span::secs(80)));
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn the_second_in_time_is_named_even_when_it_is_first_in_the_file() {
        let mut s = second_at(When::AfterSteady(Span::secs(5)));
        s.claims[0].how.availability = None;
        refuses(&s, "/faults/lose-primary/at", "may overlap");
    }

    #[test]
    fn availability_is_counted_alone() {
        let s = second_at(after("lose-primary.recovered", 60));
        let finding = refuses(&s, "/faults/slow-link/at", "may overlap");
        assert_eq!(finding.label, "availability of `node-loss` is still counted");
        assert!(finding.help.unwrap().contains("plus: 15m"));
        assert_eq!(found(&second_at(after("lose-primary.recovered", 890))), vec![]);
    }

    #[test]
    fn undone_is_not_recovered() {
        let mut s = second_at(after("lose-primary.undone", 1));
        s.claims[0].how.availability = None;
        assert_eq!(found(&s), vec![]);
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(20));
        refuses(&s, "/faults/slow-link/at", "may overlap");
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(60));
        assert_eq!(found(&s), vec![]);
        s.faults[1].how.at = Some(after("lose-primary.effective", 30));
        refuses(&s, "/faults/slow-link/at", "may overlap");
    }

    #[test]
    fn a_slip_in_a_moment_is_told_once() {
        for word in ["lose-primry.recovered", "recovered", "slow-link.recovered"] {
            assert_eq!(found(&second_at(after(word, 900))).len(), 1, "{word}");
        }
    }

    #[test]
    fn what_waits_for_people_may_come_at_any_time() {
        let mut s = second_at(after("detected", 900));
        s.team = Some(serde_json::json!({ "expect": { "detected": { "ack": {}, "within": "30s" } } }));
        refuses(&s, "/faults/slow-link/at", "may overlap");
    }

    #[test]
    fn an_episode_without_claims_may_overlap() {
        let mut s = second_at(When::AfterSteady(Span::secs(20)));
        s.claims.shift_remove("slow");
        assert_eq!(found(&s), vec![]);
    }
}
