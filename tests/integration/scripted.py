"""HTTP servers on loopback that a test scripts: to be scraped, asked for targets or gone through."""
import http.server
import ssl
import sys
import threading

TEXT = "text/plain; version=0.0.4"


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps connections and prints nothing."""
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, kind=TEXT, **headers):
        """A whole answer; headers by their names with _ for -."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        headers.setdefault("Content_Length", len(body))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that left, or whose handshake failed, is no news."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


def serve(handler, context=None):
    """A running server; its port is in server_port. TLS with a context."""
    server = Server(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
