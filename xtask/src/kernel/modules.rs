//! Takes the few modules that a guest needs out of an unpacked kernel package.
//!
//! Cloud kernels have veth, netem and virtio as modules. `modules.dep` is made when a
//! package is installed, so dependencies are read from the modules themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command::{find_program, line};

/// What modules are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// The suite: pairs of network devices, and bad cables.
    Suite,
    /// Booting a distribution: a network card that QEMU has.
    Boot,
}

impl Purpose {
    /// Named as modules name each other: with underscores.
    fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Suite => &["veth", "sch_netem"],
            Self::Boot => &["virtio_pci", "virtio_net"],
        }
    }

    /// Ends the name of the cache's directory.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Suite => "",
            Self::Boot => "-boot",
        }
    }
}

/// No module that is wanted here needs more; a cycle would.
const LIMIT: usize = 50;

/// Copies the modules in `tree` (a kernel package, unpacked) to `to` as `NN-NAME.ko`,
/// uncompressed, in the order in which to load them.
///
/// What `modules.builtin` lists is in the image already.
pub(super) fn extract(tree: &Path, to: &Path, purpose: Purpose) -> Result<()> {
    let root = root(tree)?;
    let builtin = fs::read_to_string(root.join("modules.builtin")).unwrap_or_default();
    let builtin: Vec<String> = builtin
        .lines()
        .filter_map(|path| module_name(Path::new(path)))
        .collect();
    let mut files = Vec::new();
    collect(&root.join("kernel"), &mut files)?;
    let mut order: Vec<(String, Vec<u8>)> = Vec::new();
    for name in purpose.wanted() {
        load(name, &files, &builtin, &mut order, 0)?;
    }
    fs::create_dir_all(to)?;
    for (number, (name, bytes)) in order.iter().enumerate() {
        fs::write(to.join(format!("{number:02}-{name}.ko")), bytes)?;
    }
    Ok(())
}

/// Appends `name` to `order`, after what it depends on.
fn load(
    name: &str,
    files: &[PathBuf],
    builtin: &[String],
    order: &mut Vec<(String, Vec<u8>)>,
    depth: usize,
) -> Result<()> {
    if builtin.iter().any(|known| known == name) || order.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    ensure!(depth < LIMIT, "modules depend on one another in a circle");
    let file = files
        .iter()
        .find(|file| module_name(file).as_deref() == Some(name))
        .with_context(|| format!("the package has no module {name}"))?;
    let bytes = read(file)?;
    for needed in depends(&bytes) {
        load(&needed, files, builtin, order, depth + 1)?;
    }
    order.push((name.to_owned(), bytes));
    Ok(())
}

/// `lib/modules/VERSION`, wherever the package has it.
fn root(tree: &Path) -> Result<PathBuf> {
    for dir in ["usr/lib/modules", "lib/modules"] {
        if let Ok(entries) = tree.join(dir).read_dir()
            && let Some(version) = entries.flatten().find(|entry| entry.path().is_dir())
        {
            return Ok(version.path());
        }
    }
    bail!("the package has no modules")
}

/// All files below `dir`.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = dir
        .read_dir()
        .with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// `sch_netem` of `…/sch_netem.ko.xz`; none if it is no module.
fn module_name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let (stem, rest) = name.split_once(".ko")?;
    ["", ".xz"].contains(&rest).then(|| stem.replace('-', "_"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "ko") {
        return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    }
    ensure!(
        find_program("xz").is_some(),
        "the modules are compressed, and there is no xz: run `cargo xtask setup`"
    );
    let mut xz = Command::new("xz");
    xz.args(["--decompress", "--stdout"]).arg(file);
    let output = xz.output()?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        line(&xz),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

/// What a module's section `.modinfo` names as `depends=a,b`.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[start + KEY.len()..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(value)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(modules: &[(&str, &str)], builtin: &str) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().join("lib/modules/6.1.0-cloud");
        fs::create_dir_all(root.join("kernel/net")).unwrap();
        fs::write(root.join("modules.builtin"), builtin).unwrap();
        for (name, depends) in modules {
            fs::write(
                root.join("kernel/net").join(name),
                format!("\x7fELF license=GPL\0depends={depends}\0name=x\0"),
            )
            .unwrap();
        }
        tree
    }

    fn extracted(tree: &Path) -> Result<Vec<String>> {
        let to = tempfile::tempdir()?;
        extract(tree, to.path(), Purpose::Suite)?;
        let mut names = Vec::new();
        for entry in to.path().read_dir()? {
            names.push(entry?.file_name().into_string().unwrap());
        }
        names.sort();
        Ok(names)
    }

    #[test]
    fn module_comes_after_what_it_depends_on() {
        let tree = package(
            &[
                ("veth.ko", "page-pool,ptr_ring"),
                ("page_pool.ko", "ptr_ring"),
                ("ptr-ring.ko", ""),
                ("sch_netem.ko", ""),
            ],
            "",
        );
        assert_eq!(
            extracted(tree.path()).unwrap(),
            [
                "00-ptr_ring.ko",
                "01-page_pool.ko",
                "02-veth.ko",
                "03-sch_netem.ko"
            ]
        );
    }

    #[test]
    fn what_is_built_in_is_not_looked_for() {
        let tree = package(&[("sch_netem.ko", "")], "kernel/drivers/net/veth.ko\n");
        assert_eq!(extracted(tree.path()).unwrap(), ["00-sch_netem.ko"]);
    }

    #[test]
    fn missing_module_is_an_error_that_names_it() {
        let tree = package(&[("veth.ko", "")], "");
        let error = extracted(tree.path()).unwrap_err();
        assert!(error.to_string().contains("sch_netem"), "{error}");
    }

    #[test]
    fn circle_of_dependencies_ends() {
        let tree = package(&[("veth.ko", "a"), ("a.ko", "veth")], "");
        assert!(extracted(tree.path()).is_err());
    }
}
