"""Weights that come with the course: each loads, is small, has a full card, and does what its card says."""

from __future__ import annotations

import pytest
import torch

from dgm_course import data, latent, pretrained
from dgm_course.autoregressive import guided
from dgm_course.core import metrics
from dgm_course.paths import ancestral
from dgm_course.paths.model import heun_euler_last

NAMES = pretrained.names()
SAMPLERS = {
    "flow_matching_digits": (8, heun_euler_last),
    "ddpm_digits": (20, ancestral),
    "ncsn_digits": (40, ancestral),
}


@pytest.fixture(scope="module")
def images():
    return data.mnist()


def agree(now, held_out, key):
    """Within five standard errors of the difference."""
    error = (now["standard_error"] ** 2 + held_out["standard_error"] ** 2) ** 0.5
    return abs(now[key] - held_out[key]) < 5 * error


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_cards_full(name):
    file, card = pretrained.FOLDER / f"{name}.safetensors", pretrained.card(name)
    assert file.stat().st_size < 2 * 2**20
    assert {"data", "images", "steps", "seed", "device", "seconds", "command", "held_out"} <= set(card)
    assert card["command"].startswith(f"dgm train {name}") and "protocol" in card["held_out"]


def test_all_weights_are_small_and_listed():
    files = {file.stem for file in pretrained.FOLDER.glob("*.safetensors")}
    assert files == set(NAMES) == {file.stem for file in pretrained.FOLDER.glob("*.json")}
    assert sum(file.stat().st_size for file in pretrained.FOLDER.iterdir()) < 20 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_weights_fit_their_recipes_model(name):
    model = pretrained.load(name)
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in pretrained.entry(name).blank().parameters()
    )
    assert pretrained.entry(name).recipe().steps == pretrained.card(name)["steps"] or name == "digit_classifier"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="no weights called 'gpt'; there are absorbing_digits, "):
        pretrained.load("gpt")


def test_the_classifier_is_as_good_as_its_card(images):
    now = pretrained.accuracy(pretrained.load("digit_classifier"), images)["accuracy"]
    held_out = pretrained.card("digit_classifier")["held_out"]
    assert abs(now - held_out["accuracy_embedded_test"]) < 0.002 and held_out["accuracy"] > 0.985


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_conditional_digits_match_class_and_card(name, images):
    """Sixty of them, with fewer steps than the card where those are many: within four standard errors and a little."""
    steps, method = SAMPLERS[name]
    torch.manual_seed(0)
    labels = pretrained.balanced(60, images.test)
    with torch.no_grad():
        fake = pretrained.load(name).with_label(labels, pretrained.GUIDANCE).sample(60, steps, method)
        judge = pretrained.load("digit_classifier")
        right = (judge(fake).argmax(1) == labels).float().mean()
        found = metrics.precision_recall_coverage(judge.features(images.test), judge.features(fake))
    assert fake.shape == (60, 1, 28, 28) and right > 0.85
    held_out = pretrained.card(name)["held_out"]
    assert found.precision > held_out["precision"] - 0.18 and held_out["frechet"] > held_out["frechet_floor"]


def test_flow_matching_is_near_its_floor():
    held_out = pretrained.card("flow_matching_digits")["held_out"]["often"]
    assert held_out["frechet"] < 1.3 * held_out["frechet_floor"] and held_out["precision"] > 0.93
    assert (
        held_out["frechet_spread"] > 0 < held_out["frechet_floor_spread"]
        and "5 sets of 1000" in held_out["protocol"]
    )


@pytest.mark.slow
def test_judged_often_puts_real_digits_at_the_floor(images):
    """A "model" that draws training images is a perfect one."""

    def real(labels):
        places = [torch.where(images.train_labels == k)[0][torch.randperm(400)[:20]] for k in range(10)]
        return images.train[torch.cat(places)]

    found = pretrained.evaluation.judged_often(real, images, images, "real", n=200, draws=6, floors=6)
    spread = found["frechet_spread"] + found["frechet_floor_spread"]
    assert found["frechet_spread"] > 0 and abs(found["frechet"] - found["frechet_floor"]) < 3 * spread / 6**0.5
    assert found["precision"] > 0.8 and "6 sets of 200 class-balanced samples, real" in found["protocol"]
    noise = pretrained.evaluation.judged_often(
        lambda labels: torch.randn(200, 1, 28, 28), images, images, "noise", 200, 2, 2
    )
    assert noise["frechet"] > 5 * noise["frechet_floor"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan_digits", "style_digits"])
def test_gans_cover_ten_classes_as_their_card(name, images):
    gan, held_out = pretrained.load(name), pretrained.card(name)["held_out"]
    assert pretrained.classes_seen(gan)["classes"] == held_out["classes"] == 10 and held_out["rarest_share"] > 0.01
    torch.manual_seed(1)
    judge = pretrained.load("digit_classifier")
    with torch.no_grad():
        ours, real = judge.features(gan.sample(500)), judge.features(images.test[:500])
    found = metrics.precision_recall_coverage(real, ours)
    assert found.precision > held_out["precision"] - 0.12 and found.recall > held_out["recall"] - 0.15
    assert "drawn without labels" in held_out["protocol"] and held_out["frechet"] > held_out["frechet_floor"]


def test_the_masked_model_has_the_nats_of_its_card(images):
    held_out = pretrained.card("absorbing_digits")["held_out"]
    now = pretrained.nats(pretrained.load("absorbing_digits"), images.test[::8], draws=4)
    assert agree(now, held_out, "nats")
    assert (
        held_out["nats"] < 95 and "Bernoulli" in held_out["protocol"] and "continuous time" in held_out["protocol"]
    )


@pytest.mark.parametrize("name", ["pixel_cnn_digits", "pixel_rnn_digits", "image_gpt_digits"])
def test_an_autoregressive_model_has_the_nats_of_its_card(name, images):
    held_out = pretrained.card(name)["held_out"]
    now = pretrained.nats_of_bits(pretrained.load(name).log_prob, images.test[::8], "exact -log p")
    assert agree(now, held_out, "nats")
    assert held_out["nats"] < 93 and "exact" in held_out["protocol"] and "Bernoulli" in held_out["protocol"]


def test_the_flow_has_the_bits_of_its_card(images):
    held_out = pretrained.card("flow_digits")["held_out"]
    now = pretrained.bits(pretrained.load("flow_digits"), images.test[::5])
    assert abs(now["bits_per_dim"] - held_out["bits_per_dim"]) < 5 * now["standard_error"]
    assert (
        held_out["official_test"]["bits_per_dim"] < 1.2
        and "uniform dequantisation, one draw" in held_out["protocol"]
    )
    assert held_out["official_test_8_draws"]["bits_per_dim"] < held_out["official_test"]["bits_per_dim"] + 0.02


def test_the_flow_inverts_and_draws_greys(images):
    flow, few = pretrained.load("flow_digits"), images.test[:20]
    with torch.no_grad():
        assert torch.allclose(flow.f.inverse(flow(few)[0]), few, atol=2.5 / 255)
    drawn = (flow.sample(4) + 1) * 127.5
    assert drawn.shape == (4, 1, 28, 28) and torch.allclose(drawn, drawn.round(), atol=1e-3) and drawn.std() > 20


def test_vqvae_codes_reconstruct_and_are_used(images):
    model, held_out = pretrained.load("vqvae_digits"), pretrained.card("vqvae_digits")["held_out"]
    now = pretrained.vq.rebuilding(model, images.test[:500], images.test_labels[:500])
    assert (
        abs(now["squared_error"] - held_out["squared_error"]) < 0.5
        and held_out["official_test"]["squared_error"] < 10
    )
    assert now["codes_used"] >= 52 and held_out["codes_used"] >= 52 and now["perplexity"] > 40  # of 64
    assert now["recognised"] > now["recognised_originals"] - 0.03 and held_out["recognised"] > 0.97
    assert "probability 0.9 or more" in held_out["protocol"]


def test_prior_codes_are_digits_uniform_are_not(images):
    prior, tokens = pretrained.load("vq_prior_digits"), pretrained.load("vqvae_digits")
    held_out = pretrained.card("vq_prior_digits")["held_out"]
    assert (
        held_out["recognised_as_asked"] > 0.85 > 2 * held_out["recognised_uniform"]
        and held_out["nats"] < 110 < held_out["uniform_nats"]
    )
    codes, labels = pretrained.vq.codes_of(images.test[:300]), pretrained.balanced(200, images.test)
    torch.manual_seed(0)
    with torch.no_grad():
        now = -prior.log_prob(codes, images.test_labels[:300])
        fake = pretrained.vq.recognised(tokens.picture(prior.sample(200, labels)), labels).float().mean()
        noise = pretrained.vq.recognised(tokens.picture(torch.randint(64, (200, 7, 7))), labels).float().mean()
    assert abs(float(now.mean()) - held_out["nats"]) < 5 * float(now.std()) / 300**0.5
    assert fake > 0.8 and noise < 0.15


def test_coarse_codes_hold_the_digit(images):
    model, held_out = pretrained.load("vqvae2_digits"), pretrained.card("vqvae2_digits")["held_out"]
    with torch.no_grad():
        codes = model.encode(images.test[:300])
        errors = [
            float((images.test[:300] - model.decode(*part).mean).square().flatten(1).sum(1).mean())
            for part in (codes, codes[:1])
        ]
    assert (
        abs(errors[0] - held_out["squared_error_both"]) < 1 and abs(errors[1] - held_out["squared_error_top"]) < 5
    )
    assert 2 * errors[0] < errors[1] < 100 and min(held_out["codes_used_top"], held_out["codes_used_bottom"]) >= 52


@pytest.mark.slow
def test_the_vqgan_is_sharper_with_larger_error(images):
    held_out, few = pretrained.card("vqgan_digits")["held_out"], images.test[::2]
    now, plain = (
        pretrained.latent.rebuilding(latent.VQStage(pretrained.load(name)), few)
        for name in ("vqgan_digits", "vqvae_digits")
    )
    assert (
        abs(now["sharpness"] - held_out["sharpness"]) < 0.03
        and abs(now["squared_error"] - held_out["squared_error"]) < 0.6
    )
    for better, worse in ((now, plain), (held_out["official_test"], held_out["official_test"]["vqvae_digits"])):
        assert better["sharpness"] > worse["sharpness"] + 0.15 and better["frechet"] < worse["frechet"] / 2
        assert better["squared_error"] > worse["squared_error"]
    assert (
        pretrained.load("vqgan_digits").encode(few).unique().numel() >= 52 and "Laplacian" in held_out["protocol"]
    )


def test_continuous_codes_reconstruct_sharply(images):
    held_out, few = pretrained.card("latent_digits")["held_out"], images.test[::2]
    stage = latent.VAEStage(pretrained.load("latent_digits"))
    now = pretrained.latent.rebuilding(stage, few)
    assert stage.encode(few[:2]).shape == (2, *pretrained.latent.GRID)
    assert (
        abs(now["sharpness"] - held_out["sharpness"]) < 0.03
        and abs(now["squared_error"] - held_out["squared_error"]) < 0.6
    )
    assert held_out["official_test"]["sharpness"] > 0.85 and held_out["official_test"]["squared_error"] < 12


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, steps, method", [("lfm_digits", 8, heun_euler_last), ("ldm_digits", 20, ancestral)]
)
def test_latent_samples_match_class_and_scale(name, steps, method, images):
    model, held_out = pretrained.load(name), pretrained.card(name)["held_out"]
    scale = latent.LatentScaler.of(pretrained.latent.codes_of(images.train[:500]))
    assert torch.allclose(model.rescaling.std, scale.std, rtol=0.1) and held_out["asked"] > 0.9
    torch.manual_seed(0)
    labels = pretrained.balanced(100, images.test)
    with torch.no_grad():
        system = latent.Latent(pretrained.latent.frozen_stage(), model)
        fake = system.with_label(labels, pretrained.GUIDANCE).sample(100, steps, method)
        right = (pretrained.load("digit_classifier")(fake).argmax(1) == labels).float().mean()
    assert fake.shape == (100, 1, 28, 28) and right > 0.85


def test_error_falls_scale_by_scale(images):
    tokens, held_out = pretrained.load("var_tokens_digits"), pretrained.card("var_tokens_digits")["held_out"]
    errors = pretrained.multiscale.by_scale(tokens, images.test[:300])
    assert (
        all(a > 1.1 * b for a, b in zip(errors, errors[1:]))
        and len(errors) == len(held_out["squared_error_by_scale"]) == 5
    )
    assert (
        abs(errors[-1] - held_out["squared_error"]) < 1.5
        and held_out["squared_error"] < 20
        and held_out["recognised"] > 0.97
    )
    assert held_out["codes_used"] >= 52 and tokens.encode(images.test[:2]).shape == (2, 88)


@pytest.mark.slow
@pytest.mark.parametrize("name, passes", [("var_digits", 5), ("llama_gen_digits", 49)])
def test_code_models_write_their_class(name, passes, images):
    model, held_out = pretrained.load(name), pretrained.card(name)["held_out"]
    held, labels = slice(0, 300), pretrained.balanced(200, images.test)
    torch.manual_seed(0)
    with torch.no_grad():
        if name == "var_digits":
            codes, tokens = (
                pretrained.multiscale.many_scales(images.test[held]),
                pretrained.load("var_tokens_digits"),
            )
            drawn = tokens.picture(model.sample(200, labels, pretrained.multiscale.GUIDANCE))
        else:
            codes, tokens = (
                pretrained.multiscale.one_scale(images.test[held]),
                pretrained.multiscale.llama_tokens(),
            )
            drawn = tokens.picture(model.sample(200, labels, iter_logits=guided(pretrained.multiscale.GUIDANCE)))
        nats = -model.log_prob(codes, images.test_labels[held])
    assert abs(float(nats.mean()) - held_out["nats"]) < 5 * float(nats.std()) / 300**0.5
    now = pretrained.multiscale.as_asked(drawn, labels)
    assert now["as_asked"] > held_out["guided"]["as_asked"] - 0.08 and held_out["guided"]["as_asked"] >= 0.9
    assert held_out["passes"] == passes and held_out["guided"]["as_asked"] >= held_out["unguided"]["as_asked"]
    assert (
        held_out["guided"]["frechet"] > held_out["guided"]["frechet_floor"]
        and "first choice" in held_out["protocol"]
    )


def test_the_var_has_the_scales_of_its_tokeniser():
    inside, tokens = pretrained.load("var_digits").scales, pretrained.load("var_tokens_digits").codebook
    assert all(torch.equal(inside.state_dict()[name], value) for name, value in tokens.state_dict().items())


@pytest.mark.slow
def test_fewer_steps_loosen_the_bound(images):
    model, few = pretrained.load("absorbing_digits"), images.test[::40]
    bounds = [
        pretrained.nats(model, few, draws=draws, steps=steps)["nats"] for steps, draws in ((1, 4), (4, 2), (16, 1))
    ]
    assert bounds[0] > bounds[1] > bounds[2] > pretrained.nats(model, few, draws=16)["nats"] - 3


@pytest.mark.parametrize("name, most", [("vae_digits", 100), ("vae_plane_digits", 145)])
def test_the_vaes_have_the_nats_of_their_cards(name, most, images):
    model, held_out = pretrained.load(name), pretrained.card(name)["held_out"]
    bits = data.DynamicallyBinarized(images.test).fixed()[::8]
    with torch.no_grad():
        now, tight = -model.elbo(bits, 16), -model.log_prob_bound(bits, 50)
    assert abs(now.mean() - held_out["nats"]) < 5 * (now.var() / len(now) + held_out["standard_error"] ** 2) ** 0.5
    assert tight.mean() < now.mean() - 1
    assert (
        held_out["official_test"]["nats"] < most
        and held_out["official_test"]["importance_weighted"]["nats"] < most - 2
    )
    assert "Bernoulli" in held_out["protocol"] and "k = 500" in held_out["importance_weighted"]["protocol"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("prior_")])
def test_learned_priors_gain_as_their_cards(name, images):
    held_out = pretrained.card(name)["held_out"]
    now = pretrained.priors.gain(pretrained.load(name), images.test[::5], draws=4)
    assert agree(now, held_out, "gain")
    assert (
        held_out["decoder"] == "vae_digits"
        and "Bernoulli" in held_out["protocol"]
        and "16 draws" in held_out["protocol"]
    )
    official = held_out["official_test"]  # flows win over a nat; a VampPrior with a frozen, narrow encoder loses
    assert official["gain"] > {"realnvp": 1.2, "maf": 1.1, "mixture": 0.7, "vamp": -3}[name.split("_")[1]]
    under_normal = pretrained.card("vae_digits")["held_out"]["official_test"]["nats"]
    assert abs(official["nats"] + official["gain"] - under_normal) < 0.05
    assert held_out["samples"]["frechet"] < held_out["samples_of_standard_normal"]["frechet"] - 10


def test_priors_fit_codes_of_given_images(images):
    agg = pretrained.priors.codes(images.train[:50])
    with torch.no_grad():
        again = pretrained.priors.frozen().encode(data.DynamicallyBinarized(images.train[:50]).fixed())
    assert agg.means.shape == (50, 32) and not agg.means.requires_grad
    assert (agg.means - again.mean).norm() < 0.5 * again.mean.norm()  # other bits of the same images


def test_the_conditional_vae_writes_its_class(images):
    torch.manual_seed(0)
    model, labels = pretrained.load("cvae_digits"), pretrained.balanced(200, images.test)
    with torch.no_grad():
        fake = 2 * model.decode(model.latents(200), labels).mean - 1
        right = (pretrained.load("digit_classifier")(fake).argmax(1) == labels).float().mean()
    assert right > 0.85


def test_the_conditional_vae_has_the_nats_of_its_card(images):
    model, held_out = pretrained.load("cvae_digits"), pretrained.card("cvae_digits")["held_out"]
    with torch.no_grad():
        now = -model.elbo(data.DynamicallyBinarized(images.test).fixed()[::8], 16, images.test_labels[::8])
    assert abs(now.mean() - held_out["nats"]) < 5 * (now.var() / len(now) + held_out["standard_error"] ** 2) ** 0.5
    assert held_out["importance_weighted"]["nats"] < held_out["nats"] < 110


@pytest.mark.slow
def test_classifiers_learn_the_labels_of_samples(images):
    def accuracy(shift):
        sampler = lambda labels: torch.cat(
            [images.train[images.train_labels == (k + shift) % 10][-40:] for k in range(10)]
        )
        return pretrained.evaluation.classification_accuracy_score(sampler, images, "real digits", 400, steps=60)

    right, shifted = accuracy(0), accuracy(1)
    assert (
        right["taught"] > 0.8 and abs(right["taught"] - right["taught_by_real"]) < 0.1 and shifted["taught"] < 0.1
    )
    assert "400 class-balanced samples alone, real digits" in right["taught_protocol"]


# --- beside published figures ---


def numbers(part):
    """All numbers on a card, at any depth."""
    if isinstance(part, dict):
        return {number for value in part.values() for number in numbers(value)}
    return {float(part)} if isinstance(part, (int, float)) else set()


def test_every_card_has_a_published_row():
    cards = [pretrained.card(name) for name in NAMES]
    for card in cards:
        held_out = list(pretrained.published.lines([card]))[1:]
        name, figure = held_out[0].split()[:2]
        assert name == card["name"] and float(figure) in numbers(card["held_out"])
        text = " ".join(" ".join(held_out).split())
        assert " how " in text and " published " in text and max(map(len, held_out)) <= 125
        published = text.partition(" published ")[2]
        assert ("[" in published) != ("no figure of the same thing was found" in published)


def test_anchors_are_of_weights_that_exist_and_name_their_document():
    anchors = [*pretrained.published.ANCHORS.values(), *pretrained.published.BY_FIGURE.values()]
    assert set(pretrained.published.ANCHORS) <= set(NAMES)
    assert all(a.source and a.what and float(a.value.split()[0]) > 0 for group in anchors for a in group)


def test_a_card_of_an_unknown_kind_has_a_row_too():
    held_out = list(
        pretrained.published.lines(
            [{"name": "new", "held_out": {"delight": 3, "protocol": "asked of ten students"}}]
        )
    )
    assert (
        "no figure of a known kind" in held_out[1]
        and "asked of ten students" in held_out[2]
        and "no figure of" in held_out[3]
    )


def test_a_vae_starts_at_the_mean_image(images):
    model = pretrained.vae.at_the_mean_image(pretrained.vae.dense_vae(2, 8))
    with torch.no_grad():
        page = model.decode(torch.zeros(1, 2)).mean[0]
    assert (page - (images.train.mean(0) + 1) / 2).abs().mean() < 0.06
