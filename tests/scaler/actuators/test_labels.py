from __future__ import annotations

import pytest

from scaler.actuators.labels import Owner

OWNER = Owner("stoker", "web")
LABELS = OWNER.labels("web7", "aaaaaaaaaaaa", 3000)


def test_all_labels_of_an_instance() -> None:
    assert LABELS == {
        "stoker.fleet": "stoker",
        "stoker.app": "web",
        "stoker.name": "web7",
        "stoker.spec": "aaaaaaaaaaaa",
        "stoker.port": "3000",
    }


def test_a_fully_labelled_instance_is_ours() -> None:
    assert OWNER.owned_name({**LABELS, "other": "x"}) == "web7"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("stoker.fleet", "other"),
        ("stoker.app", "web2"),
        ("stoker.name", "web"),
        ("stoker.name", "web07"),
        ("stoker.name", "other7"),
        ("stoker.spec", ""),
    ],
)
def test_one_wrong_label_and_it_is_not_ours(label: str, value: str) -> None:
    assert OWNER.owned_name({**LABELS, label: value}) is None


@pytest.mark.parametrize("label", ["stoker.fleet", "stoker.app", "stoker.name", "stoker.spec"])
def test_one_missing_label_and_it_is_not_ours(label: str) -> None:
    assert OWNER.owned_name({key: value for key, value in LABELS.items() if key != label}) is None


@pytest.mark.parametrize("name", ["web", "web0", "webb1", "web1; rm -rf /", "../web1", "web-1"])
def test_a_name_that_is_not_the_apps_and_a_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be 'web' and a number"):
        OWNER.check(name)
