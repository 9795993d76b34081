//! What a drill hears over HTTP while it runs: senders of alerts, and people by token. One listener, at the address that the scenario names; whoever calls
//! is limited in size, time and number, and shows who they are before anything of what they say is believed. It must never know faults, nor write a
//! journal: what it hears it tells the loop.

mod amazon;
mod limits;
mod marks;
mod receive;
mod refusals;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener as Bound};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use indexmap::IndexMap;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

pub use amazon::{Amazon, TheInternet};
pub use receive::opened;

use crate::base::{Id, Span};
use crate::engine::drive::Command;
use crate::engine::people::Room;
use crate::event::TeamEvent;
use crate::plan::TeamPlan;
use crate::signal::Refusal;
use crate::sys::{Cx, clock};
use limits::{Bucket, Callers};
use receive::Receiver;
use refusals::Refusals;

/// Largest body of a sender of alerts, in bytes.
pub const LARGEST: usize = 256 * 1024;
/// How long the head of a call may take, and how long its body.
const HEAR: Span = Span::secs(5);
/// How long a connection may be kept.
const KEPT: Span = Span::secs(60);
/// Connections at the same time; whoever comes later waits at the door.
const AT_ONCE: usize = 128;
/// Calls a second, and at once, of one address.
const CALLS: (u32, u32) = (200, 400);

/// Everything that is needed to listen.
pub struct Setup {
    /// Who is expected to call.
    pub team: TeamPlan,
    /// The door to the world: where secrets are read, and the clock.
    pub cx: Cx,
    /// To the loop.
    pub ask: mpsc::Sender<Command>,
    /// Who hears people; nobody where nobody takes part.
    pub room: Option<Arc<Room>>,
    /// Where SNS's certificates come from.
    pub amazon: Arc<dyn Amazon>,
}

/// What every call is handled with.
struct Desk {
    team: TeamPlan,
    cx: Cx,
    ask: mpsc::Sender<Command>,
    room: Option<Arc<Room>>,
    amazon: Arc<dyn Amazon>,
    certificates: amazon::Certificates,
    receivers: IndexMap<Id, Receiver>,
    refusals: Refusals,
    callers: Mutex<Callers>,
}

/// Takes the address; nothing is heard before [`serve`].
///
/// # Errors
/// It is not an address, or is not free; for people.
pub fn bind(address: &str) -> Result<Bound, String> {
    let bound = Bound::bind(address).and_then(|bound| bound.set_nonblocking(true).map(|()| bound));
    bound.map_err(|error| format!("listen at {address}: {error}"))
}

/// Hears whoever calls until the task is dropped. Needs a runtime.
pub async fn serve(bound: Bound, setup: Setup) {
    let Ok(listener) = TcpListener::from_std(bound) else { return };
    let receivers = setup.team.receive.iter().map(|(id, plan)| (id.clone(), Receiver::new(id.as_str(), plan))).collect();
    let desk = Arc::new(Desk {
        team: setup.team,
        cx: setup.cx,
        ask: setup.ask,
        room: setup.room,
        amazon: setup.amazon,
        certificates: amazon::Certificates::new(),
        receivers,
        refusals: Refusals::default(),
        callers: Mutex::new(Callers::new(Bucket::new(CALLS.0, CALLS.1))),
    });
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    // Whoever is being heard when the drill ends is hung up on with it.
    let mut heard = tokio::task::JoinSet::new();
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        while heard.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let desk = Arc::clone(&desk);
                heard.spawn(async move {
                    let _seat = seat;
                    let _ = tokio::time::timeout(KEPT.std(), hear(stream, peer, desk)).await;
                });
            }
            // Out of files, most likely.
            Err(_) => clock::sleep(Span::millis(10)).await,
        }
    }
}

/// One connection, with a limit on the time of each head.
async fn hear(stream: TcpStream, peer: SocketAddr, desk: Arc<Desk>) {
    let service = TowerToHyperService::new(router(desk, peer.ip()));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAR.std()).max_headers(64).max_buf_size(16 * 1024);
    // Whoever breaks off is gone.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn router(desk: Arc<Desk>, peer: IpAddr) -> Router {
    let receive = {
        let desk = Arc::clone(&desk);
        move |path: axum::extract::Path<String>, request: Request| async move { receive::call(&desk, peer, &path.0, request).await }
    };
    let mark = |what: marks::What| {
        let desk = Arc::clone(&desk);
        move |request: Request| async move { marks::call(&desk, peer, what, request).await }
    };
    let nowhere = {
        let desk = Arc::clone(&desk);
        move || async move { desk.refuse("listen", peer, Refusal { status: 404, why: "nothing is heard at this path".into() }).await }
    };
    Router::new()
        .route("/v1/signals/{id}", post(receive))
        .route("/v1/mark", post(mark(marks::What::Mark)))
        .route("/v1/answer", post(mark(marks::What::Answer)))
        .route("/v1/note", post(mark(marks::What::Note)))
        .route("/v1/step", post(mark(marks::What::Step)))
        .route("/v1/handoff", post(mark(marks::What::Handoff)))
        .fallback(nowhere)
}

impl Desk {
    /// Whether somebody may call at all now.
    pub fn admit(&self, peer: IpAddr) -> Result<(), Refusal> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = callers.admit(peer, self.cx.clock.now());
        fits.then_some(()).ok_or_else(|| Refusal { status: 429, why: "too many calls from this address: call less often".into() })
    }

    /// Reads a body of at most so many bytes within the time that a call has.
    pub async fn body(&self, headers: &HeaderMap, body: Body, largest: usize, limit: Span) -> Result<Vec<u8>, Refusal> {
        let large = || Refusal { status: 413, why: format!("its body is larger than {largest} bytes") };
        let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|said| said > largest as u64) {
            return Err(large());
        }
        match tokio::time::timeout(limit.std(), to_bytes(body, largest)).await {
            Ok(Ok(bytes)) => Ok(bytes.to_vec()),
            Ok(Err(error)) => {
                let cut = std::error::Error::source(&error).is_some_and(|inner| inner.to_string().contains("limit"));
                Err(if cut { large() } else { Refusal::malformed("its body broke off") })
            }
            Err(_) => Err(Refusal { status: 408, why: format!("its body took longer than {}", limit.human()) }),
        }
    }

    /// Answers that a call is not taken, and has it written down.
    pub async fn refuse(&self, source: &str, peer: IpAddr, refusal: Refusal) -> Response {
        if let Some(event) = self.refusals.one_more(source, &peer.to_string(), &refusal.why) {
            self.tell(event).await;
        }
        answer(refusal.status, &json!({ "error": refusal.why }))
    }

    /// Tells the loop; whether it still listens.
    pub async fn tell(&self, event: TeamEvent) -> bool {
        self.ask.send(Command::Told(Box::new(event))).await.is_ok()
    }
}

/// Headers by lower-case names; what is no text is not there.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

/// An answer as JSON. A connection on which something was refused is closed: what may still come on it is not waited for.
fn answer(status: u16, body: &impl serde::Serialize) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (code, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    if status >= 400 {
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    if status == 429 || status == 503 {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    if status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    response
}
