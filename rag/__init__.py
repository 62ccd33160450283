"""ragbase: a knowledge base on one's own machine."""

import os

# Read when numpy is loaded. After every product of matrices the threads of its library wait for the next one, spinning, for some 20 ms, and
# take the processor from what embeds the next question; the products here are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
