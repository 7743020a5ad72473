"""Hooks for training."""

from .aux_head_hook import AuxHeadHook
from .draw_hook import DrawHook
from .drop_path_schedule_hook import DropPathScheduleHook
from .epoch_seed_hook import EpochSeedHook
from .interim_checkpoint_hook import InterimCheckpointHook
from .non_finite_loss_hook import NonFiniteLossHook
from .over_focus_hook import OverFocusHook
from .training_state_hook import TrainingStateHook

__all__ = [
    'AuxHeadHook',
    'DrawHook',
    'DropPathScheduleHook',
    'EpochSeedHook',
    'InterimCheckpointHook',
    'NonFiniteLossHook',
    'OverFocusHook',
    'TrainingStateHook',
]
