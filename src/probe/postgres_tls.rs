//! TLS beneath the protocol of PostgreSQL: the server is asked for it in plain text, and nothing else is said before the handshake.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Stream;

use super::error::Why;
use super::http::TlsSpec;
use super::room::Bounded;
use crate::sys::Cx;
use crate::sys::http::client_config;

/// Shakes hands with one server.
#[derive(Clone)]
pub(super) struct Shakes {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Shakes {
    /// With whoever can show a certificate for the host, or for the name that is asked for.
    pub(super) fn with(spec: &TlsSpec, host: &str, cx: &Cx) -> Result<Shakes, Why> {
        let name = spec.server_name.as_deref().map(|name| cx.reveal(name, None)).transpose()?;
        let name = name.unwrap_or_else(|| host.trim_matches(['[', ']']).to_owned());
        let name = ServerName::try_from(name).map_err(|_| Why::Spec("the server's name cannot stand in a certificate".into()))?;
        Ok(Shakes { config: client_config(&spec.trust(cx)?)?, name })
    }
}

impl TlsConnect<Bounded<TcpStream>> for Shakes {
    type Stream = Shaken;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Shaken>> + Send>>;

    fn connect(self, stream: Bounded<TcpStream>) -> Self::Future {
        Box::pin(async move { TlsConnector::from(self.config).connect(self.name, stream).await.map(Shaken) })
    }
}

/// A connection after the handshake.
pub(super) struct Shaken(Stream<Bounded<TcpStream>>);

impl TlsStream for Shaken {
    fn channel_binding(&self) -> ChannelBinding {
        // Passwords are proven by SCRAM without it: the certificate was verified already.
        ChannelBinding::none()
    }
}

impl AsyncRead for Shaken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Shaken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
