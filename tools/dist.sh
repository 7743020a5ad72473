#!/usr/bin/env bash
# Starts a tool on all processes of torchrun: tools/dist.sh GPUS TOOL [arguments of TOOL]
#
# MAX_RESTARTS: how often torchrun starts all processes again when one has failed (0 by default).
# SIGTERM, SIGINT and SIGUSR1 reach all processes as SIGTERM; the status is then 75.
set -uo pipefail

GPUS=${1:?expected GPUS TOOL [arguments]}
TOOL=${2:?expected GPUS TOOL [arguments]}

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    --max-restarts="${MAX_RESTARTS:-0}" \
    "$(dirname "$0")/$TOOL" "${@:3}" &
child=$!

stopped=0
trap 'stopped=1; kill -TERM "$child"' TERM INT USR1
wait "$child"
status=$?
# A signal ends `wait` before torchrun has ended.
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
done
((stopped)) && exit 75
exit "$status"
