"""Blocks and a final norm over any sequence."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmdefocus.utils.checks import check_rate

from .layers import Block


class SequenceEncoder(BaseModule):
    """Encodes `(B, L, C)` by blocks and a final norm; what is causal is the mixers' affair.

    Args:
        blocks: The blocks, first to last. Their mixers have `reset_filter`.
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
        self.blocks = nn.ModuleList(blocks)
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

    def encode(self, tokens: Tensor) -> Tensor:
        """Runs the blocks and the final norm on `(B, L, C)`."""
        for block in self.blocks:
            if self.with_cp and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return self.norm(tokens)

    @contextmanager
    def tapped(self) -> Iterator[dict[str, Tensor]]:
        """Collects what passes through the blocks while the context is open.

        The dict that it yields holds `(B, L, C)` tensors of the last forward, as parts of its
        graph: 'layer1.input', X_1; 'layer1.mixer' and, where there is an MLP, 'layer1.mlp', the
        branches before drop path; 'layer1.output', X_2, which is 'layer2.input' as well; and so on.
        The forward may be that of a whole classifier or detector around this encoder.
        """
        taps: dict[str, Tensor] = {}

        def keep(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if isinstance(module, Block):
                taps[f'{name}.input'], taps[f'{name}.output'] = inputs[0], output
            else:
                taps[name] = output

        with ExitStack() as stack:
            for layer, block in enumerate(self.blocks, start=1):
                points = {'': block, '.mixer': block.mixer, '.mlp': block.mlp}
                for point, module in points.items():
                    if module is not None:
                        hook = partial(keep, f'layer{layer}{point}')
                        stack.enter_context(module.register_forward_hook(hook))
            yield taps
