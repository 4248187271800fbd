"""Pictures of the forward process: the two chains, its schedules, and a density that melts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..pixels import as_array
from .base import INKS, LINES, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..toys import GaussianMixture


def plot_chains(images: Tensor, times: Sequence[int]) -> Figure:
    """Draw the fixed chain q, to the right, and the learned chain p, to the left, between images x_t at ``times``.

    Between two images stands the number of steps that lead from one to the other.
    images: (N, 1, H, W) or (N, H, W) in [-1, 1], one for each of the N >= 2 times.
    """
    pictures = images.reshape(len(images), *images.shape[-2:]).detach().cpu().numpy()
    if len(pictures) != len(times) or len(times) < 2:
        raise ValueError(f"images and times must be as many, at least 2, got {len(pictures)} and {len(times)}")
    figure, axis = new_figure(size=(2.2 * len(times), 3.6))
    blue, orange = PALETTE[:2]
    for i, (t, image) in enumerate(zip(times, pictures, strict=True)):
        left = 1.7 * i
        axis.imshow(image, extent=(left, left + 1, 0, 1), cmap="gray", vmin=-1, vmax=1)
        axis.text(left + 0.5, -0.16, f"$x_{{{t}}}$", ha="center", va="center", fontsize=18)
        if i > 0:
            for y, start, end, color in [(0.68, -0.65, -0.05, blue), (0.32, -0.05, -0.65, orange)]:
                style = {"arrowstyle": "-|>", "lw": 2.5, "color": color, "mutation_scale": 22}
                axis.annotate("", (left + end, y), (left + start, y), arrowprops=style)
            n = t - times[i - 1]
            axis.text(left - 0.35, 0.5, f"{n} step{'s' * (n > 1)}", ha="center", va="center", fontsize=12)
    right = 1.7 * len(times) - 0.7
    axis.text(
        right / 2, 1.2, r"fixed: in each step, $q(x_t\mid x_{t-1})$ adds noise", color=blue, ha="center", fontsize=17
    )
    words = r"learned: in each step, $p_\theta(x_{t-1}\mid x_t)$ takes some away"
    axis.text(right / 2, -0.5, words, color=INKS[1], ha="center", fontsize=17)
    axis.set(xlim=(-0.05, right + 0.05), ylim=(-0.6, 1.45))
    axis.set_axis_off()
    return figure


def plot_schedules(diffusions: Mapping[str, Any]) -> Figure:
    """Draw alpha_bar, the signal and noise rates and log SNR of one or more diffusions over t.

    A dot marks where log SNR crosses 0; from the third on, curves are dashed, and show those that they cover.

    diffusions: name -> ``GaussianDiffusion``, or anything with ``alpha_bar``, (T+1,), entry 0 = 1.
    """
    if not diffusions:
        raise ValueError("diffusions: got an empty dict, wanted name -> GaussianDiffusion")
    figure, (left, middle, right) = new_figure(1, 3, size=(13, 3.7))
    tables = {name: as_array(name, diffusion.alpha_bar).astype(float) for name, diffusion in diffusions.items()}
    one_T = len({len(table) for table in tables.values()}) == 1
    crossings = []
    for i, (color, (name, alpha_bar)) in enumerate(zip(LINES * 2, tables.items(), strict=False)):
        t = np.arange(len(alpha_bar)) / (1 if one_T else len(alpha_bar) - 1)
        style = {"color": color, "linestyle": "-" if i < 2 else (0, (3, 1.5))}
        left.plot(t, alpha_bar, label=name, **style)
        middle.plot(t, np.sqrt(alpha_bar), color=color)
        middle.plot(t, np.sqrt(1 - alpha_bar), color=color, linestyle="--")
        with np.errstate(divide="ignore"):
            right.plot(t[1:], np.log(alpha_bar[1:]) - np.log1p(-alpha_bar[1:]), **style)
        if alpha_bar.min() < 0.5:
            crossings.append((np.interp(-0.5, -alpha_bar, t), color))  # alpha_bar = 1/2 is SNR = 1
    right.axhline(0, color="black", linewidth=1)
    for t_0, color in crossings:
        right.plot(t_0, 0, "o", color=color, markersize=9)
    left.set(title="what is left of $x_0$", ylabel=r"$\bar\alpha_t$", ylim=(-0.03, 1.03))
    middle.set(title="signal (full) and noise (dashed)", ylim=(-0.03, 1.03))
    middle.set_ylabel(r"$\sqrt{\bar\alpha_t}$,  $\sqrt{1-\bar\alpha_t}$")
    right.set(title="signal to noise", ylabel=r"$\log\,\bar\alpha_t/(1-\bar\alpha_t)$")
    for axis in (left, middle, right):
        axis.set_xlabel("$t$" if one_T else "$t/T$")
    left.legend(frameon=False)
    return figure


def plot_melting(
    mixture: GaussianMixture, alpha_bar: Tensor, times: Sequence[int], *, generator: torch.Generator
) -> Figure:
    """Draw q(x_t) of a mixture in the plane at ``times``, exactly, with 200 samples; each panel has its own scale.

    mixture: in two dimensions; alpha_bar: (T+1,), a table of ``GaussianDiffusion``.
    """
    side = torch.linspace(-2.5, 2.5, 121, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)  # (121, 121, 2)
    figure, axes = new_figure(1, len(times), size=(2.4 * len(times), 2.9))
    for axis, t in zip(axes if len(times) > 1 else [axes], times, strict=True):
        q = mixture.diffused(float(alpha_bar[t]))
        box = {"extent": (-2.5, 2.5, -2.5, 2.5), "origin": "lower", "interpolation": "bilinear"}
        axis.imshow(q.log_prob(plane).exp().numpy(), cmap="Blues", vmin=0, **box)
        axis.scatter(*q.sample(200, generator=generator).T.numpy(), s=7, color=PALETTE[1], linewidths=0)
        axis.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), title=f"$t={t}$")
        axis.set_axis_off()
    return figure
