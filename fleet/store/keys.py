"""The name of every key and channel of one app; the braces are a cluster's hash tag and stand for themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one app of one fleet."""

    fleet: str
    app: str

    def _key(self, name: str) -> str:
        return f"{self.fleet}:{{{self.app}}}:{name}"

    @property
    def instances(self) -> str:
        """How many backends serve: a plain number, for people and scripts."""
        return self._key("instances")

    @property
    def backends(self) -> str:
        """The registry: name -> JSON."""
        return self._key("backends")

    @property
    def generation(self) -> str:
        """Grows with every publication; its absence means that the store holds no data."""
        return self._key("generation")

    @property
    def serial(self) -> str:
        """The last instance number given out."""
        return self._key("serial")

    @property
    def definition(self) -> str:
        """What new instances are started with, and what they were started with before."""
        return self._key("definition")

    @property
    def lease(self) -> str:
        """Who acts: `<scaler id>:<token>`, always with an end."""
        return self._key("lease")

    @property
    def token(self) -> str:
        """The last fencing token and the run id of the server that gave it: `<token>:<run id>`."""
        return self._key("token")

    @property
    def scalers(self) -> str:
        """The scalers' ids, scored by the server's time when each was last seen."""
        return self._key("scalers")

    @property
    def scaler(self) -> str:
        """What the acting scaler last saw and decided."""
        return self._key("scaler")

    @property
    def orders(self) -> str:
        """The stream of people's orders."""
        return self._key("orders")

    @property
    def events(self) -> str:
        """The stream of the fleet's history."""
        return self._key("events")

    @property
    def proxies(self) -> str:
        """The ids of the proxies that have not left, scored by the server's time when each last wrote."""
        return self._key("proxies")

    @property
    def lasting(self) -> str:
        """The set of those among them that outlive their agent; a silent one's own key no longer says so."""
        return self._key("lasting")

    @property
    def proxy_prefix(self) -> str:
        """What stands before a proxy's id in the name of its key."""
        return self._key("proxy:")

    def proxy(self, proxy: str) -> str:
        """The key of one proxy's counters."""
        return self.proxy_prefix + proxy

    @property
    def crashes(self) -> str:
        """The stream of failed requests and of what was captured of them."""
        return self._key("crashes")

    @property
    def crash_index(self) -> str:
        """The ids of the documents that are kept, scored by the server's time when each was written."""
        return self._key("crash-index")

    @property
    def crash_prefix(self) -> str:
        """What stands before a crash's id in the name of its document's key."""
        return self._key("crash:")

    def crash(self, crash_id: str) -> str:
        """The key of one crash's document."""
        return self.crash_prefix + crash_id

    @property
    def webhooks(self) -> str:
        """How far messages about the streams of events and crashes were delivered."""
        return self._key("webhooks")

    @property
    def webhooks_lock(self) -> str:
        """Who delivers them, always with an end."""
        return self._key("webhooks-lock")

    @property
    def changes(self) -> str:
        """The channel on which each new generation is told."""
        return self._key("changes")

    @property
    def wake(self) -> str:
        """The channel that asks the scaler to look at once."""
        return self._key("wake")
