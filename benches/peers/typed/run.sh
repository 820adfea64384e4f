#!/usr/bin/env bash
# The typed app as a peer of the benchmark driver; scripts/bench builds it.
here=$(dirname "$0")
. "$here/../settings.sh"
exec "$here/../../../target/release/examples/funnel"
