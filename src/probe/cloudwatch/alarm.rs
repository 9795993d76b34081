//! `aws.cloudwatch.alarm`: the state of one alarm, of a metric or composed of others.

use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Fields, Told, age, asked, moment};
use crate::base::{Problem, Span, one_line};
use crate::plan::{Expect, Matcher};
use crate::probe::error::Why;
use crate::probe::kind::{Ask, Asked, Probe, expect_one, without_templates};
use crate::sys::Cx;
use crate::sys::aws::failed;

/// Longest name that CloudWatch takes, in characters.
const LONGEST: usize = 255;
/// Longest reason that is kept, in characters.
const REASON: usize = 300;

/// The kind.
pub(in crate::probe) struct Alarm;

/// What a scenario writes under `aws.cloudwatch.alarm:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::probe) struct AlarmSpec {
    /// The alarm's name, in the account and region under `aws:`.
    name: String,
}

impl Probe for Alarm {
    const KIND: &'static str = "aws.cloudwatch.alarm";
    const ABOUT: &'static str = "Looks at the state of a CloudWatch alarm, also a composite one.";
    const EXAMPLE: &'static str = "aws.cloudwatch.alarm: { name: shop-errors }\nrate: 1/s\ntimeout: 3s\n";
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("outcome", "ok; what AWS refuses or does not answer is no data"),
        ("alarming", "true in ALARM, false in OK; no data while CloudWatch has too little of it (INSUFFICIENT_DATA)"),
        ("state", "OK, ALARM or INSUFFICIENT_DATA"),
        ("reason", "CloudWatch's own reason for the state"),
        ("updated", "when it came into this state, by AWS's clock: RFC 3339"),
        ("age", "seconds since then, by this machine's clock"),
        ("type", "metric or composite"),
        ("arn", "its ARN"),
        ("actions_enabled", "whether it tells anybody"),
        ("duration", "seconds that the look took"),
    ];
    const RATE_HZ: f64 = 1.0;
    const IN_ACCOUNT: bool = true;
    type Spec = AlarmSpec;

    fn check(&self, spec: &AlarmSpec) -> Vec<Problem> {
        name_problems(&spec.name, "/name")
    }

    fn good(&self, _: &AlarmSpec) -> Expect {
        expect_one("alarming", Matcher::equals(false))
    }

    fn open(&self, spec: AlarmSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        Ok(Box::new(OneAlarm { name: cx.reveal(&spec.name, None)? }))
    }
}

/// What is wrong with the name of an alarm.
pub(super) fn name_problems(name: &str, at: &str) -> Vec<Problem> {
    let shown = without_templates(name);
    let mut out = Vec::new();
    if shown.trim().is_empty() {
        out.push(
            Problem::new(at, "there is no name")
                .help("`aws cloudwatch describe-alarms --query '*[].AlarmName'` shows those that there are"),
        );
    } else if shown.starts_with("arn:") {
        out.push(
            Problem::new(at, "this is an ARN, not a name").help("write what stands after `:alarm:`; account and region stand under `aws:`"),
        );
    } else if shown.chars().count() > LONGEST {
        out.push(Problem::new(at, format!("a name has at most {LONGEST} characters")));
    }
    out
}

struct OneAlarm {
    name: String,
}

impl Ask for OneAlarm {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(asked(limit, cx, async move |account| {
            // Without both types only alarms of metrics are told.
            let request = account.cloudwatch.describe_alarms().alarm_names(&self.name);
            let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
            let answer = request.send().await.map_err(|error| failed("look at the alarm", &account.place, error).to_string())?;
            read(&self.name, &answer).ok_or_else(|| {
                let name = one_line(&self.name, LONGEST);
                format!("no alarm is called {name} in {} ({})", account.place.region, account.place.account)
            })?
        }))
    }
}

/// The fields of the alarm of that name; nothing where there is none.
fn read(name: &str, answer: &DescribeAlarmsOutput) -> Option<Told> {
    let metric = answer.metric_alarms().iter().find(|alarm| alarm.alarm_name() == Some(name)).map(|alarm| {
        let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
        told("metric", alarm.alarm_arn(), alarm.state_value(), alarm.state_reason(), since, alarm.actions_enabled())
    });
    metric.or_else(|| {
        answer.composite_alarms().iter().find(|alarm| alarm.alarm_name() == Some(name)).map(|alarm| {
            let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
            told("composite", alarm.alarm_arn(), alarm.state_value(), alarm.state_reason(), since, alarm.actions_enabled())
        })
    })
}

fn told(
    of: &str,
    arn: Option<&str>,
    state: Option<&StateValue>,
    reason: Option<&str>,
    since: Option<&DateTime>,
    enabled: Option<bool>,
) -> Told {
    let state = state.ok_or("CloudWatch tells no state of the alarm")?;
    let mut seen = Fields::default();
    let reason = reason.map(|reason| one_line(reason, REASON)).unwrap_or_default();
    match state {
        StateValue::Alarm => drop(seen.fields.insert("alarming".into(), json!(true))),
        StateValue::Ok => drop(seen.fields.insert("alarming".into(), json!(false))),
        _ => seen.note = Some(format!("{}: {reason}", one_line(state.as_str(), 40))),
    }
    let mut put = |key: &str, value: serde_json::Value| drop(seen.fields.insert(key.into(), value));
    put("state", json!(one_line(state.as_str(), 40)));
    put("reason", json!(reason));
    put("type", json!(of));
    if let Some(arn) = arn {
        put("arn", json!(one_line(arn, 1_600)));
    }
    if let Some(enabled) = enabled {
        put("actions_enabled", json!(enabled));
    }
    if let Some(since) = since.map(DateTime::as_secs_f64) {
        put("age", json!(age(since)));
        if let Some(at) = moment(since) {
            put("updated", json!(at));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudwatch::types::{CompositeAlarm, MetricAlarm};

    fn answer(state: &str) -> DescribeAlarmsOutput {
        let metric = MetricAlarm::builder()
            .alarm_name("errors")
            .alarm_arn("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors")
            .state_value(state.into())
            .state_reason("Threshold\ncrossed\u{1b}[2J")
            .state_updated_timestamp(DateTime::from_secs(1_795_748_422))
            .actions_enabled(true);
        let whole = CompositeAlarm::builder().alarm_name("whole").state_value(StateValue::Ok);
        DescribeAlarmsOutput::builder().metric_alarms(metric.build()).composite_alarms(whole.build()).build()
    }

    #[test]
    fn an_alarm_says_its_state_and_too_little_data_is_none() {
        let seen = read("errors", &answer("ALARM")).unwrap().unwrap();
        assert_eq!(
            (&seen.fields["alarming"], &seen.fields["state"], &seen.fields["type"]),
            (&json!(true), &json!("ALARM"), &json!("metric"))
        );
        assert_eq!(
            (&seen.fields["updated"], &seen.fields["reason"]),
            (&json!("2026-11-27T03:00:22.000Z"), &json!("Threshold crossed [2J"))
        );
        assert!(seen.fields["age"].is_number() && seen.note.is_none());
        let seen = read("errors", &answer("INSUFFICIENT_DATA")).unwrap().unwrap();
        assert!(!seen.fields.contains_key("alarming"));
        assert_eq!(seen.note.unwrap(), "INSUFFICIENT_DATA: Threshold crossed [2J");
        let seen = read("errors", &answer("SOMETHING_NEW")).unwrap().unwrap();
        assert!(!seen.fields.contains_key("alarming"), "what is not known is neither good nor bad");
    }

    #[test]
    fn a_composite_alarm_is_found_and_another_name_is_not() {
        let seen = read("whole", &answer("OK")).unwrap().unwrap();
        assert_eq!((&seen.fields["alarming"], &seen.fields["type"]), (&json!(false), &json!("composite")));
        assert!(read("error", &answer("OK")).is_none());
    }

    #[test]
    fn a_name_is_a_name() {
        let problems = |name: &str| Alarm.check(&AlarmSpec { name: name.into() });
        assert!(problems("shop: errors").is_empty() && problems("${secret:x}").is_empty());
        assert!(problems(" ")[0].text.contains("no name"));
        assert!(problems("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:x")[0].text.contains("an ARN"));
        assert!(problems(&"x".repeat(256))[0].text.contains("at most 255"));
    }
}
