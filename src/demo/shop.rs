//! An instance of the shop, of which there are several behind one balancer: takes an order, has it paid for, and writes it down on its volume. It
//! has what real services have that go wrong: something that it depends on, a volume that can be full, and jobs that keep its processor busy.

use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::meter::{Meter, Page};
use super::wire::{NoAnswer, once, request};
use super::{DemoError, listen, serve};
use crate::base::Span;
use crate::sys::clock;

/// How long payments may take.
const PAYMENT_LIMIT: Span = Span::secs(1);
/// What the nightly export leaves on the volume.
const EXPORT: &str = "export.csv";
/// While this file is there, a report is worked out.
const REPORT: &str = "report.job";
/// How often an instance looks for jobs.
const JOBS: Span = Span::millis(100);
/// How long the job keeps the one thread of an instance at a time, and how long it lets go of it.
const BUSY: Span = Span::millis(1_200);
const BREATH: Span = Span::millis(30);
/// Lines of its log that are kept.
const LINES: usize = 20;

/// An instance's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Its name, answered in the header `x-node`.
    #[arg(long)]
    name: String,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Where payments are.
    #[arg(long)]
    payments: SocketAddr,
    /// Its volume: a directory.
    #[arg(long)]
    data: PathBuf,
    /// How many bytes the volume holds; it is the instance that keeps to it, no file system.
    #[arg(long, default_value_t = 16 << 20)]
    volume: u64,
}

struct Shop {
    args: Args,
    orders: Meter,
    payments: Meter,
    /// Orders are taken now and paid for later.
    later: AtomicBool,
    log: Mutex<VecDeque<String>>,
}

type Shared = State<Arc<Shop>>;

impl Shop {
    fn say(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LINES {
            log.pop_front();
        }
        // Seconds will do: those who read it look for what, not for when.
        let now = clock::now();
        log.push_back(format!("{} {line}", now.round(jiff::Unit::Second).unwrap_or(now)));
    }

    /// Bytes on the volume.
    fn used(&self) -> u64 {
        let files = std::fs::read_dir(&self.args.data).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    }

    fn has(&self, file: &str) -> bool {
        self.args.data.join(file).exists()
    }

    /// Works on a report whenever there is one, which keeps the instance from everything else most of the time.
    async fn work(&self) -> std::convert::Infallible {
        loop {
            if self.has(REPORT) {
                let until = clock::mono_ns() + BUSY.0;
                while clock::mono_ns() < until {
                    std::hint::spin_loop();
                }
                clock::sleep(BREATH).await;
            } else {
                clock::sleep(JOBS).await;
            }
        }
    }

    /// Removes a file of the volume, if it is there.
    fn remove(&self, file: &str) -> Response {
        match std::fs::remove_file(self.args.data.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "why": error.to_string() }))).into_response()
            }
            _ => Json(standing(self)).into_response(),
        }
    }

    async fn pay(&self) -> bool {
        if self.later.load(Ordering::Relaxed) {
            return true;
        }
        let (to, asked) = (self.args.payments, self.payments.begin());
        let answer = once(to, request("POST", to, "/authorize", Bytes::from_static(b"{}")), PAYMENT_LIMIT, PAYMENT_LIMIT).await;
        let good = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
        asked.answered(good);
        match answer {
            Ok(answer) if !good => self.say(&format!("payments answered {}", answer.status)),
            Err(NoAnswer::TimedOut) => self.say("payments: no answer within 1 s"),
            Err(NoAnswer::Refused) => self.say("payments: connection refused"),
            Err(NoAnswer::Broken) => self.say("payments: the connection broke"),
            Ok(_) => {}
        }
        good
    }

    fn keep(&self) -> std::io::Result<bool> {
        let line = format!("{} {}\n", self.args.name, clock::mono_ns());
        if self.used() + line.len() as u64 > self.args.volume {
            self.say("orders.log: no space left on the volume");
            return Ok(false);
        }
        let path = self.args.data.join("orders.log");
        std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?;
        Ok(true)
    }
}

/// An order is worked on to its end, also when its customer has gone meanwhile: what it ran into is to be known.
async fn order(State(shop): Shared) -> Response {
    tokio::spawn(take_order(shop)).await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn take_order(shop: Arc<Shop>) -> Response {
    let asked = shop.orders.begin();
    let kept = if shop.pay().await { shop.keep() } else { Ok(false) };
    let good = kept.as_ref().is_ok_and(|kept| *kept);
    if let Err(error) = kept {
        shop.say(&format!("orders.log: {error}"));
    }
    asked.answered(good);
    // What customers see is the same, whatever it was.
    let (status, state) = if good { (StatusCode::CREATED, "accepted") } else { (StatusCode::SERVICE_UNAVAILABLE, "failed") };
    (status, Json(json!({ "state": state }))).into_response()
}

async fn metrics(State(shop): Shared) -> Page {
    Page::default()
        .recent("shop", shop.orders.recent())
        .recent("shop_payments", shop.payments.recent())
        .gauge("shop_volume_used_ratio", "Share of its volume that is used", shop.used() as f64 / shop.args.volume as f64)
        .gauge("shop_jobs", "Jobs that run", f64::from(u8::from(shop.has(REPORT))))
}

fn standing(shop: &Shop) -> Value {
    let (orders, payments) = (shop.orders.recent(), shop.payments.recent());
    json!({
        "instance": shop.args.name,
        "orders": { "last_5s": orders.asked, "failed": percent(orders.failed), "p90_ms": orders.p90.as_millis() },
        "payments": {
            "mode": if shop.later.load(Ordering::Relaxed) { "later" } else { "now" },
            "last_5s": payments.asked, "failed": percent(payments.failed), "p90_ms": payments.p90.as_millis(),
        },
        "volume": { "used": percent(shop.used() as f64 / shop.args.volume as f64) },
        "job": if shop.has(REPORT) { "report" } else { "none" },
    })
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

async fn status(State(shop): Shared) -> Response {
    Json(standing(&shop)).into_response()
}

async fn log(State(shop): Shared) -> String {
    let lines: Vec<String> = shop.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    if lines.is_empty() { "nothing was logged\n".to_owned() } else { lines.join("\n") + "\n" }
}

async fn health() -> Response {
    // As many are: it says that the process answers, and nothing of whether an order would be taken.
    Json(json!({ "serves": true })).into_response()
}

/// Whether orders are paid for at once or later.
async fn pay_when(State(shop): Shared, Path(when): Path<String>) -> Response {
    match when.as_str() {
        "now" | "later" => {
            shop.later.store(when == "later", Ordering::Relaxed);
            shop.say(&format!("payments: {when}, as the operator wants"));
            Json(standing(&shop)).into_response()
        }
        _ => (StatusCode::NOT_FOUND, Json(json!({ "why": "payments are `now` or `later`" }))).into_response(),
    }
}

async fn remove_export(State(shop): Shared) -> Response {
    shop.remove(EXPORT)
}

async fn end_report(State(shop): Shared) -> Response {
    shop.remove(REPORT)
}

async fn name_itself(State(shop): Shared, mut response: Response) -> Response {
    if let Ok(name) = HeaderValue::from_str(&shop.args.name) {
        response.headers_mut().insert("x-node", name);
    }
    response
}

/// Runs an instance until it is told to stop.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    std::fs::create_dir_all(&args.data).map_err(DemoError::file(&args.data))?;
    let (listener, data) = (listen(args.listen).await?, args.data.clone());
    let (orders, payments) = (Meter::default(), Meter::default());
    let shop = Arc::new(Shop { args, orders, payments, later: false.into(), log: Mutex::default() });
    let router = Router::new()
        .route("/orders", post(order))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/log", get(log))
        .route("/health", get(health))
        .route("/admin/payments/{when}", post(pay_when))
        .route("/admin/export", delete(remove_export))
        .route("/admin/jobs/report", delete(end_report))
        .layer(map_response_with_state(shop.clone(), name_itself))
        .with_state(shop.clone());
    tokio::select! {
        served = serve(listener, router, Some(&data)) => served,
        never = shop.work() => match never {},
    }
}

/// The service that authorizes payments.
pub(super) mod payments {
    use super::*;

    /// Its arguments.
    #[derive(Debug, Clone, clap::Args)]
    pub struct Args {
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddr,
        /// It ends when this directory is removed.
        #[arg(long)]
        lives_by: Option<PathBuf>,
    }

    async fn authorize(State(meter): State<Arc<Meter>>) -> Response {
        meter.begin().answered(true);
        Json(json!({ "authorized": true })).into_response()
    }

    async fn metrics(State(meter): State<Arc<Meter>>) -> Page {
        Page::default().recent("payments", meter.recent())
    }

    async fn status(State(meter): State<Arc<Meter>>) -> Response {
        let recent = meter.recent();
        Json(json!({ "authorized_last_5s": recent.asked, "failed": percent(recent.failed), "p90_ms": recent.p90.as_millis() }))
            .into_response()
    }

    /// Runs it until it is told to stop.
    pub async fn run(args: Args) -> Result<(), DemoError> {
        let listener = listen(args.listen).await?;
        let routes = Router::new().route("/authorize", post(authorize)).route("/metrics", get(metrics)).route("/status", get(status));
        serve(listener, routes.with_state(Arc::new(Meter::default())), args.lives_by.as_deref()).await
    }
}
