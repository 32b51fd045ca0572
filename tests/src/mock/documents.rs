//! What the mock has to read: the few documents that clients look into, in the form
//! of the EC2 User Guide ("Instance metadata categories", "Retrieve security
//! credentials from instance metadata", "Instance identity documents").

use std::borrow::Cow;

use crate::canary;

/// Name of the role whose credentials are handed out.
pub const ROLE: &str = "imds-tests-role";

const INSTANCE: &str = "i-1234567890abcdef0";
const IMAGE: &str = "ami-0abcdef1234567890";
const REGION: &str = "eu-central-1";
const HOSTNAME: &str = "ip-10-0-0-1.eu-central-1.compute.internal";
/// What is right below `meta-data`.
const TOP: &str = "ami-id\nhostname\niam/\ninstance-id\nlocal-hostname\nplacement/\n";
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials";

/// The document at a path, without its query; absent where clients must see that there is
/// none. Every other path is a listing: to tests it matters only that it was asked for.
///
/// cloud-init follows listings, so none leads back to where it is.
pub(super) fn at(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    let path = &*latest(path);
    if let Some(role) = path.strip_prefix(CREDENTIALS) {
        return match role.strip_prefix('/') {
            None if role.is_empty() => Some(ROLE.to_owned()),
            Some(ROLE) => Some(credentials()),
            // Newer SDKs ask for `security-credentials-extended`, too.
            _ => None,
        };
    }
    Some(match path {
        "/latest/meta-data/ami-id" => IMAGE.to_owned(),
        "/latest/meta-data/instance-id" => INSTANCE.to_owned(),
        "/latest/meta-data/placement/region" => REGION.to_owned(),
        "/latest/meta-data/placement/availability-zone" => format!("{REGION}a"),
        "/latest/meta-data/hostname" | "/latest/meta-data/local-hostname" => HOSTNAME.to_owned(),
        "/latest/dynamic/instance-identity/document" => identity(),
        "/latest/user-data" => return None,
        "/latest/meta-data" => TOP.to_owned(),
        "/latest/meta-data/iam" => "info\nsecurity-credentials/\n".to_owned(),
        "/latest/meta-data/placement" => "availability-zone\nregion\n".to_owned(),
        "/latest/dynamic/instance-identity" => "document\n".to_owned(),
        _ => format!("ami-id\nhostname\ninstance-id\n{}\n", canary::RESPONSE),
    })
}

/// A path below a version such as `2021-03-23`, as the one below `latest`.
fn latest(path: &str) -> Cow<'_, str> {
    let is_date = |word: &str| {
        word.len() == 10
            && word
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_digit())
    };
    match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((version, rest)) if is_date(version) => format!("/latest/{rest}").into(),
        _ => path.into(),
    }
}

/// Credentials of the role. None of it is real, all of it sings.
fn credentials() -> String {
    document(&[
        ("Code", "Success"),
        ("LastUpdated", "2026-01-01T00:00:00Z"),
        ("Type", "AWS-HMAC"),
        ("AccessKeyId", &canary::access_key_id()),
        ("SecretAccessKey", &canary::secret_access_key()),
        ("Token", &canary::session_token()),
        // Late enough that no client asks again.
        ("Expiration", "2037-12-31T23:59:59Z"),
        ("Canary", canary::RESPONSE),
    ])
}

fn identity() -> String {
    document(&[
        ("accountId", "123456789012"),
        ("architecture", "x86_64"),
        ("availabilityZone", &format!("{REGION}a")),
        ("imageId", IMAGE),
        ("instanceId", INSTANCE),
        ("instanceType", "t3.micro"),
        ("pendingTime", "2026-01-01T00:00:00Z"),
        ("privateIp", "10.0.0.1"),
        ("region", REGION),
        ("version", "2017-09-30"),
        ("canary", canary::RESPONSE),
    ])
}

/// A JSON object as IMDS lays it out. The values hold nothing to escape.
fn document(fields: &[(&str, &str)]) -> String {
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("  \"{name}\" : \"{value}\""))
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_its_credentials_are_found() {
        for listing in [CREDENTIALS, &format!("{CREDENTIALS}/")] {
            assert_eq!(at(listing).as_deref(), Some(ROLE));
        }
        let credentials = at(&format!("{CREDENTIALS}/{ROLE}")).expect("the role has some");
        let read: serde_json::Value = serde_json::from_str(&credentials).expect("is JSON");
        for field in ["AccessKeyId", "SecretAccessKey", "Token"] {
            let secret = read[field].as_str().expect("is a string");
            assert!(canary::sings(secret.as_bytes()), "{field}");
        }
        assert!(read["Expiration"].is_string());
    }

    #[test]
    fn no_other_role_has_credentials() {
        assert_eq!(at(&format!("{CREDENTIALS}/other")), None);
        assert_eq!(at(&format!("{CREDENTIALS}-extended/")), None);
    }

    #[test]
    fn every_version_has_the_same_documents() {
        for path in [
            "meta-data/instance-id",
            "dynamic/instance-identity/document",
        ] {
            assert_eq!(
                at(&format!("/2021-03-23/{path}")),
                at(&format!("/latest/{path}"))
            );
        }
        assert_eq!(at("/2021-03-23/user-data"), None);
    }

    #[test]
    fn whoever_follows_listings_comes_to_an_end() {
        let mut waiting = vec![
            "/latest/meta-data/".to_owned(),
            "/latest/dynamic/".to_owned(),
        ];
        let mut visited = 0;
        while let Some(path) = waiting.pop() {
            visited += 1;
            assert!(visited < 100, "a listing leads back: {path}");
            let listing = at(&path).unwrap_or_default();
            let directories = listing.lines().filter(|line| line.ends_with('/'));
            waiting.extend(directories.map(|name| format!("{path}{name}")));
        }
    }

    #[test]
    fn identity_is_json_and_names_the_region() {
        let identity = at("/latest/dynamic/instance-identity/document").expect("there is one");
        let read: serde_json::Value = serde_json::from_str(&identity).expect("is JSON");
        assert_eq!(read["region"], REGION);
    }
}
