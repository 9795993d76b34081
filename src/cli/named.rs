//! Files that people name: read whole, with a limit, and without waiting for anybody. A pipe, a device or a file without end is refused
//! before it is read.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file cannot be read, as it reads after "failed to read FILE: ", and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The reason.
    pub why: String,
    /// What to do about it.
    pub help: &'static str,
}

/// The whole of a regular file of at most so many bytes.
///
/// # Errors
/// Why there is nothing to read.
pub fn whole(path: &Path, most: u64) -> Result<Vec<u8>, Unread> {
    // A pipe without a writer must not keep us waiting, nor a terminal become ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path).map_err(|error| unopened(&error))?;
    if regular(&file)? > most {
        return Err(too_large(most));
    }
    let mut bytes = Vec::new();
    // What files under /proc and those that grow meanwhile say of their size is not to be relied on.
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Unread { why: words(&error), help: "the file must be readable" })?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn regular(file: &File) -> Result<u64, Unread> {
    let meta = file.metadata().map_err(|error| Unread { why: words(&error), help: "the file must be readable" })?;
    let kind = meta.file_type();
    if kind.is_file() {
        return Ok(meta.len());
    }
    let (what, help) = if kind.is_dir() {
        ("a directory", "name a scenario file in it")
    } else if kind.is_fifo() {
        ("a pipe", "write it to a file first: a drill keeps the text that it was made from")
    } else if kind.is_char_device() || kind.is_block_device() {
        ("a device", "name a scenario file")
    } else {
        ("no regular file", "name a scenario file")
    };
    Err(Unread { why: format!("it is {what}"), help })
}

fn too_large(most: u64) -> Unread {
    let why = format!("it is larger than such a file may be (at most {most} bytes)");
    Unread { why, help: "is this the right file? what firedrill reads is written by people, and small" }
}

fn unopened(error: &io::Error) -> Unread {
    let help = match error.kind() {
        ErrorKind::NotFound => "give the path of a file that is there; `firedrill init --url URL` writes a first scenario",
        // Sockets cannot be opened.
        _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => "name a scenario file",
        _ => "the file must be readable",
    };
    Unread { why: words(error), help }
}

/// What the system says, in a sentence for people.
fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::NotADirectory => "a part of the path is no directory".to_owned(),
        ErrorKind::InvalidInput => "no file can have this name".to_owned(),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => "its symbolic links lead in a circle".to_owned(),
        _ if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => "it is a socket".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: impl AsRef<Path>) -> String {
        whole(path.as_ref(), 16).unwrap_err().why
    }

    #[test]
    fn only_what_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("good"), "0123456789abcdef").unwrap();
        assert_eq!(whole(&at("good"), 16).unwrap(), b"0123456789abcdef");
        std::fs::write(at("large"), "0123456789abcdefg").unwrap();
        assert!(why(at("large")).starts_with("it is larger"));
        // A file that does not know its size.
        assert!(why("/proc/self/status").starts_with("it is larger"), "{}", why("/proc/self/status"));
        assert_eq!(why(dir.path()), "it is a directory");
        assert_eq!(why("/dev/zero"), "it is a device");
        assert_eq!(why(at("none")), "there is no such file");
        assert_eq!(why(at("good/x")), "a part of the path is no directory");
        std::os::unix::fs::symlink(at("b"), at("a")).unwrap();
        std::os::unix::fs::symlink(at("a"), at("b")).unwrap();
        assert_eq!(why(at("a")), "its symbolic links lead in a circle");
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(why(at("socket")), "it is a socket");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        assert_eq!(why(at("pipe")), "it is a pipe");
    }
}
