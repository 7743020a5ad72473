#!/usr/bin/env bash
# Starts a tool on all processes of torchrun: tools/dist.sh GPUS TOOL [arguments of TOOL]
set -euo pipefail

GPUS=$1
TOOL=$2

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/$TOOL" "${@:3}"
