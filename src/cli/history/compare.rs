//! `firedrill compare A B`: what was changed between two runs, and what came of it, with how sure that is and how large.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::args::{Compare, TrialsFormat};
use super::super::exit::Exit;
use super::super::out::print;
use super::super::store;
use super::rows::{readings, word};
use super::{Failed, interval, number};
use crate::base::one_line;
use crate::evidence;
use crate::history::{Difference, Quantity, Reading, Told, difference, slower};
use crate::measure::{self, facts::Facts};
use crate::plan::Plan;
use crate::score::{Score, score, words};

/// One of two runs.
struct Side {
    plan: Plan,
    facts: Facts,
    score: Score,
    readings: Vec<Reading>,
}

fn side(args: &Compare, run: &str) -> Result<Side, Failed> {
    let dir: PathBuf = store::find(&args.runs.dir, run).map_err(Failed::Unknown)?;
    let (plan, entries) = store::read(&dir).map_err(|error| Failed::Run(format!("failed to {error}")))?;
    let facts = measure::facts(&plan, &entries);
    let score = score(&plan, &facts);
    let readings = facts.claims.iter().flat_map(|(id, claim)| readings(id, claim, facts.validity.valid)).collect();
    Ok(Side { plan, facts, score, readings })
}

/// Compares them.
pub fn compare(args: &Compare) -> Result<Exit, Failed> {
    let (a, b) = (side(args, &args.first)?, side(args, &args.second)?);
    match args.output {
        TrialsFormat::Json => print(&format!("{:#}", value(&a, &b))),
        TrialsFormat::Text => print(&text(&a, &b)),
    }
    Ok(Exit::Ok)
}

/// What differs in how they were planned and in what was tested.
fn changes(a: &Side, b: &Side) -> Vec<String> {
    // Where it lay and who allowed it is nothing that was changed in the drill.
    let of =
        |plan: &Plan| serde_json::to_value(Plan { policy: None, pins: None, base_dir: String::new(), ..plan.clone() }).unwrap_or_default();
    let mut found = evidence::differences(&of(&a.plan), &of(&b.plan));
    let subjects: BTreeSet<&String> = a.facts.subject.keys().chain(b.facts.subject.keys()).collect();
    for id in subjects {
        let seen = |side: &Side| side.facts.subject.get(id).and_then(|(before, _)| before.clone()).unwrap_or_else(|| "not seen".into());
        if seen(a) != seen(b) {
            found.push(format!("subject `{id}` is {} here, {} there", one_line(&seen(a), 80), one_line(&seen(b), 80)));
        }
    }
    if a.facts.run.firedrill != b.facts.run.firedrill {
        found.push(format!("firedrill is {} here, {} there", one_line(&a.facts.run.firedrill, 40), one_line(&b.facts.run.firedrill, 40)));
    }
    found
}

/// A number of both, and how far apart.
struct Pair<'a> {
    name: &'a str,
    a: &'a Reading,
    b: &'a Reading,
    apart: Option<Difference>,
}

fn pairs<'a>(a: &'a Side, b: &'a Side) -> Vec<Pair<'a>> {
    let both = a.readings.iter().filter_map(|one| Some((one, b.readings.iter().find(|other| other.name == one.name)?)));
    both.map(|(a, b)| {
        let of = |reading: &Reading| reading.lo.map(|lo| (lo, reading.hi));
        Pair { name: &a.name, a, b, apart: of(a).zip(of(b)).map(|(a, b)| difference(a, b)) }
    })
    .collect()
}

/// How often a request of the second run was slower than one of the first: by probe and phase.
fn shifts(a: &Side, b: &Side) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (id, probe) in &a.facts.probes {
        for (name, phase) in &probe.phases {
            let Some(other) = b.facts.probes.get(id).and_then(|probe| probe.phases.get(name)) else { continue };
            let of = |histogram: &[(crate::base::Span, u64)]| histogram.iter().map(|(bound, count)| (bound.0, *count)).collect::<Vec<_>>();
            if phase.tainted || other.tainted {
                continue;
            }
            found.extend(slower(&of(&phase.histogram), &of(&other.histogram)).map(|share| (format!("{id} {name}"), share)));
        }
    }
    found
}

fn value(a: &Side, b: &Side) -> Value {
    let run = |side: &Side| json!({ "id": side.facts.run.id, "exit_code": side.score.exit_code, "system": side.score.judged.then(|| word(side.score.system)) });
    let reading =
        |reading: &Reading| json!({ "verdict": reading.verdict, "lo": reading.lo, "hi": reading.hi, "objective": reading.objective });
    let pair = |pair: &Pair<'_>| {
        json!({
            "name": pair.name, "unit": match pair.a.quantity { Quantity::Time => "ns", Quantity::Share => "fraction" },
            "first": reading(pair.a), "second": reading(pair.b),
            "difference": pair.apart.map(|d| json!({ "lo": d.lo, "hi": d.hi, "told": match d.told { Told::More => "more", Told::Less => "less", Told::Open => "open" } })),
        })
    };
    let shift = |(name, share): &(String, f64)| json!({ "phase": name, "second_slower": share });
    json!({
        "schema": "firedrill.comparison/1", "first": run(a), "second": run(b), "changes": changes(a, b),
        "claims": pairs(a, b).iter().map(pair).collect::<Vec<_>>(), "latency": shifts(a, b).iter().map(shift).collect::<Vec<_>>(),
    })
}

fn text(a: &Side, b: &Side) -> String {
    let mut lines = Vec::new();
    for (what, side) in [("first ", a), ("second", b)] {
        let system = if side.score.judged { word(side.score.system) } else { "not put to the test" };
        let (id, started) = (&side.facts.run.id, &side.facts.run.started_at);
        lines.push(format!("  {what}  {}  {}  {system}, exit {}", one_line(id, 30), one_line(started, 40), side.score.exit_code));
    }
    lines.push("\nWhat was changed (here the first, there the second)".into());
    let changes = changes(a, b);
    if changes.is_empty() {
        lines.push("  nothing that the plan or the subject tells".into());
    }
    lines.extend(changes.iter().map(|change| format!("  {change}")));
    lines.push("\nWhat came of it".into());
    let pairs = pairs(a, b);
    if pairs.is_empty() {
        lines.push("  they have no claim in common".into());
    }
    for pair in &pairs {
        let verdict =
            if pair.a.verdict == pair.b.verdict { pair.a.verdict.clone() } else { format!("{} → {}", pair.a.verdict, pair.b.verdict) };
        lines.push(match pair.apart {
            None => format!("  {}: {verdict}", one_line(pair.name, 80)),
            Some(apart) => {
                format!("  {}: {verdict}; {} → {}; {}", one_line(pair.name, 80), interval(pair.a), interval(pair.b), sentence(pair, apart))
            }
        });
    }
    let shifts = shifts(a, b);
    if !shifts.is_empty() {
        lines.push("\nHow often a request of the second is slower than one of the first (50 % is no difference)".into());
        lines.extend(shifts.iter().map(|(name, share)| format!("  {}: {}{}", one_line(name, 100), words::percent(*share), size(*share))));
    }
    lines.push("\n  Two runs are a difference and no proof of what made it; `firedrill trend` looks at all of them.".into());
    lines.join("\n")
}

/// How large a difference is, and in which direction, as far as it is sure.
fn sentence(pair: &Pair<'_>, apart: Difference) -> String {
    let quantity = pair.a.quantity;
    let (more, less) = match quantity {
        Quantity::Time => ("longer", "shorter"),
        Quantity::Share => ("more", "less"),
    };
    let part = |least: f64| match (quantity, pair.a.lo.filter(|lo| *lo > 0.0)) {
        (Quantity::Time, Some(before)) => format!(" ({} of what it was)", words::percent(least / before)),
        _ => String::new(),
    };
    match (apart.told, apart.lo, apart.hi) {
        (Told::More, Some(lo), _) => format!("{more} by at least {}{}", number(quantity, lo), part(lo)),
        (Told::Less, _, Some(hi)) => format!("{less} by at least {}{}", number(quantity, -hi), part(-hi)),
        _ => "the two intervals overlap: no difference is shown".into(),
    }
}

/// The usual names for how large a shift is (Vargha and Delaney).
fn size(share: f64) -> &'static str {
    match (share - 0.5).abs() {
        d if d < 0.06 => "",
        d if d < 0.14 => ", a small effect",
        d if d < 0.21 => ", a medium effect",
        _ => ", a large effect",
    }
}
