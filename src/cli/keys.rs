//! Bytes of a keyboard made into keys, and keys into a line. Pure.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// The end of a line.
    Enter,
    /// Take the last character back.
    Backspace,
    /// Leave.
    Escape,
    /// Ctrl and this letter.
    Ctrl(char),
}

/// Longest line that is typed, in characters.
const LONGEST: usize = 4_000;

/// Makes keys of bytes, which may break off in the middle of a character.
#[derive(Debug, Default)]
pub struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    /// The keys of what was typed. Arrows and the like are none.
    pub fn keys(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.rest.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.rest);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some(byte) = all.get(at) {
            at += 1;
            match byte {
                b'\r' | b'\n' => keys.push(Key::Enter),
                0x7f | 0x08 => keys.push(Key::Backspace),
                0x1b => match all.get(at) {
                    Some(b'[' | b'O') => {
                        at += 1;
                        // Parameters, then one letter.
                        while all.get(at).is_some_and(|byte| !(0x40..=0x7e).contains(byte)) {
                            at += 1;
                        }
                        at += 1;
                    }
                    _ => keys.push(Key::Escape),
                },
                byte @ 1..=26 => keys.push(Key::Ctrl(char::from(b'a' + byte - 1))),
                0 | 28..=31 => {}
                _ => match character(&all[at - 1..]) {
                    Part::Whole(c, length) => {
                        keys.push(Key::Char(c));
                        at += length - 1;
                    }
                    Part::Begun => {
                        self.rest = all[at - 1..].to_vec();
                        break;
                    }
                    Part::None => {}
                },
            }
        }
        keys
    }
}

enum Part {
    Whole(char, usize),
    Begun,
    None,
}

fn character(bytes: &[u8]) -> Part {
    let head = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let (text, error) = match std::str::from_utf8(head) {
        Ok(text) => (text, None),
        Err(error) => (std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(), Some(error)),
    };
    match (text.chars().next(), error) {
        (Some(c), _) => Part::Whole(c, c.len_utf8()),
        (None, Some(error)) if error.error_len().is_none() && bytes.len() < 4 => Part::Begun,
        _ => Part::None,
    }
}

/// A line that is typed.
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    /// Takes a key in; the line, once it ends.
    pub fn key(&mut self, key: Key) -> Option<String> {
        match key {
            Key::Enter => return Some(std::mem::take(&mut self.0)),
            Key::Char(c) if self.0.chars().count() < LONGEST => self.0.push(c),
            Key::Backspace => drop(self.0.pop()),
            Key::Ctrl('u') | Key::Escape => self.0.clear(),
            Key::Ctrl('w') => {
                let kept = self.0.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.0.truncate(kept);
            }
            Key::Char(_) | Key::Ctrl(_) => {}
        }
        None
    }

    /// What is typed so far.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(chunks: &[&[u8]]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        chunks.iter().flat_map(|chunk| decoder.keys(chunk)).collect()
    }

    #[test]
    fn arrows_are_no_keys_and_a_broken_character_is_mended() {
        assert_eq!(typed(&[b"a\x1b[A\x1b[1;5Cb\x1bOP\r"]), [Key::Char('a'), Key::Char('b'), Key::Enter]);
        assert_eq!(typed(&[b"\xc3", b"\xa4\x03\x7f\x1b"]), [Key::Char('ä'), Key::Ctrl('c'), Key::Backspace, Key::Escape]);
        assert_eq!(typed(&[b"\xffx"]), [Key::Char('x')]);
    }

    #[test]
    fn a_line_is_edited() {
        let mut line = Line::default();
        for key in typed(&["ab cd\x17ef\u{7f}".as_bytes()]) {
            assert_eq!(line.key(key), None);
        }
        assert_eq!(line.text(), "ab e");
        assert_eq!(line.key(Key::Enter).as_deref(), Some("ab e"));
        assert_eq!(line.text(), "");
    }

    proptest! {
        #[test]
        fn whatever_is_typed_gives_the_same_keys_however_it_is_cut(text in "[a-zäß€😀]{0,30}", at in 0usize..60) {
            let bytes = text.as_bytes();
            let at = at.min(bytes.len());
            let keys = typed(&[&bytes[..at], &bytes[at..]]);
            prop_assert_eq!(keys, text.chars().map(Key::Char).collect::<Vec<_>>());
        }

        #[test]
        fn rubbish_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            typed(&[&bytes]);
        }
    }
}
