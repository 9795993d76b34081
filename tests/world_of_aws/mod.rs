//! What stands behind the resources of the double: a small web service, a database that fails over as those of RDS do, and the name that leads to it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere and waits on real processes; every file uses another part"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A web service that answers as it is told to, for as long as the test runs: method and path, status and body. Its address.
pub fn serve(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || drop(converse(&stream, &*answer)));
        }
    });
    url
}

fn converse(stream: &TcpStream, answer: &dyn Fn(&str, &str) -> (u16, String)) -> std::io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream.try_clone()?;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if from.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        from.read_exact(&mut vec![0; length])?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let (status, body) = answer(&method, &path);
        write!(to, "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    }
}

/// A name server that answers every question for an address with one that can be changed.
#[derive(Clone)]
pub struct Names {
    pub address: String,
    leads_to: Arc<Mutex<[u8; 4]>>,
}

impl Names {
    pub fn start(leads_to: &str) -> Names {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let names = Names { address: socket.local_addr().unwrap().to_string(), leads_to: Arc::new(Mutex::new([0; 4])) };
        names.lead_to(leads_to);
        let leads_to = Arc::clone(&names.leads_to);
        std::thread::spawn(move || {
            let mut asked = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut asked) {
                // The question ends with the name's empty label, its type and its class; what comes after it is not repeated.
                let Some(end) = asked[12..length].iter().position(|byte| *byte == 0).map(|at| 12 + at + 5) else { continue };
                let mut said = asked[..end].to_vec();
                said[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
                said.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
                said.extend(*leads_to.lock().unwrap());
                let _ = socket.send_to(&said, from);
            }
        });
        names
    }

    pub fn lead_to(&self, address: &str) {
        let parts: Vec<u8> = address.split('.').map(|part| part.parse().unwrap()).collect();
        *self.leads_to.lock().unwrap() = parts.try_into().unwrap();
    }
}

/// A PostgreSQL with TLS and passwords, as RDS has them, and a standby that has every commit because it has the same storage: which is how a
/// Multi-AZ instance fails over. Clients reach whichever of the two runs at one port, as by the name of the endpoint.
pub struct Database {
    pub port: u16,
    bin: PathBuf,
    dir: tempfile::TempDir,
    /// Where the server listens that runs now.
    runs_at: Arc<Mutex<Option<u16>>>,
    child: Mutex<Option<Child>>,
}

impl Database {
    /// Debian's newest PostgreSQL, where there is one.
    pub fn programs() -> Option<PathBuf> {
        let found = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut found: Vec<PathBuf> =
            found.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
        found.sort();
        found.pop()
    }

    pub fn start(bin: &Path) -> Database {
        let dir = tempfile::tempdir().unwrap();
        let runs_at: Arc<Mutex<Option<u16>>> = Arc::default();
        let port = forward(Arc::clone(&runs_at));
        let database = Database { port, bin: bin.to_owned(), dir, runs_at, child: Mutex::new(None) };
        let (home, fixtures) = (database.dir.path(), format!("{}/tests/fixtures/tls", env!("CARGO_MANIFEST_DIR")));
        std::fs::write(home.join("password"), "drill").unwrap();
        for file in ["localhost.pem", "localhost.key"] {
            std::fs::copy(format!("{fixtures}/{file}"), home.join(file)).unwrap();
        }
        shell(&format!("chmod 600 {0}/localhost.key && if [ $(id -u) = 0 ]; then chown -R postgres: {0}; fi", home.display()));
        let data = home.join("data").display().to_string();
        let password = format!("--pwfile={}", home.join("password").display());
        let made =
            database.program("initdb", &["-D", &data, "-U", "drill", "-A", "md5", &password, "-E", "UTF8", "--locale=C", "--no-sync"]);
        assert!(quiet(made).status().unwrap().success());
        for statement in ["create database drill", "create table firedrill_ledger (key text not null)"] {
            let of = if statement.contains("table") { "drill" } else { "postgres" };
            let mut child =
                database.program("postgres", &["--single", "-D", &data, of]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            writeln!(child.stdin.take().unwrap(), "{statement}").unwrap();
            assert!(child.wait().unwrap().success());
        }
        // Nobody gets in without TLS. That passwords are not proven by SCRAM spares the tests thousands of rounds for each connection.
        std::fs::write(home.join("hba"), "hostssl all all 127.0.0.1/32 md5\n").unwrap();
        database.run();
        database
    }

    /// A program of PostgreSQL, which refuses to run as root.
    fn program(&self, name: &str, args: &[&str]) -> Command {
        let program = self.bin.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(args).current_dir("/");
        command
    }

    fn run(&self) {
        let [port] = super::drill::free_ports();
        let home = self.dir.path();
        let of = |name: &str, file: &str| format!("{name}={}", home.join(file).display());
        let (data, at) = (home.join("data").display().to_string(), format!("port={port}"));
        let (cert, key, hba) = (of("ssl_cert_file", "localhost.pem"), of("ssl_key_file", "localhost.key"), of("hba_file", "hba"));
        let set =
            [at.as_str(), "listen_addresses=127.0.0.1", "unix_socket_directories=", "ssl=on", "log_min_messages=fatal", &cert, &key, &hba];
        let args: Vec<&str> = ["-D", &data].into_iter().chain(set.iter().flat_map(|one| ["-c", one])).collect();
        let mut child = quiet(self.program("postgres", &args)).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while self.ask(port, "select 1") != "1" {
            assert!(Instant::now() < end && child.try_wait().unwrap().is_none(), "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        *self.runs_at.lock().unwrap() = Some(port);
        *self.child.lock().unwrap() = Some(child);
    }

    fn stop(&self) {
        *self.runs_at.lock().unwrap() = None;
        if let Some(mut child) = self.child.lock().unwrap().take() {
            // As when its power is gone.
            shell(&format!("kill -QUIT {}", child.id()));
            child.wait().unwrap();
        }
    }

    /// The server is lost, and the other one starts on the same storage.
    pub fn fail_over(&self) {
        self.stop();
        std::thread::sleep(Duration::from_millis(700));
        self.run();
    }

    fn ask(&self, port: u16, query: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "drill", "-d", "drill", "-Atqc", query]);
        let output = command.env("PGPASSWORD", "drill").env("PGSSLMODE", "require").stderr(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// How many rows the ledger's table has.
    pub fn rows(&self) -> String {
        let port = self.runs_at.lock().unwrap().unwrap();
        self.ask(port, "select count(*) from firedrill_ledger")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn shell(line: &str) {
    assert!(Command::new("sh").args(["-c", line]).status().unwrap().success(), "{line}");
}

/// A port that leads to whichever port is written there.
fn forward(to: Arc<Mutex<Option<u16>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = to.lock().unwrap().and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok());
            let Some(server) = server else { continue };
            let pairs = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
            for (mut from, mut into) in pairs {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}
