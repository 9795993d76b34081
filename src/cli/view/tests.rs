//! What people read of made-up journals.

use super::*;
use crate::base::{Interval, digest_of};
use crate::event::{Class, Outcome, Role, Sample, UndoRecord, Verdict};
use crate::score::samples;

fn ms(n: u64) -> At {
    At(n * 1_000_000)
}

fn between(lo: u64, hi: u64) -> Interval {
    Interval::new(ms(lo), ms(hi))
}

fn fault() -> String {
    "lose-primary".to_owned()
}

fn armed(id: &str, role: Role) -> Event {
    let undo = Box::new(UndoRecord {
        kind: "process.kill".into(),
        detail: serde_json::Value::Null,
        by_hand: "pg_ctl -D /srv/pg/a start".into(),
        declared: None,
    });
    Event::Armed { id: id.into(), role, undo, targets: vec!["primary, pid 4121".into()], summary: "SIGKILL to primary, pid 4121".into() }
}

fn sample(n: u64, at: u64, took: u64, verdict: Verdict) -> Sample {
    let class = if verdict == Verdict::Ok { Class::Ok } else { Class::Reset };
    Sample {
        n,
        planned: ms(at),
        woken: ms(at),
        sent: ms(at),
        done: ms(at + took),
        verdict,
        class,
        by: Some("a".into()),
        note: None,
        legs: Default::default(),
    }
}

fn beginning() -> Vec<(u64, Event)> {
    let previewed = Event::Previewed {
        id: fault(),
        targets: vec!["primary, pid 4121".into()],
        population: Some(2),
        summary: "SIGKILL to primary, pid 4121".into(),
        by_hand: "pg_ctl -D /srv/pg/a start".into(),
    };
    let started = Event::RunStarted { schema: 1, firedrill: "0.1.0".into(), run: "R".into(), plan_digest: digest_of(b""), pid: 1 };
    vec![
        (0, started),
        (1, Event::WatchdogStarted { pid: 2 }),
        (2, armed("system/a", Role::Support)),
        (3, Event::Injecting { id: "system/a".into() }),
        (40, Event::Injected { id: "system/a".into() }),
        (90, Event::Effective { id: "system/a".into(), when: between(40, 90), seen: "ready".into() }),
        (91, armed("proxy/db", Role::Support)),
        (92, Event::Injecting { id: "proxy/db".into() }),
        (93, Event::Injected { id: "proxy/db".into() }),
        (94, Event::Effective { id: "proxy/db".into(), when: between(93, 94), seen: "ready".into() }),
        (95, previewed),
        (96, Event::Subject { when: "before".into(), id: "service".into(), value: Some("1.0".into()) }),
        (100, Event::BaselineStarted {}),
        (101, Event::Guard { id: "neighbours".into(), state: "ok".into(), seen: "refused".into(), looked: ms(100) }),
        (10_200, Event::SteadyShown { since: ms(200), summary: "checkout 100 %, p99 11 ms, served by a".into() }),
        (30_200, armed("lose-primary", Role::Fault)),
        (30_201, Event::Injecting { id: fault() }),
        (30_202, Event::Injected { id: fault() }),
        (30_207, Event::Effective { id: fault(), when: between(30_203, 30_207), seen: "127.0.0.1:6001 refuses connections".into() }),
        (30_260, Event::Turned { probe: "checkout".into(), up: false, when: between(30_195, 30_258), seen: "connection reset".into() }),
    ]
}

fn ending() -> Vec<(u64, Event)> {
    let read = |authority: bool, found: Vec<(u64, u64)>| Event::LedgerRead {
        ledger: "orders".into(),
        reader: if authority { "http://lb/ledger".into() } else { "http://a/ledger".into() },
        authority,
        settled: true,
        found,
        duplicated: vec![],
        unexpected: 0,
        appeared: vec![],
        error: None,
    };
    vec![
        (31_000, Event::Samples { probe: "orders".into(), rows: (0..1_200).map(|n| sample(n, 31_000, 2, Verdict::Ok)).collect() }),
        (31_100, Event::Guard { id: "neighbours".into(), state: "no_data".into(), seen: "no answer".into(), looked: ms(31_000) }),
        (32_100, Event::Guard { id: "neighbours".into(), state: "ok".into(), seen: "refused".into(), looked: ms(32_000) }),
        (33_000, Event::Stall { from: ms(32_400), to: ms(32_900) }),
        (33_001, Event::Stall { from: ms(32_900), to: ms(32_990) }),
        (
            37_700,
            Event::Turned {
                probe: "checkout".into(),
                up: true,
                when: between(37_513, 37_620),
                seen: "answering again, served by b".into(),
            },
        ),
        (47_700, Event::Recovered { id: fault(), when: between(37_513, 37_620) }),
        (47_701, Event::Undoing { id: fault(), attempt: 1, why: "recovered".into() }),
        (47_801, Event::UndoFailed { id: fault(), attempt: 1, error: "exit 1: lock file exists".into(), last: false }),
        (48_001, Event::Undoing { id: fault(), attempt: 2, why: "the last attempt failed".into() }),
        (48_201, Event::Undone { id: fault(), when: between(48_001, 48_201), seen: "verified".into() }),
        (48_202, Event::SettleStarted {}),
        (58_300, Event::SteadyAfter { since: ms(48_300) }),
        (120_000, Event::ProbesStopped {}),
        (120_300, read(true, vec![(0, 1_196), (1_199, 1_199)])),
        (120_301, read(false, vec![(0, 1_199)])),
        (120_302, Event::LedgersRead {}),
        (120_400, Event::Subject { when: "after".into(), id: "service".into(), value: Some("1.1".into()) }),
        (120_410, Event::Undoing { id: "system/a".into(), attempt: 1, why: "the drill ends".into() }),
        (120_420, Event::Undone { id: "system/a".into(), when: between(120_410, 120_420), seen: "verified".into() }),
        (120_430, Event::Undoing { id: "proxy/db".into(), attempt: 1, why: "the drill ends".into() }),
        (120_440, Event::Undone { id: "proxy/db".into(), when: between(120_430, 120_440), seen: "verified".into() }),
        (120_441, Event::RunFinished { outcome: Outcome::Completed }),
    ]
}

fn view(style: Style) -> View {
    View::on(Screen::Kept(Vec::new()), Arc::new(samples::plan()), "01JD8Z4Q2V7W3N5T9X6M1K0RCE", style)
}

const PIPE: Style = Style { live: false, colour: false, width: 80, shared: false };

fn show(view: &mut View, events: Vec<(u64, Event)>) {
    for (seq, (at, event)) in events.into_iter().enumerate() {
        view.entry(&Entry { seq: seq as u64, at: ms(at), event });
    }
}

fn kept(view: &View) -> String {
    match &view.screen {
        Screen::Kept(lines) => lines.join("\n"),
        _ => String::new(),
    }
}

fn shown(style: Style, events: Vec<(u64, Event)>) -> String {
    let mut view = view(style);
    view.head();
    show(&mut view, events);
    kept(&view)
}

#[test]
fn a_whole_run_as_lines() {
    let mut events = beginning();
    events.extend(ending());
    insta::assert_snapshot!("whole-run", shown(PIPE, events));
}

#[test]
fn an_abort_says_by_whom_and_what_happens_now() {
    let mut events = beginning();
    let abort = |by: &str| Event::AbortRequested { by: by.into(), reason: "somebody interrupted the drill".into() };
    events.extend([
        (31_000, abort("signal SIGINT")),
        (31_001, Event::Undoing { id: fault(), attempt: 1, why: "abort by signal SIGINT".into() }),
        (31_500, abort("signal SIGINT")),
        (31_600, Event::UndoFailed { id: fault(), attempt: 1, error: "exit 1".into(), last: true }),
        (31_700, Event::RunFinished { outcome: Outcome::Stuck }),
    ]);
    insta::assert_snapshot!("abort", shown(PIPE, events));
}

#[test]
fn what_goes_wrong_before_the_head_is_complete_is_not_held_back() {
    let abort = Event::AbortRequested { by: "start".into(), reason: "system/a was not ready within 10 s: refused".into() };
    let text = shown(PIPE, vec![(0, Event::WatchdogStarted { pid: 2 }), (5, abort)]);
    assert!(text.contains("system/a was not ready within 10 s: refused; no fault is in the system; stopping"), "{text}");
}

#[test]
fn a_slow_start_is_not_held_back_either() {
    let mut view = view(PIPE);
    view.head();
    let events: Vec<_> = beginning().into_iter().filter(|(_, event)| !matches!(event, Event::Previewed { .. })).take(10).collect();
    show(&mut view, events);
    assert!(!kept(&view).contains("ready"), "lines wait for the head");
    view.tick(ms(2_500));
    assert!(kept(&view).contains("blast    known once"), "{}", kept(&view));
    assert!(kept(&view).contains("a and proxy db are ready"));
    show(&mut view, beginning().into_iter().filter(|(_, event)| matches!(event, Event::Previewed { .. })).collect());
    assert!(kept(&view).contains("  blast    1 of 2 processes of that name") || kept(&view).contains("  blast    1 of 2 system processes"));
}

#[test]
fn a_terminal_cuts_and_a_pipe_does_not() {
    let mut events = beginning();
    events.push((31_000, Event::Note { text: "x".repeat(200) }));
    let live = shown(Style { live: true, colour: false, width: 60, shared: false }, events.clone());
    assert!(live.lines().all(|line| line::columns_of(line) < 60), "{live}");
    assert!(shown(PIPE, events).contains(&"x".repeat(200)));
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let mut events = beginning();
    events.extend(ending());
    let coloured = shown(Style { live: true, colour: true, width: 100, shared: false }, events.clone());
    assert!(coloured.contains("\x1b["));
    let bare = shown(Style { live: true, colour: false, width: 100, shared: false }, events.clone());
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), bare);
    assert!(!bare.contains('\x1b') && !shown(PIPE, events).contains('\x1b'));
}

#[test]
fn hostile_text_cannot_steer_the_terminal() {
    let mut plan = samples::plan();
    plan.title = "a\x1b[2J\nb".into();
    let mut view =
        View::on(Screen::Kept(Vec::new()), Arc::new(plan), "R\x1b", Style { live: true, colour: false, width: 100, shared: false });
    view.head();
    let mut events = beginning();
    events.push((30_300, Event::Turned { probe: "checkout".into(), up: false, when: between(1, 2), seen: "\x1b]0;x\x07".into() }));
    show(&mut view, events);
    let all = kept(&view) + &view.lower(ms(30_400)).concat();
    assert!(all.chars().all(|c| c == '\n' || !c.is_control()), "{all:?}");
}

#[test]
fn the_lower_lines_say_where_it_is_what_is_armed_and_how_to_stop() {
    let mut view = view(Style { live: true, colour: false, width: 100, shared: false });
    let mut events = beginning();
    let rows = (0..60).map(|n| sample(n, 25_000 + n * 100, if n < 30 { 10 } else { 60 }, Verdict::Ok)).collect();
    events.insert(15, (30_150, Event::Samples { probe: "checkout".into(), rows }));
    let late = (0..5).map(|n| sample(60 + n, 30_250 + n, 1, Verdict::Bad)).collect();
    events.push((30_300, Event::Samples { probe: "checkout".into(), rows: late }));
    let before: Vec<_> = events.iter().take(13).cloned().collect();
    show(&mut view, before);
    insta::assert_snapshot!("lower-baseline", view.lower(ms(4_300)).join("\n"));
    show(&mut view, events.split_off(13));
    insta::assert_snapshot!("lower-fault", view.lower(ms(33_400)).join("\n"));
    assert!(view.lower(ms(33_400)).iter().all(|line| line::columns_of(line) < 100));
}

#[test]
fn a_shared_screen_shows_nothing_of_a_blind_drill_before_the_reveal() {
    use crate::event::TeamEvent;
    let mut plan = samples::plan();
    let team = plan.team.as_mut().unwrap();
    (team.blind, team.shown_as) = (true, Some("Thursday exercise".into()));
    let secret = plan.title.clone();
    let fault = plan.faults.keys().next().unwrap().to_string();
    let shown = |veiled: bool, reveal: bool| {
        let style = Style { live: true, colour: false, width: 100, shared: veiled };
        let mut view = View::on(Screen::Kept(Vec::new()), Arc::new(plan.clone()), "R", style);
        view.head();
        let mut events = beginning();
        events.push((30_400, Event::Team(TeamEvent::Hint { id: "x".into(), say: "Look there.".into(), by: None })));
        if reveal {
            events.push((30_500, Event::Team(TeamEvent::Revealed { by: "alice".into() })));
        }
        show(&mut view, events);
        kept(&view) + &view.lower(ms(30_600)).concat()
    };
    let hidden = shown(true, false);
    for word in [secret.as_str(), fault.as_str(), "blast", "claim", "SIG"] {
        assert!(!hidden.contains(word), "`{word}` is shown in\n{hidden}");
        assert!(shown(true, true).contains(word) || word == "SIG", "`{word}` is not shown after the reveal");
    }
    assert!(hidden.contains("Thursday exercise") && hidden.contains("Look there.") && hidden.contains("stop --real R"), "{hidden}");
    assert!(shown(false, false).contains(&secret));
}
