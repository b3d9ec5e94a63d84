"""Requests in HTTP/1 that are built to be read in two ways, or to say what a client may not say."""

from __future__ import annotations

HOST = b"Host: app.example\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: app.example\r\nX-Hidden: 1\r\n\r\n"


def post(fields: bytes, body: bytes = b"0\r\n\r\n" + HIDDEN, target: bytes = b"/") -> bytes:
    """A POST with these lines in its head."""
    return b"POST %s HTTP/1.1\r\n%s%s\r\n%s" % (target, HOST, fields, body)


def get(fields: bytes = b"", target: bytes = b"/", host: bytes = HOST) -> bytes:
    """A GET with these lines in its head."""
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (target, host, fields)


TE = b"Transfer-Encoding: chunked\r\n"
LENGTH_OF_HIDDEN = b"Content-Length: %d\r\n" % (5 + len(HIDDEN))

# No backend may see anything of these, and whoever sends one gets an error or no answer at all.
REFUSED: dict[str, bytes] = {
    # Two lengths.
    "two different lengths": post(b"Content-Length: 0\r\n" + LENGTH_OF_HIDDEN),
    "two different lengths in one": post(b"Content-Length: 0, 5\r\n"),
    "a length with a sign": post(b"Content-Length: +5\r\n"),
    "a length below zero": post(b"Content-Length: -5\r\n"),
    "a length with a blank in it": post(b"Content-Length: 5 0\r\n"),
    "a length in hex": post(b"Content-Length: 0x5\r\n"),
    "a length with a point": post(b"Content-Length: 5.0\r\n"),
    "a length with an exponent": post(b"Content-Length: 5e0\r\n"),
    "a length with an underscore": post(b"Content-Length: 5_0\r\n"),
    "a length in other digits": post(b"Content-Length: \xd9\xa5\r\n"),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551621\r\n"),
    "a length that is a word": post(b"Content-Length: five\r\n"),
    "a length with a NUL": post(b"Content-Length: 5\0\r\n"),
    # Codings.
    "an unknown coding": post(b"Transfer-Encoding: xchunked\r\n"),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"\r\n'),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n"),
    "chunked and identity": post(b"Transfer-Encoding: chunked, identity\r\n"),
    "chunked twice in one": post(b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked twice": post(TE + TE),
    "identity and a length": post(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n"),
    "a coding that is no last one": post(b"Transfer-Encoding: gzip\r\n"),
    "chunked, then another": post(TE + b"Transfer-Encoding: identity\r\n"),
    "chunked after another": post(b"Transfer-Encoding: identity\r\n" + TE),
    "chunked with a NUL": post(b"Transfer-Encoding: chunked\0\r\n"),
    "chunked with a letter beyond ASCII": post(b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n"),
    "chunks in HTTP/1.0": post(TE).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a coding with a blank before the colon": post(b"Transfer-Encoding : chunked\r\n" + LENGTH_OF_HIDDEN),
    "a coding with a tab before the colon": post(b"Transfer-Encoding\t: chunked\r\n" + LENGTH_OF_HIDDEN),
    "a length with a blank before the colon": post(b"Content-Length : 5\r\n"),
    "a coding with a bare return before it": post(b"X: 1\rTransfer-Encoding: chunked\r\n"),
    # Lines.
    "a fold in front": get(b" X: 1\r\n", host=b""),
    "a bare return in a value": get(b"X: 1\rX-Admin: 1\r\n"),
    "a NUL in a value": get(b"X: 1\0\r\n"),
    "a NUL in a name": get(b"X\0: 1\r\n"),
    "a name with a blank": get(b"X Y: 1\r\n"),
    "a name with a bracket": get(b"X(Y): 1\r\n"),
    "a name beyond ASCII": get(b"X\xe9: 1\r\n"),
    "no name": get(b": 1\r\n"),
    "no colon": get(b"X-Admin\r\n"),
    "a blank before the first colon": get(host=b"Host : app.example\r\n"),
    # The first line.
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.1 in small letters": get().replace(b"HTTP/1.1", b"http/1.1", 1),
    "HTTP/2.0": get().replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "HTTP/3.0": get().replace(b"HTTP/1.1", b"HTTP/3.0", 1),
    "HTTP/1.10": get().replace(b"HTTP/1.1", b"HTTP/1.10", 1),
    "HTTP/1": get().replace(b"HTTP/1.1", b"HTTP/1", 1),
    "a word after the version": get().replace(b"HTTP/1.1", b"HTTP/1.1 x", 1),
    "a version in the path": get(target=b"/ HTTP/1.1\rX-Admin: 1"),
    "a NUL in the path": get(target=b"/a\0b"),
    "a return in the path": get(target=b"/a\rb"),
    "a method with a bracket": get().replace(b"GET", b"GE(T", 1),
    "a method with a NUL": get().replace(b"GET", b"GE\0T", 1),
    "a CONNECT": b"CONNECT app.example:443 HTTP/1.1\r\nHost: app.example:443\r\n\r\n",
    "a target without a slash": get(target=b"hidden"),
    "a target of another scheme": get(target=b"ftp://app.example/"),
    "a TLS handshake that is none": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    # Hosts.
    "two hosts": get(b"Host: evil.example\r\n"),
    "no host": get(host=b""),
    "two hosts in one": get(host=b"Host: app.example, evil.example\r\n"),
    "a host with a path": get(host=b"Host: app.example/evil\r\n"),
    "a host with a blank": get(host=b"Host: app.example evil.example\r\n"),
    "a host with a user": get(host=b"Host: evil@app.example\r\n"),
    "a host beside another target": get(target=b"http://evil.example/"),
    "a target with a user": get(target=b"http://app.example@evil.example/"),
    # Our own.
    "our path": get(target=b"/__stoker/profiles"),
    "our path as a whole url": get(target=b"http://app.example/__stoker/profiles"),
    "our path behind dots": get(target=b"/a/..%2f__stoker/profiles"),
    "our path with a return": get(target=b"/\r__stoker/profiles"),
}

# These may pass, as one request that everybody reads alike, or be refused.
CLEANED: dict[str, bytes] = {
    "HTTP/2 in the clear": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a length and chunks": post(LENGTH_OF_HIDDEN + TE),
    "chunks and a length": post(TE + LENGTH_OF_HIDDEN),
    "chunks and a short length": post(b"Content-Length: 4\r\n" + TE, b"5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n"),
    "chunked in a folded line": post(b"Transfer-Encoding:\r\n chunked\r\n" + LENGTH_OF_HIDDEN),
    "a tab in front": get(b"\tX: 1\r\n"),
    "a folded line": get(b"X: 1\r\n 2\r\n"),
    "the same host twice": get(HOST),
    "lines that end in a line feed": b"GET / HTTP/1.1\nHost: app.example\nX: 1\n\n",
    "a line feed between two lines": get(b"X: 1\nX-Other: 1\r\n"),
    "a head that ends in line feeds": b"GET / HTTP/1.1\r\nHost: app.example\r\nX: 1\n\n",
    "an empty line in front": b"\r\n\r\n" + get(),
    "more blanks in the first line": get().replace(b"GET /", b"GET  /", 1),
    "a tab in the first line": get().replace(b"GET /", b"GET\t/", 1),
    "a vertical tab in the first line": get().replace(b"GET /", b"GET\x0b/", 1),
    "a form feed before a coding": post(b"Transfer-Encoding: \x0cchunked\r\n", b"0\r\n\r\n"),
    "a vertical tab before a coding": post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "a tab before a coding": post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n"),
    "a coding in capitals": post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n"),
    "an empty coding": post(b"Transfer-Encoding:\r\n" + b"Content-Length: 5\r\n", b"0\r\n\r\n"),
    "an empty length": post(b"Content-Length:\r\n", b""),
    "the same length twice": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    "the same length twice in one": post(b"Content-Length: 5, 5\r\n", b"0\r\n\r\n"),
    "a length with zeros in front": post(b"Content-Length: 0005\r\n", b"0\r\n\r\n"),
    "a length under a name with an underscore": post(b"Content_Length: 5\r\n", b""),
    "a coding under a name with an underscore": post(b"Transfer_Encoding: chunked\r\n", b""),
    "a coding and a compression": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "a compression and chunks in two lines": post(b"Transfer-Encoding: gzip\r\n" + TE, b"0\r\n\r\n"),
    "a coding with a comma in front": post(b"Transfer-Encoding: , chunked\r\n", b"0\r\n\r\n"),
    "a coding with a comma behind": post(b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n"),
    "a body on a GET": get(b"Content-Length: 5\r\n") + b"12345",
    "a body on a HEAD": get(b"Content-Length: 5\r\n").replace(b"GET", b"HEAD", 1) + b"12345",
    "a body on a DELETE": get(b"Content-Length: 5\r\n").replace(b"GET", b"DELETE", 1) + b"12345",
    "a TRACE": get().replace(b"GET", b"TRACE", 1),
    "a method in small letters": get().replace(b"GET", b"get", 1),
    "an unknown method": get().replace(b"GET", b"BREW", 1),
    "the asterisk": get(target=b"*").replace(b"GET", b"OPTIONS", 1),
    "a path with a fragment": get(target=b"/a#/../b"),
    "a path with a backslash": get(target=b"/a\\..\\b"),
    "a path beyond ASCII": get(target=b"/\xc3\xa9\xff"),
    "a path that begins with two slashes": get(target=b"//evil.example/"),
    "HTTP/1.0 without a host": b"GET / HTTP/1.0\r\n\r\n",
    "an empty host": get(host=b"Host:\r\n"),
    "a host with a NUL-like escape": get(host=b"Host: app%00.example\r\n"),
    "the host as a whole url": get(target=b"http://app.example/a"),
    "the host as a whole url in capitals": get(target=b"HTTP://APP.EXAMPLE/a"),
    "a value beyond ASCII": get(b"X: \xff\xc3\xa9\r\n"),
    "a value with a bell": get(b"X: \x07\r\n"),
    "an expectation": post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"12345"),
    "an unknown expectation": post(b"Expect: a-miracle\r\nContent-Length: 5\r\n", b"12345"),
    "an upgrade to HTTP/2": get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    "an upgrade in capitals": get(b"Connection: upgrade\r\nUpgrade: H2C\r\n"),
    "an upgrade to two": get(b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"),
    "an upgrade to TLS": get(b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n"),
    "an upgrade with a body": post(b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", b"12345"),
    "an upgrade with a long body": post(
        b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 70000\r\n", b"x" * 70_000
    ),
    "an upgrade with chunks": post(b"Connection: upgrade\r\nUpgrade: h2c\r\n" + TE, b"0\r\n\r\n"),
    "HTTP/2's settings alone": get(b"HTTP2-Settings: AAMAAABk\r\n"),
    # Chunks: whoever reads them otherwise than we do must not get the chance.
    "a chunk with an extension": post(TE, b"1;a=b\r\nx\r\n0\r\n\r\n"),
    "a chunk with an extension in quotes": post(TE, b'1;a="\r\n0\r\n\r\n'),
    "a chunk with a bare return in its extension": post(TE, b"1;a\rb\r\nx\r\n0\r\n\r\n"),
    "a chunk with a line feed in its extension": post(TE, b"2;\nxx\r\n" + b"%x\r\n" % len(HIDDEN) + HIDDEN),
    "a chunk size that ends in a line feed": post(TE, b"1\nx\r\n0\r\n\r\n"),
    "a chunk that ends in a line feed": post(TE, b"1\r\nx\n0\r\n\r\n"),
    "a chunk that ends in other bytes": post(TE, b"1\r\nxyz0\r\n\r\n"),
    "a chunk longer than it says": post(TE, b"1\r\nxxxx\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with a sign": post(TE, b"+1\r\nx\r\n0\r\n\r\n"),
    "a chunk size below zero": post(TE, b"-1\r\nx\r\n0\r\n\r\n"),
    "a chunk size with a prefix": post(TE, b"0x1\r\nx\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with a blank behind": post(TE, b"1 \r\nx\r\n0\r\n\r\n"),
    "a chunk size with a blank in front": post(TE, b" 1\r\nx\r\n0\r\n\r\n"),
    "a chunk size with an underscore": post(TE, b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"),
    "a chunk size beyond 32 bits": post(TE, b"100000001\r\nx\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size beyond 64 bits": post(TE, b"10000000000000001\r\nx\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with zeros in front": post(TE, b"0" * 30 + b"1\r\nx\r\n0\r\n\r\n"),
    "a last chunk of many zeros": post(TE, b"000\r\n\r\n"),
    "an empty chunk size": post(TE, b"\r\nx\r\n0\r\n\r\n"),
    "a last chunk without its end": post(TE, b"0\r\n" + HIDDEN),
    "trailers": post(TE, b"0\r\nX-Trailer: 1\r\n\r\n"),
    "trailers of ours": post(TE, b"0\r\nX-Stoker-Profile: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"),
    "a trailer with a length": post(TE, b"0\r\nContent-Length: 50\r\n\r\n"),
    "a trailer that is folded": post(TE, b"0\r\nX: 1\r\n 2\r\n\r\n"),
    "a trailer with a bare return": post(TE, b"0\r\nX: 1\rY: 2\r\n\r\n"),
    # Connections.
    "a connection that names a header of ours": get(b"Connection: close, X-Forwarded-For, X-Request-Id\r\n"),
    "a connection that names the id": get(b"Connection: x-stoker-request\r\n"),
    "a connection that names the host": get(b"Connection: Host\r\n"),
    "a connection that names the length": post(b"Connection: Content-Length\r\nContent-Length: 5\r\n", b"12345"),
    "a proxy's connection": get(b"Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
    "a header for a CGI's proxy": get(b"Proxy: http://evil.example\r\n"),
    "a coding that is accepted": get(b"TE: trailers, chunked\r\n"),
    # Length.
    "a header of 100 KB": get(b"X: " + b"x" * 100_000 + b"\r\n"),
    "a head of 1000 headers": get(b"X: 1\r\n" * 1000),
    "a path of 50 KB": get(target=b"/" + b"x" * 50_000),
}

# What a client may not say, under each name by which an app could read it. None may arrive with this value.
FORGED = b"6.6.6.6-forged"
SAID: tuple[bytes, ...] = (
    *(b"X-Forwarded-For", b"x-forwarded-for", b"X_Forwarded_For", b"X-Forwarded_For", b"X.Forwarded.For"),
    *(b"X-Forwarded-Host", b"X_Forwarded_Host", b"X-Forwarded-Proto", b"X_Forwarded_Proto", b"X-Forwarded-Port"),
    *(b"X-Forwarded-Server", b"X-Forwarded-Prefix", b"X-Forwarded-Ssl", b"X-Forwarded", b"Forwarded", b"FORWARDED"),
    *(b"Forwarded-For", b"X-Request-Id", b"X_Request_Id", b"X-REQUEST_ID", b"X~Request~Id"),
    *(b"X-Stoker-Request", b"X_Stoker_Request", b"X-Stoker-Profile", b"X_Stoker_Profile", b"x_stoker-profile"),
    *(b"X.Stoker.Profile", b"X-Stoker_Token", b"X-Stoker-", b"X_STOKER_ANYTHING", b"X!Stoker!Profile"),
    *(b"X-Real-Ip", b"X_Real_Ip", b"Client-Ip", b"Client_Ip", b"X-Client-Ip", b"True-Client-Ip"),
    *(b"X-Cluster-Client-Ip", b"X-Original-Url", b"X-Rewrite-Url", b"X-Original-Host", b"X-Scheme", b"Proxy"),
)

# The same in HTTP/2, where a head is no text: its pairs, the pieces of its body, its trailers.
Pairs = list[tuple[str, str]]


def head(*more: tuple[str, str], **pseudo: str) -> Pairs:
    """A request's pairs, some of its pseudo headers replaced."""
    usual = {"method": "GET", "scheme": "https", "authority": "app.example", "path": "/"}
    return [*((f":{name}", value) for name, value in (usual | pseudo).items()), *more]


POST = head(method="POST")
LENGTH = str(len(HIDDEN))
STREAMS_REFUSED: dict[str, tuple[Pairs, list[bytes]]] = {
    "a length too short": ([*POST, ("content-length", "1")], [HIDDEN]),
    "a length of none": ([*POST, ("content-length", "0")], [HIDDEN]),
    "a length too long": ([*POST, ("content-length", "5000")], [HIDDEN]),
    "two lengths": ([*POST, ("content-length", "1"), ("content-length", LENGTH)], [HIDDEN]),
    "a length with a sign": ([*POST, ("content-length", f"+{LENGTH}")], [HIDDEN]),
    "chunks": ([*POST, ("transfer-encoding", "chunked")], [b"0\r\n\r\n", HIDDEN]),
    "chunks in capitals": ([*POST, ("Transfer-Encoding", "chunked")], [b"0\r\n\r\n", HIDDEN]),
    "chunks after a blank": ([*POST, (" transfer-encoding", "chunked")], [b"0\r\n\r\n", HIDDEN]),
    "chunks in a value": ([*POST, ("x", "1\r\ntransfer-encoding: chunked")], [b"0\r\n\r\n", HIDDEN]),
    "a line in a name": (head(("x: 1\r\ny", "1")), []),
    "a line feed in a name": (head(("x\n", "1")), []),
    "a line feed in a value": (head(("x", "1\nx-admin: 1")), []),
    "a return in a value": (head(("x", "1\rx-admin: 1")), []),
    "a head in a value": (head(("x", "1\r\n\r\n" + HIDDEN.decode())), []),
    "a NUL in a value": (head(("x", "1\0")), []),
    "a colon in a name": (head(("x:y", "1")), []),
    "a blank in a name": (head(("x y", "1")), []),
    "a name in capitals": (head(("X-Other", "1")), []),
    "a name beyond ASCII": (head(("x\xe9", "1")), []),
    "no name": (head(("", "1")), []),
    "a connection": (head(("connection", "x-forwarded-for")), []),
    "an upgrade": (head(("upgrade", "h2c")), []),
    "a coding that is accepted": (head(("te", "chunked")), []),
    "no host": ([pair for pair in head() if pair[0] != ":authority"], []),
    "a host with a path": (head(authority="app.example/evil"), []),
    "a host with a user": (head(authority="evil@app.example"), []),
    "a host with a blank": (head(authority="app.example evil"), []),
    "two hosts": (head(authority="app.example,evil.example"), []),
    "a host with a line": (head(authority="app.example\r\nx-admin: 1"), []),
    "a method with a request": (head(method="GET /hidden HTTP/1.1\r\nx: 1\r\n\r\nGET"), []),
    "a method with a path": (head(method="GET /hidden"), []),
    "a method with a bracket": (head(method="GE(T"), []),
    "a scheme with a path": (head(scheme="https://evil.example/?"), []),
    "another scheme": (head(scheme="ftp"), []),
    "no path": ([pair for pair in head() if pair[0] != ":path"], []),
    "an empty path": (head(path=""), []),
    "a path without a slash": (head(path="hidden"), []),
    "a whole url as path": (head(path="http://evil.example/"), []),
    "a path with a request": (head(path="/ HTTP/1.1\r\nx-admin: 1\r\n\r\n"), []),
    "a path with a blank": (head(path="/a b"), []),
    "a path with a fragment": (head(path="/a#b"), []),
    "our path": (head(path="/__stoker/profiles"), []),
    "two paths": ([*head(), (":path", "/hidden")], []),
    "two methods": ([*head(), (":method", "POST")], []),
    "a path after the headers": ([*head()[:3], ("x", "1"), (":path", "/")], []),
    "an unknown pseudo header": ([*head(), (":admin", "1")], []),
    "an answer's pseudo header": ([*head(), (":status", "200")], []),
    "a pseudo header in capitals": ([(":Method", "GET"), *head()[1:]], []),
    "a CONNECT": ([(":method", "CONNECT"), (":authority", "app.example:443")], []),
}
STREAMS_CLEANED: dict[str, tuple[Pairs, list[bytes]]] = {
    "a body without a length": (POST, [HIDDEN]),
    "a body in pieces, one of them empty": (POST, [b"x", b"", HIDDEN]),
    "an empty body": (POST, [b""]),
    "a body on a GET": (head(), [HIDDEN]),
    "a length without a body": ([*POST, ("content-length", "5")], []),
    "a long body without a length": (POST, [b"x" * 16_000] * 3),
    "another host": (head(("host", "evil.example")), []),
    "the same host": (head(("host", "app.example")), []),
    "the same host twice": (head(("host", "app.example"), ("host", "app.example")), []),
    "another protocol": ([*head(method="CONNECT"), (":protocol", "h2c")], []),
    "the asterisk": (head(path="*"), []),
    "cookies": (head(("cookie", "a=1"), ("cookie", "b=2")), []),
    **{f"said: {name!r}": (head((name.decode().lower(), FORGED.decode())), []) for name in SAID},
}
TRAILERS: dict[str, Pairs] = {
    "a trailer": [("x-trailer", "1")],
    "a trailer of ours": [("x-stoker-profile", FORGED.decode())],
    "a path": [(":path", "/hidden")],
    "a request": [("x", "1\r\n\r\n" + HIDDEN.decode())],
}
