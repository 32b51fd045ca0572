//! What the authors of the crates that are linked in want to be said of them.
//!
//! A static binary holds their code, and their licences ask for their notice wherever it
//! goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::template::fill_file;
use super::tree::sorted;
use super::{Release, source};
use crate::command::{CommandExt as _, cargo};
use crate::kernel::MACHINES;

/// The packages whose dependencies end up in the binary: itself, and the programs for the
/// kernel that it carries.
const ROOTS: [&str; 2] = ["imds-analyzer", "imds-analyzer-ebpf"];
/// How the files begin in which crates keep them.
const FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// `packaging/third-party.txt.in` with the crates and their texts.
pub(super) fn collect(release: &Release) -> Result<String> {
    let mut crates = BTreeSet::new();
    // Text without its spaces -> the text, and whose it is.
    let mut texts: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for machine in MACHINES {
        let metadata = cargo()
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", machine.target])
            .read()?;
        let metadata = serde_json::from_str(&metadata).context("from `cargo metadata`")?;
        for package in linked(&metadata)? {
            let word = |key: &str| package[key].as_str().unwrap_or("(not said)");
            let title = format!("{} {}", word("name"), word("version"));
            crates.insert(format!("    {title:<36} {}", word("license")));
            let directory = Path::new(word("manifest_path"))
                .parent()
                .context("a manifest is in a directory")?;
            for text in texts_in(directory)? {
                let key = text.split_whitespace().collect();
                let (_, whose) = texts.entry(key).or_insert_with(|| (text, BTreeSet::new()));
                whose.insert(title.clone());
            }
        }
    }
    ensure!(!crates.is_empty(), "`cargo metadata` names no dependency");
    let crates: Vec<String> = crates.into_iter().collect();
    // In the order of the crates, not of the texts.
    let mut texts: Vec<_> = texts.into_values().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    let texts: Vec<String> = texts
        .iter()
        .map(|(text, whose)| {
            let whose: Vec<&str> = whose.iter().map(String::as_str).collect();
            format!(
                "{}\nOf {}:\n\n{}\n",
                "-".repeat(72),
                whose.join(", "),
                text.trim()
            )
        })
        .collect();
    let lgpl = source("licences/LGPL-2.1");
    let lgpl =
        fs::read_to_string(&lgpl).with_context(|| format!("cannot read {}", lgpl.display()))?;
    fill_file(
        "third-party.txt.in",
        &[
            ("VERSION", &release.version),
            ("CRATES", &crates.join("\n")),
            ("TEXTS", &texts.join("\n")),
            ("LGPL", &lgpl),
        ],
    )
}

/// The packages of others that [`ROOTS`] depend on when they run, however far away.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .context("`cargo metadata` lists no packages")?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .filter_map(|node| Some((node["id"].as_str()?.to_owned(), node)))
        .collect();
    let is_root = |package: &Value| {
        package["source"].is_null() && ROOTS.iter().any(|root| package["name"] == *root)
    };
    let mut rest: Vec<String> = packages
        .iter()
        .filter(|(_, package)| is_root(package))
        .map(|(id, _)| (*id).to_owned())
        .collect();
    ensure!(
        rest.len() == ROOTS.len(),
        "the workspace lacks one of {ROOTS:?}"
    );
    let mut seen = BTreeSet::new();
    while let Some(id) = rest.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let node = nodes
            .get(&id)
            .with_context(|| format!("{id} is not resolved"))?;
        for dependency in list(&node["deps"]) {
            // Dependencies of tests and of build scripts have a kind.
            let is_linked = list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null());
            if is_linked && let Some(id) = dependency["pkg"].as_str() {
                rest.push(id.to_owned());
            }
        }
    }
    Ok(seen
        .iter()
        .filter_map(|id| packages.get(&**id).copied())
        .filter(|package| !package["source"].is_null())
        .collect())
}

fn texts_in(directory: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for path in sorted(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if path.is_file() && FILES.iter().any(|prefix| name.starts_with(prefix)) {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn crates_of_tests_builds_and_this_workspace_are_not_linked() {
        let package =
            |id: &str, source: Option<&str>| json!({"id": id, "name": id, "source": source});
        let dependency = |id: &str, kinds: &[Option<&str>]| {
            let kinds: Vec<_> = kinds.iter().map(|kind| json!({ "kind": kind })).collect();
            json!({"pkg": id, "dep_kinds": kinds})
        };
        let crates = Some("registry");
        let metadata = json!({
            "packages": [
                package("imds-analyzer", None), package("imds-analyzer-ebpf", None),
                package("imds-analyzer-common", None), package("near", crates),
                package("far", crates), package("both", crates), package("test", crates),
                package("elsewhere", crates),
            ],
            "resolve": {"nodes": [
                {"id": "imds-analyzer", "deps": [
                    dependency("imds-analyzer-common", &[None]),
                    dependency("near", &[None]),
                    dependency("both", &[Some("build"), None]),
                    dependency("test", &[Some("dev")]),
                ]},
                {"id": "imds-analyzer-ebpf", "deps": []},
                {"id": "imds-analyzer-common", "deps": []},
                {"id": "near", "deps": [dependency("far", &[None])]},
                {"id": "far", "deps": [dependency("near", &[None])]},
                {"id": "both", "deps": []},
            ]},
        });
        let names: Vec<_> = linked(&metadata)
            .unwrap()
            .iter()
            .map(|package| package["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["both", "far", "near"]);
    }
}
