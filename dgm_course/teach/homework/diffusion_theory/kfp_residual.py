"""7.13 The Kolmogorov-Fokker-Planck equation."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....core.ode import divergence
from .. import Case, Exercise
from ..draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, points, sizes
from ..recipes import Formula


def kfp_residual(p: Callable, f: Callable, g: Callable, x: Tensor, s: Tensor) -> Tensor:
    """∂p/∂s plus the divergence of the flux f p − ½ g² ∂p/∂x."""

    def flux(y: Tensor, at: Tensor) -> Tensor:
        density = p(y[:, 0], at)
        (slope,) = torch.autograd.grad(density.sum(), y, create_graph=True)
        return (f(y[:, 0], at) * density - g(at) ** 2 / 2 * slope[:, 0])[:, None]

    at = s.detach().clone().requires_grad_()
    with torch.enable_grad():
        (rate,) = torch.autograd.grad(p(x, at).sum(), at)
    return (rate + divergence(flux, x[:, None], s)).detach()


MOVING = (
    "Right where the density stands still, or the drift is one number: does a derivative miss what it acts on?"
)

STANDARD = "Right for one diffusion alone: g is a function of s, and its square counts."

WORLDS = (
    ("a Gaussian that spreads", "f = −x/2", "g = 1", ""),
    ("two bumps that merge", "f = −x/2", "g = 1", ""),
    ("a Gaussian that wanders", "f = sin 2x", "g = 1", MOVING),
    ("two bumps that merge", "f = −s x", "g = 1 + 2s", STANDARD),
    ("a Gaussian that spreads", "f = sin 2x", "g = 1/2", STANDARD),
    ("a Gaussian at rest", "f = −x/2", "g = 1", ""),
)


def cases(rng: Rng) -> Cases:
    def case(name: str, size: int, world: tuple[str, ...], hint: str) -> Case:
        args = {"x": points(rng, size), "s": numbers(rng, size)}
        args = in_float32(args) if name == "float32" else args
        asked = {key: Formula(value) for key, value in zip(("p", "f", "g"), world, strict=True)} | args
        return Case(name, asked, hint=hint, least=0.1)  # at rest the terms cancel

    for *world, hint in WORLDS:
        yield case(f"{world[0]}, {world[1]}, {world[2]}", sizes(rng)[0], tuple(world), hint)
    first = WORLDS[1][:3]
    for name, size, hint in (("float32", sizes(rng)[0], ""), ("B = 1", 1, NARROW), ("B = 40", 40, LARGE)):
        yield case(name, size, first, hint)


def _terms(p: Callable, f: Callable, g: Callable, x: Tensor, s: Tensor) -> dict[str, Tensor]:
    """Everything that a residual may be made of."""
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    with torch.enable_grad():
        height, drift = p(x, s), f(x, s) + 0 * x
        rate, slope = torch.autograd.grad(height.sum(), (s, x), create_graph=True)
        (bent,) = torch.autograd.grad(slope.sum(), x, retain_graph=True)
        (rise,) = torch.autograd.grad(drift.sum(), x)
    terms = {
        "rate": rate,
        "pushed": drift * slope,
        "squeezed": height * rise,
        "bent": bent,
        "slope": slope,
        "g": g(s),
        "p": height,
        "carried": drift * slope + height * rise,
        "logarithm": bent / height - (slope / height) ** 2,
    }
    return {name: value.detach() for name, value in terms.items()}


def _residual(form: Callable) -> Callable:
    """A residual from the terms, by name."""
    return lambda p, f, g, x, s: form(**_terms(p, f, g, x, s))


# fmt: off
MISTAKES = (
    ("The sign of the drift term is lost: p changes by minus the divergence of f p.",
     _residual(lambda rate, carried, bent, g, **_: rate - carried - g**2 / 2 * bent)),
    ("The sign of the diffusion term is lost: noise fills valleys and wears peaks down.",
     _residual(lambda rate, carried, bent, g, **_: rate + carried + g**2 / 2 * bent)),
    ("Both signs on the right are lost.",
     _residual(lambda rate, carried, bent, g, **_: rate - carried + g**2 / 2 * bent)),
    ("The diffusion term lacks its ½.",
     _residual(lambda rate, carried, bent, g, **_: rate + carried - g**2 * bent)),
    ("g stands in the diffusion term; its square counts.",
     _residual(lambda rate, carried, bent, g, **_: rate + carried - g / 2 * bent)),
    ("Diffusion is missing: that is the continuity equation of an ODE.",
     _residual(lambda rate, carried, **_: rate + carried)),
    ("The drift is missing: that is the heat equation.",
     _residual(lambda rate, bent, g, **_: rate - g**2 / 2 * bent)),
    ("The rate of change is missing: only the right side came.",
     _residual(lambda carried, bent, g, **_: carried - g**2 / 2 * bent)),
    ("The right side alone came: its difference to the rate of change is asked.",
     _residual(lambda carried, bent, g, **_: g**2 / 2 * bent - carried)),
    ("The drift stands outside of the derivative: where f changes along x it squeezes the density, too.",
     _residual(lambda rate, pushed, bent, g, **_: rate + pushed - g**2 / 2 * bent)),
    ("Only f is differentiated in the drift term: the density moves, too.",
     _residual(lambda rate, squeezed, bent, g, **_: rate + squeezed - g**2 / 2 * bent)),
    ("The density is differentiated once in the diffusion term, where twice is asked.",
     _residual(lambda rate, carried, slope, g, **_: rate + carried - g**2 / 2 * slope)),
    ("The logarithm of the density is differentiated in the diffusion term; the equation is about p itself.",
     _residual(lambda rate, carried, logarithm, g, **_: rate + carried - g**2 / 2 * logarithm)),
    ("The whole is divided by p: that is the equation of log p.",
     _residual(lambda rate, carried, bent, g, p, **_: (rate + carried - g**2 / 2 * bent) / p)),
)

EXERCISE = Exercise(
    id="diff.kfp_residual", number="7.13", title="the Kolmogorov-Fokker-Planck equation", points=2,
    prompt="by how much the rate of change of the density differs from what drift and diffusion make of it, at "
           "each point of the line",
    more="∂p/∂s + ∂(f p)/∂x − ½ g² ∂²p/∂x². Each derivative by torch.autograd.grad of a sum, with "
         "create_graph=True where another one follows; f and p stand under the derivative together.",
    cases=cases, reference=kfp_residual, mistakes=MISTAKES,
)
