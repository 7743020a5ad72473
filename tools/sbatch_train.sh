#!/usr/bin/env bash
# Queues a training that survives time limits and preemption:
#   sbatch [options of sbatch] tools/sbatch_train.sh CONFIG WORK_DIR [arguments of train.py]
# Slurm sends SIGUSR1 to all processes 3 minutes before the end: they finish the step, save and end
# with status 75, and the job is queued again, to go on. --signal of sbatch sets another time.
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=5
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

CONFIG=$1
WORK_DIR=$2
# Slurm runs a copy of this file: the tools are found from where the job was queued.
TOOLS=${TOOLS:-$SLURM_SUBMIT_DIR/tools}

status=0
srun --kill-on-bad-exit=1 python -u "$TOOLS/train.py" "$CONFIG" --work-dir "$WORK_DIR" \
    --launcher slurm --resume "${@:3}" || status=$?
if ((status == 75)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
