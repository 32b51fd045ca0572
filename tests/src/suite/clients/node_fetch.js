// fetch, which comes with Node: lower-case header names of its own choice.
'use strict';

const name = process.argv[2];
const service = 'http://169.254.169.254/latest';

async function ask(method, path, headers) {
  const response = await fetch(service + path, { method, headers });
  if (!response.ok) throw new Error(`${method}: ${response.status}`);
  return response.text();
}

async function main() {
  const token = await ask('PUT', '/api/token',
    { 'X-aws-ec2-metadata-token-ttl-seconds': '60', 'X-Case': `${name}/1` });
  await ask('GET', `/meta-data/ami-id?case=${name}&n=2`, {});
  await ask('GET', `/meta-data/ami-id?case=${name}&n=3`, { 'X-aws-ec2-metadata-token': token });
  // JavaScript and its sockets run in the first thread.
  console.log(`tid ${process.pid}\ndone`);
  process.stdin.resume().on('end', () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
