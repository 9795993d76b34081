//! Documents, as the account knows them: whether one is there, is a command, and takes the parameters that it is given.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{DocumentDescription, DocumentParameterType, DocumentStatus, DocumentType};

use super::order::Order;
use super::spec::Given;
use crate::fault::FaultError;
use crate::sys::aws::{Account, failed};

/// A parameter of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Takes {
    list: bool,
    required: bool,
}

/// Looks at the document of an order, and whether it takes what the order says. `given` is what the scenario wrote, where it wrote the document's own words.
///
/// # Errors
/// It is not there, is no command, or does not take these parameters; AWS refuses or does not answer.
pub(super) async fn check(
    order: &Order,
    given: Option<&indexmap::IndexMap<String, Given>>,
    account: &Account,
) -> Result<Vec<String>, FaultError> {
    let doing = format!("find the document {} in {} ({})", order.document, account.place.region, account.place.account);
    let request = account.ssm.describe_document().name(&order.document).set_document_version(order.version.clone());
    let answer = request.send().await.map_err(|error| failed(&doing, &account.place, error))?;
    let document = answer.document().ok_or_else(|| FaultError::Target(format!("AWS does not describe the document {}", order.document)))?;
    usable(document, &order.document)?;
    let takes: BTreeMap<&str, Takes> = document
        .parameters()
        .iter()
        .filter_map(|one| {
            let list = one.r#type() == Some(&DocumentParameterType::StringList);
            Some((one.name()?, Takes { list, required: one.default_value().is_none() }))
        })
        .collect();
    agree(order, given, &takes)?;
    Ok(document.platform_types().iter().map(|platform| platform.as_str().to_owned()).collect())
}

fn usable(document: &DocumentDescription, name: &str) -> Result<(), FaultError> {
    match document.document_type() {
        Some(DocumentType::Command) => {}
        other => {
            let of = other.map_or("unknown", DocumentType::as_str);
            return Err(FaultError::Target(format!("the document {name} is of type {of}, and only a Command can be sent to hosts")));
        }
    }
    match document.status() {
        Some(DocumentStatus::Active) | None => Ok(()),
        Some(status) => Err(FaultError::Target(format!("the document {name} is {}, not Active", status.as_str()))),
    }
}

/// Whether what is given is what is taken.
fn agree(order: &Order, given: Option<&indexmap::IndexMap<String, Given>>, takes: &BTreeMap<&str, Takes>) -> Result<(), FaultError> {
    let wrong =
        |why: String| Err(FaultError::Target(format!("{why} (help: `aws ssm describe-document --name {}` shows them)", order.document)));
    let known = || if takes.is_empty() { "none".to_owned() } else { takes.keys().copied().collect::<Vec<_>>().join(", ") };
    for (name, values) in &order.parameters {
        let Some(takes) = takes.get(name.as_str()) else {
            return wrong(format!("the document {} has no parameter `{name}`; it has {}", order.document, known()));
        };
        let list = given.and_then(|given| given.get(name)).map_or(values.len() != 1, |given| matches!(given, Given::Many(_)));
        if list && !takes.list {
            return wrong(format!("the parameter `{name}` of {} is one text (String), not a list", order.document));
        }
        let lines = name == "commands";
        if !list && takes.list && given.is_some_and(|given| given.contains_key(name)) && !lines {
            return wrong(format!("the parameter `{name}` of {} is a list (StringList): write `[…]`", order.document));
        }
    }
    match takes.iter().find(|(name, takes)| takes.required && !order.parameters.contains_key(**name)) {
        Some((name, _)) => wrong(format!("the parameter `{name}` of {} is missing; it has no default", order.document)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(given: serde_json::Value) -> String {
        let given: indexmap::IndexMap<String, Given> = serde_json::from_value(given).unwrap();
        let parameters = given.iter().map(|(name, given)| (name.clone(), given.texts())).collect();
        let order = Order { document: "Own".into(), version: None, parameters };
        let takes = BTreeMap::from([("Level", Takes { list: false, required: true }), ("Names", Takes { list: true, required: false })]);
        agree(&order, Some(&given), &takes).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_a_document_does_not_take_is_named() {
        assert_eq!(told(json!({ "Level": 3, "Names": ["a"] })), "");
        assert!(
            told(json!({ "Level": [3] })).starts_with("find the target: the parameter `Level` of Own is one text (String), not a list")
        );
        assert!(told(json!({ "Level": 3, "Names": "a" })).contains("is a list (StringList)"));
        assert!(told(json!({ "Names": ["a"] })).contains("`Level` of Own is missing; it has no default"));
        assert!(told(json!({ "Level": 3, "Lvel": 3 })).contains("has no parameter `Lvel`; it has Level, Names"));
    }
}
