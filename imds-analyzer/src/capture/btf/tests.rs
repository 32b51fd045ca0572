//! A blob is built by hand: `struct outer { int first; struct { u8 inner; };
//! typedef-of-struct lock; int flag:1; }` and `enum color { RED, BLUE = 7 }`.

use super::*;

struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Blob {
    fn name(&mut self, name: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, name: u32, kind: u32, vlen: u32, flag: bool, size: u32, rest: &[u32]) {
        let info = (kind << 24) | vlen | (u32::from(flag) << 31);
        for word in [name, info, size].iter().chain(rest) {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
    }

    fn finish(&self) -> Vec<u8> {
        let mut blob = MAGIC.to_ne_bytes().to_vec();
        blob.extend_from_slice(&[1, 0]);
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            blob.extend_from_slice(&u32::to_ne_bytes(word));
        }
        blob.extend_from_slice(&self.types);
        blob.extend_from_slice(&self.strings);
        blob
    }
}

fn sample() -> Vec<u8> {
    let mut blob = Blob {
        types: Vec::new(),
        strings: vec![0],
    };
    let n = |blob: &mut Blob, name| blob.name(name);
    let (int, outer, first, inner) = (
        n(&mut blob, "int"),
        n(&mut blob, "outer"),
        n(&mut blob, "first"),
        n(&mut blob, "inner"),
    );
    let (lock_t, lock, owned, flag) = (
        n(&mut blob, "lock_t"),
        n(&mut blob, "lock"),
        n(&mut blob, "owned"),
        n(&mut blob, "flag"),
    );
    let (color, red, blue) = (
        n(&mut blob, "color"),
        n(&mut blob, "RED"),
        n(&mut blob, "BLUE"),
    );
    blob.add(int, KIND_INT, 0, false, 4, &[32]); // 1
    blob.add(0, KIND_STRUCT, 1, false, 4, &[inner, 1, 0]); // 2: anonymous
    blob.add(0, KIND_STRUCT, 2, false, 8, &[first, 1, 0, owned, 1, 32]); // 3
    blob.add(lock_t, KIND_TYPEDEF, 0, false, 3, &[]); // 4
    let members = [first, 1, 0, 0, 2, 32, lock, 4, 64, flag, 1, (1 << 24) | 128];
    blob.add(outer, KIND_STRUCT, 4, true, 20, &members); // 5
    blob.add(color, KIND_ENUM, 2, false, 4, &[red, 0, blue, 7]); // 6
    blob.finish()
}

#[test]
fn member_is_found_at_its_byte_offset() {
    let blob = sample();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(
        btf.member("outer", "first").unwrap(),
        Member {
            offset: 0,
            size: Some(4)
        }
    );
}

#[test]
fn member_of_an_anonymous_struct_is_found_through_it() {
    let blob = sample();
    assert_eq!(
        Btf::parse(&blob)
            .unwrap()
            .member("outer", "inner")
            .unwrap()
            .offset,
        4
    );
}

#[test]
fn path_goes_through_typedefs() {
    let blob = sample();
    assert_eq!(
        Btf::parse(&blob)
            .unwrap()
            .member("outer", "lock.owned")
            .unwrap()
            .offset,
        12
    );
}

#[test]
fn missing_member_is_named_in_the_error() {
    let blob = sample();
    let error = Btf::parse(&blob)
        .unwrap()
        .member("outer", "lock.gone")
        .unwrap_err();
    assert!(
        error.to_string().contains("`lock.gone` in `struct outer`"),
        "{error}"
    );
}

#[test]
fn missing_struct_is_named_in_the_error() {
    let blob = sample();
    let error = Btf::parse(&blob)
        .unwrap()
        .member("nowhere", "first")
        .unwrap_err();
    assert_eq!(error, BtfError::NoStruct("nowhere".to_owned()));
}

#[test]
fn bit_field_has_no_offset() {
    let blob = sample();
    let error = Btf::parse(&blob)
        .unwrap()
        .member("outer", "flag")
        .unwrap_err();
    assert!(matches!(error, BtfError::BitField { .. }), "{error}");
}

#[test]
fn enum_value_is_its_number() {
    let blob = sample();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(btf.enum_value("color", "BLUE"), Ok(7));
    assert!(btf.enum_value("color", "GREEN").is_err());
}

#[test]
fn blob_cut_anywhere_is_an_error_or_lacks_the_member_but_never_panics() {
    let blob = sample();
    for end in 0..blob.len() {
        assert!(Btf::parse(&blob[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn corrupted_blob_never_panics() {
    let blob = sample();
    for at in 0..blob.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut blob = blob.clone();
            blob[at] = value;
            if let Ok(btf) = Btf::parse(&blob) {
                let _ = btf.member("outer", "lock.owned");
                let _ = btf.enum_value("color", "BLUE");
            }
        }
    }
}

#[test]
fn other_byte_order_is_named() {
    let mut blob = sample();
    blob.swap(0, 1);
    assert!(matches!(Btf::parse(&blob), Err(BtfError::OtherEndian)));
}

#[test]
fn something_else_is_not_btf() {
    assert!(matches!(
        Btf::parse(b"\x7fELF\x02\x01\x01"),
        Err(BtfError::NotBtf(_))
    ));
}
