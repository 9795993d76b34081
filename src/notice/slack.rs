//! A message for an incoming webhook of Slack, in its Block Kit. Pure. Documented at <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.

use serde_json::{Value, json};

use super::Message;
use crate::base::one_line;

/// Longest header and longest text of a section that Slack takes, in characters; text may grow by what is escaped.
const HEADER: usize = 150;
const SECTION: usize = 2_500;

/// Slack's three characters that mean something in its markup.
fn escaped(text: &str, most: usize) -> String {
    one_line(text, most).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The body of the request.
pub(super) fn body(message: &Message) -> Value {
    let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": one_line(&format!("Drill: {}", message.title), HEADER), "emoji": false } }),
        section(escaped(&message.text, SECTION)),
    ];
    if let Some(by_hand) = &message.by_hand {
        blocks.push(section(format!("Undo it by hand:\n```{}```", escaped(by_hand, SECTION).replace("```", "'''"))));
    }
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": format!("run `{}`", escaped(&message.run, 64)) }] }));
    json!({ "text": escaped(&message.text, SECTION), "blocks": blocks })
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::sample;
    use super::*;

    #[test]
    fn markup_of_strangers_is_text() {
        let message = Message {
            by_hand: Some("kill -CONT 7 # ``` <x>".into()),
            title: "A <!channel> & more\u{1b}[2J".into(),
            ..sample("<@U1> is lost\n")
        };
        let body = body(&message);
        assert_eq!(body["text"], "&lt;@U1&gt; is lost");
        assert_eq!(body["blocks"][0]["text"]["text"], "Drill: A <!channel> & more [2J", "plain text has no markup");
        assert_eq!(body["blocks"][2]["text"]["text"], "Undo it by hand:\n```kill -CONT 7 # ''' &lt;x&gt;```");
        let long = super::body(&sample(&"x".repeat(9_000)));
        assert!(long["blocks"][1]["text"]["text"].as_str().unwrap().chars().count() <= 3_000);
    }
}
