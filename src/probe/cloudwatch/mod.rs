//! CloudWatch: alarms and metrics of the scenario's account. What AWS does not say, or did not answer, is no data: never good, and never an alarm.

mod alarm;
mod firing;
mod metric;

use std::future::Future;

pub(super) use alarm::Alarm;
pub use firing::firing;
pub(super) use metric::Metric;

use super::judge::Answer;
use crate::base::Span;
use crate::event::Class;
use crate::sys::aws::{self, Account};
use crate::sys::{Cx, clock};
use std::sync::Arc;

/// What one look brought, or why there is nothing.
type Told = Result<Fields, String>;

/// The fields that were seen, and why one of them is missing.
#[derive(Debug, Clone, PartialEq, Default)]
struct Fields {
    fields: serde_json::Map<String, serde_json::Value>,
    note: Option<String>,
}

/// Asks in the account of the scenario, within the limit. Clients are only handed out by whoever has seen who is acting.
async fn asked<F>(limit: Span, cx: &Cx, ask: impl FnOnce(Arc<Account>) -> F) -> Answer
where
    F: Future<Output = Told>,
{
    let sent = cx.clock.now();
    let looking = async {
        let place = cx.account.as_deref().ok_or("the scenario names no account under `aws:`")?;
        let account = aws::open(place).await.map_err(|error| error.to_string())?;
        ask(account).await
    };
    let told = tokio::time::timeout(limit.std(), looking).await;
    let done = cx.clock.now();
    match told {
        Ok(Ok(Fields { fields, note })) => Answer { fields, note, ..Answer::of(sent, done) },
        Ok(Err(why)) => Answer::failed(sent, done, Class::NoData, why),
        Err(_) => Answer::failed(sent, done, Class::NoData, format!("no answer of CloudWatch within {limit}")),
    }
}

/// How long ago a moment of AWS's clock was by ours, in seconds; below zero where that one is ahead.
fn age(seconds_since_1970: f64) -> f64 {
    clock::now().as_nanosecond() as f64 / 1e9 - seconds_since_1970
}

/// A moment of AWS's clock: RFC 3339, to the millisecond.
fn moment(seconds_since_1970: f64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond((seconds_since_1970 * 1e3).round() as i64).ok()?;
    Some(format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{condition, cx};
    use crate::probe::{Holds, look};
    use serde_json::json;

    #[tokio::test]
    async fn without_an_account_there_is_no_data() {
        let seen = look(&condition("aws.cloudwatch.alarm", json!({ "name": "errors" }), json!({})), None, &cx()).await;
        assert_eq!(seen.holds, Holds::NoData("the scenario names no account under `aws:`".into()));
        let spec = json!({ "namespace": "Shop", "metric": "Errors" });
        let seen = look(&condition("aws.cloudwatch.metric", spec, json!({ "value": { "max": 5 } })), None, &cx()).await;
        assert!(matches!(seen.holds, Holds::NoData(_)), "{seen:?}");
    }

    #[test]
    fn moments_are_written_to_the_millisecond() {
        assert_eq!(moment(1_795_748_422.912_4).as_deref(), Some("2026-11-27T03:00:22.912Z"));
        assert_eq!(moment(f64::INFINITY), None);
    }
}
