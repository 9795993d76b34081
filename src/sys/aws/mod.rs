//! The only door to AWS: clients over rustls and ring, credentials by the SDK's own chain, a limit on every call, and nobody gets in who was
//! not seen to act in the account that was meant. It must never know what an experiment is for.

mod code;
mod ends;
mod error;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_fis::config::retry::RetryPartition;
use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::runtime::{Handle, Id};

use super::session;

pub use super::place::Place;
pub use code::{device, log_in};
pub use ends::{End, ends};
pub use error::{AwsError, failed};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one try of one call may take.
const ATTEMPT: Duration = Duration::from_secs(6);
/// How long one call may take with all its tries: below what a step of a fault has.
const CALL: Duration = Duration::from_secs(20);
/// How often a call is tried that looks or starts something.
const TRIES: u32 = 4;
/// How often a call is tried that stops something: it has a budget of its own, so that no other call can use it up.
const TRIES_TO_STOP: u32 = 8;
/// The most accounts that are held open, counted for each runtime: those that were opened first are forgotten.
const MOST_OPENED: usize = 64;
/// How sessions of a role are called in AWS's own records.
const SESSION_NAME: &str = "firedrill";

/// Clients in an account that was seen to be the one that was meant.
#[derive(Debug)]
pub struct Account {
    /// Where this is.
    pub place: Place,
    /// Who acts: the ARN of the caller.
    pub caller: String,
    /// Fault Injection Service, for everything but stopping.
    pub fis: aws_sdk_fis::Client,
    /// The same, for what stops and removes: with a budget of retries of its own.
    pub stop: aws_sdk_fis::Client,
    /// Systems Manager, for everything but stopping.
    pub ssm: aws_sdk_ssm::Client,
    /// The same, for what cancels and undoes: with a budget of retries of its own.
    pub ssm_stop: aws_sdk_ssm::Client,
    /// Which resources carry which tags.
    pub tags: aws_sdk_resourcegroupstagging::Client,
    /// Alarms and metrics.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
}

/// An account that was opened, and the runtime that drives its connections.
type Opened = (Id, Arc<Account>);

fn opened() -> &'static Mutex<Vec<Opened>> {
    static OPENED: OnceLock<Mutex<Vec<Opened>>> = OnceLock::new();
    OPENED.get_or_init(Mutex::default)
}

/// Opens the account, once a process and runtime: everybody after the first gets the same clients. Connections end with the runtime that they were
/// made in, so that the prober's threads share none with whoever conducts the drill.
///
/// # Errors
/// No credentials, credentials that are not accepted, no answer, or an account that is not the one that was meant.
pub async fn open(place: &Place) -> Result<Arc<Account>, AwsError> {
    let here = Handle::current().id();
    let is = |(runtime, account): &&Opened| *runtime == here && account.place == *place;
    let known = opened().lock().unwrap_or_else(PoisonError::into_inner).iter().find(is).map(|(_, account)| Arc::clone(account));
    if let Some(account) = known {
        return Ok(account);
    }
    let account = Arc::new(enter(place).await?);
    let mut all = opened().lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST_OPENED {
        all.remove(0);
    }
    all.push((here, Arc::clone(&account)));
    Ok(account)
}

/// Forgets an account's clients, so that the next who opens it looks for credentials afresh.
pub fn forget(place: &Place) {
    opened().lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, account)| account.place != *place);
}

async fn enter(place: &Place) -> Result<Account, AwsError> {
    let config = in_role(place, base(place).await).await?;
    let sts = aws_sdk_sts::Client::new(&config);
    let caller = sts.get_caller_identity().send().await.map_err(|error| failed("ask who is acting", place, error))?;
    let found = caller.account.unwrap_or_default();
    let arn = error::clean(&caller.arn.unwrap_or_default());
    if found != place.account {
        return Err(AwsError::Stranger { meant: place.account.clone(), found: error::clean(&found), caller: arn });
    }
    let stop = aws_sdk_fis::config::Builder::from(&config)
        .retry_config(retries(TRIES_TO_STOP))
        .retry_partition(RetryPartition::new("firedrill-stop"))
        .build();
    let ssm_stop = aws_sdk_ssm::config::Builder::from(&config)
        .retry_config(retries(TRIES_TO_STOP))
        .retry_partition(RetryPartition::new("firedrill-ssm-stop"))
        .build();
    Ok(Account {
        place: place.clone(),
        caller: arn,
        fis: aws_sdk_fis::Client::new(&config),
        stop: aws_sdk_fis::Client::from_conf(stop),
        ssm: aws_sdk_ssm::Client::new(&config),
        ssm_stop: aws_sdk_ssm::Client::from_conf(ssm_stop),
        tags: aws_sdk_resourcegroupstagging::Client::new(&config),
        cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
    })
}

fn retries(most: u32) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(most)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(2))
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build()
}

/// What all clients share. Endpoints, profiles and credentials are found where the AWS command line finds them.
async fn base(place: &Place) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http())
        .region(Region::new(place.region.clone()))
        .timeout_config(timeouts())
        .retry_config(retries(TRIES));
    if let Ok(name) = AppName::new(concat!("firedrill-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &place.profile {
        loader = loader.profile_name(profile).credentials_provider(of_profile(place, profile));
    }
    loader.load().await
}

/// The credentials of a profile, and of nobody else: whoever names one means it, also where the environment holds others.
fn of_profile(place: &Place, profile: &str) -> ProfileFileCredentialsProvider {
    let shared = ProviderConfig::without_region()
        .with_http_client(http())
        .with_region(Some(Region::new(place.region.clone())))
        .with_timeout_config(timeouts())
        .with_retry_config(retries(TRIES));
    ProfileFileCredentialsProvider::builder().configure(&shared).profile_name(profile).build()
}

/// The same in the role that is taken, where one is.
async fn in_role(place: &Place, base: SdkConfig) -> Result<SdkConfig, AwsError> {
    let Some(role) = &place.role else { return Ok(base) };
    let provider = match &place.mfa {
        Some(_) => SharedCredentialsProvider::new(held(place)?),
        None => {
            let mut assumed = AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&base);
            if let Some(external) = &place.external_id {
                assumed = assumed.external_id(external);
            }
            if let Some(lasts) = place.session {
                assumed = assumed.session_length(lasts.std());
            }
            SharedCredentialsProvider::new(assumed.build().await)
        }
    };
    Ok(base.into_builder().credentials_provider(provider).build())
}

/// The session that somebody's code opened.
fn held(place: &Place) -> Result<Credentials, AwsError> {
    let Some(session) = session::of(place) else {
        return Err(AwsError::NeedsCode { doing: format!("enter account {}", place.account), device: device(place) });
    };
    // Without an end: that it is over is for AWS to say, and not for this machine's clock.
    Ok(Credentials::new(session.key, session.secret, Some(session.token), None, "firedrill"))
}
