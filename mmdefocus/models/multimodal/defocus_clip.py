"""CLIP with a causal image encoder (Appendix B.4)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmdefocus.ops.numerics import wide_dtype
from mmdefocus.registry import MODELS
from mmdefocus.utils.captions import check_length, check_templates, open_clip, tokenize
from mmdefocus.utils.checks import check_choice, check_positive, check_texts

CLASSES_AT_A_TIME = 10


@MODELS.register_module()
class DefocusCLIP(BaseModel):
    """Encodes images and captions so that the features of a pair are near each other.

    Args:
        vision_backbone: Config of a backbone that returns `((B, C),)` and has `embed_dims`, C: any
            De-focus backbone with `out_type='cls_token'`, `OpenCLIPViT`, or one of MMPretrain.
        text_encoder: Config of `OpenCLIPText` or `SequenceText`, without `out_dims`.
        loss: Config of a `ContrastiveLoss`; by default that of CLIP.
        embed_dims: E, channels of the features.
        chunk_size: If given, a training step encodes so many pairs at a time and forgets all but
            their features; the backward encodes them again (GradCache, arXiv 2101.06983). The
            memory is that of one chunk, the gradient that of the whole batch.
        data_preprocessor: As in MMEngine.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If a number is not positive, or the backbone returns more than the CLS token.
    """

    def __init__(
        self,
        vision_backbone: dict,
        text_encoder: dict,
        loss: dict | None = None,
        embed_dims: int = 512,
        chunk_size: int | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        check_positive('embed_dims', embed_dims)
        if chunk_size is not None:
            check_positive('chunk_size', chunk_size)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.vision_backbone = MODELS.build(vision_backbone)
        out_type = getattr(self.vision_backbone, 'out_type', 'cls_token')
        check_choice('out_type of vision_backbone', out_type, ('cls_token',))
        width = self.vision_backbone.embed_dims
        self.vision_projection = nn.Linear(width, embed_dims, bias=False)
        nn.init.normal_(self.vision_projection.weight, std=width**-0.5)
        self.text_encoder = MODELS.build({'out_dims': embed_dims, **text_encoder})
        self.loss_module = MODELS.build(loss or {'type': 'SoftmaxContrastiveLoss'})
        self.chunk_size = chunk_size

    @property
    def context_length(self) -> int:
        """Tokens of a caption, L."""
        return self.text_encoder.context_length

    def encode_image(self, images: Tensor) -> Tensor:
        """Encodes `(B, 3, H, W)`, normalised, as features of length 1, `(B, E)`."""
        (cls_token,) = self.vision_backbone(images)
        return _of_length_1(self.vision_projection(cls_token))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Encodes int64 `(B, L)` as features of length 1, `(B, E)`.

        Raises:
            ValueError: If L is not the context length.
        """
        if tokens.shape[-1] != self.context_length:
            raise ValueError(
                f'tokens: expected (B, {self.context_length}), got {tuple(tokens.shape)}; give '
                'TokenizeCaption the context_length of the text encoder'
            )
        return _of_length_1(self.text_encoder(tokens))

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement] | None = None,
        tokens: Tensor | Sequence[Tensor] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Encodes a batch.

        Args:
            inputs: Images, normalised, `(B, 3, H, W)`.
            data_samples: What predictions are added to.
            tokens: Of the captions, int64 `(B, L)`, or B of `(L,)`; needed by 'loss'.
            mode: 'loss', 'predict' or 'tensor'.

        Returns:
            By `mode`: a dict with `loss` and `logit_scale`; the samples with `image_features`
            `(E,)` and, where there are captions, `text_features` `(E,)` and `tokens` `(L,)`; or the
            pair of both features, `(B, E)`, the second None without captions.

        Raises:
            ValueError: If the mode is unknown, or 'loss' gets no captions.
        """
        check_choice('mode', mode, ('loss', 'predict', 'tensor'))
        if tokens is not None and not isinstance(tokens, Tensor):
            tokens = torch.stack(list(tokens))
        if mode == 'loss':
            if tokens is None:
                raise ValueError('tokens: expected those of the captions, got None')
            return self.loss(inputs, tokens)
        image_features = self.encode_image(inputs)
        text_features = None if tokens is None else self.encode_text(tokens)
        if mode == 'tensor':
            return image_features, text_features
        samples = data_samples or [BaseDataElement() for _ in inputs]
        for index, sample in enumerate(samples):
            sample.set_field(image_features[index], 'image_features')
            if tokens is not None and text_features is not None:
                sample.set_field(text_features[index], 'text_features')
                sample.set_field(tokens[index], 'tokens')
        return samples

    def loss(self, images: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Returns `loss` and `logit_scale`, scalars, of images and their captions."""
        image_features = self._in_chunks(self.encode_image, images)
        text_features = self._in_chunks(self.encode_text, tokens)
        loss = self.loss_module(image_features, text_features)
        return {'loss': loss, 'logit_scale': self.loss_module.logit_scale.detach().exp()}

    @torch.no_grad()
    def embed_classes(self, classes: Sequence[str], templates: Sequence[str] | str) -> Tensor:
        """Returns the zero-shot classifier, `(K, E)`: for each class the mean of its captions.

        Args:
            classes: K names.
            templates: Captions with `{}` for the name, or 'imagenet' for the 80 of CLIP.

        Raises:
            ValueError: If there are no classes or templates, one is no text, a template has not one
                `{}`, or a caption is empty or longer than the context.
        """
        if not classes or not templates:
            raise ValueError('embed_classes: expected some classes and templates, got none')
        classes, fill = check_texts('classes', classes), templates_by_name(templates)
        device = self.vision_projection.weight.device
        embeddings = []
        for first in range(0, len(classes), CLASSES_AT_A_TIME):
            names = classes[first : first + CLASSES_AT_A_TIME]
            texts = [caption(name) for name in names for caption in fill]
            check_length(texts, self.context_length)
            features = self.encode_text(tokenize(texts, self.context_length).to(device))
            embeddings.append(features.reshape(len(names), len(fill), -1).mean(dim=1))
        return F.normalize(torch.cat(embeddings), dim=-1)

    def _in_chunks(self, encode: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        if self.chunk_size is None:
            return encode(inputs)
        chunks = inputs.split(self.chunk_size)
        return torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])


def templates_by_name(templates: Sequence[str] | str) -> list[Callable[[str], str]]:
    """Returns functions from the name of a class to a caption; see `DefocusCLIP.embed_classes`.

    Raises:
        ValueError: If a template has not one `{}`, or the name of a list is unknown.
    """
    if isinstance(templates, str):
        check_choice('templates', templates, ('imagenet',))
        return list(open_clip().OPENAI_IMAGENET_TEMPLATES)
    return [template.format for template in check_templates(templates)]


def _of_length_1(features: Tensor) -> Tensor:
    return F.normalize(features.to(wide_dtype(features.dtype)), dim=-1)
