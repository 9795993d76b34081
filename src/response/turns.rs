//! Wrong turns: whether they were avoided, and what they cost.

use indexmap::IndexMap;

use super::court::{Base, Court};
use super::observe::{By, observations};
use super::words::clock;
use super::{ExpectationFacts, Turn, TurnFacts};
use crate::base::{At, Id, Span};
use crate::event::Deed;
use crate::plan::{Expected, WrongTurnPlan};

/// Every wrong turn of the plan.
pub(super) fn turns(court: &mut Court<'_>, met: &IndexMap<String, ExpectationFacts>) -> IndexMap<String, TurnFacts> {
    let team = court.team;
    team.wrong_turns.iter().map(|(id, turn)| (id.to_string(), one(court, id, turn, met))).collect()
}

fn one(court: &mut Court<'_>, id: &Id, turn: &WrongTurnPlan, met: &IndexMap<String, ExpectationFacts>) -> TurnFacts {
    let mut facts = TurnFacts {
        turn: Turn::NotObserved,
        why: String::new(),
        what: turn.what.describe(),
        taken: None,
        lost: None,
        by: None,
        teaches: turn.teaches.clone(),
        entries: Vec::new(),
    };
    let from = match court.base(&turn.from, !turn.what.by_machine()) {
        Base::At { when, .. } => when.lo,
        Base::Never(why) => return TurnFacts { why, ..facts },
        Base::NotYet => return facts,
    };
    let end = turn.before.as_ref().and_then(|id| met.get(id.as_str())?.at).map_or(court.seen.until, |at| at.lo);
    let all = observations(court.seen, id, &turn.what, By::default());
    let Some(first) = all.iter().find(|obs| obs.hi() >= from && obs.at.lo <= end) else {
        match court.cannot_say(&turn.what, from, end) {
            Some(why) => facts.why = why,
            None if court.seen.open => {}
            None => (facts.turn, facts.why) = (Turn::Avoided, "nobody took it".to_owned()),
        }
        return facts;
    };
    let taken = first.hi();
    facts.taken = Some(taken);
    facts.by = (!first.machine).then(|| first.source.clone());
    facts.entries.clone_from(&first.entries);
    if let Some((seq, back)) = back_out(court, &turn.what, taken) {
        facts.entries.push(seq);
        facts.lost = Some(back.since(taken));
        (facts.turn, facts.why) = (Turn::BackedOut, format!("taken at {}, taken back {} later", clock(taken), back.since(taken).human()));
    } else {
        let next =
            met.iter().filter_map(|(name, e)| Some((name, e.at.filter(|at| !e.never && at.lo > taken)?.lo))).min_by_key(|(_, at)| *at);
        facts.turn = Turn::Taken;
        facts.lost = next.map(|(_, at)| at.since(taken)).or_else(|| Some(court.seen.until.since(taken)).filter(|lost| *lost > Span::ZERO));
        facts.why = match (next, facts.lost) {
            (Some((name, _)), Some(lost)) => format!("taken at {}; {} passed until {name}", clock(taken), lost.human()),
            (_, Some(lost)) => format!("taken at {}; nothing else was met in the {} that were left", clock(taken), lost.human()),
            (_, None) => format!("taken at {}", clock(taken)),
        };
    }
    facts
}

/// When a step was taken back.
fn back_out(court: &Court<'_>, what: &Expected, taken: At) -> Option<(u64, At)> {
    let Expected::Step(wanted) = what else { return None };
    court.seen.said().find_map(|(stamp, said)| match &said.deed {
        Deed::Step { step, back_out: true } if step == wanted => {
            let at = said.claimed.unwrap_or(stamp.at);
            (at >= taken).then_some((stamp.seq, at))
        }
        _ => None,
    })
}
