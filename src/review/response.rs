//! How long answers took, by role and by quarter: medians with bounds. A missed answer took longer than any, so that to miss one never looks better
//! than to be slow; one that nobody could have seen counts as neither.

use std::collections::BTreeMap;

use super::is_evidence;
use crate::history::{Responded, Row};

/// One kind of answer of one role, quarter by quarter.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The role; absent for what machines did, as an alert.
    pub role: Option<String>,
    /// `alert`, `ack`, `mark` …
    pub kind: String,
    /// In order of time.
    pub quarters: Vec<Quarter>,
}

/// A quarter of a year.
#[derive(Debug, Clone, PartialEq)]
pub struct Quarter {
    /// `2026 Q4`.
    pub name: String,
    /// Answers that were seen.
    pub seen: usize,
    /// Of them in time.
    pub on_time: usize,
    /// Answers that were looked for and did not come.
    pub missed: usize,
    /// Answers that nobody could have seen.
    pub not_observed: usize,
    /// The median's bounds in nanoseconds, missed ones counted as longer than any. Absent where nothing was seen or missed; the second is also
    /// absent where the median itself was missed.
    pub median: Option<(f64, Option<f64>)>,
    /// The runs.
    pub runs: Vec<String>,
}

/// What a kind is called.
pub(super) fn named(kind: &str) -> String {
    match kind {
        "alert" => "time to detect".to_owned(),
        "ack" => "time to acknowledge".to_owned(),
        "step" => "time to a runbook step".to_owned(),
        "handoff" => "time to hand over".to_owned(),
        "message" => "time to inform".to_owned(),
        other => format!("time to {other}"),
    }
}

type ByQuarter<'a> = BTreeMap<String, Vec<(&'a Row, &'a Responded)>>;

/// Every kind of answer of every role. Only runs that are evidence, and what counts for the team's verdict.
pub(super) fn answers(rows: &[Row]) -> Vec<Answers> {
    let mut found: BTreeMap<(Option<&str>, &str), ByQuarter<'_>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_evidence(row)) {
        let Some(quarter) = quarter(&row.started_at) else { continue };
        for one in row.account.response.iter().filter(|one| one.counted && one.verdict != "not_due") {
            let key = (one.role.as_deref(), one.kind.as_str());
            found.entry(key).or_default().entry(quarter.clone()).or_default().push((row, one));
        }
    }
    let kinds = found.into_iter().map(|((role, kind), quarters)| Answers {
        role: role.map(str::to_owned),
        kind: kind.to_owned(),
        quarters: quarters.into_iter().map(|(name, all)| told(name, &all)).collect(),
    });
    kinds.collect()
}

fn told(name: String, all: &[(&Row, &Responded)]) -> Quarter {
    let is = |word: &str| all.iter().filter(|(_, one)| one.verdict == word).count();
    let looked: Vec<&Responded> = all.iter().map(|(_, one)| *one).filter(|one| one.verdict != "not_observed").collect();
    let mut runs: Vec<String> = all.iter().map(|(row, _)| row.run.clone()).collect();
    runs.dedup();
    Quarter {
        name,
        seen: is("on_time") + is("late"),
        on_time: is("on_time"),
        missed: is("missed"),
        not_observed: is("not_observed"),
        median: median(&looked),
        runs,
    }
}

/// Between the median of what each took at least, and of what it took at most: whichever values within their bounds are true, their median lies there.
fn median(all: &[&Responded]) -> Option<(f64, Option<f64>)> {
    let of = |take: fn(&Responded) -> f64| {
        let mut ends: Vec<f64> = all.iter().map(|one| if one.verdict == "missed" { f64::INFINITY } else { take(one) }).collect();
        ends.sort_by(f64::total_cmp);
        // The upper of the two in the middle: rather too long than too short.
        ends.get(ends.len() / 2).copied()
    };
    let (lo, hi) = (of(|one| one.lo.unwrap_or(0.0))?, of(|one| one.hi.unwrap_or(f64::INFINITY))?);
    let longest = all.iter().filter_map(|one| one.hi.or(one.lo)).fold(0.0, f64::max);
    Some((if lo.is_finite() { lo } else { longest }, hi.is_finite().then_some(hi)))
}

/// The quarter of an RFC 3339 instant.
fn quarter(started_at: &str) -> Option<String> {
    let (year, month) = (started_at.get(..4)?, started_at.get(5..7)?.parse::<u32>().ok().filter(|month| (1..=12).contains(month))?);
    year.parse::<u32>().ok().map(|year| format!("{year} Q{}", month.div_ceil(3)))
}
