"""Write the pictures of this folder from the shipped model: ``python figures/build.py`` (or ``make figures``).

Deterministic: one seed, one thread. Each picture's name, what it shows, and its alt text stand in PICTURES;
figures/README.md is written from them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from ddpm_lite import ddim_steps, ddpm_steps, load_pretrained
from ddpm_lite.checkpoints import write_file
from ddpm_lite.pixels import image_grid, save_animation
from ddpm_lite.sampling import with_progress

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


PICTURES: dict[str, tuple[Callable[[Path], None], str]] = {
    "digits.gif": (
        melting_digits,
        "Sixteen handwritten digits form out of noise, stay for a moment and dissolve into noise again.",
    ),
    "samples.png": (
        sample_grid,
        "A hundred generated digits in a ten by ten grid on black, as they came, none selected.",
    ),
}


def main() -> None:
    """Draw every picture and the gallery page."""
    lines = ["# Figures", "", "Written by `make figures`; the code is in [build.py](build.py).", ""]
    for name, (draw, alt) in PICTURES.items():
        draw(HERE / name)
        lines += [f"## {name}", "", " ".join((draw.__doc__ or "").split()), "", f"![{alt}]({name})", ""]
    (HERE / "README.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
