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
    assert_eq!(error.to_string(), "there is no `struct nowhere`");
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

/// `void take(int first, int flags)`.
fn function() -> Vec<u8> {
    blob_of(|blob, _| {
        let (first, flags, take) = (blob.name("first"), blob.name("flags"), blob.name("take"));
        blob.add(0, KIND_FUNC_PROTO, 2, false, 0, &[first, 0, flags, 0]);
        blob.add(take, KIND_FUNC, 1, false, 1, &[]);
    })
}

#[test]
fn parameter_is_its_place() {
    let blob = function();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(btf.parameter("take", "first"), Ok(0));
    assert_eq!(btf.parameter("take", "flags"), Ok(1));
}

#[test]
fn missing_parameter_and_function_are_named() {
    let blob = function();
    let btf = Btf::parse(&blob).unwrap();
    for (function, parameter) in [("take", "size"), ("give", "flags")] {
        let message = btf.parameter(function, parameter).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("there is no parameter `{parameter}` of a function `{function}`")
        );
    }
}

/// What the sample says, or why not.
fn lookups(blob: &[u8]) -> Result<(Member, Member, u32), BtfError> {
    let btf = Btf::parse(blob)?;
    Ok((
        btf.member("outer", "lock.owned")?,
        btf.member("outer", "inner")?,
        btf.enum_value("color", "BLUE")?,
    ))
}

#[test]
fn blob_cut_anywhere_says_so_or_what_is_missing() {
    let blob = sample();
    let whole = lookups(&blob).unwrap();
    for end in 0..blob.len() {
        match lookups(&blob[..end]) {
            // The very last string is `BLUE`, and all are needed.
            Ok(found) => panic!("{found:?} in the first {end} bytes, {whole:?} in all"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("truncated"), "cut at {end}: {text}");
                let named = ["`struct outer`", "`enum color`"];
                let names = named.iter().any(|name| text.contains(name));
                assert_eq!(names, end >= HEADER_LEN, "cut at {end}: {text}");
            }
        }
    }
}

#[test]
fn what_comes_before_the_cut_is_still_right() {
    let blob = sample();
    let whole = Btf::parse(&blob).unwrap().member("outer", "first");
    let cut = blob.len() - b"BLUE\0".len();
    let btf = Btf::parse(&blob[..cut]).unwrap();
    assert_eq!(btf.member("outer", "first"), whole);
    let error = btf.enum_value("color", "BLUE").unwrap_err().to_string();
    assert!(error.contains("`BLUE` in `enum color`"), "{error}");
}

#[test]
fn any_corrupted_byte_is_survived() {
    let blob = sample();
    for at in 0..blob.len() {
        for value in 0..=u8::MAX {
            let mut blob = blob.clone();
            blob[at] = value;
            let found = lookups(&blob);
            // Strings and sizes may differ, but no offset lies outside 24 bits of bits.
            if let Ok((owned, inner, _)) = found {
                assert!(
                    owned.offset <= u32::MAX / 8 && inner.offset <= u32::MAX / 8,
                    "byte {at} = {value}"
                );
            }
        }
    }
}

#[test]
fn absurd_lengths_are_a_truncation() {
    let whole = lookups(&sample());
    for at in [4, 8, 12, 16, 20] {
        let mut blob = sample();
        blob[at..at + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        let found = lookups(&blob);
        // A section that begins where it should is there, however long it says it is.
        if [12, 20].contains(&at) {
            assert_eq!(found, whole, "word at {at}");
        } else {
            let error = found.unwrap_err().to_string();
            assert!(error.contains("truncated"), "word at {at}: {error}");
        }
    }
}

/// A blob whose first type is what `build` adds, with the names `s` and `x`.
fn blob_of(build: impl FnOnce(&mut Blob, u32)) -> Vec<u8> {
    let mut blob = Blob {
        types: Vec::new(),
        strings: vec![0],
    };
    let s = blob.name("s");
    blob.name("x");
    build(&mut blob, s);
    blob.finish()
}

#[test]
fn struct_within_itself_is_given_up() {
    // Each anonymous member is the struct itself: 1000 to the power of the depth.
    let members: Vec<u32> = [0, 1, 0].repeat(1000);
    let blob = blob_of(|blob, s| blob.add(s, KIND_STRUCT, 1000, false, 4, &members));
    let error = Btf::parse(&blob).unwrap().member("s", "x").unwrap_err();
    assert!(matches!(error, BtfError::Cyclic { .. }), "{error}");
    assert!(error.to_string().contains("`x` in `struct s`"), "{error}");
}

#[test]
fn typedef_of_itself_is_given_up() {
    let blob = blob_of(|blob, s| {
        blob.add(s, KIND_STRUCT, 1, false, 4, &[0, 2, 0]);
        blob.add(0, KIND_TYPEDEF, 0, false, 2, &[]);
    });
    let error = Btf::parse(&blob).unwrap().member("s", "x").unwrap_err();
    assert!(matches!(error, BtfError::NoMember { .. }), "{error}");
}

#[test]
fn type_that_announces_more_than_there_is_is_named() {
    let blob = blob_of(|blob, s| blob.add(s, KIND_STRUCT, 0xffff, false, 4, &[]));
    let error = Btf::parse(&blob).unwrap().member("s", "x").unwrap_err();
    let damage = Some(Damage::CutType(1));
    let structure = "s".to_owned();
    assert_eq!(error, BtfError::NoStruct { structure, damage });
}

#[test]
fn kind_of_a_later_kernel_hides_only_what_follows_it() {
    let blob = blob_of(|blob, s| {
        let x = s + 2;
        blob.add(s, KIND_STRUCT, 1, false, 4, &[x, 0, 0]);
        blob.add(0, 31, 0, false, 0, &[]);
        blob.add(x, KIND_ENUM, 1, false, 4, &[s, 3]);
    });
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(btf.member("s", "x").unwrap().offset, 0);
    let error = btf.enum_value("x", "s").unwrap_err().to_string();
    assert!(
        error.contains("`s` in `enum x`") && error.contains("kind 31 is unknown"),
        "{error}"
    );
}

#[test]
fn name_outside_the_strings_is_told() {
    let blob = blob_of(|blob, _| blob.add(1 << 20, KIND_STRUCT, 0, false, 4, &[]));
    let error = Btf::parse(&blob).unwrap().member("s", "x").unwrap_err();
    assert!(error.to_string().contains("name of type 1"), "{error}");
}

#[test]
fn other_byte_order_is_named() {
    let mut blob = sample();
    blob.swap(0, 1);
    assert!(matches!(Btf::parse(&blob), Err(BtfError::OtherEndian)));
}

#[test]
fn other_version_is_named() {
    let mut blob = sample();
    blob[2] = 2;
    assert!(matches!(
        Btf::parse(&blob),
        Err(BtfError::UnknownVersion(2))
    ));
}

#[test]
fn something_else_is_not_btf() {
    assert!(matches!(
        Btf::parse(b"\x7fELF\x02\x01\x01"),
        Err(BtfError::NotBtf(_))
    ));
}
