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
