"""The native engine: whole bundles in C, from token ids to probabilities.

`textgate_engine.h` documents the C interface and the bytes of a model. `model` turns a checked
bundle into these bytes, `library` finds the shared library, `workspace` calls it, and `session`
answers as `textgate.inference.session.Session` does. Without the library, ONNX Runtime does
everything.
"""
