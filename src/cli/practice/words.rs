//! What a participant can type. Pure.

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Nothing.
    Nothing,
    /// Which words there are.
    Help,
    /// The page is taken.
    Ack,
    /// What is wrong.
    Answer(String),
    /// A step was done, or is taken back: its number in the runbook that was read last, its id, or `RUNBOOK#STEP`.
    Step {
        /// Which.
        step: String,
        /// It is taken back.
        back: bool,
    },
    /// Written down.
    Note(String),
    /// Help, at its price.
    Hint,
    /// Customers are served again.
    Mitigated,
    /// A runbook, or which there are.
    Book(Option<String>),
    /// Look there, or where one can look.
    Look(Option<String>),
    /// A command for the shell.
    Run(String),
    /// Enough.
    GiveUp,
    /// It needs more.
    Lacks(&'static str),
    /// It is none.
    Unknown(String),
}

/// The words, as help shows them.
pub const WORDS: &[(&str, &str)] = &[
    ("a, ack", "you take the page"),
    ("l, look [WHERE]", "look there; without a place, where you can look, as lines for a shell"),
    ("! COMMAND", "run a line in a shell, here"),
    ("b, book [NAME]", "read a runbook, or see which there are"),
    ("s, step STEP", "you did a step: its number in the runbook you read last, or its id; `back STEP` takes it back"),
    ("w, answer WHAT", "say what is wrong, in your own words"),
    ("m, mitigated", "customers are served again"),
    ("n, note TEXT", "write something down"),
    ("h, hint", "a hint, which costs time"),
    ("q, give up", "end it and see what it was; Ctrl-C does as well"),
];

/// Reads a line.
pub fn read(line: &str) -> Word {
    let line = line.trim();
    if let Some(command) = line.strip_prefix('!') {
        let command = command.trim();
        return if command.is_empty() {
            Word::Lacks("write a command behind it, for example `! curl -s …`")
        } else {
            Word::Run(command.to_owned())
        };
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let given = || (!rest.is_empty()).then(|| rest.to_owned());
    match (word.to_ascii_lowercase().as_str(), rest) {
        ("", _) => Word::Nothing,
        ("?" | "help", _) => Word::Help,
        ("a" | "ack", _) | ("mark", "ack") => Word::Ack,
        ("m" | "mitigated", _) | ("mark", "mitigated") => Word::Mitigated,
        ("mark", _) => Word::Lacks("the marks are `ack` and `mitigated`; write anything else down with `note TEXT`"),
        ("w" | "answer" | "wrong", _) => given().map_or(Word::Lacks("say what is wrong: `answer` and your words"), Word::Answer),
        ("s" | "step", _) => step(given(), false),
        ("back", _) => step(given(), true),
        ("n" | "note", _) => given().map_or(Word::Lacks("write something behind it"), Word::Note),
        ("h" | "hint" | "hints", _) => Word::Hint,
        ("b" | "book" | "books" | "runbook", _) => Word::Book(given()),
        ("l" | "look", _) => Word::Look(given()),
        ("q" | "quit" | "exit", _) | ("give", "up") => Word::GiveUp,
        _ => Word::Unknown(line.to_owned()),
    }
}

fn step(step: Option<String>, back: bool) -> Word {
    step.map_or(Word::Lacks("say which step: its number, or its id; `book` shows them"), |step| Word::Step { step, back })
}

/// A step by what was typed: a number counts in the runbook that was read last.
///
/// # Errors
/// There is none, or several; for people.
pub fn find(steps: &[String], last: Option<&str>, typed: &str) -> Result<String, String> {
    if let Ok(number) = typed.parse::<usize>() {
        let book = last.ok_or("a number is one of the runbook that you read last: `book NAME` first")?;
        let of_book: Vec<&String> = steps.iter().filter(|step| step.split('#').next() == Some(book)).collect();
        let found = number.checked_sub(1).and_then(|n| of_book.get(n));
        return found.map(|step| (*step).clone()).ok_or_else(|| format!("{book} has the steps 1 to {}", of_book.len()));
    }
    let typed = typed.trim_start_matches('#');
    if let Some(step) = steps.iter().find(|step| *step == typed) {
        return Ok(step.clone());
    }
    let found: Vec<&String> = steps.iter().filter(|step| step.split('#').nth(1) == Some(typed)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let near = steps.iter().max_by(|a, b| strsim::jaro_winkler(a, typed).total_cmp(&strsim::jaro_winkler(b, typed)));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(format!("no runbook has a step `{}`{near}", crate::base::one_line(typed, 64)))
        }
        several => Err(format!("several runbooks have it: {}", several.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_words_are_the_same() {
        let same: [(&[&str], Word); 8] = [
            (&["a", "ack", " ACK ", "mark ack"], Word::Ack),
            (&["m", "mitigated", "mark mitigated"], Word::Mitigated),
            (&["w disk full", "answer  disk full"], Word::Answer("disk full".into())),
            (&["s 2", "step 2"], Word::Step { step: "2".into(), back: false }),
            (&["q", "quit", "give up"], Word::GiveUp),
            (&["h", "hint"], Word::Hint),
            (&["!curl x", "! curl x"], Word::Run("curl x".into())),
            (&["", "  "], Word::Nothing),
        ];
        for (lines, word) in same {
            lines.iter().for_each(|line| assert_eq!(read(line), word, "{line}"));
        }
        assert_eq!(read("back 2"), Word::Step { step: "2".into(), back: true });
        assert_eq!(read("b"), Word::Book(None));
        assert_eq!((read("l a log"), read("look")), (Word::Look(Some("a log".into())), Word::Look(None)));
        assert_eq!(read("dance"), Word::Unknown("dance".into()));
        for lacking in ["w", "s", "n", "!", "mark x", "back"] {
            assert!(matches!(read(lacking), Word::Lacks(_)), "{lacking}");
        }
    }

    #[test]
    fn a_step_is_found_by_number_by_id_and_whole() {
        let steps: Vec<String> = ["a#look", "a#out", "b#look", "b#pay"].map(str::to_owned).into();
        assert_eq!(find(&steps, Some("b"), "2").unwrap(), "b#pay");
        assert_eq!(find(&steps, None, "out").unwrap(), "a#out");
        assert_eq!(find(&steps, None, "b#look").unwrap(), "b#look");
        assert_eq!(find(&steps, Some("b"), "3").unwrap_err(), "b has the steps 1 to 2");
        assert!(find(&steps, None, "1").unwrap_err().contains("book NAME"));
        assert!(find(&steps, None, "look").unwrap_err().contains("a#look, b#look"));
        assert!(find(&steps, None, "b#pax").unwrap_err().contains("did you mean `b#pay`"));
    }
}
