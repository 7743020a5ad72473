"""Retrieval of captions by images and of images by captions."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..registry import METRICS
from ..utils.checks import check_positive

QUERIES_AT_A_TIME = 1024


@METRICS.register_module()
class ImageTextRecall(BaseMetric):
    """How often one of the k nearest is a match, in percent, in both directions.

    Several pairs may share an image (as in COCO, which has five captions of each) or a caption:
    each image and each caption is one candidate and one query, and all that it is in a pair with
    are its matches. MMPretrain's `RetrievalRecall` computes the same recall from the scores of a
    query and its matches, which no batch of pairs holds.

    Args:
        topk: Values of k.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: If a k is not positive.
    """

    default_prefix = 'retrieval'

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        for k in topk:
            check_positive('topk', k)
        self.topk = tuple(topk)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keeps the features of a batch.

        Args:
            data_batch: Not used.
            data_samples: Each with `image_features` and `text_features` `(E,)`, `tokens` `(L,)`
                and `img_path`; those without a caption are passed over.
        """
        for sample in data_samples:
            if 'text_features' in sample:
                features = (sample['image_features'], sample['text_features'])
                text = tuple(sample['tokens'].tolist())
                self.results.append((sample['img_path'], text, *(f.cpu() for f in features)))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Returns `image_to_text@1` and so on, in percent.

        Raises:
            ValueError: If no sample had a caption.
        """
        if not results:
            raise ValueError('ImageTextRecall: expected samples with captions, got none')
        images, image_of_pair, image_features = _unique(results, 0, 2)
        texts, text_of_pair, text_features = _unique(results, 1, 3)
        matches = torch.zeros(images, texts, dtype=torch.bool)
        matches[image_of_pair, text_of_pair] = True
        metrics = {}
        for name, ranks in (
            ('image_to_text', match_ranks(image_features, text_features, matches)),
            ('text_to_image', match_ranks(text_features, image_features, matches.T)),
        ):
            for k in self.topk:
                metrics[f'{name}@{k}'] = 100 * (ranks < k).double().mean().item()
        return metrics


def match_ranks(queries: Tensor, candidates: Tensor, matches: Tensor) -> Tensor:
    """Returns how many candidates are nearer than the nearest match, `(Q,)`.

    Args:
        queries: Features `(Q, E)`.
        candidates: Features `(N, E)`.
        matches: Whether they match, bool `(Q, N)`, at least one in each row.
    """
    found = []
    parts = zip(queries.split(QUERIES_AT_A_TIME), matches.split(QUERIES_AT_A_TIME), strict=True)
    for query, match in parts:
        scores = query @ candidates.T
        best = scores.masked_fill(~match, -torch.inf).amax(dim=1, keepdim=True)
        # not `scores > best`: NaN must not count as found
        found.append((~(scores <= best) & ~match).sum(dim=1))
    return torch.cat(found)


def _unique(results: list[tuple], key: int, features: int) -> tuple[int, Tensor, Tensor]:
    """Returns how many different items there are, the item of each pair, and the features."""
    numbers: dict = {}
    of_pair = [numbers.setdefault(pair[key], len(numbers)) for pair in results]
    first = {number: pair[features] for number, pair in zip(of_pair, results, strict=True)}
    return len(numbers), torch.tensor(of_pair), torch.stack(list(first.values()))
