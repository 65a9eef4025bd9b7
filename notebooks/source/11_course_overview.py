# %% [markdown]
# # 11 · The course, measured
#
# *Lecture 14 (autumn 2025, full version), "The Worst Course Overview" and "Summary"*
#
# **The promise.** The last lecture ends with a table of ticks: who is fast, who is sharp, who forgets nothing. Here every model of the course draws digits under the same clock and the same judge, and each tick gets a number beside it. Some agree with the slide, some do
# not, and you will know why. No figure is typed in: one cell measures them all anew.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores, nearly all of it in the one measuring cell; on a GPU the full budget runs by itself |
# | **you need** | the other notebooks, or a good memory of their last sections |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move anything |
#
# **Conventions**
#
# | word | here it means |
# |---|---|
# | real | held-out digits that no model was trained on, as many of each class; *other real digits* come from the training set |
# | floor | what other real digits reach in the place of samples, at the same n; no model should be expected to beat it in *all* columns (in one it can: collapse raises precision, scatter raises recall) |
# | features | 128 numbers a digit, from one fixed classifier; all distances between digits are distances of features |
# | greys, bits | digits in $[-1,1]$, or of black and white; bits are judged beside real bits |
# | a pass | one evaluation of a network for one sample; two networks make two passes |
# | seconds | of one processor, on one thread, warm, in batches |

# %%
import torch
from dgm_course import comparison, data
from dgm_course.comparison.measure import Evaluator
from dgm_course.core import metrics
from dgm_course.teach import check, import_graph, play, plots, verify
from dgm_course.teach.plots import comparison as comparison_plots
from dgm_course.teach.widgets.trilemma import TrilemmaPlayer
from dgm_course.core.tensors import budget, seed

# %% [markdown]
# ## 0 · The whole idea, counted by hand
#
# Two clouds of points, real and fake. How alike are they? Three answers, each of which can be counted on a few points.
#
# * **Balls.** Give every point a ball that reaches to its k-th nearest neighbour in its own cloud. *Precision*: the share of fakes in some real ball. *Recall*: the share of reals in some fake ball.
# * **Balls, counted.** *Density*: in how many real balls a fake lies, over k. *Coverage*: the share of real balls that hold a fake.
# * **Two Gaussians.** Forget everything but means $\mathbf m$ and covariances $\mathbf S$ of the real cloud $a$ and the fake cloud $b$, and measure
#
# $$d^2=\lVert\mathbf m_a-\mathbf m_b\rVert^2+\operatorname{tr}\mathbf S_a+\operatorname{tr}\mathbf S_b-2\operatorname{tr}\bigl(\mathbf S_a^{1/2}\mathbf S_b\,\mathbf S_a^{1/2}\bigr)^{1/2},$$
#
# the square of the *Fréchet distance* (tr is the sum of the diagonal, $\mathbf S^{1/2}$ the symmetric root). We print $d^2$ and call it Fréchet, as everybody does; with features of an Inception network it is called FID.
#
# Four real points on a line and three fakes, $k=1$: draw them on paper, with their balls, and count. On a line the last term is twice the product of the deviations, so $d^2=(m_a-m_b)^2+(s_a-s_b)^2$. The library must count the same. (The formulas themselves you write in the exercises.)

# %% tags=["slide:over.trilemma"]
world = data.eight_gaussians()
line = lambda *places: torch.tensor([[place, 0.0] for place in places], dtype=torch.float64)
real, fake, k = line(0, 1, 3, 7), line(0.5, 2.5, 12), 1
# real balls [-1, 1], [0, 2], [1, 5], [3, 11]: 0.5 lies in two of them, 2.5 in one, 12 in none; the last ball holds no fake
# fake balls [-1.5, 2.5], [0.5, 4.5], [2.5, 21.5]: every real point lies in one
by_hand = {"precision": 2 / 3, "recall": 1.0, "coverage": 3 / 4, "density": (2 + 1 + 0) / (3 * k),
           "Fréchet": (2.75 - 5) ** 2 + float(real[:, 0].std() - fake[:, 0].std()) ** 2}
library = [*metrics.precision_recall_coverage(real, fake, k), metrics.density(real, fake, k), metrics.frechet_distance(real, fake)]
verify("over.trilemma", torch.tensor([*by_hand.values()], dtype=torch.float64), torch.tensor(library, dtype=torch.float64),
       what="precision, recall, coverage, density, Fréchet counted by hand = the library's")
print({name: round(value, 3) for name, value in by_hand.items()})

# %% [markdown]
# ## 1 · Why one number never suffices
#
# A plane world of eight modes, and five ways to imitate it. One draws from the truth. One **copies**: it hands out the four hundred points that it was trained on. One **collapses**: three modes of eight, perfect each. One **blurs**: all modes, with noise on top. One
# **strays**: nine in ten are true, the tenth is anywhere. Which measure sees which fault?
#
# *Look for* the measures that are fooled, row by row: those that look like the first row's. The last column is the mean distance from a fake to the nearest point *that was used for training*, over the same for fresh real points. Here and below $k=5$.

# %% tags=["slide:over.trilemma"]
seed(1)
training, held = world.sample(400), world.sample(400)
mode_of = lambda x: (torch.atan2(x[:, 1], x[:, 0]) / (torch.pi / 4)).round().long() % 8
many = world.sample(4000)
anywhere = torch.where(torch.rand(400, 1) < 0.1, 8 * torch.rand(400, 2) - 4, world.sample(400))
samplers = {"the truth": world.sample(400), "copies": training,
            "collapses to 3 modes": many[mode_of(many) < 3][:400],
            "blurs": world.sample(400) + 0.45 * torch.randn(400, 2), "strays": anywhere}
nearest = lambda x: float(torch.cdist(x, training).amin(1).mean())
axes = plots.panels(5, 2.0, height=2.35)
print(f"{'':22}precision  recall  coverage  density  Fréchet  nearest training point")
for ax, (name, x) in zip(axes, samplers.items()):
    p = metrics.precision_recall_coverage(held, x)
    print(f"{name:22}{p.precision:9.2f}{p.recall:8.2f}{p.coverage:10.2f}{metrics.density(held, x):9.2f}"
          f"{metrics.frechet_distance(held, x):9.2f}{nearest(x) / nearest(held):10.2f}")
    plots.points(x, ax=ax, color="#0072B2", title=name)
plots.shown(axes, "Five imitations of a ring of eight modes: the truth, copies, three modes, blurred, with strays")

# %% [markdown]
# *Read it row by row.* The copier cannot be told from the truth by the first five columns: none of them asks whether the points are *new*. The last one does. The collapsed sampler loses recall and coverage and keeps its precision. The blur loses precision, density and coverage, and no recall. The strays lose less than a tenth of precision and little else; their last column shows how far out they are. And the Fréchet distance sees the collapse alone: it
# knows a mean and a covariance, and neither a little blur nor a few strays change these by much.
#
# Now be the sampler. The first control is noise on top of true points; the second is how many modes are left out.
#
# **Predict before you drag.** With all modes there, which falls first as the noise grows, precision or recall? And what does leaving out modes do to the Fréchet distance that noise does not?
# <details><summary>Answer</summary>Precision falls, recall stays near one or even grows: larger fake balls catch more reals. Leaving out modes on one side shifts the mean, which the Fréchet distance sees at once; noise adds to the covariance only, and has to be large before the distance notices. A single number does not tell you <i>which</i> of the two happened; precision and recall together do.</details>

# %% tags=["slide:over.trilemma"]
steady = torch.randn(400, 2, generator=seed(2))
base = world.sample(4000)

def imitate(noise, missing):
    """A sampler that adds noise and leaves out modes, with its precision, recall, coverage and Fréchet distance."""
    x = base[mode_of(base) >= missing][:400] + noise * steady
    p = metrics.precision_recall_coverage(held, x)
    ax = plots.panels(1, 2.9, height=3.2)[0]
    plots.points(x, ax=ax, color="#0072B2", title=f"precision {p.precision:.2f}, recall {p.recall:.2f}\n"
                f"coverage {p.coverage:.2f}, Fréchet {metrics.frechet_distance(held, x):.2f}")
    return ax

play(imitate, noise=(0.0, 1.0, 0.05, 0.0), missing=(0, 6, 1, 0))

# %% [markdown]
# Three of these numbers are exercises, and the digits below are judged by nothing else.
#
# **Exercise 11.1 · precision by nearest neighbours (2 points).** A real point's ball reaches to the k-th nearest *other* real point, edge included; the point itself is not counted among its neighbours. The share of the fakes that lie in at least one ball. (With the two sets exchanged the same function is recall.)

# %% exercise="over.precision"
def precision(real, fake, k):
    """The share of the fakes that lie in some real ball.     (N, D), (M, D), k < N  ->  a number"""
    ### BEGIN SOLUTION
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    return (torch.cdist(real, fake) <= radius[:, None]).any(0).double().mean()
    ### END SOLUTION

# %% check="over.precision" points=2
precision = check("over.precision", precision)

# %% [markdown]
# **Exercise 11.2 · the distance of two Gaussians (2 points).** B pairs at once: the squared Fréchet distance of each. Covariances may be singular.

# %% exercise="over.frechet"
def frechet_of(mean_a, cov_a, mean_b, cov_b):
    """d² of each pair.     means (B, D), covariances (B, D, D)  ->  (B,)"""
    ### BEGIN SOLUTION
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt()[:, None, :] @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum(1)
    traces = (cov_a + cov_b).diagonal(dim1=1, dim2=2).sum(1)
    return (mean_a - mean_b).square().sum(1) + traces - 2 * cross
    ### END SOLUTION

# %% check="over.frechet" points=2
frechet_of = check("over.frechet", frechet_of)

# %% [markdown]
# **Exercise 11.3 · density and coverage (2 points).** Balls as in 11.1. Density counts *how many* real balls a fake lies in, over k, and is averaged over the fakes; it may exceed one. Coverage is the share of the real balls that hold at least one fake.

# %% exercise="over.coverage"
def density_coverage(real, fake, k):
    """(density, coverage).     (N, D), (M, D), k < N  ->  two numbers"""
    ### BEGIN SOLUTION
    radius = torch.cdist(real, real).sort(dim=1).values[:, k]
    inside = (torch.cdist(real, fake) <= radius[:, None]).double()
    return inside.sum(0).mean() / k, inside.amax(1).mean()
    ### END SOLUTION

# %% check="over.coverage" points=2
density_coverage = check("over.coverage", density_coverage)

# %% [markdown]
# ## 2 · Every model of the course, on the same digits
#
# The cell below loads all weights that come with the course and lets each model draw, in two rounds, all models in turn in each. What it writes down:
#
# * **cost**: seconds a sample on one thread (the faster of the two rounds), and passes a sample, counted by a hook on the network while it runs;
# * **quality and coverage** by the measures above, beside the floor, n against n, with k = 5;
# * **likelihood** on held-out digits, *in its own unit*: nats of black and white pixels, bits of a pixel with 256 greys, or nats of a density. Figures of different units are not to be compared;
# * for models whose picture is a function of a latent $\mathbf z$: what lies **half-way** between two samples, and what a **single coordinate** of $\mathbf z$ says about ink, height and slant of the digit.
#
# Settings are kept modest, so that it fits into the time of a lecture's pause: the models as they are, without guidance, and few steps. The Gaussian diffusion models, flow matching and whatever works on codes are told which class to draw, in equal shares; the others are not. `overview.SYSTEMS` holds every setting.

# %% tags=["slide:over.table", "slide:over.trilemma"]
digits = data.mnist()
seed(3)
rows = comparison.survey(digits, n=budget(quick=200, full=1000), known=budget(quick=200, full=1000))
for row in rows:
    print(row)

# %% [markdown]
# *How far to trust a figure.* A share from 200 samples is good to about three hundredths, one from 64 pairs (half-way between two latents) to about six. Fréchet distances have a floor far from zero at so small an n (in brackets), so only differences well above it mean something. And the judge has eyes of its own: a classifier's features notice what makes a class, and overlook much else.
#
# The samples themselves, sixteen of each model, not chosen. *Look for* strokes that end in nowhere (quality) and for digits that come too often or never (coverage); where a model is told the class, the digits come in order.

# %% tags=["slide:over.trilemma"]
gallery = plots.images(torch.cat([row.samples[:16] for row in rows]), columns=16, names=[row.name for row in rows],
                      alt="Sixteen digits from every model of the course, a row for each")
gallery.figure.set_figheight(0.29 * len(rows))
gallery

# %% [markdown]
# ## 3 · The trilemma
# *Slide "The Worst Course Overview" (after Xiao, Kreis, Vahdat 2021)*
#
# The slide draws a triangle: fast sampling, high quality, mode coverage; *pick two*. Here are the three as axes side by side, top is good on each. A model is a line. Point at one to see its digits and figures; a click keeps it, N and P go through all.
#
# **Predict before you look.** Is there a line that stays at the top on all three axes? Which families cross from the top on the left to the bottom on the right?
# <details><summary>Answer</summary>None is at the top of all three; the VAE with a learned prior comes near. The one-pass models start in the upper half; RealNVP falls from there the furthest, and the GANs part of the way. Diffusion and flow matching on pixels start at the bottom and end at the top, and so does ImageGPT. PixelCNN, PixelRNN and absorbing diffusion start low, too, and do not get to the top (these and ImageGPT are judged beside real <i>bits</i>). Models on codes lie between in speed and high on the other two. Section 6 is about them.</details>

# %% tags=["slide:over.trilemma"]
TrilemmaPlayer(rows, label="Speed, sample quality and coverage of every model of the course")

# %% [markdown]
# Speed is a logarithm: between its two ends lies about a factor of a thousand. Quality is precision, coverage is coverage, each over what real digits reach. Mind who is *told the class*, in equal shares: Gaussian diffusion, flow matching and the models on codes. That is worth coverage by itself.
#
# ## 4 · The table, mark by mark
# *Slide "The Worst Course Overview" (table)*
#
# | model | efficient | sample quality | coverage | well-behaved latent | disentangled latent | efficient likelihood |
# |---|---|---|---|---|---|---|
# | GANs | ✓ | ✓ | ✗ | ✓ | ? | n/a |
# | VAEs | ✓ | ✗ | ? | ✓ | ? | ✗ |
# | Flows | ✓ | ✗ | ? | ✓ | ? | ✓ |
# | Diffusion | ✗ | ✓ | ? | ✗ | ✗ | ✗ |
#
# A tick needs a rule. Ours, stated so that you can quarrel with them:
#
# * **efficient**: at most a twentieth of the slowest model's seconds a sample;
# * **sample quality**, **coverage**: at least nine tenths of what real digits reach;
# * **well-behaved latent**: half-way between two latents the classifier recognises a digit (one class with probability 0.9 or more) at least nine tenths as often as in the model's own samples, and more often than in two real digits faded into each other; 64 pairs;
# * **disentangled latent**: the single best coordinate explains at least half of what all coordinates explain together, linearly, of ink, height and slant (the mean R² of the three), on samples that did not choose it;
# * **efficient likelihood**: exact, in one pass.
#
# *Look for* orange, where our digits disagree with the slide, and blue, where the slide has a question mark and we have a number. Green agrees; black: the slide has no such row. A dash: not measured, because the sampler draws at random after the latent, or the latent is discrete or itself learned.

# %% tags=["slide:over.table"]
assert comparison.LECTURE["GANs"] == ("✓", "✓", "✗", "✓", "?", "n/a")       # the slide's table, as the library knows it
table = comparison.marks(rows)
print(comparison.agreement(table))
faded, path_length_ratio = rows[0].faded
print(f"half-way between two real digits, one faded into the other: {faded:.0%} recognised; detour through features {path_length_ratio:.2f}")
for row in rows:
    if row.latent:
        print(f"  {row.name:20} half-way {row.latent.middle:4.0%} (own samples {row.latent.own:4.0%}), detour {row.latent.path_length_ratio:.2f}")
comparison_plots.MarksTable(table)

# %% [markdown]
# **Column by column**, and what a small course on digits can and cannot say.
#
# * **Efficient.** One pass against many, says the slide, and mostly so it is. Passes are not seconds, though: a few dozen small ones over codes can be as cheap as six large ones. The border is set by the slowest row, so rows near it turn from one run to the next. Autoregression over pixels takes 784 passes (ImageGPT, over blocks, 196), each small, since what was computed about the past is kept; a diffusion step is a whole U-Net.
# * **Sample quality.** The ✓ for GANs comes, we think, from large ones on faces. Ours are small and were trained for some forty minutes on one core, and some of their digits are between two classes; a mark for a *family* is a mark for its best member, with the best budget. The VAE's means are smooth where a pen
#   is uncertain, the usual reason for the ✗; and look at the two other lines of the same decoder: *drawing* bits buries the blur under grain, and a learned prior asks the decoder only for what it has practised. It is the same decoder each time. So a part of the ✗ belongs to the prior.
# * **Coverage.** The slide leaves three question marks. Where a likelihood is trained nothing may be forgotten, says the theory (every datum counts with its log); yet a low coverage here can also mean that *samples are poor*: a ball of real digits is not hit by what does not look real.
#   Coverage is no pure measure of modes. Recall, in the printed lines, is kinder to it, because balls around scattered samples are large.
# * **Well-behaved latent.** The slide denies it to diffusion, whose random sampler has no latent of its own. Its ODE has one, the noise, and half-way between two noises (along the arc, with the class held) lies a digit. It has 784 numbers and no bottleneck, but so has the flow's, which gets the slide's tick. And the test is easier here: the class is held, while the VAE, the GANs and the flow must go from one class to another. So do not compare these rows with those. Two real digits
#   faded into each other are recognised far less often than real ones, so the test can fail.
# * **Disentangled latent.** Every latent here is drawn from a round Gaussian, so no prior marks an axis. What marks them in the VAE is the encoder: its posterior has a *diagonal* covariance, and turning the axes would cost KL. There the best coordinate explains more than half of what all explain together. In a GAN no encoder does this; in the flow's and the ODEs' noise
#   all coordinates together explain hardly anything, so the ratio says nothing about axes.
#   That is a statement about *one coordinate and straight lines*; nonlinear directions exist, and people use them.
# * **Efficient likelihood.** A property of the construction, not of digits. It agrees, and the missing row, autoregression, has it too: exact, in one pass, as the flow.
#
# **Predict.** Were the rules for quality *and* coverage 0.8 or 0.95 instead of 0.9 of real digits, how many of these marks would turn?
# <details><summary>Answer</summary>The cell counts. A tick is a figure and a border; where many models stand near the border, the table says more about the border than about them.</details>

# %% tags=["slide:over.table"]
for share in (0.8, 0.9, 0.95):
    strict = comparison.marks(rows, comparison.Thresholds(quality=share, coverage=share))
    ticks = [name for name, row in strict.items() if row["sample quality"].sign == row["coverage"].sign == "✓"]
    turned = sum(strict[name][c].sign != table[name][c].sign for name in table for c in ("sample quality", "coverage"))
    print(f"quality and coverage at {share:.0%} of real digits: {turned} of {2 * len(table)} marks turned; "
          f"✓ in both: {', '.join(ticks) or 'nobody'}")

# %% [markdown]
# ## 5 · What each family knows about probability
#
# The likelihood column, by *unit*. Only lines under one heading may be compared, and a bound with an exact figure only in one direction: $-\log p\le$ the bound. Smaller is better.

# %% tags=["slide:over.table"]
units = {}
for row in rows:
    if row.likelihood_result:
        units.setdefault(row.system.likelihood.unit, []).append(row)
for unit, group in units.items():
    print(f"{unit} (the first {budget(quick=200, full=1000)} held-out digits)")
    for row in sorted(group, key=lambda row: row.likelihood_result.value):
        print(f"   {row.name:20} {row.likelihood_result.value:7.2f} ± {row.likelihood_result.error:.2f}, {row.system.likelihood.kind}, {1000 * row.likelihood_result.seconds:.2g} ms an image")
print("no figure:", ", ".join(f"{row.name} ({row.system.likelihood.kind})" for row in rows if not row.likelihood_result))

# %% [markdown]
# *Two things to notice.* The order of the likelihoods is not the order of precision: whether a model gives high probability to data and whether its samples look right are two questions, which meet only in the limit of a perfect model. And ± is one standard error over the digits: some digits are hard for everyone, so differences of *exact* figures are surer than it suggests. A bound is itself drawn at random: the two VAE lines are one model, and absorbing diffusion moves by some nats from run to run.
#
# ## 6 · Most of the state of the art is latent
# *Slide "Summary": "Most state-of-the-art generative models are latent variable models with either continuous or discrete latent spaces."*
#
# Which of ours are? Four answers for "where does the model work": **pixels**, with no latent or with noise as large as the picture; a **small continuous latent**; **continuous codes**; **discrete codes**. For those that work on codes the cell puts cost and quality beside the same kind of model on pixels, both measured above.

# %% tags=["slide:over.sota-latent"]
def latent_of(row):
    small = row.latent and row.system.source(row.system.load(), 1)[0].numel() < 784
    codes = "continuous codes" if row.system.family in ("diffusion", "flow matching") else "discrete codes"
    return codes if row.system.space != "pixels" else "a small continuous latent" if small or row.system.family == "VAE" else \
        "the noise, as large as the picture" if row.latent else "none, as it is sampled here"

by_name = {row.name: row for row in rows}
for row in rows:
    print(f"{row.name:20} latent: {latent_of(row)}")
for row in rows:
    if row.system.beside in by_name:
        other = by_name[row.system.beside]
        print(f"\n{row.name} beside {other.name}: {other.seconds / row.seconds:.1f} times cheaper a sample ({row.passes:.0f} passes, not {other.passes:.0f}); "
              + ", ".join(f"{what} {getattr(row.quality, what):.{2 - (what == 'frechet')}f}, not {getattr(other.quality, what):.{2 - (what == 'frechet')}f}"
                          for what in ("precision", "recall", "coverage", "frechet")))

# %% [markdown]
# *What it bought.* The VQ-VAE's prior is a PixelCNN's cousin, and it has 49 places instead of 784. It need not spend its capacity on the edge of a stroke: the decoder knows edges. So it is cheaper *and* better (and it is told the class), at the price of a second training, and of whatever the codes have lost: no prior can draw what the decoder cannot. (The two do
# not draw the same thing: codes decode to greys and are told the class, the PixelCNN draws bits and is not. Each is judged beside its own kind.)
#
# All systems on codes are several times cheaper than their neighbours on pixels. Better they are not: latent diffusion and latent flow matching lose a little to the same sampler on pixels, and VAR, unguided, loses recall. Codes buy time; quality has to be paid for in the first stage.
#
# The same trade made latent diffusion and VAR the state of the art: learn *what* in a small space, leave *how exactly* to a decoder. In large pictures the ratio of sizes is larger than here, and so, usually, is the saving.
#
# ## 7 · The map of the course
#
# One more picture, and it is not drawn by hand: the files of this library, each on the lowest floor that it can stand on, with a line to every file that it imports. Blue are the families. *Look for* what is missing: there is no line from one family to another. A flow becomes the VAE's prior, an autoregressive model the VQ-VAE's, by being **passed in**; and
# DDPM, NCSN, flow matching and absorbing diffusion are one file, `path models`, with other arguments.

# %% tags=["slide:over.table"]
graph = import_graph.rooms(skip=("grading", "cli"))
families = [name for name in ("autoregressive", "vae", "vq", "gan", "flows", "paths", "latent") if name in graph]
assert not any(graph[name] & set(families) for name in families)       # no family imports another
print("what all families stand on:", ", ".join(sorted(set.intersection(*(graph[name] for name in families)))))
comparison_plots.library(graph, marked=families, alt="The files of the library on floors, with a line for every import; the families share one floor")

# %% [markdown]
# All stand on *tensors* (time over data); several share a few *distributions*, one loop for all differential equations (*dynamics*), one loop for all training (*fit*), and the *measures* of this notebook. The rest is the difference between them:
#
# | family | what is learned | what it gives up |
# |---|---|---|
# | autoregressive (01) | each conditional; the factorisation is exact | speed: one place after the other |
# | VAE (02, 03) | a bound, with an encoder | the last word about $p(\mathbf x)$; the prior must fit |
# | VQ (04) | a dictionary; then anything over its words | a single training |
# | GAN (05) | a sampler, against a judge | the density; sometimes modes |
# | flow (06) | an exact change of variables | the freedom of the network |
# | diffusion, flow matching (07, 08) | a direction at each noise level | one-pass sampling |
# | absorbing diffusion (09) | tokens from their neighbours | an order, and with it exact likelihood |
# | latent models (10) | any of these, over codes | what the codes have lost |
#
# ## Your own pieces, put to work
#
# The three functions you wrote judge two of the models above, from the same features. They must find what the library found. (Where a piece is still missing the reference stands in.)

# %%
judge = Evaluator(digits, rows[0].n)
by_row = lambda name: next(row for row in rows if row.name == name)
for name in ("DCGAN", "VAE"):
    row = by_row(name)
    ours, real = judge.see(row.samples).double(), judge.real[row.system.color_mode].double()
    moments = [f(x)[None] for x in (ours, real) for f in (lambda x: x.mean(0), lambda x: torch.cov(x.T))]
    mine = (precision(real, ours, comparison.K), precision(ours, real, comparison.K), *density_coverage(real, ours, comparison.K))
    print(f"{name}: precision {float(mine[0]):.3f}, recall {float(mine[1]):.3f}, density {float(mine[2]):.3f}, coverage {float(mine[3]):.3f}, "
          f"Fréchet {float(frechet_of(*moments)[0]):.1f}; the library: {row.quality.precision:.3f}, {row.quality.recall:.3f}, "
          f"{row.quality.density:.3f}, {row.quality.coverage:.3f}, {row.quality.frechet:.1f}")

# %% [markdown]
# **Written (think, then unfold).** *A paper reports a new model with FID 3.1 against 3.4 of the old one, each from one training and 10,000 samples. What do you want to know before you believe in progress?*
# <details><summary>Answer</summary>The floor at that n (what two real sets reach), the spread over seeds of training and of sampling, whether both used the same features, the same n, the same reference set; and which part moved: precision or coverage. A lower FID may be bought by guidance, which trades one for the other.</details>
#
# *Your sampler has precision 1.0, recall 1.0, coverage 1.0 and a Fréchet distance below the floor. Congratulations?*
# <details><summary>Answer</summary>Below the floor is a warning. A sampler that returns the reference set itself reaches exactly this; one that returns the training set reaches the floor. Look at nearest neighbours in the training set, or at a likelihood on held-out data.</details>
#
# ## Where to go next
#
# * **Another judge.** Replace the classifier's features by your own network's, and see which of the marks survive.
# * **Another budget.** `dgm train NAME` repeats any training; give the GAN ten times the steps and measure again. Does its ✗ for quality go? Does its coverage?
# * **Your model.** A `ModelSpec` is a name and three small functions; add yours to the list that you pass to `overview.survey`, and it joins the table.
#
# ## References
#
# * Xiao, Kreis, Vahdat: *Tackling the Generative Learning Trilemma with Denoising Diffusion GANs*, 2021. The triangle.
# * Prince: *Understanding Deep Learning*, 2023, chapter 14. The table of marks.
# * Heusel et al.: *GANs Trained by a Two Time-Scale Update Rule*, 2017. The Fréchet distance of features.
# * Sajjadi et al.: *Assessing Generative Models via Precision and Recall*, 2018; Kynkäänniemi et al.: *Improved Precision and Recall Metric*, 2019. The balls.
# * Naeem et al.: *Reliable Fidelity and Diversity Metrics for Generative Models*, 2020. Density and coverage.
# * Theis, van den Oord, Bethge: *A Note on the Evaluation of Generative Models*, 2016. Likelihood and looks are two things.
