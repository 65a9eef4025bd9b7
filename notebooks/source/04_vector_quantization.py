# %% [markdown]
# # 04 · Vector quantization
#
# *Lecture 5 (autumn 2025), "Recap: discrete latent ELBO" to "Sample Diversity"; introduction lecture (2025), "VQ-VAE: Vector Quantized VAE"*
#
# **The promise.** A picture becomes 49 whole numbers, each below 64, and comes back so that a classifier hardly notices. Such numbers cannot be
# nudged by a gradient, and yet a network learns to choose them. At the end you know how, which term of the loss moves what, why some numbers are never used and what to do about it,
# and how a model of the *numbers* writes digits that no uniform choice of them ever would.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | the ELBO (notebook 02), cross-entropy; notebook 01 for the prior in section 9 |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Conventions**
#
# | what | here | the slides |
# |---|---|---|
# | encoder output | `z` (B, C, h, w): a vector of C numbers at each of h · w places | $\mathbf z_e\in\mathbb R^{W\times H\times L}$ |
# | codebook | `vectors` (K, C), its rows $\mathbf e_k$ | $\{\mathbf e_k\}_{k=1}^K$, $\mathbf e_k\in\mathbb R^L$ |
# | codes | `codes` (B, h, w), whole numbers **0 … K − 1** | $c\in\{1,\dots,K\}$ |
# | quantized | `z_q`: the vector $\mathbf e_{k^*}$ at every place | $\mathbf z_q$ |
# | losses | sums over pixels, channels and places; the mean over the batch | $\lVert\cdot\rVert_2^2$, a sum as well |
# | $\beta$ | `commitment`, ¼ unless said otherwise | $\beta$ |

# %%
import math
import torch
from dgm_course import data, nets, pretrained, vae, vq
from dgm_course.core import metrics
from dgm_course.training import Recipe, fit, linear
from dgm_course.teach import TrajectoryPlayer, check, estimate, play, plots, progress, reveal, verify
from dgm_course.teach.plots import vq as vq_plots
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Small digits of 8 × 8 pixels. An **encoder** turns one into 4 × 4 vectors of eight numbers. Beside it lies a table of 32 vectors, the **codebook**. Each of the sixteen vectors is replaced by the one in the
# table that is nearest to it, so the whole digit is now sixteen numbers between 0 and 31. A **decoder** sees only the table's vectors, and draws the digit again. Three things are wanted: the picture should come
# back; the table's vectors should lie where the encoder's outputs are; the encoder's outputs should lie near the table's vectors.
#
# One line is odd: `z + (e - z).detach()`. It is `e`, in a way that lets the gradient believe it were `z`. Section 5 is about it.

# %% tags=["slide:vq.loss"]
small = data.digits()
seed(0); torch.set_num_threads(1)
Conv, Up, act, K, C = torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.ReLU(), 32, 8
encoder = torch.nn.Sequential(Conv(1, 32, 4, 2, 1), act, Conv(32, 32, 3, 1, 1), act, Conv(32, C, 1))
decoder = torch.nn.Sequential(Conv(C, 32, 3, 1, 1), act, Up(32, 1, 4, 2, 1))
table = torch.nn.Parameter(torch.randn(K, C))
optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters(), table], lr=3e-3)

def bare_loss(x):
    z = encoder(x)                                                     # (B, C, 4, 4)
    rows = z.movedim(1, -1)                                            # a vector at each place
    codes = torch.cdist(rows.flatten(0, 2), table).argmin(1).view(rows.shape[:3])      # the nearest one's number
    e = table[codes].movedim(-1, 1)
    x_hat = decoder(z + (e - z).detach())                              # the value of e, the gradient of z
    terms = [(x, x_hat, 1.0), (z.detach(), e, 1.0), (z, e.detach(), 0.25)]
    return sum(weight * ((a - b) ** 2).flatten(1).sum(1) for a, b, weight in terms).mean()

# %% tags=["slide:vq.loss"]
for step in range(budget(quick=700, full=4000)):
    optimizer.zero_grad()
    bare_loss(small.train[torch.randint(len(small.train), (64,))]).backward()
    optimizer.step()
with torch.no_grad():
    outputs = encoder(small.test)
    found = torch.cdist(outputs.movedim(1, -1).flatten(0, 2), table).argmin(1).view(-1, 4, 4)
    rebuilt = decoder(table[found].movedim(-1, 1))
error = float((small.test - rebuilt).square().flatten(1).sum(1).mean())
spread = float((small.test - small.train.mean(0)).square().flatten(1).sum(1).mean())
print(f"squared error of a held-out digit {error:.2f} (the mean digit: {spread:.2f}); {found.unique().numel()} of {K} codes are used")
vq_plots.rows({"held-out digits": small.test[:14], "what is kept of them: 16 codes": found[:14], "drawn from these codes": rebuilt[:14]},
             colour=vq_plots.shades(table), alt="Fourteen small digits, their grids of codes in colour, and the digits drawn from the codes")

# %% [markdown]
# *What you see:* the middle row is all that the decoder is given. One colour is one number; similar vectors have similar colours. Places of paper mostly share a few colours, and pieces of strokes have others.
#
# Four things should puzzle you, and the notebook is their answer:
#
# 1. Where did the KL of the VAE go? (Sections 1 and 4.)
# 2. How does anything learn through an argmin? (Sections 2, 5 and 6.)
# 3. The line above counts the codes that held-out digits use. What became of the others? (Sections 7 and 8.)
# 4. How do we *sample*? (Section 9.)
#
# The library says the same with parts that can be exchanged: a codebook with its rule, and a decoder that is a distribution. A squared error is a Gaussian with $\sigma^2=\frac12$: $-\log\mathcal N=\lVert x-\hat x\rVert^2+\frac D2\log\pi$.

# %% tags=["slide:vq.loss"]
head = vae.FixedGaussianHead(decoder, (1, 8, 8), 0.5**0.5)
model = vq.VQVAE(encoder, head, vq.Codebook(table, vq.GradientUpdate()))
x = small.train[:256]
verify("vq.loss", model.loss(x) - 32 * math.log(math.pi), bare_loss(x), what="library loss = the bare lines", tolerance=1e-5)
reveal(vq.VQVAE.terms, vq.VQVAE.loss)

# %% [markdown]
# ## 1 · A latent variable that is a whole number
# *Slide "Recap of previous lecture" (discrete latent, ELBO)*
#
# Let the latent be one of K numbers, $p(c)=\frac1K$, and the encoder answer with probabilities $q(c\mid\mathbf x)$. The bound is the VAE's, and its KL needs no integral:
#
# $$\mathcal L=\mathbb E_{q(c|\mathbf x)}\log p(\mathbf x\mid c)-\mathrm{KL}(q(c\mid\mathbf x)\,\Vert\,p(c)),\qquad \mathrm{KL}(q\,\Vert\,\text{Uniform})=\log K-H(q).$$
#
# To be unsure costs nothing, to be sure costs $\log K$. On the left the library, on the right draws of c: the mean of $\log q(c)-\log\frac1K$ knows neither entropy nor a sum over k.

# %% tags=["slide:vq.discrete-elbo"]
seed(1)
logits = 2 * torch.randn(4, 6, dtype=torch.float64)                    # four posteriors over six codes
q = logits.softmax(1)
drawn = torch.multinomial(q, 40_000, replacement=True)                 # (4, 40000)
surplus = (q.log() + math.log(6)).gather(1, drawn).T
verify("vq.discrete-elbo", estimate(surplus), vq.kl_to_uniform(logits), what="E_q[log q(c) − log 1/K] = log K − H(q)")
given = torch.randn(6, 9, dtype=torch.float64).log_softmax(1)          # a world of nine pictures: log p(x | c)
exact = given.logsumexp(0) - math.log(6)                               # every log p(x)
posterior = (given - math.log(6) - exact).exp()                        # every p(c | x), by Bayes
elbo = (posterior * given).sum(0) - vq.kl_to_uniform(posterior.T.log())
verify("vq.discrete-elbo", elbo, exact, what="at q = p(c|x) the bound is log p(x), for nine pictures")
reveal(vq.kl_to_uniform)

# %% [markdown]
# Now let one posterior become surer and surer, and watch the two terms. The slider moves $q$ from the true $p(c\mid\mathbf x)$ to certainty of its likeliest code.
#
# **Predict before you drag.** The reconstruction term gets better on the way (only the best code is left). Does the bound get better, too?
# <details><summary>Answer</summary>No. At the true posterior it touches log p(x), and no q can do better. What certainty gains in reconstruction it loses, and more, in the KL, which rises to log K = 1.79.</details>

# %% tags=["slide:vq.discrete-elbo"]
picture_no = int(posterior.max(0).values.argmin())                     # the picture whose code is the least certain
true_q, best = posterior[:, picture_no], given[:, picture_no]

def surer(certainty):
    """Reconstruction, KL and bound of a posterior between the true one and a certain one."""
    sure = torch.nn.functional.one_hot(true_q.argmax(), 6).double()
    q = (1 - certainty) * true_q + certainty * sure
    kl = float(torch.special.xlogy(q, 6 * q).sum())
    rebuilt = float(q @ best)
    heights = {"−reconstruction": -rebuilt, "KL to uniform": kl, "−ELBO": kl - rebuilt, "exact −log p(x)": -float(exact[picture_no])}
    ax = plots.panels(1, 5.2, height=2.7)[0]
    plots.bars(heights, ylabel="nats", ax=ax, title=f"q(likeliest code) = {float(q.max()):.2f}")
    ax.set_ylim(0, 5.2)
    return ax

play(surer, certainty=(0.0, 1.0, 0.05, 0.0))

# %% [markdown]
# ## 2 · A draw that can be differentiated
# *Slide "Recap of previous lecture": "we need an analogue of the reparameterization trick for the discrete distribution"*
#
# A Gaussian draw is $\mu+\sigma\epsilon$: all chance is in $\epsilon$. Here is the same for whole numbers. Take noise $g_k=-\log(-\log u_k)$, $u_k$ uniform, add it to the logits, and take the largest: *the winner is an exact draw of the softmax*. The argmax
# still has no slope; its smooth shadow has one,
#
# $$\mathbf y=\mathrm{softmax}\bigl((\log q+\mathbf g)/\tau\bigr),$$
#
# and as $\tau\to0$ it is the one-hot winner. The check counts winners.

# %% tags=["slide:vq.discrete-reparam"]
seed(2)
many = logits[:1].expand(60_000, 6)
winners = torch.nn.functional.one_hot((many + vq.gumbel_noise(many)).argmax(1), 6).double()
verify("vq.discrete-reparam", estimate(winners), q[0], what="P(code k wins the argmax of logits + g) = softmax_k")
reveal(vq.gumbel_softmax)

# %% [markdown]
# Sixteen soft draws of one posterior, each a column whose colours are the shares of the six codes, and the posterior itself beside them. *Look for* the two ends: nearly one colour a column when it is cold, all colours in every column when it is warm.
#
# **Predict before you drag.** The decoder will be trained on such columns, and used with pure ones. At which temperature is it best prepared? And why not train at 0.05 then?
# <details><summary>Answer</summary>It is best prepared by a low one. But there the softmax is a cliff: nearly everywhere its slope is almost 0, and huge at the edge, so the gradient becomes noise. A temperature in
# between is the usual bargain, often lowered on the way.</details>

# %% tags=["slide:vq.discrete-reparam"]
seed(2)
gumbels = vq.gumbel_noise(logits[1:2].expand(16, 6))

def soft_draws(temperature):
    """Sixteen soft draws of one posterior, and the posterior itself."""
    y = vq.gumbel_softmax(logits[1:2].expand(16, 6), gumbels, temperature)
    return vq_plots.shares([y, q[1:2].expand(2, 6)], names=["16 soft draws, the same noise", "q"],
                          ax=plots.panels(1, 6.4, height=2.6)[0], title=f"$\\tau={temperature:.2f}$")

play(soft_draws, temperature=(0.05, 3.0, 0.05, 0.05))

# %% [markdown]
# Now train a **discrete VAE** on black and white 8 × 8 digits (each pixel cut at half brightness): four latent numbers, 16 codes each, dense networks. Its bound is measured with *hard* draws, so it is a bound on $\log p(\mathbf x)$, whatever the training did. For comparison: bits that are independent, each with its own frequency.

# %% tags=["slide:vq.discrete-reparam"]
bits, held = data.binarise(small.train), data.binarise(small.test)
net, frequency = nets.DenseNet, bits.mean(0).clamp(0.01, 0.99)
independent = torch.where(held == 1, frequency.log(), (1 - frequency).log()).flatten(1).sum(1).mean()
discrete = {}
for temperature in (0.1, 0.7, 3.0):
    seed(3)
    one = vq.GumbelVAE(net(64, (16, 4), 128, 1), vae.BernoulliHead(net(4 * 8, (1, 8, 8), 128, 1), (1, 8, 8)), torch.randn(16, 8), temperature)
    fit(one, bits, Recipe(budget(quick=800, full=4000), 64, 4e-3, decay=linear), report=progress(f"temperature {temperature}"))
    with torch.no_grad():
        soft, kl = (float(part.mean()) for part in one.terms(held))
    hard = float(one.elbo(held, 8).mean())
    print(f"  nats on held-out digits: {-hard:.2f} with hard draws ({kl - soft:.2f} with soft ones), of which KL {kl:.2f} (at most {4 * math.log(16):.2f})")
    discrete[temperature] = one
print(f"independent bits: {-float(independent):.2f} nats")

# %% [markdown]
# *Read the two numbers of a line.* With soft draws a warm model looks far better than it is: it smuggles information through the mixtures, which are no codes. With hard draws the truth comes out. The distance between the two shrinks as the temperature falls.

# %% tags=["slide:vq.discrete-reparam"]
one = discrete[0.7]
with torch.no_grad():
    best_codes = one.encode(held[:14])
    invented = one.decode(torch.randint(16, (14, 4), generator=seed(4))).mean
vq_plots.rows({"held-out digits": 2 * held[:14] - 1, "their likeliest codes, four each": best_codes[:, None],
              "chance of ink, from these codes": 2 * one.decode(best_codes).mean.detach() - 1, "from four codes at random": 2 * invented - 1},
             alt="Digits, their four codes, what the decoder makes of them, and what it makes of random codes")

# %% [markdown]
# The lecture takes another road from here: no draw at all. The encoder *decides*.
#
# ## 3 · The nearest of K vectors
# *Slide "Vector Quantization"*
#
# $$\mathbf z_q=\mathbf e_{k^*},\qquad k^*=\arg\min_k\lVert\mathbf z-\mathbf e_k\rVert.$$
#
# A map of the plane into K countries: everything in a country is told by its capital. Borders lie halfway between capitals (a *Voronoi* diagram), so all countries are convex. With places, the rule is applied at each of them. The check walks through
# all of them with loops and Pythagoras.

# %% tags=["slide:vq.nearest"]
seed(5)
z, vectors = torch.randn(3, 4, 5, 6, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)    # 5 × 6 places, C = 4
codes = vq.nearest(z, vectors)
by_hand = torch.zeros(3, 5, 6).long()
for b in range(3):
    for r in range(5):
        for c in range(6):
            away = [math.dist(z[b, :, r, c].tolist(), e.tolist()) for e in vectors]
            by_hand[b, r, c] = away.index(min(away))
verify("vq.nearest", codes, by_hand, what="codes (B, h, w) = the nearest vector of every place, by loops", tolerance=1e-12)
reveal(vq.nearest)

# %% [markdown]
# Now move the capitals: **drag** them, or choose one with N and P and use the arrow keys. Crosses in vermilion are vectors that no point has chosen. The button *a step of k-means* moves every vector to the middle of its points (section 7 will say why);
# press it ten times, then move a vector far away and press again.
#
# **Predict before you drag.** Which countries change when one capital moves a little? What happens to the mean squared distance when it leaves for an empty corner, and will steps of k-means bring it back?
# <details><summary>Answer</summary>Only its own and its neighbours': borders are shared by two. In the corner nobody chooses it; its neighbours inherit its points, and the error rises. No step brings it back: there are no points whose middle it could move to.</details>

# %% tags=["slide:vq.nearest"]
from dgm_course.teach.widgets.cells import CellPlayer

seed(6)
cloud = data.spiral().stratified(600)
CellPlayer(cloud, data.spiral().stratified(9) + 0.3 * torch.randn(9, 2), label="Nine vectors on a spiral of points, and the region that each of them owns")

# %% [markdown]
# ## 4 · A posterior without doubt
# *Slides "Deterministic Variational Posterior", "ELBO"*
#
# The encoder decides, so $q(c\mid\mathbf x)$ is 1 at $k^*$ and 0 elsewhere. Its entropy is 0, and
#
# $$\mathrm{KL}(q(c\mid\mathbf x)\,\Vert\,p(c))=\log K,\qquad \mathcal L=\log p(\mathbf x\mid\mathbf z_q)-\log K$$
#
# a place. In a world with *one* place everything can be summed up: 16 pictures of four bits, six codes. Left, the library's ELBO of an untrained model; right, the definition, with all six codes in it; and $\log p(\mathbf x)$ itself.

# %% tags=["slide:vq.det-posterior"]
seed(7)
tiny = vq.VQVAE(torch.nn.Sequential(net(4, 3, 16, 1), torch.nn.Unflatten(1, (3, 1))),
                vae.BernoulliHead(net(3, (1, 2, 2), 16, 1), (1, 2, 2)), vq.Codebook(torch.randn(6, 3))).double()
every = torch.cartesian_prod(*[torch.arange(2)] * 4).view(16, 1, 2, 2)
with torch.no_grad():
    chosen = tiny.encode(every)                                        # (16, 1): one place
    one_hot = torch.nn.functional.one_hot(chosen[:, 0], 6).double()    # q(c | x)
    given = torch.stack([tiny.decode(torch.full((16, 1), k)).log_prob(every) for k in range(6)], 1)
    kl = torch.special.xlogy(one_hot, 6 * one_hot).sum(1)              # Σ q log(q/p), with 0 log 0 taken as 0
    by_definition = (one_hot * given).sum(1) - kl
    log_p = (given - math.log(6)).logsumexp(1)
    true_posterior = (given - math.log(6) - log_p[:, None]).gather(1, chosen)[:, 0]
    bound = tiny.elbo(every)
verify("vq.det-posterior", kl, torch.tensor(6.0).double().log(), what="KL of a certain posterior = log K, whatever the picture")
verify("vq.det-posterior", bound, by_definition, what="log p(x|z_q) − log K = E_q log p(x|c) − KL(q ‖ p)")
verify("vq.det-posterior", log_p - bound, -true_posterior, what="log p(x) − ELBO = −log p(k*|x), the price of being certain")
print(f"exp(log p) sums to {float(log_p.exp().sum()):.6f} over all pictures; mean log p {float(log_p.mean()):.3f}, mean ELBO {float(bound.mean()):.3f}")

# %% [markdown]
# The constant does not depend on any weight, so **training never hears of the prior**: what is left is reconstruction. That has two consequences. Nothing pulls the codes towards being uniform; they will not be. And the prior is free to be *learned afterwards* (section 9).
#
# **Predict.** You double K at every one of 49 places. What happens to the loss that is minimised, and what to the ELBO?
# <details><summary>Answer</summary>The loss can only profit: more vectors, smaller error. The ELBO pays 49 · log 2 = 34 nats more. Under a uniform prior a large codebook is expensive whether it is used or not.</details>
#
# ## 5 · Straight through the step
# *Slide "Straight-Through Gradient Estimation"*
#
# $$\frac{\partial\log p(\mathbf x\mid\mathbf z_q)}{\partial\phi}=\frac{\partial\log p}{\partial\mathbf z_q}\cdot\frac{\partial\mathbf z_q}{\partial\mathbf z_e}\cdot\frac{\partial\mathbf z_e}{\partial\phi}\approx\frac{\partial\log p}{\partial\mathbf z_q}\cdot\frac{\partial\mathbf z_e}{\partial\phi}$$
#
# The middle factor is the trouble: $\mathbf z_q$ is a step function of $\mathbf z_e$, its derivative 0 wherever there is one. The slide replaces it by the identity. Three checks: the true gradient is zero (differences); the estimate has the *value* of the gradient at $\mathbf z_q$;
# and it arrives at $\mathbf z_e$.

# %% tags=["slide:vq.straight-through"]
seed(8)
book, w = torch.randn(5, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
z_e = torch.randn(8, 3, dtype=torch.float64)
cost = lambda z: torch.tanh(z @ w).square()                            # some decoder and its loss
z_q = vq.lookup(vq.nearest(z_e, book), book)

at_q = z_q.clone().requires_grad_()
slope_at_q, = torch.autograd.grad(cost(at_q).sum(), at_q)              # the gradient at z_q, by itself
at_e = z_e.clone().requires_grad_()
arrived, = torch.autograd.grad(cost(vq.straight_through(at_e, z_q)).sum(), at_e)
verify("vq.straight-through", arrived, slope_at_q, what="the gradient that reaches z_e = the gradient at z_q")
quantized_cost = lambda z: cost(vq.lookup(vq.nearest(z, book), book))
step = 1e-6 * torch.eye(3, dtype=torch.float64)
true = torch.stack([(quantized_cost(z_e + h) - quantized_cost(z_e - h)) / 2e-6 for h in step], 1)
verify("vq.straight-through", true, 0.0, what="the true derivative through the argmin, by differences: 0", scale=float(slope_at_q.abs().max()))
reveal(vq.straight_through)

# %% [markdown]
# In one dimension it can be seen. *Look for* the flat steps (their slope is 0: no gradient), and the arrows: each is the slope of the green curve **at the vector that was chosen**, reported where z is. Most point towards a cheaper country. Not all must.

# %% tags=["slide:vq.straight-through"]
line = torch.tensor([[-2.2], [-1.0], [0.1], [1.3], [2.4]])
vq_plots.staircase(line, lambda z: 0.35 * (z - 0.7) ** 2 + 0.35 * torch.cos(2.2 * z), torch.tensor([-2.4, -1.3, -0.75, 0.35, 0.95, 1.6, 2.6]),
                  alt="A cost that is a staircase in z, and arrows that show the straight-through estimate of its slope on every step")

# %% [markdown]
# **Predict.** When is the estimate exact, and when is it poor?
# <details><summary>Answer</summary>It is the exact gradient of the cost at z_q. It says something about z as far as z_q is near z, and the cost between them is nearly straight. So the outputs had better stay near their vectors: that is what the commitment term is for.</details>
#
# ## 6 · Three terms, three addressees
# *Introduction lecture, slide "VQ-VAE: Vector Quantized VAE"*
#
# $$\mathcal L=\underbrace{\lVert\mathbf x-\mathcal D(\mathbf e_k)\rVert_2^2}_{\text{reconstruction}}+\underbrace{\lVert\mathrm{sg}[\mathcal E(\mathbf x)]-\mathbf e_k\rVert_2^2}_{\text{codebook}}+\beta\cdot\underbrace{\lVert\mathcal E(\mathbf x)-\mathrm{sg}[\mathbf e_k]\rVert_2^2}_{\text{commitment}}$$
#
# sg is `.detach()`: *here, no gradient*. The second and third term have the same value and different addressees. Take the gradient of each term by itself, and look where it arrives.

# %% tags=["slide:vq.loss"]
trio = vq.VQVAE(nets.GridEncoder(3, 8, 1), vae.FixedGaussianHead(nets.GridDecoder(3, 8, 1), (1, 8, 8), 0.5**0.5),
                vq.Codebook(torch.randn(6, 3), vq.GradientUpdate())).double()
x = small.train[:32].double()
terms = trio.terms(x)
parts = {"encoder": trio.encoder, "codebook": trio.codebook, "decoder": trio.decoder}

def sizes(term):
    """The norm of the gradient of a term, part by part."""
    gradients = {name: torch.autograd.grad(term.mean(), list(part.parameters()), retain_graph=True, allow_unused=True) for name, part in parts.items()}
    return {name: math.sqrt(sum(float(g.square().sum()) for g in found if g is not None)) for name, found in gradients.items()}

norms = {name: sizes(term) for name, term in zip(("reconstruction", "codebook", "commitment"), terms)}
z_e = trio.encoder(x).detach()
codes, slope = trio.codebook.codes(z_e), torch.autograd.grad(terms.codebook.sum(), trio.codebook.vectors, retain_graph=True)[0]
by_hand = torch.stack([2 * (trio.codebook.vectors[k].detach() - z_e.movedim(1, -1)[codes == k]).sum(0) for k in range(6)])
verify("vq.loss", slope, by_hand, what="∂ codebook term / ∂e_k = 2 Σ (e_k − z) over the outputs that chose k")
for term, part in (("reconstruction", "codebook"), ("codebook", "encoder"), ("codebook", "decoder"), ("commitment", "codebook"), ("commitment", "decoder")):
    verify("vq.loss", torch.tensor(norms[term][part]), 0.0, what=f"the {term} term does not move the {part}", scale=norms[term]["codebook" if term == "codebook" else "encoder"])

# %% tags=["slide:vq.loss"]
vq_plots.moves(norms, alt="Table of gradient norms: reconstruction moves encoder and decoder, the codebook term the codebook, commitment the encoder")

# %% [markdown]
# **Predict.** Somebody forgets both stop-gradients. Which cells of this table fill up, and what value does the loss have then?
# <details><summary>Answer</summary>The two lower rows become alike: both move encoder and codebook. The value does not change at all, so no loss curve shows the slip. (Exercise 4.3 looks at gradients for that reason.)</details>
#
# And why not simply let the reconstruction move the codebook, with $\mathbf z_q=\mathbf e_{k^*}$ in the ordinary way? Then the vectors would learn, but nothing would reach the encoder.
#
# ## 7 · The codebook is k-means, and some of it dies
#
# What does the codebook term want? $\mathbf e_k$ in the middle of the outputs that chose it: **k-means**. So one may also write down the middle itself, as a running average over batches, and use no gradient at all:
#
# $$N_k\leftarrow\gamma N_k+(1-\gamma)\,n_k,\qquad \mathbf m_k\leftarrow\gamma\,\mathbf m_k+(1-\gamma)\sum_{\mathbf z\to k}\mathbf z,\qquad \mathbf e_k=\mathbf m_k/N_k.$$
#
# By either rule a vector that nobody chooses does not move. It is **dead**, and nothing will wake it: to be chosen it would have to be near, and to come near it would have to be chosen. The cure is blunt. A vector that was hardly chosen of late is put onto an output drawn at random.
#
# Below, 24 vectors start in one corner of the plane, and the outputs are points of a spiral, 128 a step.

# %%
def settle(rule, revival, steps=240):
    """The ways of 24 vectors that start in a corner, (steps + 1, 24, 2), and the codebook at their end."""
    seed(9)
    book = vq.Codebook(torch.tensor([-2.6, 2.6]) + 0.5 * torch.randn(24, 2), rule, revival)
    descent = torch.optim.SGD(book.parameters(), 0.2) if list(book.parameters()) else None
    way = [book.vectors.detach().clone()]
    for _ in range(steps):
        cost = book(data.spiral().sample(128)).codebook.mean()
        if descent:
            descent.zero_grad(); cost.backward(); descent.step()
        way.append(book.vectors.detach().clone())
    return torch.stack(way), book.eval()

runs = {"by gradient": settle(vq.GradientUpdate(), None), "moving averages": settle(vq.EMAUpdate(0.9), None),
        "moving averages, revived": settle(vq.EMAUpdate(0.9), vq.DeadCodeReset(0.2))}
for name, (_, book) in runs.items():
    codes = book.codes(cloud)
    error = float((cloud - book.lookup(codes).detach()).square().sum(1).mean())
    print(f"{name:26} {codes.unique().numel():2} of 24 in use, perplexity {vq.perplexity(codes, 24):4.1f}, mean squared distance {error:.3f}")

# %% [markdown]
# **Predict before you press play.** The 24 vectors lie in a heap. Which of them will move in the first steps?
# <details><summary>Answer</summary>Those on the rim that faces the spiral: each of them is the nearest to some points. Behind them, in the heap, a vector is the nearest to nothing.</details>
#
# *Look for* vectors that never leave the corner, left and in the middle; on the right they vanish from there and turn up on the spiral.

# %%
TrajectoryPlayer([way for way, _ in runs.values()], data=cloud, titles=list(runs), seconds=6,
                 label="24 codebook vectors settling on a spiral: by gradient, by moving averages, and revived")

# %%
axes = plots.panels(3, 2.5)
for ax, (name, (_, book)) in zip(axes, runs.items()):
    vq_plots.cells(book.vectors, points=cloud, ax=ax, title=name)
plots.shown(axes, alt="Cells of three codebooks on a spiral; crosses are dead vectors, none where they were revived")

# %% [markdown]
# *Perplexity* is the usual meter: $\exp(-\sum_kp_k\log p_k)$ of the shares $p_k$. It is K where all codes come equally often, and 1 where one code says everything.
#
# ## 8 · Digits in 49 numbers
# *Slides "Vector Quantized VAE (VQ-VAE)", "Forward", "Backward"*
#
# The same on real digits, 28 × 28 pixels to 7 × 7 places, K = 64. First three short trainings that differ in the codebook alone: the vectors by gradient, by moving averages, and by moving averages with revival. All start from the *same* vectors, rather far from where the outputs will be: that is how codebooks die in practice. Where `fit` sees a codebook nearly dead, it says so on the way.

# %% tags=["slide:vq.vqvae"]
mnist = data.mnist().to(device())

def short(rule, revival, name):
    """A small VQ-VAE after a short training, and the perplexity of its running usage on the way."""
    seed(10)
    encoder, decoder = nets.GridEncoder(16, 12), nets.GridDecoder(16, 12).start_at(-1.0)
    one = vq.VQVAE(encoder, vae.FixedGaussianHead(decoder, (1, 28, 28), 0.5**0.5), vq.Codebook(torch.randn(64, 16), rule, revival)).to(device())
    meter, show = [], progress(name)
    def report(history):
        show(history)
        meter.append(one.codebook.perplexity)
    fit(one, mnist.train, Recipe(budget(quick=220, full=3000), 64, 3e-3, warmup=20, decay=linear, clip=100.0), report=report)
    return one, meter

cures = {"by gradient": (vq.GradientUpdate(), None), "moving averages": (vq.EMAUpdate(0.95), None),
         "averages, revived": (vq.EMAUpdate(0.95), vq.DeadCodeReset(0.4))}
trained = {name: short(*cure, name) for name, cure in cures.items()}

# %% tags=["slide:vq.vqvae"]
used = {}
for name, (one, _) in trained.items():
    with torch.no_grad():
        codes = one.encode(mnist.test)
        error = float((mnist.test - one.picture(codes)).square().flatten(1).sum(1).mean())
    used[name] = torch.bincount(codes.flatten(), minlength=64) / codes.numel()
    print(f"{name:18} squared error of a held-out digit {error:5.1f}, perplexity {vq.perplexity(codes, 64):4.1f} of 64")
vq_plots.usage(used, alt="Share of each code, most used first, for three codebooks: with revival hardly any is dead")

# %% tags=["slide:vq.vqvae"]
steps = range(len(trained["by gradient"][1]))
plots.curves({name: (steps, meter) for name, (_, meter) in trained.items()}, xlabel="step of the training",
            ylabel="codes in effective use", alt="Perplexity of the running usage through training: it falls to a few codes, and jumps up where the dead are revived")

# %% [markdown]
# *What to see:* every curve starts at 64 only because the running shares begin even, and falls as they forget that: a few vectors win everything at once. Without a cure the others never get a turn. With it, all the dead are put onto outputs as soon as their
# running share is low enough (the jump), and from then on nearly all are used; the held-out error tells what that is worth. (Until the jump, "moving averages" and "averages, revived" are the very same run.)
#
# Now where it leads: the weights that come with the course (`dgm train vqvae_digits` repeats their training, a few minutes on one core).

# %% tags=["slide:vq.vqvae"]
tokens = pretrained.load("vqvae_digits")
test, labels = mnist.test.cpu(), mnist.test_labels.cpu()
digit_codes = tokens.encode(test)
back = tokens.picture(digit_codes)
seen = pretrained.vq.recognised
error = float((test - back).square().flatten(1).sum(1).mean())
print(f"{len(test)} held-out digits: squared error {error:.1f} (the mean digit: {float((test - test.mean(0)).square().flatten(1).sum(1).mean()):.0f}); "
      f"{digit_codes.unique().numel()} of 64 codes in use, perplexity {vq.perplexity(digit_codes, 64):.1f}")
print(f"recognised (the right class, with probability 0.9 or more): {float(seen(test, labels).float().mean()):.1%} of the digits, {float(seen(back, labels).float().mean()):.1%} of what came back")
vq_plots.rows({"held-out digits": test[:14], "49 codes each": digit_codes[:14], "drawn from the codes": back[:14]}, colour=vq_plots.shades(tokens.codebook.vectors),
             alt="Fourteen digits, their 7 by 7 grids of codes, and their reconstructions, hardly to be told from the originals")

# %% [markdown]
# A digit is 784 bytes; its codes are $49\cdot\log_264=294$ bits, 37 bytes. What does *one* code say? Put one code at every place of an empty page, or change the code of a single place under the slider.
#
# **Predict before you choose.** If the codes were letters of an alphabet of strokes, changing one place would change 4 × 4 pixels. Does it?
# <details><summary>Answer</summary>It changes a blot of about that place, and some pixels around: the decoder looks at neighbours before it draws, so a code means something in its company.</details>

# %% tags=["slide:vq.vqvae"]
def one_code(code, row, column):
    """A digit, the same with one code changed, and the difference."""
    changed = digit_codes[3:4].clone()
    changed[0, row, column] = code
    new = tokens.picture(changed)
    axes = plots.panels(3, 2.1)
    plots.images(back[3:4], columns=1, ax=axes[0], title="as it was")
    plots.images(new, columns=1, ax=axes[1], title=f"place ({row}, {column}) told {code}")
    plots.heat((back[3, 0] - new[0, 0]).flip(0).T, ax=axes[2], size=1.5, title="what changed")
    return axes

play(one_code, code=(0, 63, 1, 0), row=(0, 6, 1, 3), column=(0, 6, 1, 3))

# %% [markdown]
# ## 9 · Sampling: which numbers?
# *Slide "Sample Diversity", and the uniform $p(c)$ of the ELBO*
#
# The model's own prior says that all $64^{49}$ grids are equally likely. Draw some, decode, and look. Then learn the prior: an autoregressive model (notebook 01) of the 49 codes, trained on the codes of the training digits, told the class. The VQ-VAE itself is not touched.

# %% tags=["slide:vq.uniform-vs-learned"]
prior = pretrained.load("vq_prior_digits")
uniform = vq.UniformCodes(64, (7, 7))
asked = pretrained.balanced(500, labels)                               # fifty of each class
seed(11)
learned_codes, uniform_codes = prior.sample(len(asked), asked), uniform.sample(len(asked))
written, noise = tokens.picture(learned_codes), tokens.picture(uniform_codes)
few = torch.arange(14) * 500 // 14
plots.gallery({"codes from the uniform prior": noise[few], "codes from the learned prior": written[few]}, columns=14,
             alt="Fourteen decodings of uniform codes, scribble; fourteen of learned codes, digits")

# %% tags=["slide:vq.uniform-vs-learned"]
for name, (x, y) in {"held-out digits": (test, labels), "learned prior": (written, asked), "uniform prior": (noise, asked)}.items():
    print(f"{name:16} recognised as some digit: {float(seen(x).float().mean()):6.1%}   as the one asked for: {float(seen(x, y).float().mean()):6.1%}")
log_prior = prior.log_prob(digit_codes, labels)
gain = tokens.elbo(test, prior, labels) - tokens.elbo(test)
print(f"-log p(codes) of held-out digits: {-float(log_prior.mean()):.1f} nats learned, {-float(uniform.log_prob(digit_codes).mean()):.1f} uniform (49 log 64)")
verify("vq.uniform-vs-learned", gain, log_prior + 49 * math.log(64), what="the ELBO gains exactly what the prior saves on the codes", tolerance=1e-4)

# %% [markdown]
# ("Recognised" is the word of one fixed classifier that gives a class probability 0.9 or more. A classifier must say *something*, so a few scribbles pass as well: compare the rows.)
#
# The failure of the uniform prior is no accident of training: section 4 showed that training never hears of it. The mean of the posteriors, which the best prior equals (ELBO surgery, notebook 03), is far from uniform, and here it is learned by a model with memory.
#
# ### Diversity
#
# The slide puts samples of one class beside those of a GAN, and asks which set has more *different* ones. A classifier's features give numbers. **Precision**: which share of samples lies among real digits. **Recall**: which share of real digits lies among samples; a model that repeats itself misses it. Both with
# 500 samples and k = 5; real digits against other real digits are the floor. The GAN is the course's DCGAN (notebook 05).

# %% tags=["slide:vq.uniform-vs-learned"]
judge, gan = pretrained.load("digit_classifier"), pretrained.load("dcgan_digits")
seed(12)
forged = gan.sample(len(asked))
others = torch.cat([mnist.train.cpu()[mnist.train_labels.cpu() == k][:50] for k in range(10)])
rivals = {"other real digits": others, "VQ-VAE, learned prior": written, "DCGAN": forged, "VQ-VAE, uniform prior": noise}
with torch.no_grad():
    real = judge.features(test[:500])
    for name, x in rivals.items():
        found = metrics.precision_recall_coverage(real, judge.features(x))
        share = torch.bincount(judge(x).argmax(1), minlength=10) / len(x)
        print(f"{name:22} precision {found.precision:.2f}, recall {found.recall:.2f}, rarest class {float(share.min()):.1%}")
    sevens = {name: x[judge(x).argmax(1) == 7][:12] for name, x in rivals.items() if name != "VQ-VAE, uniform prior"}
plots.gallery({f"sevens: {name}": x for name, x in sevens.items()}, alt="Twelve sevens each: real ones, from the VQ-VAE with its prior, and from the GAN")

# %% [markdown]
# On these small digits the slide's contrast is mild: this GAN was trained with a penalty that keeps it from collapsing, its recall is close to that of the codes, and what sets the two apart is rather precision. (The uniform prior shows what a recall near 0 looks like.) Two cautions belong to the comparison. The prior was *told* the classes
# in equal shares, the GAN was not; so the rarest class is no merit of the model's. And at n = 500 such shares are good to a few hundredths: the first line says what real digits reach.
#
# ## 10 · Two grids: VQ-VAE-2
# *Slide "Vector Quantized VAE-2 (VQ-VAE-2)"*
#
# $$\mathbf c\in\{1,\dots,K\}^{W\times H},\qquad q(\mathbf c\mid\mathbf x)=\prod_{i,j}q(c_{ij}\mid\mathbf x),\qquad p(\mathbf c)=\prod_{i,j}\mathrm{Uniform}\{1,\dots,K\}$$
#
# This is the grid of codes that we have used all along: the posterior is a product over places, each certain, so the KL is $WH\log K$.
#
# > **A note on the slide.** What it writes down is *one* grid, which the first VQ-VAE has already. The model of that name adds a second: a coarse grid (here 4 × 4), and a fine one (7 × 7) that is told what the coarse one says. The decoder hears both.
#
# What does each level hold? Our decoder was trained to do without the fine grid for a fifth of the samples (an addition of ours), so the question *what does the top alone say?* has a fair answer.

# %% tags=["slide:vq.vqvae2"]
levels = pretrained.load("vqvae2_digits")
with torch.no_grad():
    grids = levels.encode(test)
    both, top_alone = levels.decode(*grids).mean, levels.decode(grids.top).mean
    bound = levels.elbo(test) - levels.decode(*grids).log_prob(test)
verify("vq.vqvae2", bound, -(16 + 49) * math.log(64), what="both grids cost log K a place: ELBO = log p(x|both) − 65 log K", tolerance=1e-5)
for name, x in {"top alone, 16 codes": top_alone, "top and bottom, 65 codes": both, "one level, 49 codes": back}.items():
    print(f"{name:26} squared error of a held-out digit {float((test - x).square().flatten(1).sum(1).mean()):5.1f}, recognised {float(seen(x, labels).float().mean()):.1%}")
vq_plots.rows({"held-out digits": test[:14], "top: 4 × 4 codes": grids.top[:14], "from the top alone": top_alone[:14], "bottom: 7 × 7 codes": grids.bottom[:14],
              "from both": both[:14]}, alt="Digits, coarse codes, the blurred digits that these alone give, fine codes, and the sharp digits from both")

# %% [markdown]
# *Read it from the top down.* Sixteen codes fix which digit it is, where it stands and how it slants; the rest is blur, because the decoder must average over all that the bottom could have said. The bottom adds edges.
#
# **Predict.** Keep the top codes of one digit and take the bottom codes of another. Whose digit do you see?
# <details><summary>Answer</summary>The top's, a little damaged. The bottom was told what its own top says, and adds to it; on another's top its additions are mistakes, but they are small ones: three times as many codes, and they hold only what was missing.</details>

# %% tags=["slide:vq.vqvae2"]
with torch.no_grad():
    crossed = levels.decode(grids.top[:14], grids.bottom[1:15]).mean
plots.gallery({"the top's digit": test[:14], "the bottom's digit": test[1:15], "decoded together": crossed}, columns=14,
             alt="Digits decoded from the coarse codes of one and the fine codes of another")

# %% [markdown]
# ## 11 · What this shares with the other families
#
# * **VAE (02)**: the same bound with a posterior that is certain. Nothing collapses here, because nothing is gained by ignoring the code; what can die is a part of the codebook.
# * **ELBO surgery (03)**: the best prior is the mean of the posteriors. Here one simply learns it afterwards.
# * **Autoregressive models (01)** write the codes; **absorbing diffusion (09)** could, too; **latent-space models (10)** do it with larger pictures, and sharpen the decoder with a critic (05).
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | VQ-VAE with a learned prior | yes | a bound | one a code, then one | a grid of whole numbers |
#
# ## Homework
#
# Seven exercises, nine points. Sums over coordinates, means over the batch. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the reference takes your place so that everything below still runs.
#
# **Exercise 4.1 · the nearest vector (1 point).** Its number, at every place. Mind where the channels are.

# %% exercise="vq.nearest"
def nearest(z, codebook):
    """k* at every place.     z (B, C, H, W), codebook (K, C)  ->  (B, H, W) whole numbers"""
    ### BEGIN SOLUTION
    rows = z.movedim(1, -1)
    return (rows[..., None, :] - codebook).square().sum(-1).argmin(-1)
    ### END SOLUTION

# %% check="vq.nearest" points=1
nearest = check("vq.nearest", nearest)

# %% [markdown]
# **Exercise 4.2 · a gradient that steps over (1 point).** The value of `z_q`; the gradient goes to `z_e`, unchanged, and not to `z_q`.

# %% exercise="vq.straight_through"
def straight_through(z_e, z_q):
    """What the decoder is given.     (B, D), (B, D)  ->  (B, D)"""
    ### BEGIN SOLUTION
    return z_e + (z_q - z_e).detach()
    ### END SOLUTION

# %% check="vq.straight_through" points=1
straight_through = check("vq.straight_through", straight_through)

# %% [markdown]
# **Exercise 4.3 · the loss of a VQ-VAE (2 points).** Reconstruction, codebook term and `commitment` times the commitment term; each a sum over its coordinates, then the mean over the batch. `e` holds the chosen vectors, `x_hat` what was decoded. Values *and* gradients are judged.

# %% exercise="vq.loss"
def vq_loss(x, x_hat, z_e, e, commitment):
    """The three terms.     x, x_hat (B, D), z_e, e (B, M), a number  ->  ()"""
    ### BEGIN SOLUTION
    reconstruction = ((x - x_hat) ** 2).sum(1)
    codebook_term = ((z_e.detach() - e) ** 2).sum(1)
    commit = ((z_e - e.detach()) ** 2).sum(1)
    return (reconstruction + codebook_term + commitment * commit).mean()
    ### END SOLUTION

# %% check="vq.loss" points=2
vq_loss = check("vq.loss", vq_loss)

# %% [markdown]
# **Exercise 4.4 · how many codes are in use (1 point).** The perplexity of all codes of the batch together; a code that never comes counts nothing.

# %% exercise="vq.perplexity"
def codes_in_use(codes, size):
    """exp of the entropy, in nats, of the shares.     codes (B, L) whole numbers below size  ->  a number"""
    ### BEGIN SOLUTION
    p = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return torch.exp(-torch.xlogy(p, p).sum())
    ### END SOLUTION

# %% check="vq.perplexity" points=1
codes_in_use = check("vq.perplexity", codes_in_use)

# %% [markdown]
# **Exercise 4.5 · a soft draw (1 point).** The Gumbel-softmax sample; the uniform noise `u` is given.

# %% exercise="vq.gumbel_softmax"
def soft_draw(logits, u, temperature):
    """y, each row of which sums to one.     logits, u (B, K), a number  ->  (B, K)"""
    ### BEGIN SOLUTION
    g = -torch.log(-torch.log(u))
    return ((logits + g) / temperature).softmax(1)
    ### END SOLUTION

# %% check="vq.gumbel_softmax" points=1
soft_draw = check("vq.gumbel_softmax", soft_draw)

# %% [markdown]
# **Exercise 4.6 · a codebook by moving averages (2 points).** The counts and sums after a batch of outputs `z` with their `codes`, and the vectors they give. `decay` is $\gamma$, the share that stays.

# %% exercise="vq.ema_update"
def ema_update(counts, sums, z, codes, decay):
    """counts, sums, vectors.     counts (K,), sums (K, C), z (B, C), codes (B,), a number  ->  (K,), (K, C), (K, C)"""
    ### BEGIN SOLUTION
    chosen = torch.nn.functional.one_hot(codes, len(counts)).to(z.dtype)
    counts = decay * counts + (1 - decay) * chosen.sum(0)
    sums = decay * sums + (1 - decay) * chosen.T @ z
    return counts, sums, sums / counts[:, None]
    ### END SOLUTION

# %% check="vq.ema_update" points=2
ema_update = check("vq.ema_update", ema_update)

# %% [markdown]
# **Exercise 4.7 · the bound with a prior over codes (1 point).** The posterior is certain of `codes`. `logits` are the prior's at every place (of an autoregressive model, given the places before), not normalised.

# %% exercise="vq.elbo"
def elbo_of_codes(log_p_x, codes, logits):
    """The ELBO of every picture, in nats.     log p(x|z_q) (B,), codes (B, L), logits (B, L, K)  ->  (B,)"""
    ### BEGIN SOLUTION
    log_prior = logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0]
    return log_p_x + log_prior.sum(1)
    ### END SOLUTION

# %% check="vq.elbo" points=1
elbo_of_codes = check("vq.elbo", elbo_of_codes)

# %% [markdown]
# **Now put your pieces together.** Your codes, your step and your loss train a VQ-VAE on the small digits; your averages move its table (the codebook's own term then has nothing to do), your perplexity watches, and your bound judges it under a uniform prior. (Where a piece is still missing the reference stands in.)

# %%
seed(13)
eyes, hand = nets.GridEncoder(8, 16, 1), nets.GridDecoder(8, 16, 1)
with torch.no_grad():
    start = eyes(small.train[:200]).movedim(1, -1).flatten(0, 2)
sums = start[torch.randperm(len(start))[:32]].clone()                  # the vectors start on outputs: another cure for dead codes
counts, vectors = torch.ones(32), sums.clone()
optimizer = torch.optim.AdamW([*eyes.parameters(), *hand.parameters()], lr=4e-3)
for step in range(budget(quick=400, full=3000)):
    x = small.train[torch.randint(len(small.train), (64,))]
    z = eyes(x)
    codes = nearest(z, vectors).long()
    e = vectors[codes].movedim(-1, 1)
    x_hat = hand(straight_through(z.flatten(1), e.flatten(1)).view_as(z))
    optimizer.zero_grad()
    vq_loss(x.flatten(1), x_hat.flatten(1), z.flatten(1), e.flatten(1), 0.25).backward()
    optimizer.step()
    counts, sums, vectors = ema_update(counts, sums, z.detach().movedim(1, -1).flatten(0, 2), codes.flatten(), 0.95)

# %%
with torch.no_grad():
    codes = nearest(eyes(small.test), vectors).long()
    mine = hand(vectors[codes].movedim(-1, 1))
error = (small.test - mine).square().flatten(1).sum(1)
bound = elbo_of_codes(-error - 32 * math.log(math.pi), codes.flatten(1), torch.zeros(len(codes), 16, 32))
print(f"your VQ-VAE: squared error {float(error.mean()):.2f} (the mean digit {spread:.2f}), {float(codes_in_use(codes.flatten(1), 32)):.1f} of 32 codes "
      f"in effective use, ELBO {float(bound.mean()):.1f} nats (σ² = ½, uniform prior)")
vq_plots.rows({"held-out digits": small.test[:14], "your codes": codes[:14], "your reconstructions": mine[:14]}, colour=vq_plots.shades(vectors),
             alt="Small digits, their codes, and their reconstructions by the reader's own pieces")

# %% [markdown]
# **Written (think, then unfold).** *A colleague reports an ELBO in nats for a VQ-VAE with K = 512 and one with K = 1024, both with the uniform prior, and concludes that the smaller is the better model. What would you ask?*
# <details><summary>Answer</summary>What a learned prior does to both. Under the uniform one each place costs log K whether or not the codes are used; a model whose additional 512 codes are dead pays for them all the same. With a prior that knows the shares, dead codes are free, and the comparison
# is about what the codes say.</details>
#
# *Why does a VQ-VAE with a strong decoder not suffer posterior collapse as a VAE may?*
# <details><summary>Answer</summary>The KL is a constant, so nothing is saved by making the code say nothing: there is no force towards collapse. A very strong (for instance autoregressive) decoder may still not *listen*; then the codes carry whatever they carry, and the gradient that would improve them is small.</details>
#
# ## References
#
# * van den Oord, Vinyals, Kavukcuoglu: *Neural Discrete Representation Learning* (VQ-VAE), 2017. The three terms; moving averages in its appendix.
# * Razavi, van den Oord, Vinyals: *Generating Diverse High-Fidelity Images with VQ-VAE-2*, 2019. Two grids, and the comparison with BigGAN-deep.
# * Jang, Gu, Poole: *Categorical Reparameterization with Gumbel-Softmax*, 2017; Maddison, Mnih, Teh: *The Concrete Distribution*, 2017.
# * Bengio, Léonard, Courville: *Estimating or Propagating Gradients Through Stochastic Neurons*, 2013. Straight through.
# * Dhariwal et al.: *Jukebox*, 2020. Reviving dead codes by putting them onto outputs.
