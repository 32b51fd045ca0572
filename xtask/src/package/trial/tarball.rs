//! The life of what the tarball's scripts install.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::expect_left;
use super::root::Root;

const INSTALL: &str = "
    cd /packages && tar -xzf *.tar.gz && cd imds-analyzer-*/
    ./install.sh
    imds-analyzer --version
    getent group imds-analyzer
    grep '^ExecStart=/usr/local/bin/imds-analyzer run ' /etc/systemd/system/imds-analyzer.service
    cmp tree/etc/imds-analyzer/imds-analyzer.toml /etc/imds-analyzer/imds-analyzer.toml
    test -x /usr/local/share/imds-analyzer/uninstall.sh
    test \"$(stat -c %a /usr/local/bin/imds-analyzer)\" = 755
    test \"$(stat -c %a /etc/imds-analyzer/imds-analyzer.toml)\" = 644";
/// A file of an older version goes, a configuration that was changed stays.
const UPGRADE: &str = "
    install -d -m 0750 -g imds-analyzer /var/log/imds-analyzer
    echo record >/var/log/imds-analyzer/imds-analyzer.log
    echo '# changed' >>/etc/imds-analyzer/imds-analyzer.toml
    touch /usr/local/share/imds-analyzer/old
    echo /usr/local/share/imds-analyzer/old >>/usr/local/share/imds-analyzer/installed-files
    cd /packages/imds-analyzer-*/ && ./install.sh
    grep -x '# changed' /etc/imds-analyzer/imds-analyzer.toml
    test -e /etc/imds-analyzer/imds-analyzer.toml.new
    test ! -e /usr/local/share/imds-analyzer/old";
const UNINSTALL: &str = "
    /usr/local/share/imds-analyzer/uninstall.sh
    test ! -e /usr/local/bin/imds-analyzer
    test ! -e /etc/systemd/system/imds-analyzer.service
    grep -x record /var/log/imds-analyzer/imds-analyzer.log
    grep -x '# changed' /etc/imds-analyzer/imds-analyzer.toml";
/// Into the root of an image.
const IMAGE: &str = "
    cd /packages/imds-analyzer-*/
    DESTDIR=/packages/image PREFIX=/usr ./install.sh
    test -x /packages/image/usr/bin/imds-analyzer
    grep '^ExecStart=/usr/bin/imds-analyzer run ' \
        /packages/image/etc/systemd/system/imds-analyzer.service
    test -e /packages/image/etc/sysusers.d/imds-analyzer.conf
    ! getent group imds-analyzer";
/// Elsewhere, and removed by the script that was installed there.
const ELSEWHERE: &str = "
    cd /packages/imds-analyzer-*/
    PREFIX=/opt/imds-analyzer ./install.sh --no-start
    /opt/imds-analyzer/bin/imds-analyzer --version
    /opt/imds-analyzer/share/imds-analyzer/uninstall.sh --purge
    ! PREFIX='/opt/a b' ./install.sh";

/// Installs, upgrades and removes it in `suite`.
pub(super) fn run(suite: &str, package: &Path) -> Result<()> {
    let root = Root::copy(suite, "tarball")?;
    root.pretend_systemd()?;
    root.bring(package)?;
    let before = root.listing()?;
    root.run(INSTALL).context("installing it")?;
    expect_calls(
        &root,
        &[
            "daemon-reload",
            "enable imds-analyzer.service",
            "restart imds-analyzer.service",
        ],
    )?;
    root.run(UPGRADE).context("upgrading it")?;
    root.systemctl_calls()?;
    root.run(UNINSTALL).context("uninstalling it")?;
    expect_calls(
        &root,
        &["disable --now imds-analyzer.service", "daemon-reload"],
    )?;
    // The script went with the rest, and the archive has it.
    root.run("cd /packages/imds-analyzer-*/ && ./uninstall.sh --purge")
        .context("purging it")?;
    root.run(IMAGE).context("installing it into an image")?;
    let calls = root.systemctl_calls()?;
    ensure!(
        calls.is_empty(),
        "an image is made, and systemctl called {calls:?}"
    );
    root.run(ELSEWHERE)
        .context("installing it below another prefix")?;
    expect_calls(
        &root,
        &[
            "daemon-reload",
            "disable --now imds-analyzer.service",
            "daemon-reload",
        ],
    )?;
    expect_left(&root.changes_since(&before)?, &[], "after a purge")?;
    root.remove()
}

fn expect_calls(root: &Root, expected: &[&str]) -> Result<()> {
    let calls = root.systemctl_calls()?;
    ensure!(
        calls == expected,
        "systemctl was called {calls:?}, not {expected:?}"
    );
    Ok(())
}
