//! How a sender shows that it is the one: a bearer token, or a signature with a shared secret (HMAC-SHA256, RFC 2104). Everything is compared in a time
//! that does not depend on what is compared.

use ring::{digest, hmac};

use super::receive::{Post, Refusal};

/// Whether two secrets are the same. Digests are compared, so that not even lengths show.
pub fn same(one: &str, other: &str) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, digest(one).as_ref());
    let tag = hmac::sign(&key, b"");
    let wanted = hmac::Key::new(hmac::HMAC_SHA256, digest(other).as_ref());
    hmac::verify(&wanted, b"", tag.as_ref()).is_ok()
}

/// The token of an `Authorization: Bearer …` header.
pub fn token_of(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Asks for a bearer token.
///
/// # Errors
/// There is none, or it is another one.
pub(super) fn bearer(post: Post<'_>, token: &str) -> Result<(), Refusal> {
    match token_of(post.header("authorization")) {
        None => Err(Refusal::forged("it has no bearer token: send `Authorization: Bearer TOKEN`")),
        // An empty secret would let everybody in.
        Some(given) if !token.is_empty() && same(given, token) => Ok(()),
        Some(_) => Err(Refusal::forged("its bearer token is not the one of this receiver")),
    }
}

/// Whether a signature in hexadecimal is that of these parts, one after the other.
pub(super) fn signed(secret: &str, parts: &[&[u8]], hexadecimal: &str) -> bool {
    let Some(tag) = unhex(hexadecimal.trim()) else { return false };
    let message = parts.concat();
    !secret.is_empty() && hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &message, &tag).is_ok()
}

/// A signature of these parts in hexadecimal, as a sender makes it.
pub fn sign(secret: &str, parts: &[&[u8]]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &parts.concat());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_is_met() {
        // RFC 4231, test case 2.
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", &[b"what do ya want ", b"for nothing?"]), tag);
        assert!(signed("Jefe", &[b"what do ya want for nothing?"], tag));
        for bad in ["", "5b", &tag.replace('5', "6"), &tag[1..], &format!("{tag}00"), "éé"] {
            assert!(!signed("Jefe", &[b"what do ya want for nothing?"], bad), "{bad}");
        }
        assert!(!signed("", &[b"x"], &sign("", &[b"x"])), "an empty secret is none");
    }

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same("a", "a") && !same("a", "b") && !same("a", "ab") && !same("", "a"));
        assert_eq!(token_of(Some("bearer  x")), Some("x"));
        assert_eq!((token_of(Some("Basic x")), token_of(Some("x")), token_of(None)), (None, None, None));
    }
}
