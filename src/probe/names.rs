//! Names as a client sees them that keeps what their name server lets it keep, and no longer.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};

use hickory_proto::op::ResponseCode;

use super::dns::{Questions, Sort, Transport, code_word, name_of, server_of};
use super::error::Why;
use super::http::HttpSpec;
use super::wire::Failure;
use crate::base::{At, Span};
use crate::event::Class;
use crate::sys::{Clock, Cx};

/// What a name stands for, kept for as long as its name server says.
pub(super) struct Names {
    server: Option<SocketAddr>,
    clock: Clock,
    /// With the moment from which on it is asked for anew.
    kept: Mutex<Option<(Vec<SocketAddr>, At)>>,
}

impl Names {
    /// For one probe.
    pub(super) fn new(spec: &HttpSpec, cx: &Cx) -> Result<Names, Why> {
        let server = spec.name_server.as_deref().map(|server| cx.reveal(server, None)).transpose()?;
        let server = server.map(|server| server_of(&server)).transpose().map_err(Why::Spec)?;
        Ok(Names { server, clock: cx.clock, kept: Mutex::default() })
    }

    /// The addresses of a host. Everybody who finds them outdated asks: whoever waited for another's answer would inherit its time-out, and names that may not
    /// be kept at all would be asked for one after another.
    pub(super) async fn addresses(&self, host: &str, port: u16, limit: Span) -> Result<Vec<SocketAddr>, Failure> {
        let now = self.clock.now();
        let known = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .filter(|(_, until)| now < *until)
            .map(|(known, _)| known.clone());
        if let Some(known) = known {
            return Ok(known);
        }
        // It counts from the question: by the time the answer is here, it may have been kept for a while already.
        let asked = self.clock.now();
        let (found, seconds) = addresses(host, self.server, limit).await?;
        let found: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let until = asked + Span::secs(u64::from(seconds));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(_, known)| *known < until) {
            *kept = Some((found.clone(), until));
        }
        Ok(found)
    }
}

/// Addresses of a host, IPv4 before IPv6, and for how many seconds the name server lets them be kept. An address stands for itself, for ever.
async fn addresses(host: &str, server: Option<SocketAddr>, limit: Span) -> Result<(Vec<IpAddr>, u32), Failure> {
    if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok((vec![ip], u32::MAX));
    }
    let mut found = Vec::new();
    let mut lowest = u32::MAX;
    let mut refusal = None;
    for sort in [Sort::A, Sort::Aaaa] {
        let name = name_of(host, sort).map_err(|why| Failure::new(Class::Dns, why))?;
        let questions = Questions { name, sort: sort.record_type(), server, transport: Transport::Udp };
        // Whatever befell the question, it is the name that was not found out; but what is our own trouble stays so.
        let lost = |failure: Failure| match failure.class {
            Class::Local => failure,
            _ => Failure::new(Class::Dns, format!("name not resolved: {}", failure.note)),
        };
        let answer = questions.ask_any(limit, &AtomicU32::new(0)).await.map_err(lost)?;
        let code = answer.message.metadata.response_code;
        let (records, ttl) = questions.records(&answer.message.answers);
        if !matches!(code, ResponseCode::NoError) {
            refusal.get_or_insert(format!("name not resolved: {}", code_word(code)));
        }
        found.extend(records.iter().filter_map(|text| text.parse::<IpAddr>().ok()));
        lowest = lowest.min(ttl.unwrap_or(u32::MAX));
    }
    if found.is_empty() {
        return Err(Failure::new(Class::Dns, refusal.unwrap_or_else(|| "name not resolved: no address".to_owned())));
    }
    Ok((found, lowest))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record, RecordType};
    use serde_json::json;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::probe::by_kind;
    use crate::probe::testing::name_server::{Script, reply, server};
    use crate::probe::testing::{cx, expect};

    #[tokio::test]
    async fn a_name_is_kept_for_as_long_as_its_server_says() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let script: Script = |question, _| {
            let mut message = reply(question, ResponseCode::NoError);
            if question.queries[0].query_type == RecordType::A {
                // Each answer may be kept for a second; the first leads nowhere.
                let last = if ASKED.fetch_add(1, Ordering::SeqCst) == 0 { 2 } else { 1 };
                let data = RData::A(A::new(127, 0, 0, last));
                message.add_answer(Record::from_rdata(question.queries[0].name.clone(), 1, data));
            }
            vec![message.to_vec().unwrap()]
        };
        let server = server(script).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    crate::probe::testing::request(&mut stream).await;
                    let _ = stream.write_all(&crate::probe::testing::reply("200 OK", "", "ok")).await;
                });
            }
        });
        let spec = json!({"url": format!("http://orders.test:{port}/"), "resolve": "ttl", "name_server": server.to_string()});
        let cx = cx();
        let opened = by_kind("http").unwrap().open(&spec, &expect(json!({})), None, &cx).unwrap();
        let mut classes = Vec::new();
        let begin = cx.clock.now();
        let mut back = None;
        while back.is_none() && cx.clock.now().since(begin) < Span::secs(4) {
            let class = opened.ask.ask(0, Span::millis(500), &cx).await.class;
            classes.push(class);
            if class == Class::Ok {
                back = Some(cx.clock.now().since(begin));
            }
            crate::sys::clock::sleep(Span::millis(20)).await;
        }
        assert!(classes[0] == Class::Refused && classes.len() > 5, "{classes:?}");
        assert!(back.is_some_and(|back| back >= Span::millis(900)), "kept for its second, and then asked anew: {back:?}");
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
        let silent = json!({"url": "http://orders.test/", "resolve": "ttl", "name_server": "127.0.0.1:1"});
        let opened = by_kind("http").unwrap().open(&silent, &expect(json!({})), None, &cx).unwrap();
        let answer = opened.ask.ask(0, Span::millis(300), &cx).await;
        assert_eq!(answer.class, Class::Dns, "{answer:?}");
    }

    #[tokio::test]
    async fn a_name_server_that_comes_back_is_reached_although_many_wait() {
        // It is silent at first, and then takes longer than the time between two questions; what it says may not be kept at all.
        let udp = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let server = udp.local_addr().unwrap();
        let back = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&back);
        tokio::spawn(async move {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..length]).unwrap();
                if !up.load(Ordering::SeqCst) {
                    continue;
                }
                let udp = Arc::clone(&udp);
                tokio::spawn(async move {
                    crate::sys::clock::sleep(Span::millis(40)).await;
                    let mut message = reply(&question, ResponseCode::NoError);
                    if question.queries[0].query_type == RecordType::A {
                        message.add_answer(Record::from_rdata(question.queries[0].name.clone(), 0, RData::A(A::new(127, 0, 0, 1))));
                    }
                    udp.send_to(&message.to_vec().unwrap(), from).await.unwrap();
                });
            }
        });
        let (listener, url) = crate::probe::testing::listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    crate::probe::testing::request(&mut stream).await;
                    let _ = stream.write_all(&crate::probe::testing::reply("200 OK", "", "ok")).await;
                });
            }
        });
        let spec = json!({"url": url.replace("127.0.0.1", "orders.test"), "resolve": "ttl", "name_server": server.to_string()});
        let opened = by_kind("http").unwrap().open(&spec, &expect(json!({})), None, &cx()).unwrap();
        let classes = crate::probe::testing::asked_until_it_is_back(opened, &back).await;
        assert!(classes[..10].iter().all(|class| *class == Class::Dns), "{classes:?}");
        assert!(classes[40..].contains(&Class::Ok), "{classes:?}");
    }
}
