// A scrape target over TLS that says by what version of HTTP it was asked: node http2_target.js CERT KEY
// Prints its port.
const fs = require("fs");
const http2 = require("http2");

const [cert, key] = process.argv.slice(2);
const server = http2.createSecureServer(
  { cert: fs.readFileSync(cert), key: fs.readFileSync(key), allowHTTP1: true },
  (request, answer) => {
    answer.setHeader("content-type", "text/plain");
    answer.end(`http_version ${request.httpVersion}\n`);
  });
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
