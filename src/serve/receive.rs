//! A call of a sender of alerts: limited, believed or not, and told to the loop.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use axum::response::Response;
use serde_json::json;

use super::limits::Bucket;
use super::{Desk, HEAR, LARGEST, answer, texts};
use crate::base::{At, one_line};
use crate::event::{Event, TeamEvent};
use crate::plan::{ReceiverPlan, TeamPlan};
use crate::signal::{Inbox, Memory, Post, Refusal, Sender, Told, roles_of, sns};
use crate::sys::{Cx, clock};

/// Calls a second, and at once, of one sender that was believed.
const CALLS: (u32, u32) = (20, 200);
/// Most that is written down of one sender in one drill.
const MOST_TOLD: usize = 1_000;

/// A receiver and what it remembers.
pub(super) struct Receiver {
    plan: ReceiverPlan,
    kept: Mutex<Kept>,
}

struct Kept {
    memory: Memory,
    inbox: Inbox,
    bucket: Bucket,
    told: usize,
    /// That no more is written down was said.
    full: bool,
}

impl Receiver {
    pub fn new(id: &str, plan: &ReceiverPlan) -> Receiver {
        let kind = match plan.kind.as_str() {
            "alertmanager" => "alertmanager",
            "pagerduty" => "pagerduty",
            "grafana" => "grafana",
            "sns" => "cloudwatch",
            _ => "webhook",
        };
        let kept =
            Kept { memory: Memory::default(), inbox: Inbox::new(id, kind), bucket: Bucket::new(CALLS.0, CALLS.1), told: 0, full: false };
        Receiver { plan: plan.clone(), kept: Mutex::new(kept) }
    }

    /// The sender with its secrets, read now: one may have been put in place meanwhile.
    fn sender(&self, cx: &Cx) -> Result<Sender, Refusal> {
        let read = |text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let missing = |error: crate::sys::FillError| Refusal { status: 503, why: format!("failed to {error}") };
            match cx.reveal(text, None).map_err(missing)? {
                // It would let everybody in.
                empty if empty.is_empty() => Err(Refusal { status: 503, why: "its secret is empty".into() }),
                value => Ok(Some(value)),
            }
        };
        let (token, secret) = (read(&self.plan.token)?, read(&self.plan.secret)?);
        let nothing = || Refusal { status: 503, why: "this receiver has no secret".into() };
        Ok(match self.plan.kind.as_str() {
            "alertmanager" => Sender::Alertmanager { token: token.ok_or_else(nothing)? },
            "pagerduty" => Sender::PagerDuty { secret: secret.ok_or_else(nothing)? },
            "grafana" => Sender::Grafana { token, secret, timestamp_header: self.plan.timestamp_header.clone() },
            "sns" => Sender::Sns { topic: self.plan.topic.clone().ok_or_else(nothing)? },
            "json" => Sender::Json { secret: secret.ok_or_else(nothing)? },
            _ => return Err(Refusal { status: 501, why: "this receiver is of no kind that is known".into() }),
        })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /v1/signals/ID`.
pub(super) async fn call(desk: &Desk, peer: IpAddr, id: &str, request: Request) -> Response {
    let Some((known, receiver)) = desk.receivers.get_key_value(id) else {
        return desk.refuse("listen", peer, Refusal { status: 404, why: "no receiver has that name".into() }).await;
    };
    match take(desk, receiver, known.as_str(), peer, request).await {
        Ok(body) => body,
        Err(refusal) => desk.refuse(known.as_str(), peer, refusal).await,
    }
}

async fn take(desk: &Desk, receiver: &Receiver, id: &str, peer: IpAddr, request: Request) -> Result<Response, Refusal> {
    desk.admit(peer)?;
    let (head, body) = request.into_parts();
    let body = desk.body(&head.headers, body, LARGEST, HEAR).await?;
    let (at, wall) = (desk.cx.clock.now(), clock::now());
    // Looked at before, taken after: whoever is not believed uses up nobody else's calls, and what is put off was not yet remembered.
    if !receiver.kept().bucket.has_room(at) {
        return Err(Refusal { status: 429, why: "more calls than are taken of one sender: send less often".into() });
    }
    let sender = receiver.sender(&desk.cx)?;
    let headers = texts(&head.headers);
    let post = Post { headers: &headers, body: &body, now: wall };
    full(desk, receiver, id, at).await?;
    let told = match &sender {
        Sender::Sns { topic } => of_sns(desk, receiver, post, topic, at).await?,
        other => other.hear(post, &mut receiver.kept().memory)?,
    };
    if let Some(url) = &told.confirm {
        confirm(desk, id, url).await?;
    }
    let events = {
        let mut kept = receiver.kept();
        kept.bucket.take();
        let events = events(&desk.team, &mut kept.inbox, &told, at, wall.as_nanosecond());
        kept.told += events.len();
        events
    };
    for event in events {
        if !desk.tell(event).await {
            return Err(Refusal { status: 503, why: crate::engine::people::OVER.into() });
        }
    }
    Ok(answer(200, &json!({ "heard": { "alerts": told.alerts.len(), "acks": told.acks.len() } })))
}

/// Whether so much was written down already that no more is; said once, for what nobody writes down cannot be judged.
async fn full(desk: &Desk, receiver: &Receiver, id: &str, at: At) -> Result<(), Refusal> {
    let (full, news) = {
        let mut kept = receiver.kept();
        let full = kept.told >= MOST_TOLD;
        let news = full && !kept.full;
        kept.full = full;
        (full, news)
    };
    let why = || format!("it has told {MOST_TOLD} things in this drill, and no more are written down");
    if news {
        desk.tell(TeamEvent::SourceLost { source: id.to_owned(), since: at, why: why() }).await;
    }
    if full { Err(Refusal { status: 429, why: why() }) } else { Ok(()) }
}

fn events(team: &TeamPlan, inbox: &mut Inbox, told: &Told, at: At, wall_ns: i128) -> Vec<TeamEvent> {
    let mut out = inbox.alerts(&told.alerts, at, wall_ns);
    for ack in &told.acks {
        let roles = roles_of(team.roles.iter().map(|(role, people)| (role.as_str(), people.as_slice())), &ack.names);
        out.push(inbox.ack(ack, roles, at, wall_ns));
    }
    out
}

async fn of_sns(desk: &Desk, receiver: &Receiver, post: Post<'_>, topic: &str, at: At) -> Result<Told, Refusal> {
    let envelope = sns::Envelope::read(post, topic)?;
    let certificate = desk.certificates.of(envelope.certificate_url(), desk.amazon.as_ref(), at).await;
    let certificate = certificate.map_err(|why| Refusal { status: 502, why: format!("failed to {why}") })?;
    envelope.hear(&certificate, post.now, &mut receiver.kept().memory)
}

/// Confirms a subscription: SNS tells nothing before.
async fn confirm(desk: &Desk, id: &str, url: &str) -> Result<(), Refusal> {
    let said = desk.amazon.get(url).await.map_err(|why| Refusal { status: 502, why: format!("failed to confirm the subscription: {why}") });
    said.map(drop)?;
    let text = format!("{id}: the subscription is confirmed: SNS tells of alarms from now on");
    let note = crate::engine::drive::Command::Note { text: one_line(&text, 200) };
    let _ = desk.ask.send(note).await;
    Ok(())
}

/// That a receiver is there, or is not.
pub fn opened(id: &str, now: At, why_not: Option<&str>) -> Event {
    Event::Team(match why_not {
        None => TeamEvent::SourceReached { source: id.to_owned(), looked: now },
        Some(why) => TeamEvent::SourceLost { source: id.to_owned(), since: now, why: format!("failed to {why}") },
    })
}
