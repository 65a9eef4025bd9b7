# %% [markdown]
# # 01 · Autoregressive models
#
# *Introductory lecture (autumn 2025), from "Autoregressive Models" to "Pros and Cons"*
#
# **The promise.** A picture is written like a sentence: one pixel after the other, each drawn from a probability that depends on the pixels before it. At the end you have
# seen that any distribution of images can be written so, and that any such product of answers is one, you know how a network is forbidden to look ahead, and you can let three such networks finish a digit that you began.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | conditional probability, cross-entropy, a first neural network |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions, once and for all**
#
# | what | here | elsewhere |
# |---|---|---|
# | `x` | an image of *symbols*, integers 0 … K − 1; for black and white K = 2, 1 is ink | slides write $x_i$ for pixel $i$ |
# | places | numbered from 0, row by row from the top left (*raster order*) | slides count from 1 |
# | $\mathbf x_{<i}$ | all places before $i$ in the order of generation | the *history* |
# | logits | K numbers a place, before the softmax | for K = 2 the slide has one number, their difference |
# | losses | a *sum* over places, a mean over images: nats an image | many programs average over pixels too: 784 times smaller |
# | bits | every number of nats says how grey became black and white | numbers from different ways cannot be compared |

# %%
import torch
from dgm_course import autoregressive as ar
from dgm_course import data, nets, pretrained
from dgm_course.training import Recipe, fit, linear
from dgm_course.teach import FramePlayer, check, estimate, play, plots, reveal, verify
from dgm_course.teach.plots import history as history_plots
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Our first images have nine pixels. There are $2^9=512$ of them, so *every* probability can be written down: an image is one of six lines, three vertical and three horizontal, and each of its pixels is
# flipped with a chance of 5 %. Here are two dozen; look for the lines, and for the flips.

# %%
world = data.little_images()
history_plots.small_images(world.sample(24).view(-1, 3, 3),
                          alt="Twenty-four images of 3 x 3 pixels: vertical and horizontal lines, some with a flipped pixel")

# %% [markdown]
# Now a network that reads an image and answers, for each pixel, *how likely is ink here, given the pixels before?* One pass gives all nine answers at once. For that to make sense, answer number $i$ must not
# depend on pixel $i$ or a later one, or the network would just look up what it is asked. So each hidden unit gets a *degree* $m$: it sees the pixels 0 … m − 1 and may speak only to the answers m, m + 1, …, and all other connections are multiplied by zero. Then no path leads from a pixel to its own answer. (Each pixel enters as two numbers, *paper* and *ink*, hence `rank` names each place twice. In the slide's words: $p_\theta(x_i\mid\mathbf x_{<i})=\operatorname{Softmax}(f_\theta(\mathbf x_{<i}))[x_i]$, with $f_\theta$ = `logits_of` and $[x_i]$ = `gather`.)

# %%
seed(0); torch.set_num_threads(1)                                      # tiny tensors are fastest on one core
F, K, L, H = torch.nn.functional, 2, 9, 128
rank = torch.arange(L).repeat_interleave(K)                            # the place that an input, or a logit, belongs to
degree = torch.arange(H) * L // H                                      # a unit of degree m sees the first m places
see, say = degree[:, None] > rank, rank[:, None] >= degree
first, last = torch.nn.Linear(L * K, H), torch.nn.Linear(H, L * K)
optimizer = torch.optim.AdamW([*first.parameters(), *last.parameters()], lr=1e-2)

def logits_of(x):
    seen = F.one_hot(x, K).flatten(1).float()
    h = torch.relu(F.linear(seen, first.weight * see, first.bias))
    return F.linear(h, last.weight * say, last.bias).view(-1, L, K)

def bare_log_prob(x):
    return logits_of(x).log_softmax(-1).gather(-1, x[..., None])[..., 0].sum(1)

for step in range(budget(quick=600, full=3000)):
    optimizer.zero_grad()
    (-bare_log_prob(world.sample(256)).mean()).backward()
    optimizer.step()

# %%
@torch.no_grad()
def bare_sample(u):
    """Nine uniform numbers an image, u (L, n): a pixel is paper while its number is below p(paper | the pixels before)."""
    x = torch.zeros(u.shape[1], L, dtype=torch.long)
    for i in range(L):
        paper = logits_of(x)[:, i].softmax(-1)[:, 0]
        x[:, i] = (u[i] >= paper).long()
    return x

history_plots.small_images(bare_sample(torch.rand(L, 24)).view(-1, 3, 3), title="drawn by the network, pixel by pixel",
                          alt="Twenty-four small images drawn by the network: the same kind of lines, some flipped pixels")

# %% [markdown]
# That is an autoregressive model: training asks all nine questions at once, sampling must go one by one, since the next question contains the last answer. Nothing else in this notebook is needed to *do* it. Three things should puzzle you:
#
# 1. Each answer is a guess about *one* pixel. Why is their product a probability of a whole image? (Section 1.)
# 2. A matrix with zeros is fine for nine pixels. What about 784? (Sections 3 and 4.)
# 3. Sampling ran the whole network nine times and used one answer of each pass. Must it? (Section 6.)
#
# From here on the library does the housekeeping. It computes the very same numbers:

# %%
model = ar.MADE(K, (L,), width=H, depth=1)
with torch.no_grad():
    for mine, bare in ((model.first, first), (model.last, last)):
        mine.load_state_dict(bare.state_dict())
    model.label_embedding.weight.zero_()                                          # a bias that the bare lines do not have
x = world.sample(500)
dice = lambda: torch.Generator().manual_seed(1)
same = model.sample(500, generator=dice()) == bare_sample(torch.rand(L, 500, generator=dice()))
print(f"log p of 500 images: largest difference to the bare lines {float((model.log_prob(x) - bare_log_prob(x)).detach().abs().max()):.0e}")
print(f"samples from the same random numbers: {int(same.sum()):,} of {same.numel():,} pixels agree")
reveal(ar.Autoregressive.log_prob)

# %% [markdown]
# ## 1 · The chain rule loses nothing
# *Slides "PixelRNN & PixelCNN: Chain Rule", "Parameterization"*
#
# $$p(\mathbf x)=\prod_{i=1}^{n^2}p(x_i\mid x_1,\dots,x_{i-1})$$
#
# This is no assumption and no approximation: it is the definition of conditional probability, used $n^2-1$ times. In our little world both sides can be had by counting. On the left below, each factor is
# found by adding up the probabilities of all images that agree with the pixels so far; on the right stands $p(\mathbf x)$ from the world's own table.

# %% tags=["slide:ar.chain-rule"]
exact = world.to(torch.float64)
every = exact.sequences                                                # all 512 images
total = torch.zeros(len(every), dtype=torch.float64)
for i in range(L):
    so_far = torch.where(torch.arange(L) < i, every, K)                # the pixels from i on are hidden
    total += exact.conditional(so_far)[:, i].gather(1, every[:, i:i + 1])[:, 0].log()
verify("ar.chain-rule", total, exact.log_prob(every), what="Σ log p(xᵢ | x_<i), each by counting = log p(x), all 512")

# %% [markdown]
# Now the other way round, which is the point of the whole family: take *any* nine answers that each sum to one over the two colours, from a network that may be as wrong as it likes, and multiply. The result is a probability distribution over images, with no constant to be found:
# it sums to one because each factor does. Check it by adding up all 512, for a network that has learned nothing, the one from above, and one that reads the pixels in an order of its own.

# %% tags=["slide:ar.chain-rule"]
seed(3)
three = {"untrained": ar.MADE(K, (L,)), "untrained, in a mixed order": ar.MADE(K, (L,), order=torch.randperm(L)),
         "trained above": model}
for name, network in three.items():
    in_double = ar.MADE(K, (L,), network.width, len(network.inner) + 1, order=network.order).double()
    in_double.load_state_dict(network.state_dict())
    verify("ar.chain-rule", in_double.log_prob(every).exp().sum(), 1.0, what=f"Σ over all 512 images of q(x) = 1, {name}")
in_double.first.mask = torch.ones_like(in_double.first.mask)           # the control: a network that may look ahead
print(f"without its mask: Σ q(x) = {float(in_double.log_prob(every).detach().exp().sum()):.3f}, no distribution")

# %% [markdown]
# Watch one image being written. Left: the pixels so far, grey what is not written yet, and a frame around the next one. Right: how likely ink is there, by counting (green) and by the network. Look for the moment when the line is decided.

# %%
def next_pixel(known, line):
    """The next pixel of a line being written, and its probability of ink."""
    image = torch.tensor({"horizontal, in the middle": [0, 0, 0, 1, 1, 1, 0, 0, 0], "vertical, on the left": [1, 0, 0] * 3}[line])
    so_far = torch.where(torch.arange(L) < known, image, K)
    axes = plots.panels(2, 2.6)
    history_plots.small_images(so_far.view(1, 3, 3), ax=axes[0], columns=1, title=f"{known} pixels written")
    history_plots.framed(axes[0], (known // 3 + 0.5, known % 3 + 0.5))
    by_network = model(image[None])[0, known].softmax(-1)[1].detach()
    plots.bars({"exact": exact.conditional(so_far[None])[0, known, 1], "network": by_network}, ax=axes[1],
              ylabel="p(ink here | before)")
    axes[1].set_ylim(0, 1.08)
    return axes

play(next_pixel, known=(0, 8, 1, 0), line=["horizontal, in the middle", "vertical, on the left"])

# %% [markdown]
# **Predict before you drag.** For the horizontal line: before the fourth pixel the first row is white. What does that rule out, and what is still open? And before the fifth, with ink in the fourth?
# <details><summary>Answer</summary>Three white pixels rule out the upper line but for three flips, and every vertical line has a pixel there that would have to be flipped: most likely (93 %) the line is horizontal, in the middle or below, one half each. So p(ink) is near 1/2. One pixel of ink nearly decides it: the next is ink with 86 %, the one after with 94 %, and then
# only the flips remain. Information comes in lumps, not evenly along the order.</details>
#
# ## 2 · Training: cross-entropy, and which divergence it is
# *Slide "How to train autoregressive image models?"*
#
# $$\mathcal L(\theta)=-\sum_{i=1}^{n^2}\log p_\theta(x_i\mid\mathbf x_{<i}),\qquad -\log p_\theta(x_i\mid\mathbf x_{<i})=-\big[x_i\log\sigma(f)+(1-x_i)\log(1-\sigma(f))\big]\ \text{ for two colours.}$$
#
# For two colours a softmax over two logits and a sigmoid of their difference are one thing, so the slide's $f$ is `logit of ink − logit of paper`. On the left the library's loss, on the right the slide's formula with its $\sigma$.

# %% tags=["slide:ar.bce"]
x = world.sample(1000)
logits = model(x).detach()
f = logits[..., 1] - logits[..., 0]
slide = -(x * torch.sigmoid(f).log() + (1 - x) * (1 - torch.sigmoid(f)).log()).sum(1)
verify("ar.bce", -model.log_prob(x), slide, what="−log p = Σ over places of the slide's binary cross-entropy, image by image",
       tolerance=1e-5)

# %% [markdown]
# What does a small loss mean? Write $\pi$ for the data and $q$ for the model. Adding and subtracting $\log\pi$,
#
# $$\mathbb E_{\pi}\big[-\log q(\mathbf x)\big]=\underbrace{\mathbb E_{\pi}\big[-\log\pi(\mathbf x)\big]}_{\text{entropy }H(\pi)\text{, nothing to be done}}+\underbrace{\mathbb E_{\pi}\Big[\log\frac{\pi(\mathbf x)}{q(\mathbf x)}\Big]}_{\mathrm{KL}(\pi\,\|\,q)} .$$
#
# Maximum likelihood *is* minimum forward KL. Usually neither term on the right is known; here both are sums over 512 images. The left side is what training sees: a mean over fresh samples.

# %% tags=["slide:ar.mle-kl"]
@torch.no_grad()
def kl_left(network):
    """Σ π log(π / q) over all images."""
    return (exact.log_prob(every).exp() * (exact.log_prob(every) - network.log_prob(every).double())).sum()

for name, network in {"untrained": three["untrained"], "trained": model}.items():
    with torch.no_grad():
        z = world.sample(100_000)
        surprise, excess = -network.log_prob(z), world.log_prob(z) - network.log_prob(z)
    verify("ar.mle-kl", estimate(surprise), exact.entropy + kl_left(network), what=f"E_π[−log q] = H(π) + KL(π‖q), {name}")
    verify("ar.mle-kl", estimate(excess), kl_left(network), what=f"E_π[log π − log q] = KL(π‖q), {name}")
print(f"entropy of the world {float(exact.entropy):.3f} nats, KL left over {float(kl_left(model)):.3f} nats")

# %% [markdown]
# Below, a new network learns while we watch the KL. Look at two things: the loss of a batch (minus the entropy) jumps about although the model gets better on the whole, and the KL is nevertheless what it jumps around.

# %% tags=["slide:ar.mle-kl"]
seed(4)
learner, marks = ar.MADE(K, (L,), width=H, depth=1), {}
watch = lambda history: marks.update({history.step: float(kl_left(learner))}) if history.step % 10 == 0 else None
history = fit(learner, world, Recipe(budget(quick=500, full=3000), 256, 1e-2, decay=linear), report=watch)
steps = torch.arange(1, len(history.loss) + 1)
ax = plots.panels(1, 6.2, height=3.1)[0]
plots.curves({"loss of a batch − entropy": (steps, history.loss - float(exact.entropy)),
             "exact KL(π‖q)": (list(marks), list(marks.values()))}, ax=ax, xlabel="step", ylabel="nats an image")
ax.set_ylim(-0.4, 1.2)
plots.shown(ax, "The exact KL falls, far less ragged than the loss; the loss of each batch minus the entropy scatters around it")

# %% [markdown]
# (Below zero a batch was *luckier* than the entropy. A KL never is.)
#
# **What forward KL forgives, and what it does not.** Take a model that is too poor: nine pixels that know nothing of each other. Its best forward KL is reached by the right share of ink in each place. It then gives probability to *everything* that could come, most of it nonsense;
# what costs infinitely much is to give none to something that does come.

# %%
ink_share = (exact.log_prob(every).exp()[:, None] * every).sum(0)            # p(ink) of each place
lonely = (every * ink_share.log() + (1 - every) * (1 - ink_share).log()).sum(1)     # log q of independent pixels
p, q, clean = exact.log_prob(every).exp(), lonely.exp(), (every.sum(1) == 3) & (exact.log_prob(every) > -2.5)
print(f"KL(π‖independent pixels) = {float((p * (p.log() - lonely)).sum()):.3f} nats (the network above: {float(kl_left(model)):.3f})")
print(f"probability of the {int(clean.sum())} unflipped lines: world {float(p[clean].sum()):.2f}, independent pixels {float(q[clean].sum()):.3f}")
print(f"images that the world gives less than one in 2,000: world {float(p[p < 5e-4].sum()):.2f}, "
      f"independent pixels {float(q[p < 5e-4].sum()):.2f}")

# %% [markdown]
# ## 3 · Not to look ahead: masked convolution
# *Slide "How to choose the history function?"*
#
# A convolution assumes that neighbours matter and that the same rule holds everywhere. But a usual one looks in all directions. PixelCNN multiplies its kernel by zeros: everything after the centre, in reading order, is cut out. The slide's matrix is the left one below, kind **A**: not even the centre. It stands at the entrance, where the
# centre is the pixel that is asked for. All later layers use kind **B**: their centre holds *features* of that place, which have been computed without the pixel, so they may be used.

# %% tags=["slide:ar.masked-conv"]
axes = plots.panels(3, 1.9)
history_plots.mask_taps(nets.raster_mask("A", 3, 3), ax=axes[0], title="A: the entrance")
history_plots.mask_taps(nets.raster_mask("B", 3, 3), ax=axes[1], title="B: all others")
history_plots.mask_taps(nets.raster_mask("A", 5, 5), ax=axes[2], title="A, 5 × 5")
plots.shown(axes, "Three masks of zeros and ones: kind A without its centre, kind B with it, and a larger A")

# %%
reveal(nets.raster_mask)

# %% [markdown]
# Does it work? Ask automatic differentiation, which knows nothing of masks: $\partial(\text{output at }i)/\partial(\text{input at }j)$ for all pairs on an image of 5 × 5. It should be different from zero exactly where $j$ comes before $i$ (or *is* $i$, for B) and lies within the kernel.

# %% tags=["slide:ar.masked-conv"]
seed(5)
side, places = 5, torch.cartesian_prod(torch.arange(5), torch.arange(5))
near = (places[:, None] - places[None]).abs().amax(-1) <= 1           # within a kernel of 3 x 3
number = torch.arange(side**2)
for kind, before in {"A": number[None] < number[:, None], "B": number[None] <= number[:, None]}.items():
    layer = nets.MaskedConv2d(1, 1, 3, kind).double()
    jacobian = torch.autograd.functional.jacobian(layer, torch.randn(1, 1, side, side).double()).view(side**2, side**2)
    verify("ar.masked-conv", (jacobian != 0).double(), (near & before).double(),
           what=f"kind {kind}: ∂out_i/∂in_j ≠ 0 exactly for j {'<' if kind == 'A' else '≤'} i nearby")

# %% [markdown]
# And whole networks with random weights (the other two come in section 4): no logit may depend on its own pixel or a later one. The control after them has the most usual mistake, a kind B at the entrance; every pixel then sees itself. Training would be delighted (the loss goes towards zero), and sampling would be useless: the network copies a pixel that is not there yet.

# %% tags=["slide:ar.masked-conv"]
def heard(network):
    """How much each place (row) listens to each other (column).  (25, 25)"""
    return torch.stack([ar.receptive_field(network, (0, *place)).flatten() for place in places.tolist()])

tiny_event, ahead = (1, side, side), number[None] >= number[:, None]
for network in (ar.PixelCNN(K, tiny_event, 8, depth=8), ar.PixelRNN(K, tiny_event, 8), ar.ImageGPT(K, tiny_event, 8)):
    felt = heard(network.double())
    verify("ar.masked-conv", felt[ahead], torch.zeros(int(ahead.sum())), scale=float(felt.max()),
           what=f"{type(network).__name__}: ∂logit_i/∂x_j = 0 for all j ≥ i")
wrong = ar.PixelCNN(K, tiny_event, width=8, depth=8)
wrong.in_proj = nets.MaskedConv2d(K, 8, 7, "B")
print(f"a PixelCNN with a B at the entrance: {int((heard(wrong).diagonal() > 0).sum())} of {side**2} places see themselves")

# %% [markdown]
# ### What it can see at all
# *The same slide: "long context", "cut context"*
#
# A stack of $3\times3$ convolutions sees a little further with every layer. How far, and where? Below, for the framed place, how strongly each other place is listened to (logarithmic: six decades), measured by gradients through a network with random weights. Hatched: the derivative is exactly zero there; that part of the past is **not heard at all**. (*Gated* PixelCNN has two stacks: one for the rows above, which may look to both sides, and one for the own row.)

# %% tags=["slide:ar.pixelcnn"]
networks = {"PixelCNN": ar.PixelCNN, "gated PixelCNN": ar.GatedPixelCNN, "PixelRNN": ar.PixelRNN}

def reach(depth, network):
    """How much the framed place listens to each other place."""
    seed(6)
    felt = ar.receptive_field(networks[network](K, (1, 15, 15), width=8, depth=depth, first=3), (0, 8, 7), samples=4)[0]
    past = felt.flatten()[:8 * 15 + 7]
    return history_plots.reach(felt, (8, 7), title=f"{network}, {depth} layers: {int((past > 0).sum())} of {len(past)} heard")

play(reach, depth=(2, 10, 1, 4), network=list(networks))

# %% [markdown]
# **Predict before you drag.** PixelCNN, deeper and deeper. Will it hear the whole past in the end?
# <details><summary>Answer</summary>No. To hear something on the right a path must first go up, for in its own row it can only go left; and with 3 × 3 kernels it gains one column a row. So a wedge to the right stays hatched for ever: the <i>blind spot</i>. No weights can change it, since there is no path. The two stacks of the gated PixelCNN have none. PixelRNN carries a
# state from row to row, so even two layers reach the top. But going up one row moves the state one column at most, however many layers there are: the same wedge on the right stays unheard (the paper's Row LSTM has this triangle too, its Diagonal BiLSTM has not). There depth only helps on the left.</details>
#
# ## 4 · Three ways to remember
# *Slide "How to choose the history function?": recurrence, cut context; slide "Image GPT": attention*
#
# | | history of a pixel | reaches | one layer costs |
# |---|---|---|---|
# | PixelCNN | what its masked convolutions cover | a bounded neighbourhood | $L$ |
# | PixelRNN | a state that is carried from row to row | all rows above, inside a triangle that opens upwards | $L$, row after row |
# | ImageGPT | a weighted mean over all places before, the weights computed from contents | everything, in one step | $L^2$ |
#
# **Recurrence.** The network reads row after row and hands on a state; what enters and what is kept is decided by gates, an LSTM's:
#
# $$c_r=\sigma(f)\,c_{r-1}+\sigma(i)\tanh g,\qquad h_r=\sigma(o)\tanh c_r,$$
#
# where $f,i,o,g$ are computed from row $r$ (by a masked convolution) and from the state $h_{r-1}$ of the row above (whole). A state is a whole row of features.

# %%
reveal(nets.lstm)

# %%
reveal(nets.RowLSTM.forward)

# %% [markdown]
# **Attention.** Each place makes a question $q$, a label $k$ and a content $v$, and receives a mean of the contents of all places up to itself, weighted by how well their labels answer its question:
#
# $$\text{out}_i=\sum_{j\le i}w_{ij}\,v_j,\qquad w_{ij}\propto\exp(q_i\cdot k_j/\sqrt d).$$
#
# The mask is the bound $j\le i$ of the sum: `is_causal=True` below. (Place $i$ of the input holds the pixel *before* it, so pixel $i$ itself is not among them.)

# %%
reveal(nets.CausalAttention.forward)

# %% [markdown]
# **The contest.** Same data, about as many weights, same steps, same batches, same learning rate. The data are the 4,000 embedded digits of MNIST, their middle 20 × 20 pixels halved to 10 × 10 and set to black or white at half brightness, so that training takes seconds. The scale, too, is the same: exact nats an image on the 1,000
# held-out digits. Look at the flat line, pixels that know nothing of each other; and at how much of the gain is there after fifty steps.

# %% tags=["slide:ar.history-functions", "slide:ar.pixelrnn"]
tiny = data.mnist().map(data.shrink_to_10x10, "10 x 10").map(data.binarise, "threshold")
train, test = tiny.train.long().to(device()), tiny.test.long().to(device())
ink_share = train.double().mean(0).clamp(1e-3, 1 - 1e-3)
independent = lambda x: float(-torch.where(x == 1, ink_share, 1 - ink_share).log().flatten(1).sum(1).mean())
few, event, remembered = test[::4], (1, 10, 10), {}
contestants = {"PixelCNN": lambda: ar.PixelCNN(K, event, width=32, depth=5),
               "PixelRNN": lambda: ar.PixelRNN(K, event, width=28, depth=3),
               "ImageGPT": lambda: ar.ImageGPT(K, event, width=40, depth=2, heads=4)}
recipe = Recipe(budget(quick=300, full=6000), 32, 6e-3, warmup=20, decay=linear, betas=(0.9, 0.99), clip=50.0)
for name, build in contestants.items():
    seed(7)
    network, row = build().to(device()), {}
    watch = lambda history: row.update({history.step: float(network.loss(few).detach())}) if history.step % 25 == 0 else None
    history = fit(network, train, recipe, report=watch)
    remembered[name] = (network, row, history)

# %% tags=["slide:ar.history-functions"]
print(f"{'nats an image, ' + f'{len(test):,} held-out digits':44}{'weights':>9}{'seconds':>9}")
for name, (network, row, history) in remembered.items():
    with torch.no_grad():
        nats = -torch.cat([network.log_prob(part) for part in test.split(250)])
    summary = f"{name:12}{float(nats.mean()):8.2f} ± {float(nats.std() / len(nats)**0.5):.2f}"
    print(f"{summary:44}{sum(p.numel() for p in network.parameters()):9,}{history.seconds:9.1f}")
print(f"{'independent pixels':12} {independent(test):7.2f}")
curves = {name: (list(row), list(row.values())) for name, (_, row, _) in remembered.items()}
plots.curves(curves | {"independent pixels": ([25, recipe.steps], [independent(few)] * 2)}, xlabel="step",
            ylabel="nats an image, 250 held-out digits",
            alt="Held-out nats of PixelCNN, PixelRNN and ImageGPT over training, far below the line of independent pixels")

# %% [markdown]
# All three end within a few nats of each other, far below the flat line: most of the gain comes from using the past at all, less from how it is remembered. In these few hundred steps, at one learning rate and one seed, attention is last; a likely reason is that convolutions know from the first step that neighbours matter, and attention has to find out. In section 5, larger and longer trained, it is first.
#
# Their samples after this short training, drawn with the same random numbers:

# %% tags=["slide:ar.history-functions", "slide:ar.image-gpt"]
rows = {"held-out digits": plots.ink(test[:16])}
for name, (network, _, _) in remembered.items():
    rows[name] = plots.ink(network.sample(16, generator=torch.Generator(device()).manual_seed(8)))
plots.gallery(rows, columns=16, alt="Rows of small digits: real ones, and samples of PixelCNN, PixelRNN and ImageGPT")

# %% [markdown]
# ## 5 · Digits at full size
# *Slides "PixelRNN & PixelCNN", "Image GPT"*
#
# Three networks of the same kinds at 28 × 28, from the weights that come with the course. Each pixel of MNIST is read as the probability of ink and drawn once for the test images (anew at each look in training: *dynamic binarisation*). ImageGPT reads blocks of 2 × 2 pixels as one symbol of sixteen: the map between image and symbols is one to one, so its
# likelihood is a likelihood of pixels, exactly, and attention over 196 places costs a sixteenth of that over 784.

# %% tags=["slide:ar.pixelcnn", "slide:ar.pixelrnn", "slide:ar.image-gpt"]
names = {"PixelCNN": "pixel_cnn_digits", "PixelRNN": "pixel_rnn_digits", "ImageGPT": "image_gpt_digits"}
best = {name: pretrained.load(file).to(device()) for name, file in names.items()}
print(f"{'':10}{'weights':>9}{'steps × batch':>15}   nats an image: embedded test bits    official test bits")
for name, file in names.items():
    card, count = pretrained.card(file), sum(p.numel() for p in best[name].parameters())
    mine, theirs = card["held_out"], card["held_out"]["official_test"]
    taken = f"{card['steps']:,} × {card['batch']}"
    print(f"{name:10}{count:9,}{taken:>15}{mine['nats']:24.2f} ± {mine['standard_error']:.2f}"
          f"{theirs['nats']:20.2f} ± {theirs['standard_error']:.2f}")
print(f"({mine['protocol']}; the official set: {theirs['protocol']})")
mnist = data.mnist().to(device())
once_more = pretrained.nats_of_bits(best["PixelCNN"].log_prob, mnist.test[::5], "exact -log p")
print(f"PixelCNN once more, here: {once_more['nats']:.2f} ± {once_more['standard_error']:.2f}   ({once_more['protocol']})")

# %% [markdown]
# *Not on equal terms*: look at the columns of weights and steps before you rank them. They learned from 59,000 images; the test digits are not among them.
#
# For scale: on other, fixed bits (the *static* ones of Larochelle and Murray) the paper reports 81.3 nats for a PixelCNN and 79.2 for its best PixelRNN, a diagonal one that sees the whole past. Different bits make a nat or two meaningless. Our PixelCNN is two nats behind, our PixelRNN, which took few steps, eight; ImageGPT, which sees the whole past and took the most computation of the three, stands where the paper's best one stands.
# Before you look at the samples: look for loose specks and for strokes that end in nothing, and compare the last row with the two above.

# %% tags=["slide:ar.pixelcnn", "slide:ar.pixelrnn", "slide:ar.image-gpt"]
import math
import time
seed(9)
written, seconds = {}, {}
for name, network in best.items():
    start = time.perf_counter()
    written[name] = network.sample(25)
    seconds[name] = time.perf_counter() - start
print("seconds for 25 digits: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
plots.gallery({"held-out digits, as bits": plots.ink(data.DynamicallyBinarized(mnist.test).fixed()[:25])}
             | {f"{name}": plots.ink(x) for name, x in written.items()}, columns=25,
             alt="Rows of twenty-five digits: real bits, and samples of PixelCNN, PixelRNN and ImageGPT")

# %% [markdown]
# Watch them being written. The order is the reading order, so every stage is a beginning of the final image; grey is not written yet.

# %%
stages = []
for row in range(29):
    unwritten = (torch.arange(28) >= row)[:, None].expand(28, 28)
    stages.append(torch.where(unwritten.to(device()), 2, written["PixelCNN"]))
FramePlayer(plots.ink(torch.stack(stages)[:, :, 0]), captions=[f"{row} rows written" for row in range(29)], columns=9, size=520)

# %% [markdown]
# *Scrub slowly from eight to fourteen rows: at which row could you say which digit it will be? The network knows nothing that you do not see, and yet it has to commit to each pixel at once: what is written is never taken back.*
#
# ### You begin, the network goes on
#
# Completion costs nothing extra: fix the first pixels and draw the others, each given all before. It is an exact sample of the model's $p(\text{rest}\mid\text{beginning})$, *for a beginning in the order of generation* and at temperature 1. Pick a digit, how many of its rows are given, and how boldly the rest is drawn: at temperature $\tau$ the logits are divided by $\tau$, so below one
# the likely becomes likelier.

# %% tags=["slide:ar.pixelcnn"]
test_bits = data.DynamicallyBinarized(mnist.test).fixed()
chosen = torch.stack([test_bits[(mnist.test_labels == d).nonzero()[3, 0]] for d in (0, 4, 7, 9)])
finished = {}
for given in (4, 10, 14, 18):
    for temperature in (0.7, 1.0):
        known = (torch.arange(28) < given)[:, None].expand(1, 28, 28).to(device())
        eight = chosen.repeat_interleave(8, 0)
        found = best["PixelCNN"].inpaint(eight, known, temperature=temperature,
                                          generator=torch.Generator(device()).manual_seed(10))
        finished[given, temperature] = found.view(4, 8, 1, 28, 28)

def completion(rows, digit, temperature):
    """A digit of which some rows are given, and eight ways to go on."""
    which = (0, 4, 7, 9).index(digit)
    shown = torch.where((torch.arange(28) < rows)[:, None].to(device()), chosen[which], 2)
    sheet = torch.cat([chosen[which][None], shown[None], finished[rows, temperature][which]])
    return plots.images(plots.ink(sheet), columns=5, title=f"truth, the {rows} rows given, eight ways to go on")

play(completion, rows=[4, 10, 14, 18], digit=[0, 4, 7, 9], temperature=[1.0, 0.7])

# %% [markdown]
# **Predict before you choose.** With ten rows given, of which digits are the ways to go on the most various? And could you give the *lower* half and ask for the upper?
# <details><summary>Answer</summary>Where the beginning fits several digits: look at the table below, which says what a classifier reads in the eight ways to go on. The lower half is no beginning of this order: p(upper | lower) is well defined, but this network has never learned its factors, and the library refuses. A model of <i>all</i> orders (notebook 09) can do it.</details>

# %%
judge = pretrained.load("digit_classifier").to(device())
for which, digit in enumerate((0, 4, 7, 9)):
    read = judge(plots.ink(finished[10, 1.0][which])).argmax(1).tolist()
    print(f"a {digit} of which ten rows are given goes on as  {' '.join(map(str, read))}   (temperature 1)")

# %%
lower = (torch.arange(28) >= 14)[:, None].expand(1, 28, 28).to(device())
try:
    best["PixelCNN"].inpaint(chosen, lower)
except ValueError as refusal:
    print(refusal)

# %% [markdown]
# ## 6 · Pros and cons, measured
# *Slide "Pros and Cons"*
#
# **Exact likelihood.** Seen above: sums to one, no bound, no noise in the number.
#
# **Sequential generation.** 784 pixels are drawn one after the other. The plain way makes a whole pass for each and uses one place of it. But what the network has computed about the *past* stays true when the next pixel is written: a convolution's features, a transformer's keys and values. So they can be kept: a convolution then pays for one pixel, attention for one question to all places before. This is not an approximation: the same random
# numbers give the same image. ImageGPT from section 4, uncached against cached:

# %% tags=["slide:ar.image-gpt"]
gpt = remembered["ImageGPT"][0]
same = lambda: torch.Generator(device()).manual_seed(11)
cached, plain = gpt.sample(16, generator=same()), gpt.sample(16, generator=same(), iter_logits=ar.uncached)
verify("ar.image-gpt", cached.double(), plain.double(), what="samples with cached keys and values = without, pixel for pixel")
steps = ar.ImageGPT.iter_logits(gpt, 4, gpt.label_embedding.weight.new_zeros(4).long())
with torch.inference_mode():
    one_by_one = torch.stack([steps.send(None if i == 0 else plain[:4].flatten(1)[:, i - 1]) for i in range(100)], 1)
    at_once = gpt(plain[:4]).flatten(1, -2)
verify("ar.image-gpt", one_by_one, at_once, what="logits place by place = logits of one full pass", tolerance=1e-5)

# %% [markdown]
# Here is all of it for attention: one query, and what is remembered. Reading the memory back at each step is most of the time, so it pays to have less of it: heads may share their keys and values (`heads=(4, 1)`, *multi-query attention*), which is one line of bookkeeping and a quarter of the memory.

# %%
reveal(nets.CausalAttention.step)

# %% [markdown]
# And must they wait, all of them? A pixel of a PixelCNN listens to the row above only as far to the right as its kernels reach, here three columns. So when a row has come four columns far, the next one may begin. Below, for an image of $12\times12$ pixels, the number of the step in which each is drawn; what step 20 draws is framed.
#
# **Predict.** How many steps does an image of $28\times28$ pixels take? And would ImageGPT, whose places listen to *all* before them, be quicker as well?
#
# <details><summary>Answer</summary>The last pixel of the last row is drawn in step 27 + 4 · 27 = 135, counted from 0: 136 steps and not 784, and not a number changes. ImageGPT waits for everyone: 784.</details>

# %% tags=["slide:ar.pros-cons"]
network = ar.PixelCNN(2, (1, 12, 12))
step_of = torch.cat([torch.full_like(front, number) for number, front in enumerate(network.wavefronts())])
steps = step_of[torch.cat(list(network.wavefronts())).argsort()].view(12, 12)
history_plots.wavefronts(steps, 20, alt="A grid of 12 by 12 numbers: each row begins four steps after the one above; the pixels of step 20 lie on a steep diagonal")

# %%
reveal(ar.PixelCNN.wavefronts)

# %% [markdown]
# How does the time grow with the image? Below, a small PixelCNN with random weights writes eight images of $n\times n$ pixels, with what was computed kept, and the plain way. (The plain way is timed for one pass and multiplied by the number of pixels.) Both axes are logarithmic: a straight line is a power, its slope the exponent. Expect 2 for a whole pass for each pixel, since the pass grows as well. What is kept costs the arithmetic of one pixel for each, slope 1; but on images as small as these a step has a fixed cost that hides it, and $n\times n$ pixels are only $5n-4$ steps: a slope nearer to one half. Timing noise bends the lines.

# %% tags=["slide:ar.pros-cons"]
@torch.inference_mode()
def best_time(work, tries):
    times = []
    for _ in range(tries):
        start = time.perf_counter(); work()
        times.append(time.perf_counter() - start)
    return min(times)

def seconds_for(n):
    seed(12)
    network = ar.PixelCNN(K, (1, n, n), width=16, depth=4).eval()
    blank = torch.zeros(8, 1, n, n, dtype=torch.long)
    return best_time(lambda: network.sample(8), 2), best_time(lambda: network(blank), 8) * n * n

# %% tags=["slide:ar.pros-cons"]
sizes = [10, 14, 20, 28, 40]
kept, again = zip(*[seconds_for(n) for n in sizes])
pixels = [n * n for n in sizes]
slope = lambda y: math.log(y[-1] / y[-3]) / math.log(pixels[-1] / pixels[-3])        # of the last three sizes
plots.curves({f"what was computed is kept: grows like pixels^{slope(kept):.1f}": (pixels, kept),
             f"a whole pass for each pixel: like pixels^{slope(again):.1f}": (pixels, again)}, log="xy", xlabel="pixels of the image",
            ylabel="seconds for eight images", alt="Seconds of sampling against pixels, both axes logarithmic: the plain way is far above and steeper")

# %% [markdown]
# Still one step after the other: even the cached sampler cannot use a second core for the next front, and an image of a million pixels takes thousands of steps, or, with attention, a million. That is the slide's *scalability*, and why VAR and LlamaGen, in the last lecture, write *codes*, hundreds to a few thousand an image, and not pixels (notebook 10).
#
# **Limited global coherence.** Pixels are written one by one; does the whole hold together? Here is a question about the whole that no pixel can answer alone: *of how many separate pieces does the ink consist?* A digit is mostly one stroke. And a second: is a classifier that has only seen real digits *sure* what it sees? (The last column is the slide's advantage, *good sample diversity*: over how many of the ten classes the samples are spread, the exponential of the entropy of their shares.) We compare
# real bits, our three networks, and PixelCNNs on the small digits whose reach is cut short.

# %% tags=["slide:ar.pros-cons"]
from scipy.ndimage import label

def in_one_piece(x):
    """Share of images whose ink hangs together (corners count), specks of one pixel aside."""
    def pieces(image):
        parts, count = label(image, structure=torch.ones(3, 3))
        return sum((parts == k + 1).sum() > 1 for k in range(count))
    return sum(pieces(image) == 1 for image in x[:, 0].cpu().numpy()) / len(x)

# %% tags=["slide:ar.pros-cons"]
@torch.no_grad()
def sure_and_various(x):
    """Share of digits of which the classifier is at least 90 % sure, and in how many classes they fall, effectively."""
    chances = judge(plots.ink(x)).softmax(-1)
    shares = chances.argmax(-1).bincount(minlength=10) / len(x)
    return float((chances.amax(-1) > 0.9).float().mean()), float(torch.special.entr(shares).sum().exp())

print(f"{'28 x 28, 200 digits each':26}in one piece      classifier sure   classes, effectively")
for name, x in {"real bits": test_bits[:200], **{name: network.sample(200) for name, network in best.items()}}.items():
    whole, (certain, classes) = in_one_piece(x), sure_and_various(x)
    error = lambda share: (share * (1 - share) / len(x)) ** 0.5
    print(f"{name:26}{whole:6.2f} ± {error(whole):.2f}{certain:14.2f} ± {error(certain):.2f}{classes:16.1f}")

# %% tags=["slide:ar.pros-cons"]
print(f"{'10 x 10':26}in one piece   nats an image")
print(f"{'independent pixels':26}{in_one_piece(torch.bernoulli(ink_share.expand(400, 1, 10, 10))):12.2f}{independent(test):16.2f}")
for rows_up in (1, 2, 4):                                              # equally deep: only the entrance differs
    seed(13)
    short = ar.PixelCNN(K, event, width=32, depth=4, first=2 * rows_up + 1, kernel=1).to(device())
    fit(short, train, recipe)
    summary = f"PixelCNN, sees {rows_up} row{'s' * (rows_up > 1)} up"
    print(f"{summary:26}{in_one_piece(short.sample(400)):12.2f}{float(short.loss(test).detach()):16.2f}")
print(f"{'real, 10 x 10':26}{in_one_piece(test[:400]):12.2f}")

# %% [markdown]
# The shorter the sight, the more nats *and* the more broken digits; but the two do not go together one for one. Seeing one row already brings most of the nats that four rows bring, and still most of its digits are broken. In the table above it, the two networks with a bounded view break more often than the one that attends to everything (sizes and training differ, too): the slide's point holds for short memory more than for the family.
#
# ## 7 · What this shares with the other families
#
# * **Normalizing flows (06)**: a *masked autoregressive flow* is this chain rule with densities for factors: one pass for the density, one by one for samples.
# * **VAE (02, 03)**: a decoder as strong as this leaves $\mathbf z$ unused, which is posterior collapse; and an autoregressive model can be the prior over latents.
# * **Vector quantization (04), latent-space models (10)**: these very classes over *codes*; `event` is then the code map, K the size of the codebook.
# * **Absorbing diffusion (09)**: all orders at once, several places at a time.
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | autoregressive | yes | exact | one a place | none |
#
# %% [markdown]
# ## Homework
#
# Ten exercises, twelve points. Places are counted from 0 in the order of generation; the logits *of* place $i$ predict place $i$ and have seen the places before it. Likelihoods are sums over the places, in nats, one number a sample, unless a text says
# otherwise. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the course's own function takes your place so that everything below still runs.
#
# **Exercise 1.1 · the mask of a convolution (1 point).** A kernel of `rows` × `columns` taps (both odd), read like a page. Which taps may look? Those before the centre; for kind `"B"` the centre as well.

# %% exercise="ar.mask"
def causal_mask(kind, rows, columns):
    """1 on the taps that may look, 0 on the others.     kind "A" or "B"  ->  (rows, columns)"""
    ### BEGIN SOLUTION
    mask = torch.zeros(rows, columns)
    mask[: rows // 2] = 1
    mask[rows // 2, : columns // 2 + (kind == "B")] = 1
    return mask
    ### END SOLUTION

# %% check="ar.mask" points=1
causal_mask = check("ar.mask", causal_mask)

# %% [markdown]
# **Exercise 1.2 · the likelihood of a black and white image (1 point).** $\log p(\mathbf x)=\sum_i\log p(x_i\mid\mathbf x_{<i})$ with $p(x_i=1\mid\mathbf x_{<i})=\sigma(\text{logit}_i)$, one number an image, in nats. A network that is sure has
# logits of several hundred: they must not become $-\infty$. Gradients must flow to the logits.

# %% exercise="ar.log_likelihood"
def log_likelihood(logits, x):
    """log p of each image.     logits, x (B, ...), x floats 0 and 1  ->  (B,)"""
    ### BEGIN SOLUTION
    surprise = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -surprise.flatten(1).sum(1)
    ### END SOLUTION

# %% check="ar.log_likelihood" points=1
log_likelihood = check("ar.log_likelihood", log_likelihood)

# %% [markdown]
# **Exercise 1.3 · bits per dimension (1 point).** With K symbols the distribution of a place is a softmax over K logits. Papers report $-\frac1L\sum_i\log_2p(x_i\mid\mathbf x_{<i})$: what a place costs, on average, in the best possible
# code. (A picture of 256 grey levels, uncompressed, costs 8.) One number a sequence.

# %% exercise="ar.bits_per_dimension"
import math

def bits_per_dimension(logits, x):
    """Minus the mean of log2 p over the places.     logits (B, L, K), x (B, L) integers  ->  (B,)"""
    ### BEGIN SOLUTION
    nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), x, reduction="none").sum(1)
    return nats / x.shape[1] / math.log(2)
    ### END SOLUTION

# %% check="ar.bits_per_dimension" points=1
bits_per_dimension = check("ar.bits_per_dimension", bits_per_dimension)

# %% [markdown]
# **Exercise 1.4 · completing, place by place (2 points).** The first `known` tokens of each sequence are given; fill in the others, one place after the other. `logits_of(x)` takes whole sequences (B, L) and gives (B, L, K); what stands in places
# still to be filled does not matter to it. Chance comes in as `u`, uniform in [0, 1), one number a place: take the smallest $k$ with $u<\sum_{j\le k}\operatorname{softmax}(\text{logits}/T)_j$. Leave `x` itself as it is.

# %% exercise="ar.complete"
def complete(logits_of, x, known, u, temperature):
    """The given tokens and a sample of the rest.     x (B, L) integers, known an int, u (B, L)  ->  (B, L) integers"""
    ### BEGIN SOLUTION
    x = x.clone()
    for i in range(known, x.shape[1]):
        sums = (logits_of(x)[:, i] / temperature).softmax(-1).cumsum(-1)
        x[:, i] = (u[:, i, None] >= sums).sum(-1).clamp(max=sums.shape[-1] - 1)
    return x
    ### END SOLUTION

# %% check="ar.complete" points=2
complete = check("ar.complete", complete)

# %% [markdown]
# **Exercise 1.5 · what a pixel listens to (1 point).** `net` turns an image (H, W) into one number for every pixel, (H, W). Mark the pixels $j$ with $\partial\,\text{net}(\mathbf x)[\text{row},\text{column}]/\partial x_j\ne0$ at this `x`, however small the derivative and whatever
# its sign.

# %% exercise="ar.receptive_field"
def receptive_field(net, x, row, column):
    """True where the output at (row, column) listens.     x (H, W)  ->  (H, W)"""
    ### BEGIN SOLUTION
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[row, column], x)
    return slope != 0
    ### END SOLUTION

# %% check="ar.receptive_field" points=1
receptive_field = check("ar.receptive_field", receptive_field)

# %% [markdown]
# **Exercise 1.6 · causal attention (1 point).** One head. Place $i$ looks at the places $j\le i$: $\text{out}_i=\sum_{j\le i}w_{ij}\,v_j$, and over these $j$ the weights are a softmax of $q_i\cdot k_j/\sqrt d$. Scores may be large; gradients must flow to all three.

# %% exercise="ar.attention"
def causal_attention(q, k, v):
    """softmax(q k^T / sqrt(d)), the future hidden, times v.     q, k, v (B, L, d)  ->  (B, L, d)"""
    ### BEGIN SOLUTION
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    later = torch.ones_like(scores).triu(1).bool()
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v
    ### END SOLUTION

# %% check="ar.attention" points=1
causal_attention = check("ar.attention", causal_attention)

# %% [markdown]
# **Exercise 1.7 · one step with a cache (1 point).** While sampling, only the newest place asks: its `q`, `k`, `v` are (B, d); `keys` and `values` (B, i, d) hold the $i$ places before (none, for the first). Return what it gets to see, and both caches with its own
# entry added at the end, in this order.

# %% exercise="ar.cache_step"
def cache_step(q, k, v, keys, values):
    """Attention of the newest place.     ->  out (B, d), keys (B, i + 1, d), values (B, i + 1, d)"""
    ### BEGIN SOLUTION
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    weights = (torch.einsum("bd,bjd->bj", q, keys) / math.sqrt(q.shape[-1])).softmax(-1)
    return torch.einsum("bj,bjd->bd", weights, values), keys, values
    ### END SOLUTION

# %% check="ar.cache_step" points=1
cache_step = check("ar.cache_step", cache_step)

# %% [markdown]
# **Exercise 1.8 · the forward KL (1 point).** What maximum likelihood makes small: $\text{KL}(p\|q)=\sum_xp(x)\log\frac{p(x)}{q(x)}$, for two tables of probabilities of the same shape, any number of axes. Where $p$ is 0 the term is 0 (the limit of $p\log p$), even if $q$ is 0 as well;
# where $q$ is 0 and $p$ is not, the KL is infinite.

# %% exercise="ar.forward_kl"
def forward_kl(p, q):
    """KL(p || q) in nats.     p, q tables of one shape  ->  ()"""
    ### BEGIN SOLUTION
    return torch.where(p > 0, p * (p.log() - q.log()), 0).sum()
    ### END SOLUTION

# %% check="ar.forward_kl" points=1
forward_kl = check("ar.forward_kl", forward_kl)

# %% [markdown]
# **Exercise 1.9 · the f-divergence (1 point).** The KL is one of a family: for every convex $f$ with $f(1)=0$, $D_f(p\|q)=\sum_xq(x)\,f\!\left(\frac{p(x)}{q(x)}\right)$. `f` is an elementwise function; $q$ is positive everywhere.

# %% exercise="ar.f_divergence"
def f_divergence(f, p, q):
    """D_f(p || q).     f: a function, p, q tables of one shape  ->  ()"""
    ### BEGIN SOLUTION
    return (q * f(p / q)).sum()
    ### END SOLUTION

# %% check="ar.f_divergence" points=1
f_divergence = check("ar.f_divergence", f_divergence)

# %% [markdown]
# **Exercise 1.10 · five generators (2 points).** For each of these find an $f$ with $\sum_xq\,f(p/q)$ equal to it, and return the five values at $t=p/q>0$, in this order:
# the forward $\text{KL}(p\|q)$ · the reverse $\text{KL}(q\|p)$ · $\chi^2=\sum\frac{(p-q)^2}q$ · Jensen–Shannon $\tfrac12\text{KL}(p\|m)+\tfrac12\text{KL}(q\|m)$ with $m=\frac{p+q}2$ · total variation $\tfrac12\sum|p-q|$. (An $f$ is not unique:
# $c\,(t-1)$ may be added. Any of them is right.)

# %% exercise="ar.generators"
def generators(t):
    """f(t) of KL, reverse KL, chi-squared, Jensen-Shannon, total variation.     t of any shape  ->  five of that shape"""
    ### BEGIN SOLUTION
    js = (t * torch.log(2 * t / (1 + t)) + torch.log(2 / (1 + t))) / 2
    return t * t.log(), -t.log(), (t - 1) ** 2, js, (t - 1).abs() / 2
    ### END SOLUTION

# %% check="ar.generators" points=2
generators = check("ar.generators", generators)

# %% [markdown]
# **Now put your pieces together.** Your mask makes a network causal, your likelihood trains it on the small digits of scikit-learn (8 × 8, black and white), your bits say what it has learned, and your sampler completes digits it has never seen. (Where a
# piece is still missing the course's own stands in.) The figure to beat is that of independent pixels: each pixel's own share of ink, and no other pixel asked.

# %%
class Masked(torch.nn.Conv2d):
    def __init__(self, inputs, outputs, size, kind):
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.register_buffer("open_taps", torch.as_tensor(causal_mask(kind, size, size)).float())

    def forward(self, h):
        return torch.nn.functional.conv2d(h, self.weight * self.open_taps, self.bias, padding=self.padding)

seed(20); torch.set_num_threads(1)
small = data.digits().map(data.binarise, "threshold")
relu, width = torch.nn.ReLU(), 32
yours = torch.nn.Sequential(Masked(1, width, 5, "A"), relu, Masked(width, width, 3, "B"), relu,
                            Masked(width, width, 3, "B"), relu, Masked(width, 1, 1, "B"))

# %%
steps = budget(quick=400, full=2000)
optimizer = torch.optim.Adam(yours.parameters())
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 6e-3 * (1 - step / steps)
    x = small.train[torch.randint(len(small.train), (64,))]
    optimizer.zero_grad()
    (-log_likelihood(yours(x), x).mean()).backward()
    optimizer.step()

def logits_of(tokens):                                    # (B, 64) -> (B, 64, 2): a sigmoid is a softmax over 0 and the logit
    logits = yours(tokens.view(-1, 1, 8, 8).float()).flatten(1)
    return torch.stack([torch.zeros_like(logits), logits], -1)

# %%
ink = (small.train.mean(0) * len(small.train) + 0.5) / (len(small.train) + 1)      # a share of 0 would cost infinitely much
tokens = small.test.flatten(1).long()
with torch.no_grad():
    nats, alone = (-log_likelihood(logits, small.test).mean() for logits in (yours(small.test), ink.logit().expand_as(small.test)))
    bits, u = bits_per_dimension(logits_of(tokens), tokens).mean(), torch.rand(24, 64)
    anew = complete(logits_of, torch.zeros(24, 64).long(), 0, u, 1.0)
    lower = complete(logits_of, tokens[:24], 32, u, 1.0)
print(f"held out: {nats:.1f} nats an image, {bits:.3f} bits a pixel; independent pixels {alone:.1f} nats")
shown = {"held-out digits": tokens[:24], "their upper halves, completed": lower, "from nothing": anew}
plots.gallery({name: plots.ink(x.view(-1, 1, 8, 8)) for name, x in shown.items()},
             alt="Digits of 8 by 8 pixels: held out, the same completed from their upper halves, and sampled from nothing")

# %% [markdown]
# What can this network know? Below, one picture for each pixel of row 5, column 0 to 7. Everything before the pixel is coloured: black what it listens to (on one of six images at least, since a closed ReLU hides a path), grey what it might but does not. Look for the grey to the right of the pixel, close above it: this is the
# blind spot. (The grey on top and far to the left is plain distance: the layers together reach four pixels.)

# %%
one_image, order = lambda image: yours(image[None, None])[0, 0], torch.arange(64).view(8, 8)
fields = torch.zeros(8, 1, 8, 8, dtype=torch.long)
for column in range(8):
    some = [torch.as_tensor(receptive_field(one_image, image, 5, column)).bool() for image in small.test[:6, 0]]
    fields[column, 0] = torch.where(torch.stack(some).any(0), 1, torch.where(order < 5 * 8 + column, 2, 0))
plots.gallery({"what the pixels of row 5 listen to": plots.ink(fields)}, columns=8,
             alt="Eight receptive fields of a PixelCNN: of the rows above, the pixels to the right and close above stay grey, unseen")

# %% [markdown]
# Your cache must give what your attention gives, at one row's cost a place:

# %%
q, k, v = torch.randn(3, 2, 50, 16, dtype=torch.float64)
keys = values = q.new_zeros(2, 0, 16)
rows = []
for i in range(50):
    out, keys, values = (torch.as_tensor(part) for part in cache_step(q[:, i], k[:, i], v[:, i], keys, values))
    rows.append(out)
gap = (torch.stack(rows, 1) - causal_attention(q, k, v)).abs().max()
print(f"fifty steps with the cache and one pass over all places differ by {gap:.0e} at most")

# %% [markdown]
# **Written (think, then unfold).** *All layers of a PixelCNN get mask A, the first as well as the others. The model is still causal. What is lost?*
# <details><summary>Answer</summary>Mask A exists so that a pixel does not see itself. After the first layer the features at a place have forgotten their own pixel already: to close the centre again throws away what was computed at that very place. And every such layer moves
# at least one place back in the reading order, so in a plain stack, without skip connections, with two of them the pixel directly to the left, the one that says most, is not seen at all any more. The other mistake, B in
# the first layer, is the fatal one: the model sees the pixel it predicts, its loss goes to zero, and its samples are worthless.</details>
#
# *The likelihood of an image is about* $e^{-20}$ *here, and for a good model about* $e^{-80}$ *on MNIST. Is a model bad whose images are all that improbable?*
# <details><summary>Answer</summary>No: there are $2^{64}\approx e^{44}$ images here, and $2^{784}\approx e^{543}$ there. What counts is the comparison: with independent pixels above, with the entropy of the data where it is known, with another model on the same bits. That is
# why bits per dimension are reported, with the binarisation beside them.</details>
#
# *Which of the five divergences can be infinite, and what follows for a model that is trained by it?*
# <details><summary>Answer</summary>The forward KL where the model excludes what occurs, so maximum likelihood makes a model cover everything, at the price of covering too much. The reverse KL where the model holds possible what never occurs: it makes the model
# avoid that, at the price of leaving parts out. $\chi^2$ (on finite tables) is infinite exactly where the forward KL is. Jensen–Shannon and total variation never exceed $\log2$ and 1, and reach them for any two tables that do not overlap, near or far: so they cannot say *how far* apart these are. This
# comes back with GANs.</details>
#
# ## References
#
# * Germain, Gregor, Murray, Larochelle: *MADE: Masked Autoencoder for Distribution Estimation*, 2015. Section 0.
# * van den Oord, Kalchbrenner, Kavukcuoglu: *Pixel Recurrent Neural Networks*, 2016. PixelRNN (row and diagonal), PixelCNN, and their nats.
# * van den Oord et al.: *Conditional Image Generation with PixelCNN Decoders*, 2016. The gates, the two stacks, the blind spot.
# * Hochreiter, Schmidhuber: *Long Short-Term Memory*, 1997. Vaswani et al.: *Attention Is All You Need*, 2017.
# * Larochelle, Murray: *The Neural Autoregressive Distribution Estimator*, 2011. The chain rule with a network, and the static bits.
# * Chen et al.: *Generative Pretraining from Pixels* (Image GPT), 2020. Ramachandran et al.: *Fast Generation for Convolutional Autoregressive Models*, 2017. What is kept between pixels.
