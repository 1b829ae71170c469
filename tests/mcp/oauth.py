"""Authorization for server.py, good and bad: /oauth/NAME is a server that wants a token, /as/NAME gives it.

NAME  good      registers any client, leads back at once, gives a refresh token
      secret    registers nobody: the client is "known" with "open sesame", and says so in a header
      issuer    its metadata says that it is somebody else
      resource  the server's metadata is about another server
      pkce      does not say that it does S256
      iss       leads back in the name of somebody else
      page      shows a page instead of leading back
      plain     its token endpoint is not on this machine, and without TLS
"""
import base64
import hashlib
import json
import secrets
import urllib.parse

TOKENS = set()
CODES = {}
REFRESH = set()
SECRET = "Basic " + base64.b64encode(b"known:open%20sesame").decode()


def base(handler):
    return "http://" + handler.headers["Host"]


def document(handler, path):
    """The answer to a GET of a document, or None."""
    name = path.rsplit("/", 1)[-1]
    if path.startswith("/.well-known/oauth-protected-resource/oauth/"):
        resource = "https://other.example/mcp" if name == "resource" else f"{base(handler)}/oauth/{name}"
        return {"resource": resource, "authorization_servers": [f"{base(handler)}/as/{name}"], "scopes_supported": ["use"]}
    if path.startswith("/.well-known/oauth-authorization-server/as/"):
        own = f"{base(handler)}/as/{name}"
        return {"issuer": "https://evil.example" if name == "issuer" else own, "authorization_endpoint": own + "/authorize",
                "token_endpoint": "http://tokens.example/token" if name == "plain" else own + "/token",
                **({} if name == "secret" else {"registration_endpoint": own + "/register"}),
                "code_challenge_methods_supported": [] if name == "pkce" else ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"] if name == "secret" else ["none"]}
    return None


def authorize(handler, name, query, count):
    count("authorize:" + name)
    if name == "page":
        return handler.plain(200, b"please sign in")
    code = secrets.token_hex(8)
    CODES[code] = query
    iss = "https://evil.example" if name == "iss" else f"{base(handler)}/as/{name}"
    back = query["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": query["state"], "iss": iss})
    return handler.plain(302, headers=[("Location", back)])


def fits(form):
    """The code was given for this challenge."""
    asked = CODES.pop(form.get("code"), None)
    digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
    return asked is not None and asked["code_challenge"] == digest and asked["resource"] == form.get("resource")


def token(handler, name, form, count):
    count("token:" + name)
    again = form.get("grant_type") == "refresh_token" and form.get("refresh_token") in REFRESH
    if again:
        count("refresh:" + name)
    if name == "secret" and handler.headers.get("Authorization") != SECRET:
        return handler.json(401, {"error": "invalid_client"})
    if not again and form.get("grant_type") != "client_credentials" and not fits(form):
        return handler.json(400, {"error": "invalid_grant"})
    given, refresh = "token-" + secrets.token_hex(16), "refresh-" + secrets.token_hex(16)
    TOKENS.add(given)
    REFRESH.add(refresh)
    return handler.json(200, {"access_token": given, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh})


def post(handler, path, body, count):
    """Answers a POST to an authorization server; False: it is none."""
    parts = path.strip("/").split("/")
    if len(parts) != 3 or parts[0] != "as":
        return False
    if parts[2] == "register":
        count("register:" + parts[1])
        handler.json(201, {"client_id": "client-1", "redirect_uris": json.loads(body)["redirect_uris"]})
    else:
        token(handler, parts[1], dict(urllib.parse.parse_qsl(body.decode())), count)
    return True


def get(handler, url, count):
    """Answers a GET of a document or an authorization; False: it is none."""
    parts = url.path.strip("/").split("/")
    found = document(handler, url.path)
    if found is not None:
        handler.json(200, found)
    elif len(parts) == 3 and parts[0] == "as" and parts[2] == "authorize":
        authorize(handler, parts[1], dict(urllib.parse.parse_qsl(url.query)), count)
    else:
        return False
    return True


def lets_in(handler, path):
    """False: it has been answered with 401. A token with which "expire" was said is of no use any more."""
    given = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
    if not path.startswith("/oauth/") or given in TOKENS:
        return True
    handler.plain(401, headers=[("WWW-Authenticate", f'Bearer resource_metadata="{base(handler)}/.well-known/oauth-protected-resource{path}"')])
    return False


def expire(authorization):
    TOKENS.discard((authorization or "").removeprefix("Bearer "))
