# %% [markdown]
# # 07 · Diffusion
#
# *Lecture 14 (autumn 2024), "Recap of previous lecture": objectives, NCSN, DDPM, sampling*
#
# **The promise.** Destroying data with noise is easy, and whoever knows the *score* of every noisy density can run the film backwards. At the end you know why denoising teaches
# the score, why DDPM and NCSN are one class with other arguments, and why ancestral sampling and DDIM are two ways to walk through the *same* clouds; and you have
# written the formulas yourself.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | multivariate Gaussians, the chain rule, a first neural network; a stochastic differential equation is explained where it comes |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Two clocks, once and for all**
#
# | what | here | the slides |
# |---|---|---|
# | time | `t`: 0 is noise, 1 is data (as in flow matching, notebook 08) | $s=1-t$: 0 is data, 1 is noise |
# | discrete step | `k` = 1 … T from data to noise, $s=k/T$ | written $t$ |
# | data, noise | `x1`, `x0` | $\mathbf x(0)$ or $\mathbf x_0$; $\boldsymbol\epsilon$ |
# | scales | $\mathbf x_t=\alpha_t\mathbf x_1+\sigma_t\mathbf x_0$; DDPM's $\bar\alpha$ is our $\alpha^2$ | several |
# | `sigma` | a standard deviation, never a variance | the same |
# | losses | mean over batch *and* coordinates | a sum over coordinates: a factor $D$, same minimiser |

# %%
import torch
from dgm_course import data, nets, paths, pretrained
from dgm_course.core import distributions, metrics, ode
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import VE, VP, ancestral, annealed_langevin, ddim
from dgm_course.teach import FramePlayer, TrajectoryPlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Mix a data point with noise, so much that only a trace is left or so little that one hardly sees it, and ask a network: *what was the noise?* Train at every level. Then start from noise alone; let the network
# say what in it is noise, take a small part of that away, add a *little* fresh noise, and repeat. That is DDPM, and here it is in bare torch. (`scales` is the mixing rule; where it comes from is section 1.)

# %% tags=["slide:diff.ddpm"]
seed(0); torch.set_num_threads(1)                                      # tiny tensors are fastest on one core
eight = data.eight_gaussians()
Layer, act = torch.nn.Linear, torch.nn.SiLU()
hidden = [m for _ in range(3) for m in (Layer(64, 64), act)]
net = torch.nn.Sequential(Layer(3, 64), act, *hidden, last := Layer(64, 2))
torch.nn.init.zeros_(last.weight), torch.nn.init.zeros_(last.bias)     # no answer is better than a random one
optimizer = torch.optim.Adam(net.parameters())

def scales(t):                                                         # of data and of noise, at time t
    s = 1 - t
    area = 0.1 * s + (20.0 - 0.1) * s**2 / 2                           # ∫β, β from 0.1 to 20
    return torch.exp(-area / 2), torch.sqrt(-torch.expm1(-area))

def bare_loss(x1, x0, t):
    alpha, sigma = scales(t)
    xt = alpha * x1 + sigma * x0
    return ((net(torch.cat([xt, t], 1)) - x0) ** 2).mean()             # what was the noise?

# %%
steps = budget(quick=3000, full=8000)
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 6e-3 * (1 - step / steps)
    x1, x0, t = eight.sample(128), torch.randn(128, 2), 0.999 * torch.rand(128, 1)    # not quite to t = 1
    optimizer.zero_grad()
    bare_loss(x1, x0, t).backward()
    optimizer.step()

# %%
@torch.no_grad()
def bare_sample(x, steps=100):
    places, ts = [x], torch.linspace(0, 0.999, steps + 1)
    for t, later in zip(ts, ts[1:]):                                   # one step nearer to the data
        (alpha, sigma), (alpha_s, sigma_s) = scales(t), scales(later)
        noise = net(torch.cat([x, t.expand(len(x), 1)], 1))
        clean = (x - sigma * noise) / alpha
        # the deviation of the exact posterior (section 5)
        fresh = sigma_s * torch.sqrt(1 - (alpha * sigma_s / (alpha_s * sigma)) ** 2)
        x = alpha_s * clean + torch.sqrt(sigma_s**2 - fresh**2) * noise + fresh * torch.randn_like(x)
        places.append(x)
    return torch.stack(places)

plots.snapshots(bare_sample(torch.randn(2000, 2)), torch.linspace(0, 1, 101),
          alt="Noise becomes eight Gaussians, in five pictures")

# %% [markdown]
# Nothing else in this notebook is needed to *do* diffusion. To understand it, three puzzles:
#
# 1. The network answers "which noise?". What has that to do with a *score*, $\nabla\log p$? (Sections 2 and 3.)
# 2. Why add fresh noise while removing noise; and why does it work without, too? (Sections 5 and 6.)
# 3. A hundred steps: how few will do? (Section 7.)
#
# The library computes the very same numbers; its model is the class of notebook 08 with another path and another prediction:

# %%
model = paths.ddpm(nets.MLP(2, width=64, depth=4), event=(2,))
model.net.layers.load_state_dict(net.state_dict())
x1, x0 = eight.sample(256), torch.randn(256, 2)
seed(1); from_library = model.loss(x1, x0)
seed(1); from_bare = bare_loss(x1, x0, 0.999 * torch.rand(256)[:, None])
verify("diff.ddpm", from_library, from_bare, what="library loss = the bare lines", tolerance=1e-5)
seed(2); ours = model.sample(x0, steps=100, method=ancestral)
seed(2); by_hand = bare_sample(x0)[-1]
verify("diff.ddpm", ours, by_hand, what="library's ancestral sampler = the bare lines", tolerance=1e-3)
reveal(paths.ddpm, ancestral)

# %% [markdown]
# ## 1 · Two ways to drown in noise
# *Slides "NCSN" and "DDPM"*
#
# A stochastic differential equation $d\mathbf x=\mathbf f\,ds+g\,d\mathbf w$ is a recipe for a small step: move by $\mathbf f\,ds$ and add Gaussian noise of variance $g^2ds$. The lecture has two,
# in the slides' time $s$:
#
# $$\text{VE (NCSN): } d\mathbf x=\sqrt{\tfrac{d\sigma^2(s)}{ds}}\,d\mathbf w,\qquad\qquad \text{VP (DDPM): } d\mathbf x=-\tfrac12\beta(s)\,\mathbf x\,ds+\sqrt{\beta(s)}\,d\mathbf w.$$
#
# VE only adds; its variance *explodes*. VP also shrinks what is there, so that unit variance is *preserved* (where the data have it; our ring starts wider). Both are linear, so what became of one point $\mathbf x(0)$ is a Gaussian at every time:
#
# $$\mathcal N\big(\mathbf x(0),[\sigma^2(s)-\sigma^2(0)]\mathbf I\big),\qquad\qquad \mathcal N\Big(\mathbf x(0)\,e^{-\frac12\int_0^s\beta},\ \big(1-e^{-\int_0^s\beta}\big)\mathbf I\Big).$$
#
# Left side of the check: 20,000 simulated particles, small step by small step. Right side: the library's closed form, read at $t=1-s$.

# %% tags=["slide:diff.ve", "slide:diff.vp"]
beta = lambda s: 0.1 + (20.0 - 0.1) * s
sigma = lambda s: 0.01 * (10.0 / 0.01) ** s                            # geometric, from 0.01 to 10
ve_noise = lambda s: (oracles.time_derivative(lambda r: sigma(r) ** 2, s)).sqrt()
sdes = {"VE": (VE(), lambda x, s: torch.zeros_like(x), ve_noise),
        "VP": (VP(), lambda x, s: -0.5 * beta(s) * x, lambda s: beta(s).sqrt())}

def simulated(path, drift, noise):
    """At three times: s, and the moments of the particles, each shifted and scaled as the closed form says."""
    point, ss = torch.tensor([1.5, -1.0]).double(), torch.linspace(0, 0.8, 1601).double()
    for i, particles in enumerate(ode.iter_solve(drift, point.expand(20_000, 2), ss, noise)):
        if i in (500, 1000, 1600):
            alpha, scale, _, _ = path.at(1 - ss[i])
            z = (particles - alpha * point) / scale
            yield float(ss[i]), estimate(torch.cat([z, z**2, z.prod(1, keepdim=True)], 1))

# %% tags=["slide:diff.ve", "slide:diff.vp"]
seed(3)
unit = torch.tensor([0.0, 0, 1, 1, 0]).double()                        # two means, two variances, the covariance
for s, moments in simulated(*sdes["VE"]):
    verify("diff.ve", moments, unit, scale=1.0, what=f"VE SDE at s = {s:.2f}: x(0) and σ²(s) − σ²(0)")
for s, moments in simulated(*sdes["VP"]):
    verify("diff.vp", moments, unit, scale=1.0, what=f"VP SDE at s = {s:.2f}: α x(0) and 1 − α²")

# %%
axes = plots.panels(10, 1.9, columns=5)
seed(4)
stations = {"VE": (0.0, 0.45, 0.55, 0.65, 0.75), "VP": (0.0, 0.1, 0.2, 0.35, 0.5)}
for row, (name, (path, drift, noise)) in zip((axes[:5], axes[5:]), sdes.items()):
    cloud = ode.solve(drift, eight.sample(1500).double(), torch.linspace(0, 0.8, 401).double(), noise)
    for ax, s in zip(row, stations[name]):
        place = cloud[round(500 * s)]
        plots.density_map(path.marginal(eight.to(torch.float64), float(1 - s)).log_prob, ax=ax)
        plots.points(place, ax=ax, color=plots.INK, title=f"{path.name}, $s={float(s):.1f}$, $t={1 - float(s):.1f}$")
plots.shown(axes, "Eight Gaussians drown in noise, above by VE and below by VP: particles on the exact density")

# %% [markdown]
# Points are simulated; the fog behind them is exact: a mixture of Gaussians, shrunk and blurred with Gaussian noise, is again a mixture, so `path.marginal(data, t)` and its score are known in closed form, and `path.exact(data)` is the model that a
# perfect network would be. Above (VE) the ring stays where it is while a growing haze swallows it, late, since σ grows geometrically; below (VP) it also shrinks into the middle.
#
# **Predict.** Which of the two forgets the data completely at $s=1$?
# <details><summary>Answer</summary>Neither, quite. VP keeps α = exp(−½∫β) = 0.0066 of the data. VE keeps all of it, hidden under noise ten units wide: section 8 measures what it costs to
# pretend otherwise.</details>
#
# ### A chain of small steps is the same SDE
# *Slide "DDPM"*
#
# The first DDPM had no SDE but T steps, $\mathbf x_k=\sqrt{1-\beta_k}\,\mathbf x_{k-1}+\sqrt{\beta_k}\,\boldsymbol\epsilon$. With $\beta_k=\beta(k/T)/T$ and $\sqrt{1-\beta_k}\approx1-\frac12\beta_k$ one step is one step of the SDE,
# and $\bar\alpha_k=\prod_{j\le k}(1-\beta_j)$ must approach $e^{-\int\beta}=\alpha^2$. How fast? (In the picture the two lines lie on one another.)

# %% tags=["slide:diff.discrete-is-sde"]
def chain(T):
    """alpha-bar after each step of DDPM's chain of T steps, for its two moments: mean √ᾱ, variance 1 − ᾱ."""
    k = torch.arange(1, T + 1).double()
    return (1 - beta(k / T) / T).cumprod(0)

def gap(T):
    t = 1 - torch.arange(1, T + 1).double() / T
    alpha, scale, _, _ = VP().at(t)
    return float((chain(T).sqrt() - alpha).abs().max()), float((1 - chain(T) - scale**2).abs().max())

Ts = [30, 100, 300, 1000, 3000, 10_000]
gaps = torch.tensor([gap(T) for T in Ts]).double()
slope = (gaps[-1].log() - gaps[-2].log()) / torch.tensor(Ts[-1] / Ts[-2]).double().log()
verify("diff.discrete-is-sde", slope, torch.full((2,), -1.0).double(), tolerance=0.02,
       what="chain → SDE: errors of mean and variance fall like 1/T (slope −1)")
plots.curves({"mean, |√ᾱ − α|": (Ts, gaps[:, 0]), "variance, |1 − ᾱ − σ²|": (Ts, gaps[:, 1])}, log="xy",
            xlabel="T, steps of the chain", ylabel="largest error over all k",
            alt="Two straight lines of slope minus one: the chain approaches the SDE")

# %% [markdown]
# ## 2 · What a network can learn from noise: denoising score matching
# *Slides "Discrete-in-time objective", "Continuous-in-time objective"*
#
# To run the film backwards one needs the *score* $\nabla\log p_t(\mathbf x)$ of every noisy density. Nobody knows it for real data; but the score of a *single* noisy point, given its origin, is the score of a Gaussian:
#
# $$\nabla_{\mathbf x_t}\log q(\mathbf x_t\mid\mathbf x_1)=\frac{\alpha_t\mathbf x_1-\mathbf x_t}{\sigma_t^2}=-\frac{\mathbf x_0}{\sigma_t}.$$
#
# It points from the noisy point back to where it came from: *minus the noise*, so "what was the noise?" and "what is the score?" are one question. The two objectives of the lecture regress on it,
#
# $$\mathbb E\,\big\lVert\mathbf s_\theta(\mathbf x_t,t)-\nabla\log q(\mathbf x_t\mid\mathbf x_1)\big\rVert^2\ \to\ \min_\theta,$$
#
# with $t$ out of a finite set (discrete) or uniform (continuous). A regression learns the mean of its target given $\mathbf x_t$, and that mean is the marginal score. First the kernel's own score, by automatic differentiation; then
# the mean, taken literally as a sum over a fine grid of places where the data point could have been, at three of ten discrete times:

# %% tags=["slide:diff.dsm-discrete"]
truth, T = eight.to(torch.float64), 10
seed(5)
for k in (2, 5, 8):
    t = 1 - k / T
    x, _ = VP().corrupt(truth.sample(12), t)
    by_sum = oracles.field_by_quadrature(VP(), truth, x, t, oracles.grid(-4.5, 4.5, 251), conditional=VP().score)
    verify("diff.dsm-discrete", by_sum, VP().marginal(truth, t).score(x), tolerance=1e-6,
           what=f"k = {k} of {T}: E[∇ log q(x_k | x₁) | x_k] = ∇ log p_k(x_k)")

# %% tags=["slide:diff.dsm-continuous"]
x1 = truth.sample(300)
xt, x0 = VP().corrupt(x1, 0.7)
alpha, sigma_t, _, _ = VP().at(0.7)
leaf = xt.clone().requires_grad_()
kernel = torch.distributions.Normal(alpha.double() * x1, sigma_t.double()).log_prob(leaf).sum()
verify("diff.dsm-continuous", VP().score(xt, x1, 0.7), torch.autograd.grad(kernel, leaf)[0], tolerance=1e-5,
       what="(α x₁ − x)/σ² = ∇ log q by autograd")

# %%
some_net = nets.MLP(2, width=16, depth=2).double()
for p in some_net.parameters():
    torch.nn.init.normal_(p, std=0.5)                                  # any weights will do

def loss(i, denoising):
    seed(i)                                                            # both losses see the same 512 samples
    x1, t = truth.sample(512), 0.05 + 0.85 * torch.rand(512, dtype=torch.float64)
    xt, x0 = VP().corrupt(x1, t)
    scale = VP().at(t, xt)[1]
    target = VP().score(xt, x1, t) if denoising else VP().exact(truth).score(xt, t)
    return ((scale * (some_net(xt, t) - target)) ** 2).sum(1).mean()

# %% tags=["slide:diff.dsm-continuous"]
weights = list(some_net.parameters())
explicit, denoising = (oracles.gradients(lambda i: loss(i, kind), weights, 60) for kind in (False, True))
verify("diff.dsm-continuous", estimate(denoising - explicit), 0.0, scale=float(explicit.mean(0).norm()),
       what="∇ denoising − ∇ explicit score matching = 0")
gap_ = torch.stack([loss(i, True) - loss(i, False) for i in range(60)]).detach()
print(f"denoising − explicit = {gap_.mean():.3f} ± {gap_.std() / 60**0.5:.3f} in value: how the origins disagree")

# %% [markdown]
# The same gradient, hence the same minimum; a constant apart in value. Both carry the weight $\sigma^2$, as all training below does: with $\mathbf s_\theta=-\boldsymbol\epsilon_\theta/\sigma$ it makes the error of the score an error of the noise, and without it the
# targets explode at the data. (It is the theorem of conditional flow matching, and historically its mother.)
#
# **Predict.** Where is a network's score most likely to be wrong: where the data are, or in between, and early or late?
# <details><summary>Answer</summary>Where it saw no samples: between the modes, once they have separated. There p_t is nearly zero, nobody is ever drawn there, and nothing in the loss says what to answer. Noise is what fills
# those gaps: at small t the cloud covers the plane. See the next picture.</details>
#
# ## 3 · NCSN and DDPM: one class, other arguments
# *Slides "Variance Exploding SDE (NCSN)", "Variance Preserving SDE (DDPM)"*
#
# Both predict the noise. NCSN does it on the VE path (with its input scaled down to unit size), DDPM on VP; there is no other difference. Train each for three thousand small steps and measure, on the way, how far the learned score is from the exact one:
# $\sqrt{\mathbb E\lVert\sigma(\mathbf s_\theta-\nabla\log p)\rVert^2/\mathbb E\lVert\sigma\nabla\log p\rVert^2}$, over $t$ from 0.02 to 0.98.

# %% tags=["slide:diff.ncsn", "slide:diff.ddpm"]
@torch.no_grad()
def relative_error(model):
    seed(6)
    x1, t = eight.sample(4000), 0.02 + 0.96 * torch.rand(4000)
    xt, _ = model.path.corrupt(x1, t)
    exact = model.path.exact(eight).predict(xt, t).noise                 # −σ times the score
    return float(((model.predict(xt, t).noise - exact) ** 2).sum().sqrt() / (exact**2).sum().sqrt())

learned, marks, errors = {}, (50, 200, 1000, budget(quick=3000, full=20_000)), {}
for name, kind in {"NCSN": paths.ncsn, "DDPM": paths.ddpm}.items():
    seed(0)
    learned[name] = kind(nets.MLP(2, width=64, depth=4), event=(2,))
    errors[name] = [relative_error(learned[name])]
    watch = lambda history: errors[name].append(relative_error(learned[name])) if history.step in marks else None
    fit(learned[name], eight, Recipe(marks[-1], 128, 6e-3, decay=linear), report=watch)
print("relative error of the score after   0 " + "".join(f"{m:8}" for m in marks) + "  steps")
for name, row in errors.items():
    print(f"{name:30}" + "".join(f"{e:8.3f}" for e in row))

# %%
def compare(t, model):
    path, field = learned[model].path, learned[model].path.exact(eight)
    axes, now = plots.panels(3, 2.5), field.marginal(t)
    size = float(path.at(t)[1])
    for ax, title, of in ((axes[0], "exact score", field), (axes[1], "learned", learned[model])):
        plots.density_map(now.log_prob, ax=ax)
        plots.arrows(lambda x, s: 3 * size * of.score(x, s), t, ax=ax, color=plots.INK, title=f"{title}, $t={t:.2f}$")
    nodes = oracles.grid(n=41).float()
    with torch.no_grad():
        error = size * (learned[model].score(nodes, t) - field.score(nodes, t)).norm(dim=1)
    plots.heat(error, ax=axes[2], size=1.0, title=r"error, $\sigma\,\Vert s_\theta-s\Vert$")
    return axes

play(compare, t=(0.05, 0.95, 0.05, 0.6), model=list(learned))

# %% [markdown]
# *White is right, red is wrong by as much as the noise is large. Drag t: as the modes separate, the error gathers between them, where no particle ever is.*
#
# ### Where DDPM's ELBO went
# *Slide "Variance Preserving SDE (DDPM)"*
#
# DDPM is a latent-variable model with a bound: besides a prior term and a reconstruction term, a sum over k ≥ 2 of $\mathrm{KL}\big(q(\mathbf x_{k-1}\mid\mathbf x_k,\mathbf x_1)\,\Vert\,p_\theta(\mathbf x_{k-1}\mid\mathbf x_k)\big)$, where $p_\theta$ has the guessed
# data in the place of $\mathbf x_1$. Both are Gaussians of the same variance $\tilde\beta_k$, and each KL is a *weighted* noise error,
#
# $$\mathrm{KL}_k=\frac{\beta_k^2}{2\tilde\beta_k(1-\beta_k)(1-\bar\alpha_k)}\,\lVert\boldsymbol\epsilon-\boldsymbol\epsilon_\theta\rVert^2,\qquad\tilde\beta_k=\frac{1-\bar\alpha_{k-1}}{1-\bar\alpha_k}\beta_k .$$
#
# The left side below is built by Bayes' rule from the chain's two Gaussian factors, the right side is the formula. The loss that everybody trains drops the weight: compare the printed weights, and it is the first, nearly clean steps that it
# takes less seriously than the bound does.

# %% tags=["slide:diff.ddpm"]
T = 50
bars, betas = chain(T), beta(torch.arange(1, T + 1).double() / T) / T
x1, eps, guess = truth.sample(200), torch.randn(200, 2).double(), torch.randn(200, 2).double()
weights = {}
for k in (2, 10, 30, 50):
    b, bar, before = betas[k - 1], bars[k - 1], bars[k - 2]
    xk = bar.sqrt() * x1 + (1 - bar).sqrt() * eps
    variance = 1 / ((1 - b) / b + 1 / (1 - before))                    # Bayes: precisions add, means are weighted
    clean = lambda noise: (xk - (1 - bar).sqrt() * noise) / bar.sqrt()
    mean = lambda noise: variance * ((1 - b).sqrt() / b * xk + before.sqrt() / (1 - before) * clean(noise))
    q, p = (torch.distributions.Normal(mean(noise), variance.sqrt()) for noise in (eps, guess))
    weights[k] = b**2 / (2 * (1 - before) / (1 - bar) * b * (1 - b) * (1 - bar))
    verify("diff.ddpm", torch.distributions.kl_divergence(q, p).sum(1), weights[k] * ((eps - guess) ** 2).sum(1),
           what=f"k = {k} of {T}: KL = weight {float(weights[k]):.3f} · ‖ε − ε_θ‖²")

# %% [markdown]
# ## 4 · Sampling with the score alone: Langevin, and why it needs annealing
# *Slide "Variance Exploding SDE (NCSN)"*
#
# Langevin's walk $\mathbf x\leftarrow\mathbf x+\eta\,\nabla\log p(\mathbf x)+\sqrt{2\eta}\,\boldsymbol\epsilon$ has $p$ as its stationary distribution. In theory. Take two separate modes, one with 80 % of the mass, and the *exact* score:

# %%
seed(7)
lopsided = distributions.Mixture(torch.tensor([0.8, 0.2]), torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), 0.3, "two modes")
start = 4 * torch.rand(2000, 2) - 2
plain = ode.langevin(lopsided.score, start, step=0.02, steps=300)
annealed = VE().exact(lopsided).sample(2000, steps=60, method=annealed_langevin(steps=10, ratio=0.1))
for name, x in {"plain Langevin, 300 steps": plain[-1], "annealed, 60 levels × 10 steps": annealed}.items():
    print(f"{name:32} share of the right mode {float((x[:, 0] > 0).float().mean()):.2f}   (truth 0.80)")
axes = plots.panels(2, 2.6)
plots.trajectories(plain[::10], ax=axes[0], title="plain: stuck where it started")
plots.points(annealed, ax=axes[1], color=plots.BLUE, title="annealed")
plots.shown(axes, "Plain Langevin never crosses between the modes; annealed Langevin nearly finds the right shares")

# %% [markdown]
# Between two separate modes the walk never crosses within a lifetime: the shares remain those of the start. NCSN starts with so much noise that there is *one* mode, and lowers it: while the modes are connected, the shares settle. (Nearly: more steps at each level bring them closer. Try `annealed_langevin(steps=40)`.)
# Now with learned scores. The *energy distance* estimates without bias a number that is 0 only for equal distributions, so it may come out negative; the floor is two standard deviations of what perfect samples give.

# %% tags=["slide:diff.ncsn"]
reference = eight.stratified(2000)
floor = 2 * metrics.floor(eight, metrics.energy_distance, 2000, repeats=6).sd
seed(8)
samples = {"NCSN, annealed Langevin": learned["NCSN"].sample(2000, steps=60, method=annealed_langevin(steps=5)),
           "NCSN, ancestral": learned["NCSN"].sample(2000, steps=60, method=ancestral),
           "DDPM, ancestral": learned["DDPM"].sample(2000, steps=60, method=ancestral)}
axes = plots.panels(3, 2.4)
for ax, (name, x) in zip(axes, samples.items()):
    plots.points(x, ax=ax, color=plots.BLUE, title=name)
    print(f"{name:26} energy distance {metrics.energy_distance(x, reference):7.4f}   (floor {floor:.4f})")
plots.shown(axes, "Samples of the two learned models by three samplers: rings of eight Gaussians")

# %% [markdown]
# All near the floor; but look: the eye sees thin bridges between the modes, and this distance hardly does. No single number sees everything.
#
# ## 5 · Running the film backwards: the reverse SDE
# *Slide "Recap: Sampling"*
#
# Anderson's theorem: the SDE run backwards is again an SDE, and the only new thing in it is the score. In our clock, where $t$ grows towards the data,
#
# $$d\mathbf x=\big[-\mathbf f(\mathbf x,s)+g^2(s)\,\nabla\log p_t(\mathbf x)\big]\,dt+g(s)\,d\mathbf w,\qquad s=1-t .$$
#
# The library writes its drift as $\mathbf u_t+\frac12g^2\nabla\log p_t$, with $\mathbf u_t$ the velocity of notebook 08: for $g$ = `path.diffusion` it is the same. (You can check: the velocity is $-\mathbf f+\frac12g^2\nabla\log p_t$.) Run it with the *exact*
# score, and the data distribution must come out, moment by moment, for enough steps. (Why it holds: section 6. The share of the drift that belongs to the noise cancels exactly what the noise does to the density, for any g.)

# %% tags=["slide:diff.reverse-sde"]
path, exact = VP(), VP().exact(eight)
s = torch.linspace(0.05, 0.95, 7).double()
verify("diff.reverse-sde", path.diffusion(1 - s) ** 2, beta(s), what="path.diffusion² = β(1 − t)", tolerance=1e-6)
x = truth.sample(50)
now = torch.tensor(0.6).double()
by_slide = 0.5 * beta(1 - now) * x + beta(1 - now) * path.marginal(truth, 0.6).score(x)
verify("diff.reverse-sde", path.exact(truth).drift(path.diffusion)(x, now), by_slide, tolerance=1e-6,
       what="u + ½g²∇log p = −f + g²∇log p: the slide's reverse drift")
seed(9)
x = exact.sample(10_000, steps=500, noise=path.diffusion).double()
features = torch.cat([x, x**2, x.prod(1, keepdim=True), truth.responsibilities(x)], 1)
second = truth.cov + torch.outer(truth.mean, truth.mean)
expected = torch.cat([truth.mean, second.diagonal(), second[0, 1:], truth.weights])
verify("diff.reverse-sde", estimate(features), expected, scale=1.0,
       what="reverse SDE, 500 steps: means, covariance and the shares of the eight modes")

# %% [markdown]
# How many steps are enough? The distance against their number, with the exact score:

# %% tags=["slide:diff.reverse-sde"]
seed(12)
reference = eight.stratified(2000)
for n in (5, 10, 20, 50, 200):
    seed(9)
    x = exact.sample(1500, steps=n, noise=path.diffusion)
    print(f"{n:4} steps: energy distance {metrics.energy_distance(x, reference):8.4f}   (floor {floor:.4f})")

# %% [markdown]
# ### … and its discretisation is ancestral sampling
#
# Two recipes for one step from $t$ to $t+\Delta$: Euler's step of the reverse SDE, and DDPM's: guess the clean point, then draw from the *exact posterior* $q(\mathbf x_{t+\Delta}\mid\mathbf x_t,\hat{\mathbf x}_1)$. (Bayes for two Gaussians gives it the variance
# $\kappa^2=\sigma_{t+\Delta}^2\big(1-(\alpha_t\sigma_{t+\Delta}/\alpha_{t+\Delta}\sigma_t)^2\big)$, the `posterior_std` of section 0.) Both are Gaussians; their means and variances must agree up to $\Delta^2$.

# %% tags=["slide:diff.ancestral"]
t, x = torch.tensor(0.5).double(), path.corrupt(truth.sample(200), 0.5)[0]
field, deltas = path.exact(truth), torch.tensor([0.02, 0.01, 0.005, 0.0025]).double()
differences = []
for dt in deltas:
    guess = field.predict(x, t)
    kappa = path.posterior_std(guess, t + dt)
    alpha_s, sigma_s, _, _ = path.at(t + dt)
    mean = alpha_s * guess.data + (sigma_s**2 - kappa**2).sqrt() * guess.noise
    euler_mean = x + dt * field.drift(path.diffusion)(x, t)
    by_variance = (kappa**2 - path.diffusion(t) ** 2 * dt).abs()
    differences.append([float((mean - euler_mean).abs().max()), float(by_variance)])
differences = torch.tensor(differences).double()
slopes = (differences[:-1] / differences[1:]).log2()
verify("diff.ancestral", slopes[-1], torch.full((2,), 2.0).double(), tolerance=0.05,
       what="mean and variance of the two steps differ like Δ² (slope 2)")

# %% tags=["slide:diff.ancestral"]
counts, ends = [20, 40, 80, 160, 320], []
start = torch.randn(500, 2)
for n in counts:
    seed(10); one = exact.sample(start, steps=n, method=ancestral)
    seed(10); two = exact.sample(start, steps=n, noise=path.diffusion)
    ends.append((one - two).norm(dim=1).median())                      # same start, same noise
plots.curves({"ends": (counts, ends)}, xlabel="steps", ylabel="median distance of the end points", log="xy",
            alt="Ancestral sampling and the reverse SDE with the same noise end closer and closer together")

# %% [markdown]
# ## 6 · The same clouds without any noise: the probability-flow ODE
# *Slide "Recap: Sampling"*
#
# Take the noise out of the reverse SDE and half of the score with it: $\frac{d\mathbf x}{dt}=-\mathbf f+\frac12g^2\nabla\log p_t=\mathbf u_t$. Every *particle* now moves in another way, yet the *cloud* is the same at every time. And there is not one such
# SDE but a whole family: with any $g\ge0$, the drift $\mathbf u_t+\frac12g^2\nabla\log p_t$ and noise $g$. Why? The Fokker-Planck equation says how fast the density changes, and the two additions cancel,
#
# $$\frac{\partial p}{\partial t}=-\operatorname{div}\big((\mathbf u+\tfrac12g^2\nabla\log p)\,p\big)+\tfrac12g^2\Delta p=-\operatorname{div}(\mathbf u\,p),\qquad\text{since } p\,\nabla\log p=\nabla p .$$

# %% tags=["slide:diff.pf-ode"]
here = oracles.grid(-3.5, 3.5, 41)
for t in (0.5, 0.8):
    change, _ = oracles.continuity(field, here, t)
    for g in (0.0, 1.0, 3.0):
        verify("diff.pf-ode", oracles.fokker_planck(field, here, t, g), change, tolerance=1e-7,
               what=f"t = {t}, g = {g}: −div(drift p) + ½g²Δp = ∂p/∂t")
reveal(paths.PathField.drift)

# %% tags=["slide:diff.pf-ode"]
seed(11)
start, levels = torch.randn(2000, 2), [0.0, 0.5, 1.0, 2.0, 3.0]
ways = {g: exact.trajectory(start, steps=200, noise=g) for g in levels}
for g, way in ways.items():
    print(f"g = {g}: energy distance {metrics.energy_distance(way[-1], reference):7.4f}   (floor {floor:.4f})")

def from_ode_to_sde(g, t):
    axes, k = plots.panels(2, 2.9), round(200 * t)
    plots.density_map(exact.marginal(min(t, 0.999)).log_prob, ax=axes[0])
    plots.points(ways[g][k], ax=axes[0], color=plots.INK, title=f"the cloud at $t={t:.2f}$, $g={g}$")
    plots.trajectories(ways[g][: k + 1, :12], ax=axes[1], title="twelve particles on their way")
    return axes

play(from_ode_to_sde, g=levels, t=(0.0, 1.0, 0.05, 0.6))

# %% [markdown]
# *Change g and watch the left picture not change.* The right one does: from smooth curves ($g=0$, the ODE) to a drunkard's walk that is pulled back to the cloud all the time.
#
# **Predict before you choose.** A learned score has errors. Which of the two forgives them better, ODE or SDE?
# <details><summary>Answer</summary>One would think the SDE, given enough steps: its extra term is Langevin's walk, which keeps pulling particles towards high density and so mends earlier mistakes; the ODE carries each mistake to the end. With few steps
# the noise is itself the larger error. How much of this shows is measured in the next section.</details>

# %% tags=["slide:diff.trajectories"]
start = torch.randn(1500, 2)
TrajectoryPlayer([exact.trajectory(start, steps=100, noise=path.diffusion), exact.trajectory(start, steps=100)],
                 titles=["reverse SDE", "probability-flow ODE"], field=[None, exact],
                 density=[exact.marginal, exact.marginal])

# %% [markdown]
# *The lecture's picture, moving: the same start, the same clouds, other ways. Press play; click on the right to drop a particle into the flow.*
#
# ## 7 · DDIM: the ODE in the right clock, and how few steps will do
# *Slide "Recap: Sampling"*
#
# DDIM guesses both ends, data $\hat{\mathbf x}_1$ and noise $\hat{\mathbf x}_0$, and stands between them anew at the next time $t'$: $\mathbf x_{t'}=\alpha_{t'}\hat{\mathbf x}_1+\sigma_{t'}\hat{\mathbf x}_0$. In the library that is `ddim`, ancestral sampling without fresh noise. Why is it the ODE? Divide by $\alpha$: with $\mathbf y=\mathbf x/\alpha$ and the noise-to-signal ratio $\rho=\sigma/\alpha$ as
# the clock, the ODE reads $d\mathbf y/d\rho=\hat{\mathbf x}_0$, and DDIM is exactly *Euler's method* there. If the guesses did not change on the way, it would be exact with one step of any length.

# %% tags=["slide:diff.ddim"]
t, s, x = torch.tensor(0.4).double(), torch.tensor(0.55).double(), path.corrupt(truth.sample(200), 0.4)[0]
guess = field.predict(x, t)
(alpha, sigma_t, _, _), (alpha_s, sigma_s, _, _) = path.at(t), path.at(s)
ratio = lambda t: path.at(t)[1] / path.at(t)[0]
slope = (field(x, t) / alpha - path.at(t)[2] / alpha**2 * x) / oracles.time_derivative(ratio, t)
verify("diff.ddim", slope, guess.noise, what="the ODE, y = x/α in the clock ρ = σ/α: dy/dρ = x̂₀", tolerance=1e-6)
in_its_clock = x / alpha + (sigma_s / alpha_s - sigma_t / alpha) * guess.noise
verify("diff.ddim", ddim(field, x, t, s - t), alpha_s * in_its_clock, what="DDIM = Euler's step of dy/dρ = x̂₀")
steps = torch.tensor([0.04, 0.02, 0.01]).double()
apart = torch.stack([(ddim(field, x, t, dt) - ode.euler(field, x, t, dt)).abs().max() for dt in steps])
verify("diff.ddim", (apart[1] / apart[2]).log2(), torch.tensor(2.0).double(), tolerance=0.05,
       what="DDIM and Euler in t: one step differs like Δ²")
seed(12); begin = torch.randn(200, 2).double()
converged = field.sample(begin, steps=500, method=ode.heun)
errors = [float((field.sample(begin, steps=n, method=ddim) - converged).norm(dim=1).median()) for n in (200, 400)]
verify("diff.ddim", torch.tensor(errors[0] / errors[1]), torch.tensor(2.0), tolerance=0.15,
       what="DDIM converges to the ODE: twice the steps, half the error")

# %% tags=["slide:diff.ddim"]
counts = [4, 6, 8, 12, 16, 24]
samplers = {"ancestral (SDE)": dict(method=ancestral), "Euler–Maruyama (SDE)": dict(noise=path.diffusion),
            "DDIM (ODE)": dict(method=ddim), "Euler (ODE)": dict(method=ode.euler)}
axes = plots.panels(2, 4.2, height=3.2)
for ax, (who, model) in zip(axes, {"exact score": exact, "learned score (DDPM)": learned["DDPM"]}.items()):
    quality = {}
    for name, how in samplers.items():
        draws = []
        for number in range(3):
            seed(number)
            draws.append([metrics.energy_distance(model.sample(1500, steps=n, **how), reference) for n in counts])
        mean = torch.tensor(draws).mean(0)
        quality[name] = (counts, torch.where(mean > floor / 3, mean, torch.nan))   # below: lost in the noise
    quality["floor (true samples)"] = (counts, [floor] * len(counts))
    plots.curves(quality, ax=ax, xlabel="evaluations of the model", ylabel="energy distance", log="xy", title=who)
    ax.set_ylim(7e-4, 0.13)
plots.shown(axes, "Steps against quality for four samplers, with the exact and the learned score, three draws each")

# %% [markdown]
# Left, only the solver's error; right, the network's comes on top. (A curve ends where the distance cannot be told from zero any more.) Ten to twenty-five steps do for every sampler here. And a surprise at the left edge: with four steps, plain Euler in $t$
# beats DDIM. Equal steps in $t$ are wildly unequal in DDIM's clock (ρ runs from 150 down to 0.01), and in the plane the guesses change all the time. On digits, in section 9, it is the other way round: a sampler is a claim
# about data and network, too. Measure it on yours.
#
# ## 8 · A small lie: where VE starts
# *Slide "NCSN"*
#
# VE keeps the data's mean: $p_0$ is the data blurred by $\sigma_{max}$, centred at $\mathbb E[\mathbf x_1]$ and a little wider than the noise. Samplers start from $\mathcal N(0,\sigma_{max}^2\mathbf I)$ all the same. For data away from the origin the *exact* model then makes an error that no training mends:

# %% tags=["slide:diff.ve"]
seed(13)
off = distributions.Mixture(torch.ones(2), torch.tensor([[0.4, 1.0], [3.2, 1.0]]), 0.4, "two modes, off centre")
sizes, shares, price = [1.0, 2.0, 4.0, 8.0, 16.0], [], []
for size in sizes:
    path_ = VE(sigma_max=size)
    shares.append(float((path_.exact(off).sample(4000, steps=300)[:, 0] > 1.8).float().mean()))
    price.append(float(off.mean.square().sum() / (2 * size**2)))
print("sigma_max   share of the right mode (truth 0.5)   KL of the two starts, by their means alone")
for size, share, kl in zip(sizes, shares, price):
    print(f"{size:9.1f} {share:38.3f} {kl:42.3f}")

# %% [markdown]
# The start is too far to the left, so too many particles fall into the left mode. Doubling $\sigma_{max}$ about halves the error of the share, and quarters the KL of the two starts, $\lVert\mathbb E\mathbf x_1\rVert^2/2\sigma_{max}^2$. Remedies: a larger $\sigma_{max}$ (Song and Ermon, 2020, advise the
# largest distance between two data points), or centred data. VP has the same flaw, with $\alpha_0=0.0066$, too small to see. For digits, which are mostly $-1$, the mean has norm 22; with $\sigma_{max}=30$, as below, the formula says a quarter of a nat.
#
# ## 9 · Digits
# *Slides "Variance Exploding SDE (NCSN)", "Variance Preserving SDE (DDPM)"*
#
# The shape of an event changes, nothing else. DDPM is trained here, live, on the 4,000 embedded images; then come the weights of longer trainings, DDPM and NCSN, same network, same number of steps (NCSN looks more often at the middle times).
#
# To make twenty seconds enough, it gets a head start. Were the digits of a class Gaussian, $\mathcal N(\mathbf m,\mathbf C)$, the mean of the noise behind $\mathbf x_t$ would be known:
#
# $$\mathbb E[\mathbf x_0\mid\mathbf x_t]=\sigma_t\big(\alpha_t^2\,\mathbf C+\sigma_t^2\,\mathbf I\big)^{-1}(\mathbf x_t-\alpha_t\mathbf m)$$
#
# They are not, but this is right about what matters most near the noise: where the ink of a 3 lies, and how it varies. The network is handed this answer and learns what it leaves (`gaussian_skip`).

# %% tags=["slide:diff.ddpm"]
digits = data.mnist().to(device())
seed(0)
live = pretrained.live_digits(digits, VP(), "noise").to(device())
known, x, (alpha, sigma_t, _, _) = live.net.gaussians, torch.randn(1, 1, 28, 28, device=device()), VP().at(0.6)
m, C, one = known.means[3], known.covariance(3), torch.eye(784, device=device())
formula = sigma_t * torch.linalg.solve(alpha**2 * C + sigma_t**2 * one, x.flatten() - alpha * m)
with torch.no_grad():
    answer = live.net.eval()(x, 0.6, torch.tensor([3], device=device())).flatten()
verify("diff.ddpm", answer, formula, what="an untrained network says σ(α²C + σ²I)⁻¹(x − αm)", tolerance=1e-4)

# %% tags=["slide:diff.ddpm"]
history = fit(live, (digits.train, None, digits.train_labels), pretrained.live_recipe(700),
              report=progress("DDPM on digits"))
print(history)
thirty = pretrained.balanced(30, digits.test)
plots.images(live.with_label(thirty, 2.0).sample(30, steps=20, method=ancestral), columns=10,
            title="DDPM, trained here, just now",
            alt="Thirty digits sampled from the model that was trained in this notebook")

# %% [markdown]
# Seven hundred steps are few, and here and there a digit fails. A heavier network after longer training, without the head start, and its sister on the VE path:

# %% tags=["slide:diff.ddpm", "slide:diff.ncsn"]
best = {name: pretrained.load(f"{name.lower()}_digits").to(device()) for name in ("DDPM", "NCSN")}
print(f"{'':32}Fréchet  precision  recall   (classifier features, {len(digits.test):,} test images)")
for name in best:
    card = pretrained.card(f"{name.lower()}_digits")
    held_out = card["held_out"]
    numbers = f"{held_out['frechet']:6.2f}  {held_out['precision']:9.2f}  {held_out['recall']:6.2f}"
    print(f"{name}, {card['steps']:,} steps{'':14}{numbers}")
print(f"floor: real against real        {held_out['frechet_floor']:6.2f}\n({held_out['protocol']})")
seed(14)
twelve = pretrained.balanced(120, digits.test)[::10]
of = {name: model.with_label(twelve, 1.4) for name, model in best.items()}
rows = {"NCSN, annealed Langevin (60 levels × 5)": of["NCSN"].sample(12, steps=60, method=annealed_langevin(5, 0.1)),
        "NCSN, ancestral, 40 steps": of["NCSN"].sample(12, steps=40, method=ancestral)}
for n, methods in ((40, (ancestral, ddim)), (5, (ancestral, ddim, ode.euler))):
    for method in methods:
        seed(14)
        rows[f"DDPM, {'DDIM' if method is ddim else method.__name__}, {n} steps"] = of["DDPM"].sample(12, n, method)
plots.gallery(rows, alt="Rows of digits: NCSN by two samplers, DDPM by ancestral sampling, DDIM and Euler")

# %% [markdown]
# Top two rows: NCSN by its own sampler of three hundred score evaluations, and by forty ancestral steps. Below, DDPM: with forty steps noise or no noise hardly matters; with five, Euler in $t$ falls apart and the two hops hold.
#
# ### The step beyond: guidance
#
# These networks know the class, and in a tenth of the training they were not told it. So they know two scores, and the difference $\nabla\log p_t(\mathbf x\mid y)-\nabla\log p_t(\mathbf x)=\nabla\log p_t(y\mid\mathbf x)$ is the direction in which the class becomes more evident. Go $w$ times as far:
# $\mathbf s_w=\mathbf s(\mathbf x)+w\,(\mathbf s(\mathbf x\mid y)-\mathbf s(\mathbf x))$.

# %%
weights = [0.0, 0.5, 1.0, 1.5, 3.0, 6.0]
seed(15)
noise = torch.randn(20, 1, 28, 28, device=device())
classes = torch.arange(20, device=device()) % 10
guided = {w: best["DDPM"].with_label(classes, w).sample(noise, steps=10, method=ddim) for w in weights}
play(lambda w: plots.images(guided[w], columns=10, title=f"w = {w}: the same twenty noises, classes 0 to 9 twice"),
     w=weights)

# %% [markdown]
# **Predict before you choose.** What happens at w = 0, and what do you lose at w = 6?
# <details><summary>Answer</summary>At 0 the class is ignored: some digit comes, not the one that was asked. At 6 the digits are bold and, with more samples one would see it, all of a kind alike: precision bought with variety. s_w is not the
# score of any one diffused density.</details>

# %%
seed(16)
way = best["DDPM"].with_label(pretrained.balanced(40, digits.test), 1.4).trajectory(40, steps=40, method=ancestral)
FramePlayer(way[:, :, 0].float().clamp(-1, 1), captions=[f"t = {0.999 * k / 40:.2f}" for k in range(41)],
            columns=10, size=560)

# %% [markdown]
# *Forty digits by ancestral sampling. Fresh noise at every step, and still they settle.*
#
# ## 10 · What this shares with the other families
#
# * **Flow matching (08)**: the same class with `Conical()` and the velocity; any prediction turns into any other, so each of these networks *is* a velocity, a score, a denoiser.
# * **Absorbing diffusion (09)**: masks for noise; `ddim` is its sampler, too.
# * **VAE (02)**: a DDPM is a VAE with T layers and a fixed encoder; its bound is section 3's sum.
# * **Latent-space models (10)** run section 9 inside an autoencoder.
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | diffusion | yes | by the ODE, or a bound | about 10 (DDIM) to 1,000 (SDE) | the noise, for the ODE |
#
# ## Homework
#
# Fourteen exercises, twenty points, in the notation of the papers: $s$ is the slides' time, $k=1\dots T$ the discrete step (`betas[k - 1]` is $\beta_k$), `abar` is $\bar\alpha$, and $\bar\alpha_0=1$. The check answers at once; where it is not satisfied it
# says which law failed and gives a hint, and the reference takes your place so that everything below still runs.
#
# **Exercise 7.1 · the VP kernel (1 point).** Mean and standard deviation of $q(\mathbf x(s)\mid\mathbf x(0))$ for the variance-preserving SDE, with $\beta$ linear from `beta_min` at $s=0$ to `beta_max` at $s=1$. (Section 1 has the formula; the
# integral is yours.)

# %% exercise="diff.vp_kernel"
def vp_kernel(x, s, beta_min, beta_max):
    """Where x(0) is at time s.     x (B, D), s (B, 1)  ->  mean (B, D), standard deviation (B, 1)"""
    ### BEGIN SOLUTION
    area = beta_min * s + (beta_max - beta_min) * s**2 / 2
    return torch.exp(-area / 2) * x, torch.sqrt(1 - torch.exp(-area))
    ### END SOLUTION

# %% check="diff.vp_kernel" points=1
vp_kernel = check("diff.vp_kernel", vp_kernel)

# %% [markdown]
# **Exercise 7.2 · the VE kernel (1 point).** The same for the variance-exploding SDE with $\sigma(s)=\sigma_{min}(\sigma_{max}/\sigma_{min})^s$. Mind what has come in *since* $s=0$.

# %% exercise="diff.ve_kernel"
def ve_kernel(x, s, sigma_min, sigma_max):
    """Where x(0) is at time s.     x (B, D), s (B, 1)  ->  mean (B, D), standard deviation (B, 1)"""
    ### BEGIN SOLUTION
    sigma = sigma_min * (sigma_max / sigma_min) ** s
    return x, torch.sqrt(sigma**2 - sigma_min**2)
    ### END SOLUTION

# %% check="diff.ve_kernel" points=1
ve_kernel = check("diff.ve_kernel", ve_kernel)

# %% [markdown]
# **Exercise 7.3 · the posterior of one step (2 points).** If both ends are known, the step in between is Gaussian: mean and variance of $q(\mathbf x_{k-1}\mid\mathbf x_k,\mathbf x_0)$ for DDPM's chain. Each sample has its own $k$.

# %% exercise="diff.ddpm_posterior"
def ddpm_posterior(xk, x_data, k, betas):
    """One step back, the data known.     xk, x_data (B, D), k (B,), betas (T,)  ->  mean (B, D), variance (B, 1)"""
    ### BEGIN SOLUTION
    abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
    beta, now, before = betas[k - 1][:, None], abar[k][:, None], abar[k - 1][:, None]
    mean = (before.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - before) * xk) / (1 - now)
    return mean, beta * (1 - before) / (1 - now)
    ### END SOLUTION

# %% check="diff.ddpm_posterior" points=2
ddpm_posterior = check("diff.ddpm_posterior", ddpm_posterior)

# %% [markdown]
# **Exercise 7.4 · denoising score matching (2 points).** Noise level $\sigma$ on the VE path: spoil the data with $\sigma\boldsymbol\epsilon$, compare the network's score there with the score of the kernel, weight the square with $\sigma^2$, and average over batch *and*
# coordinates. The network is called as `score_net(noisy, sigma)`.

# %% exercise="diff.dsm_loss"
def dsm_loss(score_net, x_data, eps, sigma):
    """Denoising score matching with weight sigma².     x_data, eps (B, D), sigma (B, 1)  ->  ()"""
    ### BEGIN SOLUTION
    noisy = x_data + sigma * eps
    return ((sigma * score_net(noisy, sigma) + eps) ** 2).mean()
    ### END SOLUTION

# %% check="diff.dsm_loss" points=2
dsm_loss = check("diff.dsm_loss", dsm_loss)

# %% [markdown]
# **Exercise 7.5 · Tweedie's formula (1 point).** A score is a denoiser: the mean of the clean points that could stand behind $\mathbf x=\alpha\mathbf x_1+\sigma\mathbf x_0$, out of the score at $\mathbf x$.

# %% exercise="diff.tweedie"
def tweedie(score, x, alpha, sigma):
    """E[x1 | x].     score, x (B, D), alpha, sigma (B, 1)  ->  (B, D)"""
    ### BEGIN SOLUTION
    return (x + sigma**2 * score) / alpha
    ### END SOLUTION

# %% check="diff.tweedie" points=1
tweedie = check("diff.tweedie", tweedie)

# %% [markdown]
# **Exercise 7.6 · one step of DDPM's sampler (2 points).** From step $k$ to $k-1$, with the posterior's variance $\tilde\beta_k$; `eps_hat` is what the network says, `z` the fresh noise. (Put the guess of the data into the formula of 7.3 and simplify; here $k$ is one number. At $k=1$ `z` comes too, and gets weight 0.)

# %% exercise="diff.ancestral_step"
def ancestral_step(eps_hat, xk, k, betas, z):
    """x_{k-1}.     eps_hat, xk, z (B, D), k one number in 1..T, betas (T,)  ->  (B, D)"""
    ### BEGIN SOLUTION
    abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
    beta, now, before = betas[k - 1], abar[k], abar[k - 1]
    mean = (xk - beta / (1 - now).sqrt() * eps_hat) / (1 - beta).sqrt()
    return mean + (beta * (1 - before) / (1 - now)).sqrt() * z
    ### END SOLUTION

# %% check="diff.ancestral_step" points=2
ancestral_step = check("diff.ancestral_step", ancestral_step)

# %% [markdown]
# **Exercise 7.7 · one step of DDIM (1 point).** From the noise level of `abar_now` to that of `abar_next`, nearer to the data (`abar_next` may be 1), without any fresh noise.

# %% exercise="diff.ddim_step"
def ddim_step(eps_hat, x, abar_now, abar_next):
    """The point at the next level.     eps_hat, x (B, D), abar_now < abar_next (B, 1)  ->  (B, D)"""
    ### BEGIN SOLUTION
    data = (x - (1 - abar_now).sqrt() * eps_hat) / abar_now.sqrt()
    return abar_next.sqrt() * data + (1 - abar_next).sqrt() * eps_hat
    ### END SOLUTION

# %% check="diff.ddim_step" points=1
ddim_step = check("diff.ddim_step", ddim_step)

# %% [markdown]
# **Exercise 7.8 · leaps (2 points).** To sample with every tenth step one needs $q(\mathbf x_j\mid\mathbf x_k,\mathbf x_0)$ for any $j<k$. The chain's many small steps from $j$ to $k$ are one large one: mean and variance from $\bar\alpha_k$ (`abar_now`) and
# $\bar\alpha_j$ (`abar_next`, at most 1) alone.

# %% exercise="diff.strided_posterior"
def strided_posterior(x, x_data, abar_now, abar_next):
    """A leap back.     x, x_data (B, D), abar_now < abar_next (B, 1)  ->  mean (B, D), variance (B, 1)"""
    ### BEGIN SOLUTION
    beta = 1 - abar_now / abar_next
    mean = (abar_next.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - abar_next) * x) / (1 - abar_now)
    return mean, beta * (1 - abar_next) / (1 - abar_now)
    ### END SOLUTION

# %% check="diff.strided_posterior" points=2
strided_posterior = check("diff.strided_posterior", strided_posterior)

# %% [markdown]
# **Exercise 7.9 · guidance (1 point).** Classifier-free guidance in this course's convention: weight 0 is the free prediction, weight 1 the conditional one.

# %% exercise="diff.guidance"
def guidance(free, given, weight):
    """The guided prediction.     free, given (B, D), weight a number  ->  (B, D)"""
    ### BEGIN SOLUTION
    return free + weight * (given - free)
    ### END SOLUTION

# %% check="diff.guidance" points=1
guidance = check("diff.guidance", guidance)

# %% [markdown]
# **Exercise 7.10 · Langevin (1 point).** One step of Langevin dynamics with `step` as the factor of the score; `z` is the fresh noise. (Papers that call this factor $\epsilon/2$ have another square root.)

# %% exercise="diff.langevin_step"
def langevin_step(score, x, step, z):
    """The next point of the chain.     score: a function of x; x, z (B, D), step a number  ->  (B, D)"""
    ### BEGIN SOLUTION
    return x + step * score(x) + (2 * step) ** 0.5 * z
    ### END SOLUTION

# %% check="diff.langevin_step" points=1
langevin_step = check("diff.langevin_step", langevin_step)

# %% [markdown]
# ### Theory, as functions
#
# Four identities of the lecture. Write each as a function first: the check holds it against an oracle that shares no formula with yours. Then prove it on paper, and unfold.
#
# **Exercise 7.11 · covariance on the way to noise (1 point).** The data have covariance `cov`; which one has $\mathbf x_k$? Each matrix has its own $\bar\alpha$.

# %% exercise="diff.forward_covariance"
def forward_covariance(cov, abar):
    """The covariance of x_k.     cov (B, D, D), abar (B, 1, 1)  ->  (B, D, D)"""
    ### BEGIN SOLUTION
    return abar * cov + (1 - abar) * torch.eye(cov.shape[-1]).to(cov)
    ### END SOLUTION

# %% check="diff.forward_covariance" points=1
forward_covariance = check("diff.forward_covariance", forward_covariance)

# %% [markdown]
# *Prove: data of covariance* $\mathbf I$ *keep it at every step, and any other covariance tends to* $\mathbf I$ *along its own eigenvectors.*
# <details><summary>Proof</summary>Data and noise are independent, so covariances add: $\mathrm{Cov}(\mathbf x_k)=\bar\alpha_k\mathbf C+(1-\bar\alpha_k)\mathbf I$. With $\mathbf C=\mathbf U\boldsymbol\Lambda\mathbf U^\top$ this is
# $\mathbf U\big(\mathbf I+\bar\alpha_k(\boldsymbol\Lambda-\mathbf I)\big)\mathbf U^\top$: the same eigenvectors, and each eigenvalue's distance from 1 shrinks by the factor $\bar\alpha_k$. That is why the data are scaled to unit variance before: then the network sees inputs of one
# size at every step.</details>
#
# **Exercise 7.12 · implicit score matching (2 points).** Before anybody thought of noise, Hyvärinen got rid of the unknown score in another way: $J=\mathbb E\big[\mathrm{tr}\,\nabla\mathbf s(\mathbf x)+\frac12\lVert\mathbf s(\mathbf x)\rVert^2\big]$, a mean over the
# batch. A network must be able to learn from your value. `score_net` is called with `x` alone.

# %% exercise="diff.implicit_score_matching"
def implicit_score_matching(score_net, x):
    """The mean of tr ∂s/∂x + ½‖s‖².     x (B, D)  ->  ()"""
    ### BEGIN SOLUTION
    x = x.detach().clone().requires_grad_()
    s = score_net(x)
    trace = sum(torch.autograd.grad(s[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1]))
    return (trace + (s**2).sum(1) / 2).mean()
    ### END SOLUTION

# %% check="diff.implicit_score_matching" points=2
implicit_score_matching = check("diff.implicit_score_matching", implicit_score_matching)

# %% [markdown]
# *Prove: J differs from* $\frac12\mathbb E\lVert\mathbf s-\nabla\log p\rVert^2$ *by a number that does not depend on the network. What makes denoising the better bargain in 784 dimensions?*
# <details><summary>Proof</summary>Expand the square: $\frac12\mathbb E\lVert\mathbf s\rVert^2-\mathbb E\,\mathbf s^\top\nabla\log p+\text{const}$. In the middle $p\,\nabla\log p=\nabla p$, and by parts, where $p\,\mathbf s$ vanishes far out,
# $-\int\mathbf s^\top\nabla p\,d\mathbf x=\int p\,\nabla\!\cdot\mathbf s\,d\mathbf x=\mathbb E\,\mathrm{tr}\,\nabla\mathbf s$. The trace costs a backward pass for each coordinate, 784 for a digit; denoising needs none, at the price of the score of a noised density.</details>
#
# **Exercise 7.13 · the Kolmogorov-Fokker-Planck equation (2 points).** For $dx=f\,ds+g\,dw$ on the line, return the left side of
# $$\frac{\partial p}{\partial s}+\frac{\partial (f p)}{\partial x}-\frac{g^2}2\frac{\partial^2p}{\partial x^2}=0$$
# at each point. `p(x, s)`, `f(x, s)` and `g(s)` answer for each entry by itself; derivatives by autograd. (`p` need not be a solution: then the residual is not zero.)

# %% exercise="diff.kfp_residual"
def kfp_residual(p, f, g, x, s):
    """By how much the equation fails.     x, s (B,)  ->  (B,)"""
    ### BEGIN SOLUTION
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    rate, slope = torch.autograd.grad(p(x, s).sum(), (s, x), create_graph=True)
    flux = f(x, s) * p(x, s) - g(s) ** 2 / 2 * slope
    return (rate + torch.autograd.grad(flux.sum(), x)[0]).detach()
    ### END SOLUTION

# %% check="diff.kfp_residual" points=2
kfp_residual = check("diff.kfp_residual", kfp_residual)

# %% [markdown]
# *Prove: replace* $f$ *by* $f-\frac{g^2}2\frac{\partial\log p}{\partial x}$ *and* $g$ *by zero, and the same* $p$ *still solves the equation.*
# <details><summary>Proof</summary>$\frac{g^2}2\,\partial^2_xp=\partial_x\big(\frac{g^2}2\,p\,\partial_x\log p\big)$, since $\partial_xp=p\,\partial_x\log p$. So the diffusion term can move into the drift's: $\partial_sp+\partial_x\big[(f-\frac{g^2}2\partial_x\log p)\,p\big]=0$, the
# continuity equation of the probability-flow ODE.</details>
#
# **Exercise 7.14 · DDPM's step is a step of the reverse SDE (1 point).** The forward SDE $dx=-\frac12\beta x\,ds+\sqrt\beta\,dw$ has the reverse drift $f-g^2\nabla\log p$. Go *back* by one Euler-Maruyama step over a stretch of `beta`; `z` is the fresh noise.

# %% exercise="diff.reverse_sde_step"
def reverse_sde_step(score, x, beta, z):
    """One step back.     score: a function of x; x, z (B, D), beta a number  ->  (B, D)"""
    ### BEGIN SOLUTION
    return x + (x / 2 + score(x)) * beta + beta**0.5 * z
    ### END SOLUTION

# %% check="diff.reverse_sde_step" points=1
reverse_sde_step = check("diff.reverse_sde_step", reverse_sde_step)

# %% [markdown]
# *Prove: DDPM's mean* $\big(\mathbf x+\beta\,\mathbf s(\mathbf x)\big)/\sqrt{1-\beta}$ *agrees with your step up to terms in* $\beta^2$.
# <details><summary>Proof</summary>$(1-\beta)^{-1/2}=1+\frac\beta2+O(\beta^2)$, so the mean is $\mathbf x+\frac\beta2\mathbf x+\beta\,\mathbf s+O(\beta^2)$. (Halve $\beta$ in the cell below: the difference falls to a quarter.)</details>

# %%
at, rest = torch.randn(200, 2, dtype=torch.float64), torch.randn(200, 2, dtype=torch.float64)
marginal = VP().marginal(eight.to(torch.float64), 0.9)
for beta in (0.04, 0.02, 0.01):
    ddpm = (at + beta * marginal.score(at)) / (1 - beta) ** 0.5 + beta**0.5 * rest
    print(f"β = {beta:.2f}: your step and DDPM's differ by at most {float((reverse_sde_step(marginal.score, at, beta, rest) - ddpm).abs().max()):.2e}")

# %% [markdown]
# **Now put your pieces together.** Your ancestral step and your DDIM step, with the network of section 3, walk the same chain of fifty steps. (Where a piece is still missing the reference stands in.)

# %%
seed(17)
T = 50
abar = VP().at(1 - torch.arange(T + 1) / T)[0] ** 2                    # a chain through the SDE's own stations
betas = 1 - abar[1:] / abar[:-1]
begin = torch.randn(1500, 2)
walkers = {"the data": eight.sample(1500), "your DDPM": begin, "your DDIM": begin}
for k in range(T, 0, -1):
    for name in ("your DDPM", "your DDIM"):
        x = walkers[name]
        with torch.no_grad():
            eps_hat = learned["DDPM"].predict(x, max(1e-3, 1 - k / T)).noise
        levels = abar[k].expand(1500, 1), abar[k - 1].expand(1500, 1)
        walkers[name] = (ancestral_step(eps_hat, x, k, betas, torch.randn_like(x)) if name == "your DDPM"
                         else ddim_step(eps_hat, x, *levels))
axes = plots.panels(3, 2.6)
for ax, (name, x) in zip(axes, walkers.items()):
    plots.points(x, ax=ax, color=plots.INK if name == "the data" else plots.BLUE, title=name)
plots.shown(axes, "Eight Gaussians, and samples of them drawn with the reader's own ancestral and DDIM steps")

# %% [markdown]
# **Written (think, then unfold).** *The loss of a perfect score network is not zero. What is it, and at which t is it largest?*
# <details><summary>Answer</summary>It is the variance of the noise given the noisy point: how much the possible origins disagree. Near pure noise the network knows x0 almost exactly (x_t is nearly x0), near the data it cannot know it at all; so, for
# noise prediction and data with a density, the loss per coordinate grows from 0 at t = 0 towards 1 at t = 1. Digits lie near a thin surface, and noise that leaves it can be recognised: their loss stays far below.</details>
#
# *Ancestral sampling with T steps has T · D random numbers, DDIM only D. Yet both draw from (nearly) the same distribution. Where did the randomness of DDIM go?*
# <details><summary>Answer</summary>Nowhere: the D numbers of the start are enough, an invertible map carries them to the data. That also makes them a latent code: encode a point by running the ODE backwards, and two codes can be interpolated. With
# fresh noise at every step the start is forgotten.</details>
#
# *Why may VE's sampler start from $\mathcal N(0,\sigma_{max}^2\mathbf I)$, and when must it not?*
# <details><summary>Answer</summary>Section 8: the true start is the data blurred by σ_max. The lie costs at least ‖E x1‖²/2σ_max² nats, so it is small where σ_max is large against the data's mean and spread.</details>
#
# ## References
#
# * Sohl-Dickstein et al.: *Deep Unsupervised Learning using Nonequilibrium Thermodynamics*, 2015. The chain.
# * Song, Ermon: *Generative Modeling by Estimating Gradients of the Data Distribution*, 2019. NCSN and annealed Langevin.
# * Song, Ermon: *Improved Techniques for Training Score-Based Generative Models*, 2020. How large σ must be.
# * Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020. DDPM.
# * Song et al.: *Score-Based Generative Modeling through Stochastic Differential Equations*, 2021. VE, VP, the reverse SDE, the probability-flow ODE.
# * Song, Meng, Ermon: *Denoising Diffusion Implicit Models*, 2021. Ho, Salimans: *Classifier-Free Diffusion Guidance*, 2022.
# * Vincent: *A Connection Between Score Matching and Denoising Autoencoders*, 2011. Anderson: *Reverse-Time Diffusion Equation Models*, 1982.
