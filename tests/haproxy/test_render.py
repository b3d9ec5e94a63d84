"""haproxy.cfg as it is rendered: golden files, accepted by both versions; `REWRITE=1 pytest` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import haproxy.render
from fleet.errors import SettingsError
from fleet.settings import load
from haproxy.config_file import check, have_map
from haproxy.model import Slot, slot_name
from haproxy.render import frame, places
from haproxy.sections import marks_of, read_marks, slots_in, with_slots
from tests.haproxy.rig import BINARIES, on_both
from tests.valkey import folder

if TYPE_CHECKING:
    from haproxy.render import Frame

GOLDEN = Path(__file__).parent / "golden"
HERE = "/srv/stoker"
SLOTS = (
    Slot("s1", "10.0.0.1", 3000, 100, enabled=True, holder="production1"),
    Slot("s2", "fd00::2", 3000, 25, enabled=True, holder="production2"),
    *(Slot(slot_name(number)) for number in range(3, 17)),
)
CASES: dict[str, dict[str, object]] = {
    "default": {},
    "everything": {
        "proxy.balance": "least_in_flight",
        "proxy.trusted_proxies": ("10.0.0.0/8", "fd00::/8"),
        "proxy.listen_address": "::1",
        "proxy.hold_s": 12.5,
        "haproxy.max_connections": 5000,
        "haproxy.access_log": "127.0.0.1:514",
        "haproxy.sticky_cookie": "STICKY",
        "crashes.profile_share": 0.25,
        "haproxy.slow_start_s": 10,
        "haproxy.max_in_flight": 40,
        "haproxy.check": "http",
        "haproxy.observe": "answers",
    },
    "no_checks": {"haproxy.check": "none"},
}


def made(case: str, **more: object) -> Frame:
    settings = load(None, state_dir=Path(HERE), **{"haproxy.threads": 2, **CASES[case], **more})
    return frame(settings)


@pytest.fixture(autouse=True)
def _everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy.render, "TEMPLATES", Path("/usr/lib/stoker"))


@pytest.mark.parametrize("case", list(CASES))
def test_the_rendered_file_is_the_golden_one(case: str) -> None:
    path, text = GOLDEN / f"{case}.cfg", made(case).text(SLOTS)
    if os.environ.get("REWRITE"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.live
@on_both
@pytest.mark.parametrize("case", list(CASES))
def test_haproxy_accepts_the_golden_files(case: str, binary: str) -> None:
    lua = Path(__file__).parents[2] / "haproxy" / "templates" / "hold.lua"
    text = (GOLDEN / f"{case}.cfg").read_text()
    with folder() as short:
        path = short / "haproxy.cfg"
        path.write_text(text.replace("/usr/lib/stoker/hold.lua", str(lua)).replace(HERE, str(short)))
        have_map(short / "stoker" / "haproxy" / "haproxy.cfg.canary")
        check(BINARIES[binary](), path)


@pytest.mark.parametrize("case", list(CASES))
def test_slots_are_read_back_as_they_were_rendered(case: str) -> None:
    assert SLOTS == slots_in(made(case).text(SLOTS))


def test_slots_are_exchanged_without_touching_the_rest() -> None:
    found = made("default")
    assert found.text(SLOTS[1:]) == with_slots(found.text(SLOTS), SLOTS[1:])


def test_marks_tell_sections_apart_and_are_read_from_a_workers_description() -> None:
    plain, other = made("default"), made("default", **{"proxy.hold_max": 5})
    assert ["frontend"] == [name for name, mark in plain.marks.items() if other.marks[name] != mark]
    assert plain.marks == read_marks("stoker " + " ".join(f"{name}={mark}" for name, mark in plain.marks.items()))
    assert {} == read_marks("somebody else's global=00000000")
    assert marks_of(plain.text(())) != marks_of(other.text(()))


def test_the_users_lines_stand_in_their_sections(tmp_path: Path) -> None:
    front, back = tmp_path / "front", tmp_path / "back"
    front.write_text("http-request deny if { path /private }\n\n")
    back.write_text("# a comment\ntimeout server 5s\n")
    text = made("default", **{"haproxy.frontend_snippet": front, "haproxy.backend_snippet": back}).text(())
    frontend, _, backend = text.partition("\nbackend ")
    assert "\n    http-request deny if { path /private }\n" in frontend
    assert "\n    timeout server 5s\n" in backend


@pytest.mark.parametrize(
    "line",
    [
        *("backend other", '"backend" other', "back\\end other", "  global", "listen x", ".if defined(X)"),
        *(
            "server evil 1.2.3.4:80",
            "server-template evil 3 1.2.3.4:80",
            "unique-id-format %rt",
            "unique-id-header X-Id",
        ),
    ],
)
def test_a_snippet_cannot_begin_a_section_or_add_a_server(tmp_path: Path, line: str) -> None:
    path = tmp_path / "snippet"
    path.write_text(f"option httpclose\n{line}\n")
    with pytest.raises(SettingsError, match="may not hold a line that begins with"):
        made("default", **{"haproxy.frontend_snippet": path})


def test_a_renewed_certificate_is_another_frontend(tmp_path: Path) -> None:
    path = tmp_path / "site.pem"
    path.write_text("first")
    first = made("default", **{"haproxy.certificate": path})
    path.write_text("second")
    second = made("default", **{"haproxy.certificate": path})
    assert first.marks["frontend"] != second.marks["frontend"]
    assert f"bind 127.0.0.1:8080 ssl crt {path} alpn h2,http/1.1" in first.text(())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"haproxy.client_timeout_s": 20}, "haproxy.client_timeout_s: must exceed proxy.hold_s"),
        ({"haproxy.sockets_dir": Path("/tmp/a b")}, "haproxy.sockets_dir: a path"),  # noqa: S108  # a text
        ({"haproxy.sockets_dir": Path("/" + "x" * 90)}, "haproxy.sockets_dir: a socket has 90 bytes at most"),
        ({"haproxy.certificate": Path("/nowhere.pem")}, "haproxy.certificate: /nowhere.pem cannot be read"),
        ({"haproxy.frontend_snippet": Path("/nowhere")}, "haproxy.frontend_snippet: /nowhere cannot be read"),
        ({"proxy.listen_address": "a\n b"}, "proxy.listen_address: must be an IP address"),
        ({"haproxy.check": "http", "life.probe_path": "/up\\x"}, "life.probe_path: with haproxy.check http"),
    ],
)
def test_what_must_not_go_into_the_file_is_refused_by_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        made("default", **changes)


def test_everything_lies_in_the_fleets_folder_unless_it_is_said_otherwise() -> None:
    settings = load(None, state_dir=Path(HERE))
    assert Path(f"{HERE}/stoker/haproxy/haproxy.cfg") == places(settings).config
    moved = load(None, state_dir=Path(HERE), **{"haproxy.master_socket": Path("/run/haproxy-master.sock")})
    assert Path("/run/haproxy-master.sock") == places(moved).master
