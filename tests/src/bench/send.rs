//! What it costs to send to somebody else than IMDS.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    thread,
};

use anyhow::Result;

use super::{Variant, compare};

/// Sends, one byte each: the smaller, the more the hook weighs.
const SENDS: u32 = 200_000;
/// A port that is not watched.
const PORT: u16 = 8_080;

const VARIANTS: &[Variant] = &[
    Variant {
        name: "without the analyzer",
        settings: None,
    },
    Variant {
        name: "with it",
        settings: Some(""),
    },
];

pub(super) fn run(analyzer: &Path) -> Result<()> {
    compare(analyzer, VARIANTS, SENDS, "send", |netns| {
        netns.enter(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
            let reader = thread::spawn(move || -> std::io::Result<()> {
                let (mut stream, _) = listener.accept()?;
                let mut discarded = [0; 64 << 10];
                while stream.read(&mut discarded)? > 0 {}
                Ok(())
            });
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
            stream.set_nodelay(true)?;
            for _ in 0..SENDS {
                stream.write_all(b"x")?;
            }
            drop(stream);
            reader.join().expect("reading does not panic")?;
            Ok(())
        })
    })
}
