"""Diagnostics of training: broken states are named, healthy ones are not, and a check changes nothing."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn

from dgm_course import data, nets, pretrained
from dgm_course.gan import GAN, R1, hinge, least_squares, minimax, non_saturating, wasserstein, wasserstein_gp
from dgm_course.latent import Adversarial, VAEStage, VQStage
from dgm_course.nets import DenseNet
from dgm_course.training import Recipe, diagnostics, fit
from dgm_course.training.diagnostics import (
    Diagnostic,
    TrainingMonitor,
    critic_won,
    dead_codes,
    mode_collapse,
    posterior_collapse,
)
from dgm_course.vae import (
    VAE,
    BernoulliHead,
    DiagNormal,
    FixedGaussianHead,
    GaussianHead,
    MixturePrior,
    StandardNormal,
)
from dgm_course.vq import VQVAE, VQVAE2, Codebook, DeadCodeReset, EMAUpdate, GradientUpdate, GumbelVAE, Levels

from .models import stop_at

ROWS = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))


def names(seen: list[Diagnostic]) -> list[str]:
    return [symptom.name for symptom in seen]


# --- posterior collapse


def answering(mean: float, dim: int = 1) -> nn.Module:
    """An encoder that says N(mean, 1) of every x."""
    net = nn.Linear(3, 2 * dim)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.copy_(torch.tensor([mean] * dim + [0.0] * dim))
    return GaussianHead(net, dim)


def vae_of(encoder: nn.Module, prior: nn.Module | None = None, dim: int = 1, **more) -> VAE:
    return VAE(encoder, FixedGaussianHead(DenseNet(dim, 3, 16, 1), 3, 0.3), prior or StandardNormal(dim), **more)


@pytest.mark.parametrize("nats, found", [(0.001, True), (0.099, True), (0.101, False), (3.0, False)])
def test_a_kl_below_a_tenth_nat_collapsed(nats, found):
    """KL(N(m, 1) ‖ N(0, 1)) = m²/2."""
    seen = vae_of(answering((2 * nats) ** 0.5)).symptoms(ROWS)
    assert names(seen) == ["Posterior collapse"] * found
    if found:
        assert f"{nats:.2g} nats a sample" in seen[0].seen and "z says nothing about x" in seen[0].means


def test_a_tenth_nat_is_a_bit_guessed_at_72_percent():
    p = torch.tensor(0.72).double()
    information = math.log(2) - float(torch.special.entr(p) + torch.special.entr(1 - p))
    assert information == pytest.approx(diagnostics.NATS, abs=0.005)


def test_one_active_dimension_is_no_collapse():
    assert not posterior_collapse(torch.cat([torch.full((64, 1), 0.8), torch.zeros(64, 31)], 1).sum(1))


def test_a_sampled_kl_collapses_too():
    """A mixture has no closed form of its KL."""
    prior = MixturePrior(1, 2, spread=0.0)
    with torch.no_grad():
        prior.means.zero_(), prior.log_stds.zero_()
    assert names(vae_of(answering(0.0, 2), prior, 2).symptoms(ROWS)) == ["Posterior collapse"]
    assert not vae_of(answering(1.0, 2), prior, 2).symptoms(ROWS)


def test_a_discrete_latent_collapses_too():
    torch.manual_seed(0)
    decoder = BernoulliHead(DenseNet(2 * 3, (3,), 8, 1), (3,))
    model = GumbelVAE(DenseNet(3, (4, 2), 8, 1), decoder, torch.randn(4, 3))
    last = model.encoder.layers[-1]
    with torch.no_grad():
        last.weight.zero_(), last.bias.zero_()
    (seen,) = model.symptoms(ROWS)
    assert seen.name == "Posterior collapse" and "KL(q(c|x)" in seen.seen
    with torch.no_grad():
        last.bias[0] = 3.0
    assert not model.symptoms(ROWS)


# --- dead codes


GRID = torch.arange(3136)
CODES = [
    (GRID % 1, 64, True),
    (GRID % 4, 64, True),
    (GRID % 5, 64, False),
    (GRID % 64, 64, False),
    (GRID[:9] % 1, 2, True),
    (GRID[:9] % 2, 2, False),  # the smallest codebook
    (GRID[:32], 512, False),
    (GRID[:32] % 3, 512, False),
    (GRID[:32] % 2, 512, True),  # few outputs
    (GRID[:1], 64, False),
]  # a single output chooses one code


@pytest.mark.parametrize("codes, size, found", CODES)
def test_one_code_in_sixteen_or_fewer_is_dead(codes, size, found):
    seen = dead_codes(codes, size)
    assert names(seen) == ["Dead codes"] * found
    if found:
        outputs = f"{len(codes):,} outputs of the encoder choose {len(codes.unique())} of the {size} vectors"
        assert outputs in seen[0].seen


class Plain(nn.Linear):
    """x (B, 3) -> z (B, 2, 1): one place."""

    def forward(self, x):
        return super().forward(x)[..., None]


def quantized(vectors: torch.Tensor, rule=None, revival=None) -> VQVAE:
    torch.manual_seed(0)
    decoder = FixedGaussianHead(nn.Sequential(nn.Flatten(), nn.Linear(2, 3)), 3, 0.5)
    return VQVAE(Plain(3, 2), decoder, Codebook(vectors, rule, revival))


def far_off(size: int = 64) -> torch.Tensor:
    """One vector where the outputs are, all others far away."""
    return torch.cat([torch.zeros(1, 2), 100 + torch.randn(size - 1, 2)])


def test_a_dead_codebook_is_named():
    (seen,) = quantized(far_off()).symptoms(ROWS)
    assert (
        "400 outputs of the encoder choose 1 of the 64 vectors" in seen.seen and "DeadCodeReset()" in seen.advice
    )
    assert not quantized(torch.randn(64, 2)).symptoms(ROWS)


def test_the_dead_one_of_two_is_named():
    books = Codebook(torch.randn(64, 2)), Codebook(torch.randn(64, 2))
    model = VQVAE2(nn.Linear(1, 1), nn.Linear(1, 1), *books)
    grid = torch.arange(6400).remainder(64).view(400, 4, 4)
    model.encode = lambda x: Levels(grid, torch.zeros_like(grid))
    (seen,) = model.symptoms(ROWS)
    assert "1 of the 64 vectors of the bottom codebook" in seen.seen


# --- a critic that has won


SURE = torch.full((64,), 20.0, dtype=torch.float64)
BOUNDED = {
    "minimax": minimax(),
    "non-saturating": non_saturating(),
    "hinge": hinge(),
    "R1 or not": non_saturating().with_penalty(R1(0.1)),
}


@pytest.mark.parametrize("game", BOUNDED.values(), ids=BOUNDED)
def test_a_sure_critic_has_won(game):
    (seen,) = critic_won(game.critic, SURE, -SURE)
    assert seen.name == "The discriminator has won" and "R1()" in seen.advice
    assert not critic_won(game.critic, -SURE, SURE) and not critic_won(game.critic, 0 * SURE, 0 * SURE)


def test_a_won_loss_is_compared_with_zero_outputs():
    logit = torch.tensor([-math.log(math.expm1(0.5e-6))], dtype=torch.float64)  # softplus(−logit) = 0.5e-6, twice
    (seen,) = critic_won(minimax().critic, logit, -logit)
    assert "its loss is 1e-06, that of outputs 0 is 1.39" in seen.seen


def test_victory_begins_at_99_percent():
    for right, expected in ((0.994, True), (0.992, False), (0.9, False)):
        logit = torch.logit(torch.tensor([right], dtype=torch.float64))
        assert bool(critic_won(minimax().critic, logit, -logit)) is expected, right


def test_least_squares_is_won_at_its_targets():
    one = torch.ones(8)
    assert critic_won(least_squares().critic, one, 0 * one) and not critic_won(
        least_squares().critic, one / 2, one / 2
    )


@pytest.mark.parametrize("game", [wasserstein(), wasserstein_gp()], ids=["clipped", "gradient penalty"])
def test_a_wasserstein_critic_never_wins(game):
    """Its loss is minus a distance: the lower, the better it does its work, and at 0 the two are one."""
    for height in (-50.0, 0.0, 1e-9, 50.0):
        assert not critic_won(game.critic, height + 0 * SURE, -height + 0 * SURE)


# --- mode collapse


@pytest.mark.parametrize("share, expected", [(0.0, True), (0.04, True), (0.06, False), (1.0, False), (9.0, False)])
def test_a_twentieth_of_the_variance_collapsed(share, expected):
    x = torch.randn(500, 1, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    seen = mode_collapse(5 + share**0.5 * x, x)
    assert bool(seen) is expected
    if expected:
        assert seen[0].name == "Mode collapse" and f"500 samples have {share:.2%} of the variance" in seen[0].seen


def test_one_sample_is_not_judged():
    assert not any(mode_collapse(torch.zeros(n, 2), torch.zeros(n, 2)) for n in (0, 1))


class Spot(nn.Module):
    """A generator that always says nearly the same."""

    latent = 2

    def __init__(self, scale: float = 1e-3, where: float = 0.0) -> None:
        super().__init__()
        self.scale, self.where = nn.Parameter(torch.tensor(scale)), nn.Parameter(torch.tensor(where))

    def forward(self, z):
        return self.where + self.scale * z


def test_a_gan_names_which_of_two():
    sure = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    with torch.no_grad():
        (
            sure[0].weight.copy_(torch.tensor([[-10.0, 0.0]])),
            sure[0].bias.fill_(100.0),
        )  # left is real, right is fake
    x = data.moons().sample(200)
    assert names(GAN(Spot(), sure).symptoms(x)) == ["Mode collapse"]
    assert names(GAN(Spot(1.0, 20.0), sure).symptoms(x)) == ["The discriminator has won"]
    assert names(GAN(Spot(1e-3, 20.0), sure).symptoms(x)) == ["The discriminator has won", "Mode collapse"]
    assert not GAN(Spot(1.0), sure).symptoms(x)


# --- a first stage against its critic


class Patches(nn.Module):
    """Two numbers a sample, large where x is larger than it ever comes back."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return self.slope * (x[:, :2] - 5)


def test_a_first_stage_and_its_critic_are_checked():
    model, x = quantized(far_off()), 10 + ROWS
    game = Adversarial(VQStage(model), Patches(10.0), hinge())
    assert names(game.symptoms(x)) == ["Dead codes", "The critic has won"]
    assert names(Adversarial(VQStage(model), Patches(10.0), hinge(), start=100).symptoms(x)) == ["Dead codes"]
    assert names(Adversarial(VQStage(model), Patches(0.0), hinge()).symptoms(x)) == ["Dead codes"]
    collapsed = VAEStage(vae_of(answering(0.0)))
    assert names(Adversarial(collapsed, Patches(0.0), hinge()).symptoms(x)) == ["Posterior collapse"]


# --- the watch in `fit`


class Scripted(nn.Linear):
    """A regression with the problems of a script, one letter each, at each check."""

    def __init__(self, script: str) -> None:
        super().__init__(3, 1)
        self.script, self.look = script, 0

    def loss(self, x):
        return self(x).square().mean()

    def symptoms(self, x):
        self.look += 1
        mark = self.script[self.look - 1]
        return [Diagnostic(name, f"{name} was seen", "It means little", "nothing") for name in mark.strip(". ")]


@pytest.mark.parametrize(
    "script, expected",
    [
        ("..........", []),
        ("aa.aa.aa.a", []),
        ("aaa.......", ["a"]),
        ("aaaaaaaaaa", ["a"]),
        (".......aaa", ["a"]),
        ("aaa.aaa...", ["a"]),
        ("........aa", []),
        ("aaabbb....", ["a", "b"]),
        ("abababab..", []),
    ],
)
def test_three_positives_in_a_row_are_reported(script, expected, capsys):
    model = Scripted(script)
    history = fit(model, ROWS, Recipe(200, 32, 1e-3))
    assert model.look == 10 and names(history.symptoms) == expected
    assert repr(history).partition("; ")[2] == "; ".join(f"seen: {name}" for name in expected)
    out = capsys.readouterr().out
    assert all(out.count(f"{name} was seen") == 1 for name in expected) and ("was seen" in out) == bool(expected)


def test_a_short_run_is_not_checked(capsys):
    model = Scripted("a" * 10)
    assert not fit(model, ROWS, Recipe(99, 32, 1e-3)).symptoms and model.look == 0 and not capsys.readouterr().out
    assert fit(model, ROWS, Recipe(100, 32, 1e-3)).symptoms


@pytest.mark.parametrize("through", ["memory", "file"])
def test_a_resumed_run_keeps_what_was_reported(through, tmp_path, capsys):
    model, file = Scripted("aaaaa" + "b" * 10), tmp_path / "run.pt"
    stopped = fit(model, ROWS, Recipe(100, 32, 1e-3), report=stop_at(50), save=file)
    assert stopped.step == 50 and names(stopped.symptoms) == ["a"]
    history = fit(model, ROWS, Recipe(100, 32, 1e-3), resume=stopped if through == "memory" else file)
    assert names(history.symptoms) == ["a", "b"] and names(stopped.symptoms) == ["a"]
    assert capsys.readouterr().out.count("a was seen") == 1


def test_a_failing_check_ends_no_training():
    class Masked(VAE):
        def loss(self, x, mask, y):
            return super().loss(x * mask)

    history = fit(
        Masked(answering(1.0), FixedGaussianHead(DenseNet(1, 3, 8, 1), 3), StandardNormal(1)),
        (ROWS, torch.ones(400, 3), ROWS[:, 0]),
        Recipe(100, 32, 1e-3),
    )
    assert history.finished and not history.symptoms


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dcgan", "vqvae", "vae"])
def test_a_check_changes_nothing(model, monkeypatch):
    """Weights, buffers and all later noise are the same bits."""

    def run():
        torch.manual_seed(4)
        if model == "dcgan":
            made, x = (
                GAN(nets.DCGenerator(4, 4), nets.DCCritic(4), non_saturating()),
                torch.randn(32, 1, 28, 28).tanh(),
            )
        elif model == "vqvae":
            made, x = quantized(torch.randn(8, 2), EMAUpdate(), DeadCodeReset()), ROWS
        else:
            made, x = vae_of(GaussianHead(nn.Linear(3, 4), 2), MixturePrior(3, 2), 2), ROWS
        history = fit(made, x, Recipe(100, 8, 1e-3, ema=0.9))
        return made.state_dict(), history.losses

    checked = run()
    monkeypatch.setattr(TrainingMonitor, "least", 10**9)
    for one, other in zip(checked, run()):
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_check_runs_in_evaluation_mode():
    class Model(Scripted):
        def symptoms(self, x):
            self.found = (self.training, torch.is_grad_enabled(), torch.rand(1))
            return []

    model = Model("")
    model.inner = nn.Dropout()
    model.inner.eval()
    stream = torch.get_rng_state()
    TrainingMonitor(model, 100).look(10, (ROWS,))
    assert model.found[:2] == (False, False) and model.training and not model.inner.training
    assert torch.equal(torch.get_rng_state(), stream)


# --- whole trainings


def heard(model, x, recipe, capfd) -> tuple[list[str], str]:
    """What a training is said to suffer from, and the text of it; nothing is on stderr, and nothing a Python warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(model, x, recipe)
    said = capfd.readouterr()
    assert not said.err
    return names(history.symptoms), said.out


class Deaf(nn.Module):
    """A decoder that ignores z."""

    event = torch.Size((3,))

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(3))

    def forward(self, z):
        return DiagNormal(self.mean.expand(len(z), 3), 1.0)


@pytest.mark.slow
def test_a_decoder_that_ignores_z_is_named(capfd):
    torch.manual_seed(0)
    encoder, recipe = lambda: GaussianHead(DenseNet(3, (2, 2), 16, 1), 2), Recipe(300, 64, 1e-2)
    found, text = heard(VAE(encoder(), Deaf(), StandardNormal(2)), ROWS, recipe, capfd)
    assert found == ["Posterior collapse"] and text.count("Posterior collapse") == 1
    assert "nats a sample" in text and "To try: a KL weight" in text and max(map(len, text.splitlines())) <= 118
    assert heard(vae_of(encoder(), dim=2), ROWS, recipe, capfd) == ([], "")


@pytest.mark.slow
def test_a_dying_codebook_is_named(capfd):
    recipe = Recipe(400, 64, 3e-3)
    found, text = heard(quantized(far_off(), EMAUpdate(0.9)), ROWS, recipe, capfd)
    assert found == ["Dead codes"] and "choose 1 of the 64 vectors" in text
    assert heard(quantized(far_off(), EMAUpdate(0.9), DeadCodeReset(0.4)), ROWS, recipe, capfd) == ([], "")
    assert heard(quantized(torch.randn(64, 2), GradientUpdate()), ROWS, recipe, capfd) == ([], "")


@pytest.mark.slow
def test_a_winning_discriminator_is_named(capfd):
    torch.manual_seed(0)
    recipe = Recipe(300, 64, 1e-2, betas=(0.5, 0.99))
    gan = GAN(Spot(1.0, 30.0), nets.MLPDiscriminator(2, 16, 1), minimax(), lr_ratio=1e-6)
    found, text = heard(gan, data.moons(), recipe, capfd)
    assert found == ["The discriminator has won"] and "that of outputs 0 is 1.39" in text
    healthy = GAN(
        nets.MLPGenerator(2, 2, 32, 1), nets.MLPDiscriminator(2, 32, 1), non_saturating().with_penalty(R1(0.1))
    )
    assert heard(healthy, data.moons(), Recipe(300, 64, 1e-3, betas=(0.5, 0.99)), capfd) == ([], "")


def test_a_constant_generator_is_named(capfd):
    torch.manual_seed(0)
    gan = GAN(Spot(1e-3, 0.5), nets.MLPDiscriminator(2, 16, 1), non_saturating(), lr_ratio=1e-6)
    found, text = heard(gan, data.moons(), Recipe(100, 64, 1e-3, betas=(0.5, 0.99)), capfd)
    assert (
        found == ["Mode collapse"]
        and "64 samples have 0.00% of the variance" in text
        and "PacDiscriminator" in text
    )


WATCHED = (
    "vae_digits vae_plane_digits cvae_digits vqvae_digits vqvae2_digits vqgan_digits latent_digits dcgan_digits"
)


@pytest.mark.parametrize("name", [*WATCHED.split(), "style_digits"])
def test_the_shipped_weights_are_well(name):
    mnist = data.mnist()
    images, labels = mnist.test[:64], (mnist.test_labels[:64],) if name == "cvae_digits" else ()
    x = data.DynamicallyBinarized(images).fixed() if "vae_" in name and "vqvae" not in name else images
    torch.manual_seed(0)
    assert pretrained.load(name).symptoms(x, *labels) == []
