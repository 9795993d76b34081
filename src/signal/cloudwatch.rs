//! CloudWatch alarms: as SNS tells of them, the message within the envelope; and as the account lists those in ALARM when it is asked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::receive::Heard;
use super::{CHARS, Firing, MOST};
use crate::base::one_line;

/// An alarm that changed its state. Without data nothing is alarmed: that ends one.
pub(super) fn alarm(message: &str) -> Result<Heard, String> {
    let message: Value = serde_json::from_str(message).map_err(|error| format!("its message is no alarm of CloudWatch: {error}"))?;
    let text = |value: &Value| value.as_str().map(|text| one_line(text, CHARS));
    let name = text(&message["AlarmName"]).ok_or("its message is no alarm of CloudWatch: it has no `AlarmName`")?;
    let firing = match message["NewStateValue"].as_str() {
        Some("ALARM") => true,
        Some("OK" | "INSUFFICIENT_DATA") => false,
        _ => return Err("its alarm has no state `ALARM`, `OK` or `INSUFFICIENT_DATA`".into()),
    };
    let mut labels = BTreeMap::from([("alertname".to_owned(), name.clone())]);
    let trigger = &message["Trigger"];
    let described = [
        ("account", &message["AWSAccountId"]),
        ("region", &message["Region"]),
        ("namespace", &trigger["Namespace"]),
        ("metric", &trigger["MetricName"]),
    ];
    for (label, value) in described {
        labels.extend(text(value).map(|value| (label.to_owned(), value)));
    }
    // `2026-11-27T03:00:22.912+0000`, which RFC 3339 does not know.
    let starts_at = text(&message["StateChangeTime"]).map(|at| at.strip_suffix("+0000").map_or(at.clone(), |at| format!("{at}Z")));
    let key = text(&message["AlarmArn"]).unwrap_or_else(|| name.clone());
    Ok(Heard { firing, alert: Firing { name, labels, key, starts_at } })
}

/// Alarms that fire. Their name is the label `alertname`, as everywhere.
pub(super) fn read(answer: &Value) -> Result<Vec<Firing>, String> {
    let list = answer.as_array().ok_or("the answer is not a list of alarms")?;
    list.iter().take(MOST).map(one).collect()
}

fn one(alarm: &Value) -> Result<Firing, String> {
    let text = |key: &str| alarm[key].as_str().map(|text| one_line(text, CHARS));
    let name = text("name").ok_or("an alarm has no name")?;
    let mut labels = BTreeMap::from([("alertname".to_owned(), name.clone())]);
    for key in ["account", "region", "type", "namespace", "metric"] {
        labels.extend(text(key).map(|value| (key.to_owned(), value)));
    }
    let key = alarm["arn"].as_str().map_or_else(|| name.clone(), |arn| one_line(arn, 1_600));
    Ok(Firing { name, labels, key, starts_at: text("since") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alarm_is_told_by_its_arn_and_named_as_an_alert() {
        let arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors";
        let answer = json!([{ "name": "errors\u{1b}[2J", "arn": arn, "since": "2026-11-27T03:00:22.912Z", "type": "metric",
            "namespace": "Shop", "metric": "Errors", "account": "111122223333", "region": "eu-west-1" }]);
        let found = read(&answer).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].key.as_str()), ("errors [2J", arn));
        assert_eq!(found[0].starts_at.as_deref(), Some("2026-11-27T03:00:22.912Z"));
        assert_eq!((found[0].labels["alertname"].as_str(), found[0].labels["metric"].as_str()), ("errors [2J", "Errors"));
        assert_eq!(read(&json!([])).unwrap(), []);
    }

    #[test]
    fn anything_else_is_an_error() {
        for bad in [json!({}), json!([{}]), json!([1])] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_alarm_is_read() {
        // The form of the user guide of CloudWatch.
        let sent = r#"{"AlarmName":"db-down","AlarmDescription":null,"AWSAccountId":"123456789012","AlarmConfigurationUpdatedTimestamp":"2026-11-01T00:00:00.000+0000",
            "NewStateValue":"ALARM","NewStateReason":"Threshold Crossed","StateChangeTime":"2026-11-27T03:00:22.912+0000","Region":"EU (Ireland)",
            "AlarmArn":"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:db-down","OldStateValue":"OK","OKActions":[],"AlarmActions":[],
            "Trigger":{"MetricName":"HealthyHostCount","Namespace":"AWS/ApplicationELB","Period":60}}"#;
        let heard = alarm(sent).unwrap();
        assert!(heard.firing);
        assert_eq!(heard.alert.labels["metric"], "HealthyHostCount");
        assert_eq!(heard.alert.starts_at.as_deref().map(|at| at.parse::<jiff::Timestamp>().is_ok()), Some(true));
        assert!(!alarm(&sent.replace("\"ALARM\"", "\"INSUFFICIENT_DATA\"")).unwrap().firing);
        for bad in ["", "hello", "{}", r#"{"AlarmName":"x","NewStateValue":"on"}"#] {
            assert!(alarm(bad).is_err(), "{bad}");
        }
    }
}
