//! Stop conditions that a fault takes from guards: the alarm is written once, and stops both the drill and the experiment.

use serde_json::Value;

use crate::base::Id;
use crate::scenario::model::{Observed, Scenario};

/// The kind of guard whose alarm an experiment can take.
const ALARM: &str = "aws.cloudwatch.alarm";

/// The spec of a fault, in which every `stop_conditions: [{ guard: ID }]` is the ARN of that guard's alarm. What cannot be resolved stays as it is: `check`
/// has refused it.
pub(super) fn resolved(scenario: &Scenario, spec: &Value) -> Value {
    let mut spec = spec.clone();
    let stops = spec.get_mut("stop_conditions").and_then(Value::as_array_mut);
    for stop in stops.into_iter().flatten() {
        let arn = stop.get("guard").and_then(Value::as_str).and_then(|id| arn_of(scenario, id));
        if let Some(arn) = arn {
            *stop = Value::String(arn);
        }
    }
    spec
}

fn arn_of(scenario: &Scenario, guard: &str) -> Option<String> {
    let aws = scenario.aws.as_ref()?;
    let id: Id = guard.parse().ok()?;
    let what = match &scenario.guards.get(&id)?.what {
        Observed::Kind(kinded) => kinded,
        Observed::Probe(id) => &scenario.probes.get(id)?.what,
    };
    let name = what.spec.get("name")?.as_str()?;
    (what.kind == ALARM).then(|| format!("arn:{}:cloudwatch:{}:{}:alarm:{name}", partition(&aws.region), aws.region, aws.account))
}

/// The partition of a region: AWS has one for China, one for the governments of the United States, and one for everybody else.
fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check::sample::scenario;
    use crate::scenario::model::{AwsDecl, Kinded};
    use serde_json::json;

    #[test]
    fn a_guards_alarm_becomes_the_stop_condition() {
        let mut s = scenario();
        let place = AwsDecl { account: "111122223333".into(), region: "cn-north-1".into(), ..AwsDecl::default() };
        s.aws = Some(place);
        s.guards[0].what = Observed::Kind(Kinded { kind: ALARM.into(), spec: json!({ "name": "errors" }) });
        let spec = json!({ "stop_conditions": [{ "guard": "neighbours" }, "arn:aws:cloudwatch:x", { "guard": "gone" }], "role": "r" });
        let arn = "arn:aws-cn:cloudwatch:cn-north-1:111122223333:alarm:errors";
        let expected = json!({ "stop_conditions": [arn, "arn:aws:cloudwatch:x", { "guard": "gone" }], "role": "r" });
        assert_eq!(resolved(&s, &spec), expected);
        s.guards[0].what = Observed::Kind(Kinded { kind: "http".into(), spec: json!({ "name": "errors" }) });
        assert_eq!(resolved(&s, &spec), spec, "another kind of guard has no alarm");
    }

    #[test]
    fn a_region_has_a_partition() {
        assert_eq!(["eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1"].map(partition), ["aws", "aws", "aws-us-gov", "aws-cn"]);
    }
}
