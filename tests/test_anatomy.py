"""Anatomy: counts by hand and by torch's own counter, sums over parts, levels, attention maps, bad input."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ddpm_lite import MLPDenoiser, UNet
from ddpm_lite.anatomy import anatomy, attention_maps, cost, cost_by_level
from ddpm_lite.unet import SelfAttention

SMALL = {"channels": 8, "channel_mult": (1, 2), "attention_levels": (1,), "n_heads": 2}
NETWORKS = {
    "small": (lambda: UNet(**SMALL), (1, 28, 28)),
    "folded": (lambda: UNet(**SMALL, patch_size=2, scale_shift=False), (1, 28, 28)),
    "color": (lambda: UNet(3, 8, (1, 2, 2), 2, attention_levels=(0, 2), n_heads=2), (3, 32, 32)),
    "odd sizes": (lambda: UNet(channels=8, channel_mult=(1, 1, 1)), (1, 14, 10)),
    "input skip": (lambda: UNet(**SMALL, input_skip=True), (1, 28, 28)),
    "points": (lambda: MLPDenoiser(2, 32, 2), (2,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_agree_with_the_network_and_with_torchs_own_counter(name):
    make, shape = NETWORKS[name]
    model = make()
    total = cost(anatomy(model, shape))
    assert total.parameters == sum(p.numel() for p in model.parameters())
    # torch counts two operations a multiply-add, and attention only where it is made of matrix products
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, *shape), torch.ones(1, dtype=torch.int64))
    assert 2 * total.multiply_adds == counter.get_total_flops()
    assert cost(anatomy(model, shape)) == total  # no hook is left behind, and nothing is counted twice


@pytest.mark.parametrize("name", ["color", "odd sizes"])
def test_shapes_are_those_of_a_real_pass(name):
    make, shape = NETWORKS[name]
    model, real = make(), {}
    for key, module in model.named_modules():
        module.register_forward_hook(lambda _, inputs, out, key=key: real.__setitem__(key, tuple(out.shape[1:])))
    with torch.no_grad():
        model(torch.zeros(2, *shape), torch.ones(2, dtype=torch.int64))
    parts = {part.name: part for part in anatomy(model, shape)}
    assert {key: part.shape for key, part in parts.items()} == {key: s for key, s in real.items() if key}
    assert all(p.device.type == "cpu" for p in model.parameters())


def test_by_hand():
    model = UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), n_heads=2, patch_size=2)
    parts = {part.name: part for part in anatomy(model, (1, 28, 28))}
    stem, second, attention = parts["stem"], parts["down.2.block.conv_2"], parts["down.2.attention"]
    assert stem[1:] == ("Conv2d", (8, 14, 14), 0, 4 * 8 * 9 + 8, 14 * 14 * 4 * 8 * 9, 14 * 14 * 8 * 4)
    assert second[1:] == ("Conv2d", (16, 7, 7), 1, 16 * 16 * 9 + 16, 7 * 7 * 16 * 16 * 9, 7 * 7 * 16 * 4)
    assert attention[1:] == ("SelfAttention", (16, 7, 7), 1, 0, 2 * 49 * 49 * 16, 7 * 7 * 16 * 4)
    assert parts["embed.0"][1:] == ("Linear", (32,), None, 8 * 32 + 32, 8 * 32, 32 * 4)
    assert parts["down.2.block.time"].level == 1  # a vector, inside a block of level 1
    assert parts["down.2.block.norm_1"][4:] == (16, 0, 7 * 7 * 8 * 4)
    assert parts["down.2"].activation_bytes == 0  # it returns what its attention made
    assert parts["down.0.attention"].activation_bytes == 0  # nn.Identity makes nothing
    assert list(parts)[:4] == ["embed", "embed.0", "embed.1", "embed.2"] and list(parts)[-1] == "head"


def test_levels_add_up():
    parts = anatomy(UNet(**SMALL), (1, 28, 28))
    levels = cost_by_level(parts)
    assert list(levels) == [0, 1, None]
    for field in ("parameters", "multiply_adds", "activation_bytes"):
        assert sum(getattr(c, field) for c in levels.values()) == getattr(cost(parts), field)
    assert {part.shape[1:] for part in parts if part.level == 1 and len(part.shape) == 3} == {(14, 14)}
    assert cost([]) == (0, 0, 0) and cost_by_level([]) == {}


class Odd(nn.Module):
    """Weights of its own, one layer used twice, a transposed convolution, and a module that returns a pair."""

    def __init__(self):
        super().__init__()
        self.gain, self.conv = nn.Parameter(torch.ones(5)), nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.out, self.pair = nn.ConvTranspose2d(2, 2, 2, stride=2), nn.LSTM(3, 3)

    def forward(self, x, t):
        return self.out(self.conv(self.conv(x))) + self.pair(x.new_zeros(1, 1, 3))[0].sum()


def test_any_denoiser():
    model = Odd()
    parts = anatomy(model, (2, 6, 6))
    assert [part.name for part in parts] == ["", "conv", "conv", "out", "pair"]
    assert cost(parts).parameters == sum(p.numel() for p in model.parameters())
    assert [part.parameters for part in parts[1:3]] == [2 * 9 + 2, 0]
    assert parts[1].multiply_adds == parts[2].multiply_adds == 36 * 2 * 9
    assert parts[3].multiply_adds == 36 * 2 * 2 * 4 and parts[4].shape == ()
    assert parts[3].level == 0 and parts[1].level == 1
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.out(torch.zeros(1, 2, 6, 6))
    assert counter.get_total_flops() == 2 * parts[3].multiply_adds


def test_size_costs_no_memory():
    with torch.device("meta"):
        large = UNet(3, 512, (1, 2, 4), 2)
    total = cost(anatomy(large, (3, 256, 256)))
    assert total.multiply_adds > 10**12 and total.activation_bytes > 10**9


def test_activations_have_the_dtype_of_the_weights():
    single, double = (cost(anatomy(Odd().to(dtype), (2, 6, 6))) for dtype in (torch.float32, torch.float64))
    assert double.activation_bytes == 2 * single.activation_bytes
    assert double.multiply_adds == single.multiply_adds


@torch.no_grad()
def test_attention_maps_are_the_weights_that_the_layer_uses():
    model = UNet(channels=8, channel_mult=(1, 2), attention_levels=(1,), n_heads=2).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    seen = {}
    for name, layer in model.named_modules():
        if isinstance(layer, SelfAttention):
            layer.register_forward_hook(lambda _, inputs, out, name=name: seen.__setitem__(name, (inputs[0], out)))
    x, t = torch.randn(2, 1, 12, 8), torch.tensor([3, 700])
    maps = attention_maps(model, x, t)
    assert list(maps) == list(seen) == ["down.2.attention", "middle.0.attention", "up.0.attention", "up.1.attention"]
    for name, (h, out) in seen.items():
        layer, weights = model.get_submodule(name), maps[name]
        assert weights.shape == (2, 2, 6, 4, 6, 4)
        torch.testing.assert_close(weights.sum((-1, -2)), torch.ones(2, 2, 6, 4))
        v = layer.qkv(layer.norm(h))[:, 32:].reshape(2, 2, 8, 24)  # heads, then entries of a head
        new = torch.einsum("bhpq,bhdq->bhdp", weights.reshape(2, 2, 24, 24), v).reshape(h.shape)
        torch.testing.assert_close(h + layer.proj(new), out, rtol=1e-4, atol=1e-5)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: anatomy(lambda x, t: x), TypeError, "^model must be a torch.nn.Module, got function"),
        (lambda: anatomy(UNet(**SMALL), (1, 28.5, 28)), TypeError, "^shape must be an integer"),
        (lambda: anatomy(UNet(**SMALL), (1, 0, 28)), ValueError, "^shape must be at least 1"),
        (lambda: anatomy(UNet(**SMALL), (3, 28, 28)), ValueError, "^x_t must have shape"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()
