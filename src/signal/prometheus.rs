//! Prometheus: the series `ALERTS{alertstate="firing"}`, by an instant query.

use serde_json::Value;

use super::{Firing, MOST, key_of, labels, name_of};
use crate::base::one_line;

/// Alerts that fire. The series does not say since when.
pub(super) fn read(answer: &Value) -> Result<Vec<Firing>, String> {
    if answer["status"].as_str() != Some("success") {
        let error = answer["error"].as_str().map_or("the answer is not that of Prometheus".to_owned(), |error| one_line(error, 200));
        return Err(error);
    }
    let result = answer["data"]["result"].as_array().ok_or("the answer of Prometheus has no result")?;
    let mut out = Vec::new();
    for series in result.iter().take(MOST) {
        let mut labels = labels(&series["metric"]).ok_or("a series has no labels")?;
        labels.remove("__name__");
        if labels.remove("alertstate").as_deref() != Some("firing") {
            continue;
        }
        out.push(Firing { name: name_of(&labels), key: key_of(&labels), labels, starts_at: None });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As Prometheus 2.42 answers.
    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"__name__":"ALERTS","alertname":"DatabaseDown","alertstate":"firing","severity":"page"},"value":[1795748422.9,"1"]},
        {"metric":{"__name__":"ALERTS","alertname":"Slow","alertstate":"pending"},"value":[1795748422.9,"1"]}]}}"#;

    #[test]
    fn what_fires_is_read_and_what_is_pending_is_not() {
        let found = read(&serde_json::from_str(ANSWER).unwrap()).unwrap();
        assert_eq!(found.iter().map(|alert| alert.name.as_str()).collect::<Vec<_>>(), ["DatabaseDown"]);
        assert_eq!(found[0].key, r#"alertname="DatabaseDown",severity="page""#);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert_eq!(read(&json!({ "status": "error", "error": "bad\nquery" })), Err("bad query".into()));
        for bad in [json!([]), json!({ "status": "success", "data": {} }), json!({ "status": "success", "data": { "result": [1] } })] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
