//! `@NAME@` in the files of `packaging/`.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::source;

/// The text of `packaging/NAME` with `values` in it.
pub(super) fn fill_file(name: &str, values: &[(&str, &str)]) -> Result<String> {
    let path = source(name);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    fill(&text, values).with_context(|| format!("in {}", path.display()))
}

/// Replaces each `@NAME@` by its value. What a value has in it is not looked at; a name
/// without a value, and a value whose name does not occur, are errors.
fn fill(text: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::new();
    let mut used = vec![false; values.len()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        filled.push_str(before);
        let name = after.split_once('@').filter(|(name, _)| is_name(name));
        let Some((name, behind)) = name else {
            filled.push('@');
            rest = after;
            continue;
        };
        let Some(index) = values.iter().position(|(known, _)| *known == name) else {
            bail!("nothing is known for @{name}@");
        };
        used[index] = true;
        filled.push_str(values[index].1);
        rest = behind;
    }
    filled.push_str(rest);
    if let Some(index) = used.iter().position(|used| !used) {
        bail!("@{}@ is missing", values[index].0);
    }
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_takes_the_place_of_its_name_and_is_not_read_again() {
        let filled = fill("a@b.c @X@ @X@ @Y_Z@@", &[("X", "@Y_Z@"), ("Y_Z", "1")]).unwrap();
        assert_eq!(filled, "a@b.c @Y_Z@ @Y_Z@ 1@");
    }

    #[test]
    fn name_without_value_and_value_without_name_are_errors() {
        assert!(fill("@X@", &[]).unwrap_err().to_string().contains("@X@"));
        assert!(fill("x", &[("X", "1")]).is_err());
    }
}
