"""7.7 One step of DDIM."""

from torch import Tensor

from .. import Exercise
from ._shared import _leap
from ._shared_cases import leaps


def ddim_step(eps_hat: Tensor, x: Tensor, abar_now: Tensor, abar_next: Tensor) -> Tensor:
    """The library's step without fresh noise."""
    path, now, then = _leap(abar_now, abar_next)
    return path.step(path.predict(x, now, noise=eps_hat), then)


def _data(eps: Tensor, x: Tensor, now: Tensor) -> Tensor:
    return (x - (1 - now).sqrt() * eps) / now.sqrt()


def _place(data: Tensor, eps: Tensor, then: Tensor) -> Tensor:
    return then.sqrt() * data + (1 - then).sqrt() * eps


# fmt: off
MISTAKES = (
    ("The two alpha-bars are exchanged: the data are guessed at abar_now, and put at abar_next.",
     lambda eps, x, now, then: _place(_data(eps, x, then), eps, now)),
    ("That is the guess of the data: it still has to be put back among noise, at abar_next.",
     lambda eps, x, now, then: _data(eps, x, now)),
    ("The guess of the data is shrunk for the next level, but no noise of that level is added.",
     lambda eps, x, now, then: then.sqrt() * _data(eps, x, now)),
    ("The guess of the data is not shrunk for the next level.",
     lambda eps, x, now, then: _data(eps, x, now) + (1 - then).sqrt() * eps),
    ("In the guess of the data the noise is added; it is to be taken out.",
     lambda eps, x, now, then: _place(_data(-eps, x, now), eps, then)),
    ("At the next level the noise is subtracted, where it has to come in again.",
     lambda eps, x, now, then: _place(_data(eps, x, now), -eps, then)),
    ("The noise comes in again with the size of abar_now, not of abar_next.",
     lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - now).sqrt() * eps),
    ("The data are shrunk again by the factor of abar_now, not of abar_next.",
     lambda eps, x, now, then: now.sqrt() * _data(eps, x, now) + (1 - then).sqrt() * eps),
    ("The guess of the data lacks its division: x holds them shrunk.",
     lambda eps, x, now, then: _place(x - (1 - now).sqrt() * eps, eps, then)),
    ("In the guess of the data only x is divided: a parenthesis is missing.",
     lambda eps, x, now, then: _place(x / now.sqrt() - (1 - now).sqrt() * eps, eps, then)),
    ("In the guess of the data only the noise is divided: a parenthesis is missing.",
     lambda eps, x, now, then: _place(x - (1 - now).sqrt() * eps / now.sqrt(), eps, then)),
    ("The factor of the data shrinks the new noise as well: a parenthesis too many.",
     lambda eps, x, now, then: then.sqrt() * (_data(eps, x, now) + (1 - then).sqrt() * eps)),
    ("The ratio of the two alpha-bars lacks its root.",
     lambda eps, x, now, then: then / now * (x - (1 - now).sqrt() * eps) + (1 - then).sqrt() * eps),
    ("The guess of the data is divided by abar_now: the root is missing.",
     lambda eps, x, now, then: _place((x - (1 - now).sqrt() * eps) / now, eps, then)),
    ("In the guess of the data the noise lacks the root over 1 − abar.",
     lambda eps, x, now, then: _place((x - (1 - now) * eps) / now.sqrt(), eps, then)),
    ("At the next level the noise lacks the root over 1 − abar.",
     lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - then) * eps),
    ("At the next level the data lack the root over abar.",
     lambda eps, x, now, then: then * _data(eps, x, now) + (1 - then).sqrt() * eps),
    ("All four roots are missing: alpha-bars and 1 minus them are factors of variances.",
     lambda eps, x, now, then: then * (x - (1 - now) * eps) / now + (1 - then) * eps),
    ("Both factors of the noise lack their roots.",
     lambda eps, x, now, then: then.sqrt() * (x - (1 - now) * eps) / now.sqrt() + (1 - then) * eps),
    ("alpha-bar is read as the scale of the data; it is the square of that scale.",
     lambda eps, x, now, then: then * (x - (1 - now**2).sqrt() * eps) / now + (1 - then**2).sqrt() * eps),
    ("The size of the noise came as 1 minus the scale of the data; here it is their squares that add up to one.",
     lambda eps, x, now, then: then.sqrt() * (x - (1 - now.sqrt()) * eps) / now.sqrt() + (1 - then.sqrt()) * eps),
    ("That is the posterior's mean, which gives part of the old noise away for fresh noise; DDIM keeps all of it.",
     lambda eps, x, now, then: (
         then.sqrt() * _data(eps, x, now) + (1 - then) / (1 - now).sqrt() * (now / then).sqrt() * eps
     )),
    ("Only x is rescaled: between the two levels the share of the noise changes, too.",
     lambda eps, x, now, then: (then / now).sqrt() * x),
    ("The ratio of the two alpha-bars is upside down.",
     lambda eps, x, now, then: (now / then).sqrt() * (x - (1 - now).sqrt() * eps) + (1 - then).sqrt() * eps),
    ("eps_hat and x are exchanged.", lambda eps, x, now, then: _place(_data(x, eps, now), x, then)),
    ("At the next level x stands where the predicted noise belongs.",
     lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - then).sqrt() * x),
)

EXERCISE = Exercise(
    id="diff.ddim_step", number="7.7", title="one step of DDIM",
    prompt="the point at the next noise level, nearer to the data, from the predicted noise and without any "
           "fresh one",
    more="The guess of the data is x̂ = (x − √(1 − ᾱ_now) eps_hat)/√ᾱ_now; the next point is √ᾱ_next x̂ + √(1 − "
         "ᾱ_next) eps_hat.",
    cases=leaps("eps_hat", "x"), reference=ddim_step, mistakes=MISTAKES,
)
