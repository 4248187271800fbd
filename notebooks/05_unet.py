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
# - where parameters, memory and time go; what happens without a part
#
# **Need:** lessons 00 to 02, 04; convolutions in PyTorch.
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
# A **denoiser** is a function `model(x_t, t) -> eps_hat`: from noisy images and times it guesses the noise.
#
# Ours is a **U-Net** of five parts: the time's vector, the residual block, attention, down and up, the skips. Black arrows lead to a coarse image and back; blue lines hand over what came before. Numbers in boxes are channels; below stands the resolution. ($x_t$ comes in folded, on fewer pixels; this and the legend: later.)

# %% tags=["cover"]
import torch.nn.functional as F
from torch import nn
from ddpm_lite.checks import verify
from ddpm_lite.unet import Downsample, Level, ResidualBlock, SelfAttention, UNet, Upsample

model, diffusion = load_pretrained("mnist")
alt = "The U-Net: boxes with channels and resolutions go down and up, joined by skip connections."
plots.show(plots.plot_unet(model, (1, 28, 28)), alt=alt)

# %% [markdown]
# ## The time as a vector
#
# One number $t$ between 1 and 1000 is little for a network to hold on to: 300 and 301 differ by a thousandth of the range. So $t$ is read like a clock with $d/2$ hands, fast and slow. Hand $i$ turns at the rate $w_i$ and gives two numbers, its cosine and its sine:
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
w = 10_000 ** (-torch.arange(d // 2, dtype=torch.float64) / (d // 2))  # the rates, once more
e = embedding(torch.arange(T + 1), d)  # (T+1, d)

# %% [markdown]
# **Look** left: rows are the 32 numbers, cosines above, sines below, each from the fast hand to slow ones, which hardly move in the part shown. A column is one $t$. Right: how alike the marked $t$ is to every $s$. Move $t$: the peak keeps its shape, for
#
# $$\begin{aligned}e(t)\cdot e(s)&=\sum_i\cos(w_it)\cos(w_is)+\sin(w_it)\sin(w_is)\\&=\sum_i\cos\big(w_i\,(t-s)\big)\qquad\text{depends on }t-s\text{ alone;}\qquad|e|^2=d/2 .\end{aligned}$$
#
# And $t\to t+k$ turns each hand by $w_ik$: one rotation, whatever $t$ is. A linear layer can learn it; least squares finds the matrix of each hand.

# %%
embedding_picture = plots.EmbeddingPicture(e[:251])
alt = "Waves from fast to slow over t; the likeness of e(120) and e(s) peaks at s = 120."
plots.show(embedding_picture(120), alt=alt)
widgets.explore(embedding_picture, t=(0, 250, 1, 120), alt=alt)

# %%
s, t = torch.randint(0, T + 1, (2, 500), generator=generator)
verify("length: |e(t)|^2 = d / 2", torch.full((T + 1,), d / 2), (e**2).sum(1))
verify("e(t) . e(s)", ((t - s)[:, None] * w).cos().sum(1), (e[t] * e[s]).sum(1))
hands = torch.stack(e.chunk(2, dim=1), dim=2).transpose(0, 1)  # (d/2, T+1, 2)
turn = torch.linalg.lstsq(hands[:, :-70], hands[:, 70:]).solution  # (d/2, 2, 2): one for each hand
verify("one matrix a hand makes e(t + 70) of every e(t)", hands[:, 70:], hands[:, :-70] @ turn)
verify("the cosines in it", (70 * w).cos()[:, None].expand(-1, 2), turn.diagonal(dim1=1, dim2=2))
assert torch.pdist(e).min() > 1  # t and t + 1, the nearest; t / T would put them 0.001 apart

# %% [markdown]
# ## What breaks when the time is wrong
#
# Make $x_t$ at $t=300$ and **tell** the trained network another time $t'$. The picture shows $\hat\epsilon$, and the image it means, $\hat x_0=(x_t-\sqrt{1-\bar\alpha_{300}}\,\hat\epsilon)/\sqrt{\bar\alpha_{300}}$.
#
# Look at both ends. Told a small $t'$, it expects little noise, and $\hat x_0$ stays noisy. Told a large one, it takes all of $x_t$ for noise, $\hat\epsilon\approx x_t$, digit and specks. Then
#
# $$\hat x_0\approx\frac{1-\sqrt{1-\bar\alpha_{300}}}{\sqrt{\bar\alpha_{300}}}\,x_t ,$$
#
# a pale copy of $x_t$. The live lesson draws the mean $(\epsilon-\hat\epsilon)^2$ under the slider, smallest near the truth.

# %%
digits = mnist("test", full=False)
x_0, truth, told = digits.batch(torch.arange(24)), 300, torch.arange(20, 1001, 20)
eps = torch.randn(x_0.shape, generator=generator)
x_t, guesses, images, error = diffusion.q_sample(x_0, truth, eps), [], [], []
with torch.no_grad():
    for told_t in told:
        eps_hat = model(x_t, told_t.expand(len(x_t)))
        guesses.append(eps_hat[:8])
        images.append(diffusion.predict_x0(x_t, truth, eps_hat)[:8])
        error.append(float(F.mse_loss(eps_hat, eps)))
assert abs(int(told[torch.tensor(error).argmin()]) - truth) <= 40
assert min(error[0], error[-1]) > 3 * min(error)
assert F.mse_loss(eps_hat, x_t) < 0.1 * x_t.var()  # told t = 1000: eps_hat is nearly x_t
assert F.mse_loss(eps, diffusion.q_sample(x_0, T, eps)) < 1e-3  # for x_1000 is nearly eps
labels = [f"told t = {told_t}, true t = {truth}" for told_t in told.tolist()]
views = {"eps_hat": torch.stack(guesses), "x0_hat": torch.stack(images)}
strip = plots.plot_strip({name: x[:, :4] for name, x in views.items()}, labels, n=8)
alt = "Told a small t, the image stays noisy; told a large one, it is a paler x_t."
plots.show(strip, alt=alt)
widgets.scrub(views, labels=labels, title="told", value=14, n_columns=4, curve=(error, "error"))

# %% [markdown]
# ## The residual block
#
# Its **GroupNorm** gives each group of channels of an image mean 0, variance 1, then each channel its factor and shift. With $\mathrm{silu}(x)=x/(1+e^{-x})$, $3\times3$ convolutions, and $\mathrm{emb}=\mathrm{linear}(\mathrm{silu}(\mathrm{linear}(e(t))))$, once for all blocks:
#
# $$\begin{aligned}h&=\mathrm{conv}_1(\mathrm{silu}(\mathrm{norm}_1(x)))\\(a,b)&=\mathrm{linear}(\mathrm{silu}(\mathrm{emb}))\qquad\text{one scale and one shift for each channel}\\h&=\mathrm{norm}_2(h)\,(1+a)+b\\\mathrm{out}&=x+\mathrm{conv}_2(\mathrm{silu}(h))\end{aligned}$$
#
# $\mathrm{conv}_2$ starts at **zero**: a new block is the identity. (Between unequal numbers of channels $x$ passes a $1\times1$ convolution.)
#
# **In the picture**: the trained first block's factors $1+a$, a line a channel; orange: larger at $t=1$ than at $t=500$. A factor near 0 mutes its channel (the shift remains). So $t$ chooses which channels speak.

# %%
def wake(layer):  # random weights: what starts at zero would hide mistakes
    for p in layer.parameters():
        nn.init.normal_(p, std=0.1, generator=generator)
    return layer.requires_grad_(False)


block, emb = ResidualBlock(32, 32, emb_dim=128), torch.randn(4, 128, generator=generator)
x = 3 + 2 * torch.randn(4, 32, 14, 14, generator=generator).requires_grad_()
# BatchNorm would mix the images of a batch, nearly clean ones with mere noise; GroupNorm does not
groups = block.norm_1(x).detach().reshape(4, block.norm_1.num_groups, -1)
verify("mean of each group", torch.zeros(groups.shape[:2]), groups.mean(2))
variance = groups.var(2, correction=0)
verify("variance of each group", torch.ones(groups.shape[:2]), variance, tol=1e-4)
verify("a new block passes x on", x.detach(), block(x, emb).detach())
(gradient,) = torch.autograd.grad(block(x, emb).sum(), x)
verify("and the gradient", torch.ones(x.shape), gradient)

wake(block)
h = block.conv_1(F.silu(block.norm_1(x)))
scale, shift = block.time(F.silu(emb))[:, :, None, None].chunk(2, dim=1)  # (4, 32, 1, 1) each
h = block.norm_2(h) * (1 + scale) + shift
torch.testing.assert_close(x + block.conv_2(F.silu(h)), block(x, emb))

# %%
time_vector = model.embed(embedding(torch.arange(1, T + 1), model.config["channels"]).float())
factor = 1 + model.down[0].block.time(F.silu(time_vector)).detach().chunk(2, dim=1)[0]  # (T, C)
figure, axis = plots.new_figure(size=(8, 3.4))
for channel in factor.T:
    axis.plot(range(1, T + 1), channel, lw=1.5, color=plots.PALETTE[int(channel[0] > channel[499])])
axis.axhline(0, color="0.7", lw=1)
axis.set(xlabel="$t$", ylabel="factor $1 + a$", title="orange: larger at t = 1 than at t = 500")
plots.show(figure, alt="Factors of the channels over t: some rise from t = 1 on, some fall.")

# %% [markdown]
# ## Attention: every pixel looks at every other
#
# A $3\times3$ convolution sees neighbors only. In **self-attention** each of $n=HW$ pixels makes, by a $1\times1$ convolution, a query $q$, a key $k$ and a value $v$ of $d=16$ numbers, and collects all values, weighted by query and key:
#
# $$\mathrm{out}_i=\sum_j p_{ij}\,v_j,\qquad p_{ij}=\frac{e^{q_i\cdot k_j/\sqrt d}}{\sum_{m}e^{q_i\cdot k_m/\sqrt d}} .$$
#
# Four **heads** do this side by side on the normed $x$; a $1\times1$ convolution mixes their answers, and $x$ is added.
#
# Why $\sqrt d$? For independent entries of mean 0, variance 1, covariances vanish:
#
# $$\mathrm{Var}(q\cdot k)=\sum_{c=1}^d\mathrm E[q_c^2]\,\mathrm E[k_c^2]=d .$$
#
# Without it, one pixel takes most weight; the softmax's slope $p(1-p)$ shrinks.

# %%
attention, n = wake(SelfAttention(64, n_heads=4)), 7 * 7  # four heads, d = 16 each
x = torch.randn(2, 64, 7, 7, generator=generator)
qkv = attention.qkv(attention.norm(x)).reshape(2, 3, 4, 16, n).mT  # (B, 3, heads, n, d)
q, k, v = qkv.unbind(1)  # (B, heads, n, d) each
score = (q[:, :, 10, None] * k).sum(-1) / 16**0.5  # (B, heads, n): pixel 10 asks all pixels
p = score.exp() / score.exp().sum(-1, keepdim=True)
out = (p[..., None] * v).sum(2).reshape(2, 64, 1, 1)  # heads side by side again
ours = x[..., 10 // 7, 10 % 7] + attention.proj(out).flatten(1)
torch.testing.assert_close(ours, attention(x)[..., 10 // 7, 10 % 7])
order = torch.randperm(n, generator=generator)


def shuffle(x):
    return x.flatten(2)[..., order].reshape(x.shape)


torch.testing.assert_close(shuffle(attention(x)), attention(shuffle(x)))
conv = wake(nn.Conv2d(64, 64, 3, padding=1))
assert (shuffle(conv(x)) - conv(shuffle(x))).abs().max() > 0.1
q, k = torch.randn(2, 2000, 49, 64, generator=generator)  # d = 64
score = (q[:, :1] * k).sum(-1)  # (2000, 49): one pixel asks 49
variance = score[:, 0].var()
verify("Var(q . k)", 64.0, variance, se=(score[:, 0] ** 2).std() / 2000**0.5)
p, sharp = (score / 8).softmax(-1), score.softmax(-1)
slope, sharp_slope = ((x * (1 - x)).sum(-1).mean() for x in (p, sharp))
print(f"largest weight with the root {p.max(-1).values.mean():.2f}, slopes {slope:.2f}")
print(f"without it {sharp.max(-1).values.mean():.2f}, slopes {sharp_slope:.2f}")
assert sharp_slope < 0.5 * slope

# %% [markdown]
# Nothing in the formulas says *where* a pixel is: shuffled pixels gave answers shuffled the same way. Attention is **permutation equivariant**, a convolution is not; places enter through the convolutions around it.
#
# Now a trained one, on the coarsest image ($n^2$ weights are many elsewhere). The orange pixel asks; each head shows where it looks, from black, 0, to white, the number above. First it asks on the stroke, then in the hole. Do the heads look for the same?

# %%
from ddpm_lite.anatomy import anatomy, attention_maps, cost_by_level

noisy = diffusion.q_sample(x_0[:1], 200, eps[:1])
layers = attention_maps(model, noisy, torch.tensor([200]))  # layer -> (B, heads, H, W, H, W)
attention_picture = plots.AttentionPicture(noisy[0, 0], next(iter(layers.values()))[0])
alt = "A pixel of a noisy digit, and where it looks in each of the heads of the first attention."
for row, column in ((3, 5), (3, 3)):
    plots.show(attention_picture(row, column), alt=alt)
widgets.explore(attention_picture, row=(0, 6, 1, 3), column=(0, 6, 1, 5), alt=alt)

# %% [markdown]
# ## Down, up, and what the skips are for
#
# **Down**: a convolution with stride 2; from $H$ pixels, with kernel 3 and padding 1, it makes $\lfloor(H+2-3)/2\rfloor+1$. **Up**: repeat each pixel $2\times2$, then convolve. One step on the coarse grid is two on the fine one: coarse pixels see far.
#
# But the target is $\epsilon$, new in *every* pixel. Put the mean $m$ of $2\times2$ independent $\epsilon_i$ in their place:
#
# $$\mathrm{Var}(m)=\tfrac1{16}\cdot4=\tfrac14,\qquad\mathrm{Cov}(\epsilon_1,m)=\tfrac14,\qquad\mathrm{Var}(\epsilon_1-m)=1-2\cdot\tfrac14+\tfrac14=\tfrac34 .$$

# %%
sizes = [Downsample(8)(torch.zeros(1, 8, H, H)).shape[-1] for H in (28, 14, 7)]
assert sizes == [(H + 2 - 3) // 2 + 1 for H in (28, 14, 7)] == [14, 7, 4]
assert Upsample(8)(torch.zeros(1, 8, 4, 4), (7, 7)).shape[-1] == 7  # told where to come back to
noise = torch.randn(500, 1, 28, 28, generator=generator)
m = F.interpolate(F.avg_pool2d(noise, 2), scale_factor=2)  # in the place of each of the four
for name, variance, x in [("Var(m)", 1 / 4, m), ("Var(eps - m)", 3 / 4, noise - m)]:
    square = x.square().mean((1, 2, 3))  # (500,)
    verify(name, variance, square.mean(), se=square.std() / 500**0.5)

# %% [markdown]
# Three quarters are lost. More channels *can* carry them, but the layers must learn to pack and unpack every pixel. **Skip connections** spare them that: they set the fine image's channels beside the others on the way up (concatenation).
#
# ## The same thing in the library
#
# First all layers. `Level` is a residual block, then attention where asked for. The way up has one for each tensor that was kept, the latest first, and takes the channels of both.

# %%
from ddpm_lite.unet import Refine, group_norm


class OurLayers(nn.Module):
    def __init__(self, channels, refine, input_skip, **_):
        super().__init__()
        c, c2, D = channels, 2 * channels, 4 * channels  # of the two levels; size of emb
        plain = {"emb_dim": D, "attention": False, "n_heads": 4}
        looks = {"emb_dim": D, "attention": True, "n_heads": 4}
        self.embed = nn.Sequential(nn.Linear(c, D), nn.SiLU(), nn.Linear(D, D))
        self.stem = nn.Conv2d(4, c, 3, padding=1)
        self.down = nn.ModuleList([Level(c, c, **plain), Downsample(c), Level(c, c2, **looks)])
        self.middle = nn.ModuleList([Level(c2, c2, **looks), Level(c2, c2, **plain)])
        self.up = nn.ModuleList([
            Level(c2 + c2, c2, **looks),  # on 7 x 7: 2c come, d's 2c beside them
            Level(c2 + c, c2, **looks),  # 2c and c's c
            Upsample(c2),  # to 14 x 14
            Level(c2 + c, c, **plain),  # 2c and b's c
            Level(c + c, c, **plain),  # c and a's c
        ])
        self.norm, self.head = group_norm(c), nn.Conv2d(c, 4 * (refine or 1), 3, padding=1)
        self.refine = Refine(refine, 1, 1, D) if refine else None
        self.skip_gate = nn.Linear(D, 1) if input_skip else None


form = {"channels": 16, "channel_mult": (1, 2), "attention_levels": (1,), "patch_size": 2}
library, full = wake(UNet(**form)), wake(UNet(**form, refine=8, input_skip=True))

# %% [markdown]
# Then the way through. Each $2\times2$ pixels of $x_t$ become 4 channels of one pixel; `a`, `b`, `c`, `d` are kept. Two options, neither in the paper nor in the study below, finish it:
#
# - `refine`: folding made channels of neighbors. So the head makes some numbers for *each* pixel, and two thin convolutions at full resolution turn them, $x_t$ and $t$ into the answer.
# - `input_skip` adds $g(t)\,x_t$ with a learned $g$. Near $t=T$, $x_t\approx\epsilon$: the layers need not carry it.

# %%
class OurUNet(OurLayers):
    def forward(self, x_t, t):
        emb = self.embed(embedding(t, self.stem.out_channels).float())  # (B, D)
        a = self.stem(F.pixel_unshuffle(x_t, 2))  # (B, channels, 14, 14)
        b = self.down[0](a, emb)
        c = self.down[1](b)  # (B, channels, 7, 7)
        d = self.down[2](c, emb)  # (B, 2 channels, 7, 7)
        h = self.middle[1](self.middle[0](d, emb), emb)
        h = self.up[0](torch.cat([h, d], 1), emb)
        h = self.up[1](torch.cat([h, c], 1), emb)
        h = self.up[2](h, b.shape[2:])  # (B, 2 channels, 14, 14)
        h = self.up[3](torch.cat([h, b], 1), emb)
        h = self.up[4](torch.cat([h, a], 1), emb)  # (B, channels, 14, 14)
        out = F.pixel_shuffle(self.head(F.silu(self.norm(h))), 2)  # (B, refine or 1, 28, 28)
        if self.refine:
            h = self.refine.conv_1(torch.cat([out, x_t], 1))  # (B, 2 refine, 28, 28)
            scale, shift = self.refine.time(F.silu(emb))[:, :, None, None].chunk(2, 1)
            out = self.refine.conv_2(F.silu(self.refine.norm(h) * (1 + scale) + shift))
        gate = self.skip_gate(F.silu(emb))[:, :, None, None] if self.skip_gate else 0
        return out + gate * x_t


t = torch.arange(1, 1001, 125)
x_t = diffusion.q_sample(x_0[:8], t, eps[:8])
for net in (library, full, model):  # the last one: the shipped, trained weights
    ours, eps_hat = OurUNet(**net.config), net(x_t, t).detach()
    ours.load_state_dict(net.state_dict())  # every name and every shape must fit
    torch.testing.assert_close(ours(x_t, t).detach(), eps_hat, rtol=1e-4, atol=1e-4)
    assert eps_hat.std() > 0.01  # and the answer is not just 0
print("The shipped network:", {name: model.config[name] for name in ("refine", "input_skip")})

# %% [markdown]
# ## Where parameters, memory and work go
#
# A $k\times k$ convolution from $C_{in}$ to $C_{out}$ channels on $H\times W$ pixels has
#
# $$\underbrace{C_{in}C_{out}k^2+C_{out}}_{\text{parameters}}\,,\quad\underbrace{HW\cdot C_{in}C_{out}k^2}_{\text{multiply-adds}}\,,\quad\underbrace{HW\cdot C_{out}\cdot 4\text{ bytes}}_{\text{activations}} .$$
#
# Parameters do not see the resolution; the others do. (Activations: what layers make, kept for the gradient of the next.) `anatomy` sends one image through and notes every part. Which resolution has most of the weights? Does it lead in work too? (*Time*: the layers that make $\mathrm{emb}$.)

# %%
parts = {part.name: part for part in anatomy(library, (1, 28, 28))}
conv = parts["down.2.block.conv_1"]  # 16 -> 32 channels, on 7 x 7 pixels
work = [16 * 32 * 9 + 32, 7 * 7 * 16 * 32 * 9, 7 * 7 * 32 * 4]
verify("a convolution", work, [conv.parameters, conv.multiply_adds, conv.activation_bytes])

def total(net):  # parameters, multiply-adds, bytes of activations
    return [sum(column) for column in zip(*cost_by_level(anatomy(net)).values(), strict=True)]


more = [f"{a / b - 1:+.0%}" for a, b in zip(total(full), total(library), strict=True)]
print("refine and input_skip, ours: {} weights, {} multiply-adds, {} activations".format(*more))
costs = cost_by_level(anatomy(model))
images = [part for part in anatomy(model) if len(part.shape) == 3]
sizes = {part.level: "{1}×{2}".format(*part.shape) for part in images}
alt = "Parameters, multiply-adds and activations of the shipped network, by resolution."
plots.show(plots.plot_costs({"shipped": costs}, sizes), alt=alt)
heavy = max(costs.values())  # the most parameters
assert heavy is costs[max(sizes)]  # where the pixels are fewest
share = [mine / whole for mine, whole in zip(heavy, total(model), strict=True)]
assert share[0] > 1.2 * share[1]

# %% [markdown]
# **Work is not time.** Halve the resolution and double the channels: as many multiply-adds, four times the parameters, half the activations:
#
# $$\tfrac H2\cdot\tfrac W2\cdot2C\cdot2C=HW\cdot C^2 .$$
#
# Which of three such convolutions was slow on the CPU that drew this? The thin one on many pixels: most likely, for it moves the most memory for the same work.
#
# So `patch_size=2` folds $2\times2$ pixels into 4 channels first, which loses nothing, and spares the blocks the full resolution.

# %% tags=["nbval-ignore-output"]
from timeit import repeat

thin, seconds = [(16, 28), (32, 14), (64, 7)], []
with torch.no_grad():
    for c, size in thin:
        assert size**2 * c**2 * 9 == 1_806_336  # multiply-adds for one image: equal
        conv = nn.Conv2d(c, c, 3, padding=1).to(memory_format=torch.channels_last)
        x = torch.randn(64, c, size, size).to(memory_format=torch.channels_last)
        seconds.append(min(repeat("conv(x)", globals=globals(), number=1, repeat=20)))
labels = [f"{c} channels\n{size}×{size}" for c, size in thin]
figure, axis = plots.new_figure(size=(8, 3.0))
axis.barh(labels, [1e3 * s for s in seconds], color=plots.PALETTE[0])
axis.set(xlabel="milliseconds for 64 images", title="the same multiply-adds")
axis.invert_yaxis()
plots.show(figure, alt="Milliseconds of three convolutions of equal work.")
torch.testing.assert_close(F.pixel_shuffle(F.pixel_unshuffle(x_0, 2), 2), x_0, rtol=0, atol=0)

# %% [markdown]
# ## What does each part buy?
#
# An **ablation**: train again without one part, on the same batches, $t$ and $\epsilon$, with three seeds (small dots; large: means; bars: two standard errors). *Time added*: a shift only. *One level*: no way down, attention on $14\times14$ pixels, a quarter of the weights. *Frechet distance*: how far features of samples lie from those of digits. *Recognized*: by a classifier. Training was short; results are stored. A difference is safe beyond some 4 standard errors.

# %%
import json
from importlib.resources import files

study = json.loads((files("ddpm_lite") / "assets" / "ablation.json").read_text("utf-8"))
print(study["command"], study["machine"], f"{study['images']:,} images a run", sep=" | ")
print(f"{'':15}loss against full    for t in 1-200, 201-400, ...     multiply-adds  CPU seconds")
loss, fifths, distance, cost = {}, {}, {}, {}
for name, arm in study["arms"].items():
    fifths[name] = torch.tensor([run["L_simple_by_fifths_of_T"] for run in arm["runs"]])
    loss[name] = fifths[name].mean(1)  # (seeds,)
    distance[name] = torch.tensor([run["frechet_distance"] for run in arm["runs"]])
    cost[name] = arm["multiply_adds"] / 1e6, sum(r["cpu_seconds"] for r in arm["runs"]) / 3
    gap = loss[name] / loss["full"] - 1  # seed by seed
    change = f"{gap.mean():+7.1%} +- {gap.std() / len(gap) ** 0.5:4.1%} (1 se)"
    by_t = " ".join(f"{x:.3f}" for x in fifths[name].mean(0))
    print(f"{name:13}{change}  {by_t}  {cost[name][0]:8.1f} million {cost[name][1]:8.0f}")
alt = "Loss and sample quality of six networks: worst without skips, next without time."
plots.show(plots.plot_ablation(study), alt=alt)
less = (fifths["one level"].mean(0) < fifths["full"].mean(0)).tolist()
assert less[:4] == [True, True, False, False] and bool((loss["one level"] < loss["full"]).all())
assert bool((loss["no time"] > 1.05 * loss["full"]).all())
assert bool((loss["no skips"] > 2 * loss["full"]).all())
assert all(bool((distance[name] > distance["full"]).all()) for name in ("one level", "no time"))
assert cost["one level"][0] < cost["full"][0] and cost["one level"][1] > 1.3 * cost["full"][1]

# %% [markdown]
# ## What we saw
#
# - A clock with many hands turns $t$ into a vector; scale and shift let $t$ choose which channels speak.
# - Attention knows no places. Its gain is too small for three seeds to show in samples.
# - Without skips, the loss more than doubles. Without $t$, it grows by a tenth: $x_t$ shows its noise. Told a wrong $t$, a network believes it.
# - *One level*: **lower loss, fewer digits recognized** (4 standard errors); better at small $t$, worse later. It multiplies less, yet takes longer.

# %% [markdown]
# ## Exercises
#
# Each cell says "Not attempted yet." until you fill in the stub. A wrong answer is told what is wrong with it.
#
# ### Exercise 1: Turn the hands (medium, 10 minutes)
#
# Make $e(t+k)$ from $e(t)$, without knowing $t$: turn each hand by its angle $w_ik$, with $w_i=P^{-i/(d/2)}$ and $P$ = `max_period`. First write $\cos(a+b)$ and $\sin(a+b)$ in sines and cosines of $a$ and $b$.

# %%
from torch import Tensor
from ddpm_lite.checks import check_turn_the_hands


def turn_the_hands(e: Tensor, k: int, max_period: float) -> Tensor:
    """(B, d), e(t) in each row -> (B, d), e(t + k): all cosines, then all sines"""
    raise NotImplementedError


check_turn_the_hands(turn_the_hands)

# %% [markdown]
# ### Exercise 2: Count the weights of a block (medium, 10 minutes)
#
# How many parameters does a `ResidualBlock` from `c_in` to `c_out` channels have, with a time vector of `D` numbers? Two norms (a factor and a shift a channel), two $3\times3$ convolutions, the linear layer that makes scale *and* shift, and, only if `c_in` differs from `c_out`, a $1\times1$ convolution. Mind the biases.

# %%
from ddpm_lite.checks import check_block_parameters


def block_parameters(c_in: int, c_out: int, D: int) -> int:
    raise NotImplementedError


check_block_parameters(block_parameters)

# %% [markdown]
# ### Exercise 3: Pay attention (medium, 10 minutes)
#
# The lesson took one pixel; write attention for all pixels and heads at once, with `@` and `softmax` and without a loop or PyTorch's own. Each row of weights belongs to one query and sums to 1.

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
# [**More exercises**](exercises/05_unet.ipynb), with hints ([in Colab](https://colab.research.google.com/github/ddpm-lite/ddpm_lite/blob/v0.1.0/notebooks/exercises/05_unet.ipynb)).
#
# ## References
#
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv 2006.11239](https://arxiv.org/abs/2006.11239): appendix B, this U-Net.
# - Ronneberger, Fischer & Brox 2015, *U-Net*, [arXiv 1505.04597](https://arxiv.org/abs/1505.04597): the U and its skips.
# - Vaswani et al. 2017, *Attention Is All You Need*, [arXiv 1706.03762](https://arxiv.org/abs/1706.03762): attention, sines of the position.
# - Wu & He 2018, *Group Normalization*, [arXiv 1803.08494](https://arxiv.org/abs/1803.08494).
# - Nichol & Dhariwal 2021, *Improved DDPM*, [arXiv 2102.09672](https://arxiv.org/abs/2102.09672): scale and shift.
