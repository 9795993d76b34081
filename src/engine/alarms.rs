//! Alarms of the scenario's AWS account, asked for again and again while a drill runs.

use serde_json::Value;

use super::act::Act;
use crate::base::{At, Span};
use crate::event::Event;
use crate::plan::SignalPlan;
use crate::signal::{self, Watch};
use crate::sys::{Cx, clock};

/// Asks CloudWatch every so often until cancelled; reports what changes.
pub(super) async fn watch(act: Act, id: String, plan: SignalPlan) {
    let mut seen = Watch::new(&id, &plan.kind);
    let mut due = act.cx.clock.now();
    while !act.cx.cancel.is_cancelled() {
        let (began, ended, answer) = firing(&plan, &act.cx).await;
        if act.cx.cancel.is_cancelled() {
            return;
        }
        let answer = answer.and_then(|answer| signal::read(&plan.kind, &answer));
        let wall = clock::now().as_nanosecond() - i128::from(act.cx.clock.now().since(ended).0);
        for event in seen.look(began, ended, wall, answer) {
            act.happened(Event::Team(event));
        }
        let now = act.cx.clock.now();
        due = (due + plan.every).max(now);
        tokio::select! {
            () = clock::sleep(due.since(now).max(Span::millis(1))) => {}
            () = act.cx.cancel.cancelled() => return,
        }
    }
}

#[cfg(feature = "aws")]
async fn firing(plan: &SignalPlan, cx: &Cx) -> (At, At, Result<Value, String>) {
    crate::probe::firing(&plan.alarms, plan.timeout, cx).await
}

#[cfg(not(feature = "aws"))]
async fn firing(_: &SignalPlan, cx: &Cx) -> (At, At, Result<Value, String>) {
    (cx.clock.now(), cx.clock.now(), Err("this build cannot ask CloudWatch: it was made without the feature `aws`".to_owned()))
}
