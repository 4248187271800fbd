"""The U-Net that predicts the noise, built from five parts.

It keeps the contract ``model(x_t, t) -> eps_hat``: x_t (B, C, H, W), t (B,) int64, eps_hat as x_t.

Source: Ho et al. 2020 (arXiv 2006.11239), appendix B: a PixelCNN++-like U-Net with GroupNorm, self-attention at low
resolution, and the time fed to every residual block; Nichol & Dhariwal 2021 (arXiv 2102.09672) for the time as scale
and shift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._validate import check_float, check_int


def timestep_embedding(t: Tensor, dim: int, max_period: float = 10_000.0) -> Tensor:
    """Return sines and cosines of t at ``dim / 2`` frequencies, from 1 down to about 1 / max_period.

    ``[cos(t w_i), sin(t w_i)], w_i = max_period^(-i / (dim / 2))``.

    t: (B,); dim: even. Returns: (B, dim) float32. Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5.
    """
    half = dim // 2
    w = torch.exp(-math.log(max_period) * torch.arange(half, device=t.device, dtype=torch.float32) / half)  # (half,)
    angle = t[:, None].float() * w  # (B, half)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with the most groups, at most 32, that divide the channels and leave at least 4 of them in each."""
    groups = max(g for g in range(1, 33) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input passes, with the time mixed in between them.

    ``h = conv(SiLU(norm(x))); h = norm(h) (1 + scale(t)) + shift(t); out = skip(x) + conv(dropout(SiLU(h)))``.

    Without ``scale_shift``: ``h = norm(h + shift(t))``, as in Ho et al. 2020. x: (B, C_in, H, W), emb: (B, D) -> (B,
    C_out, H, W). The last convolution starts at zero, so that a new block passes its input on.
    """

    def __init__(self, c_in: int, c_out: int, emb_dim: int, *, dropout: float = 0.0, scale_shift: bool = True):
        super().__init__()
        self.scale_shift = scale_shift
        self.norm_1, self.conv_1 = group_norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(emb_dim, 2 * c_out if scale_shift else c_out)
        self.norm_2, self.conv_2 = group_norm(c_out), zero_(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv_1(F.silu(self.norm_1(x)))  # (B, C_out, H, W)
        time = self.time(F.silu(emb))[:, :, None, None]  # (B, C_out or 2 C_out, 1, 1)
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm_2(h) * (1 + scale) + shift
        else:
            h = self.norm_2(h + time)
        return self.skip(x) + self.conv_2(self.dropout(F.silu(h)))


class SelfAttention(nn.Module):
    """Every pixel looks at every other: ``x + proj(softmax(q k^T / sqrt(d)) v)``, over H W positions.

    (B, C, H, W) -> (B, C, H, W). Source: Vaswani et al. 2017 (arXiv 1706.03762), eq. 1.
    """

    def __init__(self, channels: int, n_heads: int = 4):
        super().__init__()
        self.n_heads = n_heads
        self.norm, self.qkv = group_norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.proj = zero_(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).permute(0, 2, 3, 1)  # (B, H, W, 3 C): pixels are tokens
        q, k, v = qkv.reshape(b, h * w, 3, self.n_heads, c // self.n_heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)  # (B, heads, H W, C / heads)
        return x + self.proj(out.transpose(1, 2).reshape(b, h, w, c).permute(0, 3, 1, 2))


class Downsample(nn.Conv2d):
    """Halve the resolution with a 3x3 convolution of stride 2: (B, C, H, W) -> (B, C, H/2, W/2), odd sizes rounded
    up."""

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, stride=2, padding=1)


class Upsample(nn.Module):
    """Bring h to the resolution of its skip by nearest neighbors, then a 3x3 convolution: (B, C, h, w) -> (B, C, H,
    W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return self.conv(F.interpolate(x, size=tuple(size), mode="nearest"))


class Level(nn.Module):
    """A residual block, and attention after it where asked for."""

    def __init__(self, c_in: int, c_out: int, emb_dim: int, attention: bool, n_heads: int, **block: Any):
        super().__init__()
        self.block = ResidualBlock(c_in, c_out, emb_dim, **block)
        self.attention = SelfAttention(c_out, n_heads) if attention else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.attention(self.block(x, emb))


class Refine(nn.Module):
    """The last word at full resolution: two thin 3x3 convolutions over the features of each pixel and x_t itself.

    ``conv(SiLU(norm(conv([features, x_t])) (1 + scale(t)) + shift(t)))``: (B, n, H, W), (B, C, H, W), emb (B, D) -> (B,
    C_out, H, W), with 2 n channels in between.
    """

    def __init__(self, n: int, c_in: int, c_out: int, emb_dim: int):
        super().__init__()
        self.conv_1, self.norm = nn.Conv2d(n + c_in, 2 * n, 3, padding=1), group_norm(2 * n)
        self.time, self.conv_2 = nn.Linear(emb_dim, 4 * n), nn.Conv2d(2 * n, c_out, 3, padding=1)

    def forward(self, features: Tensor, x_t: Tensor, emb: Tensor) -> Tensor:
        h = torch.cat([features, x_t], dim=1).contiguous(memory_format=torch.channels_last)
        scale, shift = self.time(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # (B, 2 n, 1, 1)
        return self.conv_2(F.silu(self.norm(self.conv_1(h)) * (1 + scale) + shift))


class UNet(nn.Module):
    """The noise predictor: down through the resolutions, up again, with skip connections by concatenation.

    in_channels: of the image. channels: of the first level; channel_mult: factor of each level, whose resolution is
    half the one before. n_res_blocks: a level. attention_levels: the levels (0 is the finest) whose blocks are
    followed by self-attention; the middle has it if the last level does. n_heads: of the attention. dropout,
    scale_shift: see ``ResidualBlock``. patch_size: p > 1 first folds every p x p pixels into channels (space to
    depth), and unfolds them at the end: thin layers at full resolution are what costs time on a CPU. out_channels:
    in_channels if None. Not in the paper: refine: n > 0 unfolds n features of each pixel, which ``Refine`` turns into
    the output; input_skip: adds x_t, times a factor that depends on t, to the output: near t = T the noise is almost
    all of x_t, and need not pass through the layers.

    Call: ``unet(x_t, t) -> eps_hat``: x_t (B, in_channels, H, W) float, H and W divisible by patch_size; t (B,) int64.
    Raises: TypeError, ValueError that names the argument.
    Source: Ho et al. 2020 (arXiv 2006.11239), appendix B.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: int = 32,
        channel_mult: Sequence[int] = (1, 2),
        n_res_blocks: int = 1,
        attention_levels: Sequence[int] = (),
        n_heads: int = 4,
        dropout: float = 0.0,
        scale_shift: bool = True,
        patch_size: int = 1,
        out_channels: int | None = None,
        refine: int = 0,
        input_skip: bool = False,
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "in_channels": check_int("in_channels", in_channels, 1),
            "channels": check_int("channels", channels, 2),
            "channel_mult": [check_int("channel_mult", m, 1) for m in channel_mult],
            "n_res_blocks": check_int("n_res_blocks", n_res_blocks, 1),
            "attention_levels": [check_int("attention_levels", i, 0, len(channel_mult) - 1) for i in attention_levels],
            "n_heads": check_int("n_heads", n_heads, 1),
            "dropout": check_float("dropout", dropout, 0, 0.99),
            "scale_shift": bool(scale_shift),
            "patch_size": check_int("patch_size", patch_size, 1),
            "out_channels": check_int("out_channels", in_channels if out_channels is None else out_channels, 1),
            "refine": check_int("refine", refine, 0),
            "input_skip": bool(input_skip),
        }
        width = [channels * m for m in channel_mult]
        if not width:
            raise ValueError("channel_mult must name at least one level, got ()")
        if channels % 2 or any(width[i] % n_heads for i in attention_levels):
            raise ValueError(f"channels must be even, and n_heads must divide the channels it attends to: {width}")
        attends = [i in attention_levels for i in range(len(width))]
        emb_dim = 4 * channels
        level: dict[str, Any] = {"emb_dim": emb_dim, "n_heads": n_heads, "dropout": dropout, "scale_shift": scale_shift}

        self.embed = nn.Sequential(nn.Linear(channels, emb_dim), nn.SiLU(), nn.Linear(emb_dim, emb_dim))
        self.skip_gate = zero_(nn.Linear(emb_dim, 1)) if input_skip else None
        self.stem = nn.Conv2d(in_channels * patch_size**2, channels, 3, padding=1)
        self.down, skips, c = nn.ModuleList(), [channels], channels
        for i, c_out in enumerate(width):
            for _ in range(n_res_blocks):
                self.down.append(Level(c, c_out, attention=attends[i], **level))
                skips.append(c := c_out)
            if i < len(width) - 1:
                self.down.append(Downsample(c))
                skips.append(c)
        self.middle = nn.ModuleList(Level(c, c, attention=attends[-1] and first, **level) for first in (True, False))
        self.up = nn.ModuleList()
        for i, c_out in reversed(list(enumerate(width))):
            for _ in range(n_res_blocks + 1):
                self.up.append(Level(c + skips.pop(), c_out, attention=attends[i], **level))
                c = c_out
            if i > 0:
                self.up.append(Upsample(c))
        self.norm = group_norm(c)
        c_out = self.config["out_channels"]
        self.head = nn.Conv2d(c, (refine or c_out) * patch_size**2, 3, padding=1)
        self.refine = Refine(refine, in_channels, c_out, emb_dim) if refine else None
        zero_(self.refine.conv_2 if self.refine else self.head)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self._check(x_t, t)
        p = self.config["patch_size"]
        emb = self.embed(timestep_embedding(t, self.config["channels"]))  # (B, 4 channels)
        h = self.stem(F.pixel_unshuffle(x_t, p).contiguous(memory_format=torch.channels_last))
        skips = [h]
        for layer in self.down:
            h = layer(h) if isinstance(layer, Downsample) else layer(h, emb)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, emb)
        for layer in self.up:
            if isinstance(layer, Upsample):
                h = layer(h, skips[-1].shape[2:])
            else:
                h = layer(torch.cat([h, skips.pop()], dim=1), emb)
        out = F.pixel_shuffle(self.head(F.silu(self.norm(h))), p)  # (B, out_channels or refine, H, W)
        if self.refine:
            out = self.refine(out, x_t, emb)
        if self.skip_gate:
            gate = self.skip_gate(F.silu(emb))[:, :, None, None]  # (B, 1, 1, 1)
            out = torch.cat([out[:, : x_t.shape[1]] + gate * x_t, out[:, x_t.shape[1] :]], dim=1)
        return out

    def _check(self, x_t: Tensor, t: Tensor) -> None:
        c, p = self.config["in_channels"], self.config["patch_size"]
        if x_t.ndim != 4 or x_t.shape[1] != c or x_t.shape[2] % p or x_t.shape[3] % p:
            sizes = f", H and W divisible by {p}" if p > 1 else ""
            raise ValueError(f"x_t must have shape (B, {c}, H, W){sizes}, got {tuple(x_t.shape)}")
        if not x_t.is_floating_point():
            raise TypeError(f"x_t must have a floating-point dtype, got {x_t.dtype}")
        check_times(t, x_t)


def zero_(layer: Any) -> Any:
    """Set a layer's weights to zero and return it: what it feeds starts as if it were not there."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_times(t: Tensor, x_t: Tensor) -> None:
    """Raise TypeError or ValueError unless t is int64 (B,), one time per example of x_t."""
    if t.dtype != torch.int64:
        raise TypeError(f"t must have dtype torch.int64, got {t.dtype}")
    if t.shape != x_t.shape[:1]:
        raise ValueError(f"t must have shape ({len(x_t)},), one time per example, got {tuple(t.shape)}")
