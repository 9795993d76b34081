//! A run in the terminal.

use std::sync::Arc;

use super::out::say;
use crate::base::At;
use crate::event::{Entry, Event};
use crate::plan::Plan;

/// How to show.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Lower lines may live.
    pub live: bool,
    /// Colour.
    pub colour: bool,
    /// Width.
    pub width: usize,
}

/// The view.
#[derive(Debug)]
pub struct View {
    plan: Arc<Plan>,
}

impl View {
    /// New.
    pub fn new(plan: Arc<Plan>, _run: &str, _style: Style) -> View {
        View { plan }
    }
    /// Head.
    pub fn head(&mut self) {
        say(&self.plan.title);
    }
    /// Entry.
    pub fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Samples { .. } | Event::Anchor(_) => {}
            other => say(&format!("{:9.3} {}", entry.at.0 as f64 / 1e9, serde_json::to_string(other).unwrap_or_default())),
        }
    }
    /// Tick.
    pub fn tick(&mut self, _: At) {}
    /// Finish.
    pub fn finish(&mut self) {}
}
