//! What AWS refuses, in words: what happened and what to do. What AWS says is passed on without what could be a secret, and never steers a terminal.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_fis::config::http::HttpResponse;
use aws_sdk_fis::error::{ProvideErrorMetadata, SdkError};

use super::{Place, forget};

/// The longest text of AWS that is passed on, in characters.
const LONGEST: usize = 300;

/// Why a call failed: a lower-case fragment that reads after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// Nobody to act as.
    #[error(
        "{doing}: no AWS credentials were found{why} (help: `aws sts get-caller-identity{profile}` must work here: set AWS_PROFILE, or log in with `aws sso login{profile}`)"
    )]
    NoCredentials {
        /// What was being done.
        doing: String,
        /// What the chain says, where it helps.
        why: String,
        /// The profile as an option of the command line, with a space before it.
        profile: String,
    },
    /// Credentials that were good once.
    #[error(
        "{doing}: the AWS credentials have expired (help: get fresh ones, for example with `aws sso login{profile}`; they are looked for again at the next attempt)"
    )]
    Expired {
        /// What was being done.
        doing: String,
        /// The profile as an option of the command line, with a space before it.
        profile: String,
    },
    /// The signature does not fit.
    #[error(
        "{doing}: AWS does not accept the signature (help: compare this machine's clock with `curl -sI https://aws.amazon.com`: it may be at most five minutes off; else the secret key is not that of the key id)"
    )]
    Signature {
        /// What was being done.
        doing: String,
    },
    /// Credentials that AWS does not know.
    #[error(
        "{doing}: AWS does not know these credentials (help: they may be of another partition, deleted, or the region {region} may not be enabled for the account)"
    )]
    Unknown {
        /// What was being done.
        doing: String,
        /// The region.
        region: String,
    },
    /// Too many calls.
    #[error(
        "{doing}: AWS throttles this account's calls, also after several tries (help: others may be calling as well; it is tried again where something is owed)"
    )]
    Throttled {
        /// What was being done.
        doing: String,
    },
    /// Not allowed.
    #[error("{doing}: access denied: {message} (help: the runner's role needs this permission)")]
    Denied {
        /// What was being done.
        doing: String,
        /// What AWS says.
        message: String,
    },
    /// There is no such thing.
    #[error("{doing}: {message}")]
    Missing {
        /// What was being done.
        doing: String,
        /// What AWS says.
        message: String,
    },
    /// No answer.
    #[error(
        "{doing}: no answer from AWS in {region}: {why} (help: is the region spelled right and enabled, and does AWS_ENDPOINT_URL mean what it should?)"
    )]
    Unreachable {
        /// What was being done.
        doing: String,
        /// The region.
        region: String,
        /// What the network says.
        why: String,
    },
    /// Anything else that AWS says.
    #[error("{doing}: {code}: {message}")]
    Refused {
        /// What was being done.
        doing: String,
        /// AWS's code.
        code: String,
        /// What AWS says.
        message: String,
    },
    /// The role is only taken with a code, and there is none.
    #[error(
        "{doing}: the role is only taken with a code of {device}, and nobody was asked for one (help: start it on a terminal, or give the six digits by the environment variable FIREDRILL_MFA_CODE)"
    )]
    NeedsCode {
        /// What was being done.
        doing: String,
        /// The device that shows codes.
        device: String,
    },
    /// A code that AWS does not take.
    #[error(
        "{doing}: AWS does not take the code of {device}: {message} (help: each code is good once and for half a minute, so wait for the next one; `aws iam list-mfa-devices` tells your device)"
    )]
    WrongCode {
        /// What was being done.
        doing: String,
        /// The device that shows codes.
        device: String,
        /// What AWS says.
        message: String,
    },
    /// A session that only a new code can follow.
    #[error(
        "{doing}: the session of the role has ended (help: only a new code of {device} opens another one: `firedrill undo` asks for it as soon as this drill has ended)"
    )]
    SessionOver {
        /// What was being done.
        doing: String,
        /// The device that shows codes.
        device: String,
    },
    /// Not the account that was meant.
    #[error(
        "enter account {meant}: these credentials act in {found} as {caller} (help: choose the profile or role of {meant}, or correct `aws.account`)"
    )]
    Stranger {
        /// The account that was meant.
        meant: String,
        /// The account that they act in.
        found: String,
        /// Who they are.
        caller: String,
    },
}

impl AwsError {
    /// Whether AWS said that what was named is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, AwsError::Missing { .. })
    }

    /// Whether it was not done, because there were too many calls.
    pub fn is_throttled(&self) -> bool {
        matches!(self, AwsError::Throttled { .. })
    }

    /// Whether nobody here knows if it was done: the answer was lost, or the service broke while it did it.
    pub fn is_in_doubt(&self) -> bool {
        let broke = ["InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException"];
        match self {
            AwsError::Unreachable { .. } => true,
            AwsError::Refused { code, .. } => broke.contains(&code.as_str()),
            _ => false,
        }
    }

    /// Whether AWS understood and refused what was asked, so that asking again the same way is of no use.
    pub fn is_refused(&self) -> bool {
        matches!(self, AwsError::Refused { .. })
    }
}

/// Text of AWS as it may be shown: one line, bounded.
pub(super) fn clean(text: &str) -> String {
    let one: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = one.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect();
    if shown.len() < one.len() { format!("{shown} …") } else { shown }
}

/// Why a call failed. Credentials that have expired are forgotten, so that the next attempt looks for fresh ones.
pub fn failed<E: ProvideErrorMetadata + std::error::Error + 'static>(
    doing: &str,
    place: &Place,
    error: SdkError<E, HttpResponse>,
) -> AwsError {
    let profile = place.profile.as_ref().map(|profile| format!(" --profile {profile}")).unwrap_or_default();
    let doing = doing.to_owned();
    if let SdkError::ServiceError(service) = &error {
        let (code, message) = (service.err().code().unwrap_or("no code"), service.err().message().unwrap_or_default());
        return of_code(doing, place, profile, code, message);
    }
    if let Some(why) = credentials(&error) {
        forget(place);
        return AwsError::NoCredentials { doing, why, profile };
    }
    AwsError::Unreachable { doing, region: place.region.clone(), why: clean(&innermost(&error)) }
}

fn of_code(doing: String, place: &Place, profile: String, code: &str, message: &str) -> AwsError {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            forget(place);
            match &place.mfa {
                Some(device) => AwsError::SessionOver { doing, device: device.clone() },
                None => AwsError::Expired { doing, profile },
            }
        }
        // Its message quotes the signed request, session token and all: it is not passed on.
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "RequestExpired" | "InvalidSignature" => {
            AwsError::Signature { doing }
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "AuthFailure" | "IncompleteSignature" => {
            forget(place);
            AwsError::Unknown { doing, region: place.region.clone() }
        }
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" | "ThrottledException" => {
            AwsError::Throttled { doing }
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => AwsError::Denied { doing, message: clean(message) },
        "ResourceNotFoundException" | "InvocationDoesNotExist" | "InvalidCommandId" | "InvalidDocument" | "InvalidDocumentVersion" => {
            AwsError::Missing { doing, message: clean(message) }
        }
        _ => AwsError::Refused { doing, code: clean(code), message: clean(message) },
    }
}

/// What the chain of credentials says, when it was that.
fn credentials(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(this) = next {
        if let Some(found) = this.downcast_ref::<CredentialsError>() {
            let why = innermost(found);
            let plain = matches!(found, CredentialsError::CredentialsNotLoaded(_));
            return Some(if plain { String::new() } else { format!(": {}", clean(&why)) });
        }
        next = this.source();
    }
    None
}

/// The innermost cause: the outer ones only say that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { account: "111122223333".into(), region: "eu-west-1".into(), profile: Some("drills".into()), ..Place::default() }
    }

    fn told(code: &str, message: &str) -> String {
        of_code("start the experiment".into(), &place(), " --profile drills".into(), code, message).to_string()
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        assert!(told("ExpiredTokenException", "").contains("`aws sso login --profile drills`"));
        assert!(told("RequestTimeTooSkewed", "").contains("clock"));
        assert!(told("UnrecognizedClientException", "").contains("eu-west-1 may not be enabled"));
        assert!(told("ThrottlingException", "").contains("throttles"));
        assert_eq!(
            told("AccessDeniedException", "User: x is not authorized to perform: fis:StartExperiment"),
            "start the experiment: access denied: User: x is not authorized to perform: fis:StartExperiment (help: the runner's role needs this permission)"
        );
        assert_eq!(told("ValidationException", "no"), "start the experiment: ValidationException: no");
    }

    #[test]
    fn a_session_that_a_code_opened_is_followed_by_one_of_another_code() {
        let place = Place { mfa: Some("arn:aws:iam::111122223333:mfa/alice".into()), ..place() };
        let told = of_code("stop the experiment".into(), &place, String::new(), "ExpiredTokenException", "").to_string();
        assert!(told.contains("only a new code of arn:aws:iam::111122223333:mfa/alice") && told.contains("`firedrill undo`"), "{told}");
    }

    #[test]
    fn nothing_secret_and_nothing_that_steers_is_passed_on() {
        assert!(!told("SignatureDoesNotMatch", "x-amz-security-token:FQoGZ").contains("FQoGZ"));
        assert_eq!(told("Odd\u{1b}[2J", "a\nb\u{7}"), "start the experiment: Odd\u{fffd}[2J: a b\u{fffd}");
        assert!(told("Odd", &"x".repeat(9_000)).chars().count() < 400);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_refused() {
        let of = |code: &str| of_code(String::new(), &place(), String::new(), code, "");
        assert!(of("ResourceNotFoundException").is_missing() && !of("ResourceNotFoundException").is_refused());
        assert!(of("ConflictException").is_refused() && !of("ThrottlingException").is_refused());
    }
}
