//! The open loop: every probe asks when its question is due, whether or not earlier ones have been answered.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::error::{ProbeError, Why};
use super::kind::Opened;
use super::news::News;
use super::pace::{Due, Pace, offset};
use super::{by_kind, stall};
use crate::base::{At, Span};
use crate::event::{BROKE, Class, Sample, Verdict};
use crate::plan::{Plan, ProbePlan};
use crate::sys::timer::{Timer, wait};
use crate::sys::{Clock, Cx, clock, contention, files};

/// Most threads that probes share.
const THREADS: usize = 4;
/// From start to the first sample.
const LEAD: Span = Span::millis(2);
/// Least time between two batches of one probe, and so the longest that a finished sample waits: a tenth of the shortest window that is looked at, within these bounds.
const BATCH: (Span, Span) = (Span::millis(2), Span::millis(50));
/// About as many samples as one batch of a fast probe holds. Whoever takes a larger one in is busy for longer, on a small machine with the very
/// processor that the next question needs.
const FEW: u64 = 100;
/// Batches that may wait for a listener.
const QUEUE: usize = 1024;
/// Samples of one probe that may wait while the queue is full. Beyond, planning waits too: late samples show as lag, none is lost.
const HELD: usize = 50_000;
/// Most names of one thread that may be in resolution. A silent name server holds each for half a minute; were there fewer places, probes
/// would go on failing after it has come back.
const LOOKUPS: usize = 2048;

/// Answers that one probe takes before the others on its thread have their turn.
const TURN: u32 = 16;
/// So many intervals late, a probe first takes what is there …
const BEHIND: u64 = 4;
/// … up to so many answers.
const READY: u32 = 64;
/// Turns after which the thread looks for what has come from outside.
const TURNS: u32 = 8;

/// Running probes. Dropping it ends them at once.
#[derive(Debug)]
pub struct Prober {
    news: Receiver<News>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Prober {
    /// The next news; none once every probe has stopped and drained.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Plans no more samples. Those in flight end by themselves, within their time-outs.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

struct Job {
    id: String,
    opened: Arc<Opened>,
    pace: Pace,
    timeout: Span,
    in_flight: usize,
}

/// Starts every probe of the plan, on threads of their own. When [`Cx::cancel`] fires, samples in flight become `Cancelled` and the news end.
///
/// # Errors
/// A probe whose spec, secret or trust store cannot be read, or a machine out of threads. Nothing runs then.
pub fn start(plan: &Plan, cx: &Cx) -> Result<Prober, ProbeError> {
    // Before the first sample is due, as it may take its time.
    files::make_room(plan.probes.values().map(|probe| probe.in_flight as u64).sum())?;
    let first = cx.clock.now() + LEAD;
    let mut groups: Vec<Vec<Job>> = (0..plan.probes.len().min(THREADS)).map(|_| Vec::new()).collect();
    for (index, (id, probe)) in plan.probes.iter().enumerate() {
        let opened = open(probe, cx).map_err(|why| ProbeError::Open { probe: id.to_string(), why })?;
        let every = probe.rate.interval();
        let pace = Pace::new(first + offset(index, every), every).together(probe.together.unwrap_or(Span::ZERO));
        let job = Job { id: id.to_string(), opened: Arc::new(opened), pace, timeout: probe.timeout, in_flight: probe.in_flight.max(1) };
        let group = index % groups.len();
        groups[group].push(job);
    }
    let (tell, news) = channel(QUEUE);
    let prober = Prober { news, stop: CancellationToken::new(), kill: cx.cancel.child_token() };
    let batch = Span(plan.shortest_window().0 / 10).clamp(BATCH.0, BATCH.1);
    let alive = Arc::new(());
    let threads = stall::Threads::default();
    let weak = Arc::downgrade(&alive);
    let shared = Arc::new(cx.clone());
    for (index, jobs) in groups.into_iter().enumerate() {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(TURNS)
            .max_blocking_threads(LOOKUPS)
            .build()
            .map_err(ProbeError::Thread)?;
        let line = Line { tell: tell.clone(), stop: prober.stop.clone(), kill: prober.kill.clone(), batch, cx: Arc::clone(&shared) };
        let (alive, threads) = (Arc::clone(&alive), Arc::clone(&threads));
        thread(format!("prober-{index}"), move || {
            threads.lock().unwrap_or_else(PoisonError::into_inner).push(contention::this_thread());
            conduct(runtime, jobs, &line);
            drop(alive);
        })?;
    }
    let clock = cx.clock;
    let shortest = plan.probes.values().map(|probe| probe.rate.interval()).min().unwrap_or(Span::secs(1));
    thread("prober-watch".to_owned(), move || stall::watch(clock, stall::grain(shortest), &threads, &tell, &weak))?;
    Ok(prober)
}

fn thread(name: String, work: impl FnOnce() + Send + 'static) -> Result<(), ProbeError> {
    std::thread::Builder::new().name(name).spawn(work).map(drop).map_err(ProbeError::Thread)
}

fn open(probe: &ProbePlan, cx: &Cx) -> Result<Opened, Why> {
    let kind = by_kind(&probe.kind).ok_or_else(|| Why::Kind(probe.kind.clone()))?;
    kind.open(&probe.spec, &probe.expect, probe.served_by.as_ref(), cx)
}

/// What every probe is connected to.
#[derive(Clone)]
struct Line {
    tell: Sender<News>,
    stop: CancellationToken,
    kill: CancellationToken,
    batch: Span,
    cx: Arc<Cx>,
}

fn conduct(runtime: Runtime, jobs: Vec<Job>, line: &Line) {
    let shortest = jobs.iter().map(|job| job.timeout).min().unwrap_or(Span::secs(1));
    runtime.block_on(async {
        let mut probes = JoinSet::new();
        // A time-out that would be the runtime's next timer interrupts the runtime's own sleep through a file descriptor: two system calls more for
        // each question. Behind one that always comes sooner, time-outs cost nothing.
        let ticks = Span(shortest.0 / 2).max(Span::millis(1));
        let _ahead = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                clock::sleep(ticks).await;
            }
        }));
        for job in jobs {
            probes.spawn(Watch::new(job, line.clone()).run());
        }
        while probes.join_next().await.is_some() {}
    });
    // A name that is still being resolved must not hold anybody up.
    runtime.shutdown_background();
}

/// A question on its way, with its number and what came of it.
type Open = Pin<Box<dyn Future<Output = (u64, Result<Sample, Box<dyn Any + Send>>)> + Send>>;

/// One probe at work. It polls its questions itself, one answer at a time and looking at the clock between any two: however many answers come
/// at once, the next question leaves when it is due.
struct Watch {
    job: Job,
    line: Line,
    asked: FuturesUnordered<Open>,
    /// Questions in flight.
    open: BTreeMap<u64, Due>,
    held: Vec<Sample>,
    held_since: Option<At>,
    told_at: At,
    /// The fields of the first answer, where a matcher compares with it.
    first: Arc<OnceLock<Value>>,
    deaf: bool,
}

impl Watch {
    fn new(job: Job, line: Line) -> Watch {
        let batch = line.batch.min(job.pace.every().times(FEW)).max(BATCH.0);
        let line = Line { batch, ..line };
        Watch {
            job,
            line,
            asked: FuturesUnordered::new(),
            open: BTreeMap::new(),
            held: Vec::new(),
            held_since: None,
            told_at: At(0),
            first: Arc::default(),
            deaf: false,
        }
    }

    async fn run(mut self) {
        let clock = self.line.cx.clock;
        let (stop, kill) = (self.line.stop.clone(), self.line.kill.clone());
        let (mut stopped, mut killed) = (pin!(stop.cancelled()), pin!(kill.cancelled()));
        // Without a file descriptor for the precise timer the runtime's own must do; its lag is measured like any other.
        let mut timer = Timer::new().ok();
        let mut answers = 0_u32;
        while !self.deaf {
            let due = self.job.pace.leaves();
            let now = clock.now();
            if now >= due {
                if now.since(due) > self.job.pace.every().times(BEHIND) {
                    self.take_ready();
                }
                self.plan_due().await;
            }
            if self.flush_due().is_some_and(|flush| now >= flush) {
                self.tell();
            }
            // One timer for both: a second one would be set and taken back with each answer.
            let wake = self.flush_due().map_or(self.job.pace.leaves(), |flush| flush.min(self.job.pace.leaves()));
            tokio::select! {
                biased;
                () = &mut killed => break,
                () = &mut stopped => break,
                Some(ended) = self.asked.next(), if !self.asked.is_empty() => {
                    self.took(ended);
                    answers += 1;
                    if answers.is_multiple_of(TURN) {
                        tokio::task::yield_now().await;
                    }
                }
                () = wait(&mut timer, clock, wake) => {}
            }
        }
        self.drain(clock, &kill).await;
    }

    /// Takes answers that are there already. Who is behind and only sends finds no connection idle, makes a new one for each question, and falls
    /// behind further.
    fn take_ready(&mut self) {
        for _ in 0..READY {
            match self.asked.next().now_or_never() {
                Some(Some(ended)) => self.took(ended),
                Some(None) | None => break,
            }
        }
    }

    /// Sends every sample that is due: each keeps its own due time, however late the wake-up was.
    async fn plan_due(&mut self) {
        let woken = self.line.cx.clock.now();
        for n in self.job.pace.take(woken) {
            let planned = self.job.pace.due(n);
            let due = Due { n, planned, woken };
            if self.asked.len() >= self.job.in_flight {
                self.hold(due.ended(woken, Verdict::Capped, Class::Capped, &format!("{} in flight", self.job.in_flight)));
            } else {
                let (first, cx) = (Arc::clone(&self.first), Arc::clone(&self.line.cx));
                let question = Arc::clone(&self.job.opened).question(due, self.job.timeout, first, cx);
                self.open.insert(n, due);
                self.ask(n, question).await;
            }
            if self.held.len() >= HELD {
                self.tell_or_wait().await;
            }
        }
    }

    /// Sets a question on its way at once: it must not wait behind answers for its first step.
    async fn ask(&mut self, n: u64, question: impl Future<Output = Sample> + Send + 'static) {
        let guarded = AssertUnwindSafe(question).catch_unwind().map(move |ended| (n, ended));
        // Were the steps of one turn counted, a question could be put off as well.
        let mut open: Open = Box::pin(tokio::task::unconstrained(guarded));
        match poll_fn(|cx| Poll::Ready(open.as_mut().poll(cx))).await {
            Poll::Ready(ended) => self.took(ended),
            Poll::Pending => self.asked.push(open),
        }
    }

    fn took(&mut self, (n, ended): (u64, Result<Sample, Box<dyn Any + Send>>)) {
        let due = self.open.remove(&n);
        match (ended, due) {
            (Ok(sample), _) => self.hold(sample),
            (Err(_), Some(due)) => self.lost(due, Class::Local, BROKE),
            (Err(_), None) => {}
        }
    }

    fn lost(&mut self, due: Due, class: Class, why: &str) {
        self.hold(due.ended(self.line.cx.clock.now(), Verdict::Local, class, why));
    }

    fn hold(&mut self, sample: Sample) {
        self.held.push(sample);
        self.held_since.get_or_insert(self.line.cx.clock.now());
    }

    /// When what is held is told: at once, unless a batch was told just now.
    fn flush_due(&self) -> Option<At> {
        self.held_since.map(|since| since.max(self.told_at + self.line.batch))
    }

    fn batch(&mut self) -> News {
        self.held_since = None;
        self.told_at = self.line.cx.clock.now();
        let mut rows = std::mem::take(&mut self.held);
        rows.sort_by_key(|sample| sample.n);
        News::Samples { probe: self.job.id.clone(), rows }
    }

    /// Tells what is held without waiting; what finds no room is held on.
    fn tell(&mut self) {
        if self.held.is_empty() {
            self.held_since = None;
            return;
        }
        match self.line.tell.clone().try_reserve() {
            Ok(room) => room.send(self.batch()),
            Err(tokio::sync::mpsc::error::TrySendError::Full(())) => self.told_at = self.line.cx.clock.now(),
            Err(tokio::sync::mpsc::error::TrySendError::Closed(())) => self.deaf = true,
        }
    }

    async fn tell_or_wait(&mut self) {
        if !self.held.is_empty() {
            let batch = self.batch();
            let told = tokio::select! {
                told = self.line.tell.send(batch) => told.is_ok(),
                () = self.line.kill.cancelled() => false,
            };
            self.deaf |= !told;
        }
    }

    /// Lets samples in flight end, or ends them; then tells the rest.
    async fn drain(mut self, clock: Clock, kill: &CancellationToken) {
        while !self.asked.is_empty() {
            let flush = self.flush_due();
            tokio::select! {
                biased;
                () = kill.cancelled() => break,
                Some(ended) = self.asked.next() => self.took(ended),
                () = wait_if(clock, flush) => self.tell(),
            }
        }
        self.asked.clear();
        for due in std::mem::take(&mut self.open).into_values() {
            self.lost(due, Class::Cancelled, "cancelled at shutdown");
        }
        if !self.held.is_empty() {
            let batch = self.batch();
            // Nobody may listen any longer: then there is nobody to tell.
            let _ = tokio::time::timeout(Span::secs(5).std(), self.line.tell.send(batch)).await;
        }
    }
}

async fn wait_if(clock: Clock, at: Option<At>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{cx, listen, plan, probe, reply, request, serve};
    use crate::sys::clock::sleep;
    use serde_json::json;
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::AsyncWriteExt;

    /// Everything that is told until the news end, by probe.
    async fn all(mut prober: Prober) -> HashMap<String, Vec<Sample>> {
        let mut samples: HashMap<String, Vec<Sample>> = HashMap::new();
        let told = async {
            while let Some(news) = prober.next().await {
                if let News::Samples { probe, rows } = news {
                    assert!(!rows.is_empty() && rows.is_sorted_by_key(|sample| sample.n));
                    samples.entry(probe).or_default().extend(rows);
                }
            }
        };
        tokio::time::timeout(Span::secs(5).std(), told).await.expect("the news end");
        samples
    }

    fn complete(rows: &mut [Sample], every: Span) {
        rows.sort_by_key(|sample| sample.n);
        let first = rows[0].planned;
        for (n, sample) in rows.iter().enumerate() {
            assert_eq!(sample.n, n as u64, "no number is missing or told twice");
            assert_eq!(sample.planned, first + every.times(sample.n), "due by arithmetic");
            assert!(sample.planned <= sample.woken && sample.woken <= sample.sent && sample.sent <= sample.done, "{sample:?}");
            assert_eq!(sample.response(), sample.lag() + sample.sent.since(sample.woken) + sample.service());
        }
    }

    #[tokio::test]
    async fn a_frozen_server_shows_in_every_sample_it_delayed() {
        let frozen = Arc::new(AtomicBool::new(false));
        let (listener, url) = listen().await;
        let freeze = Arc::clone(&frozen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let freeze = Arc::clone(&freeze);
                tokio::spawn(async move {
                    while request(&mut stream).await.is_some() {
                        while freeze.load(Ordering::Relaxed) {
                            sleep(Span::millis(2)).await;
                        }
                        let _ = stream.write_all(&reply("200 OK", "", "ok")).await;
                    }
                });
            }
        });
        let cx = cx();
        let spec = json!({"url": url, "connection": "keep-alive"});
        let prober = start(&plan([("checkout", probe("http", spec, 100.0, Span::secs(2)))]), &cx).unwrap();
        sleep(Span::millis(300)).await;
        frozen.store(true, Ordering::Relaxed);
        let from = cx.clock.now();
        sleep(Span::millis(500)).await;
        frozen.store(false, Ordering::Relaxed);
        let to = cx.clock.now();
        sleep(Span::millis(200)).await;
        prober.stop();
        let rows = &mut all(prober).await.remove("checkout").unwrap();
        complete(rows, Span::millis(10));
        assert!(rows.len() >= 95, "{} samples in a second at 100/s", rows.len());
        assert!(rows.iter().all(|sample| sample.verdict == Verdict::Ok), "{rows:?}");
        // A closed loop would have asked once while the server was frozen. Here each question that was due then waited for the rest of it.
        let delayed: Vec<_> = rows.iter().filter(|sample| sample.planned > from && sample.planned + Span::millis(20) < to).collect();
        assert!(delayed.len() >= 45, "{}", delayed.len());
        for sample in delayed {
            assert!(sample.response() >= to.since(sample.planned), "{sample:?}");
        }
    }

    #[tokio::test]
    async fn what_is_over_the_cap_is_told_as_capped() {
        let (listener, url) = listen().await;
        let mut slow = probe("http", json!({"url": url}), 100.0, Span::millis(300));
        slow.in_flight = 3;
        let prober = start(&plan([("slow", slow)]), &cx()).unwrap();
        sleep(Span::millis(250)).await;
        prober.stop();
        let rows = &mut all(prober).await.remove("slow").unwrap();
        complete(rows, Span::millis(10));
        assert!(rows[..3].iter().all(|sample| (sample.verdict, sample.class) == (Verdict::Bad, Class::Timeout)), "{:?}", &rows[..3]);
        let capped = rows.iter().filter(|sample| (sample.verdict, sample.class) == (Verdict::Capped, Class::Capped)).count();
        assert!(capped >= rows.len() - 6 && rows.len() >= 15, "{capped} of {}", rows.len());
        drop(listener);
    }

    #[tokio::test]
    async fn stopping_drains_and_cancelling_ends_at_once() {
        for cancel in [false, true] {
            let (listener, url) = listen().await;
            let cx = cx();
            let prober = start(&plan([("hang", probe("http", json!({"url": url}), 50.0, Span::millis(400)))]), &cx).unwrap();
            sleep(Span::millis(200)).await;
            let stopped = cx.clock.now();
            if cancel {
                cx.cancel.cancel()
            } else {
                prober.stop()
            }
            let rows = &mut all(prober).await.remove("hang").unwrap();
            let took = cx.clock.now().since(stopped);
            complete(rows, Span::millis(20));
            assert!(rows.iter().all(|sample| sample.planned <= stopped + Span::millis(20)));
            let expected = if cancel { (Verdict::Local, Class::Cancelled) } else { (Verdict::Bad, Class::Timeout) };
            assert!(rows.iter().all(|sample| (sample.verdict, sample.class) == expected), "{rows:?}");
            assert_eq!(cancel, took < Span::millis(200), "{took}");
            drop(listener);
        }
    }

    #[tokio::test]
    async fn a_slow_probe_does_not_hold_up_another() {
        let (listener, hanging) = listen().await;
        let good = serve(|_| reply("200 OK", "x-node: a\r\n", "ok")).await;
        let mut quick = probe("http", json!({"url": good}), 100.0, Span::millis(500));
        quick.served_by = Some(crate::plan::ServedBy::Header("x-node".into()));
        let probes = [
            ("a", probe("http", json!({"url": hanging}), 100.0, Span::millis(500))),
            ("b", probe("tcp", json!({"address": "127.0.0.1:1"}), 50.0, Span::millis(500))),
            ("c", probe("http", json!({"url": hanging}), 100.0, Span::millis(500))),
            ("d", probe("http", json!({"url": hanging}), 100.0, Span::millis(500))),
            ("quick", quick),
        ];
        let prober = start(&plan(probes), &cx()).unwrap();
        sleep(Span::millis(400)).await;
        prober.stop();
        let mut samples = all(prober).await;
        assert_eq!(samples.len(), 5);
        let quick = samples.get_mut("quick").unwrap();
        complete(quick, Span::millis(10));
        assert!(quick.len() >= 30, "{}", quick.len());
        assert!(quick.iter().all(|sample| sample.verdict == Verdict::Ok && sample.by.as_deref() == Some("a")), "{quick:?}");
        assert!(samples["b"].iter().all(|sample| sample.class == Class::Refused));
        drop(listener);
    }

    #[tokio::test]
    async fn nobody_listening_ends_the_probes() {
        let (listener, url) = listen().await;
        let prober = start(&plan([("x", probe("http", json!({"url": url}), 100.0, Span::secs(30)))]), &cx()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = request(&mut stream).await;
        drop(prober);
        let gone = async { while request(&mut stream).await.is_some() {} };
        tokio::time::timeout(Span::secs(1).std(), gone).await.expect("the connection closes with the prober");
    }

    #[test]
    fn a_probe_that_cannot_start_is_named() {
        let error = |spec| start(&plan([("checkout", probe("http", spec, 1.0, Span::secs(1)))]), &cx()).unwrap_err().to_string();
        let secret = error(json!({"url": "http://h/", "headers": {"authorization": "${secret:gone}"}}));
        assert_eq!(secret, "open probe checkout: cannot read secret `gone`: the environment has no NO_SUCH");
        assert!(error(json!({"url": "nonsense ${secret:path}"})).starts_with("open probe checkout: "));
        assert!(error(json!({"uri": "http://h/"})).contains("unknown field"));
        let nothing = start(&plan([("x", probe("pigeon", json!({}), 1.0, Span::secs(1)))]), &cx()).unwrap_err();
        assert!(nothing.to_string().contains("`pigeon`"));
    }

    #[tokio::test]
    async fn change_is_against_the_first_answer_of_the_run() {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let url = serve(move |_| {
            let body = if count.fetch_add(1, Ordering::SeqCst) < 5 { "old" } else { "new" };
            reply("200 OK", "", body)
        })
        .await;
        let mut same = probe("http", json!({"url": url}), 50.0, Span::millis(500));
        same.expect = crate::probe::testing::expect(json!({"body": {"changed": false}}));
        let prober = start(&plan([("same", same)]), &cx()).unwrap();
        sleep(Span::millis(300)).await;
        prober.stop();
        let rows = &mut all(prober).await.remove("same").unwrap();
        rows.sort_by_key(|sample| sample.n);
        assert!(rows[0].verdict == Verdict::Ok && rows.last().unwrap().class == Class::Assertion, "{rows:?}");
    }
}
