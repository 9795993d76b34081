//! Where words go: reports to stdout, everything else to stderr. A reader that went away is no error of ours.

use std::io::{BufWriter, IsTerminal, Write};

use super::args::Colour;
use crate::sys::env;

/// How to speak.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    /// Colour on stderr.
    pub colour_err: bool,
    /// Colour on stdout.
    pub colour_out: bool,
    /// Stderr is a terminal: the lower lines may live.
    pub live: bool,
    /// Width of that terminal.
    pub width: usize,
    /// Those who respond to a blind drill look at that screen as well.
    pub shared: bool,
}

impl Voice {
    /// From `--color`, NO_COLOR, TERM and what stdout and stderr are.
    pub fn new(colour: Colour) -> Voice {
        let plain = env::var("NO_COLOR").is_some_and(|v| !v.is_empty()) || env::var("TERM").is_some_and(|t| t == "dumb");
        let wish = |terminal: bool| match colour {
            Colour::Auto => terminal && !plain,
            Colour::Always => true,
            Colour::Never => false,
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Voice {
            colour_err: wish(err),
            colour_out: wish(out),
            live: err && env::var("TERM").is_none_or(|t| t != "dumb"),
            width: terminal_size().map_or(100, |(columns, _)| columns),
            shared: false,
        }
    }

    /// An error for people: what happened, where, and what to do next.
    pub fn error(&self, text: &str, help: Option<&str>) {
        let (on, off) = if self.colour_err { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        say(&format!("{on}error{off}: {text}"));
        if let Some(help) = help {
            say(&format!("  help: {help}"));
        }
    }

    /// A warning for people.
    pub fn warn(&self, text: &str) {
        let (on, off) = if self.colour_err { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
        say(&format!("{on}warning{off}: {text}"));
    }
}

/// Columns and rows of the terminal behind stderr, now; it may be resized at any time.
pub fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns >= 20 && rows >= 2).then_some((columns, rows))
}

/// A line on stderr.
pub fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{}", text.trim_end_matches('\n'));
}

/// Text on stdout, with one line end.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
    let _ = out.flush();
}

/// Stdout for what is too long to be held: what cannot be written any more is dropped, as by [`print`].
pub fn stream() -> impl Write {
    BufWriter::with_capacity(64 * 1024, Stream(std::io::stdout().lock()))
}

struct Stream<W>(W);

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Asks a yes-or-no question on the terminal; anything but yes is no.
pub fn confirm(question: &str) -> bool {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes" | "Yes")
}

/// Whether somebody can answer a question.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
