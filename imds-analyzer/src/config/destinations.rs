//! `[[destinations]]`: what is watched beside IMDS.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq as _, Serializer};
use serde::{Deserialize, Serialize};

use crate::service::{self, Service, Watched};

/// Keys of an entry.
pub(super) const KEYS: [&str; 3] = ["service", "address", "ports"];

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(expecting = "a table", deny_unknown_fields)]
struct Entry {
    service: Option<Name>,
    address: Option<Address>,
    ports: Option<Ports>,
}

impl Entry {
    /// Watches what the entry asks for.
    fn add_to(self, watched: &mut Watched) -> Result<(), String> {
        let Some(Name(service)) = self.service else {
            return Err(
                "`service` is missing: \"ecs\", \"eks\", or a name of your own with an `address`"
                    .to_owned(),
            );
        };
        let addresses: Vec<IpAddr> = match (self.address, &service) {
            (Some(Address(address)), _) => vec![address],
            (None, Service::Imds) => {
                return Err(
                    "IMDS itself is always watched; give the `address` of a proxy that speaks for it, or leave the entry out"
                        .to_owned(),
                );
            }
            (None, Service::Other(name)) => {
                return Err(format!(
                    "`address` is missing: only \"ecs\" and \"eks\" have one of their own, {name:?} needs it"
                ));
            }
            (None, known) => known.addresses().collect(),
        };
        let Ports(ports) = self.ports.unwrap_or(Ports(vec![service::PORT]));
        for address in addresses {
            for port in &ports {
                let added = watched.add(address, *port, service.clone());
                added.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// `service`
struct Name(Service);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Service::from_name(&name).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "{name:?} is no name for a service: a letter, then letters, digits, `-` and `_`, all lower-case, at most 32"
            ))
        })
    }
}

/// `address`: one that a connection can go to.
struct Address(IpAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = |why: &str| Err(D::Error::custom(format!("{text:?} {why}")));
        let Ok(address) = text.parse::<IpAddr>() else {
            return if text.parse::<std::net::SocketAddr>().is_ok() {
                refuse("has a port, which belongs into `ports`")
            } else {
                refuse("is no IP address, such as \"169.254.170.2\" or \"fd00:ec2::23\"")
            };
        };
        let address = address.to_canonical();
        if address.is_unspecified() {
            refuse("is no address to connect to: name the one that clients use")
        } else if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            refuse("is an address of many, to which TCP does not connect")
        } else {
            Ok(Self(address))
        }
    }
}

/// `ports`: one, or several.
struct Ports(Vec<u16>);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port or a list of ports")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ports, E> {
                port(number).map(|port| Ports(vec![port]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ports, A::Error> {
                let mut ports = Vec::new();
                while let Some(super::value::Integer(number)) = list.next_element()? {
                    ports.push(port(number)?);
                }
                if ports.is_empty() {
                    return Err(A::Error::custom(
                        "is empty: name a port, or leave the key out for port 80",
                    ));
                }
                Ok(Ports(ports))
            }
        }

        deserializer.deserialize_any(Numbers)
    }
}

fn port<E: Error>(number: i64) -> Result<u16, E> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| E::custom(format!("{number} is out of range: 1 to 65535")))
}

/// Reads the list. An entry is judged while the reader still knows its place, so that
/// errors name it.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Watched, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Watched;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of tables: [[destinations]]")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Watched, A::Error> {
            let mut watched = Watched::default();
            while list.next_element_seed(Next(&mut watched))?.is_some() {}
            Ok(watched)
        }
    }

    /// The next entry, beside those before it.
    struct Next<'a>(&'a mut Watched);

    impl<'de> DeserializeSeed<'de> for Next<'_> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    impl<'de> Visitor<'de> for Next<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
            let entry = Entry::deserialize(MapAccessDeserializer::new(map))?;
            entry.add_to(self.0).map_err(A::Error::custom)
        }
    }

    deserializer.deserialize_seq(Entries)
}

/// Writes the list. Only that there is one is ever looked at: the key is known by it.
pub(super) fn serialize<S: Serializer>(
    watched: &Watched,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written<'a> {
        service: &'a str,
        address: IpAddr,
        ports: [u16; 1],
    }
    let added = watched.added();
    let mut list = serializer.serialize_seq(Some(added.len()))?;
    for (at, service) in added {
        list.serialize_element(&Written {
            service: service.as_str(),
            address: at.ip,
            ports: [at.port],
        })?;
    }
    list.end()
}

#[cfg(test)]
mod tests;
