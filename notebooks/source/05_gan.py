# %% [markdown]
# # 05 · Generative adversarial networks
#
# *Introductory lecture (autumn 2025), part "GANs", from "What if we just want to sample?" to "Pros and Cons", and "StyleGAN" of the extra part*
#
# **The promise.** A network makes samples, another tries to tell them from data, and each learns from the other. At the end you know what they would agree on if both
# were perfect, with every line of that proof computed; you have watched why in practice they circle instead, and lose half of the data on the way; and you have
# a style-based generator of digits under your hands.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | cross-entropy, KL, gradient descent; no other notebook |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions, once and for all**
#
# | what | here | where slides differ |
# |---|---|---|
# | data, model | densities $\pi(\mathbf x)$ and $p(\mathbf x)$, samples `real` and `fake` | the slides write $p_\theta$ |
# | discriminator | a network that gives **logits**; $D=\mathrm{sigmoid}(\text{logit})$ is the probability to be real | the slides write $D$ itself |
# | its loss | $-V$: the *sum* of two means, one of the real and one of the fake batch | Algorithm 1 *ascends* $V$ |
# | critic | a discriminator whose numbers need not mean probabilities | |
# | `k` | discriminator steps to one generator step | the same |
# | divergences | in nats | the same |

# %%
import math

import torch
from dgm_course import data, nets, pretrained
from dgm_course.core import metrics, ode
from dgm_course.core.distributions import Mixture
from dgm_course.training import Recipe, fit, linear
from dgm_course.gan import AffineGenerator, DiracGAN, GAN, OptimalDiscriminator, R1, alternating, invert, minimax, non_saturating, value_on_grid, wasserstein
from dgm_course.teach import FramePlayer, TrajectoryPlayer, check, play, plots, progress, reveal, verify
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# No density, no likelihood, no bound. Take noise, put it through a network $G$, and ask a second network $D$: *which of these are real?* $D$ learns to answer; $G$ learns, through
# the gradient of $D$'s answer, to be taken for real. The two take turns. Below in bare torch, on two moons.

# %% tags=["slide:gan.algorithm1"]
seed(0); torch.set_num_threads(1)
moons, Layer = data.moons(), torch.nn.Linear
G = torch.nn.Sequential(Layer(4, 64), torch.nn.ReLU(), Layer(64, 64), torch.nn.ReLU(), Layer(64, 2))
D = torch.nn.Sequential(Layer(2, 64), torch.nn.SiLU(), Layer(64, 64), torch.nn.SiLU(), Layer(64, 1))
for layer in D[::2]:
    torch.nn.init.kaiming_normal_(layer.weight)                        # large weights: fine detail is seen early
optimizers = {name: torch.optim.Adam(net.parameters(), betas=(0.5, 0.99)) for name, net in (("D", D), ("G", G))}
log = torch.nn.functional.logsigmoid                                   # log D from a logit; log(1 − D) is log(−logit)

def bare_losses(real, z):
    fake = G(z)
    d_loss = -log(D(real)).mean() - log(-D(fake.detach())).mean()      # D ascends log D(x) + log(1 − D(G(z)))
    g_loss = -log(D(fake)).mean()                                      # G: be taken for real (section 5 says why so)
    return d_loss, g_loss

# %% tags=["slide:gan.algorithm1"]
steps = budget(quick=1200, full=5000)
for step in range(steps):
    for side, net in enumerate("DG"):                                  # in turn, each on fresh noise
        loss = bare_losses(moons.sample(128), torch.randn(128, 4))[side]
        optimizers[net].param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        optimizers[net].zero_grad()
        loss.backward()
        optimizers[net].step()

# %%
with torch.no_grad():
    fake = G(torch.randn(2000, 4))
axes = plots.panels(2, 3.0)
plots.points(moons.sample(2000), ax=axes[0], title="data")
plots.points(fake, ax=axes[1], color=plots.BLUE, title="G(z), one pass a sample")
plots.shown(axes, alt="Two moons, and what the bare generator makes: both moons, with some samples strewn between them")

# %% [markdown]
# Look at two things: the moons are there, and so are some samples *between* them. $G$ is continuous, and a continuous image of one Gaussian blob cannot fall into two pieces: there is always a bridge.
#
# From here on the library does the housekeeping: a `GAN` is a generator, a discriminator, and a `Game` that says what each wants. Its losses are the very same numbers.

# %% tags=["slide:gan.algorithm1"]
model = GAN(nets.MLPGenerator(latent=4), nets.MLPDiscriminator(), non_saturating())
model.generator.layers.load_state_dict(G.state_dict())
model.discriminator.layers.load_state_dict(D.state_dict())
real = moons.sample(256)
for side, (name, player) in enumerate(model.objectives().items()):
    seed(1); from_library = player.loss(real)
    seed(1); bare = bare_losses(real, torch.randn(256, 4))[side]
    verify("gan.algorithm1", from_library, bare, what=f"library loss of the {name} = the bare lines", tolerance=1e-5)
print(model)
reveal(GAN.objectives)

# %% [markdown]
# ## 1 · What the two sides play for
# *Slides "Maths behind GANs" and "GAN objective"*
#
# $$\min_G\max_D\ V(G,D),\qquad V(G,D)=\mathbb E_{\pi(\mathbf x)}\log D(\mathbf x)+\mathbb E_{p(\mathbf z)}\log\big(1-D(G(\mathbf z))\big).$$
#
# $V$ is a sum of logarithms of probabilities, so never above zero, and $-V$ is a **binary cross-entropy**: call real samples 1 and fake ones 0, and $D$ is an ordinary classifier. (Its usual mean
# over both batches together is half of it.) The library writes it in logits, since a sure $D$ would otherwise give $\log 0$. Check it against torch's own cross-entropy, in probabilities:

# %% tags=["slide:gan.objective"]
logits = {"real": torch.randn(500).double() + 1, "fake": torch.randn(500).double() - 1}
together = torch.cat([logits["real"], logits["fake"]]).sigmoid()
labels = torch.tensor([1.0, 0.0]).double().repeat_interleave(500)
cross_entropy = torch.nn.functional.binary_cross_entropy(together, labels)
verify("gan.objective", minimax().critic(**logits), 2 * cross_entropy, what="−V from logits = 2 × torch's cross-entropy")
V = logits["real"].sigmoid().log().mean() + (1 - logits["fake"].sigmoid()).log().mean()
verify("gan.objective", -minimax().critic(**logits), V, what="V = E log D(x) + E log(1 − D(G(z))), written out")
sure = torch.tensor([60.0]).double()
print("a sure critic, D = sigmoid(60): in logits", float(minimax().critic(sure, sure)), "and by probabilities",
      float(-(1 - sure.sigmoid()).log()))
reveal(minimax, non_saturating)

# %% [markdown]
# > **A word on the slides.** They say that the generator *maximises* the cross-entropy and write $\min_G$ of the bracket. Both are right: the bracket is $V$, minus the cross-entropy.
#
# ## 2 · The best discriminator
# *Slide "Proof"*
#
# For a fixed generator with density $p$, the integrand at each $\mathbf x$ is $y(D)=\pi\log D+p\log(1-D)$, a concave function of one number. So
#
# $$\frac{dy}{dD}=\frac{\pi}{D}-\frac{p}{1-D}=0\quad\Longrightarrow\quad D^*(\mathbf x)=\frac{\pi(\mathbf x)}{\pi(\mathbf x)+p(\mathbf x)} .$$
#
# As a logit it is even plainer: $\log\pi(\mathbf x)-\log p(\mathbf x)$. On known densities we can have it exactly. First by brute force, trying every $D$ at every $x$:

# %% tags=["slide:gan.optimal-d"]
line = torch.linspace(-6, 6, 241, dtype=torch.float64)[:, None]

def one(*means, std=0.7):
    """A mixture of equal Gaussians on the line."""
    return Mixture(torch.ones(len(means)), torch.tensor(means, dtype=torch.float64)[:, None], std)

truth, model_1d = one(-2.0, 2.0), one(0.5, std=1.5)
best = OptimalDiscriminator(truth, model_1d)
pi, p = truth.log_prob(line).exp(), model_1d.log_prob(line).exp()
tried = torch.linspace(0, 1, 100_001, dtype=torch.float64)[1:-1]
winner = torch.stack([tried[(a * tried.log() + b * (1 - tried).log()).argmax()] for a, b in zip(pi, p)])
verify("gan.optimal-d", best(line).sigmoid(), winner, what="π/(π + p) = the best of 100,000 values of D, at 241 places",
       tolerance=2e-5)
reveal(OptimalDiscriminator.forward)

# %% [markdown]
# Now a network learns it from samples alone, never told a density. Look for where it is good and where it is not: it is right wherever there are samples, and only there.

# %% tags=["slide:gan.optimal-d"]
seed(2)
learned, snapshots = nets.MLPDiscriminator(1, 64, 2), {}
optimizer, game = torch.optim.Adam(learned.parameters()), non_saturating()
for step in range(601):
    if step in (0, 30, 600):
        snapshots[step] = learned(line.float()).sigmoid().detach()
    real, fake = truth.sample(512).float(), model_1d.sample(512).float()
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 601)
    optimizer.zero_grad()
    game.critic(learned(real), learned(fake)).backward()
    optimizer.step()
series = {f"learned, {step} steps": (line[:, 0], values) for step, values in snapshots.items()}
axes = plots.panels(1, 6.4, height=3.3)
plots.curves({"data π": (line[:, 0], pi), "model p": (line[:, 0], p), **series,
             "exact: π/(π + p)": (line[:, 0], best(line).sigmoid())}, ax=axes[0], xlabel="x", ylabel="density, or D(x)")
axes[0].set_ylim(-0.03, 1.4)
axes[0].legend(frameon=False, fontsize=8, ncols=3, loc="upper center")
plots.shown(axes, alt="Two densities on a line, the exact discriminator, and a learned one approaching it")

# %% [markdown]
# The same in the plane, where it is a landscape: red where $D>\frac12$ (more likely real), blue where the generator is overrepresented, white where one cannot tell.

# %% tags=["slide:gan.optimal-d"]
seed(3)
eight = data.eight_gaussians()
blob = AffineGenerator(torch.zeros(2), 2.2)                                     # a generator whose density is known
plane = nets.MLPDiscriminator(2, 64, 2)
exact, grid = OptimalDiscriminator(eight, blob.distribution), torch.cartesian_prod(*[torch.linspace(-4, 4, 61)] * 2)
optimizer, steps = torch.optim.Adam(plane.parameters()), budget(quick=600, full=2000)
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
    optimizer.zero_grad()
    game.critic(plane(eight.sample(256)), plane(blob(torch.randn(256, 2)).detach())).backward()
    optimizer.step()
with torch.no_grad():
    axes = plots.panels(2, 3.2)
    for ax, d, name in zip(axes, (exact, plane), ("$D^*-1/2$, exact", "learned $D-1/2$")):
        plots.heat(d(grid).sigmoid() - 0.5, ax=ax, size=0.5, title=name)
plots.shown(axes, alt="Exact and learned discriminator of eight Gaussians against one broad blob: eight red islands")

# %% [markdown]
# **Predict.** Someone trains $D$ for ever against a fixed generator and reports: "the discriminator's loss stays at 1.386". What has he seen?
# <details><summary>Answer</summary>$1.386=2\log 2$: D says ½ everywhere. If D has really converged, then by the next section the generator is perfect. More likely D has not learned at all: a loss alone cannot tell the two apart.</details>
#
# ## 3 · What is left for the generator
# *Slides "Proof continued" and "What are optimal G and D?"*
#
# Put $D^*$ back into $V$ and divide above and below by two:
#
# $$V(G,D^*)=2\,\mathrm{JSD}(\pi\,\Vert\,p)-2\log2,\qquad \mathrm{JSD}=\tfrac12\mathrm{KL}\Big(\pi\,\Big\Vert\,\frac{\pi+p}2\Big)+\tfrac12\mathrm{KL}\Big(p\,\Big\Vert\,\frac{\pi+p}2\Big).$$
#
# So against a perfect opponent the generator minimises a divergence, whose least value, at $p=\pi$, is zero: $V=-2\log2\approx-1.386$ and $D^*=\frac12$ everywhere. On the left $V$ with $D^*$ put in, as an integral over a
# grid; on the right the two KLs, which never see a discriminator.

# %% tags=["slide:gan.jsd"]
line_grid = metrics.Grid(-12, 12, 4000, 1)
for name, fake_density in {"one blob": model_1d, "half of the data": one(2.0), "nearly right": one(-1.9, 2.1, std=0.75),
                           "the data": one(-2.0, 2.0)}.items():
    value = torch.tensor(value_on_grid(truth, fake_density, OptimalDiscriminator(truth, fake_density), line_grid), dtype=torch.float64)
    jsd = metrics.jsd_on_grid(truth.log_prob, fake_density.log_prob, line_grid)
    verify("gan.jsd", value, torch.full_like(value, 2 * jsd - 2 * math.log(2)), what=f"{name:16} V(G, D*) = {float(value):7.4f} = 2·{jsd:.4f} − 2 log 2")

# %% [markdown]
# And *no other* discriminator reaches that value: take a step from $D^*$ in any direction, and $V$ falls. So a trained $D$ always gives a lower bound of $2\,\mathrm{JSD}-2\log2$; the better it is, the tighter.
#
# Below the identity runs through a whole training. The generator is so simple (shift and scale) that its density is known at every step, and it plays against the exact $D^*$ of that moment. Blue is $V+2\log2$ as the critic's losses give it, by
# samples; green is $2\,\mathrm{JSD}$ by quadrature. **Predict:** where will a single blob come to rest that must imitate two? On one of them, or between?

# %% tags=["slide:gan.jsd"]
seed(4)
single = AffineGenerator(torch.tensor([3.5], dtype=torch.float64), 0.6)
optimizer, trace = torch.optim.Adam(single.parameters(), 0.03), []
for step in range(250):
    judge = OptimalDiscriminator(truth, single.distribution)
    noise = torch.randn(1000, 1, dtype=torch.float64)
    with torch.no_grad():
        by_samples = -minimax().critic(judge(truth.sample(4000)), judge(single(torch.randn(4000, 1).double())))
    if step % 5 == 0:
        double = 2 * metrics.jsd_on_grid(truth.log_prob, single.distribution.log_prob, metrics.Grid(-12, 12, 1500, 1))
        trace.append((step, float(by_samples) + 2 * math.log(2), double))
    optimizer.zero_grad()
    minimax().generator(judge(single(noise))).backward()
    optimizer.step()
steps, value, double = zip(*trace)
plots.curves({"V + 2 log 2, by samples": (steps, value), "exact: 2 JSD, by quadrature": (steps, double)},
            xlabel="generator step against the exact D*", ylabel="nats",
            alt="The measured value follows twice the JSD down through a whole training")

# %%
print("the generator is now", single.distribution, "; the data sit at −2 and 2, deviation 0.7 each")
landscape = torch.linspace(-4, 4, 81)
jsds = {name: (landscape, [metrics.jsd_on_grid(truth.log_prob, one(float(m), std=std).log_prob, metrics.Grid(-12, 12, 800, 1))
                           for m in landscape]) for name, std in {"std 0.7": 0.7, "std 2": 2.0}.items()}
plots.curves(jsds, xlabel="where the blob sits", ylabel="JSD to the data (nats)",
            alt="JSD of one blob to two: two valleys for a narrow blob, one in the middle for a broad one")

# %% [markdown]
# The curves answer the question, and the answer depends on the width: a narrow blob has two valleys, one at each half of the data, and a hill between, so it settles on one half and loses the other; a broad one does best in the middle, between the two. The generator above could choose its width, and what it chose
# stands in the first line. Remember the two valleys when modes get lost in section 7.
#
# ## 4 · "Could be used as a distance measure!"
# *Slide "Proof continued"*
#
# KL is no distance: it is not symmetric, and infinite where $p$ vanishes. The Jensen-Shannon divergence is symmetric, at most $\log2$, zero only for equal distributions, and its *root* obeys the triangle
# inequality. A hundred random triples of distributions over six symbols:

# %% tags=["slide:gan.jsd-distance"]
seed(5)
tables = torch.distributions.Dirichlet(torch.full((6,), 0.3).double()).sample((3, 100))
kl = lambda a, b: torch.where(a > 0, a * (a / b).log(), 0.0).sum(-1)
js = lambda a, b: (kl(a, (a + b) / 2) + kl(b, (a + b) / 2)) / 2
a, b, c = tables
verify("gan.jsd-distance", js(a, b), js(b, a), what="JSD(a, b) = JSD(b, a)")
entropy = lambda t: torch.special.entr(t).sum(-1)
verify("gan.jsd-distance", js(a, b), entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2,
       what="JSD = H(mixture) − mean H: the information in one sample about where it came from")
apart = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]]).double()
verify("gan.jsd-distance", js(apart[0], apart[1]), torch.tensor(2.0).double().log(), what="nothing in common: log 2, the largest value")
slack = js(a, b).sqrt() + js(b, c).sqrt() - js(a, c).sqrt()
bare_slack = js(a, b) + js(b, c) - js(a, c)
assert (slack > 0).all() and (js(a, b) < math.log(2)).all()
print(f"root: the detour is longer in 100 of 100 triples (closest: {float(slack.min()):.3f}); "
      f"without the root it is shorter in {int((bare_slack < 0).sum())}")

# %% [markdown]
# > **A small erratum.** It is the *root* of the JSD that is a distance. Without it some detours are shorter than the direct way, as the last line counts.
#
# The bound has a price. Once two distributions hardly overlap the JSD is $\log2$, whether they are near or far: it says *different* and not *in which direction to go*. That is the next section.
#
# ## 5 · Two losses for the generator
# *Slide "How do we do in practice?" (Algorithm 1)*
#
# Algorithm 1 lets the generator descend $\log(1-D(G(\mathbf z)))$. By the logit $l$ of a fake sample the slopes are
#
# $$\frac{\partial}{\partial l}\log(1-D)=-D,\qquad\qquad \frac{\partial}{\partial l}\big(-\log D\big)=-(1-D).$$
#
# Same sign: both want $D$ up. But where the discriminator is winning, $D\approx0$ on fakes, the first is nearly flat (it *saturates*) exactly when the generator has most to learn; the second is at its steepest. It has the same fixed point, and everybody uses it.

# %% tags=["slide:gan.algorithm1"]
fakes = torch.linspace(-6, 6, 13, dtype=torch.float64).requires_grad_()
D_of = fakes.detach().sigmoid()
for name, rule, slope in (("saturating", minimax(), -D_of), ("non-saturating", non_saturating(), D_of - 1)):
    gradient, = torch.autograd.grad(rule.generator(fakes), fakes)
    verify("gan.algorithm1", 13 * gradient, slope, what=f"{name}: slope by autograd = {'−D' if name[0] == 's' else '−(1 − D)'}")

# %% [markdown]
# Now let two Gaussians slide apart, judged at each gap by the exact $D^*$, which is held fixed while the samples of the model move. How strongly is a sample pushed towards the data, on average? Look at large gaps:
# one curve dies, the other grows.

# %% tags=["slide:gan.algorithm1"]
def push(gap, rule):
    """Mean gradient by the samples of a model N(gap, 1), of which 400 stand at even quantiles, against data N(0, 1)."""
    quantiles = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    x = torch.distributions.Normal(gap, 1.0).icdf(quantiles)[:, None].requires_grad_()
    logits = OptimalDiscriminator(one(0.0, std=1.0), one(gap, std=1.0))(x)
    return float(torch.autograd.grad(rule.generator(logits), x)[0].sum())

gaps = torch.linspace(0, 8, 41)
plots.curves({rule.name: (gaps, [push(float(g), rule) for g in gaps]) for rule in (minimax(), non_saturating())},
            xlabel="gap between data and model", ylabel="push towards the data",
            alt="The saturating push rises a little and dies as the gap grows; the non-saturating one keeps growing")

# %% tags=["slide:gan.algorithm1"]
def sliding(gap):
    """Two Gaussians, the best discriminator between them, and how strongly each loss pushes."""
    axes, x = plots.panels(1, 4.2, height=2.9), torch.linspace(-4, 12, 200, dtype=torch.float64)[:, None]
    sides = {"data": one(0.0, std=1.0), "model": one(gap, std=1.0)}
    plots.curves({name: (x[:, 0], side.log_prob(x).exp()) for name, side in sides.items()}
                | {"exact: D*": (x[:, 0], OptimalDiscriminator(*sides.values())(x).sigmoid())}, ax=axes[0], xlabel="x", ylabel="")
    axes[0].set_title(f"push: saturating {push(gap, minimax()):.3f}, other {push(gap, non_saturating()):.2f}", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8, loc="upper right")
    return axes

play(sliding, gap=(0.0, 8.0, 0.5, 3.0))

# %% [markdown]
# **Predict before you drag.** At gap 8, how does the non-saturating push compare with that at gap 4, and why is even that no cure for everything?
# <details><summary>Answer</summary>About twice as strong: for two Gaussians of equal width the logit is a straight line whose slope is the gap, and $1-D\approx1$. It is strong, but its direction is only as good as D, and a D that is sure of everything is steep, noisy and
# far from any $D^*$: the gradient is then large and random instead of small. Hence k = 1 step and not a hundred, and hence the penalties of section 7.</details>
#
# ### k steps of D to one of G
#
# The proof wants $D=D^*$ at every step; Algorithm 1 can only take k. Three trainings on two moons, equal but for k, of equally many generator steps. Here is Algorithm 1 in the library's words: the discriminator is a player who moves at
# every step, the generator one who moves at every k-th.

# %% tags=["slide:gan.algorithm1"]
def trained(rule, k, steps):
    seed(6)
    gan = GAN(nets.MLPGenerator(latent=4), nets.MLPDiscriminator(), rule, k=k)
    history = fit(gan, moons, Recipe(steps * k, 128, 1e-3, betas=(0.5, 0.99)))
    far = metrics.energy_distance(gan.sample(2000), moons.stratified(2000))
    return gan, history, far

runs = {}
for rule in (minimax(), non_saturating()):
    for k in (1, 3):
        runs[f"{rule.name}, k = {k}"] = trained(rule, k, budget(quick=350, full=3000))
floor = metrics.floor(moons, metrics.energy_distance, 2000, repeats=3)
for name, (gan, history, far) in runs.items():
    print(f"{name:24} energy distance {far:.3f} (floor {floor.mean:.4f} ± {floor.sd:.4f})")

# %%
axes = plots.panels(4, 2.0)
for ax, (name, (gan, history, far)) in zip(axes, runs.items()):
    plots.points(gan.sample(1500), ax=ax, color=plots.BLUE, title=name)
plots.shown(axes, alt="Samples of four short trainings: two losses, one or three discriminator steps")

# %% [markdown]
# (One seed each and a short training: read the distances, but do not make a law of them. Section 11 asks how much a seed does.)
#
# ## 6 · Why they circle
# *Slide "GAN optimality": expectations and reality*
#
# The slide's *reality*: updates are made in parameter space, neither side is ever optimal, and the losses keep oscillating. The smallest game that shows it has two numbers. The data are all at 0; the generator always says $\theta$; the critic is $f(x)=\psi x$. With the
# Wasserstein losses both sides descend
#
# $$\dot\theta=\psi,\qquad\dot\psi=-\theta,$$
#
# a rotation. The point of rest $(0,0)$ is the solution of the game, and *no* gradient points to it. With the lecture's losses the same holds, at half the speed near the origin. Drop a particle and let it walk in Euler steps (both sides move at once): the smaller the step the slower it gets
# *away*; it never gets closer.

# %% tags=["slide:gan.optimality-reality"]
seed(6)
times, start = torch.linspace(0, 40, 401), torch.tensor([2.0, 0.0]) + 0.35 * torch.randn(300, 2)
duels = {"minimax": DiracGAN(minimax()), "R1 penalty": DiracGAN(minimax(), r1=0.5)}
ways = {name: ode.solve(duel, start, times, method=ode.rk4) for name, duel in duels.items()}
TrajectoryPlayer(list(ways.values()), field=[lambda x, t, d=d: d(x) for d in duels.values()], times=times, trails=40, seconds=8,
                 titles=list(ways), drop=[[2.0, 1.0]], steps=60, label="Pairs (θ, ψ) circle; with a penalty they spiral in")

# %% [markdown]
# *Horizontal: what the generator says, $\theta$; vertical: the critic's slope $\psi$. Left: circles for ever. Right: a penalty on the critic's slope at the data (R1, section 7) turns them into spirals that come to rest at the solution.*
#
# In steps of gradient descent it matters who moves when. Radius of the path, same step size, four ways:

# %% tags=["slide:gan.optimality-reality"]
start, times = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.arange(0, 40, 0.2, dtype=torch.float64)
simple = DiracGAN(wasserstein(None))
manners = {"both at once": (simple, ode.euler), "in turn": (simple, alternating), "exact: continuous time": (simple, ode.rk4),
           "in turn, with R1": (DiracGAN(wasserstein(None), r1=0.3), alternating)}
radius = {name: ode.solve(duel, start, times, method=method)[:, 0].norm(dim=1) for name, (duel, method) in manners.items()}
growth = (1 + 0.2**2) ** (torch.arange(len(times), dtype=torch.float64) / 2)
verify("gan.optimality-reality", radius["both at once"], growth, what="both at once: the radius grows by √(1 + h²) a step")
plots.curves({name: (times, r) for name, r in radius.items()}, xlabel="time (step 0.2)", ylabel="distance from the solution", log="y",
            alt="Simultaneous steps spiral out, alternating ones stay, the penalty brings them in")

# %% [markdown]
# And a real training: the two losses of the moons from section 5. If the game were solved both would settle, the discriminator's at $2\log2$ and the generator's at $\log2$ (dashed). Look at
# two things: how they swing against each other, one up where the other is down; and how near to the dashed lines they come, although the picture of this run in section 5 is still a smear.

# %% tags=["slide:gan.optimality-reality"]
_, history, _ = runs["non-saturating, k = 1"]
smooth = lambda x: x.unfold(0, 20, 5).mean(1)
at = torch.arange(20, 20 + 5 * len(smooth(history.losses["generator"])), 5)
plots.curves({"discriminator": (at, smooth(history.losses["discriminator"])), "generator": (at, smooth(history.losses["generator"])),
             "exact: 2 log 2, if solved": (at, [2 * math.log(2)] * len(at)), "exact: log 2": (at, [math.log(2)] * len(at))},
            xlabel="step", ylabel="loss (mean of 20)", alt="Losses of a real training wander about their equilibrium values")

# %% [markdown]
# **Predict.** Which of the two losses tells you that the samples are getting better?
# <details><summary>Answer</summary>Neither. Each is measured against an opponent who changes too, and who is not $D^*$: losses at their equilibrium say that *this* discriminator cannot tell, not that nobody could. A falling discriminator loss can mean a better D or a worse G. That is the slide's "difficult to evaluate": one needs a judge outside of the game, such as the mode counts below.</details>
#
# ## 7 · Mode collapse, counted
# *Slide "Mode collapse"*
#
# *"The generator collapses to one or few distribution modes."* Nothing in its loss forbids it: each sample is judged by itself, and a generator that makes one thing well is not told that the rest is missing. (Section 3 has the same in the JSD: two valleys.) To count, one needs data that know their modes:
# eight Gaussians on a ring of radius 3 with deviation 0.25 (this course's convention; there are at least six others), and a grid of 25. A sample is *of high quality* within three deviations of its mode, a mode is *found* if one of 2,500 samples is of high quality there. A perfect sampler would
# find all, with 98.9 % of high quality.
#
# The plain game is Algorithm 1 with noise in the plane and a generator who is ten times as fast as the discriminator. Then one change after another, and all together; nothing else differs:
#
# * **even pace**: both sides learn equally fast, so that the discriminator knows what the generator does now;
# * **more noise**: $\mathbf z$ in 16 dimensions. A sheet of two must be torn to cover eight places that lie apart, and each piece touches few others; in 16 dimensions every piece has room beside every other;
# * **R1**: $\frac\gamma2\,\mathbb E_\pi\lVert\nabla f(\mathbf x)\rVert^2$, flat where the data are (section 6 showed why it calms the game);
# * **packing**: the discriminator sees two samples side by side, so that it notices when they are too alike.
#
# `fit` keeps an eye on each run: where several looks on end find samples that are all but one and the same, it says so.

# %% tags=["slide:gan.mode-collapse"]
plain = {"game": non_saturating(), "lr": 3e-4, "lr_ratio": 10.0, "latent": 2, "pack": 1}
cures = {"plain": {}, "even pace": {"lr": 3e-3, "lr_ratio": 1.0}, "more noise": {"latent": 16},
         "R1": {"game": non_saturating().with_penalty(R1(0.1))}, "packing": {"pack": 2}}
cures["all four"] = {k: v for name in list(cures) for k, v in cures[name].items()}

def play_out(world, steps, s, game, lr, lr_ratio, latent, pack, watch=None):
    """A GAN on a world of modes: its samples, and what was found in them."""
    seed(s)
    critic, settings = nets.MLPDiscriminator(2 * pack), Recipe(steps, 128, lr, decay=linear, betas=(0.5, 0.99), seed=s)
    gan = GAN(nets.MLPGenerator(latent), nets.PacDiscriminator(critic, pack) if pack > 1 else critic, game, lr_ratio=lr_ratio)
    fit(gan, world, settings, report=watch and (lambda history: watch(history, gan)))
    x = gan.sample(2500)
    return x, metrics.mode_counts(x, world.means, float(world.stds[0, 0]))

# %% tags=["slide:gan.mode-collapse"]
def counted(world, changes, steps, every):
    """Modes found while training, the samples at those moments, and the last count."""
    moments, once = [], torch.Generator().manual_seed(0)
    z = torch.randn(1000, (plain | changes)["latent"], generator=once)
    def watch(history, gan):
        if history.step % every == 0:
            with torch.no_grad():
                x = gan.generator(z)                                   # the same noise each time
            moments.append((history.step, metrics.mode_counts(x, world.means, float(world.stds[0, 0])).covered, x[:400]))
    x, found = play_out(world, steps, 0, **(plain | changes), watch=watch)
    return moments, found

steps = budget(quick=600, full=4000)
ring = {name: counted(eight, changes, steps, steps // 15) for name, changes in cures.items()}
for name, (moments, found) in ring.items():
    print(f"{name:12} {found}")
plots.curves({name: ([m[0] for m in moments], [m[1] for m in moments]) for name, (moments, _) in ring.items()},
            xlabel="step", ylabel="modes found (of 8)", alt="Modes found over training: by the plain game, with each of four changes, and with all")

# %%
TrajectoryPlayer([torch.stack([m[2] for m in ring[name][0]]) for name in ("plain", "even pace")], data=eight.means,
                 titles=["plain", "even pace"], color=plots.BLUE, trails=0, seconds=6, time="training",
                 label="Samples over training: the plain game wanders from mode to mode, the cured one covers the ring")

# %% [markdown]
# *Left, the plain game: all samples at one place or two, which wanders. Right, both sides at an even pace: the samples spread first, then they settle on the ring.*
#
# Which change helps alone, and which only in company? In our run an even pace did most, and packing much; R1 and more noise alone could not save a generator that runs ahead of its judge. Read quality and reverse KL together: the first says how
# sharp the samples are, the second how evenly the modes are served, and the game that is best in one need not be best in the other.
#
# **Predict.** The plain generator sits on one mode. What will the discriminator do next, and then?
# <details><summary>Answer</summary>It learns that samples there are fake: too many of them. Then any other mode is a better place, and the generator moves there, all of it at once; and so on round the ring. It is section 6 again: circling, in a space of more dimensions.</details>
#
# The same on a grid of 25, where the modes are smaller and more. Look for two different faults: modes that are *missing*, and samples strewn *between* modes.
#
# The second fault has a cause that no judge can remove. The noise is one cloud and $G$ is continuous, so what it draws hangs together: 25 islands want 24 bridges at least. (The thread between the moons of notebook 06 is the same bridge.) So a third player lets its noise *choose* first: the largest
# of 100 numbers names one of 100 starting points, all equally likely, and two more numbers say where around it. A hundred small clouds need not be torn; several may end on one island.

# %% tags=["slide:gan.mode-collapse"]
grid25, found = data.grid25(), {}
for name in ("plain", "all four"):
    found[name] = play_out(grid25, budget(quick=500, full=6000), 0, **(plain | cures[name]))
seed(0)
chooser = GAN(nets.MixtureLatent(nets.MLPGenerator(102, width=128), 100), nets.MLPDiscriminator(width=128), non_saturating().with_penalty(R1(0.05)))
fit(chooser, grid25, Recipe(budget(quick=800, full=3000), 256, 3e-3, decay=linear, betas=(0.5, 0.99)), report=progress("chooser"))
x = chooser.sample(2500)
found["a choice first"] = x, metrics.mode_counts(x, grid25.means, 0.1)
axes = plots.panels(4, 2.2)
plots.points(grid25.sample(1500), ax=axes[0], title="data")
for ax, (name, (x, count)) in zip(axes[1:], found.items()):
    print(f"{name:15} {count}")
    plots.points(x[:1500], ax=ax, color=plots.BLUE, title=f"{name}: {count.covered} of 25")
print(f"an even smear   25 of 25 modes; high quality {math.pi * 0.3**2 / 1.5**2:.1%} (three deviations of 0.1 in cells of 1.5)")
plots.shown(axes, alt="A grid of 25 modes: the plain game at one place, the cured one a smear, islands where the noise chooses first")

# %% [markdown]
# The last line is a warning about counting. A generator that knows nothing of the grid, and strews its samples evenly, would *find* all 25 modes too, and one sample in eight would be of high quality by luck. So a count of modes means something only
# beside the quality, and the other way round: one mode, perfectly made, has a quality of 99 %. After so short a training the generator of the four cures is still close to that smear; the one that may choose has islands already. `python benchmarks/modes.py --world grid` trains longer and
# over five seeds. The hard part is to sharpen the modes without losing any.
#
# ## 8 · A first convolutional GAN
# *Slide "DCGAN"*
#
# Dense layers do not know that pixels have neighbours. DCGAN's generator turns $\mathbf z$ into a 7 × 7 map of many channels and doubles its size twice by transposed convolutions; the discriminator is its mirror image. First a few steps live, to see that nothing is hidden; then the weights of
# the same model after a longer training (`dgm train dcgan_digits` repeats it).

# %% tags=["slide:gan.dcgan"]
mnist = data.mnist().to(device())
seed(7)
live = pretrained.digits_dcgan().to(device())
history = fit(live, mnist.train, pretrained.adversarial_recipe(budget(quick=400, full=4000), ema=0.95), report=progress("DCGAN"))
dcgan = pretrained.load("dcgan_digits").to(device())
seed(8)
plots.gallery({f"live, {history.step} steps": live.sample(24), "the shipped weights": dcgan.sample(24), "real": mnist.test[:24]},
             alt="Digits of a DCGAN after a few steps and of the shipped weights, beside real ones")

# %% tags=["slide:gan.dcgan"]
judge = pretrained.load("digit_classifier").to(device())
seed(9)
with torch.no_grad():
    drawn = dcgan.sample(1000)
    counts = torch.bincount(judge(drawn).argmax(1), minlength=10)
held_out = pretrained.card("dcgan_digits")["held_out"]
print(f"Fréchet {held_out['frechet']} (floor {held_out['frechet_floor']}), precision {held_out['precision']}, recall {held_out['recall']}: {held_out['protocol']}")
plots.bars({str(digit): int(count) for digit, count in enumerate(counts)}, ylabel="of 1,000 samples",
          alt="How many of a thousand samples are taken for each digit: all ten occur, not equally often")

# %% [markdown]
# All ten classes occur; nobody told the model that there are ten. How *many* of each is its own affair: nothing measures it during training. Between two samples one can walk. Look for digits that pass through other digits, and for the absence of ghosts: every picture on the way is a picture by itself, not a
# mixture of two.

# %% tags=["slide:gan.dcgan"]
seed(10)
ends = dcgan.noise(24).view(2, 12, -1)
angle = torch.acos(torch.nn.functional.cosine_similarity(*ends, dim=1))[:, None]
share = torch.linspace(0, 1, 31, device=ends.device)[:, None, None]
walk = (torch.sin((1 - share) * angle) * ends[0] + torch.sin(share * angle) * ends[1]) / torch.sin(angle)
with torch.no_grad():
    way = dcgan.generator(walk.flatten(0, 1)).view(31, 12, 28, 28)
FramePlayer(way, captions=[f"{k / 30:.0%} of the way" for k in range(31)], columns=6, size=420)

# %% [markdown]
# *(The walk is along a great circle: in 32 dimensions nearly all noise has length about √32, and a straight line would pass through the middle, where the generator has never been.)*
#
# ## 9 · No density, no encoder
# *Slide "GAN training"*
#
# $p(\mathbf x\mid\mathbf z)=\delta(\mathbf x-G(\mathbf z))$: all the probability of a $\mathbf z$ sits on one point. The pictures form a surface of at most 32 dimensions in a space of 784, so $p(\mathbf x)$ is zero for nearly every picture, real ones included, and there is no likelihood to report. Nor is there an
# encoder: to find the $\mathbf z$ of a picture one must search, by descent on $\lVert G(\mathbf z)-\mathbf x\rVert^2$. Near one $\mathbf z$ the generator is linear, $G(\mathbf z+\boldsymbol\delta)\approx G(\mathbf z)+J\boldsymbol\delta$, and the rank of its Jacobian $J$ says in how many directions one can go. Then the search, for three kinds of pictures; look at which are found again:

# %% tags=["slide:gan.no-encoder"]
seed(11)
z = dcgan.noise(1)
with torch.no_grad():
    assert torch.equal(dcgan.generator(z), dcgan.generator(z))           # a delta: the same z, the same picture, always
jacobian = torch.autograd.functional.jacobian(lambda z: dcgan.generator(z).flatten(), z)[:, 0]
spectrum = torch.linalg.svdvals(jacobian.double())
print(f"a picture has {jacobian.shape[0]} pixels; moving z moves it in {int((spectrum > 1e-6 * spectrum[0]).sum())} directions")

def searched(pictures):
    return invert(dcgan.generator, pictures, steps=budget(quick=80, full=400), starts=3)

pictures = {"its own samples": dcgan.sample(8), "held-out digits": mnist.test[:8], "digits lying down": data.turned(mnist.test[:8])}
found = {name: searched(x) for name, x in pictures.items()}
for name, result in found.items():
    print(f"{name:18} root mean squared error {float(result.error.mean().sqrt()):.3f} (pixels run from −1 to 1)")
plots.gallery({f"{name}, then the nearest that G can make": torch.cat([pictures[name], result.image]) for name, result in found.items()},
             columns=8, alt="Pictures, and the nearest pictures that the generator can make")

# %% [markdown]
# Its own samples are found again nearly (not quite: the search is a descent on a rugged surface), held-out digits roughly, and a digit lying on its side turns into something upright or a smear: it is not on the surface.
#
# **Predict.** One search took hundreds of passes through the generator. What would an encoder have to be trained on, and where have you seen it?
# <details><summary>Answer</summary>On pairs (G(z), z), which are free, or together with the decoder as in a VAE: its encoder is the price of a likelihood bound, and a GAN does not pay it. (BiGAN and ALI train one inside the game.)</details>
#
# ## 10 · Style
# *Slide "StyleGAN"*
#
# A style-based generator changes where $\mathbf z$ enters. A *mapping network* makes a style $\mathbf w$ of it; the picture starts from one learned constant, the same for all; and in every layer $\mathbf w$ sets what each channel should look like on average and how strongly it should vary:
#
# $$\mathrm{AdaIN}(\mathbf x_i,\mathbf y)=\mathbf y_{s,i}\,\frac{\mathbf x_i-\mu(\mathbf x_i)}{\sigma(\mathbf x_i)}+\mathbf y_{b,i}.$$
#
# $\mu$ and $\sigma$ run over the pixels of one channel of one picture. So afterwards its mean *is* $\mathbf y_b$ and its deviation *is* $|\mathbf y_s|$, whatever came in; all that survives of $\mathbf x_i$ is *where* it was high and low.

# %% tags=["slide:gan.adain"]
seed(12)
x = torch.randn(5, 3, 14, 14).double() * torch.tensor([1.0, 20.0, 0.05]).double().view(3, 1, 1) + 7
ys, yb = torch.randn(5, 3).double(), torch.randn(5, 3).double()
y = nets.adain(x, ys, yb)
verify("gan.adain", y.mean((2, 3)), yb, what="mean of each channel = y_b")
verify("gan.adain", y.std((2, 3), correction=0), ys.abs(), what="deviation of each channel = |y_s|", tolerance=1e-5)
verify("gan.adain", nets.adain(3 * x - 8, ys, yb), y, what="what came in is forgotten: AdaIN(3x − 8) = AdaIN(x)", tolerance=1e-5)
reveal(nets.StyleGenerator.synthesis)

# %% tags=["slide:gan.stylegan"]
style = pretrained.load("style_digits").to(device())
G_style = style.generator
seed(13)
held_out = pretrained.card("style_digits")["held_out"]
print(style, f"\nFréchet {held_out['frechet']} (floor {held_out['frechet_floor']}), precision {held_out['precision']}, recall {held_out['recall']}, "
      f"{held_out['classes']} classes in 1,000 samples")
with torch.no_grad():
    z = style.noise(12)
    w = G_style.mapping(z)
    many = torch.stack([G_style.synthesis(w) for _ in range(40)])
plots.gallery({"twelve styles": G_style.synthesis(w), "the same, other noise": many[0], "what the noise changes (× 8)": (8 * many.std(0) - 1).clamp(-1, 1)},
             alt="Twelve digits, the same with other noise, and where the noise matters: along the edges of strokes")

# %% [markdown]
# *Stochastic variation*: the third row shows the deviation over forty draws of the noise on every pixel. It is the slide's "pores and hair" of a digit. Which digit it is, and how it leans, stays.
#
# Compare precision and recall in the first lines with those of the DCGAN in section 8. These digits are cleaner, and there are fewer ways of writing each: the recall is far lower. That is mode collapse too, of a gentler kind, and no look at twelve pictures shows it.
#
# Now **style mixing**. Rows give the style of the layers *before* the slider's, columns from it on. Layers 0 and 1 work at 7 × 7, 2 and 3 at 14 × 14, 4 at 28 × 28.

# %% tags=["slide:gan.stylegan"]
noises = G_style.noises(1, torch.Generator(device()).manual_seed(0))

def mixed(layer):
    with torch.no_grad():
        left, top = w[:5], w[5:11]
        table = G_style.mix_styles(left.repeat_interleave(6, 0), top.repeat(5, 1), layer)
        sheet = G_style.synthesis(table, noises).view(5, 6, 1, 28, 28)
        heads = torch.cat([-torch.ones(1, 1, 28, 28, device=w.device), G_style.synthesis(top, noises)])
        rows = [torch.cat([head[None], row]) for head, row in zip(G_style.synthesis(left, noises), sheet)]
    return plots.images(torch.cat([heads, *rows]), columns=7, title=f"below layer {layer}: style of the row; from it on: of the column")

play(mixed, layer=(0, 5, 1, 2))

# %% [markdown]
# **Predict before you drag.** At which layer does the table change from "all digits of a column alike" to "all digits of a row alike", and what does the last layer still decide?
# <details><summary>Answer</summary>At 0 every picture has the column's style, at 5 the row's. Where the identity of the digit changes hands you see for yourself: it is decided at coarse sizes. The finest layer is left with little, such as how thick and how black the stroke is.</details>
#
# The slide says that $\mathbf w$ is better organised than $\mathbf z$. What can be checked here without words: along a straight line, how evenly does the picture change? (1 is even; the more of the change happens in one place, the larger.)

# %% tags=["slide:gan.stylegan"]
def unevenness(points):
    """Largest over mean change of the picture along a straight line of 20 steps, averaged over the lines.  (21, N, ...)"""
    with torch.no_grad():
        pictures = torch.stack([G_style.synthesis(p, noises) for p in points])
    change = (pictures[1:] - pictures[:-1]).flatten(2).norm(dim=2)
    return change.amax(0) / change.mean(0)

seed(14)
share = torch.linspace(0, 1, 21, device=w.device)[:, None, None]
za, zb = style.noise(40), style.noise(40)
with torch.no_grad():
    along_z = unevenness([G_style.mapping(p) for p in torch.lerp(za, zb, share)])
    along_w = unevenness(torch.lerp(G_style.mapping(za), G_style.mapping(zb), share))
for name, values in (("z", along_z), ("w", along_w)):
    print(f"along straight lines in {name}: largest step / mean step = {float(values.mean()):.2f} ± {float(values.std() / 40**0.5):.2f}")

# %% [markdown]
# ## 11 · How much is luck?
# *Slide "Pros and Cons"*
#
# *"Training is unstable."* An honest figure of a GAN is a figure over seeds. The plain game on the ring, and the one at an even pace, five seeds each:

# %% tags=["slide:gan.pros-cons"]
lucky = {name: [play_out(eight, budget(quick=300, full=4000), s, **(plain | cures[name]))[1] for s in range(5)]
         for name in ("plain", "even pace")}
for name, runs_of in lucky.items():
    print(f"{name:10} modes of 8: {[found.covered for found in runs_of]}   high quality: "
          f"{', '.join(f'{found.high_quality:.0%}' for found in runs_of)}")
covered = {name: torch.tensor([float(found.covered) for found in runs_of]) for name, runs_of in lucky.items()}
plots.bars({name: v.mean() for name, v in covered.items()} | {"exact: a perfect sampler": 8},
          spread=[float(v.std()) for v in covered.values()] + [0.0], ylabel="modes found, mean ± sd of 5 seeds",
          alt="Modes found over five seeds by the plain and the cured game")

# %% [markdown]
# *"Difficult to evaluate."* Note what it took to see any of this: data that know their modes, or a classifier as a judge. Neither row could be read off the losses.
#
# ## 12 · What this shares with the other families
#
# * **VAE (02)**: the same decoder with an encoder and a bound; blurred where this is sharp, and complete where this loses modes.
# * **Flows (06)**: the same one pass from noise, but invertible, so the density is known; the price is in the architecture.
# * **Latent-space models (10)**: a VQGAN takes the loss of this notebook to sharpen the reconstructions of an autoencoder.
#
# | | samples | density | passes for a sample | latent |
# |---|---|---|---|---|
# | GAN | yes | none | 1 | z, by search only |
#
# ## Homework
#
# Eight exercises, ten points. Critics give logits unless the exercise says heights; each expectation is a mean over its batch.
#
# **Exercise 5.1 · the best discriminator (1 point).** Both densities are known at each x; one of them may be 0 (not both).

# %% exercise="gan.optimal_discriminator"
def optimal_discriminator(pi, p):
    """D*(x).     pi, p (B,) densities of data and model at x  ->  (B,)"""
    ### BEGIN SOLUTION
    return pi / (pi + p)
    ### END SOLUTION

# %% check="gan.optimal_discriminator" points=1
optimal_discriminator = check("gan.optimal_discriminator", optimal_discriminator)

# %% [markdown]
# **Exercise 5.2 · the discriminator's loss (1 point).** $-V$ from logits: one mean of $-\log D$ over the real batch *plus* one mean of $-\log(1-D)$ over the fake one. It must survive a critic that is very sure.

# %% exercise="gan.discriminator_loss"
def discriminator_loss(real, fake):
    """−V.     logits real (B,), fake (M,)  ->  ()"""
    ### BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    return softplus(-real).mean() + softplus(fake).mean()
    ### END SOLUTION

# %% check="gan.discriminator_loss" points=1
discriminator_loss = check("gan.discriminator_loss", discriminator_loss)

# %% [markdown]
# **Exercise 5.3 · the generator's two losses (2 points).** Return `(saturating, non_saturating)`: the means of $\log(1-D)$ and of $-\log D$ over the fakes, both to be made small.

# %% exercise="gan.generator_losses"
def generator_losses(fake):
    """(saturating, non_saturating).     logits fake (B,)  ->  (), ()"""
    ### BEGIN SOLUTION
    softplus = torch.nn.functional.softplus
    return -softplus(fake).mean(), softplus(-fake).mean()
    ### END SOLUTION

# %% check="gan.generator_losses" points=2
generator_losses = check("gan.generator_losses", generator_losses)

# %% [markdown]
# **Exercise 5.4 · the Jensen-Shannon divergence (1 point).** Of each pair of rows of two tables, in nats. A table may hold zeros.

# %% exercise="gan.jsd"
def jsd(p, q):
    """JSD of each pair of rows.     p, q (B, K), rows that sum to one  ->  (B,)"""
    ### BEGIN SOLUTION
    entropy = lambda table: -torch.xlogy(table, table).sum(1)
    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    ### END SOLUTION

# %% check="gan.jsd" points=1
jsd = check("gan.jsd", jsd)

# %% [markdown]
# **Exercise 5.5 · the gradient penalty (2 points).** The mean over the batch of $(\lVert\nabla f(\hat{\mathbf x})\rVert-1)^2$ at $\hat{\mathbf x}=u\,\mathbf x_{\text{real}}+(1-u)\,\mathbf x_{\text{fake}}$, without the weight $\lambda$. `critic` is a network, (B, D) → (B,), and must be able to learn from the result.

# %% exercise="gan.gradient_penalty"
def gradient_penalty(critic, real, fake, u):
    """E (‖∇f‖ − 1)² between real and fake.     real, fake (B, D), u (B,)  ->  ()"""
    ### BEGIN SOLUTION
    between = (u[:, None] * real + (1 - u[:, None]) * fake).requires_grad_()
    slope, = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()
    ### END SOLUTION

# %% check="gan.gradient_penalty" points=2
gradient_penalty = check("gan.gradient_penalty", gradient_penalty)

# %% [markdown]
# **Exercise 5.6 · AdaIN (1 point).** $\sigma$ is the root of the mean squared deviation, with $1/HW$.

# %% exercise="gan.adain"
def adain(x, scale, bias):
    """The style of every channel.     x (B, C, H, W), scale, bias (B, C)  ->  (B, C, H, W)"""
    ### BEGIN SOLUTION
    deviation, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    return scale[:, :, None, None] * (x - mean) / deviation + bias[:, :, None, None]
    ### END SOLUTION

# %% check="gan.adain" points=1
adain = check("gan.adain", adain)

# %% [markdown]
# **Exercise 5.7 · least squares (1 point).** A critic that is to answer $b$ on real and $a$ on fake samples, by squared error: which $f(x)$ minimises $\frac12\pi\,(f-b)^2+\frac12p\,(f-a)^2$ at each $x$?

# %% exercise="gan.least_squares_critic"
def least_squares_critic(pi, p, a, b):
    """f*(x).     pi, p (B,) densities of data and model, a, b numbers  ->  (B,)"""
    ### BEGIN SOLUTION
    return (b * pi + a * p) / (pi + p)
    ### END SOLUTION

# %% check="gan.least_squares_critic" points=1
least_squares_critic = check("gan.least_squares_critic", least_squares_critic)

# %% [markdown]
# **Exercise 5.8 · another divergence from samples (1 point).** Every f-divergence has its game. $\mathrm{KL}(\pi\Vert p)$ has $f(u)=u\log u$, with the conjugate $f^*(t)=e^{t-1}$, and for *any* critic $T$: $\ \mathrm{KL}\ge\mathbb E_\pi T-\mathbb E_p f^*(T)$. Write the right side from the critic's heights.

# %% exercise="gan.kl_bound"
def kl_bound(real, fake):
    """E T − E exp(T − 1).     heights T at data real (B,), at samples of the model fake (M,)  ->  ()"""
    ### BEGIN SOLUTION
    return real.mean() - (fake - 1).exp().mean()
    ### END SOLUTION

# %% check="gan.kl_bound" points=1
kl_bound = check("gan.kl_bound", kl_bound)

# %% [markdown]
# **Now put your pieces together.** Your losses train a GAN on the ring, with your gradient penalty; your bound measures a KL with a critic that you know to be best, $T^*=1+\log(\pi/p)$. (Where a piece is still missing the reference stands in.)

# %%
seed(20)
yours_G, yours_D = nets.MLPGenerator(2, 2, 64, 2), nets.MLPDiscriminator(2, 64, 2)
mine = {net: torch.optim.Adam(net.parameters(), 2e-3, betas=(0.5, 0.9)) for net in (yours_G, yours_D)}
for step in range(budget(quick=400, full=3000)):
    real, fake = eight.sample(128), yours_G(torch.randn(128, 2))
    loss = discriminator_loss(yours_D(real), yours_D(fake.detach()))
    loss = loss + 0.1 * gradient_penalty(yours_D, real, fake.detach(), torch.rand(128))
    mine[yours_D].zero_grad(); loss.backward(); mine[yours_D].step()
    mine[yours_G].zero_grad(); generator_losses(yours_D(fake))[1].backward(); mine[yours_G].step()

# %%
with torch.no_grad():
    x = yours_G(torch.randn(2500, 2))
print("your game:", metrics.mode_counts(x, eight.means, 0.25))
at_data, at_model = truth.sample(200_000), model_1d.sample(200_000)
bound = kl_bound(1 + best(at_data), 1 + best(at_model))
exact_kl = metrics.kl_on_grid(truth.log_prob, model_1d.log_prob, line_grid)
print(f"KL by your bound, best critic: {float(bound):.3f}; by quadrature: {exact_kl:.3f}")
plots.points(x, color=plots.BLUE, title="your generator", alt="Samples of the reader's own GAN on the ring")

# %% [markdown]
# **Written (think, then unfold).** *A GAN trained on faces gives perfect portraits of twenty people. Which of the measures precision, recall and the discriminator's loss would tell you?*
# <details><summary>Answer</summary>Recall (or coverage): the share of real faces that lie near some sample. Precision is perfect, and the loss knows only how the two sides stand to each other.</details>
#
# *The proof needs $G$ "any function". Where in this notebook was it not, and what was lost?*
# <details><summary>Answer</summary>In sections 0 and 3: a continuous G cannot tear its noise into two pieces, so there is a bridge between the moons; and a single blob cannot be two, so the JSD stayed well above zero.</details>
#
# ## References
#
# * Goodfellow et al.: *Generative Adversarial Nets*, 2014. The game, the proof, Algorithm 1.
# * Nowozin, Cseke, Tomioka: *f-GAN*, 2016. Every f-divergence has a game. Mao et al.: *Least Squares GANs*, 2017.
# * Arjovsky, Chintala, Bottou: *Wasserstein GAN*, 2017; Gulrajani et al.: *Improved Training of Wasserstein GANs*, 2017. The gradient penalty.
# * Mescheder, Geiger, Nowozin: *Which Training Methods for GANs do actually Converge?*, 2018. The duel of two numbers, R1.
# * Heusel et al.: *GANs Trained by a Two Time-Scale Update Rule*, 2017. Lin et al.: *PacGAN*, 2018. Metz et al.: *Unrolled GANs*, 2017. Cures of collapse.
# * Radford, Metz, Chintala: *DCGAN*, 2016. Karras, Laine, Aila: *A Style-Based Generator Architecture for GANs*, 2019. Endres, Schindelin: *A New Metric for Probability Distributions*, 2003: the root of the JSD.
