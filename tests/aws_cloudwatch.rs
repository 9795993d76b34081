//! CloudWatch on a double of an AWS account: alarms as guards, as stop conditions and as what people should be called by; metrics with their delay; and
//! what AWS does not say. Whole drills of the real binary.
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

use std::process::Child;
use std::time::Duration;

use aws::{Double, Trouble, in_account};
use drill::{Done, Place, service, wait};
use serde_json::Value;

/// A drill that stops an instance for so long, with more sections.
fn scenario(hold: &str, stops: &str, more: &str) -> String {
    let port = service();
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
    aws.fis.experiment:
      actions:
        stop: {{ action: \"aws:ec2:stop-instances\", parameters: {{ startInstancesAfterDuration: PT5M }}, targets: {{ Instances: shop }} }}
      targets: {{ shop: {{ type: \"aws:ec2:instance\", tags: {{ app: shop, firedrill: allowed }}, select: COUNT(1) }} }}
      stop_conditions: [{stops}]
      role: arn:aws:iam::111122223333:role/fis
    for: {hold}
recovery: {{ within: 10s, stable_for: 50ms }}
{more}"
    )
}

fn start(place: &Place, double: &Double, text: &str) -> Child {
    place.file("s.yaml", text);
    in_account(place, double, &["run", "s.yaml", "--yes", "--output", "json"]).spawn().unwrap()
}

fn run(place: &Place, double: &Double, text: &str) -> Done {
    wait(start(place, double, text), 120)
}

fn world() -> Double {
    let double = Double::start(Duration::from_secs(60));
    double.with(|world| {
        world.cloudwatch.alarm("shop-errors", "OK");
        world.cloudwatch.alarm("shop-down", "OK");
        world.cloudwatch.composite("shop", &["shop-errors"]);
    });
    double
}

fn ended(double: &Double) -> bool {
    double.with(|world| world.fis.states().values().all(|state| aws::fis::has_ended(state)) && world.fis.template_ids().is_empty())
}

const ARN: &str = "\"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:shop-errors\"";

#[test]
fn a_guard_is_written_once_and_its_alarm_ends_the_drill() {
    let (double, place) = (world(), Place::new());
    let guard = "guards:\n  errors: { aws.cloudwatch.alarm: { name: shop-errors }, every: 200ms, breaches: 1 }\n";
    let runner = start(&place, &double, &scenario("2m", "{ guard: errors }", guard));
    place.wait_until_bitten("broken", 60);
    let plan: Value = serde_json::from_slice(&std::fs::read(place.runs()[0].join("plan.json")).unwrap()).unwrap();
    let stop = &plan["faults"]["broken"]["spec"]["stop_conditions"];
    assert_eq!(stop.to_string(), format!("[{ARN}]"));
    double.with(|world| world.cloudwatch.set("shop-errors", "ALARM", "Threshold crossed"));
    let done = wait(runner, 120);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    assert!(ended(&double));
    let breached = place.events().into_iter().find(|event| event["type"] == "guard_breached").unwrap();
    assert_eq!(breached["id"], "errors", "{breached}");
    place.assert_nobody_survives(5);
}

#[test]
fn an_experiment_that_a_stop_condition_ended_supports_nothing() {
    let (double, place) = (world(), Place::new());
    let claims = "claims:\n  unnoticed: { availability: { min: 1%, over: 2s } }\n";
    let runner = start(&place, &double, &scenario("4s", ARN, claims));
    place.wait_until_bitten("broken", 60);
    double.with(|world| world.cloudwatch.set("shop-errors", "ALARM", "Threshold crossed"));
    let done = wait(runner, 120);
    let cut = place.events().into_iter().find(|event| event["type"] == "cut_short").expect("an event says so");
    assert!(cut["why"].as_str().unwrap().starts_with("a stop condition ended it: experiment EXP"), "{cut}");
    let report = done.json();
    let claim = &report["claims"]["unnoticed"];
    assert_eq!(claim["verdict"], "inconclusive", "{claim}");
    assert!(claim.to_string().contains("the fault did not last as planned: a stop condition ended it"), "{claim}");
    assert_ne!(done.code, Some(0));
    assert!(ended(&double));
    let text = std::fs::read_to_string(place.runs()[0].join("report.md")).unwrap();
    assert!(text.contains("did not last as planned"), "{text}");
}

#[test]
fn the_same_drill_without_the_alarm_passes() {
    let (double, place) = (world(), Place::new());
    let claims = "claims:\n  unnoticed: { availability: { min: 1%, over: 1s } }\n";
    let done = run(&place, &double, &scenario("1500ms", ARN, claims));
    assert!(!place.events().iter().any(|event| event["type"] == "cut_short"));
    // A machine that is too busy to watch from decides nothing.
    if done.json()["validity"]["tainted_seconds"] == 0 {
        assert_eq!((done.code, &done.json()["claims"]["unnoticed"]["verdict"]), (Some(0), &Value::from("passed")), "{}", done.stderr);
    }
}

#[test]
fn what_cloudwatch_does_not_say_is_no_breach_at_once_and_no_pass() {
    for (name, state, says) in
        [("shop-gone", "OK", "no alarm is called shop-gone in eu-west-1"), ("shop-down", "INSUFFICIENT_DATA", "INSUFFICIENT_DATA")]
    {
        let (double, place) = (world(), Place::new());
        double.with(|world| world.cloudwatch.set("shop-down", state, "too few datapoints"));
        let guard = format!("guards:\n  watched: {{ aws.cloudwatch.alarm: {{ name: {name} }}, every: 200ms, grace: 600ms }}\n");
        let done = run(&place, &double, &scenario("2m", ARN, &guard));
        assert_ne!(done.code, Some(0), "{}", done.stderr);
        let all = place.events();
        let guard = all.iter().find(|event| event["type"] == "guard").unwrap();
        assert!(guard["state"] == "no_data" && guard["seen"].as_str().unwrap().contains(says), "{guard}");
        let breached = all.iter().find(|event| event["type"] == "guard_breached").unwrap();
        assert!(breached["why"].as_str().unwrap().starts_with("no data for"), "{breached}");
        assert!(ended(&double));
    }
}

#[test]
fn a_throttled_look_is_tried_again_and_breaks_nothing() {
    let (double, place) = (world(), Place::new());
    double.trouble("DescribeAlarms", &[Trouble::Throttle, Trouble::Break, Trouble::Throttle]);
    let guard = "guards:\n  errors: { aws.cloudwatch.alarm: { name: shop }, every: 500ms, grace: 30s }\n";
    run(&place, &double, &scenario("1s", ARN, guard)).expect(0);
    let seen: Vec<Value> = place.events().into_iter().filter(|event| event["type"] == "guard").collect();
    assert!(seen.iter().any(|event| event["state"] == "ok"), "{seen:?}");
}

#[test]
fn a_metric_confirms_and_its_delay_is_waited_for() {
    let (double, place) = (world(), Place::new());
    double.with(|world| {
        world.cloudwatch.delay = Duration::from_secs(2);
        world.cloudwatch.put("Errors", 60.0, 40.0);
        world.cloudwatch.put("Requests", 60.0, 80.0);
    });
    let maths = "    confirm:
      aws.cloudwatch.metric:
        expression: errors / requests
        metrics:
          errors: { namespace: Shop, metric: Errors, statistic: Sum }
          requests: { namespace: Shop, metric: Requests, statistic: Sum }
      expect: { value: { min: 0.5 }, age: { max: 300 } }
      every: 200ms
      within: 30s
";
    let text = scenario("500ms", ARN, "").replace("    for: 500ms\n", &format!("    for: 500ms\n{maths}"));
    run(&place, &double, &text).expect(0);
    let seen = place.events().into_iter().find(|event| event["type"] == "effective").unwrap();
    assert_eq!(seen["id"], "broken");
    let asked = double.operations().iter().filter(|operation| *operation == "GetMetricData").count();
    assert!(asked > 0);
}

#[test]
fn an_alarm_that_must_fire_becomes_time_to_detect_with_bounds_of_our_own_looks() {
    let (double, place) = (world(), Place::new());
    let team = "team:
  signals: { alarms: { cloudwatch: { alarms: [\"shop*\"] }, every: 200ms } }
  expect:
    detected: { alert: { labels: { alertname: shop-down }, source: alarms }, within: 30s }
";
    let runner = start(&place, &double, &scenario("6s", ARN, team));
    place.wait_until_bitten("broken", 60);
    double.with(|world| world.cloudwatch.set("shop-down", "ALARM", "Threshold crossed"));
    let done = wait(runner, 120);
    let all = place.events();
    let told = |kind: &str| all.iter().find(|event| event["type"] == "team" && event.to_string().contains(kind)).cloned();
    let alert = told("shop-down").unwrap_or_else(|| panic!("{}", done.stderr));
    let text = alert.to_string();
    for part in ["arn:aws:cloudwatch:eu-west-1:111122223333:alarm:shop-down", "\"alertname\":\"shop-down\"", "\"region\":\"eu-west-1\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // It lies between the last look that did not see it and the first that did.
    let when = all.iter().find_map(|event| event.get("when").filter(|_| event.to_string().contains("shop-down"))).unwrap();
    assert!(when["lo"].as_u64().unwrap() > 0 && when["hi"].as_u64() > when["lo"].as_u64(), "{when}");
    let report = done.json();
    let detected = &report["team"]["expectations"]["detected"];
    assert_eq!((&detected["verdict"], &detected["source"]), (&Value::from("on_time"), &Value::from("cloudwatch")), "{}", report["team"]);
    let (lo, hi) = (detected["observed"]["lo_mono_ns"].as_u64().unwrap(), detected["observed"]["hi_mono_ns"].as_u64().unwrap());
    assert!(lo < hi, "{detected}");
    assert!(!double.operations().is_empty() && double.operations()[0] == "GetCallerIdentity");
    assert!(ended(&double));
}

#[test]
fn a_guard_that_is_no_alarm_is_refused_before_anything_is_asked() {
    let (double, place) = (world(), Place::new());
    let guard = format!("guards:\n  errors: {{ tcp: {{ address: '127.0.0.1:{}' }} }}\n", service());
    let done = run(&place, &double, &scenario("1s", "{ guard: errors }", &guard));
    assert!(done.stderr.contains("the guard `errors` is no CloudWatch alarm"), "{}", done.stderr);
    let done = run(&place, &double, &scenario("1s", "{ guard: eror }", &guard));
    assert!(done.stderr.contains("no guard is called `eror`"), "{}", done.stderr);
    assert!(double.operations().is_empty());
}
