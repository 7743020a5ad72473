"""Predictions in a few lines, where users of OpenMMLab look for them."""

from .inference import Classifier, Detector, Predictor, build_predictor
from .inferencer import Inferencer
from .zero_shot import ZeroShotClassifier

__all__ = [
    'Classifier',
    'Detector',
    'Inferencer',
    'Predictor',
    'ZeroShotClassifier',
    'build_predictor',
]
