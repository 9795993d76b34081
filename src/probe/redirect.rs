//! Following redirects, where a scenario asks for it. Each hop is a request over a connection of its own, within the limit of the whole. What the scenario writes
//! into headers is for whom it names: another host, port or scheme gets none of it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request};
use reqwest::Url;

use super::judge::Head;
use super::request::{Target, target_of};
use super::wire::Failure;
use crate::event::Class;

/// Most redirects that can be asked for.
pub(super) const MOST: u8 = 10;

/// Where an answer leads; none where it is no redirect.
pub(super) fn leads_to(head: &Head, from: &Target) -> Option<Result<Target, Failure>> {
    if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = head.headers.get(LOCATION)?;
    let joined = location.to_str().ok().and_then(|to| Url::parse(&from.url()).ok()?.join(to).ok());
    let target = joined.and_then(|mut url| {
        url.set_fragment(None);
        target_of(url.as_str()).ok()
    });
    Some(target.ok_or_else(|| Failure::new(Class::Error, "redirected to what is no URL")))
}

/// The request for it.
pub(super) fn again(method: &Method, headers: &HeaderMap, from: &Target, to: &Target) -> Result<Request<Full<Bytes>>, Failure> {
    let bad = || Failure::new(Class::Error, "redirected to what is no URL");
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = method.clone();
    *request.uri_mut() = to.path().parse().map_err(|_| bad())?;
    let mut sent = headers.clone();
    if !from.is_same_place(to) {
        let own = [USER_AGENT, CONNECTION].map(|name| (name.clone(), headers.get(&name).cloned()));
        sent = own.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        debug_assert!(!sent.contains_key(AUTHORIZATION) && !sent.contains_key(COOKIE));
    }
    sent.insert(HOST, HeaderValue::from_str(to.authority()).map_err(|_| bad())?);
    *request.headers_mut() = sent;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;
    use crate::event::Verdict;
    use crate::probe::testing::{cx, judged, reply, serve};
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    fn head(status: u16, location: &str) -> Head {
        Head { status, headers: [(LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect() }
    }

    #[test]
    fn places_are_joined_as_a_browser_joins_them() {
        let from = target_of("http://shop:8080/a/b?c=d").unwrap();
        let to = |location: &str| leads_to(&head(302, location), &from).unwrap().map(|to| to.url());
        assert_eq!(to("/login#top").unwrap(), "http://shop:8080/login");
        assert_eq!(to("../x?y=1").unwrap(), "http://shop:8080/x?y=1");
        assert_eq!(to("//other/").unwrap(), "http://other/");
        assert_eq!(to("https://shop/").unwrap(), "https://shop/");
        for bad in ["ftp://shop/", "http://", "http://user:pass@shop/"] {
            assert_eq!(to(bad).unwrap_err().class, Class::Error, "{bad}");
        }
        assert!(leads_to(&head(200, "/"), &from).is_none() && leads_to(&head(304, "/"), &from).is_none());
        assert!(leads_to(&Head { status: 302, headers: HeaderMap::new() }, &from).is_none());
    }

    #[tokio::test]
    async fn as_many_are_followed_as_are_asked_for_and_secrets_stay_where_they_belong() {
        let seen = Arc::new(Mutex::new(Vec::<String>::new()));
        let told = Arc::clone(&seen);
        let other = serve(move |request| {
            told.lock().unwrap().push(request.to_owned());
            reply("200 OK", "", "there")
        })
        .await;
        let url = serve(move |request| match request.split(' ').nth(1).unwrap() {
            "/one" => reply("302 Found", "location: /two\r\n", ""),
            "/two" => reply("307 Temporary Redirect", &format!("location: {other}end\r\n"), ""),
            _ => reply("301 Moved", "location: /round\r\n", ""),
        })
        .await;
        let ask = async |path: &str, redirects: u8| {
            let spec = json!({"url": format!("{url}{path}"), "redirects": redirects, "headers": {"authorization": "Bearer s3cret", "x-token": "t"}});
            judged("http", spec, json!({}), Span::secs(2), &cx()).await
        };
        assert_eq!(ask("one", 2).await.verdict, Verdict::Ok);
        let request = seen.lock().unwrap().concat().to_ascii_lowercase();
        assert!(
            request.starts_with("get /end ") && request.contains("user-agent: firedrill/") && request.contains("connection: close"),
            "{request}"
        );
        assert!(!request.contains("s3cret") && !request.contains("x-token"), "{request}");
        let few = ask("one", 1).await;
        assert_eq!((few.verdict, few.class, few.note.as_deref()), (Verdict::Bad, Class::Error, Some("redirected more than once")));
        let round = ask("round", 3).await;
        assert_eq!((round.class, round.note.as_deref()), (Class::Error, Some("redirected more than 3 times")));
        assert_eq!(ask("one", 0).await.class, Class::Status, "a redirect is an answer");
    }
}
