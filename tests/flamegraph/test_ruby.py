"""Real Ruby: what it records, dumps and logs is what is read."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flamegraph
from flamegraph.cli import main
from flamegraph.fold import fold
from flamegraph.readers.marshal import load
from tests.flamegraph.readers.ruby import dump

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

RECORD = """
require "stackprof"
class Shop
  def cart(n) = n.zero? ? spin : cart(n - 1)
  def spin = 40_000.times { |i| [i.to_s * 3, { i => "x" }].hash }
end
mode, out, interval = ARGV
metadata = { at: Time.now, path: "/caf\\u00e9", n: 1 << 80 }
profile = StackProf.run(mode: mode.to_sym, raw: true, interval: interval.to_i, metadata: metadata) do
  8.times { Shop.new.cart(20) }
end
File.binwrite(out, Marshal.dump(profile))
"""
LOG = """
require "logger"
require "active_support"
require "active_support/tagged_logging"
require "action_controller/railtie"
class Broken < Rails::Application
  config.eager_load = false
  config.secret_key_base = "x" * 32
  config.hosts.clear
  config.consider_all_requests_local = false
  config.action_dispatch.show_exceptions = true
  config.log_tags = [:request_id] if ARGV[1] == "tagged"
  file = Logger.new(ARGV[0], formatter: Logger::Formatter.new)
  config.logger = ActiveSupport::TaggedLogging.new(file)
end
class FaultsController < ActionController::Base
  def index = deep(4)
  def deep(n) = n.zero? ? {}.fetch(:gone) : deep(n - 1)
end
Broken.initialize!
Broken.routes.draw { get "/fault" => "faults#index" }
3.times { Rack::MockRequest.new(Broken).get("/fault?n=1") }
"""


def ruby(code: str, *arguments: str, needs: str = "") -> str:
    if shutil.which("ruby") is None:
        pytest.skip("ruby is absent")
    if needs and subprocess.run(["ruby", "-e", f"require '{needs}'"], capture_output=True, check=False).returncode:
        pytest.skip(f"ruby's {needs} is absent")
    found = subprocess.run(["ruby", "-e", code, *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize(("mode", "interval"), [("wall", "500"), ("cpu", "500"), ("object", "20")])
def test_a_recording_is_folded_as_stackprof_folds_it(mode: str, interval: str, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.dump"
    ruby(RECORD, mode, str(recorded), interval, needs="stackprof")
    told = subprocess.run(["stackprof", "--stackcollapse", str(recorded)], capture_output=True, check=True)
    found = flamegraph.read(recorded)

    assert list(fold(found, time_order=True)) == told.stdout.decode().splitlines()
    assert (found.mode, found.interval, found.metadata["path"]) == (mode, int(interval), "/café")
    assert main(["render", str(recorded), "-o", str(tmp_path / "out.svg")]) == 0
    assert "Shop#cart" in (tmp_path / "out.svg").read_text()


def test_the_json_of_a_recording_is_the_same_profile(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.dump"
    ruby(RECORD, "wall", str(recorded), "500", needs="stackprof")
    code = "require 'json'; print JSON.generate(Marshal.load(File.binread(ARGV[0])), max_nesting: false)"
    told = flamegraph.read(ruby(code, str(recorded)).encode())
    found = flamegraph.read(recorded)

    assert list(fold(found, time_order=True, files=True)) == list(fold(told, time_order=True, files=True))
    assert found.starts_us == told.starts_us


@pytest.mark.parametrize("tagged", ["tagged", ""])
def test_the_log_of_a_rails_app_is_read(tagged: str, tmp_path: Path) -> None:
    log = tmp_path / "production.log"
    ruby(LOG, str(log), tagged, needs="action_controller/railtie")
    found = flamegraph.read(log)
    names = [[found.frames[each].name for each in found.stacks[index]] for index in found.order]

    assert len(names) == 3
    assert all(stack[0] == "GET /fault" and stack[-1] == "KeyError" for stack in names)
    assert all(stack.count("deep") == 5 for stack in names)


MARSHALLED = """
Point = Struct.new(:x, :y)
class Box; attr_accessor :inner; end
class Own; def marshal_dump = [1, "two"]; def marshal_load(it) = nil; end
class Old; def _dump(_) = "old"; def self._load(_) = new; end
box = Box.new
box.inner = box
text = "shared"
values = [1.5, -0.0, 1 << 70, -(1 << 70), 1 << 40, Point.new(1, text), box, Own.new, Old.new, Old.new, /a/]
values += [Math, String, { 1 => text }.tap { |h| h.default = text }, "caf\\u00e9".encode("ISO-8859-1")]
values += [:"gr\\u00fc\\u00dfe", Time.at(0, in: "+02:00"), 3r, 2i, 1..3, "x".extend(Comparable), "y", text, box]
values += [[text] * 3, ArgumentError.new("no")]
values << values
print [Marshal.dump(values)].pack("m0")
"""


def test_every_type_that_ruby_dumps_is_read_with_its_links() -> None:
    import base64

    found = load(base64.b64decode(ruby(MARSHALLED)))

    assert isinstance(found, list)
    assert found[:5] == [1.5, -0.0, 1 << 70, -(1 << 70), 1 << 40]
    assert found[14:16] == ["café", "grüße"]
    assert found[22] == "shared"
    assert found[23] is found[6]
    assert found[24] == ["shared"] * 3
    assert found[-1] is found


@settings(max_examples=8, deadline=None)
@given(st.lists(st.one_of(st.integers(), st.text(), st.floats(allow_nan=False)), max_size=20))
def test_what_the_tests_write_is_what_ruby_reads(values: list[object]) -> None:
    import base64

    code = 'values = Marshal.load(ARGV[0].unpack1("m")); print [Marshal.dump(values)].pack("m0")'
    again = ruby(code, base64.b64encode(dump(values)).decode())

    assert load(base64.b64decode(again)) == values
