# %% [markdown]
# # 08 · Flow matching
#
# *Lecture 14 (autumn 2024), from "Recap of previous lecture" to "Flow matching vs score-based SDE models: Trajectories"*
#
# **The promise.** Noise becomes data by following arrows. At the end you know why a plain regression on straight lines finds
# the right arrows, you have seen every equation of these slides hold to many digits, and you have written the pieces
# yourself: path, loss, solver, coupling, score.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | multivariate Gaussians, the chain rule, a first neural network; notebook 07 helps but is not required |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions, once and for all**
#
# | what | here | where slides differ |
# |---|---|---|
# | time `t` | 0 is noise, 1 is data | the slides on diffusion run from data to noise: their time is $1-t$ |
# | `x1`, `x0` | data, source noise | diffusion slides write $\mathbf x_0$ or $\mathbf x(0)$ for data |
# | vector field | `velocity`, in formulas $\mathbf f$ as on the slides | papers write $u_t$ or $v_t$ |
# | `sigma` | a standard deviation, never a variance | one slide has $\sigma_t^2$ where $\sigma_t$ is meant (section 6) |
# | losses | mean over batch *and* coordinates | the slides' $\lVert\cdot\rVert^2$ sums over coordinates: a factor $D$, same minimiser |

# %%
import torch
from dgm_course import data, nets, paths, pretrained
from dgm_course.core import distributions, metrics, ode
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import Conical, Cosine, GaussianPath, Prediction, LinearPath, VE, VP
from dgm_course.teach import FramePlayer, TrajectoryPlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Take a data point and a noise point, draw a straight road between them, stop somewhere on it, and ask a network: *which way
# does this road go?* Train on many roads. Then start from fresh noise and walk, a small step at a time, in the direction that
# the network names. That is all of flow matching, and here it is in bare torch. (The
# slide's two lists, *Training* 1 to 4 and *Sampling* 1 to 2, stand in the comments.)

# %% tags=["slide:fm.train-sample"]
seed(0); torch.set_num_threads(1)                                      # tiny tensors are fastest on one core
moons = data.moons()
Layer, act = torch.nn.Linear, torch.nn.SiLU()
net = torch.nn.Sequential(Layer(3, 64), act, Layer(64, 64), act, Layer(64, 64), act, Layer(64, 2))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)

def bare_loss(x1, x0, t):
    xt = t * x1 + (1 - t) * x0                                         # training 3: a stop on the straight road
    return ((net(torch.cat([xt, t], 1)) - (x1 - x0)) ** 2).mean()      # training 4: which way does it go?

for step in range(budget(quick=1500, full=5000)):
    x1, x0, t = moons.sample(256), torch.randn(256, 2), torch.rand(256, 1)     # training 1 and 2
    optimizer.zero_grad()
    bare_loss(x1, x0, t).backward()
    optimizer.step()

# %%
@torch.no_grad()
def bare_sample(x, steps=50):
    places = [x]                                                       # sampling 1: from the noise x
    for k in range(steps):                                             # sampling 2: ODESolve, here by Euler
        t = torch.full((len(x), 1), k / steps)
        places.append(places[-1] + net(torch.cat([places[-1], t], 1)) / steps)
    return torch.stack(places)

plots.snapshots(bare_sample(torch.randn(2000, 2)), torch.linspace(0, 1, 51),
          alt="Five moments of a cloud of noise that becomes two moons")

# %% [markdown]
# Grey noise becomes two moons. Nothing else in this notebook is needed to *do* flow matching; everything else is needed to
# *understand* it, since two things should puzzle you:
#
# 1. the network was trained on straight roads, but did the cloud move straight? (It did not: section 5.)
# 2. at one and the same place many roads cross, in all directions. What did the network learn there? (Section 2.)
#
# From here on the library does the housekeeping. It computes the very same numbers:

# %%
model = paths.PathModel(nets.MLP(2, width=64, depth=3), Conical(), event=(2,))
model.net.layers.load_state_dict(net.state_dict())
x1, x0 = moons.sample(256), torch.randn(256, 2)
seed(1); from_library = model.loss(x1, x0)
seed(1); from_bare = bare_loss(x1, x0, torch.rand(256)[:, None])
verify("fm.train-sample", from_library, from_bare, what="library loss = the bare lines", tolerance=1e-5)
verify("fm.train-sample", model.sample(x0, steps=50), bare_sample(x0)[-1],
       what="library sampler = the bare lines", tolerance=1e-5)
reveal(paths.PathModel.loss)

# %% [markdown]
# ## 1 · A cloud that moves: the continuity equation
# *Slide "Recap: KFP theorem (continuity equation)"*
#
# Give every particle a velocity $\mathbf f(\mathbf x,t)$ and let a whole cloud flow. Particles are neither made nor lost, so the
# density changes exactly where inflow and outflow differ:
#
# $$\frac{\partial p_t(\mathbf x)}{\partial t} = -\operatorname{div}\big(\mathbf f(\mathbf x,t)\,p_t(\mathbf x)\big).$$
#
# To see it hold one needs a world where $p_t$ and $\mathbf f$ are known exactly. Here is one: the moons below are a mixture of
# 64 small Gaussians, and a Gaussian mixture stays a mixture at every time $t$ of a Gaussian path. `path.exact(world)` is the
# *perfect model* of that path: the field that a network of infinite size would learn. The left side is differentiated in
# time, the right side in space; they share no formula. &nbsp; $\mathbf f$ = `exact(x, t)`, $p_t$ = `exact.marginal(t)`

# %% tags=["slide:fm.continuity"]
truth = data.moons().to(torch.float64)
exact = Conical().exact(truth)
here = oracles.grid(n=61)
for t in (0.3, 0.8):
    dpdt, inflow = oracles.continuity(exact, here, t)
    verify("fm.continuity", dpdt, inflow, what=f"∂p/∂t = −div(f p) at t = {t}", tolerance=1e-8)
axes = plots.panels(3, 2.7)
plots.flow(exact, 0.8, ax=axes[0], title="$p_t$ and $f$ at $t=0.8$")
plots.heat(dpdt, ax=axes[1], title=r"$\partial p_t/\partial t$", size=0.6)
plots.heat(inflow, ax=axes[2], title=r"$-\mathrm{div}(f\,p_t)$", size=0.6)
plots.shown(axes,
           "Density with arrows; its change in time; minus the divergence of the flux: the last two are equal")

# %% [markdown]
# Two maps, computed in two ways, one picture. Red, the outer rim of each arc, is where the density is about to grow: the arrows point there.
# Blue, the inner side, is where it drains away. Move through time:

# %%
play(lambda t: plots.flow(exact, t, limit=3.2), t=(0.0, 0.98, 0.02, 0.5))

# %% [markdown]
# **Predict before you drag.** At $t=0$ no particle knows yet where it will end. Which way do the arrows point?
# <details><summary>Answer</summary>All to one point. At t = 0 the particle's position says nothing about its
# partner, so the best guess of x1 is the mean of the data, E[x1] = 0, and the arrow at x is E[x1] − x. The cloud first
# contracts, and only then decides between the moons.</details>
#
# Along the way of one particle the same theorem reads $\tfrac{d}{dt}\log p_t(\mathbf x(t)) = -\operatorname{tr}\tfrac{\partial\mathbf f}{\partial\mathbf x}$. So a
# flow gives densities too: walk back from the data to the noise, add up the trace. It costs a derivative for every
# coordinate and step; the slide calls training through it "complicated and unstable", and flow matching was invented so
# that nobody has to. As an *evaluation* it is fine:

# %%
x = truth.sample(100)
verify("fm.continuity", exact.log_prob(x, steps=100), truth.log_prob(x),
       what="log p₁ by the trace = log p of the mixture",
       tolerance=5e-3)

# %% [markdown]
# ## 2 · Which way, when many roads cross? The marginal field
# *Slides "Recap: latent variable z" and "Theorem"*
#
# Choose a latent $\mathbf z$, here the data point $\mathbf x_1$ itself. Given $\mathbf z$ everything is simple: a Gaussian
# $p_t(\mathbf x\mid\mathbf z)$ that shrinks onto $\mathbf x_1$, with a field $\mathbf f(\mathbf x,\mathbf z,t)$ that one writes down. The theorem says how to
# forget $\mathbf z$ again: average the fields, each with the probability that a particle *seen here* belongs to that $\mathbf z$.
#
# $$\mathbf f(\mathbf x,t) = \mathbb E_{p_t(\mathbf z\mid\mathbf x)}\,\mathbf f(\mathbf x,\mathbf z,t) = \int \mathbf f(\mathbf x,\mathbf z,t)\,\frac{p_t(\mathbf x\mid\mathbf z)\,p(\mathbf z)}{p_t(\mathbf x)}\,d\mathbf z$$
#
# Why is that the right average? Each conditional cloud obeys the continuity equation with its own field (that is how its field was chosen), so
#
# $$\frac{\partial p_t}{\partial t}=\int\frac{\partial p_t(\mathbf x\mid\mathbf z)}{\partial t}\,p(\mathbf z)\,d\mathbf z=-\operatorname{div}\int\mathbf f(\mathbf x,\mathbf z,t)\,p_t(\mathbf x\mid\mathbf z)\,p(\mathbf z)\,d\mathbf z=-\operatorname{div}\big(\mathbf f(\mathbf x,t)\,p_t(\mathbf x)\big),$$
#
# and section 1 has just confirmed the two ends. (Where $p_t(\mathbf x)=0$ nobody can be asked; hence the slide's condition $\operatorname{supp}p_t=\mathbb R^m$.)
#
# It is a vote. Every data point pulls the particle its way, weighted by how plausible a partner it is.
# The check takes the integral literally, as a sum over 40,000 places where $\mathbf z$ could be, and compares it with the closed form.

# %% tags=["slide:fm.marginal-field"]
x = truth.sample(20)
by_sum = oracles.field_by_quadrature(Conical(), truth, x, 0.6, nodes=oracles.grid(-5, 5, 201))
verify("fm.marginal-field", exact(x, 0.6), by_sum, what="f(x, t) = Σ f(x, z, t) p(z | x)", tolerance=1e-6)
reveal(oracles.field_by_quadrature)

# %%
partners, place = truth.sample(300), torch.tensor([0.3, 0.2], dtype=torch.float64)

def who_votes(t):
    log_weight = -((place - t * partners) ** 2).sum(1) / (2 * (1 - t) ** 2)   # log p_t(place | x1) + constant
    return plots.vote(place, partners, log_weight.softmax(0))

play(who_votes, t=(0.0, 0.95, 0.05))

# %% [markdown]
# The red particle stays where it is; only the clock moves. Arrows show $\mathbf x_1-\mathbf x$, a partner's direction; the field is that divided by the time
# left, $1-t$. Early everybody votes, and green is the direction of the mean. Half-way the votes of the two moons nearly cancel. Late only the partners
# straight ahead are plausible any more, and the average follows them.
#
# **Predict before you drag.** Put the clock to 0.95. How many of the 300 data points still have a say?
# <details><summary>Answer</summary>About one. A partner must satisfy |x − t·x1| ≈ 1 − t = 0.05, and in this gap between the moons nobody does; all weight goes to
# the data point nearest to x / t. For a finite data set the vote ends as a memory of single points, and off them the field grows like 1/(1 − t). A smooth
# density, or a network that cannot memorise, is what saves us.</details>
#
# ## 3 · An objective one cannot compute, and one that one can
# *Slides "Flow Matching", "Recap: Flow Matching (FM), Conditional Flow Matching (CFM), Theorem"*
#
# One would like to regress on the marginal field,
#
# $$\mathcal L_{\text{FM}}(\theta)=\mathbb E_{t}\,\mathbb E_{p_t(\mathbf x)}\lVert\mathbf f(\mathbf x,t)-\mathbf f_\theta(\mathbf x,t)\rVert^2 ,$$
#
# but for real data nobody knows $\mathbf f$. In our exact world we do, so the objective is just a number: here for the silly model
# $\mathbf f_\theta(\mathbf x,t)=-t\,\mathbf x$, once as an integral over a grid of times and places, once as an average over samples.

# %% tags=["slide:fm.objective"]
silly = lambda x, t: -t * x
ts = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
nodes = oracles.grid(-6, 6, 81)
integral = oracles.objective_by_quadrature(exact, silly, ts, nodes, area=(12 / 80) ** 2)
x1, t = truth.sample(40_000), ts[torch.randint(20, (40_000,))]
xt, x0 = Conical().corrupt(x1, t)
samples = ((exact(xt, t) - silly(xt, t[:, None])) ** 2).sum(1)
verify("fm.objective", estimate(samples), integral, what="E‖f − f_θ‖² over samples = the integral")

# %% [markdown]
# **The trick of the lecture.** Replace the unknown average $\mathbf f(\mathbf x,t)$ by the one road that happened to be drawn, $\mathbf f(\mathbf x,\mathbf z,t)$:
#
# $$\mathcal L_{\text{CFM}}(\theta)=\mathbb E_{t}\,\mathbb E_{\mathbf z}\,\mathbb E_{p_t(\mathbf x\mid\mathbf z)}\lVert\mathbf f(\mathbf x,\mathbf z,t)-\mathbf f_\theta(\mathbf x,t)\rVert^2 .$$
#
# A regression on noisy targets learns their mean, and by section 2 the mean *is* the marginal field. In formulas: insert $\pm\mathbf f(\mathbf x,t)$ and expand the square.
# The cross term is $2\,\mathbb E\langle\mathbf f(\mathbf x,\mathbf z,t)-\mathbf f(\mathbf x,t),\ \mathbf f(\mathbf x,t)-\mathbf f_\theta(\mathbf x,t)\rangle$ and vanishes, since given $\mathbf x$ the left factor has mean zero. So
#
# $$\mathcal L_{\text{CFM}}(\theta)=\mathcal L_{\text{FM}}(\theta)+\mathbb E\,\lVert\mathbf f(\mathbf x,\mathbf z,t)-\mathbf f(\mathbf x,t)\rVert^2,$$
#
# and the constant, how much the roads disagree at a place, knows nothing of $\theta$. (This section sums over coordinates, as the slides do.)
#
# > **Errata.** The slide says that the optimal *values* of the two objectives are equal. Their gradients and their minimisers
# > are; the values differ by exactly that constant, which no network can train away. (FM has minimum 0; CFM has not.)

# %% tags=["slide:fm.cfm-theorem"]
some_net = nets.MLP(2, width=16, depth=2).double()
for p in some_net.parameters():
    torch.nn.init.normal_(p, std=0.5)                     # any weights will do: the theorem holds at every θ

def loss(i, conditional):
    seed(i)                                               # both losses see the same 512 samples
    x1, t = truth.sample(512), torch.rand(512, dtype=torch.float64)
    xt, x0 = Conical().corrupt(x1, t)
    target = x1 - x0 if conditional else exact(xt, t)
    return ((some_net(xt, t) - target) ** 2).sum(1).mean()

fm = oracles.gradients(lambda i: loss(i, False), list(some_net.parameters()), 60)
cfm = oracles.gradients(lambda i: loss(i, True), list(some_net.parameters()), 60)
verify("fm.cfm-theorem", estimate(cfm - fm), 0.0, what="∇CFM − ∇FM = 0", scale=float(fm.mean(0).norm()))
gap = torch.stack([loss(i, True) - loss(i, False) for i in range(60)]).detach()
print(f"CFM − FM = {gap.mean():.2f} ± {gap.std() / 60**0.5:.2f} in value: the disagreement of the roads")

# %% [markdown]
# The constant is visible at once if one walks from untrained to trained weights and computes both losses on the way:

# %%
trained = {k: v.double() for k, v in model.state_dict().items()}
some_net = nets.MLP(2, width=64, depth=3).double()
start = {k: v.clone() for k, v in some_net.state_dict().items()}
shares, values = torch.linspace(0, 1.2, 13), {False: [], True: []}
for share in shares:
    some_net.load_state_dict({k: start[k] + share * (trained[f"net.{k}"] - start[k]) for k in start})
    for conditional in values:
        batches = torch.stack([loss(i, conditional) for i in range(4)])
        values[conditional].append(float(batches.mean().detach()))
plots.curves({"CFM, what we can compute": (shares, values[True]), "FM, what we want": (shares, values[False])},
            xlabel="from untrained (0) to trained weights (1) and beyond",
            ylabel="loss (sum over coordinates)",
            alt="Both losses along a line in weight space: two parallel curves with the same minimum")

# %% [markdown]
# Parallel curves, one minimum. Remember the distance between them when a flow-matching loss "does not go to zero": most of
# what is left is this constant (half of it in the library's loss, which takes the mean over the two coordinates).
#
# ## 4 · Gaussian paths: choose two functions of time
# *Slides "Recap: Constraints", "Recap: Gaussian conditional probability path", "Conditioning latent variable"*
#
# Which $p_t(\mathbf x\mid\mathbf z)$? Any, if its average is noise at $t=0$ and data at $t=1$. The lecture takes Gaussians,
#
# $$p_t(\mathbf x\mid\mathbf x_1)=\mathcal N(\boldsymbol\mu_t(\mathbf x_1),\sigma_t^2\mathbf I),\qquad \mathbf x_t=\boldsymbol\mu_t(\mathbf x_1)+\sigma_t\,\mathbf x_0,\qquad
# \mathbf f(\mathbf x,\mathbf x_1,t)=\boldsymbol\mu_t'+\frac{\sigma_t'}{\sigma_t}(\mathbf x-\boldsymbol\mu_t),$$
#
# and in all its examples $\boldsymbol\mu_t=\alpha_t\mathbf x_1$. Two functions, $\alpha_t$ and $\sigma_t$, say it all: `GaussianPath(alpha, sigma)`.
# First the boundary constraints, for both choices of $\mathbf z$ on the slides ($\mathbf x_1$ alone, and the pair $(\mathbf x_0,\mathbf x_1)$ with an infinitely thin needle). The paths of
# diffusion, which come below, meet the left one only nearly: VP keeps $\alpha_0=0.0066$ of the data, and VE starts from $\mathcal N(0,10^2\mathbf I)$.

# %% tags=["slide:fm.boundary"]
circle = data.eight_gaussians().to(torch.float64)
pair_path, x = LinearPath(circle), oracles.grid(n=41)
standard = torch.distributions.Normal(0, torch.ones((), dtype=torch.float64))
verify("fm.boundary", Conical().marginal(truth, 0.0).log_prob(x), standard.log_prob(x).sum(1),
       what="z = x₁: p₀ = N(0, I)")
verify("fm.boundary", Conical().marginal(truth, 1.0).log_prob(x), truth.log_prob(x), what="z = x₁: p₁ = data")
verify("fm.boundary", pair_path.marginal(truth, 0.0).log_prob(x), circle.log_prob(x),
       what="z = (x₀, x₁): p₀ = source")
verify("fm.boundary", pair_path.marginal(truth, 1.0).log_prob(x), truth.log_prob(x),
       what="z = (x₀, x₁): p₁ = data")

# %% [markdown]
# Now the field. If it is right, a particle that starts at $\mathbf x_0$ and follows it must sit at $\boldsymbol\mu_t+\sigma_t\mathbf x_0$ at every time, so the
# time derivative of that formula (taken here by differences, without any calculus of ours) must be the field at that place.

# %% tags=["slide:fm.gaussian-path"]
gaussian_paths = {"conical": Conical(), "VP": VP(), "VE": VE(), "cosine": Cosine(),
         "your own": GaussianPath(lambda t: t**2, lambda t: (1 - t) ** 0.5, name="your own")}
x1, x0, t = truth.sample(200), torch.randn(200, 2).double(), 0.05 + 0.9 * torch.rand(200).double()
for name, path in gaussian_paths.items():
    moved = oracles.time_derivative(lambda s: path.corrupt(x1, s, x0)[0], t)
    xt, _ = path.corrupt(x1, t, x0)
    verify("fm.gaussian-path", path.velocity(xt, x1, t), moved, what=f"{name}: μ' + σ'/σ (x − μ) = dx_t/dt",
           tolerance=1e-6)
reveal(Prediction.velocity)

# %% [markdown]
# The library needs one line for all five, written for the pair: in $\mathbf x_t=\alpha_t\mathbf x_1+\sigma_t\mathbf x_0$ only the two coefficients depend on time.
# (That it equals the slide's formula is what the check above says; you will write the slide's form in exercise 8.1.) `alpha'` and `sigma'` are not formulas of ours: they come from automatic
# differentiation, so a path that *you* invent has its field for free. Change `"your own"` above and see.

# %%
plots.schedules({k: p for k, p in gaussian_paths.items() if k != "VE"},
               "alpha and sigma over time for four paths, with both clocks")

# %%
def laboratory(path, t):
    return plots.flow(gaussian_paths[path].exact(truth), t)

play(laboratory, t=(0.0, 0.98, 0.02, 0.6), path=list(gaussian_paths))

# %% [markdown]
# **Predict before you choose.** All five paths end in the same moons. Do VP and conical pass through the same clouds on the way?
# <details><summary>Answer</summary>No. At t = 0.5 the conical cloud is half data and has become a tilted oval; VP has alpha = 0.28, is still almost
# round, and does its work late. Same start, same end, another film: the path is a choice.</details>
#
# ## 5 · A straight road from each noise to each data point
# *Slides "Conical gaussian paths", "Conditional Flow Matching", "Flow Matching"*
#
# Of all paths the lecture picks the plainest: pull the mean towards the data point and shrink the noise at the same rate,
#
# $$\boldsymbol\mu_t=t\,\mathbf x_1,\qquad \sigma_t=1-t,\qquad \mathbf x_t=t\,\mathbf x_1+(1-t)\,\mathbf x_0 .$$
#
# Look for two things: every *single* particle walks a straight line at constant speed, and still the *cloud* does not.
# That tension is the whole rest of the lecture.

# %% tags=["slide:fm.conical"]
path = Conical()
x1, t = truth.sample(512), torch.rand(512).double()
xt, x0 = path.corrupt(x1, t)
verify("fm.conical", path.velocity(xt, x1, t), (x1 - xt) / (1 - t[:, None]),
       what="μ' + σ'/σ (x − μ) = (x₁ − x)/(1 − t)")
verify("fm.conical", (x1 - xt) / (1 - t[:, None]), x1 - x0, what="(x₁ − x)/(1 − t) = x₁ − x₀")

# %%
axes = plots.panels(2, 3.2)
plots.conditional_paths(x0[:60], x1[:60], ax=axes[0], title="given the partner: straight")
plots.trajectories(exact.trajectory(x0[:60], steps=100), ax=axes[1], title="the same 60 starts, partner unknown")
plots.shown(axes,
           "Left: straight lines from noise to data, crossing. Right: the bent flow lines of the same starts")

# %% [markdown]
# Left, the training data: straight lines that cross everywhere. Right, what the averaged field does with the same sixty
# starts: the lines bend, and **no two particles are ever at one place at one time** (two lines on paper may still cross, passed at different times).
# A field has one arrow for each place and time, so particles that met could never part again. So the
# flow does not bring $\mathbf x_0$ to *its* partner but to somebody's, and only the cloud as a whole arrives where it should.
#
# Now train, with the library's loop, and put the network beside the perfect model:

# %%
def train(model, recipe=Recipe(steps=budget(quick=2000, full=20_000), batch=256, lr=3e-3, decay=linear),
          samples=moons):
    return fit(model, samples, recipe, report=progress(repr(model)))

seed(0)
learned = paths.flow_matching(nets.MLP(2, width=64, depth=3), event=(2,))
history = train(learned)
history

# %% tags=["slide:fm.train-sample"]
start = torch.randn(2000, 2)
perfect = Conical().exact(moons)
TrajectoryPlayer([learned.trajectory(start, steps=60), perfect.trajectory(start, steps=60)],
                 field=[learned, perfect],
                 titles=["learned", "exact"], density=[None, perfect.marginal])

# %% [markdown]
# *Press play. Both clouds start from the same noise. Click anywhere to drop a particle of your own, then change the solver from
# Euler to Heun and the number of steps from 100 to 4: the particle takes the road that this solver sees.*
#
# How good is it? Never by eye alone. The **energy distance** between two sets of samples estimates a number that is 0 only when their distributions
# are equal. The estimate has no bias, so samples of the *truth* scatter around 0. The width of that scatter is the *floor*; what lies below it cannot be told from perfect.

# %%
reference = moons.stratified(2000)
floor = 2 * metrics.floor(moons, metrics.energy_distance, 2000, repeats=6).sd
for name, model in {"learned": learned, "exact": perfect}.items():
    distance = metrics.energy_distance(model.sample(2000, steps=60), reference)
    print(f"{name:8} energy distance {distance:7.4f} to 2,000 true samples")
print(f"floor    {floor:23.4f} (two standard deviations of true samples against true samples)")

# %% [markdown]
# ### Is the straight path the optimal one?
# *Slide "Flow Matching (optimal transport path)"*
#
# Two claims, both checked. **The conditional path is straight**: its speed never changes, so the energy $\int\lVert\dot{\mathbf x}\rVert^2dt$ is as small as the
# distance allows. **The marginal path in general is not optimal transport.** It can be: from $\mathcal N(0,\mathbf I)$ to a Gaussian with deviations $\mathbf s$ the flow is just
# $\mathbf x\mapsto\mathbf s\odot\mathbf x$, the OT map. It can come close, and it can miss by much. Compare the price per particle, for the perfect model:

# %% tags=["slide:fm.ot-path"]
ts = torch.linspace(0, 1, 101).double()
roads = torch.stack([path.corrupt(x1, s, x0)[0] for s in ts])
verify("fm.ot-path", torch.as_tensor(metrics.straightness(roads, ts)), 0.0,
       what="conditional path: ∫E‖(x₁ − x₀) − ẋ‖²dt = 0",
       scale=float((x1 - x0).square().sum(1).mean()))
oval = distributions.Mixture(torch.ones(1), torch.zeros(1, 2), torch.tensor([[0.5, 2.0]])).to(torch.float64)
verify("fm.ot-path", Conical().exact(oval).sample(x0, steps=100, method=ode.rk4),
       x0 * torch.tensor([0.5, 2.0]).double(),
       what="to a Gaussian: the flow is the OT map x ↦ s·x", tolerance=1e-5)

# %%
axes = plots.panels(2, 4.2, height=2.9)
for ax, path, start in ((axes[0], Conical(), x0), (axes[1], LinearPath(circle), circle.sample(512))):
    end = path.exact(truth).sample(start, steps=30, method=ode.heun)
    cost = {"independent pairs\n(trained on)": metrics.transport_cost(start, truth.sample(512)),
            "the flow's\nown pairs": metrics.transport_cost(start, end),
            "exact OT of\nthe same ends": metrics.wasserstein(start, end) ** 2}
    plots.bars(cost, ax=ax, ylabel="E‖x₁ − x₀‖²",
              title="noise to moons" if path.gaussian else "eight Gaussians to moons")
plots.shown(axes,
           "Transport cost of independent pairs, of the flow's own pairs and of exact OT, for two sources")

# %% [markdown]
# The flow re-pairs its two ends far more cheaply than the pairs that it was trained on. From Gaussian noise it is here within half a percent of
# the optimum; from eight Gaussians it pays about a quarter more than it needs to. Hold on to this: *expensive pairs in, cheaper pairs out*.
# Section 8 uses it on purpose.
#
# ## 6 · From anything to anything: condition on the pair
# *Slides "Pair conditioning", "Linear interpolation", "conical paths vs linear interpolation"*
#
# Nothing above used that $\mathbf x_0$ is Gaussian, except that we never asked. Take $\mathbf z=(\mathbf x_0,\mathbf x_1)$ and a needle-thin Gaussian that slides
# along the line between them: $p_t(\mathbf x\mid\mathbf x_0,\mathbf x_1)=\mathcal N(t\mathbf x_1+(1-t)\mathbf x_0,\ \epsilon^2\mathbf I)$. Its mean moves, its width does not, so
# $\mathbf f=\mathbf x_1-\mathbf x_0$: the very training procedure of the conical path, and the source may now be *any* distribution.
#
# > **Errata.** The slide asks for $p_0(\mathbf x\mid\mathbf x_0,\mathbf x_1)=\delta(\mathbf x-\mathbf x_0)$ and takes $\sigma_t=\epsilon$: that is a delta only as $\epsilon\to0$, and the library's
# > default is $\epsilon=0$. And the slide writes $\mathbf x_t=\boldsymbol\mu_t+\boldsymbol\sigma_t^2\odot\mathbf x_0$. It is the deviation that multiplies the noise, $\boldsymbol\mu_t+\boldsymbol\sigma_t\odot\boldsymbol\epsilon$, as
# > on the slides before it; and the noise is a fresh $\boldsymbol\epsilon$, since $\mathbf x_0$ now is the start of the road.

# %% tags=["slide:fm.linear"]
x0, x1, t = circle.sample(512), truth.sample(512), torch.rand(512).double()
needle = lambda s: s[:, None] * x1 + (1 - s[:, None]) * x0     # the mean; the width ε stays
verify("fm.linear", LinearPath(circle).endpoints(x1, x0, t).velocity, oracles.time_derivative(needle, t),
       what="μ' + 0 = x₁ − x₀", tolerance=1e-8)
wide, _ = LinearPath(circle, jitter=0.2).corrupt(x1.repeat(200, 1), t.repeat(200), x0.repeat(200, 1))
width = (wide - needle(t).repeat(200, 1)).square().mean(1)
verify("fm.linear", estimate(width), 0.2**2, what="E(x_t − μ_t)² = ε², with σ_t = ε and not σ_t² in x_t")

# %% tags=["slide:fm.conical-vs-linear"]
axes, z = plots.panels(4, 2.2), torch.tensor([[2.0, 1.5]]).double()
for ax, s in zip(axes[:2], (0.3, 0.7)):
    plots.points(Conical().corrupt(z.expand(400, 2), s)[0], ax=ax, color=plots.BLUE, title=f"$z=x_1$, $t={s}$")
for ax, s in zip(axes[2:], (0.3, 0.7)):
    ends = z.expand(400, 2), torch.tensor([[-2.5, -1.0]]).double().expand(400, 2)
    plots.points(LinearPath(circle, jitter=0.12).corrupt(ends[0], s, ends[1])[0], ax=ax, color=plots.BLUE,
                title=f"$z=(x_0,x_1)$, $t={s}$")
for ax in axes:
    plots.points(z, ax=ax, size=40)
plots.shown(axes,
           "Conditional clouds: a cone that narrows onto the data point; a ball that slides between two points")

# %% [markdown]
# Left a cone: all noise, narrowing onto one data point (ink). Right a bead on a string: from one source point to one data
# point. Averaged over their $\mathbf z$ both give a valid $p_t$, and with a Gaussian source they even give the same one.
#
# **Eight Gaussians become two moons**, no Gaussian noise anywhere:

# %% tags=["slide:fm.any-to-any"]
eight = data.eight_gaussians()
bridge = paths.PathModel(nets.MLP(2, width=64, depth=3), LinearPath(eight), event=(2,))
train(bridge, samples=paths.IndependentPairs(moons, eight))
start = eight.stratified(2000)
print(f"energy distance {metrics.energy_distance(bridge.sample(start), reference):.4f}, floor {floor:.4f}")
which = torch.cdist(start, eight.means).argmin(1)
TrajectoryPlayer(bridge.trajectory(start, steps=60), field=bridge, color=which)

# %% [markdown]
# *Colours are the Gaussian that a particle came from. See how neighbours stay neighbours: the flow cannot tear the plane.*
#
# **Predict before you run.** In section 7 a score will be read off a velocity. Should that work for this bridge, too?

# %%
try:
    bridge.score(moons.sample(5), 0.5)
except ValueError as refusal:
    print(refusal)

# %% [markdown]
# <details><summary>Answer</summary>No. p_t still has a score, but the velocity no longer yields it: the formula uses that, given x1, the point x_t is a Gaussian
# around its mean, and here the randomness comes from eight Gaussians. The library says so instead of returning a number.</details>
#
# **Pairs that belong together.** If the pairs are not independent but *made* ($\mathbf x_0$ a pixelated digit, $\mathbf x_1$ the same digit sharp), the
# same loss learns to undo what was done. That is the slide's "paired problems (style transfer)".

# %% tags=["slide:fm.any-to-any"]
task = data.paired_digits(data.pixelate)
restore = paths.PathModel(nets.UNet(channels=16), LinearPath(task), event=(1, 28, 28)).to(device())
fit(restore, (task.x1, task.x0), Recipe(budget(quick=90, full=5000), batch=32, lr=4e-3, warmup=20, decay=linear),
    report=progress("sharpening digits"))
blurred = task.test_x0[:12].to(device())
answer = restore.sample(blurred, steps=10)
plots.gallery({"given: 7 × 7 blocks": blurred, "the flow's answer, 10 Euler steps": answer, "the truth": task.test_x1[:12]},
             alt="Three rows of digits: blocks, sharpened by the flow, the truth")

# %% [markdown]
# ## 7 · Diffusion is another road to the same place
# *Slides "Score-based generative models through SDEs", "Flow matching vs score-based SDE models"*
#
# The diffusion models of the earlier lectures corrupt data by $q(\mathbf x(s)\mid\mathbf x(0))$, with time $s$ running from data to noise. Turn the clock round, $t=1-s$, and each
# is a Gaussian path: **VE** (NCSN) keeps the mean and lets the noise explode, **VP** (DDPM) shrinks the mean so that the variance stays. Put their
# $\mu_t,\sigma_t$ into the formula of section 4 and out come the slide's fields; the primes there are derivatives in the slide's own time $s$:
#
# $$\text{VE: } \mathbf f=-\frac{\sigma'_{1-t}}{\sigma_{1-t}}(\mathbf x-\mathbf x_1),\qquad\qquad \text{VP: } \mathbf f=\frac{\alpha'_{1-t}}{1-\alpha_{1-t}^2}\,(\alpha_{1-t}\mathbf x-\mathbf x_1).$$

# %% tags=["slide:fm.ve-vp-paths"]
x1, t = truth.sample(512), 0.02 + 0.96 * torch.rand(512).double()
s = (1 - t)[:, None]                                                   # the slide's clock
sigma = lambda s: (0.01**2 * (1000 ** (2 * s) - 1)).sqrt()          # NCSN: from 0.01 to 10, geometric; σ(0) = 0
alpha = lambda s: torch.exp(-0.5 * (0.1 * s + 19.9 * s**2 / 2))     # DDPM: exp(−½∫β), β from 0.1 to 20
dsigma, dalpha = oracles.time_derivative(sigma, s), oracles.time_derivative(alpha, s)
x, _ = VE().corrupt(x1, t)
verify("fm.ve-vp-paths", VE().velocity(x, x1, t), -dsigma / sigma(s) * (x - x1),
       what="VE: our field = the slide's", tolerance=1e-7)
x, _ = VP().corrupt(x1, t)
verify("fm.ve-vp-paths", VP().velocity(x, x1, t), dalpha / (1 - alpha(s) ** 2) * (alpha(s) * x - x1),
       what="VP: our field = the slide's", tolerance=1e-7)

# %% [markdown]
# **Score and velocity say the same thing.** Given $\mathbf x_t$, let $\hat{\mathbf x}_1=\mathbb E[\mathbf x_1\mid\mathbf x_t]$ and $\hat{\mathbf x}_0=\mathbb E[\mathbf x_0\mid\mathbf x_t]$ be the best guesses of the two ends. They satisfy
# $\mathbf x_t=\alpha_t\hat{\mathbf x}_1+\sigma_t\hat{\mathbf x}_0$, and whatever a network predicts is a second linear equation. (The score too: $\nabla\log p_t(\mathbf x)$ is the average of
# $\nabla\log p_t(\mathbf x\mid\mathbf x_1)=(\alpha_t\mathbf x_1-\mathbf x)/\sigma_t^2=-\mathbf x_0/\sigma_t$.)
#
# | predicted | data | noise | score | velocity | v (of some diffusion models) |
# |---|---|---|---|---|---|
# | equals | $\hat{\mathbf x}_1$ | $\hat{\mathbf x}_0$ | $-\hat{\mathbf x}_0/\sigma$ | $\alpha'\hat{\mathbf x}_1+\sigma'\hat{\mathbf x}_0$ | $\alpha\hat{\mathbf x}_0-\sigma\hat{\mathbf x}_1$ |
#
# Solve the pair, and every prediction becomes every other. So a network trained by flow matching *is* a score model, and the other way round.

# %% tags=["slide:fm.score-velocity"]
for name, path in {"conical": Conical(), "VP": VP(), "VE": VE()}.items():
    field, x = path.exact(truth), path.corrupt(truth.sample(300), 0.7)[0]
    from_velocity = path.predict(x, 0.7, velocity=field(x, 0.7)).score
    verify("fm.score-velocity", from_velocity, path.marginal(truth, 0.7).score(x),
           what=f"{name}: score out of velocity = ∇ log p_t",
           tolerance=1e-9)
x = Conical().corrupt(moons.sample(2000), 0.7)[0]
with torch.no_grad():
    ours, theirs = learned.score(x, 0.7), perfect.score(x, 0.7)
error = (ours - theirs).norm() / theirs.norm()
print(f"the network of section 5, read as a score model at t = 0.7: relative error {error:.2f}")
reveal(GaussianPath.predict)

# %% [markdown]
# The determinant in those lines is worth a look: it tells which prediction determines both ends well. For the velocity of the conical path it is $-1$ at every
# time, never small. For the noise it is $\alpha_t$ (hopeless near pure noise), for the data $-\sigma_t$ (hopeless near the data).
#
# **Same start, same end, other roads.** In the next picture the top row shows single particles *given their partner*, as the slide's
# picture of diffusion and OT does. The bottom row shows the marginal flow of the perfect model. Red dots are equal times.

# %% tags=["slide:fm.curved-straight"]
axes, few = plots.panels(8, 2.3, columns=4), torch.randn(14, 2)
fourteen, ts = moons.sample(14), torch.linspace(0, 0.999, 101)
shown_paths = {"conical": Conical(), "cosine": Cosine(), "VP (diffusion)": VP(),
               "VE (diffusion)": VE(sigma_max=3.0)}
for above, below, (name, path) in zip(axes[:4], axes[4:], shown_paths.items()):
    pairs = torch.stack([path.corrupt(fourteen, t, few)[0] for t in ts])
    plots.trajectories(pairs, ax=above, ticks=9, limit=6 if "VE" in name else 4, title=name)
    plots.trajectories(path.exact(moons).trajectory(few, steps=100), ax=below, ticks=9,
               limit=6 if "VE" in name else 4)
plots.shown(axes,
           "Fourteen particles on four paths, given their partner (above) and by the marginal flow (below)")

# %% [markdown]
# Top: conical roads are straight and evenly paced; cosine and VP run on the *same arcs* (both keep $\alpha^2+\sigma^2=1$), but VP dawdles as noise and rushes at the
# end; VE falls straight in, from far away, and brakes. Bottom, the averaged flows: the first three end in the *same points*, because their clouds
# differ only by a stretching of space and of time. And here is a surprise, measured below: straight conditional roads do not make the conical *marginal* roads the
# straightest. They first shrink towards the mean and then turn back, while the cosine path keeps the size of the cloud.

# %%
for name, path in {"conical": Conical(), "cosine": Cosine(), "VP": VP()}.items():
    way = path.exact(moons).trajectory(torch.randn(1000, 2), steps=100)
    bending = metrics.normalised_straightness(way, torch.linspace(*path.span, 101))
    print(f"{name:8} bending of the exact marginal flow (0 is straight): {bending:.2f}")

# %% tags=["slide:fm.curved-straight"]
start = torch.randn(1500, 2)
three = {name: shown_paths[name].exact(moons) for name in ("conical", "cosine", "VP (diffusion)")}
TrajectoryPlayer([field.trajectory(start, steps=80) for field in three.values()], titles=list(three),
                 field=list(three.values()))

# %% [markdown]
# ## 8 · What does a straight road buy?
# *Slides "Flow matching vs score-based SDE models: Trajectories", "Flow Matching (optimal transport path)"*
#
# A straight road can be walked in one step. So train the same network on four paths, three seeds each, and count how many
# evaluations of it (NFE) the sampler needs. **OT-coupled** is the conical path again, but within each batch noise and data are
# paired so that the total squared distance is least. Cheap pairs in, straight roads out.

# %% tags=["slide:fm.curved-straight"]
kinds = {"conical": paths.flow_matching, "VP (DDPM)": paths.ddpm, "VE (NCSN)": paths.ncsn,
         "conical, OT-coupled": lambda net, event: paths.PathModel(
             net, Conical(), event, coupling=paths.optimal_transport)}
short = lambda number: Recipe(budget(quick=500, full=10_000), batch=128, lr=4e-3, decay=linear, seed=number)
family = {name: [] for name in kinds}
for name, kind in kinds.items():
    for number in range(3):
        seed(number)
        family[name].append(kind(nets.MLP(2, width=64, depth=3), (2,)))
        fit(family[name][-1], moons, short(number))

# %%
nfe = [1, 2, 4, 8, 16, 48]
quality = {}
for name, models in family.items():
    rows = torch.tensor([[metrics.energy_distance(m.sample(2000, steps=n), reference) for n in nfe]
                         for m in models])
    quality[name] = (nfe, rows.mean(0), rows.std(0))
quality["floor (true samples)"] = (nfe, [floor] * len(nfe))
plots.curves(quality, xlabel="evaluations of the network (Euler steps)", ylabel="energy distance to the data",
            log="xy",
            alt="Quality against function evaluations for four paths, three seeds each, above the sampling floor")

# %% [markdown]
# With one step the OT-coupled flow is already better than the others with eight. VE pays most: its particles start ten units away, and a few large Euler steps
# overshoot (more steps are not always better while all are too few). With many steps the curves flatten: what remains is no longer the solver's error but
# the network's, which differs from path to path after this short training.
#
# **Predict.** After *one* Euler step of a perfect conical model, where do all its samples lie?
# <details><summary>Answer</summary>In one point, the mean of the data: x0 + f(x0, 0) = x0 + (E[x1] − x0) = E[x1]. So the conical path with independent pairs is
# at its worst in one step, and worse than VP there. The straighter the <i>marginal</i> road, the less a big step hurts.</details>
#
# Three numbers summarise the roads: *straightness* $\int\mathbb E\lVert(\mathbf x_1-\mathbf x_0)-\dot{\mathbf x}\rVert^2dt$ (0 is straight), the
# *transport cost* $\mathbb E\lVert\mathbf x_1-\mathbf x_0\rVert^2$, and the cost of exact OT between the same end points.

# %%
def summary(model, steps=64):
    way, ts = model.trajectory(1000, steps=steps), torch.linspace(0, 1, steps + 1)
    start, end = way[0], way[-1]
    return [metrics.straightness(way, ts), (end - start).square().sum(1).mean(),
            metrics.wasserstein(start, end) ** 2]

print(f"{'':22}straightness    cost  exact OT   (mean ± deviation over three seeds)")
for name, models in family.items():
    rows = torch.tensor([[float(v) for v in summary(m)] for m in models])
    print(f"{name:22}" + "  ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(rows.mean(0), rows.std(0))))

# %% [markdown]
# **Rectified flow** uses what we saw in section 5. Let the trained flow make pairs $(\mathbf x_0,\ \text{flow}(\mathbf x_0))$ and train a second flow on
# these pairs only. Its straight training roads cross far less, since they join the ends of a flow in which no two particles ever meet.
#
# **Predict before you run.** Which of the two flows has the lower training loss at the end, and what does the difference measure?

# %%
reflowed = paths.flow_matching(nets.MLP(2, width=64, depth=3), event=(2,))
reflowed.load_state_dict(learned.state_dict())
second = train(reflowed, samples=paths.reflow_pairs(learned, 10_000, steps=20))
print(f"final loss: independent pairs {history.smooth()[-1]:.3f}, rectified pairs {second.smooth()[-1]:.4f}")
flows = {"conical": learned, "rectified": reflowed}
play(lambda steps, model: plots.points(flows[model].sample(start, steps=steps), color=plots.BLUE),
     steps=(1, 20, 1), model=["conical", "rectified"])

# %% [markdown]
# <details><summary>Answer</summary>The rectified flow's loss is far lower: the constant of section 3, how much the roads disagree, has almost gone. That is why its
# samples are moons after a single step, where the first flow needs six or eight. It can still not be perfect: it learned from the first flow's samples,
# with their errors.</details>
#
# ## 9 · Digits
# *Slides "Conditional Flow Matching: Training / Sampling", "Stable Diffusion 3: scalable flow matching"*
#
# Nothing changes but the shape of an event: `(2,)` becomes `(1, 28, 28)`, the network a small U-Net that is also told the class. Training below is live,
# on the 4,000 embedded images of MNIST.
#
# What is known need not be learned. Were the digits of a class Gaussian, $\mathcal N(\mathbf m,\mathbf C)$, the marginal field of section 2 would be known in closed form:
#
# $$\mathbb E[\mathbf x_1-\mathbf x_0\mid\mathbf x_t]=\mathbf m+\big(t\,\mathbf C-(1-t)\mathbf I\big)\big(t^2\mathbf C+(1-t)^2\mathbf I\big)^{-1}(\mathbf x_t-t\,\mathbf m)$$
#
# They are not, but this is right about what matters most near the noise: where the ink of a 3 lies, and how it varies. So the network is handed this answer
# and learns only what it leaves (`gaussian_skip`).

# %% tags=["slide:fm.marginal-field"]
digits = data.mnist().to(device())
seed(0)
live = pretrained.live_digits(digits).to(device())                # a small U-Net that is told the class
known, x, t = live.net.gaussians, torch.randn(1, 1, 28, 28, device=device()), 0.6
m, C, one = known.means[3], known.covariance(3), torch.eye(784, device=device())
formula = m + (t * C - (1 - t) * one) @ torch.linalg.solve(t**2 * C + (1 - t) ** 2 * one, x.flatten() - t * m)
with torch.no_grad():
    answer = live.net.eval()(x, t, torch.tensor([3], device=device())).flatten()
verify("fm.marginal-field", answer, formula,
       what="an untrained network says m + (tC − (1−t)I)(t²C + (1−t)²I)⁻¹(x − tm)", tolerance=1e-4)

# %% [markdown]
# The last layer of the network starts at zero, so before any training the formula is all it says. The next picture is what that alone makes.

# %%
forty = pretrained.balanced(40, digits.test)
look = {"steps": 10, "method": paths.heun_euler_last}
plots.images(live.eval().with_label(forty).sample(40, **look), columns=10,
            alt="Forty samples of one Gaussian for each class: blurred, but the classes can be told",
            title="no training: a Gaussian for each class")

# %% tags=["slide:fm.train-sample"]
history = fit(live, (digits.train, None, digits.train_labels), pretrained.live_recipe(),
              report=progress("flow matching on digits"))
print(history)
plots.images(live.with_label(forty, pretrained.GUIDANCE).sample(40, **look), columns=10,
            alt="Forty digits sampled from the model that was trained in this notebook",
            title="trained here, just now")

# %% [markdown]
# Two small liberties were taken, both usual for images. *Guidance*: the network was trained with and without its class, and the sampler goes 1.4
# times as far in the direction that the class makes (notebook 07 has the details). *Bounds*: a guess of the data is never brighter than white.
#
# The samples are judged by a fixed classifier that has never seen any of these 5,000 images: its 128 features of our digits against its
# features of the 1,000 test images. The *Fréchet distance* compares mean and covariance of the two clouds of features. *Precision* asks how many
# of our digits lie among the real ones, *recall* how many real ones lie among ours. The floor is real against other real images.
# Then comes a deeper network after longer training, from the weights that come with the course.

# %%
best, card = pretrained.load("flow_matching_digits").to(device()), pretrained.card("flow_matching_digits")
print(f"{'':34}Fréchet  precision  recall")
for name, measured in {"trained here": pretrained.sample_quality(live, digits),
                   "longer training (from its card)": card["held_out"]}.items():
    print(f"{name:34}{measured['frechet']:7.2f}  {measured['precision']:9.2f}  {measured['recall']:6.2f}")
print(f"{'floor: real against real':34}{measured['frechet_floor']:7.2f}")
print(f"longer training: {card['steps']:,} steps of {card['batch']} of {card['images']:,} images; {measured['protocol']}\n")
often = card["held_out"]["often"]
print(f"with guidance 1.2, five draws: {often['frechet']:.1f} ± {often['frechet_spread']:.1f};  twenty draws of the real "
      f"images it has learned from: {often['frechet_floor']:.1f} ± {often['frechet_floor_spread']:.1f}")

# %% [markdown]
# The last line is a warning about such numbers. Another thousand samples of the same model give another distance, so a single one says little about small
# differences. And a floor belongs to a data set: the shipped weights learned from the official images, which differ a little from the 5,000 embedded ones, so that even
# a perfect model of them would come no nearer to our test images than real ones do.

# %%
seed(2)
way = best.with_label(forty, pretrained.GUIDANCE).trajectory(40, steps=30)
FramePlayer(way[:, :, 0].float(), captions=[f"t = {k / 30:.2f}" for k in range(31)], columns=10, size=560)

# %% [markdown]
# *Forty digits on their way. Scrub slowly: the class is visible long before the strokes are clean; the last quarter only sharpens.*
#
# ### What Stable Diffusion 3 adds
#
# The slide shows a very large rectified flow. Two things are new in it. Its network is a transformer in which image and text tokens
# attend to each other *jointly*, each with weights of its own. And it does not draw $t$ uniformly: at the ends the task is easy (at $t=0$ the answer
# is $\mathbb E[\mathbf x_1]-\mathbf x$, at $t=1$ it is $\mathbf x-\mathbb E[\mathbf x_0]=\mathbf x$), so it looks mostly at the middle, $t=1/(1+e^{-n})$ with $n\sim\mathcal N(0,1)$. In our exact world one can measure
# *where in time* a network is wrong, and what the other density changes:

# %% tags=["slide:fm.sd3"]
logit = []
for number in range(3):
    seed(number)
    logit.append(paths.PathModel(nets.MLP(2, width=64, depth=3), Conical(), (2,),
                                       times=paths.logit_normal))
    fit(logit[-1], moons, short(number))

@torch.no_grad()
def error(model, t):
    xt, _ = Conical().corrupt(moons.sample(3000), t)
    return float((model(xt, t) - perfect(xt, t)).square().sum(1).mean())

times = torch.linspace(0.02, 0.97, 20)
table = {name: torch.tensor([[error(m, float(t)) for t in times] for m in models])
         for name, models in {"uniform t": family["conical"], "logit-normal t": logit}.items()}
plots.curves({name: (times, rows.mean(0), rows.std(0)) for name, rows in table.items()},
            xlabel="t: 0 noise, 1 data", log="y",
            ylabel="E‖network − exact field‖²",
            alt="Error of the learned field over time, for two densities of training times, three seeds")

# %%
for name, models in {"uniform t": family["conical"], "logit-normal t": logit}.items():
    d = torch.tensor([float(metrics.energy_distance(m.sample(2000, steps=50), reference)) for m in models])
    print(f"{name:15} mean error {table[name].mean():.4f}   energy distance {d.mean():.4f} ± {d.std():.4f}")
print(f"three seeds each; floor {floor:.4f}")

# %% [markdown]
# Fewer looks at an end mean a larger error at that end. Here that price buys next to nothing in the middle, and the samples are not better for it: read the
# two printed rows with their spread. On images the balance is reported to be the other way. A trick is a claim about data; measure it on yours.
#
# ## 10 · What this shares with the other families
#
# * **Diffusion (07)** is the same class with `VP()` or `VE()` in place of `Conical()`: one line, as section 8 used it.
# * **Continuous normalizing flows (06)** have the same ODE, trained by its likelihood; here the likelihood is never needed for training.
# * **Absorbing diffusion (09)** keeps the idea, corrupt and learn the conditional expectation, and swaps Gaussian noise for masks.
# * **Latent-space models (10)** run this notebook's section 9 inside an autoencoder.
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | flow matching | yes | yes, by the trace | 1 (rectified) to about 50 | the noise itself |
#
# ## Homework
#
# Eight exercises, thirteen points. Each asks for one formula. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the
# reference takes your place so that everything below still runs.
#
# **Exercise 8.1 · the conditional velocity (1 point).** For any Gaussian path the lecture gives $\mathbf f(\mathbf x,\mathbf x_1,t)=\boldsymbol\mu_t'+\frac{\sigma_t'}{\sigma_t}(\mathbf x-\boldsymbol\mu_t)$.
# Write it for $\boldsymbol\mu_t=\alpha_t\mathbf x_1$. One line is enough. (`dalpha`, `dsigma` are $\alpha'_t$, $\sigma'_t$.)

# %% exercise="fm.conditional_velocity"
def conditional_velocity(x, x1, alpha, sigma, dalpha, dsigma):
    """The field that moves the conditional path of x1.     x, x1 (B, D); the rest (B, 1)  ->  (B, D)"""
    ### BEGIN SOLUTION
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)
    ### END SOLUTION

# %% check="fm.conditional_velocity" points=1
conditional_velocity = check("fm.conditional_velocity", conditional_velocity)

# %% [markdown]
# **Exercise 8.2 · the loss (2 points).** Conditional flow matching on the conical path, for given data, noise and times: the squared error between the network's answer
# and the road's direction, averaged over the batch *and* the coordinates. The network is called as `net(x, t)` with `t` of shape (B,).

# %% exercise="fm.cfm_loss"
def cfm_loss(net, x1, x0, t):
    """Conditional flow matching on the conical path.     x1 data, x0 noise (B, D), t (B,)  ->  () """
    ### BEGIN SOLUTION
    xt = t[:, None] * x1 + (1 - t[:, None]) * x0
    return ((net(xt, t) - (x1 - x0)) ** 2).mean()
    ### END SOLUTION

# %% check="fm.cfm_loss" points=2
cfm_loss = check("fm.cfm_loss", cfm_loss)

# %% [markdown]
# **Exercise 8.3 · the sampler (2 points).** Euler's method from $t=0$ to $t=1$ in equal steps. The field takes one time a particle, `t` of shape (B,).

# %% exercise="fm.euler_sampler"
def euler_sampler(field, x0, steps):
    """Where Euler's method ends after ``steps`` equal steps.     x0 (B, D)  ->  x1 (B, D)"""
    ### BEGIN SOLUTION
    x = x0
    for k in range(steps):
        x = x + field(x, x.new_full((len(x),), k / steps)) / steps
    return x
    ### END SOLUTION

# %% check="fm.euler_sampler" points=2
euler_sampler = check("fm.euler_sampler", euler_sampler)

# %% [markdown]
# **Exercise 8.4 · a better step (1 point).** Heun's method: look at the arrow here and now, look at the arrow where and when it would take you, and go by their average.

# %% exercise="fm.heun_step"
def heun_step(field, x, t, dt):
    """One step of Heun's method from time t to t + dt.     x (B, D), t (B,), dt a number  ->  (B, D)"""
    ### BEGIN SOLUTION
    slope = field(x, t)
    return x + dt / 2 * (slope + field(x + dt * slope, t + dt))
    ### END SOLUTION

# %% check="fm.heun_step" points=1
heun_step = check("fm.heun_step", heun_step)

# %% [markdown]
# **Exercise 8.5 · who travels with whom (2 points).** Pair a batch so that $\sum\lVert\mathbf x_0-\mathbf x_1\rVert^2$ is least and every point is used once. `linear_sum_assignment`
# takes a numpy matrix of costs (`.numpy()`; entry $i,j$ is the price of pairing $i$ with $j$) and returns the row and column numbers of the best assignment. Return noise first, then data.

# %% exercise="fm.ot_coupling"
from scipy.optimize import linear_sum_assignment

def ot_coupling(x0, x1):
    """The pairing of least total squared distance.     x0, x1 (B, D)  ->  x0, x1 in paired order"""
    ### BEGIN SOLUTION
    cost = torch.cdist(x0, x1) ** 2
    rows, columns = linear_sum_assignment(cost.numpy())
    return x0[rows], x1[columns]
    ### END SOLUTION

# %% check="fm.ot_coupling" points=2
ot_coupling = check("fm.ot_coupling", ot_coupling)

# %% [markdown]
# **Exercise 8.6 · pairs for rectified flow (1 point).** Which pairs does the second flow train on? `sampler(x0)` solves the first flow's ODE. The second training must not
# reach back into the first flow, so no gradient may remain. Return noise first, then data.

# %% exercise="fm.reflow_pairs"
def reflow_pairs(sampler, x0):
    """Each noise with the point to which the flow brings it.     x0 (B, D)  ->  (x0, x1)"""
    ### BEGIN SOLUTION
    with torch.no_grad():
        return x0, sampler(x0)
    ### END SOLUTION

# %% check="fm.reflow_pairs" points=1
reflow_pairs = check("fm.reflow_pairs", reflow_pairs)

# %% [markdown]
# **Exercise 8.7 · from velocity to score (2 points).** Solve $\mathbf x=\alpha\hat{\mathbf x}_1+\sigma\hat{\mathbf x}_0$ and $\mathbf u=\alpha'\hat{\mathbf x}_1+\sigma'\hat{\mathbf x}_0$ for the noise;
# the score is $-\hat{\mathbf x}_0/\sigma$.

# %% exercise="fm.score_from_velocity"
def score_from_velocity(u, x, alpha, sigma, dalpha, dsigma):
    """∇ log p_t(x) out of the velocity.     u, x (B, D); the rest (B, 1)  ->  (B, D)"""
    ### BEGIN SOLUTION
    noise = (alpha * u - dalpha * x) / (alpha * dsigma - sigma * dalpha)
    return -noise / sigma
    ### END SOLUTION

# %% check="fm.score_from_velocity" points=2
score_from_velocity = check("fm.score_from_velocity", score_from_velocity)

# %% [markdown]
# **Exercise 8.8 · the VP field by the slide (2 points).** $\mathbf f=\frac{\alpha'_{1-t}}{1-\alpha_{1-t}^2}(\alpha_{1-t}\mathbf x-\mathbf x_1)$ with $\alpha_s=\exp\!\big(-\tfrac12\int_0^s\beta\big)$ and
# $\beta$ linear from `beta_min` at $s=0$ to `beta_max` at $s=1$. Mind the two clocks: the prime is the derivative in the slide's own time $s$, taken at $s=1-t$.

# %% exercise="fm.vp_field_reversed_time"
def vp_field(x, x1, t, beta_min, beta_max):
    """The variance-preserving field in flow-matching time.     x, x1 (B, D), t (B, 1)  ->  (B, D)"""
    ### BEGIN SOLUTION
    s = 1 - t
    beta = beta_min + (beta_max - beta_min) * s
    alpha = torch.exp(-0.5 * (beta_min * s + (beta_max - beta_min) * s**2 / 2))
    return -0.5 * beta * alpha / (1 - alpha**2) * (alpha * x - x1)
    ### END SOLUTION

# %% check="fm.vp_field_reversed_time" points=2
vp_field = check("fm.vp_field_reversed_time", vp_field)

# %% [markdown]
# **Now put your pieces together.** Your loss trains a network, your coupling chooses the pairs, your sampler walks. (Where a piece is still missing the reference stands in.)

# %%
seed(3)
eight, yours = data.eight_gaussians(), nets.MLP(2, width=64, depth=3)
optimizer = torch.optim.AdamW(yours.parameters(), lr=4e-3)
for step in range(budget(quick=800, full=5000)):
    x0, x1 = ot_coupling(torch.randn(128, 2), eight.sample(128))
    optimizer.zero_grad()
    cfm_loss(yours, x1, x0, torch.rand(128)).backward()
    optimizer.step()
axes = plots.panels(3, 2.6)
plots.points(eight.sample(1500), ax=axes[0], title="the data")
with torch.no_grad():
    for ax, steps in zip(axes[1:], (3, 30)):
        plots.points(euler_sampler(yours, torch.randn(1500, 2), steps), ax=ax, color=plots.BLUE,
                    title=f"yours, {steps} Euler steps")
plots.shown(axes, "Eight Gaussians, and samples of them drawn with the reader's own loss, coupling and sampler")

# %% [markdown]
# **Written (think, then unfold).** *Why does a larger batch make OT-coupled flow matching straighter, and what happens at batch size 1?*
# <details><summary>Answer</summary>The coupling is optimal only within the batch. With one pair there is nothing to choose: it is the independent coupling. As the
# batch grows, the best assignment of samples approaches the optimal plan between the distributions, whose roads do not cross; then the marginal field is the
# conditional one and straight.</details>
#
# *The CFM loss of a perfectly trained model is not zero. What would make it zero?*
# <details><summary>Answer</summary>Roads that never cross: then x_t determines its road, the target has no variance given x_t, and the constant of section 3 vanishes. Rectified flow
# and OT coupling both lower it: look at the losses printed in section 8.</details>
#
# ## References
#
# * Lipman, Chen, Ben-Hamu, Nickel, Le: *Flow Matching for Generative Modeling*, 2023. The conical path and the CFM theorem.
# * Tong et al.: *Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport*, 2024. Pairs, couplings.
# * Liu, Gong, Liu: *Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow*, 2023.
# * Albergo, Vanden-Eijnden: *Building Normalizing Flows with Stochastic Interpolants*, 2023.
# * Song et al.: *Score-Based Generative Modeling through Stochastic Differential Equations*, 2021. VE and VP.
# * Esser et al.: *Scaling Rectified Flow Transformers for High-Resolution Image Synthesis* (Stable Diffusion 3), 2024.
