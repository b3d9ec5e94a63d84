"""The cookie of a sticky canary: read with suspicion, for clients write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.canary_cookie import mark_of, set_cookie, side_of, value_of

MARK = mark_of("spec2")
CANARY, STABLE = (value_of(MARK, canary=canary).encode() for canary in (True, False))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"stoker-set=" + CANARY, True),
        (b"stoker-set=" + STABLE, False),
        (b"a=1; stoker-set=" + CANARY + b"; b=2", True),
        (b"a=1;stoker-set=" + STABLE, False),
        (b"", None),
        (b"stoker-set=canary", None),
        (b"stoker-set=canary-00000000", None),
        (b"x-stoker-set=" + CANARY, None),
        (b"stoker-set=" + CANARY + b"x", None),
        (b"stoker-set=s3", None),
    ],
)
def test_a_cookie_names_a_set_of_this_canary_or_nothing(header: bytes, expected: bool | None) -> None:
    assert expected is side_of(header, MARK)


def test_a_cookie_of_an_earlier_canary_does_not_hide_the_present_one() -> None:
    earlier = value_of(mark_of("spec1"), canary=False).encode()
    assert side_of(b"stoker-set=" + earlier + b"; stoker-set=" + CANARY, MARK) is True


def test_scripts_of_the_page_and_other_sites_do_not_get_it() -> None:
    assert f"stoker-set=canary-{MARK}; Path=/; HttpOnly; SameSite=Lax; Secure" == set_cookie(
        CANARY.decode(), secure=True
    )


@given(st.binary(max_size=200))
def test_no_header_breaks_it(header: bytes) -> None:
    assert side_of(header, MARK) in (None, True, False)
