//! The lines of a run for somebody who looks on from elsewhere, without its head and its lower lines.

use std::sync::Arc;

use super::head;
use super::line::Look;
use super::story::Story;
use crate::cli::out::terminal_size;
use crate::event::Entry;
use crate::plan::Plan;

/// Tells a run entry by entry.
#[derive(Debug)]
pub struct Teller {
    story: Story,
    look: Look,
}

impl Teller {
    /// Nothing told yet.
    pub fn new(plan: Arc<Plan>, colour: bool, width: usize) -> Teller {
        let look = Look { live: true, colour, width, word: head::word_columns(&plan, true, width) };
        Teller { story: Story::new(plan), look }
    }

    /// The lines of one entry; most have none.
    pub fn lines(&mut self, entry: &Entry) -> Vec<String> {
        if let Some((columns, _)) = terminal_size() {
            self.look.width = columns;
        }
        self.story.tell(entry).iter().map(|line| self.look.line(line)).collect()
    }
}
