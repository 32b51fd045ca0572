//! Lengths, cuts and hostile texts.

use super::*;

#[test]
fn long_texts_are_cut_and_say_so() {
    let shown = text(&b"x".repeat(MAX_TEXT + 5));
    assert_eq!(
        shown,
        format!("{}…[truncated 5 bytes]", "x".repeat(MAX_TEXT))
    );
    let shown = text(&b"x".repeat(10 * WINDOW));
    assert!(shown.ends_with(&format!("…[truncated {} bytes]", 10 * WINDOW - MAX_TEXT)));
    assert_eq!(text(&b"x".repeat(MAX_TEXT)), "x".repeat(MAX_TEXT));
    assert_eq!(
        text(&b"\n".repeat(MAX_TEXT)).len(),
        MAX_TEXT + "…[truncated 2048 bytes]".len()
    );
}

#[test]
fn cut_shows_no_part_of_a_secret() {
    for padding in MAX_TEXT - 60..MAX_TEXT + 10 {
        let input = format!("{} --password=CANARYCANARY tail", "x".repeat(padding));
        assert!(!text(input.as_bytes()).contains("CAN"), "padding {padding}");
        let input = format!("{} ghp_CANARYCANARYCANARYCANARY", "x".repeat(padding));
        assert!(!text(input.as_bytes()).contains("CAN"), "padding {padding}");
    }
}

#[test]
fn secret_that_reaches_beyond_what_is_looked_at_is_replaced() {
    let input = format!("--password={}", CANARY.repeat(WINDOW));
    let left_out = input.len() - WINDOW;
    assert_eq!(
        text(input.as_bytes()),
        format!("--password=[REDACTED]…[truncated {left_out} bytes]")
    );
}

#[test]
fn many_arguments_are_cut_and_say_so() {
    let many = args(&vec![b"ab".to_vec(); 3 * MAX_ARG_COUNT]);
    assert_eq!(many.len(), MAX_ARG_COUNT + 1);
    assert_eq!(
        many[MAX_ARG_COUNT],
        format!("…[truncated {} bytes]", 4 * MAX_ARG_COUNT)
    );
    let long = args(&vec![vec![b'x'; 3000]; 100]);
    let total: usize = long.iter().map(String::len).sum();
    assert!(total < MAX_ARGS + 100, "{total}");
    assert!(long.last().unwrap().starts_with("…[truncated "));
    assert_eq!(args(&[b"".to_vec(), b"x".to_vec()]), ["", "x"]);
    assert_eq!(args(&[]), Vec::<String>::new());
}

#[test]
fn replaced_secrets_make_room_for_what_follows() {
    let input = format!("--password={} --next", "x".repeat(MAX_TEXT));
    assert_eq!(text(input.as_bytes()), "--password=[REDACTED]");
    let input = format!("a --password {} --next", "x".repeat(MAX_TEXT));
    assert_eq!(text(input.as_bytes()), "a --password [REDACTED] --next");
}

#[test]
fn hostile_texts_are_shown_within_the_bounds() {
    let pieces: [&[u8]; 22] = [
        b"=",
        b":",
        b"\"",
        b"'",
        b"\\",
        b"\\\"",
        b"$(",
        b"`",
        b"://",
        b"@",
        b" ",
        b"\n",
        b"&",
        b"-p",
        b"-u",
        b"token",
        b"password=",
        b"-----BEGIN ",
        b"AQA",
        b"eyJ",
        b"\xff",
        b"aB3",
    ];
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for round in 0..400 {
        let count = if round % 40 == 0 { 20_000 } else { 60 };
        let bytes: Vec<u8> = (0..count)
            .flat_map(|_| pieces[next(pieces.len())].to_vec())
            .collect();
        let words: Vec<Vec<u8>> = bytes.chunks(1 + next(500)).map(<[u8]>::to_vec).collect();
        assert!(text(&bytes).len() <= MAX_TEXT + 64);
        let shown: usize = args(&words).iter().map(String::len).sum();
        assert!(shown <= MAX_ARGS + 64 * 64, "{shown}");
    }
    for piece in pieces {
        let bytes = piece.repeat(2 * 1024 * 1024 / piece.len());
        assert!(text(&bytes).len() <= MAX_TEXT + 64);
    }
}
