"""Predictions in a few lines, where users of OpenMMLab look for them."""

from .inference import Classifier, Detector, Predictor, build_predictor

__all__ = ['Classifier', 'Detector', 'Predictor', 'build_predictor']
