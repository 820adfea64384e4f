#!/usr/bin/env bash
# The funnel service as a peer of the benchmark driver: the same work as the typed app, as a mapping program.
# scripts/bench builds it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$BENCH_STATE_DIR
mkdir -p "$dir"
cp "$here/bench.vrl" "$dir/bench.vrl"
cp "$BENCH_OUTPUT_SCHEMA" "$dir/output.avsc"
cat > "$dir/funnel.yaml" <<YAML
program: bench.vrl
inputs: [{topic: $BENCH_INPUT}]
outputs: [{topic: $BENCH_OUTPUT, schema: output.avsc}]
YAML
export NU_FUNNEL_CONFIG=$dir/funnel.yaml
. "$here/../settings.sh"
exec "$here/../../../target/release/funnel" run
