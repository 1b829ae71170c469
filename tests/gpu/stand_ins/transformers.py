"""Stands in for transformers, as torch.py beside it."""
from torch import Anything

AutoModel = AutoTokenizer = Anything()
