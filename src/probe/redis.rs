//! `redis`: one command. The connection is ours and new for each question; the library speaks the protocol over it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value as Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;

use super::databases::Named;
use super::error::Why;
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::room::{ANSWER, Room};
use super::tcp;
use super::wire::{Failure, Resolving, dial, of_io};
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kind.
pub(super) struct Redis;

/// Most of a reply that is kept, in bytes.
const LARGEST: usize = 1 << 20;

/// Where a server is, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSpec {
    /// Where to connect: `HOST:PORT`.
    pub(super) address: String,
    /// Who asks, where the server has accounts.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// The password, by a secret: `${secret:ID}`.
    #[serde(default)]
    pub(super) password: Option<String>,
    /// The database. Default 0.
    #[serde(default)]
    pub(super) db: i64,
}

/// What a scenario writes under `redis:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedisSpec {
    /// Where to connect: `HOST:PORT`.
    address: String,
    /// Who asks, where the server has accounts.
    #[serde(default)]
    user: Option<String>,
    /// The password, by a secret: `${secret:ID}`.
    #[serde(default)]
    password: Option<String>,
    /// The database. Default 0.
    #[serde(default)]
    db: i64,
    /// The command and its arguments. Default `[PING]`.
    #[serde(default = "ping")]
    command: Vec<String>,
}

fn ping() -> Vec<String> {
    vec!["PING".into()]
}

impl Named for ServerSpec {
    fn check(&self, at: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = tcp::split(&without_templates(&self.address)) {
            problems.push(Problem::new(format!("{at}/address"), why).help("write `HOST:PORT`, for example `127.0.0.1:6379`"));
        }
        if self.user.is_some() && self.password.is_none() {
            problems
                .push(Problem::new(format!("{at}/user"), "a user without a password cannot log in").help("add `password: ${secret:ID}`"));
        }
        if self.db < 0 {
            problems.push(Problem::new(format!("{at}/db"), "a database has a number from 0 on"));
        }
        problems
    }
}

impl ServerSpec {
    pub(super) fn open(&self, cx: &Cx) -> Result<Server, Why> {
        let (host, port) = tcp::split(&cx.reveal(&self.address, None)?).map_err(Why::Spec)?;
        // Each question is a connection of its own: nothing is told about us that nobody asked for.
        let mut info = RedisConnectionInfo::default().set_db(self.db).set_skip_set_lib_name();
        if let Some(user) = &self.user {
            info = info.set_username(cx.reveal(user, None)?);
        }
        if let Some(password) = &self.password {
            info = info.set_password(cx.reveal(password, None)?);
        }
        Ok(Server { host, port, info })
    }
}

/// A server that can be asked.
pub(super) struct Server {
    host: String,
    port: u16,
    info: RedisConnectionInfo,
}

pub(super) fn of_redis(error: &RedisError) -> Failure {
    if error.is_connection_refusal() {
        return Failure::new(Class::Refused, "connection refused");
    }
    if let Some(code) = error.code() {
        // The server told an error: whatever it is, it is no acknowledgement.
        return Failure::new(Class::Error, format!("{code} {}", error.detail().unwrap_or_default()).trim().to_owned());
    }
    if error.is_timeout() {
        return Failure::new(Class::Timeout, "connection timed out");
    }
    if error.is_connection_dropped() || error.is_io_error() {
        return Failure::new(Class::Reset, "connection closed early");
    }
    of_io(&std::io::Error::other(error.to_string()))
}

impl Server {
    pub(super) async fn connect(
        &self,
        limit: Span,
        resolving: &Resolving,
        room: &Room,
    ) -> Result<(MultiplexedConnection, AbortOnDropHandle<()>), Failure> {
        let stream = room.bound(dial(&self.host, self.port, limit, resolving).await?);
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let made = MultiplexedConnection::new_with_config(&self.info, stream, config);
        let (connection, driver) = made.await.map_err(|error| of_redis(&error))?;
        Ok((connection, AbortOnDropHandle::new(tokio::spawn(driver))))
    }

    /// Asks these in order over one connection; the last reply is the answer. `judge` may find fault with a reply.
    pub(super) async fn ask(&self, commands: &[Cmd], limit: Span, cx: &Cx, judge: impl Fn(usize, &Reply) -> Result<(), Failure>) -> Answer {
        let resolving = Resolving::timed(cx.clock);
        let sent = cx.clock.now();
        let room = Room::of(ANSWER);
        let asking = async {
            let (mut connection, _driver) = self.connect(limit, &resolving, &room).await?;
            let mut last = Reply::Nil;
            for (number, command) in commands.iter().enumerate() {
                last = connection.send_packed_command(command).await.map_err(|error| room.blame(of_redis(&error)))?;
                if let Reply::ServerError(error) = &last {
                    return Err(Failure::new(
                        Class::Error,
                        format!("{} {}", error.code(), error.details().unwrap_or_default()).trim().to_owned(),
                    ));
                }
                judge(number, &last)?;
            }
            Ok(last)
        };
        let asked = tokio::time::timeout(limit.std(), asking).await;
        let done = cx.clock.now();
        let answer = match asked.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
            Ok(reply) => {
                let reply = json_of(&reply, 0);
                let text = reply.as_str().map(str::to_owned);
                Answer { fields: Map::from_iter([("reply".to_owned(), reply)]), text, ..Answer::of(sent, done) }
            }
            Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
        };
        Answer { legs: Some(resolving.legs()), ..answer }.within(limit)
    }
}

/// A reply as JSON; nothing of it is kept beyond what anybody looks at.
fn json_of(reply: &Reply, depth: usize) -> Value {
    const DEEPEST: usize = 8;
    const MOST: usize = 10_000;
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(&bytes[..bytes.len().min(LARGEST)]).into_owned());
    match reply {
        Reply::Int(number) => Value::from(*number),
        Reply::Double(number) => Value::from(*number),
        Reply::Boolean(yes) => Value::from(*yes),
        Reply::BulkString(bytes) => text(bytes),
        Reply::SimpleString(words) => text(words.as_bytes()),
        Reply::VerbatimString { text: words, .. } => text(words.as_bytes()),
        Reply::Okay => Value::from("OK"),
        Reply::Array(all) | Reply::Set(all) if depth < DEEPEST => all.iter().take(MOST).map(|one| json_of(one, depth + 1)).collect(),
        _ => Value::Null,
    }
}

pub(super) const FIELDS: &[(&str, &str)] = &[
    ("outcome", "ok, refused, reset, timeout, dns or error; an error that the server tells is no good answer"),
    ("reply", "the reply: text, number or list"),
    ("json", "the reply's text as JSON"),
    ("duration", "seconds until the reply"),
];

impl Probe for Redis {
    const KIND: &'static str = "redis";
    const ABOUT: &'static str = "Sends one command to a Redis server, over a connection of its own.";
    const EXAMPLE: &'static str = "redis: { address: \"127.0.0.1:6379\", command: [PING] }\nexpect: { reply: { equals: PONG } }\n";
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    type Spec = RedisSpec;

    fn check(&self, spec: &RedisSpec) -> Vec<Problem> {
        let mut problems = server_of(spec).check("");
        if spec.command.first().is_none_or(String::is_empty) {
            problems.push(Problem::new("/command", "there is no command").help("write for example `[PING]`"));
        }
        problems
    }

    fn good(&self, _: &RedisSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn open(&self, spec: RedisSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let mut command = Cmd::new();
        for word in &spec.command {
            command.arg(cx.reveal(word, None)?);
        }
        Ok(Box::new(Command { server: server_of(&spec).open(cx)?, command }))
    }
}

fn server_of(spec: &RedisSpec) -> ServerSpec {
    ServerSpec { address: spec.address.clone(), user: spec.user.clone(), password: spec.password.clone(), db: spec.db }
}

struct Command {
    server: Server,
    command: Cmd,
}

impl Ask for Command {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(self.server.ask(std::slice::from_ref(&self.command), limit, cx, |_, _| Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::by_kind;
    use serde_json::json;

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |kind: &str, spec: Value| by_kind(kind).unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        assert!(check("redis", json!({"address": "db:6379"})).is_empty());
        assert_eq!(check("redis", json!({"address": "db", "user": "u", "db": -1})), ["/address", "/user", "/db"]);
        assert_eq!(check("redis", json!({"address": "db:1", "command": []})), ["/command"]);
        let server = json!({"address": "db:6379"});
        let reader = |authority: bool| json!({"server": server, "authority": authority});
        assert!(check("ledger.redis", json!({"write": server, "readers": [reader(false)]})).is_empty());
        assert_eq!(check("ledger.redis", json!({"write": server, "readers": [reader(true), reader(true)]})), ["/readers"]);
        assert_eq!(
            check("ledger.redis", json!({"write": {"address": "x"}, "readers": [], "writer": "A"})),
            ["/write/address", "/writer", "/readers"]
        );
    }

    /// A server that gives this reply to everything.
    async fn says(reply: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut heard = [0; 1024];
                    while stream.read(&mut heard).await.is_ok_and(|n| n > 0) && stream.write_all(reply.as_bytes()).await.is_ok() {}
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn an_error_that_the_server_tells_is_no_acknowledgement() {
        use crate::event::Verdict;
        use crate::probe::testing::{cx, judged};
        let refused = says("-READONLY You can't write against a read only replica.\r\n").await;
        let taken = says(":1\r\n").await;
        for (address, verdict, class) in [(&refused, Verdict::Bad, Class::Error), (&taken, Verdict::Ok, Class::Ok)] {
            let seen = judged("redis", json!({"address": address, "command": ["RPUSH", "l", "x"]}), json!({}), Span::secs(2), &cx()).await;
            assert_eq!((seen.verdict, seen.class), (verdict, class), "{seen:?}");
            let server = json!({"address": address});
            let spec = json!({"write": server, "readers": [{"server": server}]});
            let seen = judged("ledger.redis", spec.clone(), json!({}), Span::secs(2), &cx()).await;
            assert_eq!((seen.verdict, seen.class), (verdict, class), "{seen:?}");
            // What else is expected comes on top, never in its place.
            let seen = judged("ledger.redis", spec, json!({"duration": {"max": "2s"}}), Span::secs(2), &cx()).await;
            assert_eq!((seen.verdict, seen.class), (verdict, class), "{seen:?}");
        }
        // One replica has it, two were asked for: nobody knows whether it will last.
        let spec = json!({"write": {"address": taken}, "replicas": 2, "readers": [{"server": {"address": taken}}]});
        let seen = judged("ledger.redis", spec, json!({}), Span::secs(2), &cx()).await;
        assert_eq!((seen.verdict, seen.class), (Verdict::Bad, Class::Timeout), "{seen:?}");
    }

    #[test]
    fn replies_are_kept_as_they_are_and_no_deeper_than_anybody_looks() {
        assert_eq!(json_of(&Reply::Array(vec![Reply::Int(1), Reply::Okay, Reply::Nil]), 0), json!([1, "OK", null]));
        let deep = (0..20).fold(Reply::Int(1), |inner, _| Reply::Array(vec![inner]));
        assert!(json_of(&deep, 0).to_string().contains("null"));
        assert_eq!(json_of(&Reply::BulkString(vec![b'x'; LARGEST + 9]), 0).as_str().map(str::len), Some(LARGEST));
    }
}
