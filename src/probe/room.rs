//! How much of an answer is taken in: libraries that keep a whole answer before anybody can look at it would take in whatever a server sends. The connection
//! ends when it has sent more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Failure;
use crate::event::Class;

/// Room for an answer, in bytes.
pub(super) const ANSWER: usize = 1 << 20;
/// Room for all keys of a ledger.
pub(super) const KEYS: usize = 64 << 20;

/// What a connection may still send.
#[derive(Debug, Clone)]
pub(super) struct Room {
    left: Arc<AtomicUsize>,
    most: usize,
}

impl Room {
    /// For so many bytes, and what the protocol puts around them.
    pub(super) fn of(most: usize) -> Room {
        Room { left: Arc::new(AtomicUsize::new(most)), most }
    }

    /// A failure as it is: whatever a library made of it, an answer that was too large is the answer's fault.
    pub(super) fn blame(&self, failure: Failure) -> Failure {
        if self.left.load(Ordering::Relaxed) > 0 {
            return failure;
        }
        Failure::new(Class::Error, format!("the answer is larger than {} MiB", self.most >> 20))
    }

    /// A stream that keeps to it.
    pub(super) fn bound<S>(&self, stream: S) -> Bounded<S> {
        Bounded { stream, room: self.clone() }
    }
}

/// A stream that ends when it has been read for more than there is room.
pub(super) struct Bounded<S> {
    stream: S,
    room: Room,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.room.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("the answer is too large")));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        self.room.left.store(left.saturating_sub(into.filled().len() - before), Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn it_ends_when_it_has_said_too_much() {
        let (mut server, client) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move { while server.write_all(&[7; 4096]).await.is_ok() {} });
        let room = Room::of(1 << 20);
        let mut bounded = room.bound(client);
        let mut read = Vec::new();
        let error = bounded.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer is too large");
        assert!(read.len() >= 1 << 20 && read.len() < (1 << 20) + (64 << 10), "{}", read.len());
        let blamed = room.blame(Failure::new(Class::Reset, "connection closed early"));
        assert_eq!((blamed.class, blamed.note.as_str()), (Class::Error, "the answer is larger than 1 MiB"));
        let other = Room::of(1 << 20).blame(Failure::new(Class::Reset, "connection closed early"));
        assert_eq!(other.class, Class::Reset);
    }
}
