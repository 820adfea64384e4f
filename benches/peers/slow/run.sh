#!/usr/bin/env bash
# The typed app and the table app as peers whose function calls another service; scripts/bench-slow-calls builds them.
export NU_APP_CONCURRENCY=${NU_APP_CONCURRENCY:-${BENCH_CONCURRENCY:-64}}
case "${BENCH_WORKLOAD:-funnel}" in count) app=table ;; *) app=typed ;; esac
exec "$(dirname "$0")/../$app/run.sh"
