//! Who is told: a real receiver on a real socket, and drills that end well, are aborted, get stuck, or lose their runner.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drill::{Place, case, free_ports, side_by_side, signal};
use serde_json::Value;

const PATIENCE: u64 = 120;

/// Takes notices; refuses the first few.
struct Room {
    port: u16,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    refused: Arc<AtomicUsize>,
}

impl Room {
    fn open(refuse: usize) -> Room {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(AtomicUsize::new(0));
        let (sink, count) = (Arc::clone(&heard), Arc::clone(&refused));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((head, body)) = request(&stream) else { continue };
                let good = count.load(Ordering::SeqCst) >= refuse;
                if good {
                    sink.lock().unwrap().push((head, serde_json::from_str(&body).unwrap()));
                } else {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                let status = if good { "204 No Content" } else { "503 Busy" };
                let _ = (&stream).write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
            }
        });
        Room { port, heard, refused }
    }

    fn events(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(_, body)| body["event"].as_str().unwrap().to_owned()).collect()
    }

    fn of(&self, event: &str) -> Value {
        self.heard.lock().unwrap().iter().find(|(_, body)| body["event"] == event).unwrap().1.clone()
    }

    fn wait_for(&self, event: &str) {
        let end = Instant::now() + Duration::from_secs(PATIENCE);
        while !self.events().iter().any(|heard| heard == event) {
            assert!(Instant::now() < end, "nobody told `{event}`: {:?}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Head and body of one request.
fn request(mut stream: &TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut part).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

/// A drill that holds a mark, tells this port, and undoes by this command.
fn stage(port: u16, on: &str, hold: &str, undo: &str) -> Place {
    let place = Place::new();
    let fault = format!(
        r#"{{ mark: {{ command: {{ run: [touch, "${{run.dir}}/broken"] }}, for: {hold},
      confirm: {{ command: {{ run: [test, -e, "${{run.dir}}/broken"] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 50ms, within: 20s }},
      undo: {{ run: {undo}, done_when: {{ command: {{ run: [test, "!", -e, "${{run.dir}}/broken"] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 50ms, within: 1s }} }} }} }}
secrets: {{ token: {{ env: ROOM_TOKEN }} }}
notify:
  room: {{ webhook: {{ url: "http://127.0.0.1:{port}/hook", headers: {{ authorization: "Bearer ${{secret:token}}" }} }}{on} }}"#
    );
    place.drill_on_a_node("A mark is set", &fault, "{ within: 30s, stable_for: 500ms }");
    place
}

const REMOVE: &str = r#"[rm, -f, "${run.dir}/broken"]"#;

fn start(place: &Place) -> std::process::Child {
    let mut command = place.command(&["run", "scenario.yaml", "--yes"]);
    command.env("ROOM_TOKEN", "open-sesame").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
}

#[test]
fn everybody_hears_what_they_asked_for() {
    let cases = vec![
        case("well", || {
            let room = Room::open(0);
            let place = stage(room.port, "", "300ms", REMOVE);
            drill::wait(start(&place), PATIENCE).expect(0);
            let mut events = room.events();
            assert_eq!(
                (events.len(), events.first().map(String::as_str), events.last().map(String::as_str)),
                (5, Some("started"), Some("finished"))
            );
            // Which is seen first, that it was undone or that it is back, is the drill's own affair.
            events.sort_unstable();
            assert_eq!(events, ["finished", "injected", "recovered", "started", "undone"]);
            let (head, body) = room.heard.lock().unwrap()[1].clone();
            assert!(head.starts_with("POST /hook ") && head.contains("Bearer open-sesame"), "{head}");
            assert_eq!((&body["schema"], &body["fault"]), (&"firedrill.notice/1".into(), &"mark".into()));
            assert_eq!(room.of("finished")["exit_code"], 0);
            let journal = std::fs::read_to_string(place.runs()[0].join("events.jsonl")).unwrap();
            assert!(journal.contains("room was told: undone") && !journal.contains("open-sesame"));
        }),
        case("only what was asked, and at the third try", || {
            let room = Room::open(2);
            let place = stage(room.port, ", on: [finished]", "300ms", REMOVE);
            let done = drill::wait(start(&place), PATIENCE).expect(0);
            assert_eq!(room.events(), ["finished"]);
            assert_eq!(room.refused.load(Ordering::SeqCst), 2);
            assert!(!done.stderr.contains("notify:"), "{}", done.stderr);
        }),
        case("an undo fails", || {
            let room = Room::open(0);
            let place = stage(room.port, ", on: [stuck, finished]", "300ms", "[\"false\"]");
            drill::wait(start(&place), PATIENCE).expect(50);
            assert_eq!(room.events(), ["stuck", "finished"]);
            let stuck = room.of("stuck");
            let by_hand = stuck["by_hand"].as_str().unwrap();
            assert!(by_hand.ends_with("&& false") && stuck["text"].as_str().unwrap().contains("UNDO FAILED"), "{stuck}");
            assert_eq!(room.of("finished")["exit_code"], 50);
            // The watchdog tries on, and must not cry all the time.
            place.wait_for_event("taken_over", PATIENCE);
            std::fs::remove_file(place.runs()[0].join("broken")).unwrap();
            let end = Instant::now() + Duration::from_secs(PATIENCE);
            while place.journal(&place.runs()[0]).iter().all(|entry| entry["event"]["type"] != "undone" || entry["event"]["id"] != "mark") {
                assert!(Instant::now() < end, "the watchdog does not see it");
                std::thread::sleep(Duration::from_millis(50));
            }
            assert_eq!(room.events(), ["stuck", "finished"]);
        }),
        case("the runner is killed", || {
            let room = Room::open(0);
            let place = stage(room.port, "", "60s", REMOVE);
            let mut child = start(&place);
            place.wait_until_bitten("mark", PATIENCE);
            room.wait_for("injected");
            signal(child.id(), "KILL");
            child.wait().unwrap();
            room.wait_for("finished");
            assert_eq!(room.events(), ["started", "injected", "aborted", "undone", "finished"]);
            assert!(room.of("aborted")["text"].as_str().unwrap().contains("the runner died"));
            assert_eq!(room.of("finished")["exit_code"], 40);
        }),
        case("nobody is there", || {
            let [port] = free_ports();
            let place = stage(port, ", on: [started]", "300ms", REMOVE);
            let done = drill::wait(start(&place), PATIENCE).expect(0);
            assert!(done.stderr.contains("notify: room could not be told: started: failed to get an answer"), "{}", done.stderr);
        }),
        case("a secret is missing", || {
            let room = Room::open(0);
            let place = stage(room.port, ", on: [started]", "300ms", REMOVE);
            let done = place.run(&["run", "scenario.yaml", "--yes"], PATIENCE).expect(0);
            assert!(done.stderr.contains("failed to read secret `token`: the environment has no ROOM_TOKEN"), "{}", done.stderr);
            assert!(room.events().is_empty());
        }),
    ];
    side_by_side(cases);
}

/// Whoever takes a connection and never answers holds up nobody but itself.
#[test]
fn one_that_hangs_delays_neither_drill_nor_undo() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = stage(silent.local_addr().unwrap().port(), ", on: [started, injected, undone]", "300ms", REMOVE);
    let began = Instant::now();
    let done = drill::wait(start(&place), PATIENCE).expect(0);
    let journal = place.journal(&place.runs()[0]);
    let finished = journal.iter().find(|entry| entry["event"]["type"] == "run_finished").unwrap()["at"].as_u64().unwrap();
    // The drill itself was over long before the receiver's patience, three times 5 s, was.
    assert!(Duration::from_nanos(finished) < Duration::from_secs(15), "{finished}");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(done.stderr.contains("notify: "), "{}", done.stderr);
}
