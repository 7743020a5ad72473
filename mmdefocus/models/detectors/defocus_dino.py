"""MMDetection's DINO, made fit for crowded images and mixed precision."""

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.dense_heads import DINOHead
from mmdet.models.detectors import DINO
from mmdet.models.layers import CdnQueryGenerator, DeformableDetrTransformerEncoderLayer
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmdefocus.registry import MODELS


@MODELS.register_module()
class DefocusDINO(DINO):
    """DINO whose memory does not grow with the number of objects in an image.

    - Denoising uses at most `num_dn_queries` objects of an image, drawn anew in every step, and
      therefore at most 2 * num_dn_queries queries; mmdet makes two for every object. The matching
      part still learns from all objects.
    - An image of fewer tokens than queries has queries without a token, as masked tokens are.
    - Deformable attention runs in float32 under autocast: coordinates in bfloat16 or float16 are
      off by pixels.

    Args:
        bbox_head: A `DefocusDINOHead`.
        dn_cfg: As in mmdet, with dynamic groups (`group_cfg=dict(dynamic=True, …)`).
        with_cp: Whether to recompute the layers of the encoder in the backward to save memory;
            mmdet's `encoder.num_cp` needs fairscale for it. The backbone has its own `with_cp`.
        kwargs: Arguments of mmdet's `DINO`.

    Raises:
        ValueError: If the head is another one or the groups are not dynamic.
    """

    def __init__(
        self, *, bbox_head: dict, dn_cfg: dict, with_cp: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(bbox_head=bbox_head, dn_cfg=dn_cfg, **kwargs)
        if not isinstance(self.bbox_head, DefocusDINOHead):
            raise ValueError(
                f'bbox_head: expected a DefocusDINOHead, got {type(self.bbox_head).__name__}'
            )
        self.dn_query_generator = CappedQueryGenerator(**dn_cfg)
        if not self.dn_query_generator.dynamic_dn_groups:
            raise ValueError('dn_cfg.group_cfg: expected dynamic=True, got a fixed number')
        # mmdet names the classes of its layers in code, out of reach of a config
        for module in self.modules():
            if type(module) is MultiScaleDeformableAttention:
                module.__class__ = Float32DeformableAttention
            elif with_cp and type(module) is DeformableDetrTransformerEncoderLayer:
                module.__class__ = CheckpointedEncoderLayer

    def gen_encoder_output_proposals(
        self, memory: Tensor, memory_mask: Tensor, spatial_shapes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See mmdet; gives at least `num_queries` proposals, out of which the best are taken."""
        memory, proposals = super().gen_encoder_output_proposals(
            memory, memory_mask, spatial_shapes
        )
        lacking = self.num_queries - memory.shape[1]
        if lacking > 0:
            memory = F.pad(memory, (0, 0, 0, lacking))
            # what mmdet gives a masked token
            proposals = F.pad(proposals, (0, 0, 0, lacking), value=float('inf'))
        return memory, proposals


@MODELS.register_module()
class DefocusDINOHead(DINOHead):
    """DINO's head, with the denoised objects alone as targets of the denoising queries."""

    def loss_dn(
        self,
        all_layers_denoising_cls_scores: Tensor,
        all_layers_denoising_bbox_preds: Tensor,
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        dn_meta: dict,
    ) -> tuple[list[Tensor], ...]:
        """See mmdet; `dn_meta['instances']` takes the place of `batch_gt_instances`."""
        return super().loss_dn(
            all_layers_denoising_cls_scores,
            all_layers_denoising_bbox_preds,
            batch_gt_instances=dn_meta['instances'],
            batch_img_metas=batch_img_metas,
            dn_meta=dn_meta,
        )


class CappedQueryGenerator(CdnQueryGenerator):
    """Makes denoising queries of at most `num_dn_queries` objects of an image."""

    def __call__(
        self, batch_data_samples: list[DetDataSample]
    ) -> tuple[Tensor, Tensor, Tensor, dict]:
        """See mmdet; `dn_meta['instances']` are the objects that are denoised."""
        chosen = [
            SimpleNamespace(img_shape=s.img_shape, gt_instances=self._choose(s.gt_instances))
            for s in batch_data_samples
        ]
        *queries, dn_meta = super().__call__(chosen)
        dn_meta['instances'] = [sample.gt_instances for sample in chosen]
        return *queries, dn_meta

    def _choose(self, instances: InstanceData) -> InstanceData:
        if len(instances) <= self.num_dn_queries:
            return instances
        order = torch.randperm(len(instances), device=instances.labels.device)
        return instances[order[: self.num_dn_queries]]


class CheckpointedEncoderLayer(DeformableDetrTransformerEncoderLayer):
    """An encoder layer that keeps only its input for the backward."""

    def forward(
        self, query: Tensor, query_pos: Tensor, key_padding_mask: Tensor, **kwargs: Any
    ) -> Tensor:
        """See mmdet."""
        inputs = (query, query_pos, key_padding_mask)
        return checkpoint(super().forward, *inputs, use_reentrant=False, **kwargs)


class Float32DeformableAttention(MultiScaleDeformableAttention):
    """Deformable attention that autocast leaves in float32."""

    def forward(self, query: Tensor, **kwargs: Any) -> Tensor:
        """See mmcv; tensors of any floating dtype, computed and returned in float32."""
        kwargs = {
            name: x.float() if torch.is_tensor(x) and x.is_floating_point() else x
            for name, x in kwargs.items()
        }
        with torch.autocast(query.device.type, enabled=False):
            return super().forward(query.float(), **kwargs)
