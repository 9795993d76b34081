//! The policies that `plan --output iam` prints: everything that a whole drill calls is allowed by them, and nothing is allowed that no drill calls.
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

use std::collections::BTreeSet;

use aws::{Double, run};
use drill::{Place, service};
use serde_json::Value;

/// What anybody may ask.
const FREE: &str = "GetCallerIdentity";

fn scenario(port: u16, spec: &str) -> String {
    format!(
        "firedrill: 1
title: An instance is stopped
environment: test
aws: {{ account: \"111122223333\", region: eu-west-1 }}
probes:
  up: {{ tcp: {{ address: '127.0.0.1:{port}' }}, rate: 50/s, timeout: 500ms }}
steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
guards:
  errors: {{ aws.cloudwatch.alarm: {{ name: errors }}, every: 500ms, grace: 20s }}
faults:
  broken:
    aws.fis.experiment:{spec}
    for: 500ms
recovery: {{ within: 10s, stable_for: 50ms }}
"
    )
}

const DESCRIBED: &str = r#"
      actions:
        stop: { action: "aws:ec2:stop-instances", parameters: { startInstancesAfterDuration: PT5M }, targets: { Instances: shop } }
      targets: { shop: { type: "aws:ec2:instance", tags: { app: shop, firedrill: allowed }, select: COUNT(1) } }
      stop_conditions: ["arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors"]
      role: arn:aws:iam::111122223333:role/fis"#;

/// What a policy allows, without the name of the service.
fn allowed(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|one| one["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().split_once(':').unwrap().1.to_owned()).collect()
}

#[test]
fn a_whole_drill_calls_what_the_policy_allows_and_nothing_else_is_allowed() {
    let (place, double) = (Place::new(), Double::start(std::time::Duration::from_secs(60)));
    place.file("made.yaml", scenario(service(), DESCRIBED));
    let policies = run(&place, &double, &["plan", "made.yaml", "--output", "iam"]).expect(0).json();
    assert_eq!(double.operations(), Vec::<String>::new(), "nothing is asked for it");
    run(&place, &double, &["plan", "made.yaml"]);
    run(&place, &double, &["run", "made.yaml", "--yes"]).expect(0);
    run(&place, &double, &["undo", "--all"]);
    let called: BTreeSet<String> = double.operations().into_iter().filter(|name| name != FREE).collect();
    let may = allowed(&policies["runner"]);
    assert!(called.is_subset(&may), "{:?} is not allowed: {policies:#}", called.difference(&may));
    // To tag and to pass a role are no calls of their own.
    let beside = ["TagResource", "PassRole"].map(str::to_owned).into();
    assert_eq!(may.difference(&called).cloned().collect::<BTreeSet<_>>(), beside, "{called:?}");
    assert!(policies["experiments"]["broken"]["trust"]["Statement"][0]["Principal"]["Service"] == "fis.amazonaws.com", "{policies:#}");
    // Nothing that changes anything may be done to what carries no mark of a drill.
    for one in policies["runner"]["Statement"].as_array().unwrap() {
        let changes = one["Action"].as_array().unwrap().iter().any(|action| {
            let name = action.as_str().unwrap();
            ["Stop", "Delete", "Tag", "Start"].iter().any(|verb| name.contains(&format!(":{verb}")))
        });
        assert!(!changes || one["Condition"].to_string().contains("firedrill-run"), "{one:#}");
    }
}

#[test]
fn so_is_a_command_on_hosts() {
    let (place, double) = (Place::new(), Double::start(std::time::Duration::from_secs(60)));
    let spec = "\n      commands: [\"touch broken\"]\n      tags: { firedrill: allowed }\n      undo: { commands: [\"rm -f broken\"] }";
    place.file("sent.yaml", scenario(service(), spec).replace("aws.fis.experiment", "aws.ssm.command"));
    let policies = run(&place, &double, &["plan", "sent.yaml", "--output", "iam"]).expect(0).json();
    assert_eq!(policies["unknown"], serde_json::json!([]), "{policies:#}");
    run(&place, &double, &["plan", "sent.yaml"]);
    run(&place, &double, &["run", "sent.yaml", "--yes"]).expect(0);
    let called: BTreeSet<String> = double.operations().into_iter().filter(|name| name != FREE).collect();
    let may = allowed(&policies["runner"]);
    assert!(called.contains("SendCommand") && called.is_subset(&may), "{called:?} of {may:?}");
}

#[test]
fn a_template_of_the_account_is_only_read_and_started() {
    let (place, double) = (Place::new(), Double::start(std::time::Duration::from_secs(60)));
    place.file("theirs.yaml", scenario(service(), " { template: EXT1a2b3c4d5e6f7 }"));
    let done = run(&place, &double, &["plan", "theirs.yaml", "--output", "iam"]).expect(0);
    assert!(done.stderr.contains("the role that it names must allow what its actions do"), "{}", done.stderr);
    let policies = done.json();
    let may = allowed(&policies["runner"]);
    assert!(!may.contains("CreateExperimentTemplate") && !may.contains("DeleteExperimentTemplate") && !may.contains("PassRole"), "{may:?}");
    assert!(policies["runner"].to_string().contains("experiment-template/EXT1a2b3c4d5e6f7"), "{policies:#}");
}

#[test]
fn a_plan_without_an_account_has_none() {
    let place = Place::new();
    place.drill_on_a_node("Nothing", "{ hold: { rehearse.nothing: {}, for: 300ms } }", "{ within: 10s, stable_for: 300ms }");
    let done = place.run(&["plan", "scenario.yaml", "--output", "iam"], 30).expect(2);
    assert!(done.stderr.contains("names no account under `aws:`"), "{}", done.stderr);
}
