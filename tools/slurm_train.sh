#!/usr/bin/env bash
# Trains under Slurm: [GPUS=8] tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments]
set -euo pipefail
exec bash "$(dirname "$0")/slurm.sh" "$1" "$2" train.py "$3" --work-dir "$4" --launcher slurm "${@:5}"
