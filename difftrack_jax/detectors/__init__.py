"""Who finds objects in a frame: files, models of `transformers`, ONNX exports, or a function of yours (base.py)."""
