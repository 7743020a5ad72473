"""Blocks and a final norm over any sequence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmdefocus.utils.checks import check_rate

from .layers import Block, Grid
from .sequence_state import SequenceState


class SequenceEncoder(BaseModule):
    """Encodes `(B, L, C)` with blocks and a final norm; the mixers decide whether it is causal.

    Args:
        blocks: The blocks, first to last.
        norm: Normalises the output of the last block.
        drop_path_rate: See `set_drop_path_rate`.
        with_cp: Whether to recompute the blocks in the backward to save memory.
        init_cfg: As in MMEngine.
        stem: Modules of a subclass that make the tokens, by name. They come before the blocks in
            `state_dict()` and in the optimizer.

    Raises:
        ValueError: If `drop_path_rate` is not in [0, 1).
    """

    def __init__(
        self,
        blocks: Iterable[Block],
        norm: nn.Module,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
        stem: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        for name, module in (stem or {}).items():
            self.add_module(name, module)
        # a ModuleList does not know what it holds
        self.blocks: Sequence[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.norm = norm
        self.with_cp = with_cp
        self.set_drop_path_rate(drop_path_rate)

    def set_drop_path_rate(self, rate: float) -> None:
        """Drops the branches of block i of n with probability `rate * (i - 1) / (n - 1)`.

        Raises:
            ValueError: If `rate` is not in [0, 1).
        """
        check_rate('drop_path_rate', rate)
        self.drop_path_rate = rate
        last = max(1, len(self.blocks) - 1)
        for index, block in enumerate(self.blocks):
            block.drop_path.rate = rate * index / last

    def init_weights(self) -> None:
        """Applies `init_cfg`, but keeps the initial values of the filters.

        A rule for linear layers in `init_cfg` would overwrite the time steps of Mamba.
        """
        super().init_weights()
        rules = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg or {}]
        if not any(rule.get('type') == 'Pretrained' for rule in rules):
            for block in self.blocks:
                block.mixer.reset_filter()

    def forward(self, tokens: Tensor) -> Tensor:
        """Takes and returns `(B, L, C)`."""
        return self.encode(tokens)

    def encode(self, tokens: Tensor, grid: Grid | None = None, strips: int | None = None) -> Tensor:
        """Runs the blocks and the final norm on `(B, L, C)`; blocks on a grid need it.

        With `strips`, the last tokens read out after one strip each, see `Mixer.mix_strips`; what
        drop path decides holds for all tokens, as without.
        """
        for block in self.blocks:
            if self.with_cp and self.training:
                tokens = checkpoint(block, tokens, grid, strips, use_reentrant=False)
            else:
                tokens = block(tokens, grid, strips)
        return self.norm(tokens)

    def initial_state(self, batch_size: int, forget: float = 0.0) -> SequenceState:
        """Returns the state before the first token of `batch_size` sequences.

        Args:
            batch_size: B.
            forget: See `AttentionMixer.initial_state`; other mixers have states of a fixed size.

        Raises:
            ValueError: If a mixer does not read from the first token to the last.
        """
        blocks = tuple(block.mixer.initial_state(batch_size, forget) for block in self.blocks)
        device = next(self.parameters()).device
        return SequenceState(torch.zeros((), dtype=torch.int64, device=device), blocks)

    def advance(self, tokens: Tensor, state: SequenceState) -> tuple[Tensor, SequenceState]:
        """Encodes the next tokens of a sequence.

        A causal sequence in pieces of any lengths gives what `encode` gives for the whole, and
        through the states its gradients. States are not changed: an earlier one can be gone on from
        again, as for a CLS token that reads out what has been seen so far.

        Args:
            tokens: `(B, L, C)`.
            state: What `initial_state` or an earlier `advance` returned.

        Returns:
            The encoded tokens, `(B, L, C)`, and the state after them.
        """
        length, states = tokens.shape[1], []
        for block, before in zip(self.blocks, state.blocks, strict=True):
            tokens, after = block.advance(tokens, before, state.position)
            states.append(after)
        return self.norm(tokens), SequenceState(state.position + length, tuple(states))

    @contextmanager
    def tapped(self) -> Iterator[dict[str, Tensor]]:
        """Collects the inputs, branches and outputs of all blocks while the context is open.

        The dict that it yields holds `(B, L, C)` tensors of the last forward, as parts of its
        graph: 'layer1.input', X_1; 'layer1.mixer' and, where there is an MLP, 'layer1.mlp', the
        branches before drop path; 'layer1.output', X_2, which is 'layer2.input' as well; and so on.
        The forward may be that of a whole classifier or detector around this encoder.
        """
        taps: dict[str, Tensor] = {}

        def keep_block(layer: str, _module: nn.Module, inputs: tuple, output: Tensor) -> None:
            taps[f'{layer}.input'], taps[f'{layer}.output'] = inputs[0], output

        def keep_branch(name: str, _module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            taps[name] = output

        with ExitStack() as stack:
            for number, block in enumerate(self.blocks, start=1):
                layer = f'layer{number}'
                stack.enter_context(block.register_forward_hook(partial(keep_block, layer)))
                for name, branch in (('mixer', block.mixer), ('mlp', block.mlp)):
                    if branch is not None:
                        hook = partial(keep_branch, f'{layer}.{name}')
                        stack.enter_context(branch.register_forward_hook(hook))
            yield taps
