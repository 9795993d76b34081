//! Names with `*` and `?`.

/// Whether a name fits a glob: `*` stands for any text, `?` for one character. Linear but for the last star.
pub(super) fn fits(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                retry = Some((g + 1, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    g = after;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks() {
        for (glob, name) in
            [("*", ""), ("*", "x"), ("process.*", "process.kill"), ("a?c", "abc"), ("*-1", "etcd-1"), ("a*b*c", "aXbXbc"), ("", "")]
        {
            assert!(fits(glob, name), "{glob} {name}");
        }
        for (glob, name) in [("process.*", "process"), ("a?c", "ac"), ("*-1", "etcd-12"), ("", "a"), ("proc", "process.kill"), ("?", "")] {
            assert!(!fits(glob, name), "{glob} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_means_what_a_regular_expression_says(glob in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let regex = format!("^{}$", glob.replace('*', ".*").replace('?', "."));
            prop_assert_eq!(fits(&glob, &name), regex::Regex::new(&regex).unwrap().is_match(&name));
        }
    }
}
