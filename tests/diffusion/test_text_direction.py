"""Training of Δh: the loss and its gradient, bounded memory, and a killed training that goes on to the same bits."""

import pytest
import torch
from networks import tame_adm
from torch.nn import functional as F

from swsa_core.diffusion import asyrp, invert, reconstruct, timesteps
from swsa_core.diffusion.delta_h import DeltaH, as_edit, delta_h_for, keep, read_delta_h, resume
from swsa_core.diffusion.hspace import decode, encode
from swsa_core.diffusion.text_direction import (
    Target,
    Way,
    direction_loss,
    edited_image,
    edited_steps,
    fit,
    loss_of,
    train_on,
    unedited,
)

STEPS, T_EDIT = 4, 500


@pytest.fixture(scope="module")
def unet():
    return tame_adm()


def encoder(dtype=torch.float32):
    """Stands for CLIP's image tower: unit vectors that are a smooth function of the pixels."""
    weights = torch.randn(8, 3 * 16 * 16, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return lambda images: F.normalize(torch.tanh(images.flatten(1) @ weights.T / 16), dim=1)


@pytest.fixture(scope="module")
def ways(unet):
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x_T = invert(unet, images, STEPS).x_T
    predicted = unedited(unet, x_T, STEPS, T_EDIT)
    return [Way(images[[i]], x_T[[i]], predicted[i]) for i in range(3)]


def target(dtype=torch.float32, l1_weight=1.0):
    text = F.normalize(torch.randn(8, generator=torch.Generator().manual_seed(2), dtype=dtype), dim=0)
    return Target(encoder(dtype), text, l1_weight, STEPS, T_EDIT)


def test_the_loss_is_that_of_the_paper():
    edited, source, text = (torch.tensor([row]) for row in ([0.0, 1.0], [1.0, 0.0], [0.6, 0.8]))
    cosine = (torch.tensor([-1.0, 1.0]) @ torch.tensor([-0.4, 0.8])) / (2**0.5 * 0.8**0.5)
    assert direction_loss(edited, source, text[0]).item() == pytest.approx(1 - cosine.item(), rel=1e-5)
    assert direction_loss(text, source, text[0]).item() == pytest.approx(0, abs=1e-6)


def test_the_unedited_way_is_that_of_the_reconstruction(unet, ways):
    """P_t of the last step at t = 0 is the reconstruction itself, and of the others what neighbouring x make it."""
    x_T = torch.cat([way.x_T for way in ways])
    images, _ = reconstruct(unet, x_T, STEPS)
    assert torch.equal(unedited(unet, x_T, STEPS, 0)[:, -1], images)
    assert [t for t, _ in edited_steps(STEPS, T_EDIT)] == [t for t in timesteps(STEPS)[::-1] if t >= T_EDIT]
    assert ways[0].predicted.shape == (2, 3, 16, 16)


def test_the_gradient_agrees_with_finite_differences_in_float64(unet, ways):
    double = type(unet).from_config(unet.config).requires_grad_(False).eval().double()
    double.load_state_dict(unet.state_dict())
    delta_h = delta_h_for(double).double()
    goal, x, t = target(torch.float64), ways[0].x_T.double(), 999

    def loss():
        edited, _ = edited_image(double, delta_h, x, t)
        return loss_of(edited, ways[0].predicted[:1].double(), goal.encoder(ways[0].image.double()), goal)

    loss().backward()
    for name, parameter in delta_h.named_parameters():
        flat, gradient, step = parameter.data.view(-1), parameter.grad.view(-1), 1e-6
        for i in (0, len(flat) // 2):
            before = flat[i].item()
            above, below = (at(flat, i, before + sign * step, loss) for sign in (1, -1))
            flat[i] = before
            assert gradient[i].item() == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-9), name


def at(flat, i, value, loss):
    """The loss with one parameter at `value`."""
    flat[i] = value
    return loss().item()


def test_the_decoder_has_the_same_values_with_and_without_a_gradient(unet, ways):
    with torch.no_grad():
        h, skips, embedding = encode(unet, ways[0].x_T, 500)
        plain = decode(unet, h, skips, embedding)
    assert torch.equal(decode(unet, h.clone().requires_grad_(), skips, embedding).detach(), plain)


def test_alpha_of_0_is_the_reconstruction_bit_for_bit(unet, ways):
    x_T = torch.cat([way.x_T for way in ways])
    edit = as_edit(unet, delta_h_for(unet))
    assert torch.equal(asyrp(unet, x_T, edit, 0.0, STEPS), reconstruct(unet, x_T, STEPS)[0])
    low, high = (asyrp(unet, x_T, edit, alpha, STEPS, t_edit=T_EDIT) for alpha in (0.5, 1.0))
    plain = asyrp(unet, x_T, edit, 0.0, STEPS)
    assert 0 < (low - plain).abs().mean() < (high - plain).abs().mean()


def trained(unet, ways, delta_h, losses, orders, rate=0.1):
    optimizer = torch.optim.SGD(delta_h.parameters(), rate)
    yield from fit(unet, delta_h, optimizer, ways.__getitem__, orders, target(), losses)


def test_a_killed_training_goes_on_to_the_same_bits(unet, ways, tmp_path):
    orders, path = [[0, 2, 1], [2, 1, 0]], tmp_path / "state.partial"
    whole = delta_h_for(unet, 5)
    expected = list(trained(unet, ways, whole, [], orders))[-1]
    killed = delta_h_for(unet, 5)
    for losses in trained(unet, ways, killed, [], orders):
        keep(path, killed, "identity", losses)
        if len(losses) == 4:
            break
    again = delta_h_for(unet, 5)
    losses = resume(path, again, "identity")
    assert losses == expected[:4]
    assert list(trained(unet, ways, again, losses, orders))[-1] == expected
    for mine, theirs in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert resume(path, delta_h_for(unet), "other settings") == []
    path.write_bytes(path.read_bytes()[:100])
    assert resume(path, delta_h_for(unet), "identity") == []


def test_a_loss_that_is_not_finite_leaves_the_state_alone(unet, ways):
    delta_h = delta_h_for(unet)
    before = [parameter.clone() for parameter in delta_h.parameters()]
    optimizer = torch.optim.SGD(delta_h.parameters(), 0.1)
    broken = ways[0]._replace(predicted=torch.full_like(ways[0].predicted, torch.nan))
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        train_on(unet, delta_h, optimizer, broken, target())
    assert all(torch.equal(one, two) for one, two in zip(before, delta_h.parameters(), strict=True))


def test_delta_h_has_the_layers_of_asyrp_in_the_widths_of_the_network(unet, tmp_path):
    delta_h = delta_h_for(unet, 3)
    shapes = {name: tuple(value.shape) for name, value in delta_h.state_dict().items() if name.endswith("weight")}
    assert shapes == {
        "norm1.weight": (64,),
        "norm2.weight": (64,),
        "conv1.weight": (64, 64, 1, 1),
        "conv2.weight": (64, 64, 1, 1),
        "timestep.weight": (64, 128),
    }
    assert sum(value.numel() for value in DeltaH(1024, 1024).parameters()) == 3_152_896  # of ADM-256
    assert not torch.equal(delta_h.conv1.weight, delta_h_for(unet, 4).conv1.weight)
    keep(tmp_path / "d.safetensors", delta_h, "", [])
    read = read_delta_h(tmp_path / "d.safetensors", unet)
    assert all(torch.equal(*pair) for pair in zip(read.parameters(), delta_h.parameters(), strict=True))
