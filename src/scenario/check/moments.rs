//! Moments: does what is waited for exist, and does it ever come?

use std::collections::BTreeSet;

use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::{AfterMoment, HoldDecl, Scenario, When};
use super::super::moment::{Anchor, Unresolved, all_words, expectations, resolve, start};
use super::{FAULT, at, choice, names, unknown};

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, fault) in &s.faults {
        if let Some(When::After(moment)) = &fault.how.at {
            let place = at(&["faults", id.as_str(), "at", "after"]);
            match named(s, &place, &moment.after) {
                Err(finding) => out.push(*finding),
                Ok(anchor) if anchor.fault() == Some(id) => {
                    out.push(Finding::error(place, format!("the fault `{id}` waits for itself"), "itself").help(others(s, id.as_str())))
                }
                Ok(Anchor::Expectation(of)) if root(s, of.as_str()).as_deref() == Some(id.as_str()) => out.push(
                    Finding::error(place, format!("the fault `{id}` waits for `{of}`, which is counted from `{id}` itself"), "never comes")
                        .help("count the expectation `from: steady`, or from another fault"),
                ),
                Ok(_) => {}
            }
        }
        out.extend(until(s, id.as_str(), &fault.how.hold));
    }
    for (id, restore) in &s.restore {
        let place = at(&["restore", id.as_str(), "after"]);
        match named(s, &place, &restore.how.after) {
            Err(finding) => out.push(*finding),
            Ok(Anchor::Steady) => out.push(
                Finding::error(place, format!("the restore step `{id}` would run before anything is broken"), "before the first fault")
                    .help("restore after `FAULT.undone` or `FAULT.recovered`"),
            ),
            Ok(_) => {}
        }
    }
    for (id, claim) in &s.claims {
        for (name, holds) in &claim.holds {
            for (key, moment) in [("from", &holds.from), ("until", &holds.until)] {
                let Some(AfterMoment { after, .. }) = moment else { continue };
                let place = at(&["claims", id.as_str(), "holds", name.as_str(), key, "after"]);
                out.extend(named(s, &place, after).err().map(|finding| *finding));
            }
        }
    }
    out.extend(cycles(s));
    out
}

fn others(s: &Scenario, id: &str) -> String {
    let others: Vec<&str> = names(&s.faults).into_iter().filter(|other| *other != id).collect();
    if others.is_empty() {
        "count from `steady`".into()
    } else {
        format!("count from `steady`, or from another fault: {}", choice(&others))
    }
}

/// What a word names, or what is wrong with it.
pub(super) fn named(s: &Scenario, place: &str, text: &str) -> Result<Anchor, Box<Finding>> {
    resolve(text, s).map_err(|why| {
        Box::new(match why {
            Unresolved::WhichFault => {
                let finding = Finding::error(place, format!("`{text}` of which fault?"), "needs the fault's id");
                match names(&s.faults).first() {
                    Some(first) => finding.help(format!("with several faults, write for example `{first}.{text}`")),
                    None => finding.help("there is no fault"),
                }
            }
            Unresolved::NoSuchFault(fault) => {
                let mut finding = unknown(place, &FAULT, &fault, &names(&s.faults));
                if let Some(near) = did_you_mean(&fault, names(&s.faults))
                    && let Some((_, word)) = text.rsplit_once('.')
                {
                    finding.help = Some(format!("did you mean `{near}.{word}`?"));
                }
                finding
            }
            Unresolved::NoSuchMoment => {
                let words = all_words(s);
                let help = did_you_mean(text, words.iter().map(String::as_str)).map_or_else(
                    || {
                        let several = "a moment is `steady`, `FAULT.effective`, `FAULT.recovered`, `FAULT.undone`, or an expectation's id";
                        if s.faults.contains_key(text) { format!("did you mean `{text}.recovered`?") } else { several.to_owned() }
                    },
                    |near| format!("did you mean `{near}`?"),
                );
                Finding::error(place, format!("`{text}` is not a moment of this drill"), "unknown moment").help(help)
            }
        })
    })
}

fn until(s: &Scenario, fault: &str, hold: &HoldDecl) -> Option<Finding> {
    let HoldDecl::Until(given) = hold else { return None };
    let place = at(&["faults", fault, "for", "until"]);
    let expected = expectations(s);
    let word = given.until.as_str();
    if matches!(word, "recovered" | "released") {
        return None;
    }
    if expected.contains(&word) {
        return None;
    }
    let finding = Finding::error(place, format!("a fault cannot be held until `{word}`"), "unknown word");
    let own = resolve(word, s).ok().and_then(|anchor| anchor.fault().cloned()).is_some_and(|id| id.as_str() == fault);
    let words = ["recovered", "released"].into_iter().chain(expected);
    Some(match (own && word.ends_with("recovered"), did_you_mean(word, words)) {
        (true, _) => finding.help("write `recovered`: a fault is held until its own episode has"),
        (false, Some(near)) => finding.help(format!("did you mean `{near}`?")),
        (false, None) => finding.help("it is `recovered`, `released`, or an expectation's id"),
    })
}

/// The fault that an expectation is counted from in the end, over other expectations; the first, where it does not say.
fn root(s: &Scenario, expectation: &str) -> Option<String> {
    let first = || s.faults.keys().next().map(ToString::to_string);
    let mut of = expectation.to_owned();
    // A circle of expectations ends somewhere.
    for _ in 0..=expectations(s).len() {
        let expected = s.team.as_ref()?.get("expect")?.get(&of)?;
        let named = expected.get("from").or_else(|| expected.get("when")?.get("after")).and_then(serde_json::Value::as_str);
        let Some(word) = named else { return first() };
        match resolve(word, s) {
            Ok(Anchor::Expectation(next)) => of = next.to_string(),
            Ok(anchor) => return anchor.fault().map(ToString::to_string),
            Err(_) => return first(),
        }
    }
    None
}

/// Faults that wait for each other: none of them would ever start.
fn cycles(s: &Scenario) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let next = |id: &str| -> Option<&str> {
        let (word, _) = start(s.faults.get(id)?.how.at.as_ref());
        let waited_for = match resolve(word, s).ok()? {
            Anchor::Expectation(of) => root(s, of.as_str())?,
            anchor => anchor.fault()?.to_string(),
        };
        s.faults.get_key_value(waited_for.as_str()).map(|(id, _)| id.as_str())
    };
    for id in s.faults.keys() {
        let first = id.as_str();
        let mut path = vec![first];
        while let Some(following) = path.last().and_then(|last| next(last)) {
            if following == first {
                if path.len() > 1 && path.iter().all(|id| !told.contains(id)) {
                    let round = path.iter().chain([&first]).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" after ");
                    let mut finding =
                        Finding::error(at(&["faults", first, "at"]), "faults wait for each other, so none is injected", round);
                    for other in &path[1..] {
                        finding = finding.also(at(&["faults", other, "at"]), format!("`{other}` waits, too"));
                    }
                    told.extend(&path);
                    out.push(finding.help("let one of them count from `steady`"));
                }
                break;
            }
            if path.contains(&following) {
                break;
            }
            path.push(following);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, id, refuses, scenario, second_fault};
    use super::*;
    use crate::base::Span;
    use crate::scenario::model::{HoldUntil, HoldsDecl, RestoreDecl, RestoreHow, ShareBounds};
    use serde_json::json;

    fn after(word: &str) -> Option<When> {
        Some(When::After(AfterMoment { after: word.into(), plus: Span::secs(900) }))
    }

    #[test]
    fn a_moment_is_one_that_comes() {
        let mut s = scenario();
        second_fault(&mut s);
        for (word, title, help) in [
            ("lose-primary.recoverd", "not a moment", "did you mean `lose-primary.recovered`?"),
            ("lose-primry.recovered", "no fault is called `lose-primry`", "did you mean `lose-primary.recovered`?"),
            ("recovered", "`recovered` of which fault?", "with several faults, write for example `lose-primary.recovered`"),
            ("lose-primary", "not a moment", "did you mean `lose-primary.recovered`?"),
            ("lunch", "not a moment", "a moment is `steady`"),
        ] {
            s.faults[1].how.at = after(word);
            let finding = refuses(&s, "/faults/slow-link/at/after", title);
            assert!(finding.help.as_deref().unwrap().starts_with(help), "{finding:?}");
        }
    }

    #[test]
    fn nothing_waits_for_itself() {
        let mut s = scenario();
        s.faults[0].how.at = after("effective");
        refuses(&s, "/faults/lose-primary/at/after", "waits for itself");
        second_fault(&mut s);
        s.faults[0].how.at = after("slow-link.undone");
        let finding = refuses(&s, "/faults/lose-primary/at", "wait for each other");
        assert_eq!(finding.label, "`lose-primary` after `slow-link` after `lose-primary`");
        assert_eq!(finding.also[0].0, "/faults/slow-link/at");
        assert_eq!(found(&s).iter().filter(|(_, title)| title.contains("wait for each other")).count(), 1);
    }

    #[test]
    fn a_fault_may_wait_for_people_but_not_for_what_waits_for_it() {
        let mut s = scenario();
        s.team =
            Some(json!({ "expect": { "detected": { "ack": {}, "within": "30s" }, "calm": { "ack": {}, "within": "30s", "from": "steady" },
            "after": { "ack": {}, "within": "30s", "from": "detected" } } }));
        for word in ["detected", "after"] {
            s.faults[0].how.at = after(word);
            refuses(&s, "/faults/lose-primary/at/after", "which is counted from `lose-primary` itself");
        }
        s.faults[0].how.at = after("calm");
        assert_eq!(found(&s), vec![]);
        s.faults[0].how.at = None;
        s.faults[0].how.hold = HoldDecl::Until(HoldUntil { until: "detected".into(), at_most: Span::secs(60) });
        assert_eq!(found(&s), vec![]);
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(60));
        second_fault(&mut s);
        s.faults[1].how.at = after("after");
        assert!(found(&s).iter().all(|(place, _)| place == "/faults/slow-link/at"), "they may overlap, and that is all: {:?}", found(&s));
        s.faults[0].how.at = after("slow-link.undone");
        refuses(&s, "/faults/lose-primary/at", "wait for each other");
    }

    #[test]
    fn a_fault_is_held_until_something() {
        let mut s = scenario();
        for (word, help) in [("recoverd", "did you mean `recovered`?"), ("lose-primary.recovered", "write `recovered`"), ("noon", "it is")]
        {
            s.faults[0].how.hold = HoldDecl::Until(HoldUntil { until: word.into(), at_most: Span::secs(60) });
            let finding = refuses(&s, "/faults/lose-primary/for/until", "cannot be held until");
            assert!(finding.help.as_deref().unwrap().starts_with(help), "{finding:?}");
        }
        s.faults[0].how.hold = HoldDecl::Until(HoldUntil { until: "released".into(), at_most: Span::secs(60) });
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn restore_and_holds_count_from_moments_too() {
        let mut s = scenario();
        let how = RestoreHow { run: vec!["x".into()], after: "undon".into(), within: None };
        s.restore.insert(id("rejoin"), RestoreDecl { how, only_if: None });
        assert_eq!(refuses(&s, "/restore/rejoin/after", "not a moment").help.as_deref(), Some("did you mean `undone`?"));
        s.restore[0].how.after = "steady".into();
        refuses(&s, "/restore/rejoin/after", "before anything is broken");
        s.restore[0].how.after = "undone".into();
        let success = ShareBounds { min: None, max: crate::base::Percent::of_fraction(0.0) };
        let from = Some(AfterMoment { after: "efective".into(), plus: Span::ZERO });
        s.claims[0].holds.insert(id("no-writes"), HoldsDecl { probe: id("write-old"), success, from, until: None });
        refuses(&s, "/claims/node-loss/holds/no-writes/from/after", "not a moment");
    }
}
