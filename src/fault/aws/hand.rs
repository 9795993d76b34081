//! The frame of every line by hand: it enters the right account, as the drill did, or does nothing.

use crate::fault::shell;
use crate::sys::aws::Place;

/// One line that does `whole` in the account and nowhere else. `whole` is given the beginning of every command: `aws --region … --output text`.
pub(super) fn line(place: &Place, whole: impl FnOnce(&str) -> String) -> String {
    let Place { account, region, profile, role, external_id, mfa, .. } = place;
    let profile = profile.as_ref().map(|profile| format!(" --profile {}", shell::quote(profile))).unwrap_or_default();
    // A role is entered once, in a shell of its own, so that nothing of it stays.
    let (as_role, profile) = match role {
        None => (String::new(), profile),
        Some(role) => {
            let external = external_id.as_ref().map(|id| format!(" --external-id {}", shell::quote(id))).unwrap_or_default();
            let keys = "Credentials.join(' ',[join('=',['AWS_ACCESS_KEY_ID',AccessKeyId]),join('=',['AWS_SECRET_ACCESS_KEY',SecretAccessKey]),join('=',['AWS_SESSION_TOKEN',SessionToken])])";
            let role = shell::quote(role);
            // Whoever pastes it is asked, as whoever started the drill was; a code in the line itself would be good for half a minute.
            let (ask, code) = match mfa {
                None => (String::new(), String::new()),
                Some(device) => {
                    let ask = format!("printf 'code of %s: ' {device} >&2 && read -r code && ", device = shell::quote(device));
                    (ask, format!(" --serial-number {} --token-code \"$code\"", shell::quote(device)))
                }
            };
            let assume = format!(
                "aws{profile} sts assume-role --region {region} --role-arn {role} --role-session-name by-hand{external}{code} --output text --query \"{keys}\""
            );
            (format!("{ask}keys=$({assume}) && export $keys && unset AWS_PROFILE && "), String::new())
        }
    };
    let aws = format!("aws{profile} --region {region} --output text");
    let whole = whole(&aws);
    format!("( {as_role}[ \"$({aws} sts get-caller-identity --query Account)\" = {account} ] && {{ {whole}; }} )")
}

/// What stands between the single quotes of a shell.
pub(super) fn in_quotes(text: &str) -> String {
    text.replace('\'', r"'\''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_pastes_a_line_for_a_role_with_a_device_is_asked_for_a_code() {
        let place = Place {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            role: Some("arn:aws:iam::111122223333:role/drill".into()),
            mfa: Some("arn:aws:iam::111122223333:mfa/alice".into()),
            ..Place::default()
        };
        let told = line(&place, |aws| format!("{aws} fis list-experiments"));
        let begins = "( printf 'code of %s: ' arn:aws:iam::111122223333:mfa/alice >&2 && read -r code && keys=$(aws sts assume-role ";
        assert!(
            told.starts_with(begins) && told.contains("--serial-number arn:aws:iam::111122223333:mfa/alice --token-code \"$code\""),
            "{told}"
        );
        assert!(!line(&Place { mfa: None, ..place }, str::to_owned).contains("code"));
    }
}
