//! Who acts in an AWS account: codes that are asked for once, sessions that are handed on and never written down, logins that must outlast the drill, and
//! fresh credentials that are found in the middle of it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![cfg(feature = "aws")]

mod aws;
mod drill;
mod pty;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws::fis::has_ended;
use aws::sts::{DEVICE, ROLE};
use aws::{Double, KEY, in_account, run};
use drill::{Place, alive, comes, kill_everybody, send, service, wait};
use pty::Terminal;
use serde_json::Value;

/// A minute of an action: long, so that nothing ends before it is told to.
const MINUTE: Duration = Duration::from_secs(60);
/// What no file, argument, environment or message may hold: the end of every token of a session, and every secret key.
const SECRETS: [&str; 2] = ["DRILL-hush", "not-a-real-secret"];

/// A drill in an account that is entered like this.
fn scenario(port: u16, aws: &str, hold: &str) -> String {
    format!(
        r#"firedrill: 1
title: An instance is stopped
environment: test
aws: {{ account: "111122223333", region: eu-west-1{aws} }}
probes:
  up: {{ tcp: {{ address: '127.0.0.1:{port}' }}, rate: 50/s, timeout: 500ms }}
steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
faults:
  broken:
    aws.fis.experiment:
      actions:
        stop: {{ action: "aws:ec2:stop-instances", parameters: {{ startInstancesAfterDuration: PT5M }}, targets: {{ Instances: shop }} }}
      targets: {{ shop: {{ type: "aws:ec2:instance", tags: {{ app: shop, firedrill: allowed }}, select: COUNT(1) }} }}
      stop_conditions: ["arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors"]
      role: arn:aws:iam::111122223333:role/fis
    for: {hold}
recovery: {{ within: 10s, stable_for: 50ms }}
"#
    )
}

/// … by a role that asks for a code.
fn by_code() -> String {
    format!(", role: \"{ROLE}\", mfa: \"{DEVICE}\"")
}

/// The same with a code in the environment.
fn with_code(place: &Place, double: &Double, code: &str, args: &[&str]) -> Command {
    let mut command = in_account(place, double, args);
    command.env("FIREDRILL_MFA_CODE", code);
    command
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What a drill left in the account.
fn residue(double: &Double) -> Vec<String> {
    double.with(|world| {
        let states = world.fis.states().into_iter().filter(|(_, state)| !has_ended(state)).map(|(id, state)| format!("{id} is {state}"));
        states.chain(world.fis.template_ids().into_iter().map(|id| format!("template {id}"))).collect()
    })
}

/// How many experiments there ever were.
fn started(double: &Double) -> usize {
    double.with(|world| world.fis.states().len())
}

fn count(double: &Double, operation: &str) -> usize {
    double.operations().iter().filter(|other| *other == operation).count()
}

/// Where a secret stands: in a file below a directory.
fn written(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => written(&path, found),
            kind if kind.is_file() => {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                if SECRETS.iter().any(|secret| text.contains(secret)) {
                    found.push(path);
                }
            }
            _ => {}
        }
    }
}

fn nothing_is_written(place: &Place) {
    let mut found = Vec::new();
    written(place.path(), &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
}

// ------------------------------------------------------------------------------------------------------------- codes

#[test]
fn a_code_is_given_once_for_the_whole_drill_and_nothing_of_it_is_written_down() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &(by_code() + ", session: 2h"), "300ms"));
    let mut command = with_code(&place, &double, "123456", &["run", "s.yaml", "--yes", "-vv"]);
    // Everything that anybody in this process could tell.
    let done = wait(command.env("FIREDRILL_LOG", "trace").spawn().unwrap(), 120).expect(0);
    for secret in SECRETS {
        let told = done.stderr.lines().chain(done.stdout.lines()).find(|line| line.contains(secret));
        assert_eq!(told, None, "{secret} is told");
    }
    assert!(!done.stderr.contains("TokenCode=123456"), "the code is told");
    nothing_is_written(&place);
    let asked = double.with(|world| world.sts.asked.clone());
    assert_eq!(asked.len(), 1, "{asked:?}");
    let of = |key: &str| asked[0].get(key).map(String::as_str);
    assert_eq!(
        (of("SerialNumber"), of("TokenCode"), of("DurationSeconds"), of("RoleArn")),
        (Some(DEVICE), Some("123456"), Some("7200"), Some(ROLE))
    );
    assert!(
        place.event("armed", "broken")["summary"]
            .as_str()
            .unwrap()
            .ends_with("as arn:aws:sts::111122223333:assumed-role/drill-mfa/firedrill")
    );
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
}

#[test]
fn whoever_sits_at_a_terminal_is_asked_and_asked_again_after_a_wrong_code() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "300ms"));
    let command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    let mut terminal = Terminal::start(&command, 120, 40, "xterm");
    terminal.wait_for(&format!("MFA code of {DEVICE}:"), 60);
    assert!(!terminal.is_as_before(), "what is typed would be shown");
    terminal.line("999999");
    terminal.wait_for("MultiFactorAuthentication failed with invalid MFA one time pass code.", 60);
    assert!(place.runs().is_empty(), "nothing begins before somebody is there");
    comes(Duration::from_secs(30), || terminal.text().matches("MFA code of").count() == 2);
    terminal.line("12 34 5");
    terminal.wait_for("has six digits", 60);
    comes(Duration::from_secs(30), || terminal.text().matches("MFA code of").count() == 3);
    terminal.line("123 45\u{7f}56");
    terminal.wait_for("session until", 60);
    assert_eq!(terminal.ends(120), Some(0), "{}", terminal.text());
    assert!(terminal.is_as_before());
    let shown = terminal.raw();
    assert!(!shown.contains("999999") && !shown.contains("123 45"), "a code was shown: {shown}");
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    nothing_is_written(&place);
}

#[test]
fn nobody_is_asked_for_ever_and_whoever_leaves_has_touched_nothing() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "300ms"));
    let command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    let mut terminal = Terminal::start(&command, 120, 40, "xterm");
    for asked in 1..=4 {
        assert!(comes(Duration::from_secs(60), || terminal.text().matches("MFA code of").count() == asked), "{}", terminal.text());
        terminal.line("000000");
    }
    assert_eq!(terminal.ends(60), Some(11), "{}", terminal.text());
    assert_eq!((count(&double, "AssumeRole"), place.runs().len()), (4, 0));

    let mut terminal = Terminal::start(&command, 120, 40, "xterm");
    terminal.wait_for("MFA code of", 60);
    terminal.keys("12\u{3}");
    assert_eq!(terminal.ends(60), Some(11), "{}", terminal.text());
    assert!(terminal.is_as_before());
    assert_eq!((count(&double, "AssumeRole"), started(&double), place.runs().len()), (4, 0, 0));
}

#[test]
fn without_a_terminal_and_without_a_code_it_is_said_what_to_do() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "300ms"));
    let done = run(&place, &double, &["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains(DEVICE) && done.stderr.contains("FIREDRILL_MFA_CODE"), "{}", done.stderr);
    assert_eq!((double.operations().len(), place.runs().len()), (0, 0), "{}", done.stderr);
    // A plan is one all the same, and says what is missing.
    let done = run(&place, &double, &["plan", "s.yaml"]).expect(11);
    assert!(done.stdout.contains("with a code of") && done.stdout.contains("a session of the role lasts 1 h"), "{}", done.stdout);
    assert!(done.stderr.contains("FIREDRILL_MFA_CODE"), "{}", done.stderr);
    let done = wait(with_code(&place, &double, "000000", &["run", "s.yaml", "--yes"]).spawn().unwrap(), 60).expect(11);
    assert!(done.stderr.contains("invalid MFA one time pass code") && done.stderr.contains("good once"), "{}", done.stderr);
    assert!(!done.stderr.contains("000000"), "{}", done.stderr);
    // Another person has another device.
    let mut command = with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]);
    let done = wait(command.env("FIREDRILL_MFA_DEVICE", "arn:aws:iam::111122223333:mfa/bob").spawn().unwrap(), 60).expect(11);
    assert!(done.stderr.contains("mfa/bob") && done.stderr.contains("verify your MFA serial number"), "{}", done.stderr);
    assert_eq!(started(&double), 0);
}

#[test]
fn a_plan_says_until_when_its_session_lasts() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "300ms"));
    let done = wait(with_code(&place, &double, "123456", &["plan", "s.yaml"]).spawn().unwrap(), 60).expect(0);
    assert!(done.stdout.contains("session    the session of the role ends at 20"), "{}", done.stdout);
    assert!(done.stdout.contains("--serial-number") && done.stdout.contains("assumed-role/drill-mfa"), "{}", done.stdout);
    let done = wait(with_code(&place, &double, "234567", &["plan", "s.yaml", "--output", "json"]).spawn().unwrap(), 60).expect(0).json();
    assert!(done["session"]["ends"].as_str().unwrap() > done["session"]["needed_until"].as_str().unwrap(), "{:#}", done["session"]);
    assert_eq!(done["session"]["by_code"], true);
}

#[test]
fn policies_tell_the_role_to_ask_for_a_code() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &(by_code() + ", session: 2h, external_id: shop-7"), "300ms"));
    let done = run(&place, &double, &["plan", "s.yaml", "--output", "iam"]).expect(0);
    assert!(done.stderr.contains("maximum session duration must be 2 h or more"), "{}", done.stderr);
    let told = done.json();
    let trust = &told["trust"]["Statement"][0];
    assert_eq!((&trust["Action"], &trust["Principal"]["AWS"]), (&"sts:AssumeRole".into(), &"arn:aws:iam::111122223333:root".into()));
    assert_eq!(trust["Condition"]["Bool"]["aws:MultiFactorAuthPresent"], "true");
    assert_eq!(told["caller"]["Statement"][0]["Resource"][0], ROLE);
    assert!(double.operations().is_empty());
}

// ---------------------------------------------------------------------------------------------------- whoever dies

#[test]
fn a_watchdog_undoes_with_the_session_that_it_was_handed_and_shows_it_to_nobody() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "5m"));
    let mut runner = quiet(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]));
    place.wait_until_bitten("broken", 60);
    // The first watchdog dies; the one that replaces it is handed the session as well.
    let first = place.watchdogs()[0];
    send(first, "KILL");
    assert!(comes(Duration::from_secs(30), || place.watchdogs().len() == 2));
    for pid in [runner.id(), place.watchdogs()[1]] {
        for file in ["environ", "cmdline"] {
            let text = String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap()).into_owned();
            assert!(!text.contains("DRILL-hush"), "{file} of {pid} shows the session");
            assert!(pid == runner.id() || !text.contains("123456"), "{file} of {pid} shows the code");
        }
    }
    nothing_is_written(&place);
    send(runner.id(), "KILL");
    runner.wait().unwrap();
    assert!(comes(Duration::from_secs(90), || !alive(place.watchdogs()[1])), "the watchdog does not end");
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    assert_eq!(place.event("undone", "broken")["id"], "broken");
    assert_eq!(double.with(|world| world.sts.asked.len()), 1, "there is one session, of one code");
    nothing_is_written(&place);
}

/// Kills the runner once the nth call is done and before it is answered. What is wrong afterwards.
fn killed_at(call: usize, port: u16) -> Result<bool, String> {
    let (double, place) = (Double::start(MINUTE), Place::new());
    place.file("s.yaml", scenario(port, &by_code(), "300ms"));
    let victim = Arc::new(AtomicU32::new(0));
    let (to_kill, killed) = (Arc::clone(&victim), Arc::new(Mutex::new(None)));
    let note = Arc::clone(&killed);
    double.on_call(move |n, operation| {
        if n == call {
            send(to_kill.load(Ordering::SeqCst), "KILL");
            *note.lock().unwrap() = Some(operation.to_owned());
        }
    });
    let mut runner = quiet(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]));
    victim.store(runner.id(), Ordering::SeqCst);
    if !comes(Duration::from_secs(90), || runner.try_wait().unwrap().is_some()) {
        let _ = runner.kill();
        return Err("the runner does not end".into());
    }
    let owing = || std::fs::read_dir(place.path().join("registry/runs")).map(|dir| dir.flatten().count()).unwrap_or_default();
    // A watchdog that has not answered yet stands in no journal: that it has done its work shows in the registry.
    comes(Duration::from_secs(90), || owing() == 0 && place.watchdogs().iter().all(|pid| !alive(*pid)));
    let at = killed.lock().unwrap().clone();
    let mut wrong = residue(&double);
    if started(&double) > 1 {
        wrong.push(format!("{} experiments were started", started(&double)));
    }
    if owing() > 0 {
        wrong.push(format!("{} runs still owe", owing()));
    }
    if wrong.is_empty() { Ok(at.is_some()) } else { Err(format!("call {call}, {at:?}: {}\n{:#?}", wrong.join("; "), double.operations())) }
}

#[test]
fn whenever_the_runner_dies_what_it_did_with_a_session_is_undone_with_it() {
    let port = service();
    let calls = [1, 2, 4, 6, 8, 9, 10, 11, 12, 14];
    let (next, wrong, reached) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(call) = calls.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match killed_at(*call, port) {
                        Ok(true) => drop(reached.fetch_add(1, Ordering::SeqCst)),
                        Ok(false) => {}
                        Err(why) => wrong.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("killed at {} calls", reached.load(Ordering::SeqCst));
    assert!(reached.into_inner() >= 8);
}

#[test]
fn a_fresh_undo_asks_for_a_code_of_its_own_and_says_so_where_nobody_can_be_asked() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "5m"));
    let mut runner = quiet(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]));
    let dir = place.wait_until_bitten("broken", 60);
    kill_everybody(&mut runner, &place);
    let dir = dir.to_str().unwrap();
    assert_eq!(residue(&double).len(), 2, "an experiment and its template");
    let done = run(&place, &double, &["undo", dir]).expect(50);
    assert!(done.stderr.contains("FIREDRILL_MFA_CODE") && done.stderr.contains("by hand: ( printf 'code of %s: '"), "{}", done.stderr);
    assert_eq!(residue(&double).len(), 2);
    // What was used is used: the next one is good.
    let mut terminal = Terminal::start(&in_account(&place, &double, &["undo", dir]), 120, 40, "xterm");
    terminal.wait_for("MFA code of", 60);
    terminal.line("123456");
    terminal.wait_for("invalid MFA one time pass code", 60);
    comes(Duration::from_secs(30), || terminal.text().matches("MFA code of").count() == 2);
    terminal.line("234567");
    assert_eq!(terminal.ends(120), Some(0), "{}", terminal.text());
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    // Nothing is owed any more, and nobody is asked for anything.
    let again = run(&place, &double, &["undo", dir]);
    assert!(matches!(again.code, Some(0 | 11)) && !again.stderr.contains("MFA"), "{:?} {}", again.code, again.stderr);
}

fn aws_cli() -> bool {
    let there =
        Command::new("aws").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: the AWS command line is not installed (pip install awscli); the line by hand was not pasted");
    }
    there
}

#[test]
fn the_line_by_hand_asks_whoever_pastes_it_for_a_code() {
    if !aws_cli() {
        return;
    }
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "5m"));
    let mut runner = quiet(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]));
    let dir = place.wait_until_bitten("broken", 60);
    kill_everybody(&mut runner, &place);
    let line = place.event("armed", "broken")["undo"]["by_hand"].as_str().unwrap().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir("/").env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").envs(double.environment());
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"234567\n").unwrap();
    let pasted = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&pasted.stderr).into_owned();
    assert!(pasted.status.success(), "{line}\n{said}");
    assert!(said.contains(&format!("code of {DEVICE}: ")), "{said}");
    assert!(comes(Duration::from_secs(20), || residue(&double).is_empty()), "{:?}", residue(&double));
    double.with(|world| world.sts.codes.push("345678".into()));
    wait(with_code(&place, &double, "345678", &["undo", dir.to_str().unwrap()]).spawn().unwrap(), 120).expect(0);
}

#[test]
fn a_session_that_ends_too_soon_all_the_same_is_followed_by_one_that_undo_asks_for() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, &by_code(), "5m"));
    let runner = with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]).spawn().unwrap();
    let dir = place.wait_until_bitten("broken", 60);
    // Somebody took it back.
    double.with(|world| world.sts.sessions.values_mut().for_each(|session| session.ends = Instant::now()));
    send(runner.id(), "INT");
    let done = wait(runner, 120).expect(50);
    let failed = place.event("undo_failed", "broken")["error"].as_str().unwrap().to_owned();
    assert!(
        failed.contains("the session of the role has ended") && failed.contains("`firedrill undo` asks for it"),
        "{failed}\n{}",
        done.stderr
    );
    let undone = wait(with_code(&place, &double, "234567", &["undo", dir.to_str().unwrap()]).spawn().unwrap(), 120).expect(0);
    assert!(undone.stderr.contains("undone and verified: broken"), "{}", undone.stderr);
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    // Whoever tried on sees that there is nothing left to do.
    assert!(comes(Duration::from_secs(60), || place.watchdogs().iter().all(|pid| !alive(*pid))));
}

// ------------------------------------------------------------------------------------------------- long enough?

fn in_minutes(minutes: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A program that prints what this line of a shell prints.
fn program(place: &Place, name: &str, line: &str) -> PathBuf {
    let path = place.file(name, format!("#!/bin/sh\n{line}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A temporary key that the double knows.
fn temporary(double: &Double) -> (String, String) {
    double.with(|world| {
        let key = format!("ASIATEMPORARY{:02}DRILL", world.sts.sessions.len());
        let token = format!("token-of-{key}");
        let session = aws::sts::Session { token: token.clone(), ends: Instant::now() + MINUTE * 60, role: "drills".into() };
        world.sts.sessions.insert(key.clone(), session);
        (key, token)
    })
}

/// No keys but those of this configuration.
fn by_config(command: &mut Command, path: &Path) {
    command.env("AWS_CONFIG_FILE", path).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
}

fn credentials_of(key: &str, token: &str, ends: &str) -> String {
    serde_json::json!({ "Version": 1, "AccessKeyId": key, "SecretAccessKey": "not-a-real-secret", "SessionToken": token, "Expiration": ends }).to_string()
}

#[test]
fn a_session_of_a_role_must_be_longer_than_the_drill_and_its_undo() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let text = |session: &str| scenario(port, &(by_code() + session), "55m");
    place.file("s.yaml", text(""));
    let done = wait(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]).spawn().unwrap(), 60).expect(11);
    for part in
        ["a session of the role lasts 1 h", "the drill may last ", "undoing it up to 10 min more: until 20", "`session:` under `aws:`"]
    {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    assert_eq!((double.operations().len(), place.runs().len()), (0, 0), "no code is used up for it");
    // Longer than the role allows: AWS says so.
    place.file("s.yaml", text(", session: 5h"));
    let done = wait(with_code(&place, &double, "123456", &["run", "s.yaml", "--yes"]).spawn().unwrap(), 60).expect(11);
    assert!(done.stderr.contains("exceeds the MaxSessionDuration set for this role"), "{}", done.stderr);
    place.file("s.yaml", text(", session: 2h"));
    wait(with_code(&place, &double, "234567", &["plan", "s.yaml"]).spawn().unwrap(), 60).expect(0);
    // Without a code the SDK takes the role again whenever it has to.
    place.file("s.yaml", scenario(port, ", role: \"arn:aws:iam::111122223333:role/drill\", external_id: shop-7, session: 15m", "55m"));
    let done = run(&place, &double, &["plan", "s.yaml"]).expect(0);
    assert!(!done.stdout.contains("session    "), "{}", done.stdout);
}

#[test]
fn credentials_that_end_before_the_drill_are_refused_before_anything_is_touched() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let (key, token) = temporary(&double);
    place.file("s.yaml", scenario(port, "", "300ms"));
    let of_environment = |ends: &str, args: &[&str]| {
        let mut command = in_account(&place, &double, args);
        command.env("AWS_ACCESS_KEY_ID", &key).env("AWS_SESSION_TOKEN", &token).env("AWS_CREDENTIAL_EXPIRATION", ends);
        wait(command.spawn().unwrap(), 120)
    };
    let done = of_environment(&in_minutes(5), &["run", "s.yaml", "--yes"]).expect(11);
    for part in ["what the environment holds ends at 20", "the drill may last ", "undoing it up to 10 min more", "nothing was injected"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let done = of_environment(&in_minutes(5), &["plan", "s.yaml"]).expect(11);
    assert!(
        done.stdout.contains("session    what the environment holds ends at") && done.stderr.contains("the drill may last"),
        "{}",
        done.stderr
    );
    assert_eq!((started(&double), place.runs().len()), (0, 0));
    of_environment(&in_minutes(90), &["run", "s.yaml", "--yes"]).expect(0);
    assert_eq!(started(&double), 1);

    // A credential process with ten minutes left: nobody knows whether it can make new ones by itself …
    let process = |name: &str, line: &str| {
        let program = program(&place, name, line);
        let config = place.file("config", format!("[profile made]\ncredential_process = {}\n", program.display()));
        let mut command = in_account(&place, &double, &["run", "p.yaml", "--yes"]);
        by_config(&mut command, &config);
        wait(command.spawn().unwrap(), 120)
    };
    place.file("p.yaml", scenario(port, ", profile: made", "300ms"));
    let fixed = credentials_of(&key, &token, &in_minutes(10));
    let done = process("fixed", &format!("echo '{fixed}'")).expect(11);
    assert!(done.stderr.contains("what the credential process gives ends at 20"), "{}", done.stderr);
    // … unless it was seen to do so.
    let moving = credentials_of(&key, &token, "ENDS");
    let line = format!("echo '{moving}' | sed \"s/ENDS/$(date -u -d '+10 min' +%Y-%m-%dT%H:%M:%SZ)/\"");
    process("moving", &line).expect(0);
    assert_eq!((residue(&double), started(&double)), (vec![], 2));
}

// ------------------------------------------------------------------------------------------------------- profiles

/// Says it like `sha1sum`, by which the SDK names the files of logins.
fn sha1(text: &str) -> String {
    let name = Command::new("sh").args(["-c", "printf %s \"$0\" | sha1sum | cut -d' ' -f1", text]).output().unwrap();
    String::from_utf8(name.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_login_of_the_identity_center_is_used_and_must_outlast_the_drill() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    double.with(|world| world.sts.login = Some("login-hush".into()));
    place.file("s.yaml", scenario(port, ", profile: house", "300ms"));
    let config = place.file(
        "config",
        "[profile house]\nsso_session = house\nsso_account_id = 111122223333\nsso_role_name = Driller\n\n[sso-session house]\nsso_region = eu-west-1\nsso_start_url = https://house.example/start\n",
    );
    let logged_in = |ends: &str, more: &str| {
        let text = format!(
            r#"{{"accessToken":"login-hush","expiresAt":"{ends}","region":"eu-west-1","startUrl":"https://house.example/start"{more}}}"#
        );
        place.file(&format!(".aws/sso/cache/{}.json", sha1("house")), text);
        let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
        by_config(&mut command, &config);
        wait(command.spawn().unwrap(), 120)
    };
    let done = logged_in(&in_minutes(5), "").expect(11);
    for part in ["the SSO login ends at 20", "the drill may last", "`aws sso login --profile house`"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    assert_eq!(double.operations(), Vec::<String>::new());
    let done = logged_in(&in_minutes(-5), "").expect(11);
    assert!(done.stderr.contains("the SSO login ended at 20"), "{}", done.stderr);
    logged_in(&in_minutes(90), "").expect(0);
    assert!(count(&double, "GetRoleCredentials") >= 1);
    assert!(
        place.event("armed", "broken")["summary"]
            .as_str()
            .unwrap()
            .ends_with("as arn:aws:sts::111122223333:assumed-role/Driller/firedrill")
    );
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    // One that is renewed by itself may be as short as it likes.
    let registered =
        format!(r#","clientId":"c","clientSecret":"s","refreshToken":"r","registrationExpiresAt":"{}""#, in_minutes(60 * 24 * 30));
    logged_in(&in_minutes(8), &registered).expect(0);
    // Nothing of the login is in what a run leaves.
    let mut found = Vec::new();
    written(&place.path().join(".firedrill"), &mut found);
    assert_eq!(found, Vec::<PathBuf>::new());
    for run in place.runs() {
        assert!(!std::fs::read_to_string(run.join("events.jsonl")).unwrap().contains("login-hush"));
    }
}

#[test]
fn a_role_of_a_profile_is_taken_with_the_keys_of_another_and_a_named_profile_comes_before_the_environment() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, ", profile: drills", "300ms"));
    let config = place.file(
        "config",
        format!(
            "[profile keys]\naws_access_key_id = {KEY}\naws_secret_access_key = not-a-real-secret\n\n\
             [profile drills]\nrole_arn = arn:aws:iam::111122223333:role/drill\nexternal_id = shop-7\nsource_profile = keys\n"
        ),
    );
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    // Keys of somebody else lie around: whoever names a profile does not mean these.
    command.env("AWS_CONFIG_FILE", &config).env("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000");
    wait(command.spawn().unwrap(), 120).expect(0);
    assert!(
        place.event("armed", "broken")["summary"].as_str().unwrap().ends_with("as arn:aws:sts::111122223333:assumed-role/drill/firedrill")
    );
    assert_eq!((residue(&double), started(&double)), (vec![], 1));
    // A profile that is not there is no reason to look elsewhere.
    place.file("s.yaml", scenario(port, ", profile: drlils", "300ms"));
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    let done = wait(command.env("AWS_CONFIG_FILE", &config).spawn().unwrap(), 120).expect(11);
    assert!(done.stderr.contains("no AWS credentials were found") && done.stderr.contains("--profile drlils"), "{}", done.stderr);
}

// -------------------------------------------------------------------------------------------------- in mid-drill

/// A drill whose credentials end while the fault bites: `fresh` brings new ones, before the drill is told to end or after its runner gave up.
fn renewed(after: bool, config: impl Fn(&Place) -> String, write: impl Fn(&Place, &str, &str)) -> BTreeMap<&'static str, Value> {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, ", profile: made", "5m"));
    let (key, token) = temporary(&double);
    write(&place, &key, &token);
    let config = place.file("config", config(&place));
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    by_config(&mut command, &config);
    let runner = command.env("AWS_SHARED_CREDENTIALS_FILE", place.path().join("credentials")).spawn().unwrap();
    place.wait_until_bitten("broken", 60);
    double.with(|world| world.sts.sessions.values_mut().for_each(|session| session.ends = Instant::now()));
    let renew = || {
        let (key, token) = temporary(&double);
        write(&place, &key, &token);
    };
    if !after {
        renew();
    }
    send(runner.id(), "INT");
    let done = wait(runner, 120);
    if after {
        assert_eq!(done.code, Some(50), "{}", done.stderr);
        assert_eq!(residue(&double).len(), 2);
        renew();
    }
    // The watchdog tries on.
    assert!(comes(Duration::from_secs(60), || place.watchdogs().iter().all(|pid| !alive(*pid))), "{}", done.stderr);
    assert_eq!((residue(&double), started(&double)), (vec![], 1), "{}", done.stderr);
    BTreeMap::from([
        ("code", done.code.into()),
        ("undone", place.event("undone", "broken")),
        ("failed", place.event("undo_failed", "broken")),
    ])
}

#[test]
fn fresh_credentials_in_the_file_of_a_profile_are_found_by_the_undo_and_by_the_watchdog() {
    let write = |place: &Place, key: &str, token: &str| {
        let text = format!("[made]\naws_access_key_id = {key}\naws_secret_access_key = not-a-real-secret\naws_session_token = {token}\n");
        drop(place.file("credentials", text));
    };
    let config = |_: &Place| "[profile made]\nregion = eu-west-1\n".to_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(renewed(false, config, write)["code"], 40));
        scope.spawn(|| {
            let told = renewed(true, config, write);
            assert!(told["failed"]["error"].as_str().unwrap().contains("credentials have expired"), "{told:?}");
            assert_eq!(told["undone"]["id"], "broken");
        });
    });
}

#[test]
fn fresh_credentials_of_a_process_are_found_by_the_undo() {
    let write = |place: &Place, key: &str, token: &str| drop(place.file("given.json", credentials_of(key, token, &in_minutes(90))));
    let config = |place: &Place| format!("[profile made]\ncredential_process = cat {}\n", place.path().join("given.json").display());
    assert_eq!(renewed(false, config, write)["code"], 40);
}

/// What the double says is what AWS's own client reads.
#[test]
fn the_double_gives_sessions_as_the_service_models_say() {
    let there = Command::new("python3").args(["-c", "import boto3"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: boto3 is not installed (pip install boto3); the double was not held against AWS's models");
        return;
    }
    let double = Double::start(MINUTE);
    double.with(|world| world.sts.login = Some("login-hush".into()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/peer_login.py");
    let done = Command::new("python3").arg(script).envs(double.environment()).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
}
