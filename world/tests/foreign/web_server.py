"""Python's own HTTPS server: prints each request as a JSON line, and takes it.

usage: web_server.py CERTFILE KEYFILE

The first line that it prints is its port.
"""

import http.server
import json
import ssl
import sys


def say(what):
    print(json.dumps(what), flush=True)


class Keeper(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        say({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(*sys.argv[1:])
server.socket = tls.wrap_socket(server.socket, server_side=True)
say(server.server_address[1])
server.serve_forever()
