from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]  # comes with Ansible
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.errors import SettingsError
from scaler.actuators.play_vars import check_extra, to_yaml

LOADER = type("Loader", (yaml.SafeLoader,), {})
yaml.add_constructor("!unsafe", lambda loader, node: ("unsafe", loader.construct_scalar(node)), LOADER)


def marked(value: object) -> object:
    match value:
        case str():
            return ("unsafe", value) if "{" in value else value
        case list():
            return [marked(one) for one in value]
        case dict():
            return {key: marked(one) for key, one in value.items()}
        case _:
            return value


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
@example({"k" * 2000: {"{": 1}})
def test_yaml_reads_back_what_was_written_with_every_possible_template_marked(value: object) -> None:
    text = to_yaml(value)  # type: ignore[arg-type]  # hypothesis knows no recursive type
    assert text.isascii()
    assert "\n" not in text
    assert yaml.load(text, LOADER) == marked(value)  # noqa: S506  # a subclass of the safe one


@pytest.mark.parametrize("name", ["stoker_fleet", "ansible_ssh_common_args", "a-b", "1a", "", "a b", "{{ x }}"])
def test_extra_variables_that_are_ours_or_ansibles_or_no_names_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^actuator\.extra_vars: .*, was '"):
        check_extra({name: 1})


def test_other_names_are_taken() -> None:
    check_extra({"dns_zone": "example.org", "_x9": True})
