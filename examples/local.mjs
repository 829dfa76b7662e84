// A server on a Unix-domain socket that knows its clients: each user is told how many connections it has.
//
//     node examples/local.mjs ./greeter & s6-ipcclient ./greeter sh -c 'cat <&6'

import { LocalServer } from "ucspi";

const [path = "greeter"] = process.argv.slice(2);

const server = new LocalServer({
  listen: { path, mode: 0o777 },
  maxPerUser: 10,
  serve({ stream, client, number, environment }) {
    stream.end(`hello, user ${client.uid}, client ${number} by ${environment.PROTO}\n`);
  },
  onRefused: ({ client, reason }) => console.log(`refused user ${client.uid}: ${reason}`),
});

await server.start();
console.log("ready");

process.once("SIGTERM", async () => {
  await server.drain(1000);
  console.log("drained");
});
