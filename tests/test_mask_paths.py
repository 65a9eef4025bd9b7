"""Mask paths against matrices multiplied out, Bayes by enumeration, and chains followed state by state.

The worlds are so small that every sequence, every mask and every order of unmasking is looked at; the oracles use the
schedule alpha(t) and the table only."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dgm_course.distributions import Table
from dgm_course.dynamics import euler, heun
from dgm_course.measures import floor
from dgm_course.nets import TokenMLP
from dgm_course.path_models import PathModel, absorbing, stratified
from dgm_course.paths import (
    ExactTokens,
    MaskPath,
    PathField,
    ancestral,
    annealed_langevin,
    confident,
    cosine_reveal,
    elbo_weight,
    geometric_reveal,
    hop,
    linear_reveal,
    uniform_weight,
)

F64 = torch.float64
BETAS = torch.tensor([0.1, 0.35, 0.2, 0.5, 1.0], dtype=F64)
PATHS = {  # a new schedule is one line here, and every law below is tested for it
    "linear": MaskPath(2, linear_reveal),
    "cosine": MaskPath(2, cosine_reveal),
    "geometric": MaskPath(2, geometric_reveal),
    "chain": MaskPath.chain(BETAS, 2),
    "home-made": MaskPath(2, lambda t: t * t * (3 - 2 * t)),
}
SINGLE = Table(torch.tensor([0.2, 0.5, 0.2, 0.1], dtype=F64), "single")
K, L = 2, 3
DATA = Table(torch.tensor([[[0.30, 0.02], [0.05, 0.10]], [[0.04, 0.16], [0.25, 0.08]]], dtype=F64), "data")
PAIR = Table(torch.tensor([[0.2, 0.1, 0.05], [0.0, 0.3, 0.1], [0.1, 0.05, 0.1]], dtype=F64), "pair")  # one word never comes
WORDS = list(itertools.product(range(K), repeat=L))
STATES = list(itertools.product(range(K + 1), repeat=L))
DARK = (K,) * L
TIMES = (0.0, 0.15, 0.5, 0.85)

every = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
when = pytest.mark.parametrize("t", TIMES)


@pytest.fixture(autouse=True)
def steady():
    torch.manual_seed(4)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=F64)


def alpha(path, t: float) -> float:
    return float(path.alpha(scalar(t)))


def one_step(beta: float, k: int) -> torch.Tensor:
    """The slides' Q, entry by entry: columns are "from"."""
    q = torch.zeros(k + 1, k + 1, dtype=F64)
    for token in range(k):
        q[token, token], q[k, token] = 1 - beta, beta
    q[k, k] = 1
    return q


def multiplied(betas, k: int) -> torch.Tensor:
    """Q_T ... Q_2 Q_1, from data towards masks."""
    q = torch.eye(k + 1, dtype=F64)
    for beta in betas:
        q = one_step(float(beta), k) @ q
    return q


def matrix(path, s: float, t: float, k: int) -> torch.Tensor:
    """One big step from s down to t: a token visible at s is visible at t with probability alpha_t / alpha_s."""
    return one_step(1 - alpha(path, t) / alpha(path, s), k)


def told_by(data: Table) -> torch.Tensor:
    """p(x_l = v | visible) for every state, by adding up entries of the table.  (K+1, ..., K+1, L, K)"""
    k, length = data.symbols, data.probs.ndim
    told = torch.zeros(*[k + 1] * length, length, k, dtype=F64)
    for state in itertools.product(range(k + 1), repeat=length):
        for word in itertools.product(range(k), repeat=length):
            if all(seen in (token, k) for seen, token in zip(state, word)):
                for place, token in enumerate(word):
                    told[state][place, token] += data.probs[word]
    return told / told.sum(-1, keepdim=True)


TOLD = told_by(DATA)


def one_hot_of(word) -> torch.Tensor:
    """As ``told_by``, for one who knows the word."""
    told = torch.zeros(*[K + 1] * L, L, K, dtype=F64)
    told[..., range(L), word] = 1
    return told


def appears(path, t: float, s: float) -> float:
    """P(hour < alpha_s | hour >= alpha_t), the hour uniform."""
    return (alpha(path, s) - alpha(path, t)) / (1 - alpha(path, t))


def nexts(told, chance: float, state) -> dict:
    """The states after one step and their probabilities: masked places appear each on its own."""
    options = [[(seen, 1.0)] if seen < K else
               [(K, 1 - chance), *((v, chance * float(told[state][place, v])) for v in range(K))]
               for place, seen in enumerate(state)]
    return {tuple(v for v, _ in way): math.prod(p for _, p in way) for way in itertools.product(*options)}


def followed(path, told, steps: int, start=DARK) -> torch.Tensor:
    """Where the chain of T steps ends, exactly.  (K+1, ..., K+1)"""
    now = {start: 1.0}
    for k in range(steps):
        then: dict = {}
        for state, p in now.items():
            for other, q in nexts(told, appears(path, k / steps, (k + 1) / steps), state).items():
                then[other] = then.get(other, 0.0) + p * q
        now = then
    out = torch.zeros(*[K + 1] * L, dtype=F64)
    for state, p in now.items():
        out[state] = p
    return out


def chain_bound(path, told, word, steps: int) -> float:
    """−Σ_k E_q KL(q(x_{k−1} | x_k, x_0) ‖ p(x_{k−1} | x_k)), every mask of every step looked at."""
    total = 0.0
    for k in range(steps):
        t, s = k / steps, (k + 1) / steps
        chance = appears(path, t, s)
        for hidden in itertools.product((0, 1), repeat=L):
            state = tuple(K if h else v for h, v in zip(hidden, word))
            weight = (1 - alpha(path, t)) ** sum(hidden) * alpha(path, t) ** (L - sum(hidden))
            p = nexts(told, chance, state)
            total += weight * sum(q * math.log(q / p[other])
                                  for other, q in nexts(one_hot_of(word), chance, state).items() if q > 0)
    return -total


def in_any_order(log_told: torch.Tensor, word) -> torch.Tensor:
    """The mean over all L! orders of Σ log p(next token | those before): what the bound is in continuous time."""
    total = []
    for order in itertools.permutations(range(L)):
        state = list(DARK)
        for place in order:
            total.append(log_told[tuple(state)][place, word[place]])
            state[place] = word[place]
    return torch.stack(total).sum() / math.factorial(L)


def shares(x: torch.Tensor, k: int = K + 1) -> torch.Tensor:
    """How often each sequence came.  (n, L) -> (k, ..., k)"""
    place = sum(x[:, i] * k ** (x.shape[1] - 1 - i) for i in range(x.shape[1]))
    return torch.bincount(place, minlength=k ** x.shape[1]).double().view([k] * x.shape[1]) / len(x)


def assert_frequencies(x: torch.Tensor, expected: torch.Tensor) -> None:
    """Each count within five standard errors (and three counts, for the rarest), and nothing where nothing can be."""
    found = shares(x, expected.shape[0])
    assert (found[expected == 0] == 0).all()
    slack = 5 * (expected * (1 - expected) / len(x)).sqrt() + 3 / len(x)
    assert ((found - expected).abs() <= slack).all(), (found, expected)


def total_variation(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p - q).abs().sum() / 2)


class Lookup(nn.Module):
    """Any logits for any state, blind to time: a wrong model whose bound can be added up."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(*[K + 1] * L, L, K, generator=torch.Generator().manual_seed(9), dtype=F64))

    def forward(self, x, t, y=None):
        return self.logits[tuple(x.T)]

    @property
    def log_told(self):
        return self.logits.log_softmax(-1)


def lookup(path, times=None) -> PathModel:
    return PathModel(Lookup(), path, (L,), "data", *([times] if times else []))


# --- the schedules


@every
def test_a_schedule_rises_from_zero_to_one_and_at_is_its_slope(path):
    t = torch.linspace(0.02, 0.97, 20, dtype=F64)  # clear of the kinks of the chain
    value, slope = path.at(t)
    h = 1e-6
    assert torch.allclose(value, path.alpha(t)) and not value.requires_grad and not slope.requires_grad
    assert torch.allclose(slope, (path.alpha(t + h) - path.alpha(t - h)) / (2 * h), rtol=1e-5, atol=1e-7)
    assert alpha(path, 0.0) == pytest.approx(0, abs=1e-12) and alpha(path, 1.0) == pytest.approx(1, abs=1e-12)
    with torch.no_grad():
        assert torch.equal(path.at(t)[1], slope)
    with torch.inference_mode():
        assert torch.equal(path.at(t * 1)[1], slope) and float(path.at(0.5)[1]) > 0


def test_the_schedules_are_those_of_their_papers():
    s = torch.linspace(0, 1, 11, dtype=F64)  # the diffusion slides' clock
    assert torch.equal(linear_reveal(1 - s), 1 - s)
    assert torch.allclose(1 - cosine_reveal(s), torch.cos(s * math.pi / 2))  # the share that MaskGIT keeps masked
    rate = 1e-4 ** (1 - s) * 20**s  # SEDD: a token survives with exp(−rate)
    assert torch.allclose(geometric_reveal(1 - s), torch.exp(-rate), atol=2e-4)


@every
def test_in_float32_the_last_step_leaves_no_mask_and_no_weight_is_infinite(path):
    near = 1 - torch.logspace(-6, -1, 200)
    assert torch.isfinite(elbo_weight(path, near)).all() and (elbo_weight(path, near) >= 0).all()
    for t in (0.0, 0.5, 0.9, 0.98, 0.998):
        assert float(path.unmask(t, 1.0)) >= 1
    late = lookup(path, lambda like: 1 - 1e-4 * torch.rand(len(like)))
    assert torch.isfinite(late.loss(DATA.sample(2000)))


# --- matrices


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_transitions_of_a_chain_are_its_single_steps_multiplied_out(k):
    path, steps = MaskPath.chain(BETAS, k), len(BETAS)
    for a, b in itertools.combinations(range(steps + 1), 2):
        q = path.transition(scalar(1 - a / steps), scalar(1 - b / steps))
        assert torch.allclose(q, multiplied(BETAS[a:b], k), atol=1e-12)
        assert torch.allclose(q.sum(0), torch.ones(k + 1, dtype=F64)) and (q >= 0).all()
    for n in range(1, steps + 1):  # abar_n = Π (1 − β): what survives on the diagonal
        bar = math.prod(1 - float(b) for b in BETAS[:n])
        closed = bar * torch.eye(k + 1, dtype=F64)
        closed[k] += 1 - bar
        assert torch.allclose(path.transition(1.0, scalar(1 - n / steps)), closed, atol=1e-6)


@every
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_transitions_are_products_of_betas_and_compose(path, k):
    path, steps = replace(path, vocabulary=k), 6
    betas = path.betas(steps)
    assert betas.shape == (steps,) and ((betas > 0) & (betas <= 1)).all()
    for a, b in itertools.combinations(range(steps + 1), 2):
        s, t = 1 - a / steps, 1 - b / steps
        assert torch.allclose(path.transition(scalar(s), scalar(t)), multiplied(betas[a:b], k), atol=1e-9)
    whole = path.transition(scalar(0.9), scalar(0.2))
    assert torch.allclose(whole, path.transition(scalar(0.6), scalar(0.2)) @ path.transition(scalar(0.9), scalar(0.6)))
    assert torch.allclose(whole, matrix(path, 0.9, 0.2, k)) and torch.allclose(whole.sum(0), torch.ones(k + 1, dtype=F64))


def test_betas_come_back_and_a_path_is_its_chain():
    assert torch.allclose(MaskPath.chain(BETAS, 4).betas(5), BETAS, atol=1e-12)
    assert MaskPath.chain(BETAS.float(), 4).betas(5).shape == (5,)
    for path in PATHS.values():
        again, grid = MaskPath.chain(path.betas(7), K), torch.linspace(0, 1, 8, dtype=F64)
        assert torch.allclose(again.alpha(grid), path.alpha(grid), atol=1e-9)
        assert torch.allclose(again.betas(7), path.betas(7), atol=1e-9)
        assert torch.allclose(again.weights(7), path.weights(7), atol=1e-9)


@every
def test_weights_are_the_slides_and_say_how_often_a_token_appears(path):
    steps = 6
    betas, weights = path.betas(steps), path.weights(steps)
    bars = torch.cat([torch.ones(1, dtype=F64), (1 - betas).cumprod(0)])
    assert torch.allclose(weights, bars[:-1] * betas / (1 - bars[1:]))
    hours = torch.rand(400_000, dtype=F64)
    for k in range(1, steps + 1):
        masked = hours >= alpha(path, 1 - k / steps)
        seen, w = (hours[masked] < alpha(path, 1 - (k - 1) / steps)).double(), min(1.0, float(weights[k - 1]))
        assert abs(float(seen.mean()) - w) <= 5 * math.sqrt(w * (1 - w) / len(seen))


@every
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("t, s", [(0.0, 0.4), (0.3, 0.35), (0.2, 0.9), (0.7, 1.0)])
def test_the_posterior_is_bayes_on_the_matrices(path, k, t, s):
    path = replace(path, vocabulary=k)
    down, clean = matrix(path, s, t, k), matrix(path, 1.0, s, k)
    seen = down[k] * clean[:, 0]  # of a masked token that is 0 in truth
    assert float(path.unmask(scalar(t), scalar(s))) == pytest.approx(float(seen[0] / seen.sum()))
    for x1 in range(k):
        for xt in (x1, k) if t > 0 else (k,):
            joint = down[xt] * clean[:, x1]
            ours = path.posterior(torch.tensor([[xt]]), torch.tensor([[x1]]), scalar(t), scalar(s))
            assert ours.shape == (1, 1, k + 1)
            assert torch.allclose(ours[0, 0], joint / joint.sum(), atol=1e-9)
            assert xt == k or float(ours[0, 0, x1]) == 1  # case 1: visible stays


@every
def test_posteriors_of_sequences_are_token_by_token_at_times_of_their_own(path):
    xt, x1 = torch.tensor([[2, 1, 2], [2, 2, 2], [0, 2, 1]]), torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
    early, late = torch.tensor([0.1, 0.2, 0.3], dtype=F64), torch.tensor([0.4, 0.8, 1.0], dtype=F64)
    for t, s in ((early, late), (scalar(0.1), late), (early, scalar(0.6)), (scalar(0.1), scalar(0.6))):
        ours = path.posterior(xt, x1, t, s)
        assert ours.shape == (3, 3, 3)
        for i, j in itertools.product(range(3), repeat=2):
            one = path.posterior(xt[i : i + 1, j : j + 1], x1[i : i + 1, j : j + 1], t.expand(3)[i], s.expand(3)[i])
            assert torch.allclose(ours[i, j], one[0, 0])


# --- corruption


def summed(path, data: Table, t: float) -> torch.Tensor:
    """p_t, added up over all sequences and all masks."""
    k, length, a = data.symbols, data.probs.ndim, alpha(path, t)
    out = torch.zeros([k + 1] * length, dtype=F64)
    for word in itertools.product(range(k), repeat=length):
        for hidden in itertools.product((0, 1), repeat=length):
            state = tuple(k if h else v for h, v in zip(hidden, word))
            out[state] += data.probs[word] * (1 - a) ** sum(hidden) * a ** (length - sum(hidden))
    return out


@every
@pytest.mark.parametrize("data", [DATA, PAIR, SINGLE], ids=["L3", "L2", "L1"])
def test_the_marginal_is_the_sum_over_all_sequences_and_masks(path, data):
    path = replace(path, vocabulary=data.symbols)
    for t in (*TIMES, 1.0):
        p_t = path.marginal(data, t)
        assert p_t.symbols == data.symbols + 1 and p_t.event == data.event and f"t = {t:.2f}" in p_t.name
        assert torch.allclose(p_t.probs, summed(path, data, t), atol=1e-6)
    assert torch.allclose(path.marginal(data, scalar(0.35)).probs, summed(path, data, 0.35), atol=1e-12)


@every
@when
def test_corruption_has_the_marginals_frequencies(path, t):
    xt, x0 = path.corrupt(DATA.sample(20_000), scalar(t))
    assert x0.shape == xt.shape and 0 <= float(x0.min()) <= float(x0.max()) < 1
    assert_frequencies(xt, summed(path, DATA, t))


@every
def test_each_sample_is_hidden_at_its_own_time(path):
    n = 30_000
    t = torch.tensor([0.1, 0.5, 0.9]).repeat(n // 3)
    xt, _ = path.corrupt(torch.ones(n, 2, dtype=torch.long), t)
    for i in range(3):
        hidden, p = (xt[i::3] == K).double(), 1 - alpha(path, float(t[i]))
        assert ((hidden.mean(0) - p).abs() <= 5 * math.sqrt(p * (1 - p) / len(hidden)) + 1e-6).all()
        both = float((hidden[:, 0] * hidden[:, 1]).mean())
        assert abs(both - p * p) <= 5 * math.sqrt(p * p * (1 - p * p) / len(hidden)) + 1e-6  # each token on its own


@every
def test_for_fixed_hours_tokens_appear_one_by_one_and_stay(path):
    x1 = DATA.sample(200)
    x0, before = path.draw(x1), None
    for t in torch.linspace(0, 1, 21):
        xt, same = path.corrupt(x1, t, x0)
        assert same is x0 and torch.equal(xt[xt != K], x1[xt != K])
        if before is not None:
            assert not ((before != K) & (xt == K)).any()
        before = xt
    assert torch.equal(before, x1) and (path.corrupt(x1, 0.0, x0)[0] == K).all()
    assert torch.equal(path.place(path.pair(x1, x0, 0.4)), path.corrupt(x1, 0.4, x0)[0])


def test_images_of_tokens_go_through_as_well():
    path, x1 = MaskPath(4), torch.randint(4, (3, 1, 5, 5))
    xt, x0 = path.corrupt(x1, torch.tensor([0.0, 0.5, 1.0]))
    assert (xt[0] == 4).all() and torch.equal(xt[2], x1[2]) and 0 < int((xt[1] == 4).sum()) < 25
    assert path.posterior(xt, x1, torch.tensor([0.0, 0.5, 0.9]), 1.0).argmax(-1).equal(x1)
    guess = path.guess(xt, 0.5, data=torch.randn(3, 1, 5, 5, 4))
    assert path.step(guess, 1.0).shape == x1.shape and not (path.step(guess, 1.0) == 4).any()


# --- the perfect model


@every
@pytest.mark.parametrize("data", [DATA, PAIR], ids=["L3", "L2"])
def test_the_exact_guess_is_bayes_over_all_sequences(path, data):
    k, length = data.symbols, data.probs.ndim
    path, told = replace(path, vocabulary=k), told_by(data)
    states = torch.tensor([s for s in itertools.product(range(k + 1), repeat=length) if not told[s].isnan().any()])
    expected = torch.stack([told[tuple(s)] for s in states.tolist()])
    for t in (0.0, 0.4, torch.rand(len(states))):  # the time says nothing that the masks do not
        guess = path.exact(data).guess(states, t)
        assert torch.allclose(guess.data, expected, atol=1e-12) and torch.equal(guess.masked, states == k)
    assert len(states) < (k + 1) ** length or data is DATA


@every
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_follow_the_chain_state_by_state(path, steps):
    expected = followed(path, TOLD, steps)
    assert float(expected[:K, :K, :K].sum()) == pytest.approx(1)  # no mask is left
    assert total_variation(expected[:K, :K, :K], DATA.probs) > 0.02  # and tokens drawn at once know nothing of each other
    assert_frequencies(path.exact(DATA).sample(20_000, steps), expected)


@pytest.mark.parametrize("method", [hop, confident], ids=["hop", "confident"])
def test_tokens_drawn_together_may_fit_no_word_and_sampling_goes_on(method):
    probs = torch.zeros(2, 2, 2, dtype=F64)
    probs[0, 0, 0], probs[1, 1, 1] = 0.5, 0.5
    field = MaskPath(2).exact(Table(probs))
    lost = torch.tensor([[0, 1, 2]])
    assert torch.allclose(field.guess(lost, 0.5).data[0], torch.tensor([[1, 0], [0, 1], [0.5, 0.5]], dtype=F64))
    x = field.sample(4000, 2, method)
    assert not (x == 2).any() and (x[:, :2] != x[:, 1:]).any()
    assert torch.isfinite(field.elbo(torch.tensor([[0, 0, 0], [1, 1, 1]]), 3)).all()


def test_one_step_draws_every_token_on_its_own():
    alone = [DATA.probs.sum(axes) for axes in ((1, 2), (0, 2), (0, 1))]
    assert_frequencies(MaskPath(2).exact(DATA).sample(20_000, 1), torch.einsum("i,j,k->ijk", *alone))


@every
def test_many_steps_recover_the_table(path):
    n, steps = 5000, 100
    left = total_variation(followed(path, TOLD, steps)[:K, :K, :K], DATA.probs)
    assert left < 0.03
    between = floor(DATA, lambda x, y: total_variation(shares(x, K), shares(y, K)), n)
    x = path.exact(DATA).sample(n, steps)
    assert total_variation(shares(x, K), shares(DATA.sample(n), K)) < between.mean + 5 * between.sd + left


@every
@pytest.mark.parametrize("method", [hop, confident], ids=["hop", "confident"])
def test_what_is_visible_never_changes_and_nothing_is_left_masked(path, method):
    trajectory = path.exact(DATA).trajectory(300, 9, method)
    assert trajectory.shape == (10, 300, 3) and (trajectory[0] == K).all() and not (trajectory[-1] == K).any()
    for before, after in itertools.pairwise(trajectory):
        assert torch.equal(after[before != K], before[before != K])


@every
@pytest.mark.parametrize("start", [(2, 1, 2), (0, 2, 1), (1, 0, 1)])
def test_given_tokens_are_kept_and_the_rest_is_filled_in(path, start):
    field, given = path.exact(DATA), torch.tensor([start]).expand(20_000, 3)
    x = field.sample(given, 6)
    assert_frequencies(x, followed(path, TOLD, 6, start))
    fits = torch.zeros(2, 2, 2, dtype=F64)
    for word in WORDS:
        fits[word] = DATA.probs[word] * all(s in (K, v) for s, v in zip(start, word))
    assert total_variation(followed(path, TOLD, 200, start)[:K, :K, :K], fits / fits.sum()) < 0.01
    assert torch.equal(given, torch.tensor([start]).expand(20_000, 3))


def test_hop_is_one_step_with_the_fields_own_guess():
    field = MaskPath(2).exact(DATA)
    x = torch.tensor([[2, 1, 2]]).repeat(30_000, 1)
    after = hop(field, x, torch.tensor(0.2), torch.tensor(0.3))
    expected = torch.zeros(3, 3, 3, dtype=F64)
    for state, p in nexts(TOLD, 0.3 / 0.8, (2, 1, 2)).items():
        expected[state] = p
    assert_frequencies(after, expected)


# --- the bound


def rows(n: int) -> torch.Tensor:
    """Each word n times, one after the other."""
    return torch.tensor(WORDS).repeat_interleave(n, 0)


def assert_means(values: torch.Tensor, expected: torch.Tensor, slack: float = 1e-5) -> None:
    """The mean of each word's values (W·n,) is what is expected (W,), within five standard errors."""
    values = values.double().view(len(expected), -1)
    assert torch.isfinite(values).all()
    error = values.std(1) / math.sqrt(values.shape[1])
    assert ((values.mean(1) - expected).abs() <= 5 * error + slack).all(), (values.mean(1), expected, error)


def test_any_order_is_exact():
    """Why the bound of the perfect model is tight: the chain rule holds in every order."""
    for word in WORDS:
        assert float(in_any_order(TOLD.log(), word)) == pytest.approx(float(DATA.probs[word].log()))


@every
def test_in_continuous_time_the_bound_of_the_perfect_model_is_log_p(path):
    assert_means(path.exact(DATA).elbo(rows(2000)), DATA.probs.log().flatten())


@every
def test_the_bound_of_any_model_is_its_mean_over_orders_whatever_the_schedule(path):
    model = lookup(path)
    expected = torch.stack([in_any_order(model.net.log_told, word) for word in WORDS]).detach()
    with torch.no_grad():
        assert_means(model.elbo(rows(2000), draws=4), expected)
    assert float(expected.exp().sum()) < 1 - 1e-3  # a bound, and here not tight


@every
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_in_steps_the_bound_is_the_sum_of_kl_terms(path, steps):
    words = torch.tensor([chain_bound(path, TOLD, word, steps) for word in WORDS], dtype=F64)
    field = path.exact(DATA)
    assert_means(field.elbo(rows(1000), steps, draws=2), words)
    model = lookup(path)
    with torch.no_grad():
        wrong = [chain_bound(path, model.net.log_told.exp(), word, steps) for word in WORDS]
        assert_means(model.elbo(rows(1000), steps, draws=1), torch.tensor(wrong, dtype=F64))
    assert (words <= followed(path, TOLD, steps)[:K, :K, :K].log().flatten() + 1e-12).all()  # what these steps sample


@every
def test_more_steps_raise_the_bound_towards_log_p(path):
    due = DATA.stratified(4000)
    exact = [float(sum(DATA.probs[word] * chain_bound(path, TOLD, word, steps) for word in WORDS)) for steps in (1, 2, 4, 8)]
    assert exact == sorted(exact) and exact[-1] < -float(DATA.entropy)
    for steps, expected in zip((1, 2, 4, 8), exact):
        found = path.exact(DATA).elbo(due, steps, draws=2)
        assert abs(float(found.mean()) - expected) <= 5 * float(found.std()) / math.sqrt(len(due)) + 1e-4
    assert -float(DATA.entropy) - exact[-1] < (-float(DATA.entropy) - exact[0]) / 2


def test_draws_make_the_bound_less_noisy_and_nothing_else():
    field, x = MaskPath(2).exact(DATA), torch.tensor([[0, 1, 1]]).repeat(1500, 1)
    for steps in (None, 3):
        few, many = field.elbo(x, steps, draws=1), field.elbo(x, steps, draws=16)
        assert float(many.std()) < 0.6 * float(few.std())
        assert abs(float(few.mean() - many.mean())) < 5 * math.hypot(float(few.std()), float(many.std())) / math.sqrt(1500)
    with torch.inference_mode():
        assert torch.isfinite(field.elbo(x[:5])).all()


# --- the loss


@every
@pytest.mark.parametrize("times", [None, stratified], ids=["uniform", "stratified"])
def test_the_loss_and_its_gradient_are_those_of_the_bound(path, times):
    """E loss = −E elbo, and the same of the gradients, both added up over all orders."""
    model, chunks, due = lookup(path, times), 120, DATA.stratified(400)
    weights = [float((due == torch.tensor(word)).all(1).double().mean()) for word in WORDS]
    bound = -sum(w * in_any_order(model.net.log_told, word) for w, word in zip(weights, WORDS))
    expected, = torch.autograd.grad(bound, model.net.logits)
    values, slopes = [], []
    for _ in range(chunks):
        values.append(model.loss(due))
        slopes.append(torch.autograd.grad(values[-1], model.net.logits)[0])
    values, slopes = torch.stack(values).detach(), torch.stack(slopes)
    assert abs(float(values.mean() - bound.detach())) < 5 * float(values.std()) / math.sqrt(chunks)
    assert ((slopes.mean(0) - expected).abs() <= 5 * slopes.std(0) / math.sqrt(chunks) + 1e-9).all()
    assert float(expected.abs().max()) > 10 * float(slopes.std(0).max()) / math.sqrt(chunks)  # enough to tell


@every
def test_with_uniform_weights_the_loss_is_another_and_the_bound_the_same(path):
    """∫ dt E Σ_masked −log p, by the midpoint rule over all masks."""
    even = replace(path, weight=uniform_weight)
    model, word, expected = lookup(even), (0, 1, 1), 0.0
    said = model.net.log_told.detach()
    for t in (torch.arange(400, dtype=F64) + 0.5) / 400:
        a = float(path.alpha(t))
        for hidden in itertools.product((0, 1), repeat=L):
            state = tuple(K if h else v for h, v in zip(hidden, word))
            cost = sum(float(said[state][i, v]) for i, v in enumerate(word) if hidden[i])
            expected -= (1 - a) ** sum(hidden) * a ** (L - sum(hidden)) * cost / 400
    x = torch.tensor([word]).repeat(500, 1)
    with torch.no_grad():
        values = torch.stack([model.loss(x) for _ in range(60)])
        assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / math.sqrt(60) + 1e-4
        bound = in_any_order(said, word)
        assert abs(float(bound) + expected) > 0.1
        assert_means(model.elbo(x), bound[None])


# --- the model that is surest first


class Opinions(PathField):
    """Each place has one likely token, and some are surer than others.  sure (L,): the margins of the logits"""

    def __init__(self, path, sure):
        super().__init__()
        self.path, self.sure = path, sure

    def start(self, n):
        return torch.rand(n, len(self.sure))

    def guess(self, xt, t):
        logits = torch.stack([torch.zeros_like(self.sure), self.sure], -1)
        return self.path.guess(xt, t, data=logits.expand(*xt.shape, 2))


SURE = torch.tensor([22.0, -25.0, 20.0, 27.0, -21.0, 24.0, 26.0, -23.0], dtype=F64)  # almost certain, in this order:
ORDER = [3, 6, 1, 5, 7, 0, 4, 2]


@every
@pytest.mark.parametrize("t, s", [(0.0, 0.5), (0.3, 0.8), (0.6, 1.0)])
def test_confident_reveals_as_many_as_expected_the_surest_first(path, t, s):
    field = Opinions(path, SURE)
    x = torch.full((50, 8), K)
    x[10:, 3], x[20:, 6], x[30:, 5] = 0, 1, 0  # given against its opinion: kept all the same
    after = confident(field, x, torch.tensor(t), torch.tensor(s) - torch.tensor(t))
    for before, now in zip(x, after):
        hidden = [i for i in ORDER if before[i] == K]
        count = round(appears(path, t, s) * len(hidden))
        assert [i for i in ORDER if before[i] == K and now[i] != K] == hidden[:count]
        assert all(now[i] == (SURE[i] > 0) for i in hidden[:count]) and torch.equal(now[before != K], before[before != K])


def test_confident_in_as_many_steps_as_tokens_reveals_one_at_a_time():
    trajectory = Opinions(MaskPath(2), SURE).trajectory(5, 8, confident)
    assert (trajectory == K).sum(-1).T.tolist() == [[8, 7, 6, 5, 4, 3, 2, 1, 0]] * 5
    assert torch.equal(trajectory[-1], (SURE > 0).long().expand(5, 8))
    picture = Opinions(MaskPath(2), SURE).guess(torch.full((1, 8), K), 0.5).data.view(1, 1, 2, 4, 2).log()

    class Square(Opinions):
        def guess(self, xt, t):
            return self.path.guess(xt, t, data=picture.expand(*xt.shape, 2))

    image = confident(Square(MaskPath(2), SURE), torch.full((3, 1, 2, 4), K), torch.tensor(0.0), torch.tensor(0.25))
    assert image.shape == (3, 1, 2, 4) and [i for i in range(8) if image[0].flatten()[i] != K] == [3, 6]


# --- a learned model, shapes, sentences


def test_a_learned_model_does_what_the_perfect_one_does():
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    x1 = DATA.sample(50)
    model.loss(x1).backward()
    assert all(p.grad is not None for p in model.parameters()) and float(model.net.layers[-1].weight.grad.abs().sum()) > 0
    assert model.sample(7, 1).shape == (7, 3) and set(model.sample(50, 4).unique().tolist()) == {0, 1}
    assert model.trajectory(4, 3).shape == (4, 4, 3) and model.trajectory(4, 3, confident).dtype == torch.int64
    given = torch.tensor([[2, 0, 2], [1, 2, 2]])
    filled = model.sample(given, 5)
    assert filled[0, 1] == 0 and filled[1, 0] == 1 and not (filled == 2).any()
    assert model.elbo(x1).shape == model.elbo(x1, 3).shape == (50,)
    assert torch.allclose(model.elbo(x1, 1), torch.full((50,), -3 * math.log(2)))  # an untrained net says one half
    assert model.guess(given, torch.rand(2)).data.shape == (2, 3, 2)


def test_the_nets_precision_does_not_reach_the_sum():
    model = absorbing(TokenMLP(2, 3, 16, 1), (3,), 2)
    model.precision = torch.bfloat16
    assert model.loss(DATA.sample(9)).dtype == model.guess(torch.full((1, 3), 2), 0.5).logits.dtype == torch.float32


@every
def test_empty_batches(path):
    none, field = torch.zeros(0, 3, dtype=torch.long), path.exact(DATA)
    assert field.sample(0, 2).shape == (0, 3) and field.trajectory(0, 2, confident).shape == (3, 0, 3)
    assert path.corrupt(none, torch.rand(0))[0].shape == (0, 3) and path.posterior(none, none, 0.2, 0.3).shape == (0, 3, 3)
    assert field.elbo(none).shape == field.elbo(none, 2).shape == (0,)


def test_one_symbol_is_no_secret():
    path = MaskPath(1)
    field = path.exact(Table(torch.ones(1, 1)))
    assert (field.sample(20, 1) == 0).all() and torch.equal(field.elbo(torch.zeros(3, 2).long()), torch.zeros(3))


def test_inputs_are_not_written_to():
    path, x1 = MaskPath(2), DATA.sample(20)
    x0, xt = path.draw(x1), path.corrupt(x1, 0.5)[0]
    before = [x.clone() for x in (x1, x0, xt)]
    path.corrupt(x1, 0.4, x0), path.posterior(xt, x1, 0.5, 0.7), path.exact(DATA).elbo(x1, 2)
    hop(path.exact(DATA), xt, torch.tensor(0.5), torch.tensor(0.5)), path.exact(DATA).sample(xt, 3, confident)
    assert all(torch.equal(a, b) for a, b in zip((x1, x0, xt), before))


def test_reprs_teach():
    assert repr(MaskPath(5)) == "absorbing path: one of 5 tokens is visible with probability alpha(t), else 5"
    assert "chain of 5 steps" in repr(MaskPath.chain(BETAS, 2)) and MaskPath(5).mask_id == 5
    assert "exact tokens of the absorbing path for data: all 8 sequences" in repr(MaskPath(2).exact(DATA))
    assert "absorbing path, TokenMLP of" in repr(absorbing(TokenMLP(2, 3), (3,), 2))


class Flat(nn.Module):
    """Forgets the axis of the symbols."""

    def forward(self, x, t):
        return x.float()


PATH, X = MaskPath(2), torch.tensor([[0, 1, 1], [1, 0, 0]])
SENTENCES = [
    (lambda: MaskPath(0), ValueError, "vocabulary is 0: expected the number of clean tokens, at least 1"),
    (lambda: MaskPath(2, lambda t: 1 - t), ValueError, "alpha does not rise from t = 0 to t = 1"),
    (lambda: MaskPath(2, lambda t: torch.sin(3 * t) / math.sin(3)), ValueError, "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: 0.5), ValueError, "alpha does not rise"),
    (lambda: MaskPath(2, lambda t: t / t), ValueError, "alpha does not rise"),  # NaN at t = 0
    (lambda: MaskPath(2, lambda t: 0.2 + 0.8 * t), ValueError, r"alpha runs from 0.2 to 1: expected 0 at t = 0"),
    (lambda: MaskPath(2, lambda t: 0.9 * t), ValueError, r"alpha runs from 0 to 0.9: .* 1 at t = 1 \(all visible\)"),
    (lambda: MaskPath.chain(torch.tensor([0.1, 0.2]), 2), ValueError, "alpha runs from 0.72 to 1: expected 0 at t = 0"),
    (lambda: MaskPath.chain(torch.tensor([0.0, 0.5]), 2), ValueError, r"from 0 to 0.5: expected them inside \(0, 1\)"),
    (lambda: MaskPath.chain(torch.tensor([0.5, 1.2]), 2), ValueError, "betas run from 0.5 to 1.2"),
    (lambda: MaskPath.chain(torch.tensor([1.0, 0.5]), 2), ValueError, "betas run from 0.5 to 1: .*only the last may be 1"),
    (lambda: MaskPath.chain(torch.tensor([0.5, math.nan]), 2), ValueError, "betas run from nan"),
    (lambda: MaskPath.chain(torch.tensor(0.5), 2), ValueError, r"betas have shape \(\): expected \(T,\) with at least one"),
    (lambda: MaskPath.chain(torch.zeros(0), 2), ValueError, r"betas have shape \(0,\): expected"),
    (lambda: PATH.at(1.5), ValueError, r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: PATH.corrupt(torch.tensor([[0, 3]]), 0.5), ValueError, "x1 runs from 0 to 3: expected tokens 0 to 1"),
    (lambda: PATH.corrupt(torch.tensor([[0, -1]]), 0.5), ValueError, "x1 runs from -1 to 0: expected tokens 0 to 1"),
    (lambda: PATH.corrupt(torch.tensor([[0, 2, 2]]), 0.5), ValueError, r"x1 is masked already in 2 of 3 places \(token 2\)"),
    (lambda: PATH.corrupt(X.float(), 0.5), TypeError, r"x1 has dtype torch.float32: expected tokens, .*x.long\(\)"),
    (lambda: PATH.corrupt(X.bool(), 0.5), TypeError, "x1 has dtype torch.bool: expected tokens"),
    (lambda: PATH.corrupt([[0, 1]], 0.5), TypeError, "x1 has type list: expected tokens"),
    (lambda: PATH.corrupt(X, torch.rand(3)), ValueError, r"t of shape \(3,\) does not fit x of shape \(2, 3\)"),
    (lambda: PATH.corrupt(X, -0.1), ValueError, "t runs from -0.1"),
    (lambda: PATH.posterior(X, 1 - X, 0.2, 0.4), ValueError, "xt shows a token that differs from x1"),
    (lambda: PATH.posterior(X + 2, X, 0.2, 0.4), ValueError, "xt runs from 2 to 3: expected tokens 0 to 2"),
    (lambda: PATH.posterior(X, torch.full((2, 3), 2), 0.2, 0.4), ValueError, "x1 is masked already in 6 of 6"),
    (lambda: PATH.posterior(X, X, 0.4, 0.2), ValueError, "t = 0.4 and s = 0.2: expected t < s, a step towards the data"),
    (lambda: PATH.transition(0.3, 0.5), ValueError, "t = 0.5 and s = 0.3: expected t < s"),
    (lambda: PATH.unmask(0.5, 0.5), ValueError, "t = 0.5 and s = 0.5: expected t < s"),
    (lambda: PATH.unmask(torch.tensor([0.1, 0.6]), 0.5), ValueError, "t = 0.1 to 0.6 and s = 0.5: expected t < s"),
    (lambda: PATH.step(PATH.guess(X, 0.5, data=torch.zeros(2, 3, 2)), 0.4), ValueError, "expected t < s"),
    (lambda: PATH.betas(0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.weights(0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).sample(3, 0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, 0), ValueError, "steps is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, draws=0), ValueError, "draws is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X, 3, draws=0), ValueError, "draws is 0: expected at least one"),
    (lambda: PATH.exact(DATA).elbo(X + 1), ValueError, "x1 is masked already in 3 of 6"),
    (lambda: PATH.exact(PAIR), ValueError, "the table has 3 symbols, the path 2 tokens: expected the same"),
    (lambda: PATH.exact(DATA).guess(X[:, :2], 0.5), ValueError, r"x has shape \(2, 2\).*expected integer tokens \(B, 3\)"),
    (lambda: PATH.exact(DATA).sample(3, 2, euler), ValueError, "tokens jump .*: expected a method that hops"),
    (lambda: PATH.exact(DATA).sample(3, 2, heun), ValueError, "tokens jump and have no velocity"),
    (lambda: PATH.exact(DATA).score(X, 0.5), ValueError, "tokens jump and have no velocity"),
    (lambda: PATH.exact(DATA).sample(X + 2, 2), ValueError, "x0 runs from 2 to 3: expected tokens 0 to 2"),
    (lambda: PATH.guess(X, 0.5), ValueError, "guess was given nothing: on a mask path expected data=, the logits"),
    (lambda: PATH.guess(X, 0.5, velocity=X), ValueError, r"given \['velocity'\]: on a mask path expected data="),
    (lambda: PATH.guess(X, 0.5, data=torch.zeros(2, 3)), ValueError, r"shape \(2, 3\): expected logits \(2, 3, 2\)"),
    (lambda: PATH.guess(X.float(), 0.5, data=torch.zeros(2, 3, 2)), TypeError, "xt has dtype torch.float32"),
    (lambda: PathModel(Flat(), PATH, (3,), "data").loss(X), ValueError, r"answer has shape \(2, 3\): expected logits"),
    (lambda: PathModel(TokenMLP(3, 3), PATH, (3,), "data").loss(X), ValueError, r"shape \(2, 3, 3\): expected logits"),
    (lambda: PathModel(TokenMLP(2, 3), PATH, (3,)), ValueError, "prediction is 'velocity': expected data on this path"),
    (lambda: PATH.exact(DATA).log_prob(X), ValueError, r"log_prob needs .* on a mask path elbo"),
    (lambda: PATH.exact(DATA).sample(2, 3, noise=0.5), ValueError, "noise was given to a method that has its own"),
    (lambda: PATH.exact(DATA).sample(2, 3, ancestral), ValueError, "tokens have no noise to renew"),
    (lambda: PATH.exact(DATA).sample(2, 3, annealed_langevin()), ValueError, "a mask path has no sigma"),
    (lambda: PATH.transition(torch.tensor([0.5, 0.6, 0.7]), 0.1), ValueError, "expected one each"),
    (lambda: PATH.corrupt(X, 0.5, torch.rand(2, 1)), ValueError, "expected an hour for each token"),
    (lambda: MaskPath(5).marginal(DATA, 0.5), ValueError, "expected the same"),
    (lambda: TokenMLP(2, 3)(X, 0.5, torch.zeros(2)), ValueError, "knows no condition"),
    (lambda: lookup(PATH).loss(X[:, :2]), ValueError, r"x1 has shape \(2, 2\) on cpu: expected \(B, 3\) on cpu"),
    (lambda: lookup(PATH).loss(X[:0]), ValueError, r"x1 is an empty batch of shape \(0, 3\)"),
    (lambda: lookup(PATH).loss(X + 1), ValueError, "x1 is masked already in 3 of 6 places"),
    (lambda: lookup(PATH).loss(X.float()), TypeError, "x1 has dtype torch.float32: expected tokens"),
]


@pytest.mark.parametrize("act, error, told", SENTENCES, ids=[f"{i}-{told[:30]}" for i, (*_, told) in enumerate(SENTENCES)])
def test_bad_input_is_answered_with_a_sentence(act, error, told):
    with pytest.raises(error, match=told):
        act()


def test_the_perfect_model_is_a_field_like_any_other():
    assert isinstance(PATH.exact(DATA), ExactTokens) and issubclass(ExactTokens, PathField)
