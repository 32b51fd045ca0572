//! The string that must never come out of the analyzer.
//!
//! Everything secret in the tests carries [`CANARY`] inside something that looks
//! like the real thing, since a redactor may go by the look.

/// Is in every token, credential and secret-looking argument, and nowhere else.
/// Letters and digits only, so that it is valid in any base64 alphabet.
pub const CANARY: &str = "CANARY7f3a";

/// Is in bodies of responses that no client sends back, and nowhere else: not in tokens,
/// which are sent. Nothing that the programs take out of the kernel may have it.
pub const RESPONSE: &str = "RESPONSEc4n4ry";

/// A session token as IMDS makes them: 56 characters of base64 ending in `==`.
///
/// Tokens of different `number`s differ.
pub fn token(number: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let tail: String = (0..39)
        .map(|place| {
            let bits = scrambled(number.wrapping_mul(64).wrapping_add(place));
            char::from(ALPHABET[(bits % 64) as usize])
        })
        .collect();
    format!("AQAEA{CANARY}{tail}==")
}

/// A secret access key: 40 characters of base64 (IAM User Guide, "Manage access
/// keys").
pub fn secret_access_key() -> String {
    format!("wJalrXUtnFEMI/{CANARY}+bPxRfiCYK7MDENG")
}

/// A temporary access key id: `ASIA` and 16 letters and digits.
pub fn access_key_id() -> String {
    format!("ASIA{}QRSTUV", CANARY.to_uppercase())
}

/// A session token of temporary credentials, a few hundred characters long.
pub fn session_token() -> String {
    format!(
        "IQoJb3JpZ2luX2VjE{}",
        format!("{CANARY}k7Zq/Lw+").repeat(16)
    )
}

/// Whether the text holds the canary, in any case.
pub fn sings(text: &[u8]) -> bool {
    let canary = CANARY.to_ascii_lowercase();
    text.windows(canary.len())
        .any(|window| window.eq_ignore_ascii_case(canary.as_bytes()))
}

/// Spreads small numbers over all digits (the finalizer of SplitMix64).
fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_the_lengths_of_real_ones() {
        assert_eq!(token(1).len(), 56);
        assert_eq!(secret_access_key().len(), 40);
        assert_eq!(access_key_id().len(), 20);
    }

    #[test]
    fn every_secret_sings() {
        for secret in [
            token(1),
            secret_access_key(),
            access_key_id(),
            session_token(),
        ] {
            assert!(sings(secret.as_bytes()), "{secret}");
        }
        assert!(!sings(b"GET /latest/meta-data/ HTTP/1.1"));
    }
}
