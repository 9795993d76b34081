//! `aws.fis.experiment` on a double of an AWS account: whole drills of the real binary, everybody killed at any call, lost answers, throttling,
//! and every refusal.
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

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws::fis::has_ended;
use aws::{Double, EXPIRED, OFF, Trouble, in_account, run};
use drill::{Done, Place, alive, comes, free_ports, kill_everybody, send, service, wait};
use serde_json::Value;

/// A minute of an action: long, so that nothing ends before it is told to.
const MINUTE: Duration = Duration::from_secs(60);

const DESCRIBED: &str = r#"
      actions:
        stop: { action: "aws:ec2:stop-instances", parameters: { startInstancesAfterDuration: PT5M }, targets: { Instances: shop } }
        pause: { action: "aws:fis:wait", parameters: { duration: PT1M }, after: [stop] }
      targets: { shop: { type: "aws:ec2:instance", tags: { app: shop, firedrill: allowed }, select: COUNT(1) } }
      stop_conditions: ["arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors"]
      role: arn:aws:iam::111122223333:role/fis"#;

/// A drill that does this to the account, for so long.
fn scenario(port: u16, spec: &str, hold: &str) -> String {
    format!(
        "firedrill: 1
title: An instance is stopped
environment: test
aws: {{ account: \"111122223333\", region: eu-west-1 }}
probes:
  up: {{ tcp: {{ address: '127.0.0.1:{port}' }}, rate: 50/s, timeout: 500ms }}
steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
faults:
  broken:
    aws.fis.experiment:{spec}
    for: {hold}
recovery: {{ within: 10s, stable_for: 50ms }}
"
    )
}

/// What somebody else has in the account: a template, and an experiment that runs.
fn strangers(double: &Double) -> (String, String) {
    let body = serde_json::json!({
        "clientToken": "theirs", "description": "theirs", "roleArn": "arn:aws:iam::111122223333:role/fis",
        "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:theirs" }],
        "actions": { "pause": { "actionId": "aws:fis:wait", "parameters": { "duration": "PT600M" } },
            "stop": { "actionId": "aws:ec2:stop-instances", "targets": { "Instances": "all" }, "startAfter": ["pause"] } },
        "targets": { "all": { "resourceType": "aws:ec2:instance", "resourceTags": { "app": "shop", "firedrill": "allowed" }, "selectionMode": "ALL" } },
        "tags": { "firedrill-mark": "of another run" },
    });
    double.with(|world| {
        let ask = |path: Vec<&'static str>, body: Value| aws::Asked { path, query: Default::default(), body };
        let made = world.fis.act("CreateExperimentTemplate", &ask(vec![], body)).unwrap();
        let template = made["experimentTemplate"]["id"].as_str().unwrap().to_owned();
        let body = serde_json::json!({ "clientToken": "theirs", "experimentTemplateId": template, "tags": { "firedrill-mark": "of another run" } });
        let started = world.fis.act("StartExperiment", &ask(vec![], body)).unwrap();
        (template, started["experiment"]["id"].as_str().unwrap().to_owned())
    })
}

/// What is wrong with the account after a drill: something of ours that is left, or something of theirs that is not.
fn residue(double: &Double, theirs: &(String, String)) -> Vec<String> {
    let (states, templates) = double.with(|world| (world.fis.states(), world.fis.template_ids()));
    let mut wrong: Vec<String> = Vec::new();
    for (id, state) in states {
        match (id == theirs.1, has_ended(&state)) {
            (true, true) => wrong.push(format!("their experiment is {state}")),
            (false, false) => wrong.push(format!("experiment {id} is {state}")),
            _ => {}
        }
    }
    wrong.extend(templates.iter().filter(|id| **id != theirs.0).map(|id| format!("template {id} is left")));
    if !templates.contains(&theirs.0) {
        wrong.push("their template is gone".into());
    }
    wrong
}

fn ours(double: &Double, theirs: &(String, String)) -> Vec<String> {
    double.with(|world| world.fis.states().into_keys().filter(|id| *id != theirs.1).collect())
}

#[test]
fn the_scenario_of_the_kind_passes_and_leaves_the_account_as_it_was() {
    assert!((0..TRIES).any(|_| the_scenario_runs()), "the machine was too busy to be evidence, {TRIES} times");
}

fn the_scenario_runs() -> bool {
    let (double, place) = (Double::start(MINUTE), Place::new());
    let theirs = strangers(&double);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/kinds/aws-fis-experiment.yaml").display().to_string();
    let [port] = free_ports();
    let done = run(&place, &double, &["run", &file, "--yes", "--output", "json", "--var", &format!("port={port}")]);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    assert_eq!(ours(&double, &theirs).len(), 1);
    let events = place.events();
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind && event["id"] == "lose-an-instance").unwrap().clone();
    assert_eq!(of("armed")["targets"][0], "1 of 3: any of instance/i-1, instance/i-2, instance/i-3 (aws:ec2:instance)");
    assert!(of("armed")["summary"].as_str().unwrap().ends_with("as arn:aws:sts::111122223333:assumed-role/drills/alice"));
    let seen = of("effective")["seen"].as_str().unwrap().to_owned();
    assert!(
        seen.contains("actions: stop running (Action is running.)")
            && seen.contains("hit: arn:aws:ec2:eu-west-1:111122223333:instance/i-1"),
        "{seen}"
    );
    let seen = of("undone")["seen"].as_str().unwrap().to_owned();
    assert!(seen.contains("stopped (Experiment halted by a request to stop it.)") && seen.contains("stop stopped"), "{seen}");
    // Nobody is asked for anything before it is known in whose account that would be.
    assert_eq!(double.operations()[0], "GetCallerIdentity");
    let text = std::fs::read_to_string(place.runs()[0].join("events.jsonl")).unwrap();
    assert!(!text.contains("not-a-real-secret"));
    place.assert_nobody_survives(5);
    decided(&done)
}

/// A machine that was too busy to watch from decides nothing: such a drill is repeated, so often.
const TRIES: usize = 4;

/// Whether the drill passed; false when its prober was in doubt, which is no result.
fn decided(done: &Done) -> bool {
    let report = done.json();
    if matches!(done.code, Some(31 | 33)) && report["validity"]["tainted_seconds"] != 0 {
        return false;
    }
    assert_eq!((done.code, &report["run"]["system"]), (Some(0), &Value::from("passed")), "{}", done.stderr);
    true
}

#[test]
fn a_template_of_the_account_is_used_and_kept() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, &format!(" {{ template: {} }}", theirs.0), "500ms"));
    let planned = run(&place, &double, &["plan", "s.yaml"]).expect(0);
    for part in [
        "111122223333 in eu-west-1",
        "instance/i-3 (aws:ec2:instance)",
        "3 of 3",
        "aws:fis:wait",
        "assumed-role/drills/alice",
        "stop-experiment",
    ] {
        assert!(planned.stdout.contains(part), "{part} is missing in\n{}", planned.stdout);
    }
    assert!(!planned.stdout.contains("delete-experiment-template"));
    run(&place, &double, &["run", "s.yaml", "--yes"]).expect(0);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    assert_eq!(ours(&double, &theirs).len(), 1);
}

/// Real users of an instance: it stands for a node of the demonstration, which the experiment stops and AWS starts again.
#[test]
fn an_instance_that_serves_people_is_lost_and_comes_back() {
    assert!((0..TRIES).any(|_| an_instance_is_lost()), "the machine was too busy to be evidence, {TRIES} times");
}

fn an_instance_is_lost() -> bool {
    let (double, place) = (Double::start(Duration::from_millis(600)), Place::new());
    let theirs = strangers(&double);
    let [port] = free_ports();
    let data = place.path().join("node").display().to_string();
    let mut node = place
        .command(&[
            "__demo",
            "node",
            "--name=a",
            &format!("--listen=127.0.0.1:{port}"),
            "--peer=127.0.0.1:1",
            &format!("--data={data}"),
            "--first",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    double.with(|world| world.fis.instances[0].pid = Some(node.id()));
    let text = format!(
        "firedrill: 1
title: The instance that serves the shop is stopped
environment: test
aws: {{ account: \"111122223333\", region: eu-west-1 }}
probes:
  shop: {{ http: {{ url: 'http://127.0.0.1:{port}/status' }}, rate: 20/s, timeout: 300ms, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 1s, probes: {{ shop: {{ success: {{ min: 90% }} }} }} }}
faults:
  broken:
    aws.fis.experiment:{DESCRIBED}
    for: {{ until: recovered, at_most: 25s }}
recovery: {{ within: 30s, stable_for: 1s }}
claims:
  back: {{ rto: {{ max: 20s }} }}
"
    );
    place.file("s.yaml", text);
    let done = run(&place, &double, &["run", "s.yaml", "--yes", "--output", "json"]);
    let _ = node.kill();
    let _ = node.wait();
    let report = done.json();
    assert!(!report["probes"]["shop"]["outages"].as_array().unwrap().is_empty(), "users noticed nothing");
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    decided(&done)
}

/// More calls than a drill makes.
const MOST_CALLS: usize = 80;

/// Kills the runner once the nth call is done and before it is answered. What is wrong afterwards.
fn killed_at(call: usize, port: u16, lag: Duration) -> Result<bool, String> {
    let (double, place) = (Double::start(MINUTE), Place::new());
    let theirs = strangers(&double);
    double.with(|world| world.fis.lag = lag);
    place.file("s.yaml", scenario(port, DESCRIBED, "300ms"));
    let victim = Arc::new(AtomicU32::new(0));
    let (to_kill, killed) = (Arc::clone(&victim), Arc::new(Mutex::new(None)));
    let note = Arc::clone(&killed);
    double.on_call(move |n, operation| {
        if n == call {
            send(to_kill.load(Ordering::SeqCst), "KILL");
            *note.lock().unwrap() = Some(operation.to_owned());
        }
    });
    let mut runner = in_account(&place, &double, &["run", "s.yaml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    victim.store(runner.id(), Ordering::SeqCst);
    if !comes(Duration::from_secs(90), || runner.try_wait().unwrap().is_some()) {
        let _ = runner.kill();
        return Err("the runner does not end".into());
    }
    comes(Duration::from_secs(90), || place.watchdogs().iter().all(|pid| !alive(*pid)));
    let at = killed.lock().unwrap().clone();
    let mut wrong = residue(&double, &theirs);
    let count = ours(&double, &theirs).len();
    if count > 1 {
        wrong.push(format!("{count} experiments were started"));
    }
    let owed = std::fs::read_dir(place.path().join("registry/runs")).map(|dir| dir.flatten().count()).unwrap_or_default();
    if owed > 0 {
        wrong.push(format!("{owed} runs still owe"));
    }
    if wrong.is_empty() { Ok(at.is_some()) } else { Err(format!("call {call}, {at:?}: {}\n{:#?}", wrong.join("; "), double.operations())) }
}

#[test]
fn whenever_the_runner_dies_exactly_what_it_made_is_ended_and_removed() {
    let port = service();
    let (next, wrong, reached, beyond) = (AtomicUsize::new(1), Mutex::new(Vec::new()), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let call = next.fetch_add(1, Ordering::SeqCst);
                    // Until a drill has no such call any more, with lists that lag and without.
                    if beyond.load(Ordering::SeqCst) >= 2 || call > MOST_CALLS {
                        break;
                    }
                    // Half of them with lists that lag behind what was done.
                    match killed_at(call, port, Duration::from_millis(if call.is_multiple_of(2) { 1_500 } else { 0 })) {
                        Ok(true) => drop(reached.fetch_add(1, Ordering::SeqCst)),
                        Ok(false) => drop(beyond.fetch_add(1, Ordering::SeqCst)),
                        Err(why) => wrong.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let reached = reached.into_inner();
    println!("killed at {reached} calls");
    assert!(reached >= 16 && beyond.into_inner() > 0, "only {reached} calls were reached");
}

#[test]
fn a_start_whose_answer_is_lost_is_one_start_or_is_found_and_stopped() {
    let port = service();
    // Lost once: the same token is sent again, and the drill goes on.
    let (double, place) = (Double::start(MINUTE), Place::new());
    let theirs = strangers(&double);
    for operation in ["CreateExperimentTemplate", "StartExperiment", "StopExperiment", "DeleteExperimentTemplate"] {
        double.trouble(operation, &[Trouble::LoseAnswer]);
    }
    place.file("s.yaml", scenario(port, DESCRIBED, "300ms"));
    run(&place, &double, &["run", "s.yaml", "--yes"]).expect(0);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    assert_eq!(ours(&double, &theirs).len(), 1, "one start");
    let starts = double.operations().iter().filter(|operation| *operation == "StartExperiment").count();
    assert!(starts >= 2, "the answer was not lost");

    // Lost every time, and the lists lag: nobody in the runner ever learns its id.
    let (double, place) = (Double::start(MINUTE), Place::new());
    let theirs = strangers(&double);
    double.trouble("StartExperiment", &[Trouble::LoseAnswer; 12]);
    double.with(|world| world.fis.lag = Duration::from_millis(1_500));
    place.file("s.yaml", scenario(port, DESCRIBED, "300ms"));
    let done = run(&place, &double, &["run", "s.yaml", "--yes"]);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    assert!(
        place.event("inject_failed", "broken")["error"].as_str().unwrap().contains("start the experiment: no answer"),
        "{}",
        done.stderr
    );
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    let ours = ours(&double, &theirs);
    assert_eq!(ours.len(), 1);
    assert_eq!(double.with(|world| world.fis.states()[&ours[0]].clone()), "stopped");
}

/// Others use up what the account allows; stopping has a budget of its own.
#[test]
fn throttling_does_not_delay_an_abort() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, DESCRIBED, "5m"));
    let runner = in_account(&place, &double, &["run", "s.yaml", "--yes"]).spawn().unwrap();
    place.wait_until_bitten("broken", 60);
    double.with(|world| world.limit = Some(10));
    // Others ask as fast as they can, so that the limit is always used up.
    let busy = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let noise = {
        let (url, busy) = (double.url.clone(), Arc::clone(&busy));
        std::thread::spawn(move || {
            let address = url.trim_start_matches("http://").to_owned();
            while busy.load(Ordering::SeqCst) {
                if let Ok(mut stream) = std::net::TcpStream::connect(&address) {
                    use std::io::{Read, Write};
                    let _ = stream.write_all(b"GET /noise HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
                    let _ = stream.read(&mut [0; 64]);
                }
                std::thread::sleep(Duration::from_millis(40));
            }
        })
    };
    std::thread::sleep(Duration::from_millis(500));
    let before = double.operations().len();
    send(runner.id(), "INT");
    let done = wait(runner, 120);
    busy.store(false, Ordering::SeqCst);
    noise.join().unwrap();
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    let calls: Vec<aws::Call> = double.with(|world| world.calls[before..].to_vec());
    assert!(calls.iter().any(|call| call.trouble == Some(Trouble::Throttle)), "nothing was throttled");
    // Of our own, between the order to end and the one that was taken: what looks whether it is undone already, and the tries to stop it.
    let own: Vec<&aws::Call> = calls.iter().filter(|call| !call.operation.contains("noise")).collect();
    let stopped = own.iter().position(|call| call.operation == "StopExperiment" && call.trouble.is_none()).unwrap();
    let others = own[..stopped].iter().filter(|call| call.operation != "StopExperiment" && call.trouble.is_none()).count();
    println!("{} calls of others were throttled; stopped by call {} of ours", calls.len() - own.len(), stopped + 1);
    assert!(others <= 6, "{own:#?}");
}

#[test]
fn credentials_that_expire_in_mid_drill_are_looked_for_again_and_the_undo_is_repeated() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, DESCRIBED, "5m"));
    let runner = in_account(&place, &double, &["run", "s.yaml", "--yes"]).spawn().unwrap();
    place.wait_until_bitten("broken", 60);
    double.trouble("*", &[Trouble::Expire; 3]);
    send(runner.id(), "INT");
    let done = wait(runner, 120);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    let failed = place.events().into_iter().find(|event| event["type"] == "undo_failed").unwrap();
    assert!(failed["error"].as_str().unwrap().contains("credentials have expired"), "{failed}");
}

#[test]
fn an_experiment_that_its_alarm_ends_is_told_as_such() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, DESCRIBED, "3s"));
    let runner = in_account(&place, &double, &["run", "s.yaml", "--yes"]).spawn().unwrap();
    place.wait_until_bitten("broken", 60);
    double.with(|world| world.fis.alarms.insert("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors".into()));
    let _ = wait(runner, 120);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    let seen = place.event("undone", "broken")["seen"].as_str().unwrap().to_owned();
    assert!(seen.contains("Experiment halted by stop condition."), "{seen}");
}

#[test]
fn an_experiment_that_fails_ends_the_drill_with_the_reason_of_aws() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    double.with(|world| world.fis.vanished = true);
    place.file("s.yaml", scenario(port, DESCRIBED, "3s"));
    let done = run(&place, &double, &["run", "s.yaml", "--yes"]);
    assert_eq!(done.code, Some(33), "{}", done.stderr);
    let why = place.event("not_confirmed", "broken")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("failed (Target resolution returned empty set; TargetsNotFound in targets.shop)"), "{why}");
    let (states, templates) = double.with(|world| (world.fis.states(), world.fis.template_ids()));
    assert!(states.len() == 1 && states.values().all(|state| state == "failed") && templates.is_empty(), "{states:?} {templates:?}");
}

/// What is wrong with the account, or with the command.
type Change = Box<dyn FnOnce(&Double, &mut Command)>;

/// Runs what cannot start, and returns what was said. Nothing may have been made.
fn refused(text: &str, change: impl FnOnce(&Double, &mut Command)) -> String {
    let (double, place) = (Double::start(MINUTE), Place::new());
    place.file("s.yaml", text);
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    change(&double, &mut command);
    let done = wait(command.spawn().unwrap(), 120);
    assert_eq!(done.code, Some(11), "{}", done.stderr);
    let made = double.with(|world| (world.fis.states().len(), world.fis.template_ids().len()));
    assert_eq!(made, (0, 0), "{}", done.stderr);
    done.stderr + &done.stdout
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_touched_and_says_what_to_do() {
    let port = service();
    let good = scenario(port, DESCRIBED, "1s");
    let cases: Vec<(&str, String, Change, &str)> = vec![
        (
            "no credentials",
            good.clone(),
            Box::new(|_, c| {
                c.env_remove("AWS_ACCESS_KEY_ID");
            }),
            "no AWS credentials were found",
        ),
        (
            "expired",
            good.clone(),
            Box::new(|_, c| {
                c.env("AWS_ACCESS_KEY_ID", EXPIRED);
            }),
            "credentials have expired",
        ),
        (
            "unknown",
            good.clone(),
            Box::new(|_, c| {
                c.env("AWS_ACCESS_KEY_ID", "AKIANOBODY");
            }),
            "does not know these credentials",
        ),
        ("clock", good.clone(), Box::new(|d, _| d.with(|w| w.skewed = true)), "compare this machine's clock"),
        (
            "account",
            good.replace("account: \"111122223333\"", "account: \"999988887777\""),
            Box::new(|_, _| {}),
            "these credentials act in 111122223333",
        ),
        ("region", good.replace("region: eu-west-1", &format!("region: {OFF}")), Box::new(|_, _| {}), "may not be enabled"),
        (
            "nobody there",
            good.clone(),
            Box::new(|_, c| {
                c.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
            }),
            "no answer from AWS in eu-west-1",
        ),
        (
            "lever",
            good.clone(),
            Box::new(|d, _| d.with(|w| w.fis.lever = true)),
            "safety lever of account 111122223333 is engaged: an incident is open",
        ),
        ("tag", good.replace("app: shop", "app: shpo"), Box::new(|_, _| {}), "nothing of aws:ec2:instance is tagged app=shpo"),
        ("opt-in", good.replace(", firedrill: allowed", ""), Box::new(|_, _| {}), "does not ask for the tag firedrill=allowed"),
        (
            "template",
            scenario(port, " { template: EXTgone }", "1s"),
            Box::new(|_, _| {}),
            "find the experiment template EXTgone in eu-west-1",
        ),
        (
            "opt-in of an ARN",
            good.replace("tags: { app: shop, firedrill: allowed }", "arns: [\"arn:aws:ec2:eu-west-1:111122223333:instance/i-9\"]"),
            Box::new(|_, _| {}),
            "instance/i-9 does not carry the tag firedrill=allowed",
        ),
        (
            "stop condition",
            good.replace("environment: test", "environment: staging\nowner: shop")
                .replace("stop_conditions: [\"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors\"]", ""),
            Box::new(|_, _| {}),
            "without_stop_condition",
        ),
    ];
    for (name, text, change, says) in cases {
        let said = refused(&text, change);
        assert!(said.contains(says), "{name}: {says} is missing in\n{said}");
        assert!(!said.contains("SECRET") && !said.contains("not-a-real-secret"), "{name}: {said}");
    }
}

#[test]
fn what_aws_refuses_in_the_middle_leaves_nothing() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, &DESCRIBED.replace("startInstancesAfterDuration: PT5M", "startAfter: PT5M"), "1s"));
    let done = run(&place, &double, &["run", "s.yaml", "--yes"]);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    let error = place.event("inject_failed", "broken")["error"].as_str().unwrap().to_owned();
    assert_eq!(error, "create the experiment template: ValidationException: Action stop: invalid parameter startAfter: PT5M");
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    assert!(ours(&double, &theirs).is_empty());
}

#[test]
fn a_policy_limits_accounts_regions_and_what_may_be_hit() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    place.file("s.yaml", scenario(port, DESCRIBED, "1s"));
    let told = |rule: &str| {
        place.file("firedrill.policy.yaml", format!("policy: 1\nrules: {{ cloud: {{ aws: {rule} }} }}\n"));
        run(&place, &double, &["run", "s.yaml", "--yes"])
    };
    let done = told("{ accounts: [\"999988887777\"] }");
    assert!(done.code != Some(0) && done.stderr.contains("it acts in account 111122223333, which is not allowed"), "{}", done.stderr);
    let done = told("{ regions: [\"us-*\"] }");
    assert!(done.code != Some(0) && done.stderr.contains("it acts in eu-west-1, which is not allowed"), "{}", done.stderr);
    assert!(double.operations().is_empty(), "AWS was asked although the policy refuses");
    let done = told("{ opt_in_tag: chaos=yes }");
    assert!(done.code == Some(11) && done.stderr.contains("does not ask for the tag chaos=yes"), "{}", done.stderr);
    told("{ accounts: [\"111122223333\"], regions: [\"eu-*\"], opt_in_tag: firedrill=allowed }").expect(0);
}

fn aws_cli() -> bool {
    let there =
        Command::new("aws").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: the AWS command line is not installed (pip install awscli); the line by hand was not pasted");
    }
    there
}

/// The account entered by a profile and a role, as the scenario says it.
const BY_ROLE: &str = ", profile: drills, role: \"arn:aws:iam::111122223333:role/drill\", external_id: shop-7 }";

/// A profile with the credentials, in the place of the environment's.
fn by_profile(place: &Place, command: &mut Command) {
    let text = format!("[profile drills]\naws_access_key_id = {}\naws_secret_access_key = not-a-real-secret\n", aws::KEY);
    command.env("AWS_CONFIG_FILE", place.file("aws-config", text)).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
}

#[test]
fn an_account_is_entered_by_profile_and_role_and_not_with_a_wrong_external_id() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    let text = scenario(port, DESCRIBED, "300ms").replace(" }\nprobes:", &format!("{BY_ROLE}\nprobes:"));
    place.file("s.yaml", &text);
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    by_profile(&place, &mut command);
    wait(command.spawn().unwrap(), 120).expect(0);
    assert!(
        place.event("armed", "broken")["summary"].as_str().unwrap().ends_with("as arn:aws:sts::111122223333:assumed-role/drill/firedrill")
    );
    assert_eq!((residue(&double, &theirs), ours(&double, &theirs).len()), (Vec::new(), 1));
    let journal = std::fs::read_to_string(place.runs()[0].join("events.jsonl")).unwrap();
    assert!(!journal.contains("not-a-real"));

    place.file("s.yaml", text.replace("shop-7", "shop-8"));
    let mut command = in_account(&place, &double, &["run", "s.yaml", "--yes"]);
    by_profile(&place, &mut command);
    let done = wait(command.spawn().unwrap(), 120).expect(11);
    assert!(done.stderr.contains("alice is not authorized to perform: sts:AssumeRole"), "{}", done.stderr);
}

#[test]
fn the_line_by_hand_works_after_everybody_was_killed_and_undo_agrees() {
    if !aws_cli() {
        return;
    }
    for by_role in [false, true] {
        let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
        let theirs = strangers(&double);
        let text = scenario(port, DESCRIBED, "5m");
        place.file("s.yaml", if by_role { text.replace(" }\nprobes:", &format!("{BY_ROLE}\nprobes:")) } else { text });
        let dressed = |mut command: Command| {
            if by_role {
                by_profile(&place, &mut command);
            }
            command
        };
        let mut command = dressed(in_account(&place, &double, &["run", "s.yaml", "--yes"]));
        let mut runner = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let dir = place.wait_until_bitten("broken", 60);
        kill_everybody(&mut runner, &place);
        let line = place.event("armed", "broken")["undo"]["by_hand"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]).current_dir("/").envs(double.environment()).stdin(Stdio::null());
            let pasted = dressed(shell).output().unwrap();
            assert!(pasted.status.success(), "{line}\n{}", String::from_utf8_lossy(&pasted.stderr));
        }
        assert!(comes(Duration::from_secs(20), || residue(&double, &theirs).is_empty()), "{:?}", residue(&double, &theirs));
        wait(dressed(in_account(&place, &double, &["undo", dir.to_str().unwrap()])).spawn().unwrap(), 120).expect(0);
    }
}

#[test]
fn a_dead_run_is_undone_from_its_directory_and_twice() {
    let (double, place, port) = (Double::start(MINUTE), Place::new(), service());
    let theirs = strangers(&double);
    place.file("s.yaml", scenario(port, DESCRIBED, "5m"));
    let mut runner = in_account(&place, &double, &["run", "s.yaml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let dir = place.wait_until_bitten("broken", 60);
    kill_everybody(&mut runner, &place);
    assert_eq!(residue(&double, &theirs).len(), 2, "an experiment and its template");
    // In another account nothing is there, which says nothing: only the right one tells.
    let other = Double::start(MINUTE);
    other.trouble("GetCallerIdentity", &[Trouble::Break; 60]);
    run(&place, &other, &["undo", dir.to_str().unwrap()]).expect(50);
    run(&place, &double, &["undo", dir.to_str().unwrap()]).expect(0);
    assert_eq!(residue(&double, &theirs), Vec::<String>::new());
    let again = run(&place, &double, &["undo", dir.to_str().unwrap()]);
    assert!(matches!(again.code, Some(0 | 11)), "{:?} {}", again.code, again.stderr);
}

/// What the double says is what AWS's own service models say.
#[test]
fn the_double_speaks_as_the_service_models_say() {
    let there = Command::new("python3").args(["-c", "import boto3"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: boto3 is not installed (pip install boto3); the double was not held against AWS's models");
        return;
    }
    let double = Double::start(Duration::from_millis(600));
    double.with(|world| {
        world.cloudwatch.alarm("shop-errors", "OK");
        world.cloudwatch.composite("shop", &["shop-errors"]);
        world.cloudwatch.put("Errors", 60.0, 7.0);
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/peer.py");
    let done = Command::new("python3").arg(script).envs(double.environment()).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let asked: std::collections::BTreeSet<String> = double.operations().into_iter().collect();
    for operation in [
        "GetCallerIdentity",
        "GetResources",
        "GetSafetyLever",
        "CreateExperimentTemplate",
        "GetExperimentTemplate",
        "ListExperimentTemplates",
        "DeleteExperimentTemplate",
        "StartExperiment",
        "GetExperiment",
        "ListExperiments",
        "StopExperiment",
        "ListExperimentResolvedTargets",
        "DescribeAlarms",
        "GetMetricData",
        "SendCommand",
        "CancelCommand",
        "ListCommands",
        "ListCommandInvocations",
        "GetCommandInvocation",
        "DescribeInstanceInformation",
        "DescribeDocument",
    ] {
        assert!(asked.contains(operation), "{operation} was not held against the model");
    }
}
