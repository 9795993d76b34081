//! What a blind drill hides from other accounts of the machine, and what it cannot: said before anything happens.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::event::{Event, TeamEvent};
use crate::plan::Plan;
use crate::sys::{account, title};

/// Writes the arguments of this process over, which name the scenario's file; does nothing for a drill that is not blind. To be called as soon as it is
/// known that it is: who looks before that sees them.
pub fn hide_arguments(plan: &Plan) {
    if plan.is_blind() {
        // Whether it worked is looked at once more, and written down, when the run begins.
        let _ = title::hide(&["firedrill", "run"]);
    }
}

/// What stands in the journal of a blind drill before anything else happens.
pub fn begin(plan: &Plan, file: Option<&Path>) -> Option<Event> {
    let team = plan.team.as_ref().filter(|team| team.blind)?;
    let (us, uid) = account::ours();
    let theirs = |name: &str| name != us && account::find(name).is_some_and(|found| found.uid != uid && found.uid != 0);
    // Whom nobody knows here may be anybody.
    let apart = team.participants().next().is_some() && team.participants().all(theirs);
    let mut doubts = Vec::new();
    if let Err(error) = title::hide(&["firedrill", "run"]) {
        doubts.push(format!("failed to hide the arguments of this process, which name the scenario's file: {error}"));
    }
    if let Some(file) = file.filter(|file| open_to_others(file)) {
        doubts.push(format!("every account can read {}: chmod o-r hides it", file.display()));
    }
    Some(Event::Team(TeamEvent::Blind { shown_as: plan.shown().to_owned(), apart, doubts }))
}

/// Whether an account that is neither the owner nor in the group can read a file.
fn open_to_others(file: &Path) -> bool {
    let Ok(file) = std::fs::canonicalize(file) else { return false };
    let may = |path: &Path, bit: u32| std::fs::metadata(path).is_ok_and(|meta| meta.mode() & bit != 0);
    may(&file, 0o004) && file.ancestors().skip(1).all(|dir| may(dir, 0o001))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_open_where_every_directory_on_the_way_is() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, file) = (dir.path().join("a"), dir.path().join("a/secret.yaml"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(&file, 0o644);
        set(&inner, 0o755);
        set(dir.path(), 0o700);
        assert!(!open_to_others(&file), "the directory above lets nobody in");
        set(dir.path(), 0o755);
        // Where temporary directories themselves are closed, nothing in them is open.
        let reachable = dir.path().parent().unwrap().ancestors().all(|dir| fs::metadata(dir).unwrap().mode() & 0o001 != 0);
        assert_eq!(open_to_others(&file), reachable);
        set(&file, 0o640);
        assert!(!open_to_others(&file));
        assert!(!open_to_others(Path::new("/nowhere/at/all")));
    }
}
