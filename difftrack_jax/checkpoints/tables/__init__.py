"""One table a model, from the published names of its weights to ours; all have the same face.

    fields = tables.unet2d.fields(config)      what `config.json` says, as fields of our module; unsupported ones raise
    params = tables.unet2d.convert(state, like)    state: name -> numpy array; like: our parameters' shapes and dtypes
    rules = tables.unet2d.RULES                the table itself, for `checkpoints.rules.convert`

`like` is `models.<model>.shapes(module)`. All of Stable Diffusion in one file, in the layout of CompVis, goes through
`tables.single_file.readers` first, which gives each part its diffusers names; `tables.single_file.variant` tells sizes.
"""

from difftrack_jax.checkpoints.tables import adm, clip_text, i3d, single_file, unet2d, unet3d, vae

__all__ = ["adm", "clip_text", "i3d", "single_file", "unet2d", "unet3d", "vae"]
