//! What is said on the participant's terminal, and what is done for them: pages, lines for a shell, and words to the drill.

use std::process::Stdio;

use indexmap::IndexMap;
use tokio::io::AsyncReadExt;

use super::console::{Console, ROLE};
use super::page::{readable, row, wrap};
use super::words::WORDS;
use crate::base::{At, Span, one_line};
use crate::engine::control::{self, Request};
use crate::engine::people::{self, Saying};
use crate::event::Deed;
use crate::sys::http;

/// How long the drill may take to answer.
const ANSWER: Span = Span::secs(5);
/// Loopback, without TLS: no certificate is looked at.
const PLAIN: http::Trust = http::Trust { insecure: true, ca_file: None };
/// How long a look may take.
const LOOK: Span = Span::secs(3);
/// How long a command of the participant may take.
const COMMAND: Span = Span::secs(15);
/// Most that is shown of what it says: bytes, and lines.
const MOST: u64 = 16 * 1024;
const LINES: usize = 40;

/// What comes back from what was begun.
#[derive(Debug)]
pub enum Out {
    /// It was not heard.
    Refused(String),
    /// Lines that a command wrote, and how it ended.
    Ran(String),
}

/// An instant, as minutes and seconds.
pub fn clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    format!("{:02}:{:02}", s / 60, s % 60)
}

/// What is told before anything happens.
pub fn opening(console: &mut Console) {
    let width = console.columns();
    let shown = console.pick.drill.scenario.lines().find_map(|line| line.trim().strip_prefix("shown_as: ")).unwrap_or("Practice");
    let mut lines = vec![String::new()];
    lines.extend(wrap(&format!("PRACTICE  {shown}"), width, 10));
    lines.push(String::new());
    let told = format!(
        "You are on call for a small shop: customers come in at a balancer, which sends their orders to two instances, a and b. Each has orders paid \
         for by payments. A monitor watches them, and pages you. In a moment something will go wrong; nobody tells you what. Take the page, find out \
         what it is, bring customers back, and say what it was. This is drill {}, seed {}.",
        console.pick.number, console.pick.seed
    );
    lines.extend(wrap(&format!("  {told}"), width, 2));
    lines.push(String::new());
    console.show(&lines);
    help(console);
    look(console, None);
    let books = format!("  Runbooks: {}; also as files in {}", names(console).join(", "), console.books.display());
    let mut lines = wrap(&books, width, 4);
    lines.push(String::new());
    console.show(&lines);
}

fn names(console: &Console) -> Vec<&'static str> {
    console.shelf.iter().map(|(name, ..)| *name).collect()
}

/// The words.
pub fn help(console: &mut Console) {
    let width = console.columns();
    let mut lines: Vec<String> = WORDS.iter().flat_map(|(word, meaning)| row(word, meaning, 16, width)).collect();
    lines.push(String::new());
    console.show(&lines);
}

/// Where one can look: name, label, address.
fn places(console: &Console) -> Vec<(&'static str, &'static str, String)> {
    let [balancer, a, b, payments, monitor, ..] = console.ports;
    let at = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    vec![
        ("balancer", "balancer", at(balancer, "/balancer")),
        ("a", "instance a", at(a, "/status")),
        ("a log", "", at(a, "/log")),
        ("b", "instance b", at(b, "/status")),
        ("b log", "", at(b, "/log")),
        ("payments", "payments", at(payments, "/status")),
        ("alerts", "alerts", at(monitor, "/api/v2/alerts")),
    ]
}

/// Where one can look, or what is seen there.
pub fn look(console: &mut Console, name: Option<&str>) {
    let (width, places) = (console.columns(), places(console));
    let Some(name) = name else {
        let mut lines: Vec<String> =
            places.iter().flat_map(|(_, label, url)| row(label, &format!("curl -s -m 3 {url}"), 12, width)).collect();
        let names: Vec<&str> = places.iter().map(|(name, ..)| *name).collect();
        lines.extend(wrap(&format!("  `look` does that for you: look {}.", names.join(", look ")), width, 4));
        lines.extend(wrap("  All but the monitor have /metrics as well. What helps is in the runbooks.", width, 4));
        lines.push(String::new());
        console.show(&lines);
        return;
    };
    let wanted = name.trim_start_matches("instance ");
    let Some((_, _, url)) = places.iter().find(|(name, ..)| *name == wanted || (wanted.len() > 2 && name.starts_with(wanted))) else {
        let names: Vec<&str> = places.iter().map(|(name, ..)| *name).collect();
        console.tell(&format!("one can look at {}; `look` shows where that is", names.join(", ")));
        return;
    };
    let (url, outbox) = (url.clone(), console.outbox.clone());
    say(console, Deed::Command { line: format!("look {wanted}") });
    tokio::spawn(async move {
        let seen = async { http::get(&http::control_client(&PLAIN)?, &url, &IndexMap::new(), 16 * 1024, LOOK).await };
        let text = match seen.await {
            Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
            Err(error) => format!("no answer: {error}"),
        };
        let _nobody_listens = outbox.send(Out::Ran(text));
    });
}

/// A runbook with its steps numbered, or which there are.
pub fn book(console: &mut Console, name: Option<&str>) {
    let width = console.columns();
    let Some(name) = name else {
        let of = |(name, _, book): &(&'static str, String, crate::response::runbook::Runbook)| {
            let alerts = if book.alerts.is_empty() { "no alert leads here".to_owned() } else { book.alerts.join(", ") };
            row(name, &alerts, 22, width)
        };
        let mut lines: Vec<String> = console.shelf.iter().flat_map(of).collect();
        lines.extend(wrap("  `book NAME` opens one; the first letters are enough.", width, 2));
        console.show(&lines);
        return;
    };
    let wanted = name.trim_start_matches('#').trim_end_matches(".md");
    let exact = console.shelf.iter().find(|(name, ..)| *name == wanted);
    let Some((name, text, _)) = exact.or_else(|| console.shelf.iter().find(|(name, ..)| name.starts_with(wanted))) else {
        let all = names(console).join(", ");
        console.tell(&format!("no runbook is called `{}`: there are {all}", one_line(wanted, 40)));
        return;
    };
    let lines = rendered(name, text, width);
    console.last_book = Some((*name).to_owned());
    console.show(&lines);
}

/// A runbook for the terminal: without front matter and fences, its steps numbered, its commands whole, so that they can be copied.
fn rendered(name: &str, text: &str, width: usize) -> Vec<String> {
    let body = text.split("\n---\n").nth(1).unwrap_or(text);
    let mut lines = vec![String::new()];
    let (mut number, mut code) = (0, false);
    let mut words = String::new();
    for line in body.lines().chain([""]) {
        let bare = line.trim();
        if code || bare.is_empty() || bare.starts_with("```") || bare.starts_with("- [ ] ") || bare.starts_with("# ") {
            let told = std::mem::take(&mut words);
            if !told.is_empty() {
                lines.extend(wrap(&format!("  {told}"), width, 2));
            }
        }
        if bare.starts_with("```") {
            code = !code;
        } else if code {
            lines.push(format!("       {bare}"));
        } else if let Some(title) = bare.strip_prefix("# ") {
            lines.push(format!("  {} ({name})", title.to_uppercase()));
        } else if let Some(step) = bare.strip_prefix("- [ ] ") {
            number += 1;
            let (step, id) = step.rsplit_once(" {#").unwrap_or((step, ""));
            lines.extend(wrap(&format!("  {number:>2}.  {}  [{}]", without_links(step), id.trim_end_matches('}')), width, 7));
        } else if !bare.is_empty() {
            words = if words.is_empty() { bare.to_owned() } else { format!("{words} {bare}") };
        }
    }
    lines.extend(wrap("  `step 1` ticks the first of them.", width, 2));
    lines.push(String::new());
    lines
}

/// `[words](page.md)` as `words (page)`.
fn without_links(text: &str) -> String {
    text.replace("](", " (").replace(".md)", ")").replace('[', "")
}

/// Says something to the drill.
pub fn say(console: &mut Console, deed: Deed) {
    let Some(place) = console.place.clone().filter(|_| !console.ending) else {
        console.tell(if console.ending { "The drill is over." } else { "The shop is still starting: in a moment." });
        return;
    };
    let outbox = console.outbox.clone();
    let saying = Saying { role: Some(ROLE.to_owned()), ago: None, deed };
    tokio::spawn(async move {
        let why = match people::say(&place, &saying, ANSWER).await {
            Ok(heard) => heard.error,
            Err(error) => Some(format!("the drill did not hear that: {error}")),
        };
        if let Some(why) = why {
            // The drill may be over.
            let _nobody_listens = outbox.send(Out::Refused(why));
        }
    });
}

/// Runs a line in the participant's own shell; that it was run stands in the journal.
pub fn run(console: &mut Console, line: String) {
    say(console, Deed::Command { line: line.clone() });
    let outbox = console.outbox.clone();
    tokio::spawn(async move {
        let _nobody_listens = outbox.send(Out::Ran(ran(&line).await));
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "the participant's own shell at their own terminal: no action of a drill, and nothing it owes"
)]
async fn ran(line: &str) -> String {
    let mut command = tokio::process::Command::new("sh");
    // Its own group: Ctrl-C ends the drill calmly, and a command with it when it is dropped.
    command.args(["-c", line]).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return format!("no shell: {error}"),
    };
    let mut said = Vec::new();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut wrong = Vec::new();
    let whole = async {
        if let (Some(out), Some(err)) = (out, err) {
            let (mut out, mut err) = (out.take(MOST), err.take(MOST));
            let _ = tokio::join!(out.read_to_end(&mut said), err.read_to_end(&mut wrong));
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(COMMAND.std(), whole).await;
    let mut text = format!("{}{}", String::from_utf8_lossy(&said), String::from_utf8_lossy(&wrong));
    match ended {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => text.push_str(&format!("\n({status})")),
        Ok(Err(error)) => text.push_str(&format!("\n({error})")),
        Err(_) => text.push_str(&format!("\n(ended after {})", COMMAND.human())),
    }
    text
}

/// Shows what came back.
pub fn heard(console: &mut Console, out: Out) {
    match out {
        Out::Refused(why) => console.tell(&why),
        Out::Ran(text) => {
            let width = console.columns();
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .flat_map(|line| wrap(&format!("  {}", readable(line)), width, 2))
                .collect();
            if lines.is_empty() {
                lines.push("  (it said nothing)".to_owned());
            }
            if lines.len() > LINES {
                lines.truncate(LINES);
                lines.push("  …".to_owned());
            }
            console.show(&lines);
        }
    }
}

/// Ends the drill.
pub fn give_up(console: &mut Console, why: &str) {
    let Some(run) = console.run.clone() else {
        console.tell("The shop is still starting: in a moment, or Ctrl-C.");
        return;
    };
    if console.ending {
        return;
    }
    let (dir, outbox) = (console.runs.join(run), console.outbox.clone());
    let request = Request::Abort { reason: why.to_owned() };
    tokio::spawn(async move {
        let error = match control::ask(&dir, &request, ANSWER).await {
            Ok(reply) => reply.error,
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = error {
            let _nobody_listens = outbox.send(Out::Refused(format!("the drill did not hear that ({error}); Ctrl-C ends it as well")));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runbook_is_numbered_and_its_commands_stay_whole() {
        let text = "---\nowner: x\n---\n# A title\n\nWords.\n\n- [ ] Do this {#do}\n\n  ```sh\n  curl -s http://127.0.0.1:1/a/long/path/that/must/not/be/broken\n  ```\n\n- [ ] And that {#that}\n";
        let lines = rendered("x", text, 40);
        assert!(lines.contains(&"   1.  Do this  [do]".to_owned()) && lines.contains(&"   2.  And that  [that]".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"       curl -s http://127.0.0.1:1/a/long/path/that/must/not/be/broken".to_owned()), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.contains("```") && !line.contains("owner")));
    }

    #[tokio::test]
    async fn a_command_says_how_it_ended_and_is_not_waited_for_by_its_input() {
        assert_eq!(ran("echo a; echo b >&2").await, "a\nb\n");
        assert!(ran("cat; exit 3").await.contains("exit status: 3"));
    }
}
