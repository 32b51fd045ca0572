//! SIGHUP: what of the configuration can change while capture goes on.
//!
//! What decides how the kernel side is loaded, or how threads were started, stays as it
//! is until the next start; the log says so.

use crate::{
    cli::RunArgs,
    config::{Config, ConfigError},
};

/// Keys that take effect at once.
pub const REREAD: [&str; 4] = ["cloud", "heartbeat_interval_s", "host", "log"];

/// A configuration that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// What is in force from now on.
    pub config: Config,
    /// Keys that have changed and wait for the next start.
    pub waiting: Vec<String>,
}

/// Reads the configuration again.
///
/// # Errors
/// It is not understood, or gone; what is in force stays.
pub fn reread(args: &RunArgs, in_force: &Config) -> Result<Reread, ConfigError> {
    Ok(merge(in_force, args.settings()?))
}

fn merge(in_force: &Config, read: Config) -> Reread {
    let table = |config: &Config| toml::Table::try_from(config).unwrap_or_default();
    let (before, after) = (table(in_force), table(&read));
    let mut waiting: Vec<String> = after
        .iter()
        .filter(|(key, value)| !REREAD.contains(&key.as_str()) && before.get(*key) != Some(*value))
        .map(|(key, _)| key.clone())
        .collect();
    waiting.sort();
    let config = Config {
        cloud: read.cloud,
        heartbeat_interval_s: read.heartbeat_interval_s,
        host: read.host,
        log: read.log,
        ..in_force.clone()
    };
    Reread { config, waiting }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(Path::new("a.toml"), text).unwrap()
    }

    #[test]
    fn what_can_change_changes() {
        let read = config(
            "heartbeat_interval_s = 5\n[host]\nname = 'a'\n[cloud]\nregion = 'eu-west-1'\n\
             [log]\nrotate_bytes = 65536\n",
        );
        let merged = merge(&Config::default(), read.clone());
        assert_eq!(merged.config, read);
        assert_eq!(merged.waiting, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_change_waits_and_is_named() {
        let read = config(
            "ring_buffer_bytes = 65536\nbackend = 'cgroup'\noutput = '/b'\n\
             [limits]\nidle_timeout_s = 3\n[log]\nrotate_bytes = 65536\n",
        );
        let merged = merge(&Config::default(), read.clone());
        assert_eq!(
            merged.waiting,
            ["backend", "limits", "output", "ring_buffer_bytes"]
        );
        let expected = Config {
            log: read.log,
            ..Config::default()
        };
        assert_eq!(merged.config, expected);
    }

    #[test]
    fn every_key_that_takes_effect_is_one() {
        let keys = toml::Table::try_from(Config::default()).unwrap();
        for key in REREAD {
            assert!(keys.contains_key(key), "{key}");
        }
    }
}
