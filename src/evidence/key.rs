//! Who stands for a bundle: Ed25519 keys in the files that OpenSSL reads and writes, and the signature over the manifest's bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// What stands before the 32 bytes of a private key (PKCS#8, RFC 8410) …
const PRIVATE: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// … and of a public one (SubjectPublicKeyInfo).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const WORD: &str = "ed25519:";

/// Why something is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Neither a PEM file nor `ed25519:…`.
    #[error("it is no public key: neither `ed25519:` and base64, nor a PEM file with BEGIN PUBLIC KEY")]
    Public,
    /// No PEM file with an Ed25519 key.
    #[error("it is no private Ed25519 key: a PEM file with BEGIN PRIVATE KEY is needed")]
    Private,
}

/// A key to check with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public([u8; 32]);

impl Public {
    /// From `ed25519:BASE64` or the text of a PEM file.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Public, BadKey> {
        let text = text.trim();
        let bytes = match text.strip_prefix(WORD) {
            Some(base64) => STANDARD.decode(base64).map_err(|_| BadKey::Public)?,
            None => unarmoured(text, "PUBLIC KEY").and_then(|der| der.strip_prefix(&PUBLIC).map(<[u8]>::to_vec)).ok_or(BadKey::Public)?,
        };
        bytes.try_into().map(Public).map_err(|_| BadKey::Public)
    }

    /// The PEM file.
    pub fn pem(&self) -> String {
        armoured("PUBLIC KEY", &[&PUBLIC[..], &self.0].concat())
    }
}

impl std::fmt::Display for Public {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{WORD}{}", STANDARD.encode(self.0))
    }
}

/// A key to sign with. Never shown.
pub struct Private(Ed25519KeyPair);

impl Private {
    /// From 32 random bytes: the key, and the PEM file to keep.
    ///
    /// # Errors
    /// Never for 32 bytes; the library may refuse.
    pub fn from_seed(seed: &[u8; 32]) -> Result<(Private, String), BadKey> {
        let der = [&PRIVATE[..], seed].concat();
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| BadKey::Private)?;
        Ok((Private(pair), armoured("PRIVATE KEY", &der)))
    }

    /// From the text of a PEM file, of ours or of `openssl genpkey -algorithm ed25519`.
    ///
    /// # Errors
    /// It is no such file.
    pub fn parse(text: &str) -> Result<Private, BadKey> {
        let der = unarmoured(text.trim(), "PRIVATE KEY").ok_or(BadKey::Private)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Private).map_err(|_| BadKey::Private)
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> Public {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        Public(bytes)
    }

    /// The signature file over these bytes.
    pub fn sign(&self, bytes: &[u8]) -> String {
        Signed { schema: Signed::SCHEMA.into(), key: self.public().to_string(), signature: STANDARD.encode(self.0.sign(bytes)) }.text()
    }
}

/// What stands in a signature file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// `firedrill.signature/1`.
    pub schema: String,
    /// The key that it was made with: `ed25519:BASE64`.
    pub key: String,
    /// Base64 of the Ed25519 signature over the bytes of the manifest.
    pub signature: String,
}

impl Signed {
    const SCHEMA: &str = "firedrill.signature/1";

    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Checks a signature file against what it is said to cover; gives the key.
    ///
    /// # Errors
    /// In what way it does not hold.
    pub fn check(file: &[u8], covered: &[u8]) -> Result<Public, String> {
        let signed: Signed = serde_json::from_slice(file).map_err(|error| format!("it is no signature: {error}"))?;
        if signed.schema != Signed::SCHEMA {
            return Err(format!("it is of another form than {}: `{}`", Signed::SCHEMA, signed.schema));
        }
        // One form only: a byte that changes nothing is a changed byte all the same.
        if signed.text().as_bytes() != file {
            return Err("it is not written as firedrill writes it".into());
        }
        let key = Public::parse(&signed.key).map_err(|error| format!("its key: {error}"))?;
        let signature = STANDARD.decode(&signed.signature).map_err(|_| "the signature is not base64".to_owned())?;
        match UnparsedPublicKey::new(&ED25519, key.0).verify(covered, &signature) {
            Ok(()) => Ok(key),
            Err(_) => Err("the signature does not fit the manifest: one of the two was changed, or the key is another one".into()),
        }
    }
}

fn armoured(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn unarmoured(text: &str, label: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(&format!("-----BEGIN {label}-----"))?.strip_suffix(&format!("-----END {label}-----"))?;
    STANDARD.decode(inner.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_files_and_sign_the_same_each_time() {
        let (key, pem) = Private::from_seed(&[7; 32]).unwrap();
        let again = Private::parse(&pem).unwrap();
        let signed = key.sign(b"manifest");
        assert_eq!(signed, again.sign(b"manifest"));
        let public = key.public();
        assert_eq!(Public::parse(&public.pem()), Ok(public.clone()));
        assert_eq!(Public::parse(&public.to_string()), Ok(public.clone()));
        assert_eq!(Signed::check(signed.as_bytes(), b"manifest"), Ok(public));
        assert!(Signed::check(signed.as_bytes(), b"manifesT").unwrap_err().contains("does not fit"));
    }

    #[test]
    fn every_changed_byte_of_a_signature_shows() {
        let (key, _) = Private::from_seed(&[7; 32]).unwrap();
        let signed = key.sign(b"manifest").into_bytes();
        for at in 0..signed.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut harmed = signed.clone();
                harmed[at] ^= flip;
                assert!(Signed::check(&harmed, b"manifest").is_err(), "byte {at} ^ {flip:#x}");
            }
        }
    }

    #[test]
    fn the_test_vector_of_rfc_8032() {
        let seed = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
        let (key, _) = Private::from_seed(&seed).unwrap();
        assert_eq!(key.public().to_string(), "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        let signed: Signed = serde_json::from_str(&key.sign(b"")).unwrap();
        assert!(signed.signature.starts_with("5VZDAMNgrHKQhuLMgG6CioSHfx645dl0"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ed25519:", "ed25519:AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "rsa:x"] {
            assert_eq!(Public::parse(text), Err(BadKey::Public), "{text}");
            assert_eq!(Private::parse(text).err(), Some(BadKey::Private), "{text}");
        }
    }
}
