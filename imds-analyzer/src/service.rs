//! The services that answer at watched destinations.
//!
//! The instance metadata service is what this program is about; others that hand out
//! credentials can be watched beside it. Only the first knows versions 1 and 2.

use std::{fmt, net::IpAddr, sync::Arc};

use imds_analyzer_common::destination::MAX_DESTINATIONS;

use crate::capture::Destination;

/// Where IMDS answers ("Use IMDS", Amazon EC2 User Guide).
const IMDS: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];
/// Where the container agent hands out the credentials of a task's role, and older
/// task metadata ("Task IAM role", Amazon ECS Developer Guide).
const ECS: [&str; 1] = ["169.254.170.2"];
/// Where the EKS Pod Identity Agent answers ("Understand how EKS Pod Identity works",
/// Amazon EKS User Guide).
const EKS: [&str; 2] = ["169.254.170.23", "fd00:ec2::23"];

/// The port of all of them.
pub const PORT: u16 = 80;

/// Longest name of a service, bytes.
const MAX_NAME: usize = 32;

/// A service, by the name that records give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// The instance metadata service, or a proxy that speaks for it.
    Imds,
    /// The credentials and metadata endpoint of ECS tasks.
    Ecs,
    /// The EKS Pod Identity Agent.
    Eks,
    /// One that only the owner of the host knows.
    Other(Arc<str>),
}

impl Service {
    /// The service of that name; `None` if it can't be a name: lower-case letters,
    /// digits, `-` and `_`, beginning with a letter, at most 32 bytes.
    pub fn from_name(name: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let sound = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.len() <= MAX_NAME
            && name.bytes().all(allowed);
        sound.then(|| match name {
            "imds" => Self::Imds,
            "ecs" => Self::Ecs,
            "eks" => Self::Eks,
            other => Self::Other(other.into()),
        })
    }

    /// Its name: `imds.service` of the records.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Imds => "imds",
            Self::Ecs => "ecs",
            Self::Eks => "eks",
            Self::Other(name) => name,
        }
    }

    /// The addresses that it has everywhere.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let addresses: &[&str] = match self {
            Self::Imds => &IMDS,
            Self::Ecs => &ECS,
            Self::Eks => &EKS,
            Self::Other(_) => &[],
        };
        addresses.iter().filter_map(|address| address.parse().ok())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The destinations that are watched, and which service answers there. IMDS always
/// is among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched(Vec<(Destination, Service)>);

/// Why a destination can't be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWatched {
    /// It is watched already.
    #[error("{}:{} is watched already, as {service}: leave it out", bracketed(&.at.ip), .at.port)]
    Twice {
        /// The destination.
        at: Destination,
        /// The service that was named for it first.
        service: Service,
    },
    /// The table in the kernel is full.
    #[error(
        "more than {MAX_DESTINATIONS} addresses and ports, those of IMDS among them: leave some out"
    )]
    TooMany,
}

fn bracketed(ip: &IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

impl Default for Watched {
    fn default() -> Self {
        let at = |ip| Destination { ip, port: PORT };
        let addresses = Service::Imds.addresses();
        Self(addresses.map(|ip| (at(ip), Service::Imds)).collect())
    }
}

impl Watched {
    /// Watches one more. An IPv4-mapped address is the IPv4 address.
    ///
    /// # Errors
    /// If it is watched already, or there are [`MAX_DESTINATIONS`].
    pub fn add(&mut self, ip: IpAddr, port: u16, service: Service) -> Result<(), NotWatched> {
        let ip = ip.to_canonical();
        let at = Destination { ip, port };
        if let Some((_, service)) = self.0.iter().find(|(other, _)| *other == at) {
            let service = service.clone();
            return Err(NotWatched::Twice { at, service });
        }
        if self.0.len() >= MAX_DESTINATIONS as usize {
            return Err(NotWatched::TooMany);
        }
        self.0.push((at, service));
        Ok(())
    }

    /// All of them.
    pub fn destinations(&self) -> Vec<Destination> {
        self.0.iter().map(|(at, _)| *at).collect()
    }

    /// Those beside IMDS's own.
    pub fn added(&self) -> &[(Destination, Service)] {
        &self.0[IMDS.len()..]
    }

    /// The service at a destination. The kernel side reports no other destination
    /// than those it was told to watch; should it, then it is IMDS, about which
    /// nothing may be missed.
    pub fn service_at(&self, destination: Destination) -> &Service {
        let found = self.0.iter().find(|(at, _)| *at == destination);
        found.map_or(&Service::Imds, |(_, service)| service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_addresses_are_addresses() {
        let count = |service: Service| service.addresses().count();
        assert_eq!(
            [Service::Imds, Service::Ecs, Service::Eks].map(count),
            [IMDS.len(), ECS.len(), EKS.len()]
        );
    }

    #[test]
    fn names_are_plain_words() {
        for name in ["imds", "ecs", "eks", "vault-2", "a_b"] {
            assert_eq!(Service::from_name(name).unwrap().as_str(), name);
        }
        for name in ["", "ECS", "2", "-a", "a b", "a\n", "ä", &"a".repeat(33)] {
            assert_eq!(Service::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn imds_alone_is_watched_by_default() {
        let watched = Watched::default();
        assert_eq!(watched.destinations().len(), 2);
        assert_eq!(watched.added(), []);
        for at in watched.destinations() {
            assert_eq!(*watched.service_at(at), Service::Imds);
        }
    }

    #[test]
    fn mapped_address_is_the_ipv4_one() {
        let mut watched = Watched::default();
        let mapped = "::ffff:169.254.169.254".parse().unwrap();
        let error = watched.add(mapped, 80, Service::Ecs).unwrap_err();
        assert_eq!(
            error.to_string(),
            "169.254.169.254:80 is watched already, as imds: leave it out"
        );
        watched.add(mapped, 81, Service::Ecs).unwrap();
        let at = Destination {
            ip: "169.254.169.254".parse().unwrap(),
            port: 81,
        };
        assert_eq!(*watched.service_at(at), Service::Ecs);
    }

    #[test]
    fn no_more_are_taken_than_the_kernel_side_holds() {
        let mut watched = Watched::default();
        let ip = "10.0.0.1".parse().unwrap();
        for port in 1..=MAX_DESTINATIONS as u16 - 2 {
            watched.add(ip, port, Service::Ecs).unwrap();
        }
        assert_eq!(
            watched.add(ip, 1000, Service::Ecs),
            Err(NotWatched::TooMany)
        );
    }
}
