"""7.5 Tweedie's formula."""

import torch
from torch import Tensor

from ....paths import VE, VP, Conical, Cosine, GaussianPath
from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32, numbers, odd_sizes, points, sizes


def tweedie(score: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The data of the pair with this score, on a path whose scales do not move."""
    return (
        GaussianPath(lambda t: alpha, lambda t: sigma).predict(x, torch.zeros_like(alpha[:, 0]), score=score).data
    )


UNRELATED = "Right on the lecture's paths alone: alpha and sigma may be any two positive numbers here."


def cases(rng: Rng) -> Cases:
    for path in (Conical(), VP(), VE(), Cosine()):
        batch, single = sizes(rng), path.name == "cosine"
        times = torch.from_numpy(numbers(rng, batch[0], 1))
        scales = {"alpha": path.alpha(times).numpy(), "sigma": path.sigma(times).numpy()}
        args = {"score": points(rng, *batch), "x": points(rng, *batch), **scales}
        yield Case(path.name + " (float32)" * single, in_float32(args) if single else args)
    for name, batch, hint in (("unrelated scales", sizes(rng), UNRELATED), *odd_sizes(rng)):
        args = {"score": points(rng, *batch), "x": points(rng, *batch)}
        scales = {key: numbers(rng, batch[0], 1, low=0.4, high=1.6) for key in ("alpha", "sigma")}
        yield Case(name, args | scales, hint=hint)


# fmt: off
MISTAKES = (
    ("The sign is lost: the score points to the data, so one goes along it, not against.",
     lambda score, x, a, s: (x - s**2 * score) / a),
    ("The score is multiplied by sigma once: that gives minus the noise of size one, but in x it has the size "
     "sigma.",
     lambda score, x, a, s: (x + s * score) / a),
    ("The division by alpha is missing: x holds the data shrunk (on VE, alpha = 1 hides it).",
     lambda score, x, a, s: x + s**2 * score),
    ("Multiplied by alpha, where the shrinking is to be undone.", lambda score, x, a, s: (x + s**2 * score) * a),
    ("Divided by alpha², where alpha itself is meant.", lambda score, x, a, s: (x + s**2 * score) / a**2),
    ("Divided by the root of alpha: DDPM's alpha-bar would have a root here, alpha has none.",
     lambda score, x, a, s: (x + s**2 * score) / a.sqrt()),
    ("alpha is read as DDPM's alpha-bar; here it is the scale of the data itself.",
     lambda score, x, a, s: (x + (1 - a) * score) / a.sqrt()),
    ("That is right on variance-preserving paths alone: sigma² is not 1 − alpha² everywhere.",
     lambda score, x, a, s: (x + (1 - a**2) * score) / a),
    ("That is right on the conical path alone: sigma is not 1 − alpha everywhere.",
     lambda score, x, a, s: (x + (1 - a) ** 2 * score) / a),
    ("Only x is divided by alpha: a parenthesis is missing.", lambda score, x, a, s: x / a + s**2 * score),
    ("Only the term of the score is divided by alpha: a parenthesis is missing.",
     lambda score, x, a, s: x + s**2 * score / a),
    ("The score is added as it is: how far to go along it depends on the noise level.",
     lambda score, x, a, s: (x + score) / a),
    ("The score is divided by sigma²: the narrower the noise the steeper the score, and the less there is to go.",
     lambda score, x, a, s: (x + score / s**2) / a),
    ("alpha and sigma are exchanged.", lambda score, x, a, s: (x + a**2 * score) / s),
    ("The score and x are exchanged.", lambda score, x, a, s: (score + s**2 * x) / a),
    ("That is the noise behind x, not the data.", lambda score, x, a, s: -s * score),
    ("The score is used as if it were the noise; it is another multiple of it.",
     lambda score, x, a, s: (x - s * score) / a),
    ("Divided by sigma where alpha is meant.", lambda score, x, a, s: (x + s**2 * score) / s),
    ("x does not enter: the score only says how far the data are from it.",
     lambda score, x, a, s: s**2 * score / a),
)

EXERCISE = Exercise(
    id="diff.tweedie", number="7.5", title="Tweedie's formula",
    prompt="the mean of the data that could stand behind x, from the score at x and the scales of data and noise",
    more="x = α x̂ + σ ε̂ with the score −ε̂/σ: so the mean noise is −σ score, and what is left of x is α x̂.",
    cases=cases, reference=tweedie, mistakes=MISTAKES,
)
