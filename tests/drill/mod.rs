//! Driving the real binary: a directory of its own for each test, bounded waits, and a look at the world afterwards.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may break off anywhere and waits on real processes; every file uses another part"
)]

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("firedrill").to_owned()
}

/// A place to run drills in: own working directory, own registry.
pub struct Place {
    /// The directory.
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command of the binary in this place.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path()).env("FIREDRILL_REGISTRY", self.path().join("registry")).env("NO_COLOR", "1");
        // Where the tests themselves run is of no concern.
        for variable in ["GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI", "TEAMCITY_VERSION", "TF_BUILD"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs to the end, at most so many seconds.
    pub fn run(&self, args: &[&str], seconds: u64) -> Done {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait(child, seconds)
    }

    /// Starts without waiting.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Writes a file here.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The directories of all runs here, oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(self.path().join(".firedrill/runs")).map(|dir| dir.flatten().map(|e| e.path()).collect()).unwrap_or_default();
        found.sort();
        found
    }

    /// Processes that still carry the mark of a run of this place.
    pub fn survivors(&self) -> Vec<String> {
        let runs: Vec<String> = self.runs().iter().map(|run| run.file_name().unwrap().to_string_lossy().into_owned()).collect();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
            let text = String::from_utf8_lossy(&environ);
            let ours = text
                .split('\0')
                .any(|pair| pair.strip_prefix("FIREDRILL_OWNER=").is_some_and(|o| runs.iter().any(|run| o.starts_with(run.as_str()))));
            let dead = std::fs::read_to_string(entry.path().join("stat"))
                .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
            if ours && !dead {
                let name = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " ");
                found.push(format!("{pid} {name}"));
            }
        }
        found
    }

    /// Whether any process of this place is still there, also one that carries no run's mark: all of them know its registry.
    pub fn is_lived_in(&self) -> bool {
        let here = self.path().to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        // The dead that nobody has fetched yet have no environment.
        let mut environs = processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
        environs.any(|environ| String::from_utf8_lossy(&environ).contains(&here))
    }

    /// Waits until nobody carries the mark, at most so many seconds.
    pub fn assert_nobody_survives(&self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = self.survivors();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "still there: {left:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The entries of a run's journal.
    pub fn journal(&self, run: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of the newest run's journal.
    pub fn events(&self) -> Vec<Value> {
        let run = self.runs().pop().map(|run| self.journal(&run)).unwrap_or_default();
        run.into_iter().map(|mut entry| entry["event"].take()).collect()
    }

    /// The first event of this type and item of the newest run; null where there is none.
    pub fn event(&self, kind: &str, id: &str) -> Value {
        self.events().into_iter().find(|event| event["type"] == kind && event["id"] == id).unwrap_or_default()
    }

    /// The pids of the watchdogs of the newest run, in order.
    pub fn watchdogs(&self) -> Vec<u32> {
        let started = self.events().into_iter().filter(|event| event["type"] == "watchdog_started");
        started.filter_map(|event| event["pid"].as_u64().map(|pid| pid as u32)).collect()
    }

    /// Waits until the newest run's journal holds an event of this type, at most so many seconds.
    pub fn wait_for_event(&self, kind: &str, seconds: u64) -> PathBuf {
        self.wait_for_entry(kind, seconds, |event| event["type"] == kind)
    }

    /// Waits until a fault of the newest run bites, at most so many seconds. A `system:` process is seen to run likewise, and long before.
    pub fn wait_until_bitten(&self, id: &str, seconds: u64) -> PathBuf {
        self.wait_for_entry(id, seconds, |event| event["type"] == "effective" && event["id"] == id)
    }

    fn wait_for_entry(&self, what: &str, seconds: u64, is_it: impl Fn(&Value) -> bool) -> PathBuf {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(run) = self.runs().pop()
                && self.journal(&run).iter().any(|entry| is_it(&entry["event"]))
            {
                return run;
            }
            assert!(Instant::now() < end, "no event `{what}` within {seconds} s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes `scenario.yaml`: a drill on a node of the demonstration, with these faults and this recovery.
    pub fn drill_on_a_node(&self, title: &str, faults: &str, recovery: &str) {
        let [port] = free_ports();
        let text = format!(
            r#"firedrill: 1
title: {title}
system:
  node:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:{port}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 1s, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
faults: {faults}
recovery: {recovery}
"#
        );
        self.file("scenario.yaml", text);
    }
}

/// A process that firedrill did not start; its pid stands in `stranger.pid`.
pub struct Stranger(pub Child);

impl Stranger {
    pub fn start(place: &Place) -> Stranger {
        let child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        place.file("stranger.pid", child.id().to_string());
        Stranger(child)
    }

    pub fn is_stopped(&self) -> bool {
        state(self.0.id()) == Some('T')
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state letter of a process; none when it is gone or a zombie.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next().filter(|state| *state != 'Z')
}

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The JSON report on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is no JSON ({error}):\n{}\n{}", self.stdout, self.stderr))
    }

    pub fn expect(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a drill until it says something, at most four times: on a machine that others use as well it may end as not steady, not told apart, or no
/// valid evidence, which is right and proves nothing either way.
pub fn until_it_says_something<T>(mut run: impl FnMut() -> Option<(T, Done)>) -> Option<(T, Done)> {
    for attempt in 1.. {
        let (what, done) = run()?;
        if attempt == 4 || !matches!(done.code, Some(20 | 31 | 33)) {
            return Some((what, done));
        }
        println!("again: the machine was too busy (exit {:?})", done.code);
    }
    unreachable!("the fourth attempt counts")
}

/// Waits for a child, at most so many seconds; its pipes are read meanwhile.
pub fn wait(mut child: Child, seconds: u64) -> Done {
    fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let end = Instant::now() + Duration::from_secs(seconds);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("not done within {seconds} s\n{}\n{}", out.join().unwrap(), err.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Done { code: status.code(), stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

/// The same to a process that may be gone already.
pub fn send(pid: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Whether a process runs.
pub fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Kills a runner and its watchdogs, so that only a person is left.
pub fn kill_everybody(runner: &mut Child, place: &Place) {
    // Frozen, it starts no second watchdog for the one that is killed.
    send(runner.id(), "STOP");
    place.watchdogs().into_iter().for_each(|pid| send(pid, "KILL"));
    send(runner.id(), "KILL");
    runner.wait().unwrap();
}

/// Whether something comes true within that time.
pub fn comes(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        // Often: some wait for a line of a journal, and kill at that line.
        std::thread::sleep(Duration::from_millis(3));
    }
    true
}

/// A service that takes every connection, for as long as the tests run: its port.
pub fn service() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// Cases that mostly wait, side by side: each in its own place.
pub fn side_by_side(cases: Vec<Case>) {
    let threads: Vec<_> =
        cases.into_iter().map(|(name, case)| (name.clone(), std::thread::Builder::new().name(name).spawn(case).unwrap())).collect();
    let failed: Vec<String> = threads.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

/// A case of [`side_by_side`]: its name and what it does.
pub type Case = (String, Box<dyn FnOnce() + Send>);

/// Makes a case of [`side_by_side`].
pub fn case(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Case {
    (name.into(), Box::new(run))
}

/// The account that the test runs as, as this machine calls it.
pub fn account() -> String {
    let uid = std::fs::metadata("/proc/self").unwrap().uid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let name = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str())).and_then(|line| line.split(':').next());
    name.map_or(uid.clone(), str::to_owned)
}

/// So many ports that were free a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    firedrill::sys::ports::free().unwrap()
}

/// Whether a program can be found.
pub fn has_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// Output of a finished command as text.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Lets only so many do something at one time.
pub struct Semaphore {
    free: std::sync::Mutex<usize>,
    changed: std::sync::Condvar,
}

/// A turn; over when dropped.
pub struct Turn(&'static Semaphore);

impl Semaphore {
    pub const fn new(places: usize) -> Semaphore {
        Semaphore { free: std::sync::Mutex::new(places), changed: std::sync::Condvar::new() }
    }

    pub fn take(&'static self) -> Turn {
        let mut free = self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while *free == 0 {
            free = self.changed.wait(free).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}
