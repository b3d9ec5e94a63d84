"""What people order while things break: sizes, releases, canaries; and that they see to it where data was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.registry import Order, OrderKind

if TYPE_CHECKING:
    from tests.chaos.simulated.plan import Fault
    from tests.chaos.simulated.world import World

LOOKS_EVERY_S = 20.0
SHARE = 20


def place(world: World, order: Order) -> None:
    """Where the store does not answer, they try again; nobody takes back what is not yet ordered."""
    world.unplaced.append(order)
    if len(world.unplaced) == 1:
        _send(world)


def _send(world: World) -> None:
    while world.unplaced and world.server.reachable("person"):
        world.server.memory.place(world.unplaced.popleft())
    if world.unplaced:
        world.timeline.after(1.0, lambda: _send(world))


def scale(world: World, fault: Fault) -> None:
    """A size, until it is taken back."""
    place(world, Order(OrderKind.SCALE, int(fault.how)))
    _later(world, fault.lasts_s, OrderKind.AUTO)


def pause(world: World, fault: Fault) -> None:
    """No decisions, until that is taken back."""
    place(world, Order(OrderKind.PAUSE))
    _later(world, fault.lasts_s, OrderKind.RESUME)


def _later(world: World, seconds: float, back: OrderKind) -> None:
    world.taken_back[back] = world.timeline.now + seconds
    world.timeline.after(seconds, lambda: place(world, Order(back)))


def deploy(world: World, fault: Fault) -> None:
    """An image, named by how it behaves; where the fault lasts they insist on it until then."""
    image = f"{fault.how}-{fault.at:g}"
    if not fault.lasts_s:
        place(world, Order(OrderKind.DEPLOY, image=image))
        return
    over = world.timeline.now + fault.lasts_s

    def look() -> None:
        if world.timeline.now < over:
            _insist(world, image)
            world.timeline.after(LOOKS_EVERY_S, look)

    look()


def _insist(world: World, image: str) -> None:
    releases = world.server.memory._stored.releases
    if releases is not None and releases.canary is not None:
        place(world, Order(OrderKind.ABORT))
    elif releases is None or (releases.target.image != image and releases.rollout is None and releases.asked is None):
        place(world, Order(OrderKind.DEPLOY, image=image))


def rollback(world: World, fault: Fault) -> None:
    """To the previous release, if there is one."""
    del fault
    place(world, Order(OrderKind.ROLLBACK))


def canary(world: World, fault: Fault) -> None:
    """A share of the traffic for an image; in the end it is promoted where that was good, or else aborted."""
    place(world, Order(OrderKind.DEPLOY, image=f"{fault.how}-{fault.at:g}", share=SHARE))
    if fault.how == "good":
        world.timeline.after(fault.lasts_s / 2, lambda: place(world, Order(OrderKind.PROMOTE)))
    _later(world, fault.lasts_s, OrderKind.ABORT)
