# %% [markdown]
# # Start here: watch noise become digits
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/00_start_here.ipynb)
#
# **What you will do:** Watch a small network turn pure noise into handwritten digits, and scrub through how they came to be.
#
# **Learn:**
#
# - how a lesson works here: run, look, move, check
# - the three ideas that a diffusion model is made of
# - how it differs from a VAE, a GAN and a normalizing flow
#
# **Need:** Python and a little PyTorch; nothing about diffusion.
#
# **Minutes:** 30

# %% [markdown]
# ## Press Shift+Enter
#
# Click on the next cell, press **Shift+Enter**, and go on like that to the end (or *Run All Cells*). You need no GPU and no
# internet: data and a trained network come with the course.
#
# At the end of the course you can derive each formula of a diffusion model and check it by machine, build and train one,
# sample it fast or slowly, and say how good it is. This lesson shows what that is for.

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import ddim_steps, load_pretrained, mnist, plots, sample, widgets

plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% tags=["nbval-ignore-output"]
import platform
from importlib.metadata import version

print(f"Python {platform.python_version()} on {platform.system()}")
for name in ("ddpm_lite", "torch", "ipywidgets", "anywidget"):
    print(name, version(name))
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
print(f"GPU: {gpu} (this lesson uses the CPU)")

# %% [markdown]
# ## Do sliders work here?
#
# Below are four real digits and what noise makes of them. At time $t = 0$ they are clean; at $t = T = 1000$ your eye finds
# nothing in them. Look along the strip: when do you lose each digit? Then drag the slider below the strip, or
# click on it and hold an arrow key.

# %%
model, diffusion = load_pretrained("mnist")  # a trained network; the rule for adding noise
digits = mnist("test", full=False)  # 2,000 real digits that the network never saw
first = [int((digits.labels == k).nonzero()[0]) for k in (3, 1, 4, 5)]
x_0 = digits.batch(torch.tensor(first))  # (4, 1, 28, 28)
eps = torch.randn(x_0.shape, generator=generator)  # one noise for all t

times = list(range(0, diffusion.T + 1, 20))
melting = torch.stack([diffusion.q_sample(x_0, t, eps) for t in times])  # (51, 4, 1, 28, 28)
labels = [f"t = {t} of {diffusion.T}" for t in times]
figure = plots.plot_strip(melting, labels, n=6)
plots.show(figure, alt="Four digits at six times, from sharp at t = 0 to mere noise at t = 1000.")
widgets.scrub(melting, labels=labels)

# %% [markdown]
# **It moves?** All is well. If not:
#
# - *You see only a sentence*: run the cell. GitHub and printouts show no sliders.
# - *JupyterLab*: ipywidgets must be installed where JupyterLab itself is; `make lab` sees to that. Then reload the page.
# - *VS Code*: say yes when it offers to download widget support.
# - *Colab*: run the first code cell first.
# - *A slider, but no picture*: put the lines below on top of that cell and restart the kernel; Python then draws the pictures.
#
# ```python
# import os
# os.environ["DDPM_LITE_CANVAS"] = "0"
# ```

# %% [markdown]
# ## Watch digits appear
#
# Now the other way. The network gets 64 images of pure noise, $x_T$, drawn afresh by a random number generator, and takes
# the noise away in 50 steps, some seconds in all. Keep your eyes on the picture. Large shapes come first, edges last.
# Some will be no digits: this is a small network. Run the cell twice: the second time, other digits come.

# %% tags=["nbval-ignore-output"]
import time
from tqdm.auto import tqdm


def picture(x):
    return plots.image_grid(x, 16).repeat(2, 0).repeat(2, 1)  # each pixel as 2 x 2


x_T = torch.randn(64, 1, 28, 28, generator=generator)
screen = plots.LivePicture("64 handwritten digits, drawn by the network")
screen.update(picture(x_T))
steps, start = [], time.perf_counter()
for step in tqdm(ddim_steps(diffusion, model, x_T.shape, n_steps=50, x_T=x_T), total=50):
    steps.append(step)  # step.t, step.x, step.x0_hat, step.eps_hat
    if len(steps) % 2 == 0:
        screen.update(picture(step.x))
print(f"64 digits in {time.perf_counter() - start:.1f} s, in {len(steps)} steps")

# %% [markdown]
# ## Scrub through how they came to be
#
# Every step was kept. At each one the network looks at $x_t$ and guesses the finished image; we call the guess
# $\hat x_0$, "x zero hat". Here are the first 25 digits, $x_t$ above, $\hat x_0$ below. The first guess is worth
# nothing: from pure noise no image can be seen. Look at how early $\hat x_0$ is a digit, while $x_t$
# still looks like noise. Does any of them change its mind? Some do, mostly early; the next cell counts.

# %% tags=["cover"]
t_path = [step.t for step in steps] + [0]  # 1000, 980, ..., 20, 0
x_path = torch.stack([x_T, *(step.x for step in steps)])[:, :25]  # what the network saw
guess_path = torch.stack([*(step.x0_hat for step in steps), steps[-1].x])[:, :25]
views = {"x_t": x_path, "x0_hat": guess_path}
labels = [f"step {k} of 50, t = {t}" for k, t in enumerate(t_path)]
figure = plots.plot_strip(views, labels, n=6)
plots.show(figure, alt="25 digits at six steps: above, noise becomes digits; below, the guesses.")
widgets.scrub(views, labels=labels, title="step")

# %% tags=["nbval-ignore-output"]
from ddpm_lite.evaluation import load_classifier

# comes with the course and names digits: (B, 1, 28, 28) -> (B, 10), highest at the one it sees
classifier = load_classifier()
final, same = classifier(steps[-1].x).argmax(1), {}
for step in steps[::10]:
    same[step.t] = float((classifier(step.x0_hat).argmax(1) == final).float().mean())
    print(f"t = {step.t}: {same[step.t]:.0%} of the guesses are already the final digit")
assert same[200] > 0.8 > same[1000]

# %% [markdown]
# ## Your verdict
#
# Sixteen digits: eight were written by people, eight are the last that the network drew above, well shuffled. Which
# ones are real? Write their eight numbers into `real` in the next cell and run it.

# %%
people = digits.batch(torch.randperm(len(digits), generator=generator)[:8])
both, order = torch.cat([people, steps[-1].x[-8:]]), torch.randperm(16, generator=generator)
figure, axes = plots.new_figure(2, 8, size=(11, 3.4))
for k, axis in enumerate(axes.flat):
    axis.imshow(both[order[k], 0], cmap="gray", vmin=-1, vmax=1)
    axis.set_title(k + 1)
    axis.set_axis_off()
plots.show(figure, alt="Sixteen digits, 1 to 16: eight by people, eight by the network, shuffled.")

# %%
real = []  # eight numbers, such as [1, 2, 5, 8, 9, 10, 13, 16]
answer = {k + 1 for k in range(16) if order[k] < 8}
found = f"You found {len(answer & set(real))} of 8; blind guessing finds 4 on average."
print(found if len(set(real)) == 8 else "No verdict yet: write eight numbers into the list.")

# %% [markdown]
# Could the network have copied? Below each of its digits is the nearest image, pixel by pixel, among 10,000 of the
# 60,000 it was trained on. Compare their strokes: alike, or the same?

# %%
training = mnist("train", full=False)
seen, made = training.batch(torch.arange(len(training))), steps[-1].x[-8:]
nearest = torch.cdist(made.flatten(1), seen.flatten(1)).argmin(1)  # (8,)
figure = plots.plot_images(torch.cat([made, seen[nearest]]), n_columns=8, width=9)
plots.show(figure, alt="Eight digits by the network; below each, the training image nearest to it.")

# %% [markdown]
# ## Idea 1: add noise, by a rule
#
# With noise $\epsilon \sim \mathcal N(0, I)$, a table $\bar\alpha_t$ that falls from 1 to almost 0, and a clean image $x_0$:
#
# $$x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon$$
#
# Nothing is learned here. Look at the values of all pixels (−1 is black, 1 is white): two peaks melt into the bell of
# $\mathcal N(0, 1)$, the dashed line, from which we can draw without any data. That is where sampling starts.

# %%
many = digits.batch(torch.arange(500))
z = torch.linspace(-4, 4, 200)
figure, axes = plots.new_figure(1, 4, size=(11, 2.9), sharey=True)
for axis, t in zip(axes, (20, 150, 400, 1000), strict=True):
    x_t = diffusion.q_sample(many, t, generator=generator)
    axis.hist(x_t.flatten(), bins=120, range=(-4, 4), density=True)
    axis.plot(z, torch.exp(-z**2 / 2) / (2 * torch.pi) ** 0.5, "k--")
    axis.set(title=f"$t = {t}$", xlabel="pixel of $x_t$", ylim=(0, 1.6))
plots.show(figure, alt="Four histograms of pixels: two sharp peaks at t = 20, a bell at t = 1000.")

# %% [markdown]
# ## Idea 2: learn to see the noise
#
# A network $\epsilon_\theta$ sees $x_t$ and $t$, and is asked which noise we added. Its loss is the squared error,
#
# $$L = \mathbb E\,\big(\epsilon - \epsilon_\theta(x_t, t)\big)^2,$$
#
# averaged over pixels, images, noises, times. Solve idea 1 for the image: the true $\epsilon$ gives $x_0$, the answer
# $\hat\epsilon$ a guess $\hat x_0$. Their difference:
#
# $$\hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon}{\sqrt{\bar\alpha_t}},\qquad
# \hat x_0-x_0=\frac{\sqrt{1 - \bar\alpha_t}}{\sqrt{\bar\alpha_t}}\,(\epsilon-\hat\epsilon).$$
#
# Look where $\hat x_0$ stops being its digit. There $\hat\epsilon-\epsilon$ is smallest, as $x_t$ is almost all noise; but in
# $\hat x_0$ a large factor multiplies it. (`verify` raises an error where two results differ.)

# %%
from ddpm_lite.checks import verify

rows = {name: [] for name in ("x_t", "eps_hat", r"$\hat\epsilon-\epsilon$", "x0_hat")}
times, errors, labels = [50, 200, 400, 600, 800, 950], [], []
for t in times:
    x_t = diffusion.q_sample(x_0, t, eps)
    with torch.no_grad():
        eps_hat = model(x_t, torch.full((4,), t))
    x0_hat = diffusion.predict_x0(x_t, t, eps_hat)
    factor = float(diffusion.sqrt_one_minus_alpha_bar[t] / diffusion.sqrt_alpha_bar[t])
    verify(f"t = {t}: x0_hat - x_0", factor * (eps - eps_hat), x0_hat - x_0, tol=1e-4)
    for row, image in zip(rows.values(), (x_t, eps_hat, eps_hat - eps, x0_hat), strict=True):
        row.append(image[0])
    errors.append(float(((eps_hat - eps) ** 2).mean()))
    labels.append(f"t = {t}, error {errors[-1]:.3f}, factor {factor:.1f}")
assert errors[-1] == min(errors) and max(errors) < 1  # 1: of a network that always answers 0

figure = plots.plot_strip(rows, labels, width=8)  # values beyond -1 and 1 are shown as -1 and 1
plots.show(figure, alt="At six times: a noised digit, the answer, its error, and the guess.")

# %% [markdown]
# ## Idea 3: walk back
#
# Take the guess $\hat x_0$, cut its pixels to $[-1, 1]$ (at $t = T$ some run to hundreds and more), and put it back into
# idea 1, at an earlier time $s < t$, with the noise that then explains $x_t$. The guess at $s$ is better, as more of the
# image is there. Repeat until $s = 0$. This is the whole sampler you saw. It is called DDIM, and adds no new noise: `eta=0`.
# With `eta=1` it adds as much as the older DDPM, which takes 1000 steps.

# %%
for k in range(50):
    t, s = t_path[k], t_path[k + 1]
    raw = diffusion.predict_x0(x_path[k], t, steps[k].eps_hat[:25])
    assert k > 0 or raw.abs().max() > 100
    x0_hat = raw.clamp(-1, 1)
    noise = diffusion.predict_eps(x_path[k], t, x0_hat)  # the noise in x_t if x0_hat were the truth
    torch.testing.assert_close(diffusion.q_sample(x0_hat, s, noise), x_path[k + 1])
verify("the sample is the last guess", guess_path[49], x_path[50])

# %% [markdown]
# How many steps does it take? Look at four new noises, each walked back in 1 to 50 steps. One guess is no digit:
# at $t = T$ we divide by $\sqrt{\bar\alpha_T} \approx 0$, which blows up each small error. Five make strokes, often not
# the digit that 50 make: a cell below counts it, by the classifier, for 32 of your first 64 noises.
# Then drag *seed* for other noises, *n_steps* (1 to 8) for more care. Each change asks the network anew.

# %%
def draw(seed, n_steps):
    """Four digits, walked back from the noise of one seed."""
    x_T = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    x = sample(diffusion, model, x_T.shape, n_steps=n_steps, x_T=x_T)
    return plots.image_grid(x, n_columns=4).repeat(4, 0).repeat(4, 1)


frames = [draw(0, n_steps) for n_steps in (1, 2, 5, 10, 50)]
labels = ["1 step", "2 steps", "5 steps", "10 steps", "50 steps"]
plots.show(plots.plot_strip(frames, labels), alt="Patches after one step, digits after more.")

# %% tags=["nbval-ignore-output"]
agree = {}
for n_steps in (1, 2, 5, 10):
    x = sample(diffusion, model, (32, 1, 28, 28), n_steps=n_steps, x_T=x_T[:32])
    agree[n_steps] = float((classifier(x).argmax(1) == final[:32]).float().mean())
    print(f"n_steps = {n_steps}: {agree[n_steps]:.0%} are the digit that 50 steps make")
assert agree[5] < 0.9 and agree[2] < agree[10]
widgets.explore(draw, seed=(0, 99, 1, 0), n_steps=(1, 8, 1, 5))

# %% [markdown]
# ## Where diffusion stands
#
# Four ways to learn to draw. Blue boxes are learned, yellow ones are noise when we sample; orange arrows are the way that
# a sample takes, gray ones serve training only. $z$ is noise, $x'$ what a network makes, $p(x)$ the probability that it gives an image. Compare what is trained against what, and how long the orange way is. Diffusion
# has the plainest training and the longest way: much of this course is about that way.

# %%
DATA, NOISE, LEARNED, PLAIN = "white", "#FBE3B5", "#BBDDF2", "#E4E4E4"
vae = {"$x$": (0.05, 0.6, DATA), "encoder": (0.28, 0.6, LEARNED), "$z$": (0.5, 0.6, NOISE)}
vae |= {"decoder": (0.72, 0.6, LEARNED), "$x'$": (0.95, 0.6, DATA)}
gan = {"$z$": (0.05, 0.4, NOISE), "generator": (0.26, 0.4, LEARNED), "$x'$": (0.47, 0.4, DATA)}
gan |= {"$x$": (0.47, 0.9, DATA), "discriminator": (0.71, 0.65, LEARNED)}
gan |= {"real?": (0.95, 0.65, PLAIN)}
flow = {"$z$": (0.9, 0.6, NOISE), "one network,\nboth ways": (0.5, 0.6, LEARNED)}
flow |= {"$x$": (0.1, 0.6, DATA)}
chain = {"$x_T$": (0.92, 0.5, NOISE), "…": (0.64, 0.5, "#FCEDCF")}
chain |= {"$x_1$": (0.36, 0.5, "#FDF6E8"), "$x_0$": (0.08, 0.5, DATA)}
chain |= {"one network, in every step": (0.5, 0.9, LEARNED)}

# %%
ORANGE, BLUE, GREY = plots.PALETTE[1], plots.PALETTE[0], "#777777"


def along(boxes, color):
    """Arrows from each box to the next."""
    return [(a, b, color) for a, b in zip(boxes[:-1], boxes[1:], strict=True)]


arrows = [
    along([*vae][:3], GREY) + along([*vae][2:], ORANGE),
    along([*gan][:3], ORANGE) + along([*gan][2:3] + [*gan][4:], GREY) + along([*gan][3:5], GREY),
    along([*flow], ORANGE) + along([*flow][::-1], GREY),
    along([*chain][:4], ORANGE) + along([*chain][3::-1], GREY),
]
texts = {
    "VAE": "trains: both networks, on a bound of $\\log p(x)$\nsamples: one pass",
    "GAN": "trains: each network against the other\nsamples: one pass",
    "Normalizing flow": "trains: an invertible network, on $\\log p(x)$\nsamples: one pass",
    "Diffusion": "trains: one network, to see noise that we added\nsamples: many passes",
}
figure, axes = plots.new_figure(2, 2, size=(11, 5.6))
for axis, boxes, ways, name in zip(axes.flat, (vae, gan, flow, chain), arrows, texts, strict=True):
    plots.draw_boxes(axis, boxes, ways)
    axis.set_title(name, weight="bold")
    axis.text(0, 0.02, texts[name], size=13)
for begin, end in ((0.32, 0.22), (0.5, 0.5), (0.68, 0.78)):  # on the last axis: the network's steps
    axis.annotate("", (end, 0.67), (begin, 0.84), arrowprops={"arrowstyle": "-|>", "color": BLUE})
plots.show(figure, alt="VAE, GAN, flow and diffusion: what each one trains, and how it samples.")

# %% [markdown]
# ## The map of the course
#
# | lesson | what it opens up |
# |---|---|
# | **00** this one | digits, three ideas |
# | **[01](01_noise_schedules.ipynb)** noise schedules | how fast to destroy |
# | **[02](02_closed_form.ipynb)** the closed form | idea 1, derived and tested |
# | **[03](03_posterior.ipynb)** the posterior | one step back, if $x_0$ were known |
# | **[04](04_simple_loss.ipynb)** the simple loss | idea 2, from the likelihood |
# | **[05](05_unet.ipynb)** the U-Net | the network |
# | **[06](06_train_mnist.ipynb)** training | from random weights to digits |
# | **[07](07_sampling.ipynb)** sampling | idea 3, step by step |
#
# Planned: DDIM, learned variances, Analytic-DPM, guidance, evaluation, larger models.

# %% [markdown]
# ## A fact sheet
#
# Which network was that? Its file carries a card: how it was made, and how good it is: how many of its digits a
# classifier recognizes, with more than 90 % certainty, and how far they are from real ones as a crowd (lower is better;
# a later lesson explains the distance). Fewer digits make larger distances: compare one only with that of
# real digits, beside it.

# %%
from ddpm_lite import pretrained_card

card = pretrained_card("mnist")
for name in ("data", "parameters", "schedule", "loss", "wall_time_seconds", "machine"):
    print(f"{name}: {card.get(name, 'not on the card')}")
metrics = dict(card.get("metrics", {}))
for name, seconds in metrics.pop("sampling times", {}).get("seconds", {}).items():
    print(f"{name}: {seconds} s there")
for name, score in metrics.items():
    print(f"\n{score['n']} digits, {name}")
    share, distance = score["recognized_real"], score["frechet_floor"]["mean"]
    print(f"recognized: {score['recognized']:.1%} (real digits: {share:.1%})")
    print(f"Frechet distance: {score['frechet_distance']:.1f} (real to real: {distance:.1f})")

# %% [markdown]
# ## What we saw
#
# - Adding noise needs no learning; a network learns to see the noise in $x_t$, and so to guess $\hat x_0$.
# - Sampling starts from $\mathcal N(0, I)$ and walks back, guess by guess, with many passes of one network.
# - The sample is the last guess; how many guesses we pay for is our choice, and changes it.
# - You can move time with a slider, and `verify` or `assert` checks the formulas.

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, read what the check says, repeat.
#
# ### Exercise 1: Name a digit by its seed (easy, 5 minutes)
#
# DDIM with `eta=0` adds no noise on its way: $x_T$ and the number of steps decide the digit. Write a function whose result depends on its seed alone.
# `sample` and `ddim_steps` both take a `generator`.

# %%
from ddpm_lite.checks import check_digits_from_seed


def digits_from_seed(diffusion, model, seed: int) -> torch.Tensor:
    """Four digits, (4, 1, 28, 28), by 10 DDIM steps with eta = 0."""
    raise NotImplementedError


check_digits_from_seed(digits_from_seed)

# %% [markdown]
# ### Exercise 2: Count the network's work (easy, 5 minutes)
#
# For a sampler, a model is anything that can be called as `model(x_t, t)`: also a function of yours that counts and then asks
# the real one. `run(counter)` runs some sampler. How many images is the network asked about, all calls together?

# %%
from ddpm_lite.checks import check_count_evaluations


def count_evaluations(run, model) -> int:
    """The number of images that the network is asked about while run(...) runs."""
    raise NotImplementedError


check_count_evaluations(count_evaluations)

# %% [markdown]
# ### Exercise 3: Predict the end of time (medium, 10 minutes)
#
# A pixel of $x_0$ has a mean and a variance. From idea 1, where $\epsilon$ has mean 0 and variance 1 and is independent of
# $x_0$: what are the mean and the variance of that pixel of $x_t$? Then put in $t = T$. What does that say about
# where sampling starts?

# %%
from ddpm_lite.checks import check_noised_moments


def noised_moments(diffusion, mean: float, variance: float, t: int) -> tuple:
    """Mean and variance of x_t, from diffusion.alpha_bar, a table of T + 1 entries."""
    raise NotImplementedError


check_noised_moments(noised_moments)

# %% [markdown]
# [**More exercises**](exercises/00_start_here.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/00_start_here.ipynb)).
#
# ## References
#
# - Ho, Jain, Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239).
# - Song, Meng, Ermon 2021, *Denoising Diffusion Implicit Models*, [arXiv 2010.02502](https://arxiv.org/abs/2010.02502).
# - Sohl-Dickstein et al. 2015, where the idea began, [arXiv 1503.03585](https://arxiv.org/abs/1503.03585).
# - VAE: [1312.6114](https://arxiv.org/abs/1312.6114); GAN: [1406.2661](https://arxiv.org/abs/1406.2661); normalizing flows:
#   [1410.8516](https://arxiv.org/abs/1410.8516).
