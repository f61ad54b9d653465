from __future__ import annotations
import gzip
from dataclasses import dataclass
import numpy as np
@dataclass(frozen=True)
class Vectors:
    words: dict
    matrix: np.ndarray
    name: str
def load_vectors(spec, wanted=None):
    w=gzip.open("/work/shared/vectors/glove.6B.100d.top120k.words.txt.gz","rt").read().split("\n")
    n=30000
    m=np.load("/work/shared/vectors/glove.6B.100d.top120k.f16.npy")[:n].astype("f4")
    return Vectors({x:i for i,x in enumerate(w[:n])},m,"english")
