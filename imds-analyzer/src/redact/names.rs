//! Names whose values are secrets.
//!
//! A name is taken apart into words (`AWS_SESSION_TOKEN`, `clientSecret`,
//! `X-Amz-Signature`), and its last word decides: `http-tokens`,
//! `password-file`, `token-ttl-seconds` and `secret-id` name no secret, since
//! they are about one.

/// How much of a name is looked at, from its end, in bytes.
pub(super) const MAX_NAME: usize = 128;

/// Last words that name a secret, also as the end of a longer word
/// (`PGPASSWORD`, `authtoken`).
const ENDINGS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accesskeyid",
    "signature",
    "authorization",
    "credential",
];

/// Last words that name a secret only as they are.
const WORDS: [&str; 14] = [
    "auth",
    "bearer",
    "cookie",
    "cookies",
    "credentials",
    "jwt",
    "keypass",
    "otp",
    "pass",
    "passin",
    "passout",
    "psk",
    "sig",
    "storepass",
];

/// What makes a `key` a secret.
const KEYS: [&str; 16] = [
    "access",
    "account",
    "api",
    "auth",
    "encryption",
    "hmac",
    "license",
    "master",
    "private",
    "secret",
    "service",
    "session",
    "shared",
    "signing",
    "storage",
    "subscription",
];

/// Last words that say in which form the secret is given.
const FORMS: [&str; 12] = [
    "b64",
    "base",
    "base64",
    "binary",
    "bytes",
    "code",
    "env",
    "hex",
    "plain",
    "plaintext",
    "string",
    "value",
];

/// Words between a header's name and the secret: authentication schemes
/// (IANA's registry, and those that are in use without being in it).
const SCHEMES: [&str; 9] = [
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "bot",
    "digest",
    "negotiate",
    "ntlm",
    "token",
];

/// Whether this byte can be part of a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Whether the value of something called `name` is a secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let name = &name[name.len().saturating_sub(MAX_NAME)..];
    let words = split(name);
    let mut words = words.as_slice();
    while let [before @ .., last] = words
        && !before.is_empty()
        && (FORMS.contains(&last.as_str()) || last.bytes().all(|byte| byte.is_ascii_digit()))
    {
        words = before;
    }
    match words {
        [.., access, key, id] if id == "id" && key == "key" && access == "access" => true,
        [.., kind, key] if key == "key" => KEYS.contains(&kind.as_str()),
        // `PWD` alone is the working directory.
        [.., _, pwd] if pwd == "pwd" => true,
        [.., last] => {
            let last = last.trim_end_matches(|byte: char| byte.is_ascii_digit());
            WORDS.contains(&last) || ENDINGS.iter().any(|ending| last.ends_with(ending))
        }
        [] => false,
    }
}

/// Whether this is the name of an authentication scheme.
pub(super) fn is_scheme(word: &[u8]) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// The words of a name, in lower case.
fn split(name: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &byte) in name.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| name[before]);
        let after = name.get(at + 1);
        let begins = byte.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase())
                || (before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(u8::is_ascii_lowercase)));
        if (begins || !byte.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_any_spelling() {
        for name in [
            "X-aws-ec2-metadata-token",
            "x-aws-ec2-metadata-token",
            "AWS_SECRET_ACCESS_KEY",
            "aws_session_token",
            "SecretAccessKey",
            "AWSAccessKeyId",
            "AccessKeyId",
            "Token",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "Authorization",
            "Cookie",
            "PGPASSWORD",
            "MYSQL_PWD",
            "Djavax.net.ssl.keyStorePassword",
            "client_secret",
            "clientSecret",
            "api-key",
            "apikey",
            "secret-string",
            "password2",
            "HX-aws-ec2-metadata-token",
            "oauth2-bearer",
            "storepass",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_about_secrets_are_none() {
        for name in [
            "X-aws-ec2-metadata-token-ttl-seconds",
            "http-tokens",
            "password-file",
            "secret-id",
            "token-url",
            "cookie-jar",
            "key",
            "PWD",
            "OLDPWD",
            "monkey",
            "compass",
            "author",
            "max_tokens",
            "value",
            "",
            "-",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }
}
