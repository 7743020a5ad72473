"""Shows a plain scan of handwriting as it would look on coloured, cluttered ground."""

import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from .. import digits


@TRANSFORMS.register_module()
class WriteOnClutter(BaseTransform):
    """Takes an image as the opacity of ink and writes it on the ground of the digit scenes.

    A classifier that is trained so meets the colours and the clutter of the scenes that a
    detector will be trained on.

    Args:
        prob: Probability of doing so, in [0, 1]; otherwise the image stays as it is.

    Raises:
        ValueError: If `prob` is not in [0, 1].
    """

    def __init__(self, prob: float = 1.0) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'WriteOnClutter: prob must be in [0, 1], got {prob}')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Replaces `img`, a square white-on-black uint8 image `(S, S, 3)`."""
        # The global generator is the one that training seeds.
        if np.random.random() < self.prob:
            rng = np.random.default_rng(np.random.randint(2**31))
            opacity = results['img'][..., 0].astype(np.float32) / 255
            image = digits.paint_ground(rng, len(opacity))
            digits.write(rng, image, opacity)
            results['img'] = digits.add_grain(rng, image)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
