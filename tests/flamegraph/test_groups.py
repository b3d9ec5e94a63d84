from __future__ import annotations

import pytest

from flamegraph.groups import Share, classify, gem_name, group_of, shares
from flamegraph.profile import Frame
from tests.flamegraph.profiles import profile


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("/srv/app/app/models/cart.rb", "app"),
        ("app/models/cart.rb", "app"),
        ("config.ru", "app"),
        ("/usr/local/bundle/gems/rack-2.2.8/lib/rack/etag.rb", "rack 2.2.8"),
        ("/usr/lib/ruby/gems/3.1.0/gems/json-2.6.1/lib/json.rb", "json 2.6.1"),
        ("/srv/app/vendor/bundle/ruby/3.1.0/gems/nokogiri-1.13.10-x86_64-linux/lib/n.rb", "nokogiri 1.13.10"),
        (
            "/home/me/.rbenv/versions/3.2.2/lib/ruby/gems/3.2.0/gems/rack-mini-profiler-3.1.0/lib/p.rb",
            "rack-mini-profiler 3.1.0",
        ),
        ("/usr/local/bundle/bundler/gems/rails-0123456789ab/activerecord/lib/base.rb", "rails"),
        ("/srv/app/gems/pricing/lib/pricing.rb", "pricing"),
        ("/b/gems/rails-7.1.2/lib/generators/gems/templates/a.rb", "rails 7.1.2"),
        ("gem:rack-2.2.8:lib/rack.rb", "rack 2.2.8"),
        ("/usr/lib/ruby/3.1.0/json/common.rb", "stdlib"),
        ("/home/me/.rbenv/versions/3.2.2/lib/ruby/3.2.0/set.rb", "stdlib"),
        ("rubylib:3.3:set.rb", "stdlib"),
        ("/usr/lib/ruby/vendor_ruby/sqlite3/database.rb", "system"),
        ("/usr/bin/puma", "system"),
        ("(eval at /srv/app/lib/shop.rb:12)", "app"),
        ("<cfunc>", None),
        ("<internal:kernel>", None),
        ("(eval)", None),
        ("", None),
    ],
)
def test_a_file_belongs_to(file: str, group: str | None) -> None:
    assert group == group_of(Frame("m", file))


def test_garbage_collection_is_a_group_of_its_own() -> None:
    assert group_of(Frame("(sweeping)")) == "GC"


def test_a_gem_keeps_its_name_over_versions() -> None:
    assert gem_name("rack 2.2.8") == gem_name("rack 3.0.0") == "rack"


def test_frames_of_unknown_groups_are_marked() -> None:
    assert classify([Frame("a", "app/a.rb"), Frame("b", "<cfunc>")]) == (["no file", "app"], [1, -1])


RACK = Frame("Rack#call", "/gems/rack-2.2.8/rack.rb")
APP = Frame("Cart#total", "app/cart.rb")
EACH = Frame("Array#each", "<cfunc>")


def test_a_c_function_counts_for_its_caller() -> None:
    seen = profile(("Rack#call;Cart#total;Array#each", 3), ("Rack#call;Array#each", 1), frames=[RACK, APP, EACH])

    assert shares(seen) == [Share("app", 3, 3), Share("rack 2.2.8", 1, 4)]


def test_a_group_that_calls_itself_counts_once() -> None:
    seen = profile(("Cart#total;Rack#call;Cart#total", 5), frames=[RACK, APP])

    assert shares(seen) == [Share("app", 5, 5), Share("rack 2.2.8", 0, 5)]


def test_a_c_function_without_a_caller_has_no_file() -> None:
    assert shares(profile(("Array#each", 2), frames=[EACH])) == [Share("no file", 2, 2)]
