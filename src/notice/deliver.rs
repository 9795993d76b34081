//! Delivering messages to one receiver: in their order, with a limit and a second and third try.

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::{Message, NOT_TOLD};
use crate::base::Span;
use crate::plan::WebhookPlan;
use crate::sys::http::{self, HttpError, Trust};
use crate::sys::{Cx, clock};

/// How long one request may take.
const LIMIT: Span = Span::secs(5);
/// How long is waited before each further try.
const AGAIN: [Span; 2] = [Span::millis(500), Span::secs(2)];

/// Delivers until nobody sends any more.
pub(super) async fn all(id: String, hook: WebhookPlan, cx: Cx, mut messages: mpsc::Receiver<Message>, told: mpsc::UnboundedSender<String>) {
    while let Some(message) = messages.recv().await {
        let of = message.of.word();
        let said = match with_patience(&hook, &cx, &message).await {
            Ok(()) => format!("{id} was told: {of}"),
            Err(why) => format!("{id} {NOT_TOLD}: {of}: failed to {why}"),
        };
        // Nobody may be left to hear it.
        let _ = told.send(said);
    }
}

async fn with_patience(hook: &WebhookPlan, cx: &Cx, message: &Message) -> Result<(), String> {
    let mut again = AGAIN.iter();
    loop {
        let error = match once(hook, cx, message).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match again.next() {
            Some(wait) => clock::sleep(*wait).await,
            None => return Err(error),
        }
    }
}

async fn once(hook: &WebhookPlan, cx: &Cx, message: &Message) -> Result<(), String> {
    // Secrets are read at the moment of use, and again for each try: one may have been put in place meanwhile.
    let url = cx.reveal(&hook.url, None).map_err(|error| error.to_string())?;
    let headers: Result<IndexMap<String, String>, _> =
        hook.headers.iter().map(|(name, value)| Ok((name.clone(), cx.reveal(value, None)?))).collect();
    let headers = headers.map_err(|error: crate::sys::FillError| error.to_string())?;
    let said = |error: HttpError| error.to_string();
    // The host's trust store is read only where it is needed.
    let trust = Trust { insecure: !url.starts_with("https:"), ca_file: None };
    http::post_json(&http::control_client(&trust).map_err(said)?, &url, &headers, message, LIMIT).await.map_err(said)
}
