//! Reading the running kernel's type information (BTF): where a member lies in
//! a struct, and what number an enum gives a name.
//!
//! Rust eBPF programs carry no CO-RE relocations, so the daemon looks up what
//! they need. Only that is read: the blob (5 MB on a distribution's kernel) is
//! indexed in one pass without building a type graph, and dropped afterwards.
//! The format is documented in the kernel's `Documentation/bpf/btf.rst`.

use std::collections::HashMap;

/// `struct btf_header.magic` in native byte order.
const MAGIC: u16 = 0xeb9f;
/// Struct and union nesting that is followed; the kernel's own limit
/// (`MAX_RESOLVE_DEPTH`) is 32.
const MAX_DEPTH: u32 = 32;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_FLOAT: u32 = 16;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Why the type information could not be used.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    /// The blob ends within something.
    #[error("the BTF blob is truncated at byte {0}")]
    Truncated(usize),
    /// The first two bytes are not BTF's.
    #[error("not a BTF blob: it begins with {0:#06x} instead of 0xeb9f")]
    NotBtf(u16),
    /// The blob is of a machine with another byte order.
    #[error("the BTF blob is of another byte order than this machine")]
    OtherEndian,
    /// A kind that this reader, and so the length of its entry, does not know.
    #[error("the BTF blob has a type of unknown kind {0}")]
    UnknownKind(u32),
    /// No such struct.
    #[error("the kernel's BTF has no `struct {0}`")]
    NoStruct(String),
    /// No such member.
    #[error("the kernel's BTF has no member `{member}` in `struct {structure}`")]
    NoMember {
        /// The struct that was searched.
        structure: String,
        /// The member that it lacks.
        member: String,
    },
    /// The member is a bit-field, which has no byte offset.
    #[error("`{member}` in `struct {structure}` is a bit-field in this kernel")]
    BitField {
        /// The struct.
        structure: String,
        /// The member.
        member: String,
    },
    /// No such enum value.
    #[error("the kernel's BTF has no `{value}` in `enum {name}`")]
    NoEnumValue {
        /// The enum.
        name: String,
        /// The value that it lacks.
        value: String,
    },
}

/// Where a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the beginning of the outermost struct.
    pub offset: u32,
    /// Size of the member's type in bytes; `None` for what has none.
    pub size: Option<u32>,
}

/// An indexed BTF blob.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of each type in `types`; type ids begin at 1.
    offsets: Vec<u32>,
    /// Ids of named structs, unions and enums.
    named: HashMap<&'a [u8], Vec<u32>>,
}

/// `struct btf_type`: the 12 bytes that each type begins with.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    vlen: u32,
    kind_flag: bool,
    size_or_type: u32,
    /// Offset of what follows it.
    rest: usize,
}

impl<'a> Btf<'a> {
    /// Indexes a blob as the kernel gives it in `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// If it is truncated, of another byte order, or not BTF.
    pub fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let magic = u16::from_ne_bytes(bytes(blob, 0)?);
        if magic == MAGIC.swap_bytes() {
            return Err(BtfError::OtherEndian);
        }
        if magic != MAGIC {
            return Err(BtfError::NotBtf(magic));
        }
        let header_len = word(blob, 4)? as usize;
        let section = |offset_at, len_at| {
            let start = header_len.saturating_add(word(blob, offset_at)? as usize);
            let end = start.saturating_add(word(blob, len_at)? as usize);
            blob.get(start..end).ok_or(BtfError::Truncated(blob.len()))
        };
        let mut btf = Self {
            types: section(8, 12)?,
            strings: section(16, 20)?,
            offsets: vec![0],
            named: HashMap::new(),
        };
        let mut at = 0;
        while at < btf.types.len() {
            let found = btf.type_at(at)?;
            let id = btf.offsets.len() as u32;
            btf.offsets.push(at as u32);
            if matches!(
                found.kind,
                KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64
            ) && found.name != 0
            {
                let name = btf.name(found.name)?;
                btf.named.entry(name).or_default().push(id);
            }
            at = found.rest + trailer_len(found)?;
        }
        Ok(btf)
    }

    /// Finds a member by a dotted path through embedded structs, looking into
    /// anonymous structs and unions on the way.
    ///
    /// # Errors
    /// If there is no such struct or member, or it is a bit-field.
    pub fn member(&self, structure: &str, path: &str) -> Result<Member, BtfError> {
        let no_member = |member: &str| BtfError::NoMember {
            structure: structure.to_owned(),
            member: member.to_owned(),
        };
        let mut id = self
            .find(structure, &[KIND_STRUCT, KIND_UNION])?
            .ok_or_else(|| BtfError::NoStruct(structure.to_owned()))?;
        let mut bits = 0u32;
        for name in path.split('.') {
            let (member, offset, is_bit_field) = self
                .member_in(id, name.as_bytes(), 0)?
                .ok_or_else(|| no_member(path))?;
            if is_bit_field || offset % 8 != 0 {
                return Err(BtfError::BitField {
                    structure: structure.to_owned(),
                    member: path.to_owned(),
                });
            }
            bits = bits.checked_add(offset).ok_or_else(|| no_member(path))?;
            id = self.without_modifiers(member)?;
        }
        let found = self.type_by_id(id)?;
        Ok(Member {
            offset: bits / 8,
            size: match found.kind {
                KIND_PTR => Some(size_of::<usize>() as u32),
                KIND_INT | KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64 | KIND_FLOAT => {
                    Some(found.size_or_type)
                }
                _ => None,
            },
        })
    }

    /// Size of a struct in bytes.
    ///
    /// # Errors
    /// If there is no such struct.
    pub fn size_of(&self, structure: &str) -> Result<u32, BtfError> {
        let id = self
            .find(structure, &[KIND_STRUCT])?
            .ok_or_else(|| BtfError::NoStruct(structure.to_owned()))?;
        self.type_by_id(id).map(|found| found.size_or_type)
    }

    /// The number that `enum name` gives to `value`, as 32 bits.
    ///
    /// # Errors
    /// If there is no such enum or value.
    pub fn enum_value(&self, name: &str, value: &str) -> Result<u32, BtfError> {
        if let Some(id) = self.find(name, &[KIND_ENUM, KIND_ENUM64])? {
            let found = self.type_by_id(id)?;
            let entry_len = if found.kind == KIND_ENUM { 8 } else { 12 };
            for index in 0..found.vlen as usize {
                let at = found.rest + index * entry_len;
                if self.name(word(self.types, at)?)? == value.as_bytes() {
                    return word(self.types, at + 4);
                }
            }
        }
        Err(BtfError::NoEnumValue {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    fn find(&self, name: &str, kinds: &[u32]) -> Result<Option<u32>, BtfError> {
        for &id in self.named.get(name.as_bytes()).into_iter().flatten() {
            if kinds.contains(&self.type_by_id(id)?.kind) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Type id, bit offset and whether it is a bit-field, of a member of the
    /// struct `id` or of an anonymous one within it.
    fn member_in(
        &self,
        id: u32,
        name: &[u8],
        depth: u32,
    ) -> Result<Option<(u32, u32, bool)>, BtfError> {
        let found = self.type_by_id(id)?;
        if !matches!(found.kind, KIND_STRUCT | KIND_UNION) || depth > MAX_DEPTH {
            return Ok(None);
        }
        for index in 0..found.vlen as usize {
            let at = found.rest + index * 12;
            let (member_name, type_id, packed) = (
                word(self.types, at)?,
                word(self.types, at + 4)?,
                word(self.types, at + 8)?,
            );
            let (offset, is_bit_field) = if found.kind_flag {
                (packed & 0x00ff_ffff, packed >> 24 != 0)
            } else {
                (packed, false)
            };
            if member_name == 0 {
                let inner = self.without_modifiers(type_id)?;
                if let Some((member, inner_offset, is_bit_field)) =
                    self.member_in(inner, name, depth + 1)?
                {
                    return Ok(Some((
                        member,
                        offset.saturating_add(inner_offset),
                        is_bit_field,
                    )));
                }
            } else if self.name(member_name)? == name {
                return Ok(Some((type_id, offset, is_bit_field)));
            }
        }
        Ok(None)
    }

    fn without_modifiers(&self, mut id: u32) -> Result<u32, BtfError> {
        for _ in 0..MAX_DEPTH {
            let found = self.type_by_id(id)?;
            match found.kind {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => break,
            }
        }
        Ok(id)
    }

    fn type_by_id(&self, id: u32) -> Result<Type, BtfError> {
        if id == 0 {
            // void
            return Ok(Type {
                name: 0,
                kind: 0,
                vlen: 0,
                kind_flag: false,
                size_or_type: 0,
                rest: 0,
            });
        }
        let offset = self.offsets.get(id as usize);
        self.type_at(*offset.ok_or(BtfError::Truncated(self.types.len()))? as usize)
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        let info = word(self.types, at + 4)?;
        Ok(Type {
            name: word(self.types, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            kind_flag: info >> 31 != 0,
            size_or_type: word(self.types, at + 8)?,
            rest: at + 12,
        })
    }

    fn name(&self, offset: u32) -> Result<&'a [u8], BtfError> {
        let truncated = BtfError::Truncated(self.strings.len());
        let tail = self.strings.get(offset as usize..).ok_or(truncated)?;
        let end = memchr::memchr(0, tail).ok_or(BtfError::Truncated(self.strings.len()))?;
        Ok(&tail[..end])
    }
}

/// Length of what follows the 12 bytes of a type.
fn trailer_len(found: Type) -> Result<usize, BtfError> {
    let vlen = found.vlen as usize;
    Ok(match found.kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => vlen * 12,
        KIND_ENUM | KIND_FUNC_PROTO => vlen * 8,
        KIND_PTR | KIND_FWD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT
        | KIND_FUNC | KIND_FLOAT | KIND_TYPE_TAG => 0,
        unknown => return Err(BtfError::UnknownKind(unknown)),
    })
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], BtfError> {
    data.get(at..)
        .and_then(|tail| tail.first_chunk())
        .copied()
        .ok_or(BtfError::Truncated(data.len()))
}

fn word(data: &[u8], at: usize) -> Result<u32, BtfError> {
    bytes(data, at).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests;
