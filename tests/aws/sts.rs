//! Roles that are given with a code, the sessions of these, and a login whose token gives credentials: what STS and the portal of IAM Identity Center do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{ACCOUNT, Answer, Asked, Refusal};

/// A role that is only given with a code, for at most four hours.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/drill-mfa";
/// The device that shows the codes.
pub const DEVICE: &str = "arn:aws:iam::111122223333:mfa/alice";
const LONGEST: u64 = 4 * 3600;

/// A session of a role.
#[derive(Debug, Clone)]
pub struct Session {
    pub token: String,
    pub ends: Instant,
    pub role: String,
}

/// What it knows.
#[derive(Debug)]
pub struct Sts {
    /// Codes that the device will show: each is good once.
    pub codes: Vec<String>,
    /// Sessions that were given, by key id.
    pub sessions: BTreeMap<String, Session>,
    /// Sessions end after this, whatever was asked for and answered.
    pub cut: Option<Duration>,
    /// What was asked of AssumeRole, whatever came of it.
    pub asked: Vec<BTreeMap<String, String>>,
    /// The token of a login that is good.
    pub login: Option<String>,
}

impl Default for Sts {
    fn default() -> Sts {
        Sts { codes: vec!["123456".into(), "234567".into()], sessions: BTreeMap::new(), cut: None, asked: Vec::new(), login: None }
    }
}

fn denied(text: &str) -> Answer {
    Err(Refusal(403, "AccessDenied", text.to_owned()))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Sts {
    /// What is wrong with a caller of this key; nothing where it is no key of a session.
    pub fn refuses(&self, key: &str, headers: &HeaderMap) -> Option<Result<(), Refusal>> {
        let session = self.sessions.get(key)?;
        let token = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        Some(if token != session.token {
            Err(Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.".into()))
        } else if session.ends <= Instant::now() {
            Err(Refusal(403, "ExpiredTokenException", "The security token included in the request is expired".into()))
        } else {
            Ok(())
        })
    }

    /// Gives a session, and what is told of it.
    fn give(&mut self, role: &str, lasts: u64) -> (String, Session) {
        let key = format!("ASIASESSION{:05}DRILL", self.sessions.len());
        let lives = self.cut.unwrap_or(Duration::from_secs(lasts));
        let session = Session { token: format!("token-of-{key}-hush"), ends: Instant::now() + lives, role: role.to_owned() };
        self.sessions.insert(key.clone(), session.clone());
        (key, session)
    }

    /// AssumeRole of a role that asks for a code.
    pub fn assume(&mut self, asked: &BTreeMap<String, String>) -> Answer {
        self.asked.push(asked.clone());
        let lasts = asked.get("DurationSeconds").map_or(3600, |text| text.parse::<u64>().unwrap());
        match (asked.get("SerialNumber"), asked.get("TokenCode")) {
            (Some(device), Some(code)) => {
                if device != DEVICE {
                    return denied(
                        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
                    );
                }
                let Some(at) = self.codes.iter().position(|good| good == code) else {
                    return denied("MultiFactorAuthentication failed with invalid MFA one time pass code. ");
                };
                self.codes.remove(at);
            }
            _ => {
                return denied(&format!(
                    "User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
                ));
            }
        }
        if lasts > LONGEST {
            return Err(Refusal(
                400,
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".into(),
            ));
        }
        if lasts < 900 {
            return Err(Refusal(400, "ValidationError", "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900".into()));
        }
        let until = jiff::Timestamp::from_second((now() + lasts) as i64).unwrap().to_string();
        let (key, session) = self.give("drill-mfa", lasts);
        let keys =
            json!({ "AccessKeyId": key, "SecretAccessKey": "not-a-real-secret", "SessionToken": session.token, "Expiration": until });
        let user = json!({ "AssumedRoleId": "AROA:firedrill", "Arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/drill-mfa/firedrill") });
        Ok(json!({ "Credentials": keys, "AssumedRoleUser": user }))
    }

    /// GetRoleCredentials of the portal: signed with nothing but the token of a login.
    pub fn portal(&mut self, headers: &HeaderMap, asked: &Asked<'_>) -> Answer {
        let token = headers.get("x-amz-sso_bearer_token").and_then(|token| token.to_str().ok());
        if token.is_none() || token != self.login.as_deref() {
            return Err(Refusal(401, "UnauthorizedException", "Session token not found or invalid".into()));
        }
        assert_eq!(asked.query.get("account_id").map(String::as_str), Some(ACCOUNT), "{:?}", asked.query);
        let role = asked.query["role_name"].clone();
        let (key, session) = self.give(&role, 3600);
        let until = (now() + 3600) * 1000;
        Ok(
            json!({ "roleCredentials": { "accessKeyId": key, "secretAccessKey": "not-a-real-secret", "sessionToken": session.token, "expiration": until } }),
        )
    }

    /// As whom a key acts.
    pub fn role_of(&self, key: &str) -> Option<Value> {
        self.sessions.get(key).map(|session| json!(format!("{}/firedrill", session.role)))
    }
}
