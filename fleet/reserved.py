"""What a client may not say: Stoker's own paths, which are answered 404, and headers, which are never forwarded."""

from __future__ import annotations

import re

_SLASH, _DOT = "(/|%2[fF])", r"(\.|%2[eE])"
_NAME = "(_|%5[fF]){2}(s|%73)(t|%74)(o|%6[fF])(k|%6[bB])(e|%65)(r|%72)"
# Also as an app's server may read it: percent-encoded, with slashes and dots too many, or led there by "..". Where that
# brings the name to the front, nothing but "." stands between it and the last "..". Python, PCRE and POSIX read this.
PATTERN = f"^([^?#]*{_SLASH}{_DOT}{{2}})?({_SLASH}+{_DOT})*{_SLASH}+{_NAME}({_SLASH}|[?#;]|$)"
# Whatever matches holds one of these, which is quicker to ask.
HINTS = ("__stoker", "%")

# By these, beside X-Forwarded-* and X-Request-Id, proxies tell an app who asks and for what, and some apps believe it;
# by the last two, Rack::Sendfile lets whoever sends them have files answered by another path.
FORWARDING = (
    *("forwarded", "forwarded-for", "x-forwarded", "x-real-ip", "client-ip", "x-client-ip", "true-client-ip"),
    *("x-cluster-client-ip", "x-original-host", "x-original-url", "x-rewrite-url", "x-scheme"),
    *("cf-connecting-ip", "fastly-client-ip", "fly-client-ip", "x-original-forwarded-for"),
    *("x-url-scheme", "front-end-https", "x-sendfile-type", "x-accel-mapping"),
)
# These are for the next hop alone; and a CGI reads Proxy as the variable HTTP_PROXY.
HOP = ("keep-alive", "proxy-connection", "http2-settings", "proxy")

_matches = re.compile(PATTERN.encode()).match
_NAMED, _ENCODED = (hint.encode() for hint in HINTS)


def is_reserved(path: bytes) -> bool:
    """Whether the path, with or without a query, is `/__stoker` or under it."""
    return (_NAMED in path or _ENCODED in path) and _matches(path) is not None
