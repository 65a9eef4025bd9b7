"""Deep generative models, lecture by lecture: the map of the rooms, from the ground up.

    core            tensors, guards, distributions, ODE and SDE solvers, metrics
    data            toy distributions, small images, MNIST, short discrete sequences
    nets            networks: MLP, U-Net, convolutional, masked, transformer, GAN
    training        the training loop, its configuration, checkpoints, diagnostics, GPU graphs, several processes
    autoregressive  PixelCNN, PixelRNN, MADE, ImageGPT, LlamaGen
    vae             heads, priors, the VAE and its ELBO
    vq              codebooks, VQ-VAE, VQ-VAE-2, Gumbel-softmax
    gan             losses, penalties, the two-player game
    flows           bijections, coupling layers, splines, continuous flows
    paths           Gaussian and mask paths: diffusion, score models, flow matching, absorbing diffusion
    latent          first stages, latent diffusion, VQGAN, VAR
    pretrained      shipped weights: recipes, evaluation, published results
    comparison      every family measured alike
    teach           checks, widgets, plots, oracles, homework, the notebook builder, the site
    grading         marks for a class
    cli             the command `dgm`

A room imports only from rooms above it in this list; the seven families never import each other.
"""

__version__ = "0.1.0"
