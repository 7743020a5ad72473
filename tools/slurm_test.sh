#!/usr/bin/env bash
# Tests under Slurm: [GPUS=8] tools/slurm_test.sh PARTITION JOB_NAME CONFIG CKPT [arguments]
set -euo pipefail
exec bash "$(dirname "$0")/slurm.sh" "$1" "$2" test.py "$3" "$4" --launcher slurm "${@:5}"
