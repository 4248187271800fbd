"""A small noise predictor for points in the plane: ``model(x_t, t) -> eps_hat``, x_t (B, D), t (B,) int64."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ._validate import check_int
from .unet import check_times, timestep_embedding, zero_


class MLPDenoiser(nn.Module):
    """A small noise predictor for points: residual layers, each with the time as a shift.

    dim: of a point; width: of the hidden layers; n_layers: how many.
    Call: ``mlp(x_t, t) -> eps_hat``: x_t (B, dim), t (B,) int64.
    """

    def __init__(self, dim: int = 2, width: int = 128, n_layers: int = 3):
        super().__init__()
        self.config: dict[str, Any] = {
            "dim": check_int("dim", dim, 1),
            "width": check_int("width", width, 2),
            "n_layers": check_int("n_layers", n_layers, 1),
        }
        self.stem, self.head = nn.Linear(dim, width), zero_(nn.Linear(width, dim))
        self.time = nn.ModuleList(nn.Linear(2 * (width // 2), width) for _ in range(n_layers))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        if x_t.ndim != 2 or x_t.shape[1] != self.config["dim"]:
            raise ValueError(f"x_t must have shape (B, {self.config['dim']}), got {tuple(x_t.shape)}")
        check_times(t, x_t)
        emb, h = timestep_embedding(t, 2 * (self.config["width"] // 2)), self.stem(x_t)  # (B, width)
        for layer, time in zip(self.layers, self.time, strict=True):
            h = h + F.silu(layer(F.silu(h + time(emb))))
        return self.head(h)
