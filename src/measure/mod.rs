//! What a run means: a pure function from plan and journal to [`facts::Facts`], every number with its bounds. Definitions are those of
//! design section 1; recovery is [`crate::fold::steady`]'s, the same that the drill itself waits for. It must never know scoring or
//! rendering.

pub mod facts;

mod arrival;
mod by_second;
mod claim;
mod detected;
mod doubt;
mod episode;
mod gaps;
pub mod intervals;
mod latency;
mod ledger;
#[cfg(test)]
mod missing_tests;
mod outage;
mod prober;
mod read;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod sample_journal;
mod shift;
mod timeline;
mod told;
mod validity;
mod watch;
mod words;

use indexmap::IndexMap;

use crate::base::{At, Span};
use crate::event::{ClockAnchor, Entry, Event, Role};
use crate::plan::Plan;
use crate::response::{Seen, response};
use by_second::Subject;
use episode::{Outages, Recovery};
use facts::{Counts, Facts, LedgerFacts, Outage, Owed, ProbeFacts, RunFacts, SteadyAfter};
use latency::{Measured, Phase};
use ledger::Ledger;
use prober::Taint;
use read::Read;
use watch::Watch;

/// Everything measured in one run. The same plan and journal always give the same facts.
pub fn facts(plan: &Plan, entries: &[Entry]) -> Facts {
    let read = Read::new(plan, entries);
    let stamps = Seen::stamps_of(entries);
    let team = response(plan, &Seen::of(entries, &stamps));
    let taint = prober::taint(&read);
    let outages: Outages<'_> = read.probes.iter().map(|(id, watch)| (*id, outage::outages(watch, &read.stalls))).collect();
    let recoveries = recoveries(&read, &outages);
    let phases = latency::phases(&read, &recoveries);
    let measured = measured(&read, &phases, &taint);
    let ledgers: IndexMap<String, Ledger> = read
        .probes
        .iter()
        .filter(|(_, watch)| watch.plan.ledger)
        .map(|(id, watch)| ((*id).to_owned(), ledger::ledger(&read, id, watch, &recoveries)))
        .collect();
    let subject = validity::subject(&read);
    let of_run = validity::of_run(&read, &taint, &subject);
    let court =
        claim::Court { read: &read, outages: &outages, recoveries: &recoveries, phases: &measured, ledgers: &ledgers, taint: &taint };
    let claims = claim::claims(&court, of_run.first().map(String::as_str));
    let ledgers: IndexMap<String, LedgerFacts> = ledgers.into_iter().map(|(id, ledger)| (id, ledger.facts)).collect();
    let episodes = plan.faults.iter().map(|(id, fault)| {
        let found = recoveries.get(id.as_str());
        let mut episode = episode::episode(&read, id.as_str(), fault, read.items.get(id.as_str()), found);
        let onset = found.and_then(|found| found.onset);
        if let Some(range) = onset.and_then(|onset| detected::impact_to_detect(plan, &team, id.as_str(), onset)) {
            episode.times.insert("impact_to_detect".into(), range);
        }
        (id.to_string(), episode)
    });
    Facts {
        run: run(&read),
        validity: validity::validity(&read, &taint, of_run),
        subject,
        episodes: episodes.collect(),
        guards: guards(&read),
        probes: read
            .probes
            .iter()
            .map(|(id, w)| ((*id).to_owned(), probe(id, (w, read.first_call().unwrap_or_default()), &outages, &phases, &measured, &taint)))
            .collect(),
        timeline: timeline::timeline(&read, &recoveries, &ledgers),
        team,
        ledgers,
        claims,
        restore: restore(&read),
        steady_before: entries.iter().find_map(|e| match &e.event {
            Event::SteadyShown { since, summary } => Some((*since, summary.clone())),
            _ => None,
        }),
        steady_after: steady_after(&read),
        owed: owed(&read),
        left_to: read.items.iter().filter_map(|(id, i)| i.left_to.map(|who| ((*id).to_owned(), who.to_owned()))).collect(),
        prober: prober::health(&read, &taint),
    }
}

/// Each probe in each phase.
fn measured(read: &Read<'_>, phases: &[Phase], taint: &Taint) -> IndexMap<(String, String), Measured> {
    let mut measured = IndexMap::new();
    for (id, watch) in &read.probes {
        let subject = Subject::new(id, watch, read.plan.steady.probes.get(*id), taint, phases);
        for phase in phases {
            let doubt = phase.times.iter().map(|(from, to)| taint.share(id, *from, *to)).fold(0.0, f64::max);
            let mut found = latency::measure(watch, phase, doubt);
            by_second::describe(&mut found.facts, &subject, taint, phase);
            measured.insert(((*id).to_owned(), phase.name.clone()), found);
        }
    }
    measured
}

fn recoveries<'a>(read: &Read<'a>, outages: &Outages<'_>) -> IndexMap<&'a str, Recovery> {
    let plan = read.plan;
    let one = |(id, fault): (&'a crate::base::Id, &'a crate::plan::FaultPlan)| {
        let item = read.items.get(id.as_str())?;
        Some((id.as_str(), episode::recovery(read, outages, item, &fault.recovered_by, fault.stable_for)?))
    };
    plan.faults.iter().filter_map(one).collect()
}

fn run(read: &Read<'_>) -> RunFacts {
    let mut facts = RunFacts {
        id: String::new(),
        firedrill: String::new(),
        plan_digest: String::new(),
        boot_id: String::new(),
        start_mono_ns: 0,
        started_at: String::new(),
        outcome: None,
        end: read.end,
        aborted: read.abort.as_ref().map(|(_, why)| why.clone()),
        could_not_start: could_not_start(read.entries),
        taken_over: None,
        calibration: None,
    };
    let mut first: Option<(&ClockAnchor, Span)> = None;
    for entry in read.entries {
        match &entry.event {
            Event::RunStarted { firedrill, run, plan_digest, .. } => {
                facts.id.clone_from(run);
                facts.firedrill.clone_from(firedrill);
                facts.plan_digest = plan_digest.to_string();
            }
            Event::Anchor(anchor) if first.is_none() => first = Some((anchor, Span(entry.at.0))),
            Event::TakenOver { by, .. } => facts.taken_over = Some(by.clone()),
            Event::Calibrated(calibrated) => facts.calibration = Some(calibrated.clone()),
            Event::RunFinished { outcome } => facts.outcome = Some(*outcome),
            _ => {}
        }
    }
    if let Some((anchor, since)) = first {
        facts.boot_id.clone_from(&anchor.boot_id);
        facts.start_mono_ns = anchor.mono_ns.saturating_sub(since.0);
        facts.started_at.clone_from(&anchor.wall);
    }
    facts
}

/// What ended the run before any fault was armed, when it was the drill itself that could not go on: not a person, a signal or a guard.
fn could_not_start(entries: &[Entry]) -> Option<String> {
    for entry in entries {
        match &entry.event {
            Event::AbortRequested { by, reason } => return (by == "start").then(|| reason.clone()),
            Event::InjectFailed { id, error } => return Some(format!("{id}: failed to {error}")),
            Event::Armed { role: Role::Fault, .. } | Event::GuardBreached { .. } | Event::TakenOver { .. } => return None,
            Event::JournalPoisoned { .. } | Event::RunFinished { .. } => return None,
            _ => {}
        }
    }
    None
}

fn owes(phase: &str) -> bool {
    !matches!(phase, "undone" | "left_to" | "not_run" | "planned")
}

fn guards(read: &Read<'_>) -> IndexMap<String, Option<String>> {
    let mut guards: IndexMap<String, Option<String>> = read.plan.guards.keys().map(|id| (id.to_string(), None)).collect();
    for entry in read.entries {
        if let Event::GuardBreached { id, why } = &entry.event {
            guards.insert(id.clone(), Some(why.clone()));
        }
    }
    guards
}

fn restore(read: &Read<'_>) -> IndexMap<String, (String, String)> {
    let ended = read.entries.iter().filter_map(|e| match &e.event {
        Event::Restored { id, result, detail, .. } => Some((id.clone(), (result.clone(), detail.clone()))),
        _ => None,
    });
    ended.collect()
}

fn steady_after(read: &Read<'_>) -> SteadyAfter {
    let last = read.entries.iter().rev().find_map(|e| match &e.event {
        Event::SteadyAfter { since } => Some(SteadyAfter::Held(*since)),
        Event::NotSteadyAfter { why } => Some(SteadyAfter::Missed(why.clone())),
        _ => None,
    });
    last.unwrap_or(SteadyAfter::NotReached)
}

fn owed(read: &Read<'_>) -> Vec<Owed> {
    let items = read.items.iter().filter(|(_, i)| owes(i.phase));
    items
        .filter_map(|(id, item)| {
            let undo = item.undo?.clone();
            Some(Owed { id: (*id).to_owned(), targets: item.targets.to_vec(), since: item.armed, undo, tried: item.tried.clone() })
        })
        .collect()
}

fn probe(
    id: &str,
    (watch, since): (&Watch<'_>, At),
    outages: &Outages<'_>,
    phases: &[Phase],
    measured: &IndexMap<(String, String), Measured>,
    taint: &Taint,
) -> ProbeFacts {
    let mut samples = Counts::default();
    watch.rows.iter().for_each(|row| latency::tally(&mut samples, row));
    // Numbers without a record are our own failure.
    watch.quiet.iter().for_each(|run| latency::quietly(&mut samples, run.count));
    let missing = watch.numbers().saturating_sub(samples.planned);
    samples.planned += missing;
    samples.local += missing;
    let of = |phase: &Phase| measured.get(&(id.to_owned(), phase.name.clone())).map(|m| (phase.name.clone(), m.facts.clone()));
    let phases: IndexMap<_, _> = phases.iter().filter_map(of).collect();
    let way = arrival::way(phases.get("before"));
    ProbeFacts {
        kind: watch.plan.kind.clone(),
        control: watch.plan.control,
        interval: watch.interval,
        timeout: watch.plan.timeout,
        min_detectable: watch.detectable(since, At(u64::MAX)),
        valid: phases.values().all(|p| !p.tainted),
        samples,
        served_by: latency::served_by(watch),
        outages: outages[id]
            .iter()
            .map(|run| Outage { arrival: way.and_then(|way| arrival::bounds(run, way)), ..run.outage.clone() })
            .collect(),
        phases,
        seconds: latency::seconds(watch, id, taint),
    }
}

#[cfg(test)]
mod tests;
