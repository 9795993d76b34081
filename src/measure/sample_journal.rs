//! Journals for tests: a simulated service that is up and down over time, a prober that watches it, and a drill around both.

use serde_json::Value;

use crate::base::{At, Id, Interval, Percent, Rate, Span, digest_of};
use crate::event::{Class, ClockAnchor, Entry, Event, Legs, Outcome, Role, Sample, UndoRecord, Verdict};
use crate::plan::{
    ClaimPlan, Environment, Expect, FaultPlan, Hold, Map, MaxSpan, Mode, Moment, Plan, Point, ProbePlan, RtoFrom, RtoPlan, SteadyBounds,
    SteadyPlan, TestKind,
};
use crate::scenario::model::MinShare;

use super::facts::{ClaimFacts, Facts, Judged};

pub(super) fn ms(n: u64) -> At {
    At(n * 1_000_000)
}

pub(super) fn id(text: &str) -> Id {
    text.parse().unwrap()
}

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Refuse,
    Hang,
}

/// A service over time, and the prober that asks it.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    /// Nanoseconds in which it is down, in order.
    pub down: Vec<(u64, u64)>,
    pub how: How,
    pub interval: u64,
    pub timeout: u64,
    pub phase: u64,
    /// Service time of sample n.
    pub took: fn(u64) -> u64,
    /// Lateness of sample n.
    pub lag: fn(u64) -> u64,
    pub end: u64,
    /// Answers from here on come from `b`.
    pub takes_over: Option<u64>,
}

impl Sim {
    pub fn ms(down: &[(u64, u64)], end: u64) -> Sim {
        Sim {
            down: down.iter().map(|(a, b)| (a * 1_000_000, b * 1_000_000)).collect(),
            how: How::Refuse,
            interval: 50_000_000,
            timeout: 800_000_000,
            phase: 3_000_000,
            took: |_| 10_000_000,
            lag: |_| 0,
            end: end * 1_000_000,
            takes_over: down.first().map(|(_, up)| up * 1_000_000),
        }
    }

    /// The verdict falls at arrival, half of the service time after sending.
    pub fn sample(&self, n: u64) -> Sample {
        let planned = At(self.phase + n * self.interval);
        let sent = At(planned.0 + (self.lag)(n));
        let took = (self.took)(n);
        let arrives = sent.0 + took / 2;
        let down = self.down.iter().any(|(from, to)| (*from..*to).contains(&arrives));
        let (verdict, class, took) = match (down, self.how) {
            (false, _) => (Verdict::Ok, Class::Ok, took.min(self.timeout)),
            (true, How::Refuse) => (Verdict::Bad, Class::Refused, took),
            (true, How::Hang) => (Verdict::Bad, Class::Timeout, self.timeout),
        };
        // A hanging question was connected, and waits for its answer.
        let first_byte = (class == Class::Ok).then_some(Span(took / 2));
        let legs = Legs::of([None, (class != Class::Refused).then_some(Span(took / 8)), None, first_byte]);
        let who = if self.takes_over.is_some_and(|at| sent.0 >= at) { "b" } else { "a" };
        let by = (verdict == Verdict::Ok).then(|| who.into());
        Sample { n, planned, woken: sent, sent, done: At(sent.0 + took), verdict, class, by, note: None, legs }
    }

    pub fn samples(&self) -> Vec<Sample> {
        (0..).map(|n| self.sample(n)).take_while(|s| s.planned.0 < self.end).collect()
    }
}

pub(super) fn probe_plan(kind: &str, interval_ms: f64, timeout: Span) -> ProbePlan {
    ProbePlan {
        kind: kind.into(),
        spec: Value::Null,
        rate: Rate::per_second(1000.0 / interval_ms).unwrap(),
        timeout,
        expect: Expect::new(),
        served_by: None,
        control: false,
        together: None,
        in_flight: 32,
        ledger: kind.starts_with("ledger."),
        clean_up: false,
    }
}

pub(super) fn claim(fault: &str) -> ClaimPlan {
    ClaimPlan {
        fault: id(fault),
        service: None,
        disruption: None,
        measured_by: vec![id("checkout")],
        rto: Some(RtoPlan { max: Span::secs(10), from: RtoFrom::Effect }),
        rpo: None,
        availability: None,
        latency: None,
        by: None,
        holds: Map::new(),
        source: None,
    }
}

pub(super) fn fault_plan(kind: &str) -> FaultPlan {
    FaultPlan {
        kind: kind.into(),
        spec: Value::Null,
        at: Moment { after: Point::Steady, plus: Span::secs(5) },
        hold: Hold::Once,
        confirm: None,
        confirm_every: Span::millis(50),
        confirm_within: Span::secs(5),
        recovery_within: Span::secs(60),
        stable_for: Span::secs(3),
        recovered_by: vec![id("checkout")],
        undo: None,
        on: None,
    }
}

/// One probe `checkout`, one fault `lose-primary`, one claim `back-soon` of ten seconds.
pub(super) fn plan() -> Plan {
    let success = Some(MinShare { min: Percent::of_fraction(0.995).unwrap() });
    let bounds = SteadyBounds { success, p99: Some(MaxSpan { max: Span::millis(300) }), ..SteadyBounds::default() };
    Plan {
        schema: 1,
        name: "demo".into(),
        base_dir: "/".into(),
        title: "The primary is lost".into(),
        why: None,
        owner: None,
        environment: Environment::Test,
        test: TestKind::Recovery,
        aws: None,
        mode: Mode::Normal,
        scenario_digest: digest_of(b"x"),
        workload_digest: None,
        secrets: Map::new(),
        system: Map::new(),
        proxies: Map::new(),
        targets: Map::new(),
        probes: Map::from([(id("checkout"), probe_plan("http", 50.0, Span::millis(800)))]),
        steady: SteadyPlan { over: Span::secs(5), probes: Map::from([(id("checkout"), bounds)]) },
        guards: Map::new(),
        faults: Map::from([(id("lose-primary"), fault_plan("process.kill"))]),
        restore: Map::new(),
        claims: Map::from([(id("back-soon"), claim("lose-primary"))]),
        subject: Map::new(),
        baseline_within: Span::secs(60),
        settle_within: Span::secs(60),
        reset: None,
        not_judged: Vec::new(),
        notify: Map::default(),
        team: None,
        carried: Default::default(),
        policy: None,
        pins: None,
    }
}

/// A journal that is put together out of order.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    events: Vec<(At, Event)>,
}

impl Journal {
    /// Start, anchor, baseline, steady state after 5 s.
    pub fn new() -> Journal {
        let anchor = ClockAnchor { boot_id: "boot".into(), mono_ns: 77_000, boottime_ns: 77_000, wall: "2026-01-01T00:00:00Z".into() };
        Journal::default()
            .at(0, Event::RunStarted { schema: 1, firedrill: "0.1.0".into(), run: "01X".into(), plan_digest: digest_of(b"p"), pid: 1 })
            .at(0, Event::Anchor(anchor))
            .at(0, Event::BaselineStarted {})
            .at(5_000, Event::SteadyShown { since: At(0), summary: "checkout 100 %".into() })
    }

    pub fn at(mut self, at_ms: u64, event: Event) -> Journal {
        self.events.push((ms(at_ms), event));
        self
    }

    pub fn samples(mut self, probe: &str, rows: &[Sample]) -> Journal {
        for batch in rows.chunks(7) {
            let at = batch.iter().map(|s| s.done).max().unwrap();
            self.events.push((at, Event::Samples { probe: probe.into(), rows: batch.to_vec() }));
        }
        self
    }

    pub fn armed(self, fault: &str, at_ms: u64) -> Journal {
        let undo = Box::new(UndoRecord { kind: "process.kill".into(), detail: Value::Null, by_hand: "start a".into(), declared: None });
        let (targets, summary) = (vec!["a, pid 7".into()], "SIGKILL to a, pid 7".into());
        self.at(at_ms, Event::Armed { id: fault.into(), role: Role::Fault, undo, targets, summary })
            .at(at_ms, Event::Injecting { id: fault.into() })
            .at(at_ms + 1, Event::Injected { id: fault.into() })
    }

    /// Armed, called and acknowledged at `at_ms`; seen to bite within `(eff.0, eff.1]`.
    pub fn fault(self, fault: &str, at_ms: u64, eff: (u64, u64)) -> Journal {
        let when = Interval::new(ms(eff.0), ms(eff.1));
        self.armed(fault, at_ms).at(eff.1, Event::Effective { id: fault.into(), when, seen: "gone".into() })
    }

    pub fn undo(self, fault: &str, at_ms: u64) -> Journal {
        let when = Interval::new(ms(at_ms + 5), ms(at_ms + 10));
        self.at(at_ms, Event::Undoing { id: fault.into(), attempt: 1, why: "held".into() })
            .at(at_ms + 10, Event::Undone { id: fault.into(), when, seen: "back".into() })
    }

    pub fn finish(self, at_ms: u64) -> Journal {
        self.at(at_ms, Event::SettleStarted {})
            .at(at_ms, Event::SteadyAfter { since: ms(at_ms) })
            .at(at_ms, Event::ProbesStopped {})
            .at(at_ms, Event::RunFinished { outcome: Outcome::Completed })
    }

    pub fn entries(&self) -> Vec<Entry> {
        let mut events = self.events.clone();
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().enumerate().map(|(i, (at, event))| Entry { seq: i as u64, at, event }).collect()
    }

    pub fn facts(&self, plan: &Plan) -> Facts {
        super::facts(plan, &self.entries())
    }
}

/// A whole drill of one fault at 10 s with effect 2 ms later; undone at `undo_ms`.
pub(super) fn drill(sim: &Sim, undo_ms: u64) -> Journal {
    let end = sim.end / 1_000_000 + 1_000;
    Journal::new()
        .samples("checkout", &sim.samples())
        .fault("lose-primary", 10_000, (10_001, 10_002))
        .undo("lose-primary", undo_ms)
        .finish(end)
}

pub(super) fn claim_of(facts: &Facts) -> &ClaimFacts {
    &facts.claims["back-soon"]
}

pub(super) fn rto(facts: &Facts) -> (Judged, &str) {
    let rto = claim_of(facts).rto.as_ref().unwrap();
    (rto.part.verdict, &rto.part.why)
}

pub(super) fn span(n: u64) -> Span {
    Span::millis(n)
}
