//! The managed instances that a command would reach, found before anything is sent, and refused where they do not carry what the house asks for.

use aws_sdk_ssm::types::{InstanceInformation, InstanceInformationStringFilter, PingStatus};
use indexmap::IndexMap;

use super::super::look::one_line;
use super::spec::{MOST, Spec};
use crate::fault::{FaultError, Resource};
use crate::plan::AwsPlan;
use crate::sys::aws::{Account, failed};

/// A managed instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// Its id.
    pub id: String,
    /// Its name and system, for people.
    pub about: String,
    /// Whether its agent is connected.
    pub online: bool,
    /// Linux, Windows or MacOS.
    pub platform: String,
}

impl Host {
    /// For people: `i-0abc (web-1, Linux)`.
    pub fn words(&self) -> String {
        if self.about.is_empty() { self.id.clone() } else { format!("{} ({})", self.id, self.about) }
    }

    /// What a fault of it claims.
    pub fn claim(&self, place: &crate::sys::aws::Place) -> Resource {
        let partition = match place.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if place.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let (service, of) = if self.id.starts_with("mi-") { ("ssm", "managed-instance") } else { ("ec2", "instance") };
        Resource::Aws(format!("arn:{partition}:{service}:{}:{}:{of}/{}", place.region, place.account, self.id))
    }
}

/// Finds everything that a command would reach, sorted by id, and how many there are that could be.
///
/// # Errors
/// A tag that matches nothing, an instance that is not managed, not connected, of another system or without the opt-in tags; too many of them; AWS
/// refuses or does not answer.
pub(super) async fn find(spec: &Spec, plan: &AwsPlan, platforms: &[String], account: &Account) -> Result<Vec<Host>, FaultError> {
    let opt_in = plan.opt_in_tags();
    let by_ids = (!spec.instances.is_empty()).then(|| ("InstanceIds".to_owned(), spec.instances.clone()));
    let mut asked: Vec<(String, Vec<String>)> = by_ids.into_iter().collect();
    asked.extend(spec.tags.iter().map(|(key, value)| (format!("tag:{key}"), vec![value.clone()])));
    if spec.instances.is_empty()
        && let Some((key, value)) = opt_in.iter().find(|(key, value)| spec.tags.get(*key).is_none_or(|has| has != value))
    {
        let why = format!(
            "`tags` does not ask for the tag {key}={value}, so that it could hit what nobody has released (add it to `tags`, and to the instances)"
        );
        return Err(FaultError::Target(why));
    }
    let found = listed(&asked, account).await?;
    if found.is_empty() && spec.instances.is_empty() {
        let (tags, place) = (words(&spec.tags), &account.place);
        let why = format!(
            "no managed instance is tagged {tags} in {} ({}): are they registered with Systems Manager, and spelled right?",
            place.region, place.account
        );
        return Err(FaultError::Target(why));
    }
    if !spec.instances.is_empty() {
        if let Some(id) = spec.instances.iter().find(|id| !found.iter().any(|host| host.id == **id)) {
            let why = format!(
                "{id} is no managed instance in {} ({}) (`aws ssm describe-instance-information` shows those that there are)",
                account.place.region, account.place.account
            );
            return Err(FaultError::Target(why));
        }
        asked.extend(opt_in.iter().map(|(key, value)| (format!("tag:{key}"), vec![(*value).to_owned()])));
        let released = listed(&asked, account).await?;
        if let Some(host) = found.iter().find(|host| !released.contains(host)) {
            let tags: Vec<String> = opt_in.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let why = format!(
                "{} does not carry the tag {}: whoever owns it has not released it (tag it, or choose something else)",
                host.id,
                tags.join(" and ")
            );
            return Err(FaultError::Target(why));
        }
    }
    fit(&found, platforms)?;
    Ok(found)
}

fn words(tags: &IndexMap<String, String>) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" and ")
}

/// Whether a command can reach all of them.
fn fit(found: &[Host], platforms: &[String]) -> Result<(), FaultError> {
    if found.len() > MOST {
        let why = format!("{} managed instances match, and a command is sent to at most {MOST}: narrow the tags", found.len());
        return Err(FaultError::Target(why));
    }
    if let Some(host) = found.iter().find(|host| !host.online) {
        let why = format!("the agent of {} is not connected, so that nothing could be undone there", host.words());
        return Err(FaultError::Target(why));
    }
    if let Some(host) = found.iter().find(|host| !platforms.is_empty() && !platforms.contains(&host.platform)) {
        let why = format!("{} runs {}, and the document is for {}", host.words(), host.platform, platforms.join(" and "));
        return Err(FaultError::Target(why));
    }
    Ok(())
}

async fn listed(asked: &[(String, Vec<String>)], account: &Account) -> Result<Vec<Host>, FaultError> {
    let mut request = account.ssm.describe_instance_information().max_results(50);
    for (key, values) in asked {
        let filter = InstanceInformationStringFilter::builder().key(key).set_values(Some(values.clone())).build();
        request = request.filters(filter.map_err(|error| FaultError::Other(format!("ask for the managed instances: {error}")))?);
    }
    let mut pages = request.into_paginator().send();
    let mut found: Vec<Host> = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed("find the managed instances", &account.place, error))?;
        found.extend(page.instance_information_list().iter().filter_map(host));
        // More than can be sent to is refused anyway.
        if found.len() > 1_000 {
            break;
        }
    }
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    found.dedup();
    Ok(found)
}

fn host(info: &InstanceInformation) -> Option<Host> {
    let platform = info.platform_type().map_or("", |platform| platform.as_str()).to_owned();
    let about: Vec<String> =
        [info.computer_name(), Some(platform.as_str())].into_iter().flatten().map(one_line).filter(|text| !text.is_empty()).collect();
    Some(Host {
        id: one_line(info.instance_id()?),
        about: about.join(", "),
        online: info.ping_status() == Some(&PingStatus::Online),
        platform,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_host(id: &str, online: bool, platform: &str) -> Host {
        Host { id: id.into(), about: "web".into(), online, platform: platform.into() }
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        let linux = ["Linux".to_owned()];
        assert!(fit(&[a_host("i-1", true, "Linux")], &linux).is_ok());
        assert!(fit(&[a_host("i-1", false, "Linux")], &linux).unwrap_err().to_string().contains("i-1 (web) is not connected"));
        assert!(
            fit(&[a_host("i-1", true, "Windows")], &linux).unwrap_err().to_string().contains("runs Windows, and the document is for Linux")
        );
        let many: Vec<Host> = (0..51).map(|n| a_host(&format!("i-{n}"), true, "Linux")).collect();
        assert!(fit(&many, &linux).unwrap_err().to_string().contains("51 managed instances match"));
    }

    #[test]
    fn claims_are_those_of_the_same_instance_in_other_kinds() {
        let place = |region: &str| crate::sys::aws::Place {
            account: "111122223333".into(),
            region: region.into(),
            ..crate::sys::aws::Place::default()
        };
        let claim = |id: &str, region: &str| a_host(id, true, "Linux").claim(&place(region)).to_string();
        assert_eq!(claim("i-1", "eu-west-1"), "arn:aws:ec2:eu-west-1:111122223333:instance/i-1");
        assert_eq!(claim("mi-1", "cn-north-1"), "arn:aws-cn:ssm:cn-north-1:111122223333:managed-instance/mi-1");
    }
}
