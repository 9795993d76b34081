//! The server: accepts, answers or does not, and changes its state in one uninterrupted step between two readings of the clock.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::door::{self, Door};
use super::log::{Log, Told};
use super::store::Store;
use super::{State, TruthError, control};
use crate::base::{At, Span};
use crate::sys::timer::Timer;
use crate::sys::{Clock, clock, contention};

/// How often it looks whether it stands still, and from what lateness on it says so.
const LOOK: Span = Span::millis(2);
const STOOD_STILL: Span = Span::millis(5);
/// How often it looks how long it waited for a processor, and from how much on it says so: many short waits make an answer as late as a long one.
const ACCOUNT: Span = Span::millis(50);
const WAITED: Span = Span::millis(5);

/// The server as its tasks share it.
pub(super) struct Server {
    door: Door,
    state: watch::Sender<State>,
    store: RefCell<Store>,
    log: Log,
    replica_lag: usize,
    /// What `/dump` does not show the next time that it shows any.
    late: Cell<usize>,
    answered: Cell<u64>,
    /// Thousandths of requests that are still to be failed, for an even spread.
    owed: Cell<u16>,
    was_down: Cell<bool>,
    pub(super) clock: Clock,
}

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(listen: SocketAddr, dir: &Path, replica_lag: usize, late: usize) -> Result<(), TruthError> {
    let log = Log::open(dir).map_err(TruthError::os(format!("write into {}", dir.display())))?;
    let door = Door::open(listen).map_err(TruthError::os(format!("listen on {listen}")))?;
    let server = Rc::new(Server {
        door,
        state: watch::Sender::new(State::Up),
        store: RefCell::default(),
        log,
        replica_lag,
        late: Cell::new(late),
        answered: Cell::default(),
        owed: Cell::default(),
        was_down: Cell::default(),
        clock: Clock::start(),
    });
    let mut term = signal(SignalKind::terminate()).map_err(TruthError::os("wait for signals"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(TruthError::os("wait for signals"))?;
    let ended = tokio::select! {
        error = accept(&server) => Err(error),
        error = server.look_at_itself() => Err(error),
        error = control::listen(&server, dir) => Err(error),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    };
    let end = Told::End { accepted: server.door.accepted(), answered: server.answered.get() };
    let told = server.log.write(&end);
    ended.and(told).map_err(TruthError::os("go on"))
}

async fn accept(server: &Rc<Server>) -> io::Error {
    let mut changed = server.state.subscribe();
    loop {
        let state = *changed.borrow_and_update();
        let listener = server.door.listener().filter(|_| state != State::Blackhole && state.listens());
        let Some(listener) = listener else {
            if changed.changed().await.is_err() {
                return io::Error::other("nobody changes the state any more");
            }
            continue;
        };
        let stream = tokio::select! {
            biased;
            _ = changed.changed() => continue,
            stream = listener.accept() => stream,
        };
        match stream {
            Ok((stream, _)) if state == State::Reset => door::reset(&stream),
            Ok((stream, _)) => {
                if let Err(error) = enter(server, stream) {
                    return error;
                }
            }
            // Closed under us by a change of state, or nobody is there any more.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn enter(server: &Rc<Server>, stream: TcpStream) -> io::Result<()> {
    // Without it small answers on a kept connection wait for the delayed acknowledgement.
    let _slower = stream.set_nodelay(true);
    let (number, handle) = server.door.entered(&stream)?;
    let inner = Rc::clone(server);
    let task = tokio::task::spawn_local(async move {
        let of_request = Rc::clone(&inner);
        let service = service_fn(move |request| answer(Rc::clone(&of_request), request));
        // How a client goes away is no business of ours.
        let _ = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await;
        inner.door.left(number);
    });
    server.door.serve(number, handle, task.abort_handle());
    Ok(())
}

async fn answer(server: Rc<Server>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut changed = server.state.subscribe();
    loop {
        let state = *changed.borrow_and_update();
        match state {
            State::Up => return Ok(server.done(&request, true)),
            State::Twice => {
                let _first = server.done(&request, true);
                return Ok(server.done(&request, true));
            }
            State::Late => {
                let writes = request.method() == Method::POST;
                let response = server.done(&request, false);
                if !writes {
                    return Ok(response);
                }
                return std::future::pending().await;
            }
            State::Status(code) => return Ok(server.respond(StatusCode::from_u16(code).unwrap_or_default(), "down")),
            State::Ratio(permille) => {
                let owed = server.owed.get() + permille;
                server.owed.set(owed % 1000);
                return Ok(match owed {
                    1000.. => server.respond(StatusCode::SERVICE_UNAVAILABLE, "down"),
                    _ => server.done(&request, true),
                });
            }
            State::Slow(span) => {
                clock::sleep(span).await;
                return Ok(server.done(&request, true));
            }
            State::Stall => {
                if changed.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
            // Never, also not when it is up again; the others end with their connection.
            State::Hang | State::Blackhole | State::Refuse | State::Reset | State::Lose(_) => return std::future::pending().await,
        }
    }
}

impl Server {
    fn respond(&self, status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
        self.answered.set(self.answered.get() + 1);
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        response
    }

    /// `POST /w/KEY` keeps a key, `DELETE /w/PREFIX` removes those that begin with it, `GET /dump` and `GET /replica` list them, everything else is `up`.
    fn done(&self, request: &Request<Incoming>, acknowledged: bool) -> Response<Full<Bytes>> {
        let listed = |behind: usize| json!({ "ids": self.store.borrow().keys(behind) }).to_string();
        match (request.method(), request.uri().path()) {
            (&Method::POST, path) => match path.strip_prefix("/w/") {
                Some(key) => {
                    self.store.borrow_mut().keep(key, acknowledged);
                    self.respond(StatusCode::CREATED, "kept")
                }
                None => self.respond(StatusCode::NOT_FOUND, "no such path"),
            },
            (&Method::DELETE, path) => {
                // What begins with nothing is everything.
                let prefix = path.strip_prefix("/w/").filter(|prefix| !prefix.is_empty());
                prefix.inspect(|prefix| self.store.borrow_mut().remove(prefix));
                self.respond(if prefix.is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }, "")
            }
            (_, "/dump") => {
                let any = !self.store.borrow().keys(0).is_empty();
                let late = if any { self.late.take() } else { 0 };
                self.respond(StatusCode::OK, listed(late))
            }
            (_, "/replica") => self.respond(StatusCode::OK, listed(self.replica_lag)),
            _ => self.respond(StatusCode::OK, "up"),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    pub(super) fn was_down(&self) -> bool {
        self.was_down.get()
    }

    /// Changes the state; what is written down stands between two readings of the clock. Says when it was done.
    pub(super) fn go(&self, next: State) -> io::Result<At> {
        let was = *self.state.borrow();
        let before = clock::mono_ns();
        // Whoever is asked between here and the end is on this thread, and so is not asked.
        self.state.send_replace(next);
        if was == State::Blackhole {
            self.door.unfill()?;
        }
        match next {
            State::Refuse | State::Lose(_) => {
                self.door.close()?;
                self.door.cut();
            }
            State::Reset => self.door.cut(),
            State::Blackhole => self.door.fill()?,
            _ => {}
        }
        if next.listens() && !was.listens() {
            self.door.listen()?;
        }
        let after = clock::mono_ns();
        let told = match next {
            State::Up => Told::Up { before_mono_ns: before, after_mono_ns: after },
            _ => Told::Down { state: next.to_string(), before_mono_ns: before, after_mono_ns: after },
        };
        self.log.write(&told)?;
        if let State::Lose(count) = next {
            let keys = self.store.borrow_mut().lose(count);
            self.log.write(&Told::Lost { keys })?;
        }
        self.was_down.set(true);
        Ok(self.clock.at_of(after))
    }

    /// Down and up so many times, each for its time.
    pub(super) async fn flap(&self, mut from: At, state: State, down: Span, times: u32, up: Span) -> io::Result<()> {
        let mut timer = Timer::new()?;
        for n in 0..times {
            if n > 0 {
                timer.until(self.clock, from + up).await?;
                from = self.go(state)?;
            }
            timer.until(self.clock, from + down).await?;
            if self.is_up() {
                // Somebody has ended it before its time.
                return Ok(());
            }
            from = self.go(State::Up)?;
        }
        Ok(())
    }

    /// Writes down when this process stood still: it cannot vouch for those times.
    async fn look_at_itself(&self) -> io::Error {
        let look = async {
            let mut timer = Timer::new()?;
            let thread = contention::this_thread();
            let (mut since, mut before) = (self.clock.now(), contention::waited(thread));
            loop {
                let due = self.clock.now() + LOOK;
                timer.until(self.clock, due).await?;
                let now = self.clock.now();
                if now.since(due) > STOOD_STILL {
                    let at = |at| self.clock.mono_of(at);
                    self.log.write(&Told::Stall { from_mono_ns: at(due), to_mono_ns: at(now) })?;
                }
                if now.since(since) >= ACCOUNT {
                    let all = contention::waited(thread);
                    let waited = all.zip(before).map_or(Span::ZERO, |(all, before)| Span(all.0.saturating_sub(before.0)));
                    if waited >= WAITED {
                        let at = |at| self.clock.mono_of(at);
                        self.log.write(&Told::Waited { from_mono_ns: at(since), to_mono_ns: at(now), waited_ns: waited.0 })?;
                    }
                    (since, before) = (now, all);
                }
            }
        };
        let Err::<Infallible, io::Error>(error) = look.await;
        error
    }
}
