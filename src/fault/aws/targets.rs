//! What an experiment would hit: found by AWS's own register of tags before anything is started, and refused where it does not carry what the house
//! asks of whatever may be hit.

use aws_sdk_resourcegroupstagging::types::{ResourceTagMapping, TagFilter};

use super::template::{Aim, Shape};
use crate::fault::{FaultError, Resource};
use crate::plan::AwsPlan;
use crate::sys::aws::{Account, AwsError, failed};

/// The most resources of one target that are looked at.
const MOST: usize = 2_000;
/// The most that are named in words; the others are counted.
const NAMED: usize = 8;

/// What would be hit.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each resource that is hit, for people; of a choice by chance, so many lines as are chosen.
    pub targets: Vec<String>,
    /// How many there are of that sort, where it is known of all targets.
    pub population: Option<usize>,
    /// Everything that could be hit.
    pub claims: Vec<Resource>,
}

/// Finds everything that an experiment would hit.
///
/// # Errors
/// A target that matches nothing, or something without the opt-in tags; AWS refuses or does not answer.
pub(super) async fn find(shape: &Shape, plan: &AwsPlan, account: &Account) -> Result<Found, FaultError> {
    let mut found = Found { population: Some(0), ..Found::default() };
    for aim in &shape.targets {
        let here = if aim.arns.is_empty() { by_tags(aim, plan, account).await? } else { Some(by_arns(aim, plan, account).await?) };
        let Some(names) = here else {
            let words = format!("{} of what is tagged {}, as AWS chooses ({})", aim.name, tags(&aim.tags), aim.of);
            found.claims.push(Resource::Aws(format!("{} in {}", words, plan.place.account)));
            found.targets.push(words);
            found.population = None;
            continue;
        };
        chosen(aim, names, &mut found)?;
    }
    // Actions may act on no resource at all: a pause, or an error of AWS's own interface for a role.
    if shape.targets.is_empty() {
        found.targets.push(format!("account {}, by {}", plan.place.account, shape.actions.join(", ")));
        found.claims.push(Resource::Aws(format!("account {}", plan.place.account)));
        found.population = None;
    }
    Ok(found)
}

/// How many of those that were found are hit, and which they may be.
fn chosen(aim: &Aim, names: Vec<String>, found: &mut Found) -> Result<(), FaultError> {
    let count = aim.select.how_many(names.len());
    if count == 0 {
        let why = format!("`{}` selects less than one of {} ({})", aim.name, names.len(), aim.of);
        return Err(FaultError::Target(why));
    }
    if count == names.len() && !aim.filtered {
        found.targets.extend(names.iter().map(|name| format!("{} ({})", short(name), aim.of)));
    } else {
        let mut listed: Vec<&str> = names.iter().take(NAMED).map(|name| short(name)).collect();
        let more = format!("{} more", names.len().saturating_sub(NAMED));
        if names.len() > NAMED {
            listed.push(&more);
        }
        let least = if aim.filtered { ", as far as its filters let it" } else { "" };
        found.targets.extend((1..=count).map(|n| format!("{n} of {}: any of {} ({}{least})", names.len(), listed.join(", "), aim.of)));
    }
    found.population = found.population.map(|all| all + names.len());
    found.claims.extend(names.into_iter().map(Resource::Aws));
    Ok(())
}

/// The last part of an ARN: `instance/i-0abc`.
fn short(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

fn tags(tags: &[(String, String)]) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" and ")
}

/// What AWS's register of tags calls a type: `aws:ec2:instance` is `ec2:instance` there.
fn registered(of: &str) -> &str {
    match of {
        "aws:ec2:spot-instance" => "ec2:instance",
        "aws:ec2:ebs-volume" => "ec2:volume",
        "aws:ec2:autoscaling-group" => "autoscaling:autoScalingGroup",
        "aws:dynamodb:global-table" => "dynamodb:table",
        "aws:memorydb:multi-region-cluster" => "memorydb:multiregioncluster",
        // The ARN of a bucket names no type.
        "aws:s3:bucket" => "s3",
        other => other.strip_prefix("aws:").unwrap_or(other),
    }
}

/// Whether the register keeps this sort of thing at all: roles are in none.
fn is_registered(arn: &str) -> bool {
    !(arn.starts_with("arn:") && arn.split(':').nth(2) == Some("iam"))
}

/// The resources that carry a target's tags, sorted; nothing where the register does not know the type.
async fn by_tags(aim: &Aim, plan: &AwsPlan, account: &Account) -> Result<Option<Vec<String>>, FaultError> {
    if let Some((key, value)) = plan.opt_in_tags().into_iter().find(|(key, value)| !aim.tags.iter().any(|(k, v)| k == key && v == value)) {
        let why = format!(
            "`{}` does not ask for the tag {key}={value}, so that it could hit what nobody has released (add it to the target's tags, and to the resources)",
            aim.name
        );
        return Err(FaultError::Target(why));
    }
    let doing = format!("find what is tagged {}", tags(&aim.tags));
    let mut request = account.tags.get_resources().resource_type_filters(registered(&aim.of)).resources_per_page(100);
    for (key, value) in &aim.tags {
        request = request.tag_filters(TagFilter::builder().key(key).values(value).build());
    }
    let mut pages = request.into_paginator().send();
    let mut names: Vec<String> = Vec::new();
    while let Some(page) = pages.next().await {
        let page = match page.map_err(|error| failed(&doing, &account.place, error)) {
            Ok(page) => page,
            // It says so of types that it does not keep.
            Err(AwsError::Refused { code, .. }) if code == "InvalidParameterException" => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        names.extend(page.resource_tag_mapping_list().iter().filter_map(ResourceTagMapping::resource_arn).map(str::to_owned));
        if names.len() > MOST {
            return Err(FaultError::Target(format!("`{}` matches more than {MOST} resources", aim.name)));
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let why = format!("nothing of {} is tagged {} in {} ({})", aim.of, tags(&aim.tags), account.place.region, account.place.account);
        return Err(FaultError::Target(why));
    }
    Ok(Some(names))
}

/// The resources that a target names, each seen to carry what the house asks for; sorted.
async fn by_arns(aim: &Aim, plan: &AwsPlan, account: &Account) -> Result<Vec<String>, FaultError> {
    let mut seen: Vec<ResourceTagMapping> = Vec::new();
    for some in aim.arns.chunks(100) {
        let answer = account.tags.get_resources().set_resource_arn_list(Some(some.to_vec())).send().await;
        let answer = answer.map_err(|error| failed("look at the tags of its targets", &account.place, error))?;
        seen.extend(answer.resource_tag_mapping_list().iter().cloned());
    }
    if let Some(arn) = aim.arns.iter().find(|arn| !is_registered(arn)) {
        let why = format!(
            "AWS's register of tags keeps no roles, so that nobody can see whether {arn} was released (leave out the actions on roles)"
        );
        return Err(FaultError::Target(why));
    }
    for arn in &aim.arns {
        let mapping = seen.iter().find(|mapping| mapping.resource_arn() == Some(arn));
        let carries = |key: &str, value: &str| mapping.is_some_and(|m| m.tags().iter().any(|tag| tag.key() == key && tag.value() == value));
        if let Some((key, value)) = plan.opt_in_tags().into_iter().find(|(key, value)| !carries(key, value)) {
            let why = format!(
                "{arn} does not carry the tag {key}={value}: whoever owns it has not released it (tag it, or choose something else)"
            );
            return Err(FaultError::Target(why));
        }
    }
    let mut names = aim.arns.clone();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::spec::Select;
    use super::*;

    fn aim(select: Select) -> Aim {
        Aim { name: "shop".into(), of: "aws:ec2:instance".into(), arns: vec![], tags: vec![], filtered: false, select }
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("arn:aws:ec2:eu-west-1:111122223333:instance/i-{n}")).collect()
    }

    #[test]
    fn a_choice_by_chance_claims_all_and_counts_what_it_takes() {
        let mut found = Found { population: Some(0), ..Found::default() };
        chosen(&aim(Select::Count(2)), names(3), &mut found).unwrap();
        assert_eq!(found.targets[0], "1 of 3: any of instance/i-0, instance/i-1, instance/i-2 (aws:ec2:instance)");
        assert_eq!((found.targets.len(), found.population, found.claims.len()), (2, Some(3), 3));
        let mut found = Found { population: Some(0), ..Found::default() };
        chosen(&aim(Select::All), names(2), &mut found).unwrap();
        assert_eq!(found.targets, ["instance/i-0 (aws:ec2:instance)", "instance/i-1 (aws:ec2:instance)"]);
        let less = chosen(&aim(Select::Percent(1)), names(3), &mut found).unwrap_err();
        assert_eq!(less.to_string(), "find the target: `shop` selects less than one of 3 (aws:ec2:instance)");
        let mut found = Found::default();
        chosen(&aim(Select::Count(1)), names(40), &mut found).unwrap();
        assert!(found.targets[0].contains("instance/i-7, 32 more"), "{}", found.targets[0]);
    }
}
