"""Pushes with Python's client library what an app would, for tests/clients.rs: `push.py HOST:PORT`."""

import sys

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway


def metrics():
    registry = CollectorRegistry()
    counter = Counter("py_consumed", 'Messages "consumed"\nso far: \\.', ["topic"], registry=registry)
    counter.labels('a "quoted"\\topic\n').inc(3)
    counter.labels("ünïcode").inc()
    Gauge("py_behind_seconds", "Age.", registry=registry).set(1.5e-9)
    Gauge("py_nan", "No number.", registry=registry).set(float("nan"))
    Histogram("py_took_seconds", "Time.", registry=registry).observe(0.2)
    Summary("py_size_bytes", "Sizes.", registry=registry).observe(7)
    Info("py_build", "Version.", registry=registry).info({"version": "1"})
    Enum("py_state", "State.", states=["up", "down"], registry=registry).state("up")
    return registry


def main(gateway):
    registry = metrics()
    push_to_gateway(gateway, "python", registry)
    push_to_gateway(gateway, "python", registry, {"instance": "a/b", "zone": ""})
    push_to_gateway(gateway, "gone", registry)
    delete_from_gateway(gateway, "gone")
    again = CollectorRegistry()
    Gauge("py_behind_seconds", "Age.", registry=again).set(2)
    pushadd_to_gateway(gateway, "python", again)
    push_to_gateway(gateway, "only-last", registry)
    push_to_gateway(gateway, "only-last", again)
    push_to_gateway(gateway, "packed", registry, compression="gzip")
    clash = CollectorRegistry()
    Counter("py_behind_seconds_total", "Not a clash.", registry=clash).inc()
    Gauge("py_took_seconds_count", "Clashes with the histogram.", registry=clash).set(1)
    try:
        push_to_gateway(gateway, "clash", clash)
    except OSError as error:
        print("refused:", error)


if __name__ == "__main__":
    main(sys.argv[1])
