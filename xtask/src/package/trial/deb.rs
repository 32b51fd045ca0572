//! The life of the Debian package.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::expect_left;
use super::root::Root;

/// Tests that follow the installation of any version.
const INSTALLED: &str = "
    dpkg-query -W -f '${db:Status-Abbrev}|${Version}' imds-analyzer
    imds-analyzer --version >/dev/null
    getent group imds-analyzer >/dev/null
    readlink /etc/systemd/system/sysinit.target.wants/imds-analyzer.service >&2
    test -z \"$(dpkg --verify imds-analyzer | grep -v ' c /etc/imds-analyzer/')\"";
/// What an administrator and the service leave on a host.
const USE: &str = "
    echo '# changed' >>/etc/imds-analyzer/imds-analyzer.toml
    install -d -m 0750 -g imds-analyzer /var/log/imds-analyzer /var/lib/imds-analyzer
    echo record >/var/log/imds-analyzer/imds-analyzer.log
    echo state >/var/lib/imds-analyzer/state";
/// Each has to do no harm when it is done again, as dpkg does after an interruption.
const AGAIN: &str = "
    /var/lib/dpkg/info/imds-analyzer.postinst configure
    /var/lib/dpkg/info/imds-analyzer.postinst abort-remove
    /var/lib/dpkg/info/imds-analyzer.prerm upgrade";
const REMOVED: &str = "
    test ! -e /usr/bin/imds-analyzer
    test ! -L /etc/systemd/system/sysinit.target.wants/imds-analyzer.service
    grep -x record /var/log/imds-analyzer/imds-analyzer.log >&2
    grep -x state /var/lib/imds-analyzer/state >&2
    grep -x '# changed' /etc/imds-analyzer/imds-analyzer.toml >&2";
const WANTS: &str = "/etc/systemd/system/sysinit.target.wants/imds-analyzer.service";

/// Installs, upgrades, removes and purges it in `suite`.
pub(super) fn run(suite: &str, package: &Path, newer: &Path) -> Result<()> {
    let root = Root::copy(suite, "deb")?;
    let (package, newer) = (root.bring(package)?, root.bring(newer)?);
    let before = root.listing()?;
    let step = |what: &str, script: String| root.run(&script).with_context(|| what.to_owned());
    let installed = |what: &str, package: &str| -> Result<String> {
        step(what, format!("dpkg -i {package} >&2\n{INSTALLED}"))
    };

    let first = installed("installing it", &package)?;
    step("using it", format!("{USE}\n{AGAIN}"))?;
    let second = installed("upgrading it", &newer)?;
    ensure!(
        first != second && second.starts_with("ii "),
        "the upgrade made {second} of {first}"
    );
    step(
        "removing it",
        format!("dpkg -r imds-analyzer >&2\n{REMOVED}"),
    )?;
    installed("installing it again", &newer)?;
    // Disabled by the administrator, it stays so, whatever happens to the package.
    step(
        "an upgrade while it is disabled",
        format!("rm {WANTS}; dpkg -i {newer} >&2; test ! -L {WANTS}"),
    )?;
    step(
        "a reinstallation while it is disabled",
        format!("dpkg -r imds-analyzer >&2; dpkg -i {newer} >&2; test ! -L {WANTS}"),
    )?;
    step("purging it", "dpkg -P imds-analyzer >&2".to_owned())?;
    expect_left(&root.changes_since(&before)?, &[], "after a purge")?;

    // Once more where systemd runs, and with a purge of what is installed.
    root.pretend_systemd()?;
    installed("installing it under systemd", &package)?;
    expect_actions(&root, &["start"])?;
    step("using it", USE.to_owned())?;
    installed("upgrading it under systemd", &newer)?;
    expect_actions(&root, &["restart"])?;
    step("purging it at once", "dpkg -P imds-analyzer >&2".to_owned())?;
    expect_actions(&root, &["stop"])?;
    expect_left(&root.changes_since(&before)?, &[], "after a purge at once")?;
    root.remove()
}

/// What `systemctl` was told to do with the service.
fn expect_actions(root: &Root, expected: &[&str]) -> Result<()> {
    let calls = root.systemctl_calls()?;
    let actions: Vec<&str> = calls
        .iter()
        .filter_map(|call| {
            let words = call.strip_suffix(" imds-analyzer.service")?;
            words.split(' ').next_back()
        })
        .filter(|word| ["start", "stop", "restart"].contains(word))
        .collect();
    ensure!(
        actions == expected,
        "systemctl was called {calls:?}, and should {expected:?}"
    );
    Ok(())
}
