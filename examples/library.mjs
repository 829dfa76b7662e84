// Two servers in one process: a function and a chain of words, under the same rules.
//
//     s6-tcprules rules.cdb < examples/rules.txt && node examples/library.mjs rules.cdb

import { formatIp, TcpServer } from "ucspi";

const [cdb] = process.argv.slice(2);
const shared = {
  listen: { host: "127.0.0.1", port: 0 },
  ...(cdb === undefined ? {} : { rules: { cdb } }),
  onRefused: ({ remote, reason }) => console.log(`refused ${formatIp(remote.address)}: ${reason}`),
};

const greeter = new TcpServer({
  ...shared,
  serve({ stream, remote, number, environment }) {
    stream.end(
      `hello, ${formatIp(remote.address)}, client ${number}: ${environment.TCPREMOTEIP}\n`,
    );
  },
});
const clock = new TcpServer({
  ...shared,
  serve: ["s6-softlimit", "-o", "32", "date", "-u", "+%Y"],
  maxConnections: 100,
  maxPerAddress: 10,
});

for (const [name, server] of Object.entries({ greeter, clock })) {
  const [{ port }] = await server.start();
  console.log(`${name} ${port}`);
}

process.once("SIGTERM", async () => {
  await Promise.all([greeter.drain(1000), clock.drain(1000)]);
  console.log("drained");
});
