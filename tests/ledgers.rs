//! What a ledger writes into somebody's store is owed like a fault: it is gone at the end, whoever dies, and nothing else of the store is touched.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Place, case, free_ports, has_program, side_by_side, signal};

/// What stood in the store before, in order.
const OTHERS: [&str; 3] = ["order-1", "01jc0000000000000000000000-w1-7", "order-2"];
/// Stands in a file, and nowhere else.
const PASSWORD: &str = "not-for-the-journal";

/// A store that is no part of the drill.
struct Store {
    sort: &'static str,
    place: Place,
    port: u16,
    child: Child,
    /// PostgreSQL's programs, and its data.
    postgres: Option<(PathBuf, PathBuf)>,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some((_, data)) = &self.postgres {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

fn comes(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "{what} within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn quiet(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn postgres_programs() -> Option<PathBuf> {
    let found = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    found.filter(|bin| bin.join("initdb").exists()).max()
}

/// Starts a store with what others keep in it; none where it is not installed.
fn store(sort: &'static str) -> Option<Store> {
    let place = Place::new();
    let [port, other] = free_ports();
    let word = port.to_string();
    let mut postgres = None;
    let child = match sort {
        "http" => quiet(&mut place.command(&["__truth", "serve", &format!("--listen=127.0.0.1:{port}"), "--dir=truth"])),
        "redis" => {
            let program = has_program("redis-server").filter(|_| has_program("redis-cli").is_some());
            let Some(program) = program else {
                println!("SKIPPED {sort}: redis-server or redis-cli is not installed (apt-get install redis-server); nothing was shown");
                return None;
            };
            let args = ["--port", &word, "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD];
            quiet(Command::new(program).args(args).current_dir(place.path()))
        }
        _ => {
            let Some(bin) = postgres_programs() else {
                println!("SKIPPED {sort}: postgresql is not installed (apt-get install postgresql); nothing was shown");
                return None;
            };
            let data = PathBuf::from(format!("/tmp/firedrill-test-ledger-{port}"));
            let script = format!("{}/scenarios/postgres/server.sh", env!("CARGO_MANIFEST_DIR"));
            Command::new("mkdir").args(["-m", "777", data.to_str().unwrap()]).status().unwrap();
            let args = [bin.to_str().unwrap(), "a", &word, &other.to_string(), data.to_str().unwrap(), &other.to_string(), ""];
            let child = quiet(Command::new(script).args(args));
            postgres = Some((bin, data));
            child
        }
    };
    let store = Store { sort, place, port, child, postgres };
    comes("the store answers", 60, || store.list().is_some());
    for key in OTHERS {
        store.add(key);
    }
    assert_eq!(store.list().unwrap(), OTHERS);
    Some(store)
}

impl Store {
    fn redis(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new(has_program("redis-cli")?);
        command.args(["-e", "-p", &self.port.to_string()]).args(words).env("REDISCLI_AUTH", PASSWORD);
        let output = command.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn psql(&self, query: &str) -> Option<String> {
        let (bin, _) = self.postgres.as_ref()?;
        let mut command = Command::new(bin.join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "firedrill", "-d", "postgres", "-Atqc", query]);
        let output = command.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn http(&self, method: &str, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    fn add(&self, key: &str) {
        match self.sort {
            "http" => self.http("POST", &format!("/w/{key}")),
            "redis" => self.redis(&["RPUSH", "orders", key]),
            _ => self.psql(&format!("insert into firedrill_ledger (key) values ('{key}')")),
        }
        .unwrap();
    }

    /// Every key, in order.
    fn list(&self) -> Option<Vec<String>> {
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        match self.sort {
            "http" => {
                let listed: serde_json::Value = serde_json::from_str(&self.http("GET", "/dump")?).ok()?;
                Some(listed["ids"].as_array()?.iter().map(|id| id.as_str().unwrap().to_owned()).collect())
            }
            "redis" => self.redis(&["LRANGE", "orders", "0", "-1"]).map(lines),
            _ => self.psql("select key from firedrill_ledger order by ctid").map(lines),
        }
    }

    fn ledger(&self) -> String {
        let port = self.port;
        match self.sort {
            "http" => format!(
                "ledger.http:
      write: {{ method: POST, url: \"http://127.0.0.1:{port}/w/${{key}}\" }}
      readers: [ {{ url: \"http://127.0.0.1:{port}/dump\", ids: \"$.ids[*]\" }} ]
      clean_up: {{ method: DELETE, url: \"http://127.0.0.1:{port}/w/${{key.prefix}}\", headers: {{ x-token: \"${{secret:password}}\" }} }}"
            ),
            "redis" => {
                let server = format!("{{ address: \"127.0.0.1:{port}\", password: \"${{secret:password}}\" }}");
                format!("ledger.redis: {{ write: {server}, list: orders, readers: [ {{ server: {server} }} ] }}")
            }
            _ => {
                let server =
                    format!("{{ address: \"127.0.0.1:{port}\", user: firedrill, database: postgres, password: \"${{secret:password}}\" }}");
                format!("ledger.postgres: {{ write: {server}, readers: [ {{ server: {server} }} ] }}")
            }
        }
    }

    /// Writes a drill that hurts a process of its own for so long, while the ledger writes here.
    fn drill(&self, hold: &str) {
        self.place.file("password", PASSWORD);
        let text = format!(
            "firedrill: 1
title: What a ledger wrote
environment: test
test: recovery
secrets: {{ password: {{ file: ./password }} }}
system: {{ node: {{ run: [sleep, \"600\"] }} }}
probes:
  orders:
    {}
    rate: 50/s
    timeout: 500ms
  up: {{ tcp: {{ address: \"127.0.0.1:{}\" }}, rate: 20/s, timeout: 500ms }}
steady_state: {{ over: 1s, probes: {{ up: {{ success: {{ min: 50% }} }} }} }}
faults: {{ broken: {{ process.pause: {{ system: node }}, at: 300ms, for: {hold} }} }}
recovery: {{ within: 90s, stable_for: 300ms }}
",
            self.ledger(),
            self.port,
        );
        self.place.file("s.yaml", text);
    }

    /// Starts the drill and lets it write while its fault bites.
    fn writing(&self) -> (PathBuf, Child) {
        self.drill("60s");
        let runner = quiet(&mut self.place.command(&["run", "s.yaml", "--yes"]));
        let run = self.place.wait_until_bitten("broken", 60);
        comes("writes", 20, || self.list().unwrap().len() > OTHERS.len() + 10);
        (run, runner)
    }

    fn events(&self, run: &Path) -> Vec<serde_json::Value> {
        self.place.journal(run).into_iter().map(|mut entry| entry["event"].take()).collect()
    }

    /// Kills the runner, and its watchdog with it.
    fn kill_both(&self, run: &Path, mut runner: Child) {
        // Frozen, it starts no second watchdog for the one that is killed.
        signal(runner.id(), "STOP");
        for event in self.events(run).iter().filter(|event| event["type"] == "watchdog_started") {
            signal(event["pid"].as_u64().unwrap() as u32, "KILL");
        }
        runner.kill().unwrap();
        runner.wait().unwrap();
    }

    fn assert_gone(&self, run: &Path) {
        assert_eq!(self.list().unwrap(), OTHERS, "{}", self.sort);
        // And stays for as long as it was to stay.
        assert_eq!(
            self.redis(&["TTL", "orders"]).filter(|_| self.sort == "redis").map_or("-1".to_owned(), |ttl| ttl.trim().to_owned()),
            "-1"
        );
        let events = self.events(run);
        let of = |word: &str| events.iter().position(|event| event["type"] == word && event["id"] == "ledger/orders");
        let first = events.iter().position(|event| event["type"] == "samples").unwrap();
        assert!(of("armed").unwrap() < first, "armed after the first write");
        assert!(of("undone").unwrap() > first, "{}: not undone", self.sort);
        assert!(!std::fs::read_to_string(run.join("events.jsonl")).unwrap().contains(PASSWORD));
        self.place.assert_nobody_survives(10);
    }
}

fn nobody_dies(sort: &'static str) {
    let Some(store) = store(sort) else { return };
    store.drill("1s");
    let plan = store.place.run(&["plan", "s.yaml"], 60).expect(0);
    assert!(plan.stdout.contains("then removed, owed like a fault"), "{}", plan.stdout);
    let done = store.place.run(&["run", "s.yaml", "--yes", "--output", "json"], 120);
    assert!(matches!(done.code, Some(0 | 31 | 33)), "{:?} {}", done.code, done.stderr);
    assert!(done.stderr.contains("nothing is left of what orders wrote"), "{}", done.stderr);
    let run = store.place.runs().pop().unwrap();
    store.assert_gone(&run);
    let report = done.json();
    let ledger = &report["ledgers"]["orders"];
    assert!(ledger["acknowledged"].as_u64().unwrap() > 20 && ledger["lost"] == 0, "read back before it was removed: {ledger:#}");
    let events = store.events(&run);
    let at = |word: &str, id: &str| events.iter().position(|event| event["type"] == word && (id.is_empty() || event["id"] == id)).unwrap();
    assert!(at("ledgers_read", "") < at("undone", "ledger/orders") && at("undone", "ledger/orders") < at("undone", "system/node"));
}

fn the_runner_dies(sort: &'static str) {
    let Some(store) = store(sort) else { return };
    let (run, mut runner) = store.writing();
    runner.kill().unwrap();
    runner.wait().unwrap();
    comes("the watchdog is done", 60, || store.events(&run).iter().any(|event| event["type"] == "run_finished"));
    store.assert_gone(&run);
}

fn everybody_dies(sort: &'static str) {
    let Some(store) = store(sort) else { return };
    let (run, runner) = store.writing();
    store.kill_both(&run, runner);
    assert!(store.list().unwrap().len() > OTHERS.len(), "nobody was there to remove it");
    store.place.run(&["undo", run.to_str().unwrap()], 120).expect(0);
    store.assert_gone(&run);
}

fn everybody_dies_and_a_person_pastes(sort: &'static str) {
    let Some(store) = store(sort) else { return };
    if sort == "http" && has_program("curl").is_none() {
        return println!("SKIPPED {sort}: curl is not installed; the line by hand was not tried");
    }
    let (run, runner) = store.writing();
    store.kill_both(&run, runner);
    let events = store.events(&run);
    let armed = events.iter().find(|event| event["type"] == "armed" && event["id"] == "ledger/orders").unwrap();
    let line = armed["undo"]["by_hand"].as_str().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = store.postgres.as_ref().map_or(path.clone(), |(bin, _)| format!("{}:{path}", bin.display()));
    let pasted = Command::new("sh").args(["-c", line]).env("PATH", path).current_dir("/").output().unwrap();
    assert!(pasted.status.success(), "{line}: {}", drill::text(&pasted));
    assert_eq!(store.list().unwrap(), OTHERS, "{line}");
    store.place.run(&["undo", run.to_str().unwrap()], 120).expect(0);
    store.assert_gone(&run);
}

/// A store that cannot be reached keeps the run owing, and says so; it is done when the store is back.
fn the_store_is_gone() {
    let Some(mut store) = store("http") else { return };
    let (run, runner) = store.writing();
    store.kill_both(&run, runner);
    signal(store.child.id(), "STOP");
    let done = store.place.run(&["undo", run.to_str().unwrap()], 240).expect(50);
    assert!(done.stderr.contains("ledger/orders could not be undone") && done.stderr.contains("curl -fsS -X DELETE"), "{}", done.stderr);
    signal(store.child.id(), "CONT");
    store.place.run(&["undo", run.to_str().unwrap()], 120).expect(0);
    store.assert_gone(&run);
    assert!(store.child.try_wait().unwrap().is_none());
}

#[test]
fn what_a_ledger_wrote_is_removed_whoever_dies() {
    type Death = (&'static str, fn(&'static str));
    let deaths: [Death; 4] = [
        ("nobody dies", nobody_dies),
        ("the runner dies", the_runner_dies),
        ("everybody dies", everybody_dies),
        ("everybody dies, and a person pastes", everybody_dies_and_a_person_pastes),
    ];
    for sort in ["http", "redis", "postgres"] {
        side_by_side(
            deaths
                .iter()
                .map(|(name, run)| {
                    let run = *run;
                    case(format!("{sort}: {name}"), move || run(sort))
                })
                .collect(),
        );
    }
}

#[test]
fn a_store_that_cannot_be_reached_keeps_the_run_owing() {
    the_store_is_gone();
}
