//! What can be said of a drill's faults before anything runs: targets found and counted, what is done and how it is undone. Only looks.

use serde::Serialize;
use serde_json::Value;

use super::run::own_exe;
use super::runtime;
use crate::base::{Id, Span};
use crate::engine::finish::cx_for;
use crate::fault::{self, Claims, Privilege, Resource, Scene, host};
use crate::journal::Registry;
use crate::plan::pins::names;
use crate::plan::{FaultPlan, Plan};
use crate::policy;
use crate::sys::{Clock, Cx};

/// What is known of one fault.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Foreseen {
    /// Its kind.
    pub kind: String,
    /// The machine on which it acts, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// What it hits, as it was found; or, where the drill starts that itself, by its name.
    pub targets: Vec<String>,
    /// What AWS itself says it would hit, where it was asked (`plan --resolve`): a choice by chance is made anew by the drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Vec<String>>,
    /// Whether that is known only once the drill has started what it names.
    pub late: bool,
    /// The blast radius: how many are hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// … of how many of that sort, where that can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<usize>,
    /// … as a share, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What is done to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub does: Option<String>,
    /// The commands that do it; none where firedrill acts by itself.
    pub runs: Vec<String>,
    /// How long undoing and looking usually take; a declared undo is the scenario's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_usually_takes: Option<Span>,
    /// The line that undoes it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// The state that was captured, and that an undo brings back.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub captured: Value,
    /// What nobody else on this machine may touch meanwhile.
    pub claims: Vec<Resource>,
    /// What it needs from the machine.
    pub needs: Vec<Need>,
    /// Why a run could not start, as things are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Something that a fault needs.
#[derive(Debug, Clone, Serialize)]
pub struct Need {
    /// What, in words.
    pub what: String,
    /// Whether it is here.
    pub here: bool,
}

/// Looks at every fault of a plan.
pub fn foresee(plan: &Plan) -> Vec<(Id, Foreseen)> {
    let cx = cx_for(plan, "preview", &std::env::temp_dir(), own_exe(), Clock::start());
    let reach = policy::reach_of(plan);
    let look = |(id, fault): (&Id, &FaultPlan)| {
        let mut told = there(plan, id, fault, &cx).unwrap_or_else(|| one(plan, fault, &cx));
        if let Some(reach) = reach.iter().find(|reach| reach.fault == *id) {
            told.count = told.count.or(reach.count);
            told.population = told.population.or(reach.population);
        }
        told.percent = match (told.count, told.population) {
            (Some(count), Some(all)) if all > 0 => Some(100.0 * count as f64 / all as f64),
            _ => None,
        };
        (id.clone(), told)
    };
    plan.faults.iter().map(look).collect()
}

/// What is known of a fault on another machine: that machine is asked.
fn there(plan: &Plan, id: &Id, fault: &FaultPlan, cx: &Cx) -> Option<Foreseen> {
    let on = fault.on.as_ref()?;
    let (spec, kind) = (host::spec_of(id, fault, plan)?, fault::by_kind(host::KIND)?);
    let mut told = Foreseen { kind: fault.kind.clone(), on: Some(format!("{} ({})", on.host, on.how.place())), ..Foreseen::default() };
    told.undo_usually_takes = Some(host::undo_takes(&on.how));
    match runtime().map(|runtime| runtime.block_on(kind.prepare(&spec, Scene { cx, plan }))) {
        Ok(Ok(found)) => {
            told.count = Some(found.targets.len());
            told.population = found.population;
            told.by_hand = kind.by_hand(&found.undo).ok();
            let there: Option<host::There> = serde_json::from_value(found.undo).ok();
            if let Some(there) = there {
                told.runs = fault::by_kind(&fault.kind).map(|kind| kind.runs(&fault.spec, &there.told.undo)).unwrap_or_default();
                // What is not there was refused when it was prepared.
                told.needs = there.told.needs.iter().map(|need| Need { what: need.to_string(), here: true }).collect();
                told.captured = there.told.undo;
            }
            (told.targets, told.claims, told.does) = (found.targets, found.claims, Some(found.summary));
        }
        Ok(Err(error)) => told.trouble = Some(format!("failed to {error}")),
        Err(error) => told.trouble = Some(format!("failed to look for its targets: {error}")),
    }
    Some(told)
}

fn one(plan: &Plan, fault: &FaultPlan, cx: &Cx) -> Foreseen {
    let mut told = Foreseen { kind: fault.kind.clone(), ..Foreseen::default() };
    let Some(kind) = fault::by_kind(&fault.kind) else { return told };
    told.needs = kind.needs(&fault.spec).iter().map(|need: &Privilege| Need { what: need.to_string(), here: need.is_here() }).collect();
    told.claims = kind.claims(&fault.spec);
    told.undo_usually_takes = Some(kind.undo_takes());
    let named = |key: &str| fault.spec.get(key).and_then(Value::as_str).map(str::to_owned);
    if let Some(target) = named("target") {
        told.late = true;
        told.targets = plan.targets.get(target.as_str()).map(|t| t.among.iter().map(Id::to_string).collect()).unwrap_or_default();
        return told;
    }
    if let Some(id) = named("system") {
        told.late = true;
        told.targets = vec![id];
        return told;
    }
    if let Some(id) = named("proxy") {
        told.late = true;
        told.targets = plan.proxies.get(id.as_str()).map(|p| format!("proxy {id} ({} → {})", p.listen, p.upstream)).into_iter().collect();
        return told;
    }
    let spec = cx.fill_value(&fault.spec);
    let found = runtime().map(|runtime| runtime.block_on(kind.prepare(&spec, Scene { cx, plan })));
    match found {
        Ok(Ok(found)) => {
            told.count = (!fault.kind.starts_with("rehearse.")).then_some(found.targets.len());
            told.population = found.population;
            told.runs = kind.runs(&spec, &found.undo);
            told.by_hand = if fault.undo.is_none() { kind.by_hand(&found.undo).ok() } else { None };
            let holder = Claims::of(Registry::here(), &cx.run, &cx.run_dir).holder(&found.claims);
            told.trouble = holder.map(|holder| format!("failed to claim its target: {holder}"));
            (told.targets, told.claims, told.does, told.captured) = (found.targets, found.claims, Some(found.summary), found.undo);
        }
        Ok(Err(error)) => told.trouble = Some(format!("failed to {error}")),
        Err(error) => told.trouble = Some(format!("failed to look for its targets: {error}")),
    }
    told
}

impl Foreseen {
    /// What is pinned of it: names, in a steady order.
    pub fn names(&self, fault: &FaultPlan) -> Vec<String> {
        names(fault, &self.targets)
    }

    /// The blast radius in words: `1 of 3 (33.3 %)`.
    fn radius(&self) -> Option<String> {
        let count = self.count?;
        Some(match (self.population, self.percent) {
            (Some(all), Some(percent)) => format!("{count} of {all} ({percent:.0} %)"),
            _ => format!("{count} of an unknown number"),
        })
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = |name: &str, text: String| lines.push(format!("{name:<10} {text}"));
        let late = if self.late { "; known once the drill has started it" } else { "" };
        if let Some(on) = &self.on {
            line("on", on.clone());
        }
        match (&self.trouble, self.targets.is_empty()) {
            (Some(trouble), _) => line("targets", trouble.clone()),
            (None, true) => {}
            (None, false) => line("targets", format!("{}{late}", self.targets.join("; "))),
        }
        if let Some(resolved) = &self.resolved {
            line("AWS hits", format!("{}: {}", resolved.len(), resolved.join("; ")));
        }
        if let Some(radius) = self.radius() {
            line("blast", radius);
        }
        if let Some(does) = &self.does {
            line("does", does.clone());
        }
        for runs in &self.runs {
            line("runs", runs.clone());
        }
        if !self.captured.is_null() && self.captured.as_object().is_none_or(|map| !map.is_empty()) {
            line("captured", self.captured.to_string());
        }
        if let Some(by_hand) = &self.by_hand {
            line("by hand", by_hand.clone());
        }
        if let Some(takes) = self.undo_usually_takes {
            line("undo takes", format!("usually {}", takes.human()));
        }
        for need in &self.needs {
            line(
                "needs",
                format!(
                    "{}: {}",
                    need.what,
                    match (&self.on, need.here) {
                        (Some(_), _) => "is there",
                        (None, true) => "is here",
                        (None, false) => "MISSING HERE",
                    }
                ),
            );
        }
        lines
    }
}
