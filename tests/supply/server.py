"""Serves the files of a folder over TLS, and writes each request to a log: `server.py FOLDER CERTIFICATE LOG`.

`/moved/PATH` leads to `/PATH` of this host, `/away/PATH` to another host, `/plain/PATH` to this host without TLS, and
`/around/PATH` to itself. `/large.imgspec` is larger than a file may be, and does not tell its length."""

import http.server
import os
import ssl
import sys

folder, certificate, log = sys.argv[1:]


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        with open(log, "a") as out:
            out.write(self.path + "\n")
        host = self.headers["Host"]
        for prefix, target in [
            ("/moved", f"https://{host}"),
            ("/away", "https://127.0.0.1:9"),
            ("/plain", f"http://{host}"),
            ("/around", f"https://{host}/around"),
        ]:
            if self.path.startswith(prefix + "/"):
                self.send_response(302)
                self.send_header("Location", target + self.path[len(prefix):])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        if self.path == "/large.imgspec":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(17 << 10):
                    self.wfile.write(b"#" * 1023 + b"\n")
            except OSError:
                pass
            return
        super().do_GET()

    def log_message(self, *arguments):
        pass


os.chdir(folder)
server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
