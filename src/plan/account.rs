//! The AWS account of a plan, and what a resource must be tagged with to be hit.

use serde::{Deserialize, Serialize};

use crate::scenario::model::AwsDecl;

/// What a resource carries that may be hit, where no policy says otherwise.
const OPT_IN: &str = "firedrill=allowed";

/// The account, and the tags that a resource must carry to be hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsPlan {
    /// Which account, and who acts in it.
    pub place: AwsDecl,
    /// What policies ask of every resource that is hit, as `KEY=VALUE`; the house default where they say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opt_in: Vec<String>,
}

impl AwsPlan {
    /// The plan of what a scenario says.
    pub fn of(place: &AwsDecl) -> AwsPlan {
        AwsPlan { place: place.clone(), opt_in: Vec::new() }
    }

    /// The tags that a resource must carry, all of them, as key and value; a tag without `=` has an empty value.
    pub fn opt_in_tags(&self) -> Vec<(&str, &str)> {
        let split = |tag: &'static str| tag.split_once('=').unwrap_or((tag, ""));
        if self.opt_in.is_empty() {
            return vec![split(OPT_IN)];
        }
        self.opt_in.iter().map(|tag| tag.split_once('=').unwrap_or((tag.as_str(), ""))).collect()
    }

    /// In one line, for people.
    pub fn words(&self) -> String {
        let AwsDecl { account, region, profile, role, mfa, session, .. } = &self.place;
        let profile = profile.as_ref().map(|profile| format!(", profile {profile}")).unwrap_or_default();
        let role = role.as_ref().map(|role| format!(", as {role}")).unwrap_or_default();
        let code = mfa.as_ref().map(|device| format!(", with a code of {device}")).unwrap_or_default();
        let session = session.map(|lasts| format!(", for {} at a time", lasts.human())).unwrap_or_default();
        let tags: Vec<String> = self.opt_in_tags().iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{account} in {region}{profile}{role}{code}{session}; only what is tagged {} is hit", tags.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_hit_is_tagged() {
        let place =
            AwsDecl { account: "111122223333".into(), region: "eu-west-1".into(), profile: Some("drills".into()), ..AwsDecl::default() };
        let mut plan = AwsPlan::of(&place);
        assert_eq!(plan.words(), "111122223333 in eu-west-1, profile drills; only what is tagged firedrill=allowed is hit");
        let place = AwsDecl { mfa: Some("GAHT12345678".into()), session: Some(crate::base::Span::secs(7_200)), ..place };
        assert!(AwsPlan::of(&place).words().contains(", with a code of GAHT12345678, for 2 h at a time; only"));
        plan.opt_in = vec!["chaos=yes".into(), "owner".into()];
        assert_eq!(plan.opt_in_tags(), [("chaos", "yes"), ("owner", "")]);
    }
}
