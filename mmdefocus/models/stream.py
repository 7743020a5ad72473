"""Reads an image strip by strip, in memory that does not grow with its height."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmdefocus.utils.checks import check_positive_int, check_rate

from .backbones import ImageBackbone
from .saved_state import as_tensor, check_saved, fingerprint
from .sequence_state import SequenceState, named_tensors, with_tensors

VERSION = 1  # of what `ImageStream.state_dict` returns


class ImageStream:
    """Encodes images whose rows come in strips, and answers at any time.

    What `push` returns for all strips is the feature map of `forward`, and `cls_token` after the
    last is its CLS token. `DefocusMamba`, `DefocusMamba2` and `DefocusRetNet` carry a state of a
    fixed size; `DefocusViT` keeps keys and values of the tokens so far. No gradients are computed:
    to train through pieces, use `SequenceEncoder.advance`.

    Strips have h rows, h a multiple of `unit`: the patch size or, for `token_order='sections'`, the
    side of a section. A strip of any other number of rows is the last; it is padded as in
    `forward`, and completes the images.

    Args:
        model: A causal backbone, or `torch.compile` of one: then the steps are compiled too, see
            `compile`.
        width: Width of the images in pixels.
        batch_size: B, how many images are read at once.
        height: Their height in pixels, which completes them; None if that is not known.
            `DefocusViT`, whose position embedding is spread over the whole image, needs it where
            the width is not that of the pre-training.
        forget: See `AttentionMixer.initial_state`; the states of other mixers do not grow.

    Raises:
        ValueError: If an argument is out of its range, or the model is not a causal backbone.
    """

    def __init__(
        self,
        model: nn.Module,
        width: int,
        batch_size: int = 1,
        *,
        height: int | None = None,
        forget: float = 0.0,
    ) -> None:
        backbone = getattr(model, '_orig_mod', model)  # what torch.compile has wrapped
        if not isinstance(backbone, ImageBackbone):
            raise ValueError(
                f'model: expected a backbone such as DefocusMamba, got {type(backbone).__name__}'
            )
        check_positive_int('width', width)
        check_positive_int('batch_size', batch_size)
        if height is not None:
            check_positive_int('height', height)
        check_rate('forget', forget)
        self.model = backbone
        self.width = width
        self.batch_size = batch_size
        self.unit = backbone.patch_embed.pad_to
        self.rows = 0
        self.complete = False
        self.height = height
        self.forget = float(forget)
        self._advance = backbone.advance
        if model is not backbone:
            self.compile()
        with torch.no_grad():
            self._state: SequenceState = self.model.initial_state(batch_size, forget)
            self._positions = self._grid_positions()

    def compile(self, *, backend: str = 'inductor', fullgraph: bool = True) -> None:
        """Compiles the steps with `torch.compile`, a version for each height of a strip."""
        self._advance = torch.compile(
            self.model.advance, backend=backend, fullgraph=fullgraph, dynamic=False
        )

    @torch.no_grad()
    def push(self, strip: Tensor) -> Tensor:
        """Reads the next rows.

        Args:
            strip: `(B, in_channels, h, width)`, normalised as for `forward`.

        Returns:
            The next rows of the feature map, `(B, C, h / p, width / p)` for patches of p pixels,
            both rounded up.

        Raises:
            ValueError: If the strip does not fit the stream, or the images are complete.
        """
        self._check(strip)
        patch, rows = self.model.patch_size, strip.shape[2]
        grid = self.model.patch_embed(strip)
        if self._positions is not None:
            first = self.rows // patch
            grid = grid + self._positions[:, :, first : first + grid.shape[2]]
        tokens = self.model.order.to_sequence(grid)
        tokens, self._state = self._advance(tokens, self._state)
        self.rows += rows
        self.complete = rows % self.unit != 0 or self.rows == self.height
        featmap = self.model.order.to_grid(tokens, *grid.shape[-2:])
        return featmap[..., : math.ceil(rows / patch), : math.ceil(self.width / patch)].contiguous()

    @torch.no_grad()
    def cls_token(self) -> Tensor:
        """Returns the CLS token `(B, C)` of all rows so far, and leaves the state as it is."""
        cls_token = self.model.cls_input().expand(self.batch_size, -1, -1)
        tokens, _ = self._advance(cls_token, self._state)
        return tokens[:, -1]

    def state_dict(self) -> dict[str, Tensor]:
        """Returns all that is needed to go on later, as contiguous tensors by name.

        It fits a stream of the same model, weights and sizes, on any device.
        """
        state = {name: x.detach().contiguous().clone() for name, x in named_tensors(self._state)}
        return (
            state
            | {key: as_tensor(value) for key, value in self._identity().items()}
            | {'rows': as_tensor(self.rows), 'complete': as_tensor(self.complete)}
        )

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from where `state_dict` was called.

        Raises:
            ValueError: If the state is of another version, model or size; names what differs.
        """
        own = dict(named_tensors(self._state))
        check_saved(state, own, self._identity())
        position = int(state['position'])
        if position != self._tokens(rows := int(state['rows'])):
            raise ValueError(
                f'state: expected {self._tokens(rows)} tokens of {rows} rows, got {position}'
            )
        device = self._state.position.device
        tensors = {name: state[name].to(device, copy=True) for name in own}
        self._state = with_tensors(self._state, tensors)
        self.rows, self.complete = int(state['rows']), bool(state['complete'])

    def _tokens(self, rows: int) -> int:
        """Returns how many tokens so many rows of pixels have."""
        tall, wide = (math.ceil(side / self.unit) * self.unit for side in (rows, self.width))
        return tall * wide // self.model.patch_size**2

    def _identity(self) -> dict[str, int | float]:
        """Returns what a state and a stream must have in common."""
        return {
            'version': VERSION,
            'weights': fingerprint(self.model),
            'width': self.width,
            'batch_size': self.batch_size,
            'height': self.height or 0,
            'forget': self.forget,
        }

    def _grid_positions(self) -> Tensor | None:
        """Returns what is added to the patches of the whole image, or None."""
        patch = self.model.patch_size
        wide = math.ceil(self.width / self.unit) * self.unit // patch
        own = getattr(self.model, 'pos_grid', None)
        if own is None:
            return None
        if self.height is None and wide == own[1]:
            self.height = own[0] * patch
        if self.height is None:
            raise ValueError(
                f'height: {type(self.model).__name__} adds a position to every patch of the whole '
                'image, expected the height in pixels, got None'
            )
        return self.model.grid_positions(
            math.ceil(self.height / self.unit) * self.unit // patch, wide
        )

    def _check(self, strip: Tensor) -> None:
        if not isinstance(strip, Tensor):
            raise ValueError(f'strip: expected a tensor, got {type(strip).__name__}')
        if self.model.training and self.model.drop_path_rate:
            raise ValueError(
                'model: expected evaluation mode, got training with drop path; use eval()'
            )
        if self.complete:
            raise ValueError(
                f'strip: the images are complete after {self.rows} rows; begin a new ImageStream'
            )
        weight = self.model.patch_embed.projection.weight
        shape = self.batch_size, weight.shape[1], self.width
        if strip.dim() != 4 or (*strip.shape[:2], strip.shape[3]) != shape or not strip.shape[2]:
            raise ValueError(
                f'strip: expected ({shape[0]}, {shape[1]}, h, {shape[2]}) with h >= 1, '
                f'got {tuple(strip.shape)}'
            )
        if (strip.dtype, strip.device) != (weight.dtype, weight.device):
            raise ValueError(
                f'strip: expected {weight.dtype} on {weight.device} as the model, '
                f'got {strip.dtype} on {strip.device}'
            )
        if self.height is not None:
            left = self.height - self.rows
            if strip.shape[2] > left or (strip.shape[2] % self.unit and strip.shape[2] < left):
                raise ValueError(
                    f'strip: expected a multiple of {self.unit} rows up to the {left} that are '
                    f'left of {self.height}, got {strip.shape[2]}'
                )


class StreamStep(nn.Module):
    """A step of an `ImageStream` as a function of tensors, to be exported.

    Args:
        model: `DefocusMamba`, `DefocusMamba2` or `DefocusRetNet`, whose states have a fixed size.
        batch_size: B.
    """

    def __init__(self, model: ImageBackbone, batch_size: int = 1) -> None:
        super().__init__()
        self.model = model
        self._template = model.initial_state(batch_size)
        self.batch_size = batch_size

    def initial_state(self) -> dict[str, Tensor]:
        """Returns the state before the first strip, by name."""
        return dict(named_tensors(self._template))

    def forward(self, strip: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Reads a strip `(B, in_channels, h, width)`, of whole patches or sections.

        Returns:
            The rows of the feature map `(B, C, h / p, width / p)`, the CLS token `(B, C)` of all
            rows so far, and the tensors of the state in the order of `initial_state`.
        """
        grid = self.model.patch_embed(strip)
        before = with_tensors(self._template, state)
        tokens, after = self.model.advance(self.model.order.to_sequence(grid), before)
        cls_token = self.model.cls_input().expand(self.batch_size, -1, -1)
        cls_token, _ = self.model.advance(cls_token, after)
        rows = self.model.order.to_grid(tokens, *grid.shape[-2:])
        return rows, cls_token[:, -1], *(x for _, x in named_tensors(after))
