"""Files of weights: read as data, checked against a model, translated from released names."""
