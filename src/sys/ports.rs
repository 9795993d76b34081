//! Free ports on this machine's loopback.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the kernel takes the ports of outgoing connections, of which probes make thousands.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// So many ports of 127.0.0.1 that were free a moment ago; none twice in one process. Processes begin at different places.
///
/// # Errors
/// There is no loopback interface, or every port is taken.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut found = [0; N];
    for port in &mut found {
        *port = one()?;
    }
    Ok(found)
}

fn one() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(389) % COUNT;
    let mut last = None;
    for _ in 0..COUNT {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        let port = u16::try_from(FIRST + offset).unwrap_or(u16::MAX);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_given_twice_and_none_that_is_taken() {
        let mut all: Vec<u16> = (0..20).flat_map(|_| free::<5>().unwrap()).collect();
        assert!(all.iter().all(|port| (20_000..32_000).contains(port)));
        let held = TcpListener::bind(("127.0.0.1", all[0])).unwrap();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100);
        assert!((0..500).all(|_| free::<1>().unwrap() != [held.local_addr().unwrap().port()]));
    }
}
