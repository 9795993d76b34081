//! Machines that AWS Systems Manager reaches. There is no connection: each ask is a command that brings a letter to the firedrill there, whose answer is what it
//! prints. A fault stays there with a process of its own, and for as long as this one says, command by command, that the runner lives.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::super::aws::ssm::line::{self, Became, Printed};
use super::super::{FaultError, Scene, shell};
use super::reach::{Executor, Managed, Trouble, missing, other_version};
use super::words::{self, Answer, Ask, Order, Stands};
use super::{There, now_ns};
use crate::base::Span;
use crate::sys::aws::{self, AwsError};
use crate::sys::{Cx, clock};

/// How long an ask may take, from its sending to its answer: below what a step of a fault has.
const ASK_WITHIN: Span = Span::secs(24);
/// The same for an ask that breaks something.
const INJECT_WITHIN: Span = Span::secs(27);
/// How long a fault that may cut off the machine is left to run without an answer, at most: else a third of the lease.
const CUT_WITHIN: Span = Span::secs(10);
/// How often it is looked whether the answer is there.
const LOOK_EVERY: Span = Span::millis(500);
/// How long after a renewal that failed the next one is sent.
const AGAIN_AFTER: Span = Span::secs(1);
/// The longest line, in characters: AWS takes documents of at most 64 KiB.
const LONGEST: usize = 60_000;

/// Asks to undo whose answer was not heard yet, by directory: they are under way, and not sent a second time.
static UNDER_WAY: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
/// Who says that the runner lives, by directory. Nobody does once an undo is asked for.
static KEPT: Mutex<BTreeMap<String, AbortHandle>> = Mutex::new(BTreeMap::new());

/// What has been heard of an ask.
#[derive(Debug)]
enum Heard {
    /// Its answer.
    Answer(Box<Answer>),
    /// It is over, without one.
    Nothing(Trouble),
    /// It runs there, and has for as long as it was to be waited for.
    Runs,
    /// Nobody knows: it may be under way still.
    Open(Trouble),
}

/// What failed with AWS, and whether it may work in a while.
fn trouble(error: AwsError) -> Trouble {
    let later = error.is_in_doubt() || error.is_throttled() || matches!(error, AwsError::Expired { .. });
    if later { Trouble::Away(error.to_string()) } else { Trouble::Fault(error.into()) }
}

/// A line for the shell there. The agent of Systems Manager gives its commands no home.
fn with_home(line: &str) -> String {
    format!("[ -n \"${{HOME:-}}\" ] || {{ HOME=$(eval echo \"~$(id -un)\"); export HOME; }}; {line}")
}

impl Managed {
    fn comment(&self, word: &str) -> String {
        // Never used twice: two moments of one clock are not the same, and other processes have other runs.
        format!("firedrill {}-{} {word}", self.run, clock::mono_ns())
    }

    async fn send(&self, exe: &str, ask: &Ask) -> Result<String, Trouble> {
        let text = with_home(&format!("echo '{}' | {} __host", words::letter(ask), shell::quote(exe)));
        if text.len() > LONGEST {
            let what = format!("send what is asked to {self}: it has {} characters, and AWS takes {LONGEST}", text.len());
            return Err(Trouble::Fault(missing(what, "let the fault hit less at once, or make its commands shorter")));
        }
        let account = aws::open(&self.place).await.map_err(trouble)?;
        line::send(&account, &self.instance, &text, &self.comment(ask.word())).await.map_err(trouble)
    }

    /// Waits for the answer to a command. Where it runs for `enough` without one, that is told.
    async fn hear(&self, exe: &str, command: &str, end: u64, enough: Option<Span>, first: bool) -> Heard {
        let mut last = "the machine has not taken it".to_owned();
        let mut began = None;
        loop {
            let became = match aws::open(&self.place).await {
                Ok(account) => line::became(&account, &self.instance, command, first).await,
                Err(error) => Err(error),
            };
            match became.map_err(trouble) {
                Ok(Became::Ended(printed)) => match understood(&printed, exe, &self.to_string()) {
                    Ok(answer) => return Heard::Answer(Box::new(answer)),
                    Err(trouble) => return Heard::Nothing(trouble),
                },
                Ok(Became::Lost(why)) => return Heard::Nothing(Trouble::Away(format!("reach {self}: {why} (command {command})"))),
                Ok(Became::Waits) => {}
                Ok(Became::Runs) => {
                    last = "it runs there".to_owned();
                    let since = *began.get_or_insert_with(clock::mono_ns);
                    if enough.is_some_and(|enough| clock::mono_ns().saturating_sub(since) >= enough.0) {
                        return Heard::Runs;
                    }
                }
                Err(Trouble::Away(why)) => last = why,
                Err(trouble) => return Heard::Open(trouble),
            }
            if clock::mono_ns() >= end {
                return Heard::Open(Trouble::Away(format!("hear from {self}: no answer to command {command}: {last}")));
            }
            clock::sleep(LOOK_EVERY).await;
        }
    }

    async fn ask_within(&self, exe: &str, ask: &Ask, limit: Span) -> Result<Answer, Trouble> {
        let end = clock::mono_ns() + limit.0;
        let undo = if let Ask::Undo { dir } = ask { Some(dir) } else { None };
        let first = matches!(ask, Ask::Undo { .. } | Ask::Look { .. });
        let under_way = undo.and_then(|dir| UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).get(dir).cloned());
        let command = match under_way {
            Some(command) => command,
            None => {
                let late = || Trouble::Away(format!("reach {self}: AWS has not taken the command within {}", limit.human()));
                tokio::time::timeout(limit.std(), self.send(exe, ask)).await.unwrap_or_else(|_| Err(late()))?
            }
        };
        if let Some(dir) = undo {
            UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.clone(), command.clone());
        }
        let heard = self.hear(exe, &command, end, None, first).await;
        if let (Some(dir), Heard::Answer(_) | Heard::Nothing(_)) = (undo, &heard) {
            UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(dir);
        }
        match heard {
            Heard::Answer(answer) => Ok(*answer),
            Heard::Nothing(trouble) | Heard::Open(trouble) => Err(trouble),
            Heard::Runs => Err(Trouble::Away(format!("hear from {self}: command {command} runs"))),
        }
    }
}

/// The answer in what a command printed.
fn understood(printed: &Printed, exe: &str, place: &str) -> Result<Answer, Trouble> {
    let fault = |text: String| Trouble::Fault(FaultError::Other(text));
    let mut said = printed.output.lines().filter_map(words::read::<Answer>);
    match said.next() {
        Some(Ok(Answer::Ready { version })) if version == env!("CARGO_PKG_VERSION") => {}
        Some(Ok(Answer::Ready { version })) => return Err(other_version(&version, place)),
        _ => return Err(fault(format!("start {exe} on {place}: {}", printed.words()))),
    }
    match said.next_back() {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) if printed.cut || error.is_eof() => {
            let what = format!("hear what firedrill says on {place}: AWS keeps 24,000 characters of what a command prints, and has cut it");
            Err(Trouble::Fault(missing(what, "let the fault hit less at once: fewer processes, shorter commands")))
        }
        Some(Err(error)) => Err(fault(format!("understand {place}: {error}"))),
        None => Err(fault(format!("ask firedrill on {place}: {}", printed.words()))),
    }
}

impl Executor for Managed {
    async fn settle(&self, named: Option<&str>, scene: &Scene<'_>) -> Result<String, FaultError> {
        let plan = scene.plan.aws.as_ref().ok_or_else(|| FaultError::Target("the scenario names no account under `aws:`".into()))?;
        let account = aws::open(&self.place).await?;
        line::admit(&self.instance, plan, &account).await?;
        let none = || {
            missing(format!("bring firedrill to {self}: Run Command carries no files"), "install it there, and name it: `firedrill: PATH`")
        };
        named.map(str::to_owned).ok_or_else(none)
    }

    async fn ask(&self, exe: &str, ask: &Ask) -> Result<Answer, Trouble> {
        if let Ask::Undo { dir } = ask
            && let Some(kept) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).remove(dir)
        {
            kept.abort();
        }
        self.ask_within(exe, ask, ASK_WITHIN).await
    }

    /// Sent once. When nobody knows whether it came there, the undo closes the fault's name, so that it finds nothing to begin when it comes.
    async fn inject(&self, there: &There, order: Box<Order>, confirmed: bool, cx: &Cx) -> Result<(), FaultError> {
        let ask = Ask::Inject { order, told: Box::new(there.told.clone()), lease: there.lease };
        let enough = confirmed.then_some(Span(there.lease.0 / 3).min(CUT_WITHIN));
        let breaking = async {
            let end = clock::mono_ns() + INJECT_WITHIN.0;
            let command = self.send(&there.exe, &ask).await?;
            match self.hear(&there.exe, &command, end, enough, false).await {
                Heard::Answer(answer) => Ok(Some(*answer)),
                // It may have cut off the machine: whether it bites, `confirm` shows from outside.
                Heard::Runs => Ok(None),
                Heard::Nothing(trouble) | Heard::Open(trouble) => Err(trouble),
            }
        };
        let answer = tokio::select! {
            biased;
            () = cx.cancel.cancelled() => return Err(there.called_off()),
            answer = breaking => answer.map_err(|trouble| there.unheard(trouble))?,
        };
        answer.map_or(Ok(()), |answer| there.broken(answer))?;
        let keeping = tokio::spawn(keep(self.clone(), there.exe.clone(), there.told.dir.clone(), there.lease, there.clock_ahead_ns.1));
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(there.told.dir.clone(), keeping.abort_handle());
        Ok(())
    }

    fn by_hand(&self, exe: &str, dir: &str) -> String {
        let there = with_home(&format!("{} __host undo {}", shell::quote(exe), shell::quote(dir)));
        line::by_hand(&self.place, &self.instance, &there, &format!("firedrill {} undo by hand", self.run))
    }
}

/// Says three times a lease that the runner lives, until the fault is undone there.
async fn keep(managed: Managed, exe: String, dir: String, lease: Span, clock_ahead_ns: i64) {
    let every = Span(lease.0 / 3);
    clock::sleep(every).await;
    loop {
        let began = clock::mono_ns();
        let ask = Ask::Renew { dir: dir.clone(), said_ns: now_ns().saturating_add(clock_ahead_ns) };
        match managed.ask_within(&exe, &ask, every).await {
            Ok(Answer::Stands(Stands { undone: true, .. })) => return,
            Ok(_) => clock::sleep(Span(every.0.saturating_sub(clock::mono_ns().saturating_sub(began)))).await,
            Err(error) => {
                tracing::debug!("a renewal was not heard: {error:?}");
                clock::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(output: &str) -> Printed {
        Printed { code: 0, output: output.into(), ..Printed::default() }
    }

    fn ready(version: &str) -> String {
        words::line(&Answer::Ready { version: version.into() })
    }

    fn refused(printed: &Printed) -> String {
        FaultError::from(understood(printed, "/opt/firedrill", "i-1").unwrap_err()).to_string()
    }

    #[test]
    fn an_answer_is_whole_and_of_the_same_version_or_none() {
        let ours = ready(env!("CARGO_PKG_VERSION"));
        let answer = words::line(&Answer::Injected);
        assert!(matches!(understood(&printed(&format!("noise\n{ours}{answer}")), "x", "i-1"), Ok(Answer::Injected)));
        assert!(refused(&printed(&(ready("0.0.1") + &answer))).starts_with("talk to firedrill 0.0.1 on i-1"));
        let cut = refused(&printed(&format!("{ours}{}", &answer[..answer.len() - 4])));
        assert!(cut.contains("AWS keeps 24,000 characters") && cut.contains("fewer processes"), "{cut}");
        let gone = Printed { code: 127, errors: "sh: /opt/firedrill: not found".into(), ..Printed::default() };
        assert_eq!(refused(&gone), "start /opt/firedrill on i-1: exit 127: sh: /opt/firedrill: not found");
        assert!(refused(&printed(&ours)).starts_with("ask firedrill on i-1: exit 0"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks the real shell")]
    fn a_command_without_a_home_is_given_one() {
        let home = |set: Option<&str>| {
            let mut sh = std::process::Command::new("sh");
            sh.args(["-c", &with_home("printf %s \"$HOME\"")]).env_remove("HOME");
            sh.envs(set.map(|home| ("HOME", home)));
            String::from_utf8(sh.output().unwrap().stdout).unwrap()
        };
        assert_eq!(home(Some("/somewhere")), "/somewhere");
        assert!(home(None).starts_with('/'), "{}", home(None));
    }

    #[test]
    fn a_comment_is_short_enough_and_never_the_same() {
        let place = aws::Place { account: "111122223333".into(), region: "eu-west-1".into(), profile: None, role: None, external_id: None };
        let managed = Managed { place, instance: "i-1".into(), run: "01JDSN2VQ0000000000000000".into() };
        let (one, other) = (managed.comment("prepare"), managed.comment("prepare"));
        assert!(one != other && one.len() <= 100, "{one}");
    }
}
