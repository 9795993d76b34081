//! What a rule says of AWS accounts: which, where, and what a resource must be tagged with to be hit.

use super::demand::applies;
use super::glob::fits;
use super::judge::Verdict;
use super::model::AwsRule;
use super::read::Ruled;
use crate::plan::Plan;

/// Whether a plan acts only where it may. A plan that acts in no account does.
pub(super) fn judge(rule: &AwsRule, plan: &Plan) -> Verdict {
    let Some(aws) = &plan.aws else { return Verdict::Passed };
    let outside = |list: &Option<Vec<String>>, value: &str| list.as_ref().is_some_and(|list| !list.iter().any(|glob| fits(glob, value)));
    if outside(&rule.accounts, &aws.place.account) {
        return Verdict::Refused(format!("it acts in account {}, which is not allowed", aws.place.account));
    }
    if outside(&rule.regions, &aws.place.region) {
        return Verdict::Refused(format!("it acts in {}, which is not allowed", aws.place.region));
    }
    Verdict::Passed
}

/// What a rule asks, in words.
pub(super) fn asks(rule: &AwsRule) -> String {
    let list = |word: &str, list: &Option<Vec<String>>| list.as_ref().map(|list| format!("{word} {}", list.join(", ")));
    let tag = rule.opt_in_tag.as_ref().map(|tag| format!("only what is tagged {tag} is hit"));
    let parts = [list("only accounts", &rule.accounts), list("only regions", &rule.regions), tag];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The tags that the policies ask of whatever is hit, each once; nothing where they say nothing.
pub fn opt_in_tags(policies: &[Ruled], plan: &Plan) -> Vec<String> {
    let rules = policies.iter().flat_map(|ruled| ruled.policy.rules.values());
    let here = rules.filter(|rule| applies(rule.environments.as_deref(), plan.environment));
    let mut tags: Vec<String> = here.filter_map(|rule| rule.aws.as_ref()?.opt_in_tag.clone()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::AwsPlan;
    use crate::scenario::check::sample;
    use crate::scenario::model::AwsDecl;

    fn plan() -> Plan {
        let mut scenario = sample::scenario();
        let place = AwsDecl { account: "111122223333".into(), region: "eu-west-1".into(), ..AwsDecl::default() };
        scenario.aws = Some(place);
        crate::plan::build(
            &scenario,
            &sample::known(),
            crate::plan::Origin {
                name: "x".into(),
                base_dir: "/".into(),
                scenario_digest: crate::base::digest_of(b""),
                workload_digest: None,
                mode: crate::plan::Mode::Normal,
            },
        )
    }

    #[test]
    fn a_drill_acts_where_it_may() {
        let rule = |accounts: &[&str], regions: &[&str]| AwsRule {
            accounts: (!accounts.is_empty()).then(|| accounts.iter().map(|a| (*a).to_owned()).collect()),
            regions: (!regions.is_empty()).then(|| regions.iter().map(|r| (*r).to_owned()).collect()),
            opt_in_tag: None,
        };
        assert_eq!(judge(&rule(&["111122223333"], &["eu-*"]), &plan()), Verdict::Passed);
        assert!(matches!(judge(&rule(&["999999999999"], &[]), &plan()), Verdict::Refused(why) if why.contains("account 111122223333")));
        assert!(matches!(judge(&rule(&[], &["us-*"]), &plan()), Verdict::Refused(why) if why.contains("eu-west-1")));
        let mut nowhere = plan();
        nowhere.aws = None;
        assert_eq!(judge(&rule(&["999999999999"], &[]), &nowhere), Verdict::Passed);
        assert_eq!(asks(&rule(&["1", "2"], &["eu-*"])), "only accounts 1, 2; only regions eu-*");
        assert_eq!(AwsPlan::of(&plan().aws.unwrap().place).opt_in_tags(), [("firedrill", "allowed")]);
    }
}
