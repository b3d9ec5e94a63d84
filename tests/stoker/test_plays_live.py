"""A fleet whose instances Ansible starts: a play that never ends, and where secrets must not be while plays run."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.engine import Engine
from tests.security.test_secrets import command_lines, files_under, found_in, planted, stored
from tests.stoker.fleets import COMMON, Fleet, fleet
from tests.valkey import folder, free_port, installed, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [pytest.mark.live, pytest.mark.long, pytest.mark.timeout(360)]

PLAY_S = 60
LOOK_S = 0.02
# A step of the site's own, which never ends while the file is there.
STEP = """
- name: Wait for what never comes
  ansible.builtin.command: sleep 86400.{number}
  changed_when: false
  when: (hostvars[stoker_instance.host].inventory_dir ~ '/hang') is ansible.builtin.file
"""
SETTINGS = (
    COMMON
    + """kind = "ansible"
inventory = "{site}/inventory.yml"
play_timeout_s = {play_s}
[instance]
image = "{image}"
pull = "never"
env = {{APP_SECRET = "{env}"}}
env_file = "{folder}/app.env"
[policy]
max = 4
[life]
stop_grace_s = 2
start_timeout_s = 120
probe_serving_s = 1
backoff_max_s = 2
[crashes]
profile_share = 1.0
"""
)


@dataclass
class Site:
    """A fleet, its site's step, and the secrets that it was given."""

    shop: Fleet
    engine: Engine
    number: str
    hidden: dict[str, str]
    server: redis.Redis
    seen: dict[str, bytes] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """A home of its own, for Ansible's files of other fleets come and go in the user's."""
        return self.shop.folder / "home"

    @property
    def hang(self) -> Path:
        return self.shop.folder / "site" / "hang"

    @property
    def plays(self) -> Path:
        return self.shop.folder / self.shop.name / "plays"

    def processes(self, *words: bytes) -> list[str]:
        """The processes whose command line holds one of these words."""
        return [where for where, line in command_lines().items() if any(word in line for word in words)]

    def hangs(self) -> list[str]:
        return self.processes(f"sleep\0{86400}.{self.number}".encode())

    def names(self, phase: str) -> list[str]:
        return [one["name"] for one in self.shop.status()["backends"] if one["phase"] == phase]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep every command line, and every environment of Ansible's, that there is until the end of the block."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK_S):
                for where, line in command_lines().items():
                    self.seen[f"{where} {line[:60]!r}"] = line
                    if b"ansible" in line:
                        self.seen[f"environment of {where}"] = _read(Path(where).with_name("environ"))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.fixture
def site(engine: Engine, fleet_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    hidden, port, number = planted(), free_port(), str(uuid.uuid4().int)[:12]
    monkeypatch.setenv("STOKER_REDIS_URL", f"redis://:{hidden['redis password']}@127.0.0.1:{port}/0")
    monkeypatch.setenv("STOKER_PROFILE_TOKEN", hidden["profile token"])
    with folder() as path:
        conf = path / "redis.conf"
        conf.write_text(f'port {port}\nbind 127.0.0.1\nsave ""\nrequirepass {hidden["redis password"]}\n')
        with (
            serving([installed("redis-server"), str(conf), "--dir", str(path)], port),
            closing(redis.Redis(port=port, password=hidden["redis password"])) as server,
            fleet(fleet_name, path, free_port()) as shop,
        ):
            written(shop, engine, number, hidden)
            found = Site(shop, engine, number, hidden, server)
            found.home.mkdir()
            monkeypatch.setenv("HOME", str(found.home))
            yield found
    engine.remove_fleet(fleet_name)


def written(shop: Fleet, engine: Engine, number: str, hidden: dict[str, str]) -> None:
    """The site's inventory and step, and the fleet's settings."""
    path, site = shop.folder, shop.folder / "site"
    site.mkdir()
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    here |= {"stoker_docker_host": engine.address, "stoker_after_start": "{{ inventory_dir }}/step.yml"}
    (site / "inventory.yml").write_text(json.dumps({"stoker": {"hosts": {"alpha": here}}}))
    (site / "step.yml").write_text(STEP.format(number=number))
    (path / "app.env").write_text(f"FILE_SECRET={hidden['env_file']}\n")
    values = {"fleet": shop.name, "folder": path, "port": shop.port, "site": site, "env": hidden["env"]}
    (path / "stoker.toml").write_text(SETTINGS.format(**values, play_s=PLAY_S, image=engine.image))


def test_a_play_that_never_ends_has_a_deadline_and_does_not_stop_the_rest(site: Site) -> None:
    shop = site.shop
    shop.start()
    (first,) = site.names("serving")
    site.hang.touch()
    assert 0 == shop.run("scale", "2").returncode
    shop.until(lambda: bool(site.hangs()))
    site.hang.unlink()
    (hung,) = site.names("starting")
    # Meanwhile others are started by plays of their own, and a dead one is replaced.
    site.engine.client.containers.get(first).kill()
    assert 0 == shop.run("scale", "3").returncode
    shop.until(lambda: any(name != first for name in site.names("serving")))
    assert site.hangs(), "another was started while the play hung"
    shop.until(lambda: first not in str(shop.status()["backends"]))
    shop.until(lambda: len(site.names("serving")) == 3)
    assert [] == site.hangs()
    assert hung not in site.names("serving")
    (failed,) = [one for one in shop.events() if one["subject"] == hung and one["to"] == "failed"]
    assert f"the play gave no result (not over after {PLAY_S} s, actuator.play_timeout_s)" in str(failed["reasons"])
    shop.until(lambda: site.engine.client.containers.list(all=True, filters={"name": hung}) == [])
    assert 0 == shop.run("down").returncode
    assert [] == site.processes(str(site.plays).encode(), f"{shop.folder}/site".encode())
    assert [] == list(site.plays.iterdir())
    assert [] == list((site.home / ".ansible" / "tmp").glob("*"))


def test_no_secret_is_found_in_command_lines_environments_logs_or_files_while_plays_run(site: Site) -> None:
    shop, hidden = site.shop, site.hidden
    with site.watched():
        shop.start()
        site.hang.touch()
        assert 0 == shop.run("scale", "2").returncode
        shop.until(lambda: bool(site.hangs()))
        # A play needs the values of env and the token; what holds them meanwhile is for its user alone.
        private = [
            path for path in site.plays.rglob("*") if path.is_file() and found_in({"": path.read_bytes()}, hidden)
        ]
        assert ["vars.yml"] == sorted({path.name for path in private})
        assert {0o600} == {path.stat().st_mode & 0o777 for path in private}
        assert {0o700} == {path.stat().st_mode & 0o777 for path in (site.plays, *site.plays.iterdir())}
        site.hang.unlink()
        shop.until(lambda: len(site.names("serving")) == 2)
        assert 0 == shop.run("scale", "1").returncode
        shop.until(lambda: len(shop.status()["backends"]) == 1)
        printed = {" ".join(words): shop.run(*words) for words in (("status",), ("events", "--json"), ("doctor",))}
        told = {f"stoker {words}": f"{one.stdout}{one.stderr}".encode() for words, one in printed.items()}
        kept = stored(site.server)
        assert 0 == shop.run("down").returncode
    assert [] == list(site.plays.iterdir())
    playbooks = [
        line for where, line in site.seen.items() if b"ansible-playbook" in line and not where.startswith("env")
    ]
    assert playbooks
    ansible = [where for where in site.seen if where.startswith("environment of")]
    assert ansible
    files = {where: text for where, text in files_under(shop.folder).items() if not where.endswith("redis.conf")}
    assert [] == found_in(site.seen | files | told | kept, hidden)
