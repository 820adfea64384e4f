#!/usr/bin/env bash
# The table app as a peer of the benchmark driver (workload count, mode restore); scripts/bench builds it.
exec "$(dirname "$0")/../../../target/release/examples/table_count"
