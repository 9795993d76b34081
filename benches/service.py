"""The little HTTP service that the benches ask."""

import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers 200, or what `status` says of a path."""

    protocol_version = "HTTP/1.1"

    def status(self):
        return 200

    def do_GET(self):
        self.send_response(self.status())
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """On a free port of this machine."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, handler=Handler):
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, *_):
        # Whoever is killed takes its connections along.
        pass
