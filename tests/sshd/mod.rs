//! A real sshd of our own: its keys, port, configuration and known hosts in the directory of the test, and an ssh configuration that leads to it.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a test may break off anywhere")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::drill::{Place, account, binary, free_ports, has_program};
use crate::needs;

/// Longer than any lease of these tests and the undo that follows it.
pub const WHOLE_WITHIN: u64 = 60;

pub fn until(what: &str, seconds: u64, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Writes `scenario.yaml`: a drill that watches nothing much, with these faults on `there`.
pub fn scenario(place: &Place, host: &Sshd, faults: &str) {
    let text = format!(
        "firedrill: 1\ntitle: Another machine\nenvironment: test\nhosts:\n  there: {{ ssh: {user}@{name}, port: {port}, config: {config}, firedrill: {exe}, lease: 5s }}\n\
         probes:\n  self: {{ command: {{ run: [\"true\"] }}, rate: 5/s }}\n\
         steady_state: {{ over: 1s, probes: {{ self: {{ success: {{ min: 10% }} }} }} }}\n\
         faults:\n{faults}recovery: {{ within: 60s, stable_for: 1s }}\n",
        user = host.user,
        name = host.address,
        port = host.port,
        config = host.config().display(),
        exe = binary().display(),
    );
    place.file("scenario.yaml", text);
}

/// Changes `scenario.yaml`.
pub fn instead(place: &Place, what: &str, by: &str) {
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    assert!(text.contains(what), "{what} in {text}");
    place.file("scenario.yaml", text.replace(what, by));
}

/// The types of the events of a run, in order.
pub fn types(place: &Place, run: &Path) -> Vec<String> {
    place.journal(run).iter().map(|entry| entry["event"]["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Kills a runner and its watchdog with SIGKILL.
pub fn kill_both(place: &Place, run: &Path, runner: &mut Child) {
    let watchdog =
        place.journal(run).iter().find_map(|entry| entry["event"]["pid"].as_u64().filter(|_| entry["event"]["type"] == "watchdog_started"));
    // The runner first: it would start another watchdog.
    let line = format!("kill -KILL {} {}", runner.id(), watchdog.unwrap());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    let _ = runner.wait();
}

/// A small ext4 of its own in the place of a directory, in blocks of 1 KiB; gone with the test.
pub struct Disk(PathBuf);

impl Disk {
    /// None, said aloud, where that cannot be.
    pub fn mount(at: &Path, size: u64) -> Option<Disk> {
        let image = at.with_extension("image");
        std::fs::create_dir_all(at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        let (image, there) = (image.to_str().unwrap(), at.to_str().unwrap());
        let does = |words: &[&str]| Command::new(words[0]).args(&words[1..]).output().is_ok_and(|output| output.status.success());
        let made = does(&["mkfs.ext4", "-q", "-b", "1024", "-m", "0", "-O", "^has_journal", image]);
        if made && does(&["mount", "-o", "loop", image, there]) {
            return Some(Disk(at.to_owned()));
        }
        println!("SKIPPED a disk of its own: no ext4 can be mounted here; nothing was shown of it");
        None
    }

    /// Nobody may write to it any more.
    pub fn protect(&self) {
        must(&["mount", "-o", "remount,ro", self.0.to_str().unwrap()]);
    }

    /// Whether there is no room for a few bytes more.
    pub fn is_full(&self) -> bool {
        let probe = self.0.join("probe");
        let full = std::fs::write(&probe, [7; 5_000]).is_err();
        let _ = std::fs::remove_file(probe);
        full
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// An sshd; gone with the test.
pub struct Sshd {
    child: Child,
    dir: PathBuf,
    netns: Option<String>,
    /// Who may log in.
    pub user: String,
    /// Where it listens.
    pub address: String,
    pub port: u16,
    /// The address from which it is reached.
    pub client: String,
    /// Its host key, as a line of `known_hosts` without the name.
    pub key: String,
    /// Another one.
    pub other_key: String,
}

fn must(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", crate::drill::text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn key(path: &Path) -> String {
    must(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path.to_str().unwrap()]);
    let text = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

impl Sshd {
    /// On loopback; `None`, said aloud, where that cannot be.
    pub fn start(place: &Place) -> Option<Sshd> {
        Sshd::at(place, "127.0.0.1", "127.0.0.1", None)
    }

    /// In a network namespace of its own, behind a cable.
    pub fn in_a_namespace(place: &Place) -> Option<Sshd> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        if let Some(what) = needs::lacking("network").or_else(|| has_program("ip").is_none().then_some("ip is not installed")) {
            println!("SKIPPED: {what}; nothing was shown");
            return None;
        }
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let (net, wire) = (format!("fds{}-{n}", std::process::id()), format!("fds{}n{n}", std::process::id() % 100_000));
        let made = Command::new("ip").args(["netns", "add", &net]).output().unwrap();
        if !made.status.success() {
            println!("SKIPPED: this machine makes no network namespaces ({}); nothing was shown", crate::drill::text(&made).trim());
            return None;
        }
        let part = std::process::id() % 250;
        let (near, far) = (format!("10.{}.{part}.1", 100 + n), format!("10.{}.{part}.2", 100 + n));
        must(&["ip", "link", "add", &wire, "type", "veth", "peer", "name", "wire", "netns", &net]);
        must(&["ip", "address", "add", &format!("{near}/24"), "dev", &wire]);
        must(&["ip", "link", "set", &wire, "up"]);
        must(&["ip", "-n", &net, "address", "add", &format!("{far}/24"), "dev", "wire"]);
        must(&["ip", "-n", &net, "link", "set", "wire", "up"]);
        must(&["ip", "-n", &net, "link", "set", "lo", "up"]);
        Sshd::at(place, &far, &near, Some(net))
    }

    fn at(place: &Place, address: &str, client: &str, netns: Option<String>) -> Option<Sshd> {
        let (Some(sshd), true) = (has_program("sshd"), needs::is_root()) else {
            println!("SKIPPED: sshd is not installed (apt-get install openssh-server), or this is not root; nothing was shown");
            return None;
        };
        let dir = place.path().join("sshd");
        let home = dir.join("home");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        let (host_key, other_key, login) = (key(&dir.join("host")), key(&dir.join("other")), key(&dir.join("login")));
        std::fs::write(dir.join("authorized"), format!("{login}\n")).unwrap();
        let [port] = free_ports();
        let (d, user) = (dir.display(), account());
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile {d}/pid\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv HOME={} FIREDRILL_REGISTRY={d}/registry PATH={d}/bin:{}\n",
            home.display(),
            std::env::var("PATH").unwrap(),
        );
        std::fs::write(dir.join("sshd_config"), config).unwrap();
        let ssh = format!(
            "IdentityFile {d}/login\nIdentitiesOnly yes\nUserKnownHostsFile {d}/known_hosts\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
        );
        std::fs::write(dir.join("ssh_config"), ssh).unwrap();
        // sshd wants this directory, and a packaged one makes it only as a service.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = match &netns {
            Some(net) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", net]).arg(&sshd);
                command
            }
            None => Command::new(&sshd),
        };
        command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config"));
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let host = Sshd { child, dir, netns, user, address: address.into(), port, client: client.into(), key: host_key, other_key };
        host.know(&host.key);
        let end = Instant::now() + Duration::from_secs(20);
        while !host.answers() {
            assert!(Instant::now() < end, "sshd does not answer: {}", std::fs::read_to_string(host.dir.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(host)
    }

    /// The ssh configuration that leads to it.
    pub fn config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    /// The home of whoever logs in.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// The home as a disk of its own.
    pub fn home_disk(&self, size: u64) -> Option<Disk> {
        Disk::mount(&self.home(), size)
    }

    /// Puts a program there that is found before every other of that name.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let file = self.dir.join("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    /// The tables of its packet filter that are firedrill's.
    pub fn tables(&self) -> Vec<String> {
        let mut words = vec!["nft", "list", "tables"];
        if let Some(net) = &self.netns {
            words.splice(..0, ["ip", "netns", "exec", net]);
        }
        must(&words).lines().filter(|line| line.contains("firedrill_")).map(str::to_owned).collect()
    }

    /// Makes this the only host key that is known of it.
    pub fn know(&self, key: &str) {
        let line = if key.is_empty() { String::new() } else { format!("[{}]:{} {key}\n", self.address, self.port) };
        std::fs::write(self.dir.join("known_hosts"), line).unwrap();
    }

    /// Whether somebody can log in.
    pub fn answers(&self) -> bool {
        let mut command = Command::new("ssh");
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-F"]).arg(self.config());
        command.args(["-p", &self.port.to_string(), &format!("{}@{}", self.user, self.address), "true"]);
        command.stdin(Stdio::null()).output().unwrap().status.success()
    }

    /// The runs that are named in its registry.
    pub fn registered(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("registry/runs")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Directories of faults that runners have ordered here.
    pub fn faults(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.home().join(".local/state/firedrill/hosts")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The process that holds the only fault.
    pub fn holder(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.faults().pop()?.join("holder.json")).ok()?;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        u32::try_from(value["pid"].as_u64()?).ok()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(net) = &self.netns {
            let _ = Command::new("ip").args(["netns", "del", net]).output();
        }
    }
}
