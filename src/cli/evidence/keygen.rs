//! `firedrill evidence keygen`, and reading the private key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Exit, Failed, named};
use crate::cli::out::{Voice, print, say};
use crate::evidence::Private;

/// Largest file that may be a key, in bytes.
pub const LARGEST: u64 = 64 * 1024;

/// Makes a pair of files; never over one that is there.
pub fn keygen(file: &Path) -> Result<Exit, Failed> {
    let public = public_of(file);
    if public.exists() {
        return Err(Failed::file("write", &public, "it is there already, and a key that is lost cannot be made again"));
    }
    let mut seed = [0u8; 32];
    let filled = rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty());
    if filled.is_err() || filled.is_ok_and(|filled| filled < seed.len()) {
        return Err(Failed::file("write", file, "the system gives no random bytes"));
    }
    let (key, pem) = Private::from_seed(&seed).map_err(|error| Failed::file("write", file, error))?;
    create(file, &pem, 0o600).map_err(|error| Failed::file("write", file, words(&error)))?;
    create(&public, &key.public().pem(), 0o644).map_err(|error| Failed::file("write", &public, words(&error)))?;
    print(&key.public().to_string());
    say(&format!("{} signs and is kept secret; {} is for whoever verifies", file.display(), public.display()));
    Ok(Exit::Ok)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists => "it is there already, and a key that is lost cannot be made again".into(),
        _ => error.to_string(),
    }
}

fn public_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The private key in a file.
pub fn private(path: &Path, voice: Voice) -> Result<Private, Failed> {
    let bad = |why: String| Failed::Key { name: path.display().to_string(), why };
    let bytes = named::whole(path, LARGEST).map_err(|unread| bad(unread.why))?;
    if fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
        voice.warn(&format!("others can read {}: whoever has it can sign in your name (`chmod 600` it)", path.display()));
    }
    Private::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| bad(error.to_string()))
}
