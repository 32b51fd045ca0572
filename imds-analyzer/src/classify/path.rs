//! What a request target points at, as IMDS would read it.
//!
//! What IMDS makes of unusual spellings is not documented, so each is read the
//! way that cannot mislead. A `PUT` to another spelling of the token path is
//! either accepted, and then it is v2, or refused, and then nothing was read
//! without a token: it counts as a token request. Another spelling of a
//! credentials path counts as one.

/// Segments of the target's path: without scheme and authority (absolute form,
/// as sent through a proxy), query and fragment; percent-encoding decoded once;
/// empty segments (doubled and trailing slashes) dropped; dot segments resolved
/// (RFC 3986 section 5.2.4).
pub(super) fn normalize(target: &[u8]) -> Vec<Vec<u8>> {
    let path = without_authority(target);
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    let decoded = percent_decode(&path[..end]);
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in decoded.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment.to_vec()),
        }
    }
    segments
}

/// `/latest/api/token`, or the same under another version.
pub(super) fn is_token(path: &[Vec<u8>]) -> bool {
    matches!(path, [version, api, token]
        if is_version(version) && api == b"api" && token == b"token")
}

/// A path that answers with temporary credentials: of the instance's role, or
/// of the instance's own identity. The list of roles is not one.
///
/// Newer AWS SDKs (for Java, Ruby, PHP and JavaScript) ask for the role's below
/// `security-credentials-extended` first, which adds its account.
pub(super) fn is_credentials(path: &[Vec<u8>]) -> bool {
    let [version, data, rest @ ..] = path else {
        return false;
    };
    let rest: Vec<&[u8]> = rest.iter().map(Vec::as_slice).collect();
    is_version(version)
        && data == b"meta-data"
        && matches!(
            rest.as_slice(),
            [
                b"iam",
                b"security-credentials" | b"security-credentials-extended",
                _,
                ..
            ] | [
                b"identity-credentials",
                b"ec2",
                b"security-credentials",
                _,
                ..
            ]
        )
}

/// `/v2/credentials/ID` of the ECS agent ("Task IAM role", Amazon ECS Developer Guide),
/// `/v1/credentials` of the EKS Pod Identity Agent.
pub(super) fn is_container_credentials(path: &[Vec<u8>]) -> bool {
    matches!(path, [version, credentials, ..]
        if version.starts_with(b"v") && credentials == b"credentials")
}

/// `latest`, `1.0`, or a date such as `2021-03-23`.
fn is_version(segment: &[u8]) -> bool {
    let date = || {
        segment.len() == 10
            && segment.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    segment == b"latest" || segment == b"1.0" || date()
}

/// The path of an absolute-form target (`http://host/path`), or the target.
fn without_authority(target: &[u8]) -> &[u8] {
    let Some(scheme) = memchr::memmem::find(target, b"://") else {
        return target;
    };
    if !target[..scheme].iter().all(u8::is_ascii_alphanumeric) {
        return target;
    }
    let rest = &target[scheme + 3..];
    let authority = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    &rest[authority..]
}

fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| {
            let byte = *bytes.get(at + offset)?;
            char::from(byte).to_digit(16)
        };
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}
