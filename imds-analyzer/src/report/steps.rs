//! What to do about a v1 call: `steps.toml`, which `docs/report.md` shows.

use std::sync::LazyLock;

use serde::Deserialize;

/// The table; the first entry that matches says what to do.
static TABLE: LazyLock<Vec<Step>> = LazyLock::new(|| {
    // A test reads it too, so that this cannot fail for anybody else.
    toml::from_str::<Table>(include_str!("steps.toml"))
        .map(|table| table.step)
        .unwrap_or_default()
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    step: Vec<Step>,
}

/// An entry. A condition that is absent is fulfilled by everything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Name of the entry, for the document and its test.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests and the document name it")
    )]
    id: String,
    /// Why there was no token.
    #[serde(default)]
    cause: Option<String>,
    /// Status codes of the refused token request.
    #[serde(default)]
    status: Vec<u16>,
    /// The client, as in `docs/clients.md`.
    #[serde(default)]
    client: Vec<String>,
    /// First version of the client that does not match.
    #[serde(default)]
    before: Option<String>,
    /// First version of the client that matches.
    #[serde(default)]
    from: Option<String>,
    /// Whether the caller is in a container.
    #[serde(default)]
    container: Option<bool>,
    /// Whether v1 is refused already.
    #[serde(default)]
    rejected: Option<bool>,
    /// Names of executables, without their directories.
    #[serde(default)]
    program: Vec<String>,
    /// What to do, with placeholders.
    text: String,
}

/// What is known of some v1 calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Situation<'a> {
    /// `imds.cause`.
    pub cause: Option<&'a str>,
    /// `imds.cause_status`.
    pub cause_status: Option<u16>,
    /// `http.client.name`.
    pub client: Option<&'a str>,
    /// `http.client.version`.
    pub version: Option<&'a str>,
    /// Whether it is in a container.
    pub in_container: bool,
    /// All of these calls were answered 401.
    pub rejected: bool,
    /// Path of the executable.
    pub executable: Option<&'a str>,
    /// What is grouped by: `package awscli`.
    pub subject: &'a str,
}

/// What to do about these calls.
pub fn next_step(situation: &Situation<'_>) -> String {
    let step = TABLE.iter().find(|step| step.matches(situation));
    step.map(|step| filled(&step.text, situation))
        .unwrap_or_default()
}

impl Step {
    fn matches(&self, situation: &Situation<'_>) -> bool {
        let wanted = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|one| one == name))
        };
        let program = situation
            .executable
            .and_then(|path| path.rsplit('/').next());
        self.cause
            .as_deref()
            .is_none_or(|cause| situation.cause == Some(cause))
            && (self.status.is_empty()
                || situation
                    .cause_status
                    .is_some_and(|status| self.status.contains(&status)))
            && wanted(&self.client, situation.client)
            && wanted(&self.program, program)
            && self
                .container
                .is_none_or(|wanted| wanted == situation.in_container)
            && self
                .rejected
                .is_none_or(|wanted| wanted == situation.rejected)
            && self.versions_match(situation.version)
    }

    /// A version that is not known is neither before nor after another.
    fn versions_match(&self, version: Option<&str>) -> bool {
        if self.before.is_none() && self.from.is_none() {
            return true;
        }
        let Some(version) = version else {
            return false;
        };
        self.before
            .as_deref()
            .is_none_or(|end| is_before(version, end))
            && self
                .from
                .as_deref()
                .is_none_or(|start| !is_before(version, start))
    }
}

/// Whether a version is lower than another, by the numbers in it: `1.9` before `1.13`.
fn is_before(version: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.parse().unwrap_or(u64::MAX))
            .collect()
    };
    let (mut a, mut b) = (numbers(version), numbers(other));
    let len = a.len().max(b.len());
    a.resize(len, 0);
    b.resize(len, 0);
    a < b
}

/// Puts in what the placeholders stand for.
fn filled(text: &str, situation: &Situation<'_>) -> String {
    let status = situation
        .cause_status
        .map_or_else(|| "an error".to_owned(), |status| status.to_string());
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        filled.push_str(match name {
            "client" => situation.client.unwrap_or("the client"),
            "version" => situation.version.unwrap_or("(version unknown)"),
            "status" => &status,
            "subject" => situation.subject,
            "program" => situation.executable.unwrap_or("the program"),
            _ => "?",
        });
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests;
