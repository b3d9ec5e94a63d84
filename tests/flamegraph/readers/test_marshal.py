from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamegraph.profile import ProfileError
from flamegraph.readers.marshal import MAX_DEPTH, load
from flamegraph.readers.marshal_values import RubyObject
from tests.flamegraph.readers.ruby import Symbol, dump, fixnum, read_or_refused

keys = st.one_of(st.text(), st.integers(), st.booleans())
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(keys, inner)),
)


@given(values)
def test_what_was_written_is_read(value: object) -> None:
    assert load(dump(value)) == value


@given(st.integers(-(1 << 30), (1 << 30) - 1))
def test_integers_of_every_width_are_read(value: int) -> None:
    assert load(dump(value)) == value


@pytest.mark.parametrize("value", [(1 << 30), -(1 << 30) - 1, 1 << 47, -(1 << 62), 1 << 100])
def test_large_integers_are_read(value: int) -> None:
    assert load(dump(value)) == value


def test_floats_are_text() -> None:
    assert load(b"\x04\x08f\x08inf") == math.inf
    assert load(b"\x04\x08f\x09-inf") == -math.inf
    assert math.isnan(float(str(load(b"\x04\x08f\x08nan"))))


def test_a_link_is_the_same_object() -> None:
    found = load(b'\x04\x08[\x07"\x06a@\x06')

    assert found == ["a", "a"]


def test_a_ring_stays_a_ring() -> None:
    found = load(b"\x04\x08[\x06@\x00")

    assert isinstance(found, list)
    assert found[0] is found


def test_every_value_that_ruby_numbers_takes_a_number() -> None:
    # A float, a bignum, a class, a regexp, a struct and a string come before the link to the string.
    text = b'\x04\x08[\x0cf\x081.5l+\x08\x01\x02\x03\x04\x05\x06c\x0bString/\x06a\x00S:\x06S\x06:\x06xi\x06"\x06z@\x0b'

    assert load(text)[-1] == "z"  # type: ignore[index]


def test_an_object_with_its_own_dump_is_numbered_after_its_variables() -> None:
    # [Time with an offset in a String, "z", link to "z"]: the variable is 1, the time 2, "z" 3.
    text = b'\x04\x08[\x08Iu:\x09Time\x0712\x06:\x09zone"\x08UTC"\x06z@\x08'

    assert load(text)[2] == "z"  # type: ignore[index]


def test_objects_are_inert() -> None:
    found = load(b"\x04\x08o:\x0bKernel\x06:\x09@cmdi\x06")

    assert isinstance(found, RubyObject)
    assert (found.class_name, found.values) == ("Kernel", {"@cmd": 1})


def test_marks_of_subclasses_and_modules_leave_the_value() -> None:
    assert load(b'\x04\x08e:\x06MC:\x06S"\x06a') == "a"


def test_a_hash_may_have_a_default() -> None:
    assert load(b"\x04\x08}\x06i\x06i\x07i\x0f") == {1: 2}
    assert load(b"\x04\x08}\x00i\x0f") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'I"\x07\x93\xfa\x06:\x0dencoding"\x0eShift_JIS', "日"),
        (b'I"\x07\xff\xfe\x06:\x06ET', "\\xff\\xfe"),
        (b'"\x06\xff', "\\xff"),
        (b"I:\x09gr\xc3\xbc\x06:\x06ET", "grü"),
    ],
)
def test_text_is_decoded_by_its_encoding(text: bytes, expected: str) -> None:
    assert load(b"\x04\x08" + text) == expected


def test_deep_nesting_is_read_without_recursion() -> None:
    found = load(b"\x04\x08" + b"[\x06" * (MAX_DEPTH - 1) + b"0")

    for _ in range(MAX_DEPTH - 1):
        assert isinstance(found, list)
        found = found[0]
    assert found is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\x04\x09i\x06", "not a dump of Ruby's Marshal 4.8"),
        (b"\x04", "not a dump of Ruby's Marshal 4.8"),
        (b"\x04\x08", "byte 2: the dump is cut off here"),
        (b"\x04\x08[\x07i\x06", "byte 6: the dump is cut off here"),
        (b'\x04\x08"\x0fab', "byte 3: a length of 10, where 2 bytes are left"),
        (b"\x04\x08[\x04\xff\xff\xff\x7f", "byte 3: a length of 2147483647, where 0 bytes are left"),
        (b"\x04\x08[\xfa", "byte 3: a length of -1, where 0 bytes are left"),
        (b"\x04\x08[\x06@\x0a", "byte 5: a link to value 5 of 1"),
        (b"\x04\x08;\x06", "byte 3: symbol 1 of 0"),
        (b"\x04\x08Q", "byte 2: 0x51 starts no value of Ruby's Marshal"),
        (b"\x04\x08f\x06x", "byte 3: 'x' is not a float"),
        (b"\x04\x08oi\x06", "byte 3: b'i' where a symbol must stand"),
        (b"\x04\x08" + b"[\x06" * (MAX_DEPTH + 1) + b"0", f"nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_not_sound_is_refused_in_one_line(text: bytes, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(text)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_after_the_value_are_ignored() -> None:
    assert load(dump(7) + b"\n") == 7


def test_a_huge_integer_is_named_and_not_computed() -> None:
    found = load(b"\x04\x08l+" + fixnum(3000) + b"\xff" * 6000)

    assert isinstance(found, RubyObject)
    assert found.class_name == "Integer of 6000 bytes"


def test_keys_that_python_cannot_hash_are_kept_apart() -> None:
    found = load(dump({Symbol("a"): 1}).replace(b":\x06a", b"[\x06i\x06"))

    assert isinstance(found, dict)
    assert list(found.values()) == [1]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    read_or_refused(load, b"\x04\x08" + tail)


@given(values, st.data())
def test_a_damaged_dump_is_read_or_refused(value: object, data: st.DataObject) -> None:
    text = bytearray(dump([value, value]))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(load, bytes(text[: data.draw(st.integers(0, len(text)))]))
