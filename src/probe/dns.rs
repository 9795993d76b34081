//! `dns`: one question to one name server, over a socket of its own. There is no cache, no search list and nothing that is asked again behind a
//! sample's back: the library only reads and writes messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::error::Why;
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::wire::{Failure, Resolving, dial, of_io};
use crate::base::{At, Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kind.
pub(super) struct Dns;

/// Where this host's name servers are named.
const CONFIG: &str = "/etc/resolv.conf";
/// How many of them a resolver looks at.
const SERVERS: usize = 3;
/// How many aliases are followed within one answer.
const ALIASES: usize = 16;
/// Where name servers listen.
const PORT: u16 = 53;

/// What a scenario writes under `dns:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsSpec {
    /// The whole name: no search list is tried. For `PTR` an address will do.
    name: String,
    /// The sort of record. Default `A`.
    #[serde(default, rename = "type")]
    sort: Sort,
    /// The name server: `IP` or `IP:PORT`. Default: those of `/etc/resolv.conf`, the next when one is silent, each with an equal share of the time.
    #[serde(default)]
    server: Option<String>,
    /// `udp` (what does not fit is asked for again over TCP, as every client does) or `tcp`. Default `udp`.
    #[serde(default)]
    transport: Transport,
}

/// A sort of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Sort {
    #[default]
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Srv,
    Txt,
    Ptr,
    Soa,
    Caa,
}

impl Sort {
    pub(super) fn record_type(self) -> RecordType {
        match self {
            Sort::A => RecordType::A,
            Sort::Aaaa => RecordType::AAAA,
            Sort::Cname => RecordType::CNAME,
            Sort::Mx => RecordType::MX,
            Sort::Ns => RecordType::NS,
            Sort::Srv => RecordType::SRV,
            Sort::Txt => RecordType::TXT,
            Sort::Ptr => RecordType::PTR,
            Sort::Soa => RecordType::SOA,
            Sort::Caa => RecordType::CAA,
        }
    }
}

/// How a name server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    #[default]
    Udp,
    Tcp,
}

/// The name that is asked for.
pub(super) fn name_of(text: &str, sort: Sort) -> Result<Name, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) if sort == Sort::Ptr => return Ok(Name::from(ip)),
        Ok(_) => return Err(format!("`{text}` is an address, not a name")),
        Err(_) => {}
    }
    let mut name = Name::from_str_relaxed(text).map_err(|error| format!("`{text}` is not a name: {error}"))?;
    if name.iter().next().is_none() && text != "." {
        return Err("there is no name".to_owned());
    }
    name.set_fqdn(true);
    Ok(name)
}

/// Where a name server listens.
pub(super) fn server_of(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0);
    let without = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT));
    with_port.or(without).ok_or_else(|| format!("`{text}` is not an address"))
}

/// The name servers of this host. Having none is our own trouble, not the target's.
fn servers_in(config: Option<&str>) -> Result<Vec<SocketAddr>, Failure> {
    let named = config.unwrap_or_default().lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())?
    });
    let servers: Vec<SocketAddr> = named.filter_map(|text| server_of(text).ok()).take(SERVERS).collect();
    if servers.is_empty() { Err(Failure::new(Class::Local, format!("{CONFIG} names no name server"))) } else { Ok(servers) }
}

impl Probe for Dns {
    const KIND: &'static str = "dns";
    const ABOUT: &'static str = "Asks a name server for the records of a name, without any cache.";
    const EXAMPLE: &'static str = concat!(
        "dns: { name: db.example.com, type: A, server: \"127.0.0.1:53\" }\n",
        "rate: 2/s\ntimeout: 1s\n",
        "expect: { records: { contains: 10.0.0.7 } }\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        (
            "outcome",
            "ok, dns (no such name, no such record, or the server cannot say: name this outcome to look at the fields of such an answer), refused, reset, timeout or error",
        ),
        (
            "records",
            "the records of that type as a sorted list of texts, at the end of the aliases; empty when there is no such name or record",
        ),
        ("code", "the response code: NOERROR, NXDOMAIN, SERVFAIL, REFUSED …"),
        ("ttl", "the lowest time to live among the records and the aliases to them, in seconds"),
        ("server", "the name server that answered"),
        ("transport", "how its answer came: udp or tcp"),
        ("duration", "seconds until the answer"),
    ];
    type Spec = DnsSpec;

    fn check(&self, spec: &DnsSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = name_of(&without_templates(&spec.name), spec.sort)
            && !spec.name.starts_with("${")
        {
            let help = "write a whole name, for example `db.example.com`; addresses are asked for with `type: PTR`";
            problems.push(Problem::new("/name", why).help(help));
        }
        if let Some(server) = &spec.server
            && let Err(why) = server_of(&without_templates(server))
            && !server.starts_with("${")
        {
            let help =
                "write `IP` or `IP:PORT`, for example `10.0.0.2` or `[2001:db8::2]:53`: a name server cannot be asked where it is itself";
            problems.push(Problem::new("/server", why).help(help));
        }
        problems
    }

    fn good(&self, _: &DnsSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn open(&self, spec: DnsSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let name = name_of(&cx.reveal(&spec.name, None)?, spec.sort).map_err(Why::Spec)?;
        let server = spec.server.as_deref().map(|server| cx.reveal(server, None)).transpose()?;
        let server = server.map(|server| server_of(&server)).transpose().map_err(Why::Spec)?;
        Ok(Box::new(Questions { name, sort: spec.sort.record_type(), server, transport: spec.transport }))
    }
}

pub(super) struct Questions {
    pub(super) name: Name,
    pub(super) sort: RecordType,
    pub(super) server: Option<SocketAddr>,
    pub(super) transport: Transport,
}

/// An answer to our question.
pub(super) struct Found {
    pub(super) message: Message,
    server: SocketAddr,
    transport: &'static str,
}

impl Ask for Questions {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let ignored = AtomicU32::new(0);
            let sent = cx.clock.now();
            let asked = tokio::time::timeout(limit.std(), self.ask_any(limit, &ignored)).await;
            let done = cx.clock.now();
            let answer = match asked.unwrap_or_else(|_| Err(silent(limit, &ignored))) {
                Ok(found) => self.answer(sent, done, &found),
                Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
            };
            answer.within(limit)
        })
    }
}

fn silent(limit: Span, ignored: &AtomicU32) -> Failure {
    let others = match ignored.load(Ordering::Relaxed) {
        0 => String::new(),
        n => format!("; {n} datagrams were none to this question"),
    };
    Failure::new(Class::Timeout, format!("no answer within {limit}{others}"))
}

impl Questions {
    pub(super) async fn ask_any(&self, limit: Span, ignored: &AtomicU32) -> Result<Found, Failure> {
        let servers = match self.server {
            Some(server) => vec![server],
            // Read anew for each question: a drill may change it.
            None => servers_in(std::fs::read_to_string(CONFIG).ok().as_deref())?,
        };
        let share = Span(limit.0 / servers.len().max(1) as u64);
        let mut first = None;
        for server in servers {
            let failure = match tokio::time::timeout(share.std(), self.ask_one(server, limit, ignored)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(failure)) => failure,
                Err(_) => silent(share, ignored),
            };
            first.get_or_insert(failure);
        }
        Err(first.unwrap_or_else(|| silent(limit, ignored)))
    }

    async fn ask_one(&self, server: SocketAddr, limit: Span, ignored: &AtomicU32) -> Result<Found, Failure> {
        if self.transport == Transport::Udp {
            let message = over_udp(server, &self.question(), ignored).await?;
            if !message.metadata.truncation {
                return Ok(Found { message, server, transport: "udp" });
            }
        }
        Ok(Found { message: over_tcp(server, &self.question(), limit).await?, server, transport: "tcp" })
    }

    /// A question with an id that nobody can foresee. It has no extensions, which old servers take amiss; what needs more room goes over TCP.
    fn question(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.sort));
        message
    }

    fn answer(&self, sent: At, done: At, found: &Found) -> Answer {
        let code = found.message.metadata.response_code;
        let (records, ttl) = self.records(&found.message.answers);
        let mut fields = Map::new();
        fields.insert("code".into(), json!(code_word(code)));
        fields.insert("server".into(), json!(found.server.to_string()));
        fields.insert("transport".into(), json!(found.transport));
        if let Some(ttl) = ttl {
            fields.insert("ttl".into(), json!(ttl));
        }
        // A server that cannot say has not said that there is nothing.
        if matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            fields.insert("records".into(), json!(records));
        }
        let note = match code {
            ResponseCode::NoError if !records.is_empty() => None,
            ResponseCode::NoError => Some(format!("no {} record", self.sort)),
            ResponseCode::NXDomain => Some("NXDOMAIN: no such name".to_owned()),
            other => Some(format!("the name server says {}", code_word(other))),
        };
        let class = if note.is_none() { Class::Ok } else { Class::Dns };
        Answer { class, fields, text: Some(records.join("\n")), note, ..Answer::of(sent, done) }
    }

    /// The records at the end of the aliases, as texts, and the lowest time to live on the way.
    pub(super) fn records(&self, answers: &[Record]) -> (Vec<String>, Option<u32>) {
        let mut owner = &self.name;
        let mut ttls = Vec::new();
        for _ in 0..ALIASES {
            let alias = answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == *owner && self.sort != RecordType::CNAME => Some((record.ttl, &target.0)),
                _ => None,
            });
            let Some((ttl, target)) = alias else { break };
            ttls.push(ttl);
            owner = target;
        }
        let ours = answers.iter().filter(|record| record.record_type() == self.sort && record.name == *owner);
        let mut records = Vec::new();
        for record in ours {
            ttls.push(record.ttl);
            records.push(record.data.to_string());
        }
        records.sort();
        let ttl = if records.is_empty() { None } else { ttls.into_iter().min() };
        (records, ttl)
    }
}

/// Whether a message answers this question and no other.
fn answers(message: &Message, question: &Message) -> bool {
    let same = |asked: &Query, repeated: &Query| {
        asked.name == repeated.name && asked.query_type == repeated.query_type && repeated.query_class == DNSClass::IN
    };
    message.metadata.id == question.metadata.id
        && message.metadata.message_type == MessageType::Response
        && message.metadata.op_code == OpCode::Query
        && message.queries.len() == 1
        && question.queries.iter().zip(&message.queries).all(|(asked, repeated)| same(asked, repeated))
}

fn bytes_of(question: &Message) -> Result<Vec<u8>, Failure> {
    question.to_vec().map_err(|error| Failure::new(Class::Local, format!("the question cannot be written: {error}")))
}

/// Asks over a socket that takes datagrams of this server alone. What answers another question may be forged: it is passed over, and the true
/// answer waited for.
async fn over_udp(server: SocketAddr, question: &Message, ignored: &AtomicU32) -> Result<Message, Failure> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let bytes = bytes_of(question)?;
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(|error| of_io(&error))?;
    socket.connect(server).await.map_err(|error| of_io(&error))?;
    socket.send(&bytes).await.map_err(|error| of_io(&error))?;
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut datagram).await.map_err(|error| of_io(&error))?;
        match Message::from_vec(&datagram[..length]) {
            Ok(message) if answers(&message, question) => return Ok(message),
            _ => ignored.fetch_add(1, Ordering::Relaxed),
        };
    }
}

async fn over_tcp(server: SocketAddr, question: &Message, limit: Span) -> Result<Message, Failure> {
    let bytes = bytes_of(question)?;
    let length = u16::try_from(bytes.len()).map_err(|_| Failure::new(Class::Local, "the question is too long"))?;
    let mut stream = dial(&server.ip().to_string(), server.port(), limit, &Resolving::default()).await?;
    let framed = [&length.to_be_bytes()[..], &bytes].concat();
    stream.write_all(&framed).await.map_err(|error| of_io(&error))?;
    let length = stream.read_u16().await.map_err(|error| of_io(&error))?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(|error| of_io(&error))?;
    let message = Message::from_vec(&answer).map_err(|_| Failure::new(Class::Error, "the answer is not DNS"))?;
    if answers(&message, question) { Ok(message) } else { Err(Failure::new(Class::Error, "the answer is to another question")) }
}

/// A response code as everybody writes it.
pub(super) fn code_word(code: ResponseCode) -> String {
    let word = match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::NotAuth => "NOTAUTH",
        other => return format!("RCODE{}", u16::from(other)),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::probe::testing::name_server::{Script, reply, server};
    use crate::probe::testing::{cx, expect};
    use crate::probe::{Judged, by_kind};
    use hickory_proto::rr::rdata::{A, CAA, CNAME, MX, TXT};
    use serde_json::Value;
    use tokio::net::TcpListener;

    fn named(name: &str) -> Name {
        let mut name = Name::from_ascii(name).unwrap();
        name.set_fqdn(true);
        name
    }

    fn address(name: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(named(name), ttl, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
    }

    async fn asked(spec: Value, wanted: Value, limit: Span) -> (Answer, Judged) {
        let opened = by_kind("dns").unwrap().open(&spec, &expect(wanted), None, &cx()).unwrap();
        let answer = opened.ask.ask(0, limit, &cx()).await;
        let judged = opened.wanted.judge(&answer, None);
        (answer, judged)
    }

    async fn of(script: Script, more: Value) -> (Answer, Judged) {
        let mut spec = json!({"name": "db.example", "server": server(script).await.to_string()});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked(spec, json!({}), Span::millis(300)).await
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |spec: Value| by_kind("dns").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        for good in [
            json!({"name": "db.example."}),
            json!({"name": "_sip._tcp.example", "type": "SRV"}),
            json!({"name": "bücher.example", "server": "10.0.0.2"}),
            json!({"name": "10.0.0.2", "type": "PTR", "server": "[::1]:53"}),
            json!({"name": "${secret:name}", "server": "${secret:server}"}),
            json!({"name": ".", "type": "NS", "transport": "tcp"}),
        ] {
            assert_eq!(check(good.clone()), Vec::<String>::new(), "{good}");
        }
        for (bad, at) in [
            (json!({"name": ""}), "/name"),
            (json!({"name": "10.0.0.2"}), "/name"),
            (json!({"name": "a..b"}), "/name"),
            (json!({"name": "a".repeat(64)}), "/name"),
            (json!({"name": "a", "server": "ns.example"}), "/server"),
            (json!({"name": "a", "server": "10.0.0.2:0"}), "/server"),
            (json!({"name": "a", "type": "ANY"}), ""),
        ] {
            assert_eq!(check(bad.clone()), [at], "{bad}");
        }
    }

    #[test]
    fn no_name_server_is_our_own_trouble() {
        assert_eq!(servers_in(None).unwrap_err().class, Class::Local);
        assert_eq!(servers_in(Some("search a\n# nameserver 10.0.0.1\nnameserver\n")).unwrap_err().class, Class::Local);
        let found = servers_in(Some("nameserver 10.0.0.1\n nameserver\t::1 # x\nnameserver 10.0.0.2\nnameserver 10.0.0.3")).unwrap();
        assert_eq!(found, ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53"].map(|text| text.parse::<SocketAddr>().unwrap()));
    }

    #[tokio::test]
    async fn records_are_followed_sorted_and_told_with_their_lowest_time() {
        let (answer, judged) = of(
            |question, _| {
                let mut message = reply(question, ResponseCode::NoError);
                message.add_answer(address("b.example", 60, 9));
                message.add_answer(Record::from_rdata(named("DB.example"), 30, RData::CNAME(CNAME(named("a.example")))));
                message.add_answer(address("b.example", 90, 10));
                message.add_answer(Record::from_rdata(named("a.example"), 40, RData::CNAME(CNAME(named("b.example")))));
                message.add_answer(address("other.example", 1, 66));
                vec![message.to_vec().unwrap()]
            },
            json!({}),
        )
        .await;
        assert_eq!((judged.verdict, judged.class), (Verdict::Ok, Class::Ok), "{judged:?}");
        assert_eq!(answer.fields["records"], json!(["10.0.0.10", "10.0.0.9"]));
        assert_eq!((&answer.fields["ttl"], &answer.fields["code"]), (&json!(30), &json!("NOERROR")));
        assert_eq!((answer.text.as_deref(), &answer.fields["transport"]), (Some("10.0.0.10\n10.0.0.9"), &json!("udp")));
    }

    #[tokio::test]
    async fn other_sorts_of_records_are_texts() {
        let script: Script = |question, _| {
            let mut message = reply(question, ResponseCode::NoError);
            let data = match question.queries[0].query_type {
                RecordType::MX => RData::MX(MX::new(10, named("mail.example"))),
                RecordType::TXT => RData::TXT(TXT::new(vec!["v=spf1 ".to_owned(), "-all".to_owned()])),
                RecordType::CNAME => RData::CNAME(CNAME(named("standby.example"))),
                RecordType::CAA => RData::CAA(CAA::new_issue(false, Some(named("ca.example")), vec![])),
                other => panic!("{other}"),
            };
            message.add_answer(Record::from_rdata(question.queries[0].name.clone(), 5, data));
            vec![message.to_vec().unwrap()]
        };
        for (sort, text) in
            [("MX", "10 mail.example."), ("TXT", "v=spf1 -all"), ("CNAME", "standby.example."), ("CAA", "0 issue \"ca.example.\"")]
        {
            assert_eq!(of(script, json!({"type": sort})).await.0.fields["records"], json!([text]), "{sort}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_and_what_cannot_be_said_are_told_apart() {
        let empty: Script = |question, _| vec![reply(question, ResponseCode::NoError).to_vec().unwrap()];
        let gone: Script = |question, _| vec![reply(question, ResponseCode::NXDomain).to_vec().unwrap()];
        let broken: Script = |question, _| vec![reply(question, ResponseCode::ServFail).to_vec().unwrap()];
        let refused: Script = |question, _| vec![reply(question, ResponseCode::Refused).to_vec().unwrap()];
        for (script, code, records, note) in [
            (empty, "NOERROR", Some(json!([])), "no A record"),
            (gone, "NXDOMAIN", Some(json!([])), "NXDOMAIN: no such name"),
            (broken, "SERVFAIL", None, "the name server says SERVFAIL"),
            (refused, "REFUSED", None, "the name server says REFUSED"),
        ] {
            let (answer, judged) = of(script, json!({})).await;
            assert_eq!((judged.verdict, judged.class, judged.note.as_deref()), (Verdict::Bad, Class::Dns, Some(note)), "{code}");
            assert_eq!((&answer.fields["code"], answer.fields.get("records")), (&json!(code), records.as_ref()));
        }
        let server = server(gone).await.to_string();
        let wanted = json!({"outcome": {"equals": "dns"}, "code": {"equals": "NXDOMAIN"}});
        assert_eq!(asked(json!({"name": "x", "server": server}), wanted, Span::secs(1)).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn answers_to_other_questions_are_passed_over_until_the_true_one_comes() {
        let script: Script = |question, _| {
            let mut truth = reply(question, ResponseCode::NoError);
            truth.add_answer(address("db.example", 5, 7));
            let mut foreign = truth.clone();
            foreign.metadata.id = question.metadata.id.wrapping_add(1);
            let mut other_name = truth.clone();
            other_name.queries[0].name = named("evil.example");
            let mut other_sort = truth.clone();
            other_sort.queries[0].query_type = RecordType::AAAA;
            let mut none = truth.clone();
            none.queries.clear();
            let mut question_again = question.clone();
            question_again.add_answer(address("db.example", 5, 66));
            let all = [foreign, other_name, other_sort, none, question_again, truth];
            let mut all: Vec<Vec<u8>> = all.iter().map(|message| message.to_vec().unwrap()).collect();
            all.insert(0, b"garbage".to_vec());
            all.insert(0, Vec::new());
            all
        };
        assert_eq!(of(script, json!({})).await.0.fields["records"], json!(["10.0.0.7"]));
        let forged: Script = |question, _| {
            let mut foreign = reply(question, ResponseCode::NoError);
            foreign.metadata.id = question.metadata.id.wrapping_add(1);
            vec![foreign.to_vec().unwrap(), vec![0xff; 600]]
        };
        let (_, judged) = of(forged, json!({})).await;
        assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::Timeout));
        assert_eq!(judged.note.as_deref(), Some("no answer within 300ms; 2 datagrams were none to this question"));
        // A connection brings one answer: what else it is, is an error.
        assert_eq!(of(forged, json!({"transport": "tcp"})).await.1.class, Class::Error);
    }

    #[tokio::test]
    async fn what_udp_cuts_short_is_asked_for_over_tcp() {
        let script: Script = |question, tcp| {
            let mut message = reply(question, ResponseCode::NoError);
            message.metadata.truncation = !tcp;
            let count = if tcp { 200 } else { 1 };
            message.add_answers((0..count).map(|last| address("db.example", 5, last)));
            vec![message.to_vec().unwrap()]
        };
        let (answer, judged) = of(script, json!({})).await;
        assert_eq!((judged.verdict, &answer.fields["transport"]), (Verdict::Ok, &json!("tcp")));
        assert_eq!(answer.fields["records"].as_array().unwrap().len(), 200);
    }

    #[tokio::test]
    async fn silence_is_a_time_out_and_a_closed_port_is_refused() {
        let silent: Script = |_, _| Vec::new();
        let (answer, judged) = of(silent, json!({})).await;
        assert_eq!((judged.verdict, judged.class, judged.note.as_deref()), (Verdict::Bad, Class::Timeout, Some("no answer within 300ms")));
        assert!(answer.done.since(answer.sent) <= Span::millis(300));
        assert_eq!(of(silent, json!({"transport": "tcp"})).await.1.class, Class::Reset);
        for transport in ["udp", "tcp"] {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let spec = json!({"name": "a.example", "server": free.to_string(), "transport": transport});
            assert_eq!(asked(spec, json!({}), Span::millis(300)).await.1.class, Class::Refused, "{transport}");
        }
    }

    #[tokio::test]
    async fn a_change_of_the_records_is_seen() {
        let server = server(|question, _| {
            let mut message = reply(question, ResponseCode::NoError);
            message.add_answer(address("db.example", 5, 8));
            vec![message.to_vec().unwrap()]
        })
        .await;
        let spec = json!({"name": "db.example", "server": server.to_string()});
        let opened = by_kind("dns").unwrap().open(&spec, &expect(json!({"records": {"changed": true}})), None, &cx()).unwrap();
        let answer = opened.ask.ask(0, Span::secs(1), &cx()).await;
        let against = |records: Value| opened.wanted.judge(&answer, Some(&json!({ "records": records }))).verdict;
        assert_eq!(against(json!(["10.0.0.7"])), Verdict::Ok);
        assert_eq!(against(json!([])), Verdict::Ok);
        assert_eq!(against(json!(["10.0.0.8"])), Verdict::Bad);
    }

    #[tokio::test]
    async fn hostile_bytes_end_no_probe() {
        let script: Script = |question, tcp| {
            let whole = {
                let mut message = reply(question, ResponseCode::NoError);
                // An alias of itself.
                message.add_answer(Record::from_rdata(named("db.example"), 5, RData::CNAME(CNAME(named("db.example")))));
                message.to_vec().unwrap()
            };
            let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
            let flipped = (2..whole.len()).map(|place| {
                let mut bytes = whole.clone();
                bytes[place] ^= 0xff;
                bytes
            });
            if tcp { vec![whole[..20].to_vec()] } else { cut.chain(flipped).collect() }
        };
        let (_, judged) = of(script, json!({})).await;
        assert_eq!(judged.verdict, Verdict::Bad);
        assert_eq!(of(script, json!({"transport": "tcp"})).await.1.class, Class::Error);
    }
}
