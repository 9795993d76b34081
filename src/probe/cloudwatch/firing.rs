//! Every alarm of the account that is in ALARM, as a list that `signal` reads.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use serde_json::{Value, json};

use super::moment;
use crate::base::{At, Span};
use crate::sys::Cx;
use crate::sys::aws::{self, failed};

/// The most pages of a hundred that are read.
const MOST_PAGES: usize = 10;

/// Which alarms: a name, or what names begin with, followed by `*`.
#[derive(Debug, Clone, Copy)]
struct Pattern<'a>(&'a str);

impl Pattern<'_> {
    fn fits(self, name: &str) -> bool {
        self.0.strip_suffix('*').map_or(name == self.0, |prefix| name.starts_with(prefix))
    }
}

/// When the look began and ended, and what was told: a JSON list of alarms with `name`, `arn`, `since`, `type`, and `namespace` and `metric` where
/// they have one.
///
/// # Errors
/// No account, no answer within the limit, AWS refuses, or more alarms than are read; for people.
pub async fn firing(patterns: &[String], limit: Span, cx: &Cx) -> (At, At, Result<Value, String>) {
    let began = cx.clock.now();
    let told = tokio::select! {
        biased;
        () = cx.cancel.cancelled() => Err("cancelled".to_owned()),
        told = tokio::time::timeout(limit.std(), all(patterns, cx)) => {
            told.unwrap_or_else(|_| Err(format!("no answer of CloudWatch within {limit}")))
        }
    };
    (began, cx.clock.now(), told)
}

async fn all(patterns: &[String], cx: &Cx) -> Result<Value, String> {
    let place = cx.account.as_deref().ok_or("the scenario names no account under `aws:`")?;
    let account = aws::open(place).await.map_err(|error| error.to_string())?;
    let request = account.cloudwatch.describe_alarms().state_value(StateValue::Alarm).max_records(100);
    let mut pages = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm).into_paginator().send();
    let wanted = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| Pattern(pattern).fits(name));
    let since = |at: Option<&DateTime>| at.and_then(|at| moment(at.as_secs_f64()));
    let mut found = Vec::new();
    for read in 0.. {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| failed("list the alarms that fire", place, error).to_string())?;
        // A list that is cut off would be taken for one without the alarm.
        if read >= MOST_PAGES {
            return Err(format!("more than {} alarms fire", MOST_PAGES * 100));
        }
        for one in page.metric_alarms().iter().filter(|one| wanted(one.alarm_name().unwrap_or_default())) {
            let at = one.state_transitioned_timestamp().or(one.state_updated_timestamp());
            found.push(json!({ "name": one.alarm_name(), "arn": one.alarm_arn(), "since": since(at), "type": "metric", "namespace": one.namespace(), "metric": one.metric_name(), "account": place.account, "region": place.region }));
        }
        for one in page.composite_alarms().iter().filter(|one| wanted(one.alarm_name().unwrap_or_default())) {
            let at = one.state_transitioned_timestamp().or(one.state_updated_timestamp());
            found.push(json!({ "name": one.alarm_name(), "arn": one.alarm_arn(), "since": since(at), "type": "composite", "account": place.account, "region": place.region }));
        }
    }
    Ok(Value::Array(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::cx;

    #[test]
    fn a_pattern_is_a_name_or_a_beginning() {
        assert!(Pattern("shop-*").fits("shop-errors") && !Pattern("shop-*").fits("other"));
        assert!(Pattern("errors").fits("errors") && !Pattern("errors").fits("errors-2"));
    }

    #[tokio::test]
    async fn without_an_account_nothing_is_asked() {
        let (began, ended, told) = firing(&[], Span::secs(1), &cx()).await;
        assert!(began <= ended && told.unwrap_err().contains("no account"));
    }
}
