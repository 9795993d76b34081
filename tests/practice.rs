//! `firedrill practice` in a terminal, as somebody would play it who knows nothing of the drill: every drill that is shipped, and everything
//! that can go otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod pty;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use drill::{Case, Place, Semaphore, binary, case, side_by_side, signal};
use pty::Terminal;
use serde_json::Value;

/// How many practise at one time: each brings eight processes.
static AT_ONCE: Semaphore = Semaphore::new(3);

struct Practice {
    /// First: it ends before its directory goes.
    terminal: Terminal,
    place: Place,
}

impl Practice {
    fn start(args: &[&str], columns: u16, term: &str) -> Practice {
        let place = Place::new();
        let mut command = place.command(&[&["practice"], args].concat());
        command.env_remove("NO_COLOR");
        let terminal = Terminal::start(&command, columns, 40, term);
        Practice { place, terminal }
    }

    /// The address of something of the shop, as the terminal shows it.
    fn port(&self, path: &str, nth: usize) -> u16 {
        let shown = self.terminal.raw();
        let end = shown.match_indices(path).nth(nth).unwrap_or_else(|| panic!("{path} is not shown:\n{shown}")).0;
        shown[..end].rsplit(':').next().unwrap().parse().unwrap()
    }

    /// What an instance says of itself; nothing where it does not answer in time.
    fn status(&self, port: u16) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
        stream.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split("\r\n\r\n").nth(1)?).ok()
    }

    /// Which instance is worse off.
    fn worse(&self) -> char {
        let badness = |port: u16| {
            let Some(status) = self.status(port) else { return 1e9 };
            let failed: f64 = status["orders"]["failed"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
            let busy = if status["job"] == "report" { 1e6 } else { 0.0 };
            busy + failed * 1e3 + status["orders"]["p90_ms"].as_f64().unwrap()
        };
        let (a, b) = (badness(self.port("/status", 0)), badness(self.port("/status", 1)));
        if a > b { 'a' } else { 'b' }
    }

    /// A command of a runbook, run in the practice's own shell: `curl` as the firedrill that is here for sure.
    fn curl(&self, method: &str, port: u16, path: &str) {
        self.terminal.line(&format!("! {} __demo ask {method} 127.0.0.1:{port} {path} && echo done-it", binary().display()));
    }

    fn paged(&self) {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.terminal.wait_for("PAGE: CheckoutUnhappy fires", 60)));
        if told.is_err() {
            let run = self.place.runs().pop().unwrap();
            let dull = ["samples", "turned", "anchor", "quiet", "contended"];
            let told: Vec<Value> =
                self.place.journal(&run).into_iter().filter(|e| !dull.iter().any(|dull| e["event"]["type"] == *dull)).collect();
            panic!("{told:#?}");
        }
    }

    fn undone(&mut self) {
        self.place.assert_nobody_survives(20);
        let undo = self.place.run(&["undo"], 30).expect(0);
        assert!(undo.stderr.contains("nothing to undo"), "{}", undo.stderr);
    }
}

/// Words that tell what a drill is about; none may be seen before the debrief.
const HIDDEN: [&str; 12] = [
    "instance-lost",
    "payments-slow",
    "payments-silent",
    "volume-full",
    "instance-busy",
    "lose-instance",
    "slow-a",
    "fill-volume",
    "does not know",
    "answer late",
    "hears nothing",
    "victim",
];

/// Takes the page, looks, mends, says what it was.
fn played(number: usize, title: &'static str, answer: &'static str) -> Case {
    case(title, move || {
        let _turn = AT_ONCE.take();
        // A busy machine may have been unsteady, which proves nothing.
        for attempt in 1.. {
            let mut practice = Practice::start(&["--drill", &number.to_string(), "--seed", &(number * 7).to_string()], 100, "xterm");
            let terminal = &practice.terminal;
            practice.paged();
            terminal.line("a");
            terminal.wait_for("you: ack", 10);
            terminal.line("b checkout");
            terminal.wait_for("[see-that-it-helped]", 10);
            terminal.line("look balancer");
            terminal.wait_for("\"forwards_to\"", 10);
            std::thread::sleep(Duration::from_secs(4));
            terminal.line("s 2");
            terminal.wait_for("you did checkout-unhappy#compare-instances", 10);
            if title.starts_with("Payments answer late") {
                for nth in [0, 1] {
                    practice.curl("POST", practice.port("/status", nth), "/admin/payments/later");
                }
                terminal.line("s pay-later");
            } else {
                let worse = practice.worse();
                practice.curl("POST", practice.port("/balancer", 0), &format!("/balancer/drain/{worse}"));
                terminal.line("s 3");
            }
            terminal.wait_for("CheckoutUnhappy has ended", 40);
            terminal.line("m");
            terminal.wait_for("you: mitigated", 10);
            terminal.line(&format!("w {answer}"));
            terminal.wait_for("That is what it was", 10);
            let code = practice.terminal.ends(60);
            let text = practice.terminal.text();
            practice.undone();
            if attempt < 3 && matches!(code, Some(20 | 30 | 31 | 33)) {
                println!("again: the machine was too busy (exit {code:?})\n{text}");
                continue;
            }
            assert_eq!(code, Some(0), "{text}");
            let (before, debrief) = text.split_once("DEBRIEF").unwrap();
            HIDDEN.iter().for_each(|hidden| assert!(!before.contains(hidden), "`{hidden}` was seen:\n{before}"));
            assert!(!before.contains(title));
            for words in [
                title,
                "what you did had helped",
                "diagnosed on time",
                "mitigated on time",
                "none of those that were foreseen",
                "TO THINK ABOUT",
            ] {
                assert!(debrief.contains(words), "{words}\n{debrief}");
            }
            assert!(debrief.contains(&format!("firedrill practice --drill {number} --seed {}", number * 7)), "{debrief}");
            assert!(practice.terminal.is_as_before());
            let report = practice.place.run(&["report", "last"], 30).expect(0).stdout;
            let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
            for words in ["Runbook checkout-unhappy: ", "not told of: look-at-balancer", "blind by convention"] {
                assert!(
                    report.contains(words),
                    "{words}
{report}"
                );
            }
            let books = "practice/runbooks/practice";
            let check = practice.place.run(&["runbook", "check", &format!(".firedrill/{books}"), "--times"], 30).expect(0).stdout;
            assert!(
                check.contains("steps were exercised by no drill, of 1 run") && check.contains("checkout-unhappy#compare-instances  "),
                "{check}"
            );
            return;
        }
    })
}

/// A wrong answer, a wrong turn, hints and giving up, at 60 columns.
fn astray() {
    let _turn = AT_ONCE.take();
    let mut practice = Practice::start(&["--drill", "2", "--seed", "3", "--hints"], 60, "xterm");
    let terminal = &practice.terminal;
    practice.paged();
    terminal.wait_for("hint: Does it hit all orders, or some?", 10);
    terminal.line("nonsense");
    terminal.wait_for("`nonsense` is no word here", 10);
    terminal.line("a");
    terminal.line("h");
    terminal.wait_for("(+30 s on your clock)", 10);
    terminal.line("w the database is slow");
    terminal.line("s remove-export");
    terminal.wait_for("you did instance#remove-export", 10);
    terminal.line("s dance");
    terminal.wait_for("no runbook has a step `dance`", 10);
    terminal.line("back remove-export");
    terminal.wait_for("you took instance#remove-export back", 10);
    terminal.line("n \u{1b}[31mred\u{202e}");
    std::thread::sleep(Duration::from_secs(3));
    terminal.line("m");
    terminal.wait_for("Not yet, perhaps?", 10);
    terminal.line("give up");
    assert_eq!(practice.terminal.ends(60), Some(40), "{}", practice.terminal.text());
    let text = practice.terminal.text();
    let (_, debrief) = text.split_once("DEBRIEF").unwrap();
    for words in [
        "An instance of the shop is gone, and the balancer does not know",
        "it is “the database is slow”, which it was not",
        "2: One of the two does not answer.",
        "step instance#remove-export: taken at",
        "There was room on the volume.",
        "it was ended: the participant gave up",
        "Take the lost instance out of the balancer",
    ] {
        assert!(debrief.contains(words), "{words}\n{debrief}");
    }
    let plain = anstream::adapter::strip_str(&practice.terminal.raw()).to_string();
    // Lines for a shell are never broken by us.
    let wide = plain.split(['\n', '\r']).find(|line| line.chars().count() > 60 && !line.contains("http") && !line.contains('/'));
    assert_eq!(wide, None);
    assert!(!practice.terminal.raw().contains("\u{1b}[31m") && !plain.contains('\u{202e}'));
    practice.undone();
}

/// Ctrl-C ends it calmly; a window that changes its size is no matter, and Ctrl-Z and Ctrl-D do not stop the clock.
fn interrupted() {
    let _turn = AT_ONCE.take();
    let mut practice = Practice::start(&["--seed", "12"], 100, "xterm");
    practice.terminal.wait_for("Wait for the page.", 60);
    practice.terminal.line("h");
    practice.terminal.wait_for("Nothing is wrong yet", 10);
    practice.terminal.keys("\u{1a}");
    practice.terminal.wait_for("A drill cannot be put aside", 10);
    practice.terminal.keys("\u{4}");
    practice.terminal.wait_for("`give up` ends it", 10);
    practice.terminal.resize(44, 12);
    std::thread::sleep(Duration::from_millis(500));
    let before = practice.terminal.raw().len();
    practice.terminal.line("?");
    std::thread::sleep(Duration::from_millis(700));
    let after = anstream::adapter::strip_str(&practice.terminal.raw()[before..]).to_string();
    assert!(after.contains("you take the page") && after.split(['\n', '\r']).all(|line| line.chars().count() <= 44), "{after}");
    practice.terminal.keys("\u{3}");
    practice.terminal.wait_for("Everything is being undone", 10);
    assert_eq!(practice.terminal.ends(60), Some(40), "{}", practice.terminal.text());
    assert!(practice.terminal.is_as_before() && practice.terminal.text().contains("DEBRIEF"), "{}", practice.terminal.text());
    practice.undone();
}

/// Whatever dies, everything is undone.
fn killed() {
    let _turn = AT_ONCE.take();
    let mut practice = Practice::start(&["--drill", "5", "--seed", "1"], 100, "xterm");
    practice.paged();
    assert!(!practice.place.survivors().is_empty());
    signal(practice.terminal.child.id(), "KILL");
    practice.terminal.ends(10);
    practice.undone();
}

/// A terminal that cannot be drawn on: lines, as it edits them, and nothing that steers it.
fn dumb() {
    let _turn = AT_ONCE.take();
    let mut practice = Practice::start(&["--drill", "1", "--seed", "8"], 80, "dumb");
    practice.paged();
    practice.terminal.line("a");
    practice.terminal.wait_for("you: ack", 10);
    practice.terminal.line("give up");
    assert_eq!(practice.terminal.ends(60), Some(40), "{}", practice.terminal.text());
    assert!(practice.terminal.text().contains("DEBRIEF Payments answer late"), "{}", practice.terminal.text());
    assert!(!practice.terminal.raw().contains('\u{1b}'), "{:?}", practice.terminal.raw());
    practice.undone();
}

/// The two who write down what others do: a scribe's keys stand in the journal, and a wrong one stays.
fn scribed() {
    let _turn = AT_ONCE.take();
    let mut practice = Practice::start(&["--drill", "4", "--seed", "2"], 100, "xterm");
    practice.paged();
    let command = practice.place.command(&["scribe", "--as", "scribe"]);
    let mut scribe = Terminal::start(&command, 60, 30, "xterm");
    scribe.wait_for("SCRIBE run", 20);
    scribe.wait_for("Customers complain about checkout", 10);
    scribe.keys("d");
    scribe.wait_for("scribe: detected", 10);
    scribe.keys("u");
    scribe.wait_for("was a wrong key", 10);
    scribe.keys("nthey look at b\r");
    scribe.wait_for("scribe: they look at b", 10);
    scribe.keys("s");
    scribe.wait_for("RUNBOOK#STEP", 10);
    scribe.keys("checkout-unhappy#take-out\r");
    scribe.wait_for("scribe: checkout-unhappy#take-out", 10);
    scribe.keys("snonsense\r");
    scribe.wait_for("not written down", 10);
    // Ctrl-Z gives the terminal back, and it is taken again.
    scribe.keys("\u{1a}");
    let stopped = || drill::state(scribe.child.id()) == Some('T');
    for _ in 0..200 {
        if stopped() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(stopped() && scribe.is_as_before());
    signal(scribe.child.id(), "CONT");
    std::thread::sleep(Duration::from_millis(300));
    scribe.keys("m");
    scribe.wait_for("scribe: mitigated", 10);
    // A signal from elsewhere gives the terminal back as well.
    signal(scribe.child.id(), "TERM");
    assert_eq!(scribe.ends(10), Some(0));
    assert!(scribe.is_as_before() && scribe.text().contains("you left; the drill goes on"), "{}", scribe.text());
    HIDDEN.iter().for_each(|hidden| assert!(!scribe.text().contains(hidden), "`{hidden}` was seen:\n{}", scribe.text()));
    let mut again = Terminal::start(&command, 60, 30, "xterm");
    again.wait_for("scribe: mitigated", 20);
    practice.terminal.line("give up");
    practice.terminal.ends(60);
    assert_eq!(again.ends(20), Some(0), "{}", again.text());
    assert!(again.text().contains("the drill is over"));
    let run = practice.place.runs().pop().unwrap();
    let said: Vec<String> = practice
        .place
        .journal(&run)
        .iter()
        .filter(|entry| entry["event"]["role"] == "scribe")
        .map(|entry| entry["event"]["deed"].to_string())
        .collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(said[0].contains("detected") && said[1].contains("was a wrong key"), "nothing is taken away: {said:#?}");
    practice.undone();
}

/// A scribe of a drill that is no secret sees the faults as well, from the journal, and ticks steps by their numbers.
fn scribed_in_the_open() {
    let _turn = AT_ONCE.take();
    let place = Place::new();
    place.drill_on_a_node(
        "The node stands still",
        "{ freeze: { process.pause: { system: node }, for: { until: mitigated, at_most: 60s } } }",
        "{ within: 70s, stable_for: 1s }",
    );
    let team = "team:\n  runbooks: books\n  expect:\n    mitigated: { mark: mitigated, within: 60s }\n";
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap() + team;
    place.file("scenario.yaml", text);
    place.file("books/shop.md", "---\nowner: ops\nalerts: []\n---\n- [ ] Look {#look}\n- [ ] Thaw {#thaw}\n");
    let run = place.start(&["run", "scenario.yaml", "--yes", "--output", "json"]);
    place.wait_until_bitten("freeze", 40);
    let mut scribe = Terminal::start(&place.command(&["scribe", "--as", "scribe"]), 70, 30, "xterm");
    scribe.wait_for("inject SIGSTOP to node", 20);
    // All keys are seen, also where they need two lines.
    scribe.wait_for("q leave", 5);
    scribe.keys("s");
    scribe.wait_for("2 shop#thaw", 10);
    scribe.keys("2\r");
    scribe.wait_for("scribe: shop#thaw", 10);
    scribe.keys("m");
    assert_eq!(scribe.ends(60), Some(0), "{}", scribe.text());
    let plain = anstream::adapter::strip_str(&scribe.raw()).to_string();
    assert!(plain.split(['\n', '\r']).all(|line| line.chars().count() <= 70), "{plain}");
    let done = drill::wait(run, 60);
    let report = done.json();
    assert_eq!(report["team"]["runbooks"][0]["left_out"], serde_json::json!(["look"]), "{:#}", report["team"]);
    let schema: Value = serde_json::from_str(&place.run(&["schema", "--report"], 20).expect(0).stdout).unwrap();
    let wrong: Vec<String> = jsonschema::draft202012::new(&schema).unwrap().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let check = place.run(&["runbook", "check", "books", "--runs", ".firedrill/runs"], 20).expect(0).stdout;
    assert!(check.contains("1 of 2 steps were exercised by no drill, of 1 run in .firedrill/runs:\n  shop#look"), "{check}");
    place.assert_nobody_survives(10);
}

#[test]
fn practices_are_played_in_a_terminal() {
    side_by_side(vec![
        played(1, "Payments answer late", "payments are slow"),
        played(2, "An instance of the shop is gone, and the balancer does not know", "one instance is down, the process is gone"),
        played(3, "The volume of one instance is full", "its disk is full"),
        played(4, "One instance hears nothing from payments", "it gets no answer from payments"),
        played(5, "A report keeps one instance busy", "a report eats the cpu"),
        case("astray", astray),
        case("interrupted", interrupted),
        case("killed", killed),
        case("dumb", dumb),
        case("scribed", scribed),
        case("scribed in the open", scribed_in_the_open),
    ]);
}

#[test]
fn what_cannot_be_practised_is_said() {
    let place = Place::new();
    let list = place.run(&["practice", "--list"], 20).expect(0);
    assert_eq!(list.stdout.matches("Customers complain about checkout").count(), 5, "{}", list.stdout);
    HIDDEN.iter().for_each(|hidden| assert!(!list.stdout.contains(hidden), "{hidden}"));
    assert!(place.run(&["practice", "--drill", "6"], 20).expect(2).stderr.contains("there are 1 to 5"));
    assert!(place.run(&["practice"], 20).expect(2).stderr.contains("nobody sits at this terminal"));
    assert!(place.run(&["scribe"], 20).expect(2).stderr.contains("needs a terminal"));
    assert!(place.runs().is_empty());
    let quiet = Terminal::start(&place.command(&["scribe"]), 80, 24, "xterm");
    quiet.wait_for("no drill on this machine listens to people", 20);
}
