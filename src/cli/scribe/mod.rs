//! `firedrill scribe`: one who writes down what a team does, a key for each of the usual marks, while all that is known goes by above.

mod desk;
mod source;

use std::path::PathBuf;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::args::Scribe;
use super::exit::Exit;
use super::keys::Decoder;
use super::out::{Voice, say, terminal_size};
use super::people::listening;
use super::practice::page::{tail, wrap};
use super::view::Painter;
use crate::base::Span;
use crate::engine::people::{self, Heard, Saying};
use crate::event::Deed;
use crate::sys::clock;
use crate::sys::terminal::{Keyboard, Typed, can_talk};
use desk::{Desk, Does};
use source::Source;

/// How long a drill may take to answer.
const ANSWER: Span = Span::secs(5);
/// How often the keyboard is looked at.
const KEYS: Span = Span::millis(30);
/// How often the drill is.
const LOOK: Span = Span::millis(300);

/// What came back of something that was said.
type Back = (Deed, Result<Heard, String>);

/// Writes down what a team does until the scribe leaves or the drill ends.
pub fn scribe(args: &Scribe, voice: Voice) -> Exit {
    if !can_talk() || !voice.live {
        voice.error(
            "a scribe needs a terminal that can be drawn on",
            Some("without one, `firedrill mark`, `step` and `note` say the same, and `firedrill watch` shows it"),
        );
        return Exit::Usage;
    }
    let (run, place) = match listening(args.run.as_deref()) {
        Ok(found) => found,
        Err(refusal) => return refusal.say(&voice),
    };
    let keyboard = match Keyboard::keys(false) {
        Ok(keyboard) => keyboard,
        Err(error) => {
            voice.error(&format!("the terminal cannot be used: {error}"), None);
            return Exit::CouldNotStart;
        }
    };
    let Ok(runtime) = super::runtime() else { return Exit::Bug };
    let source = Source::of(&run, &place, args.role.clone(), voice);
    let (back, heard) = mpsc::unbounded_channel();
    let desk = Desk::new(source.steps());
    let painter = Painter::new(std::io::stderr(), voice.width, 24);
    let mut table =
        Table { run, place, role: args.role.clone(), keyboard, decoder: Decoder::default(), desk, painter, source, back, heard };
    let over = runtime.block_on(table.sit());
    drop(table);
    say(if over { "the drill is over" } else { "you left; the drill goes on" });
    Exit::Ok
}

#[derive(Debug)]
struct Table {
    run: String,
    place: PathBuf,
    role: Option<String>,
    keyboard: Keyboard,
    decoder: Decoder,
    desk: Desk,
    painter: Painter<std::io::Stderr>,
    source: Source,
    back: mpsc::UnboundedSender<Back>,
    heard: mpsc::UnboundedReceiver<Back>,
}

impl Table {
    /// True when the drill ended, false when the scribe left.
    async fn sit(&mut self) -> bool {
        let mut opening = vec![String::new(), format!("  SCRIBE   run {}", self.run)];
        opening.extend(desk::help());
        opening.push(String::new());
        self.show(&opening);
        // Caught, so that the terminal is given back before anything else.
        let caught = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let mut ends: Vec<_> = caught.into_iter().filter_map(|kind| signal(kind).ok()).collect();
        let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).ok();
        let mut next = 0;
        loop {
            let ended = ends.iter_mut().any(polled);
            if ended || (!self.listen() || stops.as_mut().is_some_and(polled) && !self.step_away()) {
                self.painter.lower(Vec::new());
                return false;
            }
            while let Ok(back) = self.heard.try_recv() {
                self.answered(back);
            }
            if clock::mono_ns() >= next {
                next = clock::mono_ns() + LOOK.0;
                let seen = self.source.look().await;
                if !seen.lines.is_empty() {
                    self.painter.above(&seen.lines);
                }
                if seen.over {
                    self.painter.lower(Vec::new());
                    return true;
                }
            }
            let columns = terminal_size().map_or(80, |(columns, rows)| {
                self.painter.resize(columns, rows);
                columns
            });
            self.painter.lower(self.desk.lower(columns.saturating_sub(1)));
            clock::sleep(KEYS).await;
        }
    }

    /// Lines that stay, wrapped.
    fn show(&mut self, lines: &[String]) {
        let columns = terminal_size().map_or(80, |(columns, _)| columns).saturating_sub(1);
        let wrapped: Vec<String> = lines.iter().flat_map(|line| wrap(line, columns, 7)).collect();
        self.painter.above(&wrapped);
    }

    /// False when the scribe leaves.
    fn listen(&mut self) -> bool {
        let bytes = match self.keyboard.read() {
            Typed::Nothing => return true,
            Typed::End => return false,
            Typed::Bytes(bytes) => bytes,
        };
        for key in self.decoder.keys(&bytes) {
            match self.desk.key(key) {
                Does::Nothing => {}
                Does::Shows(lines) => self.show(&lines),
                Does::Says(deed) => self.say(deed),
                Does::Leaves => return false,
                Does::Suspends if !self.step_away() => return false,
                Does::Suspends => {}
            }
        }
        true
    }

    /// Gives the terminal back, stops as any program does by Ctrl-Z, and takes it again when it goes on. False when it cannot be had again.
    fn step_away(&mut self) -> bool {
        self.painter.lower(Vec::new());
        self.keyboard.give_back();
        // STOP and not TSTP, which is caught; the shell sees the same.
        let _stopped = kill_process(getpid(), Signal::STOP);
        match Keyboard::keys(false) {
            Ok(keyboard) => {
                self.keyboard = keyboard;
                true
            }
            Err(_) => false,
        }
    }

    fn say(&self, deed: Deed) {
        let (place, back) = (self.place.clone(), self.back.clone());
        let saying = Saying { role: self.role.clone(), ago: None, deed };
        tokio::spawn(async move {
            let heard = people::say(&place, &saying, ANSWER).await.map_err(|error| error.to_string());
            // The scribe may have left.
            let _left = back.send((saying.deed, heard));
        });
    }

    fn answered(&mut self, (deed, heard): Back) {
        match heard {
            Ok(Heard { error: None, at, .. }) => self.desk.heard(at.unwrap_or_default(), &deed),
            Ok(Heard { error: Some(why), .. }) => self.show(&[format!("  not written down: {why}")]),
            Err(error) => self.show(&[format!("  the drill did not hear that: {error}")]),
        }
    }
}

/// Whether a signal came.
fn polled(stream: &mut tokio::signal::unix::Signal) -> bool {
    stream.poll_recv(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
}
