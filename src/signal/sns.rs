//! SNS over HTTP: the envelope, what in it is signed, and where its certificate may lie. Documented at
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>. Only the topic that the scenario names is heard, and only its own
//! region's SNS is believed: anybody may have a topic.

use serde::Deserialize;

use super::cloudwatch;
use super::receive::{Memory, Post, Refusal, Told};

/// How old a message may be: SNS tries at most for an hour.
const AGE: i64 = 4_500;

/// What SNS sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

/// Where SNS of a topic's region answers: the beginning of every address that is believed.
fn home(topic: &str) -> Option<String> {
    let mut parts = topic.split(':');
    let good = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let (Some("arn"), Some("aws"), Some("sns"), Some(region), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    good(region).then(|| format!("https://sns.{region}.amazonaws.com/"))
}

/// Whether a topic is one: `arn:aws:sns:REGION:ACCOUNT:NAME`.
pub fn is_topic(topic: &str) -> bool {
    home(topic).is_some()
}

impl Envelope {
    /// Reads what came in, as far as it can be believed without its certificate.
    ///
    /// # Errors
    /// It is not what SNS sends, is for another topic, or names an address that is not that of SNS.
    pub fn read(post: Post<'_>, topic: &str) -> Result<Envelope, Refusal> {
        let envelope: Envelope = serde_json::from_slice(post.body).map_err(|error| {
            let why = crate::base::one_line(&error.to_string(), 200);
            Refusal::malformed(format!("it is not what SNS sends: {why}"))
        })?;
        if envelope.topic_arn != topic {
            return Err(Refusal::forged("it is of another topic than this receiver's"));
        }
        let home = home(topic).ok_or_else(|| Refusal::forged("this receiver's topic is none"))?;
        let name = envelope.signing_cert_url.strip_prefix(&home).unwrap_or_default();
        let stem = name.strip_prefix("SimpleNotificationService-").and_then(|rest| rest.strip_suffix(".pem"));
        if !stem.is_some_and(|stem| (1..=128).contains(&stem.len()) && stem.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(Refusal::forged(format!("its certificate does not lie where SNS keeps it: {home}SimpleNotificationService-….pem")));
        }
        let sent: jiff::Timestamp = envelope.timestamp.parse().map_err(|_| Refusal::malformed("its time is none"))?;
        if post.now.as_second().saturating_sub(sent.as_second()) > AGE || sent.as_second().saturating_sub(post.now.as_second()) > 300 {
            return Err(Refusal::replayed("it was sent more than 75 minutes ago, or ahead of time"));
        }
        Ok(envelope)
    }

    /// Where its certificate lies.
    pub fn certificate_url(&self) -> &str {
        &self.signing_cert_url
    }

    /// What is signed: names and values in the order of the documentation, each with its line end.
    fn signed_text(&self) -> Result<String, Refusal> {
        let one = |name: &str, value: &str| format!("{name}\n{value}\n");
        let head = one("Message", &self.message) + &one("MessageId", &self.message_id);
        let tail = one("TopicArn", &self.topic_arn) + &one("Type", &self.kind);
        let time = one("Timestamp", &self.timestamp);
        match self.kind.as_str() {
            "Notification" => {
                Ok(head + &self.subject.as_deref().map_or_else(String::new, |subject| one("Subject", subject)) + &time + &tail)
            }
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                let missing = || Refusal::malformed("it has no token or no address to confirm with");
                let (url, token) = (self.subscribe_url.as_deref().ok_or_else(missing)?, self.token.as_deref().ok_or_else(missing)?);
                Ok(head + &one("SubscribeURL", url) + &time + &one("Token", token) + &tail)
            }
            _ => Err(Refusal::malformed("it is no notification and no confirmation")),
        }
    }

    /// Takes it in, once its certificate (PEM) is there.
    ///
    /// # Errors
    /// The signature is not that of this certificate, the certificate is not valid now, or what it says is no alarm of CloudWatch.
    pub fn hear(&self, certificate: &[u8], now: jiff::Timestamp, memory: &mut Memory) -> Result<Told, Refusal> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let text = self.signed_text()?;
        let signature = STANDARD.decode(&self.signature).map_err(|_| Refusal::malformed("its signature is not base64"))?;
        rsa(certificate, now, &self.signature_version, text.as_bytes(), &signature)?;
        // SNS sends again what it believes was lost: that is no news, and no offence.
        if !memory.first_time(&self.message_id, now, jiff::SignedDuration::from_secs(2 * AGE))? {
            return Ok(Told::default());
        }
        match self.kind.as_str() {
            "Notification" => {
                let heard = cloudwatch::alarm(&self.message).map_err(Refusal::malformed)?;
                Ok(Told { alerts: vec![heard], ..Told::default() })
            }
            "SubscriptionConfirmation" => {
                let url = self.subscribe_url.clone().unwrap_or_default();
                let home = home(&self.topic_arn).unwrap_or_default();
                let query = url.strip_prefix(&home).filter(|_| !home.is_empty()).unwrap_or_default();
                if !query.starts_with("?Action=ConfirmSubscription&") {
                    return Err(Refusal::forged(format!("it is to be confirmed elsewhere than at {home}?Action=ConfirmSubscription")));
                }
                Ok(Told { confirm: Some(url), ..Told::default() })
            }
            _ => Ok(Told::default()),
        }
    }
}

/// Checks a signature of RSA with PKCS #1 padding: SHA-1 in version 1, SHA-256 in version 2.
#[cfg(feature = "sns")]
fn rsa(pem: &[u8], now: jiff::Timestamp, version: &str, text: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use x509_cert::Certificate;
    use x509_cert::der::Decode;

    let unread = || Refusal::forged("its certificate cannot be read");
    let der = CertificateDer::from_pem_slice(pem).map_err(|_| unread())?;
    let certificate = Certificate::from_der(&der).map_err(|_| unread())?;
    let valid = certificate.tbs_certificate().validity();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    if seconds < valid.not_before.to_unix_duration().as_secs() || seconds > valid.not_after.to_unix_duration().as_secs() {
        return Err(Refusal::forged("its certificate is not valid now"));
    }
    let key = certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
    let checked = match version {
        "1" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key).verify(text, signature),
        "2" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(text, signature),
        _ => return Err(Refusal::malformed("its signature is of no version that is known: 1 or 2")),
    };
    checked.map_err(|_| Refusal::forged("its signature is wrong"))
}

#[cfg(not(feature = "sns"))]
fn rsa(_: &[u8], _: jiff::Timestamp, _: &str, _: &[u8], _: &[u8]) -> Result<(), Refusal> {
    Err(Refusal { status: 501, why: "this build cannot check what SNS signs: it was made without `sns`".into() })
}

#[cfg(feature = "sns")]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";
    /// Made once with openssl for this test: an RSA key's certificate, and messages that were signed with it.
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/fixtures/sns/certificate.pem");
    const MESSAGES: &str = include_str!("../../tests/fixtures/sns/messages.json");

    fn message(name: &str) -> Value {
        serde_json::from_str::<Value>(MESSAGES).unwrap()[name].clone()
    }

    fn heard(message: &Value, memory: &mut Memory) -> Result<Told, Refusal> {
        let body = message.to_string();
        let headers = BTreeMap::new();
        let now: jiff::Timestamp = "2026-11-27T12:00:30Z".parse().unwrap();
        let envelope = Envelope::read(Post { headers: &headers, body: body.as_bytes(), now }, TOPIC)?;
        envelope.hear(CERTIFICATE, now, memory)
    }

    #[test]
    fn both_versions_of_the_signature_are_checked() {
        for name in ["sha1", "sha256", "with_subject"] {
            let told = heard(&message(name), &mut Memory::default()).unwrap();
            assert_eq!((told.alerts[0].alert.name.as_str(), told.alerts[0].firing), ("db-down", true), "{name}");
        }
        let mut memory = Memory::default();
        assert_eq!(heard(&message("sha256"), &mut memory).unwrap().alerts.len(), 1);
        assert_eq!(heard(&message("sha256"), &mut memory), Ok(Told::default()), "sent again");
        let confirm = heard(&message("confirm"), &mut Memory::default()).unwrap().confirm.unwrap();
        assert!(confirm.starts_with("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&"));
        assert!(heard(&message("confirm_elsewhere"), &mut Memory::default()).unwrap_err().why.contains("confirmed elsewhere"));
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let changes = [
            ("Message", json!("{\"AlarmName\":\"x\",\"NewStateValue\":\"ALARM\"}")),
            ("MessageId", json!("other")),
            ("Timestamp", json!("2026-11-27T12:00:01.000Z")),
            ("Timestamp", json!("2026-11-27T10:00:01.000Z")),
            ("Timestamp", json!("2026-11-27T13:00:01.000Z")),
            ("Subject", json!("x")),
            ("TopicArn", json!("arn:aws:sns:eu-west-1:999999999999:alarms")),
            ("SignatureVersion", json!("1")),
            ("SignatureVersion", json!("3")),
            ("Signature", json!("AAAA")),
            ("Signature", json!("é")),
            ("SigningCertURL", json!("http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://evil.example/?https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://sns.eu-west-1.amazonaws.com/?Action=GetTopic&x=SimpleNotificationService-a.pem")),
            ("SigningCertURL", json!("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../a.pem")),
        ];
        for (key, value) in changes {
            let mut changed = message("sha256");
            changed[key] = value.clone();
            let refusal = heard(&changed, &mut Memory::default()).unwrap_err();
            assert!([400, 401, 409].contains(&refusal.status), "{key}: {value}: {refusal:?}");
        }
        for bad in [json!([]), json!({ "Type": "Notification" })] {
            assert_eq!(heard(&bad, &mut Memory::default()).unwrap_err().status, 400);
        }
        assert!(is_topic(TOPIC) && !is_topic("arn:aws:sns:evil.example/:1:a") && !is_topic("alarms") && !is_topic(&format!("{TOPIC}:x")));
    }
}
