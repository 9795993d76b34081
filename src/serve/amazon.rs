//! What is fetched from SNS itself: its certificates, and the address that confirms a subscription. Only addresses that `signal::sns` has found to be
//! SNS's own come here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use indexmap::IndexMap;

use super::limits::Bucket;
use crate::base::{At, Span};
use crate::sys::http::{self, Trust};

/// Largest answer.
const LARGEST: usize = 64 * 1024;
/// How long one fetch may take.
const LIMIT: Span = Span::secs(5);
/// Certificates that are kept.
const KEPT: usize = 8;

/// Whoever fetches from SNS. Tests have one that knows its answers.
pub trait Amazon: Send + Sync {
    /// What lies at an address; an error is for people.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>>;
}

/// SNS as it is on the internet: by HTTPS with the host's trust store, no redirect, no proxy.
#[derive(Debug, Clone, Copy)]
pub struct TheInternet;

impl Amazon for TheInternet {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move {
            let client = http::control_client(&Trust::default()).map_err(|error| error.to_string())?;
            let answer = http::get(&client, url, &IndexMap::new(), LARGEST, LIMIT).await.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("get an answer: status {}", answer.status)) }
        })
    }
}

/// Certificates that were fetched, and how many more may be: whoever sends garbage makes nobody fetch for ever.
#[derive(Debug)]
pub(super) struct Certificates {
    known: Mutex<HashMap<String, Vec<u8>>>,
    budget: Mutex<Bucket>,
}

impl Certificates {
    pub fn new() -> Certificates {
        Certificates { known: Mutex::new(HashMap::new()), budget: Mutex::new(Bucket::new(1, 5)) }
    }

    /// The certificate at an address; an error is for people.
    pub async fn of(&self, url: &str, amazon: &dyn Amazon, now: At) -> Result<Vec<u8>, String> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
            return Ok(known.clone());
        }
        if !self.budget.lock().unwrap_or_else(PoisonError::into_inner).admits(now) {
            return Err("fetch its certificate: too many are asked for".into());
        }
        let found = amazon.get(url).await.map_err(|why| format!("fetch its certificate: {why}"))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KEPT {
            known.insert(url.to_owned(), found.clone());
        }
        Ok(found)
    }
}
