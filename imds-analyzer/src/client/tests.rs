//! User-Agents as they were seen, and ones that nobody should send.

use std::collections::HashSet;

use super::*;

/// `name version`, or `-`.
fn known(user_agent: &str) -> String {
    match identify(user_agent) {
        Some(client) => [Some(client.name), client.version]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        None => "-".to_owned(),
    }
}

/// Real ones. Those of AWS's software are from CloudTrail and S3 events that are
/// public, or from the source that makes them, which is named.
const SEEN: &[(&str, &str)] = &[
    // botocore/session.py `user_agent`, which the IMDS fetcher of botocore/utils.py sends.
    (
        "Boto3/1.17.5 Python/3.9.2 Linux/5 Botocore/1.20.5",
        "boto3 1.17.5",
    ),
    (
        "Boto3/1.14.33 Python/3.7.6 Linux/4.14.158-129.185.amzn2.x86_64 exec-env/AWS_ECS_FARGATE Botocore/1.17.33",
        "boto3 1.14.33",
    ),
    (
        "Boto3/1.42.69 md/Botocore#1.42.69 ua/2.1 os/linux#6.8.0-106-generic md/arch#x86_64 lang/python#3.12.13 md/pyimpl#CPython m/E,U,Z cfg/retry-mode#standard Botocore/1.42.69",
        "boto3 1.42.69",
    ),
    (
        "Botocore/1.12.241 Python/2.7.16 Linux/4.14",
        "botocore 1.12.241",
    ),
    (
        "aws-cli/1.18.147 Python/2.7.18 Linux/4.14.200-155.322.amzn2.x86_64 botocore/1.18.6",
        "aws-cli 1.18.147",
    ),
    (
        "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.79-99.167.amzn2023.x86_64 exe/x86_64.amzn.2023 prompt/off command/s3.ls",
        "aws-cli 2.15.30",
    ),
    (
        "aws-cli/2.22.4 md/awscrt#0.22.0 ua/2.0 os/linux#6.1.112 md/arch#x86_64 lang/python#3.12.6 md/pyimpl#CPython cfg/retry-mode#standard md/prompt#off md/command#s3.ls",
        "aws-cli 2.22.4",
    ),
    // boto/__init__.py `UserAgent`.
    (
        "Boto/2.49.0 Python/2.7.5 Linux/3.10.0-1160.el7.x86_64",
        "boto 2.49.0",
    ),
    // aws-sdk-go aws/corehandlers/user_agent.go.
    (
        "aws-sdk-go/1.37.19 (go1.16; linux; amd64) S3Manager",
        "aws-sdk-go 1.37.19",
    ),
    (
        "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.24.5 md/GOOS#linux md/GOARCH#amd64 api/imds#1.16.30",
        "aws-sdk-go-v2 1.36.3",
    ),
    (
        "aws-sdk-go/1.55.5 (go1.23.8; linux; amd64) amazon-ssm-agent/3.3.2471.0",
        "amazon-ssm-agent 3.3.2471.0",
    ),
    (
        "CWAgent/1.300032.3b392 (go1.21.1; linux; amd64) ID/3f1c8a52-0a5f-4d55-9d5c-000000000000 inputs:(cpu disk) aws-sdk-go/1.45.24",
        "amazon-cloudwatch-agent 1.300032.3b392",
    ),
    (
        "Amazon ECS Agent - v1.12.2 (ecda8a6) (+http://aws.amazon.com/ecs/)",
        "amazon-ecs-agent 1.12.2",
    ),
    (
        "aws-sdk-java/1.12.277 Linux/5.4.204-124.362.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.342-b07 java/1.8.0_342 vendor/Oracle_Corporation cfg/retry-mode/legacy",
        "aws-sdk-java 1.12.277",
    ),
    (
        "aws-sdk-java/2.20.43 Linux/5.10.167 OpenJDK_64-Bit_Server_VM/17.0.6 Java/17.0.6 vendor/Amazon.com_Inc. io/sync http/UrlConnection",
        "aws-sdk-java 2.20.43",
    ),
    (
        "aws-sdk-nodejs/2.1354.0 linux/v16.19.0 promise",
        "aws-sdk-nodejs 2.1354.0",
    ),
    (
        "aws-sdk-js/3.632.0 ua/2.0 os/linux#5.10.227-239.884.amzn2.x86_64 lang/js md/nodejs#20.18.0 api/connect#3.632.0",
        "aws-sdk-js 3.632.0",
    ),
    (
        "aws-sdk-rust/1.3.10 os/linux lang/rust/1.92.0",
        "aws-sdk-rust 1.3.10",
    ),
    (
        "aws-sdk-rust/1.3.15 ua/2.1 api/imds/1.5.5 os/linux lang/rust/1.92.0",
        "aws-sdk-rust 1.3.15",
    ),
    (
        "aws-sdk-cpp/1.7.176 Linux/3.10.0-957.27.2.el7.x86_64 x86_64 GCC/8.3.1",
        "aws-sdk-cpp 1.7.176",
    ),
    // aws-sdk-php src/Credentials/InstanceProfileProvider.php.
    (
        "aws-sdk-php/3.263.14 OS/Linux/5.10 lang/php/8.1.16 GuzzleHttp/7",
        "aws-sdk-php 3.263.14",
    ),
    // aws-sdk-ruby gems/aws-sdk-core/lib/aws-sdk-core/instance_profile_credentials.rb.
    ("aws-sdk-ruby3/3.170.0", "aws-sdk-ruby 3.170.0"),
    (
        "aws-sdk-ruby2/2.0.0.rc4 ruby/1.9.3 x86_64-linux Seahorse/0.1.0",
        "aws-sdk-ruby 2.0.0.rc4",
    ),
    (
        "aws-sdk-dotnet-coreclr/3.7.108.0 aws-sdk-dotnet-core/3.7.108.2 .NET_Core/6.0.20 OS/Linux_5.15.0-76-generic_#83-Ubuntu_SMP_Thu_Jun_15_19:16:32_UTC_2023 ClientAsync",
        "aws-sdk-dotnet 3.7.108.0",
    ),
    // cloudinit/url_helper.py.
    (
        "Cloud-Init/22.4.2-0ubuntu0~20.04.2",
        "cloud-init 22.4.2-0ubuntu0~20.04.2",
    ),
    ("curl/7.88.1", "curl 7.88.1"),
    ("Wget/1.21.3", "wget 1.21.3"),
    ("Wget", "wget"),
    ("python-requests/2.28.1", "python-requests 2.28.1"),
    ("Python-urllib/3.11", "python-urllib 3.11"),
    ("python-urllib3/1.26.15", "python-urllib3 1.26.15"),
    ("Python/3.10 aiohttp/3.8.4", "aiohttp 3.8.4"),
    // Its version is that of HTTP (net/http, `defaultUserAgent`).
    ("Go-http-client/1.1", "go-http-client"),
    ("Java/1.8.0_362", "java 1.8.0_362"),
    ("Java-http-client/17.0.6", "java-http-client 17.0.6"),
    ("okhttp/4.9.3", "okhttp 4.9.3"),
    (
        "Apache-HttpClient/4.5.13 (Java/11.0.18)",
        "apache-httpclient 4.5.13",
    ),
    (
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
        "node-fetch 1.0",
    ),
    ("axios/1.3.4", "axios 1.3.4"),
    ("undici", "undici"),
    ("node", "node"),
    ("libwww-perl/6.67", "libwww-perl 6.67"),
    ("lwp-request/6.67 libwww-perl/6.67", "libwww-perl 6.67"),
    ("HTTP-Tiny/0.082", "http-tiny 0.082"),
    ("Ruby", "ruby"),
    ("PHP/8.2.7", "php 8.2.7"),
    ("GuzzleHttp/7", "guzzle 7"),
    ("Datadog Agent/7.43.1", "datadog-agent 7.43.1"),
];

#[test]
fn software_is_known_by_what_it_sends() {
    for (user_agent, expected) in SEEN {
        assert_eq!(known(user_agent), *expected, "{user_agent}");
    }
}

#[test]
fn order_of_the_products_does_not_matter() {
    assert_eq!(known("Botocore/1.20.5 Boto3/1.17.5"), "boto3 1.17.5");
    assert_eq!(known("curl/7.1 aws-cli/2.0.1"), "aws-cli 2.0.1");
}

#[test]
fn comment_is_no_product() {
    assert_eq!(known("mine/1.0 (curl/7.88.1; boto3/1.0)"), "-");
    assert_eq!(
        known("mine/1.0 (a (b curl/7.88.1) boto3/1.0) wget/1.2"),
        "wget 1.2"
    );
}

#[test]
fn part_of_a_name_is_no_name() {
    for user_agent in [
        "curly/7.0",
        "mycurl/7.0",
        "aws-cli-mine/1.0",
        "x-boto3/1.0",
        "boto3x",
        "",
        " ",
        "/",
        "/1.0",
    ] {
        assert_eq!(known(user_agent), "-", "{user_agent:?}");
    }
}

#[test]
fn what_is_no_version_is_left_out() {
    for (user_agent, expected) in [
        ("curl/", "curl"),
        ("curl/[REDACTED]", "curl"),
        ("curl/abc", "curl"),
        ("curl/\\x1b[2J1", "curl"),
        ("curl/7.1\\n8", "curl 7.1"),
        ("curl/7.1\"}", "curl 7.1"),
        ("curl/v8.0", "curl 8.0"),
        ("CURL/7.1;", "curl 7.1"),
    ] {
        assert_eq!(known(user_agent), expected, "{user_agent}");
    }
    assert_eq!(
        known(&format!("curl/{}", "1".repeat(MAX_VERSION + 1))),
        "curl"
    );
}

#[test]
fn hostile_user_agent_is_looked_at_within_bounds() {
    assert_eq!(known(&"(".repeat(100_000)), "-");
    assert_eq!(known(&")".repeat(100_000)), "-");
    assert_eq!(known(&"é".repeat(100_000)), "-");
    // Beyond what is looked at.
    assert_eq!(
        known(&format!("{} curl/7.1", "a".repeat(MAX_LOOKED_AT))),
        "-"
    );
    assert_eq!(
        known(&format!("{}curl/7.1", "a ".repeat(MAX_PRODUCTS))),
        "-"
    );
}

fn table() -> Table {
    toml::from_str(include_str!("clients.toml")).unwrap()
}

#[test]
fn table_is_sound() {
    let (mut names, mut products) = (HashSet::new(), HashSet::new());
    for entry in table().client {
        assert!(
            names.insert(entry.name.clone()),
            "{} stands twice",
            entry.name
        );
        assert!(
            !entry.about.is_empty() && !entry.products.is_empty(),
            "{}",
            entry.name
        );
        for product in entry.products {
            assert_eq!(product, product.to_lowercase());
            assert!(!product.trim().is_empty(), "{product:?}");
            let is_beginning = product.contains(' ');
            assert!(is_beginning || !product.contains('/'), "{product:?}");
            assert!(
                !is_beginning || product.ends_with([' ', '/']),
                "{product:?}"
            );
            assert!(
                products.insert(product),
                "of {} one stands twice",
                entry.name
            );
        }
    }
    assert!(names.len() > 50, "{}", names.len());
    assert_eq!(TABLE.len(), names.len());
}

#[test]
fn every_entry_is_reached_by_its_products() {
    for entry in table().client {
        for product in &entry.products {
            let separator = if product.contains(' ') { "" } else { "/" };
            let user_agent = format!("{product}{separator}1.2");
            let version = if entry.version { " 1.2" } else { "" };
            let expected = format!("{}{version}", entry.name);
            assert_eq!(known(&user_agent), expected);
        }
    }
}

#[test]
fn document_shows_the_table() {
    let document = include_str!("../../../docs/clients.md");
    let rows: String = table()
        .client
        .iter()
        .map(|entry| {
            let products: Vec<String> = entry.products.iter().map(|it| format!("`{it}`")).collect();
            format!(
                "| `{}` | {} | {} |\n",
                entry.name,
                products.join(", "),
                entry.about
            )
        })
        .collect();
    assert!(
        document.contains(&rows),
        "docs/clients.md is to have these rows:\n{rows}"
    );
}
