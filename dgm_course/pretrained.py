"""Trained weights by name, each with a card, each made again by one command.

``load("flow_matching_digits")`` is a model ready to sample; ``card(...)`` says what it was trained on, for how long, and
how well it does on images that it has not seen.  ``dgm train NAME`` (``train``) repeats it.  Training data are the official
MNIST images without the 1,000 that are the embedded test split, so a notebook may always judge on those.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import checkpoints, data, measures
from .dynamics import Method
from .fit import History, Recipe, fit, linear
from .nets import DigitClassifier, TokenUNet, UNet
from .path_models import PathModel, absorbing, ddpm, flow_matching, heun_to_data, logit_normal, ncsn
from .paths import ancestral
from .tensors import budget, device, fast_dtype, seed

GUIDANCE, STEPS = 1.4, 8  # wherever digits are judged: more guidance is more precise and less varied
FOLDER = Path(str(resources.files("dgm_course"))) / "weights"


class Classifying(nn.Module):
    """A classifier with its loss: the mean cross-entropy, on images moved by up to two pixels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """x (B, 1, 28, 28), y (B,) -> ()"""
        right, down = torch.randint(0, 5, (2,)).tolist()
        moved = nn.functional.pad(x, (2, 2, 2, 2), value=-1.0)[..., down:down + 28, right:right + 28]
        return nn.functional.cross_entropy(self.net(moved).float(), y)


@dataclass(frozen=True)
class Entry:
    """How one set of weights is made: the untrained model, what is trained (its ``loss``), on what, how, how well."""

    blank: Callable[[], nn.Module]
    training: Callable[[nn.Module], nn.Module]
    batches: Callable[[data.Images], Any]
    recipe: Callable[[], Recipe]
    figure: Callable[[nn.Module, data.Images], dict[str, Any]]


def digits_flow() -> PathModel:
    """Class-conditional flow matching on 28 × 28 digits: conical path, velocity, logit-normal times."""
    model = flow_matching(UNet(channels=32, classes=10), (1, 28, 28))
    model.times_of = logit_normal
    return _for_pixels(model)


def digits_ddpm() -> PathModel:
    """DDPM on 28 × 28 digits: VP path, noise prediction, uniform times, told the class."""
    return _for_pixels(ddpm(UNet(channels=32, classes=10), (1, 28, 28)))


def digits_ncsn() -> PathModel:
    """A noise-conditioned score network on 28 × 28 digits: VE path, noise prediction, logit-normal times, told the class.

    The mean of the digits has norm 22 (they are mostly −1), so the noise must be larger than in the plane."""
    model = ncsn(UNet(channels=32, classes=10), (1, 28, 28), sigma_max=30.0)
    model.times_of = logit_normal
    return _for_pixels(model)


def _for_pixels(model: PathModel) -> PathModel:
    model.bounds, model.precision = (-1.0, 1.0), fast_dtype()
    return model


def digits_absorbing() -> PathModel:
    """Masked diffusion of black and white digits: the ELBO's weights, one mask token, no class."""
    model = absorbing(TokenUNet(vocabulary=2, channels=32), (1, 28, 28), vocabulary=2)
    model.precision = fast_dtype()
    return model


def held_then_linear(done: float) -> float:
    """The full rate for 70 % of the run, then linearly to zero: a long run may be prolonged before it cools."""
    return min(1.0, (1 - done) / 0.3)


def digits_recipe(steps: int, lr: float = 2e-3, ema: float = 0.999, decay: Callable[[float], float] = linear) -> Recipe:
    """Many small steps and a rate that ends at zero: what short trainings of digits want, by comparison."""
    return Recipe(steps, 32, lr, warmup=100, decay=decay, ema=ema, betas=(0.9, 0.99), weight_decay=0.01)


def bits_recipe(steps: int, ema: float = 0.999, decay: Callable[[float], float] = linear) -> Recipe:
    """As for grey digits, with a bound on the gradient: now and then one hidden token near the data weighs very much."""
    return Recipe(steps, 32, 3e-3, warmup=100, decay=decay, ema=ema, betas=(0.9, 0.99), weight_decay=0.01, clip=50.0)


@torch.no_grad()
def nats(model: PathModel, images: Tensor, draws: int = 16, steps: int | None = None) -> dict[str, Any]:
    """The bound on −log p of black and white digits, with its standard error over the images.  images (N, 1, 28, 28)"""
    seed(0)
    bits = data.Bits(images).fixed()
    bound = -torch.cat([model.elbo(x, steps, draws) for x in bits.split(500)])
    return {"nats": round(float(bound.mean()), 2), "standard_error": round(float(bound.std() / len(bound) ** 0.5), 2),
            "protocol": f"bound on -log p in {'continuous time' if steps is None else f'{steps} steps'}, {draws} draws an "
                        f"image, {len(bits):,} images, each pixel one fixed Bernoulli draw of its brightness"}


def accuracy(net: nn.Module, images: data.Images) -> dict[str, Any]:
    """The share of the test images whose class is recognised."""
    with torch.no_grad():
        guesses = torch.cat([net(x).argmax(1) for x in images.test.split(500)])
    return {"accuracy": round(float((guesses == images.test_labels).float().mean()), 4),
            "protocol": f"{len(guesses):,} test images of {images.source}"}


def balanced(n: int, like: Tensor) -> Tensor:
    """The labels 0 ... 9 in equal numbers, in order.  -> (n,), on the device of ``like``"""
    return torch.arange(10, device=like.device).repeat_interleave(n // 10)


def likeness(model: PathModel, images: data.Images, n: int = 1000, guidance: float = GUIDANCE, steps: int = STEPS,
             method: Method = heun_to_data) -> dict[str, Any]:
    """How n class-balanced samples compare with n test images in the classifier's features, beside real ones."""
    judge = load("digit_classifier").to(images.test.device)
    seed(0)
    with torch.no_grad():
        fake = model.given(balanced(n, images.test), guidance).sample(n, steps, method)
        ours, real, other = (torch.cat([judge.features(x) for x in part.split(500)])
                             for part in (fake, images.test[:n], _thousand(images, n)))
    precision, recall, coverage = (float(v) for v in measures.precision_recall_coverage(real, ours))
    return {"frechet": round(float(measures.frechet_distance(ours, real)), 2),
            "frechet_floor": round(float(measures.frechet_distance(other, real)), 2),
            "precision": round(precision, 3), "recall": round(recall, 3), "coverage": round(coverage, 3),
            "protocol": f"{n} class-balanced samples, guidance {guidance:g}, {method.__name__}, {steps} steps, against {n} "
                        f"test images of {images.source}; floor: {n} class-balanced training images; "
                        "features of digit_classifier, k = 5"}


def _thousand(images: data.Images, n: int) -> Tensor:
    """n training images, as many of each class."""
    places = [torch.where(images.train_labels == label)[0][:n // 10] for label in range(10)]
    return images.train[torch.cat(places)]


ENTRIES: dict[str, Entry] = {
    "digit_classifier": Entry(
        DigitClassifier, Classifying, lambda images: (images.train, images.train_labels),
        lambda: Recipe(4000, 128, 3e-3, warmup=200, decay=linear, weight_decay=0.01, precision=fast_dtype()), accuracy),
    "flow_matching_digits": Entry(
        digits_flow, lambda model: model, lambda images: (images.train, None, images.train_labels),
        lambda: digits_recipe(22_500, ema=0.9995, decay=held_then_linear),
        lambda model, images: likeness(model, data.mnist().to(device()))),
    "ddpm_digits": Entry(
        digits_ddpm, lambda model: model, lambda images: (images.train, None, images.train_labels),
        lambda: digits_recipe(12_000, ema=0.9995, decay=held_then_linear),
        lambda model, images: likeness(model, data.mnist().to(device()), steps=50, method=ancestral)),
    "ncsn_digits": Entry(
        digits_ncsn, lambda model: model, lambda images: (images.train, None, images.train_labels),
        lambda: digits_recipe(12_000, ema=0.9995, decay=held_then_linear),
        lambda model, images: likeness(model, data.mnist().to(device()), steps=50, method=ancestral)),
    "absorbing_digits": Entry(
        digits_absorbing, lambda model: model, lambda images: data.Bits(images.train),
        lambda: bits_recipe(20_000, ema=0.9995, decay=held_then_linear),
        lambda model, images: nats(model, data.mnist().test.to(device())) | {
            "official_test": nats(model, images.test, draws=2)}),
}


def live_recipe(quick: int = 800) -> Recipe:
    """What notebook 08 trains with: half a minute on two cores; with the full budget what the shipped weights had."""
    return digits_recipe(budget(quick=quick, full=22_500), lr=3e-3, ema=budget(quick=0.99, full=0.9995))


def names() -> list[str]:
    """All names that ``load`` and ``train`` know."""
    return sorted(ENTRIES)


def entry(name: str) -> Entry:
    """The entry of a name, or a sentence that lists the names."""
    if name not in ENTRIES:
        raise KeyError(f"There are no weights called {name!r}; there are {', '.join(names())}.")
    return ENTRIES[name]


def load(name: str) -> nn.Module:
    """The trained model, on the CPU and ready for use; CheckpointError where its file is missing or damaged."""
    model = entry(name).blank()
    tensors, _ = checkpoints.read(FOLDER / f"{name}.safetensors")
    checkpoints.load_into(model, tensors, f"{name}.safetensors")
    return model.eval().requires_grad_(False)


def card(name: str) -> dict[str, Any]:
    """What is known of the weights: data, steps, seed, device, time, command, held-out figure with its protocol."""
    entry(name)
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def train(name: str, folder: Path | None = None, report: Callable[[History], None] | None = None) -> Path:
    """Make the weights again and write them with their card; an interrupted run goes on where it stopped."""
    made, folder = entry(name), Path(folder or FOLDER)
    images, half = data.mnist_for_weights().to(device()), folder / f"{name}.half.safetensors"
    seed(0)
    model = made.blank().to(device())
    history = fit(made.training(model), made.batches(images), made.recipe(), save=half, report=report,
                  resume=half if half.exists() else None)
    if not history.finished:
        return half
    start = time.perf_counter()
    path = checkpoints.write(folder / f"{name}.safetensors", {k: v.half() if v.is_floating_point() else v
                                                              for k, v in model.state_dict().items()})
    recipe = made.recipe()
    told = {"name": name, "data": images.source, "images": len(images.train), "steps": history.step,
            "batch": recipe.batch, "seed": recipe.seed, "device": str(device()), "seconds": round(history.seconds),
            "command": f"dgm train {name}", "held_out": made.figure(model.eval(), images),
            "judging_seconds": round(time.perf_counter() - start)}
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for left in folder.glob(f"{half.name}*"):  # the checkpoint, and the one before it
        left.unlink()
    return path
