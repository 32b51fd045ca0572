//! What turns v1 off, and on again.
//!
//! The words go into somebody's shell, so nothing gets into them but what has the exact
//! form of an instance id or a region.

use crate::{
    host::{is_instance_id, is_region},
    record::Cloud,
};

use super::{coverage::HostCoverage, model::Commands, text::plain};

/// Most hosts that commands are printed for.
const MAX_HOSTS: usize = 50;

/// Commands for each host. `here` is what this machine's disk says of itself, for a host
/// that `is_here` whose records do not tell.
pub fn commands(
    hosts: &[HostCoverage],
    here: &Cloud,
    is_here: impl Fn(&HostCoverage) -> bool,
) -> Vec<Commands> {
    let known = |told: Option<&str>, local: Option<&str>, is: fn(&str) -> bool| {
        let told = told.filter(|text| is(text));
        told.or(local.filter(|text| is(text))).map(str::to_owned)
    };
    hosts
        .iter()
        .take(MAX_HOSTS)
        .map(|host| {
            let local = if is_here(host) {
                here
            } else {
                &Cloud::default()
            };
            let id = known(
                host.instance_id.as_deref(),
                local.instance_id.as_deref(),
                is_instance_id,
            );
            let region = known(host.region.as_deref(), local.region.as_deref(), is_region);
            let has_placeholders = id.is_none() || region.is_none();
            let id = id.unwrap_or_else(|| "INSTANCE_ID".to_owned());
            let region = region.unwrap_or_else(|| "REGION".to_owned());
            let command = |tokens: &str| {
                format!(
                    "aws ec2 modify-instance-metadata-options --instance-id {id} --region {region} \
                     --http-tokens {tokens} --http-endpoint enabled"
                )
            };
            Commands {
                host: plain(&host.label),
                enforce: command("required"),
                revert: command("optional"),
                has_placeholders,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(id: Option<&str>, region: Option<&str>) -> HostCoverage {
        HostCoverage {
            label: "a".to_owned(),
            instance_id: id.map(str::to_owned),
            region: region.map(str::to_owned),
            ..HostCoverage::default()
        }
    }

    fn enforce(host: HostCoverage, is_here: bool) -> Commands {
        let here = Cloud {
            instance_id: Some("i-0fedcba9876543210".to_owned()),
            region: Some("us-gov-west-1".to_owned()),
        };
        commands(&[host], &here, |_| is_here).remove(0)
    }

    #[test]
    fn commands_name_the_instance() {
        let commands = enforce(
            host(Some("i-0123456789abcdef0"), Some("eu-central-1")),
            true,
        );
        assert_eq!(
            commands.enforce,
            "aws ec2 modify-instance-metadata-options --instance-id i-0123456789abcdef0 \
             --region eu-central-1 --http-tokens required --http-endpoint enabled"
        );
        assert_eq!(
            commands.revert,
            "aws ec2 modify-instance-metadata-options --instance-id i-0123456789abcdef0 \
             --region eu-central-1 --http-tokens optional --http-endpoint enabled"
        );
        assert!(!commands.has_placeholders);
    }

    #[test]
    fn what_records_do_not_tell_comes_from_this_host_or_nowhere() {
        let here = enforce(host(None, None), true);
        assert!(
            here.enforce
                .contains("--instance-id i-0fedcba9876543210 --region us-gov-west-1 ")
        );
        let elsewhere = enforce(host(None, Some("eu-central-1")), false);
        assert!(
            elsewhere
                .enforce
                .contains("--instance-id INSTANCE_ID --region eu-central-1 ")
        );
        assert!(elsewhere.has_placeholders);
    }

    #[test]
    fn nothing_else_gets_into_a_shell() {
        for hostile in [
            "i-1; reboot",
            "$(reboot)",
            "i-0123456789abcdef0\nreboot",
            "`x`",
            "",
        ] {
            let commands = enforce(host(Some(hostile), Some(hostile)), false);
            assert!(
                commands
                    .enforce
                    .contains("--instance-id INSTANCE_ID --region REGION "),
                "{}",
                commands.enforce
            );
        }
    }
}
