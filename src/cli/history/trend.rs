//! `firedrill trend SCENARIO`: every claim over all runs, each with its interval; where something was changed; what flips; whether it drifts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::args::{ManyFormat, Trend};
use super::super::exit::Exit;
use super::super::out::{Voice, print};
use super::rows::known;
use super::{Failed, interval, number};
use crate::base::one_line;
use crate::history::{Drift, Quantity, Reading, Row, drift};
use crate::report::html::many::{self, Order, Page, Panel};
use crate::report::intervals::{Bar, Bars, Measure};
use crate::score::many::{CONFIDENCE, share_shown};
use crate::score::words;

/// Looks at all runs of a scenario.
pub fn trend(args: &Trend, voice: Voice) -> Result<Exit, Failed> {
    let rows = known(&args.runs.dir, Some(&args.scenario), voice)?;
    if rows.is_empty() {
        let why = format!("no run of `{}` under {}", one_line(&args.scenario, 80), args.runs.dir.display());
        return Err(Failed::Unknown(why));
    }
    match args.output {
        ManyFormat::Json => print(&format!("{:#}", value(&rows))),
        ManyFormat::Text => print(&text(&rows)),
        ManyFormat::Html => print(&html(&rows)),
    }
    Ok(Exit::Ok)
}

/// A claim, or a number of one, over the runs that have it.
struct Line<'a> {
    name: &'a str,
    runs: Vec<(&'a Row, &'a Reading)>,
}

impl<'a> Line<'a> {
    fn all(rows: &'a [Row]) -> Vec<Line<'a>> {
        let mut lines: Vec<Line<'a>> = Vec::new();
        let mut places = BTreeMap::new();
        for row in rows {
            for reading in &row.readings {
                let place = *places.entry(reading.name.as_str()).or_insert_with(|| {
                    lines.push(Line { name: &reading.name, runs: Vec::new() });
                    lines.len() - 1
                });
                lines[place].runs.push((row, reading));
            }
        }
        lines
    }

    /// Held and judged, among runs that say something either way.
    fn held(&self) -> (u32, u32) {
        let count = |word: &str| u32::try_from(self.runs.iter().filter(|(_, reading)| reading.verdict == word).count()).unwrap_or(u32::MAX);
        (count("passed"), count("passed") + count("failed"))
    }

    /// Passed and failed among runs of the very same thing: the system, or the claim, is not sure of itself.
    fn flaky(&self) -> bool {
        let with = |word: &str| {
            self.runs
                .iter()
                .filter(|(_, reading)| reading.verdict == word)
                .map(|(row, _)| row.same.as_str())
                .collect::<std::collections::BTreeSet<_>>()
        };
        !with("passed").is_disjoint(&with("failed"))
    }

    fn drift(&self) -> Option<Drift> {
        let measured: Vec<(f64, Option<f64>)> = self.runs.iter().filter_map(|(_, reading)| Some((reading.lo?, reading.hi))).collect();
        drift(&measured)
    }
}

/// From how small a chance on a drift is spoken of.
const SURE: f64 = 0.01;

fn value(rows: &[Row]) -> Value {
    let line = |line: &Line<'_>| {
        let (held, of) = line.held();
        let run = |(row, reading): &(&Row, &Reading)| json!({ "run": row.run, "verdict": reading.verdict, "lo": reading.lo, "hi": reading.hi, "objective": reading.objective });
        let drift =
            line.drift().map(|d| json!({ "more": d.more, "less": d.less, "pairs": d.pairs, "chance": d.chance, "shown": d.chance < SURE }));
        let unit = line.runs.first().map_or("fraction", |(_, reading)| if reading.quantity == Quantity::Time { "ns" } else { "fraction" });
        json!({
            "name": line.name, "unit": unit, "held": held, "of": of, "at_least": share_shown(of, of - held, CONFIDENCE), "confidence": CONFIDENCE,
            "flaky": line.flaky(), "drift": drift, "runs": line.runs.iter().map(run).collect::<Vec<_>>(),
        })
    };
    let run = |row: &Row| json!({ "run": row.run, "started_at": row.started_at, "system": row.system, "exit_code": row.exit_code, "same": row.same });
    json!({
        "schema": "firedrill.trend/1", "scenario": rows[0].scenario, "title": rows[rows.len() - 1].title,
        "runs": rows.iter().map(run).collect::<Vec<_>>(), "claims": Line::all(rows).iter().map(line).collect::<Vec<_>>(),
    })
}

/// Most runs that are drawn of a claim: the last ones.
const DRAWN: usize = 30;
const WIDE: usize = 40;

fn text(rows: &[Row]) -> String {
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let mut lines = vec![
        format!("{} ({})", one_line(&last.title, 120), one_line(&last.scenario, 80)),
        format!("  {}, {} to {}", words::many(rows.len() as u64, "run"), one_line(&day(first), 20), one_line(&day(last), 20)),
    ];
    let changed: Vec<&Row> = rows.windows(2).filter(|pair| pair[0].same != pair[1].same).map(|pair| &pair[1]).collect();
    for row in changed.iter().rev().take(10).rev() {
        lines.push(format!("  something was changed before {} ({}): `firedrill compare` tells what", row.run, one_line(&day(row), 20)));
    }
    for line in Line::all(rows) {
        lines.push(String::new());
        lines.push(format!("  {}: {}", one_line(line.name, 80), how_often(&line)));
        if line.flaky() {
            lines.push(format!("    {FLIPS}"));
        }
        if line.runs.iter().any(|(_, reading)| reading.lo.is_some()) {
            lines.extend(drawn(&line).into_iter().map(|line| format!("    {line}")));
            lines.extend(drifts(&line).map(|said| format!("    {said}")));
        }
    }
    lines.join("\n")
}

/// The same with pictures.
fn html(rows: &[Row]) -> String {
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let before: BTreeMap<&str, &Row> = rows.windows(2).map(|pair| (pair[1].run.as_str(), &pair[0])).collect();
    let bar = |(row, reading): &(&Row, &Reading)| Bar {
        run: row.run.clone(),
        day: day(row),
        lo: reading.lo,
        hi: reading.hi,
        verdict: reading.verdict.clone(),
        changed: before.get(row.run.as_str()).is_some_and(|before| before.same != row.same),
    };
    let panel = |line: &Line<'_>| {
        let time = line.runs.first().is_some_and(|(_, reading)| reading.quantity == Quantity::Time);
        let flips = line.flaky().then(|| FLIPS.to_owned());
        let said = [Some(how_often(line)), flips, drifts(line)].into_iter().flatten().map(|said| format!("{}.", words::capital(&said)));
        let measured = line.runs.iter().any(|(_, reading)| reading.lo.is_some());
        let bars = measured.then(|| Bars {
            name: line.name.to_owned(),
            measure: if time { Measure::Time } else { Measure::Share },
            objective: line.runs.last().and_then(|(_, reading)| reading.objective),
            runs: line.runs.iter().map(bar).collect(),
        });
        Panel { name: line.name.to_owned(), said: said.collect(), bars, more: None }
    };
    many::render(&Page {
        title: last.title.clone(),
        kind: "Trend over runs",
        meta: vec![last.scenario.clone(), words::many(rows.len() as u64, "run"), format!("{} to {}", day(first), day(last))],
        said: Vec::new(),
        order: Order::Trend,
        panels: Line::all(rows).iter().map(panel).collect(),
    })
}

fn day(row: &Row) -> String {
    row.started_at.get(..10).unwrap_or("-").to_owned()
}

/// How often it held, and what that supports.
fn how_often(line: &Line<'_>) -> String {
    let (held, of) = line.held();
    let shown = words::percent((share_shown(of, of - held, CONFIDENCE) * 1000.0).floor() / 1000.0);
    match (held, of) {
        (_, 0) => "no run says whether it holds".to_owned(),
        (0, _) => format!("held in 0 of {of}"),
        _ => format!("held in {held} of {of}; at {} confidence in at least {shown} of such cases", words::percent(CONFIDENCE)),
    }
}

const FLIPS: &str = "it flips: runs of the very same thing passed and failed";

fn drifts(line: &Line<'_>) -> Option<String> {
    let drift = line.drift()?;
    let time = line.runs.first().is_some_and(|(_, reading)| reading.quantity == Quantity::Time);
    let pairs = format!(
        "of {} pairs of runs the later is surely more in {}, less in {}",
        words::count(drift.pairs),
        words::count(drift.more),
        words::count(drift.less)
    );
    let (more, less) = if time { ("longer", "shorter") } else { ("more", "less") };
    Some(match drift.chance < SURE {
        true if drift.more > drift.less => format!("it gets {more} over time: {pairs}"),
        true => format!("it gets {less} over time: {pairs}"),
        false => format!("no drift is shown: {pairs}"),
    })
}

/// The intervals of the last runs to one scale, and where the objective stands.
fn drawn(line: &Line<'_>) -> Vec<String> {
    let skipped = line.runs.len().saturating_sub(DRAWN);
    let runs = &line.runs[skipped..];
    let ends = runs.iter().flat_map(|(_, reading)| [reading.lo, reading.hi, reading.objective]).flatten();
    let (low, top) = ends.fold((f64::INFINITY, 0.0_f64), |(low, top), value| (low.min(value), top.max(value)));
    // Times from zero; shares from where they begin to differ.
    let low = if runs.first().is_some_and(|(_, reading)| reading.quantity == Quantity::Time) { 0.0 } else { low.min(1.0) };
    let place =
        |value: f64| (((value - low) / (top - low).max(f64::MIN_POSITIVE)) * (WIDE as f64 - 1.0)).clamp(0.0, WIDE as f64 - 1.0) as usize;
    let mut lines: Vec<String> = (skipped > 0).then(|| format!("the last {DRAWN} of {}", line.runs.len())).into_iter().collect();
    for (row, reading) in runs {
        let mut cells = vec![' '; WIDE];
        if let Some(objective) = reading.objective {
            cells[place(objective)] = '┊';
        }
        if let Some(lo) = reading.lo {
            cells[place(lo)..=reading.hi.map_or(WIDE - 1, place).max(place(lo))].fill('━');
            if reading.hi.is_none() {
                cells[WIDE - 1] = '▶';
            }
        }
        let cells: String = cells.into_iter().collect();
        lines.push(format!("{}  {cells}  {}  {}", row.run, interval(reading), reading.verdict));
    }
    lines.extend(runs.last().and_then(|(_, reading)| Some(format!("{} is claimed (┊)", number(reading.quantity, reading.objective?)))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: usize, same: &str, verdict: &str, lo: f64, hi: Option<f64>) -> Row {
        let reading = |name: &str| Reading {
            name: name.into(),
            verdict: verdict.into(),
            quantity: Quantity::Time,
            lo: Some(lo * 1e9),
            hi: hi.map(|hi| hi * 1e9),
            objective: Some(10e9),
        };
        Row {
            run: format!("R{n:02}"),
            bytes: 1,
            firedrill: "0".into(),
            scenario: "s".into(),
            title: "A node is lost".into(),
            started_at: format!("2026-01-{:02}T00:00:00Z", n + 1),
            same: same.into(),
            system: Some(verdict.into()),
            exit_code: 0,
            readings: vec![reading("back.rto")],
            account: crate::history::Account::default(),
        }
    }

    #[test]
    fn a_claim_that_flips_and_drifts_is_told() {
        let rows: Vec<Row> =
            (0..12).map(|n| row(n, "x", if n == 11 { "failed" } else { "passed" }, n as f64, (n < 11).then_some(n as f64 + 0.5))).collect();
        let said = text(&rows);
        assert!(said.contains("held in 11 of 12; at 95 % confidence in at least 66.1 % of such cases"), "{said}");
        assert!(said.contains("it flips: runs of the very same thing") && said.contains("it gets longer over time: of 66 pairs"), "{said}");
        assert!(said.contains("more than 11 s") && said.contains('▶') && said.contains("10 s is claimed"), "{said}");
        assert!(!said.contains("something was changed"), "{said}");
        let value = value(&rows);
        assert_eq!((&value["claims"][0]["flaky"], &value["claims"][0]["drift"]["shown"]), (&json!(true), &json!(true)));
    }

    #[test]
    fn another_thing_that_fails_does_not_flip() {
        let mut rows: Vec<Row> = (0..10).map(|n| row(n, "x", "passed", 1.0, Some(2.0))).collect();
        rows.push(row(10, "y", "failed", 1.5, Some(2.5)));
        let said = text(&rows);
        assert!(!said.contains("it flips") && said.contains("no drift is shown"), "{said}");
        assert!(said.contains("something was changed before R10 (2026-01-11)"), "{said}");
    }
}
