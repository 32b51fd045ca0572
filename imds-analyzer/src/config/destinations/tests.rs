//! `[[destinations]]`, right and wrong.

use std::path::Path;

use super::*;
use crate::config::Config;

fn parse(text: &str) -> Result<Watched, String> {
    match Config::parse(Path::new("a.toml"), text) {
        Ok(config) => Ok(config.destinations),
        Err(error) => Err(error.to_string()),
    }
}

/// What is watched beside IMDS: `SERVICE ADDRESS PORT`.
fn added(text: &str) -> Vec<String> {
    let watched = parse(text).expect("is right");
    let added = watched.added().iter();
    added
        .map(|(at, service)| format!("{service} {} {}", at.ip, at.port))
        .collect()
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("is wrong")
}

#[test]
fn well_known_services_need_only_their_name() {
    let text = "[[destinations]]\nservice = 'ecs'\n[[destinations]]\nservice = 'eks'\n";
    assert_eq!(
        added(text),
        [
            "ecs 169.254.170.2 80",
            "eks 169.254.170.23 80",
            "eks fd00:ec2::23 80"
        ]
    );
}

#[test]
fn other_services_have_an_address_and_ports() {
    let text = "
        [[destinations]]
        service = 'vault'
        address = '::ffff:10.0.0.7'
        ports = [80, 8200]
        [[destinations]]
        service = 'imds'
        address = '127.0.0.1'
        ports = 8181
        [[destinations]]
        service = 'ecs'
        address = '172.17.0.1'";
    assert_eq!(
        added(text),
        [
            "vault 10.0.0.7 80",
            "vault 10.0.0.7 8200",
            "imds 127.0.0.1 8181",
            "ecs 172.17.0.1 80"
        ]
    );
}

#[test]
fn empty_list_is_imds_alone() {
    assert_eq!(parse("destinations = []").unwrap(), Watched::default());
    assert_eq!(parse("").unwrap(), Watched::default());
}

#[test]
fn what_is_wrong_is_told_with_entry_place_and_key() {
    let entry = |lines: &str| {
        format!("[[destinations]]\nservice = 'ecs'\n[[destinations]]\nservice = 'own'\n{lines}")
    };
    for (lines, told) in [
        (
            "address = '169.254.170'",
            "a.toml:5:11: destinations entry 2, address: \"169.254.170\" is no IP address, such as",
        ),
        (
            "address = '169.254.170.2:80'",
            "a.toml:5:11: destinations entry 2, address: \"169.254.170.2:80\" has a port, which belongs into `ports`",
        ),
        (
            "address = '0.0.0.0'",
            "a.toml:5:11: destinations entry 2, address: \"0.0.0.0\" is no address to connect to",
        ),
        (
            "address = '::ffff:0.0.0.0'",
            "a.toml:5:11: destinations entry 2, address: \"::ffff:0.0.0.0\" is no address to connect to",
        ),
        (
            "address = '224.0.0.1'",
            "a.toml:5:11: destinations entry 2, address: \"224.0.0.1\" is an address of many",
        ),
        (
            "address = 'ff02::1'",
            "a.toml:5:11: destinations entry 2, address: \"ff02::1\" is an address of many",
        ),
        (
            "address = '255.255.255.255'",
            "a.toml:5:11: destinations entry 2, address: \"255.255.255.255\" is an address of many",
        ),
        (
            "address = 7",
            "a.toml:5:11: destinations entry 2, address: invalid type: integer `7`, expected a string",
        ),
        (
            "address = '10.0.0.1'\nports = [0]",
            "a.toml:6:9: destinations entry 2, ports: 0 is out of range: 1 to 65535",
        ),
        (
            "address = '10.0.0.1'\nports = 65536",
            "a.toml:6:9: destinations entry 2, ports: 65536 is out of range: 1 to 65535",
        ),
        (
            "address = '10.0.0.1'\nports = []",
            "a.toml:6:9: destinations entry 2, ports: is empty: name a port",
        ),
        (
            "address = '10.0.0.1'\nports = '80'",
            "a.toml:6:9: destinations entry 2, ports: invalid type: string \"80\", expected a port or a list of ports",
        ),
        (
            "address = '10.0.0.1'\nports = [80, 80]",
            "a.toml:3:1: destinations entry 2: 10.0.0.1:80 is watched already, as own",
        ),
        (
            "address = '169.254.170.2'",
            "a.toml:3:1: destinations entry 2: 169.254.170.2:80 is watched already, as ecs",
        ),
        (
            "address = 'fd00:ec2::254'",
            "a.toml:3:1: destinations entry 2: [fd00:ec2::254]:80 is watched already, as imds",
        ),
        (
            "",
            "a.toml:3:1: destinations entry 2: `address` is missing: only \"ecs\" and \"eks\"",
        ),
        (
            "adress = '10.0.0.1'",
            "a.toml:5:1: destinations.adress: unknown key; did you mean `destinations.address`?",
        ),
    ] {
        let message = refusal(&entry(lines));
        assert!(message.starts_with(told), "{lines}\n{message}\n{told}");
    }
}

#[test]
fn wrong_services_are_told() {
    for (text, told) in [
        (
            "[[destinations]]\naddress = '10.0.0.1'",
            "a.toml:1:1: destinations entry 1: `service` is missing: \"ecs\", \"eks\", or",
        ),
        (
            "[[destinations]]\nservice = 'ECS'",
            "a.toml:2:11: destinations entry 1, service: \"ECS\" is no name for a service",
        ),
        (
            "[[destinations]]\nservice = 'imds'",
            "a.toml:1:1: destinations entry 1: IMDS itself is always watched",
        ),
        (
            "destinations = 'ecs'",
            "a.toml:1:16: destinations: invalid type: string \"ecs\", expected a list of tables",
        ),
        (
            "destinations = ['ecs']",
            "a.toml:1:17: destinations entry 1: invalid type: string \"ecs\", expected a table",
        ),
        (
            "[destinations]\nservice = 'ecs'",
            "a.toml:1:1: destinations: invalid type: map, expected a list of tables: [[destinations]]",
        ),
    ] {
        let message = refusal(text);
        assert!(message.starts_with(told), "{text}\n{message}\n{told}");
    }
}

#[test]
fn more_than_the_kernel_side_holds_is_refused_at_the_entry() {
    let ports: Vec<String> = (1..=63).map(|port: u16| port.to_string()).collect();
    let text = format!(
        "[[destinations]]\nservice = 'own'\naddress = '10.0.0.1'\nports = [{}]",
        ports.join(", ")
    );
    let message = refusal(&text);
    let told = "a.toml:1:1: destinations entry 1: more than 64 addresses and ports";
    assert!(message.starts_with(told), "{message}");
}

#[test]
fn example_in_the_shipped_file_is_right() {
    let example: String = include_str!("../../../../systemd/imds-analyzer.toml")
        .lines()
        .filter_map(|line| line.strip_prefix("#     "))
        .map(|line| format!("{line}\n"))
        .collect();
    for key in KEYS {
        assert!(example.contains(&format!("{key} = ")), "{key}: {example}");
    }
    assert_eq!(
        added(&example),
        [
            "ecs 169.254.170.2 80",
            "eks 169.254.170.23 80",
            "eks fd00:ec2::23 80",
            "credentials-proxy 10.0.0.7 8080",
        ]
    );
}
