"""Signed tokens and key sets to test with, good and forged, by the openssl command; and an authorization server's keys on loopback.

    key = Key("RS256", folder, "k1");  key.jwk;  key.sign({"sub": "ada"}, header={"kid": "k1"})
    with KeyServer([key]) as s:  s.url; s.fetches; s.keys = [other]
    with Issuer([key], "/tenant", place=1) as s:  s.url; s.asked; s.documents[s.place]["issuer"] = "another"
"""
import base64
import hashlib
import hmac
import http.server
import json
import subprocess
import threading

CURVES = {"ES256": ("prime256v1", "P-256", 32), "ES384": ("secp384r1", "P-384", 48)}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def raw_of(der, size):
    """The two numbers of an ECDSA signature, each of so many bytes."""
    at = 3 if der[1] & 0x80 else 2
    numbers = []
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(size, "big"))
        at += 2 + length
    return b"".join(numbers)


class Key:
    def __init__(self, alg, folder, kid, bits=2048):
        self.alg, self.kid, self.path = alg, kid, str(folder / f"{kid}.pem")
        if alg in CURVES:
            curve, name, self.size = CURVES[alg]
            openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", self.path)
            point = openssl("ec", "-in", self.path, "-pubout", "-outform", "DER")[-2 * self.size:]
            self.jwk = {"kty": "EC", "crv": name, "x": b64(point[:self.size]), "y": b64(point[self.size:]), "kid": kid, "use": "sig"}
        else:
            openssl("genrsa", "-out", self.path, str(bits))
            modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().split("=")[1]
            self.jwk = {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB", "kid": kid, "use": "sig"}
        self.public = openssl("pkey", "-in", self.path, "-pubout")

    def signature(self, text, alg):
        digest = "-sha" + alg[2:]
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"] if alg[0] == "P" else []
        signed = openssl("dgst", digest, "-sign", self.path, *pss, data=text.encode())
        return raw_of(signed, self.size) if alg[0] == "E" else signed

    def sign(self, claims, header=None, alg=None):
        """header: more of it, or the bytes of all of it."""
        alg = alg or self.alg
        head = header if isinstance(header, bytes) else {"alg": alg, "typ": "at+jwt", "kid": self.kid, **(header or {})}
        text = part(head) + "." + part(claims)
        return text + "." + b64(self.signature(text, alg))


def hmac_token(secret, claims, header):
    text = part({"alg": "HS256", **header}) + "." + part(claims)
    return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())


class KeyServer:
    def __init__(self, keys):
        self.keys, self.fetches, self.status = keys, 0, 200
        self.open = threading.Event()  # until then who fetches waits
        self.open.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                owner.fetches += 1
                owner.open.wait(30)
                body = json.dumps({"keys": [k.jwk for k in owner.keys]}).encode()
                self.send_response(owner.status)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                if owner.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


OAUTH, OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


class Issuer:
    """An authorization server that says where its keys are. Each document is JSON to be said, or (status, bytes, headers)."""

    def __init__(self, keys, path="", place=0, port=0):
        self.asked, self.open, self.documents = [], threading.Event(), {}
        self.open.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                owner.asked.append(self.path)
                owner.open.wait(30)
                document = owner.documents.get(self.path, (404, b"none", {}))
                status, body, headers = document if isinstance(document, tuple) else (200, json.dumps(document).encode(), {})
                try:
                    self.send_response(status)
                    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # it had enough

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + path
        self.places = [OAUTH + path.rstrip("/"), OPENID + path.rstrip("/")] + ([path.rstrip("/") + OPENID] if path.rstrip("/") else [])
        self.place = self.places[place]
        self.documents[self.place] = {"issuer": self.url, "jwks_uri": self.origin + "/keys"}
        self.has(*keys)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def has(self, *keys, at="/keys"):
        self.documents[at] = {"keys": [k.jwk for k in keys]}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.open.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
