//! Whole drills with people, on a clock that stands still between any two things that happen: the engine's own decisions, cues and admissions, stepped
//! through a made-up world in which a fault bites, a system heals, alerts fire and people speak at given seconds. What comes of each is kept as a journal
//! and a report under `tests/drills`; `FIREDRILL_BLESS=1` writes them anew, then look at what changed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use firedrill::base::{At, ClockAnchor, Interval, Span, digest_of, line_sum};
use firedrill::cli::known::known;
use firedrill::engine::cues::{self, Ask};
use firedrill::engine::decide::{Effect, decide};
use firedrill::engine::moments::news;
use firedrill::engine::people::{Saying, admit};
use firedrill::event::{AlertSeen, Class, Deed, Entry, Event, Outcome, Role, Sample, TeamEvent, UndoRecord, Verdict as Good};
use firedrill::plan::{self, Mode, Origin, Plan};
use firedrill::report::{self, Report};
use firedrill::response::{Response, Turn, Verdict};
use firedrill::score::{Score, score};
use firedrill::state::RunState;
use firedrill::{measure, scenario};

/// The database is lost 15 s into the drill, five after steady state was shown, and held for a minute.
const SCENARIO: &str = r#"firedrill: 1
title: The shop loses its database
environment: staging
probes:
  shop: { http: { url: "http://127.0.0.1:9/" }, rate: 1/s, timeout: 500ms }
steady_state: { over: 10s, probes: { shop: { success: { min: 90% } } } }
faults:
  lose-database: { rehearse.nothing: {}, at: 5s, for: 60s }
recovery: { within: 3m, stable_for: 5s }
team:
  roles: { facilitator: [alice], safety: [bob], commander: [carol], ops: [dan], comms: [erin], dba: [gina] }
  signals: { paging: { alertmanager: { url: "http://127.0.0.1:9093" } } }
  expect:
    detected: { alert: { labels: { alertname: DatabaseDown } }, within: 30s }
    acknowledged: { ack: {}, within: 60s, from: detected }
    diagnosed: { answer: { ask: "What is broken?", matches: "(?i)database" }, by: ops, within: 2m }
    mitigated: { step: shop#fail-over, by: ops, within: 2m, from: acknowledged }
  wrong_turns:
    restarted: { step: shop#restart, when: { before: diagnosed }, teaches: "A restart drops the last good connections." }
"#;

const EFFECT: u64 = 15;

fn s(seconds: f64) -> At {
    At((seconds * 1e9) as u64)
}

fn plan_of(text: &str, mode: Mode) -> Plan {
    let nothing = |_: &str| Err("no workload".to_owned());
    let read = scenario::read(text.as_bytes(), "shop.yaml", known(), &Default::default(), &nothing);
    let read = read.unwrap_or_else(|problems| panic!("{}", scenario::diagnostic::render_all(&problems, false)));
    let found = scenario::check::check(&read.scenario, known());
    let errors: Vec<_> = found.iter().filter(|finding| finding.severity == scenario::finding::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let origin = Origin {
        name: "shop".into(),
        base_dir: "/drills".into(),
        scenario_digest: digest_of(text.as_bytes()),
        workload_digest: None,
        mode,
    };
    plan::build(&read.scenario, known(), origin)
}

/// Something that happens by itself.
#[derive(Debug, Clone)]
enum Move {
    /// Somebody says something, as that role; by their own word so many seconds ago.
    Says(&'static str, Option<u64>, Deed),
    /// Somebody who leads, or anybody, asks for something.
    Asks(&'static str, Ask),
    /// An alert begins to fire, or ends.
    Alert(&'static str, bool),
    /// The system is steady again.
    Heals,
    /// It happens.
    Event(Box<Event>),
    /// A step of the engine ends.
    Done(String),
}

/// A drill that is to be.
struct Drill {
    name: &'static str,
    scenario: String,
    mode: Mode,
    heals: f64,
    moves: Vec<(f64, Move)>,
}

fn drill(name: &'static str) -> Drill {
    Drill { name, scenario: SCENARIO.into(), mode: Mode::Normal, heals: 70.0, moves: Vec::new() }
}

impl Drill {
    fn with(mut self, lines: &str) -> Drill {
        self.scenario.push_str(lines);
        self
    }

    fn replacing(mut self, from: &str, to: &str) -> Drill {
        assert!(self.scenario.contains(from), "{from}");
        self.scenario = self.scenario.replace(from, to);
        self
    }

    fn at(mut self, seconds: f64, what: Move) -> Drill {
        self.moves.push((seconds, what));
        self
    }

    fn alert(self, seconds: f64) -> Drill {
        self.at(seconds, Move::Alert("DatabaseDown", true))
    }

    fn says(self, seconds: f64, role: &'static str, deed: Deed) -> Drill {
        self.at(seconds, Move::Says(role, None, deed))
    }

    fn ack(self, seconds: f64, role: &'static str) -> Drill {
        self.says(seconds, role, Deed::Mark { mark: "ack".into(), text: String::new() })
    }

    fn step(self, seconds: f64, step: &str) -> Drill {
        self.says(seconds, "ops", Deed::Step { step: step.into(), back_out: false })
    }

    fn answer(self, seconds: f64) -> Drill {
        self.says(seconds, "ops", Deed::Answer { of: None, text: "the database".into() })
    }

    fn asks(self, seconds: f64, account: &'static str, ask: Ask) -> Drill {
        self.at(seconds, Move::Asks(account, ask))
    }

    /// Everything as it should be, but for what is asked for beside.
    fn good(self) -> Drill {
        self.alert(20.0).ack(30.0, "ops").answer(50.0).step(60.0, "shop#fail-over")
    }

    fn run(mut self) -> Ran {
        let plan = plan_of(&self.scenario, self.mode);
        let mut moves = std::mem::take(&mut self.moves);
        moves.push((self.heals, Move::Heals));
        let mut world = World {
            state: RunState::default(),
            log: Vec::new(),
            now: At(0),
            busy: BTreeSet::new(),
            later: BTreeMap::new(),
            bad: false,
            samples: 0,
            refused: Vec::new(),
            plan,
        };
        for (seconds, what) in moves {
            world.after(s(seconds), what);
        }
        world.run();
        let facts = measure::facts(&world.plan, &world.log);
        let score = score(&world.plan, &facts);
        Ran { name: self.name, world, facts, score }
    }
}

struct World {
    plan: Plan,
    state: RunState,
    log: Vec<Entry>,
    now: At,
    busy: BTreeSet<String>,
    later: BTreeMap<(At, usize), Move>,
    /// The probe's answers are bad.
    bad: bool,
    samples: u64,
    refused: Vec<String>,
}

impl World {
    fn record(&mut self, event: Event) {
        let entry = Entry { seq: self.log.len() as u64, at: self.now, event };
        self.state.apply(&entry).unwrap_or_else(|illegal| panic!("{illegal}"));
        self.log.push(entry);
    }

    fn after(&mut self, at: At, what: Move) {
        let n = self.later.len() + self.log.len();
        self.later.insert((at, n), what);
    }

    fn begin(&mut self) {
        let (digest, run) = (digest_of(b"plan"), "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned());
        self.record(Event::RunStarted { schema: 1, firedrill: "0.0.0".into(), run, plan_digest: digest, pid: 1 });
        let wall = "2026-11-19T09:30:00Z".to_owned();
        self.record(Event::Anchor(ClockAnchor { boot_id: "boot".into(), mono_ns: 1_000_000_000, boottime_ns: 1_000_000_000, wall }));
        if self.plan.is_blind() {
            let shown_as = self.plan.shown().to_owned();
            self.record(Event::Team(TeamEvent::Blind { shown_as, apart: true, doubts: Vec::new() }));
        }
        self.record(Event::Team(TeamEvent::Listening { place: "/registry/people/01ARZ/socket".into() }));
    }

    /// Steps of a tenth of a second, as the engine's own.
    fn run(&mut self) {
        self.begin();
        loop {
            while let Some(next) = self.later.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= self.now) {
                let what = self.later.remove(&next).unwrap();
                self.happens(what);
            }
            loop {
                let decision = decide(&self.plan, &self.state, &self.busy, self.now);
                if decision.effects.is_empty() {
                    break;
                }
                decision.effects.into_iter().for_each(|effect| self.effect(effect));
            }
            if self.state.outcome.is_some() {
                return;
            }
            if self.state.steady_at.is_some() {
                for event in news(&self.plan, &self.state, self.now) {
                    self.record(Event::Team(event));
                }
            }
            self.sample();
            self.now = self.now + Span::millis(100);
            assert!(self.now < s(3_600.0), "no end");
        }
    }

    fn sample(&mut self) {
        let second = At(self.now.0 / 1_000_000_000 * 1_000_000_000);
        if self.state.baseline_at.is_none() || self.state.probes_stopped || second.0 / 1_000_000_000 < self.samples || second != self.now {
            return;
        }
        let (verdict, class) = if self.bad { (Good::Bad, Class::Refused) } else { (Good::Ok, Class::Ok) };
        let (woken, sent, done) = (self.now, self.now, self.now + Span::millis(10));
        let row = Sample {
            n: self.samples,
            planned: self.now,
            woken,
            sent,
            done,
            verdict,
            class,
            by: None,
            note: None,
            legs: Default::default(),
        };
        self.samples += 1;
        self.record(Event::Samples { probe: "shop".into(), rows: vec![row] });
    }

    fn happens(&mut self, what: Move) {
        if self.state.outcome.is_some() {
            return;
        }
        match what {
            Move::Says(role, ago, deed) => {
                let team = self.plan.team.clone().unwrap();
                let who = team.roles[role][0].clone();
                let by = format!("{who} (uid {})", 1_000 + who.len());
                let saying = Saying { role: Some(role.into()), ago: ago.map(|s| s as i64 * 1_000_000_000), deed };
                let heard =
                    admit(&team, &[], (&who, &by), saying, self.now).and_then(|said| cues::hear(&self.plan, &self.state, said, self.now));
                match heard {
                    Ok(said) => self.record(Event::Team(TeamEvent::Said(said))),
                    Err(why) => self.refused.push(why),
                }
            }
            Move::Asks(account, ask) => {
                let team = self.plan.team.clone().unwrap();
                let may = ask.of_leaders().map_or(Ok(String::new()), |word| cues::leads(&team, account, false, None, word));
                let by = may.map(|role| if role.is_empty() { account.to_owned() } else { format!("{account}, as {role}") });
                match by.and_then(|by| cues::order(&self.plan, &self.state, &ask, &by, self.now)) {
                    Ok(events) => events.into_iter().for_each(|event| self.record(event)),
                    Err(why) => self.refused.push(why),
                }
            }
            Move::Alert(name, firing) => {
                let labels = BTreeMap::from([("alertname".to_owned(), name.to_owned())]);
                let when = Interval::new(At(self.now.0.saturating_sub(1_000_000_000)), self.now);
                let (source, kind) = ("paging".to_owned(), "alertmanager".to_owned());
                let seen = AlertSeen {
                    source,
                    kind,
                    name: name.into(),
                    labels,
                    key: name.into(),
                    firing,
                    when,
                    starts_at: None,
                    starts: None,
                    pushed: false,
                };
                self.record(Event::Team(TeamEvent::Alert(seen)));
            }
            Move::Heals => {
                self.bad = false;
                let open = |id: &str| self.state.items.get(id).is_some_and(|item| item.effective.is_some() && item.recovered_at.is_none());
                if open("lose-database") {
                    let when = Interval::exact(self.now);
                    let recovered = Event::Recovered { id: "lose-database".into(), when };
                    self.after(self.now + Span::secs(5), Move::Event(Box::new(recovered)));
                }
            }
            Move::Event(event) => {
                self.record(*event);
            }
            Move::Done(key) => drop(self.busy.remove(&key)),
        }
    }

    fn effect(&mut self, effect: Effect) {
        let exact = Interval::exact(self.now);
        match effect {
            Effect::Preview(id) => {
                let (targets, summary) = (vec!["the database".into()], "the database is lost".into());
                self.record(Event::Previewed { id: id.to_string(), targets, population: None, summary, by_hand: "true".into() });
            }
            Effect::StartProbes => {
                self.record(Event::BaselineStarted {});
                self.record(Event::Team(TeamEvent::SourceReached { source: "paging".into(), looked: self.now }));
                let steady = Event::SteadyShown { since: self.now, summary: "shop 100 %".into() };
                self.after(self.now + Span::secs(10), Move::Event(Box::new(steady)));
            }
            Effect::Inject(id) => {
                let undo =
                    UndoRecord { kind: "rehearse.nothing".into(), detail: serde_json::json!({}), by_hand: "true".into(), declared: None };
                let (id, summary) = (id.to_string(), "the database is lost".to_owned());
                self.record(Event::Armed {
                    id: id.clone(),
                    role: Role::Fault,
                    undo: Box::new(undo),
                    targets: vec!["the database".into()],
                    summary,
                });
                self.record(Event::Injecting { id: id.clone() });
                self.record(Event::Injected { id });
            }
            Effect::Confirm(id) => {
                self.bad = true;
                self.record(Event::Effective { id: id.to_string(), when: exact, seen: "the database refuses connections".into() });
            }
            Effect::Undo(id, attempt, why) => {
                self.record(Event::Undoing { id: id.clone(), attempt, why });
                self.busy.insert(id.clone());
                let undone =
                    Event::Undone { id: id.clone(), when: Interval::new(self.now, self.now + Span::millis(100)), seen: "verified".into() };
                self.after(self.now + Span::millis(100), Move::Event(Box::new(undone)));
                self.after(self.now + Span::millis(100), Move::Done(id));
            }
            Effect::StartSettle => {
                self.record(Event::SettleStarted {});
                self.after(self.now + Span::secs(10), Move::Event(Box::new(Event::SteadyAfter { since: self.now })));
            }
            Effect::MissRecovery(id) => self.record(Event::NotRecovered { id: id.to_string(), why: "shop was not back".into() }),
            Effect::Skip(id, why) => self.record(Event::NotRun { id: id.to_string(), why }),
            Effect::StopProbes => self.record(Event::ProbesStopped {}),
            Effect::Finish(outcome) => self.record(Event::RunFinished { outcome }),
            other => panic!("not in these drills: {other:?}"),
        }
    }
}

/// What came of a drill.
struct Ran {
    name: &'static str,
    world: World,
    facts: measure::facts::Facts,
    score: Score,
}

impl Ran {
    fn team(&self) -> &Response {
        &self.facts.team
    }

    fn verdicts(&self) -> Vec<(&str, Verdict)> {
        self.team().expectations.iter().map(|(id, e)| (id.as_str(), e.verdict)).collect()
    }

    #[track_caller]
    fn expect(&self, id: &str, verdict: Verdict, why: &str) {
        let e = &self.team().expectations[id];
        assert!(e.verdict == verdict && e.why.contains(why), "{}: {id} is {:?}: {}", self.name, e.verdict, e.why);
    }

    /// As the journal of a real run, line by line with its checksums.
    fn journal(&self) -> String {
        let mut sum = String::new();
        let mut out = String::new();
        for entry in &self.world.log {
            let body = serde_json::to_string(entry).unwrap();
            sum = line_sum(&sum, &body);
            out.push_str(&format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1]));
        }
        out
    }

    fn report(&self) -> Report<'_> {
        Report::new(&self.world.plan, &self.facts, &self.score)
    }

    /// Kept as it was, and in every form what is promised.
    fn golden(self) -> Ran {
        let dir = home().join(self.name);
        let bless = std::env::var("FIREDRILL_BLESS").is_ok();
        for (file, text) in [("events.jsonl", self.journal()), ("report.md", report::markdown::render(&self.report()))] {
            let path = dir.join(file);
            if bless {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            let differs = kept.lines().zip(text.lines()).find(|(a, b)| a != b);
            assert!(kept == text, "{}: FIREDRILL_BLESS=1 writes it anew\n{differs:#?}", path.display());
        }
        let validator = jsonschema::validator_for(&report::json::schema()).unwrap();
        let value = report::json::value(&self.report());
        let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", self.name);
        assert!(report::html::render(&self.report()).contains("</html>"));
        assert!(self.world.state.owed().next().is_none(), "{} owes something", self.name);
        self
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drills")
}

const PROMPTS: &str = r#"  prompts:
    customer: { at: { after: acknowledged, plus: 20s }, to: comms, say: "A customer asks whether orders are lost.", expect: { reply: { matches: "(?i)no" }, within: 60s } }
    plane: { to: facilitator, say: "The commander is on a plane.", unavailable: commander }
  hints:
    look: { at: { after: effective, plus: 30s }, unless: diagnosed, say: "Look at errors by destination." }
    extra: { say: "The primary does not answer." }
"#;

fn prompt(id: &str) -> Ask {
    Ask::Prompt { id: id.into() }
}

fn reply(text: &str) -> Deed {
    Deed::Reply { of: None, text: text.into() }
}

#[test]
fn on_time_late_missed_and_out_of_order() {
    let ran = drill("on-time").good().run().golden();
    assert_eq!(ran.verdicts(), ["detected", "acknowledged", "diagnosed", "mitigated"].map(|id| (id, Verdict::OnTime)));
    assert_eq!((ran.score.exit_code, ran.team().wrong_turns["restarted"].turn), (0, Turn::Avoided), "{:?}", ran.score.system_why);
    let ran = drill("late").alert(50.0).ack(130.0, "ops").answer(140.0).step(150.0, "shop#fail-over").run().golden();
    ran.expect("detected", Verdict::Late, "expected within 30 s");
    ran.expect("acknowledged", Verdict::Late, "after detected; expected within 60 s");
    ran.expect("mitigated", Verdict::OnTime, "20 s after acknowledged");
    assert_eq!(ran.score.exit_code, 32);
    let ran = drill("missed").run().golden();
    assert_eq!(ran.verdicts(), ["detected", "acknowledged", "diagnosed", "mitigated"].map(|id| (id, Verdict::Missed)));
    // Each is waited for until it is due, counted from when the one before it was.
    assert!(ran.world.log.last().unwrap().at >= s(15.0 + 30.0 + 60.0 + 120.0));
    let ran = drill("wrong-order").alert(20.0).step(25.0, "shop#fail-over").ack(30.0, "ops").answer(50.0).run().golden();
    assert!(ran.team().expectations["mitigated"].out_of_order);
    ran.expect("mitigated", Verdict::OnTime, "out of order: it came before acknowledged");
}

#[test]
fn hints_that_were_due_and_that_were_released() {
    let late = drill("hinted").with(PROMPTS).alert(20.0).ack(30.0, "ops").answer(55.0).step(60.0, "shop#fail-over").says(
        60.0,
        "comms",
        reply("no"),
    );
    let ran = late.run().golden();
    ran.expect("diagnosed", Verdict::Late, "but only after a hint");
    assert_eq!(ran.team().cues.hints["look"], s(EFFECT as f64 + 30.0));
    let early = drill("released").with(PROMPTS).alert(20.0).ack(30.0, "ops").answer(42.0).step(60.0, "shop#fail-over");
    let early = early.asks(31.0, "alice", prompt("customer")).asks(32.0, "alice", prompt("customer")).asks(
        33.0,
        "dan",
        Ask::Hint { id: "extra".into() },
    );
    let early = early.asks(34.0, "bob", Ask::Hint { id: "extra".into() }).says(35.0, "comms", reply("No, none."));
    let ran = early.run().golden();
    ran.expect("customer", Verdict::OnTime, "4 s after the prompt customer");
    ran.expect("diagnosed", Verdict::OnTime, "");
    assert!(!ran.team().cues.hints.contains_key("look"), "it was known by then");
    assert_eq!(ran.world.refused.len(), 2, "{:#?}", ran.world.refused);
    assert!(ran.world.refused[0].starts_with("the prompt `customer` was given at 00:31"), "{:#?}", ran.world.refused);
    assert!(ran.world.refused[1].starts_with("hint is for facilitator and safety"), "{:#?}", ran.world.refused);
}

#[test]
fn wrong_turns_that_were_taken_and_taken_back() {
    let ran = drill("wrong-turn-taken").good().step(40.0, "shop#restart").run().golden();
    let turn = &ran.team().wrong_turns["restarted"];
    assert_eq!((turn.turn, turn.lost), (Turn::Taken, Some(Span::secs(10))));
    let back = Deed::Step { step: "shop#restart".into(), back_out: true };
    let ran = drill("wrong-turn-backed-out").good().step(40.0, "shop#restart").says(44.0, "ops", back).run().golden();
    let turn = &ran.team().wrong_turns["restarted"];
    assert_eq!((turn.turn, turn.lost), (Turn::BackedOut, Some(Span::secs(4))));
    assert!(ran.score.findings.iter().any(|finding| finding.id == "team.wrong-turn.restarted"));
}

#[test]
fn hand_offs_and_marks_of_several() {
    let asked = drill("hand-off-not-accepted")
        .replacing("  wrong_turns:", "    escalated: { handoff: { to: dba }, by: ops, within: 60s }\n  wrong_turns:");
    let ran = asked.good().says(25.0, "ops", Deed::Handoff { to: "dba".into() }).run().golden();
    ran.expect("escalated", Verdict::Missed, "asked at 00:25, and dba never accepted");
    let ran = drill("two-at-once").good().ack(30.0, "comms").run().golden();
    assert_eq!(ran.team().expectations["acknowledged"].also.len(), 1);
    let ran = drill("before-onset").alert(20.0).ack(14.0, "ops").answer(50.0).step(60.0, "shop#fail-over").run().golden();
    ran.expect("acknowledged", Verdict::Missed, "only at 00:14, before the fault took effect: that is no response to it");
}

#[test]
fn alerts_that_fired_already_and_updates_that_were_left_out() {
    let ran = drill("firing-before").alert(8.0).ack(30.0, "ops").answer(50.0).step(60.0, "shop#fail-over").run().golden();
    ran.expect("detected", Verdict::NotObserved, "it was firing before lose-database took effect");
    assert_ne!(ran.score.exit_code, 0, "what nobody can say is no pass");
    let told = |drill: Drill, at: f64| drill.says(at, "comms", Deed::Message { to: "stakeholders".into(), text: "still at it".into() });
    let informed = "    informed: { message: stakeholders, by: comms, within: 20s, then_every: 15s }\n  wrong_turns:";
    let updates = [25.0, 38.0, 66.0].into_iter().fold(drill("update-left-out").replacing("  wrong_turns:", informed).good(), told);
    let ran = updates.run().golden();
    let repeats = ran.team().expectations["informed"].repeats.clone().unwrap();
    assert_eq!((repeats.due, repeats.missed), (3, vec![s(53.0)]));
    ran.expect("informed", Verdict::Missed, "1 of 3 repeats missed, the first due at 00:53");
}

#[test]
fn a_tabletop_touches_nothing_and_its_cues_are_real() {
    let table = Drill { mode: Mode::Tabletop, ..drill("tabletop").with(PROMPTS) };
    let ran = table.ack(20.0, "ops").says(45.0, "comms", reply("no")).answer(60.0).step(70.0, "shop#fail-over").run().golden();
    ran.expect("detected", Verdict::NotDue, "tabletop");
    ran.expect("acknowledged", Verdict::OnTime, "");
    ran.expect("customer", Verdict::OnTime, "5 s after the prompt customer");
    // What waits for the effect waits for calm: 10 s, and 30 s after that.
    assert_eq!(ran.team().cues.hints["look"], s(40.0));
    ran.expect("diagnosed", Verdict::Late, "but only after a hint");
    assert!(!ran.world.log.iter().any(|entry| matches!(entry.event, Event::Injecting { .. })));
    let page = report::markdown::render(&ran.report());
    assert!(page.contains("emonstration"), "{page}");
}

#[test]
fn an_abort_and_a_stop_for_something_real() {
    let abort = Event::AbortRequested { by: "dan".into(), reason: "enough".into() };
    let ran = drill("aborted").alert(20.0).at(40.0, Move::Event(Box::new(abort))).ack(41.0, "ops").run().golden();
    ran.expect("detected", Verdict::OnTime, "");
    ran.expect("acknowledged", Verdict::NotObserved, "aborted by dan at 00:40, before it was due");
    assert_eq!(ran.score.exit_code, 40);
    let blind = drill("stopped-for-real").replacing("team:\n", "team:\n  mode: blind\n  shown_as: Thursday exercise\n").alert(20.0);
    let ran = blind.asks(40.0, "erin", Ask::Stop { reason: "the real shop burns".into() }).run().golden();
    assert_eq!(ran.world.state.outcome, Some(Outcome::Aborted));
    let cues = &ran.team().cues;
    assert_eq!((cues.real.as_ref().map(|real| real.2.as_str()), cues.hidden()), (Some("the real shop burns"), false));
    ran.expect("acknowledged", Verdict::NotObserved, "before it was due");
    assert!(report::markdown::render(&ran.report()).contains("because of something real: the real shop burns"));
}

#[test]
fn a_blind_drill_says_so_and_when_it_was_revealed() {
    let blind = drill("blind").replacing("team:\n", "team:\n  mode: blind\n  shown_as: Thursday exercise\n").good();
    let ran = blind.asks(20.0, "dan", Ask::Reveal {}).asks(65.0, "alice", Ask::Reveal {}).run().golden();
    assert_eq!(ran.world.refused.len(), 1);
    let page = report::markdown::render(&ran.report());
    assert!(page.contains("Blind: shown as “Thursday exercise”") && page.contains("revealed at 01:05 by alice, as facilitator"), "{page}");
}

#[test]
fn people_have_their_time_after_the_system_has_healed() {
    let healed = Drill { heals: 20.0, ..drill("healed-early") }.alert(20.0).ack(75.0, "ops").answer(120.0).step(170.0, "shop#fail-over");
    let ran = healed.run().golden();
    assert_eq!(ran.verdicts(), ["detected", "acknowledged", "diagnosed", "mitigated"].map(|id| (id, Verdict::OnTime)));
    assert!(ran.world.log.last().unwrap().at >= s(170.0));
}

#[test]
fn prompts_that_were_replied_to_and_that_were_not() {
    let ran = drill("prompt-replied").with(PROMPTS).good().says(51.0, "comms", reply("No order is lost.")).run().golden();
    assert_eq!(ran.team().cues.prompts["customer"].at, s(50.0), "20 s after it was acknowledged");
    ran.expect("customer", Verdict::OnTime, "1 s after the prompt customer, within 60 s");
    let ran = drill("prompt-not-replied").with(PROMPTS).good().says(52.0, "comms", reply("We are looking.")).run().golden();
    ran.expect("customer", Verdict::Missed, "not within 60 s, nor later");
    assert!(ran.world.log.last().unwrap().at >= s(110.0), "the reply was waited for");
    let never = drill("prompt-not-given").with(PROMPTS).alert(20.0).answer(30.0).run().golden();
    never.expect("customer", Verdict::NotDue, "the prompt customer was not given");
}

#[test]
fn a_role_that_is_out_is_judged_without() {
    let led = "    declared: { mark: incident-declared, by: commander, within: 60s }\n  wrong_turns:";
    let declared = |role: &'static str, at: f64, drill: Drill| {
        drill.says(at, role, Deed::Mark { mark: "incident-declared".into(), text: String::new() })
    };
    let gone = |name| {
        drill(name).replacing("  wrong_turns:", led).with(PROMPTS).good().says(51.0, "comms", reply("no")).asks(
            25.0,
            "alice",
            prompt("plane"),
        )
    };
    let ran = declared("comms", 40.0, declared("commander", 35.0, gone("role-unavailable"))).run().golden();
    ran.expect("declared", Verdict::OnTime, "commander was unavailable from 00:25 on");
    assert_eq!(ran.team().expectations["declared"].source.as_deref(), Some("comms"));
    assert!(ran.world.refused[0].starts_with("commander is unavailable in this drill from 00:25 on"), "{:#?}", ran.world.refused);
    let ran = declared("comms", 22.0, gone("role-unavailable-later")).run().golden();
    ran.expect("declared", Verdict::Missed, "anybody might have done it");
}

#[test]
fn the_clock_of_people_stands_still_and_the_systems_does_not() {
    let paused = drill("paused").with(PROMPTS).asks(25.0, "bob", Ask::Pause {}).asks(26.0, "bob", Ask::Pause {}).asks(
        145.0,
        "alice",
        Ask::Resume {},
    );
    // Acknowledged 150 s after the alert, of which 120 do not count; the alert itself is late by the system's clock.
    let ran =
        paused.alert(60.0).ack(170.0, "ops").answer(180.0).step(190.0, "shop#fail-over").says(195.0, "comms", reply("no")).run().golden();
    ran.expect("detected", Verdict::Late, "expected within 30 s");
    ran.expect("acknowledged", Verdict::OnTime, "stood still for");
    ran.expect("diagnosed", Verdict::Late, "but only after a hint");
    // Due at 45 s, given 120 s later.
    assert_eq!(ran.team().cues.hints["look"], s(165.0));
    // The fault was held for its minute all the same.
    let undone = ran.facts.episodes["lose-database"].undone.unwrap();
    assert!(undone.lo < s(80.0), "{undone:?}");
    assert_eq!(ran.world.refused, ["the clock of people stands still since 00:25"]);
}

#[test]
fn a_pause_that_nobody_ends_ends_by_itself() {
    let ran = drill("pause-forgotten").good().asks(55.0, "alice", Ask::Pause {}).run();
    assert!(ran.world.log.iter().any(|entry| matches!(&entry.event, Event::Team(TeamEvent::Met { id, .. }) if id == "mitigated")));
    let slow = drill("pause-forgotten").alert(20.0).ack(30.0, "ops").asks(35.0, "alice", Ask::Pause {}).run();
    let resumed =
        slow.world.log.iter().find(|entry| matches!(&entry.event, Event::Team(TeamEvent::Resumed { by }) if by.starts_with("firedrill")));
    assert_eq!(resumed.map(|entry| entry.at.0 / 1_000_000_000), Some(35 + 30 * 60));
    slow.expect("diagnosed", Verdict::Missed, "");
}
