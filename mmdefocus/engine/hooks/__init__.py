"""Hooks for training."""

from .aux_head_hook import AuxHeadHook
from .drop_path_schedule_hook import DropPathScheduleHook
from .epoch_seed_hook import EpochSeedHook
from .interim_checkpoint_hook import InterimCheckpointHook
from .non_finite_loss_hook import NonFiniteLossHook
from .training_state_hook import TrainingStateHook

__all__ = [
    'AuxHeadHook',
    'DropPathScheduleHook',
    'EpochSeedHook',
    'InterimCheckpointHook',
    'NonFiniteLossHook',
    'TrainingStateHook',
]
