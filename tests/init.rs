//! `firedrill init`: from a running service to a verdict, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Place, binary, free_ports};

/// A node of the demonstration that nobody but the test started. Ends with the test.
struct Service {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
}

/// Whether `/health` is answered with 200.
fn answers_well(port: u16) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

impl Service {
    fn start(program: &Path) -> Service {
        let data = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let mut command = Command::new(program);
        command.args(["__demo", "node", "--name=a", "--peer=127.0.0.1:1", "--first"]);
        command.arg(format!("--listen=127.0.0.1:{port}")).arg("--data").arg(data.path().join("node"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        // It listens before it serves: until it has taken the role it answers 503.
        while !answers_well(port) {
            assert!(Instant::now() < end, "the service does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Service { child, port, _data: data }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Running, neither stopped nor dead.
    fn runs(&mut self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        self.child.try_wait().unwrap().is_none() && !stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks what `init` wrote, runs it, and returns the report. A machine that was too busy to watch from decides nothing: then it is repeated.
fn check_and_run(place: &Place, file: &str) -> serde_json::Value {
    let checked = place.run(&["check", file], 20).expect(0);
    assert!(!checked.stderr.contains("warning"), "{}", checked.stderr);
    for _ in 0..3 {
        let done = place.run(&["run", file, "--yes", "--output", "json"], 180);
        if done.code == Some(0) || done.json()["validity"]["tainted_seconds"] == 0 {
            return done.expect(0).json();
        }
    }
    place.run(&["run", file, "--yes", "--output", "json"], 180).expect(0).json()
}

#[test]
fn a_service_of_ones_own_gets_a_verdict() {
    let (place, mut service) = (Place::new(), Service::start(&binary()));
    let (url, port) = (service.url("health"), service.port.to_string());
    let done = place.run(&["init", "--url", &url, "--port", &port, "--for", "3s"], 30).expect(0);
    assert!(done.stderr.contains("30 of 30 answers were good") && done.stderr.contains("wrote scenario.yaml"), "{}", done.stderr);
    assert!(!done.stderr.contains('\x1b'), "{:?}", done.stderr);
    let report = check_and_run(&place, "scenario.yaml");
    assert_eq!(report["run"]["system"], "passed");
    assert_eq!(report["faults"]["hang"]["phase"], "undone");
    assert_eq!(report["claims"]["a-hang-costs-little"]["verdict"], "passed");
    let outage = &report["probes"]["service"]["outages"].as_array().unwrap()[0];
    assert!(!outage.is_null(), "a hang of ten seconds is seen");
    assert!(service.runs(), "the service goes on");
    place.assert_nobody_survives(5);
}

#[test]
fn without_a_process_it_is_a_rehearsal() {
    let (place, mut service) = (Place::new(), Service::start(&binary()));
    place.run(&["init", "--url", &service.url("version"), "--for", "1s", "--out", "first.yaml"], 30).expect(0);
    let text = std::fs::read_to_string(place.path().join("first.yaml")).unwrap();
    assert!(text.contains("rehearse.nothing: {}") && text.contains(&format!("process.pause: {{ port: {} }}", service.port)), "{text}");
    let report = check_and_run(&place, "first.yaml");
    assert_eq!(report["faults"]["rehearse"]["phase"], "undone");
    assert_eq!(report["probes"]["service"]["outages"].as_array().map(Vec::len), Some(0));
    assert!(service.runs());
}

#[test]
fn a_process_is_found_by_its_name() {
    let place = Place::new();
    let program = place.path().join("shop-for-init-test");
    std::fs::copy(binary(), &program).unwrap();
    let service = Service::start(&program);
    let args = ["init", "--url", &service.url("health"), "--pid-of", "shop-for-init-test", "--for", "1s"];
    let done = place.run(&args, 30).expect(0);
    assert!(done.stderr.contains(&format!("pid {}", service.child.id())), "{}", done.stderr);
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    assert!(text.contains("process.pause: { name: \"shop-for-init-test\" }"), "{text}");
    place.run(&["check", "scenario.yaml"], 20).expect(0);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_asked() {
    let place = Place::new();
    let began = Instant::now();
    for (args, code, says) in [
        (vec!["--url", "ftp://127.0.0.1/"], 2, "does not begin with `http://`"),
        (vec!["--url", "nonsense"], 2, "nonsense"),
        (vec!["--url", "http://${host}/"], 2, "holds a variable"),
        (vec!["--url", "http://me:secret@127.0.0.1/"], 2, "credentials"),
        (vec!["--url", "http://127.0.0.1:1/", "--for", "0s"], 2, "no time to watch"),
        (vec!["--url", "http://127.0.0.1:1/", "--port", "0"], 2, "names nothing"),
        (vec!["--url", "http://127.0.0.1:1/", "--pid-of", "no-such-process-here"], 11, "no process called"),
        (vec!["--url", "http://127.0.0.1:1/", "--port", "1"], 11, "listens on port 1"),
        (vec!["--url", "http://127.0.0.1:1/", "--out", "gone/s.yaml"], 2, "is not a directory"),
    ] {
        let args: Vec<&str> = ["init"].into_iter().chain(args).collect();
        let done = place.run(&args, 20);
        assert!(done.stderr.contains(says) && done.stderr.contains("help: "), "{args:?}: {}", done.stderr);
        done.expect(code);
    }
    place.file("scenario.yaml", "mine");
    let done = place.run(&["init", "--url", "http://127.0.0.1:1/"], 20).expect(2);
    assert!(done.stderr.contains("scenario.yaml exists already"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap(), "mine");
    // Watching would have taken half a minute each.
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_service_that_gives_no_good_answer_is_told_and_nothing_is_written() {
    let (place, service) = (Place::new(), Service::start(&binary()));
    let [nobody] = free_ports();
    for (url, says) in [(format!("http://127.0.0.1:{nobody}/"), "refused"), (service.url("no-such-page"), "404")] {
        let began = Instant::now();
        let done = place.run(&["init", "--url", &url], 30).expect(11);
        assert!(done.stderr.contains("gave no good answer") && done.stderr.contains(says), "{}", done.stderr);
        assert!(done.stderr.contains(&format!("GET {url} was tried every 100 ms")), "{}", done.stderr);
        assert!(began.elapsed() < Duration::from_secs(15), "it is plain after a few seconds");
    }
    assert!(!place.path().join("scenario.yaml").exists());
}
