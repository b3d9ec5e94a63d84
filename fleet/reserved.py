"""The paths that are Stoker's own. A data plane answers 404 to a client that asks for one, and forwards it never."""

from __future__ import annotations

import re

_SLASH, _DOT = "(/|%2[fF])", r"(\.|%2[eE])"
_NAME = "(_|%5[fF]){2}(s|%73)(t|%74)(o|%6[fF])(k|%6[bB])(e|%65)(r|%72)"
# Also as an app's server may read it: percent-encoded, with slashes and dots too many, or led there by "..". Where that
# brings the name to the front, nothing but "." stands between it and the last "..". Python, PCRE and POSIX read this.
PATTERN = f"^([^?#]*{_SLASH}{_DOT}{{2}})?({_SLASH}+{_DOT})*{_SLASH}+{_NAME}({_SLASH}|[?#;]|$)"
# Whatever matches holds one of these, which is quicker to ask.
HINTS = ("__stoker", "%")

_matches = re.compile(PATTERN.encode()).match
_NAMED, _ENCODED = (hint.encode() for hint in HINTS)


def is_reserved(path: bytes) -> bool:
    """Whether the path, with or without a query, is `/__stoker` or under it."""
    return (_NAMED in path or _ENCODED in path) and _matches(path) is not None
