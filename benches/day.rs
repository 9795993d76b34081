//! Writes the run directory of a drill of 24 hours with one probe at 10,000 samples a second, for `day.py`, which reports it.
//!
//!     cargo bench --bench day -- DIR [HOURS]
//!
//! Nothing is injected and nobody is asked: the samples are made up, and everything behind them is the engine's own. They go through the engine's [`Thinner`], in
//! batches as the prober tells them and with an edge wherever the engine has one, and the journal's writer writes what it says. The plan is built from a
//! scenario like any other. An answer takes about a millisecond, log-normally; for 7 seconds after the fault's effect there is none.
//!
//! A day has 864 million samples. Only four hours' go through the thinner one by one: the first three, in which runs grow to a minute, and the last with the fault.
//! The quiet hours between them repeat the third, of 36 million samples, each time an hour and 36 million numbers later: its runs and its anchors, not one that is near
//! an edge.

use std::io::Write as _;
use std::path::Path;

use firedrill::base::{At, ClockAnchor, Interval, Span, digest_of};
use firedrill::cli::{known::known, store};
use firedrill::event::{Class, Event, Outcome, Role, SCHEMA, Sample, UndoRecord, Verdict};
use firedrill::fold::edges::near;
use firedrill::fold::thin::{Kept, Thinner};
use firedrill::journal::{Journal, RunLock};
use firedrill::plan::{Mode, Origin, Plan, build};
use indexmap::IndexMap;

const RATE: u64 = 10_000;
const HOUR: u64 = 3_600;
/// Most samples in one line, as in the engine.
const LINE: usize = 1_000;
/// How often the prober tells what it has.
const BATCH: Span = Span::millis(50);
/// From the start of the run to the first sample.
const BEGIN: At = At(1_002_000_000);
/// From the fault's effect on.
const DOWN: Span = Span::secs(7);
/// Runs of a minute in an hour.
const RUNS: usize = 60;
/// Hours that are told one by one.
const TOLD: u64 = 4;

const SCENARIO: &str = r#"firedrill: 1
title: A day of ten thousand a second
environment: test
test: recovery
probes:
  web: { http: { url: "http://127.0.0.1:9/" }, rate: 10000/s, timeout: 1s, served_by: { header: x-node } }
steady_state: { over: 30s, probes: { web: { success: { min: 99% }, p99: { max: 100ms } } } }
faults:
  lose-primary:
    command: { run: ["true"] }
    at: AT
    for: 38m
    confirm: { command: { run: ["true"] }, expect: { exit: { equals: 0 } }, within: 5s }
    undo: { run: ["true"], done_when: { command: { run: ["true"] }, expect: { exit: { equals: 0 } }, within: 5s } }
recovery: { within: 60s, stable_for: 10s }
claims:
  node-loss:
    measured_by: [web]
    rto: { max: 10s }
    availability: { min: 99%, over: 15m }
    latency: { p99: { max: 100ms }, phase: after }
    by: another-instance
"#;

/// Cheap pseudo-random numbers: xorshift64*.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-normal around a median: four uniform numbers are normal enough.
    fn took(&mut self, median_ns: f64, sigma: f64) -> Span {
        let normal = (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * 3.0_f64.sqrt();
        Span((median_ns * (sigma * normal).exp()) as u64)
    }
}

/// The engine's hearing, without an engine: what it is told becomes lines of the journal.
struct Hearing {
    journal: Journal,
    thinner: Thinner,
    /// By how much everything is later than the thinner knows, and its number higher.
    later: (Span, u64),
    /// What was written since the hour that is repeated began.
    hour: Option<Vec<(At, Event)>>,
    runs: usize,
    singly: u64,
    inside: u64,
}

impl Hearing {
    fn put(&mut self, at: At, event: Event) {
        match &event {
            Event::Samples { rows, .. } => self.singly += rows.len() as u64,
            Event::Quiet { run, .. } => self.inside += run.count,
            _ => {}
        }
        let (by, numbers) = self.later;
        self.journal.append(at + by, later(event, by, numbers));
    }

    fn keep(&mut self, at: At, event: Event) {
        if let Some(hour) = &mut self.hour {
            hour.push((at, event.clone()));
        }
        self.put(at, event);
    }

    fn write(&mut self, at: At, kept: Vec<Kept>) {
        for one in kept {
            match one {
                Kept::Each(rows) => {
                    for rows in rows.chunks(LINE) {
                        self.keep(at, Event::Samples { probe: "web".into(), rows: rows.to_vec() });
                    }
                }
                Kept::Run(run) => {
                    self.runs += 1;
                    self.keep(at, Event::Quiet { probe: "web".into(), run });
                }
            }
        }
    }

    /// Something happens to the drill.
    fn happens(&mut self, at: At, event: Event) {
        let near = near(&event);
        self.keep(at, event);
        if let Some(near) = near {
            let kept = self.thinner.edge(at, near);
            self.write(at, kept);
        }
    }

    /// The same hour again, so many times.
    fn again(&mut self, times: u64) {
        let hour = self.hour.take().unwrap_or_default();
        let runs: Vec<_> =
            hour.iter().filter_map(|(_, event)| if let Event::Quiet { run, .. } = event { Some(run) } else { None }).collect();
        let dense = runs.windows(2).all(|two| two[0].last.n + 1 == two[1].first.n);
        let counted: u64 = runs.iter().map(|run| run.count).sum();
        let plain = hour.iter().all(|(_, event)| matches!(event, Event::Quiet { .. } | Event::Anchor(_)));
        assert!(runs.len() == RUNS && dense && counted == HOUR * RATE && plain, "the hour that is repeated is not a quiet one");
        for _ in 0..times {
            self.later.0 = self.later.0 + Span::secs(HOUR);
            self.later.1 += HOUR * RATE;
            for (at, event) in &hour {
                self.put(*at, event.clone());
            }
        }
    }
}

/// The same, later.
fn later(event: Event, by: Span, numbers: u64) -> Event {
    let between = |when: Interval| Interval { lo: when.lo + by, hi: when.hi.map(|hi| hi + by) };
    let sample = |row: Sample| Sample {
        n: row.n + numbers,
        planned: row.planned + by,
        woken: row.woken + by,
        sent: row.sent + by,
        done: row.done + by,
        ..row
    };
    match event {
        Event::Anchor(anchor) => {
            let wall: jiff::Timestamp = anchor.wall.parse().expect("an anchor's own wall time");
            let wall = (wall + by.std()).to_string();
            Event::Anchor(ClockAnchor { mono_ns: anchor.mono_ns + by.0, boottime_ns: anchor.boottime_ns + by.0, wall, ..anchor })
        }
        Event::Samples { probe, rows } => Event::Samples { probe, rows: rows.into_iter().map(sample).collect() },
        Event::Quiet { probe, mut run } => {
            (run.first, run.last) = (sample(run.first), sample(run.last));
            Event::Quiet { probe, run }
        }
        Event::Turned { probe, up, when, seen } => Event::Turned { probe, up, when: between(when), seen },
        Event::Effective { id, when, seen } => Event::Effective { id, when: between(when), seen },
        Event::Recovered { id, when } => Event::Recovered { id, when: between(when) },
        Event::Undone { id, when, seen } => Event::Undone { id, when: between(when), seen },
        Event::SteadyAfter { since } => Event::SteadyAfter { since: since + by },
        other => other,
    }
}

fn anchor(at: At) -> ClockAnchor {
    let wall = jiff::Timestamp::from_second(1_790_000_000).expect("a wall time") + Span(at.0).std();
    let mono_ns = 5_000_000_000_000 + at.0;
    ClockAnchor { boot_id: "3b9c4f0e-6c5e-4f57-9d8e-5a2f6c1d7e10".into(), mono_ns, boottime_ns: mono_ns, wall: wall.to_string() }
}

fn plan(hours: u64) -> (Plan, String) {
    let text = SCENARIO.replace("AT", &format!("{}s", (hours - 1) * HOUR + 1_200));
    let read = firedrill::scenario::read(text.as_bytes(), "day.yaml", known(), &IndexMap::new(), &|_| Err("no workload".into()));
    let read = read.unwrap_or_else(|found| panic!("{}", firedrill::scenario::render_all(&found, false)));
    let findings = read.documents.diagnose(firedrill::scenario::check(&read.scenario, known()));
    assert!(!findings.iter().any(firedrill::scenario::Diagnostic::is_error), "{}", firedrill::scenario::render_all(&findings, false));
    let origin = Origin {
        name: "day".into(),
        base_dir: "/".into(),
        scenario_digest: digest_of(text.as_bytes()),
        workload_digest: None,
        mode: Mode::Normal,
    };
    (build(&read.scenario, known(), origin), text)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let Some(dir) = words.first() else {
        let _ = writeln!(std::io::stderr(), "benches/day.py measures; this writes what it reports: cargo bench --bench day -- DIR [HOURS]");
        return;
    };
    let hours: u64 = words.get(1).map_or(24, |word| word.parse().expect("hours"));
    assert!(hours > TOLD, "five hours at least: two to begin with, one to repeat, once or more, and one to end with");
    let (plan, text) = plan(hours);
    let (plan_text, digest) = plan.to_text().expect("a plan is text");
    let run = "01DAY0F0NE00000000000000AA";
    let place = store::create(Path::new(dir), run, &plan_text, text.as_bytes(), None).expect("a run directory");
    let probe = &plan.probes[0];
    let mut hearing = Hearing {
        journal: Journal::create(&place, RunLock::take(&place).expect("the run's lock")).expect("a journal"),
        thinner: Thinner::new(probe.rate.interval(), probe.timeout).expect("a fast probe"),
        later: (Span::ZERO, 0),
        hour: None,
        runs: 0,
        singly: 0,
        inside: 0,
    };
    tell(&mut hearing, hours, digest, run);
    let _ = writeln!(
        std::io::stdout(),
        "{{\"run\": \"{}\", \"samples\": {}, \"singly\": {}, \"runs\": {}}}",
        place.display(),
        hearing.singly + hearing.inside,
        hearing.singly,
        hearing.runs + usize::try_from(hours - TOLD).unwrap_or(0) * RUNS
    );
}

/// From the first line to the last.
fn tell(to: &mut Hearing, hours: u64, digest: firedrill::base::Digest, run: &str) {
    let second = |s: u64| BEGIN + Span::secs(s);
    let id = || "lose-primary".to_owned();
    let started =
        Event::RunStarted { schema: SCHEMA, firedrill: env!("CARGO_PKG_VERSION").into(), run: run.into(), plan_digest: digest, pid: 4_711 };
    to.happens(At(0), started);
    to.keep(At(1_000), Event::Anchor(anchor(At(1_000))));
    to.happens(At(20_000_000), Event::WatchdogStarted { pid: 4_712 });
    to.happens(At(1_000_000_000), Event::BaselineStarted {});
    let undo =
        UndoRecord { kind: "command".into(), detail: serde_json::json!({ "run": ["true"] }), by_hand: "true".into(), declared: None };
    // What is told one by one lasts four hours. The hour that is repeated begins and ends within them, before the fault.
    let (effect, end) = ((TOLD - 1) * HOUR + 1_200 + 30, TOLD * HOUR);
    let (down, back) = (second(effect) + Span::millis(113), second(effect) + Span::millis(113) + DOWN);
    let just = |at: At| Interval::new(at.minus(Span::millis(10)), at);
    let ms = Span::millis;
    let before = |ms: u64| second(effect).minus(Span::millis(ms));
    let targets = vec!["the primary".to_owned()];
    let mut events = vec![
        (second(30) + ms(60), Event::SteadyShown { since: second(0), summary: "web 100 %, p99 4 ms, served by a".into() }),
        (
            before(60),
            Event::Previewed { id: id(), targets: targets.clone(), population: None, summary: "runs true".into(), by_hand: "true".into() },
        ),
        (before(50), Event::Armed { id: id(), role: Role::Fault, undo: Box::new(undo), targets, summary: "runs true".into() }),
        (before(40), Event::Injecting { id: id() }),
        (before(20), Event::Injected { id: id() }),
        (second(effect), Event::Effective { id: id(), when: just(second(effect)), seen: "exit 0".into() }),
        (down + ms(3), Event::Turned { probe: "web".into(), up: false, when: just(down), seen: "connection refused".into() }),
        (back + ms(53), Event::Turned { probe: "web".into(), up: true, when: just(back), seen: "answering again, served by b".into() }),
        (back + Span::secs(37), Event::Recovered { id: id(), when: just(back) }),
        (second(effect + 2_280), Event::Undoing { id: id(), attempt: 1, why: "held 38 min".into() }),
        (second(effect + 2_280) + ms(30), Event::Undone { id: id(), when: just(second(effect + 2_280) + ms(30)), seen: "exit 0".into() }),
        (second(effect + 2_280) + ms(31), Event::SettleStarted {}),
        (second(effect + 2_311), Event::SteadyAfter { since: second(effect + 2_281) }),
    ]
    .into_iter()
    .peekable();
    let interval = Span(1_000_000_000 / RATE);
    let (mut dice, mut n, mut anchored) = (Dice(0x9E37_79B9_7F4A_7C15), 0, At(1_000_001_000));
    let mut now = BEGIN;
    let (mut begun, mut last) = (None, 0);
    let mut repeated = false;
    while n < end * RATE {
        now = now + BATCH;
        let mut rows = Vec::with_capacity(512);
        while n < end * RATE && BEGIN + interval.times(n) < now {
            let planned = BEGIN + interval.times(n);
            let woken = planned + dice.took(35_000.0, 0.4);
            let sent = woken + dice.took(6_000.0, 0.3);
            let gone = planned >= down && planned < back;
            let took = if gone { dice.took(90_000.0, 0.3) } else { dice.took(1_000_000.0, 0.6) };
            rows.push(Sample {
                n,
                planned,
                woken,
                sent,
                done: sent + took,
                verdict: if gone { Verdict::Bad } else { Verdict::Ok },
                class: if gone { Class::Refused } else { Class::Ok },
                by: (!gone).then(|| if planned < down { "a".into() } else { "b".into() }),
                note: gone.then(|| "connection refused".into()),
                legs: Default::default(),
            });
            n += 1;
        }
        let kept = to.thinner.push(rows);
        to.write(now, kept);
        while let Some((at, event)) = events.next_if(|(at, _)| *at <= now) {
            to.happens(at, event);
        }
        if now >= anchored {
            to.keep(now, Event::Anchor(anchor(now)));
            anchored = now + Span::secs(1);
        }
        // The repeated hour starts and ends right after a run, well past the start and well before the fault.
        match begun {
            None if now > second(2 * HOUR + 120) && to.runs > last => {
                begun = Some(to.runs);
                to.hour = Some(Vec::new());
            }
            Some(runs) if !repeated && to.runs == runs + RUNS => {
                repeated = true;
                to.again(hours - TOLD);
            }
            _ => {}
        }
        last = to.runs;
    }
    assert!(repeated, "no quiet hour");
    let kept = to.thinner.end();
    to.write(now, kept);
    to.happens(now, Event::ProbesStopped {});
    to.happens(now + Span::millis(5), Event::RunFinished { outcome: Outcome::Completed });
}
