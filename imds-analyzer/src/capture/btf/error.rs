//! What a BTF blob lacks, and why it may lack it.

use std::fmt;

/// Why a blob could not be used, or lacks what was looked up in it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// Shorter than its header.
    #[error("it is truncated: it has {0} bytes, and the header of BTF alone has 24")]
    NoHeader(usize),
    /// The first two bytes are not BTF's.
    #[error(
        "it is not BTF: it begins with {0:#06x} instead of 0xeb9f; a raw blob is wanted, as in /sys/kernel/btf/vmlinux, not an ELF file or an archive"
    )]
    NotBtf(u16),
    /// The blob is of a machine with another byte order.
    #[error("it is of another byte order than this machine")]
    OtherEndian,
    /// Another version of the format.
    #[error("it is BTF of version {0}, and only version 1 is known")]
    UnknownVersion(u8),
    /// No such struct.
    #[error("there is no `struct {structure}`{}", because(.damage))]
    NoStruct {
        /// The struct.
        structure: String,
        /// What else is wrong with the blob.
        damage: Option<Damage>,
    },
    /// No such member.
    #[error("there is no member `{member}` in `struct {structure}`{}", because(.damage))]
    NoMember {
        /// The struct that was searched.
        structure: String,
        /// The member that it lacks.
        member: String,
        /// What else is wrong with the blob.
        damage: Option<Damage>,
    },
    /// The member is a bit-field, which has no byte offset.
    #[error("`{member}` in `struct {structure}` is a bit-field")]
    BitField {
        /// The struct.
        structure: String,
        /// The member.
        member: String,
    },
    /// The search went on longer than it can in any kernel: types contain themselves.
    #[error("`{member}` in `struct {structure}` cannot be found: its types contain themselves")]
    Cyclic {
        /// The struct that was searched.
        structure: String,
        /// The member that was looked for.
        member: String,
    },
    /// No such function, or it has no such parameter.
    #[error("there is no parameter `{parameter}` of a function `{function}`{}", because(.damage))]
    NoParameter {
        /// The function.
        function: String,
        /// The parameter that it lacks.
        parameter: String,
        /// What else is wrong with the blob.
        damage: Option<Damage>,
    },
    /// No such enum value.
    #[error("there is no `{value}` in `enum {name}`{}", because(.damage))]
    NoEnumValue {
        /// The enum.
        name: String,
        /// The value that it lacks.
        value: String,
        /// What else is wrong with the blob.
        damage: Option<Damage>,
    },
}

/// What is wrong with a blob of which some can be read all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It ends before what its header announces.
    Truncated {
        /// Bytes that the header announces.
        announced: usize,
        /// Bytes that there are.
        present: usize,
    },
    /// A type reaches beyond the section of types.
    CutType(u32),
    /// A kind that this reader does not know, nor so the length of its entry.
    UnknownKind {
        /// Number of the type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// The name of a type lies outside the section of strings.
    NoName(u32),
}

impl BtfError {
    /// Whether what is missing may be missing only because the blob is damaged.
    pub fn is_of_damage(&self) -> bool {
        match self {
            Self::NoStruct { damage, .. }
            | Self::NoMember { damage, .. }
            | Self::NoParameter { damage, .. }
            | Self::NoEnumValue { damage, .. } => damage.is_some(),
            _ => true,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { announced, present } => write!(
                f,
                "it is truncated: its header announces {announced} bytes and it has {present}"
            ),
            Self::CutType(id) => write!(f, "type {id} reaches beyond the end of the types"),
            Self::UnknownKind { id, kind } => {
                write!(
                    f,
                    "it cannot be read beyond type {id}, whose kind {kind} is unknown"
                )
            }
            Self::NoName(id) => write!(f, "the name of type {id} is not among the strings"),
        }
    }
}

fn because(damage: &Option<Damage>) -> String {
    damage
        .as_ref()
        .map_or_else(String::new, |damage| format!("; {damage}"))
}
