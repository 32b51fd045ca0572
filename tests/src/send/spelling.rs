//! Heads that are odd but valid, or nearly so.

use anyhow::Result;

use super::{
    Scenario,
    wire::{Wire, token_field},
};
use crate::canary;

pub(super) const SCENARIOS: &[(&str, Scenario)] = &[
    ("header_name_elsewhere", header_name_elsewhere),
    ("empty_token", empty_token),
    ("ttl_on_get", ttl_on_get),
    ("header_spellings", header_spellings),
    ("absolute_form", absolute_form),
    ("http_1_0", http_1_0),
    ("bare_line_feeds", bare_line_feeds),
    ("odd_bytes", odd_bytes),
    ("forging_bytes", forging_bytes),
    ("secrets_on_the_wire", secrets_on_the_wire),
    ("plain_v1", plain_v1),
];

fn exchange_each(wire: &Wire, heads: &[Vec<u8>]) -> Result<()> {
    for head in heads {
        wire.connect()?.exchange(head)?;
    }
    Ok(())
}

fn header_name_elsewhere(wire: &Wire) -> Result<()> {
    let url = format!(
        "GET {}&note=x-aws-ec2-metadata-token:%20none HTTP/1.1\r\nHost: h\r\n\r\n",
        wire.target(1)
    )
    .into_bytes();
    exchange_each(
        wire,
        &[
            url,
            wire.get(2, "X-Note: x-aws-ec2-metadata-token: none\r\n"),
            wire.bare_get(3, "User-Agent: x-aws-ec2-metadata-token\r\n"),
            wire.get(4, "X-aws-ec2-metadata-token-not: none\r\n"),
            wire.get(5, "Not-X-aws-ec2-metadata-token: none\r\n"),
        ],
    )
}

fn empty_token(wire: &Wire) -> Result<()> {
    exchange_each(
        wire,
        &[
            wire.get(1, "X-aws-ec2-metadata-token:\r\n"),
            wire.get(2, "X-aws-ec2-metadata-token: \t \r\n"),
        ],
    )
}

fn ttl_on_get(wire: &Wire) -> Result<()> {
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
    exchange_each(wire, &[wire.get(1, ttl)])
}

fn header_spellings(wire: &Wire) -> Result<()> {
    let token = canary::token(2);
    exchange_each(
        wire,
        &[
            wire.get(1, &format!("x-AWS-ec2-METADATA-tOkEn: {token}\r\n")),
            wire.get(2, &format!("X-aws-ec2-metadata-token:{token}\r\n")),
            wire.get(3, &format!("x-aws-ec2-metadata-token:\t {token}\t\r\n")),
            wire.get(4, &format!("X-Aws-Ec2-Metadata-Token: {token}\r\n")),
        ],
    )
}

fn absolute_form(wire: &Wire) -> Result<()> {
    let head = |number, fields: &str| {
        format!(
            "GET http://169.254.169.254{} HTTP/1.1\r\nHost: 169.254.169.254\r\n{fields}\r\n",
            wire.target(number)
        )
        .into_bytes()
    };
    exchange_each(wire, &[head(1, ""), head(2, &token_field())])
}

fn http_1_0(wire: &Wire) -> Result<()> {
    let head = |number, fields: &str| {
        format!("GET {} HTTP/1.0\r\n{fields}\r\n", wire.target(number)).into_bytes()
    };
    exchange_each(wire, &[head(1, ""), head(2, &token_field())])
}

fn bare_line_feeds(wire: &Wire) -> Result<()> {
    let bare = |mut head: Vec<u8>| {
        head.retain(|byte| *byte != b'\r');
        head
    };
    exchange_each(wire, &[bare(wire.get(1, "")), bare(wire.get_v2(2))])
}

/// Number 1, 2 and 5 v1, 3 and 4 v2: NUL (2, 4 and 5) and bytes that are not UTF-8.
fn odd_bytes(wire: &Wire) -> Result<()> {
    let with = |number: u64, odd: &[u8], fields: &str| {
        let mut head = format!("GET {}&odd=", wire.target(number)).into_bytes();
        head.extend(odd);
        head.extend(b" HTTP/1.1\r\nUser-Agent: odd");
        head.extend(odd);
        head.extend(b"\r\n");
        head.extend(fields.as_bytes());
        head.extend(b"\r\n");
        head
    };
    exchange_each(
        wire,
        &[
            with(1, b"\xff\xfe", ""),
            with(2, b"a\0b", ""),
            with(3, b"\xc3\x28", &token_field()),
            with(4, b"\0", &token_field()),
            wire.bare_get(5, "User-Agent: a\0b\r\n"),
        ],
    )
}

/// Bytes that would end a line or a string of the output if they were not escaped.
fn forging_bytes(wire: &Wire) -> Result<()> {
    let head = format!(
        "GET {}&odd=\"}}{{\"event\":\"imds_request\"\\ HTTP/1.1\r\n\
         User-Agent: \"}}\\n{{\"schema_version\":1}}\u{7f}\u{85}\u{2028}\r\n\r\n",
        wire.target(1)
    );
    exchange_each(wire, &[head.into_bytes()])
}

/// Numbers from 1: secrets wherever a client can put them.
fn secrets_on_the_wire(wire: &Wire) -> Result<()> {
    let token = canary::token(3);
    let target = |more: &str, fields: &str| {
        let head = wire.get(9, fields);
        let head = String::from_utf8_lossy(&head).into_owned();
        head.replace("&n=9", more).into_bytes()
    };
    exchange_each(
        wire,
        &[
            wire.get_v2(1),
            target(&format!("&n=2&token={token}"), ""),
            target(&format!("&n=3&X-aws-ec2-metadata-token={token}"), ""),
            target(&format!("&n=4&x={token}"), ""),
            wire.bare_get(5, &format!("User-Agent: client {token}\r\n")),
            wire.get(6, &format!("Authorization: Bearer {token}\r\n")),
            wire.bare_get(
                7,
                &format!(
                    "User-Agent: aws AWS_SECRET_ACCESS_KEY={}\r\n",
                    canary::secret_access_key()
                ),
            ),
            wire.bare_get(8, &format!("Host: {token}\r\n")),
            wire.get(9, &format!("Cookie: session={token}\r\n{}", token_field())),
            target(&format!("&n=10&secret={}", canary::secret_access_key()), ""),
        ],
    )?;
    let mut connection = wire.connect()?;
    // A bad head with a token in it: no parser may quote it in an error.
    connection
        .send(format!("GET\t/{token}\r\nX-aws-ec2-metadata-token: {token}\r\n\r\n").as_bytes())?;
    // Refused by the mock; the end of the connection is what counts.
    drop(connection.answer());
    Ok(())
}

fn plain_v1(wire: &Wire) -> Result<()> {
    exchange_each(wire, &[wire.get(1, "")])
}
