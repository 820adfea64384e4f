#!/usr/bin/env bash
# The table app as a peer of the benchmark driver (workload count, mode restore); scripts/bench builds it.
here=$(dirname "$0")
. "$here/../settings.sh"
export NU_TABLE_PATH=${NU_TABLE_PATH:-$BENCH_STATE_DIR}
export NU_TABLE_CREATE_CHANGELOG=${NU_TABLE_CREATE_CHANGELOG:-true}
exec "$here/../../../target/release/examples/table_count"
