"""Vector quantization: codes against brute force, k-means as a fixed point, gradients by term, bounds by enumeration."""
from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course.autoregressive import MADE
from dgm_course.fit import Recipe, fit
from dgm_course.grid_nets import GridDecoder, GridEncoder, TwoLevels
from dgm_course.latent_nets import DenseNet
from dgm_course.vae import BernoulliHead, FixedGaussianHead
from dgm_course.vq import (
    VQVAE,
    VQVAE2,
    ByGradient,
    Codebook,
    GumbelVAE,
    MovingAverage,
    Revival,
    UniformCodes,
    gumbel_noise,
    gumbel_softmax,
    kl_to_uniform,
    lookup,
    nearest,
    perplexity,
    straight_through,
)

RULES = {"by gradient": ByGradient(), "moving average": MovingAverage(0.9), "Lloyd's step": MovingAverage(0.0)}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


def table(size=5, dim=3):
    return torch.randn(size, dim, dtype=torch.float64)


def small(rule=None, commitment=0.25, bits=False):
    """Images of 8 x 8, a grid of 4 x 4 codes, five vectors of three numbers, in float64."""
    head = BernoulliHead if bits else FixedGaussianHead
    decoder = head(GridDecoder(3, 4, 1), (1, 8, 8))
    return VQVAE(GridEncoder(3, 4, 1), decoder, Codebook(table(), rule), commitment).double()


def images(n=6):
    return torch.randn(n, 1, 8, 8, dtype=torch.float64)


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


# --- nearest, lookup, straight through


@pytest.mark.parametrize("grid", [(), (1,), (4,), (2, 3)])
def test_codes_are_those_of_a_loop_over_all_places_and_vectors(grid):
    z, e = torch.randn(7, 3, *grid, dtype=torch.float64), table()
    codes = nearest(z, e)
    assert codes.shape == (7, *grid) and codes.dtype == torch.long
    for place in itertools.product(range(7), *map(range, grid)):
        point = z[(place[0], slice(None), *place[1:])]
        away = [math.dist(point.tolist(), vector.tolist()) for vector in e]
        assert away[codes[place]] == min(away)
    rebuilt = lookup(codes, e)
    assert rebuilt.shape == z.shape
    for place in itertools.product(range(7), *map(range, grid)):
        assert torch.equal(rebuilt[(place[0], slice(None), *place[1:])], e[codes[place]])


def test_in_single_precision_far_from_the_origin_the_nearest_is_still_found():
    e = torch.randn(16, 4)
    z = e[torch.randint(16, (200,))] + 0.05 * torch.randn(200, 4)
    assert torch.equal(nearest(z + 3000.0, e + 3000.0), torch.cdist(z.double(), e.double()).argmin(1))


def test_of_two_equal_vectors_the_first_is_taken():
    e = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert nearest(torch.tensor([[0.1, 2.0]]), e).tolist() == [1]


def test_straight_through_has_one_value_and_the_other_gradient():
    z, z_q = (torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    out = straight_through(z, z_q)
    torch.testing.assert_close(out.detach(), z_q.detach())
    weight = torch.randn_like(out)
    to_z, to_q = torch.autograd.grad((out * weight).sum(), (z, z_q), allow_unused=True)
    torch.testing.assert_close(to_z, weight)
    assert to_q is None


def test_the_gradient_at_the_encoder_is_the_one_at_the_decoders_input_and_the_true_one_is_zero():
    model, x = small(commitment=0.0), images()
    z_e = model.encoder(x).detach()
    z_q = model.codebook.lookup(model.codebook.codes(z_e)).detach()
    here, there = z_e.clone().requires_grad_(), z_q.clone().requires_grad_()
    surprise = lambda z: -model.decoder(z).log_prob(x).sum()
    wanted, = torch.autograd.grad(surprise(there), there)
    found, = torch.autograd.grad(surprise(model.codebook.eval()(here).z_q), here)
    torch.testing.assert_close(found, wanted)
    step = 1e-6 * torch.randn_like(z_e)
    codes = model.codebook.codes(z_e + step)
    assert torch.equal(model.codebook.lookup(codes), z_q) and wanted.abs().max() > 1e-3  # a step: nothing moves


# --- the codebook


def test_a_gradient_step_moves_a_vector_towards_the_mean_of_those_that_chose_it():
    book, z = Codebook(table(), ByGradient()), torch.randn(50, 3, dtype=torch.float64)
    found = book(z)
    slope, = torch.autograd.grad(found.codebook.sum(), book.vectors)
    for k in range(book.size):
        chosen = z[found.codes == k]
        wanted = -2 * (chosen - book.vectors[k].detach()).sum(0) if len(chosen) else torch.zeros(3).double()
        torch.testing.assert_close(slope[k], wanted)


def test_with_decay_zero_a_step_is_one_of_lloyds():
    book, z = Codebook(table(), MovingAverage(0.0)), torch.randn(200, 3, dtype=torch.float64)
    for _ in range(30):
        before, codes = book.vectors.clone(), book.codes(z)
        book(z)
        for k in range(book.size):
            wanted = z[codes == k].mean(0) if (codes == k).any() else before[k]
            torch.testing.assert_close(book.vectors[k], wanted)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_fixed_point_of_the_moving_average_is_that_of_k_means(decay):
    """Where it stops, every vector is the mean of its cell, and a step of k-means by loops changes nothing."""
    book, z = Codebook(table(4, 2), MovingAverage(decay)), torch.randn(150, 2, dtype=torch.float64)
    for _ in range(600):
        book(z)
    cells = [[] for _ in range(4)]
    for point in z.tolist():
        away = [math.dist(point, vector) for vector in book.vectors.tolist()]
        cells[away.index(min(away))].append(point)
    for vector, cell in zip(book.vectors, cells):
        if cell:
            torch.testing.assert_close(vector, torch.tensor(cell, dtype=torch.float64).mean(0), atol=1e-6, rtol=0)


def test_k_means_never_raises_the_error():
    book, z, errors = Codebook(table(), MovingAverage(0.0)), torch.randn(300, 3, dtype=torch.float64), []
    for _ in range(20):
        errors.append(float(book(z).commitment.sum()))
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(errors)) and errors[-1] < 0.8 * errors[0]


def test_the_moving_average_is_the_recursion_written_out():
    book, gamma = Codebook(table(), MovingAverage(0.7)), 0.7
    e, counts = book.vectors.clone(), torch.ones(5).double()
    sums = e.clone()
    for _ in range(8):
        z = torch.randn(20, 3, dtype=torch.float64)
        codes = book.codes(z)
        book(z)
        for k in range(5):
            counts[k] = gamma * counts[k] + (1 - gamma) * (codes == k).sum()
            sums[k] = gamma * sums[k] + (1 - gamma) * z[codes == k].sum(0)
            torch.testing.assert_close(book.vectors[k], sums[k] / counts[k])


def test_a_code_that_nobody_chooses_stays_where_it_is_unless_it_is_revived(rule):
    far = torch.cat([table(3), torch.full((2, 3), 50.0).double()])
    spread = []
    for cure in (None, Revival(0.5)):
        book = Codebook(far, rule, cure)
        optimizer = torch.optim.SGD(book.parameters(), 1e-2) if isinstance(rule, ByGradient) else None
        for _ in range(150):
            loss = book(torch.randn(64, 3, dtype=torch.float64)).codebook.mean()
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        moved = (book.vectors.detach()[3:] - 50).abs().max() > 1
        assert bool(moved) == (cure is not None)
        used = book.codes(torch.randn(500, 3, dtype=torch.float64)).unique().numel()
        assert used == (5 if cure else 3)
        spread.append(book.perplexity)
    assert spread[1] > spread[0] + 0.3


def test_a_revived_code_lies_on_an_output_of_the_batch():
    book = Codebook(torch.full((3, 2), 90.0).double() + torch.eye(3, 2), MovingAverage(), Revival())
    book.share.copy_(torch.tensor([1.0, 0.0, 0.0]))
    z = torch.randn(40, 2, dtype=torch.float64)
    book(z)
    for k in (1, 2):
        assert (z == book.vectors[k]).all(1).any() and book.share[k] == pytest.approx(1 / 3)


def test_a_codebook_learns_in_training_mode_only(rule):
    book = Codebook(table(), rule).eval()
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book(torch.randn(30, 3, dtype=torch.float64))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())
    book.train()(torch.randn(30, 3, dtype=torch.float64))
    assert not torch.equal(book.share, before["share"])


@pytest.mark.parametrize("counts", [(4, 4, 4, 4), (16, 0, 0, 0), (8, 8, 0, 0), (1, 2, 3, 10)])
def test_the_perplexity_of_known_counts(counts):
    codes = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    n = sum(counts)
    wanted = math.prod((n / c) ** (c / n) for c in counts if c)  # Π p^(−p)
    assert perplexity(codes, 4) == pytest.approx(wanted)
    book = Codebook(table(4))
    book.share.copy_(torch.tensor(counts).double() / n)
    assert book.perplexity == pytest.approx(wanted)


# --- the loss: which term moves what


def movers(model, term):
    """The names of the parts whose gradient of a term is not zero."""
    parts = {"encoder": model.encoder, "decoder": model.decoder, "codebook": model.codebook}
    weights = [(name, p) for name, part in parts.items() for p in part.parameters()]
    slopes = torch.autograd.grad(term.sum(), [p for _, p in weights], retain_graph=True, allow_unused=True)
    return {name for (name, _), slope in zip(weights, slopes) if slope is not None and slope.abs().max() > 0}


def test_each_term_moves_its_own_parts_and_no_others():
    model, x = small(), images()
    for term, wanted in zip(range(3), ({"encoder", "decoder"}, {"codebook"}, {"encoder"})):
        assert movers(model, model.terms(x)[term]) == wanted


def test_each_stop_gradient_matters():
    """Written without it, a term moves one part more: so the test above can tell."""
    model, x = small(), images()
    z, e = model.encoder(x), model.codebook.lookup(model.encode(x))
    assert movers(model, (z - e).square()) == {"encoder", "codebook"}
    unstopped = z + (e - z)
    assert movers(model, -model.decoder(unstopped).log_prob(x)) == {"codebook", "decoder"}


def test_under_the_moving_average_nothing_flows_into_the_codebook():
    model, x = small(MovingAverage()), images()
    assert not list(model.codebook.parameters()) and model.terms(x).codebook.abs().max() == 0
    assert movers(model, model.loss(x)) == {"encoder", "decoder"}


@pytest.mark.parametrize("commitment", [0.0, 0.25, 2.0])
def test_the_loss_is_the_slides_sum_by_loops(commitment):
    """With σ² = ½ the surprise is the squared error and a constant."""
    model, x = small(commitment=commitment).eval(), images()
    model.decoder.log_std.fill_(math.log(0.5**0.5))
    z, codes = model.encoder(x), model.encode(x)
    total = 0.0
    for i, (picture, found) in enumerate(zip(x, model.decode(codes).mean)):
        total += float((picture - found.detach()).square().sum()) + 32 * math.log(math.pi)
        for r, c in itertools.product(range(4), range(4)):
            away = float((z[i, :, r, c] - model.codebook.vectors[codes[i, r, c]]).square().sum().detach())
            total += (1 + commitment) * away
    assert model.loss(x).item() == pytest.approx(total / len(x))


# --- the bound


def one_place(size=6):
    """Bits of 2 x 2 explained by one code: p(x) can be summed up."""
    encoder = nn.Sequential(DenseNet(4, 3, 8, 1), Reshape(3, 1))
    decoder = BernoulliHead(nn.Sequential(nn.Flatten(), DenseNet(3, (1, 2, 2), 8, 1)), (1, 2, 2))
    return VQVAE(encoder, decoder, Codebook(table(size))).double()


EVERY = torch.tensor(list(itertools.product((0, 1), repeat=4))).view(16, 1, 2, 2)


def test_the_elbo_is_below_log_p_by_the_kl_to_the_true_posterior():
    model = one_place()
    with torch.no_grad():
        joint = torch.stack([model.decode(torch.full((16, 1), k)).log_prob(EVERY) - math.log(6) for k in range(6)], 1)
        log_p, posterior = joint.logsumexp(1), joint.log_softmax(1)
        gap = -posterior.gather(1, model.encode(EVERY))[:, 0]  # KL(one-hot ‖ p(c|x)) = −log p(c*|x)
        torch.testing.assert_close(model.elbo(EVERY), log_p - gap)
    assert log_p.exp().sum().item() == pytest.approx(1) and (gap > 0).all()


def test_the_kl_of_a_certain_posterior_is_log_k_and_the_elbo_charges_it_for_every_place():
    model, x = small().eval(), images()
    for size in (2, 5, 64):
        q = torch.zeros(size).double()
        q[1] = 1
        kl = torch.special.xlogy(q, q * size).sum()
        assert kl.item() == pytest.approx(math.log(size))
        certain = torch.full((1, size), -1e4).double().index_fill(1, torch.tensor([1]), 0.0)
        assert kl_to_uniform(certain).item() == pytest.approx(math.log(size))
    charged = model.decode(model.encode(x)).log_prob(x) - model.elbo(x)
    torch.testing.assert_close(charged, torch.full((6,), 16 * math.log(5)).double())


def test_a_learned_prior_is_passed_in_and_pays_where_codes_are_not_uniform():
    model, x = small().eval(), images(64)
    codes = model.encode(x)
    prior = MADE(5, (4, 4), 32, 1).double()
    uniform = UniformCodes(5, (4, 4))
    torch.testing.assert_close(model.elbo(x, uniform), model.elbo(x), atol=1e-4, rtol=0)
    fit(prior, codes, Recipe(200, 64, 1e-2))
    with torch.no_grad():
        gain = model.elbo(x, prior) - model.elbo(x)
        torch.testing.assert_close(gain, prior.log_prob(codes) + 16 * math.log(5))
    assert gain.mean() > 1
    assert model.sample(3, prior).shape == model.sample(3, uniform).shape == (3, 1, 8, 8)
    assert model.picture(prior.sample(3)).shape == (3, 1, 8, 8)


def test_uniform_codes_sum_to_one_and_come_equally_often():
    prior = UniformCodes(3, (2, 2))
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    assert prior.log_prob(every).exp().sum().item() == pytest.approx(1)
    counts = torch.bincount(prior.sample(5000).flatten(), minlength=3) / 20_000
    assert (counts - 1 / 3).abs().max() < 5 * (2 / 9 / 20_000) ** 0.5


# --- Gumbel


def test_the_argmax_of_logits_and_gumbel_noise_has_the_softmaxs_frequencies():
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0]).double()
    n = 40_000
    many = logits[None].expand(n, 4)
    seen = torch.bincount((many + gumbel_noise(many)).argmax(1), minlength=4) / n
    p = logits.softmax(0)
    assert ((seen - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_gumbel_noise_has_its_distribution():
    """P(g < t) = exp(−e^−t)."""
    g = gumbel_noise(torch.zeros(50_000).double())
    for t in (-1.0, 0.0, 1.0, 3.0):
        p = math.exp(-math.exp(-t))
        assert abs(float((g < t).double().mean()) - p) < 5 * (p * (1 - p) / 50_000) ** 0.5
    assert torch.isfinite(gumbel_noise(torch.zeros(200_000))).all()


def test_a_soft_draw_is_torchs_own_and_becomes_hard():
    logits = torch.randn(5, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    noise = gumbel_noise(logits)
    soft = gumbel_softmax(logits, noise, 0.7)
    joined = logits + noise
    wanted = torch.exp(joined / 0.7) / torch.exp(joined / 0.7).sum(1, keepdim=True)
    torch.testing.assert_close(soft, wanted)
    hard = gumbel_softmax(logits, noise, 1e-4)
    assert torch.equal(hard.argmax(1), joined.argmax(1)) and hard.amax(1).min() > 0.999
    assert torch.autograd.gradcheck(lambda l: gumbel_softmax(l, noise, 0.7), logits)


@pytest.mark.parametrize("grid", [(), (3,), (2, 2)])
def test_the_kl_is_that_of_torchs_distributions_and_between_zero_and_log_k(grid):
    logits = 2 * torch.randn(6, 5, *grid, dtype=torch.float64)
    q = torch.distributions.Categorical(logits=logits.movedim(1, -1))
    p = torch.distributions.Categorical(logits=torch.zeros_like(logits.movedim(1, -1)))
    wanted = torch.distributions.kl_divergence(q, p).reshape(6, -1).sum(1)
    torch.testing.assert_close(kl_to_uniform(logits), wanted)
    assert (wanted > 0).all() and (wanted < math.prod(grid) * math.log(5)).all()
    assert kl_to_uniform(torch.zeros_like(logits)).abs().max() < 1e-12


def discrete(size=6):
    encoder = nn.Sequential(DenseNet(4, size, 8, 1), Reshape(size, 1))
    decoder = BernoulliHead(nn.Sequential(nn.Flatten(), DenseNet(3, (1, 2, 2), 8, 1)), (1, 2, 2))
    return GumbelVAE(encoder, decoder, table(size), 0.5).double()


def test_the_discrete_elbo_by_draws_is_the_one_by_enumeration():
    model = discrete()
    with torch.no_grad():
        q = model.logits(EVERY).squeeze(2).softmax(1)
        given = torch.stack([model.decode(torch.full((16, 1), k)).log_prob(EVERY) for k in range(6)], 1)
        exact = (q * (given - q.log() - math.log(6))).sum(1)
        draws = torch.stack([model.elbo(EVERY) for _ in range(400)])
        log_p = (given - math.log(6)).logsumexp(1)
    assert ((draws.mean(0) - exact).abs() < 5 * draws.std(0) / 20 + 1e-9).all() and (exact < log_p).all()


def test_the_soft_gradient_tends_to_the_true_one_as_it_cools():
    """The slope of E_q f(c) in the logits, known by enumeration, against the mean of many soft draws' slopes."""
    logits, values = torch.tensor([[0.3, -0.5, 0.8]]).double(), torch.tensor([1.0, -2.0, 0.5]).double()
    leaf = logits.clone().requires_grad_()
    exact, = torch.autograd.grad((leaf.softmax(1) * values).sum(), leaf)
    off = []
    for temperature in (3.0, 0.1):
        leaf = logits.expand(60_000, 3).clone().requires_grad_()
        soft = gumbel_softmax(leaf, gumbel_noise(leaf), temperature)
        slopes, = torch.autograd.grad((soft * values).sum(), leaf)
        off.append(float((slopes.mean(0) - exact[0]).abs().max()))
        error = float(slopes.std(0).max()) / 60_000**0.5
    assert off[1] < 5 * error + 0.02 < off[0]


# --- training, in one level, in two, and with random codes


@pytest.mark.parametrize("build", [lambda: small(MovingAverage(0.9), bits=True).float(),
                                   lambda: small(bits=True).float(),
                                   lambda: GumbelVAE(GridEncoder(6, 8, 1), BernoulliHead(GridDecoder(3, 8, 1), (1, 8, 8)),
                                                     torch.randn(6, 3))])
def test_training_raises_the_bound_and_resumes_bit_for_bit(build, tmp_path):
    x = (torch.arange(8)[None, None, :, None] < torch.randint(1, 8, (200, 1, 1, 1))).expand(200, 1, 8, 8).long()
    model = build()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        before = model.eval().elbo(x).mean()
    recipe = Recipe(120, 32, 5e-3)
    fit(model, x, recipe)
    with torch.no_grad():
        assert model.elbo(x).mean() > before + 5

    class Stop(Exception):
        pass

    def stop(history):
        if history.step == 60:
            raise Stop

    again = build()
    again.load_state_dict(start)
    with pytest.raises(Stop):
        fit(again, x, recipe, save=tmp_path / "half", report=stop)
    fit(again, x, recipe, resume=tmp_path / "half")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


def two_levels():
    nets = TwoLevels(4, 4)
    decoder = FixedGaussianHead(GridDecoder(nets.wide + 4, 4), (1, 28, 28), 0.5**0.5)
    return VQVAE2(nets, decoder, Codebook(0.05 * torch.randn(6, 4)), Codebook(0.05 * torch.randn(7, 4)))


def test_two_levels_have_two_grids_and_the_decoder_hears_both():
    model, x = two_levels().eval(), torch.randn(3, 1, 28, 28)
    codes = model.encode(x)
    assert codes.top.shape == (3, 4, 4) and codes.bottom.shape == (3, 7, 7)
    with torch.no_grad():
        whole, changed = model.decode(*codes).mean, model.decode((codes.top + 1) % 6, codes.bottom).mean
        other, alone = model.decode(codes.top, (codes.bottom + 1) % 7).mean, model.decode(codes.top).mean
    assert whole.shape == alone.shape == (3, 1, 28, 28)
    assert all((whole - picture).abs().max() > 1e-4 for picture in (changed, other, alone))
    surprise = -model.decode(*codes).log_prob(x)
    torch.testing.assert_close(-model.elbo(x) - surprise, torch.full((3,), 16 * math.log(6) + 49 * math.log(7)))


@pytest.mark.parametrize("commitment", [0.0, 0.25])
def test_the_loss_of_two_levels_written_out(commitment):
    """The bottom is told what the top says, and the decoder hears both: no sample hidden here."""
    model, x = two_levels().eval(), torch.randn(3, 1, 28, 28)
    model.hide, model.commitment = 0.0, commitment
    with torch.no_grad():
        model.nets.grow[-1].weight.mul_(30)  # so that what the top says changes the bottom's codes
        h, codes = model.nets.features(x), model.encode(x)
        outputs = [model.nets.top(h), model.nets.bottom(h, model.nets.grow(lookup(codes.top, model.top.vectors)))]
        assert torch.equal(nearest(outputs[1], model.bottom.vectors), codes.bottom)
        away = [(z - lookup(part, book.vectors)).square().flatten(1).sum(1)
                for z, part, book in zip(outputs, codes, (model.top, model.bottom))]
        wanted = -model.decode(*codes).log_prob(x) + (1 + commitment) * sum(away)
        assert model.loss(x).item() == pytest.approx(wanted.mean().item(), rel=1e-5)
        model.hide = 0.999
        hidden = -model.decode(codes.top).log_prob(x) + (1 + commitment) * sum(away)
        assert model.loss(x).item() == pytest.approx(hidden.mean().item(), rel=1e-5)


def test_the_loss_of_two_levels_reaches_every_weight_and_the_bottom_hears_the_top():
    model, x = two_levels(), torch.randn(4, 1, 28, 28)
    model.loss(x).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    h = model.nets.features(x)
    told = model.nets.grow(model.top.lookup(torch.zeros(4, 4, 4).long()))
    other = model.nets.grow(model.top.lookup(torch.ones(4, 4, 4).long()))
    assert (model.nets.bottom(h, told) - model.nets.bottom(h, other)).abs().max() > 1e-4


# --- what is refused

Z = torch.zeros(2, 3, 2, 2).double()
REFUSED = {
    "no codebook": (lambda m: Codebook(torch.zeros(0, 3)), r"\(0, 3\): expected \(K, C\), at least two"),
    "a single code": (lambda m: Codebook(torch.zeros(1, 3)), r"\(1, 3\).*single one"),
    "a flat codebook": (lambda m: nearest(Z, torch.zeros(5)), r"shape \(5,\): expected \(K, C\)"),
    "a broken codebook": (lambda m: nearest(Z, torch.full((5, 3), math.nan).double()), "5 of the 5 vectors.*NaN"),
    "another width": (lambda m: nearest(torch.zeros(2, 4, 2).double(), table()), r"\(2, 4, 2\): expected \(B, 3, ...\)"),
    "channels last": (lambda m: m.codebook(torch.zeros(2, 2, 2, 3).double()), "channels come second"),
    "NaN": (lambda m: m.codebook(Z * math.nan), "z contains NaN in 24 of 24"),
    "an empty batch": (lambda m: m.codebook(Z[:0]), "z is an empty batch"),
    "an empty loss": (lambda m: m.loss(images(0)), "x is an empty batch"),
    "NaN pictures": (lambda m: m.loss(images() * math.nan), "x contains NaN"),
    "codes too large": (lambda m: m.decode(torch.full((2, 4, 4), 5)), "run from 5 to 5: expected 0 to 4"),
    "codes below zero": (lambda m: lookup(torch.tensor([-1]), table()), "from -1 to -1"),
    "codes elsewhere": (lambda m: lookup(torch.zeros(2, device="meta").long(), table()), "device meta"),
    "two shapes": (lambda m: straight_through(Z, Z[:1]), r"\(2, 3, 2, 2\) and z_q \(1, 3, 2, 2\)"),
    "pictures of another size": (lambda m: m.loss(torch.zeros(2, 1, 7, 7).double()), r"\(2, 1, 7, 7\).*multiples of 2"),
    "a grid of another width": (lambda m: GridDecoder(4)(Z), r"\(2, 3, 2, 2\).*expects \(B, 4, h, w\)"),
    "nets of no width": (lambda m: GridEncoder(0), "outputs is 0"),
    "a negative commitment": (lambda m: VQVAE(m.encoder, m.decoder, m.codebook, -1.0), "commitment is -1"),
    "a decay of one": (lambda m: MovingAverage(1.0), "decay is 1.0"),
    "a revival of all": (lambda m: Revival(1.0), "below is 1.0"),
    "one uniform code": (lambda m: UniformCodes(1, (2, 2)), "size is 1"),
    "no grid": (lambda m: UniformCodes(3, ()), r"grid \(\)"),
    "a grid too small": (lambda m: UniformCodes(3, (2, 2)).log_prob(torch.zeros(1, 3).long()), r"shape \(1, 3\)"),
    "temperature zero": (lambda m: gumbel_softmax(Z, Z, 0.0), "temperature is 0"),
    "noise of another shape": (lambda m: gumbel_softmax(Z, Z[:1], 1.0), "the noise"),
    "a cold model": (lambda m: GumbelVAE(m.encoder, m.decoder, table(), 0.0), "temperature is 0"),
    "too few logits": (lambda m: GumbelVAE(m.encoder, m.decoder, table()).loss(images()), "a logit for each code"),
    "no draws": (lambda m: discrete().elbo(EVERY, 0), "n is 0"),
    "all hidden": (lambda m: VQVAE2(None, None, m.codebook, m.codebook, hide=1.0), "hide 1.0"),
    "perplexity of nothing": (lambda m: perplexity(torch.zeros(0).long(), 4), "0 codes"),
    "perplexity of strangers": (lambda m: perplexity(torch.tensor([4]), 4), "expected integers 0 to 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(name):
    action, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        action(small())


@pytest.mark.parametrize("action, words", [
    (lambda: lookup(torch.zeros(2), table()), "codes have dtype torch.float32"),
    (lambda: lookup([0, 1], table()), "codes have type list"),
    (lambda: nearest(torch.zeros(2, 3).long(), table()), "z has dtype torch.int64"),
    (lambda: nearest(torch.zeros(2, 3), table()), "z has dtype torch.float32 and the codebook torch.float64"),
    (lambda: nearest([0.0], table()), "z is a list"),
    (lambda: Codebook(torch.zeros(3, 2).long()), "codebook has dtype torch.int64"),
    (lambda: small().encode([0.0]), "x is a list"),
])
def test_wrong_kinds_are_refused_in_a_sentence(action, words):
    with pytest.raises(TypeError, match=words):
        action()


def test_an_empty_batch_has_no_codes():
    model = small()
    assert model.encode(images(0)).shape == (0, 4, 4) and model.elbo(images(0)).shape == (0,)
    assert model.sample(0, UniformCodes(5, (4, 4))).shape == (0, 1, 8, 8)


def test_everything_tells_what_it_is(rule):
    for thing, words in ((Codebook(table(), rule, Revival()), "5 vectors of 3 numbers"), (small(rule), "VQ-VAE: "),
                         (two_levels(), "VQ-VAE-2"), (discrete(), "6 codes a place"), (UniformCodes(4, (7, 7)), "67.9 nats"),
                         (GridEncoder(3), "4 x 4 pixels"), (GridDecoder(3), "one vector of 3")):
        assert words in repr(thing)
