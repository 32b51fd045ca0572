//! Which software made a request, out of its `User-Agent`.
//!
//! The table is data: `clients.toml`, which `docs/clients.md` shows. A `User-Agent`
//! is a list of products, `name/version`, and comments in parentheses (RFC 9110
//! 10.1.5), most of them about the platform; the first entry of the table that one of the products
//! has the name of says who it is. It is the caller's own word, and no more than
//! that: `curl -A` says what it likes.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::record::Client;

/// How much of a `User-Agent` is looked at, bytes.
const MAX_LOOKED_AT: usize = 1024;

/// How many products are looked at.
const MAX_PRODUCTS: usize = 48;

/// Longest version, bytes.
const MAX_VERSION: usize = 64;

/// The table, the more specific before the more general.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // A test reads it too, so that this cannot fail for anybody else.
    toml::from_str::<Table>(include_str!("clients.toml"))
        .map(|table| table.client)
        .unwrap_or_default()
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    client: Vec<Entry>,
}

/// One kind of software.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// What records call it.
    name: String,
    /// Names of its product, in lower case. One with a blank in it is the beginning
    /// of the whole `User-Agent`, and what follows is the version.
    products: Vec<String>,
    /// Whether what follows the name is a version of the software. Go's is one of HTTP.
    #[serde(default = "has_version")]
    version: bool,
    /// What it is, for readers of `docs/clients.md`.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the document shows it"))]
    about: String,
}

fn has_version() -> bool {
    true
}

/// A product of a `User-Agent`.
struct Product<'a> {
    name: String,
    version: Option<&'a str>,
}

/// Who sent this `User-Agent`, which is escaped and free of secrets. `None` if the
/// table does not know.
pub fn identify(user_agent: &str) -> Option<Client> {
    let looked_at = &user_agent[..user_agent.floor_char_boundary(MAX_LOOKED_AT)];
    let products = products(looked_at);
    TABLE.iter().find_map(|entry| {
        let version = entry.products.iter().find_map(|product| {
            if product.contains(' ') {
                return beginning(looked_at, product);
            }
            let found = products.iter().find(|it| it.name == *product)?;
            Some(found.version)
        })?;
        Some(Client {
            name: entry.name.clone(),
            version: version.filter(|_| entry.version).and_then(version_in),
        })
    })
}

/// What follows `beginning`, in whatever case, up to the next blank.
fn beginning<'a>(user_agent: &'a str, beginning: &str) -> Option<Option<&'a str>> {
    let start = user_agent.get(..beginning.len())?;
    start.eq_ignore_ascii_case(beginning).then(|| {
        let rest = &user_agent[beginning.len()..];
        rest.split(' ').next()
    })
}

/// The products, without comments. `name#version` is how new SDKs write metadata
/// (`md/Botocore#1.34.0`), of which only the name after `md/` is a product.
fn products(user_agent: &str) -> Vec<Product<'_>> {
    let mut depth = 0_usize;
    let words = user_agent.split(' ').filter(|word| {
        let outside = depth == 0 && !word.starts_with('(');
        for byte in word.bytes() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        outside && !word.is_empty()
    });
    words
        .take(MAX_PRODUCTS)
        .map(|word| {
            let word = word.trim_end_matches([';', ',']);
            let (name, version) = match word.strip_prefix("md/") {
                Some(metadata) => split_at(metadata, '#'),
                None => split_at(word, '/'),
            };
            Product {
                name: name.to_ascii_lowercase(),
                version,
            }
        })
        .collect()
}

fn split_at(word: &str, separator: char) -> (&str, Option<&str>) {
    match word.split_once(separator) {
        Some((name, version)) => (name, Some(version)),
        None => (word, None),
    }
}

/// The beginning of a text that can be a version: it has a digit, and only letters,
/// digits and `.+~_-`. `v1.2` is `1.2`.
fn version_in(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !".+~_-".contains(c))
        .unwrap_or(text.len());
    let version = &text[..end];
    let version = version
        .strip_prefix(['v', 'V'])
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(version);
    let is_version =
        version.len() <= MAX_VERSION && version.bytes().any(|byte| byte.is_ascii_digit());
    is_version.then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
