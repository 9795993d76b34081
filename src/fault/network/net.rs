//! Addresses and networks, as a scenario writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, or a network in CIDR notation; bits of hosts are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// The first address.
    pub first: IpAddr,
    /// How many leading bits count.
    pub length: u8,
}

/// The bits of an address, leading first, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl Net {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, width) = bits(self.first);
        let (theirs, their_width) = bits(address);
        width == their_width && (ours ^ theirs) & mask(self.length) == 0
    }

    /// Whether the two have an address in common.
    pub fn meets(&self, other: &Net) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// Whether it is a single address.
    pub fn is_one(&self) -> bool {
        self.length == bits(self.first).1
    }
}

impl FromStr for Net {
    type Err = String;
    fn from_str(text: &str) -> Result<Net, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let first: IpAddr = address.parse().map_err(|_| format!("`{text}` is no address and no network"))?;
        let (all, width) = bits(first);
        let length = match length {
            None => width,
            Some(length) => {
                let plain = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit());
                let length = length.parse::<u8>().ok().filter(|length| plain && *length <= width);
                length.ok_or_else(|| format!("`{text}` is no network: the length is 0 to {width}"))?
            }
        };
        let kept = all & mask(length);
        let first = match first {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept >> 96).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        Ok(Net { first, length })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() { write!(f, "{}", self.first) } else { write!(f, "{}/{}", self.first, self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_networks_are_read_without_their_host_bits() {
        for (text, shown) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::7/32", "2001:db8::/32"),
            ("::1", "::1"),
        ] {
            assert_eq!(net(text).to_string(), shown);
        }
        for text in ["", "db", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/+8", "::1/129", "10.0.0.1:80", "10.0.0.1/8/8"] {
            assert!(text.parse::<Net>().is_err(), "{text}");
        }
    }

    #[test]
    fn families_are_never_mixed_up() {
        assert!(net("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!net("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(net("0.0.0.0/0").contains("127.0.0.1".parse().unwrap()));
        assert!(!net("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(!net("::/0").contains("10.0.0.1".parse().unwrap()));
        assert!(net("10.0.0.0/8").meets(&net("10.1.0.0/16")) && net("10.1.0.0/16").meets(&net("10.0.0.0/8")));
        assert!(!net("10.0.0.0/16").meets(&net("10.1.0.0/16")));
    }
}
