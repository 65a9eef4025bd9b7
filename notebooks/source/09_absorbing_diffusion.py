# %% [markdown]
# # 09 · Absorbing diffusion
#
# *Lecture 14 (autumn 2025), from "Absorbing Diffusion: Forward Process" to "Absorbing Diffusion as Multi-step Masked LM"*
#
# **The promise.** Text, codes, black and white pixels: no noise can be *added* to them. But they can be hidden. At the end you know
# the whole chain of hiding and guessing, forwards and backwards, with every formula of these slides (which the lecture itself still marks as
# "not ready") compared with brute force on a small language; and you have watched digits appear, pixel by pixel.
#
# | | |
# |---|---|
# | **time** | Run All takes about a minute and a half on two CPU cores; on a GPU the full budget runs by itself |
# | **you need** | Bayes' rule, cross-entropy, KL; notebook 07 or 08 helps: this is the same idea with masks for noise |
# | **how to read** | run a cell, look at what the text told you to look for, answer the *Predict* before you move a slider |
#
# **Two clocks, once and for all**
#
# | what | here | the slides |
# |---|---|---|
# | continuous time | `t`: 0 is all masked, 1 is data | they run the other way |
# | discrete step | `k` = 1 … T from data to masks; step k is time $t=1-k/T$ | written $t$ |
# | survival | `alpha(t)`, the probability that a token is still visible | $\bar\alpha_t$ (no square here: it is a probability) |
# | clean, corrupted | `x1`, `xt` | $\mathbf x_0$, $\mathbf x_t$ |
# | matrices | columns are *from*, rows are *to*: $p_{\text{new}}=Q\,p_{\text{old}}$, columns sum to one | the same |
# | mask token | `mask_id` = K, after the clean tokens 0 … K − 1 | $m$ |
# | losses | a sum over positions, in nats a sample | the same |

# %%
import torch
from dgm_course import data, nets, paths, pretrained
from dgm_course.training import Recipe, fit, linear
from dgm_course.paths import MaskPath, maskgit_step, cosine_reveal, geometric_reveal, ddim
from dgm_course.teach import FramePlayer, check, estimate, oracles, play, plots, progress, reveal, verify
from dgm_course.core.tensors import budget, device, seed

# %% [markdown]
# ## 0 · The whole idea in thirty lines
#
# Take a word, hide some of its letters, and ask a network: *which letters were these?* Train at every share of hidden letters, from a few to all. Then
# start from a word that is all hidden, and let the letters appear, a few at a time, each drawn from what the network thinks. That is all.
#
# Our words come from a **little language** over a, b, c with five letters: after a letter its successor is likely (after c comes a), and words like to end with
# the letter they began with. There are $3^5=243$ words; each has a known probability, so every answer below can be compared with the truth.

# %%
language = data.little_language()
print(language, "of entropy")
plots.letters(language.sample(24), alphabet="abc", alt="Twenty-four words of the little language, one a column")

# %% tags=["slide:abs.training"]
seed(0); torch.set_num_threads(1)
K, L, MASK = 3, 5, 3
Layer, act = torch.nn.Linear, torch.nn.SiLU()
net = torch.nn.Sequential(Layer(L * (K + 1) + 1, 128), act, Layer(128, 128), act, Layer(128, L * K))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)

def logits_of(xt, t):
    one_hot = torch.nn.functional.one_hot(xt, K + 1).flatten(1).float()
    return net(torch.cat([one_hot, t[:, None]], 1)).view(-1, L, K)

def bare_loss(x1, hours, t):
    hidden = hours >= t[:, None]                                       # a letter's hour has not come yet
    xt = torch.where(hidden, MASK, x1)
    surprise = torch.nn.functional.cross_entropy(logits_of(xt, t).mT, x1, reduction="none")
    return ((surprise * hidden).sum(1) / (1 - t)).mean()               # only hidden letters, weight 1/(1 − t)

for step in range(budget(quick=1200, full=5000)):
    optimizer.zero_grad()
    bare_loss(language.sample(256), torch.rand(256, L), torch.rand(256)).backward()
    optimizer.step()

# %%
@torch.no_grad()
def bare_sample(n, steps):
    x = torch.full((n, L), MASK)
    for k in range(steps):
        t = torch.full((n,), k / steps)
        revealed = torch.rand(n, L) < 1 / (steps - k)                      # so many of the hidden ones appear now
        letters = torch.distributions.Categorical(logits=logits_of(x, t)).sample()
        x = torch.where((x == MASK) & revealed, letters, x)
    return x

words = bare_sample(20_000, steps=20)
truth = {tuple(w.tolist()): float(p) for w, p in zip(language.sequences, language.probs.flatten())}
counts = {w: 0 for w in truth}
for w in words.tolist():
    counts[tuple(w)] += 1 / len(words)
print("the most likely words     truth  samples")
for w in sorted(truth, key=truth.get, reverse=True)[:6]:
    print(f"{''.join('abc'[v] for v in w):24} {truth[w]:6.3f}   {counts[w]:6.3f}")

# %% [markdown]
# Roughly, the network has learned the language (training was short, and twenty steps cost a little too). Nothing else in this notebook is needed to *do* absorbing diffusion; the rest is needed to understand it, since three
# things should puzzle you:
#
# 1. Where does the weight $1/(1-t)$ come from, and what happens without it? (Section 5.)
# 2. Letters that appear in the same step are drawn independently of one another. What does that cost? (Sections 4 and 7.)
# 3. Is this a likelihood model? What is $\log p(\mathbf x)$ of a word? (Sections 4 and 6.)
#
# From here on the library does the housekeeping. It computes the very same numbers, and with the *same* `loss` and `sample` as flow matching and diffusion:

# %%
model = paths.PathModel(nets.TokenMLP(K, L), MaskPath(K), event=(L,), prediction="data")
model.net.layers.load_state_dict(net.state_dict())
x1 = language.sample(256)
seed(1); from_library = model.loss(x1)
seed(1); hours, t = torch.rand(256, L), torch.rand(256)
verify("abs.training", from_library, bare_loss(x1, hours, t), what="library loss = the bare lines", tolerance=1e-5)
assert paths.PathModel.loss is paths.flow_matching(nets.MLP(2), (2,)).loss.__func__
reveal(paths.PathModel.loss)

# %% [markdown]
# ## 1 · Forward: a letter stays, or it is gone for good
# *Slide "Absorbing Diffusion: Forward Process"*
#
# In each step a token is kept with probability $1-\beta_k$ and replaced by the mask with probability $\beta_k$. As a matrix on probability vectors over $K+1$
# symbols, and multiplied up over $k$ steps:
#
# $$\mathbf Q_k=(1-\beta_k)\,\mathbf I+\beta_k\,\mathbf e_m\mathbf 1^\top,\qquad \mathbf Q_{1:k}=\bar\alpha_k\,\mathbf I+(1-\bar\alpha_k)\,\mathbf e_m\mathbf 1^\top,\qquad \bar\alpha_k=\prod_{j\le k}(1-\beta_j).$$
#
# The product has the same shape as its factors: to be visible after $k$ steps, a token must have survived each of them, and the mask never gives anything back. Check it by
# multiplying the matrices, for eight arbitrary $\beta$. &nbsp; $\bar\alpha$ = `alpha`

# %% tags=["slide:abs.q-matrix"]
betas = torch.tensor([0.1, 0.3, 0.05, 0.4, 0.6, 0.2, 0.9, 1.0], dtype=torch.float64)
chain, T = MaskPath.chain(betas, vocabulary=K), len(betas)
all_to_mask = torch.tensor([[0.0] * 4] * 3 + [[1.0] * 4]).double()     # e_m 1ᵀ
one_step = [(1 - b) * torch.eye(K + 1).double() + b * all_to_mask for b in betas]
product = torch.eye(K + 1, dtype=torch.float64)
for k in range(1, T + 1):                              # from data (k = 0) to masks (k = T)
    product = one_step[k - 1] @ product
    closed = chain.transition(1.0, torch.tensor(1 - k / T, dtype=torch.float64))
    verify("abs.q-matrix", closed, product, what=f"Q₁:{k} = ᾱI + (1 − ᾱ)e_m1ᵀ = the product of {k} matrices")
print("ᾱ:", [round(float((1 - betas)[:k].prod()), 3) for k in range(T + 1)])

# %% tags=["slide:abs.q-matrix"]
def two_matrices(k):
    axes, names = plots.panels(2, 3.0), ["a", "b", "c", "mask"]
    plots.matrix(one_step[k - 1], names=names, ax=axes[0],
                title=f"$Q_{k}$: this step, $\\beta_{k}={float(betas[k - 1]):.2f}$")
    so_far = chain.transition(1.0, 1 - k / T)
    plots.matrix(so_far, names=names, ax=axes[1], title=f"$Q_{{1:{k}}}$: all steps so far")
    return axes

play(two_matrices, k=(1, 8, 1, 3))

# %% [markdown]
# Read a column: *from* this symbol. Each has mass in two places only, itself and the mask; the last column never changes, which is what *absorbing* means.
#
# **Predict before you drag.** The right matrix at k = 8 has rank one. Why must it, and what would go wrong if it did not?
# <details><summary>Answer</summary>The last β is 1: everything is masked, all columns are equal, and nothing is left of the data. If some letters survived, the chain would end in a
# distribution that still depends on the data, and a sampler that starts from all masks would start in the wrong place. The library refuses such a schedule.</details>

# %%
try:
    MaskPath.chain(betas[:-1], vocabulary=K)
except ValueError as refusal:
    print(refusal)

# %% [markdown]
# A column of $\mathbf Q_{1:k}$ *is* the marginal of a token, the slide's three cases:
#
# $$q(x_k\mid x_0)=\bar\alpha_k\ \text{ if } x_k=x_0,\qquad 1-\bar\alpha_k\ \text{ if } x_k=m,\qquad 0\ \text{ otherwise.}$$
#
# The check simulates the chain step by step, with dice, 40,000 times, and counts.

# %% tags=["slide:abs.marginal"]
seed(2)
for start in range(K):
    token = torch.full((40_000,), start)
    for k in range(1, 6):
        chances = one_step[k - 1][:, token].T                          # the row of each token's next symbol
        token = torch.multinomial(chances, 1)[:, 0]
    seen = torch.nn.functional.one_hot(token, K + 1).double()
    verify("abs.marginal", estimate(seen), chain.transition(1.0, torch.tensor(1 - 5 / T).double())[:, start],
           what=f"from {'abc'[start]}, 5 random steps: visible {float((1 - betas[:5]).prod()):.3f}, else masked")

# %% [markdown]
# ## 2 · Words and images: every token on its own
# *Slide "Absorbing / Masked Diffusion: Sequence View"*
#
# A sequence is corrupted position by position, independently: $q(\mathbf x_k\mid\mathbf x_0)=\prod_\ell q(x_k^\ell\mid x_0^\ell)$. So one can say it all at once: give each token an *hour*, a
# uniform random number, and show it as soon as $\alpha(t)$ has passed it. The hour plays the part that the noise plays in the other notebooks (`x0` in the code), and as $t$ grows the tokens of one
# sample appear one by one. `path.marginal(language, t)` is the exact distribution of corrupted words, all $4^5=1024$ of them.

# %% tags=["slide:abs.sequence"]
path = MaskPath(K)
corrupted = path.marginal(language, 0.6)                               # Q applied to every letter of every word
survive, shown = 0.6, torch.tensor([[0, MASK, 1, MASK, 0]])            # a · b · a
fits = ((language.sequences == shown) | (shown == MASK)).all(1)
by_hand = survive**3 * (1 - survive) ** 2 * language.probs.flatten()[fits].sum()     # three visible, two hidden
verify("abs.sequence", corrupted.log_prob(shown).exp()[0], by_hand,
       what="p_t of one pattern = ᾱ³(1 − ᾱ)² Σ of the words that fit", tolerance=1e-5)
seen = (path.corrupt(language.sample(60_000), 0.6)[0] != MASK).double()
pairs = estimate((seen[:, :, None] * seen[:, None]).flatten(1))
expected = torch.where(torch.eye(L).bool(), survive, survive**2).double().flatten()
verify("abs.sequence", pairs, expected, what="two letters are visible together with ᾱ²: independent hours")

# %% tags=["slide:abs.sequence"]
mnist = data.mnist().to(device())
bits = data.DynamicallyBinarized(mnist.test).fixed()
schedules = {"linear": paths.linear_reveal, "cosine": cosine_reveal, "geometric": geometric_reveal}
seed(3); hours = torch.rand(12, 1, 28, 28)

def corrupted_digits(t, schedule):
    twelve = bits[::80][:12].cpu()
    xt, _ = MaskPath(2, schedules[schedule]).corrupt(twelve, t, hours)
    return plots.images(plots.ink(xt), columns=6, title=f"t = {t:.2f}, visible: {float((xt != 2).float().mean()):.0%}")

play(corrupted_digits, t=(0.0, 1.0, 0.05, 0.4), schedule=list(schedules))

# %%
ts = torch.linspace(0, 1, 101)
plots.curves({name: (ts, alpha(ts)) for name, alpha in schedules.items()},
            xlabel="t: 0 all masked, 1 data (the slides count 1 − t)", ylabel="alpha: share visible",
            alt="Share of visible tokens over time for three schedules")

# %% [markdown]
# Grey is hidden. BERT masks 15 % of the tokens, once. Here every share from none to all occurs: a *multi-step* schedule. The three schedules pass through the same stations at
# different times; what that changes, and what it cannot change, we measure in section 5.
#
# **Predict before you drag.** With the *geometric* schedule, at which t is half of the image visible? What does a sampler with equal steps in t do with its last half?
# <details><summary>Answer</summary>At about t = 0.27. Nothing happens before 0.1, most tokens appear between 0.2 and 0.4, and the last half has hardly anything left to do: a sampler with equal steps in t
# reveals very many tokens in few of its steps, and wastes the rest.</details>
#
# ## 3 · Backwards, if one knew the answer: the posterior
# *Slides "Posterior in Absorbing Diffusion: Unmask vs Stay Masked" (cases 1 and 2), "Interpretation"*
#
# $$q(x_{k-1}\mid x_k,x_0)=\frac{q(x_k\mid x_{k-1})\,q(x_{k-1}\mid x_0)}{q(x_k\mid x_0)}$$
#
# In the numerator, for a token that is masked now: either it was clean at $k-1$ (probability $\bar\alpha_{k-1}$) and is masked in this step ($\beta_k$), or it was masked before ($1-\bar\alpha_{k-1}$); together $1-\bar\alpha_k$. So there are only two cases. **Visible**, $x_k=x_0$: it was never masked, so $x_{k-1}=x_0$ for sure. **Masked**, $x_k=m$: it was already masked, or it has just been hidden:
#
# $$q(x_{k-1}=x_0\mid m,x_0)=\frac{\bar\alpha_{k-1}\beta_k}{1-\bar\alpha_k},\qquad q(x_{k-1}=m\mid m,x_0)=\frac{1-\bar\alpha_{k-1}}{1-\bar\alpha_k}.$$
#
# On the left the library's two lines, on the right Bayes' rule with the matrices of section 1, entry by entry.

# %% tags=["slide:abs.posterior-clean", "slide:abs.posterior-masked"]
def bayes(k, xk, x0):
    """q(x_{k-1} | x_k, x_0) from the matrices alone.  -> (K + 1,)"""
    before = torch.eye(K + 1).double()
    for j in range(k - 1):
        before = one_step[j] @ before
    joint = one_step[k - 1][xk] * before[:, x0]                        # q(x_k | x_{k-1}) q(x_{k-1} | x_0)
    return joint / joint.sum()

def ours(k, xk):
    """The library's posterior for x_0 = a, b, c.  -> (K, K + 1)"""
    t, s = (torch.tensor(1 - step / T).double() for step in (k, k - 1))
    return chain.posterior(torch.tensor(xk)[:, None], torch.arange(K)[:, None], t, s)[:, 0]

for k in (1, 3, 6):
    verify("abs.posterior-clean", ours(k, [0, 1, 2]), torch.stack([bayes(k, v, v) for v in range(K)]),
           what=f"k = {k}, visible: Bayes on the matrices")
for k in (1, 3, 6, 8):
    verify("abs.posterior-masked", ours(k, [MASK] * K), torch.stack([bayes(k, MASK, v) for v in range(K)]),
           what=f"k = {k}, masked: Bayes on the matrices")

# %% [markdown]
# **A binary choice.** The masked case is a mixture of two deltas, *stay masked* and *turn into $x_0$*, and its weights contain no data at all: neither $x_0$ nor the other letters, nothing but
# the schedule. So a model need never learn *when*; it only has to learn *what*.
#
# > **Errata.** The slide says that the reverse model *learns* how likely it is to unmask or to stay masked. That number is known beforehand (in our clock, for a step from $t$ to a later $s$, it is $(\alpha_s-\alpha_t)/(1-\alpha_t)$); what is learned is the token.

# %% tags=["slide:abs.posterior-mixture"]
k = 4
t, s = (torch.tensor(1 - step / T).double() for step in (k, k - 1))
bar, bar_before = (1 - betas[:k]).prod(), (1 - betas[:k - 1]).prod()
stay, turn = (1 - bar_before) / (1 - bar), bar_before * betas[k - 1] / (1 - bar)
deltas = torch.eye(K + 1).double()
for x0 in range(K):
    mixture = stay * deltas[MASK] + turn * deltas[x0]
    verify("abs.posterior-mixture", bayes(k, MASK, x0), mixture,
           what=f"x₀ = {'abc'[x0]}: {float(stay):.3f} δ_m + {float(turn):.3f} δ_x₀")
verify("abs.posterior-mixture", chain.unmask(t, s), turn,
       what="(α_s − α_t)/(1 − α_t) = ᾱ_{k−1}β_k/(1 − ᾱ_k): the schedule alone")

# %%
steps = 20
grid = torch.linspace(0, 1, steps + 1)
plots.curves({name: (grid[:-1], MaskPath(K, alpha).unmask(grid[:-1], grid[1:])) for name, alpha in schedules.items()},
            xlabel="t of the step (0 all masked)", ylabel="chance of a mask to lift",
            alt="Unmask probability of each of twenty steps for three schedules; all end at one")

# %% [markdown]
# *Look at the last step: whatever is still hidden must appear, so every curve ends at 1. The linear one is $w_k=1/k$ in the slides' count: with k steps left, of the hidden tokens an equal share each.*
#
# ## 4 · What to minimise: one KL a step, and it is a cross-entropy
# *Slide "ELBO Term for Absorbing Diffusion"*
#
# The model's backward step puts its guess in place of the truth: $p_\theta(x_{k-1}\mid\mathbf x_k)=\sum_{v}q(x_{k-1}\mid x_k,x_0=v)\,\pi_\theta(v\mid\mathbf x_k)$ (at a visible place $\pi$ is simply that token, and the KL is 0). The ELBO compares it with the
# posterior, step by step, and for categoricals
#
# $$\mathrm{KL}(\mathbf q\,\Vert\,\mathbf p)=H(\mathbf q,\mathbf p)-H(\mathbf q),$$
#
# where $H(\mathbf q)$ does not know $\theta$. The support of $\mathbf q$ is $\{x_0,m\}$ and both agree on $m$, so nearly everything cancels: what is left of the KL is
# $w_k\cdot(-\log\pi_\theta(x_0\mid\mathbf x_k))$ at masked places, with $w_k$ the probability to appear, and nothing at visible ones.

# %% tags=["slide:abs.elbo-ce"]
logits = torch.randn(6, K, dtype=torch.float64, requires_grad=True)
x0 = torch.tensor([0, 1, 2, 0, 1, 2])
q = torch.stack([bayes(k, MASK, v) for v in x0.tolist()])              # (6, K + 1)
every = torch.stack([bayes(k, MASK, v) for v in range(K)])             # the posterior for each possible answer
p = logits.softmax(1) @ every                                          # the model's backward step
assert ((q > 0).sum(1) == 2).all()                                     # support {x0, mask}
kl = torch.distributions.kl_divergence(*(torch.distributions.Categorical(probs=side) for side in (q, p)))
entropy, cross = torch.special.entr(q).sum(1), -(q * p.log()).sum(1)
verify("abs.elbo-ce", kl, cross - entropy, what="KL(q‖p), by torch, = H(q, p) − H(q)", tolerance=1e-7)
slope, = torch.autograd.grad(kl.sum(), logits)
verify("abs.elbo-ce", slope, turn * (logits.softmax(1) - deltas[x0, :K]), tolerance=1e-6,
       what="∇KL = w_k (softmax − one-hot): that of a cross-entropy")
surprise = torch.nn.functional.cross_entropy(logits, x0, reduction="none")
verify("abs.elbo-ce", kl, turn * surprise, what="KL = w_k (−log π(x₀)): only whether the guess is right counts",
       tolerance=1e-7)
verify("abs.elbo-ce", MaskPath(K).weights(8), 1 / torch.arange(1, 9).double(), what="linear schedule: w_k = 1/k")

# %% [markdown]
# Sum this over positions and steps and there is the bound, $\log p_\theta(\mathbf x)\ \ge\ \sum_k w_k\,\mathbb E\sum_{\ell\,\text{masked}}\log\pi_\theta(x^\ell\mid\mathbf x_k)$. (No prior term: $q(\mathbf x_T\mid\mathbf x_0)$ is all masks for every word. The reconstruction term is that of k = 1, with $w_1=1$.) On 243 words we need not
# believe that it is one. `laws.chain_likelihood` adds up *every* way in which the letters of a word can appear in T steps: the exact $\log p_\theta$. Take the *perfect* guesser first.

# %% tags=["slide:abs.elbo-ce"]
perfect = path.exact(language.to(torch.float64))
every_word, weight = language.sequences, language.probs.flatten().double()
asked = oracles.token_chances(perfect, every_word, 0.5)                   # the perfect guesser does not look at the time
numbers = [1, 2, 3, 5, 8, 16, 32]
likelihood = [float(weight @ oracles.chain_likelihood(perfect, every_word, T_, asked).log()) for T_ in numbers]
bound = [float(weight @ oracles.chain_bound(path, asked, T_)) for T_ in numbers]
seed(4)
draws = perfect.elbo(language.sample(20_000), steps=3, draws=1)
verify("abs.elbo-ce", estimate(draws), bound[2], what="ELBO of 3 steps: by sampling = summed over all hidden sets")
plots.curves({"log p of the T-step chain": (numbers, likelihood), "its ELBO": (numbers, bound),
             "exact: log p of the language": (numbers, [-float(language.entropy)] * len(numbers))},
            xlabel="steps T of the backward chain", ylabel="nats a word (mean)", log="x",
            alt="Exact likelihood and ELBO of the chain rise with the number of steps to the language's own")

# %% [markdown]
# Three curves, two lessons. The bound lies *below* the likelihood (Jensen), and both rise with T to the truth, although the guesser is perfect at every T. What few
# steps cost is **independence**: letters that appear in the same step do not see each other. In one step all five are drawn from their single-letter frequencies.
#
# **Predict before you run.** Let a word appear in T = 1 step: which words will be far too rare?
# <details><summary>Answer</summary>The typical ones: those that follow the alphabet and rhyme. Each letter alone is equally often a, b or c, so one step draws all 243 words equally often,
# 1/243 each; the structure is in how letters go together.</details>

# %%
def words_in(T):
    p = oracles.chain_likelihood(perfect, every_word, T, asked)
    axes = plots.panels(1, 5.6, height=2.4)
    order = weight.argsort(descending=True)[:60]
    axes[0].bar(range(60), p[order], color=plots.BLUE, width=0.9)
    axes[0].step(range(60), weight[order], color=plots.GREEN, where="mid", ls="--")
    axes[0].set(xlabel="the 60 most likely words", ylabel="probability", ylim=(0, 1.3 * float(weight.max())))
    gap = 0.5 * float((p - weight).abs().sum())
    axes[0].set_title(f"T = {T}: perfect guesses, distance from the language {gap:.2f}", fontsize=10)
    return axes

play(words_in, T=[1, 2, 3, 5, 8, 16, 32, 64])

# %% [markdown]
# *Green, dashed: the language. Blue: what the T-step chain generates, exactly. (The distance is total variation: the share of probability in the wrong place.)*
#
# ## 5 · The weight w_t: which one is the ELBO, and what does "uniform" mean?
# *Slide "Simplified Training: Predict Clean Token at Masked Positions"*
#
# $$\mathcal L_{\text{mask}}=\mathbb E_{t,\mathbf x_0,\mathbf x_t}\ \sum_\ell w_t\,\mathbb I\{x_t^\ell=m\}\,[-\log p_\theta(x_0^\ell\mid\mathbf x_t,t)]$$
#
# The slide calls $w_t$ optional, "e.g. uniform". It is optional for learning, since for every $w_t>0$ the best answer at each $\mathbf x_t$ is the true conditional. But only one weight makes the
# number a likelihood bound. With T steps it is $T\,w_k$ from section 4; let T grow, and in our clock
#
# $$w_t=\frac{\alpha'(t)}{1-\alpha(t)}\qquad\Big(\text{linear: } \frac1{1-t}\Big).$$
#
# > **Errata.** With uniform $w_t$ the loss is *not* the ELBO, and no bound on $-\log p(\mathbf x)$: in the numbers below it comes out *under* it. It can be compared between models, not with a likelihood.
#
# What does each weight optimise? Sort the corrupted words by how many letters $n$ are hidden. Let $c_n$ be the average surprise *per hidden letter* then. On the linear schedule every $n$ is equally
# likely, and the integral over $t$ can be done by hand ($\int_0^1\binom Ln t^{L-n}(1-t)^{n-1}dt=\frac1n$, and $\frac1{L+1}$ with one factor $1-t$ more): **ELBO weights give $\sum_{n=1}^L c_n$, uniform weights $\frac1{L+1}\sum_n n\,c_n$.** So "uniform in t" looks most at words that are nearly all
# hidden, where there is least to learn. Check both sums against the integrals, for an imperfect guesser:

# %% tags=["slide:abs.simplified"]
rough = paths.absorbing(nets.TokenMLP(K, L), (L,), K)
seed(5)
for p_ in rough.parameters():
    torch.nn.init.normal_(p_, std=0.3)
rough.net.layers[0].weight.data[:, -1] = 0                             # its answer does not depend on t
words = language.sample(20)

# %% tags=["slide:abs.simplified"]
sets, chances = oracles.visible_sets(L), oracles.token_chances(rough, words, 0.5)
hidden = (~sets).double()
surprise = (-chances.log() * hidden).sum(-1)                           # (20, 32): of every hidden set
n = hidden.sum(1)
c = torch.stack([(surprise[:, n == m].mean(1) / m) for m in range(1, L + 1)], 1)    # c_n of each word

def loss_by_integral(weight, times=2000):
    t = (torch.arange(times).double() + 0.5) / times
    chance = t[:, None] ** (L - n) * (1 - t[:, None]) ** n             # of each hidden set at t
    return (weight(t)[:, None] * chance).mean(0) @ surprise.T

verify("abs.simplified", loss_by_integral(lambda t: 1 / (1 - t)), c.sum(1), what="w = 1/(1 − t): Σ c_n",
       tolerance=1e-5)
verify("abs.simplified", loss_by_integral(torch.ones_like), (c * torch.arange(1, L + 1)).sum(1) / (L + 1),
       what="w = 1: Σ n c_n / (L + 1)", tolerance=1e-5)

# %% [markdown]
# And $\sum_n c_n$ has a meaning of its own: reveal the letters one at a time in a random order, and add up the surprise of each. So the bound is the average log-likelihood over all $L!$ orders, and no
# schedule can change it: $\alpha$ has disappeared. Measured, for three schedules and their own weights:

# %% tags=["slide:abs.simplified"]
seed(6)
for name, alpha in schedules.items():
    other = paths.PathModel(rough.net, MaskPath(K, alpha), (L,), "data")
    with torch.no_grad():
        bound = other.elbo(words.repeat(2000, 1), draws=4)
    verify("abs.simplified", estimate(bound.view(2000, -1).mean(1)), -c.sum(1).mean(),
           what=f"{name:9}: E Σ w_t … = −Σ c_n, whatever the schedule")
uniform = float((c * torch.arange(1, L + 1)).sum(1).mean() / (L + 1))
print(f"uniform weights: {uniform:.3f}, where −ELBO is {float(c.sum(1).mean()):.3f} nats")

# %% [markdown]
# In continuous time the schedule changes the *noise* of the estimate, not the bound. (For a network that is told $t$ this is exact as far as its answer ignores $t$; and it should: what was
# hidden when says nothing about *what*, once one sees which letters are visible.) In few steps it matters, since it says how many letters appear at a time. Eight steps of the perfect guesser, everything summed exactly:

# %%
for name, alpha in schedules.items():
    p = oracles.chain_likelihood(MaskPath(K, alpha).exact(language.to(torch.float64)), every_word, 8, asked)
    bound = weight @ oracles.chain_bound(MaskPath(K, alpha), asked, 8)
    print(f"{name:10} total variation {0.5 * float((p - weight).abs().sum()):.3f}   ELBO {float(bound):.3f} nats"
          f"   (entropy {float(language.entropy):.3f})")

# %% [markdown]
# The geometric schedule lets most letters appear in two or three of its eight steps, and pays for it.
#
# ## 6 · One letter at a time: any-order autoregression
# *Slide "Absorbing Diffusion as Multi-step Masked LM"*
#
# Let T grow until never two letters appear together. Then the chain draws a random order and predicts each next letter from those before: an autoregressive model for *every* order at once. Its likelihood averages
# *probabilities* over orders, $p(\mathbf x)=\frac1{L!}\sum_\sigma\prod_i p(x^{\sigma_i}\mid\mathbf x^{\sigma_{<i}})$; its ELBO averages *logarithms*. On a small space both can be added up:

# %% tags=["slide:abs.arm-link"]
from itertools import permutations

def by_orders(chances):
    """log-probability of each word in each of the 120 orders.  (N, 2^L, L) -> (N, 120)"""
    total = []
    for order in permutations(range(L)):
        row, logs = 0, 0.0
        for place in order:                                            # row = the set of places visible so far
            logs, row = logs + chances[:, row, place].log(), row + 2**place
        total.append(logs)
    return torch.stack(total, 1)

# %% tags=["slide:abs.arm-link"]
orders = by_orders(chances)
exact = oracles.any_order_likelihood(rough, words)
verify("abs.arm-link", exact, orders.exp().mean(1), what="Σ over all paths of the chain = mean over the 120 orders")
verify("abs.arm-link", orders.mean(1), -c.sum(1), what="ELBO in continuous time = mean of log p over the orders")
verify("abs.arm-link", oracles.chain_likelihood(rough, words, 3000, chances), exact,
       what="the chain of 3,000 steps = one at a time", tolerance=5e-3)
verify("abs.arm-link", by_orders(asked).mean(1), language.log_prob(every_word), tolerance=1e-5,
       what="perfect guesser: mean of log p over the orders = log p itself")
above = int((exact.log() >= orders.mean(1)).sum())
print(f"log p(x) {exact.log().mean():.3f} ≥ {orders.mean():.3f}, its bound; so for {above} of {len(words)} words")

# %% [markdown]
# The gap between them is Jensen's: how much the orders *disagree* about a word. A perfect guesser agrees with itself in every order (chain rule!), the gap closes, and the ELBO *is* the likelihood: that was the third check. (Only the perfect guesser is surely better off with more steps. Of a bad one the bound may even fall.)
#
# ## 7 · Train it, and hold it against the truth
# *Slide "Practical training objective"*

# %% tags=["slide:abs.training"]
seed(0)
learned = paths.absorbing(nets.TokenMLP(K, L), (L,), K)
history = fit(learned, language, Recipe(budget(quick=2500, full=20_000), 256, 4e-3, decay=linear),
              report=progress("little language"))
orders = by_orders(oracles.token_chances(learned, every_word, 0.5))
print(f"entropy of the language     {float(language.entropy):.3f} nats: the floor")
print(f"cross-entropy, exact        {float(-(weight @ orders.exp().mean(1).log())):.3f}")
print(f"bound (mean of the orders)  {float(-(weight @ orders.mean(1))):.3f}")
plots.losses(history, alt="The masked cross-entropy falls to the entropy of the language")

# %% [markdown]
# The training loss is an estimate of the bound itself, so the curve can be read in nats, and we know where it must end: at 4.138, up to the noise of a batch. (The tables ask the network at t = 0.5 throughout; that it is told t changes little here, as it should.) The samples, exactly: how far is the T-step chain of the *learned* model from the language, beside the perfect one?

# %% tags=["slide:abs.sampling"]
def away(p):
    """Total variation between a distribution over the 243 words and the language."""
    return 0.5 * float((p - weight).abs().sum())

def frequencies(words):
    index = (words * 3 ** torch.arange(L - 1, -1, -1)).sum(1)
    return torch.bincount(index, minlength=3**L).double() / len(words)

numbers = [1, 2, 4, 8, 16, 32, 64]
tables = {"learned": oracles.token_chances(learned, every_word, 0.5), "perfect guesser": asked}
plots.curves({name: (numbers, [away(oracles.chain_likelihood(perfect, every_word, T_, table)) for T_ in numbers])
             for name, table in tables.items()},
            xlabel="steps T", ylabel="total variation", log="xy",
            alt="Distance of samples from the language against the number of steps")

# %% [markdown]
# With one or two steps the curves lie on one another: independence within a step is the whole error. With many steps the learned one flattens at what its training left.
#
# ## 8 · Digits, pixel by pixel
# *Slides "Practical training objective", "Absorbing Diffusion as Multi-step Masked LM"*
#
# Nothing changes but the shape: 784 pixels of two values. Each pixel of MNIST is read as the probability of ink and drawn once for the test images, anew at each look in training (*dynamic binarisation*; the nats of
# thresholded images are lower, do not compare across). The network is a small U-Net that gets three channels: white, black, masked.

# %% tags=["slide:abs.training"]
live = pretrained.digits_absorbing().to(device())
bits_recipe = pretrained.bits_recipe(budget(quick=320, full=20_000), ema=budget(quick=0.98, full=0.9995))
history = fit(live, data.DynamicallyBinarized(mnist.train), bits_recipe, report=progress("absorbing diffusion on digits"))
print(history)
ink = data.DynamicallyBinarized(mnist.train).fixed().double().mean(0).clamp(0.001, 0.999)
alone = -torch.where(bits == 1, ink, 1 - ink).log().flatten(1).sum(1).mean()
print(f"pixels that know nothing of each other {float(alone):6.1f} nats")
best, card = pretrained.load("absorbing_digits").to(device()), pretrained.card("absorbing_digits")
measured = {"trained here, 4,000 images": pretrained.nats(live, mnist.test[::4], draws=4),
        f"{card['steps']:,} steps, {card['images']:,} images": card["held_out"],
        "the same, official test set": card["held_out"]["official_test"]}
for name, row in measured.items():
    print(f"{name:28} {row['nats']:6.1f} ± {row['standard_error']:.1f} nats   ({row['protocol']})")

# %% [markdown]
# For scale: NADE-k, trained for every order in 2014, is reported with 87.1 nats on the official test images, Bayesian flow networks (2023) with 79.5 in a hundred steps (each with its own bits of them).
#
# ### Against a masked model that knows one rate only
# *Slide "Absorbing Diffusion as Multi-step Masked LM"*
#
# BERT hides 15 % of the tokens, always. Same network, same loss, same data, same number of steps: only `times` changes, to a constant. As a *filler of small gaps* it is fine. As a generator it has to
# start from all masks, a situation that it has never seen. (Nor has it seen another value of t; so it is also asked with its t held at 0.85, to see that this is not what fails.)

# %% tags=["slide:abs.vs-bert"]
always = lambda like: torch.full((len(like),), 0.85, device=like.device)       # alpha = 0.85: fifteen per cent hidden
bert = pretrained.digits_absorbing().to(device())
bert.time_sampler = always
fit(bert, data.DynamicallyBinarized(mnist.train), bits_recipe, report=progress("the same with 15 % hidden, always"))

class Clockless(torch.nn.Module):
    """A network that is always told t = 0.85."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t, y=None):
        return self.net(x, torch.full_like(t, 0.85), y)

# %% tags=["slide:abs.vs-bert"]
@torch.no_grad()
def surprise_of_the_hidden(field, t=0.85):
    seed(8)
    pair = field.path.endpoints(few, field.path.sample_source(few), t)
    chances = field.predict(field.path.interpolate(pair), t).logits.log_softmax(-1).gather(-1, few[..., None])[..., 0]
    return -float(chances[pair.hidden].mean())

few = bits[::4]
print("                     nats a pixel, 15 % hidden     bound, nats an image")
both = {"every rate": live, "15 % only": bert}
unseen = paths.PathModel(Clockless(bert.net), MaskPath(2), (1, 28, 28), "data")
for name, field in {**both, "15 %, t held": unseen}.items():
    bound = pretrained.nats(field, mnist.test[::4], draws=4)["nats"]
    print(f"{name:20} {surprise_of_the_hidden(field):26.3f} {bound:24.1f}")

# %%
seed(9)
plots.gallery({f"{name}, 32 steps": plots.ink(field.sample(12, steps=32)) for name, field in both.items()},
             alt="Samples of the two models after equal training: strokes and some digits above, formless dust below")

# %% [markdown]
# First column: both fill in small gaps about equally well. Second, and the pictures: without training on *all* shares of hidden pixels the backward chain is poor where it begins; the bound is far worse, with or without its clock, and the samples are dust.
#
# ### More steps, better bound, better digits
#
# The likelihood bound depends on the number of steps of the chain: more steps, fewer pixels that ignore each other, fewer nats. Here for the longer-trained weights, on a hundred test images:

# %% tags=["slide:abs.training"]
hundred, chains = bits[::10][:100], {}
for T_ in (1, 2, 4, 8, 16, 64):
    seed(8)
    chains[f"{T_} step{'s' * (T_ > 1)}"] = -torch.cat([best.elbo(x, T_, max(1, 8 // T_)) for x in hundred.split(50)])
chains["continuous"] = -torch.cat([best.elbo(x, None, 16) for x in hundred.split(50)])
plots.bars({name: nats.mean() for name, nats in chains.items()}, ylabel="bound on −log p, nats an image",
          spread=[float(nats.std() / 10) for nats in chains.values()],
          alt="The bound in nats for chains of 1 to 64 steps and in continuous time: it falls")

# %% tags=["slide:abs.sampling"]
seed(9)
way = best.trajectory(40, steps=48)
few = {f"{T_} step{'s' * (T_ > 1)}": plots.ink(best.sample(12, steps=T_)) for T_ in (1, 4, 16, 64)}
plots.gallery(few, alt="Twelve digits each, generated in one, four, sixteen and sixty-four steps: from dust to digits")

# %%
FramePlayer(plots.ink(way)[:, :, 0], captions=[f"t = {k / 48:.2f}" for k in range(49)], columns=10, size=560)

# %% [markdown]
# *Forty images being revealed; grey is still hidden. Scrub slowly: at t = 0.25, with three quarters hidden, many can already be told.*
#
# ### Anything given, anything asked: infilling
#
# Since the model answers for every set of visible pixels, it completes whatever it is given, without any further training: start from the given tokens instead of from all masks.

# %% tags=["slide:abs.sampling"]
regions = {"upper half": lambda r, c: r < 14, "left half": lambda r, c: c < 14,
           "every third row": lambda r, c: r % 3 == 0,
           "a frame": lambda r, c: (r < 9) | (r > 18) | (c < 9) | (c > 18),
           "one pixel in ten": lambda r, c: (7 * r + 3 * c) % 10 == 0}
row, column = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")

def complete(given, digit):
    seed(10)
    image = bits[(mnist.test_labels == digit).nonzero()[1, 0]].expand(8, 1, 28, 28)
    visible = regions[given](row, column).to(image.device)
    known = torch.where(visible, image, 2)
    found = best.sample(known, steps=6)
    unsure = found[:, 0, ~visible].float().var(0).sum()                 # summed over the hidden pixels
    title = f"truth, given ({float(visible.float().mean()):.0%}), eight completions (variance {float(unsure):.0f})"
    return plots.images(plots.ink(torch.cat([image[:1], known[:1], found])), columns=5, title=title)

play(complete, given=list(regions), digit=(0, 9, 1, 2))

# %% [markdown]
# (The title has the variance of the completions, summed over the hidden pixels. Sampling starts at t = 0 although half is visible, a pair that training never showed: the network copes.)
#
# **Predict before you choose.** One pixel in ten, spread evenly, or a whole connected half: which leaves the completions freer?
# <details><summary>Answer</summary>Read the two variances, for several digits. With half an image given, what is missing is often a matter of course; but where it is not (the upper half of a 4 or a 9), whole strokes change.
# One pixel in ten fixes the place of every stroke roughly, and leaves all edges open.</details>
#
# ### In which order? At random, or the surest first
#
# The chain reveals tokens at random times. One may also show those first of which the model is surest (MaskGIT does). Same network, same number of steps; but now the order depends on the data, and
# the samples follow no stated distribution any more. Measured where we can, on the little language, and shown on digits:

# %% tags=["slide:abs.sampling"]
for name, method in {"random order": ddim, "surest first": maskgit_step}.items():
    seed(11)
    found = frequencies(learned.sample(20_000, steps=3, method=method))
    print(f"{name:13} 3 steps: total variation {away(found):.3f}, entropy of the samples "
          f"{float(torch.special.entr(found).sum()):.2f} nats (language {float(language.entropy):.2f})")
seed(12)
plots.gallery({f"{name}, 12 steps": plots.ink(best.sample(12, steps=12, method=method))
              for name, method in {"random order": ddim, "surest first": maskgit_step}.items()},
             alt="Twelve digits revealed in random order and twelve with the surest pixels first")

# %% [markdown]
# On the language: in random order, letters of one step ignore each other, so the samples have *too much* variety; surest first has too little, and is farther from the truth. On digits the greed shows: the surest pixels are the
# white ones, and each white pixel makes the next surer still, until all that is left is the digit with the least ink. (MaskGIT therefore adds noise to its confidences, and uses very few steps.)
#
# ## 9 · What this shares with the other families
#
# * **Diffusion (07), flow matching (08)**: the same class, the same `loss`, the same loop of sampling. Only the path differs, and with it what a guess is good for. Here are the four recipes of the course in one cell, untrained, to show that they answer to the same calls:

# %%
four = {"DDPM": paths.ddpm(nets.MLP(2), (2,)), "NCSN": paths.ncsn(nets.MLP(2), (2,)),
        "flow matching": paths.flow_matching(nets.MLP(2), (2,)),
        "absorbing": paths.absorbing(nets.TokenMLP(K, L), (L,), K)}
for name, recipe in four.items():
    batch = language.sample(64) if name == "absorbing" else data.moons().sample(64)
    print(f"{name:14} {recipe.path.name:10} predicts the {recipe.prediction:9} "
          f"loss {float(recipe.loss(batch).detach()):6.2f}   sample {tuple(recipe.sample(5, steps=4).shape)}")
assert len({(type(m).loss, type(m).sample, type(m).predict) for m in four.values()}) == 1      # one piece of code

# %% [markdown]
# * **Autoregressive models (01)** fix one order; this learns all of them, and pays with a network that must answer harder questions.
# * **Latent-space models (10)** run it, or an autoregressive model, over the codes of an image.
#
# | | samples | density | function evaluations | latent |
# |---|---|---|---|---|
# | absorbing diffusion | yes | a bound (exact only on small spaces) | any number; at most L of the steps reveal anything | none |
#
# ## Homework
#
# Eight exercises, eleven points. `survive` is $\bar\alpha$, the probability to be still visible; the mask token comes after the K clean ones. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the
# reference takes your place so that everything below still runs.
#
# **Exercise 9.1 · the transition matrix (1 point).** One step of the chain as a matrix over K tokens and the mask (last). Columns are *from*, rows are *to*.

# %% exercise="abs.transition_matrix"
def transition_matrix(beta, vocabulary):
    """Q of one step.     beta a number in (0, 1)  ->  (K + 1, K + 1)"""
    ### BEGIN SOLUTION
    mask = torch.zeros(vocabulary + 1)
    mask[vocabulary] = 1
    return (1 - beta) * torch.eye(vocabulary + 1) + beta * torch.outer(mask, torch.ones(vocabulary + 1))
    ### END SOLUTION

# %% check="abs.transition_matrix" points=1
transition_matrix = check("abs.transition_matrix", transition_matrix)

# %% [markdown]
# **Exercise 9.2 · hiding tokens (1 point).** Each token has its *hour*, uniform in [0, 1]; it is visible where the hour is below its sequence's `survive`, else masked.

# %% exercise="abs.corrupt"
def corrupt(x, hours, survive, mask_id):
    """x_t out of the clean tokens.     x, hours (B, L), survive (B,)  ->  (B, L) integers"""
    ### BEGIN SOLUTION
    return torch.where(hours < survive[:, None], x, mask_id)
    ### END SOLUTION

# %% check="abs.corrupt" points=1
corrupt = check("abs.corrupt", corrupt)

# %% [markdown]
# **Exercise 9.3 · how likely a mask is lifted (1 point).** A token is masked at step $k$. With which probability was it clean at step $k-1$? The two $\bar\alpha$ are all one needs (`survive_now` is below 1).

# %% exercise="abs.unmask_probability"
def unmask_probability(survive_before, survive_now):
    """Of a masked token to be clean one step earlier.     abar at k - 1 and at k, any shape  ->  the same shape"""
    ### BEGIN SOLUTION
    return (survive_before - survive_now) / (1 - survive_now)
    ### END SOLUTION

# %% check="abs.unmask_probability" points=1
unmask_probability = check("abs.unmask_probability", unmask_probability)

# %% [markdown]
# **Exercise 9.4 · the posterior of a step (2 points).** $q(x_{k-1}\mid x_k,x_0)$ for every token, both cases of the slides, as probabilities over the K tokens and the mask. `xk` is what is seen at step k, `x` the clean word; both `survive` are (B,).

# %% exercise="abs.posterior"
def posterior(xk, x, survive_before, survive_now, vocabulary):
    """One step back, the data known.     xk, x (B, L), survive (B,)  ->  (B, L, K + 1)"""
    ### BEGIN SOLUTION
    appear = ((survive_before - survive_now) / (1 - survive_now))[:, None, None]
    clean, seen = (torch.nn.functional.one_hot(tokens, vocabulary + 1) for tokens in (x, xk))
    return appear * clean + (1 - appear) * seen
    ### END SOLUTION

# %% check="abs.posterior" points=2
posterior = check("abs.posterior", posterior)

# %% [markdown]
# **Exercise 9.5 · the masked cross-entropy (2 points).** The mean over the batch of `weight` times the *sum* over the masked places of $-\log p(x\mid\mathbf x_t)$; the logits are not normalised.

# %% exercise="abs.masked_loss"
def masked_loss(logits, x, xt, weight, mask_id):
    """The training loss, in nats a sequence.     logits (B, L, K), x, xt (B, L), weight (B,)  ->  ()"""
    ### BEGIN SOLUTION
    surprise = torch.nn.functional.cross_entropy(logits.transpose(1, 2), x, reduction="none")
    return (weight * (surprise * (xt == mask_id)).sum(1)).mean()
    ### END SOLUTION

# %% check="abs.masked_loss" points=2
masked_loss = check("abs.masked_loss", masked_loss)

# %% [markdown]
# **Exercise 9.6 · one step of sampling (1 point).** `proposal` holds a token for every place, drawn from the model already. Reveal it at masked places whose hour (a fresh uniform number) is below the probability of 9.3 (`survive_next` in the part of `survive_before`; both are plain numbers); leave everything else as it is.

# %% exercise="abs.unmask_step"
def unmask_step(xt, proposal, hours, survive_now, survive_next, mask_id):
    """One step towards the data.     xt, proposal, hours (B, L), survive numbers  ->  (B, L) integers"""
    ### BEGIN SOLUTION
    appear = hours < (survive_next - survive_now) / (1 - survive_now)
    return torch.where((xt == mask_id) & appear, proposal, xt)
    ### END SOLUTION

# %% check="abs.unmask_step" points=1
unmask_step = check("abs.unmask_step", unmask_step)

# %% [markdown]
# **Exercise 9.7 · the weight of the ELBO (1 point).** $w_t=\alpha'(t)/(1-\alpha(t))$ for *any* schedule, given as an elementwise function; the derivative by automatic differentiation. The clock is the notebook's: $t=0$ masks, $t=1$ data.

# %% exercise="abs.elbo_weight"
def elbo_weight(survive, t):
    """The weight at each time.     survive: a function of t; t (B,) in (0, 1)  ->  (B,)"""
    ### BEGIN SOLUTION
    t = t.clone().requires_grad_()
    alpha = survive(t)
    (slope,) = torch.autograd.grad(alpha.sum(), t)
    return slope / (1 - alpha.detach())
    ### END SOLUTION

# %% check="abs.elbo_weight" points=1
elbo_weight = check("abs.elbo_weight", elbo_weight)

# %% [markdown]
# **Exercise 9.8 · the likelihood in any order (2 points).** `log_conditional(visible, x)` takes the *clean* words and a boolean `visible` (B, L), and gives (B, L): for every hidden place $\log p(x^\ell\mid\text{the visible tokens})$. Return $\log\frac1{L!}\sum_\sigma\prod_i p(x^{\sigma_i}\mid\mathbf x^{\sigma_{<i}})$, for
# short sequences by going through all orders (`itertools.permutations`).

# %% exercise="abs.any_order_log_likelihood"
import math
from itertools import permutations

def any_order_log_likelihood(log_conditional, x):
    """log of the mean over all orders of the product of conditionals.     x (B, L)  ->  (B,)"""
    ### BEGIN SOLUTION
    totals = []
    for order in permutations(range(x.shape[1])):
        visible, total = torch.zeros_like(x, dtype=torch.bool), 0
        for place in order:
            total = total + log_conditional(visible, x)[:, place]
            visible[:, place] = True
        totals.append(total)
    return torch.stack(totals).logsumexp(0) - math.log(len(totals))
    ### END SOLUTION

# %% check="abs.any_order_log_likelihood" points=2
any_order_log_likelihood = check("abs.any_order_log_likelihood", any_order_log_likelihood)

# %% [markdown]
# **Now put your pieces together.** Your corruption, your weight and your loss train a network; your step samples from it. (Where a piece is still missing the reference stands in.)

# %%
seed(20)
yours, cosine, steps = nets.TokenMLP(K, L), paths.cosine_reveal, budget(quick=1500, full=5000)
optimizer = torch.optim.Adam(yours.parameters())
for step in range(steps):
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
    x, t = language.sample(256), 0.999 * torch.rand(256)
    xt = corrupt(x, torch.rand(256, L), cosine(t), MASK)
    optimizer.zero_grad()
    masked_loss(yours(xt, t), x, xt, elbo_weight(cosine, t).detach(), MASK).backward()
    optimizer.step()
x, ts = torch.full((20_000, L), MASK), torch.linspace(0, 1, 31)

# %%
with torch.no_grad():
    for t, s in zip(ts, ts[1:]):
        proposal = torch.distributions.Categorical(logits=yours(x, t)).sample()
        x = unmask_step(x, proposal, torch.rand(x.shape), cosine(t), cosine(s), MASK)
perfect_chain = oracles.chain_likelihood(MaskPath(K, cosine).exact(language.to(torch.float64)), every_word, 30, asked)
print(f"total variation to the language: your 20,000 words {away(frequencies(x)):.3f}, as many true words "
      f"{away(frequencies(language.sample(20_000))):.3f}, thirty steps of a perfect guesser {away(perfect_chain):.3f}")
plots.letters(x[:24], alphabet="abc", alt="Twenty-four words sampled with the reader's own loss, weight and steps")

# %% [markdown]
# **Written (think, then unfold).** *The network is told t. On the little language, does it need to be?*
# <details><summary>Answer</summary>No. What was hidden when says nothing about what it was: given the visible tokens, the posterior of the others does not contain t. (The share of visible tokens tells t anyway.) Some
# models leave the input out; a network may still find it convenient.</details>
#
# *A masked diffusion model and an autoregressive model of the same size are trained for equally long on text. Which would you expect to have the better likelihood, and why?*
# <details><summary>Answer</summary>The autoregressive one: it answers L questions about a text, always "what comes next?", the masked model $2^L$ kinds of question with the same weights, and its bound averages over orders that are
# bad for text. What it buys: any order, infilling, several tokens at a time.</details>
#
# ## References
#
# * Austin, Johnson, Ho, Tarlow, van den Berg: *Structured Denoising Diffusion Models in Discrete State-Spaces* (D3PM), 2021. The absorbing chain.
# * Hoogeboom et al.: *Autoregressive Diffusion Models*, 2022. Any-order autoregression and the absorbing limit.
# * Uria, Murray, Larochelle: *A Deep and Tractable Density Estimator* (order-agnostic NADE), 2014. Raiko et al.: *Iterative Neural Autoregressive Distribution Estimator* (NADE-k), 2014.
# * Graves et al.: *Bayesian Flow Networks*, 2023. Lou, Meng, Ermon: *Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution* (SEDD), 2024. The geometric schedule.
# * Sahoo et al.: *Simple and Effective Masked Diffusion Language Models* (MDLM), 2024; Shi et al.: *Simplified and Generalized Masked Diffusion*, 2024. The weight in continuous time.
# * Chang et al.: *MaskGIT*, 2022. Confidence order. Devlin et al.: *BERT*, 2019. One rate.
