//! One fault's episode: its instants, when the service was back, and every time quantity by its name (design 1.5, 1.6).

use indexmap::IndexMap;

use crate::base::{At, Id, Interval, Span};
use crate::fold::steady::{Point, Series, Stable, State, stable_up};
use crate::plan::FaultPlan;

use super::facts::{Episode, Range};
use super::outage::{Run, Times, down, intersection, union, within};
use super::read::{Item, Read};
use super::words::between;

/// How the service that some probes stand for came through one fault.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    /// From when on it was stably up; clock stopped at an abort and at the next fault.
    pub stable: Stable,
    /// First onset, over all probes, with bounds; `None` when no probe failed before the undo.
    pub onset: Option<Interval>,
    /// When the first bad sample was sent.
    pub onset_point: Option<At>,
    /// First good sample after the onset.
    pub first_up: Option<At>,
    /// Bad runs after `first_up` and before it was stably up.
    pub flaps: u32,
    /// It was stably up before the undo began.
    pub self_recovered: Option<bool>,
    /// It failed again, later, before the undo began.
    pub again: Option<At>,
    /// Some of our own samples were lost where an outage could hide.
    pub doubt: bool,
    /// An edge of the outage was widened because the prober was in doubt.
    pub widened: bool,
    /// Which of the probes have no sample at all.
    pub blind: Vec<String>,
    /// When watching for this fault ended.
    pub until: At,
    /// Time quantities by name.
    pub times: IndexMap<String, Range>,
}

/// The measured outages per probe.
pub(super) type Outages<'a> = IndexMap<&'a str, Vec<Run>>;

/// How the service that `probes` stand for came through the fault. `None` when the fault was never injected.
pub(super) fn recovery(read: &Read<'_>, outages: &Outages<'_>, item: &Item<'_>, probes: &[Id], stable_for: Span) -> Option<Recovery> {
    let command = item.command?;
    // Without a confirmed effect its clock starts at the call.
    let effect = item.effective.unwrap_or(Interval::exact(item.acknowledged.unwrap_or(command)));
    let effect_hi = effect.hi.unwrap_or(effect.lo);
    let until = read.watched_until(command);
    let impact_end = item.undo_started.unwrap_or(until).min(until);
    let watches: Vec<_> = probes.iter().filter_map(|id| read.probes.get(id.as_str()).map(|w| (id.as_str(), w))).collect();
    let series: Vec<Series> = watches.iter().map(|(_, w)| w.series.until(until)).collect();
    let series: Vec<&Series> = series.iter().collect();
    let (first_bad, first_silent, last_silent) = firsts(&series, (command, effect.lo), impact_end);
    // A sample that was lost may have been the first bad one, or not: both readings are asked.
    let early = first_silent.unwrap_or(At(u64::MAX)).min(first_bad.unwrap_or(effect_hi));
    let late = first_bad.unwrap_or_else(|| last_silent.unwrap_or_default().max(effect_hi));
    let (from_early, from_late) = (stable_up(&series, early, stable_for), stable_up(&series, late, stable_for));
    let stable = Stable { when: Interval { lo: from_early.when.lo, hi: from_late.when.hi }, point: from_late.point };
    let mut found = Recovery {
        stable,
        onset: None,
        onset_point: first_bad,
        first_up: None,
        flaps: 0,
        self_recovered: None,
        again: None,
        doubt: first_bad.is_none() && first_silent.is_some(),
        widened: false,
        blind: probes.iter().filter(|id| read.probes.get(id.as_str()).is_none_or(|w| w.ends().is_none())).map(Id::to_string).collect(),
        until,
        times: IndexMap::new(),
    };
    found.look_at_outages(&watches.iter().map(|(id, _)| &outages[*id][..]).collect::<Vec<_>>(), impact_end);
    found.self_recovered = self_recovered(&stable, item);
    found.name_times(effect, item);
    found.name_outages(read, outages, &watches.iter().map(|(id, _)| *id).collect::<Vec<_>>(), item);
    if stable.when.hi.is_none() {
        found.restore_after_abort(&watches.iter().map(|(_, w)| &w.series).collect::<Vec<_>>(), item, stable_for);
    }
    Some(found)
}

/// The first bad sample that this fault can have to do with; first and last unknown ones. What was over before the effect can have begun is an
/// outage of something else: the one that the fault causes comes later, and must not be taken for a second failure after a recovery from that.
fn firsts(series: &[&Series], (command, effect): (At, At), end: At) -> (Option<At>, Option<At>, Option<At>) {
    let (mut bad, mut first, mut last): (Option<At>, Option<At>, Option<At>) = (None, None, None);
    for one in series {
        let up = one.points().iter().filter(|p| p.state == State::Ok && p.done <= effect).map(|p| p.sent).max();
        let over = |p: &Point| p.done <= effect && up.is_some_and(|up| p.sent <= up);
        // One in flight at the call counts.
        for point in one.points().iter().filter(|p| p.done >= command && p.sent < end && !over(p)) {
            match point.state {
                State::Ok => {}
                State::Bad => bad = Some(bad.map_or(point.sent, |b| b.min(point.sent))),
                State::Unknown => {
                    first = Some(first.map_or(point.sent, |f| f.min(point.sent)));
                    last = last.max(Some(point.sent));
                }
            }
        }
    }
    (bad, first, last)
}

fn self_recovered(stable: &Stable, item: &Item<'_>) -> Option<bool> {
    item.effective?;
    match (item.undo_started, stable.when.hi) {
        (None, Some(_)) => Some(true),
        (None, None) => None,
        (Some(undo), Some(hi)) if hi <= undo => Some(true),
        (Some(undo), _) if stable.when.lo >= undo => Some(false),
        (Some(_), _) => None,
    }
}

impl Recovery {
    fn look_at_outages(&mut self, lists: &[&[Run]], impact_end: At) {
        let Some(start) = self.onset_point else { return };
        let decided = self.stable.when.hi.unwrap_or(At(u64::MAX));
        let mut back = Some(At(0));
        for list in lists {
            let begin = list.partition_point(|run| run.outage.recovery.lo < start);
            let mine = &list[begin..list.partition_point(|run| run.first < impact_end).max(begin)];
            let Some((first, more)) = mine.split_first() else { continue };
            let (lo, hi) = (first.outage.onset.lo, first.outage.onset.hi);
            self.onset = Some(self.onset.map_or(first.outage.onset, |o| Interval { lo: o.lo.min(lo), hi: o.hi.min(hi) }));
            // Of several, all must have come back.
            back = back.and_then(|back| Some(back.max(first.next_up?)));
            self.flaps += more.iter().filter(|run| run.first < decided).count() as u32;
            self.widened |= mine.iter().any(|run| run.outage.widened && run.first < decided);
            let later = more.iter().find(|run| run.first >= decided).map(|run| run.first);
            self.again = [self.again, later].into_iter().flatten().min();
        }
        self.first_up = back.filter(|back| *back > At(0));
    }

    fn name_times(&mut self, effect: Interval, item: &Item<'_>) {
        let Some(command) = item.command else { return };
        let t0 = effect.hi.unwrap_or(effect.lo);
        let stable = self.stable.when;
        let mut name = |text: &str, range: Range| {
            self.times.insert(text.to_owned(), range);
        };
        if item.effective.is_some() {
            name("time_to_effect", between(Interval::exact(command), effect, None));
            name("recovery_time", between(effect, stable, self.stable.point.map(|p| p.since(t0))));
        }
        name("command_to_recovery", between(Interval::exact(command), stable, self.stable.point.map(|p| p.since(command))));
        if let Some(onset) = self.onset {
            let point = self.stable.point.zip(self.onset_point).map(|(b, f)| b.since(f));
            if item.effective.is_some() {
                name("time_to_impact", between(effect, onset, self.onset_point.map(|f| f.since(t0))));
            }
            name("failover_time", between(onset, stable, point));
            name("unstable_span", between(onset, stable, point));
        }
        if let (Some(undo), Some(done)) = (item.undo_started, item.undone) {
            name("undo_time", between(Interval::exact(undo), done, None));
        }
        if let (Some(undo), Some(false)) = (item.undo_started, self.self_recovered) {
            name("restore_time", between(Interval::exact(undo), stable, self.stable.point.map(|p| p.since(undo))));
        }
    }

    /// The outage per service: as long as any probe was down, and as long as all were.
    fn name_outages(&mut self, read: &Read<'_>, outages: &Outages<'_>, probes: &[&str], item: &Item<'_>) {
        let (Some(command), Some(onset)) = (item.command, self.onset) else { return };
        let from = command.min(onset.lo);
        let to = self.stable.when.hi.map_or(self.until.min(read.end), |hi| hi.min(self.until));
        let mut any: (Times, Times) = Default::default();
        let mut all: Option<(Times, Times)> = None;
        let mut points = Span::ZERO;
        for id in probes {
            let (sure, may) = down(&read.probes[*id], &outages[*id]);
            any = (union([any.0, sure.clone()].concat()), union([any.1, may.clone()].concat()));
            all = Some(match all {
                None => (sure, may),
                Some((s, m)) => (intersection(&s, &sure), intersection(&m, &may)),
            });
            let mine = outages[*id].iter().filter(|run| run.first >= from && run.first < to);
            points = mine.filter_map(|run| run.outage.point).fold(points, |sum, p| sum + p);
        }
        let open = self.stable.when.hi.is_none();
        let total =
            |(sure, may): &(Times, Times)| Range { lo: within(sure, from, to), hi: (!open).then(|| within(may, from, to)), point: None };
        let single = probes.len() == 1 && !open;
        self.times.insert("total_down".into(), Range { point: single.then_some(points), ..total(&any) });
        if let (true, Some(all)) = (probes.len() > 1, &all) {
            self.times.insert("total_down_all".into(), total(all));
        }
        let first = probes.iter().filter_map(|id| outages[*id].iter().map(|r| &r.outage).find(|o| o.onset.lo >= onset.lo));
        if let Some(first) = first.min_by_key(|o| o.onset.lo) {
            self.times.insert("outage".into(), Range { lo: first.lo, hi: first.hi, point: first.point });
        }
    }

    /// The clock was stopped before it was up again: what came later is the undo's doing.
    fn restore_after_abort(&mut self, series: &[&Series], item: &Item<'_>, stable_for: Span) {
        if let (Some(undo), true) = (item.undo_started, self.onset.is_some()) {
            let late = stable_up(series, undo, stable_for);
            let range = between(Interval::exact(undo), late.when, late.point.map(|p| p.since(undo)));
            self.times.insert("restore_time".into(), range);
        }
    }
}

/// The facts of one episode.
pub(super) fn episode(read: &Read<'_>, id: &str, fault: &FaultPlan, item: Option<&Item<'_>>, recovery: Option<&Recovery>) -> Episode {
    let nothing = Item { phase: "planned", ..Item::default() };
    let item = item.unwrap_or(&nothing);
    let call = item.command.unwrap_or_default();
    let (from, to) = (item.effective.map_or(call, |effect| effect.lo), read.watched_until(call));
    let probes = fault.recovered_by.iter().filter_map(|p| read.probes.get(p.as_str()));
    let slowest = probes.map(|watch| if item.command.is_some() { watch.detectable(from, to) } else { watch.plan.gap() }).max();
    let why_not = item
        .not_run
        .map(str::to_owned)
        .or_else(|| item.not_confirmed.map(str::to_owned))
        .or_else(|| item.failed.map(|e| format!("it could not be injected: {e}")))
        .or_else(|| (item.command.is_none()).then(|| format!("{id} was never injected")));
    Episode {
        kind: fault.kind.clone(),
        phase: if item.phase.is_empty() { "planned".into() } else { item.phase.into() },
        targets: item.targets.to_vec(),
        summary: item.summary.to_owned(),
        command: item.command,
        acknowledged: item.acknowledged,
        effective: item.effective,
        effect_seen: item.seen.map(str::to_owned),
        undo_started: item.undo_started,
        undone: item.undone,
        first_up: recovery.and_then(|r| r.first_up),
        stable_up: recovery.map(|r| r.stable.when),
        flaps: recovery.map_or(0, |r| r.flaps),
        self_recovered: recovery.and_then(|r| r.self_recovered),
        why_not,
        by_hand: item.undo.map(|u| u.by_hand.clone()),
        min_detectable: slowest.unwrap_or_default(),
        times: recovery.map(|r| r.times.clone()).unwrap_or_default(),
    }
}
