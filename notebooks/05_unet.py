# %% [markdown]
# # Build the network that predicts the noise
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/05_unet.ipynb)
#
# **What you will do:** Take a U-Net apart, rebuild it from its five parts, count what each costs, and see what each one buys.
#
# **Learn:**
#
# - how a number $t$ becomes a vector, and what a network does with it
# - what residual block, attention and skip connections do, each tested
# - where parameters, memory and time go, and what happens without a part
#
# **Need:** lessons 00 to 02; convolutions in PyTorch.
#
# **Minutes:** 60

# %%
import importlib.util, subprocess, sys

if importlib.util.find_spec("ddpm_lite") is None:  # Colab, or a bare environment
    address = "git+https://github.com/ddpm-lite/ddpm_lite@v0.1.0"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", address], check=True)
if "google.colab" in sys.modules:
    from google.colab import output
    output.enable_custom_widget_manager()

import torch
from ddpm_lite import load_pretrained, mnist, plots, widgets

plots.use_style()
torch.set_num_threads(1)  # all tensors here are small: one core is enough
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The task, and the whole of the answer
#
# A **denoiser** is a function `model(x_t, t) -> eps_hat`: from a noisy image $x_t$ and its time $t$ it guesses the noise $\hat\epsilon$, an image of the same shape.
#
# The course's own is a **U-Net**. Numbers in boxes are channels; below stands the resolution. Follow the black arrows, down to a coarse image with many channels, and up again. Blue lines hand over what the way down has seen (a dashed one, if any, $x_t$ itself).

# %% tags=["cover"]
import torch.nn.functional as F
from torch import nn

model, diffusion = load_pretrained("mnist")
alt = "The U-Net: boxes with channels and resolutions go down and up, joined by skip connections."
plots.show(plots.plot_unet(model, (1, 28, 28)), alt=alt)

# %% [markdown]
# ## The time as a vector
#
# One number $t$ between 1 and 1000 is little for a network to hold on to: 300 and 301 differ by a thousandth of the range. So $t$ is read like a clock with many hands, fast and slow. With $d$ numbers, $d/2$ hands turn at the rates $w_0,\dots,w_{d/2-1}$:
#
# $$w_i=10000^{-i/(d/2)},\qquad e(t)=[\cos(w_0t),\dots,\cos(w_{d/2-1}t),\;\sin(w_0t),\dots,\sin(w_{d/2-1}t)].$$
#
# The fastest hand turns by one radian a step; the slowest one hardly moves in the whole chain.

# %%
def embedding(t, d):
    w = 10_000 ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2))  # (d/2,)
    angle = t[:, None] * w  # (B, d/2)
    return torch.cat([angle.cos(), angle.sin()], dim=1)  # (B, d)


T, d = 1000, 32
e = embedding(torch.arange(T + 1), d)  # (T+1, d)

# %% [markdown]
# **Why sines?** Take two times $s$ and $t$. By $\cos a\cos b+\sin a\sin b=\cos(a-b)$,
#
# $$\begin{aligned}e(t)\cdot e(s)&=\sum_i\cos(w_it)\cos(w_is)+\sin(w_it)\sin(w_is)\\&=\sum_i\cos\big(w_i\,(t-s)\big).\end{aligned}$$
#
# So all $e(t)$ have one length ($s=t$: $|e|^2=d/2$), and how alike two of them are depends on $t-s$ alone. And $t\to t+k$ turns each hand by $w_ik$: one fixed rotation, whatever $t$ is. A linear layer can learn it.

# %%
from ddpm_lite.checks import verify

w = 10_000 ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2))
s, t = torch.randint(0, T + 1, (2, 500), generator=generator)
verify("length: |e(t)|^2 = d / 2", torch.full((T + 1,), d / 2), (e**2).sum(1))
verify("e(t) . e(s)", ((t - s)[:, None] * w).cos().sum(1), (e[t] * e[s]).sum(1))
hands = torch.complex(*e.chunk(2, dim=1))  # cos + i sin: a turn by w k is a factor exp(i w k)
turned = torch.view_as_real(hands[:-70] * (70j * w).exp())
verify("e(t + 70)", e[70:], turned.mT.flatten(1))
assert torch.pdist(e).min() > 1  # no two times are near each other; t / T would give 0.001

# %% [markdown]
# Look at the left picture: each row is one of the 32 numbers, from fast to slow waves, cosines above, sines below. A column is the vector of one $t$ (the first quarter of the chain is shown).
#
# On the right, how alike the marked $t$ is to every other $s$: $e(t)\cdot e(s)/|e(t)|^2$. It peaks at $s=t$ and falls off on both sides, in waves. Move $t$: the peak moves along and keeps its shape.

# %%
embedding_picture = plots.EmbeddingPicture(e[:251])
alt = "Waves from fast to slow over t; the likeness of e(120) and e(s) peaks at s = 120."
plots.show(embedding_picture(120), alt=alt)
widgets.explore(embedding_picture, t=(0, 250, 1, 120), alt=alt)

# %% [markdown]
# ## What breaks when the time is wrong
#
# Make $x_t$ at $t=300$ and **tell** the trained network another time $t'$. All else is right. We draw the image that its answer means, $\hat x_0=(x_t-\sqrt{1-\bar\alpha_{300}}\,\hat\epsilon)/\sqrt{\bar\alpha_{300}}$.
#
# Look at both ends of the strip. Told a small $t'$, it leaves specks of noise, for it expects little. Told a large one, it takes the digit for noise too, and a pale $x_t$ is left. The curve under the slider is its mean $(\epsilon-\hat\epsilon)^2$, smallest where it is told the truth.

# %%
digits = mnist("test", full=False)
x_0, truth, told = digits.batch(torch.arange(24)), 300, torch.arange(20, 1001, 20)
eps = torch.randn(x_0.shape, generator=generator)
x_t, frames, error = diffusion.q_sample(x_0, truth, eps), [], []
with torch.no_grad():
    for t in told:
        eps_hat = model(x_t, t.expand(len(x_t)))
        frames.append(diffusion.predict_x0(x_t, truth, eps_hat)[:8])
        error.append(float(F.mse_loss(eps_hat, eps)))
assert abs(int(told[torch.tensor(error).argmin()]) - truth) <= 40
assert min(error[0], error[-1]) > 3 * min(error)
labels = [f"told t = {t}, true t = {truth}" for t in told.tolist()]
views = {"x_t": torch.stack([x_t[:8]] * len(told)), "x0_hat": torch.stack(frames)}
strip = plots.plot_strip({name: x[:, :4] for name, x in views.items()}, labels, n=8)
alt = "Told a small t the network leaves the noise; told a large one it removes the digit too."
plots.show(strip, alt=alt)
widgets.scrub(views, labels=labels, title="told", value=14, n_columns=4, curve=(error, "error"))

# %% [markdown]
# ## The residual block
#
# Its **GroupNorm** gives each group of channels of one image mean 0 and variance 1. (BatchNorm would mix nearly clean images with mere noise.) With $\mathrm{silu}(x)=x/(1+e^{-x})$, $3\times3$ convolutions, and $e$ the time's vector, after two linear layers:
#
# $$\begin{aligned}h&=\mathrm{conv}_1(\mathrm{silu}(\mathrm{norm}_1(x)))\\(a,b)&=\mathrm{linear}(\mathrm{silu}(e))\qquad\text{one scale and one shift a channel}\\h&=\mathrm{norm}_2(h)\,(1+a)+b\\\mathrm{out}&=x+\mathrm{conv}_2(\mathrm{silu}(h))\end{aligned}$$
#
# $\mathrm{conv}_2$ starts at **zero**: a new block is the identity, and so is its gradient. Where channels change, a $1\times1$ convolution adapts $x$.
#
# **In the picture**: factors $1+a$ of the trained first block. Orange filters are for nearly clean images, blue ones for noise.

# %%
from ddpm_lite.unet import ResidualBlock


def wake(layer):  # random weights: what starts at zero would hide mistakes
    for p in layer.parameters():
        nn.init.normal_(p, std=0.1, generator=generator)
    return layer.requires_grad_(False)


block, emb = ResidualBlock(32, 32, emb_dim=128), torch.randn(4, 128, generator=generator)
x = 3 + 2 * torch.randn(4, 32, 14, 14, generator=generator).requires_grad_()
groups = block.norm_1(x).detach().reshape(4, block.norm_1.num_groups, -1)
verify("mean of each group", torch.zeros(groups.shape[:2]), groups.mean(2))
variance = groups.var(2, correction=0)
verify("variance of each group", torch.ones(groups.shape[:2]), variance, tol=1e-4)
verify("a new block passes x on", x.detach(), block(x, emb).detach())
(gradient,) = torch.autograd.grad(block(x, emb).sum(), x)
verify("and its gradient", torch.ones(x.shape), gradient)

wake(block)
h = block.conv_1(F.silu(block.norm_1(x)))
scale, shift = block.time(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # (4, 32, 1, 1) each
h = block.norm_2(h) * (1 + scale) + shift
torch.testing.assert_close(x + block.conv_2(F.silu(h)), block(x, emb))

# %%
with torch.no_grad():
    emb = model.embed(embedding(torch.arange(1, T + 1), model.config["channels"]).float())
    factor = 1 + model.down[0].block.time(F.silu(emb)).chunk(2, dim=1)[0]  # (T, C)
figure, axis = plots.new_figure(size=(8, 3.4))
for channel in factor.T:
    axis.plot(range(1, T + 1), channel, lw=1.5, color=plots.PALETTE[int(channel[0] > channel[499])])
axis.set(xlabel="$t$", ylabel="factor $1 + a$", title="orange: larger at t = 1 than at t = 500")
plots.show(figure, alt="Factors of the channels over t: some rise from t = 1 on, some fall.")
assert factor.std(0).max() > 0.1

# %% [markdown]
# ## Attention: every pixel looks at every other
#
# A $3\times3$ convolution sees its neighbors only. In **self-attention** each of the $n=HW$ pixels makes a query $q$, a key $k$ and a value $v$ of $d$ numbers (by a $1\times1$ convolution), and collects the values of all pixels $j$, weighed by how well query and key match:
#
# $$\mathrm{out}_i=\sum_j p_{ij}\,v_j,\qquad p_{ij}=\frac{e^{q_i\cdot k_j/\sqrt d}}{\sum_{m}e^{q_i\cdot k_m/\sqrt d}} .$$
#
# Why $\sqrt d$? For independent entries of mean 0 and variance 1,
#
# $$\mathrm{Var}(q\cdot k)=\sum_{i=1}^d\mathrm E[q_i^2]\,\mathrm E[k_i^2]=d .$$
#
# Large numbers would make the softmax pick one pixel and stop learning.

# %%
from ddpm_lite.unet import SelfAttention

q, k = torch.randn(2, 50_000, 16, generator=generator)
square = (q * k).sum(1) ** 2 / 16
verify("Var(q . k / sqrt(d))", 1.0, square.mean(), se=square.std() / 50_000**0.5)

attention, n = wake(SelfAttention(64, n_heads=4)), 7 * 7  # four times attention, d = 16 each
x = torch.randn(2, 64, 7, 7, generator=generator)
qkv = attention.qkv(attention.norm(x)).reshape(2, 3, 4, 16, n).mT  # pixels are rows
q, k, v = qkv.unbind(1)  # (B, heads, n, d) each
p = (q @ k.mT / 16**0.5).softmax(dim=-1)  # (B, heads, n, n)
verify("the weights of each pixel sum to 1", torch.ones(2, 4, n), p.sum(-1))
out = (p @ v).mT.reshape(2, 64, 7, 7)  # heads side by side again
torch.testing.assert_close(x + attention.proj(out), attention(x))

order = torch.randperm(n, generator=generator)


def shuffle(x):
    return x.flatten(2)[..., order].reshape(x.shape)


torch.testing.assert_close(shuffle(attention(x)), attention(shuffle(x)))
conv = wake(nn.Conv2d(64, 64, 3, padding=1))
assert (shuffle(conv(x)) - conv(shuffle(x))).abs().max() > 0.1

# %% [markdown]
# Nothing in these formulas says *where* a pixel is. The last lines checked it: shuffle the pixels, and the answers come out shuffled the same way. Attention is **permutation equivariant**, a convolution is not. Position enters only through the convolutions around it.
#
# Now a trained one. The orange pixel of the coarse image asks; for each head you see where it looks (white is most). Move it along the stroke, then off it. Do the heads look for the same?

# %%
from ddpm_lite.anatomy import attention_maps

x_t = diffusion.q_sample(x_0[:1], 200, eps[:1])
maps = attention_maps(model, x_t, torch.tensor([200]))  # layer -> (B, heads, H, W, H, W)
attention_picture = plots.AttentionPicture(x_t[0, 0], next(iter(maps.values()))[0])
alt = "A pixel of a noisy digit, and where it looks in each of the heads of the first attention."
plots.show(attention_picture(2, 3), alt=alt)
widgets.explore(attention_picture, row=(0, 6, 1, 2), column=(0, 6, 1, 3), alt=alt)

# %% [markdown]
# ## Down, up, and what the skips are for
#
# **Down**: a convolution with stride 2; from $H$ pixels, with kernel 3 and padding 1, it makes $\lfloor(H+2-3)/2\rfloor+1$. **Up**: repeat each pixel $2\times2$, then convolve. Coarse pixels see far.
#
# But the target is $\epsilon$, new in *every* pixel. Average $2\times2$ of them and repeat the average: for independent $\epsilon_i$ of variance 1,
#
# $$\mathrm{Var}\big(\tfrac14(\epsilon_1+\dots+\epsilon_4)\big)=\tfrac1{16}\cdot4=\tfrac14,$$
#
# and three quarters are lost. **Skip connections** bring the fine image to the way up, its channels beside the others (concatenation).

# %%
from ddpm_lite.unet import Downsample, Upsample

down, up = Downsample(8), Upsample(8)
for size, smaller in [(28, 14), (14, 7), (7, 4)]:
    x = torch.zeros(1, 8, size, size)
    assert down(x).shape[-1] == smaller == (size + 2 - 3) // 2 + 1
    assert up(down(x), x.shape[2:]).shape == x.shape  # it is told the size to come back to
noise = torch.randn(500, 1, 28, 28, generator=generator)
average = F.avg_pool2d(noise, 2)
lost = ((noise - F.interpolate(average, scale_factor=2)) ** 2).mean((1, 2, 3))
verify("variance kept", 1 / 4, average.var(), se=0.25 * (2 / average.numel()) ** 0.5)
verify("variance lost", 3 / 4, lost.mean(), se=lost.std() / 500**0.5)

# %% [markdown]
# ## The same thing in the library
#
# All parts together. `Level` is a residual block, then attention where asked for. $x_t$ is folded first: each $2\times2$ pixels become 4 channels of one pixel (why, comes next). Follow `a`, `b`, `c`, `d`: kept on the way down, joined in reverse order on the way up. Compare with the picture at the top.
#
# With the weights of the library's `UNet` copied into it, it must give the same noise.

# %%
from ddpm_lite.unet import Level, group_norm, timestep_embedding


class OurUNet(nn.Module):
    def __init__(self, c=16, D=64):  # channels of the first level, size of the time's vector
        super().__init__()
        plain, looking = (D, False, 4), (D, True, 4)  # without and with attention, of 4 heads
        self.embed = nn.Sequential(nn.Linear(c, D), nn.SiLU(), nn.Linear(D, D))
        self.stem, self.norm = nn.Conv2d(4, c, 3, padding=1), group_norm(c)
        self.down = nn.ModuleList([Level(c, c, *plain), Downsample(c), Level(c, 2 * c, *looking)])
        middle = [Level(2 * c, 2 * c, *looking), Level(2 * c, 2 * c, *plain)]
        up_1 = [Level(4 * c, 2 * c, *looking), Level(3 * c, 2 * c, *looking), Upsample(2 * c)]
        up_0 = [Level(3 * c, c, *plain), Level(2 * c, c, *plain)]
        self.middle, self.up = nn.ModuleList(middle), nn.ModuleList(up_1 + up_0)
        self.head = nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, x_t, t):
        emb = self.embed(timestep_embedding(t, self.stem.out_channels))  # (B, D)
        a = self.stem(F.pixel_unshuffle(x_t, 2))  # (B, c, 14, 14)
        b = self.down[0](a, emb)
        c = self.down[1](b)  # (B, c, 7, 7)
        d = self.down[2](c, emb)  # (B, 2c, 7, 7)
        h = self.middle[1](self.middle[0](d, emb), emb)
        h = self.up[0](torch.cat([h, d], 1), emb)
        h = self.up[1](torch.cat([h, c], 1), emb)
        h = self.up[2](h, b.shape[2:])  # (B, 2c, 14, 14)
        h = self.up[3](torch.cat([h, b], 1), emb)
        h = self.up[4](torch.cat([h, a], 1), emb)  # (B, c, 14, 14)
        return F.pixel_shuffle(self.head(F.silu(self.norm(h))), 2)  # (B, 1, 28, 28)

# %%
from ddpm_lite import UNet

library = wake(UNet(channels=16, channel_mult=(1, 2), attention_levels=(1,), patch_size=2))
ours = OurUNet()
ours.load_state_dict(library.state_dict())  # every name and every shape must fit
x, t = torch.randn(8, 1, 28, 28, generator=generator), torch.arange(1, 1000, 125)
torch.testing.assert_close(ours(x, t), library(x, t))
assert float(library(x, t).detach().std()) > 0.01  # and the answer is not just 0

# %% [markdown]
# ## Where parameters, memory and work go
#
# A $k\times k$ convolution from $C_{in}$ to $C_{out}$ channels on $H\times W$ pixels has
#
# $$\underbrace{C_{in}C_{out}k^2+C_{out}}_{\text{parameters}}\,,\quad\underbrace{HW\cdot C_{in}C_{out}k^2}_{\text{multiply-adds}}\,,\quad\underbrace{HW\cdot C_{out}\cdot 4\text{ bytes}}_{\text{activations, kept for the gradient}} .$$
#
# Parameters do not see the resolution; the other two do. `anatomy` sends one image through the network and notes what every part makes. Look at the bars: which level holds the weights, which one the work?

# %%
from ddpm_lite.anatomy import anatomy, cost_by_level

parts = {part.name: part for part in anatomy(library, (1, 28, 28))}
conv = parts["down.2.block.conv_1"]  # 16 -> 32 channels, on 7 x 7 pixels
work = [16 * 32 * 9 + 32, 7 * 7 * 16 * 32 * 9, 7 * 7 * 32 * 4]
verify("a convolution", work, [conv.parameters, conv.multiply_adds, conv.activation_bytes])
alt = "Parameters, multiply-adds and activations of the shipped network, level by level."
plots.show(plots.plot_costs({"shipped": cost_by_level(anatomy(model))}), alt=alt)

# %% [markdown]
# **Work is not time.** Halve the resolution and double the channels: $\tfrac H2\cdot\tfrac W2\cdot 2C\cdot 2C=HW\cdot C^2$, the same number of multiply-adds, four times the parameters, half the activations. On the CPU that drew this, which of the three convolutions was slow? The thin one on many pixels: it moves the most memory for the same work.
#
# So `patch_size=2` folds $2\times2$ pixels into 4 channels first, which loses nothing, and leaves the thin level out.

# %% tags=["nbval-ignore-output"]
from timeit import repeat

sizes, seconds = [(16, 28), (32, 14), (64, 7)], []
with torch.no_grad():
    for c, size in sizes:
        assert size**2 * c**2 * 9 == 1_806_336  # multiply-adds for one image: equal
        conv = nn.Conv2d(c, c, 3, padding=1).to(memory_format=torch.channels_last)
        x = torch.randn(64, c, size, size).to(memory_format=torch.channels_last)
        seconds.append(min(repeat("conv(x)", globals=globals(), number=1, repeat=20)))
labels = [f"{c} channels\n{size}×{size}" for c, size in sizes]
figure, axis = plots.new_figure(size=(8, 3.0))
axis.barh(labels, [1e3 * s for s in seconds], color=plots.PALETTE[0])
axis.set(xlabel="milliseconds for 64 images", title="the same multiply-adds")
axis.invert_yaxis()
plots.show(figure, alt="Milliseconds of three convolutions of equal work.")
torch.testing.assert_close(F.pixel_shuffle(F.pixel_unshuffle(x_0, 2), 2), x_0, rtol=0, atol=0)

# %% [markdown]
# ## What does each part buy?
#
# An **ablation**: train again with one part missing, on the same batches, $t$ and $\epsilon$. (*time added*: a shift only. *one level*: no way down, attention kept.) Results are stored; they took half an hour.
#
# Small dots: seeds; large ones: means; bars: two standard errors. *Frechet distance*: how far features of samples lie from those of digits. *Recognized*: by a classifier. Training was short. Printed: the loss against the full network's, then in five stretches of $t$.

# %%
import json
from importlib.resources import files

study = json.loads((files("ddpm_lite") / "assets" / "ablation.json").read_text("utf-8"))
print(study["command"], study["machine"], f"{study['images']:,} images a run", sep=" | ")
loss, fifths, distance = {}, {}, {}
for name, arm in study["arms"].items():
    table = torch.tensor([run["L_simple_by_fifths_of_T"] for run in arm["runs"]])  # (seeds, 5)
    loss[name], fifths[name] = table.mean(1), table.mean(0)
    distance[name] = torch.tensor([run["frechet_distance"] for run in arm["runs"]])
    gap = loss[name] / loss["full"] - 1  # seed by seed
    change = f"{gap.mean():+7.1%} +- {gap.std() / len(gap) ** 0.5:4.1%}"
    print(f"{name:13}{change}  ", *(f"{x:.3f}" for x in fifths[name]))
alt = "Loss and sample quality of six networks: worst without skips, next without time."
plots.show(plots.plot_ablation(study), alt=alt)
less, more = fifths["one level"] < fifths["full"], loss["no time"] > 1.05 * loss["full"]
assert less.tolist() == [True, True, False, False, False] and bool(more.all())
assert bool((loss["no skips"] > 2 * loss["full"]).all())
assert all(bool((distance[name] > distance["full"]).all()) for name in ("one level", "no time"))

# %% [markdown]
# ## What we saw
#
# - A clock with many hands turns $t$ into a vector.
# - A new residual block is the identity; scale and shift make one network into many.
# - Attention looks everywhere and knows no places. Its gain is too small for three seeds.
# - Without skips, the loss more than doubles. Without $t$, it grows by a tenth, and samples suffer more.
# - *One level* has the **lower loss and worse samples**: better at small $t$, worse at large.
#
# Lesson 06 trains such a network.

# %% [markdown]
# ## Exercises
#
# Each cell says "Not attempted yet." until you fill in the stub. A wrong answer is told what is wrong with it.
#
# ### Exercise 1: Set the clock (easy, 5 minutes)
#
# Write the time embedding for a batch: $d/2$ cosines, then $d/2$ sines, fast waves first, $w_i=P^{-i/(d/2)}$ with $P$ = `max_period`.

# %%
from torch import Tensor
from ddpm_lite.checks import check_time_embedding


def time_embedding(t: Tensor, d: int, max_period: float) -> Tensor:
    """(B,) -> (B, d)"""
    raise NotImplementedError


check_time_embedding(time_embedding)

# %% [markdown]
# ### Exercise 2: Count the weights of a block (medium, 10 minutes)
#
# How many parameters has a `ResidualBlock` from `c_in` to `c_out` channels, with a time vector of `D` numbers? Two norms (a factor and a shift a channel), two $3\times3$ convolutions, the linear layer that makes scale *and* shift, and, only if `c_in` differs from `c_out`, a $1\times1$ convolution. Mind the biases.

# %%
from ddpm_lite.checks import check_block_parameters


def block_parameters(c_in: int, c_out: int, D: int) -> int:
    raise NotImplementedError


check_block_parameters(block_parameters)

# %% [markdown]
# ### Exercise 3: Pay attention (medium, 10 minutes)
#
# Write attention with `@` and `softmax`, without PyTorch's own. Each row of weights belongs to one query and sums to 1.

# %%
from ddpm_lite.checks import check_attention


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(B, heads, n, d) each -> (B, heads, n, d)"""
    raise NotImplementedError


check_attention(attend)

# %% [markdown]
# ### Exercise 4: Walk through the U (hard, 15 minutes)
#
# `h` comes from the stem. `down`, `middle`, `up` are lists of layers, functions of one tensor. Keep `h` and what every layer of `down` makes. Each layer of `up` gets what is there, and *behind it* what was kept, the latest first, set side by side along the channels.

# %%
from collections.abc import Callable
from ddpm_lite.checks import check_walk_the_u

Layers = list[Callable[[Tensor], Tensor]]


def walk_the_u(h: Tensor, down: Layers, middle: Layers, up: Layers) -> Tensor:
    """(B, C, H, W) -> what the last layer of up makes"""
    raise NotImplementedError


check_walk_the_u(walk_the_u)

# %% [markdown]
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): appendix B, this U-Net.
# - Ronneberger, Fischer & Brox 2015, *U-Net*, [arXiv 1505.04597](https://arxiv.org/abs/1505.04597): the U and its skips.
# - Vaswani et al. 2017, *Attention Is All You Need*, [arXiv 1706.03762](https://arxiv.org/abs/1706.03762): attention, sines of the position.
# - Wu & He 2018, *Group Normalization*, [arXiv 1803.08494](https://arxiv.org/abs/1803.08494).
# - Nichol & Dhariwal 2021, *Improved DDPM*, [arXiv 2102.09672](https://arxiv.org/abs/2102.09672): scale and shift.
