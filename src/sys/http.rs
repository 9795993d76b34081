//! HTTP for the control plane, and how TLS is set up for everybody: one cryptography provider, the host's own trust store, no OpenSSL.
//! Probes hold their own connections; they take only the TLS set-up from here.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use serde_json::Value;

use crate::base::Span;

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Anybody: the certificate is not checked.
    pub insecure: bool,
    /// Only certificates that this file's authorities signed, in place of the host's trust store.
    pub ca_file: Option<PathBuf>,
}

/// What can go wrong on the control plane.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host's trust store cannot be used.
    #[error("read the host's trust store: {0}")]
    Trust(String),
    /// The authorities' file cannot be used.
    #[error("read the certificates in {path}: {why} (help: a PEM file of authorities is wanted, with `BEGIN CERTIFICATE` in it)")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// No answer, or none that could be read to its end.
    #[error("get an answer: {0}")]
    Exchange(String),
    /// An answer that is not a success.
    #[error("get an answer: status {0}")]
    Status(u16),
    /// Too much.
    #[error("read the answer: it is larger than {0} bytes")]
    Large(usize),
    /// Not JSON.
    #[error("read the answer as JSON: {0}")]
    Json(String),
}

/// The one cryptography provider, made the process's own on first use.
pub fn provider() -> Arc<CryptoProvider> {
    static ONE: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(ONE.get_or_init(|| {
        // Somebody else may have installed one first: any is as good, ours is used by name.
        let _ = ring::default_provider().install_default();
        Arc::new(ring::default_provider())
    }))
}

/// How a client speaks TLS, HTTP/1.1 by ALPN.
///
/// # Errors
/// The trust store or the authorities' file cannot be read.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, HttpError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| HttpError::Trust(error.to_string()))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier(trust)?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Resumed sessions would make the first handshake of a drill different from all the others.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Who says whether a certificate is trusted. The host's trust store is read once a process.
///
/// # Errors
/// The trust store or the authorities' file cannot be read.
pub fn verifier(trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>, HttpError> {
    static HOST: OnceLock<Result<Arc<Verifier>, String>> = OnceLock::new();
    match (trust.insecure, &trust.ca_file) {
        (false, None) => {
            let host = HOST.get_or_init(|| Verifier::new(provider()).map(Arc::new).map_err(|error| error.to_string()));
            Ok(host.clone().map_err(HttpError::Trust)?)
        }
        (true, _) => Ok(Arc::new(Anybody(provider()))),
        (false, Some(path)) => {
            let bad = |why: String| HttpError::CaFile { path: path.display().to_string(), why };
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
                roots.add(certificate.map_err(|error| bad(error.to_string()))?).map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it holds none".into()));
            }
            let made = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            Ok(made.map_err(|error| bad(error.to_string()))?)
        }
    }
}

/// Accepts any certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client for the control plane: no proxy from the environment, no redirect.
///
/// # Errors
/// The trust store cannot be read.
pub fn control_client(trust: &Trust) -> Result<reqwest::Client, HttpError> {
    let config = client_config(trust)?;
    reqwest::Client::builder()
        .tls_backend_preconfigured((*config).clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| HttpError::Exchange(words(&error.without_url())))
}

/// GETs a JSON document of at most `largest` bytes within `limit`. Nothing in an error names the address, which may hold a secret.
///
/// # Errors
/// No answer in time, not a success, too large, not JSON.
pub async fn get_json(
    client: &reqwest::Client,
    url: &str,
    headers: &IndexMap<String, String>,
    largest: usize,
    limit: Span,
) -> Result<Value, HttpError> {
    let answer = get(client, url, headers, largest, limit).await?;
    if !(200..300).contains(&answer.status) {
        return Err(HttpError::Status(answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|error| HttpError::Json(error.to_string()))
}

/// What was answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long to wait before asking again, where the answer says so: by `Retry-After` or `ratelimit-reset`, in seconds.
    pub wait: Option<Span>,
    /// The body.
    pub body: Vec<u8>,
}

/// GETs what lies at an address, at most `largest` bytes within `limit`. Nothing in an error names the address, which may hold a secret.
///
/// # Errors
/// No answer in time, or too large.
pub async fn get(
    client: &reqwest::Client,
    url: &str,
    headers: &IndexMap<String, String>,
    largest: usize,
    limit: Span,
) -> Result<Answer, HttpError> {
    let lost = |error: reqwest::Error| HttpError::Exchange(words(&error.without_url()));
    let mut request = client.get(url).timeout(limit.std());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut answer = request.send().await.map_err(lost)?;
    let seconds = |name: &str| answer.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok().map(Span::secs);
    let (status, wait) = (answer.status().as_u16(), seconds("retry-after").or_else(|| seconds("ratelimit-reset")));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > largest {
            return Err(HttpError::Large(largest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, wait, body })
}

/// POSTs a JSON document; any success will do, and what is answered is not read. Nothing in an error names the address, which may hold a secret.
///
/// # Errors
/// No answer in time, or not a success.
pub async fn post_json(
    client: &reqwest::Client,
    url: &str,
    headers: &IndexMap<String, String>,
    body: &impl serde::Serialize,
    limit: Span,
) -> Result<(), HttpError> {
    let lost = |error: reqwest::Error| HttpError::Exchange(words(&error.without_url()));
    let mut request = client.post(url).timeout(limit.std()).json(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.map_err(lost)?;
    if answer.status().is_success() { Ok(()) } else { Err(HttpError::Status(answer.status().as_u16())) }
}

/// Sends a JSON document, or asks, and reads a JSON document of at most 64 KiB; nothing where the answer is empty. Nothing in an error names the
/// address, which may hold a secret.
///
/// # Errors
/// No answer in time, not a success, too large, not JSON.
pub async fn send_json(
    client: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    headers: &IndexMap<String, String>,
    body: Option<&Value>,
    limit: Span,
) -> Result<Value, HttpError> {
    const LARGEST: usize = 64 * 1024;
    let lost = |error: reqwest::Error| HttpError::Exchange(words(&error.without_url()));
    let mut request = client.request(method, url).timeout(limit.std());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let mut answer = request.send().await.map_err(lost)?;
    if !answer.status().is_success() {
        return Err(HttpError::Status(answer.status().as_u16()));
    }
    let mut read = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if read.len() + chunk.len() > LARGEST {
            return Err(HttpError::Large(LARGEST));
        }
        read.extend_from_slice(&chunk);
    }
    if read.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&read).map_err(|error| HttpError::Json(error.to_string()))
}

/// The innermost cause: the outer ones only say "error sending request".
fn words(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn serving(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn json_is_read_and_everything_else_is_refused() {
        let client = control_client(&Trust { insecure: true, ca_file: None }).unwrap();
        let get = |url: String, largest| {
            let client = client.clone();
            async move { get_json(&client, &url, &IndexMap::new(), largest, Span::secs(1)).await }
        };
        let good = serving("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}").await;
        assert_eq!(get(good, 100).await.unwrap(), serde_json::json!({"a": 1}));
        let large = serving("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}").await;
        assert!(matches!(get(large, 3).await, Err(HttpError::Large(3))));
        let down = serving("HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n").await;
        assert!(matches!(get(down, 100).await, Err(HttpError::Status(503))));
        let text = serving("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        assert!(matches!(get(text, 100).await, Err(HttpError::Json(_))));
        let error = get("http://127.0.0.1:1/?token=hidden".into(), 100).await.unwrap_err().to_string();
        assert!(error.contains("refused") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn an_authorities_file_must_hold_one() {
        let missing = Trust { insecure: false, ca_file: Some("/nonexistent/ca.pem".into()) };
        assert!(matches!(client_config(&missing), Err(HttpError::CaFile { .. })));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        assert!(client_config(&Trust { insecure: false, ca_file: Some(path) }).unwrap_err().to_string().contains("holds none"));
    }
}
