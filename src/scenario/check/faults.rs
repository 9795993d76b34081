//! How faults are confirmed, undone and recovered from.

use super::super::defaults::{largest_rto, longest_hold, recovery};
use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{FaultDecl, HoldDecl, RecoveryDecl, Scenario};
use super::at;
use crate::base::{Id, Span};

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, fault) in &s.faults {
        out.extend(undo(id, fault, known));
        out.extend(confirm(id, fault, known));
        out.extend(hold(s, id, fault));
        out.extend(objectives(s, id, fault));
    }
    if let Some(shared) = &s.recovery {
        out.extend(stable("/recovery", shared));
    }
    out
}

fn undo(id: &Id, fault: &FaultDecl, known: &Known) -> Vec<Finding> {
    let kind = fault.what.kind.as_str();
    let needed = known.fault(kind).is_some_and(|known| (known.needs_declared_undo)(&fault.what.spec));
    let place = at(&["faults", id.as_str(), "undo"]);
    let Some(undo) = &fault.undo else {
        return if needed {
            vec![
                Finding::error(at(&["faults", id.as_str()]), format!("`{kind}` has no undo of its own here"), "has no `undo:`")
                    .on_key()
                    .help("add `undo: { run: [PROGRAM, …], done_when: { … } }`, or `left_to:` with who else undoes it"),
            ]
        } else {
            Vec::new()
        };
    };
    let unseen = undo.done_when.is_none();
    match (&undo.run, &undo.left_to) {
        (None, None) => vec![
            Finding::error(place, "an undo says who does it", "has neither `run:` nor `left_to:`")
                .on_key()
                .help("write `run: [PROGRAM, …]`, or `left_to: WHO` together with `done_when:`"),
        ],
        (Some(_), Some(_)) => vec![
            Finding::error(format!("{place}/left_to"), "an undo is either run or left to somebody", "second answer")
                .also(format!("{place}/run"), "first answer")
                .help("keep one of the two"),
        ],
        (None, Some(who)) if unseen => vec![
            Finding::error(place, "nobody would see whether the undo has happened", "has no `done_when:`")
                .on_key()
                .help(format!("add `done_when:` with what one sees when {who} has undone it")),
        ],
        (Some(_), None) if unseen && needed => vec![
            Finding::warning(place, "nothing looks whether the undo has worked", "has no `done_when:`")
                .on_key()
                .help("add `done_when:`; until then the command's own exit status is believed"),
        ],
        _ => Vec::new(),
    }
}

fn confirm(id: &Id, fault: &FaultDecl, known: &Known) -> Option<Finding> {
    let kind = known.fault(&fault.what.kind)?;
    (!kind.reads_back && fault.confirm.is_none()).then(|| {
        Finding::error(at(&["faults", id.as_str()]), format!("`{}` cannot see by itself that it bites", kind.name), "has no `confirm:`")
            .on_key()
            .help("add for example `confirm: { tcp: { address: … }, expect: { outcome: { equals: refused } } }`: a system that was never hurt proves nothing")
    })
}

fn hold(s: &Scenario, id: &Id, fault: &FaultDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    let place = at(&["faults", id.as_str(), "for"]);
    let zero = match &fault.how.hold {
        HoldDecl::Once(_) => None,
        HoldDecl::Time(span) => (*span == Span::ZERO).then_some(place.clone()),
        HoldDecl::Until(until) => (until.at_most == Span::ZERO).then(|| format!("{place}/at_most")),
    };
    if let Some(zero) = zero {
        out.push(
            Finding::error(zero, "a fault that lasts no time is no fault", "no time at all")
                .help("write how long it lasts, or `once` for a fault that is over at once, such as a kill"),
        );
        return out;
    }
    let longest = longest_hold(fault, recovery(s, id));
    if let (HoldDecl::Time(_), Some((claim, rto))) = (&fault.how.hold, largest_rto(s, id))
        && longest < rto
    {
        out.push(
            Finding::warning(place, "the fault is undone before its objective has passed", format!("over after {}", longest.human()))
                .also(at(&["claims", claim.as_str(), "rto", "max"]), format!("allows {}", rto.human()))
                .help("a system that comes back only after the undo has not recovered by itself: hold at least as long as the objective"),
        );
    }
    out
}

fn stable(place: &str, given: &RecoveryDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    if given.within <= given.stable_for {
        out.push(
            Finding::error(
                format!("{place}/within"),
                "recovery could never be shown in this time",
                format!("not above {}", given.stable_for.human()),
            )
            .help("`within` is how long it may take to come back and to stay up for `stable_for`"),
        );
    }
    if given.stable_for == Span::ZERO {
        out.push(
            Finding::error(format!("{place}/stable_for"), "one good answer is not recovery", "no time at all")
                .help("say how long it must stay up to count, for example `10s`"),
        );
    }
    out
}

/// Is there time enough to decide every recovery time objective?
fn objectives(s: &Scenario, id: &Id, fault: &FaultDecl) -> Vec<Finding> {
    let own = at(&["faults", id.as_str(), "recovery"]);
    let mut out: Vec<Finding> = fault.how.recovery.iter().flat_map(|given| stable(&own, given)).collect();
    let place = match (fault.how.recovery, s.recovery) {
        (Some(_), _) => own,
        (None, Some(_)) => "/recovery".to_owned(),
        (None, None) => return out,
    };
    let given = recovery(s, id);
    if let Some((claim, rto)) = largest_rto(s, id)
        && given.within < rto + given.stable_for
        && given.within > given.stable_for
    {
        let needed = rto + given.stable_for;
        out.push(
            Finding::error(
                format!("{place}/within"),
                format!("recovery from `{id}` is not awaited long enough to decide its objective"),
                format!("needs at least {}", needed.human()),
            )
            .also(
                at(&["claims", claim.as_str(), "rto", "max"]),
                format!("{} may pass, and then {} of it staying up", rto.human(), given.stable_for.human()),
            )
            .help(format!("write `within: {needed}` or more")),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{condition, fault, found, refuses, scenario, warns};
    use crate::base::Span;
    use crate::scenario::matcher::Matcher;
    use crate::scenario::model::*;
    use serde_json::json;

    fn undo(run: Option<&str>, left_to: Option<&str>, seen: bool) -> Option<UndoDecl> {
        let done_when = seen.then(|| condition("tcp", json!({}), "outcome", Matcher::equals("ok")));
        Some(UndoDecl { run: run.map(|run| vec![run.to_owned()]), left_to: left_to.map(str::to_owned), done_when })
    }

    fn command() -> Scenario {
        let mut s = scenario();
        s.faults[0] = fault("command", json!({ "run": ["x"] }), Span::ZERO, HoldDecl::Time(Span::secs(60)));
        s.faults[0].confirm = Some(condition("tcp", json!({}), "outcome", Matcher::equals("refused")));
        s.faults[0].undo = undo(Some("y"), None, true);
        s
    }

    #[test]
    fn a_kind_without_an_undo_is_told_one() {
        let mut s = command();
        assert_eq!(found(&s), vec![]);
        s.faults[0].undo = None;
        let finding = refuses(&s, "/faults/lose-primary", "no undo of its own");
        assert_eq!((finding.on_key, finding.label.as_str()), (true, "has no `undo:`"));
        let mut s = scenario();
        s.faults[0].what.spec = json!({ "pid_file": "/run/x.pid" });
        refuses(&s, "/faults/lose-primary", "`process.kill` has no undo");
    }

    #[test]
    fn an_undo_says_who_and_how_one_sees_it() {
        let mut s = command();
        s.faults[0].undo = undo(None, None, true);
        refuses(&s, "/faults/lose-primary/undo", "who does it");
        s.faults[0].undo = undo(Some("y"), Some("systemd"), true);
        refuses(&s, "/faults/lose-primary/undo/left_to", "either run or left");
        s.faults[0].undo = undo(None, Some("systemd"), false);
        assert!(refuses(&s, "/faults/lose-primary/undo", "nobody would see").help.unwrap().contains("systemd"));
        s.faults[0].undo = undo(None, Some("systemd"), true);
        assert_eq!(found(&s), vec![]);
        s.faults[0].undo = undo(Some("y"), None, false);
        warns(&s, "/faults/lose-primary/undo", "nothing looks");
    }

    #[test]
    fn a_kind_that_cannot_see_is_told_how() {
        let mut s = command();
        s.faults[0].confirm = None;
        assert_eq!(refuses(&s, "/faults/lose-primary", "cannot see by itself").label, "has no `confirm:`");
    }

    #[test]
    fn a_fault_lasts() {
        let mut s = scenario();
        s.faults[0].how.hold = HoldDecl::Time(Span::ZERO);
        refuses(&s, "/faults/lose-primary/for", "no time");
        s.faults[0].how.hold = HoldDecl::Until(HoldUntil { until: "recovered".into(), at_most: Span::ZERO });
        refuses(&s, "/faults/lose-primary/for/at_most", "no time");
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(9));
        warns(&s, "/faults/lose-primary/for", "before its objective");
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(10));
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn recovery_is_awaited_long_enough() {
        let mut s = scenario();
        s.recovery = Some(RecoveryDecl { within: Span::secs(19), stable_for: Span::secs(10) });
        let finding = refuses(&s, "/recovery/within", "long enough to decide");
        assert_eq!(finding.help.as_deref(), Some("write `within: 20s` or more"));
        assert_eq!(finding.also[0].0, "/claims/node-loss/rto/max");
        s.faults[0].how.recovery = Some(RecoveryDecl { within: Span::secs(15), stable_for: Span::secs(10) });
        refuses(&s, "/faults/lose-primary/recovery/within", "long enough");
        s.faults[0].how.recovery = Some(RecoveryDecl { within: Span::secs(20), stable_for: Span::secs(10) });
        assert_eq!(found(&s), vec![]);
        s.faults[0].how.recovery = Some(RecoveryDecl { within: Span::secs(10), stable_for: Span::secs(10) });
        refuses(&s, "/faults/lose-primary/recovery/within", "never be shown");
        s.faults[0].how.recovery = None;
        s.recovery = Some(RecoveryDecl { within: Span::secs(60), stable_for: Span::ZERO });
        refuses(&s, "/recovery/stable_for", "not recovery");
    }
}
