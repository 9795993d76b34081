//! What a machine must have so that some faults can be shown on it. Tests that miss it say so, and what they did not show.
#![allow(dead_code, clippy::disallowed_methods, reason = "each test program uses a part of it; they ask real programs")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// What a kind lacks here; `None` when it can be shown.
pub fn lacking(kind: &str) -> Option<&'static str> {
    match kind.split('.').next() {
        Some("network") => packet_filter(),
        Some("disk") => shared_memory(),
        _ => None,
    }
}

/// Whether a kind can be shown here; says why when it cannot.
pub fn shown(kind: &str) -> bool {
    // Another program shows these, on a double of the account.
    if kind.starts_with("aws.") {
        return false;
    }
    let lacking = lacking(kind);
    if let Some(what) = lacking {
        println!("SKIPPED: {kind}: {what}; nothing was shown of it");
    }
    lacking.is_none()
}

fn packet_filter() -> Option<&'static str> {
    if !is_root() {
        return Some("only root may change the packet filter");
    }
    match Command::new("nft").args(["list", "tables"]).output() {
        Err(_) => Some("nft is not installed (apt-get install nftables)"),
        Ok(output) if !output.status.success() => Some("this kernel has no nftables"),
        Ok(_) => None,
    }
}

fn shared_memory() -> Option<&'static str> {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    let shm = device(Path::new("/dev/shm"));
    let others = [device(Path::new("/")), device(&std::env::temp_dir())];
    (shm.is_none() || others.contains(&shm)).then_some("/dev/shm is no file system of its own here")
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
