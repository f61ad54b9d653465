"""Write a bundle as the engine's model, and print the token ids of a text.

python convert.py MODEL.tge TEXT [BUNDLE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from textgate import Classifier
from textgate.bundle.storage import read_bundle
from textgate.native.model import model_bytes

path, text, *bundle = sys.argv[1:]
classifier = Classifier.load(*bundle)
checked = read_bundle(classifier.path)
Path(path).write_bytes(model_bytes(checked.parts, checked.manifest))
(encoded,) = classifier.stages().encode([text])
print(*encoded.ids)
