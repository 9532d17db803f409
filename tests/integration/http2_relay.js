// HTTP/2 over TLS in front of an HTTP/1.1 server on loopback: node http2_relay.js CERT KEY URL
// Prints its port, then a line for every connection it accepts.
const fs = require("fs");
const http = require("http");
const http2 = require("http2");

const [cert, key, upstream] = process.argv.slice(2);
const server = http2.createSecureServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
server.on("session", () => console.log("session"));
server.on("stream", (stream, headers) => {
  const request = http.request(upstream + headers[":path"], (answer) => {
    stream.respond({ ":status": answer.statusCode, "content-type": "application/json" });
    answer.pipe(stream);
  });
  request.on("error", () => stream.close());
  stream.on("error", () => {});
  stream.on("close", () => request.destroy());
  request.end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
