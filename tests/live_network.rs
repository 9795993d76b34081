//! The network faults on real traffic: two network namespaces joined by a cable, a server in one, clients in the other. Everything that was in
//! the packet filter before is there afterwards, whatever dies.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;
mod world;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drill::{Place, has_program};
use firedrill::fault::{ErasedFault, Seen, by_kind};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use world::{World, paste, until};

const SERVER: &str = "10.77.0.2";
const CLIENT: &str = "10.77.0.1";
const PORT: u16 = 7000;
const OTHER_PORT: u16 = 7001;
/// Longer than an answer takes on a busy machine, shorter than TCP's first repetition.
const PATIENCE: Duration = Duration::from_millis(800);

/// Two network namespaces joined by a cable; gone with the test.
struct Cable {
    client: String,
    server: String,
}

fn command(words: &[&str]) -> (bool, String) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

fn must(words: &[&str]) -> String {
    let (ok, said) = command(words);
    assert!(ok, "{words:?}: {said}");
    said
}

/// Runs in a network namespace, in a thread of its own.
fn inside<T: Send + 'static>(netns: &str, what: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{netns}")).unwrap();
    std::thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        what()
    })
    .join()
    .unwrap()
}

impl Cable {
    /// Lays it, with servers at the far end; `None`, said aloud, where that cannot be.
    fn lay() -> Option<Cable> {
        if let Some(what) = needs::lacking("network") {
            println!("SKIPPED: {what}; nothing was shown");
            return None;
        }
        if has_program("ip").is_none() {
            println!("SKIPPED: ip is not installed (apt-get install iproute2); nothing was shown");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fd{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cable = Cable { client: format!("{name}c"), server: format!("{name}s") };
        let (client, server) = (cable.client.as_str(), cable.server.as_str());
        let (ok, said) = command(&["ip", "netns", "add", client]);
        if !ok {
            println!("SKIPPED: this machine makes no network namespaces ({}); nothing was shown", said.trim());
            return None;
        }
        must(&["ip", "netns", "add", server]);
        must(&["ip", "-n", client, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", server]);
        for (netns, address) in [(client, CLIENT), (server, SERVER)] {
            must(&["ip", "-n", netns, "address", "add", &format!("{address}/24"), "dev", "wire"]);
            must(&["ip", "-n", netns, "link", "set", "wire", "up"]);
            must(&["ip", "-n", netns, "link", "set", "lo", "up"]);
        }
        inside(server, || {
            for port in [PORT, OTHER_PORT] {
                let listener = TcpListener::bind((SERVER, port)).unwrap();
                std::thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        std::thread::spawn(move || echo(stream));
                    }
                });
            }
            let socket = UdpSocket::bind((SERVER, PORT)).unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            });
        });
        Some(cable)
    }

    /// One request over a connection of its own.
    fn request(&self, port: u16) -> Result<(), ErrorKind> {
        inside(&self.client, move || {
            let mut stream = TcpStream::connect_timeout(&format!("{SERVER}:{port}").parse().unwrap(), PATIENCE)?;
            ask(&mut stream)
        })
        .map_err(|error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock => ErrorKind::TimedOut,
            kind => kind,
        })
    }

    /// How many of so many datagrams come back.
    fn answered(&self, sent: usize) -> usize {
        inside(&self.client, move || {
            let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
            socket.connect((SERVER, PORT)).unwrap();
            let mut buffer = [0; 8];
            let mut answered = 0;
            // In small numbers, so that no buffer overflows; what comes late is counted at the end.
            for left in (0..sent).rev() {
                // One that is dropped where it is sent is an error here.
                let _ = socket.send(b"ping");
                if left % 20 == 0 {
                    socket.set_read_timeout(Some(Duration::from_millis(if left == 0 { 500 } else { 20 }))).unwrap();
                    answered += std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count();
                }
            }
            answered
        })
    }

    fn nft(&self, words: &[&str]) -> String {
        must(&[&["nsenter", &format!("--net=/run/netns/{}", self.client), "nft"], words].concat())
    }

    /// Everything that the packet filter holds, without counters.
    fn ruleset(&self) -> String {
        let mut all = self.nft(&["-s", "list", "ruleset"]);
        if has_program("iptables").is_some() {
            all += &must(&["nsenter", &format!("--net=/run/netns/{}", self.client), "iptables", "-S"]);
        }
        all
    }

    /// What somebody else has in the packet filter.
    fn others_rules(&self) -> String {
        self.nft(&["add table inet shop; add chain inet shop guard { type filter hook input priority 5; policy accept; }; add rule inet shop guard tcp dport 9999 counter drop"]);
        if has_program("iptables").is_some() {
            let enter = format!("--net=/run/netns/{}", self.client);
            must(&["nsenter", &enter, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9998", "-j", "DROP"]);
        } else {
            println!("SKIPPED: iptables is not installed; its rules were not looked at");
        }
        let rules = self.ruleset();
        assert!(rules.contains("9999"), "{rules}");
        rules
    }

    fn firedrills_tables(&self) -> usize {
        self.nft(&["list", "tables"]).lines().filter(|line| line.contains("firedrill_")).count()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for netns in [&self.client, &self.server] {
            let _ = command(&["ip", "netns", "delete", netns]);
        }
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])
}

fn kind(name: &str) -> &'static dyn ErasedFault {
    by_kind(name).unwrap()
}

/// What a fault does to a request at the port that is meant, and to one at another.
type Effect = (Result<(), ErrorKind>, Result<(), ErrorKind>);

fn cases(netns: &str) -> Vec<(&'static str, Value, Effect)> {
    let late = Err(ErrorKind::TimedOut);
    let refused = Err(ErrorKind::ConnectionRefused);
    vec![
        ("network.partition", json!({ "peer": SERVER, "netns": netns }), (late, late)),
        ("network.partition", json!({ "peer": ["10.77.0.0/24", "2001:db8::/32"], "netns": netns }), (late, late)),
        ("network.partition", json!({ "peer": "10.78.0.0/24", "netns": netns }), (Ok(()), Ok(()))),
        ("network.blackhole", json!({ "port": PORT, "netns": netns }), (late, Ok(()))),
        ("network.blackhole", json!({ "port": "7000", "direction": "in", "protocol": "tcp", "netns": netns }), (late, Ok(()))),
        ("network.blackhole", json!({ "peer": SERVER, "direction": "out", "netns": netns }), (late, late)),
        ("network.blackhole", json!({ "port": PORT, "protocol": "udp", "netns": netns }), (Ok(()), Ok(()))),
        ("network.reject", json!({ "port": [PORT, 80], "netns": netns }), (refused, Ok(()))),
        ("network.reject", json!({ "peer": SERVER, "with": "icmp", "direction": "out", "netns": netns }), (refused, refused)),
        ("network.loss", json!({ "loss": "100%", "port": PORT, "netns": netns }), (late, Ok(()))),
    ]
}

#[tokio::test]
async fn traffic_stops_as_asked_and_comes_back_and_no_other_rule_is_touched() {
    let Some(cable) = Cable::lay() else { return };
    let world = World::new();
    let before = cable.others_rules();
    assert_eq!((cable.request(PORT), cable.request(OTHER_PORT)), (Ok(()), Ok(())));
    for (name, spec, effect) in cases(&cable.client) {
        let fault = kind(name);
        assert_eq!(fault.check(&spec), vec![], "{spec}");
        let undo = world.inject(fault, &spec).await;
        assert_eq!((cable.request(PORT), cable.request(OTHER_PORT)), effect, "{name} {spec}");
        let Seen::Biting(seen) = fault.observe(&undo, &world.cx).await.unwrap() else { panic!("{name} {spec}: not seen") };
        assert_eq!(seen.ends_with("met so far: 0"), effect == (Ok(()), Ok(())), "{name} {spec}: {seen}");
        assert!(!fault.verify(&undo, &world.cx).await.unwrap());
        // By turns as the tool and as a person undo it.
        for round in 0..2 {
            if round == 0 && spec.get("port").is_some() {
                paste(&fault.by_hand(&undo).unwrap()).await;
            } else {
                fault.undo(&undo, &world.cx).await.unwrap();
            }
            assert!(fault.verify(&undo, &world.cx).await.unwrap(), "{name} {spec}");
        }
        assert_eq!((cable.request(PORT), cable.request(OTHER_PORT)), (Ok(()), Ok(())), "{name} {spec}");
        assert_eq!(cable.ruleset(), before, "{name} {spec}");
    }
}

#[tokio::test]
async fn a_part_of_the_packets_is_lost() {
    let Some(cable) = Cable::lay() else { return };
    let world = World::new();
    assert_eq!(cable.answered(400), 400);
    let fault = kind("network.loss");
    let undo = world.inject(fault, &json!({ "loss": "50%", "peer": SERVER, "direction": "in", "netns": cable.client })).await;
    let answered = cable.answered(400);
    // Six standard deviations on either side.
    assert!((140..=260).contains(&answered), "{answered} of 400");
    fault.undo(&undo, &world.cx).await.unwrap();
    assert_eq!(cable.answered(400), 400);
}

#[tokio::test]
async fn a_namespace_without_its_name_is_still_found() {
    let Some(cable) = Cable::lay() else { return };
    let world = World::new();
    let enter = format!("--net=/run/netns/{}", cable.client);
    let mut inhabitant = Command::new("nsenter").args([&enter, "sleep", "60"]).spawn().unwrap();
    let through = format!("--net=/proc/{}/ns/net", inhabitant.id());
    let tables = || must(&["nsenter", &through, "nft", "list", "tables"]);
    let ours = std::fs::metadata("/proc/self/ns/net").unwrap();
    let there = format!("/proc/{}/ns/net", inhabitant.id());
    until("the inhabitant has moved in", || {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&there).is_ok_and(|meta| meta.ino() != ours.ino())
    })
    .await;
    let fault = kind("network.partition");
    let undo = world.inject(fault, &json!({ "peer": SERVER, "netns": cable.client })).await;
    must(&["ip", "netns", "delete", &cable.client]);
    assert!(!fault.verify(&undo, &world.cx).await.unwrap(), "the table is still there");
    assert!(tables().contains("firedrill_"));
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    assert!(!tables().contains("firedrill_"));
    inhabitant.kill().unwrap();
    inhabitant.wait().unwrap();
    // Without anybody in it the namespace is gone, with everything that was in it; the line by hand knows that as well.
    until("the namespace is gone", || !std::path::Path::new(&there).exists()).await;
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    paste(&fault.by_hand(&undo).unwrap()).await;
}

/// A drill on a service of this host that cuts a cable somewhere else.
fn scenario(place: &Place, fault: &str) {
    place.drill_on_a_node("A cable is cut", &format!("{{ cut: {{ {fault}, for: 60s }} }}"), "{ within: 90s, stable_for: 500ms }");
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_no_table() {
    let Some(cable) = Cable::lay() else { return };
    let before = cable.others_rules();
    let place = Place::new();
    scenario(&place, &format!("network.reject: {{ port: {PORT}, netns: {} }}", cable.client));
    let mut run = place.start(&["run", "scenario.yaml", "--yes"]);
    let dir = place.wait_until_bitten("cut", 60);
    assert_eq!(cable.request(PORT), Err(ErrorKind::ConnectionRefused));
    assert_eq!(cable.firedrills_tables(), 1);
    run.kill().unwrap();
    run.wait().unwrap();
    until("the watchdog has removed the table", || cable.firedrills_tables() == 0).await;
    assert_eq!(cable.request(PORT), Ok(()));
    assert_eq!(cable.ruleset(), before);
    place.assert_nobody_survives(20);
    assert!(place.journal(&dir).iter().any(|entry| entry["event"]["type"] == "undone" && entry["event"]["id"] == "cut"));
}

#[tokio::test]
async fn when_everybody_is_dead_a_person_or_a_fresh_process_removes_the_table() {
    let Some(cable) = Cable::lay() else { return };
    let before = cable.others_rules();
    for by_hand in [true, false] {
        let place = Place::new();
        scenario(&place, &format!("network.blackhole: {{ port: {PORT}, netns: {} }}", cable.client));
        let mut run = place.start(&["run", "scenario.yaml", "--yes"]);
        let dir = place.wait_until_bitten("cut", 60);
        let journal = place.journal(&dir);
        let find = |kind: &str| journal.iter().rev().map(|entry| &entry["event"]).find(|event| event["type"] == kind).unwrap();
        let watchdog = find("watchdog_started")["pid"].to_string();
        // Held still first, or it would be quicker than we are.
        must(&["kill", "-STOP", &watchdog]);
        run.kill().unwrap();
        run.wait().unwrap();
        must(&["kill", "-KILL", &watchdog]);
        assert_eq!((cable.firedrills_tables(), cable.request(PORT)), (1, Err(ErrorKind::TimedOut)));
        let armed = journal.iter().map(|entry| &entry["event"]).find(|event| event["type"] == "armed" && event["id"] == "cut").unwrap();
        if by_hand {
            paste(armed["undo"]["by_hand"].as_str().unwrap()).await;
            assert_eq!((cable.firedrills_tables(), cable.request(PORT)), (0, Ok(())));
        }
        place.run(&["undo"], 60).expect(0);
        assert_eq!((cable.firedrills_tables(), cable.request(PORT)), (0, Ok(())));
        assert_eq!(cable.ruleset(), before);
        place.assert_nobody_survives(20);
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_armed() {
    if let Some(what) = needs::lacking("network") {
        println!("SKIPPED: {what}; nothing was shown");
        return;
    }
    let place = Place::new();
    scenario(&place, "network.partition: { peer: 192.0.2.1, netns: firedrill-no-such-namespace }");
    let done = place.run(&["run", "scenario.yaml", "--yes"], 60).expect(11);
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(said.contains("find the network namespace `firedrill-no-such-namespace`"), "{said}");
    assert!(said.contains("help: `ip netns list` shows those that there are"), "{said}");

    scenario(&place, "network.partition: { peer: 192.0.2.1 }");
    let mut command = place.command(&["run", "scenario.yaml", "--yes"]);
    command.env("PATH", place.path());
    let output = command.output().unwrap();
    let said = drill::text(&output);
    assert_eq!(output.status.code(), Some(11), "{said}");
    assert!(said.contains("find the program `nft`") && said.contains("apt-get install nftables"), "{said}");

    // A session that comes from the peer would be cut off with it.
    let mut command = place.command(&["run", "scenario.yaml", "--yes"]);
    command.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    let output = command.output().unwrap();
    let said = drill::text(&output);
    assert_eq!(output.status.code(), Some(11), "{said}");
    assert!(said.contains("the session from 192.0.2.1, in which this drill is run, would be cut off"), "{said}");
    if let Some(setpriv) = has_program("setpriv") {
        let plain = place.command(&["run", "scenario.yaml", "--yes"]);
        let mut command = Command::new(setpriv);
        command.args(["--bounding-set", "-net_admin", "--"]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(place.path()).env("FIREDRILL_REGISTRY", place.path().join("registry"));
        let output = command.output().unwrap();
        let said = drill::text(&output);
        assert_eq!(output.status.code(), Some(11), "{said}");
        assert!(said.contains("the right to change the packet filter (CAP_NET_ADMIN) (help: run firedrill as root)"), "{said}");
    }
    place.assert_nobody_survives(10);
}
