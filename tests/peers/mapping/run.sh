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
export NU_APP_NAME=$BENCH_APP_ID NU_HOSTNAME=$BENCH_APP_ID-0
export NU_KAFKA_CLUSTERS_CONFIGS_JSON="{\"bench\": {\"url\": \"$BENCH_BOOTSTRAP\"}}" NU_TOPIC_CONFIGS_JSON="{}"
export NU_SCHEMA_REGISTRY_URL=$BENCH_REGISTRY
export NU_CONSUMER_AUTO_OFFSET_RESET=earliest NU_DO_METRICS_PUSHING=false NU_HEALTH_FILE=off
export NU_APP_THREADS=${NU_APP_THREADS:-${BENCH_THREADS:-1}} NU_LOGLEVEL=${BENCH_LOGLEVEL:-WARNING}
exec "$here/../../../target/release/funnel" run
