# %% [markdown]
# # 00 · Introduction: what a generative model is for
#
# *Introduction lecture (2025), from "Which face is real?" to "Taxonomy"*
#
# **The promise.** In the next half hour you fit a distribution to data in thirty lines and train seven families of models on one and the same data set and watch them draw: a forger against a judge, space bent like dough, noise combed into
# shape. At the end you know what each of them can do that the others cannot, and where in this course it is taken apart.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute on two CPU cores, no network needed |
# | **you need** | probability densities, the logarithm, a first neural network in PyTorch; a small test stands at the end |
# | **how to read** | click into a cell and press *Shift-Enter* to run it (*Run, Run All Cells* runs everything); look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Names that mean the same in all notebooks**
#
# | here | meaning | where slides differ |
# |---|---|---|
# | `x1`, `x0` | data, and the noise that some models start from | diffusion slides write $\mathbf x_0$ for data |
# | `t` | time, 0 is noise and 1 is data | diffusion slides run the other way |
# | `z`, `y` | a latent code; a label | |
# | B, D, K | the sizes of a batch, of a sample, and of a set of choices (classes, components, symbols) | |
# | `log_prob(x)` | one number a sample, summed over its coordinates, in *nats* (natural logarithm) | $\log p(\mathbf x)$; the slides' $\pi$ or $p_{\text{data}}$ is the truth |

# %%
import math
import torch
from dgm_course import autoregressive, data, flows, gan, nets, paths, pretrained, vae
from dgm_course.core import distributions, metrics
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import ancestral, ddim
from dgm_course.teach import check, estimate, play, plots, progress, rehearsal, reveal, verify
from dgm_course.teach.plots import intro as intro_plots
from dgm_course.core.tensors import budget, seed

# %% [markdown]
# ## 1 · Which digit is real?
# *Slides "Which face is real?" and "Evolution of Generative Models"*
#
# The lecture opens with three faces. Here are ten handwritten digits. Some may have been written by a person, some by a machine.
#
# **Predict.** Which ones are from a human hand?
# <details><summary>Answer</summary>None of them. All ten were drawn a moment ago by a network of this course that begins with random grey and follows arrows (flow matching, notebook 08). It was told which digit to draw, and nothing was picked out by us: these are its first ten.</details>

# %%
seed(0)
dreamer = pretrained.load("flow_matching_digits").with_label(torch.arange(10), pretrained.GUIDANCE)
plots.images(dreamer.sample(10, steps=25), columns=10, alt="Ten handwritten digits from 0 to 9")

# %% [markdown]
# How did one get there? The lecture walks through the years: the first scalable model (VAE), DCGAN (the slides call it the first convolutional GAN), StyleGAN's faces, diffusion, and flow matching, the engine of many of today's large image models. Each of these ideas is small enough to be trained
# on digits, so here they are on *one* data set, MNIST: **sixteen digits each, from this course's own small model of that family**, none picked out.
#
# *Look for* blur on the left (we show the VAE's chance of ink, an average over what the code does not fix) and sharp strokes from the GANs; on the right the digits come in order, because these two were told which to draw.

# %% tags=["slide:intro.timeline"]
seed(1)
history = [("VAE", 2013, "Kingma, Welling", "vae_digits"), ("DCGAN", 2015, "Radford, Metz, Chintala", "dcgan_digits"),
           ("StyleGAN", 2018, "Karras, Laine, Aila", "style_digits"), ("DDPM", 2020, "Ho, Jain, Abbeel", "ddpm_digits"),
           ("flow matching", 2022, "Lipman and others", "flow_matching_digits")]

def sixteen(name):
    """Digits of a shipped model; of the VAE, which draws black and white pixels, the chance of ink."""
    model = pretrained.load(name)
    with torch.no_grad():
        if name == "vae_digits":
            return 2 * model.decode(model.latents(16)).mean - 1
        if hasattr(model, "path"):                                     # the two that know classes are told which digit
            return model.with_label(torch.arange(16) % 10, pretrained.GUIDANCE).sample(16, steps=25, method=ddim)
        return model.sample(16)

intro_plots.timeline([intro_plots.Milestone(name, year, who, sixteen(file)) for name, year, who, file in history],
                    alt="Sixteen digits of a VAE, a DCGAN, a StyleGAN, a DDPM and a flow matching model over the years 2013 to 2022")

# %% [markdown]
# Years are those in which the papers appeared. Our models are tiny (none has more than a million weights, they differ in size and training, and the two on the right know classes and were told which digit to write), so this is no ranking; it shows that every idea of the lecture is at work here. Notebooks 02, 05, 07 and 08 train them before your eyes.
#
# ## 2 · How to use these notebooks
#
# Four things come back in all of them. Try each once here.
#
# ### Something to move
#
# Here are 200 numbers, and a bell curve of width $\sigma$ around their mean. How well does the bell describe them? The usual answer is one figure: the **mean log-likelihood** $\frac1n\sum_i\log p_\sigma(x_i)$. The larger, the better.
#
# **Predict before you drag.** A very wide bell explains nothing well, that is clear. But what is wrong with a very narrow one? And which width is the best?
# <details><summary>Answer</summary>A narrow bell is high in the middle, and almost zero where many of the points are: one badly surprised logarithm costs more than many happy ones gain. The best width is the standard deviation of the data, here 1.2. You will see it as the peak of the green
# curve, and can prove it by setting a derivative to zero.</details>

# %%
seed(2)
numbers = torch.randn(200)
numbers = 1.2 * (numbers - numbers.mean()) / numbers.std(correction=0)     # standard deviation 1.2, exactly
widths = torch.linspace(0.4, 2.0, 161)

def bell(sigma):
    """200 numbers with a bell curve over them, and the mean log-likelihood of all widths with this one marked."""
    log_likelihood = lambda s: torch.distributions.Normal(numbers.mean(), s).log_prob(numbers[:, None]).mean(0)
    return intro_plots.bell(numbers, sigma, widths, log_likelihood(widths), float(log_likelihood(torch.tensor([sigma]))))

play(bell, sigma=(0.4, 2.0, 0.1, 0.4))

# %% [markdown]
# Without a running kernel you see a few positions of the slider at once; with one, it moves.
#
# ### Something to predict
#
# You just did. Every *Predict* can be answered before the slider moves or the cell runs. Say your answer aloud or write it down, *then* unfold: being wrong first is what makes it stay.
#
# ### Something to write, solved together
#
# An exercise is a function with one formula missing, and a cell below that checks it. Here is one to rehearse with. *Surprise*: something of probability $q$ should surprise us by $-\log_2 q$ **bits**, one bit for a coin's head, two for two heads in a row. As
# you meet it, the function is empty, and its card says *not yet*:

# %%
def surprise(q):
    """How surprising is something of probability q, in bits?     (B,)  ->  (B,)"""
    raise NotImplementedError("your turn")

rehearsal.rehearse(surprise)

# %% [markdown]
# A first try. It looks right, rare things do surprise more, and yet the card turns red. Read it: in which cases, what came, what was expected, and a **hint** that says what happened to the value (a second one, with the formula, is folded).

# %%
def surprise(q):
    return -torch.log(q)

rehearsal.rehearse(surprise)

# %% [markdown]
# So that is why: the natural logarithm counts in *nats*. (Most of this course does, too: 1 nat is about 1.44 bits.) Mended:

# %%
def surprise(q):
    return -torch.log(q) / math.log(2)

rehearsal.rehearse(surprise)

# %% [markdown]
# Green. Note that *your* form counts, not ours: a loop, another formula, another dtype, all pass as long as the values are right, on fresh random inputs of many sizes. In the real exercises (section 8) the line is
# `posterior = check("intro.posterior", posterior)`. It shows the same card, counts your progress, and gives back your function where it passes **and the course's own where it does not yet**. So a missing answer never stops a notebook: everything below still runs.
# Work on a copy (*File, Duplicate*) if you want to keep the original.
#
# ### Something to believe
#
# Lines that begin with ✓ compare two sides of an equation which were computed in different ways, and raise an error where they differ. And how long things train is asked of `budget(quick=..., full=...)`: seconds on a laptop, longer on a GPU.
# Setting the variable `DGM_BUDGET` to `full` or `quick` before the start decides otherwise.

# %%
print("on this machine a quick 600 or a full 6000 means", budget(quick=600, full=6000), "steps")
half = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(1.0)) - 0.5
verify("how to read", estimate((torch.randn(100_000, generator=seed(3)).abs() < 1).double()), 2 * float(half),
       what="share of a bell curve within one σ, counted = computed")

# %% [markdown]
# ## 3 · The whole idea in thirty lines
# *Slide "Generative Modeling"*
#
# Given: points $\mathbf x_1,\dots,\mathbf x_N$ from a distribution $p_{\text{data}}$ that nobody knows. Wanted: a distribution $p_\theta$ like it. Three decisions make a generative model: **what $p_\theta$ can be, how close it is, and how to get closer**.
#
# Here: a sum of twelve bell curves in the plane, whose places, widths and weights are the parameters $\theta$. Close means that the data are likely: maximise $\frac1N\sum_i\log p_\theta(\mathbf x_i)$ (our $\mathbf x_i$ are drawn afresh at each step). Closer by gradient. Twelve clouds, drawn
# at random, have to become two moons.

# %% tags=["slide:intro.goals"]
seed(4); torch.set_num_threads(1)                                      # tiny tensors are fastest on one core
moons = data.moons()
logits, places, log_std = torch.zeros(12), torch.randn(12, 2), torch.zeros(12, 2)
theta = [part.requires_grad_() for part in (logits, places, log_std)]

def bare_log_prob(x):
    away = (x[:, None] - places) / log_std.exp()                          # (B, 12, 2): how many widths away from each cloud
    clouds = (-0.5 * away**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(2)              # log-density of each cloud
    return (clouds + logits.log_softmax(0)).logsumexp(1)               # their weighted sum

def bare_sample(n):
    k = torch.multinomial(logits.softmax(0), n, replacement=True)      # first a cloud,
    return places[k] + log_std[k].exp() * torch.randn(n, 2)            # then a point of it

optimizer, moments, steps = torch.optim.AdamW(theta, lr=0.03), {}, budget(quick=400, full=2000)
for step in range(steps):
    if step in (0, steps // 20, steps // 5):
        moments[step] = [part.detach().clone() for part in theta]
    optimizer.zero_grad(); (-bare_log_prob(moons.sample(256)).mean()).backward(); optimizer.step()
moments[steps] = [part.detach().clone() for part in theta]

# %% [markdown]
# That is all: a density (`bare_log_prob`), a sampler (`bare_sample`), a loss. *Look for* clouds that spread out along the moons; in the last panel are fresh samples.

# %% tags=["slide:intro.goals"]
axes = plots.panels(5, 2.0, height=2.35)
for ax, (step, (w, m, s)) in zip(axes, moments.items()):
    then = vae.MixturePrior(12, 2)
    for own, value in zip((then.logits, then.means, then.log_stds), (w, m, s)):
        own.data = value
    plots.density_map(then.mixture.log_prob, ax=ax, title=f"after {step} steps")
plots.points(bare_sample(1000).detach(), ax=axes[4], color=plots.BLUE, title="samples of it")
plots.shown(axes, "A density of twelve clouds at four moments of its training, and samples of the last")

# %% [markdown]
# The library says the same in a class, equal in value:

# %% tags=["slide:intro.goals"]
x = moons.sample(500)
verify("intro.goals", then.log_prob(x), bare_log_prob(x), what="library log p = the bare lines", tolerance=1e-5)
reveal(vae.MixturePrior.log_prob)

# %% [markdown]
# **How wrong is it?** The moons are a toy that knows its own density, so we can say. Average $\log p_{\text{data}}(\mathbf x)-\log p_\theta(\mathbf x)$ over data: that is the **Kullback-Leibler divergence**
#
# $$\mathrm{KL}(p_{\text{data}}\Vert p_\theta)=\mathbb E_{p_{\text{data}}}\log\frac{p_{\text{data}}(\mathbf x)}{p_\theta(\mathbf x)}=\underbrace{-\mathbb E\log p_\theta(\mathbf x)}_{\text{the loss}}-\underbrace{H(p_{\text{data}})}_{\text{a constant, the entropy}}\ \ge 0.$$
#
# So **minimising the expected loss is minimising the KL**, though nobody knows the constant. (Our toy gives fresh points at every step. With N fixed points the loss can be pressed below the entropy, and that is overfitting.) Left, an average over samples; right, a sum over a fine grid of the plane:

# %% tags=["slide:intro.goals"]
x = moons.sample(20_000)
kl = metrics.kl_on_grid(moons.log_prob, then.mixture.log_prob)
verify("intro.goals", estimate(moons.log_prob(x) - then.mixture.log_prob(x)), kl, what="mean of log p_data − log p over data = KL on a grid")
entropy = -float(moons.log_prob(x).mean())
print(f"loss {-float(then.mixture.log_prob(x).mean()):.3f} nats = entropy {entropy:.3f} + KL {kl:.3f}, up to the chance in 20,000 points; on average over data no model lies below the entropy")

# %% [markdown]
# Why does the course not end here? Because a digit has 784 coordinates. With enough clouds a mixture comes near any density, but the number that is needed explodes with the coordinates, and the few that we can afford draw blurred averages. Every family below is another answer to *what can $p_\theta$ be*, and mostly it costs something: the density, the speed, or the peace of training.
#
# ## 4 · Discriminative and generative: the same points, two questions
# *Slides "Discriminative vs Generative Models"*
#
# Give the upper moon the label $y=0$ and the lower $y=1$. A **discriminative** model learns $p(y\mid\mathbf x)$: where is the border? A **generative** one learns $p(\mathbf x,y)=p(y)\,p(\mathbf x\mid y)$: what do the points of each class look like? The second contains the
# first, by Bayes' rule:
#
# $$p(y\mid\mathbf x)=\frac{p(\mathbf x\mid y)\,p(y)}{\sum_{y'}p(\mathbf x\mid y')\,p(y')}.$$
#
# For the discriminative side a small network with a cross-entropy loss; for the generative side five clouds for each class, trained as above. 200 points of each class for both.

# %% tags=["slide:intro.gen-vs-disc"]
seed(5)
truth = [distributions.Mixture(torch.ones(32), part, 0.14) for part in moons.means.split(32)]      # p(x | y = 0), p(x | y = 1)
x, y = torch.cat([half.sample(200) for half in truth]), torch.arange(2).repeat_interleave(200)
net = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.SiLU(), torch.nn.Linear(32, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1))
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
for step in range(budget(quick=300, full=1000)):
    optimizer.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y.float()).backward()
    optimizer.step()

generative = [vae.MixturePrior(5, 2) for _ in range(2)]
for label in range(2):
    fit(generative[label], x[y == label], Recipe(budget(quick=250, full=1000), 200, 0.05, decay=linear), report=progress(f"class {label}"))
by_network = lambda p: net(p)[:, 0].sigmoid()
by_bayes = lambda p: torch.stack([model.log_prob(p) for model in generative], 1).softmax(1)[:, 1]      # p(y) = ½ for both
log_p = lambda p: torch.stack([g.log_prob(p.float()) for g in generative], 1).logsumexp(1).detach() - math.log(2)

# %% [markdown]
# Blue is $y=0$, amber $y=1$, paler where undecided; right, 100 new points, some off the moons, for 200 points and five clouds are little. *Look for* two things. Both borders (black) separate the points, and far from all points they go their own ways. And the star in the corner, where there never was a point: what does each say about it?

# %% tags=["slide:intro.gen-vs-disc"]
star = torch.tensor([[3.2, -3.2]])
axes = plots.panels(3, 2.6, height=3.0)
intro_plots.boundary(by_network, x, y, ax=axes[0], marks=star, title="discriminative: $p(y=1\\,|\\,x)$")
intro_plots.boundary(by_bayes, x, y, ax=axes[1], marks=star, title="by Bayes: $p(y=1\\,|\\,x)$")
with torch.no_grad():
    new = [g.sample(200) for g in generative]
intro_plots.two_classes(torch.cat(new)[::4], y[::4], ax=axes[2], log_prob=log_p, marks=star, title="generative: density, new points")
plots.shown(axes, "The border of a discriminative network; the border of a generative model by Bayes' rule; its density with new points")

# %% tags=["slide:intro.gen-vs-disc"]
fresh, labels = torch.cat([half.sample(2000) for half in truth]), torch.arange(2).repeat_interleave(2000)
for name, classifier in {"discriminative": by_network, "generative": by_bayes}.items():
    right = ((classifier(fresh) > 0.5) == (labels == 1)).float().mean()
    print(f"{name:15} right on {float(right):.1%} of new points; p(y = 1) at the star: {float(classifier(star).detach()):.4f}")
print(f"generative: log p(x) at the star {float(log_p(star)):.0f}; 99 % of new points have more than {float(log_p(fresh).quantile(0.01)):.1f}")

# %% [markdown]
# Both classify. But the discriminative model *had to* choose at the star, for "neither" is not among its answers, and far from its border it is sure. So is the conditional of the generative model: far out, the class whose cloud is widest in that direction wins, and that means nothing. **But** it has a $p(\mathbf x)$ as well, and here that is far below what 99 % of new points get: a warning that the conditional cannot give. (On pictures a low or high density is a weaker sign.)
#
# Bayes' rule is a theorem; is *our code* of it right? Here is a test that uses no formula for it. If $p(y=1\mid\mathbf x)$ is right, then $y-p(y=1\mid\mathbf x)$ averages to zero against *everything* that depends on $\mathbf x$ alone. We take moons so wide (0.9) that they overlap, for at 0.14 nearly every probability is 0 or 1 and the test would be empty; their exact densities; 50,000 points of each class; and five such functions. (Errors are printed relative to 0.1, a size that would matter.)

# %% tags=["slide:intro.gen-vs-disc"]
wide = [distributions.Mixture(torch.ones(32), part, 0.9) for part in moons.means.split(32)]        # moons so wide that they overlap
seed(6)
pairs = torch.cat([half.sample(50_000) for half in wide])
which = torch.arange(2).repeat_interleave(50_000).double()
bayes = torch.stack([half.log_prob(pairs) for half in wide], 1).softmax(1)[:, 1].double()
about = torch.stack([torch.ones(100_000), *pairs.T, pairs.prod(1), (pairs[:, 0] > 1).float()], 1).double()
order = torch.randperm(100_000)
verify("intro.gen-vs-disc", estimate(((which - bayes)[:, None] * about)[order]), torch.zeros(5), scale=0.1,
       what="E[(y − p(y = 1|x)) f(x)] = 0 for five functions f")

# %% [markdown]
# A last thing that only the generative side can do: answer with **half of the input missing**. Suppose only the horizontal coordinate $h$ of a point is known, not the vertical $v$. The joint density gives $p(v\mid h)$, what the rest may be, and $p(y\mid h)$. *In the right picture* the blue area is $p(y=0\mid h)$, the amber one $p(y=1\mid h)$.
#
# **Predict before you drag.** At the far left and at the far right the class is certain. Why? And how many humps has $p(v\mid h)$ in the middle?
# <details><summary>Answer</summary>The upper moon reaches further to the left, the lower one further to the right; beyond the other's end only one class is left. In the middle a vertical line crosses each moon once: two main humps, one of each class (small extra ones are the seams of our five clouds). At 0, by symmetry, p(y | h) is one half; towards the end of a moon that moon gets the larger share, because many of its points stand above one another there.</details>

# %% tags=["slide:intro.gen-vs-disc"]
def half_known(h):
    """What the model says about the second coordinate, by class, where only the first is known."""
    line = torch.linspace(-3.5, 3.5, 281)
    across = torch.stack([torch.full_like(line, h), line], 1)
    with torch.no_grad():
        joint = torch.stack([0.5 * g.log_prob(across).exp() for g in generative])        # p(h, v, y), (2, 281)
    return intro_plots.half_known(h, line, joint, x, y)

play(half_known, h=(-2.8, 2.8, 0.1, -2.8))

# %% [markdown]
# Why then does anyone train a discriminative model? Because it is the smaller task. If the border is all you want, no effort is spent on what lies behind it, and with pictures that is nearly everything.
#
# ## 5 · Three goals
# *Slide "Generative Modeling", Goals*
#
# 1. **Produce** new samples from $p_{\text{data}}$. 2. **Represent** data: a meaningful code. 3. **Estimate the density** at a point.
#
# Hardly any model is good at all three. On the same moons: a *normalizing flow* (notebook 06) for samples and density, and a *variational autoencoder* (02) whose code is one single number.

# %% tags=["slide:intro.goals"]
models, recipe = {}, Recipe(budget(quick=350, full=3000), 256, 4e-3, decay=linear)
seed(7)
models["flow"] = flows.Flow(flows.couplings(2, count=6, width=64), 2)
fit(models["flow"], moons, recipe, report=progress("flow"))
net = nets.DenseNet
models["VAE"] = vae.VAE(vae.GaussianHead(net(2, (2, 1), 64, 2), 1), vae.FixedGaussianHead(net(1, (2,), 64, 2), 2, 0.2), vae.StandardNormal(1))
fit(models["VAE"], moons, Recipe(budget(quick=500, full=3000), 256, 5e-3, decay=linear), report=progress("VAE"))
print(models["VAE"])

# %% [markdown]
# *Look for*: in the middle, a colour is a number. Nobody said what the number should mean; neighbours along a moon have found similar ones, and the vermilion line, what the decoder makes of all numbers from −2.5 to 2.5, follows the outer part of each moon and then cuts across, missing both inner arms.
# A continuous decoder of a connected code must cross somewhere, with two numbers too: see the flow's bridge left and right. With one number only, the crossing costs a visible part of the data.

# %% tags=["slide:intro.goals"]
seed(8)
held, flow = moons.sample(1000), models["flow"]
with torch.no_grad():
    code = models["VAE"].encode(held).mean[:, 0]
    curve = models["VAE"].decode(torch.linspace(-2.5, 2.5, 400)[:, None]).mean
    back = models["VAE"].decode(code[:, None]).mean
axes = plots.panels(3, 2.7, height=3.0)
plots.points(flow.sample(1000), ax=axes[0], color=plots.BLUE, title="1. produce (flow)")
intro_plots.codes(held, code, ax=axes[1], curve=curve, title="2. represent (VAE)")
plots.density_map(lambda p: flow.log_prob(p.float()), ax=axes[2], title="3. estimate the density (flow)")
plots.shown(axes, "Samples of a flow; points coloured by their code with the decoder's curve; the density of the flow")

# %% [markdown]
# Three figures for the three goals. The *energy distance* is twice the mean distance between a sample and a data point, less the mean distances within the samples and within the data: 0 only for equal distributions. Our estimate has no bias, so by chance it can fall below 0.

# %% tags=["slide:intro.goals"]
reference, floor = moons.stratified(1000), metrics.floor(moons, metrics.energy_distance, 1000, repeats=6)
loss = float(flow.log_prob(held).detach().mean().neg())
print(f"1. energy distance between samples and data {metrics.energy_distance(flow.sample(1000), reference):.4f} (two samples of the truth: {floor.mean:.4f} ± {floor.sd:.4f})")
print(f"2. squared error of a point rebuilt from its one number {float((held - back).square().sum(1).mean()):.2f} (from none: {float(held.var(0).sum()):.2f})")
print(f"3. mean −log p of held-out points {loss:.3f} nats (the truth: {-float(moons.log_prob(held).mean()):.3f})")
mass = metrics.Grid(-8, 8, 400).log_masses(lambda p: flow.log_prob(p.float()), "the flow").exp().sum()
verify("intro.goals", mass, 1.0, what="∫ p(x) dx over the plane, for the flow", tolerance=1e-2)

# %% [markdown]
# ## 6 · The map
# *Slides "Taxonomy"*
#
# The lecture sorts models by one question: **what can be asked of $p_\theta(\mathbf x)$?** Its value, exactly; its value, nearly (a bound); or only samples. Every leaf is a notebook: click it, or reach it with the Tab key.

# %% tags=["slide:intro.taxonomy"]
intro_plots.taxonomy()

# %% [markdown]
# A tree is a simplification, and this one has two branches that touch: diffusion comes with a bound, and both, by integrating along their path, with the density of the learned flow, exact up to the steps of the integration. Notebook 11 asks what all of them share.
#
# ## 7 · One data set through every family
#
# Now all at once, on the moons, each by the library's own class and a few seconds of training:
#
# * **autoregressive** and **absorbing** models speak in symbols: each coordinate is cut into 32 steps, a point is a word of two symbols;
# * the **GAN** has a generator and a judge who take turns; the **flow** and the **VAE** are there already;
# * **diffusion** learns to guess the noise in a noisy point, **flow matching** the arrow towards the data.

# %%
SIDE, CELLS = 8.0, 32
words = lambda x: ((x / SIDE + 0.5) * CELLS).long().clamp(0, CELLS - 1)
place = lambda k, u: ((k + u) / CELLS - 0.5) * SIDE                     # symbols, and a place u in [0, 1) within the step
spell = lambda n: words(moons.sample(n))
seed(9)
models["autoregressive"] = autoregressive.MADE(CELLS, (2,), width=128)
models["absorbing"] = paths.absorbing(nets.TokenMLP(CELLS, 2, 128), (2,), CELLS)
models["GAN"] = gan.GAN(nets.MLPGenerator(latent=4), nets.MLPDiscriminator(), gan.non_saturating().with_penalty(gan.R1(0.01)))
models["diffusion"] = paths.ddpm(nets.MLP(2, 64, 3), (2,))
models["flow matching"] = paths.flow_matching(nets.MLP(2, 64, 3), (2,))
plan = {"autoregressive": (300, 4e-3), "absorbing": (400, 4e-3), "GAN": (1000, 4e-3), "diffusion": (2400, 1e-2), "flow matching": (1200, 1e-2)}
for name, (quick, rate) in plan.items():
    rule = Recipe(budget(quick=quick, full=5000), 256, rate, betas=(0.5, 0.99) if name == "GAN" else (0.9, 0.999), decay=linear)
    fit(models[name], spell if name in ("autoregressive", "absorbing") else moons, rule, report=progress(name))

# %% [markdown]
# Each makes samples in its own way, so we keep the whole way from start to end: a list of clouds, one after every step.

# %%
seed(10)
N, roads = 1000, {}
u, z1, z2 = torch.rand(N, 2), torch.randn(N, 1), torch.randn(N, 2)
with torch.no_grad():
    word = models["autoregressive"].sample(N)
    first = torch.stack([place(word[:, 0], u[:, 0]), torch.zeros(N)], 1)
    roads["autoregressive"] = torch.stack([torch.zeros(N, 2), first, place(word, u)])
    masked = models["absorbing"].trajectory(N, steps=12)               # symbol 32 means: still hidden
    roads["absorbing"] = torch.where(masked == CELLS, 0.0, place(masked, u))
    decoded = models["VAE"].decode(z1)
    roads["VAE"] = torch.stack([torch.cat([z1, 0 * z1], 1), decoded.mean, decoded.mean + decoded.stddev * z2])
    noise = models["GAN"].noise(N)
    roads["GAN"] = torch.stack([noise[:, :2], models["GAN"].generator(noise)])
    roads["flow"] = models["flow"].stages(z2)
roads["diffusion"] = models["diffusion"].trajectory(N, 50, ancestral)
roads["flow matching"] = models["flow matching"].trajectory(N, 30)

# %% [markdown]
# **Predict before you drag.** The slider says how much of the way is done; under each name stands the number of steps that it takes. Which families are there in one or two steps? Which will look like nothing for most of the way, and why is the autoregressive cloud a *line* in between?
# <details><summary>Answer</summary>The GAN takes one step, VAE and autoregressive two, the flow one for each layer (all six are one pass through its network). Diffusion stays a shapeless cloud for long and finds its form late. The autoregressive model chooses the horizontal coordinate first; the vertical one is not yet known and drawn here as 0. The absorbing
# model does the same in random order, so in between there are points on both axes. Flow matching contracts first and shows its form in the second half. The VAE starts as a line, its one number; the curve is the decoder's mean, the last step adds noise. Of the GAN's four noise numbers two are drawn.</details>

# %%
def on_the_way(done):
    """Samples of the seven families when a share of their steps is done."""
    return intro_plots.moments(roads, done)

play(on_the_way, done=(0.0, 1.0, 0.05, 0.0))

# %% [markdown]
# And the result beside the data, above; below, the density where there is one. *Look for* three things: who leaves a bridge between the moons (a thread cannot help it) or frays at the ends, who draws in squares, and who has nothing below.
# <details><summary>Answer</summary>A bridge: VAE and flow, plainly, and the others as a haze that longer training thins. Squares: the autoregressive density. Nothing below: the GAN; the absorbing model has only a bound.</details>

# %%
def by_quadrature(x):
    """log p(x) of the VAE: its code is one number, so the integral over all codes is a sum over 1,201 of them."""
    z = torch.linspace(-6, 6, 1201)[:, None]
    out, prior = models["VAE"].decode(z), torch.distributions.Normal(0.0, 1.0).log_prob(z[:, 0])
    return (torch.distributions.Normal(out.mean, out.stddev).log_prob(x[:, None]).sum(2) + prior).logsumexp(1) + math.log(0.01)

with torch.no_grad():
    per_area = 2 * math.log(CELLS / SIDE)                              # from the probability of a cell to a density
    log_probs = {"the data": moons.log_prob, "autoregressive": lambda x: models["autoregressive"].log_prob(words(x)) + per_area,
                 "absorbing": lambda x: models["absorbing"].elbo(words(x), draws=64) + per_area,
                 "VAE": by_quadrature, "flow": flow.log_prob,
                 "diffusion": lambda x: models["diffusion"].log_prob(x, 20), "flow matching": lambda x: models["flow matching"].log_prob(x, 20)}
    samples = {"the data": held} | {name: road[-1] for name, road in roads.items()}
    shown = log_probs | {"absorbing": "a bound,\nestimated\nby chance", "GAN": "not to be\ncomputed:\nsamples only"}
    pictures = intro_plots.families(samples, shown, alt="Samples of seven families beside the data, and the density of each that has one")
pictures

# %%
passes = {"autoregressive": 2, "absorbing": 12, "VAE": 1, "GAN": 1, "flow": 1, "diffusion": 50, "flow matching": 60}
print(f"{'':16}energy distance   −log p, nats   network passes      (1,000 samples; 300 held-out points)")
for name, drawn in samples.items():
    distance = floor.mean if name == "the data" else metrics.energy_distance(drawn, reference)
    nats = f"{-float(log_probs[name](held[:300]).detach().mean()):11.2f}" if name in log_probs else f"{'none':>11}"
    kind = "≤" if name == "absorbing" else " "
    print(f"{name:16}{distance:12.4f}    {kind}{nats}   {passes.get(name, ''):>10}")
print(f"(distances below about {floor.mean + 2 * floor.sd:.3f} cannot be told from none with so many points: two samples of the truth differ by {floor.mean:.4f} ± {floor.sd:.4f})")

# %% [markdown]
# The sign ≤ says that the figure is a bound: the true one is at most that. For the two models on a grid the density is constant within a step; the VAE's is an integral over its one code. The row of diffusion joins two things: samples of the random sampler, and the density of the deterministic flow with the same network (notebook 07); they agree only for a perfect network and small steps. And the energy distance is nearly blind to a thin bridge, so look at the picture, too. Read the table as a map, not as a race: seconds of training decide here, and a plane is not a picture. What stays true on pictures is the *shape* of the table:
# densities for some, bounds for others, none for the GAN; one pass for some, many for others.
#
# ## 8 · Homework
#
# Three small functions on which everything later stands. Remember: write, run both cells, read the card.
#
# **Exercise 0.1 · the log-likelihood of a data set (1 point).** A Gaussian with independent coordinates has a mean and a standard deviation for each of them, (D,). Give **one number**: the logarithm of its density, *summed* over the coordinates of a sample, *averaged* over the
# samples. This is the figure in the title of section 2's right picture. Sum here, mean there: the most frequent slip of the whole course is to mix them up.

# %% exercise="intro.log_likelihood"
def log_likelihood(x, mean, std):
    """The mean over the batch of log N(x; mean, std²).     x (B, D), mean (D,), std (D,)  ->  ()"""
    ### BEGIN SOLUTION
    each = -0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
    return each.sum(1).mean()
    ### END SOLUTION

# %% check="intro.log_likelihood" points=1
log_likelihood = check("intro.log_likelihood", log_likelihood)

# %% [markdown]
# **Exercise 0.2 · a classifier out of densities (1 point).** From the log-densities of each point under K classes, and the prior probabilities of the classes, give the probabilities of the classes *given* the point: Bayes' rule of section 4. The log-densities of images run to thousands, on either side of 0; in a computer
# exp(−1000) is exactly 0 and exp(1000) infinite. Your function has to survive both. (`prior` is positive and sums to one.)

# %% exercise="intro.posterior"
def posterior(log_p, prior):
    """p(y | x) for every point and class.     log p(x | y) (B, K), p(y) (K,)  ->  (B, K), rows sum to one"""
    ### BEGIN SOLUTION
    joint = log_p + prior.log()
    return (joint - joint.logsumexp(1, keepdim=True)).exp()
    ### END SOLUTION

# %% check="intro.posterior" points=1
posterior = check("intro.posterior", posterior)

# %% [markdown]
# **Exercise 0.3 · a sample in two steps (1 point).** A mixture of K Gaussians is sampled in two steps: first a component, then a point of it. All chance is given to you. `u` is uniform in $[0,1)$, one number a sample: the line from 0 to 1 is cut into K pieces, one after the other, as long as the weights (which sum to one; `stds` has one width per component), and the
# piece in which `u` lies is the component (a `u` below the first weight means component 0). `eps` is standard normal noise.

# %% exercise="intro.sample_mixture"
def sample_mixture(u, eps, weights, means, stds):
    """u (B,), eps (B, D); weights (K,), means (K, D), stds (K,)  ->  samples (B, D)"""
    ### BEGIN SOLUTION
    component = (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)
    return means[component] + stds[component, None] * eps
    ### END SOLUTION

# %% check="intro.sample_mixture" points=1
sample_mixture = check("intro.sample_mixture", sample_mixture)

# %% [markdown]
# **Now put your pieces together.** Two clouds, one of them three times as frequent: your sampler draws them, your posterior finds the border that your densities imply, and your likelihood tells one Gaussian from the two. (Where a piece is missing the course's own stands in.)
# *Look for* the border between the stars: it keeps away from the frequent class. Why must it?
# <details><summary>Answer</summary>Half-way both densities are equal, but class 0 is three times as frequent. The border is where 0.75 p(x|0) = 0.25 p(x|1), at ln 3 / 2.4, about 0.46.</details>

# %%
seed(11)
weights, means, stds = torch.tensor([0.75, 0.25]), torch.tensor([[-1.2, 0.0], [1.2, 0.0]]), torch.tensor([1.0, 1.0])
u = torch.rand(600)
drawn = sample_mixture(u, torch.randn(600, 2), weights, means, stds)
log_densities = lambda p: torch.stack([torch.distributions.Normal(m, s).log_prob(p).sum(1) for m, s in zip(means, stds)], 1)
print(f"your log-likelihood of all 600 points under one Gaussian fitted to them: {float(log_likelihood(drawn, drawn.mean(0), drawn.std(0))):.3f} nats")
print(f"the mixture that drew them: {float((log_densities(drawn) + weights.log()).logsumexp(1).mean()):.3f} nats")
intro_plots.boundary(lambda p: posterior(log_densities(p), weights)[:, 1], drawn, (u >= 0.75).long(), marks=means,
                    alt="Two overlapping clouds in two colours, stars at their means, the border nearer to the rarer one")

# %% [markdown]
# **Written (think, then unfold).** *A classmate says: "My GAN's samples look perfect, so it must have a high likelihood." What is wrong with that sentence?*
# <details><summary>Answer</summary>A GAN gives no likelihood that one could compute, and where its noise has fewer numbers than the picture has pixels there is no density at all. And even where one exists the two can part: a model that copies ten training pictures draws perfect samples and gives held-out data no probability at all; and a model that mixes the truth with 99 % of noise loses at most log 100 = 4.6 nats an image, while nearly
# all its samples are noise.</details>
#
# ## 9 · Where to go from here
#
# In lecture order 01 to 11; but after 02 any of 05 to 08 can be read on its own, and if you wish to know how the ten digits at the top were made, 08 is the shortest way.
#
# **Are you ready?** Three questions. If one of them makes you stop, look it up before notebook 01.
#
# *The density of a Gaussian is 4 at some point. Is that an error?*
# <details><summary>Answer</summary>No. A density is no probability; it may exceed 1, as narrow ones do. Only its integral is 1. So log-likelihoods can be positive.</details>
#
# ---
#
# *What is $\log\sum_k e^{a_k}$ for $a=(-1000,-1000)$, and what does a computer say that takes exponentials first?*
# <details><summary>Answer</summary>−1000 + log 2. It says −∞. Take the largest out first, or use `torch.logsumexp`.</details>
#
# ---
#
# *`a` has shape (B,), `b` has shape (B, 1). What is the shape of `a * b`?*
# <details><summary>Answer</summary>(B, B): torch makes all pairs, and says nothing. It is the most frequent silent error of homework everywhere, and the check cells know it.</details>
#
# ## References
#
# * Kingma, Welling: *Auto-Encoding Variational Bayes*, 2013. Radford, Metz, Chintala: *Unsupervised Representation Learning with DCGANs*, 2015. Karras, Laine, Aila: *A Style-Based Generator Architecture for GANs*, 2018.
#   Ho, Jain, Abbeel: *Denoising Diffusion Probabilistic Models*, 2020. Lipman, Chen, Ben-Hamu, Nickel, Le: *Flow Matching for Generative Modeling*, 2022.
# * Goodfellow: *NIPS 2016 Tutorial: Generative Adversarial Networks*. The tree of explicit and implicit densities.
# * Ng, Jordan: *On Discriminative vs. Generative Classifiers*, 2001. When the detour through $p(\mathbf x,y)$ pays.
# * Theis, van den Oord, Bethge: *A note on the evaluation of generative models*, 2016. Why good samples and a good likelihood are two things.
# * Murphy: *Probabilistic Machine Learning: Advanced Topics*, 2023; Prince: *Understanding Deep Learning*, 2023. Two textbooks for the whole course.
