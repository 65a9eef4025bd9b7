# %% [markdown]
# # 10 · Latent space models
#
# *Lecture 14, "Latent Space Models" (autumn 2024 and 2025): score-based models (diffusion), flow matching, vector quantized GAN, LlamaGen, visual autoregressive modeling (VAR)*
#
# **The promise.** Nearly every large generator of pictures works in two stages: an autoencoder that is trained once and then held still, and a generator that never sees a pixel, only the autoencoder's codes. At the end you have put five such systems together from parts that you know, seen what each stage
# decides, and measured what the detour through the codes saves and what it costs.
#
# | system | codes | first stage | generator of codes | section |
# |---|---|---|---|---|
# | latent diffusion | 4 × 7 × 7 real numbers | VAE, sharpened by a critic | diffusion (notebook 07) | 4 |
# | latent flow matching | the same | the same | flow matching (08) | 5 |
# | VQGAN | 7 × 7 whole numbers below 64 | VQ-VAE (04), sharpened by a critic (05) | any model of whole numbers | 2 |
# | LlamaGen | VQGAN's | VQGAN | an autoregressive transformer (01) | 6 |
# | VAR | grids of 1 × 1, 2 × 2, … | multi-scale VQ-VAE | next-scale prediction | 7, 8 |
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | notebooks 04 (VQ-VAE), 05 (critics) and 08 (flow matching); 07 for the diffusion clock |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions**
#
# | what | here | elsewhere |
# |---|---|---|
# | time `t` | 0 is noise, 1 is data (here: a finished code) | diffusion papers run the other way |
# | codes | `z` (B, 4, 7, 7) real, or `codes` (B, 7, 7) whole numbers from 0 | $\mathbf z_e$, $\mathbf z_q$, $c$ |
# | losses of first stages | sums over pixels, mean over the batch; $-\log p$ with $\sigma^2=\frac12$ | often means over pixels: other weights for the same thing |
# | $\lambda$ | the *adaptive* weight of the adversarial loss, measured at each step | VQGAN, equation 7 |
# | guidance 1 | the class as learned; above 1 exaggerates | some papers count from 0 |

# %%
import math
import time
import torch
from dgm_course import autoregressive as ar, comparison, data, gan, latent, nets, paths, pretrained, vae, vq
from dgm_course.core import metrics
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import ancestral
from dgm_course.teach import FramePlayer, check, play, plots, progress, reveal, verify
from dgm_course.teach.plots import tokens as token_plots, vq as vq_plots
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# **Stage one** is an autoencoder: 64 pixels to 8 numbers and back. Its encoder answers with a mean and a deviation, and a very light pull towards $\mathcal N(0,\mathbf I)$ keeps the codes from scattering (a VAE whose KL weighs next to nothing). Train it, then *never touch it again*.
#
# **Between** the stages the codes are brought to unit size: mean and deviation of each number are measured once.
#
# **Stage two** is any generator, trained on codes as if codes were the data. Here it is flow matching, the thirty lines of notebook 08. To sample: noise, walk, scale back, decode once.

# %% tags=["slide:lat.lfm"]
seed(0); torch.set_num_threads(1)
small = data.digits()
Layer, act = torch.nn.Linear, torch.nn.SiLU()
encoder = torch.nn.Sequential(torch.nn.Flatten(), Layer(64, 128), act, Layer(128, 16))         # 8 means, 8 log-deviations
decoder = torch.nn.Sequential(Layer(8, 128), act, Layer(128, 64))
optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
for step in range(budget(quick=700, full=3000)):
    x = small.train[torch.randint(len(small.train), (128,))]
    mean, log_std = encoder(x).chunk(2, 1)
    z = mean + log_std.exp() * torch.randn_like(mean)
    error = (x.flatten(1) - decoder(z)).square().sum(1)
    kl = (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(1) / 2
    optimizer.zero_grad()
    (error + 0.02 * kl).mean().backward()
    optimizer.step()

# %% tags=["slide:lat.lfm"]
with torch.no_grad():
    codes = encoder(small.train).chunk(2, 1)[0]                        # the first stage is frozen from here on
shift, scale = codes.mean(0), codes.std(0, correction=0)
field = torch.nn.Sequential(Layer(9, 128), act, Layer(128, 128), act, Layer(128, 8))
optimizer = torch.optim.AdamW(field.parameters(), lr=3e-3)

def bare_loss(z1, x0, t):                                              # flow matching, of codes
    zt = t * z1 + (1 - t) * x0
    return (field(torch.cat([zt, t], 1)) - (z1 - x0)).square().mean()
for step in range(budget(quick=1000, full=5000)):
    z1 = ((codes - shift) / scale)[torch.randint(len(codes), (256,))]
    optimizer.zero_grad()
    bare_loss(z1, torch.randn_like(z1), torch.rand(256, 1)).backward()
    optimizer.step()
@torch.no_grad()
def bare_sample(z, steps=30):
    for k in range(steps):
        z = z + field(torch.cat([z, torch.full((len(z), 1), k / steps)], 1)) / steps
    return decoder(shift + scale * z).view(-1, 1, 8, 8)

# %%
seed(1)
fresh = bare_sample(torch.randn(14, 8))
with torch.no_grad():
    again = decoder(encoder(small.test[:14]).chunk(2, 1)[0]).view(-1, 1, 8, 8)
plots.gallery({"held-out digits": small.test[:14], "the same through 8 numbers: what stage one keeps": again, "new codes, decoded: what stage two writes": fresh},
             columns=14, alt="Small digits, their reconstructions from eight numbers, and digits decoded from sampled codes")

# %% [markdown]
# *What you see:* the second row is the best that this system can ever do, since whatever the first stage forgets is gone. The third row says how well the generator knows which codes are likely. Two stages, two kinds of error: keep them apart, and the rest of the notebook is easy to follow.
#
# The library says the same in exchangeable parts: a **first stage** is asked for `encode` and `decode`, a **generator of codes** for `loss` and `sample`, and `Latent` puts one behind the other. It holds the first stage still. The same class will carry diffusion and flow matching; for whole numbers, sections 6 to 8 write the two steps out.

# %% tags=["slide:lat.lfm"]
first = vae.VAE(vae.GaussianHead(encoder, 8), vae.FixedGaussianHead(decoder, (1, 8, 8), 0.5**0.5), vae.StandardNormal(8), kl_weight=0.02)
flow = paths.flow_matching(nets.MLP(8, width=128, depth=2), (8,))
flow.net.layers.load_state_dict(field.state_dict())
system = latent.Latent(latent.VAEStage(first), latent.ScaledModel(flow, latent.LatentScaler.of(codes)))
x, x0 = small.train[:256], torch.randn(256, 8)
seed(2); from_library = system.loss(x, x0)
seed(2); from_bare = bare_loss(((codes - shift) / scale)[:256], x0, torch.rand(256)[:, None])
verify("lat.lfm", from_library, from_bare, what="library loss = the bare lines", tolerance=1e-5)
verify("lat.lfm", system.sample(x0, steps=30), bare_sample(x0), what="library sampler = the bare lines", tolerance=1e-4)
reveal(latent.Latent.loss, latent.Latent.sample)

# %% [markdown]
# ## 1 · What a tokeniser is trained for
# *Slide "Vector Quantized VAE (VQ-VAE)"*
#
# First the discrete kind. The slide recalls the VQ-VAE of notebook 04: every vector of the encoder is replaced by the nearest of $K$ codebook vectors, $\mathbf z_q=\mathbf e_{k^*}$, and the bound is
#
# $$\mathcal L_{\phi,\theta}(\mathbf x)=\log p_\theta(\mathbf x\mid\mathbf z_q)-\log K .$$
#
# Where does the second term come from? $q(c\mid\mathbf x)$ is certain, so its entropy is 0 and its KL to the uniform prior is $\log K$, whatever the weights are. The check adds up the whole definition, $\sum_c q(c\mid\mathbf x)\,[\log p(\mathbf x\mid c)+\log p(c)-\log q(c\mid\mathbf x)]$, over *all* grids of codes of a tiny
# world: 3 vectors, 2 × 2 places, 81 grids.
#
# > **A note on the slide.** It writes the cost of *one* latent variable. A grid has one at each place: 49 places cost $49\log K$. The training is the same, both are constants; a figure in nats is not.

# %% tags=["slide:lat.vq-recap"]
seed(3)
tiny = vq.VQVAE(nets.GridEncoder(2, 8, 2), vae.FixedGaussianHead(nets.GridDecoder(2, 8, 2), (1, 8, 8), 0.5**0.5), vq.Codebook(torch.randn(3, 2))).double().eval()
x = small.test[:5].double()
every = torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 2, 2)    # all grids
with torch.no_grad():
    given = torch.stack([tiny.decode(every).log_prob(one.expand(81, 1, 8, 8)) for one in x])   # log p(x | c): (5, 81)
    q = (tiny.encode(x)[:, None] == every).all(-1).all(-1).double()    # the posterior: all of it at one grid
    definition = (q * given - math.log(81) * q - torch.special.xlogy(q, q)).sum(1)
    slide = tiny.decode(tiny.encode(x)).log_prob(x) - 4 * math.log(3)
verify("lat.vq-recap", slide, definition, what="log p(x|z_q) − 4 log K = the bound, summed over all 81 grids")
verify("lat.vq-recap", tiny.elbo(x), definition, what="and so says the library")
print("log p(x) − L of five digits:", [round(float(gap), 2) for gap in given.logsumexp(1) - math.log(81) - slide], "nats: never negative")

# %% [markdown]
# So the bound hears of nothing but $\log p_\theta(\mathbf x\mid\mathbf z_q)$ (the training of notebook 04 adds terms that keep vectors and encoder together), and with a Gaussian that is a squared error. Now comes the trouble. A code of a few numbers cannot say *exactly* where an edge lies; all pictures that share the code get one answer, and the best answer to a squared error is their **mean**.
#
# Here are nine equally sharp pictures of one digit, moved by at most one pixel. Suppose their code is the same. *Look at the last one*, their mean, and at the numbers below.

# %% tags=["slide:lat.vq-recap"]
mnist = data.mnist()
one = mnist.test[3:4]
moved = torch.cat([torch.roll(one, (down, right), (2, 3)) for down in (-1, 0, 1) for right in (-1, 0, 1)])
blurred = moved.mean(0, keepdim=True)
for name, answer in {"the picture in the middle": moved[4:5], "the mean of all nine": blurred}.items():
    cost = (moved - answer).square().flatten(1).sum(1).mean()
    print(f"answer: {name:26} squared error {float(cost):5.1f}, sharpness {latent.sharpness(answer, one):.2f}")
plots.images(torch.cat([moved, blurred]), columns=10, alt="Nine copies of a digit, each a pixel aside, sharp; and their mean, blurred",
            title="nine pictures that share a code, and their mean")

# %% [markdown]
# **Sharpness** here is $\sum(\Delta\hat x)^2/\sum(\Delta x)^2$: how much of the energy of the Laplacian (four times a pixel minus its neighbours) is left. It is 1 for the original and falls with blur. The blurred answer has the *smaller* error: a better decoder or a longer training would not change its mind.
#
# ## 2 · VQGAN: let somebody object
# *Slide "Vector Quantized GAN"*
#
# The slide has two lines: use the VQ-VAE and its objective; *add an adversarial loss between generated and real images*. A critic is shown real pictures and rebuilt ones. Blur is the easiest thing in the world to tell from ink, so the decoder has to choose one of the nine pictures instead of their mean.
#
# $$\mathcal L=\underbrace{\mathcal L_{\text{VQ-VAE}}}_{\text{own}}+\;s\,\lambda\;\mathcal L_{\text{adv}},\qquad \lambda=\frac{\lVert\nabla_{W}\,\mathcal L_{\text{VQ-VAE}}\rVert}{\lVert\nabla_{W}\,\mathcal L_{\text{adv}}\rVert+\delta},\qquad W=\text{weights of the decoder's last layer.}$$
#
# Here all $\mathcal L$ are losses, to be made small: $\mathcal L_{\text{VQ-VAE}}$ is minus the bound, without its constants, plus the codebook terms; $\mathcal L_{\text{adv}}$ is minus the mean over all the critic's answers to rebuilt pictures; $\delta$ is tiny, and no gradient flows through $\lambda$. Three details make it work.
#
# * **Patches.** The critic gives one number for each of 7 × 7 *overlapping* patches of 18 × 18 pixels. It judges strokes, not digits: what is drawn stays the other loss's business.
# * **$\lambda$ is measured, not tuned.** One loss is a sum over 784 pixels, the other the mean of a young critic's opinions, and both change all the time. At the last layer, where everything that either wants must pass, $\lambda$ makes the two equally strong; $s$ (`strength`, 0.8) then says who leads.
# * **The critic may come late.** There is no point in arguing about sharpness before there is a picture. Ours starts from a trained VQ-VAE.
#
# (The paper's own loss has a perceptual distance in place of the squared error, made for photographs. For digits the squared error will do.)
#
# The check takes both gradients by autograd, and asks whether the game's loss pushes the last layer as the formula says.

# %% tags=["slide:lat.vqgan"]
tokens = pretrained.load("vqvae_digits").requires_grad_(True)
seed(4)
game = latent.vqgan(tokens, nets.PatchCritic(32), gan.hinge(), strength=0.8, lr_ratio=4.0).eval()
x, W = mnist.train[:32], game.stage.last
own, adversarial, weight = game.terms(x)
grad = lambda loss: torch.autograd.grad(loss, W, retain_graph=True)[0]
push = (grad(game.stage_loss(x)) - grad(own)) / 0.8                    # what the game adds to the VQ-VAE's own gradient
verify("lat.vqgan", push.norm(), grad(own).norm(), what="at the last layer both losses push equally hard", tolerance=1e-3)
verify("lat.vqgan", push / push.norm(), grad(adversarial) / grad(adversarial).norm(), what="and the push is the critic's", tolerance=1e-2)
print(f"own loss {float(own.detach()):.0f}, adversarial loss {float(adversarial.detach()):.2f}, λ = {float(weight):.0f}; the critic answers with {tuple(game.critic(x).shape)}")
reveal(latent.Adversarial.critic_loss)

# %% [markdown]
# Play the game for some steps, from the VQ-VAE's weights. It is a two-player game for `fit`, as in notebook 05: at each step the autoencoder moves, then its critic.

# %% tags=["slide:lat.vqgan"]
few = mnist.test[:200]
before = latent.sharpness(game.stage.reconstruct(few), few)
game.to(device())
history = fit(game, mnist.train.to(device()), Recipe(budget(quick=40, full=1200), 32, 5e-4, warmup=10, decay=linear, clip=100.0, betas=(0.5, 0.99)),
              report=progress("VQ-VAE against a critic of patches"))
game.to("cpu")
print(f"sharpness of 200 held-out digits: {before:.3f} before, {latent.sharpness(game.stage.reconstruct(few), few):.3f} after {history.step} steps")

# %% [markdown]
# Now the weights that come with the course: `vqgan_digits` is this very game, continued for 1,200 steps on the official training set (`dgm train vqgan_digits`). Beside it stands the VQ-VAE that it started from, with the same number of codes and the same networks. *Look at* the edges of the strokes, and at thin gaps.

# %% tags=["slide:lat.vqgan"]
sharp, plain = pretrained.load("vqgan_digits"), pretrained.load("vqvae_digits")
stages = {"VQ-VAE": latent.VQStage(plain), "VQGAN": latent.VQStage(sharp)}
print(f"{'1,000 held-out digits':22}squared error  sharpness  Fréchet distance")
for name, stage in stages.items():
    measured = pretrained.latent.rebuilding(stage, mnist.test)
    print(f"{name:22}{measured['squared_error']:13.2f}{measured['sharpness']:11.2f}{measured['frechet']:18.2f}")
codes_of = {name: stage.encode(mnist.test) for name, stage in stages.items()}
print(f"codes in use: {codes_of['VQGAN'].unique().numel()} of 64, perplexity {vq.perplexity(codes_of['VQGAN'], 64):.1f}; "
      f"places where both use the same number: {float((codes_of['VQGAN'] == codes_of['VQ-VAE']).float().mean()):.0%}")
near = mnist.test[[0, 3, 4, 6, 8, 10]][..., 3:25, 3:25]
seen = torch.cat([near, *(stage.reconstruct(mnist.test[[0, 3, 4, 6, 8, 10]])[..., 3:25, 3:25].clamp(-1, 1) for stage in stages.values())])
plots.shown(plots.images(seen, columns=6, ax=plots.panels(1, 6.8, height=3.5)[0], names=["original", "VQ-VAE", "VQGAN"], title="held-out digits, from near"),
           "Six digits, rebuilt by a VQ-VAE with soft edges, and by a VQGAN with crisp ones")

# %% [markdown]
# The Fréchet distance compares the clouds of classifier features of reconstructions and originals (notebook 08). So by the measure that the VQ-VAE's training minimised, VQGAN is *worse*; by the other two it is much better: its pictures have the edges, and the features, that real ones have.
#
# **Predict before you drag.** Where in the picture will the two differ most: on the paper, inside the ink, or between them?
# <details><summary>Answer</summary>Between them (the dark pixels at the upper right of each card). On the paper and inside thick ink every picture with this code agrees, so there the mean is as sharp as any. Edges are where they disagree by a pixel: the VQ-VAE draws a ramp, VQGAN decides on a place for the step (now and then one pixel from the true one: that is its larger squared error).</details>

# %% tags=["slide:lat.vqgan"]
def edges(digit):
    """A digit, where its two reconstructions differ; and the reconstructions themselves."""
    x = mnist.test[digit:digit + 1]
    soft, crisp = (stage.reconstruct(x).clamp(-1, 1) for stage in stages.values())
    four = torch.cat([x, 4 * (soft - crisp).abs() - 1, soft, crisp])[..., 3:25, 3:25].clamp(-1, 1)
    return plots.images(four, columns=2, ax=plots.panels(1, 3.2, height=3.3)[0], title="original, difference\nVQ-VAE, VQGAN")

play(edges, digit=(3, 903, 100, 103))

# %% [markdown]
# ## 3 · Why a latent, and of what size?
# *Slide "Latent Space Models"*
#
# For diffusion and flow matching we want codes of real numbers. The course's `latent_digits` is a VAE with a very light KL (weight 0.02), sharpened by the same game: 28 × 28 pixels become **4 × 7 × 7** numbers, a quarter. More important for the cost is the *shape*: the network of the generator works on a page of 7 × 7 places
# in place of 28 × 28.
#
# What do such codes look like? *Look at* the four channels: they still are pictures, 7 × 7 of them, of the same layout as the digit. That is why convolutions work there.

# %% tags=["slide:lat.ldm"]
stage = latent.VAEStage(pretrained.load("latent_digits"))
with torch.no_grad():
    z = torch.cat([stage.encode(part) for part in mnist.train.split(500)])
    held = stage.encode(mnist.test[:14])
measured = pretrained.latent.rebuilding(stage, mnist.test)
print(f"squared error {measured['squared_error']}, sharpness {measured['sharpness']}, Fréchet distance {measured['frechet']} (1,000 held-out digits)")
rescaling = latent.LatentScaler.of(z)
print("mean of each channel:     ", [round(v, 2) for v in rescaling.mean.flatten().tolist()])
print("deviation of each channel:", [round(v, 2) for v in rescaling.std.flatten().tolist()])
unit = rescaling(held) / 2.5
plots.gallery({"held-out digits": mnist.test[:14]} | {f"channel {c + 1} of their codes (unit size)": unit[:, c:c + 1].clamp(-1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3) for c in range(4)}
             | {"decoded": stage.decode(held)}, columns=14, alt="Digits, four small pictures of seven by seven for each, and their reconstructions")

# %% [markdown]
# Nothing told the encoder how large its codes should be; a light KL has little say in it. But the path of the generator does care: it mixes codes with noise of size **one**. If codes are tiny, they drown until the very last moment; if they are huge, the noise is gone at once.
# So one measures mean and deviation on training codes, $z'=(z-\text{mean})/\text{std}$, generates $z'$, and undoes it before decoding. (Latent diffusion uses *one* number, and everybody who has used Stable Diffusion has met it: codes are *multiplied* by 0.18215, so their deviation was about 5.5. Ours happen to be near one already; light as it is, the KL has seen to that. We take one number a channel.)
#
# Does it matter? Take the small system of section 0. Multiply its codes by a factor (the decoder divides by it, so the first stage is exactly as good), and train the same generator on them, with and without rescaling.
#
# **Predict.** Thirty times too small, or thirty times too large: which is worse, and for the same reason?
# <details><summary>Answer</summary>Too small is worse here, and the reasons differ. Too small: nearly all of the target z1 − x0 is noise, so an error as large as the code itself hardly shows in the loss. Too large: the noise is gone almost at once, and inputs and targets have a size that weights and learning rate were not made for.</details>

# %% tags=["slide:lat.ldm"]
def distance(factor, how):
    """Energy distance of sampled codes to real ones, both at unit size, after training on codes `factor` times as large."""
    seed(5)
    large = factor * codes
    generator = paths.flow_matching(nets.MLP(8, width=64, depth=2), (8,))
    generator = latent.ScaledModel(generator, how(large))
    fit(generator, large, Recipe(budget(quick=250, full=3000), 128, 3e-3, decay=linear))
    drawn = generator.sample(1000, 30) / factor
    return metrics.energy_distance((drawn - shift) / scale, (codes - shift) / scale)

factors, some = (0.03, 0.2, 1.0, 5.0, 30.0), (0.03, 1.0, 30.0)
keep = lambda large: latent.LatentScaler(0.0, 1.0)
found = {"codes as they are": [distance(f / float(scale.mean()), keep) for f in factors],
         "rescaled": [distance(f / float(scale.mean()), latent.LatentScaler.of) for f in some]}
floor = metrics.floor(lambda n: ((codes - shift) / scale)[torch.randperm(len(codes))[:n]], metrics.energy_distance, 700, 5)

# %% tags=["slide:lat.ldm"]
plots.curves({name: ((factors, some)[len(values) == 3], [max(v, 1e-3) for v in values]) for name, values in found.items()}
            | {"exact codes: mean + 2 sd": (factors, [max(floor.mean + 2 * floor.sd, 1e-3)] * 5)},
            xlabel="size (mean deviation) of the codes", ylabel="energy distance at unit size", log="xy",
            alt="Without rescaling the distance of sampled to real codes is least near size one and large at both ends; with rescaling it is flat",
            title="the same codes, in other units")

# %% [markdown]
# *What to see:* with rescaling the factor cannot matter, and the curve is flat. Without it there is a valley from about 0.2 to 1 (mind the logarithmic scale), and the price of ignoring the units is paid at both ends. Even at its best this small generator stays above the green line.
#
# ## 4 · Latent diffusion
# *Slide "Latent Space Models": score-based models (diffusion)*
#
# Diffusion (notebook 07), word for word, with codes in the place of pixels: a VP path, a network that predicts the noise, told the class, which is forgotten for a tenth of the samples so that guidance is possible. The network, `GridField`, is four convolutional blocks on 7 × 7 places. A short training on the codes of the 4,000 embedded digits first:

# %% tags=["slide:lat.ldm"]
seed(6)
inner = paths.ddpm(nets.GridField((4, 7, 7), 56, 4, classes=10), (4, 7, 7))
live = latent.ScaledModel(inner, rescaling).to(device())
inner.time_sampler = paths.stratified_logit_normal                   # most looks at the middle
recipe = Recipe(budget(quick=1200, full=20_000), 32, 6e-3, warmup=50, decay=linear, ema=budget(quick=0.98, full=0.999), betas=(0.9, 0.99))
history = fit(live, (z.to(device()), None, mnist.train_labels.to(device())), recipe, report=progress("diffusion of codes"))
print(history)
shipped = latent.Latent(stage, pretrained.load("ldm_digits"))
few = pretrained.balanced(20, mnist.test)
seed(7); young = latent.Latent(stage, live.to("cpu")).with_label(few, 1.4).sample(20, 25, ancestral)
seed(7); old = shipped.with_label(few, 1.4).sample(20, 25, ancestral)
plots.gallery({"trained here, just now": young, "longer training: the weights ldm_digits": old}, columns=20, alt="Digits by class from a latent diffusion model after a short and after a long training")

# %% [markdown]
# *What to see:* both rows begin with the same noise, and nearly the same digits come of it. There is only one field to learn, so two networks that learned it well, each from its own start, agree; where the upper row still fails, look what the lower one made of the same beginning.
#
# ### What does it cost?
#
# Now the point of it all. The same family, the same sampler, the same number of steps, the same guidance, in pixels (`ddpm_digits` of notebook 07) and in the latent; both by turns in one run, the decoder's time included. Their quality stands beside it, from the cards of the weights: Fréchet distance, precision and recall of 1,000 samples
# against held-out digits, and the floor that real digits reach. (The model of pixels has four times as many weights and was trained longer. That it looks better is no law; that each of its steps costs several times as much is one of arithmetic.)
#
# **Predict.** The codes hold a quarter of the numbers. Is a sample four times cheaper?
# <details><summary>Answer</summary>The count of numbers hardly matters; what matters is at how many *places* the network's layers work, and how wide they are there. The U-Net of notebook 08 does most of its work at 14 × 14 places, this network at 7 × 7 and with fewer channels, and the decoder runs only once. The bars say what that comes to.</details>

# %% tags=["slide:lat.ldm"]
pixels, cards = pretrained.load("ddpm_digits"), [pretrained.card(name)["held_out"] for name in ("ddpm_digits", "ldm_digits")]
slow, quick = pretrained.latent.time_per_sample(pixels, shipped, 5, ancestral, n=30, laps=2)
for name, measured in zip(("pixels", "latent"), cards):
    print(f"{name}: Fréchet {measured['frechet']:.2f} (floor {measured['frechet_floor']:.2f}), precision {measured['precision']:.2f}, recall {measured['recall']:.2f}")
print(f"{cards[1]['times_cheaper']} times cheaper a sample when the weights were judged ({cards[1]['cost_protocol']}); here and now, see the bars")
plots.shown(plots.bars({"in pixels": 1000 * slow, "in the latent": 1000 * quick}, ylabel="ms of the processor a sample", ax=plots.panels(1, 3.6, height=2.4)[0], title="diffusion, 5 steps"),
           "Milliseconds a sample by diffusion with five steps: pixels several times the latent")

# %% [markdown]
# ## 5 · Latent flow matching
# *Slide "Latent Space Models": flow matching (Dao et al. 2023)*
#
# The same latent, the same network, the same rescaling: only the path is conical and the prediction a velocity. That is one line (`path_models.flow_matching` for `path_models.ddpm`), as notebook 08 promised; the shipped weights also look at logit-normal times, as there. Straight paths want few steps; here are samples of every class with eight.

# %% tags=["slide:lat.lfm"]
flow = latent.Latent(stage, pretrained.load("lfm_digits"))
measured = {name: pretrained.card(name)["held_out"] for name in ("flow_matching_digits", "lfm_digits")}
for name, figures in measured.items():
    print(f"{name:22} Fréchet {figures['frechet']:5.2f} (floor {figures['frechet_floor']:.2f}), precision {figures['precision']:.2f}, recall {figures['recall']:.2f}")
asked = pretrained.balanced(100, mnist.test)
seed(8); hundred = flow.with_label(asked, 1.4).sample(100, 8, paths.heun_euler_last).clamp(-1, 1)
judge = pretrained.load("digit_classifier")
print(f"{measured['lfm_digits']['times_cheaper']} times cheaper a sample than flow_matching_digits ({measured['lfm_digits']['cost_protocol']})")
print(f"of 100 samples, {int((judge(hundred).argmax(1) == asked).sum())} are seen as the class that was asked for")

plots.images(hundred, columns=20, alt="A hundred digits in order of their classes, by flow matching in the latent", title="ten of each class")

# %% [markdown]
# **Guidance** goes beyond the class's own field, $\mathbf v_{\text{free}}+w\,(\mathbf v_{\text{told}}-\mathbf v_{\text{free}})$, and works on codes as on pixels.
#
# **Predict before you drag.** The same noise at every $w$. What will large $w$ do to the ten samples of a class: make them worse, or make them alike?
# <details><summary>Answer</summary>Alike. First they become clearer, then bold and more and more the same, as if each had to shout its class. The lines below the slider have it in numbers: far beyond 1 the asked class is as good as certain, and recall has fallen.</details>

# %% tags=["slide:lat.lfm"]
seed(9)
noise, twenty = torch.randn(20, 4, 7, 7), torch.tensor([3] * 10 + [7] * 10)

def guided(guidance):
    """Ten threes and ten sevens from the same noise."""
    drawn = flow.with_label(twenty, guidance).sample(noise, 6, paths.heun_euler_last)
    return plots.images(drawn, columns=10, ax=plots.panels(1, 5.6, height=1.5)[0], title=f"$w={guidance:.1f}$")

play(guided, guidance=(0.0, 6.0, 0.5, 1.0))

# %% tags=["slide:lat.lfm"]
with torch.no_grad():
    real = judge.features(mnist.test[:200])
    y = pretrained.balanced(200, mnist.test)
    for guidance in (0.0, 1.0, 2.0, 6.0):
        seed(10)
        drawn = flow.with_label(y, guidance).sample(200, 5, paths.heun_euler_last).clamp(-1, 1)
        shares = metrics.precision_recall_coverage(real, judge.features(drawn))
        print(f"guidance {guidance:3.1f}: the asked class {float((judge(drawn).argmax(1) == y).float().mean()):4.0%}, precision {shares.precision:.2f}, recall {shares.recall:.2f}")

# %% [markdown]
# (200 samples against 200 held-out digits, k = 5: good to several hundredths. Guidance 0 does not know the class at all, so about a tenth is right by chance.)
#
# And the way itself. Every half-finished code can be decoded, though the decoder was never trained on such: *watch* what it makes of pure noise, and when the class can first be told.

# %% tags=["slide:lat.lfm"]
seed(11)
way = flow.with_label(pretrained.balanced(40, mnist.test), 1.4).trajectory(40, steps=20)
FramePlayer(way[:, :, 0].clamp(-1, 1), captions=[f"t = {k / 20:.2f}" for k in range(21)], columns=10, size=560, range=(-1, 1),
            label="Forty digits: half-finished codes decoded, from noise to data")

# %% [markdown]
# At $t=0$ the decoder draws scraps of *strokes*: it knows how ink looks, and nothing of digits. The division of labour could not be plainer: **how a stroke looks is the first stage's knowledge, where strokes go is the second's.**

# %% [markdown]
# ## 6 · LlamaGen: a picture is a text of 49 words
# *Slide "LlamaGen: Pure Autoregression"*
#
# VQGAN has made of a digit 7 × 7 whole numbers below 64. Read row by row they are a text of 49 words in a language of 64, and for texts there is a model: the one that guesses the next word. The slide's plan has three lines: encode with VQGAN, **train a pure autoregressive model on the codes**, decode what it writes.
#
# $$p(\mathbf c\mid y)=\prod_{i=1}^{49}p(c_i\mid y,\,c_1,\dots,c_{i-1})$$
#
# *Pure* means that nothing in it is made for pictures. ImageGPT (notebook 01) was that as well, over 196 blocks of pixels. Here there are 49 places, so attention, whose cost grows with the square of their number, has almost nothing to do; and each place says as much as a piece of a stroke. The class $y$ stands where a first word would stand.
#
# What is *Llama* about it? A transformer with three parts exchanged (norm, places, MLP) and no biases; each is small, and each has a reason. To sample from it quickly one adds a memory, which changes no number.
#
# ### A norm that only rescales
#
# $$\mathrm{RMSNorm}(\mathbf h)=\frac{\mathbf h}{\sqrt{\frac1C\sum_ch_c^2+\epsilon}}\odot\mathbf g$$
#
# ($C$ numbers $h_c$ in a row, a learned gain $\mathbf g$, and a tiny $\epsilon$ against division by zero.) A LayerNorm takes the mean away, divides by the deviation, multiplies by a gain and adds a bias. This one divides and multiplies: it turned out that the rest was not needed. So on rows whose mean is 0 the two must agree, and a row that is fifty times larger must come out the same.

# %% tags=["slide:lat.llamagen"]
seed(0)
h = torch.randn(5, 12, dtype=torch.float64)
norm = torch.nn.RMSNorm(12, eps=1e-6).double()
centred = h - h.mean(1, keepdim=True)
verify("lat.llamagen", norm(centred), torch.nn.functional.layer_norm(h, (12,), eps=1e-6), what="RMSNorm of centred rows = LayerNorm")
verify("lat.llamagen", norm(50 * h), norm(h), what="RMSNorm forgets how large a row is", tolerance=1e-5)
print(f"mean of each row: before {[round(v, 2) for v in h.mean(1).tolist()]}, after {[round(v, 2) for v in norm(h).mean(1).tolist()]}")

# %% [markdown]
# The means are still there (a LayerNorm would print zeros). You write this norm in exercise 10.4.
#
# ### Places told by turning
#
# Attention by itself does not know where anything stands: it compares a query with keys, whatever their places. ImageGPT *adds* a learned vector for each place. Llama **turns** instead. The numbers of a query are taken in pairs, each pair a point of the plane, and at place $m$ the pair $j$ is turned by the angle $m\,\theta_j$; keys as well. As complex numbers:
#
# $$\tilde q_j=(q_{2j}+i\,q_{2j+1})\,e^{i\,m\theta_j},\qquad\theta_j=b^{-2j/d}$$
#
# with $d$ numbers in a head and a base $b$ (100 here, since places are few; 10 000 in Llama). The first pair turns fastest, the last hardly moves: hands of a clock. *Look for* rows that turn at different speeds, and the first column, which is not turned at all.

# %% tags=["slide:lat.llamagen"]
token_plots.dials(nets.angles(torch.arange(12), 8), title=r"$m\,\theta_j$: each pair of numbers has its own speed",
                  alt="Four rows of dials at twelve places: the hand of the first row turns fast, that of the last hardly")

# %% [markdown]
# Why turn? Because of what an inner product makes of it. Turning both by the same angle changes nothing; so for given $q$ (at place $m$) and $k$ (at place $n$), $\tilde q\cdot\tilde k$ depends on the places only through their *difference*:
#
# $$\tilde q\cdot\tilde k=\mathrm{Re}\sum_j(q_{2j}+iq_{2j+1})\,\overline{(k_{2j}+ik_{2j+1})}\;e^{i(m-n)\theta_j}$$
#
# "Two to the left" means the same in every row of a picture, without having been learned in each. On a grid (LlamaGen) half of the pairs turn by the row and half by the column (so $d$ in $\theta_j$ is then half the numbers of a head). The check writes the right side out with complex numbers.

# %% tags=["slide:lat.llamagen"]
q, k = torch.randn(2, 8, dtype=torch.float64)
m, n = torch.tensor([3.0, 4.0]), torch.tensor([5.0, 1.0])              # (row, column) of the query's and the key's place
turn = lambda v, place: nets.rotary(v[None], place[None])[0]
pairs = torch.view_as_complex(q.view(4, 2)) * torch.view_as_complex(k.view(4, 2)).conj()
speeds = torch.tensor([1.0, 100 ** (-2 / 4)], dtype=torch.float64)      # two pairs for the row, two for the column: d = 4 each
way = torch.cat([(m[0] - n[0]) * speeds, (m[1] - n[1]) * speeds])
verify("lat.llamagen", turn(q, m) @ turn(k, n), (pairs * torch.polar(torch.ones_like(way), way)).sum().real, what="turned query · turned key = a function of row and column differences")
verify("lat.llamagen", turn(q, m).norm(), q.norm(), what="turning keeps the length")
reveal(nets.angles)

# %% [markdown]
# **Predict before you drag.** A query stands three places after a key, on a line. The slider moves *both* along it. What happens to the four dials, and what to the inner product in the title?
# <details><summary>Answer</summary>In each dial both hands turn together, the fast ones more; the angle between them stays, so the inner product is the same number everywhere. (You write the turn in exercise 10.5.)</details>

# %% tags=["slide:lat.llamagen"]
def both_turned(place):
    """A query three places after its key: both turned, and their inner product."""
    query, key = turn(q, torch.tensor([place + 3.0])), turn(k, torch.tensor([float(place)]))
    picture = token_plots.hands(query.view(4, 2), key.view(4, 2), [f"pair {j}" for j in range(4)], "Four dials with a query and a key")
    picture.figure.suptitle(f"key (orange) at {place}, query (blue) at {place + 3}: $q\\cdot k$ = {float(query @ key):.3f}", fontsize=10)
    return picture.figure

play(both_turned, place=(0, 20, 1, 0))

# %% [markdown]
# ### A gate
#
# $$\mathrm{SwiGLU}(\mathbf h)=W_3\bigl(\mathrm{SiLU}(W_1\mathbf h)\odot W_2\mathbf h\bigr)$$
#
# with $\mathrm{SiLU}(a)=a\,\sigma(a)$ and three matrices. The hidden layer of the usual MLP is computed twice: once to say *what*, once to say *how much of it*. A product of two linear maps can compare features, which a sum cannot. No layer of a Llama has a bias.

# %% tags=["slide:lat.llamagen"]
reveal(nets.SwiGLU.forward)

# %% [markdown]
# ### A memory
#
# Keys and values of earlier places cannot change when a later one is written. They are kept, and a new place costs one row of attention. Here is the whole step: new queries, keys and values are made and turned, the keys and values are written into the memory, and the queries look at all that is remembered.

# %% tags=["slide:lat.llamagen"]
reveal(nets.RotaryAttention.step)

# %% [markdown]
# All together, and the chain of notebook 01 around it. A family of that chain says two things: all logits at once, for training, and the same one after the other, for sampling.

# %% tags=["slide:lat.llamagen"]
reveal(ar.LlamaGen.read, ar.LlamaGen.iter_logits)

# %% [markdown]
# A first short training on the codes that VQGAN gives to the 4,000 embedded digits: two blocks, width 48. Uniform codes would cost $49\log64$ nats. *Look for* a steep beginning (which codes are common), then the slow gain that is grammar. (A bend at step 50 is the running mean's, not the model's.)

# %% tags=["slide:lat.llamagen"]
train, train_labels = mnist.train.to(device()), mnist.train_labels.to(device())
tokens = pretrained.load("vqgan_digits").to(device())                  # the first stage of section 2
codes = pretrained.vq.codes_of(train, tokens)                          # (4000, 7, 7)
seed(1)
places = nets.grid_positions(7, 7)
small = ar.LlamaGen(64, (7, 7), nets.Llama(places, width=48, depth=2, heads=4), classes=10).to(device())
print(small)
learning = fit(small, (codes, train_labels), Recipe(budget(quick=180, full=3000), 32, 4e-3, warmup=20, decay=linear, clip=30.0),
               report=progress("a small LlamaGen"))
plots.losses(learning, title=r"nats a digit: uniform codes cost $49\,\log 64\approx204$", alt="The loss of a small LlamaGen falls")

# %% [markdown]
# Now the weights that come with the course: three blocks, width 96, trained on 59,000 digits (`dgm train llama_gen_digits`). First its likelihood, which is exact, on held-out digits beside the small one's. Then the memory: the same random numbers must give the same codes with it and without, and the times say what it is worth.

# %% tags=["slide:lat.llamagen"]
writer = pretrained.load("llama_gen_digits")
test, labels, tokens = mnist.test, mnist.test_labels, tokens.cpu()
test_codes = pretrained.vq.codes_of(test, tokens)
with torch.no_grad():
    for name, one in {"trained here": small.cpu(), "shipped": writer}.items():
        measured, free = one.log_prob(test_codes[:400], labels[:400]), one.log_prob(test_codes[:400])
        print(f"{name:13} -log p(codes | class) {-float(measured.mean()):6.1f} nats, -log p(codes) {-float(free.mean()):6.1f} nats, 400 held-out digits")
same = lambda: torch.Generator().manual_seed(2)
start = time.perf_counter(); kept = writer.sample(10, labels[:10], generator=same())
middle = time.perf_counter(); again = writer.sample(10, labels[:10], generator=same(), iter_logits=ar.uncached)
end = time.perf_counter()
verify("lat.llamagen", kept.double(), again.double(), what="10 digits with the memory = without, code for code")
print(f"49 places: with the memory {middle - start:.2f} s, with a whole pass for each place {end - middle:.2f} s")

# %% [markdown]
# ### Samples, class by class, and guidance
#
# For a tenth of the training samples the class was kept back, so the one network is $p(\mathbf c\mid y)$ and $p(\mathbf c)$. Guidance as in notebooks 07 and 08, now on logits, exaggerates the difference:
#
# $$\text{logits}=\text{free}+w\,(\text{told}-\text{free})$$
#
# **Predict before you move.** $w=0$ is told no class, $w=1$ is the model as trained. What will $w=2$ do, and $w=6$? What becomes of the variety within a column?
# <details><summary>Answer</summary>At 0 the columns have nothing to do with their class. At 1 most digits are what was asked, at 2 nearly all. At 6 the digits of a column become alike, and strokes fray or break: differences six times as large are nearly a maximum, and no longer any distribution that was learned.</details>

# %% tags=["slide:lat.llamagen"]
asked = torch.arange(10).repeat(4)                                     # a column for each class
weights = [0.0, 1.0, 2.0, 4.0, 6.0]
written = {w: tokens.picture(writer.sample(40, asked, generator=same(), iter_logits=ar.guided(w))) for w in weights}

def guidance(w):
    """Forty digits, a column for each class, with the same random numbers at every weight."""
    return plots.images(written[w], ax=plots.panels(1, 4.4, height=2.0)[0], title=f"LlamaGen, $w={w:g}$")

play(guidance, w=weights)

# %% tags=["slide:lat.llamagen"]
def share_as_asked(pictures, classes):
    """As asked by the classifier's first choice, and strictly: with probability 0.9 or more."""
    found = pretrained.multiscale.as_asked(pictures, classes)
    return f"as asked {found['as_asked']:6.1%}, strictly {found['as_asked_strictly']:6.1%}"

many = pretrained.balanced(200, labels)
for w in (1.0, 2.0):
    seed(3)
    print(f"LlamaGen, w = {w:g}: {share_as_asked(tokens.picture(writer.sample(200, many, iter_logits=ar.guided(w))), many)} of 200")
print(f"held-out digits:  {share_as_asked(test, labels)} of {len(test)}")

# %% [markdown]
# ## 7 · VAR, stage 1: the same picture, from coarse to fine
# *Slide "Visual Autoregressive Modeling (VAR)", stage 1: "training multi-scale VQVAE on images"*
#
# Row by row is an order for texts. Nobody draws so: first where and how large, then the strokes, then their edges. VAR makes this the order of generation, and for that the *tokeniser* has to speak in scales. It does so by telling what is left:
#
# $$\hat{\mathbf f}\leftarrow\mathbf 0;\qquad\text{for }k=1,\dots,S\;:\quad r_k=\mathrm{down}_k(\mathbf f-\hat{\mathbf f}),\quad c_{k,i}=\arg\min_j\lVert r_{k,i}-\mathbf e_j\rVert,\quad\hat{\mathbf f}\leftarrow\hat{\mathbf f}+\phi_k\bigl(\mathrm{up}(\mathbf e_{c_k})\bigr)$$
#
# | | |
# |---|---|
# | $\mathbf f$ | the encoder's output (C, 7, 7); $\hat{\mathbf f}$ what has been told of it so far |
# | $S$, $i$ | the number of scales (5); a place of the grid |
# | $\mathrm{down}_k$ | means over areas, to grids of side 1, 2, 3, 5, 7; $\mathrm{up}$: bilinear interpolation back to 7 × 7 |
# | $\mathbf e$ | *one* codebook of 64 vectors for all scales |
# | $\phi_k$ | a small convolution that mends what interpolation has blurred |
#
# That is 1 + 4 + 9 + 25 + 49 = 88 codes. The object that does it stands where a `Codebook` stands, so the VQ-VAE around it, its straight-through step and its bound are those of notebook 04. Two checks, by hand: the decoder gets the sum of all scales; and the bound pays $\log K$ for each of the 88.

# %% tags=["slide:lat.var-stage1"]
pyramid = pretrained.load("var_tokens_digits")
scales = pyramid.codebook
print(scales.extra_repr())
with torch.no_grad():
    features = pyramid.encoder(test)                                   # (1000, 16, 7, 7)
    digit_codes = pyramid.encode(test)                                 # (1000, 88)
    total, start = torch.zeros_like(features[:20]), 0
    for number, side in enumerate((1, 2, 3, 5, 7)):
        mine = digit_codes[:20, start:start + side**2].view(20, side, side)
        up = torch.nn.functional.interpolate(scales.vectors[mine].movedim(-1, 1), size=7, mode="bilinear")
        total, start = total + scales.smooth[number](up), start + side**2
    verify("lat.var-stage1", scales(features[:20]).z_q, total, what="what the decoder gets = the sum of all scales, raised", tolerance=1e-5)
    bound = pyramid.elbo(test[:20]) - pyramid.decode(digit_codes[:20]).log_prob(test[:20])
verify("lat.var-stage1", bound, -88 * torch.tensor(64.0).log(), what="ELBO = log p(x|z_q) − 88 log K", tolerance=1e-5)

# %% [markdown]
# Each row below is one held-out digit: for every scale its map of codes (a colour is a number; similar vectors have similar colours), and what the decoder makes of the sum *so far*. The decoder saw such unfinished sums in training, for a share of the samples (an addition of ours, as in notebook 04, section 10). *Look for* the first column: a single code, the mean of everything, which turns out to be the same for all digits. Then follow one row to the right: at which scale would you have guessed the digit?

# %% tags=["slide:lat.var-stage1"]
some = torch.tensor([int((labels == k).nonzero()[0]) for k in range(0, 10, 2)])
with torch.no_grad():
    sums = scales.partial(digit_codes[some])
    so_far = [pyramid.decoder(each).mean for each in sums]
token_plots.pyramid(scales.split(digit_codes[some]), so_far, vq_plots.shades(scales.vectors), test[some],
                    alt="Five digits: maps of codes from one by one to seven by seven, and pictures that become sharper from scale to scale")

# %% [markdown]
# The same as numbers, over all held-out digits. For comparison: the VQ-VAE of notebook 04, which says all in one go with 49 codes.
#
# **Predict.** The 49 codes of the last scale are more than half of the 88. Do they also bring more than half of the gain?
# <details><summary>Answer</summary>No, about a third: by then the coarser scales have taken away most of the error that one code leaves. Divide each gain by its number of codes: a code is worth the less, the finer its scale. What the last scale is for is sharpness, and certainty for the classifier; a good part of the digits is named right from the 39 codes before.</details>

# %% tags=["slide:lat.var-stage1"]
with torch.no_grad():
    sums = scales.partial(digit_codes)
    pictures = [pyramid.decoder(each).mean for each in sums]
errors = [float((test - x).square().flatten(1).sum(1).mean()) for x in pictures]
left = [float((features - each).square().sum() / features.square().sum()) for each in sums]
plain = pretrained.load("vqvae_digits")
one_go = float((test - plain.picture(plain.encode(test))).square().flatten(1).sum(1).mean())
for side, error, rest, x, part in zip(scales.sides, errors, left, pictures, scales.split(digit_codes)):
    print(f"up to {side} × {side}: squared error {error:5.1f}, left of the features {rest:5.1%}, {share_as_asked(x, labels)}, {part.unique().numel():2} codes in use here")
print(f"VQ-VAE, 49 codes: squared error {one_go:.1f};  codes in use {digit_codes.unique().numel()} of 64, perplexity {vq.perplexity(digit_codes, 64):.1f}")
counts = torch.tensor(scales.counts).cumsum(0).tolist()
plots.curves({"scales 1 to k": (counts, errors), "guide: one grid of 49 codes": ([1, 88], [one_go, one_go])}, xlabel="codes told so far",
            ylabel="squared error of a held-out digit", alt="Squared error falls from scale to scale")

# %% [markdown]
# More codes than the VQ-VAE has, and yet a larger error. Two suspects (we have not tried them one by one): the same 64 vectors serve the mean of a whole picture and the last small corrections; and the codebook and commitment costs are taken after *every* scale and pull every unfinished sum towards the features, where the VQ-VAE has only the last to care for. What is bought with it is an order in which to write.

# %% [markdown]
# ## 8 · VAR, stage 2: the next word is a whole map
# *Slide "Visual Autoregressive Modeling (VAR)", stage 2: "training VAR transformer on tokens ([S] means a start token with condition information)"*
#
# $$p(\mathbf c\mid y)=\prod_{k=1}^{S}p(\mathbf c_k\mid y,\mathbf c_1,\dots,\mathbf c_{k-1}),\qquad p(\mathbf c_k\mid\cdot)=\prod_{\text{places}}p(c_{k,i}\mid\cdot)$$
#
# The chain rule once more, with a factor for each *scale*. All codes of a scale are drawn at once, independently of each other given the coarser ones. So the transformer must be told about coarser scales only: its input at scale $k$ is $\hat{\mathbf f}$ so far, shrunk to the size of that scale. The first scale has nothing before it; there stands the **start token**, which says the class.
#
# Who may look at whom? A place of scale $k$ may look at all coarser scales, and at its *whole own* scale too: those inputs are made of coarser codes alone, they give nothing away. That is a staircase of blocks. *Look for* the difference to LlamaGen's mask, which is causal place by place.

# %% tags=["slide:lat.var-stage2"]
var = pretrained.load("var_digits")
token_plots.masks({"LlamaGen: 49 places, one after the other": (writer.net.past, [1] * 49),
                   "VAR: 88 places, scale after scale": (var.allowed, scales.counts)},
                  alt="Two masks: a triangle, and a staircase of five blocks that become larger")

# %% [markdown]
# Is it true of the network? Change one code of a digit, and see which logits move: exactly those of finer scales may. And with keys and values remembered, one pass a scale must give the logits of the one masked pass of training. (The mask itself you write in exercise 10.6.)

# %% tags=["slide:lat.var-stage2"]
with torch.no_grad():
    one = digit_codes[:1]
    base, scale_of = var(one, labels[:1]), torch.repeat_interleave(torch.arange(5), torch.tensor(scales.counts))
    changed = one.repeat(88, 1)
    changed[range(88), range(88)] = (changed[range(88), range(88)] + 1) % 64      # row i: another code at place i
    moves = ((var(changed, labels[:1].expand(88)) - base).abs().amax(2) > 1e-4).double()    # (88 changed, 88 logits)
    memory, start, logits = var.net.memory(1), 0, []
    inputs = [var.start(labels[:1]), *[var.seen(each, k) for k, each in enumerate(var.scales.partial(one)[:-1], 1)]]
    for h in inputs:                                                   # five passes
        logits.append(var.out_proj(var.net.step(h, memory, start)))
        start += h.shape[1]
verify("lat.var-stage2", moves, (scale_of > scale_of[:, None]).double(), what="a code moves the logits of all finer scales and no others")
verify("lat.var-stage2", torch.cat(logits, 1), base, what="five passes with a memory = one masked pass", tolerance=1e-4)
reveal(latent.VAR.start, latent.VAR.seen)

# %% [markdown]
# Sampling is a short descent: start token, one pass, one code; raise it, shrink the sum to 2 × 2, one pass, four codes; and so on. Here is the library's loop (`told` and `free` are the two halves of guidance).

# %% tags=["slide:lat.var-stage2"]
reveal(latent.VAR._descend)

# %% [markdown]
# A small one first, trained here on the codes of the embedded digits.

# %% tags=["slide:lat.var-stage2"]
seed(4)
little = latent.VAR(pretrained.load("var_tokens_digits").codebook, nets.Llama(latent.centres(scales.sides), width=48, depth=2, heads=4)).to(device())
print(little)
train_codes = pretrained.vq.codes_of(train[:2000], pyramid.to(device()))
learning = fit(little, (train_codes, train_labels[:2000]), Recipe(budget(quick=70, full=3000), 32, 4e-3, warmup=20, decay=linear, clip=30.0),
               report=progress("a small VAR"))
little, pyramid = little.cpu(), pyramid.cpu()
with torch.no_grad():
    for name, one in {"trained here": little, "shipped": var}.items():
        measured = one.log_prob(digit_codes[:400], labels[:400])
        print(f"{name:13} -log p(codes | class) {-float(measured.mean()):6.1f} nats of {88 * torch.tensor(64.0).log():.1f} for uniform codes, 400 held-out digits")

# %% [markdown]
# Now the shipped weights (`dgm train var_digits`). Press play, or drag: the digits 0 to 9 in this order, three times, after one pass, two, … five.
#
# **Predict before you press play.** After the first pass there is one code. Can you tell the classes apart then? At which pass will you be able to?
# <details><summary>Answer</summary>Not after the first: you saw above that it is the same code for every digit, so the pass says nothing, and the picture is the blot in which all digits agree. With 5 codes there is round and slim, with 14 fewer than half are named right (real digits, section 7), with 39 about four fifths. The last pass adds edges.</details>

# %% tags=["slide:lat.var-stage2"]
columns = torch.arange(10).repeat(3)
drawn = var.sample(30, columns, guidance=2.0, generator=same())
with torch.no_grad():
    unfinished = torch.stack([pyramid.decoder(each).mean for each in var.scales.partial(drawn)])     # (5, 30, 1, 28, 28)
FramePlayer(unfinished.clamp(-1, 1), captions=[f"pass {k + 1}: {n} code{'s' * (n > 1)}" for k, n in enumerate(counts)], columns=10, size=620, seconds=5,
            label="Thirty digits, three of each class, drawn from coarse to fine in five passes")

# %% [markdown]
# **The two side by side.** Passes come one after the other, whatever the hardware: they are what one digit has to *wait* for. Many digits at a time fill the processor; then the arithmetic counts, and VAR passes more places through its network (88 against 49). What it saves there is the overhead of many small passes, so expect its lead to shrink. Both times are taken: for a single digit, and for each of 200. The nats of the two are not comparable (they are about different codes), the pictures are: the same classifier judges both, and the Fréchet distances are from the cards, which say how they were measured.

# %% tags=["slide:lat.var-stage2"]
def timed(draw_codes, classes):
    """Codes of those classes, and the milliseconds that each took."""
    seed(5)
    start = time.perf_counter(); drawn = draw_codes(classes)
    return drawn, 1000 * (time.perf_counter() - start) / len(classes)

rivals = {"LlamaGen": (tokens, "llama_gen_digits", lambda y: writer.sample(len(y), y, iter_logits=ar.guided(2.0))),
          "VAR": (pyramid, "var_digits", lambda y: var.sample(len(y), y, guidance=2.0))}
shown = {}
for name, (decoder, weights_name, draw_codes) in rivals.items():
    alone = min(timed(draw_codes, many[:1])[1] for _ in range(3))
    drawn, each = timed(draw_codes, many)
    card, shown[name] = pretrained.card(weights_name)["held_out"], decoder.picture(drawn)
    print(f"{name:8} {drawn[0].numel()} codes in {card['passes']:2} passes, {alone:3.0f} ms for one digit, {each:3.0f} ms each for 200; {share_as_asked(shown[name], many)};\n"
          f"         Fréchet {card['guided']['frechet']:.1f} with w = 2, {card['unguided']['frechet']:.1f} with w = 1 (real digits {card['guided']['frechet_floor']:.1f})")
two = (20 * torch.arange(10) + torch.tensor([[0], [7]])).flatten()            # two digits of each class
plots.gallery({f"{name}, w = 2": x[two] for name, x in shown.items()}, columns=10, alt="Twenty digits each, two of every class, by LlamaGen and by VAR")

# %% [markdown]
# Both write the class that was asked for. In distance to real digits LlamaGen is ahead, and most of all without guidance. Two things differ at once here, so take care: the decoders (VQGAN's was sharpened by a critic, VAR's was not), and the order of writing. The next question is about the second.
#
# **Predict.** All 49 codes of the last scale are drawn independently, given the coarser ones. When does that go wrong, and what keeps it from going wrong more often?
# <details><summary>Answer</summary>Where two neighbours each have a choice that must be made together, as on which side of a line a stroke ends: both choose, neither hears the other, and the edge gets a notch. The coarser the scales have left things open, the worse. So most decisions should be taken early, when few codes are drawn at a time; and guidance, which
# sharpens every distribution, leaves less to disagree about.</details>
#
# **What this shares with other families.**
#
# * *Residual vector quantization* (in sound codecs) tells a vector in several rounds, each about what the rounds before left. Stage 1 is that, with rounds of growing size. VQ-VAE-2 (notebook 04) has two scales, with an encoder for each.
# * *Absorbing diffusion* (notebook 09) also writes many places in one pass, and pays the same price: what is drawn together is drawn independently. There the order of places is chance, and a place once written stays; here the order is from coarse to fine, and every pass speaks about every place again.
# * *Autoregressive models* (01): both are the chain rule, exact likelihoods of their codes included. LlamaGen differs from ImageGPT in its norm, its places and its gate, VAR in what counts as one symbol.
# * *Guidance* (07, 08): the same line, on logits in place of velocities. Here the guided model is a distribution that can be written down, $\prod_i\mathrm{softmax}(\text{free}_i+w(\text{told}_i-\text{free}_i))$ at $c_i$; but it is not $p(\mathbf c)\,(p(\mathbf c\mid y)/p(\mathbf c))^w$, for the normalising is done place by place.

# %% [markdown]
# ## 9 · Continuous or discrete? The systems side by side
# *Slide "Summary": "most state-of-the-art generative models are latent variable models with either continuous or discrete latent spaces"*
#
# First the **first stages** alone: how much is told, and what comes back. *Read* error and sharpness together: a small error with little sharpness is a mean of many pictures.

# %% tags=["slide:lat.summary"]
first_stages = {"VQ-VAE, 7 × 7 codes of 64": latent.VQStage(plain), "VQGAN, the same": latent.VQStage(tokens),
                "VAR, 88 codes of 64": latent.VQStage(pyramid), "VAE, 4 × 7 × 7 real numbers": stage}
print(f"{'first stage':29}squared error  sharpness  Fréchet distance   (1,000 held-out digits)")
for name, one in first_stages.items():
    measured = pretrained.latent.rebuilding(one, test)
    print(f"{name:29}{measured['squared_error']:13.2f}{measured['sharpness']:11.2f}{measured['frechet']:18.2f}")

# %% [markdown]
# (A reconstruction is compared with the very pictures it was made from, so its Fréchet distance may lie below what two different sets of real digits have.) Now the **whole systems**, each told the class and *not* guided, 100 digits each, all by turns in one run on one thread; beside them the models of pixels with the same generator, and the VQ-VAE's own prior of notebook 04. (*Passes* count the one of the decoder as well.) A hundred samples are few: the line of real digits says how near to perfect one can come with so many.
#
# **Predict.** Which is the cheapest a sample, the one that needs the fewest passes?
# <details><summary>Answer</summary>Not by a law: look at both columns. A pass of one model is not a pass of another. VAR makes five and one of the decoder, the last of them over 49 places at once; the prior of the VQ-VAE makes 49, each of one place, and is as cheap. What passes decide is how long <i>one</i> sample must wait on a machine that is wide enough.</details>

# %% tags=["slide:lat.summary"]
names = ("DDPM", "latent diffusion", "flow matching", "latent flow matching", "VQ-VAE with prior", "LlamaGen", "VAR")
seed(20)
rows = comparison.survey(mnist, 100, 20, [system for system in comparison.SYSTEMS if system.name in names])
classes = torch.arange(100) % 10
print(f"{'':22}passes    ms a sample  precision  coverage  Fréchet  as asked")
for row in sorted(rows, key=lambda row: names.index(row.name)):
    quality, asked_for = row.quality, pretrained.multiscale.as_asked(row.samples, classes)["as_asked"]
    print(f"{row.name:22}{row.passes:6.0f}{1000 * row.seconds:13.1f}{quality.precision:12.2f}{quality.coverage:10.2f}{quality.frechet:9.1f}{asked_for:10.0%}")
print(f"{'real digits':22}{'':19}{rows[0].floor.precision:12.2f}{rows[0].floor.coverage:10.2f}{rows[0].floor.frechet:9.1f}")

# %% tags=["slide:lat.summary"]
axes = plots.panels(2, 3.7, height=3.5)
for ax, what, unit in ((axes[0], lambda row: 1000 * row.seconds, "ms a sample, one thread"), (axes[1], lambda row: row.quality.frechet, "Fréchet (100 samples)")):
    heights = {row.name.replace("latent flow matching", "latent FM").replace("flow matching", "FM").replace("VQ-VAE with prior", "VQ-VAE + prior")
               .replace("latent diffusion", "latent DDPM"): what(row) for row in sorted(rows, key=lambda row: names.index(row.name))}
    plots.bars(heights, ylabel=unit, ax=ax)
    ax.tick_params(axis="x", labelrotation=60)
    ax.margins(x=0.12, y=0.15)
axes[1].axhline(rows[0].floor.frechet, ls="--", color=plots.GREEN)
plots.shown(axes, alt="Two rows of bars for seven systems: milliseconds a sample, and Fréchet distance to held-out digits, with that of real digits dashed")

# %% [markdown]
# *What to see.* Left: the two systems in pixels stand far above the five in codes. Right: what codes cost in quality (dashed: a hundred real digits), with first stages and generators that one core trains in minutes; without guidance VAR pays most (section 8 has it guided). (The models in pixels are four times as large and were trained longer, so the comparison is one of finished systems, not of ideas.)
#
# | | continuous latent | discrete latent |
# |---|---|---|
# | first stage | light KL; forgets little | a codebook; forgets more, and says so in bits |
# | generator | diffusion, flow matching: steps by choice | one symbol (LlamaGen) or one scale (VAR) after the other |
# | likelihood of codes | by the ODE | exact |
# | guidance | on velocities, scores | on logits |
# | where it breaks | codes that are not of unit size; decoding what no encoder made | dead codes; an error early on is never taken back |
#
# A likelihood of *codes* is not one of pictures. With the decoder's $\log p_\theta(\mathbf x\mid\mathbf z_q)$ added it becomes a lower bound of one, as in section 1; but VQGAN's decoder was trained for more than this term, and codes of different tokenisers cannot be compared without it. So the table has no column of nats.

# %% [markdown]
# ## Homework
#
# Seven exercises, ten points. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the reference takes your place so that everything below still runs.
#
# **Exercise 10.1 · codes of unit size (1 point).** Mean and deviation of each channel are measured on the training codes, over batch and places, and applied to fresh ones. The deviation is the root of the mean squared distance from the mean (divide by the number of values).

# %% exercise="lat.rescale"
def rescale(codes, fresh):
    """fresh at unit size, channel by channel.     (N, C, H, W), (B, C, H, W)  ->  (B, C, H, W)"""
    ### BEGIN SOLUTION
    mean = codes.mean((0, 2, 3), keepdim=True)
    std = codes.std((0, 2, 3), correction=0, keepdim=True)
    return (fresh - mean) / std
    ### END SOLUTION

# %% check="lat.rescale" points=1
rescale = check("lat.rescale", rescale)

# %% [markdown]
# **Exercise 10.2 · a decoder between two masters (2 points).** `last` is the decoder's last layer (`last(h)` is the picture, `last.weight` its weights), `critic(picture)` gives several numbers for each picture, and high ones mean real. The own loss is the squared error, summed over the pixels, the mean over the batch; the adversarial loss
# is minus the mean of all the critic's numbers. Return own loss + strength · λ · adversarial loss, with the λ of section 2 ($\delta$ is `delta`). Value *and* gradient are judged: treat λ as a constant, no gradient flows through it.

# %% exercise="lat.balanced_loss"
def balanced_loss(x, h, last, critic, strength, delta):
    """The decoder's loss.     x (B, D), h (B, w), a layer, a critic, two numbers  ->  ()"""
    ### BEGIN SOLUTION
    x_hat = last(h)
    own = ((x - x_hat) ** 2).sum(1).mean()
    adversarial = -critic(x_hat).mean()
    norms = [torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for loss in (own, adversarial)]
    return own + strength * norms[0] / (norms[1] + delta) * adversarial
    ### END SOLUTION

# %% check="lat.balanced_loss" points=2
balanced_loss = check("lat.balanced_loss", balanced_loss)

# %% [markdown]
# **Exercise 10.3 · a look ahead (2 points).** Where is a half-finished code going? On the conical path `zt` (unit size, at times `t`) and two velocities are given: `free`, without the class, and `told`, with it. Guide with `weight` as in section 5, go along the arrow for all the time that is left, and return the code at the size that the decoder
# knows: `mean` and `std` of each channel.

# %% exercise="lat.preview"
def preview(zt, t, free, conditional, weight, mean, std):
    """The finished code that zt is heading for.     zt, free, told (B, C, H, W), t (B,), a number, mean, std (C,)  ->  (B, C, H, W)"""
    ### BEGIN SOLUTION
    arrow = free + weight * (conditional - free)
    z1 = zt + (1 - t)[:, None, None, None] * arrow
    return mean[:, None, None] + std[:, None, None] * z1
    ### END SOLUTION

# %% check="lat.preview" points=2
preview = check("lat.preview", preview)

# %% [markdown]
# With the last one you can see what the model *means* at every moment, and not only where it stands. *Compare* the rows: the codes as they are, decoded, and your look ahead, decoded.

# %%
seed(12)
model, scaling = flow.generator.generator, flow.generator.rescaling
y, zt = torch.arange(0, 10, 2).repeat_interleave(2), torch.randn(10, 4, 7, 7)
stops, rows = (0.0, 0.25, 0.5, 0.75), {}
states = model.with_label(y, 1.4).trajectory(zt, 20)
with torch.no_grad():
    for t in stops:
        now, when = states[round(20 * t)], torch.full((10,), t)
        ahead = preview(now, when, model.net(now, when), model.net(now, when, y), 1.4, scaling.mean.flatten(), scaling.std.flatten())
        rows |= {f"t = {t:.2f}: where it stands": stage.decode(scaling.inverse(now)), f"t = {t:.2f}: your look ahead": stage.decode(ahead)}
plots.gallery(rows, columns=10, alt="For four times, ten half-finished codes decoded, scribbles at first, and the look ahead from each, which is a digit from the start")

# %% [markdown]
# **Exercise 10.4 · a norm that only rescales (1 point).** The RMSNorm of every row.

# %% exercise="lat.rms_norm"
def rms_norm(h, gain, epsilon):
    """Rows of about unit size, times the gain.     h (B, C), gain (C,), a number  ->  (B, C)"""
    ### BEGIN SOLUTION
    return h / torch.sqrt((h**2).mean(1, keepdim=True) + epsilon) * gain
    ### END SOLUTION

# %% check="lat.rms_norm" points=1
rms_norm = check("lat.rms_norm", rms_norm)

# %% [markdown]
# **Exercise 10.5 · queries turned by their places (1 point).** The pair $j$ of query $b$ is the point `(x[b, j], y[b, j])`. Turn it counterclockwise by its speed times the query's place.

# %% exercise="lat.rotary_step"
def rotary_step(x, y, places, speeds):
    """Both numbers of every pair, turned.     x, y (B, P), places (B,), speeds (P,)  ->  (B, P), (B, P)"""
    ### BEGIN SOLUTION
    angle = places[:, None] * speeds
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()
    ### END SOLUTION

# %% check="lat.rotary_step" points=1
rotary_step = check("lat.rotary_step", rotary_step)

# %% [markdown]
# **Exercise 10.6 · who sees whom (1 point).** The mask of next-scale prediction over all places of all scales, coarse ones first; scale $k$ has `sides[k]` times `sides[k]` places. True where the place of the row may look at the place of the column. (Two scales may have equal sides; they are still two scales, one before the other.)

# %% exercise="lat.block_causal"
def block_causal(sides):
    """Who may attend to whom.     sides (S,) whole numbers  ->  (L, L), L the number of all places"""
    ### BEGIN SOLUTION
    scale = torch.repeat_interleave(torch.arange(len(sides)), sides**2)
    return scale[:, None] >= scale[None, :]
    ### END SOLUTION

# %% check="lat.block_causal" points=1
block_causal = check("lat.block_causal", block_causal)

# %% [markdown]
# **Exercise 10.7 · a residual told at one scale (2 points).** One round of stage 1, without $\phi$: shrink the residual to `side` × `side` by means over areas, find the nearest vector of every place, raise the vectors bilinearly, and take them away. Return the codes and what is left. (`torch.nn.functional.interpolate` knows the modes `"area"` and `"bilinear"`, both with its defaults.)

# %% exercise="lat.one_scale"
def one_scale(rest, vectors, side):
    """Codes, and what they leave.     rest (B, C, H, H), vectors (K, C), a number  ->  (B, side, side), (B, C, H, H)"""
    ### BEGIN SOLUTION
    small = torch.nn.functional.interpolate(rest, size=(side, side), mode="area")
    codes = (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)
    predicted = torch.nn.functional.interpolate(vectors[codes].movedim(-1, 1), size=rest.shape[2:], mode="bilinear")
    return codes, rest - predicted
    ### END SOLUTION

# %% check="lat.one_scale" points=2
one_scale = check("lat.one_scale", one_scale)

# %% [markdown]
# **Now put your pieces together.** Your norm and your turn are the first layer of LlamaGen: its queries, from your lines and the shipped weights, must be the library's. Your mask is VAR's. And your round, five times over, tells the features of real digits: what is left must shrink (not as far as in section 7, where $\phi$ mends each round). (Where a piece is still missing the reference stands in.)

# %%
with torch.no_grad():
    block, h = writer.net.blocks[0], torch.randn(49, 96)
    normed = rms_norm(h, block.first.weight, block.first.eps)
    raw = (normed @ block.attention.qkv.weight[:24].T)                 # the queries of the first head, 12 pairs: six turn by row, six by column
    speeds = 100.0 ** (-torch.arange(0, 12, 2) / 12)
    x, y = raw[:, 0::2], raw[:, 1::2]
    by_row, by_column = rotary_step(x[:, :6], y[:, :6], places[:, 0].float(), speeds), rotary_step(x[:, 6:], y[:, 6:], places[:, 1].float(), speeds)
    mine = torch.stack([torch.cat([by_row[i], by_column[i]], 1) for i in range(2)], -1).flatten(1)
    theirs = block.attention.split(block.first(h)[None], (writer.net.cosine, writer.net.sine))[0][0, 0]
verify("lat.llamagen", mine, theirs, what="the queries of LlamaGen's first head, by your norm and your turn", tolerance=1e-5)
sides = torch.tensor(scales.sides)
verify("lat.var-stage2", var.net(torch.cat(inputs, 1), torch.as_tensor(block_causal(sides)).bool()), var.net(torch.cat(inputs, 1), var.allowed), what="VAR under your mask", tolerance=1e-6)

# %%
rest, measured = features[:500], []
for side in scales.sides:
    found, rest = one_scale(rest, scales.vectors, side)
    measured.append(float(rest.square().sum() / features[:500].square().sum()))
print("left of the features after each of your rounds:", ", ".join(f"{share:.0%}" for share in measured))

# %% [markdown]
# **Written (think, then unfold).** *LlamaGen needs 49 passes for a digit of 7 × 7 codes, VAR five. For 32 × 32 codes LlamaGen needs 1024. How many does VAR need, and what does each of its passes cost?*
# <details><summary>Answer</summary>Eleven or twelve, if each scale is some 1.4 times as wide as the one before: the number grows with the logarithm of the side. The pass of a scale with n places costs n places of the network, and attention of n queries to about 2n keys (its own and all coarser places). The last pass has 1024 queries and some 2,000 keys. In arithmetic VAR saves nothing over a LlamaGen with a memory: about twice the places, and several times the attended pairs. It saves <i>waiting</i>.</details>
#
# *Someone feeds stage 2, at scale $k$, the sum that already holds the codes of scale $k$; the mask is unchanged. The training loss falls almost to zero. Why, and what will samples look like?*
# <details><summary>Answer</summary>Each place reads off its input what it is asked to predict: the answer was given away, not by the mask but by the input. When sampling, those codes do not exist yet; whatever is put in their place, the network has learned to copy it and nothing else, so the samples are noise. A block-causal mask is right only with inputs made of coarser scales.</details>
#
# *A colleague doubles the number of latent channels and reports sharper reconstructions but worse samples. Is that a contradiction?*
# <details><summary>Answer</summary>No. The first stage forgets less, so its error falls. But the generator has twice as many numbers to get right, among them many that carry details nobody would miss, and its error rises. The best latent is a bargain between the two; it must be judged by samples, not by reconstructions.</details>
#
# *Why does a look ahead at t = 0 give nearly the same digit of a class for every noise?*
# <details><summary>Answer</summary>At t = 0 the code says nothing yet, and the best guess of the finished code is the mean of all codes of the class. (Guidance pushes it away from the mean of all digits.) Squared error likes means, in the latent as in pixels; here it does no harm, since the guess is only used as a direction. (The decoder has never seen a mean of codes; in the picture it makes of it a readable digit, in places grey and soft.) At t = 0 the exact look ahead is mean_free + w (mean_told − mean_free), without any noise in it.</details>
#
# ## References
#
# * Rombach, Blattmann, Lorenz, Esser, Ommer: *High-Resolution Image Synthesis with Latent Diffusion Models*, 2022. Two stages, light KL or VQ, the scale of the codes.
# * Dao, Phung, Nguyen, Tran: *Flow Matching in Latent Space*, 2023.
# * Esser, Rombach, Ommer: *Taming Transformers for High-Resolution Image Synthesis* (VQGAN), 2021. Critic of patches, adaptive weight.
# * Sun et al.: *Autoregressive Model Beats Diffusion: Llama for Scalable Image Generation* (LlamaGen), 2024.
# * Tian, Jiang, Yuan, Peng, Wang: *Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction* (VAR), 2024.
# * Touvron et al.: *LLaMA*, 2023; Zhang, Sennrich: *Root Mean Square Layer Normalization*, 2019; Su et al.: *RoFormer* (rotary positions), 2021; Shazeer: *GLU Variants Improve Transformer*, 2020.
# * Zeghidour et al.: *SoundStream*, 2021. Residual vector quantization. Ho, Salimans: *Classifier-Free Diffusion Guidance*, 2022.
