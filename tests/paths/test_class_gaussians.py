"""Gaussians of classes against dense algebra and the definition, and as a skip connection of a network."""

from __future__ import annotations

import pytest
import torch

from dgm_course import data, pretrained
from dgm_course.nets import UNet
from dgm_course.paths import VE, VP, Conical, LinearPath
from dgm_course.paths.class_gaussians import ClassGaussians, GaussianSkip
from dgm_course.paths.model import flow_matching, logit_normal, stratified_logit_normal
from dgm_course.training import Recipe, fit, linear

EVENT = (1, 3, 2)


def conical(net, gaussians):
    return GaussianSkip(net, gaussians, Conical(), "velocity")


def small(classes=3, rank=4, shrinkage=0.25, n=90):
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(n, 6, generator=generator).double() @ torch.randn(6, 6, generator=generator).double()
    labels = torch.arange(n) % classes
    images = (images + 3 * labels[:, None]).view(n, *EVENT)
    return images, labels, ClassGaussians(images, labels, classes, rank, shrinkage)


@pytest.fixture(scope="module")
def digits():
    images = data.mnist()
    return images, ClassGaussians(images.train, images.train_labels, rank=16)


def covariance(made, row):
    v = made.directions.view(len(made.directions), -1, made.rank)[:, row]
    dense = v @ torch.diag(made.variances[row]) @ v.T + made.rest[row] * (torch.eye(len(v)).double() - v @ v.T)
    assert torch.allclose(made.covariance(row), dense)
    return dense


def test_covariances_are_those_of_the_data():
    """With a rank of all but one direction."""
    images, labels, made = small(rank=5, shrinkage=0.0)
    rows = [images[labels == k].flatten(1) for k in range(3)] + [images.flatten(1)]
    for row, part in enumerate(rows):
        assert torch.allclose(made.means[row], part.mean(0))
        assert torch.allclose(covariance(made, row), part.T.cov(correction=0))


def test_shrinkage_moves_classes_to_mean_covariance():
    images, labels, plain = small(rank=5, shrinkage=0.0)
    half, whole = ClassGaussians(images, labels, 3, 5, 0.5), ClassGaussians(images, labels, 3, 5, 1.0)
    for row in range(3):
        assert torch.allclose(covariance(half, row), (covariance(plain, row) + covariance(whole, row)) / 2)
    within = sum(covariance(plain, row) for row in range(3)) / 3
    assert torch.allclose(covariance(whole, 0), within) and torch.allclose(covariance(whole, 2), within)
    assert torch.allclose(covariance(whole, 3), covariance(plain, 3))


PATHS = {"conical": Conical(), "VP": VP(), "VE": VE()}


def expected_of(made, path, prediction, x, t, row):
    """The same by name, with the path's own numbers."""
    at = path.at(t, x)
    return made.conditional_mean(x, row, at[:2], path.rows(at)[prediction])


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize(
    "path, prediction, weights",
    [
        ("conical", "velocity", lambda alpha, sigma: (1.0, -1.0)),
        ("VP", "noise", lambda alpha, sigma: (0.0, 1.0)),
        ("VE", "noise", lambda alpha, sigma: (0.0, 1.0)),
        ("VP", "data", lambda alpha, sigma: (1.0, 0.0)),
        ("VP", "v", lambda alpha, sigma: (-sigma, alpha)),
    ],
)
def test_conditional_mean_is_dense_linear_algebra(rank, path, prediction, weights):
    _, _, made = small(rank=rank)
    x, row, path = torch.randn(5, *EVENT).double(), torch.tensor([0, 3, 2, 1, 1]), PATHS[path]
    for t in (torch.tensor([0.0, 0.2, 0.5, 0.9, 0.99]).double(), torch.tensor(0.3).double()):
        found = expected_of(made, path, prediction, x, t, row)
        for i, one in enumerate(x.flatten(1)):
            alpha, sigma = (schedule(t[i] if t.ndim else t) for schedule in (path.alpha, path.sigma))
            a, b = weights(alpha, sigma)
            cov, eye, mean = covariance(made, row[i]), torch.eye(6).double(), made.means[row[i]]
            both = alpha**2 * cov + sigma**2 * eye
            right = a * mean + (a * alpha * cov + b * sigma * eye) @ torch.linalg.solve(both, one - alpha * mean)
            assert torch.allclose(found[i].flatten(), right, atol=1e-7)


@pytest.mark.parametrize("path, prediction", [("conical", "velocity"), ("VP", "noise")])
def test_conditional_mean_is_best_linear_prediction(path, prediction):
    """For data of that Gaussian its error is uncorrelated with x_t."""
    _, _, made = small(rank=3)
    n, t, path = 200_000, torch.tensor(0.4).double(), PATHS[path]
    x1 = made.means[1] + torch.randn(n, 6).double() @ torch.linalg.cholesky(covariance(made, 1)).T
    pair = path.endpoints(x1, torch.randn(n, 6).double(), t)
    xt = path.interpolate(pair)
    mean = expected_of(made, path, prediction, xt.view(-1, *EVENT), t, torch.full((n,), 1)).flatten(1)
    error, centred = getattr(pair, prediction) - mean, torch.cat([xt - xt.mean(0), torch.ones(n, 1).double()], 1)
    sizes = error.std(0) * centred.std(0).clamp(min=1)[:, None]
    assert (centred.T @ error / n).abs().max() < 5 * float(sizes.max()) / n**0.5


@pytest.mark.parametrize("path, prediction", [("conical", "velocity"), ("VP", "noise")])
def test_untrained_network_gives_the_gaussians_mean(path, prediction):
    images, path = data.mnist(), PATHS[path]
    model = pretrained.live_digits(images, path, prediction).eval()
    x, y, t = torch.randn(4, 1, 28, 28), torch.tensor([1, 2, 3, 4]), torch.tensor(0.3)
    known = model.net.gaussians
    with torch.no_grad():
        assert torch.allclose(model.net(x, t, y), expected_of(known, path, prediction, x, t, y))
        none = torch.full((4,), 10)
        assert torch.allclose(model.net(x, t), expected_of(known, path, prediction, x, t, none))


def test_network_sees_mean_and_same_dropped_labels(digits):
    seen, (_, gaussians) = [], digits

    class Spy(UNet):
        def forward(self, x, t, y=None):
            seen.append((x, y))
            return super().forward(x, t, y)

    skip = conical(Spy(8, 10, inputs=2), gaussians).train()
    x, t, y = torch.randn(400, 1, 28, 28), torch.full((400,), 0.5), torch.arange(400) % 10
    skip(x, t, y)
    ((both, row),) = seen
    dropped = row == 10
    assert 0.04 < float(dropped.float().mean()) < 0.18 and torch.equal(row[~dropped], y[~dropped])
    mean = expected_of(gaussians, Conical(), "velocity", x, t, row)
    assert torch.equal(both[:, :1], x) and torch.allclose(both[:, 1:], mean, atol=1e-5)
    skip.eval()(x, t, y)
    assert torch.equal(seen[1][1], y)


def test_mean_is_in_full_precision_under_autocast(digits):
    skip = conical(UNet(8, 10, inputs=2), digits[1]).eval()
    x, y = torch.randn(2, 1, 28, 28), torch.tensor([0, 1])
    with torch.no_grad():
        expected = expected_of(skip.gaussians, Conical(), "velocity", x, 0.5, y)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(skip(x, torch.tensor(0.5), y), expected)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"labels": torch.arange(89) % 3}, "90 images and 89 labels"),
        ({"classes": 2}, "two images or more for each class 0 to 1"),
        ({"labels": torch.cat([torch.zeros(89), torch.ones(1)]).long()}, "two images or more"),
        ({"rank": 0}, "rank is 0"),
        ({"rank": 6}, "expected 1 to 5"),
        ({"shrinkage": 1.5}, "shrinkage 1.5"),
    ],
)
def test_bad_data_are_refused(wrong, message):
    images, labels, _ = small()
    with pytest.raises(ValueError, match=message):
        ClassGaussians(images, **{"labels": labels, "classes": 3, "rank": 4, **wrong})


@pytest.mark.parametrize(
    "net, path, prediction, message",
    [
        (UNet(8, 10), Conical(), "velocity", "1 input channels: expected 10 and 2"),
        (UNet(8, 4, inputs=2), Conical(), "velocity", "has 4 classes"),
        (UNet(8, 10, inputs=2), Conical(), "tokens", "the tokens on conical path.*: expected a source N"),
        (UNet(8, 10, inputs=2), LinearPath(data.moons()), "velocity", "the velocity on linear path"),
    ],
)
def test_unfit_networks_and_paths_are_refused(net, path, prediction, message, digits):
    with pytest.raises(ValueError, match=message):
        GaussianSkip(net, digits[1], path, prediction)
    assert net.forget > 0  # the network is not modified


@pytest.mark.slow
def test_network_learns_the_rest(digits):
    images, gaussians = digits
    model = flow_matching(conical(UNet(8, 10, inputs=2), gaussians), (1, 28, 28))
    x1, t = images.test[:200], torch.rand(200)
    pair = model.path.endpoints(x1, torch.randn_like(x1), t)

    @torch.no_grad()
    def error():
        found = model.eval()._net(model.path.interpolate(pair), t, images.test_labels[:200])
        return float((found - pair.velocity).square().mean())

    before = error()
    fit(model, (images.train, None, images.train_labels), Recipe(120, 32, 5e-3, warmup=20, decay=linear, ema=0.9))
    assert error() < 0.95 * before


def test_stratified_logit_normal_is_less_noisy():
    like = torch.zeros(32, 1)
    plain, even = (torch.stack([f(like) for _ in range(2000)]) for f in (logit_normal, stratified_logit_normal))
    for q in (0.1, 0.5, 0.9):
        assert abs(float(plain.quantile(q) - even.quantile(q))) < 0.01
    assert even.mean(1).std() < 0.3 * plain.mean(1).std()
