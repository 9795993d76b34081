//! A real sshd of our own: its keys, port, configuration and known hosts in the directory of the test, and an ssh configuration that leads to it.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a test may break off anywhere")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::drill::{Place, account, free_ports, has_program};
use crate::needs;

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
        let (host_key, other_key, login) = (key(&dir.join("host")), key(&dir.join("other")), key(&dir.join("login")));
        std::fs::write(dir.join("authorized"), format!("{login}\n")).unwrap();
        let [port] = free_ports();
        let (d, user) = (dir.display(), account());
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile {d}/pid\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv HOME={} FIREDRILL_REGISTRY={d}/registry PATH={}\n",
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
