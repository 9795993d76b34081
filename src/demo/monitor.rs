//! The monitor: scrapes the metrics of the others once a second, asks its rules, and answers which alerts fire the way Alertmanager does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::rules::{Alert, Evaluator, Labels, Sample, exposition, read};
use super::wire::{once, request};
use super::{DemoError, listen, serve};
use crate::base::{At, Span};
use crate::sys::clock;

/// Rules where no others are given.
const RULES: &str = include_str!("rules.yaml");
const SCRAPE_LIMIT: Span = Span::secs(2);

/// The monitor's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Whom it scrapes, as `JOB/INSTANCE=ADDRESS`; several.
    #[arg(long = "target", required = true, value_parser = target)]
    targets: Vec<Target>,
    /// How often.
    #[arg(long, default_value = "1s")]
    every: Span,
    /// A file of rules instead of its own.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// It ends when this directory is removed.
    #[arg(long)]
    lives_by: Option<PathBuf>,
}

/// One that is scraped.
#[derive(Debug, Clone)]
struct Target {
    job: String,
    instance: String,
    at: SocketAddr,
}

fn target(text: &str) -> Result<Target, String> {
    let wrong = || "write JOB/INSTANCE=ADDRESS, for example shop/a=127.0.0.1:18181".to_owned();
    let (name, at) = text.split_once('=').ok_or_else(wrong)?;
    let (job, instance) = name.split_once('/').ok_or_else(wrong)?;
    Ok(Target { job: job.to_owned(), instance: instance.to_owned(), at: at.parse().map_err(|_| wrong())? })
}

/// Rules with where they stand, and when each alert that fires began, by this machine's wall time.
#[derive(Debug)]
struct Room {
    evaluator: Evaluator,
    began: BTreeMap<Labels, (At, String)>,
}

type Shared = Arc<Mutex<Room>>;

async fn scrape(target: &Target) -> Vec<Sample> {
    let own = Labels::from([("job".to_owned(), target.job.clone()), ("instance".to_owned(), target.instance.clone())]);
    let answer = once(target.at, request("GET", target.at, "/metrics", Bytes::new()), SCRAPE_LIMIT, SCRAPE_LIMIT).await;
    let (up, mut samples) = match answer.ok().filter(|answer| answer.status.is_success()) {
        Some(answer) => (1.0, exposition(&String::from_utf8_lossy(&answer.body))),
        None => (0.0, Vec::new()),
    };
    samples.push(Sample { name: "up".to_owned(), labels: Labels::new(), value: up });
    samples.iter_mut().for_each(|sample| sample.labels.extend(own.clone()));
    samples
}

async fn watch(args: &Args, room: &Shared) -> std::convert::Infallible {
    loop {
        let began = clock::mono_ns();
        let samples: Vec<Sample> = join_all(args.targets.iter().map(scrape)).await.into_iter().flatten().collect();
        let now = clock::mono_ns();
        room.lock().unwrap_or_else(PoisonError::into_inner).evaluator.look(&samples, At(now));
        clock::sleep((args.every - Span(now.saturating_sub(began))).max(Span::millis(10))).await;
    }
}

/// As Alertmanager's API v2 answers.
async fn alerts(State(room): State<Shared>) -> Response {
    let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
    let Room { evaluator, began } = &mut *room;
    let firing = evaluator.firing();
    began.retain(|labels, (since, _)| firing.iter().any(|alert| alert.labels == *labels && alert.since == *since));
    let one = |alert: &Alert| {
        // Worked out once: asked again, it must be the same.
        let (_, starts) = began.entry(alert.labels.clone()).or_insert_with(|| (alert.since, wall_of(alert.since)));
        let annotations = evaluator.rules.get(alert.rule).map(|rule| rule.annotations.clone()).unwrap_or_default();
        let print = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        json!({ "labels": alert.labels, "annotations": annotations, "startsAt": starts, "fingerprint": print,
                "status": { "state": "active", "silencedBy": [], "inhibitedBy": [] } })
    };
    Json(firing.iter().map(one).collect::<Vec<Value>>()).into_response()
}

fn wall_of(at: At) -> String {
    let ago = i64::try_from(clock::mono_ns().saturating_sub(at.0)).unwrap_or_default();
    let now = clock::now();
    now.checked_sub(jiff::SignedDuration::from_nanos(ago)).unwrap_or(now).to_string()
}

/// Runs the monitor until it is told to stop.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let text = match &args.rules {
        Some(path) => std::fs::read_to_string(path).map_err(DemoError::file(path))?,
        None => RULES.to_owned(),
    };
    let rules = read(&text).map_err(DemoError::Usage)?;
    let listener = listen(args.listen).await?;
    let room: Shared = Arc::new(Mutex::new(Room { evaluator: Evaluator::new(rules), began: BTreeMap::new() }));
    let router = Router::new().route("/api/v2/alerts", get(alerts)).with_state(room.clone());
    let lives_by = args.lives_by.clone();
    tokio::select! {
        served = serve(listener, router, lives_by.as_deref()) => served,
        never = watch(&args, &room) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_rules_can_be_read_and_each_names_its_runbook() {
        let rules = read(RULES).unwrap();
        assert!(rules.len() >= 3);
        assert!(rules.iter().all(|rule| rule.annotations.contains_key("runbook") && rule.labels.contains_key("severity")));
    }

    #[test]
    fn targets_are_named() {
        let found = target("shop/a=127.0.0.1:80").unwrap();
        assert_eq!((found.job.as_str(), found.instance.as_str()), ("shop", "a"));
        assert!(target("a=127.0.0.1:80").unwrap_err().contains("JOB/INSTANCE"));
    }
}
