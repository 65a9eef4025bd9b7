# %% [markdown]
# # 02 · Variational autoencoders
#
# *Introduction lecture (2025), "Autoencoders" and "VAEs", with "cVAE"; lecture 5 (autumn 2025), the recap of EM, variational inference and training*
#
# **The promise.** A picture is explained by a few hidden numbers that nobody wrote down. At the end you can say how likely a picture is although an integral stands in the
# way: every line of the derivation of the bound is evaluated in a world where the integral can be done, EM makes the bound touch while you watch, and a network that makes it
# *almost* touch draws digits.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | Bayes' rule, Gaussian densities, KL divergence; a network trained by gradient descent |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions**
#
# | what | here | the slides |
# |---|---|---|
# | data, latent | `x`, `z` | $\mathbf x$, $\mathbf z$ |
# | encoder, decoder | `q` $=q(\mathbf z\mid\mathbf x)$, `p` $=p(\mathbf x\mid\mathbf z)$: objects with `mean`, `sample`, `log_prob` | $q_\phi(\mathbf z\mid\mathbf x)$, $p_\theta(\mathbf x\mid\mathbf z)$ |
# | the bound | `elbo(x)`, one number a sample, in nats, summed over the pixels | $\mathcal L_{\phi,\theta}(\mathbf x)$ |
# | loss | minus the mean of it over the batch | maximised as it stands |
# | a draw through a network | `q.rsample(n)`: mean + std · noise | $g_\phi(\mathbf x,\boldsymbol\varepsilon)$ in lecture 5 |
# | figures | toy worlds: $\log p(x)$ and ELBO as they are; models of digits: bounds on $-\log p(x)$, the lower the better | |
# | weight of the KL | `kl_weight` (1 is the bound) | $\beta$ in the literature |

# %%
import math
import time
import torch
from torch.distributions import kl_divergence
from dgm_course import data, nets, pretrained, vae
from dgm_course.core.distributions import Mixture
from dgm_course.training import Recipe, fit, linear
from dgm_course.teach import FramePlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.teach.plots import latent as latent_plots
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Small digits of 8 × 8 black and white pixels. An **encoder** looks at one and answers with a Gaussian in four dimensions: *the hidden numbers are about here*. Draw a point
# from it. A **decoder** looks at that point only and says how likely each pixel is to be ink. Two things are wanted: the pixels should have been likely, and no Gaussian
# should stray far from $\mathcal N(0,I)$, so that they overlap, leave few holes between them, and afterwards we can draw a hidden point ourselves. The first is a cross-entropy, the second a KL; their sum is the loss.

# %% tags=["slide:vae.train-infer"]
small = data.digits()
bits, held = data.DynamicallyBinarized(small.train), data.DynamicallyBinarized(small.test).fixed()
seed(0); torch.set_num_threads(1)
Layer, act, d = torch.nn.Linear, torch.nn.SiLU(), 4
encoder = torch.nn.Sequential(Layer(64, 64), act, Layer(64, 2 * d))
decoder = torch.nn.Sequential(Layer(d, 64), act, Layer(64, 64))
optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=4e-3)

def bare_loss(x):
    x = x.flatten(1).float()
    mean, log_std = encoder(x).chunk(2, 1)
    z = mean + log_std.exp() * torch.randn_like(mean)                            # a draw from q(z|x)
    surprise = torch.nn.functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(1)
    kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)          # from q(z|x) to N(0, I)
    return (surprise + kl).mean()

for step in range(budget(quick=1000, full=5000)):
    optimizer.zero_grad()
    bare_loss(bits.sample(128)).backward()
    optimizer.step()

# %% [markdown]
# To sample, forget the encoder: draw $z$ from $\mathcal N(0,I)$ and decode. *Look for* digits that are nobody's copy, a little washed out: the second row shows probabilities of ink.

# %% tags=["slide:vae.train-infer"]
with torch.no_grad():
    chances = decoder(torch.randn(14, d)).sigmoid().view(-1, 1, 8, 8)
plots.gallery({"black and white data": plots.ink(bits.sample(14)), "decoded from noise: the chance of ink": 2 * chances - 1},
             columns=14, alt="Fourteen small digits and fourteen that a decoder made of noise")

# %% [markdown]
# Three things should puzzle you, and the notebook is their answer:
#
# 1. Is this a likelihood? What has `surprise + kl` to do with $\log p(x)$? (Sections 3 to 6.)
# 2. How can a gradient pass through a random draw? (Section 7.)
# 3. Why are the samples soft, and what happens if the decoder is too clever? (Section 11.)
#
# The library says the same with parts that can be exchanged, a *head* being a network whose numbers are read as a distribution. Same weights, same noise, same number:

# %% tags=["slide:vae.train-infer"]
encoder_of_images = torch.nn.Sequential(torch.nn.Flatten(), encoder)
model = vae.VAE(vae.GaussianHead(encoder_of_images, d), vae.BernoulliHead(decoder, (1, 8, 8)), vae.StandardNormal(d))
x = bits.sample(256).float()
seed(1); from_library = model.loss(x)
seed(1); by_hand = bare_loss(x)
verify("vae.train-infer", from_library, by_hand, what="library loss = the bare lines", tolerance=1e-5)
reveal(vae.VAE.terms, vae.VAE.loss)

# %% [markdown]
# ## 1 · Autoencoders
# *Slides "Autoencoders: background", "Reconstruction loss", "Representation Learning"*
#
# An autoencoder squeezes $x$ through a narrow middle and is judged by what comes out, $\mathcal L=\lVert x-x'\rVert_2^2$. With *linear* maps there is nothing to wonder about: the best it can
# do is keep the directions in which the data vary most, so it must end in the subspace of PCA. (There are no other minima, only saddle points: Baldi and Hornik 1989.) Train one by gradient descent, and compare: the projection onto what its decoder can
# reach, and the projection onto the leading eigenvectors of the covariance, which know nothing of gradient descent.

# %% tags=["slide:vae.autoencoder"]
seed(2)
rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
cloud = (torch.randn(400, 5, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2])) @ rotation
cloud = cloud - cloud.mean(0)
flat = vae.Autoencoder(nets.DenseNet(5, 2, depth=0), nets.DenseNet(2, 5, depth=0)).double()
fit(flat, cloud, Recipe(steps=1000, batch=400, lr=3e-2, decay=linear))
reached = torch.linalg.qr(flat.decoder.layers[0].weight.detach())[0]
leading = torch.linalg.eigh(torch.cov(cloud.T))[1][:, -2:]
verify("vae.autoencoder", reached @ reached.T, leading @ leading.T, what="a linear autoencoder's subspace = PCA's",
       tolerance=1e-3)
left_over = torch.linalg.eigvalsh(torch.cov(cloud.T, correction=0))[:3].sum()
verify("vae.autoencoder", flat.loss(cloud), left_over, what="its loss = the variance left over", tolerance=1e-3)

# %% [markdown]
# ## 2 · Why not simply decode random codes?
# *Slides "Why not simple Autoencoders?", "Sampling latent vectors near a reference", "What is the solution?", "Autoencoder vs VAE"*
#
# Two models of the small digits (grey ones now) with *two* hidden numbers, so that the whole latent space is a picture. Networks of the same size, same seed, same steps, same squared error. The only difference: the second encoder answers with a Gaussian, its codes are
# drawn from it, and a KL pulls every Gaussian towards $\mathcal N(0,I)$.

# %% tags=["slide:vae.ae-latent-holes"]
event = (1, 8, 8)

def both_models(latent):
    """An autoencoder and a VAE (Gaussian decoder of deviation ½) that differ in the noise and the KL alone."""
    recipe, net = Recipe(budget(quick=800, full=5000), batch=128, lr=4e-3, decay=linear), nets.DenseNet
    one, both = latent, (2, latent)                                             # a code; a mean and a deviation
    seed(0)
    plain = vae.Autoencoder(net(64, one, width=64, depth=1), net(latent, event, width=64, depth=1))
    fit(plain, small.train, recipe, report=progress(f"autoencoder, {latent} numbers"))
    seed(0)
    encoder, decoder = net(64, both, width=64, depth=1), net(latent, event, width=64, depth=1)
    tidy = vae.VAE(vae.GaussianHead(encoder, latent), vae.FixedGaussianHead(decoder, event, 0.5), vae.StandardNormal(latent))
    fit(tidy, small.train, recipe, report=progress(f"VAE, {latent} numbers"))
    return plain, tidy

plain, tidy = both_models(2)
with torch.no_grad():
    scattered, gathered = plain.encoder(small.test), tidy.encode(small.test).mean

# %% [markdown]
# *Look for* where the codes are. Nothing tells the autoencoder where to put them or how far apart: its cloud sits off the centre, is stretched, and has wide empty places inside. The VAE's codes lie around the origin, close together, and most of them within the circle
# at two deviations, where $\mathcal N(0,I)$ has 86 per cent of its mass.

# %% tags=["slide:vae.ae-latent-holes"]
axes = plots.panels(2, 3.6)
latent_plots.codes(scattered, small.test_labels, ax=axes[0], title="autoencoder: where codes lie")
latent_plots.codes(gathered, small.test_labels, ax=axes[1], circle=2.0, limit=3.4, title="VAE: means of $q(z|x)$")
plots.shown(axes, alt="Codes of test digits by class: off the centre with gaps for the autoencoder, in a disc for the VAE")

# %% [markdown]
# Now walk through both planes. The widget decodes a square around the origin; its half-width is the slider.
#
# **Predict before you drag.** How far out does it make sense to decode: in the VAE's plane, and in the autoencoder's?
# <details><summary>Answer</summary>In the VAE's plane the prior answers: beyond 3 it has about one per cent of its mass, so what lies there will hardly ever be sampled. In the autoencoder's nothing answers: codes of real digits lie far out on one side, and
# on the other side of the origin there are none. An autoencoder has no $p(z)$.</details>

# %% tags=["slide:vae.ae-latent-holes"]
def decoded(model, half_width):
    line = torch.linspace(-half_width, half_width, 11)
    z = torch.cartesian_prod(-line, line).flip(1)                               # first row on top
    with torch.no_grad():
        pictures = plain.decoder(z) if model == "autoencoder" else tidy.decode(z).mean
    axes = plots.panels(1, 3.4)
    plots.images(pictures, columns=11, ax=axes[0], title=f"{model}, codes from {-half_width:g} to {half_width:g}")
    return axes

play(decoded, model=["autoencoder", "VAE"], half_width=(1.0, 9.0, 2.0, 5.0))

# %% [markdown]
# In two dimensions one can still see where not to go. With eight hidden numbers nobody sees anything, and the obvious recipe for an autoencoder is a Gaussian with the mean and deviation of its codes. Two fresh models, again alike in all but noise and KL. *Look at* the rows,
# and at two figures: the distance from a picture to the nearest *training* digit, on average (it tells whether a picture looks like some digit; it says nothing of variety, and blur makes it smaller), and the distance to the digit whose code it was made from.

# %% tags=["slide:vae.ae-latent-holes"]
deep, deep_vae = both_models(8)
seed(3)
noise = torch.randn(len(small.test), 8)
with torch.no_grad():
    codes, means = deep.encoder(small.test), deep_vae.encode(small.test).mean
    rows = {"autoencoder: reconstructions": deep(small.test),
            "autoencoder: half a deviation away from a code": deep.decoder(codes + 0.5 * codes.std(0) * noise),
            "autoencoder: Gaussian of its codes": deep.decoder(codes.mean(0) + codes.std(0) * noise),
            "VAE: reconstructions": deep_vae.decode(means).mean,
            "VAE: half a deviation away from a code": deep_vae.decode(means + 0.5 * means.std(0) * noise).mean,
            "VAE: samples from N(0, I)": deep_vae.decode(noise).mean}
for name, pictures in {"real held-out digits": small.test, **rows}.items():
    nearest = torch.cdist(pictures.flatten(1), small.train.flatten(1)).amin(1).mean()
    itself = (pictures - small.test).flatten(1).norm(dim=1).mean()
    own = f", {float(itself):.2f} from its own digit" if "code" in name[-6:] or "recon" in name else ""
    print(f"{name:48} {float(nearest):.2f} from the nearest training digit{own}")
plots.gallery({name: pictures[:14] for name, pictures in rows.items()}, columns=14, alt="Reconstructions and samples")

# %% [markdown]
# Compare each model's samples with its *own* reconstructions: the difference is what is lost by not knowing where codes live. The autoencoder reconstructs better (the last column) and loses more; already half a deviation away from the code of a real digit its pictures grow unsure, more so than the VAE's, which has been trained on codes with noise.
#
# ## 3 · The integral in the way
# *Slides "Data and Latent Distributions", "Variational Bayes", "How to train VAE?"*
#
# Choose a simple prior $p(z)=\mathcal N(0,I)$ and a decoder $p_\theta(x\mid z)$. Then the model of the data is $p_\theta(x)=\int p_\theta(x\mid z)\,p(z)\,dz$, and we would like it to be large on the data. For a network the
# integral has no closed form, and plain sampling is hopeless: nearly every $z$ explains a given $x$ not at all.
#
# So take a world in which the integral *can* be done, and watch each line of the slide there. It is the **linear-Gaussian** one, also known as probabilistic PCA:
#
# $$z\sim\mathcal N(0,I),\qquad x=Wz+b+\sigma\varepsilon\qquad\Longrightarrow\qquad p(x)=\mathcal N(b,\;WW^\top+\sigma^2I),\quad p(z\mid x)=\mathcal N\!\big(M^{-1}W^\top(x-b),\;\sigma^2M^{-1}\big),$$
#
# with $M=W^\top W+\sigma^2I$. With one hidden number, integrals over $z$ are sums over a fine grid. &nbsp; $q$ below is a Gaussian that is *not* the posterior.

# %%
weight, bias = torch.tensor([[1.5], [-0.7], [0.4]]).double(), torch.tensor([0.2, 0.0, -0.5]).double()
world = vae.LinearGaussian(weight, bias, std=0.8).requires_grad_(False)
x = torch.tensor([[2.0, -1.2, 0.3]]).double()
q = vae.DiagNormal(torch.tensor([[0.2]]).double(), 0.7)
nodes, cell = oracles.lattice(1)
joint = oracles.joint_on(nodes, x, world.likelihood, world.prior)           # log p(x, z) at every node
log_q = oracles.density_on(nodes, q)
print(world)
reveal(vae.LinearGaussian.log_prob, vae.LinearGaussian.posterior)

# %% [markdown]
# The slide's four lines, one after the other. (It writes $q(z\mid x)$ from the start; for one given $x$ that is just some density of $z$, and $q(z)$ says so.)
#
# $$\log p(x)\overset{(1)}=\log\!\int p(x,z)\,dz\overset{(2)}=\log\!\int\frac{q(z)}{q(z)}\,p(x,z)\,dz\overset{(3)}=\log\mathbb E_q\!\left[\frac{p(x,z)}{q(z)}\right]\overset{(4)}\ge\mathbb E_q\log\frac{p(x,z)}{q(z)}=\mathcal L .$$
#
# (1) is a sum over the grid against the closed form; (2) and (3) are a mean over draws from $q$; in (4) something is lost, and what is lost is a KL.

# %% tags=["slide:vae.elbo-jensen"]
seed(4)
log_p = world.log_prob(x)
verify("vae.elbo-jensen", oracles.log_marginal(joint, cell), log_p, what="(1) log ∫ p(x, z) dz = log N(x; b, WWᵀ + σ²I)")
z = q.sample(200_000)
weights = world.likelihood(z[:, 0]).log_prob(x.expand(len(z), 3)) + world.prior.log_prob(z[:, 0]) - q.log_prob(z)[:, 0]
verify("vae.elbo-jensen", estimate(weights.exp()), log_p.exp()[0], what="(3) E_q [p(x, z)/q(z)] = p(x)")
bound = oracles.elbo(joint, log_q, cell)
verify("vae.elbo-jensen", estimate(weights), bound[0], what="(4) E_q log [p(x, z)/q(z)] = ∫ q log(p/q) dz")
verify("vae.elbo-jensen", log_p - bound, kl_divergence(q, world.posterior(x)), what="log p(x) − ELBO = KL(q ‖ p(z|x))")
print(f"log p(x) = {float(log_p):.3f}, ELBO = {float(bound):.3f}")

# %% [markdown]
# > **A slip on the slide, kindly.** Beside line (4) it prints $\mathbb E[f(x)]\ge f(\mathbb E[x])$. That is Jensen for a *convex* function. The logarithm is concave, so the inequality turns:
# > $\log\mathbb E[w]\ge\mathbb E[\log w]$. As printed, the ELBO would lie *above* $\log p(x)$; the derivation itself uses the right direction.
#
# Line (4) with two values is enough to see why: the chord between two points of the logarithm lies below its graph. In the cell, $w$ takes two values of the weights above.

# %% tags=["slide:vae.elbo-jensen"]
w = weights.exp().quantile(torch.tensor([0.1, 0.9]).double())
share = torch.linspace(0, 1, 400).double()
mean = (1 - share) * w[0] + share * w[1]
plots.curves({"log of the mean, $\\log\\,\\mathbb{E}[w]$": (share, mean.log()),
             "mean of the log, $\\mathbb{E}[\\log\\,w]$": (share, (1 - share) * w[0].log() + share * w[1].log())},
            xlabel="share of the larger of two weights", ylabel="nats",
            alt="The logarithm of a mean lies above the mean of the logarithms, except where there is nothing to average")

# %% [markdown]
# **Now move $q$ yourself.** The left panel has the exact posterior and your $q$; the right one the two sides of the inequality. The green dashed line never moves: $\log p(x)$ does not know $q$.
#
# **Predict before you drag.** Start with the mean at the posterior's and make $q$ narrower and narrower. Does the bound fall for ever, although $q$ sits exactly on the best $z$?
# <details><summary>Answer</summary>Yes, without end, like the logarithm of the width: a $q$ that is too sure pays $-\log$ of its deviation in the KL. The best $q$ is as wide as the posterior is, no less.</details>

# %% tags=["slide:vae.elbo-decomposition"]
def move_q(mean, std):
    mine = vae.DiagNormal(torch.tensor([[mean]]).double(), std)
    log_mine = oracles.density_on(nodes, mine)
    axes, z = plots.panels(2, 3.6, height=2.8), nodes[:, 0]
    plots.curves({"$q(z)$": (z, log_mine.exp()[0]), "exact posterior $p(z|x)$": (z, (joint - log_p).exp()[0])}, ax=axes[0],
                xlabel="z", ylabel="density")
    axes[0].set(xlim=(-1, 3.5), ylim=(0, 4.2))
    now, gap = (float(v) for v in (oracles.elbo(joint, log_mine, cell), kl_divergence(mine, world.posterior(x))))
    axes[1].bar([0], [gap], 0.5, bottom=now, color=plots.VERMILION, label=f"KL(q ‖ p(z|x)) = {gap:.2f}")
    axes[1].axhline(float(log_p), color=plots.GREEN, ls="--", label=f"log p(x) = {float(log_p):.2f}")
    axes[1].axhline(now, color=plots.BLUE, label=f"ELBO = {now:.2f}")
    axes[1].set(xlim=(-0.6, 2.0), ylim=(-16, -3), xticks=[], ylabel="nats")
    axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    return axes

play(move_q, std=(0.1, 1.5, 0.05, 0.7), mean=(0.0, 2.4, 0.1, 1.1))

# %% [markdown]
# ### The same number in two forms
# *Slides "ELBO optimization"; lecture 5, "ELBO Decomposition"*
#
# $$\mathcal L=\mathbb E_q\log\frac{p(x,z)}{q(z\mid x)}=\underbrace{\mathbb E_q\log p(x\mid z)}_{\text{reconstruction}}-\underbrace{\mathrm{KL}\big(q(z\mid x)\,\Vert\,p(z)\big)}_{\text{regularisation}},\qquad \log p(x)=\mathcal L+\mathrm{KL}\big(q(z\mid x)\,\Vert\,p(z\mid x)\big).$$
#
# Two KLs, to two different distributions: to the *prior* inside the bound, to the *posterior* as its gap. Keep them apart. In the first two lines of the check a sum over the grid stands on the left and a closed form on the right; the third puts the two terms together.

# %% tags=["slide:vae.elbo-two-forms"]
reconstruction = (log_q.exp() * (joint - world.prior.log_prob(nodes))).sum(1) * cell
to_prior = vae.gaussian_kl(q, world.prior)
verify("vae.elbo-two-forms", bound, world.elbo(x, q), what="∫ q log [p(x, z)/q] dz = the closed form")
verify("vae.elbo-two-forms", oracles.kl(log_q, world.prior.log_prob(nodes), cell), to_prior,
       what="∫ q log(q/p(z)) dz = KL(q ‖ p(z))")
verify("vae.elbo-two-forms", reconstruction - to_prior, bound, what="E_q log p(x|z) − KL(q ‖ p(z)) = E_q log [p(x, z)/q]")

# %% tags=["slide:vae.elbo-decomposition"]
seed(5)
wide = vae.LinearGaussian(torch.randn(6, 3).double(), torch.randn(6).double(), 0.7).requires_grad_(False)
many = wide.sample(500)
any_q = vae.DiagNormal(torch.randn(500, 3).double(), torch.rand(500, 3).double() + 0.2)
gaps = kl_divergence(any_q, wide.posterior(many))
verify("vae.elbo-decomposition", wide.elbo(many, any_q) + gaps, wide.log_prob(many),
       what="log p(x) = ELBO + KL(q ‖ p(z|x)), any q")
touching = vae.VAE(wide.posterior, wide.likelihood, wide.prior)                 # the exact posterior as the encoder
verify("vae.elbo-decomposition", touching.elbo(many, 1), wide.log_prob(many), what="q = p(z|x): the bound touches")

# %% [markdown]
# The last line is worth a second look: the ELBO there was estimated from *one* random $z$ a point, and it still equals $\log p(x)$ to rounding. Here the KL, too, was taken at the drawn $z$ (this posterior is not diagonal, and the library has no formula for it): $\log p(x\mid z)+\log p(z)-\log q(z)$ is
# $\log p(x)$ for *every* $z$ when $q$ is the posterior, and nothing is left to vary. With the closed KL (section 8) the noise of $\log p(x\mid z)$ stays even where the gap is zero.
#
# ## 4 · EM: let the bound touch, then push it up
# *Lecture 5, "Recap: EM-algorithm"*
#
# If $q$ is free, the best one is known, and one can climb in turns:
#
# $$\text{E:}\quad q^*(z)=\arg\max_q\mathcal L_{q,\theta}=p(z\mid x,\theta)\qquad\qquad \text{M:}\quad \theta^*=\arg\max_\theta\mathcal L_{q^*,\theta}.$$
#
# For a mixture of Gaussians the hidden variable is the component. E: Bayes' rule. M: weighted shares, means and deviations. After an E-step the bound equals $\log p$; the M-step raises the bound; $\log p$ lies above
# it, so it has risen at least as much. *That* is why the likelihood never falls.

# %% tags=["slide:vae.em"]
centres = torch.tensor([[-2.0, 0.3], [1.8, 1.4], [0.4, -2.0]]).double()
crowd = Mixture(torch.tensor([0.5, 0.3, 0.2]).double(), centres, torch.tensor([[0.9, 0.5], [0.5, 0.9], [0.7, 0.5]]).double())
seed(6)
points = crowd.sample(600)
theta = Mixture(torch.ones(3).double(), torch.tensor([[0.0, 0.0], [0.3, 0.3], [0.3, -0.3]]).double(), 1.8)
path, before, after = [], [], []
q = torch.full((600, 3), 1 / 3).double()
for step in range(31):
    before.append(vae.mixture_bound(theta, points, q).mean())
    q = vae.e_step(theta, points)                                               # E: the bound comes up to log p
    after.append(vae.mixture_bound(theta, points, q).mean())
    path.append((theta, q))
    theta = vae.m_step(points, q)                                               # M: log p runs ahead of the bound
log_likelihood = torch.stack([mixture.log_prob(points).mean() for mixture, _ in path])
verify("vae.em", torch.stack(after), log_likelihood, what="after each E-step: ELBO = log p(x), 31 times")
assert (log_likelihood.diff() > -1e-12).all()                                   # it never falls
print(f"mean log p(x): {float(log_likelihood[0]):.3f} -> {float(log_likelihood[-1]):.3f}; "
      f"the mixture that made the points: {float(crowd.log_prob(points).mean()):.3f}")
reveal(vae.e_step, vae.mixture_bound)

# %% [markdown]
# In the end the learner is a little above the truth, because it was fitted to just these 600 points. *Look for* two things. On the left, $\log p$ never falls, on its plateau neither. On the right, the gap that an M-step has torn open, $\mathrm{KL}(q\Vert p(z\mid x))$, just before the next E-step closes it to exactly zero. While EM moves, about half of what
# an iteration gains lies in this gap (the other half is the rise of the bound); near the end both vanish.

# %% tags=["slide:vae.em"]
axes, n = plots.panels(2, 3.7, height=2.7), torch.arange(26)
plots.curves({"exact $\\log p(x)$": (n, log_likelihood[:26]), "bound before the E-step": (n, torch.stack(before)[:26])},
            ax=axes[0], xlabel="iteration of EM", ylabel="nats a point")
plots.curves({"gap before the E-step": (n, (log_likelihood - torch.stack(before))[:26])}, ax=axes[1], log="y",
            xlabel="iteration of EM", ylabel="nats a point", title="the gap an M-step leaves")
plots.shown(axes, alt="Log-likelihood rising over iterations of EM, and the gap of the bound before each E-step")

# %% tags=["slide:vae.em"]
def em_at(iteration):
    mixture, q = path[iteration]
    axes = plots.panels(1, 3.4)
    latent_plots.shared(points, mixture, q, ax=axes[0], title=f"mean log p = {float(log_likelihood[iteration]):.3f}")
    return axes

play(em_at, iteration=(0, 16, 1, 2))

# %% [markdown]
# Points have the mixed colour of the components that claim them; ellipses are at two deviations.
#
# **Predict before you drag.** All three components start in the middle, almost on top of one another. Why do they part at all, and why slowly at first?
# <details><summary>Answer</summary>While they are nearly equal, every point is shared out nearly equally, so the three weighted means are nearly the same: progress is slow on this plateau. But the small differences feed on themselves:
# who is a little closer to a cluster gets a little more of it, and moves closer. Started exactly equal they would never part.</details>
#
# ## 5 · Amortised: one network answers for all $x$
# *Lecture 5, "Recap: Amortized Variational Inference", "Variational Bayes"*
#
# With a network as decoder there is no exact E-step, and a $q$ of its own for each of 60,000 images is a lot of optimisation. So restrict $q$ to a family $q(z\mid x,\phi)$ that a *network* computes from $x$, and take gradient steps instead of
# maxima:
#
# $$\phi\leftarrow\phi+\eta\,\nabla_\phi\mathcal L_{\phi,\theta},\qquad \theta\leftarrow\theta+\eta\,\nabla_\theta\mathcal L_{\phi,\theta}.$$
#
# First where the truth is known. Data from a linear world of five dimensions; an encoder that is a linear map; a linear decoder; both start at random. The exact maximum of the likelihood is known from the eigenvalues of the covariance (Tipping and Bishop 1999).

# %% tags=["slide:vae.variational-em"]
seed(7)
source = vae.LinearGaussian(torch.tensor([[2.0, 0], [1, 1], [0, 1], [-1, 0.5], [0.5, -1]]), torch.zeros(5), 0.6)
table = source.sample(1000)
best = vae.LinearGaussian.fitted(table, 2).requires_grad_(False)
learner = vae.LinearGaussian(0.1 * torch.randn(5, 2), torch.zeros(5), 1.0)       # θ
guess = torch.nn.Linear(5, 4)                                                   # φ: means and log-deviations
e_opt, m_opt = torch.optim.Adam(guess.parameters(), 2e-2), torch.optim.Adam(learner.parameters(), 2e-2)
bounds, truths, steps = [], [], 400
for step in range(steps):
    for optimizer in (e_opt, m_opt):                                            # a gradient E-step, a gradient M-step
        optimizer.param_groups[0]["lr"] = 2e-2 * min(1, 2 - 2 * step / steps)   # the second half slower and slower
        e_opt.zero_grad(), m_opt.zero_grad()
        mean, log_std = guess(table).chunk(2, 1)
        bound = learner.elbo(table, vae.DiagNormal(mean, log_std.exp())).mean()
        bound.neg().backward()
        optimizer.step()
    bounds.append(float(bound.detach()))
    truths.append(float(learner.log_prob(table).mean().detach()))

# %% [markdown]
# *Look for* the two curves meeting. In this world the mean of the exact posterior is linear in $x$, and its covariance $\sigma^2M^{-1}$ is diagonal as soon as the columns of the *decoder's* $W$ are orthogonal, so that $M=W^\top W+\sigma^2I$ is. A rotation of $z$ makes them so without changing $p(x)$: nothing need be lost, and both curves end
# at the dashed line.

# %% tags=["slide:vae.variational-em"]
top, late = float(best.log_prob(table).mean()), range(30, steps)
verify("vae.variational-em", torch.tensor(bounds[-1]), top, what="the ELBO ends at the exact maximum", tolerance=1e-3)
columns = torch.nn.functional.normalize(learner.weight.detach(), dim=0)
print(f"left of the gap: {truths[-1] - bounds[-1]:.5f} nats; cosine of the decoder's two columns: "
      f"{float(columns[:, 0] @ columns[:, 1]):.3f}")
plots.curves({"exact maximum": ([30, steps], [top, top]), "$\\log p(x)$ of the learner": (late, truths[30:]),
             "its ELBO": (late, bounds[30:])}, xlabel="pairs of gradient steps (the first 30 left out)", ylabel="nats a point",
            alt="The bound and the log-likelihood of the learner rise together to the exact maximum")

# %% [markdown]
# With networks something *is* lost, in two places. The family of $q$ may not contain the posterior (**approximation gap**), and the network may not find the best member of the family for each $x$ (**amortisation gap**). Both can be measured for a
# trained VAE of black and white digits (bits drawn once from the grey values, section 8) with two hidden numbers: optimise mean and deviation of $q$ for every test image on its own, starting from the encoder's answer; and compute $\log p(x)$ by a sum over a grid of the plane.

# %% tags=["slide:vae.variational-em"]
plane = pretrained.load("vae_plane_digits")
shapes = data.DynamicallyBinarized(data.mnist().test).fixed()[:64]
seed(8)
q = plane.encode(shapes)
own = [q.mean.clone().requires_grad_(), q.stddev.log().requires_grad_()]           # one q an image, no network
optimizer = torch.optim.Adam(own, 2e-2)
for step in range(150):
    optimizer.zero_grad()
    mine = vae.DiagNormal(own[0], own[1].exp())
    (vae.gaussian_kl(mine, plane.prior) - plane.log_likelihood(shapes, mine.rsample(8)).mean(0)).mean().backward()
    optimizer.step()

nodes2, cell2 = oracles.lattice(2, 4.5, 160)
with torch.no_grad():
    logits = plane.decode(nodes2.float()).logits.flatten(1)
    like = shapes.flatten(1).float() @ logits.T - torch.nn.functional.softplus(logits).sum(1)
    exact = oracles.log_marginal(like + plane.prior.log_prob(nodes2.float()), cell2)

# %% tags=["slide:vae.variational-em"]
@torch.no_grad()
def bound_of(q, draws=300):
    """The ELBO of each image under its q."""
    return plane.log_likelihood(shapes, q.sample(draws)).mean(0) - vae.gaussian_kl(q, plane.prior)

by_encoder, by_own = bound_of(q), bound_of(mine)
gaps = {"amortisation gap": by_own - by_encoder, "approximation gap": exact - by_own}
print(f"64 test digits, −log p(x) in nats: at most {-float(by_encoder.mean()):.2f} with the encoder's q, at most "
      f"{-float(by_own.mean()):.2f} with a q for each image, {-float(exact.mean()):.2f} by the sum over the grid")
plots.bars({name: float(gap.mean()) for name, gap in gaps.items()}, spread=[float(gap.std()) / 8 for gap in gaps.values()],
          ylabel="nats an image", alt="Two gaps between the ELBO and log p, in nats an image, with standard errors")

# %% [markdown]
# (The thin lines are standard errors over the 64 images.) The left bar is what a better *encoder* could win with the same decoder; the right one needs a richer *family* (a flow, section "NF-based" of notebook 03, or importance weights, section 8 here). A $q$ of its own was sought by 150 steps of Adam, which need not have found the very best: so the left bar is a lower bound, the right one an upper bound.
#
# ## 6 · The two halves of the gradient
# *Lecture 5, "Recap: M-step, Monte Carlo Estimation"*
#
# The decoder's half is easy: $\theta$ does not touch the distribution that is averaged over, so the gradient goes inside, and **one** sample gives an unbiased estimate:
#
# $$\nabla_\theta\mathcal L=\int q(z\mid x)\,\nabla_\theta\log p(x\mid z,\theta)\,dz\approx\nabla_\theta\log p(x\mid z^*,\theta),\qquad z^*\sim q(z\mid x).$$
#
# In the linear world the exact gradient of the exact ELBO in $W$ is there to compare with, by automatic differentiation of a formula without any samples.

# %% tags=["slide:vae.mc-mstep"]
seed(9)
theta = vae.LinearGaussian(weight, bias, 0.8)
q = vae.DiagNormal(torch.tensor([[0.9]]).double(), 0.5)
exact_slope, = torch.autograd.grad(theta.elbo(x, q).sum(), theta.weight)
z = q.sample(20_000)[:, 0]
residual = x - z @ weight.T - bias                                              # ∇_W log p(x|z) = (x − Wz − b) zᵀ / σ²
one_sample = residual[:, :, None] * z[:, None] / 0.8**2
verify("vae.mc-mstep", estimate(one_sample), exact_slope, what="mean of one-sample gradients in W = the exact one")
z1 = z[:1]
by_autograd, = torch.autograd.grad(theta.likelihood(z1).log_prob(x).sum(), theta.weight)
verify("vae.mc-mstep", one_sample[0], by_autograd, what="∇_W log p(x|z*), one z*: by hand = autograd")

# %% [markdown]
# ## 7 · Through the draw: the reparameterisation trick
# *Slides "Reparameterization Trick"; lecture 5, "E-step: Reparameterization Trick"*
#
# The encoder's half is not easy: $\phi$ *is* in the distribution that is averaged over. Two ways out.
#
# $$\text{score function:}\quad \nabla_\phi\mathbb E_q f=\mathbb E_q\big[f(z)\,\nabla_\phi\log q(z)\big]\qquad\qquad\text{reparameterised:}\quad z=\mu+\sigma\varepsilon,\quad\nabla_\phi\mathbb E_q f=\mathbb E_\varepsilon\big[\nabla_\phi f(\mu+\sigma\varepsilon)\big].$$
#
# The left one needs nothing but values of $f$ and works for discrete $z$, too; the right one uses the slope of $f$. Both are right on average. They are not equally noisy. Here $f=\log p(x\mid z)$ in the linear world, and $\phi=(\mu,\log\sigma)$.

# %% tags=["slide:vae.reparam"]
seed(10)
mean, log_std = torch.tensor(0.9).double(), torch.tensor(0.5).double().log()
eps = torch.randn(50_000, dtype=torch.float64)
z = mean + log_std.exp() * eps
slope = ((x - z[:, None] @ weight.T - bias) @ weight)[:, 0] / 0.8**2             # d/dz log p(x|z)
value = world.likelihood(z[:, None]).log_prob(x.expand(len(z), 3))
through = torch.stack([slope, slope * log_std.exp() * eps], 1)                   # ∂f/∂μ, ∂f/∂log σ
score = torch.stack([eps / log_std.exp(), eps**2 - 1], 1) * value[:, None]       # f · ∇ log q
leaf = [mean.clone().requires_grad_(), log_std.clone().requires_grad_()]
q = vae.DiagNormal(leaf[0].view(1, 1), leaf[1].exp())
right = torch.stack(torch.autograd.grad((world.elbo(x, q) + vae.gaussian_kl(q, world.prior)).sum(), leaf))
verify("vae.reparam", estimate(through), right, what="E ∇f(μ + σε) = ∇ E_q f, no samples on the right")
verify("vae.reparam", estimate(score), right, what="E f ∇log q = ∇ E_q f")
ratio = score.var(0) / through.var(0)
print(f"variance of the score-function gradient over that of the reparameterised one: {float(ratio[0]):.0f} times in μ, "
      f"{float(ratio[1]):.0f} times in log σ")

# %% [markdown]
# *Look for* the widths, not the centres: both have their mean at the green line. (What lies beyond ±40 is counted in the outermost bars.)

# %% tags=["slide:vae.reparam"]
axes = plots.panels(2, 3.4, height=2.4)
for ax, k, name in zip(axes, (0, 1), ("\\mu", "\\log\\sigma")):
    for rows, color, label in ((score, plots.VERMILION, "score function"), (through, plots.BLUE, "reparameterised")):
        ax.hist(rows[:, k].clamp(-40, 40), bins=120, range=(-40, 40), density=True, color=color, alpha=0.6, label=label)
    ax.axvline(float(right[k]), color=plots.GREEN, ls="--", label="exact")
    ax.set(yscale="log", xlabel=f"one-sample gradient in ${name}$", ylabel="density")
    ax.set_ylim(top=1.5)
axes[1].legend(frameon=False, fontsize=8, loc="upper right")
plots.shown(axes, alt="Histograms of one-sample gradients: the score function's is many times wider than the reparameterised one")

# %% [markdown]
# **Predict before you compute.** Add the constant 100 to $f$. What happens to the two variances?
# <details><summary>Answer</summary>The reparameterised one does not notice: the slope of a constant is zero. The score-function gradient gets $100\,\nabla\log q$ on top, zero on average and very noisy. (That is what <em>baselines</em> are for.)</details>
#
# ## 8 · The loss of a VAE, and what it measures
# *Slides "VAE loss function" (both), "How do we do in practice?"; lecture 5, "Recap: Training / Inference"*
#
# **Regularisation.** For diagonal Gaussians the KL is a closed formula: $\mathrm{KL}=\tfrac12\sum_d\big(\sigma_d^2+\mu_d^2-1-\log\sigma_d^2\big)$ against $\mathcal N(0,I)$. The check is Monte Carlo: the mean of $\log q-\log p$ over draws from $q$.

# %% tags=["slide:vae.gaussian-kl"]
seed(11)
q = vae.DiagNormal(torch.tensor([[0.0, 0, 0], [1.0, -0.5, 0.3], [0.2, 2.0, -1.0]]).double(),
                         torch.tensor([[1.0, 1, 1], [0.5, 1.5, 0.8], [0.3, 0.6, 1.2]]).double())
p = vae.StandardNormal(3).double()
z = q.sample(100_000)
sampled = q.log_prob(z) - p.log_prob(z.flatten(0, 1)).view(-1, 3)
verify("vae.gaussian-kl", estimate(sampled), vae.gaussian_kl(q, p), what="E_q [log q − log p] = the closed KL, three q")
print("KL:", [round(float(v), 3) for v in vae.gaussian_kl(q, p)], "(the first q is the prior itself)")
reveal(vae.gaussian_kl)

# %% [markdown]
# **Reconstruction.** What the first term of the loss *is* depends on the decoder's distribution:
#
# $$-\log\mathcal N(x;x',\sigma^2I)=\frac{\lVert x-x'\rVert^2}{2\sigma^2}+\tfrac D2\log2\pi\sigma^2,\qquad\qquad -\log\mathrm{Bernoulli}(x;x')=-\sum_i x_i\log x'_i+(1-x_i)\log(1-x'_i).$$
#
# > **A slip on the slide, kindly.** It says "model the likelihood with a Bernoulli distribution, then the reconstruction loss becomes a simple MSE loss". The squared error belongs to a *Gaussian* of fixed variance. Bernoulli gives the
# > *cross-entropy*, and is a distribution of bits only. Put grey pixels into it, and it is no density: over $x\in[0,1]$ its "likelihood" integrates to less than one (last lines below). The number still has a meaning: cross-entropy is linear in $x$, so on grey pixels it is the average over
# > bits drawn from them, and bounds the likelihood of *bits*. Impossible records turn up where it is set beside likelihoods of 256 grey values. The library refuses grey values, so that nobody mixes the two.

# %% tags=["slide:vae.likelihoods"]
seed(12)
x_hat, grey, black = torch.rand(2000, 6).double(), torch.rand(2000, 6).double(), torch.randint(2, (2000, 6)).double()
squared = (grey - x_hat).square().sum(1)
gaussian, sigma, D = -vae.DiagNormal(x_hat, 0.4).log_prob(grey), 0.4, 6
verify("vae.likelihoods", gaussian, squared / (2 * sigma**2) + D / 2 * math.log(2 * math.pi * sigma**2),
       what="Gaussian head, fixed σ: squared error/2σ² + const")
cross = -(black * x_hat.log() + (1 - black) * (1 - x_hat).log()).sum(1)
verify("vae.likelihoods", -vae.IndependentBernoulli(x_hat.logit()).log_prob(black), cross, what="Bernoulli head: cross-entropy")
every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6).double()
total = vae.IndependentBernoulli(x_hat[:1].logit().expand(64, 6)).log_prob(every).exp().sum()
verify("vae.likelihoods", total, torch.tensor(1.0).double(), what="over all 64 pictures of bits it sums to one")
try:
    vae.IndependentBernoulli(x_hat.logit()).log_prob(grey)
except ValueError as refusal:
    print(refusal)
shade = torch.linspace(0, 1, 1001)
for chance in (0.5, 0.9):                                                       # x' of one grey pixel
    total = float((chance**shade * (1 - chance) ** (1 - shade)).mean())
    print(f"∫ x'^x (1 − x')^(1 − x) dx over x in [0, 1], x' = {chance}: {total:.2f}")

# %% [markdown]
# One consequence is worth knowing before you tune anything: in a Gaussian decoder $\sigma$ *is* the weight of the KL. The loss is $\frac1{2\sigma^2}\big(\lVert x-x'\rVert^2+2\sigma^2\,\mathrm{KL}\big)$; whoever writes "MSE + KL" has chosen $\sigma^2=\tfrac12$ without saying so, and whoever *averages* the squared
# error over $D$ pixels has chosen $\sigma^2=\tfrac D2$.
#
# > **Another slip, kindly.** Lecture 5, "Training", prints $KL(q(\mathbf z^*\mid\mathbf x,\phi)\Vert p(\mathbf z^*))$ with the drawn $\mathbf z^*$. A KL belongs to two distributions, not to a point: the draw is for the reconstruction only, and the KL is the formula above (or, where there is none, the average of $\log q(\mathbf z^*)-\log p(\mathbf z^*)$ over draws).
#
# ### Digits
#
# Now 28 × 28 black and white digits. The course ships weights: two hidden layers of 400 at each end, 32 hidden numbers, trained on the official training images with the pixels drawn anew at each step (*dynamic* binarisation). `dgm train vae_digits` repeats it.

# %% tags=["slide:vae.train-infer"]
mnist = data.mnist().to(device())
large = pretrained.load("vae_digits").to(device())
held_out = pretrained.card("vae_digits")["held_out"]
test_bits = data.DynamicallyBinarized(mnist.test).fixed()
print(large)
print("on its card, official test images, −log p(x): at most", held_out["official_test"]["nats"], "nats by the ELBO, at most",
      held_out["official_test"]["importance_weighted"]["nats"], "by the importance-weighted bound with k = 500")
seed(13)
with torch.no_grad():
    again = large.decode(large.encode(test_bits[:12]).mean).mean
    made = large.decode(large.latents(24))
plots.gallery({"test digits as bits": plots.ink(test_bits[:12]), "reconstructed: chance of ink": 2 * again - 1,
              "z from the prior: chance of ink": 2 * made.mean - 1,
              "and pixels drawn from it": plots.ink(made.sample()[:12])},
             alt="Test digits, their reconstructions, digits decoded from noise as chances, and with their pixels drawn")

# %% [markdown]
# Sampling, as the lecture writes it, has two draws: $z\sim p(z)$, then $x\sim p(x\mid z)$. The pictures of nearly all papers, and most of ours, stop at the *chance* of ink; the last row has drawn the pixels, each on its own, and shows the grain that comes of it.
#
# How likely *are* test digits under this model? The ELBO is a bound. Averaging $k$ importance weights **before** the logarithm gives a tighter one (Burda et al. 2016), and as $k$ grows it tends to $\log p(x)$:
#
# $$\mathcal L_k=\mathbb E\log\frac1k\sum_{j=1}^k\frac{p(x\mid z_j)\,p(z_j)}{q(z_j\mid x)},\qquad \mathcal L=\mathcal L_1\le\mathcal L_2\le\dots\le\log p(x).$$
#
# *Look for* how much is won by the first factor of ten, and how much less by the second. The last lines do without an encoder: the same average with $z_j$ from the *prior*, $\log\frac1k\sum_j p(x\mid z_j)$, of which section 3 said that it is hopeless.

# %% tags=["slide:vae.train-infer"]
seed(14)
few, ks = test_bits[::5], [1, 3, 10, 30, 100]
with torch.no_grad():
    nats = [-large.log_prob_bound(few, k) for k in ks]
    loose = -large.elbo(few, 16)
means, errors = ([float(f(v)) for v in nats] for f in (torch.mean, lambda v: v.std() / len(v) ** 0.5))
print(f"−log p(x) of {len(few)} embedded test digits, one fixed draw of dynamic bits:")
print(f"  ELBO, 16 draws of z: at most {float(loose.mean()):.2f} ± {float(loose.std()) / len(few)**0.5:.2f} nats")
print(f"  importance-weighted, k = {ks[-1]}: at most {means[-1]:.2f} ± {errors[-1]:.2f} nats (the error is over images)")
for k in (100, 10_000):
    with torch.no_grad():
        logits = large.decode(large.latents(k)).logits.flatten(1)
        like = few.flatten(1).float() @ logits.T - torch.nn.functional.softplus(logits).sum(1)     # log p(x|z_j)
        print(f"  z from the prior, k = {k:6,}: {float(-(like.logsumexp(1) - math.log(k)).mean()):.0f} nats")
plots.curves({"importance-weighted": (ks, means)}, xlabel="k, draws of z for one image", log="x",
            ylabel="bound on −log p(x), nats an image", alt="The bound on minus log p falls as k grows, quickly at first")

# %% [markdown]
# A number like this means something only with its protocol: bits or grey, how the bits were drawn, which bound and which $k$, how many images. By bound and $k$ alone the *same* model has just moved by two nats and more; the other choices are not smaller.
#
# ## 9 · The latent space, under your cursor
# *Slide "Properties of the VAE's Latent Space"*
#
# With two hidden numbers the whole latent space is a map. **Move the cursor over it**: the decoder's answer at that point is enlarged. Neighbours resemble one another everywhere (that is what the noise in the code buys), classes have their regions, and the borders are
# where one digit turns into another.

# %% tags=["slide:vae.latent-properties"]
line = torch.linspace(-2.6, 2.6, 23)
with torch.no_grad():
    z = torch.cartesian_prod(-line, line).flip(1)
    sheet = plane.decode(z).mean.view(23, 23, 28, 28)
FramePlayer(sheet, plane=(line, -line), label="The latent plane of a VAE, decoded", size=620)

# %% tags=["slide:vae.latent-properties"]
axes = plots.panels(2, 3.6)
with torch.no_grad():
    drawn = plane.encode(test_bits.cpu()).sample()
latent_plots.codes(drawn, mnist.test_labels, ax=axes[0], circle=2.0, limit=4.0, title="one draw of $q(z|x)$ an image")
latent_plots.codes(plane.latents(1000), None, ax=axes[1], circle=2.0, limit=4.0, title="draws from the prior")
plots.shown(axes, alt="Codes drawn from the encoder by class, beside draws from the prior")

# %% [markdown]
# **Predict before you look again.** Is the left cloud a standard normal like the right one? Nobody asked each class to be; what does the KL ask?
# <details><summary>Answer</summary>It asks each q(z|x) to be near N(0, I), and gets a compromise: regions of classes with seams between, some emptier, some fuller than the prior. This mismatch is what notebook 03 dissects (ELBO surgery), and repairs by learning the prior.</details>
#
# **Interpolation.** With 32 hidden numbers there is no map, but straight lines. Between two images, walk from the code of one to the code of the other; beneath, the same walk in *pixels*. *Look for* a digit at every step of the upper rows and two overlaid digits in the lower ones.

# %% tags=["slide:vae.latent-properties"]
def between(first, second):
    a, b = (test_bits[(mnist.test_labels == k).nonzero()[3, 0]][None] for k in (first, second))
    share = torch.linspace(0, 1, 11, device=device())[:, None]
    with torch.no_grad():
        start, end = large.encode(a).mean, large.encode(b).mean
        walk = 2 * large.decode((1 - share) * start + share * end).mean - 1
    mixed = 2 * ((1 - share[..., None, None]) * a + share[..., None, None] * b) - 1
    return plots.gallery({"straight in the latent space": walk, "straight in pixels": mixed}, columns=11,
                        alt="From one digit to another, straight in the latent space and straight in pixels").figure

play(between, first=(0, 9, 1, 3), second=(0, 9, 1, 7))

# %% [markdown]
# ## 10 · Told the label: the conditional VAE
# *Slide "cVAE: Conditional VAE"*
#
# $$\mathcal L_{\text{cVAE}}(x,y)=\mathbb E_{q(z\mid x,y)}\log p(x\mid z,y)-\mathrm{KL}\big(q(z\mid x,y)\,\Vert\,p(z)\big)$$
#
# The encoder and the decoder are both told the class. Then the class need not be stored in $z$ any more, and $z$ is free for what the class does not say: slant, width, weight of the pen. Each column below has one $z$ for all rows; *look for* the same handwriting down a column.

# %% tags=["slide:vae.cvae"]
conditional = pretrained.load("cvae_digits").to(device())
seed(15)
hands = torch.randn(10, 8, device=device())
with torch.no_grad():
    sheet = torch.cat([conditional.decode(hands, y).mean for y in range(10)])
plots.images(2 * sheet - 1, columns=10, names=[f"y = {y}" for y in range(10)],
            alt="Ten digits by ten handwritings: a class a row, a latent a column")

# %% [markdown]
# Now take hold of one of the eight numbers, for all ten hands at once. *Look for* what it has come to mean: the same change of handwriting in every column, whatever the class.

# %% tags=["slide:vae.cvae"]
def written(first_number, label):
    z = hands.clone()
    z[:, 0] = first_number                                                      # the other seven stay
    axes = plots.panels(1, 6.0, height=0.9)
    with torch.no_grad():
        plots.images(2 * conditional.decode(z, label).mean - 1, columns=10, ax=axes[0], title=f"y = {label}")
    return axes

play(written, first_number=(-2.4, 2.4, 0.4, 0.0), label=(0, 9, 1, 4))

# %% [markdown]
# Is the label obeyed, and what is it worth? A classifier reads a thousand samples. And the bound of the conditional model is for $\log p(x\mid y)$; the same model also says $p(x)=\frac1{10}\sum_yp(x\mid y)$, and $\log p(x\mid y)-\log p(x)$ is at most $\log10\approx2.3$ nats, reached when the image leaves no doubt about its class. (Compare
# inside *one* model: the figure of section 8 is of another, with 32 hidden numbers and larger networks.)

# %% tags=["slide:vae.cvae"]
seed(16)
judge, asked = pretrained.load("digit_classifier").to(device()), pretrained.balanced(1000, mnist.test)
truth, places = mnist.test_labels[::5], torch.arange(len(few), device=device())
with torch.no_grad():
    read = judge(2 * conditional.decode(conditional.latents(1000), asked).mean - 1).argmax(1)
    under = torch.stack([conditional.log_prob_bound(few, 30, y) for y in range(10)])    # log p(x|y), every class in turn
held_out, without = under[truth, places], under.logsumexp(0) - math.log(10)
print(f"samples read as the class that was asked for: {float((read == asked).float().mean()):.1%} (of real test digits the "
      f"judge reads {pretrained.card('digit_classifier')['held_out']['accuracy']:.1%} as their class)")
print(f"{len(few)} test digits, bounds in nats (k = 30): −log p(x|y) {-float(held_out.mean()):.2f}, told the next class "
      f"{-float(under[(truth + 1) % 10, places].mean()):.2f}; −log p(x) {-float(without.mean()):.2f}")
print(f"worth of the label: {float((held_out - without).mean()):.2f} nats, at most log 10 = {math.log(10):.2f}; "
      f"the class with the largest p(x|y) is the right one for {float((under.argmax(0) == truth).float().mean()):.1%}")

# %% [markdown]
# ## 11 · Pros and cons: the price, measured
# *Slide "Pros and Cons"*
#
# The pros you have seen: a loss that simply goes down, an encoder, a bound on the likelihood, and sampling in one pass of one network. The last line of the next cell times it. Now the price.
#
# **Blur.** A decoder that is unsure where an edge is shows the average over the possibilities, as any mean does. Measure it without taste: on a page of ink and paper, how many pixels are *neither*? And the steepest changes between neighbours, as a mean square.

# %% tags=["slide:vae.pros-cons"]
def softness(pictures):
    """Share of pixels between 10 % and 90 % ink, and mean squared step between neighbours."""
    p = (pictures + 1) / 2
    step = (p.diff(dim=-1).square().mean() + p.diff(dim=-2).square().mean()) / 2
    return float(((p > 0.1) & (p < 0.9)).float().mean()), float(step)

seed(17)
with torch.no_grad():
    kinds = {"real digits": mnist.test, "reconstructions, 32 numbers": 2 * large.decode(large.encode(test_bits).mean).mean - 1,
             "samples, 32 numbers": 2 * large.decode(large.latents(1000)).mean - 1,
             "samples, 2 numbers": 2 * plane.decode(plane.latents(1000)).mean - 1}
for name, pictures in kinds.items():
    grey_share, step = softness(pictures)
    print(f"{name:28} grey pixels {grey_share:5.1%}   mean squared step {step:.4f}")
start = time.process_time(); large.sample(1000)
print(f"a thousand samples of 28 × 28 pixels took {1000 * (time.process_time() - start):.0f} CPU milliseconds")

# %% [markdown]
# Real digits have grey pixels too, at their edges. Each step down the table has more of them, and flatter edges: what 32 numbers do not say about a digit is averaged over, and two numbers leave very much more unsaid. (These are the decoder's *means*. Drawing the pixels gives
# black and white, but each pixel on its own: grain in place of blur. The cure is a decoder that draws pixels together, or a better latent; notebooks 04 and 10 take that road.)
#
# **Posterior collapse.** A row of sixteen bits, each equal to its left neighbour with probability 0.9: a world whose $\log p(x)$ is known. Two decoders. One has the latent alone; the other may also look at the bit before (a tiny PixelCNN, notebook 01), which is
# all there is to know about this world. Same encoder, same steps. (`fit` looks at a model now and then; an illness that it knows it names as it goes.)

# %% tags=["slide:vae.pros-cons"]
class Streaks:
    """A first bit by a fair coin; each further one differs from the bit before with probability 0.1."""

    def sample(self, n):
        flips = torch.rand(n, 16) < torch.tensor([0.5] + [0.1] * 15)
        return (flips.long().cumsum(1) % 2).view(n, 1, 1, 16)

    def log_prob(self, x):
        chance = torch.where(x.flatten(1).diff(dim=1) != 0, 0.1, 0.9)
        return chance.log().sum(1) - torch.tensor(2.0).log()

def trained(source, held, event, kl_weight=1.0, history=None, lr=4e-3, latent=8):
    seed(0)
    size, net = event[1] * event[2], nets.DenseNet
    enc, dec = net(size, (2, latent), width=64, depth=1), net(latent, event, width=64, depth=1)
    head = vae.BernoulliHead(dec, event) if history is None else vae.CausalHead(dec, event, history)
    made = vae.VAE(vae.GaussianHead(enc, latent), head, vae.StandardNormal(latent), kl_weight)
    fit(made, source, Recipe(budget(quick=600, full=6000), batch=128, lr=lr, decay=linear))
    with torch.no_grad():
        return made, [float(term.mean()) for term in made.terms(held, 8)]

# %% tags=["slide:vae.pros-cons"]
seed(18)
unseen = Streaks().sample(2000)
Masked = nets.MaskedConv2d
bit_before = torch.nn.Sequential(Masked(1, 32, (1, 3), "A"), act, Masked(32, 1, 1, "B"))
for name, history in (("z alone", None), ("z and the bit before", bit_before)):
    _, (reconstruction, kl) = trained(Streaks(), unseen, (1, 1, 16), history=history, lr=1e-2)
    print(f"{name:22} reconstruction {reconstruction:6.2f}   KL {kl:5.2f}   ELBO {reconstruction - kl:6.2f} nats")
print(f"exact log p of these 2,000 rows, on average: {float(Streaks().log_prob(unseen).mean()):.2f} nats")

# %% [markdown]
# The strong decoder all but reaches the exact value, and its KL is practically zero: the latent says nothing. As a density model that is perfect; as a representation it is nothing, and the loss cannot tell: it never asked for a representation. The weak decoder *must* use $z$, pays for it, and ends with fewer nats of ELBO.
#
# **Sensitivity.** The weight of the KL, four values, everything else equal, on the small digits. What is drawn is measured on held-out digits; the sum is minus the bound itself (weight 1), whatever weight the training had.

# %% tags=["slide:vae.pros-cons"]
kl_weights = [0.1, 0.5, 1.0, 8.0]
runs = [trained(bits, held, event, weight) for weight in kl_weights]
found = torch.tensor([terms for _, terms in runs])
plots.curves({"−reconstruction": (kl_weights, -found[:, 0]), "KL to the prior": (kl_weights, found[:, 1]),
             "−ELBO (their sum)": (kl_weights, found[:, 1] - found[:, 0])}, xlabel="kl_weight in training", ylabel="nats",
            log="x", alt="Reconstruction and KL trade against each other as the weight of the KL grows")

# %% [markdown]
# **Predict before you read it off.** Which weight has the best reconstructions, which the best ELBO, and which would you take to *sample*?
# <details><summary>Answer</summary>The smallest weight reconstructs best: its codes are nearly points. Then the $q(z|x)$ leave holes between them, and samples from the prior fall into the holes. The ELBO is best near weight 1, since that is what weight 1
# maximises. With the largest weight the KL is gone, and all samples look like the mean digit: collapse again, this time by command. For sampling, judge by the next picture: the same 14 noises, decoded by each of the four.</details>

# %% tags=["slide:vae.pros-cons"]
seed(19)
noise = torch.randn(14, 8)
with torch.no_grad():
    rows = {f"samples, kl_weight = {weight:g}": 2 * made.decode(noise).mean - 1 for weight, (made, _) in zip(kl_weights, runs)}
plots.gallery(rows, columns=14, alt="Samples after training with four weights of the KL")

# %% [markdown]
# To sample, take a weight of about ½ to 1. At 0.1 the strokes are dark and many are put together wrongly: the prior's draws fall between the codes. In the middle most are digits, the softer the larger the weight; at 8 every noise gives the same grey mean. The best ELBO and the nicest samples are neighbours here, and not the same thing.
#
# ## 12 · What this shares with the other families
#
# * **EM and mixtures** are the same bound with an exact E-step. **Diffusion (07)** is the same bound with a *fixed* encoder that adds noise, and many latents of the size of the data.
# * **Normalising flows (06)** are the limit of a deterministic encoder and its inverse: no gap, and no compression either. A flow may serve as this model's prior or posterior (**03**).
# * **Vector quantisation (04)** makes $z$ discrete; **latent-space models (10)** train a second generator on the codes.
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | VAE | yes | a bound; tighter with $k$ importance samples | one | low-dimensional, with an encoder |
#
# ## Homework
#
# Seven exercises, nine points. Deviations come as `log_std`. KL and log-likelihood are *sums* over the coordinates of a sample; a loss is a *mean* over the batch. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the reference takes
# your place so that everything below still runs.
#
# **Exercise 2.1 · the KL of a diagonal Gaussian (1 point).** $\mathrm{KL}\big(\mathcal N(\mu,\operatorname{diag}\sigma^2)\,\Vert\,\mathcal N(0,I)\big)$, one number a sample.

# %% exercise="vae.gaussian_kl"
def gaussian_kl(mean, log_std):
    """KL to the standard normal, summed over the coordinates.     (B, D), (B, D)  ->  (B,)"""
    ### BEGIN SOLUTION
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)
    ### END SOLUTION

# %% check="vae.gaussian_kl" points=1
gaussian_kl = check("vae.gaussian_kl", gaussian_kl)

# %% [markdown]
# **Exercise 2.2 · the negative log-likelihood of a Gaussian (1 point).** $-\log\mathcal N(x;\mu,\operatorname{diag}\sigma^2)$, one number a sample, constant included.

# %% exercise="vae.gaussian_nll"
def gaussian_nll(x, mean, log_std):
    """Minus the log-density, summed over the coordinates.     (B, D) three times  ->  (B,)"""
    ### BEGIN SOLUTION
    return (0.5 * ((x - mean) / log_std.exp()) ** 2 + log_std + 0.5 * math.log(2 * math.pi)).sum(1)
    ### END SOLUTION

# %% check="vae.gaussian_nll" points=1
gaussian_nll = check("vae.gaussian_nll", gaussian_nll)

# %% [markdown]
# **Exercise 2.3 · the reparameterisation trick (1 point).** The noise `eps` is given. Gradients must reach `mean` and `log_std`; the check looks at them.

# %% exercise="vae.reparameterise"
def reparameterise(mean, log_std, eps):
    """A draw from N(mean, σ²).     (B, D) three times  ->  (B, D)"""
    ### BEGIN SOLUTION
    return mean + log_std.exp() * eps
    ### END SOLUTION

# %% check="vae.reparameterise" points=1
reparameterise = check("vae.reparameterise", reparameterise)

# %% [markdown]
# **Exercise 2.4 · the loss of a VAE (2 points).** Bits `x` and the decoder's `logits`; the encoder's Gaussian in another number of dimensions. The mean over the batch of: cross-entropy *summed* over the pixels, plus `kl_weight` times the KL *summed* over the latent coordinates.

# %% exercise="vae.loss"
def vae_loss(x, logits, mean, log_std, kl_weight):
    """Minus the ELBO where kl_weight is 1.     x, logits (B, D), mean, log_std (B, d), a number  ->  ()"""
    ### BEGIN SOLUTION
    cross = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    return (cross + kl_weight * gaussian_kl(mean, log_std)).mean()
    ### END SOLUTION

# %% check="vae.loss" points=2
vae_loss = check("vae.loss", vae_loss)

# %% [markdown]
# **Exercise 2.5 · the importance-weighted bound (1 point).** For each image $k$ latents were drawn from $q(z\mid x)$; row $j$ of each table belongs to draw $j$. Return $\log\frac1k\sum_j w_j$ with $w_j=p(x\mid z_j)\,p(z_j)/q(z_j\mid x)$. The logarithms may be near $-900$.

# %% exercise="vae.iwae_bound"
def iwae_bound(log_p_x, log_p_z, log_q_z):
    """log of the average weight.     log p(x|z), log p(z), log q(z|x), each (k, B)  ->  (B,)"""
    ### BEGIN SOLUTION
    log_w = log_p_x + log_p_z - log_q_z
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))
    ### END SOLUTION

# %% check="vae.iwae_bound" points=1
iwae_bound = check("vae.iwae_bound", iwae_bound)

# %% [markdown]
# **Exercise 2.6 · a step of EM (2 points).** A mixture of $K$ Gaussians with one common deviation, a number: $p(x)=\sum_k w_k\,\mathcal N(x;m_k,\sigma^2I)$. Return the responsibilities (E) and the new means (M), in this order.

# %% exercise="vae.em_step"
def em_step(x, weights, means, std):
    """E and M.     x (B, D), weights (K,), means (K, D), std a number  ->  (B, K), (K, D)"""
    ### BEGIN SOLUTION
    scores = weights.log() - ((x[:, None] - means) ** 2).sum(-1) / (2 * std**2)
    r = scores.softmax(1)
    return r, r.T @ x / r.sum(0)[:, None]
    ### END SOLUTION

# %% check="vae.em_step" points=2
em_step = check("vae.em_step", em_step)

# %% [markdown]
# **Exercise 2.7 · log p(x) without a bound (1 point).** $x=Wz+b+\sigma\varepsilon$ with standard normal $z$ and $\varepsilon$. What is the mean of $x$, what its covariance? Return $\log p(x)$.

# %% exercise="vae.ppca_log_likelihood"
def ppca_log_likelihood(x, weight, bias, std):
    """The marginal of probabilistic PCA.     x (B, D), weight (D, d), bias (D,), std a number  ->  (B,)"""
    ### BEGIN SOLUTION
    cov = weight @ weight.T + std**2 * torch.eye(len(weight), dtype=x.dtype, device=x.device)
    away = x - bias
    squares = (away * torch.linalg.solve(cov, away.T).T).sum(1)
    return -0.5 * (squares + torch.logdet(cov) + x.shape[1] * math.log(2 * math.pi))
    ### END SOLUTION

# %% check="vae.ppca_log_likelihood" points=1
ppca_log_likelihood = check("vae.ppca_log_likelihood", ppca_log_likelihood)

# %% [markdown]
# **Now put your pieces together.** Your reparameterisation and your loss train a VAE of the small digits; your importance-weighted bound judges it. (Where a piece is still missing the reference stands in.)

# %%
seed(20)
encode, decode = torch.nn.Sequential(Layer(64, 64), act, Layer(64, 2 * d)), torch.nn.Sequential(Layer(d, 64), act, Layer(64, 64))
optimizer, steps = torch.optim.Adam([*encode.parameters(), *decode.parameters()]), budget(quick=1000, full=5000)
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
    batch = bits.sample(128).flatten(1).float()
    mean, log_std = encode(batch).chunk(2, 1)
    z = reparameterise(mean, log_std, torch.randn_like(mean))
    optimizer.zero_grad()
    vae_loss(batch, decode(z), mean, log_std, 1.0).backward()
    optimizer.step()

# %%
@torch.no_grad()
def yours_in_nats(k):
    x, rows = held.flatten(1).float(), []
    mean, log_std = encode(x).chunk(2, 1)
    zero = torch.zeros_like(mean)
    for _ in range(k):
        z = reparameterise(mean, log_std, torch.randn_like(mean))
        rows.append((vae.IndependentBernoulli(decode(z)).log_prob(x), -gaussian_nll(z, zero, zero), -gaussian_nll(z, mean, log_std)))
    return float(iwae_bound(*map(torch.stack, zip(*rows))).mean())

print(f"your VAE on {len(held)} held-out small digits: −log p(x) at most {-yours_in_nats(1):.2f} nats with k = 1, "
      f"at most {-yours_in_nats(100):.2f} with k = 100")
with torch.no_grad():
    made = decode(torch.randn(28, d)).sigmoid().view(-1, 1, 8, 8)
plots.images(2 * made - 1, columns=14, alt="Small digits from the reader's own VAE")

# %% [markdown]
# **Written (think, then unfold).** *Your VAE has a KL of 0.3 nats and good samples. Is that a contradiction?*
# <details><summary>Answer</summary>Not if the decoder is strong: then it generates by itself and ignores z (posterior collapse). With a decoder that sees nothing but z it would be: 0.3 nats cannot tell ten classes apart, so all samples would look alike.</details>
#
# *Why is the KL in this loss never computed from samples, and the reconstruction never in closed form?*
# <details><summary>Answer</summary>Between two diagonal Gaussians the KL is a formula, which has no noise. The reconstruction is an average of log p(x|z) through a network, and no formula is known for that. With another prior (a mixture, a flow) the KL is sampled as well.</details>
#
# ## References
#
# * Kingma, Welling: *Auto-Encoding Variational Bayes*, 2013; *An Introduction to Variational Autoencoders*, 2019. Rezende, Mohamed, Wierstra: *Stochastic Backpropagation and Approximate Inference*, 2014.
# * Tipping, Bishop: *Probabilistic Principal Component Analysis*, 1999. Neal, Hinton: *A View of the EM Algorithm*, 1998. Dempster, Laird, Rubin, 1977.
# * Burda, Grosse, Salakhutdinov: *Importance Weighted Autoencoders*, 2016. Cremer, Li, Duvenaud: *Inference Suboptimality in Variational Autoencoders*, 2018.
# * Bowman et al.: *Generating Sentences from a Continuous Space*, 2016 (posterior collapse). Higgins et al.: *beta-VAE*, 2017.
# * Sohn, Lee, Yan: *Learning Structured Output Representation using Deep Conditional Generative Models*, 2015. Baldi, Hornik: *Neural Networks and Principal Component Analysis*, 1989.
