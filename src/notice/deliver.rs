//! Delivering messages to one receiver: in their order, with a limit and a second and third try.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;
use tokio::sync::mpsc;

use super::grafana::{Draw, draw, find_path, tags_of};
use super::{Message, NOT_TOLD, change, slack};
use crate::base::Span;
use crate::plan::{ChannelPlan, GrafanaPlan, NoticeOf};
use crate::sys::http::{self, HttpError, Trust};
use crate::sys::{Cx, clock};

/// How long one request may take.
const LIMIT: Span = Span::secs(5);
/// How long is waited before each further try.
const AGAIN: [Span; 2] = [Span::millis(500), Span::secs(2)];

/// Somebody who is told.
struct Receiver {
    to: ChannelPlan,
    cx: Cx,
    /// Regions that were begun here, by their tags.
    regions: BTreeMap<Vec<String>, i64>,
}

/// Why a message did not arrive, and whether it may the next time.
struct Failed {
    why: String,
    for_good: bool,
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Failed {
        // What is wrong with the request itself will be wrong again; too early and too often may not.
        let for_good = matches!(error, HttpError::Status(status) if (400..500).contains(&status) && ![408, 425, 429].contains(&status));
        Failed { why: error.to_string(), for_good }
    }
}

impl From<crate::sys::FillError> for Failed {
    // A secret may be put in place meanwhile.
    fn from(error: crate::sys::FillError) -> Failed {
        Failed { why: error.to_string(), for_good: false }
    }
}

/// Delivers until nobody sends any more.
pub(super) async fn all(id: String, to: ChannelPlan, cx: Cx, mut messages: mpsc::Receiver<Message>, told: mpsc::UnboundedSender<String>) {
    let mut receiver = Receiver { to, cx, regions: BTreeMap::new() };
    while let Some(message) = messages.recv().await {
        let of = message.of.word();
        let said = match receiver.with_patience(&message).await {
            Ok(()) => format!("{id} was told: {of}"),
            Err(why) => format!("{id} {NOT_TOLD}: {of}: failed to {why}"),
        };
        // Nobody may be left to hear it.
        let _ = told.send(said);
    }
}

/// A client; the host's trust store is read only where it is needed.
fn client(url: &str) -> Result<reqwest::Client, HttpError> {
    http::control_client(&Trust { insecure: !url.starts_with("https:"), ca_file: None })
}

impl Receiver {
    async fn with_patience(&mut self, message: &Message) -> Result<(), String> {
        let mut again = AGAIN.iter();
        loop {
            let failed = match self.once(message).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            match again.next().filter(|_| !failed.for_good) {
                Some(wait) => clock::sleep(*wait).await,
                None => return Err(failed.why),
            }
        }
    }

    /// Secrets are read at the moment of use, and again for each try.
    async fn once(&mut self, message: &Message) -> Result<(), Failed> {
        let none = IndexMap::new();
        match &self.to {
            ChannelPlan::Webhook(hook) => {
                let url = self.cx.reveal(&hook.url, None)?;
                let headers: Result<IndexMap<String, String>, crate::sys::FillError> =
                    hook.headers.iter().map(|(name, value)| Ok((name.clone(), self.cx.reveal(value, None)?))).collect();
                Ok(http::post_json(&client(&url)?, &url, &headers?, message, LIMIT).await?)
            }
            ChannelPlan::Slack(slack) => {
                let url = self.cx.reveal(&slack.url, None)?;
                Ok(http::post_json(&client(&url)?, &url, &none, &slack::body(message), LIMIT).await?)
            }
            ChannelPlan::PagerDutyChange(change) => {
                let (url, key) = (self.cx.reveal(&change.url, None)?, self.cx.reveal(&change.routing_key, None)?);
                let body = change::body(message, &key, &clock::wall());
                Ok(http::post_json(&client(&url)?, &url, &none, &body, LIMIT).await?)
            }
            ChannelPlan::Grafana(grafana) => {
                let grafana = grafana.clone();
                self.annotate(message, &grafana).await
            }
        }
    }

    async fn annotate(&mut self, message: &Message, plan: &GrafanaPlan) -> Result<(), Failed> {
        let url = self.cx.reveal(plan.url.trim_end_matches('/'), None)?;
        let mut headers = IndexMap::new();
        if let Some(token) = &plan.token {
            headers.insert("authorization".to_owned(), format!("Bearer {}", self.cx.reveal(token, None)?));
        }
        let client = client(&url)?;
        let all = format!("{url}/api/annotations");
        let send = |method, url: String, body: Option<Value>| {
            let (client, headers) = (&client, &headers);
            async move { http::send_json(client, method, &url, headers, body.as_ref(), LIMIT).await }
        };
        let at = message.at_ms.unwrap_or_else(|| clock::now().as_millisecond());
        match draw(message, plan, at) {
            Draw::Point(body) => send(reqwest::Method::POST, all, Some(body)).await.map(drop)?,
            Draw::Begin(body) => {
                let made = send(reqwest::Method::POST, all, Some(body)).await?;
                self.regions.extend(made["id"].as_i64().map(|id| (tags_of(message), id)));
            }
            Draw::End(end) => {
                let known = match self.regions.get(&tags_of(message)) {
                    Some(id) => Some(*id),
                    // A process that died may have begun it.
                    None => send(reqwest::Method::GET, format!("{url}{}", find_path(message)), None).await?[0]["id"].as_i64(),
                };
                match known {
                    Some(id) => send(reqwest::Method::PATCH, format!("{all}/{id}"), Some(end)).await.map(drop)?,
                    // Nobody drew its beginning: its end is a point.
                    None => {
                        let point = Message { of: NoticeOf::Recovered, ..message.clone() };
                        if let Draw::Point(body) = draw(&point, plan, at) {
                            send(reqwest::Method::POST, all, Some(body)).await?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
