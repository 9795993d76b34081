//! One connection through the proxy: two one-way pumps that obey the toxics of the moment.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::toxic::{Active, Delay};
use crate::base::Span;
use crate::sys::clock;

/// Read at once.
const BUFFER: usize = 128 * 1024;
/// Held back at most, each way of a connection; beyond it the sender waits, as with a full network.
const HELD: usize = 8 * 1024 * 1024;
/// How long the upstream may take to accept.
const CONNECT_LIMIT: Span = Span::secs(10);

/// Carries a connection until both sides have closed it, one has broken it, or a toxic resets it.
pub async fn carry(client: TcpStream, upstream: &str, active: watch::Receiver<Active>) {
    let mut client = client;
    let _ = client.set_nodelay(true);
    let Some(mut upstream) = connect(upstream, active.clone()).await else { return reset(&client) };
    let _ = upstream.set_nodelay(true);
    let whole = {
        let (client_read, client_write) = client.split();
        let (upstream_read, upstream_write) = upstream.split();
        let pumps = async {
            tokio::try_join!(
                pump(client_read, upstream_write, active.clone(), |active| active.up),
                pump(upstream_read, client_write, active.clone(), |active| active.down),
            )
        };
        let mut active = active.clone();
        tokio::select! {
            pumped = pumps => pumped.is_ok(),
            _ = active.wait_for(|active| active.reset) => false,
        }
    };
    if !whole {
        reset(&client);
        reset(&upstream);
    }
}

/// What closes next is a reset: no end of stream that looks like the whole truth.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// `None`: the client is to be reset.
async fn connect(upstream: &str, mut active: watch::Receiver<Active>) -> Option<TcpStream> {
    loop {
        let now = *active.borrow_and_update();
        if now.reset {
            return None;
        }
        if !now.blackhole {
            break;
        }
        // Accepted, and then nothing; what the client sends meanwhile waits in its socket and is not lost.
        active.changed().await.ok()?;
    }
    tokio::select! {
        connected = tokio::time::timeout(CONNECT_LIMIT.std(), TcpStream::connect(upstream)) => connected.ok()?.ok(),
        _ = active.wait_for(|active| active.reset) => None,
    }
}

/// A piece on its way; an empty one is the end of the stream.
struct Piece {
    due: u64,
    bytes: Bytes,
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut active: watch::Receiver<Active>,
    way: impl Fn(&Active) -> Delay,
) -> io::Result<()> {
    let mut queue: VecDeque<Piece> = VecDeque::new();
    let mut buffer = BytesMut::new();
    let (mut held, mut last_due, mut ended, mut lost) = (0_usize, 0_u64, false, false);
    let mut random = clock::mono_ns() | 1;
    loop {
        let now = *active.borrow_and_update();
        let delay = way(&now);
        if now.blackhole && held > 0 {
            lost = true;
            held = 0;
            queue.retain(|piece| piece.bytes.is_empty());
        } else if lost && !now.blackhole {
            // A stream with a gap in it must not go on as if it were whole.
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        // A delay that was lifted holds nothing back any longer.
        let wait = match queue.front() {
            Some(_) if now.blackhole => None,
            Some(_) if delay == Delay::default() => Some(Span::ZERO),
            Some(piece) => Some(Span(piece.due.saturating_sub(clock::mono_ns()))),
            None => None,
        };
        if wait == Some(Span::ZERO) && queue.front().is_some_and(|piece| piece.bytes.is_empty()) {
            return to.shutdown().await;
        }
        buffer.reserve(BUFFER);
        tokio::select! {
            changed = active.changed() => changed.map_err(|_| io::ErrorKind::BrokenPipe)?,
            read = from.read_buf(&mut buffer), if !ended && held < HELD => {
                let bytes = buffer.split().freeze();
                ended = read? == 0;
                if now.blackhole && !ended {
                    lost = true;
                    continue;
                }
                held += bytes.len();
                random = shuffled(random);
                // In order, whatever the jitter says.
                last_due = last_due.max(clock::mono_ns().saturating_add(delay.of_piece(random).0));
                queue.push_back(Piece { due: last_due, bytes });
            }
            written = write_front(&mut to, &mut queue), if wait == Some(Span::ZERO) => {
                held = held.saturating_sub(written?);
                if queue.front().is_some_and(|piece| piece.bytes.is_empty()) && !(ended && queue.len() == 1) {
                    queue.pop_front();
                }
            }
            () = clock::sleep(wait.unwrap_or_default()), if wait.is_some_and(|wait| wait > Span::ZERO) => {}
        }
    }
}

async fn write_front(to: &mut WriteHalf<'_>, queue: &mut VecDeque<Piece>) -> io::Result<usize> {
    match queue.front_mut() {
        Some(piece) => to.write_buf(&mut piece.bytes).await,
        None => Ok(0),
    }
}

/// Marsaglia's xorshift: evenly spread is all that jitter needs.
fn shuffled(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^ (x << 17)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    struct Path {
        client: TcpStream,
        server: TcpStream,
        active: watch::Sender<Active>,
    }

    async fn path() -> Path {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = upstream.local_addr().unwrap().to_string();
        let (active, seen) = watch::channel(Active::default());
        let client = TcpStream::connect(proxy.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = proxy.accept().await.unwrap();
        tokio::spawn(async move { carry(accepted, &address, seen).await });
        let (server, _) = upstream.accept().await.unwrap();
        Path { client, server, active }
    }

    async fn through(path: &mut Path, text: &[u8]) -> u64 {
        let start = clock::mono_ns();
        path.client.write_all(text).await.unwrap();
        let mut got = vec![0; text.len()];
        path.server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, text);
        clock::mono_ns() - start
    }

    fn delayed(ms: u64) -> Active {
        Active { up: Delay { by: Span::millis(ms), jitter: Span::ZERO }, ..Active::default() }
    }

    #[tokio::test]
    async fn bytes_and_both_ends_of_stream_pass() {
        let mut path = path().await;
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut read, mut write) = path.client.split();
        let send = async {
            write.write_all(&large).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let receive = path.server.read_to_end(&mut got);
        let ((), n) = tokio::join!(send, receive);
        assert_eq!(n.unwrap(), large.len());
        assert!(got == large);
        // The other half is still open.
        path.server.write_all(b"late answer").await.unwrap();
        drop(path.server);
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"late answer");
    }

    #[tokio::test]
    async fn a_delay_comes_and_goes_on_a_live_connection() {
        let mut path = path().await;
        assert!(through(&mut path, b"quick").await < Span::millis(100).0);
        path.active.send(delayed(150)).unwrap();
        let took = through(&mut path, b"slow").await;
        assert!((Span::millis(150).0..Span::millis(400).0).contains(&took), "{took}");
        // Lifted while bytes are held back: they come at once.
        path.active.send(delayed(60_000)).unwrap();
        path.client.write_all(b"held").await.unwrap();
        clock::sleep(Span::millis(50)).await;
        path.active.send(Active::default()).unwrap();
        let mut got = [0; 4];
        tokio::time::timeout(Span::secs(2).std(), path.server.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(&got, b"held");
    }

    #[tokio::test]
    async fn a_reset_reaches_both_sides() {
        let mut path = path().await;
        through(&mut path, b"fine").await;
        path.active.send(Active { reset: true, ..Active::default() }).unwrap();
        let error = path.client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = path.server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_stream_that_lost_bytes_in_a_black_hole_never_goes_on() {
        let mut path = path().await;
        through(&mut path, b"fine").await;
        path.active.send(Active { blackhole: true, ..Active::default() }).unwrap();
        path.client.write_all(b"lost").await.unwrap();
        let mut got = [0; 8];
        assert!(tokio::time::timeout(Span::millis(100).std(), path.server.read(&mut got)).await.is_err(), "nothing comes, nothing closes");
        path.active.send(Active::default()).unwrap();
        assert_eq!(path.server.read(&mut got).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_stream_that_was_silent_in_a_black_hole_goes_on() {
        let mut path = path().await;
        path.active.send(Active { blackhole: true, ..Active::default() }).unwrap();
        clock::sleep(Span::millis(20)).await;
        path.active.send(Active::default()).unwrap();
        through(&mut path, b"whole").await;
    }

    #[tokio::test]
    async fn an_upstream_that_refuses_resets_the_client() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(proxy.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = proxy.accept().await.unwrap();
        let (_active, seen) = watch::channel(Active::default());
        carry(accepted, "127.0.0.1:1", seen).await;
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
