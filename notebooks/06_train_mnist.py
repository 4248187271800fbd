# %% [markdown]
# # Train a network until it draws digits
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/06_train_mnist.ipynb)
#
# **What you will do:** Take a network from random weights to digits in about five minutes on two idle cores, and stop a run without losing a bit.
#
# **Learn:**
#
# - Algorithm 1, and the recipe around it
# - what channels_last, bf16 and compile gain on your machine
# - what the loss tells of the samples, and what it does not
#
# **Need:** lessons 02, 04 and 05; gradient descent.
#
# **Minutes:** 50

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import os, torch
from ddpm_lite import plots, widgets

plots.use_style()
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## What we need
#
# Digits $x_0$, the 10,000 in the package. A schedule with its table $\bar\alpha_t$ (lessons 01, 02). A U-Net with random weights (lesson 05). Schedule and shape are those of the shipped network, from its card.
#
# The **device** is what computes: processor (CPU) or graphics card (GPU). `accelerate` finds it, and `.to(device)` moves tensors there.
#
# Run all cells now: about eight minutes on two idle cores. (With `DDPM_LITE_FAST=1` in the environment, runs are a few steps long, pictures noise.)

# %% tags=["nbval-ignore-output"]
import logging

from accelerate import Accelerator
from ddpm_lite import GaussianDiffusion, TrainConfig, UNet, beta_schedule, mnist, train
from ddpm_lite import pretrained_card

logging.getLogger("torch.utils.cpp_extension").setLevel("ERROR")  # or it warns: no GPU
FAST = os.environ.get("DDPM_LITE_FAST") == "1"
device, T, card = Accelerator().device, 1000, pretrained_card("mnist")
data = mnist("train", full=False)
diffusion = GaussianDiffusion(beta_schedule(card["schedule"]["name"], T)).to(device)
parts = {name: value for name, value in card["architecture"].items() if name != "name"}


def new_network(seed=0):
    torch.manual_seed(seed)  # PyTorch's layers draw their first weights from the global generator
    return UNet(**parts).to(device)


n_weights = sum(p.numel() for p in new_network().parameters())
print(f"{len(data):,} digits, {n_weights:,} weights")
print(f"on {device}, with {torch.get_num_threads()} threads; torch {torch.__version__}")

# %% [markdown]
# ## Algorithm 1
#
# Ho et al. (2020) repeat until converged:
#
# 1. $x_0\sim q(x_0)$: take an image of the data
# 2. $t\sim\mathrm{Uniform}\{1,\dots,T\}$
# 3. $\epsilon\sim\mathcal N(0,I)$
# 4. one step of $\theta$ down the gradient of $\big\|\epsilon-\epsilon_\theta(\sqrt{\bar\alpha_t}\,x_0+\sqrt{1-\bar\alpha_t}\,\epsilon,\;t)\big\|^2$
#
# In code: 64 images at once, each with its own $t$ and $\epsilon$, and the mean over all pixels in place of the sum.
#
# Where does the loss begin? A new U-Net answers 0 (lesson 05), so its loss is the mean of $\epsilon^2$, and $\mathrm E[\epsilon^2]=1$.

# %%
from ddpm_lite.checks import verify


def algorithm_1(model, n_steps, batch_size=64, lr=1e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr)
    signal, noise = diffusion.sqrt_alpha_bar, diffusion.sqrt_one_minus_alpha_bar  # (T+1,)
    for _ in range(n_steps):
        x_0 = data.batch(torch.randint(len(data), (batch_size,), generator=generator)).to(device)
        t = torch.randint(1, T + 1, (batch_size,), generator=generator).to(device)
        eps = torch.randn(x_0.shape, generator=generator).to(device)
        x_t = signal[t].view(-1, 1, 1, 1) * x_0 + noise[t].view(-1, 1, 1, 1) * eps
        loss = ((eps - model(x_t, t)) ** 2).mean()
        optimizer.zero_grad()  # backward() adds to the gradients that are there
        loss.backward()
        optimizer.step()
        yield loss.item()


first_losses = list(algorithm_1(new_network(), n_steps=10 if FAST else 60))
verify("the first loss is 1", 1, first_losses[0], se=(2 / (64 * 28**2)) ** 0.5)  # Var(eps^2) = 2
assert first_losses[-1] < 0.99 if FAST else first_losses[-1] < 0.6

# %% [markdown]
# That was the method. The rest makes it fast, steady and safe.
#
# ## Fast: how numbers lie in memory
#
# Memory is one long row. A batch $(B,C,H,W)$ usually lies there channel after channel. **channels_last** keeps the shape, but puts the $C$ numbers of one pixel side by side. A convolution combines all channels of a few pixels, so it then reads neighbors.
#
# We measure one block of the U-Net. First look at the strides: how far apart are two channels of one pixel?

# %% tags=["nbval-ignore-output"]
from ddpm_lite.measure import look, seconds, training_speed
from ddpm_lite.unet import ResidualBlock

block, emb = ResidualBlock(64, 64, 128).to(device), torch.randn(64, 128, device=device)
for layout in (torch.contiguous_format, torch.channels_last):
    block, h = block.to(memory_format=layout), torch.randn(64, 64, 14, 14, device=device)
    h = h.to(memory_format=layout)
    rate = 64 / seconds(lambda b=block, h=h: b(h, emb).square().mean().backward())  # b, h of now
    print(f"{layout}: channel stride {h.stride(1)}, {rate:,.0f} images/s, forward and back")

# %% [markdown]
# ## Fast: fewer bits, fewer trips
#
# **bf16** numbers have 16 bits: the range of a float32, but after 1 comes $1+2^{-7}$. Under *autocast*, convolutions and matrix products compute in bf16, the rest in float32. It pays where the chip multiplies bf16 faster: many GPUs, some CPUs.
#
# **compile** makes machine code that does several operations in one trip through memory. It takes seconds to minutes first, so it pays in long runs.
#
# We take a few steps with each. Which is fastest here?

# %% tags=["nbval-ignore-output"]
assert torch.finfo(torch.bfloat16).eps == 2**-7
choices, speed = {"float32": {}, "bf16": {"precision": "bf16"}, "compiled": {"compile": True}}, {}
for name in list(choices)[: 2 if FAST else 3]:
    config = TrainConfig(n_steps=4 if FAST else 20, batch_size=64, **choices[name])
    speed[name], ready = training_speed(new_network(), diffusion, data, config)
    saved = 1 / speed["float32"] - 1 / speed[name]  # seconds an image
    worth = f", paid back after {ready / saved:,.0f} images" if saved > 0 and ready > 1 else ""
    print(f"{name:8} {speed[name]:4.0f} images/s; {ready:.0f} s to start{worth}")

# %% [markdown]
# ## Steady: the learning rate, and a leash
#
# AdamW divides a mean of gradients by their typical size, which it must first find out, and shrinks all weights a little. The first $w$ of $K$ updates are the warm-up. Update $k=1,\dots,K$ gets a rise and a fall; $r_k$ is the share that is left, update $k$ included:
#
# $$\eta_k=\eta\;\underbrace{\min\!\Big(1,\frac kw\Big)}_{\text{rise}}\;\underbrace{\frac{1-\cos(\pi r_k)}2}_{\text{fall}},\qquad r_k=\min\!\Big(1,\frac{K-k+1}{K-w}\Big).$$
#
# The leash: a gradient $g$ of norm $\|g\|>1$ is replaced by $g/\|g\|$. One odd batch cannot throw the weights far, nor spoil what AdamW takes to be typical, which it forgets slowly.

# %%
K, w = 1800, 225
recipe = TrainConfig(n_steps=K, batch_size=64, lr=3e-3, warmup_steps=w, compile=not FAST)
eta = torch.tensor([recipe.lr_at(k) / recipe.lr for k in range(1, K + 1)])  # half at k = 1013
verify("eta at k = 1, w, 1013", torch.tensor([1 / w, 1, 0.5]), eta[[0, w - 1, 1012]], tol=1e-3)
figure, axis = plots.new_figure(size=(7, 2.6))
axis.plot(range(1, K + 1), eta)
axis.set(xlabel="update $k$", ylabel=r"$\eta_k/\eta$")
plots.show(figure, alt="The learning rate rises in a line, then falls like half a cosine.")

# %% [markdown]
# ## Steady: average the weights
#
# Every batch pushes the weights $\theta$ a little elsewhere. So keep an exponential moving average (EMA) beside them, and sample with it:
#
# $$\begin{aligned}\bar\theta_k&=d\,\bar\theta_{k-1}+(1-d)\,\theta_k\\&=(1-d)\,(\theta_k+d\,\theta_{k-1}+\dots+d^{k-1}\theta_1)+d^k\,\bar\theta_0 .\end{aligned}$$
#
# Were the $\theta_k$ independent, of variance $\sigma^2$, then for large $k$
#
# $$\frac{\mathrm{Var}(\bar\theta_k)}{\sigma^2}=(1-d)^2(1+d^2+d^4+\dots)=\frac{(1-d)^2}{1-d^2}=\frac{1-d}{1+d}.$$
#
# Real weights change little from one update to the next, so less is gained. With correlation $\rho^m$ between two that lie $m$ updates apart:
#
# $$\begin{aligned}\frac{\mathrm{Var}(\bar\theta_k)}{\sigma^2}&=(1-d)^2\sum_{i,j\ge0}d^{\,i+j}\rho^{|i-j|}=(1-d)^2\sum_{i\ge0}d^{\,2i}\Big(1+2\sum_{m\ge1}(\rho d)^m\Big)\\&=\frac{1-d}{1+d}\Big(1+\frac{2\rho d}{1-\rho d}\Big)=\frac{1-d}{1+d}\cdot\frac{1+\rho d}{1-\rho d}.\end{aligned}$$
#
# The price is memory: about $1/(1-d)$ updates, and $d^k$ of the random start.

# %%
theta, d, k = torch.randn(4000, 600, generator=generator, dtype=torch.float64), 0.95, 600
average, ages = 0 * theta[:, 0], torch.arange(k - 1, -1, -1, dtype=torch.float64)
for theta_i in theta.T:
    average = d * average + (1 - d) * theta_i
weights, alike = (1 - d) * d**ages, 0.9 ** (ages[:, None] - ages).abs()  # of theta_1 .. theta_k
verify("the sum written out", (theta * weights).sum(1), average)
verify("Var of the average", (1 - d) / (1 + d), average.var(), se=(1 - d) / (1 + d) / 2000**0.5)
verify("rho = 0.9", (1 - d) / (1 + d) * (1 + 0.9 * d) / (1 - 0.9 * d), weights @ alike @ weights)

# %% [markdown]
# Look at one weight whose best value is 1. It starts far off, and its gradient is noisy. Change the memory: too short an average trembles, too long a one still remembers the start.
#
# Tick *young forgets* to see the remedy: after $n$ updates use $d_n=\min\big(d,\frac{1+n}{10+n}\big)$. As long as $d_n<d$ (in our run: to the end), the average reaches back over about a tenth of the run so far. `train` does this, and begins with a copy of $\theta_1$.

# %%
walk = [-3.0]
for shock in torch.randn(1000, generator=generator).tolist():
    walk.append(walk[-1] - 0.05 * (walk[-1] - 1 + 3 * shock))  # keeps 0.95 of its distance from 1
ema_figure, ema_axis = plots.new_figure(size=(8, 3.4))
ema_axis.plot(walk, color="0.55", linewidth=1, label=r"$\theta_k$")
(ema_line,) = ema_axis.plot(walk, color=plots.PALETTE[0], label=r"$\bar\theta_k$")
ema_axis.set(xlabel="update $k$", ylim=(-3.2, 3), title=" ")
ema_axis.legend(loc="lower right")


def ema_picture(memory, young_forgets):
    """One noisy weight, and its moving average."""
    d, means = 1 - 1 / memory, [walk[0]]
    for n, value in enumerate(walk[1:]):  # n updates are in the average, this is the next
        d_n = min(d, (1 + n) / (10 + n)) if young_forgets else d
        means.append(d_n * means[-1] + (1 - d_n) * value)
    ema_line.set_ydata(means)
    ema_axis.set_title(f"$d$ = {d:.4g}")
    return ema_figure


alt = "A weight trembles around 1; its average over 200 updates is smooth, but late."
plots.show(ema_picture(200, False), alt=alt)
names = {"memory": "1/(1 − d)", "young_forgets": "young forgets"}
widgets.explore(ema_picture, memory=(1, 500, 1, 200), young_forgets=False, names=names)

# %% [markdown]
# ## Safe: stop, and go on
#
# What must a file hold, so that a stopped run can go on? The weights. Their average. AdamW's memory: two running means for each weight. The number of the update.
#
# And chance: which images, which $t$, which $\epsilon$ come next? The library draws them from `seed` and $k$ alone, so there is nothing to keep.
#
# We stop at update 10, two after the last save, and go on. Are the weights those of a run that never stopped?

# %%
import tempfile
from pathlib import Path

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
config = TrainConfig(n_steps=12, batch_size=16, warmup_steps=4, save_every=4, seed=3)


def run(state=None, stop=None, seed=0):
    for step in train(new_network(seed), diffusion, data, config, state=state):
        if step.step == stop:
            break
    return step


whole = run()
run(folder / "short.safetensors", stop=10)  # as when the power fails
resumed = run(folder / "short.safetensors", seed=1)  # other first weights: the file's replace them
for part in ("model", "ema"):
    pairs = zip(getattr(whole, part).parameters(), getattr(resumed, part).parameters(), strict=True)
    same = all(torch.equal(a, b) for a, b in pairs)
    assert same or device.type != "cpu"  # a GPU may add in another order each time
    print(f"{part}: equal to the last bit: {same}")
losses, norms, looks = {}, {}, {}  # of the run below; here, so that they outlive its stops

# %% [markdown]
# ## From noise to digits
#
# On the way, `look` draws 64 digits with the raw network and with its average, always from one $x_T$. It notes which share a classifier is sure of (over 90 %), and the loss on 256 test digits. There $t$ and $\epsilon$ are fixed: another draw would change the loss by several percent.
#
# When does the loss seem to stand still? When do digits appear? You may stop the cell and run it again: it goes on.

# %% tags=["nbval-ignore-output", "cover"]
import math
from dataclasses import replace

n_steps, n_digits, n_test, n_ddim = (8, 16, 32, 4) if FAST else (K, 64, 256, 25)
changes = {"n_steps": n_steps, "warmup_steps": n_steps // 8}
recipe = replace(recipe, **changes, save_every=math.ceil(n_steps / 12))
marks = {max(1, round(n_steps * (k / 12) ** 2)) for k in range(1, 13)}  # looks: often at first
draw = torch.Generator().manual_seed(1)
x_T = torch.randn(n_digits, 1, 28, 28, generator=draw)
x_test = mnist("test", full=False).batch(range(n_test))
t_test = torch.randint(1, T + 1, (n_test,), generator=draw)
held_out = x_test, t_test, torch.randn(x_test.shape, generator=draw)
live = plots.LivePicture("The loss falls, the share of recognized digits rises; 64 digits.")
for step in train(new_network(), diffusion, data, recipe, state=folder / "run.safetensors"):
    losses[step.step], norms[step.step] = step.loss, step.grad_norm
    if step.step in marks:
        looks[step.step] = look(step, diffusion, x_T, held_out, n_steps=n_ddim)
    if step.step in marks or step.step % 50 == 0:
        curve = [losses[k] for k in sorted(losses)]
        live.update(plots.plot_training(curve, looks.values(), n_steps=n_steps))
n_images = n_steps * recipe.batch_size
print(f"{n_images:,} images in {step.seconds:.0f} s; each digit {n_images / len(data):.1f} times")
pulled = sum(norm > recipe.grad_clip for norm in norms.values()) / len(norms)
print(f"the leash was pulled in {pulled:.0%} of the updates")
middle, end = looks[round(n_steps * 4 / 9)]["loss"], looks[n_steps]["loss"]
assert FAST or (middle["EMA"] < middle["raw"] and end["EMA"] < 0.06)
assert (1 + n_steps) / (10 + n_steps) < recipe.ema_decay  # d_n < d all along

# %% [markdown]
# Sixteen of the digits at all looks, from the same noise each time: above by the raw weights, below by their average. Blots come first, then strokes, then digits.
#
# In the panels before, halfway: whose loss is lower? (64 digits are too few to tell their shares apart.) At the end, with a learning rate near 0, both agree.

# %%
seen = [looks[k] for k in sorted(looks)]
views = {name: torch.stack([s["digits"][name][:16] for s in seen]) for name in ("raw", "EMA")}
labels = [f"update {s['step']}, EMA's loss {s['loss']['EMA']:.3f}" for s in seen]
shares = {f"recognized, {name}": [s["recognized"][name] for s in seen] for name in views}
alt = "Sixteen digits at six looks, raw weights above, average below: from noise to digits."
plots.show(plots.plot_strip(views, labels, n=6), alt=alt)
widgets.scrub(views, labels=labels, title="look", curve=shares, value=len(seen) - 1, fps=3)

# %% [markdown]
# ## How many are digits?
#
# Of 64 samples, a share $p$ is known to within $\sqrt{p\,(1-p)/64}$, about 0.06. So we draw more, with other noise, in more steps, and ask the same of real digits. Which share is recognized? The picture shows some that are *not*: what are they?
#
# At the end, raw and EMA are close. The average pays *before*: when you stop early, or the learning rate never falls.

# %% tags=["nbval-ignore-output"]
from ddpm_lite import evaluation, sample

shape, n_ddim = ((32, 1, 28, 28), 4) if FAST else ((500, 1, 28, 28), 50)
many = {"real": mnist("test", full=False).batch(slice(None))}
for name, network in (("raw", step.model), ("EMA", step.ema)):
    g = torch.Generator().manual_seed(2)  # the same noise for both
    many[name] = sample(diffusion, network, shape, n_steps=n_ddim, generator=g).cpu()
sure = {name: evaluation.features_and_p(x)[1].amax(1) > 0.9 for name, x in many.items()}
found = {name: yes.float().mean().item() for name, yes in sure.items()}
for name, p in found.items():
    n = len(many[name])
    print(f"{name:4} {p:.1%} +- {(p * (1 - p) / n) ** 0.5:.1%} of {n} recognized")
assert found["real"] > 0.95
assert FAST or (found["EMA"] > 0.4 and abs(found["EMA"] - found["raw"]) < 0.1)
first = sure["EMA"].int().argsort(stable=True)[:20]  # those not recognized come first
plots.show(plots.plot_images(many["EMA"][first], n_columns=10, width=9), alt="20 bad samples.")

# %% [markdown]
# ## Longer: the loss moves little, the digits much
#
# A longer run, on all 60,000 digits, its models judged. The *Frechet distance*: how far samples, as a crowd, lie from real ones. Before 2 million images the learning rate falls to 0, then it is $\eta$ again; the last model's weights are the mean of seven kept since. How far do loss and distance fall? And at 2 million?
#
# The bars are of *our* network: which $t$ does its loss come from?

# %%
from ddpm_lite.measure import history_changes, loss_by_t, pretrained_history

history, by_t = pretrained_history("mnist"), loss_by_t(step.ema, diffusion, *held_out[::2])
alt = "Loss falls slowly, distance fast, then flat; bars: most of the loss at small t."
plots.show(plots.plot_history(history, by_t), alt=alt)
changes = history_changes(history, since=0)
print(f"from {changes.pop('from'):,} to {changes.pop('to'):,} images:")
print({name: f"{change:+.0%}" for name, change in changes.items()})
assert changes["Frechet distance"] < 2 * changes["loss"] < 0 and (FAST or sum(by_t[:3]) > 0.5)

# %% [markdown]
# Why? Most of the loss comes from small and middle $t$: grays and edges. The digit is decided at large $t$ (lesson 07). As the rate fell, the loss fell and the distance rose; the mean of seven has a higher loss, and better samples. Judge samples.
#
# ## On a GPU: an estimate
#
# A step takes the longer of *computing*, at 10 to 40 % of the peak rate, and *launching*, 10 µs an operation: both assumed. Which is it here?

# %% tags=["nbval-ignore-output"]
from ddpm_lite.measure import count_work

network, one = new_network(), data.batch([0]).to(device)
forward = count_work(lambda: diffusion.loss(network, one, 500))
both = count_work(lambda: diffusion.loss(network, one, 500).backward())
verify("forward and backward / forward = 3", 3, both.flop / forward.flop, tol=0.01)
print(f"{forward.flop / 2e6:.0f} million multiply-adds an image; {both.operations} launches a step")
a, batch = torch.randn(1024, 1024, device=device), data.batch(range(64)).to(device)
here = 2 * 1024**3 / seconds(lambda: a @ a)  # of both, the fastest call
rate = 64 * both.flop / seconds(lambda: diffusion.loss(network, batch, 500).backward(), 4)
print(f"here: {here / 1e9:,.0f} GFLOP/s in a matrix product, {rate / 1e9:,.0f} in a step")
for name, peak in {"T4, 8.1 TFLOP/s": 8.1e12, "laptop GPU, 10 TFLOP/s": 10e12}.items():
    launching = both.operations * 10e-6  # seconds a step
    slow, fast = (K * max(64 * both.flop / (peak * used), launching) for used in (0.1, 0.4))
    print(f"estimate, {name}: this lesson's {K * 64:,} images in {fast:.0f} to {slow:.0f} s")

# %% [markdown]
# *Measured*, on one H100 (`benchmarks/device.py`): 30 updates a second with 64 images, 34 with 512: launching is the limit. But one took 33 ms, not 4: we left out clipping, AdamW, EMA.
#
# ## The same thing in the library
#
# You used it: `train(model, diffusion, data, config, state=...)` yields after each update. Here in ten lines: after six updates, equal weights.
#
# From a shell: `python -m ddpm_lite train --out runs/mine`; on several GPUs: `accelerate launch -m ddpm_lite train --out runs/mine`.

# %%
config = TrainConfig(n_steps=6, batch_size=32, warmup_steps=2, seed=4)
ours = new_network().to(memory_format=torch.channels_last)
options = {"betas": (0.9, 0.99), "weight_decay": config.weight_decay, "fused": True}
optimizer = torch.optim.AdamW(ours.parameters(), **options)
images = data.random_indices(config.batch_size, seed=config.seed)
for k in range(1, config.n_steps + 1):
    optimizer.param_groups[0]["lr"] = config.lr_at(k)
    draw = torch.Generator().manual_seed(config.seed * 1_000_003 + k)  # each update has its own
    x_0 = data.batch(next(images))
    t = torch.randint(1, T + 1, (config.batch_size,), generator=draw)
    eps = torch.randn(x_0.shape, generator=draw)
    optimizer.zero_grad()
    diffusion.loss(ours, x_0.to(device), t.to(device), eps.to(device)).backward()
    torch.nn.utils.clip_grad_norm_(ours.parameters(), config.grad_clip)
    optimizer.step()
theirs = [step.model for step in train(new_network(), diffusion, data, config)][-1]
tolerance = 0 if device.type == "cpu" else 1e-2
for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=0)

# %% [markdown]
# ## What we saw
#
# - Training is a loop of ten lines: draw $x_0$, $t$, $\epsilon$; mix; descend.
# - Measure what a faster format gains; on a CPU bf16 may well lose.
# - While the learning rate is high, averaged weights have the lower loss.
# - From weights, average, AdamW's memory and $k$ a run goes on to the bit, if chance depends on seed and $k$ alone.
# - The loss soon tells little: most of it comes from small $t$. Judge the samples, and say how many there were.

# %% [markdown]
# ## Exercises
#
# Each cell says "Not attempted yet." until you fill in the stub. A wrong answer is told what is wrong with it.
#
# ### Exercise 1: Draw a batch (easy, 5 minutes)
#
# `images` are stored as bytes, 0 (black) to 255 (white). Return `n` of them, drawn with the `generator`, as float32 in $[-1,1]$, and a $t$ from $1..T$ for each.

# %%
from ddpm_lite.checks import check_draw_batch


def draw_batch(images: torch.Tensor, n: int, T: int, generator: torch.Generator) -> tuple:
    """(N, 1, H, W) uint8 -> x_0 (n, 1, H, W) float32, t (n,) int64"""
    raise NotImplementedError


check_draw_batch(draw_batch)

# %% [markdown]
# ### Exercise 2: Take one step (medium, 10 minutes)
#
# Make one update with the given images, times and noise, and return the loss. Use `diffusion.sqrt_alpha_bar` and `diffusion.sqrt_one_minus_alpha_bar`. The check calls it twice.

# %%
from ddpm_lite.checks import check_training_step


def training_step(model, optimizer, diffusion, x_0, t, eps) -> float:
    """x_0, eps: (B, 1, H, W); t: (B,)"""
    raise NotImplementedError


check_training_step(training_step)

# %% [markdown]
# ### Exercise 3: Set the learning rate (easy, 5 minutes)
#
# Write $\eta_k$ from the section on the learning rate. Which are the first and the last $k$? What is $r_k$ during the warm-up?

# %%
from ddpm_lite.checks import check_learning_rate


def learning_rate(k: int, K: int, w: int, lr: float) -> float:
    raise NotImplementedError


check_learning_rate(learning_rate)

# %% [markdown]
# ### Exercise 4: Keep the average (medium, 10 minutes)
#
# `n` updates are in the averages already. Bring in the next, **in place**, with $d_n=\min\big(d,\frac{1+n}{10+n}\big)$, where $d$ is `decay`: the tensors themselves must change, as a network holds them. The weights require gradients; the averages must not.

# %%
from ddpm_lite.checks import check_update_average


def update_average(average: list, weights: list, decay: float, n: int) -> None:
    raise NotImplementedError


check_update_average(update_average)

# %% [markdown]
# [**More exercises**](exercises/06_train_mnist.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/06_train_mnist.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): Algorithm 1; averaged weights, section 4 and appendix B.
# - Loshchilov & Hutter 2019, *Decoupled Weight Decay Regularization*, [arXiv 1711.05101](https://arxiv.org/abs/1711.05101): AdamW.
# - Loshchilov & Hutter 2017, *SGDR*, [arXiv 1608.03983](https://arxiv.org/abs/1608.03983): the cosine.
# - Polyak & Juditsky 1992, *Acceleration of Stochastic Approximation by Averaging*, [doi 10.1137/0330046](https://doi.org/10.1137/0330046).
# - PyTorch: [channels_last](https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html), [autocast](https://docs.pytorch.org/docs/stable/amp.html), [compile](https://docs.pytorch.org/docs/stable/torch.compiler.html).
