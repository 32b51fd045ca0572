//! Reads from which mirrors this machine takes Debian: `sources.list(5)`, in
//! both of its formats.
//!
//! The test kernels come from the same place, so nothing is reached that the
//! machine doesn't reach anyway and no mirror is written down here.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// One place that packages come from: a URI and a suite with the component `main`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
}

/// The URIs that may serve `suite`, the most likely first.
///
/// `root` is `/`, or a test's tree.
pub(super) fn mirrors_for(suite: &str, root: &Path) -> Result<Vec<String>> {
    Ok(rank(&read(root)?, suite))
}

fn read(root: &Path) -> Result<Vec<Source>> {
    let apt = root.join("etc/apt");
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = apt.join("sources.list.d").read_dir() {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        // Apt itself reads only these two kinds.
        let parse = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => parse_one_line,
            Some("sources") => parse_deb822,
            _ => continue,
        };
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        sources.extend(parse(&text));
    }
    Ok(sources)
}

/// Orders URIs: a suite of the same kind (security or not) first, then those
/// whose path says Debian. Third parties name their suites after Debian's too;
/// they come last, and their signature wouldn't be accepted.
fn rank(sources: &[Source], suite: &str) -> Vec<String> {
    let wants_security = suite.ends_with("-security");
    let mut ranked: Vec<(bool, &str)> = Vec::new();
    for source in sources {
        let path = source.uri.trim_end_matches('/');
        let is_security = source.suite.ends_with("-security") || path.ends_with("-security");
        let is_known = ranked.iter().any(|(_, uri)| *uri == source.uri);
        if is_security == wants_security && !is_known {
            let is_debian = path
                .rsplit('/')
                .next()
                .is_some_and(|last| last.starts_with("debian"));
            ranked.push((!is_debian, &source.uri));
        }
    }
    ranked.sort_by_key(|(is_foreign, _)| *is_foreign);
    ranked.into_iter().map(|(_, uri)| uri.to_owned()).collect()
}

/// `deb [ options ] URI SUITE COMPONENT…`
fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let rest = line.strip_prefix("deb")?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next()?, words.next()?);
            let has_main = words.any(|component| component == "main");
            usable(uri, has_main).then(|| Source {
                uri: uri.into(),
                suite: suite.into(),
            })
        })
        .collect()
}

/// Stanzas of `Field: values`, as in deb822(5).
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    // Comments may stand anywhere, in the middle of a field too.
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let types = field(stanza, "Types");
        let is_enabled = field(stanza, "Enabled")
            .first()
            .is_none_or(|word| *word != "no");
        if !types.contains(&"deb") || !is_enabled {
            continue;
        }
        let has_main = field(stanza, "Components").contains(&"main");
        for uri in field(stanza, "URIs")
            .into_iter()
            .filter(|uri| usable(uri, has_main))
        {
            for suite in field(stanza, "Suites") {
                sources.push(Source {
                    uri: uri.into(),
                    suite: suite.into(),
                });
            }
        }
    }
    sources
}

/// The words of a field; a line that begins with white space continues the one before.
fn field<'a>(stanza: &[&'a str], name: &str) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut is_inside = false;
    for line in stanza {
        let value = if line.starts_with([' ', '\t']) {
            is_inside.then_some(*line)
        } else {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            is_inside = key.eq_ignore_ascii_case(name);
            is_inside.then_some(value)
        };
        words.extend(value.into_iter().flat_map(str::split_whitespace));
    }
    words
}

fn usable(uri: &str, has_main: bool) -> bool {
    has_main && uri.contains(':') && !uri.starts_with("cdrom:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suite: &str) -> Source {
        Source {
            uri: uri.into(),
            suite: suite.into(),
        }
    }

    #[test]
    fn one_line_format_with_options_comments_and_source_lines() {
        let text = "# a comment\n\
                    deb [signed-by=/k.gpg arch=amd64] http://m.example/debian bookworm main # why\n\
                    deb-src http://m.example/debian bookworm main\n\
                    #deb http://off.example/debian bookworm main\n\
                    deb cdrom:[Debian]/ bookworm main\n\
                    deb http://m.example/debian-security bookworm-security main contrib\n\
                    deb http://other.example/linux bookworm stable\n";
        assert_eq!(
            parse_one_line(text),
            [
                source("http://m.example/debian", "bookworm"),
                source("http://m.example/debian-security", "bookworm-security"),
            ]
        );
    }

    #[test]
    fn deb822_stanzas_with_lists_continuations_and_comments() {
        let text = "Types: deb deb-src\n\
                    # http://comment.example/debian\n\
                    URIs: http://a.example/debian\n \
                    http://b.example/debian\n\
                    Suites: bookworm bookworm-updates\n\
                    Components: main\n\
                    \n\
                    Types: deb\n\
                    URIs: http://off.example/debian\n\
                    Suites: bookworm\n\
                    Components: main\n\
                    Enabled: no\n\
                    \n\
                    Types: deb-src\n\
                    URIs: http://src.example/debian\n\
                    Suites: bookworm\n\
                    Components: main\n";
        assert_eq!(
            parse_deb822(text),
            [
                source("http://a.example/debian", "bookworm"),
                source("http://a.example/debian", "bookworm-updates"),
                source("http://b.example/debian", "bookworm"),
                source("http://b.example/debian", "bookworm-updates"),
            ]
        );
    }

    #[test]
    fn security_suite_takes_the_security_mirror_and_debian_comes_before_others() {
        let sources = [
            source("http://third.example/apt", "bookworm"),
            source("http://m.example/debian", "bookworm"),
            source("http://m.example/debian", "bookworm-updates"),
            source("http://m.example/debian-security", "bookworm-security"),
        ];
        assert_eq!(
            rank(&sources, "bullseye-security"),
            ["http://m.example/debian-security"]
        );
        assert_eq!(
            rank(&sources, "trixie-backports"),
            ["http://m.example/debian", "http://third.example/apt"]
        );
    }

    #[test]
    fn files_that_apt_ignores_are_ignored() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/apt/sources.list.d");
        fs::create_dir_all(&dir).unwrap();
        let line = "deb http://m.example/debian bookworm main\n";
        fs::write(dir.join("a.list.disabled"), line).unwrap();
        assert_eq!(mirrors_for("bookworm", root.path()).unwrap(), [""; 0]);
        fs::write(dir.join("a.list"), line).unwrap();
        assert_eq!(
            mirrors_for("bookworm", root.path()).unwrap(),
            ["http://m.example/debian"]
        );
    }
}
