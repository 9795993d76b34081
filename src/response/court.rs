//! How an expectation is judged: when counting begins, what was observed, and what can be said where nothing was.

use std::collections::BTreeMap;

use super::blank::{blank, unknown};
use super::observe::{By, Obs, observations, offered};
use super::words::{clock, moment, took};
use super::{Cues, ExpectationFacts, Repeats, Seen, Verdict};
use crate::base::{At, Id, Interval, Span};
use crate::event::TeamEvent;
use crate::plan::{ExpectationPlan, Expected, Mode, Moment, Plan, Point, TeamPlan};

/// When something begins to count.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    /// Then; `root` is when the fault took effect: what comes before is no response.
    At { when: Interval, root: At },
    /// It will not, and why.
    Never(String),
    /// It may still.
    NotYet,
}

/// A judge with what was judged already.
pub(super) struct Court<'a> {
    pub plan: &'a Plan,
    pub team: &'a TeamPlan,
    pub seen: &'a Seen<'a>,
    pub cues: Cues,
    done: BTreeMap<Id, ExpectationFacts>,
    roots: BTreeMap<Id, At>,
    /// What is being judged, so that a circle ends.
    under_way: Vec<Id>,
}

impl<'a> Court<'a> {
    pub fn new(plan: &'a Plan, team: &'a TeamPlan, seen: &'a Seen<'a>) -> Court<'a> {
        Court {
            plan,
            team,
            seen,
            cues: Cues::of(seen.stamps.iter().copied()),
            done: BTreeMap::new(),
            roots: BTreeMap::new(),
            under_way: Vec::new(),
        }
    }

    /// One expectation of the plan.
    pub fn judge(&mut self, id: &Id) -> ExpectationFacts {
        if let Some(done) = self.done.get(id) {
            return done.clone();
        }
        // References were checked: whatever is asked for is there.
        let Some(expected) = self.team.expect.get(id) else { return unknown(id) };
        self.under_way.push(id.clone());
        let facts = self.judged(id, expected);
        self.under_way.pop();
        self.done.insert(id.clone(), facts.clone());
        facts
    }

    fn judged(&mut self, id: &Id, expected: &ExpectationPlan) -> ExpectationFacts {
        let mut facts = blank(expected);
        let (base, root) = match self.base(&expected.from, !expected.what.by_machine()) {
            Base::At { when, root } => (when, root),
            Base::Never(why) => {
                let prompted = matches!(expected.from.after, Point::Prompt(_));
                let untouched = self.plan.mode == Mode::Tabletop && matches!(expected.from.after, Point::Recovered(_) | Point::Undone(_));
                let conditional = prompted || untouched || expected.from.plus > Span::ZERO || expected.unless.is_some();
                facts.verdict = if conditional { Verdict::NotDue } else { Verdict::NotObserved };
                facts.why = why;
                return facts;
            }
            Base::NotYet => return facts,
        };
        self.roots.insert(id.clone(), root);
        facts.base = Some(base);
        facts.due = base.hi.map(|hi| self.due(expected, hi));
        if let Some(why) = self.not_needed(expected, base) {
            (facts.verdict, facts.why) = (Verdict::NotDue, why);
            return facts;
        }
        if expected.what.by_machine() && self.plan.mode == Mode::Tabletop {
            (facts.verdict, facts.why) = (Verdict::NotDue, "tabletop: no fault was touched that could be detected".into());
            return facts;
        }
        let all = observations(self.seen, id, &expected.what, self.by(expected));
        let counted = |obs: &&Obs| obs.hi() >= root && !obs.began_before(root);
        let found: Vec<&Obs> = all.iter().filter(counted).collect();
        if expected.never {
            self.kept_away(expected, &mut facts, found.first().copied());
            return facts;
        }
        match found.split_first() {
            Some((first, more)) => self.met(id, expected, &mut facts, first, more),
            None => self.not_met(expected, &mut facts, all.last(), root),
        }
        facts
    }

    /// By when something is due that begins to count then: what people do by the clock of people.
    fn due(&self, expected: &ExpectationPlan, from: At) -> At {
        let machine = expected.what.by_machine();
        if machine { from + expected.within } else { self.cues.clock.after(from, expected.within, self.seen.until) }
    }

    /// How long something took from then on, by the same clock.
    fn passed(&self, machine: bool, from: At, to: At) -> Span {
        let stood = if machine { Span::ZERO } else { self.cues.clock.stood(from, to, self.seen.until) };
        Span(to.since(from).0.saturating_sub(stood.0))
    }

    /// Whose doing counts.
    fn by(&self, expected: &'a ExpectationPlan) -> By<'a> {
        let role = expected.by.as_deref();
        By { role, gone: role.and_then(|role| self.cues.gone.get(role)).copied() }
    }

    /// When a moment came; `human` where it is counted by the clock of people.
    pub fn base(&mut self, from: &Moment, human: bool) -> Base {
        let seen = self.seen;
        let fault = |id: &Id| seen.faults.get(id.as_str()).copied().unwrap_or_default();
        let missing = |why: String| if seen.open { Base::NotYet } else { Base::Never(why) };
        let exact = |at: Option<At>, why: String| at.map_or_else(|| missing(why), |at| Base::At { when: Interval::exact(at), root: at });
        let found = match &from.after {
            Point::Steady => exact(seen.steady, "steady state was not shown".into()),
            // Nothing bites at a tabletop: its clocks run from the moment that everything was calm.
            Point::Effective(_) if self.plan.mode == Mode::Tabletop => exact(seen.steady, "steady state was not shown".into()),
            Point::Effective(id) => match fault(id).effective {
                Some(when) => Base::At { when, root: when.lo },
                None => missing(format!("{id} did not take effect")),
            },
            Point::Recovered(id) => exact(fault(id).recovered, format!("{id} did not recover")),
            Point::Undone(id) => exact(fault(id).undone, format!("{id} was not undone")),
            Point::Prompt(id) => exact(self.cues.prompts.get(id.as_str()).map(|given| given.at), format!("the prompt {id} was not given")),
            Point::Expectation(id) if self.under_way.contains(id) => Base::Never(format!("{id} is counted from itself")),
            Point::Expectation(id) => {
                let facts = self.judge(id);
                let root = self.roots.get(id).copied();
                match (facts.at, facts.base, root) {
                    (Some(when), _, Some(root)) => Base::At { when, root },
                    // It never came: what follows it is counted from when it was due.
                    (None, Some(base), Some(root)) if facts.verdict == Verdict::Missed => {
                        let due = |at| self.team.expect.get(id).map_or(at, |expected| self.due(expected, at));
                        Base::At { when: Interval { lo: due(base.lo), hi: base.hi.map(due) }, root }
                    }
                    (None, Some(when), Some(root)) if facts.verdict == Verdict::NotDue && self.plan.mode == Mode::Tabletop => {
                        Base::At { when, root }
                    }
                    // Whether and when it came cannot be told; it cannot have been before it began to count.
                    (None, Some(base), Some(root)) if facts.verdict == Verdict::NotObserved && !seen.open => {
                        Base::At { when: Interval { lo: base.lo, hi: None }, root }
                    }
                    _ => missing(format!("{id}: {}", if facts.why.is_empty() { "it did not come" } else { &facts.why })),
                }
            }
        };
        match found {
            Base::At { when, root } => {
                let later = |at| if human { self.cues.clock.after(at, from.plus, seen.until) } else { at + from.plus };
                let when = Interval { lo: later(when.lo), hi: when.hi.map(later) };
                if from.plus > Span::ZERO && when.lo > seen.until {
                    missing("the drill ended before".into())
                } else {
                    Base::At { when, root }
                }
            }
            other => other,
        }
    }

    fn not_needed(&mut self, expected: &ExpectationPlan, base: Interval) -> Option<String> {
        let unless = expected.unless.as_ref().filter(|id| !self.under_way.contains(id))?;
        let at = self.judge(unless).at?;
        (at.hi.unwrap_or(at.lo) <= base.lo).then(|| format!("{unless} was met by then"))
    }

    /// Something was observed.
    fn met(&mut self, id: &Id, expected: &ExpectationPlan, facts: &mut ExpectationFacts, first: &Obs, more: &[&Obs]) {
        let base = facts.base.unwrap_or(Interval::exact(first.at.lo));
        let lo = base.hi.map_or(Span::ZERO, |hi| self.passed(first.machine, hi, first.at.lo));
        let took_it = (lo, self.passed(first.machine, base.lo, first.hi()));
        facts.out_of_order = first.hi() < base.lo;
        facts.at = Some(first.at);
        facts.took = Some(took_it);
        facts.source = Some(first.source.clone());
        facts.who = Some(first.who.clone());
        facts.machine = first.machine;
        facts.received = first.received;
        facts.starts = first.starts;
        facts.entries.clone_from(&first.entries);
        facts.hinted = self.hinted(id, first.at.lo);
        facts.paused = if first.machine { Span::ZERO } else { self.cues.clock.stood(base.lo, first.hi(), self.seen.until) };
        if expected.then_every.is_none() && !first.machine {
            facts.also = more.iter().filter(|obs| obs.who != first.who).map(|obs| obs.who.clone()).collect();
            facts.also.dedup();
        }
        let from = moment(&expected.from);
        let after = if facts.out_of_order { format!("before {from}") } else { format!("{} after {from}", took(took_it)) };
        let limit = expected.within.human();
        (facts.verdict, facts.why) = if facts.out_of_order {
            (Verdict::OnTime, format!("out of order: it came {after}"))
        } else if took_it.1 <= expected.within {
            (Verdict::OnTime, format!("{after}, within {limit}"))
        } else if took_it.0 > expected.within {
            (Verdict::Late, format!("{after}; expected within {limit}"))
        } else {
            (Verdict::NotObserved, format!("{after}, which may be under or over {limit}; ask the source more often to decide it"))
        };
        if facts.hinted && facts.verdict == Verdict::OnTime {
            (facts.verdict, facts.why) = (Verdict::Late, format!("{}, but only after a hint", facts.why));
        }
        if let Some(every) = expected.then_every {
            self.repeated(every, facts, first, more);
        }
        if facts.paused > Span::ZERO {
            facts.why = format!("{}; the clock of people stood still for {} of it, which do not count", facts.why, facts.paused.human());
        }
        if let (Some(role), Some(gone)) = (&expected.by, self.by(expected).gone)
            && first.source != *role
        {
            facts.why = format!("{}; {role} was unavailable from {} on", facts.why, clock(gone));
        }
    }

    /// What is expected again and again is expected until the last fault is undone.
    fn repeated(&self, every: Span, facts: &mut ExpectationFacts, first: &Obs, more: &[&Obs]) {
        let undone: Option<Vec<At>> =
            self.plan.faults.keys().map(|id| self.seen.faults.get(id.as_str()).and_then(|fault| fault.undone)).collect();
        let end = undone.and_then(|all| all.into_iter().max()).unwrap_or(self.seen.until).min(self.seen.until);
        let mut repeats = Repeats { due: 0, kept: 0, missed: Vec::new() };
        let mut last = first.hi();
        let mut rest = more.iter().peekable();
        // Only people say something again and again.
        let next_due = |last: At| self.cues.clock.after(last, every, self.seen.until);
        while every > Span::ZERO && next_due(last) <= end {
            let due = next_due(last);
            repeats.due += 1;
            let next = rest.next_if(|obs| obs.hi() <= due);
            if let Some(obs) = next {
                repeats.kept += 1;
                last = obs.hi();
                facts.entries.extend(&obs.entries);
            } else {
                repeats.missed.push(due);
                last = due;
            }
        }
        if let Some(missed) = repeats.missed.first() {
            let n = repeats.missed.len();
            facts.verdict = Verdict::Missed;
            facts.why = format!("{}; then {n} of {} repeats missed, the first due at {}", facts.why, repeats.due, clock(*missed));
        } else if repeats.due > 0 {
            facts.why = format!("{}; then {} of {} repeats in time", facts.why, repeats.kept, repeats.due);
        }
        facts.repeats = Some(repeats);
    }

    /// Nothing was observed.
    fn not_met(&self, expected: &ExpectationPlan, facts: &mut ExpectationFacts, early: Option<&Obs>, root: At) {
        let limit = expected.within.human();
        if let Some(early) = early.filter(|early| early.machine) {
            // It fires already: whether it would have is not shown.
            facts.entries.clone_from(&early.entries);
            let text = format!("it was firing before {}: nothing is shown of how the fault is detected", moment(&expected.from));
            (facts.verdict, facts.why) = (Verdict::NotObserved, text);
            return;
        }
        let Some(due) = facts.due else {
            (facts.verdict, facts.why) = (Verdict::NotObserved, format!("it is not known when {} was", moment(&expected.from)));
            return;
        };
        if let Some(why) = self.cannot_say(&expected.what, root, due) {
            (facts.verdict, facts.why) = (Verdict::NotObserved, why);
            return;
        }
        if let Expected::Handoff { to } = &expected.what
            && let Some(gone) = self.cues.gone.get(to).filter(|gone| **gone < due)
        {
            (facts.verdict, facts.why) = (Verdict::NotDue, format!("{to} was unavailable from {} on", clock(*gone)));
            return;
        }
        if due > self.seen.until {
            if !self.seen.open {
                let why = self.seen.cut.as_deref().unwrap_or("the drill ended");
                (facts.verdict, facts.why) = (Verdict::NotObserved, format!("{why} at {}, before it was due", clock(self.seen.until)));
            }
            return;
        }
        facts.verdict = Verdict::Missed;
        facts.why = match (&expected.what, early) {
            (_, Some(early)) => format!("only at {}, before the fault took effect: that is no response to it", clock(early.hi())),
            (Expected::Handoff { to }, None) => match offered(self.seen, to, self.by(expected)) {
                Some(at) => format!("asked at {}, and {to} never accepted", clock(at)),
                None => format!("nobody asked within {limit}"),
            },
            _ => format!("not within {limit}, nor later"),
        };
        if let (Some(role), Some(gone)) = (&expected.by, self.by(expected).gone) {
            facts.why = format!("{}; {role} was unavailable from {} on, and anybody might have done it", facts.why, clock(gone));
        }
    }

    /// What must not happen.
    fn kept_away(&self, expected: &ExpectationPlan, facts: &mut ExpectationFacts, first: Option<&Obs>) {
        let (Some(due), Some(base)) = (facts.due, facts.base) else { return };
        if let Some(first) = first.filter(|first| first.at.lo <= due) {
            facts.at = Some(first.at);
            facts.source = Some(first.source.clone());
            facts.who = Some(first.who.clone());
            facts.machine = first.machine;
            facts.entries.clone_from(&first.entries);
            (facts.verdict, facts.why) = (Verdict::Missed, format!("it happened at {}, and must not", clock(first.hi())));
        } else if let Some(why) = self.cannot_say(&expected.what, base.lo, due) {
            (facts.verdict, facts.why) = (Verdict::NotObserved, why);
        } else if due > self.seen.until {
            if !self.seen.open {
                let why = self.seen.cut.as_deref().unwrap_or("the drill ended");
                (facts.verdict, facts.why) =
                    (Verdict::NotObserved, format!("{why} at {}, before its time was over", clock(self.seen.until)));
            }
        } else {
            (facts.verdict, facts.why) = (Verdict::OnTime, format!("it did not happen within {}", expected.within.human()));
        }
    }

    /// Why nothing can be said of what was not observed.
    pub fn cannot_say(&self, what: &Expected, from: At, to: At) -> Option<String> {
        let mut asked: Vec<(&Id, Span)> = self.team.sources().collect();
        match what {
            Expected::Alert { source, .. } => {
                asked.retain(|(id, _)| source.as_ref().is_none_or(|source| source == *id));
                if asked.is_empty() {
                    return Some("no source of alerts is declared".to_owned());
                }
            }
            _ if self.team.unattended => return Some("nobody took part".to_owned()),
            // A page may also be taken where it was sent from.
            Expected::Ack { .. } => {
                if let Some(deaf) = self.seen.deaf() {
                    return Some(deaf);
                }
                asked.retain(|(id, _)| self.team.tells_of_acks(id));
            }
            _ => return self.seen.deaf(),
        }
        let to = to.min(self.seen.until);
        asked.into_iter().find_map(|(id, every)| {
            // Three looks without an answer are a gap, as with guards.
            let gap = |(since, until, why): (At, At, String)| {
                let missing = until.min(to).since(since.max(from));
                (missing > every.times(3) || (missing > Span::ZERO && since <= from && until >= to)).then_some(why)
            };
            self.seen.dark(id.as_str()).into_iter().find_map(gap).map(|why| format!("{id} could not be asked all the time: {why}"))
        })
    }

    /// Whether help was given before.
    fn hinted(&self, id: &Id, at: At) -> bool {
        self.seen.stamps.iter().any(|stamp| match &stamp.event {
            TeamEvent::Hint { id: hint, .. } => {
                stamp.at < at && self.team.hints.get(hint.as_str()).is_some_and(|hint| hint.unless.as_ref() == Some(id))
            }
            _ => false,
        })
    }
}
