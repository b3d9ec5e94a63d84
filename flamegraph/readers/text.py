"""Bytes and foreign strings into sound Unicode: what is not sound is shown, never lost and never an error."""

from __future__ import annotations

from typing import Final

# Ruby's names for the encodings that a String may carry; every other one is read as UTF-8.
ENCODINGS: Final = {
    "shift_jis": "shift_jis",
    "windows-31j": "cp932",
    "euc-jp": "euc_jp",
    "iso-8859-1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
    "gbk": "gbk",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc-kr": "euc_kr",
    "koi8-r": "koi8_r",
}


def decode(raw: bytes, encoding: str = "utf-8") -> str:
    r"""Decode bytes in an encoding that Ruby names, writing `\xff` for each byte that is not sound in it."""
    if encoding != "utf-8":
        encoding = ENCODINGS.get(encoding.lower(), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw.decode(encoding, "backslashreplace")


def sound(value: str) -> str:
    r"""The same string with lone surrogates, which JSON can smuggle in, written as `\udc00`."""
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(value: str) -> str:
    """The text without ends of lines and what else a terminal would obey instead of show, cut to a sane length."""
    if len(value) > 600:
        value = value[:600] + "..."
    return value if value.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in value)
