// Node's http module: one keep-alive connection.
'use strict';
const http = require('http');

const name = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(method, path, headers) {
  return new Promise((resolve, reject) => {
    const options = { host: '169.254.169.254', method, path, headers, agent, timeout: 60000 };
    const request = http.request(options, (response) => {
      let body = '';
      response.on('data', (part) => { body += part; });
      response.on('end', () => (response.statusCode === 200
        ? resolve(body)
        : reject(new Error(`${method}: ${response.statusCode}`))));
    });
    request.on('timeout', () => request.destroy(new Error(`${method}: no answer`)));
    request.on('error', reject);
    request.end();
  });
}

async function main() {
  const path = '/latest/meta-data/ami-id';
  const token = await ask('PUT', '/latest/api/token',
    { 'X-aws-ec2-metadata-token-ttl-seconds': '60', 'X-Case': `${name}/1` });
  await ask('GET', `${path}?case=${name}&n=2`, {});
  await ask('GET', `${path}?case=${name}&n=3`, { 'X-aws-ec2-metadata-token': token });
  // JavaScript and its sockets run in the first thread.
  console.log(`tid ${process.pid}\ndone`);
  process.stdin.resume().on('end', () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
