//! `tls`: one handshake, and a look at the certificates that the server shows; also at those that are not trusted.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::error::Why;
use super::http::TlsSpec;
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::tcp;
use super::wire::{Failure, Resolving, dial, of_io};
use crate::base::{Problem, Span};
use crate::event::{Class, Leg};
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;
use crate::sys::http::{client_config, verifier};

/// The kind.
pub(super) struct Tls;

/// Most names of a certificate that are kept.
const NAMES: usize = 256;
/// Most certificates of a chain that are read.
const CHAIN: usize = 16;

/// What a scenario writes under `tls:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsProbeSpec {
    /// Where to connect: `HOST:PORT`.
    address: String,
    /// The name that is asked for and that the certificate must be for. Default: the host.
    #[serde(default)]
    server_name: Option<String>,
    /// A PEM file of authorities, in place of the host's trust store.
    #[serde(default)]
    ca_file: Option<String>,
    /// Take any certificate: it is looked at, not verified.
    #[serde(default)]
    insecure: bool,
    /// Protocols that are offered, for example `[h2, http/1.1]`. Default: none.
    #[serde(default)]
    alpn: Vec<String>,
}

impl Probe for Tls {
    const KIND: &'static str = "tls";
    const ABOUT: &'static str = "Connects, shakes hands by TLS and looks at the certificates.";
    const EXAMPLE: &'static str =
        concat!("tls: { address: \"shop.example.com:443\" }\n", "rate: 1/s\ntimeout: 2s\n", "expect: { expires_in: { min: 14d } }\n",);
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        (
            "outcome",
            "ok (the certificate is for this name, valid now and trusted, unless `insecure`), refused, reset, timeout, dns, tls or error",
        ),
        (
            "expires_in",
            "seconds until the certificate expires, or a duration such as `14d`; negative when it has; known of untrusted ones as well",
        ),
        ("chain_expires_in", "the same for whichever expires first of all certificates that the server shows"),
        ("subject", "whom the certificate is for, as in RFC 4514"),
        ("issuer", "who signed it"),
        ("names", "its alternative names as a list: host names and addresses"),
        ("version", "the TLS version: 1.2 or 1.3"),
        ("cipher", "the cipher suite"),
        ("alpn", "the protocol that the server chose, where it did"),
        ("duration", "seconds until the handshake was done"),
    ];
    type Spec = TlsProbeSpec;

    fn check(&self, spec: &TlsProbeSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = tcp::split(&without_templates(&spec.address)) {
            problems.push(Problem::new("/address", why).help("write `HOST:PORT`, for example `shop.example.com:443`"));
        }
        if let Some(name) = &spec.server_name
            && ServerName::try_from(without_templates(name)).is_err()
        {
            problems.push(
                Problem::new("/server_name", format!("`{name}` cannot stand in a certificate")).help("write a host's name or an address"),
            );
        }
        if spec.insecure && spec.ca_file.is_some() {
            problems.push(Problem::new("/ca_file", "`ca_file` has no meaning beside `insecure: true`"));
        }
        for (index, protocol) in spec.alpn.iter().enumerate() {
            if protocol.is_empty() || protocol.len() > 255 {
                let at = format!("/alpn/{index}");
                problems.push(Problem::new(at, "a protocol's name has 1 to 255 bytes").help("for example `h2`"));
            }
        }
        problems
    }

    fn good(&self, _: &TlsProbeSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn open(&self, spec: TlsProbeSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let (host, port) = tcp::split(&cx.reveal(&spec.address, None)?).map_err(Why::Spec)?;
        let name = spec.server_name.as_deref().map(|name| cx.reveal(name, None)).transpose()?.unwrap_or_else(|| host.clone());
        let name = ServerName::try_from(name).map_err(|_| Why::Spec("the server's name cannot stand in a certificate".into()))?;
        let trust = TlsSpec { insecure: spec.insecure, ca_file: spec.ca_file, server_name: None }.trust(cx)?;
        let mut config = client_config(&trust)?;
        Arc::make_mut(&mut config).alpn_protocols = spec.alpn.into_iter().map(String::into_bytes).collect();
        Ok(Box::new(Handshakes { host, port, name, config, verifier: verifier(&trust)? }))
    }
}

struct Handshakes {
    host: String,
    port: u16,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Ask for Handshakes {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let resolving = Resolving::timed(cx.clock);
            let shown = Arc::new(Shown { verifier: Arc::clone(&self.verifier), seen: Mutex::default() });
            let sent = cx.clock.now();
            let shaken = tokio::time::timeout(limit.std(), self.shake(&shown, limit, &resolving)).await;
            let done = cx.clock.now();
            let mut fields = shown.fields();
            let answer = match shaken.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
                Ok(agreed) => {
                    fields.extend(agreed);
                    Answer { fields, ..Answer::of(sent, done) }
                }
                // What was shown is known even where it was refused.
                Err(failure) => Answer { fields, ..Answer::failed(sent, done, failure.class, failure.note) },
            };
            Answer { legs: Some(resolving.legs()), ..answer }.within(limit)
        })
    }
}

impl Handshakes {
    /// Shakes hands; returns what was agreed on.
    async fn shake(&self, shown: &Arc<Shown>, limit: Span, resolving: &Resolving) -> Result<Map<String, Value>, Failure> {
        let stream = dial(&self.host, self.port, limit, resolving).await?;
        let mut config = (*self.config).clone();
        config.dangerous().set_certificate_verifier(Arc::clone(shown) as Arc<dyn ServerCertVerifier>);
        let shaken = TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream).await;
        let stream = shaken.map_err(|error| of_handshake(&error))?;
        resolving.did(Leg::Tls);
        Ok(agreed(stream.get_ref().1))
    }
}

fn agreed(connection: &ClientConnection) -> Map<String, Value> {
    let mut fields = Map::new();
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    if let Some(version) = version {
        fields.insert("version".into(), json!(version.trim_start_matches("TLSv").replace('_', ".")));
    }
    if let Some(cipher) = cipher {
        // As the standards write it; the library tells its versions apart by name.
        fields.insert("cipher".into(), json!(cipher.replacen("TLS13_", "TLS_", 1)));
    }
    if let Some(alpn) = connection.alpn_protocol() {
        fields.insert("alpn".into(), json!(String::from_utf8_lossy(alpn)));
    }
    fields
}

/// What is wrong with a certificate, in words for people; everything else as it is for every connection.
fn of_handshake(error: &std::io::Error) -> Failure {
    let said = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = said else { return of_io(error) };
    let words = match why {
        CertificateError::Expired => "has expired",
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = Span::secs(time.as_secs().saturating_sub(not_after.as_secs()));
            return Failure::new(Class::Tls, format!("TLS: a certificate has expired, {ago} ago"));
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet",
        CertificateError::UnknownIssuer => "is not signed by anybody who is trusted",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is for another name",
        CertificateError::Revoked => "is revoked",
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::BadSignature => "has a wrong signature",
        _ => return of_io(error),
    };
    Failure::new(Class::Tls, format!("TLS: the certificate {words}"))
}

/// Keeps what a server shows, and when, before another says whether it is trusted.
#[derive(Debug)]
struct Shown {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<(Vec<CertificateDer<'static>>, UnixTime)>>,
}

impl Shown {
    fn fields(&self) -> Map<String, Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref().map(|(chain, now)| fields_of(chain, *now)).unwrap_or_default()
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = [end_entity].into_iter().chain(intermediates).take(CHAIN);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((chain, now));
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// What stands in certificates, the server's own first. What cannot be read is left out: it then decides nothing.
fn fields_of(chain: &[CertificateDer<'_>], now: UnixTime) -> Map<String, Value> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let read: Vec<Option<Certificate>> = chain.iter().map(|one| Certificate::from_der(one).ok()).collect();
    let left = |certificate: &Certificate| {
        let end = certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
        i64::try_from(end).unwrap_or(i64::MAX).saturating_sub(now)
    };
    let mut fields = Map::new();
    let whole: Option<Vec<i64>> = read.iter().map(|one| one.as_ref().map(left)).collect();
    if let Some(first) = whole.and_then(|all| all.into_iter().min()) {
        fields.insert("chain_expires_in".into(), json!(first));
    }
    if let Some(Some(own)) = read.first() {
        fields.insert("expires_in".into(), json!(left(own)));
        fields.insert("subject".into(), json!(own.tbs_certificate().subject().to_string()));
        fields.insert("issuer".into(), json!(own.tbs_certificate().issuer().to_string()));
        fields.insert("names".into(), json!(names_of(own)));
    }
    fields
}

fn names_of(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else { return Vec::new() };
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::Rfc822Name(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        GeneralName::IpAddress(bytes) => address_of(bytes.as_bytes()),
        _ => None,
    };
    names.iter().filter_map(text).take(NAMES).collect()
}

fn address_of(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|ip| std::net::IpAddr::from(ip).to_string());
    let sixteen = <[u8; 16]>::try_from(bytes).map(|ip| std::net::IpAddr::from(ip).to_string());
    four.or(sixteen).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::probe::testing::{cx, expect};
    use crate::probe::{Judged, by_kind};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use std::path::{Path, PathBuf};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
    }

    /// A server that shows these certificates and speaks nothing but `h2`.
    async fn server(chain: &str, key: &str) -> String {
        let chain = CertificateDer::pem_file_iter(fixture(chain)).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(fixture(key)).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(crate::sys::http::provider()).with_safe_default_protocol_versions();
        let mut config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let _ = stream.read(&mut [0; 16]).await;
                    }
                });
            }
        });
        format!("127.0.0.1:{port}")
    }

    async fn asked(spec: Value, wanted: Value, limit: Span) -> (Answer, Judged) {
        let opened = by_kind("tls").unwrap().open(&spec, &expect(wanted), None, &cx()).unwrap();
        let answer = opened.ask.ask(0, limit, &cx()).await;
        let judged = opened.wanted.judge(&answer, None);
        (answer, judged)
    }

    const DAY: i64 = 24 * 3600;

    #[tokio::test]
    async fn a_trusted_chain_tells_what_stands_in_it() {
        let address = server("chain.pem", "chain.key").await;
        let spec = json!({"address": address, "server_name": "localhost", "ca_file": fixture("root.pem"), "alpn": ["h2"]});
        let (answer, judged) = asked(spec.clone(), json!({}), Span::secs(2)).await;
        assert_eq!((judged.verdict, judged.class), (Verdict::Ok, Class::Ok), "{judged:?}");
        let text = |name: &str| answer.fields[name].as_str().unwrap().to_owned();
        assert_eq!(text("subject"), "CN=localhost,O=Example\\, Inc.");
        assert_eq!(text("issuer"), "CN=firedrill test intermediate");
        assert_eq!(answer.fields["names"], json!(["localhost", "shop.example", "127.0.0.1"]));
        assert_eq!((text("version"), text("cipher"), text("alpn")), ("1.3".into(), "TLS_AES_256_GCM_SHA384".into(), "h2".into()));
        // The intermediate ends half a century before the server's own.
        let (own, chain) = (answer.fields["expires_in"].as_i64().unwrap(), answer.fields["chain_expires_in"].as_i64().unwrap());
        assert!(chain > 0 && own - chain > 18_000 * DAY, "{own} {chain}");
        let long = asked(spec.clone(), json!({"expires_in": {"min": "14d"}, "names": {"contains": "shop.example"}}), Span::secs(2)).await.1;
        assert_eq!(long.verdict, Verdict::Ok, "{long:?}");
        let longer = asked(spec, json!({"chain_expires_in": {"min": "36000d"}}), Span::secs(2)).await.1;
        assert_eq!((longer.verdict, longer.class), (Verdict::Bad, Class::Assertion));
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_is_a_tls_failure_and_still_looked_at() {
        let expired = server("expired.pem", "chain.key").await;
        let good = server("chain.pem", "chain.key").await;
        let by = |address: &str, more: Value| {
            let mut spec = json!({"address": address, "server_name": "localhost", "ca_file": fixture("root.pem")});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        for (spec, note) in [
            (by(&expired, json!({})), "TLS: a certificate has expired, "),
            (by(&good, json!({"ca_file": fixture("ca.pem")})), "TLS: the certificate is not signed by anybody who is trusted"),
            (by(&good, json!({"server_name": "bank.example"})), "TLS: the certificate is for another name"),
        ] {
            let (answer, judged) = asked(spec, json!({}), Span::secs(2)).await;
            assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::Tls), "{judged:?}");
            assert!(judged.note.as_deref().unwrap().starts_with(note), "{judged:?}");
            assert!(answer.fields["issuer"].is_string() && !answer.fields.contains_key("version"));
        }
        let (answer, _) = asked(by(&expired, json!({})), json!({}), Span::secs(2)).await;
        assert!(answer.fields["expires_in"].as_i64().unwrap() < -600 * DAY);
        assert_eq!(answer.fields["chain_expires_in"], answer.fields["expires_in"]);
        let unchecked = json!({"address": expired, "insecure": true});
        assert_eq!(asked(unchecked.clone(), json!({}), Span::secs(2)).await.1.verdict, Verdict::Ok);
        let soon = asked(unchecked, json!({"expires_in": {"min": "1s"}}), Span::secs(2)).await.1;
        assert_eq!((soon.verdict, soon.class), (Verdict::Bad, Class::Assertion));
        let wanted = json!({"outcome": {"equals": "tls"}, "expires_in": {"max": 0}});
        assert_eq!(asked(by(&expired, json!({})), wanted, Span::secs(2)).await.1.verdict, Verdict::Ok);
        // The host's own trust store knows nothing of a test's authority; without a `server_name` the address is asked for.
        let own = asked(json!({"address": good}), json!({}), Span::secs(2)).await.1;
        assert_eq!(own.class, Class::Tls, "{own:?}");
        let by_address = json!({"address": good, "ca_file": fixture("root.pem")});
        assert_eq!(asked(by_address, json!({}), Span::secs(2)).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn what_does_not_shake_hands_has_its_class() {
        async fn scripted(bytes: &'static [u8], hold: bool) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(bytes).await;
                    if hold {
                        crate::sys::clock::sleep(Span::secs(2)).await;
                    }
                }
            });
            address
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        for (address, class) in [
            (free, Class::Refused),
            (scripted(b"", true).await, Class::Timeout),
            (scripted(b"", false).await, Class::Reset),
            (scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await, Class::Tls),
            (scripted(b"\x16\x03\x03\xff\xff\x0b\xff\xff\xff\xff", false).await, Class::Tls),
        ] {
            let judged = asked(json!({"address": address, "insecure": true}), json!({}), Span::millis(300)).await.1;
            assert_eq!((judged.verdict, judged.class), (Verdict::Bad, class), "{judged:?}");
        }
    }

    #[test]
    fn garbage_in_a_certificate_decides_nothing() {
        let whole = CertificateDer::from_pem_file(fixture("chain.pem")).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        for place in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[place] ^= 0xff;
            let fields = fields_of(&[CertificateDer::from(bytes), CertificateDer::from(whole[..place].to_vec())], now);
            assert!(!fields.contains_key("chain_expires_in"), "a chain that cannot be read whole");
        }
        assert!(fields_of(&[], now).is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |spec: Value| by_kind("tls").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        assert!(check(json!({"address": "shop:443", "server_name": "shop.example", "alpn": ["h2"]})).is_empty());
        let wrong = json!({"address": "shop", "server_name": "a b", "insecure": true, "ca_file": "x", "alpn": [""]});
        assert_eq!(check(wrong), ["/address", "/server_name", "/ca_file", "/alpn/0"]);
    }
}
