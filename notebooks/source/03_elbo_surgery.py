# %% [markdown]
# # 03 · ELBO surgery and learned priors
#
# *Lecture 5 (autumn 2025), "ELBO Surgery", "Variational Posterior", "Learnable VAE Prior" and "NF-Based VAE Prior"*
#
# **The promise.** The bound of notebook 02 has a part that buys nothing, and it is the only part that knows the prior. At the end you have cut it out with a formula that you can check to many digits, seen where in
# the latent plane it sits and what it does to samples, and made a trained VAE better by more than a nat *without touching its encoder or decoder*: by exchanging the prior, in one line, five times.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; everything here is small, and no GPU is needed |
# | **you need** | notebook 02 (the ELBO, encoder, decoder, KL); for sections 8 and 9 a look at flows, which notebook 06 treats in full |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions**
#
# | what | here | the slides |
# |---|---|---|
# | posteriors of $n$ data | `q`, one object that holds all $n$ Gaussians | $q(\mathbf z\mid\mathbf x_i,\phi)$ |
# | aggregated posterior | `agg`, their average: a mixture of $n$ Gaussians | $q_{\text{agg}}(\mathbf z\mid\phi)$ |
# | the three terms | nats a datum, means over the data: reconstruction, mutual information, marginal KL | RL, MI, Marginal KL; the slide's "Reconstruction Loss" is a log-likelihood, so *large* is good |
# | a prior | any object with `log_prob(z)` and `sample(n)`; $\lambda$ are its weights, if it has any | $p(\mathbf z)$, $p(\mathbf z\mid\boldsymbol\lambda)$ |
# | a flow as a prior | $\mathbf z^*=\mathbf f(\mathbf z)$ towards the noise; `ladj` $=\log\lvert\det\partial\mathbf z^*/\partial\mathbf z\rvert$ | the same |

# %%
import torch
from dgm_course import data, flows, nets, pretrained, vae
from dgm_course.training import Recipe, fit, linear
from dgm_course.teach import FramePlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.teach.plots import latent as latent_plots, priors as prior_plots
from dgm_course.core.tensors import budget, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Notebook 02 ended with a VAE of digits that has two hidden numbers, and with a question: the codes of all digits *together* ought to look like one draw from $\mathcal N(0,I)$. Do they? Encode 4,000 training digits; each becomes
# a small Gaussian of the plane. If the cloud has another shape than the prior, so much the worse for the prior: **fit another one to the cloud**. Here a mixture of twelve Gaussians, in bare torch, by maximum likelihood, while
# encoder and decoder stand still.

# %%
mnist, plane = data.mnist(), pretrained.load("vae_plane_digits")
with torch.no_grad():
    q = plane.encode(data.DynamicallyBinarized(mnist.train).fixed())                            # 4,000 Gaussians of the plane
    unseen = plane.encode(data.DynamicallyBinarized(mnist.test).fixed())                        # 1,000, of digits nobody has trained on
print(q)

# %% tags=["slide:surgery.learnable-prior"]
seed(0); torch.set_num_threads(1)
log_2pi = torch.tensor(2 * torch.pi).log()
logits, means, log_stds = (t.requires_grad_() for t in (torch.zeros(12), torch.randn(12, 2), torch.full((12, 2), -0.5)))
optimizer = torch.optim.Adam([logits, means, log_stds], lr=3e-2)

def log_normal(z, mean, std):
    return (-0.5 * ((z - mean) / std) ** 2 - std.log() - 0.5 * log_2pi).sum(-1)

def log_prior(z):
    """log Σ_k w_k N(z; m_k, s_k²).     (B, 2)  ->  (B,)"""
    return (logits.log_softmax(0) + log_normal(z[:, None], means, log_stds.exp())).logsumexp(1)

for step in range(budget(quick=600, full=3000)):
    i = torch.randint(len(q.mean), (256,))
    z = q.mean[i] + q.stddev[i] * torch.randn(256, 2)                              # a code of a training digit
    optimizer.zero_grad()
    log_prior(z).mean().neg().backward()                                        # maximum likelihood, and that is all
    optimizer.step()

# %% [markdown]
# *Look for* the difference between the first two pictures: the cloud of codes is no disc. It has a dense heart and long arms (zeros to the left, ones to the right, threes below), and between the arms there is less than $\mathcal N(0,I)$ puts there
# (the circle has radius 2). The third picture has noticed.

# %% tags=["slide:surgery.learnable-prior"]
axes = plots.panels(3, 2.9, height=3.5)
latent_plots.codes(unseen.sample(), mnist.test_labels, ax=axes[0], circle=2.0, limit=3.6, title="codes of held-out digits")
for ax, log_p, name in ((axes[1], plane.prior.log_prob, "prior $N(0, I)$"), (axes[2], log_prior, "twelve Gaussians, fitted")):
    plots.density_map(lambda z, log_p=log_p: log_p(z.float()), ax=ax, limit=3.6, title=name)
plots.shown(axes, alt="Codes of held-out digits by class, beside the standard normal and the fitted mixture")

# %% [markdown]
# What is it worth? The prior enters the ELBO in one place only, as $\mathbb E_q\log p(z)$. So on held-out digits the bound rises by the mean of $\log p_\lambda(z)-\log\mathcal N(z;0,I)$ over their codes:

# %% tags=["slide:surgery.learnable-prior"]
def format_values(values):
    """mean ± standard error over the images.     values (draws, images)"""
    each = values.detach().mean(0)
    return f"{float(each.mean()):6.2f} ± {float(each.std()) / len(each) ** 0.5:.2f} nats"

seed(1)
z = unseen.sample(16)
rise = torch.stack([log_prior(row) - log_normal(row, torch.zeros(2), torch.ones(2)) for row in z])
print(f"the ELBO of 1,000 held-out digits rises by {format_values(rise)}; encoder and decoder are untouched")

mixture = vae.MixturePrior(12, 2)
mixture.load_state_dict({"logits": logits, "means": means, "log_stds": log_stds})
better = plane.with_prior(mixture)                                              # the library: a prior is passed in
verify("surgery.learnable-prior", mixture.loss(z[0]), -log_prior(z[0]).mean(), what="library loss = the bare lines",
       tolerance=1e-5)
print(better)

# %% [markdown]
# A fraction of a nat, for twelve Gaussians and seconds of work. Four things should puzzle you:
#
# 1. Which part of the bound did this change, and how much of it is there? (Sections 1 to 3.)
# 2. If one may choose the prior after the fact, which is the best of all? And why is it not used? (Sections 4 and 6.)
# 3. What do the places look like where $\mathcal N(0,I)$ is wrong? (Section 5.)
# 4. Why maximum likelihood, and what else can serve as a prior? (Sections 7 to 9; there the gain is more than a nat.)
#
# ## 1 · Surgery: one KL is two
# *Slides "ELBO Surgery" (theorem and proof)*
#
# Average the bound over the $n$ data. Its KL term compares each *single* posterior with the prior. The theorem (Hoffman and Johnson 2016) cuts that average in two:
#
# $$\frac1n\sum_i\mathrm{KL}\big(q(z\mid x_i)\,\Vert\,p(z)\big)=\underbrace{\mathrm{KL}\big(q_{\text{agg}}(z)\,\Vert\,p(z)\big)}_{\text{marginal KL}}+\underbrace{\mathbb I_q[x,z]}_{\text{mutual information}},\qquad q_{\text{agg}}(z)=\frac1n\sum_iq(z\mid x_i).$$
#
# The proof multiplies and divides by $q_{\text{agg}}$ inside the logarithm. Take five posteriors on a line, where integrals are sums over a fine grid, and evaluate its lines one by one. On the right of the first check stands the closed formula for Gaussians, which knows nothing of
# $q_{\text{agg}}$.

# %% tags=["slide:surgery.theorem", "slide:surgery.mi-definition"]
five = vae.DiagNormal(torch.tensor([[-2.2], [-1.3], [0.2], [0.6], [2.4]]).double(),
                            torch.tensor([[0.5], [0.3], [0.4], [0.9], [0.6]]).double())
normal, n = vae.StandardNormal(1).double(), torch.tensor(5.0).double()
nodes, cell = oracles.lattice(1)
log_q, log_p = oracles.density_on(nodes, five), normal.log_prob(nodes)      # (5, nodes), (nodes,)
log_agg = (log_q.exp().sum(0) / 5).log()
marginal = (log_q.exp() * (log_agg - log_p)).mean(0).sum() * cell               # the proof's line 3, first half
mutual = (log_q.exp() * (log_q - log_agg)).mean(0).sum() * cell                 # ... and second half
closed = vae.gaussian_kl(five, normal).mean()
verify("surgery.theorem", marginal + mutual, closed, what="KL(q_agg ‖ p) + I = mean KL(q_i ‖ p)")
verify("surgery.theorem", marginal, oracles.kl(log_agg, log_p, cell), what="mean ∫ q_i log(q_agg/p) = KL(q_agg ‖ p)")
print(f"mean KL {float(closed):.4f} = marginal KL {float(marginal):.4f} + mutual information {float(mutual):.4f} nats")

# %% [markdown]
# *Look at* the three kinds of curves: five thin ones, each with its fifth of the mass; their sum, which is $q_{\text{agg}}$; the prior. The mutual information is about how different the thin ones are from the thick one; the marginal KL is about the thick one and the dashed one.

# %% tags=["slide:surgery.theorem"]
prior_plots.posteriors(nodes[:, 0][100:300], log_q[:, 100:300], log_p=log_p[100:300],
                       alt="Five narrow posteriors on a line, their average with three humps, and the standard normal prior")

# %% [markdown]
# Is that second term really a mutual information? Information is what is learned about one thing by seeing another. Draw a datum $i$ at random ($\log n$ nats of uncertainty), draw $z$ from its posterior, and let somebody guess $i$ from $z$. By Bayes' rule their belief is
# $r_i(z)=q(z\mid x_i)\big/\sum_jq(z\mid x_j)$, with an entropy $H(r(z))$ that is still left:
#
# $$\mathbb I_q[x,z]=\frac1n\sum_i\mathrm{KL}\big(q(z\mid x_i)\,\Vert\,q_{\text{agg}}(z)\big)=\log n-\mathbb E_{q_{\text{agg}}}H\big(r(z)\big).$$
#
# An entropy over $n$ possibilities lies between 0 and $\log n$. So the information does, too.

# %% tags=["slide:surgery.mi-definition"]
belief = log_q.softmax(0)                                                       # r_i(z) at every node
left = torch.special.entr(belief).sum(0)                                        # its entropy
verify("surgery.mi-definition", mutual, n.log() - (log_agg.exp() * left).sum() * cell,
       what="mean KL(q_i ‖ q_agg) = log n − E H(x|z)")
seed(2)
many = vae.DiagNormal(4 * torch.rand(200, 5, 1).double() - 2, 0.05 + 2 * torch.rand(200, 5, 1).double())
rows = torch.stack([oracles.density_on(nodes, vae.DiagNormal(m, s)) for m, s in zip(many.mean, many.stddev)])
found = torch.stack([oracles.surgery(row, log_p, cell)[0] for row in rows])
print(f"200 random sets of five posteriors: information from {float(found.min()):.3f} to {float(found.max()):.3f}, "
      f"log 5 = {float(n.log()):.3f}")
assert ((found > 0) & (found < n.log())).all()

# %% [markdown]
# ### The same on a trained VAE
#
# A small VAE of 8 × 8 digits, trained here, two hidden numbers. While it trains, `vae.surgery` cuts its bound at a dozen moments (section 3 will draw them). It draws codes from the encoder, so its terms carry standard errors; $q_{\text{agg}}$ is the exact mixture over the $n$ data that it is given.

# %% tags=["slide:surgery.revisited"]
small = data.digits()
training, some = data.DynamicallyBinarized(small.train), data.DynamicallyBinarized(small.train[:400]).fixed()   # `some`: what surgery looks at
net, moments, cuts = nets.DenseNet, [0, 3, 6, 10, 15, 20, 30, 40, 60, 90, 140, 220, 350, 550, 800], {}
seed(3)
little = vae.VAE(vae.GaussianHead(net(64, (2, 2), 64, 1), 2), vae.BernoulliHead(net(2, (1, 8, 8), 64, 1), (1, 8, 8)),
                 vae.StandardNormal(2))
show, last = progress("a small VAE"), budget(quick=800, full=5000)

def watch(history):
    show(history)
    if history.step in moments or history.finished:
        with torch.random.fork_rng():                                           # the training does not notice
            cuts[history.step] = vae.surgery(little, some, 8)

fit(little, training, Recipe(last, 128, 4e-3, decay=linear), report=watch)
print(cuts[last])

# %% [markdown]
# Now the theorem on this network. If all three terms were means over the same draws, they would add up by cancellation whatever they were. So take them by different roads: the marginal KL as a sum over a grid of the plane, the information from 64 draws of each code, the mean KL in closed form.

# %% tags=["slide:surgery.theorem"]
seed(4)
with torch.no_grad():
    codes = little.encode(some)
    nodes2, cell2 = oracles.lattice(2, 5.0, 200)
    wide = vae.DiagNormal(codes.mean.double(), codes.stddev.double())
    log_agg2 = vae.AggregatedPosterior(wide).log_prob(nodes2)
    marginal2 = oracles.kl(log_agg2, vae.StandardNormal(2).double().log_prob(nodes2), cell2)
    draws = wide.sample(64)
    informative = wide.log_prob(draws) - vae.AggregatedPosterior(wide).log_prob(draws.flatten(0, 1)).view(64, -1)
mean_kl = vae.gaussian_kl(wide, vae.StandardNormal(2).double()).mean()
verify("surgery.theorem", estimate(informative.mean(1)), mean_kl - marginal2,
       what="trained VAE: I, sampled, = mean KL, closed, − KL(q_agg ‖ p), on a grid")
reveal(vae.surgery)

# %% [markdown]
# ## 2 · How much can a code tell? Between 0 and log n
# *Slide "ELBO Surgery": the second term "reduces the amount of information about x encoded in z"*
#
# Eight posteriors in a row, one unit apart, all of one width. The slider is the width.
#
# **Predict before you drag.** What is the information when the posteriors are as narrow as needles? When they are very wide? And what is it worth to you, as a decoder, at either end?
# <details><summary>Answer</summary>Needles: z gives the datum away completely, and the information is log 8, about 2.08 nats; it cannot be more, because there is no more to know. Very wide: all posteriors coincide, z tells nothing, the information is 0. A decoder likes the left end (it can reconstruct);
# the KL in the bound charges for it, nat by nat. Training settles where the next nat of information buys just one nat of reconstruction.</details>

# %% tags=["slide:surgery.mi-definition"]
row_of_eight, fine_line = torch.arange(8).double()[:, None] - 3.5, 1.6 * nodes

def posteriors_of(width):
    """log q(z|x_i) of eight posteriors of one width, at the nodes, and their mutual information."""
    rows = oracles.density_on(fine_line, vae.DiagNormal(row_of_eight, width))
    return rows, float(oracles.surgery(rows, rows.mean(0), 1.6 * cell)[0])

def distinguished(width):
    rows, information = posteriors_of(width)
    axes = plots.panels(1, 3.6, height=2.8)
    prior_plots.posteriors(fine_line[:, 0], rows, ax=axes[0], legend=False,
                           title=f"I = {information:.2f} nats: a choice among {torch.tensor(information).exp():.1f}")
    axes[0].set_xlim(-8, 8)
    return axes

play(distinguished, width=(0.1, 3.1, 0.05, 0.3))

# %% [markdown]
# All widths at once, between the two ends that were predicted. *Look for* the place where the curve leaves its ceiling: about where neighbours, one unit apart, begin to overlap.

# %% tags=["slide:surgery.mi-definition"]
widths = torch.logspace(-1.3, 1.5, 30)
plots.curves({"mutual information of eight posteriors": (widths, [posteriors_of(float(w))[1] for w in widths]),
             "exact upper end, $\\log\\,8$": (widths, [float(torch.tensor(8.0).log())] * 30),
             "exact lower end, 0": (widths, [0.0] * 30)}, xlabel="width of the posteriors", ylabel="nats", log="x",
            alt="The information falls from log 8 for narrow posteriors to 0 for wide ones")

# %% [markdown]
# The upper end matters in practice. Here is the surgery of the *large* VAE of notebook 02 (32 hidden numbers), over more and more training digits:

# %% tags=["slide:surgery.mi-definition", "slide:surgery.revisited"]
large = pretrained.load("vae_digits")
train_bits, test_bits = data.DynamicallyBinarized(mnist.train).fixed(), data.DynamicallyBinarized(mnist.test).fixed()
seed(5)
for count in (30, 100, 300, 1000):
    cut = vae.surgery(large, train_bits[:count], 4)
    print(f"n = {count:5}: information {cut.mutual_information.mean:6.3f} (log n = {cut.most:.3f})   "
          f"marginal KL {cut.marginal_kl.mean:5.2f}   mean KL {cut.kl.mean:5.2f} nats")

# %% [markdown]
# The information sits at its ceiling: among a thousand digits, a code gives its own away practically always. Then the marginal KL is the mean KL minus $\log n$, and *falls as n grows*. Keep this in mind: $q_{\text{agg}}$ of the data in hand promises many nats, and most of them are the promise to recognise
# these very data. How many remain for digits that nobody has seen, we measure in sections 6 and 9.
#
# ## 3 · The bound in three pieces
# *Slide "ELBO Surgery: ELBO Revisiting"*
#
# $$\frac1n\sum_i\mathcal L(x_i)=\underbrace{\frac1n\sum_i\mathbb E_{q(z\mid x_i)}\log p(x_i\mid z)}_{\text{reconstruction}}-\underbrace{\mathbb I_q[x,z]}_{\text{MI}}-\underbrace{\mathrm{KL}\big(q_{\text{agg}}(z)\,\Vert\,p(z)\big)}_{\text{marginal KL}}$$
#
# The prior appears only in the last term. On the left of the check: the library's ELBO. On the right: the reconstruction from fresh draws, and both other terms by sums over the grid, from each posterior's density there.

# %% tags=["slide:surgery.revisited"]
seed(6)
with torch.no_grad():
    bounds = torch.stack([little.elbo(some).mean() for _ in range(64)])
    reconstruction = little.log_likelihood(some, little.encode(some).sample(64)).mean(1)
    mutual2 = torch.stack([oracles.kl(oracles.density_on(nodes2, vae.DiagNormal(m[None], s[None])), log_agg2, cell2)
                           for m, s in zip(wide.mean, wide.stddev)]).mean()
verify("surgery.revisited", estimate(bounds), estimate(reconstruction.double() - mutual2 - marginal2),
       what="mean ELBO = reconstruction − MI − marginal KL")

# %% [markdown]
# *Look for* the order in which things happen (the axis is logarithmic). First the decoder learns the average digit (left, the steep part). The codes know nothing yet, and still the marginal KL shoots up: all posteriors leave the prior *together*, which says nothing about any digit. Only then does information rise, and buy
# the rest of the reconstruction, while the marginal KL is pushed back towards 0.

# %% tags=["slide:surgery.revisited"]
steps = sorted(step for step in cuts if step)
axes = plots.panels(2, 3.9, height=2.8)
plots.curves({"−reconstruction": (steps, [-cuts[s].reconstruction.mean for s in steps]),
             "−ELBO": (steps, [-cuts[s].elbo for s in steps])}, ax=axes[0], xlabel="training step", ylabel="nats a digit")
plots.curves({"mutual information": (steps, [cuts[s].mutual_information.mean for s in steps]),
             "marginal KL": (steps, [cuts[s].marginal_kl.mean for s in steps])}, ax=axes[1], xlabel="training step",
            ylabel="nats a digit")
for ax in axes:
    ax.set_xscale("log")
plots.shown(axes, alt="Over training: reconstruction improves; the marginal KL rises first and falls again while information rises")

# %% [markdown]
# **Predict before you read on.** In this small model the marginal KL ends close to 0. Does that mean that $\mathcal N(0,I)$ was the right prior, or that the encoder has bent to it?
# <details><summary>Answer</summary>The second is at work: the term is a force on the encoder as much as a bill for the prior. A decoder with room to spare can undo the bending, and then it costs little. Section 6 has a world where it costs a great deal, and section 9 a decoder of real digits where more than a nat is left lying.</details>
#
# ## 4 · The best prior of all
# *Slide "Optimal VAE Prior"*
#
# $$\mathrm{KL}\big(q_{\text{agg}}\,\Vert\,p\big)=0\iff p(z)=q_{\text{agg}}(z)=\frac1n\sum_iq(z\mid x_i)$$
#
# *If*: put $q_{\text{agg}}$ in as the prior, in one line, and the ELBO must rise by exactly the marginal KL that we found on the grid. *Only if*: for every other prior the KL is at least half the square of the total difference $\int\lvert q_{\text{agg}}-p\rvert$ (Pinsker), so it vanishes only where nothing differs; four hundred random priors try.

# %% tags=["slide:surgery.optimal-prior"]
best = little.with_prior(vae.AggregatedPosterior(codes))                        # the one line
seed(7)
with torch.no_grad():
    z = codes.sample(64)                                                        # the same codes for both: all else is equal
    gains = (best.log_prior(z) - little.log_prior(z)).mean(1)
verify("surgery.optimal-prior", estimate(gains), marginal2, what="gain of the ELBO with p = q_agg is the marginal KL")
as_prior = vae.AggregatedPosterior(five)
verify("surgery.optimal-prior", oracles.kl(log_agg, as_prior.log_prob(nodes), cell), 0.0, scale=float(marginal),
       what="KL(q_agg ‖ p) = 0 where p = q_agg")
tried = 0.01 + 3 * torch.rand(400, 4, 1).double()
others = torch.stack([(oracles.density_on(nodes, vae.DiagNormal(3 * m - 4, s)).exp().mean(0)).log()
                      for m, s in zip(tried, 0.3 + tried.flip(0))])
each = oracles.kl(log_agg, others, cell)
total = (log_agg.exp() - others.exp()).abs().sum(1) * cell
assert (each >= total**2 / 2).all()
print(f"400 other priors: the smallest KL(q_agg ‖ p) is {float(each.min()):.3f}, never below ½(∫|q_agg − p|)²")

# %% [markdown]
# Between the two priors lies a road: $p_s=(1-s)\,\mathcal N(0,1)+s\,q_{\text{agg}}$. *Look for* where the last nats are won.

# %% tags=["slide:surgery.optimal-prior"]
shares = torch.linspace(0, 1, 41).double()
road = torch.stack([((1 - s) * log_p.exp() + s * log_agg.exp()).log() for s in shares])
plots.curves({"mean ELBO gained over $N(0, 1)$": (shares, marginal - oracles.kl(log_agg, road, cell)),
             "exact marginal KL, all there is to gain": ([0, 1], [float(marginal)] * 2)},
            xlabel="share $s$ of the aggregated posterior in the prior", ylabel="nats a datum",
            alt="The gain rises steeply at first and reaches the marginal KL exactly where the prior is the aggregated posterior")

# %% [markdown]
# Most is won early: a prior that is *roughly* right, and gives no code a tiny probability, has most of the gain. That is good news for learned priors, which will never be $q_{\text{agg}}$ itself.
#
# ## 5 · Holes and pockets
# *Slide "Variational Posterior": the mismatch between $p(z)$ and $q_{\text{agg}}(z)$*
#
# The slide's two pictures, for the digits of section 0. The prior draws codes where no digit lives (**holes**, blue) and seldom draws where digits crowd (**pockets**, red). Six places of each kind are numbered; below, what they decode to. *Look for* the difference between the two rows.

# %% tags=["slide:surgery.mismatch"]
agg = vae.AggregatedPosterior(q)
lattice = oracles.lattice(2, prior_plots.LIMIT, 90)[0].float()
with torch.no_grad():
    log_ratio = agg.log_prob(lattice) - plane.prior.log_prob(lattice)
    here, there = agg.log_prob(lattice).exp(), plane.prior.log_prob(lattice).exp()

def six(score):
    """Six places of the highest score, none nearer than 0.7 to another."""
    chosen, score = [], score.clone()
    while len(chosen) < 6:
        chosen.append(lattice[score.argmax()])
        score[(lattice - chosen[-1]).norm(dim=1) < 0.7] = -torch.inf
    return torch.stack(chosen)

smooth = lambda values: torch.nn.functional.avg_pool2d(values.view(1, 1, 90, 90), 5, 1, 2).flatten()
holes, pockets = six(smooth(there - here)), six(smooth(here - there))
prior_plots.mismatch(smooth(here - there), holes, pockets, title="$q_{agg} - p$ over the latent plane",
                     alt="Blue holes between the classes and red pockets where codes crowd, twelve places numbered")

# %% tags=["slide:surgery.mismatch"]
with torch.no_grad():
    decoded = {f"decoded from the six {name}": 2 * plane.decode(z).mean - 1 for name, z in (("holes", holes), ("pockets", pockets))}
plots.gallery(decoded, columns=6, alt="Blends of two digits from the holes, plain digits from the pockets")

# %% [markdown]
# Now look yourself. **Move the cursor**: the two columns beside each digit are the densities around that place, the prior's (grey) and the aggregated posterior's (ink; full where the codes crowd). Where grey is taller than ink you are in a hole.
#
# **Predict before you look.** The holes lie between the classes. Why can the decoder not simply have learned to draw something decent there?
# <details><summary>Answer</summary>It has never been there. The decoder is trained on codes of data only, that is on draws from the aggregated posterior; what it does elsewhere is what its smoothness makes of the neighbours, a blend of two digits.</details>

# %% tags=["slide:surgery.mismatch"]
side = torch.linspace(-2.6, 2.6, 23)
places = torch.cartesian_prod(-side, side).flip(1)                              # first row on top
with torch.no_grad():
    sheet = plane.decode(places).mean.view(23, 23, 28, 28)
    around = places[:, None] + 0.06 * torch.randn(30, 2)                        # a small neighbourhood of each place
    grey, ink = (p.log_prob(around.flatten(0, 1)).exp().view(-1, 30).mean(1).view(23, 23) * 6 for p in (plane.prior, agg))
FramePlayer(prior_plots.with_meters(sheet, grey, ink), plane=(side, -side), size=620,
            label="The latent plane decoded; beside each digit the density of the prior in grey, of the codes in ink")

# %% [markdown]
# The slide reports a belief: this mismatch is the main cause of blurry samples. Beliefs about pictures can be measured. Draw codes from the prior, sort them by $\log q_{\text{agg}}-\log p$, and ask of each decoded picture: is the classifier of the course sure of it (above 90 %), and how many of its pixels are grey, neither ink nor paper?

# %% tags=["slide:surgery.mismatch"]
judge = pretrained.load("digit_classifier")

@torch.no_grad()
def looked_at(model, z):
    """Share of pictures that the classifier is sure of; share of grey pixels."""
    p = torch.cat([model.decode(part).mean for part in z.split(500)])
    sure = torch.cat([judge(2 * part - 1).softmax(1).amax(1) > 0.9 for part in p.split(500)])
    return float(sure.float().mean()), float(((p > 0.1) & (p < 0.9)).float().mean())

seed(8)
z = plane.latents(2000)
with torch.no_grad():
    order = (agg.log_prob(z) - plane.prior.log_prob(z)).argsort()
for name, part in (("deepest in holes", order[:500]), ("", order[500:1000]), ("", order[1000:1500]), ("in pockets", order[1500:])):
    sure, grey_share = looked_at(plane, z[part])
    print(f"quarter of the prior's draws {name:17}: the classifier is sure of {sure:4.0%}, grey pixels {grey_share:.1%}")
sure, grey_share = looked_at(plane, agg.sample(500))
print(f"{'drawn from q_agg itself':46}: the classifier is sure of {sure:4.0%}, grey pixels {grey_share:.1%}")

# %% [markdown]
# (The last line is an average over all places where codes are, the far arms included; pockets are where they crowd.) The holes spoil *what is drawn* most: half the pictures from there are no clear digit. Of the blur they explain a part; even codes of real digits decode to much grey, since two hidden numbers cannot say more (notebook 02 measured that other part). Section 9 asks again with 32 numbers.
#
# ## 6 · Neither too little nor too much
# *Slide "Optimal VAE Prior": standard Gaussian ⇒ over-regularisation; $q_{\text{agg}}$ ⇒ overfitting and computationally expensive*
#
# **Too stiff.** Data from eight small clusters on a ring, a world whose $\log p(x)$ is known. The same VAE twice, same start, same steps: once under $\mathcal N(0,I)$, once under a mixture prior that is *learned along* with encoder and decoder (it is a module, so `fit` trains it). *Look for* who pays what.

# %% tags=["slide:surgery.prior-choices"]
ring = data.eight_gaussians()

def trained_under(make_prior, name):
    """A VAE of the ring: encoder, decoder, and the prior that make_prior gives for this encoder, all trained together."""
    seed(9)
    encoder, decoder = vae.GaussianHead(net(2, (2, 2), 64, 2), 2), vae.SharedGaussianHead(net(2, 2, 64, 2), (2,), 0.5)
    model = vae.VAE(encoder, decoder, make_prior(encoder))
    fit(model, ring, Recipe(budget(quick=1000, full=5000), 128, 1e-2, decay=linear), report=progress(name))
    cut = vae.surgery(model, points, 8)
    print(f"{name:16} reconstruction {cut.reconstruction.mean:6.2f}   MI {cut.mutual_information.mean:5.2f}   "
          f"marginal KL {cut.marginal_kl.mean:5.2f}   ELBO {cut.elbo:6.2f} nats")
    return model

seed(10)
points = ring.sample(1000)
stiff = trained_under(lambda encoder: vae.StandardNormal(2), "N(0, I)")
free = trained_under(lambda encoder: vae.MixturePrior(16, 2), "learned mixture")
print(f"{'exact':16} log p(x) {float(ring.log_prob(points).mean()):6.2f} nats")

# %% tags=["slide:surgery.prior-choices"]
seed(11)
axes = plots.panels(4, 2.2)
plots.points(points, ax=axes[0], title="data")
for ax, model, name in ((axes[1], stiff, "sampled: $N(0, I)$"), (axes[2], free, "sampled: learned")):
    plots.points(model.sample(1000), ax=ax, color=plots.BLUE, title=name)
plots.points(free.latents(1000), ax=axes[3], color=plots.GREY, title="the learned prior itself")
plots.shown(axes, alt="Eight clusters; samples under N(0, I) fill the gaps between them, under the learned prior they hardly do")

# %% [markdown]
# Eight clusters cannot be a continuous image of one round cloud. Under $\mathcal N(0,I)$ the encoder is pressed to fill the cloud anyway, and the decoder spends its samples on the bridges between clusters. The marginal KL is the smaller part of the damage: reconstruction suffers most. That is **over-regularisation**. The learned prior opens gaps where the data have gaps.
#
# **Too free.** The other extreme is the optimum of section 4 itself, $q_{\text{agg}}$ over the training data. Take the large VAE of digits, with more and more training digits in the prior, and measure on digits that are in it and on digits that are not.
#
# **Predict before you run.** On the training digits in it, what gain do you expect as $n$ grows? (Section 2 has the numbers.) On held-out ones?
# <details><summary>Answer</summary>In it: mean KL minus log n, some 15 nats and falling slowly. Held out: a code of a new digit lies far (in 32 dimensions!) from all the narrow Gaussians of the others, so its log q_agg is terrible, far below that of N(0, I). This is a lookup table, not a model.</details>

# %% tags=["slide:surgery.prior-choices"]
from time import process_time

seed(12)
with torch.no_grad():
    seen, new = large.encode(train_bits), large.encode(test_bits[:200])
gain_seen, gain_new, seconds, counts = [], [], [], [50, 150, 500, 1500, 4000]
for count in counts:
    lookup = vae.AggregatedPosterior(vae.DiagNormal(seen.mean[:count], seen.stddev[:count]))
    inside = lookup.sample(200)
    start = process_time()
    rises = [(lookup.log_prob(z) - large.prior.log_prob(z)).mean() for z in (inside, new.sample())]
    seconds.append(process_time() - start)
    for known, rise in zip((gain_seen, gain_new), rises):
        known.append(float(rise))
    print(f"q_agg of {count:4} training digits: ELBO of these {rises[0]:+6.1f}, of held-out digits {rises[1]:+6.1f} nats; "
          f"{seconds[-1] / 400 * 1e3:.2f} ms a code")

# %% tags=["slide:surgery.prior-choices"]
axes = plots.panels(2, 3.9, height=2.8)
plots.curves({"digits that are in it": (counts, gain_seen), "held-out digits": (counts, gain_new), "exact N(0, I)": (counts, [0] * 5)},
            ax=axes[0], xlabel="$n$, training digits in the prior", ylabel="ELBO gained, nats", log="x")
plots.curves({"one code": (counts, [1e3 * s / 400 for s in seconds])}, ax=axes[1], xlabel="$n$, training digits in the prior",
            ylabel="milliseconds (CPU)", log="xy")
plots.shown(axes, alt="The gain on digits in the prior is large, on held-out ones far below zero; the time grows in proportion to n")

# %% [markdown]
# Overfitting in its purest form, and the time of one evaluation grows in proportion to $n$ (with 59,000 digits it loses on held-out digits still). So the target is known, and must not be reached: we want something *near* $q_{\text{agg}}$ that is smooth and cheap. That is what a learned prior is.
#
# ## 7 · Learning the prior is maximum likelihood
# *Slide "Optimal VAE Prior: ELBO Revisiting" (forward KL divergence with respect to $p(z\mid\lambda)$)*
#
# $$\nabla_\lambda\,\frac1n\sum_i\mathcal L(x_i)=-\nabla_\lambda\,\mathrm{KL}\big(q_{\text{agg}}\,\Vert\,p(z\mid\lambda)\big)=\nabla_\lambda\,\mathbb E_{q_{\text{agg}}}\log p(z\mid\lambda)$$
#
# Only the last term of section 3 knows $\lambda$, and in $\mathrm{KL}=-\mathbb E_{q_{\text{agg}}}\log p(z\mid\lambda)-H(q_{\text{agg}})$ the entropy does not. So: draw codes, make them likely. The checks use the five posteriors again and a mixture of three: the slope of the *whole* mean KL, by automatic differentiation through a grid, against means
# of $-\nabla_\lambda\log p$ at drawn codes; and KL plus mean log-likelihood for three different $\lambda$, which must be the same number.

# %% tags=["slide:surgery.learnable-prior"]
seed(13)
learner, drawn = vae.MixturePrior(3, 1).double(), vae.AggregatedPosterior(five).sample(40_000)
weights = [learner.logits, learner.means, learner.log_stds]
mean_kl5 = oracles.kl(log_q, learner.log_prob(nodes), cell).mean()          # the KL term of the bound, all of it
exact_slope = torch.cat([g.flatten() for g in torch.autograd.grad(mean_kl5, weights)])
blocks = [torch.cat([g.flatten() for g in torch.autograd.grad(learner.loss(part), weights)]) for part in drawn.split(400)]
verify("surgery.learnable-prior", estimate(torch.stack(blocks)), exact_slope,
       what="∇ of maximum likelihood on codes = ∇ of the bound's KL, nine slopes")
entropies = []
for _ in range(3):
    other = vae.MixturePrior(3, 1).double()
    entropies.append(oracles.kl(log_agg, other.log_prob(nodes), cell) + (log_agg.exp() * other.log_prob(nodes)).sum() * cell)
verify("surgery.learnable-prior", torch.stack(entropies).detach(), (log_agg.exp() * log_agg).sum().expand(3) * cell,
       what="KL + E log p(z|λ) = −H(q_agg), whatever λ")

# %% [markdown]
# **Forward, not reverse.** The direction of a KL matters where the family is too small. Take a $q_{\text{agg}}$ of two humps, and let the prior be *one* Gaussian. The bound asks for $\mathrm{KL}(q_{\text{agg}}\Vert p)$: every code must be likely, so it covers both humps (and takes exactly their mean and variance, Exercise 3.4). The other KL would be content with one hump.

# %% tags=["slide:surgery.learnable-prior"]
two = oracles.density_on(nodes, vae.DiagNormal(torch.tensor([[-2.0], [2.0]]).double(), 0.5))
humps = two.logsumexp(0) - torch.tensor(2.0).log()

def nearest(direction):
    """One Gaussian fitted by gradient descent on a KL, by quadrature."""
    mean, log_std = torch.tensor(1.0).double().requires_grad_(), torch.tensor(-0.7).double().requires_grad_()
    optimizer = torch.optim.Adam([mean, log_std], 0.05)
    for _ in range(300):
        log_g = oracles.density_on(nodes, vae.DiagNormal(mean.view(1, 1), log_std.exp()))[0]
        optimizer.zero_grad()
        (oracles.kl(humps, log_g, cell) if direction == "forward" else oracles.kl(log_g, humps, cell)).backward()
        optimizer.step()
    return log_g.detach().exp()[80:320]

(ax,), z = plots.panels(1, 6.2, height=3.0), nodes[:, 0][80:320]
plots.curves({"$q_{agg}$": (z, humps.exp()[80:320]), "forward KL: what the ELBO asks for": (z, nearest("forward")),
             "reverse KL": (z, nearest("reverse"))}, ax=ax, xlabel="$z$", ylabel="density")
ax.set_ylim(0, 1.25)
plots.shown(ax, alt="One Gaussian over both humps by the forward KL, over one hump by the reverse KL")

# %% [markdown]
# ## 8 · Four priors, one line each
# *Slides "Optimal VAE Prior" (Learnable Prior) and "NF-Based VAE Prior"*
#
# Anything with `log_prob` and `sample` will do, and each of these is one line:
#
# * **mixture**: $p(z\mid\lambda)=\sum_kw_k\,\mathcal N(z;m_k,s_k^2)$, everything free;
# * **VampPrior** (Tomczak and Welling 2018): $p(z\mid\lambda)=\frac1K\sum_kq(z\mid u_k)$, the encoder's own answers to $K$ *invented images* $u_k$: a short $q_{\text{agg}}$ whose data are learned;
# * **RealNVP** and an **autoregressive flow** in the latent space (next section).
#
# All are fitted in the same way, on codes of the 4,000 training digits; `fit` asks `agg` for samples and the prior for its `loss`.

# %% tags=["slide:surgery.vamp", "slide:surgery.nf-prior-realnvp", "slide:surgery.nf-prior-ar"]
seed(14)
priors = {"mixture": vae.MixturePrior(24, 2),
          "VampPrior": vae.VampPrior(plane.encoder, data.DynamicallyBinarized(mnist.train).sample(24).float()),
          "RealNVP": flows.Flow(flows.couplings(2, 6, 32), 2),
          "autoregressive flow": flows.Flow(flows.autoregressive(2, 4, 32), 2)}
for name, prior in priors.items():
    rate = 1.5e-2 if isinstance(prior, flows.Flow) else 3e-2
    fit(prior, agg, Recipe(budget(quick=400, full=4000), 256, rate, warmup=30, decay=linear, clip=10.0), report=progress(name))
priors = {"N(0, I)": plane.prior, **priors}
reveal(vae.VampPrior.log_prob)

# %% [markdown]
# *Look at* the shapes: a mixture is made of blobs; the VampPrior has as many, but their widths are those that the encoder gives to images; both flows bend one round cloud, arms and all, and make no islands.

# %% tags=["slide:surgery.vamp", "slide:surgery.nf-prior-realnvp", "slide:surgery.nf-prior-ar"]
prior_plots.row_of_priors({name: prior.log_prob for name, prior in priors.items()},
                          alt="Five densities of the latent plane: round, blobs, the encoder's blobs, and two bent clouds")

# %% tags=["slide:surgery.vamp", "slide:surgery.nf-prior-realnvp", "slide:surgery.nf-prior-ar"]
@torch.no_grad()
def gain(model, prior, posterior, draws=16):
    """What the ELBO of each image gains over the model's own prior.     -> (draws, images)"""
    seed(15)                                                                    # the same codes for every prior
    z = posterior.sample(draws)
    return model.with_prior(prior).log_prior(z) - model.log_prior(z)

for name, prior in [*priors.items(), ("q_agg of 4,000", agg)]:
    print(f"{name:20} held-out ELBO {format_values(gain(plane, prior, unseen))}")

# %% [markdown]
# (The row of $q_{\text{agg}}$ is there as a reminder: on *held-out* digits the "optimal" prior is no better than humbler ones.) With two hidden numbers there is only a fraction of a nat to win: the encoder was trained under $\mathcal N(0,I)$, and in a plane it has little room to misbehave in.
#
# **A VampPrior is made to be trained along.** Its pieces are answers of the encoder; so when the encoder learns, the prior moves with it, and only the inputs have to be found. Back to the ring of section 6, with sixteen invented points. *Look for* where most of them end, in the last picture: nobody told them that the data have clusters.

# %% tags=["slide:surgery.vamp"]
seed(19)
started = ring.sample(16) + 0.5 * torch.randn(16, 2)
vamped = trained_under(lambda encoder: vae.VampPrior(encoder, started), "VampPrior")
axes = plots.panels(4, 2.2)
plots.points(vamped.latents(1000), ax=axes[0], color=plots.GREY, limit=9, title="its prior")
plots.points(vamped.sample(1000), ax=axes[1], color=plots.BLUE, title="sampled")
for ax, invented, name in ((axes[2], started, "inputs, before"), (axes[3], vamped.prior.inputs.detach(), "inputs, learned")):
    plots.points(points, ax=ax, color=plots.GREY, limit=6, title=name)
    ax.scatter(*invented.T, s=28, c=plots.VERMILION, zorder=5)
plots.shown(axes, alt="A prior of separate clouds, samples in eight clusters, and invented points that moved onto the clusters")

# %% [markdown]
# Compare its line with those of section 6: nearly all of the gap to the exact $\log p(x)$ is gone.
#
# ## 9 · A flow in the latent space
# *Slide "NF-Based VAE Prior": NF model in latent space*
#
# $$\log p(z\mid\lambda)=\log p(z^*)+\log\Big\lvert\det\frac{\partial z^*}{\partial z}\Big\rvert,\qquad z^*=\mathbf f_\lambda(z),\qquad z=\mathbf g_\lambda(z^*)=\mathbf f_\lambda^{-1}(z^*)$$
#
# Notebook 06 derives this; here we check it where it is used. For the trained flow with 32 numbers the log-determinant comes layer by layer; on the right, the full 32 × 32 Jacobian by automatic differentiation, and its determinant. And in the plane the density must integrate to one.

# %% tags=["slide:surgery.nf-prior-realnvp"]
names = {"mixture": "mixture", "VampPrior": "vamp", "RealNVP": "realnvp", "autoregressive flow": "maf"}
shipped = {"N(0, I)": large.prior} | {name: pretrained.load(f"prior_{short}_digits") for name, short in names.items()}
nvp = pretrained.load("prior_realnvp_digits").double()
z = new.sample()[:20].double()
full = torch.stack([torch.autograd.functional.jacobian(lambda v: nvp(v[None])[0][0], one) for one in z])
verify("surgery.nf-prior-realnvp", nvp(z)[1], torch.linalg.slogdet(full).logabsdet, what="Σ of the layers = log |det ∂z*/∂z|, 32 × 32")
by_hand = -0.5 * nvp(z)[0].square().sum(1) - 16 * log_2pi + torch.linalg.slogdet(full).logabsdet
verify("surgery.nf-prior-realnvp", nvp.log_prob(z), by_hand, what="log p(z|λ) = log N(f(z); 0, I) + log |det|", tolerance=1e-6)
verify("surgery.nf-prior-realnvp", nvp.f.inverse(nvp(z)[0]), z, what="g(f(z)) = z", tolerance=1e-6)
fine, tiny = oracles.lattice(2, 8.0, 400)
with torch.no_grad():
    mass = priors["RealNVP"].log_prob(fine.float()).double().exp().sum() * tiny
verify("surgery.nf-prior-realnvp", mass, torch.tensor(1.0), what="in the plane, ∫ p(z|λ) dz = 1", tolerance=2e-3)

# %% [markdown]
# > **A slip on the slide, kindly.** "ELBO with NF-based VAE prior" begins with $\mathrm{KL}(q(z\mid x,\phi)\,\Vert\,p(z))$. With a learned prior it is $\mathrm{KL}(q(z\mid x,\phi)\,\Vert\,p(z\mid\lambda))$, as the slide's own next line has it: $\mathbb E_q[\log p(x\mid z)+\log p(z\mid\lambda)-\log q(z\mid x)]$. It matters in
# > code, too. The closed formula for two Gaussians is not available any more, and whoever leaves it in the loss trains against $\mathcal N(0,I)$ whatever the prior is. The library looks at what it was given: closed between Gaussians, sampled otherwise.
# > (The recap slide "Training" has a sample inside a KL, $\mathrm{KL}(q(z^*\mid x)\Vert p(z^*))$; what is meant is one draw of it, $\log q(z^*\mid x)-\log p(z^*)$. With a learned prior that draw is all one has.)

# %% tags=["slide:surgery.nf-prior-realnvp"]
with_flow = large.with_prior(shipped["RealNVP"])                                # the one line
seed(16)
with torch.no_grad():
    x = test_bits[:100]
    posterior = with_flow.encode(x)
    z = posterior.sample(64)
    z_star, ladj = (part.view(64, 100, *part.shape[1:]) for part in with_flow.prior(z.flatten(0, 1)))
    log_prior_z = vae.StandardNormal(32).log_prob(z_star.flatten(0, 1)).view(64, 100) + ladj
    slide = with_flow.log_likelihood(x, z) + log_prior_z - posterior.log_prob(z)
    from_library = torch.stack([with_flow.elbo(x).mean() for _ in range(64)])
verify("surgery.nf-prior-realnvp", estimate(from_library), estimate(slide.mean(1)), what="library ELBO = the slide's last line")

# %% [markdown]
# ### Fast one way, slow the other
#
# In the autoregressive flow every coordinate of $z^*$ is decided by the coordinates of $z$ *before* it. From $z$ to $z^*$ all of them are known at once: one pass. Backwards, $z_2$ waits for $z_1$, $z_3$ for both. For a prior this is a good bargain: training and ELBO need $\mathbf f$ only, and $\mathbf g$ is needed once a sample. Count the passes, and take the time:

# %% tags=["slide:surgery.nf-prior-ar"]
maf, asked = shipped["autoregressive flow"], [0]
for layer in maf.f.layers:
    layer.net.register_forward_hook(lambda *_: asked.__setitem__(0, asked[0] + 1))
seed(17)
noise = torch.randn(500, 32)
for name, flow in (("RealNVP", shipped["RealNVP"]), ("autoregressive flow", maf)):
    with torch.no_grad():
        flow(noise), flow.f.inverse(noise[:2])                                  # warm up
        spent = []
        for way in (flow, flow.f.inverse):
            asked[0], start = 0, process_time()
            way(noise)
            spent.append((process_time() - start, asked[0] or len(flow.f.layers)))
    (there, once), (back, often) = spent
    print(f"{name:20} f: {once:3} passes, {1e3 * there:6.1f} ms     g: {often:3} passes, {1e3 * back:6.1f} ms")

# %% [markdown]
# ### Five priors for 32 numbers, one decoder
#
# Now the whole series for the large VAE: four shipped priors, each trained in a few minutes on codes of 59,000 official training digits (`dgm train prior_realnvp_digits` and so on); encoder and decoder are those of notebook 02. The judges are 1,000 digits that none of them has seen. The bars are means over images of *differences* on the same codes, with their standard errors.
#
# **Predict before you run.** $q_{\text{agg}}$ promised some 14 nats for a thousand training digits. What will a good learned prior win on held-out ones: 14, 5, 1?
# <details><summary>Answer</summary>About one, and at most one and a half here. Most of the promise was log n, the recognition of single data; it does not carry over to new ones. What carries over is the *shape* of the population of codes.</details>

# %% tags=["slide:surgery.vamp", "slide:surgery.nf-prior-realnvp", "slide:surgery.nf-prior-ar"]
with torch.no_grad():
    unseen32 = large.encode(test_bits)
won = {name: gain(large, prior, unseen32).mean(0) for name, prior in shipped.items()}
for name, short in names.items():
    card = pretrained.card(f"prior_{short}_digits")["held_out"]
    official, before, after = card["official_test"], card["samples_of_standard_normal"], card["samples"]
    print(f"{name:20} {format_values(won[name][None])}; on its card, 10,000 official test images: {official['gain']:.2f} ± "
          f"{official['standard_error']:.2f}; Fréchet distance of samples {before['frechet']:.0f} -> {after['frechet']:.0f}")
plots.bars({name: float(v.mean()) for name, v in won.items()}, spread=[float(v.std()) / len(v) ** 0.5 for v in won.values()],
          ylabel="held-out ELBO gained, nats", alt="Gain in nats over N(0, I) of four learned priors with the same decoder")

# %% [markdown]
# The two flows win well over a nat, with the same decoder. The VampPrior is the odd one out: here the encoder is *frozen*, and a piece of the prior can only be as wide as the encoder's answer to some image. Compare the widths, over the coordinates that the encoder uses at all (its deviation there is below 0.9; the others it leaves to the prior):

# %% tags=["slide:surgery.vamp"]
used = unseen32.stddev.mean(0) < 0.9
with torch.no_grad():
    widths = {"the encoder's answers to real digits": unseen32.stddev,
              "... to the invented images of the VampPrior": shipped["VampPrior"].posteriors.stddev,
              "components of the learned mixture": shipped["mixture"].log_stds.exp()}
print(f"{int(used.sum())} of 32 coordinates are used")
for name, std in widths.items():
    print(f"{name:44} median deviation {float(std[:, used].mean(1).median()):.2f}")
in_plane = [float(std.detach().median()) for std in (unseen.stddev, priors["VampPrior"].posteriors.stddev)]
print(f"in the plane: real digits {in_plane[0]:.2f}, invented images {in_plane[1]:.2f}")

# %% [markdown]
# The free mixture wants pieces several times as wide as those that this encoder offers, and a hundred narrow ones leave most codes of new digits out in the cold. (In the plane, images with wide answers could be found. Trained along with the encoder, as on the ring and as its authors do, it is a strong prior: Tomczak and Welling report some three nats on MNIST.)
#
# And to the eye? *Look for* shapes in the first row that are no digit at all; below there are fewer. (Every row is the decoder's mean for the first 14 draws of the prior, none picked.)

# %% tags=["slide:surgery.vamp", "slide:surgery.nf-prior-realnvp", "slide:surgery.nf-prior-ar"]
rows, notes = {}, []
for name, prior in shipped.items():
    seed(18)
    z = prior.sample(500)
    rows[name] = 2 * large.decode(z[:14]).mean.detach() - 1
    notes.append((name, *looked_at(large, z)))
notes.append(("codes of real held-out digits", *looked_at(large, unseen32.sample()[:500])))
for name, sure, grey_share in notes:
    print(f"{name:30} the classifier is sure of {sure:4.0%}, grey pixels {grey_share:.1%}")
plots.gallery(rows, columns=14, alt="Fourteen samples under each of five priors, all by one decoder")

# %% [markdown]
# So the slide's belief has much to it here: with 32 hidden numbers a good part of what separates samples of $\mathcal N(0,I)$ from decoded codes of real digits disappears when only the prior changes, and of the extra grey nearly all of it. And a surprise to keep: the prior with the *worst* bound draws the digits that the classifier likes best, and that
# come nearest to real ones on its card. A likelihood charges for every code that gets too little probability; a judge of samples sees only what is drawn. A prior of a hundred narrow pieces around plausible digits draws well, and misses nearly everything.
#
# What did the VampPrior invent? Its inputs started as training digits and were free to become anything. *Look for* what the widest answers are made of: smears and grey grain that no pen has drawn. They are there to catch what the others miss.

# %% tags=["slide:surgery.vamp"]
invented = shipped["VampPrior"].inputs
by_width = widths["... to the invented images of the VampPrior"][:, used].mean(1).argsort()
chosen = {"the 14 narrowest answers": by_width[:14], "the 14 widest": by_width[-14:]}
print(f"values of the invented images: {float(invented.min()):.2f} to {float(invented.max()):.2f} (bits would be 0 and 1)")
plots.gallery({name: 2 * invented[which].clamp(0, 1) - 1 for name, which in chosen.items()}, columns=14,
             alt="Invented images of the VampPrior: digits where its answers are narrow, strange patterns where they are wide")

# %% [markdown]
# ## 10 · What this shares with the other families
#
# * A latent prior that is learned *after* the autoencoder is the plan of **latent-space models (10)** and of **vector quantisation (04)**: there the codes are pictures of their own, and the prior is an autoregressive model or a diffusion.
# * **Normalising flows (06)** are this section without encoder and decoder. **Diffusion (07)** chooses the encoder so that $q_{\text{agg}}$ *is* $\mathcal N(0,I)$ at its far end, up to a known error: no marginal KL is left to repair.
# * The split of a KL into a marginal part and an information part returns wherever something conditional is averaged: the same algebra says that flow matching (**08**) needs only conditional targets.
#
# | prior | what is learned | log p(z) | a sample | on unseen data |
# |---|---|---|---|---|
# | $\mathcal N(0,I)$ | nothing | one Gaussian | one draw | over-regularises |
# | $q_{\text{agg}}$ | nothing, it *is* the training set | $n$ Gaussians | one draw | overfits |
# | mixture, VampPrior | $K$ components, or $K$ inputs | $K$ Gaussians | one draw | near $q_{\text{agg}}$, smooth |
# | RealNVP | couplings | one pass | one pass | the same |
# | autoregressive flow | masked networks | one pass | $D$ passes a layer | the same |
#
# ## Homework
#
# Six exercises, nine points. Deviations come as `log_std`; log-densities are *sums* over the coordinates of a code; nothing may underflow, so stay with logarithms. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the reference takes your place so that everything below still runs.
#
# **Exercise 3.1 · the aggregated posterior (1 point).** $\log q_{\text{agg}}(z)=\log\frac1n\sum_i\mathcal N(z;\mu_i,\operatorname{diag}\sigma_i^2)$, at each of $M$ codes.

# %% exercise="surgery.aggregated_log_prob"
import math

def aggregated_log_prob(z, mean, log_std):
    """The density of the average of n diagonal Gaussians.     z (M, d), mean and log_std (n, d)  ->  (M,)"""
    ### BEGIN SOLUTION
    each = -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    return each.sum(-1).logsumexp(1) - math.log(len(mean))
    ### END SOLUTION

# %% check="surgery.aggregated_log_prob" points=1
aggregated_log_prob = check("surgery.aggregated_log_prob", aggregated_log_prob)

# %% [markdown]
# **Exercise 3.2 · the mutual information (2 points).** From each of $n$ posteriors $k$ codes were drawn, and each was judged by all $n$: `log_q[s, i, j]` $=\log q(z_{s,i}\mid x_j)$ with $z_{s,i}\sim q(z\mid x_i)$. Estimate $\mathbb I_q[x,z]$: one number.

# %% exercise="surgery.mutual_information"
def mutual_information(log_q):
    """The mean of KL(q_i ‖ q_agg), by the draws.     (k, n, n)  ->  ()"""
    ### BEGIN SOLUTION
    own = log_q.diagonal(dim1=1, dim2=2)
    return (own - (log_q.logsumexp(2) - math.log(log_q.shape[2]))).mean()
    ### END SOLUTION

# %% check="surgery.mutual_information" points=2
mutual_information = check("surgery.mutual_information", mutual_information)

# %% [markdown]
# **Exercise 3.3 · the marginal KL (1 point).** The same table, and the prior's `log_p[s, i]` $=\log p(z_{s,i})$. Estimate $\mathrm{KL}(q_{\text{agg}}\Vert p)$: one number.

# %% exercise="surgery.marginal_kl"
def marginal_kl(log_q, log_p):
    """KL(q_agg ‖ p), by the draws.     (k, n, n), (k, n)  ->  ()"""
    ### BEGIN SOLUTION
    return (log_q.logsumexp(2) - math.log(log_q.shape[2]) - log_p).mean()
    ### END SOLUTION

# %% check="surgery.marginal_kl" points=1
marginal_kl = check("surgery.marginal_kl", marginal_kl)

# %% [markdown]
# **Exercise 3.4 · the best Gaussian prior (1 point).** Among diagonal Gaussians, which prior makes the bound largest for *these* posteriors? Section 7 says what to match. Return its mean and its log-deviation, in this order.

# %% exercise="surgery.best_gaussian"
def best_gaussian(mean, log_std):
    """The diagonal Gaussian nearest to q_agg in forward KL.     (n, d), (n, d)  ->  (d,), (d,)"""
    ### BEGIN SOLUTION
    centre = mean.mean(0)
    variance = (2 * log_std).exp().mean(0) + ((mean - centre) ** 2).mean(0)
    return centre, 0.5 * variance.log()
    ### END SOLUTION

# %% check="surgery.best_gaussian" points=1
best_gaussian = check("surgery.best_gaussian", best_gaussian)

# %% [markdown]
# **Exercise 3.5 · the VampPrior (2 points).** `encoder(u)` takes inputs $(K,D)$ and returns `mean` and `log_std`, $(K,d)$ each. Return $\log\frac1K\sum_kq(z\mid u_k)$. The inputs are to be learned, so gradients must reach them.

# %% exercise="surgery.vamp_log_prob"
def vamp_log_prob(z, inputs, encoder):
    """The density of a VampPrior.     z (B, d), inputs (K, D), encoder: (K, D) -> (K, d), (K, d)  ->  (B,)"""
    ### BEGIN SOLUTION
    mean, log_std = encoder(inputs)
    each = -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
    return each.sum(-1).logsumexp(1) - math.log(len(inputs))
    ### END SOLUTION

# %% check="surgery.vamp_log_prob" points=2
vamp_log_prob = check("surgery.vamp_log_prob", vamp_log_prob)

# %% [markdown]
# **Exercise 3.6 · the ELBO with a flow as its prior (2 points).** $k$ codes were drawn for each of $B$ images, and the flow has been applied to them: `z_star` $=\mathbf f_\lambda(z)$ and `ladj` $=\log\lvert\det\partial z^*/\partial z\rvert$; its base is $\mathcal N(0,I)$. Return the ELBO of each image, a mean over its draws.

# %% exercise="surgery.flow_elbo"
def flow_elbo(log_p_x, z_star, ladj, log_q):
    """E_q [log p(x|z) + log p(z|λ) − log q(z|x)].     (k, B), (k, B, d), (k, B), (k, B)  ->  (B,)"""
    ### BEGIN SOLUTION
    base = (-0.5 * z_star**2 - 0.5 * math.log(2 * math.pi)).sum(-1)
    return (log_p_x + base + ladj - log_q).mean(0)
    ### END SOLUTION

# %% check="surgery.flow_elbo" points=2
flow_elbo = check("surgery.flow_elbo", flow_elbo)

# %% [markdown]
# **Now put your pieces together.** Your functions cut the bound of the plane's VAE, find its best Gaussian prior, and train a VampPrior. (Where a piece is still missing the reference stands in.)

# %%
seed(20)
count, draws = 200, 8
mean, log_std = q.mean[:count], q.stddev[:count].log()
z = mean + log_std.exp() * torch.randn(draws, count, 2)
table = torch.stack([vae.DiagNormal(mean, log_std.exp()).log_prob(row[:, None].expand(-1, count, -1)) for row in z])
centre, spread = best_gaussian(q.mean, q.stddev.log())
under = {"N(0, I)": log_normal(z, torch.zeros(2), torch.ones(2)), "the best Gaussian": log_normal(z, centre, spread.exp())}
print(f"information {float(mutual_information(table)):.2f} of log n = {math.log(count):.2f} nats; log q_agg at 0: "
      f"{float(aggregated_log_prob(torch.zeros(1, 2), mean, log_std)):.2f}")
for name, log_p_z in under.items():
    print(f"marginal KL of these {count} digits to {name}: {float(marginal_kl(table, log_p_z)):.2f} nats")

# %%
def encoder(u):
    answer = plane.encode(u.view(-1, 1, 28, 28))
    return answer.mean, answer.stddev.log()

seed(21)
inputs = data.DynamicallyBinarized(mnist.train).sample(24).flatten(1).float().requires_grad_()
optimizer, steps = torch.optim.Adam([inputs]), budget(quick=400, full=1500)
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 4e-2 * (1 - step / steps)
    optimizer.zero_grad()
    vamp_log_prob(agg.sample(256), inputs, encoder).mean().neg().backward()
    optimizer.step()
with torch.no_grad():
    z = unseen.sample(4)
    rise = torch.stack([vamp_log_prob(row, inputs, encoder) - plane.prior.log_prob(row) for row in z])
    log_p_x, (z_star, ladj) = plane.log_likelihood(test_bits, z), priors["RealNVP"](z.flatten(0, 1))
    yours = flow_elbo(log_p_x, z_star.view(4, -1, 2), ladj.view(4, -1), unseen.log_prob(z))
print(f"your VampPrior gains {format_values(rise)} on held-out digits; under the flow of section 8 their ELBO is {float(yours.mean()):.2f} nats")

# %% [markdown]
# **Written (think, then unfold).** *A colleague reports: "the marginal KL of my VAE, measured on 1,000 images, is 14 nats, so a better prior will win 14 nats". What do you ask?*
# <details><summary>Answer</summary>What the mutual information is. If it sits at log 1,000, then the 14 nats are "mean KL minus log n" and would shrink with more images; the gain must be measured with a prior that was fitted on some codes and judged on others.</details>
#
# *Would you learn the prior together with the encoder, or afterwards?*
# <details><summary>Answer</summary>Afterwards is safe: encoder and decoder cannot get worse, and the gain is the fall of the marginal KL. Together can win more (section 6), since the encoder need not bend to a wrong prior; but then the prior chases a moving cloud, and early on it may learn to love a useless one.</details>
#
# ## References
#
# * Hoffman, Johnson: *ELBO Surgery: Yet Another Way to Carve Up the Variational Evidence Lower Bound*, 2016. Makhzani et al.: *Adversarial Autoencoders*, 2015 (aggregated posterior).
# * Tomczak, Welling: *VAE with a VampPrior*, 2018. Rosca, Lakshminarayanan, Mohamed: *Distribution Matching in Variational Inference*, 2018 (holes, and what they do to samples).
# * Chen et al.: *Variational Lossy Autoencoder*, 2017 (autoregressive flow as prior). Dinh, Sohl-Dickstein, Bengio: *Density Estimation using Real NVP*, 2017. Papamakarios, Pavlakou, Murray: *Masked Autoregressive Flow*, 2017.
# * Dai, Wipf: *Diagnosing and Enhancing VAE Models*, 2019 (a second stage for the prior). Bauer, Mnih: *Resampled Priors for Variational Autoencoders*, 2019.
