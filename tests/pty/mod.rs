//! A terminal for the real binary: what a user would type goes in, what they would see comes out.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may break off anywhere and waits on real processes; every file uses another part"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// A program in a terminal of its own.
pub struct Terminal {
    pub child: Child,
    master: File,
    /// Kept open, so that what the terminal was left like can still be asked.
    slave: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a command in a terminal that it controls; `setsid` of util-linux makes it so.
    pub fn start(command: &Command, columns: u16, rows: u16, term: &str) -> Terminal {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(&name).unwrap();
        let mut inner = Command::new("setsid");
        inner.arg("--ctty").arg(command.get_program()).args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            inner.current_dir(dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inner.env(name, value),
                None => inner.env_remove(name),
            };
        }
        inner.env("TERM", term);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let terminal = |child, master: OwnedFd| Terminal {
            child,
            master: File::from(master),
            slave: slave.try_clone().unwrap(),
            seen: Arc::default(),
        };
        resize(&slave, columns, rows);
        let child = inner.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let this = terminal(child, master);
        let (mut reader, seen) = (this.master.try_clone().unwrap(), Arc::clone(&this.seen));
        std::thread::spawn(move || {
            let mut bytes = [0_u8; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..n]);
            }
        });
        this
    }

    /// Everything that was written, with what steers the terminal.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// What can be read of it, each blank and line end a single blank: lines may be broken anywhere.
    pub fn text(&self) -> String {
        anstream::adapter::strip_str(&self.raw()).to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until it shows something, from `since` characters of [`Self::text`] on.
    pub fn wait_for(&self, words: &str, seconds: u64) -> usize {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(at) = self.text().find(words) {
                return at;
            }
            assert!(Instant::now() < end, "`{words}` was not shown within {seconds} s:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Types something.
    pub fn keys(&self, keys: &str) {
        (&self.master).write_all(keys.as_bytes()).unwrap();
    }

    fn keys_if_there(&self, keys: &str) {
        let _ = (&self.master).write_all(keys.as_bytes());
    }

    /// Types a line.
    pub fn line(&self, line: &str) {
        self.keys(&format!("{line}\r"));
    }

    /// Makes the terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        resize(&self.slave, columns, rows);
    }

    /// The exit code, after at most so many seconds; what is written meanwhile can be read.
    pub fn ends(&mut self, seconds: u64) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The reader may be behind by a little.
                std::thread::sleep(Duration::from_millis(200));
                return status.code();
            }
            assert!(Instant::now() < end, "it did not end within {seconds} s:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Whether lines are edited and echoed again, as a shell leaves them.
    pub fn is_as_before(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that broke off leaves nothing behind: asked to end, it undoes everything.
        self.keys_if_there("\u{3}");
        for _ in 0..600 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(terminal: impl AsFd, columns: u16, rows: u16) {
    tcsetwinsize(terminal, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}
