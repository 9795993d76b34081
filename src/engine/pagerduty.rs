//! PagerDuty, asked again and again while a drill runs: open incidents as alerts, acknowledgements as pages that were taken. Page by page, and as slowly as
//! PagerDuty says; what is answered is read by `signal`.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::act::Act;
use crate::base::{At, Interval, Span};
use crate::event::Event;
use crate::plan::SignalPlan;
use crate::signal::pagerduty::{PAGES, acks, incidents, incidents_path, log_path};
use crate::signal::{Acked, Firing, Watch, acked, roles_of};
use crate::sys::http::{self, Trust};
use crate::sys::{Cx, clock};

/// Largest page, in bytes.
const LARGEST: usize = 4 << 20;
/// Longest time that PagerDuty may ask to be left alone for.
const LONGEST_WAIT: Span = Span::secs(60);
/// Most acknowledgements that are told of in one drill.
const MOST: usize = 1_000;

/// One look.
struct Found {
    incidents: Vec<Firing>,
    acks: Vec<(String, Acked)>,
}

/// Why there was none, and how long PagerDuty wants to be left alone.
struct NotFound {
    why: String,
    wait: Option<Span>,
}

/// Asks until cancelled; reports what changes.
pub(super) async fn watch(act: Act, id: String, plan: SignalPlan) {
    let mut seen = Watch::new(&id, &plan.kind);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut last: Option<At> = None;
    let start = clock::now().as_nanosecond() - i128::from(act.cx.clock.now().0);
    let since =
        jiff::Timestamp::from_nanosecond(start).map_or_else(|_| clock::wall(), |start| start.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    loop {
        let began = act.cx.clock.now();
        let found = tokio::select! {
            found = look(&plan, &since, &act.cx) => found,
            () = act.cx.cancel.cancelled() => return,
        };
        let ended = act.cx.clock.now();
        let wall = clock::now().as_nanosecond();
        let (answer, taken, wait) = match found {
            Ok(found) => (Ok(found.incidents), found.acks, None),
            Err(NotFound { why, wait }) => (Err(why), Vec::new(), wait),
        };
        let answered = answer.is_ok();
        for event in seen.look(began, ended, wall, answer) {
            act.happened(Event::Team(event));
        }
        let roles = act.plan.team.iter().flat_map(|team| &team.roles).map(|(role, people)| (role.as_str(), people.as_slice()));
        for (entry, ack) in taken {
            if known.len() < MOST && known.insert(entry) {
                let when = Interval::new(last.unwrap_or(At(0)), ended);
                let roles = roles_of(roles.clone(), &ack.names);
                act.happened(Event::Team(acked(&id, &plan.kind, &ack, roles, when, (ended, wall), false)));
            }
        }
        last = if answered { Some(began) } else { last };
        let due = began + plan.every;
        let wait = due.since(ended).max(wait.unwrap_or_default().min(LONGEST_WAIT)).max(Span::millis(1));
        tokio::select! {
            () = clock::sleep(wait) => {}
            () = act.cx.cancel.cancelled() => return,
        }
    }
}

async fn look(plan: &SignalPlan, since: &str, cx: &Cx) -> Result<Found, NotFound> {
    let mut found = Found { incidents: Vec::new(), acks: Vec::new() };
    let said = |why: String| NotFound { why, wait: None };
    let endless = || said(format!("there are more than {PAGES} pages: name the services that matter (`services`)"));
    for page in 0.. {
        let (some, more) = incidents(&get(plan, &incidents_path(&plan.services, page), cx).await?).map_err(said)?;
        found.incidents.extend(some);
        if !more {
            break;
        }
        if page + 1 >= PAGES {
            return Err(endless());
        }
    }
    for page in 0.. {
        let (some, more) = acks(&get(plan, &log_path(since, page), cx).await?, &plan.services).map_err(said)?;
        found.acks.extend(some);
        if !more {
            break;
        }
        if page + 1 >= PAGES {
            return Err(endless());
        }
    }
    Ok(found)
}

/// One page. The key is read at the moment of use, and stands in no error.
async fn get(plan: &SignalPlan, path: &str, cx: &Cx) -> Result<Value, NotFound> {
    let said = |why: String| NotFound { why, wait: None };
    let reveal = |text: &str| cx.reveal(text, None).map_err(|error| said(format!("failed to {error}")));
    let headers: Result<IndexMap<String, String>, NotFound> =
        plan.headers.iter().map(|(name, value)| Ok((name.clone(), reveal(value)?))).collect();
    let url = format!("{}{path}", reveal(plan.url.trim_end_matches('/'))?);
    let trust = Trust { insecure: !url.starts_with("https:"), ca_file: None };
    let client = http::control_client(&trust).map_err(|error| said(format!("failed to {error}")))?;
    let answer = http::get(&client, &url, &headers?, LARGEST, plan.timeout).await.map_err(|error| said(format!("failed to {error}")))?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| said(format!("the answer is no JSON: {error}"))),
        401 | 403 => Err(said(format!("status {}: its key is not taken; it must be one of the REST API that may read", answer.status))),
        429 => {
            let wait = answer.wait.unwrap_or(Span::secs(5)).min(LONGEST_WAIT);
            Err(NotFound { why: format!("status 429: it was asked too often; the next look is in {}", wait.human()), wait: Some(wait) })
        }
        other => Err(said(format!("status {other}"))),
    }
}
