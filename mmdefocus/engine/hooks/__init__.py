"""Hooks for training."""

from .aux_head_hook import AuxHeadHook
from .clear_folder_hook import ClearFolderHook
from .draw_hook import DrawHook
from .drop_path_schedule_hook import DropPathScheduleHook
from .epoch_seed_hook import EpochSeedHook
from .finite_weights_hook import FiniteWeightsHook
from .interim_checkpoint_hook import InterimCheckpointHook
from .non_finite_loss_hook import NonFiniteLossHook
from .over_focus_hook import OverFocusHook
from .sample_order_hook import SampleOrderHook
from .schedule_end_hook import ScheduleEndHook
from .training_state_hook import TrainingStateHook
from .whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    'AuxHeadHook',
    'ClearFolderHook',
    'DrawHook',
    'DropPathScheduleHook',
    'EpochSeedHook',
    'FiniteWeightsHook',
    'InterimCheckpointHook',
    'NonFiniteLossHook',
    'OverFocusHook',
    'SampleOrderHook',
    'ScheduleEndHook',
    'TrainingStateHook',
    'WholeCheckpointHook',
]
