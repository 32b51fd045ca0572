//! The parts of the format: header, kinds, and what each type begins with
//! (`include/uapi/linux/btf.h`).

/// `struct btf_header.magic` in native byte order.
pub(super) const MAGIC: u16 = 0xeb9f;
/// Length of `struct btf_header`.
pub(super) const HEADER_LEN: usize = 24;
/// Length of `struct btf_type`.
pub(super) const TYPE_LEN: usize = 12;
/// `BTF_VERSION`.
pub(super) const VERSION: u8 = 1;

pub(super) const KIND_INT: u32 = 1;
pub(super) const KIND_PTR: u32 = 2;
pub(super) const KIND_ARRAY: u32 = 3;
pub(super) const KIND_STRUCT: u32 = 4;
pub(super) const KIND_UNION: u32 = 5;
pub(super) const KIND_ENUM: u32 = 6;
pub(super) const KIND_FWD: u32 = 7;
pub(super) const KIND_TYPEDEF: u32 = 8;
pub(super) const KIND_VOLATILE: u32 = 9;
pub(super) const KIND_CONST: u32 = 10;
pub(super) const KIND_RESTRICT: u32 = 11;
pub(super) const KIND_FUNC: u32 = 12;
pub(super) const KIND_FUNC_PROTO: u32 = 13;
pub(super) const KIND_VAR: u32 = 14;
pub(super) const KIND_DATASEC: u32 = 15;
pub(super) const KIND_FLOAT: u32 = 16;
pub(super) const KIND_DECL_TAG: u32 = 17;
pub(super) const KIND_TYPE_TAG: u32 = 18;
pub(super) const KIND_ENUM64: u32 = 19;

/// `struct btf_type`: the 12 bytes that each type begins with.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) vlen: u32,
    pub(super) kind_flag: bool,
    pub(super) size_or_type: u32,
    /// Offset of what follows it.
    pub(super) rest: usize,
}

/// `void`, which has the id 0 and no entry.
pub(super) const VOID: Type = Type {
    name: 0,
    kind: 0,
    vlen: 0,
    kind_flag: false,
    size_or_type: 0,
    rest: 0,
};

/// Length of what follows the 12 bytes of a type; `None` for an unknown kind.
pub(super) fn trailer_len(found: Type) -> Option<usize> {
    let vlen = found.vlen as usize;
    Some(match found.kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => vlen * 12,
        KIND_ENUM | KIND_FUNC_PROTO => vlen * 8,
        KIND_PTR | KIND_FWD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT
        | KIND_FUNC | KIND_FLOAT | KIND_TYPE_TAG => 0,
        _ => return None,
    })
}

pub(super) fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_ne_bytes)
}
