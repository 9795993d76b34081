//! AWS faults, guards and signals against moto (PyPI `moto[server]`, 5.2.5 or later), an emulator of AWS that others have written: whole drills of the real
//! binary, and moto is asked afterwards what is left.
//!
//! Moto answers by itself: STS (GetCallerIdentity, AssumeRole), GetResources of the tagging API, EC2's instances, all of FIS but one operation (templates,
//! client tokens, tags, experiment states, StopExperiment, resolved targets that are named by ARN), SendCommand, ListCommands and GetCommandInvocation of
//! Systems Manager, DescribeDocument of documents that were made there, and what CloudWatch's alarms say.
//!
//! What it lacks is answered by a thin shim, `tests/aws/moto.py`, out of what moto knows: FIS's safety lever (disengaged), CloudWatch's CBOR protocol,
//! DescribeInstanceInformation, ListCommandInvocations, CancelCommand, DescribeDocument of `AWS-RunShellScript`, and platforms of documents. A command that names
//! its instances is sent by moto to all others as well, unless it has targets: the shim adds one that nothing matches.
//!
//! Not covered, because moto has nothing like it: commands are never run (they are `Success` at once, so neither hosts nor their timers show anything), stop
//! conditions are kept and never evaluated, targets by tag are not resolved by the experiment, lists do not lag, nothing is throttled, and StopExperiment of
//! an experiment that is over succeeds. The double of `tests/aws` shows all of these.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![cfg(feature = "aws")]

mod drill;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use drill::{Done, Place, Stranger, has_program, service, signal, wait};
use serde_json::{Value, json};

/// The account that moto is.
const ACCOUNT: &str = "123456789012";

/// A running moto with its shim, and whom to ask on their behalf. It ends with this process, which closes its input.
struct Moto {
    url: String,
    shim: String,
    ends: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// States of experiments move for all of moto at once: who sets their pace has it alone.
static PACE: Mutex<()> = Mutex::new(());

fn pace() -> MutexGuard<'static, ()> {
    PACE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::zombie_processes, reason = "it ends when its input does, which is when these tests end")]
fn start() -> Option<Moto> {
    let has_boto3 =
        Command::new("python3").args(["-c", "import boto3"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if has_program("moto_server").is_none() || !has_boto3 {
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/moto.py");
    let mut command = Command::new("python3");
    command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1").env_remove("AWS_PROFILE");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (to, mut from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    let urls: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("moto does not start ({error}): {line}"));
    let url = |name: &str| urls[name].as_str().unwrap().to_owned();
    Some(Moto { url: url("moto"), shim: url("shim"), ends: Mutex::new((to, from)) })
}

/// The moto of these tests; `None`, said aloud, where it is not installed.
fn moto() -> Option<&'static Moto> {
    static MOTO: OnceLock<Option<Moto>> = OnceLock::new();
    let moto = MOTO.get_or_init(start).as_ref();
    if moto.is_none() {
        println!("SKIPPED: moto_server is not installed (pip install 'moto[server]>=5.2.5' boto3); nothing was held against it");
    }
    moto
}

impl Moto {
    fn tell(&self, order: &Value) -> Value {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let (to, from) = &mut *ends;
        writeln!(to, "{order}").unwrap();
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["error"].is_null(), "{order}: {answer}");
        answer["ok"].clone()
    }

    /// How long an experiment stays in each state that it leaves by itself, in seconds.
    fn experiments_take(&self, seconds: u32) {
        self.tell(&json!({ "state": seconds }));
    }

    fn environment(&self) -> [(&'static str, &str); 13] {
        [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_ENDPOINT_URL_FIS", self.shim.as_str()),
            ("AWS_ENDPOINT_URL_SSM", self.shim.as_str()),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", self.shim.as_str()),
            ("AWS_ACCESS_KEY_ID", "firedrill"),
            ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ]
    }
}

/// A region of its own for each test, so that none sees what another has made.
struct Region {
    moto: &'static Moto,
    name: &'static str,
    place: Place,
}

impl Region {
    fn new(name: &'static str) -> Option<Region> {
        Some(Region { moto: moto()?, name, place: Place::new() })
    }

    fn ask(&self, service: &str, call: &str, with: Value) -> Value {
        self.moto.tell(&json!({ "service": service, "region": self.name, "call": call, "with": with }))
    }

    /// So many running instances with these tags; their ids, sorted.
    fn instances(&self, count: usize, tags: &[(&str, &str)]) -> Vec<String> {
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let tagged = if tags.is_empty() { json!([]) } else { json!([{ "ResourceType": "instance", "Tags": tags }]) };
        let asked = json!({ "ImageId": "ami-12c6146b", "MinCount": count, "MaxCount": count, "TagSpecifications": tagged });
        let made = self.ask("ec2", "run_instances", asked);
        let mut ids: Vec<String> =
            made["Instances"].as_array().unwrap().iter().map(|one| one["InstanceId"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    fn arn(&self, id: &str) -> String {
        format!("arn:aws:ec2:{}:{ACCOUNT}:instance/{id}", self.name)
    }

    fn experiments(&self) -> Vec<Value> {
        self.ask("fis", "list_experiments", json!({}))["experiments"].as_array().unwrap().clone()
    }

    fn states(&self) -> Vec<String> {
        self.experiments().iter().map(|one| one["state"]["status"].as_str().unwrap().to_owned()).collect()
    }

    fn templates(&self) -> Vec<String> {
        let found = self.ask("fis", "list_experiment_templates", json!({}));
        found["experimentTemplates"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Comment, document and hosts of each command that was sent, in order.
    fn commands(&self) -> Vec<(String, String, Vec<String>)> {
        let found = self.ask("ssm", "list_commands", json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let hosts = |one: &Value| {
            let mut hosts: Vec<String> = one["InstanceIds"].as_array().unwrap().iter().map(text).collect();
            hosts.sort();
            hosts
        };
        let all = found["Commands"].as_array().unwrap().iter();
        all.map(|one| (text(&one["Comment"]), text(&one["DocumentName"]), hosts(one))).collect()
    }

    /// Writes `s.yaml`: a drill that does this, with more sections.
    fn scenario(&self, faults: &str, more: &str) {
        let port = service();
        let text = format!(
            "firedrill: 1
title: Something in the account is broken
environment: test
aws: {{ account: \"{ACCOUNT}\", region: {region} }}
probes:
  up: {{ tcp: {{ address: '127.0.0.1:{port}' }}, rate: 50/s, timeout: 500ms }}
steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
faults:
  broken:
{faults}
recovery: {{ within: 10s, stable_for: 50ms }}
{more}",
            region = self.name
        );
        self.place.file("s.yaml", text);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").envs(self.moto.environment());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Child {
        self.command(&["run", "s.yaml", "--yes", "--output", "json"]).spawn().unwrap()
    }

    fn run(&self, args: &[&str]) -> Done {
        wait(self.command(args).spawn().unwrap(), 120)
    }

    fn events(&self) -> Vec<Value> {
        let run = self.place.runs().pop();
        run.map(|run| self.place.journal(&run)).unwrap_or_default().into_iter().map(|entry| entry["event"].clone()).collect()
    }

    fn event(&self, kind: &str) -> Value {
        self.events().into_iter().find(|event| event["type"] == kind && event["id"] == "broken").unwrap_or_default()
    }

    fn seen(&self, kind: &str) -> String {
        self.event(kind)["seen"].as_str().unwrap_or_else(|| panic!("no {kind}: {:?}", self.events())).to_owned()
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A machine that was too busy to watch from decides nothing; what was done to the account is held against moto in any case.
fn went_well(done: &Done) {
    assert!(matches!(done.code, Some(0 | 20 | 31 | 33)), "{:?}\n{}\n{}", done.code, done.stdout, done.stderr);
}

const BY_TAG: &str = "    aws.fis.experiment:
      actions:
        stop: { action: \"aws:ec2:stop-instances\", parameters: { startInstancesAfterDuration: PT5M }, targets: { Instances: shop } }
      targets: { shop: { type: \"aws:ec2:instance\", tags: { app: shop, firedrill: allowed }, select: COUNT(1) } }
      stop_conditions: [\"arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors\"]
      role: arn:aws:iam::123456789012:role/fis";

const RELEASED: [(&str, &str); 2] = [("app", "shop"), ("firedrill", "allowed")];

#[test]
fn an_experiment_is_made_started_stopped_and_removed() {
    let Some(region) = Region::new("eu-west-1") else { return };
    let _pace = pace();
    let ids = region.instances(3, &RELEASED);
    region.instances(1, &[("app", "shop")]);
    // Somebody else's template stays.
    let theirs = template(&region, json!({ "resourceTags": { "app": "shop" } }), "theirs");
    region.moto.experiments_take(1);
    region.scenario(&format!("{BY_TAG}\n    for: 1s"), "");

    let planned = region.run(&["plan", "s.yaml"]).expect(0);
    let any = format!("1 of 3: any of instance/{}, instance/{}, instance/{} (aws:ec2:instance)", ids[0], ids[1], ids[2]);
    for part in ["123456789012 in eu-west-1", &any, "arn:aws:sts::123456789012:user/moto", "stop-experiment", "delete-experiment-template"]
    {
        assert!(planned.stdout.contains(part), "{part} is missing in\n{}", planned.stdout);
    }
    assert_eq!((region.states(), region.templates()), (vec![], vec![theirs.clone()]), "a plan makes nothing");

    let runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    // Once it runs, only being told to stop ends it.
    region.moto.experiments_take(600);
    until("it is told to stop", || region.states() == ["stopping"]);
    region.moto.experiments_take(0);
    went_well(&wait(runner, 120));
    assert_eq!(region.event("armed")["targets"], json!([any]));
    assert!(region.seen("effective").contains("running (Experiment is running); actions: stop running"), "{}", region.seen("effective"));
    assert!(region.seen("undone").contains("stopped (Experiment stopped)"), "{}", region.seen("undone"));
    assert!(!region.events().iter().any(|event| event["type"] == "cut_short"));
    assert_eq!((region.states(), region.templates()), (vec!["stopped".to_owned()], vec![theirs]));
    let made = &region.experiments()[0];
    let run = region.place.runs().pop().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(made["tags"]["firedrill-run"], json!(run), "{made}");
    assert!(made["tags"]["firedrill-mark"].as_str().unwrap().starts_with(&run), "{made}");
    region.place.assert_nobody_survives(5);
}

/// A template of the account with this target; its id.
fn template(region: &Region, target: Value, token: &str) -> String {
    let mut target = target;
    target["resourceType"] = json!("aws:ec2:instance");
    target["selectionMode"] = json!("ALL");
    let made = region.ask(
        "fis",
        "create_experiment_template",
        json!({
            "clientToken": token, "description": "of the house", "roleArn": "arn:aws:iam::123456789012:role/fis",
            "stopConditions": [{ "source": "aws:cloudwatch:alarm", "value": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors" }],
            "targets": { "shop": target },
            "actions": { "stop": { "actionId": "aws:ec2:stop-instances", "parameters": { "startInstancesAfterDuration": "PT5M" }, "targets": { "Instances": "shop" } } },
        }),
    );
    made["experimentTemplate"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_template_of_the_account_is_used_and_kept_and_what_it_hit_is_told() {
    let Some(region) = Region::new("eu-west-2") else { return };
    let _pace = pace();
    let ids = region.instances(2, &RELEASED);
    let stranger = region.instances(1, &[("app", "shop")]);
    let arns: Vec<String> = ids.iter().map(|id| region.arn(id)).collect();
    let house = template(&region, json!({ "resourceArns": arns }), "ours");
    let reckless = template(&region, json!({ "resourceArns": [arns[0], region.arn(&stranger[0])] }), "reckless");
    region.scenario(&format!("    aws.fis.experiment: {{ template: {reckless} }}\n    for: 1s"), "");
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains(&format!("{} does not carry the tag firedrill=allowed", region.arn(&stranger[0]))), "{}", done.stderr);

    region.moto.experiments_take(1);
    region.scenario(&format!("    aws.fis.experiment: {{ template: {house} }}\n    for: 3s"), "");
    let runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    // Its actions have lasted as long as they say: it is over by itself.
    region.moto.experiments_take(0);
    went_well(&wait(runner, 120));
    let hit = format!("; hit: {}", arns.join(", "));
    assert!(region.seen("effective").ends_with(&hit), "{hit} in {}", region.seen("effective"));
    assert!(region.seen("undone").contains("completed (Experiment completed)"), "{}", region.seen("undone"));
    let mut left = region.templates();
    left.sort();
    let mut both = vec![house, reckless];
    both.sort();
    assert_eq!((region.states(), left), (vec!["completed".to_owned()], both));
}

#[test]
fn a_dead_runner_leaves_no_experiment_and_no_template() {
    let Some(region) = Region::new("eu-west-3") else { return };
    let _pace = pace();
    region.instances(1, &RELEASED);
    region.moto.experiments_take(1);
    region.scenario(&format!("{BY_TAG}\n    for: 5m"), "");
    let mut runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    region.moto.experiments_take(600);
    signal(runner.id(), "KILL");
    let _ = runner.wait();
    until("its watchdog stops it", || region.states() == ["stopping"]);
    region.moto.experiments_take(0);
    until("its template is removed", || region.templates().is_empty());
    assert_eq!(region.states(), ["stopped"]);
    let owed = || std::fs::read_dir(region.place.path().join("registry/runs")).map(|dir| dir.flatten().count()).unwrap_or_default();
    until("nothing is owed", || owed() == 0);
    region.place.assert_nobody_survives(20);
}

const COMMANDS: &str = "    aws.ssm.command:
      commands: [systemctl stop shop]
      tags: { app: shop, firedrill: allowed }
      undo: { commands: [systemctl start shop] }";

#[test]
fn a_command_goes_to_exactly_the_released_hosts_and_so_does_its_undo() {
    let Some(region) = Region::new("eu-central-1") else { return };
    let ids = region.instances(2, &RELEASED);
    let stranger = region.instances(1, &[("app", "shop")]);
    region.scenario(&format!("{COMMANDS}\n    for: 500ms"), "");
    let planned = region.run(&["plan", "s.yaml"]).expect(0);
    for part in [ids[0].as_str(), &ids[1], "AWS-RunShellScript", "cancel-command"] {
        assert!(planned.stdout.contains(part), "{part} is missing in\n{}", planned.stdout);
    }
    assert!(region.commands().is_empty(), "a plan sends nothing");
    went_well(&region.run(&["run", "s.yaml", "--yes"]));
    let sent = region.commands();
    let to: Vec<&Vec<String>> = sent.iter().map(|(_, _, hosts)| hosts).collect();
    assert_eq!(to, [&ids, &ids], "{sent:?}");
    assert!(sent[0].0.starts_with("firedrill ") && sent[1].0 == format!("{} undo", sent[0].0), "{sent:?}");
    assert!(sent.iter().all(|(_, document, _)| document == "AWS-RunShellScript"), "{sent:?}");
    assert!(region.seen("effective").contains(&format!("{} Success", ids[0])), "{}", region.seen("effective"));
    assert!(region.seen("undone").contains("undo by command"), "{}", region.seen("undone"));

    region.scenario(
        &format!(
            "{}\n    for: 500ms",
            COMMANDS.replace("tags: { app: shop, firedrill: allowed }", &format!("instances: [{}]", stranger[0]))
        ),
        "",
    );
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains(&stranger[0]) && done.stderr.contains("does not carry the tag firedrill=allowed"), "{}", done.stderr);
    assert_eq!(region.commands().len(), 2);
}

#[test]
fn documents_of_the_account_are_looked_at_and_a_dead_runner_is_undone_once() {
    let Some(region) = Region::new("eu-north-1") else { return };
    let ids = region.instances(1, &RELEASED);
    let content = |what: &str| {
        let parameters = json!({ "Unit": { "type": "String", "description": "which unit" } });
        json!({ "schemaVersion": "2.2", "description": what, "parameters": parameters,
            "mainSteps": [{ "action": "aws:runShellScript", "name": "run", "inputs": { "runCommand": [format!("systemctl {what} {{{{ Unit }}}}")] } }] })
    };
    for what in ["stop", "start"] {
        region.ask(
            "ssm",
            "create_document",
            json!({ "Name": format!("House-{what}"), "DocumentType": "Command", "Content": content(what).to_string() }),
        );
    }
    let own = |parameters: &str| {
        format!(
            "    aws.ssm.command:\n      document: House-stop\n      parameters: {parameters}\n      instances: [{}]\n      \
             undo: {{ document: House-start, parameters: {{ Unit: shop }} }}\n    for: 5m",
            ids[0]
        )
    };
    region.scenario(&own("{ Uint: shop }"), "");
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("the document House-stop has no parameter `Uint`; it has Unit"), "{}", done.stderr);
    region.scenario(&own("{ Unit: shop }").replace("House-stop", "House-gone"), "");
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("find the document House-gone in eu-north-1"), "{}", done.stderr);
    assert!(region.commands().is_empty());

    region.scenario(&own("{ Unit: shop }"), "");
    let mut runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    signal(runner.id(), "KILL");
    let _ = runner.wait();
    let owed = || std::fs::read_dir(region.place.path().join("registry/runs")).map(|dir| dir.flatten().count()).unwrap_or_default();
    until("nothing is owed", || owed() == 0);
    let sent = region.commands();
    let documents: Vec<&str> = sent.iter().map(|(_, document, _)| document.as_str()).collect();
    assert_eq!(documents, ["House-stop", "House-start"], "{sent:?}");
    region.place.assert_nobody_survives(20);
}

/// A drill on this machine that is watched by alarms.
fn watched(region: &Region, hold: &str, more: &str) -> Stranger {
    let stranger = Stranger::start(&region.place);
    region.scenario(&format!("    process.pause: {{ pid_file: stranger.pid }}\n    for: {hold}"), more);
    stranger
}

fn alarm(region: &Region, name: &str, state: &str) {
    let asked = json!({ "AlarmName": name, "MetricName": "Errors", "Namespace": "Shop", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold" });
    region.ask("cloudwatch", "put_metric_alarm", asked);
    set(region, name, state);
}

fn set(region: &Region, name: &str, state: &str) {
    region.ask("cloudwatch", "set_alarm_state", json!({ "AlarmName": name, "StateValue": state, "StateReason": "as the test says" }));
}

#[test]
fn an_alarm_that_goes_off_is_a_breach_and_ends_the_drill() {
    let Some(region) = Region::new("us-west-1") else { return };
    alarm(&region, "shop-errors", "OK");
    let guard = "guards:\n  errors: { aws.cloudwatch.alarm: { name: shop-errors }, every: 200ms, breaches: 1 }\n";
    let stranger = watched(&region, "5m", guard);
    let runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    until("the guard is seen to be well", || region.events().iter().any(|event| event["type"] == "guard" && event["state"] == "ok"));
    set(&region, "shop-errors", "ALARM");
    let done = wait(runner, 120);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    let breached = region.events().into_iter().find(|event| event["type"] == "guard_breached").unwrap();
    assert_eq!(breached["id"], "errors", "{breached}");
    assert!(!stranger.is_stopped());
}

#[test]
fn an_alarm_that_nobody_has_or_that_knows_nothing_is_no_pass() {
    let Some(region) = Region::new("us-west-2") else { return };
    alarm(&region, "shop-idle", "INSUFFICIENT_DATA");
    for (name, says) in [("shop-gone", "no alarm is called shop-gone in us-west-2"), ("shop-idle", "INSUFFICIENT_DATA")] {
        let guard = format!("guards:\n  watched: {{ aws.cloudwatch.alarm: {{ name: {name} }}, every: 200ms, grace: 600ms }}\n");
        let stranger = watched(&region, "2m", &guard);
        let done = wait(region.start(), 120);
        assert_ne!(done.code, Some(0), "{}", done.stderr);
        let guard = region.events().into_iter().find(|event| event["type"] == "guard").unwrap();
        assert!(guard["state"] == "no_data" && guard["seen"].as_str().unwrap().contains(says), "{guard}");
        assert!(!stranger.is_stopped());
    }
}

#[test]
fn an_alarm_that_must_fire_is_detected() {
    let Some(region) = Region::new("ca-central-1") else { return };
    alarm(&region, "shop-down", "OK");
    let team = "team:
  signals: { alarms: { cloudwatch: { alarms: [\"shop*\"] }, every: 200ms } }
  expect:
    detected: { alert: { labels: { alertname: shop-down }, source: alarms }, within: 60s }
";
    let stranger = watched(&region, "6s", team);
    let runner = region.start();
    region.place.wait_until_bitten("broken", 90);
    set(&region, "shop-down", "ALARM");
    let done = wait(runner, 120);
    let detected = &done.json()["team"]["expectations"]["detected"];
    assert_eq!((&detected["verdict"], &detected["source"]), (&json!("on_time"), &json!("cloudwatch")), "{detected}\n{}", done.stderr);
    let alert = region.events().into_iter().find(|event| event.to_string().contains("shop-down")).unwrap().to_string();
    assert!(alert.contains("arn:aws:cloudwatch:ca-central-1:123456789012:alarm:shop-down"), "{alert}");
    assert!(!stranger.is_stopped());
}

#[test]
fn a_metric_confirms() {
    let Some(region) = Region::new("ap-northeast-1") else { return };
    let confirm = "    confirm:
      aws.cloudwatch.metric: { namespace: Shop, metric: Errors, statistic: Sum }
      expect: { value: { min: 40 }, age: { max: 300 } }
      every: 200ms
      within: 60s";
    let stranger = watched(&region, &format!("500ms\n{confirm}"), "");
    let runner = region.start();
    region.place.wait_for_event("injected", 90);
    assert!(!region.events().iter().any(|event| event["type"] == "effective" && event["id"] == "broken"), "no data is no effect");
    for value in [30.0, 10.0] {
        region.ask(
            "cloudwatch",
            "put_metric_data",
            json!({ "Namespace": "Shop", "MetricData": [{ "MetricName": "Errors", "Value": value }] }),
        );
    }
    went_well(&wait(runner, 120));
    assert_eq!(region.event("effective")["id"], "broken", "{:?}", region.events());
    assert!(!stranger.is_stopped());
}

#[test]
fn who_acts_is_asked_and_a_role_is_taken() {
    let Some(region) = Region::new("sa-east-1") else { return };
    region.instances(1, &RELEASED);
    region.scenario(&format!("{BY_TAG}\n    for: 1s"), "");
    let text = std::fs::read_to_string(region.place.path().join("s.yaml")).unwrap();
    let with = |account: &str, more: &str| {
        let ours = format!("aws: {{ account: \"{ACCOUNT}\", region: sa-east-1 }}");
        assert!(text.contains(&ours));
        let theirs = format!("aws: {{ account: \"{account}\", region: sa-east-1{more} }}");
        // The role of the experiment lies in the account that is named.
        region.place.file("s.yaml", text.replace(&ours, &theirs).replace(":123456789012:role/fis", &format!(":{account}:role/fis")));
    };
    with("111122223333", "");
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("111122223333") && done.stderr.contains(ACCOUNT) && done.stderr.contains("user/moto"), "{}", done.stderr);
    with(ACCOUNT, ", role: \"arn:aws:iam::123456789012:role/drill\", external_id: shop-7");
    let planned = region.run(&["plan", "s.yaml"]).expect(0);
    assert!(planned.stdout.contains("arn:aws:sts::123456789012:assumed-role/drill/firedrill"), "{}", planned.stdout);
    // A role of another account is that account.
    with(ACCOUNT, ", role: \"arn:aws:iam::444455556666:role/drill\"");
    let done = region.run(&["run", "s.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("444455556666"), "{}", done.stderr);
    assert!(region.templates().is_empty() && region.states().is_empty());
}
