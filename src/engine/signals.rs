//! Sources of alerts, asked again and again while a drill runs. Each on its own; what they say is read by `signal`.

use serde_json::{Value, json};

use super::act::Act;
use super::{alarms, pagerduty};
use crate::base::Span;
use crate::event::Event;
use crate::plan::{Condition, Expect, SignalPlan};
use crate::probe;
use crate::signal::{self, Watch};
use crate::sys::clock;

/// Asks a source every so often until cancelled; reports what changes.
pub(super) async fn watch(act: Act, id: String, plan: SignalPlan) {
    if plan.kind == "cloudwatch" {
        return alarms::watch(act, id, plan).await;
    }
    if plan.kind == "pagerduty" {
        return pagerduty::watch(act, id, plan).await;
    }
    let url = format!("{}{}", plan.url.trim_end_matches('/'), signal::path(&plan.kind));
    let condition = Condition {
        kind: "http".into(),
        spec: json!({ "url": url, "headers": plan.headers }),
        expect: Expect::new(),
        every: plan.every,
        within: plan.timeout,
        timeout: plan.timeout,
    };
    let mut seen = Watch::new(&id, &plan.kind);
    let mut due = act.cx.clock.now();
    while !act.cx.cancel.is_cancelled() {
        let looked = probe::look(&condition, None, &act.cx).await;
        if act.cx.cancel.is_cancelled() {
            return;
        }
        let answer = match (looked.fields.get("status").and_then(Value::as_u64), looked.fields.get("json")) {
            (Some(200), Some(answer)) => signal::read(&plan.kind, answer),
            (Some(200), None) => Err("the answer is no JSON".to_owned()),
            _ => Err(looked.seen.clone()),
        };
        let wall = clock::now().as_nanosecond() - i128::from(act.cx.clock.now().since(looked.ended).0);
        for event in seen.look(looked.began, looked.ended, wall, answer) {
            act.happened(Event::Team(event));
        }
        due = due + plan.every;
        let now = act.cx.clock.now();
        due = due.max(now);
        tokio::select! {
            () = clock::sleep(due.since(now).max(Span::millis(1))) => {}
            () = act.cx.cancel.cancelled() => return,
        }
    }
}
