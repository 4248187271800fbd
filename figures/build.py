"""Write the pictures of this folder: ``python figures/build.py [NAME ...]`` (or ``make figures``).

Deterministic: one seed, one thread. Each picture's name, what it shows (its function's docstring) and its alt text
stand in PICTURES; figures/README.md is written from them. A function that returns a figure gives NAME.png, and NAME.svg
for slides. The drawings themselves are those of the lessons, in ``ddpm_lite.plots``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ddpm_lite import (
    GaussianDiffusion,
    beta_schedule,
    ddim_steps,
    ddpm_steps,
    linear_beta_schedule,
    load_pretrained,
    mnist,
    plots,
)
from ddpm_lite.anatomy import anatomy, cost_by_level
from ddpm_lite.checkpoints import write_file
from ddpm_lite.pixels import image_grid, save_animation
from ddpm_lite.sampling import with_progress
from ddpm_lite.toys import GaussianMixture

HERE = Path(__file__).parent


def melting_digits(path: Path) -> None:
    """Digits come out of noise (DDIM, 50 steps), stay a while, and dissolve again by the closed form q(x_t | x_0)."""
    model, diffusion = load_pretrained("mnist")
    generator = torch.Generator().manual_seed(7)
    shape = (16, 1, 28, 28)
    x_T = torch.randn(shape, generator=generator)
    steps = list(with_progress(ddim_steps(diffusion, model, shape, x_T=x_T), 50, "ddim"))
    back = [x_T, *(step.x for step in steps[1::2])]
    eps = torch.randn(shape, generator=generator)
    there = [diffusion.q_sample(back[-1], t, eps) for t in range(50, diffusion.T + 1, 50)]
    frames = [image_grid(x, 8) // 17 * 17 for x in [*back, *[back[-1]] * 20, *there]]  # 16 grays: noise packs badly
    save_animation(frames, path, fps=12, scale=2)


def sample_grid(path: Path) -> None:
    """A hundred digits, not selected, by ancestral sampling (1,000 steps, sigma^2 = beta_tilde), seed 0."""
    model, diffusion = load_pretrained("mnist")
    generator = torch.Generator().manual_seed(0)
    for step in with_progress(ddpm_steps(diffusion, model, (100, 1, 28, 28), generator=generator), diffusion.T, "ddpm"):
        x = step.x
    picture = Image.fromarray(image_grid(x, 10))
    picture = picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.NEAREST)
    write_file(path, lambda name: picture.save(name, format="png"))


def chains(path: Path) -> Any:
    """The fixed chain adds noise, to the right; the learned chain takes it away, to the left."""
    times = torch.tensor([0, 60, 180, 360, 1000])
    x_0 = mnist("test", full=False).batch([36]).expand(5, -1, -1, -1)
    x_t = GaussianDiffusion(linear_beta_schedule(1000)).q_sample(x_0, times, generator=torch.Generator().manual_seed(0))
    return plots.plot_chains(x_t, times.tolist())


def schedules(path: Path) -> Any:
    """Three schedules, T = 1000: what is left of the image, the rates of signal and noise, their ratio."""
    names = ("linear", "cosine", "sigmoid")
    return plots.plot_schedules({name: GaussianDiffusion(beta_schedule(name, 1000)) for name in names})


def melting(path: Path) -> Any:
    """The density of x_t, exactly, for data on eight spots (linear schedule, T = 1000), and samples of it."""
    diffusion = GaussianDiffusion(linear_beta_schedule(1000))
    generator = torch.Generator().manual_seed(0)
    return plots.plot_melting(GaussianMixture.ring(), diffusion.alpha_bar, (0, 20, 60, 160, 1000), generator=generator)


def posterior(path: Path) -> Any:
    """One pixel, T = 10: prior of x_{t-1} given x_0, times likelihood of x_t, is the posterior, up to a factor."""
    return plots.plot_posterior(GaussianDiffusion(beta_schedule("cosine", 10)), x_0=1.0, x_t=-0.5, t=5)


def reverse(path: Path) -> Any:
    """A large step back without x_0, beta_t = 0.63: q(x_{t-1} | x_t), and the Gaussian of its mean and variance."""
    mixture = GaussianMixture([[-1.0], [1.0], [0.0]], [0.1, 0.1, 0.5], [0.35, 0.5, 0.15])
    return plots.plot_reverse(mixture.diffused(0.9), beta=0.63, x_t=0.1)


def latent_models(path: Path) -> Any:
    """A hierarchical VAE above a diffusion model: what is learned, what is fixed, how large the latents are."""
    return plots.plot_latent_models()


def bound_terms(path: Path) -> Any:
    """The terms of the variational bound on 200 test digits, for the shipped model; bars are two standard errors."""
    model, diffusion = load_pretrained("mnist")
    generator = torch.Generator().manual_seed(0)
    x_0 = mnist("test", full=False).batch(torch.randperm(2000, generator=generator)[:200])
    times = sorted({round(1000 ** (k / 23)) for k in range(24)} | {2, 3, 4})
    bits = torch.stack([diffusion.bound_terms(model, x_0, t, generator=generator) for t in times])  # (K, 200)
    curve = {"t": times, "mean": bits.mean(1), "se": bits.std(1) / len(x_0) ** 0.5}
    return plots.plot_bound_terms({"the shipped model, test digits": curve})


def unet(path: Path) -> Any:
    """The shipped U-Net, every layer with its channels and resolution."""
    return plots.plot_unet(load_pretrained("mnist")[0])


def costs(path: Path) -> Any:
    """Where the shipped U-Net has its weights, its multiply-adds and its activations, by resolution, for one image."""
    parts = anatomy(load_pretrained("mnist")[0])
    sizes = {part.level: "{1}\u00d7{2}".format(*part.shape) for part in parts if len(part.shape) == 3}
    return plots.plot_costs({"shipped": cost_by_level(parts)}, sizes)


def ablation(path: Path) -> Any:
    """What each part of the U-Net is worth: small networks without it, three seeds each, two standard errors."""
    return plots.plot_ablation(json.loads((files("ddpm_lite") / "assets" / "ablation.json").read_text("utf-8")))


def ancestral(x: Tensor, t: int, generator: torch.Generator) -> list[Tensor]:
    """x_{t-1}, ..., x_0 by ancestral sampling from x_t."""
    model, diffusion = load_pretrained("mnist")
    path = []
    for k in range(t, 0, -1):
        with torch.no_grad():
            eps_hat = model(x, torch.full((len(x),), k))
        mean, variance, _ = diffusion.p_mean_variance(eps_hat, x, k)
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator)
        path.append(x)
    return path


def trajectory(path: Path) -> Any:
    """One digit in 1,000 ancestral steps: x_t, and the digit and the noise that the model sees in it."""
    model, diffusion = load_pretrained("mnist")
    generator = torch.Generator().manual_seed(6)
    steps = list(with_progress(ddpm_steps(diffusion, model, (4, 1, 28, 28), generator=generator), diffusion.T, "ddpm"))
    return plots.plot_trajectory(steps)


def fork(path: Path) -> Any:
    """Eight digits (top row), and four forks of each: ancestral sampling again from their own x_t, with other noise."""
    generator = torch.Generator().manual_seed(6)
    x_T = torch.randn((8, 1, 28, 28), generator=generator)
    way = ancestral(x_T, 1000, generator)  # way[k] is x_{999 - k}
    frames = []
    for t in (0, 200, 400, 600, 800, 1000):
        x_t = (way[999 - t] if t < 1000 else x_T).repeat(4, 1, 1, 1)
        again = ancestral(x_t, t, generator)[-1] if t else x_t
        frames.append(image_grid(torch.cat([way[-1], again]), 8))
    return plots.plot_strip(frames, [f"t = {t}" for t in (0, 200, 400, 600, 800, 1000)], n=6)


PICTURES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "digits.gif": (
        melting_digits,
        "Sixteen handwritten digits form out of noise, stay for a moment and dissolve into noise again.",
    ),
    "samples.png": (
        sample_grid,
        "A hundred generated digits in a ten by ten grid on black, as they came, none selected.",
    ),
    "chains": (chains, "A digit drowns in noise to the right along fixed arrows; learned arrows lead back."),
    "schedules": (schedules, "alpha_bar, rates and log SNR over t: linear falls early, the others in the middle."),
    "melting": (melting, "Eight spots become a ring and then one round cloud; orange samples follow."),
    "posterior": (posterior, "Two bell curves over x_{t-1}, and their product: a narrower one between them."),
    "bound_terms": (bound_terms, "Bits per dimension over t in double logarithm, falling from t = 1; and their sum."),
    "latent_models": (
        latent_models,
        "Boxes and arrows: the VAE's latents shrink and its encoder is learned; diffusion's neither.",
    ),
    "reverse": (reverse, "Two bumps of probability for the step before, and one Gaussian that misses both."),
    "costs": (costs, "Bars by resolution: weights, multiply-adds and activations of the network."),
    "ablation": (ablation, "Dots with error bars, six networks: loss, Frechet distance, share recognized."),
    "unet": (unet, "Boxes of layers go down in resolution and up again, joined by arcs, the skip connections."),
    "trajectory": (trajectory, "Three rows over t: x_t from noise to a digit, x0_hat from blur to digit, eps_hat."),
    "fork": (fork, "Digits and their forks at six t: copies at small t, other digits at t = T."),
}


def write(name: str) -> None:
    """Draw one picture."""
    files = [f"{name}.png", f"{name}.svg"]
    figure = PICTURES[name][0](HERE / name)
    if figure is not None:
        import matplotlib

        with matplotlib.rc_context({"svg.hashsalt": name, "savefig.dpi": 150}):
            write_file(HERE / files[0], lambda f: figure.savefig(f, format="png", metadata={"Software": None}))
            write_file(HERE / files[1], lambda f: figure.savefig(f, format="svg", metadata={"Date": None}))


def gallery(name: str) -> list[str]:
    """The lines of one picture in figures/README.md."""
    draw, alt = PICTURES[name]
    file = name if "." in name else f"{name}.png"
    svg = "" if "." in name else f" [SVG]({name}.svg)"
    return [f"## {name}", "", " ".join((draw.__doc__ or "").split()) + svg, "", f"![{alt}]({file})", ""]


def main() -> None:
    """Draw the pictures that are named, or all, and the gallery page."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    names = p.parse_args().names
    if unknown := set(names) - set(PICTURES):
        p.error(f"no picture has the name {', '.join(sorted(unknown))}")
    for name in names or PICTURES:
        write(name)
    lines = ["# Figures", "", "Written by `make figures`; the code is in [build.py](build.py).", ""]
    lines += [line for name in PICTURES for line in gallery(name)]
    (HERE / "README.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
