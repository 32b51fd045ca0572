//! A package made of the binary and the shipped files, for as long as `cargo xtask dist`
//! makes none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{CommandExt as _, required};
use crate::workspace;

const CONTROL: &str = "Package: imds-analyzer\nVersion: 0.0\nArchitecture: amd64\n\
    Maintainer: nobody <nobody@example.com>\nDescription: a stand-in\n";
const POSTINST: &str = "#!/bin/sh\nset -e\nsystemd-sysusers imds-analyzer.conf\n\
    systemctl daemon-reload\n";
const PRERM: &str = "#!/bin/sh\nset -e\nsystemctl disable --now imds-analyzer.service\n";
const POSTRM: &str = "#!/bin/sh\nset -e\nsystemctl daemon-reload\n\
    if [ \"$1\" = purge ]; then\n  rm -rf /etc/imds-analyzer /var/lib/imds-analyzer \
    /var/log/imds-analyzer\nfi\n";

/// Makes it below `dir`.
pub(super) fn package(dir: &Path, analyzer: &Path) -> Result<PathBuf> {
    let tree = tempfile::tempdir_in(dir)?;
    let shipped = workspace::root().join("systemd");
    let files = [
        (analyzer.to_owned(), "usr/bin/imds-analyzer", 0o755),
        (
            shipped.join("imds-analyzer.service"),
            "usr/lib/systemd/system/imds-analyzer.service",
            0o644,
        ),
        (
            shipped.join("imds-analyzer.toml"),
            "etc/imds-analyzer/imds-analyzer.toml",
            0o644,
        ),
        (
            shipped.join("imds-analyzer.sysusers"),
            "usr/lib/sysusers.d/imds-analyzer.conf",
            0o644,
        ),
    ];
    let put = |place: &str, mode: u32| -> Result<PathBuf> {
        let path = tree.path().join(place);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, "")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    };
    for (source, place, mode) in files {
        fs::write(put(place, mode)?, fs::read(source)?)?;
    }
    for (name, text) in [
        ("control", CONTROL),
        ("conffiles", "/etc/imds-analyzer/imds-analyzer.toml\n"),
        ("postinst", POSTINST),
        ("prerm", PRERM),
        ("postrm", POSTRM),
    ] {
        fs::write(put(&format!("DEBIAN/{name}"), 0o755)?, text)?;
    }
    let place = dir.join("imds-analyzer.deb");
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755))?;
    Command::new(required("dpkg-deb")?)
        .args(["--build", "--root-owner-group"])
        .arg(tree.path())
        .arg(&place)
        .run()?;
    Ok(place)
}
