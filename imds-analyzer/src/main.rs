//! The command line of imds-analyzer.
use imds_analyzer::capture::*;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("L").unwrap_or("warn,imds_analyzer=debug".into()))
        .with_writer(std::io::stderr)
        .init();
    let args: Vec<String> = std::env::args().collect();
    let netns = std::fs::metadata(&args[1])
        .map(|m| std::os::unix::fs::MetadataExt::ino(&m) as u32)
        .ok();
    let o = backend::Options {
        backend: args.get(2).map(|s| s.parse().unwrap()),
        destinations: vec![Destination {
            ip: "169.254.169.254".parse().unwrap(),
            port: 80,
        }],
        netns,
        ring_bytes: 4 << 20,
        debug: false,
    };
    let t = std::time::Instant::now();
    let mut c = match backend::start(&o) {
        Ok(c) => c,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    };
    eprintln!(
        "ready {} {:?} {:?} {:?}",
        c.backend,
        c.refusals,
        c.witness_refused,
        t.elapsed()
    );
    let mut r = ring::Ring::new(c.programs.take_ring().unwrap()).unwrap();
    loop {
        r.next_batch(|e| println!("{e:?}")).await.unwrap();
        println!("{:?}", c.losses.grown());
    }
}
