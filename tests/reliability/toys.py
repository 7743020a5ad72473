"""What trainings that test the engine read."""

import random

import numpy as np
import torch
from mmengine.registry import DATASETS


@DATASETS.register_module()
class ToyDataset(torch.utils.data.Dataset):
    """Samples that show the state of each random generator."""

    metainfo = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        draws = [1.0 + index, random.random(), np.random.rand(), torch.rand(1).item()]
        return dict(inputs=torch.tensor(draws))
