"""Crashes that are put into stores, and documents as the middleware writes them."""

from __future__ import annotations

import json
from typing import Any

from fleet.crash import Failure, Symptom


def failure(crash_id: str = "c1", **changes: Any) -> Failure:
    given: dict[str, Any] = {
        "id": crash_id,
        "at": 1_732_345_678.125,
        "plane": "mitmproxy",
        "proxy": "mitmproxy-web-8080",
        "backend": "production1",
        "method": "GET",
        "path": "/orders/1",
        "status": 500,
        "failure": Symptom.STATUS,
        "duration_ms": 12.3,
    }
    return Failure(**(given | changes))


def document(crash_id: str = "c1", **changes: Any) -> bytes:
    content: dict[str, Any] = {
        "stoker_crash": 1,
        "id": crash_id,
        "why": "raised",
        "at": 1732345678.123,
        "request": {
            "method": "GET",
            "path": "/orders/1",
            "status": None,
            "started_at_us": 1,
            "stopped_at_us": 12_301,
            "duration_ms": 12.3,
        },
        "exception": {
            "class": "ZeroDivisionError",
            "message": "divided by 0",
            "backtrace": [
                "/usr/lib/ruby/gems/3.1.0/gems/money-1/lib/money.rb:7:in `/'",
                "/srv/app/app/models/order.rb:12:in `share'",
                "/srv/app/app/controllers/orders_controller.rb:5:in `show'",
            ],
            "frames": 3,
            "cut": False,
            "cause": None,
        },
        "profiled": True,
        "unprofiled": "",
        "threads": "own",
        "mode": "wall",
        "stopped": "return",
        "versions": {"ruby": "3.1.2", "rack": "2.2.6", "rails": None, "stackprof": "0.2.26"},
        "root": "/srv/app",
        "pid": 123,
        "host": "web",
        "profile": {"mode": "wall", "interval": 1000, "frames": {}, "raw": [1, 2, 3]},
    }
    return json.dumps(content | changes).encode()
