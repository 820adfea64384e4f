"""Prints what the benchmark's goals are about: ratios between peers of one run, medians over its rounds."""

import json
import statistics
import sys

runs = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
for run in runs:
    if run["mode"] == "throughput" and not run["exactly_once"]:
        print(f"NOT EXACTLY ONCE: {run['peer']}, run of {run['at']}")


def median(peer, field, mode="throughput", **match):
    found = [
        run[field]
        for run in runs
        if run["peer"] == peer and run["mode"] == mode and run.get(field) is not None
        and all(run.get(name) == value for name, value in match.items())
    ]
    return statistics.median(found) if found else None


def ratio(what, peer, other, field, goal, mode="throughput", workload="funnel"):
    ours, theirs = (median(name, field, mode, workload=workload) for name in (peer, other))
    if ours is None or not theirs:
        return
    value = ours / theirs
    met = value >= goal if goal_is_floor(field) else value <= goal
    sign = ">=" if goal_is_floor(field) else "<="
    print(f"{what:<42} {value:6.2f}   goal {sign} {goal:.2f}   {'met' if met else 'MISSED'}")


def goal_is_floor(field):
    return field == "rate"


ratio("typed / bare, messages/s", "typed", "bare", "rate", 0.95)
ratio("typed / bare, CPU a message", "typed", "bare", "cpu_s_per_million", 1.15)
ratio("mapping / typed, messages/s", "mapping", "typed", "rate", 0.60)
ratio("typed / Kafka Streams, messages/s", "typed", "streams", "rate", 2.0)
ratio("typed / Kafka Streams, CPU a message", "typed", "streams", "cpu_s_per_million", 1 / 3)
ratio("typed / Kafka Streams, peak memory", "typed", "streams", "peak_rss_mb", 1 / 3)
ratio("table / Kafka Streams, counts/s", "table", "streams", "rate", 2.0, workload="count")
ratio("table / Kafka Streams, CPU a count", "table", "streams", "cpu_s_per_million", 1 / 3, workload="count")
ratio("table / Kafka Streams, start with no store", "table", "streams", "cold_all_s", 0.5, "restore", "count")
for rate in (200.0, 2000.0):
    for peer in ("typed", "mapping"):
        p99 = median(peer, "p99_ms", mode="latency", rate_target=rate)
        if p99 is not None:
            met = "met" if p99 <= 20 else "MISSED"
            print(f"{peer + f', p99 at {rate:.0f}/s, ms':<42} {p99:6.1f}   goal <= 20.0   {met}")
