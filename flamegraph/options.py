"""What can be asked of a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["flame", "icicle", "chart", "left-heavy", "reversed"]
Colors = Literal["gem", "hot", "file", "safe"]

LAYOUTS: tuple[Layout, ...] = ("flame", "icicle", "chart", "left-heavy", "reversed")
COLORS: tuple[Colors, ...] = ("gem", "hot", "file", "safe")

# flamegraph.pl's cut: 0.1 px of the 1,180 px that a picture of 1,200 px leaves for frames.
MIN_PERCENT = 10 / 1180

_UNSAFE_SCHEMES = ("javascript", "data", "vbscript")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How to draw one profile; the defaults are the picture that most people want.

    `min_percent` is the share of the total under which a frame is not drawn. `inverted` turns the layout's own
    direction round. `width` is the width of the picture until a script makes it fluid; `fluid` False keeps it.
    `count_name` replaces the profile's unit. `link` is a template of `{file}` and `{line}`. `normalize` belongs
    to diffs: totals of the first profile are scaled to those of the second.
    """

    layout: Layout = "flame"
    inverted: bool = False
    title: str = ""
    subtitle: str = ""
    width: int = 1200
    fluid: bool = True
    min_percent: float = MIN_PERCENT
    colors: Colors = "gem"
    count_name: str = ""
    link: str = ""
    normalize: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError with one line that names the option, its value and the rule."""
        if self.layout not in LAYOUTS:
            raise ValueError(f"layout is one of {', '.join(LAYOUTS)}, was {self.layout!r}")
        if self.colors not in COLORS:
            raise ValueError(f"colors is one of {', '.join(COLORS)}, was {self.colors!r}")
        if not 300 <= self.width <= 20_000:
            raise ValueError(f"width is 300 to 20000 pixels, was {self.width}")
        if not 0 <= self.min_percent < 100:
            raise ValueError(f"min_percent is at least 0 and below 100, was {self.min_percent}")
        scheme = self.link.partition(":")[0].strip().lower()
        if self.link and (not scheme.replace("-", "").isalnum() or scheme in _UNSAFE_SCHEMES):
            raise ValueError(f"link starts with the scheme of an editor or of the web, was {self.link!r}")

    @property
    def root_on_top(self) -> bool:
        """Whether the picture grows downwards."""
        return (self.layout in ("icicle", "chart", "left-heavy")) != self.inverted
