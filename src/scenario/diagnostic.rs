//! Problems as people read them: with file, line, the source underlined, and what to write instead.

use std::fmt::Write;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use super::finding::Severity;
use super::node::Place;

/// A file as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// How the file is called in diagnostics.
    pub label: String,
    /// Its text.
    pub text: String,
}

/// A place in one of several files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Which file.
    pub file: usize,
    /// Where in it; nothing for the file as a whole.
    pub place: Option<Place>,
}

/// One problem with its places in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The files that places refer to.
    pub sources: Arc<Vec<Source>>,
    /// How bad it is.
    pub severity: Severity,
    /// The message.
    pub title: String,
    /// What is underlined.
    pub spot: Spot,
    /// The text under the carets; may be empty.
    pub label: String,
    /// Other places that explain it.
    pub also: Vec<(Spot, String)>,
    /// What to write instead.
    pub help: Option<String>,
}

/// The last line of a list of diagnostics: `2 errors; nothing was run`. Empty when there are none.
pub fn summary(errors: usize, warnings: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => String::new(),
        (0, w) => count(w, "warning"),
        (e, 0) => format!("{}; nothing was run", count(e, "error")),
        (e, w) => format!("{}, {}; nothing was run", count(e, "error"), count(w, "warning")),
    }
}

/// Most diagnostics that are shown of one reading.
const MOST: usize = 50;

/// All of them as text, each followed by an empty line, and the summary line at the end.
pub fn render_all(diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MOST) {
        let _ = writeln!(out, "{}\n", diagnostic.render(colour));
    }
    if diagnostics.len() > MOST {
        let _ = writeln!(out, "and {} more\n", diagnostics.len() - MOST);
    }
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let _ = writeln!(out, "{}", summary(errors, diagnostics.len() - errors));
    out
}

impl Diagnostic {
    /// Whether it refuses the document.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Sorts by file and place.
    pub fn sort(diagnostics: &mut [Diagnostic]) {
        diagnostics.sort_by_key(|d| (d.spot.file, d.spot.place.as_ref().map_or(0, |place| place.start)));
    }

    /// The problem as text, without a line end.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut elements: Vec<Element<'_>> = Vec::new();
        let mut files = vec![self.spot.file];
        for (spot, _) in &self.also {
            if spot.place.is_some() && !files.contains(&spot.file) {
                files.push(spot.file);
            }
        }
        for file in files {
            elements.extend(self.snippet(file));
        }
        if let Some(help) = &self.help {
            elements.push(Level::HELP.message(clean(help, 600)).into());
        }
        let renderer = if colour { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
        let group = level.primary_title(clean(&self.title, 240)).elements(elements);
        renderer.decor_style(DecorStyle::Ascii).term_width(120).render(&[group]).trim_end().to_owned()
    }

    /// The marked places of one file, drawn on the lines between the first and the last of them.
    fn snippet(&self, file: usize) -> Option<Element<'_>> {
        let source = self.sources.get(file)?;
        let mut marks: Vec<(Place, &str, bool)> = Vec::new();
        if self.spot.file == file
            && let Some(place) = &self.spot.place
        {
            marks.push((place.clone(), &self.label, true));
        }
        for (spot, label) in &self.also {
            if let Some(place) = &spot.place
                && spot.file == file
                && !marks.iter().any(|(other, ..)| other == place)
            {
                marks.push((place.clone(), label, false));
            }
        }
        let path = clean(&source.label, 200);
        let Some(first) = marks.iter().map(|(place, ..)| place.start).min() else {
            return Some(Origin::path(path).into());
        };
        let last = marks.iter().map(|(place, ..)| place.end).max().unwrap_or(first);
        let text = &source.text;
        let start = floor(text, first);
        let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = floor(text, last);
        let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let shown = Snippet::source(drawable(text[start..end].trim_end_matches('\r')))
            .line_start(1 + text[..start].matches('\n').count())
            .path(path);
        let annotations = marks.into_iter().map(|(place, label, primary)| {
            let from = floor(text, place.start).max(start);
            let place = from - start..floor(text, place.end).max(from) - start;
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let mark: Annotation<'_> = kind.span(place);
            if label.is_empty() { mark } else { mark.label(clean(label, 160)) }
        });
        Some(shown.annotations(annotations).into())
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Source text that is safe on a terminal, with every byte offset kept. The renderer draws C0 controls as pictures itself.
fn drawable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{80}'..='\u{9f}' => '\u{b7}',
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Words that are safe on a terminal and not endless.
fn clean(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            out.push_str("...");
            break;
        }
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, place: Place) -> Diagnostic {
        Diagnostic {
            sources: Arc::new(vec![Source { label: "s.yaml".into(), text: text.into() }]),
            severity: Severity::Error,
            title: "no probe is called `chekout`".into(),
            spot: Spot { file: 0, place: Some(place) },
            label: "unknown probe".into(),
            also: Vec::new(),
            help: Some("did you mean `checkout`?".into()),
        }
    }

    #[test]
    fn it_looks_like_the_design() {
        let text = "a: 1\ncheckout:\nb: 2\nc: 3\nd: 4\ne: 5\n  chekout: {}\n";
        let mut diagnostic = one(text, 37..44);
        diagnostic.also.push((Spot { file: 0, place: Some(5..13) }, "probes are declared here".into()));
        let expected = "\
error: no probe is called `chekout`
 --> s.yaml:7:3
  |
2 | checkout:
  | -------- probes are declared here
...
7 |   chekout: {}
  |   ^^^^^^^ unknown probe
  |
  = help: did you mean `checkout`?";
        assert_eq!(diagnostic.render(false), expected);
        assert!(diagnostic.render(true).contains('\u{1b}'));
    }

    #[test]
    fn nothing_raw_reaches_the_terminal() {
        let text = "a: \u{1b}[31m\u{9b}1m\u{202e}x\r\n";
        let mut diagnostic = one(text, 3..4);
        diagnostic.title = "bad \u{1b}[0m title\u{9b}".into();
        diagnostic.help = Some("x\u{1b}]0;y\u{7}".into());
        diagnostic.label = "l\u{1b}".into();
        let shown = diagnostic.render(false);
        assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    }

    #[test]
    fn odd_places_and_long_lines_are_drawn() {
        let long = format!("key: {}end\n", "ä".repeat(5_000));
        let shown = one(&long, 10_005..10_008).render(false);
        assert!(shown.lines().all(|line| line.chars().count() < 300), "{shown}");
        assert!(shown.contains("end"), "{shown}");
        for place in [0..0, 6..6, 7..7, 10_009..10_009, 99_999..100_000, Place { start: 3, end: 2 }] {
            assert!(one(&long, place.clone()).render(false).contains("s.yaml:"), "{place:?}");
        }
        assert!(one("", 0..0).render(false).contains("error"));
    }

    #[test]
    fn tabs_wide_characters_and_line_ends_keep_the_carets_in_place() {
        let text = "a: 1\r\nb: {\tc: 世界, chekout: 1 }\r\nd: 2\r\n";
        let at = text.find("chekout").unwrap();
        let mut diagnostic = one(text, at..at + 7);
        diagnostic.also.push((Spot { file: 0, place: Some(0..1) }, "first".into()));
        let shown = diagnostic.render(false);
        let lines: Vec<&str> = shown.lines().collect();
        let source = lines.iter().position(|line| line.contains("chekout:")).unwrap();
        // Two wide characters take two columns each.
        let column = lines[source].chars().take_while(|c| *c != 'h').count() - 1 + 2;
        assert_eq!(lines[source + 1].find('^').unwrap(), column, "{shown}");
        assert!(!shown.contains(['\r', '\u{240d}']), "{shown}");
    }

    #[test]
    fn the_summary_counts() {
        assert_eq!(summary(2, 0), "2 errors; nothing was run");
        assert_eq!(summary(1, 2), "1 error, 2 warnings; nothing was run");
        assert_eq!(summary(0, 1), "1 warning");
        assert_eq!(summary(0, 0), "");
    }
}
