from __future__ import annotations

from time import process_time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.reserved import is_reserved

PIECES = (
    "/",
    "//",
    ".",
    "..",
    "/.",
    "/..",
    "__stoker",
    "a",
    "%2f",
    "%2E",
    "%5F_stoker",
    "_",
    "stoker",
    "__%73toker",
    "%",
)


def reaches(path: str) -> bool:
    """What a server that decodes and resolves everything would make of the path."""
    stack: list[str] = []
    for segment in unquote(path).split("/"):
        match segment:
            case "" | ".":
                continue
            case "..":
                stack[-1:] = []
            case _:
                stack.append(segment)
    return stack[:1] == ["__stoker"]


@pytest.mark.parametrize(
    "path",
    [
        *(b"/__stoker", b"/__stoker/", b"/__stoker/profiles", b"/__stoker?a", b"/__stoker#a", b"/__stoker;a/b"),
        *(
            b"//__stoker",
            b"/./__stoker/x",
            b"/.//./__stoker",
            b"/a/../__stoker/",
            b"/../__stoker",
            b"/a/b/../../__stoker",
        ),
        *(
            b"/%5f_stoker/",
            b"/_%5F%73%74%6f%6B%65%72",
            b"/%2f__stoker/",
            b"/a/%2e%2E/__stoker",
            b"/__stoker%2Fprofiles",
        ),
        *(b"/__stoker/%zz", b"/__stoker/%", b"/__stoker/../a"),
    ],
)
def test_a_path_of_our_own_is_known_however_it_is_written(path: bytes) -> None:
    assert is_reserved(path)


@pytest.mark.parametrize(
    "path",
    [
        *(b"/", b"/__stokers", b"/__stoker.", b"/a/__stoker", b"/a?/__stoker/", b"/a?x=/../__stoker/", b"*", b""),
        *(b"/a%2f__stoker", b"/__STOKER/", b"/_stoker", b"/%255f_stoker/", b"/...%2f__stoker", b"/50%"),
    ],
)
def test_any_other_path_is_not(path: bytes) -> None:
    assert not is_reserved(path)


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_no_path_that_a_server_resolves_to_ours_is_missed(tail: str) -> None:
    path = f"/{tail}"
    assert is_reserved(path.encode()) or not reaches(path)


@pytest.mark.parametrize("piece", [b"/", b"/.", b"/..", b"/../", b"%2f", b"%2e%2e/", b"a", b"/./..", b"/__stoke"])
def test_a_long_path_takes_no_more_than_its_length(piece: bytes) -> None:
    began = process_time()
    is_reserved(b"/" + piece * (60_000 // len(piece)) + b"__stokers%")
    assert process_time() - began < 0.2
