//! `firedrill debrief`: what was learnt of a run, written down beside it and shown in its reports.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use super::args::Debrief as Args;
use super::exit::Exit;
use super::out::{Voice, say};
use super::{named, run, store};
use crate::base::one_line;
use crate::journal::RunLock;
use crate::plan::Plan;
use crate::response::debrief::{Debrief, FILE, Item, LARGEST, Section, read, template};
use crate::score::words::many;
use crate::sys::{account, clock, env};

/// What is opened in an editor, in the run directory; what could not be read stays there.
const DRAFT: &str = "debrief.draft.md";

/// Why nothing was written down.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// No such run.
    #[error("{0}")]
    Run(String),
    /// It is not over.
    #[error("{0} is still running: a debrief comes when it is over")]
    Running(String),
    /// What was written makes no sense; the second part says where it still is.
    #[error("{0}")]
    Text(String, Option<String>),
    /// A file or an editor.
    #[error("failed to {0}")]
    Os(String),
}

impl Failed {
    fn say(&self, voice: Voice) -> Exit {
        let (help, exit) = match self {
            Failed::Run(_) => ("`firedrill runs` lists them".to_owned(), Exit::Usage),
            Failed::Running(_) => ("`firedrill note` writes something into its timeline now".to_owned(), Exit::CouldNotStart),
            Failed::Text(_, None) => ("nothing was written down".to_owned(), Exit::Usage),
            Failed::Text(_, Some(draft)) => (format!("nothing was written down; mend {draft}, and give it with --from"), Exit::Usage),
            Failed::Os(_) => (
                "the run's directory must be writable, and $EDITOR a program that waits until it is closed".to_owned(),
                Exit::CouldNotStart,
            ),
        };
        voice.error(&self.to_string(), Some(&help));
        exit
    }
}

/// `firedrill debrief`.
pub fn debrief(args: &Args, voice: Voice) -> Exit {
    match written(args) {
        Ok((dir, 0, _)) => {
            say(&format!("{}: nothing was written down", id(&dir)));
            Exit::Ok
        }
        Ok((dir, count, actions)) => {
            let said = format!("{} and {}", many((count - actions) as u64, "remark"), many(actions as u64, "action item"));
            say(&format!("{}: {said} written down", id(&dir)));
            // Its reports tell it from now on.
            match store::read(&dir).map(|(plan, entries)| run::judge_and_write(&dir, &plan, &entries)) {
                Ok(Ok(_)) => Exit::Ok,
                Ok(Err(error)) => {
                    voice.warn(&format!("failed to write the report under {}: {error}", dir.display()));
                    Exit::Ok
                }
                Err(error) => {
                    voice.warn(&format!("its reports were not written again: failed to {error}"));
                    Exit::Ok
                }
            }
        }
        Err(failed) => failed.say(voice),
    }
}

/// The debrief that lies in a run directory; an empty one where nothing was written down.
pub fn of(dir: &Path) -> Debrief {
    let text = named::whole(&dir.join(FILE), 16 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.map(|text| Debrief::parse(&id(dir), &text)).unwrap_or_default()
}

fn id(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes it down; where, how many entries, and how many of them are action items.
fn written(args: &Args) -> Result<(std::path::PathBuf, usize, usize), Failed> {
    let dir = store::find_anywhere(&args.runs.dir, &args.run).map_err(Failed::Run)?;
    if RunLock::is_held(&dir) {
        return Err(Failed::Running(id(&dir)));
    }
    let (plan, _) = store::read(&dir).map_err(|error| Failed::Os(error.to_string()))?;
    let (items, draft) = items(args, &dir, &plan)?;
    let actions = items.iter().filter(|item| matches!(item, Item::Action(_))).count();
    let count = items.len();
    append(&dir, items)?;
    if let Some(draft) = draft {
        let _ = fs::remove_file(draft);
    }
    Ok((dir, count, actions))
}

/// What is to be written down, and the draft that it comes from.
fn items(args: &Args, dir: &Path, plan: &Plan) -> Result<(Vec<Item>, Option<std::path::PathBuf>), Failed> {
    let given = [
        (Section::Well, &args.well),
        (Section::Surprise, &args.surprise),
        (Section::Factors, &args.factor),
        (Section::Change, &args.change),
        (Section::Actions, &args.action),
    ];
    let flags: Vec<(Section, &String)> =
        given.into_iter().flat_map(|(section, texts)| texts.iter().map(move |text| (section, text))).collect();
    if !flags.is_empty() {
        let items: Result<Vec<Item>, String> =
            flags.into_iter().map(|(section, text)| section.item(text).map_err(|why| format!("`{}`: {why}", one_line(text, 60)))).collect();
        return Ok((items.map_err(|why| Failed::Text(why, None))?, None));
    }
    let from_stdin = match &args.from {
        Some(path) if path.as_os_str() != "-" => {
            let bytes = named::whole(path, LARGEST as u64).map_err(|unread| {
                Failed::Text(format!("failed to read {}: {}", path.display(), unread.why.replace("a scenario", "a debrief")), None)
            })?;
            return Ok((read(&String::from_utf8_lossy(&bytes)).map_err(|why| Failed::Text(why, None))?, None));
        }
        Some(_) => true,
        None => !std::io::stdin().is_terminal(),
    };
    if from_stdin {
        let mut bytes = Vec::new();
        let limit = LARGEST as u64 + 1;
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| Failed::Os(format!("read standard input: {error}")))?;
        return Ok((read(&String::from_utf8_lossy(&bytes)).map_err(|why| Failed::Text(why, None))?, None));
    }
    let draft = dir.join(DRAFT);
    let text = edited(&draft, &template(&plan.title, &id(dir)))?;
    let items = read(&text).map_err(|why| Failed::Text(why, Some(draft.display().to_string())))?;
    Ok((items, Some(draft)))
}

/// Opens an editor on a draft; one that is there already is gone on with.
#[expect(clippy::disallowed_methods, reason = "an editor is no action of a drill: it has the terminal, and as long as it takes")]
fn edited(draft: &Path, template: &str) -> Result<String, Failed> {
    let os = |doing: &str, error: std::io::Error| Failed::Os(format!("{doing}: {error}"));
    if !draft.exists() {
        let write = || OpenOptions::new().create_new(true).write(true).mode(0o600).open(draft)?.write_all(template.as_bytes());
        write().map_err(|error| os(&format!("write {}", draft.display()), error))?;
    }
    let editor =
        env::var("VISUAL").or_else(|| env::var("EDITOR")).filter(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program).args(words).arg(draft).status();
    let status = status.map_err(|error| os(&format!("start the editor `{}`", one_line(program, 80)), error))?;
    if !status.success() {
        return Err(Failed::Text(format!("the editor `{}` ended with {status}", one_line(program, 80)), Some(draft.display().to_string())));
    }
    fs::read_to_string(draft).map_err(|error| os(&format!("read {}", draft.display()), error))
}

/// Adds lines to the file of a run; two who do so at the same time come one after the other.
fn append(dir: &Path, items: Vec<Item>) -> Result<(), Failed> {
    if items.is_empty() {
        return Ok(());
    }
    let path = dir.join(FILE);
    let os = |error: std::io::Error| Failed::Os(format!("write {}: {error}", path.display()));
    let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path).map_err(os)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).map_err(|errno| os(errno.into()))?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(os)?;
    let run = id(dir);
    let by = account::who(account::ours().1);
    let lines = Debrief::parse(&run, &text).lines(&run, &by, &clock::wall(), items);
    let lines = lines.map_err(|why| Failed::Text(why, None))?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(os)
}
