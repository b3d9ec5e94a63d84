from __future__ import annotations

from flamegraph.layout import lay_out
from flamegraph.narrow import tabulate
from flamegraph.options import RenderOptions
from tests.flamegraph.profiles import profile

HALF = RenderOptions(min_percent=50)


def test_names_that_are_drawn_are_not_repeated() -> None:
    picture = lay_out(profile(("main;work", 98), ("main;main", 1), ("main;rest;work", 1)), HALF)

    table = tabulate(picture)

    # main 1 at depth 2; then rest, the own list's first, beside it; then work, drawn as the second, above it.
    assert (table.entries, table.names) == ("1,2,,1\n,0,1\n2", "\nrest")
    assert (table.kept, table.missing) == (3, 0)


def test_the_heavier_ones_stay_where_there_is_no_room_for_all() -> None:
    stacks = [("main", 900_000), *((f"main;thin{index:04}", 10 + index) for index in range(1000))]
    picture = lay_out(profile(*stacks), HALF)

    table = tabulate(picture, limit_bytes=5000)

    assert 4000 < len(table.entries) + len(table.names) <= 5000
    assert table.kept + table.missing == 1000
    assert ("thin0999" in table.names, "thin0000" in table.names) == (True, False)


def test_without_narrow_frames_the_table_is_empty() -> None:
    table = tabulate(lay_out(profile(("main", 1)), HALF))

    assert (table.entries, table.names, table.kept, table.missing) == ("", "", 0, 0)
