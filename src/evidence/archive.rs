//! The archive: a plain tar with one form only. It is not compressed, so that its bytes never depend on a compressor's version, a byte in it has a
//! place that can be named, and nothing in it can unfold. What reads it takes no name, link or size on trust: whatever this room would not have
//! written itself is refused.

use std::io;

use tar::{Builder, EntryType, Header};

use super::{DERIVED, Files, MANIFEST, RECORD, REGISTER, SIGNATURE, Said};

/// The directory that every file of a bundle stands in.
const HOME: &str = "evidence/";
/// Largest bundle that is read, in bytes.
pub const LARGEST: u64 = 2 * 1024 * 1024 * 1024;
/// Most files of a bundle.
const MOST_FILES: usize = 20_000;
const BLOCK: usize = 512;

/// Writes a bundle: sorted, with the same times, owners and modes each time.
///
/// # Errors
/// A name that is too long for the format.
pub fn write(files: &Files) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_path(format!("{HOME}{path}"))?;
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, bytes.as_slice())?;
    }
    builder.into_inner()
}

/// What an archive turned out to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    /// Its files.
    pub files: Files,
    /// In what way it is not as this room writes it.
    pub flaws: Vec<Said>,
}

/// Whether these first bytes look like those of a bundle.
pub fn is_bundle(start: &[u8]) -> bool {
    start.starts_with(format!("{HOME}{MANIFEST}\0").as_bytes())
}

/// Reads a bundle; never more of it than there is, and no file that has no place in one.
pub fn read(bytes: &[u8]) -> Shape {
    let mut shape = Shape::default();
    if let Some(what) = foreign(bytes) {
        shape.flaws.push(Said::of(what));
        return shape;
    }
    let mut at = 0;
    loop {
        match next(bytes, at, &mut shape.files) {
            Ok(Some(end)) => at = end,
            Ok(None) => break,
            Err(said) => {
                shape.flaws.push(said);
                return shape;
            }
        }
    }
    shape.flaws.extend(not_canonical(bytes, &shape.files));
    shape
}

/// What a file is that is no bundle at all.
fn foreign(bytes: &[u8]) -> Option<String> {
    let compressed: [(&[u8], &str); 4] = [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")];
    if let Some((_, how)) = compressed.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(format!("it is compressed with {how}: a bundle is a plain tar; decompress it first"));
    }
    (bytes.len() < BLOCK || bytes.get(257..262) != Some(b"ustar"))
        .then(|| "it is no evidence bundle: it does not begin as a tar does".into())
}

/// Reads one file; says where it ends, or nothing at the archive's end.
fn next(bytes: &[u8], at: usize, files: &mut Files) -> Result<Option<usize>, Said> {
    let place = |what: String| Said::of(format!("byte {at}: {what}"));
    let Some(block) = bytes.get(at..at + BLOCK) else { return Err(place("the archive ends in the middle of a file's header".into())) };
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let header = Header::from_byte_slice(block);
    let raw = header.path_bytes();
    let name = String::from_utf8_lossy(&raw);
    if header.entry_type() != EntryType::Regular {
        return Err(place(format!("`{name}` is not a regular file (a link, a directory, a device or an extension): a bundle holds none")));
    }
    let path = known(&name).ok_or_else(|| place(format!("`{name}` is not the name of a file of a bundle")))?;
    let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok());
    let from = at + BLOCK;
    let end = size.and_then(|size| from.checked_add(size)).filter(|end| *end <= bytes.len());
    let Some(end) = end else {
        return Err(place(format!("`{name}` is larger than what is left of the archive")));
    };
    if files.len() >= MOST_FILES {
        return Err(place(format!("there are more than {MOST_FILES} files")));
    }
    if files.insert(path.to_owned(), bytes[from..end].to_vec()).is_some() {
        return Err(place(format!("`{name}` stands in it twice")));
    }
    Ok(Some(end.div_ceil(BLOCK) * BLOCK))
}

/// The path of a file that may stand in a bundle. Nothing absolute, no `..`, and nothing that this version does not know.
fn known(name: &str) -> Option<&str> {
    let path = name.strip_prefix(HOME)?;
    if [MANIFEST, SIGNATURE, REGISTER].contains(&path) {
        return Some(path);
    }
    let (run, file) = path.strip_prefix("runs/")?.split_once('/')?;
    let is_id = run.len() == 26 && run.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (is_id && (RECORD.contains(&file) || DERIVED.contains(&file))).then_some(path)
}

/// Where the archive differs from the one that these files make.
fn not_canonical(bytes: &[u8], files: &Files) -> Option<Said> {
    let again = match write(files) {
        Ok(again) => again,
        Err(error) => return Some(Said::of(format!("it cannot be written again: {error}"))),
    };
    if again == bytes {
        return None;
    }
    let same = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Some(Said::of(format!("byte {same}: {}", place_of(same, files))))
}

/// What stands at this byte of the archive that these files make, when it is not what should.
fn place_of(byte: usize, files: &Files) -> String {
    let mut at = 0;
    for (path, content) in files {
        let from = at + BLOCK;
        let end = (from + content.len()).div_ceil(BLOCK) * BLOCK;
        if byte < from {
            return format!("the header of {path} is not as it is written: order, mode, owner, time or checksum");
        }
        if byte < end {
            return format!("what fills up the last block of {path} is not empty");
        }
        at = end;
    }
    "the end of the archive is not two empty blocks and nothing else".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01M80XV2XFM9FPRHD77D8KWRCS";

    fn files() -> Files {
        let text = |text: &str| text.as_bytes().to_vec();
        Files::from([
            (MANIFEST.to_owned(), text("{}\n")),
            (REGISTER.to_owned(), text("")),
            (super::super::path_of(RUN, "events.jsonl"), vec![b'x'; 512]),
            (super::super::path_of(RUN, "plan.json"), vec![b'y'; 513]),
        ])
    }

    #[test]
    fn what_is_written_is_read_and_always_the_same() {
        let bytes = write(&files()).unwrap();
        assert_eq!(bytes, write(&files()).unwrap());
        assert!(is_bundle(&bytes) && !is_bundle(b"PK"));
        assert_eq!(read(&bytes), Shape { files: files(), flaws: Vec::new() });
    }

    /// Every byte that is no content has its one value; a changed content is another content.
    #[test]
    fn every_changed_byte_shows() {
        let bytes = write(&files()).unwrap();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut harmed = bytes.clone();
                harmed[at] ^= flip;
                let shape = read(&harmed);
                assert!(!shape.flaws.is_empty() || shape.files != files(), "byte {at} ^ {flip:#x}");
            }
        }
        for end in 0..bytes.len() {
            assert!(!read(&bytes[..end]).flaws.is_empty(), "cut at {end}");
        }
        assert!(read(&[bytes.as_slice(), b"\0"].concat()).flaws[0].what.contains("end of the archive"));
    }

    fn one(change: impl Fn(&mut Header), content: &[u8]) -> Shape {
        let mut header = Header::new_ustar();
        header.set_path("evidence/manifest.json").unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(EntryType::Regular);
        change(&mut header);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK + 2 * BLOCK, 0);
        read(&bytes)
    }

    fn named(name: &[u8]) -> Shape {
        one(
            |header| {
                let field = &mut header.as_old_mut().name;
                field.fill(0);
                field[..name.len()].copy_from_slice(name);
            },
            b"{}",
        )
    }

    #[test]
    fn hostile_archives_are_refused() {
        let said = |shape: Shape| shape.flaws.first().map(|said| said.what.clone()).unwrap_or_default();
        for name in [
            "/etc/passwd",
            "../evidence/manifest.json",
            "evidence/../../x",
            "evidence/runs/../../x/plan.json",
            "evidence/runs/01M80XV2XFM9FPRHD77D8KWRCS/../plan.json",
            "evidence/runs/01M80XV2XFM9FPRHD77D8KWRCS/lock",
            "evidence/runs/01m80xv2xfm9fprhd77d8kwrcs/plan.json",
            "evidence/\x1b[2Jx",
            "evidence/",
            "",
        ] {
            let said = said(named(name.as_bytes()));
            assert!(said.contains("not the name of a file of a bundle"), "{name:?}: {said}");
            assert!(!said.contains('\x1b'));
        }
        assert!(said(named(b"evidence/\xff")).contains("not the name"));
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::Fifo, EntryType::Char, EntryType::XHeader] {
            assert!(said(one(|header| header.set_entry_type(kind), b"{}")).contains("not a regular file"), "{kind:?}");
        }
        for kind in [EntryType::GNULongName, EntryType::GNUSparse, EntryType::XGlobalHeader, EntryType::Continuous] {
            assert!(said(one(|header| header.set_entry_type(kind), b"{}")).contains("not a regular file"), "{kind:?}");
        }
        for size in [600 * 1024, u64::MAX / 2, u64::MAX] {
            assert!(said(one(|header| header.set_size(size), b"{}")).contains("larger than what is left"), "{size}");
        }
        assert!(said(one(|header| header.set_mtime(1), b"{}")).contains("header of manifest.json"));
        assert!(said(one(|header| header.set_mode(0o4755), b"{}")).contains("header of manifest.json"));
        let twice = [&write(&files()).unwrap()[..1024], &write(&files()).unwrap()].concat();
        assert!(said(read(&twice)).contains("twice"));
        assert!(said(read(b"\x1f\x8b\x08")).contains("gzip"));
        assert!(said(read(b"")).contains("no evidence bundle"));
        assert!(said(read(&[0; 4096])).contains("no evidence bundle"));
    }

    #[test]
    fn another_order_is_another_archive() {
        let all = files();
        let bytes = write(&all).unwrap();
        // Manifest and register, one block each and its header, change places; the register is empty.
        let swapped = [&bytes[1024..1536], &bytes[..1024], &bytes[1536..]].concat();
        let shape = read(&swapped);
        assert_eq!(shape.files, all);
        assert!(shape.flaws[0].what.starts_with("byte 9: the header of manifest.json"), "{:?}", shape.flaws);
    }
}
