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
import torch
from dgm_course import code_nets, data, gan, grid_nets, latent, measures, nets, path_models, pretrained, vae, vq
from dgm_course.fit import Recipe, fit, linear
from dgm_course.paths import ancestral
from dgm_course.teach import FramePlayer, check, draw, play, progress, reveal, verify
from dgm_course.tensors import budget, device, seed

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
draw.gallery({"held-out digits": small.test[:14], "the same through 8 numbers: what stage one keeps": again, "new codes, decoded: what stage two writes": fresh},
             columns=14, alt="Small digits, their reconstructions from eight numbers, and digits decoded from sampled codes")

# %% [markdown]
# *What you see:* the second row is the best that this system can ever do, since whatever the first stage forgets is gone. The third row says how well the generator knows which codes are likely. Two stages, two kinds of error: keep them apart, and the rest of the notebook is easy to follow.
#
# The library says the same in exchangeable parts: a **first stage** is asked for `encode` and `decode`, a **generator of codes** for `loss` and `sample`, and `Latent` puts one behind the other. It holds the first stage still. The same class will carry diffusion, flow matching and models of whole numbers.

# %% tags=["slide:lat.lfm"]
first = vae.VAE(vae.GaussianHead(encoder, 8), vae.FixedGaussianHead(decoder, (1, 8, 8), 0.5**0.5), vae.StandardNormal(8), kl_weight=0.02)
flow = path_models.flow_matching(nets.MLP(8, width=128, depth=2), (8,))
flow.net.layers.load_state_dict(field.state_dict())
system = latent.Latent(latent.Continuous(first), latent.Rescaled(flow, latent.Rescaling.of(codes)))
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
tiny = vq.VQVAE(grid_nets.GridEncoder(2, 8, 2), vae.FixedGaussianHead(grid_nets.GridDecoder(2, 8, 2), (1, 8, 8), 0.5**0.5), vq.Codebook(torch.randn(3, 2))).double().eval()
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
# So the tokeniser's objective hears of nothing but $\log p_\theta(\mathbf x\mid\mathbf z_q)$, and with a Gaussian that is a squared error. Now comes the trouble. A code of a few numbers cannot say *exactly* where an edge lies; all pictures that share the code get one answer, and the best answer to a squared error is their **mean**.
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
draw.images(torch.cat([moved, blurred]), columns=10, alt="Nine copies of a digit, each a pixel aside, sharp; and their mean, blurred",
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
# Three details make it work.
#
# * **Patches.** The critic gives one number for each 18 × 18 pixels, 7 × 7 numbers a picture. It judges strokes, not digits: what is drawn stays the other loss's business.
# * **$\lambda$ is measured, not tuned.** One loss is a sum over 784 pixels, the other the mean of a young critic's opinions, and both change all the time. At the last layer, where everything that either wants must pass, $\lambda$ makes the two equally strong; $s$ (`strength`, 0.8) then says who leads.
# * **The critic may come late.** There is no point in arguing about sharpness before there is a picture. Ours starts from a trained VQ-VAE.
#
# (The paper's own loss has a perceptual distance in place of the squared error, made for photographs. For digits the squared error will do.)
#
# The check takes both gradients by autograd, and asks whether the game's loss pushes the last layer as the formula says.

# %% tags=["slide:lat.vqgan"]
tokens = pretrained.load("vqvae_digits").requires_grad_(True)
seed(4)
game = latent.vqgan(tokens, code_nets.PatchCritic(32), gan.hinge(), strength=0.8, pace=4.0).eval()
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
before = latent.sharpness(game.stage.again(few), few)
game.to(device())
history = fit(game, mnist.train.to(device()), Recipe(budget(quick=40, full=1200), 32, 5e-4, warmup=10, decay=linear, clip=100.0, betas=(0.5, 0.99)),
              report=progress("VQ-VAE against a critic of patches"))
game.to("cpu")
print(f"sharpness of 200 held-out digits: {before:.3f} before, {latent.sharpness(game.stage.again(few), few):.3f} after {history.step} steps")

# %% [markdown]
# Now the weights that come with the course: `vqgan_digits` is this very game, continued for 1,200 steps on the official training set (`dgm train vqgan_digits`). Beside it stands the VQ-VAE that it started from, with the same number of codes and the same networks. *Look at* the edges of the strokes, and at thin gaps.

# %% tags=["slide:lat.vqgan"]
sharp, plain = pretrained.load("vqgan_digits"), pretrained.load("vqvae_digits")
stages = {"VQ-VAE": latent.Discrete(plain), "VQGAN": latent.Discrete(sharp)}
print(f"{'1,000 held-out digits':22}squared error  sharpness  Fréchet distance")
for name, stage in stages.items():
    told = pretrained.latent.rebuilding(stage, mnist.test)
    print(f"{name:22}{told['squared_error']:13.2f}{told['sharpness']:11.2f}{told['frechet']:18.2f}")
codes_of = {name: stage.encode(mnist.test) for name, stage in stages.items()}
print(f"codes in use: {codes_of['VQGAN'].unique().numel()} of 64, perplexity {vq.perplexity(codes_of['VQGAN'], 64):.1f}; "
      f"places where both use the same number: {float((codes_of['VQGAN'] == codes_of['VQ-VAE']).float().mean()):.0%}")
near = mnist.test[[0, 3, 4, 6, 8, 10]][..., 3:25, 3:25]
seen = torch.cat([near, *(stage.again(mnist.test[[0, 3, 4, 6, 8, 10]])[..., 3:25, 3:25].clamp(-1, 1) for stage in stages.values())])
draw.shown(draw.images(seen, columns=6, ax=draw.panels(1, 6.8, height=3.5)[0], names=["original", "VQ-VAE", "VQGAN"], title="held-out digits, from near"),
           "Six digits, rebuilt by a VQ-VAE with soft edges, and by a VQGAN with crisp ones")

# %% [markdown]
# The Fréchet distance compares the clouds of classifier features of reconstructions and originals (notebook 08). So by the measure that the training minimised, VQGAN is *worse*; by the other two it is much better: its pictures have the edges, and the features, that real ones have.
#
# **Predict before you drag.** Where in the picture will the two differ most: on the paper, inside the ink, or between them?
# <details><summary>Answer</summary>Between them (the dark pixels at the upper right of each card). On the paper and inside thick ink every picture with this code agrees, so there the mean is as sharp as any. Edges are where they disagree by a pixel: the VQ-VAE draws a ramp, VQGAN decides on a place for the step (now and then one pixel from the true one: that is its larger squared error).</details>

# %% tags=["slide:lat.vqgan"]
def edges(digit):
    """A digit, where its two reconstructions differ; and the reconstructions themselves."""
    x = mnist.test[digit:digit + 1]
    soft, crisp = (stage.again(x).clamp(-1, 1) for stage in stages.values())
    four = torch.cat([x, 4 * (soft - crisp).abs() - 1, soft, crisp])[..., 3:25, 3:25].clamp(-1, 1)
    return draw.images(four, columns=2, ax=draw.panels(1, 3.2, height=3.3)[0], title="original, difference\nVQ-VAE, VQGAN")

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
stage = latent.Continuous(pretrained.load("latent_digits"))
with torch.no_grad():
    z = torch.cat([stage.encode(part) for part in mnist.train.split(500)])
    held = stage.encode(mnist.test[:14])
told = pretrained.latent.rebuilding(stage, mnist.test)
print(f"squared error {told['squared_error']}, sharpness {told['sharpness']}, Fréchet distance {told['frechet']} (1,000 held-out digits)")
rescaling = latent.Rescaling.of(z)
print("mean of each channel:     ", [round(v, 2) for v in rescaling.mean.flatten().tolist()])
print("deviation of each channel:", [round(v, 2) for v in rescaling.std.flatten().tolist()])
unit = rescaling(held) / 2.5
draw.gallery({"held-out digits": mnist.test[:14]} | {f"channel {c + 1} of their codes (unit size)": unit[:, c:c + 1].clamp(-1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3) for c in range(4)}
             | {"decoded": stage.decode(held)}, columns=14, alt="Digits, four small pictures of seven by seven for each, and their reconstructions")

# %% [markdown]
# Nothing told the encoder how large its codes should be; a light KL has little say in it. But the path of the generator does care: it mixes codes with noise of size **one**. If codes are tiny, they drown until the very last moment; if they are huge, the noise is gone at once, and in both cases nearly all the training is spent at times where there is
# nothing to decide. So one measures mean and deviation on training codes, $z'=(z-\text{mean})/\text{std}$, generates $z'$, and undoes it before decoding. (Latent diffusion divides by *one* number, and everybody who has used Stable Diffusion has met it: 0.18215, so its codes are more than five times too large. Ours happen to be near one already; light as it is, the KL has seen to that. We take one number a channel.)
#
# Does it matter? Take the small system of section 0. Multiply its codes by a factor (the decoder divides by it, so the first stage is exactly as good), and train the same generator on them, with and without rescaling.
#
# **Predict.** Thirty times too small, or thirty times too large: which is worse, and for the same reason?
# <details><summary>Answer</summary>Both are hopeless, for two reasons. Too small: the target z1 − x0 is nearly all noise, what matters is lost in it, and the network has no cause to look. Too large: inputs and targets have a size that its weights and its learning rate were not made for, and it does not get there in time.</details>

# %% tags=["slide:lat.ldm"]
def distance(factor, how):
    """Energy distance of sampled codes to real ones, both at unit size, after training on codes `factor` times as large."""
    seed(5)
    large = factor * codes
    generator = path_models.flow_matching(nets.MLP(8, width=64, depth=2), (8,))
    generator = latent.Rescaled(generator, how(large))
    fit(generator, large, Recipe(budget(quick=250, full=3000), 128, 3e-3, decay=linear))
    drawn = generator.sample(1000, 30) / factor
    return measures.energy_distance((drawn - shift) / scale, (codes - shift) / scale)

factors, some = (0.03, 0.2, 1.0, 5.0, 30.0), (0.03, 1.0, 30.0)
keep = lambda large: latent.Rescaling(0.0, 1.0)
found = {"codes as they are": [distance(f / float(scale.mean()), keep) for f in factors],
         "rescaled": [distance(f / float(scale.mean()), latent.Rescaling.of) for f in some]}
floor = measures.floor(lambda n: ((codes - shift) / scale)[torch.randperm(len(codes))[:n]], measures.energy_distance, 700, 5)

# %% tags=["slide:lat.ldm"]
draw.curves({name: ((factors, some)[len(values) == 3], [max(v, 1e-3) for v in values]) for name, values in found.items()}
            | {"floor: real codes": (factors, [max(floor.mean + 2 * floor.sd, 1e-3)] * 5)},
            xlabel="size (mean deviation) of the codes", ylabel="energy distance at unit size", log="xy",
            alt="Without rescaling the distance of sampled to real codes is least near size one and large at both ends; with rescaling it is flat",
            title="the same codes, in other units")

# %% [markdown]
# *What to see:* with rescaling the factor cannot matter, and the curve is flat. Without it there is a valley around one (mind the logarithmic scale). The price of ignoring the units is paid at both ends.
#
# ## 4 · Latent diffusion
# *Slide "Latent Space Models": score-based models (diffusion)*
#
# Diffusion (notebook 07), word for word, with codes in the place of pixels: a VP path, a network that predicts the noise, told the class, which is forgotten for a tenth of the samples so that guidance is possible. The network, `GridField`, is four convolutional blocks on 7 × 7 places. A short training on the codes of the 4,000 embedded digits first:

# %% tags=["slide:lat.ldm"]
seed(6)
inner = path_models.ddpm(code_nets.GridField((4, 7, 7), 56, 4, classes=10), (4, 7, 7))
live = latent.Rescaled(inner, rescaling).to(device())
recipe = Recipe(budget(quick=90, full=5000), 64, 3e-3, warmup=20, decay=linear, ema=budget(quick=0.95, full=0.999), betas=(0.9, 0.99))
history = fit(live, (z.to(device()), None, mnist.train_labels.to(device())), recipe, report=progress("diffusion of codes"))
print(history)
shipped = latent.Latent(stage, pretrained.load("ldm_digits"))
few = pretrained.balanced(20, mnist.test)
seed(7); young = latent.Latent(stage, live.to("cpu")).given(few, 1.4).sample(20, 25, ancestral)
seed(7); old = shipped.given(few, 1.4).sample(20, 25, ancestral)
draw.gallery({"trained here, just now": young, "longer training: the weights ldm_digits": old}, columns=20, alt="Digits by class from a latent diffusion model after a short and after a long training")

# %% [markdown]
# ### What does it cost?
#
# Now the point of it all. The same family, the same sampler, the same number of steps, the same guidance, in pixels (`ddpm_digits` of notebook 07) and in the latent; both by turns in one run, the decoder's time included. Their quality stands beside it, from the cards of the weights: Fréchet distance, precision and recall of 1,000 samples
# against held-out digits, and the floor that real digits reach. (The model of pixels has four times as many weights and was trained longer. That it looks better is no law; that each of its steps costs several times as much is one of arithmetic.)
#
# **Predict.** The codes hold a quarter of the numbers. Is a sample four times cheaper?
# <details><summary>Answer</summary>The count of numbers hardly matters; what matters is at how many *places* the network's layers work, and how wide they are there. The U-Net of notebook 08 does most of its work at 14 × 14 places, this network at 7 × 7 and with fewer channels, and the decoder runs only once. The bars say what that comes to.</details>

# %% tags=["slide:lat.ldm"]
pixels, cards = pretrained.load("ddpm_digits"), [pretrained.card(name)["held_out"] for name in ("ddpm_digits", "ldm_digits")]
slow, quick = pretrained.latent.race(pixels, shipped, 5, ancestral, n=30, laps=2)
for name, told in zip(("pixels", "latent"), cards):
    print(f"{name}: Fréchet {told['frechet']:.2f} (floor {told['frechet_floor']:.2f}), precision {told['precision']:.2f}, recall {told['recall']:.2f}")
print(f"{cards[1]['times_cheaper']} times cheaper a sample when the weights were judged ({cards[1]['cost_protocol']}); here and now, see the bars")
draw.shown(draw.bars({"in pixels": 1000 * slow, "in the latent": 1000 * quick}, ylabel="ms of the processor a sample", ax=draw.panels(1, 3.6, height=2.4)[0], title="diffusion, 5 steps"),
           "Milliseconds a sample by diffusion with five steps: pixels several times the latent")

# %% [markdown]
# ## 5 · Latent flow matching
# *Slide "Latent Space Models": flow matching (Dao et al. 2023)*
#
# The same latent, the same network, the same rescaling: only the path is conical and the prediction a velocity. That is one line (`path_models.flow_matching` for `path_models.ddpm`), as notebook 08 promised; the shipped weights also look at logit-normal times, as there. Straight paths want few steps; here are samples of every class with eight.

# %% tags=["slide:lat.lfm"]
flow = latent.Latent(stage, pretrained.load("lfm_digits"))
told = {name: pretrained.card(name)["held_out"] for name in ("flow_matching_digits", "lfm_digits")}
for name, figures in told.items():
    print(f"{name:22} Fréchet {figures['frechet']:5.2f} (floor {figures['frechet_floor']:.2f}), precision {figures['precision']:.2f}, recall {figures['recall']:.2f}")
asked = pretrained.balanced(100, mnist.test)
seed(8); hundred = flow.given(asked, 1.4).sample(100, 8, path_models.heun_to_data).clamp(-1, 1)
judge = pretrained.load("digit_classifier")
print(f"{told['lfm_digits']['times_cheaper']} times cheaper a sample than flow_matching_digits ({told['lfm_digits']['cost_protocol']})")
print(f"of 100 samples, {int((judge(hundred).argmax(1) == asked).sum())} are seen as the class that was asked for")

draw.images(hundred, columns=20, alt="A hundred digits in order of their classes, by flow matching in the latent", title="ten of each class")

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
    drawn = flow.given(twenty, guidance).sample(noise, 6, path_models.heun_to_data)
    return draw.images(drawn, columns=10, ax=draw.panels(1, 5.6, height=1.5)[0], title=f"$w={guidance:.1f}$")

play(guided, guidance=(0.0, 6.0, 0.5, 1.0))

# %% tags=["slide:lat.lfm"]
with torch.no_grad():
    real = judge.features(mnist.test[:200])
    y = pretrained.balanced(200, mnist.test)
    for guidance in (0.0, 1.0, 2.0, 6.0):
        seed(10)
        drawn = flow.given(y, guidance).sample(200, 5, path_models.heun_to_data).clamp(-1, 1)
        shares = measures.precision_recall_coverage(real, judge.features(drawn))
        print(f"guidance {guidance:3.1f}: the asked class {float((judge(drawn).argmax(1) == y).float().mean()):4.0%}, precision {shares.precision:.2f}, recall {shares.recall:.2f}")

# %% [markdown]
# (200 samples against 200 held-out digits, k = 5: good to several hundredths. Guidance 0 does not know the class at all, so about a tenth is right by chance.)
#
# And the way itself. Every half-finished code can be decoded, though the decoder was never trained on such: *watch* what it makes of pure noise, and when the class can first be told.

# %% tags=["slide:lat.lfm"]
seed(11)
way = flow.given(pretrained.balanced(40, mnist.test), 1.4).trajectory(40, steps=20)
FramePlayer(way[:, :, 0].clamp(-1, 1), captions=[f"t = {k / 20:.2f}" for k in range(21)], columns=10, size=560, range=(-1, 1),
            label="Forty digits: half-finished codes decoded, from noise to data")

# %% [markdown]
# At $t=0$ the decoder draws scraps of *strokes*: it knows how ink looks, and nothing of digits. The division of labour could not be plainer: **how a stroke looks is the first stage's knowledge, where strokes go is the second's.**
#
# ## Homework
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
# is minus the mean of all the critic's numbers. Return own loss + strength · λ · adversarial loss, with the λ of section 2 ($\delta$ is `delta`). Value *and* gradient are judged: λ moves nothing.

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
def preview(zt, t, free, told, weight, mean, std):
    """The finished code that zt is heading for.     zt, free, told (B, C, H, W), t (B,), a number, mean, std (C,)  ->  (B, C, H, W)"""
    ### BEGIN SOLUTION
    arrow = free + weight * (told - free)
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
y, zt = torch.arange(10), torch.randn(10, 4, 7, 7)
stops, rows = (0.0, 0.25, 0.5, 0.75), {}
states = model.given(y, 1.4).trajectory(zt, 20)
with torch.no_grad():
    for t in stops:
        now, when = states[round(20 * t)], torch.full((10,), t)
        ahead = preview(now, when, model.net(now, when), model.net(now, when, y), 1.4, scaling.mean.flatten(), scaling.std.flatten())
        rows |= {f"t = {t:.2f}: where it stands": stage.decode(scaling.inverse(now)), f"t = {t:.2f}: your look ahead": stage.decode(ahead)}
draw.gallery(rows, columns=10, alt="For four times, ten half-finished codes decoded, scribbles at first, and the look ahead from each, which is a digit from the start")

# %% [markdown]
# **Written (think, then unfold).** *A colleague doubles the number of latent channels and reports sharper reconstructions but worse samples. Is that a contradiction?*
# <details><summary>Answer</summary>No. The first stage forgets less, so its error falls. But the generator has twice as many numbers to get right, among them many that carry details nobody would miss, and its error rises. The best latent is a bargain between the two; it must be judged by samples, not by reconstructions.</details>
#
# *Why does a look ahead at t = 0 give nearly the same digit of a class for every noise?*
# <details><summary>Answer</summary>At t = 0 the code says nothing yet, and the best guess of the finished code is the mean of all codes of the class. (Guidance pushes it away from the mean of all digits.) Squared error likes means, in the latent as in pixels; here it does no harm, since the guess is only used as a direction. (The decoder draws even a mean of codes with crisp strokes: it has learned nothing else.)</details>
#
# ## References
#
# * Rombach, Blattmann, Lorenz, Esser, Ommer: *High-Resolution Image Synthesis with Latent Diffusion Models*, 2022. Two stages, light KL or VQ, the scale of the codes.
# * Dao, Phung, Nguyen, Tran: *Flow Matching in Latent Space*, 2023.
# * Esser, Rombach, Ommer: *Taming Transformers for High-Resolution Image Synthesis* (VQGAN), 2021. Critic of patches, adaptive weight.
