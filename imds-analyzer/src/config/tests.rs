//! Tests of the configuration file.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../systemd/imds-analyzer.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("a.toml"), text).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("must be refused")
}

/// The example with its defaults in force: `#key = value` and `#[table]` lose
/// their `#`, prose (`# text`) stays.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(set) if set.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            format!("{set}\n")
        }
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn example_as_installed_changes_nothing() {
    assert_eq!(parse(EXAMPLE), Ok(Config::default()));
}

#[test]
fn example_uncommented_is_the_defaults() {
    assert_eq!(parse(&uncommented()), Ok(Config::default()));
}

#[test]
fn example_names_every_key() {
    fn keys(prefix: &str, table: &toml::Table, into: &mut BTreeSet<String>) {
        for (name, value) in table {
            match value {
                toml::Value::Table(inner) => keys(&format!("{prefix}{name}."), inner, into),
                _ => _ = into.insert(format!("{prefix}{name}")),
            }
        }
    }
    let (mut documented, mut known) = (BTreeSet::new(), BTreeSet::new());
    keys("", &uncommented().parse().unwrap(), &mut documented);
    keys(
        "",
        &toml::Table::try_from(Config::default()).unwrap(),
        &mut known,
    );
    assert_eq!(documented, known);
    assert!(known.contains("limits.max_streams"), "{known:?}");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        backend = "kprobe"
        format = "aws"
        output = "/var/log/x.log"
        netns = "/run/netns/a"
        btf = "/var/lib/vmlinux.btf"
        heartbeat_interval_s = 5
        ring_buffer_bytes = 65536
        package_lookup = false
        [log]
        rotate_bytes = 70000
        rotate_after_s = 0
        keep_bytes = 1048576
        [enrich]
        command = ["/usr/local/bin/enrich", "-v"]
        timeout_ms = 50
        max_concurrent = 3
        cache_s = 0
        [limits]
        max_head_bytes = 20000
        max_streams = 32
        max_buffered_bytes = 2000000
        idle_timeout_s = 7
        [host]
        name = "web-1"
        [cloud]
        instance_id = "i-0123456789abcdef0"
        region = "eu-central-1"
        "#,
    )
    .unwrap();
    assert_eq!(config.backend, Backend::Kprobe);
    assert_eq!(config.format, Format::Aws);
    assert_eq!(config.output, Output::File("/var/log/x.log".into()));
    assert_eq!(config.netns.as_deref(), Some(Path::new("/run/netns/a")));
    assert_eq!(
        config.btf.as_deref(),
        Some(Path::new("/var/lib/vmlinux.btf"))
    );
    assert_eq!(config.heartbeat_interval_s.get(), 5);
    assert_eq!(config.ring_buffer_bytes.get(), 65_536);
    let limits = Limits {
        max_head_bytes: 20_000,
        max_streams: 32,
        max_buffered_bytes: 2_000_000,
        idle_timeout_s: 7,
    };
    assert_eq!(config.limits, limits);
    let log = Log {
        rotate_bytes: 70_000,
        rotate_after_s: 0,
        keep_bytes: 1 << 20,
    };
    assert_eq!(config.log, log);
    assert!(!config.package_lookup.get());
    let enrich = Enrich {
        command: vec!["/usr/local/bin/enrich".to_owned(), "-v".to_owned()],
        timeout_ms: 50,
        max_concurrent: 3,
        cache_s: 0,
    };
    assert_eq!(config.enrich, enrich);
    assert_eq!(config.host.name.as_deref(), Some("web-1"));
    assert_eq!(
        config.cloud.instance_id.as_deref(),
        Some("i-0123456789abcdef0")
    );
    assert_eq!(config.cloud.region.as_deref(), Some("eu-central-1"));
}

#[test]
fn misspelt_key_is_named_with_its_place_and_the_nearest_one() {
    assert_eq!(
        refusal("backend = \"auto\"\n  formt = \"json\"\n"),
        "a.toml:2:3: formt: unknown key; did you mean `format`?"
    );
    assert_eq!(
        refusal("[limits]\nmax_stream = 3\n"),
        "a.toml:2:1: limits.max_stream: unknown key; did you mean `limits.max_streams`?"
    );
    assert_eq!(
        refusal("[limit]\nmax_streams = 300\n"),
        "a.toml:1:2: limit: unknown key; did you mean `limits`?"
    );
}

#[test]
fn key_outside_its_table_is_sent_there() {
    assert_eq!(
        refusal("max_streams = 64\n"),
        "a.toml:1:1: max_streams: unknown key; did you mean `limits.max_streams`?"
    );
}

#[test]
fn key_like_no_other_gets_the_list() {
    let message = refusal("webhook = true\n");
    assert!(
        message.starts_with("a.toml:1:1: webhook: unknown key; known are backend,"),
        "{message}"
    );
    assert!(message.contains("limits.idle_timeout_s"), "{message}");
}

#[test]
fn the_first_of_two_unknown_keys_is_told() {
    assert!(refusal("zzzzzz = 1\naaaaaa = 2\n").starts_with("a.toml:1:1: zzzzzz:"));
}

#[test]
fn wrong_type_is_named_with_place_and_key() {
    assert_eq!(
        refusal("[limits]\nmax_streams = \"many\"\n"),
        "a.toml:2:15: limits.max_streams: invalid type: string \"many\", expected a whole number"
    );
    let message = refusal("limits = 3\n");
    assert!(
        message.starts_with("a.toml:1:10: limits: invalid type: integer `3`, expected a table"),
        "{message}"
    );
    assert!(refusal("limits = 3\n").ends_with("expected a table"));
}

#[test]
fn value_that_is_none_of_the_choices_gets_the_choices() {
    let message = refusal("backend = \"ebpf\"\n");
    assert!(
        message.starts_with("a.toml:1:11: backend: unknown variant `ebpf`"),
        "{message}"
    );
    assert!(message.contains("`fentry`"), "{message}");
}

#[test]
fn number_out_of_range_is_named_with_the_range() {
    assert_eq!(
        refusal("heartbeat_interval_s = 0\n"),
        "a.toml:1:24: heartbeat_interval_s: 0 is out of range: 1 to 86400 seconds"
    );
    assert_eq!(
        refusal("heartbeat_interval_s = -5\n"),
        "a.toml:1:24: heartbeat_interval_s: -5 is out of range: 1 to 86400 seconds"
    );
    assert_eq!(
        refusal("[limits]\nmax_head_bytes = 4294967296\n"),
        "a.toml:2:18: limits.max_head_bytes: 4294967296 is out of range: 16384 to 1048576 bytes"
    );
}

#[test]
fn empty_output_is_told_what_to_name() {
    assert_eq!(
        refusal("output = ''\n"),
        "a.toml:1:10: output: an empty name is no file: name one, `-` for standard output, or `journal`"
    );
}

#[test]
fn ring_buffer_that_the_kernel_would_refuse_is_refused_here() {
    assert_eq!(
        refusal("ring_buffer_bytes = 5000000\n"),
        "a.toml:1:21: ring_buffer_bytes: 5000000 is not a power of two; the next one is 8388608"
    );
    assert!(refusal("ring_buffer_bytes = 2048\n").contains("out of range"));
}

#[test]
fn program_that_a_search_path_would_choose_is_refused() {
    assert_eq!(
        refusal("[enrich]\ncommand = [\"enrich\"]\n"),
        "a.toml:2:11: enrich.command: `enrich` is no absolute path; name the program like /usr/local/bin/enrich"
    );
    assert!(refusal("[enrich]\ncommand = \"/bin/x\"\n").contains("enrich.command"));
    assert!(refusal("[enrich]\nmax_concurrent = 0\n").contains("1 to 16 programs"));
}

#[test]
fn text_that_is_not_toml_is_named_with_its_place() {
    let message = refusal("backend = \"auto\"\noutput = \n");
    assert!(message.starts_with("a.toml:2:"), "{message}");
    assert!(message.contains("output: "), "{message}");
    assert!(!message.contains('\n'), "{message:?}");
    assert!(refusal("[limits\n").starts_with("a.toml:1:"));
}

#[test]
fn key_given_twice_is_refused() {
    assert!(
        refusal("backend = \"auto\"\nbackend = \"cgroup\"\n").starts_with("a.toml:2:1: backend: ")
    );
}

#[test]
fn missing_default_file_is_fine_and_missing_named_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.toml");
    assert_eq!(
        Config::load_or_default(None, &missing).unwrap(),
        Config::default()
    );
    let message = Config::load(Some(&missing)).unwrap_err().to_string();
    assert!(
        message.contains("none.toml") && message.contains("No such file"),
        "{message}"
    );
}

#[test]
fn unreadable_default_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Config::load_or_default(None, directory.path()).is_err());
}

#[test]
fn named_file_is_read_instead_of_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let (named, default) = (directory.path().join("n"), directory.path().join("d"));
    fs::write(&named, "heartbeat_interval_s = 7").unwrap();
    fs::write(&default, "heartbeat_interval_s = 9").unwrap();
    let interval = |named| {
        Config::load_or_default(named, &default)
            .unwrap()
            .heartbeat_interval_s
            .get()
    };
    assert_eq!((interval(Some(&*named)), interval(None)), (7, 9));
}
