"""Deep generative models, lecture by lecture.

The package is a house of floors, and a file imports only from the floors below it:

    0  tensors                                      time over data, device, seed, budget
    1  distributions  nets  dynamics  fit           densities, networks, the solver, the training loop
    2  paths  data  measures                        roads from noise to data, worlds, yardsticks
    3  autoregressive vae vq gan flows path_models  one family a file; none knows its siblings
       latent  pretrained  overview                 (pretrained: weights; overview: all of them, measured; pace: how
                                                    slow is this machine)
    4  teach: laws verify draw play reveal          the judges of the mathematics, the pictures
    5  teach: check homework                        what each exercise must satisfy
    6  grade                                        marks for a class, answers apart from expected values
    7  cli                                          `dgm lab`, `dgm doctor`, `dgm grade`, ...

Floors 0 to 3 know torch and nothing of notebooks; `teach` knows the mathematics.
"""

import os

__version__ = "0.1.0"

# How long threads of torch (on Linux) wait for each other awake before they sleep; read when torch is loaded, and inherited
# by every kernel. With torch's own long wait a training on two cores takes half as long again where another program is busy,
# and three times as long where two are; alone it makes no difference (benchmarks/neighbour.py).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
