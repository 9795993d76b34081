//! Reading and rewriting pages of documentation: fenced blocks, tables, and parts that are written by a test.
#![allow(dead_code, reason = "every test file uses another part")]

use std::fs;
use std::path::{Path, PathBuf};

/// Where the project is.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the project.
pub fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whether generated parts are to be written instead of compared.
pub fn blesses() -> bool {
    std::env::var_os("FIREDRILL_BLESS").is_some()
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// `FILE:LINE` of its first line.
    pub at: String,
    /// What stands behind the fence.
    pub language: String,
    /// What stands in it.
    pub text: String,
}

/// Every fenced block of a page.
pub fn blocks(name: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page(name).lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            if !open {
                out.push(Block { at: format!("{name}:{}", number + 2), language: language.to_owned(), text: String::new() });
            }
            open = !open;
        } else if open {
            let block = out.last_mut().unwrap();
            block.text += line;
            block.text.push('\n');
        }
    }
    assert!(!open, "{name}: a block is not closed");
    out
}

/// The text under a heading, up to the next one of any level.
pub fn section(name: &str, heading: &str) -> String {
    let text = page(name);
    let start = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{name} has no heading `{heading}`")) + heading.len() + 2;
    let rest = &text[start..];
    let end = ["\n# ", "\n## ", "\n### "].iter().filter_map(|next| rest.find(next)).min().unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// The cells of every table row, without heads.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &str| line.starts_with("| ") && line.ends_with(" |");
    let mut out = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let head = lines.get(n + 1).is_some_and(|next| next.starts_with("|---"));
        if is_row(line) && !head {
            out.push(line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect());
        }
    }
    out
}

fn bounds<'a>(text: &'a str, name: &str, marker: &str) -> (usize, usize, &'a str) {
    let open = format!("<!-- {marker} -->\n");
    let start = text.find(&open).unwrap_or_else(|| panic!("{name} has no `{}`", open.trim())) + open.len();
    let length = text[start..].find("<!-- end -->").unwrap_or_else(|| panic!("{name}: `{marker}` has no end"));
    (start, start + length, &text[start..start + length])
}

/// What stands between `<!-- MARKER -->` and `<!-- end -->`.
pub fn generated(name: &str, marker: &str) -> String {
    bounds(&page(name), name, marker).2.to_owned()
}

/// Writes what stands between `<!-- MARKER -->` and `<!-- end -->`.
pub fn write_generated(name: &str, marker: &str, new: &str) {
    // Two tests of one binary may write parts of one page.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let text = page(name);
    let (start, end, _) = bounds(&text, name, marker);
    fs::write(root().join(name), format!("{}{new}{}", &text[..start], &text[end..])).unwrap();
}

/// Compares a generated part, or writes it when asked to.
pub fn compare_generated(name: &str, marker: &str, new: &str, test: &str) {
    if blesses() {
        write_generated(name, marker, new);
    }
    let here = generated(name, marker);
    assert!(here == new, "{name}: `{marker}` is not current; FIREDRILL_BLESS=1 cargo test --test {test} writes it:\n{new}");
}

/// Whether a file is there.
pub fn is_there(name: &str) -> bool {
    Path::new(&root()).join(name).exists()
}
