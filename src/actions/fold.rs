//! From runs and what people said to where each action stands. Pure: the same runs, words and day always give the same list.

use std::collections::BTreeMap;

use super::{About, Action, Change, Record, Source, Status, name, verify};
use crate::history::{Found, Row};

/// One run that found an action.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// The run.
    pub row: &'a Row,
    /// Its findings of this identity.
    pub found: Vec<&'a Found>,
}

/// What a debrief resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The run that it is about.
    pub run: String,
    /// Its name within the run.
    pub id: String,
    /// What.
    pub text: String,
    /// Who.
    pub owner: Option<String>,
    /// By when, a day.
    pub due: Option<String>,
}

struct Item<'a> {
    about: About,
    sightings: Vec<Sighting<'a>>,
    debrief: Option<&'a Resolved>,
    records: Vec<&'a Record>,
}

/// Every action: runs in order of time, what debriefs resolved, what was said and done, and today's day (`2026-12-24`). High risk first, then
/// medium, then debriefs; the oldest first.
pub fn fold(rows: &[Row], resolved: &[Resolved], records: &[Record], today: &str) -> Vec<Action> {
    let mut items: BTreeMap<String, Item<'_>> = BTreeMap::new();
    for row in rows {
        for found in &row.account.findings {
            let id = name(Source::Finding, &[&found.choice, &row.scenario, &found.subject]);
            let item = items.entry(id.clone()).or_insert_with(|| Item {
                about: about(&id, row, found),
                sightings: Vec::new(),
                debrief: None,
                records: Vec::new(),
            });
            match item.sightings.last_mut().filter(|last| last.row.run == row.run) {
                Some(last) => last.found.push(found),
                None => {
                    item.about.title.clone_from(&found.title);
                    item.sightings.push(Sighting { row, found: vec![found] });
                }
            }
        }
    }
    for one in resolved {
        let Some(row) = rows.iter().find(|row| row.run == one.run) else { continue };
        let id = name(Source::Debrief, &[&one.run, &one.id]);
        let about = About {
            id: id.clone(),
            source: Source::Debrief,
            scenario: row.scenario.clone(),
            practice: None,
            subject: format!("{}/{}", one.run, one.id),
            title: one.text.clone(),
        };
        let sightings = vec![Sighting { row, found: Vec::new() }];
        items.insert(id, Item { about, sightings, debrief: Some(one), records: Vec::new() });
    }
    for record in records {
        let lost = || Item { about: record.about.clone(), sightings: Vec::new(), debrief: None, records: Vec::new() };
        items.entry(record.about.id.clone()).or_insert_with(lost).records.push(record);
    }
    let mut all: Vec<Action> = items.into_values().map(|item| item.action(rows, today)).collect();
    let rank = |action: &Action| match action.risk {
        Some("high") => 0,
        Some(_) => 1,
        None => 2,
    };
    all.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.first_seen.cmp(&b.first_seen)).then_with(|| a.about.id.cmp(&b.about.id)));
    all
}

fn about(id: &str, row: &Row, found: &Found) -> About {
    About {
        id: id.to_owned(),
        source: Source::Finding,
        scenario: row.scenario.clone(),
        practice: Some(found.label.clone()),
        subject: found.subject.clone(),
        title: found.title.clone(),
    }
}

/// Where an action stands, and what brought it back.
#[derive(Default)]
struct Stand {
    closed_by: Option<String>,
    accepted: Option<(String, String)>,
    claimed: bool,
    reopened: Option<String>,
}

impl<'a> Item<'a> {
    /// The last run that found it before a run.
    fn before(&self, run: &str) -> Option<&Sighting<'a>> {
        self.sightings.iter().rev().find(|sighting| sighting.row.run.as_str() < run)
    }

    fn after(&self, is_later: impl Fn(&Row) -> bool) -> Option<&Sighting<'a>> {
        // A debrief is no observation that could come again.
        self.sightings.iter().filter(|_| self.about.source == Source::Finding).find(|sighting| is_later(sighting.row))
    }

    fn stand(&self, rows: &[Row], today: &str) -> Stand {
        let mut stand = Stand::default();
        for record in &self.records {
            match &record.change {
                Change::Closed { run } => stand = self.closed(rows, run),
                Change::Done { .. } => {
                    let again = self.after(|row| row.started_at.as_str() > record.wall.as_str());
                    let reopened = again.map(|again| format!("{} found it again after it was said to be done", again.row.run));
                    stand = Stand { claimed: reopened.is_none(), reopened, ..Stand::default() };
                }
                Change::Accepted { by, until, .. } => {
                    let over = until.as_str() < today;
                    let reopened = over.then(|| format!("the risk was accepted until {until}"));
                    stand = Stand { accepted: (!over).then(|| (until.clone(), by.clone())), reopened, ..Stand::default() };
                }
                Change::Assigned { .. } | Change::Noted { .. } => {}
            }
        }
        stand
    }

    /// A closing is believed as long as its run, judged as this version judges, shows it, and no later one speaks against it.
    fn closed(&self, rows: &[Row], run: &str) -> Stand {
        let again = self.after(|row| row.run.as_str() > run).map(|again| format!("{} found it again", again.row.run));
        let judged = rows.iter().find(|row| row.run == run);
        let not = judged.and_then(|row| verify::shows(self.about.source, &self.about.scenario, self.before(run), row).err());
        let not = not.filter(|_| !self.sightings.is_empty());
        match again.or(not) {
            Some(why) => Stand { reopened: Some(why), ..Stand::default() },
            None => Stand { closed_by: Some(run.to_owned()), ..Stand::default() },
        }
    }

    fn action(self, rows: &[Row], today: &str) -> Action {
        let stand = self.stand(rows, today);
        let assigned = self.records.iter().rev().find_map(|record| match &record.change {
            Change::Assigned { owner, .. } => Some(owner.clone()),
            _ => None,
        });
        let until = self.records.iter().rev().find_map(|record| match &record.change {
            Change::Assigned { due, .. } => due.clone(),
            _ => None,
        });
        let (first, last) = (self.sightings.first(), self.sightings.last());
        let worst = last.and_then(|last| last.found.iter().copied().max_by_key(|found| found.high));
        let proposed = first.and_then(|first| first.found.iter().filter_map(|found| found.due.clone()).min());
        let due = until.or(proposed).or_else(|| self.debrief.and_then(|one| one.due.clone()));
        let status = match &stand {
            Stand { closed_by: Some(_), .. } => Status::Closed,
            Stand { accepted: Some(_), .. } => Status::Accepted,
            Stand { claimed: true, .. } => Status::DoneClaimed,
            _ if assigned.is_some() || self.debrief.is_some_and(|one| one.owner.is_some()) => Status::Assigned,
            _ => Status::Open,
        };
        let settled = matches!(status, Status::Closed | Status::Accepted);
        let owner =
            assigned.or_else(|| self.debrief.and_then(|one| one.owner.clone())).or_else(|| worst.and_then(|found| found.owner.clone()));
        let of = |pick: fn(&Found) -> &String| worst.map(|found| pick(found).clone()).unwrap_or_default();
        Action {
            risk: worst.map(|found| if found.high { "high" } else { "medium" }),
            status,
            reopened: stand.reopened,
            overdue: !settled && due.as_deref().is_some_and(|due| due < today),
            owner,
            due,
            accepted: stand.accepted,
            first_seen: first.map(|first| first.row.run.clone()),
            last_seen: last.map(|last| last.row.run.clone()),
            seen: self.sightings.len(),
            closed_by: stand.closed_by,
            demonstration: !self.sightings.is_empty() && self.sightings.iter().all(|sighting| sighting.row.account.demonstration),
            observed: of(|found| &found.observed),
            expected: of(|found| &found.expected),
            impact: of(|found| &found.impact),
            remediation: of(|found| &found.remediation),
            entries: worst.map(|found| found.entries.clone()).unwrap_or_default(),
            told: self.records.iter().map(|record| (record.wall.clone(), record.change.clone())).collect(),
            about: self.about,
        }
    }
}

/// The last run that found this action before `run`, for whoever wants to close it by that run.
pub(super) fn last_before<'a>(rows: &'a [Row], resolved: &[Resolved], about: &About, run: &str) -> Option<Sighting<'a>> {
    let earlier = rows.iter().rev().filter(|row| row.run.as_str() < run);
    match about.source {
        Source::Finding => earlier
            .map(|row| {
                let mine = |found: &&Found| name(Source::Finding, &[&found.choice, &row.scenario, &found.subject]) == about.id;
                Sighting { row, found: row.account.findings.iter().filter(mine).collect() }
            })
            .find(|sighting| !sighting.found.is_empty()),
        Source::Debrief => {
            let one = resolved.iter().find(|one| name(Source::Debrief, &[&one.run, &one.id]) == about.id)?;
            earlier.filter(|row| row.run == one.run).map(|row| Sighting { row, found: Vec::new() }).next()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shows_at;
    use super::*;
    use crate::history::{Account, Limit, Shown};

    const ASKED: f64 = 10e9;

    fn row(n: u32, passed: bool, change: impl FnOnce(&mut Row)) -> Row {
        let limit = Some(Limit { value: ASKED, more_is_harder: false });
        let found = Found {
            id: "back.rto".into(),
            choice: "failover".into(),
            label: "REL11-BP02".into(),
            subject: "checkout".into(),
            high: true,
            title: "late".into(),
            expected: "back within 10 s".into(),
            due: Some(format!("2026-02-{:02}", n + 1)),
            owner: Some("sre".into()),
            limit,
            ..Found::default()
        };
        let shown = Shown { id: "back.rto".into(), limit, asked: None };
        let mut row = Row {
            run: format!("R{n:02}"),
            bytes: 1,
            firedrill: "0".into(),
            scenario: "loss".into(),
            title: "A node is lost".into(),
            started_at: format!("2026-01-{:02}T00:00:00Z", n + 1),
            same: "x".into(),
            system: None,
            exit_code: if passed { 0 } else { 30 },
            readings: Vec::new(),
            account: Account {
                environment: "test".into(),
                counts: true,
                findings: if passed { vec![] } else { vec![found] },
                shown: if passed { vec![shown] } else { vec![] },
                ..Account::default()
            },
        };
        change(&mut row);
        row
    }

    fn record(rows: &[Row], day: u32, change: Change) -> Record {
        let about = fold(rows, &[], &[], "2026-01-01").remove(0).about;
        Record { v: 1, seq: 0, wall: format!("2026-01-{day:02}T12:00:00Z"), about, change }
    }

    fn one(rows: &[Row], records: &[Record], today: &str) -> Action {
        let mut all = fold(rows, &[], records, today);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn one_identity_over_runs_and_the_first_date_stays() {
        let rows = [row(0, false, |_| {}), row(1, false, |_| {}), row(2, true, |_| {})];
        let action = one(&rows, &[], "2026-02-01");
        assert_eq!((action.seen, action.first_seen.as_deref(), action.last_seen.as_deref()), (2, Some("R00"), Some("R01")));
        assert_eq!((action.status, action.due.as_deref(), action.overdue), (Status::Open, Some("2026-02-01"), false));
        assert!(one(&rows, &[], "2026-02-02").overdue, "a later run that passes closes nothing by itself");
    }

    #[test]
    fn a_claim_of_done_waits_and_a_run_that_finds_it_again_reopens() {
        let mut rows = vec![row(0, false, |_| {})];
        let assigned = record(&rows, 2, Change::Assigned { owner: "db".into(), due: Some("2026-03-01".into()) });
        let done = record(&rows, 3, Change::Done { text: String::new() });
        let status = |rows: &[Row]| one(rows, &[assigned.clone(), done.clone()], "2026-02-20");
        assert_eq!(status(&rows).status, Status::DoneClaimed);
        assert!(!status(&rows).overdue && status(&rows).owner.as_deref() == Some("db"));
        rows.push(row(1, true, |_| {}));
        assert_eq!(status(&rows).status, Status::DoneClaimed, "until somebody closes it by that run");
        rows.push(row(9, false, |_| {}));
        let again = status(&rows);
        assert_eq!(again.status, Status::Assigned);
        assert!(again.reopened.is_some_and(|why| why.contains("R09")));
    }

    #[test]
    fn only_a_later_run_that_shows_it_closes() {
        type Case = (&'static str, fn() -> Row);
        let refused: [Case; 8] = [
            ("not later", || row(0, true, |_| {})),
            ("of another scenario", || row(2, true, |row| row.scenario = "other".into())),
            ("no evidence", || row(2, true, |row| row.account.counts = false)),
            ("elsewhere", || row(2, true, |row| row.account.environment = "laptop".into())),
            ("not measured", || row(2, true, |row| row.account.shown.clear())),
            ("found it again", || row(2, false, |_| {})),
            ("asked for less", || {
                row(2, true, |row| row.account.shown[0].limit = Some(Limit { value: ASKED * 2.0, more_is_harder: false }))
            }),
            ("asked for nothing", || row(2, true, |row| row.account.shown[0].limit = None)),
        ];
        let before = [row(1, false, |_| {})];
        let about = one(&before, &[], "2026-01-01").about;
        for (why, run) in refused {
            let run = run();
            let mut rows = vec![before[0].clone(), run.clone()];
            rows.sort_by(|a, b| a.run.cmp(&b.run));
            assert!(shows_at(&rows, &[], &about, &run).is_err(), "{why}");
            let closed = record(&before, 9, Change::Closed { run: run.run.clone() });
            let told = fold(&rows, &[], &[closed], "2026-01-01").into_iter().find(|action| action.about.id == about.id).unwrap();
            assert!(told.status != Status::Closed && told.reopened.is_some(), "{why}: a line in the file closes nothing by itself");
        }
        let harder = row(2, true, |row| row.account.shown[0].limit = Some(Limit { value: ASKED / 2.0, more_is_harder: false }));
        let mut rows = vec![before[0].clone(), harder.clone()];
        assert_eq!(shows_at(&rows, &[], &about, &harder), Ok(()));
        let closed = record(&before, 9, Change::Closed { run: harder.run });
        assert_eq!(one(&rows, std::slice::from_ref(&closed), "2026-12-01").status, Status::Closed);
        assert!(!one(&rows, std::slice::from_ref(&closed), "2026-12-01").overdue);
        rows.push(row(3, false, |_| {}));
        let again = one(&rows, &[closed], "2026-01-01");
        assert!(again.status == Status::Open && again.reopened.is_some_and(|why| why.contains("R03")), "a later run contradicts");
    }

    #[test]
    fn an_accepted_risk_has_an_end() {
        let rows = [row(0, false, |_| {})];
        let accepted = record(&rows, 2, Change::Accepted { by: "cto".into(), until: "2026-03-01".into(), text: String::new() });
        let on = |day: &str| one(&rows, std::slice::from_ref(&accepted), day);
        assert_eq!((on("2026-03-01").status, on("2026-03-01").overdue), (Status::Accepted, false));
        let after = on("2026-03-02");
        assert!(after.status == Status::Open && after.overdue && after.reopened.is_some(), "{after:?}");
    }

    #[test]
    fn what_a_debrief_resolved_stands_beside_findings() {
        let rows = [row(0, false, |_| {}), row(1, true, |_| {})];
        let resolved = Resolved {
            run: "R00".into(),
            id: "a1".into(),
            text: "write it down".into(),
            owner: Some("ops".into()),
            due: Some("2026-01-09".into()),
        };
        let all = fold(&rows, std::slice::from_ref(&resolved), &[], "2026-01-10");
        assert_eq!(all.iter().map(|action| action.risk).collect::<Vec<_>>(), [Some("high"), None]);
        assert_eq!((all[1].status, all[1].overdue, all[1].about.title.as_str()), (Status::Assigned, true, "write it down"));
        assert_eq!(shows_at(&rows, std::slice::from_ref(&resolved), &all[1].about, &rows[1]), Ok(()));
        assert!(shows_at(&rows, &[resolved], &all[1].about, &rows[0]).is_err());
    }

    #[test]
    fn what_people_said_outlives_its_runs() {
        let rows = [row(0, false, |_| {})];
        let noted = record(&rows, 2, Change::Noted { text: "x".into() });
        let action = one(&[], &[noted], "2026-01-01");
        assert_eq!((action.about.title.as_str(), action.seen, action.risk), ("late", 0, None));
    }
}
