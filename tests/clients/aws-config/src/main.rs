//! Asks IMDS as programs do that are written with the AWS SDK for Rust: metadata,
//! region and credentials, with the SDK's defaults.
//!
//! Says `done` when it has all, or `refused` if the SDK got no token, and lives on
//! until its standard input ends. What it was told it tells nobody.

use std::{error::Error, io, time::Duration};

use aws_config::{
    imds::{self, credentials::ImdsCredentialsProvider, region::ImdsRegionProvider},
    provider_config::ProviderConfig,
};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};

/// For each step: on an emulated machine the SDK's one second is not enough.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = ProviderConfig::empty()
        .with_http_client(aws_smithy_http_client::Builder::new().build_http())
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SystemTimeSource::new());
    let client = imds::Client::builder()
        .configure(&settings)
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .operation_timeout(PATIENCE)
        .operation_attempt_timeout(PATIENCE)
        .build();
    match client.get("/latest/meta-data/instance-id").await {
        Ok(id) if !id.as_ref().is_empty() => {}
        Ok(_) => return Err("no instance id".into()),
        Err(imds::client::error::ImdsError::FailedToLoadToken(_)) => return end("refused"),
        Err(error) => return Err(error.into()),
    }
    let region = ImdsRegionProvider::builder()
        .imds_client(client.clone())
        .build();
    region.region().await.ok_or("no region")?;
    let credentials = ImdsCredentialsProvider::builder()
        .imds_client(client)
        .build();
    credentials.provide_credentials().await?;
    end("done")
}

/// Says which thread has sent, and a last word, and waits until it was heard.
fn end(word: &str) -> Result<(), Box<dyn Error>> {
    // The runtime has no other thread than the first.
    println!("tid {}\n{word}", std::process::id());
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}
