//! `tcp`: whether a connection can be made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Why;
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::wire::{Resolving, dial};
use crate::base::{Problem, Span};
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kind.
pub(super) struct Tcp;

/// What a scenario writes under `tcp:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpSpec {
    /// Where to connect: `HOST:PORT`.
    address: String,
}

/// Host and port of `HOST:PORT`.
pub(super) fn split(address: &str) -> Result<(String, u16), String> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| format!("`{address}` has no port"))?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{port}` is not a port"))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (bare.is_none() && host.contains(':')) {
        return Err(format!("`{host}` is not a host"));
    }
    Ok((bare.unwrap_or(host).to_owned(), port))
}

impl Probe for Tcp {
    const KIND: &'static str = "tcp";
    const ABOUT: &'static str = "Connects to a TCP port and closes the connection again.";
    const EXAMPLE: &'static str = "tcp: { address: \"127.0.0.1:6432\" }\nrate: 20/s\ntimeout: 500ms\n";
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("outcome", "ok, refused, reset, timeout, dns or error"), ("duration", "seconds until connected")];
    type Spec = TcpSpec;

    fn check(&self, spec: &TcpSpec) -> Vec<Problem> {
        match split(&without_templates(&spec.address)) {
            Ok(_) => Vec::new(),
            Err(why) => vec![Problem::new("/address", why).help("write `HOST:PORT`, for example `127.0.0.1:5432` or `[::1]:5432`")],
        }
    }

    fn good(&self, _: &TcpSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn open(&self, spec: TcpSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let (host, port) = split(&cx.reveal(&spec.address, None)?).map_err(Why::Spec)?;
        Ok(Box::new(Port { host, port }))
    }
}

struct Port {
    host: String,
    port: u16,
}

impl Ask for Port {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let resolving = Resolving::timed(cx.clock);
            let sent = cx.clock.now();
            let dialled = tokio::time::timeout(limit.std(), dial(&self.host, self.port, limit, &resolving)).await;
            let done = cx.clock.now();
            let answer = match dialled.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
                Ok(_) => Answer::of(sent, done),
                Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
            };
            Answer { legs: Some(resolving.legs()), ..answer }.within(limit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Class;
    use crate::event::Verdict;
    use crate::probe::testing::{cx, judged};
    use serde_json::json;

    #[test]
    fn addresses_need_host_and_port() {
        for good in ["127.0.0.1:1", "db:5432", "[::1]:80", "db:${port}"] {
            assert!(Probe::check(&Tcp, &TcpSpec { address: good.into() }).is_empty(), "{good}");
        }
        for bad in ["db", "db:", "db:0", "db:99999", ":80", "::1:80"] {
            assert_eq!(Probe::check(&Tcp, &TcpSpec { address: bad.into() })[0].at, "/address", "{bad}");
        }
    }

    #[tokio::test]
    async fn up_refused_and_hanging() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ask = |address: String, expect| async move {
            let judged = judged("tcp", json!({"address": address}), expect, Span::millis(150), &cx()).await;
            (judged.verdict, judged.class)
        };
        assert_eq!(ask(address.clone(), json!({})).await, (Verdict::Ok, Class::Ok));
        assert_eq!(ask(address.clone(), json!({"duration": {"max": "150ms"}})).await, (Verdict::Ok, Class::Ok));
        drop(listener);
        assert_eq!(ask(address.clone(), json!({})).await, (Verdict::Bad, Class::Refused));
        assert_eq!(ask(address, json!({"outcome": {"equals": "refused"}})).await, (Verdict::Ok, Class::Ok));
    }

    #[tokio::test]
    async fn a_full_backlog_is_a_time_out() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            let opening = tokio::net::TcpStream::connect(address);
            if let Ok(Ok(stream)) = tokio::time::timeout(Span::millis(50).std(), opening).await {
                held.push(stream);
            }
        }
        let seen = judged("tcp", json!({"address": address.to_string()}), json!({}), Span::millis(100), &cx()).await;
        assert_eq!((seen.verdict, seen.class), (Verdict::Bad, Class::Timeout));
    }
}
