"""The networks: shapes, structure, what starts at zero, what sees what, devices and dtypes, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ddpm_lite import MLPDenoiser, UNet
from ddpm_lite.unet import Downsample, ResidualBlock, SelfAttention, Upsample, group_norm, timestep_embedding


def wake(model, scale=0.1):
    """Give every weight a random value: a new network answers 0, which would hide what it computes."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * scale)
    return model.eval()


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("channels_in", [1, 3])
@pytest.mark.parametrize("patch_size", [1, 2, 4])
def test_noise_has_the_shape_of_the_image(size, channels_in, patch_size):
    model = UNet(channels_in, 8, (1, 2, 2), attention_levels=(1, 2), patch_size=patch_size)
    x = torch.randn(2, channels_in, size, size)
    assert model(x, torch.tensor([1, 1000])).shape == x.shape
    assert UNet(**model.config).config == model.config


@settings(max_examples=25)
@given(
    channels=st.sampled_from([4, 6, 10, 16, 24]),
    mult=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    n_res_blocks=st.integers(1, 2),
    scale_shift=st.booleans(),
    dropout=st.sampled_from([0.0, 0.5]),
    more=st.sampled_from([{}, {"out_channels": 2}, {"input_skip": True, "refine": 3}]),
)
def test_any_width_and_depth_runs(channels, mult, n_res_blocks, scale_shift, dropout, more):
    model = UNet(1, channels, mult, n_res_blocks, dropout=dropout, scale_shift=scale_shift, **more)
    y = model(torch.randn(2, 1, 12, 12), torch.tensor([3, 4]))
    assert y.shape == (2, more.get("out_channels", 1), 12, 12)


@pytest.mark.parametrize("refine", [0, 4])
def test_a_new_network_answers_zero_and_yet_learns(refine):
    model = UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), refine=refine, input_skip=True)
    y = model(torch.randn(2, 1, 8, 8), torch.tensor([1, 2]))
    assert bool((y == 0).all())
    (y - 1).pow(2).mean().backward()
    assert float((model.refine.conv_2 if refine else model.head).bias.grad.abs().max()) > 0


@torch.no_grad()
def test_the_input_skip_adds_x_t_times_a_factor_of_t_to_the_noise_alone():
    options = {"in_channels": 2, "out_channels": 4, "channels": 8, "patch_size": 2}
    model = wake(UNet(**options, input_skip=True))
    plain = UNet(**options).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("skip_gate")})
    x, t = torch.randn(2, 2, 8, 8), torch.tensor([1, 900])
    added = model(x, t) - plain(x, t)
    factor = added[:, 0, 0, 0] / x[:, 0, 0, 0]
    assert float((factor[0] - factor[1]).abs()) > 1e-3
    torch.testing.assert_close(added[:, :2], factor[:, None, None, None] * x, atol=1e-5, rtol=1e-4)
    assert bool((added[:, 2:] == 0).all())


def test_every_parameter_takes_part():
    model = wake(UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), patch_size=2, refine=4, input_skip=True))
    model(torch.randn(2, 1, 8, 8), torch.tensor([1, 2])).pow(2).mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert silent == []


@torch.no_grad()
def test_the_time_matters_and_examples_do_not_mix():
    model = wake(UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,)))
    x = torch.randn(3, 1, 8, 8)
    y = model(x, torch.tensor([5, 500, 5]))
    alone = torch.cat([model(x[i : i + 1], t) for i, t in enumerate(torch.tensor([[5], [500], [5]]))])
    torch.testing.assert_close(y, alone, rtol=1e-4, atol=1e-5)
    assert float((model(x, torch.tensor([6, 500, 5])) - y)[0].abs().max()) > 1e-4


@torch.no_grad()
def test_attention_reaches_every_pixel_and_convolution_does_not():
    """A change in one corner: seen in the other one only by attention."""
    for attention, reaches in ((nn.Identity(), False), (SelfAttention(8, 2), True)):
        x = torch.randn(1, 8, 12, 12)
        changed = x.clone()
        changed[..., 0, 0] += 1
        net = wake(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), attention), 0.3)
        far = (net(x) - net(changed))[..., -1, -1].abs().max()
        assert (float(far) > 1e-6) == reaches


def test_self_attention_is_eq_1():
    layer, x = wake(SelfAttention(8, 2), 0.3), torch.randn(2, 8, 3, 4)
    tokens = layer.qkv(layer.norm(x)).flatten(2).transpose(1, 2)  # (B, N, 3 C)
    q, k, v = tokens.split(8, dim=-1)
    heads = []
    for h in (slice(0, 4), slice(4, 8)):
        weight = (q[..., h] @ k[..., h].transpose(1, 2) / math.sqrt(4)).softmax(-1)
        heads.append(weight @ v[..., h])
    out = torch.cat(heads, -1).transpose(1, 2).view(2, 8, 3, 4)
    torch.testing.assert_close(layer(x), x + layer.proj(out), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dim", [8, 32])
def test_embedding_equals_diffusers(dim):
    from diffusers.models.embeddings import get_timestep_embedding

    t = torch.tensor([1, 10, 500, 1000])
    theirs = get_timestep_embedding(t, dim, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(timestep_embedding(t, dim), theirs, rtol=1e-5, atol=1e-4)


def test_residual_block_is_its_formula():
    x, emb = torch.randn(2, 8, 5, 5), torch.randn(2, 16)
    for scale_shift in (True, False):
        block = wake(ResidualBlock(8, 12, 16, scale_shift=scale_shift), 0.3)
        h = block.conv_1(nn.functional.silu(block.norm_1(x)))
        time = block.time(nn.functional.silu(emb))[:, :, None, None]
        h = block.norm_2(h) * (1 + time[:, :12]) + time[:, 12:] if scale_shift else block.norm_2(h + time)
        torch.testing.assert_close(block(x, emb), block.skip(x) + block.conv_2(nn.functional.silu(h)))


def test_down_and_up():
    assert Downsample(4)(torch.zeros(1, 4, 7, 14)).shape == (1, 4, 4, 7)
    assert Upsample(4)(torch.zeros(1, 4, 4, 7), (7, 14)).shape == (1, 4, 7, 14)


@given(st.integers(1, 600))
def test_groups_divide_the_channels(channels):
    groups = group_norm(channels).num_groups
    assert channels % groups == 0 and 1 <= groups <= 32


@torch.no_grad()
def test_channels_last_and_bf16_agree_with_plain():
    model = wake(UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), patch_size=2))
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([1, 900])
    y = model(x, t)
    torch.testing.assert_close(model.to(memory_format=torch.channels_last)(x, t), y, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        z = model(x, t)
    assert float((z.float() - y).pow(2).mean().sqrt() / y.pow(2).mean().sqrt()) < 0.03


def test_shapes_on_the_meta_device_need_no_memory():
    with torch.device("meta"):
        model = UNet(3, 128, (1, 2, 2, 2), 2, attention_levels=(1,))
        y = model(torch.empty(64, 3, 32, 32), torch.ones(64, dtype=torch.int64))
    assert y.shape == (64, 3, 32, 32)
    count = sum(p.numel() for p in model.parameters())
    assert 30e6 < count < 45e6  # Ho et al. 2020: 35.7 M for CIFAR-10


def test_points():
    model = MLPDenoiser(dim=2, width=32)
    x, t = torch.randn(5, 2), torch.randint(1, 100, (5,))
    assert bool((model(x, t) == 0).all()) and wake(model)(x, t).shape == (5, 2)


X, T = torch.zeros(2, 1, 8, 8), torch.ones(2, dtype=torch.int64)
NET, MLP = UNet(channels=4, channel_mult=(1,), patch_size=2), MLPDenoiser(2, 8, 1)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (
            lambda: NET(torch.zeros(2, 3, 8, 8), T),
            ValueError,
            r"^x_t must have shape \(B, 1, H, W\), H and W divisible",
        ),
        (lambda: NET(torch.zeros(2, 1, 7, 8), T), ValueError, "^x_t must"),
        (lambda: NET(torch.zeros(1, 8, 8), T), ValueError, "^x_t must"),
        (lambda: NET(X.long(), T), TypeError, "^x_t must"),
        (lambda: NET(X, T.float()), TypeError, "^t must have dtype torch.int64, got torch.float32"),
        (lambda: NET(X, T[:1]), ValueError, r"^t must have shape \(2,\)"),
        (lambda: MLP(torch.zeros(2, 3), T), ValueError, "^x_t must"),
        (lambda: MLP(torch.zeros(2, 2), T[:1]), ValueError, "^t must"),
        (lambda: UNet(channels=0), ValueError, "^channels must"),
        (lambda: UNet(channels=5), ValueError, "^channels must be even"),
        (lambda: UNet(channels=4.5), TypeError, "^channels must"),
        (lambda: UNet(channel_mult=()), ValueError, "^channel_mult must"),
        (lambda: UNet(channel_mult=(1, 0)), ValueError, "^channel_mult must"),
        (lambda: UNet(attention_levels=(2,)), ValueError, "^attention_levels must"),
        (lambda: UNet(channels=6, attention_levels=(0,)), ValueError, "n_heads must divide"),
        (lambda: UNet(dropout=1.0), ValueError, "^dropout must"),
        (lambda: UNet(patch_size=0), ValueError, "^patch_size must"),
        (lambda: MLPDenoiser(width=1), ValueError, "^width must"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
