//! Which host this is, read from its own disk and kernel.
//!
//! IMDS is never asked: a tool that looks for calls to IMDS must make none.
//! Every reader takes the root of the file system, so tests use a fake tree.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::config::Config;
use crate::record::{Cloud, Host, Origin};

/// Longest file that is read, bytes: cloud-init's instance data holds the whole
/// user data and more, but not megabytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where the records come from, read below `root`; the configuration wins.
pub fn origin(root: &Path, config: &Config) -> Origin {
    let name = config.host.name.clone().or_else(|| name(root));
    let found = cloud(root);
    let cloud = Cloud {
        instance_id: config.cloud.instance_id.clone().or(found.instance_id),
        region: config.cloud.region.clone().or(found.region),
    };
    Origin {
        boot_id: boot_id(root),
        host: name.map(|name| Host { name }),
        cloud: (cloud != Cloud::default()).then_some(cloud),
    }
}

/// The kernel's random id of this boot, a UUID.
pub fn boot_id(root: &Path) -> Option<String> {
    let id = line(root, "proc/sys/kernel/random/boot_id")?;
    let shape = id.len() == 36 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    shape.then(|| id.to_ascii_lowercase())
}

/// The node name, `uname -n`.
pub fn name(root: &Path) -> Option<String> {
    line(root, "proc/sys/kernel/hostname").filter(|name| name != "(none)")
}

/// The kernel's release, `uname -r`.
pub fn kernel_release(root: &Path) -> Option<String> {
    line(root, "proc/sys/kernel/osrelease")
}

/// Instance id and region. Sources, the first that has the shape wins: DMI's
/// asset tag, which Nitro instances set to the instance id; cloud-init's
/// instance data of this boot; cloud-init's cached instance id. An image made
/// of a running instance carries that instance's cache, so cloud-init's files
/// are believed less than the firmware.
pub fn cloud(root: &Path) -> Cloud {
    let data = instance_data(root).unwrap_or_default();
    let instance_id = line(root, "sys/class/dmi/id/board_asset_tag")
        .filter(|id| is_instance_id(id))
        .or_else(|| data.instance_id.filter(|id| is_instance_id(id)))
        .or_else(|| line(root, "var/lib/cloud/data/instance-id").filter(|id| is_instance_id(id)));
    Cloud {
        instance_id,
        region: data.region.filter(|region| is_region(region)),
    }
}

/// The standardised keys of cloud-init's instance data; each cloud has them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct InstanceData {
    #[serde(deserialize_with = "string_or_none")]
    instance_id: Option<String>,
    #[serde(deserialize_with = "string_or_none")]
    region: Option<String>,
}

#[derive(Deserialize)]
struct InstanceDataFile {
    v1: InstanceData,
}

fn instance_data(root: &Path) -> Option<InstanceData> {
    let text = read(root, "run/cloud-init/instance-data.json")?;
    serde_json::from_str::<InstanceDataFile>(&text)
        .ok()
        .map(|file| file.v1)
}

/// cloud-init writes `null` for what a cloud does not have.
fn string_or_none<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    match serde_json::Value::deserialize(value)? {
        serde_json::Value::String(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// `i-` and 8 (until 2016) to 17 lower-case hexadecimal digits.
pub(crate) fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// `eu-central-1`, `us-gov-west-1`, `us-iso-east-1`: words and a number.
pub(crate) fn is_region(region: &str) -> bool {
    let parts: Vec<&str> = region.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    (2..=4).contains(&words.len())
        && words.iter().all(|word| {
            (2..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
        })
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The first line of a file, if it has anything.
fn line(root: &Path, path: &str) -> Option<String> {
    let text = read(root, path)?;
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

fn read(root: &Path, path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = fs::File::open(root.join(path)).ok()?;
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CloudOverride, HostOverride};

    const ID: &str = "i-0123456789abcdef0";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let Cloud {
            instance_id,
            region,
        } = cloud(tree(files).path());
        (instance_id, region)
    }

    #[test]
    fn origin_is_read_from_the_tree() {
        let root = tree(&[
            (
                "proc/sys/kernel/random/boot_id",
                "8b4a3c1e-0f6d-4f0e-9b57-2f5f6f2f7a11\n",
            ),
            ("proc/sys/kernel/hostname", "ip-10-0-0-1\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-42-cloud-amd64\n"),
            ("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n"),
        ]);
        let origin = origin(root.path(), &Config::default());
        assert_eq!(
            origin.boot_id.as_deref(),
            Some("8b4a3c1e-0f6d-4f0e-9b57-2f5f6f2f7a11")
        );
        assert_eq!(
            origin.host,
            Some(Host {
                name: "ip-10-0-0-1".to_owned()
            })
        );
        assert_eq!(
            origin.cloud.and_then(|cloud| cloud.instance_id).as_deref(),
            Some(ID)
        );
        assert_eq!(
            kernel_release(root.path()).as_deref(),
            Some("6.1.0-42-cloud-amd64")
        );
    }

    #[test]
    fn nothing_is_invented_on_a_host_that_is_not_in_the_cloud() {
        let root = tree(&[("sys/class/dmi/id/board_asset_tag", "Default string\n")]);
        assert_eq!(origin(root.path(), &Config::default()), Origin::default());
    }

    #[test]
    fn configuration_wins_over_what_is_found() {
        let root = tree(&[
            ("proc/sys/kernel/hostname", "ip-10-0-0-1\n"),
            ("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n"),
        ]);
        let config = Config {
            host: HostOverride {
                name: Some("web-1".to_owned()),
            },
            cloud: CloudOverride {
                instance_id: Some("i-11111111".to_owned()),
                region: Some("eu-central-1".to_owned()),
            },
            ..Config::default()
        };
        let origin = origin(root.path(), &config);
        assert_eq!(origin.host.unwrap().name, "web-1");
        let cloud = origin.cloud.unwrap();
        assert_eq!(cloud.instance_id.as_deref(), Some("i-11111111"));
        assert_eq!(cloud.region.as_deref(), Some("eu-central-1"));
    }

    #[test]
    fn cloud_init_tells_what_the_firmware_does_not() {
        let data = r#"{"base64_encoded_keys":[],"v1":{"instance_id":"i-22222222","region":"us-gov-west-1","x":3}}"#;
        let json = ("run/cloud-init/instance-data.json", data);
        let cached = ("var/lib/cloud/data/instance-id", "i-33333333\n");
        let tag = ("sys/class/dmi/id/board_asset_tag", ID);
        let region = Some("us-gov-west-1".to_owned());
        assert_eq!(
            found(&[json, cached]),
            (Some("i-22222222".to_owned()), region.clone())
        );
        assert_eq!(found(&[cached]), (Some("i-33333333".to_owned()), None));
        assert_eq!(found(&[json, cached, tag]), (Some(ID.to_owned()), region));
    }

    #[test]
    fn instance_data_of_another_cloud_is_not_taken_for_an_instance_id() {
        let data = r#"{"v1":{"instance_id":"iid-datasource-none","region":null}}"#;
        assert_eq!(
            found(&[("run/cloud-init/instance-data.json", data)]),
            (None, None)
        );
        assert_eq!(
            found(&[("run/cloud-init/instance-data.json", "{\"v1\": [")]),
            (None, None)
        );
        assert_eq!(
            found(&[("var/lib/cloud/data/instance-id", "nocloud\n")]),
            (None, None)
        );
    }

    #[test]
    fn only_the_shape_of_an_instance_id_is_accepted() {
        for id in ["i-12345678", ID] {
            assert!(is_instance_id(id), "{id}");
        }
        for id in [
            "",
            "i-",
            "i-1234567",
            "i-0123456789abcdef01",
            "i-0123456G",
            "I-12345678",
            "mi-12345678",
        ] {
            assert!(!is_instance_id(id), "{id}");
        }
    }

    #[test]
    fn only_the_shape_of_a_region_is_accepted() {
        for region in [
            "eu-central-1",
            "us-gov-west-1",
            "us-iso-east-1",
            "ap-southeast-5",
        ] {
            assert!(is_region(region), "{region}");
        }
        for region in [
            "",
            "1",
            "eu-1",
            "eu-central",
            "eu-central-1a",
            "eu--1",
            "EU-central-1",
            "a\nb-c-1",
        ] {
            assert!(!is_region(region), "{region}");
        }
    }

    #[test]
    fn this_kernel_has_a_boot_id_a_name_and_a_release() {
        let root = Path::new("/");
        assert!(boot_id(root).is_some() && name(root).is_some() && kernel_release(root).is_some());
    }
}
