// A client of @grpc/grpc-js with @grpc/grpc-js-xds. As test/xds/grpc_client.cc is:
//
//   GRPC_XDS_BOOTSTRAP=FILE node client.js xds:///NAME.NS.svc.cluster.local:PORT
//
// reads lines "CALLS [HEADER VALUE]" and answers each with how often it was who that replied.
'use strict';

const path = require('path');
const readline = require('readline');
// Where the packages are, wherever this file is run from.
const load = (name) => require(require.resolve(name, {paths: [path.dirname(process.argv[1])]}));
const grpc = load('@grpc/grpc-js');
load('@grpc/grpc-js-xds').register();

const PATIENCE_MS = 5000;
const METHOD = '/weft.test.Greeter/Who';

const client = new grpc.Client(process.argv[2], grpc.credentials.createInsecure());
const asIs = (bytes) => bytes;

function call(header, value) {
  const metadata = new grpc.Metadata();
  if (header) metadata.set(header, value);
  return new Promise((resolve) => {
    client.makeUnaryRequest(METHOD, asIs, asIs, Buffer.from('x'), metadata,
        {deadline: Date.now() + PATIENCE_MS}, (error, reply) => {
          if (error) console.error(error.details);
          resolve(error ? 'error' + error.code : reply.toString());
        });
  });
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [calls, header, value] = line.split(' ');
    const answers = new Map();
    for (let i = 0; i < Number(calls); ++i) {
      const who = await call(header, value);
      answers.set(who, (answers.get(who) || 0) + 1);
    }
    console.log([...answers].sort().map(([who, times]) => who + ':' + times).join(' '));
  }
}

main();
