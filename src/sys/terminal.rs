//! The keyboard of a terminal, key by key, given back as it was whatever happens to the one who took it: panic, signal or end.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Nothing by now.
    Nothing,
    /// This; on a terminal that was not taken, whole lines.
    Bytes(Vec<u8>),
    /// There is nobody who types any more.
    End,
}

/// Standard input. While it is taken, keys come one by one and are not echoed; dropping it gives the terminal back.
#[derive(Debug)]
pub struct Keyboard {
    before: Option<Termios>,
}

impl Keyboard {
    /// Leaves the terminal as it is: lines, as it edits and echoes them.
    pub fn lines() -> Keyboard {
        Keyboard { before: None }
    }

    /// Takes the terminal. With `signals`, Ctrl-C and Ctrl-\ still raise theirs, and Ctrl-Z is a key: it must not stop a drill that is under way.
    ///
    /// # Errors
    /// Standard input is no terminal, or it went away.
    pub fn keys(signals: bool) -> io::Result<Keyboard> {
        let stdin = io::stdin();
        if !isatty(&stdin) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let before = tcgetattr(&stdin)?;
        let mut taken = before.clone();
        taken.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        taken.local_modes.set(LocalModes::ISIG, signals);
        // 0 is nobody's key, on Linux.
        taken.special_codes[SpecialCodeIndex::VSUSP] = 0;
        taken.special_codes[SpecialCodeIndex::VMIN] = 1;
        taken.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &taken)?;
        Ok(Keyboard { before: Some(before) })
    }

    /// What was typed by now. Never waits.
    pub fn read(&mut self) -> Typed {
        let stdin = io::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        if !poll(&mut ready, Some(&now)).is_ok_and(|ready| ready > 0) {
            return Typed::Nothing;
        }
        let mut bytes = [0_u8; 4096];
        match rustix::io::read(stdin.as_fd(), &mut bytes) {
            Ok(0) => Typed::End,
            Ok(n) => Typed::Bytes(bytes.get(..n).unwrap_or_default().to_vec()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Typed::Nothing,
            Err(_) => Typed::End,
        }
    }

    /// Gives the terminal back now.
    pub fn give_back(&mut self) {
        if let Some(before) = self.before.take() {
            // One that went away needs nothing back.
            let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether both ends of a conversation are terminals.
pub fn can_talk() -> bool {
    isatty(io::stdin()) && isatty(io::stderr())
}
