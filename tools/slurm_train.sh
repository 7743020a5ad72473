#!/usr/bin/env bash
# Trains under Slurm: [GPUS=8] tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments]
#
# SIGUSR1 comes 3 minutes before a time limit: the training is saved and ends with status 75.
# sbatch_train.sh queues it again by itself.
set -euo pipefail
export SRUN_ARGS="--signal=USR1@180 ${SRUN_ARGS:-}"
exec bash "$(dirname "$0")/slurm.sh" "$1" "$2" train.py "$3" --work-dir "$4" --launcher slurm "${@:5}"
