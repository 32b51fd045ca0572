//! What is replaced and what stays.

mod bounds;
mod capabilities;
mod pairs;
mod readable;
mod scripts;

use super::*;

/// In every secret of these tests; no output may hold it.
const CANARY: &str = "CANARY";

fn shown(words: &[&str]) -> Vec<String> {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let shown = args(&words);
    assert!(!shown.concat().contains(CANARY), "{words:?}: {shown:?}");
    shown
}

fn assert_text(cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        let shown = text(input.as_bytes());
        assert!(!shown.contains(CANARY), "{input}: {shown}");
        assert_eq!(shown, *expected, "{input}");
        assert_eq!(args(&[input.as_bytes().to_vec()]), [*expected], "{input}");
    }
}

fn assert_args(cases: &[(&[&str], &[&str])]) {
    for (input, expected) in cases {
        assert_eq!(shown(input), *expected, "{input:?}");
    }
}
