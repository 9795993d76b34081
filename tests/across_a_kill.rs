//! Clients of a proxy while everybody around it dies: nobody is refused or reset before the fault is undone, and what was open goes on.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drill::{Place, free_ports, signal};
use firedrill::sys::clock;

const PATIENCE: u64 = 120;

/// Answers every byte with itself.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

fn say(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut byte = [7];
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)
}

fn call(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    say(&mut stream)?;
    Ok(stream)
}

#[test]
fn no_client_of_a_proxy_notices_that_the_runner_was_killed() {
    let (upstream, [front]) = (echo(), free_ports());
    let place = Place::new();
    let proxies = format!(
        "{{ slow: {{ proxy.latency: {{ proxy: edge, delay: 20ms }}, for: 60s }} }}
proxies: {{ edge: {{ listen: \"127.0.0.1:{front}\", upstream: \"127.0.0.1:{upstream}\" }} }}"
    );
    place.drill_on_a_node("A link is slow", &proxies, "{ within: 90s, stable_for: 500ms }");
    let mut runner = place.start(&["run", "scenario.yaml", "--yes"]);
    let run = place.wait_until_bitten("slow", PATIENCE);
    let began = Instant::now();
    let mut open = call(front).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(20), "the fault is there");

    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (until, count) = (Arc::clone(&over), Arc::clone(&calls));
    let clients = std::thread::spawn(move || {
        while !until.load(Ordering::SeqCst) {
            // A call that began before the end may meet a proxy that is stopped by now.
            if let Err(error) = call(front)
                && !until.load(Ordering::SeqCst)
            {
                return Some((clock::mono_ns(), error));
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
        None
    });
    while calls.load(Ordering::SeqCst) < 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(runner.id(), "KILL");
    // A connection that was open before goes on: nothing but the fault knows of the runner.
    say(&mut open).unwrap();
    runner.wait().unwrap();
    // Until the fault is undone the proxy is in the path; it is stopped last.
    let end = Instant::now() + Duration::from_secs(PATIENCE);
    let undone = |id: &str| place.journal(&run).iter().any(|entry| entry["event"]["type"] == "undone" && entry["event"]["id"] == id);
    while !undone("slow") {
        assert!(Instant::now() < end, "the watchdog does not undo it");
        std::thread::sleep(Duration::from_millis(1));
    }
    over.store(true, Ordering::SeqCst);
    let failed = clients.join().unwrap();
    let journal = place.journal(&run);
    let anchor = journal.iter().find(|entry| entry["event"]["type"] == "anchor").unwrap();
    let zero = anchor["event"]["mono_ns"].as_u64().unwrap() - anchor["at"].as_u64().unwrap();
    let stopping = journal.iter().find(|entry| entry["event"]["type"] == "undoing" && entry["event"]["id"] == "proxy/edge");
    if let Some((when, error)) = failed {
        // Only a proxy that is being stopped, after the fault was undone, may refuse anybody.
        let stopped = stopping.map(|entry| entry["at"].as_u64().unwrap() + zero);
        assert!(stopped.is_some_and(|stopped| when >= stopped), "{error} after {} calls", calls.load(Ordering::SeqCst));
    }
    assert!(calls.load(Ordering::SeqCst) >= 20);
    place.assert_nobody_survives(20);
}
