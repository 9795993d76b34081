//! What removes the keys of a ledger from each sort of store, and what a person types in its place. Nothing but the keys of one writer of one run is touched:
//! the store may be somebody's, and may hold what other runs are writing.

use serde_json::Value;

use super::exchange::Client;
use super::http::HttpSpec;
use super::kind::{Remove, Removed, Typed};
#[cfg(feature = "redis")]
use super::ledger_redis::{List, list_of};
#[cfg(feature = "postgres")]
use super::postgres::Table;
use super::request::Template;
#[cfg(feature = "redis")]
use super::room::{KEYS, Room};
#[cfg(any(feature = "postgres", feature = "redis"))]
use super::tcp;
#[cfg(feature = "redis")]
use super::wire::Resolving;
use crate::base::Span;
use crate::event::Class;
use crate::sys::Cx;

/// Puts everything of a list back but the entries that begin with the argument, in their order, for as long as the list was to last. In one step, so that no entry
/// of somebody else is lost; removing them one by one would take the square of their number.
#[cfg(feature = "redis")]
const REMOVE: &str = "local keep,n={},0 \
    for _,k in ipairs(redis.call('LRANGE',KEYS[1],0,-1)) do \
    if string.sub(k,1,#ARGV[1])==ARGV[1] then n=n+1 else keep[#keep+1]=k end end \
    if n>0 then local left=redis.call('PTTL',KEYS[1]) redis.call('DEL',KEYS[1]) \
    for i=1,#keep,1000 do redis.call('RPUSH',KEYS[1],unpack(keep,i,math.min(i+999,#keep))) end \
    if left>0 and #keep>0 then redis.call('PEXPIRE',KEYS[1],left) end end return n";

/// Host and port as a program takes them; what does not come apart is handed on as it is.
#[cfg(any(feature = "postgres", feature = "redis"))]
fn host_and_port(address: &str) -> (String, String) {
    let parts = tcp::split(address).map(|(host, port)| (host.trim_matches(['[', ']']).to_owned(), port.to_string()));
    parts.unwrap_or_else(|_| (address.to_owned(), String::new()))
}

#[cfg(feature = "redis")]
impl Remove for List {
    fn remove<'a>(&'a self, keys: &'a str, limit: Span, cx: &'a Cx) -> Removed<'a> {
        Box::pin(async move {
            let server = self.server.open(cx).map_err(|why| why.to_string())?;
            let (mut connection, _driver) =
                server.connect(limit, &Resolving::default(), &Room::of(KEYS)).await.map_err(|failure| failure.note)?;
            let mut command = redis::cmd("EVAL");
            command.arg(REMOVE).arg(1).arg(list_of(self.list.as_deref(), cx)).arg(keys);
            command.query_async::<u64>(&mut connection).await.map(drop).map_err(|error| error.to_string())
        })
    }

    fn by_hand(&self, keys: &str, cx: &Cx) -> Typed {
        let (host, port) = host_and_port(&self.server.address);
        let mut argv: Vec<String> = ["redis-cli", "-e", "-h", &host, "-p", &port].map(str::to_owned).into();
        if self.server.db != 0 {
            argv.extend(["-n".to_owned(), self.server.db.to_string()]);
        }
        if let Some(user) = &self.server.user {
            argv.extend(["--user".to_owned(), user.clone()]);
        }
        argv.extend(["EVAL", REMOVE, "1", &list_of(self.list.as_deref(), cx), keys].map(str::to_owned));
        let env = self.server.password.iter().map(|password| ("REDISCLI_AUTH".to_owned(), password.clone())).collect();
        Typed { env, argv }
    }
}

#[cfg(feature = "postgres")]
impl Table {
    /// Letters, digits and dashes alone: nothing in it can end the text, or stands for anything.
    fn removal(&self, keys: &str) -> String {
        format!("delete from {} where key like '{keys}%'", self.table)
    }
}

#[cfg(feature = "postgres")]
impl Remove for Table {
    fn remove<'a>(&'a self, keys: &'a str, limit: Span, cx: &'a Cx) -> Removed<'a> {
        Box::pin(async move {
            let server = self.server.open(cx).map_err(|why| why.to_string())?;
            let answer = server.ask(&self.removal(keys), limit, cx).await;
            match answer.class {
                Class::Ok => Ok(()),
                _ => Err(answer.note.unwrap_or_default()),
            }
        })
    }

    fn by_hand(&self, keys: &str, _: &Cx) -> Typed {
        let (host, port) = host_and_port(&self.server.address);
        let database = self.server.database.as_ref().unwrap_or(&self.server.user);
        let argv = ["psql", "-X", "-q", "-w", "-h", &host, "-p", &port, "-U", &self.server.user, "-d", database, "-c"];
        let argv = argv.map(str::to_owned).into_iter().chain([self.removal(keys)]).collect();
        let env = self.server.password.iter().map(|password| ("PGPASSWORD".to_owned(), password.clone())).collect();
        Typed { env, argv }
    }
}

/// The request for these keys.
fn request_for(spec: &HttpSpec, keys: &str) -> Result<HttpSpec, serde_json::Error> {
    fn fill(value: &mut Value, keys: &str) {
        match value {
            Value::String(text) => *text = text.replace("${key.prefix}", keys),
            Value::Array(items) => items.iter_mut().for_each(|item| fill(item, keys)),
            Value::Object(map) => map.values_mut().for_each(|item| fill(item, keys)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut value = serde_json::to_value(spec)?;
    fill(&mut value, keys);
    serde_json::from_value(value)
}

impl Remove for HttpSpec {
    fn remove<'a>(&'a self, keys: &'a str, limit: Span, cx: &'a Cx) -> Removed<'a> {
        Box::pin(async move {
            let spec = request_for(self, keys).map_err(|error| error.to_string())?;
            let template = Template::new(&spec, cx).map_err(|why| why.to_string())?;
            let client = Client::new(&spec, cx).map_err(|why| why.to_string())?;
            let answer = client.ask(template.fill(""), limit, cx).await;
            match (answer.class, &answer.head) {
                (Class::Ok, Some(head)) if (200..300).contains(&head.status) => Ok(()),
                (Class::Ok, Some(head)) => Err(format!("it answers with status {}", head.status)),
                _ => Err(answer.note.unwrap_or_default()),
            }
        })
    }

    fn by_hand(&self, keys: &str, cx: &Cx) -> Typed {
        let spec = request_for(self, keys).unwrap_or_else(|_| self.clone());
        let mut argv: Vec<String> = ["curl", "-fsS", "-X", &spec.method].map(str::to_owned).into();
        if spec.tls.insecure {
            argv.push("-k".into());
        }
        if let Some(file) = spec.tls.ca_file {
            argv.extend(["--cacert".into(), cx.base_dir.join(file).display().to_string()]);
        }
        if spec.json.is_some() {
            argv.extend(["-H".into(), "content-type: application/json".into()]);
        }
        for (name, value) in spec.headers {
            argv.extend(["-H".into(), format!("{name}: {value}")]);
        }
        if let Some(body) = spec.json.map(|json| json.to_string()).or(spec.body) {
            argv.extend(["--data-binary".into(), body]);
        }
        argv.push(spec.url);
        Typed { env: Vec::new(), argv }
    }
}
