# %% [markdown]
# # Make a slider of your own
#
# `scrub` puts frames that you have under a slider; `explore` puts sliders over a picture that is computed. Both come
# from `ddpm_lite.widgets`, and take tensors, arrays, or lists of either. Everything on this page ran as it stands.

# %%
import torch

from ddpm_lite import GaussianDiffusion, cosine_beta_schedule, mnist, plots, widgets
from ddpm_lite.data import normalize

generator = torch.Generator().manual_seed(0)
diffusion = GaussianDiffusion(cosine_beta_schedule(1000))
x_0 = normalize(mnist("test", full=False).images[:8])  # (8, 1, 28, 28) in [-1, 1]

# %% [markdown]
# ## Two lines
#
# One frame for each position of the slider: `(N, H, W)`, `(N, C, H, W)`, or `(N, B, C, H, W)`, where the B images of
# a frame are tiled. Floats in [-1, 1], or uint8. Here one `eps` serves all t, so that only t changes.

# %%
times, eps = torch.arange(0, 1001, 25), torch.randn(x_0.shape, generator=generator)
noised = [diffusion.q_sample(x_0, int(t), eps) for t in times]  # 41 frames of (8, 1, 28, 28)

one = widgets.scrub(noised, n_columns=4)
one

# %% [markdown]
# The browser draws all frames from one picture, so moving the slider asks nothing of Python: it follows an arrow key
# that is held down, and works on a page like this one. The button plays the frames, `fps` of them a second.
#
# ## Say what is seen
#
# `labels` has one text a frame; it stands under the picture, and is what a screen reader says. `title` is the
# slider's name, and `value` the frame it starts with.

# %%
signal = diffusion.sqrt_alpha_bar[times]
labels = [f"t = {t} of 1000, signal {s:.2f}" for t, s in zip(times, signal)]

widgets.scrub(noised, labels=labels, value=10, n_columns=8)

# %% [markdown]
# ## Several views on one t, and a curve
#
# A dict of frames shows views side by side, under their names (`x_t`, `x0_hat`, `eps_hat` are written as symbols).
# `curve` draws one number a frame, or several, with a cursor on the frame shown.

# %%
weak = [diffusion.predict_x0(x_t, int(t), 0.95 * eps) for x_t, t in zip(noised, times)]
views = {"x_t": [x[0] for x in noised], "x0_hat": [x[0] for x in weak], "eps": [eps[0]] * 41}
rates = {"signal": signal, "noise": diffusion.sqrt_one_minus_alpha_bar[times]}

two = widgets.scrub(views, labels=labels, curve=rates)
two

# %% [markdown]
# Its middle view is the guess of a denoiser that finds 95 % of the noise: what is left of the error grows with t.
#
# ## Sliders that move together
#
# `linked` names another `scrub` of as many frames. Move either of these two:

# %%
mean = torch.stack([x.mean(0) for x in noised])
widgets.scrub(mean, labels=labels, title="t (also above)", linked=two)

# %% [markdown]
# In a notebook, `two.value` is the index of the frame shown, to read and to set; `two.frame` its pixels.
#
# ## Frames from a figure
#
# `render_frames` calls a function once a frame on one figure, and gives its pixels. Make the figure once, and change
# its artists.

# %%
figure, axis = plots.new_figure(size=(5, 3))
bars = axis.hist(x_0.flatten(), bins=40, range=(-3, 3), color=plots.PALETTE[0])[2]
axis.set(xlim=(-3, 3), ylim=(0, 700), xlabel="pixel of $x_t$", ylabel="count")


def update(i: int) -> None:
    counts = torch.histc(noised[i], 40, -3, 3)
    for bar, count in zip(bars, counts):
        bar.set_height(float(count))


widgets.scrub(plots.render_frames(figure, update, len(noised)), labels=labels, scale=1)

# %% [markdown]
# ## Explore what must be computed
#
# `explore` takes a function that returns a figure or an image, and one control for each of its arguments: `(low,
# high, step, default)`, a list of choices, or a bool. In a notebook the kernel computes each picture, so it should
# take less than a tenth of a second. On these pages a grid of the settings is stored.

# %%
curve, ax = plots.new_figure(size=(5, 3))
(line,) = ax.plot([], [])
ax.set(xlim=(0, 1000), ylim=(0, 1.02), xlabel="$t$", ylabel=r"$\sqrt{\bar\alpha_t}$")


def signal_left(s: float, squared: bool):
    "What the cosine schedule leaves of the signal"
    left = GaussianDiffusion(cosine_beta_schedule(1000, s)).sqrt_alpha_bar
    line.set_data(range(1001), left**2 if squared else left)
    ax.set_ylabel(r"$\bar\alpha_t$" if squared else r"$\sqrt{\bar\alpha_t}$")
    return curve


widgets.explore(signal_left, s=(0.0, 0.5, 0.02, 0.02), squared=False)

# %% [markdown]
# ## When it says no
#
# Each error names the argument, what it got and what it wanted. The limit on size is what every current browser
# draws: a sheet of all frames of at most 16,384 pixels a side and 16.8 million in all, or 16,000 frames of 32 x 32.

# %%
wrong = {
    "one frame": noised[:1],
    "not a number": [noised[0], noised[1] * float("nan")],
    "too much": torch.zeros(200, 512, 512),
}
for name, frames in wrong.items():
    try:
        widgets.scrub(frames)
    except ValueError as error:
        print(f"{name}: {error}")

# %% [markdown]
# ## Where it works
#
# | where | `scrub` | `explore` |
# |---|---|---|
# | JupyterLab, VS Code, Colab | moves in the browser | the kernel computes each picture |
# | an old front end that cannot load the canvas | the kernel sends each picture | the kernel sends each picture |
# | a page like this one | moves in the browser | moves over stored settings |
# | GitHub, print | one sentence: put a still picture above it | one sentence: put a still picture above it |
#
# `plots.plot_strip(frames, labels)` makes that still picture of the frames that `scrub` takes.
