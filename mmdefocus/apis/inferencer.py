"""One class for predictions, used as the inferencers of mmdet and mmpretrain are."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import BaseDataElement

from ..datasets.config_parts import type_name
from ..engine.config.check import check_parts
from ..engine.config.command_line import read_config
from ..engine.config.errors import config_errors
from ..utils.checks import check_path, check_positive_int, check_share
from ..utils.config_keys import check_keys
from ..utils.errors import InputError
from ..utils.files import replacing
from .images import NamedImage, Source, files_of, read_images
from .inference import Predictor, build_predictor
from .picture_files import PictureFiles
from .zero_shot import ZeroShotClassifier


class Inferencer:
    """Classifies images, finds objects in them, or tells which labels fit them.

    Args:
        model: A config, or the file of one: of mmpretrain, of mmdet, or of a `DefocusCLIP`.
        weights: A `.pth` or `.safetensors` file, or an address of one.
        device: Where to compute; by default as MMEngine chooses.
        labels: Of a `DefocusCLIP`, which needs them: at least two texts.
        templates: Of a `DefocusCLIP`: captions with `{}` for the label, or 'imagenet' for the 80 of
            CLIP.

    Attributes:
        predictor: A `Classifier`, `Detector` or `ZeroShotClassifier`.

    Raises:
        InputError: If the config cannot be read, lacks a key or has one that cannot be used, the
            weights do not fit it, there is no such device, or labels are missing or superfluous.
    """

    def __init__(
        self,
        model: str | Path | Config,
        weights: str | Path,
        device: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | str = ('{}',),
    ) -> None:
        self._pictures = PictureFiles()
        check_path('weights', weights)
        cfg = model if isinstance(model, Config) else _read_config(model)
        with config_errors(cfg):
            check_keys(cfg, ('model', 'test_dataloader'))
            check_parts(cfg)
            self.predictor: Predictor
            if labels is not None:
                self.predictor = ZeroShotClassifier(cfg, str(weights), labels, templates, device)
            elif type_name(cfg.model.get('type')) == 'DefocusCLIP':
                raise InputError('labels: expected at least two texts for a DefocusCLIP, got None')
            else:
                self.predictor = build_predictor(cfg, str(weights), device)

    def __call__(
        self,
        inputs: Source | Iterable[Source],
        batch_size: int = 1,
        *,
        out_dir: str | Path | None = None,
        pred_score_thr: float = Predictor.score_threshold,
        return_datasamples: bool = False,
    ) -> list[dict[str, Any]] | list[BaseDataElement]:
        """Predicts images.

        Images share a batch if the pipeline makes them equal in size. None is padded for the sake
        of another one, so that predictions do not depend on `batch_size`.

        Args:
            inputs: One, or an iterable of several, which is read as it is predicted: the path of an
                image or of a folder of images, an address of http or https, an image of Pillow, or
                an array, BGR `(H, W, 3)` or grey `(H, W)`, of uint8, of uint16, whose range is that
                of its data, or of floats in [0, 1].
            batch_size: How many images are read before they are predicted, at least 1.
            out_dir: Pictures of what was found are written here. Each has a name of its own, also
                among those of other calls; one of an earlier process is replaced.
            pred_score_thr: Boxes of a lower score, in [0, 1], are not drawn; the result has them
                all.
            return_datasamples: Whether to return the data samples of the model.

        Returns:
            The data samples if they were asked for, else a dict for each image: `image`, its name;
            `width` and `height` in pixels; `picture`, its file, if there is an `out_dir`; and a
            list, the best first, of dicts with a `score` in [0, 1]. This is `classes`, at most
            five, with `label`, a number, and `name`; or `boxes`, which also have `bbox`, x1, y1,
            x2, y2 in pixels of the image; or `labels`, whose `label` is a text.

        Raises:
            InputError: Names the input that cannot be read, or one in `out_dir` that its picture
                would replace.
            OSError: If a picture cannot be written; what can be found out about `out_dir` is before
                anything is computed.
            ValueError: If `batch_size` or `pred_score_thr` is out of its range.
        """
        check_positive_int('batch_size', batch_size)
        check_share('pred_score_thr', pred_score_thr)
        self.predictor.score_threshold = pred_score_thr
        if out_dir is not None:
            check_path('out_dir', out_dir)
            self._pictures.check(Path(out_dir), files_of(inputs))
        samples, results = [], []
        for image, sample in self._predictions(inputs, batch_size):
            height, width = image.pixels.shape[:2]
            found = self.predictor.describe(sample)
            results.append({'image': image.name, 'width': width, 'height': height, **found})
            samples.append(sample)
            if out_dir is not None:
                path = self._pictures.choose(Path(out_dir), image)
                with replacing(path) as picture:
                    self.predictor.draw(image.pixels, sample, picture)
                results[-1]['picture'] = str(path)
        return samples if return_datasamples else results

    def _predictions(
        self, inputs: Source | Iterable[Source], batch_size: int
    ) -> Iterator[tuple[NamedImage, BaseDataElement]]:
        """Yields the images in their order, with what is predicted of them."""
        images = read_images(inputs, self.predictor.loader)
        while chunk := list(islice(images, batch_size)):
            ready = [self.predictor.prepare(image.pixels, image.name) for image in chunk]
            shapes = [tuple(sample['inputs'].shape) for sample in ready]
            found: dict[int, BaseDataElement] = {}
            for shape in dict.fromkeys(shapes):
                places = [place for place, other in enumerate(shapes) if other == shape]
                batch = pseudo_collate([ready[place] for place in places])
                found.update(zip(places, self.predictor.predict(batch), strict=True))
            yield from ((image, found[place]) for place, image in enumerate(chunk))


def _read_config(model: str | Path) -> Config:
    check_path('model', model)
    return read_config(str(model), {})
