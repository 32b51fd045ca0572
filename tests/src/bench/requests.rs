//! How many requests to IMDS the analyzer keeps up with, and what of them is lost.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::watch;
use crate::{
    netns::{IMDS_V4, Netns},
    record::Line,
};

/// Connections that send at the same time.
const CONNECTIONS: u32 = 4;
/// Requests of each at one rate.
const REQUESTS: u32 = 25_000;
/// Requests a second, all connections together; 0: as fast as it goes.
const RATES: [u32; 4] = [5_000, 10_000, 20_000, 0];

const REQUEST: &[u8] = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 169.254.169.254\r\n\
    User-Agent: imds-tests\r\nAccept: */*\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(super) fn run(analyzer: &Path) -> Result<()> {
    println!("requests/s wanted   sent   recorded   lost (counted)");
    for rate in RATES {
        let netns = Netns::new()?;
        netns.enter(serve)?;
        let watching = watch(analyzer, &netns, "")?;
        let began = Instant::now();
        netns.enter(|| {
            thread::scope(|scope| {
                let senders: Vec<_> = (0..CONNECTIONS)
                    .map(|_| scope.spawn(|| send(rate / CONNECTIONS)))
                    .collect();
                senders
                    .into_iter()
                    .try_for_each(|one| one.join().expect("sending does not panic"))
            })
        })?;
        let took = began.elapsed();
        let sent = CONNECTIONS * REQUESTS;
        let last = watching.stop()?.records.pop().context("no record")?;
        let last = Line::new(last).value.map_err(anyhow::Error::msg)?;
        ensure!(last["event"] == "analyzer_stopped", "the log has no end");
        let counters = &last["counters"];
        let lost: u64 = counters["lost"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, count)| count.as_u64())
            .sum();
        println!(
            "{:>17.0} {sent:>6} {:>10} {lost:>6}",
            f64::from(sent) / took.as_secs_f64(),
            counters["requests"]["v1"],
        );
    }
    Ok(())
}

/// Sends at a steady rate, each request once the one before is answered.
fn send(rate: u32) -> Result<()> {
    let mut stream = TcpStream::connect((IMDS_V4, 80))?;
    stream.set_nodelay(true)?;
    let began = Instant::now();
    let mut answer = vec![0; ANSWER.len()];
    for number in 0..REQUESTS {
        if rate > 0 {
            let due = Duration::from_secs_f64(f64::from(number) / f64::from(rate));
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        stream.write_all(REQUEST)?;
        stream.read_exact(&mut answer)?;
    }
    Ok(())
}

/// Answers every read with one answer: requests come one by one.
fn serve() -> Result<()> {
    let listener = TcpListener::bind((IMDS_V4, 80))?;
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut request = vec![0; REQUEST.len()];
                while stream.read_exact(&mut request).is_ok() && stream.write_all(ANSWER).is_ok() {}
            });
        }
    });
    Ok(())
}
