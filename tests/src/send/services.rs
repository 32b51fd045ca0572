//! Requests as clients of container credentials send them.

use std::net::{IpAddr, SocketAddr, TcpStream};

use anyhow::{Context as _, Result};

use super::{
    Scenario,
    wire::{Wire, token_field},
};
use crate::canary;

pub(super) const SCENARIOS: &[(&str, Scenario)] =
    &[("container_credentials", container_credentials)];

/// The ids of tasks are UUIDs, and are all that it takes (Amazon ECS Developer Guide,
/// "Task IAM role").
fn id_of_a_task() -> String {
    format!("123e4567-e89b-12d3-a456-{}", canary::CANARY)
}

/// Four requests: as on ECS, as on EKS (with the token of a service account), with
/// IMDS's own header, and over an AF_INET6 socket.
fn container_credentials(wire: &Wire) -> Result<()> {
    let request = |path: &str, number: u64, fields: &str| {
        format!(
            "GET {path}?case={}&n={number} HTTP/1.1\r\nHost: h\r\n{fields}\r\n",
            wire.case
        )
        .into_bytes()
    };
    let of_task = format!("/v2/credentials/{}", id_of_a_task());
    wire.connect()?.exchange(&request(&of_task, 1, ""))?;
    let pod = format!(
        "Authorization: eyJhbGciOiJSUzI1NiJ9.{}\r\n",
        canary::token(7)
    );
    let mut connection = wire.connect()?;
    connection.exchange(&request("/v1/credentials", 2, &pod))?;
    connection.exchange(&request("/v4/0123abcd/task", 3, &token_field()))?;
    let mapped = match wire.destination.ip() {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        v6 => v6,
    };
    let stream = TcpStream::connect(SocketAddr::new(mapped, wire.destination.port()));
    let mut connection = Wire::adopt(stream.context("connect over IPv6")?.into())?;
    connection.exchange(&request("/v1/credentials", 4, ""))?;
    Ok(())
}
