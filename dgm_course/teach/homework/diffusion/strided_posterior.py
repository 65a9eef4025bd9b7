"""7.8 The posterior of a leap."""

from collections.abc import Callable

from torch import Tensor

from .. import Exercise, ObserveSpec
from ._shared import _both, _leap, _mean, _posterior, _variance, without_zeros
from ._shared_cases import leaps


def strided_posterior(x: Tensor, x_data: Tensor, abar_now: Tensor, abar_next: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the library's step with the posterior's own share of fresh noise, and the square of that
    share."""
    path, now, then = _leap(abar_now, abar_next)
    return _posterior(path, path.predict(x, now, data=x_data), then)


def _wrong_leap(
    mean: Callable = _mean, variance: Callable = _variance, beta: Callable = lambda now, then: 1 - now / then
):
    """The posterior over any gap, with one of its pieces exchanged."""

    def posterior(x: Tensor, x_data: Tensor, abar_now: Tensor, abar_next: Tensor) -> tuple[Tensor, Tensor]:
        found = beta(abar_now, abar_next), abar_now, abar_next
        return without_zeros(mean(x, x_data, *found), variance(*found))

    return posterior


# fmt: off
MISTAKES = (
    ("The ratio of the two alpha-bars is upside down: what one leap keeps is below one.",
     _wrong_leap(beta=lambda now, then: 1 - then / now)),
    ("The two alpha-bars are exchanged: abar_next is the cleaner one, nearer to 1.",
     lambda x, x_data, now, then: _wrong_leap()(x, x_data, then, now)),
    ("β is counted from the data on, 1 − abar_now; only the noise between the two steps is meant.",
     _wrong_leap(beta=lambda now, then: 1 - now)),
    ("β is the difference of the two alpha-bars; shares that survive multiply, so a ratio is behind it.",
     _wrong_leap(beta=lambda now, then: then - now)),
    ("β is taken from the roots of the alpha-bars, a factor of the point and not of the variance.",
     _wrong_leap(beta=lambda now, then: 1 - (now / then).sqrt())),
    ("That is the ratio that is kept where what is lost is meant: β and 1 − β are exchanged.",
     _wrong_leap(beta=lambda now, then: now / then)),
    ("The mean is right and the variance is 0: DDIM chooses that, the posterior does not.",
     _wrong_leap(variance=lambda b, now, before: 0 * now)),
    *_both(_wrong_leap),
)

EXERCISE = Exercise(
    id="diff.strided_posterior", number="7.8", title="the posterior of a leap", points=2,
    prompt="mean and variance of the chain at any earlier step, where the point now and the data are known, "
           "from the two alpha-bars alone",
    more="Many small steps of the chain are one large one, of β = 1 − ᾱ_now/ᾱ_next. With it the formula of one "
         "step holds, ᾱ_next in the place of ᾱ_{k−1}.",
    cases=leaps("x", "x_data"), reference=strided_posterior, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("mean", "variance")),
)
