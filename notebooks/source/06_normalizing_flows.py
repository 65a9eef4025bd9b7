# %% [markdown]
# # 06 · Normalizing flows
#
# *Lecture 5 (autumn 2025), "Recap: VAE vs NF" with its theorem and "NF-Based VAE Prior"; lecture 14 (autumn 2024), "KFP theorem (continuity equation)"*
#
# **The promise.** Bend a sheet of noise until it has the shape of the data, and keep the books on how much each place was stretched: that is an exact density. At the end you
# have seen it integrate to one, gone through couplings, masks and solvers in both directions, watched a VAE turn into a flow as its noise dies out, and measured what
# it costs to train a flow with infinitely many layers.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | the determinant as a change of volume, the chain rule, a first neural network; notebook 02 (VAE) for sections 5 and 6 |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions, once and for all**
#
# | what | here | where slides differ |
# |---|---|---|
# | `x` | where the density is wanted: data, or the latent code of a VAE | lecture 5 puts the flow into the latent space: what it calls $\mathbf z$ is our `x` |
# | `z` | the noise, standard normal | lecture 5 writes $\mathbf z^*$ |
# | $\mathbf f$, `flow(x)` | from the data to the noise | the same, $\mathbf f_\lambda$ |
# | $\mathbf g=\mathbf f^{-1}$, `.inverse(z)` | from the noise to the data | the same, $\mathbf g_\lambda$ |
# | `ladj` | $\log\lvert\det\mathbf J_{\mathbf f}\rvert$, one number a sample, always of $\mathbf f$ | the same |
# | likelihoods | nats a sample; for images bits a dimension, and then it is said how they were dequantised | |

# %%
import math
import torch
from copy import deepcopy
from time import process_time
from IPython.display import Markdown
from torchdiffeq import odeint, odeint_adjoint
from dgm_course import data, flows, nets, paths, pretrained
from dgm_course.core import metrics, ode
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import Conical
from dgm_course.teach import TrajectoryPlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.teach.plots import flows as flows_plots
from dgm_course.core.tensors import budget, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Take a point of the plane. Leave its first coordinate alone, and let a network that looks at *it* decide how to stretch and shift the *second*. Then the other way round. A few such layers
# bend a plane into almost any shape, and three things come for free: each layer can be undone (the network is only asked again, never inverted), the change of volume is the stretching that we
# chose ourselves, and with it the density of every point is a formula. Training is nothing but making the data likely.

# %% tags=["slide:flow.realnvp"]
seed(0); torch.set_num_threads(1)                                      # tiny tensors are fastest on one core
moons = data.moons()
Layer, act = torch.nn.Linear, torch.nn.ReLU()
conditioners = [torch.nn.Sequential(Layer(1, 64), act, Layer(64, 64), act, Layer(64, 2)) for _ in range(6)]
optimizer = torch.optim.AdamW([p for net in conditioners for p in net.parameters()], lr=4e-3)

def bare_log_prob(x):
    ladj = 0.0
    for k, net in enumerate(conditioners):
        i, j = (0, 1) if k % 2 == 0 else (1, 0)                        # i is kept, j is changed
        s, t = net(x[:, i:i + 1]).T
        s = 3 * torch.tanh(s / 3)                                      # a stretching that cannot explode
        changed = x[:, j] * s.exp() + t
        x = torch.stack([x[:, 0], changed] if j == 1 else [changed, x[:, 1]], 1)
        ladj = ladj + s                                                # slope exp(s): its logarithm adds up
    return -(x**2).sum(1) / 2 - math.log(2 * math.pi) + ladj           # log N(z; 0, I) + log |det J_f|

# %% tags=["slide:flow.realnvp"]
steps = budget(quick=450, full=3000)
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
    optimizer.zero_grad()
    (-bare_log_prob(moons.sample(256)).mean()).backward()              # maximum likelihood
    optimizer.step()
held_out = moons.sample(20_000)
with torch.no_grad():
    print(f"held out: {float(-bare_log_prob(held_out).mean()):.3f} nats a point; the entropy of the moons, below "
          f"which nobody gets, {float(-moons.log_prob(held_out).mean()):.3f}")

# %%
axes, peak = plots.panels(2, 2.8), float(moons.log_prob(moons.means).exp().max())       # one scale of ink for both
plots.density_map(moons.log_prob, ax=axes[0], top=peak, title="the moons, exact")
plots.density_map(lambda x: bare_log_prob(x.float()), ax=axes[1], top=peak, title="thirty lines, trained for seconds")
plots.shown(axes, "Two densities of two moons: the exact one, and a flow's, with a faint thread between the arcs")

# %% [markdown]
# Look for the thin bridge between the moons on the right. A plane that is bent but never torn stays in one piece, and *for a map that stretches moderately* something is left hanging between two islands. This is the family's birthmark (the last question of this notebook
# asks whether it must be there).
#
# Three things should puzzle you:
#
# 1. why may one write $\log p(\mathbf z)$ *plus* the log-determinant, and is the result really a density? (Section 1.)
# 2. how can a layer be invertible when its network is not? (Section 2.)
# 3. what is this good for, when a VAE has a latent space as well? (Sections 5 and 6.)
#
# From here on the library does the housekeeping. It computes the very same numbers:

# %% tags=["slide:flow.realnvp"]
flow = flows.Flow(flows.couplings(2, count=6, width=64), 2)
for layer, net in zip(flow.f.layers, conditioners):
    layer.net.load_state_dict(net.state_dict())
x = moons.sample(200)
verify("flow.realnvp", flow.log_prob(x), bare_log_prob(x), what="library log p(x) = the bare lines", tolerance=1e-5)
reveal(flows.Flow.log_prob)

# %% [markdown]
# ## 1 · How much was it stretched? The change of variables
# *Slide "NF-Based VAE Prior"*
#
# Probability is not made or lost by moving it. What lay in a small square around $\mathbf x$ lies after $\mathbf f$ in a small parallelogram around $\mathbf z=\mathbf f(\mathbf x)$, and the parallelogram is
# $\lvert\det\mathbf J_{\mathbf f}\rvert$ times as large. Same mass, other area:
#
# $$\log p(\mathbf x)=\log p\big(\mathbf f(\mathbf x)\big)+\log\lvert\det\mathbf J_{\mathbf f}(\mathbf x)\rvert,\qquad \mathbf J_{\mathbf f}=\frac{\partial\mathbf f}{\partial\mathbf x}.$$
#
# Two things have to be shown. The book-keeping is right: `ladj` is the log-determinant of the Jacobian that automatic differentiation finds. And the result is a density: summed over a fine grid
# it gives one, for the trained flow and for one with random weights alike. Without the determinant it does not, as the lines in between show.

# %% tags=["slide:flow.change-of-variables"]
flow64 = deepcopy(flow).double()                                       # laws are checked in double precision
x = moons.sample(8).double()
jacobians = torch.stack([torch.autograd.functional.jacobian(lambda v: flow64(v[None])[0][0], point) for point in x])
verify("flow.change-of-variables", flow64(x)[1], torch.linalg.slogdet(jacobians).logabsdet,
       what="ladj = log |det J_f| by automatic differentiation")
seed(5)
stirred = flows.Flow(flows.couplings(2, 4, 16), 2).double()
for p in stirred.parameters():
    p.data += 0.25 * torch.randn_like(p)
here, area = oracles.grid(-8, 8, 201), (16 / 200) ** 2                    # nodes, and the cell that belongs to each
for name, f in {"trained": flow64, "random": stirred}.items():
    with torch.no_grad():
        verify("flow.change-of-variables", f.log_prob(here).exp().sum() * area, 1.0, tolerance=5e-3,
               what=f"{name} flow: ∫ p(x) dx = 1 on a grid")
        without = f.base.log_prob(f(here)[0]).exp().sum() * area
    print(f"  the same sum without the determinant: {float(without):.2f}")

# %% [markdown]
# Now watch it. Take squared paper in the space of the *noise* and follow it to the data, layer by layer. In each step only one coordinate of every point moves. At first $x_1$ does, by an amount that depends on
# $x_2$: points slide along the level grey lines, and the upright blue ones bend. Then $x_2$ has its turn, and so on. Where the meshes become small, mass is crowded together and the density is high.

# %% tags=["slide:flow.change-of-variables"]
sheet = flows_plots.paper()
stages = flow.stages(sheet.flatten(0, 1))                              # (layers + 1, points, 2), noise first
names = {0: "noise", 1: "after 1 layer", 2: "after 2 layers", 4: "after 4 layers", 6: "after 6 layers"}
flows_plots.bending([stages[k].view(sheet.shape) for k in names], list(names.values()), limit=5.0,
                   alt="Squared paper bent layer by layer into the shape of two moons")

# %%
seed(2)
steps_between = torch.linspace(0, 1, 9)[1:, None, None]
points = flow.stages(torch.randn(1500, 2))                             # particles instead of paper
way = [points[:1]] + [a + steps_between * (b - a) for a, b in zip(points, points[1:])]
TrajectoryPlayer(torch.cat(way), times=torch.linspace(0, 6, 49), data=moons.sample(500),
                 frame=6, titles=["samples"], time="layer",
                 label="Samples pushed through six couplings, one after the other, from noise to two moons")

# %% [markdown]
# Press play: particles march left and right, then up and down, in turn. (Between two layers the picture moves them evenly; only the whole numbers of the clock are the flow.)
#
# **Predict before you choose.** The menu below cuts the flow short: the density after only the first $k$ layers from the noise. With k = 1 just one coordinate has been moved, $x_1$, by an amount that
# depends on the other. What can the picture *not* show yet?
# <details><summary>Answer</summary>Along the moved coordinate every slice is one Gaussian, only shifted and scaled; and the other coordinate is still a standard normal altogether. (Upright lines may already cross the bent band
# twice, level ones not.) Two humps on a level line take a further layer.</details>

# %%
def first_layers(k):
    part = flows.Flow(list(flow64.f.layers)[6 - k:], 2)
    return plots.density_map(part.log_prob, title=f"the noise after {k} of 6 layers")

play(first_layers, k=[0, 1, 2, 4, 6])

# %% [markdown]
# ## 2 · A layer that can be undone: coupling
# *Slide "NF-Based VAE Prior" (RealNVP with coupling layers)*
#
# $$\mathbf z_A=\mathbf x_A,\qquad \mathbf z_B=\mathbf x_B\odot e^{\mathbf s(\mathbf x_A)}+\mathbf t(\mathbf x_A),\qquad \log\lvert\det\mathbf J_{\mathbf f}\rvert=\sum_{i\in B}s_i .$$
#
# To go back one needs $\mathbf s$ and $\mathbf t$ again, and they depend on $\mathbf x_A$, which is still there as $\mathbf z_A$. So the network may be anything. The Jacobian is triangular in blocks: 1 on the
# diagonal of A, $e^{s}$ on that of B. A determinant of $D^3$ operations has become a sum.

# %% tags=["slide:flow.realnvp"]
reveal(flows.Coupling.forward, flows.Coupling.inverse)

# %% [markdown]
# $\mathbf z=\mathbf g(\mathbf z^*)=\mathbf f^{-1}(\mathbf z^*)$, says the slide (in our letters $\mathbf x=\mathbf g(\mathbf z)$). To numerical precision? Four kinds of layer, stacked, with random weights, there and back again. Two are met here for the first time besides
# the coupling and the autoregressive layer of the next section. A *planar* layer, $\mathbf z=\mathbf x+\mathbf u\tanh(\mathbf w^\top\mathbf x+b)$, pushes everything in one direction $\mathbf u$, by an amount that depends on one projection only. A *matrix L U* is a linear map kept as a product of a lower and an upper
# triangular matrix, so that its determinant is a product of diagonal entries, and undoing it is two substitutions.

# %% tags=["slide:flow.inverse"]
seed(3)
kinds = {"couplings (RealNVP)": flows.couplings(6, 4), "autoregressive (MAF)": flows.autoregressive(6, 4),
         "planar": flows.planars(6, 8), "matrix L U": flows.LULinear(6)}
x = 2 * torch.randn(500, 6, dtype=torch.float64)
for name, layer in kinds.items():
    for p in layer.double().parameters():
        p.data += 0.1 * torch.randn_like(p)
    verify("flow.inverse", layer.inverse(layer(x)[0]), x, what=f"g(f(x)) = x, {name}")
    z = torch.randn(500, 6, dtype=torch.float64)
    verify("flow.inverse", layer(layer.inverse(z))[0], z, what=f"f(g(z)) = z, {name}")
with torch.no_grad():
    for f, x in ((flow64, held_out.double()), (flow, held_out)):       # the trained one, in both precisions
        lost = float((f.f.inverse(f(x)[0]) - x).abs().max())
        print(f"  flow of section 0 in {str(x.dtype)[6:]}: of {len(x):,} points the worst comes back {lost:.0e} away")

# %% [markdown]
# In float32 the way back loses digits wherever a layer stretches much: sharp training costs precision. A flow whose inverse does not invert is a common bug report, and this round trip is the test for it.
#
# **Predict.** A coupling that keeps the same half in every layer: what will the flow never learn?
# <details><summary>Answer</summary>The distribution of the kept half: it is handed through, so the flow must pretend that it is a standard normal. The halves have to change roles.</details>
#
# ## 3 · The other triangle: autoregressive flows
# *Slide "NF-Based VAE Prior" (Autoregressive NF: fast $\mathbf f$, slow $\mathbf g$)*
#
# Let *each* coordinate be stretched and moved by what those before it say:
#
# $$z_i=\big(x_i-m_i(\mathbf x_{<i})\big)\,e^{-a_i(\mathbf x_{<i})},\qquad \log\lvert\det\mathbf J_{\mathbf f}\rvert=-\sum_i a_i,\qquad x_i=z_i\,e^{a_i(\mathbf x_{<i})}+m_i(\mathbf x_{<i}).$$
#
# Triangular again, now all the way. Given $\mathbf x$, all $m_i$ and $a_i$ come out of *one* pass of a masked network. Given $\mathbf z$, one has to wait: $x_2$ needs $x_1$, $x_3$ needs both. Below, the Jacobian of
# one layer of each kind at a random point: look at which entries are exactly zero (sand coloured; the others are the bluer the larger).

# %% tags=["slide:flow.autoregressive"]
seed(4)
layers = {"coupling": flows.Coupling(range(10), 20, flows.mlp(10, 20)), "autoregressive": flows.MaskedAutoregressive(20, 190),
          "planar": flows.Planar(20)}
for layer in layers.values():
    for p in layer.parameters():
        p.data += 0.2 * torch.randn_like(p)
at = torch.randn(20)
flows_plots.jacobians({name: lambda v, f=f: f(v[None])[0][0] for name, f in layers.items()}, at,
                     alt="Three Jacobians: two blocks, a full lower triangle, and the identity with a matrix of rank one")

# %%
reveal(flows.MaskedAutoregressive.forward, flows.MaskedAutoregressive.inverse)

# %% [markdown]
# How slow is slow? Time both directions for more and more dimensions, the network of the same width throughout. Look at the slopes: on double logarithmic paper, proportional to D means rising as steeply as the dashed guide line.

# %% tags=["slide:flow.autoregressive"]
def seconds(function, *arguments, repeats=5):
    times = []
    for _ in range(repeats):
        start = process_time()                                         # of this process: other work does not count
        function(*arguments)
        times.append(process_time() - start)
    return min(times)                                                  # the least disturbed of five

sizes, there, back = [4, 16, 64, 256], [], []
with torch.no_grad():
    for D in sizes:
        layer, z = flows.MaskedAutoregressive(D, 64), torch.randn(64, D)
        there.append(seconds(layer, z))
        back.append(seconds(layer.inverse, z))
reference = [back[0] * D / sizes[0] for D in sizes]
plots.curves({"f: data to noise, one pass": (sizes, there), "g: noise to data, place by place": (sizes, back),
             "guide: proportional to D": (sizes, reference)}, log="xy", xlabel="dimensions D",
            ylabel="CPU seconds, 64 points",
            alt="Time of the two directions against the dimension: g rises somewhat steeper than D, f hardly at all")

# %% [markdown]
# $\mathbf g$ takes $D$ passes, and each pass becomes dearer as well (the first and the last matrix of the network grow with $D$): so its line climbs away from the guide. Training needs $\mathbf f$ only, so it is as quick as for couplings; sampling pays. (Turn the roles around, and sampling is quick while the density of *given* points is slow: that is the inverse autoregressive flow.)
# What does one get for it? Equal steps on the moons, three families (the couplings are those of section 0), and the floor:

# %% tags=["slide:flow.autoregressive", "slide:flow.realnvp"]
recipe = Recipe(budget(quick=450, full=3000), 256, 4e-3, decay=linear)
seed(0)
others = {"MAF, 5 layers": flows.Flow(flows.autoregressive(2, 5), 2), "planar, 8 layers": flows.Flow(flows.planars(2, 8), 2)}
for name, f in others.items():
    fit(f, moons, recipe, report=progress(name))
entropy, trained = float(-moons.log_prob(held_out).mean()), {"RealNVP, 6 couplings": flow, **others}
print("                       cross-entropy   above the entropy   (nats a point, held out)")
for name, f in trained.items():
    with torch.no_grad():
        nats = float(-f.log_prob(held_out).mean())
    print(f"{name:22} {nats:13.3f} {nats - entropy:19.3f}")

# %%
axes = plots.panels(3, 2.6)
for ax, (name, f) in zip(axes, trained.items()):
    plots.density_map(lambda x, f=f: f.log_prob(x.float()), ax=ax, top=peak, title=name)
plots.shown(axes, "Densities of the moons by couplings, autoregressive and planar layers, of equally long training")

# %% [markdown]
# The last column *is* a KL divergence, $\mathrm{KL}(\pi\Vert p_\theta)$, cross-entropy less entropy: maximum likelihood is the forward KL, and here the entropy is known. And what *does* one get for the slow direction? In the plane, nothing: a layer of MAF with two coordinates
# is a coupling, and here are five of them against six. What it gains is in many dimensions, where each coordinate sees all before it instead of one fixed half. A planar layer bends the plane along one line only; it takes many of them.
#
# ## 4 · From the plane to pixels
#
# A pixel is a whole number, and a density on whole numbers is a trap: a flow that piles infinite density onto the few allowed values has an infinite likelihood. So one adds noise $u\sim U[0,1)$ that fills the bins, and by Jensen
#
# $$\log P(\mathbf k)=\log\int p(\mathbf k+\mathbf u)\,d\mathbf u\ \ge\ \mathbb E_{\mathbf u}\log p(\mathbf k+\mathbf u),$$
#
# a bound, in bits a dimension $-\log_2 P/D$. Then the logit (with a margin) stretches $[0,1]$ to the line, where a normal density can be met.

# %% tags=["slide:flow.realnvp"]
reveal(flows.Dequantise.forward, flows.Logit.forward)

# %% [markdown]
# Small digits first, 8 × 8 pixels of 17 grey values. Three models: each pixel on its own, with the frequencies of its values counted (no flow at all), RealNVP between the even and the odd columns of pixels, and MAF over the 64 pixels in order.

# %% tags=["slide:flow.realnvp", "slide:flow.autoregressive"]
digits = data.digits()
ks = ((digits.train + 1) * 8).round().long().flatten(1)                # 0 ... 16
counts = torch.nn.functional.one_hot(ks, 17).sum(0) + 0.1
frequencies = counts / counts.sum(1, keepdim=True)
test_ks = ((digits.test + 1) * 8).round().long().flatten(1)
alone = -frequencies[torch.arange(64), test_ks].log().sum(1).mean()
print(f"each pixel alone, counted        {float(metrics.bits_per_dim(alone, 64)):.2f} bits a dimension (exact)")
seed(0)
event, small = (1, 8, 8), {}
bodies = {"RealNVP": flows.couplings(64, 6, 128, bound=2.0), "MAF": flows.autoregressive(64, 4, 192, bound=2.0)}
short = Recipe(budget(quick=300, full=3000), 64, 2e-3, decay=linear, ema=0.98)
for name, body in bodies.items():
    pixels = [flows.Dequantise(event, 17), flows.Logit(0.05), flows.Split(event), flows.ActNorm(64)]
    f = small[name] = flows.Flow([*pixels, *body.layers], 64)
    flows.set_scales(f.f, digits.train[:500], least=1e-2)              # the Affine layer starts with unit variances
    fit(f, digits.train, short, report=progress(name))
    figures = pretrained.bits(f, digits.test, draws=8, levels=17)
    print(f"{name:8} {figures['bits_per_dim']:.2f} ± {figures['standard_error']:.2f}   ({figures['protocol']})")

# %% tags=["slide:flow.realnvp", "slide:flow.autoregressive"]
seed(5)
start = process_time(); by_couplings = small["RealNVP"].sample(24); once = process_time() - start
start = process_time(); by_places = small["MAF"].sample(24); sequential = process_time() - start
print(f"24 samples: couplings {1000 * once:.0f} ms, autoregressive {1000 * sequential:.0f} ms")
plots.gallery({"data": digits.test[:12], "RealNVP": by_couplings[:12], "MAF": by_places[:12]},
             alt="Small digits: real ones, samples of RealNVP and of MAF, rough but recognisable")

# %% [markdown]
# The samples are rough: seconds of training, 1,438 images. Both beat the best model without any dependence; which of the two is ahead after so few steps says little about either.
#
# **Predict.** The bound uses fresh noise $\mathbf u$. With $\log\text{mean}\exp$ over 8 draws in place of one, does the number of bits go up or down, and is it still honest?
# <details><summary>Answer</summary>Down, or it stays: the mean over several draws is an unbiased estimate of the integral P(k), its logarithm is below log P(k) on average (Jensen), and the more draws the nearer. It is an honest bound; but
# numbers with different counts of draws must not be compared without saying so.</details>
#
# **Larger and longer.** The weights below are a RealNVP of MNIST: 256 grey values, ten couplings at two scales (blocks of 2 × 2 pixels become four channels, so that a split of the channels is a checkerboard of pixels), trained for minutes on a GPU (`dgm train flow_digits`). One layer differs: the logit. Four pixels of five are paper, and one that is
# surely paper becomes, with its noise, a uniform number in a narrow bin. Shifting and stretching cannot round off its sharp ends, and a normal density that stands for a uniform one of the same variance wastes $\tfrac12\log_2(2\pi e/12)=0.25$ bits, at *every* such pixel. So in place of the logit stands one
# increasing curve for all pixels, a *spline*: steep at both ends of the first and of the last bin, learned with the rest.

# %%
spline = pretrained.load("flow_digits").f.layers[1]
u = torch.linspace(0, 1, 400)[:, None]
bins = {f"grey value {k}": (u / 256 + k / 256) for k in (0, 128, 255)}
plots.curves({name: (u[:, 0], spline(x)[0][:, 0].detach() - spline(x)[0].mean().detach()) for name, x in bins.items()},
            xlabel="noise u inside the bin", ylabel="z, less its mean over the bin",
            title="One curve for all pixels, seen inside three of its 256 bins")

# %% [markdown]
# An S that lies on its side (steep, flat, steep) is what makes a uniform number normal: it is the shape of a normal quantile. Paper got one, full ink is steep at its outer end; a middle grey, which is rare, got a short straight line.
#
# In the table, the first line is a histogram of every pixel, counted on the 4,000 embedded training images (the flow has seen 59,000). The lines that name a card were measured when the weights were made. The last is an image with nothing on it: what does the flow pay to say so? Published figures of RealNVP, much
# deeper and longer trained, are near 1.06 bits (so the table of Grathwohl et al. 2019).

# %% tags=["slide:flow.realnvp"]
mnist = data.mnist()
best, card = pretrained.load("flow_digits"), pretrained.card("flow_digits")
ks, test_ks = (((images + 1) * 127.5).round().long().flatten(1) for images in (mnist.train, mnist.test))
smooth = lambda i: (torch.bincount(ks[:, i], minlength=256) + 0.1) / (len(ks) + 25.6)
alone = -sum(smooth(i)[test_ks[:, i]].log() for i in range(784)).mean()
print(f"each pixel alone, counted       {float(metrics.bits_per_dim(alone, 784)):.3f} bits a dimension (exact, all 1,000)")
now = pretrained.bits(best, mnist.test[::4])
print(f"the flow, {len(mnist.test[::4])} of these images  {now['bits_per_dim']:.3f} ± {now['standard_error']:.3f}")
for row in (card["held_out"]["official_test"], card["held_out"]["official_test_8_draws"]):
    print(f"official test, from its card    {row['bits_per_dim']:.3f}   ({row['protocol']})")
print(f"an empty image                  {pretrained.bits(best, -torch.ones(50, 1, 28, 28))['bits_per_dim']:.3f}")
seed(6)
plots.gallery({"z ~ N(0, I)": best.sample(24), "0.7 z: nearer the middle of the noise": best.sample(24, 0.7)},
             alt="Digits drawn by a RealNVP: sharp strokes, most of them digits; heavier strokes when z is made smaller")

# %% [markdown]
# Look closely: strokes are sharp, and many of the samples are digits; others are put together of good pieces, a loop here and a bar there, that belong to no digit, and with smaller z the strokes become heavy and the loops fill. A likelihood in bits is mostly about grey values and edges, for that is where most bits are (an empty
# page costs little); the few bits that say *which* digit are learned last. Notebook 08 makes better digits. The figures of notebook 01 cannot be set beside these: they are of black and white pixels.
#
# ## 5 · A flow is a VAE whose noise has died out
# *Slide "Recap: VAE vs NF", the theorem*
#
# > MLE for a normalizing flow is equivalent to maximising the ELBO of a VAE with deterministic encoder and decoder, $p(\mathbf x\mid\mathbf z)=\delta(\mathbf x-\mathbf g(\mathbf z))$, $q(\mathbf z\mid\mathbf x)=\delta(\mathbf z-\mathbf f(\mathbf x))$.
#
# Deltas have no densities to put into an ELBO, so take a VAE that has noise, and let it shrink. Decoder: $p_\eta(\mathbf x\mid\mathbf z)=\mathcal N(\mathbf x;\mathbf g(\mathbf z),\eta^2\mathbf I)$. Encoder: jolt $\mathbf x$ by $\eta\boldsymbol\epsilon$, then apply $\mathbf f$;
# by the change of variables its density is $q_\eta(\mathbf z\mid\mathbf x)=\mathcal N(\mathbf g(\mathbf z);\mathbf x,\eta^2\mathbf I)\,\lvert\det\mathbf J_{\mathbf g}(\mathbf z)\rvert$. Below, the terms of the ELBO are computed at drawn $\mathbf z$. The Gaussian stands in the first and in the last of them, as one and the same number (that is what this choice of encoder is good for); $\log\lvert\det\mathbf J_{\mathbf g}\rvert$ comes from automatic differentiation of the
# way *back*, and is to turn out as what `ladj` says of the way there. What should come out:
#
# $$\mathcal L_\eta(\mathbf x)=\mathbb E_{q}\big[\log p_\eta(\mathbf x\mid\mathbf z)+\log p(\mathbf z)-\log q_\eta(\mathbf z\mid\mathbf x)\big]\ \xrightarrow[\eta\to0]{}\ \log p(\mathbf f(\mathbf x))+\log\lvert\det\mathbf J_{\mathbf f}(\mathbf x)\rvert .$$
#
# The first and the last term each go to infinity, $\mp D\log\eta$; in their difference only the determinant is left.

# %% tags=["slide:flow.as-vae"]
log_normal = lambda v: torch.distributions.Normal(0.0, 1.0).log_prob(v).sum(1)

def elbo_terms(x, eps, eta):
    """log p(x|z), log p(z) and log q(z|x) at z = f(x + eta ε).     x, eps (B, 2)  ->  three of (B,)"""
    z = flow64(x + eta * eps)[0].detach().requires_grad_()
    back = flow64.f.inverse(z)                                         # g(z)
    rows = [torch.autograd.grad(back[:, i].sum(), z, retain_graph=True)[0] for i in (0, 1)]
    volume = torch.linalg.slogdet(torch.stack(rows, 1)).logabsdet      # log |det J_g|
    gaussian = log_normal((x - back.detach()) / eta) - 2 * math.log(eta)        # N(x; g(z), η²) = N(g(z); x, η²)
    return gaussian, log_normal(z.detach()), gaussian + volume

seed(6)
some, eps = moons.sample(40).double(), torch.randn(1000, 2).double()
eps = torch.cat([eps, -eps])                                           # each jolt in both directions: less noise in the mean
log_p = flow64.log_prob(some).detach().mean()
etas, elbos, parts = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001], [], []
for eta in etas:
    decoder, prior, encoder = elbo_terms(some.repeat(50, 1), eps, eta)
    elbos.append((decoder + prior - encoder).mean())
    parts.append((float(decoder.mean()), float(encoder.mean())))

# %% tags=["slide:flow.as-vae"]
print("  η       E log p(x|z)   E log q(z|x)       ELBO    log p(x) of the flow")
for eta, (decoder, encoder), elbo in zip(etas, parts, elbos):
    print(f"{eta:5.3f} {decoder:14.3f} {encoder:14.3f} {float(elbo):11.4f} {float(log_p):14.4f}")
verify("flow.as-vae", elbos[-1], log_p, what="ELBO at η = 0.001 = log p(x) of the flow", tolerance=1e-4)
gaps = [float(log_p - elbo) for elbo in elbos]
plots.curves({"log p(x) of the flow − ELBO at noise η": (etas, gaps), "guide: proportional to η²":
             (etas, [gaps[2] * (eta / etas[2]) ** 2 for eta in etas])}, xlabel="η, noise of encoder and decoder",
            ylabel="gap, nats a point", log="xy",
            alt="The gap between ELBO and log-likelihood vanishes like the square of the noise")

# %% [markdown]
# Read the table from top to bottom: the reconstruction term grows without bound, so does the encoder's, and the ELBO between them settles. (The last column is the mean over these 40 points only, so it is not the figure of section 0.) The two Gaussians cancel by construction, and what is left is
# $\mathbb E_{\boldsymbol\epsilon}\log p(\mathbf x+\eta\boldsymbol\epsilon)$: the flow's own log-likelihood, seen through a blur of size $\eta$. By Taylor the blur costs something of the order of $\eta^2$, and the picture agrees: on double logarithmic paper the gap falls along the dashed line of slope two.
#
# **Predict.** A *real* VAE has a latent space of fewer dimensions than the data. Can its noise shrink to zero as well?
# <details><summary>Answer</summary>No. Then g(z) sweeps out a thin surface, data off that surface get the density exp(−distance²/2η²), and the likelihood falls without bound as η shrinks. f could not be the inverse of g: a flow needs as
# many latent dimensions as data dimensions. That is its price; an 8 × 8 digit has 64 latent numbers.</details>
#
# ## 6 · The two side by side, and one inside the other
# *Slides "Recap: VAE vs NF" (table) and "NF-Based VAE Prior"*
#
# The VAE is the one of notebook 02 with two latent numbers and black and white digits; the flow is ours, of the moons. Which of the table's claims can be asked? Whether a direction is deterministic: by asking twice.

# %% tags=["slide:flow.vae-nf-table"]
plane, bits = pretrained.load("vae_plane_digits"), data.DynamicallyBinarized(mnist.test).fixed()

def vae_encode(x):
    return plane.encode(x).sample()

def vae_decode(z):
    return plane.decode(z).sample()

def nf_encode(x):
    return flow(x)[0]

def twice(f, v):
    return "the same twice: deterministic" if torch.equal(f(v), f(v)) else "differs: stochastic"

# %% tags=["slide:flow.vae-nf-table"]
seed(9)
with torch.no_grad():
    x, points = bits[:500], held_out[:500]
    kept = float((vae_decode(vae_encode(x)) == x).float().mean())
    lost = float((flow.f.inverse(nf_encode(points)) - points).abs().max())
    rows = [("", "VAE", "NF"), ("---", "---", "---"),
            ("objective", "`log_p(x, z) + log_p(z) - log_q(z, x)`, a bound",
             "`log_p(f(x)) + ladj`, exact (forward KL, MLE)"),
            ("encoder", f"`encode(x).sample()`: {twice(vae_encode, x)}", f"`z, ladj = flow(x)`: {twice(nf_encode, points)}"),
            ("decoder", f"`decode(z).sample()`: {twice(vae_decode, vae_encode(x))}",
             f"`flow.f.inverse(z)`: {twice(flow.f.inverse, points)}"),
            ("parameters", "φ and θ, two networks", "θ = φ, one network read both ways"),
            ("$\\mathbf g(\\mathbf f(\\mathbf x))$", f"{kept:.0%} of the pixels come back", f"x again, to {lost:.0e}")]
Markdown("\n".join("| " + " | ".join(row) + " |" for row in rows))

# %% [markdown]
# **One inside the other.** ELBO surgery (notebook 03) leaves the prior in one term only, $\mathrm{KL}(q_{\text{agg}}(\mathbf z)\Vert p(\mathbf z\mid\lambda))$, where $q_{\text{agg}}$ is the cloud of all codes; and a flow is a prior like any other, with `log_prob` and `sample`. The codes, the slide's $\mathbf z$, are what the
# flow calls `x`, so its change of variables stands in the middle of the bound:
#
# $$\mathcal L(\mathbf x)=\mathbb E_{q(\mathbf z\mid\mathbf x)}\big[\log p(\mathbf x\mid\mathbf z)+\underbrace{\log p(\mathbf f(\mathbf z))+\log\lvert\det\mathbf J_{\mathbf f}(\mathbf z)\rvert}_{\log p(\mathbf z\mid\lambda)}-\log q(\mathbf z\mid\mathbf x)\big].$$
#
# > **Errata.** The slide's first line still writes $KL(q(\mathbf z\mid\mathbf x)\Vert p(\mathbf z))$ with the plain prior. From the second line on the prior is $p(\mathbf z\mid\lambda)$, and so it should be in the first: $KL(q(\mathbf z\mid\mathbf x,\phi)\Vert p(\mathbf z\mid\lambda))$.
#
# Take the VAE as it is, neither encoder nor decoder is touched, and fit a flow to the codes of its training images. Each nat by which it describes the cloud better than $\mathcal N(0,I)$ is a nat of ELBO. *Look for* what no normal can have: the denser middle of the cloud and the arms that reach out of it.

# %% tags=["slide:flow.realnvp"]
seed(10)
with torch.no_grad():
    codes = plane.encode(data.DynamicallyBinarized(mnist.train).fixed()).sample(4).flatten(0, 1)         # q_agg, as samples
    held_codes = vae_encode(bits)
learned = flows.Flow(flows.couplings(2, count=6, width=64), 2)
fit(learned, codes, Recipe(budget(quick=300, full=3000), 256, 4e-3, decay=linear), report=progress("flow as a prior"))
bounds = []
for model in (plane, plane.with_prior(learned)):
    seed(11)                                                           # the same z for both
    with torch.no_grad():
        bounds.append(model.elbo(bits, 4))
    print(f"ELBO of {len(bits):,} held-out digits {float(bounds[-1].mean()):8.2f} nats, prior: "
          f"{'flow' if model is not plane else model.prior}")
gain = bounds[1] - bounds[0]
print(f"gained by the change of prior: {float(gain.mean()):.2f} ± {float(gain.std()) / len(gain)**0.5:.2f} nats an image")

# %% tags=["slide:flow.realnvp"]
axes = plots.panels(3, 2.6)
plots.points(held_codes, ax=axes[0], color=plots.BLUE, title="held-out codes")
plots.density_map(lambda z: plane.prior.log_prob(z.float()), ax=axes[1], title="prior: N(0, I)")
plots.density_map(lambda z: learned.log_prob(z.float()), ax=axes[2], title="prior: flow")
plots.shown(axes, "Codes of a VAE in the plane, a standard normal, and a flow that has learned where the codes lie")

# %% [markdown]
# The gain is real and small: in training the KL has already pulled every $q(\mathbf z\mid\mathbf x)$ towards $\mathcal N(0,I)$, so the cloud is not far from it. Notebook 03 measures how much there was to be won, and lets VAE and prior learn together.
#
# ## 7 · Infinitely many layers: the determinant becomes a trace
# *Lecture 14 (2024), slide "KFP theorem (continuity equation)"*
#
# Let a layer do very little, $\mathbf x\mapsto\mathbf x+dt\,\mathbf f(\mathbf x,t)$. (Mind the letter: here $\mathbf f$ is a velocity, and time runs from noise at 0 to data at 1.) Its determinant is
# $\det(\mathbf I+dt\,\mathbf J)=1+dt\,\mathrm{tr}\,\mathbf J+O(dt^2)$, so with thinner and thinner layers the sum of log-determinants becomes an integral:
#
# $$\frac{d\log p_t(\mathbf x(t))}{dt}=-\mathrm{tr}\Big(\frac{\partial\mathbf f(\mathbf x(t),t)}{\partial\mathbf x(t)}\Big).$$
#
# No layer has to be invertible by design any more: an ODE runs backwards as well as forwards. To check it one needs a field whose densities are known at *every* time. The exact field of a Gaussian path has them: all
# marginals are mixtures. (The path is the straight road $\mathbf x_t=t\,\mathbf x_1+(1-t)\,\mathbf x_0$ from noise $\mathbf x_0$ to data $\mathbf x_1$, and $\mathbf f$ the mean velocity of all roads through a place; notebook 08 takes it apart. The moons are broader here than above, 0.4 instead of 0.14:
# near $t=1$ the field of thin ones turns so sharply that few steps of a solver would not do.) Follow some particles from noise to moons, differentiate the exact log-density along their way, and hold it against minus the trace.
#
# The slide has the same law for a fixed place instead of a moving particle, the **continuity equation** $\partial_tp_t=-\operatorname{div}(\mathbf f\,p_t)$. The two are one: divide by $p_t$, and $\partial_t\log p_t=-\operatorname{tr}\frac{\partial\mathbf f}{\partial\mathbf x}-\mathbf f\cdot\nabla\log p_t$; whoever
# travels along with $\mathbf f$ sees $\mathbf f\cdot\nabla\log p_t$ in addition, and only the trace is left. The second line checks it, its left side by differentiating the mixture in $t$, its right side in $\mathbf x$:

# %% tags=["slide:flow.continuity"]
world = data.moons(std=0.4).to(torch.float64)
field = Conical().exact(world)
seed(7)
start = torch.randn(200, 2, dtype=torch.float64)
h, t = 1e-3, 0.6
x = ode.solve(field, start, torch.linspace(0, t, 61).double(), method=ode.rk4)[-1]
around = [ode.rk4(field, x, torch.tensor(t).double(), torch.tensor(d).double()) for d in (-h, h)]
along = (field.marginal(t + h).log_prob(around[1]) - field.marginal(t - h).log_prob(around[0])) / (2 * h)
verify("flow.continuity", along, -ode.divergence(field, x, torch.tensor(t).double()).detach(),
       what="d log p_t(x(t))/dt along the way = −tr ∂f/∂x", tolerance=1e-4)
change, outflow = oracles.continuity(field, x, t)
verify("flow.continuity", change, outflow, what="∂p_t/∂t = −div(f p_t) at fixed places", tolerance=1e-9)
continuous = flows.ContinuousFlow(field, 2, steps=30).double()
x = world.sample(200)
with torch.no_grad():
    verify("flow.continuity", continuous.log_prob(x), world.log_prob(x), tolerance=2e-3,
           what="log p₀(x(0)) − ∫ tr dt, solved back from the data, = exact log p₁(x)")

# %% [markdown]
# The exact trace costs one derivative for each dimension, $D$ of them at every step. Hutchinson's estimate $\boldsymbol\epsilon^\top\mathbf J\boldsymbol\epsilon$ with random signs $\boldsymbol\epsilon$ costs one, whatever $D$, and is right on average: $\mathbb E\,\boldsymbol\epsilon\boldsymbol\epsilon^\top=\mathbf I$. Both are checked, the mean on the field above, the price
# on networks of growing $D$.

# %% tags=["slide:flow.continuity"]
seed(8)
with torch.no_grad():
    by_trace, by_signs = (flows.ContinuousFlow(field, 2, steps=8, trace=trace).double() for trace in
                          (ode.divergence, ode.hutchinson))
    draws = by_signs.log_prob(x[:5].repeat(400, 1)).view(400, 5)       # four hundred repetitions at five points
    verify("flow.continuity", estimate(draws), by_trace.log_prob(x[:5]), what="log p by random signs = by the trace, on average")
print(f"one repetition is off by {float(draws.std(0).mean()):.2f} nats (a standard deviation)")

# %% tags=["slide:flow.continuity"]
sizes, costs, t = [2, 8, 32, 128], {"the trace: D derivatives": [], "Hutchinson: one derivative": []}, torch.tensor(0.5)
for D in sizes:
    net, place = nets.MLP(D, width=64, depth=2), torch.randn(64, D)
    for trace, spent in zip((ode.divergence, ode.hutchinson), costs.values()):
        spent.append(seconds(trace, net, place, t))
plots.curves({name: (sizes, spent) for name, spent in costs.items()}, log="xy", xlabel="dimensions D",
            ylabel="CPU seconds, 64 points",
            alt="The exact trace becomes dearer with the dimension, Hutchinson's estimate does not")

# %% [markdown]
# In the plane random signs are no gain, and they cost noise. For images they are the only way.
#
# ## 8 · Trained through the solver, and without it
# *The same slide: "Solving the continuity equation using the adjoint method is complicated and unstable process"*
#
# Such a flow can be trained by maximum likelihood: solve back from the data, add up the traces, differentiate the result through all steps of the solver. Every training step asks the field sixteen times here (four stages of the solver, four steps), with second derivatives.
# Flow matching (notebook 08) trains *the same kind of network for the same use* by regression, one question a step. So let both have about the same seconds, as many steps of flow matching as fit by what one has just been measured to take. Each has a rate that suits its number of steps (1e-2 for few, 5e-3 for many). Afterwards judge
# both in the same way: exact trace, on held-out points.

# %% tags=["slide:flow.cnf-cost"]
class Watched(flows.ContinuousFlow):
    """A continuous flow that counts how often its field is asked in training."""

    def loss(self, x):
        counted = ode.EvaluationCounter(self.field)
        value = -flows.ContinuousFlow(counted, 2, self.steps).log_prob(x).mean()
        self.asked = getattr(self, "asked", 0) + counted.calls
        return value

def nats_of(net):
    with torch.no_grad():
        return float(-flows.ContinuousFlow(net, 2, steps=20).log_prob(held_out[:1000]).mean())

def small_net():
    """The same for both."""
    return nets.MLP(2, width=48, depth=2)

# %% tags=["slide:flow.cnf-cost"]
def train(model, steps, lr):
    """CPU seconds of a training with these steps."""
    seed(0)
    start = process_time()
    fit(model, moons, Recipe(steps, 256, lr, decay=linear))
    return process_time() - start

rows = {"maximum likelihood": [], "flow matching": []}
for stop in budget(quick=[8, 24, 72], full=[30, 100, 300]):
    solved = Watched(small_net(), 2, steps=4)
    took = train(solved, stop, 1e-2)
    rows["maximum likelihood"].append((took, stop, solved.asked, nats_of(solved.field)))
    a_step = train(paths.flow_matching(small_net(), (2,)), 80, 5e-3) / 80          # measured anew each time
    matched, many = paths.flow_matching(small_net(), (2,)), int(took / a_step)     # as many as fit into that time
    rows["flow matching"].append((train(matched, many, 5e-3), many, many, nats_of(matched.net)))
print("                     CPU seconds    steps   evaluations   held-out nats")
for name, runs in rows.items():
    for took, stop, asked, nats in runs:
        print(f"{name:20} {took:11.1f} {stop:8} {asked:13,} {nats:15.3f}")

# %%
spans = [took for runs in rows.values() for took, *_ in runs]
plots.curves({**{name: ([run[0] for run in runs], [run[3] for run in runs]) for name, runs in rows.items()},
             "floor: entropy of the moons": ([min(spans), max(spans)], [entropy] * 2)},
            xlabel="CPU seconds of training", ylabel="held-out nats a point",
            alt="Held-out likelihood against seconds of training, through the solver and by flow matching")

# %% [markdown]
# Three ways to read the table. *Step for step*, maximum likelihood learns more: it aims at the very number that is judged, and each step through the solver is well informed. *Evaluation for evaluation* it has lost that lead: the second row of flow matching stands about where maximum likelihood ends, with about half of its evaluations.
# *Second for second* it is clearly behind: one of its steps asks the field sixteen times, differentiates each answer twice more for the trace, and then all of it for the gradient, while flow matching takes some twenty steps in that time. And this is the plane, where the exact trace costs two derivatives. In
# $D$ dimensions it costs $D$, and as training sharpens the field, four steps of a solver are soon too few. Neither has come near the entropy in these seconds.
#
# **And unstable?** The *adjoint* method saves memory by solving the ODE once more, backwards, to get the states it needs for the gradient. That is only as good as the backward solve. Below, its gradient is compared with the gradient through the very
# steps that were taken, for several step sizes, on the field that flow matching has just learned:

# %% tags=["slide:flow.cnf-cost"]
class Joint(torch.nn.Module):
    """(x, log p) along the flow, for torchdiffeq: the same slope as `ContinuousFlow.slope`."""

    def __init__(self, net):
        super().__init__()
        self.of = flows.ContinuousFlow(net, 2)

    def forward(self, t, state):
        return self.of.slope(state, t)

def gradient(solver, size):
    joint, x = Joint(matched.net), held_out[:200]
    state = torch.cat([x, torch.zeros(len(x), 1)], 1)
    end = solver(joint, state, torch.tensor([1.0, 0.0]), method="rk4", options={"step_size": size})[-1]
    loss = -(flows.StandardNormal(2).log_prob(end[:, :2]) + end[:, 2]).mean()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(matched.net.parameters()))])

# %% tags=["slide:flow.cnf-cost"]
counts, errors = [4, 8, 16, 32], []
for n in counts:
    through, adjoint = gradient(odeint, 1 / n), gradient(odeint_adjoint, 1 / n)
    errors.append(float((adjoint - through).norm() / through.norm()))
spent = [1000 * seconds(gradient, solver, 1 / 8, repeats=3) for solver in (odeint, odeint_adjoint)]
print(f"one gradient of 200 points, 8 steps: {spent[0]:.0f} ms through the solver, {spent[1]:.0f} ms by the adjoint method; "
      f"one whole step of flow matching, 256 points: {1000 * a_step:.1f} ms")
plots.curves({"adjoint": (counts, errors)}, xlabel="steps of the solver", log="xy",
            ylabel="adjoint against true, relative",
            alt="The adjoint's gradient differs from the gradient of what was computed, the more the coarser the solver")

# %% [markdown]
# The adjoint's gradient is that of no number which was computed: it differs by the error of the solver, and in training one wants few steps. With enough of them the difference vanishes, at the order of the method; on this small and smooth field the word
# *unstable* would be too strong. It is deserved where fields are stiff and the backward solve leaves the way it came. What the line above leaves no doubt about is *slow*, in either way; memory is what the adjoint saves, not time.
#
# ## 9 · What this shares with the other families
#
# * **Autoregressive models (01)**: one *layer* of an autoregressive flow *is* one, with a Gaussian for every factor $p(x_i\mid\mathbf x_{<i})=\mathcal N(m_i,e^{2a_i})$; and it is just as slow in one direction. (Stacked, the factors are Gaussians no more.)
# * **VAE (02, 03)**: the same latent variables with the noise gone (section 5); as a learned prior a flow closes the gap between $q_{\text{agg}}$ and $p(\mathbf z)$ (section 6).
# * **GAN (05)**: a generator $\mathbf g(\mathbf z)$ as well, but free in shape and without a density. The flow pays for its density with $\dim\mathbf z=\dim\mathbf x$.
# * **Diffusion (07), flow matching (08)**: continuous flows, trained without asking the solver; sections 7 and 8 are the reason why they were invented.
#
# | | samples | density | evaluations for a sample | latent |
# |---|---|---|---|---|
# | coupling flow | yes | exact (for pixels: a bound, through dequantisation) | one pass a layer | as many numbers as the data |
# | autoregressive flow | yes | exact | one pass a dimension and layer | the same |
# | continuous flow | yes | exact up to the solver, with a trace | one a solver stage | the same |
#
# ## Homework
#
# Seven exercises, nine points. $\mathbf f$ goes towards the noise and `ladj` is its log-determinant, one number a sample. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the
# reference takes your place so that everything below still runs.
#
# **Exercise 6.1 · a coupling layer (1 point).** `mask` is 1 where a coordinate is kept and 0 where it is changed. The two networks `log_scale` and `shift` take whole points of D coordinates, and may see only what is kept (the rest as zeros). Scale first, then shift. Return `z` and `ladj`.

# %% exercise="flow.coupling_forward"
def coupling_forward(x, mask, log_scale, shift):
    """One layer towards the noise.     x (B, D), mask (D,), networks (B, D) -> (B, D)  ->  z (B, D), ladj (B,)"""
    ### BEGIN SOLUTION
    kept = mask * x
    s, t = log_scale(kept), shift(kept)
    return kept + (1 - mask) * (x * s.exp() + t), ((1 - mask) * s).sum(1)
    ### END SOLUTION

# %% check="flow.coupling_forward" points=1
coupling_forward = check("flow.coupling_forward", coupling_forward)

# %% [markdown]
# **Exercise 6.2 · the same layer backwards (1 point).** Given `z`, find the `x` that 6.1 turns into it.

# %% exercise="flow.coupling_inverse"
def coupling_inverse(z, mask, log_scale, shift):
    """The way back.     z (B, D), mask (D,), networks (B, D) -> (B, D)  ->  x (B, D)"""
    ### BEGIN SOLUTION
    kept = mask * z
    s, t = log_scale(kept), shift(kept)
    return kept + (1 - mask) * (z - t) * (-s).exp()
    ### END SOLUTION

# %% check="flow.coupling_inverse" points=1
coupling_inverse = check("flow.coupling_inverse", coupling_inverse)

# %% [markdown]
# **Exercise 6.3 · the change of variables (1 point).** $\log p(\mathbf x)$ of every sample, from $\mathbf z=\mathbf f(\mathbf x)$, `ladj` and a standard normal for $\mathbf z$, constants included.

# %% exercise="flow.log_density"
def log_density(z, ladj):
    """log p(x) in nats.     z (B, D), ladj (B,)  ->  (B,)"""
    ### BEGIN SOLUTION
    return -(z**2).sum(1) / 2 - z.shape[1] * math.log(2 * math.pi) / 2 + ladj
    ### END SOLUTION

# %% check="flow.log_density" points=1
log_density = check("flow.log_density", log_density)

# %% [markdown]
# **Exercise 6.4 · from pixels to logits (2 points).** A pixel `k` in 0 … levels − 1 and its noise `u` become $s=\text{margin}+(1-2\,\text{margin})\,(k+u)/\text{levels}$, and $z=\log s-\log(1-s)$. Return `z`, and for each image the sum of $\log\lvert dz/d(k+u)\rvert$ over its pixels.

# %% exercise="flow.pixels_to_logits"
def pixels_to_logits(k, u, levels, margin):
    """Dequantise, then the logit.     k, u (B, D), levels and margin numbers  ->  z (B, D), ladj (B,)"""
    ### BEGIN SOLUTION
    s = margin + (1 - 2 * margin) * (k + u) / levels
    slopes = math.log((1 - 2 * margin) / levels) - s.log() - (1 - s).log()
    return s.log() - (1 - s).log(), slopes.sum(1)
    ### END SOLUTION

# %% check="flow.pixels_to_logits" points=2
pixels_to_logits = check("flow.pixels_to_logits", pixels_to_logits)

# %% [markdown]
# **Exercise 6.5 · the sequential way back (2 points).** `conditions(x)` gives $m$ and $a$ of all places at once, (B, D) each, where those of place $i$ depend on $x_1,\dots,x_{i-1}$ only. Find the $\mathbf x$ with $z_i=(x_i-m_i)\,e^{-a_i}$.

# %% exercise="flow.autoregressive_inverse"
def autoregressive_inverse(z, conditions):
    """From the noise to the data, place by place.     z (B, D), conditions: (B, D) -> two of (B, D)  ->  x (B, D)"""
    ### BEGIN SOLUTION
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        m, a = conditions(x)
        x[:, i] = z[:, i] * a[:, i].exp() + m[:, i]
    return x
    ### END SOLUTION

# %% check="flow.autoregressive_inverse" points=2
autoregressive_inverse = check("flow.autoregressive_inverse", autoregressive_inverse)

# %% [markdown]
# **Exercise 6.6 · the determinant of a planar layer (1 point).** $\log\lvert\det\partial\mathbf z/\partial\mathbf x\rvert$ of $\mathbf z=\mathbf x+\mathbf u\tanh(\mathbf w^\top\mathbf x+b)$ at every point, without building a matrix. (u and w are free here: the determinant may be negative.)

# %% exercise="flow.planar_log_det"
def planar_log_det(x, w, u, b):
    """log |det|.     x (B, D), w, u (D,), b a number  ->  (B,)"""
    ### BEGIN SOLUTION
    slope = 1 - torch.tanh(x @ w + b) ** 2
    return (1 + slope * (u @ w)).abs().log()
    ### END SOLUTION

# %% check="flow.planar_log_det" points=1
planar_log_det = check("flow.planar_log_det", planar_log_det)

# %% [markdown]
# **Exercise 6.7 · a trace by random probes (1 point).** The mean over the given probes of $\boldsymbol\epsilon^\top\frac{\partial\mathbf f}{\partial\mathbf x}\boldsymbol\epsilon$ at every point, by `torch.autograd.grad` (or `torch.func`). Leave the `x` that came in as it is; gradients are taken with respect to a tensor of your own.

# %% exercise="flow.hutchinson_trace"
def hutchinson_trace(field, x, probes):
    """An estimate of tr ∂f/∂x.     field: (B, D) -> (B, D), x (B, D), probes (K, B, D)  ->  (B,)"""
    ### BEGIN SOLUTION
    x, total = x.detach().clone().requires_grad_(), 0
    for probe in probes:
        product, = torch.autograd.grad((field(x) * probe).sum(), x)
        total = total + (product * probe).sum(1)
    return total / len(probes)
    ### END SOLUTION

# %% check="flow.hutchinson_trace" points=1
hutchinson_trace = check("flow.hutchinson_trace", hutchinson_trace)

# %% [markdown]
# **Now put your pieces together.** Your couplings, forwards and with your density, are trained on the two moons; your couplings, backwards, draw the samples. (Where a piece is still missing the reference stands in.)

# %%
seed(20)
pair = data.moons()
masks = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])] * 3
scales, shifts = ([flows.mlp(2, 2, 64) for _ in masks] for _ in range(2))
weights = [p for net in [*scales, *shifts] for p in net.parameters()]
optimizer, steps = torch.optim.AdamW(weights, lr=4e-3), budget(quick=450, full=3000)

def bounded(net):
    """A stretching that cannot explode."""
    return lambda v: 3 * torch.tanh(net(v) / 3)

def yours(x):
    ladj = torch.zeros(len(x))
    for mask, scale, shift in zip(masks, scales, shifts):
        x, change = coupling_forward(x, mask, bounded(scale), shift)
        ladj = ladj + change
    return log_density(x, ladj)

# %%
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
    optimizer.zero_grad()
    (-yours(pair.sample(256)).mean()).backward()
    optimizer.step()

# %%
with torch.no_grad():
    z = torch.randn(2000, 2)
    for mask, scale, shift in reversed(list(zip(masks, scales, shifts))):
        z = coupling_inverse(z, mask, bounded(scale), shift)
    test = pair.sample(5000)
    print(f"held out: {float(-yours(test).mean()):.2f} nats, entropy {float(-pair.log_prob(test).mean()):.2f}")
axes = plots.panels(3, 2.6)
plots.points(pair.sample(2000), ax=axes[0], title="data")
plots.density_map(lambda x: yours(x.float()), ax=axes[1], top=peak, title="your density")
plots.points(z, ax=axes[2], color=plots.BLUE, title="your samples")
plots.shown(axes, "Data of two moons, and the reader's own flow: its density and its samples, a thread between the moons")

# %% [markdown]
# **Written (think, then unfold).** *Look for the thread between the two moons. Could any flow from one Gaussian be without it?*
# <details><summary>Answer</summary>If the moons were truly apart (density zero between), no: a continuous map keeps the plane in one piece. Ours are blurred, a sum of Gaussians that is nowhere zero, so an exact map exists (Knothe and Rosenblatt: one coordinate after the other, each by its quantiles).
# But it stretches one place enormously, and layers whose stretching is bounded (here |s| ≤ 3) leave a thread. A steeper map has a thinner one and an inverse that loses more digits. Remedies: a base with several pieces, or noise inside the layers (and then it is a VAE again).</details>
#
# *Why is −log p of a flow on 8-bit images reported in bits a dimension, and why is 1.06 for RealNVP comparable with a PixelCNN's number, while 1,280 nats "in logit space" is not?*
# <details><summary>Answer</summary>With uniform noise over whole bins the flow's number is a bound on the probability of the discrete image, and that is what a PixelCNN reports. Nats in logit space are the density of another variable: the slope of the
# logit and the width of the bins are missing.</details>
#
# ## References
#
# * Dinh, Krueger, Bengio: *NICE*, 2014; Dinh, Sohl-Dickstein, Bengio: *Density Estimation using Real NVP*, 2017. Couplings, checkerboards, two scales.
# * Rezende, Mohamed: *Variational Inference with Normalizing Flows*, 2015. Planar layers.
# * Papamakarios, Pavlakou, Murray: *Masked Autoregressive Flow*, 2017; Kingma et al.: *Inverse Autoregressive Flow*, 2016. The two slow directions.
# * Kingma, Dhariwal: *Glow*, 2018. ActNorm. Nielsen et al.: *SurVAE Flows*, 2020. Between VAE and flow.
# * Theis, van den Oord, Bethge: *A Note on the Evaluation of Generative Models*, 2016. Why uniform dequantisation is a bound.
# * Chen et al.: *Neural Ordinary Differential Equations*, 2018; Grathwohl et al.: *FFJORD*, 2019. The trace, and its estimate; a table of bits on MNIST.
# * Durkan et al.: *Neural Spline Flows*, 2019. Curves in place of the affine map.
# * Lipman et al.: *Flow Matching for Generative Modeling*, 2023. Without the solver.
