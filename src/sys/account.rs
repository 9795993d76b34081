//! Accounts of this machine, from `/etc/passwd`: for processes that run as somebody else, and for saying who asked.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its home directory.
    pub home: String,
}

/// The account of that name.
pub fn find(name: &str) -> Option<Account> {
    in_text(&std::fs::read_to_string("/etc/passwd").ok()?, name)
}

fn in_text(text: &str, name: &str) -> Option<Account> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [found, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        (*found == name).then_some(())?;
        Some(Account { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: (*home).to_owned() })
    })
}

/// The account we act as: its name, or its number where it has none, and its number. Files that we write belong to it.
pub fn ours() -> (String, u32) {
    let uid = rustix::process::geteuid().as_raw();
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    (name_of(&text, uid).unwrap_or_else(|| uid.to_string()), uid)
}

/// Who that is, for people: `dan (uid 1000)`, or the number alone where the account is not in the file.
pub fn who(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&text, uid)
}

/// The name of an account, or its number where it has none.
pub fn name(uid: u32) -> String {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&text, uid).unwrap_or_else(|| uid.to_string())
}

fn named(text: &str, uid: u32) -> String {
    name_of(text, uid).map_or_else(|| format!("uid {uid}"), |name| format!("{} (uid {uid})", crate::base::one_line(&name, 64)))
}

fn name_of(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Whether we already are that user.
pub fn is_us(account: &Account) -> bool {
    rustix::process::geteuid().as_raw() == account.uid
}

impl Account {
    /// Makes a command run as this account.
    pub fn apply(&self, command: &mut Command) {
        if !is_us(self) {
            command.gid(self.gid).uid(self.uid);
        }
        command.env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_by_exact_name() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken\npostgres:x:113:120::/var/lib/postgresql:/bin/bash\n";
        let found = in_text(text, "postgres").unwrap();
        assert_eq!((found.uid, found.gid, found.home.as_str()), (113, 120, "/var/lib/postgresql"));
        assert_eq!(in_text(text, "postgre"), None);
        assert_eq!(in_text(text, "broken"), None);
        assert_eq!((name_of(text, 113).as_deref(), name_of(text, 114)), (Some("postgres"), None));
        assert_eq!(named(text, 113), "postgres (uid 113)");
        assert_eq!(named(text, 11), "uid 11");
    }
}
