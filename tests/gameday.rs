//! Game days of the real binary: an agenda with gates, breaks, a no-go and an abort, one report; windows, resuming, and calendars that others read.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Place, account, case, free_ports, side_by_side, wait};
use serde_json::Value;

const PATIENCE: u64 = 240;

/// A time so many minutes from now, as a game day writes it.
fn minutes_from_now(minutes: i64) -> String {
    let at = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A place with a drill of a node that is paused, held for so long.
fn place(held: &str) -> Place {
    let place = Place::new();
    let [port] = free_ports();
    place.file(
        "s.yaml",
        format!(
            r#"firedrill: 1
title: A node stands still
owner: tests
environment: test
system:
  node:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:{port}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
vars: {{ held: {held} }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, rate: 50/s, timeout: 200ms, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 500ms, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
faults:
  hold: {{ process.pause: {{ system: node }}, for: "${{held}}" }}
recovery: {{ within: 60s, stable_for: 300ms }}
team:
  roles: {{ ops: [nobody-of-this-name] }}
  expect: {{ seen: {{ mark: seen, by: ops, within: 20s, weight: training }} }}
"#
        ),
    );
    place
}

fn day(place: &Place, when: &str, roster: &str, agenda: &str) {
    place.file(
        "day.yaml",
        format!("gameday: 1\ntitle: Payments, fourth quarter\nowner: tests\nwhen: \"{when}\"\nlasts: 1h\nparticipants: {roster}\nagenda:\n{agenda}"),
    );
}

fn only_day(place: &Place) -> PathBuf {
    let mut days: Vec<PathBuf> = std::fs::read_dir(place.path().join(".firedrill/gamedays")).unwrap().flatten().map(|e| e.path()).collect();
    assert_eq!(days.len(), 1);
    days.remove(0)
}

/// Waits until the log of the day says this.
fn until(place: &Place, said: &str) {
    let begun = Instant::now();
    loop {
        let log = std::fs::read_dir(place.path().join(".firedrill/gamedays")).ok().and_then(|mut days| days.next()?.ok());
        let text = log.and_then(|day| std::fs::read_to_string(day.path().join("log.jsonl")).ok()).unwrap_or_default();
        if text.contains(said) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(PATIENCE), "the log never said {said}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_day_of_three_drills_has_one_report() {
    let place = place("500ms");
    let who = account();
    let roster = format!("{{ facilitator: [{who}], safety: [{who}], ops: [{who}], comms: [{who}, erin], scribe: [frank] }}");
    let agenda = "  - { run: s.yaml, go: facilitator }\n  - { break: 10m }\n  - { run: s.yaml, go: ops }\n  - { run: s.yaml, go: safety, vars: { held: 50s } }\n  - { debrief: 1s }\n";
    day(&place, &minutes_from_now(0), &roster, agenda);
    let metrics = place.path().join("metrics");
    std::fs::create_dir(&metrics).unwrap();
    let child = place.start(&["gameday", "run", "day.yaml", "--yes", "--output", "json", "--metrics-textfile", metrics.to_str().unwrap()]);
    until(&place, r#""type":"asked","item":1"#);
    place.run(&["gameday", "go"], PATIENCE).expect(0);
    until(&place, r#""type":"began","item":2"#);
    // A break cannot be refused, only ended.
    place.run(&["gameday", "no-go"], PATIENCE).expect(10);
    place.run(&["gameday", "go"], PATIENCE).expect(0);
    until(&place, r#""type":"asked","item":3"#);
    place.run(&["gameday", "no-go", "--why", "the \u{1b}[31mbuild\u{1b}[0m is red"], PATIENCE).expect(0);
    until(&place, r#""type":"asked","item":4"#);
    place.run(&["gameday", "go"], PATIENCE).expect(0);
    // Its fault is held until somebody aborts.
    until(&place, r#""type":"began","item":4"#);
    let begun = Instant::now();
    while place.runs().len() < 2
        || !std::fs::read_to_string(place.runs()[1].join("events.jsonl")).unwrap_or_default().contains(r#""type":"effective","id":"hold""#)
    {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    place.run(&["abort", "last", "--reason", "a customer called"], PATIENCE).expect(0);
    let done = wait(child, PATIENCE).expect(40);
    let said = done.json();
    assert_eq!((said["schema"].as_str(), said["exit_code"].as_u64()), (Some("firedrill.gameday/1"), Some(40)));
    let stands: Vec<&str> = said["agenda"].as_array().unwrap().iter().map(|entry| entry["stands"].as_str().unwrap()).collect();
    assert_eq!(stands, ["held", "done", "no_go", "held", "done"]);
    assert_eq!(said["agenda"][3]["exit_code"], 40);
    assert!(std::fs::read_dir(&metrics).unwrap().flatten().any(|file| file.path().extension().is_some_and(|end| end == "prom")));
    assert_eq!(said["agenda"][2]["told"], format!("no-go, by {}: the [31mbuild [0m is red", who_of(&who)));
    let roles: Vec<&str> = said["roster"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["facilitator", "safety", "ops", "comms", "scribe"]);
    // One timeline over all of it, in order: the day's own lines and those of both runs.
    let timeline = said["timeline"].as_array().unwrap();
    let times: Vec<jiff::Timestamp> = timeline.iter().map(|row| row["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted());
    for (item, what) in [(1, "inject"), (4, "inject"), (3, "gate")] {
        assert!(timeline.iter().any(|row| row["item"] == item && row["what"] == what), "{item} {what}");
    }
    // Told again from the disk: the same.
    let again = place.run(&["gameday", "report", "last", "--output", "json"], PATIENCE).expect(40);
    assert_eq!(again.json(), said);
    let text = place.run(&["gameday", "report", "last"], PATIENCE).expect(40).stdout;
    assert!(text.contains("3 drills: 1 aborted, 1 no-go") || text.contains("3 drills: 1 passed, 1 aborted, 1 no-go"), "{text}");
    let page = std::fs::read_to_string(only_day(&place).join("report.html")).unwrap();
    assert!(page.contains("Payments, fourth quarter") && !page.contains('\u{1b}'));
    assert_eq!(place.survivors(), Vec::<String>::new());
}

fn who_of(name: &str) -> String {
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    format!("{name} (uid {uid})")
}

#[test]
fn outside_of_its_window_nothing_is_run() {
    let place = place("500ms");
    let agenda = "  - { run: s.yaml }\n";
    let at = |minutes: i64| {
        day(&place, &minutes_from_now(minutes), "{ ops: [x] }", agenda);
        place.run(&["gameday", "run", "day.yaml", "--yes"], PATIENCE).expect(11).stderr
    };
    assert!(at(60).contains("the game day begins at"), "{}", at(60));
    assert!(at(-90).contains("its window closed at"));
    assert!(place.runs().is_empty());
    let without = place.run(&["gameday", "run", "day.yaml"], PATIENCE).expect(2);
    assert!(without.stderr.contains("add --yes"));
}

#[test]
fn a_day_whose_process_died_goes_on_after_what_was_under_way() {
    let place = place("500ms");
    day(
        &place,
        &minutes_from_now(0),
        "{ ops: [x] }",
        "  - { run: s.yaml }\n  - { break: 10m }\n  - { run: s.yaml, skip_if: { previous: failed } }\n",
    );
    let mut child = place.start(&["gameday", "run", "day.yaml", "--yes"]);
    until(&place, r#""type":"began","item":2"#);
    // While it lives nobody else takes it.
    let id = only_day(&place).file_name().unwrap().to_string_lossy().into_owned();
    let taken = place.run(&["gameday", "run", "day.yaml", "--yes", "--resume", &id], PATIENCE).expect(11);
    assert!(taken.stderr.contains("being held by another process"), "{}", taken.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    // Its last line may be torn.
    let log = only_day(&place).join("log.jsonl");
    let mut text = std::fs::read_to_string(&log).unwrap();
    text.push_str("{\"seq\":4,\"wa");
    std::fs::write(&log, text).unwrap();
    let done = place.run(&["gameday", "run", "day.yaml", "--yes", "--resume", &id, "--output", "json"], PATIENCE);
    let said = done.json();
    let stands: Vec<&str> = said["agenda"].as_array().unwrap().iter().map(|entry| entry["stands"].as_str().unwrap()).collect();
    assert_eq!(stands, ["held", "under_way", "held"], "{}", done.stderr);
    assert_eq!(place.runs().len(), 2);
    // What was changed is named, and a file that was changed is another day.
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replace("\"exit\":", "\"exit\": ").replacen("\"item\":1", "\"item\":7", 1)).unwrap();
    let damaged = place.run(&["gameday", "report", &id], PATIENCE).expect(11);
    assert!(damaged.stderr.contains("does not continue the one before it"), "{}", damaged.stderr);
}

#[test]
fn a_drill_in_which_the_day_died_is_told_with_its_run() {
    let place = place("50s");
    day(&place, &minutes_from_now(0), "{ ops: [x] }", "  - { run: s.yaml }\n");
    let mut child = place.start(&["gameday", "run", "day.yaml", "--yes"]);
    place.wait_until_bitten("hold", PATIENCE);
    child.kill().unwrap();
    child.wait().unwrap();
    // The watchdog undoes what was done.
    let journal = place.runs()[0].join("events.jsonl");
    let begun = Instant::now();
    while !std::fs::read_to_string(&journal).unwrap().contains("run_finished") {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = place.run(&["gameday", "report", "last", "--output", "json"], PATIENCE).expect(40).json();
    let entry = &said["agenda"][0];
    let run = place.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!((entry["stands"].as_str(), entry["run"].as_str(), entry["exit_code"].as_u64()), (Some("under_way"), Some(&*run), Some(40)));
    assert!(said["timeline"].as_array().unwrap().iter().any(|row| row["item"] == 1 && row["what"] == "undone"), "{said}");
}

#[test]
fn what_cannot_be_held_is_refused() {
    type Case = (&'static str, &'static str, &'static str, &'static str);
    let cases: [Case; 5] = [
        ("an unknown role", "{ ops: [x] }", "  - { run: s.yaml, go: captain }\n", "nobody fills the role `captain`"),
        ("a role of a scenario", "{ captain: [x] }", "  - { run: s.yaml }\n", "it has a role `ops` that nobody fills"),
        ("no such scenario", "{ ops: [x] }", "  - { run: t.yaml }\n", "failed to read ./t.yaml"),
        ("no drill", "{ ops: [x] }", "  - { break: 5m }\n", "no drill stands on the agenda"),
        ("a typo", "{ ops: [x] }", "  - { run: s.yaml, go_by: ops }\n", "unknown key"),
    ];
    let all = cases.map(|(name, roster, agenda, said)| {
        case(name, move || {
            let place = place("500ms");
            day(&place, "2099-12-03 10:00 Europe/Berlin", roster, agenda);
            let done = place.run(&["gameday", "plan", "day.yaml"], PATIENCE).expect(10);
            assert!(done.stderr.contains(said), "{}", done.stderr);
        })
    });
    side_by_side(Vec::from(all));
}

#[test]
fn only_the_role_that_was_named_says_go() {
    let place = place("500ms");
    day(&place, &minutes_from_now(0), "{ facilitator: [nobody-of-this-name], ops: [x] }", "  - { run: s.yaml, go: facilitator }\n");
    let child = place.start(&["gameday", "run", "day.yaml", "--yes"]);
    until(&place, r#""type":"asked","item":1"#);
    let refused = place.run(&["gameday", "go"], PATIENCE).expect(10);
    assert!(refused.stderr.contains("that is for the role `facilitator` to say"), "{}", refused.stderr);
    // A game day is no drill: nobody can mark in it.
    let done = place.run(&["mark", "seen"], PATIENCE);
    assert!(done.stderr.contains("no drill on this machine listens"), "{}", done.stderr);
    drill::signal(child.id(), "INT");
    let done = wait(child, PATIENCE).expect(31);
    assert!(done.stdout.contains("ended before its agenda"), "{}", done.stdout);
    assert!(place.runs().is_empty());
}

#[test]
fn the_published_schema_fits_the_example_and_refuses_typos() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = firedrill::gameday::json_schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let text = std::fs::read_to_string(root.join("scenarios/gameday.yaml")).unwrap();
    let place = Place::new();
    let example = root.join("scenarios/gameday.yaml");
    place.run(&["gameday", "plan", example.to_str().unwrap()], PATIENCE).expect(0);
    let valid = |text: &str| validator.is_valid(&serde_saphyr::from_str::<Value>(text).unwrap());
    assert!(valid(&text));
    for (what, instead) in
        [("skip_if", "skipif"), ("previous: failed", "previous: bad"), ("lasts: 3h", "lasts: 3"), ("gameday: 1", "gameday: 2")]
    {
        assert!(!valid(&text.replacen(what, instead, 1)), "{what} → {instead}");
    }
    let shown = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = root.join("scenarios/gameday.schema.json");
    if std::env::var("FIREDRILL_BLESS").is_ok() {
        std::fs::write(&path, &shown).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == shown,
        "{} is not what `firedrill schema --gameday` prints",
        path.display()
    );
}

#[test]
fn the_plan_and_the_calendar_tell_the_times() {
    let place = place("500ms");
    day(
        &place,
        "2099-10-25 09:30 Europe/Berlin",
        "{ facilitator: [alice], ops: [dan, gina] }",
        "  - { run: s.yaml, go: facilitator }\n  - { break: 15m }\n  - { run: s.yaml, tabletop: true }\n",
    );
    let plan = place.run(&["gameday", "plan", "day.yaml"], PATIENCE).expect(0).stdout;
    for said in [
        "2099-10-25 09:30 Europe/Berlin",
        "2 drills",
        "09:30   1  A node stands still",
        "go: facilitator",
        "ops: dan, gina",
        "from 2099-10-25 09:15 to 2099-10-25 10:30",
    ] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    place.run(&["gameday", "export", "day.yaml", "--ics", "day.ics"], PATIENCE).expect(0);
    let read = "import sys, json, icalendar\nc = icalendar.Calendar.from_ical(open(sys.argv[1], 'rb').read())\nprint(json.dumps([[str(e['SUMMARY']), e.decoded('DTSTART').isoformat(), e.decoded('DTEND').isoformat(), str(e['UID'])] for e in c.walk('VEVENT')]))";
    let there =
        Command::new("python3").args(["-c", "import icalendar"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: PyPI's icalendar is not here to read the calendar");
        return;
    }
    let out = Command::new("python3").args(["-c", read]).arg(place.path().join("day.ics")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let events: Vec<[String; 4]> =
        serde_json::from_slice::<Value>(&out.stdout).map(|value| serde_json::from_value(value).unwrap()).unwrap();
    let starts: Vec<(&str, &str)> = events.iter().map(|[title, from, ..]| (title.as_str(), from.as_str())).collect();
    assert_eq!(
        starts[..2],
        [("Payments, fourth quarter", "2099-10-25T08:30:00+00:00"), ("A node stands still", "2099-10-25T08:30:00+00:00")]
    );
    assert_eq!((events.len(), events[2][0].as_str()), (4, "Break"));
    // One after another, all within the day.
    assert_eq!((&events[1][2], &events[2][2], &events[3][2]), (&events[2][1], &events[3][1], &events[0][2]));
}
