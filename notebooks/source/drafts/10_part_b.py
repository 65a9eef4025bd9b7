# %% [markdown]
# # 10 · Latent space models, second half
#
# *Lecture 14 (autumn 2025), "LlamaGen: Pure Autoregression" and "Visual Autoregressive Modeling (VAR)", stages 1 and 2*

# %%
import time
import torch
from dgm_course import autoregressive as ar, data, latent, llama_nets, pretrained, vq
from dgm_course.fit import Recipe, fit, linear
from dgm_course.teach import FramePlayer, check, draw, draw_tokens, draw_vq, play, progress, reveal, verify
from dgm_course.tensors import budget, device, seed

# %% [markdown]
# ## 6 · LlamaGen: a picture is a text of 49 words
# *Slide "LlamaGen: Pure Autoregression"*
#
# VQGAN has made of a digit 7 × 7 whole numbers below 64. Read row by row they are a text of 49 words in a language of 64, and for texts there is a model: the one that guesses the next word. The slide's plan has three lines: encode with VQGAN, **train a pure autoregressive model on the codes**, decode what it writes.
#
# $$p(\mathbf c\mid y)=\prod_{i=1}^{49}p(c_i\mid y,\,c_1,\dots,c_{i-1})$$
#
# *Pure* means that nothing in it is made for pictures. ImageGPT (notebook 01) was that as well, over 196 blocks of pixels. Here there are 49 places, so attention, whose cost grows with the square of their number, has almost nothing to do; and each place says as much as a piece of a stroke. The class $y$ stands where a first word would stand.
#
# What is *Llama* about it? A transformer with four parts exchanged. Each of the four is small, and each has a reason.
#
# ### A norm that only rescales
#
# $$\mathrm{RMSNorm}(\mathbf h)=\frac{\mathbf h}{\sqrt{\frac1C\sum_ch_c^2+\epsilon}}\odot\mathbf g$$
#
# ($C$ numbers $h_c$ in a row, a learned gain $\mathbf g$, and a tiny $\epsilon$ against division by zero.) A LayerNorm takes the mean away, divides by the deviation, multiplies by a gain and adds a bias. This one divides and multiplies: it turned out that the rest was not needed. So on rows whose mean is 0 the two must agree, and a row that is fifty times larger must come out the same.

# %% tags=["slide:lat.llamagen"]
seed(0); torch.set_num_threads(1)
h = torch.randn(5, 12, dtype=torch.float64)
norm = llama_nets.RMSNorm(12).double()
centred = h - h.mean(1, keepdim=True)
verify("lat.llamagen", norm(centred), torch.nn.functional.layer_norm(h, (12,), eps=1e-6), what="RMSNorm of centred rows = LayerNorm")
verify("lat.llamagen", norm(50 * h), norm(h), what="RMSNorm forgets how large a row is", tolerance=1e-5)
print(f"mean of each row: before {[round(v, 2) for v in h.mean(1).tolist()]}, after {[round(v, 2) for v in norm(h).mean(1).tolist()]}")

# %% [markdown]
# The means are still there (a LayerNorm would print zeros). You write this norm in exercise 10.4.
#
# ### Places told by turning
#
# Attention by itself does not know where anything stands: it compares a query with keys, whatever their places. ImageGPT *adds* a learned vector for each place. Llama **turns** instead. The numbers of a query are taken in pairs, each pair a point of the plane, and at place $m$ the pair $j$ is turned by the angle $m\,\theta_j$; keys as well. As complex numbers:
#
# $$\tilde q_j=(q_{2j}+i\,q_{2j+1})\,e^{i\,m\theta_j},\qquad\theta_j=b^{-2j/d}$$
#
# with $d$ numbers in a head and a base $b$ (100 here, since places are few; 10 000 in Llama). The first pair turns fastest, the last hardly moves: hands of a clock. *Look for* rows that turn at different speeds, and the first column, which is not turned at all.

# %% tags=["slide:lat.llamagen"]
draw_tokens.dials(llama_nets.angles(torch.arange(12), 8), title=r"$m\,\theta_j$: each pair of numbers has its own speed",
                  alt="Four rows of dials at twelve places: the hand of the first row turns fast, that of the last hardly")

# %% [markdown]
# Why turn? Because of what an inner product makes of it. Turning both by the same angle changes nothing; so $\tilde q\cdot\tilde k$ depends on the *difference* of the two places and on nothing else:
#
# $$\tilde q\cdot\tilde k=\mathrm{Re}\sum_j(q_{2j}+iq_{2j+1})\,\overline{(k_{2j}+ik_{2j+1})}\;e^{i(m-n)\theta_j}$$
#
# "Two to the left" means the same in every row of a picture, without having been learned in each. On a grid (LlamaGen) half of the pairs turn by the row and half by the column. The check writes the right side out with complex numbers.

# %% tags=["slide:lat.llamagen"]
q, k = torch.randn(2, 8, dtype=torch.float64)
m, n = torch.tensor([3.0, 4.0]), torch.tensor([5.0, 1.0])              # (row, column) of the query's and the key's place
turn = lambda v, place: llama_nets.rotary(v[None], place[None])[0]
pairs = torch.view_as_complex(q.view(4, 2)) * torch.view_as_complex(k.view(4, 2)).conj()
speeds = torch.tensor([1.0, 100 ** (-2 / 4)], dtype=torch.float64)      # two pairs for the row, two for the column: d = 4 each
way = torch.cat([(m[0] - n[0]) * speeds, (m[1] - n[1]) * speeds])
verify("lat.llamagen", turn(q, m) @ turn(k, n), (pairs * torch.polar(torch.ones_like(way), way)).sum().real, what="turned query · turned key = a function of row and column differences")
verify("lat.llamagen", turn(q, m).norm(), q.norm(), what="turning keeps the length")
reveal(llama_nets.angles)

# %% [markdown]
# **Predict before you drag.** A query stands three places after a key, on a line. The slider moves *both* along it. What happens to the four dials, and what to the inner product in the title?
# <details><summary>Answer</summary>In each dial both hands turn together, the fast ones more; the angle between them stays, so the inner product is the same number everywhere. (You write the turn in exercise 10.5.)</details>

# %% tags=["slide:lat.llamagen"]
def moved(place):
    """A query three places after its key: both turned, and their inner product."""
    query, key = turn(q, torch.tensor([place + 3.0])), turn(k, torch.tensor([float(place)]))
    picture = draw_tokens.hands(query.view(4, 2), key.view(4, 2), [f"pair {j}" for j in range(4)], "Four dials with a query and a key")
    picture.figure.suptitle(f"key at {place}, query at {place + 3}: $q\\cdot k$ = {float(query @ key):.3f}", fontsize=10)
    return picture.figure

play(moved, place=(0, 20, 1, 0))

# %% [markdown]
# ### A gate
#
# $$\mathrm{SwiGLU}(\mathbf h)=W_3\bigl(\mathrm{SiLU}(W_1\mathbf h)\odot W_2\mathbf h\bigr)$$
#
# with $\mathrm{SiLU}(a)=a\,\sigma(a)$ and three matrices. The hidden layer of the usual MLP is computed twice: once to say *what*, once to say *how much of it*. A product of two linear maps can compare features, which a sum cannot. No layer of a Llama has a bias.

# %% tags=["slide:lat.llamagen"]
reveal(llama_nets.SwiGLU.forward)

# %% [markdown]
# ### A memory
#
# Keys and values of earlier places cannot change when a later one is written. They are kept, and a new place costs one row of attention. Here is the whole step: new queries, keys and values are made and turned, the keys and values are written into the memory, and the queries look at all that is remembered.

# %% tags=["slide:lat.llamagen"]
reveal(llama_nets.RotaryAttention.extend)

# %% [markdown]
# All together, and the chain of notebook 01 around it. A family of that chain says two things: all logits at once, for training, and the same one after the other, for sampling.

# %% tags=["slide:lat.llamagen"]
reveal(ar.LlamaGen.read, ar.LlamaGen.stream)

# %% [markdown]
# A first short training on the codes that VQGAN gives to the 4,000 embedded digits: two blocks, width 48. Uniform codes would cost $49\log64$ nats. *Look for* a steep beginning (which codes are common), then the slow gain that is grammar.

# %% tags=["slide:lat.llamagen"]
mnist = data.mnist().to(device())
tokens = pretrained.load("vqgan_digits").to(device())                  # the first stage of section 5
codes = pretrained.vq.codes_of(mnist.train, tokens)                    # (4000, 7, 7)
seed(1)
places = llama_nets.grid_positions(7, 7)
small = ar.LlamaGen(64, (7, 7), llama_nets.Llama(places, width=48, depth=2, heads=4), classes=10).to(device())
print(small)
learning = fit(small, (codes, mnist.train_labels), Recipe(budget(quick=180, full=3000), 32, 4e-3, warmup=20, decay=linear, clip=30.0),
               report=progress("a small LlamaGen"))
draw.losses(learning, title=r"nats a digit: uniform codes cost $49\,\log 64\approx204$", alt="The loss of a small LlamaGen falls")

# %% [markdown]
# Now the weights that come with the course: three blocks, width 96, trained on 59,000 digits (`dgm train llama_gen_digits`). First its likelihood, which is exact, on held-out digits beside the small one's. Then the memory: the same random numbers must give the same codes with it and without, and the times say what it is worth.

# %% tags=["slide:lat.llamagen"]
writer = pretrained.load("llama_gen_digits")
test, labels, tokens = mnist.test.cpu(), mnist.test_labels.cpu(), tokens.cpu()
test_codes = pretrained.vq.codes_of(test, tokens)
with torch.no_grad():
    for name, one in {"trained here": small.cpu(), "shipped": writer}.items():
        told, free = one.log_prob(test_codes[:400], labels[:400]), one.log_prob(test_codes[:400])
        print(f"{name:13} -log p(codes | class) {-float(told.mean()):6.1f} nats, -log p(codes) {-float(free.mean()):6.1f} nats, 400 held-out digits")
same = lambda: torch.Generator().manual_seed(2)
start = time.perf_counter(); kept = writer.sample(10, labels[:10], generator=same())
middle = time.perf_counter(); again = writer.sample(10, labels[:10], generator=same(), stream=ar.recomputed)
end = time.perf_counter()
verify("lat.llamagen", kept.double(), again.double(), what="10 digits with the memory = without, code for code")
print(f"49 places: with the memory {middle - start:.2f} s, with a whole pass for each place {end - middle:.2f} s")

# %% [markdown]
# ### Samples, class by class, and guidance
#
# For a tenth of the training samples the class was kept back, so the one network is $p(\mathbf c\mid y)$ and $p(\mathbf c)$. Guidance as in notebooks 07 and 08, now on logits, exaggerates the difference:
#
# $$\text{logits}=\text{free}+w\,(\text{told}-\text{free})$$
#
# **Predict before you move.** $w=0$ is told no class, $w=1$ is the model as trained. What will $w=2$ do, and $w=6$? What becomes of the variety within a column?
# <details><summary>Answer</summary>At 0 the columns have nothing to do with their class. At 1 most digits are what was asked, at 2 nearly all. At 6 the digits of a column become alike, and strokes fray or break: differences six times as large are nearly a maximum, and no longer any distribution that was learned.</details>

# %% tags=["slide:lat.llamagen"]
asked = torch.arange(10).repeat(4)                                     # a column for each class
weights = [0.0, 1.0, 2.0, 4.0, 6.0]
written = {w: tokens.picture(writer.sample(40, asked, generator=same(), stream=ar.guided(w))) for w in weights}

def guidance(w):
    """Forty digits, a column for each class, with the same random numbers at every weight."""
    return draw.images(written[w], ax=draw.panels(1, 4.4, height=2.0)[0], title=f"LlamaGen, $w={w:g}$")

play(guidance, w=weights)

# %% tags=["slide:lat.llamagen"]
def share_as_asked(pictures, classes):
    """As asked by the classifier's first choice, and strictly: with probability 0.9 or more."""
    found = pretrained.scales.as_asked(pictures, classes)
    return f"as asked {found['as_asked']:6.1%}, strictly {found['as_asked_strictly']:6.1%}"

many = pretrained.balanced(200, labels)
for w in (1.0, 2.0):
    seed(3)
    print(f"LlamaGen, w = {w:g}: {share_as_asked(tokens.picture(writer.sample(200, many, stream=ar.guided(w))), many)} of 200")
print(f"held-out digits:  {share_as_asked(test, labels)} of {len(test)}")

# %% [markdown]
# ## 7 · VAR, stage 1: the same picture, from coarse to fine
# *Slide "Visual Autoregressive Modeling (VAR)", stage 1: "training multi-scale VQVAE on images"*
#
# Row by row is an order for texts. Nobody draws so: first where and how large, then the strokes, then their edges. VAR makes this the order of generation, and for that the *tokeniser* has to speak in scales. It does so by telling what is left:
#
# $$\hat{\mathbf f}\leftarrow\mathbf 0;\qquad\text{for }k=1,\dots,S\;:\quad r_k=\mathrm{down}_k(\mathbf f-\hat{\mathbf f}),\quad c_k=\arg\min_j\lVert r_k-\mathbf e_j\rVert,\quad\hat{\mathbf f}\leftarrow\hat{\mathbf f}+\phi_k\bigl(\mathrm{up}(\mathbf e_{c_k})\bigr)$$
#
# | | |
# |---|---|
# | $\mathbf f$ | the encoder's output (C, 7, 7); $\hat{\mathbf f}$ what has been told of it so far |
# | $\mathrm{down}_k$ | means over areas, to grids of side 1, 2, 3, 5, 7; $\mathrm{up}$: bilinear interpolation back to 7 × 7 |
# | $\mathbf e$ | *one* codebook of 64 vectors for all scales |
# | $\phi_k$ | a small convolution that mends what interpolation has blurred |
#
# That is 1 + 4 + 9 + 25 + 49 = 88 codes. The object that does it stands where a `Codebook` stands, so the VQ-VAE around it, its straight-through step and its bound are those of notebook 04. Two checks, by hand: the decoder gets the sum of all scales; and the bound pays $\log K$ for each of the 88.

# %% tags=["slide:lat.var-stage1"]
pyramid = pretrained.load("var_tokens_digits")
scales = pyramid.codebook
print(scales.extra_repr())
with torch.no_grad():
    features = pyramid.encoder(test)                                   # (1000, 16, 7, 7)
    digit_codes = pyramid.encode(test)                                 # (1000, 88)
    total, start = torch.zeros_like(features[:20]), 0
    for k, side in enumerate((1, 2, 3, 5, 7)):
        mine = digit_codes[:20, start:start + side**2].view(20, side, side)
        up = torch.nn.functional.interpolate(scales.vectors[mine].movedim(-1, 1), size=7, mode="bilinear")
        total, start = total + scales.smooth[k](up), start + side**2
    verify("lat.var-stage1", scales(features[:20]).z_q, total, what="what the decoder gets = the sum of all scales, raised", tolerance=1e-5)
    bound = pyramid.elbo(test[:20]) - pyramid.decode(digit_codes[:20]).log_prob(test[:20])
verify("lat.var-stage1", bound, -88 * torch.tensor(64.0).log(), what="ELBO = log p(x|z_q) − 88 log K", tolerance=1e-5)

# %% [markdown]
# Each row below is one held-out digit: for every scale its map of codes (a colour is a number; similar vectors have similar colours), and what the decoder makes of the sum *so far*. The decoder saw such unfinished sums in training, for a share of the samples (an addition of ours, as in notebook 04, section 10). *Look for* the first column: a single code, the mean of everything, which turns out to be the same for all digits. Then follow one row to the right: at which scale would you have guessed the digit?

# %% tags=["slide:lat.var-stage1"]
some = torch.tensor([int((labels == k).nonzero()[0]) for k in range(0, 10, 2)])
with torch.no_grad():
    sums = scales.partial(digit_codes[some])
    so_far = [pyramid.decoder(each).mean for each in sums]
draw_tokens.pyramid(scales.split(digit_codes[some]), so_far, draw_vq.shades(scales.vectors), test[some],
                    alt="Five digits: maps of codes from one by one to seven by seven, and pictures that become sharper from scale to scale")

# %% [markdown]
# The same as numbers, over all held-out digits. For comparison: the VQ-VAE of notebook 04, which says all in one go with 49 codes.
#
# **Predict.** The 49 codes of the last scale are more than half of the 88. Do they also bring more than half of the gain?
# <details><summary>Answer</summary>No, about a third: by then the coarser scales have taken away most of the error that one code leaves. Divide each gain by its number of codes: a code is worth the less, the finer its scale. What the last scale is for is sharpness, and certainty for the classifier; a good part of the digits is named right from the 39 codes before.</details>

# %% tags=["slide:lat.var-stage1"]
with torch.no_grad():
    sums = scales.partial(digit_codes)
    pictures = [pyramid.decoder(each).mean for each in sums]
errors = [float((test - x).square().flatten(1).sum(1).mean()) for x in pictures]
left = [float((features - each).square().sum() / features.square().sum()) for each in sums]
plain = pretrained.load("vqvae_digits")
one_go = float((test - plain.picture(plain.encode(test))).square().flatten(1).sum(1).mean())
for side, error, rest, x, part in zip(scales.sides, errors, left, pictures, scales.split(digit_codes)):
    print(f"up to {side} × {side}: squared error {error:5.1f}, left of the features {rest:5.1%}, {share_as_asked(x, labels)}, {part.unique().numel():2} codes in use here")
print(f"VQ-VAE, 49 codes: squared error {one_go:.1f};  codes in use {digit_codes.unique().numel()} of 64, perplexity {vq.perplexity(digit_codes, 64):.1f}")
counts = torch.tensor(scales.counts).cumsum(0).tolist()
draw.curves({"scales 1 to k": (counts, errors), "guide: one grid of 49 codes": ([1, 88], [one_go, one_go])}, xlabel="codes told so far",
            ylabel="squared error of a held-out digit", alt="Squared error falls from scale to scale")

# %% [markdown]
# More codes than the VQ-VAE has, and yet a larger error. Two suspects (we have not tried them one by one): the same 64 vectors serve the mean of a whole picture and the last small corrections; and both costs pull *every* unfinished sum towards the features, where the VQ-VAE has only the last to care for. What is bought with it is an order in which to write.

# %% [markdown]
# ## 8 · VAR, stage 2: the next word is a whole map
# *Slide "Visual Autoregressive Modeling (VAR)", stage 2: "training VAR transformer on tokens ([S] means a start token with condition information)"*
#
# $$p(\mathbf c\mid y)=\prod_{k=1}^{S}p(\mathbf c_k\mid y,\mathbf c_1,\dots,\mathbf c_{k-1}),\qquad p(\mathbf c_k\mid\cdot)=\prod_{\text{places}}p(c_{k,i}\mid\cdot)$$
#
# The chain rule once more, with a factor for each *scale*. All codes of a scale are drawn at once, independently of each other given the coarser ones. So the transformer must be told about coarser scales only: its input at scale $k$ is $\hat{\mathbf f}$ so far, shrunk to the size of that scale. The first scale has nothing before it; there stands the **start token**, which says the class.
#
# Who may look at whom? A place of scale $k$ may look at all coarser scales, and at its *whole own* scale too: those inputs are made of coarser codes alone, they give nothing away. That is a staircase of blocks. *Look for* the difference to LlamaGen's mask, which is causal place by place.

# %% tags=["slide:lat.var-stage2"]
var = pretrained.load("var_digits")
draw_tokens.masks({"LlamaGen: 49 places, one after the other": (writer.net.past, [1] * 49),
                   "VAR: 88 places, scale after scale": (var.allowed, scales.counts)},
                  alt="Two masks: a triangle, and a staircase of five blocks that become larger")

# %% [markdown]
# Is it true of the network? Change one code of a digit, and see which logits move: exactly those of finer scales may. And with keys and values remembered, one pass a scale must give the logits of the one masked pass of training. (The mask itself you write in exercise 10.6.)

# %% tags=["slide:lat.var-stage2"]
with torch.no_grad():
    one = digit_codes[:1]
    base, scale_of = var(one, labels[:1]), torch.repeat_interleave(torch.arange(5), torch.tensor(scales.counts))
    changed = one.repeat(88, 1)
    changed[range(88), range(88)] = (changed[range(88), range(88)] + 1) % 64      # row i: another code at place i
    moves = ((var(changed, labels[:1].expand(88)) - base).abs().amax(2) > 1e-4).double()    # (88 changed, 88 logits)
    memory, start, logits = var.net.memory(1), 0, []
    inputs = [var.start(labels[:1]), *[var.seen(each, k) for k, each in enumerate(var.scales.partial(one)[:-1], 1)]]
    for h in inputs:                                                   # five passes
        logits.append(var.leave(var.net.extend(h, memory, start)))
        start += h.shape[1]
verify("lat.var-stage2", moves, (scale_of > scale_of[:, None]).double(), what="a code moves the logits of all finer scales and no others")
verify("lat.var-stage2", torch.cat(logits, 1), base, what="five passes with a memory = one masked pass", tolerance=1e-4)
reveal(latent.VAR.start, latent.VAR.seen)

# %% [markdown]
# Sampling is a short descent: start token, one pass, one code; raise it, shrink the sum to 2 × 2, one pass, four codes; and so on. Here is the library's loop (`told` and `free` are the two halves of guidance).

# %% tags=["slide:lat.var-stage2"]
reveal(latent.VAR._descend)

# %% [markdown]
# A small one first, trained here on the codes of the embedded digits.

# %% tags=["slide:lat.var-stage2"]
seed(4)
little = latent.VAR(pretrained.load("var_tokens_digits").codebook, llama_nets.Llama(latent.centres(scales.sides), width=48, depth=2, heads=4)).to(device())
print(little)
train_codes = pretrained.vq.codes_of(mnist.train[:2000], pyramid.to(device()))
learning = fit(little, (train_codes, mnist.train_labels[:2000]), Recipe(budget(quick=70, full=3000), 32, 4e-3, warmup=20, decay=linear, clip=30.0),
               report=progress("a small VAR"))
little, pyramid = little.cpu(), pyramid.cpu()
with torch.no_grad():
    for name, one in {"trained here": little, "shipped": var}.items():
        told = one.log_prob(digit_codes[:400], labels[:400])
        print(f"{name:13} -log p(codes | class) {-float(told.mean()):6.1f} nats of {88 * torch.tensor(64.0).log():.1f} for uniform codes, 400 held-out digits")

# %% [markdown]
# Now the shipped weights (`dgm train var_digits`). Press play, or drag: the digits 0 to 9 in this order, three times, after one pass, two, … five.
#
# **Predict before you press play.** After the first pass there is one code. Can you tell the classes apart then? At which pass will you be able to?
# <details><summary>Answer</summary>Not after the first: you saw above that it is the same code for every digit, so the pass says nothing, and the picture is the blot in which all digits agree. With 5 codes there is round and slim, with 14 most shapes can be guessed, with 39 they are settled. The last pass adds edges.</details>

# %% tags=["slide:lat.var-stage2"]
columns = torch.arange(10).repeat(3)
drawn = var.sample(30, columns, guidance=2.0, generator=same())
with torch.no_grad():
    stages = torch.stack([pyramid.decoder(each).mean for each in var.scales.partial(drawn)])     # (5, 30, 1, 28, 28)
FramePlayer(stages.clamp(-1, 1), captions=[f"pass {k + 1}: {n} code{'s' * (n > 1)}" for k, n in enumerate(counts)], columns=10, size=620, seconds=5,
            label="Thirty digits, three of each class, drawn from coarse to fine in five passes")

# %% [markdown]
# **The two side by side.** Passes come one after the other, whatever the hardware: they are what one digit has to *wait* for. Many digits at a time keep the processor busy anyway, and then the arithmetic counts, of which VAR has no less (88 codes against 49). So both times are taken: for a single digit, and for each of 200. The nats of the two are not comparable (they are about different codes), the pictures are: the same classifier judges both, and the Fréchet distances are from the cards, which say how they were measured.

# %% tags=["slide:lat.var-stage2"]
def timed(draw_codes, classes):
    """Codes of those classes, and the milliseconds that each took."""
    seed(5)
    start = time.perf_counter(); drawn = draw_codes(classes)
    return drawn, 1000 * (time.perf_counter() - start) / len(classes)

rivals = {"LlamaGen": (tokens, "llama_gen_digits", lambda y: writer.sample(len(y), y, stream=ar.guided(2.0))),
          "VAR": (pyramid, "var_digits", lambda y: var.sample(len(y), y, guidance=2.0))}
shown = {}
for name, (decoder, weights_name, draw_codes) in rivals.items():
    alone = min(timed(draw_codes, many[:1])[1] for _ in range(3))
    drawn, each = timed(draw_codes, many)
    card, shown[name] = pretrained.card(weights_name)["held_out"], decoder.picture(drawn)
    print(f"{name:8} {drawn[0].numel()} codes in {card['passes']:2} passes, {alone:3.0f} ms for one digit, {each:3.0f} ms each for 200; {share_as_asked(shown[name], many)};\n"
          f"         Fréchet {card['guided']['frechet']:.1f} with w = 2, {card['unguided']['frechet']:.1f} with w = 1 (real digits {card['guided']['frechet_floor']:.1f})")
two = (20 * torch.arange(10) + torch.tensor([[0], [7]])).flatten()            # two digits of each class
draw.gallery({f"{name}, w = 2": x[two] for name, x in shown.items()}, columns=10, alt="Twenty digits each, two of every class, by LlamaGen and by VAR")

# %% [markdown]
# Both write the class that was asked for. In distance to real digits LlamaGen is ahead, and most of all without guidance. Two things differ at once here, so take care: the decoders (VQGAN's was sharpened by a critic, VAR's was not), and the order of writing. The next question is about the second.
#
# **Predict.** All 49 codes of the last scale are drawn independently, given the coarser ones. When does that go wrong, and what keeps it from going wrong more often?
# <details><summary>Answer</summary>Where two neighbours each have a choice that must be made together, as on which side of a line a stroke ends: both choose, neither hears the other, and the edge gets a notch. The coarser the scales have left things open, the worse. So most decisions should be taken early, when few codes are drawn at a time; and guidance, which
# sharpens every distribution, leaves less to disagree about.</details>
#
# **What this shares with other families.**
#
# * *Residual vector quantization* (in sound codecs) tells a vector in several rounds, each about what the rounds before left. Stage 1 is that, with rounds of growing size. VQ-VAE-2 (notebook 04) has two scales, with an encoder for each.
# * *Absorbing diffusion* (notebook 09) also writes many places in one pass, and pays the same price: what is drawn together is drawn independently. There the order of places is chance, and a place once written stays; here the order is from coarse to fine, and every pass speaks about every place again.
# * *Autoregressive models* (01): both are the chain rule, exact likelihoods of their codes included. LlamaGen differs from ImageGPT in four layers, VAR in what counts as one symbol.
# * *Guidance* (07, 08): the same line, on logits in place of velocities; and as there, its samples follow no stated density.
#
# ## Homework, second half
#
# Four exercises, five points. The check answers at once; where it is not satisfied it says which law failed and gives a hint, and the reference takes your place so that everything below still runs.
#
# **Exercise 10.4 · a norm that only rescales (1 point).** The RMSNorm of every row.

# %% exercise="lat.rms_norm"
def rms_norm(h, gain, epsilon):
    """Rows of about unit size, times the gain.     h (B, C), gain (C,), a number  ->  (B, C)"""
    ### BEGIN SOLUTION
    return h / torch.sqrt((h**2).mean(1, keepdim=True) + epsilon) * gain
    ### END SOLUTION

# %% check="lat.rms_norm" points=1
rms_norm = check("lat.rms_norm", rms_norm)

# %% [markdown]
# **Exercise 10.5 · queries turned by their places (1 point).** The pair $j$ of query $b$ is the point `(x[b, j], y[b, j])`. Turn it counterclockwise by its speed times the query's place.

# %% exercise="lat.rotary_step"
def rotary_step(x, y, places, speeds):
    """Both numbers of every pair, turned.     x, y (B, P), places (B,), speeds (P,)  ->  (B, P), (B, P)"""
    ### BEGIN SOLUTION
    angle = places[:, None] * speeds
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()
    ### END SOLUTION

# %% check="lat.rotary_step" points=1
rotary_step = check("lat.rotary_step", rotary_step)

# %% [markdown]
# **Exercise 10.6 · who sees whom (1 point).** The mask of next-scale prediction over all places of all scales, coarse ones first; scale $k$ has `sides[k]` times `sides[k]` places. True where the place of the row may look at the place of the column. (Scales may have the same size.)

# %% exercise="lat.block_causal"
def block_causal(sides):
    """Who may attend to whom.     sides (S,) whole numbers  ->  (L, L), L the number of all places"""
    ### BEGIN SOLUTION
    scale = torch.repeat_interleave(torch.arange(len(sides)), sides**2)
    return scale[:, None] >= scale[None, :]
    ### END SOLUTION

# %% check="lat.block_causal" points=1
block_causal = check("lat.block_causal", block_causal)

# %% [markdown]
# **Exercise 10.7 · a residual told at one scale (2 points).** One round of stage 1, without $\phi$: shrink the residual to `side` × `side` by means over areas, find the nearest vector of every place, raise the vectors bilinearly, and take them away. Return the codes and what is left. (`torch.nn.functional.interpolate` knows the modes `"area"` and `"bilinear"`.)

# %% exercise="lat.one_scale"
def one_scale(rest, vectors, side):
    """Codes, and what they leave.     rest (B, C, H, H), vectors (K, C), a number  ->  (B, side, side), (B, C, H, H)"""
    ### BEGIN SOLUTION
    small = torch.nn.functional.interpolate(rest, size=(side, side), mode="area")
    codes = (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)
    told = torch.nn.functional.interpolate(vectors[codes].movedim(-1, 1), size=rest.shape[2:], mode="bilinear")
    return codes, rest - told
    ### END SOLUTION

# %% check="lat.one_scale" points=2
one_scale = check("lat.one_scale", one_scale)

# %% [markdown]
# **Now put your pieces together.** Your norm and your turn are the first layer of LlamaGen: its queries, from your lines and the shipped weights, must be the library's. Your mask is VAR's. And your round, five times over, tells the features of real digits: what is left must shrink. (Where a piece is still missing the reference stands in.)

# %%
with torch.no_grad():
    block, h = writer.net.blocks[0], torch.randn(49, 96)
    normed = rms_norm(h, block.first.gain, block.first.epsilon)
    raw = (normed @ block.attention.qkv.weight[:24].T)                 # the queries of the first head, 12 pairs: six turn by row, six by column
    speeds = 100.0 ** (-torch.arange(0, 12, 2) / 12)
    x, y = raw[:, 0::2], raw[:, 1::2]
    by_row, by_column = rotary_step(x[:, :6], y[:, :6], places[:, 0].float(), speeds), rotary_step(x[:, 6:], y[:, 6:], places[:, 1].float(), speeds)
    mine = torch.stack([torch.cat([by_row[i], by_column[i]], 1) for i in range(2)], -1).flatten(1)
    theirs = block.attention.split(block.first(h)[None], (writer.net.cosine, writer.net.sine))[0][0, 0]
verify("lat.llamagen", mine, theirs, what="the queries of LlamaGen's first head, by your norm and your turn", tolerance=1e-5)
sides = torch.tensor(scales.sides)
verify("lat.var-stage2", var.net(torch.cat(inputs, 1), torch.as_tensor(block_causal(sides)).bool()), var.net(torch.cat(inputs, 1), var.allowed), what="VAR under your mask", tolerance=1e-6)

# %%
rest, told = features[:500], []
for side in scales.sides:
    found, rest = one_scale(rest, scales.vectors, side)
    told.append(float(rest.square().sum() / features[:500].square().sum()))
print("left of the features after each of your rounds:", ", ".join(f"{share:.0%}" for share in told))

# %% [markdown]
# **Written (think, then unfold).** *LlamaGen needs 49 passes for a digit of 7 × 7 codes, VAR five. For 32 × 32 codes LlamaGen needs 1024. How many does VAR need, and what does each of its passes cost?*
# <details><summary>Answer</summary>About ten, if each scale is some 1.4 times as wide as the one before: the number of passes grows with the logarithm of the side. But the last pass alone has 1024 places that all look at all others, so its attention costs what a whole pass of a bidirectional transformer costs. In arithmetic VAR saves little over a LlamaGen with a memory; it saves <i>waiting</i>.</details>
#
# *Someone feeds stage 2, at scale $k$, the sum that already holds the codes of scale $k$; the mask is unchanged. The training loss falls almost to zero. Why, and what will samples look like?*
# <details><summary>Answer</summary>Each place reads off its input what it is asked to predict: the answer was given away, not by the mask but by the input. When sampling, those codes do not exist yet; whatever is put in their place, the network has learned to copy it and nothing else, so the samples are noise. A block-causal mask is right only with inputs made of coarser scales.</details>
#
# ## References
#
# * Sun et al.: *Autoregressive Model Beats Diffusion: Llama for Scalable Image Generation* (LlamaGen), 2024.
# * Tian, Jiang, Yuan, Peng, Wang: *Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction* (VAR), 2024.
# * Touvron et al.: *LLaMA*, 2023; Zhang, Sennrich: *Root Mean Square Layer Normalization*, 2019; Su et al.: *RoFormer* (rotary positions), 2021; Shazeer: *GLU Variants Improve Transformer*, 2020.
# * Zeghidour et al.: *SoundStream*, 2021. Residual vector quantization. Ho, Salimans: *Classifier-Free Diffusion Guidance*, 2022.
