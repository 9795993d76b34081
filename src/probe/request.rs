//! Requests: what a scenario writes, filled in and ready to be sent.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use serde_json::Value;

use super::error::Why;
use super::http::{Connection, HttpSpec};
use crate::sys::Cx;

/// Stands for the key until a write has its number.
const KEY: &str = "\u{fdd0}key\u{fdd1}";

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether TLS is spoken.
    pub(super) tls: bool,
    /// The host, an IPv6 address in brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// For the `host` header.
    authority: String,
    /// Path and query.
    path: String,
}

impl Target {
    /// Path and query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as they were written.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The URL that it was.
    pub(super) fn url(&self) -> String {
        format!("http{}://{}{}", if self.tls { "s" } else { "" }, self.authority, self.path)
    }

    /// The same scheme, host and port.
    pub(super) fn is_same_place(&self, other: &Target) -> bool {
        (self.tls, self.port) == (other.tls, other.port) && self.host.eq_ignore_ascii_case(&other.host)
    }
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
    connection: Connection,
    /// The request itself, where it is the same for every key.
    same: Option<(Arc<Target>, Request<Full<Bytes>>)>,
}

/// A request on its way, or why there is none.
pub(super) type Filled = Result<(Arc<Target>, Request<Full<Bytes>>), String>;

impl Template {
    /// Reveals what the spec refers to.
    pub(super) fn new(spec: &HttpSpec, cx: &Cx) -> Result<Template, Why> {
        let reveal = |text: &str| cx.reveal(text, Some(KEY));
        let json = spec.json.as_ref().map(|json| reveal_in(json, &reveal)).transpose()?;
        let is_json = json.is_some();
        let mut template = Template {
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
            connection: spec.connection,
            same: None,
        };
        let open = |text: &String| text.contains(KEY);
        let varies =
            open(&template.url) || template.body.as_ref().is_some_and(open) || template.headers.iter().any(|(_, value)| open(value));
        template.same = template.fill("").ok().filter(|_| !varies);
        Ok(template)
    }

    /// The request for a key. Errors never show the request, which may hold a secret.
    pub(super) fn fill(&self, key: &str) -> Filled {
        if let Some(same) = &self.same {
            return Ok(same.clone());
        }
        let target = target_of(&self.url.replace(KEY, key)).map_err(|_| "the URL is none once it is filled".to_owned())?;
        let body = self.body.as_ref().map(|body| Bytes::from(body.replace(KEY, key))).unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))));
        // HTTP/2 names the host within the address, and says nothing of the connection.
        let multiplexed = self.connection == Connection::Http2;
        if !multiplexed {
            headers.insert(HOST, HeaderValue::from_str(&target.authority).map_err(|_| "the host is not ASCII".to_owned())?);
        }
        if self.is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.connection == Connection::New {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.headers {
            let bad = || format!("the header {name} is not valid once it is filled");
            let value = HeaderValue::from_str(&value.replace(KEY, key)).map_err(|_| bad())?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::from_bytes(self.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        let scheme = if target.tls { "https" } else { "http" };
        let address = if multiplexed { format!("{scheme}://{}{}", target.authority, target.path) } else { target.path.clone() };
        *request.uri_mut() = address.parse().map_err(|_| "the path is none once it is filled".to_owned())?;
        if multiplexed {
            *request.version_mut() = hyper::Version::HTTP_2;
        }
        *request.headers_mut() = headers;
        Ok((Arc::new(target), request))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::cx;
    use serde_json::json;

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
}
