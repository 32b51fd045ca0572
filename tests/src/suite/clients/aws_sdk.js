// The AWS SDK for JavaScript: the provider of role credentials that every service
// client of it has, or its client for any metadata. Each does its work twice.
'use strict';

// Milliseconds that it waits for an answer.
const timeout = Number(process.argv[3]);

const clients = {
  credentials() {
    const { fromInstanceMetadata } = require('@smithy/credential-provider-imds');
    const provider = fromInstanceMetadata({ timeout, maxRetries: 0 });
    return async () => (await provider()).secretAccessKey;
  },
  metadata() {
    const { MetadataService } = require('@aws-sdk/ec2-metadata-service');
    const service = new MetadataService({ httpOptions: { timeout }, retries: 0 });
    return () => service.request('/latest/meta-data/ami-id', {});
  },
};

async function main() {
  const call = clients[process.argv[2]]();
  for (let n = 0; n < 2; n += 1) {
    if (!await call()) throw new Error('the SDK got nothing');
  }
  // JavaScript and its sockets run in the first thread.
  console.log(`tid ${process.pid}\ndone`);
  process.stdin.resume().on('end', () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
