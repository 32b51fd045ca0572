//! Reading the running kernel's type information (BTF): where a member lies in
//! a struct, what number an enum gives a name, which parameter of a function is which.
//!
//! Rust eBPF programs carry no CO-RE relocations, so the daemon looks up what
//! they need. Only that is read: the blob (5 MB on a distribution's kernel) is
//! indexed in one pass without building a type graph, and dropped afterwards.
//! The format is documented in the kernel's `Documentation/bpf/btf.rst`.
//!
//! A blob that is damaged, or that has types which this reader does not know, is read
//! as far as it goes: what a backend needs may be there. What is missing then says
//! so with the damage. Whatever a blob holds, reading it is bounded.

mod error;
mod format;

use std::collections::HashMap;

pub use error::{BtfError, Damage};
use format::{
    HEADER_LEN, KIND_CONST, KIND_ENUM, KIND_ENUM64, KIND_FLOAT, KIND_FUNC, KIND_FUNC_PROTO,
    KIND_INT, KIND_PTR, KIND_RESTRICT, KIND_STRUCT, KIND_TYPE_TAG, KIND_TYPEDEF, KIND_UNION,
    KIND_VOLATILE, MAGIC, TYPE_LEN, Type, VERSION, VOID, trailer_len, word,
};

/// Struct and union nesting that is followed; the kernel's own limit
/// (`MAX_RESOLVE_DEPTH`) is 32.
const MAX_DEPTH: u32 = 32;
/// Members that are looked at for one lookup. The largest structs of a kernel have
/// some hundreds.
const MAX_STEPS: u32 = 1 << 20;

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
    /// The first thing that was found wrong.
    damage: Option<Damage>,
}

/// A member as it was found in its struct.
struct Found {
    type_id: u32,
    /// Bits from the beginning of the struct that was searched.
    offset: u32,
    is_bit_field: bool,
}

impl<'a> Btf<'a> {
    /// Indexes a blob as the kernel gives it in `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// If it has no whole header, is of another byte order, or is not BTF.
    pub fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let short = BtfError::NoHeader(blob.len());
        let magic = blob.first_chunk().copied().map(u16::from_ne_bytes);
        match magic.ok_or(short.clone())? {
            MAGIC => {}
            other if other == MAGIC.swap_bytes() => return Err(BtfError::OtherEndian),
            other => return Err(BtfError::NotBtf(other)),
        }
        let header: &[u8; HEADER_LEN] = blob.first_chunk().ok_or(short)?;
        if header[2] != VERSION {
            return Err(BtfError::UnknownVersion(header[2]));
        }
        let mut damage = None;
        let mut section = |offset_at, len_at| {
            let number = |at| word(header, at).map_or(usize::MAX, |number| number as usize);
            let start = number(4).saturating_add(number(offset_at));
            let end = start.saturating_add(number(len_at));
            if end > blob.len() {
                damage.get_or_insert(Damage::Truncated {
                    announced: end,
                    present: blob.len(),
                });
            }
            &blob[start.min(blob.len())..end.min(blob.len())]
        };
        // The strings end the blob, so they tell its length best.
        let strings = section(16, 20);
        let mut btf = Self {
            types: section(8, 12),
            strings,
            offsets: vec![0],
            named: HashMap::new(),
            damage,
        };
        if let Some(found) = btf.index().err() {
            btf.damage.get_or_insert(found);
        }
        Ok(btf)
    }

    /// Notes where each type is, up to the first that cannot be read.
    fn index(&mut self) -> Result<(), Damage> {
        let mut at = 0;
        while at < self.types.len() {
            let id = self.offsets.len() as u32;
            let found = self.type_at(at).ok_or(Damage::CutType(id))?;
            let kind = found.kind;
            let trailer = trailer_len(found).ok_or(Damage::UnknownKind { id, kind })?;
            at = found.rest + trailer;
            if at > self.types.len() {
                return Err(Damage::CutType(id));
            }
            self.offsets.push((found.rest - TYPE_LEN) as u32);
            let looked_up = [KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_ENUM64];
            if looked_up.contains(&kind) && found.name != 0 {
                match self.name(found.name) {
                    Some(name) => self.named.entry(name).or_default().push(id),
                    None => _ = self.damage.get_or_insert(Damage::NoName(id)),
                }
            }
        }
        Ok(())
    }

    /// Finds a member by a dotted path through embedded structs, looking into
    /// anonymous structs and unions on the way.
    ///
    /// # Errors
    /// If there is no such struct or member, or it is a bit-field.
    pub fn member(&self, structure: &str, path: &str) -> Result<Member, BtfError> {
        let no_member = || BtfError::NoMember {
            structure: structure.to_owned(),
            member: path.to_owned(),
            damage: self.damage.clone(),
        };
        let mut id = self
            .find(structure, &[KIND_STRUCT, KIND_UNION])
            .ok_or_else(|| BtfError::NoStruct {
                structure: structure.to_owned(),
                damage: self.damage.clone(),
            })?;
        let mut bits = 0u32;
        let mut steps = MAX_STEPS;
        for name in path.split('.') {
            let found = self.member_in(id, name.as_bytes(), 0, &mut steps);
            let found = match found {
                Some(found) => found,
                None if steps == 0 => {
                    return Err(BtfError::Cyclic {
                        structure: structure.to_owned(),
                        member: path.to_owned(),
                    });
                }
                None => return Err(no_member()),
            };
            if found.is_bit_field || found.offset % 8 != 0 {
                return Err(BtfError::BitField {
                    structure: structure.to_owned(),
                    member: path.to_owned(),
                });
            }
            bits = bits.checked_add(found.offset).ok_or_else(no_member)?;
            id = self.without_modifiers(found.type_id);
        }
        let found = self.type_by_id(id).ok_or_else(no_member)?;
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

    /// Size of a struct in bytes, if there is one of that name.
    pub fn size_of(&self, structure: &str) -> Option<u32> {
        let id = self.find(structure, &[KIND_STRUCT])?;
        self.type_by_id(id).map(|found| found.size_or_type)
    }

    /// The number that `enum name` gives to `value`, as 32 bits.
    ///
    /// # Errors
    /// If there is no such enum or value.
    pub fn enum_value(&self, name: &str, value: &str) -> Result<u32, BtfError> {
        let number = || {
            let id = self.find(name, &[KIND_ENUM, KIND_ENUM64])?;
            let found = self.type_by_id(id)?;
            let entry_len = if found.kind == KIND_ENUM { 8 } else { 12 };
            (0..found.vlen as usize)
                .map(|index| found.rest + index * entry_len)
                .find(|&at| self.name_at(at) == Some(value.as_bytes()))
                .and_then(|at| word(self.types, at + 4))
        };
        number().ok_or_else(|| BtfError::NoEnumValue {
            name: name.to_owned(),
            value: value.to_owned(),
            damage: self.damage.clone(),
        })
    }

    /// Place of a parameter of a function, counted from 0.
    ///
    /// # Errors
    /// If there is no such function or parameter.
    pub fn parameter(&self, function: &str, name: &str) -> Result<u32, BtfError> {
        let place = || {
            // Functions are many, and looked up once: they are not in the index.
            let found = (1..self.offsets.len())
                .filter_map(|id| self.type_by_id(id as u32))
                .find(|found| {
                    found.kind == KIND_FUNC && self.name(found.name) == Some(function.as_bytes())
                })?;
            let prototype = self.type_by_id(found.size_or_type)?;
            if prototype.kind != KIND_FUNC_PROTO {
                return None;
            }
            // `struct btf_param` is a name and a type.
            (0..prototype.vlen).find(|&index| {
                self.name_at(prototype.rest + index as usize * 8) == Some(name.as_bytes())
            })
        };
        place().ok_or_else(|| BtfError::NoParameter {
            function: function.to_owned(),
            parameter: name.to_owned(),
            damage: self.damage.clone(),
        })
    }

    fn find(&self, name: &str, kinds: &[u32]) -> Option<u32> {
        let ids = self.named.get(name.as_bytes())?;
        let mut ids = ids.iter().copied();
        ids.find(|&id| {
            self.type_by_id(id)
                .is_some_and(|found| kinds.contains(&found.kind))
        })
    }

    /// A member of the struct `id` or of an anonymous one within it. `steps` is what
    /// is left of [`MAX_STEPS`].
    fn member_in(&self, id: u32, name: &[u8], depth: u32, steps: &mut u32) -> Option<Found> {
        let found = self.type_by_id(id)?;
        if !matches!(found.kind, KIND_STRUCT | KIND_UNION) || depth > MAX_DEPTH {
            return None;
        }
        for index in 0..found.vlen as usize {
            *steps = steps.checked_sub(1)?;
            let at = found.rest + index * 12;
            let type_id = word(self.types, at + 4)?;
            let packed = word(self.types, at + 8)?;
            let (offset, is_bit_field) = if found.kind_flag {
                (packed & 0x00ff_ffff, packed >> 24 != 0)
            } else {
                (packed, false)
            };
            if word(self.types, at)? == 0 {
                let inner = self.without_modifiers(type_id);
                if let Some(member) = self.member_in(inner, name, depth + 1, steps) {
                    return Some(Found {
                        offset: offset.saturating_add(member.offset),
                        ..member
                    });
                }
            } else if self.name_at(at) == Some(name) {
                return Some(Found {
                    type_id,
                    offset,
                    is_bit_field,
                });
            }
        }
        None
    }

    /// What a type is behind its typedefs and qualifiers; one of them, if there are
    /// too many.
    fn without_modifiers(&self, mut id: u32) -> u32 {
        for _ in 0..MAX_DEPTH {
            match self.type_by_id(id) {
                Some(Type {
                    kind: KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG,
                    size_or_type,
                    ..
                }) => id = size_or_type,
                _ => break,
            }
        }
        id
    }

    fn type_by_id(&self, id: u32) -> Option<Type> {
        if id == 0 {
            return Some(VOID);
        }
        self.type_at(*self.offsets.get(id as usize)? as usize)
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = word(self.types, at + 4)?;
        Some(Type {
            name: word(self.types, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            kind_flag: info >> 31 != 0,
            size_or_type: word(self.types, at + 8)?,
            rest: at + TYPE_LEN,
        })
    }

    /// The name whose offset stands at `at` of the types.
    fn name_at(&self, at: usize) -> Option<&'a [u8]> {
        self.name(word(self.types, at)?)
    }

    fn name(&self, offset: u32) -> Option<&'a [u8]> {
        let tail = self.strings.get(offset as usize..)?;
        Some(&tail[..memchr::memchr(0, tail)?])
    }
}

#[cfg(test)]
mod tests;
