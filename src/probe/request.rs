//! Requests and the connections they travel on. hyper's own connection type, driven by us: what is measured is one exchange and nothing that a
//! client library does behind it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::error::Why;
use super::http::{Connection, HttpSpec};
use super::judge::Answer;
use super::wire::{Failure, Resolving, dial, of_hyper, of_io};
use crate::base::Span;
use crate::event::Class;
use crate::sys::Cx;
use crate::sys::http::client_config;

/// Largest body that is read, in bytes.
const BODY: usize = 1 << 20;

/// Stands for the key until a write has its number.
const KEY: &str = "\u{fdd0}key\u{fdd1}";

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    tls: bool,
    host: String,
    port: u16,
    /// For the `host` header.
    authority: String,
    /// Path and query.
    path: String,
}

/// Takes a URL apart.
pub(super) fn target_of(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(format!("`{url}` does not begin with `http://` or `https://`")),
    };
    let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(|| format!("`{url}` names no host"))?;
    if authority.as_str().contains('@') {
        return Err("a URL with credentials is not taken".to_owned());
    }
    Ok(Target {
        tls,
        host: authority.host().to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.as_str().to_owned(),
        path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
    })
}

/// A request whose secrets are revealed and whose `${key}`, if any, is still open. Never printed.
pub(super) struct Template {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    is_json: bool,
    close: bool,
}

/// A request on its way, or why there is none.
pub(super) type Filled = Result<(Target, Request<Full<Bytes>>), String>;

impl Template {
    /// Reveals what the spec refers to.
    pub(super) fn new(spec: &HttpSpec, cx: &Cx) -> Result<Template, Why> {
        let reveal = |text: &str| cx.reveal(text, Some(KEY));
        let json = spec.json.as_ref().map(|json| reveal_in(json, &reveal)).transpose()?;
        let is_json = json.is_some();
        Ok(Template {
            method: spec.method.clone(),
            url: reveal(&spec.url)?,
            headers: spec
                .headers
                .iter()
                .map(|(name, value)| Ok((name.clone(), reveal(value)?)))
                .collect::<Result<_, crate::sys::FillError>>()?,
            body: match json {
                Some(json) => Some(json.to_string()),
                None => spec.body.as_deref().map(reveal).transpose()?,
            },
            is_json,
            close: spec.connection == Connection::New,
        })
    }

    /// The request for a key. Errors never show the request, which may hold a secret.
    pub(super) fn fill(&self, key: &str) -> Filled {
        let target = target_of(&self.url.replace(KEY, key)).map_err(|_| "the URL is none once it is filled".to_owned())?;
        let body = self.body.as_ref().map(|body| Bytes::from(body.replace(KEY, key))).unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))));
        headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(|_| "the host is not ASCII".to_owned())?);
        if self.is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.headers {
            let bad = || format!("the header {name} is not valid once it is filled");
            let value = HeaderValue::from_str(&value.replace(KEY, key)).map_err(|_| bad())?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        *request.uri_mut() = target.path.parse().map_err(|_| "the path is none once it is filled".to_owned())?;
        *request.headers_mut() = headers;
        Ok((target, request))
    }
}

fn reveal_in<E>(value: &Value, reveal: &impl Fn(&str) -> Result<String, E>) -> Result<Value, E> {
    Ok(match value {
        Value::String(text) => Value::String(reveal(text)?),
        Value::Array(items) => Value::Array(items.iter().map(|item| reveal_in(item, reveal)).collect::<Result<_, E>>()?),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| Ok((key.clone(), reveal_in(item, reveal)?))).collect::<Result<_, E>>()?)
        }
        other => other.clone(),
    })
}

/// A connection of ours. Dropping it closes it.
struct Held {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Exchanges requests for answers.
pub(super) struct Client {
    tls: Option<(Arc<ClientConfig>, Option<ServerName<'static>>)>,
    keep: bool,
    /// Connections that wait for their next request; never more than were in flight at one time.
    idle: Mutex<Vec<Held>>,
}

impl Client {
    /// A client for one probe.
    pub(super) fn new(spec: &HttpSpec, cx: &Cx) -> Result<Client, Why> {
        let tls = if cx.reveal(&spec.url, Some("1"))?.starts_with("https:") {
            let name = spec.tls.server_name.as_deref().map(|name| cx.reveal(name, None)).transpose()?;
            let name =
                name.map(|name| ServerName::try_from(name).map_err(|_| Why::Spec("`server_name` is not a name".into()))).transpose()?;
            Some((client_config(&spec.tls.trust(cx)?)?, name))
        } else {
            None
        };
        Ok(Client { tls, keep: spec.connection == Connection::KeepAlive, idle: Mutex::default() })
    }

    /// One exchange within a limit that covers name, connection, TLS, request and the whole answer.
    pub(super) async fn ask(&self, request: Filled, limit: Span, cx: &Cx) -> Answer {
        let sent = cx.clock.now();
        let (target, request) = match request {
            Ok(filled) => filled,
            Err(why) => return Answer::failed(sent, sent, Class::Local, why),
        };
        let resolving = Resolving::default();
        let exchanged = tokio::time::timeout(limit.std(), self.exchange(&target, request, limit, &resolving)).await;
        let done = cx.clock.now();
        let answer = match exchanged.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
            Ok((fields, body)) => Answer { sent, done, class: Class::Ok, fields, text: Some(body), note: None },
            Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
        };
        answer.within(limit)
    }

    async fn exchange(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        limit: Span,
        resolving: &Resolving,
    ) -> Result<(Map<String, Value>, String), Failure> {
        let (mut held, response) = self.send(target, request, limit, resolving).await?;
        let (head, body) = response.into_parts();
        let body = read_bounded(body).await?;
        if self.keep && held.sender.ready().await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
        let mut fields = Map::new();
        fields.insert("status".into(), json!(head.status.as_u16()));
        fields.insert("headers".into(), headers_of(&head.headers));
        let body = String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        fields.insert("body".into(), Value::from(body.as_str()));
        Ok((fields, body))
    }

    /// Sends over an idle connection, or a new one. A request that never left, because its idle connection had ended, is sent over another:
    /// that is no retry. One that left is not sent again.
    async fn send(
        &self,
        target: &Target,
        mut request: Request<Full<Bytes>>,
        limit: Span,
        resolving: &Resolving,
    ) -> Result<(Held, Response<Incoming>), Failure> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reused = idle.is_some();
            let mut held = match idle {
                Some(held) => held,
                None => self.connect(target, limit, resolving).await?,
            };
            match held.sender.try_send_request(request).await {
                Ok(response) => return Ok((held, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(of_hyper(error.error())),
                },
            }
        }
    }

    async fn connect(&self, target: &Target, limit: Span, resolving: &Resolving) -> Result<Held, Failure> {
        let stream = dial(&target.host, target.port, limit, resolving).await?;
        let Some((config, name)) = self.tls.as_ref().filter(|_| target.tls) else { return speak(stream).await };
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let name = match name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| Failure::new(Class::Tls, "TLS: the host's name cannot stand in a certificate"))?,
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| of_io(&error))?;
        speak(stream).await
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Held, Failure> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
    // Its errors reach whoever waits for an answer.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Held { sender, driver })
}

async fn read_bounded(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| of_hyper(&error))?.into_data() {
            if read.len() + data.len() > BODY {
                return Err(Failure::new(Class::Error, "the answer is larger than 1 MiB"));
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

fn headers_of(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        map.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::cx;

    #[test]
    fn urls_come_apart() {
        let target = target_of("http://127.0.0.1:8080/a/b?c=d").unwrap();
        assert_eq!((target.port, target.path.as_str(), target.authority.as_str()), (8080, "/a/b?c=d", "127.0.0.1:8080"));
        let target = target_of("https://host").unwrap();
        assert_eq!((target.tls, target.port, target.path.as_str()), (true, 443, "/"));
    }

    #[test]
    fn a_key_is_filled_wherever_it_stands_and_secrets_stay_well_formed() {
        let spec: HttpSpec = serde_json::from_value(json!({
            "method": "PUT", "url": "http://h/x/${key}", "headers": {"idempotency-key": "k-${key}", "x-text": "${$}{key}"}, "json": {"id": "${key}", "p": "${secret:path}"},
        }))
        .unwrap();
        let template = Template::new(&spec, &cx()).unwrap();
        let (target, request) = template.fill("r-w1-7").unwrap();
        assert_eq!(target.path, "/x/r-w1-7");
        assert_eq!(request.headers()["idempotency-key"], "k-r-w1-7");
        assert_eq!(request.headers()["x-text"], "${key}", "what is escaped is no key");
        let body = template.body.unwrap().replace(KEY, "r-w1-7");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, json!({"id": "r-w1-7", "p": std::env::var_os("PATH").unwrap().to_str().unwrap()}));
    }

    #[test]
    fn headers_are_by_lower_case_name_and_joined() {
        let mut headers = HeaderMap::new();
        headers.append("Via", HeaderValue::from_static("a"));
        headers.append("VIA", HeaderValue::from_static("b"));
        assert_eq!(headers_of(&headers), json!({"via": "a, b"}));
    }
}
