//! Annotations of Grafana: the drill and each of its faults are regions, which end when they do; everything else is a point. Pure. Documented at
//! <https://grafana.com/docs/grafana/latest/developers/http_api/annotations/>.

use serde_json::{Value, json};

use super::Message;
use crate::base::one_line;
use crate::plan::{GrafanaPlan, NoticeOf};

/// What becomes of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Draw {
    /// A region begins.
    Begin(Value),
    /// A region ends: its key, and the end.
    End(Value),
    /// A point.
    Point(Value),
}

/// What a region is known by: its run, and its fault.
pub(super) fn tags_of(message: &Message) -> Vec<String> {
    let what = message.fault.as_ref().map_or_else(|| "drill".to_owned(), |fault| format!("fault:{fault}"));
    vec!["firedrill".to_owned(), format!("run:{}", message.run), what]
}

/// What is drawn for a message, at a time in milliseconds since 1970.
pub(super) fn draw(message: &Message, plan: &GrafanaPlan, at_ms: i64) -> Draw {
    let mut tags = tags_of(message);
    tags.extend(plan.tags.iter().map(|tag| one_line(tag, 64)));
    let mut body = json!({ "time": at_ms, "tags": tags, "text": escaped(&one_line(&message.text, 2_000)) });
    if let Some(dashboard) = &plan.dashboard {
        body["dashboardUID"] = json!(dashboard);
    }
    if let Some(panel) = plan.panel {
        body["panelId"] = json!(panel);
    }
    match message.of {
        NoticeOf::Started | NoticeOf::Injected => Draw::Begin(body),
        NoticeOf::Undone | NoticeOf::Finished => Draw::End(json!({ "timeEnd": at_ms, "text": body["text"] })),
        NoticeOf::Recovered | NoticeOf::Aborted | NoticeOf::Stuck => {
            body["tags"].as_array_mut().into_iter().for_each(|tags| tags.push(json!(message.of.word())));
            Draw::Point(body)
        }
    }
}

/// Grafana shows annotations as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The path, with its query, that finds a region that somebody else began.
pub(super) fn find_path(message: &Message) -> String {
    let escape = |tag: &String| {
        tag.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("%{:02X}", u32::from(c) & 0xff) })
            .collect::<String>()
    };
    let tags: String = tags_of(message).iter().map(|tag| format!("tags={}&", escape(tag))).collect();
    format!("/api/annotations?{tags}matchAny=false&limit=1")
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::sample;
    use super::*;

    fn plan() -> GrafanaPlan {
        GrafanaPlan { url: "http://h".into(), token: None, dashboard: Some("d1".into()), panel: Some(4), tags: vec!["shop".into()] }
    }

    #[test]
    fn regions_begin_and_end_and_the_rest_are_points() {
        let message = |of, fault: Option<&str>| Message { of, fault: fault.map(str::to_owned), ..sample("<b>x</b>") };
        let Draw::Begin(body) = draw(&message(NoticeOf::Injected, Some("freeze")), &plan(), 7) else { panic!() };
        assert_eq!((&body["time"], &body["dashboardUID"], &body["panelId"]), (&json!(7), &json!("d1"), &json!(4)));
        assert_eq!(body["tags"], json!(["firedrill", "run:R", "fault:freeze", "shop"]));
        assert_eq!(body["text"], "&lt;b&gt;x&lt;/b&gt;");
        assert_eq!(
            draw(&message(NoticeOf::Finished, None), &plan(), 9),
            Draw::End(json!({ "timeEnd": 9, "text": "&lt;b&gt;x&lt;/b&gt;" }))
        );
        assert!(matches!(draw(&message(NoticeOf::Aborted, None), &plan(), 9), Draw::Point(_)));
        assert_eq!(
            find_path(&message(NoticeOf::Undone, Some("a-b"))),
            "/api/annotations?tags=firedrill&tags=run%3AR&tags=fault%3Aa%2Db&matchAny=false&limit=1"
        );
    }
}
