//! The demonstration is a real replicated system: these tests start its processes, kill and stop them, and compare what clients were told with
//! what is there afterwards and with the truth logs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests, which the lint's exemption does not reach")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use firedrill::sys::clock::mono_ns;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

/// The tests measure time on two cores: one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a test outside any runtime")]
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn until(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = mono_ns() + seconds * SECOND;
    while !holds() {
        assert!(mono_ns() < end, "not within {seconds} s: {what}");
        pause(10);
    }
}

/// A port below the ephemeral ones, so that no outgoing connection takes it while a process is being restarted.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 20_000 + u16::try_from(std::process::id() % 97).unwrap() * 100;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the processes under test")]
fn demo(args: &[String]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("firedrill")).arg("__demo").args(args).stderr(Stdio::piped()).spawn().unwrap()
}

struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

struct Answer {
    status: u16,
    node: Option<String>,
    body: Value,
}

fn http(method: &str, to: SocketAddr, path: &str, limit: Duration) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_nodelay(true)?;
    let body = if method == "POST" { r#"{"sku":1}"# } else { "" };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let bad = || std::io::Error::other(text.clone());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    let node = head.lines().find_map(|line| line.strip_prefix("x-node: ")).map(str::to_owned);
    Ok(Answer { status, node, body: serde_json::from_str(body).unwrap_or(Value::Null) })
}

fn get(to: SocketAddr, path: &str) -> Option<Answer> {
    http("GET", to, path, Duration::from_secs(2)).ok()
}

struct Pair {
    directory: tempfile::TempDir,
    replication: &'static str,
    addresses: [SocketAddr; 3],
    nodes: [Option<Process>; 2],
    balancer: Option<Process>,
}

const NAMES: [&str; 2] = ["a", "b"];

impl Pair {
    fn start(replication: &'static str) -> Pair {
        let addresses = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], port())));
        let directory = tempfile::tempdir().unwrap();
        let mut pair = Pair { directory, replication, addresses, nodes: [None, None], balancer: None };
        pair.start_node(0);
        pair.start_node(1);
        let [balancer, a, b] = pair.addresses;
        let truth = pair.truth_path("balancer");
        let args = format!(
            "balancer --listen {balancer} --node a={a} --node b={b} --check-every 100ms --fall 2 --rise 2 --canary-every 2ms --truth {}",
            truth.display()
        );
        pair.balancer = Some(Process(demo(&args.split(' ').map(str::to_owned).collect::<Vec<_>>())));
        until("the pair is in sync", 10, || pair.in_sync(0) && pair.in_sync(1));
        until("the balancer forwards", 10, || get(balancer, "/health").is_some_and(|answer| answer.status == 200));
        pair
    }

    fn truth_path(&self, who: &str) -> PathBuf {
        self.directory.path().join(format!("truth-{who}.jsonl"))
    }

    fn start_node(&mut self, node: usize) {
        let [_, a, b] = self.addresses;
        let (listen, peer) = [(a, b), (b, a)][node];
        let name = NAMES[node];
        let (data, truth) = (self.directory.path().join(name), self.truth_path(name));
        let (data, truth) = (data.display(), truth.display());
        let replication = self.replication;
        let first = if node == 0 { " --first" } else { "" };
        let args = format!(
            "node --name {name} --listen {listen} --peer {peer} --data {data} --replication {replication} --lease 300ms --truth {truth}{first}"
        );
        self.nodes[node] = Some(Process(demo(&args.split(' ').map(str::to_owned).collect::<Vec<_>>())));
    }

    fn node(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().unwrap()
    }

    fn status(&self, node: usize) -> Option<Value> {
        get(self.addresses[1 + node], "/status").map(|answer| answer.body)
    }

    fn in_sync(&self, node: usize) -> bool {
        self.status(node).is_some_and(|status| status["in_sync"] == true)
    }

    fn leads(&self, node: usize) -> bool {
        get(self.addresses[1 + node], "/health").is_some_and(|answer| answer.status == 200)
    }

    fn primary(&self) -> usize {
        (0..2).find(|node| self.leads(*node)).expect("somebody leads")
    }

    fn keys(&self, node: usize) -> BTreeSet<String> {
        let answer = get(self.addresses[1 + node], "/ledger").unwrap();
        let ids: Vec<String> = serde_json::from_value(answer.body["ids"].clone()).unwrap();
        let keys: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(keys.len(), ids.len(), "each key once");
        keys
    }

    /// Kills the primary; returns its number once the other leads.
    fn fail_over(&mut self) -> usize {
        let old = self.primary();
        self.node(old).kill();
        until("the other takes over", 5, || self.leads(1 - old));
        old
    }

    fn rejoin(&mut self, node: usize) {
        self.start_node(node);
        until("the pair is in sync again", 10, || self.in_sync(node) && self.in_sync(1 - node));
    }

    fn truth(&self, who: &str) -> Vec<Value> {
        lines(&self.truth_path(who))
    }

    /// Every key that any node was about to acknowledge.
    fn acknowledged(&self) -> BTreeSet<String> {
        let all = NAMES.iter().flat_map(|name| self.truth(name));
        all.filter(|line| line["ev"] == "acked").map(|line| line["key"].as_str().unwrap().to_owned()).collect()
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Clients that write as fast as they are answered.
struct Writers {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    threads: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Writers {
    fn start(to: SocketAddr, many: usize) -> Writers {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..many).map(|writer| {
            let (stop, written) = (stop.clone(), written.clone());
            std::thread::spawn(move || {
                let mut acknowledged = BTreeSet::new();
                for number in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("w{writer}-{number}");
                    let answer = http("POST", to, &format!("/ledger/{key}"), Duration::from_secs(1));
                    if answer.is_ok_and(|answer| answer.status == 201) {
                        acknowledged.insert(key);
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                    pause(2);
                }
                acknowledged
            })
        });
        let threads = threads.collect();
        Writers { stop, written, threads }
    }

    /// Waits until so many more were acknowledged.
    fn more(&self, count: u64) {
        let goal = self.written.load(Ordering::Relaxed) + count;
        until("writes are acknowledged", 10, || self.written.load(Ordering::Relaxed) >= goal);
    }

    fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

fn missing(acknowledged: &BTreeSet<String>, there: &BTreeSet<String>) -> Vec<String> {
    acknowledged.difference(there).cloned().collect()
}

#[test]
fn the_replica_takes_over_and_the_dead_node_rejoins_with_a_full_copy() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let [balancer, ..] = pair.addresses;
    for key in ["k1", "k2", "k1"] {
        assert_eq!(http("POST", balancer, &format!("/ledger/{key}"), Duration::from_secs(1)).unwrap().status, 201);
    }
    let order = http("POST", balancer, "/orders", Duration::from_secs(1)).unwrap();
    assert_eq!((order.status, order.node.as_deref(), order.body["state"].as_str()), (201, Some("a"), Some("accepted")));
    let refused = http("POST", pair.addresses[2], "/ledger/k9", Duration::from_secs(1)).unwrap();
    assert_eq!((refused.status, refused.node.as_deref()), (503, Some("b")), "a replica takes no writes");

    let started = mono_ns();
    assert_eq!(pair.fail_over(), 0);
    until("customers are served by b", 3, || {
        http("POST", balancer, "/orders", Duration::from_secs(1))
            .is_ok_and(|order| order.status == 201 && order.node.as_deref() == Some("b"))
    });
    assert!(mono_ns() - started < 3 * SECOND);
    http("POST", balancer, "/ledger/k3", Duration::from_secs(1)).unwrap();
    pair.rejoin(0);
    assert_eq!(pair.status(0).unwrap()["role"], "replica", "the one that came back follows");
    let both: BTreeSet<String> = ["k1", "k2", "k3"].map(str::to_owned).into();
    assert_eq!((pair.keys(0), pair.keys(1)), (both.clone(), both));
}

#[test]
fn synchronous_replication_loses_nothing_that_was_acknowledged_over_ten_kills() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let writers = Writers::start(pair.addresses[0], 4);
    for _ in 0..10 {
        writers.more(40);
        let dead = pair.fail_over();
        writers.more(10);
        pair.rejoin(dead);
    }
    let told = writers.stop();
    let truth = pair.acknowledged();
    assert!(told.len() > 500, "{}", told.len());
    assert_eq!(missing(&told, &truth), Vec::<String>::new(), "the truth never knows less than a client");
    let there = pair.keys(pair.primary());
    assert_eq!(missing(&truth, &there), Vec::<String>::new());
    assert_eq!(pair.keys(0), pair.keys(1));
}

#[test]
fn asynchronous_replication_loses_the_acknowledged_tail_and_the_truth_logs_name_it() {
    let _alone = alone();
    let mut pair = Pair::start("async");
    let writers = Writers::start(pair.addresses[0], 4);
    let mut lost_once = false;
    for _ in 0..3 {
        writers.more(60);
        let dead = pair.fail_over();
        writers.more(10);
        pair.rejoin(dead);
        let there = pair.keys(pair.primary());
        lost_once |= !missing(&pair.acknowledged(), &there).is_empty();
    }
    let told = writers.stop();
    let there = pair.keys(pair.primary());
    let truly_lost: BTreeSet<String> = missing(&pair.acknowledged(), &there).into_iter().collect();
    let seen_lost: BTreeSet<String> = missing(&told, &there).into_iter().collect();
    assert!(lost_once && !truly_lost.is_empty());
    assert!(seen_lost.is_subset(&truly_lost), "{:?}", seen_lost.difference(&truly_lost));
    // An answer can be under way when its sender dies, at most one of each of four clients and each of three kills.
    assert!(truly_lost.len() - seen_lost.len() <= 12, "{truly_lost:?} {seen_lost:?}");
    assert!(!there.is_empty());
}

#[test]
fn a_paused_primary_acknowledges_nothing_that_is_lost() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let writers = Writers::start(pair.addresses[0], 4);
    // Straight to the node, as a client would that does not know about the balancer's change of mind.
    let stubborn = Writers::start(pair.addresses[1], 2);
    writers.more(40);
    let old = pair.primary();
    pair.node(old).signal(Signal::STOP);
    pause(1_000);
    pair.node(old).signal(Signal::CONT);
    until("both are in sync again", 10, || pair.in_sync(0) && pair.in_sync(1));
    assert_eq!(pair.primary(), 1 - old, "the other has taken over");
    writers.more(20);
    let told = writers.stop();
    stubborn.stop();
    let truth = pair.acknowledged();
    assert_eq!(missing(&told, &truth), Vec::<String>::new());
    assert_eq!(missing(&truth, &pair.keys(0)), Vec::<String>::new());
    assert_eq!(missing(&truth, &pair.keys(1)), Vec::<String>::new());
}

#[test]
fn a_replica_that_was_left_behind_does_not_take_over() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let writers = Writers::start(pair.addresses[0], 2);
    writers.more(20);
    pair.node(1).signal(Signal::STOP);
    until("the primary goes on alone", 5, || pair.status(0).is_some_and(|status| status["alone"] == true));
    writers.more(20);
    // The worst moment: the primary dies as the replica wakes up, with old messages still in its sockets.
    pair.node(1).signal(Signal::CONT);
    pair.node(0).kill();
    pause(1_500);
    assert!(!pair.leads(1), "it would lose what the primary acknowledged alone");
    pair.rejoin(0);
    writers.more(10);
    let told = writers.stop();
    assert_eq!(missing(&told, &pair.keys(pair.primary())), Vec::<String>::new());
}

#[test]
fn the_balancers_truth_agrees_with_clients() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let [balancer, ..] = pair.addresses;
    let stop = Arc::new(AtomicBool::new(false));
    let client = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let mut samples = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let sent = mono_ns();
                let good = http("POST", balancer, "/orders", Duration::from_millis(500)).is_ok_and(|answer| answer.status == 201);
                samples.push((sent, mono_ns(), good));
                pause(5);
            }
            samples
        })
    };
    pause(500);
    pair.fail_over();
    pause(1_500);
    stop.store(true, Ordering::Relaxed);
    let samples = client.join().unwrap();
    let first_bad = samples.iter().position(|sample| !sample.2).unwrap();
    let last_bad = samples.iter().rposition(|sample| !sample.2).unwrap();
    let seen_down = (samples[first_bad - 1].0, samples[first_bad].1);
    let seen_up = (samples[last_bad].0, samples[last_bad + 1].1);

    let truth = pair.truth("balancer");
    let changes: Vec<(&str, u64, u64)> = truth
        .iter()
        .filter_map(|line| {
            let event = line["ev"].as_str().filter(|event| ["up", "down"].contains(event))?;
            Some((event, line["before_mono_ns"].as_u64()?, line["after_mono_ns"].as_u64()?))
        })
        .collect();
    let [("up", ..), ("down", down_before, down_after), ("up", up_before, up_after)] = changes[..] else { panic!("{changes:?}") };
    for (before, after, seen) in [(down_before, down_after, seen_down), (up_before, up_after, seen_up)] {
        assert!(before < after && after - before < SECOND / 10, "tight: {} ns", after - before);
        assert!(before <= seen.1 && after >= seen.0, "truth {before}..{after}, seen {seen:?}");
    }
    let outage = up_after - down_before;
    assert!((SECOND / 10..3 * SECOND).contains(&outage), "{outage} ns");
}

#[test]
fn processes_end_when_asked_and_when_their_files_are_removed() {
    let _alone = alone();
    let mut pair = Pair::start("sync");
    let mut balancer = pair.balancer.take().unwrap();
    for process in [&mut balancer, pair.nodes[1].as_mut().unwrap()] {
        process.signal(Signal::TERM);
        until("it ends", 1, || process.0.try_wait().unwrap().is_some());
        assert!(process.0.try_wait().unwrap().unwrap().success());
    }
    assert_eq!(pair.truth("b").last().unwrap()["ev"], "end");
    std::fs::remove_dir_all(pair.directory.path().join("a")).unwrap();
    let node = pair.node(0);
    until("it ends", 3, || node.0.try_wait().unwrap().is_some());
    assert!(!node.0.try_wait().unwrap().unwrap().success());
}

#[test]
fn a_port_in_use_is_told_with_the_way_out() {
    let _alone = alone();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("a");
    let args = format!("node --name a --listen {address} --peer 127.0.0.1:9 --data {}", data.display());
    let child = demo(&args.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains(&address.to_string()) && text.contains("--var"), "{text}");
}
