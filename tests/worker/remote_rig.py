"""What the tests of remote workers share: certificates, tokens, a port to break connections with, and a peer that says what it likes."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading

from worker_rig import begin, check, keep_port, until

VERSION = 1


def need_openssl():
    if shutil.which("openssl") is None:
        print("skipped: no openssl program to make certificates with")
        sys.exit(77)


def certificates(p):
    """A CA, a certificate of it for 127.0.0.1 and localhost, and one of nobody's for the same."""
    def run(*argv):
        done = subprocess.run(["openssl", *argv], cwd=p.folder, capture_output=True, check=False)
        check(done.returncode == 0, done.stderr.decode())
    p.write("ext", "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=a test's CA")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=pawl")
    run("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem", "-days", "2", "-extfile", "ext")


def token(p, name="t", *bounds):
    return p.ok("token", name, "--worker-tokens", p.path("tokens"), *bounds, "-o", "json").json()["token"]


def serve(p, *args, code=0):
    """An engine with a port for remote workers, always the same one; the first time also its certificates and the token in $TOKEN."""
    if not os.path.exists(p.path("cert.pem")):
        certificates(p)
        p.env["TOKEN"] = token(p)
    if p.port is None:
        p.holder, p.port = keep_port()
    engine = p.serve("--worker-listen", str(p.port), "--tls-cert", p.path("cert.pem"), "--tls-key", p.path("key.pem"), "--worker-tokens", p.path("tokens"),
                     "-o", "jsonl", *args, code=code)
    check(json.loads(engine.ready)["workers"].endswith(f":{p.port}"), engine.ready)
    return engine


def remote_worker(p, *args, name="worker", port=None, host="127.0.0.1", ca="ca.pem", ready=True, code=1, env="TOKEN"):
    process = begin(p, [p.pawl, "worker", "--module", p.modules[code], "--connect", f"{host}:{port or p.port}", "--token", f"env:{env}",
                        "--ca", p.path(ca), *args], name)
    if ready:
        until(p, lambda: "connected" in p.read(name + ".log"), f"{name} never connected", name)
    return process


class Wire:
    """A port between worker and engine whose connections can be broken, or stop carrying anything."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.frozen = threading.Event()  # of the connections that are there
        self.pairs, self.lock, self.open, self.count = [], threading.Lock(), True, 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.open:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self.count += 1
                self.pairs.append((near, far))
                frozen = self.frozen
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(a, b, frozen), daemon=True).start()

    @staticmethod
    def _carry(source, sink, frozen):
        try:
            while piece := source.recv(65536):
                if not frozen.is_set():
                    sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Breaks what is there, as a network does: a reset, no good-bye."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def freeze(self):
        """What is there stays there and carries nothing; a new connection does."""
        with self.lock:
            self.frozen.set()
            self.frozen = threading.Event()

    def close(self):
        with self.lock:
            self.open = False
        self.cut()

    def reopen(self):
        with self.lock:
            self.open = True


class Peer:
    """A TLS connection to the port; msgpack and frames by hand."""

    def __init__(self, p, hello=None, port=None):
        import msgpack  # pylint: disable=import-outside-toplevel
        self.pack, self.unpack = msgpack.packb, msgpack.unpackb
        context = ssl.create_default_context(cafile=p.path("ca.pem"))
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port or p.port), timeout=60), server_hostname="127.0.0.1")
        self.number, self.kept = 0, {}
        if hello is not None:
            self.welcome = self.ask("hello", **hello)

    def send(self, op, **args):
        self.number += 1
        self.raw(self.pack([VERSION, self.number, op, args]))
        return self.number

    def raw(self, message):
        self.socket.sendall(struct.pack(">I", len(message)) + message)

    def _read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data

    def receive(self):
        (size,) = struct.unpack(">I", self._read(4))
        _, number, status, body = self.unpack(self._read(size), strict_map_key=False)
        return number, status, body

    def wait(self, number):
        while number not in self.kept:
            got, status, body = self.receive()
            self.kept[got] = (status, body)
        return self.kept.pop(number)

    def ask(self, op, **args):
        return self.wait(self.send(op, **args))

    def closed(self):
        """True when the other side ends the connection."""
        try:
            while self.socket.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        return True

    def close(self):
        self.socket.close()
