"""The ansible hand where only plays can go wrong; those that need no container run playbooks of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from fleet.settings import InstanceSettings, Settings
from scaler.actuators.actuator import Failed, Removed, Started, StartOrder, attempt_stop
from scaler.actuators.ansible import AnsibleActuator
from scaler.actuators.definition import definition_hash
from scaler.actuators.inventory import program
from scaler.actuators.opening import open_actuator
from scaler.actuators.play import Stage
from scaler.actuators.play_vars import Value, to_yaml
from tests.scaler.actuators.hands import SECRET, ansible_hand, inventory

if TYPE_CHECKING:
    from tests.engine import Engine

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
HALF_WAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_stats:
        data:
          stoker_started: {"web1": "http://127.0.0.1:1001"}
    - ansible.builtin.set_stats:
        data:
          stoker_started: {"web2": "no address"}
          stoker_failed: {"web3": {"reason": "full", "exit_code": 7, "log": ["no room for hunter2-hunter2", 3]}}
    - name: Register in the DNS
      ansible.builtin.fail:
        msg: the zone {{ zone }} is locked
"""
HUNG = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_stats:
        data:
          stoker_started: {{"web1": "http://127.0.0.1:1001"}}
    - ansible.builtin.command: sleep {seconds}
      changed_when: false
"""
REGISTER = """
- name: Register in the DNS
  ansible.builtin.copy:
    content: "{{ stoker_instance.url }}"
    dest: "{{ hostvars[stoker_instance.host].zone }}/{{ stoker_instance.name }}"
    mode: "0600"
  when: stoker_instance.name is not search('2$')
- name: Refuse the second
  ansible.builtin.fail:
    msg: the zone is locked
  when: stoker_instance.name is search('2$')
"""
DEREGISTER = """
- name: Refuse the first
  ansible.builtin.fail:
    msg: the zone is still locked
  when: stoker_instance.name is search('1$')
"""


@dataclass
class Site:
    """A site with playbooks of its own."""

    folder: Path

    def settings(self, scale_up: str, **actuator: object) -> Settings:
        for name in ("scale_up.yml", "scale_down.yml"):
            (self.folder / name).write_text(scale_up, encoding="utf-8")
        hosts = {"alpha": {"ansible_connection": "local"}, "beta": {"stoker_address": "127.0.0.1"}}
        (self.folder / "inventory.yml").write_text(json.dumps({"stoker": {"hosts": hosts}}), encoding="utf-8")
        chosen = {"kind": "ansible", "inventory": self.folder / "inventory.yml", "playbooks": self.folder, **actuator}
        instance = InstanceSettings(image="app:1", env={"PASSWORD": SECRET})
        return Settings(app="web", state_dir=self.folder, instance=instance, actuator=chosen)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def orders(settings: Settings, *numbers: int, host: str = "alpha") -> list[StartOrder]:
    spec = definition_hash(settings.instance)
    return [StartOrder(f"web{number}", host, spec, settings.instance) for number in numbers]


@pytest.mark.timeout(60)
def test_a_playbook_that_fails_half_way_fails_only_those_without_a_result(site: Site) -> None:
    settings = site.settings(HALF_WAY, extra_vars={"zone": "{{ lookup('pipe', 'id') }}"})
    results = open_actuator(settings).start(orders(settings, 1, 2, 3, 4))
    assert results == [
        Started("web1", "http://127.0.0.1:1001", "alpha"),
        Failed("web2", "the play must report http://ip:port, was 'no address'"),
        Failed("web3", "full", 7, ("no room for [hidden]", "3")),
        Failed("web4", "Register in the DNS: the zone {{ lookup('pipe', 'id') }} is locked"),
    ]
    assert list((settings.state_path / "plays").iterdir()) == []


def processes(*words: str) -> list[Path]:
    """Those of this command line."""
    line, found = "\0".join([*words, ""]).encode(), list[Path]()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found += [path] if path.read_bytes() == line else []
    return found


@pytest.mark.timeout(60)
def test_a_hung_play_is_ended_at_its_deadline_with_all_its_processes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, since = f"61.{os.getpid()}", list[float]()

    def now() -> float:
        """Time goes on once the play hangs, however long it took to come to that."""
        if not since and processes("sleep", seconds):
            since.append(time.monotonic())
        return time.monotonic() - since[0] if since else 0.0

    monkeypatch.setattr("scaler.actuators.play.time", SimpleNamespace(monotonic=now))
    settings = site.settings(HUNG.format(seconds=seconds), play_timeout_s=1)
    results = open_actuator(settings).start(orders(settings, 1, 2))
    assert results == [
        Started("web1", "http://127.0.0.1:1001", "alpha"),
        Failed("web2", "the play gave no result (not over after 1 s, actuator.play_timeout_s)"),
    ]
    assert [] == processes("sleep", seconds)


@pytest.mark.timeout(60)
def test_a_playbook_that_is_no_playbook_fails_with_ansibles_words(site: Site) -> None:
    settings = site.settings("- hosts: [: {")
    (failed,) = open_actuator(settings).start(orders(settings, 1))
    assert isinstance(failed, Failed)
    assert "scale_up.yml" in failed.reason
    assert "\n" not in failed.reason


@pytest.mark.live
@pytest.mark.timeout(120)
def test_the_steps_of_a_site_are_taken_for_each_instance_and_one_that_fails_gives_its_own_reason(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "register.yml").write_text(REGISTER, encoding="utf-8")
    (tmp_path / "deregister.yml").write_text(DEREGISTER, encoding="utf-8")
    hand = ansible_hand(engine, tmp_path)
    steps = {"stoker_after_start": "{{ inventory_dir }}/register.yml"}
    steps |= {"stoker_before_stop": "{{ inventory_dir }}/deregister.yml"}
    content = json.loads((tmp_path / "inventory.yml").read_text(encoding="utf-8"))
    content["stoker"]["vars"] = {**steps, "zone": str(tmp_path / "zone")}
    (tmp_path / "zone").mkdir()
    (tmp_path / "inventory.yml").write_text(json.dumps(content), encoding="utf-8")
    actuator = hand.open()
    good, locked = actuator.start([hand.order(1, hand.good), hand.order(2, hand.good)])
    assert isinstance(good, Started)
    assert (tmp_path / "zone" / hand.name(1)).read_text(encoding="utf-8") == good.url
    left = "the zone is locked; its container is left behind, scale_down.yml removes it"
    assert locked == Failed(hand.name(2), left)
    with ThreadPoolExecutor(2) as threads:
        kept, gone = threads.map(lambda number: attempt_stop(actuator, hand.name(number), "alpha", 1.0), (1, 2))
    found = actuator.running().found
    engine.remove_fleet(hand.settings.fleet)
    assert kept == Failed(hand.name(1), f"{hand.name(1)}: left behind: the zone is still locked")
    assert gone == Removed()
    assert [hand.name(1)] == [one.name for one in found]


@pytest.mark.live
@pytest.mark.timeout(120)
def test_a_host_out_of_reach_is_told_from_one_that_answers(engine: Engine, tmp_path: Path) -> None:
    hand = ansible_hand(engine, tmp_path)
    beta: dict[str, object] = {"stoker_address": "127.0.0.1", "ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory(engine, tmp_path, beta=beta)
    actuator = hand.open()
    census = actuator.running()
    assert census.answered == {"alpha"}
    assert census.hosts == {"alpha", "beta"}
    (fault,) = census.faults
    assert fault.startswith("beta: host beta cannot be reached: ")
    (failed,) = actuator.start([hand.order(1, hand.good, host="beta")])
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("host beta cannot be reached: ")
    with pytest.raises(RuntimeError, match="host beta cannot be reached"):
        actuator.stop(hand.name(1), "beta", 1.0)


def test_orders_that_break_the_rules_reach_no_play(site: Site) -> None:
    settings = site.settings("not played")
    (order,) = orders(settings, 1)
    instance = settings.instance.model_copy(update={"image": "{{ x }}"})
    bad = [
        StartOrder("web1; reboot", "alpha", order.spec, settings.instance),
        StartOrder("web1", "gamma", order.spec, settings.instance),
        StartOrder("web2", "alpha", "{{ 1 }}", settings.instance),
        StartOrder("web3", "alpha", order.spec, instance),
    ]
    actuator = open_actuator(settings)
    assert [getattr(result, "reason", "") for result in actuator.start(bad)] == [
        "an instance's name must be 'web' and a number, was 'web1; reboot'",
        "host gamma is not in the inventory",
        "a spec must be 12 hex digits, was '{{ 1 }}'",
        "instance.image must name an image, such as app:1, was '{{ x }}'",
    ]
    with pytest.raises(ValueError, match="must be 'web' and a number"):
        actuator.stop("web", "alpha", 1.0)
    with pytest.raises(RuntimeError, match="host gamma is not in the inventory"):
        actuator.stop("web1", "gamma", 1.0)


def test_missing_playbooks_and_forbidden_variables_stop_the_start(site: Site) -> None:
    settings = site.settings("", extra_vars={"ansible_ssh_common_args": "-o ProxyCommand=id"})
    with pytest.raises(SettingsError, match=r"^actuator\.extra_vars: "):
        open_actuator(settings)
    settings = site.settings("")
    (site.folder / "scale_down.yml").unlink()
    with pytest.raises(SettingsError, match=r"^actuator\.playbooks: .* has no scale_down\.yml$"):
        open_actuator(settings)


def test_private_folders_of_killed_scalers_are_swept_and_others_stay(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "inventory.yml", tmp_path / "plays", 1.0)
    (tmp_path / "plays" / f"{os.getpid()}.00000000.abc").mkdir(parents=True)
    with stage.private_folder() as mine:
        stage.sweep()
        assert list((tmp_path / "plays").iterdir()) == [mine]
        assert mine.stat().st_mode & 0o077 == 0


@pytest.mark.live
@pytest.mark.timeout(180)
def test_by_hand_the_playbooks_run_twice_without_change_and_never_show_env_values(
    engine: Engine, tmp_path: Path
) -> None:
    hand = ansible_hand(engine, tmp_path)
    one, two = hand.order(1, hand.good), hand.order(2, hand.exits)
    definition: dict[str, Value] = {"image": hand.good.image, "port": 3000, "env": {"PASSWORD": SECRET}}
    variables: dict[str, Value] = {
        "stoker_fleet": hand.settings.fleet,
        "stoker_app": hand.settings.app,
        "stoker_grace_s": 1,
        "stoker_instances": [{"name": order.name, "host": "alpha", "spec": order.spec} for order in (one, two)],
        "stoker_definitions": {one.spec: definition, two.spec: {**definition, "command": ["/bin/exits"]}},
    }
    (tmp_path / "vars.yml").write_text(to_yaml(variables), encoding="ascii")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SHOW_CUSTOM_STATS": "1"}

    def play(name: str) -> str:
        words = [program("ansible-playbook"), "-vvv", "-i", str(tmp_path / "inventory.yml")]
        words += ["-e", f"@{tmp_path / 'vars.yml'}", str(PLAYBOOKS / name)]
        output = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert SECRET not in output.stdout + output.stderr
        return output.stdout

    def changes(output: str) -> int:
        return sum(map(int, re.findall(r"changed=(\d+)", output)))

    first, second = play("scale_up.yml"), play("scale_up.yml")
    assert changes(first) == 1
    assert changes(second) == 0
    urls = [re.findall(rf'"{one.name}": "(http://127\.0\.0\.1:\d+)"', output) for output in (first, second)]
    assert len(urls[0]) > 0
    assert urls[0] == urls[1]
    assert "its container is left behind, scale_down.yml removes it" in second
    assert changes(play("scale_down.yml")) == 1
    assert changes(play("scale_down.yml")) == 0


@pytest.mark.timeout(90)
def test_the_playbooks_pass_ansible_lints_production_profile(tmp_path: Path) -> None:
    copy = shutil.copytree(PLAYBOOKS, tmp_path / "playbooks")
    names = [f"playbooks/{name}.yml" for name in ("scale_up", "scale_down", "census", "tasks/pull", "group_vars/all")]
    environment = {**os.environ, "PATH": f"{Path(program('ansible-lint')).parent}:{os.environ['PATH']}"}
    words = [program("ansible-lint"), "--offline", "--nocolor", "-q", "--profile", "production", *names]
    linted = subprocess.run(words, cwd=copy.parent, env=environment, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_the_example_inventory_serves(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path,
        instance=InstanceSettings(image="app:1"),
        actuator={"kind": "ansible", "inventory": PLAYBOOKS / "inventory.example.yml"},
    )
    actuator = open_actuator(settings)
    assert isinstance(actuator, AnsibleActuator)
    assert actuator.hosts == {"here"}


@pytest.mark.live
@pytest.mark.timeout(120)
def test_an_image_is_resolved_on_every_host_that_answers(engine: Engine, tmp_path: Path) -> None:
    hand = ansible_hand(engine, tmp_path)
    beta: dict[str, object] = {"stoker_address": "127.0.0.1", "ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory(engine, tmp_path, beta=beta)
    actuator = hand.open()
    assert engine.client.images.get(engine.image).id == actuator.resolve(hand.good)
    missing = hand.good.model_copy(update={"image": "127.0.0.1:1/nowhere:1", "pull": "missing"})
    with pytest.raises(RuntimeError, match=r"^image 127\.0\.0\.1:1/nowhere:1 cannot be pulled: alpha: "):
        actuator.resolve(missing)
