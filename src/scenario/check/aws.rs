//! The AWS account: is it well written, and does anything need it that is not given one?

use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{AwsDecl, Scenario};
use super::at;

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    let acts = |kind: &str| known.fault(kind).is_some_and(|kind| kind.in_account);
    match &s.aws {
        Some(aws) => out.extend(place(aws)),
        None => out.extend(s.faults.iter().filter(|(_, fault)| acts(&fault.what.kind)).map(|(id, fault)| {
            Finding::error(at(&["faults", id.as_str()]), format!("`{}` acts in an AWS account, and none is named", fault.what.kind), "in no account")
                .on_key()
                .help("add `aws: { account: \"111122223333\", region: eu-west-1 }` at the top: whoever is found to act in another account is refused")
        })),
    }
    if let (Some(_), false) = (&s.aws, s.faults.values().any(|fault| acts(&fault.what.kind))) {
        out.push(
            Finding::warning("/aws", "nothing in this scenario acts in an AWS account", "used by nothing")
                .on_key()
                .help("remove it, or add an `aws.…` fault"),
        );
    }
    out
}

fn place(aws: &AwsDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut refuse = |key: &str, good: bool, title: String, help: &str| {
        if !good {
            out.push(Finding::error(at(&["aws", key]), title, "not that").help(help));
        }
    };
    let AwsDecl { account, region, profile, role, external_id } = aws;
    let number = "it has twelve digits: `aws sts get-caller-identity` shows it";
    refuse("account", is_account(account), format!("`{account}` is no account number"), number);
    refuse("region", is_region(region), format!("`{region}` is no region"), "write for example `eu-west-1`");
    if let Some(profile) = profile {
        let known = "`aws configure list-profiles` shows those that there are";
        refuse("profile", is_word(profile), format!("`{profile}` is no profile"), known);
    }
    if let Some(role) = role {
        refuse("role", is_role(role), format!("`{role}` is no role"), "write its ARN: `arn:aws:iam::111122223333:role/NAME`");
    }
    if let Some(external) = external_id {
        refuse(
            "external_id",
            is_word(external),
            "this is no external id".to_owned(),
            "it has letters, digits and `_+=,.@:/-`, at most 128",
        );
        refuse("external_id", role.is_some(), "an external id belongs to a role".to_owned(), "add `role:`, or remove it");
    }
    out
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `eu-west-1`, `us-gov-east-1`: words, and a number at the end.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let short = |part: &str| (1..=12).contains(&part.len());
    (2..=4).contains(&words.len())
        && words.iter().all(|word| short(word) && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        && short(number)
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte))
}

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, "", account, role] = parts[..] else { return false };
    let named = role.strip_prefix("role/").is_some_and(|name| !name.is_empty());
    arn == "arn"
        && partition.starts_with("aws")
        && service == "iam"
        && is_account(account)
        && named
        && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario, warns};
    use super::*;

    fn aws() -> AwsDecl {
        AwsDecl {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            profile: Some("drills".into()),
            role: Some("arn:aws:iam::111122223333:role/firedrill".into()),
            external_id: Some("shop-7".into()),
        }
    }

    #[test]
    fn an_account_is_well_written() {
        assert_eq!(place(&aws()), vec![]);
        assert_eq!(place(&AwsDecl { region: "us-gov-west-1".into(), profile: None, ..aws() }), vec![]);
        let mut s = scenario();
        assert!(found(&s).is_empty());
        s.aws = Some(AwsDecl { account: "1111".into(), region: "Ireland".into(), ..aws() });
        refuses(&s, "/aws/account", "no account number");
        refuses(&s, "/aws/region", "no region");
        s.aws = Some(AwsDecl { role: Some("firedrill".into()), profile: Some("a b".into()), ..aws() });
        refuses(&s, "/aws/role", "no role");
        refuses(&s, "/aws/profile", "no profile");
        s.aws = Some(AwsDecl { role: None, ..aws() });
        refuses(&s, "/aws/external_id", "belongs to a role");
        s.aws = Some(aws());
        warns(&s, "/aws", "nothing in this scenario");
    }

    #[test]
    fn what_acts_in_an_account_is_given_one() {
        let mut s = scenario();
        s.faults[0].what.kind = "cloud.break".into();
        let mut known = super::super::sample::known();
        known.faults.push(crate::scenario::known::KnownKind {
            in_account: true,
            ..crate::scenario::known::KnownKind::plain("cloud.break", "breaks", serde_json::json!({}))
        });
        assert!(check(&s, &known).iter().any(|finding| finding.title.contains("none is named")));
        s.aws = Some(aws());
        assert_eq!(check(&s, &known), vec![]);
    }
}
