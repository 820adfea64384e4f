#!/usr/bin/env bash
# The typed app as a peer of the benchmark driver; scripts/bench builds it.
exec "$(dirname "$0")/../../../target/release/examples/funnel"
