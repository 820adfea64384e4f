"""Pushes metrics with UTF-8 names by Python's client library, for tests/utf8.rs: `push_utf8.py HOST:PORT`."""

import os
import sys

os.environ.setdefault("PROMETHEUS_LEGACY_NAME_VALIDATION", "false")

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import delete_from_gateway, generate_latest, push_to_gateway, pushadd_to_gateway
from prometheus_client.exposition import default_handler


def metrics():
    registry = CollectorRegistry()
    counter = Counter("my.consumed", "Messages.", ["a.b", "plain"], registry=registry)
    counter.labels("c", 'a "quoted"\\').inc(3)
    Gauge("größe in m²", "Not classic.", registry=registry).set(2)
    Gauge("plain_name", "Classic.", registry=registry).set(1)
    Histogram("took.seconds", "Time.", registry=registry).observe(0.2)
    Summary("size.bytes", "Sizes.", registry=registry).observe(7)
    return registry


def as_they_are(registry):
    """A handler that pushes names as they are: by itself the client pushes them escaped."""

    def handler(url, method, timeout, headers, data):
        data = generate_latest(registry, escaping="allow-utf-8")
        return default_handler(url, method, timeout, headers, data)

    return handler


def main(gateway):
    registry = metrics()
    handler = as_they_are(registry)
    push_to_gateway(gateway, "python", registry, handler=handler)
    key = {"instance": "a/b", "U__data_2e_center": "west"}
    pushadd_to_gateway(gateway, "python", registry, key, handler=handler)
    push_to_gateway(gateway, "gone", registry, key, handler=handler)
    delete_from_gateway(gateway, "gone", key)
    push_to_gateway(gateway, "escaped", CollectorRegistry(), {"zone": ""})
    escaped = CollectorRegistry()
    Gauge("written.otherwise", "By the client.", registry=escaped).set(3)
    push_to_gateway(gateway, "escaped", escaped)


if __name__ == "__main__":
    main(sys.argv[1])
