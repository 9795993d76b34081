//! Taking a role with a code that a person reads from a device, once, for everybody who acts in it until the session ends.

use aws_sdk_sts::error::ProvideErrorMetadata;

use super::super::{env, session};
use super::{AwsError, Place, SESSION_NAME, base, error, failed, forget};
use crate::base::Span;
use crate::sys::session::Session;

/// What AWS says of a code begins like this; of a missing permission it says something else under the same error code.
const OF_CODE: &str = "MultiFactorAuthentication";

/// The device that shows the codes: that of whoever acts, where the environment names one, else that of the place.
pub fn device(place: &Place) -> String {
    let other = env::var("FIREDRILL_MFA_DEVICE").map(|device| device.trim().to_owned()).filter(|device| !device.is_empty());
    other.or_else(|| place.mfa.clone()).unwrap_or_default()
}

/// Takes the role of a place with a code and holds the session; returns when it ends.
///
/// # Errors
/// AWS does not take the code, or does not give the role; or it cannot be asked.
pub async fn log_in(place: &Place, code: &str) -> Result<jiff::Timestamp, AwsError> {
    let doing = format!("take the role {}", place.role.as_deref().unwrap_or_default());
    let device = device(place);
    let sts = aws_sdk_sts::Client::new(&base(place).await);
    let asked = sts
        .assume_role()
        .set_role_arn(place.role.clone())
        .role_session_name(SESSION_NAME)
        .set_external_id(place.external_id.clone())
        .set_duration_seconds(place.session.map(seconds))
        .serial_number(&device)
        .token_code(code);
    let answer = asked.send().await.map_err(|refused| {
        let message = refused.as_service_error().and_then(ProvideErrorMetadata::message).filter(|text| text.contains(OF_CODE));
        match message.map(error::clean) {
            Some(message) => AwsError::WrongCode { doing: doing.clone(), device: device.clone(), message },
            None => failed(&doing, place, refused),
        }
    })?;
    let given = answer.credentials.and_then(|given| {
        let until = jiff::Timestamp::from_second(given.expiration.secs()).ok()?;
        Some(Session { place: place.clone(), until, key: given.access_key_id, secret: given.secret_access_key, token: given.session_token })
    });
    let Some(session) = given else {
        return Err(AwsError::Refused { doing, code: "no credentials".into(), message: "AWS answers with none".into() });
    };
    let until = session.until;
    session::hold(session);
    // Clients of an older session go.
    forget(place);
    Ok(until)
}

/// Whole seconds, as AWS counts them.
fn seconds(span: Span) -> i32 {
    i32::try_from(span.0 / Span::secs(1).0).unwrap_or(i32::MAX)
}
