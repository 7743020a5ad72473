#!/usr/bin/env bash
# Starts a tool under Slurm: [GPUS=8] tools/slurm.sh PARTITION JOB_NAME TOOL [arguments of TOOL]
set -euo pipefail

PARTITION=$1
JOB_NAME=$2
TOOL=$3
GPUS_PER_NODE=${GPUS_PER_NODE:-8}

# SRUN_ARGS holds several words.
# shellcheck disable=SC2086
srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"$GPUS_PER_NODE" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/$TOOL" "${@:4}"
